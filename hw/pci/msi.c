/* Message signalled interrupts: the MSI capability with 64-bit addresses. Called by PCI devices, machine lock held. PCI Local Bus
 * Specification 3.0, section 6.8.1. */
#include "hw/pci/pci_priv.h"

enum { MSI_CTL = 2, MSI_ADDR = 4, MSI_DATA = 12, MSI_SIZE = 14, MSI_CTL_ENABLE = 1, MSI_CTL_64BIT = 0x80 };

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
    unsigned ctl = ld16(c + MSI_CTL), offered = (ctl >> 1) & 7, granted = (ctl >> 4) & 7;
    unsigned n = 1u << MIN_OF(offered, granted);
    u32 data = ld16(c + MSI_DATA);

    if (!pci_msi_enabled(d))
        return;
    /* The device owns the low bits of the data; with fewer messages granted than asked for, they are shared. */
    pci_message(d, ld64(c + MSI_ADDR), (data & ~(n - 1)) | (vector & (n - 1)));
}
