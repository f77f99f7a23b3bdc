/* virtio-blk: requests of every type on both ring formats, limits, read-only disks, write cache, resets and saving with requests in
 * flight, malformed requests. */
#include <glib.h>
#include <stdio.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "mmu/dma.h"
#include "tests/lib/failing_disk.h"
#include "tests/lib/test_pc.h"
#include "tests/lib/virtio_driver.h"
#include "util/iothread.h"

enum { SECTORS = 4096, T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13, OK = 0, IOERR = 1, UNSUPP = 2 };
enum { F_RO = 5, F_FLUSH = 9, F_WCE = 11, F_MQ = 12, F_DISCARD = 13, F_ZEROES = 14 };
#define ALL (~0ull & ~VDRV_F(VDRV_PACKED))

struct fixture {
    struct fake_machine *f;
    struct vdrv *d;
    struct blk *blk;
    char *path;
    u64 want;
};

static void setup(struct fixture *x, bool readonly, u64 want, const char *props)
{
    struct err e = { "" };
    u8 *data = g_malloc(SECTORS * 512);

    for (u32 i = 0; i < SECTORS * 128; i++)
        st32(data + 4 * i, i / 128 << 16 | i % 128);
    x->path = test_file(data, SECTORS * 512);
    g_free(data);
    x->f = fake_machine_new(2);
    x->blk = blk_open("disk0", "image", x->path, readonly, &e);
    g_assert_nonnull(x->blk);
    char *all = g_strdup_printf("drive=disk0,packed=on%s%s", props ? "," : "", props ? props : "");
    x->d = vdrv_new(x->f, 0, "virtio-blk-device", all);
    g_free(all);
    x->want = want;
    vdrv_start(x->d, want, 1, 64);
}

static void teardown(struct fixture *x)
{
    vdrv_free(x->d);
    fake_machine_free(x->f);
    blk_close(x->blk);
    test_file_free(x->path);
}

struct req {
    u16 id;
    u64 header, data, status;
};

/* One request; the data are `pieces` buffers. */
static struct req submit(struct fixture *x, u32 type, u64 sector, const void *out, u32 len, unsigned pieces, bool indirect)
{
    struct { u32 type, prio; u64 sector; } h = { type, 0, sector };
    struct vbuf b[40];
    struct req r = { .header = vdrv_put(x->d, &h, 16), .data = out ? vdrv_put(x->d, out, len) : vdrv_alloc(x->d, len + 1),
                     .status = vdrv_put(x->d, "\xff", 1) };
    unsigned n = 0;
    u32 done = 0;

    b[n++] = (struct vbuf){ r.header, 16, false };
    for (unsigned i = 0; i < pieces; i++) {
        u32 part = i + 1 == pieces ? len - done : len / pieces;
        b[n++] = (struct vbuf){ r.data + done, part, !out };
        done += part;
    }
    b[n++] = (struct vbuf){ r.status, 1, true };
    r.id = vdrv_add(x->d, 0, b, n, indirect);
    return r;
}

static u8 status_of(struct fixture *x, const struct req *r)
{
    u8 s;

    dma_read(x->f->m.mem, r->status, &s, 1);
    return s;
}

static u8 wait_for(struct fixture *x, const struct req *r, u32 want_len)
{
    u16 id;
    u32 len;

    vdrv_kick(x->d, 0);
    vdrv_wait(x->d, 0, &id, &len);
    g_assert_cmpuint(id, ==, r->id);
    g_assert_cmpuint(len, ==, want_len);
    return status_of(x, r);
}

static u8 run(struct fixture *x, u32 type, u64 sector, const void *out, u32 len)
{
    struct req r = submit(x, type, sector, out, len, len ? 1 : 0, false);

    return wait_for(x, &r, out ? 1 : len + 1);
}

static void check_sector(struct fixture *x, u64 gpa, u32 sector, bool zero)
{
    u8 s[512];

    dma_read(x->f->m.mem, gpa, s, 512);
    for (u32 i = 0; i < 128; i++)
        g_assert_cmphex(ld32(s + 4 * i), ==, zero ? 0 : sector << 16 | i);
}

