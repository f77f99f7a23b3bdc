/* vCPU threads: the outer loop, waiting in HLT, kicks, queued work, the interrupt pins and the CPU core's platform calls.
 * One thread for each vCPU; pins and kicks on any. docs/threads.md. */
#include "accel/vcpu.h"
#include <fcntl.h>
#include <unistd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "accel/vm.h"
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/help/x87.h"
#include "cpu/pvclock.h"
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "util/clock.h"
#include "util/log.h"

#define APIC_BASE_ENABLE BIT(11) /* IA32_APIC_BASE, SDM vol. 3A 11.4.4 */
#define APIC_BASE_X2 BIT(10)

static __thread struct vcpu *self;

struct vcpu *vcpu_self(void) { return self; }

void vcpu_kick(struct vcpu *v, u32 xreq)
{
    cpu_request_exit(v->c, xreq);
    if (self == v)
        return;
    lock_acquire(&v->lock);
    pthread_cond_signal(&v->wake);
    lock_release(&v->lock);
}

bool vcpu_has_event(struct vcpu *v)
{
    struct cpu *c = v->c;
    if (__atomic_load_n(&c->init_pending, __ATOMIC_ACQUIRE))
        return true;
    if (c->wait_sipi)
        return __atomic_load_n(&c->sipi_vector, __ATOMIC_ACQUIRE) != 0;
    if (cpu_nmi_ready(c) || (c->halted && __atomic_load_n(&c->pv_kicked, __ATOMIC_ACQUIRE)))
        return true;
    return c->iflag && cpu_intr_ready(c);
}

static void event_init(struct cpu *c)
{
    __atomic_store_n(&c->init_pending, false, __ATOMIC_RELEASE);
    cpu_reset(c, true);
    if (c->lapic)
        c->lapic_ops->reset(c->lapic, true);
    c->wait_sipi = c->index != 0;
}

static void event_sipi(struct cpu *c, u8 vector)
{
    c->wait_sipi = false;
    c->halted = false;
    c->seg[S_CS].sel = (u16)(vector << 8);
    c->seg[S_CS].base = (u64)vector << 12;
    c->rip = 0;
    cpu_update_mode(c);
}

void vcpu_take_events(struct vcpu *v)
{
    struct cpu *c = v->c;
    if (__atomic_load_n(&c->init_pending, __ATOMIC_ACQUIRE))
        event_init(c);
    u16 sipi = __atomic_exchange_n(&c->sipi_vector, 0, __ATOMIC_SEQ_CST);
    if (sipi && c->wait_sipi)
        event_sipi(c, (u8)sipi);
    if (c->wait_sipi || c->int_shadow)
        return;
    if (c->halted && __atomic_exchange_n(&c->pv_kicked, false, __ATOMIC_SEQ_CST))
        c->halted = false;
    if (cpu_nmi_ready(c)) {
        c->halted = false;
        cpu_nmi_take(c);
    } else if (c->iflag && cpu_intr_ready(c)) {
        int vector = c->lapic_ops->ack(c->lapic);
        if (vector >= 0) {
            c->halted = false;
            pvclock_steal(c, false);
            cpu_deliver_interrupt(c, vector);
        }
    }
}

/* --- the thread --- */
static struct vcpu_work *work_take(struct vcpu *v)
{
    struct vcpu_work *w = v->work;
    if (w)
        v->work = w->next;
    return w;
}

/* Runs queued work; v->lock held on entry and exit, released around each item. */
static void work_run(struct vcpu *v)
{
    struct vcpu_work *w;
    while ((w = work_take(v))) {
        lock_release(&v->lock);
        w->fn(v, w->arg);
        lock_acquire(&v->lock);
        w->done = true;
        pthread_cond_broadcast(&v->done);
    }
}

static bool may_run(const struct vcpu *v)
{
    return __atomic_load_n(&v->vm->running, __ATOMIC_SEQ_CST) || v->step;
}

