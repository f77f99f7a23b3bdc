/* What CPUID answers, leaf by leaf, from a CPU model and the state of one CPU. vCPU thread. Source: SDM vol. 2 CPUID; AMD APM vol. 3
 * appendix E; the KVM leaves: their published interface. */
#include "cpu/cpuid.h"
#include "cpu/help/help.h"
#include "cpu/help/xsave.h"
#include "hw/core/irq.h"

#define APIC_BASE_EN BIT(11)

bool cpuid_is_amd(const struct cpu_model *m) { return !memcmp(m->vendor, "AuthenticAMD", 12); }

u32 cpuid_signature(const struct cpu_model *m)
{
    u32 base = MIN_OF(m->family, 15u), ext = m->family - base;
    return ext << 20 | (m->model >> 4) << 16 | base << 8 | (m->model & 15) << 4 | m->stepping;
}

u64 cpuid_xcr0(const struct cpu_model *m)
{
    return XC_X87 | XC_SSE | (feat_on(m, FEAT_AVX) ? XC_AVX : 0) | (feat_on(m, FEAT_AVX512F) ? XC_AVX512 : 0) |
           (feat_on(m, FEAT_PKU) ? XC_PKRU : 0);
}

/* Bits that number n things takes. */
static unsigned width_of(unsigned n) { return n <= 1 ? 0 : 32 - (unsigned)__builtin_clz(n - 1); }

static void vendor_leaf(const struct cpu_model *m, u32 out[4])
{
    memcpy(&out[1], m->vendor, 4);
    memcpy(&out[3], m->vendor + 4, 4);
    memcpy(&out[2], m->vendor + 8, 4);
}

/* Leaf 1: signature, APIC ID, features that mirror the state. */
static void leaf_1(struct cpu *c, u32 out[4])
{
    const struct cpu_model *m = c->model;
    unsigned logical = m->cores * m->threads;
    out[0] = cpuid_signature(m);
    out[1] = c->index << 24 | (logical > 1 ? logical & 0xff : 0) << 16 | (feat_on(m, FEAT_CLFLUSH) ? 8 << 8 : 0);
    if (c->cr4 & CR4_OSXSAVE)
        out[2] |= BIT(27);
    if (c->lapic && !(c->lapic_ops->get_base(c->lapic) & APIC_BASE_EN))
        out[3] &= ~BIT(9);
}

/* --- caches: 32 KiB L1, 512 KiB L2 for each core; 16 MiB L3 for all --- */
struct cache {
    u8 type, level; /* type 1 data, 2 instructions, 3 unified */
    u16 ways;
    u32 sets;
    bool shared;
};
static const struct cache caches[] = {
    { 1, 1, 8, 64, false }, { 2, 1, 8, 64, false }, { 3, 2, 8, 1024, false }, { 3, 3, 16, 16384, true },
};

static void leaf_4(const struct cpu_model *m, u32 sub, u32 out[4])
{
    if (sub >= ARRAY_LEN(caches) || cpuid_is_amd(m))
        return;
    const struct cache *k = &caches[sub];
    unsigned sharing = k->shared ? m->cores * m->threads : m->threads;
    out[0] = k->type | k->level << 5 | BIT(8) | (sharing - 1) << 14 | (m->cores - 1) << 26;
    out[1] = 63 | (k->ways - 1u) << 22;
    out[2] = k->sets - 1;
}

/* Leaf 0xa: performance monitoring, version 2. Events 3 and 4, of the last-level cache, are not counted. */
static void leaf_a(const struct cpu_model *m, u32 out[4])
{
    if (!pmu_fixed_count(m))
        return;
    out[0] = 2 | pmu_gp_count(m) << 8 | PMU_BITS << 16 | 7 << 24;
    out[1] = BIT(3) | BIT(4);
    out[3] = pmu_fixed_count(m) | PMU_BITS << 5 | BIT(15) /* no AnyThread */;
}

/* Leaf 0xb: threads, then cores. */
static void leaf_b(struct cpu *c, u32 sub, u32 out[4])
{
    const struct cpu_model *m = c->model;
    out[2] = sub;
    out[3] = c->index;
    if (sub == 0) {
        out[0] = width_of(m->threads);
        out[1] = m->threads;
        out[2] |= 1 << 8;
    } else if (sub == 1) {
        out[0] = width_of(m->threads) + width_of(m->cores);
        out[1] = m->cores * m->threads;
        out[2] |= 2 << 8;
    }
}

static void leaf_d(struct cpu *c, u32 sub, u32 out[4])
{
    const struct cpu_model *m = c->model;
    u64 all = cpuid_xcr0(m);
    if (!feat_on(m, FEAT_XSAVE))
        return;
    if (sub == 0) {
        out[0] = (u32)all;
        out[1] = xsave_size(c->xcr0);
        out[2] = xsave_size(all);
        out[3] = all >> 32;
    } else if (sub == 1) {
        out[1] = feat_on(m, FEAT_XSAVEC) ? xsave_compact_size(c->xcr0 | c->xss) : 0;
    } else if (sub < XSAVE_COMPONENTS && all >> sub & 1) {
        struct xsave_component x = xsave_component(sub);
        out[0] = x.size;
        out[1] = x.offset;
        out[2] = x.align64 ? 2 : 0;
    }
}

