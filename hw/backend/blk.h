/* Block back ends as devices see them: where a disk's bytes are, and asynchronous requests on them. Opened on the main thread
 * before the machine starts, or later by QMP and the monitor. */
#ifndef HW_BACKEND_BLK_H
#define HW_BACKEND_BLK_H
#include <sys/uio.h>
#include "util/base.h"

struct err;
struct iothread;
struct lock;
struct opts;
struct blk;

enum blk_op {
    BLK_READ, BLK_WRITE,
    BLK_FLUSH,   /* everything whose completion was reported is on stable storage when this completes; no range */
    BLK_DISCARD, /* the range's contents no longer matter: a hint */
    BLK_ZERO,    /* the range reads as zeros afterwards */
};
enum { BLK_FUA = 1 /* WRITE, ZERO: on stable storage at completion */, BLK_MAY_UNMAP = 2 /* ZERO: may free the space */ };

/* ret: 0, or -errno. Called exactly once for each request, never inside blk_submit, with the attached device's lock held, on any thread; often
 * inside blk_unplug or blk_drain. May submit again. */
typedef void blk_done_fn(void *opaque, int ret);

/* werror= and rerror=: what becomes of a request that fails. STOP keeps it, stops the VM (blk_set_stop_hook), and tries it again when the VM
 * goes on; the device sees nothing. ENOSPC: STOP if the host's disk is full, else REPORT. */
enum blk_on_error { BLK_ON_ERROR_REPORT, BLK_ON_ERROR_IGNORE, BLK_ON_ERROR_STOP, BLK_ON_ERROR_ENOSPC };

/* Since the back end was opened. */
struct blk_stat {
    u64 ops, bytes, failed, ns;
};
enum { BLK_STAT_READ, BLK_STAT_WRITE, BLK_STAT_FLUSH, BLK_STAT_UNMAP, BLK_STATS };
struct blk_stats {
    struct blk_stat of[BLK_STATS];
    u64 highest_write;
};

/* What the back end tells the device that is attached to it; lock held; all optional. */
struct blk_dev_ops {
    void (*resized)(void *opaque);                    /* blk_size has changed */
    void (*media_changed)(void *opaque, bool loaded); /* a medium was put in or taken out (blk_present) */
    void (*eject_request)(void *opaque, bool force);  /* the user wants the medium: unlock, or ask the guest */
    bool (*tray_open)(void *opaque);
    bool (*tray_locked)(void *opaque);
};

/* By -drive id= or -blockdev node-name= (a back end for that node is made at need, for each device one); NULL if there is none. Main thread. */
struct blk *blk_find(const char *id);
const char *blk_id(const struct blk *b);
/* A raw image at `path`, without the command line: for tests and `gemel IMAGE`. option names the option in messages. NULL with e
 * set on failure. Main thread. */
struct blk *blk_open(const char *id, const char *option, const char *path, bool readonly, struct err *e);
/* From the options of -drive that concern the image (file=, format=, cache=, aio=, snapshot=, readonly=, werror=, throttling.* ..., and whatever
 * the image's drivers know); what nobody knows is refused. Without file= and the like: an empty drive. id may be NULL. Main thread. */
struct blk *blk_open_opts(const char *id, struct opts *o, bool cdrom, struct err *e);
/* The same without an id, and without a warning when the format is found out to be raw. */
struct blk *blk_open_image(struct opts *o, bool cdrom, struct err *e);
/* No request is in flight and no device attached. b may be NULL. Main thread. */
void blk_close(struct blk *b);
void blk_close_all(void);

/* One device uses a back end at a time. lock: the device's, held around `ops` and completions. Fails if the medium is in use by somebody
 * else, here or in another process, who does not let this device do what it says in `how`, or whom it does not let. Machine lock. */
enum {
    BLK_WRITES = 1,     /* it writes if the medium can be written */
    BLK_SHARE_RW = 2,   /* others may write meanwhile */
    BLK_FIXED_SIZE = 4, /* nobody may change the size meanwhile */
};
int blk_attach(struct blk *b, const struct blk_dev_ops *ops, void *opaque, struct lock *lock, unsigned how, struct err *e);
/* The property row; f is the offset of a bool. */
#define BLK_SHARE_PROP(f) { "share-rw", PROP_BOOL, f, 0, NULL, "other writers of the image are let in" }
/* Drains first; b may be NULL or not attached. Lock held. */
void blk_detach(struct blk *b);

/* rerror= and werror= of a device: "report", "ignore", "stop", for writes "enospc" too; "auto" or NULL leaves what the drive says. b may be NULL. Lock held. */
void blk_set_on_error(struct blk *b, const char *rerror, const char *werror);
/* The property rows; r and w are offsets of char *. */
#define BLK_ERROR_PROPS(r, w) \
    { "rerror", PROP_ENUM, r, 0, "auto", "auto|report|ignore|stop: what a failed read does; auto: as the drive says" }, \
    { "werror", PROP_ENUM, w, 0, "auto", "auto|report|ignore|stop|enospc: what a failed write does; auto: as the drive says" }

/* From now on that thread completes what others would do in the main loop; NULL: the main loop again. Attached, lock held. */
void blk_set_iothread(struct blk *b, struct iothread *t);

/* Starts a request; returns at once. Lock held. iov: host memory, the array itself is copied; the memory stays valid until completion. Its
 * bytes are the request's length, for DISCARD and ZERO it is NULL and len says it. Ranges past the end give -EIO, writes to a
 * read-only image -EACCES, anything without a medium -ENOMEDIUM. Any byte offset and length will do, but multiples of 512 are faster. */
void blk_submit(struct blk *b, enum blk_op op, u64 off, const struct iovec *iov, unsigned n_iov, u64 len, unsigned flags,
                blk_done_fn *done, void *opaque);
/* Requests submitted between the two may reach the host together, with the second call, which also runs the completions of those that needed
 * nothing but the host's page cache: a device calls it last. b may be NULL. Lock held. */
void blk_plug(struct blk *b);
void blk_unplug(struct blk *b);
/* Returns when none of b's requests is in flight, having run their completions; for device resets, stops and detaching. The device's lock
 * held, any thread. */
void blk_drain(struct blk *b);
/* The same, but failed requests that wait for the VM to go on stay (werror=stop): in front of a save. */
void blk_settle(struct blk *b);
void blk_drain_all(void); /* main thread, no lock held */

/* fn: called, with the device's lock held, when a failed request asks for a stop of the VM; it returns at once. Main thread, at start. */
void blk_set_stop_hook(void (*fn)(void *opaque), void *opaque);
/* Tries the requests again that were kept when they failed. Main thread, no lock held, when the VM goes on. */
void blk_resume_all(void);
/* Main thread, no lock held. */
void blk_get_stats(struct blk *b, struct blk_stats *out);

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
