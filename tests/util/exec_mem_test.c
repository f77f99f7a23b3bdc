/* Executable memory: code written in one view runs in the other, placement near an address. Test thread. */
#include "util/exec_mem.h"
#include <glib.h>
#include "util/err.h"

static void test_run(void)
{
    static const u8 code[] = { 0x8d, 0x47, 0x2a, 0xc3 }; /* lea eax, [rdi + 42]; ret */
    struct exec_mem m;
    struct err e;
    g_assert_cmpint(exec_mem_init(&m, 5000, NULL, &e), ==, 0);
    g_assert_cmpuint(m.size, ==, 8192);
    g_assert_true(m.rw != m.rx);
    memcpy(m.rw + 100, code, sizeof(code));
    u8 *at = exec_mem_rx(&m, m.rw + 100);
    g_assert_true(exec_mem_rw(&m, at) == m.rw + 100);
    g_assert_true(exec_mem_owns(&m, at) && !exec_mem_owns(&m, m.rx + 8192) && !exec_mem_owns(&m, m.rx - 1));
    int (*fn)(int);
    memcpy(&fn, &at, sizeof(fn));
    g_assert_cmpint(fn(7), ==, 49);
    exec_mem_fini(&m);
    g_assert_null(m.rx);
    exec_mem_fini(&m);
}

static void test_near(void)
{
    struct exec_mem m;
    struct err e;
    g_assert_cmpint(exec_mem_init(&m, 64 * MiB, (void *)test_near, &e), ==, 0);
    g_assert_true(exec_mem_reaches(&m, (void *)test_near));
    g_assert_false(exec_mem_reaches(&m, m.rx + (1ull << 32)));
    exec_mem_fini(&m);
}

static void test_too_large(void)
{
    struct exec_mem m;
    struct err e;
    g_assert_cmpint(exec_mem_init(&m, 1ull << 60, NULL, &e), ==, -1);
    g_assert_nonnull(strstr(e.msg, "executable memory"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/exec-mem/run", test_run);
    g_test_add_func("/exec-mem/near", test_near);
    g_test_add_func("/exec-mem/too-large", test_too_large);
    return g_test_run();
}
