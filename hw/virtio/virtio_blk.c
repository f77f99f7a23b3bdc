/* virtio-blk: a disk. Requests go to the block back end as they are taken from the queues, on the thread of the driver's
 * notification; they complete on the main thread or the back end's I/O thread. The device's lock is held. VIRTIO 1.2, 5.2. */
#include <glib.h>
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "hw/virtio/virtio_pci.h"
#include "util/iov.h"
#include "util/iothread.h"
#include "util/log.h"

#define BLK_F_SEG_MAX BIT64(2)
#define BLK_F_GEOMETRY BIT64(4)
#define BLK_F_RO BIT64(5)
#define BLK_F_BLK_SIZE BIT64(6)
#define BLK_F_FLUSH BIT64(9)
#define BLK_F_TOPOLOGY BIT64(10)
#define BLK_F_CONFIG_WCE BIT64(11)
#define BLK_F_MQ BIT64(12)
#define BLK_F_DISCARD BIT64(13)
#define BLK_F_WRITE_ZEROES BIT64(14)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13, T_BARRIER = 0x80000000 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum { ZEROES_UNMAP = 1 };
enum { SECTOR = 512, ID_LEN = 20, QUEUES_AUTO = 0xffff, SEG_TAIL = 2 /* header and status */ };

/* 5.2.4 */
struct blk_config {
    u64 capacity; /* sectors of 512 bytes, as all below unless stated */
    u32 size_max, seg_max;
    struct { u16 cylinders; u8 heads, sectors; } geometry;
    u32 blk_size; /* bytes */
    struct { u8 physical_block_exp, alignment_offset; u16 min_io_size; u32 opt_io_size; } topology;
    u8 writeback, unused0;
    u16 num_queues;
    u32 max_discard_sectors, max_discard_seg, discard_sector_alignment;
    u32 max_write_zeroes_sectors, max_write_zeroes_seg;
    u8 write_zeroes_may_unmap, unused1[3];
} __attribute__((packed));

struct virtio_blk {
    struct virtio v;
    struct blk *blk;       /* properties */
    char *serial;
    u16 num_queues, queue_size;
    char *iothread, *rerror, *werror;
    bool share_rw;
    bool config_wce, discard, write_zeroes, seg_max_adjust;
    u8 write_cache;
    u32 logical_block_size, physical_block_size, min_io_size, opt_io_size;
    u64 discard_granularity;
    u32 max_discard_sectors, max_write_zeroes_sectors;
    u32 cyls, heads, secs;
    i32 bootindex;
    u8 writeback;          /* requests complete before they are on stable storage [saved] */
};

struct blk_req_header {
    u32 type, ioprio;
    u64 sector;
};
struct range {
    u64 sector;
    u32 sectors, flags;
};

struct request {
    struct virtq_elem e;
    struct virtio_blk *s;
    u8 *status;            /* where the driver looks */
    u32 written;           /* bytes to report besides the status */
};

static struct blk_config *config_of(struct virtio_blk *s) { return (struct blk_config *)s->v.config; }

/* -- requests ----------------------------------------------------------------------------------------------------------- */

static void finish(struct request *r, u8 status)
{
    struct virtq *q = r->e.q;

    *r->status = status;
    /* The status byte is the last that was written, so all of the chain counts as written. */
    virtq_push(&r->e, r->e.in_len);
    virtq_notify(q);
}

static void done(void *opaque, int ret)
{
    struct request *r = opaque;

    finish(r, ret == 0 ? S_OK : ret == -ENOTSUP ? S_UNSUPP : S_IOERR);
}

static bool in_range(const struct virtio_blk *s, u64 sector, u64 bytes)
{
    u64 size = blk_size(s->blk) / SECTOR * SECTOR;

    return sector <= size / SECTOR && bytes <= size - sector * SECTOR && bytes % s->logical_block_size == 0 &&
           sector * SECTOR % s->logical_block_size == 0;
}

