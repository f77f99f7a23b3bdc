/* IDE: identification, PIO and DMA transfers both ways, addressing limits, settings, errors, resets in flight, saving in the middle, and
 * packet commands of the CD-ROM drive beside the disk. */
#include <fcntl.h>
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/backend/drive.h"
#include "hw/pci/pci.h"
#include "hw/storage/ide.h"
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "tests/lib/failing_disk.h"
#include "tests/lib/fake_machine.h"

enum { SECTORS = 4096, CMD = 0x1f0, CTL = 0x3f6, CD = 0x170, BM = 0xc000, PRDS = 0x1000 };

struct fixture {
    struct fake_machine *f;
    struct blk *blk, *cd_blk;
    struct device *ide;
    struct ata_dev *hd, *cd;
    char *path;
};

static void lock(struct fixture *x) { lock_acquire(&x->f->m.lock); }
static void unlock(struct fixture *x) { lock_release(&x->f->m.lock); }

static void setup_ro(struct fixture *x, bool readonly)
{
    struct err e = { "" };
    u8 *data = g_malloc(SECTORS * 512);
    int fd = g_file_open_tmp("gemel-ide-XXXXXX", &x->path, NULL);

    for (u32 i = 0; i < SECTORS * 128; i++)
        st32(data + 4 * i, i / 128 << 16 | i % 128);
    g_assert_cmpint(write(fd, data, SECTORS * 512), ==, SECTORS * 512);
    close(fd);
    g_free(data);
    x->f = fake_machine_new(1);
    x->blk = blk_open("hda", "image", x->path, readonly, &e);
    x->cd_blk = readonly ? NULL : blk_open("cd", "image", "/proc/self/exe", true, &e);
    g_assert_nonnull(x->blk);
    g_assert_cmpint(drive_add(DRIVE_IDE, 0, 0, false, x->blk, "-hda", &e), ==, 0);
    if (x->cd_blk)
        g_assert_cmpint(drive_add(DRIVE_IDE, 1, 0, true, x->cd_blk, "-cdrom", &e), ==, 0);
    lock(x);
    x->f->m.pci = pci_bus_new(&x->f->m);
    x->ide = piix3_ide_new(&x->f->m, &e);
    g_assert_cmpstr(e.msg, ==, "");
    for (struct device *d = x->f->m.devices; d; d = d->next) {
        if (!strcmp(d->cls->name, "ide-hd"))
            x->hd = (struct ata_dev *)d;
        if (!strcmp(d->cls->name, "ide-cd"))
            x->cd = (struct ata_dev *)d;
    }
    struct pci_device *p = (struct pci_device *)x->ide;
    pci_config_write(p->bus, p->devfn, PCI_BAR0 + 16, BM, 4);
    unlock(x);
    g_assert_cmphex(fm_in(x->f, CMD + 7, 1), ==, 0xff); /* not enabled by firmware yet */
    lock(x);
    pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MASTER, 2);
    piix3_ide_enable(x->ide);
    unlock(x);
}

static void setup(struct fixture *x)
{
    setup_ro(x, false);
}

static void teardown(struct fixture *x)
{
    lock(x);
    device_free(x->ide);
    unlock(x);
    fake_machine_free(x->f);
    drives_free();
    blk_close(x->blk);
    blk_close(x->cd_blk);
    unlink(x->path);
    g_free(x->path);
}

/* Lets the block layer finish what it has. */
static void settle(struct fixture *x)
{
    lock(x);
    blk_drain(x->blk);
    if (x->cd_blk)
        blk_drain(x->cd_blk);
    unlock(x);
}

static u8 status_at(struct fixture *x, u16 base)
{
    for (unsigned i = 0; (fm_in(x->f, base + 0x206, 1) & 0x80) && i < 100; i++)
        settle(x);
    return fm_in(x->f, base + 7, 1);
}

static u8 status(struct fixture *x) { return status_at(x, CMD); }
static bool irq(struct fixture *x) { settle(x); return x->f->level[14]; }

static void command28(struct fixture *x, u8 cmd, u32 lba, u8 count)
{
    fm_out(x->f, CMD + 6, 0xe0 | lba >> 24, 1);
    fm_out(x->f, CMD + 2, count, 1);
    fm_out(x->f, CMD + 3, lba, 1);
    fm_out(x->f, CMD + 4, lba >> 8, 1);
    fm_out(x->f, CMD + 5, lba >> 16, 1);
    fm_out(x->f, CMD + 7, cmd, 1);
}

static void command48(struct fixture *x, u8 cmd, u64 lba, u16 count)
{
    fm_out(x->f, CMD + 6, 0x40, 1);
    fm_out(x->f, CMD + 2, count >> 8, 1);
    for (unsigned i = 0; i < 3; i++)
        fm_out(x->f, CMD + 3 + i, lba >> (24 + 8 * i), 1);
    fm_out(x->f, CMD + 2, count & 0xff, 1);
    for (unsigned i = 0; i < 3; i++)
        fm_out(x->f, CMD + 3 + i, lba >> (8 * i), 1);
    fm_out(x->f, CMD + 7, cmd, 1);
}

static void features(struct fixture *x, u8 feature, u8 count)
{
    fm_out(x->f, CMD + 1, feature, 1);
    fm_out(x->f, CMD + 2, count, 1);
    fm_out(x->f, CMD + 7, 0xef, 1);
}

