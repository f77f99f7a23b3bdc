/* -netdev stream, and -netdev socket with listen=, connect= or fd=: frames over a connected stream, each behind its length in 32 bits,
 * most significant byte first. Main thread, from net.c. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/backend/net_impl.h"
#include "util/opts.h"
#include "util/sock.h"
#include "util/unix_path.h"

enum { LENGTH_SIZE = 4, IN_SIZE = 128 * 1024, OUT_MAX = 512 * 1024 };

struct stream {
    struct net_stream_config c;
    int listener, fd;     /* -1: none */
    bool connecting;
    GSource *accept, *in, *out, *retry;
    char *unlink_path;
    GByteArray *pending;  /* to be written */
    unsigned sent;        /* of that */
    u8 *buf;              /* received, not yet a whole frame */
    unsigned have;
};

static void stream_connected(struct net *n, int fd);
static int stream_connect(struct net *n, struct err *e);

/* -- the connection goes -------------------------------------------------------------------------------------------- */

static gboolean on_retry(gpointer opaque)
{
    struct net *n = opaque;
    struct stream *s = n->priv;
    struct err e;

    net_unwatch(&s->retry);
    stream_connect(n, &e);
    return G_SOURCE_REMOVE;
}

static void retry_later(struct net *n)
{
    struct stream *s = n->priv;

    if (!s->c.reconnect || s->retry)
        return;
    s->retry = g_timeout_source_new_seconds(s->c.reconnect);
    g_source_set_callback(s->retry, on_retry, n, NULL);
    g_source_attach(s->retry, NULL);
}

static gboolean on_accept(gint fd, GIOCondition cond, gpointer opaque)
{
    struct net *n = opaque;
    struct stream *s = n->priv;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (peer < 0)
        return G_SOURCE_CONTINUE;
    net_unwatch(&s->accept);
    stream_connected(n, peer);
    return G_SOURCE_REMOVE;
}

static void drop_output(struct stream *s)
{
    g_byte_array_set_size(s->pending, 0);
    s->sent = 0;
}

static void stream_disconnect(struct net *n)
{
    struct stream *s = n->priv;

    net_unwatch(&s->in);
    net_unwatch(&s->out);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->connecting = false;
    s->have = 0;
    drop_output(s);
    net_set_peer(n, false);
    net_tx_ready(n);
    if (s->listener >= 0)
        s->accept = net_watch(s->listener, G_IO_IN, on_accept, n);
    else
        retry_later(n);
}

/* -- receiving ------------------------------------------------------------------------------------------------------ */

/* Cuts what has come into frames. False: the peer does not speak this protocol. */
static bool take_frames(struct net *n)
{
    struct stream *s = n->priv;
    unsigned at = 0;

    while (s->have - at >= LENGTH_SIZE) {
        u32 len = __builtin_bswap32(ld32(s->buf + at));
        if (len > NET_FRAME_MAX)
            return false;
        if (s->have - at - LENGTH_SIZE < len)
            break;
        net_deliver_bytes(n, s->buf + at + LENGTH_SIZE, len, NULL);
        at += LENGTH_SIZE + len;
    }
    memmove(s->buf, s->buf + at, s->have - at);
    s->have -= at;
    return true;
}

static gboolean on_input(gint fd, GIOCondition cond, gpointer opaque)
{
    struct net *n = opaque;
    struct stream *s = n->priv;
    ssize_t r;

    if (net_rx_full(n)) {
        net_unwatch(&s->in);
        return G_SOURCE_REMOVE;
    }
    r = recv(fd, s->buf + s->have, IN_SIZE - s->have, 0);
    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (r > 0)
        s->have += r;
    if (r <= 0 || !take_frames(n)) {
        if (r > 0)
            warn_report("netdev %s: the peer sends no frames; disconnected", net_id(n));
        stream_disconnect(n);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static void stream_rx_resume(struct net *n)
{
    struct stream *s = n->priv;

    if (s->fd >= 0 && !s->connecting && !s->in)
        s->in = net_watch(s->fd, G_IO_IN, on_input, n);
}

/* -- sending -------------------------------------------------------------------------------------------------------- */

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque);

/* Writes what the host takes now. */
static void push_output(struct net *n)
{
    struct stream *s = n->priv;
    ssize_t r = 1;

    while (s->sent < s->pending->len && r > 0) {
        r = send(s->fd, s->pending->data + s->sent, s->pending->len - s->sent, MSG_NOSIGNAL);
        s->sent += MAX_OF(r, 0);
    }
    if (r < 0 && errno != EAGAIN && errno != EINTR) {
        drop_output(s); /* the input side reports the end */
    } else if (s->sent == s->pending->len) {
        drop_output(s);
    } else if (!s->out) {
        s->out = net_watch(s->fd, G_IO_OUT, on_writable, n);
    }
}

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct net *n = opaque;
    struct stream *s = n->priv;

    push_output(n);
    if (s->sent < s->pending->len)
        return G_SOURCE_CONTINUE;
    net_unwatch(&s->out);
    net_tx_ready(n);
    return G_SOURCE_REMOVE;
}

static bool stream_transmit(struct net *n, struct net_frame *f)
{
    struct stream *s = n->priv;
    u32 len = __builtin_bswap32(f->len);

    if (s->fd < 0 || s->connecting)
        return true;
    if (s->pending->len >= OUT_MAX) {
        push_output(n);
        if (s->out)
            return false;
    }
    g_byte_array_append(s->pending, (const u8 *)&len, LENGTH_SIZE);
    g_byte_array_append(s->pending, f->data, f->len);
    return true;
}

