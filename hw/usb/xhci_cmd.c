/* The command ring of the xHCI controller: slots, device contexts, endpoints. vCPU threads, machine lock held. xHCI 1.1, sections 4.6 and 6.2. */
#include "hw/core/machine.h"
#include "hw/usb/xhci.h"
#include "util/log.h"

enum { COMMANDS_AT_ONCE = 256, CTX = 32 };

static u64 ep_ctx(const struct xhci_slot *s, unsigned dci)
{
    return s->ctx + dci * CTX;
}

void xhci_ep_update(struct xhci *x, unsigned slot, unsigned dci, bool ring)
{
    const struct xhci_slot *s = &x->slot[slot];
    const struct xhci_ep *ep = &s->ep[dci];
    u32 first;
    u64 dequeue = ep->ring.dequeue | ep->ring.cycle;

    if (!s->ctx || !xhci_read(x, ep_ctx(s, dci), &first, 4))
        return;
    first = (first & ~7u) | ep->state;
    xhci_write(x, ep_ctx(s, dci), &first, 4);
    if (ring)
        xhci_write(x, ep_ctx(s, dci) + 8, &dequeue, 8);
}

/* Writes slot state and device address into the slot's context. */
static void slot_update(struct xhci *x, unsigned slot, enum slot_state state, u8 address)
{
    u32 last = (u32)state << 27 | address;

    xhci_write(x, x->slot[slot].ctx + 12, &last, 4);
}

void xhci_slot_disable(struct xhci *x, unsigned slot)
{
    memset(&x->slot[slot], 0, sizeof(x->slot[slot]));
}

static enum completion enable_slot(struct xhci *x, unsigned *slot)
{
    for (unsigned i = 1; i <= MIN_OF(x->config & 0xff, XHCI_SLOTS); i++) {
        if (!x->slot[i].enabled) {
            xhci_slot_disable(x, i);
            x->slot[i].enabled = 1;
            *slot = i;
            return CC_SUCCESS;
        }
    }
    return CC_NO_SLOTS;
}

/* Starts an endpoint from its input context, which is copied to the output context. */
static bool ep_start(struct xhci *x, unsigned slot, unsigned dci, u64 input)
{
    struct xhci_slot *s = &x->slot[slot];
    struct xhci_ep *ep = &s->ep[dci];
    u8 c[CTX];

    if (!xhci_read(x, input + (dci + 1) * CTX, c, CTX))
        return false;
    *ep = (struct xhci_ep){ .state = EP_RUNNING, .ring = { ld64(c + 8) & ~15ull, c[8] & 1 } };
    c[0] = (c[0] & ~7) | EP_RUNNING;
    return xhci_write(x, ep_ctx(s, dci), c, CTX);
}

static enum completion address_device(struct xhci *x, unsigned slot, const struct trb *t)
{
    struct xhci_slot *s = &x->slot[slot];
    u64 input = t->param & ~15ull, ctx;
    u32 flags[2], sc[CTX / 4];
    unsigned port;

    if (!xhci_read(x, input, flags, 8) || (flags[1] & 3) != 3 || flags[0])
        return CC_TRB_ERROR;
    if (!xhci_read(x, input + CTX, sc, CTX) || !xhci_read(x, x->dcbaap + 8 * slot, &ctx, 8))
        return CC_TRB_ERROR;
    port = sc[1] >> 16 & 0xff;
    if (port < 1 || port > x->p2 || (sc[0] & 0xfffff)) /* there are no hubs behind the root hub */
        return CC_PARAMETER;
    s->port = port;
    s->ctx = ctx & ~63ull;
    if (!xhci_device(x, slot))
        return CC_USB_ERROR;
    if (!xhci_write(x, s->ctx, sc, CTX) || !ep_start(x, slot, 1, input))
        return CC_TRB_ERROR;
    xhci_device(x, slot)->address = t->control & TRB_BSR ? 0 : slot;
    slot_update(x, slot, t->control & TRB_BSR ? SLOT_DEFAULT : SLOT_ADDRESSED, t->control & TRB_BSR ? 0 : slot);
    return CC_SUCCESS;
}

static void ep_end(struct xhci *x, unsigned slot, unsigned dci)
{
    x->slot[slot].ep[dci] = (struct xhci_ep){ .state = EP_DISABLED };
    xhci_ep_update(x, slot, dci, false);
}

static enum completion configure(struct xhci *x, unsigned slot, const struct trb *t)
{
    u64 input = t->param & ~15ull;
    u32 flags[2] = { ~0u, 0 }, entries;
    bool off = t->control & BIT(9);