static void identify(struct fixture *x, u16 id[256])
{
    fm_out(x->f, CMD + 6, 0xa0, 1);
    fm_out(x->f, CMD + 7, 0xec, 1);
    g_assert_cmphex(status(x), ==, 0x58);
    for (unsigned i = 0; i < 256; i++)
        id[i] = fm_in(x->f, CMD, 2);
}

static void check_error(struct fixture *x, u8 error)
{
    g_assert_cmphex(status(x), ==, 0x51);
    g_assert_cmphex(fm_in(x->f, CMD + 1, 1), ==, error);
}

static u32 disk_word(struct fixture *x, u64 off)
{
    u8 b[4];
    g_assert_cmpint(blk_pread(x->blk, off, b, 4), ==, 0);
    return ld32(b);
}

static void test_identify(void)
{
    struct fixture x;
    u16 id[256];
    u8 sum = 0;
    setup(&x);
    fm_out(x.f, CMD + 6, 0xa0, 1);
    g_assert_cmphex(status(&x), ==, 0x50);
    fm_out(x.f, CMD + 7, 0xec, 1);
    g_assert_true(irq(&x));
    g_assert_cmphex(fm_in(x.f, CTL, 1), ==, 0x58);
    g_assert_true(irq(&x)); /* the alternate status does not acknowledge */
    g_assert_cmphex(status(&x), ==, 0x58);
    g_assert_false(irq(&x));
    for (unsigned i = 0; i < 256; i++)
        id[i] = fm_in(x.f, CMD, 2);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmpuint(id[60] | id[61] << 16, ==, SECTORS);
    g_assert_cmpuint(id[100], ==, SECTORS);
    g_assert_cmpuint(id[3], ==, 16);
    g_assert_cmphex(id[27], ==, 'G' << 8 | 'E');
    g_assert_cmphex(id[49] & 0x300, ==, 0x300);
    for (unsigned i = 0; i < 512; i++)
        sum += ((u8 *)id)[i];
    g_assert_cmphex(sum, ==, 0);
    g_assert_cmphex(fm_in(x.f, CMD, 2), ==, 0xffff); /* no more data */
    /* absent drives: the slave beside a master reads 0 */
    fm_out(x.f, CMD + 6, 0xb0, 1);
    g_assert_cmphex(status(&x), ==, 0);
    fm_out(x.f, CMD + 7, 0xec, 1);
    g_assert_cmphex(status(&x), ==, 0);
    teardown(&x);
}

static void test_pio_read(void)
{
    struct fixture x;
    setup(&x);
    command28(&x, 0x20, 7, 2);
    for (unsigned s = 7; s < 9; s++) {
        g_assert_true(irq(&x));
        g_assert_cmphex(status(&x), ==, 0x58);
        for (unsigned i = 0; i < 128; i++)
            g_assert_cmphex(fm_in(x.f, CMD, 4), ==, s << 16 | i);
    }
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_false(irq(&x));

    fm_out(x.f, CTL, 0x02, 1); /* nIEN */
    command48(&x, 0x24, SECTORS - 1, 1);
    g_assert_false(irq(&x));
    for (unsigned i = 0; i < 256; i++)
        g_assert_cmphex(fm_in(x.f, CMD, 2), ==, i & 1 ? SECTORS - 1 : i / 2);
    fm_out(x.f, CTL, 0x00, 1);

    fm_out(x.f, CMD + 2, 4, 1);
    fm_out(x.f, CMD + 7, 0xc6, 1); /* SET MULTIPLE 4 */
    g_assert_cmphex(status(&x), ==, 0x50);
    unsigned irqs = x.f->rises[14];
    command28(&x, 0xc4, 100, 6);
    settle(&x);
    for (unsigned i = 0; i < 6 * 128; i++) {
        if (i == 4 * 128)
            status(&x);
        g_assert_cmphex(fm_in(x.f, CMD, 4), ==, (100 + i / 128) << 16 | i % 128);
        if (i == 0)
            status(&x);
    }
    g_assert_cmpuint(x.f->rises[14] - irqs, ==, 2); /* blocks of 4 and 2 */

    fm_out(x.f, CMD + 6, 0xa1, 1); /* CHS 0/1/2 */
    fm_out(x.f, CMD + 2, 1, 1);
    fm_out(x.f, CMD + 3, 2, 1);
    fm_out(x.f, CMD + 4, 0, 2);
    fm_out(x.f, CMD + 7, 0x20, 1);
    settle(&x);
    g_assert_cmphex(fm_in(x.f, CMD, 4), ==, 64 << 16);
    command28(&x, 0x20, 0, 0); /* 256 sectors: more than the buffer */
    for (unsigned i = 0; i < 256 * 128; i++) {
        if (i % 128 == 0)
            g_assert_cmphex(status(&x), ==, 0x58);
        g_assert_cmphex(fm_in(x.f, CMD, 4), ==, i / 128 << 16 | i % 128);
    }
    g_assert_cmphex(status(&x), ==, 0x50);
    teardown(&x);
}

