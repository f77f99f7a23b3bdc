/* qcow2: opening with all checks of the header and its tables, closing, rewriting the header, and what is said about an image. Main thread,
 * except for marking a damaged or dirty image, which any worker may find. */
#include <stdarg.h>
#include <stdio.h>
#include "config.h"
#include "hw/backend/qcow2.h"
#include "hw/backend/qcow2_check.h"

#define V2_HEADER 72
#define V3_HEADER 104
#define KNOWN_HEADER 112
#define L2_CACHE (32 * MiB)
#define RB_CACHE (4 * MiB)

/* -- small things ----------------------------------------------------------------------------------------------------- */

void qcow2_meta_add(struct qcow2 *s, u64 off, u64 len)
{
    for (u64 c = off >> s->h.cluster_bits; len && c <= (off + len - 1) >> s->h.cluster_bits; c++)
        g_hash_table_add(s->meta, g_memdup2(&c, sizeof(c)));
}

void qcow2_meta_del(struct qcow2 *s, u64 off, u64 len)
{
    for (u64 c = off >> s->h.cluster_bits; len && c <= (off + len - 1) >> s->h.cluster_bits; c++)
        g_hash_table_remove(s->meta, &c);
}

int qcow2_check_data(struct qcow2 *s, u64 off, u64 len)
{
    for (u64 c = off >> s->h.cluster_bits; len && c <= (off + len - 1) >> s->h.cluster_bits; c++)
        if (g_hash_table_contains(s->meta, &c))
            return qcow2_corrupt(s, "Preventing invalid write on metadata (overlaps with cluster at 0x%llx)",
                                 (unsigned long long)(c << s->h.cluster_bits));
    return 0;
}

int qcow2_corrupt(struct qcow2 *s, const char *fmt, ...)
{
    char msg[256];
    va_list ap;

    if (s->broken)
        return -EIO;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    warn_report("qcow2: '%s' is corrupt: %s%s", s->n->filename, msg,
                s->n->readonly ? "" : "; further corruption events will be suppressed, and nothing more is allocated in it");
    s->broken = true;
    if (!s->n->readonly && s->h.version >= 3 && !(s->n->flags & NODE_CHECK)) {
        s->h.incompatible |= INCOMPAT_CORRUPT;
        qcow2_write_header(s);
    }
    return -EIO;
}

int qcow2_mark_dirty(struct qcow2 *s)
{
    int r;

    if (!s->lazy || s->dirty_marked)
        return 0;
    s->h.incompatible |= INCOMPAT_DIRTY;
    r = qcow2_write_header(s);
    if (!r)
        r = node_flush(s->n->file);
    s->dirty_marked = r == 0;
    return r;
}

/* -- the header ------------------------------------------------------------------------------------------------------- */

static void header_decode(const u8 *p, struct qcow2_header *h)
{
    *h = (struct qcow2_header){
        .version = be32_at(p + 4), .backing_file_offset = be64_at(p + 8), .backing_file_size = be32_at(p + 16),
        .cluster_bits = be32_at(p + 20), .size = be64_at(p + 24), .crypt_method = be32_at(p + 32), .l1_size = be32_at(p + 36),
        .l1_table_offset = be64_at(p + 40), .refcount_table_offset = be64_at(p + 48), .refcount_table_clusters = be32_at(p + 56),
        .nb_snapshots = be32_at(p + 60), .snapshots_offset = be64_at(p + 64), .refcount_order = 4, .header_length = V2_HEADER,
    };
    if (h->version < 3)
        return;
    h->incompatible = be64_at(p + 72);
    h->compatible = be64_at(p + 80);
    h->autoclear = be64_at(p + 88);
    h->refcount_order = be32_at(p + 96);
    h->header_length = be32_at(p + 100);
    h->compression = h->header_length > V3_HEADER ? p[104] : 0;
}

static u32 header_encode(const struct qcow2_header *h, u8 *p)
{
    put_be32(p, QCOW2_MAGIC);
    put_be32(p + 4, h->version);
    put_be64(p + 8, h->backing_file_offset);
    put_be32(p + 16, h->backing_file_size);
    put_be32(p + 20, h->cluster_bits);
    put_be64(p + 24, h->size);
    put_be32(p + 32, h->crypt_method);
    put_be32(p + 36, h->l1_size);
    put_be64(p + 40, h->l1_table_offset);
    put_be64(p + 48, h->refcount_table_offset);
    put_be32(p + 56, h->refcount_table_clusters);
    put_be32(p + 60, h->nb_snapshots);
    put_be64(p + 64, h->snapshots_offset);
    if (h->version < 3)
        return V2_HEADER;
    put_be64(p + 72, h->incompatible);
    put_be64(p + 80, h->compatible);
    put_be64(p + 88, h->autoclear);
    put_be32(p + 96, h->refcount_order);
    put_be32(p + 100, h->header_length);
    if (h->header_length < KNOWN_HEADER)
        return V3_HEADER;
    memset(p + 104, 0, 8);
    p[104] = h->compression;
    return KNOWN_HEADER;
}

