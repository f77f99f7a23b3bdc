/* XSAVE and its variants, XRSTOR: images and restored state against the host, header checks, precise faults. Test thread. */
#include <glib.h>
#include "cpu/help/help.h"
#include "cpu/help/x87.h"
#include "cpu/help/xsave.h"
#include "tests/lib/fake_cpu.h"
#include "tests/lib/native.h"

#define AREA 0x8000
#define AREA_SIZE 1024

static struct fake_cpu *fake;
static struct cpu_model model;
static u8 area[AREA_SIZE] __attribute__((aligned(64)));

struct call {
    help_fn *fn;
    u64 a, b, d;
};

static void call_fn(struct cpu *c, void *opaque)
{
    const struct call *k = opaque;
    k->fn(c, k->a, k->b, k->d);
}

static int try(help_fn *fn, u64 a, u64 b, u64 d)
{
    return fake_cpu_try(fake, call_fn, &(struct call){ fn, a, b, d });
}

/* Every component in use: when the host finds one in its initial configuration is its own affair. */
static void random_parts(struct native *s)
{
    u64 r = native_random() >> 20;
    native_random_state(s);
    if (r & 1) {
        st32(s->fx + FX_MXCSR, MXCSR_INIT);
    }
    s->gpr[R_BX] = (u64)area;
    s->gpr[R_AX] = r >> 4 & 7;
    s->gpr[R_DX] = 0;
}

static void to_guest(const struct native *s)
{
    native_to_guest(s, fake->c);
    fake->c->gpr[R_BX] = s->gpr[R_BX];
}

/* XSAVE64, XSAVEC64, XSAVEOPT64 on [rbx]; the helper's kinds. */
static const struct {
    u8 bytes[4];
    u8 feat, kind;
} saves[] = {
    { { 0x48, 0x0f, 0xae, 0x23 }, FEAT_XSAVE, 0 },
    { { 0x48, 0x0f, 0xc7, 0x23 }, FEAT_XSAVEC, 1 },
    { { 0x48, 0x0f, 0xae, 0x33 }, FEAT_XSAVEOPT, 2 },
};

/* The host's pointers and its idea of the MXCSR mask are not the guest's. */
static void forget_pointers(u8 *p)
{
    memset(p + FX_FOP, 0, FX_MXCSR - FX_FOP);
    memset(p + FX_MXCSR_MASK, 0, 4);
}

static void test_save(void)
{
    for (unsigned t = 0; t < 600; t++) {
        unsigned i = t % ARRAY_LEN(saves);
        struct native s;
        if (!native_has(saves[i].feat)) {
            continue;
        }
        random_parts(&s);
        u8 *mem = fake->ram + AREA;
        memset(area, 0x5a, AREA_SIZE);
        st64(area + XSAVE_HEADER, 0);
        memset(area + XSAVE_HEADER + 8, 0, 56);
        memcpy(mem, area, AREA_SIZE);
        to_guest(&s);
        native_run(&s, saves[i].bytes, 4);
        g_assert_cmpint(try(help_xsave, AREA, 8, saves[i].kind), ==, -1);
        forget_pointers(area);
        forget_pointers(mem);
        g_assert_cmpmem(mem, XSAVE_HEADER, area, XSAVE_HEADER);
        g_assert_cmpmem(mem + XSAVE_HEADER, 64, area + XSAVE_HEADER, 64);
        g_assert_cmpmem(mem + XSAVE_EXT, AREA_SIZE - XSAVE_EXT, area + XSAVE_EXT, AREA_SIZE - XSAVE_EXT);
    }
}

