/* What firmware would do to a PCI bus, for direct kernel boot: gives every BAR an address in the machine's windows, turns decoding on,
 * fills in interrupt lines; and `info pci`. Main thread, machine lock held. */
#include <glib.h>
#include "hw/pci/pci.h"
#include "util/err.h"

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