static void leaf_basic(struct cpu *c, u32 leaf, u32 sub, u32 out[4])
{
    const struct cpu_model *m = c->model;
    switch (leaf) {
    case 0:
        out[0] = c->misc_enable & MISC_LIMIT_CPUID ? MIN_OF(m->level, 2u) : m->level;
        vendor_leaf(m, out);
        break;
    case 1:
        leaf_1(c, out);
        break;
    case 2:
        out[0] = cpuid_is_amd(m) ? 0 : 0xff0001; /* one round; ask leaf 4 about caches */
        break;
    case 4:
        leaf_4(m, sub, out);
        break;
    case 5:
        if (feat_on(m, FEAT_MONITOR)) {
            out[0] = out[1] = 64;
            out[2] = 3;
        }
        break;
    case 7:
        if (sub == 0)
            out[0] = feat_on(m, FEAT_AVX_VNNI) || feat_on(m, FEAT_AVX512_BF16) ? 1 : 0; /* highest subleaf */
        if (sub == 0 && c->cr4 & CR4_PKE)
            out[2] |= BIT(4);
        break;
    case 0xa:
        leaf_a(m, out);
        break;
    case 0xb:
        leaf_b(c, sub, out);
        break;
    case 0xd:
        leaf_d(c, sub, out);
        break;
    case 0x15:
        out[0] = out[1] = 1;
        out[2] = m->tsc_khz * 1000;
        break;
    case 0x16:
        out[0] = out[1] = m->tsc_khz / 1000;
        break;
    default:
        break;
    }
}

/* --- extended leaves --- */
#define EDX_DUP 0x0183f3ffu /* bits of leaf 1 that AMD repeats in leaf 0x80000001 */

static void leaf_ext_features(struct cpu *c, u32 out[4])
{
    const struct cpu_model *m = c->model;
    u32 one[4] = { 0 };
    if (c->misc_enable & MISC_XD_DISABLE)
        out[3] &= ~BIT(20);
    if (!cpuid_is_amd(m))
        return;
    cpuid_feature_word(m, 1, 0, one);
    leaf_1(c, one);
    out[0] = one[0];
    out[3] |= one[3] & EDX_DUP;
}

static void leaf_ext(struct cpu *c, u32 leaf, u32 out[4])
{
    const struct cpu_model *m = c->model;
    bool amd = cpuid_is_amd(m);
    unsigned logical = m->cores * m->threads;
    switch (leaf) {
    case 0x80000000:
        out[0] = m->xlevel;
        if (amd)
            vendor_leaf(m, out);
        break;
    case 0x80000001:
        leaf_ext_features(c, out);
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        memcpy(out, m->brand + (leaf - 0x80000002) * 16, 16);
        break;
    case 0x80000005: /* L1: size KiB, associativity, lines per tag, line size */
        out[2] = out[3] = amd ? 32u << 24 | 8 << 16 | 1 << 8 | 64 : 0;
        break;
    case 0x80000006:
        out[2] = 512u << 16 | 6u << 12 | (amd ? 1 << 8 : 0) | 64;
        out[3] = amd ? 32u << 18 | 8u << 12 | 1 << 8 | 64 : 0;
        break;
    case 0x80000008:
        out[0] = m->phys_bits | (u32)m->virt_bits << 8;
        if (amd && logical > 1)
            out[2] = (logical - 1) | width_of(logical) << 12;
        break;
    default:
        break;
    }
}

/* The KVM leaves: signature and features. */
static void leaf_kvm(const struct cpu_model *m, u32 leaf, u32 out[4])
{
    if (leaf == 0x40000000) {
        out[0] = 0x40000001;
        memcpy(&out[1], "KVMKVMKVM\0\0\0", 12);
    }
}

void cpuid_query(struct cpu *c, u32 leaf, u32 sub, u32 out[4])
{
    const struct cpu_model *m = c->model;
    bool indexed = leaf == 7 || leaf == 0xd;
    memset(out, 0, 4 * sizeof(*out));
    if (leaf >= 0x40000000 && leaf < 0x40000100 && m->kvm_leaves) {
        cpuid_feature_word(m, leaf, 0, out);
        leaf_kvm(m, leaf, out);
        return;
    }
    if (leaf >= 0x80000000u ? leaf > m->xlevel : leaf > m->level) {
        if (cpuid_is_amd(m))
            return;
        leaf = m->level; /* as Intel processors do */
        indexed = leaf == 7 || leaf == 0xd;
    }
    cpuid_feature_word(m, leaf, indexed ? sub : 0, out);
    if (leaf >= 0x80000000u)
        leaf_ext(c, leaf, out);
    else
        leaf_basic(c, leaf, sub, out);
}

u64 help_cpuid(struct cpu *c, u64 a, u64 b, u64 d)
{
    u32 out[4];
    cpuid_query(c, (u32)c->gpr[R_AX], (u32)c->gpr[R_CX], out);
    c->gpr[R_AX] = out[0];
    c->gpr[R_BX] = out[1];
    c->gpr[R_CX] = out[2];
    c->gpr[R_DX] = out[3];
    return 0;
}
