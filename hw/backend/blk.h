/* Block back ends as devices see them: where a disk's bytes are, and asynchronous requests on them. Opened on the main thread
 * before the machine starts, or later by QMP and the monitor. */
#ifndef HW_BACKEND_BLK_H
#define HW_BACKEND_BLK_H
#include <sys/uio.h>
#include "util/base.h"

struct err;
struct lock;
struct blk;

enum blk_op {
    BLK_READ, BLK_WRITE,
    BLK_FLUSH,   /* everything whose completion was reported is on stable storage when this completes; no range */
    BLK_DISCARD, /* the range's contents no longer matter: a hint */
    BLK_ZERO,    /* the range reads as zeros afterwards */
};
enum { BLK_FUA = 1 /* WRITE, ZERO: on stable storage at completion */, BLK_MAY_UNMAP = 2 /* ZERO: may free the space */ };

/* ret: 0, or -errno. Called exactly once for each request, never inside blk_submit, with the attached device's lock held, in the main
 * thread, the device's I/O thread, or a thread inside blk_drain. May submit again. */
typedef void blk_done_fn(void *opaque, int ret);

/* What the back end tells the device that is attached to it; lock held; all optional. */
struct blk_dev_ops {
    void (*resized)(void *opaque);                    /* blk_size has changed */
    void (*media_changed)(void *opaque, bool loaded); /* a medium was put in or taken out (blk_present) */
    void (*eject_request)(void *opaque, bool force);  /* the user wants the medium: unlock, or ask the guest */
    bool (*tray_open)(void *opaque);
    bool (*tray_locked)(void *opaque);
};

/* By -drive id= or -blockdev node-name=; NULL if there is none. Main thread. */
struct blk *blk_find(const char *id);
const char *blk_id(const struct blk *b);
/* A raw image at `path`, without the command line: for tests and `gemel IMAGE`. option names the option in messages. NULL with e
 * set on failure. Main thread. */
struct blk *blk_open(const char *id, const char *option, const char *path, bool readonly, struct err *e);
/* No request is in flight and no device attached. b may be NULL. Main thread. */
void blk_close(struct blk *b);
void blk_close_all(void);

/* One device uses a back end at a time. lock: the device's, held around `ops` and completions. writable: the device will write; fails
 * if the back end is read-only. Machine lock. */
int blk_attach(struct blk *b, const struct blk_dev_ops *ops, void *opaque, struct lock *lock, bool writable, struct err *e);
/* Drains first; b may be NULL or not attached. Lock held. */
void blk_detach(struct blk *b);

/* Starts a request; returns at once. Lock held. iov: host memory, the array itself is copied; the memory stays valid until completion. Its
 * bytes are the request's length, for DISCARD and ZERO it is NULL and len says it. Ranges past the end give -EIO, writes to a
 * read-only image -EACCES, anything without a medium -ENOMEDIUM. Any byte offset and length will do, but multiples of 512 are faster. */
void blk_submit(struct blk *b, enum blk_op op, u64 off, const struct iovec *iov, unsigned n_iov, u64 len, unsigned flags,
                blk_done_fn *done, void *opaque);
/* Returns when none of b's requests is in flight, having run their completions; for device resets, stops and detaching. The device's lock
 * held, any thread. */
void blk_drain(struct blk *b);
void blk_drain_all(void); /* main thread, no lock held */

/* Reads at once, for loaders and devices that cannot wait; 0 or -errno. Bytes past the end read as zeros. Any thread, no request of the
 * same back end in flight. */
int blk_pread(struct blk *b, u64 off, void *buf, u32 len);

/* Bytes. Any thread. */
u64 blk_size(const struct blk *b);
bool blk_readonly(const struct blk *b);
/* False: a drive without a medium. */
bool blk_present(const struct blk *b);
const char *blk_path(const struct blk *b);

#endif