static void test_pio_write(void)
{
    struct fixture x;
    setup(&x);
    unsigned irqs = x.f->rises[14];
    command28(&x, 0x30, 50, 100); /* more than the buffer takes */
    for (unsigned i = 0; i < 100 * 128; i++) {
        if (i % 128 == 0)
            g_assert_cmphex(status(&x), ==, 0x58);
        fm_out(x.f, CMD, 0xabc00000 + i, 4);
    }
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmpuint(x.f->rises[14] - irqs, ==, 100); /* not for the first block, but at the end */
    for (unsigned i = 0; i < 100 * 128; i++)
        g_assert_cmphex(disk_word(&x, 50 * 512 + 4 * i), ==, 0xabc00000 + i);
    g_assert_cmphex(disk_word(&x, 150 * 512), ==, 150 << 16);
    g_assert_cmphex(disk_word(&x, 50 * 512 - 4), ==, 49 << 16 | 127);
    command48(&x, 0x39, SECTORS - 3, 3); /* WRITE MULTIPLE EXT: one block */
    g_assert_cmphex(status(&x), ==, 0x58);
    for (unsigned i = 0; i < 3 * 256; i++)
        fm_out(x.f, CMD, i, 2);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmphex(disk_word(&x, SECTORS * 512 - 4), ==, 0x2ff02fe);
    command28(&x, 0xe7, 0, 0);
    g_assert_cmphex(status(&x), ==, 0x50);
    command48(&x, 0xea, 0, 0);
    g_assert_cmphex(status(&x), ==, 0x50);
    teardown(&x);
}

/* INS and OUTS with a repeat prefix: as far as a block goes at a time. */
static void test_pio_strings(void)
{
    struct fixture x;
    u8 buf[4096], want[1024];
    setup(&x);
    g_assert_cmpuint(aspace_string(x.f->m.io, CMD, 2, buf, 256, false), ==, 0); /* nothing to be had */
    command28(&x, 0x20, 7, 2);
    status(&x);
    fm_in(x.f, CMD, 4);
    g_assert_cmpuint(aspace_string(x.f->m.io, CMD, 2, buf, 2048, false), ==, 254);
    g_assert_cmphex(ld32(buf), ==, 7 << 16 | 1);
    g_assert_cmpuint(aspace_string(x.f->m.io, CMD, 4, buf, 1000, false), ==, 128);
    g_assert_cmphex(ld32(buf + 508), ==, 8 << 16 | 127);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmpuint(aspace_string(x.f->m.io, CMD, 4, buf, 1000, false), ==, 0);
    command28(&x, 0x30, 50, 2);
    status(&x);
    for (unsigned i = 0; i < sizeof(want); i++)
        want[i] = i * 5;
    g_assert_cmpuint(aspace_string(x.f->m.io, CMD, 2, want, 512, true), ==, 256);
    g_assert_cmpuint(aspace_string(x.f->m.io, CMD, 4, want + 512, 128, true), ==, 128);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmpint(blk_pread(x.blk, 50 * 512, buf, 1024), ==, 0);
    g_assert_cmpmem(buf, 1024, want, 1024);
    g_assert_cmpuint(aspace_string(x.f->m.io, CMD + 1, 1, buf, 4, false), ==, 0); /* other registers have no strings */
    g_assert_cmpuint(aspace_string(x.f->m.io, CTL, 1, buf, 4, false), ==, 0);
    teardown(&x);
}

static void test_errors(void)
{
    static const u8 unknown[] = { 0x00, 0x01, 0xa0, 0xa1, 0xf1, 0xf2, 0xf6, 0x5c, 0x60, 0xb1, 0xf9 };
    struct fixture x;
    setup(&x);
    command28(&x, 0x20, SECTORS - 1, 2);
    check_error(&x, 0x10);
    command48(&x, 0x24, 0xffffffffffff, 1);
    check_error(&x, 0x10);
    command48(&x, 0x35, 0, 0); /* 65536 sectors */
    check_error(&x, 0x10);
    for (unsigned i = 0; i < ARRAY_LEN(unknown); i++) {
        command28(&x, unknown[i], 0, 1);
        check_error(&x, 0x04);
    }
    fm_out(x.f, CMD + 2, 3, 1);
    fm_out(x.f, CMD + 7, 0xc6, 1); /* SET MULTIPLE 3 */
    check_error(&x, 0x04);
    fm_out(x.f, CMD + 2, 0, 1);
    fm_out(x.f, CMD + 7, 0xc6, 1); /* SET MULTIPLE 0: off */
    g_assert_cmphex(status(&x), ==, 0x50);
    command28(&x, 0xc4, 0, 1);
    check_error(&x, 0x04);
    command28(&x, 0x40, SECTORS - 1, 1); /* VERIFY */
    g_assert_cmphex(status(&x), ==, 0x50);
    command28(&x, 0xf8, 0, 0); /* READ NATIVE MAX */
    status(&x);
    g_assert_cmphex(fm_in(x.f, CMD + 3, 1) | fm_in(x.f, CMD + 4, 1) << 8, ==, SECTORS - 1);
    teardown(&x);
}

static void test_readonly(void)
{
    static const u8 writes[] = { 0x30, 0x34, 0xc5, 0x39, 0xca, 0x35, 0x3d, 0xce };
    struct fixture x;
    setup_ro(&x, true);
    for (unsigned i = 0; i < ARRAY_LEN(writes); i++) {
        command28(&x, writes[i], 0, 1);
        check_error(&x, 0x44);
    }
    teardown(&x);
}

