/* ATA commands without sectors: identification, settings, power, addresses. Called through ata_execute (hw/storage/ata.c), machine lock
 * held. ATA8-ACS, chapter 7. */
#include "hw/backend/blk.h"
#include "hw/storage/ata.h"

enum { HEADS = 16, TRACK_SECTORS = 63, CYLINDERS_MAX = 16383, LBA28_MAX = 0x0fffffff };

static void word(u8 *b, unsigned n, u16 v)
{
    st16(b + 2 * n, v);
}

static void id_string(u8 *p, const char *s, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        p[i ^ 1] = s && *s ? *s++ : ' ';
}

static void id_checksum(u8 *b)
{
    u8 sum = 0;

    b[510] = 0xa5;
    for (unsigned i = 0; i < 511; i++)
        sum += b[i];
    b[511] = -sum;
}

static void id_names(const struct ata_dev *d, u8 *b)
{
    id_string(b + 20, d->serial, 20);
    id_string(b + 46, d->version, 8);
    id_string(b + 54, d->model, 40);
}

/* Transfer modes, words 53 and 63 to 68 and 88. */
static void id_modes(const struct ata_dev *d, u8 *b)
{
    word(b, 53, 7);
    word(b, 63, 0x07 | (d->mwdma ? 0x100 << (d->mwdma - 1) : 0));
    word(b, 64, 0x0003); /* PIO modes 3 and 4 */
    for (unsigned i = 65; i <= 68; i++)
        word(b, i, 120); /* ns a cycle */
    word(b, 88, 0x3f | (d->udma ? 0x100 << (d->udma - 1) : 0));
}

static void id_sata(const struct ata_dev *d, u8 *b)
{
    if (d->bus->sata) {
        word(b, 75, ATA_NCQ_DEPTH - 1);
        word(b, 76, 0x0006 | (d->cdrom ? 0 : 0x0100)); /* 1.5 and 3 Gb/s, NCQ */
        word(b, 222, 0x1020);
    } else {
        word(b, 93, 0x6001 | (d->unit ? 0x4a00 : 0x000a)); /* 80 conductors; how the device number was set */
    }
}

/* Geometry: the default one, and that of INITIALIZE DEVICE PARAMETERS. */
static void id_geometry(const struct ata_dev *d, u8 *b, u64 sectors)
{
    u32 cyls = MIN_OF(sectors / (HEADS * TRACK_SECTORS), CYLINDERS_MAX);

    word(b, 1, MAX_OF(cyls, 1));
    word(b, 3, HEADS);
    word(b, 6, TRACK_SECTORS);
    cyls = MIN_OF(sectors / (d->heads * d->spt), 65535);
    word(b, 54, cyls);
    word(b, 55, d->heads);
    word(b, 56, d->spt);
    st32(b + 57 * 2, cyls * d->heads * d->spt);
}

static void id_sector_size(const struct ata_dev *d, u8 *b)
{
    unsigned n = __builtin_ctzll(d->physical_block_size / ATA_SECTOR);

    word(b, 106, 0x4000 | (n ? 0x2000 | n : 0));
}

/* FUA, WWN and, for the log of queued commands, general purpose logging. */
static u16 id_features84(const struct ata_dev *d)
{
    return 0x4040 | (d->wwn ? 0x100 : 0) | (d->bus->sata ? 0x20 : 0);
}

