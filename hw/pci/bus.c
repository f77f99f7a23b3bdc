/* PCI buses: root and secondary, addresses on them, configuration cycles to bus numbers, what interrupt pins are wired to. Machine
 * lock; called by host bridges, bridges and hw/pci/pci.c. PCI-to-PCI Bridge Architecture Specification 1.2, chapters 3 and 9. */
#include <glib.h>
#include <stdlib.h>
#include "hw/core/machine.h"
#include "hw/pci/pci_priv.h"
#include "mmu/ram.h"

enum { PCI_BUS_SLOTS = 32, PCI_FIRST_FREE_SLOT = 3 }; /* 0 host, 1 south bridge, 2 kept for the display */

/* -- life ---------------------------------------------------------------------------------------------------------- */

int pci_bus_attach(struct bus *b, struct device *d, struct err *e)
{
    struct pci_bus *bus = container_of(b, struct pci_bus, bus);
    unsigned depth = 0;

    for (const struct pci_device *up = bus->bridge; up; up = up->bus->bridge)
        depth++;
    return depth > PCI_MAX_DEPTH ? err_set(e, "bus=%s: behind more than %u bridges", b->name, PCI_MAX_DEPTH) : 0;
}

static const struct bus_ops pci_plain_ops = { .attach = pci_bus_attach };

void pci_bus_init(struct pci_bus *b, struct machine *m, const char *name, struct pci_device *bridge, const struct bus_ops *ops)
{
    bus_init(&b->bus, m, "PCI", name ? name : bridge ? bridge->dev.id : NULL, bridge ? &bridge->dev : NULL,
             ops ? ops : &pci_plain_ops, 0);
    b->m = m;
    b->bridge = bridge;
    b->slots = PCI_BUS_SLOTS;
    region_init_container(&b->mem, "pci", 1ull << 52);
    b->io = &m->io_root;
    if (bridge) {
        region_init_container(&b->io_space, "pci-io", 64 * KiB);
        b->io = &b->io_space;
    }
}

void pci_bus_fini(struct pci_bus *b)
{
    bus_fini(&b->bus);
}

struct pci_bus *pci_root_new(struct machine *m, bool express, const struct bus_ops *ops)
{
    struct pci_bus *b = g_new0(struct pci_bus, 1);

    pci_bus_init(b, m, express ? "pcie.0" : "pci.0", NULL, ops);
    b->express = express;
    b->first_slot = PCI_FIRST_FREE_SLOT;
    b->ram = g_ptr_array_new_with_free_func((GDestroyNotify)ram_free);
    region_add(&m->mem_root, 0, &b->mem, -1);
    return b;
}

struct pci_bus *pci_bus_new(struct machine *m)
{
    return pci_root_new(m, false, NULL);
}

void pci_bus_free(struct pci_bus *b)
{
    region_del(&b->mem);
    pci_bus_fini(b);
    g_ptr_array_unref(b->ram);
    g_free(b);
}

void pci_root_keep_ram(struct pci_bus *root, struct ram_block *ram)
{
    g_ptr_array_add(root->ram, ram);
}

struct pci_bus *pci_bus_of(const struct pci_device *d)
{
    if (d->bus)
        return d->bus;
    return d->dev.bus ? container_of(d->dev.bus, struct pci_bus, bus) : d->dev.m->pci;
}

struct pci_bus *pci_bus_root(struct pci_bus *b)
{
    while (b->bridge)
        b = b->bridge->bus;
    return b;
}

/* -- addresses ----------------------------------------------------------------------------------------------------- */

/* "3", "03.1": hexadecimal slot and function. Returns devfn or -1. */
static int pci_addr_parse(const char *s)
{
    char *end;
    unsigned long slot = strtoul(s, &end, 16), fn = 0;

    if (end == s || slot >= PCI_BUS_SLOTS)
        return -1;
    if (*end == '.') {
        const char *p = end + 1;
        fn = strtoul(p, &end, 16);
        if (end == p || fn > 7)
            return -1;
    }
    return *end ? -1 : (int)PCI_DEVFN(slot, fn);
}

static int pci_addr_check(const struct pci_bus *b, const struct pci_device *d, int devfn, struct err *e)
{
    const char *cls = d->dev.cls->name;

    if (devfn < 0)
        return err_set(e, "-device %s: addr=%s is not SLOT or SLOT.FUNCTION (hexadecimal, 0..1f and 0..7)", cls, d->addr);
    if (PCI_SLOT(devfn) >= b->slots)
        return err_set(e, "-device %s: addr=%s: the bus %s has only slot 0", cls, d->addr, b->bus.name);
    if (b->dev[devfn])
        return err_set(e, "-device %s: PCI address %02x.%x is taken by %s", cls, PCI_SLOT(devfn), PCI_FUNC(devfn),
                       b->dev[devfn]->dev.cls->name);
    return 0;
}

