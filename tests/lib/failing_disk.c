/* The disk of failing_disk.h: it stands in for the functions of the image's file. They run in worker threads. */
#include "tests/lib/failing_disk.h"
#include <glib.h>
#include "hw/backend/blk_front.h"

static struct blk_driver broken;
static int failure;     /* [atomic] errno */
static unsigned stops;

static int trouble(void) { return -__atomic_load_n(&failure, __ATOMIC_SEQ_CST); }

static int broken_read(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    return trouble() ? trouble() : blk_file.read(n, off, iov, n_iov, len);
}

static int broken_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    return trouble() ? trouble() : blk_file.write(n, off, iov, n_iov, len);
}

static int broken_flush(struct blk_node *n)
{
    return trouble() ? trouble() : blk_file.flush(n);
}

static void on_stop(void *opaque) { stops++; }

void failing_disk(struct blk *b, int err)
{
    broken = blk_file;
    broken.read = broken_read;
    broken.write = broken_write;
    broken.flush = broken_flush;
    broken.map = NULL;
    b->root->file->drv = &broken;
    b->on_error[0] = b->on_error[1] = BLK_ON_ERROR_STOP;
    blk_set_stop_hook(on_stop, NULL);
    __atomic_store_n(&failure, err, __ATOMIC_SEQ_CST);
}

unsigned failing_disk_stops(void)
{
    unsigned n = stops;

    stops = 0;
    return n;
}

void failing_disk_kept(struct blk *b, unsigned kept)
{
    unsigned n = 0;

    blk_settle(b);
    for (const struct blk_req *q = b->kept.first; q; q = q->next)
        n++;
    g_assert_cmpuint(n, ==, kept);
    g_assert_cmpuint(b->in_flight, ==, 0);
}
