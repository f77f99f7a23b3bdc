/* A VM as the main thread sees it: start, stop, reset, the guest's requests to end or reset, breakpoints, memory for debuggers.
 * Main thread, unless stated. */
#include "accel/vm.h"
#include <stdlib.h>
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "mmu/aspace.h"
#include "mmu/dirty.h"
#include "mmu/dma.h"
#include "util/clock.h"
#include "util/event.h"
#include "util/log.h"

extern const struct accel_ops dbt_accel_ops;
static const struct {
    const char *name;
    const struct accel_ops *ops; /* NULL: known, but not in this build */
} engines[] = { { "dbt", &dbt_accel_ops }, { "tcg", &dbt_accel_ops }, { "kvm", NULL } };

#define TSC_KHZ 1000000u /* the guest's TSC counts nanoseconds: no conversion anywhere */

/* --- engine selection: "NAME[,opt=val...]" or "NAME:NAME" --- */
static int engine_find(const char *name, size_t len, const struct accel_ops **ops)
{
    for (unsigned i = 0; i < ARRAY_LEN(engines); i++)
        if (strlen(engines[i].name) == len && !memcmp(engines[i].name, name, len)) {
            *ops = engines[i].ops;
            return 0;
        }
    return -1;
}

static int engine_select(struct vm *vm, const char *spec, struct err *e)
{
    const char *opts = strchr(spec, ','), *p = spec;
    const char *end = opts ? opts : spec + strlen(spec);
    while (p < end) {
        size_t len = strcspn(p, ":,");
        const struct accel_ops *ops = NULL;
        if (engine_find(p, len, &ops))
            return err_set(e, "-accel %.*s: unknown accelerator (this build has dbt, also called tcg)", (int)len, p);
        if (ops) {
            vm->ops = ops;
            vm->accel_opts = g_strdup(opts ? opts + 1 : "");
            return 0;
        }
        p += len + (p[len] == ':');
    }
    return err_set(e, "-accel %s: not available in this build (use -accel dbt)", spec);
}

struct vm *vm_new(const struct accel_config *cfg, struct err *e)
{
    struct vm *vm = g_new0(struct vm, 1);
    vm->cfg = *cfg;
    vm->n_cpus = cfg->cpus;
    vm->state = VM_PAUSED;
    lock_init(&vm->lock, "vm", RANK_VM);
    pthread_mutex_init(&vm->excl_mutex, NULL);
    pthread_cond_init(&vm->excl_cond, NULL);
    if (engine_select(vm, cfg->accel ? cfg->accel : "dbt", e))
        goto fail;
    vm->model = cpu_model_new(cfg->cpu, cfg->cpus, cfg->cores, cfg->threads, e);
    if (!vm->model)
        goto fail;
    vm->model->tsc_khz = TSC_KHZ;
    if (vm->ops->init(vm, vm->accel_opts, e))
        goto fail;
    for (unsigned i = 0; i < vm->n_cpus; i++)
        if (vcpu_new(vm, i, &vm->cpu[i], e))
            goto fail;
    return vm;
fail:
    vm_free(vm);
    return NULL;
}

static u64 vm_tsc_now(void *opaque, unsigned cpu)
{
    struct vm *vm = opaque;
    return (u64)clock_ns(vm->m->clock) + vm->cpu[cpu]->c->tsc_offset;
}

static i64 vm_tsc_to_ns(void *opaque, unsigned cpu, u64 tsc)
{
    struct vm *vm = opaque;
    return (i64)(tsc - vm->cpu[cpu]->c->tsc_offset);
}

void vm_mem_changed(struct vm *vm)
{
    for (unsigned i = 0; i < vm->n_cpus; i++)
        if (vm->started)
            vcpu_kick(vm->cpu[i], XREQ_FLUSH);
}

static void mem_listener(void *opaque) { vm_mem_changed(opaque); }

/* A region of the optimiser (accel/dbt/opt) holds what it has found in the TLB until it is left. */
static void revoke_writes_of(struct cpu *c, const u8 *host, u64 n, const u8 *pages)
{
    tlb_revoke_write_host(&c->tlb, host, n, pages);
    if (__atomic_load_n(&c->memctx.beside, __ATOMIC_SEQ_CST))
        cpu_request_exit(c, XREQ_INTR);
}

