/* XSAVE, XSAVEC, XSAVEOPT, XSAVES, XRSTOR, XRSTORS in software on guest memory. vCPU thread, called by emitted code and the interpreter; the
 * layout functions also by CPUID. Source: SDM vol. 1 chapter 13. */
#include "cpu/help/xsave.h"
#include <cpuid.h>
#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/help/help.h"
#include "cpu/help/x87.h"
#include "cpu/paging.h"

#define XCOMP_COMPACT BIT64(63)
#define EXT_MAX 1024 /* the largest component */
#define FIRST_EXT 2 /* the components behind the header */
enum { KIND_XSAVE, KIND_XSAVEC, KIND_XSAVEOPT, KIND_XSAVES }; /* XRSTORS shares the last */

/* --- layout --- */

struct xsave_component xsave_component(unsigned i)
{
    static const struct xsave_component known[XSAVE_COMPONENTS] = {
        [2] = { 256, 576, false }, [5] = { 64, 1088, false }, [6] = { 512, 1152, false }, [7] = { 1024, 1664, false }, [9] = { 8, 2688, false },
    };
    struct xsave_component x = i < XSAVE_COMPONENTS ? known[i] : (struct xsave_component){ 0 };
    unsigned size, offset, flags, d;
    if (x.size && __get_cpuid_count(0xd, i, &size, &offset, &flags, &d) && size == x.size) {
        x.offset = offset;
        x.align64 = flags & 2;
    }
    return x;
}

/* The same, asked of the host once. */
static const struct xsave_component *component(unsigned i)
{
    static struct xsave_component cache[XSAVE_COMPONENTS];
    static bool filled;
    if (!__atomic_load_n(&filled, __ATOMIC_ACQUIRE)) { /* racing threads write the same values */
        for (unsigned n = FIRST_EXT; n < XSAVE_COMPONENTS; n++) {
            cache[n] = xsave_component(n);
        }
        __atomic_store_n(&filled, true, __ATOMIC_RELEASE);
    }
    return &cache[i];
}

u32 xsave_size(u64 components)
{
    u32 size = XSAVE_EXT;
    for (unsigned i = FIRST_EXT; i < XSAVE_COMPONENTS; i++) {
        if (components >> i & 1) {
            size = MAX_OF(size, component(i)->offset + component(i)->size);
        }
    }
    return size;
}

/* Where component i lies in the compacted format with these components; i = XSAVE_COMPONENTS: the end. */
static u32 compact_offset(u64 components, unsigned i)
{
    u32 at = XSAVE_EXT;
    for (unsigned n = FIRST_EXT; n < XSAVE_COMPONENTS; n++) {
        if (components >> n & 1) {
            at = component(n)->align64 ? (u32)ALIGN_UP(at, 64) : at;
            if (n == i) {
                return at;
            }
            at += component(n)->size;
        }
    }
    return at;
}

u32 xsave_compact_size(u64 components)
{
    return compact_offset(components, XSAVE_COMPONENTS);
}

/* --- the components --- */

static bool is_zero(const u8 *p, unsigned n)
{
    u64 any = 0;
    for (; n >= 8; n -= 8, p += 8) {
        any |= ld64(p);
    }
    for (unsigned i = 0; i < n; i++) {
        any |= p[i];
    }
    return !any;
}

static bool x87_in_use(struct cpu *c)
{
    x87_sync(c);
    return ld16(c->fx + FX_FCW) != 0x37f || !is_zero(c->fx + FX_FSW, FX_MXCSR - FX_FSW) || !is_zero(c->fx + FX_ST, 128);
}

/* Outside 64-bit mode, too, all registers count (section 13.6). */
static u64 zmm_in_use(const struct cpu *c)
{
    u64 r = is_zero((const u8 *)c->kreg, sizeof(c->kreg)) ? 0 : XC_K;
    for (unsigned i = 0; i < 16 && !(r & XC_ZMM_HI); i++) {
        r |= is_zero(c->vreg[i] + 32, 32) ? 0 : XC_ZMM_HI;
    }
    return r | (is_zero(c->vreg[16], 16 * sizeof(c->vreg[0])) ? 0 : XC_ZMM16);
}

u64 xsave_inuse(struct cpu *c)
{
    u64 r = x87_in_use(c) ? XC_X87 : 0;
    for (unsigned i = 0; i < 16; i++) {
        r |= is_zero(c->vreg[i], 16) ? 0 : XC_SSE;
        r |= is_zero(c->vreg[i] + 16, 16) ? 0 : XC_AVX;
    }
    return r | (c->zmm_live ? zmm_in_use(c) : 0) | (c->pkru ? XC_PKRU : 0);
}

