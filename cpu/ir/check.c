/* The IR validator: kinds of operands, definition before use, liveness and bounds of PTR, order of writes and faults, block ends.
 * Called by the tests of the lifter, for every row of the instruction table; any thread. */
#include "cpu/help/help.h"
#include "cpu/ir/ir.h"

/* Kinds an operand may have. */
enum { N = 1, G = 2, P = 4, I = 8 }; /* none; GPR, GPRH or TMP; PTR; IMM */
enum { ANY_SIZE = 1 << 8, S1 = 1, S2 = 2, S4 = 4, S8 = 8, S16 = 16, S_ALL = S1 | S2 | S4 | S8, S_WIDE = S2 | S4 | S8, S_BIG = S4 | S8 };

/* Which operands an op writes; a count in b or a source is read. */
enum { W_D = 1, W_A = 2, W_B = 4, RD_D = 8 /* d is read too */, RM = 16 /* writes registers the op implies */ };
static const struct shape {
    u8 d, a, b, c;
    u16 sizes;
    u8 writes;
} shapes[IR_COUNT] = {
    [IR_PROBE] = { N, N | G, N | G, N, ANY_SIZE, 0 },
    [IR_LIN] = { G, N | G, N | G, N, S8, W_D },
    [IR_MOV] = { G | P, G | P | I, N, N, S_ALL, W_D },
    [IR_MOVZX] = { G, G | P, N, N, S_WIDE, W_D },
    [IR_MOVSX] = { G, G | P, N, N, S_WIDE, W_D },
    [IR_LEA] = { G, N | G, N | G, N, S_WIDE, W_D },
    [IR_SETCC] = { G | P, N, N, N, S1, W_D },
    [IR_CMOV] = { G, G | P, N, N, S_WIDE, W_D | RD_D },
    [IR_BSWAP] = { G, G, N, N, S_WIDE, W_D },
    [IR_XCHG] = { G | P, G, N, N, S_ALL, W_D | W_A | RD_D },
    [IR_LDC] = { G, N, N, N, S_ALL, W_D },
    [IR_LDCODE] = { G, N, N, N, S8, W_D },
    [IR_STC] = { N, G | I, N, N, S_ALL, 0 },
#define ALU2 { G | P, G | P, G | P | I, N, S_ALL, W_D }
#define ALU1 { G | P, G | P, N, N, S_ALL, W_D }
#define SHIFT { G | P, G | P, G | I, N, S_ALL, W_D }
    [IR_ADD] = ALU2, [IR_ADC] = ALU2, [IR_SUB] = ALU2, [IR_SBB] = ALU2, [IR_AND] = ALU2, [IR_OR] = ALU2, [IR_XOR] = ALU2,
    [IR_CMP] = { N, G | P, G | P | I, N, S_ALL, 0 }, [IR_TEST] = { N, G | P, G | P | I, N, S_ALL, 0 },
    [IR_INC] = ALU1, [IR_DEC] = ALU1, [IR_NEG] = ALU1, [IR_NOT] = ALU1,
    [IR_SHL] = SHIFT, [IR_SHR] = SHIFT, [IR_SAR] = SHIFT, [IR_ROL] = SHIFT, [IR_ROR] = SHIFT, [IR_RCL] = SHIFT, [IR_RCR] = SHIFT,
    [IR_SHLD] = { G | P, G, G | I, N, S_WIDE, W_D | RD_D }, [IR_SHRD] = { G | P, G, G | I, N, S_WIDE, W_D | RD_D },
    [IR_BT] = { N, G | P, G | I, N, S_WIDE, 0 },
    [IR_BTS] = { G | P, G | P, G | I, N, S_WIDE, W_D }, [IR_BTR] = { G | P, G | P, G | I, N, S_WIDE, W_D },
    [IR_BTC] = { G | P, G | P, G | I, N, S_WIDE, W_D },
#define UNARY { G, G | P, N, N, S_WIDE, W_D }
#define UNARY_RD { G, G | P, N, N, S_WIDE, W_D | RD_D }
    [IR_BSF] = UNARY_RD, [IR_BSR] = UNARY_RD, [IR_TZCNT] = UNARY, [IR_LZCNT] = UNARY, [IR_POPCNT] = UNARY,
    [IR_IMUL] = { G, G, G | P | I, N, S_WIDE, W_D },
    [IR_MULW] = { N, G | P, N, N, S_ALL, RM }, [IR_DIVW] = { N, G | P, N, N, S_ALL, RM },
    [IR_CMPXCHG] = { G | P, G, N, N, S_ALL, W_D | RD_D | RM }, [IR_CMPXCHG2] = { P, N, N, N, S8 | S16, W_D | RD_D | RM },
    [IR_XADD] = { G | P, G, N, N, S_ALL, W_D | W_A | RD_D },
    [IR_ANDN] = { G, G, G | P, N, S_BIG, W_D }, [IR_PDEP] = { G, G, G | P, N, S_BIG, W_D }, [IR_PEXT] = { G, G, G | P, N, S_BIG, W_D },
    [IR_BEXTR] = { G, G | P, G, N, S_BIG, W_D }, [IR_BZHI] = { G, G | P, G, N, S_BIG, W_D },
    [IR_BLSI] = UNARY, [IR_BLSR] = UNARY, [IR_BLSMSK] = UNARY,
    [IR_RORX] = { G, G | P, N, N, S_BIG, W_D },
    [IR_SARX] = { G, G | P, G | I, N, S_BIG, W_D }, [IR_SHLX] = { G, G | P, G | I, N, S_BIG, W_D },
    [IR_SHRX] = { G, G | P, G | I, N, S_BIG, W_D },
    [IR_MULX] = { G, G | P, G, N, S_BIG, W_D | W_B },
    [IR_ADCX] = UNARY_RD, [IR_ADOX] = UNARY_RD, [IR_CRC32] = UNARY_RD,
    [IR_LAHF] = { N, N, N, N, ANY_SIZE, RM }, [IR_SAHF] = { N, N, N, N, ANY_SIZE, 0 },
    [IR_CLC] = { N, N, N, N, ANY_SIZE, 0 }, [IR_STCF] = { N, N, N, N, ANY_SIZE, 0 }, [IR_CMC] = { N, N, N, N, ANY_SIZE, 0 },
    [IR_FENCE] = { N, N, N, N, ANY_SIZE, 0 },
    [IR_VEC] = { .writes = RM }, [IR_X87] = { .writes = RM },
    [IR_CALL] = { N | G, N | G | I, N | G | I, N | G | I, ANY_SIZE, W_D },
    [IR_JMP] = { N, N, N, N, ANY_SIZE, 0 }, [IR_JCC] = { N, N, N, N, ANY_SIZE, 0 }, [IR_BRZ] = { N, G, N, N, S_WIDE, 0 },
    [IR_JMPR] = { N, G, N, N, S8, 0 }, [IR_EXIT] = { N, N, N, N, ANY_SIZE, 0 },
};

