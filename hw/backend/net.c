/* Network links: the registry of back ends, a bounded queue for each direction, and the work on the main loop that moves frames between
 * them. Devices call net_send with their lock held and go on at once; the main thread hands frames to the back end, and what the back
 * end received to the device. Software does what the receiver of a frame cannot (net_offload.c). */
#include "hw/backend/net_impl.h"
#include "util/log.h"
#include "util/opts.h"

#define TX_FRAMES_MAX 2048         /* then net_can_send is false */
#define TX_BYTES_MAX (4 * MiB)
#define RX_BYTES_HIGH (512 * KiB)  /* then back ends stop reading, as far as they can */
#define RX_BYTES_MAX (32 * MiB)    /* then frames are dropped */
#define RX_FRAMES_MAX 32768
#define RX_BATCH 64                /* frames to a device before its lock is given up */

/* The back ends of the process, which devices find by id. [main] */
static struct net *first;
static struct net *gone; /* deleted ones whose device is still there */
static struct clock *vm_clock;

static const struct net_kind *const kinds[] = {
    &net_user_kind, &net_tap_kind, &net_socket_kind, &net_stream_kind, &net_dgram_kind, &net_hubport_kind,
};

/* -- frames and queues ---------------------------------------------------------------------------------------------- */

struct net_frame *net_frame_new(unsigned len)
{
    struct net_frame *f = g_malloc(sizeof(*f) + len);

    f->next = NULL;
    f->len = len;
    f->o = (struct net_offload){ 0 };
    return f;
}

void net_queue_init(struct net_queue *q)
{
    *q = (struct net_queue){ .last = &q->first };
}

void net_queue_push(struct net_queue *q, struct net_frame *f)
{
    f->next = NULL;
    *q->last = f;
    q->last = &f->next;
    q->frames++;
    q->bytes += f->len;
}

struct net_frame *net_queue_pop(struct net_queue *q)
{
    struct net_frame *f = q->first;

    if (!f)
        return NULL;
    q->first = f->next;
    if (!q->first)
        q->last = &q->first;
    f->next = NULL;
    q->frames--;
    q->bytes -= f->len;
    return f;
}

void net_queue_unshift(struct net_queue *q, struct net_frame *list)
{
    struct net_frame **end = &list;

    for (; *end; end = &(*end)->next) {
        q->frames++;
        q->bytes += (*end)->len;
    }
    *end = q->first;
    if (!q->first)
        q->last = end == &list ? &q->first : end;
    q->first = list;
}

void net_queue_clear(struct net_queue *q)
{
    for (struct net_frame *f; (f = net_queue_pop(q));)
        net_frame_free(f);
}

/* Appends all of `from`, which is empty afterwards. */
static void queue_move(struct net_queue *q, struct net_queue *from)
{
    if (!from->first)
        return;
    *q->last = from->first;
    q->last = from->last;
    q->frames += from->frames;
    q->bytes += from->bytes;
    net_queue_init(from);
}

/* -- the device's side ---------------------------------------------------------------------------------------------- */

static void kick(struct net *n)
{
    g_source_set_ready_time(n->work, 0);
}

int net_attach(struct net *n, const struct net_dev_ops *ops, void *opaque, struct lock *lock, struct err *e)
{
    if (n->ops)
        return err_set(e, "netdev '%s' is used by another device already", n->id);
    n->dev_lock = lock;
    n->opaque = opaque;
    n->rx_caps = 0;
    n->ops = ops;
    kick(n);
    return 0;
}

void net_detach(struct net *n)
{
    if (!n)
        return;
    n->ops = NULL;
    n->opaque = NULL;
    g_free(n->nic_name);
    n->nic_name = NULL;
    kick(n);
}

unsigned net_queues(const struct net *n) { return n->queues ? n->queues : 1; }

bool net_attached(const struct net *n) { return n->ops != NULL; }
void net_set_receiver_offloads(struct net *n, unsigned caps) { n->rx_caps = caps; }
unsigned net_send_offloads(const struct net *n) { return NET_CAN_ALL; }

/* Lock held. */
static bool tx_full(const struct net *n)
{
    return n->tx_frames >= TX_FRAMES_MAX || n->tx_bytes >= TX_BYTES_MAX;
}

