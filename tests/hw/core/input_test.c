/* Tests hw/core/input.c and keymap.c: who gets keys and movements, keys that are held, presses that end by themselves; and that every key of the
 * table is found by each of its names and numbers. */
#include "hw/core/input.h"
#include <glib.h>
#include "hw/core/keymap.h"
#include "tests/lib/fake_machine.h"

struct taker {
    struct input_handler h;
    GString *keys; /* "1e+1e-" */
    int dx, dy, x, y, wheel;
    unsigned buttons;
};

static void on_key(void *opaque, u16 code, bool down)
{
    g_string_append_printf(((struct taker *)opaque)->keys, "%x%c", code, down ? '+' : '-');
}

static void on_rel(void *opaque, int dx, int dy, int wheel, unsigned buttons)
{
    struct taker *t = opaque;
    t->dx += dx, t->dy += dy, t->wheel += wheel, t->buttons = buttons;
}

static void on_abs(void *opaque, int x, int y, int wheel, unsigned buttons)
{
    struct taker *t = opaque;
    t->x = x, t->y = y, t->wheel += wheel, t->buttons = buttons;
}

static void taker_init(struct taker *t, bool keys, bool rel, bool abs)
{
    *t = (struct taker){ .h = { .name = "t", .key = keys ? on_key : NULL, .rel = rel ? on_rel : NULL, .abs = abs ? on_abs : NULL, .opaque = t },
                         .keys = g_string_new(NULL) };
}

static void test_routing(void)
{
    struct clock *c = clock_new_manual();
    struct input *in = input_new(c);
    struct taker kbd, mouse, tablet;
    taker_init(&kbd, true, false, false);
    taker_init(&mouse, false, true, false);
    taker_init(&tablet, false, false, true);
    input_key(in, 0x1e, true); /* nobody is there */
    input_rel(in, 1, 1, 0, 0);
    g_assert_null(input_pointer(in));
    input_release_keys(in);
    input_add(in, &kbd.h);
    input_add(in, &mouse.h);
    input_add_idle(in, &tablet.h);
    g_assert_false(input_is_absolute(in));
    input_rel(in, 3, -4, 1, INPUT_LEFT);
    g_assert_true(mouse.dx == 3 && mouse.dy == -4 && mouse.wheel == 1 && mouse.buttons == INPUT_LEFT);
    g_assert_cmpuint(input_buttons(in), ==, INPUT_LEFT);
    input_activate(in, &tablet.h);
    g_assert_true(input_is_absolute(in));
    input_abs(in, -5, INPUT_ABS_MAX + 9, 0, 0);
    g_assert_true(tablet.x == 0 && tablet.y == INPUT_ABS_MAX);
    input_abs(in, 7, 8, 0, 0);
    tablet.x = tablet.y = -1;
    input_rel(in, 0, 0, 1, INPUT_RIGHT); /* no movement: where it is */
    g_assert_true(tablet.x == 7 && tablet.y == 8 && tablet.wheel == 1 && tablet.buttons == INPUT_RIGHT && mouse.buttons == INPUT_LEFT);
    g_assert_cmpuint(input_buttons(in), ==, INPUT_RIGHT);
    input_rel(in, 1, 0, 0, 0); /* only others know movements */
    g_assert_true(mouse.dx == 4 && mouse.buttons == 0 && tablet.x == 7);
    input_position(in, &tablet.x, &tablet.y);
    g_assert_true(tablet.x == 7 && tablet.y == 8);
    g_assert_cmpint(input_select(in, mouse.h.index), ==, 0);
    g_assert_false(input_is_absolute(in));
    g_assert_cmpint(input_select(in, kbd.h.index), ==, -1); /* no pointer */
    g_assert_cmpint(input_select(in, 77), ==, -1);
    input_retire(in, &mouse.h);
    g_assert_true(input_pointer(in) == &tablet.h);
    input_del(in, &tablet.h);
    input_del(in, &mouse.h);
    g_assert_null(input_pointer(in));
    input_key(in, 0x1e, true);
    input_key(in, 0x1e, true); /* repeats go through, a release without a press does not */
    input_key(in, 0x1e, false);
    input_key(in, 0x1e, false);
    g_assert_cmpstr(kbd.keys->str, ==, "1e+1e+1e-");
    input_key(in, 0xe04b, true);
    input_key(in, 0xe11d, true);
    g_string_truncate(kbd.keys, 0);
    input_release_keys(in);
    g_assert_cmpstr(kbd.keys->str, ==, "e11d-e04b-");
    input_free(in);
    clock_free(c);
    g_string_free(kbd.keys, TRUE);
    g_string_free(mouse.keys, TRUE);
    g_string_free(tablet.keys, TRUE);
}

static void test_press(void)
{
    static const u16 keys[] = { 0x1d, 0x38, 0xe053 }, other[] = { 0x1e };
    struct clock *c = clock_new_manual();
    struct input *in = input_new(c);
    struct taker kbd;
    taker_init(&kbd, true, false, false);
    input_add(in, &kbd.h);
    input_press(in, keys, 3, 100);
    g_assert_cmpstr(kbd.keys->str, ==, "1d+38+e053+");
    clock_step(c, 99);
    g_assert_cmpuint(kbd.keys->len, ==, 11);
    clock_step(c, 1);
    g_assert_cmpstr(kbd.keys->str, ==, "1d+38+e053+e053-38-1d-");
    g_string_truncate(kbd.keys, 0);
    input_press(in, keys, 1, 100);
    input_press(in, other, 1, 100);
    g_assert_cmpstr(kbd.keys->str, ==, "1d+1d-1e+");
    clock_step(c, 100);
    g_assert_cmpstr(kbd.keys->str, ==, "1d+1d-1e+1e-");
    input_free(in);
    clock_free(c);
    g_string_free(kbd.keys, TRUE);
}

static void test_keymap(void)
{
    const struct key *k;
    bool shift;
    for (unsigned i = 0; (k = key_nth(i)); i++) {
        g_assert_true(key_by_name(k->name) == k);
        g_assert_cmphex(key_by_code(k->code)->code, ==, k->code);
        if (k->usage && k->code != 0x54)
            g_assert_cmphex(key_by_usage(k->usage)->code, ==, k->code);
        if (k->keysym)
            g_assert_cmphex(key_by_keysym(k->keysym, &shift)->code, ==, k->code);
        if (k->shifted) {
            g_assert_cmphex(key_by_keysym(k->shifted, &shift)->code, ==, k->code);
            g_assert_true(shift);
        }
    }
    for (char ch = ' '; ch < 127; ch++) /* all of ASCII can be typed */
        g_assert_nonnull(key_by_keysym(ch, &shift));
    g_assert_null(key_by_name("nosuch"));
    g_assert_null(key_by_usage(0));
    g_assert_null(key_by_keysym(0, &shift));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/core/input/routing", test_routing);
    g_test_add_func("/hw/core/input/press", test_press);
    g_test_add_func("/hw/core/input/keymap", test_keymap);
    return g_test_run();
}
