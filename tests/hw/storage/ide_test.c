/* The IDE function: identification, PIO and DMA reads, addressing limits, refused writes, resets. */
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/pci/pci.h"
#include "hw/storage/ide.h"
#include "mmu/dma.h"
#include "tests/lib/fake_machine.h"

enum { SECTORS = 4096, CMD = 0x1f0, CTL = 0x3f6, BM = 0xc000 };

struct fixture {
    struct fake_machine *f;
    struct blk *blk;
    struct device *ide;
    char *path;
};

static void setup(struct fixture *x)
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
    x->blk = blk_open(NULL, "image", x->path, true, &e);
    g_assert_nonnull(x->blk);
    struct blk *disks[4] = { x->blk };
    lock_acquire(&x->f->m.lock);
    x->f->m.pci = pci_bus_new(&x->f->m);
    x->ide = piix3_ide_new(&x->f->m, disks, &e);
    g_assert_nonnull(x->ide);
    struct pci_device *p = (struct pci_device *)x->ide;
    pci_config_write(p->bus, p->devfn, PCI_BAR0 + 16, BM, 4);
    pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MASTER, 2);
    lock_release(&x->f->m.lock);
    g_assert_cmphex(fm_in(x->f, CMD + 7, 1), ==, 0xff); /* not enabled by firmware yet */
    lock_acquire(&x->f->m.lock);
    piix3_ide_enable(x->ide);
    lock_release(&x->f->m.lock);
}

static void teardown(struct fixture *x)
{
    lock_acquire(&x->f->m.lock);
    device_free(x->ide);
    pci_bus_free(x->f->m.pci);
    lock_release(&x->f->m.lock);
    fake_machine_free(x->f);
    blk_close(x->blk);
    unlink(x->path);
    g_free(x->path);
}

static u8 status(struct fixture *x) { return fm_in(x->f, CMD + 7, 1); }

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

static void test_identify(void)
{
    struct fixture x;
    u16 id[256];
    setup(&x);
    fm_out(x.f, CMD + 6, 0xa0, 1);
    g_assert_cmphex(status(&x), ==, 0x50);
    fm_out(x.f, CMD + 7, 0xec, 1);
    g_assert_cmpint(x.f->level[14], ==, 1);
    g_assert_cmphex(fm_in(x.f, CTL, 1), ==, 0x58);
    g_assert_cmpint(x.f->level[14], ==, 1); /* the alternate status does not acknowledge */
    g_assert_cmphex(status(&x), ==, 0x58);
    g_assert_cmpint(x.f->level[14], ==, 0);
    for (unsigned i = 0; i < 256; i++)
        id[i] = fm_in(x.f, CMD, 2);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmpuint(id[60] | id[61] << 16, ==, SECTORS);
    g_assert_cmpuint(id[100], ==, SECTORS);
    g_assert_cmpuint(id[3], ==, 16);
    g_assert_cmphex(id[27], ==, 'G' << 8 | 'E');
    g_assert_cmphex(id[49] & 0x300, ==, 0x300);
    g_assert_cmphex(fm_in(x.f, CMD, 2), ==, 0xffff); /* no more data */
    /* absent drives: the slave beside a master reads 0, an empty channel floats */
    fm_out(x.f, CMD + 6, 0xb0, 1);
    g_assert_cmphex(status(&x), ==, 0);
    fm_out(x.f, CMD + 7, 0xec, 1);
    g_assert_cmphex(status(&x), ==, 0);
    g_assert_cmphex(fm_in(x.f, 0x177, 1), ==, 0xff);
    g_assert_cmphex(fm_in(x.f, 0x376, 1), ==, 0xff);
    teardown(&x);
}

static void test_pio(void)
{
    struct fixture x;
    setup(&x);
    command28(&x, 0x20, 7, 2);
    for (unsigned s = 7; s < 9; s++) {
        g_assert_cmpint(x.f->level[14], ==, 1);
        g_assert_cmphex(status(&x), ==, 0x58);
        for (unsigned i = 0; i < 128; i++)
            g_assert_cmphex(fm_in(x.f, CMD, 4), ==, s << 16 | i);
    }
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmpint(x.f->level[14], ==, 0);

    fm_out(x.f, CTL, 0x02, 1); /* nIEN */
    command48(&x, 0x24, SECTORS - 1, 1);
    g_assert_cmpint(x.f->level[14], ==, 0);
    for (unsigned i = 0; i < 256; i++)
        g_assert_cmphex(fm_in(x.f, CMD, 2), ==, i & 1 ? SECTORS - 1 : i / 2);
    fm_out(x.f, CTL, 0x00, 1);

    fm_out(x.f, CMD + 2, 4, 1);
    fm_out(x.f, CMD + 7, 0xc6, 1); /* SET MULTIPLE 4 */
    g_assert_cmphex(status(&x), ==, 0x50);
    unsigned irqs = x.f->rises[14];
    command28(&x, 0xc4, 100, 6);
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
    g_assert_cmphex(fm_in(x.f, CMD, 4), ==, 64 << 16);
    teardown(&x);
}

static void check_error(struct fixture *x, u8 error)
{
    g_assert_cmphex(status(x), ==, 0x51);
    g_assert_cmphex(fm_in(x->f, CMD + 1, 1), ==, error);
}

