/* Tests of cpu/debug.c: debug registers, breakpoints, single-step, alignment checks. */
#include <glib.h>
#include <setjmp.h>
#include "cpu/debug.h"
#include "tests/lib/pm_cpu.h"

static u64 begin(struct cpu *c, u64 a, u64 b, u64 d)
{
    debug_begin(c);
    return 0;
}

static u64 end(struct cpu *c, u64 a, u64 b, u64 d)
{
    debug_end(c);
    return 0;
}

static u64 access_data(struct cpu *c, u64 a, u64 b, u64 d)
{
    debug_check_data(c, a, (unsigned)b, (unsigned)d);
    return 0;
}

static struct pm_cpu *with_gates(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    pm_gate(p, EXC_DB, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_gate(p, EXC_AC, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    return p;
}

static void test_exec_breakpoint(void)
{
    struct pm_cpu *p = with_gates();
    struct cpu *c = p->c;
    pm_help(p, help_mov_to_dr, 0, PM_CODE, 0);
    pm_help(p, help_mov_to_dr, 7, 2, 0); /* G0, execute */
    g_assert_true(c->mode & MODE_SLOW);
    pm_help(p, begin, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_DB);
    g_assert_cmphex(c->dr[6], ==, DR6_FIXED | 1);
    g_assert_cmphex(pm_ld32(p, c->gpr[R_SP]), ==, PM_CODE);
    st32(p->ram + c->gpr[R_SP] + 8, 2 | F_RF); /* the handler resumes with RF */
    pm_help(p, help_iret, 4, 0, 0);
    g_assert_true(c->sysflags & F_RF);
    pm_help(p, begin, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    pm_help(p, end, 0, 0, 0);
    g_assert_false(c->sysflags & F_RF);
    pm_free(p);
}

static void test_data_breakpoint(void)
{
    struct pm_cpu *p = with_gates();
    struct cpu *c = p->c;
    c->dr[1] = 0x40004;
    pm_help(p, help_mov_to_dr, 7, 8 | 0xdu << 20, 0); /* G1: write, 4 bytes */
    pm_help(p, begin, 0, 0, 0);
    pm_help(p, access_data, 0x40004, 4, ACC_READ);
    pm_help(p, end, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    pm_help(p, begin, 0, 0, 0);
    pm_help(p, access_data, 0x40007, 2, ACC_WRITE);
    c->int_shadow = 2; /* had it been POP SS, it would wait */
    pm_help(p, end, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    c->int_shadow = 0;
    pm_help(p, begin, 0, 0, 0);
    pm_help(p, end, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_DB);
    g_assert_cmphex(c->dr[6] & 15, ==, 2);
    pm_free(p);
}

/* MOV SS delays instruction breakpoints on Intel's processors only; ICEBP behind it takes along what it delayed. */
static void test_shadow(void)
{
    static const struct { const char *cpu; int first; } vendor[] = { { "max", EXC_DB }, { "max,vendor=GenuineIntel", -1 } };
    for (unsigned i = 0; i < ARRAY_LEN(vendor); i++) {
        struct pm_cpu *p = pm_new(32, vendor[i].cpu);
        pm_gate(p, EXC_DB, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
        pm_help(p, help_mov_to_dr, 0, PM_CODE, 0);
        pm_help(p, help_mov_to_dr, 7, 2, 0);
        p->c->int_shadow = 2;
        pm_help(p, begin, 0, 0, 0);
        g_assert_cmpint(p->first, ==, vendor[i].first);
        pm_free(p);
    }
    struct pm_cpu *p = with_gates();
    p->c->db_pending = 2;
    pm_help(p, help_soft_int, EXC_DB, PM_CODE + 1, SOFT_INT1);
    pm_help(p, end, 0, 0, 0);
    g_assert_cmpuint(p->faults, ==, 0); /* nothing but the one INT1 */
    g_assert_cmphex(p->c->dr[6] & 15, ==, 2);
    pm_free(p);
}

static void test_single_step(void)
{
    struct pm_cpu *p = with_gates();
    struct cpu *c = p->c;
    pm_help(p, help_popf, F_TF | 2, 4, 0); /* POPF that sets TF: no trap after itself */
    g_assert_true(c->mode & MODE_STEP);
    pm_help(p, end, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    pm_help(p, begin, 0, 0, 0);
    pm_help(p, help_popf, 2, 4, 0); /* POPF that clears TF: trap after itself */
    c->rip = PM_CODE + 1;
    pm_help(p, end, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_DB);
    g_assert_cmphex(c->dr[6] & 0xe00f, ==, DR6_BS);
    g_assert_cmphex(pm_ld32(p, c->gpr[R_SP]), ==, PM_CODE + 1);
    pm_help(p, help_popf, F_TF | 2, 4, 0);
    pm_help(p, begin, 0, 0, 0);
    pm_gate(p, 0x40, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_help(p, help_soft_int, 0x40, PM_CODE + 2, SOFT_INTN);
    pm_help(p, end, 0, 0, 0); /* INT n clears TF: the handler runs freely */
    g_assert_cmpint(p->first, ==, -1);
    pm_free(p);
}

static void test_registers(void)
{
    struct pm_cpu *p = with_gates();
    struct cpu *c = p->c;
    pm_help(p, help_mov_to_dr, 6, 0xffffffff, 0);
    g_assert_cmphex(pm_help(p, help_mov_from_dr, 4, 0, 0), ==, DR6_FIXED | 0xe00f);
    c->cr4 |= CR4_DE;
    pm_gate(p, EXC_UD, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_help(p, help_mov_from_dr, 4, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_UD);
    pm_help(p, help_mov_to_dr, 7, DR7_GD, 0);
    pm_help(p, help_mov_from_dr, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_DB);
    g_assert_true(c->dr[6] & DR6_BD);
    g_assert_false(c->dr[7] & DR7_GD);
    pm_user(p);
    pm_help(p, help_mov_from_dr, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

static void test_alignment(void)
{
    struct pm_cpu *p = with_gates();
    struct cpu *c = p->c;
    c->cr0 |= CR0_AM;
    c->sysflags |= F_AC;
    cpu_update_mode(c);
    pm_help(p, access_data, 0x40001, 4, ACC_READ); /* CPL 0: no check */
    g_assert_cmpint(p->first, ==, -1);
    pm_user(p);
    pm_help(p, access_data, 0x40002, 4, ACC_READ);
    g_assert_cmpint(p->first, ==, EXC_AC);
    g_assert_cmphex(p->first_error, ==, 0);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/debug/exec", test_exec_breakpoint);
    g_test_add_func("/cpu/debug/data", test_data_breakpoint);
    g_test_add_func("/cpu/debug/shadow", test_shadow);
    g_test_add_func("/cpu/debug/step", test_single_step);
    g_test_add_func("/cpu/debug/registers", test_registers);
    g_test_add_func("/cpu/debug/alignment", test_alignment);
    return g_test_run();
}