int qcow2_write_header(struct qcow2 *s)
{
    u8 p[KNOWN_HEADER];

    return node_write(s->n->file, 0, p, header_encode(&s->h, p));
}

static u8 *put_ext(u8 *p, const u8 *end, u32 type, const void *data, u32 len)
{
    if (!p || (u64)(end - p) < 8 + ALIGN_UP(len, 8))
        return NULL;
    put_be32(p, type);
    put_be32(p + 4, len);
    if (len)
        memcpy(p + 8, data, len);
    return p + 8 + ALIGN_UP(len, 8);
}

int qcow2_rewrite_header(struct qcow2 *s)
{
    u8 *c = g_malloc0(s->cluster_size), *p = c, *end = c + s->cluster_size;
    int r = -ENOSPC;

    if (s->h.version >= 3)
        s->h.header_length = s->header_tail_len ? KNOWN_HEADER + s->header_tail_len : MAX_OF(s->h.header_length, V3_HEADER);
    p += s->h.version >= 3 ? s->h.header_length : V2_HEADER;
    if (s->header_tail_len)
        memcpy(c + KNOWN_HEADER, s->header_tail, s->header_tail_len);
    if (s->backing_format)
        p = put_ext(p, end, EXT_BACKING_FORMAT, s->backing_format, strlen(s->backing_format));
    for (unsigned i = 0; i < s->exts->len; i++) {
        const struct qcow2_ext *x = &g_array_index(s->exts, struct qcow2_ext, i);
        p = put_ext(p, end, x->type, x->data, x->len);
    }
    p = put_ext(p, end, EXT_END, NULL, 0);
    s->h.backing_file_size = s->backing_file ? strlen(s->backing_file) : 0;
    if (p && end - p >= (i64)s->h.backing_file_size) {
        s->h.backing_file_offset = s->backing_file ? p - c : 0;
        if (s->backing_file)
            memcpy(p, s->backing_file, s->h.backing_file_size);
        header_encode(&s->h, c);
        r = node_write(s->n->file, 0, c, s->cluster_size);
    }
    g_free(c);
    return r;
}

/* -- opening: what is refused ------------------------------------------------------------------------------------------- */

static char *feature_name(const struct qcow2 *s, unsigned bit)
{
    for (unsigned i = 0; i < s->exts->len; i++) {
        const struct qcow2_ext *x = &g_array_index(s->exts, struct qcow2_ext, i);
        for (u32 k = 0; x->type == EXT_FEATURES && k + 48 <= x->len; k += 48)
            if (x->data[k] == 0 && x->data[k + 1] == bit)
                return g_strndup((const char *)x->data + k + 2, 46);
    }
    return g_strdup_printf("Unknown incompatible feature: %llx", 1ull << bit);
}

static int check_features(struct qcow2 *s, struct err *e)
{
    const char *f = s->n->filename;
    u64 unknown = s->h.incompatible & ~(u64)(INCOMPAT_DIRTY | INCOMPAT_CORRUPT | INCOMPAT_COMPRESSION);

    if (s->h.crypt_method)
        return err_set(e, "'%s' is encrypted; encrypted images are not supported", f);
    if (s->h.incompatible & INCOMPAT_DATA_FILE)
        return err_set(e, "'%s' has an external data file, which is not supported", f);
    if (s->h.incompatible & INCOMPAT_EXTL2)
        return err_set(e, "'%s' has extended L2 entries (extended_l2=on), which are not supported", f);
    if (unknown) {
        char *name = feature_name(s, __builtin_ctzll(unknown));
        err_set(e, "'%s': unsupported qcow2 feature(s): %s", f, name);
        g_free(name);
        return -1;
    }
    if (s->h.compression > (HAVE_ZSTD ? 1 : 0))
        return err_set(e, "'%s' uses the compression type %u, which this build does not know", f, s->h.compression);
    if ((s->h.incompatible & INCOMPAT_CORRUPT) && !s->n->readonly && !(s->n->flags & NODE_CHECK))
        return err_set(e, "qcow2: '%s' is corrupt; cannot be opened read/write (gemel-img check -r all repairs it)", f);
    return 0;
}

