/* Chooses and starts front ends, and drives the refresh of consoles while somebody looks. Main thread, a GLib timer. */
#include "ui/display.h"
#include <stdio.h>
#include <stdlib.h>
#include "config.h"
#include "hw/core/console.h"
#include "hw/core/machine.h"
#include "ui/curses.h"
#include "ui/sdl.h"
#include "ui/vnc.h"

enum { FAST_MS = 33, SLOW_MS = 100, QUIET_TICKS = 60 };

/* -- refresh ---------------------------------------------------------------------------------------------------------- */

static gboolean tick(gpointer opaque);

static void set_timer(struct display *d, bool slow)
{
    if (d->timer)
        g_source_remove(d->timer);
    d->slow = slow;
    d->timer = g_timeout_add(slow ? SLOW_MS : FAST_MS, tick, d);
}

static gboolean tick(gpointer opaque)
{
    struct display *d = opaque;
    bool changed = false;

    if (d->poll)
        d->poll(d->poll_opaque);
    lock_acquire(&d->m->lock);
    for (struct console *c = console_first(d->m); c; c = console_next(c))
        changed |= console_refresh(c);
    lock_release(&d->m->lock);
    d->quiet = changed ? 0 : d->quiet + 1;
    if (d->slow == (d->quiet >= QUIET_TICKS))
        return G_SOURCE_CONTINUE;
    d->timer = 0; /* this source ends with the return */
    set_timer(d, !d->slow);
    return G_SOURCE_REMOVE;
}

void display_wake(struct display *d)
{
    d->quiet = 0;
    if (d->timer && d->slow)
        set_timer(d, false);
}

void display_watch(struct display *d, bool on)
{
    d->watchers += on ? 1 : -1;
    if (d->watchers && !d->timer) {
        d->quiet = 0;
        set_timer(d, false);
    } else if (!d->watchers && d->timer) {
        g_source_remove(d->timer);
        d->timer = 0;
    }
}

/* -- front ends ------------------------------------------------------------------------------------------------------- */

static int add_vnc(struct display *d, const char *arg, struct err *e)
{
    struct vnc *v;

    if (!strcmp(arg, "none"))
        return 0;
    if (d->n_vnc == DISPLAY_VNC_MAX)
        return err_set(e, "-vnc %s: there can be only %d VNC servers", arg, DISPLAY_VNC_MAX);
    v = vnc_new(d, arg, e);
    if (!v)
        return err_prefix(e, "-vnc %s", arg);
    d->vnc[d->n_vnc++] = v;
    return 0;
}

/* The display of -display KIND,OPTIONS. */
static int start_display(struct display *d, const char *arg, struct err *e)
{
    size_t n = strcspn(arg, ",=");

    if (!strcmp(arg, "none"))
        return 0;
    if (n == 3 && !strncmp(arg, "vnc", 3))
        return arg[3] == '=' ? add_vnc(d, arg + 4, e) : err_set(e, "-display %s: use -display vnc=HOST:NUMBER", arg);
    if (n == 3 && !strncmp(arg, "sdl", 3))
        return (d->sdl = sdl_new(d, arg, e)) ? 0 : err_prefix(e, "-display %s", arg);
    return (d->curses = curses_new(d, arg, e)) ? 0 : err_prefix(e, "-display %s", arg);
}

/* Nothing was said: a window if there is a display server, else VNC for this host. */
static int start_default(struct display *d, struct err *e)
{
    struct err ignored;

    if (HAVE_SDL2 && (getenv("DISPLAY") || getenv("WAYLAND_DISPLAY")) && (d->sdl = sdl_new(d, "sdl", &ignored)))
        return 0;
    if (!HAVE_VNC)
        return 0;
    if (add_vnc(d, "localhost:0,to=99", e) < 0)
        return -1;
    fprintf(stderr, "VNC server running on %s\n", vnc_address(d->vnc[0]));
    return 0;
}

int display_start(struct display *d, struct ui *ui, struct machine *m, const struct display_options *o, struct err *e)
{
    *d = (struct display){ .ui = ui, .m = m, .o = o };
    for (unsigned i = 0; i < o->vnc->len; i++)
        if (add_vnc(d, o->vnc->pdata[i], e) < 0)
            return -1;
    if (o->display)
        return start_display(d, o->display, e);
    return o->vnc->len ? 0 : start_default(d, e);
}

void display_stop(struct display *d)
{
    if (!d->m)
        return;
    while (d->n_vnc)
        vnc_free(d->vnc[--d->n_vnc]);
    sdl_free(d->sdl);
    curses_free(d->curses);
    if (d->timer)
        g_source_remove(d->timer);
    *d = (struct display){ 0 };
}

struct vnc *display_vnc(struct display *d, const char *id)
{
    for (unsigned i = 0; i < d->n_vnc; i++)
        if (!id || !strcmp(vnc_id(d->vnc[i]), id))
            return d->vnc[i];
    return NULL;
}
