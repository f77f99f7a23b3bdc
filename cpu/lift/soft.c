/* Operands of patched code: an immediate or a displacement whose bytes the guest keeps changing is read from the code when it runs (LDCODE), so that
 * the block outlives the next change. Translating thread; called by the block driver, for instructions whose last bytes ir_block.soft names.
 *
 * Which op an operand's bytes end up in is found by lifting the instruction twice, with different bytes: if exactly one op differs, only in its
 * immediate, and by just what the bytes say, that one may read them. */
#include "cpu/lift/soft.h"

struct mark { /* where the block was before the instruction */
    struct lift l;
    unsigned n_ops, n_insns, n_carry, len;
};

static struct mark mark_set(const struct lift *l) { return (struct mark){ *l, l->b->n_ops, l->b->n_insns, l->b->n_carry, l->b->len }; }

static void mark_back(struct lift *l, const struct mark *m)
{
    struct ir_block *b = l->b;
    *l = m->l;
    b->n_ops = m->n_ops;
    b->n_insns = m->n_insns;
    b->n_carry = m->n_carry;
    b->len = m->len;
}

static u64 field(const u8 *bytes, unsigned end, unsigned size)
{
    u64 v = 0;
    memcpy(&v, bytes + end - size, size);
    return sext(v, size);
}

/* Where the op's immediate is an operand or part of an address that a register may stand for; NULL: it is not. */
static struct ir_val *soft_operand(struct ir_op *o)
{
    switch ((enum ir_code)o->code) {
    case IR_MOV:
        return o->a.kind == K_IMM ? &o->a : NULL;
    case IR_ADD: case IR_ADC: case IR_SUB: case IR_SBB: case IR_AND: case IR_OR: case IR_XOR: case IR_CMP: case IR_TEST:
        return o->b.kind == K_IMM ? &o->b : NULL;
    case IR_LEA: case IR_PROBE:
        return o->b.kind == K_NONE && o->asize == 8 && o->a.kind != K_NONE ? &o->b : NULL;
    default:
        return NULL;
    }
}

/* The only op in which the two differ, by values v and w of the field; -1: there is none, or more. */
static int soft_op(const struct ir_op *x, const struct ir_op *y, unsigned n, u64 v, u64 w)
{
    int found = -1;
    for (unsigned i = 0; i < n; i++) {
        struct ir_op other = y[i];
        if (x[i].imm == y[i].imm && !memcmp(&x[i], &y[i], sizeof(x[i])))
            continue;
        unsigned size = x[i].code == IR_LEA || x[i].code == IR_PROBE ? 8 : x[i].size;
        if (found >= 0 || !soft_operand(&other) || other.rel || zext(x[i].imm, size) != zext(v, size) || zext(y[i].imm, size) != zext(w, size))
            return -1;
        other.imm = x[i].imm;
        if (memcmp(&x[i], &other, sizeof(other)))
            return -1;
        found = (int)i;
    }
    return found;
}

/* The op at `at` takes its immediate from the size bytes of code at off. */
static void soften(struct lift *l, unsigned at, unsigned off, unsigned size)
{
    struct ir_block *b = l->b;
    struct ir_val t = ir_tmp(l->ntmp++);
    ir_emit(b, IR_LDCODE, 8);
    memmove(&b->op[at + 1], &b->op[at], (b->n_ops - 1 - at) * sizeof(b->op[0]));
    b->op[at] = (struct ir_op){ .code = IR_LDCODE, .size = 8, .size2 = (u8)size, .seg = S_NONE, .d = t, .imm = off };
    struct ir_op *o = &b->op[at + 1];
    *soft_operand(o) = t;
    o->imm = 0;
    b->soft_at[b->n_soft].off = (u16)off;
    b->soft_at[b->n_soft++].size = (u8)size;
}

/* With the last `size` bytes as the field. The instruction has been lifted from m on. */
static bool soft_try(struct lift *l, const struct insn *in, const u8 *bytes, unsigned size, const struct mark *m, soft_lift_fn *lift)
{
    struct ir_block *b = l->b;
    struct ir_op was[SOFT_OPS_MAX];
    struct insn changed;
    u8 other[15];
    unsigned n = b->n_ops - m->n_ops;
    memcpy(other, bytes, in->len);
    for (unsigned i = 0; i < size; i++)
        other[in->len - 1 - i] ^= 0x15;
    if (n > SOFT_OPS_MAX || b->n_carry != m->n_carry ||
        insn_decode(&changed, other, in->len, l->bits, true, in->pc, l->feat) != DEC_OK || changed.row != in->row || changed.len != in->len)
        return false;
    memcpy(was, &b->op[m->n_ops], n * sizeof(was[0]));
    mark_back(l, m);
    lift(l, &changed, DEC_OK);
    int at = b->n_ops - m->n_ops == n ? soft_op(was, &b->op[m->n_ops], n, field(bytes, in->len, size), field(other, in->len, size)) : -1;
    struct insn again = *in;
    mark_back(l, m);
    lift(l, &again, DEC_OK);
    if (at < 0 || l->ntmp >= IR_TMP_MAX)
        return false;
    soften(l, m->n_ops + (unsigned)at, m->len + in->len - size, size);
    return true;
}

void soft_lift(struct lift *l, struct insn *in, const u8 *bytes, soft_lift_fn *lift)
{
    struct ir_block *b = l->b;
    unsigned end = (unsigned)(b->pc & (PAGE_SIZE - 1)) + b->len + in->len, run = 0;
    struct mark m = mark_set(l);
    lift(l, in, DEC_OK);
    while (run < 8 && run < in->len && b->soft[(end - 1 - run) >> 6] >> ((end - 1 - run) & 63) & 1)
        run++;
    for (unsigned size = 8; size; size /= 2)
        if (size <= run && size != 2 && b->n_soft < IR_SOFT_MAX && soft_try(l, in, bytes, size, &m, lift))
            return;
}
