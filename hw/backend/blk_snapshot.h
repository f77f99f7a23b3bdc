/* Internal snapshots of images. Main thread, or a tool; no request in flight on the node. */
#ifndef HW_BACKEND_BLK_SNAPSHOT_H
#define HW_BACKEND_BLK_SNAPSHOT_H
#include <glib.h>
#include "hw/backend/blk_int.h"

struct blk_snapshot {
    const char *id, *name;          /* borrowed until snapshots change */
    u64 vm_state_size, vm_clock_nsec, disk_size, icount; /* icount: ~0 if unknown */
    u32 date_sec, date_nsec;
};

/* False if the format has no internal snapshots. */
bool node_has_snapshots(const struct blk_node *n);
unsigned node_snapshot_count(const struct blk_node *n);
void node_snapshot_nth(const struct blk_node *n, unsigned i, struct blk_snapshot *out);
/* 0, or -1 with e set. The name may be an id, too, except for create. */
int node_snapshot_create(struct blk_node *n, const char *name, struct err *e);
int node_snapshot_apply(struct blk_node *n, const char *name, struct err *e);
int node_snapshot_delete(struct blk_node *n, const char *name, struct err *e);
int node_snapshot_delete_nth(struct blk_node *n, unsigned i, struct err *e);
/* A table of them, as QEMU prints it, goes to the end of out. */
void node_snapshots_print(const struct blk_node *n, GString *out);
/* A read-only node shows the snapshot from now on. */
int node_snapshot_show(struct blk_node *n, const char *name, struct err *e);

#endif