static bool table_fits(const struct qcow2 *s, u64 off, u64 len)
{
    return !in_cluster(s, off) && off + len >= off && off + len <= INT64_MAX && (!len || off < node_size(s->n->file));
}

static int check_header(struct qcow2 *s, struct err *e)
{
    const struct qcow2_header *h = &s->h;
    const char *f = s->n->filename;
    u64 span, l1_needed;

    if (h->version < 2 || h->version > 3)
        return err_set(e, "'%s': unsupported qcow2 version %u", f, h->version);
    if (h->cluster_bits < 9 || h->cluster_bits > 21)
        return err_set(e, "'%s': unsupported cluster size: 2^%u", f, h->cluster_bits);
    if (h->header_length < (h->version < 3 ? V2_HEADER : V3_HEADER) || h->header_length > 1u << h->cluster_bits)
        return err_set(e, "'%s': the qcow2 header has an impossible length, %u", f, h->header_length);
    if (h->refcount_order > 6)
        return err_set(e, "'%s': reference count entry width too large; may not exceed 64 bits", f);
    s->cluster_size = 1ull << h->cluster_bits;
    s->l2_bits = h->cluster_bits - 3;
    s->rb_bits = h->cluster_bits + 3 - h->refcount_order;
    s->refcount_max = MASK64(1u << h->refcount_order);
    span = s->cluster_size << s->l2_bits;
    l1_needed = h->size / span + !!(h->size % span);
    if (h->size > INT64_MAX || h->l1_size < l1_needed || 8ull * h->l1_size > MAX_L1)
        return err_set(e, "'%s': the active L1 table is too %s", f, h->l1_size < l1_needed ? "small" : "large");
    if (!table_fits(s, h->l1_table_offset, 8ull * h->l1_size))
        return err_set(e, "'%s': invalid L1 table offset", f);
    if ((u64)h->refcount_table_clusters << h->cluster_bits > MAX_REFT)
        return err_set(e, "'%s': the reference count table is too large", f);
    if (!h->refcount_table_clusters || !table_fits(s, h->refcount_table_offset, (u64)h->refcount_table_clusters << h->cluster_bits))
        return err_set(e, "'%s': invalid reference count table offset", f);
    if (h->nb_snapshots > MAX_SNAPSHOTS || (h->nb_snapshots && !table_fits(s, h->snapshots_offset, 1)))
        return err_set(e, "'%s': invalid snapshot table", f);
    if (h->backing_file_offset && (h->backing_file_size > 1023 || h->backing_file_offset > s->cluster_size ||
                                   h->backing_file_size > s->cluster_size - h->backing_file_offset))
        return err_set(e, "'%s': the name of the backing file is too long or not in the header", f);
    return 0;
}

static int read_extensions(struct qcow2 *s, const u8 *c, struct err *e)
{
    u64 at = s->h.header_length, end = s->h.backing_file_offset ? s->h.backing_file_offset : s->cluster_size;

    while (at + 8 <= end) {
        u32 type = be32_at(c + at), len = be32_at(c + at + 4);
        if (type == EXT_END)
            return 0;
        if (len > end - at - 8)
            return err_set(e, "'%s': a header extension is too large", s->n->filename);
        if (type == EXT_BACKING_FORMAT && !s->backing_format) {
            s->backing_format = g_strndup((const char *)c + at + 8, len);
        } else {
            struct qcow2_ext x = { type, len, g_memdup2(c + at + 8, len) };
            g_array_append_val(s->exts, x);
        }
        at += 8 + ALIGN_UP(len, 8);
    }
    return 0;
}

