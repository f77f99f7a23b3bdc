/* DMA remapping: widths, page sizes and permissions, what is blocked and how that is recorded, hostile tables, pass-through, sources behind
 * bridges, functions that come and go. */
#include <glib.h>
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "mmu/ram.h"
#include "tests/lib/vtd_rig.h"

enum { MULTI = 0, DEVICE_TLB = 1, PASS = 2, DATA = 0x200000 };

static void check_read(struct vtd_rig *x, unsigned n, u64 iova, u64 want)
{
    u64 v = 0;

    g_assert_true(rig_read(x, n, iova, &v, 8));
    g_assert_cmphex(v, ==, want);
}

/* Before translation is on, and for a source the tables say nothing of. */
static void test_off_and_unknown(void)
{
    struct vtd_rig *x = rig_new(NULL);
    u64 v;
    u16 source;

    rig_poke(x, DATA, 0x1122334455667788);
    check_read(x, 0, DATA, 0x1122334455667788);
    rig_on(x);
    g_assert_false(rig_read(x, 0, DATA, &v, 8));
    g_assert_cmphex(v, ==, ~0ull);
    g_assert_cmpuint(rig_fault(x, 0, &source, NULL, NULL), ==, 1);
    g_assert_cmphex(source, ==, RIG_SOURCE(0));
    g_assert_false(rig_write(x, 1, DATA, &v, 8));
    g_assert_cmphex(rig_peek(x, DATA), ==, 0x1122334455667788);
    rig_command(x, 0, RIG_TE);
    check_read(x, 0, DATA, 0x1122334455667788);
    rig_free(x);
}

/* Every width and page size; the ends of a page, and one behind. */
static void test_sizes(void)
{
    static const u64 iovas[] = { 0, 0x40000000, 0x7fc0000000, 0x7f80000000, 0xff8000000000 };

    for (unsigned width = 1; width <= 2; width++)
        for (unsigned level = 1; level <= 3; level++)
            for (unsigned i = 0; i < ARRAY_LEN(iovas); i++) {
                u64 iova = iovas[i], size = 1ull << (3 + 9 * level), v;
                if (iova >> (width == 1 ? 39 : 48))
                    continue;
                struct vtd_rig *x = rig_new(width == 1 ? NULL : "aw-bits=48");
                u64 table = rig_context(x, RIG_SOURCE(0), MULTI, width, 5);
                u64 gpa = level == 1 ? DATA : level == 2 ? 0x400000 : 0;
                rig_map(x, table, 2 + width, iova, gpa, level, RIG_R | RIG_W);
                rig_on(x);
                rig_poke(x, gpa + 0x678, 0xabcdef);
                check_read(x, 0, iova + 0x678, 0xabcdef);
                v = 0x77 + level;
                g_assert_true(rig_write(x, 0, iova + 0xff8, &v, 8));
                g_assert_cmphex(rig_peek(x, gpa + 0xff8), ==, v);
                g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), ==, 0);
                g_assert_false(rig_read(x, 0, iova + size, &v, 8));
                g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), !=, 0);
                g_assert_false(rig_read(x, 1, iova, &v, 8)); /* the other device has nothing */
                rig_free(x);
            }
}