bool net_can_send(struct net *n)
{
    bool full;

    lock_acquire(&n->lock);
    full = tx_full(n);
    n->tx_refused |= full;
    lock_release(&n->lock);
    return !full;
}

bool net_send(struct net *n, const struct iovec *iov, unsigned n_iov, const struct net_offload *o)
{
    struct net_frame *f;
    unsigned len = 0;
    bool full, idle;

    for (unsigned i = 0; i < n_iov && len <= NET_FRAME_MAX; i++)
        len += MIN_OF(iov[i].iov_len, NET_FRAME_MAX + 1);
    if (len > NET_FRAME_MAX || len < 14 || !net_link_up(n))
        return false;
    f = net_frame_new(len);
    for (unsigned i = 0, at = 0; i < n_iov; at += iov[i++].iov_len)
        memcpy(f->data + at, iov[i].iov_base, iov[i].iov_len);
    if (o)
        f->o = *o;
    lock_acquire(&n->lock);
    full = tx_full(n);
    idle = !n->tx.first;
    if (!full) {
        net_queue_push(&n->tx, f);
        n->tx_frames++;
        n->tx_bytes += len;
    }
    lock_release(&n->lock);
    if (full)
        net_frame_free(f);
    else if (idle)
        kick(n);
    return !full;
}

void net_receive_ready(struct net *n)
{
    kick(n);
}

bool net_link_up(const struct net *n)
{
    return !__atomic_load_n(&n->link_down, __ATOMIC_RELAXED) && !__atomic_load_n(&n->peer_down, __ATOMIC_RELAXED);
}

static void lock_device(struct net *n)
{
    if (n->dev_lock)
        lock_acquire(n->dev_lock);
}

static void unlock_device(struct net *n)
{
    if (n->dev_lock)
        lock_release(n->dev_lock);
}

/* -- from the device to the back end: main thread ------------------------------------------------------------------- */

/* Counts what the queues hold now, and tells the device if it waits for room. */
static void tx_settle(struct net *n)
{
    bool tell;

    lock_acquire(&n->lock);
    n->tx_frames = n->tx.frames + n->out.frames;
    n->tx_bytes = n->tx.bytes + n->out.bytes;
    tell = n->tx_refused && n->tx_frames <= TX_FRAMES_MAX / 2 && n->tx_bytes <= TX_BYTES_MAX / 2;
    if (tell)
        n->tx_refused = false;
    lock_release(&n->lock);
    if (!tell)
        return;
    lock_device(n);
    if (n->ops && n->ops->send_ready)
        n->ops->send_ready(n->opaque);
    unlock_device(n);
}

/* Takes over what the device sent, finished as the back end wants it. */
static void tx_take(struct net *n)
{
    struct net_queue q;

    net_queue_init(&q);
    lock_acquire(&n->lock);
    queue_move(&q, &n->tx);
    lock_release(&n->lock);
    for (struct net_frame *f; (f = net_queue_pop(&q));) {
        if (!net_needs_finish(f, n->tx_caps)) {
            net_queue_push(&n->out, f);
            continue;
        }
        for (struct net_frame *next, *s = net_finish(f); s; s = next) {
            next = s->next;
            net_queue_push(&n->out, s);
        }
    }
}

static void tx_run(struct net *n)
{
    unsigned frames = n->out.frames;
    struct net_frame *f;

    while (!n->out_blocked && (f = n->out.first)) {
        if (net_link_up(n)) {
            net_filters_see(n, f);
            if (!n->kind->transmit(n, f)) {
                n->out_blocked = true;
                break;
            }
        }
        net_frame_free(net_queue_pop(&n->out));
    }
    if (frames == n->out.frames)
        return;
    if (n->kind->flushed)
        n->kind->flushed(n);
    tx_settle(n);
}

void net_tx_ready(struct net *n)
{
    n->out_blocked = false;
    kick(n);
}

/* -- from the back end to the device: main thread ------------------------------------------------------------------- */

bool net_rx_full(struct net *n)
{
    n->rx_throttled |= n->rx.bytes >= RX_BYTES_HIGH;
    return n->rx.bytes >= RX_BYTES_HIGH;
}

