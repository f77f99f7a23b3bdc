/* gemel-img convert: copies images between formats, by several threads that each take the next piece. Only the main thread opens, closes and
 * prints. */
#include <string.h>
#include "img/img.h"
#include "hw/backend/blk_snapshot.h"

#define THREADS_MAX 16
#define GRAIN (64 * KiB)     /* of the comparison with a backing file */

struct convert {
    GPtrArray *sources;      /* struct blk_node, one behind the other */
    struct blk_node *target;
    u64 size;
    bool compressed, target_zero, salvage;
    u64 sparse;              /* zeros of at least that many bytes are not written; 0: all is */
    u64 cluster;             /* pieces of a compressed target */
    /* [lock] */
    pthread_mutex_t lock;
    pthread_cond_t piece_done;
    u64 next, done;
    int error;
    const char *what;        /* failed */
    u64 where;
};

/* -- pieces ----------------------------------------------------------------------------------------------------------- */

/* The source of a place, and where it begins. */
static struct blk_node *source_at(const struct convert *c, u64 off, u64 *begin)
{
    *begin = 0;
    for (unsigned i = 0; i < c->sources->len; i++) {
        struct blk_node *n = c->sources->pdata[i];
        if (off < *begin + node_size(n))
            return n;
        *begin += node_size(n);
    }
    return NULL;
}

static int read_piece(struct convert *c, u64 off, u8 *buf, u64 len)
{
    while (len) {
        u64 begin;
        struct blk_node *n = source_at(c, off, &begin);
        u64 part = n ? MIN_OF(len, begin + node_size(n) - off) : len;
        int r = n ? node_read(n, off - begin, buf, part) : 0;
        if (r < 0 && !c->salvage)
            return r;
        if (!n || r < 0)
            memset(buf, 0, part);
        off += part;
        buf += part;
        len -= part;
    }
    return 0;
}

/* True if the range is known to be zero without reading it; *len is cut to what that holds for. */
static bool known_zero(struct convert *c, u64 off, u64 *len)
{
    u64 begin;
    struct blk_node *n = source_at(c, off, &begin), *layer;
    struct blk_extent x;
    unsigned depth;

    if (!n)
        return true;
    *len = MIN_OF(*len, begin + node_size(n) - off);
    if (chain_status(n, off - begin, *len, &x, &depth, &layer) < 0)
        return false;
    *len = x.len;
    return x.zero;
}

static int write_zeros(struct convert *c, u64 off, u64 len)
{
    if (c->target->backing) /* equal to it already? then nothing; and else zeros must hide it */
        return node_zero(c->target, off, len, BLK_MAY_UNMAP);
    return c->target_zero ? 0 : node_zero(c->target, off, len, c->sparse ? BLK_MAY_UNMAP : 0);
}

/* With a backing file, only what differs from it. */
static int write_different(struct convert *c, u64 off, const u8 *buf, u64 len)
{
    u8 *old = g_malloc(GRAIN);
    int r = 0;

    for (u64 at = 0; at < len && !r; at += GRAIN) {
        u64 part = MIN_OF(GRAIN, len - at);
        r = node_read(c->target->backing, off + at, old, part);
        if (!r && memcmp(old, buf + at, part))
            r = buf_is_zero(buf + at, part) ? node_zero(c->target, off + at, part, BLK_MAY_UNMAP) : node_write(c->target, off + at, buf + at, part);
    }
    g_free(old);
    return r;
}

/* Data between stretches of zeros that are long enough to be left out. */
static int write_sparse(struct convert *c, u64 off, const u8 *buf, u64 len)
{
    u64 unit = c->sparse, start = 0;
    int r = 0;

    while (start < len && !r) {
        bool zero = buf_is_zero(buf + start, MIN_OF(unit, len - start));
        u64 end = start + MIN_OF(unit, len - start);
        while (end < len && buf_is_zero(buf + end, MIN_OF(unit, len - end)) == zero)
            end += MIN_OF(unit, len - end);
        r = zero ? write_zeros(c, off + start, end - start) : node_write(c->target, off + start, buf + start, end - start);
        start = end;
    }
    return r;
}

