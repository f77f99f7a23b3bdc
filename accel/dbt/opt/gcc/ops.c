/* One op of the IR in the optimiser's code, but for those that end blocks. Worker process; called by emit.c. */
#include "accel/dbt/opt/gcc/emit.h"

static gcc_jit_rvalue *plus_minus(struct emit *e, const struct ir_op *o, bool plus, gcc_jit_rvalue *a, gcc_jit_rvalue *b)
{
    if (o->fl)
        flags_def(e, plus ? RF_ADD : RF_SUB, o->size, a, b);
    return val_bin(e, plus ? GCC_JIT_BINARY_OP_PLUS : GCC_JIT_BINARY_OP_MINUS, o->size, a, b);
}

static void op_alu(struct emit *e, const struct ir_op *o)
{
    unsigned size = o->size;
    gcc_jit_rvalue *a = val_get(e, o, o->a, size), *b = o->b.kind != K_NONE ? val_get(e, o, o->b, size) : NULL, *r;
    switch ((enum ir_code)o->code) {
    case IR_ADD: r = plus_minus(e, o, true, a, b); break;
    case IR_SUB: case IR_CMP: r = plus_minus(e, o, false, a, b); break;
    case IR_NEG: r = plus_minus(e, o, false, val_const(e, size, 0), a); break;
    case IR_NOT: r = gcc_jit_context_new_unary_op(e->ctx, NULL, GCC_JIT_UNARY_OP_BITWISE_NEGATE, e->u[size], a); break;
    default: {
        enum gcc_jit_binary_op op = o->code == IR_OR ? GCC_JIT_BINARY_OP_BITWISE_OR : o->code == IR_XOR ? GCC_JIT_BINARY_OP_BITWISE_XOR : GCC_JIT_BINARY_OP_BITWISE_AND;
        r = val_keep(e, val_bin(e, op, size, a, b));
        if (o->fl)
            flags_def(e, RF_LOGIC, size, r, NULL);
        break;
    }
    }
    if (o->d.kind != K_NONE)
        val_put(e, o, o->d, size, val_keep(e, r));
}

/* CF stays: as it was, is the second operand. */
static void op_inc_dec(struct emit *e, const struct ir_op *o)
{
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *one = val_const(e, o->size, 1);
    gcc_jit_rvalue *r = val_keep(e, val_bin(e, o->code == IR_INC ? GCC_JIT_BINARY_OP_PLUS : GCC_JIT_BINARY_OP_MINUS, o->size, a, one));
    if (o->fl) {
        gcc_jit_rvalue *cf = val_keep(e, val_cast(e, flags_cond(e, 2), e->u[8]));
        flags_def(e, o->code == IR_INC ? RF_INC : RF_DEC, o->size, a, cf);
    }
    val_put(e, o, o->d, o->size, r);
}

static gcc_jit_rvalue *shifted(struct emit *e, const struct ir_op *o, gcc_jit_rvalue *a, gcc_jit_rvalue *n)
{
    unsigned wide = o->size == 8 ? 8 : 4; /* a count may be more than the operand has bits */
    gcc_jit_type *t = o->code == IR_SAR ? e->s[wide] : e->u[wide];
    gcc_jit_rvalue *v = o->code == IR_SAR ? val_cast(e, val_cast(e, a, e->s[o->size]), t) : val_cast(e, a, t);
    enum gcc_jit_binary_op op = o->code == IR_SHL ? GCC_JIT_BINARY_OP_LSHIFT : GCC_JIT_BINARY_OP_RSHIFT;
    return val_cast(e, gcc_jit_context_new_binary_op(e->ctx, NULL, op, t, v, val_cast(e, n, t)), e->u[o->size]);
}

