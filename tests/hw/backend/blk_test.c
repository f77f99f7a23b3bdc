/* Raw images: size, reads within and past the end, requests of every kind, files that are refused. */
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "tests/lib/test_pc.h"

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
    g_assert_cmpint(blk_attach(b, NULL, NULL, NULL, true, &e), ==, -1);
    g_assert_cmpint(blk_attach(b, NULL, NULL, NULL, false, &e), ==, 0);
    g_assert_cmpint(blk_attach(b, NULL, NULL, NULL, false, &e), ==, -1);
    blk_detach(b);
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/blk/read", test_read);
    g_test_add_func("/blk/requests", test_requests);
    g_test_add_func("/blk/refused", test_refused);
    return g_test_run();
}
