/* qcow2: from guest offsets to L2 entries. Worker threads, tools and, for what is cached, those who submit requests; the image's lock is
 * held. */
#include "hw/backend/qcow2.h"

enum qcow2_kind qcow2_kind_of(const struct qcow2 *s, u64 entry)
{
    if (entry & OFLAG_COMPRESSED)
        return Q_COMPRESSED;
    if ((entry & OFLAG_ZERO) && s->h.version >= 3)
        return entry & L2E_OFFSET ? Q_ZERO_ALLOC : Q_ZERO;
    return entry & L2E_OFFSET ? Q_NORMAL : Q_UNALLOCATED;
}

void qcow2_compressed_range(const struct qcow2 *s, u64 entry, u64 *off, u64 *len)
{
    unsigned x = 62 - (s->h.cluster_bits - 8);

    *off = entry & MASK64(x);
    *len = (((entry >> x) & MASK64(s->h.cluster_bits - 8)) + 1) * 512 - (*off & 511);
}

static u64 l1_index(const struct qcow2 *s, u64 off)
{
    return off >> (s->h.cluster_bits + s->l2_bits);
}

static u64 l2_index(const struct qcow2 *s, u64 off)
{
    return (off >> s->h.cluster_bits) & MASK64(s->l2_bits);
}

u64 qcow2_l2_get(const struct qcow2 *s, const struct qcow2_table *t, u64 off)
{
    return be64_at(t->data + 8 * l2_index(s, off));
}

void qcow2_l2_set(struct qcow2 *s, struct qcow2_table *t, u64 off, u64 entry)
{
    u32 at = 8 * l2_index(s, off);

    put_be64(t->data + at, entry);
    qcow2_table_dirty(&s->l2c, t, at, at + 8);
}

/* How far entries go on like the first. */
static int run_in_table(struct qcow2 *s, const struct qcow2_table *t, u64 off, u64 len, struct qcow2_run *r)
{
    u64 in = in_cluster(s, off), entry = qcow2_l2_get(s, t, off), next = ALIGN_DOWN(off, s->cluster_size);
    u64 end = MIN_OF(off + len, ALIGN_DOWN(off, s->cluster_size << s->l2_bits) + (s->cluster_size << s->l2_bits));

    r->entry = entry;
    r->kind = qcow2_kind_of(s, entry);
    r->host = (entry & L2E_OFFSET) + in;
    r->copied = entry & OFLAG_COPIED;
    if ((r->kind == Q_NORMAL || r->kind == Q_ZERO_ALLOC) && in_cluster(s, entry & L2E_OFFSET))
        return qcow2_corrupt(s, "the cluster of guest offset 0x%llx is at 0x%llx, which is not aligned", (unsigned long long)off,
                             (unsigned long long)(entry & L2E_OFFSET));
    for (next += s->cluster_size; next < end && r->kind != Q_COMPRESSED; next += s->cluster_size) {
        u64 e = qcow2_l2_get(s, t, next);
        if (qcow2_kind_of(s, e) != r->kind || !!(e & OFLAG_COPIED) != r->copied)
            break;
        if ((r->kind == Q_NORMAL || r->kind == Q_ZERO_ALLOC) && (e & L2E_OFFSET) != r->host + (next - off))
            break;
    }
    r->len = MIN_OF(next, end) - off;
    return 0;
}

static void run_unallocated(struct qcow2 *s, u64 off, u64 len, struct qcow2_run *r)
{
    u64 span = s->cluster_size << s->l2_bits;

    *r = (struct qcow2_run){ .kind = Q_UNALLOCATED, .len = MIN_OF(len, span - (off & (span - 1))) };
}

int qcow2_lookup(struct qcow2 *s, u64 off, u64 len, struct qcow2_run *r)
{
    u64 i = l1_index(s, off), l2 = i < s->h.l1_size ? s->l1[i] & L1E_OFFSET : 0;
    struct qcow2_table *t;
    int e;

    if (!l2) {
        run_unallocated(s, off, len, r);
        return 0;
    }
    e = qcow2_cache_get(s, &s->l2c, l2, &t);
    return e < 0 ? e : run_in_table(s, t, off, len, r);
}

int qcow2_lookup_cached(struct qcow2 *s, u64 off, u64 len, struct qcow2_run *r)
{
    u64 i = l1_index(s, off), l2 = i < s->h.l1_size ? s->l1[i] & L1E_OFFSET : 0;
    struct qcow2_table *t;

    if (!l2) {
        run_unallocated(s, off, len, r);
        return 0;
    }
    t = qcow2_cache_peek(&s->l2c, l2);
    return t ? run_in_table(s, t, off, len, r) : -EAGAIN;
}

/* A table of our own: new, or a copy of the one that a snapshot has, too. It is on the disk before L1 refers to it. */
static int l2_make(struct qcow2 *s, u64 i, struct qcow2_table **out)
{
    u64 old = s->l1[i] & L1E_OFFSET, off, got;
    struct qcow2_table *t;
    u8 *copy = NULL;
    int r = 0;

    if (old) {
        r = qcow2_cache_get(s, &s->l2c, old, &t);
        copy = r < 0 ? NULL : g_memdup2(t->data, s->cluster_size);
    }
    if (!r)
        r = qcow2_alloc(s, 1, 1, &off, &got);
    if (!r)
        r = qcow2_cache_new(s, &s->l2c, off, &t);
    if (!r) {
        if (copy)
            memcpy(t->data, copy, s->cluster_size);
        s->file_end = MAX_OF(s->file_end, off + s->cluster_size);
        r = node_write(s->n->file, off, t->data, s->cluster_size);
    }
    g_free(copy);
    if (r < 0)
        return r;
    s->l1[i] = off | OFLAG_COPIED;
    s->l1_lo = MIN_OF(s->l1_lo, i);
    s->l1_hi = MAX_OF(s->l1_hi, i + 1);
    if (old) {
        qcow2_meta_del(s, old, s->cluster_size);
        qcow2_free_later(s, old, s->cluster_size);
    }
    qcow2_meta_add(s, off, s->cluster_size);
    *out = t;
    return 0;
}

int qcow2_l2_for_write(struct qcow2 *s, u64 off, struct qcow2_table **t)
{
    u64 i = l1_index(s, off);

    if (s->broken)
        return -EIO;
    if (i >= s->h.l1_size)
        return -EIO;
    if ((s->l1[i] & OFLAG_COPIED) && (s->l1[i] & L1E_OFFSET))
        return qcow2_cache_get(s, &s->l2c, s->l1[i] & L1E_OFFSET, t);
    return l2_make(s, i, t);
}
