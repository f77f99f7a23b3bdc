/* Interrupt remapping: entries and what becomes of them, who may use them, both formats, messages of the I/O APIC and HPET's source. */
#include <glib.h>
#include "hw/intc/ioapic.h"
#include "hw/pci/pci_priv.h"
#include "tests/lib/vtd_rig.h"

#define ADDR(index, shv) (0xfee00010ull | ((index) & 0x7fffull) << 5 | ((index) >> 15 & 1) << 2 | ((shv) ? 8 : 0))
#define IRTE(vector, dest) (1ull | (u64)(vector) << 16 | (u64)(dest) << 32)
#define SID(source) ((u64)(source) | 1ull << 18)

static void entry(struct vtd_rig *x, unsigned index, u64 low, u64 high)
{
    rig_poke(x, RIG_IRT + 16 * index, low);
    rig_poke(x, RIG_IRT + 16 * index + 8, high);
}

/* A table of 32 entries. */
static struct vtd_rig *setup(const char *props, bool eime)
{
    struct vtd_rig *x = rig_new(props);

    for (unsigned i = 0; i < 32; i++)
        entry(x, i, 0, 0);
    rig_set64(x, 0xb8, RIG_IRT | 4 | (eime ? 1 << 11 : 0));
    rig_command(x, RIG_SIRTP, 0);
    rig_command(x, RIG_IRE, 0);
    return x;
}

static void send(struct vtd_rig *x, unsigned n, u64 addr, u32 data)
{
    lock_acquire(&x->f->m.lock);
    pci_message(x->edu[n], addr, data);
    lock_release(&x->f->m.lock);
}

/* A message of edu n comes through, as this. */
static void passes(struct vtd_rig *x, unsigned n, u64 addr, u32 data, u64 want_addr, u32 want_data)
{
    unsigned before = x->f->msis;

    send(x, n, addr, data);
    g_assert_cmpuint(x->f->msis, ==, before + 1);
    g_assert_cmphex(x->f->msi_addr, ==, want_addr);
    g_assert_cmphex(x->f->msi_data, ==, want_data);
}

/* It is blocked, with this in fault register 0; reason 0: and nothing recorded. */
static void blocked(struct vtd_rig *x, unsigned n, u64 addr, u32 data, unsigned reason, u64 index)
{
    unsigned before = x->f->msis;
    u16 source;
    u64 info;

    send(x, n, addr, data);
    g_assert_cmpuint(x->f->msis, ==, before);
    unsigned at = rig_get(x, 0x34) >> 8 & 0xff;
    g_assert_cmphex(rig_fault(x, at, &source, &info, NULL), ==, reason);
    if (reason) {
        g_assert_cmphex(source, ==, RIG_SOURCE(n));
        g_assert_cmphex(info, ==, index << 48);
    }
    rig_clear_faults(x);
}

static void test_entries(void)
{
    struct vtd_rig *x = setup("eim=off", false);

    entry(x, 5, IRTE(0x31, 0x0200), 0);
    passes(x, 0, ADDR(5, 0), 0xffff, 0xfee02000, 0x4031); /* data does not count without SHV */
    entry(x, 6, IRTE(0x32, 0x0300) | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5, 0); /* logical, redirected, level, lowest priority */
    passes(x, 1, ADDR(6, 0), 0, 0xfee0300c, 0xc132);
    passes(x, 1, ADDR(2, 1), 4, 0xfee0300c, 0xc132); /* index and subhandle */
    blocked(x, 0, ADDR(2, 1), 0x10004, 0x20, 6);
    blocked(x, 0, ADDR(32, 0), 0, 0x21, 32);
    blocked(x, 0, ADDR(0xffff, 0), 0, 0x21, 0xffff);
    blocked(x, 0, ADDR(31, 1), 1, 0x21, 32);
    blocked(x, 0, ADDR(7, 0), 0, 0x22, 7);
    entry(x, 7, 2, 0);
    blocked(x, 0, ADDR(7, 0), 0, 0, 7);
    entry(x, 7, IRTE(0x33, 1), 0); /* in place of 0x100 */
    blocked(x, 0, ADDR(7, 0), 0, 0x24, 7);
    entry(x, 7, IRTE(0x33, 0x100) | 1 << 15, 0); /* posted */
    blocked(x, 0, ADDR(7, 0), 0, 0x24, 7);
    entry(x, 7, IRTE(0x33, 0x100) | 1 << 24, 0);
    blocked(x, 0, ADDR(7, 0), 0, 0x24, 7);
    entry(x, 7, IRTE(0x33, 0x100), 1 << 20);
    blocked(x, 0, ADDR(7, 0), 0, 0x24, 7);
    rig_set64(x, 0xb8, 0xfed90000); /* a table that is not in RAM */
    rig_command(x, RIG_SIRTP, 0);
    blocked(x, 0, ADDR(1, 0), 0, 0x23, 1);
    rig_free(x);
}

static void test_sources(void)
{
    static const struct { u64 high; bool first, second; } rules[] = {
        { 0, true, true }, { SID(RIG_SOURCE(0)), true, false }, { SID(RIG_SOURCE(1)), false, true },
        { SID(RIG_SOURCE(0) | 4), false, false },
        { SID(RIG_SOURCE(0) | 4) | 1 << 16, true, false },
        { SID(RIG_SOURCE(0) | 6) | 2 << 16, true, false },
        { SID(RIG_SOURCE(1) | 7) | 3 << 16, false, true },
        { SID(RIG_SOURCE(1) | 7) | 2 << 16, false, false },
        { 2 << 18 | 0x0000, true, true }, { 2 << 18 | 0x0105, false, false },
    };
    struct vtd_rig *x = setup(NULL, false);

    for (unsigned i = 0; i < ARRAY_LEN(rules); i++) {
        entry(x, 9, IRTE(0x40, 0), rules[i].high);
        for (unsigned n = 0; n < 2; n++) {
            if (n ? rules[i].second : rules[i].first)
                passes(x, n, ADDR(9, 0), 0, 0xfee00000, 0x4040);
            else
                blocked(x, n, ADDR(9, 0), 0, 0x26, 9);
        }
    }
    entry(x, 9, IRTE(0x40, 0), 3 << 18);
    blocked(x, 0, ADDR(9, 0), 0, 0x24, 9);
    rig_free(x);
}

