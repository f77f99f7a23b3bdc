/* qcow2: random operations against a model in memory, with reopening and checks; what is left after the host dies between any two writes;
 * snapshots; damaged images. */
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "config.h"
#include "hw/backend/blk_snapshot.h"
#include "hw/backend/qcow2.h"
#include "hw/backend/qcow2_check.h"

static char *dir;
static unsigned serial;

/* What the file under the image was told since it was last flushed. */
struct spy {
    struct blk_driver drv;
    GByteArray *stable;  /* the file as of the last flush */
    GPtrArray *pending;  /* struct spy_write */
    unsigned crash_in;   /* writes until the next trial */
    void (*crash)(void *opaque);
    void *opaque;
};

struct spy_write {
    u64 off, len;
    u8 *data;            /* NULL: zeros */
};

static struct spy spy;

static char *new_path(const char *name)
{
    return g_strdup_printf("%s/%s-%u", dir, name, ++serial);
}

static void create(const char *path, u64 size, const char *options, const char *backing)
{
    struct err e = { "" };
    struct opts *o = opts_parse(options, NULL, &e);
    struct blk_create c = { .filename = path, .size = size, .backing_file = backing, .backing_format = backing ? "qcow2" : NULL, .o = o };

    if (qcow2_create(&c, &e) < 0)
        g_error("%s", e.msg);
    opts_free(o);
}

static struct blk_node *open_node(const char *path, unsigned flags)
{
    struct err e = { "" };
    struct opts *o = opts_new();
    struct blk_node *n;

    opts_set(o, "driver", "qcow2");
    n = node_open(path, o, flags | (spy.pending ? 0 : NODE_NO_FLUSH), &e); /* the host's disk need not spin for this */
    if (!n)
        g_error("%s", e.msg);
    opts_free(o);
    return n;
}

static void check_clean(struct blk_node *n, bool leaks_allowed)
{
    struct qcow2_check c = { .out = stdout };

    g_assert_cmpint(qcow2_check(n, 0, &c), ==, 0);
    g_assert_cmpuint(c.corruptions, ==, 0);
    g_assert_cmpuint(c.check_errors, ==, 0);
    if (!leaks_allowed)
        g_assert_cmpuint(c.leaks, ==, 0);
}

/* -- options of an open image -------------------------------------------------------------------------------------------- */

/* What node_open says to qcow2's options; *l2 and *rb: how many tables its caches hold. */
static char *try_options(const char *path, const char *options, unsigned *l2, unsigned *rb)
{
    struct err e = { "" };
    struct opts *o = opts_parse(options, NULL, &e);
    struct blk_node *n;

    opts_set(o, "driver", "qcow2");
    n = node_open(path, o, NODE_RDWR, &e);
    if (n && opts_all_used(o, &e) == 0) {
        *l2 = ((struct qcow2 *)n->s)->l2c.max;
        *rb = ((struct qcow2 *)n->s)->rbc.max;
    }
    node_put(n);
    opts_free(o);
    return g_strdup(e.msg);
}

static void test_options(void)
{
    static const struct { const char *options; unsigned l2, rb; } good[] = {
        { "", 512, 64 }, { "l2-cache-size=1M", 16, 64 }, { "refcount-cache-size=2M", 512, 32 }, { "cache-size=16M", 224, 32 },
        { "cache-size=4M,l2-cache-size=2M", 32, 32 }, { "cache-size=4M,refcount-cache-size=1M", 48, 16 }, { "l2-cache-size=1", 8, 64 },
        { "cache-clean-interval=0,overlap-check=none,l2-cache-entry-size=64k,pass-discard-request=on", 512, 64 },
        { "pass-discard-snapshot=on,pass-discard-other=on,discard-no-unref=off", 512, 64 },
    };
    static const struct { const char *options, *message; } bad[] = {
        { "cache-size=4M,l2-cache-size=1M,refcount-cache-size=1M", "may not be set at the same time" },
        { "cache-size=1M,l2-cache-size=2M", "l2-cache-size may not exceed cache-size" },
        { "cache-size=1M,refcount-cache-size=2M", "refcount-cache-size may not exceed cache-size" },
        { "cache-size=much", "cache-size" }, { "l2-cache-entry-size=4k", "l2-cache-entry-size=4096" }, { "overlap-check=some", "overlap-check" },
        { "cache-clean-interval=600", "cache-clean-interval=600: not available" }, { "pass-discard-request=off", "pass-discard-request=off" },
        { "pass-discard-snapshot=off", "pass-discard-snapshot=off" }, { "pass-discard-other=off", "pass-discard-other=off" },
        { "discard-no-unref=on", "discard-no-unref=on: not available" },
    };
    char *path = new_path("options"), *msg;
    unsigned l2, rb;

    create(path, 1 * GiB, "", NULL);
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        msg = try_options(path, good[i].options, &l2, &rb);
        g_assert_cmpstr(msg, ==, "");
        g_assert_cmpuint(l2, ==, good[i].l2);
        g_assert_cmpuint(rb, ==, good[i].rb);
        g_free(msg);
    }
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        msg = try_options(path, bad[i].options, &l2, &rb);
        g_assert_nonnull(strstr(msg, bad[i].message));
        g_free(msg);
    }
    g_unlink(path);
    g_free(path);
}

