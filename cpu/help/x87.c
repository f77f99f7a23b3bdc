/* The guest's x87/MMX state between struct cpu and the host FPU. vCPU thread; called by helpers, by the interpreter's carry_exec, by the run
 * loop before it enters code that needs x87 and before anyone looks at the state. Source: SDM vol. 1 chapters 8 and 10.5. */
#include "cpu/help/x87.h"
#include "cpu/fault.h"
#include "cpu/platform.h"

struct fx_image {
    u8 b[512];
} __attribute__((aligned(16)));

static void image_put_pointers(struct cpu *c)
{
    st16(c->fx + FX_FOP, c->x87_fop & 0x7ff);
    st64(c->fx + FX_FIP, c->x87_fip);
    st64(c->fx + FX_FDP, c->x87_fdp);
}

void x87_sync(struct cpu *c)
{
    if (c->x87_live) {
        struct fx_image now;
        __asm__ volatile("fxsave64 %0\n\tfninit" : "=m"(now));
        memcpy(c->fx, now.b, FX_MXCSR);
        memcpy(c->fx + FX_ST, now.b + FX_ST, FX_X87_BYTES - FX_ST);
        for (unsigned i = 0; i < 8; i++) { /* reserved bytes beside each register */
            memset(c->fx + FX_ST + 16 * i + 10, 0, 6);
        }
        c->fx[FX_FTW + 1] = 0;
        c->x87_live = 0;
    }
    image_put_pointers(c);
}

void x87_load(struct cpu *c)
{
    if (c->x87_live) {
        return;
    }
    struct fx_image now;
    memset(&now, 0, sizeof(now));
    memcpy(now.b, c->fx, FX_X87_BYTES);
    u32 mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    st32(now.b + FX_MXCSR, mxcsr); /* FXRSTOR loads it and xmm0-15 too */
    __asm__ volatile("fxrstor64 %0"
                     : : "m"(now)
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15");
    c->x87_live = 1;
}

void x87_init(struct cpu *c)
{
    if (c->x87_live) {
        __asm__ volatile("fninit");
        c->x87_live = 0;
    }
    memset(c->fx, 0, sizeof(c->fx));
    st16(c->fx + FX_FCW, 0x37f);
    c->x87_fip = c->x87_fdp = 0;
    c->x87_fop = c->x87_fcs = c->x87_fds = 0;
}

void x87_raise_mf(struct cpu *c)
{
    if (c->cr0 & CR0_NE) {
        cpu_raise(c, EXC_MF);
    }
    c->plat->ferr(c);
    cpu_unwind(c, UNW_RESTART);
}

/* 0 valid, 1 zero, 2 special of an 80-bit value. */
static unsigned tag_of(const u8 *st)
{
    u64 frac = ld64(st);
    unsigned exp = ld16(st + 8) & 0x7fff;
    if (exp == 0x7fff) {
        return 2;
    }
    if (exp == 0) {
        return frac ? 2 : 1;
    }
    return frac >> 63 ? 0 : 2;
}

u16 x87_tag_word(const struct cpu *c)
{
    unsigned top = ld16(c->fx + FX_FSW) >> 11 & 7, ftw = 0;
    for (unsigned i = 0; i < 8; i++) { /* physical register i is ST((i - top) & 7) */
        unsigned tag = c->fx[FX_FTW] >> i & 1 ? tag_of(c->fx + FX_ST + 16 * ((i - top) & 7)) : 3;
        ftw |= tag << (2 * i);
    }
    return (u16)ftw;
}

void x87_set_top(struct cpu *c, unsigned top)
{
    u8 st[128];
    unsigned fsw = ld16(c->fx + FX_FSW), old = fsw >> 11 & 7;
    memcpy(st, c->fx + FX_ST, sizeof(st));
    for (unsigned i = 0; i < 8; i++) {
        memcpy(c->fx + FX_ST + 16 * i, st + 16 * ((top + i - old) & 7), 16);
    }
    st16(c->fx + FX_FSW, (u16)((fsw & ~0x3800u) | top << 11));
}

void x87_fix_control(struct cpu *c)
{
    unsigned fcw = (ld16(c->fx + FX_FCW) & 0x1f3f) | 0x40, fsw = ld16(c->fx + FX_FSW) & 0x7f7f;
    if (fsw & ~fcw & 0x3f) {
        fsw |= 0x8080;
    }
    st16(c->fx + FX_FCW, (u16)fcw);
    st16(c->fx + FX_FSW, (u16)fsw);
}

void x87_put_image(struct cpu *c, u8 *img, bool wide)
{
    x87_sync(c);
    memcpy(img, c->fx, FX_MXCSR);
    memcpy(img + FX_ST, c->fx + FX_ST, FX_X87_BYTES - FX_ST);
    if (!wide) { /* 32-bit pointers with selectors, which are 0 */
        st32(img + FX_FCS, 0);
        st32(img + FX_FDS, 0);
    }
}

void x87_get_image(struct cpu *c, const u8 *img, bool wide)
{
    x87_sync(c);
    memcpy(c->fx, img, FX_FIP);
    c->fx[FX_FTW + 1] = 0;
    for (unsigned i = 0; i < 8; i++) { /* the bytes beside each register are reserved */
        memcpy(c->fx + FX_ST + 16 * i, img + FX_ST + 16 * i, 10);
    }
    x87_fix_control(c);
    c->x87_fop = ld16(img + FX_FOP) & 0x7ff;
    c->x87_fip = wide ? ld64(img + FX_FIP) : ld32(img + FX_FIP);
    c->x87_fdp = wide ? ld64(img + FX_FDP) : ld32(img + FX_FDP);
    image_put_pointers(c);
}
