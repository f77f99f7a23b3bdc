/* I/O threads (-object iothread,id=ID): named threads that run a GLib main context, in which the completions of the disks bound to them come.
 * Made and ended on the main thread. */
#ifndef UTIL_IOTHREAD_H
#define UTIL_IOTHREAD_H
#include <glib.h>
#include "util/err.h"

struct iothread;

/* id: unique. NULL with e set on failure. */
struct iothread *iothread_new(const char *id, struct err *e);
struct iothread *iothread_find(const char *id);
struct iothread *iothread_nth(unsigned i); /* NULL past the last */
const char *iothread_id(const struct iothread *t);
int iothread_tid(const struct iothread *t);
GMainContext *iothread_context(struct iothread *t);
/* Users keep it from being ended. */
void iothread_get(struct iothread *t);
void iothread_put(struct iothread *t);
/* Returns when what the thread was running at the time of the call has ended: afterwards no source that was destroyed before runs any more. The
 * caller holds no lock that the thread may take. */
void iothread_sync(struct iothread *t);
/* -1 with e set while it has users. */
int iothread_free(const char *id, struct err *e);

#endif
