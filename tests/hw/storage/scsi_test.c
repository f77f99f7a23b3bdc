/* SCSI units behind a bus made here: every command of disks and CD-ROM drives, data phases in pieces, errors, cancelling, saving. */
#include "hw/storage/scsi.h"
#include <fcntl.h>
#include <glib.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "tests/lib/fake_machine.h"

enum { BLOCKS = 4096, SIZE = BLOCKS * 512, BUF = 256 * 1024 };

struct fixture {
    struct fake_machine *f;
    struct device hba;
    struct scsi_bus bus;
    struct device *dev;
    struct scsi_lu *lu;
    struct blk *blk;
    char *path;
    struct scsi_req r;
    u8 *buf;           /* of the data phase */
    u32 place;         /* next byte of it */
    u32 room, piece;   /* bytes there are, bytes to hand out at a time */
    bool hold;         /* do not answer `data` */
    unsigned asked, done, attentions, plugs, cancels;
};

static void give(struct fixture *x)
{
    u32 n = MIN_OF(x->room - x->place, x->piece), half = n / 2;
    struct iovec iov[2] = { { x->buf + x->place, half }, { x->buf + x->place + half, n - half } };

    x->place += n;
    scsi_data(&x->r, iov, n ? 2 : 0);
}

static void on_data(struct scsi_req *r)
{
    struct fixture *x = r->opaque;

    x->asked++;
    if (!x->hold)
        give(x);
}

static void on_done(struct scsi_req *r)
{
    ((struct fixture *)r->opaque)->done++;
}

static const struct scsi_req_ops req_ops = { on_data, on_done };

static void on_attention(struct scsi_bus *b, struct scsi_lu *lu, u8 asc, u8 ascq)
{
    container_of(b, struct fixture, bus)->attentions++;
}

static void on_cancelled(struct scsi_bus *b, struct scsi_req *r)
{
    container_of(b, struct fixture, bus)->cancels++;
}

static const struct scsi_bus_ops bus_ops = { .attention = on_attention, .cancelled = on_cancelled };

static void lock(struct fixture *x) { lock_acquire(&x->f->m.lock); }
static void unlock(struct fixture *x) { lock_release(&x->f->m.lock); }

static struct device *make(struct fixture *x, const char *cls, const char *props, struct err *e)
{
    lock(x);
    struct device *d = device_create(&x->f->m, cls, NULL, props, e);
    unlock(x);
    return d;
}

static void setup(struct fixture *x, const char *cls, const char *props, bool readonly)
{
    struct err e = { "" };
    u8 *data = g_malloc(SIZE);
    int fd;

    *x = (struct fixture){ .room = BUF, .piece = BUF };
    fd = g_file_open_tmp("gemel-scsi-XXXXXX", &x->path, NULL);
    for (u32 i = 0; i < SIZE / 4; i++)
        st32(data + 4 * i, i / 128 << 16 | i % 128);
    g_assert_cmpint(write(fd, data, SIZE), ==, SIZE);
    close(fd);
    g_free(data);
    x->f = fake_machine_new(1);
    x->hba.m = &x->f->m;
    x->blk = blk_open("disk", "image", x->path, readonly, &e);
    g_assert_nonnull(x->blk);
    scsi_bus_init(&x->bus, &x->hba, &bus_ops, &x->f->m.lock, 1, 8, 1024);
    x->dev = make(x, cls, props, &e);
    g_assert_cmpstr(e.msg, ==, "");
    x->lu = scsi_find(&x->bus, 0, 0, 0);
    x->buf = g_malloc0(BUF);
}

static void teardown(struct fixture *x)
{
    lock(x);
    scsi_bus_fini(&x->bus);
    unlock(x);
    fake_machine_free(x->f);
    blk_close(x->blk);
    unlink(x->path);
    g_free(x->path);
    g_free(x->buf);
}

static void start(struct fixture *x, const u8 *cdb, unsigned n)
{
    memset(x->r.cdb, 0, sizeof(x->r.cdb));
    memcpy(x->r.cdb, cdb, n);
    x->r.lu = x->lu;
    x->r.ops = &req_ops;
    x->r.opaque = x;
    x->place = x->done = x->asked = 0;
    lock(x);
    scsi_start(&x->r);
    unlock(x);
}

