/* qcow2: reference counts of host clusters, allocation, and growth of the refcount structure. Worker threads and tools; the image's lock is
 * held. */
#include "hw/backend/qcow2.h"

/* -- single counts ---------------------------------------------------------------------------------------------------- */

static u64 count_at(const struct qcow2 *s, const u8 *block, u64 i)
{
    switch (s->h.refcount_order) {
    case 0: case 1: case 2: {
        unsigned bits = 1u << s->h.refcount_order, per = 8 / bits;
        return (block[i / per] >> (i % per * bits)) & ((1u << bits) - 1);
    }
    case 3: return block[i];
    case 4: return be16_at(block + 2 * i);
    case 5: return be32_at(block + 4 * i);
    default: return be64_at(block + 8 * i);
    }
}

static void count_set(const struct qcow2 *s, u8 *block, u64 i, u64 v)
{
    switch (s->h.refcount_order) {
    case 0: case 1: case 2: {
        unsigned bits = 1u << s->h.refcount_order, per = 8 / bits, sh = i % per * bits;
        block[i / per] = (block[i / per] & ~(((1u << bits) - 1) << sh)) | v << sh;
        break;
    }
    case 3: block[i] = v; break;
    case 4: put_be16(block + 2 * i, v); break;
    case 5: put_be32(block + 4 * i, v); break;
    default: put_be64(block + 8 * i, v); break;
    }
}

static u64 rb_entries(const struct qcow2 *s)
{
    return 1ull << s->rb_bits;
}

/* The refcount block of a cluster; *t is NULL if there is none (all its counts are 0). */
static int block_of(struct qcow2 *s, u64 cluster, struct qcow2_table **t)
{
    u64 i = cluster >> s->rb_bits, off;

    *t = NULL;
    if (i >= s->rt_size || !(off = s->rt[i] & REFT_OFFSET))
        return 0;
    return qcow2_cache_get(s, &s->rbc, off, t);
}

int qcow2_refcount_get(struct qcow2 *s, u64 cluster, u64 *out)
{
    struct qcow2_table *t;
    int r = block_of(s, cluster, &t);

    *out = !r && t ? count_at(s, t->data, cluster & (rb_entries(s) - 1)) : 0;
    return r;
}

static void store_count(struct qcow2 *s, struct qcow2_table *t, u64 i, u64 v)
{
    u32 byte = (i << s->h.refcount_order) / 8, len = MAX_OF(1u << s->h.refcount_order, 8u) / 8;

    count_set(s, t->data, i, v);
    qcow2_table_dirty(&s->rbc, t, byte, byte + len);
}

int qcow2_refcount_set(struct qcow2 *s, u64 cluster, u64 count)
{
    struct qcow2_table *t;
    int r = block_of(s, cluster, &t);

    if (!r && (!t || count > s->refcount_max))
        return t ? -EINVAL : -ENOENT;
    if (!r)
        store_count(s, t, cluster & (rb_entries(s) - 1), count);
    if (!r && !count)
        s->free_hint = MIN_OF(s->free_hint, cluster);
    return r;
}

/* -- growth ----------------------------------------------------------------------------------------------------------- */

static int write_rt_entry(struct qcow2 *s, u64 i)
{
    u8 e[8];

    put_be64(e, s->rt[i]);
    return node_write(s->n->file, s->h.refcount_table_offset + 8 * i, e, 8);
}

/* A new block for part i, in the part's own first cluster, which is free because all of them are. */
static int add_block(struct qcow2 *s, u64 i)
{
    u64 off = i << s->rb_bits << s->h.cluster_bits;
    struct qcow2_table *t;
    int r = qcow2_check_data(s, off, s->cluster_size); /* a damaged image may have metadata there, the header at the least */

    if (!r)
        r = qcow2_cache_new(s, &s->rbc, off, &t);
    if (r < 0)
        return r;
    count_set(s, t->data, 0, 1);
    r = node_write(s->n->file, off, t->data, s->cluster_size);
    if (!r)
        r = node_flush(s->n->file);
    if (!r) {
        s->rt[i] = off;
        r = write_rt_entry(s, i);
    }
    if (r < 0) {
        s->rt[i] = 0;
        qcow2_cache_forget(&s->rbc, off);
        return r;
    }
    qcow2_meta_add(s, off, s->cluster_size);
    s->file_end = MAX_OF(s->file_end, off + s->cluster_size);
    return 0;
}

/* Writes `blocks` refcount blocks for the clusters from `first` on, of which the first `used` have the count 1. */
static int write_new_blocks(struct qcow2 *s, u64 first, u64 blocks, u64 used)
{
    u8 *b = g_malloc(s->cluster_size);
    int r = 0;

    for (u64 i = 0; i < blocks && !r; i++) {
        memset(b, 0, s->cluster_size);
        for (u64 k = 0; k < rb_entries(s) && i * rb_entries(s) + k < used; k++)
            count_set(s, b, k, 1);
        r = node_write(s->n->file, (first + i) << s->h.cluster_bits, b, s->cluster_size);
    }
    g_free(b);
    return r;
}

