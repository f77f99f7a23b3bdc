/* The reference interpreter: plain C over IR. vCPU thread. Called by the run loop for single instructions that emitted code
 * hands over, for interp=on, single-step, and as the oracle of the backends. */
#ifndef CPU_IR_INTERP_H
#define CPU_IR_INTERP_H
#include "cpu/ir/ir.h"

/* Executes the block's ops on c; faults leave through cpu_raise(). On return c->rip is the next instruction's.
 * Returns the number of guest instructions completed. */
unsigned ir_interp(struct cpu *c, const struct ir_block *b);
/* The same for a block of one instruction, which the performance counters see (cpu/pmu.h). */
void ir_interp_one(struct cpu *c, const struct ir_block *b);

#endif
