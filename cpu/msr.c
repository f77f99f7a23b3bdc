/* RDMSR and WRMSR: the rows of msr.def, their hooks, and the ranges. vCPU thread. Source: SDM vol. 4, vol. 3A 11.11 (MTRRs), 11.12 (PAT),
 * 15.3 (machine check), 10.12 (x2APIC); AMD APM vol. 2 appendix A. */
#include "cpu/msr.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "cpu/help/help.h"
#include "cpu/paging.h"
#include "cpu/platform.h"
#include "cpu/predict.h"
#include "cpu/pvclock.h"
#include "hw/core/irq.h"
#include "util/log.h"

#define AMD_ONLY 0xffff
#define NONE 0
#define F(f) (offsetof(struct cpu, f))
#define APIC_BASE_X2 BIT(10)
#define MTRR_VAR 8 /* pairs */
#define MC_BANKS 10

struct msr {
    u32 num;
    const char *name;
    u16 feat;
    u32 off;   /* 0: no field */
    u64 mask;
    bool (*rd)(struct cpu *c, u64 *val);
    bool (*wr)(struct cpu *c, const struct msr *m, u64 val);
};

static u64 *msr_field(struct cpu *c, const struct msr *m) { return (u64 *)((char *)c + m->off); }

/* --- hooks --- */
static bool rd_gp(struct cpu *c, u64 *val) { return false; }
static bool wr_ignore(struct cpu *c, const struct msr *m, u64 val) { return true; }

static bool wr_canonical(struct cpu *c, const struct msr *m, u64 val)
{
    if (!is_canonical(c, val))
        return false;
    *msr_field(c, m) = val;
    return true;
}

u64 cpu_tsc(struct cpu *c) { return c->plat->tsc(c) + c->tsc_offset; }

static bool rd_tsc(struct cpu *c, u64 *val)
{
    *val = cpu_tsc(c);
    return true;
}

/* The offset of the TSC and IA32_TSC_ADJUST move together. */
static void tsc_shift(struct cpu *c, u64 by)
{
    c->tsc_offset += by;
    c->tsc_adjust += by;
    pvclock_update(c);
}

static bool wr_tsc(struct cpu *c, const struct msr *m, u64 val)
{
    tsc_shift(c, val - cpu_tsc(c));
    return true;
}

static bool wr_tsc_adjust(struct cpu *c, const struct msr *m, u64 val)
{
    tsc_shift(c, val - c->tsc_adjust);
    return true;
}

static bool rd_tsc_deadline(struct cpu *c, u64 *val)
{
    *val = c->lapic ? c->lapic_ops->get_tsc_deadline(c->lapic) : 0;
    return true;
}

static bool wr_tsc_deadline(struct cpu *c, const struct msr *m, u64 val)
{
    if (c->lapic)
        c->lapic_ops->set_tsc_deadline(c->lapic, val);
    return true;
}

static bool wr_tsc_aux(struct cpu *c, const struct msr *m, u64 val)
{
    if (!feat_on(c->model, FEAT_RDTSCP) && !feat_on(c->model, FEAT_RDPID))
        return false;
    c->tsc_aux = val;
    return true;
}

static bool rd_apic_base(struct cpu *c, u64 *val)
{
    *val = c->lapic ? c->lapic_ops->get_base(c->lapic) : 0;
    return c->lapic;
}

static bool wr_apic_base(struct cpu *c, const struct msr *m, u64 val)
{
    if (!c->lapic || (val & APIC_BASE_X2 && !feat_on(c->model, FEAT_X2APIC)) || val & ~MASK64(c->model->phys_bits))
        return false;
    if (c->lapic_ops->set_base(c->lapic, val))
        return false;
    cpu_tlb_flush(c, true); /* the register page may have moved */
    return true;
}

static bool wr_pred_cmd(struct cpu *c, const struct msr *m, u64 val)
{
    if (val & 1)
        predict_barrier(c);
    return true;
}

