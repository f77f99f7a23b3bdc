/* Inside of the block layer: nodes and their drivers. A node is one layer of an image: a host file or a server (protocols: "file",
 * "host_device", "nbd", "null-co"), or a format on top of another node ("raw", "qcow2"). Nodes are opened and closed on the main thread
 * with no request in flight; a driver's I/O functions block, and are called by worker threads or by tools, several at a time. */
#ifndef HW_BACKEND_BLK_INT_H
#define HW_BACKEND_BLK_INT_H
#include "hw/backend/blk.h"
#include "util/err.h"
#include "util/iov.h"
#include "util/lock.h"
#include "util/opts.h"

struct blk_node;

/* How a node is opened; children inherit what makes sense for them. */
enum {
    NODE_RDWR = 1,
    NODE_PROBE = 2,       /* the format may be found out from the contents */
    NODE_NO_BACKING = 4,  /* do not open the backing file */
    NODE_DIRECT = 8,      /* cache.direct: O_DIRECT */
    NODE_NO_FLUSH = 16,   /* cache.no-flush: flushes do nothing */
    NODE_UNMAP = 32,      /* discard=unmap */
    NODE_SHARE = 64,      /* force-share: no locks, and none of others respected */
    NODE_CHECK = 128,     /* a dirty or corrupt image may be opened for writing, in order to repair it */
    NODE_AUTO_RO = 256,   /* auto-read-only: falls back to reading if writing is refused by the host */
    NODE_QUIET = 512,     /* blk_open_*: no warning when probing guesses raw */
    NODE_SNAPSHOT = 1024, /* writes go to a temporary overlay */
    NODE_THREADS = 2048,  /* aio=threads */
};

/* What a user of a node does with it. On a host file right n is a lock of byte 100 + n, keeping others from it one of byte 200 + n, as with
 * QEMU. */
enum { RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_RESIZE = 8, RIGHT_BITS = 4 };
struct node_rights {
    unsigned need, deny; /* RIGHT_*: what the user does, and what nobody else may do meanwhile */
};
/* Part of the user: zero at first. Only blk_rights.c looks inside. */
struct node_user {
    struct blk_node *node;
    struct node_rights rights;
    struct node_user *next; /* of the same node */
};

/* What a range of a node is made of. */
struct blk_extent {
    u64 len;              /* from the asked offset on, > 0 */
    bool data, zero;      /* has bytes of its own; reads as zeros */
    bool allocated;       /* in this layer: not from the backing file */
    bool compressed;
    bool has_offset;
    u64 offset;           /* in n->file */
};

/* Where a request goes without more work: a range of a host file, or zeros. */
struct blk_map {
    struct blk_node *file; /* a node whose driver has fd(); NULL: zeros (reads only) */
    u64 off;
    struct blk_node *user; /* drv->unmap(user, cookie) after the I/O; or NULL */
    unsigned cookie;
};

struct blk_info;
struct blk_create;

struct blk_driver {
    const char *name;
    bool protocol;
    bool growable;        /* writes past the end extend it */
    bool tables;          /* a format with tables of its own in the file */
    /* The driver's state goes to n->s, freed by close. n->file and, for formats, its opened children are there already; open() calls
     * node_open_backing where it has one. Sets n->size. */
    int (*open)(struct blk_node *n, struct opts *o, struct err *e);
    void (*close)(struct blk_node *n);
    /* 0 or -errno. The range is inside the node (or it is growable). */
    int (*read)(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len);
    int (*write)(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len);
    int (*zero)(struct blk_node *n, u64 off, u64 len, unsigned flags); /* -ENOTSUP: zeros are written instead */
    int (*discard)(struct blk_node *n, u64 off, u64 len);
    int (*flush)(struct blk_node *n);
    int (*truncate)(struct blk_node *n, u64 size, const char *preallocation, struct err *e);
    int (*status)(struct blk_node *n, u64 off, u64 len, struct blk_extent *x);
    /* Resolves a whole range without blocking: 0, or -EAGAIN if it must go the slow way. */
    int (*map)(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out);
    void (*unmap)(struct blk_node *n, unsigned cookie);
    int (*fd)(struct blk_node *n, u32 *align);
    /* One cluster, or the last part of the image. */
    int (*write_compressed)(struct blk_node *n, u64 off, const void *buf, u64 len);
    void (*info)(struct blk_node *n, struct blk_info *i);
    int (*create)(const struct blk_create *c, struct err *e);
    int (*reopen)(struct blk_node *n, bool rdwr, struct err *e);
    /* Protocols: locks the file for r instead of what it was locked for; on failure nothing has changed. With less than before it succeeds. */
    int (*lock)(struct blk_node *n, struct node_rights r, struct err *e);
    u64 (*allocated)(struct blk_node *n); /* bytes on the host */
};

struct blk_node {
    const struct blk_driver *drv;
    void *s;
    char *name;            /* node-name */
    bool users_own;        /* made by -blockdev or blockdev-add, which hold a reference until blockdev-del */
    char *filename;        /* of a protocol: as the user wrote it; of a format: its file's */
    struct blk_node *file, *backing;
    unsigned refs;         /* main thread */
    bool readonly;
    unsigned flags;        /* NODE_* */
    u64 size;              /* [atomic] bytes */
    int detect_zeroes;     /* 0 off, 1 on, 2 unmap */
    bool probed_raw;       /* nobody may make block 0 look like another format */
    bool commits;          /* it is being written into its backing file */
    struct node_user *users;                         /* of this node [blk_rights.c] */
    struct node_user own, file_user, backing_user;   /* what it is itself: of itself for node_claim_alone, of its children */
    struct blk_node *next; /* registry, main thread */
};