static void test_read_write(void)
{
    static const u64 flavours[] = { 0, VDRV_F(VDRV_INDIRECT), ALL, VDRV_F(VDRV_PACKED), ~0ull };
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x;
        setup(&x, false, flavours[k], NULL);
        bool indirect = flavours[k] & VDRV_F(VDRV_INDIRECT);
        g_assert_cmpuint(vdrv_config(x.d, 0, 4), ==, SECTORS);
        g_assert_cmpuint(vdrv_config(x.d, 12, 4), ==, 254);
        g_assert_cmpuint(vdrv_config(x.d, 20, 4), ==, 512);
        g_assert_cmpuint(vdrv_config(x.d, 34, 2), ==, 2);
        for (u32 s = 0; s < 200; s += 17) {
            struct req r = submit(&x, T_IN, s, NULL, 512 * (1 + s % 8), 1 + s % 5, indirect);
            g_assert_cmpint(wait_for(&x, &r, 512 * (1 + s % 8) + 1), ==, OK);
            for (u32 i = 0; i <= s % 8; i++)
                check_sector(&x, r.data + 512 * i, s + i, false);
        }
        u8 *data = g_malloc(8192);
        memset(data, 0x5a, 8192);
        struct req w = submit(&x, T_OUT, 1000, data, 8192, 3, indirect);
        g_assert_cmpint(wait_for(&x, &w, 1), ==, OK);
        g_assert_cmpint(run(&x, T_FLUSH, 0, "", 0), ==, OK);
        struct req r = submit(&x, T_IN, 999, NULL, 512 * 18, 2, indirect);
        g_assert_cmpint(wait_for(&x, &r, 512 * 18 + 1), ==, OK);
        u8 *got = g_malloc(512 * 18);
        dma_read(x.f->m.mem, r.data, got, 512 * 18);
        g_assert_cmpmem(got + 512, 8192, data, 8192);
        check_sector(&x, r.data, 999, false);
        check_sector(&x, r.data + 512 * 17, 1016, false);
        g_free(got);
        g_free(data);
        teardown(&x);
    }
}

static void test_queue_full(void)
{
    struct fixture x;
    struct req r[20];
    bool seen[20] = { false };
    setup(&x, false, ALL, NULL);
    for (unsigned i = 0; i < 20; i++)
        r[i] = submit(&x, T_IN, i * 100, NULL, 4096, 1, false);
    vdrv_kick(x.d, 0);
    for (unsigned i = 0; i < 20; i++) { /* in any order */
        u16 id;
        u32 len;
        vdrv_wait(x.d, 0, &id, &len);
        for (unsigned j = 0; j < 20; j++) {
            if (r[j].id == id) {
                g_assert_false(seen[j]);
                seen[j] = true;
                g_assert_cmpint(status_of(&x, &r[j]), ==, OK);
                check_sector(&x, r[j].data, j * 100, false);
            }
        }
    }
    teardown(&x);
}

static void test_limits(void)
{
    u8 data[1024] = { 1 };
    struct fixture x;
    setup(&x, false, ALL, "logical_block_size=1024,physical_block_size=4096");
    g_assert_cmpuint(vdrv_config(x.d, 20, 4), ==, 1024);
    g_assert_cmpuint(vdrv_config(x.d, 24, 1), ==, 2);
    g_assert_cmpint(run(&x, T_IN, SECTORS - 2, NULL, 1024), ==, OK);
    g_assert_cmpint(run(&x, T_IN, SECTORS, NULL, 1024), ==, IOERR);
    g_assert_cmpint(run(&x, T_IN, SECTORS - 2, NULL, 2048), ==, IOERR);
    g_assert_cmpint(run(&x, T_IN, ~0ull, NULL, 1024), ==, IOERR);
    g_assert_cmpint(run(&x, T_IN, 1ull << 55, NULL, 1024), ==, IOERR);
    g_assert_cmpint(run(&x, T_IN, 0, NULL, 512), ==, IOERR); /* half a block */
    g_assert_cmpint(run(&x, T_IN, 1, NULL, 1024), ==, IOERR);
    g_assert_cmpint(run(&x, T_OUT, SECTORS, data, 1024), ==, IOERR);
    g_assert_cmpint(run(&x, T_OUT, 2, data, 1000), ==, IOERR);
    g_assert_cmpint(run(&x, 99, 0, NULL, 512), ==, UNSUPP);
    g_assert_cmpint(run(&x, T_IN, 0, NULL, 0), ==, OK);
    teardown(&x);
}

static void test_id(void)
{
    struct fixture x;
    u8 got[20];
    setup(&x, false, ALL, "serial=0123456789abcdefghijKLM");
    struct req r = submit(&x, T_GET_ID, 0, NULL, 20, 1, false);
    g_assert_cmpint(wait_for(&x, &r, 21), ==, OK);
    dma_read(x.f->m.mem, r.data, got, 20);
    g_assert_cmpmem(got, 20, "0123456789abcdefghij", 20);
    teardown(&x);
}

