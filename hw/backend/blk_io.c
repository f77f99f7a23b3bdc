/* Requests on block back ends: bounds, limits, the way to io_uring or a worker thread, completion, errors that stop the VM. Submitting and
 * completing happen with the device's lock held; a request that needs more than one host operation runs in a worker thread of a pool
 * that all back ends share. */
#include <glib-unix.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "hw/backend/blk_front.h"
#include "util/event.h"
#include "util/handover.h"
#include "util/iothread.h"

#define WORKERS 16

static GThreadPool *pool;
static struct {
    void (*fn)(void *opaque);
    void *opaque;
} stop_hook;

static i64 now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* -- lists ------------------------------------------------------------------------------------------------------------ */

static void list_init(struct blk_list *l)
{
    l->first = NULL;
    l->tail = &l->first;
}

/* All of `from`, which is empty then. */
static void list_append(struct blk_list *l, struct blk_list *from)
{
    if (!from->first)
        return;
    *l->tail = from->first;
    l->tail = from->tail;
    list_init(from);
}

/* -- executing: worker threads ---------------------------------------------------------------------------------------- */

void blk_io_tell(struct blk *b)
{
    const u64 one = 1;

    if (write(b->efd, &one, sizeof(one)) < 0)
        assert(!"eventfd");
}

/* Any thread: the request is done; whoever completes for this back end is told. */
static void finish(struct blk_req *q, int ret)
{
    struct blk *b = q->b;
    bool tell;

    q->ret = ret;
    lock_acquire(&b->lock);
    tell = !b->finished.first; /* or else whoever added that one tells */
    blk_list_add(&b->finished, q);
    if (tell)
        blk_io_tell(b);
    lock_release(&b->lock);
}

/* The same with the device's lock held: between blk_plug and blk_unplug it need not reach another thread. */
static void finish_now(struct blk *b, struct blk_req *q, int ret)
{
    if (!b->plugged) {
        finish(q, ret);
        return;
    }
    q->ret = ret;
    blk_list_add(&b->completing, q);
}

static int execute(struct blk_req *q)
{
    struct blk_node *n = q->b->root;
    int r = 0;

    switch (q->op) {
    case BLK_READ:
        return node_readv(n, q->off, q->iov, q->n_iov, q->len);
    case BLK_WRITE:
        r = node_writev(n, q->off, q->iov, q->n_iov, q->len);
        break;
    case BLK_FLUSH:
        return node_flush(n);
    case BLK_DISCARD:
        r = node_discard(n, q->off, q->len);
        break;
    case BLK_ZERO:
        r = node_zero(n, q->off, q->len, q->flags);
        break;
    }
    return r == 0 && (q->flags & BLK_FUA) ? node_flush(n) : r;
}

static void work(gpointer data, gpointer unused)
{
    struct blk_req *q = data;

    handover_take(q);
    finish(q, execute(q));
}

static void push_worker(struct blk_req *q)
{
    if (!pool)
        pool = g_thread_pool_new(work, NULL, WORKERS, FALSE, NULL);
    handover_give(q);
    g_thread_pool_push(pool, q, NULL);
}

/* -- the short way ---------------------------------------------------------------------------------------------------- */

void blk_io_map_end(struct blk_req *q)
{
    if (q->map.user)
        q->map.user->drv->unmap(q->map.user, q->map.cookie);
    q->map.user = NULL;
}

static bool is_aligned(const struct blk_req *q, u32 align)
{
    u64 bits = q->map.off;

    if (align == 1)
        return true;
    for (unsigned i = 0; i < q->n_iov; i++)
        bits |= (u64)q->iov[i].iov_base | q->iov[i].iov_len;
    return !(bits & (align - 1));
}

/* True if all of it was in the host's page cache. */
static bool read_cached(int fd, const struct blk_req *q)
{
    return preadv2(fd, q->iov, q->n_iov, q->map.off, RWF_NOWAIT) == (ssize_t)q->len;
}

