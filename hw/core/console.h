/* A console: what a display adapter shows, as a surface of pixels and, in text modes, as cells, for those who look at it (windows,
 * VNC, screen dumps). Nobody looks: nothing is drawn. Main thread, machine lock held throughout. */
#ifndef HW_CORE_CONSOLE_H
#define HW_CORE_CONSOLE_H
#include <pixman.h>
#include "util/base.h"

struct machine;
struct device;
struct console;

#define CONSOLE_MAX_WIDTH 16384
#define CONSOLE_MAX_HEIGHT 16384
#define CONSOLE_TEXT_MAX 32768 /* cells of a text screen */

/* x8r8g8b8 pixels; the x byte has no meaning. */
struct surface {
    pixman_image_t *image;
    u32 *data;
    int width, height;
    unsigned stride; /* pixels */
};

/* A text screen: character (code page 437) and VGA attribute in each cell. */
struct console_text {
    unsigned cols, rows;
    int cursor; /* cell, or -1 */
    u16 cell[CONSOLE_TEXT_MAX]; /* character | attribute << 8 */
};

/* The adapter's side. */
struct console_ops {
    /* Brings the surface up to date by console_resize, drawing and console_dirty. all: not only what has changed. */
    void (*update)(void *opaque, bool all);
    /* False if the adapter is in a graphics mode. */
    bool (*text)(void *opaque, struct console_text *t);
    /* Somebody begins or nobody is left to look. */
    void (*watched)(void *opaque, bool on);
};

/* One who looks; embedded in its owner. Surfaces are valid until the next resize. */
struct console_listener {
    void (*resize)(void *opaque, const struct surface *s);
    void (*update)(void *opaque, int x, int y, int w, int h); /* within the surface, not empty */
    void *opaque;
    struct console_listener *next;
};

/* Adds the console to the machine (the first is the primary one). */
struct console *console_new(struct machine *m, struct device *owner, const struct console_ops *ops, void *opaque);
void console_free(struct console *c); /* its listeners must be gone */
struct console *console_first(struct machine *m); /* NULL if the machine has none */
struct console *console_next(struct console *c);
/* The console of the device, or NULL. */
struct console *console_of(struct machine *m, const struct device *owner);

/* For the adapter. A surface of the size that there is already is kept. Sizes are 1..CONSOLE_MAX_*. */
const struct surface *console_resize(struct console *c, int width, int height);
void console_dirty(struct console *c, int x, int y, int w, int h);

/* For those who look. The listener gets resize at once, and the whole picture with the next refresh. */
void console_listen(struct console *c, struct console_listener *l);
void console_unlisten(struct console *c, struct console_listener *l);
/* Draws what has changed and tells the listeners. Returns true if anything had. */
bool console_refresh(struct console *c);
/* The current picture, drawn now whether or not anybody listens. */
const struct surface *console_snapshot(struct console *c);
bool console_text(struct console *c, struct console_text *t);

#endif
