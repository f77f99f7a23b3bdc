/* Direct boot of multiboot 2 kernels. Main thread, called by hw/machine/boot.c. Multiboot2 Specification version 2.0,
 * section 3. */
#include "hw/machine/boot_image.h"

enum { MB2_MAGIC = 0xe85250d6u, MB2_ENTRY_EAX = 0x36d76289, MB2_SEARCH = 32768, MB2_HEADER = 16, MB2_ARCH_I386 = 0 };
enum mb2_header_tag { HDR_END, HDR_INFO_REQUEST, HDR_ADDRESS, HDR_ENTRY, HDR_CONSOLE, HDR_FRAMEBUFFER, HDR_MODULE_ALIGN,
                      HDR_EFI_BS, HDR_EFI_ENTRY32, HDR_EFI_ENTRY64, HDR_RELOCATABLE };
enum { HDR_OPTIONAL = 1, CONSOLE_REQUIRED = 1, CONSOLE_TEXT = 2 };
enum mb2_info_tag { INFO_END, INFO_CMDLINE, INFO_LOADER, INFO_MODULE, INFO_MEMORY, INFO_BOOTDEV, INFO_MMAP, INFO_VBE,
                    INFO_FRAMEBUFFER, INFO_ELF, INFO_APM, INFO_EFI32, INFO_EFI64, INFO_SMBIOS, INFO_ACPI_OLD,
                    INFO_ACPI_NEW };

/* What the header asks for. */
struct mb2_request {
    bool flat;      /* address tag */
    u32 header_addr, load, load_end, bss_end;
    bool has_entry; /* entry tag */
    u32 entry;
};

static i64 multiboot2_find(const struct file *f)
{
    for (u64 at = 0; at + MB2_HEADER <= f->len && at + MB2_HEADER <= MB2_SEARCH; at += 8) {
        const u8 *h = f->data + at;
        u32 len = ld32(h + 8);
        if (ld32(h) == MB2_MAGIC && ld32(h) + ld32(h + 4) + len + ld32(h + 12) == 0 && len >= MB2_HEADER &&
            len <= f->len - at)
            return at;
    }
    return -1;
}

bool multiboot2_probe(const struct file *f)
{
    return multiboot2_find(f) >= 0;
}

/* True if every information type that the tag lists is one that multiboot2_info provides. */
static bool multiboot2_can_inform(const u8 *tag, u32 size)
{
    const u32 have = BIT(INFO_CMDLINE) | BIT(INFO_LOADER) | BIT(INFO_MODULE) | BIT(INFO_MEMORY) | BIT(INFO_MMAP) |
                     BIT(INFO_ACPI_OLD) | BIT(INFO_ACPI_NEW);

    for (u32 i = 8; i + 4 <= size; i += 4)
        if (ld32(tag + i) >= 32 || !(have & BIT(ld32(tag + i))))
            return false;
    return true;
}

/* Takes one header tag into rq; false if it is required and not supported. */
static bool multiboot2_tag(struct mb2_request *rq, const u8 *tag, u32 size)
{
    bool optional = ld16(tag + 2) & HDR_OPTIONAL;

    switch (ld16(tag)) {
    case HDR_INFO_REQUEST:
        return optional || multiboot2_can_inform(tag, size);
    case HDR_ADDRESS:
        if (size < 24)
            return false;
        rq->flat = true;
        rq->header_addr = ld32(tag + 8);
        rq->load = ld32(tag + 12);
        rq->load_end = ld32(tag + 16);
        rq->bss_end = ld32(tag + 20);
        return true;
    case HDR_ENTRY:
        if (size < 12)
            return false;
        rq->has_entry = true;
        rq->entry = ld32(tag + 8);
        return true;
    case HDR_CONSOLE: /* there is no text console to promise */
        return optional || size < 12 || !(ld32(tag + 8) & CONSOLE_REQUIRED);
    case HDR_MODULE_ALIGN: /* modules are always page-aligned */
    case HDR_EFI_BS:
    case HDR_EFI_ENTRY32: /* entries for EFI loaders, not for us */
    case HDR_EFI_ENTRY64:
    case HDR_RELOCATABLE: /* we load at the given addresses */
        return true;
    default:
        return optional;
    }
}

static int multiboot2_read_header(const struct boot *b, const struct file *f, u64 at, struct mb2_request *rq, struct err *e)
{
    u64 end = at + ld32(f->data + at + 8);

    if (ld32(f->data + at + 4) != MB2_ARCH_I386)
        return err_set(e, "%s: '%s' is a multiboot2 kernel for another architecture", b->option, b->path);
    for (u64 t = at + MB2_HEADER; t + 8 <= end;) {
        u32 size = ld32(f->data + t + 4);
        if (ld16(f->data + t) == HDR_END)
            return 0;
        if (size < 8 || size > end - t)
            return err_set(e, "%s: '%s' has a damaged multiboot2 header", b->option, b->path);
        if (!multiboot2_tag(rq, f->data + t, size))
            return err_set(e, "%s: '%s' requires multiboot2 feature %u, which is not supported", b->option, b->path,
                           ld16(f->data + t));
        t += ALIGN_UP(size, 8);
    }
    return 0;
}

