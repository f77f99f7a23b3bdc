/* The life of a SCSI command on a logical unit: lookup, unit attentions, data phase, status and sense. Called by host adapters (and
 * hw/storage/atapi.c) from vCPU, I/O or main threads and by completions of the block layer, the unit's lock held. SAM-5, chapter 5. */
#include "hw/storage/scsi.h"
#include <glib.h>
#include "hw/backend/blk.h"
#include "hw/storage/scsi_impl.h"

#define IOV_STACK 64

static const struct scsi_cmd *cmd_find(const struct scsi_req *r)
{
    const struct scsi_cmd *const tables[] = { scsi_spc_cmds, r->lu->cdrom ? scsi_mmc_cmds : scsi_sbc_cmds };

    for (unsigned t = 0; t < ARRAY_LEN(tables); t++)
        for (const struct scsi_cmd *c = tables[t]; c->start; c++)
            if (c->op == r->cdb[0] && (c->flags & (r->lu->cdrom ? CMD_CD : CMD_DISK)))
                return c;
    return NULL;
}

/* -- ends --------------------------------------------------------------------------------------------------------------- */

void scsi_forget(struct scsi_req *r)
{
    struct scsi_req **p = r->lu ? &r->lu->active : NULL; /* NULL: scsi_start_absent */

    while (p && *p && *p != r)
        p = &(*p)->next;
    if (p && *p)
        *p = r->next;
    r->next = NULL;
}

static void unlink_req(struct scsi_req *r)
{
    scsi_forget(r);
    r->phase = SCSI_IDLE;
    g_free(r->scratch);
    r->scratch = NULL;
}

void scsi_good(struct scsi_req *r)
{
    unlink_req(r);
    r->status = SCSI_GOOD;
    r->ops->done(r);
}

void scsi_fail(struct scsi_req *r, enum scsi_sense sense)
{
    struct scsi_lu *lu = r->lu;

    unlink_req(r);
    lu->sense_key = sense >> 16;
    lu->asc = sense >> 8;
    lu->ascq = sense;
    r->status = SCSI_CHECK_CONDITION;
    r->sense_len = SCSI_SENSE_SIZE;
    scsi_sense_fill(r->sense, sense);
    r->ops->done(r);
}

static enum scsi_sense sense_of_errno(int err, bool read)
{
    switch (err) {
    case ENOMEDIUM: return SENSE_NO_MEDIUM;
    case EACCES: case EROFS: case EPERM: return SENSE_WRITE_PROTECTED;
    case ENOSPC: return SENSE_SPACE;
    case ENOMEM: return SENSE_TARGET_FAILURE;
    default: return read ? SENSE_READ_ERROR : SENSE_WRITE_ERROR;
    }
}

/* -- data phase --------------------------------------------------------------------------------------------------------- */

static void ask_data(struct scsi_req *r)
{
    r->phase = SCSI_DATA;
    r->ops->data(r);
}

void scsi_reply(struct scsi_req *r, u32 len, u32 alloc)
{
    r->buf_len = r->len = MIN_OF(len, alloc);
    if (!r->len) {
        scsi_good(r);
        return;
    }
    r->dir = SCSI_DATA_IN;
    ask_data(r);
}

void scsi_collect(struct scsi_req *r, u32 len)
{
    if (len > sizeof(r->buf)) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    r->buf_len = r->len = len;
    if (!len) {
        scsi_good(r);
        return;
    }
    r->dir = SCSI_DATA_OUT;
    ask_data(r);
}

void scsi_transfer(struct scsi_req *r, enum scsi_dir dir, u64 off, u64 len)
{
    r->buf_len = 0;
    r->len = len;
    r->off = off;
    if (!len) {
        scsi_good(r);
        return;
    }
    r->dir = dir;
    ask_data(r);
}

static void data_moved(struct scsi_req *r)
{
    if (r->moved < r->len)
        ask_data(r);
    else if (r->buf_len && r->dir == SCSI_DATA_OUT)
        cmd_find(r)->step(r);
    else
        scsi_good(r);
}

static void disk_done(void *opaque, int ret)
{
    struct scsi_req *r = opaque;

    if (r->cancelled) {
        unlink_req(r);
    } else if (ret < 0) {
        scsi_fail(r, sense_of_errno(-ret, r->dir == SCSI_DATA_IN));
    } else {
        r->moved += r->piece;
        r->off += r->piece;
        data_moved(r);
    }
}

/* WRITE (10), (12), (16) and WRITE AND VERIFY have a bit that asks for the medium itself. */
static bool is_fua(const struct scsi_req *r)
{
    u8 op = r->cdb[0];

    if (!r->lu->wce || op == 0x2e || op == 0xae || op == 0x8e)
        return true;
    return (op == 0x2a || op == 0xaa || op == 0x8a) && (r->cdb[1] & 8);
}

static void disk_piece(struct scsi_req *r, const struct iovec *iov, unsigned n, u64 len)
{
    struct iovec few[IOV_STACK], *copy = n <= IOV_STACK ? few : g_new(struct iovec, n);
    bool in = r->dir == SCSI_DATA_IN;
    u64 left = len;
    unsigned used = 0;

    for (; used < n && left; used++) {
        copy[used] = iov[used];
        copy[used].iov_len = MIN_OF(copy[used].iov_len, left);
        left -= copy[used].iov_len;
    }
    r->piece = len;
    r->phase = SCSI_DISK;
    blk_submit(r->lu->blk, in ? BLK_READ : BLK_WRITE, r->off, copy, used, 0, !in && is_fua(r) ? BLK_FUA : 0, disk_done, r);
    if (copy != few)
        g_free(copy);
}

