/* The SMBus host controller of ICH9, on whose bus there is nothing: every transfer ends with a device error, as on a bus where no device
 * answers. vCPU threads, machine lock held. Intel ICH9 data sheet (316972), chapter 19. */
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/log.h"

enum { HOSTC = 0x40, HOSTC_ENABLE = 0x01, IO_BAR = 4, IO_SIZE = 32 };
enum { HST_STS = 0, HST_CNT = 2, HST_CMD = 3, XMIT_SLVA = 4, HST_D0 = 5, HST_D1 = 6, HOST_BLOCK_DB = 7, PEC = 8, AUX_CTL = 13 };
enum { STS_DEV_ERR = 0x04, STS_FAILED = 0x10, STS_INUSE = 0x40, STS_W1C = 0xfe, CNT_INTREN = 0x01, CNT_KILL = 0x02, CNT_START = 0x40 };

struct ich9_smb {
    struct pci_device pci;
    struct region io;
    u8 sts, cnt, cmd, slva, d0, d1, block, pec, aux_ctl;
};

static void smb_update_irq(struct ich9_smb *s)
{
    pci_set_intx(&s->pci, (s->cnt & CNT_INTREN) && (s->sts & (STS_DEV_ERR | STS_FAILED)));
}

/* The register at off that only keeps what is written to it, or NULL. */
static u8 *smb_plain_reg(struct ich9_smb *s, u64 off)
{
    switch (off) {
    case HST_CMD: return &s->cmd;
    case XMIT_SLVA: return &s->slva;
    case HST_D0: return &s->d0;
    case HST_D1: return &s->d1;
    case HOST_BLOCK_DB: return &s->block;
    case PEC: return &s->pec;
    case AUX_CTL: return &s->aux_ctl;
    default: return NULL;
    }
}

static u64 smb_read(void *opaque, u64 off, unsigned size)
{
    struct ich9_smb *s = opaque;
    u8 *plain = smb_plain_reg(s, off), v;

    if (off == HST_STS) {
        v = s->sts;
        s->sts |= STS_INUSE; /* reading takes the semaphore */
        return v;
    }
    return off == HST_CNT ? s->cnt : plain ? *plain : 0;
}

static void smb_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct ich9_smb *s = opaque;
    u8 *plain = smb_plain_reg(s, off);

    if (plain)
        *plain = val;
    if (off == HST_STS)
        s->sts &= ~(val & STS_W1C);
    if (off == HST_CNT) {
        s->cnt = val & ~CNT_START;
        if (val & CNT_KILL)
            s->sts |= STS_FAILED;
        else if (val & CNT_START)
            s->sts |= STS_DEV_ERR; /* nobody acknowledges the address */
    }
    smb_update_irq(s);
}

static const struct region_ops smb_ops = { smb_read, smb_write, 1, 1 };

static void smb_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    region_set_enabled(&container_of(d, struct ich9_smb, pci)->io, d->config[HOSTC] & HOSTC_ENABLE);
}

static const struct pci_ops smb_pci_ops = { .config_changed = smb_config_changed };

static int smb_realize(struct device *d, struct err *e)
{
    struct ich9_smb *s = (struct ich9_smb *)d;
    static const struct pci_id id = { 0x8086, 0x2930, 0x0c05, 0, 2, 1, 0, 0 };

    if (pci_attach(&s->pci, &id, e) < 0)
        return -1;
    s->pci.ops = &smb_pci_ops;
    s->pci.wmask[HOSTC] = 0x07;
    region_init_io(&s->io, "ich9-smb", IO_SIZE, &smb_ops, s, &d->m->lock);
    pci_bar_init(&s->pci, IO_BAR, &s->io, PCI_BAR_IO);
    return 0;
}

static void smb_unrealize(struct device *d)
{
    pci_detach(&((struct ich9_smb *)d)->pci);
}

static void smb_reset(struct device *d)
{
    struct ich9_smb *s = (struct ich9_smb *)d;

    s->sts = s->cnt = s->cmd = s->slva = s->d0 = s->d1 = s->block = s->pec = s->aux_ctl = 0;
    pci_reset(&s->pci);
}

static void smb_post_load(struct device *d)
{
    pci_post_load(&((struct ich9_smb *)d)->pci);
}

static const struct prop smb_props[] = { PCI_PROPS_AT("1f.3"), PROP_DONE };
static const struct snap_field smb_fields[] = {
    PCI_SNAP, SNAP_U(struct ich9_smb, sts), SNAP_U(struct ich9_smb, cnt), SNAP_U(struct ich9_smb, cmd), SNAP_U(struct ich9_smb, slva),
    SNAP_U(struct ich9_smb, d0), SNAP_U(struct ich9_smb, d1), SNAP_U(struct ich9_smb, block), SNAP_U(struct ich9_smb, pec),
    SNAP_U(struct ich9_smb, aux_ctl), SNAP_DONE
};

const struct dev_class ich9_smb_class = {
    .name = "ICH9-SMB",
    .desc = "ICH9 SMBus controller",
    .bus_type = "PCI",
    .state_size = sizeof(struct ich9_smb),
    .props = smb_props,
    .fields = smb_fields,
    .snap_version = 1,
    .realize = smb_realize,
    .reset = smb_reset,
    .unrealize = smb_unrealize,
    .post_load = smb_post_load,
};
