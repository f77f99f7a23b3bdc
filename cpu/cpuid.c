/* Builds a CPU model from -cpu: features of the named model, limited to what can be executed, plus and minus what was asked. Main thread at
 * start-up; what the model then says is in cpu/cpuid_leaf.c. Source: SDM vol. 2 CPUID; AMD APM vol. 3 appendix E. */
#include "cpu/cpuid.h"
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>

enum how { HOST, OURS };
struct feature {
    const char *name;
    u32 leaf, subleaf;
    u8 reg, bit, how;
};
static const struct feature features[FEAT_COUNT] = {
#define X(NAME, name, leaf, subleaf, reg, bit, how) [FEAT_##NAME] = { name, leaf, subleaf, reg, bit, how },
#include "cpu/cpuid.def"
#undef X
};

/* Other names for the same features. */
static const struct {
    const char *alias, *name;
} aliases[] = {
    { "sse3", "pni" }, { "xd", "nx" }, { "i64", "lm" }, { "lzcnt", "abm" }, { "pclmuldq", "pclmulqdq" }, { "sha", "sha-ni" },
    { "lahf", "lahf-lm" }, { "kvm-pv-clock", "kvmclock" },
};

/* A feature and what it makes no sense without. */
static const u16 depends[][2] = {
    { FEAT_AVX, FEAT_XSAVE }, { FEAT_AVX2, FEAT_AVX }, { FEAT_FMA, FEAT_AVX }, { FEAT_F16C, FEAT_AVX }, { FEAT_VAES, FEAT_AVX },
    { FEAT_VPCLMULQDQ, FEAT_AVX }, { FEAT_XSAVEOPT, FEAT_XSAVE }, { FEAT_XSAVEC, FEAT_XSAVE }, { FEAT_XGETBV1, FEAT_XSAVE },
    { FEAT_XSAVES, FEAT_XSAVEC }, { FEAT_SSE, FEAT_FXSR }, { FEAT_SSE2, FEAT_SSE }, { FEAT_SSE3, FEAT_SSE2 }, { FEAT_SSSE3, FEAT_SSE3 },
    { FEAT_SSE41, FEAT_SSSE3 }, { FEAT_SSE42, FEAT_SSE41 }, { FEAT_AES, FEAT_SSE2 }, { FEAT_PCLMULQDQ, FEAT_SSE2 }, { FEAT_GFNI, FEAT_SSE2 },
    { FEAT_SHA, FEAT_SSE2 }, { FEAT_AVX, FEAT_SSE42 }, { FEAT_LM, FEAT_PAE }, { FEAT_SYSCALL, FEAT_LM }, { FEAT_LA57, FEAT_LM },
    { FEAT_PCID, FEAT_LM }, { FEAT_PDPE1GB, FEAT_LM }, { FEAT_PKU, FEAT_XSAVE }, { FEAT_PKU, FEAT_LM }, { FEAT_FSGSBASE, FEAT_LM },
    { FEAT_CX16, FEAT_LM }, { FEAT_LAHF_LM, FEAT_LM }, { FEAT_TSC_DEADLINE, FEAT_APIC }, { FEAT_X2APIC, FEAT_APIC },
    { FEAT_NX, FEAT_PAE }, { FEAT_MMXEXT, FEAT_MMX },
    { FEAT_AVX512F, FEAT_AVX2 }, { FEAT_AVX512F, FEAT_FMA }, { FEAT_AVX512F, FEAT_F16C }, { FEAT_AVX512DQ, FEAT_AVX512F }, { FEAT_AVX512_IFMA, FEAT_AVX512F },
    { FEAT_AVX512CD, FEAT_AVX512F }, { FEAT_AVX512BW, FEAT_AVX512F }, { FEAT_AVX512VL, FEAT_AVX512F }, { FEAT_AVX512_VBMI, FEAT_AVX512BW },
    { FEAT_AVX512_VBMI2, FEAT_AVX512BW }, { FEAT_AVX512_VNNI, FEAT_AVX512F }, { FEAT_AVX512_BITALG, FEAT_AVX512BW }, { FEAT_AVX512_VPOPCNTDQ, FEAT_AVX512F },
    { FEAT_AVX512_VP2INTERSECT, FEAT_AVX512F }, { FEAT_AVX512_BF16, FEAT_AVX512BW },
};

