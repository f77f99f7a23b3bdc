/* Inside of the network back ends: the link object that every kind shares, what a kind implements, frames and their queues. Included
 * only by hw/backend/net*.c. Fields marked [main] belong to the main thread, [lock] to n->lock, [dev] to the device's lock. */
#ifndef HW_BACKEND_NET_IMPL_H
#define HW_BACKEND_NET_IMPL_H
#include <glib-unix.h>
#include <sys/socket.h>
#include "hw/backend/net.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/lock.h"

struct net_frame {
    struct net_frame *next;
    unsigned len;
    struct net_offload o;
    u8 data[];
};

struct net_queue {
    struct net_frame *first, **last;
    unsigned frames, bytes;
};

struct net_kind {
    const char *name;
    /* Opens what the options say; n->priv is the kind's. 0, or -1 with e set (then `close` is called). [main] */
    int (*open)(struct net *n, struct opts *o, struct err *e);
    /* A frame of the device, finished as n->tx_caps wants; borrowed, its bytes may be changed. False: not now; net_tx_ready()
     * follows. [main] */
    bool (*transmit)(struct net *n, struct net_frame *f);
    /* A batch of frames was transmitted. Optional. [main] */
    void (*flushed)(struct net *n);
    /* net_rx_full() is false again. Optional. [main] */
    void (*rx_resume)(struct net *n);
    /* The VM's clock is c from now on; NULL: it goes away. Optional. [main] */
    void (*clock_changed)(struct net *n, struct clock *c);
    /* Appends ",name=value" for `info network`. [main] */
    void (*info)(const struct net *n, GString *out);
    void (*close)(struct net *n); /* releases priv, which may be NULL or half made [main] */
};

struct net_addr {
    struct sockaddr_storage sa;
    socklen_t len; /* 0: none */
    int fd;
};

struct net_filter;

struct net {
    char *id;
    const struct net_kind *kind;
    void *priv;
    struct net *next;           /* registry [main] */
    unsigned tx_caps;           /* NET_CAN_* that transmit takes; set by open */
    struct net_filter *filters; /* [main] */

    /* device */
    const struct net_dev_ops *ops; /* NULL: none [dev] */
    void *opaque;               /* [dev] */
    struct lock *dev_lock;      /* of the last device; NULL: its calls need no lock [main] */
    unsigned rx_caps;           /* [dev] */
    unsigned queues;            /* pairs; 0: one */
    char *nic_name;             /* [dev] */
    const char *nic_model;
    u8 nic_mac[6];
    int link_down, peer_down;   /* [atomic] */
    bool gone;                  /* netdev_del: freed when its device lets go [main] */

    /* from the device */
    struct lock lock;
    struct net_queue tx;        /* [lock] */
    unsigned tx_frames, tx_bytes; /* queued and not yet transmitted, tx and out together [lock] */
    bool tx_refused;            /* send_ready is owed [lock] */
    struct net_queue out;       /* taken from tx, finished for transmit [main] */
    bool out_blocked;           /* transmit said not now [main] */

    /* to the device [main] */
    struct net_queue rx;
    bool rx_blocked;            /* the device said not now */
    bool rx_throttled;          /* net_rx_full() was true: rx_resume is owed */
    struct timer resume;        /* runs when the VM goes on */
    bool resume_armed;

    GSource *work;              /* runs net_run on the main loop */
};

/* The frame's bytes are not initialised. */
struct net_frame *net_frame_new(unsigned len);
static inline void net_frame_free(struct net_frame *f) { g_free(f); }
void net_queue_init(struct net_queue *q);
void net_queue_push(struct net_queue *q, struct net_frame *f);
struct net_frame *net_queue_pop(struct net_queue *q);
/* Puts a list of frames in front. */
void net_queue_unshift(struct net_queue *q, struct net_frame *list);
void net_queue_clear(struct net_queue *q);

