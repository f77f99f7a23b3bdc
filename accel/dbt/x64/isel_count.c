/* Instruction selection of the x64 backend: what blocks of MODE_COUNT have more. They subtract their instructions from struct pmu.left as they begin,
 * and leave to the run loop instead where that would use it up; calls of C say in pmu.ahead how many of those have not retired (cpu/pmu.h). With
 * MODE_COUNT_BR they count branches too, and go through the model of a predictor (cpu/predict.h) at their end. Translating thread; called by
 * isel.c and isel_flow.c. Everything here leaves EFLAGS alone, and uses rax, rcx, rdx, rbx only. */
#include "accel/dbt/x64/jit.h"

#define LEFT(e) CPU_RM(pmu.left[e])
#define LEFT_HIGH(e) cpu_rm(offsetof(struct cpu, pmu.left[e]) + 4)
#define DIRECTION offsetof(struct cpu, pmu.predictor.direction)

static bool counts_branches(const struct jit *j) { return j->b->mode & MODE_COUNT_BR; }
static unsigned block_branches(const struct jit *j) { return counts_branches(j) && j->branch != BR_NONE; }

static void left_add(struct jit *j, enum pmu_event e, i32 n)
{
    enc_load(&j->e, 8, RAX, LEFT(e));
    enc_lea(&j->e, 8, RAX, rm_mem(RAX, n));
    enc_store(&j->e, 8, LEFT(e), RAX);
}

void count_begin(struct jit *j)
{
    struct enc *e = &j->e;
    if (!(j->b->mode & MODE_COUNT))
        return;
    j->branch = branch_kind_at_end(j->b);
    left_add(j, PMU_INSNS, -(i32)j->b->n_insns);
    enc_load(e, 4, RCX, LEFT_HIGH(PMU_INSNS)); /* each is 0 or all ones */
    for (unsigned k = PMU_BRANCHES; counts_branches(j) && k < PMU_COUNTED; k++) {
        enc_load(e, 4, RDX, LEFT_HIGH(k));
        enc_lea(e, 8, RCX, rm_sib(RCX, RDX, 0, 0));
    }
    u8 *go = enc_jrcxz(e);
    ool_new(j, OOL_COUNT, enc_jmp(e))->pc = j->b->pc;
    enc_bind8(e, go);
    if (block_branches(j))
        left_add(j, PMU_BRANCHES, -1);
}

/* Nothing of the block is executed. */
void count_give_back(struct jit *j) { left_add(j, PMU_INSNS, (i32)j->b->n_insns); }

void count_ahead(struct jit *j, unsigned insn)
{
    if (j->b->mode & MODE_COUNT)
        enc_mov_mi(&j->e, 4, CPU_RM(pmu.ahead), (u32)(j->b->n_insns - insn) | block_branches(j) << 16);
}

/* --- the predictor --- */
bool count_predicts(const struct jit *j) { return counts_branches(j) && j->branch == BR_COND; }

/* reg = table[rcx]; rcx is the old state. */
static void table_load(struct jit *j, unsigned reg, const u8 *table)
{
    enc_mov_ri(&j->e, reg, (u64)table);
    enc_movzx(&j->e, reg, 1, rm_sib((int)reg, RCX, 0, 0));
}

void count_direction(struct jit *j, bool taken)
{
    struct rm state = cpu_rm(DIRECTION + predict_direction_index(j->b->insn[j->b->n_insns - 1].pc));
    enc_movzx(&j->e, RCX, 1, state);
    table_load(j, RAX, predict_next[taken]);
    enc_store(&j->e, 1, state, RAX);
    table_load(j, RAX, predict_wrong[taken]);
    enc_grp(&j->e, 8, OP1(0xf6), 2, rm_reg(RAX), false); /* NOT: left - wrong = left + ~wrong + 1 */
    enc_load(&j->e, 8, RCX, LEFT(PMU_MISSES));
    enc_lea(&j->e, 8, RCX, rm_sib(RCX, RAX, 0, 1));
    enc_store(&j->e, 8, LEFT(PMU_MISSES), RCX);
}

/* A misprediction if rcx is not rdx. */
static void compare_target(struct jit *j)
{
    enc_grp(&j->e, 8, OP1(0xf6), 2, rm_reg(RCX), false);
    enc_lea(&j->e, 8, RCX, rm_sib(RCX, RDX, 0, 1));
    u8 *same = enc_jrcxz(&j->e);
    left_add(j, PMU_MISSES, -1);
    enc_bind8(&j->e, same);
}

static struct rm return_slot(void) { return rm_sib(RBP, RAX, 3, (i32)offsetof(struct cpu, pmu.predictor.ret) - CPU_BIAS); }

static void push_return(struct jit *j)
{
    enc_movzx(&j->e, RAX, 1, CPU_RM(pmu.predictor.top));
    enc_lea(&j->e, 4, RAX, rm_mem(RAX, 1));
    enc_store(&j->e, 1, CPU_RM(pmu.predictor.top), RAX);
    enc_movzx(&j->e, RAX, 1, rm_reg(RAX));
    enc_mov_ri(&j->e, RCX, predict_return(j->b));
    enc_store(&j->e, 8, return_slot(), RCX);
}

static void pop_return(struct jit *j)
{
    enc_movzx(&j->e, RAX, 1, CPU_RM(pmu.predictor.top));
    enc_load(&j->e, 8, RCX, return_slot());
    enc_lea(&j->e, 4, RAX, rm_mem(RAX, -1));
    enc_store(&j->e, 1, CPU_RM(pmu.predictor.top), RAX);
    compare_target(j);
}

static void last_target(struct jit *j)
{
    unsigned i = predict_target_index(j->b->insn[j->b->n_insns - 1].pc);
    struct rm slot = cpu_rm(offsetof(struct cpu, pmu.predictor.target) + 8 * i);
    enc_load(&j->e, 8, RCX, slot);
    enc_store(&j->e, 8, slot, RDX);
    compare_target(j);
}

void count_jump(struct jit *j)
{
    if (!counts_branches(j))
        return;
    switch (j->branch) {
    case BR_CALL: push_return(j); break;
    case BR_CALL_IND: last_target(j); push_return(j); break;
    case BR_RET: pop_return(j); break;
    case BR_IND: last_target(j); break;
    case BR_NONE: case BR_DIRECT: case BR_COND: case BR_FAR: break;
    }
}
