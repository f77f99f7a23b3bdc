/* virtio-serial: the adapter of consoles and named ports: its queues, the control messages about ports, and the bus. vCPU threads for
 * notifications, the main thread for back ends; the machine lock held. VIRTIO 1.2, 5.3. */
#include "hw/virtio/virtio_serial.h"
#include <glib.h>
#include "hw/backend/chr.h"
#include "hw/core/machine.h"
#include "util/iov.h"
#include "util/log.h"

enum { CONTROL_RX = 2, CONTROL_TX = 3, QUEUE_SIZE = 128, CONTROL_MAX = 64 * 1024 };

struct console_config {
    u16 cols, rows;
    u32 max_nr_ports, emerg_wr;
};
struct control_message {
    u32 id;
    u16 event, value;
};

static struct virtio_serial *serial_of(struct virtio *v) { return (struct virtio_serial *)v; }

/* Queues: port 0's two, the control queues, then two for each further port. */
struct virtq *serial_rx(struct serial_port *p) { return &p->s->v.q[p->nr ? 2 * p->nr + 2 : 0]; }
struct virtq *serial_tx(struct serial_port *p) { return serial_rx(p) + 1; }

static struct serial_port *port_of(struct virtio_serial *s, const struct virtq *q)
{
    return s->port[q->index < CONTROL_RX ? 0 : q->index / 2 - 1];
}

/* -- control messages ------------------------------------------------------------------------------------------------------- */

static void control_flush(struct virtio_serial *s)
{
    struct virtq *q = &s->v.q[CONTROL_RX];
    struct virtq_elem *e;
    unsigned done = 0;

    while (done < s->control->len && (e = virtq_pop(q, sizeof(*e)))) {
        unsigned len = ld16(s->control->data + done);
        virtq_push(e, iov_write(e->in, e->n_in, 0, s->control->data + done + 2, len));
        done += 2 + len;
    }
    if (done)
        g_byte_array_remove_range(s->control, 0, done);
    if (s->control->len)
        virtq_notify_on(q);
    virtq_notify(q);
}

void serial_control(struct virtio_serial *s, u32 nr, enum serial_event event, u16 value, const char *name)
{
    struct control_message m = { nr, event, value };
    u16 name_len = name ? strlen(name) : 0, len = sizeof(m) + name_len;

    if (!virtio_has(&s->v, CONSOLE_F_MULTIPORT) || !virtio_running(&s->v))
        return;
    if (s->control->len > CONTROL_MAX) {
        GUEST_ERROR("virtio-serial: the driver asks for messages and does not take them");
        return;
    }
    g_byte_array_append(s->control, (const guint8 *)&len, 2);
    g_byte_array_append(s->control, (const guint8 *)&m, sizeof(m));
    if (name_len)
        g_byte_array_append(s->control, (const guint8 *)name, name_len);
    control_flush(s);
}

static void tell_about(struct virtio_serial *s, struct serial_port *p)
{
    if (p->console)
        serial_control(s, p->nr, PORT_EV_CONSOLE, 1, NULL);
    if (p->name && *p->name)
        serial_control(s, p->nr, PORT_EV_NAME, 1, p->name);
    if (port_host_open(p))
        serial_control(s, p->nr, PORT_EV_OPEN, 1, NULL);
}

static void control_message(struct virtio_serial *s, const struct control_message *m)
{
    struct serial_port *p = m->id < s->max_ports ? s->port[m->id] : NULL;

    if (m->event == PORT_EV_DEVICE_READY) {
        for (unsigned i = 0; i < s->max_ports && m->value; i++)
            if (s->port[i])
                serial_control(s, i, PORT_EV_DEVICE_ADD, 1, NULL);
        return;
    }
    if (p && m->event == PORT_EV_PORT_READY) {
        if (m->value)
            tell_about(s, p);
    } else if (p && m->event == PORT_EV_OPEN) {
        port_set_guest_open(p, m->value);
    } else {
        GUEST_ERROR("virtio-serial: control message %u about port %u", m->event, m->id);
    }
}

static void control_tx(struct virtio *v, struct virtq *q)
{
    struct control_message m;
    unsigned budget = q->size;
    struct virtq_elem *e;

    do {
        while (budget && (e = virtq_pop(q, sizeof(*e)))) {
            budget--;
            bool whole = iov_read(e->out, e->n_out, 0, &m, sizeof(m)) == sizeof(m);
            virtq_push(e, 0);
            if (whole)
                control_message(serial_of(v), &m);
        }
    } while (!virtq_notify_on(q) && budget);
    virtq_notify(q);
    if (!budget)
        virtq_again(q);
}

static void control_rx(struct virtio *v, struct virtq *q) { control_flush(serial_of(v)); }

/* -- queues of ports ---------------------------------------------------------------------------------------------------------- */

static void port_rx(struct virtio *v, struct virtq *q)
{
    struct serial_port *p = port_of(serial_of(v), q);

    if (p)
        port_input_ready(p);
}

/* What is written to a port that is not there is lost. */
static void discard(struct virtq *q)
{
    unsigned budget = q->size;
    struct virtq_elem *e;

    do {
        for (; budget && (e = virtq_pop(q, sizeof(*e))); budget--)
            virtq_push(e, 0);
    } while (!virtq_notify_on(q) && budget);
    virtq_notify(q);
    if (!budget)
        virtq_again(q);
}

static void port_tx(struct virtio *v, struct virtq *q)
{
    struct serial_port *p = port_of(serial_of(v), q);

    if (p)
        port_output(p, q);
    else
        discard(q);
}

/* -- the bus ------------------------------------------------------------------------------------------------------------------ */

