/* The character back end "ringbuf": keeps the last bytes that the guest wrote, until QMP's ringbuf-read takes them; ringbuf-write adds
 * some. Bytes are put in by any thread, taken out by the main thread. */
#include "hw/backend/chr_impl.h"

#define SIZE_DEFAULT (64 * KiB)
#define SIZE_MAX_RING (64 * MiB)

/* All under c->lock. */
struct ring {
    u8 *buf;
    u64 size, in, out; /* size: a power of two; in - out bytes are there */
};

static int ring_open(struct chr *c, struct opts *o, struct err *e)
{
    struct ring *r;
    u64 size;

    if (opts_size(o, "size", SIZE_DEFAULT, &size, e) < 0)
        return -1;
    if (size == 0 || size & (size - 1) || size > SIZE_MAX_RING)
        return err_set(e, "size of ringbuf chardev must be a power of two, 64M at most");
    r = g_new0(struct ring, 1);
    r->buf = g_malloc(size);
    r->size = size;
    c->priv = r;
    c->connected = true;
    return 0;
}

static void ring_write(struct chr *c, const u8 *buf, unsigned len)
{
    struct ring *r = c->priv;

    lock_acquire(&c->lock);
    for (unsigned i = 0; i < len; i++) {
        r->buf[r->in++ & (r->size - 1)] = buf[i];
        if (r->in - r->out > r->size)
            r->out = r->in - r->size;
    }
    lock_release(&c->lock);
}

static unsigned ring_pending(struct chr *c)
{
    return 0;
}

static void ring_close(struct chr *c)
{
    struct ring *r = c->priv;

    if (r)
        g_free(r->buf);
    g_free(r);
}

static const char *const options[] = { "size", NULL };
const struct chr_kind chr_ringbuf = {
    .name = "ringbuf", .alias = "memory", .options = options, .open = ring_open, .write = ring_write, .pending = ring_pending,
    .close = ring_close,
};

int chr_ring_read(struct chr *c, u8 *buf, unsigned len)
{
    struct ring *r = c->priv;
    unsigned n = 0;

    if (c->kind != &chr_ringbuf)
        return -1;
    lock_acquire(&c->lock);
    while (n < len && r->out != r->in)
        buf[n++] = r->buf[r->out++ & (r->size - 1)];
    lock_release(&c->lock);
    return (int)n;
}

int chr_ring_write(struct chr *c, const u8 *buf, unsigned len)
{
    if (c->kind != &chr_ringbuf)
        return -1;
    ring_write(c, buf, len);
    return (int)len;
}