/* A larger refcount table in front of part i, with the blocks that its own clusters need. */
static int grow_table(struct qcow2 *s, u64 i)
{
    u64 per = s->cluster_size / 8, first = i << s->rb_bits, blocks = 1, clusters, entries, need;
    u64 old_off = s->h.refcount_table_offset, old_clusters = s->h.refcount_table_clusters;

    do {
        need = MAX_OF(i + blocks + 1, s->rt_size + s->rt_size / 2);
        clusters = (need + per - 1) / per;
        need = (blocks + clusters + rb_entries(s) - 1) >> s->rb_bits;
    } while (need > blocks && (blocks = need));
    entries = clusters * per;
    if (entries * 8 > MAX_REFT)
        return -EFBIG;
    if (qcow2_check_data(s, first << s->h.cluster_bits, (blocks + clusters) << s->h.cluster_bits) < 0)
        return -EIO;
    u64 *rt = g_new0(u64, entries), off = (first + blocks) << s->h.cluster_bits;
    u8 *raw = g_malloc(entries * 8);
    memcpy(rt, s->rt, 8ull * s->rt_size);
    for (u64 k = 0; k < blocks; k++)
        rt[i + k] = (first + k) << s->h.cluster_bits;
    for (u64 k = 0; k < entries; k++)
        put_be64(raw + 8 * k, rt[k]);
    int r = write_new_blocks(s, first, blocks, blocks + clusters);
    if (!r)
        r = node_write(s->n->file, off, raw, entries * 8);
    if (!r)
        r = node_flush(s->n->file);
    g_free(raw);
    if (r < 0) {
        g_free(rt);
        return r;
    }
    s->h.refcount_table_offset = off;
    s->h.refcount_table_clusters = clusters;
    r = qcow2_write_header(s);
    if (!r)
        r = node_flush(s->n->file);
    if (r < 0) { /* nobody knows which one the disk has: touch nothing any more */
        s->broken = true;
        g_free(rt);
        return r;
    }
    g_free(s->rt);
    s->rt = rt;
    s->rt_size = entries;
    qcow2_meta_del(s, old_off, old_clusters << s->h.cluster_bits);
    qcow2_meta_add(s, first << s->h.cluster_bits, (blocks + clusters) << s->h.cluster_bits);
    s->file_end = MAX_OF(s->file_end, off + (clusters << s->h.cluster_bits));
    return qcow2_refcount_add(s, old_off, old_clusters << s->h.cluster_bits, -1);
}

/* True if the refcount structure had to change, so that what was known about free clusters is out of date. */
static int ensure_block(struct qcow2 *s, u64 cluster, bool *changed)
{
    u64 i = cluster >> s->rb_bits;

    if (i < s->rt_size && (s->rt[i] & REFT_OFFSET))
        return 0;
    *changed = true;
    return i < s->rt_size ? add_block(s, i) : grow_table(s, i);
}

/* -- changing counts -------------------------------------------------------------------------------------------------- */

static int add_one(struct qcow2 *s, u64 cluster, i64 add)
{
    struct qcow2_table *t;
    u64 i = cluster & (rb_entries(s) - 1), v;
    int r = block_of(s, cluster, &t);

    if (r < 0)
        return r;
    v = t ? count_at(s, t->data, i) : 0;
    if (add < 0 && v < (u64)-add)
        return qcow2_corrupt(s, "the reference count of cluster %llu is too low", (unsigned long long)cluster);
    if (add > 0 && v + (u64)add > s->refcount_max)
        return -EINVAL;
    if (!t)
        return add > 0 ? -EIO : 0;
    v += add;
    store_count(s, t, i, v);
    if (!v) {
        s->free_hint = MIN_OF(s->free_hint, cluster);
        if (cluster == s->comp_off >> s->h.cluster_bits)
            s->comp_off = 0;
        qcow2_cache_forget(&s->l2c, cluster << s->h.cluster_bits);
        node_discard(s->n->file, cluster << s->h.cluster_bits, s->cluster_size);
    }
    return 0;
}

int qcow2_refcount_add(struct qcow2 *s, u64 off, u64 len, i64 add)
{
    u64 first = off >> s->h.cluster_bits, last = (off + len - 1) >> s->h.cluster_bits;
    int r = len ? qcow2_mark_dirty(s) : 0;

    for (u64 c = first; len && c <= last && !r; c++)
        r = add_one(s, c, add);
    return r;
}

void qcow2_free_later(struct qcow2 *s, u64 off, u64 len)
{
    struct qcow2_range g = { off, len };

    if (s->pending->len) {
        struct qcow2_range *last = &g_array_index(s->pending, struct qcow2_range, s->pending->len - 1);
        if (last->off + last->len == off && !(off & (s->cluster_size - 1))) {
            last->len += len;
            return;
        }
    }
    g_array_append_val(s->pending, g);
}

