/* The PIIX3 IDE function: two channels at their legacy ports and the bus-master registers in BAR 4. Configuration cycles and port accesses
 * come from vCPU threads, machine lock held; hw/machine/pc.c makes it. Intel 82371SB (290550), section 2.3. */
#include "hw/backend/drive.h"
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "hw/storage/ide.h"

enum { IDETIM = 0x40, IDETIM_DECODE = 0x80, SIDETIM = 0x44 };

struct piix3_ide {
    struct pci_device pci;
    struct region bm;
    struct ide_channel ch[2];
};

static bool piix3_is_master(struct ide_channel *c)
{
    return pci_is_master((struct pci_device *)c->ata.bus.owner);
}

static u64 bm_read(void *opaque, u64 off, unsigned size)
{
    struct piix3_ide *ide = opaque;
    u64 v = 0;

    for (unsigned i = 0; i < size; i++)
        v |= (u64)ide_bm_read(&ide->ch[(off + i) >> 3 & 1], (off + i) & 7) << (8 * i);
    return v;
}

static void bm_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct piix3_ide *ide = opaque;

    for (unsigned i = 0; i < size; i++)
        ide_bm_write(&ide->ch[(off + i) >> 3 & 1], (off + i) & 7, val >> (8 * i));
}

static const struct region_ops bm_ops = { bm_read, bm_write, 1, 4 };

static void ide_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct piix3_ide *ide = container_of(d, struct piix3_ide, pci);
    bool io = ld16(d->config + PCI_COMMAND) & PCI_CMD_IO;

    region_txn_begin();
    for (unsigned i = 0; i < 2; i++) {
        bool on = io && (d->config[IDETIM + 2 * i + 1] & IDETIM_DECODE);
        region_set_enabled(&ide->ch[i].command, on);
        region_set_enabled(&ide->ch[i].control, on);
    }
    region_txn_commit();
}

static const struct pci_ops ide_pci_ops = { .config_changed = ide_config_changed };

static int piix3_ide_realize(struct device *d, struct err *e)
{
    static const u16 command_port[2] = { 0x1f0, 0x170 }, control_port[2] = { 0x3f6, 0x376 };
    static const struct pci_id id = { 0x8086, 0x7010, 0x0101, 0x80, 0, 0, 0, 0 };
    struct piix3_ide *ide = (struct piix3_ide *)d;

    if (pci_attach(&ide->pci, &id, e) < 0)
        return -1;
    ide->pci.ops = &ide_pci_ops;
    st32(ide->pci.config + IDETIM, 0x80008000); /* channels decode from the start: edk2 does not turn them on */
    memset(ide->pci.wmask + IDETIM, 0xff, 4);
    ide->pci.wmask[SIDETIM] = 0xff;
    region_init_io(&ide->bm, "ide-bus-master", 16, &bm_ops, ide, &d->m->lock);
    pci_bar_init(&ide->pci, 4, &ide->bm, PCI_BAR_IO);
    for (unsigned i = 0; i < 2; i++) {
        ide_channel_init(&ide->ch[i], d, i, d->m->gsi[14 + i], command_port[i], control_port[i]);
        ide->ch[i].is_master = piix3_is_master;
    }
    return 0;
}

static void piix3_ide_unrealize(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    for (unsigned i = 0; i < 2; i++)
        ide_channel_fini(&ide->ch[i]);
    pci_detach(&ide->pci);
}

static void piix3_ide_reset(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    for (unsigned i = 0; i < 2; i++)
        ide_channel_reset(&ide->ch[i]);
    pci_reset(&ide->pci);
}

static void piix3_ide_post_load(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    pci_post_load(&ide->pci);
    for (unsigned i = 0; i < 2; i++)
        ide_channel_post_load(&ide->ch[i]);
}

static const struct prop piix3_ide_props[] = { PCI_PROPS_AT("1.1"), PROP_DONE };

static const struct snap_field piix3_ide_fields[] = {
    PCI_SNAP, SNAP_AS(struct piix3_ide, ch, ide_channel_fields), SNAP_DONE
};

const struct dev_class piix3_ide_class = {
    .name = "piix3-ide",
    .desc = "PIIX3 IDE controller",
    .state_size = sizeof(struct piix3_ide),
    .bus_type = "PCI",
    .props = piix3_ide_props,
    .fields = piix3_ide_fields,
    .snap_version = 2,
    .realize = piix3_ide_realize,
    .reset = piix3_ide_reset,
    .unrealize = piix3_ide_unrealize,
    .post_load = piix3_ide_post_load,
};

struct device *piix3_ide_new(struct machine *m, struct err *e)
{
    struct device *d = device_alloc(m, "piix3-ide", e);
    struct piix3_ide *ide = (struct piix3_ide *)d;

    if (!d || device_realize(d, e) < 0)
        return NULL;
    for (unsigned i = 0; i < 2; i++)
        if (ata_add_drives(&ide->ch[i].ata, i, 0, e) < 0)
            return NULL;
    if (!m->cfg.nodefaults && !drive_find(DRIVE_IDE, 1, 0) && ata_add_cdrom(&ide->ch[1].ata, e) < 0)
        return NULL;
    return d;
}

void piix3_ide_enable(struct device *d)
{
    struct piix3_ide *ide = (struct piix3_ide *)d;

    pci_config_write(ide->pci.bus, ide->pci.devfn, IDETIM, 0x80008000, 4);
}