/* XINUSE of single components, and what is then not written. */
static void test_init_optimisation(void)
{
    struct cpu *c = fake->c;
    u8 *mem = fake->ram + AREA;
    for (unsigned t = 0; t < 16; t++) {
        u64 inuse = t & 7;
        x87_init(c);
        memset(c->vreg, 0, sizeof(c->vreg));
        c->mxcsr = t & 8 ? 0x1fa0 : MXCSR_INIT;
        if (inuse & XC_X87) {
            c->fx[FX_ST + 5] = 1;
        }
        if (inuse & XC_SSE) {
            c->vreg[15][15] = 1;
        }
        if (inuse & XC_AVX) {
            c->vreg[0][16] = 1;
        }
        g_assert_cmphex(xsave_inuse(c), ==, inuse);
        c->gpr[R_AX] = 7;
        c->gpr[R_DX] = 0;
        for (unsigned kind = 0; kind < 4; kind++) {
            bool compact = kind & 1;
            u64 want = compact && (t & 8) ? inuse | XC_SSE : inuse;
            memset(mem, 0x5a, AREA_SIZE);
            st64(mem + XSAVE_HEADER, 0x100);
            g_assert_cmpint(try(help_xsave, AREA, 8, kind), ==, -1);
            g_assert_cmphex(ld64(mem + XSAVE_HEADER), ==, compact ? want : want | 0x100);
            g_assert_cmphex(mem[FX_ST], ==, kind && !(want & XC_X87) ? 0x5a : 0);
            g_assert_cmphex(mem[FX_XMM], ==, kind && !(want & XC_SSE) ? 0x5a : 0);
            g_assert_cmphex(mem[XSAVE_EXT + 20], ==, kind && !(want & XC_AVX) ? 0x5a : 0);
            g_assert_cmphex(ld32(mem + FX_MXCSR), ==, compact && !(want & XC_SSE) ? 0x5a5a5a5a : c->mxcsr);
        }
    }
}

static void test_restore(void)
{
    for (unsigned t = 0; t < 600; t++) {
        struct native s, other;
        bool compact = t & 1;
        if (compact && !native_has(FEAT_XSAVEC)) {
            continue;
        }
        random_parts(&other);
        other.gpr[R_AX] = 7;
        memset(area, 0, AREA_SIZE);
        native_run(&other, saves[compact].bytes, 4);
        u64 bv = native_random() >> 20 & 7;
        st64(area + XSAVE_HEADER, bv);
        memset(area + FX_FOP, 0, FX_MXCSR - FX_FOP);
        u8 *mem = fake->ram + AREA;
        memcpy(mem, area, AREA_SIZE);
        random_parts(&s);
        to_guest(&s);
        fake->c->x87_fip = 77;
        native_run(&s, (const u8 *)"\x48\x0f\xae\x2b", 4); /* xrstor64 [rbx] */
        g_assert_cmpint(try(help_xrstor, AREA, 8, 0), ==, -1);
        char why[128];
        if (native_differs(&s, fake->c, why, sizeof(why))) {
            g_error("%s", why);
        }
        g_assert_cmphex(fake->c->x87_fip, ==, s.gpr[R_AX] & 1 ? 0 : 77);
    }
}

static void test_header(void)
{
    static const struct {
        u64 bv, comp;
        unsigned dirty; /* offset of a byte set in the header */
        int want, want_s; /* XRSTOR, XRSTORS */
    } cases[] = {
        { 7, 0, 0, -1, EXC_GP },
        { 8, 0, 0, EXC_GP, EXC_GP },
        { 7, 7, 0, EXC_GP, EXC_GP },
        { 7, 0, 16, EXC_GP, EXC_GP },
        { 7, 0, 24, -1, EXC_GP },
        { 3, BIT64(63) | 7, 0, -1, -1 },
        { 7, BIT64(63) | 3, 0, EXC_GP, EXC_GP },
        { 3, BIT64(63) | 11, 0, EXC_GP, EXC_GP },
        { 3, BIT64(63) | 7, 24, EXC_GP, EXC_GP },
        { 3, BIT64(63) | 7, 63, EXC_GP, EXC_GP },
    };
    struct cpu *c = fake->c;
    u8 *mem = fake->ram + AREA;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        memset(mem, 0, AREA_SIZE);
        st32(mem + FX_MXCSR, MXCSR_INIT);
        st64(mem + XSAVE_HEADER, cases[i].bv);
        st64(mem + XSAVE_HEADER + 8, cases[i].comp);
        if (cases[i].dirty) {
            mem[XSAVE_HEADER + cases[i].dirty] = 1;
        }
        c->gpr[R_AX] = 7;
        c->gpr[R_DX] = 0;
        g_assert_cmpint(try(help_xrstor, AREA, 8, 0), ==, cases[i].want);
        g_assert_cmpint(try(help_xrstor, AREA, 8, 3), ==, cases[i].want_s);
    }
}

