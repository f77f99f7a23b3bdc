/* Tests hw/misc/pc_testdev.c: echo register, interrupt lines, memory bytes. */
#include <glib.h>
#include "tests/lib/fake_machine.h"

static void test_echo(void)
{
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "pc-testdev", NULL);
    fm_out(f, 0xe0, 0x12345678, 4);
    g_assert_cmphex(fm_in(f, 0xe0, 4), ==, 0x12345678);
    g_assert_cmphex(fm_in(f, 0xe0, 2), ==, 0x5678);
    g_assert_cmphex(fm_in(f, 0xe1, 1), ==, 0x56);
    fm_out(f, 0xe2, 0xabcd, 2);
    fm_out(f, 0xe0, 0xff, 1);
    g_assert_cmphex(fm_in(f, 0xe0, 4), ==, 0xabcd56ff);
    fm_out(f, 0xe4, 0x1000, 4); /* page flush: nothing to see */
    g_assert_cmphex(fm_in(f, 0xe0, 4), ==, 0xabcd56ff);
    fm_reset(f);
    g_assert_cmphex(fm_in(f, 0xe0, 4), ==, 0);
    fake_machine_free(f);
}

static void test_lines(void)
{
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "pc-testdev", NULL);
    fm_out(f, 0x2000 + 14, 1, 1);
    g_assert_cmpint(f->level[14], ==, 1);
    g_assert_cmphex(fm_in(f, 0x200e, 1), ==, 1);
    fm_out(f, 0x2000 + 14, 0, 1);
    g_assert_cmpint(f->level[14], ==, 0);
    fm_out(f, 0x2000 + 23, 0x80, 1);
    g_assert_cmpint(f->level[23], ==, 1);
    fm_reset(f);
    g_assert_cmpint(f->level[23], ==, 0);
    fake_machine_free(f);
}

static void test_memory(void)
{
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "pc-testdev", NULL);
    fm_write(f, 0xff000000, 0x1122334455667788, 8);
    g_assert_cmphex(fm_read(f, 0xff000002, 4), ==, 0x33445566);
    fm_write(f, 0xff007ffe, 0xdeadbeef, 4);
    g_assert_cmphex(fm_read(f, 0xff007ffe, 4), ==, 0xdeadbeef);
    g_assert_cmphex(fm_read(f, 0xff008000, 2), ==, 0xdead);
    fm_write(f, 0xff00ffff, 0x5a, 1);
    g_assert_cmphex(fm_read(f, 0xff00ffff, 1), ==, 0x5a);
    g_assert_cmphex(fm_read(f, 0xff00fffd, 4) >> 24, ==, 0xff); /* past the end: open bus */
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pc-testdev/echo", test_echo);
    g_test_add_func("/pc-testdev/lines", test_lines);
    g_test_add_func("/pc-testdev/memory", test_memory);
    return g_test_run();
}
