/* The text of `info jit`. Main thread, with the VM stopped; called through dbt_accel_ops. */
#include "accel/dbt/stats.h"
#include <time.h>
#include "accel/dbt/dbt.h"
#include "accel/dbt/opt/tier.h"
#include "accel/dbt/pcache.h"
#include "accel/dbt/verify.h"

static const char *const interp_name[INTERP_COUNT] = {
    [INTERP_DEVICE] = "device", [INTERP_CROSSES] = "page crossing", [INTERP_CODE] = "code written", [INTERP_WATCHED] = "watched page",
    [INTERP_VECTOR] = "vector operand", [INTERP_NO_BLOCK] = "no block", [INTERP_SHADOW] = "interrupt shadow", [INTERP_DEBUG] = "debugging",
    [INTERP_COUNTER] = "counter overflow", [INTERP_ALL] = "interp=on",
};

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* Host TSC per nanosecond, measured over at least 5 ms. */
static double ticks_per_ns(void)
{
    u64 t0 = __rdtsc(), n0 = now_ns(), n;
    do
        n = now_ns() - n0;
    while (n < 5000000);
    return (double)(__rdtsc() - t0) / (double)n;
}

static double percent(u64 part, u64 whole) { return whole ? 100.0 * (double)part / (double)whole : 0; }

static void sum_vcpus(const struct vm *vm, struct dbt_vcpu_stats *s, u64 *fills, u64 *flushes)
{
    for (unsigned i = 0; i < vm->n_cpus; i++) {
        const struct dbt_vcpu_stats *one = &((const struct dbt_vcpu *)vm->cpu[i]->engine)->st;
        u64 *to = (u64 *)s;
        for (unsigned k = 0; k < sizeof(*s) / sizeof(u64); k++)
            to[k] += ((const u64 *)one)[k];
        *fills += vm->cpu[i]->c->tlb.stat_fills;
        *flushes += vm->cpu[i]->c->tlb.stat_flushes;
    }
}

static void print_blocks(const struct dbt *t, GString *out)
{
    const struct tb_stats *st = &t->st;
    struct backend_usage u;
    backend_usage(&u);
    g_string_append_printf(out, "blocks          %u\n", t->all.n);
    g_string_append_printf(out, "translated      %llu (%llu guest instructions, %llu bytes -> %llu host bytes)\n", (unsigned long long)st->translated,
                           (unsigned long long)st->insns, (unsigned long long)st->guest_bytes, (unsigned long long)st->host_bytes);
    g_string_append_printf(out, "code cache      %llu KiB of main lines, %llu KiB of the rest, of %llu KiB\n", (unsigned long long)u.hot / KiB,
                           (unsigned long long)u.cold / KiB, (unsigned long long)u.size / KiB);
    g_string_append_printf(out, "probes          %llu, of which %llu removed (%.0f %%); %llu stretches with kept flags\n", (unsigned long long)u.probes,
                           (unsigned long long)u.grouped, percent(u.grouped, u.probes), (unsigned long long)u.keeps);
    g_string_append_printf(out, "invalidated     %llu\ncache flushes   %llu\nlinks made      %llu\n", (unsigned long long)st->invalidated,
                           (unsigned long long)st->flushes, (unsigned long long)st->chained);
}

/* One translation in STATS_EVERY was timed: the times are so many times what was measured. */
static void print_time(const struct dbt *t, const struct dbt_vcpu_stats *s, GString *out)
{
    const struct dbt_stopwatch *w = &t->watch;
    double ms = STATS_EVERY / ticks_per_ns() / 1e6, all = 0;
    for (unsigned i = 0; i < PHASE_COUNT; i++)
        all += (double)w->ticks[i] * ms;
    g_string_append_printf(out, "time            %.1f ms: lifting %.1f, passes %.1f, emission %.1f, publishing %.1f; look-ups of jumps %.1f\n", all,
                           (double)w->ticks[PHASE_LIFT] * ms, (double)w->ticks[PHASE_PASSES] * ms, (double)w->ticks[PHASE_EMIT] * ms,
                           (double)w->ticks[PHASE_PUBLISH] * ms, (double)s->jump_ticks * ms);
    g_string_append_printf(out, "speed           %.2f million guest instructions translated a second\n",
                           all > 0 ? (double)(w->insns * STATS_EVERY) / all / 1e3 : 0);
}

static void print_exits(const struct dbt_vcpu_stats *s, GString *out)
{
    u64 interp = 0;
    for (unsigned i = 0; i < INTERP_COUNT; i++)
        interp += s->interp[i];
    g_string_append_printf(out, "block look-ups  %llu; of jumps %llu, %llu found\n", (unsigned long long)s->blocks, (unsigned long long)s->jumps,
                           (unsigned long long)s->jumps_found);
    g_string_append_printf(out, "exits           %llu unlinked jump, %llu look-up, %llu request, %llu to look at everything, %llu exception\n",
                           (unsigned long long)s->exits[DBT_EXIT_CHAIN], (unsigned long long)s->exits[DBT_EXIT_LOOKUP],
                           (unsigned long long)s->exits[DBT_EXIT_REQUEST], (unsigned long long)s->exits[DBT_EXIT_EXIT], (unsigned long long)s->faults);
    g_string_append_printf(out, "interpreted     %llu", (unsigned long long)interp);
    for (unsigned i = 0, n = 0; i < INTERP_COUNT; i++)
        if (s->interp[i])
            g_string_append_printf(out, "%s %llu %s", n++ ? "," : ":", (unsigned long long)s->interp[i], interp_name[i]);
    g_string_append_c(out, '\n');
}

void stats_print(struct vm *vm, GString *out)
{
    struct dbt *t = vm->engine;
    struct dbt_vcpu_stats s = { 0 };
    u64 fills = 0, flushes = 0;
    sum_vcpus(vm, &s, &fills, &flushes);
    lock_acquire(&t->lock);
    print_blocks(t, out);
    print_time(t, &s, out);
    if (t->pcache)
        pcache_info(t->pcache, out);
    if (t->opt)
        opt_info(t->opt, out);
    lock_release(&t->lock);
    print_exits(&s, out);
    g_string_append_printf(out, "TLB fills       %llu\nTLB flushes     %llu\n", (unsigned long long)fills, (unsigned long long)flushes);
    const struct dbt_vcpu *d = vm->cpu[0]->engine;
    if (d->verify)
        verify_info(d->verify, out);
}
