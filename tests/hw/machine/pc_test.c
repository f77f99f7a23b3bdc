/* The wired PC: memory map, firmware ROM, interrupt fan-out, A20, CMOS, firmware configuration, options that are refused. */
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "tests/lib/test_pc.h"

enum { ROM_SIZE = 256 * 1024 };

/* A firmware image whose bytes say where they are. */
static char *rom_file(void)
{
    u8 *rom = g_malloc(ROM_SIZE);
    for (u32 i = 0; i < ROM_SIZE; i += 4)
        st32(rom + i, i);
    char *path = test_file(rom, ROM_SIZE);
    g_free(rom);
    return path;
}

static struct test_pc *firmware_pc(u64 ram, char **rom)
{
    struct err e = { "" };
    *rom = rom_file();
    struct test_pc *p = test_pc_new(&(struct machine_config){ .bios = *rom, .ram_size = ram }, &e);
    g_assert_cmpstr(e.msg, ==, "");
    return p;
}

static void test_memory(void)
{
    char *rom;
    struct test_pc *p = firmware_pc(3 * GiB + 256 * MiB, &rom);
    g_assert_cmpint(p->m.boot.mode, ==, 0);
    g_assert_cmphex(pc_read(p, 0xfffffff0, 4), ==, ROM_SIZE - 16);
    g_assert_cmphex(pc_read(p, 0xfffc0000, 4), ==, 0);
    g_assert_cmphex(pc_read(p, 0xffff0, 4), ==, ROM_SIZE - 16);
    g_assert_cmphex(pc_read(p, 0xe0000, 4), ==, ROM_SIZE - 0x20000);
    aspace_write_uint(p->m.mem, 0xffff0, 1, 4);
    g_assert_cmphex(pc_read(p, 0xffff0, 4), ==, ROM_SIZE - 16);
    g_assert_cmphex(pc_read(p, 0xa0000, 4), ==, 0xffffffff);
    g_assert_cmphex(pc_read(p, 0xc0000, 4), ==, 0xffffffff);
    g_assert_cmphex(pc_read(p, 0xbfffffff, 1), ==, 0);
    g_assert_cmphex(pc_read(p, 0xc0000000, 4), ==, 0xffffffff);
    aspace_write_uint(p->m.mem, 4 * GiB + 0x1234, 0x77, 1);
    g_assert_cmphex(pc_read(p, 4 * GiB + 0x1234, 1), ==, 0x77);
    g_assert_cmphex(pc_read(p, 4 * GiB + 256 * MiB, 1), ==, 0xff);
    test_pc_free(p);
    test_file_free(rom);
}

static u8 cmos(struct test_pc *p, u8 idx)
{
    pc_out(p, 0x70, idx, 1);
    return pc_in(p, 0x71, 1);
}

static void test_cmos(void)
{
    char *rom;
    struct test_pc *p = firmware_pc(4 * GiB, &rom);
    g_assert_cmphex(cmos(p, 0x34) | cmos(p, 0x35) << 8, ==, (3 * GiB - 16 * MiB) / 65536);
    g_assert_cmphex(cmos(p, 0x5b) | cmos(p, 0x5c) << 8, ==, (1 * GiB) / 65536);
    g_assert_cmphex(cmos(p, 0x15) | cmos(p, 0x16) << 8, ==, 640);
    g_assert_cmphex(cmos(p, 0x5f), ==, 0);
    test_pc_free(p);
    test_file_free(rom);
}

/* Reads a fw_cfg file; returns its length or -1. */
static int fw_file(struct test_pc *p, const char *name, void *buf, u32 size)
{
    u8 head[4], ent[64];
    pc_out(p, 0x510, 0x19, 2);
    for (unsigned i = 0; i < 4; i++)
        head[i] = pc_in(p, 0x511, 1);
    for (u32 n = __builtin_bswap32(ld32(head)); n; n--) {
        for (unsigned i = 0; i < sizeof(ent); i++)
            ent[i] = pc_in(p, 0x511, 1);
        if (strcmp((char *)ent + 8, name))
            continue;
        u32 len = __builtin_bswap32(ld32(ent));
        g_assert_cmpuint(len, <=, size);
        pc_out(p, 0x510, __builtin_bswap16(ld16(ent + 4)), 2);
        for (u32 i = 0; i < len; i++)
            ((u8 *)buf)[i] = pc_in(p, 0x511, 1);
        return len;
    }
    return -1;
}

