/* Tests of cpu/cpuid.c, cpu/cpuid_leaf.c and cpu/models.c: the -cpu syntax, consistency of leaves. */
#include <glib.h>
#include "cpu/help/xsave.h"
#include "tests/lib/host_insn.h"
#include "tests/lib/pm_cpu.h"

static struct cpu_model *make(const char *spec)
{
    struct err e = { "" };
    struct cpu_model *m = cpu_model_new(spec, 1, 1, 1, &e);
    if (!m)
        g_test_message("%s: %s", spec, e.msg);
    return m;
}

static void expect_error(const char *spec, const char *part)
{
    struct err e = { "" };
    g_assert_null(cpu_model_new(spec, 1, 1, 1, &e));
    g_assert_nonnull(strstr(e.msg, part));
}

static void test_every_model(void)
{
    const char *name, *desc;
    for (unsigned i = 0; (name = cpu_model_name_nth(i, &desc)); i++) {
        struct cpu_model *m = make(name);
        g_assert_nonnull(m);
        g_assert_cmpuint(strlen(m->vendor), ==, 12);
        g_assert_true(*desc);
        g_assert_true(feat_on(m, FEAT_FPU));
        cpu_model_free(m);
    }
}

static void test_spec(void)
{
    struct cpu_model *m = make("qemu64,+sse4_1,ssse3=on,-syscall,kvm=off,model=9,vendor=GenuineIntel,model-id=Hello World");
    g_assert_true(feat_on(m, FEAT_SSE41));
    g_assert_false(feat_on(m, FEAT_SYSCALL));
    g_assert_false(m->kvm_leaves);
    g_assert_cmpuint(m->model, ==, 9);
    g_assert_cmpstr(m->vendor, ==, "GenuineIntel");
    g_assert_cmpstr(m->brand, ==, "Hello World");
    cpu_model_free(m);
    m = make("Haswell-noTSX-v2");
    g_assert_cmpstr(m->name, ==, "Haswell-noTSX");
    cpu_model_free(m);
    m = make("max,-xsave"); /* what needs it goes too */
    g_assert_false(feat_on(m, FEAT_AVX) || feat_on(m, FEAT_AVX2) || feat_on(m, FEAT_PKU));
    cpu_model_free(m);
    for (unsigned f = FEAT_AVX512F; f <= FEAT_AVX512_BF16; f++) { /* they are neighbours in cpuid.def */
        m = make("max,-avx512f");
        g_assert_false(feat_on(m, f));
        g_assert_cmphex(cpuid_xcr0(m) & XC_AVX512, ==, 0);
        cpu_model_free(m);
    }
    m = make("max");
    g_assert_cmpint(feat_on(m, FEAT_AVX512F), ==, host_insn_has_zmm());
    g_assert_cmphex(cpuid_xcr0(m) & XC_AVX512, ==, host_insn_has_zmm() ? XC_AVX512 : 0);
    cpu_model_free(m);
    m = make("Skylake-Server");
    g_assert_cmpint(feat_on(m, FEAT_AVX512VL), ==, host_insn_has_zmm());
    g_assert_false(feat_on(m, FEAT_AVX512_VBMI));
    cpu_model_free(m);
    if (host_insn_has_zmm())
        expect_error("max,-avx2,+avx512f", "avx2");
    expect_error("max,+avx512-fp16", "avx512-fp16");
    expect_error("nonsense", "no such CPU model");
    expect_error("max,+hle", "hle");
    expect_error("max,family=x", "family");
    expect_error("max,avx=maybe", "on or off");
    expect_error("max,vendor=short", "vendor");
    expect_error("qemu64,-xsave,+avx", "avx");
    expect_error("kvm64,pmu=on", "no performance counters");
    expect_error("pentium3,pmu=on", "no performance counters");
    expect_error("max,pmu=off,+perfctr-core", "pmu=on");
    expect_error("EPYC,+pdcm", "pmu=on");
    expect_error("max,pmu=maybe", "on or off");
}

static void test_pmu(void)
{
    static const struct {
        const char *spec;
        unsigned gp, fixed;
        bool core, pdcm;
    } t[] = {
        { "max", 6, 0, true, false }, { "max,pmu=off", 0, 0, false, false }, { "max,-perfctr-core", 4, 0, false, false },
        { "max,vendor=GenuineIntel", 4, 3, false, true }, { "Haswell", 0, 0, false, false }, { "Haswell,pmu=on", 4, 3, false, true },
        { "Haswell,pmu=on,pdcm=off", 4, 3, false, false }, { "EPYC", 0, 0, false, false }, { "EPYC,pmu=on", 6, 0, true, false },
        { "Opteron_G1,pmu=on", 4, 0, false, false }, { "x86-64-v3", 0, 0, false, false },
    };
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct cpu_model *m = make(t[i].spec);
        g_assert_cmpuint(pmu_gp_count(m), ==, t[i].gp);
        g_assert_cmpuint(pmu_fixed_count(m), ==, t[i].fixed);
        g_assert_cmpint(feat_on(m, FEAT_PERFCTR_CORE), ==, t[i].core);
        g_assert_cmpint(feat_on(m, FEAT_PDCM), ==, t[i].pdcm);
        cpu_model_free(m);
    }
}