/* Reads and writes whose place in a host file is known: from the page cache at once, by the writer, or through io_uring. True if one of them has
 * taken q. */
static bool start_direct(struct blk *b, struct blk_req *q)
{
    u32 align;
    int fd;

    if ((q->op != BLK_READ && q->op != BLK_WRITE) || (q->flags & BLK_FUA) || !q->len || q->n_iov > 1024 ||
        node_map(b->root, q->off, q->len, q->op == BLK_WRITE, &q->map) < 0)
        return false;
    if (!q->map.file) {
        iov_zero(q->iov, q->n_iov, 0, q->len);
        finish_now(b, q, 0);
        return true;
    }
    fd = q->map.file->drv->fd(q->map.file, &align);
    if (align == 1 && q->op == BLK_WRITE) {
        blk_writer_add(b, q);
        return true;
    }
    if (align == 1 && read_cached(fd, q)) {
        blk_io_map_end(q);
        finish_now(b, q, 0);
        return true;
    }
    if (b->ring && is_aligned(q, align) && blk_ring_submit(b->ring, q->op == BLK_WRITE, fd, q->iov, q->n_iov, q->map.off, q))
        return true;
    blk_io_map_end(q);
    return false;
}

static int check(const struct blk *b, const struct blk_req *q)
{
    u64 size;

    if (!b->root)
        return -ENOMEDIUM;
    size = ALIGN_UP(node_size(b->root), 512);
    if (q->op != BLK_FLUSH && (q->off > size || q->len > size - q->off))
        return -EIO;
    if (q->op != BLK_READ && q->op != BLK_FLUSH && b->root->readonly)
        return -EACCES;
    return 0;
}

static void start(struct blk *b, struct blk_req *q)
{
    int r = check(b, q);

    q->tried = r == 0;
    if (r < 0)
        finish(q, r);
    else if (!start_direct(b, q))
        push_worker(q);
}

/* Takes what the kernel has done. A short transfer is done once more by a worker, which knows about the end of the file. */
static void reap_ring(struct blk *b)
{
    struct blk_req *q;
    int res;

    while (b->ring && (q = blk_ring_reap(b->ring, &res))) {
        blk_io_map_end(q);
        if (res == -EAGAIN || res == -EINTR || (res >= 0 && (u64)res != q->len)) {
            push_worker(q);
            continue;
        }
        q->ret = MIN_OF(res, 0);
        lock_acquire(&b->lock);
        blk_list_add(&b->finished, q);
        lock_release(&b->lock);
    }
}

/* -- completion ------------------------------------------------------------------------------------------------------- */

static void account(struct blk *b, const struct blk_req *q)
{
    static const u8 kind_of[] = { [BLK_READ] = BLK_STAT_READ, [BLK_WRITE] = BLK_STAT_WRITE, [BLK_FLUSH] = BLK_STAT_FLUSH,
                                  [BLK_DISCARD] = BLK_STAT_UNMAP, [BLK_ZERO] = BLK_STAT_WRITE };
    struct blk_stat *s = &b->stats.of[kind_of[q->op]];

    if (q->ret < 0) {
        s->failed++;
        return;
    }
    s->ops++;
    s->bytes += q->len;
    s->ns += now_ns() - q->start;
    if (q->op == BLK_WRITE && q->off + q->len > b->stats.highest_write)
        b->stats.highest_write = q->off + q->len;
}

/* What happens with a failed request: its error is reported, ignored, or the VM stops until somebody has mended the cause. */
static enum blk_on_error error_action(struct blk *b, const struct blk_req *q)
{
    enum blk_on_error p = b->on_error[q->op != BLK_READ];

