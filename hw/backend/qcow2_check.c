/* qcow2: counts all references of an image, compares them with the stored counts, and mends what differs. Main thread or a tool, no request
 * in flight. */
#include <stdarg.h>
#include "hw/backend/qcow2.h"
#include "hw/backend/qcow2_check.h"

#define PART 65536 /* counts in one piece of the sparse array */

struct counts {
    GHashTable *parts; /* number -> u32[PART] */
    u64 end;           /* one more than the highest cluster with a reference */
};

struct checker {
    struct qcow2 *s;
    struct qcow2_check *c;
    struct counts refs;
    u64 limit;         /* clusters of the file */
    unsigned fix;
    bool bad_table;    /* stored counts cannot be mended one by one */
    u64 next_host;     /* for fragmentation */
};

static void report(struct checker *k, const char *fmt, ...) PRINTF(2, 3);
static void report(struct checker *k, const char *fmt, ...)
{
    va_list ap;

    if (!k->c->out)
        return;
    va_start(ap, fmt);
    vfprintf(k->c->out, fmt, ap);
    va_end(ap);
}

/* -- counted references ----------------------------------------------------------------------------------------------- */

static u32 *count_slot(struct counts *n, u64 cluster, bool make)
{
    u64 part = cluster / PART;
    u32 *p = g_hash_table_lookup(n->parts, &part);

    if (!p && make) {
        p = g_new0(u32, PART);
        g_hash_table_insert(n->parts, g_memdup2(&part, sizeof(part)), p);
    }
    return p ? &p[cluster % PART] : NULL;
}

static u64 count_of(void *opaque, u64 cluster)
{
    u32 *p = count_slot(opaque, cluster, false);

    return p ? *p : 0;
}

static void refer(struct checker *k, u64 off, u64 len)
{
    struct qcow2 *s = k->s;

    if (!len)
        return;
    if (off + len < off || (off >> s->h.cluster_bits) >= k->limit) {
        report(k, "ERROR: counting reference for region exceeding the end of the file by one cluster or more: offset 0x%llx size 0x%llx\n",
               (unsigned long long)off, (unsigned long long)len);
        k->c->corruptions++;
        return;
    }
    for (u64 c = off >> s->h.cluster_bits; c <= (off + len - 1) >> s->h.cluster_bits; c++) {
        u32 *p = count_slot(&k->refs, c, true);
        if (*p < UINT32_MAX)
            ++*p;
        k->refs.end = MAX_OF(k->refs.end, c + 1);
    }
}

/* -- walking ---------------------------------------------------------------------------------------------------------- */

static void check_entry(struct checker *k, u64 entry, bool active)
{
    struct qcow2 *s = k->s;
    u64 off, len;

    switch (qcow2_kind_of(s, entry)) {
    case Q_COMPRESSED:
        if (entry & OFLAG_COPIED) {
            report(k, "ERROR: coffset=0x%llx: copied flag must never be set for compressed clusters\n", (unsigned long long)entry & MASK64(54));
            k->c->corruptions++;
        }
        qcow2_compressed_range(s, entry, &off, &len);
        refer(k, off, len);
        k->c->compressed_clusters += active;
        k->c->allocated_clusters += active;
        k->c->fragmented_clusters += active;
        break;
    case Q_NORMAL: case Q_ZERO_ALLOC:
        off = entry & L2E_OFFSET;
        if (in_cluster(s, off)) {
            report(k, "ERROR offset=%llx: Cluster is not properly aligned; L2 entry corrupted.\n", (unsigned long long)off);
            k->c->corruptions++;
        } else {
            refer(k, off, s->cluster_size);
        }
        if (active && qcow2_kind_of(s, entry) == Q_NORMAL) {
            k->c->allocated_clusters++;
            if (k->next_host && k->next_host != off)
                k->c->fragmented_clusters++;
            k->next_host = off + s->cluster_size;
        }
        break;
    case Q_ZERO: case Q_UNALLOCATED:
        break;
    }
}

