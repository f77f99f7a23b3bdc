/* The xHCI USB controller ("qemu-xhci"): registers, root hub ports, the event ring and its interrupter. Registers: vCPU threads; devices come, go
 * and wake in other threads; machine lock held. eXtensible Host Controller Interface for USB, revision 1.1. */
#include "hw/usb/xhci.h"
#include "hw/core/machine.h"
#include "mmu/dma.h"
#include "util/log.h"

#define BAR_SIZE (16 * KiB)
enum { CAP_LEN = 0x40, PORTS_AT = 0x440, RUNTIME = 0x1000, DOORBELLS = 0x2000, MSIX_BAR = 4, LINKS_MAX = 16, MFINDEX_NS = 125000 };
enum { CMD_RS = BIT(0), CMD_HCRST = BIT(1), CMD_INTE = BIT(2), CMD_MASK = 0x0f, STS_HCH = BIT(0), STS_EINT = BIT(3), STS_PCD = BIT(4), STS_HCE = BIT(12) };
enum { CR_RCS = BIT(0), CR_CS = BIT(1), CR_CA = BIT(2), CR_CRR = BIT(3), IMAN_IP = BIT(0), IMAN_IE = BIT(1), ERDP_EHB = BIT(3), IMOD_INTERVAL = 0xffff };
#define IMOD_NS 250ll
enum {
    SC_CCS = BIT(0), SC_PED = BIT(1), SC_PR = BIT(4), SC_PLS = 15 << 5, SC_PP = BIT(9), SC_LWS = BIT(16), SC_CSC = BIT(17), SC_PEC = BIT(18),
    SC_PRC = BIT(21), SC_PLC = BIT(22), SC_CHANGES = 0x00fe0000, SC_KEEP = 0x0e00c200, PLS_U0 = 0, PLS_U3 = 3, PLS_RX_DETECT = 5, PLS_POLLING = 7,
    PLS_RESUME = 15,
};

bool xhci_read(struct xhci *x, u64 gpa, void *buf, unsigned len)
{
    return pci_is_master(&x->pci) && !dma_read(x->pci.dma, gpa, buf, len);
}

bool xhci_write(struct xhci *x, u64 gpa, const void *buf, unsigned len)
{
    return pci_is_master(&x->pci) && !dma_write(x->pci.dma, gpa, buf, len);
}

bool xhci_ring_next(struct xhci *x, struct xhci_ring *r, struct trb *t, u64 *at)
{
    for (unsigned links = 0; links < LINKS_MAX; links++) {
        *at = r->dequeue;
        if (!xhci_read(x, r->dequeue, t, sizeof(*t)) || (t->control & TRB_CYCLE) != r->cycle)
            return false;
        if (trb_type(t) != TRB_LINK) {
            r->dequeue += sizeof(*t);
            return true;
        }
        r->dequeue = t->param & ~15ull;
        r->cycle ^= (t->control & TRB_TOGGLE) != 0;
    }
    GUEST_ERROR("xhci: a ring of links only");
    return false;
}

/* -- events ----------------------------------------------------------------------------------------------------------- */

static void update_line(struct xhci *x)
{
    if (!pci_msix_enabled(&x->pci))
        pci_set_intx(&x->pci, (x->iman & IMAN_IP) && (x->iman & IMAN_IE) && (x->usbcmd & CMD_INTE));
}

static void interrupt(struct xhci *x)
{
    x->erdp |= ERDP_EHB;
    x->usbsts |= STS_EINT;
    x->iman |= IMAN_IP;
    if (pci_msix_enabled(&x->pci) && (x->iman & IMAN_IE) && (x->usbcmd & CMD_INTE)) {
        x->iman &= ~IMAN_IP;
        pci_msix_send(&x->pci, 0);
    }
    update_line(x);
}

/* Interrupts for the events that came since the last one, once the driver is through with that one (EHB) and IMODC is 0. Section 4.17.2. */
static void moderate(struct xhci *x)
{
    i64 now = clock_ns(x->pci.dev.m->clock);

    timer_cancel(&x->imod_timer);
    if (!x->ipe || (x->erdp & ERDP_EHB))
        return;
    if (now < x->imod_end) {
        timer_set(&x->imod_timer, x->imod_end);
        return;
    }
    x->ipe = false;
    x->imod_end = now + (x->imod & IMOD_INTERVAL) * IMOD_NS;
    interrupt(x);
}

static void on_imod_timer(void *opaque) { moderate(opaque); }

static void imod_write(struct xhci *x, u32 val)
{
    x->imod = val & IMOD_INTERVAL;
    x->imod_end = clock_ns(x->pci.dev.m->clock) + (i64)(val >> 16) * IMOD_NS;
    moderate(x);
}

