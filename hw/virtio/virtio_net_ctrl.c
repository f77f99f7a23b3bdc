/* virtio-net's control queue, and the receive filter that it sets up. vCPU threads for commands, the main thread for frames; the
 * device's lock held. VIRTIO 1.2, 5.1.6.5. */
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/virtio/virtio_net.h"
#include "util/event.h"
#include "util/iov.h"
#include "util/log.h"

enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_VLAN = 2, CLASS_ANNOUNCE = 3, CLASS_MQ = 4, CLASS_OFFLOADS = 5 };
enum { RX_PROMISC = 0, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1, VLAN_ADD = 0, VLAN_DEL = 1, ANNOUNCE_ACK = 0, MQ_PAIRS_SET = 0, OFFLOADS_SET = 0 };
enum { ACK_OK = 0, ACK_ERR = 1, HEADER = 2 };
enum { ETH_TYPE = 12, ETH_VLAN = 0x8100 };

/* A command: its parameters are read from the chain behind the header. */
struct command {
    struct virtio_net *s;
    struct virtq_elem *e;
    u64 off;
};

static bool take(struct command *c, void *buf, u64 len)
{
    u64 got = iov_read(c->e->out, c->e->n_out, c->off, buf, len);

    c->off += got;
    return got == len;
}

static u64 left(const struct command *c) { return c->e->out_len - c->off; }

static bool cmd_rx(struct command *c, u8 cmd)
{
    struct virtio_net *s = c->s;
    u8 *const flag[] = { &s->promisc, &s->allmulti, &s->alluni, &s->nomulti, &s->nouni, &s->nobcast };
    u8 on;

    if (cmd >= ARRAY_LEN(flag) || !take(c, &on, 1) || !virtio_has(&s->v, cmd < RX_ALLUNI ? NET_F_CTRL_RX : NET_F_CTRL_RX_EXTRA))
        return false;
    *flag[cmd] = on != 0;
    return true;
}

/* One of the two tables: le32 entries, then the addresses. More than fit: everything of the kind is let in. */
static bool take_table(struct command *c, u8 table[][MAC_LEN], u8 *n, u8 *overflow)
{
    u32 entries;

    if (!take(c, &entries, 4) || entries > left(c) / MAC_LEN)
        return false;
    *overflow = entries > MAC_TABLE_MAX;
    *n = *overflow ? 0 : entries;
    if (*overflow)
        c->off += (u64)entries * MAC_LEN;
    return *overflow || take(c, table, (u64)entries * MAC_LEN);
}

static bool cmd_mac(struct command *c, u8 cmd)
{
    struct virtio_net *s = c->s;
    u8 mac[MAC_LEN];

    if (cmd == MAC_ADDR_SET) {
        if (!virtio_has(&s->v, NET_F_CTRL_MAC_ADDR) || left(c) != MAC_LEN || !take(c, mac, MAC_LEN))
            return false;
        memcpy(s->own_mac, mac, MAC_LEN);
        return true;
    }
    if (cmd != MAC_TABLE_SET || !virtio_has(&s->v, NET_F_CTRL_RX))
        return false;
    return take_table(c, s->uni, &s->n_uni, &s->uni_overflow) && take_table(c, s->multi, &s->n_multi, &s->multi_overflow);
}

static bool cmd_vlan(struct command *c, u8 cmd)
{
    struct virtio_net *s = c->s;
    u16 id;

    if (cmd > VLAN_DEL || !virtio_has(&s->v, NET_F_CTRL_VLAN) || !take(c, &id, 2) || id >= VLANS)
        return false;
    if (cmd == VLAN_ADD)
        s->vlans[id / 8] |= 1 << id % 8;
    else
        s->vlans[id / 8] &= ~(1 << id % 8);
    return true;
}

static bool cmd_announce(struct command *c, u8 cmd)
{
    if (cmd != ANNOUNCE_ACK || !virtio_has(&c->s->v, NET_F_GUEST_ANNOUNCE))
        return false;
    c->s->announce = 0;
    return true;
}

static bool cmd_mq(struct command *c, u8 cmd)
{
    struct virtio_net *s = c->s;
    u16 pairs;

    if (cmd != MQ_PAIRS_SET || !virtio_has(&s->v, NET_F_MQ) || !take(c, &pairs, 2) || !pairs || pairs > s->max_pairs)
        return false;
    s->pairs = pairs;
    memset(s->flow_pair, 0, sizeof(s->flow_pair));
    return true;
}

static bool cmd_offloads(struct command *c, u8 cmd)
{
    struct virtio_net *s = c->s;
    u64 wanted;

    if (cmd != OFFLOADS_SET || !virtio_has(&s->v, NET_F_CTRL_GUEST_OFFLOADS) || !take(c, &wanted, 8) ||
        (wanted & ~(s->v.features & NET_F_GUEST_OFFLOADS)))
        return false;
    s->guest_offloads = wanted;
    net_offloads_changed(s);
    return true;
}