void qcow2_free_entry(struct qcow2 *s, u64 entry)
{
    u64 off, len;

    switch (qcow2_kind_of(s, entry)) {
    case Q_NORMAL: case Q_ZERO_ALLOC:
        qcow2_free_later(s, entry & L2E_OFFSET, s->cluster_size);
        break;
    case Q_COMPRESSED:
        qcow2_compressed_range(s, entry, &off, &len);
        qcow2_free_later(s, off, len);
        break;
    case Q_UNALLOCATED: case Q_ZERO:
        break;
    }
}

/* -- allocation ------------------------------------------------------------------------------------------------------- */

/* The first run of free clusters from `from` on: of n, or at least min if something is in the way. */
static int find_free(struct qcow2 *s, u64 from, u64 n, u64 min, u64 *at, u64 *got)
{
    u64 run = 0, c = from;
    /* Nothing can be in use far beyond the end of the file, whatever a damaged image says. */
    u64 limit = MAX_OF(from, MAX_OF(s->file_end, node_size(s->n->file)) >> s->h.cluster_bits) + 4 * rb_entries(s) + 65536 + n;

    for (;; c++) {
        u64 v;
        int r = qcow2_refcount_get(s, c, &v);
        if (r < 0)
            return r;
        if (c >> (63 - s->h.cluster_bits) || c > limit)
            return -EFBIG;
        if (!v && ++run < n)
            continue;
        if (v && run < min) {
            run = 0;
            continue;
        }
        *at = v ? c - run : c + 1 - run;
        *got = run;
        return 0;
    }
}

int qcow2_alloc(struct qcow2 *s, u64 n, u64 min, u64 *off, u64 *got)
{
    u64 from = s->free_hint, at;
    int r = s->broken ? -EIO : qcow2_mark_dirty(s);
    bool changed;

    do {
        if (r < 0)
            return r;
        changed = false;
        r = find_free(s, from, n, min, &at, got);
        for (u64 c = at >> s->rb_bits; !r && !changed && c <= (at + *got - 1) >> s->rb_bits; c++)
            r = ensure_block(s, c << s->rb_bits, &changed);
    } while (changed || r < 0);
    if (at == from || min == 1)
        s->free_hint = at + *got;
    r = qcow2_refcount_add(s, at << s->h.cluster_bits, *got << s->h.cluster_bits, 1);
    *off = at << s->h.cluster_bits;
    if (!r && (r = qcow2_check_data(s, *off, *got << s->h.cluster_bits)) < 0)
        qcow2_corrupt(s, "a free cluster at 0x%llx holds metadata", (unsigned long long)*off);
    return r;
}

/* -- repair ----------------------------------------------------------------------------------------------------------- */

int qcow2_rebuild_refcounts(struct qcow2 *s, u64 clusters, u64 (*fn)(void *opaque, u64 cluster), void *opaque)
{
    /* Behind everything: blocks for all clusters and themselves, then the table. */
    u64 per = s->cluster_size / 8, blocks = 1, table = 1, total, old;
    do {
        old = blocks + table;
        total = clusters + blocks + table;
        blocks = (total + rb_entries(s) - 1) >> s->rb_bits;
        table = (blocks + per - 1) / per;
    } while (blocks + table != old);
    if (table * s->cluster_size > MAX_REFT)
        return -EFBIG;
    u8 *b = g_malloc(s->cluster_size), *raw = g_malloc0(table * s->cluster_size);
    int r = 0;
    for (u64 i = 0; i < blocks && !r; i++) {
        memset(b, 0, s->cluster_size);
        for (u64 k = 0; k < rb_entries(s); k++) {
            u64 c = i * rb_entries(s) + k;
            count_set(s, b, k, c < clusters ? MIN_OF(fn(opaque, c), s->refcount_max) : c < total);
        }
        put_be64(raw + 8 * i, (clusters + i) << s->h.cluster_bits);
        r = node_write(s->n->file, (clusters + i) << s->h.cluster_bits, b, s->cluster_size);
    }
    u64 off = (clusters + blocks) << s->h.cluster_bits;
    if (!r)
        r = node_write(s->n->file, off, raw, table * s->cluster_size);
    if (!r)
        r = node_flush(s->n->file);
    if (!r) {
        s->h.refcount_table_offset = off;
        s->h.refcount_table_clusters = table;
        r = qcow2_write_header(s);
    }
    if (!r)
        r = node_flush(s->n->file);
    if (!r) {
        g_free(s->rt);
        s->rt_size = table * per;
        s->rt = g_new0(u64, s->rt_size);
        for (u32 i = 0; i < s->rt_size; i++)
            s->rt[i] = be64_at(raw + 8 * i);
        qcow2_cache_drop(&s->rbc);
        s->free_hint = 0;
        s->file_end = MAX_OF(s->file_end, total << s->h.cluster_bits);
        qcow2_meta_add(s, clusters << s->h.cluster_bits, (blocks + table) << s->h.cluster_bits);
    }
    g_free(raw);
    g_free(b);
    return r;
}