/* Pages that lie apart, as one transfer and as a mapping. */
static void test_pieces(void)
{
    struct vtd_rig *x = rig_new(NULL);
    u64 table = rig_context(x, RIG_SOURCE(0), MULTI, 1, 1), len;
    u8 out[4 * 4096], in[sizeof(out)];
    static const u64 places[] = { DATA + 0x3000, DATA, DATA + 0x1000, DATA + 0x9000 };

    for (unsigned i = 0; i < 4; i++)
        rig_map(x, table, 3, 0x10000 + 0x1000 * i, places[i], 1, RIG_R | RIG_W);
    rig_on(x);
    for (unsigned i = 0; i < sizeof(out); i++)
        out[i] = i * 7 + i / 256;
    g_assert_true(rig_write(x, 0, 0x10000 + 100, out, sizeof(out) - 100));
    g_assert_true(rig_read(x, 0, 0x10000 + 100, in, sizeof(in) - 100));
    g_assert_cmpmem(out, sizeof(out) - 100, in, sizeof(in) - 100);
    g_assert_cmphex(rig_peek(x, DATA + 0x1000), ==, ld64(out + 2 * 4096 - 100));
    lock_acquire(&x->f->m.lock);
    len = 0x3000;
    u8 *p = dma_map(x->edu[0]->dma, 0x11800, &len, true);
    g_assert_true(p == x->f->m.ram->host + DATA + 0x800);
    g_assert_cmphex(len, ==, 0x1800); /* two pages that lie together */
    len = 0x2000; /* the second page is not mapped: looking ahead is no fault */
    g_assert_nonnull(dma_map(x->edu[0]->dma, 0x13000, &len, true));
    g_assert_cmphex(len, ==, 0x1000);
    lock_release(&x->f->m.lock);
    g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), ==, 0);
    lock_acquire(&x->f->m.lock);
    g_assert_null(dma_map(x->edu[0]->dma, 0x14000, &len, true));
    lock_release(&x->f->m.lock);
    g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), ==, 5);
    rig_free(x);
}

static void test_permissions(void)
{
    struct vtd_rig *x = rig_new(NULL);
    u64 table = rig_context(x, RIG_SOURCE(0), MULTI, 1, 1), v = 1, addr;
    u64 ro = rig_map(x, table, 3, 0x1000, DATA, 1, RIG_R);
    bool read;

    rig_map(x, table, 3, 0x2000, DATA + 0x1000, 1, RIG_W);
    rig_on(x);
    g_assert_true(rig_read(x, 0, 0x1000, &v, 8));
    g_assert_false(rig_write(x, 0, 0x1008, &v, 8));
    g_assert_cmpuint(rig_fault(x, 0, NULL, &addr, &read), ==, 5);
    g_assert_cmphex(addr, ==, 0x1000);
    g_assert_false(read);
    g_assert_true(rig_write(x, 0, 0x2000, &v, 8));
    g_assert_false(rig_read(x, 0, 0x2000, &v, 8));
    g_assert_cmpuint(rig_fault(x, 1, NULL, NULL, &read), ==, 6);
    g_assert_true(read);
    rig_poke(x, ro, DATA | RIG_R | RIG_W); /* more is allowed: a cached entry does not stand in the way */
    g_assert_true(rig_write(x, 0, 0x1008, &v, 8));
    rig_poke(x, table + 0, (rig_peek(x, table) & ~3ull) | RIG_R); /* less, at an upper level: after an invalidation */
    rig_flush(x);
    g_assert_false(rig_write(x, 0, 0x1008, &v, 8));
    g_assert_true(rig_read(x, 0, 0x1008, &v, 8));
    rig_free(x);
}

