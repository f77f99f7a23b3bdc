/* Tests hw/timer/pit.c: modes, counter latching, read-back, BCD, gates and the speaker port. */
#include "hw/timer/pit.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"

static struct fake_machine *f;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    pit_new(&f->m, f->m.gsi[0], &e);
    lock_release(&f->m.lock);
}

/* Advances to the moment at which exactly n ticks have passed since the start. */
static void to_tick(i64 n)
{
    i64 ns = (i64)(((i128)n * NS_PER_SEC + 1193181) / 1193182);
    fm_step(f, ns - clock_ns(f->m.clock));
}

static u16 count(unsigned ch)
{
    fm_out(f, 0x43, ch << 6, 1);
    u8 low = fm_in(f, 0x40 + ch, 1);
    return low | fm_in(f, 0x40 + ch, 1) << 8;
}

static u8 status(unsigned ch)
{
    fm_out(f, 0x43, 0xe0 | 2 << ch, 1);
    return fm_in(f, 0x40 + ch, 1);
}

static void load(unsigned ch, unsigned mode, u16 val)
{
    fm_out(f, 0x43, ch << 6 | 0x30 | mode << 1, 1);
    fm_out(f, 0x40 + ch, val & 0xff, 1);
    fm_out(f, 0x40 + ch, val >> 8, 1);
}

static void test_mode0(void)
{
    setup();
    load(0, 0, 1000);
    g_assert_cmpint(f->level[0], ==, 0);
    unsigned before = f->rises[0];
    to_tick(400);
    g_assert_cmpuint(count(0), ==, 600);
    g_assert_cmphex(status(0), ==, 0x30);
    to_tick(999);
    g_assert_cmpint(f->level[0], ==, 0);
    to_tick(1000);
    g_assert_cmpint(f->level[0], ==, 1);
    g_assert_cmphex(status(0), ==, 0xb0);
    to_tick(1001);
    g_assert_cmpuint(count(0), ==, 0xffff); /* counts on */
    to_tick(200000);
    g_assert_cmpuint(f->rises[0], ==, before + 1);
    fm_out(f, 0x40, 10, 1); /* the first byte lowers OUT */
    g_assert_cmpint(f->level[0], ==, 0);
    fm_out(f, 0x40, 0, 1);
    to_tick(200010);
    g_assert_cmpint(f->level[0], ==, 1);
    fake_machine_free(f);
}

static void test_mode2(void)
{
    setup();
    load(0, 2, 1193);
    unsigned before = f->rises[0];
    to_tick(1192);
    g_assert_cmpuint(f->rises[0], ==, before);
    to_tick(1193);
    g_assert_cmpuint(f->rises[0], ==, before + 1);
    to_tick(1193 * 100);
    g_assert_cmpuint(f->rises[0], ==, before + 100);
    g_assert_cmpuint(count(0), ==, 1193);
    to_tick(1193 * 100 + 1);
    g_assert_cmpuint(count(0), ==, 1192);
    to_tick(1193 * 101 - 1);
    g_assert_cmpuint(count(0), ==, 1);
    g_assert_cmphex(status(0) & 0x80, ==, 0); /* OUT is low in the last tick */
    /* A new count takes effect at the end of the period. */
    fm_out(f, 0x40, 500 & 0xff, 1);
    fm_out(f, 0x40, 500 >> 8, 1);
    g_assert_cmphex(status(0) & 0x40, ==, 0x40); /* null count until then */
    to_tick(1193 * 101 + 499);
    g_assert_cmpuint(f->rises[0], ==, before + 101);
    g_assert_cmphex(status(0) & 0x40, ==, 0);
    to_tick(1193 * 101 + 500);
    g_assert_cmpuint(f->rises[0], ==, before + 102);
    fake_machine_free(f);
}

static void test_mode3(void)
{
    setup();
    load(2, 3, 1000);
    fm_out(f, 0x61, 1, 1);
    to_tick(100);
    g_assert_cmpuint(count(2), ==, 800); /* by two */
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    to_tick(500);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0);
    to_tick(600);
    g_assert_cmpuint(count(2), ==, 800);
    to_tick(1000);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    fake_machine_free(f);
}

static void test_full_count(void)
{
    setup();
    load(0, 2, 0);
    to_tick(65535);
    g_assert_cmpuint(count(0), ==, 1);
    unsigned before = f->rises[0];
    to_tick(65536);
    g_assert_cmpuint(f->rises[0], ==, before + 1);
    g_assert_cmpuint(count(0), ==, 0);
    fake_machine_free(f);
}

