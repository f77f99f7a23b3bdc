/* Raw disk images on a host file or block device, read with pread. Opened on the main thread; reads run on the calling
 * device's thread with the machine lock held. */
#include <fcntl.h>
#include <glib.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "util/err.h"

struct blk {
    int fd;
    u64 size;
    char *path;
};

static int blk_measure(int fd, const struct stat *st, u64 *size)
{
    if (S_ISBLK(st->st_mode))
        return ioctl(fd, BLKGETSIZE64, size);
    *size = st->st_size;
    return 0;
}

struct blk *blk_open(const char *option, const char *path, struct err *e)
{
    struct stat st;
    u64 size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0) {
        err_set(e, "%s: cannot open '%s': %s", option, path, g_strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        err_set(e, "%s: '%s' is %s, not a disk image", option, path, S_ISDIR(st.st_mode) ? "a directory" : "no file");
        goto fail;
    }
    if (blk_measure(fd, &st, &size) < 0) {
        err_set(e, "%s: cannot get the size of '%s': %s", option, path, g_strerror(errno));
        goto fail;
    }
    if (size < 512) {
        err_set(e, "%s: '%s' has %u bytes, less than one disk sector", option, path, (unsigned)size);
        goto fail;
    }
    struct blk *b = g_new0(struct blk, 1);
    b->fd = fd;
    b->size = size;
    b->path = g_strdup(path);
    return b;
fail:
    if (fd >= 0)
        close(fd);
    return NULL;
}

void blk_close(struct blk *b)
{
    if (!b)
        return;
    close(b->fd);
    g_free(b->path);
    g_free(b);
}

const char *blk_path(const struct blk *b) { return b->path; }
u64 blk_size(const struct blk *b) { return b->size; }
bool blk_readonly(const struct blk *b) { return true; }

int blk_pread(struct blk *b, u64 off, void *buf, u32 len)
{
    u8 *p = buf;

    while (len) {
        ssize_t n = pread(b->fd, p, len, off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            memset(p, 0, len);
            return 0;
        }
        p += n;
        off += n;
        len -= n;
    }
    return 0;
}