/* -- random operations against a model ---------------------------------------------------------------------------------- */

struct model {
    u64 size;
    u8 *bytes;
};

static void random_fill(u8 *p, u64 len)
{
    if (g_test_rand_int_range(0, 4) == 0)
        memset(p, 0, len);
    else
        for (u64 i = 0; i < len; i += 8)
            st64(p + i, (u64)g_test_rand_int() << 32 | (u32)g_test_rand_int());
}

static void random_range(u64 size, u64 *off, u64 *len)
{
    *off = g_test_rand_int_range(0, size / 512) * 512ull;
    *len = g_test_rand_int_range(1, g_test_rand_bit() ? 20 : 300) * 512ull;
    *len = MIN_OF(*len, size - *off);
}

static void compare(struct blk_node *n, const struct model *m)
{
    u8 *got = g_malloc(m->size);

    g_assert_cmpint(node_read(n, 0, got, m->size), ==, 0);
    for (u64 i = 0; i < m->size; i++)
        if (got[i] != m->bytes[i])
            g_error("byte %llu is %02x instead of %02x", (unsigned long long)i, got[i], m->bytes[i]);
    g_free(got);
}

/* One operation on both. What a discard leaves is read back: it may be anything. */
static void random_op(struct blk_node *n, struct model *m, bool compressed)
{
    u64 off, len, cs = ((struct qcow2 *)n->s)->cluster_size;
    u8 *buf;

    random_range(m->size, &off, &len);
    switch (g_test_rand_int_range(0, 10)) {
    case 0:
        g_assert_cmpint(node_zero(n, off, len, g_test_rand_bit() ? BLK_MAY_UNMAP : 0), ==, 0);
        memset(m->bytes + off, 0, len);
        break;
    case 1:
        g_assert_cmpint(node_discard(n, off, len), ==, 0);
        g_assert_cmpint(node_read(n, off, m->bytes + off, len), ==, 0);
        break;
    case 2:
        g_assert_cmpint(node_flush(n), ==, 0);
        break;
    case 3:
        if (!compressed)
            break;
        off = ALIGN_DOWN(off, cs);
        len = MIN_OF(cs, m->size - off);
        memset(m->bytes + off, g_test_rand_int(), len);
        g_assert_cmpint(qcow2_write_compressed(n, off, m->bytes + off, len), ==, 0);
        break;
    default:
        buf = g_malloc(len);
        random_fill(buf, len);
        g_assert_cmpint(node_write(n, off, buf, len), ==, 0);
        memcpy(m->bytes + off, buf, len);
        g_free(buf);
    }
}

static void run_random(const char *options, bool backing, bool compressed, unsigned ops)
{
    struct model m = { .size = 2 * MiB + 512 * g_test_rand_int_range(0, 9) };
    char *path = new_path("image"), *base = backing ? new_path("base") : NULL;
    struct blk_node *n;

    m.bytes = g_malloc0(m.size);
    if (base) {
        create(base, 1 * MiB, options, NULL);
        n = open_node(base, NODE_RDWR);
        random_fill(m.bytes, 600 * KiB);
        g_assert_cmpint(node_write(n, 0, m.bytes, 600 * KiB), ==, 0);
        node_put(n);
    }
    create(path, m.size, options, base);
    n = open_node(path, NODE_RDWR | NODE_UNMAP);
    for (unsigned i = 0; i < ops; i++) {
        random_op(n, &m, compressed);
        if (g_test_rand_int_range(0, 60) == 0) {
            node_put(n);
            n = open_node(path, NODE_RDWR | NODE_UNMAP);
            check_clean(n, false);
            compare(n, &m);
        }
    }
    compare(n, &m);
    node_put(n);
    n = open_node(path, 0);
    compare(n, &m);
    check_clean(n, false);
    node_put(n);
    g_unlink(path);
    if (base)
        g_unlink(base);
    g_free(base);
    g_free(path);
    g_free(m.bytes);
}