static u32 imod_read(const struct xhci *x)
{
    i64 left = x->imod_end - clock_ns(x->pci.dev.m->clock);

    return x->imod | (left > 0 ? (u32)((left + IMOD_NS - 1) / IMOD_NS) << 16 : 0);
}

void xhci_event(struct xhci *x, const struct trb *ev)
{
    struct trb t = *ev;
    u32 next = x->er_enqueue + 1 == x->er_size ? 0 : x->er_enqueue + 1;

    if (!x->er_size || !(x->usbcmd & CMD_RS))
        return;
    if (x->er_base + next * sizeof(t) == (x->erdp & ~15ull)) {
        GUEST_ERROR("xhci: the event ring is full");
        x->usbsts |= STS_HCE;
        return;
    }
    t.control |= x->er_cycle;
    xhci_write(x, x->er_base + x->er_enqueue * sizeof(t), &t, sizeof(t));
    x->er_enqueue = next;
    x->er_cycle ^= next == 0;
    x->ipe = true;
    moderate(x);
}

/* The event ring's only segment. */
static void event_ring_start(struct xhci *x)
{
    u8 seg[16];

    x->er_size = x->er_enqueue = 0;
    x->er_cycle = 1;
    if (x->erstsz != 1 || !xhci_read(x, x->erstba, seg, sizeof(seg)))
        return;
    x->er_base = ld64(seg) & ~63ull;
    x->er_size = ld32(seg + 8) & 0xffff;
    if (x->er_size < 16) {
        GUEST_ERROR("xhci: an event ring of %u TRBs", x->er_size);
        x->er_size = 0;
    }
}

/* -- ports ------------------------------------------------------------------------------------------------------------ */

static void port_event(struct xhci *x, unsigned n)
{
    x->usbsts |= STS_PCD;
    xhci_event(x, &(struct trb){ (u64)(n + 1) << 24, CC_SUCCESS << 24, EV_PORT << 10 });
}

static void set_pls(struct xhci_port *p, u32 pls)
{
    p->sc = (p->sc & ~(u32)SC_PLS) | pls << 5;
}

static void port_changed(void *opaque, unsigned n)
{
    struct xhci *x = opaque;
    struct xhci_port *p = &x->port[n];
    bool here = x->bus.port[n] != NULL;

    if (here == ((p->sc & SC_CCS) != 0))
        return;
    p->sc = SC_PP | (p->sc & SC_CHANGES) | SC_CSC | (here ? SC_CCS | USB_SPEED_FULL << 10 : 0);
    set_pls(p, here ? PLS_POLLING : PLS_RX_DETECT);
    port_event(x, n);
}

static void port_reset(struct xhci *x, unsigned n)
{
    struct xhci_port *p = &x->port[n];

    if (!(p->sc & SC_CCS))
        return;
    usb_reset(x->bus.port[n]);
    set_pls(p, PLS_U0);
    p->sc |= SC_PED | SC_PRC;
    port_event(x, n);
}

static void port_write(struct xhci *x, unsigned n, u32 val)
{
    struct xhci_port *p = &x->port[n];
    u32 pls = (val & SC_PLS) >> 5;

    p->sc &= ~(val & SC_CHANGES);
    if ((val & SC_PED) && (p->sc & SC_PED)) { /* writing 1 disables */
        p->sc &= ~SC_PED;
        set_pls(p, PLS_POLLING);
    }
    p->sc = (p->sc & ~(u32)SC_KEEP) | (val & SC_KEEP);
    if ((val & SC_LWS) && (p->sc & SC_PED) && (pls == PLS_U0 || pls == PLS_U3 || pls == PLS_RESUME)) {
        bool resumed = pls == PLS_U0 && (p->sc & SC_PLS) >> 5 != PLS_U0;
        set_pls(p, pls);
        if (resumed) {
            p->sc |= SC_PLC;
            port_event(x, n);
        }
    }
    if (val & SC_PR)
        port_reset(x, n);
}

/* A suspended device may ask to be woken; else its endpoints that wait are served. */
static void wakeup(void *opaque, struct usb_device *d)
{
    struct xhci *x = opaque;
    struct xhci_port *p = &x->port[d->port];

    if ((p->sc & SC_PLS) >> 5 == PLS_U3) {
        if (!d->remote_wakeup)
            return;
        set_pls(p, PLS_RESUME);
        p->sc |= SC_PLC;
        port_event(x, d->port);
        return;
    }
    if (!(x->usbcmd & CMD_RS))
        return;
    for (unsigned s = 1; s <= XHCI_SLOTS; s++)
        for (unsigned dci = 2; x->slot[s].enabled && x->slot[s].port == d->port + 1 && dci < XHCI_EPS; dci++)
            if (x->slot[s].ep[dci].waiting)
                xhci_doorbell(x, s, dci);
}

