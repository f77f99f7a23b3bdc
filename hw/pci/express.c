/* The PCI Express capability of endpoints and ports, and extended capabilities. Called by PCI devices' realize, machine lock held.
 * PCI Express Base Specification 3.0, sections 7.8 and 7.9. */
#include "hw/pci/express.h"

enum { CAP_VERSION = 2, DEVCAP_ROLE_ERRORS = 1 << 15, DEVCTL_WRITABLE = 0x7cff, DEVSTA_W1C = 0x000f, LINK_2_5GT_X1 = 0x0011,
       LNKCTL_WRITABLE = 0x0fc3 };

void pci_express_init(struct pci_device *d, enum pci_express_type type)
{
    bool port = type == PCI_EXP_ROOT_PORT, link = type != PCI_EXP_RC_ENDPOINT;
    u8 at, *c, *w;

    if (type == PCI_EXP_ENDPOINT && pci_bus_is_root(d->bus))
        type = PCI_EXP_RC_ENDPOINT, link = false;
    at = pci_cap_add(d, PCI_CAP_EXPRESS, PCI_EXP_SIZE);
    d->express_cap = at;
    d->config_size = PCI_EXPRESS_CONFIG_SIZE;
    c = d->config + at;
    w = d->wmask + at;
    st16(c + PCI_EXP_FLAGS, CAP_VERSION | type << 4 | (port ? PCI_EXP_FLAGS_SLOT : 0));
    st32(c + PCI_EXP_DEVCAP, DEVCAP_ROLE_ERRORS);
    st16(w + PCI_EXP_DEVCTL, DEVCTL_WRITABLE);
    st16(d->w1cmask + at + PCI_EXP_DEVSTA, DEVSTA_W1C);
    if (link) {
        st32(c + PCI_EXP_LNKCAP, LINK_2_5GT_X1);
        st16(w + PCI_EXP_LNKCTL, LNKCTL_WRITABLE);
        st16(c + PCI_EXP_LNKSTA, LINK_2_5GT_X1);
        st16(c + PCI_EXP_LNKCTL2, 1); /* target speed 2.5 GT/s */
    }
}

u16 pci_ext_cap_add(struct pci_device *d, u16 id, u8 version, u16 size)
{
    u16 at = d->ext_cap_end ? d->ext_cap_end : PCI_CONFIG_SIZE, last = PCI_CONFIG_SIZE;

    assert(d->config_size == PCI_EXPRESS_CONFIG_SIZE && at + size <= PCI_EXPRESS_CONFIG_SIZE);
    while (ld32(d->config + last) >> 20)
        last = ld32(d->config + last) >> 20;
    if (d->ext_cap_end)
        st32(d->config + last, ld32(d->config + last) | (u32)at << 20);
    st32(d->config + at, id | (u32)version << 16);
    d->ext_cap_end = ALIGN_UP(at + size, 4);
    return at;
}