/* A frame for the device; takes f. [main] */
void net_deliver(struct net *n, struct net_frame *f);
/* The same for bytes, which are copied. o may be NULL. [main] */
void net_deliver_bytes(struct net *n, const u8 *data, unsigned len, const struct net_offload *o);
/* The device is far behind: read no more until rx_resume. [main] */
bool net_rx_full(struct net *n);
/* transmit would take a frame again. [main] */
void net_tx_ready(struct net *n);
/* The link's far end came or went: the device hears of it. [main] */
void net_set_peer(struct net *n, bool up);
/* The VM's clock in ns; 0 without a VM. */
i64 net_clock_ns(void);
struct clock *net_clock(void);

/* -- hw/backend/net_offload.c -- */

/* True if a receiver with these capabilities cannot take the frame as it is. */
bool net_needs_finish(const struct net_frame *f, unsigned caps);
/* Fills in checksums and cuts the frame into ordinary ones: a list, in order. Takes f. NULL: the frame is malformed. */
struct net_frame *net_finish(struct net_frame *f);
/* Fills in the checksum of a NEEDS_CSUM frame; false if its place is outside the frame. */
bool net_csum_fill(struct net_frame *f);
/* IP fragments of at most mtu bytes of a complete frame (Ethernet, IPv4 or IPv6): a list. Takes f. NULL: malformed. */
struct net_frame *net_fragment(struct net_frame *f, unsigned mtu);
/* Where the headers of a frame are; false if it is no TCP over IP with complete headers. */
struct net_headers {
    unsigned l3, l4, payload; /* offsets */
    bool v6;
    u8 proto;
};
bool net_parse(const u8 *frame, unsigned len, struct net_headers *h);
/* Checksum of an upper-layer packet with its pseudo header. */
u16 net_l4_csum(const u8 *frame, const struct net_headers *h, unsigned l4_len);
/* Sum of the pseudo header alone, as a NEEDS_CSUM frame has it in its checksum field. */
u16 net_pseudo_csum(const u8 *frame, const struct net_headers *h, unsigned l4_len);
/* Makes a complete TCP frame that is too long for the wire into one for segmentation: `mss` bytes of payload each. */
bool net_make_gso(struct net_frame *f, unsigned mtu);

/* -- hw/backend/net_filter.c -- */
void net_filters_see(struct net *n, const struct net_frame *f);
void net_filters_free(struct net *n);

/* A source on the main loop that calls fn(fd, condition, opaque); unwatch sets *s to NULL. */
GSource *net_watch(int fd, GIOCondition cond, GUnixFDSourceFunc fn, void *opaque);
void net_unwatch(GSource **s);

/* -- hw/backend/net_addr.c -- */

/* An address from "HOST:PORT" (HOST may be empty or in brackets); passive: to listen or to bind. */
int net_addr_parse(const char *text, bool passive, int type, struct net_addr *a, struct err *e);
/* From NAME.type=inet|unix|fd and its fields. For fd, a->fd is the descriptor, otherwise -1. */
int net_addr_opts(struct opts *o, const char *name, bool passive, int type, struct net_addr *a, struct err *e);
/* "inet:127.0.0.1:1234", "unix:/path". */
void net_addr_print(const struct net_addr *a, GString *out);
/* A socket that the user handed over by number, or -1 with e set. */
int net_fd_take(const char *text, struct err *e);
/* A non-blocking socket for the address. */
int net_socket_new(const struct net_addr *a, int type, struct err *e);

/* -- for hw/backend/net_socket.c, which offers them under the older option -- */
struct net_stream_config {
    bool server;
    struct net_addr addr; /* addr.fd >= 0: a connected (or, for a server, listening) socket */
    u64 reconnect;        /* seconds; 0: never */
};
int net_stream_start(struct net *n, const struct net_stream_config *c, struct err *e);
/* local and remote may be NULL; multicast if the remote address is. */
int net_dgram_start(struct net *n, const struct net_addr *local, const struct net_addr *remote, struct err *e);

extern const struct net_kind net_user_kind, net_tap_kind, net_socket_kind, net_stream_kind, net_dgram_kind, net_hubport_kind;
extern const struct net_kind net_socket_stream_kind, net_socket_dgram_kind; /* what net_socket_kind turns into */

#endif
