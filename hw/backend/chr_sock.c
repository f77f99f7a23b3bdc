/* The character back end "socket": a stream socket, unix or TCP or handed over as a descriptor, as client or as server of one peer at a
 * time, with telnet's or the WebSocket protocol if asked. How the socket is made is in chr_sock_addr.c. Main thread, from chr.c. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hw/backend/chr_sock.h"
#include "hw/backend/chr_ws.h"
#include "util/sock.h"

#define FDS_MAX 16 /* descriptors that a peer may leave unused */
#define HANDSHAKE_S 10

struct sock {
    struct sock_addr addr;
    int listener;      /* -1 for a client */
    GSource *accepts;  /* watches the listener while nobody is connected */
    GSource *connects; /* a connection that is being made */
    int pending;       /* its descriptor, or -1 */
    guint retry;       /* timer of reconnect= */
    unsigned reconnect; /* seconds; 0: once only */
    bool nodelay, wait, is_telnet, is_ws;
    struct telnet telnet;
    struct ws ws;
    GString *request;  /* a WebSocket handshake that is coming in from `pending`, or NULL */
    GSource *requests; /* watches that */
    guint patience;    /* its timer */
    int fds[FDS_MAX];  /* that the peer passed along */
    unsigned n_fds;
};

static void sock_retry_later(struct chr *c);
static void sock_disconnected(struct chr *c);

/* The peer speaks the protocol that it should: from now on it is heard. */
static void sock_ready(struct chr *c, int fd)
{
    struct sock *s = c->priv;
    char *name = sock_addr_name(&s->addr, fd);

    s->telnet = (struct telnet){ 0 };
    chr_set_filename(c, "%s", name);
    g_free(name);
    chr_connect(c, fd, fd, true);
    if (s->is_telnet && s->addr.server)
        telnet_greet(c);
}

/* --- the WebSocket handshake --- */

static void encode_ws(GByteArray *out, const u8 *buf, unsigned len)
{
    ws_frame(out, WS_BINARY, buf, len);
}

static void end_handshake(struct sock *s)
{
    chr_unwatch(&s->requests);
    if (s->request)
        g_string_free(s->request, TRUE);
    s->request = NULL;
    if (s->patience)
        g_source_remove(s->patience);
    s->patience = 0;
}

static void give_up(struct chr *c)
{
    struct sock *s = c->priv;

    end_handshake(s);
    close(s->pending);
    s->pending = -1;
    sock_disconnected(c);
}

/* The request is there. */
static void answer_handshake(struct chr *c)
{
    struct sock *s = c->priv;
    GString *answer = g_string_new(NULL);
    bool ok = ws_handshake(s->request->str, answer);
    int fd = s->pending;

    if (send(fd, answer->str, answer->len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)answer->len)
        ok = false;
    g_string_free(answer, TRUE);
    if (!ok) {
        give_up(c);
        return;
    }
    end_handshake(s);
    s->pending = -1;
    s->ws = (struct ws){ 0 };
    c->encode = encode_ws;
    sock_ready(c, fd);
}

