/* The protocol "nbd": a network block device, through libnbd. Requests come from worker threads and wait; one thread for each connection
 * ("nbd") moves bytes on its socket, so that many are under way at a time. Opened and closed on the main thread. */
#include "config.h"
#include "hw/backend/blk_int.h"
#if HAVE_LIBNBD
#include <glib.h>
#include <libnbd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "util/lazy.h"

#define REQUEST_MAX (4 * MiB)   /* bytes that one message carries */
#define ZERO_MAX (1 * GiB)      /* of requests without data */

struct nbd {
    struct nbd_handle *h;
    int wake;                   /* eventfd: there is something to send, or to end */
    pthread_t thread;
    pthread_mutex_t m;
    pthread_cond_t done;        /* some request is */
    bool ending;                /* [atomic] */
    bool flush, trim, zero, contexts;
};

struct request {
    struct nbd *s;
    bool done;
    int ret;
    struct blk_extent *x;       /* block status */
};

/* -- the connection's thread ------------------------------------------------------------------------------------------ */

static void nbd_wake(struct nbd *s)
{
    const u64 one = 1;

    if (write(s->wake, &one, sizeof(one)) < 0)
        assert(!"eventfd");
}

static void *nbd_run(void *opaque)
{
    struct nbd *s = opaque;
    u64 count;

    while (!__atomic_load_n(&s->ending, __ATOMIC_ACQUIRE)) {
        bool dead = nbd_aio_is_dead(s->h) || nbd_aio_is_closed(s->h);
        unsigned dir = dead ? 0 : nbd_aio_get_direction(s->h);
        struct pollfd p[2] = { { s->wake, POLLIN, 0 }, { dead ? -1 : nbd_aio_get_fd(s->h), 0, 0 } };
        p[1].events = (dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) | (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if ((p[0].revents & POLLIN) && read(s->wake, &count, sizeof(count)) < 0)
            continue;
        if ((dir & LIBNBD_AIO_DIRECTION_READ) && (p[1].revents & (POLLIN | POLLHUP | POLLERR)))
            nbd_aio_notify_read(s->h);
        else if ((dir & LIBNBD_AIO_DIRECTION_WRITE) && (p[1].revents & (POLLOUT | POLLHUP | POLLERR)))
            nbd_aio_notify_write(s->h);
    }
    return NULL;
}

/* -- requests: worker threads ----------------------------------------------------------------------------------------- */

static int on_done(void *opaque, int *error)
{
    struct request *q = opaque;

    pthread_mutex_lock(&q->s->m);
    q->ret = -*error;
    q->done = true;
    pthread_cond_broadcast(&q->s->done);
    pthread_mutex_unlock(&q->s->m);
    return 1;
}

/* cookie: what the nbd_aio_ function returned for q. */
static int request_wait(struct request *q, i64 cookie)
{
    if (cookie < 0) {
        int e = nbd_get_errno();
        return e == EINVAL || e == ENOTSUP ? -e : -EIO;
    }
    nbd_wake(q->s);
    pthread_mutex_lock(&q->s->m);
    while (!q->done)
        pthread_cond_wait(&q->s->done, &q->s->m);
    pthread_mutex_unlock(&q->s->m);
    return q->ret == -ENOTCONN || q->ret == -ESHUTDOWN ? -EIO : q->ret;
}

static int nbd_flat(struct nbd *s, bool write, u64 off, u8 *buf, u64 len)
{
    for (u64 part; len; off += part, buf += part, len -= part) {
        struct request q = { .s = s };
        nbd_completion_callback cb = { .callback = on_done, .user_data = &q };
        part = MIN_OF(len, REQUEST_MAX);
        int r = request_wait(&q, write ? nbd_aio_pwrite(s->h, buf, part, off, cb, 0) : nbd_aio_pread(s->h, buf, part, off, cb, 0));
        if (r < 0)
            return r;
    }
    return 0;
}

static int nbd_read(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    if (n_iov == 1)
        return nbd_flat(n->s, false, off, iov->iov_base, len);
    u8 *buf = g_malloc(len);
    int r = nbd_flat(n->s, false, off, buf, len);
    iov_write(iov, n_iov, 0, buf, len);
    g_free(buf);
    return r;
}

static int nbd_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len)
{
    if (n_iov == 1)
        return nbd_flat(n->s, true, off, iov->iov_base, len);
    u8 *buf = g_malloc(len);
    iov_read(iov, n_iov, 0, buf, len);
    int r = nbd_flat(n->s, true, off, buf, len);
    g_free(buf);
    return r;
}

