/* The x87 state's way into the host FPU and back, its pointers, and what carried x87 instructions do around the host's. Test thread. */
#include "cpu/help/x87.h"
#include <glib.h>
#include "cpu/fault.h"
#include "cpu/ir/interp.h"
#include "cpu/lift/lift.h"
#include "cpu/platform.h"
#include "tests/lib/fake_cpu.h"
#include "tests/lib/native.h"

static struct fake_cpu *fake;
static unsigned ferr_calls;

struct code {
    const char *bytes;
    unsigned n;
};

static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    const struct code *k = opaque;
    unsigned have = pc >= k->n ? 0 : MIN_OF(n, k->n - (unsigned)pc);
    memcpy(buf, k->bytes + pc, have);
    return (int)have;
}

static void run(struct cpu *c, void *opaque)
{
    static struct ir_block b;
    struct code *k = opaque;
    for (c->rip = 0; c->rip < k->n;) { /* blocks of one instruction: a fault finds rip at it */
        g_assert_cmpint(lift_block(&b, c, c->rip, 1, fetch, k), ==, 1);
        ir_interp(c, &b);
    }
}

/* Vector of the exception, or -1. */
#define TRY(literal) fake_cpu_try(fake, run, &(struct code){ literal, sizeof(literal) - 1 })

static void test_round_trip(void)
{
    for (unsigned t = 0; t < 50; t++) {
        struct native s;
        struct cpu *c = fake->c;
        char why[128];
        u32 before, after;
        native_random_state(&s);
        native_to_guest(&s, c);
        __asm__ volatile("stmxcsr %0" : "=m"(before));
        x87_load(c);
        g_assert_cmpuint(c->x87_live, ==, 1);
        memset(c->fx, 0xee, sizeof(c->fx));
        x87_load(c); /* no-op */
        x87_sync(c);
        __asm__ volatile("stmxcsr %0" : "=m"(after));
        g_assert_cmpuint(c->x87_live, ==, 0);
        g_assert_false(native_differs(&s, c, why, sizeof(why)));
        g_assert_cmphex(before, ==, after);
        u16 fcw;
        __asm__ volatile("fnstcw %0" : "=m"(fcw));
        g_assert_cmphex(fcw, ==, 0x37f); /* the host's FPU is clean */
    }
}

static void test_init(void)
{
    struct cpu *c = fake->c;
    x87_load(c);
    c->x87_fip = c->x87_fdp = c->x87_fop = 5;
    x87_init(c);
    x87_sync(c);
    g_assert_cmphex(ld64(c->fx), ==, 0x37f);
    g_assert_cmphex(ld64(c->fx + FX_FIP) | ld64(c->fx + FX_FDP), ==, 0);
    g_assert_cmphex(x87_tag_word(c), ==, 0xffff);
}

static void test_tag_word(void)
{
    struct cpu *c = fake->c;
    x87_init(c);
    g_assert_cmpint(TRY("\xd9\xee\xd9\xe8"), ==, -1); /* fldz; fld1: physical 7 is 0, 6 is 1 */
    x87_sync(c);
    g_assert_cmphex(x87_tag_word(c), ==, 0x4fff);
    g_assert_cmphex(x87_abridge(0x4fff), ==, 0xc0);
    x87_set_top(c, 0);
    g_assert_cmphex(x87_tag_word(c), ==, 0x4fff); /* physical registers stay */
    st16(c->fx + FX_ST + 16 * 7 + 8, 0x7fff);
    g_assert_cmphex(x87_tag_word(c), ==, 0x8fff);
}

static void test_pointers(void)
{
    struct cpu *c = fake->c;
    x87_init(c);
    c->gpr[R_BX] = 0x8000;
    memset(fake->ram + 0x8000, 0, 64);
    g_assert_cmpint(TRY("\xd9\xe8\xd8\x43\x10\xd9\x7b\x20"), ==, -1); /* fld1; fadd dword [rbx + 16]; fnstcw [rbx + 32] */
    g_assert_cmphex(c->x87_fip, ==, 2);
    g_assert_cmphex(c->x87_fdp, ==, 0x8010);
    g_assert_cmphex(c->x87_fop, ==, 0x043);
    x87_sync(c);
    g_assert_cmphex(ld64(c->fx + FX_FIP), ==, 2);
    g_assert_cmphex(ld64(c->fx + FX_FDP), ==, 0x8010);
    g_assert_cmphex(ld16(c->fx + FX_FOP), ==, 0x043);
    g_assert_cmpint(TRY("\xdb\xe3"), ==, -1); /* fninit */
    g_assert_cmphex(c->x87_fip | c->x87_fdp | c->x87_fop, ==, 0);
}