static void test_settings(void)
{
    struct fixture x;
    u16 id[256];
    setup(&x);
    identify(&x, id);
    g_assert_cmphex(id[85], ==, 0x4061);
    features(&x, 0x82, 0); /* write cache off */
    g_assert_cmphex(status(&x), ==, 0x50);
    features(&x, 0x55, 0);
    g_assert_cmphex(status(&x), ==, 0x50);
    features(&x, 0x03, 0x22); /* multiword DMA 2 */
    g_assert_cmphex(status(&x), ==, 0x50);
    features(&x, 0x03, 0x46); /* UDMA 6: not offered */
    check_error(&x, 0x04);
    features(&x, 0x77, 0);
    check_error(&x, 0x04);
    identify(&x, id);
    g_assert_cmphex(id[85], ==, 0x4001);
    g_assert_cmphex(id[63], ==, 0x0407);
    g_assert_cmphex(id[88], ==, 0x003f);
    features(&x, 0x03, 0x44);
    identify(&x, id);
    g_assert_cmphex(id[63], ==, 0x0007);
    g_assert_cmphex(id[88], ==, 0x103f);
    features(&x, 0x66, 0); /* keep at software reset */
    fm_out(x.f, CTL, 0x04, 1);
    fm_out(x.f, CTL, 0x00, 1);
    identify(&x, id);
    g_assert_cmphex(id[88], ==, 0x103f);
    features(&x, 0xcc, 0);
    fm_out(x.f, CTL, 0x04, 1);
    fm_out(x.f, CTL, 0x00, 1);
    identify(&x, id);
    g_assert_cmphex(id[88], ==, 0x203f);
    command28(&x, 0xe5, 0, 0); /* CHECK POWER MODE */
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmphex(fm_in(x.f, CMD + 2, 1), ==, 0xff);
    command28(&x, 0xe0, 0, 0);
    g_assert_cmphex(status(&x), ==, 0x50);
    command28(&x, 0xe5, 0, 0);
    g_assert_cmphex(fm_in(x.f, CMD + 2, 1), ==, 0x00);
    teardown(&x);
}

static void smart(struct fixture *x, u8 feature, u8 log)
{
    fm_out(x->f, CMD + 1, feature, 1);
    command28(x, 0xb0, 0xc24f00 | log, 1);
}

static void test_smart(void)
{
    static const u8 data[] = { 0xd0, 0xd1 };
    struct fixture x;
    setup(&x);
    smart(&x, 0xda, 0);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmphex(fm_in(x.f, CMD + 4, 1) | fm_in(x.f, CMD + 5, 1) << 8, ==, 0xc24f);
    for (unsigned n = 0; n < 2; n++) {
        u8 sum = 0;
        smart(&x, data[n], 0);
        g_assert_cmphex(status(&x), ==, 0x58);
        for (unsigned i = 0; i < 512; i++)
            sum += fm_in(x.f, CMD, 1);
        g_assert_cmphex(sum, ==, 0);
    }
    smart(&x, 0xd5, 1);
    g_assert_cmphex(status(&x), ==, 0x58);
    smart(&x, 0xd5, 9);
    check_error(&x, 0x04);
    smart(&x, 0xd9, 0); /* off */
    g_assert_cmphex(status(&x), ==, 0x50);
    smart(&x, 0xda, 0);
    check_error(&x, 0x04);
    smart(&x, 0xd8, 0);
    g_assert_cmphex(status(&x), ==, 0x50);
    command48(&x, 0x2f, 0, 1); /* READ LOG EXT: the directory */
    g_assert_cmphex(status(&x), ==, 0x58);
    command48(&x, 0x2f, 0x10, 1); /* NCQ errors: SATA only */
    check_error(&x, 0x04);
    teardown(&x);
}

/* -- DMA -------------------------------------------------------------------------------------------------------------------- */

static void prd(struct fixture *x, unsigned n, u32 addr, u16 len, bool last)
{
    u8 e[8];
    st32(e, addr);
    st16(e + 4, len);
    st16(e + 6, last ? 0x8000 : 0);
    dma_write(x->f->m.mem, PRDS + 8 * n, e, sizeof(e));
}

static void check_memory(struct fixture *x, u32 addr, u32 lba, u32 len)
{
    for (u32 i = 0; i < len; i += 4)
        g_assert_cmphex(fm_read(x->f, addr + i, 4), ==, (lba + i / 512) << 16 | (i % 512) / 4);
}

static void test_dma_read(void)
{
    struct fixture x;
    setup(&x);
    prd(&x, 0, 0x10000, 0x600, false);
    prd(&x, 1, 0x20002, 0xa00, true);
    fm_out(x.f, BM + 4, PRDS, 4);
    fm_out(x.f, BM + 2, 0x06, 1);
    command28(&x, 0xc8, 20, 8);
    g_assert_false(irq(&x));
    fm_out(x.f, BM, 0x09, 1);
    g_assert_true(irq(&x));
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0x04); /* interrupt, not active */
    g_assert_cmphex(status(&x), ==, 0x50);
    fm_out(x.f, BM, 0x00, 1);
    fm_out(x.f, BM + 2, 0x04, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0);
    check_memory(&x, 0x10000, 20, 0x600);
    check_memory(&x, 0x20002, 23, 0xa00);

    /* the engine first, memory left over: it stays active until it is stopped; 64 KiB by length 0 */
    prd(&x, 0, 0x40000, 0, false);
    prd(&x, 1, 0x60000, 0, true);
    fm_out(x.f, BM, 0x09, 1);
    command48(&x, 0x25, 0, 160);
    g_assert_true(irq(&x));
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0x05);
    fm_out(x.f, BM, 0x00, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0x04);
    check_memory(&x, 0x40000, 0, 0x10000);
    check_memory(&x, 0x60000, 128, 0x4000);
    teardown(&x);
}

