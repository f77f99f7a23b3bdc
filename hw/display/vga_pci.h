/* The VGA as a PCI function, for the file that sets its text mode. Machine lock held. */
#ifndef HW_DISPLAY_VGA_PCI_H
#define HW_DISPLAY_VGA_PCI_H
#include "hw/pci/pci.h"

struct vga;

extern const struct dev_class vga_pci_class;
struct vga *vga_pci_core(struct device *d);

#endif