/* Byte by byte: what comes behind the request is a frame. */
static gboolean on_request(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chr *c = opaque;
    GString *request = ((struct sock *)c->priv)->request;
    ssize_t n;
    char b;

    while ((n = recv(fd, &b, 1, MSG_DONTWAIT)) == 1 && b && request->len < WS_REQUEST_MAX) {
        g_string_append_c(request, b);
        if (g_str_has_suffix(request->str, "\r\n\r\n")) {
            answer_handshake(c);
            return G_SOURCE_REMOVE;
        }
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    give_up(c);
    return G_SOURCE_REMOVE;
}

static gboolean on_impatient(gpointer opaque)
{
    struct chr *c = opaque;

    ((struct sock *)c->priv)->patience = 0;
    give_up(c);
    return G_SOURCE_REMOVE;
}

/* --- connections --- */

static void sock_connected(struct chr *c, int fd)
{
    struct sock *s = c->priv;
    int one = 1;

    if (s->nodelay)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    chr_unwatch(&s->accepts);
    if (!s->is_ws) {
        sock_ready(c, fd);
        return;
    }
    s->pending = fd;
    s->request = g_string_new(NULL);
    s->requests = chr_watch(fd, G_IO_IN, on_request, c);
    s->patience = g_timeout_add_seconds(HANDSHAKE_S, on_impatient, c);
}

static gboolean on_accept(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chr *c = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (peer < 0)
        return G_SOURCE_CONTINUE;
    sock_connected(c, peer);
    return G_SOURCE_REMOVE;
}

static void drop_fds(struct sock *s)
{
    while (s->n_fds)
        close(s->fds[--s->n_fds]);
}

/* Says so, and prepares for the next peer. */
static void sock_disconnected(struct chr *c)
{
    struct sock *s = c->priv;
    char *name = sock_addr_name(&s->addr, -1);

    chr_set_filename(c, "disconnected:%s", name);
    g_free(name);
    drop_fds(s);
    if (s->listener >= 0 && !s->accepts)
        s->accepts = chr_watch(s->listener, G_IO_IN, on_accept, c);
    else if (s->listener < 0 && s->reconnect)
        sock_retry_later(c);
}

/* --- reconnecting clients --- */

static gboolean on_connected(gint fd, GIOCondition cond, gpointer opaque)
{
    struct chr *c = opaque;
    struct sock *s = c->priv;

    chr_unwatch(&s->connects);
    s->pending = -1;
    if (sock_error(fd)) {
        close(fd);
        sock_retry_later(c);
    } else {
        sock_connected(c, fd);
    }
    return G_SOURCE_REMOVE;
}

static gboolean on_retry(gpointer opaque)
{
    struct chr *c = opaque;
    struct sock *s = c->priv;
    struct err e;
    int fd = sock_open(&s->addr, true, &e);

    s->retry = 0;
    if (fd < 0) {
        sock_retry_later(c);
        return G_SOURCE_REMOVE;
    }
    s->pending = fd;
    s->connects = chr_watch(fd, G_IO_OUT, on_connected, c);
    return G_SOURCE_REMOVE;
}

static void sock_retry_later(struct chr *c)
{
    struct sock *s = c->priv;

    if (!s->retry)
        s->retry = g_timeout_add_seconds(s->reconnect, on_retry, c);
}

/* --- opening --- */

/* Waits for the first peer, if told so. */
static int sock_listen(struct chr *c, int fd, struct err *e)
{
    struct sock *s = c->priv;
    char *name = sock_addr_name(&s->addr, -1);
    int peer = -1, r = 0;

    s->listener = fd;
    if (s->wait) {
        fprintf(stderr, "gemel: waiting for connection on: %s\n", name);
        do {
            peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        } while (peer < 0 && errno == EINTR);
        if (peer < 0)
            r = err_set(e, "%s: %s", name, strerror(errno));
    }
    g_free(name);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (peer >= 0)
        sock_connected(c, peer);
    else if (r == 0)
        sock_disconnected(c);
    return r;
}

static int sock_parse(struct sock *s, struct opts *o, struct err *e)
{
    u64 reconnect;

    if (sock_addr_parse(&s->addr, o, e) < 0 || opts_bool(o, "wait", true, &s->wait, e) < 0 ||
        opts_bool(o, "nodelay", false, &s->nodelay, e) < 0 || opts_bool(o, "telnet", false, &s->is_telnet, e) < 0 ||
        opts_bool(o, "websocket", false, &s->is_ws, e) < 0 || opts_uint(o, "reconnect", 0, 0, 3600, &reconnect, e) < 0)
        return -1;
    if (opts_has(o, "delay"))
        s->nodelay = !strcmp(opts_get(o, "delay"), "off");
    if (s->is_ws && !s->addr.server)
        return err_set(e, "websocket=on: only a server (server=on) speaks WebSocket here, a client does not");
    if (s->is_ws && s->is_telnet)
        return err_set(e, "telnet=on and websocket=on exclude each other");
    s->addr.scheme = s->is_ws ? "websocket" : s->is_telnet ? "telnet" : "tcp";
    if (opts_has(o, "wait") && !s->addr.server)
        return err_set(e, "'wait' option is incompatible with socket in client connect mode");
    if (reconnect && (s->addr.server || s->addr.fd_word))
        return err_set(e, "'reconnect' option is incompatible with %s", s->addr.server ? "socket in server listen mode" : "'fd'");
    s->reconnect = (unsigned)reconnect;
    return 0;
}

static int socket_open(struct chr *c, struct opts *o, struct err *e)
{
    struct sock *s = g_new0(struct sock, 1);
    int fd;

    s->listener = s->pending = -1;
    c->priv = s;
    if (sock_parse(s, o, e) < 0)
        return -1;
    if (s->reconnect) { /* whoever is to be connected to may come later */
        sock_disconnected(c);
        g_source_remove(s->retry);
        on_retry(c);
        return 0;
    }
    fd = sock_open(&s->addr, false, e);
    if (fd < 0)
        return -1;
    if (s->addr.server)
        return sock_listen(c, fd, e);
    sock_connected(c, fd);
    return 0;
}

/* --- input --- */

/* Keeps the descriptors of a message; what is too much is closed. */
static void take_fds(struct sock *s, struct msghdr *msg)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
            if (s->n_fds < FDS_MAX)
                s->fds[s->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

/* Bytes of messages in what came; -1: the peer is to go. */
static int ws_filter(struct chr *c, u8 *buf, unsigned n)
{
    struct sock *s = c->priv;
    GByteArray *reply = g_byte_array_new();
    int left = ws_decode(&s->ws, buf, n, reply);

    if (reply->len)
        chr_write_raw(c, reply->data, reply->len);
    g_byte_array_unref(reply);
    return left;
}

static ssize_t sock_recv(struct chr *c, u8 *buf, size_t room)
{
    struct sock *s = c->priv;
    struct iovec iov = { buf, room };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(c->rfd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (n >= 0)
        take_fds(s, &msg);
    if (n <= 0 || !(s->is_telnet || s->is_ws))
        return n;
    n = s->is_ws ? ws_filter(c, buf, (unsigned)n) : (int)telnet_filter(&s->telnet, c, buf, (unsigned)n);
    if (n < 0)
        return 0;
    if (n == 0) {
        errno = EAGAIN;
        return -1;
    }
    return n;
}

int chr_take_fd(struct chr *c)
{
    struct sock *s = c->priv;
    int fd;

    if (c->kind != &chr_socket || !s->n_fds)
        return -1;
    fd = s->fds[0];
    memmove(s->fds, s->fds + 1, --s->n_fds * sizeof(int));
    return fd;
}

static void socket_close(struct chr *c)
{
    struct sock *s = c->priv;

    chr_unwatch(&s->accepts);
    chr_unwatch(&s->connects);
    end_handshake(s);
    if (s->pending >= 0)
        close(s->pending);
    if (s->retry)
        g_source_remove(s->retry);
    if (s->listener >= 0)
        close(s->listener);
    drop_fds(s);
    sock_addr_clear(&s->addr);
    g_free(s);
}

static const char *const options[] = {
    "path", "host", "port", "fd", "to", "ipv4", "ipv6", "abstract", "tight", "server", "wait", "nodelay", "delay", "reconnect", "telnet",
    "websocket", NULL,
};
const struct chr_kind chr_socket = {
    .name = "socket", .options = options, .open = socket_open, .disconnected = sock_disconnected, .recv = sock_recv,
    .close = socket_close,
};