struct usb_device *xhci_device(struct xhci *x, unsigned slot)
{
    unsigned port = x->slot[slot].port;

    return port && port <= x->bus.n_ports && (x->port[port - 1].sc & SC_PED) ? x->bus.port[port - 1] : NULL;
}

static const struct usb_host_ops host_ops = { port_changed, wakeup };

/* -- registers -------------------------------------------------------------------------------------------------------- */

static void controller_reset(struct xhci *x)
{
    x->usbcmd = 0;
    x->usbsts = STS_HCH;
    x->dnctrl = x->config = x->iman = x->erstsz = 0;
    x->imod = 4000;
    x->imod_end = 0;
    x->ipe = false;
    timer_cancel(&x->imod_timer);
    x->crcr = x->dcbaap = x->erstba = x->erdp = x->er_base = 0;
    x->er_size = x->er_enqueue = 0;
    x->er_cycle = 1;
    memset(&x->command, 0, sizeof(x->command));
    for (unsigned i = 1; i <= XHCI_SLOTS; i++)
        xhci_slot_disable(x, i);
    for (unsigned i = 0; i < x->p2 + x->p3; i++) {
        bool here = i < x->p2 && x->bus.port[i];
        x->port[i].sc = SC_PP | (here ? SC_CCS | SC_CSC | USB_SPEED_FULL << 10 : 0);
        set_pls(&x->port[i], here ? PLS_POLLING : PLS_RX_DETECT);
    }
    update_line(x);
}

static u32 cap_read(const struct xhci *x, u64 off)
{
    switch (off) {
    case 0x00: return CAP_LEN | 0x0100 << 16;
    case 0x04: return XHCI_SLOTS | 1 << 8 | (x->p2 + x->p3) << 24;
    case 0x08: return 0x0000000f; /* one segment in the event ring, no scratchpad */
    case 0x10: return 0x00080001; /* 64-bit addresses; extended capabilities at 0x20 */
    case 0x14: return DOORBELLS;
    case 0x18: return RUNTIME;
    case 0x20: return 0x02000002 | (x->p3 ? 4 : 0) << 8; /* supported protocol: USB 2.0 */
    case 0x24: case 0x34: return 0x20425355;              /* "USB " */
    case 0x28: return 1 | x->p2 << 8;
    case 0x30: return x->p3 ? 0x03000002 : 0;
    case 0x38: return x->p3 ? (x->p2 + 1) | x->p3 << 8 : 0;
    default: return 0;
    }
}

static u32 op_read(const struct xhci *x, u64 off)
{
    switch (off) {
    case 0x40: return x->usbcmd;
    case 0x44: return x->usbsts;
    case 0x48: return 1; /* pages of 4 KiB */
    case 0x54: return x->dnctrl;
    case 0x58: return x->crcr & CR_CRR; /* the pointer reads as 0 */
    case 0x70: return x->dcbaap;
    case 0x74: return x->dcbaap >> 32;
    case 0x78: return x->config;
    }
    if (off >= PORTS_AT && off < PORTS_AT + 16 * (x->p2 + x->p3) && !(off & 15))
        return x->port[(off - PORTS_AT) / 16].sc;
    return 0;
}

static u32 runtime_read(const struct xhci *x, u64 off)
{
    switch (off - RUNTIME) {
    case 0x00: return clock_ns(x->pci.dev.m->clock) / MFINDEX_NS & 0x3fff;
    case 0x20: return x->iman;
    case 0x24: return imod_read(x);
    case 0x28: return x->erstsz;
    case 0x30: return x->erstba;
    case 0x34: return x->erstba >> 32;
    case 0x38: return x->erdp;
    case 0x3c: return x->erdp >> 32;
    default: return 0;
    }
}

static void set_low(u64 *reg, u32 val) { *reg = (*reg & ~0xffffffffull) | val; }
static void set_high(u64 *reg, u32 val) { *reg = (*reg & 0xffffffff) | (u64)val << 32; }

static void usbcmd_write(struct xhci *x, u32 val)
{
    if (val & CMD_HCRST) {
        controller_reset(x);
        return;
    }
    x->usbcmd = val & CMD_MASK;
    x->usbsts = val & CMD_RS ? x->usbsts & ~STS_HCH : x->usbsts | STS_HCH;
    if (!(val & CMD_RS))
        x->crcr &= ~(u64)CR_CRR;
    update_line(x);
}

