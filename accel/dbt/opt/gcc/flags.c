/* The guest's flags in the optimiser's code: which op defined them and its operands are kept in locals, and conditions are made of those. What is
 * too odd for that is done by the host's own instruction between SAHF and LAHF. Worker process. */
#include <stdio.h>
#include "accel/dbt/opt/gcc/emit.h"

#define AFLAG_CF 0x100u
#define AFLAG_PF 0x400u
#define AFLAG_ZF 0x4000u
#define AFLAG_SF 0x8000u
#define AFLAG_OF 1u

void flags_def(struct emit *e, enum region_flag_op op, unsigned size, gcc_jit_rvalue *a, gcc_jit_rvalue *b)
{
    emit_set(e, e->fl_a, val_cast(e, a, e->u[8]));
    if (b)
        emit_set(e, e->fl_b, val_cast(e, b, e->u[8]));
    e->now = (struct flags_state){ (int)op, size };
}

void flags_spell(struct emit *e)
{
    if (e->now.op >= 0)
        emit_set(e, e->fl_op, val_const(e, 4, region_flag_code((enum region_flag_op)e->now.op, e->now.size)));
}

static const char suffix[9] = { [1] = 'b', [2] = 'w', [4] = 'l', [8] = 'q' };
static const char letter[9] = { [1] = 'b', [2] = 'w', [4] = 'k', [8] = 'q' };

gcc_jit_rvalue *flags_by_host(struct emit *e, const char *insn, unsigned size, gcc_jit_rvalue *d, gcc_jit_rvalue *b, const char *b_constraint)
{
    char text[160];
    gcc_jit_lvalue *raw = val_local(e, e->u[8]), *res = val_local(e, e->u[size]);
    gcc_jit_rvalue *before = flags_raw(e);
    if (!b)
        snprintf(text, sizeof(text), "addb $0x7f, %%%%al; sahf; %s%c %%%c1; lahf; seto %%%%al", insn, suffix[size], letter[size]);
    else if (*b_constraint == 'c')
        snprintf(text, sizeof(text), "addb $0x7f, %%%%al; sahf; %s%c %%%%cl, %%%c1; lahf; seto %%%%al", insn, suffix[size], letter[size]);
    else
        snprintf(text, sizeof(text), "addb $0x7f, %%%%al; sahf; %s%c %%%c4, %%%c1; lahf; seto %%%%al", insn, suffix[size], letter[size], letter[size]);
    gcc_jit_extended_asm *a = gcc_jit_block_add_extended_asm(e->b, NULL, text);
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=a", raw);
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=&r", res);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "0", before);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "1", d);
    if (b)
        gcc_jit_extended_asm_add_input_operand(a, NULL, b_constraint, b);
    gcc_jit_extended_asm_add_clobber(a, "cc");
    flags_def(e, RF_RAW, 8, val_bin(e, GCC_JIT_BINARY_OP_BITWISE_AND, 8, gcc_jit_lvalue_as_rvalue(raw), val_const(e, 8, 0xffff)), NULL);
    return gcc_jit_lvalue_as_rvalue(res);
}

/* What the local fl_op says, by the common code of the x64 backend: eax op, rdx a, rcx b; result in rax. */
static gcc_jit_rvalue *raw_unknown(struct emit *e)
{
    gcc_jit_lvalue *raw = val_local(e, e->u[8]);
    gcc_jit_rvalue *op = val_cast(e, gcc_jit_lvalue_as_rvalue(e->fl_op), e->u[8]);
    gcc_jit_extended_asm *a = gcc_jit_block_add_extended_asm(e->b, NULL, "call gemel_flags");
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=a", raw);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "0", op);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "d", gcc_jit_lvalue_as_rvalue(e->fl_a));
    gcc_jit_extended_asm_add_input_operand(a, NULL, "c", gcc_jit_lvalue_as_rvalue(e->fl_b));
    gcc_jit_extended_asm_add_clobber(a, "cc");
    return gcc_jit_lvalue_as_rvalue(raw);
}

/* The op again, on what is left of it. */
static gcc_jit_rvalue *raw_again(struct emit *e, const char *insn, unsigned size, bool two)
{
    char text[96];
    gcc_jit_lvalue *raw = val_local(e, e->u[8]), *copy = val_local(e, e->u[8]);
    if (two)
        snprintf(text, sizeof(text), "%s%c %%%c3, %%%c1; lahf; seto %%%%al", insn, suffix[size], letter[size], letter[size]);
    else
        snprintf(text, sizeof(text), "%s%c %%%c1, %%%c1; lahf; seto %%%%al", insn, suffix[size], letter[size], letter[size]);
    gcc_jit_extended_asm *a = gcc_jit_block_add_extended_asm(e->b, NULL, text);
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=&a", raw);
    gcc_jit_extended_asm_add_output_operand(a, NULL, "=&r", copy);
    gcc_jit_extended_asm_add_input_operand(a, NULL, "1", gcc_jit_lvalue_as_rvalue(e->fl_a));
    if (two)
        gcc_jit_extended_asm_add_input_operand(a, NULL, "r", gcc_jit_lvalue_as_rvalue(e->fl_b));
    gcc_jit_extended_asm_add_clobber(a, "cc");
    return val_bin(e, GCC_JIT_BINARY_OP_BITWISE_AND, 8, gcc_jit_lvalue_as_rvalue(raw), val_const(e, 8, 0xffff));
}