void ata_identify_disk(struct ata_dev *d)
{
    u64 sectors = ata_sectors(d);
    u8 *b = d->buf;

    memset(b, 0, ATA_SECTOR);
    word(b, 0, 0x0040); /* not removable */
    id_geometry(d, b, sectors);
    id_names(d, b);
    word(b, 47, 0x8000 | ATA_MULTIPLE_MAX);
    word(b, 48, 0x4000);                 /* no trusted computing */
    word(b, 49, 0x0f00);                 /* IORDY, LBA, DMA */
    word(b, 50, 0x4000);
    word(b, 51, 0x0200);
    word(b, 52, 0x0200);
    word(b, 59, d->multiple ? 0x100 | d->multiple : 0);
    st32(b + 60 * 2, MIN_OF(sectors, LBA28_MAX));
    id_modes(d, b);
    id_sata(d, b);
    word(b, 80, 0x01f0);                 /* ATA-4 to ATA8 */
    word(b, 81, 0x0028);                 /* ATA8-ACS */
    word(b, 82, 0x4061);                 /* NOP, look-ahead, write cache, SMART */
    word(b, 83, 0x7400);                 /* FLUSH CACHE (EXT), 48-bit addresses */
    word(b, 84, id_features84(d));
    word(b, 85, 0x4000 | (d->lookahead ? 0x40 : 0) | (d->wcache ? 0x20 : 0) | (d->smart ? 1 : 0));
    word(b, 86, 0x3400);
    word(b, 87, id_features84(d));
    st64(b + 100 * 2, sectors);
    word(b, 105, 1);                     /* sectors of a TRIM list */
    id_sector_size(d, b);
    if (d->wwn)
        for (unsigned i = 0; i < 4; i++)
            word(b, 108 + i, d->wwn >> (48 - 16 * i));
    word(b, 169, 1);                     /* TRIM */
    word(b, 217, d->rotation_rate);
    id_checksum(b);
}

void ata_identify_packet(struct ata_dev *d)
{
    u8 *b = d->buf;

    memset(b, 0, ATA_SECTOR);
    word(b, 0, 0x85c0);                  /* ATAPI, CD-ROM, removable, DRQ within 50 us, 12-byte packets */
    id_names(d, b);
    word(b, 49, 0x0f00);
    word(b, 50, 0x4000);
    word(b, 51, 0x0200);
    word(b, 52, 0x0200);
    id_modes(d, b);
    id_sata(d, b);
    word(b, 71, 30);
    word(b, 72, 30);
    word(b, 80, 0x00f0);
    word(b, 82, 0x4210);                 /* NOP, DEVICE RESET, PACKET */
    word(b, 83, 0x4000);
    word(b, 84, 0x4000 | (d->wwn ? 0x100 : 0));
    word(b, 85, 0x4210);
    word(b, 87, 0x4000 | (d->wwn ? 0x100 : 0));
    if (d->wwn)
        for (unsigned i = 0; i < 4; i++)
            word(b, 108 + i, d->wwn >> (48 - 16 * i));
    id_checksum(b);
}

