/* qcow2: reading and writing guest data. Called by worker threads and tools without the image's lock, several at a time; what is looked up
 * stays in place until the gate is left. Two writers never allocate the same guest cluster: the second waits. */
#include "hw/backend/qcow2.h"

#define ALLOC_MAX (4 * MiB)       /* of guest data at a time */
#define PENDING_MAX 4096          /* ranges to be freed, before they are freed without a flush of the guest */

/* -- reading ---------------------------------------------------------------------------------------------------------- */

static int read_run(struct qcow2 *s, const struct qcow2_run *r, u64 off, const struct iovec *iov, unsigned n_iov, u64 skip)
{
    struct iovec few[16], *cut = n_iov <= ARRAY_LEN(few) ? few : g_new(struct iovec, n_iov);
    int e = 0;

    switch (r->kind) {
    case Q_NORMAL:
        e = node_readv(s->n->file, r->host, cut, iov_slice(iov, n_iov, skip, r->len, cut), r->len);
        break;
    case Q_UNALLOCATED:
        if (s->n->backing)
            e = node_readv(s->n->backing, off, cut, iov_slice(iov, n_iov, skip, r->len, cut), r->len);
        else
            iov_zero(iov, n_iov, skip, r->len);
        break;
    case Q_ZERO: case Q_ZERO_ALLOC:
        iov_zero(iov, n_iov, skip, r->len);
        break;
    case Q_COMPRESSED:
        e = qcow2_read_compressed(s, r->entry, in_cluster(s, off), iov, n_iov, skip, r->len);
        break;
    }
    if (cut != few)
        g_free(cut);
    return e;
}

int qcow2_read(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    struct qcow2 *s = n->s;
    struct qcow2_run r;

    for (u64 skip = 0; skip < len; skip += r.len) {
        lock_acquire(&s->lock);
        int e = qcow2_lookup(s, off + skip, len - skip, &r);
        unsigned cookie = qcow2_gate_enter(&s->gate);
        lock_release(&s->lock);
        if (!e)
            e = read_run(s, &r, off + skip, iov, n_iov, skip);
        qcow2_gate_leave(&s->gate, cookie);
        if (e < 0)
            return e;
    }
    return 0;
}

/* -- allocating writes ------------------------------------------------------------------------------------------------- */

static bool overlaps(const struct qcow2_range *a, u64 off, u64 len)
{
    return a->off < off + len && off < a->off + a->len;
}

/* Waits until nobody allocates in the range. True if it had to wait, and what was looked up is out of date. */
static bool wait_allocating(struct qcow2 *s, u64 off, u64 len)
{
    bool waited = false;

    len = ALIGN_UP(off + len, s->cluster_size) - ALIGN_DOWN(off, s->cluster_size);
    off = ALIGN_DOWN(off, s->cluster_size);

    for (unsigned i = 0; i < s->allocating->len;) {
        if (overlaps(&g_array_index(s->allocating, struct qcow2_range, i), off, len)) {
            lock_wait(&s->lock, &s->allocated);
            waited = true;
            i = 0;
        } else {
            i++;
        }
    }
    return waited;
}

static void allocating_end(struct qcow2 *s, u64 off)
{
    for (unsigned i = 0; i < s->allocating->len; i++) {
        if (g_array_index(s->allocating, struct qcow2_range, i).off == off) {
            g_array_remove_index_fast(s->allocating, i);
            break;
        }
    }
    pthread_cond_broadcast(&s->allocated);
}

/* A write of guest bytes [off, off + len) into the new clusters that hold [start, end). */
struct alloc {
    u64 off, len, start, end;
    u64 host;
    bool fresh;            /* the host's clusters are a hole that reads as zeros */
    bool head_zero, tail_zero;
};

/* How many clusters from off on need new space, and where: *a. Lock held. */
static int alloc_begin(struct qcow2 *s, u64 off, u64 len, struct alloc *a)
{
    u64 start = ALIGN_DOWN(off, s->cluster_size), span = s->cluster_size << s->l2_bits;
    u64 end = MIN_OF(ALIGN_UP(off + len, s->cluster_size), MIN_OF(start + ALLOC_MAX, ALIGN_DOWN(off, span) + span)), got, pos;
    struct qcow2_table *t;
    struct qcow2_run r;
    int e = qcow2_l2_for_write(s, off, &t);

    for (pos = start; !e && pos < end; pos += r.len) {
        e = qcow2_lookup(s, pos, end - pos, &r);
        if (!e && r.kind == Q_NORMAL && r.copied)
            break;
        r.len = ALIGN_UP(r.len, s->cluster_size);
    }
    if (e < 0)
        return e;
    end = MAX_OF(MIN_OF(pos, end), start + s->cluster_size);
    e = qcow2_alloc(s, (end - start) >> s->h.cluster_bits, 1, &a->host, &got);
    if (e < 0)
        return e;
    a->start = start;
    a->end = start + (got << s->h.cluster_bits);
    a->off = off;
    a->len = MIN_OF(off + len, a->end) - off;
    a->fresh = a->host >= s->file_end;
    s->file_end = MAX_OF(s->file_end, a->host + (a->end - a->start));
    struct qcow2_range g = { a->start, a->end - a->start };
    g_array_append_val(s->allocating, g);
    return 0;
}

