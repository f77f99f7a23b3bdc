/* The pair of 8259A interrupt controllers of a PC: how the machine wires it and how an INTA cycle reaches it.
 * Machine lock held by every caller. */
#ifndef HW_INTC_PIC_H
#define HW_INTC_PIC_H
#include "hw/core/device.h"

/* Ports 0x20, 0xa0 and the edge/level registers 0x4d0, 0x4d1. `out` is the master's INT pin (to the LINT0 pins). */
struct device *pic_new(struct machine *m, struct irq_line out, struct err *e);
/* Input pin of ISA IRQ irq (0..15, 2 is the cascade and must not be driven). */
struct irq_line pic_line(struct device *d, unsigned irq);
/* INTA cycle: the vector to deliver; the spurious vector (IR7) if nothing is pending. */
u8 pic_inta(struct device *d);
/* Level of the INT pin. */
bool pic_has_intr(struct device *d);

#endif
