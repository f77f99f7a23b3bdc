/* Local APICs and the APIC bus that carries their messages. The bus and one lapic for each CPU are made by the machine
 * under the machine lock; the functions of lapic_ops are called by vCPU threads without it and take it themselves. */
#ifndef HW_INTC_LAPIC_H
#define HW_INTC_LAPIC_H
#include "hw/core/device.h"

#define LAPIC_BASE 0xfee00000ull
#define LAPIC_BUS_HZ 1000000000u /* what the timers count: ns of the VM clock, before their divisor */

/* Makes the APIC bus and m->cfg.cpus local APICs (APIC ID = CPU number); fills in m->lapic[], m->lapic_ops and m->msi.
 * Returns the bus. */
struct device *apic_bus_new(struct machine *m, struct err *e);
/* Where ExtINT acknowledge cycles and EOI broadcasts go; pic and ioapic may be NULL. */
void apic_bus_connect(struct device *bus, struct device *pic, struct device *ioapic);
/* Pins LINT0 (lint 0; the 8259's INT) and LINT1 (lint 1; NMI sources) of all CPUs at once. */
struct irq_line apic_bus_lint(struct device *bus, unsigned lint);

extern const struct lapic_ops lapic_ops;
/* The 4 KiB register page of one CPU: `lapic` is m->lapic[cpu], off 0..0xfff. vCPU thread of that CPU, no lock held. */
u64 lapic_mmio_read(void *lapic, u64 off, unsigned size);
void lapic_mmio_write(void *lapic, u64 off, u64 val, unsigned size);

#endif
