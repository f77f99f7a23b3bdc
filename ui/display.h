/* The guest's screen and the user's input: which front ends there are (VNC, window, terminal), how often they draw. Main thread. */
#ifndef UI_DISPLAY_H
#define UI_DISPLAY_H
#include <glib.h>
#include "ui/ui.h"
#include "util/err.h"

struct machine;
struct console;
struct vnc;
struct sdl;
struct curses;

/* From the command line. */
struct display_options {
    const char *display; /* -display's argument; NULL: not given */
    GPtrArray *vnc;      /* -vnc's arguments */
    bool full_screen;
    const char *title;   /* -name, or NULL */
};

#define DISPLAY_VNC_MAX 8
struct display {
    struct ui *ui;
    struct machine *m;
    const struct display_options *o;
    struct vnc *vnc[DISPLAY_VNC_MAX];
    unsigned n_vnc;
    struct sdl *sdl;
    struct curses *curses;
    /* drawing */
    unsigned watchers;   /* front ends that somebody looks at */
    guint timer;
    unsigned quiet;      /* refreshes in a row without a change */
    bool slow;
    void (*poll)(void *opaque); /* called at each tick, machine lock not held: a window's events */
    void *poll_opaque;
};

/* Starts the front ends that the options name, or the default one. The machine is built. 0, or -1 with e set. */
int display_start(struct display *d, struct ui *ui, struct machine *m, const struct display_options *o, struct err *e);
void display_stop(struct display *d); /* before the machine goes; harmless if it was never started */

/* A front end begins (or nobody looks any more) to need pictures: with watchers the consoles are refreshed 30 times a second, and 10
 * times while nothing changes. */
void display_watch(struct display *d, bool on);
/* Input came: full speed. */
void display_wake(struct display *d);
/* For `info vnc` and passwords: the server with this id (NULL: the first), or NULL. */
struct vnc *display_vnc(struct display *d, const char *id);

#endif