static void feat_set(u64 *set, unsigned f, bool on)
{
    set[f / 64] = (set[f / 64] & ~BIT64(f % 64)) | (u64)on << (f % 64);
}

static bool feat_in(const u64 *set, unsigned f) { return set[f / 64] >> (f % 64) & 1; }

const char *cpu_feature_name_nth(unsigned i) { return i + 1 < FEAT_COUNT ? features[i + 1].name : NULL; }

/* Names are the same whether written with '-', '_' or '.'. */
static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = strchr("_.", a[i]) && a[i] ? '-' : a[i], y = strchr("_.", b[i]) && b[i] ? '-' : b[i];
        if (x != y || !x)
            return false;
    }
    return !b[n];
}

/* FEAT_NONE if there is no such feature. */
static unsigned feat_find(const char *name, size_t n)
{
    for (unsigned i = 0; i < ARRAY_LEN(aliases); i++) {
        if (same_name(name, aliases[i].alias, n))
            return feat_find(aliases[i].name, strlen(aliases[i].name));
    }
    for (unsigned f = 1; f < FEAT_COUNT; f++) {
        if (same_name(name, features[f].name, n))
            return f;
    }
    return FEAT_NONE;
}

/* --- what can be executed --- */
static bool host_bit(const struct feature *f)
{
    u32 r[4];
    if (!__get_cpuid_count(f->leaf, f->subleaf, &r[0], &r[1], &r[2], &r[3]))
        return false;
    return r[f->reg] >> f->bit & 1;
}

/* The host's kernel saves these registers: bits of XCR0. */
static bool host_saves(u32 components)
{
    u32 a, b, cx, d;
    if (!__get_cpuid(1, &a, &b, &cx, &d) || !(cx & bit_OSXSAVE))
        return false;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & components) == components;
}

static void drop_dependents(u64 *set)
{
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < ARRAY_LEN(depends); i++) {
            if (feat_in(set, depends[i][0]) && !feat_in(set, depends[i][1])) {
                feat_set(set, depends[i][0], false);
                again = true;
            }
        }
    }
}

static void executable_features(u64 *set)
{
    memset(set, 0, FEAT_WORDS * sizeof(*set));
    feat_set(set, FEAT_NONE, true);
    for (unsigned f = 1; f < FEAT_COUNT; f++)
        feat_set(set, f, features[f].how == OURS || host_bit(&features[f]));
    if (!host_saves(0x06))
        feat_set(set, FEAT_AVX, false);
    /* The state is saved as a whole, mask registers with KMOVQ. */
    if (!host_saves(0xe6) || !feat_in(set, FEAT_AVX512BW) || !feat_in(set, FEAT_AVX512DQ) || !feat_in(set, FEAT_AVX512VL))
        feat_set(set, FEAT_AVX512F, false);
    drop_dependents(set);
}

/* --- building --- */
/* Adds (or removes) blank-separated names; "*" is everything executable. */
static void feat_list(u64 *set, const char *names, bool on, const u64 *can)
{
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        if (n == 1 && *p == '*') {
            memcpy(set, can, FEAT_WORDS * sizeof(*set));
        } else if (n) {
            unsigned f = feat_find(p, n);
            assert(f);
            feat_set(set, f, on);
        }
        p += n + (p[n] == ' ');
    }
}

static void model_features(u64 *set, const struct cpu_model_def *d, const u64 *can)
{
    if (d->parent)
        model_features(set, cpu_model_def_find(d->parent), can);
    feat_list(set, d->features, true, can);
    feat_list(set, d->without, false, can);
}

