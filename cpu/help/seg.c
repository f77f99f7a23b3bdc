/* Segment register loads, descriptor table registers and the instructions that look at descriptors. vCPU thread; helpers of emitted code and
 * the interpreter. Source: SDM vol. 2 MOV, LLDT, LTR, LAR, LSL, VERR, ARPL, LGDT, SGDT; vol. 3A 5.6 to 5.10. */
#include "cpu/desc.h"
#include "cpu/help/help.h"
#include "cpu/help/operand.h"

static void require_cpl0(struct cpu *c)
{
    if (cpu_cpl(c))
        raise_gp0(c);
}

/* These raise #UD in real and VM86 mode. */
static void require_pm(struct cpu *c)
{
    if (!cpu_is_pm(c))
        cpu_raise(c, EXC_UD);
}

static void umip_check(struct cpu *c)
{
    if (cpu_cpl(c) && c->cr4 & CR4_UMIP)
        raise_gp0(c);
}

static void load_ss(struct cpu *c, u16 sel)
{
    struct desc d;
    unsigned cpl = cpu_cpl(c);
    if (sel_is_null(sel)) {
        if (!cpu_is64(c) || cpl == 3 || (sel & 3u) != cpl)
            raise_gp0(c);
        seg_set_null(&c->seg[S_SS], sel, cpl);
        return;
    }
    if (!desc_read(c, sel, &d) || (sel & 3u) != cpl || desc_dpl(&d) != cpl || !desc_is_writable(&d))
        raise_sel(c, EXC_GP, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_SS, sel);
    desc_set_accessed(c, &d);
    seg_set(&c->seg[S_SS], sel, &d);
}

static void load_data(struct cpu *c, unsigned seg, u16 sel)
{
    struct desc d;
    if (sel_is_null(sel)) {
        seg_set_null(&c->seg[seg], sel, 0);
        return;
    }
    if (!desc_read(c, sel, &d) || !desc_is_readable(&d))
        raise_sel(c, EXC_GP, sel);
    if (!desc_is_conforming(&d) && (desc_dpl(&d) < (sel & 3u) || desc_dpl(&d) < cpu_cpl(c)))
        raise_sel(c, EXC_GP, sel);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, sel);
    desc_set_accessed(c, &d);
    seg_set(&c->seg[seg], sel, &d);
}

u64 help_load_seg(struct cpu *c, u64 a, u64 b, u64 d)
{
    u16 sel = (u16)b;
    if (cpu_is_vm86(c))
        seg_set_vm86(&c->seg[a], sel);
    else if (!(c->mode & MODE_PE))
        seg_set_real(c, (unsigned)a, sel);
    else if (a == S_SS)
        load_ss(c, sel);
    else
        load_data(c, (unsigned)a, sel);
    if (a == S_SS)
        c->int_shadow = 2;
    if (a != S_FS && a != S_GS && (a == S_SS || !cpu_is64(c)))
        cpu_update_mode(c);
    return 0;
}

u64 help_segcheck(struct cpu *c, u64 a, u64 b, u64 d)
{
    return seg_check(c, a & 0xff, (u32)b, a >> 16 & 0xff, a >> 8 & 0xff);
}

/* --- LDTR, TR --- */
u64 help_lldt(struct cpu *c, u64 a, u64 b, u64 x)
{
    u16 sel = (u16)a;
    struct desc d;
    require_pm(c);
    require_cpl0(c);
    if (sel_is_null(sel)) {
        seg_set_null(&c->ldt, sel, 0);
        return 0;
    }
    if (sel & 4 || !desc_read(c, sel, &d) || desc_is_seg(&d) || desc_type(&d) != SYS_LDT)
        raise_sel(c, EXC_GP, sel);
    if (cpu_is_lma(c))
        desc_read_high(c, sel, &d);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, sel);
    if (!is_canonical(c, desc_base(&d)))
        raise_sel(c, EXC_GP, sel);
    seg_set(&c->ldt, sel, &d);
    return 0;
}

u64 help_ltr(struct cpu *c, u64 a, u64 b, u64 x)
{
    u16 sel = (u16)a;
    struct desc d;
    require_pm(c);
    require_cpl0(c);
    if (sel_is_null(sel))
        raise_gp0(c);
    if (sel & 4 || !desc_read(c, sel, &d) || desc_is_seg(&d))
        raise_sel(c, EXC_GP, sel);
    if (desc_type(&d) != SYS_TSS32 && (cpu_is_lma(c) || desc_type(&d) != SYS_TSS16))
        raise_sel(c, EXC_GP, sel);
    if (cpu_is_lma(c))
        desc_read_high(c, sel, &d);
    if (!desc_present(&d))
        raise_sel(c, EXC_NP, sel);
    if (!is_canonical(c, desc_base(&d)))
        raise_sel(c, EXC_GP, sel);
    desc_set_type(c, &d, desc_type(&d) | 2);
    seg_set(&c->tr, sel, &d);
    return 0;
}

u64 help_sldt(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_pm(c);
    umip_check(c);
    return c->ldt.sel;
}

