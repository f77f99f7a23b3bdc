/* Fuzz target: storage controllers: a guest that writes anything to the registers of IDE, AHCI, floppy and ISA DMA controllers, gives them
 * any commands, descriptor tables and SCSI CDBs, with completions, resets, saves and damaged saved states in between. */
#include "tests/fuzz/fuzz.h"
#include <glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/backend/drive.h"
#include "hw/pci/pci.h"
#include "hw/storage/ahci.h"
#include "hw/storage/fdc.h"
#include "hw/storage/ide.h"
#include "hw/storage/scsi.h"
#include "tests/lib/fake_machine.h"

enum { DISKS = 7, BM = 0xc000, ABAR = 0xf0000000, AREA = 0x10000, OPS = 400 };

static struct fake_machine *f;
static struct device *ide, *ahci, hba;
static struct scsi_bus bus;
static struct scsi_req req;
static bool req_busy;
static u8 *req_buf;
static struct blk *blk[DISKS];
static int fd[DISKS];
static const u32 size[DISKS] = { 2048 * 512, 600 * 2048, 2048 * 512, 600 * 2048, 2880 * 512, 2048 * 512, 600 * 2048 };

static void settle(void)
{
    lock_acquire(&f->m.lock);
    for (unsigned i = 0; i < DISKS; i++)
        blk_drain(blk[i]);
    lock_release(&f->m.lock);
}

static void on_data(struct scsi_req *r)
{
    u32 n = r->len - r->moved > 65536 ? 65536 : r->len - r->moved, half = n / 3;
    struct iovec iov[2] = { { req_buf, half }, { req_buf + half, n - half } };
    scsi_data(r, iov, 2);
}

static void on_done(struct scsi_req *r) { req_busy = false; }
static void on_cancelled(struct scsi_bus *b, struct scsi_req *r) { req_busy = false; }
static const struct scsi_req_ops req_ops = { on_data, on_done };
static const struct scsi_bus_ops bus_ops = { .cancelled = on_cancelled };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e = { "" };
    f = fake_machine_new(1);
    f->m.cfg.nodefaults = true;
    req_buf = g_malloc0(65536);
    for (unsigned i = 0; i < DISKS; i++) {
        char path[40], id[8];
        fd[i] = memfd_create("disk", MFD_CLOEXEC);
        g_assert_cmpint(ftruncate(fd[i], size[i]), ==, 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[i]);
        snprintf(id, sizeof(id), "d%u", i);
        blk[i] = blk_open(id, "image", path, false, &e);
        g_assert_cmpstr(e.msg, ==, "");
    }
    drive_add(DRIVE_IDE, 0, 0, false, blk[0], "-hda", &e);
    drive_add(DRIVE_IDE, 1, 0, true, blk[1], "-cdrom", &e);
    drive_add(DRIVE_FLOPPY, 0, 0, false, blk[4], "-fda", &e);
    lock_acquire(&f->m.lock);
    f->m.pci = pci_bus_new(&f->m);
    ide = piix3_ide_new(&f->m, &e);
    drives_free();
    drive_add(DRIVE_IDE, 0, 0, false, blk[2], "-hda", &e);
    drive_add(DRIVE_IDE, 1, 0, true, blk[3], "-cdrom", &e);
    drive_add(DRIVE_FLOPPY, 0, 0, false, blk[4], "-fda", &e);
    ahci = ahci_new(&f->m, "1f.2", &e);
    g_assert_nonnull(device_create(&f->m, "i8257", NULL, NULL, &e));
    g_assert_nonnull(fdc_new(&f->m, &e));
    hba.m = &f->m;
    scsi_bus_init(&bus, &hba, &bus_ops, &f->m.lock, 1, 2, 1);
    device_create(&f->m, "scsi-hd", NULL, "drive=d5,scsi-id=0", &e);
    device_create(&f->m, "scsi-cd", NULL, "drive=d6,scsi-id=1", &e);
    lock_release(&f->m.lock);
    g_assert_cmpstr(e.msg, ==, "");
    return 0;
}

