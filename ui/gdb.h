/* The gdb server: gdb's remote serial protocol on a character back end. Main thread. */
#ifndef UI_GDB_H
#define UI_GDB_H
#include "ui/ui.h"

struct gdb;
/* spec: "tcp:[HOST]:PORT", "unix:PATH", "stdio", "pty". Waits for nobody. 0, or -1 with e set. Replaces an older one. */
int gdb_start(struct ui *ui, const char *spec, struct err *e);
/* Ends the stub; a stopped VM stays stopped. */
void gdb_stop(struct ui *ui);
/* Tells a gdb that waits for the guest that the program ends with this status. */
void gdb_exit(struct ui *ui, int status);

#endif
