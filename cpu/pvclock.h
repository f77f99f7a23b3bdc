/* KVM's paravirtual clock: a page in guest RAM that turns TSC values into time. vCPU thread. Source: the published KVM MSR interface. */
#ifndef CPU_PVCLOCK_H
#define CPU_PVCLOCK_H
#include "cpu/cpu.h"

/* Rewrites this CPU's time record, if the guest asked for one; after anything changed the relation of TSC and time. */
void pvclock_update(struct cpu *c);
/* Writes the wall-clock time at which system time was 0 to guest physical address gpa. */
void pvclock_write_wall(struct cpu *c, gpa_t gpa);
/* Brings this CPU's record of stolen time up to date, if the guest asked for one: after `now` at once, else if the last time is a while ago. */
void pvclock_steal(struct cpu *c, bool now);

/* The time of the platform's TSC, ns. */
u64 pvclock_system_ns(const struct cpu *c, u64 ticks);

#endif
