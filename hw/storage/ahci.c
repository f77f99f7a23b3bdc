/* The ICH9's SATA controller in AHCI mode: generic and port registers, interrupts. Register accesses come from vCPU threads, machine lock
 * held; the q35 machine or -device makes it. AHCI 1.3.1, chapter 3; Intel ICH9 (316972), chapter 15. */
#include "hw/storage/ahci.h"
#include <glib.h>
#include "hw/backend/drive.h"
#include "hw/core/machine.h"
#include "hw/storage/ahci_impl.h"
#include "util/err.h"
#include "util/log.h"

enum { ABAR = 5, ABAR_SIZE = 4096, PORT_BASE = 0x100, PORT_SIZE = 0x80 };
enum { HBA_CAP = 0x00, HBA_GHC = 0x04, HBA_IS = 0x08, HBA_PI = 0x0c, HBA_VS = 0x10 };
enum { GHC_HR = BIT(0), GHC_IE = BIT(1), GHC_AE = (int)BIT(31) };
enum {
    PX_CLB = 0x00, PX_CLBU = 0x04, PX_FB = 0x08, PX_FBU = 0x0c, PX_IS = 0x10, PX_IE = 0x14, PX_CMD = 0x18, PX_TFD = 0x20, PX_SIG = 0x24,
    PX_SSTS = 0x28, PX_SCTL = 0x2c, PX_SERR = 0x30, PX_SACT = 0x34, PX_CI = 0x38,
};
/* 64-bit addresses, NCQ, command list override, 3 Gb/s, AHCI only, PIO with several blocks, 32 slots, 6 ports */
#define CAP_VALUE (BIT(31) | BIT(30) | BIT(24) | 2u << 20 | BIT(18) | BIT(15) | 31u << 8 | (AHCI_PORTS - 1))
#define SERR_X BIT(26) /* the device's presence has changed */

/* -- interrupts --------------------------------------------------------------------------------------------------------------- */

static void hba_irq_update(struct ahci *h, bool news)
{
    bool on = h->is && (h->ghc & GHC_IE);

    if (pci_msi_enabled(&h->pci)) {
        if (on && news)
            pci_msi_send(&h->pci, 0);
        pci_set_intx(&h->pci, 0);
    } else {
        pci_set_intx(&h->pci, on);
    }
}

static void port_irq_update(struct ahci_port *p, bool news)
{
    if (p->is & p->ie)
        p->hba->is |= BIT(p->ata.index);
    hba_irq_update(p->hba, news && (p->is & p->ie));
}

void ahci_port_raise(struct ahci_port *p, u32 bits)
{
    if (!bits)
        return;
    p->is |= bits;
    port_irq_update(p, true);
}

/* -- port registers ------------------------------------------------------------------------------------------------------------- */

static u32 port_read(struct ahci_port *p, unsigned reg)
{
    switch (reg) {
    case PX_CLB: return p->clb;
    case PX_CLBU: return p->clbu;
    case PX_FB: return p->fb;
    case PX_FBU: return p->fbu;
    case PX_IS: return p->is | (p->serr & SERR_X ? PORT_IS_PCS : 0);
    case PX_IE: return p->ie;
    case PX_CMD: return p->cmd | (ahci_dev(p) && ahci_dev(p)->cdrom ? PORT_CMD_ATAPI : 0);
    case PX_TFD: return p->tfd;
    case PX_SIG: return p->sig;
    case PX_SSTS: return p->ssts;
    case PX_SCTL: return p->sctl;
    case PX_SERR: return p->serr;
    case PX_SACT: return p->sact;
    case PX_CI: return p->ci;
    default: return 0;
    }
}

