/* Performance counters: from raw counts to counters, overflow, the interrupt. vCPU thread; called by the run loop, by cpu_update_mode and by the
 * MSRs (cpu/pmu_msr.c). Source: AMD APM vol. 2 13.2, SDM vol. 3B chapter 20. */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/platform.h"
#include "hw/core/irq.h"

#define DEBUGCTL_FREEZE BIT64(12) /* FREEZE_PERFMON_ON_PMI */

const struct snap_field pmu_fields[] = {
    SNAP_A(struct pmu, ctl), SNAP_A(struct pmu, ctr), SNAP_U(struct pmu, fixed_ctl), SNAP_U(struct pmu, global_ctl),
    SNAP_U(struct pmu, global_status), SNAP_U(struct pmu, halted), SNAP_U(struct pmu, halt_at), SNAP_U(struct pmu, predictor.top),
    SNAP_A(struct pmu, predictor.direction), SNAP_A(struct pmu, predictor.target), SNAP_A(struct pmu, predictor.ret), SNAP_DONE,
};

/* --- raw counts --- */
/* Unhalted time in ticks of the TSC's clock. */
static u64 cycles(struct cpu *c)
{
    const struct pmu *p = &c->pmu;
    return (p->halt_at ? p->halt_at : c->plat->tsc(c)) - p->halted;
}

static u64 counted(const struct pmu *p, unsigned e) { return p->end[e] - (u64)p->left[e]; }

/* How many of e have retired. The branch, if there is one, is the last instruction of what is counted ahead. */
static u64 retired(const struct pmu *p, unsigned e, bool current)
{
    u64 insns = p->ahead & 0xffff, branches = p->ahead >> 16;
    if (e == PMU_INSNS)
        return counted(p, e) - (insns - (insns && current));
    if (e == PMU_BRANCHES)
        return counted(p, e) - (insns == 1 && current ? 0 : branches);
    return counted(p, e);
}

void pmu_undo(struct cpu *c)
{
    struct pmu *p = &c->pmu;
    p->left[PMU_INSNS] += p->ahead & 0xffff;
    p->left[PMU_BRANCHES] += p->ahead >> 16;
    p->ahead = 0;
}

void pmu_unfinished(struct cpu *c)
{
    if (c->mode & MODE_COUNT)
        c->pmu.left[PMU_INSNS]++;
}

/* --- counters --- */
static unsigned level_of(const struct cpu *c) { return cpu_cpl(c) == 3 ? PMU_USR : PMU_OS; }

static bool counts(const struct pmu *p, unsigned i, unsigned level, unsigned event)
{
    return p->k[i].event == event && p->k[i].level & level;
}

/* The bit of counter i in the global registers. */
static u64 global_bit(unsigned i) { return BIT64(i < PMU_GP ? i : 32 + i - PMU_GP); }

/* True if it overflows. n is negative by one where an instruction was collected that then faulted. */
static bool counter_add(struct pmu *p, unsigned i, u64 n)
{
    u64 sum = p->ctr[i] + n;
    p->ctr[i] = sum & MASK64(PMU_BITS);
    if ((i64)n <= 0 || sum == p->ctr[i])
        return false;
    p->global_status |= global_bit(i);
    return p->k[i].interrupt;
}

static void derive(struct cpu *c);

/* Freezing shows in c->mode when that is next looked at. */
static void interrupt(struct cpu *c)
{
    bool amd = cpuid_is_amd(c->model);
    if (!amd && c->debugctl & DEBUGCTL_FREEZE) {
        c->pmu.global_ctl = 0;
        derive(c);
    }
    if (c->lapic)
        c->lapic_ops->pmi(c->lapic, !amd);
}

void pmu_collect(struct cpu *c, bool current)
{
    struct pmu *p = &c->pmu;
    unsigned level = level_of(c);
    bool overflow = false;
    if (!p->on)
        return;
    for (unsigned e = 0; e < PMU_EVENTS; e++) {
        u64 now = e == PMU_CYCLES ? cycles(c) : retired(p, e, current), n = now - p->seen[e];
        p->seen[e] = now;
        for (unsigned i = 0; i < PMU_COUNTERS && n; i++) {
            if (counts(p, i, level, e))
                overflow |= counter_add(p, i, n);
        }
    }
    if (overflow)
        interrupt(c);
}

/* --- when to look again --- */
/* How many more of event e until the first counter of it overflows. */
static u64 room(const struct pmu *p, unsigned level, unsigned e, bool interrupts_only)
{
    u64 least = ~0ull;
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        if (counts(p, i, level, e) && (p->k[i].interrupt || !interrupts_only))
            least = MIN_OF(least, BIT64(PMU_BITS) - p->ctr[i]);
    }
    return least;
}

/* left: emitted code looks at instructions before they are executed, at branches and mispredictions afterwards. */
static void arm_counts(struct pmu *p, unsigned level)
{
    for (unsigned e = 0; e < PMU_COUNTED; e++) {
        u64 was = counted(p, e), n = MIN_OF(room(p, level, e, false), (u64)PMU_FAR);
        p->end[e] = p->seen[e] + n - (e != PMU_INSNS);
        p->left[e] = (i64)(p->end[e] - was);
    }
}

/* A timer that fires too early is only armed again: it is not moved each time the privilege level changes. */
static void arm_timer(struct cpu *c, unsigned level)
{
    struct pmu *p = &c->pmu;
    u64 n = room(p, level, PMU_CYCLES, true), at;
    if (n == ~0ull || p->halt_at)
        return;
    at = p->seen[PMU_CYCLES] + p->halted + n;
    if (at >= p->timer_at)
        return;
    p->timer_at = at;
    c->plat->pmu_timer(c, at);
}

