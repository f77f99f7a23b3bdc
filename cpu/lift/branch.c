/* IR generators for jumps, calls, returns, loops and software interrupts. Translating thread; called by lift.c through the
 * instruction table. A direct target that is not canonical shows at the fetch of the next instruction, and so does one past the end of CS if the
 * limit has become smaller since the block was made. Source: SDM vol. 2. */
#include "cpu/lift/rules.h"

/* --- the end of CS, which is the branch's fault: where it is far enough, as nearly always, there is no code for it --- */
static bool has_limit(const struct lift *l, const struct insn *in)
{
    return l->bits != 64 && !(l->mode & MODE_FLAT) && l->cs_limit < MASK64(8 * in->osize);
}

/* The branch is taken if (val != 0) == sense. */
static void limit_check(struct lift *l, struct lift_arg target, struct lift_arg val, bool sense)
{
    lift_help(l, HELP_branch_limit, ir_none(), target, val, lift_imm_arg(sense));
}

static bool direct_past_limit(const struct lift *l, const struct insn *in)
{
    return has_limit(l, in) && lift_target(l, in->imm, in->osize) > l->cs_limit;
}

static void limit_check_direct(struct lift *l, const struct insn *in, struct lift_arg val, bool sense)
{
    limit_check(l, lift_imm_arg(lift_target(l, in->imm, in->osize)), val, sense);
}

static void limit_check_indirect(struct lift *l, const struct insn *in, struct ir_val target)
{
    if (has_limit(l, in))
        limit_check(l, lift_arg(target), lift_imm_arg(1), true);
}

/* --- jumps --- */
void lift_jmp(struct lift *l, const struct insn *in)
{
    if (direct_past_limit(l, in))
        limit_check_direct(l, in, lift_imm_arg(1), true);
    lift_end_jmp(l, lift_target(l, in->imm, in->osize));
}

void lift_jcc(struct lift *l, const struct insn *in)
{
    if (direct_past_limit(l, in)) {
        struct ir_val taken = lift_const(l, 0);
        struct ir_op *op = lift_op(l, IR_SETCC, 1);
        op->cc = in->opcode & 15;
        op->d = taken;
        limit_check_direct(l, in, lift_arg(taken), true);
    }
    lift_end_jcc(l, in->opcode & 15, lift_target(l, in->imm, in->osize), l->next_pc);
}

/* The count register, of address size, as it is or less one, as a TMP of 64 bits. */
static struct ir_val count_val(struct lift *l, const struct insn *in, i64 add)
{
    struct ir_val t = lift_tmp(l), count = lift_tmp(l);
    lift_offset(l, in->asize, t, ir_gpr(R_CX), add);
    lift_set_zx(l, 4, count, in->asize, t);
    return count;
}

/* The count register decremented. */
static struct ir_val count_down(struct lift *l, const struct insn *in)
{
    lift_offset(l, in->asize, ir_gpr(R_CX), ir_gpr(R_CX), -1);
    return ir_gpr(R_CX);
}

void lift_loop(struct lift *l, const struct insn *in)
{
    if (direct_past_limit(l, in))
        limit_check_direct(l, in, lift_arg(count_val(l, in, -1)), true);
    lift_end_brz(l, in->asize, count_down(l, in), l->next_pc, lift_target(l, in->imm, in->osize));
}

/* LOOPNE (opcode even), LOOPE: a TMP that is zero if the loop is over for either reason. */
static struct ir_val loop_on(struct lift *l, const struct insn *in, struct ir_val count)
{
    struct ir_val t = lift_const(l, 0);
    struct ir_op *op = lift_op(l, IR_CMOV, in->asize);
    op->cc = in->opcode & 1 ? 4 : 5;
    op->d = t;
    op->a = count;
    return t;
}

void lift_loopcc(struct lift *l, const struct insn *in)
{
    if (direct_past_limit(l, in))
        limit_check_direct(l, in, lift_arg(loop_on(l, in, count_val(l, in, -1))), true);
    lift_end_brz(l, in->asize, loop_on(l, in, count_down(l, in)), l->next_pc, lift_target(l, in->imm, in->osize));
}

void lift_jcxz(struct lift *l, const struct insn *in)
{
    if (direct_past_limit(l, in))
        limit_check_direct(l, in, lift_arg(count_val(l, in, 0)), false);
    lift_end_brz(l, in->asize, ir_gpr(R_CX), lift_target(l, in->imm, in->osize), l->next_pc);
}

void lift_call(struct lift *l, const struct insn *in)
{
    if (direct_past_limit(l, in))
        limit_check_direct(l, in, lift_imm_arg(1), true);
    lift_push_pc(l, in->osize, l->next_pc);
    lift_end_jmp(l, lift_target(l, in->imm, in->osize));
}

