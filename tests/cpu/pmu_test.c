/* Tests of cpu/pmu.c: from raw counts to counters, levels, overflow and its interrupt, the timer of cycles, HLT, saving. What emitted code and the
 * interpreter count is tested by tests/guest/pmu_64.c. */
#include <glib.h>
#include "cpu/msr.h"
#include "hw/core/irq.h"
#include "tests/lib/pm_cpu.h"

#define AMD "max,vendor=AuthenticAMD,family=25" /* whatever the host is */

enum { EN = 1 << 22, INT = 1 << 20, OS = 1 << 17, USR = 1 << 16, INSNS = 0xc0, BRANCHES = 0xc2, MISSES = 0xc3, CYCLES = 0x76 };
#define CTL(i) (0xc0010200u + 2 * (i))
#define CTR(i) (0xc0010201u + 2 * (i))

static struct {
    unsigned pmi;
    bool mask;
} apic;
static void fake_pmi(void *lapic, bool mask)
{
    apic.pmi++;
    apic.mask = mask;
}
static const struct lapic_ops fake_ops = { .pmi = fake_pmi };

static struct pm_cpu *start(const char *model)
{
    struct pm_cpu *p = pm_new(64, model);
    apic.pmi = 0;
    p->c->lapic = &apic;
    p->c->lapic_ops = &fake_ops;
    return p;
}

static void set(struct pm_cpu *p, u32 num, u64 val) { g_assert_true(msr_write(p->c, num, val)); }

static u64 get(struct pm_cpu *p, u32 num)
{
    u64 v = 0;
    g_assert_true(msr_read(p->c, num, &v));
    return v;
}

/* What the engine does for n instructions, the last of which is a branch if `branch`. */
static void run(struct pm_cpu *p, unsigned n, bool branch)
{
    p->c->pmu.left[PMU_INSNS] -= n;
    p->c->pmu.left[PMU_BRANCHES] -= branch;
    if (pmu_due(&p->c->pmu))
        pmu_do_due(p->c);
}

static void test_modes(void)
{
    struct pm_cpu *p = start(AMD);
    set(p, CTL(0), CYCLES | OS | USR | INT | EN);
    g_assert_true(p->c->pmu.on);
    g_assert_false(p->c->mode & MODE_COUNT); /* cycles cost nothing */
    set(p, CTL(1), INSNS | USR | EN);
    g_assert_false(p->c->mode & MODE_COUNT);
    pm_user(p);
    cpu_update_mode(p->c);
    g_assert_true(p->c->mode & MODE_COUNT);
    g_assert_false(p->c->mode & MODE_COUNT_BR);
    set(p, CTL(2), MISSES | USR | EN);
    g_assert_true(p->c->mode & MODE_COUNT_BR);
    set(p, CTL(2), 0x99 | USR | EN); /* nothing that is counted */
    set(p, CTL(1), 0);
    g_assert_false(p->c->mode & (MODE_COUNT | MODE_COUNT_BR));
    cpu_reset(p->c, true); /* INIT keeps them */
    g_assert_true(p->c->pmu.on);
    cpu_reset(p->c, false);
    g_assert_false(p->c->pmu.on);
    pm_free(p);
}

static void test_counts(void)
{
    struct pm_cpu *p = start(AMD);
    set(p, CTL(0), INSNS | OS | EN);
    set(p, CTL(1), BRANCHES | OS | USR | EN);
    run(p, 10, true);
    run(p, 5, false);
    g_assert_cmpuint(get(p, CTR(0)), ==, 15);
    g_assert_cmpuint(get(p, CTR(1)), ==, 1);
    p->c->pmu.left[PMU_INSNS] -= 8; /* within the third instruction of a block of eight, which ends with a branch */
    p->c->pmu.left[PMU_BRANCHES]--;
    p->c->pmu.ahead = 6 | 1 << 16;
    g_assert_cmpuint(get(p, CTR(0)), ==, 17); /* RDMSR does not count itself */
    g_assert_cmpuint(get(p, CTR(1)), ==, 1);
    set(p, CTR(2), 0); /* WRMSR does */
    g_assert_cmpuint(p->c->pmu.ctr[0], ==, 18);
    pmu_undo(p->c); /* and is left before its end after all */
    g_assert_cmpuint(get(p, CTR(0)), ==, 17);
    g_assert_cmpuint(get(p, CTR(1)), ==, 1);
    run(p, 1, true);
    set(p, CTL(0), 0);
    run(p, 100, false);
    g_assert_cmpuint(get(p, CTR(0)), ==, 18);
    g_assert_cmpuint(get(p, CTR(1)), ==, 2);
    pm_free(p);
}

static void test_levels(void)
{
    struct pm_cpu *p = start(AMD);
    set(p, CTL(0), INSNS | OS | EN);
    set(p, CTL(1), INSNS | USR | EN);
    set(p, CTL(2), INSNS | OS | USR | EN);
    run(p, 7, false);
    pm_user(p);
    cpu_update_mode(p->c);
    run(p, 100, false);
    g_assert_cmpuint(get(p, CTR(0)), ==, 7);
    g_assert_cmpuint(get(p, CTR(1)), ==, 100);
    g_assert_cmpuint(get(p, CTR(2)), ==, 107);
    pm_free(p);
}

