/* Inside of virtio-net: the state that virtio_net.c (frames) and virtio_net_ctrl.c (control queue, receive filter) share. The device's
 * lock held. VIRTIO 1.2, 5.1. */
#ifndef HW_VIRTIO_VIRTIO_NET_H
#define HW_VIRTIO_VIRTIO_NET_H
#include "hw/backend/net.h"
#include "hw/virtio/virtio_pci.h"

#define NET_F_CSUM BIT64(0)
#define NET_F_GUEST_CSUM BIT64(1)
#define NET_F_CTRL_GUEST_OFFLOADS BIT64(2)
#define NET_F_MTU BIT64(3)
#define NET_F_MAC BIT64(5)
#define NET_F_GUEST_TSO4 BIT64(7)
#define NET_F_GUEST_TSO6 BIT64(8)
#define NET_F_GUEST_ECN BIT64(9)
#define NET_F_GUEST_UFO BIT64(10)
#define NET_F_HOST_TSO4 BIT64(11)
#define NET_F_HOST_TSO6 BIT64(12)
#define NET_F_HOST_ECN BIT64(13)
#define NET_F_HOST_UFO BIT64(14)
#define NET_F_MRG_RXBUF BIT64(15)
#define NET_F_STATUS BIT64(16)
#define NET_F_CTRL_VQ BIT64(17)
#define NET_F_CTRL_RX BIT64(18)
#define NET_F_CTRL_VLAN BIT64(19)
#define NET_F_CTRL_RX_EXTRA BIT64(20)
#define NET_F_GUEST_ANNOUNCE BIT64(21)
#define NET_F_MQ BIT64(22)
#define NET_F_CTRL_MAC_ADDR BIT64(23)
#define NET_F_GUEST_USO4 BIT64(54)
#define NET_F_GUEST_USO6 BIT64(55)
#define NET_F_HOST_USO BIT64(56)
#define NET_F_SPEED_DUPLEX BIT64(63)
#define NET_F_GUEST_OFFLOADS (NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | NET_F_GUEST_UFO | \
                              NET_F_GUEST_USO4 | NET_F_GUEST_USO6)
enum { NET_S_LINK_UP = 1, NET_S_ANNOUNCE = 2 };
enum { NET_PAIRS_MAX = 32, MAC_TABLE_MAX = 64, MAC_LEN = 6, VLANS = 4096, FLOWS = 256 };

/* 5.1.4 */
struct net_config {
    u8 mac[MAC_LEN];
    u16 status, max_virtqueue_pairs, mtu;
    u32 speed; /* Mbit/s; all ones: not known */
    u8 duplex; /* 1: full; 0xff: not known */
} __attribute__((packed));

struct virtio_net {
    struct virtio v;
    struct net *net;             /* properties */
    u8 mac[MAC_LEN];
    bool f_csum, /* properties of the features' names */
        f_guest_csum, f_gso, f_guest_tso4, f_guest_tso6, f_guest_ecn, f_guest_ufo, f_host_tso4, f_host_tso6, f_host_ecn,
        f_host_ufo, f_mrg_rxbuf, f_status, f_ctrl_vq, f_ctrl_rx, f_ctrl_vlan, f_ctrl_rx_extra, f_ctrl_mac_addr, f_ctrl_offloads,
        f_announce, f_mq;
    u16 rx_size, tx_size, mtu;
    i32 speed, bootindex;
    char *duplex;
    unsigned max_pairs;
    u8 own_mac[MAC_LEN];         /* in use; the driver may change it [saved, as all below] */
    u16 pairs;                   /* in use */
    u8 promisc, allmulti, alluni, nomulti, nouni, nobcast;
    u8 uni_overflow, multi_overflow;
    u8 n_uni, n_multi;
    u8 uni[MAC_TABLE_MAX][MAC_LEN], multi[MAC_TABLE_MAX][MAC_LEN];
    u8 vlans[VLANS / 8];
    u64 guest_offloads;          /* NET_F_GUEST_* in force */
    u8 announce;
    u8 flow_pair[FLOWS];         /* which pair a flow was last sent on: its frames come back there */
    bool filter_told;            /* NIC_RX_FILTER_CHANGED was sent, and nobody has asked since; not saved */
    struct {                     /* a frame that waits for buffers; lost by a save, as frames may be */
        u8 *data;
        unsigned len;
        struct net_offload offload;
    } stash;
};

static inline unsigned net_header_size(const struct virtio_net *s)
{
    return virtio_has(&s->v, VIRTIO_F_VERSION_1 | NET_F_MRG_RXBUF) ? 12 : 10;
}
/* Queue numbers: rx 0, tx 0, rx 1, tx 1, ..., control. */
static inline unsigned net_ctrl_queue(const struct virtio_net *s)
{
    return virtio_has(&s->v, NET_F_MQ) ? 2 * s->max_pairs : 2;
}

/* virtio_net_ctrl.c */
void net_ctrl_serve(struct virtio *v, struct virtq *q);
/* Everything is let in, as the driver finds it. */
void net_filter_reset(struct virtio_net *s);
void net_filter_tell(void *opaque, struct net_rx_filter *f);
bool net_filter_accepts(const struct virtio_net *s, const u8 *frame, unsigned len);
/* virtio_net.c */
void net_offloads_changed(struct virtio_net *s);

#endif
