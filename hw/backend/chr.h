/* Character back ends: byte streams behind serial ports, debug consoles, monitor and gdb stub.
 * The front end's callbacks run on the main loop's thread with the machine lock NOT held (they take it themselves);
 * chr_write may be called from any thread with the machine lock held and never blocks: what does not fit is queued. */
#ifndef HW_BACKEND_CHR_H
#define HW_BACKEND_CHR_H
#include "util/base.h"
#include "util/err.h"

struct chr;
enum chr_event { CHR_OPENED, CHR_CLOSED, CHR_BREAK };

/* spec is QEMU's -serial syntax: stdio, mon:stdio, file:P, pty, unix:P[,server][,nowait], tcp:H:P[,server][,nowait],
 * null, pipe:P, vc (refused by name). NULL with e set on error. */
struct chr *chr_new(const char *id, const char *spec, struct err *e);
struct chr *chr_find(const char *id);
const char *chr_id(const struct chr *c);
void chr_free(struct chr *c); /* flushes and closes; c may be NULL; the front end is told nothing */
void chr_free_all(void); /* flushes and restores terminal modes */
/* Attaches the front end: can_read says how many bytes it takes now, read delivers them. */
void chr_attach(struct chr *c, unsigned (*can_read)(void *), void (*read)(void *, const u8 *, unsigned),
                void (*event)(void *, enum chr_event), void *opaque);
/* The front end can take input again (after can_read returned 0). Any thread. */
void chr_accept_input(struct chr *c);
/* Queues len bytes for output. Returns len (output is dropped only where nobody is connected). Any thread. */
unsigned chr_write(struct chr *c, const u8 *buf, unsigned len);
/* The monitor's port of a multiplexer ("mon:..."); NULL if c is not one. */
struct chr *chr_monitor_port(struct chr *c);
/* Called on the main thread when the user types Ctrl-a x on a multiplexer. */
void chr_set_exit_handler(void (*fn)(void *opaque), void *opaque);
/* Bytes queued and not yet written; a front end may use it for flow control. */
unsigned chr_pending(struct chr *c);

#endif
