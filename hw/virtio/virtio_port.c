/* Ports of virtio-serial: virtconsole and virtserialport, each between two queues and a character back end. Output comes on the thread of
 * the driver's notification with the machine lock held; the back end's callbacks come on the main thread and take it. VIRTIO 1.2, 5.3. */
#include <glib.h>
#include "hw/backend/chr.h"
#include "hw/core/machine.h"
#include "hw/virtio/virtio_serial.h"
#include "util/event.h"
#include "util/iov.h"

enum { INPUT_MAX = 4096, OUTPUT_MAX = 64 * 1024 /* queued at a back end; written at once */, WRITES_A_TURN = 64 };

static struct lock *lock_of(struct serial_port *p) { return p->s->v.lock; }

/* -- from the back end: main thread ------------------------------------------------------------------------------------- */

/* The driver takes input: somebody has the port open, and there are buffers. */
static bool wants_input(struct serial_port *p)
{
    struct virtio *v = &p->s->v;
    struct virtq *q = serial_rx(p);

    if (!virtio_running(v) || p->input->len || !(virtio_has(v, CONSOLE_F_MULTIPORT) ? p->guest_open : p->nr == 0))
        return false;
    return !virtq_empty(q) || !virtq_notify_on(q);
}

static unsigned port_can_read(void *opaque)
{
    struct serial_port *p = opaque;

    lock_acquire(lock_of(p));
    unsigned n = wants_input(p) ? INPUT_MAX : 0;
    lock_release(lock_of(p));
    return n;
}

static void input_push(struct serial_port *p)
{
    struct virtq *q = serial_rx(p);
    struct virtq_elem *e;

    while (p->input->len && (e = virtq_pop(q, sizeof(*e)))) {
        unsigned n = iov_write(e->in, e->n_in, 0, p->input->data, p->input->len);
        g_byte_array_remove_range(p->input, 0, n);
        virtq_push(e, n);
    }
    if (p->input->len)
        virtq_notify_on(q);
    virtq_notify(q);
}

static void port_read(void *opaque, const u8 *buf, unsigned len)
{
    struct serial_port *p = opaque;

    lock_acquire(lock_of(p));
    g_byte_array_append(p->input, buf, len);
    input_push(p);
    lock_release(lock_of(p));
}

static void port_event(void *opaque, enum chr_event event)
{
    struct serial_port *p = opaque;

    if (p->console || (event != CHR_OPENED && event != CHR_CLOSED))
        return;
    lock_acquire(lock_of(p));
    serial_control(p->s, p->nr, PORT_EV_OPEN, event == CHR_OPENED, NULL);
    lock_release(lock_of(p));
}

static void port_drained(void *opaque)
{
    struct serial_port *p = opaque;

    lock_acquire(lock_of(p));
    if (p->blocked) {
        p->blocked = false;
        virtq_kick(&p->s->v, serial_tx(p)->index);
    }
    lock_release(lock_of(p));
}

/* -- the guest's side ------------------------------------------------------------------------------------------------------- */

bool port_host_open(struct serial_port *p) { return p->console || (p->chr && chr_is_open(p->chr)); }

/* The next piece of the chain in hand, which may be of any length; gives it back when there is no more. */
static void write_out(struct serial_port *p)
{
    struct virtq_elem *e = p->out;
    u64 at = 0, *done = &p->s->out_done[p->nr];

    for (unsigned i = 0; i < e->n_out && p->chr; at += e->out[i++].iov_len) {
        if (*done - at >= e->out[i].iov_len)
            continue;
        unsigned n = MIN_OF(e->out[i].iov_len - (*done - at), (u64)OUTPUT_MAX);
        chr_write(p->chr, (const u8 *)e->out[i].iov_base + (*done - at), n);
        *done += n;
        break;
    }
    if (p->chr && *done < e->out_len)
        return;
    virtq_push(e, 0);
    p->out = NULL;
    *done = 0;
}

/* More than this queued for a slow peer, and the driver has to wait. */
static bool back_end_full(struct serial_port *p)
{
    return p->chr && !chr_is_mux_port(p->chr) && chr_pending(p->chr) > OUTPUT_MAX;
}

void port_output(struct serial_port *p, struct virtq *q)
{
    unsigned budget = WRITES_A_TURN;

    do {
        while (budget && !(p->blocked = back_end_full(p)) && (p->out || (p->out = virtq_pop(q, sizeof(*p->out))))) {
            budget--;
            write_out(p);
        }
    } while (!p->blocked && budget && !virtq_notify_on(q));
    virtq_notify(q);
    if (!budget)
        virtq_again(q);
}

void port_input_ready(struct serial_port *p)
{
    input_push(p);
    if (p->chr && !p->input->len)
        chr_accept_input(p->chr);
}

