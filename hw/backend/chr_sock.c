/* Character back ends on stream sockets: unix:PATH and tcp:HOST:PORT, as client or as server of one peer at a time. Main
 * thread, from chr.c. */
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/backend/chr_impl.h"

struct sock {
    int listener;      /* -1 for a client */
    GSource *accepts;  /* watches the listener while nobody is connected */
    char *unlink_path; /* of a unix server */
    bool nodelay;
};

struct sock_opts {
    char *addr; /* what comes before the first comma */
    bool server, wait, nodelay;
};

static bool parse_on_off(const char *val, bool *out)
{
    *out = !strcmp(val, "on") || !strcmp(val, "yes") || !strcmp(val, "true");
    return *out || !strcmp(val, "off") || !strcmp(val, "no") || !strcmp(val, "false");
}

/* ADDRESS[,server[=on|off]][,wait=on|off][,nowait][,nodelay[=on|off]] */
static int parse_opts(const char *arg, struct sock_opts *o, struct err *e)
{
    char **parts = g_strsplit(arg, ",", -1);
    int r = 0;

    *o = (struct sock_opts){ .wait = true, .addr = g_strdup(parts[0] ? parts[0] : "") };
    for (unsigned i = 1; parts[0] && parts[i] && !r; i++) {
        char *val = strchr(parts[i], '=');
        bool on = true, ok;
        if (val)
            *val++ = 0;
        ok = !val || parse_on_off(val, &on);
        if (!strcmp(parts[i], "server"))
            o->server = on;
        else if (!strcmp(parts[i], "wait"))
            o->wait = on;
        else if (!strcmp(parts[i], "nowait"))
            o->wait = !on;
        else if (!strcmp(parts[i], "nodelay") || !strcmp(parts[i], "delay"))
            o->nodelay = on == (parts[i][0] == 'n');
        else
            r = err_set(e, "socket option '%s' does not exist here; there are server, wait=on|off, nowait, nodelay",
                        parts[i]);
        if (!r && !ok)
            r = err_set(e, "socket option %s is on or off, not '%s'", parts[i], val);
    }
    g_strfreev(parts);
    if (r)
        g_free(o->addr);
    return r;
}

static void sock_connected(struct chr *c, int fd)
{
    struct sock *s = c->priv;
    int one = 1;

    if (s->nodelay)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    chr_unwatch(&s->accepts);
    chr_connect(c, fd, fd, true);
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

static void sock_disconnected(struct chr *c)
{
    struct sock *s = c->priv;

    if (s->listener >= 0 && !s->accepts)
        s->accepts = chr_watch(s->listener, G_IO_IN, on_accept, c);
}

/* Takes a listening or a connected socket over. */
static int sock_start(struct chr *c, int fd, const struct sock_opts *o, const char *what, struct err *e)
{
    struct sock *s = c->priv;
    int peer;

    s->nodelay = o->nodelay;
    if (!o->server) {
        sock_connected(c, fd);
        return 0;
    }
    s->listener = fd;
    if (!o->wait) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        sock_disconnected(c);
        return 0;
    }
    fprintf(stderr, "gemel: waiting for connection on: %s\n", what);
    peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return err_set(e, "%s: %s", what, strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    sock_connected(c, peer);
    return 0;
}

static struct sock *sock_new(struct chr *c)
{
    struct sock *s = g_new0(struct sock, 1);

    s->listener = -1;
    c->priv = s;
    return s;
}

/* Takes the path of a server that is gone; never one in use, nor another kind of file. */
static int unix_clear_path(const char *path, const struct sockaddr_un *sa, struct err *e)
{
    struct stat st;
    int fd, r;

    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, "cannot listen on '%s': the file exists and is no socket", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, "cannot make a socket: %s", strerror(errno));
    r = connect(fd, (const void *)sa, sizeof(*sa)) < 0 && errno == ECONNREFUSED ? unlink(path) : 1;
    close(fd);
    if (r > 0)
        return err_set(e, "cannot listen on '%s': another program does", path);
    return r < 0 ? err_set(e, "cannot remove the old socket '%s': %s", path, strerror(errno)) : 0;
}