static void transfer(struct request *r, enum blk_op op, u64 sector)
{
    struct virtio_blk *s = r->s;
    struct virtq_elem *e = &r->e;
    bool write = op == BLK_WRITE;
    /* The header has gone from the front of `out`, the status byte from the end of `in`. */
    u64 len = write ? e->out_len - sizeof(struct blk_req_header) : e->in_len - 1;
    struct iovec iov[VIRTQ_CHAIN_MAX];
    unsigned n = write ? iov_slice(e->out, e->n_out, sizeof(struct blk_req_header), len, iov) : iov_slice(e->in, e->n_in, 0, len, iov);

    if (!in_range(s, sector, len) || (write && blk_readonly(s->blk))) {
        finish(r, S_IOERR);
        return;
    }
    if (!len) {
        finish(r, S_OK);
        return;
    }
    blk_submit(s->blk, op, sector * SECTOR, iov, n, 0, write && !s->writeback ? BLK_FUA : 0, done, r);
}

static void get_id(struct request *r)
{
    char id[ID_LEN] = { 0 };
    const char *serial = r->s->serial && *r->s->serial ? r->s->serial : blk_id(r->s->blk);

    memcpy(id, serial, MIN_OF(strlen(serial), sizeof(id))); /* padded with zeros, not terminated if it fills the field */
    iov_write(r->e.in, r->e.n_in, 0, id, MIN_OF((u64)ID_LEN, r->e.in_len - 1));
    finish(r, S_OK);
}

/* Discard and write zeroes with one range each, as the configuration says. */
static void zero_or_discard(struct request *r, bool zero)
{
    struct virtio_blk *s = r->s;
    struct range range;
    u64 got = iov_read(r->e.out, r->e.n_out, sizeof(struct blk_req_header), &range, sizeof(range));
    u32 max = zero ? s->max_write_zeroes_sectors : s->max_discard_sectors;

    if (blk_readonly(s->blk) || got != sizeof(range)) {
        finish(r, S_IOERR);
        return;
    }
    if (r->e.out_len != sizeof(struct blk_req_header) + sizeof(range) || (range.flags & ~(zero ? ZEROES_UNMAP : 0))) {
        finish(r, S_UNSUPP);
        return;
    }
    if (range.sectors > max || !in_range(s, range.sector, (u64)range.sectors * SECTOR)) {
        finish(r, S_IOERR);
        return;
    }
    if (!range.sectors)
        finish(r, S_OK);
    else
        blk_submit(s->blk, zero ? BLK_ZERO : BLK_DISCARD, range.sector * SECTOR, NULL, 0, (u64)range.sectors * SECTOR,
                   zero ? (range.flags & ZEROES_UNMAP ? BLK_MAY_UNMAP : 0) | (s->writeback ? 0 : BLK_FUA) : 0, done, r);
}

static void start(struct request *r)
{
    struct virtio_blk *s = r->s;
    struct blk_req_header h;

    iov_read(r->e.out, r->e.n_out, 0, &h, sizeof(h));
    switch (h.type & ~(u32)T_BARRIER) {
    case T_IN: transfer(r, BLK_READ, h.sector); break;
    case T_OUT: transfer(r, BLK_WRITE, h.sector); break;
    case T_FLUSH: blk_submit(s->blk, BLK_FLUSH, 0, NULL, 0, 0, 0, done, r); break;
    case T_GET_ID: get_id(r); break;
    case T_DISCARD: s->discard ? zero_or_discard(r, false) : finish(r, S_UNSUPP); break;
    case T_WRITE_ZEROES: s->write_zeroes ? zero_or_discard(r, true) : finish(r, S_UNSUPP); break;
    default: finish(r, S_UNSUPP); break;
    }
}

static void take(struct virtio_blk *s, struct request *r)
{
    r->s = s;
    if (r->e.out_len < sizeof(struct blk_req_header) || !r->e.in_len) {
        virtio_error(&s->v, "a request without header or status");
        virtq_drop(&r->e);
        return;
    }
    const struct iovec *last = &r->e.in[r->e.n_in - 1];
    r->status = (u8 *)last->iov_base + last->iov_len - 1;
    start(r);
}