static bool wr_debugctl(struct cpu *c, const struct msr *m, u64 val)
{
    if (val & ~(3 | pmu_debugctl_mask(c->model)))
        return false;
    c->debugctl = val;
    return true;
}

static bool wr_feature_control(struct cpu *c, const struct msr *m, u64 val)
{
    if (c->feature_control & 1)
        return false;
    c->feature_control = val;
    return true;
}

static bool rd_sign_id(struct cpu *c, u64 *val)
{
    *val = cpuid_is_amd(c->model) ? 0x01000065 : 1ull << 32;
    return true;
}

static bool rd_platform_info(struct cpu *c, u64 *val)
{
    *val = (c->model->tsc_khz / 100000) << 8;
    return true;
}

static bool rd_perf_status(struct cpu *c, u64 *val)
{
    *val = (c->model->tsc_khz / 100000) << 8;
    return true;
}

/* The flaws of processors that guests' kernels have defences for are not there, or the defence does nothing, under translation: the guest's page
 * tables are not the host's, its RET is no RET of the host, its VERW clears nothing. What translation itself has, docs/cpu.md says. RDCL, IBRS_ALL,
 * SKIP_L1DFL_VMENTRY, SSB, MDS, PSCHANGE_MC, TAA, SBDR/SSDP, FBSDP, PSDP, BHI, PBRSB, GDS, RFDS, ITS. */
static bool rd_arch_cap(struct cpu *c, u64 *val)
{
    *val = BIT64(0) | BIT64(1) | BIT64(3) | BIT64(4) | BIT64(5) | BIT64(6) | BIT64(8) | BIT64(13) | BIT64(14) | BIT64(15) | BIT64(20) |
           BIT64(24) | BIT64(26) | BIT64(27) | BIT64(62);
    return true;
}

static bool rd_de_cfg(struct cpu *c, u64 *val)
{
    *val = 2; /* LFENCE is serialising */
    return true;
}

/* TlbCacheDis, IgnneEm, McStatusWrEn, CpbDis and TscFreqSel are kept; none has an effect here. */
static bool wr_hwcr(struct cpu *c, const struct msr *m, u64 val)
{
    c->hwcr = val & (BIT(3) | BIT(6) | BIT(8) | BIT(18) | BIT(24) | BIT(25));
    return true;
}

/* Performance monitoring, BTS and PEBS available: read-only. */
static bool wr_misc_enable(struct cpu *c, const struct msr *m, u64 val)
{
    u64 fixed = BIT(7) | BIT(11) | BIT(12);
    if (val & MISC_XD_DISABLE && c->efer & EFER_NX)
        return false;
    c->misc_enable = (val & ~fixed) | (c->misc_enable & fixed);
    return true;
}

static bool rd_misc_enable(struct cpu *c, u64 *val)
{
    *val = c->misc_enable | (pmu_fixed_count(c->model) ? BIT(7) : 0);
    return true;
}

static bool wr_efer(struct cpu *c, const struct msr *m, u64 val) { return cpu_write_efer(c, val); }
static bool wr_xss(struct cpu *c, const struct msr *m, u64 val) { return val == 0; } /* no supervisor components */

static bool rd_mtrrcap(struct cpu *c, u64 *val)
{
    *val = MTRR_VAR | BIT(8) /* fixed ranges */ | BIT(10) /* write-combining */;
    return true;
}

static bool rd_mcg_cap(struct cpu *c, u64 *val)
{
    *val = MC_BANKS | BIT(8) /* MCG_CTL */;
    return true;
}

static bool wr_kvm_time(struct cpu *c, const struct msr *m, u64 val)
{
    c->kvmclock_msr = val;
    pvclock_update(c);
    return true;
}

static bool wr_kvm_wall(struct cpu *c, const struct msr *m, u64 val)
{
    c->kvmclock_wall = val;
    pvclock_write_wall(c, val);
    return true;
}

static bool wr_kvm_steal(struct cpu *c, const struct msr *m, u64 val)
{
    if (val & 0x3e)
        return false;
    c->steal_msr = val;
    pvclock_steal(c, true);
    return true;
}

