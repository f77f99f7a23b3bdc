/* The floppy controller: reset, every command, DMA and processor transfers, formats, errors, disk change, saving. */
#include "hw/storage/fdc.h"
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk_media.h"
#include "hw/backend/drive.h"
#include "mmu/dma.h"
#include "tests/lib/fake_machine.h"

enum { DOR = 0x3f2, MSR = 0x3f4, FIFO = 0x3f5, CCR = 0x3f7, BUF = 0x20000 };

struct fixture {
    struct fake_machine *f;
    struct blk *blk;
    struct device *fdc;
    struct floppy *a;
    char *path;
    u8 r[16]; /* the last command's result */
    unsigned n;
};

static void settle(struct fixture *x)
{
    lock_acquire(&x->f->m.lock);
    blk_drain(x->blk);
    lock_release(&x->f->m.lock);
}

static bool irq(struct fixture *x) { settle(x); return x->f->level[6]; }

static char *new_image(u32 sectors)
{
    u8 *data = g_malloc(sectors * 512);
    char *path;
    int fd = g_file_open_tmp("gemel-fdc-XXXXXX", &path, NULL);

    for (u32 i = 0; i < sectors * 128; i++)
        st32(data + 4 * i, i / 128 << 16 | i % 128);
    g_assert_cmpint(write(fd, data, sectors * 512), ==, sectors * 512);
    close(fd);
    g_free(data);
    return path;
}

static void setup(struct fixture *x, u32 sectors, bool readonly)
{
    struct err e = { "" };

    *x = (struct fixture){ .path = new_image(sectors) };
    x->f = fake_machine_new(1);
    x->blk = blk_open("fda", "image", x->path, readonly, &e);
    drive_add(DRIVE_FLOPPY, 0, 0, false, x->blk, "-fda", &e);
    fake_device(x->f, "i8257", NULL);
    lock_acquire(&x->f->m.lock);
    x->fdc = fdc_new(&x->f->m, &e);
    lock_release(&x->f->m.lock);
    g_assert_cmpstr(e.msg, ==, "");
    x->a = fdc_drive((struct fdc *)x->fdc, 0);
    fm_out(x->f, DOR, 0x1c, 1);
}

static void teardown(struct fixture *x)
{
    lock_acquire(&x->f->m.lock);
    device_free(x->fdc);
    lock_release(&x->f->m.lock);
    fake_machine_free(x->f);
    drives_free();
    blk_close(x->blk);
    unlink(x->path);
    g_free(x->path);
}

static void send(struct fixture *x, const u8 *cmd, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmphex(fm_in(x->f, MSR, 1) & 0xc0, ==, 0x80);
        fm_out(x->f, FIFO, cmd[i], 1);
    }
}

static void results(struct fixture *x)
{
    settle(x);
    for (x->n = 0; (fm_in(x->f, MSR, 1) & 0xd0) == 0xd0 && x->n < 16; x->n++)
        x->r[x->n] = fm_in(x->f, FIFO, 1);
    g_assert_cmphex(fm_in(x->f, MSR, 1), ==, 0x80);
}

#define RUN(x, ...) do { const u8 c_[] = { __VA_ARGS__ }; send(x, c_, sizeof(c_)); results(x); } while (0)

static void dma(struct fixture *x, u32 addr, u32 len, bool to_memory)
{
    fm_out(x->f, 0x0a, 6, 1);
    fm_out(x->f, 0x0c, 0, 1);
    fm_out(x->f, 4, addr, 1);
    fm_out(x->f, 4, addr >> 8, 1);
    fm_out(x->f, 0x81, addr >> 16, 1);
    fm_out(x->f, 5, len - 1, 1);
    fm_out(x->f, 5, (len - 1) >> 8, 1);
    fm_out(x->f, 0x0b, to_memory ? 0x46 : 0x4a, 1);
    fm_out(x->f, 0x0a, 2, 1);
}

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

static void check_result(struct fixture *x, u8 st0, u8 st1, u8 c, u8 h, u8 r)
{
    g_assert_cmpuint(x->n, ==, 7);
    g_assert_cmphex(x->r[0] << 8 | x->r[1], ==, st0 << 8 | st1);
    g_assert_cmphex(x->r[3] << 16 | x->r[4] << 8 | x->r[5], ==, c << 16 | h << 8 | r);
    g_assert_cmphex(x->r[6], ==, 2);
}

