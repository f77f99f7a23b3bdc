/* gemel-img create, resize, snapshot, commit and rebase: the commands that make or change images. Main thread. */
#include <string.h>
#include "img/img.h"
#include "hw/backend/blk_commit.h"
#include "hw/backend/blk_snapshot.h"

/* -- create ----------------------------------------------------------------------------------------------------------- */

int cmd_create(int argc, char **argv)
{
    const char *format = "raw", *backing = NULL, *backing_format = NULL;
    GString *o = g_string_new(NULL);
    bool quiet = false, unchecked = false;
    u64 size = 0;
    int r = 0;

    for (int c; !r && (c = getopt_long(argc, argv, ":hf:b:F:o:qu", img_long_options, NULL)) != -1;) {
        switch (c) {
        case 'f': format = optarg; break;
        case 'b': backing = optarg; break;
        case 'F': backing_format = optarg; break;
        case 'q': quiet = true; break;
        case 'u': unchecked = true; break;
        case 'o': g_string_append_printf(o, "%s%s", o->len ? "," : "", optarg); break;
        default: r = fail_usage("unrecognized option '%s'", argv[optind - 1]);
        }
    }
    if (!r && optind >= argc)
        r = fail_usage("Expecting image file name");
    else if (!r && argc - optind > 2)
        r = fail_usage("Unexpected argument: %s", argv[optind + 2]);
    bool sized = argc - optind == 2;
    if (!r && sized && (size_parse(argv[optind + 1], 1, &size) < 0 || size > INT64_MAX))
        r = fail("Invalid image size specified. You may use k, M, G, T, P or E suffixes for \nkilobytes, megabytes, gigabytes, terabytes, petabytes "
                 "and exabytes.");
    if (!r)
        r = image_create(format, argv[optind], sized ? (i64)size : -1, o->len ? o->str : NULL, backing, backing_format, unchecked, quiet);
    g_string_free(o, TRUE);
    return r;
}

/* -- resize ----------------------------------------------------------------------------------------------------------- */

static int resize_to(struct blk_node *n, const char *arg, bool shrink, const char *prealloc, bool quiet)
{
    u64 old = node_size(n), size;
    struct err e;

    if (size_parse(arg + (*arg == '+' || *arg == '-'), 1, &size) < 0)
        return fail("Invalid image size specified. You may use k, M, G, T, P or E suffixes for kilobytes, megabytes, gigabytes, terabytes, petabytes "
                    "and exabytes.");
    size = *arg == '+' ? old + size : *arg == '-' ? (size < old ? old - size : 0) : size;
    size = ALIGN_UP(size, 512);
    if (!size)
        return fail("New image size must be positive");
    if (size < old && !shrink) {
        fail("Use the --shrink option to perform a shrink operation.");
        return fail("warning: Shrinking an image will delete all data beyond the shrunken image's end. Before performing such an operation, make sure "
                    "there is no important data there.");
    }
    if (size < old && prealloc && strcmp(prealloc, "off"))
        return fail("Preallocation can only be used for growing images");
    if (node_truncate(n, size, prealloc, &e) < 0)
        return fail("%s", e.msg);
    if (!quiet)
        printf("Image resized.\n");
    return 0;
}

int cmd_resize(int argc, char **argv)
{
    static const char *const modes[] = { "off", "metadata", "falloc", "full", NULL };
    struct image_options o = { 0 };
    const char *prealloc = NULL, *size;
    bool shrink = false;
    struct blk_node *n;
    int r, i;

    /* The size may begin with '-': it is the last word, whatever it looks like. */
    if (argc < 3)
        return fail_usage("Expecting image file name and size");
    size = argv[--argc];
    for (int c; (c = getopt_long(argc, argv, ":hf:q", img_long_options, NULL)) != -1;) {
        if (c == OPT_SHRINK)
            shrink = true;
        else if (c == OPT_PREALLOCATION)
            prealloc = optarg;
        else if (!image_option(&o, c, optarg))
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
    }
    if (optind != argc - 1)
        return fail_usage("Expecting image file name and size");
    for (i = 0; prealloc && modes[i] && strcmp(prealloc, modes[i]); i++)
        ;
    if (prealloc && !modes[i])
        return fail("Invalid preallocation mode '%s'", prealloc);
    n = image_open(argv[optind], &o, NODE_RDWR | NODE_UNMAP);
    if (!n)
        return 1;
    r = resize_to(n, size, shrink, prealloc, o.quiet);
    node_put(n);
    return r;
}

/* -- snapshot --------------------------------------------------------------------------------------------------------- */

int cmd_snapshot(int argc, char **argv)
{
    struct image_options o = { 0 };
    const char *name = NULL;
    struct blk_node *n;
    struct err e;
    int what = 0, r = 0;

    for (int c; (c = getopt_long(argc, argv, ":hf:la:c:d:qU", img_long_options, NULL)) != -1;) {
        if (c == 'l' || c == 'a' || c == 'c' || c == 'd') {
            if (what)
                return fail_usage("Cannot mix '-l', '-a', '-c', '-d'");
            what = c;
            name = optarg;
        } else if (!image_option(&o, c, optarg)) {
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
        }
    }
    if (optind != argc - 1)
        return fail_usage("Expecting one image file name");
    n = image_open(argv[optind], &o, what && what != 'l' ? NODE_RDWR | NODE_UNMAP | NODE_NO_BACKING : NODE_NO_BACKING);
    if (!n)
        return 1;
    if (what == 'c' && node_snapshot_create(n, name, &e) < 0)
        r = fail("Could not create snapshot '%s': %s", name, e.msg);
    else if (what == 'a' && node_snapshot_apply(n, name, &e) < 0)
        r = fail("Could not apply snapshot '%s': %s", name, e.msg);
    else if (what == 'd' && node_snapshot_delete(n, name, &e) < 0)
        r = fail("Could not delete snapshot '%s': %s", name, e.msg);
    else if ((what == 'l' || !what) && node_snapshot_count(n))
        print_snapshots(n);
    node_put(n);
    return r;
}

