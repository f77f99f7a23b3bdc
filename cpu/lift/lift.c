/* The block driver: fetches and decodes guest instructions, checks what every instruction shares, and calls the row's IR
 * generator. Translating thread (a vCPU thread); called by accel/dbt/ and by the interpreter's run loop. */
#include "cpu/cpuid.h"
#include "cpu/lift/rules.h"
#include "cpu/lift/soft.h"

typedef void rule_fn(struct lift *l, const struct insn *in);
static rule_fn *const rules[] = { /* by insn_row_index() */
#define I(map, opcode, prefix, modrm, mnem, o1, o2, o3, o4, modes, feat, attr, flr, flw, flu, exc, rule) lift_##rule,
#include "cpu/decode/insn.def"
#undef I
};

#define OPS_PER_INSN 40 /* more than any rule emits; the rest of the block's room is for one more instruction */
#define INSN_BYTES 15

struct source {
    lift_fetch_fn *fetch;
    void *opaque;
    u64 first_page;
};

static u64 page_of(const struct lift *l, u64 pc)
{
    u64 lin = l->cs_base + pc;
    return (l->bits == 64 ? lin : (u32)lin) >> PAGE_BITS;
}

/* The row that stands for undecodable bytes: UD2's. */
static const struct insn_row *bad_row(void)
{
    static const u8 ud2[] = { 0x0f, 0x0b };
    struct insn in;
    insn_decode(&in, ud2, sizeof(ud2), 32, true, 0, NULL);
    return in.row;
}

enum step { STEP_OK, STEP_END /* the block ends before this instruction */, STEP_FAULT };

/* Decodes the instruction at pc, whose bytes go to buf. One that crosses into the next page is taken only as the first of its block. */
static enum step insn_next(struct lift *l, const struct source *src, u64 pc, bool first, u8 buf[INSN_BYTES], struct insn *in, enum dec_result *res,
                           bool *crossed)
{
    bool pe = l->mode & MODE_PE && !(l->mode & MODE_VM86);
    if (!first && page_of(l, pc) != src->first_page)
        return STEP_END;
    int n = src->fetch(src->opaque, pc, buf, INSN_BYTES);
    if (n <= 0)
        return n < 0 && first ? STEP_FAULT : STEP_END;
    *crossed = false;
    *res = insn_decode(in, buf, (unsigned)n, l->bits, pe, pc, l->feat);
    if (*res != DEC_MORE)
        return STEP_OK;
    if (!first)
        return STEP_END;
    *crossed = true;
    int more = src->fetch(src->opaque, pc + (unsigned)n, buf + n, INSN_BYTES - (unsigned)n);
    if (more < 0)
        return STEP_FAULT;
    *res = insn_decode(in, buf, (unsigned)(n + more), l->bits, pe, pc, l->feat);
    return STEP_OK;
}

/* Whether lift_moving may say of this rule's immediate that it moves. */
static bool minds_imm_rel(rule_fn *rule)
{
    static rule_fn *const those[] = { lift_mov, lift_add, lift_or, lift_adc, lift_sbb, lift_and, lift_sub, lift_xor, lift_cmp, lift_test, lift_push };
    for (unsigned i = 0; i < ARRAY_LEN(those); i++)
        if (rule == those[i])
            return true;
    return false;
}

static void insn_lift(struct lift *l, struct insn *in, enum dec_result res)
{
    struct ir_block *b = l->b;
    const struct insn_row *row = res == DEC_OK ? in->row : bad_row();
    l->next_pc = in->pc + in->len;
    if (l->bits != 64)
        l->next_pc = zext(l->next_pc, 4);
    l->ntmp = 0;
    b->insn[b->n_insns] = (struct ir_insn){ .pc = in->pc, .len = in->len, .first_op = (u16)b->n_ops, .row = row };
    lift_op(l, IR_INSN, 0)->imm = b->n_insns++;
    if (res == DEC_OK)
        lift_moving(l, in, ir_moving(in->imm) && minds_imm_rel(rules[insn_row_index(row)]));
    b->len += in->len;
    if (res == DEC_UD)
        lift_raise(l, EXC_UD);
    else if (res != DEC_OK || (row->attr & A_PRIV && mode_cpl(l->mode) > 0))
        lift_gp0(l); /* longer than 15 bytes or beyond the segment's limit; privileged */
    else
        rules[insn_row_index(row)](l, in);
}

int lift_block(struct ir_block *b, const struct cpu *c, u64 pc, unsigned max_insns, lift_fetch_fn *fetch, void *opaque)
{
    return lift_block_soft(b, c, pc, max_insns, fetch, opaque, NULL, NULL);
}

int lift_block_soft(struct ir_block *b, const struct cpu *c, u64 pc, unsigned max_insns, lift_fetch_fn *fetch, void *opaque, const u8 *code,
                    const u64 *soft)
{
    struct lift l = { .b = b, .mode = c->mode, .bits = mode_bits(c->mode), .feat = c->model ? c->model->feat : NULL };
    l.cs_base = l.bits == 64 ? 0 : c->seg[S_CS].base;
    l.cs_limit = l.bits == 64 ? ~0ull : c->seg[S_CS].limit;
    struct source src = { fetch, opaque, page_of(&l, pc) };
    bool crossed = false;
    b->pc = l.next_pc = pc;
    b->mode = c->mode;
    b->cs_base = l.cs_base;
    b->rel = ir_mode_rel(c->mode);
    b->moves = (c->mode & (MODE_SIZE | MODE_COUNT)) == MODE_64 && mode_cpl(c->mode) < 3 && ir_moving(pc);
    b->fixed = soft && b->moves;
    if (b->fixed)
        b->moves = false;
    b->n_fields = 0;
    b->n_ops = b->n_insns = b->n_carry = b->len = 0;
    b->uses_x87 = b->uses_vec = false;
    b->code = code;
    b->soft = soft;
    b->n_soft = 0;
    while (!l.end && !crossed && b->n_insns < MIN_OF(max_insns, IR_INSNS_MAX) && b->n_ops + OPS_PER_INSN < IR_OPS_MAX &&
           b->n_carry + 2 < IR_CARRY_MAX) {
        u8 bytes[INSN_BYTES];
        struct insn in;
        enum dec_result res;
        enum step step = insn_next(&l, &src, l.next_pc, b->n_insns == 0, bytes, &in, &res, &crossed);
        if (step == STEP_FAULT)
            return -1;
        if (step == STEP_END)
            break;
        l.bytes = bytes;
        if (UNLIKELY(b->soft) && res == DEC_OK && !crossed && l.bits == 64)
            soft_lift(&l, &in, bytes, insn_lift);
        else
            insn_lift(&l, &in, res);
    }
    if (!l.end)
        lift_end_jmp(&l, l.next_pc);
    b->fixed |= b->n_soft > 0;
    return (int)b->n_insns;
}
