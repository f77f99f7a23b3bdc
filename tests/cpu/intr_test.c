/* Tests of cpu/intr.c and cpu/help/iret.c: delivery in every mode, returns, double and triple faults. */
#include <glib.h>
#include "cpu/debug.h"
#include "tests/lib/pm_cpu.h"

static void test_real(void)
{
    struct pm_cpu *p = pm_new(16, NULL);
    struct cpu *c = p->c;
    st32(p->ram + 0x21 * 4, 0x12345678);
    cpu_set_rflags(c, F_IF | F_TF | F_CF | 2);
    cpu_update_mode(c);
    pm_help(p, help_soft_int, 0x21, 0x1002, SOFT_INTN);
    g_assert_cmphex(c->rip, ==, 0x5678);
    g_assert_cmphex(c->seg[S_CS].sel, ==, 0x1234);
    g_assert_cmphex(c->seg[S_CS].base, ==, 0x12340);
    g_assert_cmphex(c->gpr[R_SP], ==, 0x7ffa);
    g_assert_cmphex(pm_ld16(p, 0x7ffa), ==, 0x1002);
    g_assert_cmphex(pm_ld16(p, 0x7ffc), ==, 0);
    g_assert_cmphex(pm_ld16(p, 0x7ffe), ==, F_IF | F_TF | F_CF | 2);
    g_assert_cmphex(cpu_rflags(c), ==, F_CF | 2);
    pm_help(p, help_iret, 2, 0, 0);
    g_assert_cmphex(c->rip, ==, 0x1002);
    g_assert_cmphex(cpu_rflags(c), ==, F_IF | F_TF | F_CF | 2);
    g_assert_cmphex(c->gpr[R_SP], ==, 0x8000);
    pm_free(p);
}

static void test_real_idt_limit(void)
{
    struct pm_cpu *p = pm_new(16, NULL);
    p->c->idt.limit = 0x20 * 4 - 1;
    st32(p->ram + EXC_GP * 4, 0x00004000);
    pm_help(p, help_soft_int, 0x21, 0x1002, SOFT_INTN);
    g_assert_cmpint(p->first, ==, EXC_GP);
    g_assert_cmphex(p->c->rip, ==, 0x4000);
    g_assert_cmphex(pm_ld16(p, 0x7ffa), ==, 0x1000); /* the INT itself: no error code in real mode */
    p->c->idt.limit = 0; /* #GP, then #DF, cannot be delivered either */
    pm_raise(p, EXC_UD, -1);
    g_assert_cmpuint(p->triple, ==, 1);
    pm_free(p);
}

/* Odd SP: the frame wraps within the segment item by item; SP = 1 does not fit and the stack fault cannot be pushed either. */
static void test_real_wrap(void)
{
    struct pm_cpu *p = pm_new(16, NULL);
    st32(p->ram + 0x21 * 4, 0x00005000);
    p->c->gpr[R_SP] = 2;
    pm_help(p, help_soft_int, 0x21, 0x1002, SOFT_INTN);
    g_assert_cmphex(p->c->gpr[R_SP], ==, 0xfffc);
    g_assert_cmphex(pm_ld16(p, 0xfffc), ==, 0x1002);
    p->c->gpr[R_SP] = 1;
    p->c->rip = 0x1000;
    pm_help(p, help_soft_int, 0x21, 0x1002, SOFT_INTN);
    g_assert_cmpint(p->first, ==, EXC_SS);
    g_assert_cmpuint(p->triple, ==, 1);
    pm_free(p);
}

static void test_same_privilege(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    u64 sp = c->gpr[R_SP];
    pm_gate(p, EXC_GP, SYS_TRAP32, 0, SEL_C0, PM_HANDLER, 0);
    c->iflag = 1;
    pm_raise(p, EXC_GP, 0x123);
    g_assert_cmphex(c->rip, ==, PM_HANDLER);
    g_assert_cmphex(c->gpr[R_SP], ==, sp - 16);
    g_assert_cmphex(pm_ld32(p, sp - 16), ==, 0x123);
    g_assert_cmphex(pm_ld32(p, sp - 12), ==, PM_CODE);
    g_assert_cmphex(pm_ld32(p, sp - 8), ==, SEL_C0);
    g_assert_cmphex(pm_ld32(p, sp - 4), ==, 2 | F_IF | F_RF);
    g_assert_cmpuint(c->iflag, ==, 1); /* trap gate */
    c->gpr[R_SP] += 4;
    pm_help(p, help_iret, 4, 0, 0);
    g_assert_cmphex(c->rip, ==, PM_CODE);
    g_assert_cmphex(c->gpr[R_SP], ==, sp);
    g_assert_cmphex(c->sysflags & F_RF, ==, 0); /* no breakpoint armed: RF has no use */
    pm_free(p);
}