/* One change of sound tables for each reason; gpa 0 of `where`: none. */
static const struct {
    const char *props;
    u64 where, value; /* a quadword of the root table, context table or of the three levels of page tables */
    u64 iova;
    unsigned reason;
    bool fpd; /* the context entry can keep it from being recorded */
} faults[] = {
    { NULL, RIG_ROOT, 0, 0x1000, 0x1, false },
    { NULL, RIG_ROOT, RIG_CONTEXT | 3, 0x1000, 0xa, false },
    { NULL, RIG_ROOT, 1ull << 45 | 1, 0x1000, 0xa, false },
    { NULL, RIG_ROOT + 8, 1, 0x1000, 0xa, false },
    { NULL, RIG_ROOT, 0x4000000001, 0x1000, 0x9, false },
    { NULL, RIG_CONTEXT + 0x180, RIG_FREE, 0x1000, 0x2, true },
    { NULL, RIG_CONTEXT + 0x180, RIG_FREE | 0x11, 0x1000, 0xb, true },
    { NULL, RIG_CONTEXT + 0x188, 1ull << 24 | 1, 0x1000, 0xb, true },
    { NULL, RIG_CONTEXT + 0x180, RIG_FREE | DEVICE_TLB << 2 | 1, 0x1000, 0x3, true },
    { NULL, RIG_CONTEXT + 0x180, RIG_FREE | 3 << 2 | 1, 0x1000, 0x3, true },
    { "pt=off", RIG_CONTEXT + 0x180, RIG_FREE | PASS << 2 | 1, 0x1000, 0x3, true },
    { NULL, RIG_CONTEXT + 0x188, 2, 0x1000, 0x3, true },
    { "aw-bits=48", RIG_CONTEXT + 0x188, 3, 0x1000, 0x3, true },
    { NULL, RIG_CONTEXT + 0x188, 0, 0x1000, 0x3, true },
    { NULL, 0, 0, 1ull << 39, 0x4, true },
    { NULL, 0, 0, ~0ull << 12, 0x4, true },
    { NULL, RIG_CONTEXT + 0x180, 0x4000000001, 0x1000, 0x7, true },
    { NULL, RIG_FREE, 0x4000000003, 0x1000, 0x7, true },
    { NULL, RIG_FREE, 0, 0x1000, 0x6, true },
    { NULL, RIG_FREE, (RIG_FREE + 0x1000) | 1ull << 45 | 3, 0x1000, 0xc, true },
    { NULL, RIG_FREE, 1 << 12 | RIG_PS | 3, 0x1000, 0xc, true },     /* 1 GiB pages begin at 1 GiB */
    { NULL, RIG_FREE + 0x1000, 1 << 12 | RIG_PS | 3, 0x1000, 0xc, true },
    { NULL, RIG_FREE + 0x2008, DATA | 1 << 11 | 3, 0x1000, 0xc, true },
    { NULL, RIG_FREE + 0x2008, DATA | 1ull << 62 | 3, 0x1000, 0xc, true },
    { NULL, RIG_FREE + 0x2008, 1 << 11, 0x1000, 0x6, true },       /* not present: nothing is reserved */
};

static void test_faults(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(faults); i++)
        for (unsigned fpd = 0; fpd < 2; fpd++) {
            struct vtd_rig *x = rig_new(faults[i].props);
            u64 v, table = rig_context(x, RIG_SOURCE(0), MULTI, 1, 1), context = RIG_CONTEXT + 16 * RIG_SOURCE(0), addr = 0;
            u16 source = 0;
            g_assert_cmphex(table, ==, RIG_FREE);
            rig_map(x, table, 3, 0x1000, DATA, 1, RIG_R | RIG_W);
            rig_on(x);
            g_assert_true(rig_read(x, 0, 0x1000, &v, 8));
            if (faults[i].where)
                rig_poke(x, faults[i].where, faults[i].value);
            if (fpd)
                rig_poke(x, context, rig_peek(x, context) | 2);
            rig_flush(x);
            g_assert_false(rig_read(x, 0, faults[i].iova, &v, 8));
            g_assert_cmpuint(rig_fault(x, 0, &source, &addr, NULL), ==, fpd && faults[i].fpd ? 0 : faults[i].reason);
            if (!(fpd && faults[i].fpd)) {
                g_assert_cmphex(source, ==, RIG_SOURCE(0));
                g_assert_cmphex(addr, ==, faults[i].iova);
            }
            rig_free(x);
        }
}

/* Page tables that lead back to themselves, and into the registers. */
static void test_hostile(void)
{
    struct vtd_rig *x = rig_new(NULL);
    u64 table = rig_context(x, RIG_SOURCE(0), MULTI, 1, 1), v;

    for (unsigned i = 0; i < 512; i++)
        rig_poke(x, table + 8 * i, table | 3);
    rig_on(x);
    check_read(x, 0, 0x1ff8, table | 3); /* the table is its own page table and page */
    v = 0;
    g_assert_true(rig_write(x, 0, 0x7ffffffff8, &v, 8)); /* and so a device can change it */
    g_assert_cmphex(rig_peek(x, table + 0xff8), ==, 0);
    rig_poke(x, table + 8, 0xfed90000 | 3);
    rig_flush(x);
    g_assert_false(rig_read(x, 0, 0x1000, &v, 8)); /* translated, but no RAM */
    g_assert_false(rig_read(x, 0, 0xfee00000, &v, 8));
    g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), !=, 1);
    rig_set64(x, 0x20, 0xfed90000); /* the root table, too */
    rig_command(x, RIG_SRTP, 0);
    rig_clear_faults(x);
    g_assert_false(rig_read(x, 0, 0, &v, 8));
    rig_free(x);
}