static int check_l1(struct checker *k, u64 l1_off, const u64 *l1, u32 entries, bool active)
{
    struct qcow2 *s = k->s;
    u8 *t = g_malloc(s->cluster_size);
    int r = 0;

    refer(k, l1_off, 8ull * entries);
    for (u32 i = 0; i < entries && !r; i++) {
        u64 off = l1[i] & L1E_OFFSET;
        if (!off)
            continue;
        refer(k, off, s->cluster_size);
        if (in_cluster(s, off)) {
            report(k, "ERROR l2_offset=%llx: Table is not cluster aligned; L1 entry corrupted\n", (unsigned long long)off);
            k->c->corruptions++;
            continue;
        }
        if (off >> s->h.cluster_bits >= k->limit)
            continue;
        r = node_read(s->n->file, off, t, s->cluster_size);
        k->next_host = 0;
        for (u64 e = 0; !r && e < 1ull << s->l2_bits; e++)
            check_entry(k, be64_at(t + 8 * e), active);
    }
    g_free(t);
    return r;
}

static int check_snapshots(struct checker *k)
{
    struct qcow2 *s = k->s;
    int r = 0;

    for (unsigned i = 0; i < s->snapshots->len && !r; i++) {
        const struct qcow2_snapshot *sn = &g_array_index(s->snapshots, struct qcow2_snapshot, i);
        u64 *l1;
        r = qcow2_load_l1(s, sn->l1_table_offset, sn->l1_size, &l1);
        if (!r) {
            r = check_l1(k, sn->l1_table_offset, l1, sn->l1_size, false);
            g_free(l1);
        }
    }
    return r;
}

static void check_refcount_table(struct checker *k)
{
    struct qcow2 *s = k->s;

    refer(k, s->h.refcount_table_offset, 8ull * s->rt_size);
    for (u32 i = 0; i < s->rt_size; i++) {
        u64 off = s->rt[i] & REFT_OFFSET;
        if (!off)
            continue;
        if (in_cluster(s, off) || off >> s->h.cluster_bits >= k->limit) {
            report(k, "ERROR refcount block %u is %s\n", i, in_cluster(s, off) ? "not cluster aligned; refcount table entry corrupted" : "outside image");
            k->c->corruptions++;
            k->bad_table = true;
            s->rt[i] = 0;
            continue;
        }
        refer(k, off, s->cluster_size);
        if (count_of(&k->refs, off >> s->h.cluster_bits) > 1) {
            report(k, "ERROR refcount block %u refcount=%llu\n", i, (unsigned long long)count_of(&k->refs, off >> s->h.cluster_bits));
            k->c->corruptions++;
            k->bad_table = true;
        }
    }
}

/* Other users of clusters that we know the place of only from header extensions are left to their leak report. */
static int count_all(struct checker *k)
{
    struct qcow2 *s = k->s;
    int r;

    refer(k, 0, s->cluster_size);
    r = check_l1(k, s->h.l1_table_offset, s->l1, s->h.l1_size, true);
    if (!r)
        r = check_snapshots(k);
    refer(k, s->h.snapshots_offset, qcow2_snapshot_table_size(s));
    check_refcount_table(k);
    return r;
}

/* -- comparing and mending -------------------------------------------------------------------------------------------- */

static void compare_one(struct checker *k, u64 cluster)
{
    struct qcow2 *s = k->s;
    u64 want = count_of(&k->refs, cluster), have = 0;
    bool leak, mend;
    int r = qcow2_refcount_get(s, cluster, &have);

    if (r < 0) {
        k->c->check_errors++;
        return;
    }
    if (have == want)
        return;
    leak = have > want;
    mend = !k->bad_table && (k->fix & (leak ? QCOW2_FIX_LEAKS : QCOW2_FIX_ERRORS));
    report(k, "%s cluster %llu refcount=%llu reference=%llu\n", mend ? "Repairing" : leak ? "Leaked" : "ERROR", (unsigned long long)cluster,
           (unsigned long long)have, (unsigned long long)want);
    *(leak ? &k->c->leaks : &k->c->corruptions) += 1;
    if (!mend)
        return;
    if (qcow2_refcount_set(s, cluster, want) == 0)
        *(leak ? &k->c->leaks_fixed : &k->c->corruptions_fixed) += 1;
    else
        k->bad_table = true;
}

