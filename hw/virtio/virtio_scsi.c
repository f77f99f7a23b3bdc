/* virtio-scsi: a SCSI host adapter with a bus for scsi-hd and scsi-cd. Commands start on the thread of the driver's notification and end on
 * the main thread or a back end's I/O thread; the device's lock is held. VIRTIO 1.2, 5.6. */
#include <glib.h>
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "hw/storage/scsi.h"
#include "hw/virtio/virtio_pci.h"
#include "util/iothread.h"
#include "util/iov.h"
#include "util/log.h"

#define SCSI_F_INOUT BIT64(0)
#define SCSI_F_HOTPLUG BIT64(1)
#define SCSI_F_CHANGE BIT64(2)

enum { CONTROL = 0, EVENTS = 1, REQUESTS = 2, QUEUES_AUTO = 0xffffffff };
enum { TARGETS = 256, LUNS = 16384, LUN_LEN = 8, SENSE_MAX = 65535, CDB_MAX = 255 };
enum { /* response, 5.6.6.1.1 */
    RESP_OK = 0, RESP_OVERRUN = 1, RESP_ABORTED = 2, RESP_BAD_TARGET = 3, RESP_RESET = 4, RESP_FUNCTION_SUCCEEDED = 10, RESP_FUNCTION_REJECTED = 11,
    RESP_INCORRECT_LUN = 12,
};
enum { T_TMF = 0, T_AN_QUERY = 1, T_AN_SUBSCRIBE = 2 };
enum { /* task management */
    TMF_ABORT_TASK = 0, TMF_ABORT_TASK_SET, TMF_CLEAR_ACA, TMF_CLEAR_TASK_SET, TMF_I_T_NEXUS_RESET, TMF_LOGICAL_UNIT_RESET, TMF_QUERY_TASK,
    TMF_QUERY_TASK_SET,
};
enum { E_NONE = 0, E_TRANSPORT_RESET = 1, E_PARAM_CHANGE = 3, REASON_RESCAN = 1, REASON_REMOVED = 2 };
#define E_MISSED 0x80000000u

struct scsi_config {
    u32 num_queues, seg_max, max_sectors, cmd_per_lun, event_info_size, sense_size, cdb_size;
    u16 max_channel, max_target;
    u32 max_lun;
} __attribute__((packed));

struct cmd_head { /* of the driver's part; the CDB follows, cdb_size bytes, then the data */
    u8 lun[LUN_LEN];
    u64 id;
    u8 task_attr, prio, crn;
} __attribute__((packed));
struct cmd_reply { /* of the device's part; sense data follow, sense_size bytes, then the data */
    u32 sense_len, residual;
    u16 status_qualifier;
    u8 status, response;
} __attribute__((packed));
struct tmf {
    u32 type, subtype;
    u8 lun[LUN_LEN];
    u64 id;
} __attribute__((packed));
struct event {
    u32 event;
    u8 lun[LUN_LEN];
    u32 reason;
} __attribute__((packed));

struct virtio_scsi {
    struct virtio v;
    u32 num_queues, virtqueue_size, max_sectors, cmd_per_lun; /* properties */
    bool seg_max_adjust, hotplug, param_change;
    char *iothread_id;
    struct iothread *iothread; /* NULL: none */
    struct scsi_bus bus;
    u32 sense_size, cdb_size; /* the driver may change them [saved] */
    u8 events_missed;         /* [saved] */
};

struct request {
    struct virtq_elem e;
    struct virtio_scsi *s;
    u8 lun[LUN_LEN];
    u64 id;
    u32 head_len, reply_len;  /* of its headers: the data lie behind */
    bool started;             /* the unit has r */
    struct scsi_req r;
};

static struct virtio_scsi *vscsi_of(struct virtio *v) { return (struct virtio_scsi *)v; }
static struct scsi_config *config_of(struct virtio_scsi *s) { return (struct scsi_config *)s->v.config; }
static u64 head_size(const struct virtio_scsi *s) { return sizeof(struct cmd_head) + s->cdb_size; }
static u64 reply_size(const struct virtio_scsi *s) { return sizeof(struct cmd_reply) + s->sense_size; }

