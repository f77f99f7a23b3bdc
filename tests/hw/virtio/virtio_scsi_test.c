/* virtio-scsi: commands and their residuals, addresses without a unit, task management, events of plugging, resets with commands in flight,
 * malformed requests. */
#include <glib.h>
#include "hw/backend/blk.h"
#include "mmu/dma.h"
#include "tests/lib/failing_disk.h"
#include "tests/lib/test_pc.h"
#include "tests/lib/virtio_driver.h"
#include "util/iothread.h"

enum { CONTROL = 0, EVENT = 1, REQUEST = 2, SECTORS = 2048, HEAD = 51, REPLY = 108 };
enum { OK = 0, OVERRUN = 1, ABORTED = 2, BAD_TARGET = 3, INCORRECT_LUN = 12, REJECTED = 11 };
#define ALL (~0ull & ~VDRV_F(VDRV_PACKED))

struct fixture {
    struct fake_machine *f;
    struct vdrv *d;
    struct blk *blk;
    char *path;
};

struct answer {
    u8 response, status;
    u32 residual, sense_len, written;
    u8 sense[18];
    u64 data;
};

static void setup_with(struct fixture *x, u64 want, const char *options)
{
    struct err e = { "" };
    u8 *data = g_malloc(SECTORS * 512);

    for (u32 i = 0; i < SECTORS * 128; i++)
        st32(data + 4 * i, i / 128 << 16 | i % 128);
    x->path = test_file(data, SECTORS * 512);
    g_free(data);
    x->f = fake_machine_new(2);
    x->blk = blk_open("disk0", "image", x->path, false, &e);
    x->d = vdrv_new(x->f, 0, "virtio-scsi-device", options);
    fake_device(x->f, "scsi-hd", "drive=disk0,scsi-id=3,lun=300");
    vdrv_start(x->d, want, 4, 32);
}

static void setup(struct fixture *x, u64 want) { setup_with(x, want, "packed=on"); }

static void teardown(struct fixture *x)
{
    vdrv_free(x->d);
    fake_machine_free(x->f);
    blk_close(x->blk);
    test_file_free(x->path);
}

static void put_lun(u8 *p, unsigned target, unsigned lun)
{
    memset(p, 0, 8);
    p[0] = 1;
    p[1] = target;
    p[2] = 0x40 | lun >> 8;
    p[3] = lun;
}

struct pending {
    u16 id;
    u64 reply, data;
};

static struct pending submit(struct fixture *x, unsigned target, unsigned lun, const u8 *cdb, const void *out, u32 out_len, u32 in_len, u64 tag)
{
    u8 h[HEAD] = { 0 };
    struct vbuf b[4];
    unsigned n = 0;
    struct pending p = { 0 };

    put_lun(h, target, lun);
    st64(h + 8, tag);
    memcpy(h + 19, cdb, 16);
    b[n++] = (struct vbuf){ vdrv_put(x->d, h, HEAD), HEAD, false };
    if (out_len)
        b[n++] = (struct vbuf){ vdrv_put(x->d, out, out_len), out_len, false };
    p.reply = vdrv_alloc(x->d, REPLY);
    b[n++] = (struct vbuf){ p.reply, REPLY, true };
    p.data = vdrv_alloc(x->d, in_len + 1);
    if (in_len)
        b[n++] = (struct vbuf){ p.data, in_len, true };
    p.id = vdrv_add(x->d, REQUEST, b, n, false);
    return p;
}

static struct answer answer_of(struct fixture *x, const struct pending *p, u32 written)
{
    u8 r[REPLY];
    struct answer a = { .written = written, .data = p->data };

    dma_read(x->f->m.mem, p->reply, r, REPLY);
    a.sense_len = ld32(r);
    a.residual = ld32(r + 4);
    a.status = r[10];
    a.response = r[11];
    memcpy(a.sense, r + 12, 18);
    return a;
}