void net_deliver(struct net *n, struct net_frame *f)
{
    if (!net_link_up(n) || n->rx.bytes >= RX_BYTES_MAX || n->rx.frames >= RX_FRAMES_MAX || f->len < 14 || f->len > NET_FRAME_MAX) {
        net_frame_free(f);
        return;
    }
    if (!n->rx.first)
        kick(n);
    net_queue_push(&n->rx, f);
}

void net_deliver_bytes(struct net *n, const u8 *data, unsigned len, const struct net_offload *o)
{
    struct net_frame *f = net_frame_new(len);

    memcpy(f->data, data, len);
    if (o)
        f->o = *o;
    net_deliver(n, f);
}

static void on_vm_resumed(void *opaque)
{
    struct net *n = opaque;

    n->resume_armed = false;
    kick(n);
}

/* While the VM is stopped its memory must not change: what comes waits. */
static bool vm_stopped(struct net *n)
{
    if (!vm_clock || clock_running(vm_clock))
        return false;
    if (!n->resume_armed)
        timer_set(&n->resume, clock_ns(vm_clock));
    n->resume_armed = true;
    return true;
}

/* One frame, or the first piece of it if the device cannot take it whole. Device lock held. */
static void rx_one(struct net *n)
{
    struct net_frame *f = net_queue_pop(&n->rx);

    if (net_needs_finish(f, n->rx_caps)) {
        struct net_frame *pieces = net_finish(f);
        if (!pieces)
            return;
        net_queue_unshift(&n->rx, pieces);
        f = net_queue_pop(&n->rx);
    }
    net_filters_see(n, f);
    n->ops->receive(n->opaque, f->data, f->len, &f->o);
    net_frame_free(f);
}

static void rx_run(struct net *n)
{
    unsigned i = 0;

    if (!n->rx.first || vm_stopped(n))
        return;
    lock_device(n);
    if (!n->ops || !net_link_up(n))
        net_queue_clear(&n->rx);
    for (; n->rx.first && i < RX_BATCH; i++) {
        if (!n->ops->can_receive(n->opaque))
            break;
        rx_one(n);
    }
    unlock_device(n);
    if (i == RX_BATCH && n->rx.first)
        kick(n);
    if (n->rx_throttled && n->rx.bytes < RX_BYTES_HIGH / 2) {
        n->rx_throttled = false;
        if (n->kind->rx_resume)
            n->kind->rx_resume(n);
    }
}

/* -- the work on the main loop -------------------------------------------------------------------------------------- */

struct work_source {
    GSource source;
    struct net *net;
};

static void net_unlink(struct net **p, struct net *n);
static void net_destroy(struct net *n);

/* A deleted back end goes when its device has. */
static void gone_run(struct net *n)
{
    bool attached;

    lock_device(n);
    attached = n->ops;
    unlock_device(n);
    if (!attached) {
        net_unlink(&gone, n);
        net_destroy(n);
    }
}

static gboolean work_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
    struct net *n = ((struct work_source *)source)->net;

    g_source_set_ready_time(source, -1); /* first: a kick from now on runs it again */
    if (n->gone) {
        gone_run(n);
        return G_SOURCE_CONTINUE;
    }
    tx_take(n);
    tx_run(n);
    rx_run(n);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs work_funcs = { .dispatch = work_dispatch };

GSource *net_watch(int fd, GIOCondition cond, GUnixFDSourceFunc fn, void *opaque)
{
    GSource *s = g_unix_fd_source_new(fd, cond);

    g_source_set_callback(s, G_SOURCE_FUNC(fn), opaque, NULL);
    g_source_set_can_recurse(s, TRUE); /* it does not; but GLib would make system calls at each event to prevent it */
    g_source_attach(s, NULL);
    return s;
}

void net_unwatch(GSource **s)
{
    if (!*s)
        return;
    g_source_destroy(*s);
    g_source_unref(*s);
    *s = NULL;
}

/* -- registry ------------------------------------------------------------------------------------------------------- */

struct net *net_find(const char *id)
{
    for (struct net *n = first; n; n = n->next)
        if (!strcmp(n->id, id))
            return n;
    return NULL;
}

struct net *net_next(const struct net *n) { return n ? n->next : first; }
const char *net_id(const struct net *n) { return n->id; }
const char *net_kind_nth(unsigned i)
{
    return i < ARRAY_LEN(kinds) ? kinds[i]->name : NULL;
}

