/* FXSAVE, FXRSTOR and the x87 environment in memory against the host; #NM, #UD and #GP of the environment. Test thread. */
#include <glib.h>
#include "cpu/help/help.h"
#include "cpu/help/x87.h"
#include "cpu/help/xsave.h"
#include "tests/lib/fake_cpu.h"
#include "tests/lib/native.h"

#define AREA 0x8000

static struct fake_cpu *fake, *fake32;

struct call {
    help_fn *fn;
    u64 a, b, d;
};

static void call_fn(struct cpu *c, void *opaque)
{
    const struct call *k = opaque;
    k->fn(c, k->a, k->b, k->d);
}

/* Vector of the exception, or -1. */
static int try(struct fake_cpu *f, help_fn *fn, u64 a, u64 b, u64 d)
{
    return fake_cpu_try(f, call_fn, &(struct call){ fn, a, b, d });
}

static void assert_same(const struct native *s, struct cpu *c)
{
    char why[128];
    if (native_differs(s, c, why, sizeof(why))) {
        g_error("%s", why);
    }
}

/* s with rbx at a 4 KiB buffer for native instructions with [rbx]. */
static u8 *native_area(struct native *s)
{
    static u8 area[4096] __attribute__((aligned(64)));
    s->gpr[R_BX] = (u64)area;
    return area;
}

static void test_fxsave(void)
{
    for (unsigned t = 0; t < 50; t++) {
        struct native s;
        struct cpu *c = fake->c;
        native_random_state(&s);
        u8 *area = native_area(&s), *mem = fake->ram + AREA;
        native_to_guest(&s, c);
        c->x87_fip = 0x123456789abc;
        c->x87_fdp = 0xfedcba987654;
        c->x87_fop = 0x7a5;
        memset(area, 0x5a, 512);
        memset(mem, 0x5a, 512);
        native_run(&s, (const u8 *)"\x48\x0f\xae\x03", 4); /* fxsave64 [rbx] */
        g_assert_cmpint(try(fake, help_fxsave, AREA, 8, 0), ==, -1);
        g_assert_cmpmem(mem, FX_FOP, area, FX_FOP);
        g_assert_cmphex(ld64(mem + FX_FIP), ==, 0x123456789abc);
        g_assert_cmphex(ld64(mem + FX_FDP), ==, 0xfedcba987654);
        g_assert_cmphex(ld16(mem + FX_FOP), ==, 0x7a5);
        g_assert_cmphex(ld32(mem + FX_MXCSR_MASK), ==, 0xffff);
        st32(area + FX_MXCSR_MASK, 0xffff);
        g_assert_cmpmem(mem + FX_MXCSR, 512 - FX_MXCSR, area + FX_MXCSR, 512 - FX_MXCSR);
        g_assert_cmpint(try(fake, help_fxsave, AREA, 4, 0), ==, -1); /* 32-bit pointers, selectors 0 */
        g_assert_cmphex(ld64(mem + FX_FIP), ==, 0x56789abc);
        g_assert_cmphex(ld64(mem + FX_FDP), ==, 0xba987654);
    }
}

static void test_fxrstor(void)
{
    for (unsigned t = 0; t < 50; t++) {
        struct native s, other;
        struct cpu *c = fake->c;
        native_random_state(&s);
        native_random_state(&other);
        u8 *area = native_area(&s), *mem = fake->ram + AREA;
        memcpy(area, other.fx, 512);
        memcpy(mem, other.fx, 512);
        native_to_guest(&s, c);
        if (t & 1) {
            x87_load(c);
            x87_sync(c);
        }
        native_run(&s, (const u8 *)"\x48\x0f\xae\x0b", 4); /* fxrstor64 [rbx] */
        g_assert_cmpint(try(fake, help_fxrstor, AREA, 8, 0), ==, -1);
        assert_same(&s, c);
    }
}

