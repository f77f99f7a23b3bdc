/* The standard part of USB devices (descriptors, addresses, configurations, features) and the ports of a bus. Machine lock held; called by
 * host controllers and devices in this folder. Universal Serial Bus Specification 2.0, sections 9.3 to 9.6. */
#include "hw/usb/usb.h"
#include <glib.h>
#include <stdlib.h>
#include "hw/core/machine.h"

enum { FEATURE_HALT = 0, FEATURE_REMOTE_WAKEUP = 1, STATUS_REMOTE_WAKEUP = 2, CONFIG_SELF_POWERED = 0x40, LANG_EN_US = 0x0409,
       PRODUCT_AT = 15 /* in the device descriptor */ };

static const struct snap_field control_fields[] = {
    SNAP_U(struct usb_control_state, stage), SNAP_B(struct usb_control_state, setup), SNAP_B(struct usb_control_state, data),
    SNAP_U(struct usb_control_state, len), SNAP_U(struct usb_control_state, pos), SNAP_DONE
};
const struct snap_field usb_snap_fields[] = {
    SNAP_U(struct usb_device, address), SNAP_U(struct usb_device, configuration), SNAP_U(struct usb_device, remote_wakeup),
    SNAP_U(struct usb_device, halted), SNAP_S(struct usb_device, control, control_fields), SNAP_DONE
};

void usb_post_load(struct usb_device *d)
{
    d->control.len = MIN_OF(d->control.len, sizeof(d->control.data));
    d->control.pos = MIN_OF(d->control.pos, d->control.len);
    d->kind->configured(d, d->configuration != 0);
}

/* -- the bus ---------------------------------------------------------------------------------------------------------- */

/* Devices may come and go at any time; realize and unrealize have told the controller. */
static int bus_plugged(struct bus *b, struct device *d, struct err *e)
{
    return 0;
}

static int bus_unplug(struct bus *b, struct device *d, struct err *e)
{
    device_unplugged(d);
    return 0;
}

/* The n-th bus of the machine, as `info usb` shows it. */
static char *bus_info(const struct bus *bus, unsigned n)
{
    const struct usb_bus *b = container_of(bus, struct usb_bus, bus);
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < b->n_ports; i++) {
        const struct usb_device *d = b->port[i];
        if (d)
            g_string_append_printf(s, "  Device %u.%u, Port %u, Speed 12 Mb/s, Product %s%s%s\n", n, d->address, i + 1,
                                   d->kind->strings[d->kind->device[PRODUCT_AT] - 1], d->dev.id ? ", ID: " : "", d->dev.id ? d->dev.id : "");
    }
    return g_string_free(s, FALSE);
}

static const struct bus_ops bus_ops = { .plugged = bus_plugged, .unplug_request = bus_unplug, .info = bus_info };

void usb_bus_init(struct usb_bus *b, struct device *owner, unsigned ports, const struct usb_host_ops *ops, void *opaque)
{
    memset(b->port, 0, sizeof(b->port));
    b->n_ports = MIN_OF(ports, USB_PORTS_MAX);
    b->ops = ops;
    b->opaque = opaque;
    bus_init(&b->bus, owner->m, "usb-bus", NULL, owner, &bus_ops, b->n_ports);
}

void usb_bus_fini(struct usb_bus *b)
{
    bus_free_devices(&b->bus);
    bus_fini(&b->bus);
}

static int choose_port(struct usb_device *d, struct usb_bus *b, struct err *e)
{
    if (d->port_prop) {
        char *end;
        unsigned long n = strtoul(d->port_prop, &end, 10);
        if (end == d->port_prop || *end || n < 1 || n > b->n_ports)
            return err_set(e, "port=%s: bus %s has ports 1 to %u", d->port_prop, b->bus.name, b->n_ports);
        return b->port[n - 1] ? err_set(e, "port=%s: in use", d->port_prop) : (int)n - 1;
    }
    for (unsigned i = 0; i < b->n_ports; i++)
        if (!b->port[i])
            return (int)i;
    return err_set(e, "bus %s has no port that is free", b->bus.name);
}

int usb_attach(struct usb_device *d, const struct usb_kind *kind, struct err *e)
{
    struct usb_bus *b = d->dev.bus ? container_of(d->dev.bus, struct usb_bus, bus) : NULL;
    int port;

    if (!b)
        return err_set(e, "-device %s: this machine has no USB; add -usb or -device qemu-xhci", d->dev.cls->name);
    port = choose_port(d, b, e);
    if (port < 0)
        return -1;
    d->kind = kind;
    d->bus = b;
    d->port = port;
    b->port[port] = d;
    b->ops->port_changed(b->opaque, port);
    return 0;
}

void usb_detach(struct usb_device *d)
{
    struct usb_bus *b = d->bus;

    if (!b)
        return;
    b->port[d->port] = NULL;
    d->bus = NULL;
    b->ops->port_changed(b->opaque, d->port);
}

void usb_wakeup(struct usb_device *d)
{
    if (d->bus)
        d->bus->ops->wakeup(d->bus->opaque, d);
}

/* -- requests --------------------------------------------------------------------------------------------------------- */

