/* Tests hw/timer/hpet.c: counter, one-shot and periodic comparators, levels, routing, legacy replacement, FSB messages. */
#include "hw/timer/hpet.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"

static struct fake_machine *f;
static struct device *hpet;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    hpet = hpet_new(&f->m, &e);
    lock_release(&f->m.lock);
}

static u64 rd(u64 off) { return fm_read(f, HPET_BASE + off, 8); }
static void wr(u64 off, u64 val) { fm_write(f, HPET_BASE + off, val, 8); }

static void legacy_line(unsigned n, int level)
{
    struct irq_line l = hpet_legacy_in(hpet, n);
    lock_acquire(&f->m.lock);
    irq_set(&l, level);
    lock_release(&f->m.lock);
}

static void test_counter(void)
{
    setup();
    g_assert_cmphex(rd(0), ==, 0x009896808086a201);
    g_assert_cmphex(fm_read(f, HPET_BASE + 4, 4), ==, 10000000); /* fs a tick */
    fm_step(f, 1000);
    g_assert_cmpuint(rd(0xf0), ==, 0);
    wr(0xf0, 500);
    wr(0x10, 1);
    fm_step(f, 1000);
    g_assert_cmpuint(rd(0xf0), ==, 600);
    wr(0x10, 0);
    fm_step(f, 1000);
    g_assert_cmpuint(rd(0xf0), ==, 600);
    fm_write(f, HPET_BASE + 0xf4, 1, 4);
    g_assert_cmphex(rd(0xf0), ==, 0x100000000 + 600);
    g_assert_cmphex(rd(0x100) >> 32, ==, 0x00f00000);
    g_assert_cmphex(rd(0x160), ==, 0); /* there is no fourth timer */
    fake_machine_free(f);
}

static void test_oneshot(void)
{
    setup();
    wr(0x100, 20 << 9 | 4); /* GSI 20, edge */
    wr(0x108, 100);
    wr(0x10, 1);
    fm_step(f, 999);
    g_assert_cmpuint(f->rises[20], ==, 0);
    fm_step(f, 1);
    g_assert_cmpuint(f->rises[20], ==, 1);
    g_assert_cmpint(f->level[20], ==, 0);
    fm_step(f, NS_PER_SEC);
    g_assert_cmpuint(f->rises[20], ==, 1);
    wr(0x108, rd(0xf0) + 50);
    fm_step(f, 500);
    g_assert_cmpuint(f->rises[20], ==, 2);
    wr(0x100, 3 << 9 | 4); /* a route that it does not have */
    wr(0x108, rd(0xf0) + 50);
    fm_step(f, 500);
    g_assert_cmpuint(f->rises[3], ==, 0);
    fake_machine_free(f);
}

static void test_level(void)
{
    setup();
    wr(0x120, 21 << 9 | 6);
    wr(0x128, 10);
    wr(0x10, 1);
    fm_step(f, 100);
    g_assert_cmpint(f->level[21], ==, 1);
    g_assert_cmphex(rd(0x20), ==, 2);
    wr(0x20, 1); /* not ours */
    g_assert_cmpint(f->level[21], ==, 1);
    wr(0x20, 2);
    g_assert_cmpint(f->level[21], ==, 0);
    g_assert_cmphex(rd(0x20), ==, 0);
    fake_machine_free(f);
}

static void test_periodic(void)
{
    setup();
    wr(0x140, 22 << 9 | 0x4c); /* periodic, set value, enabled */
    wr(0x148, 20000);
    wr(0x148, 100000); /* period: 1 ms */
    wr(0x10, 1);
    fm_step(f, 200000);
    g_assert_cmpuint(f->rises[22], ==, 1);
    fm_step(f, 999999);
    g_assert_cmpuint(f->rises[22], ==, 1);
    fm_step(f, 1);
    g_assert_cmpuint(f->rises[22], ==, 2);
    g_assert_cmpuint(rd(0x148), ==, 220000); /* the accumulator */
    fm_step(f, 100 * 1000000);
    g_assert_cmpuint(f->rises[22], ==, 102);
    wr(0x140, 22 << 9 | 0x10c | 0x40); /* 32 bits, as Linux does */
    fm_write(f, HPET_BASE + 0x148, (u32)rd(0xf0) + 1000, 4);
    fm_write(f, HPET_BASE + 0x148, 5000, 4);
    fm_step(f, 10000);
    g_assert_cmpuint(f->rises[22], ==, 103);
    fm_step(f, 50000);
    g_assert_cmpuint(f->rises[22], ==, 104);
    wr(0x148, 0); /* a period of nothing: no hang */
    fm_step(f, 1000000);
    wr(0x148, 1);
    fm_step(f, 1000000);
    fake_machine_free(f);
}

static void test_32bit_wrap(void)
{
    setup();
    wr(0x100, 20 << 9 | 0x104);
    wr(0xf0, 0xfffffff0);
    wr(0x108, 0x10);
    wr(0x10, 1);
    fm_step(f, 0x1f * 10);
    g_assert_cmpuint(f->rises[20], ==, 0);
    fm_step(f, 10);
    g_assert_cmpuint(f->rises[20], ==, 1);
    fake_machine_free(f);
}

static void test_legacy(void)
{
    setup();
    legacy_line(0, 1);
    g_assert_cmpint(f->level[0], ==, 1);
    wr(0x100, 4);
    wr(0x108, 100);
    wr(0x10, 3);
    g_assert_cmpint(f->level[0], ==, 0);
    legacy_line(0, 0);
    legacy_line(0, 1);
    legacy_line(1, 1);
    g_assert_cmpint(f->level[0], ==, 0); /* PIT and RTC are cut off */
    g_assert_cmpint(f->level[8], ==, 0);
    fm_step(f, 1000);
    g_assert_cmpuint(f->rises[0], ==, 2);
    wr(0x10, 1);
    g_assert_cmpint(f->level[0], ==, 1);
    g_assert_cmpint(f->level[8], ==, 1);
    fm_reset(f);
    g_assert_cmphex(rd(0x10), ==, 0);
    fake_machine_free(f);
}

static void test_fsb(void)
{
    setup();
    wr(0x100, 0x4004);
    wr(0x110, 0xfee00000000000c1 & ~0xffffff00ull);
    wr(0x110, 0xfee01000ull << 32 | 0xc1);
    wr(0x108, 10);
    wr(0x10, 1);
    fm_step(f, 100);
    g_assert_cmpuint(f->msis, ==, 1);
    g_assert_cmphex(f->msi_addr, ==, 0xfee01000);
    g_assert_cmphex(f->msi_data, ==, 0xc1);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hpet/counter", test_counter);
    g_test_add_func("/hpet/one-shot", test_oneshot);
    g_test_add_func("/hpet/level", test_level);
    g_test_add_func("/hpet/periodic", test_periodic);
    g_test_add_func("/hpet/32-bit-wrap", test_32bit_wrap);
    g_test_add_func("/hpet/legacy", test_legacy);
    g_test_add_func("/hpet/fsb", test_fsb);
    return g_test_run();
}