static struct answer command(struct fixture *x, unsigned target, unsigned lun, const u8 *cdb, const void *out, u32 out_len, u32 in_len)
{
    struct pending p = submit(x, target, lun, cdb, out, out_len, in_len, 1);
    u16 id;
    u32 len;

    vdrv_kick(x->d, REQUEST);
    vdrv_wait(x->d, REQUEST, &id, &len);
    g_assert_cmpuint(id, ==, p.id);
    return answer_of(x, &p, len);
}

static const u8 inquiry[16] = { 0x12, 0, 0, 0, 96 }, ready[16] = { 0 };

static struct answer read10(struct fixture *x, u32 lba, u16 n, u32 room)
{
    u8 cdb[16] = { 0x28, 0, lba >> 24, lba >> 16, lba >> 8, lba, 0, n >> 8, n };

    return command(x, 3, 300, cdb, NULL, 0, room);
}

static void power_on(struct fixture *x)
{
    struct answer a = command(x, 3, 300, ready, NULL, 0, 0);

    g_assert_cmpuint(a.status, ==, 2); /* unit attention */
    g_assert_cmpuint(a.sense_len, ==, 18);
    g_assert_cmphex(a.sense[2], ==, 6);
    a = command(x, 3, 300, ready, NULL, 0, 0);
    g_assert_cmpuint(a.status, ==, 0);
    g_assert_cmpuint(a.sense_len, ==, 0);
}

static void test_commands(void)
{
    static const u64 flavours[] = { 0, ALL, ~0ull };
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x;
        u8 s[1024];
        setup(&x, flavours[k]);
        g_assert_cmpuint(vdrv_config(x.d, 0, 4), ==, 2);
        g_assert_cmpuint(vdrv_config(x.d, 20, 4), ==, 96);
        g_assert_cmpuint(vdrv_config(x.d, 30, 2), ==, 255);
        struct answer a = command(&x, 3, 300, inquiry, NULL, 0, 96);
        g_assert_cmpuint(a.response, ==, OK);
        g_assert_cmpuint(a.status, ==, 0);
        g_assert_cmpuint(a.written + a.residual, ==, REPLY + 96);
        power_on(&x);
        a = read10(&x, 10, 2, 1024);
        g_assert_cmpuint(a.response, ==, OK);
        g_assert_cmpuint(a.residual, ==, 0);
        g_assert_cmpuint(a.written, ==, REPLY + 1024);
        dma_read(x.f->m.mem, a.data, s, 1024);
        g_assert_cmphex(ld32(s + 4), ==, 10 << 16 | 1);
        g_assert_cmphex(ld32(s + 512), ==, 11 << 16);
        memset(s, 0x77, 1024);
        u8 write[16] = { 0x2a, 0, 0, 0, 0, 20, 0, 0, 2 };
        a = command(&x, 3, 300, write, s, 1024, 0);
        g_assert_cmpuint(a.response, ==, OK);
        g_assert_cmpuint(a.written, ==, REPLY);
        a = read10(&x, 20, 2, 1024);
        u8 got[1024];
        dma_read(x.f->m.mem, a.data, got, 1024);
        g_assert_cmpmem(got, 1024, s, 1024);
        a = read10(&x, 0, 1, 2000); /* more room than data */
        g_assert_cmpuint(a.response, ==, OK);
        g_assert_cmpuint(a.residual, ==, 2000 - 512);
        a = read10(&x, 0, 4, 512); /* less */
        g_assert_cmpuint(a.response, ==, OVERRUN);
        a = read10(&x, SECTORS, 1, 512);
        g_assert_cmpuint(a.response, ==, OK);
        g_assert_cmpuint(a.status, ==, 2);
        g_assert_cmphex(a.sense[12], ==, 0x21);
        vdrv_save_load(x.d);
        teardown(&x);
    }
}

