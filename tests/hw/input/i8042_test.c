/* Tests hw/input/i8042.c: controller commands, translation, interrupts, A20, reset. */
#include "hw/input/i8042.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"

#define A20_LINE 20

static struct fake_machine *f;
static struct device *kbc;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    kbc = i8042_new(&f->m, f->m.gsi[1], f->m.gsi[12], fm_line(f, A20_LINE), &e);
    lock_release(&f->m.lock);
}

static void cmd(u8 val) { fm_out(f, 0x64, val, 1); }
static void data(u8 val) { fm_out(f, 0x60, val, 1); }
static u8 get(void) { return fm_in(f, 0x60, 1); }
static u8 status(void) { return fm_in(f, 0x64, 1); }

static void key(u16 code, bool down)
{
    lock_acquire(&f->m.lock);
    ps2_key_event(kbc, code, down);
    lock_release(&f->m.lock);
}

static void mouse(int dx, int dy, int dz, unsigned buttons)
{
    lock_acquire(&f->m.lock);
    ps2_mouse_event(kbc, dx, dy, dz, buttons);
    lock_release(&f->m.lock);
}

static void expect(const u8 *want, unsigned n, u8 aux)
{
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmphex(status() & 0x21, ==, 0x01 | aux);
        g_assert_cmphex(get(), ==, want[i]);
    }
    g_assert_cmphex(status() & 0x01, ==, 0);
}
#define EXPECT(aux, ...) do { const u8 w_[] = { __VA_ARGS__ }; expect(w_, sizeof(w_), aux); } while (0)

static void test_commands(void)
{
    setup();
    cmd(0xaa);
    EXPECT(0, 0x55);
    cmd(0xab);
    EXPECT(0, 0x00);
    cmd(0xa9);
    EXPECT(0, 0x00);
    cmd(0x20);
    EXPECT(0, 0x45);
    cmd(0x60);
    g_assert_cmphex(status() & 0x08, ==, 0x08);
    data(0x47);
    g_assert_cmphex(status() & 0x08, ==, 0);
    cmd(0x20);
    EXPECT(0, 0x47);
    cmd(0x75); /* controller RAM */
    data(0x5a);
    cmd(0x35);
    EXPECT(0, 0x5a);
    cmd(0xc0);
    EXPECT(0, 0x80);
    cmd(0xad);
    cmd(0xa7);
    cmd(0x20);
    EXPECT(0, 0x77);
    cmd(0x42); /* unknown */
    g_assert_cmphex(status() & 0x01, ==, 0);
    cmd(0xd2);
    data(0x12);
    EXPECT(0, 0x12);
    cmd(0xd3);
    data(0x34);
    EXPECT(0x20, 0x34);
    fake_machine_free(f);
}

