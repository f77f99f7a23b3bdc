/* What firmware would do to a PCI bus, for direct kernel boot: numbers buses, gives every BAR and bridge an address in the machine's
 * windows, turns decoding on, fills in interrupt lines; and `info pci`. Main thread, machine lock held. */
#include <glib.h>
#include "hw/pci/bridge.h"
#include "hw/pci/pci_priv.h"
#include "util/err.h"

#define BRIDGE_IO_UNIT (4 * KiB)
#define BRIDGE_MEM_UNIT (1 * MiB)
#define HOTPLUG_MEM (2 * MiB) /* kept free behind a bridge with hot plug */

struct assign {
    struct pci_windows w; /* what is left */
    const u8 *pirq_irq;
    u8 last_bus;
};

static void config_set(struct pci_device *d, unsigned reg, u32 val, unsigned size)
{
    pci_config_write(d->bus, d->devfn, reg, val, size);
}

static void pci_bar_set(struct pci_device *d, unsigned n, u64 addr)
{
    config_set(d, PCI_BAR0 + 4 * n, addr, 4);
    if (d->bar[n].type & PCI_BAR_MEM64)
        config_set(d, PCI_BAR0 + 4 * n + 4, addr >> 32, 4);
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

static u64 bar_place(struct assign *a, const struct pci_bar *bar)
{
    u64 size = bar->region->size, at;

    if (bar->type & PCI_BAR_IO)
        return pci_window_take(&a->w.io, a->w.io_end, size);
    size = MAX_OF(size, PAGE_SIZE);
    at = pci_window_take(&a->w.mem, a->w.mem_end, size);
    if (!at && (bar->type & PCI_BAR_MEM64) && (bar->type & PCI_BAR_PREFETCH))
        at = pci_window_take(&a->w.mem64, a->w.mem64_end, size);
    return at;
}

static void function_assign(struct assign *a, struct pci_device *d)
{
    u16 cmd = d->secondary ? PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER : 0;

    for (unsigned n = 0; n < PCI_BARS; n++) {
        const struct pci_bar *bar = &d->bar[n];
        u64 at = bar->region ? bar_place(a, bar) : 0;
        if (bar->region && !at)
            warn_report("PCI device %s: no room for BAR %u", d->dev.cls->name, n);
        if (at) {
            pci_bar_set(d, n, at);
            cmd |= (bar->type & PCI_BAR_IO) ? PCI_CMD_IO : PCI_CMD_MEMORY;
        }
    }
    if (d->config[PCI_INT_PIN])
        config_set(d, PCI_INT_LINE, a->pirq_irq[pci_pirq_of(d)], 1);
    config_set(d, PCI_COMMAND, ld16(d->config + PCI_COMMAND) | cmd, 2);
}

/* Moves a window's next free address to a bridge's granularity; a window without room stays used up. */
static u64 window_round(u64 *next, u64 end, u64 unit)
{
    *next = MIN_OF(ALIGN_UP(*next, unit), end);
    return *next;
}

static void bus_assign(struct assign *a, struct pci_bus *b);

static void bridge_assign(struct assign *a, struct pci_device *d)
{
    struct pci_windows *w = &a->w;
    u64 io = window_round(&w->io, w->io_end, BRIDGE_IO_UNIT), mem = window_round(&w->mem, w->mem_end, BRIDGE_MEM_UNIT);
    u64 pref = window_round(&w->mem64, w->mem64_end, BRIDGE_MEM_UNIT), end;

    config_set(d, PCI_PRIMARY_BUS, d->bus->bridge ? d->bus->bridge->config[PCI_SECONDARY_BUS] : 0, 1);
    config_set(d, PCI_SECONDARY_BUS, ++a->last_bus, 1);
    config_set(d, PCI_SUBORDINATE_BUS, 0xff, 1);
    bus_assign(a, d->secondary);
    config_set(d, PCI_SUBORDINATE_BUS, a->last_bus, 1);
    if (d->secondary->bus.ops->plugged) {
        w->mem = MAX_OF(w->mem, MIN_OF(mem + HOTPLUG_MEM, w->mem_end));
        w->io = MAX_OF(w->io, MIN_OF(io + BRIDGE_IO_UNIT, w->io_end));
    }
    end = window_round(&w->io, w->io_end, BRIDGE_IO_UNIT); /* base above limit: closed */
    config_set(d, PCI_IO_BASE, end > io ? io >> 8 : 0xf0, 1);
    config_set(d, PCI_IO_LIMIT, end > io ? (end - 1) >> 8 : 0, 1);
    end = window_round(&w->mem, w->mem_end, BRIDGE_MEM_UNIT);
    config_set(d, PCI_MEMORY_BASE, end > mem ? mem >> 16 | (end - 1) >> 16 << 16 : 0xfff0, 4);
    end = window_round(&w->mem64, w->mem64_end, BRIDGE_MEM_UNIT);
    config_set(d, PCI_PREF_BASE, end > pref ? (pref >> 16 & 0xffff) | (end - 1) >> 16 << 16 : 0xfff0, 4);
    config_set(d, PCI_PREF_BASE_UPPER, end > pref ? pref >> 32 : 0, 4);
    config_set(d, PCI_PREF_LIMIT_UPPER, end > pref ? (end - 1) >> 32 : 0, 4);
}

static void bus_assign(struct assign *a, struct pci_bus *b)
{
    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++) {
        if (!b->dev[devfn])
            continue;
        if (b->dev[devfn]->secondary)
            bridge_assign(a, b->dev[devfn]);
        function_assign(a, b->dev[devfn]);
    }
}

