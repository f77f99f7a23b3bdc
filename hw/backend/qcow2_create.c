/* qcow2: making new images and changing the size of existing ones. Main thread or a tool. */
#include "config.h"
#include "hw/backend/qcow2.h"

/* What -o says. */
struct create_options {
    unsigned version, refcount_order, cluster_bits, compression;
    bool lazy;
    int preallocation;
};

enum { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL };
static const char *const prealloc_names[] = { "off", "metadata", "falloc", "full", NULL };

static const struct {
    u8 type, bit;
    const char *name;
} features[] = {
    { 0, 0, "dirty bit" }, { 0, 1, "corrupt bit" }, { 0, 2, "external data file" }, { 0, 3, "compression type" },
    { 0, 4, "extended L2 entries" }, { 1, 0, "lazy refcounts" }, { 2, 0, "bitmaps" }, { 2, 1, "raw external data" },
};

/* -- options ---------------------------------------------------------------------------------------------------------- */

static int refuse_options(struct opts *o, struct err *e)
{
    static const char *const absent[] = { "data_file", "data_file_raw", "encryption", "encrypt.format", "encrypt.key-secret" };
    bool ext;

    for (unsigned i = 0; i < ARRAY_LEN(absent); i++) {
        const char *v = opts_get(o, absent[i]);
        if (v && strcmp(v, "off"))
            return err_set(e, "%s=%s: not available", absent[i], v);
    }
    if (opts_bool(o, "extended_l2", false, &ext, e) < 0)
        return -1;
    return ext ? err_set(e, "extended_l2=on: not available") : 0;
}

static int read_options(struct opts *o, struct create_options *c, struct err *e)
{
    static const char *const compat[] = { "0.10", "v2", "1.1", "v3", NULL }, *const compression[] = { "zlib", "zstd", NULL };
    u64 cluster, bits;
    int version, method;

    if (refuse_options(o, e) < 0 || opts_enum(o, "compat", compat, 2, &version, e) < 0 ||
        opts_size(o, "cluster_size", 64 * KiB, &cluster, e) < 0 || opts_uint(o, "refcount_bits", 16, 1, 64, &bits, e) < 0 ||
        opts_bool(o, "lazy_refcounts", false, &c->lazy, e) < 0 || opts_enum(o, "compression_type", compression, 0, &method, e) < 0 ||
        opts_enum(o, "preallocation", prealloc_names, PREALLOC_OFF, &c->preallocation, e) < 0)
        return -1;
    c->version = version < 2 ? 2 : 3;
    c->compression = method;
    if (cluster < 512 || cluster > 2 * MiB || (cluster & (cluster - 1)))
        return err_set(e, "Cluster size must be a power of two between 512 and 2048k");
    if (bits & (bits - 1))
        return err_set(e, "Refcount width must be a power of two and may not exceed 64 bits");
    c->cluster_bits = __builtin_ctzll(cluster);
    c->refcount_order = __builtin_ctzll(bits);
    if (c->version < 3 && (bits != 16 || c->lazy || method))
        return err_set(e, "%s requires compatibility level 1.1 or above (use version=v3 or greater)",
                       bits != 16 ? "Different refcount widths than 16 bits" : c->lazy ? "Lazy refcounts" : "Non-zlib compression type");
    if (method && !HAVE_ZSTD)
        return err_set(e, "compression_type=zstd: this build has no zstd");
    return 0;
}

/* -- the first clusters ------------------------------------------------------------------------------------------------- */

/* Where an empty image has what, in clusters: the header, then the refcount table, its blocks, L1. */
struct layout {
    u64 table, blocks, l1, total;
};

static void plan(const struct create_options *c, u64 l1_entries, struct layout *l)
{
    u64 size = 1ull << c->cluster_bits, per_block = size * 8 >> c->refcount_order, old;

    l->l1 = MAX_OF((l1_entries * 8 + size - 1) / size, 1);
    l->table = l->blocks = 1;
    do {
        old = l->table + l->blocks;
        l->total = 1 + l->table + l->blocks + l->l1;
        l->blocks = (l->total + per_block - 1) / per_block;
        l->table = (l->blocks * 8 + size - 1) / size;
    } while (l->table + l->blocks != old);
}

static void put_feature_table(struct qcow2 *s)
{
    struct qcow2_ext x = { EXT_FEATURES, sizeof(features) / sizeof(features[0]) * 48, NULL };

    x.data = g_malloc0(x.len);
    for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
        x.data[48 * i] = features[i].type;
        x.data[48 * i + 1] = features[i].bit;
        g_strlcpy((char *)x.data + 48 * i + 2, features[i].name, 46);
    }
    g_array_append_val(s->exts, x);
}