static u8 range(struct fixture *x, u32 type, u64 sector, u32 sectors, u32 flags)
{
    struct { u64 sector; u32 n, flags; } r = { sector, sectors, flags };

    return run(x, type, 0, &r, sizeof(r));
}

static void test_zeroes(void)
{
    struct fixture x;
    u8 two[32] = { 0 };
    setup(&x, false, ALL, "max-write-zeroes-sectors=100");
    g_assert_cmpuint(vdrv_config(x.d, 48, 4), ==, 100);
    g_assert_cmpint(range(&x, T_ZEROES, 10, 4, 0), ==, OK);
    g_assert_cmpint(range(&x, T_ZEROES, 20, 2, 1), ==, OK);
    struct req r = submit(&x, T_IN, 9, NULL, 512 * 14, 1, false);
    g_assert_cmpint(wait_for(&x, &r, 512 * 14 + 1), ==, OK);
    for (u32 s = 9; s < 23; s++)
        check_sector(&x, r.data + 512 * (s - 9), s, (s >= 10 && s < 14) || (s >= 20 && s < 22));
    g_assert_cmpint(range(&x, T_ZEROES, 0, 101, 0), ==, IOERR);
    g_assert_cmpint(range(&x, T_ZEROES, SECTORS - 1, 2, 0), ==, IOERR);
    g_assert_cmpint(range(&x, T_ZEROES, 0, 1, 2), ==, UNSUPP);
    g_assert_cmpint(range(&x, T_DISCARD, 100, 8, 0), ==, OK);
    g_assert_cmpint(range(&x, T_DISCARD, 100, 8, 1), ==, UNSUPP); /* unmap is write zeroes' flag */
    g_assert_cmpint(range(&x, T_DISCARD, ~0ull, 8, 0), ==, IOERR);
    g_assert_cmpint(run(&x, T_DISCARD, 0, two, 32), ==, UNSUPP); /* two ranges */
    g_assert_cmpint(run(&x, T_DISCARD, 0, two, 8), ==, IOERR);
    teardown(&x);
    setup(&x, false, ALL, "discard=off,write-zeroes=off");
    g_assert_false(x.d->features & (VDRV_F(F_DISCARD) | VDRV_F(F_ZEROES)));
    g_assert_cmpint(range(&x, T_DISCARD, 0, 1, 0), ==, UNSUPP);
    g_assert_cmpint(range(&x, T_ZEROES, 0, 1, 0), ==, UNSUPP);
    teardown(&x);
}

static void test_readonly(void)
{
    struct fixture x;
    u8 data[512] = { 0 };
    setup(&x, true, ALL, NULL);
    g_assert_true(x.d->features & VDRV_F(F_RO));
    g_assert_cmpint(run(&x, T_IN, 5, NULL, 512), ==, OK);
    g_assert_cmpint(run(&x, T_OUT, 5, data, 512), ==, IOERR);
    g_assert_cmpint(range(&x, T_ZEROES, 5, 1, 0), ==, IOERR);
    g_assert_cmpint(run(&x, T_FLUSH, 0, "", 0), ==, OK);
    teardown(&x);
}

static void test_write_cache(void)
{
    struct fixture x;
    setup(&x, false, ALL, NULL);
    g_assert_cmpuint(vdrv_config(x.d, 32, 1), ==, 1);
    vdrv_config_set(x.d, 32, 0, 1);
    g_assert_cmpuint(vdrv_config(x.d, 32, 1), ==, 0);
    vdrv_config_set(x.d, 0, 5, 4); /* the capacity is not the driver's */
    g_assert_cmpuint(vdrv_config(x.d, 0, 4), ==, SECTORS);
    vdrv_save_load(x.d);
    g_assert_cmpuint(vdrv_config(x.d, 32, 1), ==, 0);
    vdrv_start(x.d, VDRV_F(F_FLUSH), 1, 8);
    g_assert_cmpuint(vdrv_config(x.d, 32, 1), ==, 1);
    vdrv_start(x.d, 0, 1, 8); /* a driver that cannot flush */
    g_assert_cmpuint(vdrv_config(x.d, 32, 1), ==, 0);
    teardown(&x);
}

static void test_reset_in_flight(void)
{
    struct fixture x;
    u8 data[4096];
    memset(data, 0xa5, sizeof(data));
    for (unsigned round = 0; round < 20; round++) {
        setup(&x, false, ALL, NULL);
        for (unsigned i = 0; i < 10; i++)
            submit(&x, i & 1 ? T_IN : T_OUT, 100 * i, i & 1 ? NULL : data, 4096, 1, false);
        vdrv_kick(x.d, 0);
        switch (round % 3) {
        case 0: vdrv_set(x.d, 0x70, 0); break;
        case 1: fm_reset(x.f); break;
        default: vdrv_set(x.d, 0xc0, 1); break;
        }
        vdrv_start(x.d, ALL, 1, 64);
        g_assert_cmpint(run(&x, T_IN, 7, NULL, 512), ==, OK);
        teardown(&x);
    }
}