static void finish(struct fixture *x)
{
    lock(x);
    while (!x->done) {
        unsigned asked = x->asked;
        blk_drain(x->blk);
        g_assert_true(x->done || x->asked != asked);
    }
    unlock(x);
    g_assert_cmpuint(x->done, ==, 1);
}

#define RUN(x, ...) do { const u8 c_[] = { __VA_ARGS__ }; start(x, c_, sizeof(c_)); finish(x); } while (0)
#define GOOD(x, ...) do { RUN(x, __VA_ARGS__); g_assert_cmphex((x)->r.status, ==, SCSI_GOOD); } while (0)
#define FAIL(x, sense_, ...) do { RUN(x, __VA_ARGS__); check_sense(x, sense_); } while (0)

static void check_sense(struct fixture *x, u32 sense)
{
    g_assert_cmphex(x->r.status, ==, SCSI_CHECK_CONDITION);
    g_assert_cmpuint(x->r.sense_len, ==, SCSI_SENSE_SIZE);
    g_assert_cmphex(x->r.sense[2] << 16 | x->r.sense[12] << 8 | x->r.sense[13], ==, sense);
}

static void check_disk(struct fixture *x, u64 off, const void *want, u32 len)
{
    u8 *got = g_malloc(len);

    g_assert_cmpint(blk_pread(x->blk, off, got, len), ==, 0);
    g_assert_cmpmem(got, len, want, len);
    g_free(got);
}

static u32 be(const u8 *p) { return __builtin_bswap32(ld32(p)); }

static void test_identity(void)
{
    struct fixture x;

    setup(&x, "scsi-hd", "drive=disk,serial=ABC123,wwn=0x5000c50015ea71ac,rotation_rate=1,product=DISK,vendor=ME,ver=2.5", false);
    FAIL(&x, 0x062900, 0x00); /* power on */
    GOOD(&x, 0x00);
    GOOD(&x, 0x12, 0, 0, 0, 96);
    g_assert_cmpuint(x.r.moved, ==, 36);
    g_assert_cmpmem(x.buf + 8, 28, "ME      DISK            2.5 ", 28);
    g_assert_cmphex(x.buf[0] | x.buf[1] << 8 | x.buf[2] << 16, ==, 0x050000);
    GOOD(&x, 0x12, 1, 0x00, 0, 96);
    g_assert_cmpmem(x.buf, 10, "\0\0\0\6\0\x80\x83\xb0\xb1\xb2", 10);
    GOOD(&x, 0x12, 1, 0x80, 0, 96);
    g_assert_cmpmem(x.buf, 10, "\0\x80\0\6ABC123", 10);
    GOOD(&x, 0x12, 1, 0x83, 0, 96);
    g_assert_cmpmem(x.buf + 4, 22, "\2\0\0\6ABC123\1\3\0\10\x50\0\xc5\0\x15\xea\x71\xac", 22);
    GOOD(&x, 0x12, 1, 0xb0, 0, 96);
    g_assert_cmpuint(x.r.moved, ==, 64);
    g_assert_cmphex(be(x.buf + 20), ==, (1 << 30) / 512);
    GOOD(&x, 0x12, 1, 0xb1, 0, 96);
    g_assert_cmphex(x.buf[5], ==, 1);
    GOOD(&x, 0x12, 1, 0xb2, 0, 96);
    g_assert_cmphex(x.buf[5], ==, 0xe0);
    FAIL(&x, 0x052400, 0x12, 1, 0x84, 0, 96);
    FAIL(&x, 0x052400, 0x12, 0, 0x80, 0, 96);
    GOOD(&x, 0x12, 0, 0, 0, 5); /* a short allocation */
    g_assert_cmpuint(x.r.moved, ==, 5);
    GOOD(&x, 0x12, 0, 0, 0, 0);
    g_assert_cmpuint(x.r.moved, ==, 0);
    GOOD(&x, 0x03, 0, 0, 0, 18);
    g_assert_cmphex(x.buf[2], ==, 0);
    RUN(&x, 0xff);
    check_sense(&x, 0x052000);
    GOOD(&x, 0x03, 0, 0, 0, 18);
    g_assert_cmphex(x.buf[2] << 16 | x.buf[12] << 8 | x.buf[13], ==, 0x052000);
    FAIL(&x, 0x052000, 0x5e, 0); /* PERSISTENT RESERVE IN */
    FAIL(&x, 0x052000, 0x5f, 0);
    teardown(&x);
}