static void test_inner_and_outer(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    pm_user(p);
    pm_gate(p, 0x80, SYS_INT32, 3, SEL_C0, PM_HANDLER, 0);
    c->iflag = 1;
    pm_help(p, help_soft_int, 0x80, PM_CODE + 2, SOFT_INTN);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmpuint(cpu_cpl(c), ==, 0);
    g_assert_cmpuint(c->iflag, ==, 0);
    g_assert_cmphex(c->seg[S_SS].sel, ==, SEL_D0);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK0 - 20);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 4), ==, SEL_D3 | 3);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 8), ==, PM_STACK3);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 12), ==, F_IF | 2);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 16), ==, SEL_C3 | 3);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 20), ==, PM_CODE + 2);
    pm_help(p, help_load_seg, S_DS, SEL_D0, 0);
    pm_help(p, help_iret, 4, 0, 0);
    g_assert_cmpuint(cpu_cpl(c), ==, 3);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK3);
    g_assert_cmphex(c->seg[S_DS].sel, ==, 0);           /* not for CPL 3 */
    g_assert_cmphex(c->seg[S_ES].sel, ==, SEL_D3 | 3);
    g_assert_cmpuint(c->iflag, ==, 1);
    pm_free(p);
}

static void test_soft_needs_dpl(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    pm_user(p);
    pm_gate(p, 0x80, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    p->c->rip = PM_CODE;
    pm_help(p, help_soft_int, 0x80, PM_CODE + 2, SOFT_INTN);
    g_assert_cmpint(p->first, ==, EXC_GP);
    g_assert_cmphex(p->first_error, ==, 0x80 * 8 + 2);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 20), ==, PM_CODE); /* the INT, not behind it */
    pm_free(p);
}

/* An external interrupt through an unusable gate: EXT in the error code. */
static void test_ext_bit(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_gate(p, EXC_NP, SYS_INT32, 0, SEL_C0, PM_HANDLER + 16, 0);
    pm_interrupt(p, 0x40);
    g_assert_cmpint(p->first, ==, EXC_GP);
    g_assert_cmphex(p->first_error, ==, 0x40 * 8 + 3);
    pm_gate(p, 0x41, SYS_INT32, 0, SEL_NP, 0, 0);
    pm_interrupt(p, 0x41);
    g_assert_cmpint(p->first, ==, EXC_NP);
    g_assert_cmphex(p->first_error, ==, SEL_NP | 1);
    g_assert_cmphex(p->c->rip, ==, PM_HANDLER + 16);
    g_assert_cmpuint(p->c->ext, ==, 0);
    pm_free(p);
}

static void test_double_fault(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    pm_gate(p, EXC_DF, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_raise(p, EXC_GP, 0); /* no gate for #GP: #GP again, so #DF */
    g_assert_cmphex(p->c->rip, ==, PM_HANDLER);
    g_assert_cmphex(pm_ld32(p, p->c->gpr[R_SP]), ==, 0);
    g_assert_cmpuint(p->faults, ==, 2);
    p->faults = 0;
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0, PM_HANDLER + 32, 0);
    pm_raise(p, EXC_UD, -1); /* benign then contributory: one after the other */
    g_assert_cmphex(p->c->rip, ==, PM_HANDLER + 32);
    g_assert_cmphex(pm_ld32(p, p->c->gpr[R_SP]), ==, EXC_UD * 8 + 3);
    g_assert_cmpuint(p->triple, ==, 0);
    memset(p->ram + PM_IDT, 0, 0x800);
    pm_raise(p, EXC_GP, 0);
    g_assert_cmpuint(p->triple, ==, 1);
    pm_free(p);
}

