/* Opens the character back ends that the command line names and says who gets which. Main thread, from main.c, once. */
#ifndef UI_STREAMS_H
#define UI_STREAMS_H
#include "ui/options.h"

#define MONITORS_MAX (SERIAL_MAX + 2)

/* What is left for main after serial ports and debug console found their places in o->machine. */
struct streams {
    struct chr *monitor[MONITORS_MAX];
    unsigned n_monitors;
};

int streams_open(struct options *o, struct streams *s, struct err *e);

#endif
