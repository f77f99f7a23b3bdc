/* Fuzz target: what every PC has, in both machine types: a guest that writes anything to the ports and registers of the chipset (PCI
 * configuration, shadow RAM, power management, hot plug, fw_cfg with its DMA, flash memory, timers, interrupt controllers and APICs, RTC,
 * serial ports, watchdogs, VMware's port and pointer), while devices are plugged and unplugged, with resets, saves and damaged saved states in
 * between. After a reset fw_cfg still knows its signature. */
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/backend/chr_impl.h"
#include "hw/backend/drive.h"
#include "hw/core/input.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_chr.h"
#include "tests/lib/test_pc.h"
#include "util/opts.h"

enum { RAM_SIZE = 2 * MiB, FLASH_SIZE = 256 * KiB, OPS = 300, DESC = 0x8000, CPUS = 2 };

static const char *const devices[] = { "pvpanic", "ib700", "i6300esb", "isa-debug-exit", "pc-testdev", "virtio-rng-pci,id=d0" };
static const char *const slot_devices[] = { "pvpanic", "ib700", "i6300esb", "isa-debug-exit", "pcie-root-port,id=rp0,chassis=1",
                                            "pcie-root-port,id=rp1,chassis=2", "virtio-rng-pci,id=d0,bus=rp0" };
static const char *const items[] = { "name=opt/a,string=text", "name=opt/b,string=" };
static struct test_pc *p;
static struct machine *m;
static struct chr *serial;
static int flash_fd;
static char flash_path[40];
static u32 regs[IO_REGS]; /* the vCPU's */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    flash_fd = memfd_create("flash", MFD_CLOEXEC);
    snprintf(flash_path, sizeof(flash_path), "/proc/self/fd/%d", flash_fd);
    return 0;
}

static void add_flash(void)
{
    struct err e = { "" };
    struct blk *b = blk_open("flash", "-drive", flash_path, false, &e);

    g_assert_nonnull(b);
    g_assert_cmpint(drive_add(DRIVE_PFLASH, 0, 0, false, b, "-drive", &e), ==, 0);
}

static bool regs_get(void *opaque, u32 r[IO_REGS])
{
    memcpy(r, regs, sizeof(regs));
    return true;
}

static void regs_set(void *opaque, enum io_reg n, u32 val) { regs[n] = val; }

static void begin(u8 how)
{
    bool q35 = how & 1, flash = how & 2;
    struct machine_config cfg = { .type = q35 ? "q35" : "pc", .ram_size = RAM_SIZE, .bios = flash ? NULL : flash_path, .cpus = CPUS, .usb = (how & 5) == 4,
                                  .nodefaults = true, .fw_cfg = items, .n_fw_cfg = ARRAY_LEN(items), .devices = q35 ? slot_devices : devices,
                                  .n_devices = q35 ? ARRAY_LEN(slot_devices) : ARRAY_LEN(devices) };
    struct err e = { "" };

    g_assert_cmpint(ftruncate(flash_fd, 0), ==, 0);
    g_assert_cmpint(ftruncate(flash_fd, FLASH_SIZE), ==, 0);
    if (flash)
        add_flash();
    serial = cfg.serial_chr[0] = fake_chr_new("serial");
    p = test_pc_new_stepped(&cfg, &e);
    g_assert_cmpstr(e.msg, ==, "");
    m = &p->m;
    m->io_regs = (struct io_regs_ops){ NULL, regs_get, regs_set };
}

static void end(void)
{
    test_pc_free(p);
    drives_free();
    blk_close_all();
    chr_free_all();
}

static void pass(i64 ns)
{
    lock_acquire(&m->lock);
    clock_step(m->clock, ns);
    lock_release(&m->lock);
}

/* -- what the guest does --------------------------------------------------------------------------------------------------- */

/* VMware's port: a command and, mostly, words that mean something to it. */
static void backdoor(struct fuzz_in *in, u8 how)
{
    static const u32 words[] = { 0x45414552, 0xf5, 0x4c455252, 0x53424152 };
    u32 word = how & 0x20 ? words[how >> 3 & 3] : (u32)fuzz_take(in, 1), command = how & 4 ? (u32)fuzz_take(in, 1) : 39u + (how & 3);
    const u32 r[IO_REGS] = { 0x564d5868 ^ (how & 0x40), word, command, 0x5658, 1, 2 };

    memcpy(regs, r, sizeof(r));
    if (how & 0x80)
        pc_in(p, 0x5658, 4);
    else
        pc_out(p, 0x5658, 0, 4);
}

