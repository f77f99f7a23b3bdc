/* Random bytes of the host's kernel or of a file. Any thread may read; made and freed on the main thread. */
#include "hw/backend/rng.h"
#include <fcntl.h>
#include <glib.h>
#include <sys/random.h>
#include <unistd.h>
#include "util/err.h"
#include "util/opts.h"

struct rng {
    char *id;
    int fd;   /* -1: the kernel's generator */
    unsigned users; /* [machine lock] */
    struct rng *next;
};

static struct rng builtin = { .fd = -1 };
static struct rng *first; /* main thread */

static int open_source(const char *type, struct opts *o, int *fd, struct err *e)
{
    const char *file = opts_get(o, "filename");

    *fd = -1;
    if (!strcmp(type, "rng-builtin"))
        return file ? err_set(e, "rng-builtin has no property 'filename'") : 0;
    if (strcmp(type, "rng-random"))
        return err_set(e, "%s: no source of random bytes; there are rng-random and rng-builtin", type);
    file = file ? file : "/dev/urandom";
    *fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return *fd < 0 ? err_set(e, "rng-random: cannot open '%s': %s", file, g_strerror(errno)) : 0;
}

struct rng *rng_new(struct opts *o, struct err *e)
{
    const char *type = opts_get(o, "qom-type"), *id = opts_get(o, "id");
    int fd;

    if (!type || !id || !*id) {
        err_set(e, "an rng object needs a type and id=");
        return NULL;
    }
    if (rng_find(id)) {
        err_set(e, "there is an object with id '%s' already", id);
        return NULL;
    }
    if (open_source(type, o, &fd, e) < 0)
        return NULL;
    struct rng *r = g_new0(struct rng, 1);
    r->id = g_strdup(id);
    r->fd = fd;
    r->next = first;
    first = r;
    return r;
}

struct rng *rng_find(const char *id)
{
    struct rng *r = first;

    if (!id || !*id)
        return &builtin;
    while (r && strcmp(r->id, id))
        r = r->next;
    return r;
}

void rng_use(struct rng *r, bool on) { r->users += on ? 1 : -1; }

static void rng_free(struct rng *r)
{
    struct rng **p = &first;

    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    if (r->fd >= 0)
        close(r->fd);
    g_free(r->id);
    g_free(r);
}

int rng_del(const char *id, struct err *e)
{
    struct rng *r = rng_find(id);

    if (!r || r == &builtin)
        return err_set(e, "object '%s' not found", id);
    if (r->users)
        return err_set(e, "object '%s' is in use, can not be deleted", id);
    rng_free(r);
    return 0;
}

void rng_free_all(void)
{
    while (first)
        rng_free(first);
}

int rng_read(struct rng *r, void *buf, u64 len)
{
    u8 *p = buf;

    while (len) {
        ssize_t n = r->fd < 0 ? getrandom(p, len, 0) : read(r->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        len -= n;
    }
    return 0;
}
