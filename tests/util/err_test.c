/* Tests util/err.c: formatting, prefixes, and messages longer than the buffer. */
#include "util/err.h"
#include <glib.h>

static void test_set(void)
{
    struct err e;

    g_assert_cmpint(err_set(&e, "-m %d: no", 0), ==, -1);
    g_assert_cmpstr(e.msg, ==, "-m 0: no");
    g_assert_cmpint(err_prefix(&e, "line %d", 7), ==, -1);
    g_assert_cmpstr(e.msg, ==, "line 7: -m 0: no");
    g_assert_cmpint(err_set(NULL, "nobody listens"), ==, -1);
    g_assert_cmpint(err_prefix(NULL, "nobody"), ==, -1);
}

static void test_long(void)
{
    char text[2000];
    struct err e;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    err_set(&e, "%s", text);
    g_assert_cmpuint(strlen(e.msg), ==, sizeof(e.msg) - 1);
    err_prefix(&e, "%s", text);
    g_assert_cmpuint(strlen(e.msg), ==, sizeof(e.msg) - 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/err/set", test_set);
    g_test_add_func("/err/long", test_long);
    return g_test_run();
}
