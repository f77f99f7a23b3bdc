/* Finding drives for QMP's disk commands. Main thread. */
#ifndef UI_QMP_BLOCK_H
#define UI_QMP_BLOCK_H
#include "hw/backend/blk.h"
#include "ui/qmp_cmd.h"

/* The path of the device that uses b; NULL: none. Caller frees. */
char *qmp_blk_user(struct qmp_call *c, const struct blk *b);
/* The drive that "device" (a drive's id) or "id" (a device's id) names; NULL with the error set. */
struct blk *qmp_blk_arg(struct qmp_call *c);
/* What query-block tells of an internal snapshot. */
struct blk_snapshot;
void qmp_add_snapshot(JsonBuilder *b, const struct blk_snapshot *s);

#endif
