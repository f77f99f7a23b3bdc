/* The PC's two 8237A DMA controllers with their page registers: channels 0 to 3 of bytes, 4 to 7 of words. Registers are accessed by vCPU
 * threads, transfers are made by the devices, machine lock held. Intel 8237A (231466); the PC/AT's wiring: channel 4 cascades
 * the first controller. */
#include "hw/dma/i8257.h"
#include "hw/core/machine.h"
#include "mmu/dma.h"
#include "util/log.h"

enum { R_COMMAND = 8, R_REQUEST, R_MASK_BIT, R_MODE, R_CLEAR_FLIPFLOP, R_MASTER_CLEAR, R_CLEAR_MASK, R_MASK_ALL };
enum { MODE_TYPE = 0x0c, MODE_VERIFY = 0x00, MODE_TO_MEMORY = 0x04, MODE_FROM_MEMORY = 0x08, MODE_AUTOINIT = 0x10, MODE_DOWN = 0x20 };
enum { COMMAND_DISABLE = 0x04 };

struct dma_channel {
    u16 base_addr, base_count, addr, count;
    u8 mode, page;
};

struct dma_chip {
    struct dma_channel ch[4];
    u8 command, mask, status, request; /* status: terminal counts; request: lines and software requests */
    u8 flipflop;
    u8 wide; /* 1: 16-bit channels */
};

struct i8257 {
    struct device dev;
    struct region io[2], pages;
    struct dma_chip chip[2];
    u8 page_spare[16]; /* page registers without a channel keep what is written */
    struct {
        void (*ready)(void *opaque);
        void *opaque;
    } user[8];
};

/* Channel of each page register at 0x80 + n, or -1. */
static const i8 page_channel[16] = { -1, 2, 3, 1, -1, -1, -1, 0, -1, 6, 7, 5, -1, -1, -1, -1 };

/* -- granting ------------------------------------------------------------------------------------------------------------- */

static bool channel_open(const struct dma_chip *c, unsigned n)
{
    return !(c->command & COMMAND_DISABLE) && !(c->mask & BIT(n));
}

bool i8257_ready(struct device *dma, unsigned channel)
{
    return channel_open(&((struct i8257 *)dma)->chip[channel >> 2], channel & 3);
}

/* Devices whose request is up and granted go on. */
static void grant(struct i8257 *s, unsigned chip)
{
    for (unsigned n = 0; n < 4; n++) {
        unsigned channel = chip * 4 + n;
        if ((s->chip[chip].request & BIT(n)) && channel_open(&s->chip[chip], n) && s->user[channel].ready)
            s->user[channel].ready(s->user[channel].opaque);
    }
}

void i8257_attach(struct device *dma, unsigned channel, void (*ready)(void *opaque), void *opaque)
{
    struct i8257 *s = (struct i8257 *)dma;

    s->user[channel].ready = ready;
    s->user[channel].opaque = opaque;
    if (!ready)
        s->chip[channel >> 2].request &= ~BIT(channel & 3);
}

void i8257_request(struct device *dma, unsigned channel, bool on)
{
    struct dma_chip *c = &((struct i8257 *)dma)->chip[channel >> 2];

    c->request = on ? c->request | BIT(channel & 3) : c->request & ~BIT(channel & 3);
}

/* -- moving --------------------------------------------------------------------------------------------------------------- */

static void terminal_count(struct dma_chip *c, unsigned n)
{
    struct dma_channel *ch = &c->ch[n];

    c->status |= BIT(n);
    c->request &= ~BIT(n);
    if (ch->mode & MODE_AUTOINIT) {
        ch->addr = ch->base_addr;
        ch->count = ch->base_count;
    } else {
        c->mask |= BIT(n);
    }
}

/* Memory address of the next unit. The page register does not count along. */
static gpa_t channel_gpa(const struct dma_chip *c, const struct dma_channel *ch)
{
    return c->wide ? (gpa_t)(ch->page & 0xfe) << 16 | (gpa_t)ch->addr << 1 : (gpa_t)ch->page << 16 | ch->addr;
}

static void move_memory(struct i8257 *s, gpa_t gpa, u8 *buf, u32 len, bool to_memory)
{
    if (to_memory)
        dma_write(s->dev.m->mem, gpa, buf, len);
    else
        dma_read(s->dev.m->mem, gpa, buf, len);
}

