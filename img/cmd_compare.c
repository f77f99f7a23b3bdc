/* gemel-img compare: whether two images have the same contents. Main thread. */
#include <string.h>
#include "img/img.h"

enum { SAME, DIFFERENT, CANNOT_OPEN, CANNOT_READ = 4 };

/* The first byte that differs in [off, off + len), or -1; -2 after an error. */
static i64 first_difference(struct blk_node *a, struct blk_node *b, u64 off, u64 len, u8 *buf_a, u8 *buf_b)
{
    int r = node_read(a, off, buf_a, len);

    if (!r)
        r = node_read(b, off, buf_b, len);
    if (r < 0) {
        fail("Error while reading offset %llu: %s", (unsigned long long)off, g_strerror(-r));
        return -2;
    }
    if (!memcmp(buf_a, buf_b, len))
        return -1;
    for (u64 i = 0;; i++)
        if (buf_a[i] != buf_b[i])
            return off + i;
}

static bool both_zero(struct blk_node *a, struct blk_node *b, u64 off, u64 *len)
{
    struct blk_extent x, y;
    struct blk_node *layer;
    unsigned depth;

    if (chain_status(a, off, *len, &x, &depth, &layer) < 0 || chain_status(b, off, x.len, &y, &depth, &layer) < 0)
        return false;
    *len = y.len;
    return x.zero && y.zero;
}

static int compare_images(struct blk_node *a, struct blk_node *b, const struct image_options *o)
{
    u64 size = MAX_OF(node_size(a), node_size(b)), len;
    u8 *buf_a = g_malloc(PIECE), *buf_b = g_malloc(PIECE);
    i64 at = -1;

    for (u64 off = 0; off < size && at == -1; off += len) {
        progress_show(o->progress, off, size);
        len = size - off;
        if (both_zero(a, b, off, &len))
            continue;
        len = MIN_OF(len, PIECE);
        at = first_difference(a, b, off, len, buf_a, buf_b);
    }
    g_free(buf_a);
    g_free(buf_b);
    progress_end(o->progress);
    if (at == -2)
        return CANNOT_READ;
    if (at >= 0) {
        if (!o->quiet)
            printf("Content mismatch at offset %lld!\n", (long long)at);
        return DIFFERENT;
    }
    if (!o->quiet)
        printf("Images are identical.\n");
    return SAME;
}

int cmd_compare(int argc, char **argv)
{
    struct image_options o = { 0 }, second;
    const char *format2 = NULL;
    struct blk_node *a, *b;
    bool strict = false;
    int r;

    for (int c; (c = getopt_long(argc, argv, ":hf:F:T:pqsU", img_long_options, NULL)) != -1;) {
        if (c == 's')
            strict = true;
        else if (c == 'F')
            format2 = optarg;
        else if (!image_option(&o, c, optarg))
            return fail_usage("unrecognized option '%s'", argv[optind - 1]);
    }
    if (optind != argc - 2)
        return fail_usage("Expecting two image file names");
    second = o;
    second.format = format2;
    a = image_open(argv[optind], &o, 0);
    b = a ? image_open(argv[optind + 1], &second, 0) : NULL;
    r = CANNOT_OPEN;
    if (a && b && node_size(a) != node_size(b) && strict) {
        if (!o.quiet)
            printf("Strict mode: Image size mismatch!\n");
        r = DIFFERENT;
    } else if (a && b) {
        if (node_size(a) != node_size(b) && !o.quiet)
            printf("Warning: Image size mismatch!\n");
        r = compare_images(a, b, &o);
    }
    node_put(b);
    node_put(a);
    return r;
}