static int nbd_zero_range(struct blk_node *n, u64 off, u64 len, unsigned flags)
{
    struct nbd *s = n->s;

    if (!s->zero)
        return -ENOTSUP;
    for (u64 part; len; off += part, len -= part) {
        struct request q = { .s = s };
        part = MIN_OF(len, ZERO_MAX);
        int r = request_wait(&q, nbd_aio_zero(s->h, part, off, (nbd_completion_callback){ .callback = on_done, .user_data = &q },
                                              flags & BLK_MAY_UNMAP ? 0 : LIBNBD_CMD_FLAG_NO_HOLE));
        if (r < 0)
            return r;
    }
    return 0;
}

static int nbd_discard(struct blk_node *n, u64 off, u64 len)
{
    struct nbd *s = n->s;

    for (u64 part; s->trim && len; off += part, len -= part) {
        struct request q = { .s = s };
        part = MIN_OF(len, ZERO_MAX);
        int r = request_wait(&q, nbd_aio_trim(s->h, part, off, (nbd_completion_callback){ .callback = on_done, .user_data = &q }, 0));
        if (r < 0)
            return r;
    }
    return 0;
}

static int nbd_flush_all(struct blk_node *n)
{
    struct nbd *s = n->s;
    struct request q = { .s = s };

    return s->flush ? request_wait(&q, nbd_aio_flush(s->h, (nbd_completion_callback){ .callback = on_done, .user_data = &q }, 0)) : 0;
}

/* The first extent of the answer. */
static int on_extents(void *opaque, const char *context, uint64_t off, uint32_t *e, size_t n, int *error)
{
    struct request *q = opaque;

    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) || n < 2 || !e[0])
        return 0;
    q->x->len = MIN_OF(q->x->len, e[0]);
    q->x->zero = e[1] & LIBNBD_STATE_ZERO;
    q->x->data = !(e[1] & LIBNBD_STATE_HOLE);
    return 0;
}

static int nbd_get_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x)
{
    struct nbd *s = n->s;
    struct request q = { .s = s, .x = x };

    *x = (struct blk_extent){ .len = MIN_OF(len, ZERO_MAX), .data = true, .allocated = true, .has_offset = true, .offset = off };
    if (!s->contexts)
        return 0;
    return request_wait(&q, nbd_aio_block_status(s->h, x->len, off, (nbd_extent_callback){ .callback = on_extents, .user_data = &q },
                                                 (nbd_completion_callback){ .callback = on_done, .user_data = &q }, 0));
}

/* -- opening ---------------------------------------------------------------------------------------------------------- */

/* "nbd:HOST:PORT[:exportname=NAME]", "nbd:unix:PATH[:exportname=NAME]". */
static int connect_old_form(struct nbd_handle *h, const char *name)
{
    const char *at = strstr(name, ":exportname=");
    char *where = at ? g_strndup(name + 4, at - name - 4) : g_strdup(name + 4), *colon;
    int r = at ? nbd_set_export_name(h, at + 12) : 0;

    if (!r && g_str_has_prefix(where, "unix:")) {
        r = nbd_connect_unix(h, where + 5);
    } else if (!r) {
        colon = strrchr(where, ':');
        if (colon)
            *colon = 0;
        r = nbd_connect_tcp(h, where, colon ? colon + 1 : "10809");
    }
    g_free(where);
    return r;
}