static void test_capacity(void)
{
    struct fixture x;

    setup(&x, "scsi-hd", "drive=disk,logical_block_size=1024,physical_block_size=4096", false);
    RUN(&x, 0x00);
    GOOD(&x, 0x25);
    g_assert_cmpuint(be(x.buf), ==, SIZE / 1024 - 1);
    g_assert_cmpuint(be(x.buf + 4), ==, 1024);
    GOOD(&x, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32);
    g_assert_cmpuint(be(x.buf + 4), ==, SIZE / 1024 - 1);
    g_assert_cmphex(x.buf[13], ==, 2);
    g_assert_cmphex(x.buf[14], ==, 0x80);
    FAIL(&x, 0x052400, 0x9e, 0x12);
    GOOD(&x, 0x28, 0, 0, 0, 0, 3, 0, 0, 1);
    g_assert_cmphex(ld32(x.buf), ==, 6 << 16);
    teardown(&x);
}

static void test_read_write(void)
{
    struct fixture x;

    setup(&x, "scsi-hd", "drive=disk", false);
    RUN(&x, 0x00);
    GOOD(&x, 0x08, 0, 0, 5, 2);
    g_assert_cmpuint(x.r.moved, ==, 1024);
    g_assert_cmphex(ld32(x.buf + 512), ==, 6 << 16);
    GOOD(&x, 0x08, 0, 0, 0, 0); /* 256 blocks */
    g_assert_cmpuint(x.r.moved, ==, 256 * 512);
    x.piece = 700; /* the data phase in odd pieces */
    GOOD(&x, 0x28, 0, 0, 0, 0, 100, 0, 0, 8);
    for (u32 i = 0; i < 1024; i++)
        g_assert_cmphex(ld32(x.buf + 4 * i), ==, (100 + i / 128) << 16 | i % 128);
    g_assert_cmpuint(x.asked, ==, 6);
    memset(x.buf, 0xa5, 4096);
    GOOD(&x, 0x2a, 8 /* FUA */, 0, 0, 0, 200, 0, 0, 8);
    check_disk(&x, 200 * 512, x.buf, 4096);
    x.piece = BUF;
    memset(x.buf, 0x5a, 512);
    GOOD(&x, 0x8a, 0, 0, 0, 0, 0, 0, 0, 15, 255, 0, 0, 0, 1);
    check_disk(&x, 4095 * 512, x.buf, 512);
    GOOD(&x, 0x88, 0, 0, 0, 0, 0, 0, 0, 15, 255, 0, 0, 0, 1);
    GOOD(&x, 0xa8, 0, 0, 0, 15, 255, 0, 0, 0, 1);
    GOOD(&x, 0x0a, 0, 0, 9, 1);
    check_disk(&x, 9 * 512, x.buf, 512);
    GOOD(&x, 0x2e, 0, 0, 0, 0, 10, 0, 0, 1);
    check_disk(&x, 10 * 512, x.buf, 512);
    x.room = 1536; /* less room than the command moves */
    GOOD(&x, 0x28, 0, 0, 0, 0, 0, 0, 0, 8);
    g_assert_cmpuint(x.r.moved, ==, 1536);
    x.room = BUF;
    GOOD(&x, 0x28, 0, 0, 0, 0, 0, 0, 0, 0); /* nothing */
    g_assert_cmpuint(x.r.moved, ==, 0);
    GOOD(&x, 0x35);
    GOOD(&x, 0x91);
    GOOD(&x, 0x2f, 0, 0, 0, 0, 0, 0, 0, 8);
    GOOD(&x, 0x2b, 0, 0, 0, 0, 9);
    FAIL(&x, 0x052100, 0x28, 0, 0, 0, 15, 255, 0, 0, 2);
    FAIL(&x, 0x052100, 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255);
    FAIL(&x, 0x052100, 0x2a, 0, 255, 255, 255, 255, 0, 0, 1);
    FAIL(&x, 0x052400, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1);
    FAIL(&x, 0x052400, 0x2f, 0x02, 0, 0, 0, 0, 0, 0, 1);
    teardown(&x);
}

