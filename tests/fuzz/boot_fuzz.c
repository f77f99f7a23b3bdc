/* Fuzz target: image files: recognition of a bare IMAGE, -kernel in each format (bzImage, ELF with PVH note, multiboot 1 and 2) with modules, -bios.
 * Each file is either refused with one line, or loaded and written to guest memory, and then the entry state makes sense. */
#include "tests/fuzz/fuzz.h"
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/backend/drive.h"
#include "hw/core/machine.h"
#include "hw/machine/acpi.h"
#include "hw/machine/boot.h"
#include "hw/machine/rom.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"

enum { RAM_SIZE = 8 * 1024 * 1024 };

static struct machine m;
static struct region ram_region;
static int fd;
static char path[40];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e;
    lock_init(&m.lock, "machine", RANK_MACHINE);
    region_init_container(&m.mem_root, "memory", BIT64(52));
    m.ram = ram_new("ram", RAM_SIZE, &e);
    g_assert_nonnull(m.ram);
    region_init_ram(&ram_region, "ram", m.ram, 0, RAM_SIZE);
    region_add(&m.mem_root, 0, &ram_region, 0);
    m.mem = aspace_new("memory", &m.mem_root);
    m.cfg = (struct machine_config){ .cpus = 1, .ram_size = RAM_SIZE, .append = "console=ttyS0" };
    fd = memfd_create("image", MFD_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return 0;
}

static void check_refusal(const struct err *e)
{
    g_assert_cmpuint(strlen(e->msg), >, 0);
    g_assert_null(strchr(e->msg, '\n'));
}

static void try_kernel(const char *initrd)
{
    struct acpi_config ac = { .cpus = 1, .pci_mem_start = 0xc0000000, .pm_base = 0x600 };
    struct boot_ram ram = { .low = RAM_SIZE };
    struct acpi_tables *acpi = acpi_build(&ac);
    struct err e = { "" };
    m.cfg.initrd = initrd;
    struct boot *b = boot_load(&m, "-kernel", path, &ram, acpi, NULL, &e);
    if (!b)
        check_refusal(&e);
    for (unsigned i = 0; b && i < 2; i++) {
        boot_install(b);
        g_assert_cmpint(m.boot.mode, ==, 32);
        g_assert_cmpuint(m.boot.gdt_base, <, RAM_SIZE);
        g_assert_cmphex(ld64(m.ram->host + m.boot.gdt_base + m.boot.sel_code) >> 40 & 0x9f, ==, 0x9b);
    }
    boot_free(b);
    acpi_free(acpi);
}

static void try_rom(void)
{
    struct err e = { "" };
    struct rom *r;
    if (rom_load(&m, path, &r, &e) < 0)
        check_refusal(&e);
    rom_free(r);
}

/* A bare IMAGE that is no kernel: a disk, or a CD-ROM. qcow2 images, which can name other files, are qcow2_fuzz's. */
static void try_image(const u8 *data, size_t len)
{
    bool qcow2 = len >= 4 && !memcmp(data, "QFI\xfb", 4);
    enum image_kind kind;
    struct err e = { "" };
    if (image_probe(path, &kind, &e) < 0 || (kind == IMAGE_DISK && !qcow2 && drive_add_image(path, &e) < 0))
        check_refusal(&e);
    drives_free();
    blk_close_all();
}

/* The first byte: what the file is taken for. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static char modules[100];
    if (!size)
        return 0;
    size_t len = size - 1;
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, data + 1, len, 0), ==, (ssize_t)len);
    if (data[0] & 4) /* a ROM's size is checked first */
        g_assert_cmpint(ftruncate(fd, 65536), ==, 0);
    snprintf(modules, sizeof(modules), "%s a b,%s", path, path);
    lock_acquire(&m.lock);
    switch (data[0] & 3) {
    case 0: try_image(data + 1, len); break;
    case 1: try_kernel(NULL); break;
    case 2: try_kernel(data[0] & 8 ? modules : path); break;
    default: try_rom(); break;
    }
    lock_release(&m.lock);
    return 0;
}
