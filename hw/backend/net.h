/* Network back ends and links: a network device and a back end (-netdev) are the two ports of a link; frames go from one port to the
 * other. Made on the main thread, where all back ends work; devices call from any thread with their lock held. */
#ifndef HW_BACKEND_NET_H
#define HW_BACKEND_NET_H
#include <sys/uio.h>
#include "util/base.h"

struct clock;
struct err;
struct lock;
struct opts;
struct net;

/* What a frame carries besides its bytes: the fields of virtio_net_hdr (virtio 1.2, 5.1.6) in host byte order. All zero: an
 * ordinary complete frame. */
struct net_offload {
    u8 flags, gso_type;
    u16 hdr_len, gso_size, csum_start, csum_offset;
};
enum { NET_F_NEEDS_CSUM = 1, NET_F_DATA_VALID = 2 /* to a device: checksums were verified; a hint that any device may get */ };
enum { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_UDP = 3, NET_GSO_TCPV6 = 4, NET_GSO_UDP_L4 = 5, NET_GSO_ECN = 0x80 };
enum { /* what a receiver takes as it is, and the sender need not finish itself */
    NET_CAN_CSUM = 1, NET_CAN_TSO4 = 2, NET_CAN_TSO6 = 4, NET_CAN_UFO = 8, NET_CAN_USO = 16,
    NET_CAN_ALL = 31,
};
#define NET_FRAME_MAX (64 * KiB + 64) /* with segmentation offload; else 1514 and VLAN tags */

/* What a device lets in, for query-rx-filter. */
#define NET_VLANS 4096
struct net_rx_filter {
    bool promisc, broadcast;
    enum net_rx_mode { NET_RX_NONE, NET_RX_NORMAL /* what the table lists */, NET_RX_ALL } unicast, multicast, vlan;
    bool uni_overflow, multi_overflow; /* the table was too long: everything of the kind is let in */
    unsigned n_uni, n_multi;
    u8 main_mac[6], uni[64][6], multi[64][6];
    u8 vlans[NET_VLANS / 8];
};

/* The device's half of a link; the device's lock held around all of them. */
struct net_dev_ops {
    /* True if `receive` would take a frame now. net_receive_ready() tells when that becomes true again. */
    bool (*can_receive)(void *opaque);
    /* A frame for the guest; main thread or the device's I/O thread. Taken, or dropped as hardware would. */
    void (*receive)(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o);
    void (*link_changed)(void *opaque, bool up); /* set_link, or the back end's peer came or went; optional */
    /* net_can_send() is true again after it was false; optional. Main thread. */
    void (*send_ready)(void *opaque);
    void (*rx_filter)(void *opaque, struct net_rx_filter *f); /* optional; *f is zeroed */
};

/* By -netdev id=; NULL if there is none. Main thread. */
struct net *net_find(const char *id);
/* Every back end: the first for NULL, then the next. Main thread. */
struct net *net_next(const struct net *n);
const char *net_id(const struct net *n);
const char *net_kind_name(const struct net *n);
/* Names of the kinds, for lists; NULL past the last. */
const char *net_kind_nth(unsigned i);
/* -netdev KIND,id=ID,... ("type" holds the kind). NULL with e set. Main thread. */
struct net *net_new(struct opts *o, struct err *e);
/* No device is attached. n may be NULL. Main thread, no lock held. */
void net_free(struct net *n);
void net_free_all(void);
/* netdev_del: a device that uses it stays, with its cable pulled. -1 with e set if there is none, or a hub port uses it. Main thread, no
 * lock held. */
int net_del(const char *id, struct err *e);
/* The VM's clock: while it stands still no frame reaches a device. NULL: no VM (before it is freed). Main thread. */
void net_set_clock(struct clock *c);

/* One device uses a back end at a time. Machine lock. */
int net_attach(struct net *n, const struct net_dev_ops *ops, void *opaque, struct lock *lock, struct err *e);
void net_detach(struct net *n);
bool net_attached(const struct net *n);
/* Queue pairs that the back end has: tap's queues=; 1 for most. */
unsigned net_queues(const struct net *n);
/* NET_CAN_* that the device's receive function accepts now. Lock held. */
void net_set_receiver_offloads(struct net *n, unsigned caps);
/* NET_CAN_* that net_send may be given for this back end: all, what the back end lacks is done in software. */
unsigned net_send_offloads(const struct net *n);
/* A frame from the guest; the bytes are copied. o may be NULL. False: the back end's queue is full (or the frame is
 * impossible) and it was dropped, as on a real wire. Lock held; never calls the device back. */
bool net_send(struct net *n, const struct iovec *iov, unsigned n_iov, const struct net_offload *o);
/* False: the queue is full; send_ready follows. A device may stop taking frames from its ring meanwhile. Lock held. */
bool net_can_send(struct net *n);
/* The device can receive again: queued frames are delivered soon. Lock held. */
void net_receive_ready(struct net *n);
/* Any thread. */
bool net_link_up(const struct net *n);

/* -- what people see: main thread, no lock held unless stated -- */

/* What kind of device is attached and how it is called ("e1000.0" if id is NULL); borrows model. Lock held. */
void net_set_nic(struct net *n, const char *id, const char *model, const u8 mac[6]);
/* The name of the device that is attached; NULL: none. Borrowed while it is. */
const char *net_nic_name(const struct net *n);
/* What its device lets in. False: it does not tell. */
bool net_rx_filter(struct net *n, struct net_rx_filter *f);
/* `set_link NAME on|off`: the id of a back end or the name of its device. -1 with e set if there is none. */
int net_set_link(const char *name, bool up, struct err *e);
/* One line without newline, e.g. "type=user,net=10.0.2.0,restrict=off". Caller frees. */
char *net_info(const struct net *n);
/* `info network`. Caller frees. */
char *net_info_all(void);

/* A default address 52:54:00:12:34:56, :57 ... for a NIC whose mac is all zeros, and notes which of them are in use. Machine lock. */
void net_mac_claim(u8 mac[6]);
void net_mac_release(const u8 mac[6]);

/* -- filters -- */

/* -object filter-dump,id=ID,netdev=ID,file=PATH[,maxlen=N]: writes every frame in pcap format. ("qom-type" is the caller's.) */
int net_filter_add(struct opts *o, struct err *e);
/* object-del; -1 if there is no filter of that id. */
int net_filter_del(const char *id, struct err *e);

/* -- user networking -- */

/* `info usernet`. Caller frees. */
char *net_user_info(void);
/* `hostfwd_add [NETDEV] RULE`, `hostfwd_remove`: RULE is "tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT", without the guest's part to
 * remove. netdev: NULL for the only user back end. */
int net_user_hostfwd_add(const char *netdev, const char *rule, struct err *e);
int net_user_hostfwd_remove(const char *netdev, const char *rule, struct err *e);

#endif
