/* The CPU's derived state and its reset: mode bits, the page walker's copy of the registers. vCPU thread, or any while it is stopped;
 * called after every change of what mode bits depend on. Source: SDM vol. 3A 2.2, table 10-1. */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/desc.h"
#include "cpu/help/x87.h"
#include "cpu/help/xsave.h"
#include "cpu/platform.h"
#include "util/log.h"

static bool flat_base(const struct seg_reg *s, u16 mask, u16 want)
{
    return !s->base && s->limit == 0xffffffffu && (s->attr & (mask | SEGA_P | SEGA_S)) == (want | SEGA_P | SEGA_S);
}

static bool segs_flat(const struct cpu *c)
{
    return flat_base(&c->seg[S_CS], 0xa, 0xa) && flat_base(&c->seg[S_SS], 0xe, 0x2) && flat_base(&c->seg[S_DS], 0xe, 0x2) &&
           flat_base(&c->seg[S_ES], 0xe, 0x2);
}

static u32 mode_size_bits(const struct cpu *c, bool lma)
{
    u16 attr = c->seg[S_CS].attr;
    if (lma && attr & SEGA_L)
        return MODE_64 | MODE_SS32 | MODE_FLAT;
    return (attr & SEGA_DB ? MODE_32 : MODE_16) | (c->seg[S_SS].attr & SEGA_DB ? MODE_SS32 : 0) | (segs_flat(c) ? MODE_FLAT : 0);
}

static u32 mode_fpu_bits(const struct cpu *c)
{
    u32 m = 0;
    if (c->cr0 & (CR0_EM | CR0_TS))
        m |= MODE_FPU_NM;
    if (c->cr0 & (CR0_EM | CR0_TS) || !(c->cr4 & CR4_OSFXSR))
        m |= MODE_SSE_BAD;
    if (c->cr0 & CR0_TS || !(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & (XC_SSE | XC_AVX)) != (XC_SSE | XC_AVX))
        m |= MODE_AVX_BAD;
    if (m & MODE_AVX_BAD || (c->xcr0 & XC_AVX512) != XC_AVX512)
        m |= MODE_EVEX_BAD;
    return m;
}

static u32 mode_compute(const struct cpu *c)
{
    bool pe = c->cr0 & CR0_PE, vm86 = pe && c->sysflags & F_VM, lma = c->efer & EFER_LMA;
    unsigned cpl = !pe ? 0 : vm86 ? 3 : c->seg[S_SS].attr >> 5 & 3u;
    u32 m = cpl | mode_size_bits(c, lma) | mode_fpu_bits(c);
    if (pe)
        m |= MODE_PE;
    if (vm86)
        m |= MODE_VM86;
    if (lma)
        m |= MODE_LMA;
    if (cpl < 3 && c->cr4 & CR4_SMAP && !(c->sysflags & F_AC))
        m |= MODE_SMAP_AC;
    if ((cpl == 3 && c->cr0 & CR0_AM && c->sysflags & F_AC) || debug_armed(c) || c->sysflags & F_RF)
        m |= MODE_SLOW;
    if (c->sysflags & F_TF || c->debug_step)
        m |= MODE_STEP;
    if (!vm86 && cpl <= cpu_iopl(c))
        m |= MODE_IOPL_OK;
    return m | c->pmu.mode[cpl == 3];
}

static void walk_regs_update(struct cpu *c)
{
    struct walk_regs *r = &c->tlb.regs;
    r->pg = c->cr0 & CR0_PG;
    r->wp = c->cr0 & CR0_WP;
    r->pae = c->cr4 & CR4_PAE;
    r->pse = c->cr4 & CR4_PSE;
    r->pge = c->cr4 & CR4_PGE;
    r->la57 = c->cr4 & CR4_LA57;
    r->smep = c->cr4 & CR4_SMEP;
    r->smap = c->cr4 & CR4_SMAP;
    r->pke = c->cr4 & CR4_PKE;
    r->pcide = c->cr4 & CR4_PCIDE;
    r->lma = c->efer & EFER_LMA;
    r->nxe = c->efer & EFER_NX;
    r->ac = c->sysflags & F_AC;
    r->phys_bits = c->model->phys_bits;
    r->has_1g = feat_on(c->model, FEAT_PDPE1GB);
    r->pkru = c->pkru;
    r->cr3 = c->cr3;
    r->pdpte = c->pdpte;
}