static void cmd_identify(struct ata_dev *d)
{
    if (d->cdrom) {
        ata_signature(d);
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    ata_identify_disk(d);
    ata_pio_reply(d, ATA_SECTOR, ATA_SECTOR);
}

static void cmd_identify_packet(struct ata_dev *d)
{
    ata_identify_packet(d);
    ata_pio_reply(d, ATA_SECTOR, ATA_SECTOR);
}

/* -- SET FEATURES --------------------------------------------------------------------------------------------------------- */

static void set_transfer_mode(struct ata_dev *d, u8 mode)
{
    u8 n = mode & 7;

    switch (mode >> 3) {
    case 0: /* PIO, default mode; 1: without IORDY */
        if (n <= 1)
            break;
        ata_fail(d, ATA_E_ABRT);
        return;
    case 1: /* PIO with flow control */
        if (n <= 4)
            break;
        ata_fail(d, ATA_E_ABRT);
        return;
    case 4:
        if (n > 2) {
            ata_fail(d, ATA_E_ABRT);
            return;
        }
        d->mwdma = n + 1;
        d->udma = 0;
        break;
    case 8:
        if (n > 5) {
            ata_fail(d, ATA_E_ABRT);
            return;
        }
        d->udma = n + 1;
        d->mwdma = 0;
        break;
    default:
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    ata_done(d, true);
}

static void cmd_set_features(struct ata_dev *d)
{
    u8 feature = d->r.features[0];

    switch (feature) {
    case 0x03:
        set_transfer_mode(d, d->r.count[0]);
        return;
    case 0x02:
        d->wcache = true;
        break;
    case 0x82:
        d->wcache = false;
        ata_flush(d); /* what is in the cache goes out */
        return;
    case 0x55: case 0xaa:
        d->lookahead = feature == 0xaa;
        break;
    case 0x66: case 0xcc: /* settings survive a software reset, or not */
        d->keep_settings = feature == 0x66;
        break;
    default:
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    ata_done(d, true);
}

static void cmd_set_multiple(struct ata_dev *d)
{
    u8 n = d->r.count[0];

    if (n > ATA_MULTIPLE_MAX || (n & (n - 1))) {
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    d->multiple = n;
    ata_done(d, true);
}

static void cmd_init_params(struct ata_dev *d)
{
    if (!d->r.count[0]) {
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    d->spt = d->r.count[0];
    d->heads = (d->r.device & 15) + 1;
    ata_done(d, true);
}

/* -- addresses and positions ------------------------------------------------------------------------------------------------ */

static void cmd_native_max(struct ata_dev *d)
{
    bool ext = d->command == 0x27;
    u64 last = ata_sectors(d) - 1;

    if (!ext)
        last = MIN_OF(last, LBA28_MAX - 1);
    for (unsigned i = 0; i < 3; i++) {
        d->r.lba[i][0] = last >> (8 * i);
        d->r.lba[i][1] = ext ? last >> (24 + 8 * i) : 0;
    }
    if (!ext)
        d->r.device = (d->r.device & 0xf0) | (last >> 24 & 15);
    ata_done(d, true);
}

static void cmd_nothing(struct ata_dev *d)
{
    ata_done(d, true);
}

static void cmd_abort(struct ata_dev *d)
{
    ata_fail(d, ATA_E_ABRT);
}

/* Packet devices end what only disks know with their signature in the registers. */
static void cmd_packet_abort(struct ata_dev *d)
{
    ata_signature(d);
    ata_fail(d, ATA_E_ABRT);
}

static void cmd_diagnostic(struct ata_dev *d)
{
    ata_signature(d);
    d->phase = ATA_IDLE;
    d->r.error = 1;
    d->r.status = d->cdrom ? 0 : ATA_DRDY | ATA_DSC;
    d->bus->ops->done(d, true);
}

static void cmd_device_reset(struct ata_dev *d)
{
    ata_reset(d, false);
    d->bus->ops->done(d, false);
}

/* -- power ---------------------------------------------------------------------------------------------------------------- */

static void cmd_standby(struct ata_dev *d)
{
    d->standby = true;
    ata_flush(d);
}

static void cmd_idle(struct ata_dev *d)
{
    d->standby = false;
    ata_done(d, true);
}

static void cmd_check_power(struct ata_dev *d)
{
    d->r.count[0] = d->standby ? 0x00 : 0xff;
    ata_done(d, true);
}

const struct ata_cmd ata_info_cmds[] = {
    { 0x00, ATA_F_ANY, cmd_abort }, /* NOP */
    { 0x08, ATA_F_CD, cmd_device_reset },
    { 0x10, ATA_F_DISK, cmd_nothing }, /* RECALIBRATE */
    { 0x20, ATA_F_CD, cmd_packet_abort },
    { 0x27, ATA_F_DISK | ATA_F_EXT, cmd_native_max },
    { 0x2f, ATA_F_DISK | ATA_F_EXT, ata_read_log },
    { 0x70, ATA_F_DISK, cmd_nothing }, /* SEEK */
    { 0x90, ATA_F_ANY, cmd_diagnostic },
    { 0x91, ATA_F_DISK, cmd_init_params },
    { 0x94, ATA_F_ANY, cmd_standby },
    { 0x95, ATA_F_ANY, cmd_idle },
    { 0x96, ATA_F_ANY, cmd_standby },
    { 0x97, ATA_F_ANY, cmd_idle },
    { 0x98, ATA_F_ANY, cmd_check_power },
    { 0x99, ATA_F_ANY, cmd_standby }, /* SLEEP: any command wakes it */
    { 0xa0, ATA_F_CD, atapi_packet },
    { 0xa1, ATA_F_CD, cmd_identify_packet },
    { 0xb0, ATA_F_DISK, ata_smart },
    { 0xc6, ATA_F_DISK, cmd_set_multiple },
    { 0xe0, ATA_F_ANY, cmd_standby },
    { 0xe1, ATA_F_ANY, cmd_idle },
    { 0xe2, ATA_F_ANY, cmd_standby },
    { 0xe3, ATA_F_ANY, cmd_idle },
    { 0xe5, ATA_F_ANY, cmd_check_power },
    { 0xe6, ATA_F_ANY, cmd_standby },
    { 0xec, ATA_F_ANY, cmd_identify },
    { 0xef, ATA_F_ANY, cmd_set_features },
    { 0xf8, ATA_F_DISK, cmd_native_max },
    { 0 }
};
