/* Far JMP, CALL and RET: direct, through call gates, to inner and outer privilege, and to other tasks; targets of near ones. vCPU thread; helpers of emitted
 * code and the interpreter. Source: SDM vol. 2 JMP, CALL, RET; vol. 3A 5.8. */
#include "cpu/debug.h"
#include "cpu/desc.h"
#include "cpu/help/help.h"

/* CS:IP in real and VM86 mode. */
static void cs_enter_real(struct cpu *c, u16 sel, u64 off)
{
    if (cpu_is_vm86(c))
        seg_set_vm86(&c->seg[S_CS], sel);
    else
        seg_set_real(c, S_CS, sel);
    c->rip = off;
    cpu_update_mode(c);
}

static void limit_check(struct cpu *c, u64 off)
{
    if (off > c->seg[S_CS].limit)
        raise_gp0(c);
}

u64 help_branch_limit(struct cpu *c, u64 a, u64 b, u64 d)
{
    if ((b != 0) == d)
        limit_check(c, a);
    return 0;
}

/* A code segment as a direct target of JMP or CALL. */
static void code_check_direct(struct cpu *c, u16 sel, const struct desc *d)
{
    unsigned cpl = cpu_cpl(c), rpl = sel & 3;
    code_check_long(c, sel, d);
    if (desc_is_conforming(d) ? desc_dpl(d) > cpl : rpl > cpl || desc_dpl(d) != cpl)
        raise_sel(c, EXC_GP, sel);
    if (!desc_present(d))
        raise_sel(c, EXC_NP, sel);
}

/* --- call gates --- */
struct gate {
    u16 sel;
    u64 off;
    unsigned size, params;
    struct desc d; /* the target */
};

/* Reads the target of the call gate g, whose selector is sel. */
static void gate_read(struct cpu *c, u16 sel, struct desc *g, struct gate *t)
{
    bool lma = cpu_is_lma(c), wide = desc_type(g) & 8;
    if (desc_dpl(g) < cpu_cpl(c) || desc_dpl(g) < (sel & 3u))
        raise_sel(c, EXC_GP, sel);
    if (!desc_present(g))
        raise_sel(c, EXC_NP, sel);
    if (lma)
        desc_read_high(c, sel, g);
    t->sel = gate_sel(g);
    t->off = wide ? gate_off(g) : gate_off(g) & 0xffff;
    t->size = lma ? 8 : wide ? 4 : 2;
    t->params = lma ? 0 : g->hi & 0x1f;
    if (sel_is_null(t->sel))
        raise_gp0(c);
    if (!desc_read(c, t->sel, &t->d) || !desc_is_code(&t->d) || desc_dpl(&t->d) > cpu_cpl(c))
        raise_sel(c, EXC_GP, t->sel);
    if (lma && (!desc_is_long(&t->d) || desc_is_big(&t->d)))
        raise_sel(c, EXC_GP, t->sel);
    if (!desc_present(&t->d))
        raise_sel(c, EXC_NP, t->sel);
}

/* --- tasks --- */
static struct task_from task_from_here(struct cpu *c, u64 next_rip)
{
    return (struct task_from){ .rip = next_rip, .eflags = (u32)cpu_rflags(c) };
}

/* JMP or CALL to a TSS descriptor d or, gate, to the one that a task gate names. */
static void far_task(struct cpu *c, u16 sel, struct desc *d, enum task_why why, u64 next_rip)
{
    struct desc tss = *d;
    u16 tss_sel = sel;
    if (desc_dpl(d) < cpu_cpl(c) || desc_dpl(d) < (sel & 3u))
        raise_sel(c, EXC_GP, sel);
    if (desc_type(d) == SYS_TASK_GATE) {
        if (!desc_present(d))
            raise_sel(c, EXC_NP, sel);
        tss_sel = gate_sel(d);
        if (tss_sel & 4 || !desc_read(c, tss_sel, &tss) || desc_is_seg(&tss))
            raise_sel(c, EXC_GP, tss_sel);
    }
    if (desc_type(&tss) != SYS_TSS16 && desc_type(&tss) != SYS_TSS32)
        raise_sel(c, EXC_GP, tss_sel);
    if (!desc_present(&tss))
        raise_sel(c, EXC_NP, tss_sel);
    struct task_from from = task_from_here(c, next_rip);
    task_switch(c, tss_sel, &tss, why, &from);
}

enum target { TARGET_CODE, TARGET_GATE, TARGET_TASK };

