/* Tests hw/misc/reset_ports.c: ports 0xcf9 and 0x92. */
#include <glib.h>
#include "hw/timer/pm.h"
#include "tests/lib/fake_machine.h"

static void test_cf9(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct err e;
    lock_acquire(&f->m.lock);
    reset_ctl_new(&f->m, &e);
    lock_release(&f->m.lock);
    fm_out(f, 0xcf9, 0x02, 1);
    g_assert_cmpuint(f->requests, ==, 0);
    g_assert_cmphex(fm_in(f, 0xcf9, 1), ==, 0x02);
    fm_out(f, 0xcf9, 0x06, 1);
    g_assert_cmpint(f->request, ==, REQ_RESET);
    fm_out(f, 0xcf9, 0x06, 1); /* only the rise of the bit */
    g_assert_cmpuint(f->requests, ==, 1);
    fm_reset(f);
    g_assert_cmphex(fm_in(f, 0xcf9, 1), ==, 0x00);
    fake_machine_free(f);
}

static void test_port92(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct err e;
    lock_acquire(&f->m.lock);
    port92_new(&f->m, fm_line(f, 5), &e);
    lock_release(&f->m.lock);
    g_assert_cmpint(f->level[5], ==, 0);
    fm_out(f, 0x92, fm_in(f, 0x92, 1) | 2, 1);
    g_assert_cmpint(f->level[5], ==, 1);
    fm_out(f, 0x92, 3, 1);
    g_assert_cmpint(f->request, ==, REQ_RESET);
    fm_reset(f);
    g_assert_cmpint(f->level[5], ==, 0);
    g_assert_cmphex(fm_in(f, 0x92, 1), ==, 0);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/reset-ports/cf9", test_cf9);
    g_test_add_func("/reset-ports/port92", test_port92);
    return g_test_run();
}
