/* What main gives the interactive parts: the VM, and the way out of the program. Main thread. */
#ifndef UI_UI_H
#define UI_UI_H
#include "util/base.h"

struct vm;
struct chr;
struct err;
struct display;

struct ui {
    struct vm *vm;
    void (*quit)(struct ui *ui, int status);
    struct display *display; /* the front ends of the screen */
    const char *name; /* -name; NULL: not given */
    struct gdb *gdb; /* NULL until gdb_start() */
    bool gdb_listens; /* its listener is with the VM, which keeps it */
    bool transient;  /* the VM stops for a moment only, to be looked at: listeners say nothing */
};

#endif
