/* The ACPI tables of the PC: built once, then given to firmware through fw_cfg with a linker script, or placed in guest
 * memory by direct boot. Main thread. */
#ifndef HW_MACHINE_ACPI_H
#define HW_MACHINE_ACPI_H
#include <glib.h>
#include "util/base.h"

/* Names of the parts, as firmware knows them. */
#define ACPI_TABLES_FILE "etc/acpi/tables"
#define ACPI_RSDP_FILE "etc/acpi/rsdp"
#define ACPI_LOADER_FILE "etc/table-loader"
#define ACPI_ALIGN 64
#define ACPI_FACS_WAKING_VECTOR 12 /* the FACS comes first in the tables */

#define ACPI_VIRTIO_MMIO_MAX 32

struct acpi_config {
    unsigned cpus;
    u32 pci_mem_start;     /* the PCI memory window below the I/O APIC */
    u64 pci64_start, pci64_end; /* one above 4 GiB, end exclusive; both 0: none */
    u16 pm_base;
    bool q35;              /* else 440FX and PIIX */
    u64 ecam, ecam_size;   /* Q35: the window of PCI Express configuration space, in the PCI memory window or behind its start */
    bool com[4];           /* which serial ports exist */
    bool floppy;           /* a floppy controller with a drive */
    bool hpet;
    u32 hotplug_slots;     /* bit n: slot n of the root bus has hot plug by ACPI; 0: nothing has */
    u16 pvpanic_port;      /* 0: there is none */
    struct { u32 addr, gsi; } virtio_mmio[ACPI_VIRTIO_MMIO_MAX]; /* memory-mapped virtio transports */
    unsigned n_virtio_mmio;
    u64 iommu;             /* registers of the DMA remapping hardware; 0: there is none */
    u8 iommu_bits;         /* its host address width */
    bool intremap, x2apic_opt_out; /* flags of the DMAR table */
};

/* tables: FACS, DSDT, FADT, MADT, HPET, MCFG, DMAR, RSDT, XSDT; their length does not depend on addresses; whose pointers are offsets into `tables` until linked. loader: the
 * commands (fw_cfg linker/loader format) that place both parts, relocate pointers and fill in checksums. */
struct acpi_tables {
    GByteArray *tables, *rsdp, *loader;
};

struct acpi_tables *acpi_build(const struct acpi_config *c);
void acpi_free(struct acpi_tables *t);
/* Runs the linker script here, for tables placed at the given addresses (what firmware does otherwise). */
void acpi_link(struct acpi_tables *t, u32 tables_gpa, u32 rsdp_gpa);
/* The body of the DSDT, without header. */
void acpi_dsdt_build(const struct acpi_config *c, GByteArray *out);

#endif
