/* What a CPU asks of its machine. Implemented by accel/vcpu.c; called on the vCPU's thread with no lock held. */
#ifndef CPU_PLATFORM_H
#define CPU_PLATFORM_H
#include "util/base.h"

struct cpu;
struct cpu_platform {
    u64 (*port_read)(struct cpu *c, u16 port, unsigned size);
    void (*port_write)(struct cpu *c, u16 port, u64 val, unsigned size);
    /* n elements of size bytes at one port, to or from buf; how many were moved, the rest goes through the two above. Optional. */
    u32 (*port_string)(struct cpu *c, u16 port, unsigned size, void *buf, u32 n, bool write);
    u64 (*tsc)(struct cpu *c);                    /* platform TSC ticks, without the guest's offset; record/replay door */
    u64 (*real_ns)(struct cpu *c);                /* ns since the machine was made, also while it is stopped; record/replay door */
    u64 (*wall_ns)(struct cpu *c);                /* host wall-clock time, ns since 1970, for kvmclock; record/replay door */
    u64 (*steal_ns)(struct cpu *c);               /* ns this CPU was ready and the host ran something else; record/replay door */
    /* KVM_HC_KICK_CPU: wakes the CPU with that APIC ID from HLT, or keeps it from its next one. */
    void (*kick)(struct cpu *c, u32 apic_id);
    void (*pmu_timer)(struct cpu *c, u64 tsc);    /* sets c->pmu.fired when the platform TSC gets there, and has the run loop look; one at a time */
    u64 (*random)(struct cpu *c);                 /* RDRAND/RDSEED; record/replay door */
    void (*triple_fault)(struct cpu *c);          /* asks for reset or exit; the vCPU is then parked */
    void (*halt)(struct cpu *c);                  /* HLT was executed: c->halted is set */
    void (*pause)(struct cpu *c);                 /* PAUSE in a spin loop: may yield */
    /* MWAIT: waits until the line at c->monitor_gpa is no longer c->monitor_was, or something is asked of the vCPU; with `masked` interrupts count
     * even if IF is clear. May return early. */
    void (*mwait)(struct cpu *c, bool masked);
    void (*wbinvd)(struct cpu *c);
    void (*mode_changed)(struct cpu *c);          /* after cpu_update_mode found a new mode or CS base: jump-cache key */
    void (*tlb_flushed)(struct cpu *c);           /* after any TLB flush: virtual-PC caches are void */
    void (*ferr)(struct cpu *c);                  /* x87 error with CR0.NE = 0: IRQ 13 */
    int (*ext_msr_read)(struct cpu *c, u32 msr, u64 *val);  /* MSRs the CPU does not know (kvmclock ...): -1 #GP */
    int (*ext_msr_write)(struct cpu *c, u32 msr, u64 val);
};

#endif
