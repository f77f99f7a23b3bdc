/* Hubs: -netdev hubport,id=ID,hubid=N[,netdev=ID] makes a port of hub N. What comes in at one port goes out at all others. A port's far
 * end is a network device or, with netdev=, another back end. Main thread, from net.c. */
#include "hw/backend/net_impl.h"
#include "util/opts.h"

struct hub_port {
    u64 hub;
    struct net *net;   /* ourselves */
    struct net *inner; /* the back end at the far end, or NULL */
};

static void port_out(struct net *n, const struct net_frame *f)
{
    struct hub_port *p = n->priv;
    struct iovec iov = { (void *)(uintptr_t)f->data, f->len };

    if (p->inner)
        net_send(p->inner, &iov, 1, &f->o);
    else
        net_deliver_bytes(n, f->data, f->len, &f->o);
}

/* A frame from the port's far end. */
static void hub_broadcast(struct net *from, const struct net_frame *f)
{
    const struct hub_port *p = from->priv;

    for (struct net *n = net_next(NULL); n; n = net_next(n))
        if (n != from && n->kind == &net_hubport_kind && n->priv && ((struct hub_port *)n->priv)->hub == p->hub)
            port_out(n, f);
}

static bool hub_transmit(struct net *n, struct net_frame *f)
{
    hub_broadcast(n, f);
    return true;
}

static bool port_can_receive(void *opaque) { return true; }

static void port_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct hub_port *p = opaque;
    struct net_frame *f = net_frame_new(len);

    memcpy(f->data, frame, len);
    f->o = *o;
    hub_broadcast(p->net, f);
    net_frame_free(f);
}

static const struct net_dev_ops port_ops = { .can_receive = port_can_receive, .receive = port_receive };

static int hub_open(struct net *n, struct opts *o, struct err *e)
{
    struct hub_port *p = g_new0(struct hub_port, 1);
    const char *netdev = opts_get(o, "netdev");

    n->priv = p;
    n->tx_caps = NET_CAN_ALL; /* each receiver finishes for itself */
    p->net = n;
    if (!opts_peek(o, "hubid"))
        return err_set(e, "hubport: hubid=N is missing");
    if (opts_uint(o, "hubid", 0, 0, INT32_MAX, &p->hub, e) < 0)
        return -1;
    if (!netdev)
        return 0;
    p->inner = net_find(netdev);
    if (!p->inner || p->inner == n) {
        p->inner = NULL;
        return err_set(e, "netdev=%s: there is no -netdev with this id before this one", netdev);
    }
    if (net_attach(p->inner, &port_ops, p, NULL, e) < 0) {
        p->inner = NULL;
        return -1;
    }
    net_set_receiver_offloads(p->inner, NET_CAN_ALL);
    return 0;
}

static void hub_info(const struct net *n, GString *out)
{
    const struct hub_port *p = n->priv;

    g_string_append_printf(out, ",hubid=%llu", (unsigned long long)p->hub);
    if (p->inner)
        g_string_append_printf(out, ",netdev=%s", net_id(p->inner));
}

static void hub_close(struct net *n)
{
    struct hub_port *p = n->priv;

    if (p)
        net_detach(p->inner);
    g_free(p);
    n->priv = NULL;
}

const struct net_kind net_hubport_kind = {
    .name = "hubport", .open = hub_open, .transmit = hub_transmit, .info = hub_info, .close = hub_close,
};
