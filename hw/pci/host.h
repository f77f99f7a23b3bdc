/* The 440FX/PIIX chipset's PCI functions: host bridge, ISA bridge and power management. Machine lock held. */
#ifndef HW_PCI_HOST_H
#define HW_PCI_HOST_H
#include "hw/pci/pci.h"
#include "hw/pci/shadow.h"

struct ram_block;

#define PIIX4_PM_BASE 0x600        /* where firmware, ours included, puts the PM I/O block */

/* Host bridge at 00.0: ports 0xcf8 and 0xcfc, shadow RAM over ram[0xc0000, 1 MiB) switched by PAM0..6, and SMRAM.
 * `rom` is what lies behind the shadow RAM at 0xe0000: its last 128 KiB, or NULL for nothing. */
struct device *i440fx_new(struct machine *m, struct ram_block *ram, struct ram_block *rom, struct err *e);
/* Leaves the PAM registers as firmware does when it is done: all shadow RAM readable and writable. */
void i440fx_shadow_open(struct device *d);

/* ISA bridge at 01.0: routes PIRQA..D to copies of m->gsi[0..15]. */
struct device *piix3_new(struct machine *m, struct err *e);
/* The SCI input; shares IRQ 9 with whatever is routed there. */
struct irq_line piix3_sci_line(struct device *d);
/* Routes a PIRQ as firmware does; 0x80: not routed. */
void piix3_route(struct device *d, int pirq, u8 irq);

/* Power management function at 01.3: PMBASE and the enable bit place `pm`'s I/O block. */
struct device *piix4_pm_new(struct machine *m, struct device *pm, struct err *e);
/* Places and enables the block at `base`. */
void piix4_pm_set_base(struct device *d, u16 base);

#endif
