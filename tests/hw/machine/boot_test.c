/* Direct boot of small images made here: what lands where in guest memory, the entry state, and that damaged images are refused
 * with a message that names option and cause. */
#include <elf.h>
#include <glib.h>
#include "hw/machine/boot.h"
#include "mmu/dma.h"
#include "tests/lib/test_pc.h"

enum { SETUP = 5 * 512, PAYLOAD = 4096 };

static void read_guest(struct test_pc *p, u64 gpa, void *buf, u32 len)
{
    g_assert_cmpint(dma_read(p->m.mem, gpa, buf, len), ==, 0);
}

static void check_string(struct test_pc *p, u64 gpa, const char *want)
{
    char buf[256] = "";
    read_guest(p, gpa, buf, strlen(want) + 1);
    g_assert_cmpstr(buf, ==, want);
}

/* Flat 32-bit state with a GDT whose selectors say so. */
static void check_flat(struct test_pc *p, u64 rip)
{
    const struct boot_state *b = &p->m.boot;
    g_assert_cmpint(b->mode, ==, 32);
    g_assert_cmphex(b->rip, ==, rip);
    g_assert_cmphex(pc_read(p, b->gdt_base + b->sel_code, 8), ==, 0x00cf9b000000ffff);
    g_assert_cmphex(pc_read(p, b->gdt_base + b->sel_data, 8), ==, 0x00cf93000000ffff);
    g_assert_cmpuint(b->gdt_limit, >=, b->sel_data + 7);
}

static u8 guest_sum(struct test_pc *p, u64 gpa, u32 len)
{
    u8 s = 0;
    while (len--)
        s += pc_read(p, gpa++, 1);
    return s;
}

/* Fails to build, with both words in the message. */
static void check_refused(const struct machine_config *cfg, const char *option, const char *cause)
{
    struct err e = { "" };
    g_assert_null(test_pc_new(cfg, &e));
    if (!strstr(e.msg, option) || !strstr(e.msg, cause))
        g_error("'%s' does not name '%s' and '%s'", e.msg, option, cause);
    g_assert_null(strchr(e.msg, '\n'));
}

static void check_refused_kernel(const void *data, u64 len, const char *cause)
{
    char *k = test_file(data, len);
    check_refused(&(struct machine_config){ .kernel = k }, "-kernel", cause);
    test_file_free(k);
}

/* -- Linux ----------------------------------------------------------------------------------------------------------- */

static u8 *make_bzimage(u16 version, u32 *len)
{
    u8 *k = g_malloc0(*len = SETUP + PAYLOAD);
    k[0x1f1] = SETUP / 512 - 1;
    st32(k + 0x1f4, PAYLOAD / 16);
    st16(k + 0x1fe, 0xaa55);
    k[0x200] = 0xeb;
    k[0x201] = 0x66;
    memcpy(k + 0x202, "HdrS", 4);
    st16(k + 0x206, version);
    k[0x211] = 1;
    st32(k + 0x214, 0x100000);
    st32(k + 0x22c, 0x3ffffff);
    st32(k + 0x230, 0x200000);
    k[0x234] = 1;
    st32(k + 0x238, 100);
    st64(k + 0x258, 0x1000000);
    st32(k + 0x260, 0x10000);
    memset(k + SETUP, 0xc3, PAYLOAD);
    return k;
}