void usb_reset(struct usb_device *d)
{
    d->address = d->configuration = 0;
    d->remote_wakeup = d->halted = false;
    d->control.stage = USB_STAGE_IDLE;
    d->kind->reset(d);
    d->kind->configured(d, false);
}

struct usb_setup usb_setup_parse(const u8 raw[8])
{
    return (struct usb_setup){ raw[0], raw[1], ld16(raw + 2), ld16(raw + 4), ld16(raw + 6) };
}

static int answer(const void *from, unsigned n, u8 *data, unsigned len)
{
    n = MIN_OF(n, len);
    memcpy(data, from, n);
    return (int)n;
}

static int string_descriptor(const struct usb_device *d, unsigned index, u8 *data, unsigned len)
{
    u8 s[2 + 2 * 64] = { 4, USB_DESC_STRING, LANG_EN_US & 0xff, LANG_EN_US >> 8 };
    unsigned n = 0;

    if (index) {
        while (n < index && d->kind->strings[n])
            n++;
        if (n < index || !d->kind->strings[index - 1])
            return USB_STALL;
        n = MIN_OF(strlen(d->kind->strings[index - 1]), 64);
        s[0] = 2 + 2 * n;
        for (unsigned i = 0; i < n; i++)
            st16(s + 2 + 2 * i, (u8)d->kind->strings[index - 1][i]);
    }
    return answer(s, s[0], data, len);
}

static int get_descriptor(const struct usb_device *d, u16 value, u8 *data, unsigned len)
{
    switch (value >> 8) {
    case USB_DESC_DEVICE: return answer(d->kind->device, d->kind->device[0], data, len);
    case USB_DESC_CONFIG: return value & 0xff ? USB_STALL : answer(d->kind->config, d->kind->config_len, data, len);
    case USB_DESC_STRING: return string_descriptor(d, value & 0xff, data, len);
    default: return USB_STALL;
    }
}

static int device_request(struct usb_device *d, const struct usb_setup *s, u8 *data, unsigned len)
{
    u8 status[2] = { (d->kind->config[7] & CONFIG_SELF_POWERED ? 1 : 0) | (d->remote_wakeup ? STATUS_REMOTE_WAKEUP : 0), 0 };

    switch (s->request) {
    case USB_GET_STATUS: return answer(status, 2, data, len);
    case USB_GET_DESCRIPTOR: return get_descriptor(d, s->value, data, len);
    case USB_GET_CONFIGURATION: return answer(&d->configuration, 1, data, len);
    case USB_SET_ADDRESS:
        d->address = s->value & 0x7f;
        return 0;
    case USB_SET_CONFIGURATION:
        if ((s->value & 0xff) > 1)
            return USB_STALL;
        d->configuration = s->value & 0xff;
        d->halted = false;
        d->kind->configured(d, d->configuration != 0);
        return 0;
    case USB_SET_FEATURE: case USB_CLEAR_FEATURE:
        if (s->value != FEATURE_REMOTE_WAKEUP)
            return USB_STALL;
        d->remote_wakeup = s->request == USB_SET_FEATURE;
        return 0;
    default: return USB_STALL;
    }
}

static int interface_request(struct usb_device *d, const struct usb_setup *s, u8 *data, unsigned len)
{
    static const u8 zero[2];

    if (s->index & 0xff)
        return USB_STALL; /* there is one interface */
    switch (s->request) {
    case USB_GET_STATUS: return answer(zero, 2, data, len);
    case USB_GET_INTERFACE: return answer(zero, 1, data, len);
    case USB_SET_INTERFACE: return s->value ? USB_STALL : 0;
    default: return d->kind->request(d, s, data, len);
    }
}

static int endpoint_request(struct usb_device *d, const struct usb_setup *s, u8 *data, unsigned len)
{
    u8 status[2] = { (s->index & 0x0f) && d->halted, 0 };

    if (s->request == USB_GET_STATUS)
        return answer(status, 2, data, len);
    if ((s->request != USB_CLEAR_FEATURE && s->request != USB_SET_FEATURE) || s->value != FEATURE_HALT)
        return USB_STALL;
    if (s->index & 0x0f)
        d->halted = s->request == USB_SET_FEATURE;
    return 0;
}

int usb_control(struct usb_device *d, const struct usb_setup *s, u8 *data, unsigned len)
{
    len = MIN_OF(len, s->length);
    if (s->type & 0x60) /* of a class or vendor */
        return (s->type & 0x7f) == (USB_CLASS | USB_INTERFACE) && !(s->index & 0xff) ? d->kind->request(d, s, data, len) : USB_STALL;
    switch (s->type & 0x1f) {
    case 0: return device_request(d, s, data, len);
    case USB_INTERFACE: return interface_request(d, s, data, len);
    case USB_ENDPOINT: return endpoint_request(d, s, data, len);
    default: return USB_STALL;
    }
}

int usb_interrupt_in(struct usb_device *d, unsigned ep, u8 *data, unsigned len)
{
    if (!d->configuration || d->halted)
        return USB_STALL;
    return d->kind->in(d, ep, data, len);
}
