/* Registers of the performance counters: AMD's PERF_CTL and PERF_CTR, Intel's architectural version 2, RDPMC. vCPU thread, or any while it is
 * stopped; called by cpu/msr.c and help_rdpmc. Source: AMD APM vol. 2 13.2.1, 13.2.2, vol. 3 RDPMC; SDM vol. 3B 20.2, vol. 4 table 2-2. */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/help/help.h"
#include "cpu/desc.h"
#include "cpu/msr.h"
#include "cpu/vmware.h"

#define K7_GP 4
enum {
    PERF_CTL0_K7 = 0xc0010000u, PERF_CTR0_K7 = 0xc0010004u, PERF_CTL0 = 0xc0010200u, /* CTL and CTR in turn */
    IA32_PMC0 = 0xc1, IA32_PERFEVTSEL0 = 0x186, IA32_FIXED_CTR0 = 0x309, IA32_PERF_CAPABILITIES = 0x345, IA32_FIXED_CTR_CTRL = 0x38d,
    IA32_PERF_GLOBAL_STATUS = 0x38e, IA32_PERF_GLOBAL_CTRL = 0x38f, IA32_PERF_GLOBAL_OVF_CTRL = 0x390, IA32_A_PMC0 = 0x4c1,
};
#define CAP_FULL_WIDTH BIT64(13)
#define AMD_CTL_KEPT (0xffd7ffffull | 0x30full << 32) /* reserved ones read as zero; host-only and guest-only are kept, without effect */
#define INTEL_CTL_BITS 0xffdfffffull
#define OVF_BUFFER (3ull << 62) /* OvfBuffer, CondChgd: never set */

unsigned pmu_gp_count(const struct cpu_model *m)
{
    return !m->pmu ? 0 : !cpuid_is_amd(m) ? 4 : feat_on(m, FEAT_PERFCTR_CORE) ? PMU_GP : K7_GP;
}

unsigned pmu_fixed_count(const struct cpu_model *m) { return m->pmu && !cpuid_is_amd(m) ? PMU_FIXED : 0; }

u64 pmu_debugctl_mask(const struct cpu_model *m) { return pmu_fixed_count(m) ? BIT64(12) /* FREEZE_PERFMON_ON_PMI */ : 0; }

static u64 global_mask(const struct cpu *c) { return MASK64(pmu_gp_count(c->model)) | MASK64(pmu_fixed_count(c->model)) << 32; }

/* --- names to registers --- */
enum kind {
    CTL, CTR, CTR_SIGNED /* IA32_PMCn: 32 bits, sign-extended */, CTR_FULL, FIXED_CTR, FIXED_CTL, STATUS, GLOBAL, OVERFLOW, CAPABILITIES,
    ZERO /* reads 0, takes anything */, NONE
};
struct reg {
    enum kind kind;
    unsigned n;
};

static bool in_range(u32 num, u32 first, unsigned count) { return num - first < count; }

/* Without pmu=on the four counters that every processor of AMD's has are there, but keep nothing: so kernels see that they do not count. */
static struct reg reg_amd(const struct cpu *c, u32 num)
{
    if (!c->model->pmu)
        return (struct reg){ in_range(num, PERF_CTL0_K7, 2 * K7_GP) ? ZERO : NONE, 0 };
    if (in_range(num, PERF_CTL0_K7, K7_GP))
        return (struct reg){ CTL, num - PERF_CTL0_K7 };
    if (in_range(num, PERF_CTR0_K7, K7_GP))
        return (struct reg){ CTR, num - PERF_CTR0_K7 };
    if (in_range(num, PERF_CTL0, 2 * PMU_GP) && feat_on(c->model, FEAT_PERFCTR_CORE))
        return (struct reg){ num & 1 ? CTR : CTL, (num - PERF_CTL0) / 2 };
    return (struct reg){ NONE, 0 };
}

static struct reg reg_intel(const struct cpu *c, u32 num)
{
    unsigned gp = pmu_gp_count(c->model), fixed = pmu_fixed_count(c->model);
    bool pdcm = feat_on(c->model, FEAT_PDCM);
    if (!gp)
        return (struct reg){ NONE, 0 };
    if (in_range(num, IA32_PERFEVTSEL0, gp))
        return (struct reg){ CTL, num - IA32_PERFEVTSEL0 };
    if (in_range(num, IA32_PMC0, gp))
        return (struct reg){ CTR_SIGNED, num - IA32_PMC0 };
    if (in_range(num, IA32_A_PMC0, gp) && pdcm)
        return (struct reg){ CTR_FULL, num - IA32_A_PMC0 };
    if (in_range(num, IA32_FIXED_CTR0, fixed))
        return (struct reg){ FIXED_CTR, PMU_GP + num - IA32_FIXED_CTR0 };
    switch (num) {
    case IA32_FIXED_CTR_CTRL: return (struct reg){ FIXED_CTL, 0 };
    case IA32_PERF_GLOBAL_STATUS: return (struct reg){ STATUS, 0 };
    case IA32_PERF_GLOBAL_CTRL: return (struct reg){ GLOBAL, 0 };
    case IA32_PERF_GLOBAL_OVF_CTRL: return (struct reg){ OVERFLOW, 0 };
    case IA32_PERF_CAPABILITIES: return (struct reg){ pdcm ? CAPABILITIES : NONE, 0 };
    default: return (struct reg){ NONE, 0 };
    }
}