static int unix_socket(const struct sock_opts *o, struct err *e)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd;

    if (!*o->addr || strlen(o->addr) >= sizeof(sa.sun_path))
        return err_set(e, "unix: needs a path of 1 to %zu bytes", sizeof(sa.sun_path) - 1);
    strcpy(sa.sun_path, o->addr);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, "cannot make a socket: %s", strerror(errno));
    if (o->server && unix_clear_path(o->addr, &sa, e) < 0) {
        close(fd);
        return -1;
    }
    if (o->server ? bind(fd, (void *)&sa, sizeof(sa)) || listen(fd, 1) : connect(fd, (void *)&sa, sizeof(sa))) {
        err_set(e, "cannot %s '%s': %s", o->server ? "listen on" : "connect to", o->addr, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int unix_open(struct chr *c, const char *arg, struct err *e)
{
    struct sock *s = sock_new(c);
    struct sock_opts o;
    char *what;
    int fd, r = -1;

    if (parse_opts(arg, &o, e) < 0)
        return -1;
    fd = unix_socket(&o, e);
    if (fd >= 0) {
        what = g_strdup_printf("unix:%s,server=on", o.addr);
        if (o.server)
            s->unlink_path = g_strdup(o.addr);
        r = sock_start(c, fd, &o, what, e);
        g_free(what);
    }
    g_free(o.addr);
    return r;
}

/* Binds or connects to the first address that works; -1 with errno set. */
static int tcp_try(const struct addrinfo *list, bool server)
{
    int one = 1, fd = -1, saved = EADDRNOTAVAIL;

    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0) {
            saved = errno;
            continue;
        }
        if (server)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (!(server ? bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 1)
                     : connect(fd, a->ai_addr, a->ai_addrlen)))
            return fd;
        saved = errno;
        close(fd);
    }
    errno = saved;
    return -1;
}

static int tcp_socket(struct sock_opts *o, struct err *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = o->server ? AI_PASSIVE : 0 }, *list;
    char *port = strrchr(o->addr, ':'), *host = o->addr;
    int r, fd;

    if (!port || !port[1])
        return err_set(e, "tcp: needs HOST:PORT, got '%s'", o->addr);
    if (g_ascii_isdigit(port[1]) && g_ascii_strtoull(port + 1, NULL, 10) > 65535)
        return err_set(e, "tcp:%s: there is no such port; the last is 65535", o->addr);
    *port++ = 0;
    if (*host == '[' && host[strlen(host) - 1] == ']') {
        host[strlen(host) - 1] = 0;
        host++;
    }
    r = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (r)
        return err_set(e, "tcp:%s:%s: %s", host, port, gai_strerror(r));
    fd = tcp_try(list, o->server);
    freeaddrinfo(list);
    if (fd < 0)
        return err_set(e, "cannot %s tcp:%s:%s: %s", o->server ? "listen on" : "connect to", host, port, strerror(errno));
    return fd;
}

static int tcp_open(struct chr *c, const char *arg, struct err *e)
{
    struct sock_opts o;
    char *what;
    int fd, r = -1;

    sock_new(c);
    if (parse_opts(arg, &o, e) < 0)
        return -1;
    what = g_strdup_printf("tcp:%s,server=on", o.addr);
    fd = tcp_socket(&o, e);
    if (fd >= 0)
        r = sock_start(c, fd, &o, what, e);
    g_free(what);
    g_free(o.addr);
    return r;
}

static void sock_close(struct chr *c)
{
    struct sock *s = c->priv;

    if (!s)
        return;
    chr_unwatch(&s->accepts);
    if (s->listener >= 0)
        close(s->listener);
    if (s->unlink_path)
        unlink(s->unlink_path);
    g_free(s->unlink_path);
    g_free(s);
}

const struct chr_kind chr_unix = {
    .name = "unix", .open = unix_open, .disconnected = sock_disconnected, .close = sock_close,
};
const struct chr_kind chr_tcp = {
    .name = "tcp", .open = tcp_open, .disconnected = sock_disconnected, .close = sock_close,
};
