/* Sockets of character back ends: what path=, host=, port= and fd= say, bound, listening or connected. Main thread, from
 * chr_sock.c. */
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/backend/chr_sock.h"
#include "util/fdset.h"
#include "util/unix_path.h"

int sock_addr_parse(struct sock_addr *a, struct opts *o, struct err *e)
{
    bool v4, v6;
    u64 to;

    a->path = g_strdup(opts_get(o, "path"));
    a->host = g_strdup(opts_get(o, "host"));
    a->port = g_strdup(opts_get(o, "port"));
    a->fd_word = g_strdup(opts_get(o, "fd"));
    if (opts_bool(o, "server", false, &a->server, e) < 0 || opts_bool(o, "abstract", false, &a->abstract, e) < 0 ||
        opts_bool(o, "tight", true, &a->tight, e) < 0 || opts_bool(o, "ipv4", false, &v4, e) < 0 ||
        opts_bool(o, "ipv6", false, &v6, e) < 0 || opts_uint(o, "to", 0, 1, 65535, &to, e) < 0)
        return -1;
    a->to = (unsigned)to;
    a->family = v4 == v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
    if (!a->path + !a->port + !a->fd_word != 2)
        return err_set(e, "socket: give one of path=PATH, host=HOST,port=PORT or fd=FD");
    return 0;
}

void sock_addr_clear(struct sock_addr *a)
{
    unix_path_remove(a->made);
    g_free(a->path);
    g_free(a->host);
    g_free(a->port);
    g_free(a->fd_word);
}

/* --- unix --- */

/* The address and its length; an abstract one begins with a zero byte and, unless tight, ends in zero bytes. */
static int unix_address(const struct sock_addr *a, struct sockaddr_un *sa, socklen_t *len, struct err *e)
{
    size_t n = strlen(a->path), max = sizeof(sa->sun_path) - 1;

    *sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (!n || n > max)
        return err_set(e, "unix: needs a path of 1 to %zu bytes", max);
    memcpy(sa->sun_path + a->abstract, a->path, n);
    *len = a->abstract && a->tight ? (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n) : sizeof(*sa);
    return 0;
}

static int unix_open(struct sock_addr *a, bool nonblocking, struct err *e)
{
    struct sockaddr_un sa;
    socklen_t len = 0;
    int fd;

    if (unix_address(a, &sa, &len, e) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0)
        return err_set(e, "cannot make a socket: %s", strerror(errno));
    if (a->server && !a->abstract && !(a->made = unix_path_claim(a->path, SOCK_STREAM, e))) {
        close(fd);
        return -1;
    }
    if (a->server ? bind(fd, (void *)&sa, len) || listen(fd, 1) : connect(fd, (void *)&sa, len)) {
        err_set(e, "cannot %s '%s': %s", a->server ? "listen on" : "connect to", a->path, strerror(errno));
        g_clear_pointer(&a->made, g_free);
        close(fd);
        return -1;
    }
    return fd;
}

/* --- TCP --- */

/* Binds or connects to one address; -1 with errno set. */
static int tcp_try(const struct addrinfo *ai, bool server, bool nonblocking)
{
    int one = 1, saved, fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), ai->ai_protocol);

    if (fd < 0)
        return -1;
    if (server)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (!(server ? bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 1) : connect(fd, ai->ai_addr, ai->ai_addrlen)) ||
        (nonblocking && errno == EINPROGRESS))
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Tries what the name stands for, one after the other. -1 with e set; errno is EADDRINUSE if another port may do. */
static int tcp_port(const struct sock_addr *a, const char *port, bool nonblocking, struct err *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = a->family, .ai_flags = a->server ? AI_PASSIVE : 0 }, *list;
    const char *host = a->host ? a->host : "";
    int r = getaddrinfo(*host ? host : NULL, port, &hints, &list), fd = -1, saved = EADDRNOTAVAIL;

    if (r) {
        errno = EINVAL;
        return err_set(e, "tcp:%s:%s: %s", host, port, gai_strerror(r));
    }
    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = tcp_try(ai, a->server, nonblocking);
        saved = errno;
    }
    freeaddrinfo(list);
    if (fd < 0)
        err_set(e, "cannot %s tcp:%s:%s: %s", a->server ? "listen on" : "connect to", host, port, strerror(saved));
    errno = saved;
    return fd;
}

static int tcp_open(struct sock_addr *a, bool nonblocking, struct err *e)
{
    bool numeric = g_ascii_isdigit(a->port[0]);
    u64 port = numeric ? g_ascii_strtoull(a->port, NULL, 10) : 0;
    int fd;

    if (port > 65535)
        return err_set(e, "tcp:%s:%s: there is no such port; the last is 65535", a->host ? a->host : "", a->port);
    fd = tcp_port(a, a->port, nonblocking, e);
    while (fd < 0 && errno == EADDRINUSE && a->server && numeric && port < a->to) {
        char text[24];
        snprintf(text, sizeof(text), "%llu", (unsigned long long)++port);
        fd = tcp_port(a, text, nonblocking, e);
    }
    return fd;
}

/* --- handed over --- */

static int fd_open(struct sock_addr *a, struct err *e)
{
    int fd = fdname_take(a->fd_word, e), listening = 0;
    socklen_t len = sizeof(listening);

    if (fd < 0)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening != !a->server) {
        err_set(e, "fd=%s: not a %s socket", a->fd_word, a->server ? "listening" : "connected");
        close(fd);
        return -1;
    }
    return fd;
}

int sock_open(struct sock_addr *a, bool nonblocking, struct err *e)
{
    return a->path ? unix_open(a, nonblocking, e) : a->port ? tcp_open(a, nonblocking, e) : fd_open(a, e);
}

/* --- names --- */

/* "HOST:PORT" of one end; IPv6 in brackets. False if that cannot be told. */
static bool end_name(int fd, int (*get)(int, struct sockaddr *, socklen_t *), char *buf, size_t size)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (get(fd, (void *)&ss, &len) < 0 || (ss.ss_family != AF_INET && ss.ss_family != AF_INET6) ||
        getnameinfo((void *)&ss, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
        return false;
    snprintf(buf, size, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

static int get_local(int fd, struct sockaddr *sa, socklen_t *len) { return getsockname(fd, sa, len); }
static int get_peer(int fd, struct sockaddr *sa, socklen_t *len) { return getpeername(fd, sa, len); }

char *sock_addr_name(const struct sock_addr *a, int fd)
{
    const char *server = a->server ? ",server=on" : "";
    char local[NI_MAXHOST + 16], peer[NI_MAXHOST + 16];

    if (fd >= 0 && end_name(fd, get_local, local, sizeof(local)) && end_name(fd, get_peer, peer, sizeof(peer)))
        return g_strdup_printf("%s:%s%s <-> %s", a->scheme, a->server ? local : peer, server, a->server ? peer : local);
    if (a->path)
        return g_strdup_printf("unix:%s%s%s", a->path, a->abstract ? ",abstract=on" : "", server);
    if (a->port)
        return g_strdup_printf("%s:%s:%s%s", a->scheme, a->host ? a->host : "", a->port, server);
    return g_strdup_printf("fd:%s%s", a->fd_word, server);
}
