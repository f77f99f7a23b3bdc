/* QMP: QEMU's machine protocol, JSON objects over a character back end; and the commands behind it, which the monitor calls, too. Main
 * thread. */
#ifndef UI_QMP_H
#define UI_QMP_H
#include <json-glib/json-glib.h>
#include "ui/ui.h"
#include "util/err.h"

struct qmp;
/* A session on chr, which was claimed for it; it lives until qmp_free(). */
struct qmp *qmp_new(struct ui *ui, struct chr *chr, bool pretty);
void qmp_free(struct qmp *q); /* q may be NULL */
/* Runs a command with arguments (borrowed; NULL: none) as a session would. The answer, or NULL with e set and *cls (may be NULL) one of
 * QMP's error classes. The caller frees. */
JsonNode *qmp_execute(struct ui *ui, const char *name, JsonObject *args, const char **cls, struct err *e);

/* Events: from now on until qmp_events_stop() what event_emit says reaches the sessions, as do changes of the run state. */
void qmp_events_start(struct ui *ui);
void qmp_events_stop(void);
/* Sends what was emitted so far. Otherwise that happens soon, by itself. */
void qmp_events_flush(void);

#endif
