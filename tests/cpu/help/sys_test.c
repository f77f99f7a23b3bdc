/* Tests of cpu/help/sys.c: HLT, MWAIT, hypercalls, RDPMC. */
#include <glib.h>
#include "tests/lib/pm_cpu.h"

static void test_hlt(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    pm_gate(p, 0x40, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    pm_help(p, help_hlt, PM_CODE + 1, 0, 0);
    g_assert_true(p->c->halted);
    g_assert_cmphex(p->c->rip, ==, PM_CODE + 1);
    pm_interrupt(p, 0x40);
    g_assert_false(p->c->halted);
    pm_user(p);
    pm_help(p, help_hlt, PM_CODE + 1, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    g_assert_false(p->c->halted);
    pm_free(p);
}

static void test_mwait(void)
{
    struct pm_cpu *p = pm_new(64, "max,+monitor");
    pm_gate(p, EXC_UD, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    pm_help(p, help_mwait, PM_CODE + 3, 0, 0); /* nothing is monitored: at once */
    g_assert_cmpuint(p->mwaits, ==, 0);
    st32(p->ram + 0x40040, 0x12345678);
    pm_help(p, help_monitor, 0x40044, 0, 0);
    g_assert_cmphex(p->c->monitor_gpa, ==, 0x40040);
    g_assert_cmphex(ld32(p->c->monitor_was), ==, 0x12345678);
    pm_help(p, help_mwait, PM_CODE + 3, 0, 0);
    g_assert_cmpuint(p->mwaits, ==, 1);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(p->c->rip, ==, PM_CODE + 3);
    g_assert_false(p->c->halted);
    pm_help(p, help_mwait, PM_CODE + 3, 0, 0); /* the monitor is spent */
    g_assert_cmpuint(p->mwaits, ==, 1);
    pm_help(p, help_monitor, 0x40044, 0, 0);
    p->c->gpr[R_CX] = 1;
    pm_help(p, help_mwait, PM_CODE + 3, 0, 0);
    g_assert_cmpuint(p->mwaits, ==, 101);
    pm_user(p);
    pm_help(p, help_mwait, PM_CODE + 3, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_UD);
    pm_free(p);
}

static void test_hypercall(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    p->c->gpr[R_AX] = 99;
    pm_help(p, help_vmcall, 0, 0, 0);
    g_assert_cmpint((i64)p->c->gpr[R_AX], ==, -1000);
    pm_user(p);
    pm_help(p, help_vmcall, 0, 0, 0);
    g_assert_cmpint((i64)p->c->gpr[R_AX], ==, -1);
    pm_free(p);
    p = pm_new(64, "max,kvm=off");
    pm_gate(p, EXC_UD, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    pm_help(p, help_vmcall, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_UD);
    pm_free(p);
}

static void test_rdpmc(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    p->c->gpr[R_CX] = 5;
    p->c->pmu.ctr[5] = 0x123456789abcull;
    pm_help(p, help_rdpmc, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(p->c->gpr[R_AX], ==, 0x56789abc);
    g_assert_cmphex(p->c->gpr[R_DX], ==, 0x1234);
    p->c->gpr[R_CX] = 6;
    pm_help(p, help_rdpmc, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    p->c->gpr[R_CX] = 0;
    pm_user(p);
    pm_help(p, help_rdpmc, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_user(p);
    p->c->cr4 |= CR4_PCE;
    pm_help(p, help_rdpmc, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/help/sys/hlt", test_hlt);
    g_test_add_func("/cpu/help/sys/mwait", test_mwait);
    g_test_add_func("/cpu/help/sys/hypercall", test_hypercall);
    g_test_add_func("/cpu/help/sys/rdpmc", test_rdpmc);
    return g_test_run();
}
