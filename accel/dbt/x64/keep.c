/* Finds the stretches of keep.h. Called by the x64 backend before a block is emitted; translating thread. */
#include "accel/dbt/x64/keep.h"
#include "accel/dbt/x64/jit.h"

#define WORTH 2 /* checks in a stretch */

enum flag_use { USE_NONE, USE_NEW /* all flags get new values, none is read */, USE_OTHER };

static enum flag_use use_of(const struct ir_block *b, const struct ir_op *o)
{
    const struct carry *k;
    switch ((enum ir_code)o->code) {
    case IR_ADD: case IR_SUB: case IR_AND: case IR_OR: case IR_XOR: case IR_CMP: case IR_TEST: case IR_NEG:
        return o->fl ? USE_NEW : USE_NONE;
    case IR_VEC:
        k = &b->carry[o->imm];
        if (k->x87 || k->zmm || k->fl_read) /* of a block with AVX-512 the first instruction that uses it may save and load all */
            return USE_OTHER;
        return !k->fl_write ? USE_NONE : k->fl_write == F_ARITH ? USE_NEW : USE_OTHER;
    case IR_CALL: case IR_X87: case IR_DIVW:
        return USE_OTHER;
    default:
        if (ir_effect(o->code) == IRE_END || ir_flag_effect(o->code) >> 1)
            return USE_OTHER;
        return ir_flag_effect(o->code) && o->fl ? USE_OTHER : USE_NONE;
    }
}

/* Whether the PROBE at this op emits a check of its own. */
static bool checks(const struct groups *gs, unsigned op)
{
    const struct group_probe *g = groups_at(gs, op);
    return !g || g->first;
}

void keeps_find(struct keeps *ks, const struct groups *gs, const struct ir_block *b)
{
    unsigned count = 0, begin = 0;
    ks->n = 0;
    for (unsigned i = 0; x64_host.bmi2 && i < b->n_ops && ks->n < KEEP_MAX; i++) {
        const struct ir_op *o = &b->op[i];
        if (o->code == IR_PROBE && checks(gs, i) && !count++)
            begin = i;
        enum flag_use use = use_of(b, o);
        if (use == USE_NEW && count >= WORTH)
            ks->k[ks->n++] = (struct keep){ (u16)begin, (u16)i };
        if (use != USE_NONE)
            count = 0;
    }
}

const struct keep *keeps_at(const struct keeps *ks, unsigned op)
{
    for (unsigned i = 0; i < ks->n; i++)
        if (op >= ks->k[i].begin && op < ks->k[i].end)
            return &ks->k[i];
    return NULL;
}
