/* The firmware configuration device of QEMU's machines, with its port and DMA interfaces. Port accesses come from vCPU
 * threads, machine lock held; hw/machine/pc.c adds the items. Specification: "QEMU Firmware Configuration (fw_cfg)
 * Device" (selector, data and DMA address registers; file directory). */
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/machine/fw_cfg.h"
#include "mmu/dma.h"
#include "util/log.h"

enum { PORT_BASE = 0x510, PORT_DMA = 0x514, NAME_SIZE = 56, DIR_ENTRY = 64, KEY_MASK = 0xbfff };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16, DMA_DESC_SIZE = 16 };
#define DMA_SIGNATURE 0x51454d5520434647ull /* "QEMU CFG" */

struct fw_item {
    u16 key;
    u32 len;
    u8 *data;
    char name[NAME_SIZE]; /* empty: not a file */
    void (*refresh)(void *opaque, u8 *data, u32 len); /* called when the guest selects it */
    void *refresh_opaque;
    struct fw_item *next;
};

struct fw_cfg {
    struct device dev;
    struct region ports, dma_ports;
    struct fw_item *items;
    u16 files;     /* how many of them are files */
    u16 key;       /* selected */
    u32 offset;    /* next byte of the selected item */
    u64 dma_addr;  /* as written so far */
};

static struct fw_item *fw_cfg_find(const struct fw_cfg *f, u16 key)
{
    struct fw_item *i = f->items;

    while (i && i->key != key)
        i = i->next;
    return i;
}

static struct fw_item *fw_cfg_put(struct fw_cfg *f, u16 key, u8 *data, u32 len)
{
    struct fw_item *i = fw_cfg_find(f, key);

    if (!i) {
        i = g_new0(struct fw_item, 1);
        i->key = key;
        i->next = f->items;
        f->items = i;
    }
    g_free(i->data);
    i->data = data;
    i->len = len;
    return i;
}

void fw_cfg_add(struct fw_cfg *f, u16 key, const void *data, u32 len)
{
    fw_cfg_put(f, key, g_memdup2(data, len), len);
}

void fw_cfg_add_uint(struct fw_cfg *f, u16 key, u64 v, unsigned size)
{
    fw_cfg_add(f, key, &v, size);
}

static void fw_cfg_build_directory(struct fw_cfg *f)
{
    u32 len = 4 + f->files * DIR_ENTRY;
    u8 *dir = g_malloc0(len);

    st32(dir, __builtin_bswap32(f->files));
    for (unsigned n = 0; n < f->files; n++) {
        const struct fw_item *i = fw_cfg_find(f, FW_CFG_FILE_FIRST + n);
        u8 *p = dir + 4 + n * DIR_ENTRY;
        st32(p, __builtin_bswap32(i->len));
        st16(p + 4, __builtin_bswap16(i->key));
        memcpy(p + 8, i->name, NAME_SIZE);
    }
    fw_cfg_put(f, FW_CFG_FILE_DIR, dir, len);
}

void fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, u32 len)
{
    struct fw_item *i = fw_cfg_put(f, FW_CFG_FILE_FIRST + f->files, g_memdup2(data, len), len);

    assert(strlen(name) < NAME_SIZE);
    strcpy(i->name, name);
    f->files++;
    fw_cfg_build_directory(f);
}

bool fw_cfg_has_file(const struct fw_cfg *f, const char *name)
{
    for (const struct fw_item *i = f->items; i; i = i->next)
        if (!strcmp(i->name, name))
            return true;
    return false;
}

const char *fw_cfg_file_nth(const struct fw_cfg *f, unsigned n, u32 *len)
{
    const struct fw_item *i = n < f->files ? fw_cfg_find(f, FW_CFG_FILE_FIRST + n) : NULL;

    *len = i ? i->len : 0;
    return i ? i->name : NULL;
}

void fw_cfg_refresh(struct fw_cfg *f, const char *name, void (*fn)(void *opaque, u8 *data, u32 len), void *opaque)
{
    for (struct fw_item *i = f->items; i; i = i->next) {
        if (!strcmp(i->name, name)) {
            i->refresh = fn;
            i->refresh_opaque = opaque;
        }
    }
}

static void fw_cfg_select(struct fw_cfg *f, u16 key)
{
    struct fw_item *i;

    f->key = key & KEY_MASK; /* bit 14 chose the write channel of old versions */
    f->offset = 0;
    i = fw_cfg_find(f, f->key);
    if (i && i->refresh)
        i->refresh(i->refresh_opaque, i->data, i->len);
}

/* Copies what the item still has and zero-fills the rest; what lies past the end reads as zeros. */
static void fw_cfg_read(struct fw_cfg *f, u8 *buf, u32 len)
{
    const struct fw_item *i = fw_cfg_find(f, f->key);
    u32 left = i && f->offset < i->len ? i->len - f->offset : 0, n = MIN_OF(left, len);

    if (n)
        memcpy(buf, i->data + f->offset, n);
    memset(buf + n, 0, len - n);
    f->offset += n;
}

/* -- ports ---------------------------------------------------------------------------------------------------------- */

static u64 ports_read(void *opaque, u64 off, unsigned size)
{
    struct fw_cfg *f = opaque;
    u8 b = 0;

    if (off == 1 && size == 1)
        fw_cfg_read(f, &b, 1);
    return b;
}