gcc_jit_rvalue *flags_raw(struct emit *e)
{
    switch (e->now.op) {
    case RF_RAW: return gcc_jit_lvalue_as_rvalue(e->fl_a);
    case RF_ADD: return val_keep(e, raw_again(e, "add", e->now.size, true));
    case RF_SUB: return val_keep(e, raw_again(e, "cmp", e->now.size, true));
    case RF_LOGIC: return val_keep(e, raw_again(e, "test", e->now.size, false));
    default:
        flags_spell(e);
        return raw_unknown(e);
    }
}

/* --- conditions --- */
static gcc_jit_rvalue *is(struct emit *e, bool want, gcc_jit_rvalue *cond)
{
    return want ? cond : gcc_jit_context_new_unary_op(e->ctx, NULL, GCC_JIT_UNARY_OP_LOGICAL_NEGATE, e->boolean, cond);
}

static gcc_jit_rvalue *raw_cond(struct emit *e, unsigned cc)
{
    static const u16 mask[8] = { AFLAG_OF, AFLAG_CF, AFLAG_ZF, AFLAG_CF | AFLAG_ZF, AFLAG_SF, AFLAG_PF, 0, AFLAG_ZF };
    gcc_jit_rvalue *raw = val_keep(e, flags_raw(e)), *m, *zero = val_const(e, 8, 0);
    m = val_bin(e, GCC_JIT_BINARY_OP_BITWISE_AND, 8, raw, val_const(e, 8, mask[cc >> 1]));
    if (cc >= 12) { /* SF != OF, or that and ZF */
        gcc_jit_rvalue *sf = val_bin(e, GCC_JIT_BINARY_OP_RSHIFT, 8, raw, val_const(e, 8, 15));
        gcc_jit_rvalue *lt = val_bin(e, GCC_JIT_BINARY_OP_BITWISE_AND, 8, val_bin(e, GCC_JIT_BINARY_OP_BITWISE_XOR, 8, sf, raw), val_const(e, 8, 1));
        m = val_bin(e, GCC_JIT_BINARY_OP_BITWISE_OR, 8, m, lt);
    }
    return is(e, !(cc & 1), val_cmp(e, GCC_JIT_COMPARISON_NE, m, zero));
}

static gcc_jit_rvalue *operand(struct emit *e, gcc_jit_lvalue *l, bool is_signed)
{
    return val_cast(e, gcc_jit_lvalue_as_rvalue(l), is_signed ? e->s[e->now.size] : e->u[e->now.size]);
}

static gcc_jit_rvalue *signed_zero(struct emit *e) { return gcc_jit_context_zero(e->ctx, e->s[e->now.size]); }

/* Of a - b; NULL: not that way. */
static gcc_jit_rvalue *sub_cond(struct emit *e, unsigned cc)
{
    static const i8 op[16] = { -1, -1, GCC_JIT_COMPARISON_LT, GCC_JIT_COMPARISON_GE, GCC_JIT_COMPARISON_EQ, GCC_JIT_COMPARISON_NE, GCC_JIT_COMPARISON_LE,
                               GCC_JIT_COMPARISON_GT, -1, -1, -1, -1, GCC_JIT_COMPARISON_LT, GCC_JIT_COMPARISON_GE, GCC_JIT_COMPARISON_LE,
                               GCC_JIT_COMPARISON_GT };
    if (cc >> 1 == 4) {
        gcc_jit_rvalue *r = val_bin(e, GCC_JIT_BINARY_OP_MINUS, e->now.size, operand(e, e->fl_a, false), operand(e, e->fl_b, false));
        return val_cmp(e, cc & 1 ? GCC_JIT_COMPARISON_GE : GCC_JIT_COMPARISON_LT, val_cast(e, r, e->s[e->now.size]), signed_zero(e));
    }
    if (op[cc] < 0)
        return NULL;
    return val_cmp(e, (enum gcc_jit_comparison)op[cc], operand(e, e->fl_a, cc >= 12), operand(e, e->fl_b, cc >= 12));
}

/* Of a result whose CF and OF are 0. */
static gcc_jit_rvalue *logic_cond(struct emit *e, unsigned cc)
{
    static const i8 op[16] = { [4] = GCC_JIT_COMPARISON_EQ, [5] = GCC_JIT_COMPARISON_NE, [6] = GCC_JIT_COMPARISON_EQ, [7] = GCC_JIT_COMPARISON_NE,
                               [8] = GCC_JIT_COMPARISON_LT, [9] = GCC_JIT_COMPARISON_GE, [12] = GCC_JIT_COMPARISON_LT, [13] = GCC_JIT_COMPARISON_GE,
                               [14] = GCC_JIT_COMPARISON_LE, [15] = GCC_JIT_COMPARISON_GT };
    if (cc < 4 || cc >> 1 == 5)
        return NULL;
    return val_cmp(e, (enum gcc_jit_comparison)op[cc], operand(e, e->fl_a, true), signed_zero(e));
}