/* The cost of what looks large: 4 GiB of one page, again and again. */
static void test_long_request(void)
{
    struct vtd_rig *x = rig_new(NULL);
    u64 table = rig_context(x, RIG_SOURCE(0), MULTI, 1, 1), len = 1ull << 32;

    rig_map(x, table, 3, 0, 0, 3, RIG_R | RIG_W);
    rig_map(x, table, 3, 1ull << 30, 1ull << 30, 3, RIG_R | RIG_W);
    rig_on(x);
    lock_acquire(&x->f->m.lock);
    g_assert_nonnull(dma_map(x->edu[0]->dma, 0, &len, true));
    g_assert_cmphex(len, ==, 16 * MiB); /* where RAM ends */
    lock_release(&x->f->m.lock);
    rig_free(x);
}

static void test_pass_through(void)
{
    struct vtd_rig *x = rig_new("aw-bits=48");
    u64 v;

    rig_context(x, RIG_SOURCE(0), PASS, 2, 1);
    rig_on(x);
    rig_poke(x, DATA, 99);
    check_read(x, 0, DATA, 99);
    check_read(x, 0, DATA, 99);
    g_assert_false(rig_read(x, 1, DATA, &v, 8));
    rig_poke(x, RIG_CONTEXT + 16 * RIG_SOURCE(0), 0);
    rig_flush(x);
    g_assert_false(rig_read(x, 0, DATA, &v, 8));
    rig_free(x);
}

/* Functions behind a bridge to conventional PCI come with the bridge's bus number and 0. */
static void test_behind_bridge(void)
{
    struct vtd_rig *x = rig_new(NULL);
    struct machine *m = &x->f->m;
    struct err e = { "" };
    u64 v;
    u16 source;

    lock_acquire(&m->lock);
    struct device *b = device_create(m, "pcie-pci-bridge", "br", "addr=5", &e), *d = device_alloc(m, "edu", &e);
    b->cls->reset(b);
    g_assert_cmpint(device_set_bus(d, bus_find(m, "br"), &e), ==, 0);
    g_assert_cmpint(device_realize(d, &e), ==, 0);
    pci_config_write(m->pci, 5 << 3, 0x18, 7 << 8 | 7 << 16, 4);
    x->edu[1] = (struct pci_device *)d;
    g_assert_cmphex(pci_source_id(x->edu[1]), ==, 0x700);
    lock_release(&m->lock);
    u64 table = rig_context(x, 0x700, MULTI, 1, 2);
    rig_map(x, table, 3, 0, DATA, 1, RIG_R);
    rig_on(x);
    rig_poke(x, DATA, 4711);
    check_read(x, 1, 0, 4711);
    g_assert_false(rig_read(x, 1, 0x1000, &v, 8));
    g_assert_cmpuint(rig_fault(x, 0, &source, NULL, NULL), ==, 6);
    g_assert_cmphex(source, ==, 0x700);
    lock_acquire(&m->lock);
    pci_config_write(m->pci, 5 << 3, 0x18, 8 << 8 | 8 << 16, 4); /* a new number: another source */
    lock_release(&m->lock);
    g_assert_false(rig_read(x, 1, 0, &v, 8));
    g_assert_cmpuint(rig_fault(x, 1, &source, NULL, NULL), ==, 1);
    g_assert_cmphex(source, ==, 0x800);
    lock_acquire(&m->lock);
    device_free(d); /* a function that goes */
    lock_release(&m->lock);
    rig_flush(x);
    rig_free(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vtd-dma/off-and-unknown", test_off_and_unknown);
    g_test_add_func("/vtd-dma/sizes", test_sizes);
    g_test_add_func("/vtd-dma/pieces", test_pieces);
    g_test_add_func("/vtd-dma/permissions", test_permissions);
    g_test_add_func("/vtd-dma/faults", test_faults);
    g_test_add_func("/vtd-dma/hostile", test_hostile);
    g_test_add_func("/vtd-dma/long-request", test_long_request);
    g_test_add_func("/vtd-dma/pass-through", test_pass_through);
    g_test_add_func("/vtd-dma/behind-bridge", test_behind_bridge);
    return g_test_run();
}