/* The host's identity: vendor, family, model, stepping, brand. */
static void host_identity(struct cpu_model *m)
{
    u32 a = 0, b = 0, c = 0, d = 0, r[12] = { 0 };
    __get_cpuid(0, &a, &b, &c, &d);
    memcpy(m->vendor, &b, 4);
    memcpy(m->vendor + 4, &d, 4);
    memcpy(m->vendor + 8, &c, 4);
    __get_cpuid(1, &a, &b, &c, &d);
    m->family = (a >> 8 & 15) + ((a >> 8 & 15) == 15 ? a >> 20 & 0xff : 0);
    m->model = (a >> 4 & 15) | (a >> 12 & 0xf0);
    m->stepping = a & 15;
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002 + i, &r[i * 4], &r[i * 4 + 1], &r[i * 4 + 2], &r[i * 4 + 3]);
    memcpy(m->brand, r, 48);
}

static u8 host_phys_bits(void)
{
    u32 a = 36, b, c, d;
    __get_cpuid(0x80000008, &a, &b, &c, &d);
    return (u8)MIN_OF(a & 0xff, 52u);
}

static void model_identity(struct cpu_model *m, const struct cpu_model_def *d)
{
    if (d->vendor) {
        snprintf(m->vendor, sizeof(m->vendor), "%s", d->vendor);
        snprintf(m->brand, sizeof(m->brand), "%s", d->brand);
        m->family = d->family;
        m->model = d->model;
        m->stepping = d->stepping;
    } else {
        host_identity(m);
    }
    snprintf(m->name, sizeof(m->name), "%s", d->name);
    m->level = d->level;
    m->xlevel = d->xlevel;
}

/* Drops what the host cannot execute; with enforce that is an error. */
static int limit_to_host(struct cpu_model *m, const u64 *can, bool enforce, struct err *e)
{
    for (unsigned f = 1; f < FEAT_COUNT; f++) {
        if (!feat_in(m->feat, f) || feat_in(can, f))
            continue;
        if (enforce)
            return err_set(e, "-cpu %s: the host CPU lacks '%s'", m->name, features[f].name);
        warn_report("-cpu %s: the host CPU lacks '%s': not offered to the guest", m->name, features[f].name);
        feat_set(m->feat, f, false);
    }
    return 0;
}

/* --- the command line --- */
struct spec {
    struct cpu_model *m;
    const u64 *can;
    u64 asked[FEAT_WORDS], refused[FEAT_WORDS]; /* with + or =on: dependants of what is missing are an error */
    bool pmu_asked;
    bool enforce;
};

static int parse_bool(const char *key, const char *val, bool *out, struct err *e)
{
    static const char *const yes[] = { "on", "yes", "true", "y" }, *const no[] = { "off", "no", "false", "n" };
    for (unsigned i = 0; i < ARRAY_LEN(yes); i++) {
        if (!strcmp(val, yes[i]) || !strcmp(val, no[i])) {
            *out = !strcmp(val, yes[i]);
            return 0;
        }
    }
    return err_set(e, "-cpu ...,%s=%s: expected on or off", key, val);
}

static int parse_num(const char *key, const char *val, u32 min, u32 max, u32 *out, struct err *e)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(val, &end, 0);
    if (errno || end == val || *end || v < min || v > max)
        return err_set(e, "-cpu ...,%s=%s: expected a number from %u to %u", key, val, min, max);
    *out = (u32)v;
    return 0;
}

static int parse_text(const char *key, const char *val, char *out, size_t size, size_t exact, struct err *e)
{
    if (strlen(val) >= size || (exact && strlen(val) != exact))
        return err_set(e, "-cpu ...,%s=%s: must be %s%zu characters", key, val, exact ? "" : "at most ", exact ? exact : size - 1);
    memset(out, 0, size);
    memcpy(out, val, strlen(val));
    return 0;
}

