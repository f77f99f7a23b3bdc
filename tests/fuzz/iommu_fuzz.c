/* Fuzz target: remapping hardware in the hands of a guest that writes anything to its registers, tables and invalidation queue, while devices
 * behind it make transfers, keep memory mapped and send interrupts, with resets, saves and damaged saved states in between. After a reset DMA
 * goes straight through again, and with sound tables it is translated. */
#include <glib.h>
#include "hw/pci/pci_priv.h"
#include "mmu/dma.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/vtd_rig.h"

enum { OPS = 300, LONG = 20000, DATA = 0x200000 };

static const char *const props[] = { NULL, "aw-bits=48", "eim=off,caching-mode=on", "pt=off,intremap=off" };
static struct vtd_rig *x;

/* An address in one of the tables, or anywhere. */
static u64 place(struct fuzz_in *in)
{
    static const u64 base[] = { RIG_ROOT, RIG_CONTEXT + 16 * RIG_SOURCE(0), RIG_CONTEXT + 16 * RIG_SOURCE(1), RIG_IRT, RIG_QUEUE, RIG_FREE,
                                RIG_FREE + 0x1000, RIG_FREE + 0x2000, DATA };
    u8 which = fuzz_take(in, 1);

    return which < 240 ? base[which % ARRAY_LEN(base)] + (fuzz_take(in, 1) & ~7ull) : fuzz_take(in, 3) % (16 * MiB - 8);
}

/* What entries are made of: an address of a table or page, flags, and now and then bits anywhere. */
static u64 entry(struct fuzz_in *in)
{
    static const u64 to[] = { RIG_CONTEXT, RIG_FREE, RIG_FREE + 0x1000, RIG_FREE + 0x2000, DATA, 0, 0xfed90000, 0xfee00000, 16 * MiB - 4096 };
    u8 which = fuzz_take(in, 1);

    return which < 200 ? to[which % ARRAY_LEN(to)] | fuzz_take(in, which & 1 ? 1 : 2) : fuzz_take(in, 8);
}

static void reg(struct fuzz_in *in)
{
    static const u8 often[] = { 0x18, 0x18, 0x20, 0x28, 0x34, 0x38, 0x80, 0x88, 0x90, 0x9c, 0xa0, 0xb8, 0xf0, 0xf8 };
    u8 which = fuzz_take(in, 1);
    u64 off = which < 200 ? often[which % ARRAY_LEN(often)] : fuzz_take(in, 2) % 4096, v = fuzz_take(in, which & 1 ? 4 : 8);
    unsigned size = which & 1 ? 4 : 8;

    if (which & 2)
        v = which & 4 ? v << 24 : (v & ~(u64)0xff000) | (which & 8 ? RIG_ROOT : which & 16 ? RIG_QUEUE : RIG_IRT);
    fm_write(x->f, 0xfed90000 + off, v, size);
    fm_read(x->f, 0xfed90000 + off, size);
}

static void poke(struct fuzz_in *in)
{
    u64 at = place(in);

    rig_poke(x, at, entry(in));
}

/* Turned on as drivers do it. */
static void turn_on(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);

    fm_write(x->f, 0xfed90020, RIG_ROOT, 8);
    fm_write(x->f, 0xfed900b8, RIG_IRT | (how & 0x1f), 8);
    fm_write(x->f, 0xfed90018, RIG_SRTP, 4);
    fm_write(x->f, 0xfed90018, RIG_SIRTP, 4);
    fm_write(x->f, 0xfed90090, RIG_QUEUE | (how >> 5 & 1), 8);
    fm_write(x->f, 0xfed90018, RIG_TE | RIG_IRE | RIG_QIE | (how & 0x40 ? RIG_CFI : 0), 4);
}

static void queue(struct fuzz_in *in)
{
    u8 n = fuzz_take(in, 1) % 8;

    for (unsigned i = 0; i < n; i++) {
        rig_poke(x, RIG_QUEUE + 16 * i, fuzz_take(in, 8));
        rig_poke(x, RIG_QUEUE + 16 * i + 8, fuzz_take(in, 2));
    }
    fm_write(x->f, 0xfed90088, 16 * n, 8);
}

static void transfer(struct fuzz_in *in)
{
    static u8 buf[LONG];
    u8 how = fuzz_take(in, 1);
    u64 iova = how & 2 ? fuzz_take(in, 2) : fuzz_take(in, 6) << (how >> 4), len = how & 4 ? fuzz_take(in, 1) : fuzz_take(in, 2) % LONG;

    if (how & 8)
        rig_write(x, how & 1, iova, buf, len);
    else
        rig_read(x, how & 1, iova, buf, len);
}

/* What is mapped lies in RAM, and can be written. */
static void map(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u64 iova = how & 2 ? fuzz_take(in, 2) : fuzz_take(in, 6) << (how >> 4), len = 1 + fuzz_take(in, how & 4 ? 2 : 8) % (1ull << 40), got = len;

    lock_acquire(&x->f->m.lock);
    u8 *p = dma_map(x->edu[how & 1]->dma, iova, &got, true);
    if (p) {
        g_assert_cmpuint(got, >=, 1);
        g_assert_cmpuint(got, <=, len);
        p[0] = p[got - 1] = how;
        dma_written(x->edu[how & 1]->dma, iova, got);
    }
    lock_release(&x->f->m.lock);
}

static void message(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u64 addr = how & 2 ? fuzz_take(in, 8) : 0xfee00000 | fuzz_take(in, 3);
    u32 data = fuzz_take(in, how & 4 ? 4 : 1);

    lock_acquire(&x->f->m.lock);
    pci_message(x->edu[how & 1], addr, data);
    lock_release(&x->f->m.lock);
}

static void reload(struct fuzz_in *in)
{
    u8 changes = fuzz_take(in, 1) & 7;
    GByteArray *a = g_byte_array_new();
    struct err e;

    lock_acquire(&x->f->m.lock);
    device_save(x->iommu, a);
    while (changes--)
        a->data[fuzz_take(in, 2) % a->len] = fuzz_take(in, 1);
    if (device_load(x->iommu, a->data, a->len, &e) < 0)
        x->iommu->cls->reset(x->iommu);
    lock_release(&x->f->m.lock);
    g_byte_array_unref(a);
}

static void check_sound(void)
{
    u64 v, table;

    fm_reset(x->f);
    rig_poke(x, DATA, 0x600d);
    g_assert_true(rig_read(x, 0, DATA, &v, 8));
    g_assert_cmphex(v, ==, 0x600d);
    x->next = RIG_FREE;
    for (u64 at = RIG_ROOT; at < RIG_FREE; at += 8)
        rig_poke(x, at, 0);
    table = rig_context(x, RIG_SOURCE(0), 0, 1, 1);
    rig_map(x, table, 3, 0x5000, DATA, 1, RIG_R);
    rig_on(x);
    g_assert_true(rig_read(x, 0, 0x5000, &v, 8));
    g_assert_cmphex(v, ==, 0x600d);
    g_assert_false(rig_read(x, 0, DATA, &v, 8));
    g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), ==, 6);
}

/* The first byte: properties. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static void (*const op[])(struct fuzz_in *) = { reg, reg, poke, poke, turn_on, queue, transfer, transfer, map, message, message, reload };
    struct fuzz_in in = { data, data + size };

    x = rig_new(props[fuzz_take(&in, 1) % ARRAY_LEN(props)]);
    for (unsigned n = 0; n < OPS && in.p < in.end; n++)
        op[fuzz_take(&in, 1) % ARRAY_LEN(op)](&in);
    check_sound();
    rig_free(x);
    return 0;
}
