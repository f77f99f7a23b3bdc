/* AHCI: device detection, commands of every protocol through the command list, NCQ, errors, resets in flight, MSI, saving. */
#include <fcntl.h>
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/backend/drive.h"
#include "hw/pci/pci.h"
#include "hw/storage/ahci.h"
#include "hw/storage/ata.h"
#include "mmu/dma.h"
#include "tests/lib/failing_disk.h"
#include "tests/lib/fake_machine.h"

enum { SECTORS = 4096, ABAR = 0xf0000000, LIST = 0x10000, FIS = 0x8000, TABLES = 0x20000, DATA = 0x100000 };
enum { IS = 0x10, IE = 0x14, CMD = 0x18, TFD = 0x20, SIG = 0x24, SSTS = 0x28, SCTL = 0x2c, SERR = 0x30, SACT = 0x34, CI = 0x38 };

struct fixture {
    struct fake_machine *f;
    struct blk *blk, *cd_blk;
    struct device *ahci;
    char *path;
};

static void lock(struct fixture *x) { lock_acquire(&x->f->m.lock); }
static void unlock(struct fixture *x) { lock_release(&x->f->m.lock); }
static u32 rd(struct fixture *x, unsigned reg) { return fm_read(x->f, ABAR + reg, 4); }
static void wr(struct fixture *x, unsigned reg, u32 v) { fm_write(x->f, ABAR + reg, v, 4); }
static u32 prd(struct fixture *x, unsigned port, unsigned reg) { return rd(x, 0x100 + 0x80 * port + reg); }
static void pwr(struct fixture *x, unsigned port, unsigned reg, u32 v) { wr(x, 0x100 + 0x80 * port + reg, v); }

static void settle(struct fixture *x)
{
    lock(x);
    blk_drain(x->blk);
    blk_drain(x->cd_blk);
    unlock(x);
}

static void config(struct fixture *x)
{
    struct pci_device *p = (struct pci_device *)x->ahci;

    lock(x);
    pci_config_write(p->bus, p->devfn, PCI_BAR0 + 20, ABAR, 4);
    pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
    unlock(x);
}

/* What a driver does first. */
static void start_port(struct fixture *x, unsigned port)
{
    pwr(x, port, 0x00, LIST + port * 0x400);
    pwr(x, port, 0x08, FIS + port * 0x100);
    pwr(x, port, CMD, 0x16);
    pwr(x, port, SERR, ~0u);
    pwr(x, port, IS, ~0u);
    pwr(x, port, CMD, 0x17);
    pwr(x, port, IE, 0x7dc000ff);
    wr(x, 0x04, 0x80000002);
}

static void setup(struct fixture *x)
{
    struct err e = { "" };
    u8 *data = g_malloc(SECTORS * 512);
    int fd;

    *x = (struct fixture){ 0 };
    fd = g_file_open_tmp("gemel-ahci-XXXXXX", &x->path, NULL);
    for (u32 i = 0; i < SECTORS * 128; i++)
        st32(data + 4 * i, i / 128 << 16 | i % 128);
    g_assert_cmpint(write(fd, data, SECTORS * 512), ==, SECTORS * 512);
    close(fd);
    g_free(data);
    x->f = fake_machine_new(1);
    x->f->m.cfg.nodefaults = true;
    x->blk = blk_open("hda", "image", x->path, false, &e);
    x->cd_blk = blk_open("cd", "image", "/proc/self/exe", true, &e);
    drive_add(DRIVE_IDE, 0, 0, false, x->blk, "-hda", &e);
    drive_add(DRIVE_IDE, 2, 0, true, x->cd_blk, "-cdrom", &e);
    lock(x);
    x->f->m.pci = pci_bus_new(&x->f->m);
    x->ahci = ahci_new(&x->f->m, "1f.2", &e);
    unlock(x);
    g_assert_cmpstr(e.msg, ==, "");
    fm_reset(x->f);
    config(x);
    start_port(x, 0);
    start_port(x, 2);
}

