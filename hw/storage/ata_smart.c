/* SMART and the logs of an ATA disk that never ages: attributes, an empty error log, and the log of failed queued commands. Called through
 * the command table (hw/storage/ata_cmd.c), machine lock held. ATA8-ACS, 7.53 (SMART), 7.28 (READ LOG EXT), annex A (logs). */
#include "hw/storage/ata.h"

enum { LOG_DIRECTORY = 0x00, LOG_SUMMARY = 0x01, LOG_SELF_TEST = 0x06, LOG_NCQ_ERROR = 0x10 };

static void checksum(u8 *b)
{
    u8 sum = 0;

    for (unsigned i = 0; i < ATA_SECTOR - 1; i++)
        sum += b[i];
    b[ATA_SECTOR - 1] = -sum;
}

/* number, flags, threshold, value and worst, raw value; each row is true of a disk that was just switched on */
static const struct {
    u8 id, flags, threshold, value, raw;
} attributes[] = {
    { 1, 0x03, 20, 100, 0 },   /* read error rate */
    { 3, 0x03, 20, 100, 0 },   /* spin-up time */
    { 4, 0x02, 20, 100, 1 },   /* starts and stops */
    { 5, 0x03, 36, 100, 0 },   /* reallocated sectors */
    { 9, 0x03, 0, 100, 1 },    /* hours of power */
    { 12, 0x03, 0, 100, 1 },   /* power cycles */
    { 190, 0x03, 50, 69, 31 }, /* temperature */
};

static void reply(struct ata_dev *d)
{
    checksum(d->buf);
    ata_pio_reply(d, ATA_SECTOR, ATA_SECTOR);
}

static void smart_data(struct ata_dev *d)
{
    u8 *b = d->buf;

    memset(b, 0, ATA_SECTOR);
    b[0] = 1;
    for (unsigned i = 0; i < ARRAY_LEN(attributes); i++) {
        u8 *a = b + 2 + 12 * i;
        a[0] = attributes[i].id;
        a[1] = attributes[i].flags;
        a[3] = a[4] = attributes[i].value;
        a[5] = attributes[i].raw;
    }
    st16(b + 364, 1);      /* seconds of an off-line collection */
    b[367] = 0x01 | 0x10;  /* it can be done at once; self-tests */
    b[368] = 0x03;         /* attributes are saved */
    b[370] = 0x01;         /* error logging */
    b[372] = b[373] = 1;   /* minutes of a self-test */
    reply(d);
}

static void smart_thresholds(struct ata_dev *d)
{
    memset(d->buf, 0, ATA_SECTOR);
    d->buf[0] = 1;
    for (unsigned i = 0; i < ARRAY_LEN(attributes); i++) {
        d->buf[2 + 12 * i] = attributes[i].id;
        d->buf[3 + 12 * i] = attributes[i].threshold;
    }
    reply(d);
}

static void smart_log(struct ata_dev *d)
{
    memset(d->buf, 0, ATA_SECTOR);
    d->buf[0] = 1;
    switch (d->r.lba[0][0]) {
    case LOG_DIRECTORY:
        d->buf[2 * LOG_SUMMARY] = d->buf[2 * LOG_SELF_TEST] = 1;
        ata_pio_reply(d, ATA_SECTOR, ATA_SECTOR);
        return;
    case LOG_SUMMARY: case LOG_SELF_TEST:
        reply(d);
        return;
    }
    ata_fail(d, ATA_E_ABRT);
}

void ata_smart(struct ata_dev *d)
{
    u8 feature = d->r.features[0];

    if (d->r.lba[1][0] != 0x4f || d->r.lba[2][0] != 0xc2 || (!d->smart && feature != 0xd8)) {
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    switch (feature) {
    case 0xd0:
        smart_data(d);
        return;
    case 0xd1:
        smart_thresholds(d);
        return;
    case 0xd5:
        smart_log(d);
        return;
    case 0xd8: case 0xd9:
        d->smart = feature == 0xd8;
        break;
    case 0xd2: case 0xd3: /* autosave, save attributes */
    case 0xd4:            /* tests: passed at once */
    case 0xda:            /* RETURN STATUS: the registers keep 4fh and c2h: no threshold exceeded */
        break;
    default:
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    ata_done(d, true);
}

void ata_read_log(struct ata_dev *d)
{
    u8 log = d->r.lba[0][0], *b = d->buf;
    u32 page = d->r.lba[1][1] << 8 | d->r.lba[1][0], pages = d->r.count[1] << 8 | d->r.count[0];

    memset(b, 0, ATA_SECTOR);
    if (pages != 1 || page || (log != LOG_DIRECTORY && (log != LOG_NCQ_ERROR || !d->bus->sata))) {
        ata_fail(d, ATA_E_ABRT);
        return;
    }
    if (log == LOG_DIRECTORY) {
        b[0] = 1;
        b[2 * LOG_NCQ_ERROR] = d->bus->sata;
        ata_pio_reply(d, ATA_SECTOR, ATA_SECTOR);
        return;
    }
    memcpy(b, d->ncq_error, sizeof(d->ncq_error));
    reply(d);
}
