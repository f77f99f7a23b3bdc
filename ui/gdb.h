/* The gdb stub: gdb's remote serial protocol on a character back end. Main thread. */
#ifndef UI_GDB_H
#define UI_GDB_H
#include "ui/ui.h"

struct gdb;
/* spec: "tcp:[HOST]:PORT", "unix:PATH", "stdio", "pty". Waits for nobody. 0, or -1 with e set. Replaces an older one. */
int gdb_start(struct ui *ui, const char *spec, struct err *e);
void gdb_stop(struct ui *ui);

#endif