struct check {
    const struct ir_block *b;
    unsigned tmps;       /* TMPs defined in this instruction */
    const struct ir_op *probe;
    bool wrote;          /* the instruction has changed guest state */
    bool ends;           /* a CALL with ends was seen in this instruction */
};

static bool kind_ok(struct ir_val v, unsigned mask)
{
    static const u8 bit[] = { [K_NONE] = N, [K_GPR] = G, [K_GPRH] = G, [K_TMP] = G, [K_IMM] = I, [K_PTR] = P };
    return v.kind <= K_PTR && (bit[v.kind] & mask);
}

/* One operand of `size` bytes that is read and / or written. */
static const char *check_val(struct check *k, const struct ir_op *op, struct ir_val v, unsigned size, bool rd, bool wr)
{
    switch (v.kind) {
    case K_GPR: return v.n < 16 ? NULL : "no such register";
    case K_GPRH:
        if (size != 1)
            return "AH..BH in an op that is not of one byte";
        return v.n < 4 ? NULL : "no such high register";
    case K_TMP:
        if (v.n >= IR_TMP_MAX)
            return "no such TMP";
        if (rd && !(k->tmps >> v.n & 1))
            return "TMP used before it is defined";
        return NULL;
    case K_PTR:
        if (!k->probe)
            return "PTR without a live PROBE";
        if (op->ptr_off + size > k->probe->size)
            return "PTR access beyond the PROBE's size";
        if ((rd && !(k->probe->acc & 1)) || (wr && !(k->probe->acc & 2)))
            return "PTR access that the PROBE did not ask for";
        return NULL;
    case K_IMM:
        if (op->code != IR_MOV && op->code != IR_CALL && op->code != IR_STC && size == 8 && (i64)op->imm != (i32)op->imm)
            return "immediate does not fit";
        return NULL;
    default: return NULL;
    }
}

static unsigned source_size(const struct ir_op *op) { return op->size2 ? op->size2 : op->code == IR_CALL ? 8 : op->size; }

static const char *check_operands(struct check *k, const struct ir_op *op, const struct shape *s)
{
    const char *e;
    bool shift_count = op->code >= IR_SHL && op->code <= IR_SHRD;
    unsigned imms = (op->a.kind == K_IMM) + (op->b.kind == K_IMM) + (op->c.kind == K_IMM);
    if (!kind_ok(op->d, s->d) || !kind_ok(op->a, s->a) || !kind_ok(op->b, s->b) || !kind_ok(op->c, s->c))
        return "operand of a kind that this op does not take";
    if (imms > 1)
        return "two immediates";
    if (!(s->sizes & ANY_SIZE) && (op->size > 16 || !(s->sizes & op->size)))
        return "size that this op does not take";
    if (op->b.kind == K_PTR && (op->a.kind == K_PTR || op->d.kind == K_PTR))
        return "two memory operands";
    if (op->a.kind == K_PTR && op->d.kind == K_PTR && op->code == IR_MOV)
        return "move from memory to memory";
    e = check_val(k, op, op->a, source_size(op), true, s->writes & W_A);
    if (!e)
        e = check_val(k, op, op->b, shift_count ? 1 : op->size, !(s->writes & W_B), s->writes & W_B);
    if (!e)
        e = check_val(k, op, op->c, op->size, true, false);
    if (!e)
        e = check_val(k, op, op->d, op->size, s->writes & RD_D, s->writes & W_D);
    return e;
}

