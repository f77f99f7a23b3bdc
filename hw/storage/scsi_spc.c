/* SCSI commands that every logical unit knows: INQUIRY with its vital product data, REQUEST SENSE, REPORT LUNS, mode pages, TEST UNIT
 * READY. Called through the command table (hw/storage/scsi.c), the unit's lock held. SPC-4, chapters 6 and 7; SBC-3, 6.5. */
#include <stdio.h>
#include "hw/storage/scsi_impl.h"

enum { TYPE_DISK = 0, TYPE_CDROM = 5 };

/* -- sense -------------------------------------------------------------------------------------------------------------- */

void scsi_sense_fill(u8 sense[SCSI_SENSE_SIZE], enum scsi_sense s)
{
    memset(sense, 0, SCSI_SENSE_SIZE);
    sense[0] = 0x70;
    sense[2] = s >> 16;
    sense[7] = SCSI_SENSE_SIZE - 8;
    sense[12] = s >> 8;
    sense[13] = s;
}

static void cmd_request_sense(struct scsi_req *r)
{
    struct scsi_lu *lu = r->lu;
    enum scsi_sense s = lu->sense_key << 16 | lu->asc << 8 | lu->ascq;

    if (lu->ua_asc && !s) {
        s = 6 << 16 | lu->ua_asc << 8 | lu->ua_ascq;
        lu->ua_asc = lu->ua_ascq = 0;
    }
    lu->sense_key = lu->asc = lu->ascq = 0;
    if (r->cdb[1] & 1) { /* DESC */
        memset(r->buf, 0, 8);
        r->buf[0] = 0x72;
        r->buf[1] = s >> 16;
        r->buf[2] = s >> 8;
        r->buf[3] = s;
        scsi_reply(r, 8, r->cdb[4]);
        return;
    }
    scsi_sense_fill(r->buf, s);
    scsi_reply(r, SCSI_SENSE_SIZE, r->cdb[4]);
}

static void cmd_test_unit_ready(struct scsi_req *r)
{
    scsi_good(r);
}

/* -- INQUIRY ------------------------------------------------------------------------------------------------------------ */

static void put_text(u8 *p, const char *s, unsigned len)
{
    memset(p, ' ', len);
    if (s)
        memcpy(p, s, MIN_OF(strlen(s), len));
}

static u32 vpd_serial(const struct scsi_lu *lu, u8 *p)
{
    u32 n = lu->serial ? MIN_OF(strlen(lu->serial), 36) : 0;

    if (n)
        memcpy(p, lu->serial, n);
    return n;
}

static u32 put_naa(u8 *p, u8 association, u64 wwn)
{
    p[0] = 1; /* binary */
    p[1] = association << 4 | 3;
    p[3] = 8;
    put_be64(p + 4, wwn);
    return 12;
}

static u32 vpd_ids(const struct scsi_lu *lu, u8 *p)
{
    const char *id = lu->device_id ? lu->device_id : lu->serial;
    u32 n = 0, len = id ? MIN_OF(strlen(id), 255 - 8) : 0;

    if (len) {
        p[0] = 2; /* ASCII */
        p[3] = len;
        memcpy(p + 4, id, len);
        n = 4 + len;
    }
    if (lu->wwn)
        n += put_naa(p + n, 0, lu->wwn);
    if (lu->port_wwn)
        n += put_naa(p + n, 1, lu->port_wwn);
    if (lu->port_index) {
        const u8 port[8] = { 0x61, 0x94, 0, 4, 0, 0, lu->port_index >> 8, lu->port_index }; /* SAS, relative target port */
        memcpy(p + n, port, sizeof(port));
        n += sizeof(port);
    }
    return n;
}

static u32 vpd_limits(const struct scsi_lu *lu, u8 *p)
{
    u32 unmap = MIN_OF((u64)lu->max_unmap_size / lu->block_size, 0xffffffff), grain = lu->discard_granularity / lu->block_size;

    p[0] = 1; /* WSNZ: WRITE SAME with 0 blocks is refused */
    put_be16(p + 2, lu->physical_block_size / lu->block_size);
    put_be32(p + 4, lu->max_io_size / lu->block_size);
    put_be32(p + 16, unmap);
    put_be32(p + 20, 255); /* descriptors */
    put_be32(p + 24, grain);
    put_be64(p + 32, unmap);
    return 60;
}

static u32 vpd_characteristics(const struct scsi_lu *lu, u8 *p)
{
    put_be16(p, lu->rotation_rate);
    return 60;
}

static u32 vpd_provisioning(const struct scsi_lu *lu, u8 *p)
{
    p[1] = 0xe0; /* UNMAP, WRITE SAME (16) and (10) unmap */
    p[2] = 2;    /* thin provisioned */
    return 4;
}

static u32 vpd_pages(const struct scsi_lu *lu, u8 *p);