static void test_fw_cfg(void)
{
    static u8 buf[65536];
    char *rom;
    struct test_pc *p = firmware_pc(3 * GiB + 256 * MiB, &rom);
    g_assert_cmpint(fw_file(p, "etc/e820", buf, sizeof(buf)), ==, 40);
    g_assert_cmphex(ld64(buf + 8), ==, 3 * GiB);
    g_assert_cmphex(ld64(buf + 20), ==, 4 * GiB);
    g_assert_cmphex(ld64(buf + 28), ==, 256 * MiB);
    g_assert_cmpint(fw_file(p, "etc/acpi/tables", buf, sizeof(buf)), >, 1000);
    g_assert_cmpint(memcmp(buf, "FACS", 4), ==, 0);
    g_assert_cmpint(fw_file(p, "etc/acpi/rsdp", buf, sizeof(buf)), ==, 36);
    g_assert_cmpint(fw_file(p, "etc/table-loader", buf, sizeof(buf)) % 128, ==, 0);
    g_assert_cmpint(fw_file(p, "etc/system-states", buf, sizeof(buf)), ==, 6);
    g_assert_cmpint(fw_file(p, "etc/none", buf, sizeof(buf)), ==, -1);
    test_pc_free(p);
    test_file_free(rom);
}

static void test_a20(void)
{
    char *rom;
    struct test_pc *p = firmware_pc(0, &rom);
    g_assert_true(p->m.a20_enabled);
    unsigned before = p->a20_changes;
    pc_out(p, 0x64, 0xd1, 1); /* output port: A20 off */
    pc_out(p, 0x60, 0xdd, 1);
    g_assert_false(p->m.a20_enabled);
    pc_out(p, 0x92, 0x02, 1);
    g_assert_true(p->m.a20_enabled);
    g_assert_cmpuint(p->a20_changes - before, ==, 2);
    pc_out(p, 0x92, 0x00, 1);
    g_assert_false(p->m.a20_enabled);
    test_pc_reset(p);
    g_assert_true(p->m.a20_enabled);
    test_pc_free(p);
    test_file_free(rom);
}

static void test_lines(void)
{
    char *rom;
    struct test_pc *p = firmware_pc(0, &rom);
    lock_acquire(&p->m.lock);
    irq_set(&p->m.gsi[4], 1);
    irq_set(&p->m.gsi[2], 1); /* nobody is there */
    irq_set(&p->m.gsi[20], 1);
    lock_release(&p->m.lock);
    pc_out(p, 0x20, 0x0a, 1); /* IRR */
    g_assert_cmphex(pc_in(p, 0x20, 1), ==, 0x10);
    pc_out(p, 0xf0, 0, 1);
    g_assert_cmpuint(p->ignnes, ==, 1);
    pc_out(p, 0xcf9, 0x06, 1);
    g_assert_cmpint(p->request, ==, REQ_RESET);
    test_pc_free(p);
    test_file_free(rom);
}

static void test_direct_boot_chipset(void)
{
    u8 k[0x800] = { 0 };
    struct err e = { "" };
    st32(k, 0x1badb002);
    st32(k + 4, 0x10000);
    st32(k + 8, -(0x1badb002u + 0x10000));
    for (unsigned i = 0; i < 5; i++)
        st32(k + 12 + 4 * i, i == 2 || i == 3 ? 0 : 0x100000);
    char *path = test_file(k, sizeof(k));
    struct test_pc *p = test_pc_new(&(struct machine_config){ .kernel = path }, &e);
    g_assert_cmpstr(e.msg, ==, "");
    for (unsigned round = 0; round < 2; round++) {
        aspace_write_uint(p->m.mem, 0xc8000, 0x11, 1); /* shadow RAM is open */
        g_assert_cmphex(pc_read(p, 0xc8000, 1), ==, 0x11);
        g_assert_cmphex(pc_in(p, 0x604, 2), !=, 0xffff); /* PM block */
        pc_out(p, 0xcf8, 0x80000920, 4);
        g_assert_cmphex(pc_in(p, 0xcfc, 4), ==, 0xc001); /* IDE bus master */
        pc_out(p, 0xcf8, 0x80000860, 4);
        g_assert_cmphex(pc_in(p, 0xcfc, 4), ==, 0x0b0b0a0a); /* PIRQ routes */
        g_assert_cmphex(pc_read(p, 0x40e, 2), ==, 0x9fc0);
        test_pc_reset(p);
    }
    test_pc_free(p);
    test_file_free(path);
}

