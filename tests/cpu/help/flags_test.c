/* Tests of cpu/help/flags.c: who may change which flag, the virtual interrupt flag, shadows. */
#include <glib.h>
#include "tests/lib/pm_cpu.h"

static struct pm_cpu *with_gate(unsigned bits)
{
    struct pm_cpu *p = pm_new(bits, NULL);
    pm_gate(p, EXC_GP, SYS_INT32, 0, bits == 64 ? SEL_C0_64 : SEL_C0, PM_HANDLER, 0);
    return p;
}

static void test_popf_privilege(void)
{
    struct pm_cpu *p = with_gate(64);
    struct cpu *c = p->c;
    pm_help(p, help_popf, ~0ull, 8, 0);
    g_assert_cmphex(cpu_rflags(c), ==, F_ARITH | F_TF | F_IF | F_DF | F_IOPL | F_NT | F_AC | F_ID | 2);
    pm_help(p, help_popf, 0, 8, 0);
    g_assert_cmphex(cpu_rflags(c), ==, 2);
    pm_help(p, help_popf, F_AC | F_ID | F_CF, 2, 0); /* 16 bits */
    g_assert_cmphex(cpu_rflags(c), ==, F_CF | 2);
    c->iflag = 1;
    pm_user(p);
    pm_help(p, help_popf, F_IOPL, 8, 0); /* CPL 3, IOPL 0: neither IF nor IOPL change, silently */
    g_assert_cmphex(cpu_rflags(c), ==, F_IF | 2);
    c->sysflags |= F_IOPL;
    cpu_update_mode(c);
    pm_help(p, help_popf, 0, 8, 0); /* IOPL 3: IF does */
    g_assert_cmphex(cpu_rflags(c), ==, F_IOPL | 2);
    g_assert_cmphex(pm_help(p, help_pushf_val, 8, 0, 0), ==, F_IOPL | 2);
    pm_free(p);
}

static void test_cli_sti(void)
{
    struct pm_cpu *p = with_gate(32);
    struct cpu *c = p->c;
    pm_help(p, help_sti, 0, 0, 0);
    g_assert_cmpuint(c->int_shadow, ==, 1);
    c->int_shadow = 0;
    pm_help(p, help_sti, 0, 0, 0); /* IF was set already: no shadow */
    g_assert_cmpuint(c->int_shadow, ==, 0);
    pm_help(p, help_cli, 0, 0, 0);
    g_assert_cmpuint(c->iflag, ==, 0);
    pm_user(p);
    pm_help(p, help_sti, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

/* CR4.PVI: CLI and STI at CPL 3 move VIF. */
static void test_pvi(void)
{
    struct pm_cpu *p = with_gate(32);
    struct cpu *c = p->c;
    c->cr4 |= CR4_PVI;
    c->iflag = 1;
    pm_user(p);
    pm_help(p, help_sti, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_true(c->sysflags & F_VIF);
    pm_help(p, help_cli, 0, 0, 0);
    g_assert_false(c->sysflags & F_VIF);
    g_assert_cmpuint(c->iflag, ==, 1);
    c->sysflags |= F_VIP;
    pm_help(p, help_sti, 0, 0, 0); /* something is pending */
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/help/flags/popf", test_popf_privilege);
    g_test_add_func("/cpu/help/flags/cli-sti", test_cli_sti);
    g_test_add_func("/cpu/help/flags/pvi", test_pvi);
    return g_test_run();
}
