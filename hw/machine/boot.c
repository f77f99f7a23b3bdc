/* Direct kernel boot: file reading and recognition, the layout of guest memory, what firmware would have left behind
 * (BIOS data area, ACPI tables, memory map). Main thread, called by hw/machine/pc.c; each format has a file of its own
 * (boot_linux.c, boot_elf.c, boot_multiboot.c, boot_multiboot2.c). */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/machine/boot_image.h"
#include "hw/machine/smbios.h"
#include "mmu/dma.h"

enum { PROBE_BYTES = 64 * 1024, SECTOR = 512 };

/* -- files ---------------------------------------------------------------------------------------------------------- */

/* Reads at most `max` bytes. */
static int file_read_head(const char *option, const char *path, u64 max, struct file *f, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int r = -1;

    *f = (struct file){ NULL, 0 };
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_set(e, "%s: cannot open '%s': %s", option, path, g_strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        err_set(e, "%s: '%s' is a directory", option, path);
    } else if (!S_ISREG(st.st_mode) && !(S_ISBLK(st.st_mode) && max == PROBE_BYTES)) {
        err_set(e, "%s: '%s' is not a regular file", option, path);
    } else if (S_ISREG(st.st_mode) && st.st_size == 0) {
        err_set(e, "%s: '%s' is empty", option, path);
    } else {
        u64 size = S_ISREG(st.st_mode) ? MIN_OF((u64)st.st_size, max) : max;
        f->data = g_try_malloc(size);
        ssize_t n = f->data ? 1 : -1;
        if (!f->data)
            errno = ENOMEM;
        while (n > 0 && f->len < size) {
            n = read(fd, f->data + f->len, size - f->len);
            if (n < 0 && errno == EINTR)
                n = 1;
            else if (n > 0)
                f->len += n;
        }
        r = n < 0 ? err_set(e, "%s: cannot read '%s': %s", option, path, g_strerror(errno)) : 0;
        if (r == 0 && f->len == 0)
            r = err_set(e, "%s: '%s' is empty", option, path);
    }
    if (r < 0) {
        g_free(f->data);
        f->data = NULL;
    }
    if (fd >= 0)
        close(fd);
    return r;
}

int file_read(const char *option, const char *path, struct file *f, struct err *e)
{
    return file_read_head(option, path, 3 * GiB, f, e); /* more than fits below 4 GiB cannot be loaded anyway */
}

/* Kernel formats in the order in which they are tried; -1 if it is none. */
static int kernel_kind(const struct file *f)
{
    return linux_probe(f)        ? IMAGE_LINUX
           : multiboot_probe(f)  ? IMAGE_MULTIBOOT
           : multiboot2_probe(f) ? IMAGE_MULTIBOOT2
           : pvh_probe(f)        ? IMAGE_PVH
                                 : -1;
}

static int image_kind_of(const char *path, const struct file *f, struct err *e)
{
    int kind = kernel_kind(f);
    bool boot_sector = f->len >= SECTOR && ld16(f->data + 510) == 0xaa55;

    if (kind >= 0 && (kind == IMAGE_LINUX || elf_magic(f) || !boot_sector))
        return kind;
    if (elf_magic(f))
        return err_set(e, "'%s' is an ELF file without a PVH note or multiboot header: not a kernel that can be booted",
                       path);
    if (f->len >= SECTOR)
        return IMAGE_DISK;
    return err_set(e, "'%s' is neither a kernel (bzImage, ELF with PVH note, multiboot) nor a disk image", path);
}

int image_probe(const char *path, enum image_kind *kind, struct err *e)
{
    struct file f;
    int k;

    if ((!strncmp(path, "nbd", 3) && strchr(path, ':')) || !strncmp(path, "json:", 5)) { /* not a file: no kernel */
        *kind = IMAGE_DISK;
        return 0;
    }
    if (file_read_head("image", path, PROBE_BYTES, &f, e) < 0)
        return -1;
    if (elf_magic(&f)) { /* notes can be anywhere in it */
        g_free(f.data);
        if (file_read("image", path, &f, e) < 0)
            return -1;
    }
    k = image_kind_of(path, &f, e);
    g_free(f.data);
    if (k < 0)
        return -1;
    *kind = k;
    return 0;
}