/* Reads what sel names and says what it is; #GP if it cannot be jumped to. */
static enum target target_read(struct cpu *c, u16 sel, struct desc *d)
{
    if (sel_is_null(sel))
        raise_gp0(c);
    if (!desc_read(c, sel, d))
        raise_sel(c, EXC_GP, sel);
    if (desc_is_code(d))
        return TARGET_CODE;
    unsigned type = desc_type(d);
    bool lma = cpu_is_lma(c);
    if (!desc_is_seg(d) && (type == SYS_CALL32 || (type == SYS_CALL16 && !lma)))
        return TARGET_GATE;
    if (!desc_is_seg(d) && !lma && (type == SYS_TASK_GATE || type == SYS_TSS16 || type == SYS_TSS32))
        return TARGET_TASK;
    raise_sel(c, EXC_GP, sel);
}

/* --- JMP --- */
static void enter_code(struct cpu *c, u16 sel, struct desc *d, u64 off)
{
    code_check_off(c, d, off);
    desc_set_accessed(c, d);
    cs_enter(c, sel, cpu_cpl(c), d, off);
    cpu_update_mode(c);
}

static void jmp_gate(struct cpu *c, u16 sel, struct desc *d)
{
    struct gate g;
    gate_read(c, sel, d, &g);
    if (!desc_is_conforming(&g.d) && desc_dpl(&g.d) != cpu_cpl(c))
        raise_sel(c, EXC_GP, g.sel);
    enter_code(c, g.sel, &g.d, g.off);
}

/* IP after an instruction of len bytes at c->rip. */
static u64 rip_after(const struct cpu *c, unsigned len) { return cpu_is64(c) ? c->rip + len : (u32)(c->rip + len); }

/* d: operand size | instruction length << 8 (the length is what a task switch saves). */
u64 help_far_jmp(struct cpu *c, u64 a, u64 b, u64 d)
{
    u16 sel = (u16)a;
    u64 off = zext(b, d & 0xff);
    struct desc desc;
    if (!cpu_is_pm(c)) {
        limit_check(c, off);
        cs_enter_real(c, sel, off);
        return 0;
    }
    switch (target_read(c, sel, &desc)) {
    case TARGET_CODE:
        code_check_direct(c, sel, &desc);
        enter_code(c, sel, &desc, off);
        break;
    case TARGET_GATE:
        jmp_gate(c, sel, &desc);
        break;
    case TARGET_TASK:
        far_task(c, sel, &desc, TASK_JMP, rip_after(c, d >> 8));
        break;
    }
    return 0;
}

/* --- CALL --- */
static void push_return(struct cpu *c, struct stack *s, unsigned size, u64 next_rip)
{
    s->size = size;
    stack_push(s, c->seg[S_CS].sel);
    stack_push(s, next_rip);
}

/* A call that stays at this privilege. */
static void call_same(struct cpu *c, u16 sel, struct desc *d, u64 off, unsigned size, u64 next_rip)
{
    struct stack s;
    code_check_off(c, d, off);
    desc_set_accessed(c, d);
    stack_cur(c, &s);
    push_return(c, &s, size, next_rip);
    stack_write(c, &s);
    sp_set(c, s.sp);
    cs_enter(c, sel, cpu_cpl(c), d, off);
    cpu_update_mode(c);
}

/* Copies the parameters that a call gate asks for from the old stack, so that they lie in the same order on the new one. */
static void push_params(struct cpu *c, struct stack *s, const struct gate *g)
{
    struct stack old;
    u64 v[32];
    stack_cur(c, &old);
    for (unsigned i = 0; i < g->params; i++)
        v[i] = stack_pop(c, &old, g->size);
    for (unsigned i = g->params; i-- > 0;)
        stack_push(s, v[i]);
}

static void call_inner(struct cpu *c, struct gate *g, u64 next_rip)
{
    unsigned cpl = desc_dpl(&g->d);
    bool lma = cpu_is_lma(c);
    struct seg_reg ss;
    struct stack s;
    u16 ss_sel;
    u32 esp;
    if (lma) {
        seg_set_null(&ss, (u16)cpl, cpl);
        stack_new(c, &s, &ss, tss_rsp(c, 4 + cpl * 8), cpl, true);
    } else {
        tss_stack(c, cpl, &ss_sel, &esp);
        inner_ss(c, ss_sel, cpl, &ss);
        stack_new(c, &s, &ss, esp, cpl, false);
    }
    code_check_off(c, &g->d, g->off);
    desc_set_accessed(c, &g->d);
    stack_push(&s, c->seg[S_SS].sel);
    stack_push(&s, c->gpr[R_SP]);
    push_params(c, &s, g);
    push_return(c, &s, g->size, next_rip);
    stack_write(c, &s);
    c->seg[S_SS] = ss;
    cs_enter(c, g->sel, cpl, &g->d, g->off);
    cpu_update_mode(c);
    sp_set(c, s.sp);
}

