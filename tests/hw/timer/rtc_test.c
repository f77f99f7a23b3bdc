/* Tests hw/timer/rtc.c: time and date in each format, setting, calendar, interrupts, CMOS RAM, -rtc. */
#include "hw/timer/rtc.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"
#include "util/event.h"

static struct fake_machine *f;
static struct device *rtc;

/* The fake wall clock starts at 2001-09-09 01:46:40 UTC, a Sunday. */
static void setup(const char *base)
{
    struct err e;
    f = fake_machine_new(1);
    f->m.cfg.rtc_base = base;
    lock_acquire(&f->m.lock);
    rtc = rtc_new(&f->m, f->m.gsi[8], &e);
    lock_release(&f->m.lock);
    g_assert_nonnull(rtc);
}

static u8 rd(u8 idx)
{
    fm_out(f, 0x70, idx, 1);
    return fm_in(f, 0x71, 1);
}

static void wr(u8 idx, u8 val)
{
    fm_out(f, 0x70, idx, 1);
    fm_out(f, 0x71, val, 1);
}

static void check(u16 year, u8 mon, u8 day, u8 hour, u8 min, u8 sec)
{
    u8 got[] = { rd(0x32), rd(9), rd(8), rd(7), rd(4), rd(2), rd(0) };
    u8 want[] = { year >> 8, year & 0xff, mon, day, hour, min, sec };
    g_assert_cmpmem(got, 7, want, 7);
}

static void test_read(void)
{
    setup("utc");
    check(0x2001, 0x09, 0x09, 0x01, 0x46, 0x40);
    g_assert_cmphex(rd(6), ==, 1);
    g_assert_cmphex(rd(0x0d), ==, 0x80);
    fm_step(f, 20 * NS_PER_SEC);
    check(0x2001, 0x09, 0x09, 0x01, 0x47, 0x00);
    fm_step(f, 86400 * NS_PER_SEC);
    g_assert_cmphex(rd(6), ==, 2);
    fm_step(f, 13 * 3600 * NS_PER_SEC);
    wr(0x0b, 0x00); /* 12 hours, BCD */
    g_assert_cmphex(rd(4), ==, 0x82);
    wr(0x0b, 0x04); /* 12 hours, binary */
    g_assert_cmphex(rd(4), ==, 0x82);
    g_assert_cmphex(rd(2), ==, 47);
    wr(0x0b, 0x06);
    g_assert_cmphex(rd(4), ==, 14);
    fake_machine_free(f);
}

static void test_set(void)
{
    setup("utc");
    fm_step(f, 300000000);
    wr(0x0b, 0x82); /* SET */
    wr(0x32, 0x19);
    wr(9, 0x99);
    wr(8, 0x12);
    wr(7, 0x31);
    wr(4, 0x23);
    wr(2, 0x59);
    wr(0, 0x59);
    fm_step(f, 5 * NS_PER_SEC);
    check(0x1999, 0x12, 0x31, 0x23, 0x59, 0x59); /* stands still */
    wr(0x0b, 0x02);
    fm_step(f, 699999999);
    check(0x1999, 0x12, 0x31, 0x23, 0x59, 0x59);
    fm_step(f, 1);
    check(0x2000, 0x01, 0x01, 0x00, 0x00, 0x00);
    g_assert_cmphex(rd(6), ==, 7); /* a Saturday */
    fm_step(f, (31 + 28) * 86400 * NS_PER_SEC);
    check(0x2000, 0x02, 0x29, 0x00, 0x00, 0x00); /* a leap year */
    wr(4, 0x13); /* without SET: at once */
    check(0x2000, 0x02, 0x29, 0x13, 0x00, 0x00);
    fm_step(f, NS_PER_SEC);
    check(0x2000, 0x02, 0x29, 0x13, 0x00, 0x01);
    fake_machine_free(f);
}

static i64 told;        /* RTC_CHANGE: the last offset */
static unsigned events;

static void on_event(void *opaque, const char *name, const struct event_member *m)
{
    g_assert_cmpstr(name, ==, "RTC_CHANGE");
    g_assert_cmpstr(m[0].name, ==, "offset");
    told = m[0].n;
    events++;
}