static void op_shift(struct emit *e, const struct ir_op *o)
{
    enum region_flag_op op = o->code == IR_SHL ? RF_SHL : o->code == IR_SHR ? RF_SHR : RF_SAR;
    u64 mask = o->size == 8 ? 63 : 31;
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *n, *r;
    if (o->b.kind == K_IMM) {
        n = val_const(e, 8, o->imm & mask);
        r = val_keep(e, shifted(e, o, a, n));
        if (o->fl && o->imm & mask)
            flags_def(e, op, o->size, a, n);
    } else {
        n = val_keep(e, val_bin(e, GCC_JIT_BINARY_OP_BITWISE_AND, 8, val_cast(e, val_get(e, o, o->b, 1), e->u[8]), val_const(e, 8, mask)));
        r = val_keep(e, shifted(e, o, a, n));
        if (o->fl) { /* a count of 0 leaves flags alone */
            gcc_jit_block *set = emit_new_block(e), *go = emit_new_block(e);
            flags_spell(e);
            gcc_jit_block_end_with_conditional(e->b, NULL, val_cmp(e, GCC_JIT_COMPARISON_NE, n, val_const(e, 8, 0)), set, go);
            e->b = set;
            flags_def(e, op, o->size, a, n);
            flags_spell(e);
            gcc_jit_block_end_with_jump(e->b, NULL, go);
            e->b = go;
            e->now.op = -1;
        }
    }
    val_put(e, o, o->d, o->size, r);
}

/* One operand that is changed, and one more, by the host's instruction. */
static void op_host2(struct emit *e, const struct ir_op *o, const char *insn, const char *b_constraint)
{
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *b = val_get(e, o, o->b, *b_constraint == 'c' ? 1 : o->size);
    gcc_jit_rvalue *r = val_keep(e, flags_by_host(e, insn, o->size, a, b, b_constraint));
    if (o->d.kind != K_NONE)
        val_put(e, o, o->d, o->size, r);
}

/* A source of 0 leaves all of BSF's and BSR's destination. */
static void op_scan(struct emit *e, const struct ir_op *o, const char *insn)
{
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *d = val_get(e, o, o->d, o->size), *r;
    r = val_keep(e, flags_by_host(e, insn, o->size, d, a, "r"));
    if ((o->code == IR_BSF || o->code == IR_BSR) && o->size == 4 && o->d.kind == K_GPR) {
        gcc_jit_block *set = emit_new_block(e), *go = emit_new_block(e);
        gcc_jit_block_end_with_conditional(e->b, NULL, val_cmp(e, GCC_JIT_COMPARISON_NE, a, val_const(e, 4, 0)), set, go);
        e->b = set;
        val_put(e, o, o->d, 4, r);
        gcc_jit_block_end_with_jump(e->b, NULL, go);
        e->b = go;
        return;
    }
    val_put(e, o, o->d, o->size, r);
}

static const char *host_name(enum ir_code code)
{
    switch (code) {
    case IR_ROL: return "rol";
    case IR_ROR: return "ror";
    case IR_ADC: return "adc";
    case IR_SBB: return "sbb";
    case IR_BSF: return "bsf";
    case IR_BSR: return "bsr";
    case IR_TZCNT: return "tzcnt";
    case IR_LZCNT: return "lzcnt";
    case IR_POPCNT: return "popcnt";
    case IR_BT: return "bt";
    case IR_BTS: return "bts";
    case IR_BTR: return "btr";
    default: return "btc";
    }
}

/* SF ZF AF PF are undefined. */
static void op_imul(struct emit *e, const struct ir_op *o)
{
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *b = val_get(e, o, o->b, o->size);
    gcc_jit_rvalue *r = val_keep(e, val_bin(e, GCC_JIT_BINARY_OP_MULT, o->size, a, b));
    if (o->fl)
        flags_def(e, RF_IMUL, o->size, a, b);
    val_put(e, o, o->d, o->size, r);
}

static void op_rotate(struct emit *e, const struct ir_op *o)
{
    bool known = o->b.kind == K_IMM;
    unsigned bits = 8 * o->size, n = (unsigned)o->imm & (o->size == 8 ? 63 : 31), k = n & (bits - 1);
    if (!known) {
        op_host2(e, o, host_name(o->code), "c");
        return;
    }
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *r = a;
    if (k) {
        unsigned left = o->code == IR_ROL ? k : bits - k;
        gcc_jit_rvalue *hi = val_bin(e, GCC_JIT_BINARY_OP_LSHIFT, o->size, a, val_const(e, o->size, left));
        gcc_jit_rvalue *lo = val_bin(e, GCC_JIT_BINARY_OP_RSHIFT, o->size, a, val_const(e, o->size, bits - left));
        r = val_keep(e, val_bin(e, GCC_JIT_BINARY_OP_BITWISE_OR, o->size, hi, lo));
    }
    if (o->fl && n)
        flags_by_host(e, host_name(o->code), o->size, a, val_const(e, 1, n), "c");
    val_put(e, o, o->d, o->size, r);
}