static void test_fx_faults(void)
{
    struct cpu *c = fake->c;
    u8 *mem = fake->ram + AREA;
    memset(mem, 0, 512);
    st32(mem + FX_MXCSR, 0x10000);
    g_assert_cmpint(try(fake, help_fxrstor, AREA, 8, 0), ==, EXC_GP);
    st32(mem + FX_MXCSR, 0x1f80);
    g_assert_cmpint(try(fake, help_fxrstor, AREA + 8, 8, 0), ==, EXC_GP);
    g_assert_cmpint(try(fake, help_fxsave, AREA + 8, 8, 0), ==, EXC_GP);
    c->cr0 |= CR0_TS;
    g_assert_cmpint(try(fake, help_fxsave, AREA + 8, 8, 0), ==, EXC_NM);
    c->cr0 &= ~(u64)CR0_TS;
    fake_cpu_map(fake, AREA + 0x1000, 0);
    g_assert_cmpint(try(fake, help_fxrstor, AREA + 0xf00, 8, 0), ==, EXC_PF);
    g_assert_cmphex(c->cr2, ==, AREA + 0x1000);
    fake_cpu_map(fake, AREA + 0x1000, 7);
    g_assert_cmpint(try(fake, help_ldmxcsr, 0x10000, 0, 0), ==, EXC_GP);
    g_assert_cmpint(try(fake, help_ldmxcsr, 0xffff, 0, 0), ==, -1);
    g_assert_cmphex(c->mxcsr, ==, 0xffff);
    g_assert_cmpint(try(fake, help_ldmxcsr, 0x1f80, 0, 0), ==, -1);
}

/* FNSTENV, FNSAVE, FLDENV and FRSTOR, both sizes: image and state after it. */
static void test_environment(void)
{
    static const struct {
        u8 bytes[3];
        u8 n, kind, osize;
    } forms[] = {
        { { 0xd9, 0x33 }, 2, 1, 4 }, { { 0x66, 0xd9, 0x33 }, 3, 1, 2 }, { { 0xdd, 0x33 }, 2, 3, 4 }, { { 0x66, 0xdd, 0x33 }, 3, 3, 2 },
        { { 0xd9, 0x23 }, 2, 0, 4 }, { { 0x66, 0xd9, 0x23 }, 3, 0, 2 }, { { 0xdd, 0x23 }, 2, 2, 4 }, { { 0x66, 0xdd, 0x23 }, 3, 2, 2 },
    };
    for (unsigned t = 0; t < 400; t++) {
        unsigned i = t % ARRAY_LEN(forms), size = forms[i].osize;
        struct native s, other;
        struct cpu *c = fake->c;
        native_random_state(&s);
        native_random_state(&other);
        if (t / 8 % 2) { /* special values for the tag word */
            memset(s.fx + FX_ST, 0, 10);
            st16(s.fx + FX_ST + 16 + 8, 0x7fff);
            st64(s.fx + FX_ST + 32, 1);
            st16(s.fx + FX_ST + 48 + 8, 0);
        }
        u8 *area = native_area(&s), *mem = fake->ram + AREA;
        memset(area, 0x5a, 128);
        if (!(forms[i].kind & 1)) { /* loads: the image of another state */
            u64 rbx = s.gpr[R_BX];
            other.gpr[R_BX] = rbx;
            native_run(&other, size == 4 ? (const u8 *)"\xdd\x33" : (const u8 *)"\x66\xdd\x33", size == 4 ? 2 : 3);
        }
        memcpy(mem, area, 128);
        native_to_guest(&s, c);
        native_run(&s, forms[i].bytes, forms[i].n);
        g_assert_cmpint(try(fake, help_x87_env, forms[i].kind, AREA, size), ==, -1);
        assert_same(&s, c);
        if (forms[i].kind & 1) { /* all but the pointers */
            g_assert_cmpmem(mem, 3 * size, area, 3 * size);
            g_assert_cmpmem(mem + 7 * size, 128 - 7 * size, area + 7 * size, 128 - 7 * size);
        }
    }
}