static void config(void)
{
    struct pci_device *p = (struct pci_device *)ide, *a = (struct pci_device *)ahci;
    lock_acquire(&f->m.lock);
    pci_config_write(p->bus, p->devfn, PCI_BAR0 + 16, BM, 4);
    pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MASTER, 2);
    pci_config_write(a->bus, a->devfn, PCI_BAR0 + 20, ABAR, 4);
    pci_config_write(a->bus, a->devfn, PCI_COMMAND, PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
    piix3_ide_enable(ide);
    lock_release(&f->m.lock);
    for (unsigned n = 0; n < 2; n++) {
        u32 port = ABAR + 0x100 + 0x80 * n;
        fm_write(f, port, AREA + n * 0x400, 4);
        fm_write(f, port + 8, AREA + 0x1000 + n * 0x100, 4);
        fm_write(f, port + 0x18, 0x17, 4);
        fm_write(f, port + 0x14, ~0u, 4);
    }
    fm_write(f, ABAR + 4, 0x80000002, 4);
    fm_out(f, BM + 4, AREA + 0x8000, 4);
    fm_out(f, BM + 12, AREA + 0x8000, 4);
}

/* -- what the guest does --------------------------------------------------------------------------------------------------- */

static void any_port(struct fuzz_in *in, u8 op)
{
    static const u16 base[] = { 0x1f0, 0x170, 0x3f6, 0x376, BM, BM + 8, 0x3f0, 0x00, 0xc0, 0x80 };
    u8 where = fuzz_take(in, 1);
    u16 port = base[(where >> 4) % ARRAY_LEN(base)] + (where & 15);
    unsigned n = 1 << (op >> 4 & 3);
    if (n == 8)
        n = 2;
    if (op & 0x80)
        fm_in(f, port, n);
    else
        fm_out(f, port, fuzz_take(in, n), n);
}

static void task_file(struct fuzz_in *in)
{
    u8 flags = fuzz_take(in, 1), cmd = fuzz_take(in, 1);
    u16 base = flags & 1 ? 0x170 : 0x1f0;
    fm_out(f, base + 6, flags & 0x70, 1);
    for (unsigned i = 1; i < 6; i++)
        if (flags & 0x80)
            fm_out(f, base + i, fuzz_take(in, 1), 1);
    for (unsigned i = 1; i < 6; i++)
        fm_out(f, base + i, i < 3 || (flags & 0x02) ? fuzz_take(in, 1) : 0, 1);
    fm_out(f, base + 7, cmd, 1);
    if (flags & 0x04)
        fm_out(f, BM + (flags & 1) * 8, flags & 0x08 ? 9 : 1, 1);
}

static void move_pio(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u16 base = how & 1 ? 0x170 : 0x1f0;
    for (unsigned n = (how >> 2) * 32; n; n--) {
        if (how & 2)
            fm_out(f, base, n * 0x01010101u, 4);
        else
            fm_in(f, base, 4);
    }
}

static void packet(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    fm_out(f, 0x176, 0xa0, 1);
    fm_out(f, 0x171, how & 1, 1);
    fm_out(f, 0x174, fuzz_take(in, 1), 1);
    fm_out(f, 0x175, how & 2 ? fuzz_take(in, 1) : 0x10, 1);
    fm_out(f, 0x177, 0xa0, 1);
    for (unsigned i = 0; i < 6; i++)
        fm_out(f, 0x170, fuzz_take(in, 2), 2);
    if (how & 1)
        fm_out(f, BM + 8, 9, 1);
}

static void ahci_register(struct fuzz_in *in, u8 op)
{
    u8 where = fuzz_take(in, 1);
    u32 reg = where & 0x40 ? (where & 15) * 4 : 0x100 + (where >> 4 & 3) * 0x80 + (where & 15) * 4;
    if (op & 0x80)
        fm_read(f, ABAR + reg, 4);
    else
        fm_write(f, ABAR + reg, fuzz_take(in, 4), 4);
}

static void ahci_command(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1), slot = how >> 3, port = how & 1;
    u32 table = AREA + 0x2000 + slot * 0x100, header = AREA + port * 0x400 + slot * 32;
    fm_write(f, table, 0x8027 | fuzz_take(in, 2) << 16, 4);
    for (unsigned i = 4; i < 16; i += 4)
        fm_write(f, table + i, fuzz_take(in, 4) & (how & 2 ? ~0u : 0x40ff0fff), 4);
    if (how & 4)
        fm_write(f, table + 12, slot << 3, 4);
    for (unsigned i = 0; i < 12 && port; i += 4)
        fm_write(f, table + 0x40 + i, fuzz_take(in, 4), 4);
    fm_write(f, table + 0x80, AREA + 0x20000 + fuzz_take(in, 1) * 0x100, 8);
    fm_write(f, table + 0x8c, fuzz_take(in, 3), 4);
    fm_write(f, header, fuzz_take(in, 1) | fuzz_take(in, 1) << 16, 4);
    fm_write(f, header + 8, table, 8);
    if (how & 4)
        fm_write(f, ABAR + 0x100 + port * 0x80 + 0x34, BIT(slot), 4);
    fm_write(f, ABAR + 0x100 + port * 0x80 + 0x38, BIT(slot), 4);
}

