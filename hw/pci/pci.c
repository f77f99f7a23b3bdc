/* PCI functions: configuration space, BAR decoding, interrupt pins, room for capabilities. Called by the host bridge
 * (configuration cycles of vCPU threads) and by PCI devices, machine lock held. PCI Local Bus Specification 3.0, sections 6.1, 6.2,
 * 6.7. */
#include "hw/core/machine.h"
#include "hw/pci/pci_priv.h"

/* What QEMU's devices say when they have no subsystem of their own. */
enum { PCI_SUBSYS_DEFAULT_VENDOR = 0x1af4, PCI_SUBSYS_DEFAULT_ID = 0x1100, PCI_CLASS_BRIDGE = 0x0604 };

const struct snap_field pci_snap_fields[] = {
    SNAP_B(struct pci_device, config),
    SNAP_U(struct pci_device, intx),
    SNAP_V(struct pci_device, msix_table),
    SNAP_V(struct pci_device, msix_pba),
    SNAP_DONE
};

static void pci_header_init(struct pci_device *d, const struct pci_id *id)
{
    u8 *c = d->config, *w = d->wmask;

    st16(c + PCI_VENDOR_ID, id->vendor);
    st16(c + PCI_DEVICE_ID, id->device);
    st16(c + PCI_CLASS, id->class_code);
    c[PCI_CLASS_PROG] = id->prog_if;
    c[PCI_REVISION] = id->revision;
    c[PCI_HEADER_TYPE] = d->multifunction ? PCI_HEADER_MULTI : 0;
    c[PCI_INT_PIN] = id->int_pin;
    if (id->class_code != PCI_CLASS_BRIDGE) { /* bridges have other registers there */
        st16(c + PCI_SUBSYS_VENDOR, id->subsys_vendor ? id->subsys_vendor : PCI_SUBSYS_DEFAULT_VENDOR);
        st16(c + PCI_SUBSYS_ID, id->subsys_vendor ? id->subsys_id : PCI_SUBSYS_DEFAULT_ID);
    }
    st16(w + PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER | 0x140 /* parity, SERR# */ | PCI_CMD_INTX_OFF);
    w[PCI_CACHE_LINE] = w[PCI_LATENCY] = w[PCI_INT_LINE] = 0xff;
    st16(d->w1cmask + PCI_STATUS, 0xf900);
}

int pci_attach(struct pci_device *d, const struct pci_id *id, struct err *e)
{
    struct pci_bus *b = pci_bus_of(d);
    int devfn;

    if (!b)
        return err_set(e, "-device %s: this machine has no PCI bus", d->dev.cls->name);
    devfn = pci_slot_choose(b, d, e);
    if (devfn < 0 || pci_multifunction_check(b, d, devfn, e) < 0)
        return -1;
    d->bus = b;
    d->devfn = devfn;
    b->dev[devfn] = d;
    d->config_size = PCI_CONFIG_SIZE;
    d->cap_end = 0x40;
    pci_header_init(d, id);
    pci_dma_attach(d);
    if (pci_rom_init(d, e) < 0) {
        pci_detach(d);
        return -1;
    }
    return 0;
}

void pci_detach(struct pci_device *d)
{
    if (!d->bus)
        return;
    pci_set_intx(d, 0);
    for (unsigned n = 0; n < ARRAY_LEN(d->bar); n++)
        if (d->bar[n].mapped)
            region_del(d->bar[n].region);
    pci_msix_fini(d);
    pci_dma_detach(d);
    d->bus->dev[d->devfn] = NULL;
    d->bus = NULL;
}

/* -- BARs ------------------------------------------------------------------------------------------------------- */

void pci_bar_init(struct pci_device *d, unsigned n, struct region *r, u8 type)
{
    u8 *c = d->config + PCI_BAR0 + 4 * n, *w = d->wmask + PCI_BAR0 + 4 * n;
    u64 mask = ~(r->size - 1);

    assert(n + !!(type & PCI_BAR_MEM64) < PCI_BARS && r->size && !(r->size & (r->size - 1)));
    assert(r->size >= ((type & PCI_BAR_IO) ? 4 : 16));
    d->bar[n].region = r;
    d->bar[n].type = type;
    st32(c, type);
    st32(w, mask & ((type & PCI_BAR_IO) ? 0xfffffffc : 0xfffffff0));
    if (type & PCI_BAR_MEM64)
        st32(w + 4, mask >> 32);
}

u64 pci_bar_addr(const struct pci_device *d, unsigned n)
{
    const u8 *c = d->config + PCI_BAR0 + 4 * n;

    if (n == PCI_ROM_BAR)
        return ld32(d->config + PCI_ROM_ADDRESS) & ~(PCI_ROM_MIN - 1);
    if (d->bar[n].type & PCI_BAR_IO)
        return ld32(c) & 0xfffffffc;
    return (ld32(c) & 0xfffffff0) | ((d->bar[n].type & PCI_BAR_MEM64) ? (u64)ld32(c + 4) << 32 : 0);
}