/* -- addresses, 5.6.6.1: 1, target, LUN in SAM's flat or peripheral form -------------------------------------------------- */

static bool lun_parse(const u8 lun[LUN_LEN], unsigned *target, unsigned *unit)
{
    *target = lun[1];
    *unit = (lun[2] & 0x3f) << 8 | lun[3];
    return lun[0] == 1 && (lun[2] & 0xc0) != 0x80 && (lun[2] & 0xc0) != 0xc0;
}

static void lun_put(u8 lun[LUN_LEN], unsigned target, unsigned unit)
{
    memset(lun, 0, LUN_LEN);
    lun[0] = 1;
    lun[1] = target;
    lun[2] = unit >= 256 ? 0x40 | unit >> 8 : 0;
    lun[3] = unit;
}

static struct scsi_lu *lu_of(struct virtio_scsi *s, const u8 lun[LUN_LEN])
{
    unsigned target, unit;

    return lun_parse(lun, &target, &unit) ? scsi_find(&s->bus, 0, target, unit) : NULL;
}

/* -- commands --------------------------------------------------------------------------------------------------------------- */

/* Bytes that the driver has data for, in the command's direction. */
static u64 room(const struct request *q)
{
    return q->r.dir == SCSI_DATA_OUT ? q->e.out_len - q->head_len : q->e.in_len - q->reply_len;
}

static void reply(struct request *q, u8 response)
{
    struct virtq *vq = q->e.q;
    struct scsi_req *r = &q->r;
    bool ok = response == RESP_OK || response == RESP_OVERRUN;
    u64 moved = ok ? r->moved : 0, all = ok ? room(q) : 0;
    struct cmd_reply out = {
        .sense_len = ok ? MIN_OF(r->sense_len, q->reply_len - sizeof(struct cmd_reply)) : 0, .residual = MIN_OF(all - MIN_OF(all, moved), 0xffffffffull),
        .status = ok ? r->status : 0, .response = response,
    };

    iov_write(q->e.in, q->e.n_in, 0, &out, sizeof(out));
    iov_write(q->e.in, q->e.n_in, sizeof(out), r->sense, out.sense_len);
    virtq_push(&q->e, q->reply_len + (ok && r->dir == SCSI_DATA_IN ? moved : 0));
    virtq_notify(vq);
}

static void on_data(struct scsi_req *r)
{
    struct request *q = r->opaque;
    bool out = r->dir == SCSI_DATA_OUT;
    struct iovec iov[VIRTQ_CHAIN_MAX];
    u64 left = room(q) - MIN_OF(room(q), r->moved);
    unsigned n = out ? iov_slice(q->e.out, q->e.n_out, q->head_len + r->moved, left, iov)
                     : iov_slice(q->e.in, q->e.n_in, q->reply_len + r->moved, left, iov);

    scsi_data(r, iov, n);
}

static void on_done(struct scsi_req *r)
{
    struct request *q = r->opaque;

    reply(q, r->dir != SCSI_NO_DATA && r->len > room(q) && r->status == SCSI_GOOD ? RESP_OVERRUN : RESP_OK);
}

static const struct scsi_req_ops req_ops = { on_data, on_done };

/* *plugged: the disk whose requests are held back so that they go together. */
static void plug(struct blk **plugged, struct blk *b)
{
    if (*plugged == b)
        return;
    blk_unplug(*plugged);
    blk_plug(b);
    *plugged = b;
}

static void start(struct request *q, struct blk **plugged)
{
    struct virtio_scsi *s = q->s;
    unsigned target, unit;
    struct cmd_head h;

    iov_read(q->e.out, q->e.n_out, 0, &h, sizeof(h));
    iov_read(q->e.out, q->e.n_out, sizeof(h), q->r.cdb, MIN_OF(s->cdb_size, (u32)SCSI_CDB_SIZE));
    memcpy(q->lun, h.lun, LUN_LEN);
    q->id = h.id;
    q->r.ops = &req_ops;
    q->r.opaque = q;
    if (!lun_parse(q->lun, &target, &unit) || !scsi_target_exists(&s->bus, 0, target)) {
        reply(q, RESP_BAD_TARGET);
        return;
    }
    q->started = true;
    q->r.lu = scsi_find(&s->bus, 0, target, unit);
    plug(plugged, q->r.lu ? q->r.lu->blk : NULL);
    if (q->r.lu)
        scsi_start(&q->r);
    else
        scsi_start_absent(&s->bus, 0, target, &q->r);
}

