/* -netdev dgram, and -netdev socket with udp= or mcast=: a frame in a datagram, to one peer or to a multicast group. Main thread, from
 * net.c. */
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/backend/net_impl.h"
#include "util/opts.h"
#include "util/unix_path.h"

enum { READ_BATCH = 64 };

struct dgram {
    int fd;
    int group_fd;          /* for a multicast group: what we send comes from here; else -1 */
    struct sockaddr_in us; /* its address, by which our own frames are known */
    struct net_addr local, remote;
    bool mcast;
    char *unlink_path;
    GSource *in, *out;
    u8 buf[NET_FRAME_MAX];
};

static bool is_ours(const struct dgram *d, const struct sockaddr_in *from)
{
    return d->group_fd >= 0 && from->sin_port == d->us.sin_port && from->sin_addr.s_addr == d->us.sin_addr.s_addr;
}

static gboolean on_input(gint fd, GIOCondition cond, gpointer opaque)
{
    struct net *n = opaque;
    struct dgram *d = n->priv;
    struct sockaddr_storage from = { 0 };
    socklen_t from_len;
    ssize_t r;

    for (unsigned i = 0; i < READ_BATCH; i++) {
        if (net_rx_full(n)) {
            net_unwatch(&d->in);
            return G_SOURCE_REMOVE;
        }
        from_len = sizeof(from);
        r = recvfrom(fd, d->buf, sizeof(d->buf), 0, (struct sockaddr *)&from, &from_len);
        if (r < 0) /* nothing more, or an ICMP error for something sent: the peer may come back */
            return G_SOURCE_CONTINUE;
        if (!is_ours(d, (const struct sockaddr_in *)&from))
            net_deliver_bytes(n, d->buf, r, NULL);
    }
    return G_SOURCE_CONTINUE;
}

static void dgram_rx_resume(struct net *n)
{
    struct dgram *d = n->priv;

    if (!d->in)
        d->in = net_watch(d->fd, G_IO_IN, on_input, n);
}

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct net *n = opaque;
    struct dgram *d = n->priv;

    net_unwatch(&d->out);
    net_tx_ready(n);
    return G_SOURCE_REMOVE;
}

static bool dgram_transmit(struct net *n, struct net_frame *f)
{
    struct dgram *d = n->priv;
    int fd = d->group_fd >= 0 ? d->group_fd : d->fd;
    const struct sockaddr *to = d->remote.len ? (const void *)&d->remote.sa : NULL;

    if (sendto(fd, f->data, f->len, MSG_NOSIGNAL, to, to ? d->remote.len : 0) >= 0 || errno != EAGAIN)
        return true; /* an absent peer loses frames, as on a wire */
    if (!d->out)
        d->out = net_watch(fd, G_IO_OUT, on_writable, n);
    return false;
}

static bool is_multicast(const struct net_addr *a)
{
    const struct sockaddr_in *in = (const void *)&a->sa;

    return a->len && in->sin_family == AF_INET && IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

/* The socket that frames for the group leave by. Members on one host share the port of the other one. */
static int open_sender(struct dgram *d, const struct in_addr *from, struct err *e)
{
    socklen_t len = sizeof(d->us);
    u8 loop = 1; /* others on this host hear us */

    d->group_fd = net_socket_new(&d->remote, SOCK_DGRAM, e);
    if (d->group_fd < 0)
        return -1;
    if (setsockopt(d->group_fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop)) < 0 ||
        (d->local.len && setsockopt(d->group_fd, IPPROTO_IP, IP_MULTICAST_IF, from, sizeof(*from)) < 0) ||
        connect(d->group_fd, (void *)&d->remote.sa, d->remote.len) < 0 || getsockname(d->group_fd, (void *)&d->us, &len) < 0)
        return err_set(e, "cannot send to the multicast group: %s", strerror(errno));
    return 0;
}

