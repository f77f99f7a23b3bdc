/* Socket addresses of network back ends: from "HOST:PORT" and from options in QMP's form (addr.type=inet|unix|fd). Main thread. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/backend/net_impl.h"
#include "util/opts.h"

static int resolve(const char *host, const char *port, bool passive, int family, int type, struct net_addr *a, struct err *e)
{
    struct addrinfo hints = { .ai_family = family, .ai_socktype = type, .ai_flags = passive ? AI_PASSIVE : 0 }, *list;
    int r;

    if (g_ascii_isdigit(*port) && g_ascii_strtoull(port, NULL, 10) > 65535)
        return err_set(e, "%s:%s: there is no such port; the last is 65535", host, port);
    r = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (r)
        return err_set(e, "%s:%s: %s", host, port, gai_strerror(r));
    memcpy(&a->sa, list->ai_addr, list->ai_addrlen);
    a->len = list->ai_addrlen;
    a->fd = -1;
    freeaddrinfo(list);
    return 0;
}

int net_addr_parse(const char *text, bool passive, int type, struct net_addr *a, struct err *e)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    char *host;
    int r;

    if (!colon || !colon[1])
        return err_set(e, "'%s': use HOST:PORT", text);
    host = brackets ? g_strndup(text + 1, n - 2) : g_strndup(text, n);
    r = resolve(host, colon + 1, passive, AF_UNSPEC, type, a, e);
    g_free(host);
    return r;
}

static int unix_addr(struct opts *o, const char *path, struct net_addr *a, struct err *e)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
    bool abstract;
    size_t n = path ? strlen(path) : 0;

    if (!n)
        return err_set(e, "path= is missing");
    if (opts_bool(o, "abstract", false, &abstract, e) < 0)
        return -1;
    if (n + abstract >= sizeof(un->sun_path))
        return err_set(e, "path=%s: at most %zu bytes", path, sizeof(un->sun_path) - 1);
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + abstract, path, n);
    a->len = offsetof(struct sockaddr_un, sun_path) + abstract + n + !abstract;
    return 0;
}

static int inet_addr_opts(struct opts *o, bool passive, int type, struct net_addr *a, struct err *e)
{
    const char *host = opts_get(o, "host"), *port = opts_get(o, "port");
    bool ip4, ip6;

    if (opts_bool(o, "ipv4", true, &ip4, e) < 0 || opts_bool(o, "ipv6", true, &ip6, e) < 0)
        return -1;
    if (!port && !passive)
        return err_set(e, "port= is missing");
    return resolve(host ? host : "", port ? port : "0", passive, !ip6 ? AF_INET : !ip4 ? AF_INET6 : AF_UNSPEC, type, a, e);
}

int net_addr_opts(struct opts *o, const char *name, bool passive, int type, struct net_addr *a, struct err *e)
{
    static const char *const types[] = { "inet", "unix", "fd", NULL };
    struct opts *s = opts_sub(o, name);
    int kind, r;

    *a = (struct net_addr){ .fd = -1 };
    if (!opts_peek(s, "type"))
        r = err_set(e, "%s.type=inet|unix|fd is missing", name);
    else if ((r = opts_enum(s, "type", types, 0, &kind, e)) < 0)
        ;
    else if (kind == 0)
        r = inet_addr_opts(s, passive, type, a, e);
    else if (kind == 1)
        r = unix_addr(s, opts_get(s, "path"), a, e);
    else
        r = (a->fd = net_fd_take(opts_get(s, "str"), e)) < 0 ? -1 : 0;
    if (r == 0)
        r = opts_all_used(s, e);
    if (r < 0)
        err_prefix(e, "%s", name);
    opts_free(s);
    return r;
}

void net_addr_print(const struct net_addr *a, GString *out)
{
    char host[64], port[16];

    if (a->fd >= 0)
        g_string_append_printf(out, "fd:%d", a->fd);
    else if (a->len && a->sa.ss_family == AF_UNIX)
        g_string_append_printf(out, "unix:%s", ((const struct sockaddr_un *)&a->sa)->sun_path);
    else if (a->len && !getnameinfo((const void *)&a->sa, a->len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
        g_string_append_printf(out, "%s:%s", host, port);
    else
        g_string_append(out, "none");
}

int net_fd_take(const char *text, struct err *e)
{
    int type;
    socklen_t len = sizeof(type);
    u64 fd;

    if (!text || !g_ascii_string_to_unsigned(text, 10, 0, INT32_MAX, &fd, NULL))
        return err_set(e, "fd=%s: not the number of a descriptor", text ? text : "");
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        return err_set(e, "fd=%s: %s", text, strerror(errno));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

int net_socket_new(const struct net_addr *a, int type, struct err *e)
{
    int fd = socket(a->sa.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 ? fd : err_set(e, "cannot make a socket: %s", strerror(errno));
}
