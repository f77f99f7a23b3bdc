/* SYSCALL, SYSRET, SYSENTER, SYSEXIT; FS/GS base instructions and SWAPGS. vCPU thread; helpers of emitted code and the interpreter.
 * Source: SDM vol. 2; AMD APM vol. 3 (SYSCALL in legacy and compatibility mode, SYSENTER outside legacy mode). */
#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/desc.h"
#include "cpu/help/help.h"

/* Flat code and stack segments, whatever the descriptor tables hold. */
static void load_flat(struct cpu *c, u16 cs, u16 ss, unsigned cpl, bool code64)
{
    u16 dpl = (u16)(cpl << 5);
    c->seg[S_CS] = (struct seg_reg){ .limit = 0xffffffffu, .sel = cs, .attr = (code64 ? ATTR_CODE64 : ATTR_CODE32) | dpl };
    c->seg[S_SS] = (struct seg_reg){ .limit = 0xffffffffu, .sel = ss, .attr = ATTR_DATA32 | dpl };
}

/* Intel processors know SYSCALL in 64-bit mode only. */
static void syscall_check(struct cpu *c)
{
    if (!(c->efer & EFER_SCE) || !cpu_is_pm(c) || (!cpu_is64(c) && !cpuid_is_amd(c->model)))
        cpu_raise(c, EXC_UD);
}

u64 help_syscall(struct cpu *c, u64 a, u64 b, u64 d)
{
    syscall_check(c);
    u16 sel = c->star >> 32 & 0xfffc;
    if (cpu_is_lma(c)) {
        u64 flags = cpu_rflags(c) & ~(u64)F_RF;
        c->gpr[R_CX] = a;
        c->gpr[R_11] = flags;
        c->rip = cpu_is64(c) ? c->lstar : c->cstar;
        cpu_set_rflags(c, flags & ~c->sfmask);
        load_flat(c, sel, sel + 8, 0, true);
    } else {
        c->gpr[R_CX] = (u32)a;
        c->rip = (u32)c->star;
        cpu_set_rflags(c, cpu_rflags(c) & ~(u64)(F_IF | F_RF | F_VM));
        load_flat(c, sel, sel + 8, 0, false);
    }
    c->step_trap = c->sysflags & F_TF; /* single-step looks at the new TF */
    cpu_update_mode(c);
    return 0;
}

u64 help_sysret(struct cpu *c, u64 a, u64 b, u64 d)
{
    u16 sel = (u16)(c->star >> 48 | 3);
    bool to64 = cpu_is_lma(c) && a == 8;
    syscall_check(c);
    if (cpu_cpl(c) || (to64 && !cpuid_is_amd(c->model) && !is_canonical(c, c->gpr[R_CX])))
        raise_gp0(c);
    if (cpu_is_lma(c)) {
        u32 keep = F_ARITH | F_TF | F_IF | F_DF | F_IOPL | F_NT | F_AC | F_VIF | F_VIP | F_ID;
        cpu_set_rflags(c, c->gpr[R_11] & keep);
    } else {
        c->iflag = 1;
    }
    c->rip = to64 ? c->gpr[R_CX] : (u32)c->gpr[R_CX];
    load_flat(c, to64 ? sel + 16 : sel, (u16)((sel + 8) | 3), 3, to64);
    c->step_trap = c->sysflags & F_TF;
    cpu_update_mode(c);
    return 0;
}

/* AMD processors know SYSENTER and SYSEXIT in legacy mode only. */
static void sysenter_check(struct cpu *c)
{
    if (cpu_is_lma(c) && cpuid_is_amd(c->model))
        cpu_raise(c, EXC_UD);
    if (!(c->mode & MODE_PE) || !(c->sysenter_cs & 0xfffc))
        raise_gp0(c);
}

u64 help_sysenter(struct cpu *c, u64 a, u64 b, u64 d)
{
    sysenter_check(c);
    u16 sel = c->sysenter_cs & 0xfffc;
    bool lma = cpu_is_lma(c);
    c->iflag = 0;
    c->sysflags &= ~(u32)(F_VM | F_RF);
    c->gpr[R_SP] = lma ? c->sysenter_esp : (u32)c->sysenter_esp;
    c->rip = lma ? c->sysenter_eip : (u32)c->sysenter_eip;
    load_flat(c, sel, sel + 8, 0, lma);
    cpu_update_mode(c);
    return 0;
}

u64 help_sysexit(struct cpu *c, u64 a, u64 b, u64 d)
{
    sysenter_check(c);
    u16 sel = (u16)c->sysenter_cs;
    bool to64 = cpu_is_lma(c) && a == 8;
    if (cpu_cpl(c) || (to64 && (!is_canonical(c, c->gpr[R_CX]) || !is_canonical(c, c->gpr[R_DX]))))
        raise_gp0(c);
    c->gpr[R_SP] = to64 ? c->gpr[R_CX] : (u32)c->gpr[R_CX];
    c->rip = to64 ? c->gpr[R_DX] : (u32)c->gpr[R_DX];
    u16 cs = (u16)((sel + (to64 ? 32 : 16)) | 3);
    load_flat(c, cs, cs + 8, 3, to64);
    cpu_update_mode(c);
    return 0;
}

/* --- FS and GS base --- */
static void fsgs_check(struct cpu *c)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        cpu_raise(c, EXC_UD);
}

u64 help_rdfsgs(struct cpu *c, u64 a, u64 b, u64 d)
{
    fsgs_check(c);
    return c->seg[S_FS + a].base;
}

u64 help_wrfsgs(struct cpu *c, u64 a, u64 b, u64 d)
{
    fsgs_check(c);
    if (!is_canonical(c, b))
        raise_gp0(c);
    c->seg[S_FS + a].base = b;
    return 0;
}

u64 help_swapgs(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (cpu_cpl(c))
        raise_gp0(c);
    u64 t = c->seg[S_GS].base;
    c->seg[S_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = t;
    return 0;
}