static void stream_flushed(struct net *n)
{
    struct stream *s = n->priv;

    if (s->fd >= 0 && !s->out && s->pending->len)
        push_output(n);
}

/* -- the connection comes ------------------------------------------------------------------------------------------- */

static void stream_connected(struct net *n, int fd)
{
    struct stream *s = n->priv;
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    s->fd = fd;
    s->connecting = false;
    s->in = net_watch(fd, G_IO_IN, on_input, n);
    net_set_peer(n, true);
    net_tx_ready(n);
}

static gboolean on_connected(gint fd, GIOCondition cond, gpointer opaque)
{
    struct net *n = opaque;
    struct stream *s = n->priv;
    int error = sock_error(fd);

    net_unwatch(&s->out);
    if (error) {
        if (!s->c.reconnect)
            warn_report("netdev %s: cannot connect: %s", net_id(n), strerror(error));
        stream_disconnect(n);
    } else {
        stream_connected(n, fd);
    }
    return G_SOURCE_REMOVE;
}

static int stream_connect(struct net *n, struct err *e)
{
    struct stream *s = n->priv;
    int fd = net_socket_new(&s->c.addr, SOCK_STREAM, e);

    if (fd < 0)
        return -1;
    if (!connect(fd, (void *)&s->c.addr.sa, s->c.addr.len)) {
        stream_connected(n, fd);
        return 0;
    }
    if (errno == EINPROGRESS) {
        s->fd = fd;
        s->connecting = true;
        s->out = net_watch(fd, G_IO_OUT, on_connected, n);
        return 0;
    }
    err_set(e, "cannot connect: %s", strerror(errno));
    close(fd);
    retry_later(n);
    return s->c.reconnect ? 0 : -1;
}

/* A path of ours is removed in the end. */
static int claim_path(struct stream *s, struct err *e)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&s->c.addr.sa;

    if (un->sun_family != AF_UNIX || !un->sun_path[0])
        return 0;
    s->unlink_path = unix_path_claim(un->sun_path, SOCK_STREAM, e);
    return s->unlink_path ? 0 : -1;
}

static int stream_listen(struct net *n, struct err *e)
{
    struct stream *s = n->priv;
    int one = 1;

    if (s->c.addr.fd >= 0) {
        s->listener = s->c.addr.fd;
    } else {
        if (claim_path(s, e) < 0 || (s->listener = net_socket_new(&s->c.addr, SOCK_STREAM, e)) < 0)
            return -1;
        setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(s->listener, (void *)&s->c.addr.sa, s->c.addr.len) < 0 || listen(s->listener, 1) < 0) {
            err_set(e, "cannot listen: %s", strerror(errno));
            g_clear_pointer(&s->unlink_path, g_free); /* it is not ours */
            return -1;
        }
    }
    s->accept = net_watch(s->listener, G_IO_IN, on_accept, n);
    return 0;
}

int net_stream_start(struct net *n, const struct net_stream_config *c, struct err *e)
{
    struct stream *s = g_new0(struct stream, 1);

    n->priv = s;
    s->c = *c;
    s->listener = s->fd = -1;
    s->pending = g_byte_array_new();
    s->buf = g_malloc(IN_SIZE);
    n->peer_down = 1;
    if (c->server)
        return stream_listen(n, e);
    if (c->addr.fd < 0)
        return stream_connect(n, e);
    stream_connected(n, c->addr.fd);
    return 0;
}

static int stream_open(struct net *n, struct opts *o, struct err *e)
{
    struct net_stream_config c = { .server = false };

    if (opts_bool(o, "server", false, &c.server, e) < 0 || opts_uint(o, "reconnect", 0, 0, 3600, &c.reconnect, e) < 0 ||
        net_addr_opts(o, "addr", c.server, SOCK_STREAM, &c.addr, e) < 0)
        return -1;
    if (c.reconnect && (c.server || c.addr.fd >= 0))
        return err_set(e, "reconnect= is for a client with an address");
    return net_stream_start(n, &c, e);
}

static void stream_info(const struct net *n, GString *out)
{
    const struct stream *s = n->priv;

    g_string_append(out, s->c.server ? ",server=on,addr=" : ",server=off,addr=");
    net_addr_print(&s->c.addr, out);
    g_string_append(out, s->fd >= 0 && !s->connecting ? ",connected" : ",not connected");
}

static void stream_close(struct net *n)
{
    struct stream *s = n->priv;

    if (!s)
        return;
    net_unwatch(&s->accept);
    net_unwatch(&s->in);
    net_unwatch(&s->out);
    net_unwatch(&s->retry);
    if (s->fd >= 0)
        close(s->fd);
    if (s->listener >= 0)
        close(s->listener);
    unix_path_remove(s->unlink_path);
    g_byte_array_unref(s->pending);
    g_free(s->buf);
    g_free(s);
    n->priv = NULL;
}

const struct net_kind net_stream_kind = {
    .name = "stream", .open = stream_open, .transmit = stream_transmit, .flushed = stream_flushed, .rx_resume = stream_rx_resume,
    .info = stream_info, .close = stream_close,
};
const struct net_kind net_socket_stream_kind = {
    .name = "socket", .transmit = stream_transmit, .flushed = stream_flushed, .rx_resume = stream_rx_resume,
    .info = stream_info, .close = stream_close,
};
