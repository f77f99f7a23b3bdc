/* The UHCI USB 1.1 controller of the PIIX chips: registers, two ports, and the schedule of frames that it works through, one a millisecond.
 * Registers: vCPU threads; frames: a timer on the main thread, which runs several at once while nothing happens; machine lock held.
 * Universal Host Controller Interface Design Guide 1.1; Intel 82371SB (290550), chapter 2.3. */
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "hw/usb/packet.h"
#include "mmu/dma.h"
#include "util/log.h"

enum { PORTS = 2, FRAME_NS = 1000000, BUSY_FRAMES = 1, IDLE_FRAMES = 8, QUIET_FRAMES = 64, CATCH_UP = 32, VISITS_MAX = 256, TDS_IN_QUEUE = 64, SEEN_MAX = 64 };
enum { CMD_RS = BIT(0), CMD_HCRESET = BIT(1), CMD_GRESET = BIT(2), CMD_MASK = 0xff };
enum { STS_INT = BIT(0), STS_ERROR = BIT(1), STS_RESUME = BIT(2), STS_HCPE = BIT(4), STS_HALTED = BIT(5), STS_CLEAR = 0x1f };
enum { INTR_TIMEOUT = BIT(0), INTR_RESUME = BIT(1), INTR_IOC = BIT(2), INTR_SHORT = BIT(3) };
enum { PORT_CCS = BIT(0), PORT_CSC = BIT(1), PORT_PE = BIT(2), PORT_PEC = BIT(3), PORT_RD = BIT(6), PORT_ONE = BIT(7), PORT_RESET = BIT(9), PORT_SUSPEND = BIT(12) };
enum { LINK_END = BIT(0), LINK_QUEUE = BIT(1), LINK_DEPTH = BIT(2) };
enum { TD_BITSTUFF = BIT(17), TD_TIMEOUT = BIT(18), TD_NAK = BIT(19), TD_BABBLE = BIT(20), TD_BUFFER = BIT(21), TD_STALLED = BIT(22), TD_ACTIVE = BIT(23),
       TD_IOC = BIT(24), TD_SHORT = BIT(29) };

struct uhci {
    struct pci_device pci;
    struct usb_bus bus;
    struct region io;
    struct timer timer;
    u16 cmd, sts, intr, frnum;
    u8 sofmod;
    u32 flbase;
    u16 port[PORTS];
    u8 reasons;    /* INTR_IOC, INTR_SHORT: what set STS_INT */
    i64 frame_at;  /* VM time at which the current frame began */
    u32 quiet;     /* frames in a row in which nothing moved */
};

static bool read_mem(struct uhci *u, u32 at, void *buf, unsigned len)
{
    return pci_is_master(&u->pci) && !dma_read(u->pci.dma, at, buf, len);
}

static bool write_mem(struct uhci *u, u32 at, const void *buf, unsigned len)
{
    return pci_is_master(&u->pci) && !dma_write(u->pci.dma, at, buf, len);
}

static void update_line(struct uhci *u)
{
    bool on = ((u->sts & STS_INT) && (u->intr & u->reasons)) || ((u->sts & STS_ERROR) && (u->intr & INTR_TIMEOUT)) ||
              ((u->sts & STS_RESUME) && (u->intr & INTR_RESUME)) || (u->sts & STS_HCPE);

    pci_set_intx(&u->pci, on);
}

static void report(struct uhci *u, u16 sts, u8 reason)
{
    u->sts |= sts;
    u->reasons |= reason;
    update_line(u);
}

/* -- transfer descriptors --------------------------------------------------------------------------------------------- */

struct td {
    u32 link, ctrl, token, buffer;
};
enum td_result { TD_DONE, TD_LATER /* NAK, or not active */, TD_ENDED /* error or short: the queue stops here */ };

static struct usb_device *find_device(struct uhci *u, u8 address)
{
    for (unsigned i = 0; i < PORTS; i++)
        if (u->bus.port[i] && (u->port[i] & PORT_PE) && !(u->port[i] & PORT_SUSPEND) && u->bus.port[i]->address == address)
            return u->bus.port[i];
    return NULL;
}

/* Moves the packet; bytes or a USB_ error, -4: nobody answers, -5: memory. */
static int move_packet(struct uhci *u, const struct td *t)
{
    struct usb_device *d = find_device(u, t->token >> 8 & 0x7f);
    unsigned len = ((t->token >> 21) + 1) & 0x7ff;
    u8 buf[2048];
    int n;

    if (!d)
        return -4;
    if ((t->token & 0xff) != USB_PID_IN && len && !read_mem(u, t->buffer, buf, len))
        return -5;
    n = usb_packet(d, t->token & 0xff, t->token >> 15 & 0x0f, buf, len);
    if (n > 0 && (t->token & 0xff) == USB_PID_IN && !write_mem(u, t->buffer, buf, n))
        return -5;
    return n;
}

