/* Masked moves and gathers through lifter and interpreter against the host, and their faults element by element. Test thread. */
#include "cpu/help/simd.h"
#include <glib.h>
#include "cpu/help/x87.h"
#include "cpu/ir/interp.h"
#include "cpu/lift/lift.h"
#include "tests/lib/fake_cpu.h"
#include "tests/lib/native.h"

#define BASE 0x8800 /* in the middle of a page */
#define AREA 0x8000
#define AREA_SIZE 4096

static struct fake_cpu *fake;
static u8 area[AREA_SIZE] __attribute__((aligned(64)));

struct code {
    u8 b[16];
    unsigned n;
};

static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    const struct code *k = opaque;
    unsigned have = pc >= k->n ? 0 : MIN_OF(n, k->n - (unsigned)pc);
    memcpy(buf, k->b + pc, have);
    return (int)have;
}

static void run(struct cpu *c, void *opaque)
{
    static struct ir_block b;
    c->rip = 0;
    g_assert_cmpint(lift_block(&b, c, 0, 1, fetch, opaque), ==, 1);
    ir_interp(c, &b);
}

/* Vector of the exception, or -1. */
static int try(struct code *k)
{
    return fake_cpu_try(fake, run, k);
}

static struct code vex2(unsigned op, unsigned w, unsigned l, unsigned reg, unsigned vvvv, unsigned modrm, int sib)
{
    struct code k = { { 0xc4, (u8)((reg < 8) << 7 | 0x62), (u8)(w << 7 | (~vvvv & 15) << 3 | l << 2 | 1), (u8)op,
                        (u8)((reg & 7) << 3 | modrm) }, 5 };
    if (sib >= 0) {
        k.b[k.n++] = (u8)sib;
    }
    return k;
}

static void random_state(struct native *s)
{
    native_random_state(s);
    for (unsigned i = 0; i < AREA_SIZE; i++) {
        area[i] = (u8)(native_random() >> 30);
    }
    memcpy(fake->ram + AREA, area, AREA_SIZE);
    s->gpr[R_BX] = (u64)area + (BASE - AREA);
}

static void assert_same(const struct native *s)
{
    char why[128];
    struct cpu *c = fake->c;
    c->gpr[R_BX] = s->gpr[R_BX];
    if (native_differs(s, c, why, sizeof(why))) {
        g_error("%s", why);
    }
    g_assert_cmpmem(fake->ram + AREA, AREA_SIZE, area, AREA_SIZE);
}

/* Index elements within +-100. */
static void small_indices(u8 *v, unsigned size)
{
    for (unsigned i = 0; i < 32; i += size) {
        i64 x = (i64)(native_random() >> 20 & 0xff) % 201 - 100;
        memcpy(v + i, &x, size);
    }
}

static void test_gather(void)
{
    for (unsigned t = 0; t < 800; t++) {
        struct native s;
        struct cpu *c = fake->c;
        unsigned op = 0x90 + (t & 3), w = t >> 2 & 1, l = t >> 3 & 1, scale = t >> 4 & 3, index = t & 64 ? 4 : 6;
        random_state(&s);
        small_indices(s.ymm[index], op & 1 ? 8 : 4);
        struct code k = vex2(op, w, l, 9, 5, 4, (int)(scale << 6 | index << 3 | R_BX)); /* ymm9, [rbx + index], ymm5 */
        native_to_guest(&s, c);
        c->gpr[R_BX] = BASE;
        g_assert_cmpint(try(&k), ==, -1);
        g_assert_cmphex(c->rip, ==, 6);
        native_run(&s, k.b, k.n);
        assert_same(&s);
    }
}

static void test_gather_fault(void)
{
    struct native s;
    struct cpu *c = fake->c;
    random_state(&s);
    struct code k = vex2(0x90, 0, 1, 1, 3, 4, 0 << 6 | 2 << 3 | R_BX); /* vpgatherdd ymm1, [rbx + ymm2], ymm3 */
    static const i32 index[8] = { 0, 4, 0x1000, 8, 12, 16, 0x1004, 20 };
    memcpy(s.ymm[2], index, 32);
    memset(s.ymm[3], 0x80, 32);
    native_to_guest(&s, c);
    c->gpr[R_BX] = BASE;
    fake_cpu_map(fake, BASE + 0x1000, 0);
    g_assert_cmpint(try(&k), ==, EXC_PF);
    g_assert_cmphex(c->cr2, ==, BASE + 0x1000);
    g_assert_cmphex(c->rip, ==, 0);
    g_assert_cmphex(ld64(c->vreg[1]), ==, ld64(fake->ram + BASE));    /* two are done */
    g_assert_cmphex(ld64(c->vreg[1] + 8), ==, ld64(s.ymm[1] + 8));    /* the rest as before */
    g_assert_cmphex(ld64(c->vreg[3]), ==, 0);
    g_assert_cmphex(ld64(c->vreg[3] + 8), ==, ~0ull);
    fake_cpu_map(fake, BASE + 0x1000, 7);
    g_assert_cmpint(try(&k), ==, -1);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmphex(ld32(c->vreg[1] + 4 * i), ==, ld32(fake->ram + BASE + index[i]));
    }
    g_assert_cmphex(ld64(c->vreg[3] + 24), ==, 0);
}