static void ports_write(void *opaque, u64 off, u64 val, unsigned size)
{
    if (off == 0 && size == 2)
        fw_cfg_select(opaque, val);
    else
        GUEST_ERROR("fw_cfg: write of %u bytes to port 0x%x: items are read-only", size, PORT_BASE + (unsigned)off);
}

static int fw_cfg_dma_read(struct fw_cfg *f, u64 addr, u32 len)
{
    u8 buf[PAGE_SIZE];

    while (len) {
        u32 n = MIN_OF(len, sizeof(buf));
        fw_cfg_read(f, buf, n);
        if (dma_write(f->dev.m->mem, addr, buf, n) < 0)
            return -1;
        addr += n;
        len -= n;
    }
    return 0;
}

static void fw_cfg_dma(struct fw_cfg *f, u64 desc)
{
    struct aspace *mem = f->dev.m->mem;
    u8 d[DMA_DESC_SIZE];
    u32 result = 0;

    if (dma_read(mem, desc, d, sizeof(d)) < 0) {
        GUEST_ERROR("fw_cfg: DMA descriptor at 0x%llx is not in RAM", (unsigned long long)desc);
        return;
    }
    u32 control = __builtin_bswap32(ld32(d)), len = __builtin_bswap32(ld32(d + 4));
    u64 addr = __builtin_bswap64(ld64(d + 8));
    if (control & DMA_SELECT)
        fw_cfg_select(f, control >> 16);
    if (control & DMA_READ) {
        if (fw_cfg_dma_read(f, addr, len) < 0)
            result = DMA_ERROR;
    } else if (control & DMA_WRITE) {
        result = DMA_ERROR; /* every item is read-only */
    } else if (control & DMA_SKIP) {
        const struct fw_item *i = fw_cfg_find(f, f->key);
        u32 left = i ? i->len - f->offset : 0;
        f->offset += MIN_OF(left, len);
    }
    st32(d, __builtin_bswap32(result));
    dma_write(mem, desc, d, 4);
}

/* The address register is 64 bits, big-endian; a write that includes its last byte starts the transfer. */
static void dma_ports_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct fw_cfg *f = opaque;

    if (off == 0 && size == 4) {
        f->dma_addr = (u64)__builtin_bswap32(val) << 32;
    } else if (off == 4 && size == 4) {
        u64 desc = f->dma_addr | __builtin_bswap32(val);
        f->dma_addr = 0;
        fw_cfg_dma(f, desc);
    }
}

static u64 dma_ports_read(void *opaque, u64 off, unsigned size)
{
    u8 sig[16] = { 0 };

    st64(sig, __builtin_bswap64(DMA_SIGNATURE));
    return zext(ld64(sig + off), size);
}

static const struct region_ops ports_ops = { ports_read, ports_write, 1, 2 };
static const struct region_ops dma_ports_ops = { dma_ports_read, dma_ports_write, 1, 4 };

static int fw_cfg_realize(struct device *d, struct err *e)
{
    struct fw_cfg *f = (struct fw_cfg *)d;
    enum { ID_PORTS = 1, ID_DMA = 2 };

    fw_cfg_add(f, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_uint(f, FW_CFG_ID, ID_PORTS | ID_DMA, 4);
    fw_cfg_build_directory(f);
    region_init_io(&f->ports, "fwcfg", 2, &ports_ops, f, &d->m->lock);
    region_init_io(&f->dma_ports, "fwcfg.dma", 8, &dma_ports_ops, f, &d->m->lock);
    region_add(&d->m->io_root, PORT_BASE, &f->ports, 0);
    region_add(&d->m->io_root, PORT_DMA, &f->dma_ports, 0);
    d->m->fw_cfg = f;
    return 0;
}

static void fw_cfg_unrealize(struct device *d)
{
    struct fw_cfg *f = (struct fw_cfg *)d;

    region_del(&f->ports);
    region_del(&f->dma_ports);
    while (f->items) {
        struct fw_item *i = f->items;
        f->items = i->next;
        g_free(i->data);
        g_free(i);
    }
    d->m->fw_cfg = NULL;
}

static void fw_cfg_reset(struct device *d)
{
    struct fw_cfg *f = (struct fw_cfg *)d;

    fw_cfg_select(f, FW_CFG_SIGNATURE);
    f->dma_addr = 0;
}

static void fw_cfg_post_load(struct device *d)
{
    struct fw_cfg *f = (struct fw_cfg *)d;
    const struct fw_item *i = fw_cfg_find(f, f->key);

    f->offset = MIN_OF(f->offset, i ? i->len : 0);
}

static const struct snap_field fw_cfg_fields[] = {
    SNAP_U(struct fw_cfg, key), SNAP_U(struct fw_cfg, offset), SNAP_U(struct fw_cfg, dma_addr), SNAP_DONE
};

const struct dev_class fw_cfg_class = {
    .name = "fw_cfg_io",
    .desc = "firmware configuration ports",
    .state_size = sizeof(struct fw_cfg),
    .fields = fw_cfg_fields,
    .snap_version = 1,
    .realize = fw_cfg_realize,
    .reset = fw_cfg_reset,
    .unrealize = fw_cfg_unrealize,
    .post_load = fw_cfg_post_load,
};

struct device *fw_cfg_new(struct machine *m, struct err *e)
{
    return device_create(m, "fw_cfg_io", NULL, NULL, e);
}