static enum td_result run_td(struct uhci *u, u32 at, struct td *t)
{
    static const u32 error_bits[] = { [2] = TD_STALLED, [3] = TD_BABBLE | TD_STALLED, [4] = TD_TIMEOUT | TD_STALLED, [5] = TD_BUFFER | TD_STALLED };
    unsigned want = ((t->token >> 21) + 1) & 0x7ff;
    enum td_result r = TD_DONE;
    int n;

    if (!(t->ctrl & TD_ACTIVE))
        return TD_LATER;
    n = move_packet(u, t);
    if (n == USB_NAK) {
        if (!(t->ctrl & TD_NAK)) {
            t->ctrl |= TD_NAK;
            write_mem(u, at + 4, &t->ctrl, 4);
        }
        return TD_LATER;
    }
    t->ctrl &= ~(TD_ACTIVE | TD_NAK | 0x7ff);
    if (n >= 0) {
        bool is_short = (t->token & 0xff) == USB_PID_IN && (unsigned)n < want;
        t->ctrl |= (n - 1) & 0x7ff;
        if (t->ctrl & TD_IOC)
            report(u, STS_INT, INTR_IOC);
        if (is_short && (t->ctrl & TD_SHORT)) {
            report(u, STS_INT, INTR_SHORT);
            r = TD_ENDED;
        }
    } else {
        t->ctrl |= error_bits[-n] | 0x7ff;
        if (n == -4)
            t->ctrl &= ~(3u << 27); /* tried until the error count was used up */
        report(u, STS_ERROR | (t->ctrl & TD_IOC ? STS_INT : 0), t->ctrl & TD_IOC ? INTR_IOC : 0);
        r = TD_ENDED;
    }
    write_mem(u, at + 4, &t->ctrl, 4);
    u->quiet = 0;
    return r;
}

/* The transfer descriptors at the head of a queue, as far as they can be done now. Returns true if any was. */
static bool run_queue(struct uhci *u, u32 qh, u32 element)
{
    bool moved = false;

    for (unsigned n = 0; n < TDS_IN_QUEUE && !(element & (LINK_END | LINK_QUEUE)); n++) {
        u32 at = element & ~15u;
        struct td t;
        enum td_result r;
        if (!read_mem(u, at, &t, sizeof(t)))
            break;
        r = run_td(u, at, &t);
        if (r != TD_DONE)
            return moved || r == TD_ENDED;
        moved = true;
        element = t.link;
        write_mem(u, qh + 4, &element, 4);
        if (!(t.link & LINK_DEPTH))
            break;
    }
    return moved;
}

/* The queues seen in a frame since something was moved: drivers make rings of them, to use what is left of the frame. */
struct seen {
    u32 at[SEEN_MAX];
    unsigned n;
};

/* False if this queue was seen already. */
static bool see(struct seen *s, u32 at)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->at[i] == at)
            return false;
    if (s->n < SEEN_MAX)
        s->at[s->n++] = at;
    return true;
}

/* One frame: the list of queues and descriptors that its entry points to. A ring ends where a round has moved nothing. */
static void run_frame(struct uhci *u)
{
    struct seen seen = { .n = 0 };
    u32 link;

    if (!read_mem(u, (u->flbase & ~0xfffu) + 4 * (u->frnum & 0x3ff), &link, 4))
        return;
    for (unsigned visits = 0; visits < VISITS_MAX && !(link & LINK_END); visits++) {
        u32 at = link & ~15u, qh[2];
        struct td t;
        if (!(link & LINK_QUEUE)) {
            if (!read_mem(u, at, &t, sizeof(t)))
                return;
            run_td(u, at, &t);
            link = t.link;
            continue;
        }
        if (!see(&seen, at) || !read_mem(u, at, qh, sizeof(qh)))
            return;
        if (run_queue(u, at, qh[1]))
            seen.n = 0;
        link = qh[0];
    }
}

/* -- frames ----------------------------------------------------------------------------------------------------------- */

static void arm(struct uhci *u)
{
    u64 frames = u->quiet > QUIET_FRAMES ? IDLE_FRAMES : BUSY_FRAMES;

    timer_set(&u->timer, u->frame_at + (i64)frames * FRAME_NS);
}

