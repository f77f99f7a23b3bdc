/* Tests of cpu/help/far.c, cpu/help/fast.c and cpu/task.c: far jumps, calls, gates, returns, SYSCALL, task switches. */
#include <glib.h>
#include "cpu/debug.h"
#include "tests/lib/pm_cpu.h"

#define LEN7 (7 << 8)

static void gates(struct pm_cpu *p)
{
    for (unsigned v = EXC_DB; v <= EXC_PF; v++)
        pm_gate(p, v, SYS_INT32, 0, cpu_is_lma(p->c) ? SEL_C0_64 : SEL_C0, PM_HANDLER, 0);
}

static void test_real(void)
{
    struct pm_cpu *p = pm_new(16, NULL);
    struct cpu *c = p->c;
    pm_help(p, help_far_call, 0x200, 0x10, 2 | 5 << 8);
    g_assert_cmphex(c->seg[S_CS].base, ==, 0x2000);
    g_assert_cmphex(c->rip, ==, 0x10);
    g_assert_cmphex(pm_ld16(p, 0x7ffc), ==, 0x1005);
    pm_help(p, help_far_ret, 4, 2, 0);
    g_assert_cmphex(c->rip, ==, 0x1005);
    g_assert_cmphex(c->gpr[R_SP], ==, 0x8004);
    pm_help(p, help_far_jmp, 0, 0x10000, 4 | 8 << 8);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

static int jmp(struct pm_cpu *p, u16 sel, u64 off)
{
    struct cpu saved = *p->c;
    pm_help(p, help_far_jmp, sel, off, 4 | LEN7);
    int first = p->first;
    if (first >= 0)
        *p->c = saved;
    return first;
}

static void test_direct(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    gates(p);
    g_assert_cmpint(jmp(p, 0, 0), ==, EXC_GP);
    g_assert_cmpint(jmp(p, SEL_C3, 0), ==, EXC_GP);
    g_assert_cmpint(jmp(p, SEL_C0 | 3, 0), ==, EXC_GP);
    g_assert_cmpint(jmp(p, SEL_D0, 0), ==, EXC_GP);
    g_assert_cmpint(jmp(p, SEL_NP, 0), ==, EXC_NP);
    g_assert_cmpint(jmp(p, SEL_C0_16, 0x10000), ==, EXC_GP);
    g_assert_cmpint(jmp(p, SEL_C0_16, 0x1000), ==, -1);
    g_assert_cmphex(p->c->mode & MODE_SIZE, ==, MODE_16);
    g_assert_cmpint(jmp(p, SEL_C0, 0x1000), ==, -1);
    pm_user(p);
    g_assert_cmpint(jmp(p, SEL_CONF, 0x2000), ==, -1); /* conforming: CPL stays 3 */
    g_assert_cmphex(p->c->seg[S_CS].sel, ==, SEL_CONF | 3);
    g_assert_cmpuint(cpu_cpl(p->c), ==, 3);
    pm_free(p);
}

static void test_call_gate(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    gates(p);
    st32(p->ram + PM_GDT + SEL_GATE, 0x1000 | SEL_C0 << 16);
    st32(p->ram + PM_GDT + SEL_GATE + 4, 0x0002ec02); /* offset 0x21000, DPL 3, two parameters */
    pm_user(p);
    c->gpr[R_SP] = PM_STACK3 - 8;
    st32(p->ram + PM_STACK3 - 8, 0x1111);
    st32(p->ram + PM_STACK3 - 4, 0x2222);
    pm_help(p, help_far_call, SEL_GATE | 3, 0, 4 | LEN7);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmpuint(cpu_cpl(c), ==, 0);
    g_assert_cmphex(c->rip, ==, 0x21000);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK0 - 24);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 24), ==, PM_CODE + 7);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 20), ==, SEL_C3 | 3);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 16), ==, 0x1111);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 12), ==, 0x2222);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 8), ==, PM_STACK3 - 8);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 4), ==, SEL_D3 | 3);
    pm_help(p, help_far_ret, 8, 4, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmpuint(cpu_cpl(c), ==, 3);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK3);
    g_assert_cmphex(c->rip, ==, PM_CODE + 7);
    pm_free(p);
}