    if (!x->slot[slot].ctx)
        return CC_CONTEXT_STATE;
    if (!off && (!xhci_read(x, input, flags, 8) || (flags[0] & 3)))
        return CC_TRB_ERROR;
    for (unsigned dci = 2; dci < XHCI_EPS; dci++) {
        if (flags[0] >> dci & 1)
            ep_end(x, slot, dci);
        if ((flags[1] >> dci & 1) && !ep_start(x, slot, dci, input))
            return CC_TRB_ERROR;
    }
    slot_update(x, slot, off ? SLOT_ADDRESSED : SLOT_CONFIGURED, slot);
    if (!off && xhci_read(x, input + CTX, &entries, 4))
        xhci_write(x, x->slot[slot].ctx, &entries, 4);
    return CC_SUCCESS;
}

/* What may change: endpoint 0's packet size, the slot's interrupter and exit latency. */
static enum completion evaluate(struct xhci *x, unsigned slot, const struct trb *t)
{
    struct xhci_slot *s = &x->slot[slot];
    u64 input = t->param & ~15ull;
    u32 flags[2], in, out;

    if (!s->ctx)
        return CC_CONTEXT_STATE;
    if (!xhci_read(x, input, flags, 8) || flags[0])
        return CC_TRB_ERROR;
    if ((flags[1] & 2) && xhci_read(x, input + 2 * CTX + 4, &in, 4) && xhci_read(x, ep_ctx(s, 1) + 4, &out, 4)) {
        out = (out & 0xffff) | (in & 0xffff0000);
        xhci_write(x, ep_ctx(s, 1) + 4, &out, 4);
    }
    if ((flags[1] & 1) && xhci_read(x, input + CTX + 8, &in, 4) && xhci_read(x, s->ctx + 8, &out, 4)) {
        out = (out & 0x003fffff) | (in & 0xffc00000);
        xhci_write(x, s->ctx + 8, &out, 4);
    }
    return CC_SUCCESS;
}

static enum completion reset_device(struct xhci *x, unsigned slot)
{
    if (!x->slot[slot].ctx)
        return CC_CONTEXT_STATE;
    for (unsigned dci = 2; dci < XHCI_EPS; dci++)
        ep_end(x, slot, dci);
    slot_update(x, slot, SLOT_DEFAULT, 0);
    return CC_SUCCESS;
}

/* Commands about an endpoint: bits 16-20 of the control word. */
static enum completion ep_command(struct xhci *x, unsigned slot, const struct trb *t)
{
    unsigned dci = t->control >> 16 & 0x1f;
    struct xhci_ep *ep = &x->slot[slot].ep[dci];

    if (dci < 1)
        return CC_TRB_ERROR;
    if (ep->state == EP_DISABLED)
        return CC_EP_DISABLED;
    switch (trb_type(t)) {
    case CMD_STOP_EP:
        if (ep->state != EP_RUNNING)
            return CC_CONTEXT_STATE;
        xhci_ep_stop(x, slot, dci);
        return CC_SUCCESS;
    case CMD_RESET_EP:
        if (ep->state != EP_HALTED)
            return CC_CONTEXT_STATE;
        ep->state = EP_STOPPED;
        xhci_ep_update(x, slot, dci, true);
        return CC_SUCCESS;
    default:
        if (ep->state != EP_STOPPED && ep->state != EP_ERROR)
            return CC_CONTEXT_STATE;
        ep->ring = (struct xhci_ring){ t->param & ~15ull, t->param & 1 };
        ep->state = EP_STOPPED;
        xhci_ep_update(x, slot, dci, true);
        return CC_SUCCESS;
    }
}

static enum completion run(struct xhci *x, const struct trb *t, unsigned *slot)
{
    unsigned type = trb_type(t);

    *slot = t->control >> 24;
    if (type == CMD_NOOP)
        return CC_SUCCESS;
    if (type == CMD_ENABLE_SLOT)
        return enable_slot(x, slot);
    if (*slot < 1 || *slot > XHCI_SLOTS || !x->slot[*slot].enabled)
        return CC_SLOT_DISABLED;
    switch (type) {
    case CMD_DISABLE_SLOT:
        xhci_slot_disable(x, *slot);
        return CC_SUCCESS;
    case CMD_ADDRESS: return address_device(x, *slot, t);
    case CMD_CONFIGURE: return configure(x, *slot, t);
    case CMD_EVALUATE: return evaluate(x, *slot, t);
    case CMD_RESET_DEVICE: return reset_device(x, *slot);
    case CMD_RESET_EP: case CMD_STOP_EP: case CMD_SET_DEQUEUE: return ep_command(x, *slot, t);
    default:
        GUEST_ERROR("xhci: unknown command %u", type);
        return CC_TRB_ERROR;
    }
}

void xhci_commands(struct xhci *x)
{
    struct trb t;
    u64 at;
    unsigned slot;

    for (unsigned i = 0; i < COMMANDS_AT_ONCE && xhci_ring_next(x, &x->command, &t, &at); i++) {
        enum completion cc = run(x, &t, &slot);
        xhci_event(x, &(struct trb){ at, (u32)cc << 24, EV_COMMAND << 10 | slot << 24 });
    }
}