/* -- layout --------------------------------------------------------------------------------------------------------- */

/* The blob that overlaps [gpa, gpa + size), or NULL. */
static const struct blob *boot_overlap(const struct boot *b, u64 gpa, u64 size)
{
    for (unsigned i = 0; i < b->blobs->len; i++) {
        const struct blob *o = &g_array_index(b->blobs, struct blob, i);
        if (gpa < o->gpa + o->size && o->gpa < gpa + size)
            return o;
    }
    return NULL;
}

static bool boot_is_ram(const struct boot *b, u64 gpa, u64 size)
{
    u64 end = gpa + size;

    if (end < gpa || end > b->ram.low)
        return false;
    return end <= 0xa0000 || gpa >= 0xc0000;
}

int boot_place(struct boot *b, const char *what, u64 gpa, u8 *data, u64 len, u64 size, struct err *e)
{
    struct blob blob = { what, gpa, size, data, len };
    const struct blob *other;
    int r = 0;

    assert(len <= size);
    if (!boot_is_ram(b, gpa, size))
        r = err_set(e, "%s: '%s': %s at 0x%llx, %llu KiB, does not fit in RAM (-m)", b->option, b->path, what,
                    (unsigned long long)gpa, (unsigned long long)((size + 1023) / 1024));
    else if ((other = boot_overlap(b, gpa, size)))
        r = err_set(e, "%s: '%s': %s at 0x%llx overlaps the %s at 0x%llx", b->option, b->path, what,
                    (unsigned long long)gpa, other->what, (unsigned long long)other->gpa);
    if (r < 0)
        g_free(data);
    else if (size)
        g_array_append_val(b->blobs, blob);
    return r;
}

int boot_place_below(struct boot *b, const char *what, u64 limit, u64 align, u8 *data, u64 len, u64 size, u64 *gpa,
                     struct err *e)
{
    u64 end = MIN_OF(limit, b->ram.low);

    while (end >= size) {
        u64 at = ALIGN_DOWN(end - size, align);
        const struct blob *o = boot_overlap(b, at, MAX_OF(size, 1));
        if (!o && boot_is_ram(b, at, size) && (at >= 1 * MiB || limit <= 1 * MiB)) {
            *gpa = at;
            return boot_place(b, what, at, data, len, size, e);
        }
        if (!o)
            break;
        end = o->gpa;
    }
    g_free(data);
    return err_set(e, "%s: the %s, %llu KiB, does not fit in the guest's memory beside the kernel (-m)", b->option, what,
                   (unsigned long long)((size + 1023) / 1024));
}

/* Behind everything placed so far (except what is at the top of RAM): where boot loaders put modules. */
static int boot_place_behind(struct boot *b, const char *what, u8 *data, u64 len, u64 *gpa, struct err *e)
{
    u64 at = 1 * MiB;

    for (unsigned i = 0; i < b->blobs->len; i++) {
        const struct blob *o = &g_array_index(b->blobs, struct blob, i);
        if (o->gpa < b->acpi_base)
            at = MAX_OF(at, o->gpa + o->size);
    }
    *gpa = ALIGN_UP(at, PAGE_SIZE);
    return boot_place(b, what, *gpa, data, len, len, e);
}

int boot_place_table(struct boot *b, const char *what, const void *data, u64 len, u64 *gpa, struct err *e)
{
    return boot_place_below(b, what, BOOT_LOW_LIMIT, 16, g_memdup2(data, len), len, len, gpa, e);
}