    if (!q->tried || q->ret == -ECANCELED)
        return BLK_ON_ERROR_REPORT;
    if (p == BLK_ON_ERROR_ENOSPC)
        p = q->ret == -ENOSPC ? BLK_ON_ERROR_STOP : BLK_ON_ERROR_REPORT;
    return p == BLK_ON_ERROR_STOP && !stop_hook.fn ? BLK_ON_ERROR_REPORT : p;
}

static void emit_error(struct blk *b, const struct blk_req *q, enum blk_on_error a)
{
    static const char *const actions[] = { "report", "ignore", "stop", "stop" };
    const struct event_member m[] = {
        EVENT_STR("device", b->anonymous ? "" : b->id), EVENT_STR("node-name", b->root ? b->root->name : NULL),
        EVENT_STR("operation", q->op == BLK_READ ? "read" : "write"), EVENT_STR("action", actions[a]),
        EVENT_BOOL("nospace", q->ret == -ENOSPC), EVENT_STR("reason", g_strerror(-q->ret)), EVENT_DONE,
    };

    event_emit("BLOCK_IO_ERROR", m);
}

/* True if the request stays here until the VM goes on. */
static bool keep_failed(struct blk *b, struct blk_req *q)
{
    enum blk_on_error a;

    if (q->ret >= 0)
        return false;
    a = error_action(b, q);
    if (q->tried)
        emit_error(b, q, a);
    if (a == BLK_ON_ERROR_IGNORE)
        q->ret = 0;
    if (a != BLK_ON_ERROR_STOP)
        return false;
    if (!b->io_failed) {
        b->io_failed = true;
        b->io_nospace = q->ret == -ENOSPC;
    }
    blk_list_add(&b->kept, q);
    stop_hook.fn(stop_hook.opaque);
    return true;
}

static void complete_one(struct blk *b, struct blk_req *q)
{
    account(b, q);
    b->in_flight--;
    if (keep_failed(b, q))
        return;
    q->done(q->opaque, q->ret);
    g_free(q);
}

/* Runs the completions of what is finished, lock held. True if there was any. A completion may drain: then this runs inside itself, and what
 * the outer one has not come to yet is completed by the inner one. */
bool blk_io_complete(struct blk *b)
{
    struct blk_req *q;
    bool any;

    reap_ring(b);
    lock_acquire(&b->lock);
    list_append(&b->completing, &b->finished);
    lock_release(&b->lock);
    any = b->completing.first;
    while ((q = blk_list_take(&b->completing)))
        complete_one(b, q);
    return any;
}

