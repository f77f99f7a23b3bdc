/* Tests of cpu/fault.c: what memory accesses of helpers raise. */
#include <glib.h>
#include "tests/lib/pm_cpu.h"

static u64 load(struct cpu *c, u64 a, u64 b, u64 d) { return cpu_ld(c, a, (unsigned)b); }
static u64 store(struct cpu *c, u64 a, u64 b, u64 d)
{
    cpu_st(c, a, b, (unsigned)d);
    return 0;
}
static u64 load_acc(struct cpu *c, u64 a, u64 b, u64 d) { return cpu_ld_acc(c, a, 8, (unsigned)b); }
static u64 copy(struct cpu *c, u64 a, u64 b, u64 d)
{
    u8 buf[100];
    cpu_ld_bytes(c, a, buf, sizeof(buf));
    cpu_st_bytes(c, b, buf, sizeof(buf));
    return 0;
}

static struct pm_cpu *with_gates(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    for (unsigned v = EXC_SS; v <= EXC_PF; v++)
        pm_gate(p, v, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 1);
    return p;
}

static void test_access(void)
{
    struct pm_cpu *p = with_gates();
    pm_help(p, store, 0x40ffe, 0x1122334455667788ull, 8); /* crosses a page */
    g_assert_cmphex(pm_help(p, load, 0x40ffe, 8, 0), ==, 0x1122334455667788ull);
    g_assert_cmphex(pm_help(p, load, 0x41000, 1, 0), ==, 0x66);
    memset(p->ram + 0x40fc0, 0x5a, 100);
    pm_help(p, copy, 0x40fc0, 0x50ff0, 0);
    g_assert_cmpmem(p->ram + 0x50ff0, 100, p->ram + 0x40fc0, 100);
    pm_free(p);
}

static void test_page_fault(void)
{
    struct pm_cpu *p = with_gates();
    fake_cpu_map(p->f, 0x60000, 3); /* supervisor */
    fake_cpu_map(p->f, 0x61000, 0);
    fake_cpu_map(p->f, 0x62000, 5); /* read-only */
    pm_help(p, load, 0x61010, 4, 0);
    g_assert_cmpint(p->first, ==, EXC_PF);
    g_assert_cmphex(p->first_error, ==, 0);
    g_assert_cmphex(p->c->cr2, ==, 0x61010);
    pm_help(p, store, 0x62004, 1, 4);
    g_assert_cmphex(p->first_error, ==, 3); /* CR0.WP */
    pm_user(p);
    pm_help(p, load, 0x60008, 4, 0);
    g_assert_cmphex(p->first_error, ==, 5);
    pm_user(p);
    pm_help(p, store, 0x60ffe, 0, 4); /* nothing is written when the second page fails */
    g_assert_cmphex(p->first_error, ==, 7);
    pm_user(p);
    st16(p->ram + 0x5fffe, 0xabcd);
    pm_help(p, store, 0x5fffe, 0, 4);
    g_assert_cmphex(p->c->cr2, ==, 0x60000);
    g_assert_cmphex(pm_ld16(p, 0x5fffe), ==, 0xabcd);
    pm_free(p);
}

static void test_non_canonical(void)
{
    struct pm_cpu *p = with_gates();
    pm_help(p, load, 1ull << 47, 8, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    g_assert_cmphex(p->first_error, ==, 0);
    pm_help(p, load_acc, 1ull << 47, ACC_READ | ACC_STACK, 0);
    g_assert_cmpint(p->first, ==, EXC_SS);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/fault/access", test_access);
    g_test_add_func("/cpu/fault/page", test_page_fault);
    g_test_add_func("/cpu/fault/non-canonical", test_non_canonical);
    return g_test_run();
}