static int multiboot2_place_kernel(struct boot *b, const struct file *f, u64 at, const struct mb2_request *rq, u64 *entry,
                                   struct err *e)
{
    struct elf elf;

    *entry = rq->entry;
    if (!rq->flat) {
        if (elf_parse(b, f, &elf, e) < 0 || elf_place(b, f, &elf, e) < 0)
            return -1;
        if (!rq->has_entry)
            *entry = elf.entry;
        return 0;
    }
    bool whole = rq->load == 0xffffffff; /* from the file's beginning */
    u32 load = whole ? rq->header_addr - (u32)at : rq->load, before = rq->header_addr - load;
    if (!rq->has_entry || load > rq->header_addr || before > at || (rq->load_end && rq->load_end < load))
        return err_set(e, "%s: '%s' has contradictory addresses in its multiboot2 header", b->option, b->path);
    u64 off = at - before, len = rq->load_end ? rq->load_end - load : f->len - off;
    if (len > f->len - off)
        return err_set(e, "%s: '%s' is truncated: the multiboot2 header promises more bytes than the file has", b->option,
                       b->path);
    u64 size = rq->bss_end > load ? MAX_OF(len, (u64)rq->bss_end - load) : len;
    return boot_place(b, "kernel", load, g_memdup2(f->data + off, len), len, size, e);
}

/* -- boot information ----------------------------------------------------------------------------------------------- */

/* Appends a tag: its header, then head, then body; tags start at multiples of 8. */
static void info_tag(GByteArray *out, u32 type, const void *head, u32 head_len, const void *body, u32 body_len)
{
    static const u8 pad[8];
    u32 h[2] = { type, 8 + head_len + body_len };

    g_byte_array_append(out, (const u8 *)h, sizeof(h));
    if (head_len)
        g_byte_array_append(out, head, head_len);
    if (body_len)
        g_byte_array_append(out, body, body_len);
    g_byte_array_append(out, pad, -out->len & 7);
}

static void info_memory(const struct boot *b, GByteArray *out)
{
    struct { u64 addr, len; u32 type, reserved; } mmap[BOOT_E820_MAX];
    struct e820_entry map[BOOT_E820_MAX];
    unsigned n = boot_e820(b, map);
    u32 basic[2] = { boot_mem_lower(b), boot_mem_upper(b) }, head[2] = { sizeof(mmap[0]), 0 };

    for (unsigned i = 0; i < n; i++) {
        mmap[i].addr = map[i].addr;
        mmap[i].len = map[i].len;
        mmap[i].type = map[i].type;
        mmap[i].reserved = 0;
    }
    info_tag(out, INFO_MEMORY, basic, sizeof(basic), NULL, 0);
    info_tag(out, INFO_MMAP, head, sizeof(head), mmap, n * sizeof(mmap[0]));
}

static int info_modules(struct boot *b, GByteArray *out, struct err *e)
{
    GArray *mods = g_array_new(FALSE, FALSE, sizeof(struct boot_module));
    int r = boot_modules_load(b, mods, e);

    for (unsigned i = 0; r == 0 && i < mods->len; i++) {
        const struct boot_module *m = &g_array_index(mods, struct boot_module, i);
        u32 head[2] = { m->start, m->end };
        info_tag(out, INFO_MODULE, head, sizeof(head), m->cmdline, strlen(m->cmdline) + 1);
    }
    boot_modules_free(mods);
    return r;
}

static int multiboot2_place_info(struct boot *b, const struct acpi_tables *acpi, struct err *e)
{
    static const u8 start[8];
    GByteArray *out = g_byte_array_new();
    char *cmdline = boot_command_line(b);
    int r;

    g_byte_array_append(out, start, sizeof(start));
    info_tag(out, INFO_CMDLINE, cmdline, strlen(cmdline) + 1, NULL, 0);
    info_tag(out, INFO_LOADER, BOOT_LOADER_NAME, sizeof(BOOT_LOADER_NAME), NULL, 0);
    info_memory(b, out);
    info_tag(out, INFO_ACPI_OLD, acpi->rsdp->data, 20, NULL, 0);
    info_tag(out, INFO_ACPI_NEW, acpi->rsdp->data, acpi->rsdp->len, NULL, 0);
    r = info_modules(b, out, e);
    info_tag(out, INFO_END, NULL, 0, NULL, 0);
    st32(out->data, out->len);
    if (r == 0)
        r = boot_place_table(b, "multiboot2 information", out->data, out->len, &b->state.rbx, e);
    g_free(cmdline);
    g_byte_array_unref(out);
    return r;
}

int multiboot2_load(struct boot *b, const struct file *f, struct acpi_tables *acpi, struct err *e)
{
    u64 at = multiboot2_find(f), entry;
    struct mb2_request rq = { 0 };

    if (multiboot2_read_header(b, f, at, &rq, e) < 0 || multiboot2_place_kernel(b, f, at, &rq, &entry, e) < 0 ||
        multiboot2_place_info(b, acpi, e) < 0)
        return -1;
    b->state.rax = MB2_ENTRY_EAX;
    return boot_enter_flat(b, entry, e);
}
