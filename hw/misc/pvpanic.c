/* By this device a guest tells that it has crashed: an I/O port (pvpanic) or a PCI function (pvpanic-pci). vCPU threads, machine lock held.
 * What follows is -action panic=. Specification: "pvpanic device" of QEMU's documentation. */
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/log.h"

enum { EVENT_PANICKED = 1, EVENT_CRASH_LOADED = 2, EVENTS = EVENT_PANICKED | EVENT_CRASH_LOADED, BAR_SIZE = 16 };

static void pvpanic_event(struct machine *m, u8 events, u64 val)
{
    if (val & ~(u64)events)
        GUEST_ERROR("pvpanic: unknown event 0x%llx", (unsigned long long)val);
    if (val & events & EVENT_PANICKED)
        m->request(m, REQ_PANIC, 0);
    else if (val & events & EVENT_CRASH_LOADED)
        m->request(m, REQ_PANIC, 1);
}

/* -- at a port ---------------------------------------------------------------------------------------------------------- */

struct pvpanic {
    struct device dev;
    struct region port;
    u16 ioport;
    u8 events;
};

static u64 port_read(void *opaque, u64 off, unsigned size)
{
    return ((struct pvpanic *)opaque)->events;
}

static void port_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pvpanic *p = opaque;

    pvpanic_event(p->dev.m, p->events, val);
}

static const struct region_ops port_ops = { port_read, port_write, 1, 1 };

static int pvpanic_realize(struct device *d, struct err *e)
{
    struct pvpanic *p = (struct pvpanic *)d;

    if (p->events & ~EVENTS)
        return err_set(e, "pvpanic: events=%u: there are 1 and 2", p->events);
    region_init_io(&p->port, "pvpanic", 1, &port_ops, p, &d->m->lock);
    region_add(&d->m->io_root, p->ioport, &p->port, 0);
    return 0;
}

static void pvpanic_unrealize(struct device *d)
{
    region_del(&((struct pvpanic *)d)->port);
}

static const struct prop pvpanic_props[] = {
    { "ioport", PROP_U16, offsetof(struct pvpanic, ioport), 0x505, NULL, "the port" },
    { "events", PROP_U8, offsetof(struct pvpanic, events), EVENTS, NULL, "events offered: 1 panicked, 2 crash kernel loaded" },
    PROP_DONE,
};
static const struct snap_field pvpanic_fields[] = { SNAP_DONE };

const struct dev_class pvpanic_class = {
    .name = "pvpanic",
    .desc = "tells that the guest has crashed",
    .user_creatable = true,
    .state_size = sizeof(struct pvpanic),
    .props = pvpanic_props,
    .fields = pvpanic_fields,
    .snap_version = 1,
    .realize = pvpanic_realize,
    .unrealize = pvpanic_unrealize,
};

/* -- as a PCI function ----------------------------------------------------------------------------------------------------- */

struct pvpanic_pci {
    struct pci_device pci;
    struct region regs;
    u8 events;
};

static u64 regs_read(void *opaque, u64 off, unsigned size)
{
    return off ? 0 : ((struct pvpanic_pci *)opaque)->events;
}

static void regs_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pvpanic_pci *p = opaque;

    if (off == 0)
        pvpanic_event(p->pci.dev.m, p->events, val);
}

static const struct region_ops regs_ops = { regs_read, regs_write, 1, 1 };

static int pvpanic_pci_realize(struct device *d, struct err *e)
{
    struct pvpanic_pci *p = (struct pvpanic_pci *)d;
    static const struct pci_id id = { 0x1b36, 0x0011, 0x0880, 0, 1, 0, 0, 0 };

    if (p->events & ~EVENTS)
        return err_set(e, "pvpanic-pci: events=%u: there are 1 and 2", p->events);
    if (pci_attach(&p->pci, &id, e) < 0)
        return -1;
    region_init_io(&p->regs, "pvpanic", BAR_SIZE, &regs_ops, p, &d->m->lock);
    pci_bar_init(&p->pci, 0, &p->regs, PCI_BAR_MEM32);
    return 0;
}

static void pvpanic_pci_unrealize(struct device *d)
{
    pci_detach(&((struct pvpanic_pci *)d)->pci);
}

static void pvpanic_pci_reset(struct device *d)
{
    pci_reset(&((struct pvpanic_pci *)d)->pci);
}

static void pvpanic_pci_post_load(struct device *d)
{
    pci_post_load(&((struct pvpanic_pci *)d)->pci);
}

static const struct prop pvpanic_pci_props[] = {
    PCI_PROPS,
    { "events", PROP_U8, offsetof(struct pvpanic_pci, events), EVENTS, NULL, "events offered: 1 panicked, 2 crash kernel loaded" },
    PROP_DONE,
};
static const struct snap_field pvpanic_pci_fields[] = { PCI_SNAP, SNAP_DONE };

const struct dev_class pvpanic_pci_class = {
    .name = "pvpanic-pci",
    .desc = "tells that the guest has crashed, as a PCI function",
    .bus_type = "PCI",
    .user_creatable = true,
    .state_size = sizeof(struct pvpanic_pci),
    .props = pvpanic_pci_props,
    .fields = pvpanic_pci_fields,
    .snap_version = 1,
    .realize = pvpanic_pci_realize,
    .reset = pvpanic_pci_reset,
    .unrealize = pvpanic_pci_unrealize,
    .post_load = pvpanic_pci_post_load,
};
