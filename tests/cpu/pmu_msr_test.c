/* Tests of cpu/pmu_msr.c: which registers there are, which values they take, RDPMC's indices. */
#include <glib.h>
#include "cpu/msr.h"
#include "tests/lib/pm_cpu.h"

#define AMD "max,vendor=AuthenticAMD,family=25" /* whatever the host is */

/* A write of val: reads back as `back`, or is #GP. */
static void check(struct pm_cpu *p, u32 num, u64 val, u64 back)
{
    u64 got = 0;
    g_assert_true(msr_write(p->c, num, val));
    g_assert_true(msr_read(p->c, num, &got));
    g_assert_cmphex(got, ==, back);
}

static void refuse(struct pm_cpu *p, u32 num, u64 val) { g_assert_false(msr_write(p->c, num, val)); }

static bool exists(struct pm_cpu *p, u32 num)
{
    u64 v;
    return msr_read(p->c, num, &v);
}

static u64 value(struct pm_cpu *p, u32 num)
{
    u64 v = 0;
    g_assert_true(msr_read(p->c, num, &v));
    return v;
}

static void test_amd(void)
{
    struct pm_cpu *p = pm_new(64, AMD);
    check(p, 0xc0010200, 0x130076, 0x130076);
    check(p, 0xc001020a, ~0ull, 0xffd7ffffull | 0x30full << 32); /* reserved bits read as zero */
    check(p, 0xc001020a, 0, 0);
    check(p, 0xc001020b, ~0ull, MASK64(48));
    check(p, 0xc0010205, 0xabcd, 0xabcd);
    g_assert_cmphex(value(p, 0xc0010006), ==, 0xabcd); /* the old names of the first four */
    check(p, 0xc0010003, 0x5300c0 & ~0x400000ull, 0x1300c0);
    g_assert_cmphex(value(p, 0xc0010206), ==, 0x1300c0);
    g_assert_false(exists(p, 0xc001020c));
    g_assert_false(exists(p, 0x186));
    g_assert_false(exists(p, 0x345));
    g_assert_false(exists(p, 0x38f));
    refuse(p, 0x1d9, BIT(12));
    pm_free(p);
}

static void test_amd_old(void)
{
    struct pm_cpu *p = pm_new(64, AMD ",-perfctr-core");
    u64 v;
    check(p, 0xc0010004, 7, 7);
    g_assert_false(exists(p, 0xc0010200));
    pm_free(p);
    p = pm_new(64, AMD ",pmu=off"); /* there, but nothing is kept */
    check(p, 0xc0010000, 0x5300c0, 0);
    check(p, 0xc0010007, MASK64(48), 0);
    g_assert_false(exists(p, 0xc0010200));
    v = 1;
    g_assert_true(pmu_rdpmc(p->c, 3, &v));
    g_assert_cmphex(v, ==, 0);
    g_assert_false(pmu_rdpmc(p->c, 4, &v));
    g_assert_false(p->c->pmu.on);
    g_assert_false(p->c->mode & MODE_COUNT);
    pm_free(p);
}

static void test_intel(void)
{
    struct pm_cpu *p = pm_new(64, "max,vendor=GenuineIntel");
    g_assert_cmphex(value(p, 0x38f), ==, 0xf);
    g_assert_cmphex(value(p, 0x345), ==, 0x2000);
    refuse(p, 0x345, 0x2000);
    check(p, 0x189, 0xff9fffff, 0xff9fffff);
    refuse(p, 0x186, BIT(21));
    refuse(p, 0x186, 1ull << 32);
    g_assert_false(exists(p, 0x18a));
    check(p, 0xc1, 0x80000000, 0xffff80000000ull);
    check(p, 0xc1, 0x1234567812345678ull, 0x12345678);
    check(p, 0x4c1, 0xff0123456789ull, 0xff0123456789ull);
    g_assert_cmphex(value(p, 0xc1), ==, 0xff0123456789ull);
    refuse(p, 0x4c1, 1ull << 48);
    check(p, 0x30b, MASK64(48), MASK64(48));
    g_assert_false(exists(p, 0x30c));
    check(p, 0x38d, 0xbbb, 0xbbb);
    refuse(p, 0x38d, 4);
    refuse(p, 0x38d, 0x1000);
    check(p, 0x38d, 0, 0);
    check(p, 0x38f, 0x70000000full, 0x70000000full);
    refuse(p, 0x38f, BIT(4));
    refuse(p, 0x38f, 1ull << 35);
    refuse(p, 0x38e, 0);
    check(p, 0x390, 3ull << 62 | 0xf, 0);
    refuse(p, 0x390, BIT(4));
    check(p, 0x1d9, BIT(12), BIT(12));
    refuse(p, 0x1d9, BIT(11));
    g_assert_false(exists(p, 0xc0010000));
    pm_free(p);
    p = pm_new(64, "Haswell");
    g_assert_false(exists(p, 0x186));
    g_assert_false(exists(p, 0xc1));
    pm_free(p);
    p = pm_new(64, "Haswell,pmu=on,pdcm=off");
    g_assert_true(exists(p, 0xc1));
    g_assert_false(exists(p, 0x4c1));
    g_assert_false(exists(p, 0x345));
    pm_free(p);
}

static void test_leaf(void)
{
    struct pm_cpu *p = pm_new(64, "max,vendor=GenuineIntel");
    u32 r[4];
    cpuid_query(p->c, 0xa, 0, r);
    g_assert_cmphex(r[0], ==, 0x07300402);
    g_assert_cmphex(r[1], ==, 0x18);
    g_assert_cmphex(r[3], ==, 0x8603);
    pm_free(p);
    p = pm_new(64, AMD);
    cpuid_query(p->c, 0xa, 0, r);
    g_assert_cmphex(r[0] | r[1] | r[2] | r[3], ==, 0);
    cpuid_query(p->c, 0x80000001, 0, r);
    g_assert_true(r[2] & BIT(23));
    pm_free(p);
}

static void test_rdpmc(void)
{
    struct pm_cpu *amd = pm_new(64, AMD), *intel = pm_new(64, "max,vendor=GenuineIntel");
    const u32 bad[] = { 7, 64, 1u << 31, 1u << 30 | 3, 3u << 30 };
    u64 v;
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        g_assert_false(pmu_rdpmc(amd->c, bad[i], &v));
        g_assert_false(pmu_rdpmc(intel->c, bad[i], &v));
    }
    g_assert_true(pmu_rdpmc(amd->c, 5, &v));
    g_assert_false(pmu_rdpmc(amd->c, 1u << 30, &v));
    g_assert_false(pmu_rdpmc(intel->c, 4, &v));
    check(intel, 0x30b, 0x123, 0x123);
    g_assert_true(pmu_rdpmc(intel->c, 1u << 30 | 2, &v));
    g_assert_cmphex(v, ==, 0x123);
    pm_free(amd);
    pm_free(intel);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/pmu-msr/amd", test_amd);
    g_test_add_func("/cpu/pmu-msr/amd-old", test_amd_old);
    g_test_add_func("/cpu/pmu-msr/intel", test_intel);
    g_test_add_func("/cpu/pmu-msr/leaf", test_leaf);
    g_test_add_func("/cpu/pmu-msr/rdpmc", test_rdpmc);
    return g_test_run();
}
