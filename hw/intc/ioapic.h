/* The I/O APIC: how the machine wires it and how the local APICs' EOI messages reach it. Machine lock held. */
#ifndef HW_INTC_IOAPIC_H
#define HW_INTC_IOAPIC_H
#include "hw/core/device.h"

#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24

/* Maps the registers at IOAPIC_BASE; messages leave through m->msi (so the APIC bus must exist before the first
 * interrupt, not before this call). */
struct device *ioapic_new(struct machine *m, struct err *e);
struct irq_line ioapic_line(struct device *d, unsigned pin);
/* EOI broadcast for a level-triggered vector: clears remote IRR and sends again where the line is still up. */
void ioapic_eoi(struct device *d, u8 vector);

#endif