/* A page fault while a page fault is being delivered: #DF on its own stack. */
static void test_page_double_fault(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    pm_gate(p, EXC_PF, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    pm_gate(p, EXC_DF, SYS_INT32, 0, SEL_C0_64, PM_HANDLER + 64, 1);
    p->c->gpr[R_SP] = PM_STACK0;
    fake_cpu_map(p->f, PM_STACK0 - 0x1000, 0);
    p->c->cr2 = 0x1234;
    pm_raise(p, EXC_PF, 2);
    g_assert_cmphex(p->c->rip, ==, PM_HANDLER + 64);
    g_assert_cmphex(p->c->gpr[R_SP], ==, PM_IST1 - 48);
    g_assert_cmphex(pm_ld64(p, PM_IST1 - 48), ==, 0);
    g_assert_cmphex(pm_ld64(p, PM_IST1 - 16), ==, PM_STACK0); /* RSP as it was */
    g_assert_cmphex(p->c->cr2 & ~0xfffull, ==, PM_STACK0 - 0x1000);
    pm_free(p);
}

static void test_long(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct cpu *c = p->c;
    pm_user(p);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    pm_gate(p, EXC_NMI, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 1);
    c->gpr[R_SP] = PM_STACK3 - 4;
    pm_raise(p, EXC_GP, 0x55);
    g_assert_cmpuint(cpu_cpl(c), ==, 0);
    g_assert_cmphex(c->seg[S_SS].sel, ==, 0);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK0 - 48);
    g_assert_cmphex(pm_ld64(p, PM_STACK0 - 48), ==, 0x55);
    g_assert_cmphex(pm_ld64(p, PM_STACK0 - 40), ==, PM_CODE);
    g_assert_cmphex(pm_ld64(p, PM_STACK0 - 32), ==, SEL_C3_64 | 3);
    g_assert_cmphex(pm_ld64(p, PM_STACK0 - 16), ==, PM_STACK3 - 4);
    g_assert_cmphex(pm_ld64(p, PM_STACK0 - 8), ==, SEL_D3 | 3);
    c->gpr[R_SP] += 8;
    c->seg[S_GS] = (struct seg_reg){ .base = 0x123456789000ull, .limit = 0xffffffff, .sel = SEL_D0, .attr = 0xc093 };
    pm_help(p, help_iret, 8, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->seg[S_GS].sel, ==, 0); /* not for CPL 3, but its base stays */
    g_assert_cmphex(c->seg[S_GS].base, ==, 0x123456789000ull);
    g_assert_cmpuint(cpu_cpl(c), ==, 3);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK3 - 4);
    cpu_nmi_raise(c);
    cpu_nmi_take(c);
    g_assert_true(c->nmi_blocked);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_IST1 - 40);
    pm_help(p, help_iret, 8, 0, 0);
    g_assert_false(c->nmi_blocked);
    pm_free(p);
}

/* IRET in 64-bit mode pops SS at the same privilege too, and takes a null SS below CPL 3. */
static void test_long_iret_same(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct cpu *c = p->c;
    u64 sp = PM_STACK0 - 0x100, frame[5] = { PM_HANDLER, SEL_C0_64, 2, 0x1230, 0 };
    memcpy(p->ram + sp, frame, sizeof(frame));
    c->gpr[R_SP] = sp;
    pm_help(p, help_iret, 8, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->rip, ==, PM_HANDLER);
    g_assert_cmphex(c->gpr[R_SP], ==, 0x1230);
    g_assert_cmphex(c->seg[S_SS].sel, ==, 0);
    g_assert_cmpuint(cpu_cpl(c), ==, 0);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 1);
    frame[0] = 1ull << 60; /* not canonical */
    memcpy(p->ram + sp, frame, sizeof(frame));
    c->gpr[R_SP] = sp;
    pm_help(p, help_iret, 8, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    frame[0] = PM_HANDLER;
    frame[2] = F_NT | 2;
    c->sysflags |= F_NT;
    pm_help(p, help_iret, 8, 0, 0); /* NT in long mode */
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

/* --- VM86 --- */
static void enter_vm86(struct pm_cpu *p, unsigned iopl)
{
    struct cpu *c = p->c;
    u32 sp = PM_STACK0 - 0x200;
    u32 frame[9] = { 0x100, 0x2000, F_VM | F_IF | iopl << 12 | 2, 0xfff0, 0x3000, 0x111, 0x222, 0x333, 0x444 };
    memcpy(p->ram + sp, frame, sizeof(frame));
    c->gpr[R_SP] = sp;
    pm_help(p, help_iret, 4, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_true(c->mode & MODE_VM86);
    g_assert_cmpuint(cpu_cpl(c), ==, 3);
    g_assert_cmphex(c->seg[S_CS].base, ==, 0x20000);
    g_assert_cmphex(c->seg[S_SS].base, ==, 0x30000);
    g_assert_cmphex(c->seg[S_GS].sel, ==, 0x444);
}

static void test_vm86(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    pm_gate(p, 0x21, SYS_INT32, 3, SEL_C0, PM_HANDLER, 0);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0, PM_HANDLER + 16, 0);
    enter_vm86(p, 3);
    pm_help(p, help_soft_int, 0x21, 0x102, SOFT_INTN);
    g_assert_cmphex(c->rip, ==, PM_HANDLER);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK0 - 36);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 4), ==, 0x444);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 16), ==, 0x111);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 20), ==, 0x3000);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 28), ==, F_VM | F_IF | F_IOPL | 2);
    g_assert_cmphex(pm_ld32(p, PM_STACK0 - 36), ==, 0x102);
    g_assert_cmphex(c->seg[S_DS].sel, ==, 0);
    g_assert_cmphex(c->sysflags & F_VM, ==, 0);
    pm_help(p, help_iret, 4, 0, 0);
    g_assert_cmphex(c->rip, ==, 0x102);
    g_assert_true(c->mode & MODE_VM86);
    /* IOPL 0: sensitive instructions fault */
    struct pm_cpu *q = pm_new(32, NULL);
    pm_gate(q, EXC_GP, SYS_INT32, 0, SEL_C0, PM_HANDLER + 16, 0);
    enter_vm86(q, 0);
    pm_help(q, help_cli, 0, 0, 0);
    g_assert_cmpint(q->first, ==, EXC_GP);
    pm_free(q);
    pm_free(p);
}