/* Waits until there is something to do; v->lock held. Returns false to end the thread. */
static bool wait_for_run(struct vcpu *v)
{
    struct cpu *c = v->c;
    for (;;) {
        __atomic_fetch_and(&c->exit_request, ~(u32)(XREQ_WORK | XREQ_INTR), __ATOMIC_SEQ_CST);
        work_run(v);
        if (v->quit)
            return false;
        if (may_run(v) && !v->parked && ((!c->halted && !c->wait_sipi) || vcpu_has_event(v) || v->step))
            return true;
        if (!may_run(v) && !v->stopped) {
            lock_release(&v->lock);
            x87_sync(c);
            lock_acquire(&v->lock);
            if (may_run(v) || v->work || v->quit)
                continue;
            v->stopped = true;
            pthread_cond_broadcast(&v->done);
        }
        aspace_thread_offline();
        lock_wait(&v->lock, &v->wake);
        aspace_thread_online();
    }
}

static void *vcpu_main(void *arg)
{
    struct vcpu *v = arg;
    self = v;
    __atomic_store_n(&v->tid, gettid(), __ATOMIC_RELAXED);
    v->schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    aspace_thread_online();
    lock_acquire(&v->lock);
    while (wait_for_run(v)) {
        v->stopped = false;
        lock_release(&v->lock);
        v->vm->ops->run(v);
        aspace_quiesce();
        lock_acquire(&v->lock);
    }
    v->stopped = true;
    pthread_cond_broadcast(&v->done);
    lock_release(&v->lock);
    aspace_thread_offline();
    if (v->schedstat >= 0)
        close(v->schedstat);
    return NULL;
}

void vcpu_run_on(struct vcpu *v, void (*fn)(struct vcpu *, void *), void *arg)
{
    if (self == v || !v->started) {
        fn(v, arg);
        return;
    }
    struct vcpu_work w = { .fn = fn, .arg = arg };
    lock_acquire(&v->lock);
    struct vcpu_work **p = &v->work;
    while (*p)
        p = &(*p)->next;
    *p = &w;
    cpu_request_exit(v->c, XREQ_WORK);
    pthread_cond_signal(&v->wake);
    while (!w.done)
        lock_wait(&v->lock, &v->done);
    lock_release(&v->lock);
}

/* --- exclusive sections --- */
void vcpu_code_enter(struct vcpu *v)
{
    struct vm *vm = v->vm;
    for (;;) {
        __atomic_store_n(&v->in_code, true, __ATOMIC_SEQ_CST);
        if (LIKELY(!__atomic_load_n(&vm->excl, __ATOMIC_SEQ_CST)))
            return;
        pthread_mutex_lock(&vm->excl_mutex);
        __atomic_store_n(&v->in_code, false, __ATOMIC_SEQ_CST);
        pthread_cond_broadcast(&vm->excl_cond);
        while (vm->excl)
            pthread_cond_wait(&vm->excl_cond, &vm->excl_mutex);
        pthread_mutex_unlock(&vm->excl_mutex);
    }
}

void vcpu_code_leave(struct vcpu *v)
{
    __atomic_store_n(&v->in_code, false, __ATOMIC_SEQ_CST);
    if (UNLIKELY(__atomic_load_n(&v->vm->excl, __ATOMIC_SEQ_CST))) {
        pthread_mutex_lock(&v->vm->excl_mutex);
        pthread_cond_broadcast(&v->vm->excl_cond);
        pthread_mutex_unlock(&v->vm->excl_mutex);
    }
}

void vcpu_exclusive_begin(struct vm *vm)
{
    pthread_mutex_lock(&vm->excl_mutex);
    while (vm->excl)
        pthread_cond_wait(&vm->excl_cond, &vm->excl_mutex);
    __atomic_store_n(&vm->excl, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < vm->n_cpus; i++) {
        struct vcpu *v = vm->cpu[i];
        if (v == self)
            continue;
        cpu_request_exit(v->c, XREQ_WORK);
        while (__atomic_load_n(&v->in_code, __ATOMIC_SEQ_CST))
            pthread_cond_wait(&vm->excl_cond, &vm->excl_mutex);
    }
    pthread_mutex_unlock(&vm->excl_mutex);
}

void vcpu_exclusive_end(struct vm *vm)
{
    pthread_mutex_lock(&vm->excl_mutex);
    __atomic_store_n(&vm->excl, false, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&vm->excl_cond);
    pthread_mutex_unlock(&vm->excl_mutex);
}

/* --- memory hooks --- */
static bool hook_is_lapic(void *opaque, gpa_t page)
{
    struct cpu *c = ((struct vcpu *)opaque)->c;
    if (!c->lapic)
        return false;
    u64 base = c->lapic_ops->get_base(c->lapic);
    return (base & (APIC_BASE_ENABLE | APIC_BASE_X2)) == APIC_BASE_ENABLE && (base & PAGE_MASK) == page;
}

