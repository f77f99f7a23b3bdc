/* The screen of tests/lib/fake_screen.h. The test's thread, machine lock held where hw/core/console.h says so. */
#include "tests/lib/fake_screen.h"
#include <glib.h>

static void update(void *opaque, bool all)
{
    struct fake_screen *s = opaque;
    const struct surface *p = console_resize(s->con, s->width, s->height);

    s->updates++;
    for (int y = 0; y < p->height; y++) {
        int first = p->width, last = -1; /* what changed in this line */
        for (int x = 0; x < p->width; x++) {
            u32 *at = p->data + (size_t)y * p->stride + x, c = s->dot.x == x && s->dot.y == y ? s->dot.color : s->color;
            if (*at == c)
                continue;
            *at = c;
            first = MIN_OF(first, x);
            last = x;
        }
        if (last >= first)
            console_dirty(s->con, first, y, last - first + 1, 1);
    }
}

static void watched(void *opaque, bool on)
{
    ((struct fake_screen *)opaque)->watched = on;
}

static void on_key(void *opaque, u16 code, bool down)
{
    struct fake_screen *s = opaque;

    g_assert_cmpuint(s->n_keys, <, ARRAY_LEN(s->key));
    s->key[s->n_keys].code = code;
    s->key[s->n_keys++].down = down;
}

static void on_rel(void *opaque, int dx, int dy, int wheel, unsigned buttons)
{
    struct fake_screen *s = opaque;

    s->dx += dx;
    s->dy += dy;
    s->wheel += wheel;
    s->buttons = buttons;
}

static void on_abs(void *opaque, int x, int y, int wheel, unsigned buttons)
{
    struct fake_screen *s = opaque;

    s->abs_x = x;
    s->abs_y = y;
    s->wheel += wheel;
    s->buttons = buttons;
}

struct fake_screen *fake_screen_new(struct fake_machine *f, int width, int height)
{
    static const struct console_ops ops = { update, NULL, watched };
    struct fake_screen *s = g_new0(struct fake_screen, 1);

    s->f = f;
    s->width = width;
    s->height = height;
    s->dot.x = -1;
    s->handler = (struct input_handler){ .name = "fake", .key = on_key, .rel = on_rel, .opaque = s };
    lock_acquire(&f->m.lock);
    s->con = console_new(&f->m, NULL, &ops, s);
    input_add(f->m.input, &s->handler);
    lock_release(&f->m.lock);
    return s;
}

void fake_screen_absolute(struct fake_screen *s)
{
    s->handler.abs = on_abs;
    s->handler.rel = NULL;
}

void fake_screen_free(struct fake_screen *s)
{
    lock_acquire(&s->f->m.lock);
    input_del(s->f->m.input, &s->handler);
    console_free(s->con);
    lock_release(&s->f->m.lock);
    g_free(s);
}