static const struct {
    u8 page, units;
    u32 (*fill)(const struct scsi_lu *lu, u8 *p);
} vpd[] = {
    { 0x00, CMD_ANY, vpd_pages },         { 0x80, CMD_ANY, vpd_serial },           { 0x83, CMD_ANY, vpd_ids },
    { 0xb0, CMD_DISK, vpd_limits },       { 0xb1, CMD_DISK, vpd_characteristics }, { 0xb2, CMD_DISK, vpd_provisioning },
};

static bool vpd_has(const struct scsi_lu *lu, unsigned i)
{
    return (vpd[i].units & (lu->cdrom ? CMD_CD : CMD_DISK)) && (vpd[i].page != 0x80 || (lu->serial && *lu->serial));
}

static u32 vpd_pages(const struct scsi_lu *lu, u8 *p)
{
    u32 n = 0;

    for (unsigned i = 0; i < ARRAY_LEN(vpd); i++)
        if (vpd_has(lu, i))
            p[n++] = vpd[i].page;
    return n;
}

static void inquiry_vpd(struct scsi_req *r, u32 alloc)
{
    for (unsigned i = 0; i < ARRAY_LEN(vpd); i++) {
        if (vpd[i].page != r->cdb[2] || !vpd_has(r->lu, i))
            continue;
        memset(r->buf, 0, 512);
        r->buf[0] = r->lu->cdrom ? TYPE_CDROM : TYPE_DISK;
        r->buf[1] = r->cdb[2];
        u32 n = vpd[i].fill(r->lu, r->buf + 4);
        put_be16(r->buf + 2, n);
        scsi_reply(r, 4 + n, alloc);
        return;
    }
    scsi_fail(r, SENSE_BAD_CDB);
}

static void cmd_inquiry(struct scsi_req *r)
{
    const struct scsi_lu *lu = r->lu;
    u32 alloc = be16(r->cdb + 3);
    u8 *b = r->buf;

    if (r->cdb[1] & 1) {
        inquiry_vpd(r, alloc);
        return;
    }
    if (r->cdb[2] || (r->cdb[1] & 2)) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    memset(b, 0, 36);
    b[0] = lu->cdrom ? TYPE_CDROM : TYPE_DISK;
    b[1] = lu->cdrom || lu->removable ? 0x80 : 0;
    b[2] = lu->atapi ? 0 : lu->scsi_version;
    b[3] = lu->atapi ? 0x21 : 0x12; /* ATAPI version 2, old response format; HiSup and the current one */
    b[4] = 36 - 5;
    b[7] = lu->atapi ? 0 : 0x02;    /* CmdQue */
    put_text(b + 8, lu->vendor, 8);
    put_text(b + 16, lu->product, 16);
    put_text(b + 32, lu->version, 4);
    scsi_reply(r, 36, alloc);
}

static void cmd_report_luns(struct scsi_req *r)
{
    u32 alloc = be32(r->cdb + 6), n;

    if (r->cdb[2] > 2 || alloc < 16) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    memset(r->buf, 0, sizeof(r->buf));
    n = r->cdb[2] == 1 ? 0 : scsi_list_luns(r->lu, r->buf + 8, sizeof(r->buf) - 8); /* 1: well known units only */
    put_be32(r->buf, n);
    scsi_reply(r, 8 + n, alloc);
}

/* -- mode pages --------------------------------------------------------------------------------------------------------- */

static u32 page_recovery(const struct scsi_lu *lu, u8 *p, bool changeable)
{
    p[0] = 0x01;
    p[1] = lu->cdrom ? 0x06 : 0x0a;
    if (!changeable)
        p[2] = lu->cdrom ? 0 : 0x80; /* AWRE */
    return 2 + p[1];
}

static u32 page_caching(const struct scsi_lu *lu, u8 *p, bool changeable)
{
    p[0] = 0x08;
    p[1] = 0x12;
    p[2] = changeable || lu->wce ? 0x04 : 0;
    return 0x14;
}

static u32 page_control(const struct scsi_lu *lu, u8 *p, bool changeable)
{
    p[0] = 0x0a;
    p[1] = 0x0a;
    if (!changeable)
        p[3] = 0x10; /* unrestricted reordering */
    return 0x0c;
}

static u32 mode_page(const struct scsi_lu *lu, u8 page, u8 *p, bool changeable)
{
    if (page == 0x01)
        return page_recovery(lu, p, changeable);
    if (lu->cdrom)
        return scsi_cd_mode_page(lu, page, p, changeable);
    return page == 0x08 ? page_caching(lu, p, changeable) : page == 0x0a ? page_control(lu, p, changeable) : 0;
}

/* The block descriptor of a disk; length. */
static u32 block_descriptor(const struct scsi_lu *lu, u8 *p)
{
    u64 blocks = scsi_lu_blocks(lu);

    if (lu->cdrom)
        return 0;
    put_be32(p, blocks > 0xffffff ? 0 : blocks);
    p[4] = 0;
    put_be24(p + 5, lu->block_size);
    return 8;
}

