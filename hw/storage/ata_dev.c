/* The devices ide-hd and ide-cd, and the IDE bus that controllers embed. Made by the machine, -device or device_add on the main thread,
 * machine lock held. */
#include <glib.h>
#include <stdio.h>
#include "hw/backend/drive.h"
#include "hw/core/machine.h"
#include "hw/storage/ata.h"
#include "util/err.h"
#include "util/opts.h"

/* -- the bus -------------------------------------------------------------------------------------------------------------- */

static int bus_attach(struct bus *bus, struct device *dev, struct err *e)
{
    struct ata_bus *b = container_of(bus, struct ata_bus, bus);
    struct ata_dev *d = (struct ata_dev *)dev;

    if (d->unit < -1 || d->unit >= (int)b->units)
        return err_set(e, "%s: unit=%d: bus '%s' has %s", dev->cls->name, d->unit, bus->name,
                       b->units == 1 ? "unit 0 only" : "units 0 and 1");
    if (d->unit < 0)
        d->unit = b->dev[0] ? 1 : 0;
    if (d->unit >= (int)b->units || b->dev[d->unit])
        return err_set(e, "%s: unit %d of bus '%s' is taken", dev->cls->name, d->unit, bus->name);
    d->bus = b;
    return 0;
}

static const struct bus_ops ata_plug_ops = { .attach = bus_attach };

void ata_bus_init(struct ata_bus *b, struct device *owner, const char *name, const struct ata_host_ops *ops, unsigned index, unsigned units,
                  bool sata)
{
    bus_init(&b->bus, owner->m, "IDE", name, owner, &ata_plug_ops, units);
    b->ops = ops;
    b->index = index;
    b->units = units;
    b->sata = sata;
}

void ata_bus_fini(struct ata_bus *b)
{
    bus_free_devices(&b->bus);
    bus_fini(&b->bus);
}

static struct ata_dev *make(struct ata_bus *b, bool cdrom, struct blk *blk, int unit, struct err *e)
{
    struct ata_dev *d = (struct ata_dev *)device_alloc(b->bus.m, cdrom ? "ide-cd" : "ide-hd", e);

    if (!d)
        return NULL;
    d->blk = blk;
    d->unit = unit;
    if (device_set_bus(&d->dev, &b->bus, e) < 0) {
        device_abandon(&d->dev);
        return NULL;
    }
    return device_realize(&d->dev, e) == 0 ? d : NULL;
}

int ata_add_drives(struct ata_bus *b, unsigned drive_bus, unsigned first_unit, struct err *e)
{
    for (unsigned i = 0; i < b->units; i++) {
        struct drive *drive = drive_find(DRIVE_IDE, drive_bus, first_unit + i);
        if (!drive)
            continue;
        drive->taken = true;
        if (!make(b, drive->cdrom, drive->blk, i, e))
            return err_prefix(e, "%s", drive->option);
    }
    return 0;
}

int ata_add_cdrom(struct ata_bus *b, struct err *e)
{
    char id[16];
    struct opts *none;
    struct blk *blk;

    snprintf(id, sizeof(id), "ide%u-cd0", b->index);
    blk = blk_find(id);
    if (!blk) {
        none = opts_parse("", NULL, e);
        blk = none ? blk_open_opts(id, none, true, e) : NULL;
        opts_free(none);
    }
    return blk && make(b, true, blk, 0, e) ? 0 : -1;
}

/* -- the devices ------------------------------------------------------------------------------------------------------------ */

static int check_blocks(const struct ata_dev *d, struct err *e)
{
    u64 p = d->physical_block_size;

    if (d->block_size != ATA_SECTOR)
        return err_set(e, "ide-hd.logical_block_size: must be 512");
    if (p < ATA_SECTOR || p > 2 * MiB || (p & (p - 1)))
        return err_set(e, "ide-hd.physical_block_size: %llu is not a power of two from 512 to 2 MiB", (unsigned long long)p);
    return 0;
}

static int check_names(const struct ata_dev *d, struct err *e)
{
    const char *cls = d->dev.cls->name;

    if (strlen(d->serial) > 20)
        return err_set(e, "%s.serial: longer than 20 characters", cls);
    if (strlen(d->model) > 40)
        return err_set(e, "%s.model: longer than 40 characters", cls);
    if (strlen(d->version) > 8)
        return err_set(e, "%s.ver: longer than 8 characters", cls);
    return 0;
}

/* Serial numbers count the machine's IDE devices. */
static void default_serial(struct ata_dev *d)
{
    unsigned n = 1;

    for (const struct device *o = d->dev.m->devices; o; o = o->next)
        n += o->cls->bus_type && !strcmp(o->cls->bus_type, "IDE");
    if (!d->serial)
        d->serial = g_strdup_printf("GM%05u", n);
}

