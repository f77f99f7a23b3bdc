/* The run loop of the translator: requests, events, finding a block, entering emitted code, single instructions by the interpreter.
 * On the vCPU's thread; called by accel/vcpu.c through dbt_accel_ops. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xmmintrin.h>
#include "accel/dbt/dbt.h"
#include "accel/dbt/opt/tier.h"
#include "accel/dbt/pcache.h"
#include "accel/dbt/perfmap.h"
#include "accel/dbt/verify.h"
#include "cpu/debug.h"
#include "cpu/desc.h"
#include "cpu/help/carry.h"
#include "cpu/ir/interp.h"
#include "cpu/lift/lift.h"
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "mmu/codepage.h"
#include "util/log.h"

#define HOST_MXCSR 0x1f80u

/* --- requests --- */
/* False: back to the vCPU thread's outer loop. */
static bool take_requests(struct vcpu *v)
{
    struct cpu *c = v->c;
    u32 x = __atomic_fetch_and(&c->exit_request, ~(u32)(XREQ_INTR | XREQ_FLUSH), __ATOMIC_SEQ_CST);
    if (x & XREQ_FLUSH) {
        c->tlb.regs.a20_mask = !v->vm->m->a20_enabled;
        tlb_flush(&c->tlb, true);
        jumps_flushed(v);
    }
    return !(x & XREQ_WORK);
}

/* --- one instruction by the interpreter --- */
static void debug_report(struct vcpu *v, int why)
{
    struct vm_stop_info i = { .state = VM_DEBUG, .cpu = (int)v->index, .why = why };
    v->step = 0;
    vm_debug_stop(v->vm, v, &i);
}

/* A debugger's breakpoint at the next instruction: reports it and returns true. */
static bool bp_stop(struct vcpu *v)
{
    bool skip = v->skip_bp;
    v->skip_bp = false;
    if (skip || !v->vm->n_bp || !vm_bp_at(v->vm, dbt_linear_pc(v->c)))
        return false;
    debug_report(v, STOP_BREAKPOINT);
    return true;
}

static void interp_one(struct vcpu *v, enum dbt_interp why)
{
    struct cpu *c = v->c;
    struct dbt_vcpu *d = v->engine;
    struct dbt_fetch f = { .v = v };
    bool debug = c->mode & (MODE_SLOW | MODE_STEP);
    d->interp_next = false;
    if (debug)
        debug_begin(c);
    if (lift_block(d->block, c, c->rip, 1, dbt_fetch, &f) < 0)
        dbt_fetch_raise(v, &f);
    c->int_shadow = c->shadow_was = 0;
    vcpu_code_enter(v); /* a translator that waits for stores under way waits for this instruction's */
    ir_interp_one(c, d->block);
    vcpu_code_leave(v);
    d->st.interp[why]++;
    if (v->watch_hit) {
        v->watch_hit = NULL;
        v->step = 0;
        vm_debug_stop(v->vm, v, &v->watch_info);
    } else if (v->step) {
        debug_report(v, STOP_STEP);
    }
    if (debug)
        debug_end(c);
}

/* --- emitted code --- */
/* An indirect branch has gone to an address that is not canonical, which no jump cache knows: goes back to before it and raises #GP(0). */
static void branch_undo(struct vcpu *v)
{
    struct cpu *c = v->c;
    struct dbt_vcpu *d = v->engine;
    struct dbt_fetch f = { .v = v };
    const u8 *site = (const u8 *)c->branch_site - 1;
    const struct tb *tb = tb_by_host_pc(site);
    u64 target = c->rip;
    if (!tb) /* a region's (accel/dbt/opt), which has direct ones only */
        return;
    unsigned pc_off = backend_insn_at(&tb->code, site)->pc_off;
    c->rip = backend_pc(c, &tb->code) + pc_off;
    if (lift_block(d->block, c, c->rip, 1, dbt_fetch, &f) < 0)
        dbt_fetch_raise(v, &f);
    const struct ir_op *end = &d->block->op[d->block->n_ops - 1];
    if (end->code != IR_JMPR) { /* a direct branch: the fetch will fail */
        c->rip = target;
        return;
    }
    tb_count_ahead(tb, c, pc_off);
    cpu_branch_fault(c, (i64)end->imm);
}