static void test_linux(void)
{
    u32 len;
    u8 *image = make_bzimage(0x20f, &len), zp[4096], initrd[5000];
    memset(initrd, 0x1d, sizeof(initrd));
    char *k = test_file(image, len), *i = test_file(initrd, sizeof(initrd));
    struct machine_config cfg = { .kernel = k, .initrd = i, .append = "console=ttyS0 x", .ram_size = 128 * MiB };
    struct err e = { "" };
    struct test_pc *p = test_pc_new(&cfg, &e);
    g_assert_nonnull(p);
    for (unsigned round = 0; round < 2; round++) { /* a reset puts everything back */
        check_flat(p, 0x1000000);
        read_guest(p, p->m.boot.rsi, zp, sizeof(zp));
        g_assert_cmphex(pc_read(p, 0x1000000, 4), ==, 0xc3c3c3c3);
        g_assert_cmphex(pc_read(p, 0x1000000 + PAYLOAD, 4), ==, 0);
        g_assert_cmphex(ld32(zp + 0x202), ==, 0x53726448);
        g_assert_cmphex(zp[0x210], ==, 0xff);
        g_assert_cmphex(ld32(zp + 0x214), ==, 0x1000000);
        check_string(p, ld32(zp + 0x228), "console=ttyS0 x");
        u32 at = ld32(zp + 0x218);
        g_assert_cmpuint(ld32(zp + 0x21c), ==, sizeof(initrd));
        g_assert_cmphex(at % 4096, ==, 0);
        g_assert_cmphex(at + sizeof(initrd), <=, 0x4000000); /* initrd_addr_max */
        g_assert_cmphex(pc_read(p, at, 1), ==, 0x1d);
        g_assert_cmphex(pc_read(p, at + sizeof(initrd) - 1, 2), ==, 0x001d);
        g_assert_cmpuint(zp[0x1e8], ==, 5);
        g_assert_cmphex(ld64(zp + 0x2d0), ==, 0);
        g_assert_cmphex(ld32(zp + 0x2d0 + 16), ==, E820_RAM);
        u64 rsdp = ld64(zp + 0x70);
        g_assert_cmphex(guest_sum(p, rsdp, 36), ==, 0);
        u64 xsdt = pc_read(p, rsdp + 24, 8);
        u32 service = pc_read(p, 4 * 0x15, 4); /* BIOS services end in IRET, with the caller's CF set first */
        g_assert_cmphex(service >> 16, ==, 0xf000);
        g_assert_cmphex(pc_read(p, 0xf0000 + (service & 0xffff), 8), ==, 0x5d01064e80e58955);
        g_assert_cmphex(pc_read(p, 0xf0000 + (service & 0xffff) + 10, 1), ==, 0xcf);
        g_assert_cmphex(pc_read(p, xsdt, 4), ==, 0x54445358);
        g_assert_cmphex(guest_sum(p, xsdt, pc_read(p, xsdt + 4, 4)), ==, 0);
        memset(zp, 0xff, sizeof(zp));
        dma_write(p->m.mem, 0x1000000, zp, sizeof(zp));
        dma_write(p->m.mem, 0x1000000 + PAYLOAD, zp, sizeof(zp));
        dma_write(p->m.mem, at, zp, sizeof(zp));
        dma_write(p->m.mem, p->m.boot.rsi, zp, sizeof(zp));
        dma_write(p->m.mem, rsdp, zp, 36);
        test_pc_reset(p);
    }
    test_pc_free(p);
    test_file_free(k);
    test_file_free(i);
    g_free(image);
}

static void test_linux_old(void)
{
    u32 len;
    u8 *image = make_bzimage(0x202, &len);
    char *k = test_file(image, len);
    struct err e = { "" };
    struct test_pc *p = test_pc_new(&(struct machine_config){ .kernel = k }, &e);
    g_assert_nonnull(p);
    check_flat(p, 0x100000); /* no preferred address before 2.10 */
    test_pc_free(p);
    /* as a bare image argument */
    p = test_pc_new(&(struct machine_config){ .image = k, .append = "quiet" }, &e);
    g_assert_nonnull(p);
    check_flat(p, 0x100000);
    test_pc_free(p);
    test_file_free(k);
    g_free(image);
}

static void test_linux_bad(void)
{
    u32 len;
    u8 *k = make_bzimage(0x20f, &len);
    char *good = test_file(k, len), *empty = test_file("", 0);
    char *long_line = g_strnfill(101, 'a');
    check_refused_kernel(k, len - 100, "truncated");
    k[0x211] = 0;
    check_refused_kernel(k, len, "zImage");
    st16(k + 0x206, 0x201);
    check_refused_kernel(k, len, "2.02");
    check_refused(&(struct machine_config){ .kernel = good, .append = long_line }, "-append", "100");
    check_refused(&(struct machine_config){ .kernel = good, .initrd = "/nonexistent/initrd" }, "-initrd", "No such file");
    check_refused(&(struct machine_config){ .kernel = good, .initrd = empty }, "-initrd", "empty");
    check_refused(&(struct machine_config){ .kernel = empty }, "-kernel", "empty");
    check_refused(&(struct machine_config){ .kernel = "/tmp" }, "-kernel", "directory");
    check_refused(&(struct machine_config){ .kernel = "/dev/zero" }, "-kernel", "not a regular file");
    check_refused(&(struct machine_config){ .kernel = "/nonexistent" }, "-kernel", "No such file");
    check_refused(&(struct machine_config){ .kernel = good, .bios = good }, "-bios", "without firmware");
    check_refused(&(struct machine_config){ .kernel = good, .pflash = { "n" } }, "-machine pflash0=n", "without firmware");
    check_refused(&(struct machine_config){ .kernel = good, .option_roms = (const char *[]){ good }, .n_option_roms = 1 }, "-option-rom", "without firmware");
    u8 *big = g_malloc0(9 * MiB);
    char *initrd = test_file(big, 9 * MiB);
    check_refused(&(struct machine_config){ .kernel = good, .initrd = initrd, .ram_size = 8 * MiB }, "-initrd", "-m");
    g_free(big);
    test_file_free(initrd);
    test_file_free(good);
    test_file_free(empty);
    g_free(long_line);
    g_free(k);
}