static void revoke_writes(void *opaque, const struct ram_block *b, u64 first, u64 n, const u8 *pages)
{
    struct vm *vm = opaque;
    for (unsigned i = 0; vm->started && i < vm->n_cpus; i++)
        revoke_writes_of(vm->cpu[i]->c, b->host + first * PAGE_SIZE, n, pages);
}

static void a20_listener(void *opaque, bool on) { vm_mem_changed(opaque); }

void vm_attach_machine(struct vm *vm, struct machine *m)
{
    vm->m = m;
    m->pins = vcpu_pins;
    m->pins.opaque = vm;
    m->io_regs = vcpu_io_regs;
    m->io_regs.opaque = vm;
    m->request = vm_request;
    m->request_opaque = vm;
    m->tsc_now = vm_tsc_now;
    m->tsc_to_ns = vm_tsc_to_ns;
    m->tsc_opaque = vm;
    m->cfg.tsc_khz = TSC_KHZ;
    m->a20_changed = a20_listener;
    dirty_set_revoker(revoke_writes, vm);
    m->a20_opaque = vm;
}

/* --- reset --- */
static void seg_flat(struct seg_reg *s, u16 sel, u16 attr)
{
    *s = (struct seg_reg){ .base = 0, .limit = 0xffffffff, .sel = sel, .attr = attr };
}

/* Puts CPU 0 where the direct-boot image wants it. */
static void boot_apply(struct cpu *c, const struct boot_state *b)
{
    if (!b->mode)
        return;
    c->gpr[R_AX] = b->rax;
    c->gpr[R_BX] = b->rbx;
    c->gpr[R_CX] = b->rcx;
    c->gpr[R_DX] = b->rdx;
    c->gpr[R_SI] = b->rsi;
    c->gpr[R_DI] = b->rdi;
    c->gpr[R_SP] = b->rsp;
    c->rip = b->rip;
    if (b->mode == 16) {
        c->seg[S_CS].sel = b->cs;
        c->seg[S_CS].base = (u64)b->cs << 4;
    } else {
        c->cr0 |= CR0_PE;
        seg_flat(&c->seg[S_CS], b->sel_code, 0xc09b);
        for (unsigned s = 0; s < SEG_COUNT; s++)
            if (s != S_CS)
                seg_flat(&c->seg[s], b->sel_data, 0xc093);
        c->gdt = (struct dtable){ b->gdt_base, b->gdt_limit };
    }
    cpu_update_mode(c);
}

static void cpu_reset_one(struct vcpu *v, void *arg)
{
    struct vm *vm = v->vm;
    struct cpu *c = v->c;
    c->tlb.regs.a20_mask = !vm->m->a20_enabled;
    cpu_reset(c, false);
    tlb_flush(&c->tlb, true);
    c->plat->tlb_flushed(c);
    c->wait_sipi = v->index != 0;
    c->init_pending = false;
    c->nmi_pending = 0;
    c->sipi_vector = 0;
    v->parked = false;
    if (v->index == 0)
        boot_apply(c, &vm->m->boot);
}

static void reset_all(struct vm *vm)
{
    vm->deferred = REQ_NONE;
    lock_acquire(&vm->m->lock);
    machine_reset(vm->m);
    lock_release(&vm->m->lock);
    for (unsigned i = 0; i < vm->n_cpus; i++)
        vcpu_run_on(vm->cpu[i], cpu_reset_one, NULL);
}

