/* The devices scsi-hd and scsi-cd: a logical unit (hw/storage/scsi_lu.c) on the bus of a host adapter. Made by -device or device_add on the
 * main thread, machine lock held. */
#include <glib.h>
#include <stdio.h>
#include "hw/core/machine.h"
#include "hw/storage/scsi_impl.h"
#include "util/err.h"

static struct scsi_bus *bus_of(const struct scsi_disk *s)
{
    return container_of(s->dev.bus, struct scsi_bus, bus);
}

static void disk_attention(struct scsi_lu *lu, u8 asc, u8 ascq)
{
    struct scsi_bus *b = bus_of(container_of(lu, struct scsi_disk, lu));

    if (b->ops && b->ops->attention)
        b->ops->attention(b, lu, asc, ascq);
}

static const struct scsi_lu_ops disk_lu_ops = { disk_attention };

static int check_props(const struct scsi_disk *s, bool cdrom, struct err *e)
{
    const char *cls = s->dev.cls->name;

    if (!cdrom && !s->blk)
        return err_set(e, "%s: drive= is missing", cls);
    if (!cdrom && !blk_present(s->blk))
        return err_set(e, "%s: drive '%s' has no medium", cls, blk_id(s->blk));
    if (s->block_size < 512 || s->block_size > 4096 || (s->block_size & (s->block_size - 1)))
        return err_set(e, "%s.logical_block_size: %llu is not a power of two from 512 to 4096", cls,
                       (unsigned long long)s->block_size);
    if (s->physical_block_size < s->block_size || s->physical_block_size > 2 * MiB || (s->physical_block_size & (s->physical_block_size - 1)))
        return err_set(e, "%s.physical_block_size: %llu is not a power of two from the logical block's size to 2 MiB", cls,
                       (unsigned long long)s->physical_block_size);
    if (s->max_io_size > 0xffffffff || s->max_unmap_size > 0xffffffff || s->discard_granularity > 0xffffffff)
        return err_set(e, "%s: max_io_size, max_unmap_size and discard_granularity are less than 4 GiB", cls);
    if (s->serial && strlen(s->serial) > 36)
        return err_set(e, "%s.serial: longer than 36 characters", cls);
    return 0;
}

static int disk_realize(struct device *d, bool cdrom, struct err *e)
{
    struct scsi_disk *s = (struct scsi_disk *)d;

    if (cdrom)
        s->block_size = s->physical_block_size = 2048;
    else if (s->physical_block_size < s->block_size)
        s->physical_block_size = s->block_size;
    if (check_props(s, cdrom, e) < 0)
        return -1;
    s->lu = (struct scsi_lu){
        .dev = d, .lock = bus_of(s)->lock, .ops = &disk_lu_ops, .blk = s->blk, .share_rw = s->share_rw, .cdrom = cdrom, .removable = s->removable,
        .dpofua = s->dpofua, .write_cache = !cdrom && s->write_cache != AUTO_OFF, .block_size = s->block_size,
        .physical_block_size = s->physical_block_size, .max_io_size = s->max_io_size, .max_unmap_size = s->max_unmap_size,
        .discard_granularity = s->discard_granularity ? s->discard_granularity : MAX_OF(4096, s->block_size),
        .rotation_rate = s->rotation_rate, .scsi_version = s->scsi_version, .vendor = s->vendor, .product = s->product,
        .version = s->version, .serial = s->serial, .device_id = s->device_id, .wwn = s->wwn, .port_wwn = s->port_wwn,
        .port_index = s->port_index,
    };
    if (scsi_lu_init(&s->lu, e) < 0)
        return -1;
    blk_set_on_error(s->blk, s->rerror, s->werror);
    if (s->blk && bus_of(s)->iothread)
        blk_set_iothread(s->blk, bus_of(s)->iothread);
    return 0;
}

static int hd_realize(struct device *d, struct err *e)
{
    return disk_realize(d, false, e);
}

static int cd_realize(struct device *d, struct err *e)
{
    return disk_realize(d, true, e);
}

static void disk_unrealize(struct device *d)
{
    struct scsi_disk *s = (struct scsi_disk *)d;
    struct scsi_bus *b = bus_of(s);
    struct scsi_req *r;

    while ((r = s->lu.active)) {
        scsi_cancel(r);
        if (b->ops && b->ops->cancelled)
            b->ops->cancelled(b, r);
    }
    scsi_lu_fini(&s->lu);
}

/* The adapter's reset has cancelled its requests already, or does so later: nobody waits for them. */
static void disk_reset(struct device *d)
{
    struct scsi_disk *s = (struct scsi_disk *)d;

    scsi_lu_reset(&s->lu);
}