/* All stores of what ran are in memory. */
static void block_boundary(struct cpu *c)
{
    __atomic_store_n(&cpu_mem(c)->beside, 0, __ATOMIC_RELEASE);
}

static void run_block(struct vcpu *v)
{
    struct cpu *c = v->c;
    struct dbt_vcpu *d = v->engine;
    struct dbt *t = v->vm->engine;
    vcpu_code_enter(v); /* from the lookup on: a flush by another vCPU would take the block away */
    struct tb *tb = dbt_block(v);
    if (!tb) {
        vcpu_code_leave(v);
        d->chain_from = 0;
        interp_one(v, INTERP_NO_BLOCK);
        return;
    }
    if (d->chain_from && d->chain_pc == c->rip && d->chain_key == c->jc_live)
        tb_link(t, backend_exit_tb(d->chain_from), backend_exit_index(d->chain_from), tb, d->chain_flushes);
    d->chain_from = 0;
    if (jumps_allowed(v))
        jumps_insert(v, tb);
    LOG(LOG_EXEC, "exec cpu %u pc %llx mode %x", c->index, (unsigned long long)c->rip, c->mode);
    if (UNLIKELY(d->verify))
        verify_before(v, d->verify, tb);
    if (UNLIKELY(c->jc_key != c->jc_live))
        cpu_jumps_open(c); /* it was closed for a request */
    u64 ret = UNLIKELY(__atomic_load_n(&tb->dead, __ATOMIC_ACQUIRE)) ? DBT_EXIT_LOOKUP : dbt_enter(c, tb->code.entry);
    c->pmu.ahead = 0;
    d->st.exits[ret & DBT_EXIT_MASK & (STATS_EXITS - 1)]++;
    if (UNLIKELY((ret & DBT_EXIT_MASK) == DBT_EXIT_LOOKUP && cpu_is64(c) && !is_canonical(c, c->rip)))
        branch_undo(v);
    block_boundary(c);
    u64 flushes = t->st.flushes; /* no flush can come between while this vCPU counts as inside emitted code */
    vcpu_code_leave(v);
    if (t->opt && ((ret & DBT_EXIT_MASK) == DBT_EXIT_REQUEST || t->opt_force ||
                   ((ret & DBT_EXIT_MASK) == DBT_EXIT_LOOKUP && __atomic_load_n(&c->exit_request, __ATOMIC_RELAXED))))
        opt_sample(v, ret, flushes);
    if (UNLIKELY(d->verify))
        verify_after(v, d->verify, -1);
    if ((ret & DBT_EXIT_MASK) == DBT_EXIT_CHAIN && jumps_allowed(v)) {
        d->chain_from = ret;
        d->chain_pc = c->rip;
        d->chain_key = c->jc_live;
        d->chain_flushes = flushes;
    }
}

/* The shadow of STI and MOV SS keeps events off for one instruction: with none there it is over, and the next look is behind the next block. */
static void shadow_drop(struct vcpu *v)
{
    struct cpu *c = v->c;
    if (c->int_shadow && !(c->mode & (MODE_SLOW | MODE_STEP)) && !vcpu_has_event(v))
        cpu_shadow_drop(c);
}

static enum dbt_interp must_interpret(struct vcpu *v, const struct dbt *t)
{
    const struct dbt_vcpu *d = v->engine;
    const struct cpu *c = v->c;
    shadow_drop(v);
    if (d->interp_next)
        return d->interp_why;
    if (c->int_shadow || (c->mode & (MODE_SLOW | MODE_STEP)) || v->step || t->interp)
        return c->int_shadow ? INTERP_SHADOW : t->interp ? INTERP_ALL : INTERP_DEBUG;
    /* up to the instruction that overflows a counter */
    return UNLIKELY(c->mode & MODE_COUNT) && c->pmu.left[PMU_INSNS] < BLOCK_INSNS_MAX ? INTERP_COUNTER : INTERP_NO;
}

