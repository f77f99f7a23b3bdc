/* virtio-net: a network card. Frames of the guest go to the back end on the thread of the driver's notification; frames for the guest come
 * on the main thread. The device's lock is held. VIRTIO 1.2, 5.1. */
#include "hw/net/nic.h"
#include "hw/virtio/virtio_net.h"
#include <glib.h>
#include "hw/core/machine.h"
#include "util/iov.h"
#include "util/log.h"

enum { ETH_MIN = 14, NUM_BUFFERS_AT = 10, HEADER_MAX = 12, FRAMES_A_TURN = 256 };

static bool link_up(const struct virtio_net *s) { return s->net && net_link_up(s->net); }

static struct virtq *rx_queue(struct virtio_net *s, unsigned pair) { return &s->v.q[2 * pair]; }

/* -- flows and queue pairs ---------------------------------------------------------------------------------------------- */

/* The same number for both directions of a TCP or UDP flow over IPv4 or IPv6; -1 for other frames. */
static int flow_of(const u8 *f, unsigned len)
{
    unsigned at = ETH_MIN, type = len >= ETH_MIN ? f[12] << 8 | f[13] : 0, addr, addr_len, proto, ports;
    u32 h = 0;

    if (type == 0x800 && len >= at + 24) {
        addr = at + 12, addr_len = 8, proto = f[at + 9], ports = at + 4 * (f[at] & 15);
    } else if (type == 0x86dd && len >= at + 44) {
        addr = at + 8, addr_len = 32, proto = f[at + 6], ports = at + 40;
    } else {
        return -1;
    }
    if ((proto != 6 && proto != 17) || ports + 4 > len)
        return -1;
    for (unsigned i = 0; i < addr_len; i += 4)
        h += ld32(f + addr + i); /* a sum: the order does not matter */
    h += ld16(f + ports) + ld16(f + ports + 2);
    h ^= h >> 16;
    return (h ^ h >> 8) & (FLOWS - 1);
}

static unsigned rx_pair(struct virtio_net *s, const u8 *frame, unsigned len)
{
    int flow = s->pairs > 1 ? flow_of(frame, len) : -1;

    return flow < 0 ? 0 : MIN_OF(s->flow_pair[flow], s->pairs - 1u);
}

static void remember_flow(struct virtio_net *s, unsigned pair, const struct iovec *iov, unsigned n)
{
    u8 head[96];
    unsigned len = iov_read(iov, n, 0, head, sizeof(head));
    int flow = flow_of(head, len);

    if (flow >= 0)
        s->flow_pair[flow] = pair;
}

/* -- to the guest --------------------------------------------------------------------------------------------------------- */

/* Writes len bytes of header and frame from byte off on into one chain; returns how many. */
static u64 fill(struct virtq_elem *e, const u8 *header, unsigned header_len, const u8 *frame, unsigned len, u64 off)
{
    u64 n = 0;

    if (off < header_len)
        n = iov_write(e->in, e->n_in, 0, header + off, header_len - off);
    return n + iov_write(e->in, e->n_in, n, frame + (off + n - header_len), len + header_len - off - n);
}

/* Takes chains until `need` bytes fit, at most max of them; 0 and none taken if there is not enough room yet. */
static unsigned take_buffers(struct virtq *q, u64 need, struct virtq_elem **e, unsigned max)
{
    unsigned n = 0;
    u64 room = 0;

    while (room < need && n < max) {
        e[n] = virtq_pop(q, sizeof(**e));
        if (e[n]) {
            room += e[n++]->in_len;
        } else if (virtq_notify_on(q)) { /* with all of them taken, so that the next one is what we hear of */
            while (n)
                virtq_unpop(e[--n]);
            return 0;
        }
    }
    return n;
}

