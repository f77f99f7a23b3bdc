/* Copies between flat and scattered host memory. Any thread. */
#include "util/iov.h"

u64 iov_size(const struct iovec *iov, unsigned n)
{
    u64 sum = 0;

    for (unsigned i = 0; i < n; i++)
        sum += iov[i].iov_len;
    return sum;
}

enum what { READ, WRITE, ZERO };

static u64 walk(const struct iovec *iov, unsigned n, u64 off, u8 *buf, u64 len, enum what what)
{
    u64 done = 0;

    for (unsigned i = 0; i < n && done < len; i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        u8 *p = (u8 *)iov[i].iov_base + off;
        u64 part = MIN_OF(len - done, iov[i].iov_len - off);
        if (what == READ)
            memcpy(buf + done, p, part);
        else if (what == WRITE)
            memcpy(p, buf + done, part);
        else
            memset(p, 0, part);
        done += part;
        off = 0;
    }
    return done;
}

u64 iov_read(const struct iovec *iov, unsigned n, u64 off, void *buf, u64 len) { return walk(iov, n, off, buf, len, READ); }

u64 iov_write(const struct iovec *iov, unsigned n, u64 off, const void *buf, u64 len)
{
    return walk(iov, n, off, (u8 *)(uintptr_t)buf, len, WRITE);
}

u64 iov_zero(const struct iovec *iov, unsigned n, u64 off, u64 len) { return walk(iov, n, off, NULL, len, ZERO); }

unsigned iov_slice(const struct iovec *iov, unsigned n, u64 off, u64 len, struct iovec *out)
{
    unsigned used = 0;

    for (unsigned i = 0; i < n && len; i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        u64 part = MIN_OF(len, iov[i].iov_len - off);
        out[used++] = (struct iovec){ (u8 *)iov[i].iov_base + off, part };
        len -= part;
        off = 0;
    }
    return used;
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

bool iov_is_zero(const struct iovec *iov, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!buf_is_zero(iov[i].iov_base, iov[i].iov_len))
            return false;
    return true;
}