static void request_serve(struct virtio *v, struct virtq *vq)
{
    struct virtio_scsi *s = vscsi_of(v);
    unsigned budget = vq->size;
    struct blk *plugged = NULL;
    struct request *q;

    do {
        virtq_notify_off(vq);
        while (budget && (q = virtq_pop(vq, sizeof(*q)))) {
            budget--;
            q->s = s;
            q->head_len = head_size(s);
            q->reply_len = reply_size(s);
            if (q->e.out_len < q->head_len || q->e.in_len < q->reply_len) {
                virtio_error(v, "a command without its headers");
                virtq_drop(&q->e);
                budget = 0;
                break;
            }
            start(q, &plugged);
        }
    } while (!virtq_notify_on(vq) && budget);
    blk_unplug(plugged);
    if (!budget)
        virtq_again(vq);
}

/* -- taking commands back ----------------------------------------------------------------------------------------------------- */

/* The command in flight that fits: any unit if lu is NULL, any id if id is NULL. */
static struct request *find_request(struct virtio_scsi *s, const struct scsi_lu *lu, const u64 *id)
{
    for (unsigned i = REQUESTS; i < s->v.n_queues; i++) {
        for (struct virtq_elem *e = s->v.q[i].in_flight; e; e = e->next) {
            struct request *q = (struct request *)e;
            if ((!lu || q->r.lu == lu) && (!id || q->id == *id))
                return q;
        }
    }
    return NULL;
}

/* Ends a command. Others of the same disk may end by themselves meanwhile, but not this one: it is cancelled. */
static void abort_request(struct request *q, u8 response)
{
    if (q->started && q->r.lu)
        scsi_cancel(&q->r);
    reply(q, response);
}

static void abort_all(struct virtio_scsi *s, const struct scsi_lu *lu, u8 response)
{
    struct request *q;

    while ((q = find_request(s, lu, NULL)))
        abort_request(q, response);
}

/* The same, and the driver does not get them back: it has reset the queue, or the device. */
static void drop_all(struct virtio_scsi *s, const struct virtq *only)
{
    for (unsigned i = REQUESTS; i < s->v.n_queues; i++) {
        while (s->v.q[i].in_flight && (!only || only == &s->v.q[i])) {
            struct request *q = (struct request *)s->v.q[i].in_flight;
            if (q->started && q->r.lu)
                scsi_cancel(&q->r);
            virtq_drop(&q->e);
        }
    }
}

/* -- the control queue, 5.6.6.2 -------------------------------------------------------------------------------------------------- */

static u8 task_management(struct virtio_scsi *s, const struct tmf *t)
{
    struct scsi_lu *lu = lu_of(s, t->lun);
    u64 id = t->id;
    struct request *q;

    if (t->lun[0] != 1 || !scsi_target_exists(&s->bus, 0, t->lun[1]))
        return RESP_BAD_TARGET;
    if (t->subtype == TMF_I_T_NEXUS_RESET) {
        for (unsigned i = REQUESTS; i < s->v.n_queues; i++) {
            struct virtq_elem *e = s->v.q[i].in_flight;
            while (e) {
                struct request *r = (struct request *)e;
                bool mine = r->lun[1] == t->lun[1];
                if (mine)
                    abort_request(r, RESP_RESET);
                e = mine ? s->v.q[i].in_flight : e->next; /* the list may have changed */
            }
        }
        scsi_reset_target(&s->bus, 0, t->lun[1]);
        return RESP_OK;
    }
    if (!lu)
        return RESP_INCORRECT_LUN;
    q = find_request(s, lu, &id);
    switch (t->subtype) {
    case TMF_ABORT_TASK:
        if (q)
            abort_request(q, RESP_ABORTED);
        return RESP_OK;
    case TMF_QUERY_TASK: return q ? RESP_FUNCTION_SUCCEEDED : RESP_OK;
    case TMF_QUERY_TASK_SET: return find_request(s, lu, NULL) ? RESP_FUNCTION_SUCCEEDED : RESP_OK;
    case TMF_ABORT_TASK_SET: case TMF_CLEAR_TASK_SET: abort_all(s, lu, RESP_ABORTED); return RESP_OK;
    case TMF_LOGICAL_UNIT_RESET:
        abort_all(s, lu, RESP_RESET);
        scsi_lu_reset(lu);
        return RESP_OK;
    default: return RESP_FUNCTION_REJECTED;
    }
}

