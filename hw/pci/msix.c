/* MSI-X: the capability, the table of messages and the pending bits in a BAR of their own. Table accesses come from vCPU threads,
 * messages from the device's thread, machine lock held. PCI Local Bus Specification 3.0, section 6.8.2. */
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/pci/pci_priv.h"

enum { MSIX_CTL = 2, MSIX_TABLE = 4, MSIX_PBA = 8, MSIX_SIZE = 12, CTL_ENABLE = 0x8000, CTL_FUNCTION_MASK = 0x4000, CTL_TABLE_SIZE = 0x7ff };
enum { ENTRY_SIZE = 16, ENTRY_ADDR = 0, ENTRY_DATA = 8, ENTRY_CTL = 12, ENTRY_MASKED = 1, VECTORS_MAX = 2048, BAR_MIN = 4096 };

static u16 msix_ctl(const struct pci_device *d)
{
    return ld16(d->config + d->msix_cap + MSIX_CTL);
}

bool pci_msix_enabled(const struct pci_device *d)
{
    return d->msix_cap && (msix_ctl(d) & CTL_ENABLE);
}

unsigned pci_msix_vectors(const struct pci_device *d)
{
    return d->msix_table.len / ENTRY_SIZE;
}

static bool msix_masked(const struct pci_device *d, unsigned vector)
{
    return (msix_ctl(d) & CTL_FUNCTION_MASK) || (d->msix_table.data[vector * ENTRY_SIZE + ENTRY_CTL] & ENTRY_MASKED);
}

static void msix_deliver(struct pci_device *d, unsigned vector)
{
    const u8 *entry = d->msix_table.data + vector * ENTRY_SIZE;

    pci_message(d, ld64(entry + ENTRY_ADDR) & ~3ull, ld32(entry + ENTRY_DATA));
}

void pci_msix_send(struct pci_device *d, unsigned vector)
{
    if (!pci_msix_enabled(d) || vector >= pci_msix_vectors(d))
        return;
    if (msix_masked(d, vector))
        d->msix_pba.data[vector / 8] |= BIT(vector % 8);
    else
        msix_deliver(d, vector);
}

/* A pending message goes out as soon as its vector is unmasked. */
static void msix_vector_flush(struct pci_device *d, unsigned vector)
{
    u8 *pba = &d->msix_pba.data[vector / 8];

    if (!(*pba & BIT(vector % 8)) || !pci_msix_enabled(d) || msix_masked(d, vector))
        return;
    *pba &= ~BIT(vector % 8);
    msix_deliver(d, vector);
}

void pci_msix_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    if (!d->msix_cap || !pci_overlaps(reg, len, d->msix_cap + MSIX_CTL, 2))
        return;
    for (unsigned v = 0; v < pci_msix_vectors(d); v++)
        msix_vector_flush(d, v);
}

/* -- the BAR -------------------------------------------------------------------------------------------------------- */

/* Where the pending bits begin. */
static u32 msix_pba_at(const struct pci_device *d)
{
    return ld32(d->config + d->msix_cap + MSIX_PBA) & ~7u;
}

static u64 msix_read(void *opaque, u64 off, unsigned size)
{
    const struct pci_device *d = opaque;
    u32 pba = msix_pba_at(d);
    u64 v = 0;

    if (off + size <= d->msix_table.len)
        memcpy(&v, d->msix_table.data + off, size);
    else if (off >= pba && off - pba + size <= d->msix_pba.len)
        memcpy(&v, d->msix_pba.data + (off - pba), size);
    return v;
}

static void msix_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pci_device *d = opaque;

    if (off + size > d->msix_table.len)
        return; /* pending bits are read-only */
    memcpy(d->msix_table.data + off, &val, size);
    msix_vector_flush(d, off / ENTRY_SIZE);
}

static const struct region_ops msix_ops = { msix_read, msix_write, 4, 8 };

/* -- life ----------------------------------------------------------------------------------------------------------- */

int pci_msix_init(struct pci_device *d, unsigned n_vectors, unsigned bar, struct err *e)
{
    u32 table = n_vectors * ENTRY_SIZE, pba = ALIGN_UP((n_vectors + 7) / 8, 8), pba_at, size = BAR_MIN;

    if (n_vectors < 1 || n_vectors > VECTORS_MAX)
        return err_set(e, "%s: %u MSI-X vectors; there can be 1 to %u", d->dev.cls->name, n_vectors, VECTORS_MAX);
    pba_at = MAX_OF(BAR_MIN / 2, ALIGN_UP(table, BAR_MIN));
    if (table <= BAR_MIN / 2)
        pba_at = BAR_MIN / 2;
    while (size < pba_at + pba)
        size *= 2;
    d->msix_table = (struct snap_var){ g_malloc0(table), table };
    d->msix_pba = (struct snap_var){ g_malloc0(pba), pba };
    d->msix_cap = pci_cap_add(d, PCI_CAP_MSIX, MSIX_SIZE);
    st16(d->config + d->msix_cap + MSIX_CTL, n_vectors - 1);
    st16(d->wmask + d->msix_cap + MSIX_CTL, CTL_ENABLE | CTL_FUNCTION_MASK);
    st32(d->config + d->msix_cap + MSIX_TABLE, bar);
    st32(d->config + d->msix_cap + MSIX_PBA, pba_at | bar);
    region_init_io(&d->msix_bar, "msix", size, &msix_ops, d, &d->dev.m->lock);
    pci_bar_init(d, bar, &d->msix_bar, PCI_BAR_MEM32);
    return 0;
}

void pci_msix_reset(struct pci_device *d)
{
    if (!d->msix_cap)
        return;
    memset(d->msix_table.data, 0, d->msix_table.len);
    memset(d->msix_pba.data, 0, d->msix_pba.len);
    for (unsigned v = 0; v < pci_msix_vectors(d); v++)
        d->msix_table.data[v * ENTRY_SIZE + ENTRY_CTL] = ENTRY_MASKED;
}

void pci_msix_fini(struct pci_device *d)
{
    g_free(d->msix_table.data);
    g_free(d->msix_pba.data);
    d->msix_table = d->msix_pba = (struct snap_var){ NULL, 0 };
    d->msix_cap = 0;
}
