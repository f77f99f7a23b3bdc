/* PCI-to-PCI bridges: type 1 header, secondary bus, windows. For devices that are bridges; machine lock. */
#ifndef HW_PCI_BRIDGE_H
#define HW_PCI_BRIDGE_H
#include "hw/pci/pci.h"

enum { /* type 1 header */
    PCI_IO_BASE = 0x1c,
    PCI_IO_LIMIT = 0x1d,
    PCI_SECONDARY_STATUS = 0x1e,
    PCI_MEMORY_BASE = 0x20,
    PCI_MEMORY_LIMIT = 0x22,
    PCI_PREF_BASE = 0x24,
    PCI_PREF_LIMIT = 0x26,
    PCI_PREF_BASE_UPPER = 0x28,
    PCI_PREF_LIMIT_UPPER = 0x2c,
    PCI_BRIDGE_CONTROL = 0x3e,
};

/* FIRST member of a bridge's state struct. */
struct pci_bridge {
    struct pci_device pci;
    struct pci_bus sec;
    struct region io_window, mem_window, pref_window;
    u8 control; /* PCI_BRIDGE_CONTROL's low byte as of the last change */
};

/* In place of pci_attach and pci_detach. express: what is below is a link with one slot. ops: hot plug below, or NULL. */
int pci_bridge_attach(struct pci_bridge *b, const struct pci_id *id, bool express, const struct bus_ops *ops, struct err *e);
void pci_bridge_detach(struct pci_bridge *b);
/* From the bridge's pci_ops.config_changed, which it must have. */
void pci_bridge_config_changed(struct pci_device *d, unsigned reg, unsigned len);

#define PCI_BRIDGE_PROPS \
    { "addr", PROP_STR, offsetof(struct pci_device, addr), 0, NULL, "slot[.function], hexadecimal" }, \
    { "multifunction", PROP_BOOL, offsetof(struct pci_device, multifunction), 0, NULL, "one of several functions of its slot" }

#endif