static void compare(struct checker *k)
{
    struct qcow2 *s = k->s;
    u64 end = MAX_OF(k->limit, k->refs.end);

    for (u64 c = 0; c < end; c++) {
        u64 i = c >> s->rb_bits;
        /* A part without a block has no counts; nor has it references, mostly. */
        if ((i >= s->rt_size || !(s->rt[i] & REFT_OFFSET)) && !count_slot(&k->refs, c, false)) {
            c = MIN_OF((i + 1) << s->rb_bits, (c / PART + 1) * PART) - 1;
            continue;
        }
        compare_one(k, c);
    }
}

/* COPIED says that the count is exactly 1. */
static int check_copied(struct checker *k)
{
    struct qcow2 *s = k->s;
    u64 wrong = 0, mended = 0;
    int r = qcow2_update_copied(s, k->fix & QCOW2_FIX_ERRORS, k->c->out, &wrong, &mended);

    k->c->corruptions += wrong;
    k->c->corruptions_fixed += mended;
    return r;
}

static int mend_all(struct checker *k)
{
    struct qcow2 *s = k->s;
    u64 bad = k->c->corruptions - k->c->corruptions_fixed;
    int r;

    report(k, "Rebuilding refcount structure\n");
    for (u32 i = 0; i < s->rt_size; i++) /* the old structure's clusters are free afterwards */
        if (s->rt[i] & REFT_OFFSET) {
            u32 *p = count_slot(&k->refs, (s->rt[i] & REFT_OFFSET) >> s->h.cluster_bits, false);
            if (p && *p)
                --*p;
        }
    for (u64 c = 0; c < s->h.refcount_table_clusters; c++) {
        u32 *p = count_slot(&k->refs, (s->h.refcount_table_offset >> s->h.cluster_bits) + c, false);
        if (p && *p)
            --*p;
    }
    r = qcow2_rebuild_refcounts(s, MAX_OF(k->limit, k->refs.end), count_of, &k->refs);
    if (!r)
        k->c->corruptions_fixed += bad;
    return r;
}

static int finish(struct checker *k)
{
    struct qcow2 *s = k->s;
    int r = 0;

    if ((k->fix & QCOW2_FIX_ERRORS) && k->bad_table)
        r = mend_all(k);
    if (!r)
        r = check_copied(k);
    if (r || !k->fix)
        return r;
    s->broken = false;
    bool lazy = s->lazy;
    s->lazy = false;
    r = qcow2_sync(s);
    s->lazy = lazy;
    if (!r)
        r = node_flush(s->n->file);
    if (!r && k->c->corruptions <= k->c->corruptions_fixed && k->fix == QCOW2_FIX_ALL && (s->h.incompatible & 3)) {
        s->h.incompatible &= ~(u64)(INCOMPAT_DIRTY | INCOMPAT_CORRUPT);
        r = qcow2_write_header(s);
    }
    return r;
}

int qcow2_check(struct blk_node *n, unsigned fix, struct qcow2_check *c)
{
    struct qcow2 *s = n->s;
    FILE *out = c->out;
    struct checker k = { .s = s, .c = c, .fix = fix, .limit = clusters_of(s, node_size(n->file)) };
    int r;

    *c = (struct qcow2_check){ .out = out, .total_clusters = clusters_of(s, node_size(n)) };
    k.refs.parts = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    lock_acquire(&s->lock);
    bool lazy = s->lazy;
    s->lazy = false; /* counts are written now */
    r = count_all(&k);
    if (!r) {
        compare(&k);
        c->image_end_offset = k.refs.end << s->h.cluster_bits;
        r = finish(&k);
    }
    s->lazy = lazy;
    lock_release(&s->lock);
    g_hash_table_unref(k.refs.parts);
    return r;
}