static void test_readonly(void)
{
    struct fixture x;

    setup(&x, "scsi-hd", "drive=disk", true);
    RUN(&x, 0x00);
    FAIL(&x, 0x072700, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
    FAIL(&x, 0x072700, 0x41, 0, 0, 0, 0, 0, 0, 0, 1);
    FAIL(&x, 0x072700, 0x42, 0, 0, 0, 0, 0, 0, 0, 24);
    GOOD(&x, 0x1a, 0, 0x3f, 0, 255);
    g_assert_cmphex(x.buf[2], ==, 0x90);
    teardown(&x);
}

static void test_deallocation(void)
{
    static const u8 list[40] = { 0, 38, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0,
                                 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 8, 0, 0, 0, 0 };
    struct fixture x;
    u8 zero[4096] = { 0 };

    setup(&x, "scsi-hd", "drive=disk", false);
    RUN(&x, 0x00);
    memcpy(x.buf, list, sizeof(list));
    GOOD(&x, 0x42, 0, 0, 0, 0, 0, 0, 0, 40);
    x.buf[8] = 1; /* a range beyond the end */
    FAIL(&x, 0x052100, 0x42, 0, 0, 0, 0, 0, 0, 0, 40);
    x.buf[8] = 0;
    x.buf[3] = 30;
    FAIL(&x, 0x051a00, 0x42, 0, 0, 0, 0, 0, 0, 0, 40);
    FAIL(&x, 0x051a00, 0x42, 0, 0, 0, 0, 0, 0, 0, 7);
    GOOD(&x, 0x42);
    for (u32 i = 0; i < 512; i++)
        x.buf[i] = i * 7;
    GOOD(&x, 0x41, 0, 0, 0, 0, 16, 0, 4, 0); /* 1024 blocks of a pattern */
    for (u32 i = 0; i < 1024; i++)
        check_disk(&x, (16 + i) * 512, x.buf, 512);
    memset(x.buf, 0, 512);
    GOOD(&x, 0x93, 8, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 8);
    check_disk(&x, 20 * 512, zero, 4096);
    GOOD(&x, 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 8); /* NDOB */
    g_assert_cmpuint(x.asked, ==, 0);
    check_disk(&x, 40 * 512, zero, 4096);
    FAIL(&x, 0x052400, 0x41, 0, 0, 0, 0, 0, 0, 0, 0);
    FAIL(&x, 0x052100, 0x93, 0, 0, 0, 0, 0, 0, 0, 15, 255, 0, 0, 0, 2);
    teardown(&x);
}

static void test_mode(void)
{
    struct fixture x;

    setup(&x, "scsi-hd", "drive=disk", false);
    RUN(&x, 0x00);
    GOOD(&x, 0x1a, 0, 0x08, 0, 255);
    g_assert_cmpuint(x.r.moved, ==, 4 + 8 + 20);
    g_assert_cmphex(x.buf[12 + 2], ==, 4); /* WCE */
    g_assert_cmpuint(be(x.buf + 4), ==, BLOCKS);
    GOOD(&x, 0x5a, 8, 0x3f, 0, 0, 0, 0, 2, 0);
    g_assert_cmpuint(x.r.moved, ==, 8 + 12 + 20 + 12);
    g_assert_cmpuint(x.buf[1], ==, x.r.moved - 2);
    GOOD(&x, 0x1a, 8, 0x48, 0, 255); /* what can be changed */
    g_assert_cmphex(x.buf[4 + 2], ==, 4);
    FAIL(&x, 0x053900, 0x1a, 0, 0xc8, 0, 255);
    FAIL(&x, 0x052400, 0x1a, 0, 0x05, 0, 255);
    memset(x.buf, 0, 64);
    x.buf[4] = 0x08;
    x.buf[5] = 0x12;
    GOOD(&x, 0x15, 0x10, 0, 0, 24); /* write cache off */
    g_assert_false(x.lu->wce);
    GOOD(&x, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
    memset(x.buf, 0, 64);
    x.buf[4] = 0x08;
    x.buf[5] = 0x12;
    x.buf[6] = 0x05; /* RCD is not for the guest to change */
    FAIL(&x, 0x052600, 0x15, 0x10, 0, 0, 24);
    FAIL(&x, 0x051a00, 0x15, 0x10, 0, 0, 10);
    FAIL(&x, 0x052400, 0x15, 0x11, 0, 0, 24);
    g_assert_false(x.lu->wce);
    teardown(&x);
}

static void test_addresses(void)
{
    struct fixture x;
    struct err e = { "" };
    unsigned channel, target, lun;

    setup(&x, "scsi-hd", "drive=disk", false);
    g_assert_null(make(&x, "scsi-cd", "scsi-id=0", &e));
    g_assert_nonnull(strstr(e.msg, "taken"));
    g_assert_null(make(&x, "scsi-cd", "scsi-id=8", &e));
    g_assert_null(make(&x, "scsi-cd", "lun=1024", &e));
    g_assert_null(make(&x, "scsi-cd", "channel=1", &e));
    g_assert_null(make(&x, "scsi-hd", NULL, &e));
    g_assert_nonnull(strstr(e.msg, "drive= is missing"));
    g_assert_null(make(&x, "scsi-hd", "drive=disk", &e)); /* in use */
    g_assert_nonnull(make(&x, "scsi-cd", NULL, &e));
    g_assert_nonnull(make(&x, "scsi-cd", "scsi-id=0,lun=300", &e));
    g_assert_nonnull(scsi_find(&x.bus, 0, 1, 0));
    scsi_address(scsi_find(&x.bus, 0, 0, 300), &channel, &target, &lun);
    g_assert_cmpuint(channel << 16 | target << 12 | lun, ==, 300);
    GOOD(&x, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
    g_assert_cmpuint(be(x.buf), ==, 16);
    g_assert_cmphex(x.buf[16] << 8 | x.buf[17], ==, 0x4000 | 300);
    /* an address without a unit */
    x.r.cdb[0] = 0x12;
    x.r.cdb[3] = 0;
    x.r.cdb[4] = 36;
    x.place = 0;
    lock(&x);
    scsi_start_absent(&x.bus, 0, 0, &x.r);
    g_assert_cmpuint(x.done, ==, 2);
    g_assert_cmphex(x.buf[0], ==, 0x7f);
    x.r.cdb[0] = 0x00;
    scsi_start_absent(&x.bus, 0, 0, &x.r);
    unlock(&x);
    check_sense(&x, 0x052500);
    RUN(&x, 0x00);
    lock(&x);
    scsi_reset_target(&x.bus, 0, 0);
    unlock(&x);
    FAIL(&x, 0x062900, 0x00);
    teardown(&x);
}

static void test_cancel(void)
{
    struct fixture x;

    setup(&x, "scsi-hd", "drive=disk", false);
    RUN(&x, 0x00);
    for (unsigned hold = 0; hold < 2; hold++) {
        x.hold = hold;
        start(&x, (const u8[]){ 0x2a, 0, 0, 0, 0, 50, 0, 0, 16, 0 }, 10);
        lock(&x);
        g_assert_true(x.lu->active == &x.r);
        scsi_cancel(&x.r);
        unlock(&x);
        g_assert_null(x.lu->active);
        g_assert_cmpuint(x.done, ==, 0);
    }
    start(&x, (const u8[]){ 0x35 }, 1);
    lock(&x);
    scsi_lu_reset(x.lu);
    g_assert_null(x.lu->active);
    unlock(&x);
    FAIL(&x, 0x062900, 0x00);
    start(&x, (const u8[]){ 0x28, 0, 0, 0, 0, 50, 0, 0, 16, 0 }, 10);
    lock(&x);
    device_free(x.dev);
    unlock(&x);
    g_assert_cmpuint(x.cancels, ==, 1);
    teardown(&x);
}

static void test_save(void)
{
    struct fixture x;
    GByteArray *a = g_byte_array_new();

    setup(&x, "scsi-hd", "drive=disk", false);
    RUN(&x, 0x00);
    /* between two pieces of a read */
    x.piece = 1000;
    x.hold = true;
    start(&x, (const u8[]){ 0x28, 0, 0, 0, 0, 50, 0, 0, 8, 0 }, 10);
    lock(&x);
    give(&x);
    blk_drain(x.blk);
    g_assert_cmpuint(x.asked, ==, 2);
    snap_save(scsi_req_fields, &x.r, a);
    scsi_cancel(&x.r);
    memset(&x.r, 0xee, offsetof(struct scsi_req, buf));
    x.r.lu = x.lu;
    x.r.ops = &req_ops;
    x.r.opaque = &x;
    g_assert_cmpint(snap_load(scsi_req_fields, &x.r, a->data, a->len), ==, a->len);
    x.hold = false;
    scsi_post_load(&x.r);
    unlock(&x);
    finish(&x);
    g_assert_cmphex(x.r.status, ==, SCSI_GOOD);
    for (u32 i = 0; i < 1024; i++)
        g_assert_cmphex(ld32(x.buf + 4 * i), ==, (50 + i / 128) << 16 | i % 128);
    g_byte_array_unref(a);
    teardown(&x);
}

/* -- CD-ROM ---------------------------------------------------------------------------------------------------------------- */

static void test_cdrom(void)
{
    struct fixture x;

    setup(&x, "scsi-cd", "drive=disk", true);
    FAIL(&x, 0x062900, 0x00);
    GOOD(&x, 0x12, 0, 0, 0, 36);
    g_assert_cmphex(x.buf[0] | x.buf[1] << 8, ==, 0x8005);
    GOOD(&x, 0x25);
    g_assert_cmpuint(be(x.buf), ==, SIZE / 2048 - 1);
    g_assert_cmpuint(be(x.buf + 4), ==, 2048);
    GOOD(&x, 0x28, 0, 0, 0, 0, 3, 0, 0, 2);
    g_assert_cmpuint(x.r.moved, ==, 4096);
    g_assert_cmphex(ld32(x.buf), ==, 12 << 16);
    GOOD(&x, 0xa8, 0, 0, 0, 0, 3, 0, 0, 0, 1);
    GOOD(&x, 0xbe, 0, 0, 0, 0, 4, 0, 0, 1, 0x10);
    g_assert_cmphex(ld32(x.buf), ==, 16 << 16);
    GOOD(&x, 0xb9, 0, 0, 0, 2, 4, 0, 2, 5, 0x10);
    g_assert_cmpuint(x.r.moved, ==, 2048);
    g_assert_cmphex(ld32(x.buf), ==, 16 << 16);
    FAIL(&x, 0x056400, 0xbe, 0x04, 0, 0, 0, 4, 0, 0, 1, 0x10); /* audio */
    FAIL(&x, 0x052400, 0xbe, 0, 0, 0, 0, 4, 0, 0, 1, 0xf8);
    FAIL(&x, 0x052100, 0x28, 0, 0, 0, 4, 0, 0, 0, 1);
    FAIL(&x, 0x052000, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1);
    GOOD(&x, 0x43, 2, 0, 0, 0, 0, 0, 0, 255);
    g_assert_cmpmem(x.buf, 20, "\0\x12\1\1\0\x14\1\0\0\0\2\0\0\x14\xaa\0\0\0\x0f\x31", 20); /* 1024 blocks and 2 s */
    GOOD(&x, 0x43, 0, 0, 0, 0, 0, 0xaa, 0, 255);
    g_assert_cmpuint(x.r.moved, ==, 12);
    g_assert_cmpuint(be(x.buf + 8), ==, 1024);
    GOOD(&x, 0x43, 0, 1, 0, 0, 0, 0, 0, 255);
    g_assert_cmpuint(x.r.moved, ==, 12);
    GOOD(&x, 0x43, 0, 2, 0, 0, 0, 0, 0, 255);
    g_assert_cmpuint(x.r.moved, ==, 48);
    FAIL(&x, 0x052400, 0x43, 0, 0, 0, 0, 0, 2, 0, 255);
    FAIL(&x, 0x052400, 0x43, 0, 5, 0, 0, 0, 0, 0, 255);
    GOOD(&x, 0x46, 0, 0, 0, 0, 0, 0, 1, 0);
    g_assert_cmphex(x.buf[7], ==, 8);
    g_assert_cmpuint(be(x.buf) + 4, ==, x.r.moved);
    GOOD(&x, 0x46, 2, 0, 3, 0, 0, 0, 1, 0);
    g_assert_cmpuint(x.r.moved, ==, 16);
    GOOD(&x, 0x51, 0, 0, 0, 0, 0, 0, 0, 255);
    g_assert_cmphex(x.buf[2], ==, 0x0e);
    GOOD(&x, 0x52, 1, 0, 0, 0, 1, 0, 0, 255);
    g_assert_cmpuint(be(x.buf + 24), ==, 1024);
    FAIL(&x, 0x052400, 0x52, 1, 0, 0, 0, 2, 0, 0, 255);
    GOOD(&x, 0x42, 0, 0x40, 1, 0, 0, 0, 0, 255);
    GOOD(&x, 0x5a, 8, 0x2a, 0, 0, 0, 0, 0, 255);
    g_assert_cmpuint(x.r.moved, ==, 28);
    GOOD(&x, 0x23, 0, 0, 0, 0, 0, 0, 0, 255);
    GOOD(&x, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8);
    FAIL(&x, 0x052400, 0xad, 0, 0, 0, 0, 0, 0, 0, 8, 0); /* not a DVD */
    FAIL(&x, 0x056400, 0x45, 0);
    teardown(&x);
}

static void test_tray(void)
{
    struct fixture x;

    setup(&x, "scsi-cd", "drive=disk", true);
    RUN(&x, 0x00);
    GOOD(&x, 0x1e, 0, 0, 0, 1);
    FAIL(&x, 0x055302, 0x1b, 0, 0, 0, 2); /* locked */
    GOOD(&x, 0x1e, 0, 0, 0, 0);
    GOOD(&x, 0x1b, 0, 0, 0, 2);
    FAIL(&x, 0x023a02, 0x00);
    GOOD(&x, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmpmem(x.buf, 6, "\0\6\4\x10\3\1", 6);
    GOOD(&x, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmphex(x.buf[4], ==, 0);
    GOOD(&x, 0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8); /* a class that there is not */
    g_assert_cmphex(x.buf[2], ==, 0x80);
    FAIL(&x, 0x052400, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8);
    GOOD(&x, 0x1b, 0, 0, 0, 3);
    GOOD(&x, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmpmem(x.buf + 4, 2, "\2\2", 2);
    FAIL(&x, 0x062800, 0x00); /* the medium may have changed */
    GOOD(&x, 0x00);
    g_assert_cmpuint(x.attentions, ==, 1);
    teardown(&x);

    setup(&x, "scsi-cd", NULL, true); /* without a back end */
    FAIL(&x, 0x062900, 0x00);
    FAIL(&x, 0x023a00, 0x00);
    FAIL(&x, 0x023a00, 0x25);
    GOOD(&x, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    g_assert_cmphex(x.buf[5], ==, 0);
    GOOD(&x, 0x46, 0, 0, 0, 0, 0, 0, 1, 0);
    g_assert_cmphex(x.buf[7], ==, 0);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scsi/identity", test_identity);
    g_test_add_func("/scsi/capacity", test_capacity);
    g_test_add_func("/scsi/read-write", test_read_write);
    g_test_add_func("/scsi/readonly", test_readonly);
    g_test_add_func("/scsi/deallocation", test_deallocation);
    g_test_add_func("/scsi/mode", test_mode);
    g_test_add_func("/scsi/addresses", test_addresses);
    g_test_add_func("/scsi/cancel", test_cancel);
    g_test_add_func("/scsi/save", test_save);
    g_test_add_func("/scsi/cdrom", test_cdrom);
    g_test_add_func("/scsi/tray", test_tray);
    return g_test_run();
}