void pci_bus_assign(struct pci_bus *root, const struct pci_windows *w, const u8 pirq_irq[8])
{
    struct assign a = { *w, pirq_irq, 0 };

    bus_assign(&a, root);
}

/* -- printing ------------------------------------------------------------------------------------------------------- */

static void function_print(const struct pci_device *d, unsigned bus, GString *out)
{
    const u8 *c = d->config;

    g_string_append_printf(out, "  Bus %2u, device %3u, function %u:\n    %s (%s): PCI device %04x:%04x class %04x\n", bus,
                           PCI_SLOT(d->devfn), PCI_FUNC(d->devfn), d->dev.cls->name, d->dev.id ? d->dev.id : "", ld16(c),
                           ld16(c + PCI_DEVICE_ID), ld16(c + PCI_CLASS));
    if (c[PCI_INT_PIN])
        g_string_append_printf(out, "      IRQ %u, pin %c\n", c[PCI_INT_LINE], '@' + c[PCI_INT_PIN]);
    if (d->secondary)
        g_string_append_printf(out, "      BUS %u, secondary %u, subordinate %u\n", c[PCI_PRIMARY_BUS], c[PCI_SECONDARY_BUS],
                               c[PCI_SUBORDINATE_BUS]);
    for (unsigned n = 0; n < ARRAY_LEN(d->bar); n++)
        if (d->bar[n].region)
            g_string_append_printf(out, "      BAR%u: %s at 0x%llx, %llu bytes%s\n", n,
                                   n == PCI_ROM_BAR ? "ROM" : (d->bar[n].type & PCI_BAR_IO) ? "I/O" : "memory",
                                   (unsigned long long)pci_bar_addr(d, n), (unsigned long long)d->bar[n].region->size,
                                   d->bar[n].mapped ? "" : " (not decoded)");
}

void pci_bus_print(const struct pci_bus *b, struct _GString *out)
{
    unsigned number = b->bridge ? b->bridge->config[PCI_SECONDARY_BUS] : 0;

    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++)
        if (b->dev[devfn])
            function_print(b->dev[devfn], number, out);
    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++)
        if (b->dev[devfn] && b->dev[devfn]->secondary)
            pci_bus_print(b->dev[devfn]->secondary, out);
}