static void test_random(void)
{
    u8 data[3000];
    GRand *r = g_rand_new_with_seed(1);
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = g_rand_int(r);
    check_refused_kernel(data, sizeof(data), "not a kernel");
    check_refused_kernel(data, 1, "not a kernel");
    /* a valid beginning with random bytes after it is refused or accepted, and never crashes */
    for (unsigned n = 0; n < 300; n++) {
        u32 len;
        u8 *k = make_bzimage(0x20f, &len);
        struct err e = { "" };
        for (unsigned i = 0; i < 8; i++)
            k[g_rand_int_range(r, 0x1f1, 0x268)] = g_rand_int(r);
        char *path = test_file(k, len);
        struct test_pc *p = test_pc_new(&(struct machine_config){ .kernel = path, .initrd = path, .ram_size = 4 * MiB }, &e);
        if (p)
            test_pc_free(p);
        else
            g_assert_cmpstr(e.msg, !=, "");
        test_file_free(path);
        g_free(k);
    }
    g_rand_free(r);
}

/* -- ELF and PVH ----------------------------------------------------------------------------------------------------- */

enum { ELF_LOAD = 0x200000, ELF_LEN = 0x800 };

/* One segment at 2 MiB (linked 0x80000000 higher) with bss, one note; header magic words can be put at 0x200. */
static u8 *make_elf(bool is64, bool pvh)
{
    u8 *f = g_malloc0(ELF_LEN), *note = f + 0x400;
    memcpy(f, ELFMAG, 4);
    f[EI_CLASS] = is64 ? ELFCLASS64 : ELFCLASS32;
    f[EI_DATA] = ELFDATA2LSB;
    f[EI_VERSION] = 1;
    st16(f + 16, ET_EXEC);
    st16(f + 18, is64 ? EM_X86_64 : EM_386);
    if (is64) {
        Elf64_Ehdr *h = (Elf64_Ehdr *)f;
        Elf64_Phdr *p = (Elf64_Phdr *)(f + sizeof(*h));
        h->e_entry = 0x80200100;
        h->e_phoff = sizeof(*h);
        h->e_phnum = 2;
        h->e_phentsize = sizeof(*p);
        p[0] = (Elf64_Phdr){ PT_LOAD, 7, 0x100, 0x80200000, ELF_LOAD, 0x700, 0x2000, 4096 };
        p[1] = (Elf64_Phdr){ PT_NOTE, 4, 0x400, 0, 0, 20, 20, 4 };
    } else {
        Elf32_Ehdr *h = (Elf32_Ehdr *)f;
        Elf32_Phdr *p = (Elf32_Phdr *)(f + sizeof(*h));
        h->e_entry = 0x80200100;
        h->e_phoff = sizeof(*h);
        h->e_phnum = 2;
        h->e_phentsize = sizeof(*p);
        p[0] = (Elf32_Phdr){ PT_LOAD, 0x100, 0x80200000, ELF_LOAD, 0x700, 0x2000, 7, 4096 };
        p[1] = (Elf32_Phdr){ PT_NOTE, 0x400, 0, 0, 20, 20, 4, 4 };
    }
    st32(note, 4);
    st32(note + 4, 4);
    st32(note + 8, pvh ? 18 : 19);
    memcpy(note + 12, "Xen", 4);
    st32(note + 16, ELF_LOAD + 0x40);
    f[0x140] = 0xf4;
    return f;
}