const char *net_kind_name(const struct net *n) { return n->kind->name; }
struct clock *net_clock(void) { return vm_clock; }
i64 net_clock_ns(void) { return vm_clock ? clock_ns(vm_clock) : 0; }

static const struct net_kind *kind_find(const char *name, struct err *e)
{
    static const char *const absent[] = { "vde", "bridge", "l2tpv3", "netmap", "vhost-user", "vhost-vdpa", "vmnet-host", "nic" };

    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i]->name, name))
            return kinds[i];
    for (unsigned i = 0; i < ARRAY_LEN(absent); i++)
        if (!strcmp(absent[i], name)) {
            err_set(e, "netdev type '%s' is not available here; there are user, tap, socket, stream, dgram and hubport", name);
            return NULL;
        }
    err_set(e, "there is no netdev type '%s'; there are user, tap, socket, stream, dgram and hubport", name);
    return NULL;
}

static struct net *net_alloc(const char *id, const struct net_kind *kind)
{
    struct net *n = g_new0(struct net, 1), **tail = &first;

    n->id = g_strdup(id);
    n->kind = kind;
    lock_init(&n->lock, "net", RANK_BACKEND);
    net_queue_init(&n->tx);
    net_queue_init(&n->out);
    net_queue_init(&n->rx);
    n->work = g_source_new(&work_funcs, sizeof(struct work_source));
    ((struct work_source *)n->work)->net = n;
    g_source_attach(n->work, NULL);
    if (vm_clock)
        timer_init(&n->resume, vm_clock, on_vm_resumed, n);
    while (*tail)
        tail = &(*tail)->next;
    *tail = n;
    return n;
}

struct net *net_new(struct opts *o, struct err *e)
{
    const char *type = opts_get(o, "type"), *id = opts_get(o, "id");
    const struct net_kind *kind;
    struct net *n;

    if (!type || !*type)
        return err_set(e, "the type of the netdev is missing"), NULL;
    if (!(kind = kind_find(type, e)))
        return NULL;
    if (!id || !*id)
        return err_set(e, "id=ID is missing"), NULL;
    if (id_check(id + (*id == '#'), e) < 0) /* "#nic0": made by -nic */
        return NULL;
    if (net_find(id))
        return err_set(e, "there is a netdev with id '%s' already", id), NULL;
    n = net_alloc(id, kind);
    if (kind->open(n, o, e) < 0 || opts_all_used(o, e) < 0) {
        net_free(n);
        return NULL;
    }
    return n;
}

static void net_unlink(struct net **p, struct net *n)
{
    while (*p != n)
        p = &(*p)->next;
    *p = n->next;
}

/* It is in no list. */
static void net_destroy(struct net *n)
{
    if (!n->gone)
        n->kind->close(n);
    net_filters_free(n);
    timer_cancel(&n->resume);
    g_source_destroy(n->work);
    g_source_unref(n->work);
    net_queue_clear(&n->tx);
    net_queue_clear(&n->out);
    net_queue_clear(&n->rx);
    lock_fini(&n->lock);
    g_free(n->id);
    g_free(n);
}

void net_free(struct net *n)
{
    if (!n)
        return;
    assert(!n->ops);
    net_unlink(&first, n);
    net_destroy(n);
}

int net_del(const char *id, struct err *e)
{
    struct net *n = net_find(id);
    bool attached;

    if (!n)
        return err_set(e, "Device '%s' not found", id);
    if (n->ops && !n->dev_lock)
        return err_set(e, "netdev '%s' is used by a hub port", id);
    net_set_peer(n, false);
    lock_device(n);
    attached = n->ops;
    unlock_device(n);
    if (!attached) {
        net_free(n);
        return 0;
    }
    net_unlink(&first, n);
    n->kind->close(n);
    timer_cancel(&n->resume);
    n->resume = (struct timer){ 0 }; /* the clock may go first */
    n->gone = true;
    n->next = gone;
    gone = n;
    return 0;
}