static bool rd_kvm_eoi(struct cpu *c, u64 *val)
{
    *val = c->lapic ? c->lapic_ops->get_pv_eoi(c->lapic) : 0;
    return true;
}

static bool wr_kvm_eoi(struct cpu *c, const struct msr *m, u64 val)
{
    return c->lapic && c->lapic_ops->set_pv_eoi(c->lapic, val) == 0;
}

/* --- memory types: kept, without effect --- */
static bool mtrr_type_ok(u64 t) { return t <= 6 && t != 2 && t != 3; }

static bool wr_pat(struct cpu *c, const struct msr *m, u64 val)
{
    for (unsigned i = 0; i < 64; i += 8) {
        if ((val >> i & 0xff) > 7 || (val >> i & 6) == 2)
            return false;
    }
    c->pat = val;
    return true;
}

static bool wr_mtrr_def(struct cpu *c, const struct msr *m, u64 val)
{
    if (!mtrr_type_ok(val & 0xff))
        return false;
    c->mtrr_def = val;
    return true;
}

static bool mtrr_var_write(struct cpu *c, u32 num, u64 val)
{
    unsigned i = (num - 0x200) / 2;
    u64 reserved = ~MASK64(c->model->phys_bits);
    if (num & 1) {
        if (val & (reserved | 0x7ff))
            return false;
        c->mtrr_mask[i] = val;
        return true;
    }
    if (val & (reserved | 0xf00) || !mtrr_type_ok(val & 0xff))
        return false;
    c->mtrr_base[i] = val;
    return true;
}

/* Index of a fixed-range MTRR in c->mtrr_fix, or -1. */
static int mtrr_fixed_index(u32 num)
{
    if (num == 0x250)
        return 0;
    if (num == 0x258 || num == 0x259)
        return (int)(num - 0x258) + 1;
    return num >= 0x268 && num <= 0x26f ? (int)(num - 0x268) + 3 : -1;
}

static bool mtrr_fixed_write(struct cpu *c, int i, u64 val)
{
    for (unsigned b = 0; b < 64; b += 8) {
        if (!mtrr_type_ok(val >> b & 0xff))
            return false;
    }
    c->mtrr_fix[i] = val;
    return true;
}

/* --- ranges: 1 done, 0 #GP, -1 not in any --- */
static bool is_mtrr_var(const struct cpu *c, u32 num) { return num - 0x200 < 2 * MTRR_VAR && feat_on(c->model, FEAT_MTRR); }
static bool is_mc_bank(const struct cpu *c, u32 num) { return num - 0x400 < 4 * MC_BANKS && feat_on(c->model, FEAT_MCA); }
static bool is_x2apic(u32 num) { return num - 0x800 < 0x100; }

static int range_read(struct cpu *c, u32 num, u64 *val)
{
    int fixed = feat_on(c->model, FEAT_MTRR) ? mtrr_fixed_index(num) : -1;
    if (fixed >= 0)
        *val = c->mtrr_fix[fixed];
    else if (is_mtrr_var(c, num))
        *val = num & 1 ? c->mtrr_mask[(num - 0x200) / 2] : c->mtrr_base[(num - 0x200) / 2];
    else if (is_mc_bank(c, num))
        *val = c->mc_ctl[(num - 0x400) / 4][num & 3];
    else if (is_x2apic(num))
        return c->lapic && feat_on(c->model, FEAT_X2APIC) && !c->lapic_ops->x2_read(c->lapic, num, val);
    else
        return pmu_msr_read(c, num, val);
    return 1;
}

/* MCi_CTL takes all ones or all zeroes (SDM vol. 3B 16.3.2.1), on AMD's processors anything; MCi_STATUS can only be cleared, unless
 * HWCR.McStatusWrEn says otherwise; MCi_ADDR and MCi_MISC are storage. */
