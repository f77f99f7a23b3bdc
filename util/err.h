/* Host and configuration errors: one clear line for the user. Any thread; callers own the error. */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H
#include "util/base.h"

/* Set by a failing function; `msg` is one line without newline that names the option, the cause and the remedy. */
struct err {
    char msg[512];
};

/* Formats into e (e may be NULL) and returns -1, so that `return err_set(e, ...)` reads well. */
int err_set(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* Puts "prefix: " before the message already in e. Returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) PRINTF(2, 3);
/* Prints "gemel: MESSAGE\n" on stderr. */
void err_report(const struct err *e);
/* Prints "gemel: warning: ...\n" on stderr. */
void warn_report(const char *fmt, ...) PRINTF(1, 2);

/* -msg timestamp=on: the time in front of each. Main thread, at start. */
void err_set_timestamps(bool on);

#endif