static void test_addresses(void)
{
    struct fixture x;
    setup(&x, ALL);
    g_assert_cmpuint(command(&x, 4, 0, inquiry, NULL, 0, 96).response, ==, BAD_TARGET);
    struct answer a = command(&x, 3, 0, inquiry, NULL, 0, 96); /* another unit of a target that is there */
    u8 type;
    g_assert_cmpuint(a.response, ==, OK);
    dma_read(x.f->m.mem, a.data, &type, 1);
    g_assert_cmphex(type, ==, 0x7f);
    a = command(&x, 3, 5, ready, NULL, 0, 0);
    g_assert_cmpuint(a.status, ==, 2);
    g_assert_cmphex(a.sense[12], ==, 0x25);
    u8 report[16] = { 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64 }, luns[24];
    a = command(&x, 3, 0, report, NULL, 0, 64);
    dma_read(x.f->m.mem, a.data, luns, 24);
    g_assert_cmphex(luns[3], ==, 16); /* unit 0, which is always listed, and the one there is */
    g_assert_cmphex(luns[16], ==, 0x41);
    g_assert_cmphex(luns[17], ==, 300 & 0xff);
    teardown(&x);
}

static u8 tmf(struct fixture *x, u32 subtype, unsigned target, unsigned lun, u64 tag)
{
    u8 h[24] = { 0 }, r = 0xee;
    u16 id;
    u32 len;

    st32(h + 4, subtype);
    put_lun(h + 8, target, lun);
    st64(h + 16, tag);
    struct vbuf b[2] = { { vdrv_put(x->d, h, 24), 24, false }, { vdrv_put(x->d, &r, 1), 1, true } };
    vdrv_add(x->d, CONTROL, b, 2, false);
    vdrv_kick(x->d, CONTROL);
    vdrv_wait(x->d, CONTROL, &id, &len);
    dma_read(x->f->m.mem, b[1].gpa, &r, 1);
    return r;
}

static void test_task_management(void)
{
    struct fixture x;
    u8 cdb[16] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8 };
    u16 id;
    u32 len;
    setup(&x, ALL);
    power_on(&x);
    g_assert_cmpuint(tmf(&x, 0, 9, 0, 1), ==, BAD_TARGET);
    g_assert_cmpuint(tmf(&x, 0, 3, 1, 1), ==, INCORRECT_LUN);
    g_assert_cmpuint(tmf(&x, 99, 3, 300, 1), ==, REJECTED);
    g_assert_cmpuint(tmf(&x, 6, 3, 300, 77), ==, OK); /* no such task */
    for (unsigned sub = 0; sub < 6; sub++) {
        struct pending p[4];
        if (sub == 2)
            continue;
        for (unsigned i = 0; i < 4; i++)
            p[i] = submit(&x, 3, 300, cdb, NULL, 0, 4096, 100 + i);
        vdrv_kick(x.d, REQUEST);
        g_assert_cmpuint(tmf(&x, sub, 3, 300, 102), ==, OK);
        for (unsigned i = 0; i < 4; i++)
            vdrv_wait(x.d, REQUEST, &id, &len);
        for (unsigned i = 0; i < 4; i++)
            g_assert_cmpuint(answer_of(&x, &p[i], 0).response, <=, 4); /* done, aborted or reset */
        if (sub >= 4)
            power_on(&x);
        g_assert_cmpuint(read10(&x, 0, 1, 512).status, ==, 0);
    }
    teardown(&x);
}