static int bus_plugged(struct bus *b, struct device *d, struct err *e)
{
    struct virtio_serial *s = (struct virtio_serial *)b->owner;

    serial_control(s, ((struct serial_port *)d)->nr, PORT_EV_DEVICE_ADD, 1, NULL);
    return 0;
}

static int bus_unplug(struct bus *b, struct device *d, struct err *e)
{
    struct virtio_serial *s = (struct virtio_serial *)b->owner;

    serial_control(s, ((struct serial_port *)d)->nr, PORT_EV_DEVICE_REMOVE, 1, NULL);
    device_unplugged(d);
    return 0;
}

static const struct bus_ops bus_ops = { .plugged = bus_plugged, .unplug_request = bus_unplug };

/* -- the device --------------------------------------------------------------------------------------------------------------- */

static void serial_config_write(struct virtio *v, unsigned off, unsigned size, const u8 *config)
{
    struct virtio_serial *s = serial_of(v);

    if (off != offsetof(struct console_config, emerg_wr) || !s->emergency_write) {
        GUEST_ERROR("virtio-serial: write of configuration byte %u", off);
        return;
    }
    for (unsigned i = 0; i < s->max_ports; i++) {
        if (s->port[i] && s->port[i]->console && s->port[i]->chr) {
            chr_write(s->port[i]->chr, config + off, 1);
            return;
        }
    }
}

static u64 serial_features(struct virtio *v)
{
    struct virtio_serial *s = serial_of(v);

    return (s->max_ports > 1 ? CONSOLE_F_MULTIPORT : 0) | (s->emergency_write ? CONSOLE_F_EMERG_WRITE : 0);
}

static int serial_realize(struct virtio *v, struct err *e)
{
    struct virtio_serial *s = serial_of(v);

    if (!s->max_ports || s->max_ports > SERIAL_PORTS_MAX)
        return err_set(e, "%s: max_ports=%u must be 1 to %u", v->pci.dev.cls->name, s->max_ports, SERIAL_PORTS_MAX);
    virtio_add_queue(v, QUEUE_SIZE, port_rx);
    virtio_add_queue(v, QUEUE_SIZE, port_tx);
    if (s->max_ports > 1) {
        virtio_add_queue(v, QUEUE_SIZE / 4, control_rx);
        virtio_add_queue(v, QUEUE_SIZE / 4, control_tx);
    }
    for (unsigned i = 1; i < s->max_ports; i++) {
        virtio_add_queue(v, QUEUE_SIZE, port_rx);
        virtio_add_queue(v, QUEUE_SIZE, port_tx);
    }
    v->vectors = s->max_ports + 1;
    s->control = g_byte_array_new();
    bus_init(&s->bus, virtio_machine(v), "virtio-serial-bus", NULL, &v->pci.dev, &bus_ops, 0);
    v->config_len = sizeof(struct console_config);
    *(struct console_config *)v->config = (struct console_config){ .max_nr_ports = s->max_ports };
    return 0;
}

static void serial_unrealize(struct virtio *v)
{
    struct virtio_serial *s = serial_of(v);

    bus_free_devices(&s->bus);
    bus_fini(&s->bus);
    g_byte_array_unref(s->control);
}

static void serial_reset(struct virtio *v)
{
    struct virtio_serial *s = serial_of(v);

    g_byte_array_set_size(s->control, 0);
    for (unsigned i = 0; i < s->max_ports; i++)
        if (s->port[i])
            port_reset(s->port[i]);
}

static void serial_queue_reset(struct virtio *v, struct virtq *q)
{
    struct serial_port *p = q->index == CONTROL_RX || q->index == CONTROL_TX ? NULL : port_of(serial_of(v), q);

    if (p && q == serial_tx(p)) {
        port_forget_output(p);
        p->s->out_done[p->nr] = 0;
    }
}

/* Without MULTIPORT there is nobody who opens port 0: it can take input from now on. */
static void serial_status_changed(struct virtio *v, u8 old)
{
    struct serial_port *p = serial_of(v)->port[0];

    if ((~old & v->status & VIRTIO_DRIVER_OK) && p && p->chr)
        chr_accept_input(p->chr);
}

/* Messages from a damaged file must not lead outside. */
static void serial_post_load(struct virtio *v)
{
    struct virtio_serial *s = serial_of(v);
    unsigned at = 0;

    while (at + 2 <= s->control->len && at + 2 + ld16(s->control->data + at) <= s->control->len)
        at += 2 + ld16(s->control->data + at);
    g_byte_array_set_size(s->control, at);
    for (unsigned i = 0; i < s->max_ports; i++)
        if (s->port[i])
            port_forget_output(s->port[i]); /* it is popped again */
    *(struct console_config *)v->config = (struct console_config){ .max_nr_ports = s->max_ports };
}

static const struct virtio_type serial_type = {
    .name = "virtio-serial",
    .id = 3,
    .pci_class = 0x0780,
    .legacy_pci_id = 0x1003,
    .features = serial_features,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .queue_reset = serial_queue_reset,
    .config_write = serial_config_write,
    .status_changed = serial_status_changed,
    .post_load = serial_post_load,
};

#define SERIAL_PROPS \
    { "max_ports", PROP_U32, offsetof(struct virtio_serial, max_ports), SERIAL_PORTS_MAX, NULL, "ports, 1 to 31" }, \
    { "emergency-write", PROP_BOOL, offsetof(struct virtio_serial, emergency_write), 1, NULL, "offer output through a register" }
#define SERIAL_FIELDS SNAP_BUF(struct virtio_serial, control), SNAP_A(struct virtio_serial, out_done)

VIRTIO_CLASSES(virtio_serial, serial_type, "virtio-serial", "consoles and named streams", virtio_serial, NULL, PCI_PROPS, SERIAL_PROPS,
               SERIAL_FIELDS);
