/* Raw images: size, reads within and past the end, files that are refused. */
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
    struct blk *b = blk_open("-hda", path, &e);
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

static void test_refused(void)
{
    struct err e = { "" };
    char *small = test_file("x", 1);
    g_assert_null(blk_open("-hda", "/nonexistent", &e));
    g_assert_nonnull(strstr(e.msg, "-hda: cannot open '/nonexistent': No such file"));
    g_assert_null(blk_open("-hda", "/tmp", &e));
    g_assert_nonnull(strstr(e.msg, "a directory"));
    g_assert_null(blk_open("-hda", "/dev/null", &e));
    g_assert_null(blk_open("-hda", small, &e));
    g_assert_nonnull(strstr(e.msg, "less than one disk sector"));
    blk_close(NULL);
    test_file_free(small);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/blk/read", test_read);
    g_test_add_func("/blk/refused", test_refused);
    return g_test_run();
}