static void op_cmov(struct emit *e, const struct ir_op *o)
{
    gcc_jit_lvalue *r = val_local(e, e->u[o->size]);
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *d = val_get(e, o, o->d, o->size), *cond = flags_cond(e, o->cc);
    gcc_jit_block *set = emit_new_block(e), *go = emit_new_block(e);
    emit_set(e, r, d);
    gcc_jit_block_end_with_conditional(e->b, NULL, cond, set, go);
    e->b = set;
    emit_set(e, r, a);
    gcc_jit_block_end_with_jump(e->b, NULL, go);
    e->b = go;
    val_put(e, o, o->d, o->size, gcc_jit_lvalue_as_rvalue(r));
}

static void op_extend(struct emit *e, const struct ir_op *o)
{
    gcc_jit_rvalue *v = val_get(e, o, o->a, o->code == IR_MOV ? o->size : o->size2);
    if (o->code == IR_MOVSX)
        v = val_cast(e, val_cast(e, val_cast(e, v, e->s[o->size2]), e->s[o->size]), e->u[o->size]);
    else if (o->code == IR_MOVZX)
        v = val_cast(e, v, e->u[o->size]);
    val_put(e, o, o->d, o->size, v);
}

static void op_xchg(struct emit *e, const struct ir_op *o)
{
    gcc_jit_rvalue *d = val_get(e, o, o->d, o->size), *a = val_get(e, o, o->a, o->size);
    val_put(e, o, o->d, o->size, a);
    val_put(e, o, o->a, o->size, d);
}

static void op_bswap(struct emit *e, const struct ir_op *o)
{
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size);
    gcc_jit_function *f = gcc_jit_context_get_builtin_function(e->ctx, o->size == 8 ? "__builtin_bswap64" : "__builtin_bswap32");
    val_put(e, o, o->d, o->size, val_keep(e, val_cast(e, gcc_jit_context_new_call(e->ctx, NULL, f, 1, &a), e->u[o->size])));
}

/* SHLD and SHRD: d, the register whose bits come in, the count. */
static void op_shd(struct emit *e, const struct ir_op *o)
{
    gcc_jit_lvalue *raw = val_local(e, e->u[8]), *res = val_local(e, e->u[o->size]);
    gcc_jit_rvalue *d = val_get(e, o, o->d, o->size), *a = val_get(e, o, o->a, o->size), *n = val_get(e, o, o->b, 1), *before = flags_raw(e);
    static const char *const text[2][2] = {
        { "addb $0x7f, %%al; sahf; shldl %%cl, %k4, %k1; lahf; seto %%al", "addb $0x7f, %%al; sahf; shldq %%cl, %q4, %q1; lahf; seto %%al" },
        { "addb $0x7f, %%al; sahf; shrdl %%cl, %k4, %k1; lahf; seto %%al", "addb $0x7f, %%al; sahf; shrdq %%cl, %q4, %q1; lahf; seto %%al" },
    };
    gcc_jit_extended_asm *x = gcc_jit_block_add_extended_asm(e->b, NULL, text[o->code == IR_SHRD][o->size == 8]);
    gcc_jit_extended_asm_add_output_operand(x, NULL, "=a", raw);
    gcc_jit_extended_asm_add_output_operand(x, NULL, "=&r", res);
    gcc_jit_extended_asm_add_input_operand(x, NULL, "0", before);
    gcc_jit_extended_asm_add_input_operand(x, NULL, "1", d);
    gcc_jit_extended_asm_add_input_operand(x, NULL, "r", a);
    gcc_jit_extended_asm_add_input_operand(x, NULL, "c", n);
    gcc_jit_extended_asm_add_clobber(x, "cc");
    flags_def(e, RF_RAW, 8, val_bin(e, GCC_JIT_BINARY_OP_BITWISE_AND, 8, gcc_jit_lvalue_as_rvalue(raw), val_const(e, 8, 0xffff)), NULL);
    val_put(e, o, o->d, o->size, gcc_jit_lvalue_as_rvalue(res));
}

