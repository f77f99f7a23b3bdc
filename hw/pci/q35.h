/* The Q35 chipset's PCI functions: memory controller hub, ICH9 LPC bridge. Machine lock held. */
#ifndef HW_PCI_Q35_H
#define HW_PCI_Q35_H
#include "hw/pci/pci.h"

struct ram_block;

#define Q35_ECAM_BASE 0xb0000000u /* where firmware, ours included, puts the configuration space window */
#define Q35_ECAM_SIZE (256 * MiB)
#define ICH9_PM_BASE 0x600
#define ICH9_RCBA_BASE 0xfed1c000u

/* Host bridge at 00.0: configuration ports, PCIEXBAR, shadow RAM, SMRAM; ram and rom as for i440fx_new. */
struct device *mch_new(struct machine *m, struct ram_block *ram, struct ram_block *rom, struct err *e);
/* Leaves it as firmware does: shadow RAM open, the configuration space window on. */
void mch_setup(struct device *d);
/* The configuration space window: 0 if it is off. Its size: 256, 128 or 64 MiB. */
u64 mch_ecam(const struct device *d, u64 *size);

/* ISA bridge at 1f.0: routes PIRQA..H to copies of m->gsi, places the PM block. */
struct device *ich9_lpc_new(struct machine *m, struct err *e);
struct irq_line ich9_lpc_sci_line(struct device *d);
/* The ICH9 PM block that PMBASE and ACPI_CNTL place; makes the TCO timer, which lies in it. */
int ich9_lpc_set_pm(struct device *d, struct device *pm, struct err *e);
/* Leaves it as firmware does: PIRQs routed (pirq_irq[8]), PM block at ICH9_PM_BASE, RCBA on. */
void ich9_lpc_setup(struct device *d, const u8 *pirq_irq);

#endif
