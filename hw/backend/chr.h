/* Character back ends: byte streams behind serial ports, consoles, monitors and the gdb server.
 * The front end's callbacks run on the main loop's thread with the machine lock NOT held (they take it themselves);
 * chr_write may be called from any thread with the machine lock held and never blocks: what does not fit is queued.
 * Everything else is the main thread's. */
#ifndef HW_BACKEND_CHR_H
#define HW_BACKEND_CHR_H
#include "util/base.h"
#include "util/err.h"

struct chr;
struct opts;
enum chr_event {
    CHR_OPENED, CHR_CLOSED, /* a peer came or went */
    CHR_BREAK,
    CHR_MUX_IN, CHR_MUX_OUT, /* of a multiplexer: this front end got or lost the keyboard */
};

/* -chardev: "backend" is the kind, "id" the name; docs/chardev.md lists kinds and options. NULL with e set on error. */
struct chr *chr_new_opts(struct opts *o, struct err *e);
/* The same from the syntax of -serial: stdio, mon:stdio, file:P, pty, unix:P[,OPTION]..., tcp:H:P[,OPTION]..., null ... */
struct chr *chr_new(const char *id, const char *spec, struct err *e);
struct opts *chr_parse_spec(const char *id, const char *spec, struct err *e);
struct chr *chr_find(const char *id);
struct chr *chr_next(struct chr *c); /* all that have an id; NULL gives the first, and follows the last */
const char *chr_id(const struct chr *c);
void chr_free(struct chr *c); /* flushes and closes; c may be NULL; the front end is told nothing */
void chr_free_all(void); /* flushes and restores terminal modes */
/* chardev-remove: -1 with e set if it does not exist or has a front end. */
int chr_remove(const char *id, struct err *e);

/* A front end takes c for its own: c itself, or a port of its own if c is a multiplexer. NULL with e set if it is taken. */
struct chr *chr_claim(struct chr *c, struct err *e);
void chr_release(struct chr *c); /* what chr_claim gave; detaches the front end; c may be NULL */
/* Attaches the front end: can_read says how many bytes it takes now, read delivers them. All NULL: detaches it. */
void chr_attach(struct chr *c, unsigned (*can_read)(void *), void (*read)(void *, const u8 *, unsigned),
                void (*event)(void *, enum chr_event), void *opaque);
/* The front end can take input again (after can_read returned 0). Any thread. */
void chr_accept_input(struct chr *c);
/* Queues len bytes for output. Returns len (output is dropped only where nobody is connected). Any thread. */
unsigned chr_write(struct chr *c, const u8 *buf, unsigned len);
/* Bytes queued and not yet written; a front end may use it for flow control. */
unsigned chr_pending(struct chr *c);
/* fn(the front end's opaque) is called when what was queued has been written; until the next chr_attach. A multiplexer's port never calls. */
void chr_on_drained(struct chr *c, void (*fn)(void *opaque));
/* False while a socket or terminal has no peer. */
bool chr_is_open(struct chr *c);

/* True if c is a multiplexer, or what chr_claim gave for one. */
bool chr_is_mux(const struct chr *c);
bool chr_is_mux_port(const struct chr *c);
/* Ctrl-a x on a multiplexer. */
void chr_set_exit_handler(void (*fn)(void *opaque), void *opaque);
/* -echr: the byte that Ctrl-a is; for all multiplexers. */
void chr_set_escape(u8 byte);

/* What query-chardev tells: "unix:/tmp/s,server=on", "disconnected:tcp:...", "pty:/dev/pts/3". Borrowed until the main loop runs. */
const char *chr_filename(const struct chr *c);
bool chr_has_front_end(const struct chr *c);
/* A front end gets a break as if the peer had sent it. */
void chr_send_break(struct chr *c);
/* Names of the kinds, for lists; NULL past the last. */
const char *chr_kind_nth(unsigned i);
/* A descriptor that the peer passed along (SCM_RIGHTS), the oldest first; -1 if there is none. */
int chr_take_fd(struct chr *c);
/* A ring buffer's contents: reading takes bytes out, writing adds some as the guest would. -1 if c is no ring buffer. */
int chr_ring_read(struct chr *c, u8 *buf, unsigned len);
int chr_ring_write(struct chr *c, const u8 *buf, unsigned len);

#endif
