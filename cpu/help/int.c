/* Helpers for integer and stack instructions that are not worth IR: BCD adjustments, ENTER, PUSHA, POPA, BOUND, RDRAND, PAUSE.
 * vCPU thread. Source: SDM vol. 2. Flags that it leaves undefined follow the result. */
#include "cpu/debug.h"
#include "cpu/help/operand.h"
#include "cpu/platform.h"

static u32 flags_of_al(u8 al) { return (al & 0x80 ? F_SF : 0) | (al ? 0 : F_ZF) | (__builtin_parity(al) ? 0 : F_PF); }

/* --- BCD --- */
static void adjust_decimal(struct cpu *c, bool subtract)
{
    u32 fl = cpu_arith(c);
    u8 old = (u8)c->gpr[R_AX], al = old;
    bool low = (old & 0xf) > 9 || (fl & F_AF), high = old > 0x99 || (fl & F_CF), carry = high;
    if (low) {
        carry |= subtract ? old < 6 : old > 0xf9;
        al = (u8)(subtract ? al - 6 : al + 6);
    }
    if (high)
        al = (u8)(subtract ? al - 0x60 : al + 0x60);
    gpr_put(c, R_AX, al, 1);
    cpu_set_arith(c, flags_of_al(al) | (low ? F_AF : 0) | (carry ? F_CF : 0));
}

u64 help_daa(struct cpu *c, u64 a, u64 b, u64 d) { adjust_decimal(c, false); return 0; }
u64 help_das(struct cpu *c, u64 a, u64 b, u64 d) { adjust_decimal(c, true); return 0; }

static void adjust_ascii(struct cpu *c, int sign)
{
    u16 ax = (u16)c->gpr[R_AX];
    bool adjust = (ax & 0xf) > 9 || (cpu_arith(c) & F_AF);
    if (adjust)
        ax = (u16)(ax + sign * 0x106);
    ax &= 0xff0f;
    gpr_put(c, R_AX, ax, 2);
    cpu_set_arith(c, flags_of_al((u8)ax) | (adjust ? F_AF | F_CF : 0));
}

u64 help_aaa(struct cpu *c, u64 a, u64 b, u64 d) { adjust_ascii(c, 1); return 0; }
u64 help_aas(struct cpu *c, u64 a, u64 b, u64 d) { adjust_ascii(c, -1); return 0; }

u64 help_aam(struct cpu *c, u64 base, u64 b, u64 d)
{
    u8 al = (u8)c->gpr[R_AX], div = (u8)base;
    if (!div)
        cpu_raise(c, EXC_DE);
    gpr_put(c, R_AX, (u64)(al / div) << 8 | al % div, 2);
    cpu_set_arith(c, flags_of_al((u8)(al % div)));
    return 0;
}

u64 help_aad(struct cpu *c, u64 base, u64 b, u64 d)
{
    u8 al = (u8)(c->gpr[R_AX] + (c->gpr[R_AX] >> 8 & 0xff) * base);
    gpr_put(c, R_AX, al, 2);
    cpu_set_arith(c, flags_of_al(al));
    return 0;
}

/* --- stack frames --- */
static u64 stack_load(struct cpu *c, u64 off, unsigned size)
{
    gla_t lin = seg_linear(c, S_SS, off, size, stack_size(c), ACC_READ);
    debug_check_data(c, lin, size, ACC_READ);
    return cpu_ld_acc(c, lin, size, ACC_READ | ACC_STACK | cpu_data_acc(c));
}

static void stack_store(struct cpu *c, u64 off, u64 val, unsigned size)
{
    gla_t lin = seg_linear(c, S_SS, off, size, stack_size(c), ACC_WRITE);
    debug_check_data(c, lin, size, ACC_WRITE);
    cpu_st_acc(c, lin, val, size, ACC_WRITE | ACC_STACK | cpu_data_acc(c));
}

/* The stack below the final rSP must be writable, though nothing is stored there. */
static void stack_check(struct cpu *c, u64 off, unsigned size)
{
    struct mem_fault f;
    void *host;
    unsigned acc = ACC_WRITE | ACC_STACK | cpu_data_acc(c);
    if (mem_probe(cpu_mem(c), seg_linear(c, S_SS, off, size, stack_size(c), ACC_WRITE), size, acc, &host, &f) == PROBE_FAULT)
        cpu_raise_pf(c, &f, acc);
}

u64 help_enter(struct cpu *c, u64 alloc, u64 level, u64 osize)
{
    unsigned size = (unsigned)osize, width = stack_size(c);
    u64 sp = c->gpr[R_SP], bp = c->gpr[R_BP];
    level &= 31;
    sp -= size;
    stack_store(c, sp, bp, size);
    u64 frame = width == 2 ? (c->gpr[R_SP] & ~0xffffull) | (sp & 0xffff) : zext(sp, width);
    for (u64 i = 1; i < level; i++) {
        bp -= size;
        sp -= size;
        stack_store(c, sp, stack_load(c, bp, size), size);
    }
    if (level) {
        sp -= size;
        stack_store(c, sp, frame, size);
    }
    sp -= zext(alloc, 2);
    stack_check(c, sp, size);
    gpr_put(c, R_SP, sp, width);
    gpr_put(c, R_BP, frame, size);
    return 0;
}

u64 help_pusha(struct cpu *c, u64 osize, u64 b, u64 d)
{
    unsigned size = (unsigned)osize;
    u64 sp = c->gpr[R_SP];
    for (unsigned r = R_AX; r <= R_DI; r++) {
        sp -= size;
        stack_store(c, sp, c->gpr[r], size);
    }
    gpr_put(c, R_SP, sp, stack_size(c));
    return 0;
}

u64 help_popa(struct cpu *c, u64 osize, u64 b, u64 d)
{
    unsigned size = (unsigned)osize;
    u64 sp = c->gpr[R_SP], val[8];
    for (unsigned r = 8; r-- > 0; sp += size)
        val[r] = stack_load(c, sp, size);
    for (unsigned r = R_AX; r <= R_DI; r++)
        if (r != R_SP)
            gpr_put(c, r, val[r], size);
    gpr_put(c, R_SP, sp, stack_size(c));
    return 0;
}

/* --- the rest --- */
u64 help_bound(struct cpu *c, u64 lin, u64 val, u64 osize)
{
    unsigned size = (unsigned)osize;
    i64 low = (i64)sext(cpu_ld(c, (u32)lin, size), size);
    i64 high = (i64)sext(cpu_ld(c, (u32)(lin + size), size), size);
    i64 v = (i64)sext(val, size);
    if (v < low || v > high)
        cpu_raise(c, EXC_BR);
    return 0;
}

/* The entropy source never fails: CF is always 1. */
u64 help_rdrand(struct cpu *c, u64 size, u64 seed, u64 d)
{
    u64 v = c->plat->random(c);
    cpu_set_arith(c, F_CF);
    return zext(v, (unsigned)size);
}

u64 help_pause(struct cpu *c, u64 a, u64 b, u64 d)
{
    c->plat->pause(c);
    return 0;
}
