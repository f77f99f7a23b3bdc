/* Block back ends on raw images: sizes, requests of every kind and on every way, errors that stop the VM, I/O threads, limits. */
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk_front.h"
#include "tests/lib/test_pc.h"
#include "util/iothread.h"

static void test_read(void)
{
    u8 data[1300], buf[1024];
    struct err e = { "" };
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = i * 7;
    char *path = test_file(data, sizeof(data));
    struct blk *b = blk_open("d", "-hda", path, true, &e);
    g_assert_nonnull(b);
    g_assert_cmpuint(blk_size(b), ==, 1300);
    g_assert_true(blk_readonly(b));
    g_assert_cmpstr(blk_path(b), ==, path);
    g_assert_cmpint(blk_pread(b, 100, buf, 512), ==, 0);
    g_assert_cmpmem(buf, 512, data + 100, 512);
    memset(buf, 0xee, sizeof(buf));
    g_assert_cmpint(blk_pread(b, 1024, buf, 512), ==, 0); /* the tail of the last sector is zeros */
    g_assert_cmpmem(buf, 276, data + 1024, 276);
    for (unsigned i = 276; i < 512; i++)
        g_assert_cmpuint(buf[i], ==, 0);
    blk_close(b);
    test_file_free(path);
}

struct result {
    unsigned done;
    int ret;
};

static void on_done(void *opaque, int ret)
{
    struct result *r = opaque;
    r->done++;
    r->ret = ret;
}

static int submit(struct blk *b, enum blk_op op, u64 off, void *buf, u64 len, unsigned flags)
{
    struct result r = { 0, 1 };
    struct iovec iov = { buf, len };
    blk_submit(b, op, off, buf ? &iov : NULL, buf ? 1 : 0, len, flags, on_done, &r);
    g_assert_cmpuint(r.done, ==, 0); /* never inside blk_submit */
    blk_drain(b);
    g_assert_cmpuint(r.done, ==, 1);
    return r.ret;
}

static void test_requests(void)
{
    u8 data[4096], buf[1024];
    struct err e = { "" };
    memset(data, 0x5a, sizeof(data));
    char *path = test_file(data, sizeof(data));
    struct blk *b = blk_open("d", "-drive", path, false, &e);
    g_assert_nonnull(b);
    g_assert_true(blk_find("d") == b);
    memset(buf, 0xa5, sizeof(buf));
    g_assert_cmpint(submit(b, BLK_WRITE, 512, buf, 1024, BLK_FUA), ==, 0);
    g_assert_cmpint(submit(b, BLK_ZERO, 2048, NULL, 512, 0), ==, 0);
    g_assert_cmpint(submit(b, BLK_DISCARD, 0, NULL, 512, 0), ==, 0);
    g_assert_cmpint(submit(b, BLK_FLUSH, 0, NULL, 0, 0), ==, 0);
    g_assert_cmpint(submit(b, BLK_WRITE, 4096, buf, 512, 0), ==, -EIO);
    g_assert_cmpint(submit(b, BLK_READ, ~0ull - 511, buf, 512, 0), ==, -EIO);
    g_assert_cmpint(submit(b, BLK_READ, 1024, buf, 1024 + 0, 0), ==, 0);
    for (unsigned i = 0; i < 1024; i++)
        g_assert_cmpuint(buf[i], ==, i < 512 ? 0xa5 : 0x5a);
    g_assert_cmpint(submit(b, BLK_READ, 2048, buf, 1024, 0), ==, 0);
    for (unsigned i = 0; i < 1024; i++)
        g_assert_cmpuint(buf[i], ==, i < 512 ? 0 : 0x5a);
    blk_close(b);
    b = blk_open("d", "-drive", path, true, &e);
    g_assert_cmpint(submit(b, BLK_WRITE, 0, buf, 512, 0), ==, -EACCES);
    g_assert_cmpint(blk_attach(b, NULL, NULL, NULL, 0, &e), ==, 0);
    g_assert_cmpint(blk_attach(b, NULL, NULL, NULL, 0, &e), ==, -1);
    blk_detach(b);
    blk_close(b);
    test_file_free(path);
}