static bool (*const classes[])(struct command *c, u8 cmd) = {
    [CLASS_RX] = cmd_rx, [CLASS_MAC] = cmd_mac, [CLASS_VLAN] = cmd_vlan, [CLASS_ANNOUNCE] = cmd_announce, [CLASS_MQ] = cmd_mq,
    [CLASS_OFFLOADS] = cmd_offloads,
};

/* Once, until somebody asks what the filter is now. */
static void tell_change(struct virtio_net *s)
{
    char *path;

    if (s->filter_told || !s->net)
        return;
    path = device_path(&s->v.pci.dev);
    const struct event_member members[] = { EVENT_STR("name", net_nic_name(s->net)), EVENT_STR("path", path), EVENT_DONE };
    event_emit("NIC_RX_FILTER_CHANGED", members);
    s->filter_told = true;
    g_free(path);
}

static void command(struct virtio_net *s, struct virtq_elem *e)
{
    struct command c = { s, e, 0 };
    u8 h[HEADER], ack;
    bool ok = take(&c, h, HEADER) && h[0] < ARRAY_LEN(classes) && classes[h[0]](&c, h[1]);

    if (ok && h[0] <= CLASS_VLAN)
        tell_change(s);
    if (!ok)
        GUEST_ERROR("virtio-net: control command %u.%u is refused", h[0], h[1]);
    ack = ok ? ACK_OK : ACK_ERR;
    iov_write(e->in, e->n_in, 0, &ack, 1);
    virtq_push(e, 1);
}

void net_ctrl_serve(struct virtio *v, struct virtq *q)
{
    struct virtq_elem *e;
    unsigned budget = q->size;

    do {
        while (budget && (e = virtq_pop(q, sizeof(*e)))) {
            budget--;
            if (e->out_len < HEADER || !e->in_len) {
                virtio_error(v, "a control command without header or acknowledgement");
                virtq_drop(e);
                return;
            }
            command((struct virtio_net *)v, e);
        }
    } while (!virtq_notify_on(q) && budget);
    virtq_notify(q);
    if (!budget)
        virtq_again(q);
}

/* -- the filter --------------------------------------------------------------------------------------------------------- */

void net_filter_reset(struct virtio_net *s)
{
    s->promisc = 1; /* until the driver says otherwise, and for ever if it has no control queue */
    s->allmulti = s->alluni = s->nomulti = s->nouni = s->nobcast = 0;
    s->uni_overflow = s->multi_overflow = s->n_uni = s->n_multi = 0;
    memset(s->vlans, virtio_has(&s->v, NET_F_CTRL_VLAN) ? 0 : 0xff, sizeof(s->vlans));
}

static bool listed(const u8 table[][MAC_LEN], unsigned n, const u8 *mac)
{
    for (unsigned i = 0; i < n; i++)
        if (!memcmp(table[i], mac, MAC_LEN))
            return true;
    return false;
}

static enum net_rx_mode mode(bool none, bool all)
{
    return none ? NET_RX_NONE : all ? NET_RX_ALL : NET_RX_NORMAL;
}

/* As net_filter_accepts looks at it. */
void net_filter_tell(void *opaque, struct net_rx_filter *f)
{
    struct virtio_net *s = opaque;

    static_assert(MAC_TABLE_MAX <= ARRAY_LEN(f->uni) && VLANS == NET_VLANS, "all of it fits");
    *f = (struct net_rx_filter){
        .promisc = s->promisc, .broadcast = !s->nobcast, .unicast = mode(s->nouni, s->alluni), .multicast = mode(s->nomulti, s->allmulti),
        .vlan = virtio_has(&s->v, NET_F_CTRL_VLAN) ? NET_RX_NORMAL : NET_RX_ALL, .uni_overflow = s->uni_overflow,
        .multi_overflow = s->multi_overflow, .n_uni = s->n_uni, .n_multi = s->n_multi,
    };
    memcpy(f->main_mac, s->own_mac, MAC_LEN);
    memcpy(f->uni, s->uni, sizeof(s->uni));
    memcpy(f->multi, s->multi, sizeof(s->multi));
    memcpy(f->vlans, s->vlans, sizeof(s->vlans));
    s->filter_told = false;
}

bool net_filter_accepts(const struct virtio_net *s, const u8 *frame, unsigned len)
{
    static const u8 broadcast[MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

    if (s->promisc)
        return true;
    if (len >= 16 && (frame[ETH_TYPE] << 8 | frame[ETH_TYPE + 1]) == ETH_VLAN) {
        unsigned id = (frame[14] << 8 | frame[15]) & (VLANS - 1);
        if (!(s->vlans[id / 8] >> id % 8 & 1))
            return false;
    }
    if (!memcmp(frame, broadcast, MAC_LEN))
        return !s->nobcast;
    if (frame[0] & 1)
        return !s->nomulti && (s->allmulti || s->multi_overflow || listed(s->multi, s->n_multi, frame));
    return !s->nouni && (s->alluni || s->uni_overflow || !memcmp(frame, s->own_mac, MAC_LEN) || listed(s->uni, s->n_uni, frame));
}
