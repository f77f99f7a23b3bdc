/* Which ops of the IR the optimiser knows. Vector and x87 code, helpers and locked instructions are left to the baseline: regions have no vector
 * instructions, so that the guest's registers stay in the host's. Translating thread. */
#include "accel/dbt/opt/region.h"

static bool plain(struct ir_val v) { return v.kind == K_GPR || v.kind == K_TMP || v.kind == K_IMM || v.kind == K_GPRH; }
static bool any(struct ir_val v) { return plain(v) || v.kind == K_PTR; }

bool region_op_known(const struct ir_op *o)
{
    if (o->lock)
        return false;
    switch ((enum ir_code)o->code) {
    case IR_INSN: case IR_JMP: case IR_JCC: case IR_JMPR: case IR_LEA: case IR_LDC: case IR_CLC: case IR_STCF: case IR_CMC:
        return true;
    case IR_LIN:
        return true;
    case IR_PROBE:
        return o->size <= 8 && !(o->acc & ACC_MASKED);
    case IR_MOV: case IR_ADD: case IR_SUB: case IR_AND: case IR_OR: case IR_XOR: case IR_CMP: case IR_TEST: case IR_INC: case IR_DEC: case IR_NEG:
    case IR_NOT: case IR_MOVZX: case IR_MOVSX: case IR_SETCC: case IR_CMOV: case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROL: case IR_ROR:
    case IR_ADC: case IR_SBB: case IR_IMUL: case IR_BSF: case IR_BSR: case IR_TZCNT: case IR_LZCNT: case IR_POPCNT: case IR_BT: case IR_BTS:
    case IR_BTR: case IR_BTC:
        return (o->d.kind == K_NONE || any(o->d)) && (o->a.kind == K_NONE || any(o->a)) && (o->b.kind == K_NONE || any(o->b));
    case IR_XCHG:
        return plain(o->d) && plain(o->a);
    case IR_BSWAP: case IR_SHLD: case IR_SHRD:
        return o->size >= 4;
    case IR_MULW: case IR_DIVW:
        return o->size >= 4;
    default:
        return false;
    }
}
