/* SCSI logical units: the block back end behind a disk or CD-ROM drive, and what it tells: size changes, media that come and go. Called by
 * the device that owns the unit and by the block layer on the main thread, the unit's lock held. */
#include <glib.h>
#include "hw/storage/scsi_impl.h"
#include "util/event.h"
#include "util/err.h"

enum { MEDIA_EJECT_REQUEST = 1, MEDIA_NEW = 2, MEDIA_REMOVAL = 3 }; /* MMC-6, 6.6.2.6: media events */

void scsi_attention(struct scsi_lu *lu, enum scsi_sense sense)
{
    if (lu->ua_asc != (SENSE_POWER_ON >> 8 & 0xff)) {
        lu->ua_asc = sense >> 8;
        lu->ua_ascq = sense;
    }
    if (lu->ops && lu->ops->attention)
        lu->ops->attention(lu, sense >> 8, sense);
}

static void on_resized(void *opaque)
{
    struct scsi_lu *lu = opaque;

    scsi_attention(lu, lu->cdrom ? SENSE_MEDIUM_CHANGED : SENSE_CAPACITY_CHANGED);
}

static void on_media_changed(void *opaque, bool loaded)
{
    struct scsi_lu *lu = opaque;

    lu->tray_open = !loaded;
    lu->tray_locked = lu->tray_locked && loaded;
    lu->media_event = loaded ? MEDIA_NEW : MEDIA_REMOVAL;
    scsi_attention(lu, SENSE_MEDIUM_CHANGED);
}

static void on_eject_request(void *opaque, bool force)
{
    struct scsi_lu *lu = opaque;

    lu->media_event = MEDIA_EJECT_REQUEST;
    if (force)
        lu->tray_locked = false;
    if (lu->ops && lu->ops->attention)
        lu->ops->attention(lu, SENSE_MEDIUM_CHANGED >> 8 & 0xff, 0);
}

static bool on_tray_open(void *opaque) { return ((struct scsi_lu *)opaque)->tray_open; }
static bool on_tray_locked(void *opaque) { return ((struct scsi_lu *)opaque)->tray_locked; }

static const struct blk_dev_ops disk_ops = { .resized = on_resized };
static const struct blk_dev_ops cdrom_ops = { on_resized, on_media_changed, on_eject_request, on_tray_open, on_tray_locked };

void scsi_tray_move(struct scsi_lu *lu, bool open)
{
    char *path;

    if (lu->tray_open == open)
        return;
    lu->tray_open = open;
    path = lu->dev->id ? g_strdup(lu->dev->id) : device_path(lu->dev);
    const struct event_member members[] = { EVENT_STR("device", lu->blk ? blk_id(lu->blk) : ""), EVENT_STR("id", path),
                                            EVENT_BOOL("tray-open", open), EVENT_DONE };
    event_emit("DEVICE_TRAY_MOVED", members);
    g_free(path);
}

int scsi_lu_init(struct scsi_lu *lu, struct err *e)
{
    unsigned how = (lu->cdrom ? BLK_FIXED_SIZE : BLK_WRITES) | (lu->share_rw ? BLK_SHARE_RW : 0);

    if (lu->blk && blk_attach(lu->blk, lu->cdrom || lu->removable ? &cdrom_ops : &disk_ops, lu, lu->lock, how, e) < 0)
        return -1;
    lu->wce = lu->write_cache;
    lu->ua_asc = SENSE_POWER_ON >> 8 & 0xff;
    return 0;
}

void scsi_lu_fini(struct scsi_lu *lu)
{
    while (lu->active)
        scsi_cancel(lu->active);
    blk_detach(lu->blk);
}

bool scsi_lu_ready(const struct scsi_lu *lu)
{
    return !lu->tray_open && scsi_lu_blocks(lu);
}

u64 scsi_lu_blocks(const struct scsi_lu *lu)
{
    u64 size = lu->blk && blk_present(lu->blk) ? blk_size(lu->blk) : 0;

    return (lu->cdrom ? size : ALIGN_UP(size, 512)) / lu->block_size;
}

const struct snap_field scsi_lu_fields[] = {
    SNAP_U(struct scsi_lu, sense_key), SNAP_U(struct scsi_lu, asc), SNAP_U(struct scsi_lu, ascq), SNAP_U(struct scsi_lu, ua_asc),
    SNAP_U(struct scsi_lu, ua_ascq), SNAP_U(struct scsi_lu, tray_open), SNAP_U(struct scsi_lu, tray_locked), SNAP_U(struct scsi_lu, wce),
    SNAP_U(struct scsi_lu, media_event), SNAP_DONE
};