static void test_random(void)
{
    static const char *const options[] = {
        "", "cluster_size=512", "cluster_size=4k,refcount_bits=1", "cluster_size=2M", "compat=0.10,cluster_size=4k",
        "cluster_size=1k,refcount_bits=64", "lazy_refcounts=on,cluster_size=4k", "cluster_size=512,refcount_bits=8",
        "preallocation=metadata,cluster_size=4k", "cluster_size=16k,refcount_bits=2",
    };

    for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
        bool prealloc = strstr(options[i], "prealloc") != NULL;
        g_test_message("%s", options[i]);
        run_random(options[i], false, false, 120);
        run_random(options[i], false, true, 120);
        if (!prealloc)
            run_random(options[i], true, true, 120);
    }
#if HAVE_ZSTD
    run_random("compression_type=zstd,cluster_size=4k", true, true, 120);
#endif
}

/* -- death between writes ------------------------------------------------------------------------------------------------ */

static void spy_write_free(gpointer p)
{
    g_free(((struct spy_write *)p)->data);
    g_free(p);
}

static void apply(GByteArray *a, const struct spy_write *w)
{
    if (a->len < w->off + w->len) {
        u64 old = a->len;
        g_byte_array_set_size(a, w->off + w->len);
        memset(a->data + old, 0, a->len - old);
    }
    if (w->data)
        memcpy(a->data + w->off, w->data, w->len);
    else
        memset(a->data + w->off, 0, w->len);
}

static void spy_note(u64 off, u64 len, u8 *data)
{
    struct spy_write *w = g_new(struct spy_write, 1);

    *w = (struct spy_write){ off, len, data };
    g_ptr_array_add(spy.pending, w);
    if (spy.crash_in && --spy.crash_in == 0) {
        spy.crash(spy.opaque);
        spy.crash_in = g_test_rand_int_range(1, 40);
    }
}

static int spy_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    u8 *copy = g_malloc(len);

    iov_read(iov, n_iov, 0, copy, len);
    spy_note(off, len, copy);
    return blk_file.write(n, off, iov, n_iov, len);
}

static int spy_zero(struct blk_node *n, u64 off, u64 len, unsigned flags)
{
    spy_note(off, len, NULL);
    return blk_file.zero(n, off, len, flags);
}

static int spy_discard(struct blk_node *n, u64 off, u64 len)
{
    spy_note(off, MIN_OF(len, node_size(n) > off ? node_size(n) - off : 0), NULL);
    return blk_file.discard(n, off, len);
}

static int spy_flush(struct blk_node *n)
{
    for (unsigned i = 0; i < spy.pending->len; i++)
        apply(spy.stable, spy.pending->pdata[i]);
    g_ptr_array_set_size(spy.pending, 0);
    return 0;
}

#define SECTORS 512u
/* Of each sector: the value that was flushed, and those written since; a crash leaves one of them. */
struct history {
    u64 flushed[SECTORS];
    GArray *since[SECTORS];
    const char *base;
};

/* The disk after a crash: what was flushed, and any part of what was written since (or all, if only the process died). */
static GByteArray *crash_image(bool process_only)
{
    GByteArray *a = g_byte_array_new();

    g_byte_array_append(a, spy.stable->data, spy.stable->len);
    for (unsigned i = 0; i < spy.pending->len; i++)
        if (process_only ? i + 1 < spy.pending->len : g_test_rand_bit())
            apply(a, spy.pending->pdata[i]);
    return a;
}

