/* Fault recording: registers in turn, overflow, what software clears, and the fault event's interrupt. */
#include <glib.h>
#include "tests/lib/vtd_rig.h"

enum { FSTS = 0x34, FECTL = 0x38, PFO = 1, PPF = 2 };
#define MASKED (1u << 31)
#define PENDING (1u << 30)

/* n faults, each at a page of its own. */
static void fault(struct vtd_rig *x, unsigned n)
{
    u64 v;

    for (unsigned i = 0; i < n; i++)
        g_assert_false(rig_read(x, 0, 0x1000 * (i + 1), &v, 8));
}

static struct vtd_rig *setup(void)
{
    struct vtd_rig *x = rig_new(NULL);

    rig_context(x, RIG_SOURCE(0), 0, 1, 1);
    rig_on(x);
    rig_set(x, 0x3c, 0x41);
    rig_set(x, 0x40, 0xfee01000);
    return x;
}

static void test_records(void)
{
    struct vtd_rig *x = setup();
    u64 addr;

    g_assert_cmphex(rig_get(x, FSTS), ==, 0);
    fault(x, 3);
    g_assert_cmphex(rig_get(x, FSTS), ==, PPF);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(rig_fault(x, i, NULL, &addr, NULL), ==, 6);
        g_assert_cmphex(addr, ==, 0x1000 * (i + 1));
    }
    g_assert_cmpuint(rig_fault(x, 3, NULL, NULL, NULL), ==, 0);
    rig_set(x, 0x22c, 1u << 31); /* F of the first: others are left */
    g_assert_cmphex(rig_get(x, FSTS) & 0xff, ==, PPF);
    rig_set(x, FSTS, PPF); /* read-only */
    g_assert_cmphex(rig_get(x, FSTS) & 0xff, ==, PPF);
    rig_set(x, 0x23c, 1u << 31);
    rig_set(x, 0x24c, 1u << 31);
    g_assert_cmphex(rig_get(x, FSTS) & 0xff, ==, 0);
    fault(x, 1); /* goes on behind them, and says so */
    g_assert_cmphex(rig_get(x, FSTS), ==, PPF | 3 << 8);
    g_assert_cmpuint(rig_fault(x, 3, NULL, NULL, NULL), ==, 6);
    g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), ==, 0);
    rig_free(x);
}

static void test_overflow(void)
{
    struct vtd_rig *x = setup();

    fault(x, 8);
    g_assert_cmphex(rig_get(x, FSTS), ==, PPF);
    fault(x, 1);
    g_assert_cmphex(rig_get(x, FSTS), ==, PPF | PFO);
    rig_set(x, 0x22c, 1u << 31);
    fault(x, 1); /* none is recorded until PFO is cleared */
    g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), ==, 0);
    rig_set(x, FSTS, PFO);
    fault(x, 1);
    g_assert_cmpuint(rig_fault(x, 0, NULL, NULL, NULL), ==, 6);
    rig_clear_faults(x);
    rig_free(x);
}

static void test_event(void)
{
    struct vtd_rig *x = setup();

    g_assert_cmphex(rig_get(x, FECTL), ==, MASKED);
    fault(x, 1);
    g_assert_cmpuint(x->f->msis, ==, 0);
    g_assert_cmphex(rig_get(x, FECTL), ==, MASKED | PENDING);
    rig_set(x, FECTL, 0);
    g_assert_cmpuint(x->f->msis, ==, 1);
    g_assert_cmphex(x->f->msi_addr, ==, 0xfee01000);
    g_assert_cmphex(x->f->msi_data, ==, 0x41);
    g_assert_true(x->f->msi.wide); /* as destinations have 32 bits with eim */
    g_assert_cmphex(x->f->msi.dest, ==, 1);
    g_assert_cmphex(rig_get(x, FECTL), ==, 0);
    fault(x, 9); /* one is pending: no further interrupts */
    g_assert_cmpuint(x->f->msis, ==, 1);
    rig_clear_faults(x);
    fault(x, 1);
    g_assert_cmpuint(x->f->msis, ==, 2);
    rig_clear_faults(x);
    rig_set(x, FECTL, MASKED);
    fault(x, 1);
    g_assert_cmphex(rig_get(x, FECTL), ==, MASKED | PENDING);
    rig_clear_faults(x); /* the cause has gone: nothing is pending */
    g_assert_cmphex(rig_get(x, FECTL), ==, MASKED);
    rig_set(x, FECTL, 0);
    g_assert_cmpuint(x->f->msis, ==, 2);
    rig_set(x, 0x40, 0x1000); /* no interrupt, and no write to memory either */
    rig_poke(x, 0x1000, 0);
    fault(x, 1);
    g_assert_cmpuint(x->f->msis, ==, 2);
    g_assert_cmphex(rig_peek(x, 0x1000), ==, 0);
    rig_free(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vtd-fault/records", test_records);
    g_test_add_func("/vtd-fault/overflow", test_overflow);
    g_test_add_func("/vtd-fault/event", test_event);
    return g_test_run();
}
