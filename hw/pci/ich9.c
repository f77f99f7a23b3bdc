/* The ICH9 LPC bridge: PIRQ routing, the place of the PM block and of the chipset configuration registers (RCBA), of which those that say
 * where the interrupt pins of the south bridge's functions go matter. Configuration and memory accesses of vCPU threads, interrupt lines of
 * any thread, machine lock held. Intel ICH9 data sheet (316972), chapters 10 and 13. */
#include "hw/core/machine.h"
#include "hw/pci/pirq.h"
#include "hw/pci/q35.h"
#include "hw/timer/pm.h"
#include "hw/watchdog/tco.h"

enum { PMBASE = 0x40, ACPI_CNTL = 0x44, PIRQ_ROUT = 0x60, PIRQ_ROUT2 = 0x68, LPC_IO_DEC = 0x80, GEN_PMCON_1 = 0xa0, RCBA = 0xf0 };
enum { ACPI_EN = 0x80, SCI_IRQ_SEL = 7, PIRQS = 8 };
#define RCBA_SIZE (16 * KiB)
#define RCBA_ADDRESS 0xffffc000u
/* The registers that are kept, as offsets from RCBA. */
enum { CC_FIRST = 0x3100, CC_BYTES = 0x320, D31IR = 0x3140, D27IR = 0x3148, D26IR = 0x314c, D25IR = 0x3150, DIR_RESET = 0x3210,
       GCS = 0x3410, GCS_NO_REBOOT = 0x20, TCO_AT = 0x60 };

struct ich9_lpc {
    struct pci_device pci;
    struct pirq_router router;
    struct region rcba;
    u8 cc[CC_BYTES];    /* chipset configuration registers from CC_FIRST */
    struct device *pm, *tco;
};

/* -- interrupts ------------------------------------------------------------------------------------------------------- */

/* The input that the SCI drives; reserved choices give IRQ 9. */
static unsigned sci_input(const struct ich9_lpc *l)
{
    static const u8 input[8] = { 9, 10, 11, 9, 20, 21, 9, 9 };

    return input[l->pci.config[ACPI_CNTL] & SCI_IRQ_SEL];
}

static void ich9_update(struct ich9_lpc *l)
{
    u8 rc[PIRQS];

    memcpy(rc, l->pci.config + PIRQ_ROUT, 4);
    memcpy(rc + 4, l->pci.config + PIRQ_ROUT2, 4);
    pirq_router_update(&l->router, l->pci.dev.m, rc, PIRQS, sci_input(l));
}

static void ich9_set_pirq(void *opaque, int pirq, int level)
{
    struct ich9_lpc *l = opaque;

    pirq_router_set(&l->router, pirq, level);
    ich9_update(l);
}

/* Devices 25..31 are the south bridge's, whose pins go where DnIR says; the others' go to PIRQE..H, turned by the slot. */
static int ich9_map_pirq(void *opaque, u8 devfn, int pin)
{
    const struct ich9_lpc *l = opaque;
    unsigned slot = PCI_SLOT(devfn), at;

    if (slot < 25)
        return 4 + ((slot + pin - 1) & 3);
    at = slot >= 27 ? D31IR + (31 - slot) * 2u : slot == 26 ? D26IR : D25IR;
    return ld16(l->cc + at - CC_FIRST) >> ((pin - 1) * 4) & 7;
}

static void ich9_set_sci(void *opaque, int n, int level)
{
    struct ich9_lpc *l = opaque;

    l->router.sci_level = level;
    ich9_update(l);
}

/* -- chipset configuration registers ------------------------------------------------------------------------------------ */

static u64 rcba_read(void *opaque, u64 off, unsigned size)
{
    const struct ich9_lpc *l = opaque;
    u64 v = 0;

    if (off >= CC_FIRST && off - CC_FIRST + size <= CC_BYTES)
        memcpy(&v, l->cc + off - CC_FIRST, size);
    return v;
}

static void rcba_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ich9_lpc *l = opaque;

    if (off < CC_FIRST || off - CC_FIRST + size > CC_BYTES)
        return;
    memcpy(l->cc + off - CC_FIRST, &val, size);
    pci_remap_pirqs(l->pci.bus);
}

static const struct region_ops rcba_ops = { rcba_read, rcba_write, 1, 4 };

/* -- the function ------------------------------------------------------------------------------------------------------- */

static void ich9_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct ich9_lpc *l = container_of(d, struct ich9_lpc, pci);
    u32 rcba = ld32(d->config + RCBA);

    if (l->pm)
        pm_map(l->pm, ld16(d->config + PMBASE) & 0xff80, d->config[ACPI_CNTL] & ACPI_EN);
    if (l->tco)
        tco_map(l->tco, (ld16(d->config + PMBASE) & 0xff80) + TCO_AT, d->config[ACPI_CNTL] & ACPI_EN);
    region_txn_begin();
    region_set_addr(&l->rcba, rcba & RCBA_ADDRESS);
    region_set_enabled(&l->rcba, rcba & 1);
    region_txn_commit();
    ich9_update(l);
}