static void control(struct virtio_scsi *s, struct virtq_elem *e)
{
    struct tmf t = { 0 };
    u64 got = iov_read(e->out, e->n_out, 0, &t, sizeof(t));
    u8 answer[5] = { 0 }; /* asynchronous notification: le32 events, response; there are none */
    bool tmf = t.type == T_TMF;

    if (got < 4 || (tmf ? got < sizeof(t) || !e->in_len : t.type > T_AN_SUBSCRIBE || got < 16 || e->in_len < sizeof(answer))) {
        virtio_error(&s->v, "a control request of type %u without its parts", t.type);
        virtq_drop(e);
        return;
    }
    if (tmf)
        answer[0] = task_management(s, &t);
    iov_write(e->in, e->n_in, 0, answer, tmf ? 1 : sizeof(answer));
    virtq_push(e, tmf ? 1 : sizeof(answer));
}

static void control_serve(struct virtio *v, struct virtq *vq)
{
    unsigned budget = vq->size;
    struct virtq_elem *e;

    do {
        while (budget && (e = virtq_pop(vq, sizeof(*e)))) {
            budget--;
            control(vscsi_of(v), e);
        }
    } while (!virtq_notify_on(vq) && budget);
    virtq_notify(vq);
    if (!budget)
        virtq_again(vq);
}

/* -- the event queue, 5.6.6.3 ----------------------------------------------------------------------------------------------------- */

static void event_put(struct virtio_scsi *s, u32 event, const struct scsi_lu *lu, u32 reason)
{
    struct virtq *vq = &s->v.q[EVENTS];
    struct virtq_elem *e;
    struct event out = { .event = event, .reason = reason };
    unsigned channel, target, unit;

    if (!virtio_running(&s->v))
        return;
    e = virtq_pop(vq, sizeof(*e));
    if (!e) {
        virtq_notify_on(vq);
        s->events_missed = 1;
        return;
    }
    if (e->in_len < sizeof(out)) {
        virtio_error(&s->v, "an event buffer of %llu bytes", (unsigned long long)e->in_len);
        virtq_drop(e);
        return;
    }
    if (lu) {
        scsi_address(lu, &channel, &target, &unit);
        lun_put(out.lun, target, unit);
    }
    out.event |= s->events_missed ? E_MISSED : 0;
    s->events_missed = 0;
    iov_write(e->in, e->n_in, 0, &out, sizeof(out));
    virtq_push(e, sizeof(out));
    virtq_notify(vq);
}

/* Buffers came: a driver that has missed events hears of it. */
static void event_serve(struct virtio *v, struct virtq *vq)
{
    if (vscsi_of(v)->events_missed)
        event_put(vscsi_of(v), E_NONE, NULL, 0);
}

static void bus_plugged(struct scsi_bus *b, struct scsi_lu *lu)
{
    struct virtio_scsi *s = container_of(b, struct virtio_scsi, bus);

    if (virtio_has(&s->v, SCSI_F_HOTPLUG))
        event_put(s, E_TRANSPORT_RESET, lu, REASON_RESCAN);
}