static void check_crash(struct history *h, bool process_only)
{
    GByteArray *a = crash_image(process_only);
    char *path = new_path("crash");
    u64 sector[64];

    g_assert_true(g_file_set_contents(path, (char *)a->data, a->len, NULL));
    struct blk_node *n = open_node(path, NODE_RDWR);
    check_clean(n, true);
    for (unsigned i = 0; i < SECTORS; i++) {
        g_assert_cmpint(node_read(n, i * 512, sector, 512), ==, 0);
        bool known = sector[0] == h->flushed[i];
        for (unsigned k = 0; k < h->since[i]->len && !known; k++)
            known = sector[0] == g_array_index(h->since[i], u64, k);
        if (!known)
            g_error("sector %u has %llx after a crash; %llx was flushed", i, (unsigned long long)sector[0], (unsigned long long)h->flushed[i]);
    }
    node_put(n);
    g_unlink(path);
    g_free(path);
    g_byte_array_unref(a);
}

static void *check_crashes(void *opaque)
{
    check_crash(opaque, true);
    check_crash(opaque, false);
    check_crash(opaque, false);
    return NULL;
}

/* Another thread looks, because this one holds the image's lock. */
static void on_crash(void *opaque)
{
    pthread_t t;

    g_assert_cmpint(pthread_create(&t, NULL, check_crashes, opaque), ==, 0);
    pthread_join(t, NULL);
}

static void history_set(struct history *h, unsigned first, unsigned n, u64 value)
{
    for (unsigned i = first; i < first + n; i++) {
        u64 v = value ? value + i : 0;
        g_array_append_val(h->since[i], v);
    }
}

static void history_flush(struct history *h)
{
    for (unsigned i = 0; i < SECTORS; i++) {
        unsigned n = h->since[i]->len;
        if (n)
            h->flushed[i] = g_array_index(h->since[i], u64, n - 1);
        g_array_set_size(h->since[i], 0);
    }
}

static void crash_op(struct blk_node *n, struct history *h, u64 *stamp)
{
    unsigned first = g_test_rand_int_range(0, SECTORS), some = g_test_rand_int_range(1, 40), count = MIN_OF(some, SECTORS - first);
    u64 buf[40 * 64];

    switch (g_test_rand_int_range(0, 12)) {
    case 0: case 1:
        g_assert_cmpint(node_flush(n), ==, 0);
        history_flush(h);
        break;
    case 2:
        history_set(h, first, count, 0);
        g_assert_cmpint(node_zero(n, first * 512, count * 512, BLK_MAY_UNMAP), ==, 0);
        break;
    default:
        *stamp += 0x10000;
        for (unsigned i = 0; i < count * 64; i++)
            buf[i] = *stamp + first + i / 64;
        history_set(h, first, count, *stamp);
        g_assert_cmpint(node_write(n, first * 512, buf, count * 512), ==, 0);
    }
}

static void run_crashes(const char *options, bool snapshots)
{
    struct history h = { 0 };
    char *path = new_path("image"), *contents;
    gsize len;
    u64 stamp = 0;

    for (unsigned i = 0; i < SECTORS; i++)
        h.since[i] = g_array_new(FALSE, FALSE, 8);
    create(path, SECTORS * 512, options, NULL);
    g_assert_true(g_file_get_contents(path, &contents, &len, NULL));
    spy = (struct spy){ .drv = blk_file, .stable = g_byte_array_new(), .pending = g_ptr_array_new_with_free_func(spy_write_free),
                        .crash_in = 5, .crash = on_crash, .opaque = &h };
    spy.drv.write = spy_write;
    spy.drv.zero = spy_zero;
    spy.drv.discard = spy_discard;
    spy.drv.flush = spy_flush;
    spy.drv.map = NULL;
    g_byte_array_append(spy.stable, (u8 *)contents, len);
    g_free(contents);
    struct blk_node *n = open_node(path, NODE_RDWR | NODE_UNMAP);
    n->file->drv = &spy.drv;
    for (unsigned i = 0; i < 360; i++) {
        crash_op(n, &h, &stamp);
        if (snapshots && i % 100 == 50) {
            struct err e;
            bool again = i == 150 || i == 350; /* it has that name already */
            g_assert_cmpint(node_snapshot_create(n, i < 200 ? "a" : "b", &e), ==, again ? -1 : 0);
            if (!again)
                history_flush(&h);
        }
        if (snapshots && i == 230) {
            struct err e;
            g_assert_cmpint(node_snapshot_delete(n, "a", &e), ==, 0);
            history_flush(&h);
        }
    }
    spy.crash_in = 0;
    node_put(n);
    n = open_node(path, 0);
    check_clean(n, false);
    node_put(n);
    g_unlink(path);
    g_free(path);
    g_byte_array_unref(spy.stable);
    g_ptr_array_unref(spy.pending);
    spy = (struct spy){ 0 };
    for (unsigned i = 0; i < SECTORS; i++)
        g_array_unref(h.since[i]);
}