int vm_start(struct vm *vm, struct err *e)
{
    struct machine *m = vm->m;
    aspace_add_listener(m->mem, mem_listener, vm);
    for (unsigned i = 0; i < vm->n_cpus; i++) {
        struct vcpu *v = vm->cpu[i];
        struct cpu *c = v->c;
        c->mem = m->mem;
        c->io = m->io;
        c->lapic = m->lapic[i];
        c->lapic_ops = m->lapic_ops;
        c->intr_ready = c->lapic ? m->lapic_ops->intr_ready(c->lapic) : NULL;
        c->vmware_user = m->cfg.vmport_user;
        vcpu_attach_clock(v, m->clock);
        *cpu_mem(c) = (struct mem_ctx){ .tlb = &c->tlb, .mem = m->mem, .hooks = &v->hooks };
        if (vm->ops->vcpu_init(v, e))
            return -1;
    }
    reset_all(vm);
    vm->started = true;
    for (unsigned i = 0; i < vm->n_cpus; i++)
        if (vcpu_start(vm->cpu[i], e))
            return -1;
    if (!vm->cfg.start_stopped)
        vm_cont(vm);
    return 0;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    dirty_set_revoker(NULL, NULL);
    __atomic_store_n(&vm->running, false, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < vm->n_cpus; i++)
        if (vm->cpu[i])
            vcpu_end(vm->cpu[i]);
    for (unsigned i = 0; i < vm->n_cpus; i++)
        if (vm->cpu[i])
            vcpu_free(vm->cpu[i]);
    if (vm->m && vm->m->mem) /* the machine is taken apart later, without us */
        aspace_del_listener(vm->m->mem, mem_listener, vm);
    if (vm->ops && vm->engine)
        vm->ops->fini(vm);
    cpu_model_free(vm->model);
    g_free(vm->accel_opts);
    g_free(vm);
}

/* --- run state --- */
enum vm_state vm_state(struct vm *vm) { return vm->state; }

const char *vm_state_name(struct vm *vm)
{
    static const char *const names[] = {
        [VM_RUNNING] = "running", [VM_PAUSED] = "paused", [VM_DEBUG] = "debug", [VM_SHUTDOWN] = "shutdown",
        [VM_INTERNAL_ERROR] = "internal-error", [VM_IO_ERROR] = "io-error", [VM_PANICKED] = "guest-panicked",
        [VM_WATCHDOG] = "watchdog",
    };

    if (vm->state == VM_RUNNING && vm->m->suspended)
        return "suspended";
    if (vm->state == VM_PAUSED && !vm->ran)
        return "prelaunch";
    return names[vm->state];
}

static void notify(struct vm *vm, const struct vm_stop_info *i)
{
    for (unsigned k = 0; k < vm->n_listeners; k++)
        vm->listener[k].fn(vm->listener[k].opaque, i);
}

/* Waits until no vCPU runs guest code; vm->running is false. */
static void wait_stopped(struct vm *vm)
{
    for (unsigned i = 0; i < vm->n_cpus; i++) {
        struct vcpu *v = vm->cpu[i];
        vcpu_kick(v, XREQ_WORK);
        lock_acquire(&v->lock);
        while (v->started && !v->stopped)
            lock_wait(&v->lock, &v->done);
        lock_release(&v->lock);
    }
    clock_stop(vm->m->clock);
}

void vm_stop_as(struct vm *vm, enum vm_state s, const struct vm_stop_info *info)
{
    struct vm_stop_info own = { .state = s, .cpu = -1 };
    __atomic_store_n(&vm->running, false, __ATOMIC_SEQ_CST);
    wait_stopped(vm);
    vm->state = s;
    notify(vm, info ? info : &own);
}

void vm_stop(struct vm *vm)
{
    if (vm->state == VM_RUNNING)
        vm_stop_as(vm, VM_PAUSED, NULL);
}

static void run_cpus(struct vm *vm)
{
    for (unsigned k = 0; k < vm->n_cpus; k++)
        vm->cpu[k]->skip_bp = true; /* while all still stand */
    __atomic_store_n(&vm->running, true, __ATOMIC_SEQ_CST);
    for (unsigned k = 0; k < vm->n_cpus; k++)
        vcpu_kick(vm->cpu[k], XREQ_WORK);
}

void vm_cont(struct vm *vm)
{
    if (vm->state == VM_RUNNING)
        return;
    struct vm_stop_info i = { .state = VM_RUNNING, .cpu = -1 };
    vm->state = VM_RUNNING;
    vm->ran = true;
    clock_start(vm->m->clock);
    notify(vm, &i);
    run_cpus(vm);
    if (vm->deferred != REQ_NONE) {
        enum machine_request r = vm->deferred;
        vm->deferred = REQ_NONE;
        vm_request(vm->m, r, vm->deferred_code);
    }
}