static void crcr_write(struct xhci *x, u32 val)
{
    if (x->crcr & CR_CRR) {
        if (val & (CR_CS | CR_CA)) {
            x->crcr &= ~(u64)CR_CRR;
            xhci_event(x, &(struct trb){ x->command.dequeue, CC_COMMAND_STOPPED << 24, EV_COMMAND << 10 });
        }
        return;
    }
    set_low(&x->crcr, val & ~0x3eu);
    x->command = (struct xhci_ring){ x->crcr & ~63ull, val & CR_RCS };
}

static void op_write(struct xhci *x, u64 off, u32 val)
{
    switch (off) {
    case 0x40: usbcmd_write(x, val); return;
    case 0x44: x->usbsts &= ~(val & 0x41c); return;
    case 0x54: x->dnctrl = val & 0xffff; return;
    case 0x58: crcr_write(x, val); return;
    case 0x5c:
        if (!(x->crcr & CR_CRR)) {
            set_high(&x->crcr, val);
            x->command.dequeue = x->crcr & ~63ull;
        }
        return;
    case 0x70: set_low(&x->dcbaap, val & ~63u); return;
    case 0x74: set_high(&x->dcbaap, val); return;
    case 0x78: x->config = val & 0xff; return;
    }
    if (off >= PORTS_AT && off < PORTS_AT + 16 * (x->p2 + x->p3) && !(off & 15))
        port_write(x, (off - PORTS_AT) / 16, val);
}

static void runtime_write(struct xhci *x, u64 off, u32 val)
{
    switch (off - RUNTIME) {
    case 0x20:
        x->iman = (x->iman & ~(val & IMAN_IP) & ~IMAN_IE) | (val & IMAN_IE);
        update_line(x);
        return;
    case 0x24: imod_write(x, val); return;
    case 0x28: x->erstsz = val & 0xffff; return;
    case 0x30: set_low(&x->erstba, val & ~63u); return;
    case 0x34:
        set_high(&x->erstba, val);
        event_ring_start(x);
        return;
    case 0x38:
        set_low(&x->erdp, (val & ~(u32)ERDP_EHB) | (x->erdp & ERDP_EHB & ~val));
        moderate(x);
        return;
    case 0x3c: set_high(&x->erdp, val); return;
    }
}

static void doorbell_write(struct xhci *x, unsigned n, u32 val)
{
    if (!(x->usbcmd & CMD_RS) || (x->usbsts & STS_HCE))
        return;
    if (n == 0) {
        x->crcr |= CR_CRR;
        xhci_commands(x);
    } else {
        xhci_doorbell(x, n, val & 0xff);
    }
}

static u64 mmio_read(void *opaque, u64 off, unsigned size)
{
    const struct xhci *x = opaque;
    u32 v = off < CAP_LEN ? cap_read(x, off & ~3ull) : off < RUNTIME ? op_read(x, off & ~3ull) : off < DOORBELLS ? runtime_read(x, off & ~3ull) : 0;

    return v >> (8 * (off & 3));
}

static void mmio_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct xhci *x = opaque;

    if (off & 3 || size != 4)
        return; /* registers are dwords */
    if (off >= DOORBELLS)
        doorbell_write(x, (off - DOORBELLS) / 4, val);
    else if (off >= RUNTIME)
        runtime_write(x, off, val);
    else if (off >= CAP_LEN)
        op_write(x, off, val);
}

static const struct region_ops mmio_ops = { mmio_read, mmio_write, 1, 4 };

/* -- the class -------------------------------------------------------------------------------------------------------- */

static int xhci_realize(struct device *d, struct err *e)
{
    static const struct pci_id id = { .vendor = 0x1b36, .device = 0x000d, .class_code = 0x0c03, .prog_if = 0x30, .revision = 1, .int_pin = 1,
                                      .subsys_vendor = 0x1af4, .subsys_id = 0x1100 };
    struct xhci *x = container_of(d, struct xhci, pci.dev);

    if (x->p2 < 1 || x->p2 > USB_PORTS_MAX - 1 || x->p3 > USB_PORTS_MAX - 1)
        return err_set(e, "%s: p2 is from 1 to 15, p3 from 0 to 15", d->cls->name);
    if (pci_attach(&x->pci, &id, e) < 0)
        return -1;
    region_init_io(&x->bar, "xhci", BAR_SIZE, &mmio_ops, x, &d->m->lock);
    pci_bar_init(&x->pci, 0, &x->bar, PCI_BAR_MEM64);
    if (pci_msix_init(&x->pci, 1, MSIX_BAR, e) < 0) {
        pci_detach(&x->pci);
        return -1;
    }
    x->pci.config[0x60] = 0x30; /* serial bus release number */
    timer_init(&x->imod_timer, d->m->clock, on_imod_timer, x);
    usb_bus_init(&x->bus, d, x->p2, &host_ops, x);
    controller_reset(x);
    return 0;
}

