/* Opens the character back ends that the command line names and says who gets which. Main thread, from main.c, once. */
#ifndef UI_STREAMS_H
#define UI_STREAMS_H
#include "ui/options.h"

#define MONITORS_MAX 16

/* What is left for main after serial ports and debug console found their places in o->machine. */
struct streams {
    struct stream_monitor {
        struct chr *chr; /* claimed for it */
        bool qmp, pretty;
    } monitor[MONITORS_MAX];
    unsigned n_monitors;
};

int streams_open(struct options *o, struct streams *s, struct err *e);
/* -serial's and its like's SPEC: opens it, or claims what "chardev:ID" names; *out is NULL for "none". With "mon:", a monitor is to share
 * it: *mon gets that one's port, else NULL (mon may be NULL: then "mon:" is refused). opt: for messages. */
int stream_open(const char *opt, const char *id, const char *spec, struct chr **out, struct chr **mon, struct err *e);

#endif
