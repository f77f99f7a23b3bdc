/* Virtqueues: mapping of the rings, chains as validated lists of host memory, giving them back, and saving those in the device's
 * hands. The two ring formats are in virtio_ring_split.c and virtio_ring_packed.c. Any thread, the device's lock held. VIRTIO 1.2, 2.6. */
#include "hw/virtio/virtio_ring.h"
#include <glib.h>
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "util/log.h"

static struct aspace *space(const struct virtq *q) { return q->v->dma; }
/* What lies behind an IOMMU, or the same. */
static struct aspace *memory(const struct virtq *q) { return q->v->pci.dev.m->mem; }

/* -- rings -------------------------------------------------------------------------------------------------------------- */

static void drop_all(struct virtq_elem **list)
{
    while (*list) {
        struct virtq_elem *e = *list;
        *list = e->next;
        g_free(e);
    }
}

void virtq_start_over(struct virtq *q)
{
    q->last_avail = q->used_idx = q->signalled = 0;
    q->signalled_valid = 0;
    q->avail_wrap = q->used_wrap = 1;
    drop_all(&q->restored);
    virtq_loaded(q);
}

void virtq_loaded(struct virtq *q)
{
    q->ops = virtio_has(q->v, VIRTIO_F_RING_PACKED) ? &virtq_packed_ops : &virtq_split_ops;
    q->seen_avail = q->last_avail;
    q->mapped = false;
}

/* The host memory of [gpa, gpa + len) if that lies in one piece, with *at its address in guest memory; or NULL. */
static u8 *map_piece(struct virtq *q, gpa_t gpa, u64 len, bool write, gpa_t *at)
{
    struct aspace *as = space(q);
    u64 got = len;
    u8 *p;

    *at = gpa;
    if (!aspace_translate(&as, at, &got, write))
        return NULL;
    p = got == len ? dma_window_map(as, &q->ring_window, *at, &got, write) : NULL;
    return got == len ? p : NULL;
}

static bool map_pages(struct virtq *q, struct virtq_area *a, gpa_t gpa, u64 len, bool write)
{
    unsigned n;

    a->skew = gpa % PAGE_SIZE;
    for (unsigned i = 0; len; i++, gpa += n, len -= n) {
        u32 off = gpa % PAGE_SIZE;
        gpa_t at;
        n = MIN_OF(len, PAGE_SIZE - off);
        u8 *p = i < ARRAY_LEN(a->page) ? map_piece(q, gpa, n, write, &at) : NULL;
        if (!p)
            return false;
        a->page[i].host = p - off;
        a->page[i].gpa = at - off;
    }
    return true;
}

static bool map_area(struct virtq *q, struct virtq_area *a, gpa_t gpa, u64 len, u64 align, bool write)
{
    if (gpa & 1)
        return false;
    a->host = map_piece(q, gpa, len, write, &a->gpa);
    return a->host || (aspace_is_translated(space(q)) && !(gpa & (align - 1)) && map_pages(q, a, gpa, len, write));
}

static bool map_rings(struct virtq *q)
{
    u64 desc, avail, used;
    bool packed = q->ops == &virtq_packed_ops;

    q->map_generation = aspace_generation(space(q));
    q->ops->areas(q, &desc, &avail, &used);
    q->mapped = map_area(q, &q->desc_ring, q->desc, desc, 16, false) && (!packed || map_area(q, &q->desc_ring, q->desc, desc, 16, true)) &&
                map_area(q, &q->avail_ring, q->avail, avail, packed ? 4 : 2, false) && map_area(q, &q->used_ring, q->used, used, 4, true);
    if (!q->mapped)
        virtio_error(q->v, "queue %u has a ring that is not in RAM", q->index);
    return q->mapped;
}

/* True if the rings can be touched. */
static inline bool rings_ready(struct virtq *q)
{
    if (!q->enabled || q->v->broken)
        return false;
    return LIKELY(q->mapped && q->map_generation == aspace_generation(space(q))) || map_rings(q);
}

void virtq_ring_written(struct virtq *q, const struct virtq_area *a, u32 off, u32 len)
{
    if (LIKELY(a->host)) {
        dma_window_written(memory(q), &q->ring_window, a->gpa + off, len);
        return;
    }
    for (u32 i = 0; i < len; i++) { /* few bytes, perhaps in two pages */
        u32 at = a->skew + off + i;
        dma_window_written(memory(q), &q->ring_window, a->page[at / PAGE_SIZE].gpa + at % PAGE_SIZE, 1);
    }
}

/* -- chains --------------------------------------------------------------------------------------------------------------- */