/* Takes the vCPUs out of guest code without telling the listeners. */
static void stop_silently(struct vm *vm)
{
    __atomic_store_n(&vm->running, false, __ATOMIC_SEQ_CST);
    wait_stopped(vm);
    vm->state = VM_PAUSED;
}

void vm_resume_silently(struct vm *vm)
{
    vm->state = VM_RUNNING;
    clock_start(vm->m->clock);
    run_cpus(vm);
}

/* As new: a VM that had ended can be started again. */
static void set_prelaunch(struct vm *vm)
{
    vm->state = VM_PAUSED;
    vm->ran = false;
}

/* Resets the machine, or ends S3 if it is suspended. */
static void reset_or_wake(struct vm *vm)
{
    enum vm_state old = vm->state;

    if (old == VM_RUNNING)
        stop_silently(vm);
    reset_all(vm);
    if (old == VM_RUNNING)
        vm_resume_silently(vm);
    else if (old == VM_SHUTDOWN || old == VM_PANICKED || old == VM_INTERNAL_ERROR)
        set_prelaunch(vm);
}

void vm_reset_as(struct vm *vm, bool guest, const char *reason)
{
    const struct event_member members[] = { EVENT_BOOL("guest", guest), EVENT_ENUM("reason", reason), EVENT_DONE };

    lock_acquire(&vm->m->lock);
    vm->m->suspended = false;
    lock_release(&vm->m->lock);
    reset_or_wake(vm);
    event_emit("RESET", members);
}

void vm_reset(struct vm *vm)
{
    vm_reset_as(vm, false, "host-qmp-system-reset");
}

/* S3: time goes on, the CPUs do not until the machine is reset or wakes. */
void vm_suspend(struct vm *vm)
{
    stop_silently(vm);
    for (unsigned i = 0; i < vm->n_cpus; i++)
        vm->cpu[i]->parked = true;
    vm_resume_silently(vm);
    event_emit("SUSPEND", NULL);
}

int vm_wakeup(struct vm *vm)
{
    if (!vm->m->suspended)
        return -1;
    reset_or_wake(vm);
    event_emit("WAKEUP", NULL);
    return 0;
}

void vm_inject_nmi(struct vm *vm)
{
    for (unsigned i = 0; i < vm->n_cpus; i++)
        vcpu_pins.nmi(vm, i);
}

unsigned vm_cpu_count(struct vm *vm) { return vm->n_cpus; }
struct cpu *vm_cpu(struct vm *vm, unsigned i) { return vm->cpu[i]->c; }
struct machine *vm_machine(struct vm *vm) { return vm->m; }
int vm_cpu_tid(struct vm *vm, unsigned i) { return __atomic_load_n(&vm->cpu[i]->tid, __ATOMIC_RELAXED); }
const struct cpu_model *vm_cpu_model(struct vm *vm) { return vm->model; }
const char *vm_engine_name(struct vm *vm) { return vm->ops->name; }

void vm_set_exit_handler(struct vm *vm, void (*fn)(void *, int), void *opaque)
{
    vm->exit_fn = fn;
    vm->exit_opaque = opaque;
}

void vm_add_listener(struct vm *vm, void (*fn)(void *, const struct vm_stop_info *), void *opaque)
{
    assert(vm->n_listeners < VM_LISTENERS_MAX);
    vm->listener[vm->n_listeners].fn = fn;
    vm->listener[vm->n_listeners++].opaque = opaque;
}

/* --- debugging --- */
bool vm_bp_at(const struct vm *vm, u64 linear)
{
    for (unsigned i = 0; i < vm->n_bp; i++)
        if (vm->bp[i].addr == linear && vm->bp[i].kind <= BP_HW)
            return true;
    return false;
}

bool vm_page_watched(const struct vm *vm, u64 page)
{
    for (unsigned i = 0; i < vm->n_bp; i++) {
        const struct vm_bp *b = &vm->bp[i];
        if (b->kind >= BP_WATCH_WRITE && b->addr < page + PAGE_SIZE && b->addr + b->len > page)
            return true;
    }
    return false;
}