/* False if there are not enough buffers yet. */
static bool deliver(struct virtio_net *s, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct virtq *q = rx_queue(s, rx_pair(s, frame, len));
    struct virtq_elem *e[VIRTQ_SIZE_MAX];
    unsigned hlen = net_header_size(s), n;
    bool mergeable = virtio_has(&s->v, NET_F_MRG_RXBUF);
    u8 header[HEADER_MAX] = { 0 };
    u64 off = 0;

    n = take_buffers(q, (u64)hlen + len, e, mergeable ? ARRAY_LEN(e) : 1);
    if (!n)
        return s->v.broken || !q->enabled;
    if (e[0]->in_len < hlen) {
        virtio_error(&s->v, "a receive buffer without room for a header");
        while (n)
            virtq_drop(e[--n]);
        return true;
    }
    memcpy(header, o, sizeof(*o));
    if (!(s->guest_offloads & NET_F_GUEST_CSUM))
        header[0] = 0; /* 5.1.6.4.1: no flags */
    st16(header + NUM_BUFFERS_AT, n);
    for (unsigned i = 0; i < n; i++) {
        u64 part = fill(e[i], header, hlen, frame, len, off);
        off += part;
        virtq_push(e[i], part);
    }
    if (off < (u64)hlen + len)
        GUEST_ERROR("virtio-net: a frame of %u bytes was cut to the driver's buffer", len);
    virtq_notify(q);
    return true;
}

static bool can_receive(void *opaque)
{
    struct virtio_net *s = opaque;
    struct virtq *q = rx_queue(s, 0);

    if (!virtio_running(&s->v) || s->stash.len)
        return false;
    if (virtq_empty(q) && virtq_notify_on(q))
        return false;
    virtq_notify_off(q);
    return true;
}

static void receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o)
{
    struct virtio_net *s = opaque;

    if (!virtio_running(&s->v) || len < ETH_MIN || len > NET_FRAME_MAX || !net_filter_accepts(s, frame, len))
        return;
    if (deliver(s, frame, len, o))
        return;
    s->stash.data = g_realloc(s->stash.data, len);
    memcpy(s->stash.data, frame, len);
    s->stash.len = len;
    s->stash.offload = *o;
}

/* The driver has put buffers into a receive queue. */
static void rx_serve(struct virtio *v, struct virtq *q)
{
    struct virtio_net *s = (struct virtio_net *)v;

    if (s->stash.len && deliver(s, s->stash.data, s->stash.len, &s->stash.offload))
        s->stash.len = 0;
    if (s->net && !s->stash.len)
        net_receive_ready(s->net);
}

/* -- from the guest ------------------------------------------------------------------------------------------------------- */

static void transmit(struct virtio_net *s, struct virtq *q, struct virtq_elem *e)
{
    struct iovec iov[VIRTQ_CHAIN_MAX];
    struct net_offload o;
    unsigned hlen = net_header_size(s), n;

    iov_read(e->out, e->n_out, 0, &o, sizeof(o));
    n = iov_slice(e->out, e->n_out, hlen, e->out_len - hlen, iov);
    if (s->pairs > 1)
        remember_flow(s, q->index / 2, iov, n);
    if (s->net)
        net_send(s->net, iov, n, &o);
}

static void tx_serve(struct virtio *v, struct virtq *q)
{
    struct virtio_net *s = (struct virtio_net *)v;
    unsigned budget = FRAMES_A_TURN;
    struct virtq_elem *e;
    bool room = true;

    do {
        virtq_notify_off(q);
        while (budget && (room = !s->net || net_can_send(s->net)) && (e = virtq_pop(q, sizeof(*e)))) {
            budget--;
            if (e->out_len < net_header_size(s) || e->n_in) {
                virtio_error(v, "a frame to send without header, or with a writable buffer");
                virtq_drop(e);
                return;
            }
            transmit(s, q, e);
            virtq_push(e, 0);
        }
        if (!room) /* the rest follows when the back end has room: send_ready */
            break;
    } while (!virtq_notify_on(q) && budget);
    virtq_notify(q);
    if (!budget)
        virtq_again(q);
}

static void send_ready(void *opaque)
{
    struct virtio_net *s = opaque;

    for (unsigned i = 0; i < s->pairs; i++)
        virtq_kick(&s->v, 2 * i + 1);
}

/* -- link and offloads ------------------------------------------------------------------------------------------------------ */

static void link_changed(void *opaque, bool up)
{
    struct virtio_net *s = opaque;

    if (up && virtio_has(&s->v, NET_F_GUEST_ANNOUNCE))
        s->announce = 1;
    virtio_config_changed(&s->v);
}

