/* Parallel NOR flash with the Intel command set: in read-array mode the guest reads memory, after a command the chip's registers. What was
 * programmed goes to the block back end as soon as the guest is back in read-array mode. Memory accesses of vCPU threads, completions of the
 * main thread, machine lock held. JEDEC JESD68.01 (Common Flash Interface); Intel StrataFlash 28F128J3 data sheet (290667). */
#include "hw/misc/pflash.h"
#include <glib.h>
#include "hw/backend/blk.h"
#include "hw/core/machine.h"
#include "mmu/dma.h"
#include "mmu/ram.h"
#include "util/log.h"

enum flash_cmd { /* second cycles below */
    CMD_PROGRAM_ALT = 0x10, CMD_ERASE = 0x20, CMD_PROGRAM = 0x40, CMD_CLEAR_STATUS = 0x50, CMD_LOCK = 0x60, CMD_READ_STATUS = 0x70,
    CMD_READ_ID = 0x90, CMD_QUERY = 0x98, CMD_BUFFER = 0xe8, CMD_READ_ARRAY = 0xff, CMD_CONFIRM = 0xd0, CMD_LOCK_SET = 0x01,
};
enum { STS_READY = 0x80, STS_ERASE_ERROR = 0x20, STS_PROGRAM_ERROR = 0x10 };
enum { ID_MANUFACTURER = 0x89, ID_DEVICE = 0x18, QUERY_BYTES = 0x3a, BUFFER_BYTES = 256 };

struct pflash {
    struct device dev;
    struct region array; /* read-array mode; a write is a command */
    struct region chip;  /* any other mode */
    struct blk *blk;
    struct ram_block *ram;
    u64 addr;
    bool readonly;
    u8 query[QUERY_BYTES];
    u8 cmd;              /* the command in progress, or whose answer is read */
    u8 cycle;            /* writes of it that were made after the first; 0: the next write is a command */
    u8 status;
    u16 left;            /* CMD_BUFFER: bytes to come */
    u32 block;           /* CMD_BUFFER: offset of the erase block that it is for */
    u32 dirty_first, dirty_end; /* changed, and not given to the back end yet */
    u8 *writing;         /* what the back end is writing, or NULL */
    u32 writing_at, writing_len;
    bool failed;         /* the last write did */
    struct snap_var contents;
};

/* -- to the back end -------------------------------------------------------------------------------------------------- */

static void pflash_write_back(struct pflash *f);

static void pflash_mark(struct pflash *f, u32 off, u32 len)
{
    f->dirty_first = f->dirty_end ? MIN_OF(f->dirty_first, off) : off;
    f->dirty_end = MAX_OF(f->dirty_end, off + len);
}

/* What could not be written is tried again when the guest is next back in read-array mode, and in the end. */
static void pflash_written(void *opaque, int ret)
{
    struct pflash *f = opaque;

    g_free(f->writing);
    f->writing = NULL;
    if (ret >= 0) {
        f->failed = false;
        pflash_write_back(f);
        return;
    }
    if (!f->failed)
        warn_report("flash memory: cannot write to '%s': %s", blk_path(f->blk), g_strerror(-ret));
    f->failed = true;
    f->status |= STS_PROGRAM_ERROR;
    pflash_mark(f, f->writing_at, f->writing_len);
}

/* One write at a time, so that a later one cannot be overtaken. */
static void pflash_write_back(struct pflash *f)
{
    struct iovec iov;

    if (f->writing || f->dirty_first >= f->dirty_end)
        return;
    f->writing_at = ALIGN_DOWN(f->dirty_first, 512);
    f->writing_len = MIN_OF(ALIGN_UP(f->dirty_end, 512), f->ram->size) - f->writing_at;
    f->writing = g_memdup2(f->ram->host + f->writing_at, f->writing_len);
    iov = (struct iovec){ f->writing, f->writing_len };
    f->dirty_first = f->dirty_end = 0;
    blk_submit(f->blk, BLK_WRITE, f->writing_at, &iov, 1, f->writing_len, BLK_FUA, pflash_written, f);
}

/* Bytes of the array may only lose ones, but for an erase, which sets them. */
static void pflash_change(struct pflash *f, u32 off, const u8 *data, u32 len, bool erase)
{
    u8 *p = f->ram->host + off;

    if (f->readonly) {
        f->status |= erase ? STS_ERASE_ERROR : STS_PROGRAM_ERROR;
        return;
    }
    for (u32 i = 0; i < len; i++)
        p[i] = erase ? 0xff : p[i] & data[i];
    pflash_mark(f, off, len);
}

