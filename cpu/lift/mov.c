/* IR generators for moves, conversions, LEA and the stack. Translating thread; called by lift.c through the instruction table.
 * Source: SDM vol. 2. */
#include "cpu/lift/rules.h"

void lift_mov(struct lift *l, const struct insn *in)
{
    struct ir_val d = lift_rm(l, in, 0), a = lift_rm(l, in, 1);
    struct ir_op *op = lift_op(l, IR_MOV, in->op[0].size);
    op->d = d;
    op->a = a;
    op->imm = in->imm;
    op->rel = in->imm_rel;
}

static void extend(struct lift *l, const struct insn *in, enum ir_code code)
{
    struct ir_val a = lift_rm(l, in, 1);
    unsigned size = in->op[0].size, from = in->op[1].size;
    struct ir_op *op = lift_op(l, size == from ? IR_MOV : code, size);
    op->size2 = (u8)from;
    op->d = lift_val(&in->op[0]);
    op->a = a;
}
void lift_movzx(struct lift *l, const struct insn *in) { extend(l, in, IR_MOVZX); }
void lift_movsx(struct lift *l, const struct insn *in) { extend(l, in, IR_MOVSX); }

/* Byte-swaps t, whose low `size` bytes are a value that is zero-extended to at least 4. */
static void swap_bytes(struct lift *l, unsigned size, struct ir_val d, struct ir_val a)
{
    struct ir_op *op = lift_op(l, IR_BSWAP, MAX_OF(size, 4u));
    op->d = d;
    op->a = a;
    if (size != 2)
        return;
    op = lift_op(l, IR_SHRX, 4);
    op->d = op->a = d;
    op->b = ir_immv();
    op->imm = 16;
}

void lift_movbe_load(struct lift *l, const struct insn *in)
{
    unsigned size = in->op[0].size;
    struct ir_val t = lift_load(l, in, 1), d = lift_val(&in->op[0]);
    swap_bytes(l, size, t, t);
    lift_set(l, size, d, t);
}

void lift_movbe_store(struct lift *l, const struct insn *in)
{
    unsigned size = in->op[0].size;
    struct ir_val t = lift_tmp(l);
    swap_bytes(l, size, t, lift_val(&in->op[1]));
    lift_set(l, size, lift_rm(l, in, 0), t);
}

void lift_bswap(struct lift *l, const struct insn *in)
{
    struct ir_op *op = lift_op(l, IR_BSWAP, in->op[0].size);
    op->d = op->a = lift_val(&in->op[0]);
}

void lift_lea(struct lift *l, const struct insn *in)
{
    const struct insn_mem *m = &in->mem;
    struct ir_op *op = lift_op(l, IR_LEA, in->op[0].size);
    op->d = lift_val(&in->op[0]);
    op->a = m->base >= 0 ? ir_gpr((unsigned)m->base) : ir_none();
    op->b = m->index >= 0 ? ir_gpr((unsigned)m->index) : ir_none();
    op->scale = m->scale;
    op->asize = m->asize;
    op->imm = (u64)m->disp;
    op->rel = in->disp_rel;
}

/* AL = byte at rBX + AL */
void lift_xlat(struct lift *l, const struct insn *in)
{
    struct ir_val t = lift_tmp(l);
    lift_set_zx(l, 4, t, 1, ir_gpr(R_AX));
    lift_probe_at(l, in->mem.seg, ir_gpr(R_BX), t, 0, 0, in->asize, 1, ACC_READ);
    lift_set(l, 1, ir_gpr(R_AX), ir_ptr());
}

/* CBW, CWDE, CDQE: the accumulator's lower half to the whole. */
void lift_cbw(struct lift *l, const struct insn *in)
{
    struct ir_op *op = lift_op(l, IR_MOVSX, in->osize);
    op->size2 = in->osize / 2;
    op->d = op->a = ir_gpr(R_AX);
}

/* CWD, CDQ, CQO: the accumulator's sign fills rDX. */
void lift_cwd(struct lift *l, const struct insn *in)
{
    unsigned size = MAX_OF(in->osize, 4);
    struct ir_val a = ir_gpr(R_AX), d = ir_gpr(R_DX);
    if (in->osize == 2) {
        struct ir_op *sx = lift_op(l, IR_MOVSX, 4);
        sx->size2 = 2;
        sx->d = d = lift_tmp(l);
        sx->a = a;
        a = d;
    }
    struct ir_op *op = lift_op(l, IR_SARX, size);
    op->d = d;
    op->a = a;
    op->b = ir_immv();
    op->imm = size * 8 - 1;
    if (in->osize == 2)
        lift_set(l, 2, ir_gpr(R_DX), d);
}

/* --- the stack --- */
void lift_push(struct lift *l, const struct insn *in)
{
    if (in->op[0].kind == OK_IMM)
        lift_push_imm(l, in->osize, in->imm, in->imm_rel);
    else
        lift_push_val(l, in->osize, lift_load(l, in, 0));
}

/* A memory operand's address is computed with the incremented stack pointer, which is written only after the store is known to work. */
void lift_pop(struct lift *l, const struct insn *in)
{
    unsigned size = in->osize;
    struct ir_val t = lift_pop_peek(l, size);
    if (!lift_is_mem(&in->op[0])) {
        lift_sp_add(l, size);
        lift_set(l, size, lift_val(&in->op[0]), t);
        return;
    }
    struct insn after = *in;
    if (after.mem.base == R_SP)
        after.mem.disp += size;
    lift_probe(l, &after, size, ACC_WRITE);
    lift_set(l, size, ir_ptr(), t);
    lift_sp_add(l, size);
}

void lift_leave(struct lift *l, const struct insn *in)
{
    unsigned size = in->osize, width = lift_stack_size(l);
    lift_probe_at(l, S_SS, ir_gpr(R_BP), ir_none(), 0, 0, width, size, ACC_READ);
    struct ir_val t = lift_tmp(l);
    lift_set_zx(l, MAX_OF(size, 4u), t, size, ir_ptr());
    lift_offset(l, width, ir_gpr(R_SP), ir_gpr(R_BP), size);
    lift_set(l, size, ir_gpr(R_BP), t);
}

void lift_enter(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_enter, ir_none(), lift_imm_arg(in->imm), lift_imm_arg(in->imm2), lift_imm_arg(in->osize));
}

void lift_pusha(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_pusha, ir_none(), lift_imm_arg(in->osize), lift_no_arg(), lift_no_arg());
}

void lift_popa(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_popa, ir_none(), lift_imm_arg(in->osize), lift_no_arg(), lift_no_arg());
}

/* --- nothing to do --- */
void lift_nop(struct lift *l, const struct insn *in) {}

void lift_pause(struct lift *l, const struct insn *in)
{
    lift_help(l, HELP_pause, ir_none(), lift_no_arg(), lift_no_arg(), lift_no_arg());
}

void lift_fence(struct lift *l, const struct insn *in) { lift_op(l, IR_FENCE, 0); }
