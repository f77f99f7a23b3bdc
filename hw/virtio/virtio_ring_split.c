/* Split virtqueues: descriptor table, available and used ring. Called by virtio_ring.c; the rings are mapped. The driver writes at
 * the same time: every value is read once and then checked. VIRTIO 1.2, 2.7. */
#include "hw/virtio/virtio_ring.h"

/* The three areas:
 *   desc:  16 bytes each: le64 addr, le32 len, le16 flags, le16 next
 *   avail: le16 flags, le16 idx, le16 ring[size], le16 used_event
 *   used:  le16 flags, le16 idx, { le32 id, le32 len } ring[size], le16 avail_event */
struct vring_desc {
    u64 addr;
    u32 len;
    u16 flags, next;
};
enum { RING_FLAGS = 0, RING_IDX = 2, RING_ENTRIES = 4, NO_INTERRUPT = 1, NO_NOTIFY = 1 };

static u16 load16(const u8 *p) { return __atomic_load_n((const u16 *)p, __ATOMIC_RELAXED); }
static void store16(u8 *p, u16 v) { __atomic_store_n((u16 *)p, v, __ATOMIC_RELAXED); }

static void split_areas(const struct virtq *q, u64 *desc, u64 *avail, u64 *used)
{
    *desc = 16ull * q->size;
    *avail = 6 + 2ull * q->size;
    *used = 6 + 8ull * q->size;
}

/* How many chains are waiting, at most q->size; -1 after virtio_error. */
static int split_waiting(struct virtq *q)
{
    u16 n = q->seen_avail - q->last_avail;

    if (n)
        return n;
    q->seen_avail = __atomic_load_n((u16 *)virtq_area_at(&q->avail_ring, RING_IDX), __ATOMIC_ACQUIRE);
    n = q->seen_avail - q->last_avail;
    if (n <= q->size)
        return n;
    virtio_error(q->v, "queue %u: available index %u is too far from %u", q->index, q->seen_avail, q->last_avail);
    q->seen_avail = q->last_avail;
    return -1;
}

static bool split_empty(struct virtq *q) { return split_waiting(q) <= 0; }

/* Walks one table, the queue's own or (nested) an indirect one, which an indirect descriptor may put at the end of a chain. */
static int walk_table(struct virtq *q, struct virtq_chain *c, const u8 *nested, unsigned count, unsigned i)
{
    struct vring_desc d;

    for (unsigned steps = 0; steps < count; steps++) {
        if (i >= count) {
            virtio_error(q->v, "queue %u: descriptor %u of %u", q->index, i, count);
            return -1;
        }
        memcpy(&d, nested ? nested + 16 * i : virtq_area_at(&q->desc_ring, 16 * i), sizeof(d));
        if (d.flags & DESC_INDIRECT) {
            unsigned n;
            const u8 *inner = nested || (d.flags & DESC_NEXT) ? NULL : virtq_indirect(q, d.addr, d.len, &n);
            if (!inner) {
                virtio_error(q->v, "queue %u: an indirect descriptor inside a table or in the middle of a chain", q->index);
                return -1;
            }
            return walk_table(q, c, inner, n, 0);
        }
        if (virtq_chain_add(q, c, d.addr, d.len, d.flags & DESC_WRITE) < 0)
            return -1;
        if (!(d.flags & DESC_NEXT))
            return 0;
        i = d.next;
    }
    virtio_error(q->v, "queue %u: a chain without end", q->index);
    return -1;
}

static int split_read_chain(struct virtq *q, struct virtq_chain *c)
{
    int n = split_waiting(q);

    if (n <= 0)
        return n;
    c->id = load16(virtq_area_at(&q->avail_ring, RING_ENTRIES + 2 * (q->last_avail & (q->size - 1))));
    if (walk_table(q, c, NULL, q->size, c->id) < 0)
        return -1;
    q->last_avail++;
    return 1;
}

static void split_unread(struct virtq *q, const struct virtq_elem *e) { q->last_avail--; }

static void split_publish(struct virtq *q, const struct virtq_elem *e, u32 written)
{
    u32 entry = RING_ENTRIES + 8 * (q->used_idx & (q->size - 1));

    st32(virtq_area_at(&q->used_ring, entry), e->id);
    st32(virtq_area_at(&q->used_ring, entry + 4), written);
    q->used_idx++;
    __atomic_store_n((u16 *)virtq_area_at(&q->used_ring, RING_IDX), q->used_idx, __ATOMIC_RELEASE);
    virtq_ring_written(q, &q->used_ring, entry, 8);
    virtq_ring_written(q, &q->used_ring, RING_IDX, 2);
}

static bool split_wants_interrupt(struct virtq *q)
{
    u16 before = q->signalled, event;
    bool valid = q->signalled_valid;

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* our used index comes before our look at the driver's wish */
    q->signalled = q->used_idx;
    q->signalled_valid = 1;
    if (!virtio_has(q->v, VIRTIO_F_EVENT_IDX))
        return !(load16(virtq_area_at(&q->avail_ring, RING_FLAGS)) & NO_INTERRUPT);
    event = load16(virtq_area_at(&q->avail_ring, RING_ENTRIES + 2 * q->size));
    return !valid || (u16)(q->used_idx - event - 1) < (u16)(q->used_idx - before);
}

static void split_notifications(struct virtq *q, bool on)
{
    u32 off = virtio_has(q->v, VIRTIO_F_EVENT_IDX) ? RING_ENTRIES + 8 * q->size : RING_FLAGS;
    u16 val = virtio_has(q->v, VIRTIO_F_EVENT_IDX) ? q->last_avail : on ? 0 : NO_NOTIFY;

    if (virtio_has(q->v, VIRTIO_F_EVENT_IDX) && !on)
        return; /* the event index that stands is behind already */
    store16(virtq_area_at(&q->used_ring, off), val);
    virtq_ring_written(q, &q->used_ring, off, 2);
}

const struct virtq_ops virtq_split_ops = {
    .areas = split_areas,
    .read_chain = split_read_chain,
    .unread = split_unread,
    .empty = split_empty,
    .publish = split_publish,
    .wants_interrupt = split_wants_interrupt,
    .notifications = split_notifications,
};