void port_set_guest_open(struct serial_port *p, bool open)
{
    const struct event_member members[] = { EVENT_STR("id", p->dev.id), EVENT_BOOL("open", open), EVENT_DONE };

    if (p->guest_open == open)
        return;
    p->guest_open = open;
    if (!p->console)
        event_emit("VSERPORT_CHANGE", members);
    if (p->chr && open)
        chr_accept_input(p->chr);
}

void port_forget_output(struct serial_port *p)
{
    if (p->out)
        virtq_drop(p->out);
    p->out = NULL;
}

void port_reset(struct serial_port *p)
{
    port_set_guest_open(p, false);
    port_forget_output(p);
    p->s->out_done[p->nr] = 0;
    p->blocked = false;
    g_byte_array_set_size(p->input, 0);
}

/* -- the device ------------------------------------------------------------------------------------------------------------- */

/* Number 0 is the first console's, as old drivers know no other. */
static int choose_nr(struct serial_port *p, struct err *e)
{
    const char *name = p->dev.cls->name;
    u32 n = p->console ? 0 : 1;

    if (p->nr == PORT_NR_AUTO) {
        while (n < p->s->max_ports && p->s->port[n])
            n++;
        if (n >= p->s->max_ports)
            return err_set(e, "%s: bus '%s' has no free port, max_ports=%u", name, p->s->bus.name, p->s->max_ports);
        p->nr = n;
        return 0;
    }
    if (p->nr == 0 && !p->console)
        return err_set(e, "%s: Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility.", name);
    if (p->nr >= p->s->max_ports)
        return err_set(e, "%s: nr=%u: bus '%s' has ports 0 to %u", name, p->nr, p->s->bus.name, p->s->max_ports - 1);
    return p->s->port[p->nr] ? err_set(e, "%s: nr=%u of bus '%s' is taken", name, p->nr, p->s->bus.name) : 0;
}

static int check_name(struct serial_port *p, struct err *e)
{
    for (unsigned i = 0; p->name && i < p->s->max_ports; i++)
        if (p->s->port[i] && p->s->port[i]->name && !strcmp(p->s->port[i]->name, p->name))
            return err_set(e, "%s: name=%s: a port with that name exists already", p->dev.cls->name, p->name);
    return p->name && strlen(p->name) > 255 ? err_set(e, "%s: name= is longer than 255 characters", p->dev.cls->name) : 0;
}

static int port_realize(struct device *d, struct err *e)
{
    struct serial_port *p = (struct serial_port *)d;

    p->s = (struct virtio_serial *)d->bus->owner;
    p->console = !strcmp(d->cls->name, "virtconsole");
    if (choose_nr(p, e) < 0 || check_name(p, e) < 0)
        return -1;
    p->input = g_byte_array_new();
    p->s->port[p->nr] = p;
    if (p->chr) {
        chr_attach(p->chr, port_can_read, port_read, port_event, p);
        chr_on_drained(p->chr, port_drained);
    }
    return 0;
}

static void port_unrealize(struct device *d)
{
    struct serial_port *p = (struct serial_port *)d;

    if (p->chr)
        chr_attach(p->chr, NULL, NULL, NULL, NULL);
    if (p->out) {
        virtq_push(p->out, 0);
        virtq_notify(serial_tx(p));
        p->s->out_done[p->nr] = 0;
    }
    p->s->port[p->nr] = NULL;
    g_byte_array_unref(p->input);
}

/* The adapter's reset has told its ports; this is for one that was just made. */
static void port_device_reset(struct device *d) { port_reset((struct serial_port *)d); }

static void port_post_load(struct device *d)
{
    struct serial_port *p = (struct serial_port *)d;

    p->guest_open = !!p->guest_open;
    port_input_ready(p);
}

static const struct snap_field port_fields[] = {
    SNAP_U(struct serial_port, guest_open), SNAP_BUF(struct serial_port, input), SNAP_DONE
};

#define PORT_PROPS \
    { "chardev", PROP_CHR, offsetof(struct serial_port, chr), 0, NULL, "id of the -chardev" }, \
    { "nr", PROP_U32, offsetof(struct serial_port, nr), PORT_NR_AUTO, NULL, "number of the port; default: the next one" }, \
    { "name", PROP_STR, offsetof(struct serial_port, name), 0, NULL, "what the guest calls it" }
static const struct prop port_props[] = { PORT_PROPS, PROP_DONE };

#define PORT_CLASS(sym, name_, desc_) \
    const struct dev_class sym = { \
        .name = name_, .desc = desc_, .state_size = sizeof(struct serial_port), .user_creatable = true, \
        .bus_type = "virtio-serial-bus", .props = port_props, .fields = port_fields, .snap_version = 1, .realize = port_realize, \
        .reset = port_device_reset, .unrealize = port_unrealize, .post_load = port_post_load, \
    }
PORT_CLASS(virtconsole_class, "virtconsole", "console on a virtio-serial bus");
PORT_CLASS(virtserialport_class, "virtserialport", "named stream on a virtio-serial bus");