static void test_overflow(void)
{
    struct pm_cpu *p = start(AMD);
    set(p, CTR(0), (u64)-20);
    set(p, CTR(1), (u64)-3);
    set(p, CTL(0), INSNS | OS | INT | EN);
    set(p, CTL(1), BRANCHES | OS | EN);
    g_assert_cmpint(p->c->pmu.left[PMU_INSNS], ==, 20);
    run(p, 19, true);
    run(p, 0, true);
    g_assert_cmpuint(apic.pmi, ==, 0);
    g_assert_false(pmu_due(&p->c->pmu));
    run(p, 1, true); /* both */
    g_assert_cmpuint(apic.pmi, ==, 1);
    g_assert_false(apic.mask);
    g_assert_cmpuint(get(p, CTR(0)), ==, 0);
    g_assert_cmpuint(get(p, CTR(1)), ==, 0);
    g_assert_cmpint(p->c->pmu.left[PMU_INSNS], ==, PMU_FAR);
    set(p, CTR(0), MASK64(48) - 2 * PMU_FAR); /* farther away than one look */
    run(p, (unsigned)PMU_FAR, false);
    run(p, (unsigned)PMU_FAR, false);
    g_assert_cmpuint(apic.pmi, ==, 1);
    g_assert_cmpint(p->c->pmu.left[PMU_INSNS], ==, 1);
    run(p, 1, false);
    g_assert_cmpuint(apic.pmi, ==, 2);
    pm_free(p);
}

static void test_intel(void)
{
    struct pm_cpu *p = start("max,vendor=GenuineIntel");
    set(p, 0x38d, 0x00b); /* fixed counter 0, with an interrupt */
    set(p, 0x186, 0x4300c0);
    set(p, 0x309, (u64)-4);
    run(p, 4, false);
    g_assert_cmpuint(apic.pmi, ==, 0); /* global control has it off */
    set(p, 0x38f, 1ull << 32);
    run(p, 4, false);
    g_assert_cmpuint(apic.pmi, ==, 1);
    g_assert_true(apic.mask);
    g_assert_cmphex(get(p, 0x38e), ==, 1ull << 32);
    g_assert_cmpuint(get(p, 0xc1), ==, 4);
    set(p, 0x390, 1ull << 32);
    g_assert_cmphex(get(p, 0x38e), ==, 0);
    set(p, 0x1d9, BIT(12));
    set(p, 0x309, (u64)-1);
    run(p, 1, false);
    g_assert_cmphex(get(p, 0x38f), ==, 0); /* frozen */
    g_assert_false(p->c->mode & MODE_COUNT);
    pm_free(p);
}

static void test_cycles(void)
{
    struct pm_cpu *p = start(AMD);
    p->tsc = 1000;
    set(p, CTR(0), (u64)-500);
    set(p, CTL(0), CYCLES | OS | USR | INT | EN);
    g_assert_cmpuint(p->pmu_timer, ==, 1500);
    p->tsc = 1200;
    g_assert_cmphex(get(p, CTR(0)), ==, (-300ull & MASK64(48)));
    pmu_halt(p->c);
    p->tsc = 2000;
    g_assert_cmphex(get(p, CTR(0)), ==, (-300ull & MASK64(48)));
    p->c->pmu.fired = true; /* too early, and in HLT */
    pmu_do_due(p->c);
    g_assert_cmpuint(apic.pmi, ==, 0);
    pmu_wake(p->c);
    g_assert_cmpuint(p->pmu_timer, ==, 2300);
    p->tsc = 2310;
    p->c->pmu.fired = true;
    pmu_do_due(p->c);
    g_assert_cmpuint(apic.pmi, ==, 1);
    g_assert_cmphex(get(p, CTR(0)), ==, 10);
    pm_free(p);
}

static void test_save(void)
{
    struct pm_cpu *p = start(AMD), *q = start(AMD);
    GByteArray *a = g_byte_array_new();
    set(p, CTL(3), INSNS | OS | EN);
    run(p, 42, false);
    pmu_save(p->c);
    snap_save(pmu_fields, &p->c->pmu, a);
    g_assert_cmpint(snap_load(pmu_fields, &q->c->pmu, a->data, a->len), ==, a->len);
    pmu_loaded(q->c);
    g_assert_true(q->c->mode & MODE_COUNT);
    run(q, 1, false);
    g_assert_cmpuint(get(q, CTR(3)), ==, 43);
    g_byte_array_free(a, TRUE);
    pm_free(p);
    pm_free(q);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/pmu/modes", test_modes);
    g_test_add_func("/cpu/pmu/counts", test_counts);
    g_test_add_func("/cpu/pmu/levels", test_levels);
    g_test_add_func("/cpu/pmu/overflow", test_overflow);
    g_test_add_func("/cpu/pmu/intel", test_intel);
    g_test_add_func("/cpu/pmu/cycles", test_cycles);
    g_test_add_func("/cpu/pmu/save", test_save);
    return g_test_run();
}