/* True if the BAR decodes: turned on, and not at an address that sizing or reset leave in it. */
static bool pci_bar_decodes(const struct pci_device *d, unsigned n)
{
    const struct pci_bar *bar = &d->bar[n];
    bool io = bar->type & PCI_BAR_IO;
    u64 addr = pci_bar_addr(d, n), last = addr + bar->region->size - 1;

    if (!(ld16(d->config + PCI_COMMAND) & (io ? PCI_CMD_IO : PCI_CMD_MEMORY)) || addr == 0)
        return false;
    if (n == PCI_ROM_BAR && !(d->config[PCI_ROM_ADDRESS] & PCI_ROM_ENABLE))
        return false;
    if (io)
        return last <= 0xffff;
    if (bar->type & PCI_BAR_MEM64)
        return last > addr && last < 1ull << 52;
    return last < 0xffffffff;
}

static void pci_bars_update(struct pci_device *d)
{
    region_txn_begin();
    for (unsigned n = 0; n < ARRAY_LEN(d->bar); n++) {
        struct pci_bar *bar = &d->bar[n];
        if (!bar->region)
            continue;
        bool on = pci_bar_decodes(d, n);
        u64 addr = pci_bar_addr(d, n);
        if (bar->mapped && (!on || bar->region->addr != addr)) {
            region_del(bar->region);
            bar->mapped = false;
        }
        if (on && !bar->mapped) {
            bool io = bar->type & PCI_BAR_IO;
            region_add(io ? d->bus->io : &d->bus->mem, addr, bar->region, 1);
            bar->mapped = true;
        }
    }
    region_txn_commit();
}

/* -- interrupts ------------------------------------------------------------------------------------------------- */

static void pci_intx_update(struct pci_device *d)
{
    unsigned pin = d->config[PCI_INT_PIN];
    bool off = ld16(d->config + PCI_COMMAND) & PCI_CMD_INTX_OFF;
    u8 out = d->intx && !off;

    d->config[PCI_STATUS] = (d->config[PCI_STATUS] & ~PCI_STS_INTX) | (d->intx ? PCI_STS_INTX : 0);
    if (out == d->intx_out || !pin)
        return;
    d->intx_out = out;
    pci_intx_drive(d, out);
}

void pci_set_intx(struct pci_device *d, int level)
{
    d->intx = !!level;
    pci_intx_update(d);
}

bool pci_is_master(const struct pci_device *d)
{
    return ld16(d->config + PCI_COMMAND) & PCI_CMD_MASTER;
}

/* -- capabilities ------------------------------------------------------------------------------------------------ */

u8 pci_cap_add(struct pci_device *d, u8 id, u8 size)
{
    u8 at = d->cap_end;

    assert(at + size <= PCI_CONFIG_SIZE);
    d->cap_end = ALIGN_UP(at + size, 4);
    d->config[at] = id;
    d->config[at + 1] = d->config[PCI_CAP_POINTER];
    d->config[PCI_CAP_POINTER] = at;
    d->config[PCI_STATUS] |= PCI_STS_CAPS;
    return at;
}

/* -- configuration cycles --------------------------------------------------------------------------------------- */

u32 pci_config_read(struct pci_bus *b, u8 devfn, unsigned reg, unsigned size)
{
    struct pci_device *d = b->dev[devfn];
    u32 v = 0;

    if (!d || reg + size > d->config_size)
        return 0xffffffff >> (32 - 8 * size);
    if (d->ops && d->ops->config_reading)
        d->ops->config_reading(d, reg, size);
    memcpy(&v, d->config + reg, size);
    return v;
}

static void pci_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    pci_msix_config_changed(d, reg, len);
    if (d->ops && d->ops->config_changed)
        d->ops->config_changed(d, reg, len);
}

void pci_config_write(struct pci_bus *b, u8 devfn, unsigned reg, u32 val, unsigned size)
{
    struct pci_device *d = b->dev[devfn];

    if (!d || reg + size > d->config_size)
        return;
    for (unsigned i = 0; i < size; i++) {
        u8 v = val >> (8 * i), w = d->wmask[reg + i];
        u8 c = (d->config[reg + i] & ~w) | (v & w);
        d->config[reg + i] = c & ~(v & d->w1cmask[reg + i]);
    }
    if (pci_overlaps(reg, size, PCI_COMMAND, 2) || pci_overlaps(reg, size, PCI_BAR0, 4 * PCI_BARS) ||
        pci_overlaps(reg, size, PCI_ROM_ADDRESS, 4))
        pci_bars_update(d);
    if (pci_overlaps(reg, size, PCI_COMMAND, 2))
        pci_intx_update(d);
    pci_config_changed(d, reg, size);
}

static void pci_config_replaced(struct pci_device *d)
{
    pci_intx_update(d);
    pci_bars_update(d);
    pci_config_changed(d, 0, d->config_size);
}

void pci_reset(struct pci_device *d)
{
    d->intx = 0;
    if (!d->init_valid) {
        memcpy(d->init, d->config, sizeof(d->init));
        d->init_valid = true;
    }
    memcpy(d->config, d->init, sizeof(d->config));
    pci_msix_reset(d);
    pci_config_replaced(d);
}

void pci_post_load(struct pci_device *d)
{
    pci_config_replaced(d);
}