void cpu_zmm_update(struct cpu *c)
{
    c->zmm_live = zmm_in_use(c) != 0;
}

/* Outside 64-bit mode the upper eight vector registers are neither saved nor restored. */
static unsigned vreg_count(const struct cpu *c)
{
    return cpu_is64(c) ? 16 : 8;
}

/* A component that is made of the same part of several vector registers. */
struct vreg_part {
    unsigned first, count, from, size;
};
static struct vreg_part vreg_part(const struct cpu *c, unsigned i)
{
    unsigned n = vreg_count(c);
    switch (i) {
    case 2: return (struct vreg_part){ 0, n, 16, 16 };
    case 6: return (struct vreg_part){ 0, n, 32, 32 };
    default: return (struct vreg_part){ 16, n == 16 ? 16 : 0, 0, 64 };
    }
}

/* Bytes of component i that move. */
static unsigned ext_size(const struct cpu *c, unsigned i)
{
    if (i == 5 || i == 9) {
        return component(i)->size;
    }
    struct vreg_part p = vreg_part(c, i);
    return p.count * p.size;
}

static void ext_save(struct cpu *c, unsigned i, gla_t addr)
{
    if (i == 9 || i == 5) {
        const u64 pkru = c->pkru;
        cpu_st_bytes(c, addr, i == 9 ? &pkru : c->kreg, component(i)->size);
        return;
    }
    u8 img[EXT_MAX];
    struct vreg_part p = vreg_part(c, i);
    for (unsigned r = 0; r < p.count; r++) {
        memcpy(img + p.size * r, c->vreg[p.first + r] + p.from, p.size);
    }
    if (p.count) {
        cpu_st_bytes(c, addr, img, p.size * p.count);
    }
}

/* img NULL: the initial configuration. */
static void ext_restore(struct cpu *c, unsigned i, const u8 *img)
{
    if (i == 9) {
        cpu_set_pkru(c, img ? ld32(img) : 0);
        return;
    }
    if (i == 5) {
        for (unsigned r = 0; r < ARRAY_LEN(c->kreg); r++) {
            c->kreg[r] = img ? ld64(img + 8 * r) : 0;
        }
        return;
    }
    struct vreg_part p = vreg_part(c, i);
    for (unsigned r = 0; r < p.count; r++) {
        if (img) {
            memcpy(c->vreg[p.first + r] + p.from, img + p.size * r, p.size);
        } else {
            memset(c->vreg[p.first + r] + p.from, 0, p.size);
        }
    }
}

/* --- XSAVE and its variants --- */

static void xsave_check(struct cpu *c, gla_t addr)
{
    if (!(c->cr4 & CR4_OSXSAVE)) {
        cpu_raise(c, EXC_UD);
    }
    if (c->cr0 & CR0_TS) {
        cpu_raise(c, EXC_NM);
    }
    if (addr & 63) {
        cpu_raise_err(c, EXC_GP, 0);
    }
}

static u64 edx_eax(const struct cpu *c)
{
    return (u64)(u32)c->gpr[R_DX] << 32 | (u32)c->gpr[R_AX];
}

/* x87 and SSE parts of the legacy region; MXCSR goes with save_mxcsr. */
static void legacy_save(struct cpu *c, gla_t addr, u64 parts, bool save_mxcsr, bool wide)
{
    u8 img[FX_XMM + 256];
    if (parts & XC_X87) {
        x87_put_image(c, img, wide);
        cpu_st_bytes(c, addr, img, FX_MXCSR);
        cpu_st_bytes(c, addr + FX_ST, img + FX_ST, FX_X87_BYTES - FX_ST);
    }
    if (save_mxcsr) {
        cpu_st(c, addr + FX_MXCSR, c->mxcsr | (u64)MXCSR_MASK << 32, 8);
    }
    if (parts & XC_SSE) {
        unsigned n = vreg_count(c);
        for (unsigned i = 0; i < n; i++) {
            memcpy(img + FX_XMM + 16 * i, c->vreg[i], 16);
        }
        cpu_st_bytes(c, addr + FX_XMM, img + FX_XMM, 16 * n);
    }
}

