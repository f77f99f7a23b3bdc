/* Performance counters of a vCPU: the registers as AMD's and Intel's processors have them, what is counted, overflow. vCPU thread, or any while it
 * is stopped, but for the field marked [atomic]. Source: AMD APM vol. 2 13.2, SDM vol. 3B chapter 20 (version 2). docs/pmu.md.
 *
 * Instructions, branches and mispredictions are counted by emitted code and by the interpreter while MODE_COUNT (MODE_COUNT_BR) is in cpu.mode,
 * cycles by the platform's clock. An instruction counts under the privilege level at which it begins. */
#ifndef CPU_PMU_H
#define CPU_PMU_H
#include "util/snap.h"

#define PMU_GP 6            /* most general-purpose counters */
#define PMU_FIXED 3
#define PMU_COUNTERS (PMU_GP + PMU_FIXED)
#define PMU_BITS 48         /* width of every counter */

enum pmu_event { PMU_INSNS, PMU_BRANCHES, PMU_MISSES, PMU_COUNTED, PMU_CYCLES = PMU_COUNTED, PMU_EVENTS, PMU_NOTHING = PMU_EVENTS };
enum { PMU_OS = 1, PMU_USR = 2 };
/* Bits of an event-select register, both vendors'. */
#define PMU_CTL_USR BIT64(16)
#define PMU_CTL_OS BIT64(17)
#define PMU_CTL_EDGE BIT64(18)
#define PMU_CTL_INT BIT64(20)
#define PMU_CTL_EN BIT64(22)
#define PMU_CTL_CMASK (0xffull << 24)

/* The model of a branch predictor: a two-bit counter for each conditional branch, the last target of each indirect one, a stack of return
 * addresses. Tables are shared by branches whose addresses hash alike. */
#define PREDICT_DIRECTIONS 4096
#define PREDICT_TARGETS 256
#define PREDICT_RETURNS 256 /* the index is a byte that wraps */
struct predictor {
    u8 top;                 /* of the stack of returns */
    u8 direction[PREDICT_DIRECTIONS]; /* 0 .. 3: 2 and 3 predict "taken" */
    u64 target[PREDICT_TARGETS];
    u64 ret[PREDICT_RETURNS];
};

struct pmu_counter {        /* derived from the registers */
    u8 event;               /* enum pmu_event */
    u8 level;               /* PMU_OS, PMU_USR; 0: does not count */
    bool interrupt;
};

struct pmu {
    /* Of each counted event, how many more may come before the run loop has to look; emitted code subtracts. end - left is how many there were. */
    i64 left[PMU_COUNTED];
    /* Within a counted instruction: how many instructions are in left that have not retired, it included; << 16: branches. Else 0. */
    u32 ahead;
    bool on;                /* some counter counts */
    bool split;             /* some counts at one privilege level only */
    bool fired;             /* [atomic] the timer of the cycle counters has */
    u32 mode[2];            /* MODE_COUNT.. at CPL 0-2 and at CPL 3 */
    u64 end[PMU_COUNTED];
    u64 seen[PMU_EVENTS];   /* how many there were when they were last added to the counters */
    u64 halted, halt_at;    /* TSC ticks spent in HLT while a counter was on; since when it is in HLT, 0: it is not */
    u64 timer_at;           /* TSC at which the timer fires, or PMU_NO_TIMER */
    struct pmu_counter k[PMU_COUNTERS]; /* general-purpose, then fixed ones */
    /* registers */
    u64 ctl[PMU_GP], ctr[PMU_COUNTERS], fixed_ctl, global_ctl, global_status;
    struct predictor predictor;
};
#define PMU_NO_TIMER (~0ull)
#define PMU_FAR (1ll << 30) /* most that left[] is set to: its upper half is zero until it is used up */

struct cpu;
struct cpu_model;

/* How many counters the model has, of either kind. */
unsigned pmu_gp_count(const struct cpu_model *m);
unsigned pmu_fixed_count(const struct cpu_model *m);

/* --- registers --- */
void pmu_reset(struct cpu *c);              /* RESET# */
/* 1 done, 0 #GP, -1 no such MSR. */
int pmu_msr_read(struct cpu *c, u32 num, u64 *val);
int pmu_msr_write(struct cpu *c, u32 num, u64 val);
bool pmu_rdpmc(struct cpu *c, u32 index, u64 *val); /* false: #GP */
/* IA32_DEBUGCTL's bits that the counters add. */
u64 pmu_debugctl_mask(const struct cpu_model *m);
/* The persistent fields of struct pmu; pmu_save comes before they are saved, pmu_loaded behind their load. */
extern const struct snap_field pmu_fields[];
void pmu_save(struct cpu *c);
void pmu_loaded(struct cpu *c);

/* --- counting --- */
/* Adds what has happened to the counters. `current`: the instruction that is being executed counts. */
void pmu_collect(struct cpu *c, bool current);
/* The registers have changed, and pmu_collect came before: derives the rest, and the CPU's mode. */
void pmu_refresh(struct cpu *c);
/* CPL changes from or to 3 while c->pmu.split: before and after c->mode does. */
void pmu_level_leave(struct cpu *c);
void pmu_level_enter(struct cpu *c);
/* The run loop has something to do with the counters: a count was used up, or the timer has fired. */
static inline bool pmu_due(const struct pmu *p)
{
    return p->left[PMU_INSNS] <= 0 || p->left[PMU_BRANCHES] < 0 || p->left[PMU_MISSES] < 0 || __atomic_load_n(&p->fired, __ATOMIC_ACQUIRE);
}
void pmu_do_due(struct cpu *c);
/* Cycles stand still between these two, if a counter is on when the first is called. */
void pmu_halt(struct cpu *c);
void pmu_wake(struct cpu *c);
/* An instruction was left before its end: what was counted ahead of it is taken back. */
void pmu_undo(struct cpu *c);
/* The current instruction goes on later (REP): it has not retired. */
void pmu_unfinished(struct cpu *c);

#endif