static bool address_size_ok(unsigned n) { return n == 2 || n == 4 || n == 8; }

static const char *check_special(struct check *k, const struct ir_op *op)
{
    switch (op->code) {
    case IR_PROBE:
        if (!op->size || op->size > 64)
            return "PROBE of a size that cannot be probed";
        if (!(op->acc & ACC_RMW) || op->acc & ~(ACC_RMW | ACC_STACK | ACC_MASKED))
            return "PROBE with strange access bits";
        /* fall through */
    case IR_LIN:
        if (op->seg >= SEG_COUNT && op->seg != S_NONE)
            return "no such segment";
        if ((op->seg == S_FS || op->seg == S_GS) && (k->b->mode & MODE_SIZE) != MODE_64)
            return "FS or GS outside 64-bit mode without a check";
        /* fall through */
    case IR_LEA:
        return address_size_ok(op->asize) ? NULL : "address size";
    case IR_MOVZX: case IR_MOVSX: case IR_CRC32:
        return op->size2 && op->size2 <= op->size ? NULL : "source size";
    case IR_LDCODE:
        return k->b->code && (op->size2 == 1 || op->size2 == 4 || op->size2 == 8) ? NULL : "operand in code";
    case IR_LDC: case IR_STC:
        return op->imm + op->size <= sizeof(struct cpu) ? NULL : "no such field";
    case IR_VEC: case IR_X87: /* PTR operands, if named, only say that there is a memory operand */
        if (op->imm >= k->b->n_carry)
            return "no such carried instruction";
        if (k->b->carry[op->imm].rm_class == CC_MEM && (!k->probe || op->ptr_off + k->b->carry[op->imm].mem_size > k->probe->size))
            return "carried instruction whose memory operand has not been probed";
        return NULL;
    case IR_CALL:
        if (op->imm >= HELP_COUNT)
            return "no such helper";
        return op->ends == !!(help_table[op->imm].effects & HE_ENDS) ? NULL : "CALL's ends differs from the helper's";
    case IR_EXIT: return op->aux <= 1 ? NULL : "EXIT kind";
    default: return NULL;
    }
}

static bool may_raise(const struct ir_op *op)
{
    return op->code == IR_PROBE || op->code == IR_DIVW || (op->code == IR_CALL && help_table[op->imm].effects & HE_RAISE);
}

/* Tracks definitions, the live PROBE and writes. */
static void note_effects(struct check *k, const struct ir_op *op, const struct shape *s)
{
    const struct ir_val out[] = { s->writes & W_D ? op->d : ir_none(), s->writes & W_A ? op->a : ir_none(), s->writes & W_B ? op->b : ir_none() };
    for (unsigned i = 0; i < ARRAY_LEN(out); i++) {
        if (out[i].kind == K_TMP)
            k->tmps |= 1u << out[i].n;
        else if (out[i].kind != K_NONE)
            k->wrote = true;
    }
    if (op->fl || s->writes & RM)
        k->wrote = true;
    if (op->code == IR_PROBE)
        k->probe = op;
    if (op->code == IR_CALL) {
        k->probe = NULL;
        k->ends = k->ends || op->ends;
    }
}

static const char *check_op(struct check *k, const struct ir_op *op)
{
    const struct shape *s = &shapes[op->code];
    const char *e;
    if (op->fl && !(ir_flag_effect(op->code) & 1))
        return "op that never defines flags marked as doing so";
    if (op->lock && op->d.kind != K_PTR)
        return "lock without a memory destination";
    if (may_raise(op) && k->wrote)
        return "something that may fault after a write to guest state";
    e = check_special(k, op);
    if (!e && op->code != IR_VEC && op->code != IR_X87)
        e = check_operands(k, op, s);
    note_effects(k, op, s);
    return e;
}

const char *ir_check(const struct ir_block *b)
{
    struct check k = { .b = b };
    unsigned insns = 0;
    if (!b->n_ops || b->op[0].code != IR_INSN)
        return "block does not start with an instruction";
    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->op[i];
        bool last = i + 1 == b->n_ops;
        const char *e;
        if (op->code >= IR_COUNT)
            return "no such op";
        if ((ir_effect(op->code) == IRE_END) != last)
            return last ? "block without an end" : "block end within a block";
        if (op->code == IR_INSN) {
            if (op->imm != insns || b->insn[insns].first_op != i)
                return "instructions out of order";
            if (k.ends)
                return "CALL that ends the block with an instruction after it";
            insns++;
            k = (struct check){ .b = b };
            continue;
        }
        if (last && k.ends && op->code != IR_EXIT)
            return "CALL that ends the block without EXIT";
        e = check_op(&k, op);
        if (e)
            return e;
    }
    return insns == b->n_insns ? NULL : "instruction count";
}