static void query(struct pm_cpu *p, u32 leaf, u32 sub, u32 out[4]) { cpuid_query(p->c, leaf, sub, out); }

static void test_leaves(void)
{
    struct pm_cpu *p = pm_new(64, "max");
    u32 r[4];
    query(p, 0, 0, r);
    g_assert_cmphex(r[0], ==, 0xd);
    g_assert_cmpint(memcmp(&r[1], "Auth", 4), ==, 0);
    query(p, 1, 0, r);
    g_assert_cmphex(r[0], ==, 0x00a10f10);
    g_assert_cmphex(r[2] & BIT(27), ==, 0); /* OSXSAVE mirrors CR4 */
    p->c->cr4 |= CR4_OSXSAVE;
    query(p, 1, 0, r);
    g_assert_cmphex(r[2] & BIT(27), ==, BIT(27));
    u32 edx1 = r[3];
    query(p, 0x80000001, 0, r);
    g_assert_cmphex(r[3] & 0x0183f3ff, ==, edx1 & 0x0183f3ff);
    g_assert_cmphex(r[3] & BIT(29), ==, BIT(29));
    query(p, 0xd, 0, r);
    g_assert_cmphex(r[0] & 3, ==, 3);
    g_assert_cmpuint(r[1], ==, 576);
    g_assert_cmpuint(r[2], >=, r[1]);
    query(p, 0x40000000, 0, r);
    g_assert_cmpint(memcmp(&r[1], "KVMKVMKVM\0\0\0", 12), ==, 0);
    query(p, 0x40000001, 0, r);
    g_assert_cmphex(r[0], ==, BIT(0) | BIT(1) | BIT(3) | BIT(5) | BIT(6) | BIT(7) | BIT(11) | BIT(24));
    query(p, 0x80000008, 0, r);
    g_assert_cmphex(r[0], ==, 48 << 8 | 40);
    query(p, 0x99, 0, r);
    g_assert_cmphex(r[0] | r[1] | r[2] | r[3], ==, 0);
    pm_free(p);
    p = pm_new(64, "EPYC"); /* XSAVEC without XSAVES */
    query(p, 0xd, 1, r);
    g_assert_cmpuint(r[1], ==, feat_on(p->model, FEAT_XSAVEC) ? 576 : 0);
    pm_free(p);
    p = pm_new(64, "max,kvm=off");
    query(p, 0x40000000, 0, r);
    g_assert_cmphex(r[0] | r[1], ==, 0);
    pm_free(p);
}

static void test_32_bit(void)
{
    struct pm_cpu *p = pm_new(32, "qemu32");
    u32 r[4];
    query(p, 0x80000001, 0, r);
    g_assert_cmphex(r[3], ==, 0);
    g_assert_cmpuint(p->model->phys_bits, ==, 36);
    p->c->gpr[R_CX] = 0xc0000080; /* EFER exists, LME does not */
    p->c->gpr[R_AX] = EFER_LME;
    p->c->gpr[R_DX] = 0;
    pm_help(p, help_wrmsr, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

static void test_topology(void)
{
    struct err e;
    struct cpu_model *m = cpu_model_new("max", 4, 4, 1, &e);
    struct pm_cpu *p = pm_new(64, NULL);
    u32 r[4];
    p->c->model = m;
    p->c->index = 2;
    query(p, 1, 0, r);
    g_assert_cmphex(r[1] >> 16, ==, 2 << 8 | 4);
    g_assert_cmphex(r[3] & BIT(28), ==, BIT(28));
    query(p, 0x80000001, 0, r);
    g_assert_cmphex(r[2] & 2, ==, 2);
    query(p, 0x80000008, 0, r);
    g_assert_cmphex(r[2], ==, 2 << 12 | 3);
    query(p, 0xb, 1, r);
    g_assert_cmpuint(r[0], ==, 2);
    g_assert_cmpuint(r[1], ==, 4);
    g_assert_cmpuint(r[3], ==, 2);
    p->c->model = p->model;
    pm_free(p);
    cpu_model_free(m);
}

/* No name is used twice, and none is a prefix trap of the parser. */
static void test_names(void)
{
    for (unsigned i = 0; cpu_feature_name_nth(i); i++) {
        for (unsigned k = 0; k < i; k++)
            g_assert_cmpstr(cpu_feature_name_nth(i), !=, cpu_feature_name_nth(k));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/cpuid/models", test_every_model);
    g_test_add_func("/cpu/cpuid/spec", test_spec);
    g_test_add_func("/cpu/cpuid/pmu", test_pmu);
    g_test_add_func("/cpu/cpuid/leaves", test_leaves);
    g_test_add_func("/cpu/cpuid/32-bit", test_32_bit);
    g_test_add_func("/cpu/cpuid/topology", test_topology);
    g_test_add_func("/cpu/cpuid/names", test_names);
    return g_test_run();
}
