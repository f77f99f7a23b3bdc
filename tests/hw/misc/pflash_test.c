/* Flash memory: array and command modes, programming only clears bits, erase, buffered programming, query, read-only images, what reaches the
 * image file, state. */
#include "hw/misc/pflash.h"
#include <glib.h>
#include <signal.h>
#include <sys/resource.h>
#include "hw/backend/blk.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "tests/lib/fake_machine.h"
#include "tests/lib/test_pc.h"

enum { SIZE = 64 * 1024, BASE = 0xffff0000 };

struct fixture {
    struct fake_machine *f;
    struct blk *blk;
    struct ram_block *ram;
    struct device *d;
    char *path;
};

static void setup(struct fixture *x, bool readonly)
{
    struct err e = { "" };
    u8 *data = g_malloc0(SIZE);

    for (u32 i = 0; i < SIZE; i++)
        data[i] = i >> 8;
    *x = (struct fixture){ .f = fake_machine_new(1) };
    x->path = test_file(data, SIZE);
    x->blk = blk_open("flash", "-drive", x->path, readonly, &e);
    g_assert_cmpstr(e.msg, ==, "");
    x->ram = ram_new("flash", SIZE, &e);
    memcpy(x->ram->host, data, SIZE);
    lock_acquire(&x->f->m.lock);
    x->d = pflash_new(&x->f->m, x->blk, x->ram, BASE, &e);
    lock_release(&x->f->m.lock);
    g_assert_cmpstr(e.msg, ==, "");
    g_free(data);
}

static void teardown(struct fixture *x)
{
    fake_machine_free(x->f);
    blk_close(x->blk);
    ram_free(x->ram);
    test_file_free(x->path);
}

static u8 rd(struct fixture *x, u32 off) { return fm_read(x->f, BASE + off, 1); }
static void wr(struct fixture *x, u32 off, u8 v) { fm_write(x->f, BASE + off, v, 1); }

/* A byte of the image file once everything was written. */
static u8 on_disk(struct fixture *x, u32 off)
{
    gchar *data;
    gsize len;
    u8 v;

    lock_acquire(&x->f->m.lock);
    blk_drain(x->blk);
    lock_release(&x->f->m.lock);
    g_assert_true(g_file_get_contents(x->path, &data, &len, NULL));
    g_assert_cmpuint(len, ==, SIZE);
    v = data[off];
    g_free(data);
    return v;
}

static void test_program(void)
{
    struct fixture x;
    setup(&x, false);
    g_assert_cmphex(rd(&x, 0x1234), ==, 0x12);
    wr(&x, 0x1234, 0x40);
    g_assert_cmphex(rd(&x, 0), ==, 0); /* status */
    wr(&x, 0x1234, 0xfe);
    g_assert_cmphex(rd(&x, 0x1234), ==, 0x80);
    g_assert_cmphex(fm_read(x.f, BASE, 4), ==, 0x80808080);
    wr(&x, 0x1235, 0x10);
    wr(&x, 0x1235, 0x10);
    wr(&x, 0, 0xff);
    g_assert_cmphex(rd(&x, 0x1234), ==, 0x12); /* programming sets no bit */
    g_assert_cmphex(rd(&x, 0x1235), ==, 0x10);
    g_assert_cmphex(rd(&x, 0x1236), ==, 0x12);
    g_assert_cmphex(on_disk(&x, 0x1235), ==, 0x10);
    g_assert_cmphex(on_disk(&x, 0x1236), ==, 0x12);
    teardown(&x);
}

static void test_erase(void)
{
    struct fixture x;
    setup(&x, false);
    wr(&x, 0x2345, 0x20);
    wr(&x, 0x2345, 0x00); /* no confirmation */
    g_assert_cmphex(rd(&x, 0), ==, 0xb0);
    wr(&x, 0, 0x50);
    g_assert_cmphex(rd(&x, 0x2345), ==, 0x23);
    wr(&x, 0, 0x70);
    g_assert_cmphex(rd(&x, 0), ==, 0);
    wr(&x, 0x2345, 0x20);
    wr(&x, 0x2345, 0xd0);
    g_assert_cmphex(rd(&x, 0), ==, 0x80);
    wr(&x, 0, 0xff);
    g_assert_cmphex(rd(&x, 0x1fff), ==, 0x1f);
    g_assert_cmphex(rd(&x, 0x2000), ==, 0xff);
    g_assert_cmphex(rd(&x, 0x2fff), ==, 0xff);
    g_assert_cmphex(rd(&x, 0x3000), ==, 0x30);
    g_assert_cmphex(on_disk(&x, 0x2fff), ==, 0xff);
    g_assert_cmphex(on_disk(&x, 0x3000), ==, 0x30);
    teardown(&x);
}