int boot_enter_flat(struct boot *b, u64 entry, struct err *e)
{
    static const u64 gdt[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
    u64 at;

    if (boot_place_table(b, "GDT", gdt, sizeof(gdt), &at, e) < 0)
        return -1;
    b->state.mode = 32;
    b->state.rip = entry;
    b->state.gdt_base = at;
    b->state.gdt_limit = sizeof(gdt) - 1;
    b->state.sel_code = BOOT_SEL_CODE;
    b->state.sel_data = BOOT_SEL_DATA;
    return 0;
}

unsigned boot_e820(const struct boot *b, struct e820_entry *out)
{
    unsigned n = 0;

    out[n++] = (struct e820_entry){ 0, BOOT_EBDA, E820_RAM };
    out[n++] = (struct e820_entry){ BOOT_EBDA, 0xa0000 - BOOT_EBDA, E820_RESERVED };
    out[n++] = (struct e820_entry){ 0xf0000, 0x10000, E820_RESERVED };
    out[n++] = (struct e820_entry){ 1 * MiB, b->acpi_base - 1 * MiB, E820_RAM };
    out[n++] = (struct e820_entry){ b->acpi_base, b->ram.low - b->acpi_base, E820_NVS };
    if (b->ram.high)
        out[n++] = (struct e820_entry){ 4 * GiB, b->ram.high, E820_RAM };
    return n;
}

u32 boot_mem_lower(const struct boot *b) { return BOOT_EBDA / KiB; }
u32 boot_mem_upper(const struct boot *b) { return (b->acpi_base - 1 * MiB) / KiB; }

char *boot_command_line(const struct boot *b)
{
    const char *append = b->m->cfg.append;

    return append && *append ? g_strdup_printf("%s %s", b->path, append) : g_strdup(b->path);
}

/* The anchor and behind it the tables, in the BIOS segment, where kernels look for them. */
static int boot_place_smbios(struct boot *b, struct smbios *smbios, struct err *e)
{
    u32 anchor = smbios ? smbios->anchor->len : 0, tables = smbios ? smbios->tables->len : 0;

    if (!smbios)
        return 0;
    if (tables > BOOT_SMBIOS_MAX)
        return err_set(e, "-smbios: the tables have %u bytes; a kernel that is started without firmware can be given %u", tables, BOOT_SMBIOS_MAX);
    smbios_place(smbios, BOOT_SMBIOS_TABLES);
    if (boot_place(b, "SMBIOS anchor", BOOT_SMBIOS, g_memdup2(smbios->anchor->data, anchor), anchor, anchor, e) < 0)
        return -1;
    return boot_place(b, "SMBIOS tables", BOOT_SMBIOS_TABLES, g_memdup2(smbios->tables->data, tables), tables, tables, e);
}

/* What firmware would have left in memory: BIOS data, the RSDP and the ACPI tables. */
static int boot_place_firmware(struct boot *b, struct acpi_tables *acpi, struct err *e)
{
    u32 len = acpi->tables->len;

    b->acpi_base = ALIGN_DOWN(b->ram.low - len, PAGE_SIZE);
    acpi_link(acpi, b->acpi_base, BOOT_RSDP);
    if (boot_place_bios(b, e) < 0 ||
        boot_place(b, "RSDP", BOOT_RSDP, g_memdup2(acpi->rsdp->data, acpi->rsdp->len), acpi->rsdp->len,
                   acpi->rsdp->len, e) < 0)
        return -1;
    return boot_place(b, "ACPI tables", b->acpi_base, g_memdup2(acpi->tables->data, len), len,
                      b->ram.low - b->acpi_base, e);
}

/* -- modules -------------------------------------------------------------------------------------------------------- */

static int boot_module_load(struct boot *b, char *item, GArray *modules, struct err *e)
{
    struct boot_module mod = { .cmdline = item };
    char *path = g_strndup(item, strcspn(item, " "));
    struct file f;
    int r = file_read("-initrd", path, &f, e);

    g_free(path);
    if (r == 0)
        r = boot_place_behind(b, "-initrd module", f.data, f.len, &mod.start, e);
    if (r < 0) {
        g_free(item);
        return -1;
    }
    mod.end = mod.start + f.len;
    g_array_append_val(modules, mod);
    return 0;
}

int boot_modules_load(struct boot *b, GArray *modules, struct err *e)
{
    const char *p = b->m->cfg.initrd;

    while (p && *p) {
        GString *item = g_string_new(NULL);
        for (; *p && (*p != ',' || p[1] == ','); p++) {
            g_string_append_c(item, *p);
            p += *p == ',';
        }
        p += *p == ',';
        if (!item->len)
            g_string_free(item, TRUE);
        else if (boot_module_load(b, g_string_free(item, FALSE), modules, e) < 0)
            return -1;
    }
    return 0;
}

void boot_modules_free(GArray *modules)
{
    for (unsigned i = 0; i < modules->len; i++)
        g_free(g_array_index(modules, struct boot_module, i).cmdline);
    g_array_free(modules, TRUE);
}

/* -- loading -------------------------------------------------------------------------------------------------------- */

static int boot_load_kernel(struct boot *b, struct acpi_tables *acpi, struct err *e)
{
    struct file f;
    int r;

    if (file_read(b->option, b->path, &f, e) < 0)
        return -1;
    switch (kernel_kind(&f)) {
    case IMAGE_LINUX:
        r = linux_load(b, &f, e);
        break;
    case IMAGE_MULTIBOOT:
        r = multiboot_load(b, &f, e);
        break;
    case IMAGE_MULTIBOOT2:
        r = multiboot2_load(b, &f, acpi, e);
        break;
    case IMAGE_PVH:
        r = pvh_load(b, &f, e);
        break;
    default:
        r = elf_magic(&f) ? err_set(e, "%s: '%s' is a damaged ELF file, or one without a PVH note or multiboot header",
                                    b->option, b->path)
                          : err_set(e, "%s: '%s' is not a kernel: no bzImage, ELF with PVH note or multiboot header",
                                    b->option, b->path);
    }
    g_free(f.data);
    return r;
}

struct boot *boot_load(struct machine *m, const char *option, const char *path, const struct boot_ram *ram,
                       struct acpi_tables *acpi, struct smbios *smbios, struct err *e)
{
    struct boot *b = g_new0(struct boot, 1);

    b->m = m;
    b->option = option;
    b->path = path;
    b->ram = *ram;
    b->blobs = g_array_new(FALSE, FALSE, sizeof(struct blob));
    if (ram->low < 2 * MiB) {
        err_set(e, "-m: direct kernel boot needs at least 2 MiB of memory");
    } else if (boot_place_firmware(b, acpi, e) == 0 && boot_place_smbios(b, smbios, e) == 0 && boot_load_kernel(b, acpi, e) == 0) {
        return b;
    }
    boot_free(b);
    return NULL;
}

static void blob_write(struct machine *m, const struct blob *o)
{
    static const u8 zeros[64 * 1024];

    dma_write_rom(m->mem, o->gpa, o->data, o->len);
    for (u64 at = o->len; at < o->size; at += sizeof(zeros))
        dma_write_rom(m->mem, o->gpa + at, zeros, MIN_OF(sizeof(zeros), o->size - at));
}

void boot_install(struct boot *b)
{
    for (unsigned i = 0; i < b->blobs->len; i++)
        blob_write(b->m, &g_array_index(b->blobs, struct blob, i));
    b->m->boot = b->state;
}

void boot_wake(struct boot *b)
{
    u8 vector[4] = { 0 };

    dma_read(b->m->mem, b->acpi_base + ACPI_FACS_WAKING_VECTOR, vector, sizeof(vector));
    b->m->boot = (struct boot_state){ .mode = 16, .cs = (u16)(ld32(vector) >> 4), .rip = ld32(vector) & 15 };
}

void boot_free(struct boot *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < b->blobs->len; i++)
        g_free(g_array_index(b->blobs, struct blob, i).data);
    g_array_free(b->blobs, TRUE);
    g_free(b);
}