static void test_vme(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    c->cr4 |= CR4_VME;
    st16(p->ram + PM_TSS_A + 102, 104 + 32);        /* I/O map behind the redirection map, which is all clear */
    st32(p->ram + 0x21 * 4, 0x40000080);
    enter_vm86(p, 0);
    g_assert_cmphex(pm_help(p, help_pushf_val, 2, 0, 0) & (F_IF | F_IOPL), ==, F_IOPL);
    pm_help(p, help_sti, 0, 0, 0);
    g_assert_cmphex(c->sysflags & F_VIF, ==, F_VIF);
    pm_help(p, help_soft_int, 0x21, 0x102, SOFT_INTN);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_true(c->mode & MODE_VM86);
    g_assert_cmphex(c->seg[S_CS].sel, ==, 0x4000);
    g_assert_cmphex(c->rip, ==, 0x80);
    g_assert_cmphex(c->gpr[R_SP], ==, 0xffea);
    g_assert_cmphex(pm_ld16(p, 0x30000 + 0xffee), ==, F_IF | F_IOPL | 2);
    g_assert_cmphex(c->sysflags & F_VIF, ==, 0);
    g_assert_cmpuint(c->iflag, ==, 1);
    pm_help(p, help_iret, 2, 0, 0);
    g_assert_cmphex(c->sysflags & F_VIF, ==, F_VIF);
    g_assert_cmphex(c->rip, ==, 0x102);
    p->ram[PM_TSS_A + 104 + 0x21 / 8] = 1 << (0x21 & 7); /* now to the monitor: #GP at IOPL 0 */
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0, PM_HANDLER, 0);
    pm_help(p, help_soft_int, 0x21, 0x104, SOFT_INTN);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

/* --- gates to tasks --- */
static void test_task_gate(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    u8 *t = p->ram + PM_TSS_B;
    st32(t + 0x20, PM_HANDLER);
    st32(t + 0x24, 2);
    st32(t + 0x38, PM_STACK3);
    st32(t + 0x4c, SEL_C0);
    st32(t + 0x50, SEL_D0);
    pm_gate(p, EXC_DF, SYS_TASK_GATE, 0, SEL_TSS_B, 0, 0);
    c->gpr[R_AX] = 0xabcd;
    pm_raise(p, EXC_DF, 0);
    g_assert_cmphex(c->tr.sel, ==, SEL_TSS_B);
    g_assert_cmphex(c->rip, ==, PM_HANDLER);
    g_assert_cmphex(c->gpr[R_SP], ==, PM_STACK3 - 4); /* the error code */
    g_assert_true(c->sysflags & F_NT);
    g_assert_true(c->cr0 & CR0_TS);
    g_assert_cmphex(pm_ld16(p, PM_TSS_B), ==, SEL_TSS_A);
    g_assert_cmphex(pm_ld32(p, PM_TSS_A + 0x20), ==, PM_CODE);
    g_assert_cmphex(pm_ld32(p, PM_TSS_A + 0x28), ==, 0xabcd);
    g_assert_cmphex(p->ram[PM_GDT + SEL_TSS_A + 5], ==, 0x8b); /* stays busy */
    g_assert_cmphex(p->ram[PM_GDT + SEL_TSS_B + 5], ==, 0x8b);
    pm_help(p, help_iret, 4, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->tr.sel, ==, SEL_TSS_A);
    g_assert_cmphex(c->gpr[R_AX], ==, 0xabcd);
    g_assert_cmphex(c->rip, ==, PM_CODE);
    g_assert_cmphex(p->ram[PM_GDT + SEL_TSS_B + 5], ==, 0x89);
    g_assert_cmphex(pm_ld32(p, PM_TSS_B + 0x24) & F_NT, ==, 0);
    pm_free(p);
}