static void run_frames(void *opaque)
{
    struct uhci *u = opaque;
    i64 now = clock_ns(u->pci.dev.m->clock);

    if (!(u->cmd & CMD_RS))
        return;
    if (now - u->frame_at > CATCH_UP * FRAME_NS) /* the host was busy: those frames are gone */
        u->frame_at = now - CATCH_UP * FRAME_NS;
    while (now - u->frame_at >= FRAME_NS) {
        u->quiet++;
        run_frame(u);
        u->frnum = (u->frnum + 1) & 0x7ff;
        u->frame_at += FRAME_NS;
    }
    arm(u);
}

/* -- ports ------------------------------------------------------------------------------------------------------------ */

static void port_changed(void *opaque, unsigned n)
{
    struct uhci *u = opaque;
    bool here = u->bus.port[n] != NULL;

    if (here == ((u->port[n] & PORT_CCS) != 0))
        return;
    u->port[n] = (u->port[n] & (PORT_CSC | PORT_PEC)) | PORT_ONE | PORT_CSC | (here ? PORT_CCS : 0) | (u->port[n] & PORT_PE && !here ? PORT_PEC : 0);
    report(u, STS_RESUME, 0);
}

static void wakeup(void *opaque, struct usb_device *d)
{
    struct uhci *u = opaque;

    if ((u->port[d->port] & PORT_SUSPEND) || !(u->cmd & CMD_RS)) {
        if (d->remote_wakeup && d->configuration) {
            u->port[d->port] |= PORT_RD;
            report(u, STS_RESUME, 0);
        }
        return;
    }
    u->quiet = 0;
    arm(u);
}

static const struct usb_host_ops host_ops = { port_changed, wakeup };

static void port_write(struct uhci *u, unsigned n, u16 val)
{
    u16 *p = &u->port[n];

    if ((val & PORT_RESET) && !(*p & PORT_RESET) && u->bus.port[n])
        usb_reset(u->bus.port[n]);
    *p &= ~(val & (PORT_CSC | PORT_PEC));
    *p = (*p & ~(PORT_PE | PORT_RD | PORT_RESET | PORT_SUSPEND)) | (val & (PORT_PE | PORT_RD | PORT_RESET | PORT_SUSPEND));
    if (!(*p & PORT_CCS) || (*p & PORT_RESET))
        *p &= ~PORT_PE;
}

/* -- registers -------------------------------------------------------------------------------------------------------- */

static void controller_reset(struct uhci *u)
{
    u->cmd = u->intr = u->frnum = 0;
    u->sts = STS_HALTED;
    u->reasons = 0;
    u->sofmod = 64;
    u->flbase = 0;
    u->quiet = 0;
    for (unsigned i = 0; i < PORTS; i++) {
        u->port[i] = PORT_ONE | (u->bus.port[i] ? PORT_CCS | PORT_CSC : 0);
        if (u->bus.port[i])
            usb_reset(u->bus.port[i]);
    }
    timer_cancel(&u->timer);
    update_line(u);
}

static void cmd_write(struct uhci *u, u16 val)
{
    if (val & (CMD_HCRESET | CMD_GRESET)) {
        controller_reset(u);
        u->cmd = val & CMD_GRESET;
        return;
    }
    if ((val & CMD_RS) && !(u->cmd & CMD_RS)) {
        u->frame_at = clock_ns(u->pci.dev.m->clock);
        u->sts &= ~STS_HALTED;
        u->cmd = val & CMD_MASK;
        u->quiet = 0;
        arm(u);
    } else if (!(val & CMD_RS)) {
        u->sts |= STS_HALTED;
        timer_cancel(&u->timer);
    }
    u->cmd = val & CMD_MASK;
}

/* Frames go by while the timer waits for several of them at once. */
static u16 frame_number(const struct uhci *u)
{
    i64 passed = u->cmd & CMD_RS ? (clock_ns(u->pci.dev.m->clock) - u->frame_at) / FRAME_NS : 0;

    return (u->frnum + MAX_OF(passed, 0)) & 0x7ff;
}

static u64 io_read(void *opaque, u64 off, unsigned size)
{
    const struct uhci *u = opaque;

    switch (off & ~1ull) {
    case 0x00: return u->cmd >> (8 * (off & 1));
    case 0x02: return u->sts >> (8 * (off & 1));
    case 0x04: return u->intr >> (8 * (off & 1));
    case 0x06: return frame_number(u) >> (8 * (off & 1));
    case 0x08: return size == 4 ? u->flbase : u->flbase >> (8 * (off & 1));
    case 0x0a: return u->flbase >> (16 + 8 * (off & 1));
    case 0x0c: return off & 1 ? 0 : u->sofmod;
    case 0x10: case 0x12: return u->port[(off - 0x10) / 2] >> (8 * (off & 1));
    default: return 0xff7f >> (8 * (off & 1)); /* other ports: not there */
    }
}

