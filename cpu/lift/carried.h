/* What the rules of carried instructions (simd.c, x87.c) share. Private to cpu/lift/; translating thread. */
#ifndef CPU_LIFT_CARRIED_H
#define CPU_LIFT_CARRIED_H
#include "cpu/lift/rules.h"

/* Argument of the helper fpu_check. */
enum { FPU_CHECK_X87, FPU_CHECK_MMX, FPU_CHECK_SSE, FPU_CHECK_AVX, FPU_CHECK_FWAIT, FPU_CHECK_EVEX };

/* A cleared carry of the block. */
struct carry *carry_new(struct lift *l);
/* Probes in's memory operand, if any, and emits the op (IR_VEC or IR_X87) for k: op.d is the GPR written, op.a the GPR read, op.b PTR. */
struct ir_op *carry_finish(struct lift *l, enum ir_code code, struct carry *k, const struct insn *in);
/* If the mode has mode_bit set: emits the check that raises, ends the block, returns true. */
bool lift_fpu_bad(struct lift *l, u32 mode_bit, unsigned kind);

#endif