static void buffer_piece(struct scsi_req *r, const struct iovec *iov, unsigned n, u64 len)
{
    for (unsigned i = 0; i < n && len; i++) {
        u64 k = MIN_OF(iov[i].iov_len, len);
        if (r->dir == SCSI_DATA_IN)
            memcpy(iov[i].iov_base, r->buf + r->moved, k);
        else
            memcpy(r->buf + r->moved, iov[i].iov_base, k);
        r->moved += k;
        len -= k;
    }
    data_moved(r);
}

void scsi_data(struct scsi_req *r, const struct iovec *iov, unsigned n_iov)
{
    u64 room = 0;

    assert(r->phase == SCSI_DATA);
    for (unsigned i = 0; i < n_iov; i++)
        room += iov[i].iov_len;
    room = MIN_OF(room, r->len - r->moved);
    if (!room && r->buf_len && r->dir == SCSI_DATA_OUT)
        scsi_fail(r, SENSE_PARAM_LENGTH);
    else if (!room)
        scsi_good(r);
    else if (r->buf_len)
        buffer_piece(r, iov, n_iov, room);
    else
        disk_piece(r, iov, n_iov, room);
}

/* -- ranges ------------------------------------------------------------------------------------------------------------- */

static void range_done(void *opaque, int ret)
{
    struct scsi_req *r = opaque;

    if (r->cancelled) {
        unlink_req(r);
    } else if (ret < 0) {
        scsi_fail(r, sense_of_errno(-ret, false));
    } else {
        r->off += r->piece;
        r->range -= r->piece;
        cmd_find(r)->step(r);
    }
}

void scsi_range_submit(struct scsi_req *r, enum blk_op op, u64 off, const struct iovec *iov, u64 len, unsigned flags, u64 piece)
{
    r->phase = SCSI_RANGE;
    r->piece = piece;
    blk_submit(r->lu->blk, op, off, iov, iov ? 1 : 0, len, flags, range_done, r);
}

/* -- starting and cancelling -------------------------------------------------------------------------------------------- */

void scsi_start(struct scsi_req *r)
{
    struct scsi_lu *lu = r->lu;
    const struct scsi_cmd *c = cmd_find(r);

    r->dir = SCSI_NO_DATA;
    r->status = r->sense_len = 0;
    r->len = r->moved = r->off = r->range = r->piece = 0;
    r->buf_len = 0;
    r->cancelled = false;
    r->next = lu->active;
    lu->active = r;
    if (lu->ua_asc && !(c && (c->flags & CMD_UA_OK))) {
        enum scsi_sense ua = 6 << 16 | lu->ua_asc << 8 | lu->ua_ascq;
        lu->ua_asc = lu->ua_ascq = 0;
        scsi_fail(r, ua);
        return;
    }
    if (!c) {
        scsi_fail(r, SENSE_BAD_OPCODE);
        return;
    }
    if (!(c->flags & CMD_SENSE))
        lu->sense_key = lu->asc = lu->ascq = 0;
    if ((c->flags & CMD_MEDIUM) && !scsi_lu_ready(lu))
        scsi_fail(r, lu->tray_open ? SENSE_TRAY_OPEN : SENSE_NO_MEDIUM);
    else if ((c->flags & CMD_WRITES) && blk_readonly(lu->blk))
        scsi_fail(r, SENSE_WRITE_PROTECTED);
    else
        c->start(r);
}

void scsi_cancel(struct scsi_req *r)
{
    if (r->phase == SCSI_IDLE)
        return;
    if (r->phase == SCSI_DATA) {
        unlink_req(r);
        return;
    }
    r->cancelled = true;
    blk_drain(r->lu->blk);
}

void scsi_lu_reset(struct scsi_lu *lu)
{
    while (lu->active)
        scsi_cancel(lu->active);
    lu->sense_key = lu->asc = lu->ascq = 0;
    lu->tray_locked = false;
    lu->wce = lu->write_cache;
    lu->ua_asc = SENSE_POWER_ON >> 8 & 0xff;
    lu->ua_ascq = 0;
}

/* A request from a file: nothing in it may point outside. */
bool scsi_resume(struct scsi_req *r)
{
    const struct scsi_cmd *c = cmd_find(r);
    bool range = r->phase == SCSI_RANGE, data = r->phase == SCSI_DATA || r->phase == SCSI_DISK;

    r->cancelled = false;
    r->scratch = NULL;
    r->next = NULL;
    if (!c || !(range || data) || r->moved > r->len || r->buf_len > sizeof(r->buf) || (r->buf_len && r->len > r->buf_len) ||
        (range && !c->step) || (data && r->dir == SCSI_NO_DATA) || (r->buf_len && r->dir == SCSI_DATA_OUT && !c->step) ||
        (!r->buf_len && !r->lu->blk)) {
        r->phase = SCSI_IDLE;
        return false;
    }
    r->next = r->lu->active;
    r->lu->active = r;
    if (data)
        r->phase = SCSI_DATA;
    return true;
}

bool scsi_post_load(struct scsi_req *r)
{
    if (!scsi_resume(r))
        return false;
    if (r->phase == SCSI_RANGE)
        cmd_find(r)->step(r);
    else
        ask_data(r);
    return true;
}

const struct snap_field scsi_req_fields[] = {
    SNAP_B(struct scsi_req, cdb), SNAP_U(struct scsi_req, dir), SNAP_U(struct scsi_req, status), SNAP_U(struct scsi_req, sense_len),
    SNAP_B(struct scsi_req, sense), SNAP_U(struct scsi_req, len), SNAP_U(struct scsi_req, moved), SNAP_U(struct scsi_req, phase),
    SNAP_U(struct scsi_req, off), SNAP_U(struct scsi_req, range), SNAP_U(struct scsi_req, piece), SNAP_U(struct scsi_req, buf_len),
    SNAP_B(struct scsi_req, buf), SNAP_DONE
};