static void arm(struct cpu *c)
{
    arm_counts(&c->pmu, level_of(c));
    arm_timer(c, level_of(c));
}

void pmu_do_due(struct cpu *c)
{
    struct pmu *p = &c->pmu;
    if (__atomic_exchange_n(&p->fired, false, __ATOMIC_ACQ_REL))
        p->timer_at = PMU_NO_TIMER;
    pmu_collect(c, true);
    arm(c);
    cpu_update_mode(c);
}

void pmu_level_leave(struct cpu *c) { pmu_collect(c, true); }
void pmu_level_enter(struct cpu *c) { arm(c); }

/* --- HLT --- */
void pmu_halt(struct cpu *c)
{
    if (c->pmu.on && !c->pmu.halt_at)
        c->pmu.halt_at = c->plat->tsc(c);
}

void pmu_wake(struct cpu *c)
{
    struct pmu *p = &c->pmu;
    if (!p->halt_at)
        return;
    p->halted += c->plat->tsc(c) - p->halt_at;
    p->halt_at = 0;
    pmu_collect(c, true);
    arm(c);
}

/* --- what follows from the registers --- */
/* The event that a general-purpose counter counts; what is not known, or asks for thresholds or edges, counts nothing. */
static unsigned event_amd(u64 ctl)
{
    switch ((ctl & 0xff) | (ctl >> 24 & 0xf00)) {
    case 0x76: return PMU_CYCLES;
    case 0xc0: return PMU_INSNS;
    case 0xc2: return PMU_BRANCHES;
    case 0xc3: return PMU_MISSES;
    case 0x120: return ctl & BIT(8) ? PMU_CYCLES : PMU_NOTHING; /* at the P0 frequency */
    default: return PMU_NOTHING;
    }
}

static unsigned event_intel(u64 ctl)
{
    switch (ctl & 0xffff) {
    case 0x003c: return PMU_CYCLES;
    case 0x013c: return PMU_CYCLES; /* reference cycles: the same clock */
    case 0x00c0: return PMU_INSNS;
    case 0x00c4: return PMU_BRANCHES;
    case 0x00c5: return PMU_MISSES;
    default: return PMU_NOTHING;
    }
}

static struct pmu_counter gp_counter(const struct cpu *c, unsigned i)
{
    u64 ctl = c->pmu.ctl[i];
    bool amd = cpuid_is_amd(c->model), on = ctl & PMU_CTL_EN && (amd || c->pmu.global_ctl >> i & 1);
    struct pmu_counter k = { .event = PMU_NOTHING, .interrupt = ctl & PMU_CTL_INT };
    if (!on || ctl & (PMU_CTL_EDGE | PMU_CTL_CMASK) || i >= pmu_gp_count(c->model))
        return k;
    k.event = (u8)(amd ? event_amd(ctl) : event_intel(ctl));
    k.level = (ctl & PMU_CTL_OS ? PMU_OS : 0) | (ctl & PMU_CTL_USR ? PMU_USR : 0);
    return k;
}

static struct pmu_counter fixed_counter(const struct cpu *c, unsigned i)
{
    static const u8 event[PMU_FIXED] = { PMU_INSNS, PMU_CYCLES, PMU_CYCLES };
    u64 ctl = c->pmu.fixed_ctl >> (4 * i);
    bool on = i < pmu_fixed_count(c->model) && c->pmu.global_ctl >> (32 + i) & 1;
    return (struct pmu_counter){ .event = on ? event[i] : PMU_NOTHING, .level = on ? ctl & (PMU_OS | PMU_USR) : 0, .interrupt = ctl & 8 };
}

static u32 mode_for(u8 event)
{
    return event == PMU_INSNS ? MODE_COUNT : event == PMU_BRANCHES || event == PMU_MISSES ? MODE_COUNT | MODE_COUNT_BR : 0;
}

static void derive(struct cpu *c)
{
    struct pmu *p = &c->pmu;
    p->on = p->split = false;
    p->mode[0] = p->mode[1] = 0;
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        struct pmu_counter k = i < PMU_GP ? gp_counter(c, i) : fixed_counter(c, i - PMU_GP);
        if (k.event == PMU_NOTHING)
            k.level = 0;
        p->k[i] = k;
        p->on |= k.level;
        p->split |= k.level == PMU_OS || k.level == PMU_USR;
        p->mode[0] |= k.level & PMU_OS ? mode_for(k.event) : 0;
        p->mode[1] |= k.level & PMU_USR ? mode_for(k.event) : 0;
    }
    if (p->on) {
        for (unsigned e = 0; e < PMU_EVENTS; e++)
            p->seen[e] = e == PMU_CYCLES ? cycles(c) : retired(p, e, true);
        arm(c);
    }
}

void pmu_refresh(struct cpu *c)
{
    derive(c);
    cpu_update_mode(c);
}

void pmu_reset(struct cpu *c)
{
    struct pmu *p = &c->pmu;
    u64 gp = MASK64(pmu_gp_count(c->model));
    memset(p, 0, sizeof(*p));
    p->global_ctl = gp; /* SDM vol. 3A table 10-1 */
    p->timer_at = PMU_NO_TIMER;
    for (unsigned i = 0; i < PMU_COUNTERS; i++)
        p->k[i].event = PMU_NOTHING;
}

void pmu_save(struct cpu *c) { pmu_collect(c, true); }

void pmu_loaded(struct cpu *c)
{
    c->pmu.ahead = 0;
    c->pmu.fired = false;
    c->pmu.timer_at = PMU_NO_TIMER;
    pmu_refresh(c);
}