static void test_crashes(void)
{
    run_crashes("cluster_size=512", false);
    run_crashes("cluster_size=4k", false);
    run_crashes("cluster_size=1k,refcount_bits=64", false);
    run_crashes("cluster_size=512,lazy_refcounts=on", false);
    run_crashes("cluster_size=1k", true);
}

/* -- the rest ------------------------------------------------------------------------------------------------------------- */

static void test_snapshots(void)
{
    struct err e = { "" };
    struct model m = { .size = 1 * MiB }, old;
    char *path = new_path("snap");
    struct blk_node *n;

    m.bytes = g_malloc0(m.size);
    create(path, m.size, "cluster_size=4k", NULL);
    n = open_node(path, NODE_RDWR | NODE_UNMAP);
    for (unsigned i = 0; i < 40; i++)
        random_op(n, &m, true);
    old = (struct model){ m.size, g_memdup2(m.bytes, m.size) };
    g_assert_cmpint(node_snapshot_create(n, "one", &e), ==, 0);
    check_clean(n, false);
    for (unsigned i = 0; i < 40; i++)
        random_op(n, &m, true);
    compare(n, &m);
    g_assert_cmpint(node_snapshot_create(n, "two", &e), ==, 0);
    g_assert_cmpint(node_snapshot_create(n, "two", &e), ==, -1);
    for (unsigned i = 0; i < 10; i++)
        random_op(n, &m, true);
    g_assert_cmpuint(node_snapshot_count(n), ==, 2);
    node_put(n);
    n = open_node(path, 0); /* what a snapshot holds can be read */
    g_assert_cmpint(node_snapshot_show(n, "one", &e), ==, 0);
    compare(n, &old);
    node_put(n);
    n = open_node(path, NODE_RDWR);
    check_clean(n, false);
    g_assert_cmpint(node_snapshot_apply(n, "1", &e), ==, 0); /* by its id */
    compare(n, &old);
    check_clean(n, false);
    random_op(n, &old, true);
    g_assert_cmpint(node_snapshot_delete(n, "one", &e), ==, 0);
    check_clean(n, false);
    compare(n, &old);
    g_assert_cmpint(node_snapshot_apply(n, "nothing", &e), ==, -1);
    g_assert_cmpint(node_snapshot_delete(n, "two", &e), ==, 0);
    check_clean(n, false);
    node_put(n);
    g_unlink(path);
    g_free(path);
    g_free(m.bytes);
    g_free(old.bytes);
}

static void test_resize(void)
{
    struct err e = { "" };
    struct model m = { .size = 512 * KiB };
    char *path = new_path("resize");
    struct blk_node *n;

    m.bytes = g_malloc0(64 * MiB);
    random_fill(m.bytes, m.size);
    create(path, m.size, "cluster_size=512", NULL);
    n = open_node(path, NODE_RDWR);
    g_assert_cmpint(node_write(n, 0, m.bytes, m.size), ==, 0);
    g_assert_cmpint(node_truncate(n, 64 * MiB, NULL, &e), ==, 0); /* a longer L1 table */
    m.size = 64 * MiB;
    compare(n, &m);
    random_fill(m.bytes + 60 * MiB, 2 * MiB);
    g_assert_cmpint(node_write(n, 60 * MiB, m.bytes + 60 * MiB, 2 * MiB), ==, 0);
    compare(n, &m);
    g_assert_cmpint(node_truncate(n, 100 * KiB, NULL, &e), ==, 0);
    g_assert_cmpint(node_truncate(n, 1 * MiB, NULL, &e), ==, 0);
    m.size = 1 * MiB;
    memset(m.bytes + 100 * KiB, 0, m.size - 100 * KiB);
    compare(n, &m);
    g_assert_cmpint(node_truncate(n, 4 * MiB, "full", &e), ==, 0);
    node_put(n);
    n = open_node(path, 0);
    check_clean(n, false);
    node_put(n);
    g_unlink(path);
    g_free(path);
    g_free(m.bytes);
}

