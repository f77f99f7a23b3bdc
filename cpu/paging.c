/* Control registers and what hangs on them: paging modes, long mode, PAE pointers, TLB flushes, XCR0, PKRU, EFER. vCPU thread; called by
 * emitted code and the interpreter as helpers. Source: SDM vol. 3A 2.5, 4.1, 4.10.4 (flushes), 10.8.5 (long mode), vol. 2 MOV CR. */
#include "cpu/paging.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "cpu/help/help.h"
#include "cpu/help/xsave.h"
#include "cpu/platform.h"
#include "hw/core/irq.h"
#include "mmu/aspace.h"

void cpu_tlb_flush(struct cpu *c, bool global)
{
    tlb_flush(&c->tlb, global);
    c->plat->tlb_flushed(c);
}

static void require_cpl0(struct cpu *c)
{
    if (cpu_cpl(c))
        raise_gp0(c);
}

static u64 phys_reserved(const struct cpu *c) { return ~MASK64(c->model->phys_bits); }

bool pae_load(struct cpu *c, u64 cr3)
{
    u64 p[4];
    for (unsigned i = 0; i < 4; i++) {
        p[i] = aspace_read_uint(c->mem, (cr3 & 0xffffffe0u) + i * 8, 8);
        if (p[i] & 1 && p[i] & (phys_reserved(c) | 0x1e6))
            return false;
    }
    memcpy(c->pdpte, p, sizeof(p));
    return true;
}

/* Loads the PAE pointers for a change to these registers, where the mode they make has them. */
static void pae_reload(struct cpu *c, u64 cr0, u64 cr3, u64 cr4, u64 efer)
{
    bool pae = cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA);
    if (pae && !pae_load(c, cr3))
        raise_gp0(c);
}

/* --- CR0 --- */
#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

/* EFER after CR0.PG became `on`; #GP where long mode cannot be entered or left. */
static u64 long_mode_switch(struct cpu *c, bool on)
{
    if (!on) {
        if (cpu_is64(c) || c->cr4 & CR4_PCIDE)
            raise_gp0(c);
        return c->efer & ~(u64)EFER_LMA;
    }
    if (!(c->efer & EFER_LME))
        return c->efer;
    unsigned tr = c->tr.attr & SEGA_TYPE;
    if (!(c->cr4 & CR4_PAE) || c->seg[S_CS].attr & SEGA_L || tr == SYS_TSS16 || tr == SYS_TSS16_BUSY)
        raise_gp0(c);
    return c->efer | EFER_LMA;
}

void cpu_write_cr0(struct cpu *c, u64 val)
{
    if (val >> 32 || (val & CR0_PG && !(val & CR0_PE)) || (val & CR0_NW && !(val & CR0_CD)))
        raise_gp0(c);
    val = (val & CR0_DEFINED) | CR0_ET;
    u64 diff = val ^ c->cr0, efer = c->efer;
    if (diff & CR0_PG)
        efer = long_mode_switch(c, val & CR0_PG);
    if (diff & (CR0_PG | CR0_CD | CR0_NW))
        pae_reload(c, val, c->cr3, c->cr4, efer);
    c->cr0 = val;
    c->efer = efer;
    cpu_update_mode(c);
    if (diff & CR0_PG || (diff & CR0_WP && val & CR0_PG)) /* without paging all is allowed, at the same place, in any mode */
        cpu_tlb_flush(c, true);
}

/* --- CR3 --- */
static void write_cr3(struct cpu *c, u64 val)
{
    bool keep = false;
    if (cpu_is_lma(c)) {
        u64 reserved = phys_reserved(c);
        if (c->cr4 & CR4_PCIDE) {
            keep = val >> 63;
            val &= MASK64(63);
        }
        if (val & reserved)
            raise_gp0(c);
    } else {
        val = (u32)val;
        pae_reload(c, c->cr0, val, c->cr4, c->efer);
    }
    if (keep && val == c->cr3)
        return;
    c->cr3 = val;
    c->tlb.regs.cr3 = val;
    tlb_switch(&c->tlb, c->cr4 & CR4_PCIDE ? val & 0xfff : 0, keep);
    c->plat->tlb_flushed(c);
}