static void serve(struct virtio *v, struct virtq *q)
{
    struct virtio_blk *s = (struct virtio_blk *)v;
    struct request *r;
    unsigned budget = q->size;

    blk_plug(s->blk);
    do {
        virtq_notify_off(q);
        while (budget && (r = virtq_pop(q, sizeof(*r)))) {
            budget--;
            take(s, r);
        }
    } while (!virtq_notify_on(q) && budget);
    blk_unplug(s->blk);
    if (!budget)
        virtq_again(q);
}

/* -- configuration -------------------------------------------------------------------------------------------------------- */

static u8 log2_of(u32 n) { return n ? 31 - __builtin_clz(n) : 0; }

static void fill_config(struct virtio_blk *s)
{
    struct blk_config *c = config_of(s);
    u64 sectors = blk_size(s->blk) / SECTOR;
    u32 per_block = s->logical_block_size / SECTOR;

    *c = (struct blk_config){
        .capacity = sectors,
        .seg_max = s->seg_max_adjust ? s->queue_size - SEG_TAIL : 128 - SEG_TAIL,
        .geometry = { s->cyls, s->heads, s->secs },
        .blk_size = s->logical_block_size,
        .topology = { log2_of(s->physical_block_size / s->logical_block_size), 0, s->min_io_size / s->logical_block_size,
                      s->opt_io_size / s->logical_block_size },
        .writeback = s->writeback,
        .num_queues = s->num_queues,
        .max_discard_sectors = s->max_discard_sectors,
        .max_discard_seg = 1,
        .discard_sector_alignment = MAX_OF(s->discard_granularity / SECTOR, (u64)per_block),
        .max_write_zeroes_sectors = s->max_write_zeroes_sectors,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = 1,
    };
}

/* A disk that did not say gets the usual translation of its size. */
static void default_geometry(struct virtio_blk *s)
{
    u64 sectors = blk_size(s->blk) / SECTOR;

    if (s->cyls || s->heads || s->secs)
        return;
    s->heads = 16;
    s->secs = 63;
    s->cyls = MIN_OF(sectors / (16 * 63), 16383u);
}

static void blk_config_write(struct virtio *v, unsigned off, unsigned size, const u8 *config)
{
    struct virtio_blk *s = (struct virtio_blk *)v;

    if (!VIRTIO_TOUCHES(off, size, struct blk_config, writeback) || !virtio_has(v, BLK_F_CONFIG_WCE)) {
        GUEST_ERROR("virtio-blk: write of configuration byte %u", off);
        return;
    }
    s->writeback = ((const struct blk_config *)config)->writeback & 1;
    config_of(s)->writeback = s->writeback;
}

static u64 blk_features(struct virtio *v)
{
    struct virtio_blk *s = (struct virtio_blk *)v;

    return BLK_F_SEG_MAX | BLK_F_GEOMETRY | BLK_F_BLK_SIZE | BLK_F_TOPOLOGY | (blk_readonly(s->blk) ? BLK_F_RO : 0) |
           (s->write_cache == AUTO_OFF ? 0 : BLK_F_FLUSH) | (s->config_wce ? BLK_F_CONFIG_WCE | BLK_F_FLUSH : 0) |
           (s->num_queues > 1 ? BLK_F_MQ : 0) | (s->discard ? BLK_F_DISCARD : 0) | (s->write_zeroes ? BLK_F_WRITE_ZEROES : 0);
}

/* A driver that does not flush must not be told that its data is safe when it is not: 5.2.6.2. */
static void blk_features_set(struct virtio *v)
{
    struct virtio_blk *s = (struct virtio_blk *)v;

    if (!virtio_has(v, BLK_F_CONFIG_WCE))
        s->writeback = virtio_has(v, BLK_F_FLUSH) && s->write_cache != AUTO_OFF;
    config_of(s)->writeback = s->writeback;
}

static void blk_status_changed(struct virtio *v, u8 old)
{
    if (~old & v->status & VIRTIO_DRIVER_OK) /* a legacy driver may have chosen no features at all */
        blk_features_set(v);
}

