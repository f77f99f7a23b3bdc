/* Transfer rings of the xHCI controller: control transfers stage by stage, interrupt transfers that wait for the device. vCPU threads (doorbells)
 * and whoever wakes a device; machine lock held. xHCI 1.1, sections 3.2.9, 4.9 to 4.11, 6.4.1. */
#include "hw/core/machine.h"
#include "hw/usb/xhci.h"
#include "util/log.h"

enum { TRBS_AT_ONCE = 4096, TD_SEGMENTS = 32, PACKET_MAX = 1024 };

static void transfer_event(struct xhci *x, unsigned slot, unsigned dci, u64 at, enum completion cc, u32 residue)
{
    xhci_event(x, &(struct trb){ at, residue | (u32)cc << 24, EV_TRANSFER << 10 | dci << 16 | slot << 24 });
}

static void halt(struct xhci *x, unsigned slot, unsigned dci, u64 at, enum completion cc, u32 residue)
{
    x->slot[slot].ep[dci].state = EP_HALTED;
    xhci_ep_update(x, slot, dci, true);
    transfer_event(x, slot, dci, at, cc, residue);
}

/* -- control ---------------------------------------------------------------------------------------------------------- */

static bool is_in(const struct xhci_slot *s)
{
    return s->setup[0] & USB_IN;
}

/* Lets the device carry out the transfer: an IN one when its data is asked for, others in the status stage. */
static void run_control(struct xhci *x, unsigned slot)
{
    struct xhci_slot *s = &x->slot[slot];
    struct usb_device *d = xhci_device(x, slot);
    struct usb_setup setup = usb_setup_parse(s->setup);
    int n;

    s->has_setup = 0;
    if (!d || (!is_in(s) && setup.length > s->data_len)) {
        s->failed = 1;
        return;
    }
    if (setup.type == 0 && setup.request == USB_SET_ADDRESS) { /* the controller's business: Address Device */
        s->failed = 1;
        return;
    }
    n = usb_control(d, &setup, s->data, is_in(s) ? sizeof(s->data) : s->data_len);
    s->failed = n < 0;
    s->data_len = is_in(s) && n > 0 ? n : 0;
    s->data_pos = 0;
}

static void setup_stage(struct xhci *x, unsigned slot, const struct trb *t)
{
    struct xhci_slot *s = &x->slot[slot];

    st64(s->setup, t->param);
    s->has_setup = 1;
    s->failed = 0;
    s->data_len = s->data_pos = 0;
}

/* A Data Stage TRB, or a Normal one chained to it. */
static bool data_stage(struct xhci *x, unsigned slot, const struct trb *t, u64 at)
{
    struct xhci_slot *s = &x->slot[slot];
    u32 len = t->status & 0x1ffff, n;

    if (is_in(s)) {
        if (s->has_setup)
            run_control(x, slot);
        n = MIN_OF(len, (u32)(s->data_len - s->data_pos));
        if (!s->failed && !xhci_write(x, t->param, s->data + s->data_pos, n))
            s->failed = 1;
        s->data_pos += n;
    } else {
        n = MIN_OF(len, (u32)(sizeof(s->data) - s->data_len));
        if ((t->control & TRB_IDT) && len <= 8)
            memcpy(s->data + s->data_len, &t->param, n);
        else if (n < len || !xhci_read(x, t->param, s->data + s->data_len, n))
            s->failed = 1;
        s->data_len += n;
    }
    if (s->failed) {
        halt(x, slot, 1, at, CC_STALL, len);
        return false;
    }
    if (n < len && (t->control & (TRB_ISP | TRB_IOC)))
        transfer_event(x, slot, 1, at, CC_SHORT, len - n);
    else if (t->control & TRB_IOC)
        transfer_event(x, slot, 1, at, CC_SUCCESS, 0);
    return true;
}

static bool status_stage(struct xhci *x, unsigned slot, const struct trb *t, u64 at)
{
    struct xhci_slot *s = &x->slot[slot];

    if (s->has_setup)
        run_control(x, slot);
    if (s->failed) {
        halt(x, slot, 1, at, CC_STALL, 0);
        return false;
    }
    if (t->control & TRB_IOC)
        transfer_event(x, slot, 1, at, CC_SUCCESS, 0);
    return true;
}

/* One TRB of endpoint 0; false when it has halted. */
static bool control_trb(struct xhci *x, unsigned slot, const struct trb *t, u64 at)
{
    switch (trb_type(t)) {
    case TRB_SETUP:
        setup_stage(x, slot, t);
        return true;
    case TRB_DATA: case TRB_NORMAL: return data_stage(x, slot, t, at);
    case TRB_STATUS: return status_stage(x, slot, t, at);
    case TRB_EVENT_DATA:
        if (t->control & TRB_IOC)
            xhci_event(x, &(struct trb){ t->param, CC_SUCCESS << 24, EV_TRANSFER << 10 | 1 << 16 | slot << 24 | BIT(2) });
        return true;
    case TRB_NOOP:
        if (t->control & TRB_IOC)
            transfer_event(x, slot, 1, at, CC_SUCCESS, 0);
        return true;
    default:
        GUEST_ERROR("xhci: TRB of type %u on a control endpoint", trb_type(t));
        halt(x, slot, 1, at, CC_TRB_ERROR, 0);
        return false;
    }
}