static bool mc_bank_write(struct cpu *c, u32 num, u64 val)
{
    bool amd = cpuid_is_amd(c->model);
    if ((num & 3) == 0 && val + 1 > 1 && !amd)
        return false;
    if ((num & 3) == 1 && val && !(amd && c->hwcr & BIT(18)))
        return false;
    c->mc_ctl[(num - 0x400) / 4][num & 3] = val;
    return true;
}

static int range_write(struct cpu *c, u32 num, u64 val)
{
    int fixed = feat_on(c->model, FEAT_MTRR) ? mtrr_fixed_index(num) : -1;
    if (fixed >= 0)
        return mtrr_fixed_write(c, fixed, val);
    if (is_mtrr_var(c, num))
        return mtrr_var_write(c, num, val);
    if (is_mc_bank(c, num))
        return mc_bank_write(c, num, val);
    if (is_x2apic(num))
        return c->lapic && feat_on(c->model, FEAT_X2APIC) && !c->lapic_ops->x2_write(c->lapic, num, val);
    return pmu_msr_write(c, num, val);
}

/* --- the table --- */
static const struct msr msrs[] = {
#define X(num, NAME, feat, field, mask, rd, wr) { num, #NAME, feat, field, mask, rd, wr },
#include "cpu/msr.def"
#undef X
};

/* The rows are sorted by number. */
static const struct msr *msr_find(const struct cpu *c, u32 num)
{
    unsigned lo = 0, hi = ARRAY_LEN(msrs);
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (msrs[mid].num < num)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == ARRAY_LEN(msrs) || msrs[lo].num != num)
        return NULL;
    const struct msr *m = &msrs[lo];
    return (m->feat == AMD_ONLY ? cpuid_is_amd(c->model) : feat_on(c->model, m->feat)) ? m : NULL;
}

const char *msr_name_nth(unsigned i, u32 *num)
{
    if (i >= ARRAY_LEN(msrs))
        return NULL;
    *num = msrs[i].num;
    return msrs[i].name;
}

bool msr_read(struct cpu *c, u32 num, u64 *val)
{
    const struct msr *m = msr_find(c, num);
    if (!m) {
        int r = range_read(c, num, val);
        return r < 0 ? !c->plat->ext_msr_read(c, num, val) : r;
    }
    if (m->rd)
        return m->rd(c, val);
    *val = m->off ? *msr_field(c, m) : 0;
    return true;
}

bool msr_write(struct cpu *c, u32 num, u64 val)
{
    const struct msr *m = msr_find(c, num);
    if (!m) {
        int r = range_write(c, num, val);
        return r < 0 ? !c->plat->ext_msr_write(c, num, val) : r;
    }
    if (val & ~m->mask || !m->mask)
        return false;
    if (m->wr)
        return m->wr(c, m, val);
    *msr_field(c, m) = val;
    return true;
}

/* --- the instructions --- */
u64 help_rdmsr(struct cpu *c, u64 a, u64 b, u64 d)
{
    u32 num = (u32)c->gpr[R_CX];
    u64 v = 0;
    if (cpu_cpl(c))
        raise_gp0(c);
    if (!msr_read(c, num, &v)) {
        GUEST_ERROR("cpu %u: RDMSR %x at %llx", c->index, num, (unsigned long long)c->rip);
        raise_gp0(c);
    }
    c->gpr[R_AX] = (u32)v;
    c->gpr[R_DX] = v >> 32;
    return 0;
}

u64 help_wrmsr(struct cpu *c, u64 a, u64 b, u64 d)
{
    u32 num = (u32)c->gpr[R_CX];
    u64 v = (u32)c->gpr[R_AX] | c->gpr[R_DX] << 32;
    if (cpu_cpl(c))
        raise_gp0(c);
    if (!msr_write(c, num, v)) {
        GUEST_ERROR("cpu %u: WRMSR %x = %llx at %llx", c->index, num, (unsigned long long)v, (unsigned long long)c->rip);
        raise_gp0(c);
    }
    return 0;
}
