/* Routing of input: a list of handlers, the one in use first. Machine lock held; called by ui/ and by input devices. */
#include "hw/core/input.h"
#include <glib.h>
#include "util/clock.h"

#define CODES 0x200 /* plain codes, then those behind 0xe0 and 0xe1 */

struct input {
    struct input_handler *first;
    unsigned next_index;
    u8 down[CODES]; /* keys that the guest believes are pressed */
    unsigned buttons;
    int x, y; /* the last position */
    /* of input_press */
    struct clock *clock;
    struct timer release;
    u16 held[INPUT_PRESS_MAX];
    unsigned n_held;
};

static void release_held(void *opaque)
{
    struct input *in = opaque;

    while (in->n_held)
        input_key(in, in->held[--in->n_held], false);
}

struct input *input_new(struct clock *c)
{
    struct input *in = g_new0(struct input, 1);

    in->clock = c;
    timer_init(&in->release, c, release_held, in);
    return in;
}

void input_free(struct input *in)
{
    if (in)
        timer_cancel(&in->release);
    g_free(in);
}

static void unlink_handler(struct input *in, struct input_handler *h)
{
    struct input_handler **p = &in->first;

    while (*p && *p != h)
        p = &(*p)->next;
    if (*p)
        *p = h->next;
}

void input_activate(struct input *in, struct input_handler *h)
{
    unlink_handler(in, h);
    h->next = in->first;
    in->first = h;
}

void input_retire(struct input *in, struct input_handler *h)
{
    struct input_handler **tail = &in->first;

    unlink_handler(in, h);
    while (*tail)
        tail = &(*tail)->next;
    h->next = NULL;
    *tail = h;
}

void input_add_idle(struct input *in, struct input_handler *h)
{
    h->index = in->next_index++;
    input_retire(in, h);
}

void input_add(struct input *in, struct input_handler *h)
{
    h->index = in->next_index++;
    input_activate(in, h);
}

void input_del(struct input *in, struct input_handler *h)
{
    unlink_handler(in, h);
}

static bool is_pointer(const struct input_handler *h)
{
    return h->rel || h->abs;
}

const struct input_handler *input_first(const struct input *in)
{
    return in->first;
}

const struct input_handler *input_pointer(const struct input *in)
{
    const struct input_handler *h = in->first;

    while (h && !is_pointer(h))
        h = h->next;
    return h;
}

bool input_is_absolute(const struct input *in)
{
    const struct input_handler *h = input_pointer(in);

    return h && h->abs;
}

int input_select(struct input *in, unsigned index)
{
    for (struct input_handler *h = in->first; h; h = h->next) {
        if (h->index == index && is_pointer(h)) {
            input_activate(in, h);
            return 0;
        }
    }
    return -1;
}

/* -- events --------------------------------------------------------------------------------------------------------- */

static unsigned code_index(u16 code)
{
    return (code & 0xff) | (code >> 8 ? 0x100 : 0);
}

void input_key(struct input *in, u16 code, bool down)
{
    struct input_handler *h = in->first;
    u8 *was = &in->down[code_index(code)];

    if (!down && !*was)
        return;
    *was = down ? (code >> 8 == 0xe1 ? 2 : 1) : 0;
    while (h && !h->key)
        h = h->next;
    if (h)
        h->key(h->opaque, code, down);
}

void input_release_keys(struct input *in)
{
    for (unsigned i = 0; i < CODES; i++)
        if (in->down[i])
            input_key(in, (i & 0xff) | (i < 0x100 ? 0 : in->down[i] == 2 ? 0xe100 : 0xe000), false);
}

void input_press(struct input *in, const u16 *codes, unsigned n, i64 hold_ns)
{
    assert(n && n <= INPUT_PRESS_MAX);
    timer_cancel(&in->release);
    release_held(in);
    for (; in->n_held < n; in->n_held++) {
        in->held[in->n_held] = codes[in->n_held];
        input_key(in, codes[in->n_held], true);
    }
    timer_set(&in->release, clock_ns(in->clock) + hold_ns);
}

unsigned input_buttons(const struct input *in)
{
    return in->buttons;
}

void input_position(const struct input *in, int *x, int *y)
{
    *x = in->x;
    *y = in->y;
}

static void to_position(struct input *in, int wheel, unsigned buttons)
{
    const struct input_handler *h = input_pointer(in);

    in->buttons = buttons;
    if (h && h->abs)
        h->abs(h->opaque, in->x, in->y, wheel, buttons);
}

void input_rel(struct input *in, int dx, int dy, int wheel, unsigned buttons)
{
    const struct input_handler *h = input_pointer(in);

    if (h && !h->rel && !dx && !dy) {
        to_position(in, wheel, buttons);
        return;
    }
    in->buttons = buttons;
    while (h && !h->rel)
        h = h->next;
    if (h)
        h->rel(h->opaque, dx, dy, wheel, buttons);
}

void input_abs(struct input *in, int x, int y, int wheel, unsigned buttons)
{
    in->x = MIN_OF(MAX_OF(x, 0), INPUT_ABS_MAX);
    in->y = MIN_OF(MAX_OF(y, 0), INPUT_ABS_MAX);
    to_position(in, wheel, buttons);
}
