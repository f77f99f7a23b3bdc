/* The guest's text screen on the terminal that the program was started from. Main thread, machine lock not held. */
#ifndef UI_CURSES_H
#define UI_CURSES_H
#include "util/err.h"

struct display;
struct curses;

/* arg: "curses". NULL with e set: standard input or output is no terminal, a wrong option, or a build without ncurses. */
struct curses *curses_new(struct display *d, const char *arg, struct err *e);
void curses_free(struct curses *c); /* may be NULL; gives the terminal back */

#endif