/* Properties that are not features. 0 done, -1 error, 1 no such property. */
static int spec_property(struct spec *s, const char *key, const char *val, struct err *e)
{
    struct cpu_model *m = s->m;
    u32 bits = 0;
    bool flag;
    if (!strcmp(key, "kvm"))
        return parse_bool(key, val, &m->kvm_leaves, e);
    if (!strcmp(key, "enforce"))
        return parse_bool(key, val, &s->enforce, e);
    if (!strcmp(key, "check") || !strcmp(key, "migratable"))
        return parse_bool(key, val, &flag, e);
    if (!strcmp(key, "pmu")) {
        s->pmu_asked = true;
        return parse_bool(key, val, &m->pmu, e);
    }
    if (!strcmp(key, "family"))
        return parse_num(key, val, 0, 0xff + 0xf, &m->family, e);
    if (!strcmp(key, "model"))
        return parse_num(key, val, 0, 0xff, &m->model, e);
    if (!strcmp(key, "stepping"))
        return parse_num(key, val, 0, 0xf, &m->stepping, e);
    if (!strcmp(key, "level"))
        return parse_num(key, val, 0, 0x20, &m->level, e);
    if (!strcmp(key, "xlevel"))
        return parse_num(key, val, 0x80000000u, 0x80000030u, &m->xlevel, e);
    if (!strcmp(key, "vendor"))
        return parse_text(key, val, m->vendor, sizeof(m->vendor), 12, e);
    if (!strcmp(key, "model-id") || !strcmp(key, "model_id"))
        return parse_text(key, val, m->brand, sizeof(m->brand), 0, e);
    if (!strcmp(key, "host-phys-bits")) {
        if (parse_bool(key, val, &flag, e))
            return -1;
        m->phys_bits = flag ? host_phys_bits() : 0;
        return 0;
    }
    if (!strcmp(key, "phys-bits")) {
        if (parse_num(key, val, 32, 52, &bits, e))
            return -1;
        m->phys_bits = (u8)bits;
        return 0;
    }
    return 1;
}

static int spec_feature(struct spec *s, const char *name, bool on, struct err *e)
{
    unsigned f = feat_find(name, strlen(name));
    if (!f)
        return err_set(e, "-cpu: no property or feature '%s' that this program implements (see -cpu help)", name);
    if (on && !feat_in(s->can, f))
        return err_set(e, "-cpu ...,+%s: the host CPU cannot execute it", features[f].name);
    feat_set(s->m->feat, f, on);
    feat_set(s->asked, f, on);
    feat_set(s->refused, f, !on);
    return 0;
}

static int spec_token(struct spec *s, char *tok, struct err *e)
{
    bool on;
    if (*tok == '+' || *tok == '-')
        return spec_feature(s, tok + 1, *tok == '+', e);
    char *eq = strchr(tok, '=');
    if (eq)
        *eq = 0;
    int r = spec_property(s, tok, eq ? eq + 1 : "on", e);
    if (r <= 0)
        return r;
    if (parse_bool(tok, eq ? eq + 1 : "on", &on, e))
        return -1;
    return spec_feature(s, tok, on, e);
}

/* Performance counters are AMD's or Intel's; what goes with them is on with them, unless it was switched off. */
static int pmu_finish(struct spec *s, struct err *e)
{
    struct cpu_model *m = s->m;
    bool amd = cpuid_is_amd(m), intel = !memcmp(m->vendor, "GenuineIntel", 12);
    const struct { unsigned feat; bool ok; } with[] = { { FEAT_PERFCTR_CORE, amd && m->family >= 0x15 }, { FEAT_PDCM, intel } };
    for (unsigned i = 0; i < ARRAY_LEN(with); i++) {
        bool asked = feat_in(s->asked, with[i].feat), off = feat_in(s->refused, with[i].feat);
        if (asked && !(m->pmu && with[i].ok))
            return err_set(e, "-cpu ...,+%s: needs pmu=on and a processor that has it", features[with[i].feat].name);
        feat_set(m->feat, with[i].feat, m->pmu && with[i].ok && !off);
    }
    if (m->pmu && !amd && !(intel && m->level >= 0xa)) {
        if (s->pmu_asked)
            return err_set(e, "-cpu %s,pmu=on: this processor has no performance counters that software can find (CPUID leaf 0xa)", m->name);
        m->pmu = false;
    }
    return 0;
}