static void test_dma_write(void)
{
    static const u8 commands[] = { 0xca, 0x35, 0x3d };
    struct fixture x;
    setup(&x);
    prd(&x, 0, 0x100000, 0x200, false);
    prd(&x, 1, 0x200000, 0x200, true);
    fm_out(x.f, BM + 4, PRDS, 4);
    for (unsigned n = 0; n < ARRAY_LEN(commands); n++) {
        for (u32 i = 0; i < 512; i += 4) {
            fm_write(x.f, 0x100000 + i, 0x11110000 * (n + 1) + i, 4);
            fm_write(x.f, 0x200000 + i, 0x11110000 * (n + 1) + 0x8000 + i, 4);
        }
        if (commands[n] == 0xca)
            command28(&x, 0xca, 99, 2);
        else
            command48(&x, commands[n], 99, 2);
        fm_out(x.f, BM, 0x01, 1);
        g_assert_true(irq(&x));
        g_assert_cmphex(status(&x), ==, 0x50);
        fm_out(x.f, BM, 0x00, 1);
        fm_out(x.f, BM + 2, 0x04, 1);
        for (u32 i = 0; i < 512; i += 4) {
            g_assert_cmphex(disk_word(&x, 99 * 512 + i), ==, 0x11110000 * (n + 1) + i);
            g_assert_cmphex(disk_word(&x, 100 * 512 + i), ==, 0x11110000 * (n + 1) + 0x8000 + i);
        }
        g_assert_cmphex(disk_word(&x, 101 * 512), ==, 101 << 16);
    }
    teardown(&x);
}

static void test_dma_errors(void)
{
    struct fixture x;
    setup(&x);
    fm_out(x.f, BM + 4, PRDS, 4);
    prd(&x, 0, 0x10000, 0x400, true); /* table too short: the engine stops, the drive waits */
    command28(&x, 0xc8, 0, 8);
    fm_out(x.f, BM, 0x09, 1);
    g_assert_false(irq(&x));
    g_assert_cmphex(fm_in(x.f, BM + 2, 1) & 7, ==, 0);
    fm_out(x.f, BM, 0x00, 1);
    fm_out(x.f, CTL, 0x04, 1);
    fm_out(x.f, CTL, 0x00, 1);
    g_assert_cmphex(status(&x), ==, 0x50);
    prd(&x, 0, 0xf0000000, 0x1000, true); /* no memory there */
    command28(&x, 0xc8, 0, 8);
    fm_out(x.f, BM, 0x09, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1) & 7, ==, 6);
    check_error(&x, 0x04);
    fm_out(x.f, BM, 0x00, 1);
    fm_out(x.f, BM + 2, 0x06, 1);
    prd(&x, 0, 0x10000, 0x1000, true); /* the wrong direction */
    command28(&x, 0xc8, 0, 8);
    fm_out(x.f, BM, 0x01, 1);
    check_error(&x, 0x04);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1) & 2, ==, 2);
    fm_out(x.f, BM, 0x00, 1);
    fm_out(x.f, BM + 4, 0xfffffffc, 4); /* the table is not in memory */
    command28(&x, 0xc8, 0, 8);
    fm_out(x.f, BM, 0x09, 1);
    check_error(&x, 0x04);
    teardown(&x);
}

static void test_trim(void)
{
    struct fixture x;
    setup(&x);
    prd(&x, 0, 0x10000, 0x200, true);
    fm_out(x.f, BM + 4, PRDS, 4);
    fm_write(x.f, 0x10000, 8 | 8ull << 48, 8);
    fm_write(x.f, 0x10010, 64 | 16ull << 48, 8); /* behind an empty entry */
    fm_out(x.f, CMD + 1, 1, 1);
    command48(&x, 0x06, 0, 1);
    fm_out(x.f, BM, 0x01, 1);
    g_assert_true(irq(&x));
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmphex(disk_word(&x, 7 * 512), ==, 7 << 16);
    g_assert_cmphex(disk_word(&x, 80 * 512), ==, 80 << 16);
    fm_out(x.f, BM, 0x00, 1);
    fm_write(x.f, 0x10010, (SECTORS - 1) | 16ull << 48, 8);
    command48(&x, 0x06, 0, 1);
    fm_out(x.f, BM, 0x01, 1);
    check_error(&x, 0x14);
    command48(&x, 0x06, 0, 65);
    check_error(&x, 0x04);
    fm_out(x.f, CMD + 1, 0, 1);
    command48(&x, 0x06, 0, 1);
    check_error(&x, 0x04);
    teardown(&x);
}