/* A multiplication or division by v: rAX and rDX are ax and dx before it, and become lo and hi. */
static gcc_jit_extended_asm *asm_wide(struct emit *e, const char *text, gcc_jit_lvalue *lo, gcc_jit_lvalue *hi, gcc_jit_rvalue *ax, gcc_jit_rvalue *dx,
                                      gcc_jit_rvalue *v)
{
    gcc_jit_extended_asm *x = gcc_jit_block_add_extended_asm(e->b, NULL, text);
    gcc_jit_extended_asm_add_output_operand(x, NULL, "=a", lo);
    gcc_jit_extended_asm_add_output_operand(x, NULL, "=d", hi);
    gcc_jit_extended_asm_add_input_operand(x, NULL, "0", ax);
    gcc_jit_extended_asm_add_input_operand(x, NULL, "1", dx);
    gcc_jit_extended_asm_add_input_operand(x, NULL, "r", v);
    gcc_jit_extended_asm_add_clobber(x, "cc");
    return x;
}

static void op_mul_wide(struct emit *e, const struct ir_op *o)
{
    unsigned size = o->size;
    static const char *const text[2][2] = { { "mull %k4", "mulq %q4" }, { "imull %k4", "imulq %q4" } };
    gcc_jit_lvalue *lo = val_local(e, e->u[size]), *hi = val_local(e, e->u[size]);
    gcc_jit_rvalue *a = val_get(e, o, o->a, size), *ax = val_get(e, o, ir_gpr(R_AX), size), *zero = val_const(e, size, 0), *over;
    asm_wide(e, text[o->aux & 1][size == 8], lo, hi, ax, zero, a);
    if (o->fl) {
        gcc_jit_rvalue *top = val_const(e, size, 0);
        if (o->aux & 1) {
            gcc_jit_rvalue *sign = val_cast(e, gcc_jit_lvalue_as_rvalue(lo), e->s[size]);
            sign = gcc_jit_context_new_binary_op(e->ctx, NULL, GCC_JIT_BINARY_OP_RSHIFT, e->s[size], sign,
                                                 gcc_jit_context_new_rvalue_from_int(e->ctx, e->s[size], (int)(8 * size - 1)));
            top = val_cast(e, sign, e->u[size]);
        }
        over = val_cast(e, val_cmp(e, GCC_JIT_COMPARISON_NE, gcc_jit_lvalue_as_rvalue(hi), top), e->u[8]);
        over = val_bin(e, GCC_JIT_BINARY_OP_MULT, 8, over, val_const(e, 8, 0x101)); /* CF and OF; the others are undefined */
        flags_def(e, RF_RAW, 8, over, NULL);
    }
    val_put(e, o, ir_gpr(R_AX), size, gcc_jit_lvalue_as_rvalue(lo));
    val_put(e, o, ir_gpr(R_DX), size, gcc_jit_lvalue_as_rvalue(hi));
}

/* Divisions that could trap, and signed ones of what is more than a sign-extended rAX, are the baseline's. */
static void op_div(struct emit *e, const struct ir_op *o)
{
    unsigned size = o->size;
    static const char *const text[2][2] = { { "divl %k4", "divq %q4" }, { "idivl %k4", "idivq %q4" } };
    gcc_jit_block *side = emit_side_exit(e);
    gcc_jit_lvalue *q = val_local(e, e->u[size]), *rem = val_local(e, e->u[size]);
    gcc_jit_rvalue *v = val_get(e, o, o->a, size), *lo = val_get(e, o, ir_gpr(R_AX), size), *hi = val_get(e, o, ir_gpr(R_DX), size);
    if (o->aux & 1) {
        gcc_jit_rvalue *sign = gcc_jit_context_new_binary_op(e->ctx, NULL, GCC_JIT_BINARY_OP_RSHIFT, e->s[size], val_cast(e, lo, e->s[size]),
                                                             gcc_jit_context_new_rvalue_from_int(e->ctx, e->s[size], (int)(8 * size - 1)));
        emit_branch_unlikely(e, val_cmp(e, GCC_JIT_COMPARISON_NE, hi, val_cast(e, sign, e->u[size])), side);
        emit_branch_unlikely(e, val_cmp(e, GCC_JIT_COMPARISON_LE, val_bin(e, GCC_JIT_BINARY_OP_PLUS, size, v, val_const(e, size, 1)), val_const(e, size, 1)), side); /* 0, -1 */
    } else {
        emit_branch_unlikely(e, val_cmp(e, GCC_JIT_COMPARISON_GE, hi, v), side);
    }
    gcc_jit_extended_asm_set_volatile_flag(asm_wide(e, text[o->aux & 1][size == 8], q, rem, lo, hi, v), 1);
    val_put(e, o, ir_gpr(R_AX), size, gcc_jit_lvalue_as_rvalue(q));
    val_put(e, o, ir_gpr(R_DX), size, gcc_jit_lvalue_as_rvalue(rem));
}

