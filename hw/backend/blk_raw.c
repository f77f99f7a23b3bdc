/* The format "raw", which is its file or, with offset= and size=, a part of it; and the protocol "null-co", which reads as zeros and forgets
 * what is written, for measurements. Worker threads and tools. */
#include <glib.h>
#include "hw/backend/blk_int.h"

struct raw {
    u64 offset;
};

/* -- raw -------------------------------------------------------------------------------------------------------------- */

static u64 raw_offset(const struct blk_node *n)
{
    return ((struct raw *)n->s)->offset;
}

static int raw_open(struct blk_node *n, struct opts *o, struct err *e)
{
    u64 offset, size, file = node_size(n->file);

    if (opts_size(o, "offset", 0, &offset, e) < 0)
        return -1;
    if (offset > file)
        return err_set(e, "offset=%llu: '%s' has %llu bytes only", (unsigned long long)offset, n->filename, (unsigned long long)file);
    if (opts_size(o, "size", file - offset, &size, e) < 0)
        return -1;
    if (size > file - offset)
        return err_set(e, "size=%llu: '%s' has %llu bytes only from there", (unsigned long long)size, n->filename,
                       (unsigned long long)(file - offset));
    n->s = g_new(struct raw, 1);
    ((struct raw *)n->s)->offset = offset;
    n->size = size;
    return 0;
}

static void raw_close(struct blk_node *n)
{
    g_free(n->s);
}

static int raw_read(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    return node_readv(n->file, raw_offset(n) + off, iov, n_iov, len);
}

/* A guest that can write block 0 of an image whose format was guessed could make it a different one for the next time. */
static int raw_check_head(u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    u8 head[512] = { 0 };
    struct err e;

    if (off >= sizeof(head))
        return 0;
    iov_read(iov, n_iov, 0, head + off, MIN_OF(len, sizeof(head) - off));
    e.msg[0] = 0;
    return driver_probe(head, sizeof(head), &e) == &blk_raw ? 0 : -EPERM;
}

static int raw_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    int r = n->probed_raw ? raw_check_head(off, iov, n_iov, len) : 0;

    if (!r)
        r = node_writev(n->file, raw_offset(n) + off, iov, n_iov, len);
    if (!r && off + len > node_size(n)) /* the rest of the last sector */
        __atomic_store_n(&n->size, off + len, __ATOMIC_RELAXED);
    return r;
}

static int raw_zero(struct blk_node *n, u64 off, u64 len, unsigned flags)
{
    return node_zero(n->file, raw_offset(n) + off, len, flags);
}

static int raw_discard(struct blk_node *n, u64 off, u64 len)
{
    return node_discard(n->file, raw_offset(n) + off, len);
}

static int raw_flush(struct blk_node *n)
{
    return node_flush(n->file);
}

static int raw_truncate(struct blk_node *n, u64 size, const char *preallocation, struct err *e)
{
    if (raw_offset(n))
        return err_set(e, "a part of '%s' cannot be resized", n->filename);
    if (node_truncate(n->file, size, preallocation, e) < 0)
        return -1;
    __atomic_store_n(&n->size, size, __ATOMIC_RELAXED);
    return 0;
}

static int raw_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x)
{
    int r = node_status(n->file, raw_offset(n) + off, len, x);

    x->has_offset = true;
    x->offset = raw_offset(n) + off;
    return r;
}

static int raw_map(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out)
{
    if (write && n->probed_raw && off < 512)
        return -EAGAIN;
    return node_map(n->file, raw_offset(n) + off, len, write, out);
}

static int raw_create(const struct blk_create *c, struct err *e)
{
    if (c->backing_file)
        return err_set(e, "Backing file not supported for file format 'raw'");
    return file_create(c->filename, c->size, opts_get(c->o, "preallocation"), e);
}

static int raw_reopen(struct blk_node *n, bool rdwr, struct err *e)
{
    return 0;
}

const struct blk_driver blk_raw = {
    .name = "raw", .open = raw_open, .close = raw_close, .read = raw_read, .write = raw_write, .zero = raw_zero,
    .discard = raw_discard, .flush = raw_flush, .truncate = raw_truncate, .status = raw_status, .map = raw_map, .create = raw_create,
    .reopen = raw_reopen,
};

/* -- null-co ---------------------------------------------------------------------------------------------------------- */

static int null_open(struct blk_node *n, struct opts *o, struct err *e)
{
    u64 size;
    bool zeroes;

    if (opts_size(o, "size", GiB, &size, e) < 0 || opts_bool(o, "read-zeroes", true, &zeroes, e) < 0)
        return -1;
    n->size = size;
    n->readonly = !(n->flags & NODE_RDWR);
    return 0;
}

static void null_close(struct blk_node *n)
{
}

static int null_read(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    iov_zero(iov, n_iov, 0, len);
    return 0;
}

static int null_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    return 0;
}

static int null_zero(struct blk_node *n, u64 off, u64 len, unsigned flags)
{
    return 0;
}

static int null_discard(struct blk_node *n, u64 off, u64 len)
{
    return 0;
}

static int null_flush(struct blk_node *n)
{
    return 0;
}

static int null_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x)
{
    *x = (struct blk_extent){ .len = len, .zero = true, .allocated = true, .has_offset = true, .offset = off };
    return 0;
}

static int null_map(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out)
{
    *out = (struct blk_map){ 0 };
    return write ? -EAGAIN : 0;
}

const struct blk_driver blk_null = {
    .name = "null-co", .protocol = true, .open = null_open, .close = null_close, .read = null_read, .write = null_write,
    .zero = null_zero, .discard = null_discard, .flush = null_flush, .status = null_status, .map = null_map,
};