static int chain_add(struct virtq *q, struct virtq_chain *c, struct aspace *as, gpa_t gpa, u32 len, bool write)
{
    u64 left = len, part;

    if (!len || ++c->descs > VIRTQ_CHAIN_MAX || (!write && c->n_in)) {
        virtio_error(q->v, "queue %u has a chain %s", q->index, !len ? "with an empty buffer"
                     : !write && c->n_in ? "with a readable buffer behind a writable one" : "that is too long");
        return -1;
    }
    for (; left; left -= part, gpa += part) {
        unsigned n = c->n_out + c->n_in;
        struct aspace *to = as;
        gpa_t at = gpa;
        part = left;
        void *p = n < VIRTQ_CHAIN_MAX && aspace_translate(&to, &at, &part, write) ? dma_window_map(to, &q->window, at, &part, write) : NULL;
        if (!p) {
            virtio_error(q->v, "queue %u has a buffer at %llx that is not in RAM", q->index, (unsigned long long)gpa);
            return -1;
        }
        c->iov[n] = (struct iovec){ p, part };
        c->gpa[n] = at;
        write ? c->n_in++ : c->n_out++;
    }
    *(write ? &c->in_len : &c->out_len) += len;
    return 0;
}

int virtq_chain_add(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, bool write)
{
    return chain_add(q, c, space(q), gpa, len, write);
}

/* A copy of a table that an IOMMU puts together from several places. */
static const u8 *copy_table(struct virtq *q, gpa_t gpa, u32 len)
{
    if (!q->table)
        q->table = g_malloc(16 * VIRTQ_CHAIN_MAX);
    return dma_read(space(q), gpa, q->table, len) < 0 ? NULL : q->table;
}

const u8 *virtq_indirect(struct virtq *q, gpa_t gpa, u32 len, unsigned *count)
{
    u64 got = len;
    const u8 *p = NULL;

    *count = len / 16;
    if (len && !(len % 16) && *count <= VIRTQ_CHAIN_MAX && virtio_has(q->v, VIRTIO_F_INDIRECT_DESC))
        p = dma_window_map(space(q), &q->window, gpa, &got, false);
    if (p && got < len && aspace_is_translated(space(q)))
        p = copy_table(q, gpa, len);
    else if (got != len)
        p = NULL;
    if (!p) {
        virtio_error(q->v, "queue %u has an indirect table at %llx of %u bytes", q->index, (unsigned long long)gpa, len);
        return NULL;
    }
    return p;
}

static void link_elem(struct virtq *q, struct virtq_elem *e)
{
    e->next = q->in_flight;
    e->prev = &q->in_flight;
    if (e->next)
        e->next->prev = &e->next;
    q->in_flight = e;
    q->n_in_flight++;
}

static struct virtq_elem *new_elem(struct virtq *q, const struct virtq_chain *c, u64 size)
{
    unsigned n = c->n_out + c->n_in;
    u64 head = ALIGN_UP(size, 16);
    struct virtq_elem *e = g_malloc(head + n * (sizeof(struct iovec) + sizeof(gpa_t)));

    memset(e, 0, head);
    e->q = q;
    e->id = c->id;
    e->ring_descs = c->ring_descs;
    e->n_out = c->n_out;
    e->n_in = c->n_in;
    e->out_len = c->out_len;
    e->in_len = c->in_len;
    e->out = (struct iovec *)((u8 *)e + head);
    e->in = e->out + c->n_out;
    e->gpa = (gpa_t *)(e->out + n);
    memcpy(e->out, c->iov, n * sizeof(*c->iov));
    memcpy(e->gpa, c->gpa, n * sizeof(*c->gpa));
    link_elem(q, e);
    return e;
}

/* The chain of a restored element, its memory looked up anew. */
static int restored_chain(struct virtq *q, struct virtq_chain *c)
{
    struct virtq_elem *r = q->restored;
    int ret = 0;

    q->restored = r->next;
    c->id = r->id;
    c->ring_descs = r->ring_descs;
    for (unsigned i = 0; i < r->n_out + r->n_in && ret == 0; i++)
        ret = chain_add(q, c, memory(q), r->gpa[i], r->out[i].iov_len, i >= r->n_out);
    g_free(r);
    return ret < 0 ? -1 : 1;
}

static void chain_init(struct virtq_chain *c)
{
    c->descs = c->n_out = c->n_in = 0;
    c->out_len = c->in_len = 0;
    c->ring_descs = 0;
}

void *virtq_pop(struct virtq *q, u64 size)
{
    struct virtq_chain c;
    int got;

    if (!rings_ready(q))
        return NULL;
    if (q->n_in_flight >= q->size) {
        if (!q->ops->empty(q))
            virtio_error(q->v, "queue %u has more chains than entries", q->index);
        return NULL;
    }
    chain_init(&c);
    got = q->restored ? restored_chain(q, &c) : q->ops->read_chain(q, &c);
    return got > 0 ? new_elem(q, &c, size) : NULL;
}

bool virtq_empty(struct virtq *q)
{
    return !rings_ready(q) || (!q->restored && q->ops->empty(q));
}