static void teardown(struct fixture *x)
{
    lock(x);
    device_free(x->ahci);
    unlock(x);
    fake_machine_free(x->f);
    drives_free();
    blk_close(x->blk);
    blk_close(x->cd_blk);
    unlink(x->path);
    g_free(x->path);
}

struct command {
    u8 cmd, features;
    u64 lba;
    u16 count, features16;
    u8 device;
    bool write, ncq;
    const u8 *packet;
    u32 len, split; /* bytes of data at DATA + slot * 64 KiB; of the first piece, if not 0 */
};

static u32 data_at(unsigned slot) { return DATA + slot * 0x10000; }

static void put(struct fixture *x, unsigned port, unsigned slot, const struct command *c)
{
    u32 table = TABLES + slot * 0x200, n = c->split ? 2 : c->len ? 1 : 0, first = c->split ? c->split : c->len;
    u8 fis[20] = { 0x27, 0x80, c->cmd, c->ncq ? (u8)c->features16 : c->features };

    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = c->lba >> (8 * i);
        fis[8 + i] = c->lba >> (24 + 8 * i);
    }
    fis[7] = c->device;
    fis[11] = c->ncq ? c->features16 >> 8 : 0;
    fis[12] = c->ncq ? slot << 3 : c->count;
    fis[13] = c->ncq ? 0 : c->count >> 8;
    dma_write(x->f->m.mem, table, fis, sizeof(fis));
    if (c->packet)
        dma_write(x->f->m.mem, table + 0x40, c->packet, 12);
    fm_write(x->f, table + 0x80, data_at(slot), 8);
    fm_write(x->f, table + 0x8c, first - 1, 4);
    fm_write(x->f, table + 0x90, data_at(slot) + 0x8000, 8);
    fm_write(x->f, table + 0x9c, c->len - first - 1, 4);
    u32 header = LIST + port * 0x400 + slot * 32;
    fm_write(x->f, header, 5 | (c->write ? 0x40 : 0) | (c->packet ? 0x20 : 0) | n << 16, 4);
    fm_write(x->f, header + 4, 0, 4);
    fm_write(x->f, header + 8, table, 8);
    if (c->ncq)
        pwr(x, port, SACT, BIT(slot));
}

static u32 run(struct fixture *x, unsigned port, const struct command *c)
{
    put(x, port, 3, c);
    pwr(x, port, CI, BIT(3));
    settle(x);
    return prd(x, port, TFD) & 0xff;
}

static u32 moved(struct fixture *x, unsigned port) { return fm_read(x->f, LIST + port * 0x400 + 3 * 32 + 4, 4); }

static void check_memory(struct fixture *x, u32 addr, u32 lba, u32 len)
{
    for (u32 i = 0; i < len; i += 4)
        g_assert_cmphex(fm_read(x->f, addr + i, 4), ==, (lba + i / 512) << 16 | (i % 512) / 4);
}

static u32 disk_word(struct fixture *x, u64 off)
{
    u8 b[4];
    g_assert_cmpint(blk_pread(x->blk, off, b, 4), ==, 0);
    return ld32(b);
}

