/* Inside of the PC machines: the board that pc.c builds and the chipset (pc_piix.c, pc_q35.c) that makes the difference. Main thread, machine
 * lock held. */
#ifndef HW_MACHINE_PC_BOARD_H
#define HW_MACHINE_PC_BOARD_H
#include "hw/core/machine.h"
#include "hw/intc/ioapic.h"
#include "hw/machine/acpi.h"
#include "hw/machine/boot.h"
#include "hw/pci/pci.h"

struct pc_chipset;
struct smbios;

enum { A20_FROM_I8042, A20_FROM_PORT92, A20_SOURCES };

/* Board state. Owner: the machine lock. */
struct pc {
    const struct pc_chipset *chipset;
    struct boot_ram ram;
    struct region ram_low, ram_mid, ram_high; /* [0, 640K), [1M, hole), [4G, ...) */
    struct rom *rom;                          /* NULL with direct boot */
    struct device *bus, *pic, *ioapic, *pm, *rtc;
    struct device *host, *isa;                /* host bridge, ISA bridge */
    struct device *ide, *pm_function, *hotplug; /* those the chipset has */
    struct irq_line pic_in[16], ioapic_in[IOAPIC_PINS], rtc_irq;
    u8 a20_in[A20_SOURCES];
    struct region ferr;
    const char *kernel_option, *kernel;       /* what direct boot starts, or NULL */
    struct acpi_tables *acpi;
    struct smbios *smbios;
    bool started;                             /* it was reset once */
    bool boot_order_set;                      /* by pc_set_boot_order: it stays in CMOS */
    struct boot *boot;
};

struct pc_chipset {
    const char *product, *version; /* for SMBIOS */
    const char *display_addr; /* of the adapter that -vga asks for */
    const char *usb_class, *usb_addr; /* of the controller that -usb asks for; NULL: there is none */
    /* How much of so much RAM lies below the PCI hole. */
    u64 (*low_ram)(u64 size);
    /* Makes m->pci, the bridges, pc->pm and the disk controllers. 0, or -1 with e set. */
    int (*add)(struct machine *m, struct pc *pc, struct err *e);
    /* Direct boot: leaves the chipset as firmware does, but for BARs, which go into w. pirq_irq: where PIRQA..H are routed. */
    void (*setup)(struct machine *m, struct pc *pc, const u8 *pirq_irq, struct pci_windows *w);
    /* What the ACPI tables say of it, as its registers are now. */
    void (*describe)(const struct pc *pc, struct acpi_config *c);
};
extern const struct pc_chipset piix_chipset, q35_chipset;

#endif