static void resized(void *opaque)
{
    struct virtio_blk *s = opaque;

    config_of(s)->capacity = blk_size(s->blk) / SECTOR;
    virtio_config_changed(&s->v);
}

/* -- life ------------------------------------------------------------------------------------------------------------------- */

static const struct blk_dev_ops dev_ops = { .resized = resized };

static bool block_size_ok(u32 n) { return n >= 512 && n <= 2 * MiB && !(n & (n - 1)); }

static int check_props(struct virtio_blk *s, struct err *e)
{
    const char *name = s->v.pci.dev.cls->name;
    u32 lbs = s->logical_block_size;

    if (!s->blk)
        return err_set(e, "%s: drive property not set (drive=ID)", name);
    if (!blk_present(s->blk))
        return err_set(e, "%s: Device needs media, but drive is empty", name);
    if (s->num_queues == QUEUES_AUTO)
        s->num_queues = MIN_OF(virtio_machine(&s->v)->cfg.cpus, VIRTIO_QUEUES_MAX);
    if (!s->num_queues || s->num_queues > VIRTIO_QUEUES_MAX)
        return err_set(e, "%s: num-queues=%u must be 1 to %u", name, s->num_queues, VIRTIO_QUEUES_MAX);
    if (s->queue_size <= SEG_TAIL || s->queue_size > VIRTQ_SIZE_MAX || (s->queue_size & (s->queue_size - 1)))
        return err_set(e, "%s: queue-size=%u must be a power of 2, 4 to %u", name, s->queue_size, VIRTQ_SIZE_MAX);
    if (!block_size_ok(lbs) || !block_size_ok(s->physical_block_size) || s->physical_block_size < lbs)
        return err_set(e, "%s: logical_block_size=%u and physical_block_size=%u must be powers of 2 from 512 to 2M, the physical not below "
                       "the logical", name, lbs, s->physical_block_size);
    if (s->min_io_size % lbs || s->opt_io_size % lbs || s->discard_granularity % lbs)
        return err_set(e, "%s: min_io_size, opt_io_size and discard_granularity must be multiples of %u bytes", name, lbs);
    if (s->max_discard_sectors > 0x3fffff || s->max_write_zeroes_sectors > 0x3fffff)
        return err_set(e, "%s: max-discard-sectors and max-write-zeroes-sectors are at most 4194303", name);
    if (s->cyls > 65535 || s->heads > 255 || s->secs > 255)
        return err_set(e, "%s: the geometry is at most 65535 cylinders, 255 heads and 255 sectors", name);
    return 0;
}

static int blk_realize(struct virtio *v, struct err *e)
{
    struct virtio_blk *s = (struct virtio_blk *)v;

    if (check_props(s, e) < 0)
        return -1;
    if (blk_attach(s->blk, &dev_ops, s, v->lock, BLK_WRITES | (s->share_rw ? BLK_SHARE_RW : 0), e) < 0)
        return err_prefix(e, "%s", v->pci.dev.cls->name);
    blk_set_on_error(s->blk, s->rerror, s->werror);
    if (s->iothread) {
        struct iothread *t = iothread_find(s->iothread);
        if (!t) {
            blk_detach(s->blk);
            return err_set(e, "%s: there is no I/O thread '%s' (-object iothread,id=%s)", v->pci.dev.cls->name, s->iothread, s->iothread);
        }
        blk_set_iothread(s->blk, t);
    }
    default_geometry(s);
    v->config_len = sizeof(struct blk_config);
    for (unsigned i = 0; i < s->num_queues; i++)
        virtio_add_queue(v, s->queue_size, serve);
    return 0;
}

static void blk_unrealize(struct virtio *v) { blk_detach(((struct virtio_blk *)v)->blk); }

static void blk_reset(struct virtio *v)
{
    struct virtio_blk *s = (struct virtio_blk *)v;

    blk_drain(s->blk);
    s->writeback = s->write_cache != AUTO_OFF;
    fill_config(s);
}