static void test_environment_pointers(void)
{
    struct cpu *c = fake32->c;
    u8 *mem = fake32->ram + AREA;
    x87_init(c);
    c->x87_fip = 0x12345678;
    c->x87_fdp = 0x9abcdef0;
    c->x87_fop = 0x6f1;
    g_assert_cmpint(try(fake32, help_x87_env, 1, AREA, 4), ==, -1);
    static const u32 protected32[] = { 0xffff037f, 0xffff0000, 0xffffffff, 0x12345678, 0x06f10000, 0x9abcdef0, 0xffff0000 };
    g_assert_cmpmem(mem, 28, protected32, 28);
    c->x87_fip = c->x87_fdp = c->x87_fop = 0;
    g_assert_cmpint(try(fake32, help_x87_env, 0, AREA, 4), ==, -1);
    g_assert_cmphex(c->x87_fip, ==, 0x12345678);
    g_assert_cmphex(c->x87_fdp, ==, 0x9abcdef0);
    g_assert_cmphex(c->x87_fop, ==, 0x6f1);
    u32 mode = c->mode;
    c->mode &= ~(u32)MODE_PE; /* the real-mode format has linear addresses */
    c->x87_fip = 0x45678;
    c->x87_fdp = 0x89abc;
    g_assert_cmpint(try(fake32, help_x87_env, 1, AREA, 2), ==, -1);
    static const u16 real16[] = { 0x37f, 0, 0xffff, 0x5678, 0x46f1, 0x9abc, 0x8000 };
    g_assert_cmpmem(mem, 14, real16, 14);
    c->mode = mode;
}

/* FLDENV and FRSTOR wait, FNSTENV and FNSAVE do not. */
static void test_environment_pending(void)
{
    struct cpu *c = fake->c;
    x87_init(c);
    c->cr0 |= CR0_NE;
    st16(c->fx + FX_FCW, 0x37b);
    st16(c->fx + FX_FSW, 0x8084);
    memset(fake->ram + AREA, 0, 128);
    g_assert_cmpint(try(fake, help_x87_env, 0, AREA, 4), ==, EXC_MF);
    g_assert_cmpint(try(fake, help_x87_env, 2, AREA, 4), ==, EXC_MF);
    g_assert_cmpint(try(fake, help_x87_env, 1, AREA, 4), ==, -1);
    g_assert_cmphex(ld16(c->fx + FX_FSW), ==, 4); /* masked now */
    g_assert_cmphex(ld16(fake->ram + AREA + 4), ==, 0x8084);
}

static void test_check(void)
{
    struct cpu *c = fake->c;
    enum { X87, MMX, SSE, AVX, FWAIT };
    static const struct {
        u32 cr0, cr4;
        u64 xcr0;
        int want[5];
    } cases[] = {
        { 0, CR4_OSFXSR | CR4_OSXSAVE, 7, { -1, -1, -1, -1, -1 } },
        { CR0_EM, CR4_OSFXSR | CR4_OSXSAVE, 7, { EXC_NM, EXC_UD, EXC_UD, -1, -1 } },
        { CR0_TS, CR4_OSFXSR | CR4_OSXSAVE, 7, { EXC_NM, EXC_NM, EXC_NM, EXC_NM, -1 } },
        { CR0_TS | CR0_MP, CR4_OSFXSR | CR4_OSXSAVE, 7, { EXC_NM, EXC_NM, EXC_NM, EXC_NM, EXC_NM } },
        { CR0_TS | CR0_EM, CR4_OSFXSR | CR4_OSXSAVE, 7, { EXC_NM, EXC_UD, EXC_UD, EXC_NM, -1 } },
        { CR0_TS, 0, 7, { EXC_NM, EXC_NM, EXC_UD, EXC_UD, -1 } },
        { 0, CR4_OSFXSR | CR4_OSXSAVE, 3, { -1, -1, -1, EXC_UD, -1 } },
    };
    u64 cr0 = c->cr0, cr4 = c->cr4;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        c->cr0 = (cr0 & ~(u64)(CR0_EM | CR0_TS | CR0_MP)) | cases[i].cr0;
        c->cr4 = cases[i].cr4;
        c->xcr0 = cases[i].xcr0;
        for (unsigned k = 0; k < 5; k++) {
            g_assert_cmpint(try(fake, help_fpu_check, k, 0, 0), ==, cases[i].want[k]);
        }
    }
    c->cr0 = cr0;
    c->cr4 = cr4;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fake = fake_cpu_new(64, NULL);
    fake32 = fake_cpu_new(32, NULL);
    if (native_has(FEAT_AVX)) {
        g_test_add_func("/fpu/fxsave", test_fxsave);
        g_test_add_func("/fpu/fxrstor", test_fxrstor);
        g_test_add_func("/fpu/environment", test_environment);
    }
    g_test_add_func("/fpu/fx-faults", test_fx_faults);
    g_test_add_func("/fpu/environment-pointers", test_environment_pointers);
    g_test_add_func("/fpu/environment-pending", test_environment_pending);
    g_test_add_func("/fpu/check", test_check);
    return g_test_run();
}
