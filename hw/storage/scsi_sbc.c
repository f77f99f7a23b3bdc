/* SCSI commands of disks: READ, WRITE, VERIFY, SYNCHRONIZE CACHE, UNMAP, WRITE SAME, READ CAPACITY. Called through the command table
 * (hw/storage/scsi.c), the unit's lock held. SBC-3, chapter 5. */
#include <glib.h>
#include "hw/storage/scsi_impl.h"

enum { WRITE_SAME_PIECE = 256 * 1024, UNMAP_HEAD = 8, UNMAP_DESCRIPTOR = 16 };

/* Block address and count of a CDB, by its group of sizes. */
static void cdb_range(const u8 *cdb, u64 *lba, u32 *blocks)
{
    switch (cdb[0] >> 5) {
    case 0:
        *lba = be24(cdb + 1) & 0x1fffff;
        *blocks = cdb[4] ? cdb[4] : 256;
        break;
    case 4:
        *lba = be64(cdb + 2);
        *blocks = be32(cdb + 10);
        break;
    case 5:
        *lba = be32(cdb + 2);
        *blocks = be32(cdb + 6);
        break;
    default:
        *lba = be32(cdb + 2);
        *blocks = be16(cdb + 7);
    }
}

static bool range_ok(struct scsi_req *r, u64 lba, u64 blocks)
{
    u64 size = scsi_lu_blocks(r->lu);

    if (lba <= size && blocks <= size - lba)
        return true;
    scsi_fail(r, SENSE_LBA_RANGE);
    return false;
}

static void transfer(struct scsi_req *r, enum scsi_dir dir)
{
    u64 lba;
    u32 blocks;

    cdb_range(r->cdb, &lba, &blocks);
    if ((r->cdb[0] >> 5) && (r->cdb[1] & 0xe0)) /* protection information */
        scsi_fail(r, SENSE_BAD_CDB);
    else if (range_ok(r, lba, blocks))
        scsi_transfer(r, dir, lba * r->lu->block_size, (u64)blocks * r->lu->block_size);
}

static void cmd_read(struct scsi_req *r)
{
    transfer(r, SCSI_DATA_IN);
}

static void cmd_write(struct scsi_req *r)
{
    transfer(r, SCSI_DATA_OUT);
}

static void cmd_verify(struct scsi_req *r)
{
    u64 lba;
    u32 blocks;

    cdb_range(r->cdb, &lba, &blocks);
    if (r->cdb[1] & 0xe6) /* protection, comparing with data */
        scsi_fail(r, SENSE_BAD_CDB);
    else if (range_ok(r, lba, blocks))
        scsi_good(r);
}

static void cmd_seek(struct scsi_req *r)
{
    if (range_ok(r, be32(r->cdb + 2), 1))
        scsi_good(r);
}

static void flush_step(struct scsi_req *r)
{
    if (r->range)
        scsi_range_submit(r, BLK_FLUSH, 0, NULL, 0, 0, 1);
    else
        scsi_good(r);
}

static void cmd_synchronize(struct scsi_req *r)
{
    u64 lba;
    u32 blocks;

    cdb_range(r->cdb, &lba, &blocks);
    r->range = 1;
    if (range_ok(r, lba, blocks))
        flush_step(r);
}

/* START STOP UNIT of a disk: spins up or down without effect; the cache goes out first. */
static void cmd_start_stop(struct scsi_req *r)
{
    if (r->cdb[4] & 0xf0) { /* power conditions: only the plain START bit here */
        scsi_good(r);
        return;
    }
    if ((r->cdb[4] & 3) == 2 && r->lu->removable && r->lu->tray_locked) {
        scsi_fail(r, SENSE_REMOVAL_PREVENTED);
        return;
    }
    if ((r->cdb[4] & 2) && r->lu->removable)
        scsi_tray_move(r->lu, !(r->cdb[4] & 1));
    r->range = r->lu->blk != NULL;
    flush_step(r);
}

static void cmd_prevent(struct scsi_req *r)
{
    if (r->lu->removable)
        r->lu->tray_locked = r->cdb[4] & 1;
    scsi_good(r);
}

/* -- capacity ----------------------------------------------------------------------------------------------------------- */

static void cmd_capacity10(struct scsi_req *r)
{
    u64 blocks = scsi_lu_blocks(r->lu);

    put_be32(r->buf, MIN_OF(blocks - 1, 0xffffffff));
    put_be32(r->buf + 4, r->lu->block_size);
    scsi_reply(r, 8, 8);
}