static void test_pvh(void)
{
    for (int is64 = 0; is64 < 2; is64++) {
        u8 *elf = make_elf(is64, true);
        char *k = test_file(elf, ELF_LEN), *i = test_file("initrd!", 7);
        struct err e = { "" };
        struct machine_config cfg = { .kernel = k, .initrd = i, .append = "a b", .ram_size = 3 * GiB + 512 * MiB };
        struct test_pc *p = test_pc_new(&cfg, &e);
        g_assert_nonnull(p);
        check_flat(p, ELF_LOAD + 0x40);
        g_assert_cmphex(pc_read(p, ELF_LOAD + 0x40, 1), ==, 0xf4);
        g_assert_cmphex(pc_read(p, ELF_LOAD + 0x1000, 1), ==, 0);
        u64 info = p->m.boot.rbx;
        g_assert_cmphex(pc_read(p, info, 4), ==, 0x336ec578);
        g_assert_cmphex(pc_read(p, info + 4, 4), ==, 1);
        g_assert_cmphex(pc_read(p, info + 12, 4), ==, 1);
        check_string(p, pc_read(p, pc_read(p, info + 16, 8), 8), "initrd!");
        g_assert_cmphex(pc_read(p, pc_read(p, info + 16, 8) + 8, 8), ==, 7);
        check_string(p, pc_read(p, info + 24, 8), "a b");
        g_assert_cmphex(pc_read(p, pc_read(p, info + 32, 8), 8), ==, 0x2052545020445352);
        u64 map = pc_read(p, info + 40, 8), n = pc_read(p, info + 48, 4);
        g_assert_cmpuint(n, ==, 6);
        g_assert_cmphex(pc_read(p, map + 24 * (n - 1), 8), ==, 4 * GiB); /* RAM behind the hole */
        g_assert_cmphex(pc_read(p, map + 24 * (n - 1) + 8, 8), ==, 512 * MiB);
        test_pc_free(p);
        test_file_free(k);
        test_file_free(i);
        g_free(elf);
    }
}

static void test_elf_bad(void)
{
    u8 *elf = make_elf(true, true);
    Elf64_Ehdr *h = (Elf64_Ehdr *)elf;
    Elf64_Phdr *p = (Elf64_Phdr *)(elf + sizeof(*h));
    check_refused_kernel(elf, ELF_LEN - 0x100, "damaged");
    p[0].p_paddr = 0xa0000;
    check_refused_kernel(elf, ELF_LEN, "does not fit");
    p[0].p_paddr = 0xffffffffffffff00;
    check_refused_kernel(elf, ELF_LEN, "does not fit");
    p[0].p_paddr = 0xf4000;
    check_refused_kernel(elf, ELF_LEN, "overlaps the RSDP");
    p[0].p_paddr = 8 * GiB;
    check_refused_kernel(elf, ELF_LEN, "does not fit");
    p[0].p_memsz = 1;
    check_refused_kernel(elf, ELF_LEN, "damaged");
    g_free(elf);
    elf = make_elf(true, false);
    check_refused_kernel(elf, ELF_LEN, "without a PVH note");
    g_free(elf);

    GRand *r = g_rand_new_with_seed(2);
    for (unsigned n = 0; n < 300; n++) {
        struct err e = { "" };
        elf = make_elf(n & 1, true);
        for (unsigned i = 0; i < 6; i++)
            elf[g_rand_boolean(r) ? g_rand_int_range(r, 4, 0xc0) : g_rand_int_range(r, 0x400, 0x418)] = g_rand_int(r);
        char *path = test_file(elf, ELF_LEN);
        struct test_pc *pc = test_pc_new(&(struct machine_config){ .kernel = path, .ram_size = 4 * MiB }, &e);
        if (pc)
            test_pc_free(pc);
        test_file_free(path);
        g_free(elf);
    }
    g_rand_free(r);
}

/* -- multiboot ------------------------------------------------------------------------------------------------------- */

static void mb1_header(u8 *h, u32 flags)
{
    st32(h, 0x1badb002);
    st32(h + 4, flags);
    st32(h + 8, -(0x1badb002 + flags));
}

