/* What the PC tells firmware and directly booted kernels about itself: CMOS, firmware configuration items, ACPI and SMBIOS tables, boot order.
 * Main thread, machine lock held. */
#ifndef HW_MACHINE_PC_FIRMWARE_H
#define HW_MACHINE_PC_FIRMWARE_H
#include "hw/machine/pc_board.h"

#define PCI_MEM64_END (1ull << 39) /* the window above RAM ends where the smallest physical address space of a 64-bit CPU model does */
#define PC_COM_PORTS 4

/* When all devices are there. Loads the kernel of a direct boot. */
int pc_add_tables(struct machine *m, struct pc *pc, struct err *e);
/* At each reset: -boot once= holds only until the second. */
void pc_reset_boot_order(struct machine *m, struct pc *pc);
const char *pc_firmware_file(const struct machine *m, unsigned n, u32 *len);
/* From now on, instead of what -boot says. */
void pc_set_boot_order(struct machine *m, const char *order);
u64 pc_pci64_start(const struct pc *pc);

#endif
