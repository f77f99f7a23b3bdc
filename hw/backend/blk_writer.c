/* Buffered writes whose place in a host file is known. The kernel hands these to a thread in any case (most file systems cannot start them without
 * blocking, and let in one writer of a file at a time), so each back end has one of its own: it writes what is queued, one after the other, and runs
 * the completions where it gets the device's lock at once. blk_writer_add runs with the device's lock held, the rest in a thread of a pool. */
#include "hw/backend/blk_front.h"
#include "util/handover.h"

#define WRITERS 16     /* back ends at a time; others wait */
#define LOCK_TRIES 100 /* a few microseconds, less than it takes to wake the main loop */

static GThreadPool *pool;

/* True if the completions ran: somebody who holds the device's lock for longer leaves them to the main loop. With an I/O thread they are its. */
static bool try_complete(struct blk *b)
{
    struct lock *l = b->iothread ? NULL : b->dev_lock;

    for (unsigned i = 0; l && i < LOCK_TRIES; i++) {
        if (lock_try(l)) {
            blk_io_complete(b);
            lock_release(l);
            return true;
        }
        __builtin_ia32_pause();
    }
    return false;
}

/* The next write; with none left, whoever drains is told that the writer is gone: from then on it touches b no more. */
static struct blk_req *take(struct blk *b)
{
    struct blk_req *q;

    lock_acquire(&b->lock);
    q = blk_list_take(&b->to_write);
    if (!q) {
        b->writing = false;
        if (b->draining)
            blk_io_tell(b);
    }
    lock_release(&b->lock);
    return q;
}

static void write_all(gpointer data, gpointer unused)
{
    struct blk *b = data;
    struct blk_req *q;

    handover_take(b);
    while ((q = take(b))) {
        int r = node_writev(q->map.file, q->map.off, q->iov, q->n_iov, q->len);
        blk_io_map_end(q);
        q->ret = r;
        lock_acquire(&b->lock);
        blk_list_add(&b->finished, q);
        lock_release(&b->lock);
        if (!try_complete(b))
            blk_io_tell(b);
    }
}

void blk_writer_start(struct blk *b)
{
    if (!pool)
        pool = g_thread_pool_new(write_all, NULL, WRITERS, FALSE, NULL);
    b->writer_due = false;
    handover_give(b);
    g_thread_pool_push(pool, b, NULL);
}

void blk_writer_add(struct blk *b, struct blk_req *q)
{
    bool was;

    lock_acquire(&b->lock);
    blk_list_add(&b->to_write, q);
    was = b->writing;
    b->writing = true;
    lock_release(&b->lock);
    if (was)
        return;
    b->writer_due = true;
    if (!b->plugged)
        blk_writer_start(b);
}