int pci_slot_choose(struct pci_bus *b, struct pci_device *d, struct err *e)
{
    if (d->addr) {
        int devfn = pci_addr_parse(d->addr);
        return pci_addr_check(b, d, devfn, e) < 0 ? -1 : devfn;
    }
    for (int slot = b->first_slot; slot < b->slots; slot++)
        if (!b->dev[PCI_DEVFN(slot, 0)])
            return PCI_DEVFN(slot, 0);
    return err_set(e, "-device %s: no slot of the bus %s is free", d->dev.cls->name, b->bus.name);
}

/* Functions 1..7 of a slot need a function 0 that says that there are more; and one that does not must be alone. */
int pci_multifunction_check(const struct pci_bus *b, const struct pci_device *d, int devfn, struct err *e)
{
    unsigned slot = PCI_SLOT(devfn);
    const struct pci_device *first = b->dev[PCI_DEVFN(slot, 0)];

    if (PCI_FUNC(devfn) && first && !first->multifunction)
        return err_set(e, "-device %s: %02x.0 (%s) is the only function of its slot; give it multifunction=on", d->dev.cls->name, slot,
                       first->dev.cls->name);
    for (unsigned fn = 1; !PCI_FUNC(devfn) && !d->multifunction && fn < 8; fn++)
        if (b->dev[PCI_DEVFN(slot, fn)])
            return err_set(e, "-device %s: there is a function %02x.%x already; give this one multifunction=on", d->dev.cls->name, slot,
                           fn);
    return 0;
}

/* -- configuration cycles ------------------------------------------------------------------------------------------ */

static struct pci_bus *pci_bus_below(struct pci_bus *b, u8 number)
{
    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++) {
        const struct pci_device *d = b->dev[devfn];
        if (d && d->secondary && d->config[PCI_SECONDARY_BUS] <= number && number <= d->config[PCI_SUBORDINATE_BUS] &&
            d->config[PCI_SECONDARY_BUS])
            return d->secondary;
    }
    return NULL;
}

struct pci_bus *pci_bus_number(struct pci_bus *root, u8 number)
{
    struct pci_bus *b = root;

    if (number == 0)
        return root;
    do {
        b = pci_bus_below(b, number);
    } while (b && b->bridge->config[PCI_SECONDARY_BUS] != number);
    return b;
}

/* -- interrupt pins ------------------------------------------------------------------------------------------------ */

/* Each bridge on the way turns pins by the slot number. */
int pci_pirq_of(const struct pci_device *d)
{
    int pin = d->config[PCI_INT_PIN];
    const struct pci_bus *b = d->bus;

    for (; b->bridge; d = b->bridge, b = d->bus)
        pin = (PCI_SLOT(d->devfn) + pin - 1) % 4 + 1;
    return b->map_pirq ? b->map_pirq(b->pirq_opaque, d->devfn, pin) : pci_swizzle(PCI_SLOT(d->devfn), pin);
}

static void pci_pirq_drive(struct pci_bus *root, int pirq)
{
    if (root->set_pirq)
        root->set_pirq(root->pirq_opaque, pirq, root->pirq_users[pirq] != 0);
}

void pci_intx_drive(struct pci_device *d, bool level)
{
    struct pci_bus *root = pci_bus_root(d->bus);
    int pirq = pci_pirq_of(d);

    root->pirq_users[pirq] += level ? 1 : -1;
    pci_pirq_drive(root, pirq);
}

static void pci_count_pirqs(struct pci_bus *root, const struct pci_bus *b)
{
    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++) {
        const struct pci_device *d = b->dev[devfn];
        if (d && d->intx_out)
            root->pirq_users[pci_pirq_of(d)]++;
        if (d && d->secondary)
            pci_count_pirqs(root, d->secondary);
    }
}

void pci_remap_pirqs(struct pci_bus *root)
{
    memset(root->pirq_users, 0, sizeof(root->pirq_users));
    pci_count_pirqs(root, root);
    for (unsigned pirq = 0; pirq < ARRAY_LEN(root->pirq_users); pirq++)
        pci_pirq_drive(root, pirq);
}
