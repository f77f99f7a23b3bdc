/* Scattered host memory: copying to and from lists of pieces. Any thread. */
#ifndef UTIL_IOV_H
#define UTIL_IOV_H
#include <sys/uio.h>
#include "util/base.h"

/* Bytes of all pieces. */
u64 iov_size(const struct iovec *iov, unsigned n);
/* Copies up to len bytes from (to) the pieces, skipping the first off; returns how many there were. */
u64 iov_read(const struct iovec *iov, unsigned n, u64 off, void *buf, u64 len);
u64 iov_write(const struct iovec *iov, unsigned n, u64 off, const void *buf, u64 len);
/* Zeroes as iov_write writes. */
u64 iov_zero(const struct iovec *iov, unsigned n, u64 off, u64 len);
/* The pieces that hold bytes [off, off + len) of iov, or as much of that as there is: into out, of at least n entries; returns how many
 * pieces. */
unsigned iov_slice(const struct iovec *iov, unsigned n, u64 off, u64 len, struct iovec *out);

/* True if all bytes are zero. */
bool buf_is_zero(const void *buf, u64 len);
bool iov_is_zero(const struct iovec *iov, unsigned n);

#endif