/* Random bytes in the metadata: an error or wrong data, never a crash; afterwards repair makes it sound. */
static void test_damaged(void)
{
    char *path = new_path("good"), *contents, *bad = new_path("bad");
    struct err e;
    gsize len;
    unsigned opened = 0;

    create(path, 1 * MiB, "cluster_size=512", NULL);
    struct blk_node *n = open_node(path, NODE_RDWR);
    struct model m = { 1 * MiB, g_malloc0(1 * MiB) };
    for (unsigned i = 0; i < 30; i++)
        random_op(n, &m, true);
    g_assert_cmpint(node_snapshot_create(n, "s", &e), ==, 0);
    node_put(n);
    g_assert_true(g_file_get_contents(path, &contents, &len, NULL));
    for (unsigned i = 0; i < 300; i++) {
        u8 *copy = g_memdup2(contents, len);
        for (int k = g_test_rand_int_range(1, 20); k > 0; k--)
            copy[g_test_rand_int_range(0, i & 1 ? 200 : MIN_OF(len, 20000))] = g_test_rand_int();
        g_assert_true(g_file_set_contents(bad, (char *)copy, len, NULL));
        struct opts *o = opts_new();
        opts_set(o, "driver", "qcow2");
        n = node_open(bad, o, NODE_RDWR | NODE_UNMAP | NODE_NO_BACKING, &e);
        opts_free(o);
        if (n && node_size(n) >= 1 * MiB) {
            opened++;
            u8 *buf = g_malloc(1 * MiB);
            node_read(n, 0, buf, 1 * MiB);
            node_write(n, 5000, buf, 30000);
            node_zero(n, 60000, 9000, BLK_MAY_UNMAP);
            node_flush(n);
            node_snapshot_create(n, "t", &e);
            node_snapshot_delete(n, "s", &e);
            g_free(buf);
        }
        node_put(n);
        g_free(copy);
    }
    g_assert_cmpuint(opened, >, 20);
    g_unlink(path);
    g_unlink(bad);
    g_free(contents);
    g_free(path);
    g_free(bad);
    g_free(m.bytes);
}

static void test_repair(void)
{
    char *path = new_path("repair");
    struct qcow2_check c = { 0 };
    struct model m = { 1 * MiB, g_malloc0(1 * MiB) };

    create(path, m.size, "cluster_size=512", NULL);
    struct blk_node *n = open_node(path, NODE_RDWR);
    for (unsigned i = 0; i < 60; i++)
        random_op(n, &m, true);
    node_put(n);
    n = open_node(path, NODE_RDWR | NODE_CHECK);
    struct qcow2 *s = n->s;
    u8 junk[512];
    memset(junk, 0x77, sizeof(junk)); /* wrong counts in a whole block, and a table entry to nowhere */
    g_assert_cmpint(node_write(n->file, s->rt[0] & REFT_OFFSET, junk, sizeof(junk)), ==, 0);
    put_be64(junk, 0x7770000);
    g_assert_cmpint(node_write(n->file, s->h.refcount_table_offset + 8, junk, 8), ==, 0);
    node_put(n);
    n = open_node(path, NODE_RDWR | NODE_CHECK);
    g_assert_cmpint(qcow2_check(n, QCOW2_FIX_ALL, &c), ==, 0);
    g_assert_cmpuint(c.leaks + c.corruptions, >, 0);
    node_put(n);
    n = open_node(path, NODE_RDWR);
    check_clean(n, false);
    compare(n, &m);
    node_put(n);
    g_unlink(path);
    g_free(path);
    g_free(m.bytes);
}

/* Several writers at a time: each has its own sectors, in clusters that they share. */
struct writer {
    struct blk_node *n;
    unsigned number;
    pthread_t thread;
};