static int read_header(struct qcow2 *s, struct err *e)
{
    struct blk_node *file = s->n->file;
    u8 fixed[KNOWN_HEADER] = { 0 }, *c;
    int r = node_read(file, 0, fixed, sizeof(fixed));

    if (r < 0)
        return err_set(e, "cannot read '%s': %s", s->n->filename, g_strerror(-r));
    if (be32_at(fixed) != QCOW2_MAGIC)
        return err_set(e, "'%s': image is not in qcow2 format", s->n->filename);
    header_decode(fixed, &s->h);
    if (check_header(s, e) < 0)
        return -1;
    c = g_malloc(s->cluster_size);
    r = node_read(file, 0, c, s->cluster_size);
    if (r < 0)
        r = err_set(e, "cannot read '%s': %s", s->n->filename, g_strerror(-r));
    else if (!(r = read_extensions(s, c, e)) && s->h.backing_file_offset)
        s->backing_file = g_strndup((const char *)c + s->h.backing_file_offset, s->h.backing_file_size);
    if (s->h.header_length > KNOWN_HEADER) {
        s->header_tail_len = s->h.header_length - KNOWN_HEADER;
        s->header_tail = g_memdup2(c + KNOWN_HEADER, s->header_tail_len);
    }
    g_free(c);
    return r < 0 ? -1 : check_features(s, e);
}

/* -- opening: tables -------------------------------------------------------------------------------------------------- */

int qcow2_load_l1(struct qcow2 *s, u64 off, u32 entries, u64 **out)
{
    u64 *l1 = g_try_malloc0(8ull * entries + 8);
    int r = l1 ? node_read(s->n->file, off, l1, 8ull * entries) : -ENOMEM;

    if (r < 0) {
        g_free(l1);
        return r;
    }
    for (u32 i = 0; i < entries; i++)
        l1[i] = __builtin_bswap64(l1[i]);
    *out = l1;
    return 0;
}

static int load_tables(struct qcow2 *s, struct err *e)
{
    int r = qcow2_load_l1(s, s->h.l1_table_offset, s->h.l1_size, &s->l1);

    s->rt_size = (s->h.refcount_table_clusters << s->h.cluster_bits) / 8;
    if (!r)
        r = qcow2_load_l1(s, s->h.refcount_table_offset, s->rt_size, &s->rt);
    if (r < 0)
        return err_set(e, "cannot read the tables of '%s': %s", s->n->filename, g_strerror(-r));
    qcow2_meta_add(s, 0, 1);
    qcow2_meta_add(s, s->h.l1_table_offset, 8ull * s->h.l1_size);
    qcow2_meta_add(s, s->h.refcount_table_offset, 8ull * s->rt_size);
    for (u32 i = 0; i < s->h.l1_size; i++)
        if (s->l1[i] & L1E_OFFSET)
            qcow2_meta_add(s, s->l1[i] & L1E_OFFSET, 1);
    for (u32 i = 0; i < s->rt_size; i++)
        if (s->rt[i] & REFT_OFFSET)
            qcow2_meta_add(s, s->rt[i] & REFT_OFFSET, 1);
    return 0;
}

static struct qcow2 *qcow2_new(struct blk_node *n)
{
    struct qcow2 *s = g_new0(struct qcow2, 1);

    s->n = n;
    lock_init(&s->lock, "qcow2", RANK_BACKEND + 1);
    s->exts = g_array_new(FALSE, FALSE, sizeof(struct qcow2_ext));
    s->pending = g_array_new(FALSE, FALSE, sizeof(struct qcow2_range));
    s->allocating = g_array_new(FALSE, FALSE, sizeof(struct qcow2_range));
    s->meta = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    pthread_cond_init(&s->allocated, NULL);
    pthread_mutex_init(&s->comp_lock, NULL);
    qcow2_gate_init(&s->gate);
    s->l1_lo = UINT32_MAX;
    return s;
}

static void qcow2_free(struct qcow2 *s)
{
    qcow2_cache_fini(&s->l2c);
    qcow2_cache_fini(&s->rbc);
    qcow2_snapshots_free(s);
    for (unsigned i = 0; i < s->exts->len; i++)
        g_free(g_array_index(s->exts, struct qcow2_ext, i).data);
    g_array_unref(s->exts);
    g_array_unref(s->pending);
    g_array_unref(s->allocating);
    g_hash_table_unref(s->meta);
    pthread_cond_destroy(&s->allocated);
    pthread_mutex_destroy(&s->comp_lock);
    lock_fini(&s->lock);
    g_free(s->backing_file);
    g_free(s->backing_format);
    g_free(s->header_tail);
    g_free(s->comp_data);
    g_free(s->l1);
    g_free(s->rt);
    g_free(s);
}

