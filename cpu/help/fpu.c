/* Helpers of the x87 and SSE environment: availability checks, FXSAVE/FXRSTOR, LDMXCSR, the x87 environment in memory. vCPU thread, called
 * by emitted code and the interpreter. Source: SDM vol. 1 chapter 8.1, vol. 2 FXSAVE, FLDENV, FSAVE; vol. 3A chapters 2.5 and 13.1. */
#include "cpu/fault.h"
#include "cpu/help/help.h"
#include "cpu/help/x87.h"
#include "cpu/help/xsave.h"

#define EFER_FFXSR BIT(14)

u64 help_fpu_check(struct cpu *c, u64 a, u64 b, u64 d)
{
    bool ts = c->cr0 & CR0_TS, em = c->cr0 & CR0_EM;
    switch (a) {
    case 0: /* x87 */
        if (em || ts) {
            cpu_raise(c, EXC_NM);
        }
        break;
    case 1: /* MMX */
        if (em) {
            cpu_raise(c, EXC_UD);
        }
        break;
    case 2: /* SSE */
        if (em || !(c->cr4 & CR4_OSFXSR)) {
            cpu_raise(c, EXC_UD);
        }
        break;
    case 3: /* AVX; real and VM86 mode are the decoder's */
        if (!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & (XC_SSE | XC_AVX)) != (XC_SSE | XC_AVX)) {
            cpu_raise(c, EXC_UD);
        }
        break;
    case 5: /* AVX-512; likewise */
        if (!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & (XC_SSE | XC_AVX | XC_AVX512)) != (XC_SSE | XC_AVX | XC_AVX512)) {
            cpu_raise(c, EXC_UD);
        }
        break;
    default: /* FWAIT */
        if (ts && (c->cr0 & CR0_MP)) {
            cpu_raise(c, EXC_NM);
        }
        return 0;
    }
    if (ts) {
        cpu_raise(c, EXC_NM);
    }
    return 0;
}

u64 help_ldmxcsr(struct cpu *c, u64 a, u64 b, u64 d)
{
    if ((u32)a & ~MXCSR_MASK) {
        cpu_raise_err(c, EXC_GP, 0);
    }
    c->mxcsr = (u32)a;
    return 0;
}

/* --- FXSAVE, FXRSTOR --- */

static void fx_check(struct cpu *c, gla_t addr)
{
    if (c->cr0 & (CR0_EM | CR0_TS)) {
        cpu_raise(c, EXC_NM);
    }
    if (addr & 15) {
        cpu_raise_err(c, EXC_GP, 0);
    }
}

/* XMM registers that FXSAVE and FXRSTOR move: 0 under EFER.FFXSR, else 8 or 16. */
static unsigned fx_xmm_count(const struct cpu *c)
{
    if (!cpu_is64(c)) {
        return 8;
    }
    return c->efer & EFER_FFXSR && cpu_cpl(c) == 0 ? 0 : 16;
}

u64 help_fxsave(struct cpu *c, u64 a, u64 b, u64 d)
{
    u8 img[FX_XMM + 256];
    fx_check(c, a);
    x87_put_image(c, img, b == 8);
    st32(img + FX_MXCSR, c->mxcsr);
    st32(img + FX_MXCSR_MASK, MXCSR_MASK);
    unsigned n = fx_xmm_count(c);
    for (unsigned i = 0; i < n; i++) {
        memcpy(img + FX_XMM + 16 * i, c->vreg[i], 16);
    }
    cpu_st_bytes(c, a, img, FX_XMM + 16 * n);
    return 0;
}

u64 help_fxrstor(struct cpu *c, u64 a, u64 b, u64 d)
{
    u8 img[512];
    fx_check(c, a);
    cpu_ld_bytes(c, a, img, sizeof(img));
    if (ld32(img + FX_MXCSR) & ~MXCSR_MASK) {
        cpu_raise_err(c, EXC_GP, 0);
    }
    x87_get_image(c, img, b == 8);
    c->mxcsr = ld32(img + FX_MXCSR);
    unsigned n = fx_xmm_count(c);
    for (unsigned i = 0; i < n; i++) {
        memcpy(c->vreg[i], img + FX_XMM + 16 * i, 16);
    }
    return 0;
}

/* --- FLDENV, FNSTENV, FRSTOR, FNSAVE --- */

enum { ENV_LOAD, ENV_STORE, ENV_RSTOR, ENV_SAVE };

static bool env_protected(const struct cpu *c)
{
    return (c->mode & MODE_PE) && !(c->mode & MODE_VM86);
}