static void check_refused(const struct machine_config *cfg, const char *a, const char *b)
{
    struct err e = { "" };
    g_assert_null(test_pc_new(cfg, &e));
    if (!strstr(e.msg, a) || !strstr(e.msg, b))
        g_error("'%s' does not name '%s' and '%s'", e.msg, a, b);
}

/* -L: firmware by its name alone. */
static void check_found_in_dir(const char *rom)
{
    g_autofree char *dir = g_path_get_dirname(rom), *name = g_path_get_basename(rom);
    const char *const dirs[] = { dir };
    struct err e = { "" };
    struct test_pc *p = test_pc_new(&(struct machine_config){ .bios = name, .data_dirs = dirs, .n_data_dirs = 1 }, &e);
    g_assert_cmpstr(e.msg, ==, "");
    test_pc_free(p);
}

static void test_refused(void)
{
    static const char *const same_id[] = { "isa-debug-exit,id=a", "isa-debug-exit,iobase=0xf5,id=a" };
    static const char *const unknown[] = { "floppy-from-mars" }, *const internal[] = { "PIIX3" },
                             *const bad_prop[] = { "isa-debug-exit,color=red" };
    static const char *const globals[][1] = { { "nothing.x=1" }, { "isa-debug-exit.color=1" }, { "isa-debug-exit" } };
    char *rom = rom_file(), *odd = test_file("short", 5), *empty = test_file("", 0), *tiny = test_file("x", 1);
    struct machine_config cfg = { .bios = rom, .n_devices = 1 };

    check_refused(&(struct machine_config){ .type = "vax" }, "-machine vax", "unknown");
    check_refused(&(struct machine_config){ .bios = odd }, "-bios", "64 KiB");
    check_refused(&(struct machine_config){ .bios = empty }, "-bios", "0 bytes");
    check_refused(&(struct machine_config){ .bios = "/nonexistent" }, "-bios", "No such file");
    check_found_in_dir(rom);
    check_refused(&(struct machine_config){ .image = tiny }, tiny, "neither");
    check_refused(&(struct machine_config){ .image = "/tmp" }, "image", "directory");
    cfg.devices = unknown;
    check_refused(&cfg, "-device floppy-from-mars", "no device");
    cfg.devices = internal;
    check_refused(&cfg, "-device PIIX3", "cannot be added");
    cfg.devices = bad_prop;
    check_refused(&cfg, "-device isa-debug-exit", "color");
    cfg.devices = same_id;
    cfg.n_devices = 2;
    check_refused(&cfg, "-device isa-debug-exit", "id 'a' already");
    cfg.n_devices = 0;
    cfg.n_globals = 1;
    for (unsigned i = 0; i < ARRAY_LEN(globals); i++) {
        cfg.globals = globals[i];
        check_refused(&cfg, "-global", globals[i][0]);
    }
    test_file_free(rom);
    test_file_free(odd);
    test_file_free(empty);
    test_file_free(tiny);
}

static void test_devices(void)
{
    static const char *const devices[] = { "isa-debug-exit,iobase=0xf4,iosize=4,id=x" };
    char *rom = rom_file();
    struct err e = { "" };
    struct machine_config cfg = { .type = "pc-i440fx-7.2", .bios = rom, .devices = devices, .n_devices = 1 };
    struct test_pc *p = test_pc_new(&cfg, &e);
    g_assert_cmpstr(e.msg, ==, "");
    struct device *d = p->m.devices;
    while (d->next)
        d = d->next;
    g_assert_cmpstr(d->id, ==, "x");
    pc_out(p, 0xf4, 1, 4);
    g_assert_cmpint(p->request, ==, REQ_EXIT);
    test_pc_free(p);
    test_file_free(rom);
}

/* bootorder, CMOS, user items. */
static bool has_device(const struct test_pc *p, const char *cls)
{
    const struct device *d = p->m.devices;
    while (d && strcmp(d->cls->name, cls))
        d = d->next;
    return d;
}

static void test_vmport(void)
{
    static const char *const globals[] = { "vmport.vmware-vmx-version=7" }, *const by_user[] = { "vmport" };
    char *rom = rom_file();
    struct err e = { "" };
    struct machine_config cfg = { .bios = rom, .globals = globals, .n_globals = 1 };
    struct test_pc *p = test_pc_new(&cfg, &e);
    g_assert_cmpstr(e.msg, ==, "");
    g_assert_true(has_device(p, "vmport"));
    test_pc_free(p);
    cfg.no_vmport = true;
    p = test_pc_new(&cfg, &e);
    g_assert_nonnull(p);
    g_assert_false(has_device(p, "vmport"));
    test_pc_free(p);
    check_refused(&(struct machine_config){ .bios = rom, .devices = by_user, .n_devices = 1 }, "-device vmport", "cannot be added");
    test_file_free(rom);
}