static struct reg reg_find(const struct cpu *c, u32 num) { return cpuid_is_amd(c->model) ? reg_amd(c, num) : reg_intel(c, num); }

/* --- access --- */
int pmu_msr_read(struct cpu *c, u32 num, u64 *val)
{
    struct pmu *p = &c->pmu;
    struct reg r = reg_find(c, num);
    if (r.kind == NONE)
        return -1;
    pmu_collect(c, false);
    switch (r.kind) {
    case CTL: *val = p->ctl[r.n]; break;
    case CTR: case CTR_SIGNED: case CTR_FULL: case FIXED_CTR: *val = p->ctr[r.n]; break;
    case FIXED_CTL: *val = p->fixed_ctl; break;
    case STATUS: *val = p->global_status; break;
    case GLOBAL: *val = p->global_ctl; break;
    case CAPABILITIES: *val = CAP_FULL_WIDTH; break;
    case OVERFLOW: case ZERO: case NONE: *val = 0; break;
    }
    return 1;
}

static bool ctl_write(struct cpu *c, unsigned n, u64 val)
{
    if (!cpuid_is_amd(c->model) && val & ~INTEL_CTL_BITS)
        return false;
    c->pmu.ctl[n] = val & (cpuid_is_amd(c->model) ? AMD_CTL_KEPT : INTEL_CTL_BITS);
    return true;
}

/* Bit 2 of each counter's four, AnyThread, is version 3's. */
static bool fixed_ctl_write(struct cpu *c, u64 val)
{
    if (val & ~0xbbbull)
        return false;
    c->pmu.fixed_ctl = val;
    return true;
}

static bool reg_write(struct cpu *c, struct reg r, u64 val)
{
    struct pmu *p = &c->pmu;
    switch (r.kind) {
    case CTL: return ctl_write(c, r.n, val);
    case CTR_FULL:
        if (val >> PMU_BITS)
            return false;
        p->ctr[r.n] = val;
        return true;
    case CTR: case FIXED_CTR:
        p->ctr[r.n] = val & MASK64(PMU_BITS);
        return true;
    case CTR_SIGNED:
        p->ctr[r.n] = (u64)(i64)(i32)val & MASK64(PMU_BITS);
        return true;
    case FIXED_CTL: return fixed_ctl_write(c, val);
    case GLOBAL:
        if (val & ~global_mask(c))
            return false;
        p->global_ctl = val;
        return true;
    case OVERFLOW:
        if (val & ~(global_mask(c) | OVF_BUFFER))
            return false;
        p->global_status &= ~val;
        return true;
    case ZERO: return true;
    case STATUS: case CAPABILITIES: case NONE: return false;
    }
    return false;
}

int pmu_msr_write(struct cpu *c, u32 num, u64 val)
{
    struct reg r = reg_find(c, num);
    if (r.kind == NONE)
        return -1;
    pmu_collect(c, true);
    bool ok = reg_write(c, r, val);
    pmu_refresh(c);
    return ok;
}

/* --- RDPMC --- */
bool pmu_rdpmc(struct cpu *c, u32 index, u64 *val)
{
    unsigned n = index;
    if (index & BIT(30) && pmu_fixed_count(c->model)) {
        n = index & ~BIT(30);
        if (n >= pmu_fixed_count(c->model))
            return false;
        n += PMU_GP;
    } else if (n >= pmu_gp_count(c->model)) {
        *val = 0;
        return !c->model->pmu && cpuid_is_amd(c->model) && n < K7_GP; /* there, as their MSRs are (reg_amd) */
    }
    pmu_collect(c, false);
    *val = c->pmu.ctr[n];
    return true;
}

u64 help_rdpmc(struct cpu *c, u64 a, u64 b, u64 d)
{
    u32 index = (u32)c->gpr[R_CX];
    u64 v;
    if (!vmware_rdpmc(c, index, &v) && ((c->cr0 & CR0_PE && cpu_cpl(c) && !(c->cr4 & CR4_PCE)) || !pmu_rdpmc(c, index, &v)))
        raise_gp0(c);
    c->gpr[R_AX] = (u32)v;
    c->gpr[R_DX] = v >> 32;
    return 0;
}