/* What the new clusters hold besides what is written: the old contents in front and behind. */
static int alloc_fill(struct qcow2 *s, struct alloc *a, u8 *head, u8 *tail)
{
    u64 h = a->off - a->start, t = a->end - (a->off + a->len);
    struct iovec v = { head, h };
    int e = h ? qcow2_read(s->n, a->start, &v, 1, h) : 0;

    v = (struct iovec){ tail, t };
    if (!e && t)
        e = qcow2_read(s->n, a->off + a->len, &v, 1, t);
    a->head_zero = !h || buf_is_zero(head, h);
    a->tail_zero = !t || buf_is_zero(tail, t);
    return e;
}

static int alloc_write(struct qcow2 *s, struct alloc *a, const struct iovec *iov, unsigned n_iov, u64 skip)
{
    u64 h = a->off - a->start, t = a->end - (a->off + a->len), from = 0, to = a->end - a->start;
    u8 *head = g_malloc(h + 1), *tail = g_malloc(t + 1);
    struct iovec *v = g_new(struct iovec, n_iov + 2);
    unsigned n = 0;
    int e = alloc_fill(s, a, head, tail);

    if (!e) {
        if (a->fresh && a->head_zero)
            from = h;
        else if (h)
            v[n++] = (struct iovec){ head, h };
        n += iov_slice(iov, n_iov, skip, a->len, v + n);
        if (a->fresh && a->tail_zero)
            to -= t;
        else if (t)
            v[n++] = (struct iovec){ tail, t };
        e = node_writev(s->n->file, a->host + from, v, n, to - from);
    }
    g_free(v);
    g_free(head);
    g_free(tail);
    return e;
}

/* The guest sees the new clusters, or, after an error, they are given back. Lock held. */
static int alloc_end(struct qcow2 *s, struct alloc *a, int e)
{
    struct qcow2_table *t;

    if (!e)
        e = qcow2_l2_for_write(s, a->start, &t);
    for (u64 pos = a->start; !e && pos < a->end; pos += s->cluster_size) {
        u64 old = qcow2_l2_get(s, t, pos);
        qcow2_l2_set(s, t, pos, (a->host + (pos - a->start)) | OFLAG_COPIED);
        qcow2_free_entry(s, old);
    }
    if (e < 0)
        qcow2_refcount_add(s, a->host, a->end - a->start, -1);
    allocating_end(s, a->start);
    return e;
}

static int write_in_place(struct qcow2 *s, const struct qcow2_run *r, const struct iovec *iov, unsigned n_iov, u64 skip)
{
    struct iovec few[16], *cut = n_iov <= ARRAY_LEN(few) ? few : g_new(struct iovec, n_iov);
    int e = node_writev(s->n->file, r->host, cut, iov_slice(iov, n_iov, skip, r->len, cut), r->len);

    if (cut != few)
        g_free(cut);
    return e;
}

/* Writes as much as can be done in one go; *done says how much. */
static int write_some(struct qcow2 *s, u64 off, const struct iovec *iov, unsigned n_iov, u64 skip, u64 len, u64 *done)
{
    struct qcow2_run r;
    struct alloc a;
    int e;

    lock_acquire(&s->lock);
    do {
        e = qcow2_lookup(s, off, len, &r);
    } while (!e && !(r.kind == Q_NORMAL && r.copied) && wait_allocating(s, off, len));
    bool in_place = !e && r.kind == Q_NORMAL && r.copied;
    if (in_place)
        e = qcow2_check_data(s, r.host, r.len);
    else if (!e)
        e = alloc_begin(s, off, len, &a);
    unsigned cookie = qcow2_gate_enter(&s->gate);
    lock_release(&s->lock);
    if (in_place && !e) {
        e = write_in_place(s, &r, iov, n_iov, skip);
        *done = r.len;
    } else if (!e) {
        e = alloc_write(s, &a, iov, n_iov, skip);
        lock_acquire(&s->lock);
        e = alloc_end(s, &a, e);
        lock_release(&s->lock);
        *done = a.len;
    }
    qcow2_gate_leave(&s->gate, cookie);
    return e;
}

