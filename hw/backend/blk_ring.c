/* io_uring for one block back end, through liburing. Called with the device lock held, in the thread that submits or completes. */
#include "hw/backend/blk_ring.h"
#include "config.h"
#if HAVE_LIBURING
#include <glib.h>
#include <liburing.h>

#define ENTRIES 128

struct blk_ring {
    struct io_uring u;
    unsigned in_flight;
    bool held;
};

struct blk_ring *blk_ring_new(int efd)
{
    struct blk_ring *r = g_new0(struct blk_ring, 1);

    if (io_uring_queue_init(ENTRIES, &r->u, 0) < 0) {
        g_free(r);
        return NULL;
    }
    if (io_uring_register_eventfd(&r->u, efd) < 0) {
        blk_ring_free(r);
        return NULL;
    }
    return r;
}

void blk_ring_free(struct blk_ring *r)
{
    if (!r)
        return;
    io_uring_queue_exit(&r->u);
    g_free(r);
}

bool blk_ring_submit(struct blk_ring *r, bool write, int fd, const struct iovec *iov, unsigned n_iov, u64 off, void *tag)
{
    struct io_uring_sqe *sqe;

    if (r->in_flight == ENTRIES || !(sqe = io_uring_get_sqe(&r->u)))
        return false;
    if (write)
        io_uring_prep_writev(sqe, fd, iov, n_iov, off);
    else
        io_uring_prep_readv(sqe, fd, iov, n_iov, off);
    io_uring_sqe_set_data(sqe, tag);
    r->in_flight++;
    /* What the kernel did not take now stays in the queue and goes with the next one, or when completions are reaped. */
    if (!r->held)
        io_uring_submit(&r->u);
    return true;
}

void blk_ring_hold(struct blk_ring *r, bool held)
{
    if (!r)
        return;
    r->held = held;
    if (!held && io_uring_sq_ready(&r->u))
        io_uring_submit(&r->u);
}

void *blk_ring_reap(struct blk_ring *r, int *res)
{
    struct io_uring_cqe *cqe;
    void *tag;

    if (io_uring_sq_ready(&r->u))
        io_uring_submit(&r->u);
    if (!r->in_flight || io_uring_peek_cqe(&r->u, &cqe) < 0)
        return NULL;
    tag = io_uring_cqe_get_data(cqe);
    *res = cqe->res;
    io_uring_cqe_seen(&r->u, cqe);
    r->in_flight--;
    return tag;
}
#else
struct blk_ring *blk_ring_new(int efd) { return NULL; }
void blk_ring_free(struct blk_ring *r) {}
bool blk_ring_submit(struct blk_ring *r, bool write, int fd, const struct iovec *iov, unsigned n_iov, u64 off, void *tag) { return false; }
void blk_ring_hold(struct blk_ring *r, bool held) {}
void *blk_ring_reap(struct blk_ring *r, int *res) { return NULL; }
#endif
