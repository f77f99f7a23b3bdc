/* From an image into its backing file. Main thread, or a tool; no request in flight on the node. */
#ifndef HW_BACKEND_BLK_COMMIT_H
#define HW_BACKEND_BLK_COMMIT_H
#include "hw/backend/blk_int.h"

/* What n has beyond its backing file is written into that, which is opened for writing meanwhile and grows to n's size; then n is emptied, if its
 * format can be, unless keep. progress (may be NULL) hears of `done` of `all` bytes. 0, or -1 with e set. */
int node_commit(struct blk_node *n, bool keep, void (*progress)(void *opaque, u64 done, u64 all), void *opaque, struct err *e);

#endif
