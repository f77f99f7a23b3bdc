/* Slices, copies and zero checks of I/O vectors for the block layer. Any thread. */
#include "hw/backend/blk_int.h"

unsigned iov_slice(const struct iovec *iov, unsigned n_iov, u64 skip, u64 len, struct iovec *out)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_iov && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        u64 part = MIN_OF(iov[i].iov_len - skip, len);
        out[n++] = (struct iovec){ (u8 *)iov[i].iov_base + skip, part };
        len -= part;
        skip = 0;
    }
    return n;
}

void iov_zero(const struct iovec *iov, unsigned n_iov, u64 skip, u64 len)
{
    for (unsigned i = 0; i < n_iov && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        u64 part = MIN_OF(iov[i].iov_len - skip, len);
        memset((u8 *)iov[i].iov_base + skip, 0, part);
        len -= part;
        skip = 0;
    }
}

static void iov_copy(const struct iovec *iov, unsigned n_iov, u64 skip, u8 *buf, u64 len, bool to_buf)
{
    for (unsigned i = 0; i < n_iov && len; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        u64 part = MIN_OF(iov[i].iov_len - skip, len);
        u8 *at = (u8 *)iov[i].iov_base + skip;
        memcpy(to_buf ? buf : at, to_buf ? at : buf, part);
        buf += part;
        len -= part;
        skip = 0;
    }
}

void iov_to_buf(const struct iovec *iov, unsigned n_iov, u64 skip, void *buf, u64 len)
{
    iov_copy(iov, n_iov, skip, buf, len, true);
}

void iov_from_buf(const struct iovec *iov, unsigned n_iov, u64 skip, const void *buf, u64 len)
{
    iov_copy(iov, n_iov, skip, (u8 *)buf, len, false);
}

bool buf_is_zero(const void *buf, u64 len)
{
    const u8 *p = buf;

    /* The first bytes are zero, and each other equals the one 16 in front of it. */
    for (unsigned i = 0; i < 16 && len; i++, len--)
        if (*p++)
            return false;
    return !len || !memcmp(buf, p, len);
}

bool iov_is_zero(const struct iovec *iov, unsigned n_iov)
{
    for (unsigned i = 0; i < n_iov; i++)
        if (!buf_is_zero(iov[i].iov_base, iov[i].iov_len))
            return false;
    return true;
}