static void cmd_service_in16(struct scsi_req *r)
{
    const struct scsi_lu *lu = r->lu;

    if ((r->cdb[1] & 0x1f) != 0x10) { /* READ CAPACITY (16) */
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    memset(r->buf, 0, 32);
    put_be64(r->buf, scsi_lu_blocks(lu) - 1);
    put_be32(r->buf + 8, lu->block_size);
    r->buf[13] = lu->physical_block_size > lu->block_size ? __builtin_ctz(lu->physical_block_size / lu->block_size) : 0;
    r->buf[14] = 0x80; /* LBPME: provisioning management */
    scsi_reply(r, 32, be32(r->cdb + 10));
}

/* -- deallocation ------------------------------------------------------------------------------------------------------- */

static void cmd_unmap(struct scsi_req *r)
{
    u32 len = be16(r->cdb + 7);

    if (r->cdb[1] & 1) /* ANCHOR */
        scsi_fail(r, SENSE_BAD_CDB);
    else if (len && len < UNMAP_HEAD)
        scsi_fail(r, SENSE_PARAM_LENGTH);
    else
        scsi_collect(r, len);
}

/* One descriptor after the other: off is where in buf, range what is left of them. */
static void unmap_step(struct scsi_req *r)
{
    if (r->phase != SCSI_RANGE) {
        r->off = UNMAP_HEAD;
        r->range = MIN_OF(be16(r->buf + 2), r->buf_len - UNMAP_HEAD);
        if (r->range % UNMAP_DESCRIPTOR) {
            scsi_fail(r, SENSE_PARAM_LENGTH);
            return;
        }
    }
    if (!r->range || r->buf_len < UNMAP_DESCRIPTOR || r->off > r->buf_len - UNMAP_DESCRIPTOR) {
        scsi_good(r);
        return;
    }
    const u8 *d = r->buf + r->off;
    u64 lba = be64(d), blocks = be32(d + 8);
    if (range_ok(r, lba, blocks))
        scsi_range_submit(r, BLK_DISCARD, lba * r->lu->block_size, NULL, blocks * r->lu->block_size, 0, UNMAP_DESCRIPTOR);
}

static bool all_zero(const u8 *p, u32 n)
{
    return !p[0] && !memcmp(p, p + 1, n - 1);
}

static void write_same_step(struct scsi_req *r)
{
    u32 size = r->lu->block_size;
    u64 piece = MIN_OF(r->range, WRITE_SAME_PIECE);
    unsigned flags = r->lu->wce ? 0 : BLK_FUA;

    if (!r->range) {
        scsi_good(r);
        return;
    }
    if (all_zero(r->buf, size)) {
        scsi_range_submit(r, BLK_ZERO, r->off, NULL, r->range, flags | (r->cdb[1] & 8 ? BLK_MAY_UNMAP : 0), r->range);
        return;
    }
    if (!r->scratch) {
        r->scratch = g_malloc(WRITE_SAME_PIECE);
        for (u32 i = 0; i + size <= WRITE_SAME_PIECE; i += size)
            memcpy(r->scratch + i, r->buf, size);
    }
    struct iovec iov = { r->scratch, piece };
    scsi_range_submit(r, BLK_WRITE, r->off, &iov, 0, flags, piece);
}

static void cmd_write_same(struct scsi_req *r)
{
    u64 lba;
    u32 blocks;

    cdb_range(r->cdb, &lba, &blocks);
    if (r->cdb[1] & 0xf7 & ~0x01) { /* protection, ANCHOR and the obsolete bits; NDOB is bit 0 */
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    if (!blocks || ((r->cdb[1] & 1) && r->cdb[0] != 0x93)) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    if (!range_ok(r, lba, blocks))
        return;
    r->off = lba * r->lu->block_size;
    r->range = (u64)blocks * r->lu->block_size;
    if (r->cdb[1] & 1) { /* no data-out buffer: zeros */
        memset(r->buf, 0, r->lu->block_size);
        write_same_step(r);
    } else {
        scsi_collect(r, r->lu->block_size);
    }
}

const struct scsi_cmd scsi_sbc_cmds[] = {
    { 0x01, CMD_DISK, scsi_good, NULL }, /* REZERO UNIT */
    { 0x08, CMD_DISK | CMD_MEDIUM, cmd_read, NULL },
    { 0x0a, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write, NULL },
    { 0x1b, CMD_DISK, cmd_start_stop, flush_step },
    { 0x1e, CMD_DISK, cmd_prevent, NULL },
    { 0x25, CMD_DISK | CMD_MEDIUM, cmd_capacity10, NULL },
    { 0x28, CMD_DISK | CMD_MEDIUM, cmd_read, NULL },
    { 0x2a, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write, NULL },
    { 0x2b, CMD_DISK | CMD_MEDIUM, cmd_seek, NULL },
    { 0x2e, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write, NULL },
    { 0x2f, CMD_DISK | CMD_MEDIUM, cmd_verify, NULL },
    { 0x35, CMD_DISK | CMD_MEDIUM, cmd_synchronize, flush_step },
    { 0x41, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write_same, write_same_step },
    { 0x42, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_unmap, unmap_step },
    { 0x88, CMD_DISK | CMD_MEDIUM, cmd_read, NULL },
    { 0x8a, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write, NULL },
    { 0x8e, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write, NULL },
    { 0x8f, CMD_DISK | CMD_MEDIUM, cmd_verify, NULL },
    { 0x91, CMD_DISK | CMD_MEDIUM, cmd_synchronize, flush_step },
    { 0x93, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write_same, write_same_step },
    { 0x9e, CMD_DISK | CMD_MEDIUM, cmd_service_in16, NULL },
    { 0xa8, CMD_DISK | CMD_MEDIUM, cmd_read, NULL },
    { 0xaa, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write, NULL },
    { 0xae, CMD_DISK | CMD_MEDIUM | CMD_WRITES, cmd_write, NULL },
    { 0xaf, CMD_DISK | CMD_MEDIUM, cmd_verify, NULL },
    { 0 }
};