struct drainer {
    struct blk *b;
    unsigned done, want;
};

static void on_done_drain(void *opaque, int ret)
{
    struct drainer *d = opaque;
    g_assert_cmpint(ret, ==, 0);
    d->done++;
    blk_drain(d->b); /* as devices do that are reset by what a completion finds */
}

/* Completions that drain, with others finished beside them. */
static void test_drain_inside(void)
{
    u8 data[4096] = { 1 }, buf[8][512];
    struct err e = { "" };
    char *path = test_file(data, sizeof(data));
    struct blk *b = blk_open("d", "-drive", path, false, &e);
    struct drainer d = { .b = b };
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 8; i++) {
            struct iovec v = { buf[i], 512 };
            blk_submit(b, i & 1 ? BLK_WRITE : BLK_READ, i * 512, &v, 1, 0, i == 3 ? BLK_FUA : 0, on_done_drain, &d);
        }
        blk_drain(b);
        g_assert_cmpuint(d.done, ==, 8 * (round + 1));
    }
    blk_close(b);
    test_file_free(path);
}

static void test_refused(void)
{
    struct err e = { "" };
    char *small = test_file("x", 1);
    g_assert_null(blk_open("d", "-hda", "/nonexistent", true, &e));
    g_assert_nonnull(strstr(e.msg, "-hda: cannot open '/nonexistent': No such file"));
    g_assert_null(blk_open("d", "-hda", "/tmp", true, &e));
    g_assert_nonnull(strstr(e.msg, "a directory"));
    g_assert_null(blk_open("d", "-hda", "/dev/null", true, &e));
    g_assert_null(blk_open("d", "-hda", small, true, &e));
    g_assert_nonnull(strstr(e.msg, "less than one disk sector"));
    blk_close(NULL);
    test_file_free(small);
}

/* -- every way to the host file ------------------------------------------------------------------------------------------ */

/* Random requests, several in flight, against a model; `options` as in -drive. */
static void run_options(const char *options, bool keeps)
{
    enum { SIZE = 256 * KiB, AT_ONCE = 8 };
    u8 *model = g_malloc(SIZE), *buf = g_malloc(AT_ONCE * 40000), *got = g_malloc(SIZE);
    struct err e = { "" };

    for (unsigned i = 0; i < SIZE; i++)
        model[i] = i * 13 >> 3;
    char *path = test_file(model, SIZE), *text = g_strdup_printf("file=%s,format=raw%s", path, options);
    struct opts *o = opts_parse(text, NULL, &e);
    struct blk *b = blk_open_opts("d", o, false, &e);
    g_test_message("%s", options);
    if (!b && strstr(e.msg, "Invalid argument")) { /* no O_DIRECT there */
        g_test_message("%s", e.msg);
        keeps = false;
    }
    for (unsigned i = 0; b && i < 200; i++) {
        struct result r[AT_ONCE] = { 0 };
        for (unsigned k = 0; k < AT_ONCE; k++) { /* each in a part of its own */
            u64 part = SIZE / AT_ONCE, off = g_test_rand_int_range(0, part - 1), len = g_test_rand_int_range(1, part - off);
            struct iovec v[2] = { { buf + k * 40000 + (i & 3), len / 2 }, { buf + k * 40000 + (i & 3) + len / 2, len - len / 2 } };
            for (u64 n = 0; n < len; n++)
                ((u8 *)v[0].iov_base)[n] = i + k + n;
            memcpy(model + k * part + off, v[0].iov_base, len);
            blk_submit(b, BLK_WRITE, k * part + off, v, 2, 0, g_test_rand_int_range(0, 8) ? 0 : BLK_FUA, on_done, &r[k]);
        }
        blk_drain(b);
        for (unsigned k = 0; k < AT_ONCE; k++)
            g_assert_true(r[k].done == 1 && r[k].ret == 0);
        if (i % 20 == 0) {
            g_assert_cmpint(submit(b, BLK_READ, 0, got, SIZE, 0), ==, 0);
            g_assert_cmpmem(got, SIZE, model, SIZE);
            g_assert_cmpint(submit(b, BLK_FLUSH, 0, NULL, 0, 0), ==, 0);
        }
    }
    if (b)
        blk_close(b);
    gsize len;
    char *now;
    g_assert_true(g_file_get_contents(path, &now, &len, NULL));
    g_assert_cmpuint(len, ==, SIZE);
    g_assert_true(!memcmp(now, model, SIZE) == keeps || !b);
    g_free(now);
    opts_free(o);
    g_free(text);
    test_file_free(path);
    g_free(model);
    g_free(got);
    g_free(buf);
}

