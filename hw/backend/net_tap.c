/* -netdev tap: an interface of the host's kernel, with its checksum and segmentation offloads where the kernel has them. Main thread, from
 * net.c. Linux Documentation/networking/tuntap.rst. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hw/backend/net_impl.h"
#include "util/inet_sum.h"
#include "util/opts.h"

#define SCRIPT_UP "/etc/qemu-ifup"
#define SCRIPT_DOWN "/etc/qemu-ifdown"
enum { QUEUES_MAX = 16, READ_BATCH = 64 };

struct tap_queue {
    struct net *net;
    int fd;
    GSource *in, *out;
};

struct tap {
    char ifname[IFNAMSIZ];
    char *downscript;
    bool vnet_hdr;
    unsigned n;
    struct tap_queue q[QUEUES_MAX];
    u8 buf[NET_FRAME_MAX];
};

/* -- frames --------------------------------------------------------------------------------------------------------- */

static void hdr_to_offload(const struct virtio_net_hdr *h, struct net_offload *o)
{
    *o = (struct net_offload){ h->flags, h->gso_type, h->hdr_len, h->gso_size, h->csum_start, h->csum_offset };
}

static void hdr_from_offload(const struct net_offload *o, struct virtio_net_hdr *h)
{
    *h = (struct virtio_net_hdr){ .flags = o->flags & NET_F_NEEDS_CSUM, .gso_type = o->gso_type, .hdr_len = o->hdr_len,
                                  .gso_size = o->gso_size };
    h->csum_start = o->csum_start;
    h->csum_offset = o->csum_offset;
}

/* One frame; false if there is none. */
static bool tap_read(struct net *n, int fd)
{
    struct tap *t = n->priv;
    struct virtio_net_hdr h = { 0 };
    struct iovec iov[2] = { { &h, sizeof(h) }, { t->buf, sizeof(t->buf) } };
    unsigned skip = t->vnet_hdr ? sizeof(h) : 0;
    ssize_t r = t->vnet_hdr ? readv(fd, iov, 2) : read(fd, t->buf, sizeof(t->buf));
    struct net_offload o;

    if (r <= (ssize_t)skip)
        return false;
    hdr_to_offload(&h, &o);
    net_deliver_bytes(n, t->buf, r - skip, &o);
    return true;
}

static gboolean on_input(gint fd, GIOCondition cond, gpointer opaque)
{
    struct tap_queue *q = opaque;

    for (unsigned i = 0; i < READ_BATCH; i++) {
        if (net_rx_full(q->net)) {
            net_unwatch(&q->in);
            return G_SOURCE_REMOVE;
        }
        if (!tap_read(q->net, fd))
            break;
    }
    return G_SOURCE_CONTINUE;
}

static void tap_rx_resume(struct net *n)
{
    struct tap *t = n->priv;

    for (unsigned i = 0; i < t->n; i++)
        if (!t->q[i].in)
            t->q[i].in = net_watch(t->q[i].fd, G_IO_IN, on_input, &t->q[i]);
}

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    struct tap_queue *q = opaque;

    net_unwatch(&q->out);
    net_tx_ready(q->net);
    return G_SOURCE_REMOVE;
}

/* Frames of a flow stay on one queue: which one is a hash of the addresses. */
static struct tap_queue *choose_queue(struct tap *t, const struct net_frame *f)
{
    return &t->q[t->n > 1 && f->len >= 38 ? inet_sum(f->data + 26, 12, 0) % t->n : 0];
}

static bool tap_transmit(struct net *n, struct net_frame *f)
{
    struct tap *t = n->priv;
    struct tap_queue *q = choose_queue(t, f);
    struct virtio_net_hdr h;
    struct iovec iov[2] = { { &h, sizeof(h) }, { f->data, f->len } };
    ssize_t r;

    hdr_from_offload(&f->o, &h);
    r = t->vnet_hdr ? writev(q->fd, iov, 2) : write(q->fd, f->data, f->len);
    if (r >= 0 || errno != EAGAIN)
        return true; /* an interface that is down loses frames */
    if (!q->out)
        q->out = net_watch(q->fd, G_IO_OUT, on_writable, q);
    return false;
}

/* -- opening -------------------------------------------------------------------------------------------------------- */

static int run_script(const char *script, const char *ifname, struct err *e)
{
    char *argv[] = { (char *)script, (char *)ifname, NULL };
    GError *ge = NULL;
    int status = 0;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, &ge)) {
        err_set(e, "script %s: %s", script, ge->message);
        g_error_free(ge);
        return -1;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return err_set(e, "script %s %s failed with status %d", script, ifname, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}

/* The script that NAME= says: NULL for "no" or an empty name; what nobody named is used if it is there. */
static const char *script_choose(struct opts *o, const char *name, const char *def)
{
    const char *v = opts_get(o, name);

    if (v)
        return !*v || !strcmp(v, "no") ? NULL : v;
    return access(def, X_OK) ? NULL : def;
}

static int queue_add(struct net *n, int fd)
{
    struct tap *t = n->priv;

    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    t->q[t->n++] = (struct tap_queue){ .net = n, .fd = fd };
    return 0;
}

static int queue_open(struct net *n, bool multi, struct err *e)
{
    struct tap *t = n->priv;
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | (t->vnet_hdr ? IFF_VNET_HDR : 0) | (multi ? IFF_MULTI_QUEUE : 0) };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return err_set(e, "could not open /dev/net/tun: %s", strerror(errno));
    strcpy(ifr.ifr_name, *t->ifname ? t->ifname : "tap%d");
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        err_set(e, "could not configure /dev/net/tun (%s): %s", ifr.ifr_name, strerror(errno));
        close(fd);
        return -1;
    }
    memcpy(t->ifname, ifr.ifr_name, IFNAMSIZ);
    return queue_add(n, fd);
}

