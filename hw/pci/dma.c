/* What a PCI function sends upstream: in which space its memory requests are, with an IOMMU in front of the root bus and without, who it is
 * taken for there, and its interrupt messages. Machine lock. PCI Express to PCI/PCI-X Bridge Specification 1.0, section 2.3. */
#include "hw/core/machine.h"
#include "hw/pci/bridge.h"
#include "hw/pci/pci_priv.h"
#include "mmu/dma.h"

static u8 bus_number(const struct pci_bus *b)
{
    return b->bridge ? b->bridge->config[PCI_SECONDARY_BUS] : 0;
}

u16 pci_source_id(const struct pci_device *d)
{
    u16 id = bus_number(d->bus) << 8 | d->devfn;

    for (const struct pci_bus *b = d->bus; b->bridge; b = b->bridge->bus) {
        const struct pci_device *bridge = b->bridge;
        if (!b->express) /* a bridge to PCI Express takes the number of the bus behind it, one to PCI its own */
            id = bridge->express_cap ? bus_number(b) << 8 : bus_number(bridge->bus) << 8 | bridge->devfn;
    }
    return id;
}

void pci_dma_attach(struct pci_device *d)
{
    const struct pci_iommu *i = &pci_bus_root(d->bus)->iommu;

    d->dma = i->attach ? i->attach(i->opaque, d) : d->dev.m->mem;
}

void pci_dma_detach(struct pci_device *d)
{
    const struct pci_iommu *i = &pci_bus_root(d->bus)->iommu;

    if (d->dma && d->dma != d->dev.m->mem)
        i->detach(i->opaque, d, d->dma);
    d->dma = NULL;
}

static void for_each(const struct pci_bus *b, void (*fn)(struct pci_device *d))
{
    for (unsigned devfn = 0; devfn < ARRAY_LEN(b->dev); devfn++) {
        struct pci_device *d = b->dev[devfn];
        if (d)
            fn(d);
        if (d && d->secondary)
            for_each(d->secondary, fn);
    }
}

void pci_set_iommu(struct pci_bus *root, const struct pci_iommu *iommu)
{
    for_each(root, pci_dma_detach);
    root->iommu = iommu ? *iommu : (struct pci_iommu){ 0 };
    for_each(root, pci_dma_attach);
}

/* A message to elsewhere is an ordinary memory write. */
void pci_message(struct pci_device *d, u64 addr, u32 data)
{
    if (!pci_is_master(d))
        return;
    if (addr >> 20 == 0xfee)
        msi_send(&d->dev.m->msi, &(struct msi){ .addr = addr, .data = data, .source = pci_source_id(d) });
    else
        dma_write(d->dma, addr, &data, sizeof(data));
}