static void test_detect(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(rd(&x, 0x10), ==, 0x00010300);
    g_assert_cmphex(rd(&x, 0x0c), ==, 0x3f);
    g_assert_cmphex(prd(&x, 0, SSTS), ==, 0x123);
    g_assert_cmphex(prd(&x, 0, SIG), ==, 0x00000101);
    g_assert_cmphex(prd(&x, 0, TFD), ==, 0x150);
    g_assert_cmphex(prd(&x, 2, SIG), ==, 0xeb140101);
    g_assert_cmphex(prd(&x, 1, SSTS), ==, 0);
    g_assert_cmphex(prd(&x, 1, TFD), ==, 0x7f);
    g_assert_cmphex(fm_read(x.f, FIS + 0x40, 1), ==, 0x34);
    pwr(&x, 0, SCTL, 0x301); /* COMRESET */
    g_assert_cmphex(prd(&x, 0, SSTS), ==, 0);
    pwr(&x, 0, SCTL, 0x300);
    g_assert_cmphex(prd(&x, 0, SSTS), ==, 0x123);
    g_assert_cmphex(prd(&x, 0, SERR), ==, 1 << 26);
    g_assert_cmphex(prd(&x, 0, IS) & 0x40, ==, 0x40);
    g_assert_cmphex(rd(&x, 0x08), ==, 1);
    pwr(&x, 0, SERR, ~0u);
    pwr(&x, 0, IS, ~0u);
    wr(&x, 0x08, 1);
    g_assert_cmphex(rd(&x, 0x08), ==, 0);
    wr(&x, 0x04, 0x80000001); /* HBA reset */
    g_assert_cmphex(rd(&x, 0x04), ==, 0x80000000);
    g_assert_cmphex(prd(&x, 0, CMD), ==, 0x06);
    teardown(&x);
}

static void test_commands(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xec, .len = 512 }), ==, 0x50); /* PIO in */
    g_assert_cmpuint(moved(&x, 0), ==, 512);
    g_assert_cmphex(prd(&x, 0, CI), ==, 0);
    g_assert_cmphex(prd(&x, 0, IS), ==, 2); /* PIO setup */
    g_assert_cmphex(fm_read(x.f, data_at(3) + 152, 2), ==, 0x0106);
    pwr(&x, 0, IS, ~0u);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0x25, .lba = 30, .count = 9, .device = 0x40, .len = 9 * 512, .split = 514 }), ==, 0x50);
    g_assert_cmphex(prd(&x, 0, IS), ==, 1);
    g_assert_cmpuint(moved(&x, 0), ==, 9 * 512);
    check_memory(&x, data_at(3), 30, 512);
    g_assert_cmphex(fm_read(x.f, data_at(3) + 512, 2), ==, 0);
    g_assert_cmphex(fm_read(x.f, data_at(3) + 0x8000, 2), ==, 31);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0x20, .lba = 60, .count = 100, .device = 0x40, .len = 100 * 512 }), ==, 0x50);
    check_memory(&x, data_at(3), 60, 0x8000);
    for (u32 i = 0; i < 70 * 512; i += 4)
        fm_write(x.f, data_at(3) + i, 0x77000000 + i, 4);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0x30, .lba = 90, .count = 70, .device = 0x40, .write = true, .len = 70 * 512 }), ==, 0x50);
    for (u32 i = 0; i < 70 * 512; i += 4)
        g_assert_cmphex(disk_word(&x, 90 * 512 + i), ==, 0x77000000 + i);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0x35, .lba = 200, .count = 8, .device = 0x40, .write = true, .len = 4096 }), ==, 0x50);
    g_assert_cmphex(disk_word(&x, 200 * 512 + 4), ==, 0x77000004);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xea }), ==, 0x50);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xe5 }), ==, 0x50);
    g_assert_cmphex(fm_read(x.f, FIS + 0x40 + 12, 1), ==, 0xff);
    teardown(&x);
}