/* -- modes ------------------------------------------------------------------------------------------------------------- */

static void pflash_show(struct pflash *f)
{
    bool array = f->cmd == CMD_READ_ARRAY;

    region_txn_begin();
    region_set_enabled(&f->array, array);
    region_set_enabled(&f->chip, !array);
    region_txn_commit();
}

static void pflash_read_array(struct pflash *f)
{
    f->cmd = CMD_READ_ARRAY;
    f->cycle = 0;
    pflash_show(f);
    if (f->dirty_first < f->dirty_end)
        dma_written(f->dev.m->mem, f->addr + f->dirty_first, f->dirty_end - f->dirty_first);
    pflash_write_back(f);
}

static void pflash_answer(struct pflash *f, u8 cmd, u8 cycle)
{
    f->cmd = cmd;
    f->cycle = cycle;
    pflash_show(f);
}

static void pflash_command(struct pflash *f, u8 cmd)
{
    switch (cmd) {
    case CMD_PROGRAM: case CMD_PROGRAM_ALT: case CMD_ERASE: case CMD_LOCK:
        pflash_answer(f, cmd, 1);
        break;
    case CMD_BUFFER:
        f->status |= STS_READY;
        pflash_answer(f, cmd, 1);
        break;
    case CMD_READ_STATUS: case CMD_READ_ID: case CMD_QUERY:
        pflash_answer(f, cmd, 0);
        break;
    case CMD_CLEAR_STATUS: /* the ready bit too, until the next operation: by that edk2 knows flash memory */
        f->status = 0;
        pflash_read_array(f);
        break;
    default:
        pflash_read_array(f);
    }
}

static void pflash_erase(struct pflash *f, u32 off, u8 val)
{
    if (val == CMD_CONFIRM)
        pflash_change(f, ALIGN_DOWN(off, PFLASH_BLOCK), NULL, PFLASH_BLOCK, true);
    else
        f->status |= STS_ERASE_ERROR | STS_PROGRAM_ERROR; /* command sequence error */
    f->status |= STS_READY;
    pflash_answer(f, CMD_READ_STATUS, 0);
}

/* Cycles: 1 the number of bytes less one, 2 the bytes, 3 the confirmation. Data outside the erase block are an error. */
static void pflash_buffer(struct pflash *f, u32 off, const u8 *data, unsigned size)
{
    if (f->cycle == 1) {
        f->left = data[0] + 1;
        f->block = ALIGN_DOWN(off, PFLASH_BLOCK);
        f->cycle = 2;
    } else if (f->cycle == 2) {
        unsigned n = MIN_OF(size, f->left);
        if (ALIGN_DOWN(off, PFLASH_BLOCK) == f->block && off + n <= f->block + PFLASH_BLOCK)
            pflash_change(f, off, data, n, false);
        else
            f->status |= STS_PROGRAM_ERROR;
        f->left -= n;
        f->cycle = f->left ? 2 : 3;
    } else {
        if (data[0] != CMD_CONFIRM)
            f->status |= STS_PROGRAM_ERROR;
        f->status |= STS_READY;
        pflash_answer(f, CMD_READ_STATUS, 0);
    }
}

static void pflash_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct pflash *f = opaque;
    u8 data[8];

    st64(data, val);
    if (f->cycle == 0) {
        pflash_command(f, data[0]);
        return;
    }
    switch (f->cmd) {
    case CMD_PROGRAM: case CMD_PROGRAM_ALT:
        pflash_change(f, off, data, size, false);
        f->status |= STS_READY;
        pflash_answer(f, CMD_READ_STATUS, 0);
        break;
    case CMD_ERASE:
        pflash_erase(f, off, data[0]);
        break;
    case CMD_BUFFER:
        pflash_buffer(f, off, data, size);
        break;
    default: /* lock bits: blocks are never locked */
        if (data[0] != CMD_LOCK_SET && data[0] != CMD_CONFIRM)
            GUEST_ERROR("flash memory: command sequence 0x60 0x%02x", data[0]);
        f->status |= STS_READY;
        pflash_answer(f, CMD_READ_STATUS, 0);
    }
}

static u8 pflash_read_byte(const struct pflash *f, u64 off)
{
    unsigned at = off & (PFLASH_BLOCK - 1);

    if (f->cmd == CMD_READ_ID)
        return at == 0 ? ID_MANUFACTURER : at == 1 ? ID_DEVICE : 0;
    if (f->cmd == CMD_QUERY)
        return at < QUERY_BYTES ? f->query[at] : 0;
    return f->status;
}