static void call_gate(struct cpu *c, u16 sel, struct desc *d, u64 next_rip)
{
    struct gate g;
    gate_read(c, sel, d, &g);
    if (!desc_is_conforming(&g.d) && desc_dpl(&g.d) < cpu_cpl(c))
        call_inner(c, &g, next_rip);
    else
        call_same(c, g.sel, &g.d, g.off, g.size, next_rip);
}

static void call_real(struct cpu *c, u16 sel, u64 off, unsigned size, u64 next_rip)
{
    struct stack s;
    limit_check(c, off);
    stack_cur(c, &s);
    push_return(c, &s, size, next_rip);
    stack_write(c, &s);
    sp_set(c, s.sp);
    cs_enter_real(c, sel, off);
}

u64 help_far_call(struct cpu *c, u64 a, u64 b, u64 d)
{
    u16 sel = (u16)a;
    unsigned osize = d & 0xff;
    u64 off = zext(b, osize), next_rip = rip_after(c, d >> 8);
    struct desc desc;
    if (!cpu_is_pm(c)) {
        call_real(c, sel, off, osize, next_rip);
        return 0;
    }
    switch (target_read(c, sel, &desc)) {
    case TARGET_CODE:
        code_check_direct(c, sel, &desc);
        call_same(c, sel, &desc, off, osize, next_rip);
        break;
    case TARGET_GATE:
        call_gate(c, sel, &desc, next_rip);
        break;
    case TARGET_TASK:
        far_task(c, sel, &desc, TASK_CALL, next_rip);
        break;
    }
    return 0;
}

/* --- RET --- */
static void ret_outer(struct cpu *c, struct stack *s, u16 cs, struct desc *d, u64 rip, unsigned bytes, unsigned osize)
{
    unsigned cpl = cs & 3;
    bool to64 = cpu_is_lma(c) && desc_is_long(d);
    struct seg_reg ss;
    s->sp += bytes;
    u64 rsp = stack_pop(c, s, osize);
    u16 ss_sel = (u16)stack_pop(c, s, osize);
    outer_ss(c, ss_sel, cpl, to64, &ss);
    code_check_off(c, d, rip);
    desc_set_accessed(c, d);
    cs_enter(c, cs, cpl, d, rip);
    c->seg[S_SS] = ss;
    outer_drop_segs(c, cpl);
    cpu_update_mode(c);
    sp_set(c, rsp + bytes);
}

static void ret_pm(struct cpu *c, struct stack *s, u16 cs, u64 rip, unsigned bytes, unsigned osize)
{
    struct desc d;
    unsigned cpl = cpu_cpl(c), rpl = cs & 3;
    if (sel_is_null(cs))
        raise_gp0(c);
    if (!desc_read(c, cs, &d) || !desc_is_code(&d) || rpl < cpl)
        raise_sel(c, EXC_GP, cs);
    code_check_long(c, cs, &d);
    if (desc_is_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl)
        raise_sel(c, EXC_GP, cs);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, cs);
    if (rpl > cpl) {
        ret_outer(c, s, cs, &d, rip, bytes, osize);
        return;
    }
    code_check_off(c, &d, rip);
    desc_set_accessed(c, &d);
    sp_set(c, s->sp + bytes);
    cs_enter(c, cs, cpl, &d, rip);
    cpu_update_mode(c);
}

u64 help_far_ret(struct cpu *c, u64 a, u64 b, u64 x)
{
    struct stack s;
    unsigned osize = (unsigned)b;
    stack_cur(c, &s);
    u64 rip = stack_pop(c, &s, osize);
    u16 cs = (u16)stack_pop(c, &s, osize);
    if (cpu_is_pm(c)) {
        ret_pm(c, &s, cs, rip, (unsigned)a, osize);
        return 0;
    }
    limit_check(c, rip);
    sp_set(c, s.sp + a);
    cs_enter_real(c, cs, rip);
    return 0;
}