/* From what -rtc base= says, not from the host's clock. */
static void test_change_is_told(void)
{
    setup("2001-09-10T00:00:00");
    event_set_sink(on_event, NULL);
    events = 0;
    fm_step(f, NS_PER_SEC / 4);
    wr(0x0b, 0x82);
    wr(4, 0x01);
    wr(0, 0x02);
    g_assert_cmpuint(events, ==, 0);
    wr(0x0b, 0x02);
    g_assert_cmpuint(events, ==, 1);
    g_assert_cmpint(told, ==, 3602);
    wr(7, 0x09);
    g_assert_cmpint(told, ==, 3602 - 86400);
    event_set_sink(NULL, NULL);
    fake_machine_free(f);
}

static void test_divider_reset(void)
{
    setup("utc");
    wr(0x0b, 0x82);
    wr(0x0a, 0x76);
    wr(0, 0x10);
    wr(0x0b, 0x02);
    fm_step(f, 7 * NS_PER_SEC);
    g_assert_cmphex(rd(0), ==, 0x10);
    wr(0x0a, 0x26); /* the first update comes half a second later */
    fm_step(f, 499999999);
    g_assert_cmphex(rd(0), ==, 0x10);
    g_assert_cmphex(rd(0x0a), ==, 0xa6); /* update in progress */
    fm_step(f, 1);
    g_assert_cmphex(rd(0), ==, 0x11);
    g_assert_cmphex(rd(0x0a), ==, 0x26);
    fake_machine_free(f);
}

static void test_nonsense(void)
{
    setup("utc");
    for (unsigned i = 0; i < 14; i++)
        wr(i, 0xff);
    for (unsigned i = 0; i < 14; i++)
        rd(i);
    wr(0x0b, 0x02);
    for (unsigned i = 0; i < 10; i++)
        wr(i, 0x00);
    wr(0x0b, 0x72);
    fm_step(f, 3 * NS_PER_SEC);
    fake_machine_free(f);
}

static void test_periodic(void)
{
    setup("utc");
    fm_step(f, 12345);
    wr(0x0a, 0x2f); /* 2 Hz */
    wr(0x0b, 0x42);
    fm_step(f, 499999999);
    g_assert_cmpint(f->level[8], ==, 0);
    fm_step(f, 1);
    g_assert_cmpint(f->level[8], ==, 1);
    g_assert_cmphex(rd(0x0c), ==, 0xc0);
    g_assert_cmpint(f->level[8], ==, 0);
    g_assert_cmphex(rd(0x0c), ==, 0x00);
    fm_step(f, 500000000);
    g_assert_cmpint(f->level[8], ==, 1);
    rd(0x0c);
    wr(0x0a, 0x26); /* 1024 Hz */
    unsigned before = f->rises[8];
    for (unsigned i = 0; i < 2048; i++) {
        fm_step(f, 976563);
        rd(0x0c);
    }
    g_assert_cmpuint(f->rises[8] - before, >=, 2047);
    wr(0x0b, 0x02);
    fm_step(f, NS_PER_SEC);
    g_assert_cmpint(f->level[8], ==, 0);
    fake_machine_free(f);
}

static void test_update_and_alarm(void)
{
    setup("utc");
    fm_step(f, 250000000);
    wr(0x0b, 0x12); /* update ended interrupt */
    fm_step(f, 749999999);
    g_assert_cmpint(f->level[8], ==, 0);
    fm_step(f, 1);
    g_assert_cmpint(f->level[8], ==, 1);
    g_assert_cmphex(rd(0x0c), ==, 0x90);
    wr(1, 0x45);
    wr(3, 0xc0); /* any minute */
    wr(5, 0xff); /* any hour */
    wr(0x0b, 0x22);
    fm_step(f, 3999999999);
    g_assert_cmpint(f->level[8], ==, 0);
    fm_step(f, 1); /* 01:46:45 */
    g_assert_cmpint(f->level[8], ==, 1);
    g_assert_cmphex(rd(0x0c), ==, 0xb0);
    fm_step(f, 60 * NS_PER_SEC);
    g_assert_cmpint(f->level[8], ==, 1);
    wr(0x0b, 0x02); /* the flag stays, the line falls */
    g_assert_cmpint(f->level[8], ==, 0);
    g_assert_cmphex(rd(0x0c), ==, 0x30);
    fm_step(f, 60 * NS_PER_SEC); /* flags come up without interrupts too */
    g_assert_cmphex(rd(0x0c), ==, 0x30);
    wr(1, 0x99); /* an alarm that never comes */
    wr(0x0b, 0x22);
    fm_step(f, 90000 * NS_PER_SEC);
    g_assert_cmpint(f->level[8], ==, 0);
    fm_reset(f);
    g_assert_cmphex(rd(0x0b), ==, 0x02);
    fake_machine_free(f);
}

