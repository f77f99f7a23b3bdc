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
    struct node_user user;     /* of root */
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
    unsigned how;              /* BLK_WRITES ... */
    unsigned in_flight;        /* submitted, without those in `kept` */
    struct blk_list kept;      /* failed; wait for the VM to go on */
    bool io_failed;            /* query-block's io-status */
    bool io_nospace;
    struct blk_throttle *throttle; /* NULL: no limits */
    struct blk_list waiting;   /* for the throttle */
    GSource *throttle_timer;
    struct blk_ring *ring;
    bool plugged;              /* between blk_plug and blk_unplug */
    bool writer_due;           /* to_write waits for the end of that */
    struct blk_stats stats;
    /* completion */
    struct iothread *iothread; /* NULL: the main loop */
    struct blk_watch *watch;   /* the source of `efd` */
    GSource *source;
    int efd;                   /* readable: something was finished */
    struct lock lock;          /* guards the next ones */
    struct blk_list finished;
    struct blk_list to_write;  /* buffered writes, for the writer */
    bool writing;              /* the writer's thread is at it, or about to be */
    bool writer_runs;
    pthread_t writer;          /* while it runs */
    bool draining;             /* somebody waits for its end */
    struct blk_list completing; /* [the device's lock] taken from there */
};

static inline void blk_list_add(struct blk_list *l, struct blk_req *q)
{
    q->next = NULL;
    *l->tail = q;
    l->tail = &q->next;
}

static inline struct blk_req *blk_list_take(struct blk_list *l)
{
    struct blk_req *q = l->first;

    if (q && !(l->first = q->next))
        l->tail = &l->first;
    return q;
}

/* blk_io.c */
int blk_io_init(struct blk *b, struct err *e);
void blk_io_fini(struct blk *b);
/* Runs the completions of what is finished. True if there was any. Device lock held. */
bool blk_io_complete(struct blk *b);
/* Whoever completes for b will look. Any thread. */
void blk_io_tell(struct blk *b);
/* After the I/O of a mapped request. */
void blk_io_map_end(struct blk_req *q);
/* blk_writer.c. Device lock held. add: q is a mapped write. start: the writer that add has made due. */
void blk_writer_add(struct blk *b, struct blk_req *q);
void blk_writer_start(struct blk *b);
/* For those who drain: false while the writer's thread may still touch b. In that thread: does what is queued. */
bool blk_writer_done(struct blk *b);
/* Sends what waits for the throttle as far as it lets it. Lock held. */
void blk_io_unthrottle(struct blk *b);
/* For those in blk.c that call devices. */
void blk_dev_lock(struct blk *b);
void blk_dev_unlock(struct blk *b);
struct blk *blk_first(void);
/* b uses n, its root or about to be it, as its device does, or as a drive without one. */
int blk_claim(struct blk *b, struct blk_node *n, struct err *e);
/* By its own id only. */
struct blk *blk_find_id(const char *id);

#endif