static int hd_realize(struct device *dev, struct err *e)
{
    struct ata_dev *d = (struct ata_dev *)dev;

    default_serial(d);
    if (!d->blk)
        return err_set(e, "ide-hd: drive= is missing");
    if (!blk_present(d->blk))
        return err_set(e, "ide-hd: drive '%s' has no medium", blk_id(d->blk));
    if (check_blocks(d, e) < 0 || check_names(d, e) < 0 ||
        blk_attach(d->blk, NULL, d, &dev->m->lock, BLK_WRITES | (d->share_rw ? BLK_SHARE_RW : 0), e) < 0)
        return -1;
    blk_set_on_error(d->blk, d->rerror, d->werror);
    d->bus->dev[d->unit] = d;
    return 0;
}

static int cd_realize(struct device *dev, struct err *e)
{
    struct ata_dev *d = (struct ata_dev *)dev;

    default_serial(d);
    d->cdrom = true;
    d->lu = (struct scsi_lu){
        .dev = dev, .lock = &dev->m->lock, .blk = d->blk, .share_rw = d->share_rw, .cdrom = true, .atapi = true, .block_size = 2048, .physical_block_size = 2048,
        .vendor = "GEMEL", .product = "GEMEL DVD-ROM", .version = d->version, .serial = d->serial,
    };
    if (check_names(d, e) < 0 || scsi_lu_init(&d->lu, e) < 0)
        return -1;
    blk_set_on_error(d->blk, d->rerror, d->werror);
    d->req.lu = &d->lu;
    d->req.ops = &atapi_req_ops;
    d->req.opaque = d;
    d->bus->dev[d->unit] = d;
    return 0;
}

static void dev_unrealize(struct device *dev)
{
    struct ata_dev *d = (struct ata_dev *)dev;

    ata_reset(d, true);
    d->bus->dev[d->unit] = NULL;
    if (d->cdrom)
        scsi_lu_fini(&d->lu);
    else
        blk_detach(d->blk);
}

static void dev_reset(struct device *dev)
{
    ata_reset((struct ata_dev *)dev, true);
}

static void dev_post_load(struct device *dev)
{
    struct ata_dev *d = (struct ata_dev *)dev;

    d->req.lu = d->cdrom ? &d->lu : NULL;
    ata_post_load(d);
}

static void dev_fw_name(const struct device *dev, char *buf, unsigned size)
{
    const struct ata_dev *d = (const struct ata_dev *)dev;

    snprintf(buf, size, "drive@%x/disk@%x", d->bus->index, d->unit);
}

#define P(f) offsetof(struct ata_dev, f)
#define COMMON_PROPS(model_) \
    { "drive", PROP_DRIVE, P(blk), 0, NULL, "back end: a -drive id or -blockdev node name" }, \
    BLK_ERROR_PROPS(P(rerror), P(werror)), \
    BLK_SHARE_PROP(P(share_rw)), \
    { "unit", PROP_I32, P(unit), (u32)-1, NULL, "0: master, 1: slave; default: the first free one" }, \
    { "bootindex", PROP_I32, P(bootindex), (u32)-1, NULL, "place in the firmware's boot order" }, \
    { "serial", PROP_STR, P(serial), 0, NULL, "serial number, up to 20 characters" }, \
    { "model", PROP_STR, P(model), 0, model_, "model, up to 40 characters" }, \
    { "ver", PROP_STR, P(version), 0, "1.0", "firmware revision, up to 8 characters" }, \
    { "wwn", PROP_U64, P(wwn), 0, NULL, "world-wide name" }

static const struct prop hd_props[] = {
    COMMON_PROPS("GEMEL HARDDISK"),
    { "logical_block_size", PROP_SIZE, P(block_size), 512, NULL, "512" },
    { "physical_block_size", PROP_SIZE, P(physical_block_size), 512, NULL, "bytes" },
    { "rotation_rate", PROP_U16, P(rotation_rate), 0, NULL, "0: not told, 1: no rotation (SSD), else turns a minute" },
    { "write-cache", PROP_AUTO, P(write_cache), AUTO_AUTO, NULL, "write cache on at power-on" },
    PROP_DONE
};
static const struct prop cd_props[] = { COMMON_PROPS("GEMEL DVD-ROM"), PROP_DONE };

const struct dev_class ide_hd_class = {
    .name = "ide-hd",
    .desc = "IDE or SATA disk",
    .state_size = sizeof(struct ata_dev),
    .user_creatable = true,
    .bus_type = "IDE",
    .props = hd_props,
    .fields = ata_fields,
    .snap_version = 1,
    .realize = hd_realize,
    .reset = dev_reset,
    .unrealize = dev_unrealize,
    .post_load = dev_post_load,
    .fw_name = dev_fw_name,
};

const struct dev_class ide_cd_class = {
    .name = "ide-cd",
    .desc = "IDE or SATA CD-ROM drive",
    .state_size = sizeof(struct ata_dev),
    .user_creatable = true,
    .bus_type = "IDE",
    .props = cd_props,
    .fields = ata_fields,
    .snap_version = 1,
    .realize = cd_realize,
    .reset = dev_reset,
    .unrealize = dev_unrealize,
    .post_load = dev_post_load,
    .fw_name = dev_fw_name,
};