/* Requests in flight end in front of a save; those not yet taken are taken after the load. */
static void test_save_in_flight(void)
{
    struct fixture x;
    struct req r[10];
    u16 id;
    u32 len;
    setup(&x, false, ALL, NULL);
    for (unsigned i = 0; i < 10; i++) {
        r[i] = submit(&x, T_IN, 10 * i, NULL, 4096, 1, true);
        if (i == 6)
            vdrv_kick(x.d, 0);
    }
    vdrv_restore(x.d);
    for (unsigned i = 0; i < 10; i++)
        vdrv_wait(x.d, 0, &id, &len);
    for (unsigned i = 0; i < 10; i++)
        check_sector(&x, r[i].data, 10 * i, false);
    g_assert_false(vdrv_used(x.d, 0, &id, &len));
    teardown(&x);
}

/* Requests that failed and wait for the VM to go on are saved with the queue, tried again after the load, and kept again. */
static void test_save_kept(void)
{
    static const u64 flavours[] = { ALL, ~0ull };
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x;
        u8 data[4096], got[4096];
        struct req r[6];
        u16 id;
        u32 len;
        setup(&x, false, flavours[k], NULL);
        failing_disk(x.blk, ENOSPC);
        memset(data, 0xa5, sizeof(data));
        for (unsigned i = 0; i < 6; i++)
            r[i] = i == 5 ? submit(&x, T_FLUSH, 0, NULL, 0, 0, false) : submit(&x, i & 1 ? T_OUT : T_IN, 10 * i, i & 1 ? data : NULL, 4096, 1, true);
        vdrv_kick(x.d, 0);
        lock_acquire(&x.f->m.lock);
        failing_disk_kept(x.blk, 6);
        lock_release(&x.f->m.lock);
        g_assert_cmpuint(failing_disk_stops(), ==, 6);
        vdrv_move(x.d);
        fm_step(x.f, 1);
        g_assert_false(vdrv_used(x.d, 0, &id, &len));
        lock_acquire(&x.f->m.lock);
        failing_disk_kept(x.blk, 6);
        lock_release(&x.f->m.lock);
        g_assert_cmpuint(failing_disk_stops(), ==, 6);
        failing_disk(x.blk, 0);
        blk_resume_all();
        for (unsigned i = 0; i < 6; i++)
            vdrv_wait(x.d, 0, &id, &len);
        for (unsigned i = 0; i < 6; i++)
            g_assert_cmpint(status_of(&x, &r[i]), ==, OK);
        for (unsigned i = 0; i < 5; i += 2)
            check_sector(&x, r[i].data, 10 * i, false);
        g_assert_cmpint(blk_pread(x.blk, 30 * 512, got, sizeof(got)), ==, 0);
        g_assert_cmpmem(got, sizeof(got), data, sizeof(data));
        teardown(&x);
        blk_set_stop_hook(NULL, NULL);
    }
}

/* Completions in a thread of their own. */
static void test_iothread(void)
{
    struct err e = { "" };
    struct fixture x;
    g_assert_nonnull(iothread_new("io0", &e));
    setup(&x, false, ALL, "iothread=io0");
    for (unsigned round = 0; round < 50; round++) {
        u16 id;
        u32 len;
        struct req r[8];
        for (unsigned i = 0; i < 8; i++)
            r[i] = submit(&x, T_IN, 10 * i + round, NULL, 4096, 1, true);
        vdrv_kick(x.d, 0);
        for (unsigned i = 0; i < 8; i++) {
            i64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
            while (!vdrv_used(x.d, 0, &id, &len)) /* the main loop has no part in it */
                g_assert_cmpint(g_get_monotonic_time(), <, end);
        }
        for (unsigned i = 0; i < 8; i++)
            check_sector(&x, r[i].data, 10 * i + round, false);
        x.d->heap = 1 * MiB + 64 * KiB;
    }
    g_assert_cmpint(iothread_free("io0", &e), ==, -1);
    teardown(&x);
    g_assert_cmpint(iothread_free("io0", &e), ==, 0);
}

