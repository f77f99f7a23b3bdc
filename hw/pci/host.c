/* The 440FX/PIIX chipset's PCI functions: host bridge with configuration ports, shadow RAM and SMRAM; ISA bridge with
 * PIRQ routing; power-management function. Port and configuration accesses come from vCPU threads, machine lock held.
 * Intel 82441FX data sheet (290549), sections 3.1 and 3.2; 82371SB PIIX3 (290550), section 2.2; 82371AB PIIX4 (290562),
 * chapter 7. */
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/pci/confport.h"
#include "hw/pci/host.h"
#include "hw/pci/pirq.h"
#include "hw/pci/shadow.h"
#include "hw/timer/pm.h"
#include "mmu/ram.h"
#include "util/log.h"

/* -- 82441FX host bridge ---------------------------------------------------------------------------------------- */

enum { PAM0 = 0x59, SMRAM = 0x72, SMRAM_OPEN = 0x40, SMRAM_LOCK = 0x10 };

struct i440fx {
    struct pci_device pci;
    struct pci_confport port;
    struct pc_shadow shadow;
    struct ram_block *ram, *rom;
};

static void i440fx_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct i440fx *h = container_of(d, struct i440fx, pci);

    if (d->config[SMRAM] & SMRAM_LOCK) { /* D_LCK: closes SMRAM and freezes the register until reset */
        d->config[SMRAM] &= ~SMRAM_OPEN;
        d->wmask[SMRAM] = 0;
    }
    if (reg <= SMRAM && reg + len > PAM0)
        shadow_update(&h->shadow, d->config + PAM0, d->config[SMRAM] & SMRAM_OPEN);
}

static const struct pci_ops i440fx_pci_ops = { .config_changed = i440fx_config_changed };

static int i440fx_realize(struct device *d, struct err *e)
{
    struct i440fx *h = (struct i440fx *)d;
    struct machine *m = d->m;
    static const struct pci_id id = { 0x8086, 0x1237, 0x0600, 0, 2, 0, 0, 0 };

    if (pci_attach(&h->pci, &id, e) < 0)
        return -1;
    h->pci.ops = &i440fx_pci_ops;
    memset(h->pci.wmask + PAM0, 0x33, PC_PAM_REGS);
    h->pci.wmask[PAM0] = 0x30;
    h->pci.config[SMRAM] = 0x02;
    h->pci.wmask[0x50] = 0xff; /* PMCCFG: kept, no effect here */
    h->pci.wmask[0x51] = 0xff;
    memset(h->pci.wmask + 0x60, 0xff, 8); /* DRB0..7: firmware's notes about DIMM sizes */
    shadow_init(&h->shadow, m, h->ram, h->rom);
    pci_confport_init(&h->port, m);
    return 0;
}

static void i440fx_unrealize(struct device *d)
{
    struct i440fx *h = (struct i440fx *)d;

    pci_confport_fini(&h->port);
    shadow_fini(&h->shadow);
    pci_detach(&h->pci);
}

static void i440fx_reset(struct device *d)
{
    struct i440fx *h = (struct i440fx *)d;

    h->port.addr = 0;
    h->pci.wmask[SMRAM] = 0x58; /* D_OPEN, D_LCK, G_SMRAME; cleared by D_LCK */
    pci_reset(&h->pci);
}

static void i440fx_post_load(struct device *d)
{
    struct i440fx *h = (struct i440fx *)d;

    h->pci.wmask[SMRAM] = (h->pci.config[SMRAM] & SMRAM_LOCK) ? 0 : 0x58;
    pci_post_load(&h->pci);
}

void i440fx_shadow_open(struct device *d)
{
    struct i440fx *h = (struct i440fx *)d;

    for (unsigned i = 0; i < PC_PAM_REGS; i++)
        pci_config_write(h->pci.bus, h->pci.devfn, PAM0 + i, 0x33, 1);
}

static const struct prop i440fx_props[] = { PCI_PROPS_AT("0"), PROP_DONE };
static const struct snap_field i440fx_fields[] = { PCI_SNAP, SNAP_U(struct i440fx, port.addr), SNAP_DONE };

