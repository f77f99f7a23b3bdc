/* Inside of the PCI core: what pci.c, bus.c, dma.c, msi.c, msix.c and rom.c share. Machine lock. */
#ifndef HW_PCI_PCI_PRIV_H
#define HW_PCI_PCI_PRIV_H
#include "hw/pci/pci.h"

/* bus.c. The devfn that d gets, or -1 with e set. */
int pci_slot_choose(struct pci_bus *b, struct pci_device *d, struct err *e);
int pci_multifunction_check(const struct pci_bus *b, const struct pci_device *d, int devfn, struct err *e);
/* The root's PIRQ that d's pin is wired to. */
int pci_pirq_of(const struct pci_device *d);
/* Counts d's pin in or out where it is wired to. */
void pci_intx_drive(struct pci_device *d, bool level);

/* rom.c. The ROM's BAR, if romfile= names one that is there. */
int pci_rom_init(struct pci_device *d, struct err *e);

/* dma.c. Puts a new function into the IOMMU's hands, or takes it out. */
void pci_dma_attach(struct pci_device *d);
void pci_dma_detach(struct pci_device *d);
/* Sends an interrupt message, if the function may. */
void pci_message(struct pci_device *d, u64 addr, u32 data);

/* msix.c */
void pci_msix_config_changed(struct pci_device *d, unsigned reg, unsigned len);
void pci_msix_reset(struct pci_device *d);
void pci_msix_fini(struct pci_device *d);

static inline bool pci_overlaps(unsigned reg, unsigned len, unsigned at, unsigned size)
{
    return reg < at + size && at < reg + len;
}

#endif
