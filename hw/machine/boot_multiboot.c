/* Direct boot of multiboot (version 1) kernels: ELF or with the header's own address fields. Main thread, called by
 * hw/machine/boot.c. Multiboot Specification version 0.6.96, section 3. */
#include "hw/machine/boot_image.h"

enum { MB_MAGIC = 0x1badb002, MB_ENTRY_EAX = 0x2badb002, MB_SEARCH = 8192 };
enum { HDR_PAGE_ALIGN = 1 << 0, HDR_MEMORY = 1 << 1, HDR_VIDEO = 1 << 2, HDR_ADDRESSES = 1 << 16, HDR_MUST_KNOW = 0xffff };
enum { INFO_MEMORY = 1 << 0, INFO_CMDLINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MMAP = 1 << 6, INFO_LOADER = 1 << 9 };

struct mb_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr,
        drives_length, drives_addr, config_table, boot_loader_name, apm_table, vbe[4], framebuffer[5];
};
struct mb_module {
    u32 start, end, string, reserved;
};
struct mb_mmap {
    u32 size; /* of the rest */
    u64 addr, len;
    u32 type;
} __attribute__((packed));

/* Offset of the header, or -1. */
static i64 multiboot_find(const struct file *f)
{
    for (u64 at = 0; at + 12 <= f->len && at + 12 <= MB_SEARCH; at += 4)
        if (ld32(f->data + at) == MB_MAGIC &&
            ld32(f->data + at) + ld32(f->data + at + 4) + ld32(f->data + at + 8) == 0)
            return at;
    return -1;
}

bool multiboot_probe(const struct file *f)
{
    return multiboot_find(f) >= 0;
}

/* Loads by the header's address fields (the "a.out kludge"). */
static int multiboot_place_flat(struct boot *b, const struct file *f, u64 at, u64 *entry, struct err *e)
{
    if (at + 32 > f->len)
        return err_set(e, "%s: '%s' is truncated within its multiboot header", b->option, b->path);
    const u8 *h = f->data + at;
    u32 header_addr = ld32(h + 12), load = ld32(h + 16), load_end = ld32(h + 20), bss_end = ld32(h + 24);
    u32 before = header_addr - load; /* bytes of the image in front of the header */

    if (load > header_addr || before > at || (load_end && load_end < load) || (bss_end && bss_end < load_end))
        return err_set(e, "%s: '%s' has contradictory addresses in its multiboot header", b->option, b->path);
    u64 off = at - before, len = load_end ? load_end - load : f->len - off;
    if (len > f->len - off)
        return err_set(e, "%s: '%s' is truncated: the multiboot header promises %llu bytes from offset %llu, the file "
                       "has %llu", b->option, b->path, (unsigned long long)len, (unsigned long long)off,
                       (unsigned long long)f->len);
    u64 size = bss_end ? MAX_OF(len, (u64)bss_end - load) : len;
    *entry = ld32(h + 28);
    return boot_place(b, "kernel", load, g_memdup2(f->data + off, len), len, size, e);
}

static int multiboot_place_modules(struct boot *b, struct mb_info *info, struct err *e)
{
    GArray *mods = g_array_new(FALSE, FALSE, sizeof(struct boot_module));
    int r = boot_modules_load(b, mods, e);
    struct mb_module *list = g_new0(struct mb_module, mods->len + 1);
    u64 at;

    for (unsigned i = 0; r == 0 && i < mods->len; i++) {
        const struct boot_module *m = &g_array_index(mods, struct boot_module, i);
        r = boot_place_table(b, "module command line", m->cmdline, strlen(m->cmdline) + 1, &at, e);
        list[i] = (struct mb_module){ m->start, m->end, at, 0 };
    }
    if (r == 0 && mods->len) {
        r = boot_place_table(b, "module list", list, mods->len * sizeof(list[0]), &at, e);
        info->flags |= INFO_MODULES;
        info->mods_count = mods->len;
        info->mods_addr = at;
    }
    g_free(list);
    boot_modules_free(mods);
    return r;
}

static int multiboot_place_info(struct boot *b, struct mb_info *info, struct err *e)
{
    struct e820_entry map[BOOT_E820_MAX];
    struct mb_mmap mmap[BOOT_E820_MAX];
    unsigned n = boot_e820(b, map);
    char *cmdline = boot_command_line(b);
    u64 mmap_at, cmdline_at, name_at;

    for (unsigned i = 0; i < n; i++)
        mmap[i] = (struct mb_mmap){ sizeof(mmap[i]) - 4, map[i].addr, map[i].len, map[i].type };
    int r = boot_place_table(b, "memory map", mmap, n * sizeof(mmap[0]), &mmap_at, e);
    if (r == 0)
        r = boot_place_table(b, "command line", cmdline, strlen(cmdline) + 1, &cmdline_at, e);
    if (r == 0)
        r = boot_place_table(b, "loader name", BOOT_LOADER_NAME, sizeof(BOOT_LOADER_NAME), &name_at, e);
    g_free(cmdline);
    if (r < 0)
        return -1;
    info->flags |= INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER;
    info->mem_lower = boot_mem_lower(b);
    info->mem_upper = boot_mem_upper(b);
    info->mmap_addr = mmap_at;
    info->mmap_length = n * sizeof(mmap[0]);
    info->cmdline = cmdline_at;
    info->boot_loader_name = name_at;
    return boot_place_table(b, "multiboot information", info, sizeof(*info), &b->state.rbx, e);
}

int multiboot_load(struct boot *b, const struct file *f, struct err *e)
{
    u64 at = multiboot_find(f), entry = 0;
    u32 flags = ld32(f->data + at + 4);
    struct mb_info info = { 0 };
    struct elf elf;

    if (flags & HDR_MUST_KNOW & ~(HDR_PAGE_ALIGN | HDR_MEMORY | HDR_VIDEO))
        return err_set(e, "%s: '%s' asks for unknown multiboot features (flags 0x%x)", b->option, b->path, flags);
    if (flags & HDR_ADDRESSES) {
        if (multiboot_place_flat(b, f, at, &entry, e) < 0)
            return -1;
    } else {
        if (elf_parse(b, f, &elf, e) < 0 || elf_place(b, f, &elf, e) < 0)
            return -1;
        entry = elf.entry;
    }
    if (multiboot_place_modules(b, &info, e) < 0 || multiboot_place_info(b, &info, e) < 0)
        return -1;
    b->state.rax = MB_ENTRY_EAX;
    return boot_enter_flat(b, entry, e);
}
