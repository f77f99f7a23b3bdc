/* The Q35 memory controller hub: host bridge with configuration ports, the memory-mapped configuration space of PCI Express, shadow RAM and
 * SMRAM. Port, memory and configuration accesses come from vCPU threads, machine lock held.
 * Intel 3 Series Express Chipset data sheet (316966), section 5.1. */
#include "hw/core/machine.h"
#include "hw/pci/confport.h"
#include "hw/pci/q35.h"
#include "hw/pci/shadow.h"

enum { PCIEXBAR = 0x60, PAM0 = 0x90, SMRAM = 0x9d, SMRAM_OPEN = 0x40, SMRAM_LOCK = 0x10, SMRAM_WRITABLE = 0x58, ESMRAMC = 0x9e };
enum { PCIEXBAR_ENABLE = 1, PCIEXBAR_LENGTH = 6 };
#define PCIEXBAR_ADDRESS 0xff0000000ull /* bits 35:28 */

struct mch {
    struct pci_device pci;
    struct pci_confport port;
    struct pc_shadow shadow;
    struct ram_block *ram, *rom;
    struct region ecam;
};

/* -- PCI Express configuration space ---------------------------------------------------------------------------------- */

static u64 ecam_read(void *opaque, u64 off, unsigned size)
{
    struct mch *h = opaque;
    struct pci_bus *b = pci_bus_number(h->pci.bus, off >> 20);

    return b ? pci_config_read(b, off >> 12, off & 0xfff, size) : MASK64(8 * size);
}

static void ecam_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct mch *h = opaque;
    struct pci_bus *b = pci_bus_number(h->pci.bus, off >> 20);

    if (b)
        pci_config_write(b, off >> 12, off & 0xfff, val, size);
}

static const struct region_ops ecam_ops = { ecam_read, ecam_write, 1, 4 };

u64 mch_ecam(const struct device *d, u64 *size)
{
    const struct mch *h = (const struct mch *)d;
    u64 r = ld64(h->pci.config + PCIEXBAR);
    unsigned length = (r & PCIEXBAR_LENGTH) >> 1;

    *size = Q35_ECAM_SIZE >> MIN_OF(length, 2);
    return (r & PCIEXBAR_ENABLE) && length < 3 ? r & PCIEXBAR_ADDRESS & ~(*size - 1) : 0;
}

static void ecam_update(struct mch *h)
{
    u64 size, base = mch_ecam(&h->pci.dev, &size);

    if (h->ecam.parent && base == h->ecam.addr && size == h->ecam.size)
        return;
    if (h->ecam.parent)
        region_del(&h->ecam);
    h->ecam.size = size;
    if (base)
        region_add(&h->pci.dev.m->mem_root, base, &h->ecam, 0);
}

/* -- the function ----------------------------------------------------------------------------------------------------- */

static void mch_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct mch *h = container_of(d, struct mch, pci);

    if (d->config[SMRAM] & SMRAM_LOCK) { /* D_LCK: closes SMRAM and freezes the register until reset */
        d->config[SMRAM] &= ~SMRAM_OPEN;
        d->wmask[SMRAM] = 0;
    }
    if (reg <= SMRAM && reg + len > PAM0)
        shadow_update(&h->shadow, d->config + PAM0, d->config[SMRAM] & SMRAM_OPEN);
    if (reg < PCIEXBAR + 8 && reg + len > PCIEXBAR)
        ecam_update(h);
}

static const struct pci_ops mch_pci_ops = { .config_changed = mch_config_changed };

static int mch_realize(struct device *d, struct err *e)
{
    struct mch *h = (struct mch *)d;
    static const struct pci_id id = { 0x8086, 0x29c0, 0x0600, 0, 0, 0, 0, 0 };

    if (pci_attach(&h->pci, &id, e) < 0)
        return -1;
    h->pci.ops = &mch_pci_ops;
    st64(h->pci.config + PCIEXBAR, Q35_ECAM_BASE); /* off */
    st64(h->pci.wmask + PCIEXBAR, PCIEXBAR_ADDRESS | PCIEXBAR_LENGTH | PCIEXBAR_ENABLE);
    memset(h->pci.wmask + PAM0, 0x33, PC_PAM_REGS);
    h->pci.wmask[PAM0] = 0x30;
    h->pci.config[SMRAM] = 0x02;
    h->pci.config[ESMRAMC] = 0x38; /* no extended SMRAM: not writable */
    region_init_io(&h->ecam, "pcie-ecam", Q35_ECAM_SIZE, &ecam_ops, h, &d->m->lock);
    shadow_init(&h->shadow, d->m, h->ram, h->rom);
    pci_confport_init(&h->port, d->m);
    return 0;
}

static void mch_unrealize(struct device *d)
{
    struct mch *h = (struct mch *)d;

    pci_confport_fini(&h->port);
    shadow_fini(&h->shadow);
    if (h->ecam.parent)
        region_del(&h->ecam);
    pci_detach(&h->pci);
}

static void mch_reset(struct device *d)
{
    struct mch *h = (struct mch *)d;

    h->port.addr = 0;
    h->pci.wmask[SMRAM] = SMRAM_WRITABLE;
    pci_reset(&h->pci);
}

static void mch_post_load(struct device *d)
{
    struct mch *h = (struct mch *)d;

    h->pci.wmask[SMRAM] = (h->pci.config[SMRAM] & SMRAM_LOCK) ? 0 : SMRAM_WRITABLE;
    pci_post_load(&h->pci);
}

void mch_setup(struct device *d)
{
    struct mch *h = (struct mch *)d;

    for (unsigned i = 0; i < PC_PAM_REGS; i++)
        pci_config_write(h->pci.bus, h->pci.devfn, PAM0 + i, 0x33, 1);
    pci_config_write(h->pci.bus, h->pci.devfn, PCIEXBAR + 4, 0, 4);
    pci_config_write(h->pci.bus, h->pci.devfn, PCIEXBAR, Q35_ECAM_BASE | PCIEXBAR_ENABLE, 4);
}

static const struct prop mch_props[] = { PCI_PROPS_AT("0"), PROP_DONE };
static const struct snap_field mch_fields[] = { PCI_SNAP, SNAP_U(struct mch, port.addr), SNAP_DONE };

const struct dev_class mch_class = {
    .name = "mch",
    .desc = "Q35 host bridge",
    .bus_type = "PCI",
    .state_size = sizeof(struct mch),
    .props = mch_props,
    .fields = mch_fields,
    .snap_version = 1,
    .realize = mch_realize,
    .reset = mch_reset,
    .unrealize = mch_unrealize,
    .post_load = mch_post_load,
};

struct device *mch_new(struct machine *m, struct ram_block *ram, struct ram_block *rom, struct err *e)
{
    struct device *d = device_alloc(m, "mch", e);

    if (!d)
        return NULL;
    ((struct mch *)d)->ram = ram;
    ((struct mch *)d)->rom = rom;
    return device_realize(d, e) < 0 ? NULL : d;
}
