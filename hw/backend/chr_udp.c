/* The character back end "udp": what the guest writes goes out as datagrams to one peer, whose datagrams come in. Main thread, from
 * chr.c. */
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hw/backend/chr_impl.h"

/* A datagram that the front end has taken a part of. */
struct udp {
    u8 held[65536];
    unsigned len, sent;
};

static int resolve(const char *host, const char *port, int family, bool passive, struct addrinfo **out, struct err *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_family = family, .ai_flags = passive ? AI_PASSIVE : 0 };
    int r = getaddrinfo(host, port, &hints, out);

    return r ? err_set(e, "udp: address %s:%s: %s", host ? host : "", port, gai_strerror(r)) : 0;
}

static int udp_socket(const struct addrinfo *remote, const struct addrinfo *local, struct err *e)
{
    int fd = socket(remote->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

    if (fd < 0)
        return err_set(e, "cannot make a socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if ((local && bind(fd, local->ai_addr, local->ai_addrlen) < 0) || connect(fd, remote->ai_addr, remote->ai_addrlen) < 0) {
        err_set(e, "udp: %s", strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int udp_open(struct chr *c, struct opts *o, struct err *e)
{
    const char *host = opts_get(o, "host"), *port = opts_get(o, "port"), *laddr = opts_get(o, "localaddr"), *lport = opts_get(o, "localport");
    struct addrinfo *remote, *local = NULL;
    bool v4, v6;
    int fd = -1;

    if (!port || !*port)
        return err_set(e, "udp: port=PORT of the peer is missing");
    if (opts_bool(o, "ipv4", false, &v4, e) < 0 || opts_bool(o, "ipv6", false, &v6, e) < 0 ||
        resolve(host ? host : "localhost", port, v4 == v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6, false, &remote, e) < 0)
        return -1;
    if ((!laddr && !lport) || resolve(laddr && *laddr ? laddr : NULL, lport ? lport : "0", remote->ai_family, true, &local, e) == 0)
        fd = udp_socket(remote, local, e);
    freeaddrinfo(remote);
    if (local)
        freeaddrinfo(local);
    if (fd < 0)
        return -1;
    c->priv = g_new0(struct udp, 1);
    chr_set_filename(c, "udp:%s:%s", host ? host : "localhost", port);
    chr_connect(c, fd, fd, true);
    return 0;
}

static unsigned take_held(struct udp *u, u8 *buf, size_t room)
{
    unsigned n = (unsigned)MIN_OF((size_t)(u->len - u->sent), room);

    memcpy(buf, u->held + u->sent, n);
    u->sent += n;
    return n;
}

static ssize_t udp_recv(struct chr *c, u8 *buf, size_t room)
{
    struct udp *u = c->priv;

    if (u->sent == u->len) {
        ssize_t n = recv(c->rfd, u->held, sizeof(u->held), 0);
        if (n <= 0) { /* nobody listens there now (ECONNREFUSED) is not the end of a datagram stream; neither is an empty datagram */
            errno = EAGAIN;
            return -1;
        }
        u->len = (unsigned)n;
        u->sent = 0;
    }
    room = take_held(u, buf, room);
    if (u->sent < u->len)
        chr_post_update(c);
    return (ssize_t)room;
}

/* The rest of a datagram, as far as the front end takes it. */
static void udp_poke(struct chr *c)
{
    struct udp *u = c->priv;
    u8 buf[4096];
    unsigned room;

    while (u->sent < u->len && (room = chr_can_read(c)))
        chr_deliver(c, buf, take_held(u, buf, MIN_OF(room, sizeof(buf))));
}

static void udp_close(struct chr *c)
{
    g_free(c->priv);
}

static const char *const options[] = { "host", "port", "localaddr", "localport", "ipv4", "ipv6", NULL };
const struct chr_kind chr_udp = {
    .name = "udp", .options = options, .halves = true, .open = udp_open, .recv = udp_recv, .poke = udp_poke, .close = udp_close,
};