static const struct net_dev_ops dev_ops = {
    .can_receive = can_receive, .receive = receive, .link_changed = link_changed, .send_ready = send_ready, .rx_filter = net_filter_tell,
};

void net_offloads_changed(struct virtio_net *s)
{
    u64 f = s->guest_offloads;
    unsigned caps = 0;

    if (!s->net)
        return;
    if (f & NET_F_GUEST_CSUM)
        caps = NET_CAN_CSUM | (f & NET_F_GUEST_TSO4 ? NET_CAN_TSO4 : 0) | (f & NET_F_GUEST_TSO6 ? NET_CAN_TSO6 : 0) |
               (f & NET_F_GUEST_UFO ? NET_CAN_UFO : 0);
    net_set_receiver_offloads(s->net, caps);
}

/* -- configuration ---------------------------------------------------------------------------------------------------------- */

static void net_config_read(struct virtio *v)
{
    struct virtio_net *s = (struct virtio_net *)v;
    struct net_config *c = (struct net_config *)v->config;

    memcpy(c->mac, s->own_mac, MAC_LEN);
    c->status = (link_up(s) ? NET_S_LINK_UP : 0) | (s->announce ? NET_S_ANNOUNCE : 0);
    c->max_virtqueue_pairs = s->max_pairs;
    c->mtu = s->mtu;
    c->speed = s->speed;
    c->duplex = !s->duplex || !*s->duplex ? 0xff : !strcmp(s->duplex, "full");
}

/* Legacy drivers write the address here; with CTRL_MAC_ADDR the control queue is for that. */
static void net_config_write(struct virtio *v, unsigned off, unsigned size, const u8 *config)
{
    struct virtio_net *s = (struct virtio_net *)v;

    if (off + size > MAC_LEN || virtio_has(v, VIRTIO_F_VERSION_1 | NET_F_CTRL_MAC_ADDR)) {
        GUEST_ERROR("virtio-net: write of configuration byte %u", off);
        return;
    }
    memcpy(s->own_mac, config, MAC_LEN);
}

static u64 net_features(struct virtio *v)
{
    struct virtio_net *s = (struct virtio_net *)v;
    const struct { bool on; u64 bit; unsigned needs; } f[] = {
        { true, NET_F_MAC, 0 }, { s->f_csum, NET_F_CSUM, NET_CAN_CSUM }, { s->f_guest_csum, NET_F_GUEST_CSUM, 0 },
        { s->f_ctrl_offloads && s->f_ctrl_vq, NET_F_CTRL_GUEST_OFFLOADS, 0 }, { s->mtu, NET_F_MTU, 0 },
        { s->f_guest_tso4, NET_F_GUEST_TSO4, 0 }, { s->f_guest_tso6, NET_F_GUEST_TSO6, 0 }, { s->f_guest_ecn, NET_F_GUEST_ECN, 0 },
        { s->f_guest_ufo, NET_F_GUEST_UFO, 0 }, { s->f_csum && s->f_host_tso4, NET_F_HOST_TSO4, NET_CAN_TSO4 },
        { s->f_csum && s->f_host_tso6, NET_F_HOST_TSO6, NET_CAN_TSO6 }, { s->f_csum && s->f_host_ecn, NET_F_HOST_ECN, NET_CAN_TSO4 },
        { s->f_csum && s->f_host_ufo, NET_F_HOST_UFO, NET_CAN_UFO }, { s->f_mrg_rxbuf, NET_F_MRG_RXBUF, 0 },
        { s->f_status, NET_F_STATUS, 0 }, { s->f_ctrl_vq, NET_F_CTRL_VQ, 0 }, { s->f_ctrl_vq && s->f_ctrl_rx, NET_F_CTRL_RX, 0 },
        { s->f_ctrl_vq && s->f_ctrl_vlan, NET_F_CTRL_VLAN, 0 }, { s->f_ctrl_vq && s->f_ctrl_rx_extra, NET_F_CTRL_RX_EXTRA, 0 },
        { s->f_ctrl_vq && s->f_announce && s->f_status, NET_F_GUEST_ANNOUNCE, 0 }, { s->f_ctrl_vq && s->max_pairs > 1, NET_F_MQ, 0 },
        { s->f_ctrl_vq && s->f_ctrl_mac_addr, NET_F_CTRL_MAC_ADDR, 0 },
        { s->speed >= 0 || (s->duplex && *s->duplex), NET_F_SPEED_DUPLEX, 0 },
    };
    unsigned can = s->net ? net_send_offloads(s->net) : NET_CAN_ALL;
    u64 bits = 0;

    for (unsigned i = 0; i < ARRAY_LEN(f); i++)
        if (f[i].on && (f[i].needs & can) == f[i].needs)
            bits |= f[i].bit;
    return bits;
}

