/* Conventional PCI functions: configuration space, BAR decoding, interrupt pins, capabilities, and a firmware-like
 * resource assignment for direct kernel boot. Called by the host bridge (configuration cycles of vCPU threads) and by PCI
 * devices, machine lock held. PCI Local Bus Specification 3.0, sections 6.1, 6.2, 6.7, 6.8. */
#include <glib.h>
#include <stdlib.h>
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/log.h"

enum { PCI_BUS_SLOTS = 32, PCI_FIRST_FREE_SLOT = 3 }; /* 0 host, 1 south bridge, 2 kept for the display */
enum { MSI_CTL = 2, MSI_ADDR = 4, MSI_DATA = 12, MSI_SIZE = 14, MSI_CTL_ENABLE = 1, MSI_CTL_64BIT = 0x80 };

const struct snap_field pci_snap_fields[] = {
    SNAP_B(struct pci_device, config),
    SNAP_U(struct pci_device, intx),
    SNAP_DONE
};

struct pci_bus *pci_bus_new(struct machine *m)
{
    struct pci_bus *b = g_new0(struct pci_bus, 1);

    b->m = m;
    region_init_container(&b->mem, "pci", 1ull << 52);
    region_add(&m->mem_root, 0, &b->mem, -1);
    return b;
}

void pci_bus_free(struct pci_bus *b)
{
    region_del(&b->mem);
    g_free(b);
}

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

static int pci_slot_choose(struct pci_bus *b, struct pci_device *d, struct err *e)
{
    const char *cls = d->dev.cls->name;
    int devfn;

    if (d->addr) {
        devfn = pci_addr_parse(d->addr);
        if (devfn < 0)
            return err_set(e, "-device %s: addr=%s is not SLOT or SLOT.FUNCTION (hexadecimal, 0..1f and 0..7)", cls,
                           d->addr);
        if (b->dev[devfn])
            return err_set(e, "-device %s: PCI address %02x.%x is taken by %s", cls, PCI_SLOT(devfn), PCI_FUNC(devfn),
                           b->dev[devfn]->dev.cls->name);
        return devfn;
    }
    for (int slot = PCI_FIRST_FREE_SLOT; slot < PCI_BUS_SLOTS; slot++)
        if (!b->dev[PCI_DEVFN(slot, 0)])
            return PCI_DEVFN(slot, 0);
    return err_set(e, "-device %s: no PCI slot is free", cls);
}

/* Function 0 of a slot with several functions says so in its header type. */
static void pci_multifunction_mark(struct pci_bus *b, unsigned slot)
{
    struct pci_device *first = b->dev[PCI_DEVFN(slot, 0)];

    for (unsigned fn = 1; first && fn < 8; fn++) {
        if (b->dev[PCI_DEVFN(slot, fn)]) {
            first->config[PCI_HEADER_TYPE] |= 0x80;
            first->init[PCI_HEADER_TYPE] |= 0x80;
        }
    }
}

int pci_attach(struct pci_device *d, const struct pci_id *id, struct err *e)
{
    struct pci_bus *b = d->dev.m->pci;
    int devfn;

    if (!b)
        return err_set(e, "-device %s: this machine has no PCI bus", d->dev.cls->name);
    devfn = pci_slot_choose(b, d, e);
    if (devfn < 0)
        return -1;
    d->bus = b;
    d->devfn = devfn;
    b->dev[devfn] = d;

    u8 *c = d->config, *w = d->wmask;
    st16(c + PCI_VENDOR_ID, id->vendor);
    st16(c + PCI_DEVICE_ID, id->device);
    st16(c + PCI_CLASS, id->class_code);
    c[PCI_CLASS_PROG] = id->prog_if;
    c[PCI_REVISION] = id->revision;
    c[PCI_INT_PIN] = id->int_pin;
    st16(c + PCI_SUBSYS_VENDOR, id->subsys_vendor);
    st16(c + PCI_SUBSYS_ID, id->subsys_id);
    pci_multifunction_mark(b, PCI_SLOT(devfn));
    st16(w + PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER | 0x140 /* parity, SERR# */ | PCI_CMD_INTX_OFF);
    w[PCI_CACHE_LINE] = w[PCI_LATENCY] = w[PCI_INT_LINE] = 0xff;
    st16(d->w1cmask + PCI_STATUS, 0xf900);
    d->cap_end = 0x40;
    return 0;
}

