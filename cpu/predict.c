/* Branches as the performance counters see them, see predict.h: the interpreter's side, and what is common. Source: SDM vol. 3B 20.2.1 (branch
 * instructions retired), AMD PPR PMCx0C2 and PMCx0C3; the predictor is a model of our own, docs/pmu.md. */
#include "cpu/predict.h"

static const struct {
    const char *rule; /* insn_row.rule_name */
    u8 kind;
} kinds[] = {
    { "jcc", BR_COND }, { "loop", BR_COND }, { "loopcc", BR_COND }, { "jcxz", BR_COND }, { "jmp", BR_DIRECT }, { "call", BR_CALL },
    { "call_ind", BR_CALL_IND }, { "jmp_ind", BR_IND }, { "ret", BR_RET }, { "callf", BR_FAR }, { "jmpf", BR_FAR }, { "retf", BR_FAR },
    { "iret", BR_FAR }, { "int", BR_FAR }, { "int3", BR_FAR }, { "into", BR_FAR }, { "int1", BR_FAR }, { "syscall", BR_FAR },
    { "sysret", BR_FAR }, { "sysenter", BR_FAR }, { "sysexit", BR_FAR },
};

const u8 predict_next[2][4] = { { 0, 0, 1, 2 }, { 1, 2, 3, 3 } };
const u8 predict_wrong[2][4] = { { 0, 0, 1, 1 }, { 1, 1, 0, 0 } };

enum branch_kind branch_kind_of(const struct insn_row *row)
{
    if (!row || !(row->attr & A_END))
        return BR_NONE;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!strcmp(kinds[i].rule, row->rule_name))
            return kinds[i].kind;
    }
    return BR_NONE;
}

enum branch_kind branch_kind_at_end(const struct ir_block *b) { return b->n_insns ? branch_kind_of(b->insn[b->n_insns - 1].row) : BR_NONE; }

u64 predict_return(const struct ir_block *b)
{
    u64 pc = b->pc + b->len;
    return (b->mode & MODE_SIZE) == MODE_64 ? pc : (u32)pc;
}

static void direction(struct cpu *c, u64 pc, bool taken)
{
    u8 *d = &c->pmu.predictor.direction[predict_direction_index(pc)];
    c->pmu.left[PMU_MISSES] -= predict_wrong[taken][*d & 3];
    *d = predict_next[taken][*d & 3];
}

static void target(struct cpu *c, u64 pc)
{
    u64 *t = &c->pmu.predictor.target[predict_target_index(pc)];
    c->pmu.left[PMU_MISSES] -= *t != c->rip;
    *t = c->rip;
}

void predict_branch(struct cpu *c, const struct ir_block *b)
{
    struct predictor *p = &c->pmu.predictor;
    u64 pc = b->insn[b->n_insns - 1].pc;
    switch (branch_kind_at_end(b)) {
    case BR_COND:
        direction(c, pc, c->rip == b->op[b->n_ops - 1].imm);
        break;
    case BR_CALL_IND:
        target(c, pc);
        p->ret[++p->top] = predict_return(b);
        break;
    case BR_CALL:
        p->ret[++p->top] = predict_return(b);
        break;
    case BR_RET:
        c->pmu.left[PMU_MISSES] -= p->ret[p->top--] != c->rip;
        break;
    case BR_IND:
        target(c, pc);
        break;
    case BR_NONE: case BR_DIRECT: case BR_FAR:
        break;
    }
}

void predict_barrier(struct cpu *c)
{
    struct predictor *p = &c->pmu.predictor;
    memset(p->target, 0, sizeof(p->target));
    memset(p->ret, 0, sizeof(p->ret));
}