u64 help_xsave(struct cpu *c, u64 a, u64 b, u64 d)
{
    xsave_check(c, a);
    bool compact = d == KIND_XSAVEC || d == KIND_XSAVES;
    u64 rfbm = edx_eax(c) & (d == KIND_XSAVES ? c->xcr0 | c->xss : c->xcr0), inuse = xsave_inuse(c);
    if (compact && c->mxcsr != MXCSR_INIT) { /* here MXCSR counts as SSE state (section 13.6) */
        inuse |= XC_SSE;
    }
    u64 save = d == KIND_XSAVE ? rfbm : rfbm & inuse;
    legacy_save(c, a, save, compact ? save & XC_SSE : rfbm & (XC_SSE | XC_AVX), b == 8);
    for (unsigned i = FIRST_EXT; i < XSAVE_COMPONENTS; i++) {
        if (save >> i & 1) {
            ext_save(c, i, a + (compact ? compact_offset(rfbm, i) : component(i)->offset));
        }
    }
    if (compact) {
        u64 header[2] = { save, rfbm | XCOMP_COMPACT };
        cpu_st_bytes(c, a + XSAVE_HEADER, header, sizeof(header));
    } else {
        u64 old = cpu_ld(c, a + XSAVE_HEADER, 8);
        cpu_st(c, a + XSAVE_HEADER, (old & ~rfbm) | (inuse & rfbm), 8);
    }
    return 0;
}

/* --- XRSTOR --- */

/* The whole area as read from the guest, in standard-format places. */
struct xarea {
    u8 legacy[XSAVE_EXT];
    u8 ext[XSAVE_COMPONENTS][EXT_MAX];
};

static void header_check(struct cpu *c, const u8 *h, bool supervisor)
{
    u64 bv = ld64(h), comp = ld64(h + 8), allowed = supervisor ? c->xcr0 | c->xss : c->xcr0;
    bool bad;
    if (comp & XCOMP_COMPACT) {
        u64 set = comp & ~XCOMP_COMPACT;
        bad = !(feat_on(c->model, FEAT_XSAVEC) || supervisor) || set & ~allowed || bv & ~set || !is_zero(h + 16, 48);
    } else {
        bad = supervisor || bv & ~allowed || !is_zero(h + 8, 16);
    }
    if (bad) {
        cpu_raise_err(c, EXC_GP, 0);
    }
}

static void legacy_restore(struct cpu *c, const u8 *img, u64 rfbm, u64 bv, bool wide)
{
    if (rfbm & bv & XC_X87) {
        x87_get_image(c, img, wide);
    } else if (rfbm & XC_X87) {
        x87_init(c);
    }
    for (unsigned i = 0; rfbm & XC_SSE && i < vreg_count(c); i++) {
        if (bv & XC_SSE) {
            memcpy(c->vreg[i], img + FX_XMM + 16 * i, 16);
        } else {
            memset(c->vreg[i], 0, 16);
        }
    }
}

u64 help_xrstor(struct cpu *c, u64 a, u64 b, u64 d)
{
    struct xarea x;
    xsave_check(c, a);
    cpu_ld_bytes(c, a, x.legacy, sizeof(x.legacy));
    const u8 *h = x.legacy + XSAVE_HEADER;
    header_check(c, h, d == KIND_XSAVES);
    u64 bv = ld64(h), comp = ld64(h + 8), rfbm = edx_eax(c) & (d == KIND_XSAVES ? c->xcr0 | c->xss : c->xcr0);
    bool compact = comp & XCOMP_COMPACT;
    u32 mxcsr = compact && !(bv & XC_SSE) ? MXCSR_INIT : ld32(x.legacy + FX_MXCSR);
    bool load_mxcsr = rfbm & (compact ? XC_SSE : XC_SSE | XC_AVX);
    if (load_mxcsr && mxcsr & ~MXCSR_MASK) {
        cpu_raise_err(c, EXC_GP, 0);
    }
    for (unsigned i = FIRST_EXT; i < XSAVE_COMPONENTS; i++) { /* every fault comes before the first change */
        if (rfbm & bv & BIT64(i) && ext_size(c, i)) {
            cpu_ld_bytes(c, a + (compact ? compact_offset(comp, i) : component(i)->offset), x.ext[i], ext_size(c, i));
        }
    }
    legacy_restore(c, x.legacy, rfbm, bv, b == 8);
    if (load_mxcsr) {
        c->mxcsr = mxcsr;
    }
    for (unsigned i = FIRST_EXT; i < XSAVE_COMPONENTS; i++) {
        if (rfbm & BIT64(i) & XC_ALL) {
            ext_restore(c, i, bv & BIT64(i) ? x.ext[i] : NULL);
        }
    }
    if (rfbm & XC_AVX512 && (c->zmm_live || bv & rfbm & XC_AVX512)) {
        cpu_zmm_update(c);
    }
    return 0;
}