/* Without flushes of the guest, what is to be freed would pile up. */
static int check_pending(struct qcow2 *s)
{
    bool many;

    lock_acquire(&s->lock);
    many = s->pending->len > PENDING_MAX;
    lock_release(&s->lock);
    return many ? qcow2_flush_all(s) : 0;
}

int qcow2_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    struct qcow2 *s = n->s;
    u64 done = 0;

    for (u64 skip = 0; skip < len; skip += done) {
        int e = write_some(s, off + skip, iov, n_iov, skip, len - skip, &done);
        if (e < 0)
            return e;
    }
    return check_pending(s);
}

int qcow2_preallocate(struct blk_node *n, u64 off, u64 len)
{
    struct qcow2 *s = n->s;
    int e = 0;

    lock_acquire(&s->lock);
    for (u64 end = off + len; off < end && !e;) {
        struct qcow2_run r;
        struct alloc a;
        e = qcow2_lookup(s, off, end - off, &r);
        if (!e && r.kind == Q_NORMAL && r.copied) {
            off += r.len;
            continue;
        }
        if (!e)
            e = alloc_begin(s, off, end - off, &a);
        if (!e && !a.fresh)
            e = node_zero(s->n->file, a.host, a.end - a.start, 0);
        if (!e)
            e = alloc_end(s, &a, 0);
        off = e ? off : a.end;
    }
    lock_release(&s->lock);
    return e;
}

/* -- zeros and discards ------------------------------------------------------------------------------------------------ */

/* The entry that makes a whole cluster zero (or, for a discard, forgotten). */
static u64 empty_entry(const struct qcow2 *s, u64 old, bool unmap, bool discard)
{
    if (s->h.version < 3 || (discard && !s->n->backing))
        return 0;
    if (!unmap && (old & OFLAG_COPIED) && (qcow2_kind_of(s, old) == Q_NORMAL || qcow2_kind_of(s, old) == Q_ZERO_ALLOC))
        return old | OFLAG_ZERO;
    return OFLAG_ZERO;
}

/* Whole clusters. */
static int empty_clusters(struct qcow2 *s, u64 off, u64 len, bool unmap, bool discard)
{
    int e = 0;

    lock_acquire(&s->lock);
    wait_allocating(s, off, len);
    for (u64 end = off + len; off < end && !e;) {
        struct qcow2_table *t;
        struct qcow2_run r = { 0 };
        e = qcow2_lookup(s, off, end - off, &r);
        bool nothing = r.kind == Q_UNALLOCATED && (!s->n->backing || discard);
        if (e || nothing || r.kind == Q_ZERO) {
            off += e ? 0 : r.len;
            continue;
        }
        e = qcow2_l2_for_write(s, off, &t);
        for (u64 stop = off + r.len; !e && off < stop; off += s->cluster_size) {
            u64 old = qcow2_l2_get(s, t, off), new = empty_entry(s, old, unmap, discard);
            if (new == old)
                continue;
            qcow2_l2_set(s, t, off, new);
            if (!(new & L2E_OFFSET))
                qcow2_free_entry(s, old);
        }
    }
    lock_release(&s->lock);
    return e;
}

static int zero_part(struct blk_node *n, u64 off, u64 len)
{
    struct blk_extent x;
    int e = qcow2_status(n, off, len, &x);

    if (!e && x.zero && x.len >= len)
        return 0;
    u8 *zeros = g_malloc0(len);
    struct iovec v = { zeros, len };
    e = qcow2_write(n, off, &v, 1, len);
    g_free(zeros);
    return e;
}

/* Version 2 has no zero clusters; without a backing file nothing at all reads as zeros, too. */
int qcow2_zero(struct blk_node *n, u64 off, u64 len, unsigned flags)
{
    struct qcow2 *s = n->s;
    u64 first = ALIGN_UP(off, s->cluster_size), last = ALIGN_DOWN(off + len, s->cluster_size);
    int e = 0;

    if (off + len >= node_size(n)) /* the image's last cluster counts as whole */
        last = ALIGN_UP(off + len, s->cluster_size);
    if (s->h.version < 3 && n->backing)
        return -ENOTSUP;
    if (first >= last)
        return zero_part(n, off, len);
    if (first > off)
        e = zero_part(n, off, first - off);
    if (!e)
        e = empty_clusters(s, first, last - first, flags & BLK_MAY_UNMAP, false);
    if (!e && last < off + len)
        e = zero_part(n, last, off + len - last);
    return e ? e : check_pending(s);
}