/* What follows from the rest: dependences, topology, address widths. */
static int model_finish(struct spec *s, struct err *e)
{
    struct cpu_model *m = s->m;
    drop_dependents(m->feat);
    for (unsigned i = 0; i < ARRAY_LEN(depends); i++) {
        if (feat_in(s->asked, depends[i][0]) && !feat_in(m->feat, depends[i][0]))
            return err_set(e, "-cpu ...,+%s: needs '%s' too", features[depends[i][0]].name, features[depends[i][1]].name);
    }
    if (pmu_finish(s, e))
        return -1;
    unsigned logical = m->cores * m->threads;
    feat_set(m->feat, FEAT_HT, logical > 1);
    feat_set(m->feat, FEAT_CMP_LEGACY, cpuid_is_amd(m) && logical > 1 && m->threads == 1);
    feat_set(m->feat, FEAT_OSXSAVE, false);
    feat_set(m->feat, FEAT_OSPKE, false);
    feat_set(m->feat, FEAT_NONE, true);
    m->hypervisor = feat_on(m, FEAT_HYPERVISOR);
    m->virt_bits = !feat_on(m, FEAT_LM) ? 32 : feat_on(m, FEAT_LA57) ? 57 : 48;
    if (!m->phys_bits)
        m->phys_bits = feat_on(m, FEAT_LM) ? 40 : feat_on(m, FEAT_PAE) || feat_on(m, FEAT_PSE36) ? 36 : 32;
    return 0;
}

static int model_parse(struct cpu_model *m, char *list, struct err *e)
{
    u64 can[FEAT_WORDS];
    struct spec s = { .m = m, .can = can };
    char *save = NULL, *name = strtok_r(list, ",", &save);
    const struct cpu_model_def *d = cpu_model_def_find(name ? name : "");
    if (!d)
        return err_set(e, "-cpu %s: no such CPU model (see -cpu help)", name ? name : "");
    executable_features(can);
    model_identity(m, d);
    model_features(m->feat, d, can);
    m->pmu = feat_on(m, FEAT_PERFCTR_CORE); /* the models that have all */
    for (char *tok; (tok = strtok_r(NULL, ",", &save));) {
        if (spec_token(&s, tok, e))
            return -1;
    }
    return limit_to_host(m, can, s.enforce, e) || model_finish(&s, e) ? -1 : 0;
}

struct cpu_model *cpu_model_new(const char *spec, unsigned cpus, unsigned cores, unsigned threads, struct err *e)
{
    struct cpu_model *m = calloc(1, sizeof(*m));
    char *list = strdup(spec && *spec ? spec : "max");
    if (!m || !list) {
        free(m);
        free(list);
        err_set(e, "-cpu: out of memory");
        return NULL;
    }
    m->kvm_leaves = true;
    m->tsc_khz = 1000000;
    m->cpus = cpus;
    m->cores = cores ? cores : 1;
    m->threads = threads ? threads : 1;
    int bad = model_parse(m, list, e);
    free(list);
    if (bad) {
        free(m);
        return NULL;
    }
    return m;
}

void cpu_model_free(struct cpu_model *m) { free(m); }

void cpuid_feature_word(const struct cpu_model *m, u32 leaf, u32 subleaf, u32 out[4])
{
    for (unsigned f = 1; f < FEAT_COUNT; f++) {
        if (features[f].leaf == leaf && features[f].subleaf == subleaf && feat_on(m, f))
            out[features[f].reg] |= BIT(features[f].bit);
    }
}