static void test_ways(void)
{
    run_options("", true);
    run_options(",aio=threads", true);
    run_options(",cache=none", true);
    run_options(",cache=none,aio=threads", true);
    run_options(",cache=writethrough", true);
    run_options(",cache=unsafe,detect-zeroes=unmap,discard=unmap", true);
    run_options(",snapshot=on", false);
}

/* -- errors ---------------------------------------------------------------------------------------------------------------- */

static struct blk_driver failing;
static int failure;
static unsigned stops;

static int failing_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    return failure ? failure : blk_file.write(n, off, iov, n_iov, len);
}

static void on_stop(void *opaque)
{
    ++*(unsigned *)opaque;
}

static struct blk *open_failing(const char *path, const char *options)
{
    struct err e = { "" };
    char *text = g_strdup_printf("file=%s,format=raw%s", path, options);
    struct opts *o = opts_parse(text, NULL, &e);
    struct blk *b = blk_open_opts("d", o, false, &e);

    g_assert_nonnull(b);
    failing = blk_file;
    failing.write = failing_write;
    failing.map = NULL;
    b->root->file->drv = &failing;
    opts_free(o);
    g_free(text);
    return b;
}

static void test_errors(void)
{
    u8 data[4096] = { 1 }, buf[512] = { 7 };
    char *path = test_file(data, sizeof(data));
    struct iovec v = { buf, sizeof(buf) };
    struct result r = { 0 };
    struct blk_stats st;

    stops = 0;
    blk_set_stop_hook(on_stop, &stops);
    struct blk *b = open_failing(path, "");
    failure = -EIO; /* the default: reported, unless the disk is full */
    g_assert_cmpint(submit(b, BLK_WRITE, 0, buf, 512, 0), ==, -EIO);
    g_assert_cmpuint(stops, ==, 0);
    failure = -ENOSPC;
    blk_submit(b, BLK_WRITE, 512, &v, 1, 0, 0, on_done, &r);
    blk_drain_all();
    g_assert_cmpuint(stops, ==, 1);
    g_assert_cmpuint(r.done, ==, 0); /* the device sees nothing */
    blk_resume_all();
    blk_drain_all();
    g_assert_cmpuint(stops, ==, 2);  /* still full */
    g_assert_cmpuint(r.done, ==, 0);
    failure = 0;
    blk_resume_all();
    blk_drain_all();
    g_assert_true(r.done == 1 && r.ret == 0);
    g_assert_cmpint(blk_pread(b, 512, data, 512), ==, 0);
    g_assert_cmpuint(data[0], ==, 7);
    failure = -ENOSPC; /* a reset of the device ends the request */
    r = (struct result){ 0 };
    blk_submit(b, BLK_WRITE, 512, &v, 1, 0, 0, on_done, &r);
    blk_drain(b);
    g_assert_true(r.done == 1 && r.ret == -ENOSPC);
    blk_get_stats(b, &st);
    g_assert_cmpuint(st.of[BLK_STAT_WRITE].ops, ==, 1);
    g_assert_cmpuint(st.of[BLK_STAT_WRITE].failed, ==, 4);
    blk_close(b);
    b = open_failing(path, ",werror=ignore");
    g_assert_cmpint(submit(b, BLK_WRITE, 0, buf, 512, 0), ==, 0);
    blk_close(b);
    b = open_failing(path, ",werror=report");
    g_assert_cmpint(submit(b, BLK_WRITE, 0, buf, 512, 0), ==, -ENOSPC);
    g_assert_cmpuint(stops, ==, 3);
    blk_set_on_error(b, "auto", "ignore"); /* a device's word counts more */
    g_assert_cmpint(submit(b, BLK_WRITE, 0, buf, 512, 0), ==, 0);
    blk_set_on_error(b, NULL, "auto");
    g_assert_cmpint(submit(b, BLK_WRITE, 0, buf, 512, 0), ==, 0);
    blk_set_on_error(b, "report", "report");
    g_assert_cmpint(submit(b, BLK_WRITE, 0, buf, 512, 0), ==, -ENOSPC);
    blk_close(b);
    blk_set_stop_hook(NULL, NULL);
    test_file_free(path);
}

