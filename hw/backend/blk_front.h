/* Inside of a block back end's front: the struct behind blk.h, shared by blk.c (opening, media, devices), blk_io.c (requests) and their
 * helpers. */
#ifndef HW_BACKEND_BLK_FRONT_H
#define HW_BACKEND_BLK_FRONT_H
#include <glib.h>
#include "hw/backend/blk_int.h"
#include "hw/backend/blk_ring.h"
#include "hw/backend/blk_throttle.h"

struct blk_req {
    struct blk *b;
    enum blk_op op;
    unsigned flags;
    u64 off, len;
    unsigned n_iov;
    blk_done_fn *done;
    void *opaque;
    int ret;
    bool tried;                /* the image was asked: errors follow werror and rerror */
    i64 start;                 /* ns of the host's monotonic clock */
    struct blk_map map;        /* while in the ring */
    struct blk_req *next;
    struct iovec iov[];
};

struct blk_list {
    struct blk_req *first, **tail;
};

struct blk {
    char *id;                  /* "" if it has none */
    bool anonymous;            /* stands for a node that a device uses by its node-name */
    struct blk_node *root;     /* NULL: no medium */
    bool writethrough;         /* each write is flushed */
    bool readonly;             /* as asked for: a medium put in later is opened so */
    unsigned open_flags;       /* NODE_* for media put in later */
    enum blk_on_error on_error[2]; /* [0] reads, [1] writes */
    bool removable, tray_open; /* tray: moved by blockdev-open-tray while no device has one */
    struct blk *next;          /* registry, main thread */
    /* the device [its lock] */
    const struct blk_dev_ops *ops;
    void *opaque;
    struct lock *dev_lock;
    bool attached;
    unsigned in_flight;        /* submitted, without those in `kept` */
    struct blk_list kept;      /* failed; wait for the VM to go on */
    bool io_failed;            /* query-block's io-status */
    bool io_nospace;
    struct blk_throttle *throttle; /* NULL: no limits */
    struct blk_list waiting;   /* for the throttle */
    GSource *throttle_timer;
    struct blk_ring *ring;
    struct blk_stats stats;
    /* completion */
    struct iothread *iothread; /* NULL: the main loop */
    struct blk_watch *watch;   /* the source of `efd` */
    GSource *source;
    int efd;                   /* readable: something was finished */
    struct lock lock;          /* guards `finished` */
    struct blk_list finished;
    struct blk_list completing; /* [the device's lock] taken from there */
};

/* blk_io.c */
void blk_io_init(struct blk *b);
void blk_io_fini(struct blk *b);
/* Sends what waits for the throttle as far as it lets it. Lock held. */
void blk_io_unthrottle(struct blk *b);
/* For those in blk.c that call devices. */
void blk_dev_lock(struct blk *b);
void blk_dev_unlock(struct blk *b);
struct blk *blk_first(void);
/* By its own id only. */
struct blk *blk_find_id(const char *id);

#endif