static void assign_queues(struct virtio_net *s)
{
    for (unsigned i = 0; i < s->v.n_queues; i++)
        s->v.q[i].handle = i == net_ctrl_queue(s) ? net_ctrl_serve : i & 1 ? tx_serve : rx_serve;
}

static void net_features_set(struct virtio *v)
{
    struct virtio_net *s = (struct virtio_net *)v;

    s->guest_offloads = v->features & NET_F_GUEST_OFFLOADS;
    net_offloads_changed(s);
    net_filter_reset(s);
    assign_queues(s);
}

static void net_status_changed(struct virtio *v, u8 old)
{
    struct virtio_net *s = (struct virtio_net *)v;

    if ((~old & v->status & VIRTIO_DRIVER_OK) && s->net)
        net_receive_ready(s->net);
}

/* -- life --------------------------------------------------------------------------------------------------------------------- */

static bool queue_size_ok(unsigned n) { return n >= 4 && n <= VIRTQ_SIZE_MAX && !(n & (n - 1)); }

static int check_props(struct virtio_net *s, struct err *e)
{
    const char *name = s->v.pci.dev.cls->name;

    if (!queue_size_ok(s->rx_size) || !queue_size_ok(s->tx_size))
        return err_set(e, "%s: rx_queue_size=%u and tx_queue_size=%u must be powers of 2, 4 to %u", name, s->rx_size, s->tx_size,
                       VIRTQ_SIZE_MAX);
    if (s->mtu && s->mtu < 68)
        return err_set(e, "%s: host_mtu=%u is less than 68", name, s->mtu);
    if (s->duplex && *s->duplex && strcmp(s->duplex, "full") && strcmp(s->duplex, "half"))
        return err_set(e, "%s: duplex=%s is neither half nor full", name, s->duplex);
    return 0;
}

static int net_realize(struct virtio *v, struct err *e)
{
    struct virtio_net *s = (struct virtio_net *)v;

    if (check_props(s, e) < 0)
        return -1;
    s->max_pairs = s->f_mq && s->net ? MIN_OF(net_queues(s->net), (unsigned)NET_PAIRS_MAX) : 1;
    if (!s->f_gso)
        s->f_host_tso4 = s->f_host_tso6 = s->f_host_ecn = s->f_host_ufo = false;
    if (nic_plug(&v->pci.dev, s->net, s->mac, &dev_ops, v->lock, e) < 0)
        return err_prefix(e, "%s", v->pci.dev.cls->name);
    v->config_len = sizeof(struct net_config);
    for (unsigned i = 0; i < 2 * s->max_pairs; i++)
        virtio_add_queue(v, i & 1 ? s->tx_size : s->rx_size, i & 1 ? tx_serve : rx_serve);
    if (s->f_ctrl_vq)
        virtio_add_queue(v, 64, net_ctrl_serve);
    return 0;
}

static void net_unrealize(struct virtio *v)
{
    struct virtio_net *s = (struct virtio_net *)v;

    nic_unplug(s->net, s->mac);
    g_free(s->stash.data);
    s->stash.data = NULL;
}

static void net_reset(struct virtio *v)
{
    struct virtio_net *s = (struct virtio_net *)v;

    v->features = 0; /* the filter and the queues depend on them */
    memcpy(s->own_mac, s->mac, MAC_LEN);
    s->pairs = 1;
    s->guest_offloads = 0;
    s->announce = 0;
    s->stash.len = 0;
    memset(s->flow_pair, 0, sizeof(s->flow_pair));
    net_filter_reset(s);
    net_offloads_changed(s);
    assign_queues(s);
}

