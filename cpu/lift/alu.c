/* IR generators for integer arithmetic, logic, shifts, bit operations and BCD. Translating thread; called by lift.c through the
 * instruction table. Source: SDM vol. 2. */
#include "cpu/lift/rules.h"

/* --- two operands: destination (register or memory), source (register, memory or immediate) --- */
static void alu2(struct lift *l, const struct insn *in, enum ir_code code)
{
    struct ir_val d = lift_rm(l, in, 0), b = lift_rm(l, in, 1);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = true;
    op->lock = in->lock;
    op->d = op->a = d;
    op->b = b;
    op->imm = in->imm;
    op->rel = in->imm_rel;
}

void lift_add(struct lift *l, const struct insn *in) { alu2(l, in, IR_ADD); }
void lift_or(struct lift *l, const struct insn *in) { alu2(l, in, IR_OR); }
void lift_adc(struct lift *l, const struct insn *in) { alu2(l, in, IR_ADC); }
void lift_sbb(struct lift *l, const struct insn *in) { alu2(l, in, IR_SBB); }
void lift_and(struct lift *l, const struct insn *in) { alu2(l, in, IR_AND); }
void lift_sub(struct lift *l, const struct insn *in) { alu2(l, in, IR_SUB); }
void lift_xor(struct lift *l, const struct insn *in) { alu2(l, in, IR_XOR); }

static void compare(struct lift *l, const struct insn *in, enum ir_code code)
{
    alu2(l, in, code);
    l->b->op[l->b->n_ops - 1].d = ir_none();
}
void lift_cmp(struct lift *l, const struct insn *in) { compare(l, in, IR_CMP); }
void lift_test(struct lift *l, const struct insn *in) { compare(l, in, IR_TEST); }

/* --- one operand --- */
static void alu1(struct lift *l, const struct insn *in, enum ir_code code)
{
    struct ir_val d = lift_rm(l, in, 0);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = code != IR_NOT;
    op->lock = in->lock;
    op->d = op->a = d;
}
void lift_inc(struct lift *l, const struct insn *in) { alu1(l, in, IR_INC); }
void lift_dec(struct lift *l, const struct insn *in) { alu1(l, in, IR_DEC); }
void lift_neg(struct lift *l, const struct insn *in) { alu1(l, in, IR_NEG); }
void lift_not(struct lift *l, const struct insn *in) { alu1(l, in, IR_NOT); }

/* --- multiply and divide --- */
static void wide(struct lift *l, const struct insn *in, enum ir_code code, bool is_signed)
{
    struct ir_val a = lift_rm(l, in, 0);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = true;
    op->aux = is_signed;
    op->a = a;
}
void lift_mul(struct lift *l, const struct insn *in) { wide(l, in, IR_MULW, false); }
void lift_imul1(struct lift *l, const struct insn *in) { wide(l, in, IR_MULW, true); }
void lift_div(struct lift *l, const struct insn *in) { wide(l, in, IR_DIVW, false); }
void lift_idiv(struct lift *l, const struct insn *in) { wide(l, in, IR_DIVW, true); }

void lift_imul(struct lift *l, const struct insn *in)
{
    bool three = in->nop == 3;
    struct ir_val src = three ? lift_load(l, in, 1) : lift_rm(l, in, 1), d = lift_val(&in->op[0]);
    struct ir_op *op = lift_op(l, IR_IMUL, in->op[0].size);
    op->fl = true;
    op->d = d;
    op->a = three ? src : d;
    op->b = three ? ir_immv() : src;
    op->imm = in->imm;
}

/* --- shifts and rotates: the count is an immediate or CL --- */
static void shift(struct lift *l, const struct insn *in, enum ir_code code)
{
    struct ir_val d = lift_rm(l, in, 0);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = true;
    op->d = op->a = d;
    lift_src(op, &op->b, in, 1);
}
void lift_rol(struct lift *l, const struct insn *in) { shift(l, in, IR_ROL); }
void lift_ror(struct lift *l, const struct insn *in) { shift(l, in, IR_ROR); }
void lift_rcl(struct lift *l, const struct insn *in) { shift(l, in, IR_RCL); }
void lift_rcr(struct lift *l, const struct insn *in) { shift(l, in, IR_RCR); }
void lift_shl(struct lift *l, const struct insn *in) { shift(l, in, IR_SHL); }
void lift_shr(struct lift *l, const struct insn *in) { shift(l, in, IR_SHR); }
void lift_sar(struct lift *l, const struct insn *in) { shift(l, in, IR_SAR); }

static void shift_double(struct lift *l, const struct insn *in, enum ir_code code)
{
    struct ir_val d = lift_rm(l, in, 0);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = true;
    op->d = d;
    op->a = lift_val(&in->op[1]);
    lift_src(op, &op->b, in, 2);
}
void lift_shld(struct lift *l, const struct insn *in) { shift_double(l, in, IR_SHLD); }
void lift_shrd(struct lift *l, const struct insn *in) { shift_double(l, in, IR_SHRD); }

