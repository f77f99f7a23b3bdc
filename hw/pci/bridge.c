/* PCI-to-PCI bridges: the type 1 header, the windows through which the secondary bus is seen, secondary bus reset; and two plain ones,
 * pci-bridge and pcie-pci-bridge. Configuration writes of vCPU threads, machine lock held.
 * PCI-to-PCI Bridge Architecture Specification 1.2, chapters 3 and 4. */
#include "hw/pci/bridge.h"
#include "hw/core/machine.h"

enum { HEADER_TYPE_BRIDGE = 1, CTL_WRITABLE = 0x0fff, CTL_RESET = 0x40, PREF_64BIT = 1 };

/* -- windows -------------------------------------------------------------------------------------------------------- */

/* Shows [first, last] of what is below in the bus above, or nothing if that is empty or turned off. */
static void window_set(struct region *w, const char *name, struct region *below, struct region *above, u64 first, u64 last, bool on)
{
    bool want = on && first <= last;

    if (w->parent && want && w->addr == first && w->size == last - first + 1)
        return;
    if (w->parent)
        region_del(w);
    if (!want)
        return;
    region_init_alias(w, name, below, first, last - first + 1);
    region_add(above, first, w, 1);
}

static void windows_update(struct pci_bridge *b)
{
    const u8 *c = b->pci.config;
    u16 cmd = ld16(c + PCI_COMMAND);
    u64 pref = (ld16(c + PCI_PREF_BASE) & 0xfff0ull) << 16 | (u64)ld32(c + PCI_PREF_BASE_UPPER) << 32;
    u64 pref_last = (ld16(c + PCI_PREF_LIMIT) & 0xfff0ull) << 16 | 0xfffff | (u64)ld32(c + PCI_PREF_LIMIT_UPPER) << 32;
    bool mem = cmd & PCI_CMD_MEMORY, pref_fits = pref_last < 1ull << 52;

    region_txn_begin();
    window_set(&b->io_window, "pci-io-window", &b->sec.io_space, b->pci.bus->io, (c[PCI_IO_BASE] & 0xf0) << 8,
               (c[PCI_IO_LIMIT] & 0xf0) << 8 | 0xfff, cmd & PCI_CMD_IO);
    window_set(&b->mem_window, "pci-window", &b->sec.mem, &b->pci.bus->mem, (ld16(c + PCI_MEMORY_BASE) & 0xfff0ull) << 16,
               (ld16(c + PCI_MEMORY_LIMIT) & 0xfff0ull) << 16 | 0xfffff, mem);
    window_set(&b->pref_window, "pci-pref-window", &b->sec.mem, &b->pci.bus->mem, pref, pref_last, mem && pref_fits);
    region_txn_commit();
}

static void bus_reset(struct pci_bus *b)
{
    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++) {
        struct pci_device *d = b->dev[devfn];
        if (d && d->dev.cls->reset)
            d->dev.cls->reset(&d->dev);
        if (d && d->secondary)
            bus_reset(d->secondary);
    }
}

void pci_bridge_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct pci_bridge *b = container_of(d, struct pci_bridge, pci);
    u8 rising = d->config[PCI_BRIDGE_CONTROL] & ~b->control;

    b->control = d->config[PCI_BRIDGE_CONTROL];
    windows_update(b);
    if (reg <= PCI_BRIDGE_CONTROL && reg + len > PCI_BRIDGE_CONTROL && len <= 4 && (rising & CTL_RESET))
        bus_reset(&b->sec);
}

/* -- life ----------------------------------------------------------------------------------------------------------- */

int pci_bridge_attach(struct pci_bridge *b, const struct pci_id *id, bool express, const struct bus_ops *ops, struct err *e)
{
    u8 *c = b->pci.config, *w = b->pci.wmask;

    if (pci_attach(&b->pci, id, e) < 0)
        return -1;
    pci_bus_init(&b->sec, b->pci.dev.m, NULL, &b->pci, ops);
    b->sec.express = express;
    b->sec.slots = express ? 1 : 32;
    b->pci.secondary = &b->sec;
    c[PCI_HEADER_TYPE] |= HEADER_TYPE_BRIDGE;
    memset(w + PCI_PRIMARY_BUS, 0xff, 4); /* bus numbers, latency */
    w[PCI_IO_BASE] = w[PCI_IO_LIMIT] = 0xf0;
    st16(b->pci.w1cmask + PCI_SECONDARY_STATUS, 0xf900);
    st32(w + PCI_MEMORY_BASE, 0xfff0fff0);
    st32(w + PCI_PREF_BASE, 0xfff0fff0);
    st32(c + PCI_PREF_BASE, PREF_64BIT | PREF_64BIT << 16);
    st64(w + PCI_PREF_BASE_UPPER, ~0ull);
    st16(w + PCI_BRIDGE_CONTROL, CTL_WRITABLE);
    return 0;
}

