/* gemel-img: opening and making images, block status through backing chains, sizes, progress and JSON. Main thread. */
#include <stdarg.h>
#include <string.h>
#include "img/img.h"

const struct option img_long_options[] = {
    { "help", no_argument, NULL, 'h' }, { "output", required_argument, NULL, OPT_OUTPUT },
    { "backing-chain", no_argument, NULL, OPT_BACKING_CHAIN }, { "force-share", no_argument, NULL, 'U' },
    { "image-opts", no_argument, NULL, OPT_IMAGE_OPTS }, { "shrink", no_argument, NULL, OPT_SHRINK },
    { "preallocation", required_argument, NULL, OPT_PREALLOCATION }, { "target-is-zero", no_argument, NULL, OPT_TARGET_IS_ZERO },
    { "salvage", no_argument, NULL, OPT_SALVAGE }, { "start-offset", required_argument, NULL, OPT_START },
    { "max-length", required_argument, NULL, OPT_MAX_LENGTH }, { "quiet", no_argument, NULL, 'q' }, { NULL, 0, NULL, 0 },
};

bool image_option(struct image_options *o, int opt, const char *arg)
{
    switch (opt) {
    case 'f': o->format = arg; return true;
    case 'T': o->cache = arg; return true;
    case 'U': o->share = true; return true;
    case 'q': o->quiet = true; return true;
    case 'p': o->progress = true; return true;
    case OPT_IMAGE_OPTS: o->image_opts = true; return true;
    default: return false;
    }
}

bool output_option(struct image_options *o, int opt, const char *arg)
{
    if (opt != OPT_OUTPUT)
        return image_option(o, opt, arg);
    o->bad_output = strcmp(arg, "json") && strcmp(arg, "human");
    o->json = !strcmp(arg, "json");
    return true;
}

int check_output(const struct image_options *o)
{
    return o->bad_output ? fail("--output must be used with human or json as argument.") : 0;
}

/* -- images ----------------------------------------------------------------------------------------------------------- */

int cache_flags(const char *cache, unsigned *flags)
{
    static const struct { const char *name; unsigned flags; } modes[] = {
        { "writeback", 0 }, { "writethrough", 0 }, { "none", NODE_DIRECT }, { "directsync", NODE_DIRECT }, { "unsafe", NODE_NO_FLUSH },
    };

    for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
        if (!cache || !strcmp(cache, modes[i].name)) {
            *flags |= modes[i].flags;
            return 0;
        }
    }
    fail("Invalid cache option: %s", cache);
    return -1;
}

struct blk_node *image_open(const char *name, const struct image_options *o, unsigned flags)
{
    struct err e = { "" };
    struct opts *l;
    struct blk_node *n = NULL;

    if (o->image_opts && o->format) {
        fail("--image-opts and --format are mutually exclusive");
        return NULL;
    }
    l = o->image_opts ? opts_parse(name, "driver", &e) : opts_new();
    if (!l || cache_flags(o->cache, &flags) < 0) {
        if (!l)
            fail("%s", e.msg);
        opts_free(l);
        return NULL;
    }
    if (o->format)
        opts_set(l, "driver", o->format);
    n = node_open(o->image_opts ? NULL : name, l, flags | NODE_PROBE | (o->share ? NODE_SHARE : 0), &e);
    if (n && (opts_all_used(l, &e) < 0 || node_claim_alone(n, &e) < 0)) {
        node_put(n);
        n = NULL;
    }
    opts_free(l);
    if (!n)
        fail("Could not open '%s': %s", name, e.msg);
    else
        node_warn_guessed(n);
    return n;
}

/* The size of the backing file, for an image that names none itself. */
static i64 backing_size(const char *image, const char *backing, const char *format)
{
    char *path = node_backing_path(image, backing);
    struct image_options o = { .format = format };
    struct blk_node *n = image_open(path, &o, NODE_SHARE);
    i64 size = n ? (i64)node_size(n) : -1;

    node_put(n);
    g_free(path);
    return size;
}

static void say_formatting(const char *format, const char *name, const struct blk_create *c)
{
    struct opts *o = c->o;
    const char *pre = opts_peek(o, "preallocation"), *compat = opts_peek(o, "compat");
    u64 cluster = 64 * KiB;
    struct err e;

    printf("Formatting '%s', fmt=%s", name, format);
    if (!strcmp(format, "qcow2")) {
        opts_size(o, "cluster_size", cluster, &cluster, &e);
        printf(" cluster_size=%llu extended_l2=off%s%s compression_type=%s", (unsigned long long)cluster, pre ? " preallocation=" : "",
               pre ? pre : "", opts_peek(o, "compression_type") ? opts_peek(o, "compression_type") : "zlib");
    }
    printf(" size=%llu", (unsigned long long)c->size);
    if (c->backing_file)
        printf(" backing_file=%s", c->backing_file);
    if (c->backing_format)
        printf(" backing_fmt=%s", c->backing_format);
    if (!strcmp(format, "qcow2")) {
        const char *lazy = opts_peek(o, "lazy_refcounts"), *bits = opts_peek(o, "refcount_bits");
        printf("%s%s lazy_refcounts=%s refcount_bits=%s", compat ? " compat=" : "", compat ? compat : "", lazy ? lazy : "off", bits ? bits : "16");
    } else if (pre) {
        printf(" preallocation=%s", pre);
    }
    printf("\n");
}