/* A store that an unmasked exception prevents leaves memory alone, also where the interpreter has to go through a buffer. */
static void test_no_store(void)
{
    struct cpu *c = fake->c;
    static const u16 where[] = { 0x8100, 0x8ffc };
    c->cr0 |= CR0_NE;
    for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
        u8 *mem = fake->ram + where[i];
        c->gpr[R_BX] = where[i];
        memset(mem, 0x5a, 8);
        x87_init(c);
        g_assert_cmpint(TRY("\xd9\xe8\xdd\x1b"), ==, -1); /* fld1; fstp qword [rbx] */
        g_assert_cmphex(ld64(mem), ==, 0x3ff0000000000000);
        memset(mem, 0x5a, 8);
        x87_init(c);
        st16(c->fx + FX_FCW, 0x37e); /* invalid operation unmasked; the stack is empty */
        g_assert_cmpint(TRY("\xdd\x1b"), ==, -1);
        g_assert_cmphex(ld64(mem), ==, 0x5a5a5a5a5a5a5a5a);
        g_assert_cmpint(TRY("\xdd\x3b"), ==, -1); /* fnstsw [rbx] stores in any case */
        g_assert_cmphex(ld16(mem) & 0x80c1, ==, 0x80c1);
    }
    x87_init(c);
}

static void test_mode(void)
{
    static const struct {
        const char *bytes;
        u8 n;
        int em, ts, ts_mp; /* with CR0.EM, CR0.TS, CR0.TS and MP */
    } cases[] = {
        { "\xd9\xe8", 2, EXC_NM, EXC_NM, EXC_NM },         /* fld1 */
        { "\x9b", 1, -1, -1, EXC_NM },                     /* fwait */
        { "\xdb\xe3", 2, EXC_NM, EXC_NM, EXC_NM },         /* fninit */
        { "\x0f\x77", 2, EXC_UD, EXC_NM, EXC_NM },         /* emms */
        { "\x0f\x58\xc1", 3, EXC_UD, EXC_NM, EXC_NM },     /* addps */
        { "\x0f\x2a\xc1", 3, EXC_UD, EXC_NM, EXC_NM },     /* cvtpi2ps */
        { "\xc5\xf0\x58\xc1", 4, -1, EXC_NM, EXC_NM },     /* vaddps */
        { "\x0f\xae\x13", 3, EXC_UD, EXC_NM, EXC_NM },     /* ldmxcsr */
    };
    struct cpu *c = fake->c;
    u64 cr0 = c->cr0;
    u32 mode = c->mode;
    c->gpr[R_BX] = 0x8000;
    st32(fake->ram + 0x8000, MXCSR_INIT);
    c->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    c->xcr0 = 7;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct code k = { cases[i].bytes, cases[i].n };
        x87_init(c);
        c->cr0 = cr0 | CR0_EM;
        c->mode = mode | MODE_FPU_NM | MODE_SSE_BAD;
        g_assert_cmpint(fake_cpu_try(fake, run, &k), ==, cases[i].em);
        c->cr0 = cr0 | CR0_TS;
        c->mode |= MODE_AVX_BAD;
        g_assert_cmpint(fake_cpu_try(fake, run, &k), ==, cases[i].ts);
        c->cr0 |= CR0_MP;
        g_assert_cmpint(fake_cpu_try(fake, run, &k), ==, cases[i].ts_mp);
    }
    c->cr0 = cr0;
    c->mode = mode;
}

static void count_ferr(struct cpu *c)
{
    ferr_calls++;
}

static void raise_mf(struct cpu *c, void *opaque)
{
    x87_raise_mf(c);
}

static void test_ferr(void)
{
    struct cpu *c = fake->c;
    const struct cpu_platform *plat = c->plat;
    struct cpu_platform mine = *plat;
    mine.ferr = count_ferr;
    c->plat = &mine;
    c->cr0 |= CR0_NE;
    c->fault.vector = 0;
    g_assert_cmpint(fake_cpu_try(fake, raise_mf, NULL), ==, EXC_MF);
    g_assert_cmpuint(ferr_calls, ==, 0);
    c->cr0 &= ~(u64)CR0_NE;
    fake_cpu_try(fake, raise_mf, NULL);
    g_assert_cmpuint(ferr_calls, ==, 1);
    c->plat = plat;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    fake = fake_cpu_new(64, NULL);
    if (native_has(FEAT_AVX)) {
        g_test_add_func("/x87/round-trip", test_round_trip);
    }
    g_test_add_func("/x87/init", test_init);
    g_test_add_func("/x87/tag-word", test_tag_word);
    g_test_add_func("/x87/pointers", test_pointers);
    g_test_add_func("/x87/no-store", test_no_store);
    g_test_add_func("/x87/mode", test_mode);
    g_test_add_func("/x87/ferr", test_ferr);
    return g_test_run();
}
