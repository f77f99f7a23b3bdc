/* What the user does to drives while the machine runs: media, trays, sizes, limits, and nodes that come and go. Main thread, no lock
 * held; everything returns 0, or -1 with e set as QEMU says it. */
#ifndef HW_BACKEND_BLK_MEDIA_H
#define HW_BACKEND_BLK_MEDIA_H
#include "hw/backend/blk.h"
#include "hw/backend/blk_throttle.h"

struct blk_node;

/* name: of the drive, for messages. */
bool blk_is_removable(struct blk *b);
bool blk_tray_is_open(struct blk *b); /* a drive without a tray: never */
bool blk_is_locked(struct blk *b);
/* A locked tray is only asked for, unless force. */
int blk_open_tray(struct blk *b, const char *name, bool force, struct err *e);
int blk_close_tray(struct blk *b, const char *name, struct err *e);
/* The tray must be open, if there is one. */
int blk_remove_medium(struct blk *b, const char *name, struct err *e);
int blk_insert_medium(struct blk *b, const char *name, struct blk_node *n, struct err *e);
/* All of it, with an image from a file. format: NULL finds it out. */
enum blk_change_mode { BLK_RETAIN, BLK_READ_ONLY, BLK_READ_WRITE };
int blk_change_medium(struct blk *b, const char *name, const char *file, const char *format, enum blk_change_mode mode, bool force,
                      struct err *e);
int blk_eject(struct blk *b, const char *name, bool force, struct err *e);
int blk_resize(struct blk *b, u64 size, struct err *e);
int node_resize(struct blk_node *n, u64 size, struct err *e);
/* What the image has beyond its backing file goes into that, and the image becomes empty if its format can. */
int blk_commit(struct blk *b, struct err *e);
/* The drive whose medium n is, one that a device has if there are several, or NULL. */
struct blk *blk_of_node(const struct blk_node *n);
/* No request of a device is under way in n until node_resume(what this returned); meanwhile the devices' lock is held. */
struct blk *node_quiesce(const struct blk_node *n);
void node_resume(struct blk *b);
/* NULL: no limits. */
void blk_set_limits(struct blk *b, const struct blk_limits *l);
/* blockdev-del: gives up the user's reference of a node that nothing uses. */
int node_del(const char *name, struct err *e);

#endif
