/* Operands of patched code become loads, see soft.c. Private to cpu/lift; translating thread. */
#ifndef CPU_LIFT_SOFT_H
#define CPU_LIFT_SOFT_H
#include "cpu/decode/decode.h"
#include "cpu/ir/ir.h"
#include "cpu/lift/lift.h"

#define SOFT_OPS_MAX 16 /* of an instruction: no simple one has more */
/* Appends an instruction to the block. */
typedef void soft_lift_fn(struct lift *l, struct insn *in, enum dec_result res);
/* The same for one of 64-bit protected mode that lies within the page; bytes: its own. b->soft is set. */
void soft_lift(struct lift *l, struct insn *in, const u8 *bytes, soft_lift_fn *lift);

#endif
