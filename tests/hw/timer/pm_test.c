/* Tests hw/timer/pm.c: PM timer and its overflow, SCI, GPEs, ACPI enable, sleep, mapping. */
#include "hw/timer/pm.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"

#define BASE 0x600

static struct fake_machine *f;
static struct device *pm;

static void setup(const char *global)
{
    static const char *globals[1];
    struct err e;
    f = fake_machine_new(1);
    globals[0] = global;
    f->m.cfg.globals = globals;
    f->m.cfg.n_globals = global != NULL;
    lock_acquire(&f->m.lock);
    pm = acpi_pm_new(&f->m, f->m.gsi[9], &e);
    pm_map(pm, BASE, true);
    lock_release(&f->m.lock);
}

static void gpe(unsigned n, int level)
{
    struct irq_line l = pm_gpe_line(pm, n);
    lock_acquire(&f->m.lock);
    irq_set(&l, level);
    lock_release(&f->m.lock);
}

static void test_timer(void)
{
    setup(NULL);
    fm_step(f, NS_PER_SEC);
    g_assert_cmpuint(fm_in(f, BASE + PM_TMR, 4), ==, 3579545);
    fm_step(f, 4 * NS_PER_SEC);
    g_assert_cmpuint(fm_in(f, BASE + PM_TMR, 4), ==, (5 * 3579545) & 0xffffff);
    g_assert_cmpuint(fm_in(f, BASE + PM_TMR, 2), ==, (5 * 3579545) & 0xffff);
    g_assert_cmpuint(fm_in(f, BASE + PM_TMR + 3, 1), ==, 0);
    fake_machine_free(f);
    setup("acpi-pm.timer32=on");
    fm_step(f, 10 * NS_PER_SEC);
    g_assert_cmpuint(fm_in(f, BASE + PM_TMR, 4), ==, 35795450);
    fake_machine_free(f);
}

static void test_overflow(void)
{
    setup(NULL);
    fm_out(f, BASE + PM_PM1_CNT, 1, 2);
    fm_out(f, BASE + PM_PM1_EVT + 2, 1, 2);
    i64 half = (i64)(((i128)(1 << 23) * NS_PER_SEC + 3579544) / 3579545);
    fm_step(f, half - 1);
    g_assert_cmpint(f->level[9], ==, 0);
    fm_step(f, 1);
    g_assert_cmpint(f->level[9], ==, 1);
    g_assert_cmphex(fm_in(f, BASE, 2), ==, 1);
    fm_out(f, BASE, 1, 2);
    g_assert_cmpint(f->level[9], ==, 0);
    fm_step(f, half);
    g_assert_cmpint(f->level[9], ==, 1); /* the bit falls: that is a change too */
    fm_out(f, BASE + PM_PM1_CNT, 0, 2); /* no SCI outside ACPI mode */
    g_assert_cmpint(f->level[9], ==, 0);
    fm_out(f, BASE, 0xffff, 2);
    fm_out(f, BASE + PM_PM1_EVT + 2, 0, 2);
    fm_step(f, half);
    g_assert_cmphex(fm_in(f, BASE, 2), ==, 1); /* noticed although nobody was interrupted */
    fake_machine_free(f);
}

static void test_smi_command(void)
{
    setup(NULL);
    fm_out(f, PM_SMI_CMD, PM_ACPI_ENABLE, 1);
    g_assert_cmphex(fm_in(f, BASE + PM_PM1_CNT, 2), ==, 1);
    fm_out(f, PM_SMI_CMD, PM_ACPI_DISABLE, 1);
    g_assert_cmphex(fm_in(f, BASE + PM_PM1_CNT, 2), ==, 0);
    fm_out(f, PM_SMI_CMD + 1, 0x55, 1);
    g_assert_cmphex(fm_in(f, PM_SMI_CMD + 1, 1), ==, 0x55);
    g_assert_cmphex(fm_in(f, PM_SMI_CMD, 1), ==, PM_ACPI_DISABLE);
    g_assert_cmpuint(f->smis[0], ==, 0);
    lock_acquire(&f->m.lock);
    pm_set_smi_enabled(pm, true);
    lock_release(&f->m.lock);
    fm_out(f, PM_SMI_CMD, 0x42, 1);
    g_assert_cmpuint(f->smis[0], ==, 1);
    fake_machine_free(f);
}