static u64 hook_lapic_read(void *opaque, u64 off, unsigned size)
{
    struct vcpu *v = opaque;
    return v->c->lapic_ops->mmio_read(v->c->lapic, off, size);
}

static void hook_lapic_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct vcpu *v = opaque;
    v->c->lapic_ops->mmio_write(v->c->lapic, off, val, size);
}

static bool hook_is_watched(void *opaque, gla_t page)
{
    struct vcpu *v = opaque;
    return UNLIKELY(v->vm->n_watch) && vm_page_watched(v->vm, page);
}

static void hook_watched_access(void *opaque, gla_t addr, unsigned size, bool write)
{
    struct vcpu *v = opaque;
    const struct vm *vm = v->vm;
    for (unsigned i = 0; i < vm->n_bp && !v->watch_hit; i++) {
        const struct vm_bp *b = &vm->bp[i];
        if (b->kind < BP_WATCH_WRITE || addr + size <= b->addr || b->addr + b->len <= addr)
            continue;
        if ((b->kind == BP_WATCH_WRITE && !write) || (b->kind == BP_WATCH_READ && write))
            continue;
        v->watch_info = (struct vm_stop_info){ VM_DEBUG, (int)v->index,
                                               b->kind == BP_WATCH_WRITE ? STOP_WATCH_WRITE :
                                               b->kind == BP_WATCH_READ ? STOP_WATCH_READ : STOP_WATCH_ACCESS, addr };
        v->watch_hit = &v->watch_info;
    }
}

/* --- cpu/platform.h --- */
static u64 plat_port_read(struct cpu *c, u16 port, unsigned size) { return aspace_read_uint(c->io, port, size); }
static void plat_port_write(struct cpu *c, u16 port, u64 val, unsigned size) { aspace_write_uint(c->io, port, val, size); }
static u32 plat_port_string(struct cpu *c, u16 port, unsigned size, void *buf, u32 n, bool write)
{
    return aspace_string(c->io, port, size, buf, n, write);
}
static struct vcpu *vcpu_of(struct cpu *c) { return c->plat_opaque; }

/* The platform TSC counts at 1 GHz: nanoseconds of VM time (accel/vm.c tells the guest so). */
static u64 plat_tsc(struct cpu *c) { return (u64)clock_ns(vcpu_of(c)->vm->m->clock); }

static u64 plat_real_ns(struct cpu *c) { return (u64)clock_real_ns(vcpu_of(c)->vm->m->clock); }

static u64 plat_wall_ns(struct cpu *c) { return (u64)clock_wall_ns(vcpu_of(c)->vm->m->clock); }