static void test_faults(void)
{
    struct cpu *c = fake->c;
    u8 *mem = fake->ram + AREA;
    memset(mem, 0, AREA_SIZE);
    c->gpr[R_AX] = 7;
    c->gpr[R_DX] = 0;
    g_assert_cmpint(try(help_xsave, AREA + 16, 8, 0), ==, EXC_GP);
    g_assert_cmpint(try(help_xrstor, AREA + 16, 8, 0), ==, EXC_GP);
    st32(mem + FX_MXCSR, 0x10000);
    g_assert_cmpint(try(help_xrstor, AREA, 8, 0), ==, EXC_GP);
    st32(mem + FX_MXCSR, MXCSR_INIT);
    c->cr4 &= ~(u64)CR4_OSXSAVE;
    g_assert_cmpint(try(help_xsave, AREA, 8, 0), ==, EXC_UD);
    c->cr4 |= CR4_OSXSAVE;
    c->cr0 |= CR0_TS;
    g_assert_cmpint(try(help_xsave, AREA, 8, 0), ==, EXC_NM);
    c->cr0 &= ~(u64)CR0_TS;
    /* the AVX part lies in a page that is not there: nothing has changed */
    fake_cpu_map(fake, AREA + 0x1000, 0);
    gla_t at = AREA + 0x1000 - XSAVE_EXT;
    memset(fake->ram + at, 0, XSAVE_EXT);
    st32(fake->ram + at + FX_MXCSR, MXCSR_INIT);
    st64(fake->ram + at + XSAVE_HEADER, 7);
    memset(c->vreg, 0x11, sizeof(c->vreg));
    g_assert_cmpint(try(help_xrstor, at, 8, 0), ==, EXC_PF);
    g_assert_cmphex(c->cr2, ==, AREA + 0x1000);
    g_assert_cmphex(c->vreg[0][0], ==, 0x11);
    fake_cpu_map(fake, AREA + 0x1000, 7);
}

static void test_pkru(void)
{
    struct cpu *c = fake->c;
    u8 *mem = fake->ram + AREA;
    struct xsave_component x = xsave_component(9);
    memset(mem, 0, 4096);
    c->xcr0 = XC_ALL;
    c->pkru = 0x55555550;
    c->gpr[R_AX] = XC_PKRU;
    g_assert_cmpint(try(help_xsave, AREA, 8, 0), ==, -1);
    g_assert_cmphex(ld64(mem + XSAVE_HEADER), ==, XC_PKRU);
    g_assert_cmphex(ld64(mem + x.offset), ==, 0x55555550);
    g_assert_cmpint(try(help_xsave, AREA, 8, 1), ==, -1);
    g_assert_cmphex(ld64(mem + XSAVE_EXT), ==, 0x55555550);
    g_assert_cmphex(ld64(mem + XSAVE_HEADER + 8), ==, BIT64(63) | XC_PKRU);
    c->pkru = 0;
    g_assert_cmpint(try(help_xrstor, AREA, 8, 0), ==, -1);
    g_assert_cmphex(c->pkru, ==, 0x55555550);
    g_assert_cmphex(c->tlb.regs.pkru, ==, 0x55555550);
    st64(mem + XSAVE_HEADER, 0);
    g_assert_cmpint(try(help_xrstor, AREA, 8, 0), ==, -1);
    g_assert_cmphex(c->pkru, ==, 0);
    c->xcr0 = 7;
}

static void test_avx512_32(struct cpu *c, u8 *mem)
{
    u32 mode = c->mode;
    c->mode = (mode & ~(u32)MODE_SIZE) | MODE_32;
    memset(c->vreg, 0x22, sizeof(c->vreg));
    memset(mem, 0x5a, 4096);
    memset(mem, 0, XSAVE_EXT);
    g_assert_cmpint(try(help_xsave, AREA, 4, 0), ==, -1);
    g_assert_cmphex(mem[xsave_component(6).offset + 7 * 32], ==, 0x22);
    g_assert_cmphex(mem[xsave_component(6).offset + 8 * 32], ==, 0x5a);
    g_assert_cmphex(mem[xsave_component(7).offset], ==, 0x5a);
    st64(mem + XSAVE_HEADER, 0);
    g_assert_cmpint(try(help_xrstor, AREA, 4, 0), ==, -1);
    g_assert_cmphex(c->vreg[7][32], ==, 0);
    g_assert_cmphex(c->vreg[8][32], ==, 0x22);
    g_assert_cmphex(c->vreg[16][0], ==, 0x22);
    g_assert_cmpuint(c->zmm_live, ==, 1);
    c->mode = mode;
}