static void clear_event(struct blk *b)
{
    u64 count;

    while (read(b->efd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

void blk_dev_lock(struct blk *b)
{
    if (b->dev_lock)
        lock_acquire(b->dev_lock);
}

void blk_dev_unlock(struct blk *b)
{
    if (b->dev_lock)
        lock_release(b->dev_lock);
}

/* What the source of one thread's context knows. It outlives the back end's interest in it when that moves to another thread. */
struct blk_watch {
    struct blk *b;     /* [lock] NULL: not of interest any more */
    struct lock *lock; /* of the device; NULL in the main loop, where b's own counts */
};

/* The event is taken with the device's lock held: a drain, which holds it, never misses one. */
static gboolean on_event(gint fd, GIOCondition cond, gpointer opaque)
{
    struct blk_watch *w = opaque;
    struct lock *l = w->lock ? w->lock : w->b->dev_lock;

    if (l)
        lock_acquire(l);
    if (w->b) {
        clear_event(w->b);
        blk_io_complete(w->b);
    }
    if (l)
        lock_release(l);
    return G_SOURCE_CONTINUE;
}

static void watch_end(struct blk *b)
{
    b->watch->b = NULL;
    g_source_destroy(b->source);
    g_source_unref(b->source);
}

static void watch_start(struct blk *b)
{
    b->watch = g_new(struct blk_watch, 1);
    *b->watch = (struct blk_watch){ b, b->iothread ? b->dev_lock : NULL };
    b->source = g_unix_fd_source_new(b->efd, G_IO_IN);
    g_source_set_callback(b->source, G_SOURCE_FUNC(on_event), b->watch, g_free);
    g_source_set_can_recurse(b->source, TRUE); /* it does not; but GLib would make three system calls of each event to prevent it */
    g_source_attach(b->source, b->iothread ? iothread_context(b->iothread) : NULL);
    blk_io_tell(b); /* for what was finished in between */
}

int blk_io_init(struct blk *b, struct err *e)
{
    b->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->efd < 0)
        return err_set(e, "cannot make an eventfd for a drive: %s", g_strerror(errno));
    lock_init(&b->lock, "blk", RANK_BACKEND);
    list_init(&b->finished);
    list_init(&b->completing);
    list_init(&b->kept);
    list_init(&b->waiting);
    list_init(&b->to_write);
    b->ring = blk_ring_new(b->efd);
    watch_start(b);
    return 0;
}

void blk_io_fini(struct blk *b)
{
    assert(!b->in_flight && !b->kept.first && !b->waiting.first && !b->iothread);
    watch_end(b);
    if (b->throttle_timer) {
        g_source_destroy(b->throttle_timer);
        g_source_unref(b->throttle_timer);
    }
    throttle_free(b->throttle);
    blk_ring_free(b->ring);
    close(b->efd);
    lock_fini(&b->lock);
}

/* -- limits ----------------------------------------------------------------------------------------------------------- */

static gboolean on_throttle(gpointer opaque)
{
    struct blk *b = opaque;
    struct lock *l = b->dev_lock;

    if (l)
        lock_acquire(l);
    g_source_set_ready_time(b->throttle_timer, -1);
    blk_io_unthrottle(b);
    if (l)
        lock_release(l);
    return G_SOURCE_CONTINUE;
}

static gboolean throttle_dispatch(GSource *s, GSourceFunc fn, gpointer opaque)
{
    return fn(opaque);
}

static void throttle_arm(struct blk *b, i64 wait_ns)
{
    static GSourceFuncs funcs = { NULL, NULL, throttle_dispatch, NULL, NULL, NULL };

    if (!b->throttle_timer) {
        b->throttle_timer = g_source_new(&funcs, sizeof(GSource));
        g_source_set_callback(b->throttle_timer, on_throttle, b, NULL);
        g_source_attach(b->throttle_timer, NULL);
    }
    g_source_set_ready_time(b->throttle_timer, g_get_monotonic_time() + wait_ns / 1000 + 1);
}

static bool is_limited(const struct blk_req *q)
{
    return q->op != BLK_FLUSH && q->op != BLK_DISCARD;
}

void blk_io_unthrottle(struct blk *b)
{
    while (b->waiting.first) {
        struct blk_req *q = b->waiting.first;
        i64 now = now_ns(), wait = b->throttle ? throttle_wait(b->throttle, q->op != BLK_READ, now) : 0;
        if (wait) {
            throttle_arm(b, wait);
            return;
        }
        blk_list_take(&b->waiting);
        if (b->throttle)
            throttle_account(b->throttle, q->op != BLK_READ, q->len, now);
        start(b, q);
    }
}

/* True if q has to wait. */
static bool throttle_take(struct blk *b, struct blk_req *q)
{
    if (!b->throttle || !is_limited(q))
        return false;
    blk_list_add(&b->waiting, q);
    if (b->waiting.first == q)
        blk_io_unthrottle(b);
    return true;
}

/* -- the interface ---------------------------------------------------------------------------------------------------- */

void blk_submit(struct blk *b, enum blk_op op, u64 off, const struct iovec *iov, unsigned n_iov, u64 len, unsigned flags,
                blk_done_fn *done, void *opaque)
{
    struct blk_req *q = g_malloc(sizeof(*q) + n_iov * sizeof(*iov));

    *q = (struct blk_req){ .b = b, .op = op, .flags = flags, .off = off, .len = len, .n_iov = n_iov, .done = done,
                           .opaque = opaque, .start = now_ns() };
    if (n_iov) {
        memcpy(q->iov, iov, n_iov * sizeof(*iov));
        q->len = 0;
    }
    for (unsigned i = 0; i < n_iov; i++)
        q->len += iov[i].iov_len;
    if (b->writethrough && op != BLK_READ && op != BLK_FLUSH)
        q->flags |= BLK_FUA;
    b->in_flight++;
    if (!throttle_take(b, q))
        start(b, q);
}

/* True while requests are in flight or the writer's thread has not left b yet. */
static bool is_busy(struct blk *b)
{
    return !blk_writer_done(b) || b->in_flight;
}

static bool set_draining(struct blk *b, bool draining)
{
    bool was;

    lock_acquire(&b->lock);
    was = b->draining;
    b->draining = draining;
    lock_release(&b->lock);
    return was;
}

/* Waits for all that is in flight, completing it here. */
static void drain_in_flight(struct blk *b)
{
    struct pollfd p = { b->efd, POLLIN, 0 };
    bool nested = set_draining(b, true);
    struct blk_req *q;

    while ((q = blk_list_take(&b->waiting)))
        start(b, q);
    while (is_busy(b)) {
        clear_event(b);
        if (b->writer_due) /* plugged */
            blk_writer_start(b);
        if (!blk_io_complete(b) && is_busy(b))
            poll(&p, 1, -1);
        while ((q = blk_list_take(&b->waiting))) /* submitted by completions */
            start(b, q);
    }
    set_draining(b, nested);
}

void blk_settle(struct blk *b) { drain_in_flight(b); }

void blk_drain(struct blk *b)
{
    struct blk_req *q;

    do {
        drain_in_flight(b);
        while ((q = blk_list_take(&b->kept))) { /* nobody will try these again */
            q->done(q->opaque, q->ret);
            g_free(q);
        }
    } while (b->in_flight);
}

void blk_drain_all(void)
{
    for (struct blk *b = blk_first(); b; b = b->next) {
        blk_dev_lock(b);
        drain_in_flight(b);
        blk_dev_unlock(b);
    }
}

void blk_set_stop_hook(void (*fn)(void *opaque), void *opaque)
{
    stop_hook.fn = fn;
    stop_hook.opaque = opaque;
}

void blk_resume_all(void)
{
    for (struct blk *b = blk_first(); b; b = b->next) {
        struct blk_req *q;
        struct blk_list l;

        blk_dev_lock(b);
        l = b->kept;
        list_init(&b->kept);
        b->io_failed = b->io_nospace = false;
        while ((q = l.first)) {
            l.first = q->next;
            b->in_flight++;
            q->map = (struct blk_map){ 0 };
            start(b, q);
        }
        blk_dev_unlock(b);
    }
}

void blk_set_iothread(struct blk *b, struct iothread *t)
{
    assert(!t || (b->attached && b->dev_lock));
    if (t == b->iothread)
        return;
    watch_end(b);
    if (t)
        iothread_get(t);
    if (b->iothread)
        iothread_put(b->iothread);
    b->iothread = t;
    watch_start(b);
}

void blk_plug(struct blk *b)
{
    if (!b)
        return;
    b->plugged = true;
    blk_ring_hold(b->ring, true);
}

void blk_unplug(struct blk *b)
{
    if (!b)
        return;
    b->plugged = false;
    blk_ring_hold(b->ring, false);
    if (b->writer_due)
        blk_writer_start(b);
    if (b->completing.first)
        blk_io_complete(b);
}

void blk_get_stats(struct blk *b, struct blk_stats *out)
{
    blk_dev_lock(b);
    *out = b->stats;
    blk_dev_unlock(b);
}

int blk_pread(struct blk *b, u64 off, void *buf, u32 len)
{
    return b->root ? node_read(b->root, off, buf, len) : -ENOMEDIUM;
}