int qcow2_discard(struct blk_node *n, u64 off, u64 len)
{
    struct qcow2 *s = n->s;
    u64 first = ALIGN_UP(off, s->cluster_size), last = ALIGN_DOWN(off + len, s->cluster_size);

    if (off + len >= node_size(n))
        last = ALIGN_UP(off + len, s->cluster_size);
    if (first >= last || (s->h.version < 3 && n->backing))
        return 0;
    int e = empty_clusters(s, first, last - first, true, true);
    return e ? e : check_pending(s);
}

int qcow2_make_empty(struct blk_node *n)
{
    struct qcow2 *s = n->s;
    int e = 0;

    lock_acquire(&s->lock);
    for (u32 i = 0; i < s->h.l1_size && !e; i++) {
        u64 l2 = s->l1[i] & L1E_OFFSET;
        struct qcow2_table *t;
        if (!l2)
            continue;
        bool own = s->l1[i] & OFLAG_COPIED; /* else a snapshot has it, too, and what is in it */
        e = qcow2_cache_get(s, &s->l2c, l2, &t);
        for (u64 k = 0; !e && own && k < 1ull << s->l2_bits; k++)
            qcow2_free_entry(s, be64_at(t->data + 8 * k));
        if (e < 0)
            break;
        s->l1[i] = 0;
        s->l1_lo = MIN_OF(s->l1_lo, i);
        s->l1_hi = MAX_OF(s->l1_hi, i + 1);
        qcow2_meta_del(s, l2, s->cluster_size);
        qcow2_free_later(s, l2, s->cluster_size);
    }
    lock_release(&s->lock);
    return e ? e : qcow2_flush_all(s);
}

/* -- where things are -------------------------------------------------------------------------------------------------- */

int qcow2_map(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out)
{
    struct qcow2 *s = n->s;
    struct qcow2_run r;
    int e;

    if (!lock_try(&s->lock))
        return -EAGAIN;
    e = qcow2_lookup_cached(s, off, len, &r);
    if (!e && (r.len < len || r.kind == Q_COMPRESSED))
        e = -EAGAIN;
    if (!e && write && (r.kind != Q_NORMAL || !r.copied || qcow2_check_data(s, r.host, r.len) < 0))
        e = -EAGAIN;
    unsigned cookie = e ? 0 : qcow2_gate_enter(&s->gate);
    lock_release(&s->lock);
    if (e)
        return -EAGAIN;
    if (r.kind == Q_NORMAL && node_map(n->file, r.host, len, write, out) == 0 && !out->user) {
        out->user = n;
        out->cookie = cookie;
        return 0;
    }
    qcow2_gate_leave(&s->gate, cookie);
    if (r.kind == Q_NORMAL)
        return -EAGAIN;
    if (r.kind == Q_UNALLOCATED && n->backing)
        return node_map(n->backing, off, len, false, out);
    *out = (struct blk_map){ 0 };
    return 0;
}

void qcow2_unmap(struct blk_node *n, unsigned cookie)
{
    qcow2_gate_leave(&((struct qcow2 *)n->s)->gate, cookie);
}

int qcow2_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x)
{
    struct qcow2 *s = n->s;
    struct qcow2_run r = { 0 };
    u64 total = 0;

    *x = (struct blk_extent){ 0 };
    lock_acquire(&s->lock);
    while (total < len) { /* neighbours in other L2 tables may go on like these */
        int e = qcow2_lookup(s, off + total, len - total, &r);
        struct blk_extent y = { .allocated = r.kind != Q_UNALLOCATED, .zero = r.kind == Q_ZERO || r.kind == Q_ZERO_ALLOC,
                                .data = r.kind == Q_NORMAL || r.kind == Q_COMPRESSED, .compressed = r.kind == Q_COMPRESSED,
                                .has_offset = r.kind == Q_NORMAL || r.kind == Q_ZERO_ALLOC };
        if (e < 0) {
            lock_release(&s->lock);
            return e;
        }
        y.offset = y.has_offset ? r.host : 0;
        if (r.kind == Q_UNALLOCATED && !n->backing)
            y.zero = true;
        if (total && (y.allocated != x->allocated || y.zero != x->zero || y.data != x->data || y.compressed != x->compressed ||
                      y.has_offset != x->has_offset || (y.has_offset && y.offset != x->offset + total)))
            break;
        if (!total)
            *x = y;
        total += r.len;
    }
    lock_release(&s->lock);
    x->len = total;
    return 0;
}
