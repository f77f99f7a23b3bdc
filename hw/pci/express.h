/* Registers of the PCI Express capability, as offsets from its start, for ports. PCI Express Base Specification 3.0, section 7.8. */
#ifndef HW_PCI_EXPRESS_H
#define HW_PCI_EXPRESS_H
#include "hw/pci/pci.h"

enum {
    PCI_EXP_FLAGS = 0x02,
    PCI_EXP_DEVCAP = 0x04,
    PCI_EXP_DEVCTL = 0x08,
    PCI_EXP_DEVSTA = 0x0a,
    PCI_EXP_LNKCAP = 0x0c,
    PCI_EXP_LNKCTL = 0x10,
    PCI_EXP_LNKSTA = 0x12,
    PCI_EXP_SLTCAP = 0x14,
    PCI_EXP_SLTCTL = 0x18,
    PCI_EXP_SLTSTA = 0x1a,
    PCI_EXP_RTCTL = 0x1c,
    PCI_EXP_RTSTA = 0x20,
    PCI_EXP_LNKCTL2 = 0x30,
    PCI_EXP_SIZE = 0x3c,
};
enum { PCI_EXP_FLAGS_SLOT = 0x100 };

#endif
