/* Tests hw/char/debugcon.c: output, the probe value and properties. */
#include "hw/char/debugcon.h"
#include <glib.h>
#include "tests/lib/fake_chr.h"
#include "tests/lib/fake_machine.h"

static void test_port(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct chr *a = fake_chr_new("a"), *b = fake_chr_new("b");
    struct err e;
    lock_acquire(&f->m.lock);
    g_assert_nonnull(debugcon_new(&f->m, 0x402, a, &e));
    lock_release(&f->m.lock);
    fake_device(f, "isa-debugcon", "chardev=b,readback=0x42");
    for (const char *p = "hello\n"; *p; p++)
        fm_out(f, 0x402, *p, 1);
    fm_out(f, 0xe9, 'X', 1);
    g_assert_cmpstr(fake_chr_output(a), ==, "hello\n");
    g_assert_cmpstr(fake_chr_output(b), ==, "X");
    g_assert_cmphex(fm_in(f, 0x402, 1), ==, 0xe9);
    g_assert_cmphex(fm_in(f, 0xe9, 1), ==, 0x42);
    fake_machine_free(f);
    chr_free_all();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/debugcon/port", test_port);
    return g_test_run();
}