/* The 7-field environment of c->fx in the format of the mode. `wide`: 32-bit fields. Returns its length. */
static unsigned env_put(struct cpu *c, u8 *p, bool wide)
{
    u32 f[7] = { ld16(c->fx + FX_FCW), ld16(c->fx + FX_FSW), x87_tag_word(c) };
    u32 fip = (u32)c->x87_fip, fdp = (u32)c->x87_fdp, fop = c->x87_fop & 0x7ff;
    u32 high = wide ? 0xffff0000 : 0; /* reserved halves read as ones on all processors */
    f[0] |= high;
    f[1] |= high;
    f[2] |= high;
    if (env_protected(c)) {
        f[3] = fip;
        f[4] = fop << 16; /* with the selector, 0 */
        f[5] = fdp;
        f[6] = high;
    } else {
        fip += (u32)c->seg[S_CS].base; /* linear */
        f[3] = high | (fip & 0xffff);
        f[4] = wide ? (fip >> 16 & 0xffff) << 12 | fop : (fip >> 16 & 15) << 12 | fop;
        f[5] = high | (fdp & 0xffff);
        f[6] = wide ? (fdp >> 16 & 0xffff) << 12 : (fdp >> 16 & 15) << 12;
    }
    for (unsigned i = 0; i < 7; i++) {
        if (wide) {
            st32(p + 4 * i, f[i]);
        } else {
            st16(p + 2 * i, (u16)f[i]);
        }
    }
    return wide ? 28 : 14;
}

static void env_get(struct cpu *c, const u8 *p, bool wide)
{
    u32 f[7];
    for (unsigned i = 0; i < 7; i++) {
        f[i] = wide ? ld32(p + 4 * i) : ld16(p + 2 * i);
    }
    x87_set_top(c, f[1] >> 11 & 7);
    st16(c->fx + FX_FCW, (u16)f[0]);
    st16(c->fx + FX_FSW, (u16)f[1]);
    st16(c->fx + FX_FTW, x87_abridge((u16)f[2]));
    x87_fix_control(c);
    if (env_protected(c)) {
        c->x87_fip = f[3];
        c->x87_fdp = f[5];
        c->x87_fop = wide ? f[4] >> 16 & 0x7ff : c->x87_fop; /* the 16-bit format has none */
    } else {
        u32 mask = wide ? 0xffff : 15;
        c->x87_fip = (u32)((f[3] & 0xffff) | (f[4] >> 12 & mask) << 16) - (u32)c->seg[S_CS].base;
        c->x87_fip &= 0xffffffff;
        c->x87_fdp = (f[5] & 0xffff) | (f[6] >> 12 & mask) << 16;
        c->x87_fop = f[4] & 0x7ff;
    }
    x87_sync(c);
}

static void env_store(struct cpu *c, gla_t addr, bool wide, bool regs)
{
    u8 img[108];
    unsigned n = env_put(c, img, wide);
    for (unsigned i = 0; regs && i < 8; i++, n += 10) {
        memcpy(img + n, c->fx + FX_ST + 16 * i, 10);
    }
    cpu_st_bytes(c, addr, img, n);
    if (!regs) {
        st16(c->fx + FX_FCW, ld16(c->fx + FX_FCW) | 0x3f);
        x87_fix_control(c);
        return;
    }
    u8 st[128]; /* as FNINIT: register contents stay, all empty */
    x87_set_top(c, 0);
    memcpy(st, c->fx + FX_ST, sizeof(st));
    x87_init(c);
    memcpy(c->fx + FX_ST, st, sizeof(st));
}

static void env_load(struct cpu *c, gla_t addr, bool wide, bool regs)
{
    u8 img[108];
    if (ld16(c->fx + FX_FSW) & 0x80) { /* these two wait */
        x87_raise_mf(c);
    }
    unsigned n = wide ? 28 : 14;
    cpu_ld_bytes(c, addr, img, regs ? n + 80 : n);
    env_get(c, img, wide);
    for (unsigned i = 0; regs && i < 8; i++) {
        memcpy(c->fx + FX_ST + 16 * i, img + n + 10 * i, 10);
    }
}

u64 help_x87_env(struct cpu *c, u64 a, u64 b, u64 d)
{
    bool wide = d != 2;
    x87_sync(c);
    if (a == ENV_STORE || a == ENV_SAVE) {
        env_store(c, b, wide, a == ENV_SAVE);
    } else {
        env_load(c, b, wide, a == ENV_RSTOR);
    }
    return 0;
}
