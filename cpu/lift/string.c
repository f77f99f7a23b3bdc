/* IR generators for string instructions: inline without REP, helper calls with it. Translating thread; called by lift.c through the
 * instruction table. Source: SDM vol. 2, vol. 1 section 7.3.9. */
#include "cpu/lift/rules.h"

static void by_helper(struct lift *l, const struct insn *in, enum help_id id, unsigned size)
{
    u64 rep = in->rep ? 1 : in->repne ? 2 : 0;
    u64 packed = size | (u64)in->asize << 8 | (u64)in->mem.seg << 16 | rep << 24;
    lift_help(l, id, ir_none(), lift_imm_arg(packed), lift_pc_arg(l->next_pc), lift_no_arg());
    lift_end_helper(l);
}

static struct ir_val load_src(struct lift *l, const struct insn *in, unsigned seg, unsigned reg, unsigned size)
{
    struct ir_val t = lift_tmp(l);
    lift_probe_at(l, seg, ir_gpr(reg), ir_none(), 0, 0, in->asize, size, ACC_READ);
    lift_set_zx(l, MAX_OF(size, 4u), t, size, ir_ptr());
    return t;
}

/* TMP = 2 * ~DF: -2 forwards, -4 backwards. Then reg + TMP * size + 3 * size is reg + size or reg - size, with LEA alone. */
static struct ir_val direction(struct lift *l)
{
    struct ir_val t = lift_tmp(l);
    struct ir_op *op = lift_op(l, IR_LDC, 1);
    op->d = t;
    op->imm = offsetof(struct cpu, dflag);
    op = lift_op(l, IR_NOT, 8);
    op->d = op->a = t;
    op = lift_op(l, IR_LEA, 8);
    op->asize = 8;
    op->d = op->a = op->b = t;
    return t;
}

static void advance(struct lift *l, const struct insn *in, unsigned reg, struct ir_val dir, unsigned size)
{
    struct ir_op *op = lift_op(l, IR_LEA, in->asize);
    op->asize = in->asize;
    op->d = op->a = ir_gpr(reg);
    op->b = dir;
    op->scale = (u8)__builtin_ctz(size);
    op->imm = 3 * size;
}

static void compare(struct lift *l, unsigned size, struct ir_val a, struct ir_val b)
{
    struct ir_op *op = lift_op(l, IR_CMP, size);
    op->fl = true;
    op->a = a;
    op->b = b;
}

void lift_movs(struct lift *l, const struct insn *in)
{
    unsigned size = in->op[0].size;
    if (in->rep || in->repne) {
        by_helper(l, in, HELP_movs, size);
        return;
    }
    struct ir_val t = load_src(l, in, in->mem.seg, R_SI, size);
    lift_probe_at(l, S_ES, ir_gpr(R_DI), ir_none(), 0, 0, in->asize, size, ACC_WRITE);
    lift_set(l, size, ir_ptr(), t);
    struct ir_val dir = direction(l);
    advance(l, in, R_SI, dir, size);
    advance(l, in, R_DI, dir, size);
}

void lift_stos(struct lift *l, const struct insn *in)
{
    unsigned size = in->op[0].size;
    if (in->rep || in->repne) {
        by_helper(l, in, HELP_stos, size);
        return;
    }
    lift_probe_at(l, S_ES, ir_gpr(R_DI), ir_none(), 0, 0, in->asize, size, ACC_WRITE);
    lift_set(l, size, ir_ptr(), ir_gpr(R_AX));
    advance(l, in, R_DI, direction(l), size);
}

void lift_lods(struct lift *l, const struct insn *in)
{
    unsigned size = in->op[0].size;
    if (in->rep || in->repne) {
        by_helper(l, in, HELP_lods, size);
        return;
    }
    lift_probe_at(l, in->mem.seg, ir_gpr(R_SI), ir_none(), 0, 0, in->asize, size, ACC_READ);
    lift_set(l, size, ir_gpr(R_AX), ir_ptr());
    advance(l, in, R_SI, direction(l), size);
}

void lift_cmps(struct lift *l, const struct insn *in)
{
    unsigned size = in->op[0].size;
    if (in->rep || in->repne) {
        by_helper(l, in, HELP_cmps, size);
        return;
    }
    struct ir_val a = load_src(l, in, in->mem.seg, R_SI, size), b = load_src(l, in, S_ES, R_DI, size), dir = direction(l);
    advance(l, in, R_SI, dir, size);
    advance(l, in, R_DI, dir, size);
    compare(l, size, a, b);
}

void lift_scas(struct lift *l, const struct insn *in)
{
    unsigned size = in->op[0].size;
    if (in->rep || in->repne) {
        by_helper(l, in, HELP_scas, size);
        return;
    }
    struct ir_val b = load_src(l, in, S_ES, R_DI, size);
    advance(l, in, R_DI, direction(l), size);
    compare(l, size, ir_gpr(R_AX), b);
}

void lift_ins(struct lift *l, const struct insn *in) { by_helper(l, in, HELP_ins, in->op[0].size); }
void lift_outs(struct lift *l, const struct insn *in) { by_helper(l, in, HELP_outs, in->op[1].size); }