void pci_detach(struct pci_device *d)
{
    if (!d->bus)
        return;
    pci_set_intx(d, 0);
    for (unsigned n = 0; n < PCI_BARS; n++)
        if (d->bar[n].mapped)
            region_del(d->bar[n].region);
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
    if (io)
        return last <= 0xffff;
    if (bar->type & PCI_BAR_MEM64)
        return last > addr && last < 1ull << 52;
    return last < 0xffffffff;
}

static void pci_bars_update(struct pci_device *d)
{
    region_txn_begin();
    for (unsigned n = 0; n < PCI_BARS; n++) {
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
            region_add(io ? &d->dev.m->io_root : &d->bus->mem, addr, bar->region, 1);
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
    struct pci_bus *b = d->bus;

    d->config[PCI_STATUS] = (d->config[PCI_STATUS] & ~PCI_STS_INTX) | (d->intx ? PCI_STS_INTX : 0);
    if (out == d->intx_out || !pin)
        return;
    d->intx_out = out;
    int pirq = pci_swizzle(PCI_SLOT(d->devfn), pin);
    b->pirq_users[pirq] += out ? 1 : -1;
    if (b->set_pirq)
        b->set_pirq(b->pirq_opaque, pirq, b->pirq_users[pirq] != 0);
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

void pci_msi_init(struct pci_device *d, unsigned log2_vectors)
{
    assert(log2_vectors <= 5);
    u8 at = pci_cap_add(d, PCI_CAP_MSI, MSI_SIZE);

    d->msi_cap = at;
    st16(d->config + at + MSI_CTL, MSI_CTL_64BIT | log2_vectors << 1);
    st16(d->wmask + at + MSI_CTL, MSI_CTL_ENABLE | 7 << 4);
    st64(d->wmask + at + MSI_ADDR, ~3ull);
    st16(d->wmask + at + MSI_DATA, 0xffff);
}

bool pci_msi_enabled(const struct pci_device *d)
{
    return d->msi_cap && (d->config[d->msi_cap + MSI_CTL] & MSI_CTL_ENABLE);
}

void pci_msi_send(struct pci_device *d, unsigned vector)
{
    const u8 *c = d->config + d->msi_cap;
    struct machine *m = d->dev.m;
    unsigned ctl = ld16(c + MSI_CTL), offered = (ctl >> 1) & 7, granted = (ctl >> 4) & 7;
    unsigned n = 1u << MIN_OF(offered, granted);
    u32 data = ld16(c + MSI_DATA);

    if (!pci_msi_enabled(d) || !pci_is_master(d) || !m->msi.send)
        return;
    /* The device owns the low bits of the data; with fewer messages granted than asked for, they are shared. */
    m->msi.send(m->msi.opaque, ld64(c + MSI_ADDR), (data & ~(n - 1)) | (vector & (n - 1)));
}

/* -- configuration cycles --------------------------------------------------------------------------------------- */

static bool pci_overlaps(unsigned reg, unsigned len, unsigned at, unsigned size)
{
    return reg < at + size && at < reg + len;
}

u32 pci_config_read(struct pci_bus *b, u8 devfn, unsigned reg, unsigned size)
{
    const struct pci_device *d = b->dev[devfn];
    u32 v = 0;

    if (!d || reg + size > PCI_CONFIG_SIZE)
        return 0xffffffff >> (32 - 8 * size);
    memcpy(&v, d->config + reg, size);
    return v;
}

void pci_config_write(struct pci_bus *b, u8 devfn, unsigned reg, u32 val, unsigned size)
{
    struct pci_device *d = b->dev[devfn];

    if (!d || reg + size > PCI_CONFIG_SIZE)
        return;
    for (unsigned i = 0; i < size; i++) {
        u8 v = val >> (8 * i), w = d->wmask[reg + i];
        u8 c = (d->config[reg + i] & ~w) | (v & w);
        d->config[reg + i] = c & ~(v & d->w1cmask[reg + i]);
    }
    if (pci_overlaps(reg, size, PCI_COMMAND, 2) || pci_overlaps(reg, size, PCI_BAR0, 4 * PCI_BARS))
        pci_bars_update(d);
    if (pci_overlaps(reg, size, PCI_COMMAND, 2))
        pci_intx_update(d);
    if (d->ops && d->ops->config_changed)
        d->ops->config_changed(d, reg, size);
}

void pci_reset(struct pci_device *d)
{
    d->intx = 0;
    if (!d->init_valid) {
        memcpy(d->init, d->config, sizeof(d->init));
        d->init_valid = true;
    }
    memcpy(d->config, d->init, sizeof(d->config));
    pci_intx_update(d);
    pci_bars_update(d);
    if (d->ops && d->ops->config_changed)
        d->ops->config_changed(d, 0, PCI_CONFIG_SIZE);
}

void pci_post_load(struct pci_device *d)
{
    pci_intx_update(d);
    pci_bars_update(d);
    if (d->ops && d->ops->config_changed)
        d->ops->config_changed(d, 0, PCI_CONFIG_SIZE);
}

/* -- assignment and printing ------------------------------------------------------------------------------------ */

static void pci_bar_set(struct pci_device *d, unsigned n, u64 addr)
{
    pci_config_write(d->bus, d->devfn, PCI_BAR0 + 4 * n, addr, 4);
    if (d->bar[n].type & PCI_BAR_MEM64)
        pci_config_write(d->bus, d->devfn, PCI_BAR0 + 4 * n + 4, addr >> 32, 4);
}

/* Gives out [*next, end) in naturally aligned pieces; 0 if it is used up. */
static u64 pci_window_take(u64 *next, u64 end, u64 size)
{
    u64 at = ALIGN_UP(*next, size);

    if (at + size > end)
        return 0;
    *next = at + size;
    return at;
}

void pci_bus_assign(struct pci_bus *b, u32 io_base, u32 mem_base, u32 mem_end, const u8 pirq_irq[4])
{
    u64 io = io_base, mem = mem_base;

    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++) {
        struct pci_device *d = b->dev[devfn];
        u16 cmd = 0;
        if (!d)
            continue;
        for (unsigned n = 0; n < PCI_BARS; n++) {
            if (!d->bar[n].region)
                continue;
            bool is_io = d->bar[n].type & PCI_BAR_IO;
            u64 size = d->bar[n].region->size;
            u64 at = is_io ? pci_window_take(&io, 0x10000, size) : pci_window_take(&mem, mem_end, MAX_OF(size, PAGE_SIZE));
            if (!at) {
                warn_report("PCI device %s: no room for BAR %u", d->dev.cls->name, n);
                continue;
            }
            pci_bar_set(d, n, at);
            cmd |= is_io ? PCI_CMD_IO : PCI_CMD_MEMORY;
        }
        if (d->config[PCI_INT_PIN])
            pci_config_write(b, devfn, PCI_INT_LINE,
                             pirq_irq[pci_swizzle(PCI_SLOT(devfn), d->config[PCI_INT_PIN])], 1);
        pci_config_write(b, devfn, PCI_COMMAND, ld16(d->config + PCI_COMMAND) | cmd, 2);
    }
}

void pci_bus_print(const struct pci_bus *b, struct _GString *out)
{
    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++) {
        const struct pci_device *d = b->dev[devfn];
        if (!d)
            continue;
        g_string_append_printf(out, "  Bus  0, device %3u, function %u:\n    %s (%s): PCI device %04x:%04x class %04x\n",
                               PCI_SLOT(devfn), PCI_FUNC(devfn), d->dev.cls->name, d->dev.id ? d->dev.id : "",
                               ld16(d->config), ld16(d->config + PCI_DEVICE_ID), ld16(d->config + PCI_CLASS));
        if (d->config[PCI_INT_PIN])
            g_string_append_printf(out, "      IRQ %u, pin %c\n", d->config[PCI_INT_LINE],
                                   '@' + d->config[PCI_INT_PIN]);
        for (unsigned n = 0; n < PCI_BARS; n++)
            if (d->bar[n].region)
                g_string_append_printf(out, "      BAR%u: %s at 0x%llx, %llu bytes%s\n", n,
                                       (d->bar[n].type & PCI_BAR_IO) ? "I/O" : "memory",
                                       (unsigned long long)pci_bar_addr(d, n),
                                       (unsigned long long)d->bar[n].region->size,
                                       d->bar[n].mapped ? "" : " (not decoded)");
    }
}
