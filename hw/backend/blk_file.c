/* The protocols "file" and "host_device": bytes in a file or block device of the host. I/O functions block and run in worker threads; the
 * common requests go round them through fd() and io_uring (blk_ring.c). Images are locked with open-file-description locks on the
 * bytes that QEMU uses (blk_int.h), so that both programs keep out of each other's images. */
#include <fcntl.h>
#include <glib.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/backend/blk_int.h"

#define LOCK_NEED 100
#define LOCK_DENY 200
#define BOUNCE_MAX (1 * MiB)
#define IOV_BATCH 256

struct file {
    int fd;
    bool block;          /* a block device */
    bool locks;
    struct node_rights held;
    u32 align;           /* of offsets, lengths and memory: 1, or O_DIRECT's */
    pthread_mutex_t rmw; /* read-modify-write of parts of an aligned block */
};

/* -- locks ------------------------------------------------------------------------------------------------------------ */

static int file_lock_byte(int fd, short type, off_t byte)
{
    struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    return fcntl(fd, F_OFD_SETLK, &l);
}

static bool file_byte_taken(int fd, off_t byte)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static bool file_lock_refused(void) { return errno == EAGAIN || errno == EACCES; } /* else: there are no locks on that file system */

static void file_unlock(int fd, struct node_rights r)
{
    for (unsigned i = 0; i < RIGHT_BITS; i++) {
        if (r.need >> i & 1)
            file_lock_byte(fd, F_UNLCK, LOCK_NEED + i);
        if (r.deny >> i & 1)
            file_lock_byte(fd, F_UNLCK, LOCK_DENY + i);
    }
}

/* All locks are shared ones: it is by looking at the others' that programs keep out of each other's way, once they have their own. */
static int file_take(int fd, struct node_rights r, const char *path, struct err *e)
{
    for (unsigned i = 0; i < RIGHT_BITS; i++) {
        if (((r.need >> i & 1) && file_lock_byte(fd, F_RDLCK, LOCK_NEED + i) < 0 && file_lock_refused()) ||
            ((r.deny >> i & 1) && file_lock_byte(fd, F_RDLCK, LOCK_DENY + i) < 0 && file_lock_refused()))
            return err_set(e, "'%s' is locked by another process", path);
    }
    return 0;
}

static int file_look(int fd, struct node_rights r, const char *path, struct err *e)
{
    for (unsigned i = 0; i < RIGHT_BITS; i++) {
        bool need = (r.need >> i & 1) && file_byte_taken(fd, LOCK_DENY + i);
        if (need || ((r.deny >> i & 1) && file_byte_taken(fd, LOCK_NEED + i)))
            return err_set(e, "Failed to get %s\"%s\" lock. Is another process using the image [%s]?", need ? "" : "shared ",
                           right_name(1u << i), path);
    }
    return 0;
}

static int file_lock_new(int fd, struct node_rights r, const char *path, struct err *e)
{
    if (file_take(fd, r, path, e) == 0 && file_look(fd, r, path, e) == 0)
        return 0;
    file_unlock(fd, r);
    return -1;
}

static int file_lock(struct blk_node *n, struct node_rights r, struct err *e)
{
    struct file *f = n->s;
    struct node_rights new = { r.need & ~f->held.need, r.deny & ~f->held.deny };

    if (!f->locks)
        return 0;
    if ((new.need || new.deny) && file_lock_new(f->fd, new, n->filename, e) < 0)
        return -1;
    file_unlock(f->fd, (struct node_rights){ f->held.need & ~r.need, f->held.deny & ~r.deny });
    f->held = r;
    return 0;
}

/* -- opening ---------------------------------------------------------------------------------------------------------- */

static int file_measure(int fd, bool block, u64 *size)
{
    struct stat st;

    if (block)
        return ioctl(fd, BLKGETSIZE64, size);
    if (fstat(fd, &st) < 0)
        return -1;
    *size = st.st_size;
    return 0;
}

/* What O_DIRECT wants: the smallest power of two with which a read is accepted. */
static u32 file_probe_align(int fd)
{
    void *buf = NULL;
    u32 align = 512;

    if (posix_memalign(&buf, 4096, 4096))
        return 4096;
    while (align < 4096 && pread(fd, (u8 *)buf + align, align, 0) < 0 && errno == EINVAL)
        align *= 2;
    free(buf);
    return align;
}

static int file_open_fd(const char *path, unsigned flags, bool *readonly)
{
    int direct = flags & NODE_DIRECT ? O_DIRECT : 0, fd;

    *readonly = !(flags & NODE_RDWR);
    fd = open(path, (*readonly ? O_RDONLY : O_RDWR) | direct | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && !*readonly && (flags & NODE_AUTO_RO) && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        *readonly = true;
        fd = open(path, O_RDONLY | direct | O_CLOEXEC | O_NONBLOCK);
    }
    if (fd >= 0) /* it was for opening only: a pipe must not block us */
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
}