static void floppy_command(struct fuzz_in *in)
{
    u8 n = fuzz_take(in, 1), len = n % 10;
    if (n & 0x80) { /* ready for DMA */
        fm_out(f, 0x0a, 6, 1);
        fm_out(f, 0x0c, 0, 1);
        fm_out(f, 0x81, 2, 1);
        fm_out(f, 5, fuzz_take(in, 1), 1);
        fm_out(f, 5, fuzz_take(in, 1) & 0x3f, 1);
        fm_out(f, 0x0b, n & 0x40 ? 0x46 : 0x4a, 1);
        fm_out(f, 0x0a, 2, 1);
    }
    while (len--)
        fm_out(f, 0x3f5, fuzz_take(in, 1), 1);
}

static void scsi_command(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    lock_acquire(&f->m.lock);
    if (req_busy)
        scsi_cancel(&req);
    for (unsigned i = 0; i < SCSI_CDB_SIZE; i++)
        req.cdb[i] = fuzz_take(in, 1);
    req.ops = &req_ops;
    req.lu = scsi_find(&bus, 0, how & 1, 0);
    for (unsigned i = 0; i < 64 && (how & 2); i++)
        req_buf[i] = fuzz_take(in, 1);
    req_busy = true;
    if (how & 0x80)
        scsi_start_absent(&bus, 0, how & 1, &req);
    else
        scsi_start(&req);
    lock_release(&f->m.lock);
}

/* Saves a device, changes some bytes if asked, loads it. */
static void reload(struct fuzz_in *in, u8 op)
{
    u8 n = fuzz_take(in, 1) % 12;
    struct device *d = f->m.devices;
    GByteArray *a = g_byte_array_new();
    struct err e = { "" };
    while (n-- && d->next)
        d = d->next;
    lock_acquire(&f->m.lock);
    for (unsigned i = 0; i < DISKS; i++)
        blk_drain(blk[i]);
    device_save(d, a);
    for (unsigned i = op >> 5; i; i--)
        a->data[fuzz_take(in, 2) % MIN_OF(a->len, 2048)] = fuzz_take(in, 1);
    device_load(d, a->data, a->len, &e);
    lock_release(&f->m.lock);
    g_byte_array_unref(a);
}

static void write_memory(struct fuzz_in *in)
{
    u16 at = fuzz_take(in, 2);
    fm_write(f, AREA + at * 4u, fuzz_take(in, 4), 4);
}

static void run_op(struct fuzz_in *in)
{
    u8 op = fuzz_take(in, 1);
    switch (op & 15) {
    case 0: case 1: case 2: any_port(in, op); break;
    case 3: case 4: task_file(in); break;
    case 5: move_pio(in); break;
    case 6: packet(in); break;
    case 7: ahci_register(in, op); break;
    case 8: case 9: ahci_command(in); break;
    case 10: floppy_command(in); break;
    case 11: scsi_command(in); break;
    case 12: write_memory(in); break;
    case 13: settle(); break;
    case 14: reload(in, op); break;
    case 15:
        if (op & 0x10)
            fm_reset(f);
        else
            config();
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    struct fuzz_in in = { data, data + len };
    for (u32 i = 0; i < 0x40000; i += 8)
        fm_write(f, AREA + i, i < 0x8000 ? 0 : i < 0x10000 ? 0x80000000ull << 32 | (u64)0x2000 << 32 | (AREA + 0x20000) : 0, 8);
    fm_reset(f);
    config();
    for (unsigned i = 0; i < OPS && in.p < in.end; i++)
        run_op(&in);
    fm_reset(f);
    lock_acquire(&f->m.lock);
    if (req_busy)
        scsi_cancel(&req);
    req_busy = false;
    lock_release(&f->m.lock);
    settle();
    for (unsigned i = 0; i < DISKS; i++) { /* the next input finds empty disks */
        g_assert_cmpint(ftruncate(fd[i], 0), ==, 0);
        g_assert_cmpint(ftruncate(fd[i], size[i]), ==, 0);
    }
    return 0;
}
