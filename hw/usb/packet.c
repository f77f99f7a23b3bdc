/* The stages of a control transfer, packet by packet: Setup, Data, Status. Machine lock held; called by hw/usb/uhci.c. Universal Serial Bus
 * Specification 2.0, section 8.5.3. */
#include "hw/usb/packet.h"

static bool is_in(const struct usb_control_state *c)
{
    return c->setup[0] & USB_IN;
}

static int setup_packet(struct usb_control_state *c, const u8 *buf, unsigned len)
{
    if (len != 8)
        return USB_STALL;
    memcpy(c->setup, buf, 8);
    c->stage = USB_STAGE_SETUP;
    c->len = c->pos = 0;
    return 8;
}

/* Has the device carry out the transfer. */
static int run(struct usb_device *d)
{
    struct usb_control_state *c = &d->control;
    struct usb_setup s = usb_setup_parse(c->setup);
    int n = usb_control(d, &s, c->data, is_in(c) ? sizeof(c->data) : c->len);

    c->stage = n < 0 ? USB_STAGE_IDLE : USB_STAGE_RAN;
    if (n >= 0 && is_in(c))
        c->len = n;
    return n;
}

static int in_packet(struct usb_device *d, u8 *buf, unsigned len)
{
    struct usb_control_state *c = &d->control;
    unsigned n;

    if (c->stage == USB_STAGE_IDLE)
        return USB_STALL;
    if (!is_in(c)) { /* the status stage of a transfer to the device */
        if (c->stage == USB_STAGE_SETUP && run(d) < 0)
            return USB_STALL;
        c->stage = USB_STAGE_IDLE;
        return 0;
    }
    if (c->stage == USB_STAGE_SETUP && run(d) < 0)
        return USB_STALL;
    n = MIN_OF(len, (unsigned)(c->len - c->pos));
    memcpy(buf, c->data + c->pos, n);
    c->pos += n;
    return (int)n;
}

static int out_packet(struct usb_device *d, const u8 *buf, unsigned len)
{
    struct usb_control_state *c = &d->control;

    if (c->stage == USB_STAGE_IDLE)
        return USB_STALL;
    if (is_in(c)) { /* the status stage of a transfer from the device */
        if (c->stage == USB_STAGE_SETUP && run(d) < 0)
            return USB_STALL;
        c->stage = USB_STAGE_IDLE;
        return 0;
    }
    if (c->stage != USB_STAGE_SETUP || c->len + len > sizeof(c->data)) {
        c->stage = USB_STAGE_IDLE;
        return USB_STALL;
    }
    memcpy(c->data + c->len, buf, len);
    c->len += len;
    return (int)len;
}

int usb_packet(struct usb_device *d, enum usb_pid pid, unsigned ep, u8 *buf, unsigned len)
{
    if (ep)
        return pid == USB_PID_IN ? usb_interrupt_in(d, ep, buf, len) : USB_STALL;
    switch (pid) {
    case USB_PID_SETUP: return setup_packet(&d->control, buf, len);
    case USB_PID_IN: return in_packet(d, buf, len);
    case USB_PID_OUT: return out_packet(d, buf, len);
    default: return USB_STALL;
    }
}
