/* Tests util/opts.c: the comma syntax, JSON, typed reads, sub-lists, and that unused options are found. */
#include "util/opts.h"
#include <glib.h>

static void test_pairs(void)
{
    struct err e = { "" };
    struct opts *o = opts_parse("a,,b.img,if=ide,ro,x=1=2,if=scsi", "file", &e);
    g_assert_nonnull(o);
    g_assert_cmpstr(opts_get(o, "file"), ==, "a,b.img");
    g_assert_cmpstr(opts_get(o, "if"), ==, "scsi");
    g_assert_cmpstr(opts_get(o, "ro"), ==, "on");
    g_assert_cmpint(opts_all_used(o, &e), ==, -1);
    g_assert_nonnull(strstr(e.msg, "'x'"));
    g_assert_cmpstr(opts_peek(o, "x"), ==, "1=2");
    g_assert_cmpint(opts_all_used(o, &e), ==, -1);
    opts_get(o, "x");
    g_assert_cmpint(opts_all_used(o, &e), ==, 0);
    g_assert_null(opts_get(o, "nothing"));
    opts_free(o);
    g_assert_null(opts_parse("=5", NULL, &e));
    o = opts_parse("", "file", &e);
    g_assert_cmpuint(opts_count(o), ==, 0);
    opts_free(o);
}

static void test_json(void)
{
    struct err e = { "" };
    struct opts *o = opts_parse("{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"/x,y\"},\"n\":-3,\"ro\":true,"
                                "\"none\":null,\"list\":[1,{\"a\":\"b\"}]}", NULL, &e), *sub;
    g_assert_nonnull(o);
    g_assert_cmpuint(opts_count(o), ==, 8);
    g_assert_cmpstr(opts_get(o, "file.filename"), ==, "/x,y");
    g_assert_cmpstr(opts_get(o, "ro"), ==, "on");
    g_assert_cmpstr(opts_get(o, "n"), ==, "-3");
    g_assert_cmpstr(opts_get(o, "none"), ==, "");
    g_assert_cmpstr(opts_get(o, "list.1.a"), ==, "b");
    g_assert_true(opts_has(o, "file"));
    g_assert_false(opts_has(o, "fil"));
    sub = opts_sub(o, "file");
    g_assert_cmpuint(opts_count(sub), ==, 2);
    g_assert_cmpstr(opts_get(sub, "driver"), ==, "file");
    opts_free(sub);
    opts_free(o);
    g_assert_null(opts_parse("{\"a\":", NULL, &e));
    g_assert_nonnull(strstr(e.msg, "JSON"));
}

static void test_id(void)
{
    static const char *const good[] = { "a", "Net0", "a-b.c_9" }, *const bad[] = { "", "0a", "-", "a b", "a/b", "#a", "\xc3\xa4" };
    struct err e;

    for (unsigned i = 0; i < ARRAY_LEN(good); i++)
        g_assert_cmpint(id_check(good[i], &e), ==, 0);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        g_assert_cmpint(id_check(bad[i], &e), ==, -1);
}

static void test_typed(void)
{
    static const char *const words[] = { "ide", "scsi", NULL };
    struct err e = { "" };
    struct opts *o = opts_parse("b=off,n=0x10,s=1.5K,w=scsi,bad=zz,neg=-1,big=99999999999999999999", NULL, &e);
    bool b;
    u64 n;
    int w;
    g_assert_cmpint(opts_bool(o, "b", true, &b, &e), ==, 0);
    g_assert_false(b);
    g_assert_cmpint(opts_bool(o, "absent", true, &b, &e), ==, 0);
    g_assert_true(b);
    g_assert_cmpint(opts_bool(o, "bad", true, &b, &e), ==, -1);
    g_assert_cmpint(opts_uint(o, "n", 0, 1, 16, &n, &e), ==, 0);
    g_assert_cmpuint(n, ==, 16);
    g_assert_cmpint(opts_uint(o, "n", 0, 1, 15, &n, &e), ==, -1);
    g_assert_nonnull(strstr(e.msg, "n=0x10"));
    g_assert_cmpint(opts_uint(o, "neg", 0, 0, ~0ull, &n, &e), ==, -1);
    g_assert_cmpint(opts_uint(o, "big", 0, 0, ~0ull, &n, &e), ==, -1);
    g_assert_cmpint(opts_size(o, "s", 0, &n, &e), ==, 0);
    g_assert_cmpuint(n, ==, 1536);
    g_assert_cmpint(opts_size(o, "bad", 0, &n, &e), ==, -1);
    g_assert_cmpint(opts_enum(o, "w", words, 0, &w, &e), ==, 0);
    g_assert_cmpint(w, ==, 1);
    g_assert_cmpint(opts_enum(o, "bad", words, 0, &w, &e), ==, -1);
    g_assert_nonnull(strstr(e.msg, "ide, scsi"));
    opts_free(o);
}

static void test_sizes(void)
{
    u64 n;
    g_assert_cmpint(size_parse("512", MiB, &n), ==, 0);
    g_assert_cmpuint(n, ==, 512 * MiB);
    g_assert_cmpint(size_parse("2g", 1, &n), ==, 0);
    g_assert_cmpuint(n, ==, 2 * GiB);
    g_assert_cmpint(size_parse("0x200", 1, &n), ==, 0);
    g_assert_cmpuint(n, ==, 512);
    static const char *const bad[] = { "", "x", "-1", "1X", "1KK", "17179869184G", "1.5.2" };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        g_assert_cmpint(size_parse(bad[i], 1, &n), ==, -1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/opts/pairs", test_pairs);
    g_test_add_func("/opts/json", test_json);
    g_test_add_func("/opts/typed", test_typed);
    g_test_add_func("/opts/id", test_id);
    g_test_add_func("/opts/sizes", test_sizes);
    return g_test_run();
}
