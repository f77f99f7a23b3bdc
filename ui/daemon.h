/* -daemonize and -pidfile: the process in the background. Main thread, before any other thread is there. */
#ifndef UI_DAEMON_H
#define UI_DAEMON_H
#include "util/err.h"

/* Goes on in a child without a terminal; the caller's process waits for daemon_ready and ends with its status. */
int daemon_begin(struct err *e);
/* Everything is started: gives up the standard streams and lets the waiting process end with status 0. Harmless without daemon_begin. */
void daemon_ready(void);
/* Writes the process's number into a file that is locked, and removed by pidfile_remove. */
int pidfile_write(const char *path, struct err *e);
void pidfile_remove(void);

#endif