static void test_multiboot(void)
{
    for (int kind = 0; kind < 3; kind++) { /* ELF32, ELF64, address fields */
        u8 *image = kind == 2 ? g_malloc0(ELF_LEN) : make_elf(kind == 1, false);
        mb1_header(image + 0x200, kind == 2 ? 0x10003 : 3);
        if (kind == 2) {
            st32(image + 0x20c, ELF_LOAD + 0x200);
            st32(image + 0x210, ELF_LOAD);
            st32(image + 0x214, ELF_LOAD + 0x400);
            st32(image + 0x218, ELF_LOAD + 0x3000);
            st32(image + 0x21c, ELF_LOAD + 0x100);
        }
        char *k = test_file(image, ELF_LEN), *a = test_file("mod a", 5), *b = test_file("mod b", 5);
        char *initrd = g_strdup_printf("%s x,,y,%s", a, b), *cmdline = g_strdup_printf("%s arg1 arg2", k);
        struct machine_config cfg = { .kernel = k, .initrd = initrd, .append = "arg1 arg2" };
        struct err e = { "" };
        struct test_pc *p = test_pc_new(&cfg, &e);
        g_assert_nonnull(p);
        check_flat(p, ELF_LOAD + 0x100);
        g_assert_cmphex(p->m.boot.rax, ==, 0x2badb002);
        u64 info = p->m.boot.rbx;
        u32 flags = pc_read(p, info, 4);
        g_assert_cmphex(flags, ==, 0x24d); /* memory, command line, modules, map, loader */
        g_assert_cmpuint(pc_read(p, info + 4, 4), ==, 639);
        g_assert_cmpuint(pc_read(p, info + 8, 4), >, 62 * 1024);
        check_string(p, pc_read(p, info + 16, 4), cmdline);
        g_assert_cmpuint(pc_read(p, info + 20, 4), ==, 2);
        u64 mods = pc_read(p, info + 24, 4), start = pc_read(p, mods, 4);
        g_assert_cmphex(start % 4096, ==, 0);
        g_assert_cmphex(start, >=, ELF_LOAD + 0x2000); /* behind the kernel's bss */
        g_assert_cmphex(pc_read(p, mods + 4, 4), ==, start + 5);
        check_string(p, start, "mod a");
        check_string(p, pc_read(p, mods + 16, 4), "mod b");
        char *module_line = g_strdup_printf("%s x,y", a);
        check_string(p, pc_read(p, mods + 8, 4), module_line);
        g_free(module_line);
        u64 map = pc_read(p, info + 48, 4), end = map + pc_read(p, info + 44, 4), ram = 0;
        for (; map < end; map += pc_read(p, map, 4) + 4)
            if (pc_read(p, map + 20, 4) == E820_RAM)
                ram += pc_read(p, map + 12, 8);
        g_assert_cmpuint(ram, >, 62 * MiB);
        check_string(p, pc_read(p, info + 64, 4), "gemel");
        test_pc_free(p);
        test_file_free(k);
        test_file_free(a);
        test_file_free(b);
        g_free(initrd);
        g_free(cmdline);
        g_free(image);
    }
}

static void test_multiboot_bad(void)
{
    u8 image[ELF_LEN] = { 0 };
    mb1_header(image + 0x200, 0x10);
    check_refused_kernel(image, sizeof(image), "unknown multiboot features");
    mb1_header(image + 0x200, 3);
    check_refused_kernel(image, sizeof(image), "not an ELF file");
    mb1_header(image + 0x200, 0x10000);
    st32(image + 0x20c, 0x100000);
    st32(image + 0x210, 0x200000);
    check_refused_kernel(image, sizeof(image), "contradictory");
    check_refused_kernel(image, 0x210, "truncated");
    st32(image + 0x20c, ELF_LOAD + 0x200);
    st32(image + 0x210, ELF_LOAD);
    st32(image + 0x214, ELF_LOAD + 0x1000);
    check_refused_kernel(image, sizeof(image), "truncated");
    image[0x208]++;
    check_refused_kernel(image, sizeof(image), "not a kernel");
}

static u32 mb2_header(u8 *h, const u32 *tags, u32 words)
{
    u32 len = 16 + 4 * words;
    st32(h, 0xe85250d6);
    st32(h + 8, len);
    st32(h + 12, -(0xe85250d6 + len));
    memcpy(h + 16, tags, 4 * words);
    return len;
}