/* -- interrupt IN ----------------------------------------------------------------------------------------------------- */

/* A transfer descriptor: TRBs that are chained. */
struct td {
    struct trb t[TD_SEGMENTS];
    u64 at[TD_SEGMENTS];
    unsigned n;
    u32 len;
};

/* Reads a whole descriptor from a copy of the ring; false if it is not all there. */
static bool read_td(struct xhci *x, struct xhci_ring *r, struct td *td)
{
    td->n = td->len = 0;
    do {
        if (td->n == TD_SEGMENTS || !xhci_ring_next(x, r, &td->t[td->n], &td->at[td->n]))
            return false;
        if (trb_type(&td->t[td->n]) == TRB_NORMAL)
            td->len += td->t[td->n].status & 0x1ffff;
    } while (td->t[td->n++].control & TRB_CHAIN);
    return true;
}

/* Spreads a packet over the descriptor and reports as its TRBs ask for it. */
static bool put_packet(struct xhci *x, unsigned slot, unsigned dci, const struct td *td, const u8 *data, u32 len)
{
    u32 done = 0;

    for (unsigned i = 0; i < td->n; i++) {
        const struct trb *t = &td->t[i];
        u32 room = t->status & 0x1ffff, n = MIN_OF(room, len - done);
        if (trb_type(t) == TRB_EVENT_DATA) {
            if (t->control & TRB_IOC)
                xhci_event(x, &(struct trb){ t->param, done | CC_SUCCESS << 24, EV_TRANSFER << 10 | dci << 16 | slot << 24 | BIT(2) });
            continue;
        }
        if (trb_type(t) == TRB_NORMAL && !xhci_write(x, t->param, data + done, n)) {
            halt(x, slot, dci, td->at[i], CC_USB_ERROR, room);
            return false;
        }
        done += n;
        if (trb_type(t) == TRB_NORMAL && n < room) {
            if (t->control & (TRB_ISP | TRB_IOC))
                transfer_event(x, slot, dci, td->at[i], CC_SHORT, room - n);
            return true;
        }
        if (t->control & TRB_IOC)
            transfer_event(x, slot, dci, td->at[i], CC_SUCCESS, 0);
    }
    return true;
}

/* One descriptor of an interrupt endpoint; false when there is none, it waits, or the endpoint has halted. */
static bool interrupt_td(struct xhci *x, unsigned slot, unsigned dci)
{
    struct xhci_ep *ep = &x->slot[slot].ep[dci];
    struct usb_device *d = xhci_device(x, slot);
    struct xhci_ring ring = ep->ring;
    struct td td;
    u8 data[PACKET_MAX];
    int n;

    if (!read_td(x, &ring, &td))
        return false;
    if (td.len == 0 && trb_type(&td.t[0]) == TRB_NOOP) {
        ep->ring = ring;
        return put_packet(x, slot, dci, &td, data, 0);
    }
    n = !d ? USB_STALL : !(dci & 1) ? USB_STALL : usb_interrupt_in(d, dci / 2, data, MIN_OF(td.len, sizeof(data)));
    if (n == USB_NAK) {
        ep->waiting = 1;
        return false;
    }
    ep->waiting = 0;
    ep->ring = ring;
    if (n < 0) {
        halt(x, slot, dci, td.at[0], d ? CC_STALL : CC_USB_ERROR, td.len);
        return false;
    }
    return put_packet(x, slot, dci, &td, data, n);
}

/* -- doorbells -------------------------------------------------------------------------------------------------------- */

void xhci_doorbell(struct xhci *x, unsigned slot, unsigned dci)
{
    struct xhci_ep *ep;
    struct trb t;
    u64 at;

    if (slot < 1 || slot > XHCI_SLOTS || dci < 1 || dci >= XHCI_EPS || !x->slot[slot].enabled)
        return;
    ep = &x->slot[slot].ep[dci];
    if (ep->state == EP_STOPPED) {
        ep->state = EP_RUNNING;
        xhci_ep_update(x, slot, dci, false);
    }
    for (unsigned i = 0; i < TRBS_AT_ONCE && ep->state == EP_RUNNING; i++) {
        if (dci > 1 ? !interrupt_td(x, slot, dci) : !xhci_ring_next(x, &ep->ring, &t, &at) || !control_trb(x, slot, &t, at))
            break;
    }
}

void xhci_ep_stop(struct xhci *x, unsigned slot, unsigned dci)
{
    struct xhci_ep *ep = &x->slot[slot].ep[dci];
    struct xhci_ring ring = ep->ring;
    struct trb t;
    u64 at;

    if (ep->waiting && xhci_ring_next(x, &ring, &t, &at))
        transfer_event(x, slot, dci, at, CC_STOPPED, t.status & 0x1ffff);
    ep->waiting = 0;
    ep->state = EP_STOPPED;
    xhci_ep_update(x, slot, dci, true);
}