/* --- CR4 --- */
static u64 cr4_allowed(const struct cpu_model *m)
{
    static const struct {
        u32 bits;
        u16 feat;
    } gate[] = {
        { CR4_VME | CR4_PVI, FEAT_VME }, { CR4_TSD, FEAT_TSC }, { CR4_DE, FEAT_DE }, { CR4_PSE, FEAT_PSE }, { CR4_PAE, FEAT_PAE },
        { CR4_MCE, FEAT_MCE }, { CR4_PGE, FEAT_PGE }, { CR4_PCE, FEAT_NONE }, { CR4_OSFXSR, FEAT_FXSR }, { CR4_OSXMMEXCPT, FEAT_SSE },
        { CR4_UMIP, FEAT_UMIP }, { CR4_LA57, FEAT_LA57 }, { CR4_FSGSBASE, FEAT_FSGSBASE }, { CR4_PCIDE, FEAT_PCID },
        { CR4_OSXSAVE, FEAT_XSAVE }, { CR4_SMEP, FEAT_SMEP }, { CR4_SMAP, FEAT_SMAP }, { CR4_PKE, FEAT_PKU },
    };
    u64 bits = 0;
    for (unsigned i = 0; i < ARRAY_LEN(gate); i++) {
        if (feat_on(m, gate[i].feat))
            bits |= gate[i].bits;
    }
    return bits;
}

#define CR4_PAGING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE)

static void write_cr4(struct cpu *c, u64 val)
{
    u64 diff = val ^ c->cr4;
    if (val & ~cr4_allowed(c->model))
        raise_gp0(c);
    if (cpu_is_lma(c) && (!(val & CR4_PAE) || diff & CR4_LA57))
        raise_gp0(c);
    if (val & diff & CR4_PCIDE && (!cpu_is_lma(c) || c->cr3 & 0xfff))
        raise_gp0(c);
    if (diff & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP))
        pae_reload(c, c->cr0, c->cr3, val, c->efer);
    c->cr4 = val;
    cpu_update_mode(c);
    if (diff & CR4_PAGING)
        cpu_tlb_flush(c, true);
}

/* --- the instructions --- */
u64 help_mov_to_cr(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    if (!cpu_is64(c))
        b = (u32)b;
    switch (a) {
    case 0:
        cpu_write_cr0(c, b);
        break;
    case 2:
        c->cr2 = b;
        break;
    case 3:
        write_cr3(c, b);
        break;
    case 4:
        write_cr4(c, b);
        break;
    case 8:
        if (b > 15)
            raise_gp0(c);
        if (c->lapic)
            c->lapic_ops->set_tpr(c->lapic, (u8)(b << 4));
        break;
    default:
        cpu_raise(c, EXC_UD);
    }
    return 0;
}

u64 help_mov_from_cr(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    switch (a) {
    case 0:
        return c->cr0;
    case 2:
        return c->cr2;
    case 3:
        return c->cr3;
    case 4:
        return c->cr4;
    case 8:
        return c->lapic ? c->lapic_ops->get_tpr(c->lapic) >> 4 : 0;
    default:
        cpu_raise(c, EXC_UD);
    }
}

/* UMIP: not for CPL > 0. */
static void umip_check(struct cpu *c)
{
    if (cpu_cpl(c) && c->cr4 & CR4_UMIP)
        raise_gp0(c);
}

u64 help_smsw(struct cpu *c, u64 a, u64 b, u64 d)
{
    umip_check(c);
    return c->cr0;
}

/* LMSW sets PE MP EM TS, and cannot clear PE. */
u64 help_lmsw(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    cpu_write_cr0(c, (c->cr0 & ~0xeull) | (a & 0xf));
    return 0;
}

u64 help_clts(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    c->cr0 &= ~(u64)CR0_TS;
    cpu_update_mode(c);
    return 0;
}

u64 help_invlpg(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    if (cpu_is64(c) && !is_canonical(c, a))
        return 0;
    tlb_flush_page(&c->tlb, a);
    c->plat->tlb_flushed(c);
    return 0;
}