static void test_errors(void)
{
    static const u8 writes[] = { 0x30, 0x34, 0xc5, 0x39, 0xca, 0x35 };
    struct fixture x;
    setup(&x);
    command28(&x, 0x20, SECTORS - 1, 2);
    check_error(&x, 0x10);
    command48(&x, 0x24, 0xffffffffffff, 1);
    check_error(&x, 0x10);
    command48(&x, 0x24, 0, 0); /* 65536 sectors */
    check_error(&x, 0x10);
    for (unsigned i = 0; i < ARRAY_LEN(writes); i++) {
        command28(&x, writes[i], 0, 1);
        check_error(&x, 0x44);
    }
    fm_out(x.f, CMD + 7, 0xa1, 1); /* IDENTIFY PACKET DEVICE */
    check_error(&x, 0x04);
    fm_out(x.f, CMD + 2, 3, 1);
    fm_out(x.f, CMD + 7, 0xc6, 1); /* SET MULTIPLE 3 */
    check_error(&x, 0x04);
    command28(&x, 0x40, SECTORS - 1, 1); /* VERIFY */
    g_assert_cmphex(status(&x), ==, 0x50);
    command28(&x, 0xf8, 0, 0); /* READ NATIVE MAX */
    status(&x);
    g_assert_cmphex(fm_in(x.f, CMD + 3, 1) | fm_in(x.f, CMD + 4, 1) << 8, ==, SECTORS - 1);
    fm_out(x.f, CTL, 0x04, 1); /* SRST */
    g_assert_cmphex(fm_in(x.f, CTL, 1) & 0x80, ==, 0x80);
    fm_out(x.f, CTL, 0x00, 1);
    g_assert_cmphex(status(&x), ==, 0x50);
    g_assert_cmphex(fm_in(x.f, CMD + 1, 1), ==, 1);
    g_assert_cmphex(fm_in(x.f, CMD + 2, 1) | fm_in(x.f, CMD + 3, 1) << 8, ==, 0x0101);
    g_assert_cmphex(fm_in(x.f, CMD + 4, 1) | fm_in(x.f, CMD + 5, 1) << 8, ==, 0);
    teardown(&x);
}

static void prd(struct fixture *x, unsigned n, u32 addr, u16 len, bool last)
{
    u8 e[8];
    st32(e, addr);
    st16(e + 4, len);
    st16(e + 6, last ? 0x8000 : 0);
    dma_write(x->f->m.mem, 0x1000 + 8 * n, e, sizeof(e));
}

static void test_dma(void)
{
    struct fixture x;
    u8 *buf = g_malloc(256 * 512);
    setup(&x);
    prd(&x, 0, 0x10000, 0x600, false);
    prd(&x, 1, 0x20002, 0xa00, true);
    fm_out(x.f, BM + 4, 0x1000, 4);
    fm_out(x.f, BM + 2, 0x06, 1);
    command28(&x, 0xc8, 20, 8);
    g_assert_cmpint(x.f->level[14], ==, 0);
    fm_out(x.f, BM, 0x09, 1);
    g_assert_cmpint(x.f->level[14], ==, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0x04); /* interrupt, not active */
    g_assert_cmphex(status(&x), ==, 0x50);
    fm_out(x.f, BM, 0x00, 1);
    fm_out(x.f, BM + 2, 0x04, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0);
    dma_read(x.f->m.mem, 0x10000, buf, 0x600);
    dma_read(x.f->m.mem, 0x20002, buf + 0x600, 0xa00);
    for (unsigned i = 0; i < 8 * 128; i++)
        g_assert_cmphex(ld32(buf + 4 * i), ==, (20 + i / 128) << 16 | i % 128);

    prd(&x, 0, 0x10000, 0x200, true); /* shorter than the transfer: stops without interrupt */
    command28(&x, 0xc8, 0, 2);
    fm_out(x.f, BM, 0x09, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0);
    g_assert_cmpint(x.f->level[14], ==, 0);
    fm_out(x.f, BM, 0x00, 1);
    fm_out(x.f, CTL, 0x04, 1);
    fm_out(x.f, CTL, 0x00, 1);

    prd(&x, 0, 0x10000, 0, true); /* 64 KiB for one sector: stays active */
    command48(&x, 0x25, 9, 1);
    fm_out(x.f, BM, 0x09, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1), ==, 0x05);
    fm_out(x.f, BM, 0x00, 1);
    fm_out(x.f, BM + 2, 0x06, 1);

    prd(&x, 0, 0xf0000000, 0x200, true); /* not RAM */
    command28(&x, 0xc8, 0, 1);
    fm_out(x.f, BM, 0x09, 1);
    g_assert_cmphex(fm_in(x.f, BM + 2, 1) & 3, ==, 2);
    check_error(&x, 0x04);
    teardown(&x);
    g_free(buf);
}

static void test_state(void)
{
    struct fixture x;
    GByteArray *a = g_byte_array_new(), *b = g_byte_array_new();
    struct err e = { "" };
    setup(&x);
    command28(&x, 0x20, 3, 2);
    fm_in(x.f, CMD, 4);
    device_save(x.ide, a);
    fm_reset(x.f);
    lock_acquire(&x.f->m.lock);
    g_assert_cmpint(device_load(x.ide, a->data, a->len, &e), ==, a->len);
    lock_release(&x.f->m.lock);
    device_save(x.ide, b);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    g_assert_cmphex(fm_in(x.f, CMD, 4), ==, 3 << 16 | 1);
    g_byte_array_unref(a);
    g_byte_array_unref(b);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ide/identify", test_identify);
    g_test_add_func("/ide/pio", test_pio);
    g_test_add_func("/ide/errors", test_errors);
    g_test_add_func("/ide/dma", test_dma);
    g_test_add_func("/ide/state", test_state);
    return g_test_run();
}