static void test_gather_ud(void)
{
    struct code same_mask = vex2(0x90, 0, 0, 1, 1, 4, 2 << 3 | R_BX), same_index = vex2(0x90, 0, 0, 2, 1, 4, 2 << 3 | R_BX);
    struct code mask_index = vex2(0x90, 0, 0, 1, 2, 4, 2 << 3 | R_BX), no_sib = vex2(0x90, 0, 0, 1, 2, 3, -1);
    g_assert_cmpint(try(&same_mask), ==, EXC_UD);
    g_assert_cmpint(try(&same_index), ==, EXC_UD);
    g_assert_cmpint(try(&mask_index), ==, EXC_UD);
    g_assert_cmpint(try(&no_sib), ==, EXC_UD);
}

/* opcode, W of the masked moves; the store is two further. */
static const struct {
    u8 op, w, store;
} masked[] = { { 0x2c, 0, 0x2e }, { 0x2d, 0, 0x2f }, { 0x8c, 0, 0x8e }, { 0x8c, 1, 0x8e } };

static void test_vmaskmov(void)
{
    for (unsigned t = 0; t < 400; t++) {
        struct native s;
        struct cpu *c = fake->c;
        unsigned i = t & 3, l = t >> 2 & 1;
        random_state(&s);
        struct code k = vex2(t & 8 ? masked[i].store : masked[i].op, masked[i].w, l, 10, 12, R_BX, -1);
        native_to_guest(&s, c);
        c->gpr[R_BX] = BASE;
        g_assert_cmpint(try(&k), ==, -1);
        native_run(&s, k.b, k.n);
        assert_same(&s);
    }
}

/* Elements that are not selected may lie where no page is; selected ones fault before anything is written. */
static void test_vmaskmov_fault(void)
{
    struct native s;
    struct cpu *c = fake->c;
    struct code load = vex2(0x2c, 0, 1, 1, 2, R_BX, -1), store = vex2(0x2e, 0, 1, 1, 2, R_BX, -1);
    random_state(&s);
    memset(s.ymm[2], 0, 32);
    s.ymm[2][3] = s.ymm[2][7] = s.ymm[2][11] = s.ymm[2][15] = 0x80;
    native_to_guest(&s, c);
    c->gpr[R_BX] = AREA + 0x1000 - 16;
    fake_cpu_map(fake, AREA + 0x1000, 0);
    g_assert_cmpint(try(&store), ==, -1);
    g_assert_cmpmem(fake->ram + AREA + 0x1000 - 16, 16, s.ymm[1], 16);
    g_assert_cmpint(try(&load), ==, -1);
    g_assert_cmpmem(c->vreg[1], 16, s.ymm[1], 16);
    g_assert_cmphex(ld64(c->vreg[1] + 16), ==, 0);
    memset(fake->ram + AREA + 0x1000 - 16, 0x5a, 16);
    c->vreg[2][19] = 0x80;
    g_assert_cmpint(try(&store), ==, EXC_PF);
    g_assert_cmphex(c->cr2, ==, AREA + 0x1000);
    g_assert_cmphex(ld64(fake->ram + AREA + 0x1000 - 16), ==, 0x5a5a5a5a5a5a5a5a);
    memcpy(c->vreg[1], s.ymm[1], 32);
    g_assert_cmpint(try(&load), ==, EXC_PF);
    g_assert_cmpmem(c->vreg[1], 32, s.ymm[1], 32);
    fake_cpu_map(fake, AREA + 0x1000, 7);
}

static void test_maskmov(void)
{
    for (unsigned t = 0; t < 200; t++) {
        static const struct code forms[] = {
            { { 0x66, 0x0f, 0xf7, 0xca }, 4 },             /* maskmovdqu xmm1, xmm2 */
            { { 0x0f, 0xf7, 0xe9 }, 3 },                   /* maskmovq mm5, mm1 */
            { { 0xc5, 0xf9, 0xf7, 0xca }, 4 },             /* vmaskmovdqu */
            { { 0x66, 0x45, 0x0f, 0xf7, 0xca }, 5 },       /* maskmovdqu xmm9, xmm10 */
        };
        struct native s;
        struct cpu *c = fake->c;
        struct code k = forms[t % ARRAY_LEN(forms)];
        random_state(&s);
        s.gpr[R_DI] = s.gpr[R_BX] + 3;
        native_to_guest(&s, c);
        c->gpr[R_DI] = BASE + 3;
        g_assert_cmpint(try(&k), ==, -1);
        native_run(&s, k.b, k.n);
        c->gpr[R_DI] = s.gpr[R_DI];
        assert_same(&s);
    }
}

static void test_pack(void)
{
    for (unsigned t = 0; t < 1000; t++) {
        u64 p = native_random() & 0xffffffff00f3ffff;
        g_assert_cmphex(vgather_pack(vgather_unpack(p)), ==, p);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    fake = fake_cpu_new(64, NULL);
    g_test_add_func("/simd/pack", test_pack);
    g_test_add_func("/simd/gather-ud", test_gather_ud);
    if (native_has(FEAT_AVX2)) {
        g_test_add_func("/simd/gather", test_gather);
        g_test_add_func("/simd/gather-fault", test_gather_fault);
        g_test_add_func("/simd/vmaskmov", test_vmaskmov);
        g_test_add_func("/simd/vmaskmov-fault", test_vmaskmov_fault);
        g_test_add_func("/simd/maskmov", test_maskmov);
    }
    return g_test_run();
}
