/* Filters of network back ends: -object filter-dump writes every frame that passes, in either direction, to a file in pcap format. Main
 * thread, called by net.c for each frame. Format: the libpcap capture file, version 2.4, link type Ethernet. */
#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "hw/backend/net_impl.h"
#include "util/opts.h"

enum { PCAP_MAGIC = 0xa1b2c3d4, PCAP_ETHERNET = 1, MAXLEN_DEFAULT = 65536 };

struct net_filter {
    struct net_filter *next; /* of the same back end */
    char *id;
    int fd;
    unsigned maxlen;
};

static int write_header(int fd, unsigned maxlen)
{
    const struct { u32 magic; u16 major, minor; u32 zone, accuracy, snap, link; } h = {
        PCAP_MAGIC, 2, 4, 0, 0, maxlen, PCAP_ETHERNET,
    };

    return write(fd, &h, sizeof(h)) == sizeof(h) ? 0 : -1;
}

/* VM time where there is a VM, on a date that readers can place. */
static void dump(struct net_filter *d, const struct net_frame *f)
{
    i64 us = (net_clock() ? clock_wall_ns(net_clock()) : g_get_real_time() * 1000) / 1000;
    u32 n = MIN_OF(f->len, d->maxlen);
    u32 h[4] = { (u32)(us / 1000000), (u32)(us % 1000000), n, f->len };
    struct iovec iov[2] = { { h, sizeof(h) }, { (void *)(uintptr_t)f->data, n } };

    if (d->fd >= 0 && writev(d->fd, iov, 2) != (ssize_t)(sizeof(h) + n)) {
        warn_report("filter-dump %s: writing failed: %s; it ends here", d->id, strerror(errno));
        close(d->fd);
        d->fd = -1;
    }
}

void net_filters_see(struct net *n, const struct net_frame *f)
{
    for (struct net_filter *d = n->filters; d; d = d->next)
        dump(d, f);
}

static void filter_free(struct net_filter *d)
{
    if (d->fd >= 0)
        close(d->fd);
    g_free(d->id);
    g_free(d);
}

void net_filters_free(struct net *n)
{
    while (n->filters) {
        struct net_filter *d = n->filters;
        n->filters = d->next;
        filter_free(d);
    }
}

/* The link to the filter of that id, or NULL. */
static struct net_filter **filter_find(const char *id)
{
    for (struct net *n = net_next(NULL); n; n = net_next(n))
        for (struct net_filter **p = &n->filters; *p; p = &(*p)->next)
            if (!strcmp((*p)->id, id))
                return p;
    return NULL;
}

int net_filter_add(struct opts *o, struct err *e)
{
    const char *id = opts_get(o, "id"), *netdev = opts_get(o, "netdev"), *path = opts_get(o, "file");
    struct net *n = netdev ? net_find(netdev) : NULL;
    struct net_filter *d;
    u64 maxlen;
    int fd;

    if (!id || !netdev || !path)
        return err_set(e, "filter-dump: %s= is missing", !id ? "id" : !netdev ? "netdev" : "file");
    if (!n)
        return err_set(e, "filter-dump: netdev=%s: there is no -netdev with this id", netdev);
    if (filter_find(id))
        return err_set(e, "filter-dump: there is an object with id '%s' already", id);
    if (opts_uint(o, "maxlen", MAXLEN_DEFAULT, 1, UINT32_MAX, &maxlen, e) < 0 || opts_all_used(o, e) < 0)
        return err_prefix(e, "filter-dump");
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 || write_header(fd, maxlen) < 0) {
        err_set(e, "filter-dump: file=%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    d = g_new0(struct net_filter, 1);
    d->id = g_strdup(id);
    d->fd = fd;
    d->maxlen = maxlen;
    d->next = n->filters;
    n->filters = d;
    return 0;
}

int net_filter_del(const char *id, struct err *e)
{
    struct net_filter **p = filter_find(id), *d;

    if (!p)
        return err_set(e, "object '%s' not found", id);
    d = *p;
    *p = d->next;
    filter_free(d);
    return 0;
}