static void test_gate(void)
{
    setup();
    fm_out(f, 0x61, 1, 1);
    load(2, 0, 1000);
    to_tick(300);
    fm_out(f, 0x61, 0, 1); /* mode 0: the gate stops the count */
    to_tick(5000);
    g_assert_cmpuint(count(2), ==, 700);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0);
    fm_out(f, 0x61, 1, 1);
    to_tick(5699);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0);
    to_tick(5700);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    fm_out(f, 0x61, 0, 1);
    load(2, 1, 100); /* mode 1: the gate triggers */
    to_tick(6000);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    fm_out(f, 0x61, 1, 1);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0);
    to_tick(6050);
    fm_out(f, 0x61, 0, 1); /* and may fall meanwhile */
    fm_out(f, 0x61, 1, 1); /* retrigger */
    to_tick(6149);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0);
    to_tick(6150);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    load(2, 2, 100); /* mode 2: low gate holds OUT high, a rise reloads */
    to_tick(6200);
    fm_out(f, 0x61, 0, 1);
    to_tick(7000);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    fm_out(f, 0x61, 1, 1);
    g_assert_cmpuint(count(2), ==, 100);
    fake_machine_free(f);
}

static void test_strobe(void)
{
    setup();
    fm_out(f, 0x61, 1, 1);
    load(2, 4, 50);
    to_tick(49);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    to_tick(50);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0);
    to_tick(51);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x20, ==, 0x20);
    load(0, 4, 100); /* channel 0: the strobe's end is a rising edge */
    g_assert_cmpint(f->level[0], ==, 1);
    unsigned before = f->rises[0];
    to_tick(1000);
    g_assert_cmpuint(f->rises[0], ==, before + 1);
    fake_machine_free(f);
}

static void test_bcd(void)
{
    setup();
    fm_out(f, 0x43, 0x35, 1); /* channel 0, mode 2, BCD */
    fm_out(f, 0x40, 0x34, 1);
    fm_out(f, 0x40, 0x12, 1);
    to_tick(34);
    g_assert_cmphex(count(0), ==, 0x1200);
    g_assert_cmphex(status(0) & 1, ==, 1);
    to_tick(1233);
    g_assert_cmphex(count(0), ==, 0x0001);
    fm_out(f, 0x43, 0x35, 1);
    fm_out(f, 0x40, 0, 1);
    fm_out(f, 0x40, 0, 1); /* 10000 */
    to_tick(1234);
    g_assert_cmphex(count(0), ==, 0x9999);
    fake_machine_free(f);
}

static void test_latching(void)
{
    setup();
    load(0, 2, 1000);
    to_tick(100);
    fm_out(f, 0x43, 0x00, 1);
    to_tick(200);
    fm_out(f, 0x43, 0x00, 1); /* ignored: the latch is unread */
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 900 & 0xff);
    to_tick(300);
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 900 >> 8);
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 700 & 0xff); /* unlatched: low, then high */
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 700 >> 8);
    fm_out(f, 0x43, 0xc2, 1); /* read-back: status, then count */
    g_assert_cmphex(fm_in(f, 0x40, 1), ==, 0xb4);
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 700 & 0xff);
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 700 >> 8);
    fm_out(f, 0x43, 0x14, 1); /* low byte only */
    fm_out(f, 0x40, 200, 1);
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 200);
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 200);
    fm_out(f, 0x43, 0x24, 1); /* high byte only */
    fm_out(f, 0x40, 2, 1);
    g_assert_cmpuint(fm_in(f, 0x40, 1), ==, 2);
    g_assert_cmphex(fm_in(f, 0x43, 1), ==, 0xff);
    fake_machine_free(f);
}

static void test_refresh_toggle(void)
{
    setup();
    fm_out(f, 0x61, 0xff, 1);
    g_assert_cmphex(fm_in(f, 0x61, 1) & 0x0f, ==, 0x0f);
    u8 a = fm_in(f, 0x61, 1);
    to_tick(18);
    g_assert_cmphex((a ^ fm_in(f, 0x61, 1)) & 0x10, ==, 0x10);
    fake_machine_free(f);
}

static void test_lowest_counts(void)
{
    setup();
    load(0, 2, 1); /* illegal: no hang */
    to_tick(1000);
    load(0, 3, 2);
    to_tick(2000);
    load(0, 0, 1);
    to_tick(2001);
    g_assert_cmpint(f->level[0], ==, 1);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pit/mode0", test_mode0);
    g_test_add_func("/pit/mode2", test_mode2);
    g_test_add_func("/pit/mode3", test_mode3);
    g_test_add_func("/pit/full-count", test_full_count);
    g_test_add_func("/pit/gate", test_gate);
    g_test_add_func("/pit/strobe", test_strobe);
    g_test_add_func("/pit/bcd", test_bcd);
    g_test_add_func("/pit/latching", test_latching);
    g_test_add_func("/pit/refresh-toggle", test_refresh_toggle);
    g_test_add_func("/pit/lowest-counts", test_lowest_counts);
    return g_test_run();
}
