/* Hot plug of PCI devices by ACPI: registers that say which slots have something new and which the guest is asked to give up; methods of the
 * DSDT read them when the event comes and write to them to eject. vCPU threads and device_add, device_del of the main thread, machine lock
 * held. Specification: "QEMU<->ACPI BIOS PCI hotplug interface" of QEMU's documentation. */
#include "hw/machine/acpi_hotplug.h"
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/log.h"

enum { REG_UP = 0x00, REG_DOWN = 0x04, REG_EJECT = 0x08, REG_REMOVABLE = 0x0c, REG_BUS = 0x10 };

struct acpi_hotplug {
    struct device dev;
    struct region ports;
    struct irq_line gpe;
    u32 up, down; /* bit n: slot n */
    u32 bus;      /* selected; only 0 exists */
};

static void hotplug_event(struct acpi_hotplug *h)
{
    irq_set(&h->gpe, 1);
    irq_set(&h->gpe, 0);
}

/* Frees what -device and device_add have put into the slot. */
static void hotplug_eject(struct acpi_hotplug *h, unsigned slot)
{
    struct pci_bus *b = h->dev.m->pci;

    for (int fn = 7; fn >= 0; fn--) {
        struct pci_device *d = b->dev[PCI_DEVFN(slot, fn)];
        if (d && device_removable(&d->dev))
            device_unplugged(&d->dev);
        else if (d)
            GUEST_ERROR("acpi: slot %u holds a %s, which cannot be ejected", slot, d->dev.cls->name);
    }
    h->down &= ~BIT(slot);
}

static u64 hotplug_read(void *opaque, u64 off, unsigned size)
{
    struct acpi_hotplug *h = opaque;
    u32 v = 0;

    if (off == REG_BUS)
        return h->bus;
    if (h->bus)
        return 0;
    if (off == REG_UP) {
        v = h->up;
        h->up = 0; /* told once */
    } else if (off == REG_DOWN) {
        v = h->down;
    } else if (off == REG_REMOVABLE) {
        v = acpi_hotplug_slots(h->dev.m);
    }
    return v;
}

static void hotplug_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct acpi_hotplug *h = opaque;

    if (off == REG_BUS)
        h->bus = val;
    for (unsigned slot = 0; off == REG_EJECT && !h->bus && slot < 32; slot++)
        if (val & BIT(slot))
            hotplug_eject(h, slot);
}

static const struct region_ops hotplug_ops = { hotplug_read, hotplug_write, 4, 4 };

/* -- the bus -------------------------------------------------------------------------------------------------------------- */

static struct acpi_hotplug *hotplug_of(const struct bus *b)
{
    return container_of(b, struct pci_bus, bus)->hotplug;
}

static int hotplug_plugged(struct bus *b, struct device *d, struct err *e)
{
    struct acpi_hotplug *h = hotplug_of(b);
    u8 devfn = ((struct pci_device *)d)->devfn;

    if (!(acpi_hotplug_slots(b->m) & BIT(PCI_SLOT(devfn))))
        return err_set(e, "slot %u holds what has no hot plug", PCI_SLOT(devfn));
    if (PCI_FUNC(devfn)) /* the guest looks when function 0 comes */
        return 0;
    h->up |= BIT(PCI_SLOT(devfn));
    hotplug_event(h);
    return 0;
}

static int hotplug_unplug_request(struct bus *b, struct device *d, struct err *e)
{
    struct acpi_hotplug *h = hotplug_of(b);

    h->down |= BIT(PCI_SLOT(((struct pci_device *)d)->devfn));
    hotplug_event(h);
    return 0;
}

const struct bus_ops acpi_hotplug_bus_ops = { .attach = pci_bus_attach, .plugged = hotplug_plugged, .unplug_request = hotplug_unplug_request };

u32 acpi_hotplug_slots(const struct machine *m)
{
    u32 slots = 0;

    for (unsigned slot = 0; slot < 32; slot++) {
        bool fixed = false;
        for (unsigned fn = 0; fn < 8; fn++) {
            const struct pci_device *d = m->pci->dev[PCI_DEVFN(slot, fn)];
            fixed |= d && !device_removable(&d->dev);
        }
        slots |= fixed ? 0 : BIT(slot);
    }
    return slots;
}

/* -- life ----------------------------------------------------------------------------------------------------------------- */

static int hotplug_realize(struct device *d, struct err *e)
{
    struct acpi_hotplug *h = (struct acpi_hotplug *)d;

    region_init_io(&h->ports, "acpi-pci-hotplug", ACPI_HOTPLUG_PORTS, &hotplug_ops, h, &d->m->lock);
    region_add(&d->m->io_root, ACPI_HOTPLUG_PORT, &h->ports, 0);
    d->m->pci->hotplug = h;
    return 0;
}

static void hotplug_unrealize(struct device *d)
{
    region_del(&((struct acpi_hotplug *)d)->ports);
    d->m->pci->hotplug = NULL;
}

static void hotplug_reset(struct device *d)
{
    struct acpi_hotplug *h = (struct acpi_hotplug *)d;

    h->up = h->bus = 0;
}

void acpi_hotplug_reset(struct device *d)
{
    struct acpi_hotplug *h = (struct acpi_hotplug *)d;

    for (unsigned slot = 0; slot < 32; slot++)
        if (h->down & BIT(slot))
            hotplug_eject(h, slot);
}

static const struct snap_field hotplug_fields[] = {
    SNAP_U(struct acpi_hotplug, up), SNAP_U(struct acpi_hotplug, down), SNAP_U(struct acpi_hotplug, bus), SNAP_DONE
};

const struct dev_class acpi_hotplug_class = {
    .name = "acpi-pci-hotplug",
    .desc = "hot plug of PCI devices by ACPI",
    .state_size = sizeof(struct acpi_hotplug),
    .fields = hotplug_fields,
    .snap_version = 1,
    .realize = hotplug_realize,
    .reset = hotplug_reset,
    .unrealize = hotplug_unrealize,
};

struct device *acpi_hotplug_new(struct machine *m, struct irq_line gpe, struct err *e)
{
    struct device *d = device_alloc(m, "acpi-pci-hotplug", e);

    if (!d)
        return NULL;
    ((struct acpi_hotplug *)d)->gpe = gpe;
    return device_realize(d, e) < 0 ? NULL : d;
}