/* --- bit test --- */
static void bit_op(struct lift *l, const struct insn *in, enum ir_code code, struct ir_val d, struct ir_val index)
{
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = true;
    op->lock = in->lock && d.kind == K_PTR;
    op->d = code == IR_BT ? ir_none() : d;
    op->a = d;
    op->b = index;
    op->imm = in->imm & (in->op[0].size * 8u - 1);
}

static void shift_imm(struct lift *l, enum ir_code code, unsigned size, struct ir_val d, struct ir_val a, u64 n)
{
    struct ir_op *op = lift_op(l, code, size);
    op->d = d;
    op->a = a;
    op->b = ir_immv();
    op->imm = n;
}

/* Bit `index` of the bit string at in->mem: probes the operand-sized unit that holds it. The index is signed. */
static void probe_bit_string(struct lift *l, const struct insn *in, struct ir_val index, unsigned acc)
{
    unsigned size = in->op[0].size, log = size == 8 ? 3 : size == 4 ? 2 : 1;
    struct ir_val base = lift_ea(l, in), unit = lift_tmp(l);
    if (size < 8) {
        struct ir_op *op = lift_op(l, IR_MOVSX, 8);
        op->size2 = (u8)size;
        op->d = unit;
        op->a = index;
        index = unit;
    }
    shift_imm(l, IR_SARX, 8, unit, index, log + 3);
    lift_probe_at(l, in->mem.seg, base, unit, log, 0, in->asize, size, acc);
}

/* Register index and memory operand. Without LOCK the unit goes through a TMP, where the instruction itself masks the index. */
static void bit_string(struct lift *l, const struct insn *in, enum ir_code code)
{
    unsigned size = in->op[0].size, keep = size == 8 ? 6 : size == 4 ? 5 : 4, wide_size = MAX_OF(size, 4u);
    struct ir_val index = lift_val(&in->op[1]), t;
    probe_bit_string(l, in, index, code == IR_BT ? ACC_READ : ACC_RMW);
    t = lift_tmp(l);
    if (in->lock) {
        shift_imm(l, IR_SHLX, wide_size, t, index, wide_size * 8 - keep);
        shift_imm(l, IR_SHRX, wide_size, t, t, wide_size * 8 - keep);
        bit_op(l, in, code, ir_ptr(), t);
        return;
    }
    lift_set_zx(l, wide_size, t, size, ir_ptr());
    bit_op(l, in, code, t, index);
    if (code != IR_BT)
        lift_set(l, size, ir_ptr(), t);
}

static void bit_test(struct lift *l, const struct insn *in, enum ir_code code)
{
    if (lift_is_mem(&in->op[0]) && in->op[1].kind == OK_GPR)
        bit_string(l, in, code);
    else
        bit_op(l, in, code, lift_rm(l, in, 0), lift_val(&in->op[1]));
}
void lift_bt(struct lift *l, const struct insn *in) { bit_test(l, in, IR_BT); }
void lift_bts(struct lift *l, const struct insn *in) { bit_test(l, in, IR_BTS); }
void lift_btr(struct lift *l, const struct insn *in) { bit_test(l, in, IR_BTR); }
void lift_btc(struct lift *l, const struct insn *in) { bit_test(l, in, IR_BTC); }

/* --- compare and exchange, exchange and add --- */
static void exchange(struct lift *l, const struct insn *in, enum ir_code code)
{
    struct ir_val d = lift_rm(l, in, 0);
    struct ir_op *op = lift_op(l, code, in->op[0].size);
    op->fl = code != IR_XCHG;
    op->lock = in->lock || (code == IR_XCHG && d.kind == K_PTR);
    op->d = d;
    op->a = in->nop > 1 ? lift_val(&in->op[1]) : ir_none();
}
void lift_cmpxchg(struct lift *l, const struct insn *in) { exchange(l, in, IR_CMPXCHG); }
void lift_cmpxchg2(struct lift *l, const struct insn *in) { exchange(l, in, IR_CMPXCHG2); }
void lift_xadd(struct lift *l, const struct insn *in) { exchange(l, in, IR_XADD); }
void lift_xchg(struct lift *l, const struct insn *in) { exchange(l, in, IR_XCHG); }

/* --- BCD: rare enough for helpers --- */
static void bcd(struct lift *l, enum help_id id, struct lift_arg a)
{
    lift_help(l, id, ir_none(), a, lift_no_arg(), lift_no_arg());
}
void lift_daa(struct lift *l, const struct insn *in) { bcd(l, HELP_daa, lift_no_arg()); }
void lift_das(struct lift *l, const struct insn *in) { bcd(l, HELP_das, lift_no_arg()); }
void lift_aaa(struct lift *l, const struct insn *in) { bcd(l, HELP_aaa, lift_no_arg()); }
void lift_aas(struct lift *l, const struct insn *in) { bcd(l, HELP_aas, lift_no_arg()); }
void lift_aam(struct lift *l, const struct insn *in) { bcd(l, HELP_aam, lift_imm_arg(in->imm)); }
void lift_aad(struct lift *l, const struct insn *in) { bcd(l, HELP_aad, lift_imm_arg(in->imm)); }