const struct dev_class i440fx_class = {
    .name = "i440FX",
    .desc = "82441FX host bridge",
    .bus_type = "PCI",
    .state_size = sizeof(struct i440fx),
    .props = i440fx_props,
    .fields = i440fx_fields,
    .snap_version = 1,
    .realize = i440fx_realize,
    .reset = i440fx_reset,
    .unrealize = i440fx_unrealize,
    .post_load = i440fx_post_load,
};

struct device *i440fx_new(struct machine *m, struct ram_block *ram, struct ram_block *rom, struct err *e)
{
    struct device *d = device_alloc(m, "i440FX", e);

    if (!d)
        return NULL;
    ((struct i440fx *)d)->ram = ram;
    ((struct i440fx *)d)->rom = rom;
    return device_realize(d, e) < 0 ? NULL : d;
}

/* -- 82371SB PIIX3 ISA bridge ------------------------------------------------------------------------------------ */

enum { PIRQRC = 0x60, SCI_IRQ = 9 };

struct piix3 {
    struct pci_device pci;
    struct pirq_router router;
};

static void piix3_update(struct piix3 *p)
{
    pirq_router_update(&p->router, p->pci.dev.m, p->pci.config + PIRQRC, 4, SCI_IRQ);
}

static void piix3_set_pirq(void *opaque, int pirq, int level)
{
    struct piix3 *p = opaque;

    pirq_router_set(&p->router, pirq, level);
    piix3_update(p);
}

static void piix3_set_sci(void *opaque, int n, int level)
{
    struct piix3 *p = opaque;

    p->router.sci_level = level;
    piix3_update(p);
}

static void piix3_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    if (reg < PIRQRC + 4 && reg + len > PIRQRC)
        piix3_update(container_of(d, struct piix3, pci));
}

static const struct pci_ops piix3_pci_ops = { .config_changed = piix3_config_changed };

static int piix3_realize(struct device *d, struct err *e)
{
    struct piix3 *p = (struct piix3 *)d;
    static const struct pci_id id = { 0x8086, 0x7000, 0x0601, 0, 0, 0, 0, 0 };

    if (pci_attach(&p->pci, &id, e) < 0)
        return -1;
    p->pci.ops = &piix3_pci_ops;
    st16(p->pci.config + PCI_COMMAND, 0x07); /* always a bus master, always decoding */
    st16(p->pci.wmask + PCI_COMMAND, 0x108);
    p->pci.config[0x4c] = 0x4d; /* IORT */
    p->pci.wmask[0x4c] = 0x7f;
    st16(p->pci.config + 0x4e, 0x0003); /* XBCS */
    st16(p->pci.wmask + 0x4e, 0x01ff);
    memset(p->pci.config + PIRQRC, PIRQ_OFF, 4);
    memset(p->pci.wmask + PIRQRC, 0x8f, 4);
    p->pci.config[0x69] = 0x02; /* TOM */
    p->pci.wmask[0x69] = 0xfe;
    p->pci.bus->set_pirq = piix3_set_pirq;
    p->pci.bus->pirq_opaque = p;
    return 0;
}

static void piix3_unrealize(struct device *d)
{
    struct piix3 *p = (struct piix3 *)d;

    if (p->pci.bus)
        p->pci.bus->set_pirq = NULL;
    pci_detach(&p->pci);
}

static void piix3_reset(struct device *d)
{
    pci_reset(&((struct piix3 *)d)->pci);
}

static void piix3_post_load(struct device *d)
{
    struct piix3 *p = (struct piix3 *)d;

    p->router.driven = 0; /* the controllers' inputs were loaded with their own state: drive them anew */
    pci_post_load(&p->pci);
    piix3_update(p);
}

static const struct prop piix3_props[] = { PCI_PROPS_FULL("1", true, NULL), PROP_DONE };
static const struct snap_field piix3_fields[] = {
    PCI_SNAP, SNAP_U(struct piix3, router.level), SNAP_U(struct piix3, router.sci_level), SNAP_DONE
};

const struct dev_class piix3_class = {
    .name = "PIIX3",
    .desc = "82371SB PCI-to-ISA bridge",
    .bus_type = "PCI",
    .state_size = sizeof(struct piix3),
    .props = piix3_props,
    .fields = piix3_fields,
    .snap_version = 1,
    .realize = piix3_realize,
    .reset = piix3_reset,
    .unrealize = piix3_unrealize,
    .post_load = piix3_post_load,
};