/* Hub ports first: they are the devices of other back ends. */
void net_free_all(void)
{
    for (struct net *n = first, *next; n; n = next) {
        next = n->next;
        if (n->kind == &net_hubport_kind) {
            net_free(n);
            next = first;
        }
    }
    while (first)
        net_free(first);
    while (gone) {
        struct net *n = gone;
        gone = n->next;
        net_destroy(n);
    }
}

void net_set_clock(struct clock *c)
{
    for (struct net *n = first; n; n = n->next) {
        timer_cancel(&n->resume);
        n->resume_armed = false;
        n->resume = (struct timer){ 0 };
        if (c)
            timer_init(&n->resume, c, on_vm_resumed, n);
        if (n->kind->clock_changed)
            n->kind->clock_changed(n, c);
    }
    vm_clock = c;
}

/* -- link state and information ------------------------------------------------------------------------------------- */

static void set_state(struct net *n, int *flag, bool up)
{
    bool was = net_link_up(n), is;

    __atomic_store_n(flag, !up, __ATOMIC_RELAXED);
    is = net_link_up(n);
    if (was == is)
        return;
    lock_device(n);
    if (n->ops && n->ops->link_changed)
        n->ops->link_changed(n->opaque, is);
    unlock_device(n);
}

void net_set_peer(struct net *n, bool up) { set_state(n, &n->peer_down, up); }

int net_set_link(const char *name, bool up, struct err *e)
{
    for (struct net *n = first; n; n = n->next) {
        bool found;
        lock_device(n);
        found = !strcmp(n->id, name) || (n->nic_name && !strcmp(n->nic_name, name));
        unlock_device(n);
        if (found) {
            set_state(n, &n->link_down, up);
            return 0;
        }
    }
    return err_set(e, "Device '%s' not found", name);
}

void net_set_nic(struct net *n, const char *id, const char *model, const u8 mac[6])
{
    unsigned i = 0;

    for (const struct net *o = first; o; o = o->next)
        i += o != n && o->nic_name && o->nic_model == model;
    g_free(n->nic_name);
    n->nic_name = id ? g_strdup(id) : g_strdup_printf("%s.%u", model, i);
    n->nic_model = model;
    memcpy(n->nic_mac, mac, 6);
}

const char *net_nic_name(const struct net *n) { return n->nic_name; }

bool net_rx_filter(struct net *n, struct net_rx_filter *f)
{
    bool tells;

    *f = (struct net_rx_filter){ 0 };
    lock_device(n);
    tells = n->ops && n->ops->rx_filter;
    if (tells)
        n->ops->rx_filter(n->opaque, f);
    unlock_device(n);
    return tells;
}

char *net_info(const struct net *n)
{
    GString *s = g_string_new("type=");

    g_string_append(s, n->kind->name);
    n->kind->info(n, s);
    return g_string_free(s, FALSE);
}

char *net_info_all(void)
{
    GString *s = g_string_new(NULL);

    for (struct net *n = first; n; n = n->next) {
        char *info = net_info(n);
        const u8 *m = n->nic_mac;
        lock_device(n);
        if (n->nic_name)
            g_string_append_printf(s, "%s: index=0,type=nic,model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x\n \\ ", n->nic_name,
                                   n->nic_model, m[0], m[1], m[2], m[3], m[4], m[5]);
        unlock_device(n);
        g_string_append_printf(s, "%s: index=0,%s\n", n->id, info);
        g_free(info);
    }
    return g_string_free(s, FALSE);
}

/* -- default MAC addresses ------------------------------------------------------------------------------------------ */

static const u8 mac_base[5] = { 0x52, 0x54, 0x00, 0x12, 0x34 };
static u8 mac_users[256]; /* by the last byte of addresses with that base; machine lock */

void net_mac_claim(u8 mac[6])
{
    static const u8 none[6];

    if (!memcmp(mac, none, 6)) {
        memcpy(mac, mac_base, 5);
        for (mac[5] = 0x56; mac_users[mac[5]] && mac[5] != 0x55; mac[5]++)
            ;
    }
    if (!memcmp(mac, mac_base, 5) && mac_users[mac[5]] < 255)
        mac_users[mac[5]]++;
}

void net_mac_release(const u8 mac[6])
{
    if (!memcmp(mac, mac_base, 5) && mac_users[mac[5]])
        mac_users[mac[5]]--;
}