static void test_compatibility(void)
{
    struct vtd_rig *x = setup(NULL, false);

    blocked(x, 0, 0xfee01000, 0x55, 0x25, 0);
    rig_command(x, RIG_CFI, 0);
    passes(x, 0, 0xfee01000, 0x55, 0xfee01000, 0x55);
    rig_set64(x, 0xb8, RIG_IRT | 4 | 1 << 11); /* never with 32-bit destinations */
    rig_command(x, RIG_SIRTP, 0);
    blocked(x, 0, 0xfee01000, 0x55, 0x25, 0);
    rig_command(x, 0, RIG_IRE);
    passes(x, 0, 0xfee01000, 0x55, 0xfee01000, 0x55);
    rig_free(x);
}

static void test_wide(void)
{
    struct vtd_rig *x = setup(NULL, true);

    entry(x, 1, IRTE(0x60, 0x12345678) | 1 << 2, 0);
    passes(x, 0, ADDR(1, 0), 0, 0xfee00004, 0x4060);
    g_assert_true(x->f->msi.wide);
    g_assert_cmphex(x->f->msi.dest, ==, 0x12345678);
    rig_free(x);
    x = setup("eim=off", true); /* the bit is not there */
    g_assert_cmphex(rig_get64(x, 0xb8), ==, RIG_IRT | 4);
    g_assert_cmphex(rig_get64(x, 0x10) & 1 << 4, ==, 0);
    entry(x, 1, IRTE(0x60, 0x12345678), 0);
    blocked(x, 0, ADDR(1, 0), 0, 0x24, 1);
    rig_free(x);
}

static void test_off(void)
{
    struct vtd_rig *x = rig_new("intremap=off");

    g_assert_cmphex(rig_get64(x, 0x10) & (1 << 3 | 1 << 4), ==, 0);
    rig_set64(x, 0xb8, RIG_IRT | 4);
    g_assert_cmphex(rig_get64(x, 0xb8), ==, 0);
    rig_set(x, 0x18, RIG_SIRTP);
    rig_set(x, 0x18, RIG_IRE);
    g_assert_cmphex(rig_get(x, 0x1c), ==, 0);
    passes(x, 0, 0xfee01010, 0x55, 0xfee01010, 0x55);
    rig_free(x);
}

/* The table's entry is what counts; who sends is not validated. */
static void test_ioapic(void)
{
    struct vtd_rig *x = setup(NULL, false);
    struct err e;
    u16 source;

    lock_acquire(&x->f->m.lock);
    struct device *io = ioapic_new(&x->f->m, &e);
    io->cls->reset(io);
    struct irq_line pin = ioapic_line(io, 4);
    lock_release(&x->f->m.lock);
    entry(x, 11, IRTE(0x70, 0x0100), SID(RIG_SOURCE(0)));
    fm_write(x->f, IOAPIC_BASE, 0x19, 4);
    fm_write(x->f, IOAPIC_BASE + 0x10, 11 << 17 | 1 << 16, 4);
    fm_write(x->f, IOAPIC_BASE, 0x18, 4);
    fm_write(x->f, IOAPIC_BASE + 0x10, 0x99, 4);
    irq_set(&pin, 1);
    g_assert_cmpuint(x->f->msis, ==, 1);
    g_assert_cmphex(x->f->msi_addr, ==, 0xfee01000);
    g_assert_cmphex(x->f->msi_data, ==, 0x4070);
    irq_set(&pin, 0);
    entry(x, 11, 0, 0);
    irq_set(&pin, 1);
    g_assert_cmpuint(x->f->msis, ==, 1);
    g_assert_cmphex(rig_fault(x, 0, &source, NULL, NULL), ==, 0x22);
    g_assert_cmphex(source, ==, MSI_SOURCE_IOAPIC);
    rig_free(x);
}

/* What is no interrupt is a write, translated like any other. */
static void test_write_elsewhere(void)
{
    struct vtd_rig *x = setup(NULL, false);
    u64 table = rig_context(x, RIG_SOURCE(0), 0, 1, 1);

    rig_map(x, table, 3, 0x5000, 0x200000, 1, RIG_W);
    rig_on(x);
    rig_poke(x, 0x200010, 0);
    send(x, 0, 0x5010, 0x1234);
    g_assert_cmphex(rig_peek(x, 0x200010), ==, 0x1234);
    send(x, 0, 0x6010, 0x1234);
    g_assert_cmphex(rig_fault(x, 0, NULL, NULL, NULL), ==, 5);
    g_assert_cmpuint(x->f->msis, ==, 0);
    rig_free(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vtd-intr/entries", test_entries);
    g_test_add_func("/vtd-intr/sources", test_sources);
    g_test_add_func("/vtd-intr/compatibility", test_compatibility);
    g_test_add_func("/vtd-intr/wide", test_wide);
    g_test_add_func("/vtd-intr/off", test_off);
    g_test_add_func("/vtd-intr/ioapic", test_ioapic);
    g_test_add_func("/vtd-intr/write-elsewhere", test_write_elsewhere);
    return g_test_run();
}