static void test_call_gate_64(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct cpu *c = p->c;
    gates(p);
    st32(p->ram + PM_GDT + SEL_GATE, 0x1000 | SEL_C0_64 << 16);
    st32(p->ram + PM_GDT + SEL_GATE + 4, 0x0002ec00);
    st64(p->ram + PM_GDT + SEL_GATE + 8, 0);
    pm_user(p);
    pm_help(p, help_far_call, SEL_GATE | 3, 0, 4 | LEN7);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK0 - 32);
    g_assert_cmphex(pm_ld64(p, PM_STACK0 - 32), ==, PM_CODE + 7);
    g_assert_cmphex(c->seg[S_SS].sel, ==, 0);
    pm_help(p, help_far_ret, 0, 8, 0);
    g_assert_cmpuint(cpu_cpl(c), ==, 3);
    pm_free(p);
}

/* Compatibility mode and back, by far jump. */
static void test_compat(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    gates(p);
    g_assert_cmpint(jmp(p, SEL_C0, PM_CODE), ==, -1);
    g_assert_cmphex(p->c->mode & (MODE_SIZE | MODE_LMA), ==, MODE_32 | MODE_LMA);
    g_assert_cmpint(jmp(p, SEL_C0_64, PM_CODE), ==, -1);
    g_assert_cmphex(p->c->mode & MODE_SIZE, ==, MODE_64);
    g_assert_cmpint(jmp(p, SEL_TSS64, 0), ==, EXC_GP);
    pm_desc(p, SEL_C1, 0, 0xffffffffu, 0xe09a); /* L and D */
    g_assert_cmpint(jmp(p, SEL_C1, 0), ==, EXC_GP);
    pm_free(p);
}

static void test_syscall(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct cpu *c = p->c;
    gates(p);
    c->star = (u64)SEL_C0 << 32 | 0x2bull << 48;
    c->lstar = 0xffffffff81000000ull;
    c->sfmask = F_IF | F_TF | F_AC;
    pm_user(p);
    cpu_set_rflags(c, F_IF | F_AC | F_CF | 2);
    pm_help(p, help_syscall, PM_CODE + 2, 0, 0);
    g_assert_cmphex(c->rip, ==, c->lstar);
    g_assert_cmphex(c->gpr[R_CX], ==, PM_CODE + 2);
    g_assert_cmphex(c->gpr[R_11], ==, F_IF | F_AC | F_CF | 2);
    g_assert_cmphex(cpu_rflags(c), ==, F_CF | 2);
    g_assert_cmphex(c->seg[S_CS].sel, ==, SEL_C0);
    g_assert_cmphex(c->seg[S_SS].sel, ==, SEL_C0 + 8);
    g_assert_cmpuint(cpu_cpl(c), ==, 0);
    g_assert_true(cpu_is64(c));
    pm_help(p, help_sysret, 8, 0, 0);
    g_assert_cmphex(c->rip, ==, PM_CODE + 2);
    g_assert_cmphex(c->seg[S_CS].sel, ==, 0x3b);
    g_assert_cmphex(c->seg[S_SS].sel, ==, 0x33);
    g_assert_cmpuint(cpu_cpl(c), ==, 3);
    g_assert_cmphex(cpu_rflags(c), ==, F_IF | F_AC | F_CF | 2);
    c->efer &= ~(u64)EFER_SCE;
    pm_help(p, help_syscall, PM_CODE + 2, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_UD);
    pm_free(p);
}