/* -- threads and limits ------------------------------------------------------------------------------------------------------ */

static int seen_tid;

static void on_done_thread(void *opaque, int ret)
{
    on_done(opaque, ret);
    __atomic_store_n(&seen_tid, (int)gettid(), __ATOMIC_SEQ_CST);
}

static void test_iothread(void)
{
    u8 data[4096] = { 1 }, buf[512];
    char *path = test_file(data, sizeof(data));
    struct err e = { "" };
    struct iothread *t = iothread_new("io", &e);
    struct iovec v = { buf, sizeof(buf) };
    struct result r = { 0 };
    struct lock lock;

    lock_init(&lock, "device", RANK_MACHINE);
    struct blk *b = blk_open("d", "-drive", path, false, &e);
    lock_acquire(&lock);
    g_assert_cmpint(blk_attach(b, NULL, NULL, &lock, BLK_WRITES, &e), ==, 0);
    blk_set_iothread(b, t);
    blk_submit(b, BLK_READ, 0, &v, 1, 0, 0, on_done_thread, &r);
    lock_release(&lock);
    for (bool done = false; !done;) {
        iothread_sync(t);
        lock_acquire(&lock);
        done = r.done;
        lock_release(&lock);
    }
    g_assert_cmpint(seen_tid, ==, iothread_tid(t));
    g_assert_cmpint(iothread_free("io", &e), ==, -1); /* in use */
    lock_acquire(&lock);
    blk_detach(b);
    lock_release(&lock);
    g_assert_cmpint(iothread_free("io", &e), ==, 0);
    g_assert_cmpint(submit(b, BLK_READ, 0, buf, 512, 0), ==, 0);
    blk_close(b);
    lock_fini(&lock);
    test_file_free(path);
}

static bool all_done(struct lock *l, const struct result *r, unsigned n)
{
    lock_acquire(l);
    bool all = r->done == n;
    lock_release(l);
    return all;
}

static void lock_drain(void *opaque, int ret)
{
    struct drainer *d = opaque;
    if (d->done++ % 3 == 0) { /* in the writer's thread, mostly; with more to write */
        static u8 more[512];
        struct iovec iov = { more, sizeof(more) };
        if (d->done < 60)
            blk_submit(d->b, BLK_WRITE, 0, &iov, 1, 0, 0, lock_drain, d), d->want++;
        blk_drain(d->b);
    }
}

/* A completion that drains, in whatever thread it comes. */
static void test_writer_drains(void)
{
    u8 *data = g_malloc0(8192), buf[16][512];
    char *path = test_file(data, 8192);
    struct err e = { "" };
    struct lock lock;

    lock_init(&lock, "device", RANK_MACHINE);
    for (unsigned round = 0; round < 200; round++) {
        struct blk *b = blk_open("d", "-drive", path, false, &e);
        struct drainer d = { .b = b, .want = 16 };
        lock_acquire(&lock);
        g_assert_cmpint(blk_attach(b, NULL, NULL, &lock, BLK_WRITES, &e), ==, 0);
        for (unsigned i = 0; i < 16; i++) {
            struct iovec iov = { memset(buf[i], round + i, 512), 512 };
            blk_submit(b, BLK_WRITE, i * 512, &iov, 1, 0, 0, lock_drain, &d);
        }
        for (bool done = false; !done;) {
            lock_release(&lock);
            g_main_context_iteration(NULL, FALSE);
            lock_acquire(&lock);
            done = d.done == d.want;
        }
        blk_detach(b);
        lock_release(&lock);
        blk_close(b);
    }
    lock_fini(&lock);
    g_free(data);
    test_file_free(path);
}

