/* Direct kernel boot without firmware: recognises images, lays out guest memory as a boot loader would and describes the
 * first instruction's register state. Main thread, while the machine is built and at each reset. */
#ifndef HW_MACHINE_BOOT_H
#define HW_MACHINE_BOOT_H
#include "util/base.h"
#include "util/err.h"

struct machine;
struct acpi_tables;
struct smbios;
struct boot;

enum image_kind {
    IMAGE_LINUX,      /* bzImage */
    IMAGE_PVH,        /* ELF with a PVH entry note */
    IMAGE_MULTIBOOT,
    IMAGE_MULTIBOOT2,
    IMAGE_DISK,
};

/* One range of the memory map, as firmware and kernels pass it on. */
enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_NVS = 4 };
struct e820_entry {
    u64 addr, len;
    u32 type;
} __attribute__((packed));

/* Says what the file of a bare IMAGE argument is. 0, or -1 with e set: unreadable, or nothing that can be started. */
int image_probe(const char *path, enum image_kind *kind, struct err *e);

struct boot_ram {
    u64 low;   /* RAM from 0 up to here, below the PCI hole */
    u64 high;  /* bytes of RAM from 4 GiB up */
};

/* Reads the kernel of m->cfg (`path`, named `option` in messages) with -initrd and -append and decides where everything
 * goes. The ACPI tables are linked for their place at the top of low RAM, those of SMBIOS (may be NULL) for one below 1 MiB. NULL with e set on error. */
struct boot *boot_load(struct machine *m, const char *option, const char *path, const struct boot_ram *ram,
                       struct acpi_tables *acpi, struct smbios *smbios, struct err *e);
/* Writes all of it into guest memory and sets m->boot: at start-up and at each reset. */
void boot_install(struct boot *b);
/* After S3, in place of boot_install: sets m->boot to the waking vector that the guest left in the FACS. */
void boot_wake(struct boot *b);
void boot_free(struct boot *b);

#endif