/* As a driver begins: out of reset, four statuses, settings, rate, heads to track 0. */
static void start(struct fixture *x, u8 rate)
{
    fm_out(x->f, DOR, 0x18, 1);
    g_assert_false(irq(x));
    fm_out(x->f, DOR, 0x1c, 1);
    g_assert_true(irq(x));
    for (unsigned i = 0; i < 4; i++) {
        RUN(x, 0x08);
        g_assert_cmphex(x->r[0], ==, 0xc0 | i);
    }
    g_assert_false(irq(x));
    fm_out(x->f, CCR, rate, 1);
    RUN(x, 0x03, 0xdf, 0x02);
    RUN(x, 0x07, 0x00);
    g_assert_true(irq(x));
    RUN(x, 0x08);
    g_assert_cmphex(x->r[0] << 8 | x->r[1], ==, 0x2000);
}

static void test_commands(void)
{
    struct fixture x;
    setup(&x, 2880, false);
    g_assert_cmphex(fdc_cmos_type(x.fdc, 0) << 4 | fdc_cmos_type(x.fdc, 1), ==, 0x40);
    start(&x, 0);
    RUN(&x, 0x08); /* nothing pending */
    g_assert_cmphex(x.r[0], ==, 0x80);
    RUN(&x, 0x10);
    g_assert_cmphex(x.r[0], ==, 0x90);
    RUN(&x, 0x1f);
    g_assert_cmphex(x.r[0], ==, 0x80);
    RUN(&x, 0x04, 0x00);
    g_assert_cmphex(x.r[0], ==, 0x38);
    RUN(&x, 0x0f, 0x04, 40);
    RUN(&x, 0x08);
    g_assert_cmphex(x.r[0] << 8 | x.r[1], ==, 0x2428);
    RUN(&x, 0xcf, 0x00, 5);
    RUN(&x, 0x08);
    g_assert_cmpuint(x.r[1], ==, 45);
    RUN(&x, 0x8f, 0x00, 46);
    RUN(&x, 0x08);
    g_assert_cmpuint(x.r[1], ==, 0);
    RUN(&x, 0x13, 0, 0x57, 0);
    RUN(&x, 0x94); /* LOCK */
    g_assert_cmphex(x.r[0], ==, 0x10);
    RUN(&x, 0x12, 0x83);
    RUN(&x, 0x0e);
    g_assert_cmpuint(x.n, ==, 10);
    g_assert_cmphex(x.r[7] << 8 | x.r[8], ==, 0x8357);
    RUN(&x, 0x07, 0x01); /* a drive that is not there */
    RUN(&x, 0x08);
    g_assert_cmphex(x.r[0], ==, 0x71);
    RUN(&x, 0x4a, 0x04); /* READ ID */
    check_result(&x, 0x04, 0, 0, 1, 1);
    RUN(&x, 0x4a, 0x04);
    check_result(&x, 0x04, 0, 0, 1, 2);
    teardown(&x);
}

