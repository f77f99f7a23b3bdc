/* ELF executables as kernels: program headers for every loader that takes ELF, and the PVH boot protocol. Main thread,
 * called by hw/machine/boot*.c. ELF: System V ABI, chapters 4 and 5. PVH: Xen's docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h (protocol version 1). */
#include <elf.h>
#include "hw/machine/boot_image.h"

enum { XEN_ELFNOTE_PHYS32_ENTRY = 18, HVM_START_MAGIC = 0x336ec578 };

/* -- ELF ------------------------------------------------------------------------------------------------------------ */

bool elf_magic(const struct file *f)
{
    return f->len >= sizeof(Elf32_Ehdr) && !memcmp(f->data, ELFMAG, SELFMAG);
}

/* A program header of either class, as 64-bit. False if it is not within the file. */
static bool elf_phdr(const struct file *f, bool is64, u64 at, Elf64_Phdr *out)
{
    Elf32_Phdr p;

    if (at > f->len || f->len - at < (is64 ? sizeof(*out) : sizeof(p)))
        return false;
    if (is64) {
        memcpy(out, f->data + at, sizeof(*out));
        return true;
    }
    memcpy(&p, f->data + at, sizeof(p));
    *out = (Elf64_Phdr){ p.p_type, p.p_flags, p.p_offset, p.p_vaddr, p.p_paddr, p.p_filesz, p.p_memsz, p.p_align };
    return true;
}

/* Looks for the PVH entry among the notes in [off, off + size). */
static void elf_scan_notes(const struct file *f, struct elf *elf, u64 off, u64 size, u64 align)
{
    u64 end = off + size;

    if (align != 8)
        align = 4;
    while (off + 12 <= end) {
        u32 namesz = ld32(f->data + off), descsz = ld32(f->data + off + 4), type = ld32(f->data + off + 8);
        u64 name = off + 12, desc = name + ALIGN_UP((u64)namesz, align);
        if (desc + descsz > end)
            return;
        if (type == XEN_ELFNOTE_PHYS32_ENTRY && namesz == 4 && !memcmp(f->data + name, "Xen", 4) && descsz >= 4) {
            elf->pvh_entry = descsz >= 8 ? ld64(f->data + desc) : ld32(f->data + desc);
            elf->has_pvh = true;
            return;
        }
        off = desc + ALIGN_UP((u64)descsz, align);
    }
}

/* Entry points are virtual; kernels linked high give physical addresses only in their program headers. */
static u64 elf_physical_entry(const struct elf *elf, const Elf64_Phdr *ph, u64 entry)
{
    for (unsigned i = 0; i < elf->n; i++)
        if (entry - ph[i].p_vaddr < ph[i].p_memsz)
            return entry - ph[i].p_vaddr + ph[i].p_paddr;
    return entry;
}