static void test_reset(void)
{
    struct fixture x;
    setup(&x);
    fm_out(x.f, CTL, 0x04, 1); /* SRST */
    g_assert_cmphex(fm_in(x.f, CTL, 1) & 0x80, ==, 0x80);
    fm_out(x.f, CTL, 0x00, 1);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmphex(fm_in(x.f, CMD + 1, 1), ==, 1);
    g_assert_cmphex(fm_in(x.f, CMD + 2, 1) | fm_in(x.f, CMD + 3, 1) << 8, ==, 0x0101);
    g_assert_cmphex(fm_in(x.f, CMD + 4, 1) | fm_in(x.f, CMD + 5, 1) << 8, ==, 0);
    g_assert_cmphex(fm_in(x.f, CD + 4, 1) | fm_in(x.f, CD + 5, 1) << 8, ==, 0xeb14);
    /* with requests of every kind in flight */
    prd(&x, 0, 0x10000, 0x1000, true);
    fm_out(x.f, BM + 4, PRDS, 4);
    for (unsigned n = 0; n < 4; n++) {
        fm_out(x.f, BM, 0x00, 1);
        if (n == 0)
            command28(&x, 0x20, 0, 255);
        if (n == 1)
            command28(&x, 0xe7, 0, 0);
        if (n >= 2) {
            command28(&x, 0xc8, 0, 8);
            fm_out(x.f, BM, 0x09, 1);
        }
        if (n == 3) {
            fm_reset(x.f);
            lock(&x);
            struct pci_device *p = (struct pci_device *)x.ide;
            pci_config_write(p->bus, p->devfn, PCI_BAR0 + 16, BM, 4);
            pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MASTER, 2);
            piix3_ide_enable(x.ide);
            unlock(&x);
        } else {
            fm_out(x.f, CTL, 0x04, 1);
            fm_out(x.f, CTL, 0x00, 1);
        }
        g_assert_cmphex(fm_in(x.f, CMD + 7, 1), ==, 0x50);
        g_assert_false(irq(&x));
    }
    fm_out(x.f, CMD + 7, 0x90, 1); /* EXECUTE DEVICE DIAGNOSTIC */
    g_assert_true(irq(&x));
    g_assert_cmphex(fm_in(x.f, CMD + 1, 1), ==, 1);
    /* the engine is stopped with its transfer in flight: it is over when the write returns */
    fm_out(x.f, BM + 4, PRDS, 4);
    command28(&x, 0xc8, 0, 8);
    fm_out(x.f, BM, 0x09, 1);
    fm_out(x.f, BM, 0x08, 1);
    g_assert_cmphex(fm_in(x.f, CMD + 7, 1), ==, 0x50);
    check_memory(&x, 0x10000, 0, 0x1000);
    teardown(&x);
}

/* -- packets ------------------------------------------------------------------------------------------------------------------ */

static void packet(struct fixture *x, const u8 cdb[12], bool dma, u16 limit)
{
    fm_out(x->f, CD + 6, 0xa0, 1);
    fm_out(x->f, CD + 1, dma, 1);
    fm_out(x->f, CD + 4, limit, 1);
    fm_out(x->f, CD + 5, limit >> 8, 1);
    fm_out(x->f, CD + 7, 0xa0, 1);
    g_assert_cmphex(status_at(x, CD), ==, 0x58);
    g_assert_cmphex(fm_in(x->f, CD + 2, 1), ==, 1); /* the command packet is wanted */
    for (unsigned i = 0; i < 12; i += 2)
        fm_out(x->f, CD, ld16(cdb + i), 2);
}

/* Takes a packet command's data in; how much there was. */
static u32 packet_data(struct fixture *x, u8 *buf, u32 size, u16 limit)
{
    u32 at = 0;

    while (status_at(x, CD) & 0x08) {
        u32 n = fm_in(x->f, CD + 4, 1) | fm_in(x->f, CD + 5, 1) << 8;
        g_assert_cmphex(fm_in(x->f, CD + 2, 1), ==, 2);
        g_assert_cmpuint(n, <=, limit);
        g_assert_cmpuint(at + n, <=, size);
        for (u32 i = 0; i < n; i += 2, at += 2)
            st16(buf + at, fm_in(x->f, CD, 2));
    }
    g_assert_cmphex(fm_in(x->f, CD + 2, 1), ==, 3);
    return at;
}

static void no_data(struct fixture *x, u8 op, u8 want_status)
{
    const u8 cdb[12] = { op };
    packet(x, cdb, false, 0xffff);
    g_assert_cmphex(status_at(x, CD), ==, want_status);
}

