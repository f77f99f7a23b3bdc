/* Consoles: the surface, the list of listeners, the list in the machine. Main thread, machine lock held; called by display adapters
 * (hw/display/) and front ends (ui/). */
#include "hw/core/console.h"
#include <glib.h>
#include "hw/core/machine.h"

struct console {
    struct machine *m;
    struct device *owner;
    const struct console_ops *ops;
    void *opaque;
    struct surface surface; /* image NULL: none yet */
    struct console_listener *listeners;
    bool all;               /* the next refresh is about everything */
    bool changed;           /* during a refresh: something was drawn */
    struct console *next;
};

struct console *console_new(struct machine *m, struct device *owner, const struct console_ops *ops, void *opaque)
{
    struct console *c = g_new0(struct console, 1), **tail = &m->consoles;

    *c = (struct console){ .m = m, .owner = owner, .ops = ops, .opaque = opaque };
    while (*tail)
        tail = &(*tail)->next;
    *tail = c;
    return c;
}

void console_free(struct console *c)
{
    struct console **p;

    if (!c)
        return;
    p = &c->m->consoles;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    if (c->surface.image)
        pixman_image_unref(c->surface.image);
    g_free(c);
}

struct console *console_first(struct machine *m)
{
    return m->consoles;
}

struct console *console_next(struct console *c)
{
    return c->next;
}

struct console *console_of(struct machine *m, const struct device *owner)
{
    struct console *c = m->consoles;

    while (c && c->owner != owner)
        c = c->next;
    return c;
}

/* -- the adapter's calls ---------------------------------------------------------------------------------------------- */

const struct surface *console_resize(struct console *c, int width, int height)
{
    struct surface *s = &c->surface;

    assert(width > 0 && height > 0 && width <= CONSOLE_MAX_WIDTH && height <= CONSOLE_MAX_HEIGHT);
    if (s->image && s->width == width && s->height == height)
        return s;
    pixman_image_t *old = s->image;
    s->image = pixman_image_create_bits(PIXMAN_x8r8g8b8, width, height, NULL, 0); /* zeroed */
    if (!s->image)
        g_error("no memory for a picture of %dx%d", width, height);
    s->data = pixman_image_get_data(s->image);
    s->width = width;
    s->height = height;
    s->stride = pixman_image_get_stride(s->image) / 4;
    for (struct console_listener *l = c->listeners; l; l = l->next)
        l->resize(l->opaque, s);
    if (old)
        pixman_image_unref(old);
    return s;
}

void console_dirty(struct console *c, int x, int y, int w, int h)
{
    assert(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= c->surface.width && y + h <= c->surface.height);
    c->changed = true;
    for (struct console_listener *l = c->listeners; l; l = l->next)
        l->update(l->opaque, x, y, w, h);
}

/* -- calls of those who look ------------------------------------------------------------------------------------------ */

void console_listen(struct console *c, struct console_listener *l)
{
    bool first = !c->listeners;

    l->next = c->listeners;
    c->listeners = l;
    if (first && c->ops->watched)
        c->ops->watched(c->opaque, true);
    c->all = true;
    l->resize(l->opaque, c->surface.image ? &c->surface : console_resize(c, 640, 480));
}

void console_unlisten(struct console *c, struct console_listener *l)
{
    struct console_listener **p = &c->listeners;

    while (*p && *p != l)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = l->next;
    if (!c->listeners && c->ops->watched)
        c->ops->watched(c->opaque, false);
}

bool console_refresh(struct console *c)
{
    bool all = c->all;

    if (!c->listeners)
        return false;
    c->changed = c->all = false;
    c->ops->update(c->opaque, all);
    if (all)
        console_dirty(c, 0, 0, c->surface.width, c->surface.height);
    return c->changed;
}

const struct surface *console_snapshot(struct console *c)
{
    if (c->listeners)
        console_refresh(c);
    else
        c->ops->update(c->opaque, true);
    return c->surface.image ? &c->surface : console_resize(c, 640, 480);
}

bool console_text(struct console *c, struct console_text *t)
{
    return c->ops->text && c->ops->text(c->opaque, t);
}