static int file_read_options(struct blk_node *n, struct opts *o, bool *locks, struct err *e)
{
    static const char *const aio[] = { "threads", "native", "io_uring", NULL }, *const locking[] = { "off", "on", "auto", NULL };
    int a, l;

    if (opts_enum(o, "aio", aio, n->flags & NODE_THREADS ? 0 : 2, &a, e) < 0 || opts_enum(o, "locking", locking, 2, &l, e) < 0)
        return -1;
    if (a == 0)
        n->flags |= NODE_THREADS;
    else
        n->flags &= ~NODE_THREADS;
    *locks = l != 0 && !(n->flags & NODE_SHARE);
    return 0;
}

static int file_check_kind(struct blk_node *n, const struct stat *st, struct err *e)
{
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return err_set(e, "'%s' is %s, not a disk image", n->filename, S_ISDIR(st->st_mode) ? "a directory" : "no file");
    if (n->drv == &blk_host_device && !S_ISBLK(st->st_mode))
        return err_set(e, "'%s' is not a block device", n->filename);
    return 0;
}

static int file_open(struct blk_node *n, struct opts *o, struct err *e)
{
    struct file *f = g_new0(struct file, 1);
    struct stat st;
    bool locks = false;
    u64 size = 0;

    f->fd = -1;
    if (file_read_options(n, o, &locks, e) < 0)
        goto fail;
    f->fd = file_open_fd(n->filename, n->flags, &n->readonly);
    if (f->fd < 0 || fstat(f->fd, &st) < 0) {
        err_set(e, "cannot open '%s': %s", n->filename, g_strerror(errno));
        goto fail;
    }
    if (file_check_kind(n, &st, e) < 0)
        goto fail;
    f->block = S_ISBLK(st.st_mode);
    f->locks = locks;
    if (file_measure(f->fd, f->block, &size) < 0) {
        err_set(e, "cannot get the size of '%s': %s", n->filename, g_strerror(errno));
        goto fail;
    }
    f->align = n->flags & NODE_DIRECT ? file_probe_align(f->fd) : 1;
    /* Direct writes to what the page cache still has go to one thread of the kernel, one after the other; nobody else writes here, as a rule. */
    if ((n->flags & NODE_DIRECT) && !n->readonly)
        posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
    pthread_mutex_init(&f->rmw, NULL);
    n->s = f;
    n->size = size;
    return 0;
fail:
    if (f->fd >= 0)
        close(f->fd);
    g_free(f);
    return -1;
}

static void file_close(struct blk_node *n)
{
    struct file *f = n->s;

    close(f->fd);
    pthread_mutex_destroy(&f->rmw);
    g_free(f);
}

static int file_reopen(struct blk_node *n, bool rdwr, struct err *e)
{
    struct file *f = n->s;
    bool readonly;
    int fd = file_open_fd(n->filename, (n->flags & ~(NODE_RDWR | NODE_AUTO_RO)) | (rdwr ? NODE_RDWR : 0), &readonly);

    if (fd < 0)
        return err_set(e, "cannot open '%s': %s", n->filename, g_strerror(errno));
    if (f->locks && file_take(fd, f->held, n->filename, e) < 0) { /* who could be in the way is kept out already */
        close(fd);
        return -1;
    }
    close(f->fd);
    f->fd = fd;
    n->readonly = readonly;
    return 0;
}

/* -- transfers -------------------------------------------------------------------------------------------------------- */