static void test_read(void)
{
    struct fixture x;
    setup(&x, 2880, false);
    start(&x, 0);
    dma(&x, BUF, 4 * 512, true);
    RUN(&x, 0x46, 0x00, 0, 0, 3, 2, 18, 0x1b, 0xff);
    check_result(&x, 0, 0, 0, 0, 7);
    check_memory(&x, BUF, 2, 4 * 512);
    dma(&x, BUF, 36 * 512, true); /* both sides of a cylinder */
    RUN(&x, 0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    check_result(&x, 0, 0, 1, 0, 1);
    check_memory(&x, BUF, 0, 36 * 512);
    RUN(&x, 0x0f, 0x00, 79);
    RUN(&x, 0x08);
    dma(&x, BUF, 18 * 512, true);
    RUN(&x, 0xe6, 0x04, 79, 1, 1, 2, 18, 0x1b, 0xff);
    check_result(&x, 0x00, 0, 80, 0, 1);
    check_memory(&x, BUF, 79 * 36 + 18, 18 * 512);
    dma(&x, BUF, 19 * 512, true); /* no terminal count at the last sector */
    RUN(&x, 0x46, 0x04, 79, 1, 1, 2, 18, 0x1b, 0xff);
    g_assert_cmphex(x.r[0] << 8 | x.r[1], ==, 0x4480);
    RUN(&x, 0x13, 0, 0x60, 0); /* implied seeks */
    fm_out(x.f, 0x0a, 6, 1);   /* the channel is masked: the controller waits */
    send(&x, (const u8[]){ 0xe6, 0x00, 7, 0, 1, 2, 18, 0x1b, 0xff }, 9);
    settle(&x);
    g_assert_cmphex(fm_in(x.f, MSR, 1) & 0x90, ==, 0x10);
    dma(&x, BUF, 512, true);
    results(&x);
    check_result(&x, 0, 0, 7, 0, 2);
    check_memory(&x, BUF, 7 * 36, 512);
    RUN(&x, 0xd6, 0x00, 7, 0, 1, 2, 18, 0x1b, 0xff); /* VERIFY */
    g_assert_cmphex(x.r[0], ==, 0);
    dma(&x, BUF, 512, true);
    RUN(&x, 0x42, 0x00, 7, 0, 9, 2, 18, 0x1b, 0xff); /* READ TRACK */
    check_memory(&x, BUF, 7 * 36, 512);
    teardown(&x);
}

static void test_write(void)
{
    struct fixture x;
    setup(&x, 2880, false);
    start(&x, 0);
    for (u32 i = 0; i < 1024; i += 4)
        fm_write(x.f, BUF + i, 0x55000000 + i, 4);
    dma(&x, BUF, 1024, false);
    RUN(&x, 0x45, 0x04, 0, 1, 5, 2, 18, 0x1b, 0xff);
    check_result(&x, 0x04, 0, 0, 1, 7);
    for (u32 i = 0; i < 1024; i += 4)
        g_assert_cmphex(disk_word(&x, 22 * 512 + i), ==, 0x55000000 + i);
    g_assert_cmphex(disk_word(&x, 24 * 512), ==, 24 << 16);
    dma(&x, BUF, 700, false); /* the rest of the last sector becomes zero */
    RUN(&x, 0x45, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    g_assert_cmphex(disk_word(&x, 696), ==, 0x55000000 + 696);
    g_assert_cmphex(disk_word(&x, 700), ==, 0);
    /* FORMAT TRACK */
    for (u32 i = 0; i < 18; i++)
        fm_write(x.f, BUF + 4 * i, 0x02000100 | ((i * 7 % 18) + 1) << 16, 4);
    dma(&x, BUF, 18 * 4, false);
    RUN(&x, 0x4d, 0x04, 2, 18, 0x54, 0xf6);
    g_assert_cmphex(x.r[0], ==, 0x04);
    for (u32 i = 0; i < 18 * 512; i += 4)
        g_assert_cmphex(disk_word(&x, 18 * 512 + i), ==, 0xf6f6f6f6);
    g_assert_cmphex(disk_word(&x, 36 * 512), ==, 36 << 16);
    RUN(&x, 0x4d, 0x04, 2, 9, 0x54, 0xf6);
    g_assert_cmphex(x.r[0] << 8 | x.r[1], ==, 0x4404);
    teardown(&x);
}

static void test_processor(void)
{
    struct fixture x;
    setup(&x, 2880, false);
    start(&x, 0);
    RUN(&x, 0x03, 0xdf, 0x03); /* no DMA */
    send(&x, (const u8[]){ 0x46, 0x00, 0, 0, 18, 2, 18, 0x1b, 0xff }, 9);
    g_assert_true(irq(&x));
    for (u32 i = 0; i < 512; i++) {
        g_assert_cmphex(fm_in(x.f, MSR, 1), ==, 0xf0);
        g_assert_cmphex(fm_in(x.f, FIFO, 1), ==, (17u << 16 | i / 4) >> (8 * (i % 4)) & 0xff);
    }
    g_assert_true(irq(&x));
    results(&x);
    check_result(&x, 0x40, 0x80, 1, 0, 1);
    send(&x, (const u8[]){ 0x45, 0x00, 0, 0, 18, 2, 18, 0x1b, 0xff }, 9);
    for (u32 i = 0; i < 512; i++) {
        g_assert_cmphex(fm_in(x.f, MSR, 1), ==, 0xb0);
        fm_out(x.f, FIFO, i, 1);
    }
    results(&x);
    g_assert_cmphex(disk_word(&x, 17 * 512 + 4), ==, 0x07060504);
    teardown(&x);
}

static void test_errors(void)
{
    struct fixture x;
    setup(&x, 2880, true);
    start(&x, 0);
    dma(&x, BUF, 512, true);
    RUN(&x, 0x46, 0x00, 1, 0, 1, 2, 18, 0x1b, 0xff); /* the heads are elsewhere */
    check_result(&x, 0x40, 0x04, 1, 0, 1);
    g_assert_cmphex(x.r[2], ==, 0x10);
    RUN(&x, 0x46, 0x00, 0, 0, 19, 2, 18, 0x1b, 0xff);
    check_result(&x, 0x40, 0x04, 0, 0, 19);
    RUN(&x, 0x46, 0x00, 0, 1, 1, 2, 18, 0x1b, 0xff);
    check_result(&x, 0x40, 0x04, 0, 1, 1);
    RUN(&x, 0x46, 0x01, 0, 0, 1, 2, 18, 0x1b, 0xff); /* no drive */
    g_assert_cmphex(x.r[0] << 8 | x.r[1], ==, 0x4101);
    RUN(&x, 0x45, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    check_result(&x, 0x40, 0x02, 0, 0, 1);
    fm_out(x.f, CCR, 2, 1); /* the wrong rate */
    RUN(&x, 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    g_assert_cmphex(x.r[1], ==, 0x01);
    RUN(&x, 0x04, 0x00);
    g_assert_cmphex(x.r[0], ==, 0x78); /* write-protected */
    fm_in(x.f, FIFO, 1); /* out of turn */
    send(&x, (const u8[]){ 0x46, 0x00 }, 2); /* a command cut short by a reset, and one in flight */
    start(&x, 0);
    dma(&x, BUF, 512, true);
    send(&x, (const u8[]){ 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff }, 9);
    start(&x, 0);
    fm_out(x.f, MSR, 0x80, 1); /* software reset */
    g_assert_true(irq(&x));
    RUN(&x, 0x08);
    g_assert_cmphex(x.r[0], ==, 0xc0);
    teardown(&x);
}

static void test_formats(void)
{
    static const struct { u32 sectors; u8 type, rate, spt, heads, tracks; } formats[] = {
        { 2880, 4, 0, 18, 2, 80 }, { 5760, 5, 3, 36, 2, 80 }, { 1440, 4, 2, 9, 2, 80 }, { 2400, 2, 0, 15, 2, 80 }, { 720, 2, 1, 9, 2, 40 },
        { 3360, 4, 0, 21, 2, 80 }, { 2000, 2, 0, 15, 2, 80 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
        u8 spt = formats[i].spt, heads = formats[i].heads, last = formats[i].tracks - 1;
        u32 lba = (u32)last * heads * spt;
        struct fixture x;
        setup(&x, formats[i].sectors, false);
        g_assert_cmpuint(fdc_cmos_type(x.fdc, 0), ==, formats[i].type);
        start(&x, formats[i].rate);
        RUN(&x, 0x0f, 0x00, last);
        RUN(&x, 0x08);
        dma(&x, BUF, 512, true);
        RUN(&x, 0x46, 0x00, last, 0, spt, 2, spt, 0x1b, 0xff);
        check_result(&x, 0, 0, last + 1, 0, 1);
        lba += spt - 1;
        if (lba < formats[i].sectors)
            check_memory(&x, BUF, lba, 512);
        else
            g_assert_cmphex(fm_read(x.f, BUF, 8), ==, 0); /* the image is shorter */
        teardown(&x);
    }
}

static void test_change(void)
{
    struct fixture x;
    setup(&x, 2880, false);
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x80);
    start(&x, 0);
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x00);
    fm_out(x.f, DOR, 0x0c, 1); /* motor off */
    x.a->changed = 1;
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x00);
    fm_out(x.f, DOR, 0x1c, 1);
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x80);
    fm_out(x.f, DOR, 0x2d, 1); /* drive B is not there */
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x00);
    teardown(&x);
}