static void test_buffer(void)
{
    struct fixture x;
    setup(&x, false);
    wr(&x, 0xff00, 0xe8);
    g_assert_cmphex(rd(&x, 0), ==, 0x80);
    wr(&x, 0xff00, 3); /* four bytes */
    fm_write(x.f, BASE + 0xff10, 0x44332211, 4);
    wr(&x, 0xff00, 0xd0);
    g_assert_cmphex(rd(&x, 0), ==, 0x80);
    wr(&x, 0, 0xff);
    g_assert_cmphex(fm_read(x.f, BASE + 0xff10, 4), ==, 0x44332211);
    wr(&x, 0xf000, 0xe8);
    wr(&x, 0xf000, 0xff);
    for (unsigned i = 0; i < 256; i++)
        wr(&x, 0x100 + i, 0); /* another block: refused */
    wr(&x, 0xf000, 0xd0);
    g_assert_cmphex(rd(&x, 0), ==, 0x90);
    wr(&x, 0, 0xff);
    g_assert_cmphex(rd(&x, 0x100), ==, 0x01);
    teardown(&x);
}

static void test_query(void)
{
    struct fixture x;
    setup(&x, false);
    wr(&x, 0x55, 0x98);
    g_assert_cmphex(fm_read(x.f, BASE + 0x10, 4) & 0xffffff, ==, 0x595251); /* QRY */
    g_assert_cmphex(rd(&x, 0x27), ==, 16);
    g_assert_cmphex(fm_read(x.f, BASE + 0x2d, 2), ==, SIZE / 4096 - 1);
    g_assert_cmphex(fm_read(x.f, BASE + 0x2f, 2), ==, 16);
    g_assert_cmphex(rd(&x, 0xfff), ==, 0);
    wr(&x, 0, 0x90);
    g_assert_cmphex(fm_read(x.f, BASE, 2), ==, 0x1889);
    fm_reset(x.f);
    g_assert_cmphex(rd(&x, 0x1234), ==, 0x12);
    teardown(&x);
}

static void test_readonly(void)
{
    struct fixture x;
    setup(&x, true);
    wr(&x, 0x1234, 0x40);
    wr(&x, 0x1234, 0);
    g_assert_cmphex(rd(&x, 0), ==, 0x90);
    wr(&x, 0, 0x20);
    wr(&x, 0, 0xd0);
    g_assert_cmphex(rd(&x, 0), ==, 0xb0);
    wr(&x, 0, 0xff);
    g_assert_cmphex(rd(&x, 0x1234), ==, 0x12);
    teardown(&x);
}

static void test_state(void)
{
    struct fixture x;
    struct err e = { "" };
    GByteArray *a = g_byte_array_new(), *b = g_byte_array_new();
    setup(&x, false);
    wr(&x, 0x1235, 0x40);
    wr(&x, 0x1235, 0x10);
    lock_acquire(&x.f->m.lock);
    device_save(x.d, a);
    lock_release(&x.f->m.lock);
    wr(&x, 0x4000, 0x20);
    wr(&x, 0x4000, 0xd0);
    wr(&x, 0, 0xff);
    lock_acquire(&x.f->m.lock);
    blk_drain(x.blk);
    g_assert_cmpint(device_load(x.d, a->data, a->len, &e), ==, a->len);
    device_save(x.d, b);
    lock_release(&x.f->m.lock);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    g_assert_cmphex(rd(&x, 0), ==, 0x80);
    wr(&x, 0, 0xff);
    g_assert_cmphex(rd(&x, 0x1235), ==, 0x10);
    g_assert_cmphex(rd(&x, 0x4000), ==, 0x40);
    g_assert_cmphex(on_disk(&x, 0x4000), ==, 0x40);
    g_byte_array_unref(a);
    g_byte_array_unref(b);
    teardown(&x);
}

/* The host's disk is full for a while: the guest learns of it, and what it wrote is not lost. */
static void test_write_error(void)
{
    struct fixture x;
    struct rlimit old, none;
    setup(&x, false);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    none = (struct rlimit){ 0, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &none);
    wr(&x, 0x1234, 0x40);
    wr(&x, 0x1234, 0x02);
    wr(&x, 0, 0xff);
    g_assert_cmphex(on_disk(&x, 0x1234), ==, 0x12);
    wr(&x, 0, 0x70);
    g_assert_cmphex(rd(&x, 0) & 0x10, ==, 0x10);
    setrlimit(RLIMIT_FSIZE, &old);
    wr(&x, 0, 0xff);
    g_assert_cmphex(on_disk(&x, 0x1234), ==, 0x02);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pflash/program", test_program);
    g_test_add_func("/pflash/erase", test_erase);
    g_test_add_func("/pflash/buffer", test_buffer);
    g_test_add_func("/pflash/query", test_query);
    g_test_add_func("/pflash/readonly", test_readonly);
    g_test_add_func("/pflash/state", test_state);
    g_test_add_func("/pflash/write-error", test_write_error);
    return g_test_run();
}
