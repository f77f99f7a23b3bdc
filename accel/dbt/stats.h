/* What `info jit` says of the translator: counters and times that its files keep, and the text made of them. Counters of a vCPU belong to its thread, those
 * of struct dbt to the code lock; the text is made while the VM is stopped. */
#ifndef ACCEL_DBT_STATS_H
#define ACCEL_DBT_STATS_H
#include <glib.h>
#include <x86intrin.h>
#include "util/base.h"

struct vm;

/* Why an instruction was left to the interpreter. */
enum dbt_interp {
    INTERP_NO,
    INTERP_DEVICE,    /* it accesses a device, a local APIC or writes to ROM */
    INTERP_CROSSES,   /* its operand crosses a page */
    INTERP_CODE,      /* it writes to translated code, its own block's perhaps */
    INTERP_WATCHED,   /* it accesses a page that a debugger watches */
    INTERP_VECTOR,    /* a vector operand that is misaligned or masked, and faults perhaps */
    INTERP_NO_BLOCK,  /* it is code in a device, or continues on a page that is mapped elsewhere now */
    INTERP_SHADOW,    /* an event waits behind the shadow of STI or MOV SS */
    INTERP_DEBUG,     /* debug registers, TF, a debugger's step */
    INTERP_COUNTER,   /* a performance counter is about to overflow */
    INTERP_ALL,       /* interp=on */
    INTERP_COUNT
};

enum dbt_phase { PHASE_LIFT, PHASE_PASSES, PHASE_EMIT, PHASE_PUBLISH, PHASE_COUNT };

#define STATS_EXITS 4   /* enum dbt_exit */
#define STATS_EVERY 16  /* one translation, and one look-up, of so many is timed */
struct dbt_vcpu_stats {
    u64 blocks;         /* looked for by the run loop */
    u64 jumps, jumps_found; /* dbt_lookup */
    u64 jump_ticks;     /* host TSC; of one in STATS_EVERY */
    u64 exits[STATS_EXITS], faults;
    u64 interp[INTERP_COUNT];
};

/* The time of the translation under way, if it is one of those that are timed. Code lock. */
struct dbt_stopwatch {
    bool on;
    u64 at;                  /* host TSC */
    u64 ticks[PHASE_COUNT];  /* of all that were timed */
    u64 insns;               /* guest instructions in them */
};
static inline void stopwatch_start(struct dbt_stopwatch *s, bool on)
{
    s->on = on;
    if (UNLIKELY(on))
        s->at = __rdtsc();
}
/* What has passed since the last call was this phase. */
static inline void stopwatch_phase(struct dbt_stopwatch *s, enum dbt_phase p)
{
    if (UNLIKELY(s->on)) {
        u64 now = __rdtsc();
        s->ticks[p] += now - s->at;
        s->at = now;
    }
}

/* The text of `info jit`. Main thread, VM stopped. */
void stats_print(struct vm *vm, GString *out);

#endif
