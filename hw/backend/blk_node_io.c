/* Blocking I/O on block nodes: bounds, rights and fallbacks that are the same for every driver. Any thread. */
#include <glib.h>
#include "hw/backend/blk_int.h"

#define ZERO_PIECE (256 * KiB)

u64 node_size(const struct blk_node *n)
{
    return __atomic_load_n(&n->size, __ATOMIC_RELAXED);
}

int node_readv(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    u64 size = node_size(n);
    struct iovec *cut;
    int r;

    if (off >= size || !len) {
        iov_zero(iov, n_iov, 0, len);
        return 0;
    }
    if (len <= size - off)
        return n->drv->read(n, off, iov, n_iov, len);
    cut = g_new(struct iovec, n_iov);
    r = n->drv->read(n, off, cut, iov_slice(iov, n_iov, 0, size - off, cut), size - off);
    g_free(cut);
    iov_zero(iov, n_iov, size - off, len - (size - off));
    return r;
}

/* Checks a range that will be changed. */
static int node_check_write(struct blk_node *n, u64 off, u64 len)
{
    u64 size = ALIGN_UP(node_size(n), 512);

    if (n->readonly)
        return -EACCES;
    if (off + len < off || off + len > INT64_MAX)
        return -EIO;
    return !n->drv->growable && (off > size || len > size - off) ? -ENOSPC : 0;
}

int node_writev(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    int r = node_check_write(n, off, len);

    if (r < 0 || !len)
        return r;
    if (n->detect_zeroes && iov_is_zero(iov, n_iov))
        return node_zero(n, off, len, n->detect_zeroes == 2 ? BLK_MAY_UNMAP : 0);
    return n->drv->write(n, off, iov, n_iov, len);
}

int node_read(struct blk_node *n, u64 off, void *buf, u64 len)
{
    struct iovec v = { buf, len };

    return node_readv(n, off, &v, 1, len);
}

int node_write(struct blk_node *n, u64 off, const void *buf, u64 len)
{
    struct iovec v = { (void *)buf, len };

    return node_writev(n, off, &v, 1, len);
}

static int node_write_zeros(struct blk_node *n, u64 off, u64 len)
{
    u8 *zeros = g_malloc0(MIN_OF(len, ZERO_PIECE));
    int r = 0;

    while (len && !r) {
        struct iovec v = { zeros, MIN_OF(len, ZERO_PIECE) };
        r = n->drv->write(n, off, &v, 1, v.iov_len);
        off += v.iov_len;
        len -= v.iov_len;
    }
    g_free(zeros);
    return r;
}

int node_zero(struct blk_node *n, u64 off, u64 len, unsigned flags)
{
    int r = node_check_write(n, off, len);

    if (r < 0 || !len)
        return r;
    if (!(n->flags & NODE_UNMAP))
        flags &= ~BLK_MAY_UNMAP;
    r = n->drv->zero ? n->drv->zero(n, off, len, flags) : -ENOTSUP;
    return r == -ENOTSUP ? node_write_zeros(n, off, len) : r;
}

int node_discard(struct blk_node *n, u64 off, u64 len)
{
    int r = node_check_write(n, off, len);

    if (r < 0 || !len || !n->drv->discard || !(n->flags & NODE_UNMAP))
        return r;
    return n->drv->discard(n, off, len);
}

int node_flush(struct blk_node *n)
{
    return n->readonly || (n->flags & NODE_NO_FLUSH && n->drv->protocol) ? 0 : n->drv->flush(n);
}

int node_truncate(struct blk_node *n, u64 size, const char *preallocation, struct err *e)
{
    if (n->readonly)
        return err_set(e, "'%s' is read-only", n->filename);
    if (size > INT64_MAX)
        return err_set(e, "%llu bytes are too many for an image", (unsigned long long)size);
    if (!n->drv->truncate)
        return err_set(e, "images of the format %s cannot be resized", n->drv->name);
    return n->drv->truncate(n, size, preallocation, e);
}

int node_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x)
{
    u64 size = node_size(n);

    *x = (struct blk_extent){ 0 };
    if (off >= size)
        return 0;
    len = MIN_OF(len, size - off);
    if (n->drv->status)
        return n->drv->status(n, off, len, x);
    *x = (struct blk_extent){ .len = len, .data = true, .allocated = true };
    return 0;
}

int node_map(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out)
{
    u64 size = node_size(n);

    if (!n->drv->map || off > size || len > size - off || (write && (n->readonly || n->detect_zeroes)))
        return -EAGAIN;
    return n->drv->map(n, off, len, write, out);
}

void node_info(struct blk_node *n, struct blk_info *i)
{
    *i = (struct blk_info){ .format = n->drv->name };
    if (n->drv->info)
        n->drv->info(n, i);
}

u64 node_allocated(struct blk_node *n)
{
    return n->drv->allocated ? n->drv->allocated(n) : n->file ? node_allocated(n->file) : 0;
}
