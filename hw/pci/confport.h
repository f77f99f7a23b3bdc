/* Configuration ports 0xcf8 and 0xcfc of a PC's host bridge. Embedded in it; machine lock. */
#ifndef HW_PCI_CONFPORT_H
#define HW_PCI_CONFPORT_H
#include "hw/pci/pci.h"

struct pci_confport {
    u32 addr; /* CONFADD: saved, and cleared by reset, by the owner */
    struct machine *m;
    struct region addr_ports, data_ports;
};

void pci_confport_init(struct pci_confport *p, struct machine *m);
void pci_confport_fini(struct pci_confport *p);

#endif
