/* -netdev socket: the older spelling of stream (listen=, connect=, fd=) and dgram (udp= with localaddr=, mcast=). Main thread, from net.c. */
#include "hw/backend/net_impl.h"
#include "util/opts.h"

static int open_stream(struct net *n, const char *listen, const char *connect, const char *fd, struct err *e)
{
    struct net_stream_config c = { .server = listen, .addr.fd = -1 };

    n->kind = &net_socket_stream_kind;
    if (fd) {
        c.addr.fd = net_fd_take(fd, e);
        if (c.addr.fd < 0)
            return -1;
    } else if (net_addr_parse(listen ? listen : connect, listen, SOCK_STREAM, &c.addr, e) < 0) {
        return err_prefix(e, listen ? "listen" : "connect");
    }
    return net_stream_start(n, &c, e) < 0 ? err_prefix(e, "%s=%s", fd ? "fd" : listen ? "listen" : "connect",
                                                       fd ? fd : listen ? listen : connect) : 0;
}

/* localaddr= is ADDR for a group and ADDR:PORT for a peer. */
static int open_dgram(struct net *n, const char *mcast, const char *udp, const char *local, struct err *e)
{
    struct net_addr remote, here;
    char *with_port = local && mcast ? g_strdup_printf("%s:0", local) : g_strdup(local);
    int r;

    n->kind = &net_socket_dgram_kind;
    r = net_addr_parse(mcast ? mcast : udp, false, SOCK_DGRAM, &remote, e);
    if (r < 0)
        err_prefix(e, mcast ? "mcast" : "udp");
    else if (with_port && (r = net_addr_parse(with_port, true, SOCK_DGRAM, &here, e)) < 0)
        err_prefix(e, "localaddr");
    g_free(with_port);
    return r < 0 ? r : net_dgram_start(n, local ? &here : NULL, &remote, e);
}

static int socket_open(struct net *n, struct opts *o, struct err *e)
{
    const char *listen = opts_get(o, "listen"), *connect = opts_get(o, "connect"), *mcast = opts_get(o, "mcast");
    const char *udp = opts_get(o, "udp"), *fd = opts_get(o, "fd"), *local = opts_get(o, "localaddr");

    if (!!listen + !!connect + !!mcast + !!udp + !!fd != 1)
        return err_set(e, "exactly one of listen=, connect=, mcast=, udp= and fd= is needed");
    if (local && !mcast && !udp)
        return err_set(e, "localaddr= goes with mcast= or udp=");
    if (udp && !local)
        return err_set(e, "udp= needs localaddr=");
    return mcast || udp ? open_dgram(n, mcast, udp, local, e) : open_stream(n, listen, connect, fd, e);
}

/* Before it has become one of the two kinds there is nothing. */
static bool socket_transmit(struct net *n, struct net_frame *f) { return true; }
static void socket_info(const struct net *n, GString *out) {}
static void socket_close(struct net *n) {}

const struct net_kind net_socket_kind = {
    .name = "socket", .open = socket_open, .transmit = socket_transmit, .info = socket_info, .close = socket_close,
};