static int write_refcounts(struct blk_node *file, const struct create_options *c, const struct layout *l)
{
    u64 size = 1ull << c->cluster_bits, per = size * 8 >> c->refcount_order;
    u8 *t = g_malloc0(l->table * size), *b = g_malloc(size);
    int r = 0;

    for (u64 i = 0; i < l->blocks && !r; i++) {
        put_be64(t + 8 * i, (1 + l->table + i) << c->cluster_bits);
        memset(b, 0, size);
        for (u64 k = 0; k < per && i * per + k < l->total; k++) {
            if (c->refcount_order < 3)
                b[(k << c->refcount_order) / 8] |= 1u << ((k << c->refcount_order) % 8);
            else
                b[((k + 1) << c->refcount_order) / 8 - 1] = 1;
        }
        r = node_write(file, (1 + l->table + i) << c->cluster_bits, b, size);
    }
    if (!r)
        r = node_write(file, size, t, l->table * size);
    g_free(t);
    g_free(b);
    return r;
}

static int write_empty(struct blk_node *file, const struct blk_create *b, const struct create_options *c, u64 l1_entries)
{
    struct blk_node node = { .file = file }; /* only its file is used to write the header */
    struct qcow2 s = { .n = &node, .cluster_size = 1ull << c->cluster_bits };
    struct layout l;
    int r;

    plan(c, l1_entries, &l);
    s.h = (struct qcow2_header){
        .version = c->version, .cluster_bits = c->cluster_bits, .size = b->size, .l1_size = l1_entries,
        .l1_table_offset = (1 + l.table + l.blocks) << c->cluster_bits, .refcount_table_offset = s.cluster_size,
        .refcount_table_clusters = l.table, .incompatible = c->compression ? INCOMPAT_COMPRESSION : 0,
        .compatible = c->lazy ? COMPAT_LAZY : 0, .refcount_order = c->refcount_order, .header_length = c->version < 3 ? 72 : 112,
        .compression = c->compression,
    };
    s.backing_file = (char *)b->backing_file;
    s.backing_format = (char *)b->backing_format;
    s.exts = g_array_new(FALSE, FALSE, sizeof(struct qcow2_ext));
    if (c->version >= 3 && s.cluster_size >= 4096) /* smaller ones have better use for the room */
        put_feature_table(&s);
    r = write_refcounts(file, c, &l);
    if (!r)
        r = node_zero(file, s.h.l1_table_offset, l.l1 << c->cluster_bits, 0);
    if (!r)
        r = qcow2_rewrite_header(&s);
    for (unsigned i = 0; i < s.exts->len; i++)
        g_free(g_array_index(s.exts, struct qcow2_ext, i).data);
    g_array_unref(s.exts);
    return r;
}

/* -- preallocation ------------------------------------------------------------------------------------------------------ */

static int preallocate_file(struct blk_node *n, int how, struct err *e)
{
    struct qcow2 *s = n->s;
    u64 end = s->file_end;

    if (how == PREALLOC_OFF)
        return 0;
    if (end > node_size(n->file))
        return node_truncate(n->file, end, how == PREALLOC_METADATA ? "off" : prealloc_names[how], e);
    return 0;
}

static int preallocate(struct blk_node *n, u64 off, u64 len, int how, struct err *e)
{
    int r;

    if (how == PREALLOC_OFF || !len)
        return 0;
    r = qcow2_preallocate(n, off, len);
    if (r < 0)
        return err_set(e, "cannot allocate clusters in '%s': %s", n->filename, g_strerror(-r));
    return preallocate_file(n, how, e);
}

/* -- the driver's functions ---------------------------------------------------------------------------------------------- */

int qcow2_create(const struct blk_create *b, struct err *e)
{
    struct create_options c = { 0 };
    u64 span, l1;
    struct opts *o;
    struct blk_node *file, *n;
    int r;

    if (read_options(b->o, &c, e) < 0)
        return -1;
    if (b->backing_file && c.preallocation != PREALLOC_OFF)
        return err_set(e, "Backing file and preallocation can only be used at the same time if extended_l2 is enabled");
    if (b->backing_file && strlen(b->backing_file) > 1023)
        return err_set(e, "Backing file name too long");
    span = 1ull << (2 * c.cluster_bits - 3);
    l1 = MAX_OF(b->size / span + !!(b->size % span), 1);
    if (b->size > INT64_MAX - span || l1 * 8 > MAX_L1)
        return err_set(e, "Image size too large for the cluster size %llu", 1ull << c.cluster_bits);
    if (file_create(b->filename, 0, NULL, e) < 0)
        return -1;
    o = opts_new();
    opts_set(o, "driver", "file");
    file = node_open(b->filename, o, NODE_RDWR, e);
    opts_free(o);
    if (!file || node_claim_alone(file, e) < 0) {
        node_put(file);
        return -1;
    }
    r = write_empty(file, b, &c, l1);
    node_put(file);
    if (r < 0)
        return err_set(e, "cannot write '%s': %s", b->filename, g_strerror(-r));
    if (c.preallocation == PREALLOC_OFF)
        return 0;
    o = opts_new();
    opts_set(o, "driver", "qcow2");
    n = node_open(b->filename, o, NODE_RDWR | NODE_NO_BACKING, e);
    opts_free(o);
    if (!n)
        return -1;
    r = preallocate(n, 0, b->size, c.preallocation, e);
    node_put(n);
    return r;
}