static void port(struct fuzz_in *in)
{
    static const u16 base[] = { 0x510, 0x514, 0x600, 0x620, 0xae00, 0xae10, 0xcf8, 0xcfc, 0x92, 0xcf9, 0x20, 0xa0, 0x4d0, 0x40, 0x61, 0x70,
                                0x72, 0x60, 0x64, 0x3f8, 0x3f0, 0xb2, 0x441, 0x505, 0x660, 0x630, 0x00, 0xc0, 0x80, 0xf4, 0xf0, 0xe0, 0x2000, 0x402 };
    u8 where = fuzz_take(in, 1), how = fuzz_take(in, 1);
    u16 at = where < 240 || where >= 248 ? (u16)(base[where % ARRAY_LEN(base)] + (how & 15)) : (u16)fuzz_take(in, 2);
    unsigned n = 1u << (how >> 4) % 3;

    if (where >= 248)
        backdoor(in, how);
    else if (how & 0x80)
        pc_in(p, at, n);
    else
        pc_out(p, at, fuzz_take(in, n), n);
}

static void memory(struct fuzz_in *in)
{
    static const u64 base[] = { 0xfed00000, 0xfed00100, 0xfec00000, 0xb0000000, 0xfffc0000, 0xc0000, 0xa0000, 0xf0000, 0xfed1c000, 0xe0000000,
                                0xfeb00000, 0x100000, 0xff000000, DESC };
    u8 where = fuzz_take(in, 1), how = fuzz_take(in, 1);
    u64 at = base[where % ARRAY_LEN(base)] + (how & 0x40 ? fuzz_take(in, 3) : fuzz_take(in, 1) * 4);
    unsigned n = 1u << (how & 3);

    if (how & 0x80)
        aspace_read_uint(m->mem, at, n);
    else
        aspace_write_uint(m->mem, at, fuzz_take(in, n), n);
}

/* A configuration cycle, on any bus; BARs are placed where `memory` finds them. */
static void configure(struct fuzz_in *in)
{
    u32 how = fuzz_take(in, 1), devfn = fuzz_take(in, 1), reg = fuzz_take(in, 1);
    u32 v = fuzz_take(in, 4);

    if (how & 8) {
        reg = 0x10 + reg % 6 * 4;
        v = how & 0x10 ? 0xfeb00000 : 0xc001;
    }
    pc_out(p, 0xcf8, 0x80000000 | (how & 7) << 16 | devfn << 8 | (reg & 0xfc), 4);
    if (how & 0x80)
        pc_in(p, 0xcfc + (reg & 3), 1u << (how >> 5) % 3);
    else
        pc_out(p, 0xcfc + (reg & 3), v, 1u << (how >> 5) % 3);
    if (how & 0x10 && !(how & 0x80)) {
        pc_out(p, 0xcf8, 0x80000000 | (how & 7) << 16 | devfn << 8 | 4, 4);
        pc_out(p, 0xcfc, 7, 2);
    }
}

static void put_big(u64 at, u64 v, unsigned n)
{
    while (n--) {
        m->ram->host[at + n] = (u8)v;
        v >>= 8;
    }
}

static void item(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u64 at = DESC + (fuzz_take(in, 1) & 15) * 8, key = fuzz_take(in, how & 1 ? 2 : 1);

    put_big(at, key << 16 | fuzz_take(in, 1), 4);
    put_big(at + 4, fuzz_take(in, how & 2 ? 4 : 2), 4);
    put_big(at + 8, how & 4 ? fuzz_take(in, 8) : fuzz_take(in, 3) % RAM_SIZE, 8);
    if (how & 8)
        pc_out(p, 0x514, __builtin_bswap32(fuzz_take(in, 4)), 4);
    pc_out(p, 0x518, __builtin_bswap32(how & 16 ? fuzz_take(in, 4) : at), 4);
}

static void apic(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    void *a = m->lapic[how & 1];
    u64 off = (u64)fuzz_take(in, 1) << 4, v;

    switch (how >> 1 & 7) {
    case 0: m->lapic_ops->mmio_read(a, off, 4); break;
    case 1: case 2: m->lapic_ops->mmio_write(a, off, fuzz_take(in, 4), 4); break;
    case 3: m->lapic_ops->x2_read(a, 0x800 + (off >> 4), &v); break;
    case 4: m->lapic_ops->x2_write(a, 0x800 + (off >> 4), fuzz_take(in, 8)); break;
    case 5: m->lapic_ops->set_base(a, 0xfee00000 | fuzz_take(in, 2)); break;
    case 6: m->lapic_ops->ack(a); break;
    default:
        if (how & 0x80)
            m->lapic_ops->set_pv_eoi(a, fuzz_take(in, 4));
        else if (how & 0x40)
            m->lapic_ops->set_tsc_deadline(a, fuzz_take(in, 4));
        else
            m->lapic_ops->pv_ipi(a, how >> 4 & 3, fuzz_take(in, 4));
    }
}