u64 help_invpcid(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_cpl0(c);
    u64 pcid = cpu_ld(c, b, 8), addr = cpu_ld(c, linear(c, b + 8), 8);
    bool pcide = c->cr4 & CR4_PCIDE;
    if (a > 3 || pcid >> 12 || (a < 2 && pcid && !pcide) || (a == 0 && !is_canonical(c, addr)))
        raise_gp0(c);
    bool current = pcid == (pcide ? c->cr3 & 0xfff : 0);
    if (a == 0 && current) {
        tlb_flush_page(&c->tlb, addr);
        c->plat->tlb_flushed(c);
    } else if (a >= 2) {
        cpu_tlb_flush(c, true);
    } else if (current) {
        cpu_tlb_flush(c, false);
    } else {
        tlb_forget_pcid(&c->tlb, (u16)pcid);
    }
    return 0;
}

bool cpu_write_efer(struct cpu *c, u64 val)
{
    const struct cpu_model *m = c->model;
    u64 allowed = EFER_LMA | (feat_on(m, FEAT_SYSCALL) ? EFER_SCE : 0) | (feat_on(m, FEAT_LM) ? EFER_LME : 0) |
                  (feat_on(m, FEAT_NX) && !(c->misc_enable & MISC_XD_DISABLE) ? EFER_NX : 0);
    u64 diff = val ^ c->efer;
    if (val & ~allowed || (diff & EFER_LME && c->cr0 & CR0_PG))
        return false;
    c->efer = (val & ~(u64)EFER_LMA) | (c->efer & EFER_LMA);
    cpu_update_mode(c);
    if (diff & EFER_NX)
        cpu_tlb_flush(c, true);
    return true;
}

/* --- PKRU, XCR0 --- */
u64 help_rdpkru(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!(c->cr4 & CR4_PKE))
        cpu_raise(c, EXC_UD);
    if ((u32)c->gpr[R_CX])
        raise_gp0(c);
    c->gpr[R_AX] = c->pkru;
    c->gpr[R_DX] = 0;
    return 0;
}

void cpu_set_pkru(struct cpu *c, u32 val)
{
    if (val == c->pkru)
        return;
    c->pkru = val;
    c->tlb.regs.pkru = val;
    cpu_tlb_flush(c, true); /* entries hold the rights that the keys gave */
}

u64 help_wrpkru(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!(c->cr4 & CR4_PKE))
        cpu_raise(c, EXC_UD);
    if ((u32)c->gpr[R_CX] || (u32)c->gpr[R_DX])
        raise_gp0(c);
    cpu_set_pkru(c, (u32)c->gpr[R_AX]);
    return 0;
}

u64 help_xgetbv(struct cpu *c, u64 a, u64 b, u64 d)
{
    u32 n = (u32)c->gpr[R_CX];
    if (!(c->cr4 & CR4_OSXSAVE))
        cpu_raise(c, EXC_UD);
    if (n > 1 || (n == 1 && !feat_on(c->model, FEAT_XGETBV1)))
        raise_gp0(c);
    u64 v = n ? c->xcr0 & xsave_inuse(c) : c->xcr0;
    c->gpr[R_AX] = (u32)v;
    c->gpr[R_DX] = v >> 32;
    return 0;
}

u64 help_xsetbv(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        cpu_raise(c, EXC_UD);
    require_cpl0(c);
    u64 v = (u32)c->gpr[R_AX] | c->gpr[R_DX] << 32;
    bool avx_alone = v & XC_AVX && !(v & XC_SSE), avx512 = v & XC_AVX512; /* all three of its components, with AVX, or none */
    if ((u32)c->gpr[R_CX] || !(v & XC_X87) || v & ~cpuid_xcr0(c->model) || avx_alone ||
        (avx512 && ((v & XC_AVX512) != XC_AVX512 || !(v & XC_AVX))))
        raise_gp0(c);
    c->xcr0 = v;
    cpu_update_mode(c);
    return 0;
}