static void test_gpe(void)
{
    setup(NULL);
    fm_out(f, PM_SMI_CMD, PM_ACPI_ENABLE, 1);
    gpe(1, 1);
    g_assert_cmphex(fm_in(f, BASE + PM_GPE0, 2), ==, 2);
    g_assert_cmpint(f->level[9], ==, 0);
    fm_out(f, BASE + PM_GPE0 + 2, 2, 1);
    g_assert_cmpint(f->level[9], ==, 1);
    fm_out(f, BASE + PM_GPE0, 2, 1); /* the line is still up */
    g_assert_cmpint(f->level[9], ==, 1);
    gpe(1, 0);
    g_assert_cmpint(f->level[9], ==, 1); /* status is sticky */
    fm_out(f, BASE + PM_GPE0, 2, 1);
    g_assert_cmpint(f->level[9], ==, 0);
    gpe(15, 1);
    g_assert_cmphex(fm_in(f, BASE + PM_GPE0 + 1, 1), ==, 0x80);
    g_assert_cmphex(fm_in(f, BASE + PM_GPE0, 4), ==, 0x00028000);
    fake_machine_free(f);
}

static void test_power_button(void)
{
    setup(NULL);
    fm_out(f, PM_SMI_CMD, PM_ACPI_ENABLE, 1);
    fm_out(f, BASE + 3, 0x01, 1); /* enable, as a byte */
    lock_acquire(&f->m.lock);
    pm_power_button(pm);
    lock_release(&f->m.lock);
    g_assert_cmpint(f->level[9], ==, 1);
    g_assert_cmphex(fm_in(f, BASE, 2), ==, 0x100);
    fm_out(f, BASE + 1, 0x01, 1);
    g_assert_cmpint(f->level[9], ==, 0);
    fake_machine_free(f);
}

static void test_sleep(void)
{
    setup(NULL);
    fm_out(f, BASE + PM_PM1_CNT, 0x2800, 2); /* S1: not offered */
    g_assert_cmpuint(f->requests, ==, 0);
    fm_out(f, BASE + PM_PM1_CNT, 0x2000 | PM_SLP_TYP_S5 << 10, 2);
    g_assert_cmpint(f->request, ==, REQ_SHUTDOWN);
    g_assert_cmphex(fm_in(f, BASE + PM_PM1_CNT, 2), ==, 0); /* SLP_EN reads 0 */
    fm_out(f, BASE + PM_PM1_CNT + 1, 0x20, 1);
    g_assert_cmpuint(f->requests, ==, 2);
    fake_machine_free(f);
}

static void alarm_now(void)
{
    lock_acquire(&f->m.lock);
    pm_rtc_alarm(pm);
    lock_release(&f->m.lock);
}

/* S3 lasts until a wake event that is enabled; the event registers survive the reset that ends it. */
static void test_suspend(void)
{
    setup(NULL);
    fm_out(f, PM_SMI_CMD, PM_ACPI_ENABLE, 1);
    fm_out(f, BASE + PM_PM1_CNT, 0x2001 | PM_SLP_TYP_S3 << 10, 2);
    g_assert_cmpint(f->request, ==, REQ_SUSPEND);
    g_assert_true(f->m.suspended);
    alarm_now();
    g_assert_cmpuint(f->requests, ==, 1);
    fm_out(f, BASE, 0x400, 2);
    fm_out(f, BASE + 2, 0x400, 2);
    alarm_now();
    g_assert_cmpint(f->request, ==, REQ_WAKEUP);
    lock_acquire(&f->m.lock);
    pm->cls->reset(pm);
    lock_release(&f->m.lock);
    g_assert_cmphex(fm_in(f, BASE, 2), ==, 0x8400); /* WAK_STS, RTC_STS */
    g_assert_cmphex(fm_in(f, BASE + PM_PM1_CNT, 2), ==, 1);
    fake_machine_free(f);
}

static void test_map(void)
{
    setup(NULL);
    lock_acquire(&f->m.lock);
    pm_map(pm, 0xb000, true);
    lock_release(&f->m.lock);
    g_assert_cmphex(fm_in(f, BASE + PM_PM1_CNT, 2), ==, 0xffff);
    g_assert_cmphex(fm_in(f, 0xb000 + PM_PM1_CNT, 2), ==, 0);
    lock_acquire(&f->m.lock);
    pm_map(pm, 0xb000, false);
    lock_release(&f->m.lock);
    g_assert_cmphex(fm_in(f, 0xb000 + PM_PM1_CNT, 2), ==, 0xffff);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pm/timer", test_timer);
    g_test_add_func("/pm/overflow", test_overflow);
    g_test_add_func("/pm/smi-command", test_smi_command);
    g_test_add_func("/pm/gpe", test_gpe);
    g_test_add_func("/pm/power-button", test_power_button);
    g_test_add_func("/pm/sleep", test_sleep);
    g_test_add_func("/pm/suspend", test_suspend);
    g_test_add_func("/pm/map", test_map);
    return g_test_run();
}