/* From and to compatibility mode: AMD processors take SYSCALL there, and go to CSTAR; Intel's do not. */
static void test_syscall_compat(void)
{
    static const char *const models[] = { "max", "Haswell" };
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        struct pm_cpu *p = pm_new(64, models[i]);
        struct cpu *c = p->c;
        gates(p);
        c->star = (u64)SEL_C0 << 32 | (u64)(SEL_C3 | 3) << 48;
        c->cstar = 0xffffffff82000000ull;
        pm_user(p);
        u64 frame[5] = { PM_CODE, SEL_C3 | 3, F_IF | 2, PM_STACK3, SEL_D3 | 3 };
        memcpy(p->ram + PM_STACK0 - 40, frame, sizeof(frame));
        pm_interrupt(p, EXC_BP); /* to CPL 0 by any way */
        c->gpr[R_SP] = PM_STACK0 - 40;
        memcpy(p->ram + PM_STACK0 - 40, frame, sizeof(frame));
        pm_help(p, help_iret, 8, 0, 0);
        g_assert_cmpint(p->first, ==, -1);
        g_assert_cmphex(c->mode & (MODE_SIZE | MODE_LMA | MODE_CPL), ==, MODE_32 | MODE_LMA | 3);
        pm_help(p, help_syscall, PM_CODE + 2, 0, 0);
        if (i == 1) {
            g_assert_cmpint(p->first, ==, EXC_UD);
        } else {
            g_assert_cmphex(c->rip, ==, c->cstar);
            g_assert_true(cpu_is64(c));
            pm_help(p, help_sysret, 4, 0, 0);
            g_assert_cmphex(c->rip, ==, PM_CODE + 2);
            g_assert_cmphex(c->mode & (MODE_SIZE | MODE_CPL), ==, MODE_32 | 3);
            g_assert_cmphex(c->seg[S_CS].sel, ==, SEL_C3 | 3);
        }
        pm_free(p);
    }
}

static void test_sysenter(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    gates(p);
    pm_user(p);
    pm_help(p, help_sysenter, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP); /* SYSENTER_CS is 0 */
    c->sysenter_cs = SEL_C0;
    c->sysenter_eip = 0x1234;
    c->sysenter_esp = 0x5678;
    pm_user(p);
    pm_help(p, help_sysenter, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->rip, ==, 0x1234);
    g_assert_cmphex(c->gpr[R_SP], ==, 0x5678);
    g_assert_cmpuint(cpu_cpl(c), ==, 0);
    c->gpr[R_CX] = PM_STACK3;
    c->gpr[R_DX] = PM_CODE;
    pm_help(p, help_sysexit, 4, 0, 0);
    g_assert_cmphex(c->seg[S_CS].sel, ==, SEL_C0 + 16 + 3);
    g_assert_cmpuint(cpu_cpl(c), ==, 3);
    pm_free(p);
    p = pm_new(64, "max");
    gates(p);
    p->c->sysenter_cs = SEL_C0;
    pm_help(p, help_sysenter, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_UD); /* AMD, long mode */
    pm_free(p);
}

/* --- tasks --- */
static void make_task(struct pm_cpu *p, u16 cs, u16 ds)
{
    u8 *t = p->ram + PM_TSS_B;
    st32(t + 0x20, PM_CODE + 0x100);
    st32(t + 0x24, 2);
    st32(t + 0x38, PM_STACK0 - 0x400);
    st32(t + 0x48, ds);
    st32(t + 0x4c, cs);
    st32(t + 0x50, SEL_D0);
    st32(t + 0x54, ds);
}

static void test_task_jmp(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    gates(p);
    make_task(p, SEL_C0, SEL_D3);
    c->dr[7] |= 0x3;
    c->gpr[R_DI] = 0x77;
    pm_help(p, help_far_jmp, SEL_TSS_B, 0, 4 | LEN7);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->tr.sel, ==, SEL_TSS_B);
    g_assert_cmphex(c->tr.attr, ==, 0x8b);
    g_assert_cmphex(p->ram[PM_GDT + SEL_TSS_A + 5], ==, 0x89);
    g_assert_cmphex(p->ram[PM_GDT + SEL_TSS_B + 5], ==, 0x8b);
    g_assert_cmphex(pm_ld32(p, PM_TSS_A + 0x20), ==, PM_CODE + 7);
    g_assert_cmphex(pm_ld32(p, PM_TSS_A + 0x44), ==, 0x77);
    g_assert_cmphex(c->dr[7] & 0xff, ==, 2); /* local enables are cleared */
    g_assert_false(c->sysflags & F_NT);
    pm_help(p, help_far_jmp, SEL_TSS_B, 0, 4 | LEN7); /* busy */
    g_assert_cmpint(p->first, ==, EXC_GP);
    g_assert_cmphex(p->first_error, ==, SEL_TSS_B);
    pm_free(p);
}