/* -- commit ----------------------------------------------------------------------------------------------------------- */

static void on_progress(void *opaque, u64 done, u64 all)
{
    const struct image_options *o = opaque;

    progress_show(o->progress, done, all);
}

static int commit_image(struct blk_node *n, struct image_options *o, bool keep)
{
    struct err e;

    if (node_commit(n, keep, on_progress, o, &e) < 0)
        return fail("%s", e.msg);
    progress_end(o->progress);
    if (!o->quiet)
        printf("Image committed.\n");
    return 0;
}

int cmd_commit(int argc, char **argv)
{
    struct image_options o = { 0 };
    bool keep = false;
    struct blk_node *n;
    int r;

    for (int c; (c = getopt_long(argc, argv, ":hf:t:dpq", img_long_options, NULL)) != -1;) {
        if (c == 'd')
            keep = true;
        else if (!image_option(&o, c == 't' ? 'T' : c, optarg))
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
    }
    if (optind != argc - 1)
        return fail_usage("Expecting one image file name");
    n = image_open(argv[optind], &o, NODE_RDWR | NODE_UNMAP);
    if (!n)
        return 1;
    r = commit_image(n, &o, keep);
    node_put(n);
    return r;
}

/* -- rebase ----------------------------------------------------------------------------------------------------------- */

/* What the image has not got itself, and where old and new backing file differ, goes into the image. */
static int rebase_data(struct blk_node *n, struct blk_node *new, bool progress)
{
    u8 *a = g_malloc(PIECE), *b = g_malloc0(PIECE);
    struct blk_extent x;
    struct blk_info info;
    int r = 0;

    node_info(n, &info);
    for (u64 off = 0, size = node_size(n); off < size && !r; off += x.len) {
        progress_show(progress, off, size);
        r = node_status(n, off, MIN_OF(PIECE, size - off), &x);
        for (u64 at = 0; !r && !x.allocated && at < x.len; at += info.cluster_size) {
            u64 part = MIN_OF(info.cluster_size, x.len - at);
            r = node_read(n, off + at, a, part);
            if (!r && new)
                r = node_read(new, off + at, b, part);
            if (!r && memcmp(a, b, part))
                r = buf_is_zero(a, part) ? node_zero(n, off + at, part, BLK_MAY_UNMAP) : node_write(n, off + at, a, part);
        }
    }
    g_free(a);
    g_free(b);
    return r;
}

static int rebase_image(struct blk_node *n, const struct image_options *o, const char *backing, const struct image_options *bo, bool unsafe)
{
    const char *format = bo->format;
    struct blk_node *new = NULL;
    struct err e;
    int r = 0;

    if (n->drv != &blk_qcow2)
        return fail("Could not change the backing file to '%s': images of the format %s have none", backing, n->drv->name);
    if (*backing && !format)
        return fail("Could not change the backing file to '%s': backing format must be specified", backing);
    if (format && !driver_find(format))
        return fail("Invalid format name: '%s'", format);
    if (!unsafe && *backing) {
        char *path = node_backing_path(n->filename, backing);
        new = image_open(path, bo, 0);
        g_free(path);
        if (!new)
            return 1;
    }
    if (!unsafe)
        r = rebase_data(n, new, o->progress);
    node_put(new);
    if (r < 0)
        return fail("error while rebasing: %s", g_strerror(-r));
    if (qcow2_set_backing(n, *backing ? backing : NULL, *backing ? format : NULL, &e) < 0)
        return fail("Could not change the backing file to '%s': %s", backing, e.msg);
    progress_end(o->progress);
    return 0;
}

int cmd_rebase(int argc, char **argv)
{
    struct image_options o = { 0 }, bo = { 0 };
    const char *backing = NULL;
    bool unsafe = false;
    struct blk_node *n;
    int r;

    for (int c; (c = getopt_long(argc, argv, ":hf:F:b:upt:T:qU", img_long_options, NULL)) != -1;) {
        if (c == 'b')
            backing = optarg;
        else if (c == 'F')
            bo.format = optarg;
        else if (c == 'u')
            unsafe = true;
        else if (!image_option(c == 'T' ? &bo : &o, c == 't' ? 'T' : c, optarg))
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
    }
    if (optind != argc - 1)
        return fail_usage("Expecting one image file name");
    if (!backing)
        return fail_usage("Must specify backing file (-b)");
    n = image_open(argv[optind], &o, NODE_RDWR | NODE_UNMAP | (unsafe ? NODE_NO_BACKING : 0));
    if (!n)
        return 1;
    r = rebase_image(n, &o, backing, &bo, unsafe);
    node_put(n);
    return r;
}