static void test_events(void)
{
    struct fixture x;
    u8 ev[16];
    u16 id;
    u32 len;
    setup(&x, ALL);
    u64 at = vdrv_alloc(x.d, 64);
    struct vbuf b[2] = { { at, 16, true }, { at + 16, 16, true } };
    /* Nobody is on the bus's list of hot plugging here: play the core. */
    struct device *cd = fake_device(x.f, "scsi-cd", "scsi-id=5");
    lock_acquire(&x.f->m.lock);
    g_assert_cmpint(cd->bus->ops->plugged(cd->bus, cd, NULL), ==, 0); /* no buffer: missed */
    lock_release(&x.f->m.lock);
    vdrv_add(x.d, EVENT, &b[0], 1, false);
    vdrv_kick(x.d, EVENT);
    g_assert_true(vdrv_used(x.d, EVENT, &id, &len));
    dma_read(x.f->m.mem, at, ev, 16);
    g_assert_cmphex(ld32(ev), ==, 0x80000000);
    vdrv_add(x.d, EVENT, &b[0], 1, false);
    vdrv_kick(x.d, EVENT);
    g_assert_false(vdrv_used(x.d, EVENT, &id, &len));
    lock_acquire(&x.f->m.lock);
    cd->bus->ops->plugged(cd->bus, cd, NULL);
    lock_release(&x.f->m.lock);
    g_assert_true(vdrv_used(x.d, EVENT, &id, &len));
    dma_read(x.f->m.mem, at, ev, 16);
    g_assert_cmphex(ld32(ev), ==, 1);
    g_assert_cmpuint(ev[5], ==, 5);
    g_assert_cmpuint(ld32(ev + 12), ==, 1);
    teardown(&x);
}

static void test_reset_in_flight(void)
{
    u8 cdb[16] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8 };
    for (unsigned round = 0; round < 12; round++) {
        struct fixture x;
        setup(&x, ALL);
        power_on(&x);
        for (unsigned i = 0; i < 6; i++)
            submit(&x, 3, 300, cdb, NULL, 0, 4096, i);
        vdrv_kick(x.d, REQUEST);
        if (round % 3 == 0)
            vdrv_set(x.d, 0x70, 0);
        else if (round % 3 == 1)
            fm_reset(x.f);
        else
            vdrv_restore(x.d);
        vdrv_start(x.d, ALL, 4, 32);
        power_on(&x);
        g_assert_cmpuint(read10(&x, 0, 1, 512).status, ==, 0);
        teardown(&x);
    }
}

/* Commands whose requests failed and wait for the VM to go on are saved with the queue, and start again after the load. */
static void test_save_kept(void)
{
    u8 in[16] = { 0x28, 0, 0, 0, 0, 40, 0, 0, 8 }, out[16] = { 0x2a, 0, 0, 0, 0, 80, 0, 0, 8 }, sync[16] = { 0x35 }, data[4096], got[4096];
    struct pending p[3];
    struct fixture x;
    u16 id;
    u32 len;
    setup(&x, ALL);
    power_on(&x);
    failing_disk(x.blk, ENOSPC);
    memset(data, 0xa5, sizeof(data));
    p[0] = submit(&x, 3, 300, in, NULL, 0, 4096, 1);
    p[1] = submit(&x, 3, 300, out, data, 4096, 0, 2);
    p[2] = submit(&x, 3, 300, sync, NULL, 0, 0, 3);
    vdrv_kick(x.d, REQUEST);
    lock_acquire(&x.f->m.lock);
    failing_disk_kept(x.blk, 3);
    lock_release(&x.f->m.lock);
    g_assert_cmpuint(failing_disk_stops(), ==, 3);
    vdrv_move(x.d);
    fm_step(x.f, 1);
    g_assert_false(vdrv_used(x.d, REQUEST, &id, &len));
    lock_acquire(&x.f->m.lock);
    failing_disk_kept(x.blk, 3);
    lock_release(&x.f->m.lock);
    failing_disk(x.blk, 0);
    blk_resume_all();
    for (unsigned i = 0; i < 3; i++)
        vdrv_wait(x.d, REQUEST, &id, &len);
    for (unsigned i = 0; i < 3; i++) {
        struct answer a = answer_of(&x, &p[i], 0);
        g_assert_cmpuint(a.status, ==, 0);
        g_assert_cmpuint(a.response, ==, 0);
    }
    dma_read(x.f->m.mem, p[0].data, got, 4);
    g_assert_cmphex(ld32(got), ==, 40 << 16);
    g_assert_cmpint(blk_pread(x.blk, 80 * 512, got, sizeof(got)), ==, 0);
    g_assert_cmpmem(got, sizeof(got), data, sizeof(data));
    teardown(&x);
    blk_set_stop_hook(NULL, NULL);
}

