/* The monitor: QEMU's text commands on a character back end, and for gdb's `monitor`. Main thread. */
#ifndef UI_MONITOR_H
#define UI_MONITOR_H
#include <glib.h>
#include "ui/ui.h"

struct monitor;
/* A session on chr; it lives until monitor_free(). */
struct monitor *monitor_new(struct ui *ui, struct chr *chr);
void monitor_free(struct monitor *m);
/* Runs one command line; what it prints is appended to out, with \n line ends. cpu: the CPU that commands are about,
 * changed by the command `cpu`. */
void monitor_run(struct ui *ui, unsigned *cpu, const char *line, GString *out);

#endif
