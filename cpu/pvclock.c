/* kvmclock and stolen time. kvmclock: system time in ns as a linear function of the guest's TSC, published in guest RAM. The platform's TSC never stops relative to
 * system time (both are VM time), so a record stays right until the TSC is written. vCPU thread; called by MSR writes.
 * Source: the published KVM MSR interface (MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW,
 * MSR_KVM_STEAL_TIME). */
#include "cpu/pvclock.h"
#include "cpu/cpuid.h"
#include "cpu/platform.h"
#include "mmu/dma.h"
#include "util/log.h"

#define NS_PER_TICK_NUM 1000000ull /* ns = ticks * 1000000 / kHz */

/* The record: version is odd while it is being written. */
struct time_record {
    u32 version, pad0;
    u64 tsc_timestamp, system_time;
    u32 tsc_to_system_mul;
    i8 tsc_shift;
    u8 flags, pad[2];
};
enum { FLAG_TSC_STABLE = 1 };

struct wall_record {
    u32 version, sec, nsec;
};

/* ns = ((ticks << shift) * mul) >> 32, mul normalised to its top bit. */
static void scale_of(u32 tsc_khz, u32 *mul, i8 *shift)
{
    u128 ratio = ((u128)NS_PER_TICK_NUM << 64) / tsc_khz; /* 64.64 fixed point */
    int s = 0;
    while (ratio >> 64) {
        ratio >>= 1;
        s++;
    }
    while (!(ratio >> 63)) {
        ratio <<= 1;
        s--;
    }
    *mul = (u32)(ratio >> 32);
    *shift = (i8)s;
}

u64 pvclock_system_ns(const struct cpu *c, u64 ticks) { return (u64)((u128)ticks * NS_PER_TICK_NUM / c->model->tsc_khz); }

/* Writes a record whose first field is its version, so that readers never see half of it. */
static void publish(struct cpu *c, gpa_t gpa, void *rec, unsigned size)
{
    u32 version;
    if (dma_read(c->mem, gpa, &version, 4)) {
        GUEST_ERROR("cpu %u: kvmclock record at %llx is not in RAM", c->index, (unsigned long long)gpa);
        return;
    }
    version = (version | 1) + 2; /* odd */
    dma_write(c->mem, gpa, &version, 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    dma_write(c->mem, gpa + 4, (u8 *)rec + 4, size - 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    version++;
    dma_write(c->mem, gpa, &version, 4);
}

void pvclock_update(struct cpu *c)
{
    if (!(c->kvmclock_msr & 1))
        return;
    u64 ticks = c->plat->tsc(c);
    struct time_record r = {
        .tsc_timestamp = ticks + c->tsc_offset,
        .system_time = pvclock_system_ns(c, ticks),
        .flags = feat_on(c->model, FEAT_KVMCLOCK_STABLE) ? FLAG_TSC_STABLE : 0,
    };
    scale_of(c->model->tsc_khz, &r.tsc_to_system_mul, &r.tsc_shift);
    publish(c, c->kvmclock_msr & ~1ull, &r, sizeof(r));
}

void pvclock_write_wall(struct cpu *c, gpa_t gpa)
{
    u64 boot = c->plat->wall_ns(c) - pvclock_system_ns(c, c->plat->tsc(c));
    struct wall_record r = { .sec = (u32)(boot / NS_PER_SEC), .nsec = (u32)(boot % NS_PER_SEC) };
    publish(c, gpa, &r, sizeof(r));
}

/* -- stolen time: how long this CPU was ready to run and the host did not run it ------------------------------------------ */

enum { STEAL_PERIOD = 10 * 1000 * 1000 /* ns between updates */ };
struct steal_record { /* the first fields; version is odd while it is being written */
    u64 steal;
    u32 version, flags;
    u8 preempted, pad[47];
};

void pvclock_steal(struct cpu *c, bool now)
{
    struct steal_record r;
    gpa_t gpa = c->steal_msr & ~63ull;
    u64 time, total;

    if (!(c->steal_msr & 1))
        return;
    time = pvclock_system_ns(c, c->plat->tsc(c));
    if (!now && time - c->steal_time < STEAL_PERIOD)
        return;
    c->steal_time = time;
    total = c->plat->steal_ns(c);
    if (dma_read(c->mem, gpa, &r, sizeof(r))) {
        GUEST_ERROR("cpu %u: stolen time record at %llx is not in RAM", c->index, (unsigned long long)gpa);
        c->steal_msr = 0;
        return;
    }
    r.version = (r.version | 1) + 2; /* odd */
    dma_write(c->mem, gpa + offsetof(struct steal_record, version), &r.version, 4);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    r.steal += now ? 0 : total - c->steal_seen; /* from when the guest asked on */
    c->steal_seen = total;
    dma_write(c->mem, gpa, &r.steal, 8);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    r.version++;
    dma_write(c->mem, gpa + offsetof(struct steal_record, version), &r.version, 4);
}
