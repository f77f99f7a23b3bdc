/* Small system instructions: time-stamp counter, HLT, MWAIT, cache control, hypercalls. vCPU thread; helpers of emitted code and the
 * interpreter. Source: SDM vol. 2; the published KVM hypercall interface. */
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "cpu/help/help.h"
#include "cpu/msr.h"
#include "cpu/platform.h"
#include "hw/core/irq.h"
#include "mmu/dma.h"
#include "mmu/walk.h"

static void require_cpl0(struct cpu *c)
{
    if (cpu_cpl(c))
        raise_gp0(c);
}

static void put_edx_eax(struct cpu *c, u64 v)
{
    c->gpr[R_AX] = (u32)v;
    c->gpr[R_DX] = v >> 32;
}

static void tsc_check(struct cpu *c)
{
    if (c->cr4 & CR4_TSD && cpu_cpl(c))
        raise_gp0(c);
}

u64 help_rdtsc(struct cpu *c, u64 a, u64 b, u64 d)
{
    tsc_check(c);
    put_edx_eax(c, cpu_tsc(c));
    return 0;
}

u64 help_rdtscp(struct cpu *c, u64 a, u64 b, u64 d)
{
    tsc_check(c);
    put_edx_eax(c, cpu_tsc(c));
    c->gpr[R_CX] = (u32)c->tsc_aux;
    return 0;
}

u64 help_rdpid(struct cpu *c, u64 a, u64 b, u64 d) { return c->tsc_aux; }

u64 help_hlt(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    c->rip = a;
    c->halted = true;
    pmu_halt(c);
    c->plat->halt(c);
    return 0;
}

u64 help_wbinvd(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    c->plat->wbinvd(c);
    return 0;
}

/* MONITOR and MWAIT are #UD outside CPL 0. A write to the line is found by its new contents, which MWAIT looks at; one that changes nothing is
 * not found, but MWAIT may come back for no reason, and does so after a while. SDM vol. 3A 9.10. */
u64 help_monitor(struct cpu *c, u64 a, u64 b, u64 d)
{
    struct walk w;
    if (cpu_cpl(c))
        cpu_raise(c, EXC_UD);
    if ((u32)c->gpr[R_CX])
        raise_gp0(c);
    cpu_ld(c, a, 1);
    c->monitor_gpa = MONITOR_NONE;
    if (walk_page(&c->tlb.regs, c->mem, cpu_is64(c) ? a : (u32)a, ACC_READ, true, &w))
        return 0; /* somebody has just unmapped it */
    c->monitor_gpa = w.gpa & ~(u64)(MONITOR_LINE - 1);
    if (dma_read(c->mem, c->monitor_gpa, c->monitor_was, MONITOR_LINE))
        c->monitor_gpa = MONITOR_NONE; /* not RAM */
    return 0;
}

u64 help_mwait(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (cpu_cpl(c))
        cpu_raise(c, EXC_UD);
    if (c->gpr[R_CX] & ~1ull)
        raise_gp0(c);
    c->rip = a;
    if (c->monitor_gpa != MONITOR_NONE) {
        pmu_halt(c);
        c->plat->mwait(c, c->gpr[R_CX] & 1);
        pmu_wake(c);
    }
    c->monitor_gpa = MONITOR_NONE;
    return 0;
}

/* --- hypercalls --- */
enum { KVM_HC_VAPIC_POLL_IRQ = 1, KVM_HC_KICK_CPU = 5, KVM_HC_SEND_IPI = 10, KVM_EPERM = 1, KVM_EINVAL = 22, KVM_ENOSYS = 1000 };

/* KVM_HC_SEND_IPI(bitmap low, bitmap high, APIC ID of bit 0, ICR): the number of CPUs reached. */
static i64 hypercall_send_ipi(struct cpu *c)
{
    unsigned width = cpu_is64(c) ? 64 : 32;
    u64 map[2] = { c->gpr[R_BX] & MASK64(width), c->gpr[R_CX] & MASK64(width) };
    u32 first = (u32)c->gpr[R_DX], icr = (u32)c->gpr[R_SI];
    i64 sent = 0;
    for (unsigned i = 0; c->lapic && i < 2 * width; i++) {
        if (!(map[i / width] >> i % width & 1) || first + i < first)
            continue;
        int n = c->lapic_ops->pv_ipi(c->lapic, first + i, icr);
        if (n < 0)
            return -KVM_EINVAL;
        sent += n;
    }
    return sent;
}

static i64 hypercall(struct cpu *c, u64 nr)
{
    if (cpu_cpl(c))
        return -KVM_EPERM;
    switch (nr) {
    case KVM_HC_VAPIC_POLL_IRQ: return 0;
    case KVM_HC_KICK_CPU: /* flags, APIC ID */
        if (!feat_on(c->model, FEAT_KVM_PV_UNHALT))
            return -KVM_ENOSYS;
        c->plat->kick(c, (u32)c->gpr[R_CX]);
        return 0;
    case KVM_HC_SEND_IPI: return hypercall_send_ipi(c);
    default: return -KVM_ENOSYS;
    }
}

u64 help_vmcall(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!c->model->kvm_leaves)
        cpu_raise(c, EXC_UD);
    u64 nr = cpu_is64(c) ? c->gpr[R_AX] : (u32)c->gpr[R_AX];
    i64 ret = hypercall(c, nr);
    c->gpr[R_AX] = cpu_is64(c) ? (u64)ret : (u32)ret;
    return 0;
}