static void test_packet(void)
{
    static const u8 ready[12] = { 0 }, inquiry[12] = { 0x12, 0, 0, 0, 36 }, read[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 6 };
    struct fixture x;
    u8 want[6 * 2048], got[6 * 2048];
    setup(&x);
    g_assert_cmphex(run(&x, 2, &(struct command){ .cmd = 0xa0, .packet = ready }), ==, 0x51); /* unit attention */
    g_assert_cmphex(prd(&x, 2, TFD) >> 8, ==, 0x64);
    g_assert_cmphex(prd(&x, 2, IS) & BIT(30), ==, BIT(30));
    g_assert_cmphex(prd(&x, 2, CI), ==, BIT(3)); /* stays until the port is restarted */
    g_assert_cmphex(prd(&x, 2, CMD) >> 8 & 31, ==, 3);
    pwr(&x, 2, CMD, 0x16);
    g_assert_cmphex(prd(&x, 2, CMD) & 0x8000, ==, 0);
    g_assert_cmphex(prd(&x, 2, CI), ==, 0);
    pwr(&x, 2, CMD, 0x17);
    g_assert_cmphex(run(&x, 2, &(struct command){ .cmd = 0xa0, .packet = ready }), ==, 0x50);
    g_assert_cmphex(run(&x, 2, &(struct command){ .cmd = 0xa0, .lba = 36 << 8, .packet = inquiry, .len = 36 }), ==, 0x50);
    g_assert_cmpuint(moved(&x, 2), ==, 36);
    g_assert_cmphex(fm_read(x.f, data_at(3) + 8, 4), ==, 'G' | 'E' << 8 | 'M' << 16 | 'E' << 24);
    g_assert_cmphex(run(&x, 2, &(struct command){ .cmd = 0xa0, .features = 1, .packet = read, .len = 6 * 2048 }), ==, 0x50);
    g_assert_cmpuint(moved(&x, 2), ==, 6 * 2048);
    g_assert_cmpint(blk_pread(x.cd_blk, 3 * 2048, want, sizeof(want)), ==, 0);
    dma_read(x.f->m.mem, data_at(3), got, sizeof(got));
    g_assert_cmpmem(got, sizeof(got), want, sizeof(want));
    g_assert_cmphex(run(&x, 2, &(struct command){ .cmd = 0xa1, .len = 512 }), ==, 0x50);
    teardown(&x);
}

static void test_ncq(void)
{
    struct fixture x;
    setup(&x);
    for (unsigned slot = 0; slot < 32; slot++) {
        bool write = slot & 1;
        for (u32 i = 0; i < 4096 && write; i += 4)
            fm_write(x.f, data_at(slot) + i, slot << 24 | i, 4);
        put(&x, 0, slot, &(struct command){ .cmd = write ? 0x61 : 0x60, .lba = 100 * slot, .features16 = 8, .device = slot == 5 ? 0xc0 : 0x40,
                                            .write = write, .ncq = true, .len = 4096 });
    }
    pwr(&x, 0, CI, ~0u);
    g_assert_cmphex(prd(&x, 0, CI), ==, 0); /* all taken */
    settle(&x);
    g_assert_cmphex(prd(&x, 0, SACT), ==, 0);
    g_assert_cmphex(prd(&x, 0, IS), ==, 8);
    for (unsigned slot = 0; slot < 32; slot++) {
        if (!(slot & 1))
            check_memory(&x, data_at(slot), 100 * slot, 4096);
        for (u32 i = 0; i < 4096 && (slot & 1); i += 4)
            g_assert_cmphex(disk_word(&x, 100 * slot * 512 + i), ==, slot << 24 | i);
    }
    g_assert_cmphex(fm_read(x.f, FIS + 0x58, 1), ==, 0xa1);
    /* beyond the end: the error log has it */
    put(&x, 0, 7, &(struct command){ .cmd = 0x60, .lba = SECTORS - 1, .features16 = 2, .device = 0x40, .ncq = true, .len = 1024 });
    pwr(&x, 0, CI, BIT(7));
    settle(&x);
    g_assert_cmphex(prd(&x, 0, TFD) & 0xffff, ==, 0x1451);
    g_assert_cmphex(prd(&x, 0, SACT), ==, BIT(7));
    g_assert_cmphex(prd(&x, 0, IS) & BIT(30), ==, BIT(30));
    pwr(&x, 0, CMD, 0x16);
    pwr(&x, 0, CMD, 0x17);
    g_assert_cmphex(prd(&x, 0, SACT), ==, 0);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0x2f, .lba = 0x10, .count = 1, .len = 512 }), ==, 0x50);
    g_assert_cmphex(fm_read(x.f, data_at(3), 4), ==, 0x14510007);
    g_assert_cmphex(fm_read(x.f, data_at(3) + 4, 2), ==, SECTORS - 1);
    /* another command waits until the queue is empty */
    put(&x, 0, 0, &(struct command){ .cmd = 0x60, .lba = 8, .features16 = 8, .device = 0x40, .ncq = true, .len = 4096 });
    put(&x, 0, 1, &(struct command){ .cmd = 0xe7 });
    lock(&x); /* no completion in between */
    unlock(&x);
    pwr(&x, 0, CI, 3);
    settle(&x);
    g_assert_cmphex(prd(&x, 0, CI) | prd(&x, 0, SACT), ==, 0);
    teardown(&x);
}