static void test_malformed(void)
{
    static const struct { u32 out, in; const char *what; } bad[] = {
        { 15, 513, "a short header" }, { 16, 0, "no status" }, { 0, 16, "no header" },
    };
    struct fixture x;
    setup(&x, false, ALL, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        u64 mem = vdrv_alloc(x.d, 1024);
        struct vbuf b[2] = { { mem, bad[i].out, false }, { mem + 512, bad[i].in, true } };
        vdrv_start(x.d, ALL, 1, 64);
        vdrv_add(x.d, 0, bad[i].out ? b : b + 1, !!bad[i].out + !!bad[i].in, false);
        vdrv_kick(x.d, 0);
        g_test_message("%s", bad[i].what);
        g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    }
    vdrv_start(x.d, ALL, 1, 64);
    g_assert_cmpint(run(&x, T_IN, 7, NULL, 512), ==, OK);
    /* header and data in one buffer, status and data in one buffer: any layout will do */
    struct { u32 type, prio; u64 sector; u8 data[512]; } one = { T_OUT, 0, 50, { 7, 7, 7 } };
    u64 mem = vdrv_put(x.d, &one, sizeof(one)), st = vdrv_alloc(x.d, 513);
    struct vbuf b[2] = { { mem, sizeof(one), false }, { st, 1, true } };
    u16 id;
    u32 len;
    vdrv_add(x.d, 0, b, 2, false);
    vdrv_kick(x.d, 0);
    vdrv_wait(x.d, 0, &id, &len);
    one.type = T_IN;
    b[0] = (struct vbuf){ vdrv_put(x.d, &one, 16), 16, false };
    b[1].len = 513;
    vdrv_add(x.d, 0, b, 2, false);
    vdrv_kick(x.d, 0);
    vdrv_wait(x.d, 0, &id, &len);
    g_assert_cmpuint(len, ==, 513);
    u8 got[513];
    dma_read(x.f->m.mem, st, got, 513);
    g_assert_cmpmem(got, 512, one.data, 512);
    g_assert_cmpuint(got[512], ==, OK);
    teardown(&x);
}

static void test_bad_props(void)
{
    static const struct { const char *props, *text; } bad[] = {
        { "drive=disk0,num-queues=0", "*num-queues=0*" }, { "drive=disk0,num-queues=67", "*1 to 66*" },
        { "drive=disk0,queue-size=3", "*power of 2*" }, { "drive=disk0,queue-size=2048", "*power of 2*" },
        { "drive=disk0,logical_block_size=100", "*logical_block_size=100*" },
        { "drive=disk0,logical_block_size=4096,physical_block_size=512", "*not below*" },
        { "drive=disk0,opt_io_size=100", "*multiples of 512*" }, { "drive=nowhere", "*'nowhere'*" },
        { "drive=disk0,iothread=x", "*no I/O thread 'x'*" },
    };
    struct fake_machine *f = fake_machine_new(1);
    struct err e = { "" };
    u8 data[512] = { 0 };
    char *path = test_file(data, sizeof(data));
    struct blk *b = blk_open("disk0", "image", path, true, &e);

    lock_acquire(&f->m.lock);
    g_assert_nonnull(device_create(&f->m, "virtio-mmio", NULL, "addr=0xd0000000", &e));
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        g_assert_null(device_create(&f->m, "virtio-blk-device", NULL, bad[i].props, &e));
        g_test_message("%s", e.msg);
        g_assert_true(g_pattern_match_simple(bad[i].text, e.msg));
    }
    g_assert_nonnull(device_create(&f->m, "virtio-blk-device", NULL, "drive=disk0", &e));
    lock_release(&f->m.lock);
    fake_machine_free(f);
    blk_close(b);
    test_file_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-blk/read-write", test_read_write);
    g_test_add_func("/virtio-blk/queue-full", test_queue_full);
    g_test_add_func("/virtio-blk/limits", test_limits);
    g_test_add_func("/virtio-blk/id", test_id);
    g_test_add_func("/virtio-blk/zeroes", test_zeroes);
    g_test_add_func("/virtio-blk/readonly", test_readonly);
    g_test_add_func("/virtio-blk/write-cache", test_write_cache);
    g_test_add_func("/virtio-blk/reset-in-flight", test_reset_in_flight);
    g_test_add_func("/virtio-blk/save-in-flight", test_save_in_flight);
    g_test_add_func("/virtio-blk/save-kept", test_save_kept);
    g_test_add_func("/virtio-blk/iothread", test_iothread);
    g_test_add_func("/virtio-blk/malformed", test_malformed);
    g_test_add_func("/virtio-blk/bad-props", test_bad_props);
    return g_test_run();
}
