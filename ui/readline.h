/* A line editor for a terminal at the other end of a byte stream: cursor keys, history, completion. Main thread; one for each monitor. */
#ifndef UI_READLINE_H
#define UI_READLINE_H
#include <glib.h>
#include "util/base.h"

#define READLINE_MAX 1024     /* bytes of a line */
#define READLINE_HISTORY 64   /* lines */

struct readline {
    char line[READLINE_MAX];
    unsigned len, pos;        /* bytes; the cursor */
    char esc[8];              /* an escape sequence so far */
    unsigned esc_len;
    GPtrArray *history;       /* the newest last */
    unsigned at;              /* which line of it is shown; history->len: none */
    char *draft;              /* what was typed before history was looked at */
    bool last_was_cr;         /* a line feed behind it is the same key */
    /* What the terminal shows. */
    void (*put)(void *opaque, const char *text, unsigned len);
    /* A whole line, without its end. */
    void (*enter)(void *opaque, const char *line);
    /* Adds strings (to be freed) that the word before the cursor may become; returns where that word begins. */
    unsigned (*complete)(void *opaque, const char *line, GPtrArray *words);
    void (*prompt)(void *opaque);
    void *opaque;
};

void readline_init(struct readline *r);
void readline_fini(struct readline *r);
void readline_byte(struct readline *r, u8 b);
/* Forgets what was typed, and shows the prompt. */
void readline_restart(struct readline *r);

#endif
