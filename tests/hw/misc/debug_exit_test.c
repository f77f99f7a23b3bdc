/* Tests hw/misc/debug_exit.c: the exit status and the ports. */
#include <glib.h>
#include "tests/lib/fake_machine.h"

static void test_exit(void)
{
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "isa-debug-exit", "iobase=0xf4,iosize=0x04");
    static const struct { u32 val; unsigned size; int code; } cases[] = {
        { 0, 4, 1 }, { 0x10, 4, 0x21 }, { 0x31, 1, 0x63 }, { 0x1234, 2, 0x2469 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        fm_out(f, 0xf4, cases[i].val, cases[i].size);
        g_assert_cmpint(f->request, ==, REQ_EXIT);
        g_assert_cmphex(f->request_code, ==, cases[i].code);
    }
    g_assert_cmphex(fm_in(f, 0xf4, 4), ==, 0);
    g_assert_cmpuint(f->requests, ==, ARRAY_LEN(cases));
    fake_device(f, "isa-debug-exit", NULL); /* QEMU's default place */
    fm_out(f, 0x501, 1, 1);
    g_assert_cmpint(f->request_code, ==, 3);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/debug-exit/exit", test_exit);
    return g_test_run();
}