void pci_bridge_detach(struct pci_bridge *b)
{
    struct region *const windows[] = { &b->io_window, &b->mem_window, &b->pref_window };

    if (!b->pci.bus)
        return;
    bus_free_devices(&b->sec.bus);
    for (unsigned i = 0; i < ARRAY_LEN(windows); i++)
        if (windows[i]->parent)
            region_del(windows[i]);
    pci_bus_fini(&b->sec);
    b->pci.secondary = NULL;
    pci_detach(&b->pci);
}

static const struct pci_ops bridge_ops = { .config_changed = pci_bridge_config_changed };

/* -- pci-bridge, pcie-pci-bridge ------------------------------------------------------------------------------------ */

struct plain_bridge {
    struct pci_bridge bridge;
    u8 chassis_nr;
    bool msi, shpc;
};

static int pci_bridge_realize(struct device *d, struct err *e)
{
    struct plain_bridge *p = (struct plain_bridge *)d;
    static const struct pci_id id = { 0x1b36, 0x0001, 0x0604, 0, 0, 1, 0, 0 };

    if (!p->chassis_nr)
        return err_set(e, "pci-bridge: chassis_nr= is missing: a number above 0 that no other bridge has");
    if (p->shpc)
        return err_set(e, "pci-bridge: shpc=on: there is no standard hot-plug controller");
    if (pci_bridge_attach(&p->bridge, &id, false, NULL, e) < 0)
        return -1;
    p->bridge.pci.ops = &bridge_ops;
    p->bridge.sec.first_slot = 1; /* as slot 0 is the hot-plug controller's */
    if (p->msi)
        pci_msi_init(&p->bridge.pci, 0);
    return 0;
}

static int pcie_pci_bridge_realize(struct device *d, struct err *e)
{
    struct plain_bridge *p = (struct plain_bridge *)d;
    static const struct pci_id id = { 0x1b36, 0x000e, 0x0604, 0, 0, 1, 0, 0 };
    struct pci_bus *bus = pci_bus_of(&p->bridge.pci);

    if (!bus || !bus->express)
        return err_set(e, "pcie-pci-bridge: needs a PCI Express bus; bus=%s is none", bus ? bus->bus.name : "");
    if (pci_bridge_attach(&p->bridge, &id, false, NULL, e) < 0)
        return -1;
    p->bridge.pci.ops = &bridge_ops;
    p->bridge.sec.first_slot = 1;
    pci_express_init(&p->bridge.pci, PCI_EXP_TO_PCI_BRIDGE);
    if (p->msi)
        pci_msi_init(&p->bridge.pci, 0);
    return 0;
}

static void plain_bridge_unrealize(struct device *d)
{
    pci_bridge_detach(&((struct plain_bridge *)d)->bridge);
}

static void plain_bridge_reset(struct device *d)
{
    pci_reset(&((struct plain_bridge *)d)->bridge.pci);
}

static void plain_bridge_post_load(struct device *d)
{
    struct plain_bridge *p = (struct plain_bridge *)d;

    pci_post_load(&p->bridge.pci);
}

static const struct prop pci_bridge_props[] = {
    PCI_BRIDGE_PROPS,
    { "chassis_nr", PROP_U8, offsetof(struct plain_bridge, chassis_nr), 0, NULL, "number of the chassis, 1 to 255" },
    { "msi", PROP_BOOL, offsetof(struct plain_bridge, msi), 1, NULL, "message signalled interrupts" },
    { "shpc", PROP_BOOL, offsetof(struct plain_bridge, shpc), 0, NULL, "standard hot-plug controller: only off" },
    PROP_DONE,
};
static const struct prop pcie_pci_bridge_props[] = {
    PCI_BRIDGE_PROPS,
    { "msi", PROP_BOOL, offsetof(struct plain_bridge, msi), 1, NULL, "message signalled interrupts" },
    PROP_DONE,
};
static const struct snap_field plain_bridge_fields[] = { PCI_SNAP, SNAP_U(struct pci_bridge, control), SNAP_DONE };

const struct dev_class pci_bridge_class = {
    .name = "pci-bridge",
    .desc = "PCI-to-PCI bridge",
    .bus_type = "PCI",
    .user_creatable = true,
    .state_size = sizeof(struct plain_bridge),
    .props = pci_bridge_props,
    .fields = plain_bridge_fields,
    .snap_version = 1,
    .realize = pci_bridge_realize,
    .reset = plain_bridge_reset,
    .unrealize = plain_bridge_unrealize,
    .post_load = plain_bridge_post_load,
};

const struct dev_class pcie_pci_bridge_class = {
    .name = "pcie-pci-bridge",
    .desc = "PCI Express to PCI bridge",
    .bus_type = "PCI",
    .user_creatable = true,
    .state_size = sizeof(struct plain_bridge),
    .props = pcie_pci_bridge_props,
    .fields = plain_bridge_fields,
    .snap_version = 1,
    .realize = pcie_pci_bridge_realize,
    .reset = plain_bridge_reset,
    .unrealize = plain_bridge_unrealize,
    .post_load = plain_bridge_post_load,
};
