/* io_uring for one block back end: reads and writes that need no thread. Guarded by the device lock of the back end. */
#ifndef HW_BACKEND_BLK_RING_H
#define HW_BACKEND_BLK_RING_H
#include <sys/uio.h>
#include "util/base.h"

struct blk_ring;

/* Completions make eventfd `efd` readable. NULL if the host or this build has no io_uring. */
struct blk_ring *blk_ring_new(int efd);
void blk_ring_free(struct blk_ring *r); /* nothing in flight; r may be NULL */
/* False if the ring is full. iov stays valid until completion. */
bool blk_ring_submit(struct blk_ring *r, bool write, int fd, const struct iovec *iov, unsigned n_iov, u64 off, void *tag);
/* Held: what is submitted is kept until it is let go again. */
void blk_ring_hold(struct blk_ring *r, bool held); /* r may be NULL */
/* The next completion's tag and result (bytes or -errno); NULL if there is none. */
void *blk_ring_reap(struct blk_ring *r, int *res);

#endif
