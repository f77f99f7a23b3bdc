/* Debug registers: matching of instruction, data and I/O breakpoints, single-step traps, alignment checks; MOV to and from DRs.
 * vCPU thread; called by the run loop, the interpreter and helpers. Source: SDM vol. 3B chapter 18. */
#include "cpu/debug.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "cpu/fault.h"
#include "cpu/help/help.h"

enum { BP_EXEC, BP_WRITE, BP_IO, BP_RW };

static bool bp_enabled(const struct cpu *c, unsigned n) { return c->dr[7] >> (2 * n) & 3; }
static unsigned bp_kind(const struct cpu *c, unsigned n) { return c->dr[7] >> (16 + 4 * n) & 3; }
static unsigned bp_len(const struct cpu *c, unsigned n)
{
    static const u8 len[4] = { 1, 2, 8, 4 };
    return len[c->dr[7] >> (18 + 4 * n) & 3];
}

/* The bits of the breakpoints whose kind is in `kinds` and that touch [addr, addr + size). */
static u32 bp_match(const struct cpu *c, u64 addr, unsigned size, unsigned kinds)
{
    u32 hit = 0;
    for (unsigned n = 0; n < 4; n++) {
        unsigned kind = bp_kind(c, n), len = bp_len(c, n);
        u64 start = c->dr[n] & ~(u64)(len - 1);
        if (bp_enabled(c, n) && kinds & BIT(kind) && addr < start + len && start < addr + size)
            hit |= BIT(n);
    }
    return hit;
}

/* MOV SS and POP SS hold back instruction breakpoints on the next instruction (SDM vol. 3A 6.8.3), but not on AMD's processors. */
void debug_begin(struct cpu *c)
{
    c->step_trap = c->sysflags & F_TF;
    c->rf_keep = false;
    if (!debug_armed(c) || c->sysflags & F_RF || (c->int_shadow == 2 && !cpuid_is_amd(c->model)))
        return;
    u32 hit = bp_match(c, linear(c, c->seg[S_CS].base + c->rip), 1, BIT(BP_EXEC));
    if (hit)
        cpu_raise_db(c, hit);
}

void debug_end(struct cpu *c)
{
    if (c->sysflags & F_RF && !c->rf_keep) {
        c->sysflags &= ~(u32)F_RF;
        cpu_update_mode(c);
    }
    if (c->int_shadow == 2)
        return;
    u32 bits = c->db_pending | (c->step_trap ? DR6_BS : 0);
    c->db_pending = 0;
    c->step_trap = false;
    if (bits)
        cpu_raise_db(c, bits);
}

void debug_rf_loaded(struct cpu *c)
{
    c->rf_keep = true;
    if (!debug_armed(c))
        c->sysflags &= ~(u32)F_RF;
}

void debug_data(struct cpu *c, gla_t addr, unsigned size, unsigned acc)
{
    if (cpu_cpl(c) == 3 && c->cr0 & CR0_AM && c->sysflags & F_AC && size <= 8 && addr & (size - 1) && !(size & (size - 1)))
        cpu_raise_err(c, EXC_AC, 0);
    if (debug_armed(c))
        c->db_pending |= bp_match(c, addr, size, acc & ACC_WRITE ? BIT(BP_WRITE) | BIT(BP_RW) : BIT(BP_RW));
}

void debug_io(struct cpu *c, u16 port, unsigned size)
{
    if (c->cr4 & CR4_DE && debug_armed(c))
        c->db_pending |= bp_match(c, port, size, BIT(BP_IO));
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE; privilege and general detect. */
static unsigned dr_check(struct cpu *c, unsigned n)
{
    if (n > 7 || ((n == 4 || n == 5) && c->cr4 & CR4_DE))
        cpu_raise(c, EXC_UD);
    if (cpu_cpl(c))
        cpu_raise_err(c, EXC_GP, 0);
    if (c->dr[7] & DR7_GD)
        cpu_raise_db(c, DR6_BD);
    return n == 4 || n == 5 ? n + 2 : n;
}

u64 help_mov_from_dr(struct cpu *c, u64 a, u64 b, u64 d)
{
    return c->dr[dr_check(c, (unsigned)a)];
}

u64 help_mov_to_dr(struct cpu *c, u64 a, u64 b, u64 d)
{
    unsigned n = dr_check(c, (unsigned)a);
    if (!cpu_is64(c))
        b = (u32)b;
    if (n >= 6 && b >> 32)
        cpu_raise_err(c, EXC_GP, 0);
    if (n == 6)
        b = (b & (DR6_BITS | DR6_BD | DR6_BS | DR6_BT)) | DR6_FIXED;
    else if (n == 7)
        b = (b & 0xffff23ffu) | DR7_FIXED;
    c->dr[n] = b;
    if (n == 7)
        cpu_update_mode(c);
    return 0;
}