/* Completions in a thread of their own, for disks plugged later, too; the thread cannot go before the adapter. */
static void test_iothread(void)
{
    static const u8 write_10[16] = { 0x2a, [5] = 100, [8] = 8 }, synchronize_cache[16] = { 0x35 };
    struct err e = { "" };
    struct fixture x;
    u8 data[4096], got[4096];

    g_assert_nonnull(iothread_new("io0", &e));
    setup_with(&x, ALL, "iothread=io0");
    for (unsigned round = 0; round < 50; round++) {
        memset(data, round + 1, sizeof(data));
        bool flush = round % 2;
        struct pending p = submit(&x, 3, 300, flush ? synchronize_cache : write_10, data, flush ? 0 : sizeof(data), 0, 1);
        u16 id;
        u32 len;
        i64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
        vdrv_kick(x.d, REQUEST);
        while (!vdrv_used(x.d, REQUEST, &id, &len)) /* the main loop has no part in it */
            g_assert_cmpint(g_get_monotonic_time(), <, end);
        struct answer a = answer_of(&x, &p, len);
        g_assert_cmpuint(a.response, ==, OK);
        g_assert_cmpuint(a.status, ==, round ? 0 : 2); /* the first meets the unit attention of power-on */
        if (a.status || flush)
            continue;
        g_assert_cmpint(blk_pread(x.blk, 100 * 512, got, sizeof(got)), ==, 0);
        g_assert_cmpmem(got, sizeof(got), data, sizeof(data));
    }
    g_assert_cmpint(iothread_free("io0", &e), ==, -1);
    teardown(&x);
    g_assert_cmpint(iothread_free("io0", &e), ==, 0);
}

static void test_malformed(void)
{
    struct fixture x;
    setup(&x, ALL);
    u64 mem = vdrv_alloc(x.d, 4096);
    const struct { unsigned queue; u32 out, in; } bad[] = {
        { REQUEST, HEAD - 1, REPLY }, { REQUEST, HEAD, REPLY - 1 }, { CONTROL, 3, 1 }, { CONTROL, 23, 1 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct vbuf b[2] = { { mem, bad[i].out, false }, { mem + 1024, bad[i].in, true } };
        vdrv_start(x.d, ALL, 4, 32);
        vdrv_add(x.d, bad[i].queue, b, 2, false);
        vdrv_kick(x.d, bad[i].queue);
        g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    }
    vdrv_start(x.d, ALL, 4, 32);
    vdrv_config_set(x.d, 24, 256, 4); /* a CDB of 256 bytes */
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    vdrv_start(x.d, ALL, 4, 32);
    vdrv_config_set(x.d, 20, 18, 4);
    g_assert_cmpuint(vdrv_config(x.d, 20, 4), ==, 18);
    for (unsigned i = 0; i < 4; i++) /* as legacy drivers write */
        vdrv_config_set(x.d, 20 + i, 0x160 >> (8 * i) & 0xff, 1);
    g_assert_cmpuint(vdrv_config(x.d, 20, 4), ==, 0x160);
    fm_reset(x.f);
    g_assert_cmpuint(vdrv_config(x.d, 20, 4), ==, 96);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-scsi/commands", test_commands);
    g_test_add_func("/virtio-scsi/addresses", test_addresses);
    g_test_add_func("/virtio-scsi/task-management", test_task_management);
    g_test_add_func("/virtio-scsi/events", test_events);
    g_test_add_func("/virtio-scsi/reset-in-flight", test_reset_in_flight);
    g_test_add_func("/virtio-scsi/save-kept", test_save_kept);
    g_test_add_func("/virtio-scsi/iothread", test_iothread);
    g_test_add_func("/virtio-scsi/malformed", test_malformed);
    return g_test_run();
}