u32 i8257_move(struct device *dma, unsigned channel, void *buf, u32 len, bool to_memory, bool *tc)
{
    struct i8257 *s = (struct i8257 *)dma;
    struct dma_chip *c = &s->chip[channel >> 2];
    struct dma_channel *ch = &c->ch[channel & 3];
    u8 type = ch->mode & MODE_TYPE;
    unsigned unit = 1 + c->wide;
    bool move = type == (to_memory ? MODE_TO_MEMORY : MODE_FROM_MEMORY), down = ch->mode & MODE_DOWN;
    u32 done = 0;

    *tc = false;
    if (!move && type != MODE_VERIFY) {
        GUEST_ERROR("dma: channel %u is programmed for the other direction", channel);
        return 0;
    }
    while (done + unit <= len && !*tc && channel_open(c, channel & 3)) {
        u32 left = ch->count + 1u, run = MIN_OF((len - done) / unit, left);
        run = down ? 1 : MIN_OF(run, 0x10000u - ch->addr);
        if (move)
            move_memory(s, channel_gpa(c, ch), (u8 *)buf + done, run * unit, to_memory);
        done += run * unit;
        ch->addr += down ? 0xffffu : run;
        ch->count -= run;
        if (run == left) {
            *tc = true;
            terminal_count(c, channel & 3);
        }
    }
    return done;
}

/* -- registers -------------------------------------------------------------------------------------------------------------- */

static void master_clear(struct dma_chip *c)
{
    c->command = c->status = c->flipflop = 0;
    c->mask = 15;
}

static u8 flip(struct dma_chip *c)
{
    return c->flipflop++ & 1;
}

static u8 chip_read(struct dma_chip *c, unsigned reg)
{
    if (reg < 8) {
        const struct dma_channel *ch = &c->ch[reg >> 1];
        u16 v = reg & 1 ? ch->count : ch->addr;
        return flip(c) ? v >> 8 : v;
    }
    if (reg == R_COMMAND) { /* status: reading takes the terminal counts away */
        u8 v = c->status | c->request << 4;
        c->status = 0;
        return v;
    }
    return reg == R_MASK_ALL ? c->mask | 0xf0 : 0;
}

static void write_channel(struct dma_chip *c, unsigned reg, u8 v)
{
    struct dma_channel *ch = &c->ch[reg >> 1];
    u16 *base = reg & 1 ? &ch->base_count : &ch->base_addr;

    *base = flip(c) ? (*base & 0x00ff) | v << 8 : (*base & 0xff00) | v;
    if (reg & 1)
        ch->count = *base;
    else
        ch->addr = *base;
}

static void chip_write(struct i8257 *s, unsigned n, unsigned reg, u8 v)
{
    struct dma_chip *c = &s->chip[n];

    switch (reg) {
    case R_COMMAND:
        if (v & 1)
            GUEST_ERROR("dma: memory-to-memory transfers do not exist on a PC");
        c->command = v;
        break;
    case R_REQUEST:
        c->request = v & 4 ? c->request | BIT(v & 3) : c->request & ~BIT(v & 3);
        break;
    case R_MASK_BIT:
        c->mask = v & 4 ? c->mask | BIT(v & 3) : c->mask & ~BIT(v & 3);
        break;
    case R_MODE:
        c->ch[v & 3].mode = v;
        break;
    case R_CLEAR_FLIPFLOP:
        c->flipflop = 0;
        return;
    case R_MASTER_CLEAR:
        master_clear(c);
        return;
    case R_CLEAR_MASK:
        c->mask = 0;
        break;
    case R_MASK_ALL:
        c->mask = v & 15;
        break;
    default:
        write_channel(c, reg, v);
        return;
    }
    grant(s, n);
}

static u64 io0_read(void *opaque, u64 off, unsigned size)
{
    return chip_read(&((struct i8257 *)opaque)->chip[0], off);
}

static void io0_write(void *opaque, u64 off, u64 val, unsigned size)
{
    chip_write(opaque, 0, off, val);
}

/* The second chip's registers are two ports apart. */
static u64 io1_read(void *opaque, u64 off, unsigned size)
{
    return off & 1 ? 0xff : chip_read(&((struct i8257 *)opaque)->chip[1], off >> 1);
}