static void bus_unplugged(struct scsi_bus *b, struct scsi_lu *lu)
{
    struct virtio_scsi *s = container_of(b, struct virtio_scsi, bus);

    if (virtio_has(&s->v, SCSI_F_HOTPLUG))
        event_put(s, E_TRANSPORT_RESET, lu, REASON_REMOVED);
}

static void bus_attention(struct scsi_bus *b, struct scsi_lu *lu, u8 asc, u8 ascq)
{
    struct virtio_scsi *s = container_of(b, struct virtio_scsi, bus);

    if (virtio_has(&s->v, SCSI_F_CHANGE))
        event_put(s, E_PARAM_CHANGE, lu, asc | ascq << 8);
}

static void bus_cancelled(struct scsi_bus *b, struct scsi_req *r) { reply(r->opaque, RESP_BAD_TARGET); }

static const struct scsi_bus_ops bus_ops = {
    .plugged = bus_plugged, .unplugged = bus_unplugged, .attention = bus_attention, .cancelled = bus_cancelled,
};

/* -- life -------------------------------------------------------------------------------------------------------------------------- */

static void vscsi_config_read(struct virtio *v)
{
    struct virtio_scsi *s = vscsi_of(v);

    *config_of(s) = (struct scsi_config){
        .num_queues = s->num_queues, .seg_max = s->seg_max_adjust ? s->virtqueue_size - 2 : 128 - 2, .max_sectors = s->max_sectors,
        .cmd_per_lun = s->cmd_per_lun, .event_info_size = sizeof(struct event), .sense_size = s->sense_size, .cdb_size = s->cdb_size,
        .max_channel = 0, .max_target = TARGETS - 1, .max_lun = LUNS - 1,
    };
}

static void vscsi_config_write(struct virtio *v, unsigned off, unsigned size, const u8 *config)
{
    const struct scsi_config *c = (const struct scsi_config *)config;
    struct virtio_scsi *s = vscsi_of(v);
    u32 sense = c->sense_size, cdb = c->cdb_size;

    if (sense > SENSE_MAX || cdb > CDB_MAX) {
        virtio_error(v, "bad data written to its configuration");
        return;
    }
    s->sense_size = sense;
    s->cdb_size = cdb;
}

static u64 vscsi_features(struct virtio *v)
{
    struct virtio_scsi *s = vscsi_of(v);

    return (s->hotplug ? SCSI_F_HOTPLUG : 0) | (s->param_change ? SCSI_F_CHANGE : 0);
}

static int vscsi_realize(struct virtio *v, struct err *e)
{
    struct virtio_scsi *s = vscsi_of(v);
    const char *name = v->pci.dev.cls->name;

    if (s->iothread_id && !(s->iothread = iothread_find(s->iothread_id)))
        return err_set(e, "%s: there is no I/O thread '%s' (-object iothread,id=%s)", name, s->iothread_id, s->iothread_id);
    if (s->num_queues == QUEUES_AUTO)
        s->num_queues = MIN_OF(virtio_machine(v)->cfg.cpus, VIRTIO_QUEUES_MAX - REQUESTS);
    if (!s->num_queues || s->num_queues > VIRTIO_QUEUES_MAX - REQUESTS)
        return err_set(e, "%s: num_queues=%u must be 1 to %u", name, s->num_queues, VIRTIO_QUEUES_MAX - REQUESTS);
    if (s->virtqueue_size < 4 || s->virtqueue_size > VIRTQ_SIZE_MAX || (s->virtqueue_size & (s->virtqueue_size - 1)))
        return err_set(e, "%s: virtqueue_size=%u must be a power of 2, 4 to %u", name, s->virtqueue_size, VIRTQ_SIZE_MAX);
    v->config_len = sizeof(struct scsi_config);
    virtio_add_queue(v, s->virtqueue_size, control_serve);
    virtio_add_queue(v, s->virtqueue_size, event_serve);
    for (unsigned i = 0; i < s->num_queues; i++)
        virtio_add_queue(v, s->virtqueue_size, request_serve);
    scsi_bus_init(&s->bus, &v->pci.dev, &bus_ops, v->lock, 1, TARGETS, LUNS);
    s->bus.iothread = s->iothread;
    if (s->iothread)
        iothread_get(s->iothread);
    return 0;
}