static void cmd_mode_sense(struct scsi_req *r)
{
    bool ten = r->cdb[0] == 0x5a, dbd = r->cdb[1] & 8;
    u8 page = r->cdb[2] & 0x3f, control = r->cdb[2] >> 6;
    u32 head = ten ? 8 : 4, alloc = ten ? be16(r->cdb + 7) : r->cdb[4], n = head, pages = 0;
    const struct scsi_lu *lu = r->lu;
    u8 *b = r->buf;

    memset(b, 0, 512);
    if (control == 3) {
        scsi_fail(r, SENSE_SAVING);
        return;
    }
    if (!dbd)
        n += block_descriptor(lu, b + head);
    u32 descriptor = n - head;
    for (u8 i = 1; i < 0x3f; i++)
        if (page == i || page == 0x3f)
            n += pages = mode_page(lu, i, b + n, control == 1);
    if (n == head + descriptor && page != 0x00) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    u8 medium = !lu->cdrom ? 0 : lu->tray_open ? 0x71 : scsi_lu_ready(lu) ? 0x01 : 0x70;
    u8 specific = lu->cdrom ? 0 : (lu->blk && blk_readonly(lu->blk) ? 0x80 : 0) | (lu->dpofua ? 0x10 : 0);
    if (ten) {
        put_be16(b, n - 2);
        b[2] = medium;
        b[3] = specific;
        b[7] = descriptor;
    } else {
        b[0] = n - 1;
        b[1] = medium;
        b[2] = specific;
        b[3] = descriptor;
    }
    scsi_reply(r, n, alloc);
}

static void cmd_mode_select(struct scsi_req *r)
{
    bool ten = r->cdb[0] == 0x55;

    if ((r->cdb[1] & 0x11) != 0x10) /* page format, nothing to be saved */
        scsi_fail(r, SENSE_BAD_CDB);
    else
        scsi_collect(r, ten ? be16(r->cdb + 7) : r->cdb[4]);
}

/* A page may differ from the current one only in its changeable bits. */
static bool page_fits(const struct scsi_lu *lu, const u8 *p, u32 len)
{
    u8 now[256] = { 0 }, mask[256] = { 0 };
    u32 n = mode_page(lu, p[0] & 0x3f, now, false);

    if (!n || n != len)
        return false;
    mode_page(lu, p[0] & 0x3f, mask, true);
    for (u32 i = 2; i < n; i++)
        if ((p[i] ^ now[i]) & ~mask[i])
            return false;
    return true;
}

static void mode_select_step(struct scsi_req *r)
{
    bool ten = r->cdb[0] == 0x55;
    u32 head = ten ? 8 : 4, at = head;
    bool wce = r->lu->wce;

    if (r->buf_len >= head)
        at += ten ? be16(r->buf + 6) : r->buf[3];
    if (r->phase == SCSI_RANGE) { /* the flush below is done */
        scsi_good(r);
        return;
    }
    if (at > r->buf_len) {
        scsi_fail(r, SENSE_PARAM_LENGTH);
        return;
    }
    while (at < r->buf_len) {
        const u8 *p = r->buf + at;
        u32 len = at + 2 <= r->buf_len ? 2 + p[1] : 0;
        if (!len || at + len > r->buf_len) {
            scsi_fail(r, SENSE_PARAM_LENGTH);
            return;
        }
        if ((p[0] & 0x40) || !page_fits(r->lu, p, len)) {
            scsi_fail(r, SENSE_BAD_PARAM);
            return;
        }
        if ((p[0] & 0x3f) == 0x08)
            wce = p[2] & 4;
        at += len;
    }
    bool was = r->lu->wce;
    r->lu->wce = wce;
    if (was && !wce) { /* what was cached is to be on the medium */
        r->range = 1;
        scsi_range_submit(r, BLK_FLUSH, 0, NULL, 0, 0, 1);
    } else {
        scsi_good(r);
    }
}

const struct scsi_cmd scsi_spc_cmds[] = {
    { 0x00, CMD_ANY | CMD_MEDIUM, cmd_test_unit_ready, NULL },
    { 0x03, CMD_ANY | CMD_UA_OK | CMD_SENSE, cmd_request_sense, NULL },
    { 0x12, CMD_ANY | CMD_UA_OK, cmd_inquiry, NULL },
    { 0x15, CMD_ANY, cmd_mode_select, mode_select_step },
    { 0x1a, CMD_ANY, cmd_mode_sense, NULL },
    { 0x55, CMD_ANY, cmd_mode_select, mode_select_step },
    { 0x5a, CMD_ANY, cmd_mode_sense, NULL },
    { 0xa0, CMD_ANY | CMD_UA_OK, cmd_report_luns, NULL },
    { 0 }
};