/* -- what the user does ------------------------------------------------------------------------------------------------------ */

static void plug(struct fuzz_in *in)
{
    static const char *const more[] = { "virtio-rng-pci", "e1000,romfile=", "pcie-root-port,chassis=7", "pci-bridge,chassis_nr=3", "pvpanic-pci",
                                        "virtio-balloon-pci", "qemu-xhci", "i6300esb" };
    u8 how = fuzz_take(in, 1);
    char text[100], id[8];
    struct err e;

    snprintf(id, sizeof(id), "d%u", how & 3);
    lock_acquire(&m->lock);
    if (how & 0x80) {
        struct device *d = device_find(m, id);
        if (d)
            device_del(d, &e);
    } else {
        snprintf(text, sizeof(text), "%s,id=%s%s", more[how >> 2 & 7], id, how & 0x20 ? ",bus=rp1" : how & 0x40 ? ",addr=4.1,multifunction=on" : "");
        struct opts *o = opts_parse(text, "driver", &e);
        device_add(m, o, &e);
        opts_free(o);
    }
    lock_release(&m->lock);
}

static void point(struct fuzz_in *in, u8 how)
{
    int x = (i16)fuzz_take(in, 2), y = (i16)fuzz_take(in, 2), wheel = (i8)fuzz_take(in, 1);

    lock_acquire(&m->lock);
    if (how & 8)
        input_abs(m->input, x, y, wheel, how >> 4);
    else
        input_rel(m->input, x, y, wheel, how >> 4);
    lock_release(&m->lock);
}

static void press(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1), c[4];

    if (how & 1) {
        lock_acquire(&m->lock);
        m->power_button(m);
        lock_release(&m->lock);
    } else if (how & 2) {
        fake_chr_break(serial);
    } else if (how & 4) {
        point(in, how);
    } else {
        for (unsigned i = 0; i < sizeof(c); i++)
            c[i] = fuzz_take(in, 1);
        chr_deliver(serial, c, MIN_OF(chr_can_read(serial), (unsigned)sizeof(c)));
    }
}

static void reset(struct fuzz_in *in)
{
    lock_acquire(&m->lock);
    m->suspended = fuzz_take(in, 1) & 1;
    machine_reset(m);
    lock_release(&m->lock);
}

/* Saves a device, changes some bytes, loads it: accepted or refused. */
static void reload(struct fuzz_in *in)
{
    u8 n = fuzz_take(in, 1), changes = fuzz_take(in, 1) & 7;
    struct device *d = m->devices;
    GByteArray *a = g_byte_array_new();
    struct err e;

    for (n &= 63; n && d->next; n--)
        d = d->next;
    lock_acquire(&m->lock);
    device_save(d, a);
    while (changes--)
        a->data[fuzz_take(in, 2) % a->len] = fuzz_take(in, 1);
    if (device_load(d, a->data, a->len, &e) < 0 && d->cls->reset)
        d->cls->reset(d);
    lock_release(&m->lock);
    g_byte_array_unref(a);
}

static void wait_some(struct fuzz_in *in)
{
    i64 ns = (i64)fuzz_take(in, 2);

    pass(ns << (fuzz_take(in, 1) & 15));
}

/* The first byte: the machine, firmware in flash memory, a USB controller. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static void (*const op[])(struct fuzz_in *) = { port, port, port, memory, memory, configure, configure, item, apic, wait_some, plug, press, reset, reload };
    struct fuzz_in in = { data, data + size };
    char signature[5] = "";

    begin(fuzz_take(&in, 1));
    for (unsigned n = 0; n < OPS && in.p < in.end; n++)
        op[fuzz_take(&in, 1) % ARRAY_LEN(op)](&in);
    test_pc_reset(p);
    for (unsigned i = 0; i < 4; i++)
        signature[i] = (char)pc_in(p, 0x511, 1);
    g_assert_cmpstr(signature, ==, "QEMU");
    end();
    return 0;
}