static void port_write_cmd(struct ahci_port *p, u32 v)
{
    u32 was = p->cmd, rw = PORT_CMD_ST | PORT_CMD_SUD | PORT_CMD_POD | PORT_CMD_FRE | (u32)PORT_CMD_ICC;

    v &= rw | PORT_CMD_CLO;
    if ((was & PORT_CMD_ST) && !(v & PORT_CMD_ST))
        ahci_port_drain(p); /* memory is left alone once CR reads 0 */
    p->cmd = (p->cmd & PORT_CMD_CCS) | (v & rw & ~(u32)PORT_CMD_ICC);
    if (v & PORT_CMD_FRE)
        p->cmd |= PORT_CMD_FR;
    if (v & PORT_CMD_ST)
        p->cmd |= PORT_CMD_CR;
    if ((was & PORT_CMD_ST) && !(v & PORT_CMD_ST)) {
        p->ci = p->sact = 0;
        p->cmd &= ~PORT_CMD_CCS;
        p->halted = false;
    }
    if (v & PORT_CMD_CLO)
        p->tfd &= ~(ATA_BSY | ATA_DRQ);
    ahci_port_announce(p);
    ahci_port_run(p);
}

static void port_write_sctl(struct ahci_port *p, u32 v)
{
    u32 was = p->sctl;

    p->sctl = v & 0xfff;
    if ((v & 15) == 1) {
        ahci_port_reset(p); /* COMRESET, held: no device until it ends */
        p->ssts = 0;
    } else if ((was & 15) == 1 && (v & 15) == 0) {
        ahci_port_reset(p);
        if (ahci_dev(p)) {
            p->serr |= SERR_X;
            ahci_port_raise(p, PORT_IS_PCS);
        }
    } else if ((v & 15) == 4) {
        p->ssts = 4; /* the interface is off */
    }
}

static void port_write(struct ahci_port *p, unsigned reg, u32 v)
{
    switch (reg) {
    case PX_CLB: p->clb = v & ~0x3ffu; break;
    case PX_CLBU: p->clbu = v; break;
    case PX_FB: p->fb = v & ~0xffu; break;
    case PX_FBU: p->fbu = v; break;
    case PX_IS:
        p->is &= ~v;
        break;
    case PX_IE:
        p->ie = v & 0xfdc000ff;
        port_irq_update(p, true);
        break;
    case PX_CMD: port_write_cmd(p, v); break;
    case PX_SCTL: port_write_sctl(p, v); break;
    case PX_SERR: p->serr &= ~v; break;
    case PX_SACT:
        if (p->cmd & PORT_CMD_ST)
            p->sact |= v;
        break;
    case PX_CI:
        if (p->cmd & PORT_CMD_ST)
            p->ci |= v;
        ahci_port_run(p);
        break;
    default:
        GUEST_ERROR("ahci: write to port register 0x%x", reg);
    }
}

/* -- generic registers -------------------------------------------------------------------------------------------------------------- */

static void hba_reset(struct ahci *h)
{
    h->ghc = GHC_AE;
    h->is = 0;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        struct ahci_port *p = &h->port[i];
        p->cmd = PORT_CMD_SUD | PORT_CMD_POD;
        p->clb = p->clbu = p->fb = p->fbu = p->is = p->ie = p->sctl = p->serr = 0;
        ahci_port_reset(p);
    }
    hba_irq_update(h, false);
}

static u64 abar_read(void *opaque, u64 off, unsigned size)
{
    struct ahci *h = opaque;

    if (off >= PORT_BASE) {
        unsigned n = (off - PORT_BASE) / PORT_SIZE;
        return n < AHCI_PORTS ? port_read(&h->port[n], (off - PORT_BASE) % PORT_SIZE) : 0;
    }
    switch (off) {
    case HBA_CAP: return CAP_VALUE;
    case HBA_GHC: return h->ghc;
    case HBA_IS: return h->is;
    case HBA_PI: return BIT(AHCI_PORTS) - 1;
    case HBA_VS: return 0x00010300;
    default: return 0;
    }
}

static void abar_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ahci *h = opaque;

    if (off >= PORT_BASE) {
        unsigned n = (off - PORT_BASE) / PORT_SIZE;
        if (n < AHCI_PORTS)
            port_write(&h->port[n], (off - PORT_BASE) % PORT_SIZE, val);
        return;
    }
    switch (off) {
    case HBA_GHC:
        if (val & GHC_HR) {
            hba_reset(h);
        } else {
            h->ghc = GHC_AE | (val & GHC_IE);
            hba_irq_update(h, true);
        }
        break;
    case HBA_IS:
        h->is &= ~val;
        for (unsigned i = 0; i < AHCI_PORTS; i++) /* the level stays while a port has something to say */
            if (h->port[i].is & h->port[i].ie)
                h->is |= BIT(i);
        hba_irq_update(h, true);
        break;
    }
}