static void io_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct uhci *u = opaque;

    if (off == 0x0c) {
        u->sofmod = val & 0x7f;
        return;
    }
    if (off == 0x08 && size == 4) {
        u->flbase = val & ~0xfffull;
        return;
    }
    if (size == 4) { /* two registers */
        io_write(u, off, val & 0xffff, 2);
        io_write(u, off + 2, val >> 16, 2);
        return;
    }
    if (size != 2)
        return;
    switch (off) {
    case 0x00: cmd_write(u, val); break;
    case 0x02:
        u->sts &= ~(val & STS_CLEAR);
        if (val & STS_INT)
            u->reasons = 0;
        break;
    case 0x04: u->intr = val & 0x0f; break;
    case 0x06:
        if (!(u->cmd & CMD_RS))
            u->frnum = val & 0x7ff;
        break;
    case 0x08: u->flbase = (u->flbase & 0xffff0000) | (val & 0xf000); break;
    case 0x0a: u->flbase = (u->flbase & 0xffff) | (u32)val << 16; break;
    case 0x10: case 0x12: port_write(u, (off - 0x10) / 2, val); break;
    }
    update_line(u);
}

static const struct region_ops io_ops = { io_read, io_write, 1, 4 };

/* -- the class -------------------------------------------------------------------------------------------------------- */

static int uhci_realize(struct device *d, struct err *e)
{
    struct pci_id id = { .vendor = 0x8086, .device = 0x7020, .class_code = 0x0c03, .revision = 1, .int_pin = 4, .subsys_vendor = 0x1af4, .subsys_id = 0x1100 };
    struct uhci *u = container_of(d, struct uhci, pci.dev);

    if (!strcmp(d->cls->name, "piix4-usb-uhci"))
        id.device = 0x7112;
    if (pci_attach(&u->pci, &id, e) < 0)
        return -1;
    timer_init(&u->timer, d->m->clock, run_frames, u);
    region_init_io(&u->io, "uhci", 32, &io_ops, u, &d->m->lock);
    pci_bar_init(&u->pci, 4, &u->io, PCI_BAR_IO);
    u->pci.config[0x60] = 0x10; /* serial bus release number */
    usb_bus_init(&u->bus, d, PORTS, &host_ops, u);
    controller_reset(u);
    return 0;
}

static void uhci_unrealize(struct device *d)
{
    struct uhci *u = container_of(d, struct uhci, pci.dev);

    timer_cancel(&u->timer);
    usb_bus_fini(&u->bus);
    pci_detach(&u->pci);
}

static void uhci_reset(struct device *d)
{
    struct uhci *u = container_of(d, struct uhci, pci.dev);

    pci_reset(&u->pci);
    controller_reset(u);
}

static void uhci_post_load(struct device *d)
{
    struct uhci *u = container_of(d, struct uhci, pci.dev);
    i64 now = clock_ns(d->m->clock);

    u->frnum &= 0x7ff;
    if (u->frame_at > now || u->frame_at < now - CATCH_UP * FRAME_NS)
        u->frame_at = now;
    pci_post_load(&u->pci);
    update_line(u);
}

static const struct prop uhci_props[] = { PCI_PROPS, PROP_DONE };
static const struct snap_field uhci_fields[] = {
    PCI_SNAP, SNAP_U(struct uhci, cmd), SNAP_U(struct uhci, sts), SNAP_U(struct uhci, intr), SNAP_U(struct uhci, frnum), SNAP_U(struct uhci, sofmod),
    SNAP_U(struct uhci, flbase), SNAP_A(struct uhci, port), SNAP_U(struct uhci, reasons), SNAP_U(struct uhci, frame_at), SNAP_U(struct uhci, quiet),
    SNAP_T(struct uhci, timer), SNAP_DONE
};

#define UHCI_CLASS(name_) \
    { .name = name_, .desc = "USB 1.1 controller (UHCI)", .state_size = sizeof(struct uhci), .user_creatable = true, .bus_type = "PCI", \
      .props = uhci_props, .fields = uhci_fields, .snap_version = 1, .realize = uhci_realize, .reset = uhci_reset, .unrealize = uhci_unrealize, \
      .post_load = uhci_post_load }
const struct dev_class piix3_usb_uhci_class = UHCI_CLASS("piix3-usb-uhci");
const struct dev_class piix4_usb_uhci_class = UHCI_CLASS("piix4-usb-uhci");