/* The user takes the medium out and puts another one in. */
static void test_media(void)
{
    struct fixture x;
    struct err e = { "" };
    char *path = new_image(1440);
    setup(&x, 2880, false);
    start(&x, 0);
    g_assert_cmpint(blk_eject(x.blk, "floppy0", false, &e), ==, 0);
    g_assert_false(blk_present(x.blk));
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x80);
    RUN(&x, 0x46, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    check_result(&x, 0x40, 0x01, 0, 0, 1);
    g_assert_cmpint(blk_change_medium(x.blk, "floppy0", path, "raw", BLK_RETAIN, false, &e), ==, 0);
    g_assert_cmpstr(e.msg, ==, "");
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x80); /* until the heads move */
    RUN(&x, 0x0f, 0x00, 1);
    RUN(&x, 0x08);
    g_assert_cmphex(fm_in(x.f, CCR, 1), ==, 0x00);
    fm_out(x.f, CCR, 2, 1); /* 720 KB: 250 kb/s, 9 sectors a track */
    dma(&x, BUF, 512, true);
    RUN(&x, 0x46, 0x04, 1, 1, 3, 2, 9, 0x1b, 0xff);
    check_result(&x, 0x04, 0, 1, 1, 4);
    check_memory(&x, BUF, 27 + 2, 512);
    teardown(&x);
    unlink(path);
    g_free(path);
}

