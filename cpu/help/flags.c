/* Instructions on the system flags: PUSHF, POPF, CLI, STI, CLAC, STAC, with the VM86 (VME) and protected-mode (PVI) virtual interrupt flag.
 * vCPU thread; helpers of emitted code and the interpreter. Source: SDM vol. 2; vol. 3A 20.3, 20.4. */
#include "cpu/desc.h"
#include "cpu/help/help.h"

#define F_USER (F_ARITH | F_TF | F_DF | F_NT)

u64 help_pushf_val(struct cpu *c, u64 a, u64 b, u64 d)
{
    u64 f = cpu_rflags(c) & ~(u64)(F_VM | F_RF);
    if (!cpu_is_vm86(c) || cpu_iopl(c) == 3)
        return f;
    if (!(c->cr4 & CR4_VME) || a != 2)
        raise_gp0(c);
    return (f & ~(u64)F_IF) | F_IOPL | (c->sysflags & F_VIF ? F_IF : 0);
}

static void flags_load(struct cpu *c, u64 val, u32 mask)
{
    cpu_set_rflags(c, (cpu_rflags(c) & ~(u64)(mask | F_RF)) | (val & mask));
    cpu_update_mode(c);
}

/* VM86 with IOPL < 3: POPF of 16 bits loads VIF instead of IF. */
static void popf_vme(struct cpu *c, u64 val, u64 osize)
{
    if (!(c->cr4 & CR4_VME) || osize != 2 || val & F_TF || (val & F_IF && c->sysflags & F_VIP))
        raise_gp0(c);
    c->sysflags = (c->sysflags & ~(u32)F_VIF) | (val & F_IF ? F_VIF : 0);
    flags_load(c, val, F_USER);
}

u64 help_popf(struct cpu *c, u64 a, u64 b, u64 d)
{
    u32 mask = F_USER | F_AC | F_ID;
    if (cpu_is_vm86(c) && cpu_iopl(c) < 3) {
        popf_vme(c, a, b);
        return 0;
    }
    if (cpu_cpl(c) <= cpu_iopl(c))
        mask |= F_IF;
    if (cpu_cpl(c) == 0)
        mask |= F_IOPL;
    flags_load(c, a, b == 2 ? mask & 0xffff : mask);
    return 0;
}

/* Who handles CLI and STI: the real IF, the virtual one, or nobody (#GP). */
enum if_kind { IF_REAL, IF_VIRTUAL };
static enum if_kind if_kind(struct cpu *c)
{
    if (c->mode & MODE_IOPL_OK || (cpu_is_vm86(c) && cpu_iopl(c) == 3))
        return IF_REAL;
    if (cpu_is_vm86(c) ? c->cr4 & CR4_VME : cpu_cpl(c) == 3 && c->cr4 & CR4_PVI)
        return IF_VIRTUAL;
    raise_gp0(c);
}

u64 help_cli(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (if_kind(c) == IF_REAL)
        c->iflag = 0;
    else
        c->sysflags &= ~(u32)F_VIF;
    return 0;
}

u64 help_sti(struct cpu *c, u64 a, u64 b, u64 d)
{
    if (if_kind(c) == IF_VIRTUAL) {
        if (c->sysflags & F_VIP)
            raise_gp0(c);
        c->sysflags |= F_VIF;
        return 0;
    }
    if (!c->iflag)
        c->int_shadow = 1;
    c->iflag = 1;
    return 0;
}

/* EFLAGS.AC = on at CPL 0, where it matters only to SMAP. */
static void set_ac(struct cpu *c, bool on)
{
    if (cpu_cpl(c))
        cpu_raise(c, EXC_UD);
    c->sysflags = (c->sysflags & ~(u32)F_AC) | (on ? F_AC : 0);
    cpu_update_mode(c);
}

u64 help_clac(struct cpu *c, u64 a, u64 b, u64 d)
{
    set_ac(c, false);
    return 0;
}

u64 help_stac(struct cpu *c, u64 a, u64 b, u64 d)
{
    set_ac(c, true);
    return 0;
}
