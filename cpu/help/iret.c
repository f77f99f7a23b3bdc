/* IRET in all its forms. vCPU thread; a helper of emitted code and the interpreter. Source: SDM vol. 2 IRET; vol. 3A 20.2.5 (VM86), 6.7.1
 * (NMI), 7.4 (nested tasks). */
#include "cpu/debug.h"
#include "cpu/desc.h"
#include "cpu/help/help.h"

#define F_USER (F_ARITH | F_TF | F_DF | F_NT)

struct iframe {
    u64 rip, flags;
    u16 cs;
    unsigned osize;
};

/* Loads the flags in mask from the frame. */
static void flags_load(struct cpu *c, const struct iframe *f, u32 mask)
{
    if (f->osize == 2)
        mask &= 0xffff;
    cpu_set_rflags(c, (cpu_rflags(c) & ~(u64)mask) | (f->flags & mask));
    debug_rf_loaded(c);
}

/* What IRET may change in protected mode, by the privilege it was executed at. */
static u32 flags_mask(const struct cpu *c)
{
    u32 mask = F_USER | F_RF | F_AC | F_ID;
    if (cpu_cpl(c) <= cpu_iopl(c))
        mask |= F_IF;
    if (cpu_cpl(c) == 0)
        mask |= F_IOPL | F_VIF | F_VIP;
    return mask;
}

static void iret_real(struct cpu *c, struct stack *s, const struct iframe *f)
{
    if (f->rip > c->seg[S_CS].limit)
        raise_gp0(c);
    sp_set(c, s->sp);
    seg_set_real(c, S_CS, f->cs);
    c->rip = f->rip;
    flags_load(c, f, F_USER | F_IF | F_IOPL | F_RF | F_AC | F_ID);
}

static void iret_vm86(struct cpu *c, struct stack *s, struct iframe *f)
{
    u32 mask = F_USER | F_IF | F_RF | F_AC | F_ID;
    bool virt = cpu_iopl(c) < 3;
    if (virt && (!(c->cr4 & CR4_VME) || f->osize != 2))
        raise_gp0(c);
    if (virt && ((f->flags & F_IF && c->sysflags & F_VIP) || f->flags & F_TF))
        raise_gp0(c);
    if (f->rip > 0xffff)
        raise_gp0(c);
    sp_set(c, s->sp);
    seg_set_vm86(&c->seg[S_CS], f->cs);
    c->rip = f->rip;
    if (virt) {
        c->sysflags = (c->sysflags & ~(u32)F_VIF) | (f->flags & F_IF ? F_VIF : 0);
        mask &= ~(u32)F_IF;
    }
    flags_load(c, f, mask);
}

/* To the task that the current TSS's link names; this one goes on behind the IRET (one byte and perhaps a prefix). */
static void iret_task(struct cpu *c, unsigned osize)
{
    unsigned len = osize * 8 == mode_bits(c->mode) ? 1 : 2;
    struct desc d;
    u16 sel = (u16)cpu_ld_acc(c, linear(c, c->tr.base), 2, ACC_READ | ACC_IMPLICIT);
    if (sel & 4 || !desc_read(c, sel, &d) || desc_is_seg(&d))
        raise_sel(c, EXC_TS, sel);
    if (desc_type(&d) != SYS_TSS16_BUSY && desc_type(&d) != SYS_TSS32_BUSY)
        raise_sel(c, EXC_TS, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, sel);
    struct task_from from = { .eflags = (u32)cpu_rflags(c), .rip = (u32)(c->rip + len) };
    task_switch(c, sel, &d, TASK_IRET, &from);
}

/* From CPL 0 into a VM86 task. */
static void iret_to_vm86(struct cpu *c, struct stack *s, const struct iframe *f)
{
    static const u8 order[] = { S_SS, S_ES, S_DS, S_FS, S_GS };
    u16 sel[ARRAY_LEN(order)];
    u64 esp = stack_pop(c, s, 4);
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        sel[i] = (u16)stack_pop(c, s, 4);
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        seg_set_vm86(&c->seg[order[i]], sel[i]);
    seg_set_vm86(&c->seg[S_CS], f->cs);
    c->rip = f->rip & 0xffff;
    flags_load(c, f, F_USER | F_IF | F_IOPL | F_RF | F_AC | F_ID | F_VM | F_VIF | F_VIP);
    c->gpr[R_SP] = (u32)esp;
}

/* The frame's code segment: #GP, #NP. */
static void code_read(struct cpu *c, u16 cs, struct desc *d)
{
    unsigned rpl = cs & 3;
    if (sel_is_null(cs))
        raise_gp0(c);
    if (!desc_read(c, cs, d) || !desc_is_code(d) || rpl < cpu_cpl(c))
        raise_sel(c, EXC_GP, cs);
    if (desc_is_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl)
        raise_sel(c, EXC_GP, cs);
    code_check_long(c, cs, d);
    if (!desc_present(d))
        raise_sel(c, EXC_NP, cs);
}

static void iret_pm(struct cpu *c, struct stack *s, const struct iframe *f)
{
    struct desc d;
    struct seg_reg ss = c->seg[S_SS];
    unsigned rpl = f->cs & 3;
    bool outer = rpl > cpu_cpl(c), pops_ss = outer || cpu_is64(c);
    u32 mask = flags_mask(c);
    code_read(c, f->cs, &d);
    u64 rsp = s->sp;
    if (pops_ss) {
        rsp = stack_pop(c, s, f->osize);
        u16 sel = (u16)stack_pop(c, s, f->osize);
        outer_ss(c, sel, rpl, cpu_is_lma(c) && desc_is_long(&d), &ss);
    }
    code_check_off(c, &d, f->rip);
    desc_set_accessed(c, &d);
    c->seg[S_SS] = ss;
    cs_enter(c, f->cs, rpl, &d, f->rip);
    flags_load(c, f, mask);
    if (outer)
        outer_drop_segs(c, rpl);
    cpu_update_mode(c);
    sp_set(c, rsp);
}

u64 help_iret(struct cpu *c, u64 a, u64 b, u64 d)
{
    struct stack s;
    struct iframe f = { .osize = (unsigned)a };
    cpu_nmi_unblock(c);
    if (cpu_is_pm(c) && c->sysflags & F_NT) {
        if (cpu_is_lma(c))
            raise_gp0(c);
        iret_task(c, f.osize);
        return 0;
    }
    stack_cur(c, &s);
    f.rip = stack_pop(c, &s, f.osize);
    f.cs = (u16)stack_pop(c, &s, f.osize);
    f.flags = stack_pop(c, &s, f.osize);
    if (!(c->mode & MODE_PE))
        iret_real(c, &s, &f);
    else if (cpu_is_vm86(c))
        iret_vm86(c, &s, &f);
    else if (f.flags & F_VM && f.osize == 4 && cpu_cpl(c) == 0 && !cpu_is_lma(c))
        iret_to_vm86(c, &s, &f);
    else
        iret_pm(c, &s, &f);
    cpu_update_mode(c);
    return 0;
}