/* Options of QEMU's with one value that is true here: the other one is refused. Space that is freed always goes back to the file. */
static int read_fixed_options(struct qcow2 *s, struct opts *o, struct err *e)
{
    static const struct { const char *name; bool is; } fixed[] = {
        { "pass-discard-request", true }, { "pass-discard-snapshot", true }, { "pass-discard-other", true }, { "discard-no-unref", false },
    };
    static const char *const overlap[] = { "none", "constant", "cached", "all", NULL };
    u64 entry, interval;
    int checks; /* all are made always: none of the words changes what a sound image does */

    for (unsigned i = 0; i < ARRAY_LEN(fixed); i++) {
        bool on;
        if (opts_bool(o, fixed[i].name, fixed[i].is, &on, e) < 0)
            return -1;
        if (on != fixed[i].is)
            return err_set(e, "%s=%s: not available", fixed[i].name, on ? "on" : "off");
    }
    if (opts_enum(o, "overlap-check", overlap, 3, &checks, e) < 0 ||
        opts_size(o, "l2-cache-entry-size", s->cluster_size, &entry, e) < 0 ||
        opts_uint(o, "cache-clean-interval", 0, 0, UINT32_MAX, &interval, e) < 0)
        return -1;
    if (entry != s->cluster_size)
        return err_set(e, "l2-cache-entry-size=%llu: the cache holds whole tables of %llu bytes", (unsigned long long)entry,
                       (unsigned long long)s->cluster_size);
    return interval ? err_set(e, "cache-clean-interval=%u: not available, tables stay in the cache", (unsigned)interval) : 0;
}

/* How many bytes of tables are kept in memory. */
static int read_cache_sizes(struct qcow2 *s, struct opts *o, struct err *e)
{
    bool all_set = opts_peek(o, "cache-size"), l2_set = opts_peek(o, "l2-cache-size"), rb_set = opts_peek(o, "refcount-cache-size");
    u64 all, l2, rb;

    if (opts_size(o, "cache-size", L2_CACHE + RB_CACHE, &all, e) < 0 || opts_size(o, "l2-cache-size", L2_CACHE, &l2, e) < 0 ||
        opts_size(o, "refcount-cache-size", RB_CACHE, &rb, e) < 0)
        return -1;
    if (all_set && l2_set && rb_set)
        return err_set(e, "cache-size, l2-cache-size and refcount-cache-size may not be set at the same time");
    if (all_set && ((l2_set && l2 > all) || (rb_set && rb > all)))
        return err_set(e, "%s may not exceed cache-size", l2_set ? "l2-cache-size" : "refcount-cache-size");
    if (all_set && !l2_set) {
        rb = rb_set ? rb : MIN_OF(all / 8, RB_CACHE);
        l2 = all - rb;
    } else if (all_set) {
        rb = all - l2;
    }
    qcow2_cache_init(&s->l2c, MIN_OF(l2 >> s->h.cluster_bits, UINT32_MAX));
    qcow2_cache_init(&s->rbc, MIN_OF(rb >> s->h.cluster_bits, UINT32_MAX));
    return 0;
}

static int read_options(struct qcow2 *s, struct opts *o, struct err *e)
{
    bool lazy;

    if (read_fixed_options(s, o, e) < 0 || read_cache_sizes(s, o, e) < 0 ||
        opts_bool(o, "lazy-refcounts", s->h.compatible & COMPAT_LAZY, &lazy, e) < 0)
        return -1;
    if (lazy && s->h.version < 3)
        return err_set(e, "lazy-refcounts=on: lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level");
    s->lazy = lazy;
    return 0;
}

/* A writer makes the image consistent first. */
static int prepare_writing(struct qcow2 *s, struct err *e)
{
    struct qcow2_check c = { .out = NULL };
    int r = 0;

    if (s->h.autoclear) {
        s->h.autoclear = 0;
        r = qcow2_write_header(s);
    }
    if (!r && (s->h.incompatible & INCOMPAT_DIRTY) && !(s->n->flags & NODE_CHECK)) {
        r = qcow2_check(s->n, QCOW2_FIX_ALL, &c);
        if (!r && c.corruptions > c.corruptions_fixed)
            return err_set(e, "'%s' is damaged: gemel-img check says how", s->n->filename);
    }
    return r < 0 ? err_set(e, "cannot write '%s': %s", s->n->filename, g_strerror(-r)) : 0;
}

static int open_started(struct qcow2 *s, struct opts *o, struct err *e)
{
    if (read_header(s, e) < 0 || read_options(s, o, e) < 0 || load_tables(s, e) < 0)
        return -1;
    s->file_end = ALIGN_UP(node_size(s->n->file), s->cluster_size);
    s->n->size = s->h.size;
    if (qcow2_snapshots_load(s, e) < 0)
        return -1;
    if (node_open_backing(s->n, o, s->backing_file, s->backing_format, e) < 0)
        return -1;
    return s->n->readonly ? 0 : prepare_writing(s, e);
}