/* A wrong segment in the new TSS faults in the new task. */
static void test_task_bad_segment(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    pm_gate(p, EXC_TS, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    make_task(p, SEL_C0, SEL_TSS_A);
    pm_help(p, help_far_jmp, SEL_TSS_B, 0, 4 | LEN7);
    g_assert_cmpint(p->first, ==, EXC_TS);
    g_assert_cmphex(p->first_error, ==, SEL_TSS_A);
    g_assert_cmphex(c->tr.sel, ==, SEL_TSS_B);
    g_assert_cmphex(pm_ld32(p, c->gpr[R_SP] + 4), ==, PM_CODE + 0x100);
    pm_free(p);
    p = pm_new(32, NULL);
    pm_gate(p, EXC_TS, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    make_task(p, SEL_C0, SEL_D0);
    pm_desc(p, SEL_TSS_B, PM_TSS_B, 0x66, 0x89); /* too short: faults in the old task */
    pm_help(p, help_far_jmp, SEL_TSS_B, 0, 4 | LEN7);
    g_assert_cmpint(p->first, ==, EXC_TS);
    g_assert_cmphex(p->first_error, ==, SEL_TSS_B);
    g_assert_cmphex(p->c->tr.sel, ==, SEL_TSS_A);
    pm_free(p);
}

/* CALL to a 16-bit task, T bit aside; IRET comes back behind the CALL. */
static void test_task_call16(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    u8 *t = p->ram + PM_TSS16;
    gates(p);
    st16(t + 0x0e, 0x300);
    st16(t + 0x10, 2);
    st16(t + 0x1a, 0x7000);
    st16(t + 0x22, SEL_D0_16);
    st16(t + 0x24, SEL_C0_16);
    st16(t + 0x26, SEL_D0_16);
    st16(t + 0x28, SEL_D0_16);
    c->gpr[R_BX] = 0x12345678;
    pm_help(p, help_far_call, SEL_TSS16, 0, 4 | LEN7);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->mode & MODE_SIZE, ==, MODE_16);
    g_assert_cmphex(c->gpr[R_SP] & 0xffff, ==, 0x7000);
    g_assert_true(c->sysflags & F_NT);
    g_assert_cmphex(pm_ld16(p, PM_TSS16), ==, SEL_TSS_A);
    pm_help(p, help_iret, 2, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->rip, ==, PM_CODE + 7);
    g_assert_cmphex(c->gpr[R_BX], ==, 0x12345678);
    g_assert_cmphex(pm_ld16(p, PM_TSS16 + 0x0e), ==, 0x301); /* behind the IRET */
    pm_free(p);
}

static void test_task_trap_bit(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    gates(p);
    make_task(p, SEL_C0, SEL_D0);
    st32(p->ram + PM_TSS_B + 100, 1);
    pm_help(p, help_far_jmp, SEL_TSS_B, 0, 4 | LEN7);
    g_assert_cmpint(p->first, ==, EXC_DB);
    g_assert_cmphex(p->c->dr[6] & 0xe00f, ==, DR6_BT);
    g_assert_cmphex(pm_ld32(p, p->c->gpr[R_SP]), ==, PM_CODE + 0x100);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/help/far/real", test_real);
    g_test_add_func("/cpu/help/far/direct", test_direct);
    g_test_add_func("/cpu/help/far/call-gate", test_call_gate);
    g_test_add_func("/cpu/help/far/call-gate-64", test_call_gate_64);
    g_test_add_func("/cpu/help/far/compat", test_compat);
    g_test_add_func("/cpu/help/far/syscall", test_syscall);
    g_test_add_func("/cpu/help/far/syscall-compat", test_syscall_compat);
    g_test_add_func("/cpu/help/far/sysenter", test_sysenter);
    g_test_add_func("/cpu/help/far/task-jmp", test_task_jmp);
    g_test_add_func("/cpu/help/far/task-bad-segment", test_task_bad_segment);
    g_test_add_func("/cpu/help/far/task-call16", test_task_call16);
    g_test_add_func("/cpu/help/far/task-trap-bit", test_task_trap_bit);
    return g_test_run();
}