/* NMIs while one is in service: one is kept; two before any is taken: both. */
static void test_nmi_latch(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct cpu *c = p->c;
    pm_gate(p, EXC_NMI, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 1);
    g_assert_false(cpu_nmi_ready(c));
    cpu_nmi_raise(c);
    cpu_nmi_raise(c);
    cpu_nmi_take(c);
    g_assert_false(cpu_nmi_ready(c));
    for (unsigned i = 0; i < 300; i++)
        cpu_nmi_raise(c);
    pm_help(p, help_iret, 8, 0, 0);
    g_assert_true(cpu_nmi_ready(c));
    cpu_nmi_take(c);
    pm_help(p, help_iret, 8, 0, 0);
    g_assert_false(cpu_nmi_ready(c));
    for (unsigned i = 0; i < 10; i++)
        cpu_nmi_raise(c);
    cpu_nmi_take(c);
    pm_help(p, help_iret, 8, 0, 0);
    cpu_nmi_take(c);
    pm_help(p, help_iret, 8, 0, 0);
    g_assert_false(cpu_nmi_ready(c));
    pm_free(p);
}

enum { NMI_ROUNDS = 100000 };
struct nmi_peer {
    struct cpu *c;
    int round, sent; /* atomic */
};

static void *nmi_send(void *arg)
{
    struct nmi_peer *p = arg;
    for (int i = 1; i <= NMI_ROUNDS; i++) {
        while (__atomic_load_n(&p->round, __ATOMIC_ACQUIRE) != i)
            ;
        cpu_nmi_raise(p->c);
        __atomic_store_n(&p->sent, i, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* An NMI from another thread at the same time as one from this one: each round has two. */
static void test_nmi_race(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct nmi_peer peer = { .c = p->c };
    pm_gate(p, EXC_NMI, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 1);
    GThread *t = g_thread_new("nmi", nmi_send, &peer);
    for (int i = 1; i <= NMI_ROUNDS; i++) {
        unsigned taken = 0;
        bool sent = false;
        __atomic_store_n(&peer.round, i, __ATOMIC_RELEASE);
        cpu_nmi_raise(p->c);
        while (!sent) {
            sent = __atomic_load_n(&peer.sent, __ATOMIC_ACQUIRE) == i;
            for (; cpu_nmi_ready(p->c); taken++) {
                cpu_nmi_take(p->c);
                pm_help(p, help_iret, 8, 0, 0);
            }
        }
        g_assert_cmpuint(taken, ==, 2);
    }
    g_thread_join(t);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/intr/real", test_real);
    g_test_add_func("/cpu/intr/real-idt-limit", test_real_idt_limit);
    g_test_add_func("/cpu/intr/real-wrap", test_real_wrap);
    g_test_add_func("/cpu/intr/same-privilege", test_same_privilege);
    g_test_add_func("/cpu/intr/inner-outer", test_inner_and_outer);
    g_test_add_func("/cpu/intr/soft-dpl", test_soft_needs_dpl);
    g_test_add_func("/cpu/intr/ext-bit", test_ext_bit);
    g_test_add_func("/cpu/intr/double-fault", test_double_fault);
    g_test_add_func("/cpu/intr/page-double-fault", test_page_double_fault);
    g_test_add_func("/cpu/intr/long", test_long);
    g_test_add_func("/cpu/intr/nmi-latch", test_nmi_latch);
    g_test_add_func("/cpu/intr/nmi-race", test_nmi_race);
    g_test_add_func("/cpu/intr/long-iret-same", test_long_iret_same);
    g_test_add_func("/cpu/intr/vm86", test_vm86);
    g_test_add_func("/cpu/intr/vme", test_vme);
    g_test_add_func("/cpu/intr/task-gate", test_task_gate);
    return g_test_run();
}
