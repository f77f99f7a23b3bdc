/* The IR builder's one function and the facts of ir.def. Any thread; a block belongs to the thread that builds it. */
#include "cpu/ir/ir.h"

enum { F_NO_, F_YES_, F_USE_, F_UF_ };

const struct ir_fact ir_facts[IR_COUNT] = {
#define X(NAME, name, flags, effect, meaning) [IR_##NAME] = { name, flags##_, IRE_##effect },
#include "cpu/ir/ir.def"
#undef X
};

struct ir_op *ir_emit(struct ir_block *b, enum ir_code code, unsigned size)
{
    assert(b->n_ops < IR_OPS_MAX);
    struct ir_op *op = &b->op[b->n_ops++];
    *op = (struct ir_op){ .code = (u8)code, .size = (u8)size, .seg = S_NONE };
    return op;
}