static void test_multiboot2(void)
{
    static const u32 tags[] = { 2, 24, ELF_LOAD + 0x200, ELF_LOAD, 0, ELF_LOAD + 0x3000, 3, 12, ELF_LOAD + 0x80, 0,
                                1, 12, 6, 0, 0, 8 };
    u8 image[ELF_LEN] = { 0 };
    struct err e = { "" };
    unsigned seen = 0;
    mb2_header(image + 0x200, tags, ARRAY_LEN(tags));
    char *k = test_file(image, sizeof(image)), *m = test_file("module", 6);
    struct test_pc *p = test_pc_new(&(struct machine_config){ .kernel = k, .initrd = m, .append = "z" }, &e);
    g_assert_nonnull(p);
    check_flat(p, ELF_LOAD + 0x80);
    g_assert_cmphex(p->m.boot.rax, ==, 0x36d76289);
    u64 info = p->m.boot.rbx, end = info + pc_read(p, info, 4);
    g_assert_cmphex(info % 8, ==, 0);
    for (u64 t = info + 8; t < end; t += ALIGN_UP(pc_read(p, t + 4, 4), 8)) {
        u32 type = pc_read(p, t, 4);
        g_assert_cmpuint(type, <, 32);
        seen |= BIT(type);
        if (type == 3)
            check_string(p, pc_read(p, t + 8, 4), "module");
        if (type == 15)
            g_assert_cmphex(guest_sum(p, t + 8, 36), ==, 0);
        if (type == 6)
            g_assert_cmpuint(pc_read(p, t + 4, 4), ==, 16 + 5 * 24);
    }
    g_assert_cmphex(seen, ==, BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(6) | BIT(14) | BIT(15));
    test_pc_free(p);
    test_file_free(k);
    test_file_free(m);
    static const u32 wants_framebuffer[] = { 5, 20, 1024, 768, 32, 0, 0, 8 };
    mb2_header(image + 0x200, wants_framebuffer, ARRAY_LEN(wants_framebuffer));
    check_refused_kernel(image, sizeof(image), "multiboot2 feature 5");
}

/* -- image detection ------------------------------------------------------------------------------------------------- */

static void check_image(const void *data, u64 len, int want, const char *cause)
{
    char *path = test_file(data, len);
    enum image_kind kind;
    struct err e = { "" };
    int r = image_probe(path, &kind, &e);
    if (cause) {
        g_assert_cmpint(r, ==, -1);
        g_assert_nonnull(strstr(e.msg, cause));
    } else {
        g_assert_cmpstr(e.msg, ==, "");
        g_assert_cmpint(kind, ==, want);
    }
    test_file_free(path);
}

static void test_probe(void)
{
    u32 len;
    u8 *k = make_bzimage(0x20f, &len), *elf = make_elf(true, true), disk[40000] = { 0 };
    check_image(k, len, IMAGE_LINUX, NULL);
    check_image(elf, ELF_LEN, IMAGE_PVH, NULL);
    check_image(disk, 512, IMAGE_DISK, NULL);
    check_image(disk, 511, 0, "neither");
    memcpy(disk + 0x8001, "CD001", 5);
    check_image(disk, sizeof(disk), IMAGE_DISK, NULL); /* a CD-ROM: the drive list finds that out */
    st16(disk + 510, 0xaa55);
    check_image(disk, sizeof(disk), IMAGE_DISK, NULL); /* hybrid */
    mb1_header(disk + 0x400, 0x10000);
    check_image(disk, sizeof(disk), IMAGE_DISK, NULL); /* a boot loader on a disk may have that header, too */
    disk[510] = 0;
    check_image(disk, sizeof(disk), IMAGE_MULTIBOOT, NULL);
    memcpy(disk, "QFI\xfb", 4);
    disk[0x400] = 0;
    check_image(disk, sizeof(disk), IMAGE_DISK, NULL); /* whose format is found out when it is opened */
    elf[EI_DATA] = 9;
    check_image(elf, ELF_LEN, 0, "not a kernel");
    g_free(k);
    g_free(elf);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/boot/linux", test_linux);
    g_test_add_func("/boot/linux-old", test_linux_old);
    g_test_add_func("/boot/linux-bad", test_linux_bad);
    g_test_add_func("/boot/random", test_random);
    g_test_add_func("/boot/pvh", test_pvh);
    g_test_add_func("/boot/elf-bad", test_elf_bad);
    g_test_add_func("/boot/multiboot", test_multiboot);
    g_test_add_func("/boot/multiboot-bad", test_multiboot_bad);
    g_test_add_func("/boot/multiboot2", test_multiboot2);
    g_test_add_func("/boot/probe", test_probe);
    return g_test_run();
}
