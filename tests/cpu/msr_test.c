/* Tests of cpu/msr.c, cpu/msr.def and cpu/pvclock.c: reserved bits, TSC arithmetic, kvmclock records. */
#include <glib.h>
#include "cpu/help/help.h"
#include "cpu/msr.h"
#include "cpu/pvclock.h"
#include "tests/lib/pm_cpu.h"

static void test_table(void)
{
    u32 last = 0, num;
    for (unsigned i = 0; msr_name_nth(i, &num); i++) {
        g_assert_cmphex(num, >, last);
        last = num;
    }
    g_assert_cmphex(last, ==, 0xc0011029);
}

static void check(struct pm_cpu *p, u32 num, u64 val, bool ok)
{
    u64 back = 0;
    g_assert_cmpint(msr_write(p->c, num, val), ==, ok);
    if (ok) {
        g_assert_true(msr_read(p->c, num, &back));
        g_assert_cmphex(back, ==, val);
    }
}

static void test_values(void)
{
    struct pm_cpu *p = pm_new(64, "max");
    check(p, 0xc0000082, 0xffffffff81000000ull, true);
    check(p, 0xc0000082, 1ull << 48, false);
    check(p, 0xc0000100, 0x00007ffffffff000ull, true);
    g_assert_cmphex(p->c->seg[S_FS].base, ==, 0x00007ffffffff000ull);
    check(p, 0xc0000084, 1ull << 32, false);
    check(p, 0x277, 0x0007040600070406ull, true);
    check(p, 0x277, 2, false);
    check(p, 0x277, 0x0801, false);
    check(p, 0x2ff, 0xc06, true);
    check(p, 0x2ff, 0xc02, false);
    check(p, 0x200, 0xc0000006, true);
    check(p, 0x200, 1ull << 40, false);
    check(p, 0x201, 0xffc0000800ull, true);
    check(p, 0x201, 1, false);
    check(p, 0x250, 0x0606060606060606ull, true);
    check(p, 0x250, 7, false);
    check(p, 0x401, 0, true);
    check(p, 0x401, 1, false);
    check(p, 0x400, ~0ull, true);
    check(p, 0xda0, 0, true);
    check(p, 0xda0, 1, false);
    check(p, 0x48, 1, true);
    check(p, 0xfe, 0, false);
    check(p, 0x3a, 1, true);
    check(p, 0x3a, 1, false); /* locked */
    check(p, 0x12345678, 0, false);
    check(p, 0xc0010003, 0x5300c0, true);
    check(p, 0xc0010007, MASK64(48), true);
    pm_free(p);
}

static void test_vendor(void)
{
    struct pm_cpu *amd = pm_new(64, "max,vendor=AuthenticAMD"), *intel = pm_new(64, "max,vendor=GenuineIntel");
    check(amd, 0x400, 0xaa, true);
    check(intel, 0x400, 0xaa, false);
    check(intel, 0x400, ~0ull, true);
    check(intel, 0x402, 0xaa, true);
    check(amd, 0xc0010015, BIT(18), true); /* McStatusWrEn */
    check(amd, 0x401, 0xaa, true);
    check(intel, 0xc0010000, 0, false);
    pm_free(amd);
    pm_free(intel);
}

static void test_misc_enable(void)
{
    struct pm_cpu *p = pm_new(64, "max,vendor=GenuineIntel");
    u32 r[4];
    u64 v;
    p->c->efer &= ~(u64)EFER_NX;
    g_assert_true(msr_write(p->c, 0x1a0, MISC_XD_DISABLE | MISC_LIMIT_CPUID));
    g_assert_true(msr_read(p->c, 0x1a0, &v));
    g_assert_cmphex(v, ==, MISC_XD_DISABLE | MISC_LIMIT_CPUID | 0x1880); /* counters available, BTS and PEBS not: read-only */
    cpuid_query(p->c, 0, 0, r);
    g_assert_cmpuint(r[0], ==, 2);
    cpuid_query(p->c, 0x80000001, 0, r);
    g_assert_false(r[3] & BIT(20));
    g_assert_false(msr_write(p->c, 0xc0000080, EFER_LME | EFER_NX));
    pm_free(p);
}