static void xhci_unrealize(struct device *d)
{
    struct xhci *x = container_of(d, struct xhci, pci.dev);

    timer_cancel(&x->imod_timer);
    usb_bus_fini(&x->bus);
    pci_detach(&x->pci);
}

static void xhci_reset(struct device *d)
{
    struct xhci *x = container_of(d, struct xhci, pci.dev);

    pci_reset(&x->pci);
    controller_reset(x);
}

static void xhci_post_load(struct device *d)
{
    struct xhci *x = container_of(d, struct xhci, pci.dev);

    for (unsigned i = 1; i <= XHCI_SLOTS; i++) {
        struct xhci_slot *s = &x->slot[i];
        s->data_len = MIN_OF(s->data_len, XHCI_CONTROL_MAX);
        s->data_pos = MIN_OF(s->data_pos, s->data_len);
    }
    if (x->er_enqueue >= x->er_size)
        x->er_enqueue = 0;
    x->imod &= IMOD_INTERVAL;
    x->imod_end = MAX_OF(MIN_OF(x->imod_end, clock_ns(d->m->clock) + IMOD_INTERVAL * IMOD_NS), 0);
    pci_post_load(&x->pci);
    update_line(x);
    moderate(x);
}

static const struct prop xhci_props[] = {
    PCI_PROPS,
    { "p2", PROP_U32, offsetof(struct xhci, p2), 4, NULL, "ports for USB 1 and 2 devices" },
    { "p3", PROP_U32, offsetof(struct xhci, p3), 4, NULL, "ports for USB 3 devices" },
    PROP_DONE
};
static const struct snap_field ring_fields[] = { SNAP_U(struct xhci_ring, dequeue), SNAP_U(struct xhci_ring, cycle), SNAP_DONE };
static const struct snap_field ep_fields[] = {
    SNAP_U(struct xhci_ep, state), SNAP_U(struct xhci_ep, waiting), SNAP_S(struct xhci_ep, ring, ring_fields), SNAP_DONE
};
static const struct snap_field slot_fields[] = {
    SNAP_U(struct xhci_slot, enabled), SNAP_U(struct xhci_slot, port), SNAP_U(struct xhci_slot, ctx), SNAP_AS(struct xhci_slot, ep, ep_fields),
    SNAP_B(struct xhci_slot, setup), SNAP_U(struct xhci_slot, has_setup), SNAP_B(struct xhci_slot, data), SNAP_U(struct xhci_slot, data_len),
    SNAP_U(struct xhci_slot, data_pos), SNAP_U(struct xhci_slot, failed), SNAP_DONE
};
static const struct snap_field port_fields[] = { SNAP_U(struct xhci_port, sc), SNAP_DONE };
static const struct snap_field xhci_fields[] = {
    PCI_SNAP, SNAP_U(struct xhci, usbcmd), SNAP_U(struct xhci, usbsts), SNAP_U(struct xhci, dnctrl), SNAP_U(struct xhci, config),
    SNAP_U(struct xhci, crcr), SNAP_U(struct xhci, dcbaap), SNAP_S(struct xhci, command, ring_fields), SNAP_U(struct xhci, iman),
    SNAP_U(struct xhci, imod), SNAP_U(struct xhci, ipe), SNAP_U(struct xhci, imod_end),
    SNAP_U(struct xhci, erstsz), SNAP_U(struct xhci, erstba), SNAP_U(struct xhci, erdp), SNAP_U(struct xhci, er_base),
    SNAP_U(struct xhci, er_size), SNAP_U(struct xhci, er_enqueue), SNAP_U(struct xhci, er_cycle), SNAP_AS(struct xhci, port, port_fields),
    SNAP_AS(struct xhci, slot, slot_fields), SNAP_DONE
};

const struct dev_class qemu_xhci_class = {
    .name = "qemu-xhci",
    .desc = "USB 3 controller (xHCI)",
    .state_size = sizeof(struct xhci),
    .user_creatable = true,
    .bus_type = "PCI",
    .props = xhci_props,
    .fields = xhci_fields,
    .snap_version = 2,
    .realize = xhci_realize,
    .reset = xhci_reset,
    .unrealize = xhci_unrealize,
    .post_load = xhci_post_load,
};