static void disk_fw_name(const struct device *d, char *buf, unsigned size)
{
    const struct scsi_disk *s = (const struct scsi_disk *)d;

    snprintf(buf, size, "channel@%x/disk@%x,%x", s->channel, s->id, s->lun);
}

#define P(f) offsetof(struct scsi_disk, f)
#define COMMON_PROPS \
    { "drive", PROP_DRIVE, P(blk), 0, NULL, "back end: a -drive id or -blockdev node name" }, \
    BLK_ERROR_PROPS(P(rerror), P(werror)), \
    BLK_SHARE_PROP(P(share_rw)), \
    { "channel", PROP_U32, P(channel), 0, NULL, "SCSI channel" }, \
    { "scsi-id", PROP_I32, P(id), (u32)-1, NULL, "SCSI target; default: the first free one" }, \
    { "lun", PROP_U32, P(lun), 0, NULL, "logical unit" }, \
    { "bootindex", PROP_I32, P(bootindex), (u32)-1, NULL, "place in the firmware's boot order" }, \
    { "serial", PROP_STR, P(serial), 0, NULL, "serial number, up to 36 characters" }, \
    { "vendor", PROP_STR, P(vendor), 0, "GEMEL", "INQUIRY vendor, 8 characters" }, \
    { "ver", PROP_STR, P(version), 0, "1.0", "INQUIRY product revision, 4 characters" }, \
    { "device_id", PROP_STR, P(device_id), 0, NULL, "text of VPD page 83h; default: the serial number" }, \
    { "wwn", PROP_U64, P(wwn), 0, NULL, "world-wide name" }, \
    { "port_wwn", PROP_U64, P(port_wwn), 0, NULL, "world-wide name of the port" }, \
    { "port_index", PROP_U16, P(port_index), 0, NULL, "relative port" }, \
    { "scsi_version", PROP_U8, P(scsi_version), 5, NULL, "version that INQUIRY tells" }

static const struct prop hd_props[] = {
    COMMON_PROPS,
    { "product", PROP_STR, P(product), 0, "GEMEL HARDDISK", "INQUIRY product, 16 characters" },
    { "logical_block_size", PROP_SIZE, P(block_size), 512, NULL, "bytes: 512 to 4096" },
    { "physical_block_size", PROP_SIZE, P(physical_block_size), 512, NULL, "bytes" },
    { "discard_granularity", PROP_SIZE, P(discard_granularity), 0, NULL, "bytes" },
    { "max_unmap_size", PROP_SIZE, P(max_unmap_size), 1 << 30, NULL, "bytes that one UNMAP descriptor may have" },
    { "max_io_size", PROP_SIZE, P(max_io_size), 0x7fffffff, NULL, "bytes that one command may move" },
    { "rotation_rate", PROP_U16, P(rotation_rate), 0, NULL, "0: not told, 1: no rotation (SSD), else turns a minute" },
    { "removable", PROP_BOOL, P(removable), 0, NULL, "the medium can be removed" },
    { "dpofua", PROP_BOOL, P(dpofua), 1, NULL, "tell that forced unit access works" },
    { "write-cache", PROP_AUTO, P(write_cache), AUTO_AUTO, NULL, "write cache on at power-on" },
    PROP_DONE
};

static const struct prop cd_props[] = {
    COMMON_PROPS,
    { "product", PROP_STR, P(product), 0, "GEMEL CD-ROM", "INQUIRY product, 16 characters" },
    PROP_DONE
};

static const struct snap_field disk_fields[] = {
    SNAP_S(struct scsi_disk, lu, scsi_lu_fields), SNAP_DONE
};

const struct dev_class scsi_hd_class = {
    .name = "scsi-hd",
    .desc = "SCSI disk",
    .state_size = sizeof(struct scsi_disk),
    .user_creatable = true,
    .bus_type = "SCSI",
    .props = hd_props,
    .fields = disk_fields,
    .snap_version = 1,
    .realize = hd_realize,
    .reset = disk_reset,
    .unrealize = disk_unrealize,
    .fw_name = disk_fw_name,
};

const struct dev_class scsi_cd_class = {
    .name = "scsi-cd",
    .desc = "SCSI CD-ROM drive",
    .state_size = sizeof(struct scsi_disk),
    .user_creatable = true,
    .bus_type = "SCSI",
    .props = cd_props,
    .fields = disk_fields,
    .snap_version = 1,
    .realize = cd_realize,
    .reset = disk_reset,
    .unrealize = disk_unrealize,
    .fw_name = disk_fw_name,
};