/* The three components of AVX-512: XINUSE, both formats, zmm_live, and what 32-bit code does not reach. */
static void test_avx512(void)
{
    static const u64 parts[] = { XC_K, XC_ZMM_HI, XC_ZMM16 };
    struct cpu *c = fake->c;
    u8 *mem = fake->ram + AREA;
    c->xcr0 = XC_ALL;
    c->pkru = 0;
    for (unsigned set = 0; set < 8; set++) {
        u64 want = 0, found;
        memset(c->vreg, 0, sizeof(c->vreg));
        memset(c->kreg, 0, sizeof(c->kreg));
        for (unsigned i = 0; i < 3; i++)
            want |= set >> i & 1 ? parts[i] : 0;
        if (want & XC_K)
            c->kreg[7] = 0x1234567890;
        if (want & XC_ZMM_HI)
            st64(c->vreg[15] + 56, 0x77);
        if (want & XC_ZMM16)
            st64(c->vreg[31], 0x88);
        cpu_zmm_update(c);
        g_assert_cmpuint(c->zmm_live, ==, want != 0);
        g_assert_cmphex(xsave_inuse(c) & XC_AVX512, ==, want);
        c->gpr[R_AX] = XC_AVX512;
        for (unsigned kind = 0; kind < 2; kind++) {
            memset(mem, 0, 4096);
            g_assert_cmpint(try(help_xsave, AREA, 8, kind), ==, -1);
            found = ld64(mem + XSAVE_HEADER);
            g_assert_cmphex(found, ==, want);
            unsigned k = kind ? XSAVE_EXT : xsave_component(5).offset, hi = kind ? XSAVE_EXT + 64 : xsave_component(6).offset;
            unsigned z16 = kind ? XSAVE_EXT + 64 + 512 : xsave_component(7).offset;
            g_assert_cmphex(ld64(mem + k + 56), ==, want & XC_K ? 0x1234567890 : 0);
            g_assert_cmphex(ld64(mem + hi + 15 * 32 + 24), ==, want & XC_ZMM_HI ? 0x77 : 0);
            g_assert_cmphex(ld64(mem + z16 + 15 * 64), ==, want & XC_ZMM16 ? 0x88 : 0);
            memset(c->vreg, 0x11, sizeof(c->vreg));
            memset(c->kreg, 0x11, sizeof(c->kreg));
            c->zmm_live = 1;
            g_assert_cmpint(try(help_xrstor, AREA, 8, 0), ==, -1);
            g_assert_cmphex(c->kreg[7], ==, want & XC_K ? 0x1234567890 : 0);
            g_assert_cmphex(ld64(c->vreg[15] + 56), ==, want & XC_ZMM_HI ? 0x77 : 0);
            g_assert_cmphex(ld64(c->vreg[31]), ==, want & XC_ZMM16 ? 0x88 : 0);
            g_assert_cmphex(ld64(c->vreg[15] + 24), ==, 0x1111111111111111);
            g_assert_cmpuint(c->zmm_live, ==, want != 0);
        }
    }
    test_avx512_32(c, mem);
    c->xcr0 = 7;
}

static void test_layout(void)
{
    g_assert_cmpuint(xsave_size(3), ==, 576);
    g_assert_cmpuint(xsave_size(7), ==, 832);
    g_assert_cmpuint(xsave_compact_size(7), ==, 832);
    g_assert_cmpuint(xsave_compact_size(XC_ALL & ~XC_AVX512), ==, 840);
    g_assert_cmpuint(xsave_compact_size(XC_ALL), ==, 840 + 64 + 512 + 1024);
    g_assert_cmpuint(xsave_compact_size(3 | XC_PKRU), ==, 584);
    g_assert_cmpuint(xsave_size(XC_ALL), ==, xsave_component(9).offset + 8);
    g_assert_cmpuint(xsave_component(3).size, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fake = fake_cpu_new(64, NULL);
    memset(model.feat, 0xff, sizeof(model.feat));
    fake->c->model = &model;
    fake->c->cr4 |= CR4_OSXSAVE | CR4_OSFXSR;
    fake->c->xcr0 = 7;
    if (native_has(FEAT_AVX)) {
        g_test_add_func("/xsave/save", test_save);
        g_test_add_func("/xsave/restore", test_restore);
    }
    g_test_add_func("/xsave/init-optimisation", test_init_optimisation);
    g_test_add_func("/xsave/header", test_header);
    g_test_add_func("/xsave/faults", test_faults);
    g_test_add_func("/xsave/pkru", test_pkru);
    g_test_add_func("/xsave/avx512", test_avx512);
    g_test_add_func("/xsave/layout", test_layout);
    return g_test_run();
}