static ssize_t file_some(struct file *f, bool write, struct iovec *iov, unsigned n, u64 off)
{
    ssize_t r;

    do {
        r = write ? pwritev(f->fd, iov, MIN_OF(n, IOV_BATCH), off) : preadv(f->fd, iov, MIN_OF(n, IOV_BATCH), off);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

/* All of iov, which is changed. A read past the end of the file gives zeros. */
static int file_all(struct file *f, bool write, struct iovec *iov, unsigned n, u64 off)
{
    while (n) {
        if (!iov->iov_len) {
            iov++, n--;
            continue;
        }
        ssize_t r = file_some(f, write, iov, n, off);
        if (r < 0)
            return r;
        if (r == 0 && write)
            return -EIO;
        if (r == 0) {
            iov_zero(iov, n, 0, ~0ull);
            return 0;
        }
        off += r;
        for (; n && (size_t)r >= iov->iov_len; iov++, n--)
            r -= iov->iov_len;
        if (r) {
            iov->iov_base = (u8 *)iov->iov_base + r;
            iov->iov_len -= r;
        }
    }
    return 0;
}

static bool file_aligned(const struct file *f, u64 off, const struct iovec *iov, unsigned n)
{
    u64 bits = off;

    if (f->align == 1)
        return true;
    for (unsigned i = 0; i < n; i++)
        bits |= (u64)iov[i].iov_base | iov[i].iov_len;
    return !(bits & (f->align - 1));
}

static int file_buf(struct file *f, bool write, u64 off, void *buf, u64 len)
{
    struct iovec v = { buf, len };

    return file_all(f, write, &v, 1, off);
}

/* Through an aligned buffer, in pieces; the blocks at both ends of a write are read first. */
static int file_bounce(struct file *f, bool write, u64 off, const struct iovec *iov, unsigned n, u64 len)
{
    u64 done = 0;
    void *buf = NULL;
    int r = 0;

    if (posix_memalign(&buf, 4096, BOUNCE_MAX))
        return -ENOMEM;
    if (write)
        pthread_mutex_lock(&f->rmw);
    while (done < len && !r) {
        u64 start = ALIGN_DOWN(off + done, f->align), skip = off + done - start;
        u64 part = MIN_OF(len - done, BOUNCE_MAX - skip), size = ALIGN_UP(skip + part, f->align);
        if (!write || skip || skip + part != size)
            r = file_buf(f, false, start, buf, size);
        if (!r && write) {
            iov_read(iov, n, done, (u8 *)buf + skip, part);
            r = file_buf(f, true, start, buf, size);
        } else if (!r) {
            iov_write(iov, n, done, (u8 *)buf + skip, part);
        }
        done += part;
    }
    if (write)
        pthread_mutex_unlock(&f->rmw);
    free(buf);
    return r;
}

static int file_transfer(struct blk_node *n, bool write, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    struct file *f = n->s;
    struct iovec *copy, few[16];
    int r;

    if (!file_aligned(f, off, iov, n_iov))
        return file_bounce(f, write, off, iov, n_iov, len);
    copy = n_iov <= ARRAY_LEN(few) ? few : g_new(struct iovec, n_iov);
    memcpy(copy, iov, n_iov * sizeof(*iov));
    r = file_all(f, write, copy, n_iov, off);
    if (copy != few)
        g_free(copy);
    return r;
}

static int file_read(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    return file_transfer(n, false, off, iov, n_iov, len);
}

/* Takes notice that the file reaches to `end`. */
static void file_grown(struct blk_node *n, u64 end)
{
    u64 size = node_size(n);

    while (size < end && !__atomic_compare_exchange_n(&n->size, &size, end, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

static int file_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    int r = file_transfer(n, true, off, iov, n_iov, len);

    if (!r)
        file_grown(n, off + len);
    return r;
}

static int file_zero(struct blk_node *n, u64 off, u64 len, unsigned flags)
{
    struct file *f = n->s;
    bool unmap = (flags & BLK_MAY_UNMAP) && (n->flags & NODE_UNMAP);
    u64 range[2] = { off, len };

    if (f->block)
        return ioctl(f->fd, BLKZEROOUT, range) < 0 ? -ENOTSUP : 0;
    if (off + len > node_size(n)) {
        if (ftruncate(f->fd, off + len) < 0)
            return -errno;
        file_grown(n, off + len);
    }
    if (!unmap && fallocate(f->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len) == 0)
        return 0;
    if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == EINVAL ? -ENOTSUP : -errno;
}

static int file_discard(struct blk_node *n, u64 off, u64 len)
{
    struct file *f = n->s;
    u64 range[2] = { ALIGN_UP(off, 512), ALIGN_DOWN(off + len, 512) };

    if (f->block) {
        if (range[1] <= range[0])
            return 0;
        range[1] -= range[0];
        return ioctl(f->fd, BLKDISCARD, range) < 0 && errno != EOPNOTSUPP ? -errno : 0;
    }
    if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len) < 0 && errno != EOPNOTSUPP)
        return -errno;
    return 0;
}

static int file_flush(struct blk_node *n)
{
    return fdatasync(((struct file *)n->s)->fd) < 0 ? -errno : 0;
}

static int file_check_preallocation(const char *how, struct err *e)
{
    if (how && strcmp(how, "off") && strcmp(how, "falloc") && strcmp(how, "full"))
        return err_set(e, "preallocation=%s: not one of off, falloc, full", how);
    return 0;
}

static int file_preallocate(int fd, u64 from, u64 to, const char *how, const char *path, struct err *e)
{
    static const u8 zeros[64 * KiB];

    if (!how || !strcmp(how, "off") || from >= to)
        return 0;
    if (!strcmp(how, "falloc")) {
        int r = posix_fallocate(fd, from, to - from);
        return r ? err_set(e, "cannot allocate space for '%s': %s", path, g_strerror(r)) : 0;
    }
    while (from < to) {
        ssize_t r = pwrite(fd, zeros, MIN_OF(to - from, sizeof(zeros)), from);
        if (r <= 0)
            return err_set(e, "cannot write '%s': %s", path, g_strerror(r < 0 ? errno : ENOSPC));
        from += r;
    }
    return 0;
}

static int file_truncate(struct blk_node *n, u64 size, const char *preallocation, struct err *e)
{
    struct file *f = n->s;
    u64 old = node_size(n), now = 0;

    if (file_check_preallocation(preallocation, e) < 0)
        return -1;
    if (f->block) { /* the host resizes it, we look again */
        if (file_measure(f->fd, true, &now) < 0 || now < size)
            return err_set(e, "'%s' is a block device of %llu bytes", n->filename, (unsigned long long)now);
    } else if (ftruncate(f->fd, size) < 0) {
        return err_set(e, "cannot resize '%s': %s", n->filename, g_strerror(errno));
    } else if (file_preallocate(f->fd, old, size, preallocation, n->filename, e) < 0) {
        return ftruncate(f->fd, old) < 0 ? -1 : -1;
    }
    __atomic_store_n(&n->size, size, __ATOMIC_RELAXED);
    return 0;
}

static int file_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x)
{
    struct file *f = n->s;
    off_t data = lseek(f->fd, off, SEEK_DATA), hole;

    *x = (struct blk_extent){ .len = len, .data = true, .allocated = true, .has_offset = true, .offset = off };
    if (f->block || (data < 0 && errno != ENXIO))
        return 0;
    if (data < 0 || (u64)data > off) {
        x->zero = true;
        x->data = false;
        if (data >= 0)
            x->len = MIN_OF(len, (u64)data - off);
        return 0;
    }
    hole = lseek(f->fd, off, SEEK_HOLE);
    if (hole >= 0 && (u64)hole > off)
        x->len = MIN_OF(len, (u64)hole - off);
    return 0;
}

static int file_map(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out)
{
    if (n->flags & NODE_THREADS || (write && off + len > node_size(n)))
        return -EAGAIN;
    *out = (struct blk_map){ .file = n, .off = off };
    return 0;
}

static int file_fd(struct blk_node *n, u32 *align)
{
    struct file *f = n->s;

    *align = f->align;
    return f->fd;
}

static u64 file_allocated(struct blk_node *n)
{
    struct stat st;

    return fstat(((struct file *)n->s)->fd, &st) < 0 ? 0 : (u64)st.st_blocks * 512;
}

int file_create(const char *path, u64 size, const char *preallocation, struct err *e)
{
    struct stat st;
    int fd, r = 0;

    if (file_check_preallocation(preallocation, e) < 0)
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(e, "cannot create '%s': %s", path, g_strerror(errno));
    if (fstat(fd, &st) < 0)
        r = err_set(e, "cannot create '%s': %s", path, g_strerror(errno));
    else if (file_lock_new(fd, node_rights_alone(false), path, e) < 0)
        r = -1;
    else if (S_ISREG(st.st_mode) && (ftruncate(fd, 0) < 0 || ftruncate(fd, size) < 0))
        r = err_set(e, "cannot resize '%s': %s", path, g_strerror(errno));
    else if (S_ISREG(st.st_mode))
        r = file_preallocate(fd, 0, size, preallocation, path, e);
    close(fd);
    return r;
}

static int file_create_image(const struct blk_create *c, struct err *e)
{
    return file_create(c->filename, c->size, opts_get(c->o, "preallocation"), e);
}

const struct blk_driver blk_file = {
    .name = "file", .protocol = true, .growable = true, .open = file_open, .close = file_close, .read = file_read, .write = file_write,
    .zero = file_zero, .discard = file_discard, .flush = file_flush, .truncate = file_truncate, .status = file_status,
    .map = file_map, .fd = file_fd, .create = file_create_image, .reopen = file_reopen, .lock = file_lock, .allocated = file_allocated,
};

const struct blk_driver blk_host_device = {
    .name = "host_device", .protocol = true, .open = file_open, .close = file_close, .read = file_read, .write = file_write,
    .zero = file_zero, .discard = file_discard, .flush = file_flush, .truncate = file_truncate, .status = file_status,
    .map = file_map, .fd = file_fd, .create = file_create_image, .reopen = file_reopen, .lock = file_lock, .allocated = file_allocated,
};