static void bp_changed(struct vm *vm)
{
    vm->n_watch = 0;
    for (unsigned i = 0; i < vm->n_bp; i++)
        vm->n_watch += vm->bp[i].kind >= BP_WATCH_WRITE;
    vm->ops->breakpoints_changed(vm);
    vm_mem_changed(vm);
}

static int bp_index(const struct vm *vm, enum bp_kind kind, u64 addr, u64 len)
{
    for (unsigned i = 0; i < vm->n_bp; i++)
        if (vm->bp[i].kind == kind && vm->bp[i].addr == addr && vm->bp[i].len == len)
            return (int)i;
    return -1;
}

int vm_bp_insert(struct vm *vm, enum bp_kind kind, u64 addr, u64 len)
{
    if (bp_index(vm, kind, addr, len) >= 0)
        return 0;
    if (vm->n_bp == VM_BP_MAX)
        return -ENOSPC;
    vm->bp[vm->n_bp++] = (struct vm_bp){ kind, addr, len };
    bp_changed(vm);
    return 0;
}

int vm_bp_remove(struct vm *vm, enum bp_kind kind, u64 addr, u64 len)
{
    int i = bp_index(vm, kind, addr, len);
    if (i < 0)
        return -ENOENT;
    vm->bp[i] = vm->bp[--vm->n_bp];
    bp_changed(vm);
    return 0;
}

void vm_bp_clear(struct vm *vm)
{
    vm->n_bp = 0;
    bp_changed(vm);
}

void vm_step(struct vm *vm, unsigned i)
{
    struct vm_stop_info info = { .state = VM_RUNNING, .cpu = -1 };
    struct vcpu *v = vm->cpu[i];
    vm->state = VM_RUNNING;
    clock_start(vm->m->clock);
    notify(vm, &info);
    lock_acquire(&v->lock);
    v->step = 1;
    v->skip_bp = true;
    lock_release(&v->lock);
    vcpu_kick(v, XREQ_WORK);
}

/* Physical address behind a linear one, whatever the rights. */
static int linear_to_gpa(struct vm *vm, unsigned i, u64 linear, gpa_t *gpa)
{
    struct walk_regs r = vm->cpu[i]->c->tlb.regs;
    struct walk w;
    r.wp = r.smap = r.smep = r.pke = false;
    if (!r.lma)
        linear &= 0xffffffff;
    if (walk_page(&r, vm->m->mem, linear, ACC_READ, true, &w))
        return -1;
    *gpa = w.gpa;
    return 0;
}

static int mem_transfer(struct vm *vm, unsigned i, u64 linear, u8 *buf, u64 len, bool write)
{
    int ret = 0;
    aspace_thread_online();
    while (len && !ret) {
        u64 n = MIN_OF(len, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
        gpa_t gpa;
        ret = linear_to_gpa(vm, i, linear, &gpa);
        if (!ret)
            ret = write ? dma_write_rom(vm->m->mem, gpa, buf, n) : dma_read(vm->m->mem, gpa, buf, n);
        linear += n;
        buf += n;
        len -= n;
    }
    aspace_thread_offline();
    return ret;
}

int vm_mem_read(struct vm *vm, unsigned i, u64 linear, void *buf, u64 len)
{
    return mem_transfer(vm, i, linear, buf, len, false);
}

int vm_mem_write(struct vm *vm, unsigned i, u64 linear, const void *buf, u64 len)
{
    return mem_transfer(vm, i, linear, (u8 *)(uintptr_t)buf, len, true);
}

static void regs_changed(struct vcpu *v, void *arg)
{
    cpu_update_mode(v->c);
    tlb_flush(&v->c->tlb, true);
    v->c->plat->tlb_flushed(v->c);
}

void vm_regs_changed(struct vm *vm, unsigned i) { vcpu_run_on(vm->cpu[i], regs_changed, NULL); }

void vm_info_jit(struct vm *vm, GString *out) { vm->ops->info(vm, out); }