static void blk_queue_reset(struct virtio *v, struct virtq *q) { blk_drain(((struct virtio_blk *)v)->blk); }
/* What is left then waits for the VM to go on (werror=stop): it is saved with the queue, and starts again after the load. */
static void blk_pre_save(struct virtio *v) { blk_settle(((struct virtio_blk *)v)->blk); }

static void blk_post_load(struct virtio *v)
{
    struct virtio_blk *s = (struct virtio_blk *)v;

    s->writeback &= 1;
    fill_config(s);
}

static void blk_fw_name(const struct device *d, char *buf, unsigned size)
{
    const struct pci_device *p = (const struct pci_device *)d;

    g_snprintf(buf, size, PCI_FUNC(p->devfn) ? "scsi@%x,%x" : "scsi@%x", PCI_SLOT(p->devfn), PCI_FUNC(p->devfn));
}

static const struct virtio_type blk_type = {
    .name = "virtio-blk",
    .id = 2,
    .pci_class = 0x0100,
    .legacy_pci_id = 0x1001,
    .features = blk_features,
    .realize = blk_realize,
    .unrealize = blk_unrealize,
    .reset = blk_reset,
    .queue_reset = blk_queue_reset,
    .config_write = blk_config_write,
    .features_set = blk_features_set,
    .status_changed = blk_status_changed,
    .pre_save = blk_pre_save,
    .post_load = blk_post_load,
};

#define P(name, kind, field, def, help) { name, kind, offsetof(struct virtio_blk, field), def, NULL, help }
#define BLK_PROPS \
    P("drive", PROP_DRIVE, blk, 0, "id of the -drive or -blockdev"), \
    BLK_ERROR_PROPS(offsetof(struct virtio_blk, rerror), offsetof(struct virtio_blk, werror)), \
    BLK_SHARE_PROP(offsetof(struct virtio_blk, share_rw)), \
    P("iothread", PROP_STR, iothread, 0, "id of the -object iothread where completions come"), \
    P("serial", PROP_STR, serial, 0, "up to 20 characters"), \
    P("num-queues", PROP_U16, num_queues, QUEUES_AUTO, "request queues; default: one for each CPU"), \
    P("queue-size", PROP_U16, queue_size, 256, "entries of a queue"), \
    P("config-wce", PROP_BOOL, config_wce, 1, "the driver may turn the write cache off"), \
    P("discard", PROP_BOOL, discard, 1, "offer discard"), \
    P("write-zeroes", PROP_BOOL, write_zeroes, 1, "offer write zeroes"), \
    P("seg-max-adjust", PROP_BOOL, seg_max_adjust, 1, "segments of a request as the queue allows"), \
    P("write-cache", PROP_AUTO, write_cache, AUTO_AUTO, "off: every write is on stable storage when it completes"), \
    P("logical_block_size", PROP_U32, logical_block_size, 512, "bytes"), \
    P("physical_block_size", PROP_U32, physical_block_size, 512, "bytes"), \
    P("min_io_size", PROP_U32, min_io_size, 0, "bytes; 0: not said"), \
    P("opt_io_size", PROP_U32, opt_io_size, 0, "bytes; 0: not said"), \
    P("discard_granularity", PROP_SIZE, discard_granularity, 0, "bytes; 0: a block"), \
    P("max-discard-sectors", PROP_U32, max_discard_sectors, 0x3fffff, "of one request"), \
    P("max-write-zeroes-sectors", PROP_U32, max_write_zeroes_sectors, 0x3fffff, "of one request"), \
    P("cyls", PROP_U32, cyls, 0, "geometry"), P("heads", PROP_U32, heads, 0, "geometry"), P("secs", PROP_U32, secs, 0, "geometry"), \
    P("bootindex", PROP_I32, bootindex, (u64)-1, "place in firmware's boot order")
#define BLK_FIELDS SNAP_U(struct virtio_blk, writeback)

VIRTIO_CLASSES(virtio_blk, blk_type, "virtio-blk", "virtual disk", virtio_blk, blk_fw_name, PCI_PROPS, BLK_PROPS, BLK_FIELDS);