/* The target of an indirect branch, zero-extended; a TMP unless it is a whole 64-bit register. */
static struct ir_val indirect_target(struct lift *l, const struct insn *in)
{
    struct ir_val v = lift_load(l, in, 0);
    if (v.kind == K_TMP || in->osize == 8)
        return v;
    struct ir_val t = lift_tmp(l);
    lift_set_zx(l, 4, t, in->osize, v);
    return t;
}

void lift_jmp_ind(struct lift *l, const struct insn *in)
{
    struct ir_val t = indirect_target(l, in);
    limit_check_indirect(l, in, t);
    lift_end_jmpr(l, t, 0);
}

/* Pushes the return address, keeping what it overwrites: a target that is not canonical, which is only seen when it is jumped to, must
 * leave no trace (cpu_branch_fault). */
static void push_undoable(struct lift *l)
{
    struct ir_val old = lift_tmp(l);
    lift_probe_at(l, S_SS, ir_gpr(R_SP), ir_none(), 0, -8, 8, 8, ACC_RMW);
    lift_set(l, 8, old, ir_ptr());
    struct ir_op *keep = lift_op(l, IR_STC, 8);
    keep->a = old;
    keep->imm = offsetof(struct cpu, call_undo);
    lift_set_pc(l, 8, ir_ptr(), l->next_pc);
    lift_sp_add(l, -8);
}

void lift_call_ind(struct lift *l, const struct insn *in)
{
    struct ir_val t = indirect_target(l, in);
    limit_check_indirect(l, in, t);
    if (t.kind == K_GPR && t.n == R_SP) { /* the push changes it */
        struct ir_val old = lift_tmp(l);
        lift_set(l, 8, old, t);
        t = old;
    }
    if (l->bits == 64)
        push_undoable(l);
    else
        lift_push_pc(l, in->osize, l->next_pc);
    lift_end_jmpr(l, t, in->osize);
}

void lift_ret(struct lift *l, const struct insn *in)
{
    struct ir_val t = lift_pop_peek(l, in->osize);
    i64 popped = in->osize + (i64)in->imm;
    limit_check_indirect(l, in, t);
    lift_sp_add(l, popped);
    lift_end_jmpr(l, t, -popped);
}

/* --- far transfers --- */
/* Selector and offset: from the instruction, or from memory. */
static void far_pointer(struct lift *l, const struct insn *in, struct lift_arg *sel, struct lift_arg *off)
{
    if (in->op[0].kind == OK_FAR) {
        *sel = lift_imm_arg(in->imm2);
        *off = lift_imm_arg(in->imm);
        return;
    }
    struct ir_val o = lift_tmp(l), s = lift_tmp(l);
    lift_probe(l, in, in->op[0].size, ACC_READ);
    lift_set_zx(l, MAX_OF(in->osize, 4), o, in->osize, ir_ptr());
    lift_set_zx(l, 4, s, 2, ir_ptr());
    l->b->op[l->b->n_ops - 1].ptr_off = in->osize;
    *sel = lift_arg(s);
    *off = lift_arg(o);
}

void lift_jmpf(struct lift *l, const struct insn *in)
{
    struct lift_arg sel, off;
    far_pointer(l, in, &sel, &off);
    lift_help(l, HELP_far_jmp, ir_none(), sel, off, lift_imm_arg(in->osize | (u64)in->len << 8));
    lift_end_helper(l);
}

void lift_callf(struct lift *l, const struct insn *in)
{
    struct lift_arg sel, off;
    far_pointer(l, in, &sel, &off);
    lift_help(l, HELP_far_call, ir_none(), sel, off, lift_imm_arg(in->osize | (u64)in->len << 8));
    lift_end_helper(l);
}

void lift_retf(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_far_ret, ir_none(), lift_imm_arg(in->imm), lift_imm_arg(in->osize), lift_no_arg());
    lift_end_helper(l);
}

void lift_iret(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_iret, ir_none(), lift_imm_arg(in->osize), lift_no_arg(), lift_no_arg());
    lift_end_helper(l);
}

/* --- software interrupts, undefined instructions --- */
static void soft_int(struct lift *l, u64 vector, u64 kind)
{
    lift_help(l, HELP_soft_int, ir_none(), lift_imm_arg(vector), lift_pc_arg(l->next_pc), lift_imm_arg(kind));
    lift_end_helper(l);
}
void lift_int(struct lift *l, const struct insn *in) { soft_int(l, in->imm, 0); }
void lift_int3(struct lift *l, const struct insn *in) { soft_int(l, EXC_BP, 1); }
void lift_into(struct lift *l, const struct insn *in) { soft_int(l, EXC_OF, 2); }
void lift_int1(struct lift *l, const struct insn *in) { soft_int(l, EXC_DB, 3); }

void lift_ud(struct lift *l, const struct insn *in) { lift_raise(l, EXC_UD); }

void lift_bound(struct lift *l, const struct insn *in)
{
    struct ir_val lin = lift_lin(l, in, in->op[1].size, ACC_READ);
    lift_help(l, HELP_bound, ir_none(), lift_arg(lin), lift_arg(lift_val(&in->op[0])), lift_imm_arg(in->osize));
}