void cpu_update_mode(struct cpu *c)
{
    u32 m = mode_compute(c);
    bool level = UNLIKELY(c->pmu.split) && (mode_cpl(m) == 3) != (cpu_cpl(c) == 3);
    walk_regs_update(c);
    if (m == c->mode && c->seg[S_CS].base == c->jc_cs_base)
        return;
    if (level)
        pmu_level_leave(c);
    c->mode = m;
    if (level)
        pmu_level_enter(c);
    c->jc_cs_base = c->seg[S_CS].base;
    c->plat->mode_changed(c);
}

static void reset_segments(struct cpu *c)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        c->seg[i] = (struct seg_reg){ .limit = 0xffff, .attr = ATTR_DATA16 };
    c->seg[S_CS].sel = 0xf000;
    c->seg[S_CS].base = 0xffff0000u;
    c->ldt = (struct seg_reg){ .limit = 0xffff, .attr = SEGA_P | SYS_LDT };
    c->tr = (struct seg_reg){ .limit = 0xffff, .attr = SEGA_P | SYS_TSS32_BUSY };
    c->gdt = c->idt = (struct dtable){ .limit = 0xffff };
}

/* What RESET# sets and INIT# keeps. */
static void reset_power_on(struct cpu *c)
{
    c->cr0 = CR0_ET | CR0_NW | CR0_CD;
    c->xcr0 = 1;
    c->pkru = 0;
    c->mxcsr = MXCSR_INIT;
    c->x87_live = 0;
    x87_init(c);
    memset(c->vreg, 0, sizeof(c->vreg));
    memset(c->kreg, 0, sizeof(c->kreg));
    c->zmm_live = 0;
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = c->tsc_aux = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->tsc_offset = c->tsc_adjust = 0; /* the platform's TSC goes on: those of all CPUs stay in step */
    c->pat = 0x0007040600070406ull;
    c->misc_enable = 0x1801; /* fast strings; BTS and PEBS unavailable */
    c->mtrr_def = 0;
    memset(c->mtrr_fix, 0, sizeof(c->mtrr_fix));
    memset(c->mtrr_base, 0, sizeof(c->mtrr_base));
    memset(c->mtrr_mask, 0, sizeof(c->mtrr_mask));
    memset(c->mc_ctl, 0, sizeof(c->mc_ctl));
    c->hwcr = BIT(24); /* the TSC counts at the nominal frequency */
    pmu_reset(c);
    c->mcg_status = c->mcg_ctl = c->spec_ctrl = c->feature_control = c->xss = 0;
    c->kvmclock_msr = c->kvmclock_wall = c->steal_msr = 0;
    c->pv_kicked = false;
}

void cpu_reset(struct cpu *c, bool init)
{
    LOG(LOG_RESET, "cpu %u: %s", c->index, init ? "INIT" : "reset");
    memset(c->gpr, 0, sizeof(c->gpr));
    c->gpr[R_DX] = cpuid_signature(c->model);
    c->rip = 0xfff0;
    cpu_set_rflags(c, 2);
    reset_segments(c);
    if (init)
        c->cr0 = (c->cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
    else
        reset_power_on(c);
    c->cr2 = c->cr3 = c->cr4 = c->efer = c->debugctl = 0;
    memset(c->dr, 0, sizeof(c->dr));
    c->dr[6] = DR6_FIXED;
    c->dr[7] = DR7_FIXED;
    c->int_shadow = c->shadow_was = c->db_pending = 0;
    c->delivering = c->ext = 0;
    c->step_trap = c->rf_keep = false;
    c->monitor_gpa = MONITOR_NONE;
    c->halted = c->smm = c->nmi_blocked = false;
    c->wait_sipi = c->index != 0;
    cpu_update_mode(c);
    cpu_tlb_flush(c, true);
}
