/* Raw disk images on a host file or block device. Opened and closed on the main thread; requests are executed by a pool of
 * worker threads and completed on the main thread, or by whoever drains. */
#include "hw/backend/blk.h"
#include <fcntl.h>
#include <glib.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/err.h"
#include "util/lock.h"

#define WORKERS 8

struct blk_req {
    struct blk *b;
    enum blk_op op;
    unsigned flags;
    u64 off, len;
    unsigned n_iov;
    blk_done_fn *done;
    void *opaque;
    int ret;
    struct blk_req *next;
    struct iovec iov[];
};

struct blk {
    char *id, *path;
    int fd;
    u64 size;
    bool readonly;
    struct blk *next;          /* registry, main thread */
    /* the device [its lock] */
    const struct blk_dev_ops *ops;
    void *opaque;
    struct lock *dev_lock;
    bool attached;
    unsigned in_flight;
    struct lock lock;          /* the fields below */
    pthread_cond_t idle;       /* a request was finished */
    struct blk_req *finished, **finished_tail;
    bool posted;               /* the main thread was told */
};

static struct blk *first;      /* registry, main thread */
static GThreadPool *pool;

/* -- opening -------------------------------------------------------------------------------------------------------- */

static int blk_measure(int fd, const struct stat *st, u64 *size)
{
    if (S_ISBLK(st->st_mode))
        return ioctl(fd, BLKGETSIZE64, size);
    *size = st->st_size;
    return 0;
}

struct blk *blk_open(const char *id, const char *option, const char *path, bool readonly, struct err *e)
{
    struct stat st;
    u64 size = 0;
    int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0) {
        err_set(e, "%s: cannot open '%s': %s", option, path, g_strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        err_set(e, "%s: '%s' is %s, not a disk image", option, path, S_ISDIR(st.st_mode) ? "a directory" : "no file");
        goto fail;
    }
    if (blk_measure(fd, &st, &size) < 0) {
        err_set(e, "%s: cannot get the size of '%s': %s", option, path, g_strerror(errno));
        goto fail;
    }
    if (size < 512) {
        err_set(e, "%s: '%s' has %u bytes, less than one disk sector", option, path, (unsigned)size);
        goto fail;
    }
    struct blk *b = g_new0(struct blk, 1);
    b->id = g_strdup(id);
    b->fd = fd;
    b->size = size;
    b->path = g_strdup(path);
    b->readonly = readonly;
    lock_init(&b->lock, "blk", RANK_BACKEND);
    pthread_cond_init(&b->idle, NULL);
    b->finished_tail = &b->finished;
    b->next = first;
    first = b;
    return b;
fail:
    if (fd >= 0)
        close(fd);
    return NULL;
}

void blk_close(struct blk *b)
{
    struct blk **p = &first;

    if (!b)
        return;
    assert(!b->attached && !b->in_flight);
    while (*p != b)
        p = &(*p)->next;
    *p = b->next;
    g_idle_remove_by_data(b);
    close(b->fd);
    lock_fini(&b->lock);
    pthread_cond_destroy(&b->idle);
    g_free(b->path);
    g_free(b->id);
    g_free(b);
}

void blk_close_all(void)
{
    while (first)
        blk_close(first);
}

struct blk *blk_find(const char *id)
{
    for (struct blk *b = first; b; b = b->next)
        if (b->id && !strcmp(b->id, id))
            return b;
    return NULL;
}

const char *blk_id(const struct blk *b) { return b->id ? b->id : ""; }
const char *blk_path(const struct blk *b) { return b->path; }
u64 blk_size(const struct blk *b) { return b->size; }
bool blk_readonly(const struct blk *b) { return b->readonly; }
bool blk_present(const struct blk *b) { return true; }

int blk_attach(struct blk *b, const struct blk_dev_ops *ops, void *opaque, struct lock *lock, bool writable, struct err *e)
{
    if (b->attached)
        return err_set(e, "drive '%s' is used by another device already", blk_id(b));
    if (writable && b->readonly)
        return err_set(e, "drive '%s' is read-only, but the device wants to write", blk_id(b));
    b->ops = ops;
    b->opaque = opaque;
    b->dev_lock = lock;
    b->attached = true;
    return 0;
}

void blk_detach(struct blk *b)
{
    if (!b || !b->attached)
        return;
    blk_drain(b);
    b->attached = false;
}

/* -- executing: worker threads ---------------------------------------------------------------------------------------- */

static int read_all(struct blk *b, u64 off, u8 *p, u64 len)
{
    while (len) {
        ssize_t n = pread(b->fd, p, len, off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            memset(p, 0, len);
            return 0;
        }
        p += n;
        off += n;
        len -= n;
    }
    return 0;
}