static void net_post_load(struct virtio *v)
{
    struct virtio_net *s = (struct virtio_net *)v;

    s->pairs = MAX_OF(1u, MIN_OF(s->pairs, s->max_pairs));
    s->n_uni = MIN_OF(s->n_uni, MAC_TABLE_MAX);
    s->n_multi = MIN_OF(s->n_multi, MAC_TABLE_MAX);
    s->guest_offloads &= v->features & NET_F_GUEST_OFFLOADS;
    s->stash.len = 0;
    net_offloads_changed(s);
    assign_queues(s);
}

static void net_fw_name(const struct device *d, char *buf, unsigned size)
{
    const struct pci_device *p = (const struct pci_device *)d;

    g_snprintf(buf, size, PCI_FUNC(p->devfn) ? "ethernet@%x,%x" : "ethernet@%x", PCI_SLOT(p->devfn), PCI_FUNC(p->devfn));
}

static const struct virtio_type net_type = {
    .name = "virtio-net",
    .id = 1,
    .pci_class = 0x0200,
    .legacy_pci_id = 0x1000,
    .features = net_features,
    .realize = net_realize,
    .unrealize = net_unrealize,
    .reset = net_reset,
    .config_read = net_config_read,
    .config_write = net_config_write,
    .features_set = net_features_set,
    .status_changed = net_status_changed,
    .post_load = net_post_load,
};

#define P(name, kind, field, def, help) { name, kind, offsetof(struct virtio_net, field), def, NULL, help }
#define F(name, field, def) P(name, PROP_BOOL, field, def, "offer the feature of that name")
#define NET_PROPS \
    P("netdev", PROP_NET, net, 0, "id of the -netdev"), P("mac", PROP_MAC, mac, 0, "address"), \
    P("bootindex", PROP_I32, bootindex, (u64)-1, "place in firmware's boot order"), \
    P("rx_queue_size", PROP_U16, rx_size, 256, "entries"), P("tx_queue_size", PROP_U16, tx_size, 256, "entries"), \
    P("host_mtu", PROP_U16, mtu, 0, "offered MTU; 0: none"), \
    P("speed", PROP_I32, speed, (u64)-1, "Mbit/s; -1: not said"), P("duplex", PROP_STR, duplex, 0, "full or half"), \
    F("mq", f_mq, 0), F("csum", f_csum, 1), F("guest_csum", f_guest_csum, 1), F("gso", f_gso, 1), F("guest_tso4", f_guest_tso4, 1), \
    F("guest_tso6", f_guest_tso6, 1), F("guest_ecn", f_guest_ecn, 1), F("guest_ufo", f_guest_ufo, 1), F("host_tso4", f_host_tso4, 1), \
    F("host_tso6", f_host_tso6, 1), F("host_ecn", f_host_ecn, 1), F("host_ufo", f_host_ufo, 1), F("mrg_rxbuf", f_mrg_rxbuf, 1), \
    F("status", f_status, 1), F("ctrl_vq", f_ctrl_vq, 1), F("ctrl_rx", f_ctrl_rx, 1), F("ctrl_vlan", f_ctrl_vlan, 1), \
    F("ctrl_rx_extra", f_ctrl_rx_extra, 1), F("ctrl_mac_addr", f_ctrl_mac_addr, 1), F("ctrl_guest_offloads", f_ctrl_offloads, 1), \
    F("guest_announce", f_announce, 1)
#define S(f) SNAP_U(struct virtio_net, f)
#define NET_FIELDS \
    SNAP_B(struct virtio_net, own_mac), S(pairs), S(promisc), S(allmulti), S(alluni), S(nomulti), S(nouni), S(nobcast), S(uni_overflow), \
    S(multi_overflow), S(n_uni), S(n_multi), SNAP_B(struct virtio_net, uni), SNAP_B(struct virtio_net, multi), \
    SNAP_B(struct virtio_net, vlans), S(guest_offloads), S(announce), SNAP_B(struct virtio_net, flow_pair)

VIRTIO_CLASSES(virtio_net, net_type, "virtio-net", "virtual network card", virtio_net, net_fw_name, PCI_PROPS_ROM("efi-virtio.rom"),
               NET_PROPS, NET_FIELDS);