static void test_packet(void)
{
    static const u8 inquiry[12] = { 0x12, 0, 0, 0, 36 }, sense[12] = { 3, 0, 0, 0, 18 }, read[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 6 };
    struct fixture x;
    u8 buf[16384], want[16384];
    u16 id[256];
    setup(&x);
    fm_out(x.f, CD + 7, 0xec, 1); /* IDENTIFY DEVICE: aborted, with the signature */
    g_assert_cmphex(status_at(&x, CD), ==, 0x51);
    g_assert_cmphex(fm_in(x.f, CD + 4, 1) | fm_in(x.f, CD + 5, 1) << 8, ==, 0xeb14);
    fm_out(x.f, CD + 7, 0xa1, 1);
    g_assert_cmphex(status_at(&x, CD), ==, 0x58);
    for (unsigned i = 0; i < 256; i++)
        id[i] = fm_in(x.f, CD, 2);
    g_assert_cmphex(id[0], ==, 0x85c0);
    no_data(&x, 0x00, 0x51); /* unit attention */
    g_assert_cmphex(fm_in(x.f, CD + 1, 1), ==, 0x64);
    packet(&x, sense, false, 0xffff);
    g_assert_cmpuint(packet_data(&x, buf, sizeof(buf), 0xfffe), ==, 18);
    g_assert_cmphex(buf[2] << 8 | buf[12], ==, 0x0629);
    no_data(&x, 0x00, 0x50);
    packet(&x, inquiry, false, 10); /* in blocks of 10 bytes */
    g_assert_cmpuint(packet_data(&x, buf, sizeof(buf), 10), ==, 36);
    g_assert_cmpmem(buf + 8, 5, "GEMEL", 5);
    g_assert_cmphex(buf[0], ==, 5);

    g_assert_cmpint(blk_pread(x.cd_blk, 3 * 2048, want, 6 * 2048), ==, 0);
    packet(&x, read, false, 0xf800);
    g_assert_cmpuint(packet_data(&x, buf, sizeof(buf), 0xf800), ==, 6 * 2048);
    g_assert_cmpmem(buf, 6 * 2048, want, 6 * 2048);
    memset(buf, 0, sizeof(buf));
    packet(&x, read, false, 3000);
    g_assert_cmpuint(packet_data(&x, buf, sizeof(buf), 3000), ==, 6 * 2048);
    g_assert_cmpmem(buf, 6 * 2048, want, 6 * 2048);

    prd(&x, 0, 0x30000, 0x2000, false);
    prd(&x, 1, 0x50000, 0x1000, true);
    fm_out(x.f, BM + 12, PRDS, 4);
    packet(&x, read, true, 0);
    fm_out(x.f, BM + 8, 0x09, 1);
    g_assert_cmphex(status_at(&x, CD), ==, 0x50);
    g_assert_cmphex(fm_in(x.f, BM + 10, 1) & 7, ==, 4);
    dma_read(x.f->m.mem, 0x30000, buf, 0x2000);
    dma_read(x.f->m.mem, 0x50000, buf + 0x2000, 0x1000);
    g_assert_cmpmem(buf, 6 * 2048, want, 6 * 2048);
    no_data(&x, 0x2a, 0x51); /* WRITE (10) */
    g_assert_cmphex(fm_in(x.f, CD + 1, 1), ==, 0x54);

    packet(&x, read, false, 2048); /* reset in the middle */
    g_assert_cmphex(status_at(&x, CD), ==, 0x58);
    fm_out(x.f, CD + 7, 0x08, 1); /* DEVICE RESET */
    g_assert_cmphex(status_at(&x, CD), ==, 0);
    g_assert_cmphex(fm_in(x.f, CD + 4, 1) | fm_in(x.f, CD + 5, 1) << 8, ==, 0xeb14);
    no_data(&x, 0x00, 0x50);
    teardown(&x);
}

/* -- saving --------------------------------------------------------------------------------------------------------------------- */

/* Saves everything, wipes it by a reset, loads it again. */
static void reload(struct fixture *x)
{
    GPtrArray *saved = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    struct err e = { "" };
    unsigned i = 0;

    settle(x);
    lock(x);
    for (struct device *d = x->f->m.devices; d; d = d->next) {
        g_ptr_array_add(saved, g_byte_array_new());
        device_save(d, g_ptr_array_index(saved, saved->len - 1));
    }
    unlock(x);
    fm_reset(x->f);
    lock(x);
    for (struct device *d = x->f->m.devices; d; d = d->next) {
        GByteArray *a = g_ptr_array_index(saved, i++), *b = g_byte_array_new();
        g_assert_cmpint(device_load(d, a->data, a->len, &e), ==, a->len);
        device_save(d, b);
        g_assert_cmpmem(a->data, a->len, b->data, b->len);
        g_byte_array_unref(b);
    }
    unlock(x);
    g_ptr_array_unref(saved);
}

static void test_save(void)
{
    static const u8 read[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 6 };
    struct fixture x;
    u8 buf[16384], want[16384];
    setup(&x);
    command28(&x, 0x20, 7, 100); /* PIO in */
    for (unsigned i = 0; i < 100 * 128; i++) {
        if (i % 128 == 0)
            g_assert_cmphex(status(&x), ==, 0x58);
        if (i % 1501 == 1500)
            reload(&x);
        g_assert_cmphex(fm_in(x.f, CMD, 4), ==, (7 + i / 128) << 16 | i % 128);
    }
    command28(&x, 0x30, 50, 100); /* PIO out */
    for (unsigned i = 0; i < 100 * 128; i++) {
        if (i % 128 == 0)
            g_assert_cmphex(status(&x), ==, 0x58);
        if (i % 1501 == 1500)
            reload(&x);
        fm_out(x.f, CMD, 0xabc00000 + i, 4);
    }
    g_assert_cmphex(status(&x), ==, 0x50);
    for (unsigned i = 0; i < 100 * 128; i++)
        g_assert_cmphex(disk_word(&x, 50 * 512 + 4 * i), ==, 0xabc00000 + i);
    prd(&x, 0, 0x10000, 0x1000, true); /* DMA that waits for the engine */
    fm_out(x.f, BM + 4, PRDS, 4);
    command28(&x, 0xc8, 300, 8);
    reload(&x);
    fm_out(x.f, BM, 0x09, 1);
    g_assert_cmphex(status(&x), ==, 0x50);
    check_memory(&x, 0x10000, 300, 0x1000);
    g_assert_cmpint(blk_pread(x.cd_blk, 3 * 2048, want, 6 * 2048), ==, 0);
    no_data(&x, 0x00, 0x51);
    packet(&x, read, false, 2048);
    for (unsigned i = 0; i < 6 * 2048; i += 2) {
        if (i % 2048 == 0)
            g_assert_cmphex(status_at(&x, CD), ==, 0x58);
        if (i % 1000 == 0)
            reload(&x);
        st16(buf + i, fm_in(x.f, CD, 2));
    }
    g_assert_cmphex(status_at(&x, CD), ==, 0x50);
    g_assert_cmpmem(buf, 6 * 2048, want, 6 * 2048);
    teardown(&x);
}