static const struct region_ops abar_ops = { abar_read, abar_write, 4, 4 };

/* -- the device ----------------------------------------------------------------------------------------------------------------------- */

static void init_port(struct ahci *h, unsigned i)
{
    struct ahci_port *p = &h->port[i];
    const char *id = h->pci.dev.id;
    char *name = id ? g_strdup_printf("%s.%u", id, i) : NULL;

    p->hba = h;
    p->slot = -1;
    ata_bus_init(&p->ata, &h->pci.dev, name, &ahci_host_ops, i, 1, true);
    g_free(name);
}

static int ahci_realize(struct device *d, struct err *e)
{
    struct ahci *h = (struct ahci *)d;
    static const struct pci_id id = { 0x8086, 0x2922, 0x0106, 0x01, 2, 1, 0x1af4, 0x1100 };
    u8 sata;

    if (pci_attach(&h->pci, &id, e) < 0)
        return -1;
    region_init_io(&h->mmio, "ahci", ABAR_SIZE, &abar_ops, h, &d->m->lock);
    pci_bar_init(&h->pci, ABAR, &h->mmio, PCI_BAR_MEM32);
    pci_msi_init(&h->pci, 0);
    sata = pci_cap_add(&h->pci, 0x12, 8); /* SATA capability: revision 1.0, no index-data pair */
    h->pci.config[sata + 2] = 0x10;
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        init_port(h, i);
    return 0;
}

static void ahci_unrealize(struct device *d)
{
    struct ahci *h = (struct ahci *)d;

    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        ahci_port_drain(&h->port[i]);
        ata_bus_fini(&h->port[i].ata);
        sg_free(&h->port[i].sg);
        for (unsigned n = 0; n < AHCI_SLOTS; n++)
            sg_free(&h->port[i].ncq[n].sg);
    }
    pci_detach(&h->pci);
}

static void ahci_reset(struct device *d)
{
    struct ahci *h = (struct ahci *)d;

    hba_reset(h);
    pci_reset(&h->pci);
}

static void ahci_post_load(struct device *d)
{
    struct ahci *h = (struct ahci *)d;

    pci_post_load(&h->pci);
    h->ghc |= GHC_AE;
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        ahci_port_post_load(&h->port[i]);
    hba_irq_update(h, false);
}

static const struct prop ahci_props[] = { PCI_PROPS, PROP_DONE };

static const struct snap_field ahci_fields[] = {
    PCI_SNAP, SNAP_U(struct ahci, ghc), SNAP_U(struct ahci, is), SNAP_AS(struct ahci, port, ahci_port_fields), SNAP_DONE
};

#define AHCI_CLASS(name_) { \
    .name = name_, \
    .desc = "AHCI SATA controller with six ports", \
    .state_size = sizeof(struct ahci), \
    .user_creatable = true, \
    .bus_type = "PCI", \
    .props = ahci_props, \
    .fields = ahci_fields, \
    .snap_version = 1, \
    .realize = ahci_realize, \
    .reset = ahci_reset, \
    .unrealize = ahci_unrealize, \
    .post_load = ahci_post_load, \
}

const struct dev_class ich9_ahci_class = AHCI_CLASS("ich9-ahci");
const struct dev_class ahci_class = AHCI_CLASS("ahci");

struct device *ahci_new(struct machine *m, const char *addr, struct err *e)
{
    struct device *d = device_alloc(m, "ich9-ahci", e);
    struct ahci *h = (struct ahci *)d;

    if (!d)
        return NULL;
    if (device_set_prop(d, "addr", addr, e) < 0 || device_set_prop(d, "multifunction", "on", e) < 0) {
        device_abandon(d);
        return NULL;
    }
    if (device_realize(d, e) < 0)
        return NULL;
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (ata_add_drives(&h->port[i].ata, i, 0, e) < 0)
            return NULL;
    if (!m->cfg.nodefaults && !drive_find(DRIVE_IDE, 2, 0) && ata_add_cdrom(&h->port[2].ata, e) < 0)
        return NULL;
    return d;
}
