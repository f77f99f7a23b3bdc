/* Hot plug of PCI devices on the root bus of the machine "pc" by ACPI. Machine lock held. */
#ifndef HW_MACHINE_ACPI_HOTPLUG_H
#define HW_MACHINE_ACPI_HOTPLUG_H
#include "hw/core/device.h"

#define ACPI_HOTPLUG_PORT 0xae00
#define ACPI_HOTPLUG_PORTS 0x18
#define ACPI_HOTPLUG_GPE 1

/* The bus's ops, for pci_root_new; they find the controller by m->pci. */
extern const struct bus_ops acpi_hotplug_bus_ops;
/* gpe: general-purpose event ACPI_HOTPLUG_GPE. Serves m->pci. */
struct device *acpi_hotplug_new(struct machine *m, struct irq_line gpe, struct err *e);
/* At a system reset, when every device was reset: what the guest was asked to give up is gone now. */
void acpi_hotplug_reset(struct device *d);
/* Bit n: slot n of the root bus holds nothing, or a device of -device or device_add: what the DSDT offers to eject. */
u32 acpi_hotplug_slots(const struct machine *m);

#endif