static void vscsi_unrealize(struct virtio *v)
{
    struct virtio_scsi *s = vscsi_of(v);

    scsi_bus_fini(&s->bus);
    if (s->iothread)
        iothread_put(s->iothread);
}

static void vscsi_reset(struct virtio *v)
{
    struct virtio_scsi *s = vscsi_of(v);

    drop_all(s, NULL);
    scsi_reset_bus(&s->bus);
    s->sense_size = 96;
    s->cdb_size = 32;
    s->events_missed = 0;
}

static void vscsi_queue_reset(struct virtio *v, struct virtq *vq) { drop_all(vscsi_of(v), vq); }

/* What cannot end now is in the hands of the block layer (werror=stop); it starts again after the load. */
static void vscsi_pre_save(struct virtio *v)
{
    struct virtio_scsi *s = vscsi_of(v);

    for (unsigned i = REQUESTS; i < v->n_queues; i++) {
        struct virtq_elem *e = v->q[i].in_flight;
        while (e) {
            struct scsi_lu *lu = ((struct request *)e)->r.lu;
            unsigned before = v->q[i].n_in_flight;
            if (lu && lu->blk)
                blk_settle(lu->blk);
            e = v->q[i].n_in_flight == before ? e->next : v->q[i].in_flight;
        }
    }
    vscsi_config_read(&s->v);
}

static void vscsi_post_load(struct virtio *v)
{
    struct virtio_scsi *s = vscsi_of(v);

    s->sense_size = MIN_OF(s->sense_size, SENSE_MAX);
    s->cdb_size = MIN_OF(s->cdb_size, CDB_MAX);
}

static void vscsi_fw_name(const struct device *d, char *buf, unsigned size)
{
    const struct pci_device *p = (const struct pci_device *)d;

    g_snprintf(buf, size, PCI_FUNC(p->devfn) ? "scsi@%x,%x" : "scsi@%x", PCI_SLOT(p->devfn), PCI_FUNC(p->devfn));
}

static const struct virtio_type scsi_type = {
    .name = "virtio-scsi",
    .id = 8,
    .pci_class = 0x0100,
    .legacy_pci_id = 0x1004,
    .features = vscsi_features,
    .realize = vscsi_realize,
    .unrealize = vscsi_unrealize,
    .reset = vscsi_reset,
    .queue_reset = vscsi_queue_reset,
    .config_read = vscsi_config_read,
    .config_write = vscsi_config_write,
    .pre_save = vscsi_pre_save,
    .post_load = vscsi_post_load,
};

#define P(name, kind, field, def, help) { name, kind, offsetof(struct virtio_scsi, field), def, NULL, help }
#define SCSI_PROPS \
    P("iothread", PROP_STR, iothread_id, 0, "id of the -object iothread where the disks' completions come"), \
    P("num_queues", PROP_U32, num_queues, QUEUES_AUTO, "request queues; default: one for each CPU"), \
    P("virtqueue_size", PROP_U32, virtqueue_size, 256, "entries of a queue"), \
    P("max_sectors", PROP_U32, max_sectors, 0xffff, "largest transfer, in sectors of 512 bytes"), \
    P("cmd_per_lun", PROP_U32, cmd_per_lun, 128, "commands of a unit at a time"), \
    P("seg_max_adjust", PROP_BOOL, seg_max_adjust, 1, "segments of a command as the queue allows"), \
    P("hotplug", PROP_BOOL, hotplug, 1, "tell the driver of units that come and go"), \
    P("param_change", PROP_BOOL, param_change, 1, "tell the driver of changed capacities and media")
#define SCSI_FIELDS SNAP_U(struct virtio_scsi, sense_size), SNAP_U(struct virtio_scsi, cdb_size), SNAP_U(struct virtio_scsi, events_missed)

VIRTIO_CLASSES(virtio_scsi, scsi_type, "virtio-scsi", "SCSI host adapter", virtio_scsi, vscsi_fw_name, PCI_PROPS, SCSI_PROPS, SCSI_FIELDS);