/* Joins the group of d->remote, on the interface with the local address. */
static int join_group(struct dgram *d, struct err *e)
{
    struct sockaddr_in group = *(const struct sockaddr_in *)&d->remote.sa;
    struct ip_mreq mreq = { .imr_multiaddr = group.sin_addr };
    int one = 1;

    if (d->local.len)
        mreq.imr_interface = ((const struct sockaddr_in *)&d->local.sa)->sin_addr;
    if (setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 || bind(d->fd, (void *)&group, sizeof(group)) < 0)
        return err_set(e, "cannot bind to the multicast group: %s", strerror(errno));
    if (setsockopt(d->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0)
        return err_set(e, "cannot join the multicast group: %s", strerror(errno));
    return open_sender(d, &mreq.imr_interface, e);
}

static int bind_local(struct dgram *d, struct err *e)
{
    const struct sockaddr_un *un = (const void *)&d->local.sa;
    int one = 1;

    if (un->sun_family != AF_UNIX)
        setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    else if (un->sun_path[0] && !(d->unlink_path = unix_path_claim(un->sun_path, SOCK_DGRAM, e)))
        return -1;
    if (!bind(d->fd, (void *)&d->local.sa, d->local.len))
        return 0;
    err_set(e, "cannot bind to the local address: %s", strerror(errno));
    g_clear_pointer(&d->unlink_path, g_free); /* it is not ours */
    return -1;
}

int net_dgram_start(struct net *n, const struct net_addr *local, const struct net_addr *remote, struct err *e)
{
    struct dgram *d = g_new0(struct dgram, 1);

    n->priv = d;
    d->fd = d->group_fd = -1;
    d->local = local ? *local : (struct net_addr){ .fd = -1 };
    d->remote = remote ? *remote : (struct net_addr){ .fd = -1 };
    d->mcast = is_multicast(&d->remote);
    if (d->local.fd >= 0)
        d->fd = d->local.fd;
    else if ((d->fd = net_socket_new(d->remote.len ? &d->remote : &d->local, SOCK_DGRAM, e)) < 0)
        return -1;
    if (d->local.fd < 0 && (d->mcast ? join_group(d, e) : d->local.len ? bind_local(d, e) : 0) < 0)
        return -1;
    d->in = net_watch(d->fd, G_IO_IN, on_input, n);
    return 0;
}

static int dgram_open(struct net *n, struct opts *o, struct err *e)
{
    struct net_addr local, remote;
    bool has_local = opts_has(o, "local"), has_remote = opts_has(o, "remote");

    if ((has_local && net_addr_opts(o, "local", true, SOCK_DGRAM, &local, e) < 0) ||
        (has_remote && net_addr_opts(o, "remote", false, SOCK_DGRAM, &remote, e) < 0))
        return -1;
    if (!has_local && !(has_remote && is_multicast(&remote)))
        return err_set(e, "local.type= is missing; only a multicast group needs no local address");
    if (!has_remote && local.fd < 0)
        return err_set(e, "remote.type= is missing");
    if (has_local && has_remote && local.fd < 0 && local.sa.ss_family != remote.sa.ss_family)
        return err_set(e, "local and remote must be addresses of the same kind");
    if (has_remote && remote.fd >= 0)
        return err_set(e, "remote.type=fd: a descriptor is given as local");
    return net_dgram_start(n, has_local ? &local : NULL, has_remote ? &remote : NULL, e);
}

static void dgram_info(const struct net *n, GString *out)
{
    const struct dgram *d = n->priv;

    g_string_append(out, d->mcast ? ",mcast=" : ",remote=");
    net_addr_print(&d->remote, out);
    g_string_append(out, ",local=");
    net_addr_print(&d->local, out);
}

static void dgram_close(struct net *n)
{
    struct dgram *d = n->priv;

    if (!d)
        return;
    net_unwatch(&d->in);
    net_unwatch(&d->out);
    if (d->fd >= 0)
        close(d->fd);
    if (d->group_fd >= 0)
        close(d->group_fd);
    unix_path_remove(d->unlink_path);
    g_free(d);
    n->priv = NULL;
}

const struct net_kind net_dgram_kind = {
    .name = "dgram", .open = dgram_open, .transmit = dgram_transmit, .rx_resume = dgram_rx_resume, .info = dgram_info,
    .close = dgram_close,
};
const struct net_kind net_socket_dgram_kind = {
    .name = "socket", .transmit = dgram_transmit, .rx_resume = dgram_rx_resume, .info = dgram_info, .close = dgram_close,
};
