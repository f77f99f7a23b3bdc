/* Packed virtqueues: one ring of descriptors that driver and device write in turn, and an event suppression structure of each.
 * Called by virtio_ring.c; the rings are mapped. The driver writes at the same time: every value is read once and then checked.
 * VIRTIO 1.2, 2.8. */
#include "hw/virtio/virtio_ring.h"

/* Descriptor: le64 addr, le32 len, le16 id, le16 flags. Event suppression: le16 offset and wrap counter, le16 flags. */
struct packed_desc {
    u64 addr;
    u32 len;
    u16 id, flags;
};
enum { DESC_AVAIL = 1 << 7, DESC_USED = 1 << 15 };
enum { EVENT_OFF_WRAP = 0, EVENT_FLAGS = 2, EVENT_WRAP = 1 << 15 };
enum { EVENTS_ENABLE = 0, EVENTS_DISABLE = 1, EVENTS_DESC = 2 };

static u8 *slot(const struct virtq *q, unsigned i) { return virtq_area_at(&q->desc_ring, 16 * i); }

static void packed_areas(const struct virtq *q, u64 *desc, u64 *avail, u64 *used)
{
    *desc = 16ull * q->size;
    *avail = *used = 4;
}

/* Its flags decide, and are read before the rest. */
static bool available(const struct virtq *q, unsigned i, bool wrap, u16 *flags)
{
    *flags = __atomic_load_n((u16 *)(slot(q, i) + offsetof(struct packed_desc, flags)), __ATOMIC_ACQUIRE);
    return !!(*flags & DESC_AVAIL) == wrap && !!(*flags & DESC_USED) != wrap;
}

static bool packed_empty(struct virtq *q)
{
    u16 flags;

    return !available(q, q->last_avail, q->avail_wrap, &flags);
}

static int read_indirect(struct virtq *q, struct virtq_chain *c, const struct packed_desc *d)
{
    struct packed_desc in;
    unsigned n;
    const u8 *table = virtq_indirect(q, d->addr, d->len, &n);

    for (unsigned i = 0; table && i < n; i++) {
        memcpy(&in, table + 16ull * i, sizeof(in));
        if (virtq_chain_add(q, c, in.addr, in.len, in.flags & DESC_WRITE) < 0)
            return -1;
    }
    return table ? 0 : -1;
}

static void step(const struct virtq *q, u16 *at, u8 *wrap, unsigned n)
{
    unsigned to = *at + n;

    if (to >= q->size) {
        to -= q->size;
        *wrap ^= 1;
    }
    *at = to;
}

/* All descriptors of a chain are there once the first one is. */
static int packed_read_chain(struct virtq *q, struct virtq_chain *c)
{
    struct packed_desc d;
    u16 at = q->last_avail, flags;
    u8 wrap = q->avail_wrap;

    if (!available(q, at, wrap, &flags))
        return 0;
    do {
        if (c->ring_descs == q->size) {
            virtio_error(q->v, "queue %u: a chain without end", q->index);
            return -1;
        }
        memcpy(&d, slot(q, at), sizeof(d));
        if (c->ring_descs)
            flags = d.flags;
        if ((flags & DESC_INDIRECT) && (c->ring_descs || (flags & DESC_NEXT))) {
            virtio_error(q->v, "queue %u: an indirect descriptor in a chain", q->index);
            return -1;
        }
        if (flags & DESC_INDIRECT ? read_indirect(q, c, &d) < 0 : virtq_chain_add(q, c, d.addr, d.len, flags & DESC_WRITE) < 0)
            return -1;
        c->ring_descs++;
        step(q, &at, &wrap, 1);
    } while (flags & DESC_NEXT);
    c->id = d.id;
    q->last_avail = at;
    q->avail_wrap = wrap;
    return 1;
}

static void packed_unread(struct virtq *q, const struct virtq_elem *e)
{
    if (q->last_avail < e->ring_descs) {
        q->last_avail += q->size;
        q->avail_wrap ^= 1;
    }
    q->last_avail -= e->ring_descs;
}

static void packed_publish(struct virtq *q, const struct virtq_elem *e, u32 written)
{
    u8 *p = slot(q, q->used_idx);
    u16 flags = (q->used_wrap ? DESC_AVAIL | DESC_USED : 0) | (written ? DESC_WRITE : 0);

    st32(p + offsetof(struct packed_desc, len), written);
    st16(p + offsetof(struct packed_desc, id), e->id);
    __atomic_store_n((u16 *)(p + offsetof(struct packed_desc, flags)), flags, __ATOMIC_RELEASE);
    virtq_ring_written(q, &q->desc_ring, 16 * q->used_idx, 16);
    step(q, &q->used_idx, &q->used_wrap, e->ring_descs);
    q->signalled = MIN_OF(q->signalled + e->ring_descs, q->size);
}

static bool packed_wants_interrupt(struct virtq *q)
{
    u16 since = q->signalled, now = q->used_idx, flags, event;
    bool valid = q->signalled_valid;

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* our used descriptor comes before our look at the driver's wish */
    flags = __atomic_load_n((u16 *)virtq_area_at(&q->avail_ring, EVENT_FLAGS), __ATOMIC_RELAXED) & 3;
    event = __atomic_load_n((u16 *)virtq_area_at(&q->avail_ring, EVENT_OFF_WRAP), __ATOMIC_RELAXED);
    q->signalled = 0;
    q->signalled_valid = 1;
    if (flags != EVENTS_DESC || !virtio_has(q->v, VIRTIO_F_EVENT_IDX))
        return flags != EVENTS_DISABLE;
    /* Positions as distances behind `now`, in descriptors. */
    u16 off = event & ~EVENT_WRAP;
    if (!!(event & EVENT_WRAP) != q->used_wrap)
        off -= q->size;
    return !valid || (u16)(now - off - 1) < since;
}

static void packed_notifications(struct virtq *q, bool on)
{
    u16 flags = !on ? EVENTS_DISABLE : virtio_has(q->v, VIRTIO_F_EVENT_IDX) ? EVENTS_DESC : EVENTS_ENABLE;

    if (flags == EVENTS_DESC)
        st16(virtq_area_at(&q->used_ring, EVENT_OFF_WRAP), q->last_avail | (q->avail_wrap ? EVENT_WRAP : 0));
    __atomic_store_n((u16 *)virtq_area_at(&q->used_ring, EVENT_FLAGS), flags, __ATOMIC_RELEASE);
    virtq_ring_written(q, &q->used_ring, 0, 4);
}

const struct virtq_ops virtq_packed_ops = {
    .areas = packed_areas,
    .read_chain = packed_read_chain,
    .unread = packed_unread,
    .empty = packed_empty,
    .publish = packed_publish,
    .wants_interrupt = packed_wants_interrupt,
    .notifications = packed_notifications,
};
