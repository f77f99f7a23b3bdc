/* What in a kernel's instructions depends on where the kernel lies: it is at another address at each boot, and code that was translated in one is to be
 * recognised in the next (accel/dbt/pcache.h). Called by lift.c for each instruction; translating thread. */
#include "cpu/lift/rules.h"

/* Where the value v is in the instruction's bytes behind the first; -1: nowhere, or not in one place. */
static int find_field(const struct lift *l, const struct insn *in, u32 v)
{
    int at = -1;
    for (unsigned i = 1; i + 4 <= in->len; i++) {
        if (ld32(l->bytes + i) != v)
            continue;
        if (at >= 0)
            return -1;
        at = (int)i;
    }
    return at;
}

static bool add_field(struct lift *l, const struct insn *in, u32 v, enum ir_field_kind kind)
{
    struct ir_block *b = l->b;
    int at = find_field(l, in, v);
    if (at < 0 || b->n_fields == IR_FIELDS_MAX)
        return false;
    b->field[b->n_fields++] = (struct ir_field){ (u16)(b->len + (unsigned)at), kind };
    return true;
}

static bool has_imm(const struct insn *in)
{
    for (unsigned i = 0; i < in->nop; i++)
        if (in->op[i].kind == OK_IMM)
            return true;
    return false;
}

static bool has_mem(const struct insn *in)
{
    for (unsigned i = 0; i < in->nop; i++)
        if (in->op[i].kind == OK_MEM)
            return !(in->row->attr & A_VSIB);
    return false;
}

void lift_moving(struct lift *l, struct insn *in, bool imm_allowed)
{
    in->disp_rel = in->mem.base == -2;
    if (!l->b->moves)
        return;
    if (imm_allowed && in->osize == 8 && ir_moving(in->imm) && has_imm(in))
        in->imm_rel = add_field(l, in, (u32)in->imm, IR_FIELD_MOVES);
    if (in->disp_rel && !ir_moving((u64)in->mem.disp)) { /* a per-CPU variable, relative to GS */
        in->disp_rel = false;
        if (!add_field(l, in, (u32)((u64)in->mem.disp - (in->pc + in->len)), IR_FIELD_OPPOSES))
            l->b->fixed = true;
    } else if (in->mem.base != -2 && in->mem.asize == 8 && ir_moving((u64)in->mem.disp) && has_mem(in)) {
        in->disp_rel = add_field(l, in, (u32)in->mem.disp, IR_FIELD_MOVES);
    }
}
