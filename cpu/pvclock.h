/* KVM's paravirtual clock: a page in guest RAM that turns TSC values into time. vCPU thread. Source: the published KVM MSR interface. */
#ifndef CPU_PVCLOCK_H
#define CPU_PVCLOCK_H
#include "cpu/cpu.h"

/* Rewrites this CPU's time record, if the guest asked for one; after anything changed the relation of TSC and time. */
void pvclock_update(struct cpu *c);
/* Writes the wall-clock time at which system time was 0 to guest physical address gpa. */
void pvclock_write_wall(struct cpu *c, gpa_t gpa);

#endif