static int write_all(struct blk *b, u64 off, const u8 *p, u64 len)
{
    while (len) {
        ssize_t n = pwrite(b->fd, p, len, off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        off += n;
        len -= n;
    }
    return 0;
}

static int sync_data(struct blk *b)
{
    return fdatasync(b->fd) < 0 ? -errno : 0;
}

static int zero_range(struct blk *b, u64 off, u64 len)
{
    static const u8 zeros[64 * KiB];
    int r = 0;

    if (fallocate(b->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len) == 0)
        return 0;
    for (; len && !r; off += MIN_OF(len, sizeof(zeros)), len -= MIN_OF(len, sizeof(zeros)))
        r = write_all(b, off, zeros, MIN_OF(len, sizeof(zeros)));
    return r;
}

static int transfer(struct blk_req *q)
{
    u64 off = q->off;
    int r = 0;

    for (unsigned i = 0; i < q->n_iov && !r; off += q->iov[i++].iov_len)
        r = q->op == BLK_READ ? read_all(q->b, off, q->iov[i].iov_base, q->iov[i].iov_len)
                              : write_all(q->b, off, q->iov[i].iov_base, q->iov[i].iov_len);
    return r;
}

static int execute(struct blk_req *q)
{
    struct blk *b = q->b;
    int r = 0;

    if (q->op != BLK_FLUSH && (q->off > b->size || q->len > ALIGN_UP(b->size, 512) - q->off))
        return -EIO;
    if (q->op != BLK_READ && q->op != BLK_FLUSH && b->readonly)
        return -EACCES;
    switch (q->op) {
    case BLK_READ: case BLK_WRITE:
        r = transfer(q);
        break;
    case BLK_FLUSH:
        return b->readonly ? 0 : sync_data(b);
    case BLK_DISCARD:
        fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, q->off, q->len);
        break;
    case BLK_ZERO:
        r = zero_range(b, q->off, q->len);
        break;
    }
    return r == 0 && q->op != BLK_READ && (q->flags & BLK_FUA) ? sync_data(b) : r;
}

/* Runs the completions of finished requests, device lock held. */
static void complete(struct blk *b)
{
    for (;;) {
        lock_acquire(&b->lock);
        struct blk_req *q = b->finished;
        b->finished = NULL;
        b->finished_tail = &b->finished;
        lock_release(&b->lock);
        if (!q)
            return;
        while (q) {
            struct blk_req *next = q->next;
            b->in_flight--;
            q->done(q->opaque, q->ret);
            g_free(q);
            q = next;
        }
    }
}

static gboolean on_finished(gpointer opaque)
{
    struct blk *b = opaque;

    lock_acquire(&b->lock);
    b->posted = false;
    lock_release(&b->lock);
    if (b->dev_lock)
        lock_acquire(b->dev_lock);
    complete(b);
    if (b->dev_lock)
        lock_release(b->dev_lock);
    return G_SOURCE_REMOVE;
}

static void work(gpointer data, gpointer unused)
{
    struct blk_req *q = data;
    struct blk *b = q->b;

    q->ret = execute(q);
    lock_acquire(&b->lock);
    *b->finished_tail = q;
    b->finished_tail = &q->next;
    if (!b->posted)
        g_idle_add_full(G_PRIORITY_DEFAULT, on_finished, b, NULL);
    b->posted = true;
    pthread_cond_broadcast(&b->idle);
    lock_release(&b->lock);
}

void blk_submit(struct blk *b, enum blk_op op, u64 off, const struct iovec *iov, unsigned n_iov, u64 len, unsigned flags,
                blk_done_fn *done, void *opaque)
{
    struct blk_req *q = g_malloc(sizeof(*q) + n_iov * sizeof(*iov));

    *q = (struct blk_req){ .b = b, .op = op, .flags = flags, .off = off, .len = len, .n_iov = n_iov, .done = done,
                           .opaque = opaque };
    if (n_iov) {
        memcpy(q->iov, iov, n_iov * sizeof(*iov));
        q->len = 0;
    }
    for (unsigned i = 0; i < n_iov; i++)
        q->len += iov[i].iov_len;
    b->in_flight++;
    if (!pool)
        pool = g_thread_pool_new(work, NULL, WORKERS, FALSE, NULL);
    g_thread_pool_push(pool, q, NULL);
}

void blk_drain(struct blk *b)
{
    while (b->in_flight) {
        lock_acquire(&b->lock);
        while (!b->finished)
            lock_wait(&b->lock, &b->idle);
        lock_release(&b->lock);
        complete(b);
    }
}

void blk_drain_all(void)
{
    for (struct blk *b = first; b; b = b->next) {
        if (b->dev_lock)
            lock_acquire(b->dev_lock);
        blk_drain(b);
        if (b->dev_lock)
            lock_release(b->dev_lock);
    }
}

int blk_pread(struct blk *b, u64 off, void *buf, u32 len)
{
    return read_all(b, off, buf, len);
}