/* What gemel-img info and query-block say about an image. Strings belong to the node. */
struct blk_info {
    const char *format;
    u32 cluster_size;
    const char *compat, *compression;
    bool lazy_refcounts, corrupt, extended_l2, dirty;
    unsigned refcount_bits;
    const char *backing_file, *backing_format;
};

struct blk_create {
    const char *filename;
    u64 size;
    const char *backing_file, *backing_format;
    struct opts *o;        /* -o; what a driver knows is marked as used */
};

/* -- drivers and the graph (blk_node.c), main thread ---------------------------------------------------------------------- */

const struct blk_driver *driver_find(const char *name);
const struct blk_driver *driver_nth(unsigned i);
/* The driver that head (the first n bytes) belongs to; NULL with e set for a format that is known, but not supported. */
const struct blk_driver *driver_probe(const u8 *head, size_t n, struct err *e);

/* `filename` may be a path, file:PATH, nbd:..., nbd://..., json:{...}; or NULL if o says it (o->"file" names a node, or "file.*"). o: driver=
 * (the format), node-name=, read-only=, cache.*, file.*, backing.* ...; consumed names are marked. o may be NULL. */
struct blk_node *node_open(const char *filename, struct opts *o, unsigned flags, struct err *e);
/* A node of which everything is in o, as -blockdev and blockdev-add have it; it must have a driver. The reference stays the user's until
 * blockdev-del (nodes_release). */
struct blk_node *node_open_blockdev(struct opts *o, unsigned flags, struct err *e);
/* For drivers: the backing file of n, from o ("backing", "backing.*") or as the image names it (NULL: none). */
int node_open_backing(struct blk_node *n, struct opts *o, const char *name, const char *format, struct err *e);
/* The path of a backing file as seen from the image that names it; free with g_free. */
char *node_backing_path(const char *image, const char *backing);
struct blk_node *node_get(struct blk_node *n);
void node_put(struct blk_node *n); /* n may be NULL; the last one closes, flushing before */
struct blk_node *node_find(const char *name);
struct blk_node *node_first(void); /* then ->next */
/* On standard error: the format was only guessed, and is written to. */
void node_warn_guessed(const struct blk_node *n);
/* Gives up the references of nodes that the user made (-blockdev), at the end. */
void nodes_release(void);
/* Puts the node's protocol options "cache.*", "discard", "detect-zeroes", "read-only"... into flags. */
int node_read_flags(struct opts *o, unsigned *flags, struct err *e);

/* -- rights (blk_rights.c), main thread, but node_release ----------------------------------------------------------------- */

/* u uses n from now on, or uses it otherwise than before. Fails, with everything as before, if another user of the node or another process
 * is in the way: with less than before it succeeds. */
int node_claim(struct blk_node *n, struct node_user *u, struct node_rights r, struct err *e);
/* u may use nothing. In front of the node_put of its node; also with the machine lock held, on any thread. */
void node_release(struct node_user *u);
/* Of users that want an image for themselves: nobody else writes it meanwhile, and if they may write, nobody else has it at all. */
struct node_rights node_rights_alone(bool readonly);
/* For tools: these rights for the caller, until the node is closed. */
int node_claim_alone(struct blk_node *n, struct err *e);
/* After a change of n->readonly, n->commits or n's children. */
int node_rights_follow(struct blk_node *n, struct err *e);
/* Changes between reading and writing; the image is flushed. */
int node_reopen(struct blk_node *n, bool rdwr, struct err *e);
/* "write", of the lowest one of the set. */
const char *right_name(unsigned rights);

/* -- I/O: blocking, any thread; 0 or -errno --------------------------------------------------------------------------------- */

/* Bytes past the end read as zeros. */
int node_readv(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len);
int node_writev(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len);
int node_read(struct blk_node *n, u64 off, void *buf, u64 len);
int node_write(struct blk_node *n, u64 off, const void *buf, u64 len);
int node_zero(struct blk_node *n, u64 off, u64 len, unsigned flags);
int node_discard(struct blk_node *n, u64 off, u64 len);
int node_flush(struct blk_node *n);
int node_truncate(struct blk_node *n, u64 size, const char *preallocation, struct err *e);
/* len is cut to the node; x->len > 0 unless off is at the end. */
int node_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x);
int node_map(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out);
u64 node_size(const struct blk_node *n);
void node_info(struct blk_node *n, struct blk_info *i);
u64 node_allocated(struct blk_node *n);

/* -- the host file driver's extras (blk_file.c) -------------------------------------------------------------------------------- */

/* Creates or truncates a file of `size` bytes; preallocation "off", "falloc", "full". */
int file_create(const char *path, u64 size, const char *preallocation, struct err *e);

/* -- qcow2's extras, main thread, no request in flight --------------------------------------------------------------------------- */

/* Forgets all data of the active image, which then shows its backing file. 0 or -errno. */
int qcow2_make_empty(struct blk_node *n);
/* Names another backing file in the header; n itself goes on with the one it has. */
int qcow2_set_backing(struct blk_node *n, const char *file, const char *format, struct err *e);

extern const struct blk_driver blk_file, blk_host_device, blk_raw, blk_null, blk_qcow2, blk_nbd;

#endif