/* What the block layer had when the state was saved (kept for werror=stop) is done again. */
static void test_save_in_flight(void)
{
    struct fixture x;
    struct err e = { "" };
    setup(&x);
    prd(&x, 0, 0x10000, 0x1000, true);
    fm_out(x.f, BM + 4, PRDS, 4);
    for (unsigned n = 0; n < 3; n++) {
        GByteArray *hd = g_byte_array_new(), *ide = g_byte_array_new();
        failing_disk(x.blk, EIO);
        if (n == 0) {
            command28(&x, 0xc8, 300, 8);
            fm_out(x.f, BM, 0x09, 1);
        } else {
            command28(&x, n == 1 ? 0x20 : 0xe7, 40, 3);
        }
        lock(&x);
        failing_disk_kept(x.blk, 1);
        device_save(x.ide, ide);
        device_save(&x.hd->dev, hd);
        unlock(&x);
        g_assert_cmpuint(failing_disk_stops(), ==, 1);
        g_assert_cmpuint(x.hd->phase, ==, ATA_DISK);
        g_assert_cmphex(fm_in(x.f, CTL, 1) & 0x80, ==, 0x80); /* busy, as far as the guest knows */
        fm_reset(x.f);
        failing_disk(x.blk, 0);
        fm_write(x.f, 0x10000, 0, 4);
        lock(&x);
        g_assert_cmpint(device_load(x.ide, ide->data, ide->len, &e), ==, ide->len);
        g_assert_cmpint(device_load(&x.hd->dev, hd->data, hd->len, &e), ==, hd->len);
        unlock(&x);
        g_assert_cmphex(status(&x), ==, n == 1 ? 0x58 : 0x50);
        if (n == 0) {
            check_memory(&x, 0x10000, 300, 0x1000);
            fm_out(x.f, BM, 0x00, 1);
        }
        if (n == 1)
            for (unsigned i = 0; i < 3 * 128; i++)
                g_assert_cmphex(fm_in(x.f, CMD, 4), ==, (40 + i / 128) << 16 | i % 128);
        g_byte_array_unref(hd);
        g_byte_array_unref(ide);
    }
    teardown(&x);
}

static void test_buses(void)
{
    struct fixture x;
    struct err e = { "" };
    setup_ro(&x, true);
    lock(&x);
    g_assert_nonnull(x.cd); /* the empty drive that comes by itself */
    g_assert_cmpstr(x.cd->dev.bus->name, ==, "ide.1");
    g_assert_null(device_create(&x.f->m, "ide-hd", NULL, NULL, &e));
    g_assert_nonnull(strstr(e.msg, "drive= is missing"));
    g_assert_null(device_create(&x.f->m, "ide-cd", NULL, "unit=2", &e));
    g_assert_null(device_create(&x.f->m, "ide-cd", NULL, "unit=0", &e));
    g_assert_nonnull(strstr(e.msg, "taken"));
    g_assert_null(device_create(&x.f->m, "ide-cd", NULL, "logical_block_size=4096", &e));
    g_assert_null(device_create(&x.f->m, "ide-cd", NULL, "serial=123456789012345678901", &e));
    g_assert_nonnull(device_create(&x.f->m, "ide-cd", NULL, NULL, &e)); /* ide.0, slave */
    g_assert_nonnull(device_create(&x.f->m, "ide-cd", NULL, "unit=1", &e) ? x.f : NULL);
    g_assert_null(device_create(&x.f->m, "ide-cd", NULL, NULL, &e));
    unlock(&x);
    g_assert_cmphex(status_at(&x, CD), ==, 0);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ide/identify", test_identify);
    g_test_add_func("/ide/pio-read", test_pio_read);
    g_test_add_func("/ide/pio-write", test_pio_write);
    g_test_add_func("/ide/pio-strings", test_pio_strings);
    g_test_add_func("/ide/errors", test_errors);
    g_test_add_func("/ide/readonly", test_readonly);
    g_test_add_func("/ide/settings", test_settings);
    g_test_add_func("/ide/smart", test_smart);
    g_test_add_func("/ide/dma-read", test_dma_read);
    g_test_add_func("/ide/dma-write", test_dma_write);
    g_test_add_func("/ide/dma-errors", test_dma_errors);
    g_test_add_func("/ide/trim", test_trim);
    g_test_add_func("/ide/reset", test_reset);
    g_test_add_func("/ide/packet", test_packet);
    g_test_add_func("/ide/save", test_save);
    g_test_add_func("/ide/save-in-flight", test_save_in_flight);
    g_test_add_func("/ide/buses", test_buses);
    return g_test_run();
}