/* CF is 0, 1, or the other one. */
static void op_carry(struct emit *e, const struct ir_op *o)
{
    enum gcc_jit_binary_op op = o->code == IR_CLC ? GCC_JIT_BINARY_OP_BITWISE_AND : o->code == IR_CMC ? GCC_JIT_BINARY_OP_BITWISE_XOR : GCC_JIT_BINARY_OP_BITWISE_OR;
    flags_def(e, RF_RAW, 8, val_keep(e, val_bin(e, op, 8, flags_raw(e), val_const(e, 8, o->code == IR_CLC ? 0xfeff : 0x100))), NULL);
}

static void op_bit(struct emit *e, const struct ir_op *o)
{
    gcc_jit_rvalue *a = val_get(e, o, o->a, o->size), *b = val_get(e, o, o->b, o->size);
    gcc_jit_rvalue *r = val_keep(e, flags_by_host(e, host_name(o->code), o->size, a, b, "r"));
    if (o->d.kind != K_NONE)
        val_put(e, o, o->d, o->size, r);
}

void emit_op(struct emit *e, const struct ir_op *o)
{
    switch ((enum ir_code)o->code) {
    case IR_INSN: break;
    case IR_PROBE: emit_probe(e, o); break;
    case IR_LIN: val_put(e, o, o->d, 8, emit_address(e, o)); break;
    case IR_LEA: val_put(e, o, o->d, o->size, val_keep(e, val_cast(e, emit_address(e, o), e->u[o->size]))); break;
    case IR_MOV: case IR_MOVZX: case IR_MOVSX: op_extend(e, o); break;
    case IR_ADD: case IR_SUB: case IR_AND: case IR_OR: case IR_XOR: case IR_CMP: case IR_TEST: case IR_NEG: case IR_NOT: op_alu(e, o); break;
    case IR_INC: case IR_DEC: op_inc_dec(e, o); break;
    case IR_SHL: case IR_SHR: case IR_SAR: op_shift(e, o); break;
    case IR_ROL: case IR_ROR: op_rotate(e, o); break;
    case IR_ADC: case IR_SBB: op_host2(e, o, host_name(o->code), "r"); break;
    case IR_IMUL: op_imul(e, o); break;
    case IR_BSF: case IR_BSR: case IR_TZCNT: case IR_LZCNT: case IR_POPCNT: op_scan(e, o, host_name(o->code)); break;
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: op_bit(e, o); break;
    case IR_SETCC: val_put(e, o, o->d, 1, val_keep(e, val_cast(e, flags_cond(e, o->cc), e->u[1]))); break;
    case IR_CMOV: op_cmov(e, o); break;
    case IR_XCHG: op_xchg(e, o); break;
    case IR_BSWAP: op_bswap(e, o); break;
    case IR_SHLD: case IR_SHRD: op_shd(e, o); break;
    case IR_MULW: op_mul_wide(e, o); break;
    case IR_DIVW: op_div(e, o); break;
    case IR_LDC: val_put(e, o, o->d, o->size, val_keep(e, gcc_jit_lvalue_as_rvalue(val_cpu(e, o->imm, o->size)))); break;
    case IR_CLC: case IR_STCF: case IR_CMC: op_carry(e, o); break;
    default: break; /* region_op_known() lets none through */
    }
}