static int create_with(const struct blk_driver *d, struct blk_create *c, bool unchecked, bool quiet)
{
    struct err e = { "" };

    if (c->backing_file && !c->backing_format && !unchecked)
        return fail("%s: Backing file specified without backing format", c->filename);
    if (c->backing_format && !driver_find(c->backing_format))
        return fail("%s: Unknown backing file format '%s'", c->filename, c->backing_format);
    if (c->size == UINT64_MAX) {
        i64 size = c->backing_file ? backing_size(c->filename, c->backing_file, c->backing_format) : -1;
        if (size < 0)
            return c->backing_file ? 1 : fail("%s: Image creation needs a size parameter", c->filename);
        c->size = size;
    } else if (c->backing_file && !unchecked && backing_size(c->filename, c->backing_file, c->backing_format) < 0) {
        return 1;
    }
    if (!quiet)
        say_formatting(d->name, c->filename, c);
    c->size = ALIGN_UP(c->size, 512);
    if (d->create(c, &e) < 0 || opts_all_used(c->o, &e) < 0)
        return fail("%s: %s", c->filename, e.msg);
    return 0;
}

int image_create(const char *format, const char *name, i64 size, const char *options, const char *backing, const char *backing_format,
                 bool unchecked, bool quiet)
{
    const struct blk_driver *d = driver_find(format);
    struct err e = { "" };
    struct opts *o = options ? opts_parse(options, NULL, &e) : opts_new();
    struct blk_create c = { .filename = name, .size = size < 0 ? UINT64_MAX : (u64)size, .o = o };
    u64 given;
    int r;

    if (!o)
        return fail("Invalid options for file format '%s': %s", format, e.msg);
    if (!d || !d->create) {
        opts_free(o);
        return d ? fail("Format driver '%s' does not support image creation", format) : fail("Unknown file format '%s'", format);
    }
    c.backing_file = backing ? backing : opts_get(o, "backing_file");
    c.backing_format = backing_format ? backing_format : opts_get(o, "backing_fmt");
    if (opts_size(o, "size", c.size, &given, &e) < 0)
        r = fail("%s", e.msg);
    else if (c.backing_file && d != &blk_qcow2)
        r = fail("%s: Backing file not supported for file format '%s'", name, format);
    else {
        if (size < 0)
            c.size = given;
        r = create_with(d, &c, unchecked, quiet);
    }
    opts_free(o);
    return r;
}

int chain_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x, unsigned *depth, struct blk_node **layer)
{
    struct blk_node *b = n;
    int r;

    *depth = 0;
    for (;;) {
        *layer = b;
        r = node_status(b, off, len, x);
        if (r < 0)
            return r;
        if (!x->len) { /* behind the end of a shorter backing file */
            *x = (struct blk_extent){ .len = len, .zero = true };
            return 0;
        }
        len = x->len;
        if (x->allocated || !b->backing) {
            if (!x->allocated)
                x->zero = true;
            return 0;
        }
        b = b->backing;
        ++*depth;
    }
}

/* -- output ----------------------------------------------------------------------------------------------------------- */

void progress_show(bool on, u64 done, u64 all)
{
    if (!on)
        return;
    printf("    (%3.2f/100%%)\r", all ? 100.0 * done / all : 100.0);
    fflush(stdout);
}

void progress_end(bool on)
{
    if (on)
        printf("    (100.00/100%%)\n");
}

static void json_next(struct json_out *j, const char *name)
{
    if (j->depth)
        printf("%s\n%*s", j->first ? "" : ",", 4 * (int)j->depth, "");
    j->first = false;
    if (name)
        printf("\"%s\": ", name);
}

void json_open(struct json_out *j, const char *name, char bracket)
{
    json_next(j, name);
    putchar(bracket);
    j->depth++;
    j->first = true;
}

void json_close(struct json_out *j, char bracket)
{
    j->depth--;
    if (j->first)
        putchar(bracket);
    else
        printf("\n%*s%c", 4 * (int)j->depth, "", bracket);
    j->first = false;
    if (!j->depth)
        printf("\n");
}

void json_str(struct json_out *j, const char *name, const char *value)
{
    json_next(j, name);
    putchar('"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            printf("\\%c", *value);
        else if ((u8)*value < 0x20)
            printf("\\u%04x", (u8)*value);
        else
            putchar(*value);
    }
    putchar('"');
}

void json_int(struct json_out *j, const char *name, u64 value)
{
    json_next(j, name);
    printf("%llu", (unsigned long long)value);
}

void json_bool(struct json_out *j, const char *name, bool value)
{
    json_next(j, name);
    printf("%s", value ? "true" : "false");
}
