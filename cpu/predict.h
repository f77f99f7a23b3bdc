/* Branches as the performance counters see them: which instructions are some, and the model of a predictor that says which were mispredicted.
 * Translating thread (kinds), vCPU thread (the rest); emitted code does the same on struct predictor (accel/dbt/x64/isel_count.c). */
#ifndef CPU_PREDICT_H
#define CPU_PREDICT_H
#include "cpu/ir/ir.h"

enum branch_kind {
    BR_NONE, BR_DIRECT /* JMP: never mispredicted */, BR_COND, BR_CALL, BR_CALL_IND, BR_RET, BR_IND, BR_FAR /* leaves by a helper: never predicted */
};
enum branch_kind branch_kind_of(const struct insn_row *row);
/* Of the block's last instruction, the only one that may be a branch. */
enum branch_kind branch_kind_at_end(const struct ir_block *b);

static inline unsigned predict_direction_index(u64 pc) { return (unsigned)(pc ^ pc >> 12) & (PREDICT_DIRECTIONS - 1); }
static inline unsigned predict_target_index(u64 pc) { return (unsigned)(pc ^ pc >> 8) & (PREDICT_TARGETS - 1); }
/* A direction counter after a branch that was taken (or not), and whether it had predicted otherwise. */
extern const u8 predict_next[2][4], predict_wrong[2][4];
/* Where a call that ends the block comes back to. */
u64 predict_return(const struct ir_block *b);

/* The block's last instruction was executed, and c->rip is where it went: counts a misprediction in c->pmu.left. */
void predict_branch(struct cpu *c, const struct ir_block *b);
/* IBPB: indirect branches and returns are not predicted from before. */
void predict_barrier(struct cpu *c);

#endif