static int qcow2_open(struct blk_node *n, struct opts *o, struct err *e)
{
    struct qcow2 *s;

    if (n->file->drv == n->drv)
        return err_set(e, "'%s': a qcow2 image inside of a qcow2 image is not available", n->filename);
    n->s = s = qcow2_new(n);
    if (open_started(s, o, e) == 0)
        return 0;
    qcow2_free(s);
    return -1;
}

/* What was written is complete on the disk: nothing lags behind any more. */
static int finish_writing(struct qcow2 *s)
{
    int r;

    s->lazy = false;
    r = qcow2_flush_all(s);
    if (!r)
        r = qcow2_flush_all(s); /* what the first one freed */
    if (!r && (s->h.incompatible & INCOMPAT_DIRTY) && s->dirty_marked) {
        s->h.incompatible &= ~(u64)INCOMPAT_DIRTY;
        r = qcow2_write_header(s);
    }
    s->dirty_marked = false;
    if (!r && in_cluster(s, s->comp_off) && node_size(s->n->file) & 511) /* compressed clusters are read by sectors */
        r = node_truncate(s->n->file, ALIGN_UP(node_size(s->n->file), 512), NULL, NULL);
    return r;
}

static void qcow2_close(struct blk_node *n)
{
    struct qcow2 *s = n->s;

    if (!n->readonly && !s->broken)
        finish_writing(s);
    qcow2_free(s);
}

static int qcow2_reopen(struct blk_node *n, bool rdwr, struct err *e)
{
    struct qcow2 *s = n->s;
    int r;

    if (rdwr) {
        s->lazy = s->h.compatible & COMPAT_LAZY;
        return check_features(s, e) < 0 ? -1 : prepare_writing(s, e);
    }
    r = finish_writing(s);
    return r < 0 ? err_set(e, "cannot write '%s': %s", n->filename, g_strerror(-r)) : 0;
}

static int qcow2_flush(struct blk_node *n)
{
    return qcow2_flush_all(n->s);
}

static void qcow2_info(struct blk_node *n, struct blk_info *i)
{
    struct qcow2 *s = n->s;

    i->cluster_size = s->cluster_size;
    i->compat = s->h.version < 3 ? "0.10" : "1.1";
    i->compression = s->h.compression ? "zstd" : "zlib";
    i->lazy_refcounts = s->h.compatible & COMPAT_LAZY;
    i->corrupt = s->h.incompatible & INCOMPAT_CORRUPT;
    i->dirty = s->h.incompatible & INCOMPAT_DIRTY;
    i->refcount_bits = 1u << s->h.refcount_order;
    i->backing_file = s->backing_file;
    i->backing_format = s->backing_format;
}

int qcow2_set_backing(struct blk_node *n, const char *file, const char *format, struct err *e)
{
    struct qcow2 *s = n->s;
    char *old = s->backing_file, *old_format = s->backing_format;
    int r = qcow2_flush_all(s);

    if (file && strlen(file) > 1023)
        return err_set(e, "Backing file name too long");
    lock_acquire(&s->lock);
    s->backing_file = g_strdup(file);
    s->backing_format = g_strdup(format);
    if (!r)
        r = qcow2_rewrite_header(s);
    if (!r)
        r = node_flush(n->file);
    if (r < 0) {
        g_free(s->backing_file);
        g_free(s->backing_format);
        s->backing_file = old;
        s->backing_format = old_format;
    } else {
        g_free(old);
        g_free(old_format);
    }
    lock_release(&s->lock);
    return r < 0 ? err_set(e, "cannot write the header of '%s': %s", n->filename, r == -ENOSPC ? "it does not fit in a cluster" : g_strerror(-r)) : 0;
}

const struct blk_driver blk_qcow2 = {
    .name = "qcow2", .tables = true, .open = qcow2_open, .close = qcow2_close, .read = qcow2_read, .write = qcow2_write, .zero = qcow2_zero,
    .discard = qcow2_discard, .flush = qcow2_flush, .truncate = qcow2_truncate, .status = qcow2_status, .map = qcow2_map,
    .unmap = qcow2_unmap, .write_compressed = qcow2_write_compressed, .info = qcow2_info, .create = qcow2_create, .reopen = qcow2_reopen,
};