static void restart(struct fixture *x)
{
    pwr(x, 0, CMD, 0x16);
    pwr(x, 0, CMD, 0x17);
    pwr(x, 0, IS, ~0u);
}

static void test_errors(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xc8, .lba = SECTORS, .count = 1, .device = 0x40, .len = 512 }), ==, 0x51);
    restart(&x);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0x25, .count = 8, .device = 0x40, .len = 2048 }), ==, 0x51); /* table too short */
    g_assert_cmphex(prd(&x, 0, IS) & BIT(24), ==, BIT(24));
    restart(&x);
    put(&x, 0, 3, &(struct command){ .cmd = 0x25, .count = 8, .device = 0x40, .len = 4096 });
    fm_write(x.f, TABLES + 3 * 0x200 + 0x80, 0xe0000000, 8); /* no memory there */
    pwr(&x, 0, CI, BIT(3));
    settle(&x);
    g_assert_cmphex(prd(&x, 0, IS) & BIT(28), ==, BIT(28));
    restart(&x);
    fm_write(x.f, LIST + 3 * 32 + 8, 0xe0000000, 8); /* nor a command */
    pwr(&x, 0, CI, BIT(3));
    g_assert_cmphex(prd(&x, 0, IS) & BIT(28), ==, BIT(28));
    restart(&x);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xec, .len = 512 }), ==, 0x50);
    pwr(&x, 1, CI, 1); /* a port without a device */
    pwr(&x, 1, CMD, 0x17);
    pwr(&x, 1, CI, 1);
    teardown(&x);
}

static void test_soft_reset(void)
{
    struct fixture x;
    setup(&x);
    for (unsigned on = 2; on-- > 0;) {
        u8 fis[20] = { 0x27, 0x00 };
        fis[15] = on ? 0x0c : 0x08;
        put(&x, 0, on, &(struct command){ 0 });
        dma_write(x.f->m.mem, TABLES + on * 0x200, fis, sizeof(fis));
        pwr(&x, 0, CI, BIT(on));
        g_assert_cmphex(prd(&x, 0, CI), ==, 0);
    }
    g_assert_cmphex(prd(&x, 0, TFD), ==, 0x150);
    g_assert_cmphex(fm_read(x.f, FIS + 0x40, 4), ==, 0x01504034);
    /* resets with commands under way */
    for (unsigned n = 0; n < 4; n++) {
        put(&x, 0, 0, &(struct command){ .cmd = 0x60, .lba = 8, .features16 = 64, .device = 0x40, .ncq = n & 1, .len = 0x8000 });
        if (!(n & 1))
            put(&x, 0, 0, &(struct command){ .cmd = 0x20, .lba = 8, .count = 64, .device = 0x40, .len = 0x8000 });
        pwr(&x, 0, CI, 1);
        if (n < 2) {
            pwr(&x, 0, SCTL, 0x301);
            pwr(&x, 0, SCTL, 0x300);
        } else {
            fm_reset(x.f);
            config(&x);
        }
        start_port(&x, 0);
        settle(&x);
        g_assert_cmphex(prd(&x, 0, CI) | prd(&x, 0, SACT), ==, 0);
        g_assert_cmphex(prd(&x, 0, TFD), ==, 0x150);
        g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xec, .len = 512 }), ==, 0x50);
    }
    teardown(&x);
}