/* fd=N or fds=N:N: interfaces that somebody has opened for us. */
static int queues_take(struct net *n, const char *fds, struct err *e)
{
    struct tap *t = n->priv;
    char **parts = g_strsplit(fds, ":", -1);
    struct ifreq ifr;
    int r = 0;

    for (unsigned i = 0; parts[i] && !r; i++) {
        u64 fd;
        if (i == QUEUES_MAX)
            r = err_set(e, "fds=%s: at most %u descriptors", fds, QUEUES_MAX);
        else if (!g_ascii_string_to_unsigned(parts[i], 10, 0, INT32_MAX, &fd, NULL))
            r = err_set(e, "fd=%s: not the number of a descriptor", parts[i]);
        else if (ioctl(fd, TUNGETIFF, &ifr) < 0)
            r = err_set(e, "fd=%s: not a tap interface: %s", parts[i], strerror(errno));
        else
            r = queue_add(n, fd);
        if (!r) {
            t->vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
            memcpy(t->ifname, ifr.ifr_name, IFNAMSIZ);
        }
    }
    g_strfreev(parts);
    return r;
}

/* What the kernel may send us as it is, and so takes from us. */
static void offloads_enable(struct net *n)
{
    struct tap *t = n->priv;
    int size = sizeof(struct virtio_net_hdr);

    if (!t->vnet_hdr)
        return;
    for (unsigned i = 0; i < t->n; i++) {
        ioctl(t->q[i].fd, TUNSETVNETHDRSZ, &size);
        if (ioctl(t->q[i].fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
            return;
    }
    n->tx_caps = NET_CAN_CSUM | NET_CAN_TSO4 | NET_CAN_TSO6;
}

static int tap_options(struct net *n, struct opts *o, u64 *queues, struct err *e)
{
    static const char *const absent[] = { "br", "helper", "vhostfd", "vhostfds", "vhostforce" };
    struct tap *t = n->priv;
    const char *ifname = opts_get(o, "ifname");
    bool vhost;
    u64 sndbuf, poll_us;

    for (unsigned i = 0; i < ARRAY_LEN(absent); i++)
        if (opts_peek(o, absent[i]))
            return err_set(e, "%s= is not available here; make the interface beforehand and name it with ifname=", absent[i]);
    if (opts_bool(o, "vhost", false, &vhost, e) < 0 || opts_bool(o, "vnet_hdr", true, &t->vnet_hdr, e) < 0 ||
        opts_uint(o, "queues", 1, 1, QUEUES_MAX, queues, e) < 0 || opts_size(o, "sndbuf", 0, &sndbuf, e) < 0 ||
        opts_uint(o, "poll-us", 0, 0, UINT32_MAX, &poll_us, e) < 0)
        return -1;
    if (vhost)
        return err_set(e, "vhost=on: the kernel's virtio back end is not available here; use vhost=off");
    if (ifname && strlen(ifname) >= IFNAMSIZ)
        return err_set(e, "ifname=%s: at most %d characters", ifname, IFNAMSIZ - 1);
    if (ifname)
        strcpy(t->ifname, ifname);
    return 0;
}

static int tap_open(struct net *n, struct opts *o, struct err *e)
{
    struct tap *t = g_new0(struct tap, 1);
    const char *fd = opts_get(o, "fd"), *fds = opts_get(o, "fds"), *up, *down;
    u64 queues;

    n->priv = t;
    if (tap_options(n, o, &queues, e) < 0)
        return -1;
    if (fd || fds) {
        if (opts_peek(o, "ifname") || opts_peek(o, "script") || opts_peek(o, "downscript") || opts_peek(o, "queues"))
            return err_set(e, "ifname=, script=, downscript= and queues= are invalid with fd=");
        if (queues_take(n, fd ? fd : fds, e) < 0)
            return -1;
    } else {
        up = script_choose(o, "script", SCRIPT_UP);
        down = script_choose(o, "downscript", SCRIPT_DOWN);
        for (unsigned i = 0; i < queues; i++)
            if (queue_open(n, queues > 1, e) < 0)
                return -1;
        if (up && run_script(up, t->ifname, e) < 0)
            return -1;
        t->downscript = g_strdup(down);
    }
    n->queues = t->n;
    offloads_enable(n);
    tap_rx_resume(n);
    return 0;
}

static void tap_info(const struct net *n, GString *out)
{
    const struct tap *t = n->priv;

    g_string_append_printf(out, ",ifname=%s,queues=%u,vnet_hdr=%s", t->ifname, t->n, t->vnet_hdr ? "on" : "off");
}

static void tap_close(struct net *n)
{
    struct tap *t = n->priv;
    struct err e;

    if (!t)
        return;
    if (t->downscript && run_script(t->downscript, t->ifname, &e) < 0)
        warn_report("%s", e.msg);
    for (unsigned i = 0; i < t->n; i++) {
        net_unwatch(&t->q[i].in);
        net_unwatch(&t->q[i].out);
        close(t->q[i].fd);
    }
    g_free(t->downscript);
    g_free(t);
    n->priv = NULL;
}

const struct net_kind net_tap_kind = {
    .name = "tap", .open = tap_open, .transmit = tap_transmit, .rx_resume = tap_rx_resume, .info = tap_info, .close = tap_close,
};
