/* IR generators for bit counting, BMI1, BMI2, ADX, POPCNT and CRC32. Translating thread; called by lift.c through the
 * instruction table. Source: SDM vol. 2. */
#include "cpu/lift/rules.h"

/* d = op(a): destination first operand, source second; the destination may be read too (BSF, ADCX). */
static void unary(struct lift *l, const struct insn *in, enum ir_code code)
{
    struct ir_val a = lift_rm(l, in, 1);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = true;
    op->d = lift_val(&in->op[0]);
    op->a = a;
}
void lift_bsf(struct lift *l, const struct insn *in) { unary(l, in, IR_BSF); }
void lift_bsr(struct lift *l, const struct insn *in) { unary(l, in, IR_BSR); }
void lift_tzcnt(struct lift *l, const struct insn *in) { unary(l, in, IR_TZCNT); }
void lift_lzcnt(struct lift *l, const struct insn *in) { unary(l, in, IR_LZCNT); }
void lift_popcnt(struct lift *l, const struct insn *in) { unary(l, in, IR_POPCNT); }
void lift_blsi(struct lift *l, const struct insn *in) { unary(l, in, IR_BLSI); }
void lift_blsr(struct lift *l, const struct insn *in) { unary(l, in, IR_BLSR); }
void lift_blsmsk(struct lift *l, const struct insn *in) { unary(l, in, IR_BLSMSK); }
void lift_adcx(struct lift *l, const struct insn *in) { unary(l, in, IR_ADCX); }
void lift_adox(struct lift *l, const struct insn *in) { unary(l, in, IR_ADOX); }

/* The op's a and b are the second and third operand of the instruction. Ops have memory as a (the r/m operand of the shifts) or as b
 * (ANDN, PDEP, PEXT), just as the instructions do. */
static void ternary(struct lift *l, const struct insn *in, enum ir_code code, bool flags)
{
    struct ir_val a = lift_rm(l, in, 1), b = lift_rm(l, in, 2);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = flags;
    op->d = lift_val(&in->op[0]);
    op->a = a;
    op->b = b;
}
void lift_andn(struct lift *l, const struct insn *in) { ternary(l, in, IR_ANDN, true); }
void lift_bextr(struct lift *l, const struct insn *in) { ternary(l, in, IR_BEXTR, true); }
void lift_bzhi(struct lift *l, const struct insn *in) { ternary(l, in, IR_BZHI, true); }
void lift_pdep(struct lift *l, const struct insn *in) { ternary(l, in, IR_PDEP, false); }
void lift_pext(struct lift *l, const struct insn *in) { ternary(l, in, IR_PEXT, false); }
void lift_sarx(struct lift *l, const struct insn *in) { ternary(l, in, IR_SARX, false); }
void lift_shlx(struct lift *l, const struct insn *in) { ternary(l, in, IR_SHLX, false); }
void lift_shrx(struct lift *l, const struct insn *in) { ternary(l, in, IR_SHRX, false); }

void lift_rorx(struct lift *l, const struct insn *in)
{
    struct ir_val a = lift_rm(l, in, 1);
    struct ir_op *op = lift_op(l, IR_RORX, in->op[0].size);
    op->d = lift_val(&in->op[0]);
    op->a = a;
    op->imm = in->imm & (in->op[0].size * 8u - 1);
}

/* High half to the first operand, low half to the second, which is a destination too. */
void lift_mulx(struct lift *l, const struct insn *in)
{
    struct ir_val a = lift_rm(l, in, 2);
    struct ir_op *op = lift_op(l, IR_MULX, in->op[0].size);
    op->d = lift_val(&in->op[0]);
    op->b = lift_val(&in->op[1]);
    op->a = a;
}

void lift_crc32(struct lift *l, const struct insn *in)
{
    struct ir_val a = lift_rm(l, in, 1);
    struct ir_op *op = lift_op(l, IR_CRC32, in->op[0].size);
    op->size2 = (u8)in->op[1].size;
    op->d = lift_val(&in->op[0]);
    op->a = a;
}