static int connect_options(struct nbd_handle *h, struct opts *o, struct err *e)
{
    const char *type = opts_get(o, "server.type"), *path = opts_get(o, "server.path"), *host = opts_get(o, "server.host");
    const char *port = opts_get(o, "server.port"), *export = opts_get(o, "export");

    if (!type) {
        path = path ? path : opts_get(o, "path");
        host = host ? host : opts_get(o, "host");
        port = port ? port : opts_get(o, "port");
    }
    if (type && strcmp(type, "inet") && strcmp(type, "unix"))
        return err_set(e, "nbd: server.type=%s: not one of inet, unix", type);
    if (!path == !host || (type && !strcmp(type, "unix")) != (path != NULL && type))
        return err_set(e, "nbd: say server.type=inet,server.host=HOST,server.port=N or server.type=unix,server.path=PATH");
    if (export && nbd_set_export_name(h, export) < 0)
        return err_set(e, "nbd: %s", nbd_get_error());
    if ((path ? nbd_connect_unix(h, path) : nbd_connect_tcp(h, host, port ? port : "10809")) < 0)
        return err_set(e, "cannot connect to the NBD server '%s': %s", path ? path : host, nbd_get_error());
    return 0;
}

static int connect_any(struct blk_node *n, struct nbd_handle *h, struct opts *o, struct err *e)
{
    const char *name = n->filename;
    int r;

    if (opts_get(o, "tls-creds"))
        return err_set(e, "nbd: tls-creds= is not available; use nbds:// with libnbd's environment");
    nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION);
    if (!*name)
        return connect_options(h, o, e);
    r = strncmp(name, "nbd:", 4) || !strncmp(name, "nbd://", 6) ? nbd_connect_uri(h, name) : connect_old_form(h, name);
    return r < 0 ? err_set(e, "cannot connect to '%s': %s", name, nbd_get_error()) : 0;
}

static int nbd_start(struct blk_node *n, struct nbd *s, struct opts *o, struct err *e)
{
    i64 size;

    if (connect_any(n, s->h, o, e) < 0)
        return -1;
    size = nbd_get_size(s->h);
    if (size < 0)
        return err_set(e, "nbd: the server does not say how large '%s' is", n->filename);
    if (nbd_is_read_only(s->h) > 0 && (n->flags & NODE_RDWR)) {
        if (!(n->flags & NODE_AUTO_RO))
            return err_set(e, "request on denied: the NBD export '%s' is read-only", n->filename);
        n->readonly = true;
    }
    n->size = size;
    s->flush = nbd_can_flush(s->h) > 0;
    s->trim = nbd_can_trim(s->h) > 0;
    s->zero = nbd_can_zero(s->h) > 0;
    s->contexts = nbd_can_meta_context(s->h, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
    return thread_start(&s->thread, "nbd", nbd_run, s) < 0 ? err_set(e, "nbd: cannot start a thread") : 0;
}

static void nbd_free(struct nbd *s)
{
    nbd_close(s->h);
    close(s->wake);
    pthread_mutex_destroy(&s->m);
    pthread_cond_destroy(&s->done);
    g_free(s);
}

static int nbd_open(struct blk_node *n, struct opts *o, struct err *e)
{
    struct nbd *s;

    if (lazy_load(LAZY_NBD, e) < 0)
        return err_prefix(e, "nbd");
    s = g_new0(struct nbd, 1);
    s->h = nbd_create();
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&s->m, NULL);
    pthread_cond_init(&s->done, NULL);
    if (!s->h || s->wake < 0)
        err_set(e, "nbd: %s", s->h ? g_strerror(errno) : nbd_get_error());
    else if (nbd_start(n, s, o, e) == 0) {
        n->s = s;
        return 0;
    }
    nbd_free(s);
    return -1;
}

static void nbd_end(struct blk_node *n)
{
    struct nbd *s = n->s;

    __atomic_store_n(&s->ending, true, __ATOMIC_RELEASE);
    nbd_wake(s);
    pthread_join(s->thread, NULL);
    nbd_shutdown(s->h, 0);
    nbd_free(s);
}

const struct blk_driver blk_nbd = {
    .name = "nbd", .protocol = true, .open = nbd_open, .close = nbd_end, .read = nbd_read, .write = nbd_write, .zero = nbd_zero_range,
    .discard = nbd_discard, .flush = nbd_flush_all, .status = nbd_get_status,
};
#else
static int nbd_open(struct blk_node *n, struct opts *o, struct err *e)
{
    return err_set(e, "this build has no NBD client (libnbd)");
}

const struct blk_driver blk_nbd = { .name = "nbd", .protocol = true, .open = nbd_open };
#endif