static int write_compressed(struct convert *c, u64 off, const u8 *buf, u64 len)
{
    int r = 0;

    for (u64 at = 0; at < len && !r; at += c->cluster) {
        u64 part = MIN_OF(c->cluster, len - at);
        if (buf_is_zero(buf + at, part) && c->sparse)
            r = write_zeros(c, off + at, part);
        else
            r = c->target->drv->write_compressed(c->target, off + at, buf + at, part);
    }
    return r;
}

static int convert_piece(struct convert *c, u64 off, u64 len, u8 *buf, const char **what)
{
    for (u64 end = off + len, part; off < end; off += part) {
        part = end - off;
        int r = 0;
        bool zero = c->sparse && !c->target->backing && known_zero(c, off, &part);
        if (c->compressed) { /* whole clusters only */
            part = end - off;
            zero = zero && part <= c->cluster && known_zero(c, off, &part) && part == end - off;
            part = end - off;
        }
        *what = "writing";
        if (zero) {
            r = write_zeros(c, off, part);
        } else {
            *what = "reading";
            r = read_piece(c, off, buf, part);
            if (!r) {
                *what = "writing";
                r = c->target->backing ? write_different(c, off, buf, part) : c->compressed ? write_compressed(c, off, buf, part)
                    : c->sparse ? write_sparse(c, off, buf, part) : node_write(c->target, off, buf, part);
            }
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static void *convert_thread(void *opaque)
{
    struct convert *c = opaque;
    u8 *buf = g_malloc(PIECE);

    for (;;) {
        const char *what;
        pthread_mutex_lock(&c->lock);
        u64 off = c->next;
        bool stop = c->error || off >= c->size;
        u64 len = stop ? 0 : MIN_OF(PIECE, c->size - off);
        c->next += len;
        pthread_mutex_unlock(&c->lock);
        if (stop)
            break;
        int r = convert_piece(c, off, len, buf, &what);
        pthread_mutex_lock(&c->lock);
        c->done += len;
        pthread_cond_signal(&c->piece_done);
        if (r < 0 && !c->error) {
            c->error = r;
            c->what = what;
            c->where = off;
        }
        pthread_mutex_unlock(&c->lock);
    }
    g_free(buf);
    return NULL;
}

/* The main thread shows progress; it does the work itself where no thread can be had. */
static int convert_run(struct convert *c, unsigned threads, bool progress)
{
    pthread_t t[THREADS_MAX];
    unsigned n = 0;

    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->piece_done, NULL);
    while (n < threads && pthread_create(&t[n], NULL, convert_thread, c) == 0)
        n++;
    if (!n)
        convert_thread(c);
    pthread_mutex_lock(&c->lock);
    while (progress && !c->error && c->done < c->size) {
        progress_show(true, c->done, c->size);
        pthread_cond_wait(&c->piece_done, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    while (n > 0)
        pthread_join(t[--n], NULL);
    pthread_cond_destroy(&c->piece_done);
    pthread_mutex_destroy(&c->lock);
    if (!c->error) {
        c->error = node_flush(c->target);
        c->what = "writing";
    }
    if (c->error)
        return fail("error while %s at byte %llu: %s", c->what, (unsigned long long)c->where, g_strerror(-c->error));
    progress_end(progress);
    return 0;
}

/* -- the command ------------------------------------------------------------------------------------------------------ */

struct convert_options {
    struct image_options src, dst;
    const char *out_format, *backing, *backing_format, *snapshot, *target_cache;
    GString *creation;       /* -o, joined */
    bool compress, no_create, target_is_zero, salvage;
    u64 sparse, threads;
};

static int convert_sources(struct convert *c, const struct convert_options *o, char **names, int n)
{
    struct err e;

    c->sources = g_ptr_array_new();
    for (int i = 0; i < n; i++) {
        struct blk_node *s = image_open(names[i], &o->src, 0);
        if (!s)
            return 1;
        g_ptr_array_add(c->sources, s);
        if (o->snapshot && node_snapshot_show(s, o->snapshot, &e) < 0)
            return fail("Failed to load snapshot: %s", e.msg);
        c->size += node_size(s);
    }
    return 0;
}

static int convert_target(struct convert *c, const struct convert_options *o, const char *name)
{
    const char *fmt = o->out_format ? o->out_format : "raw";
    struct image_options to = { .format = fmt, .cache = o->target_cache ? o->target_cache : "unsafe" };
    struct blk_info info;
    struct err e;

    if (!o->no_create && image_create(fmt, name, c->size, o->creation->len ? o->creation->str : NULL, o->backing, o->backing_format, false, true))
        return 1;
    c->target = image_open(name, &to, NODE_RDWR | NODE_UNMAP | (o->backing ? 0 : NODE_NO_BACKING));
    if (!c->target)
        return 1;
    if (node_size(c->target) < c->size) {
        if (!c->target->drv->growable && (o->no_create || node_truncate(c->target, c->size, NULL, &e) < 0))
            return fail("output file is smaller than input file");
    }
    node_info(c->target, &info);
    c->compressed = o->compress;
    c->cluster = info.cluster_size;
    if (c->compressed && !c->target->drv->write_compressed)
        return fail("Compression not supported for this file format");
    /* a new image reads as zeros; a block device, or one that was there, has what it had */
    c->target_zero = o->target_is_zero || (!o->no_create && c->target->drv != &blk_host_device &&
                                           !(c->target->drv == &blk_raw && c->target->file->drv == &blk_host_device));
    c->sparse = o->sparse;
    c->salvage = o->salvage;
    return 0;
}

static int convert_images(struct convert_options *o, int argc, char **argv)
{
    struct convert c = { 0 };
    int r = convert_sources(&c, o, argv, argc - 1);

    if (!r)
        r = convert_target(&c, o, argv[argc - 1]);
    if (!r)
        r = convert_run(&c, o->threads, o->src.progress && !o->src.quiet);
    node_put(c.target);
    for (unsigned i = 0; i < c.sources->len; i++)
        node_put(c.sources->pdata[i]);
    g_ptr_array_unref(c.sources);
    return r;
}

/* 1 after an error. */
static int read_option(struct convert_options *o, int c, const char *arg)
{
    const char *name = arg && g_str_has_prefix(arg, "snapshot.name=") ? arg + 14 : arg && g_str_has_prefix(arg, "snapshot.id=") ? arg + 12 : arg;

    switch (c) {
    case 'O': o->out_format = arg; return 0;
    case 'B': o->backing = arg; return 0;
    case 'F': o->backing_format = arg; return 0;
    case 'c': o->compress = true; return 0;
    case 'n': o->no_create = true; return 0;
    case 'l': o->snapshot = name; return 0;
    case 't': o->target_cache = arg; return 0;
    case 'W': return 0;
    case OPT_TARGET_IS_ZERO: o->target_is_zero = true; return 0;
    case OPT_SALVAGE: o->salvage = true; return 0;
    case 'o':
        g_string_append_printf(o->creation, "%s%s", o->creation->len ? "," : "", arg);
        return 0;
    case 'S':
        if (size_parse(arg, 1, &o->sparse) < 0 || (o->sparse & 511))
            return fail("Invalid buffer size for sparse output specified. Valid sizes are multiples of 512 up to %llu. Select 0 to disable sparse "
                        "detection (fully allocates output).", PIECE);
        return 0;
    case 'm':
        if (size_parse(arg, 1, &o->threads) < 0 || o->threads < 1 || o->threads > THREADS_MAX)
            return fail("Invalid number of coroutines. Allowed number of coroutines is between 1 and %d", THREADS_MAX);
        return 0;
    default:
        return image_option(&o->src, c, arg) ? 0 : 1;
    }
}

int cmd_convert(int argc, char **argv)
{
    struct convert_options o = { .sparse = 4096, .threads = 4, .creation = g_string_new(NULL) };
    int r = 0;

    for (int c; !r && (c = getopt_long(argc, argv, ":hf:O:B:F:co:l:nS:pt:T:qm:WU", img_long_options, NULL)) != -1;) {
        r = c == '?' || c == ':' || c == 'h' ? fail_usage("unrecognized option '%s'", argv[optind - 1]) : read_option(&o, c, optarg);
    }
    if (!r && argc - optind < 2)
        r = fail_usage("Must specify image file name");
    if (!r && o.target_is_zero && !o.no_create)
        r = fail("--target-is-zero requires use of -n flag");
    if (!r && o.creation->len && o.no_create)
        r = fail("-o has no effect when skipping image creation");
    if (!r && o.backing && o.no_create)
        r = fail("-B and -n cannot be used together");
    if (!r && o.backing && !o.backing_format)
        r = fail("backing format must be specified with -B (use -F)");
    if (!r)
        r = convert_images(&o, argc - optind, argv + optind);
    g_string_free(o.creation, TRUE);
    return r;
}