static void reload(struct fixture *x)
{
    GPtrArray *saved = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    struct err e = { "" };
    unsigned i = 0;

    lock_acquire(&x->f->m.lock);
    for (struct device *d = x->f->m.devices; d; d = d->next) {
        g_ptr_array_add(saved, g_byte_array_new());
        device_save(d, g_ptr_array_index(saved, saved->len - 1));
    }
    lock_release(&x->f->m.lock);
    fm_reset(x->f);
    lock_acquire(&x->f->m.lock);
    for (struct device *d = x->f->m.devices; d; d = d->next) {
        GByteArray *a = g_ptr_array_index(saved, i++);
        g_assert_cmpint(device_load(d, a->data, a->len, &e), ==, a->len);
    }
    lock_release(&x->f->m.lock);
    g_ptr_array_unref(saved);
}

static void test_save(void)
{
    struct fixture x;
    setup(&x, 2880, false);
    start(&x, 0);
    RUN(&x, 0x0f, 0x00, 3);
    reload(&x); /* an interrupt pending */
    g_assert_true(irq(&x));
    RUN(&x, 0x08);
    g_assert_cmphex(x.r[0] << 8 | x.r[1], ==, 0x2003);
    send(&x, (const u8[]){ 0x46, 0x00, 3, 0 }, 4); /* in the middle of a command */
    reload(&x);
    dma(&x, BUF, 512, true);
    send(&x, (const u8[]){ 1, 2, 18, 0x1b, 0xff }, 5);
    reload(&x); /* with the block layer at work: it is done again */
    results(&x);
    check_result(&x, 0, 0, 3, 0, 2);
    check_memory(&x, BUF, 3 * 36, 512);
    fm_out(x.f, 0x0a, 6, 1);
    for (u32 i = 0; i < 512; i += 4)
        fm_write(x.f, BUF + i, i, 4);
    send(&x, (const u8[]){ 0x45, 0x00, 3, 0, 1, 2, 18, 0x1b, 0xff }, 9); /* waiting for DMA */
    reload(&x);
    dma(&x, BUF, 512, false);
    reload(&x);
    results(&x);
    check_result(&x, 0, 0, 3, 0, 2);
    g_assert_cmphex(disk_word(&x, 3 * 36 * 512 + 8), ==, 8);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fdc/commands", test_commands);
    g_test_add_func("/fdc/read", test_read);
    g_test_add_func("/fdc/write", test_write);
    g_test_add_func("/fdc/processor", test_processor);
    g_test_add_func("/fdc/errors", test_errors);
    g_test_add_func("/fdc/formats", test_formats);
    g_test_add_func("/fdc/change", test_change);
    g_test_add_func("/fdc/media", test_media);
    g_test_add_func("/fdc/save", test_save);
    return g_test_run();
}