/* Fills elf; returns NULL, or what is wrong with the file. */
static const char *elf_read(const struct file *f, struct elf *elf)
{
    Elf64_Phdr load[ARRAY_LEN(elf->seg)], ph;
    u64 entry, phoff;
    unsigned phnum, phentsize;

    *elf = (struct elf){ 0 };
    if (!elf_magic(f))
        return "it is not an ELF file";
    elf->is64 = f->data[EI_CLASS] == ELFCLASS64;
    if ((f->data[EI_CLASS] != ELFCLASS32 && !elf->is64) || f->data[EI_DATA] != ELFDATA2LSB ||
        f->len < (elf->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
        return "it is not a little-endian 32- or 64-bit ELF file";
    if (elf->is64) {
        const Elf64_Ehdr *h = (const Elf64_Ehdr *)f->data;
        if (h->e_machine != EM_X86_64)
            return "it is not an x86-64 program";
        entry = h->e_entry, phoff = h->e_phoff, phnum = h->e_phnum, phentsize = h->e_phentsize;
    } else {
        const Elf32_Ehdr *h = (const Elf32_Ehdr *)f->data;
        if (h->e_machine != EM_386 && h->e_machine != EM_X86_64)
            return "it is not an x86 program";
        entry = h->e_entry, phoff = h->e_phoff, phnum = h->e_phnum, phentsize = h->e_phentsize;
    }
    for (unsigned i = 0; i < phnum; i++) {
        if (phoff > f->len || !elf_phdr(f, elf->is64, phoff + (u64)i * phentsize, &ph))
            return "its program headers lie outside the file";
        if ((ph.p_type == PT_LOAD || ph.p_type == PT_NOTE) &&
            (ph.p_offset > f->len || ph.p_filesz > f->len - ph.p_offset))
            return "it is truncated: a segment lies outside the file";
        if (ph.p_type == PT_NOTE)
            elf_scan_notes(f, elf, ph.p_offset, ph.p_filesz, ph.p_align);
        if (ph.p_type != PT_LOAD || ph.p_memsz == 0)
            continue;
        if (elf->n == ARRAY_LEN(elf->seg))
            return "it has too many segments";
        if (ph.p_filesz > ph.p_memsz)
            return "a segment is larger in the file than in memory";
        load[elf->n] = ph;
        elf->seg[elf->n++] = (struct elf_segment){ ph.p_paddr, ph.p_filesz, ph.p_memsz, ph.p_offset };
    }
    if (!elf->n)
        return "it has nothing to load";
    elf->entry = elf_physical_entry(elf, load, entry);
    return NULL;
}

int elf_parse(const struct boot *b, const struct file *f, struct elf *elf, struct err *e)
{
    const char *wrong = elf_read(f, elf);

    return wrong ? err_set(e, "%s: '%s' cannot be booted: %s", b->option, b->path, wrong) : 0;
}

int elf_place(struct boot *b, const struct file *f, const struct elf *elf, struct err *e)
{
    for (unsigned i = 0; i < elf->n; i++) {
        const struct elf_segment *s = &elf->seg[i];
        if (boot_place(b, "kernel segment", s->gpa, g_memdup2(f->data + s->off, s->filesz), s->filesz, s->memsz, e) < 0)
            return -1;
    }
    return 0;
}

/* -- PVH ------------------------------------------------------------------------------------------------------------ */

struct hvm_start_info {
    u32 magic, version, flags, nr_modules;
    u64 modlist, cmdline, rsdp, memmap;
    u32 memmap_entries, reserved;
};
struct hvm_module {
    u64 start, size, cmdline, reserved;
};
struct hvm_memmap {
    u64 addr, size;
    u32 type, reserved;
};

bool pvh_probe(const struct file *f)
{
    struct elf elf;

    return elf_magic(f) && !elf_read(f, &elf) && elf.has_pvh;
}

static int pvh_place_initrd(struct boot *b, struct hvm_start_info *info, struct err *e)
{
    struct hvm_module mod = { 0 };
    struct file f;

    if (!b->m->cfg.initrd)
        return 0;
    if (file_read("-initrd", b->m->cfg.initrd, &f, e) < 0 ||
        boot_place_below(b, "-initrd image", b->ram.low, PAGE_SIZE, f.data, f.len, f.len, &mod.start, e) < 0)
        return -1;
    mod.size = f.len;
    info->nr_modules = 1;
    return boot_place_table(b, "module list", &mod, sizeof(mod), &info->modlist, e);
}

int pvh_load(struct boot *b, const struct file *f, struct err *e)
{
    struct hvm_start_info info = { .magic = HVM_START_MAGIC, .version = 1, .rsdp = BOOT_RSDP };
    struct e820_entry map[BOOT_E820_MAX];
    struct hvm_memmap memmap[BOOT_E820_MAX];
    const char *cmdline = b->m->cfg.append ? b->m->cfg.append : "";
    struct elf elf;

    if (elf_parse(b, f, &elf, e) < 0 || elf_place(b, f, &elf, e) < 0 || pvh_place_initrd(b, &info, e) < 0)
        return -1;
    info.memmap_entries = boot_e820(b, map);
    for (unsigned i = 0; i < info.memmap_entries; i++)
        memmap[i] = (struct hvm_memmap){ map[i].addr, map[i].len, map[i].type, 0 };
    if (boot_place_table(b, "memory map", memmap, info.memmap_entries * sizeof(memmap[0]), &info.memmap, e) < 0 ||
        boot_place_table(b, "command line", cmdline, strlen(cmdline) + 1, &info.cmdline, e) < 0 ||
        boot_place_table(b, "start info", &info, sizeof(info), &b->state.rbx, e) < 0)
        return -1;
    return boot_enter_flat(b, elf.pvh_entry, e);
}