static void test_boot_order(void)
{
    static const char *const devices[] = { "pcie-root-port,id=rp,addr=4", "virtio-blk-pci,bus=rp,drive=d,bootindex=7", "e1000,bootindex=2,addr=5" };
    static const char *const items[] = { "opt/a,string=hello", "name=opt/b,file=/dev/null" };
    static const char *const twice[] = { "e1000,bootindex=2", "e1000,bootindex=2" };
    static u8 buf[65536];
    static const char want[] = "/pci@i0cf8/ethernet@5\n/pci@i0cf8/pci-bridge@4/scsi@0\nHALT";
    u8 disk[64 * 512] = { 0 };
    char *rom = rom_file(), *image = test_file(disk, sizeof(disk));
    struct err e = { "" };
    struct blk *b = blk_open("d", "-drive", image, false, &e);
    struct machine_config cfg = { .type = "q35", .bios = rom, .devices = devices, .n_devices = ARRAY_LEN(devices), .boot_strict = true,
                                  .boot_menu = true, .boot_order = "n", .boot_once = "dc", .fw_cfg = items, .n_fw_cfg = ARRAY_LEN(items),
                                  .splash_time = "1000", .nodefaults = true };
    struct test_pc *p = test_pc_new(&cfg, &e);
    g_assert_cmpstr(e.msg, ==, "");
    g_assert_cmpint(fw_file(p, "bootorder", buf, sizeof(buf)), ==, sizeof(want));
    g_assert_cmpstr((char *)buf, ==, want);
    g_assert_cmpint(fw_file(p, "opt/a", buf, sizeof(buf)), ==, 5);
    g_assert_cmpmem(buf, 5, "hello", 5);
    g_assert_cmpint(fw_file(p, "opt/b", buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(fw_file(p, "etc/boot-menu-wait", buf, sizeof(buf)), ==, 2);
    g_assert_cmpuint(ld16(buf), ==, 1000);
    g_assert_cmpint(fw_file(p, "etc/smbios/smbios-anchor", buf, sizeof(buf)), ==, 31);
    g_assert_cmphex(cmos(p, 0x3d), ==, 0x23); /* d, c: only once */
    test_pc_reset(p);
    g_assert_cmphex(cmos(p, 0x3d), ==, 0x04);
    g_assert_cmphex(cmos(p, 0x38), ==, 0);
    lock_acquire(&p->m.lock);
    p->m.board->set_boot_order(&p->m, "ac");
    lock_release(&p->m.lock);
    g_assert_cmphex(cmos(p, 0x3d), ==, 0x21);
    test_pc_reset(p); /* stays */
    g_assert_cmphex(cmos(p, 0x3d), ==, 0x21);
    test_pc_free(p);
    cfg.devices = twice;
    cfg.n_devices = 2;
    check_refused(&cfg, "bootindex", "2");
    cfg.n_devices = 0;
    for (unsigned i = 0; i < 4; i++) {
        static const char *const bad[4][2] = { { "opt/a", "file= and string=" }, { "string=x", "name=" }, { "etc/e820,string=x", "already" },
                                               { "opt/c,gen_id=x", "gen_id" } };
        cfg.fw_cfg = &bad[i][0];
        cfg.n_fw_cfg = 1;
        check_refused(&cfg, "-fw_cfg", bad[i][1]);
    }
    blk_close(b);
    test_file_free(rom);
    test_file_free(image);
}

static void test_power_button(void)
{
    char *rom;
    struct test_pc *p = firmware_pc(0, &rom);
    pc_out(p, 0xcf8, 0x80000b40, 4);
    pc_out(p, 0xcfc, 0x601, 4);
    pc_out(p, 0xcf8, 0x80000b80, 4);
    pc_out(p, 0xcfc, 1, 1);
    pc_out(p, 0xb2, 0xf1, 1); /* ACPI mode */
    pc_out(p, 0x602, 0x0100, 2);
    lock_acquire(&p->m.lock);
    p->m.power_button(&p->m);
    lock_release(&p->m.lock);
    g_assert_cmphex(pc_in(p, 0x600, 2) & 0x100, ==, 0x100);
    pc_out(p, 0x20, 0x0a, 1);
    pc_out(p, 0xa0, 0x0a, 1);
    g_assert_cmphex(pc_in(p, 0xa0, 1), ==, 0x02); /* SCI: IRQ 9 */
    pc_out(p, 0x600, 0x0100, 2);
    g_assert_cmphex(pc_in(p, 0x600, 2) & 0x100, ==, 0);
    pc_out(p, 0x604, 1 << 13, 2); /* SLP_EN with SLP_TYP of S5 */
    g_assert_cmpint(p->request, ==, REQ_SHUTDOWN);
    test_pc_free(p);
    test_file_free(rom);
}

/* Every device's state survives being written, read back and written again. */
static void test_state(void)
{
    char *rom;
    struct test_pc *p = firmware_pc(0, &rom);
    unsigned n = 0;
    pc_out(p, 0xcf8, 0x80000b40, 4);
    pc_out(p, 0xcfc, 0x601, 4);
    pc_out(p, 0x510, 0x19, 2);
    pc_in(p, 0x511, 1);
    lock_acquire(&p->m.lock);
    for (struct device *d = p->m.devices; d; d = d->next, n++) {
        GByteArray *a = g_byte_array_new(), *b = g_byte_array_new();
        struct err e = { "" };
        device_save(d, a);
        g_assert_cmpint(device_load(d, a->data, a->len, &e), ==, a->len);
        device_save(d, b);
        if (a->len != b->len || memcmp(a->data, b->data, a->len))
            g_error("%s: its state changes by saving and loading", d->cls->name);
        g_byte_array_unref(a);
        g_byte_array_unref(b);
    }
    lock_release(&p->m.lock);
    g_assert_cmpuint(n, >, 12);
    test_pc_free(p);
    test_file_free(rom);
}

/* A guest that writes anything anywhere: nothing may crash, assert or leave its memory. */
static void test_random_accesses(void)
{
    static const u16 ports[] = { 0x20, 0x40, 0x60, 0x70, 0x92, 0xa0, 0xb2, 0xf0, 0x1f0, 0x3f0, 0x4d0, 0x510, 0x518, 0x600, 0xc000,
                                 0xcf8, 0xcf8, 0xcfc, 0xcfc };
    static const u32 pages[] = { 0xa0000, 0xf0000, 0xfec00000, 0xfed00000, 0xfee00000, 0x1000 };
    GRand *r = g_rand_new_with_seed(42);
    u8 disk[64 * 512] = { 0 };
    char *rom = rom_file(), *image = test_file(disk, sizeof(disk));
    struct err e = { "" };
    struct test_pc *p = test_pc_new(&(struct machine_config){ .bios = rom, .image = image, .cpus = 2 }, &e);
    g_assert_cmpstr(e.msg, ==, "");
    for (unsigned i = 0; i < 400000; i++) {
        unsigned size = 1u << g_rand_int_range(r, 0, 3);
        u32 val = g_rand_boolean(r) ? g_rand_int(r) : g_rand_int(r) & 0xff;
        u16 port = ports[g_rand_int_range(r, 0, ARRAY_LEN(ports))] + g_rand_int_range(r, 0, 16);
        u64 gpa = pages[g_rand_int_range(r, 0, ARRAY_LEN(pages))] + (g_rand_int(r) & 0x3ff);
        if (port == 0xcf8)
            val = 0x80000000 | (val & 0xfffc); /* make the bridge listen */
        switch (g_rand_int_range(r, 0, 4)) {
        case 0: pc_in(p, port, size); break;
        case 1: pc_out(p, port, val, size); break;
        case 2: pc_read(p, gpa, size); break;
        case 3: aspace_write_uint(p->m.mem, gpa, val, size); break;
        }
        if (i % 20000 == 0)
            test_pc_reset(p);
    }
    test_pc_free(p);
    test_file_free(rom);
    test_file_free(image);
    g_rand_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pc/memory", test_memory);
    g_test_add_func("/pc/cmos", test_cmos);
    g_test_add_func("/pc/fw_cfg", test_fw_cfg);
    g_test_add_func("/pc/a20", test_a20);
    g_test_add_func("/pc/lines", test_lines);
    g_test_add_func("/pc/direct-boot-chipset", test_direct_boot_chipset);
    g_test_add_func("/pc/refused", test_refused);
    g_test_add_func("/pc/devices", test_devices);
    g_test_add_func("/pc/vmport", test_vmport);
    g_test_add_func("/pc/boot-order", test_boot_order);
    g_test_add_func("/pc/power-button", test_power_button);
    g_test_add_func("/pc/state", test_state);
    g_test_add_func("/pc/random-accesses", test_random_accesses);
    return g_test_run();
}
