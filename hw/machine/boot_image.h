/* Shared by the loaders of direct kernel boot: the layout under construction and the file formats' entry points. Main
 * thread only. */
#ifndef HW_MACHINE_BOOT_IMAGE_H
#define HW_MACHINE_BOOT_IMAGE_H
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/machine/acpi.h"
#include "hw/machine/boot.h"

#define BOOT_EBDA 0x9fc00ull     /* conventional memory ends here */
#define BOOT_LOW_LIMIT 0x9f000ull /* tables for the kernel are placed below */
#define BOOT_RSDP 0xf5000ull
#define BOOT_SMBIOS 0xf5100ull
#define BOOT_SMBIOS_TABLES 0xf6000ull
#define BOOT_SMBIOS_MAX 0x8000u
#define BOOT_LOADER_NAME "gemel"
#define BOOT_SEL_CODE 0x10
#define BOOT_SEL_DATA 0x18

/* A piece of guest memory that is written at each reset: len bytes of data, then zeros up to size. */
struct blob {
    const char *what; /* for messages; static */
    u64 gpa, size;
    u8 *data;         /* owned */
    u64 len;
};

struct boot {
    struct machine *m;
    const char *option, *path;   /* of the kernel */
    struct boot_ram ram;
    u64 acpi_base;               /* ACPI tables: [acpi_base, ram.low) */
    GArray *blobs;               /* struct blob */
    struct boot_state state;
};

#define BOOT_E820_MAX 8

/* A file's contents, owned by the holder of `data`. */
struct file {
    u8 *data;
    u64 len;
};

/* Reads a whole file; an empty one is an error. `option` names it in messages. */
int file_read(const char *option, const char *path, struct file *f, struct err *e);

/* Takes over `data` (also on failure) and reserves [gpa, gpa + size): an error if that is not RAM or overlaps. */
int boot_place(struct boot *b, const char *what, u64 gpa, u8 *data, u64 len, u64 size, struct err *e);
/* As boot_place, at the highest free address, a multiple of align, that ends at or below limit. */
int boot_place_below(struct boot *b, const char *what, u64 limit, u64 align, u8 *data, u64 len, u64 size, u64 *gpa,
                     struct err *e);
/* Copies into the tables' area below 640 KiB. */
int boot_place_table(struct boot *b, const char *what, const void *data, u64 len, u64 *gpa, struct err *e);
/* Sets 32-bit flat protected mode at entry with a GDT of our own. */
int boot_enter_flat(struct boot *b, u64 entry, struct err *e);
/* Interrupt vectors, BIOS data areas and services that say "not supported": boot_bios.c. */
int boot_place_bios(struct boot *b, struct err *e);
/* What the kernel may use; returns the number of entries (at most BOOT_E820_MAX). */
unsigned boot_e820(const struct boot *b, struct e820_entry *out);
/* Addresses usable by the kernel below 1 MiB and from 1 MiB up, in KiB, as the BIOS reports them. */
u32 boot_mem_lower(const struct boot *b);
u32 boot_mem_upper(const struct boot *b);
/* "PATH APPEND": the command line that multiboot kernels get. Owned by the caller. */
char *boot_command_line(const struct boot *b);

/* -initrd of the multiboot formats: "FILE ARGS,FILE2 ARGS" with ",," for a comma. */
struct boot_module {
    u64 start, end;
    char *cmdline;
};
int boot_modules_load(struct boot *b, GArray *modules, struct err *e);
void boot_modules_free(GArray *modules);

/* hw/machine/boot_elf.c */
struct elf_segment {
    u64 gpa, filesz, memsz, off;
};
struct elf {
    bool is64;
    u64 entry;        /* physical: translated through the segment that holds it where it is a virtual address */
    u64 pvh_entry;
    bool has_pvh;
    unsigned n;
    struct elf_segment seg[64];
};
bool elf_magic(const struct file *f);
int elf_parse(const struct boot *b, const struct file *f, struct elf *elf, struct err *e);
int elf_place(struct boot *b, const struct file *f, const struct elf *elf, struct err *e);
int pvh_load(struct boot *b, const struct file *f, struct err *e);
bool pvh_probe(const struct file *f);

/* hw/machine/boot_linux.c */
bool linux_probe(const struct file *f);
int linux_load(struct boot *b, struct file *f, struct err *e);

/* hw/machine/boot_multiboot.c, boot_multiboot2.c: f is the file or its beginning */
bool multiboot_probe(const struct file *f);
int multiboot_load(struct boot *b, const struct file *f, struct err *e);
bool multiboot2_probe(const struct file *f);
int multiboot2_load(struct boot *b, const struct file *f, struct acpi_tables *acpi, struct err *e);

#endif
