/* Character back ends: the base object and its output queue. Input is read on the main loop's thread; output is written at once by the
 * calling thread where the host takes it, and else queued and written by the main loop. Called by serial ports, consoles, monitors and
 * the gdb server. */
#include "hw/backend/chr_impl.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_MAX (64 * MiB)  /* a peer that stopped reading may cost this much memory, then output is dropped */
#define READ_MAX 4096
#define FLUSH_MS 1000         /* how long chr_free_all waits for a slow peer */

static void update(struct chr *c);

/* --- the output queue; lock held --- */

static unsigned queue_len(const struct chr *c)
{
    return c->queue->len - c->sent;
}

static void queue_clear(struct chr *c)
{
    g_byte_array_set_size(c->queue, 0);
    c->sent = 0;
}

/* Drops n bytes at the front; the rest is moved only now and then, so that a long queue costs no more than its bytes. */
static void queue_consume(struct chr *c, unsigned n)
{
    c->sent += n;
    if (c->sent == c->queue->len) {
        queue_clear(c);
    } else if (c->sent > c->queue->len / 2) {
        g_byte_array_remove_range(c->queue, 0, c->sent);
        c->sent = 0;
    }
}

GSource *chr_watch(int fd, GIOCondition cond, GUnixFDSourceFunc fn, void *opaque)
{
    GSource *s = g_unix_fd_source_new(fd, cond);

    g_source_set_callback(s, G_SOURCE_FUNC(fn), opaque, NULL);
    g_source_set_can_recurse(s, TRUE); /* it does not; but GLib would make system calls at each event to prevent it */
    g_source_attach(s, NULL);
    return s;
}

void chr_unwatch(GSource **s)
{
    if (!*s)
        return;
    g_source_destroy(*s);
    g_source_unref(*s);
    *s = NULL;
}

/* --- front end --- */

unsigned chr_can_read(struct chr *c)
{
    return c->read && c->can_read ? c->can_read(c->opaque) : 0;
}

void chr_deliver(struct chr *c, const u8 *buf, unsigned len)
{
    if (c->read && len)
        c->read(c->opaque, buf, len);
}

void chr_send_event(struct chr *c, enum chr_event ev)
{
    if (ev == CHR_OPENED)
        c->announced = true;
    if (ev == CHR_CLOSED)
        c->announced = false;
    if (c->event)
        c->event(c->opaque, ev);
}

void chr_attach(struct chr *c, unsigned (*can_read)(void *), void (*read)(void *, const u8 *, unsigned),
                void (*event)(void *, enum chr_event), void *opaque)
{
    c->can_read = can_read;
    c->read = read;
    c->event = event;
    c->drained = NULL;
    c->opaque = opaque;
    c->announced = false;
    if (c->kind->attached)
        c->kind->attached(c, read != NULL);
    chr_post_update(c);
}

static gboolean on_update(gpointer opaque)
{
    struct chr *c = opaque;

    __atomic_store_n(&c->poke_posted, 0, __ATOMIC_RELEASE);
    update(c);
    return G_SOURCE_REMOVE;
}

void chr_post_update(struct chr *c)
{
    if (!__atomic_exchange_n(&c->poke_posted, 1, __ATOMIC_ACQ_REL))
        g_idle_add_full(G_PRIORITY_DEFAULT, on_update, c, NULL);
}

void chr_accept_input(struct chr *c)
{
    chr_post_update(c);
}

/* Nothing more will come from rfd. */
static void input_ended(struct chr *c)
{
    if (!c->kind->halves) {
        chr_disconnect(c);
        return;
    }
    chr_unwatch(&c->in);
    c->rfd = -1;
}

/* A write has failed. */
static void output_ended(struct chr *c)
{
    if (!c->kind->halves) {
        chr_disconnect(c);
        return;
    }
    lock_acquire(&c->lock);
    chr_unwatch(&c->out);
    if (c->own_wfd && c->wfd != c->rfd)
        close(c->wfd);
    c->wfd = -1;
    lock_release(&c->lock);
}