static void log_state(const struct cpu *c)
{
    static const char *const name[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    char line[512];
    int n = 0;
    for (unsigned i = 0; i < 16; i++)
        n += snprintf(line + n, sizeof(line) - (size_t)n, "%s=%llx ", name[i], (unsigned long long)c->gpr[i]);
    log_print("cpu %u %x:%llx fl=%llx %s", c->index, c->seg[S_CS].sel, (unsigned long long)c->rip,
              (unsigned long long)cpu_rflags(c), line);
}

/* For tests: drops a block at random, now and then all of them, one time in t->stress_drop. */
static void stress_drop(struct vcpu *v, struct dbt *t)
{
    struct dbt_vcpu *d = v->engine;
    d->random = d->random * 6364136223846793005ull + 1442695040888963407ull;
    u64 r = d->random >> 32;
    if (r % t->stress_drop)
        return;
    r /= t->stress_drop;
    if (r % 64) {
        tb_drop_nth(t, (unsigned)(r / 64));
        return;
    }
    vcpu_exclusive_begin(v->vm);
    tb_flush_all(t);
    vcpu_exclusive_end(v->vm);
}

static void run_loop(struct vcpu *v)
{
    struct cpu *c = v->c;
    struct dbt *t = v->vm->engine;
    struct dbt_vcpu *d = v->engine;
    for (;;) {
        if (d->fault_pending) {
            d->fault_pending = false;
            LOG(LOG_INT, "cpu %u: exception %d error %x at %x:%llx cr2 %llx", c->index, c->fault.vector, c->fault.error,
                c->seg[S_CS].sel, (unsigned long long)c->rip, (unsigned long long)c->cr2);
            cpu_deliver_fault(c);
        }
        if (__atomic_load_n(&c->exit_request, __ATOMIC_RELAXED) && !take_requests(v))
            return;
        aspace_quiesce();
        cpu_shadow_back(c);
        if (UNLIKELY(c->pmu.on || c->mode & MODE_COUNT) && pmu_due(&c->pmu))
            pmu_do_due(c);
        vcpu_take_events(v);
        if (UNLIKELY(c->pmu.halt_at) && !c->halted)
            pmu_wake(c);
        if (c->halted || c->wait_sipi || v->parked)
            return;
        if (bp_stop(v))
            return;
        if (log_on(LOG_CPU))
            log_state(c);
        if (UNLIKELY(t->stress_drop))
            stress_drop(v, t);
        enum dbt_interp why = must_interpret(v, t);
        if (why)
            interp_one(v, why);
        else
            run_block(v);
        if (UNLIKELY(c->step_trap)) /* SYSRET or SYSCALL has just set TF */
            debug_end(c);
    }
}

static void dbt_run(struct vcpu *v)
{
    struct dbt_vcpu *d = v->engine;
    v->c->fault_jmp = &d->jb;
    int why = _setjmp(d->jb);
    if (why) {
        _mm_setcsr(HOST_MXCSR);
        vcpu_code_leave(v);
        d->chain_from = 0;
        pmu_undo(v->c);
        if (d->verify && why == UNW_FAULT)
            verify_after(v, d->verify, v->c->fault.vector);
        else if (d->verify)
            verify_cancel(d->verify);
        d->fault_pending = why == UNW_FAULT;
        d->st.faults += d->fault_pending;
        d->interp_next = why == UNW_INTERP_ONE;
    }
    run_loop(v);
}

/* The host address of the instruction that is being executed; NULL: it is not known. */
static const u8 *running_code(struct cpu *c)
{
    u64 linear = dbt_linear_pc(c);
    const struct tlb_exec *x = tlb_exec_hit(&c->tlb, cpu_cpl(c) == 3, linear);
    return x && x->host ? x->host + (linear & (PAGE_SIZE - 1)) : NULL;
}

/* --- called by emitted code --- */
void dbt_unwind_interp(struct cpu *c, enum dbt_interp why)
{
    ((struct dbt_vcpu *)((struct vcpu *)c->plat_opaque)->engine)->interp_why = why;
    cpu_unwind(c, UNW_INTERP_ONE);
}

void *dbt_slow_probe(struct cpu *c, gla_t addr, u32 size_acc)
{
    unsigned size = size_acc & 0xff, acc = (size_acc >> 8 & ~(u32)ACC_MASKED) | cpu_data_acc(c);
    static const enum dbt_interp slow[] = {
        [SLOW_CROSSES] = INTERP_CROSSES, [SLOW_DEVICE] = INTERP_DEVICE, [SLOW_CODE] = INTERP_CODE, [SLOW_WATCHED] = INTERP_WATCHED,
    };
    enum dbt_interp why = INTERP_VECTOR;
    struct mem_fault f;
    void *host;
    switch (mem_probe(cpu_mem(c), addr, size, acc, &host, &f)) {
    case PROBE_RAM:
        return host;
    case PROBE_FAULT:
        if (size_acc >> 8 & ACC_MASKED)
            break;
        if (size >= 16 && addr & (size - 1)) /* a misaligned vector operand may have to raise #GP first: the interpreter knows */
            break;
        cpu_raise_pf(c, &f, acc);
    case PROBE_SLOW:
        if (acc & ACC_WRITE && mem_probe_clear(cpu_mem(c), addr, size, acc, running_code(c), &host))
            return host;
        if (!(acc & ACC_WRITE) && f.slow == SLOW_CROSSES && mem_probe_across(cpu_mem(c), addr, size, acc, c->across + (addr & 63)))
            return c->across + (addr & 63); /* as aligned as the guest's address, which the instruction may mind */
        why = slow[f.slow];
        break;
    }
    dbt_unwind_interp(c, why);
}

/* --- engine life cycle --- */
static int opt_bool(const char *val, bool *out)
{
    if (!strcmp(val, "on") || !strcmp(val, "off")) {
        *out = val[1] == 'n';
        return 0;
    }
    return -1;
}

static int opt_number(const char *val, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    unsigned long long v = strtoull(val, &end, 10);
    *out = (unsigned)v;
    return *val < '0' || *val > '9' || *end || v < min || v > max ? -1 : 0;
}

static int opt_parse(struct dbt *t, const char *key, const char *val, struct err *e)
{
    int bad;
    if (!strcmp(key, "interp"))
        bad = opt_bool(val, &t->interp);
    else if (!strcmp(key, "verify"))
        bad = opt_bool(val, &t->verify);
    else if (!strcmp(key, "one-insn-per-tb"))
        bad = opt_bool(val, &t->one_insn);
    else if (!strcmp(key, "stress-regs"))
        bad = opt_bool(val, &backend_stress.random_ra);
    else if (!strcmp(key, "stress-tlb"))
        bad = opt_bool(val, &backend_stress.force_miss);
    else if (!strcmp(key, "stress-invalidate"))
        bad = opt_number(val, 1, 1000000, &t->stress_drop);
    else if (!strcmp(key, "stress-cache")) {
        unsigned kib = 0;
        bad = opt_number(val, 256, 1023, &kib);
        t->cache_size = kib * KiB;
    } else if (!strcmp(key, "opt")) {
        bad = opt_bool(val, &t->opt_on);
    } else if (!strcmp(key, "stress-tier")) {
        bad = opt_bool(val, &t->opt_force);
    } else if (!strcmp(key, "thread"))
        bad = strcmp(val, "multi") != 0;
    else if (!strcmp(key, "tb-size")) {
        char *end;
        t->cache_size = strtoull(val, &end, 10) * MiB;
        bad = *end || t->cache_size < MiB || t->cache_size > 1024 * MiB;
    } else if (!strcmp(key, "cache")) {
        g_free(t->pcache_dir);
        t->pcache_dir = g_strdup(val);
        bad = !*val;
    } else if (!strcmp(key, "cache-size")) {
        char *end;
        t->pcache_size = strtoull(val, &end, 10) * MiB;
        bad = *end || t->pcache_size < MiB || t->pcache_size > 1024 * MiB;
    } else if (!strcmp(key, "cache-check")) {
        bad = opt_bool(val, &t->pcache_check);
    } else {
        return err_set(e, "-accel dbt: unknown property '%s'", key);
    }
    return bad ? err_set(e, "-accel dbt,%s=%s: invalid value", key, val) : 0;
}

static int dbt_init(struct vm *vm, const char *opts, struct err *e)
{
    struct dbt *t = g_new0(struct dbt, 1);
    vm->engine = t;
    t->vm = vm;
    t->cache_size = 128 * MiB;
    t->max_insns = BLOCK_INSNS_MAX;
    t->pcache_size = 256 * MiB;
    lock_init(&t->lock, "code", RANK_CODE);
    char **list = g_strsplit(opts, ",", -1);
    int ret = 0;
    for (char **o = list; *o && !ret; o++) {
        char *eq = strchr(*o, '=');
        if (!**o)
            continue;
        if (!eq) {
            ret = err_set(e, "-accel dbt,%s: expected NAME=VALUE", *o);
            break;
        }
        *eq = 0;
        ret = opt_parse(t, *o, eq + 1, e);
    }
    g_strfreev(list);
    if (ret)
        return ret;
    if (t->verify && vm->n_cpus > 1)
        return err_set(e, "-accel dbt,verify=on: compares one CPU only; use -smp 1");
    if ((t->opt_on || t->opt_force) && (t->verify || t->one_insn || t->interp || backend_stress.force_miss))
        return err_set(e, "-accel dbt: %s cannot be had with verify, one-insn-per-tb, interp or stress-tlb", t->opt_force ? "stress-tier" : "opt");
    if (getrandom(&t->key_salt, sizeof(t->key_salt), 0) < 0)
        return err_set(e, "getrandom: %s", strerror(errno));
    if (vm->cfg.perfmap && perfmap_open(e))
        return -1;
    insn_table_init();
    if (carry_probe(e))
        return -1;
    if (tb_init(t, e))
        return -1;
    backend_watch = &t->watch;
    bool kept = !t->interp && !backend_stress.random_ra && !backend_stress.force_miss && g_strcmp0(t->pcache_dir, "off");
    t->pcache = kept ? pcache_new(t->pcache_dir, t->pcache_size) : NULL;
    if (dbt_signal_init(e))
        return -1;
    if ((t->opt_on || t->opt_force) && !(t->opt = opt_new(t, t->opt_force)))
        return err_set(e, "-accel dbt,opt=on: this build or this host has no optimiser");
    codepage_set_listener(tb_code_written, tb_code_clear, t);
    return 0;
}

static void dbt_mode_changed(struct vcpu *v)
{
    if (v->engine)
        jumps_rekey(v);
}

static void dbt_tlb_flushed(struct vcpu *v)
{
    if (v->engine)
        jumps_flushed(v);
}

static void dbt_fini(struct vm *vm)
{
    struct dbt *t = vm->engine;
    codepage_set_listener(NULL, NULL, NULL);
    opt_free(t->opt);
    tb_fini(t);
    pcache_free(t->pcache);
    g_free(t->pcache_dir);
    perfmap_close();
    g_free(t);
}

static int dbt_vcpu_init(struct vcpu *v, struct err *e)
{
    const struct dbt *t = v->vm->engine;
    struct dbt_vcpu *d = calloc(1, sizeof(*d));
    if (d) {
        d->block = calloc(1, sizeof(*d->block));
        d->verify = t->verify ? verify_new() : NULL;
    }
    if (!d || !d->block)
        return err_set(e, "cannot get memory for CPU %u", v->index);
    v->engine = d;
    d->random = v->index;
    jumps_rekey(v);
    return 0;
}

static void dbt_vcpu_fini(struct vcpu *v)
{
    struct dbt_vcpu *d = v->engine;
    if (!d)
        return;
    verify_free(d->verify);
    free(d->block);
    free(d);
}

static void dbt_breakpoints_changed(struct vm *vm) { tb_flush_all(vm->engine); }

const struct accel_ops dbt_accel_ops = {
    .name = "dbt", .init = dbt_init, .fini = dbt_fini, .vcpu_init = dbt_vcpu_init, .vcpu_fini = dbt_vcpu_fini,
    .run = dbt_run, .info = stats_print, .breakpoints_changed = dbt_breakpoints_changed,
    .mode_changed = dbt_mode_changed, .tlb_flushed = dbt_tlb_flushed,
};