/* ZF, SF and CF of the rest. */
static gcc_jit_rvalue *result_cond(struct emit *e, unsigned cc)
{
    unsigned size = e->now.size;
    gcc_jit_rvalue *a = operand(e, e->fl_a, false), *b = operand(e, e->fl_b, false), *r;
    switch (e->now.op) {
    case RF_ADD: r = val_bin(e, GCC_JIT_BINARY_OP_PLUS, size, a, b); break;
    case RF_INC: r = val_bin(e, GCC_JIT_BINARY_OP_PLUS, size, a, val_const(e, size, 1)); break;
    case RF_DEC: r = val_bin(e, GCC_JIT_BINARY_OP_MINUS, size, a, val_const(e, size, 1)); break;
    default: return NULL;
    }
    if (cc >> 1 == 2)
        return val_cmp(e, cc & 1 ? GCC_JIT_COMPARISON_NE : GCC_JIT_COMPARISON_EQ, r, val_const(e, size, 0));
    if (cc >> 1 == 4)
        return val_cmp(e, cc & 1 ? GCC_JIT_COMPARISON_GE : GCC_JIT_COMPARISON_LT, val_cast(e, r, e->s[size]), signed_zero(e));
    if (cc >> 1 == 1 && e->now.op == RF_ADD)
        return val_cmp(e, cc & 1 ? GCC_JIT_COMPARISON_GE : GCC_JIT_COMPARISON_LT, r, a);
    if (cc >> 1 == 1)
        return is(e, !(cc & 1), val_cmp(e, GCC_JIT_COMPARISON_NE, gcc_jit_lvalue_as_rvalue(e->fl_b), val_const(e, 8, 0)));
    return NULL;
}

/* ZF and SF of a shift by a count that is not 0. */
static gcc_jit_rvalue *shift_cond(struct emit *e, unsigned cc)
{
    unsigned size = e->now.size;
    bool sar = e->now.op == RF_SAR;
    enum gcc_jit_binary_op op = e->now.op == RF_SHL ? GCC_JIT_BINARY_OP_LSHIFT : GCC_JIT_BINARY_OP_RSHIFT;
    if (size < 4 || (cc >> 1 != 2 && cc >> 1 != 4 && cc >> 1 != 1))
        return NULL;
    gcc_jit_type *t = sar ? e->s[size] : e->u[size];
    gcc_jit_rvalue *a = operand(e, e->fl_a, sar), *n = val_cast(e, gcc_jit_lvalue_as_rvalue(e->fl_b), t);
    if (cc >> 1 == 1) { /* CF: the last bit that went out */
        gcc_jit_rvalue *one = gcc_jit_context_one(e->ctx, t), *bits = val_cast(e, val_const(e, size, 8 * size), t), *by, *bit;
        if (op == GCC_JIT_BINARY_OP_LSHIFT)
            by = gcc_jit_context_new_binary_op(e->ctx, NULL, GCC_JIT_BINARY_OP_MINUS, t, bits, n);
        else
            by = gcc_jit_context_new_binary_op(e->ctx, NULL, GCC_JIT_BINARY_OP_MINUS, t, n, one);
        bit = gcc_jit_context_new_binary_op(e->ctx, NULL, GCC_JIT_BINARY_OP_RSHIFT, t, a, by);
        bit = gcc_jit_context_new_binary_op(e->ctx, NULL, GCC_JIT_BINARY_OP_BITWISE_AND, t, bit, one);
        return is(e, !(cc & 1), val_cmp(e, GCC_JIT_COMPARISON_NE, bit, gcc_jit_context_zero(e->ctx, t)));
    }
    gcc_jit_rvalue *r = gcc_jit_context_new_binary_op(e->ctx, NULL, op, t, a, n);
    if (cc >> 1 == 2)
        return val_cmp(e, cc & 1 ? GCC_JIT_COMPARISON_NE : GCC_JIT_COMPARISON_EQ, r, gcc_jit_context_zero(e->ctx, t));
    return val_cmp(e, cc & 1 ? GCC_JIT_COMPARISON_GE : GCC_JIT_COMPARISON_LT, val_cast(e, r, e->s[size]), signed_zero(e));
}

gcc_jit_rvalue *flags_cond(struct emit *e, unsigned cc)
{
    gcc_jit_rvalue *r = NULL;
    switch (e->now.op) {
    case RF_SUB: r = sub_cond(e, cc); break;
    case RF_LOGIC: r = logic_cond(e, cc); break;
    case RF_ADD: case RF_INC: case RF_DEC: r = result_cond(e, cc); break;
    case RF_SHL: case RF_SHR: case RF_SAR: r = shift_cond(e, cc); break;
    default: break;
    }
    return val_keep(e, r ? r : raw_cond(e, cc));
}