struct device *piix3_new(struct machine *m, struct err *e)
{
    return device_create(m, "PIIX3", NULL, NULL, e);
}

struct irq_line piix3_sci_line(struct device *d)
{
    return (struct irq_line){ piix3_set_sci, d, 0 };
}

void piix3_route(struct device *d, int pirq, u8 irq)
{
    struct piix3 *p = (struct piix3 *)d;

    pci_config_write(p->pci.bus, p->pci.devfn, PIRQRC + pirq, irq, 1);
}

/* -- 82371AB PIIX4 power management function --------------------------------------------------------------------- */

enum { PMBASE = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBASE = 0x90, SMBHSTCFG = 0xd2, DEVACTB_APMC_EN = 0x02 };

struct piix4_pm {
    struct pci_device pci;
    struct device *pm;
};

static void piix4_pm_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct piix4_pm *p = container_of(d, struct piix4_pm, pci);

    if (reg < PMREGMISC + 1 && reg + len > PMBASE)
        pm_map(p->pm, ld16(d->config + PMBASE) & 0xffc0, d->config[PMREGMISC] & 1);
}

static const struct pci_ops piix4_pm_ops = { .config_changed = piix4_pm_config_changed };

static int piix4_pm_realize(struct device *d, struct err *e)
{
    struct piix4_pm *p = (struct piix4_pm *)d;
    static const struct pci_id id = { 0x8086, 0x7113, 0x0680, 0, 3, 1, 0, 0 };

    if (pci_attach(&p->pci, &id, e) < 0)
        return -1;
    u8 *c = p->pci.config, *w = p->pci.wmask;
    p->pci.ops = &piix4_pm_ops;
    c[PCI_STATUS + 1] = 0x02;
    c[PCI_INT_LINE] = SCI_IRQ; /* hard-wired */
    w[PCI_INT_LINE] = 0;
    c[PMBASE] = 0x01;
    st16(w + PMBASE, 0xffc0);
    /* SMIs are not raised: the PM block does itself what a firmware's handler would (ACPI enable and disable). The bit
     * reads as set up so that firmware does not install a handler of its own. */
    c[DEVACTB + 3] = DEVACTB_APMC_EN;
    w[PMREGMISC] = 0x01;
    c[SMBBASE] = 0x01; /* SMBus base and host configuration: kept, there is no SMBus controller behind them */
    st16(w + SMBBASE, 0xfff0);
    w[SMBHSTCFG] = 0x0f;
    return 0;
}

static void piix4_pm_unrealize(struct device *d)
{
    pci_detach(&((struct piix4_pm *)d)->pci);
}

static void piix4_pm_reset(struct device *d)
{
    pci_reset(&((struct piix4_pm *)d)->pci);
}

static void piix4_pm_post_load(struct device *d)
{
    pci_post_load(&((struct piix4_pm *)d)->pci);
}

static const struct prop piix4_pm_props[] = { PCI_PROPS_AT("1.3"), PROP_DONE };
static const struct snap_field piix4_pm_fields[] = { PCI_SNAP, SNAP_DONE };

const struct dev_class piix4_pm_class = {
    .name = "PIIX4_PM",
    .desc = "82371AB power management function",
    .bus_type = "PCI",
    .state_size = sizeof(struct piix4_pm),
    .props = piix4_pm_props,
    .fields = piix4_pm_fields,
    .snap_version = 1,
    .realize = piix4_pm_realize,
    .reset = piix4_pm_reset,
    .unrealize = piix4_pm_unrealize,
    .post_load = piix4_pm_post_load,
};

struct device *piix4_pm_new(struct machine *m, struct device *pm, struct err *e)
{
    struct device *d = device_alloc(m, "PIIX4_PM", e);

    if (!d)
        return NULL;
    ((struct piix4_pm *)d)->pm = pm;
    return device_realize(d, e) < 0 ? NULL : d;
}

void piix4_pm_set_base(struct device *d, u16 base)
{
    struct piix4_pm *p = (struct piix4_pm *)d;

    pci_config_write(p->pci.bus, p->pci.devfn, PMBASE, base | 1, 2);
    pci_config_write(p->pci.bus, p->pci.devfn, PMREGMISC, 1, 1);
}