/* Reads what there is. May be told to stop by what it delivers: the source is then gone already. */
static gboolean on_input(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chr *c = opaque;
    u8 buf[READ_MAX];
    unsigned room = chr_can_read(c);
    ssize_t n;

    if (!room) {
        chr_unwatch(&c->in);
        return G_SOURCE_REMOVE;
    }
    room = MIN_OF(room, READ_MAX);
    n = c->kind->recv ? c->kind->recv(c, buf, room) : read(fd, buf, room);
    if (n > 0) {
        chr_deliver(c, buf, (unsigned)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        input_ended(c);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* Brings what is watched and what the front end was told in line with the state. Main thread. */
static void update(struct chr *c)
{
    bool connected, lost;

    lock_acquire(&c->lock);
    lost = c->lost;
    c->lost = false;
    connected = c->connected;
    lock_release(&c->lock);
    if (lost) {
        output_ended(c);
        return;
    }
    if (connected && !c->announced && c->read)
        chr_send_event(c, CHR_OPENED);
    if (c->kind->poke)
        c->kind->poke(c);
    if (c->rfd >= 0 && !c->in && chr_can_read(c))
        c->in = chr_watch(c->rfd, G_IO_IN, on_input, c);
}

void chr_connect(struct chr *c, int rfd, int wfd, bool own)
{
    int type;
    socklen_t len = sizeof(type);

    c->rfd = rfd;
    c->own_rfd = c->own_wfd = own;
    lock_acquire(&c->lock);
    c->wfd = wfd;
    c->w_is_socket = wfd >= 0 && !getsockopt(wfd, SOL_SOCKET, SO_TYPE, &type, &len);
    c->connected = true;
    c->lost = false;
    queue_clear(c);
    lock_release(&c->lock);
    chr_post_update(c);
}

static void close_fds(struct chr *c)
{
    int rfd = c->rfd, wfd;

    chr_unwatch(&c->in);
    c->rfd = -1;
    lock_acquire(&c->lock);
    chr_unwatch(&c->out);
    wfd = c->wfd;
    c->wfd = -1;
    c->connected = false;
    queue_clear(c);
    lock_release(&c->lock);
    if (rfd >= 0 && c->own_rfd)
        close(rfd);
    if (wfd >= 0 && wfd != rfd && c->own_wfd)
        close(wfd);
}

void chr_disconnect(struct chr *c)
{
    close_fds(c);
    if (c->announced)
        chr_send_event(c, CHR_CLOSED);
    if (c->kind->disconnected)
        c->kind->disconnected(c);
}

/* --- output --- */

/* Writes what the host takes now; -1 if the peer has gone. Lock held. */
static ssize_t write_some(struct chr *c, const u8 *buf, size_t len)
{
    ssize_t n;

    do {
        n = c->w_is_socket ? send(c->wfd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(c->wfd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

/* Notes that the peer has gone. The main thread does the rest. Lock held. */
static void write_failed(struct chr *c)
{
    if (c->kind->halves && errno != EPIPE)
        warn_report("%s: writing failed: %s", c->id, strerror(errno));
    queue_clear(c);
    c->lost = true;
    chr_post_update(c);
}

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chr *c = opaque;
    bool empty;
    ssize_t n;

    lock_acquire(&c->lock);
    if (c->wfd == fd && !c->lost) {
        n = write_some(c, c->queue->data + c->sent, queue_len(c));
        if (n < 0)
            write_failed(c);
        else
            queue_consume(c, (unsigned)n);
    }
    empty = queue_len(c) == 0;
    if (empty)
        chr_unwatch(&c->out);
    lock_release(&c->lock);
    if (empty && c->drained)
        c->drained(c->opaque);
    return G_SOURCE_CONTINUE; /* of a destroyed source: ignored */
}

/* Lock held. */
static void enqueue(struct chr *c, const u8 *buf, size_t len)
{
    if (queue_len(c) + len > QUEUE_MAX) {
        if (!c->full_warned)
            warn_report("%s: the peer does not read; output is being dropped", c->id);
        c->full_warned = true;
        return;
    }
    g_byte_array_append(c->queue, buf, (guint)len);
    if (!c->out)
        c->out = chr_watch(c->wfd, G_IO_OUT, on_writable, c);
}

/* Lock held. A log that cannot be written ends, with one line that says so. */
static void write_log(struct chr *c, const u8 *buf, size_t len)
{
    while (len && c->log_fd >= 0) {
        ssize_t n = write(c->log_fd, buf, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            warn_report("%s: writing the log file failed: %s", c->id, n ? strerror(errno) : "no progress");
            close(c->log_fd);
            c->log_fd = -1;
            return;
        }
        buf += n;
        len -= (size_t)n;
    }
}

/* Writes what can be written at once, and queues the rest. Lock held. */
static void put(struct chr *c, const u8 *buf, unsigned len)
{
    ssize_t n = 0;

    if (c->wfd < 0 || c->lost)
        return;
    if (queue_len(c) == 0)
        n = write_some(c, buf, len);
    if (n < 0)
        write_failed(c);
    else if ((size_t)n < len)
        enqueue(c, buf + n, len - (size_t)n);
}

void chr_write_raw(struct chr *c, const u8 *buf, unsigned len)
{
    lock_acquire(&c->lock);
    put(c, buf, len);
    lock_release(&c->lock);
}

unsigned chr_write(struct chr *c, const u8 *buf, unsigned len)
{
    if (!len)
        return 0;
    if (c->log_fd >= 0) {
        lock_acquire(&c->lock);
        write_log(c, buf, len);
        lock_release(&c->lock);
    }
    if (c->kind->write) {
        c->kind->write(c, buf, len);
        return len;
    }
    lock_acquire(&c->lock);
    if (c->encode && c->wfd >= 0) {
        GByteArray *b = g_byte_array_sized_new(len + 16);
        c->encode(b, buf, len);
        put(c, b->data, b->len);
        g_byte_array_unref(b);
    } else {
        put(c, buf, len);
    }
    lock_release(&c->lock);
    return len;
}

unsigned chr_pending(struct chr *c)
{
    unsigned n;

    if (c->kind->pending)
        return c->kind->pending(c);
    lock_acquire(&c->lock);
    n = queue_len(c);
    lock_release(&c->lock);
    return n;
}

void chr_on_drained(struct chr *c, void (*fn)(void *opaque)) { c->drained = fn; }

bool chr_is_open(struct chr *c)
{
    bool open;

    lock_acquire(&c->lock);
    open = c->connected || c->kind->write || c->kind == &chr_null;
    lock_release(&c->lock);
    return open;
}

/* Gives a slow peer a last chance to take what is queued. */
static void flush(struct chr *c)
{
    struct pollfd p = { .events = POLLOUT };
    ssize_t n;

    lock_acquire(&c->lock);
    while (c->wfd >= 0 && queue_len(c)) {
        p.fd = c->wfd;
        if (poll(&p, 1, FLUSH_MS) <= 0)
            break;
        n = write_some(c, c->queue->data + c->sent, queue_len(c));
        if (n < 0)
            break;
        queue_consume(c, (unsigned)n);
    }
    lock_release(&c->lock);
}

/* --- creation and end --- */

struct chr *chr_alloc(const char *id, const struct chr_kind *kind)
{
    struct chr *c = g_new0(struct chr, 1);

    c->id = g_strdup(id);
    c->kind = kind;
    c->filename = g_strdup(kind->name);
    c->rfd = c->wfd = c->log_fd = -1;
    c->queue = g_byte_array_new();
    lock_init(&c->lock, "chr", RANK_BACKEND);
    return c;
}

void chr_free(struct chr *c)
{
    if (!c)
        return;
    chr_unlink(c);
    flush(c);
    close_fds(c);
    if (c->kind->close)
        c->kind->close(c);
    while (g_idle_remove_by_data(c))
        ;
    if (c->log_fd >= 0)
        close(c->log_fd);
    lock_fini(&c->lock);
    g_byte_array_unref(c->queue);
    g_free(c->filename);
    g_free(c->id);
    g_free(c);
}

const char *chr_id(const struct chr *c)
{
    return c->id ? c->id : "";
}

const char *chr_filename(const struct chr *c)
{
    return c->filename;
}

void chr_set_filename(struct chr *c, const char *fmt, ...)
{
    va_list ap;

    g_free(c->filename);
    va_start(ap, fmt);
    c->filename = g_strdup_vprintf(fmt, ap);
    va_end(ap);
}

bool chr_has_front_end(const struct chr *c)
{
    return c->read != NULL;
}

void chr_send_break(struct chr *c)
{
    chr_send_event(c, CHR_BREAK);
}