u64 help_str(struct cpu *c, u64 a, u64 b, u64 d)
{
    require_pm(c);
    umip_check(c);
    return c->tr.sel;
}

/* --- LAR, LSL, VERR, VERW, ARPL: report by ZF --- */
static void set_zf(struct cpu *c, bool on) { cpu_set_arith(c, (cpu_arith(c) & ~(u32)F_ZF) | (on ? F_ZF : 0)); }

/* Reads the descriptor and says whether CPL and RPL may see it; a segment, or one of the system types in `sys`. */
static bool desc_visible(struct cpu *c, u16 sel, u32 sys, struct desc *d)
{
    if (sel_is_null(sel) || !desc_read(c, sel, d))
        return false;
    if (!desc_is_seg(d) && !(sys >> desc_type(d) & 1))
        return false;
    return desc_is_conforming(d) || (desc_dpl(d) >= cpu_cpl(c) && desc_dpl(d) >= (sel & 3u));
}

#define SYS_LSL32 (BIT(SYS_TSS16) | BIT(SYS_LDT) | BIT(SYS_TSS16_BUSY) | BIT(SYS_TSS32) | BIT(SYS_TSS32_BUSY))
#define SYS_LAR32 (SYS_LSL32 | BIT(SYS_CALL16) | BIT(SYS_TASK_GATE) | BIT(SYS_CALL32))
#define SYS_LSL64 (BIT(SYS_LDT) | BIT(SYS_TSS32) | BIT(SYS_TSS32_BUSY))
#define SYS_LAR64 (SYS_LSL64 | BIT(SYS_CALL32))

u64 help_lar(struct cpu *c, u64 a, u64 b, u64 x)
{
    struct desc d;
    require_pm(c);
    bool ok = desc_visible(c, (u16)a, cpu_is_lma(c) ? SYS_LAR64 : SYS_LAR32, &d);
    set_zf(c, ok);
    return ok ? d.hi & 0x00f0ff00 : b;
}

u64 help_lsl(struct cpu *c, u64 a, u64 b, u64 x)
{
    struct desc d;
    require_pm(c);
    bool ok = desc_visible(c, (u16)a, cpu_is_lma(c) ? SYS_LSL64 : SYS_LSL32, &d);
    set_zf(c, ok);
    return ok ? desc_limit(&d) : b;
}

u64 help_verr(struct cpu *c, u64 a, u64 b, u64 x)
{
    struct desc d;
    require_pm(c);
    set_zf(c, desc_visible(c, (u16)a, 0, &d) && desc_is_readable(&d));
    return 0;
}

u64 help_verw(struct cpu *c, u64 a, u64 b, u64 x)
{
    struct desc d;
    require_pm(c);
    set_zf(c, desc_visible(c, (u16)a, 0, &d) && desc_is_writable(&d));
    return 0;
}

u64 help_arpl(struct cpu *c, u64 a, u64 b, u64 d)
{
    bool raise_rpl = (a & 3) < (b & 3);
    set_zf(c, raise_rpl);
    return raise_rpl ? (a & ~3ull) | (b & 3) : a;
}

u64 help_arpl_mem(struct cpu *c, u64 a, u64 b, u64 d)
{
    unsigned seg = a & 0xff, asize = a >> 8;
    u64 old = cpu_ld(c, seg_linear(c, seg, b, 2, asize, ACC_READ), 2);
    if ((old & 3) < (d & 3))
        cpu_st(c, seg_linear(c, seg, b, 2, asize, ACC_WRITE), (old & ~3ull) | (d & 3), 2);
    set_zf(c, (old & 3) < (d & 3));
    return 0;
}

/* --- GDTR, IDTR --- */
static void store_table(struct cpu *c, const struct dtable *t, gla_t addr)
{
    u8 b[10];
    umip_check(c);
    st16(b, t->limit);
    st64(b + 2, t->base);
    cpu_st_bytes(c, addr, b, cpu_is64(c) ? 10 : 6);
}

static void load_table(struct cpu *c, struct dtable *t, gla_t addr, unsigned osize)
{
    u8 b[10] = { 0 };
    require_cpl0(c);
    cpu_ld_bytes(c, addr, b, cpu_is64(c) ? 10 : 6);
    u64 base = ld64(b + 2);
    if (cpu_is64(c) && !is_canonical(c, base))
        raise_gp0(c);
    t->limit = ld16(b);
    t->base = !cpu_is64(c) && osize == 2 ? base & 0xffffff : base;
}

u64 help_sgdt(struct cpu *c, u64 a, u64 b, u64 d)
{
    store_table(c, &c->gdt, a);
    return 0;
}

u64 help_sidt(struct cpu *c, u64 a, u64 b, u64 d)
{
    store_table(c, &c->idt, a);
    return 0;
}

u64 help_lgdt(struct cpu *c, u64 a, u64 b, u64 d)
{
    load_table(c, &c->gdt, a, (unsigned)b);
    return 0;
}

u64 help_lidt(struct cpu *c, u64 a, u64 b, u64 d)
{
    load_table(c, &c->idt, a, (unsigned)b);
    return 0;
}
