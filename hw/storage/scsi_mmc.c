/* SCSI commands of CD and DVD drives, for scsi-cd and, through ATAPI, ide-cd: reading, table of contents, features, media events, tray.
 * Called through the command table (hw/storage/scsi.c), the unit's lock held. A medium is one data track. MMC-6, chapter 6; Mt.
 * Fuji commands for the mode page. */
#include "hw/storage/scsi_impl.h"

enum { BLOCK = 2048, LEAD_IN = 150 /* frames before block 0 */, CD_BLOCKS = 80 * 60 * 75 /* larger is a DVD */, SPEED = 48 * 176 /* kB/s */ };
enum { PROFILE_NONE = 0, PROFILE_CD_ROM = 0x08, PROFILE_DVD_ROM = 0x10 };
enum { DATA_TRACK = 0x14 /* ADR 1, data, no copying */, LEAD_OUT = 0xaa };

static u16 profile(const struct scsi_lu *lu)
{
    if (!scsi_lu_ready(lu))
        return PROFILE_NONE;
    return scsi_lu_blocks(lu) > CD_BLOCKS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

static void put_msf(u8 *p, u32 lba)
{
    u32 f = lba + LEAD_IN;

    p[0] = f / (60 * 75);
    p[1] = f / 75 % 60;
    p[2] = f % 75;
}

static void put_address(u8 *p, u32 lba, bool msf)
{
    if (msf)
        put_msf(p + 1, lba);
    else
        put_be32(p, lba);
}

/* -- reading ------------------------------------------------------------------------------------------------------------ */

static void read_blocks(struct scsi_req *r, u64 lba, u64 blocks)
{
    u64 size = scsi_lu_blocks(r->lu);

    if (lba > size || blocks > size - lba)
        scsi_fail(r, SENSE_LBA_RANGE);
    else
        scsi_transfer(r, SCSI_DATA_IN, lba * BLOCK, blocks * BLOCK);
}

static void cmd_read(struct scsi_req *r)
{
    read_blocks(r, be32(r->cdb + 2), r->cdb[0] == 0x28 ? be16(r->cdb + 7) : be32(r->cdb + 6));
}

/* READ CD (MSF): the 2048 bytes of user data of a block of mode 1; there are no other blocks. */
static void read_cd(struct scsi_req *r, u64 lba, u64 blocks)
{
    u8 type = r->cdb[1] >> 2 & 7, fields = r->cdb[9] & 0xf8;

    if (type && type != 2)
        scsi_fail(r, SENSE_TRACK_MODE);
    else if ((r->cdb[9] & 0x06) || (r->cdb[10] & 7) || (fields && fields != 0x10))
        scsi_fail(r, SENSE_BAD_CDB);
    else
        read_blocks(r, lba, fields ? blocks : 0);
}

static void cmd_read_cd(struct scsi_req *r)
{
    read_cd(r, be32(r->cdb + 2), be24(r->cdb + 6));
}

static i64 msf_lba(const u8 *p)
{
    return (p[0] * 60 + p[1]) * 75 + p[2] - LEAD_IN;
}

static void cmd_read_cd_msf(struct scsi_req *r)
{
    i64 from = msf_lba(r->cdb + 3), to = msf_lba(r->cdb + 6);

    if (from < 0 || to < from)
        scsi_fail(r, SENSE_BAD_CDB);
    else
        read_cd(r, from, to - from);
}

static void cmd_seek(struct scsi_req *r)
{
    if (be32(r->cdb + 2) < scsi_lu_blocks(r->lu))
        scsi_good(r);
    else
        scsi_fail(r, SENSE_LBA_RANGE);
}

static void cmd_capacity(struct scsi_req *r)
{
    put_be32(r->buf, scsi_lu_blocks(r->lu) - 1);
    put_be32(r->buf + 4, BLOCK);
    scsi_reply(r, 8, 8);
}

static void cmd_format_capacities(struct scsi_req *r)
{
    bool ready = scsi_lu_ready(r->lu);

    memset(r->buf, 0, 12);
    r->buf[3] = 8;
    put_be32(r->buf + 4, ready ? scsi_lu_blocks(r->lu) : 0);
    put_be32(r->buf + 8, BLOCK);
    r->buf[8] = ready ? 2 : 3; /* formatted; no medium */
    scsi_reply(r, 12, be16(r->cdb + 7));
}

/* -- table of contents and the like --------------------------------------------------------------------------------------- */

static u32 toc_tracks(struct scsi_req *r, bool msf)
{
    u8 *b = r->buf, first = r->cdb[6];
    u32 n = 4;

    if (first > 1 && first != LEAD_OUT)
        return 0;
    b[2] = b[3] = 1;
    if (first <= 1) {
        b[n + 1] = DATA_TRACK;
        b[n + 2] = 1;
        put_address(b + n + 4, 0, msf);
        n += 8;
    }
    b[n + 1] = DATA_TRACK;
    b[n + 2] = LEAD_OUT;
    put_address(b + n + 4, scsi_lu_blocks(r->lu), msf);
    return n + 8;
}

static u32 toc_sessions(struct scsi_req *r, bool msf)
{
    u8 *b = r->buf;

    b[2] = b[3] = 1;
    b[5] = DATA_TRACK;
    b[6] = 1;
    put_address(b + 8, 0, msf);
    return 12;
}

/* The lead-in's own form: points A0 (first track), A1 (last), A2 (lead-out) and the track. */
static u32 toc_raw(struct scsi_req *r)
{
    static const u8 point[4] = { 0xa0, 0xa1, 0xa2, 1 };
    u8 *b = r->buf;

    b[2] = b[3] = 1;
    for (unsigned i = 0; i < 4; i++) {
        u8 *d = b + 4 + 11 * i;
        d[0] = 1;
        d[1] = DATA_TRACK;
        d[3] = point[i];
        if (i < 2)
            d[8] = 1;
        else
            put_msf(d + 8, i == 2 ? scsi_lu_blocks(r->lu) : 0);
    }
    return 4 + 4 * 11;
}

static void cmd_read_toc(struct scsi_req *r)
{
    u8 format = r->cdb[2] & 15 ? r->cdb[2] & 15 : r->cdb[9] >> 6;
    bool msf = r->cdb[1] & 2;
    u32 n;

    memset(r->buf, 0, 64);
    n = format == 0 ? toc_tracks(r, msf) : format == 1 ? toc_sessions(r, msf) : format == 2 ? toc_raw(r) : 0;
    if (!n) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    put_be16(r->buf, n - 2);
    scsi_reply(r, n, be16(r->cdb + 7));
}

static void cmd_disc_info(struct scsi_req *r)
{
    u8 *b = r->buf;

    if (r->cdb[1] & 7) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    memset(b, 0, 34);
    put_be16(b, 32);
    b[2] = 0x0e; /* complete, and so is the last session */
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20; /* unrestricted use */
    memset(b + 16, 0xff, 8);
    scsi_reply(r, 34, be16(r->cdb + 7));
}

static void cmd_track_info(struct scsi_req *r)
{
    u32 what = be32(r->cdb + 2), blocks = scsi_lu_blocks(r->lu);
    u8 type = r->cdb[1] & 3, *b = r->buf;

    if (type == 3 || (type == 0 ? what >= blocks : what != 1)) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    memset(b, 0, 36);
    put_be16(b, 34);
    b[2] = b[3] = 1;
    b[5] = 4; /* data track */
    b[6] = 1; /* mode 1 */
    put_be32(b + 24, blocks);
    put_be32(b + 28, blocks - 1);
    scsi_reply(r, 36, be16(r->cdb + 7));
}

static void cmd_subchannel(struct scsi_req *r)
{
    u8 *b = r->buf;

    memset(b, 0, 16);
    b[1] = 0x15; /* no audio status */
    if (!(r->cdb[2] & 0x40)) {
        scsi_reply(r, 4, be16(r->cdb + 7));
        return;
    }
    if (r->cdb[3] != 1) { /* current position; there are no catalogue numbers */
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    b[3] = 12;
    b[4] = 1;
    b[5] = DATA_TRACK;
    b[6] = b[7] = 1;
    scsi_reply(r, 16, be16(r->cdb + 7));
}

static u32 dvd_physical(const struct scsi_lu *lu, u8 *b)
{
    b[0] = 0x01;                            /* DVD-ROM, version 1 */
    b[1] = 0x02;                            /* 120 mm, 10.08 Mbit/s */
    b[2] = 0x01;                            /* one layer, embossed */
    put_be32(b + 4, 0x30000);               /* where data begins */
    put_be32(b + 8, 0x30000 + scsi_lu_blocks(lu) - 1);
    return 2048;
}

static u32 dvd_none(const struct scsi_lu *lu, u8 *b)
{
    return 4; /* no copy protection, all regions */
}

static u32 dvd_manufacturing(const struct scsi_lu *lu, u8 *b)
{
    return 2048;
}

static u32 dvd_list(const struct scsi_lu *lu, u8 *b);

static const struct {
    u8 format;
    u16 size;
    u32 (*fill)(const struct scsi_lu *lu, u8 *b);
} dvd[] = {
    { 0x00, 2052, dvd_physical }, { 0x01, 8, dvd_none }, { 0x04, 2052, dvd_manufacturing }, { 0xff, 20, dvd_list },
};

static u32 dvd_list(const struct scsi_lu *lu, u8 *b)
{
    for (unsigned i = 0; i < ARRAY_LEN(dvd); i++) {
        b[4 * i] = dvd[i].format;
        b[4 * i + 1] = 0x40; /* readable */
        put_be16(b + 4 * i + 2, dvd[i].size);
    }
    return 4 * ARRAY_LEN(dvd);
}

static void cmd_dvd_structure(struct scsi_req *r)
{
    for (unsigned i = 0; i < ARRAY_LEN(dvd) && profile(r->lu) == PROFILE_DVD_ROM && !(r->cdb[1] & 15); i++) {
        if (dvd[i].format != r->cdb[7])
            continue;
        memset(r->buf, 0, 2052);
        u32 n = dvd[i].fill(r->lu, r->buf + 4);
        put_be16(r->buf, n + 2);
        scsi_reply(r, n + 4, be16(r->cdb + 8));
        return;
    }
    scsi_fail(r, SENSE_BAD_CDB);
}

/* -- features ----------------------------------------------------------------------------------------------------------- */

static const struct feature {
    u16 code;
    u8 version, always; /* always: persistent and current */
    u16 profile;        /* otherwise current with this one; 0xffff: with any medium */
    u8 len, data[8];
} features[] = {
    { 0x0000, 0, 1, 0, 8, { 0, PROFILE_DVD_ROM, 0, 0, 0, PROFILE_CD_ROM, 0, 0 } },
    { 0x0001, 2, 1, 0, 8, { 0, 0, 0, 0, 1, 0, 0, 0 } },              /* core: the interface is filled in below */
    { 0x0002, 1, 1, 0, 4, { 2, 0, 0, 0 } },                          /* morphing */
    { 0x0003, 0, 1, 0, 4, { 0x29, 0, 0, 0 } },                       /* removable medium: tray, eject, lock */
    { 0x0010, 0, 0, 0xffff, 8, { 0, 0, BLOCK >> 8, 0, 0, 16, 0, 0 } }, /* random readable */
    { 0x001d, 0, 0, PROFILE_CD_ROM, 0, { 0 } },                      /* multi-read */
    { 0x001e, 2, 0, PROFILE_CD_ROM, 4, { 0 } },                      /* CD read */
    { 0x001f, 1, 0, PROFILE_DVD_ROM, 4, { 0 } },                     /* DVD read */
    { 0x0100, 0, 1, 0, 0, { 0 } },                                   /* power management */
    { 0x0105, 1, 1, 0, 4, { 0 } },                                   /* time-out */
};

static u32 put_feature(const struct scsi_lu *lu, const struct feature *f, bool current, u8 *p)
{
    u16 now = profile(lu);

    put_be16(p, f->code);
    p[2] = f->version << 2 | (f->always ? 2 : 0) | current;
    p[3] = f->len;
    memcpy(p + 4, f->data, f->len);
    if (f->code == 0x0000) {
        p[6] = now == PROFILE_DVD_ROM;
        p[10] = now == PROFILE_CD_ROM;
    } else if (f->code == 0x0001) {
        put_be32(p + 4, lu->atapi ? 2 : 1);
    }
    return 4 + f->len;
}

static void cmd_get_configuration(struct scsi_req *r)
{
    u8 which = r->cdb[1] & 3, *b = r->buf;
    u16 start = be16(r->cdb + 2), now = profile(r->lu);
    u32 n = 8;

    if (which == 3) {
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    memset(b, 0, 8);
    for (const struct feature *f = features; f < features + ARRAY_LEN(features); f++) {
        bool current = f->always || (now && (f->profile == 0xffff || f->profile == now));
        if (which == 2 ? f->code == start : f->code >= start && (which == 0 || current))
            n += put_feature(r->lu, f, current, b + n);
    }
    put_be32(b, n - 4);
    put_be16(b + 6, now);
    scsi_reply(r, n, be16(r->cdb + 7));
}

/* Mode page 0x2a, capabilities and mechanical status. */
u32 scsi_cd_mode_page(const struct scsi_lu *lu, u8 page, u8 *p, bool changeable)
{
    if (page != 0x2a)
        return 0;
    p[0] = 0x2a;
    p[1] = 0x12;
    if (changeable)
        return 0x14;
    p[2] = 0x3b;                                 /* reads CD-R(W), DVD-ROM, -R, -RAM */
    p[4] = 0x70;                                 /* multi-session, mode 2 */
    p[6] = 0x29 | (lu->tray_locked ? 0x02 : 0);  /* tray, eject, lock */
    put_be16(p + 8, SPEED);
    put_be16(p + 12, 512);                       /* KiB of buffer */
    put_be16(p + 14, SPEED);
    return 0x14;
}

/* -- tray and media events ------------------------------------------------------------------------------------------------ */

static void cmd_event_status(struct scsi_req *r)
{
    enum { MEDIA = 4 };
    struct scsi_lu *lu = r->lu;
    u8 *b = r->buf;

    if (!(r->cdb[1] & 1)) { /* asynchronous notification */
        scsi_fail(r, SENSE_BAD_CDB);
        return;
    }
    memset(b, 0, 8);
    b[3] = 1 << MEDIA; /* what there is */
    if (!(r->cdb[4] & 1 << MEDIA)) {
        b[1] = 2;
        b[2] = 0x80; /* no event available */
        scsi_reply(r, 4, be16(r->cdb + 7));
        return;
    }
    b[1] = 6;
    b[2] = MEDIA;
    b[4] = lu->media_event;
    b[5] = lu->tray_open | (scsi_lu_ready(lu) ? 2 : 0);
    if (be16(r->cdb + 7) >= 8)
        lu->media_event = 0;
    scsi_reply(r, 8, be16(r->cdb + 7));
}

static void cmd_start_stop(struct scsi_req *r)
{
    struct scsi_lu *lu = r->lu;
    bool start = r->cdb[4] & 1, load_eject = r->cdb[4] & 2;

    if (load_eject && !(r->cdb[4] & 0xf0)) {
        if (!start && lu->tray_locked) {
            scsi_fail(r, SENSE_REMOVAL_PREVENTED);
            return;
        }
        if (lu->tray_open == start) {
            scsi_tray_move(lu, !start);
            lu->media_event = !start ? 3 /* removal */ : scsi_lu_ready(lu) ? 2 /* new medium */ : 0;
            if (scsi_lu_ready(lu))
                scsi_attention(lu, SENSE_MEDIUM_CHANGED);
        }
    }
    scsi_good(r);
}

static void cmd_prevent(struct scsi_req *r)
{
    r->lu->tray_locked = r->cdb[4] & 1;
    scsi_good(r);
}

static void cmd_mechanism_status(struct scsi_req *r)
{
    memset(r->buf, 0, 8);
    r->buf[1] = r->lu->tray_open ? 0x10 : 0;
    scsi_reply(r, 8, be16(r->cdb + 8));
}

static void cmd_play(struct scsi_req *r)
{
    scsi_fail(r, SENSE_TRACK_MODE); /* there is no audio track */
}

const struct scsi_cmd scsi_mmc_cmds[] = {
    { 0x1b, CMD_CD, cmd_start_stop, NULL },
    { 0x1e, CMD_CD, cmd_prevent, NULL },
    { 0x23, CMD_CD, cmd_format_capacities, NULL },
    { 0x25, CMD_CD | CMD_MEDIUM, cmd_capacity, NULL },
    { 0x28, CMD_CD | CMD_MEDIUM, cmd_read, NULL },
    { 0x2b, CMD_CD | CMD_MEDIUM, cmd_seek, NULL },
    { 0x2f, CMD_CD | CMD_MEDIUM, scsi_good, NULL },
    { 0x35, CMD_CD, scsi_good, NULL },
    { 0x42, CMD_CD | CMD_MEDIUM, cmd_subchannel, NULL },
    { 0x43, CMD_CD | CMD_MEDIUM, cmd_read_toc, NULL },
    { 0x45, CMD_CD | CMD_MEDIUM, cmd_play, NULL },
    { 0x46, CMD_CD | CMD_UA_OK, cmd_get_configuration, NULL },
    { 0x47, CMD_CD | CMD_MEDIUM, cmd_play, NULL },
    { 0x4a, CMD_CD | CMD_UA_OK, cmd_event_status, NULL },
    { 0x4e, CMD_CD, scsi_good, NULL },
    { 0x51, CMD_CD | CMD_MEDIUM, cmd_disc_info, NULL },
    { 0x52, CMD_CD | CMD_MEDIUM, cmd_track_info, NULL },
    { 0xa5, CMD_CD | CMD_MEDIUM, cmd_play, NULL },
    { 0xa8, CMD_CD | CMD_MEDIUM, cmd_read, NULL },
    { 0xad, CMD_CD | CMD_MEDIUM, cmd_dvd_structure, NULL },
    { 0xb9, CMD_CD | CMD_MEDIUM, cmd_read_cd_msf, NULL },
    { 0xbb, CMD_CD, scsi_good, NULL },
    { 0xbd, CMD_CD, cmd_mechanism_status, NULL },
    { 0xbe, CMD_CD | CMD_MEDIUM, cmd_read_cd, NULL },
    { 0 }
};