static void io1_write(void *opaque, u64 off, u64 val, unsigned size)
{
    if (!(off & 1))
        chip_write(opaque, 1, off >> 1, val);
}

static u8 *page_at(struct i8257 *s, unsigned n)
{
    int channel = page_channel[n];

    return channel < 0 ? &s->page_spare[n] : &s->chip[channel >> 2].ch[channel & 3].page;
}

static u64 page_read(void *opaque, u64 off, unsigned size)
{
    return *page_at(opaque, off);
}

static void page_write(void *opaque, u64 off, u64 val, unsigned size)
{
    *page_at(opaque, off) = val;
}

static const struct region_ops io0_ops = { io0_read, io0_write, 1, 1 };
static const struct region_ops io1_ops = { io1_read, io1_write, 1, 1 };
static const struct region_ops page_ops = { page_read, page_write, 1, 1 };

/* -- the device --------------------------------------------------------------------------------------------------------------- */

static int i8257_realize(struct device *d, struct err *e)
{
    struct i8257 *s = (struct i8257 *)d;
    struct machine *m = d->m;

    s->chip[1].wide = 1;
    region_init_io(&s->io[0], "dma-0", 16, &io0_ops, s, &m->lock);
    region_init_io(&s->io[1], "dma-1", 32, &io1_ops, s, &m->lock);
    region_init_io(&s->pages, "dma-page", 16, &page_ops, s, &m->lock);
    region_add(&m->io_root, 0x00, &s->io[0], 0);
    region_add(&m->io_root, 0xc0, &s->io[1], 0);
    region_add(&m->io_root, 0x80, &s->pages, -1); /* whoever wants a debug port at 0x80 may have it */
    return 0;
}

static void i8257_unrealize(struct device *d)
{
    struct i8257 *s = (struct i8257 *)d;

    region_del(&s->io[0]);
    region_del(&s->io[1]);
    region_del(&s->pages);
}

static void i8257_reset(struct device *d)
{
    struct i8257 *s = (struct i8257 *)d;

    for (unsigned i = 0; i < 2; i++) {
        u8 wide = s->chip[i].wide;
        s->chip[i] = (struct dma_chip){ .wide = wide };
        master_clear(&s->chip[i]);
    }
    memset(s->page_spare, 0, sizeof(s->page_spare));
}

static void i8257_post_load(struct device *d)
{
    struct i8257 *s = (struct i8257 *)d;

    for (unsigned i = 0; i < 2; i++) {
        s->chip[i].mask &= 15;
        s->chip[i].request &= 15;
        s->chip[i].status &= 15;
    }
}

static const struct snap_field channel_fields[] = {
    SNAP_U(struct dma_channel, base_addr), SNAP_U(struct dma_channel, base_count), SNAP_U(struct dma_channel, addr),
    SNAP_U(struct dma_channel, count), SNAP_U(struct dma_channel, mode), SNAP_U(struct dma_channel, page), SNAP_DONE
};
static const struct snap_field chip_fields[] = {
    SNAP_AS(struct dma_chip, ch, channel_fields), SNAP_U(struct dma_chip, command), SNAP_U(struct dma_chip, mask),
    SNAP_U(struct dma_chip, status), SNAP_U(struct dma_chip, request), SNAP_U(struct dma_chip, flipflop), SNAP_DONE
};
static const struct snap_field i8257_fields[] = {
    SNAP_AS(struct i8257, chip, chip_fields), SNAP_B(struct i8257, page_spare), SNAP_DONE
};

const struct dev_class i8257_class = {
    .name = "i8257",
    .desc = "ISA DMA controllers",
    .state_size = sizeof(struct i8257),
    .fields = i8257_fields,
    .snap_version = 1,
    .realize = i8257_realize,
    .reset = i8257_reset,
    .unrealize = i8257_unrealize,
    .post_load = i8257_post_load,
};

struct device *i8257_new(struct machine *m, struct err *e)
{
    return device_create(m, "i8257", NULL, NULL, e);
}

struct device *i8257_find(struct machine *m)
{
    for (struct device *d = m->devices; d; d = d->next)
        if (d->cls == &i8257_class)
            return d;
    return NULL;
}