/* Buffered writes and reads from a device's lock, plugged or not, waited for or drained, and the back end goes at once. */
static void test_writer(void)
{
    enum { PIECE = 512, N = 24 };
    u8 *data = g_malloc0(N * PIECE), *want = g_malloc0(N * PIECE), buf[N][PIECE], in[PIECE];
    char *path = test_file(data, N * PIECE);
    struct err e = { "" };
    struct lock lock;

    lock_init(&lock, "device", RANK_MACHINE);
    for (unsigned round = 0; round < 400; round++) {
        struct blk *b = blk_open("d", "-drive", path, false, &e);
        struct result w = { 0 }, r = { 0 };
        struct iovec v = { in, PIECE };
        lock_acquire(&lock);
        g_assert_cmpint(blk_attach(b, NULL, NULL, &lock, BLK_WRITES, &e), ==, 0);
        if (round & 1)
            blk_plug(b);
        for (unsigned i = 0; i < N; i++) {
            struct iovec iov = { memset(buf[i], round + i, PIECE), PIECE };
            blk_submit(b, BLK_WRITE, i * PIECE, &iov, 1, 0, 0, on_done, &w);
        }
        blk_submit(b, BLK_READ, 0, &v, 1, 0, 0, on_done, &r);
        g_assert_cmpuint(r.done, ==, 0);
        if (round & 1) {
            blk_unplug(b);
            g_assert_cmpuint(r.done, ==, 1); /* it is in the page cache */
        }
        if (round & 2)
            blk_drain(b);
        lock_release(&lock);
        while (!all_done(&lock, &w, N) || !all_done(&lock, &r, 1))
            g_main_context_iteration(NULL, FALSE);
        g_assert_true(!w.ret && !r.ret);
        lock_acquire(&lock);
        blk_detach(b);
        lock_release(&lock);
        memcpy(want, buf, N * PIECE);
        g_assert_cmpint(blk_pread(b, 0, data, N * PIECE), ==, 0);
        g_assert_cmpmem(data, N * PIECE, want, N * PIECE);
        blk_close(b);
    }
    lock_fini(&lock);
    g_free(data);
    g_free(want);
    test_file_free(path);
}

static void test_limits(void)
{
    u8 data[4096] = { 1 }, buf[64][512];
    char *path = test_file(data, sizeof(data)), *text = g_strdup_printf("file=%s,format=raw,throttling.iops-total=100", path);
    struct err e = { "" };
    struct opts *o = opts_parse(text, NULL, &e);
    struct blk *b = blk_open_opts("d", o, false, &e);
    struct result r = { 0 };
    i64 start = g_get_monotonic_time(), at_once;

    g_assert_nonnull(b);
    for (unsigned i = 0; i < 40; i++) {
        struct iovec v = { buf[i], 512 };
        blk_submit(b, BLK_READ, 0, &v, 1, 0, 0, on_done, &r);
    }
    while (r.done < 40)
        g_main_context_iteration(NULL, TRUE);
    at_once = 11; /* a tenth of a second's worth, and one */
    g_assert_cmpint(g_get_monotonic_time() - start, >=, (40 - at_once - 1) * 10000);
    for (unsigned i = 40; i < 60; i++) { /* a drain does not wait for limits */
        struct iovec v = { buf[i], 512 };
        blk_submit(b, BLK_READ, 0, &v, 1, 0, 0, on_done, &r);
    }
    blk_drain(b);
    g_assert_cmpuint(r.done, ==, 60);
    blk_close(b);
    opts_free(o);
    g_free(text);
    test_file_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/blk/read", test_read);
    g_test_add_func("/blk/requests", test_requests);
    g_test_add_func("/blk/drain-inside", test_drain_inside);
    g_test_add_func("/blk/refused", test_refused);
    g_test_add_func("/blk/ways", test_ways);
    g_test_add_func("/blk/errors", test_errors);
    g_test_add_func("/blk/iothread", test_iothread);
    g_test_add_func("/blk/writer", test_writer);
    g_test_add_func("/blk/writer-drains", test_writer_drains);
    g_test_add_func("/blk/limits", test_limits);
    return g_test_run();
}