static void test_keys_translated(void)
{
    setup();
    key(0x1e, true); /* A */
    g_assert_cmpint(f->level[1], ==, 1);
    key(0x1e, false);
    key(0xe04b, true); /* left arrow */
    key(0xe04b, false);
    g_assert_cmpuint(f->rises[1], ==, 1);
    EXPECT(0, 0x1e, 0x9e, 0xe0, 0x4b, 0xe0, 0xcb);
    g_assert_cmpuint(f->rises[1], ==, 6); /* an edge for each byte */
    g_assert_cmpint(f->level[1], ==, 0);
    key(0xe11d, true);
    key(0xe11d, false);
    EXPECT(0, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    key(0xe037, true);
    key(0xe037, false);
    EXPECT(0, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
    key(0x41, true); /* F7, the odd one */
    key(0x41, false);
    EXPECT(0, 0x41, 0xc1);
    for (unsigned k = 1; k < 0x59; k++) { /* whatever is pressed comes back as itself */
        if (k == 0x55 || k == 0x56)
            continue;
        key(k, true);
        EXPECT(0, k);
    }
    fake_machine_free(f);
}

static void test_keys_raw(void)
{
    setup();
    cmd(0x60);
    data(0x05); /* no translation */
    key(0x1e, true);
    key(0x1e, false);
    EXPECT(0, 0x1c, 0xf0, 0x1c);
    key(0xe11d, true);
    EXPECT(0, 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
    data(0xf0);
    data(0x01); /* scan code set 1 */
    EXPECT(0, 0xfa, 0xfa);
    key(0xe04b, false);
    EXPECT(0, 0xe0, 0xcb);
    data(0xf0);
    data(0x00);
    EXPECT(0, 0xfa, 0xfa, 0x01);
    data(0xf0);
    data(0x03);
    EXPECT(0, 0xfa, 0xfe);
    cmd(0xad); /* interface off: keys wait */
    key(0x1e, true);
    g_assert_cmphex(status() & 1, ==, 0);
    cmd(0xae);
    EXPECT(0, 0x1e);
    fake_machine_free(f);
}

static void test_keyboard_commands(void)
{
    setup();
    data(0xff);
    EXPECT(0, 0xfa, 0xaa);
    data(0xf2);
    EXPECT(0, 0xfa, 0xab, 0x41); /* 0x83 translated */
    data(0xed);
    data(0x07);
    EXPECT(0, 0xfa, 0xfa);
    data(0xee);
    EXPECT(0, 0xee);
    data(0x55);
    EXPECT(0, 0xfe);
    data(0xf5);
    key(0x1e, true);
    EXPECT(0, 0xfa);
    data(0xf4);
    EXPECT(0, 0xfa);
    key(0x1e, true);
    EXPECT(0, 0x1e);
    for (unsigned i = 0; i < 1000; i++) /* nobody reads */
        key(0x1e, i & 1);
    unsigned n = 0;
    while (status() & 1) {
        get();
        n++;
    }
    g_assert_cmpuint(n, <, 300);
    for (unsigned i = 0; i < 100; i++)
        data(0xf2);
    while (status() & 1)
        get();
    fake_machine_free(f);
}

static void aux_cmd(u8 val)
{
    cmd(0xd4);
    data(val);
}

static void test_mouse(void)
{
    setup();
    cmd(0x60);
    data(0x47);
    mouse(5, 5, 0, 1);
    g_assert_cmphex(status() & 1, ==, 0); /* not reporting yet */
    aux_cmd(0xff);
    g_assert_cmpint(f->level[12], ==, 1);
    EXPECT(0x20, 0xfa, 0xaa, 0x00);
    aux_cmd(0xf4);
    EXPECT(0x20, 0xfa);
    mouse(3, 4, 0, 1);
    EXPECT(0x20, 0x29, 0x03, 0xfc); /* y up is positive */
    mouse(-300, 0, 0, 0);
    EXPECT(0x20, 0x18, 0x01, 0x00, 0x18, 0xd3, 0x00); /* in two packets */
    mouse(1, 0, 2, 6);
    EXPECT(0x20, 0x0e, 0x01, 0x00);
    static const u8 knock[] = { 200, 100, 80 };
    for (unsigned i = 0; i < 3; i++) {
        aux_cmd(0xf3);
        aux_cmd(knock[i]);
        EXPECT(0x20, 0xfa, 0xfa);
    }
    aux_cmd(0xf2);
    EXPECT(0x20, 0xfa, 0x03);
    mouse(0, 0, -1, 6);
    EXPECT(0x20, 0x0e, 0x00, 0x00, 0xff);
    aux_cmd(0xe9);
    EXPECT(0x20, 0xfa, 0x23, 0x02, 80);
    aux_cmd(0xf0); /* remote */
    EXPECT(0x20, 0xfa);
    mouse(7, 0, 0, 0);
    g_assert_cmphex(status() & 1, ==, 0);
    aux_cmd(0xeb);
    EXPECT(0x20, 0xfa, 0x08, 0x07, 0x00, 0x00);
    aux_cmd(0xee);
    aux_cmd(0x12);
    aux_cmd(0xec);
    EXPECT(0x20, 0xfa, 0x12, 0xfa);
    aux_cmd(0xea);
    EXPECT(0x20, 0xfa);
    mouse(1, 0, 0, 0);
    get();
    aux_cmd(0xe6); /* cuts off the packet */
    g_assert_cmphex(get(), ==, 0x01); /* already in the buffer */
    EXPECT(0x20, 0xfa);
    g_assert_cmpint(f->level[12], ==, 0);
    fake_machine_free(f);
}

static void test_a20_and_reset(void)
{
    setup();
    g_assert_cmpint(f->level[A20_LINE], ==, 1);
    cmd(0xd1);
    data(0xdd);
    g_assert_cmpint(f->level[A20_LINE], ==, 0);
    cmd(0xd0);
    g_assert_cmphex(get() & 0x03, ==, 0x01);
    cmd(0xdf);
    g_assert_cmpint(f->level[A20_LINE], ==, 1);
    cmd(0xdd);
    g_assert_cmpint(f->level[A20_LINE], ==, 0);
    fm_reset(f);
    g_assert_cmpint(f->level[A20_LINE], ==, 1);
    cmd(0xff);
    g_assert_cmpuint(f->requests, ==, 0);
    cmd(0xfe);
    g_assert_cmpint(f->request, ==, REQ_RESET);
    cmd(0xd1);
    data(0x02); /* reset bit low */
    g_assert_cmpuint(f->requests, ==, 2);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8042/commands", test_commands);
    g_test_add_func("/i8042/keys-translated", test_keys_translated);
    g_test_add_func("/i8042/keys-raw", test_keys_raw);
    g_test_add_func("/i8042/keyboard-commands", test_keyboard_commands);
    g_test_add_func("/i8042/mouse", test_mouse);
    g_test_add_func("/i8042/a20-and-reset", test_a20_and_reset);
    return g_test_run();
}
