/* Tests hw/watchdog/tco.c: counting, reload, both timeouts, the lock bit, NO_REBOOT, save and load. */
#include "hw/watchdog/tco.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"

enum { BASE = 0x660, RLD = BASE, STS1 = BASE + 4, STS2 = BASE + 6, CNT1 = BASE + 8, TMR = BASE + 0x12, HALT = 0x800, LOCK = 0x1000 };
#define TICK 600000000ll

static bool no_reboot;
static bool get_no_reboot(void *opaque) { return no_reboot; }

static struct device *make(struct fake_machine *f)
{
    struct err e = { "" };
    lock_acquire(&f->m.lock);
    struct device *d = tco_new(&f->m, get_no_reboot, NULL, &e);
    g_assert_nonnull(d);
    tco_map(d, BASE, true);
    lock_release(&f->m.lock);
    return d;
}

static void test_registers(void)
{
    struct fake_machine *f = fake_machine_new(1);
    make(f);
    g_assert_cmphex(fm_in(f, CNT1, 2), ==, HALT);
    g_assert_cmphex(fm_in(f, TMR, 2), ==, 4);
    fm_out(f, TMR, 0xfc32, 2);
    g_assert_cmphex(fm_in(f, TMR, 2), ==, 0x32);
    fm_out(f, TMR, 1, 2);
    g_assert_cmphex(fm_in(f, TMR, 2), ==, 0x32);
    fm_out(f, CNT1, HALT | LOCK, 2);
    fm_out(f, CNT1, HALT, 2);
    g_assert_cmphex(fm_in(f, CNT1, 2), ==, HALT | LOCK);
    fm_out(f, CNT1 + 1, 0, 1); /* a byte leaves the other alone */
    g_assert_cmphex(fm_in(f, CNT1, 2), ==, LOCK);
    fake_machine_free(f);
}

static void test_timeouts(void)
{
    struct fake_machine *f = fake_machine_new(1);
    make(f);
    no_reboot = false;
    fm_out(f, TMR, 10, 2);
    fm_out(f, RLD, 1, 2);
    fm_step(f, 100 * TICK); /* halted */
    g_assert_cmpuint(fm_in(f, RLD, 2), ==, 10);
    g_assert_cmphex(fm_in(f, STS1, 2), ==, 0);
    fm_out(f, CNT1, 0, 2);
    fm_step(f, 4 * TICK);
    g_assert_cmpuint(fm_in(f, RLD, 2), ==, 6);
    fm_out(f, CNT1, HALT, 2); /* halting keeps the count */
    fm_step(f, 3 * TICK);
    fm_out(f, CNT1, 0, 2);
    fm_step(f, 5 * TICK);
    g_assert_cmpuint(fm_in(f, RLD, 2), ==, 1);
    fm_out(f, RLD, 1, 2);
    fm_step(f, 9 * TICK);
    g_assert_cmphex(fm_in(f, STS1, 2), ==, 0);
    fm_step(f, TICK);
    g_assert_cmphex(fm_in(f, STS1, 2), ==, 8);
    g_assert_cmpuint(f->requests, ==, 0);
    fm_step(f, 10 * TICK);
    g_assert_cmphex(fm_in(f, STS2, 2), ==, 2);
    g_assert_cmpint(f->request, ==, REQ_WATCHDOG);
    g_assert_cmpuint(f->requests, ==, 1);
    fm_out(f, STS1, 8, 2);
    fm_out(f, STS2, 2, 1);
    g_assert_cmphex(fm_in(f, STS1, 2) | fm_in(f, STS2, 2), ==, 0);
    no_reboot = true;
    fm_step(f, 40 * TICK);
    g_assert_cmphex(fm_in(f, STS2, 2), ==, 2);
    g_assert_cmpuint(f->requests, ==, 1);
    fake_machine_free(f);
}

static void test_saved(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct device *d = make(f);
    GByteArray *state = g_byte_array_new();
    struct err e = { "" };
    fm_out(f, TMR, 10, 2);
    fm_out(f, RLD, 1, 2);
    fm_out(f, CNT1, 0, 2);
    fm_step(f, 3 * TICK);
    lock_acquire(&f->m.lock);
    device_save(d, state);
    lock_release(&f->m.lock);
    fm_reset(f);
    g_assert_cmphex(fm_in(f, CNT1, 2), ==, HALT);
    lock_acquire(&f->m.lock);
    g_assert_cmpint(device_load(d, state->data, state->len, &e), ==, state->len);
    lock_release(&f->m.lock);
    g_assert_cmpuint(fm_in(f, RLD, 2), ==, 7);
    fm_step(f, 7 * TICK);
    g_assert_cmphex(fm_in(f, STS1, 2), ==, 8);
    g_byte_array_unref(state);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tco/registers", test_registers);
    g_test_add_func("/tco/timeouts", test_timeouts);
    g_test_add_func("/tco/saved", test_saved);
    return g_test_run();
}