static const struct pci_ops ich9_pci_ops = { .config_changed = ich9_config_changed };

static int ich9_realize(struct device *d, struct err *e)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;
    static const struct pci_id id = { 0x8086, 0x2918, 0x0601, 0, 2, 0, 0, 0 };
    u8 *c = l->pci.config, *w = l->pci.wmask;

    if (pci_attach(&l->pci, &id, e) < 0)
        return -1;
    l->pci.ops = &ich9_pci_ops;
    st16(c + PCI_COMMAND, 0x07); /* always a bus master, always decoding */
    st16(w + PCI_COMMAND, 0x140);
    c[PMBASE] = 1;
    st16(w + PMBASE, 0xff80);
    w[ACPI_CNTL] = ACPI_EN | SCI_IRQ_SEL;
    memset(c + PIRQ_ROUT, PIRQ_OFF, 4);
    memset(c + PIRQ_ROUT2, PIRQ_OFF, 4);
    memset(w + PIRQ_ROUT, 0x8f, 4);
    memset(w + PIRQ_ROUT2, 0x8f, 4);
    st32(w + LPC_IO_DEC, 0x3f0f1377);
    st16(w + GEN_PMCON_1, 0x1fff);
    st32(w + RCBA, RCBA_ADDRESS | 1);
    region_init_io(&l->rcba, "rcba", RCBA_SIZE, &rcba_ops, l, &d->m->lock);
    l->rcba.enabled = false;
    region_add(&d->m->mem_root, 0, &l->rcba, 1);
    l->pci.bus->map_pirq = ich9_map_pirq;
    l->pci.bus->set_pirq = ich9_set_pirq;
    l->pci.bus->pirq_opaque = l;
    return 0;
}

static void ich9_unrealize(struct device *d)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;

    l->pci.bus->map_pirq = NULL;
    l->pci.bus->set_pirq = NULL;
    region_del(&l->rcba);
    pci_detach(&l->pci);
}

static void ich9_reset(struct device *d)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;
    static const u16 dir[] = { D31IR, D31IR + 2, D31IR + 4, D31IR + 6, D27IR, D26IR, D25IR };

    memset(l->cc, 0, sizeof(l->cc));
    for (unsigned i = 0; i < ARRAY_LEN(dir); i++)
        st16(l->cc + dir[i] - CC_FIRST, DIR_RESET);
    st32(l->cc + GCS - CC_FIRST, GCS_NO_REBOOT); /* until a driver wants the watchdog */
    pci_reset(&l->pci);
    pci_remap_pirqs(l->pci.bus);
}

static void ich9_post_load(struct device *d)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;

    l->router.driven = 0; /* the controllers' inputs were loaded with their own state: drive them anew */
    pci_post_load(&l->pci);
    pci_remap_pirqs(l->pci.bus);
}

static const struct prop ich9_props[] = { PCI_PROPS_FULL("1f.0", true, NULL), PROP_DONE };
static const struct snap_field ich9_fields[] = {
    PCI_SNAP, SNAP_U(struct ich9_lpc, router.level), SNAP_U(struct ich9_lpc, router.sci_level), SNAP_B(struct ich9_lpc, cc), SNAP_DONE
};

const struct dev_class ich9_lpc_class = {
    .name = "ICH9-LPC",
    .desc = "ICH9 LPC bridge",
    .bus_type = "PCI",
    .state_size = sizeof(struct ich9_lpc),
    .props = ich9_props,
    .fields = ich9_fields,
    .snap_version = 1,
    .realize = ich9_realize,
    .reset = ich9_reset,
    .unrealize = ich9_unrealize,
    .post_load = ich9_post_load,
};

struct device *ich9_lpc_new(struct machine *m, struct err *e)
{
    return device_create(m, "ICH9-LPC", NULL, NULL, e);
}

struct irq_line ich9_lpc_sci_line(struct device *d)
{
    return (struct irq_line){ ich9_set_sci, d, 0 };
}

static bool ich9_no_reboot(void *opaque)
{
    return ((const struct ich9_lpc *)opaque)->cc[GCS - CC_FIRST] & GCS_NO_REBOOT;
}

int ich9_lpc_set_pm(struct device *d, struct device *pm, struct err *e)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;

    l->pm = pm;
    l->tco = tco_new(d->m, ich9_no_reboot, l, e);
    return l->tco ? 0 : -1;
}

void ich9_lpc_setup(struct device *d, const u8 *pirq_irq)
{
    struct ich9_lpc *l = (struct ich9_lpc *)d;
    struct pci_bus *b = l->pci.bus;

    for (unsigned i = 0; i < PIRQS; i++)
        pci_config_write(b, l->pci.devfn, (i < 4 ? PIRQ_ROUT : PIRQ_ROUT2 - 4) + i, pirq_irq[i], 1);
    pci_config_write(b, l->pci.devfn, PMBASE, ICH9_PM_BASE | 1, 2);
    pci_config_write(b, l->pci.devfn, ACPI_CNTL, ACPI_EN, 1);
    pci_config_write(b, l->pci.devfn, RCBA, ICH9_RCBA_BASE | 1, 4);
}