/* A longer L1 table in a new place. Lock held. */
static int grow_l1(struct qcow2 *s, u32 entries)
{
    u64 off, got, bytes = 8ull * entries, old = s->h.l1_table_offset, old_bytes = 8ull * s->h.l1_size;
    u8 *buf = g_malloc0(bytes);
    struct qcow2_header before = s->h;
    int r = qcow2_alloc(s, clusters_of(s, bytes), clusters_of(s, bytes), &off, &got);

    for (u32 i = 0; i < s->h.l1_size; i++)
        put_be64(buf + 8 * i, s->l1[i]);
    if (!r) {
        s->file_end = MAX_OF(s->file_end, off + ALIGN_UP(bytes, s->cluster_size));
        r = node_write(s->n->file, off, buf, bytes);
    }
    if (!r)
        r = qcow2_sync(s);
    if (!r)
        r = node_flush(s->n->file);
    if (!r) {
        s->h.l1_table_offset = off;
        s->h.l1_size = entries;
        r = qcow2_write_header(s);
    }
    g_free(buf);
    if (r < 0) {
        s->h = before;
        return r;
    }
    s->l1 = g_realloc(s->l1, bytes);
    memset(s->l1 + old_bytes / 8, 0, bytes - old_bytes);
    s->l1_lo = UINT32_MAX; /* the new table is up to date */
    s->l1_hi = 0;
    qcow2_meta_del(s, old, old_bytes);
    qcow2_meta_add(s, off, bytes);
    qcow2_free_later(s, old, old_bytes);
    return 0;
}

static int set_size(struct qcow2 *s, u64 size)
{
    u64 span = s->cluster_size << s->l2_bits, l1 = size / span + !!(size % span);
    int r = 0;

    if (8 * l1 > MAX_L1)
        return -EFBIG;
    lock_acquire(&s->lock);
    r = qcow2_sync(s);
    if (!r && l1 > s->h.l1_size)
        r = grow_l1(s, l1);
    if (!r) {
        u64 old = s->h.size;
        s->h.size = size;
        r = qcow2_write_header(s);
        if (r < 0)
            s->h.size = old;
    }
    if (!r)
        __atomic_store_n(&s->n->size, size, __ATOMIC_RELAXED);
    lock_release(&s->lock);
    return r ? r : qcow2_flush_all(s);
}

int qcow2_truncate(struct blk_node *n, u64 size, const char *preallocation, struct err *e)
{
    struct qcow2 *s = n->s;
    u64 old = node_size(n);
    int how = PREALLOC_OFF, r = 0;

    while (preallocation && prealloc_names[how] && strcmp(preallocation, prealloc_names[how]))
        how++;
    if (!prealloc_names[how])
        return err_set(e, "preallocation=%s: not one of off, metadata, falloc, full", preallocation);
    if (size & 511)
        return err_set(e, "The new size must be a multiple of 512");
    if (s->h.version < 3 && s->snapshots->len)
        return err_set(e, "Can't resize a v2 image which has snapshots");
    if (size < old) { /* what is cut off must not come back */
        if (how != PREALLOC_OFF)
            return err_set(e, "Preallocation can't be used for shrinking an image");
        if (s->h.version < 3 && n->backing)
            return err_set(e, "Images of version 2 with a backing file cannot be made smaller");
        r = qcow2_discard(n, size, old - size);
        if (!r)
            r = qcow2_flush_all(s);
    }
    if (!r)
        r = set_size(s, size);
    if (!r && size > old && in_cluster(s, old)) /* what a shorter time left there */
        r = node_zero(n, old, MIN_OF(size, ALIGN_UP(old, s->cluster_size)) - old, BLK_MAY_UNMAP);
    if (!r && size > old && n->backing && node_size(n->backing) > old)
        r = node_zero(n, old, MIN_OF(size, node_size(n->backing)) - old, BLK_MAY_UNMAP);
    if (!r && size > old && how != PREALLOC_OFF)
        return preallocate(n, ALIGN_UP(old, s->cluster_size), size - MIN_OF(size, ALIGN_UP(old, s->cluster_size)), how, e);
    return r < 0 ? err_set(e, "cannot resize '%s': %s", n->filename, g_strerror(-r)) : 0;
}