/* -- giving back ------------------------------------------------------------------------------------------------------------ */

static void unlink_elem(struct virtq_elem *e)
{
    *e->prev = e->next;
    if (e->next)
        e->next->prev = e->prev;
    e->q->n_in_flight--;
}

void virtq_drop(struct virtq_elem *e)
{
    unlink_elem(e);
    g_free(e);
}

/* Translated code hears of what the device wrote. */
static void data_written(struct virtq *q, const struct virtq_elem *e, u64 written)
{
    for (unsigned i = 0; i < e->n_in && written; i++) {
        u64 n = MIN_OF(written, e->in[i].iov_len);
        dma_window_written(memory(q), &q->window, e->gpa[e->n_out + i], n);
        written -= n;
    }
}

void virtq_push(struct virtq_elem *e, u32 written)
{
    struct virtq *q = e->q;

    data_written(q, e, written);
    if (rings_ready(q))
        q->ops->publish(q, e, MIN_OF(written, e->in_len));
    virtq_drop(e);
}

void virtq_unpop(struct virtq_elem *e)
{
    if (e->q->enabled)
        e->q->ops->unread(e->q, e);
    virtq_drop(e);
}

void virtq_notify(struct virtq *q)
{
    if (rings_ready(q) && virtio_running(q->v) && q->ops->wants_interrupt(q))
        q->v->transport->interrupt(q->v, q);
}

void virtq_notify_off(struct virtq *q)
{
    if (rings_ready(q))
        q->ops->notifications(q, false);
}

bool virtq_notify_on(struct virtq *q)
{
    if (!rings_ready(q))
        return true;
    q->ops->notifications(q, true);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the driver either sees our wish or we see its buffer */
    return q->ops->empty(q);
}

/* -- saving ----------------------------------------------------------------------------------------------------------------- */

/* One chain: queue, id, ring entries, pieces out and in, then address and length of each. */
struct saved_elem {
    u16 queue, id, ring_descs, n_out, n_in;
};
struct saved_piece {
    u64 gpa, len;
};

static void save_elem(const struct virtq_elem *e, GByteArray *out)
{
    struct saved_elem s = { e->q->index, e->id, e->ring_descs, e->n_out, e->n_in };

    g_byte_array_append(out, (const guint8 *)&s, sizeof(s));
    for (unsigned i = 0; i < e->n_out + e->n_in; i++) {
        struct saved_piece p = { e->gpa[i], e->out[i].iov_len };
        g_byte_array_append(out, (const guint8 *)&p, sizeof(p));
    }
}

/* The oldest first: those loaded and not popped yet come behind, as they would be popped. */
void virtq_save_in_flight(struct virtq *q, GByteArray *out)
{
    struct virtq_elem *e = q->in_flight;

    while (e && e->next)
        e = e->next;
    while (e) {
        save_elem(e, out);
        e = e->prev == &q->in_flight ? NULL : container_of(e->prev, struct virtq_elem, next);
    }
    for (e = q->restored; e; e = e->next)
        save_elem(e, out);
}

static struct virtq_elem *load_elem(struct virtq *q, const struct saved_elem *s, const u8 *pieces)
{
    unsigned n = s->n_out + s->n_in;
    struct virtq_elem *r = g_malloc0(sizeof(*r) + n * (sizeof(struct iovec) + sizeof(gpa_t)));

    r->q = q;
    r->id = s->id;
    r->ring_descs = s->ring_descs;
    r->n_out = s->n_out;
    r->n_in = s->n_in;
    r->out = (struct iovec *)(r + 1);
    r->gpa = (gpa_t *)(r->out + n);
    for (unsigned i = 0; i < n; i++) {
        r->gpa[i] = ld64(pieces + 16 * i);
        r->out[i].iov_len = MIN_OF(ld64(pieces + 16 * i + 8), 0xffffffffull);
    }
    return r;
}

int virtq_load_in_flight(struct virtio *v, const GByteArray *in)
{
    const u8 *p = in ? in->data : NULL, *end = in ? in->data + in->len : NULL;
    struct saved_elem s;

    for (unsigned i = 0; i < v->n_queues; i++)
        drop_all(&v->q[i].restored);
    while (p < end) {
        if ((u64)(end - p) < sizeof(s))
            return -1;
        memcpy(&s, p, sizeof(s));
        p += sizeof(s);
        unsigned n = s.n_out + s.n_in;
        struct virtq *q = virtio_queue(v, s.queue);
        if (!q || n > VIRTQ_CHAIN_MAX || (u64)(end - p) < 16ull * n || s.ring_descs > q->size || (!q->v->packed && s.id >= q->size))
            return -1;
        struct virtq_elem **tail = &q->restored;
        while (*tail)
            tail = &(*tail)->next;
        *tail = load_elem(q, &s, p);
        p += 16 * n;
    }
    return 0;
}