static void test_privilege(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    p->c->gpr[R_CX] = 0xc0000080;
    pm_help(p, help_rdmsr, 0, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(p->c->gpr[R_AX], ==, EFER_LME | EFER_LMA | EFER_NX | EFER_SCE);
    pm_user(p);
    pm_help(p, help_rdmsr, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

static void test_efer(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    u64 v;
    g_assert_false(msr_write(p->c, 0xc0000080, 0)); /* LME with paging on */
    g_assert_false(msr_write(p->c, 0xc0000080, EFER_LME | BIT(1)));
    g_assert_true(msr_write(p->c, 0xc0000080, EFER_LME)); /* LMA stays what it is */
    g_assert_true(msr_read(p->c, 0xc0000080, &v));
    g_assert_cmphex(v, ==, EFER_LME | EFER_LMA);
    pm_free(p);
}

static void test_tsc(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    u64 v;
    p->tsc = 1000;
    g_assert_true(msr_write(p->c, 0x10, 5000));
    p->tsc = 1500;
    g_assert_cmpuint(cpu_tsc(p->c), ==, 5500);
    g_assert_true(msr_read(p->c, 0x3b, &v));
    g_assert_cmpuint(v, ==, 4000);
    g_assert_true(msr_write(p->c, 0x3b, 100));
    g_assert_cmpuint(cpu_tsc(p->c), ==, 1600);
    pm_help(p, help_rdtscp, 0, 0, 0);
    g_assert_cmpuint(p->c->gpr[R_AX], ==, 1600);
    p->c->cr4 |= CR4_TSD;
    pm_gate(p, EXC_GP, SYS_INT32, 0, SEL_C0_64, PM_HANDLER, 0);
    pm_user(p);
    pm_help(p, help_rdtsc, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

/* What a guest computes from the record. */
static u64 guest_ns(struct pm_cpu *p, u64 rec, u64 tsc)
{
    u64 delta = tsc - pm_ld64(p, rec + 8);
    int shift = (i8)p->ram[rec + 28];
    delta = shift < 0 ? delta >> -shift : delta << shift;
    return pm_ld64(p, rec + 16) + (u64)((u128)delta * pm_ld32(p, rec + 24) >> 32);
}

static void test_kvmclock(void)
{
    static const u32 khz[] = { 1000000, 2100000, 800000, 3333333 };
    for (unsigned i = 0; i < ARRAY_LEN(khz); i++) {
        struct pm_cpu *p = pm_new(64, NULL);
        p->model->tsc_khz = khz[i];
        p->tsc = (u64)khz[i] * 1000 * 5; /* five seconds */
        g_assert_true(msr_write(p->c, 0x4b564d01, 0x50000 | 1));
        g_assert_cmpuint(pm_ld32(p, 0x50000) & 1, ==, 0);
        g_assert_cmpuint(pm_ld64(p, 0x50010), ==, 5000000000ull);
        g_assert_cmphex(p->ram[0x5001d], ==, 1);
        u64 later = guest_ns(p, 0x50000, p->tsc + (u64)khz[i] * 1000 * 60);
        g_assert_cmpuint(later - 65000000000ull + 100, <, 200);
        p->wall = 1700000005000000123ull;
        g_assert_true(msr_write(p->c, 0x4b564d00, 0x51000));
        g_assert_cmpuint(pm_ld32(p, 0x51004), ==, 1700000000);
        g_assert_cmpuint(pm_ld32(p, 0x51008), ==, 123);
        g_assert_true(msr_write(p->c, 0x10, 0)); /* a new TSC: a new record */
        g_assert_cmpuint(pm_ld64(p, 0x50008), ==, 0);
        g_assert_true(msr_write(p->c, 0x4b564d01, 0xfffffffff001ull)); /* not RAM: ignored */
        pm_free(p);
    }
}

static void test_steal_time(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    p->steal = 7000;
    g_assert_false(msr_write(p->c, 0x4b564d03, 0x50003)); /* reserved bits */
    g_assert_true(msr_write(p->c, 0x4b564d03, 0x50001));
    g_assert_cmpuint(pm_ld64(p, 0x50000), ==, 0); /* what was stolen before counts for nobody */
    g_assert_cmpuint(pm_ld32(p, 0x50008) & 1, ==, 0);
    p->steal = 9000;
    pvclock_steal(p->c, false);
    g_assert_cmpuint(pm_ld64(p, 0x50000), ==, 0); /* not yet */
    p->tsc += (u64)p->model->tsc_khz * 20; /* 20 ms */
    u32 version = pm_ld32(p, 0x50008);
    pvclock_steal(p->c, false);
    g_assert_cmpuint(pm_ld64(p, 0x50000), ==, 2000);
    g_assert_cmpuint(pm_ld32(p, 0x50008) & 1, ==, 0);
    g_assert_cmpuint(pm_ld32(p, 0x50008), !=, version);
    p->tsc += (u64)p->model->tsc_khz * 20;
    p->steal = 9500;
    pvclock_steal(p->c, false);
    g_assert_cmpuint(pm_ld64(p, 0x50000), ==, 2500);
    g_assert_true(msr_write(p->c, 0x4b564d03, 0xfffffffff001ull)); /* not RAM: off */
    u64 v;
    g_assert_true(msr_read(p->c, 0x4b564d03, &v));
    g_assert_cmphex(v, ==, 0);
    pm_free(p);
}

static u64 hypercall(struct pm_cpu *p, u64 nr, u64 a, u64 b)
{
    p->c->gpr[R_AX] = nr;
    p->c->gpr[R_BX] = a;
    p->c->gpr[R_CX] = b;
    pm_help(p, help_vmcall, 0, 0, 0);
    return p->c->gpr[R_AX];
}

static void test_kick(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    g_assert_cmphex(hypercall(p, 5, 0, 3), ==, 0);
    g_assert_cmpuint(p->kicked, ==, 3);
    pm_free(p);
    p = pm_new(64, "max,kvm-pv-unhalt=off,kvm-steal-time=off,kvm-pv-eoi=off");
    g_assert_cmphex(hypercall(p, 5, 0, 3), ==, (u64)-1000);
    g_assert_false(msr_write(p->c, 0x4b564d03, 0x50001));
    g_assert_false(msr_write(p->c, 0x4b564d04, 0x50001));
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/msr/table", test_table);
    g_test_add_func("/cpu/msr/values", test_values);
    g_test_add_func("/cpu/msr/vendor", test_vendor);
    g_test_add_func("/cpu/msr/misc-enable", test_misc_enable);
    g_test_add_func("/cpu/msr/privilege", test_privilege);
    g_test_add_func("/cpu/msr/efer", test_efer);
    g_test_add_func("/cpu/msr/tsc", test_tsc);
    g_test_add_func("/cpu/msr/kvmclock", test_kvmclock);
    g_test_add_func("/cpu/msr/steal-time", test_steal_time);
    g_test_add_func("/cpu/msr/kick", test_kick);
    return g_test_run();
}
