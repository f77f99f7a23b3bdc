/* Opens the sockets that VNC clients connect to: TCP on every address of the host named, or a unix socket. Main thread, when a server starts. */
#include "ui/vnc_listen.h"
#include <glib.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "util/unix_path.h"

#define BACKLOG 16

/* More addresses than there is room for are left out. */
static void add(struct vnc_sockets *s, int fd)
{
    if (s->n == VNC_LISTEN_MAX)
        close(fd);
    else
        s->fd[s->n++] = fd;
}

void vnc_address_set(struct vnc_address *a, const struct sockaddr *sa, socklen_t len)
{
    *a = (struct vnc_address){ .family = sa->sa_family == AF_UNIX ? "unix" : sa->sa_family == AF_INET6 ? "ipv6" : "ipv4" };
    if (sa->sa_family != AF_UNIX)
        getnameinfo(sa, len, a->host, sizeof(a->host), a->service, sizeof(a->service), NI_NUMERICHOST | NI_NUMERICSERV);
    else if (len > offsetof(struct sockaddr_un, sun_path))
        g_strlcpy(a->host, ((const struct sockaddr_un *)sa)->sun_path, sizeof(a->host));
}

static int listen_unix(struct vnc_sockets *s, const char *path, struct err *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    char *made = unix_path_claim(path, SOCK_STREAM, e);
    int fd;

    if (!made)
        return -1;
    strcpy(a.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0) {
        err_set(e, "cannot listen on %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        g_free(made);
        return -1;
    }
    s->unix_path = made;
    vnc_address_set(&s->at, (struct sockaddr *)&a, sizeof(a));
    snprintf(s->address, sizeof(s->address), "unix:%s", path);
    add(s, fd);
    return 0;
}

/* -1 with errno set. */
static int listen_address(const struct addrinfo *ai)
{
    int on = 1, err, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, BACKLOG))
        return fd;
    err = errno;
    close(fd);
    errno = err;
    return -1;
}

static void note_address(struct vnc_sockets *s, const struct addrinfo *ai)
{
    if (s->address[0])
        return;
    vnc_address_set(&s->at, ai->ai_addr, ai->ai_addrlen);
    snprintf(s->address, sizeof(s->address), ai->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", s->at.host, s->at.service);
}

/* All addresses of the host at one port; 0, EADDRINUSE if one is taken, or another errno. A family that the host does not have is passed over. */
static int listen_port(struct vnc_sockets *s, const char *host, unsigned port, struct err *e)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list, *ai;
    unsigned before = s->n;
    char service[8];
    int r, failed = EADDRNOTAVAIL;

    snprintf(service, sizeof(service), "%u", port);
    r = getaddrinfo(*host ? host : NULL, service, &hints, &list);
    if (r) {
        err_set(e, "%s: %s", host, gai_strerror(r));
        return EINVAL;
    }
    for (ai = list; ai; ai = ai->ai_next) {
        int fd = listen_address(ai);
        if (fd >= 0) {
            note_address(s, ai);
            add(s, fd);
        } else {
            failed = errno;
            if (failed == EADDRINUSE)
                break;
        }
    }
    freeaddrinfo(list);
    if (s->n > before && failed != EADDRINUSE)
        return 0;
    while (s->n > before)
        close(s->fd[--s->n]);
    if (!before)
        s->address[0] = 0;
    err_set(e, "cannot listen on %s:%u: %s", host, port, strerror(failed));
    return failed;
}

int vnc_listen(struct vnc_sockets *s, const char *where, unsigned base, unsigned to, unsigned *number, struct err *e)
{
    const char *colon = strrchr(where, ':');
    char *host, *end;
    u64 n;
    int r = EADDRINUSE;

    if (g_str_has_prefix(where, "unix:"))
        return listen_unix(s, where + 5, e);
    n = colon ? g_ascii_strtoull(colon + 1, &end, 10) : 0;
    if (!colon || !g_ascii_isdigit(colon[1]) || *end || n + base > 65535)
        return err_set(e, "'%s' is not [HOST]:NUMBER with a number up to %u, nor unix:PATH", where, 65535 - base);
    host = where[0] == '[' && colon > where + 1 && colon[-1] == ']' ? g_strndup(where + 1, colon - where - 2) : g_strndup(where, colon - where);
    for (; r == EADDRINUSE && (*number = (unsigned)n) + base <= 65535; n++) {
        r = listen_port(s, host, (unsigned)n + base, e);
        if (n >= to)
            break;
    }
    g_free(host);
    return r ? -1 : 0;
}

void vnc_sockets_close(struct vnc_sockets *s)
{
    while (s->n)
        close(s->fd[--s->n]);
    unix_path_remove(s->unix_path);
    s->unix_path = NULL;
}