static void test_cmos(void)
{
    setup("utc");
    rtc_cmos_set(rtc, 0x34, 0x12);
    rtc_cmos_set(rtc, 0x80, 0x56);
    g_assert_cmphex(rd(0x34), ==, 0x12);
    g_assert_cmphex(rd(0xb4), ==, 0x12); /* bit 7 is the NMI mask */
    wr(0x7f, 0x77);
    g_assert_cmphex(rtc_cmos_get(rtc, 0x7f), ==, 0x77);
    fm_out(f, 0x72, 0x00, 1);
    g_assert_cmphex(fm_in(f, 0x73, 1), ==, 0x56);
    fm_out(f, 0x73, 0x57, 1);
    g_assert_cmphex(rtc_cmos_get(rtc, 0x80), ==, 0x57);
    fm_reset(f);
    g_assert_cmphex(rd(0x7f), ==, 0x77);
    g_assert_cmphex(fm_in(f, 0x70, 1), ==, 0xff);
    fake_machine_free(f);
}

static void test_base(void)
{
    setup("2006-06-17T16:01:21");
    check(0x2006, 0x06, 0x17, 0x16, 0x01, 0x21);
    g_assert_cmphex(rd(6), ==, 7);
    fake_machine_free(f);
    setup("2024-02-29");
    check(0x2024, 0x02, 0x29, 0x00, 0x00, 0x00);
    fake_machine_free(f);
    static const char *const bad[] = { "", "tomorrow", "2006-13-01", "2006-06-17T", "2006-06-17T16:01", "2006-06-17x",
                                       "2006-06-17T16:01:21Z" };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e;
        f = fake_machine_new(1);
        f->m.cfg.rtc_base = bad[i];
        lock_acquire(&f->m.lock);
        g_assert_null(rtc_new(&f->m, f->m.gsi[8], &e));
        lock_release(&f->m.lock);
        g_assert_true(g_str_has_prefix(e.msg, "-rtc base="));
        fake_machine_free(f);
    }
}

/* A stopped machine whose VM time is set a day on: the guest's date follows with clock=vm only. */
static void test_clock(void)
{
    for (unsigned vm = 0; vm < 2; vm++) {
        struct err e;
        f = fake_machine_new(1);
        struct clock *manual = f->m.clock;
        f->m.clock = clock_new_real(&f->m.lock);
        f->m.cfg.rtc_base = "2024-02-28T12:00:00";
        f->m.cfg.rtc_vm_clock = vm;
        lock_acquire(&f->m.lock);
        rtc = rtc_new(&f->m, f->m.gsi[8], &e);
        lock_release(&f->m.lock);
        g_assert_cmphex(rd(7), ==, 0x28);
        clock_set_ns(f->m.clock, clock_ns(f->m.clock) + 86400 * NS_PER_SEC);
        g_assert_cmphex(rd(7), ==, vm ? 0x29 : 0x28);
        lock_acquire(&f->m.lock);
        device_free(rtc);
        lock_release(&f->m.lock);
        clock_free(f->m.clock);
        f->m.clock = manual;
        fake_machine_free(f);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rtc/read", test_read);
    g_test_add_func("/rtc/set", test_set);
    g_test_add_func("/rtc/change-is-told", test_change_is_told);
    g_test_add_func("/rtc/divider-reset", test_divider_reset);
    g_test_add_func("/rtc/nonsense", test_nonsense);
    g_test_add_func("/rtc/periodic", test_periodic);
    g_test_add_func("/rtc/update-and-alarm", test_update_and_alarm);
    g_test_add_func("/rtc/cmos", test_cmos);
    g_test_add_func("/rtc/base", test_base);
    g_test_add_func("/rtc/clock", test_clock);
    return g_test_run();
}