static void test_msi(void)
{
    struct fixture x;
    struct pci_device *p;
    setup(&x);
    p = (struct pci_device *)x.ahci;
    lock(&x);
    pci_config_write(p->bus, p->devfn, p->msi_cap + 4, 0xfee00000, 4);
    pci_config_write(p->bus, p->devfn, p->msi_cap + 12, 0x41, 2);
    pci_config_write(p->bus, p->devfn, p->msi_cap + 2, 1, 2);
    unlock(&x);
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xe7 }), ==, 0x50);
    g_assert_cmpuint(x.f->msis, ==, 1);
    g_assert_cmphex(x.f->msi_data, ==, 0x41);
    pwr(&x, 0, IS, ~0u);
    wr(&x, 0x08, 1);
    g_assert_cmpuint(x.f->msis, ==, 1);
    wr(&x, 0x04, 0x80000000); /* interrupts off */
    g_assert_cmphex(run(&x, 0, &(struct command){ .cmd = 0xe7 }), ==, 0x50);
    g_assert_cmpuint(x.f->msis, ==, 1);
    wr(&x, 0x04, 0x80000002);
    g_assert_cmpuint(x.f->msis, ==, 2);
    teardown(&x);
}

/* Saved with commands in the block layer, as they are after werror=stop: they are done again. */
static void test_save(void)
{
    struct fixture x;
    struct err e = { "" };
    setup(&x);
    for (unsigned n = 0; n < 2; n++) {
        GPtrArray *saved = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
        unsigned i = 0;
        if (n)
            put(&x, 0, 3, &(struct command){ .cmd = 0x60, .lba = 40, .features16 = 8, .device = 0x40, .ncq = true, .len = 4096 });
        else
            put(&x, 0, 3, &(struct command){ .cmd = 0x25, .lba = 40, .count = 8, .device = 0x40, .len = 4096 });
        failing_disk(x.blk, EIO);
        pwr(&x, 0, CI, BIT(3));
        lock(&x);
        failing_disk_kept(x.blk, 1);
        for (struct device *d = x.f->m.devices; d; d = d->next) {
            g_ptr_array_add(saved, g_byte_array_new());
            device_save(d, g_ptr_array_index(saved, saved->len - 1));
        }
        unlock(&x);
        g_assert_cmpuint(failing_disk_stops(), ==, 1);
        g_assert_cmphex(prd(&x, 0, CI) | prd(&x, 0, SACT), ==, BIT(3));
        fm_reset(x.f);
        fm_write(x.f, data_at(3), 0, 8);
        lock(&x);
        for (struct device *d = x.f->m.devices; d; d = d->next) {
            GByteArray *a = g_ptr_array_index(saved, i++);
            g_assert_cmpint(device_load(d, a->data, a->len, &e), ==, a->len);
        }
        failing_disk_kept(x.blk, 1); /* tried again in vain */
        unlock(&x);
        g_assert_cmphex(prd(&x, 0, CI) | prd(&x, 0, SACT), ==, BIT(3));
        failing_disk(x.blk, 0);
        blk_resume_all();
        settle(&x);
        g_assert_cmpuint(failing_disk_stops(), ==, 1);
        g_assert_cmphex(prd(&x, 0, CI) | prd(&x, 0, SACT), ==, 0);
        check_memory(&x, data_at(3), 40, 4096);
        g_ptr_array_unref(saved);
    }
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ahci/detect", test_detect);
    g_test_add_func("/ahci/commands", test_commands);
    g_test_add_func("/ahci/packet", test_packet);
    g_test_add_func("/ahci/ncq", test_ncq);
    g_test_add_func("/ahci/errors", test_errors);
    g_test_add_func("/ahci/soft-reset", test_soft_reset);
    g_test_add_func("/ahci/msi", test_msi);
    g_test_add_func("/ahci/save", test_save);
    return g_test_run();
}