/* The second number of schedstat: ns on a run queue. */
static u64 plat_steal_ns(struct cpu *c)
{
    char text[80];
    int fd = vcpu_of(c)->schedstat;
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    unsigned long long ran, waited;

    if (n <= 0)
        return 0;
    text[n] = 0;
    return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

static void plat_kick(struct cpu *c, u32 apic_id)
{
    struct vm *vm = vcpu_of(c)->vm;

    if (apic_id >= vm->n_cpus)
        return;
    __atomic_store_n(&vm->cpu[apic_id]->c->pv_kicked, true, __ATOMIC_SEQ_CST);
    vcpu_kick(vm->cpu[apic_id], XREQ_INTR);
}

static void plat_pmu_timer(struct cpu *c, u64 tsc) { timer_set(&vcpu_of(c)->pmu_timer, (i64)tsc); }

/* Main thread, machine lock. */
static void pmu_timer_fire(void *opaque)
{
    struct vcpu *v = opaque;
    __atomic_store_n(&v->c->pmu.fired, true, __ATOMIC_RELEASE);
    vcpu_kick(v, XREQ_INTR);
}

static u64 plat_random(struct cpu *c)
{
    u64 v;
    while (getrandom(&v, sizeof(v), 0) != sizeof(v))
        ;
    return v;
}

static void plat_triple_fault(struct cpu *c)
{
    struct vcpu *v = vcpu_of(c);
    LOG(LOG_RESET, "cpu %u: triple fault at rip %llx", c->index, (unsigned long long)c->rip);
    v->parked = true;
    cpu_request_exit(c, XREQ_WORK);
    vm_request(v->vm->m, REQ_TRIPLE_FAULT, 0);
}

static void plat_halt(struct cpu *c) { cpu_request_exit(c, XREQ_INTR); }

static void plat_pause(struct cpu *c)
{
    struct vcpu *v = vcpu_of(c);
    if (v->vm->n_cpus > 1 && (++v->pauses & 15) == 0)
        sched_yield();
}

/* --- MWAIT --- */
#define MWAIT_SPINS 200        /* looks before the thread sleeps, some 20 us */
#define MWAIT_SLEEP_NS 100000  /* and between looks from then on */
#define MWAIT_SLEEPS 100       /* then it comes back for no reason */

/* What ends MWAIT but the end of its patience. */
static bool mwait_over(struct vcpu *v, bool masked)
{
    struct cpu *c = v->c;
    u8 line[MONITOR_LINE];
    if (__atomic_load_n(&c->exit_request, __ATOMIC_SEQ_CST) || vcpu_has_event(v))
        return true;
    if (masked && cpu_intr_ready(c))
        return true;
    return dma_read(c->mem, c->monitor_gpa, line, sizeof(line)) || memcmp(line, c->monitor_was, sizeof(line));
}

static void plat_mwait(struct cpu *c, bool masked)
{
    struct vcpu *v = vcpu_of(c);
    for (unsigned i = 0; i < MWAIT_SPINS; i++) {
        if (mwait_over(v, masked))
            return;
        __builtin_ia32_pause();
    }
    for (unsigned i = 0; i < MWAIT_SLEEPS && !mwait_over(v, masked); i++) {
        aspace_thread_offline();
        lock_acquire(&v->lock);
        if (!__atomic_load_n(&c->exit_request, __ATOMIC_SEQ_CST))
            lock_wait_ns(&v->lock, &v->wake, MWAIT_SLEEP_NS);
        lock_release(&v->lock);
        aspace_thread_online();
    }
}

static void plat_wbinvd(struct cpu *c) {}

static void plat_ferr(struct cpu *c)
{
    struct machine *m = vcpu_of(c)->vm->m;
    lock_acquire(&m->lock);
    irq_set(&m->gsi[13], 1);
    lock_release(&m->lock);
}

static int plat_msr_none_read(struct cpu *c, u32 msr, u64 *val) { return -1; }
static int plat_msr_none_write(struct cpu *c, u32 msr, u64 val) { return -1; }

static void plat_mode_changed(struct cpu *c)
{
    struct vcpu *v = vcpu_of(c);
    v->vm->ops->mode_changed(v);
}

static void plat_tlb_flushed(struct cpu *c)
{
    struct vcpu *v = vcpu_of(c);
    v->vm->ops->tlb_flushed(v);
}

const struct cpu_platform vcpu_platform = {
    .port_read = plat_port_read,
    .port_write = plat_port_write,
    .port_string = plat_port_string,
    .tsc = plat_tsc,
    .real_ns = plat_real_ns,
    .wall_ns = plat_wall_ns,
    .steal_ns = plat_steal_ns,
    .kick = plat_kick,
    .pmu_timer = plat_pmu_timer,
    .random = plat_random,
    .triple_fault = plat_triple_fault,
    .halt = plat_halt,
    .pause = plat_pause,
    .mwait = plat_mwait,
    .wbinvd = plat_wbinvd,
    .mode_changed = plat_mode_changed,
    .tlb_flushed = plat_tlb_flushed,
    .ferr = plat_ferr,
    .ext_msr_read = plat_msr_none_read,
    .ext_msr_write = plat_msr_none_write,
};

/* --- hw/core/irq.h pins --- */
static struct vcpu *pin_cpu(void *opaque, unsigned cpu)
{
    struct vm *vm = opaque;
    return cpu < vm->n_cpus ? vm->cpu[cpu] : NULL;
}

static void pin_kick_intr(void *opaque, unsigned cpu)
{
    struct vcpu *v = pin_cpu(opaque, cpu);
    if (v)
        vcpu_kick(v, XREQ_INTR);
}

static void pin_nmi(void *opaque, unsigned cpu)
{
    struct vcpu *v = pin_cpu(opaque, cpu);
    if (!v)
        return;
    cpu_nmi_raise(v->c);
    vcpu_kick(v, XREQ_INTR);
}

static void pin_smi(void *opaque, unsigned cpu) { LOG(LOG_UNIMP, "SMI to cpu %u: no system management mode", cpu); }

static void pin_init(void *opaque, unsigned cpu)
{
    struct vcpu *v = pin_cpu(opaque, cpu);
    if (!v)
        return;
    __atomic_store_n(&v->c->init_pending, true, __ATOMIC_SEQ_CST);
    vcpu_kick(v, XREQ_INTR);
}

static void pin_sipi(void *opaque, unsigned cpu, u8 vector)
{
    struct vcpu *v = pin_cpu(opaque, cpu);
    if (!v)
        return;
    __atomic_store_n(&v->c->sipi_vector, (u16)(0x100 | vector), __ATOMIC_SEQ_CST);
    vcpu_kick(v, XREQ_INTR);
}

static void pin_ignne(void *opaque, unsigned cpu)
{
    struct vm *vm = opaque;
    irq_set(&vm->m->gsi[13], 0);
}

const struct cpu_pins vcpu_pins = {
    .kick_intr = pin_kick_intr, .nmi = pin_nmi, .smi = pin_smi, .init = pin_init, .sipi = pin_sipi, .ignne = pin_ignne,
};

/* --- hw/core/io_regs.h --- */
static const u8 io_reg_gpr[IO_REGS] = { [IO_EAX] = R_AX, [IO_EBX] = R_BX, [IO_ECX] = R_CX, [IO_EDX] = R_DX, [IO_ESI] = R_SI, [IO_EDI] = R_DI };

static bool io_regs_get(void *opaque, u32 r[IO_REGS])
{
    if (!self || self->vm != opaque)
        return false;
    for (unsigned i = 0; i < IO_REGS; i++)
        r[i] = (u32)self->c->gpr[io_reg_gpr[i]];
    return true;
}

static void io_regs_set(void *opaque, enum io_reg n, u32 val) { self->c->gpr[io_reg_gpr[n]] = val; }

const struct io_regs_ops vcpu_io_regs = { .get = io_regs_get, .set = io_regs_set };

/* --- life cycle --- */
int vcpu_new(struct vm *vm, unsigned index, struct vcpu **out, struct err *e)
{
    struct vcpu *v = calloc(1, sizeof(*v));
    struct cpu *c = v ? aligned_alloc(4096, ALIGN_UP(sizeof(*c), 4096)) : NULL;
    if (!c) {
        free(v);
        return err_set(e, "cannot get memory for CPU %u", index);
    }
    memset(c, 0, sizeof(*c));
    v->c = c;
    v->vm = vm;
    v->index = index;
    lock_init(&v->lock, "vcpu", RANK_VCPU);
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&v->wake, &a);
    pthread_cond_init(&v->done, &a);
    pthread_condattr_destroy(&a);
    v->hooks = (struct vcpu_mem_hooks){ hook_is_lapic, hook_lapic_read, hook_lapic_write, hook_is_watched,
                                        hook_watched_access, v };
    c->index = index;
    c->model = vm->model;
    c->plat = &vcpu_platform;
    c->plat_opaque = v;
    tlb_init(&c->tlb);
    c->jc_mask = JC_MASK;
    *out = v;
    return 0;
}

void vcpu_attach_clock(struct vcpu *v, struct clock *clock)
{
    v->c->tsc_base = clock_base(clock);
    timer_init(&v->pmu_timer, clock, pmu_timer_fire, v);
}

int vcpu_start(struct vcpu *v, struct err *e)
{
    char name[16];
    snprintf(name, sizeof(name), "vcpu %u", v->index);
    if (thread_start(&v->thread, name, vcpu_main, v))
        return err_set(e, "cannot start a thread for CPU %u: %s", v->index, strerror(errno));
    v->started = true;
    return 0;
}

void vcpu_end(struct vcpu *v)
{
    if (!v->started)
        return;
    lock_acquire(&v->lock);
    v->quit = true;
    cpu_request_exit(v->c, XREQ_WORK);
    pthread_cond_signal(&v->wake);
    lock_release(&v->lock);
    pthread_join(v->thread, NULL);
    v->started = false;
}

void vcpu_free(struct vcpu *v)
{
    if (v->pmu_timer.clock)
        timer_cancel(&v->pmu_timer);
    if (v->vm->ops && v->vm->ops->vcpu_fini)
        v->vm->ops->vcpu_fini(v);
    free(v->c);
    free(v);
}