static void *writer_run(void *opaque)
{
    struct writer *w = opaque;
    u8 buf[512];
    u32 x = w->number * 2654435761u + 1;

    for (unsigned i = 0; i < 2000; i++) {
        x = x * 1664525 + 1013904223;
        u64 sector = (x >> 8) % 1024 * 4 + w->number;
        st64(buf, sector);
        memset(buf + 8, w->number + 1, sizeof(buf) - 8);
        if (node_write(w->n, sector * 512, buf, 512) < 0 || (i % 100 == 0 && node_flush(w->n) < 0))
            g_error("a write failed");
        if (node_read(w->n, sector * 512, buf, 512) < 0 || ld64(buf) != sector || buf[511] != w->number + 1)
            g_error("a sector is not what was written");
    }
    return NULL;
}

static void test_threads(void)
{
    char *path = new_path("threads");
    struct writer w[4];

    create(path, 2 * MiB, "cluster_size=4k", NULL);
    struct blk_node *n = open_node(path, NODE_RDWR);
    for (unsigned i = 0; i < 4; i++) {
        w[i] = (struct writer){ .n = n, .number = i };
        g_assert_cmpint(pthread_create(&w[i].thread, NULL, writer_run, &w[i]), ==, 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(w[i].thread, NULL);
    check_clean(n, true);
    node_put(n);
    n = open_node(path, 0);
    check_clean(n, false);
    node_put(n);
    g_unlink(path);
    g_free(path);
}

/* A process that writes, flushes and reports what it flushed is killed: all of that is there. */
#define KILL_SECTORS 4096u

static u64 kill_sector(u64 i) { return i * 7919 % KILL_SECTORS; }

static void NORETURN kill_child(const char *path, int report)
{
    struct blk_node *n = open_node(path, NODE_RDWR | NODE_UNMAP);
    u64 sector[64];

    for (u64 i = 1;; i++) {
        for (unsigned k = 0; k < 64; k++)
            sector[k] = i;
        if (node_write(n, kill_sector(i) * 512, sector, 512) < 0)
            _exit(1);
        if (i % 5 == 0 && (node_flush(n) < 0 || write(report, &i, sizeof(i)) != sizeof(i)))
            _exit(1);
    }
}

static void check_killed(const char *path, u64 flushed)
{
    struct blk_node *n = open_node(path, NODE_RDWR);
    u64 want[KILL_SECTORS] = { 0 }, sector[64];

    check_clean(n, true);
    for (u64 i = 1; i <= flushed; i++)
        want[kill_sector(i)] = i;
    for (unsigned s = 0; s < KILL_SECTORS; s++) {
        g_assert_cmpint(node_read(n, s * 512, sector, 512), ==, 0);
        g_assert_cmpuint(sector[0], >=, want[s]); /* a later write may be there, too */
        g_assert_true(!sector[0] || kill_sector(sector[0]) == s);
    }
    node_put(n);
}

static void test_killed(void)
{
    for (unsigned round = 0; round < 20; round++) {
        char *path = new_path("killed");
        int fds[2], status;
        u64 flushed = 0, last = 0;
        unsigned reports = g_test_rand_int_range(1, 400);

        create(path, KILL_SECTORS * 512, round & 1 ? "cluster_size=4k,lazy_refcounts=on" : "cluster_size=1k", NULL);
        g_assert_cmpint(pipe(fds), ==, 0);
        pid_t pid = fork();
        if (!pid)
            kill_child(path, fds[1]);
        close(fds[1]);
        while (reports-- && read(fds[0], &last, sizeof(last)) == sizeof(last))
            flushed = last;
        kill(pid, SIGKILL);
        while (read(fds[0], &last, sizeof(last)) == sizeof(last))
            flushed = last;
        close(fds[0]);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFSIGNALED(status) && flushed);
        check_killed(path, flushed);
        g_unlink(path);
        g_free(path);
    }
}

int main(int argc, char **argv)
{
    int r;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("gemel-qcow2-XXXXXX", NULL);
    g_test_add_func("/qcow2/options", test_options);
    g_test_add_func("/qcow2/random", test_random);
    g_test_add_func("/qcow2/crashes", test_crashes);
    g_test_add_func("/qcow2/killed", test_killed);
    g_test_add_func("/qcow2/snapshots", test_snapshots);
    g_test_add_func("/qcow2/resize", test_resize);
    g_test_add_func("/qcow2/damaged", test_damaged);
    g_test_add_func("/qcow2/repair", test_repair);
    g_test_add_func("/qcow2/threads", test_threads);
    r = g_test_run();
    g_rmdir(dir);
    g_free(dir);
    return r;
}