static u64 pflash_read(void *opaque, u64 off, unsigned size)
{
    u64 v = 0;

    for (unsigned i = 0; i < size; i++)
        v |= (u64)pflash_read_byte(opaque, off + i) << (8 * i);
    return v;
}

static const struct region_ops pflash_ops = { pflash_read, pflash_write, 1, 8 };

/* -- life -------------------------------------------------------------------------------------------------------------- */

static void pflash_fill_query(struct pflash *f)
{
    u32 blocks = f->ram->size / PFLASH_BLOCK;
    u8 *q = f->query;

    memcpy(q + 0x10, "QRY", 3);
    q[0x13] = 0x01;        /* Intel/Sharp extended command set */
    q[0x15] = 0x31;        /* address of its table */
    q[0x1b] = 0x45, q[0x1c] = 0x55;             /* Vcc 4.5 to 5.5 V */
    q[0x1f] = q[0x20] = 1, q[0x21] = 10;        /* typical times, powers of two */
    q[0x23] = q[0x24] = q[0x25] = 4;            /* maximum times, factors */
    q[0x27] = 31 - __builtin_clz(f->ram->size); /* size, a power of two */
    q[0x2a] = 8;           /* write buffer: 256 bytes */
    q[0x2c] = 1;           /* erase block regions */
    st16(q + 0x2d, blocks - 1);
    st16(q + 0x2f, PFLASH_BLOCK / 256);
    memcpy(q + 0x31, "PRI10", 5);
}

static int pflash_realize(struct device *d, struct err *e)
{
    struct pflash *f = (struct pflash *)d;
    struct region *root = &d->m->mem_root;

    f->readonly = blk_readonly(f->blk);
    if (blk_attach(f->blk, NULL, f, &d->m->lock, f->readonly ? 0 : BLK_WRITES, e) < 0)
        return -1;
    if (!f->readonly)
        f->contents = (struct snap_var){ f->ram->host, f->ram->size };
    f->cmd = CMD_READ_ARRAY;
    pflash_fill_query(f);
    region_init_rom(&f->array, "pflash", f->ram, 0, f->ram->size, &pflash_ops, f, &d->m->lock);
    region_init_io(&f->chip, "pflash-registers", f->ram->size, &pflash_ops, f, &d->m->lock);
    f->chip.enabled = false;
    region_add(root, f->addr, &f->array, 0);
    region_add(root, f->addr, &f->chip, 0);
    return 0;
}

static void pflash_unrealize(struct device *d)
{
    struct pflash *f = (struct pflash *)d;

    pflash_write_back(f);
    blk_drain(f->blk);
    blk_detach(f->blk);
    region_del(&f->array);
    region_del(&f->chip);
}

static void pflash_reset(struct device *d)
{
    struct pflash *f = (struct pflash *)d;

    f->status = 0;
    f->left = 0;
    pflash_read_array(f);
}

static void pflash_post_load(struct device *d)
{
    struct pflash *f = (struct pflash *)d;

    f->left = MIN_OF(f->left, BUFFER_BYTES);
    f->block = f->block < f->ram->size ? ALIGN_DOWN(f->block, PFLASH_BLOCK) : 0;
    if (!f->readonly) { /* the image may hold something else */
        f->dirty_first = 0;
        f->dirty_end = f->ram->size;
        pflash_write_back(f);
        dma_written(d->m->mem, f->addr, f->ram->size);
    }
    pflash_show(f);
}

static const struct snap_field pflash_fields[] = {
    SNAP_U(struct pflash, cmd), SNAP_U(struct pflash, cycle), SNAP_U(struct pflash, status), SNAP_U(struct pflash, left),
    SNAP_U(struct pflash, block), SNAP_V(struct pflash, contents), SNAP_DONE
};

const struct dev_class pflash_class = {
    .name = "cfi.pflash01",
    .desc = "flash memory for firmware",
    .state_size = sizeof(struct pflash),
    .fields = pflash_fields,
    .snap_version = 1,
    .realize = pflash_realize,
    .reset = pflash_reset,
    .unrealize = pflash_unrealize,
    .post_load = pflash_post_load,
};

struct device *pflash_new(struct machine *m, struct blk *blk, struct ram_block *ram, u64 addr, struct err *e)
{
    struct device *d = device_alloc(m, "cfi.pflash01", e);

    if (!d)
        return NULL;
    ((struct pflash *)d)->blk = blk;
    ((struct pflash *)d)->ram = ram;
    ((struct pflash *)d)->addr = addr;
    return device_realize(d, e) < 0 ? NULL : d;
}
