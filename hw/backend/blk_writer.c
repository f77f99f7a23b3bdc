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

static struct blk_req *take(struct blk *b)
{
    struct blk_req *q;

    lock_acquire(&b->lock);
    q = blk_list_take(&b->to_write);
    lock_release(&b->lock);
    return q;
}

/* True if nothing is left: whoever drains is told that the writer is gone. From then on it touches b no more. */
static bool leave(struct blk *b)
{
    bool left;

    lock_acquire(&b->lock);
    left = !b->to_write.first;
    if (left) {
        b->writing = b->writer_runs = false;
        if (b->draining)
            blk_io_tell(b);
    }
    lock_release(&b->lock);
    return left;
}

static void write_one(struct blk *b, struct blk_req *q)
{
    q->ret = node_writev(q->map.file, q->map.off, q->iov, q->n_iov, q->len);
    blk_io_map_end(q);
    lock_acquire(&b->lock);
    blk_list_add(&b->finished, q);
    lock_release(&b->lock);
}

static void write_all(gpointer data, gpointer unused)
{
    struct blk *b = data;
    struct blk_req *q;

    handover_take(b);
    lock_acquire(&b->lock);
    b->writer = pthread_self();
    b->writer_runs = true;
    lock_release(&b->lock);
    do {
        while ((q = take(b))) {
            write_one(b, q);
            if (!try_complete(b))
                blk_io_tell(b);
        }
    } while (!leave(b));
}

/* A completion that the writer runs may drain: then nobody else does the writing. */
bool blk_writer_done(struct blk *b)
{
    struct blk_req *q;
    bool done, mine;

    lock_acquire(&b->lock);
    done = !b->writing;
    mine = b->writer_runs && pthread_equal(b->writer, pthread_self());
    lock_release(&b->lock);
    while (mine && (q = take(b)))
        write_one(b, q);
    return done || mine;
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
