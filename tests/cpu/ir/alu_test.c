/* Tests of cpu/ir/alu.c: every operation and size against the host's own instruction. STRICT_FLAGS=1 also compares flags that the
 * manual leaves undefined. Run by `make check`. */
#include <glib.h>
#include <setjmp.h>
#include <signal.h>
#include "cpu/ir/alu.h"

#define ALL_FLAGS (F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF)

/* --- the host's instructions --- */

/* d: destination, read where the instruction does; a: source register; b: in rCX. *fl: flags before and after. */
typedef u64 host_fn(u64 d, u64 a, u64 b, u64 *fl);

#define HOST(NAME, INS)                                                                                                   \
    static u64 NAME(u64 d, u64 a, u64 b, u64 *fl)                                                                         \
    {                                                                                                                     \
        u64 out;                                                                                                          \
        asm volatile("leaq -128(%%rsp), %%rsp\n pushq %[in]\n popfq\n " INS "\n pushfq\n popq %[out]\n leaq 128(%%rsp), %%rsp" \
                     : [d] "+&r"(d), [out] "=&r"(out) : [in] "r"(*fl | 2), [a] "r"(a), "c"(b) : "cc", "memory");           \
        *fl = out & ALL_FLAGS;                                                                                            \
        return d;                                                                                                         \
    }
#define HOST_DB(n) \
    HOST(n##1, #n "b %%cl, %b[d]") HOST(n##2, #n "w %%cx, %w[d]") HOST(n##4, #n "l %%ecx, %k[d]") HOST(n##8, #n "q %%rcx, %q[d]")
#define HOST_SHIFT(n) \
    HOST(n##1, #n "b %%cl, %b[d]") HOST(n##2, #n "w %%cl, %w[d]") HOST(n##4, #n "l %%cl, %k[d]") HOST(n##8, #n "q %%cl, %q[d]")
#define HOST_D(n) HOST(n##1, #n "b %b[d]") HOST(n##2, #n "w %w[d]") HOST(n##4, #n "l %k[d]") HOST(n##8, #n "q %q[d]")
#define HOST_DB248(n) HOST(n##2, #n "w %%cx, %w[d]") HOST(n##4, #n "l %%ecx, %k[d]") HOST(n##8, #n "q %%rcx, %q[d]")
#define HOST_A248(n) HOST(n##2, #n "w %w[a], %w[d]") HOST(n##4, #n "l %k[a], %k[d]") HOST(n##8, #n "q %q[a], %q[d]")
#define HOST_SHD(n) HOST(n##2, #n "w %%cl, %w[a], %w[d]") HOST(n##4, #n "l %%cl, %k[a], %k[d]") HOST(n##8, #n "q %%cl, %q[a], %q[d]")
#define HOST_A48(n) HOST(n##4, #n "l %k[a], %k[d]") HOST(n##8, #n "q %q[a], %q[d]")
#define HOST_AB48(n) HOST(n##4, #n "l %%ecx, %k[a], %k[d]") HOST(n##8, #n "q %%rcx, %q[a], %q[d]")

HOST_DB(add) HOST_DB(adc) HOST_DB(sub) HOST_DB(sbb) HOST_DB(and) HOST_DB(or) HOST_DB(xor) HOST_DB(cmp) HOST_DB(test)
HOST_D(inc) HOST_D(dec) HOST_D(neg) HOST_D(not)
HOST_SHIFT(shl) HOST_SHIFT(shr) HOST_SHIFT(sar) HOST_SHIFT(rol) HOST_SHIFT(ror) HOST_SHIFT(rcl) HOST_SHIFT(rcr)
HOST_SHD(shld) HOST_SHD(shrd)
HOST_DB248(bt) HOST_DB248(bts) HOST_DB248(btr) HOST_DB248(btc) HOST_DB248(imul)
HOST_A248(bsf) HOST_A248(bsr) HOST_A248(tzcnt) HOST_A248(lzcnt) HOST_A248(popcnt)
HOST_A48(blsi) HOST_A48(blsr) HOST_A48(blsmsk) HOST_A48(adcx) HOST_A48(adox)
HOST_AB48(bextr) HOST_AB48(bzhi) HOST_AB48(sarx) HOST_AB48(shlx) HOST_AB48(shrx)
HOST(andn4, "andnl %%ecx, %k[a], %k[d]") HOST(andn8, "andnq %%rcx, %q[a], %q[d]")
HOST(pdep4, "pdepl %%ecx, %k[a], %k[d]") HOST(pdep8, "pdepq %%rcx, %q[a], %q[d]")
HOST(pext4, "pextl %%ecx, %k[a], %k[d]") HOST(pext8, "pextq %%rcx, %q[a], %q[d]")
HOST(bswap4, "bswapl %k[d]") HOST(bswap8, "bswapq %q[d]")

enum form {
    FORM_DB,  /* d = op(d, b): IR d = op(a = d, b) */
    FORM_A,   /* d = op(a) */
    FORM_DA,  /* d = op(d, a): IR reads d and a */
    FORM_AB,  /* d = op(a, b) */
    FORM_SHD, /* d = op(d, fill a, count b) */
};
enum feature { ANY_CPU, BMI1, BMI2, LZCNT, POPCNT, ADX, FEATURES };
static bool have[FEATURES];

#define U_SHIFT BIT(31) /* undefined flags depend on the count */
struct host_op {
    enum ir_code code;
    enum form form;
    enum feature feature;
    u32 undef;
    host_fn *fn[4]; /* by log2 of the size */
};
#define B1248(n) { n##1, n##2, n##4, n##8 }
#define B248(n) { NULL, n##2, n##4, n##8 }
#define B48(n) { NULL, NULL, n##4, n##8 }
static const struct host_op host_ops[] = {
    { IR_ADD, FORM_DB, 0, 0, B1248(add) }, { IR_ADC, FORM_DB, 0, 0, B1248(adc) }, { IR_SUB, FORM_DB, 0, 0, B1248(sub) },
    { IR_SBB, FORM_DB, 0, 0, B1248(sbb) }, { IR_AND, FORM_DB, 0, F_AF, B1248(and) }, { IR_OR, FORM_DB, 0, F_AF, B1248(or) },
    { IR_XOR, FORM_DB, 0, F_AF, B1248(xor) }, { IR_CMP, FORM_DB, 0, 0, B1248(cmp) }, { IR_TEST, FORM_DB, 0, F_AF, B1248(test) },
    { IR_INC, FORM_DB, 0, 0, B1248(inc) }, { IR_DEC, FORM_DB, 0, 0, B1248(dec) }, { IR_NEG, FORM_DB, 0, 0, B1248(neg) },
    { IR_NOT, FORM_DB, 0, 0, B1248(not) },
    { IR_SHL, FORM_DB, 0, U_SHIFT | F_AF, B1248(shl) }, { IR_SHR, FORM_DB, 0, U_SHIFT | F_AF, B1248(shr) },
    { IR_SAR, FORM_DB, 0, U_SHIFT | F_AF, B1248(sar) }, { IR_ROL, FORM_DB, 0, U_SHIFT, B1248(rol) },
    { IR_ROR, FORM_DB, 0, U_SHIFT, B1248(ror) }, { IR_RCL, FORM_DB, 0, U_SHIFT, B1248(rcl) }, { IR_RCR, FORM_DB, 0, U_SHIFT, B1248(rcr) },
    { IR_SHLD, FORM_SHD, 0, U_SHIFT | F_AF, B248(shld) }, { IR_SHRD, FORM_SHD, 0, U_SHIFT | F_AF, B248(shrd) },
    { IR_BT, FORM_DB, 0, F_OF | F_SF | F_AF | F_PF, B248(bt) }, { IR_BTS, FORM_DB, 0, F_OF | F_SF | F_AF | F_PF, B248(bts) },
    { IR_BTR, FORM_DB, 0, F_OF | F_SF | F_AF | F_PF, B248(btr) }, { IR_BTC, FORM_DB, 0, F_OF | F_SF | F_AF | F_PF, B248(btc) },
    { IR_IMUL, FORM_DB, 0, F_SF | F_ZF | F_AF | F_PF, B248(imul) },
    { IR_BSF, FORM_A, 0, ALL_FLAGS & ~F_ZF, B248(bsf) }, { IR_BSR, FORM_A, 0, ALL_FLAGS & ~F_ZF, B248(bsr) },
    { IR_TZCNT, FORM_A, BMI1, F_OF | F_SF | F_AF | F_PF, B248(tzcnt) }, { IR_LZCNT, FORM_A, LZCNT, F_OF | F_SF | F_AF | F_PF, B248(lzcnt) },
    { IR_POPCNT, FORM_A, POPCNT, 0, B248(popcnt) },
    { IR_BLSI, FORM_A, BMI1, F_AF | F_PF, B48(blsi) }, { IR_BLSR, FORM_A, BMI1, F_AF | F_PF, B48(blsr) },
    { IR_BLSMSK, FORM_A, BMI1, F_AF | F_PF, B48(blsmsk) }, { IR_ANDN, FORM_AB, BMI1, F_AF | F_PF, B48(andn) },
    { IR_BEXTR, FORM_AB, BMI1, F_AF | F_PF | F_SF, B48(bextr) }, { IR_BZHI, FORM_AB, BMI2, F_AF | F_PF, B48(bzhi) },
    { IR_PDEP, FORM_AB, BMI2, 0, B48(pdep) }, { IR_PEXT, FORM_AB, BMI2, 0, B48(pext) }, { IR_SARX, FORM_AB, BMI2, 0, B48(sarx) },
    { IR_SHLX, FORM_AB, BMI2, 0, B48(shlx) }, { IR_SHRX, FORM_AB, BMI2, 0, B48(shrx) },
    { IR_ADCX, FORM_DA, ADX, 0, B48(adcx) }, { IR_ADOX, FORM_DA, ADX, 0, B48(adox) },
    { IR_BSWAP, FORM_DB, 0, 0, B48(bswap) },
};

/* Flags that the manual leaves undefined for these operands. */
static u32 undefined(const struct host_op *h, unsigned size, u64 b)
{
    if (!(h->undef & U_SHIFT))
        return h->undef;
    unsigned n = (unsigned)b & (size == 8 ? 63 : 31);
    u32 u = n ? h->undef & ~U_SHIFT : 0;
    if (n != 1)
        u |= n ? F_OF : 0;
    if (n >= size * 8 && (h->code == IR_SHL || h->code == IR_SHR))
        u |= F_CF;
    if (n > size * 8 && h->form == FORM_SHD)
        u |= ALL_FLAGS;
    return u;
}

static void features_init(void)
{
    unsigned a = 7, b, c = 0, d;
    asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    have[ANY_CPU] = true;
    have[BMI1] = __builtin_cpu_supports("bmi");
    have[BMI2] = __builtin_cpu_supports("bmi2");
    have[LZCNT] = __builtin_cpu_supports("lzcnt");
    have[POPCNT] = __builtin_cpu_supports("popcnt");
    have[ADX] = b >> 19 & 1;
}

static u64 rnd(void)
{
    static const u64 edge[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, ~0ull };
    u64 v = (u64)g_test_rand_int() << 32 | (u32)g_test_rand_int();
    return g_test_rand_int() & 3 ? v : edge[(u32)g_test_rand_int() % G_N_ELEMENTS(edge)];
}

static u64 ours(const struct host_op *h, u64 d, u64 a, u64 b, unsigned size, u32 *fl)
{
    alu_fn *fn = alu_function(h->code);
    u32 flags = *fl;
    if (ir_flag_effect(h->code) == 0)
        fl = &flags; /* the interpreter throws them away */
    switch (h->form) {
    case FORM_DB: {
        u64 r = fn(d, b, size, fl);
        return h->code == IR_CMP || h->code == IR_TEST ? d : r;
    }
    case FORM_A:
        return h->code == IR_BSF || h->code == IR_BSR ? alu_bit_scan(d, a, size, h->code == IR_BSR, fl) : fn(a, 0, size, fl);
    case FORM_DA: return fn(d, a, size, fl);
    case FORM_AB: return fn(a, b, size, fl);
    default: return alu_shd(d, a, (u8)b, size, h->code == IR_SHRD, fl);
    }
}

static void check(const struct host_op *h, unsigned size, host_fn *fn)
{
    bool strict = g_getenv("STRICT_FLAGS") != NULL;
    u64 d = rnd(), a = rnd(), b = rnd(), want_flags = rnd() & ALL_FLAGS;
    u32 in = (u32)want_flags, flags = in;
    u64 want = zext(fn(d, a, b, &want_flags), size), got = zext(ours(h, d, a, b, size, &flags), size);
    u32 mask = ALL_FLAGS & ~(strict ? 0 : undefined(h, size, b));
    bool result_undefined = h->form == FORM_SHD && size == 2 && (b & 31) > 16 && !strict;
    if ((got != want && !result_undefined) || ((flags ^ want_flags) & mask)) {
        g_test_message("%s size %u d=%llx a=%llx b=%llx flags=%x: got %llx %x, host %llx %x", ir_name(h->code), size,
                       (unsigned long long)d, (unsigned long long)a, (unsigned long long)b, in, (unsigned long long)got, flags,
                       (unsigned long long)want, (u32)want_flags);
        g_test_fail();
    }
}

static void test_host(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(host_ops); i++)
        for (unsigned s = 0; s < 4; s++)
            for (unsigned n = 0; have[host_ops[i].feature] && host_ops[i].fn[s] && n < 5000; n++)
                check(&host_ops[i], 1u << s, host_ops[i].fn[s]);
}

/* --- conditions --- */
#define HOST_CC(n) HOST(cc_##n, "set" #n " %b[d]")
HOST_CC(o) HOST_CC(no) HOST_CC(b) HOST_CC(ae) HOST_CC(e) HOST_CC(ne) HOST_CC(be) HOST_CC(a)
HOST_CC(s) HOST_CC(ns) HOST_CC(p) HOST_CC(np) HOST_CC(l) HOST_CC(ge) HOST_CC(le) HOST_CC(g)

static void test_conditions(void)
{
    static host_fn *const fn[16] = { cc_o, cc_no, cc_b, cc_ae, cc_e, cc_ne, cc_be, cc_a, cc_s, cc_ns, cc_p, cc_np, cc_l, cc_ge, cc_le, cc_g };
    for (u32 f = 0; f < 0x1000; f++) {
        u64 io = f & ALL_FLAGS;
        if (io != f)
            continue;
        for (unsigned cc = 0; cc < 16; cc++)
            g_assert_cmpint(alu_cond(f, cc), ==, fn[cc](0, 0, 0, &(u64){ f }) & 1);
    }
}

/* --- multiply, divide, CRC --- */
#define HOST_WIDE(INS)                                                                                             \
    asm volatile("leaq -128(%%rsp), %%rsp\n " INS "\n pushfq\n popq %[fl]\n leaq 128(%%rsp), %%rsp"                          \
                 : "+a"(*lo), "+d"(*hi), [fl] "=&r"(fl) : [v] "r"(v) : "cc", "memory")

/* rDX:rAX = rAX * v; returns the flags. */
static u32 host_mul(u64 *lo, u64 *hi, u64 v, unsigned size, bool sign)
{
    u64 fl;
    switch (size * 2 + sign) {
    case 4: HOST_WIDE("mulw %w[v]"); break;
    case 5: HOST_WIDE("imulw %w[v]"); break;
    case 8: HOST_WIDE("mull %k[v]"); break;
    case 9: HOST_WIDE("imull %k[v]"); break;
    case 16: HOST_WIDE("mulq %[v]"); break;
    default: HOST_WIDE("imulq %[v]"); break;
    }
    return (u32)fl;
}

static void test_mul_wide(void)
{
    for (unsigned n = 0; n < 30000; n++) {
        unsigned size = 2u << n % 3;
        u64 a = rnd(), v = rnd(), lo = a, hi = rnd(), got_lo, got_hi;
        bool sign = n & 1;
        u32 fl = 0;
        alu_mul_wide(a, v, size, sign, &got_lo, &got_hi, &fl);
        u32 want = host_mul(&lo, &hi, v, size, sign);
        g_assert_cmphex(got_lo, ==, zext(lo, size));
        g_assert_cmphex(got_hi, ==, zext(hi, size));
        g_assert_cmphex(fl, ==, want & (F_CF | F_OF));
    }
}

static sigjmp_buf divide_error;
static void on_sigfpe(int sig) { siglongjmp(divide_error, 1); }

/* False: #DE. */
static bool host_div(u64 *lo, u64 *hi, u64 v, unsigned size, bool sign)
{
    u64 fl;
    if (sigsetjmp(divide_error, 1))
        return false;
    switch (size * 2 + sign) {
    case 4: HOST_WIDE("divw %w[v]"); break;
    case 5: HOST_WIDE("idivw %w[v]"); break;
    case 8: HOST_WIDE("divl %k[v]"); break;
    case 9: HOST_WIDE("idivl %k[v]"); break;
    case 16: HOST_WIDE("divq %[v]"); break;
    default: HOST_WIDE("idivq %[v]"); break;
    }
    return true;
}

static void check_div(u64 hi, u64 lo, u64 v, unsigned size, bool sign)
{
    u64 quot = 0, rem = 0;
    bool ok = alu_div_wide(hi, lo, v, size, sign, &quot, &rem);
    g_assert_cmpint(ok, ==, host_div(&lo, &hi, v, size, sign));
    if (ok) {
        g_assert_cmphex(quot, ==, zext(lo, size));
        g_assert_cmphex(rem, ==, zext(hi, size));
    }
}

static void test_div_wide(void)
{
    struct sigaction sa = { .sa_handler = on_sigfpe }, old;
    sigaction(SIGFPE, &sa, &old);
    for (unsigned n = 0; n < 60000; n++) {
        unsigned size = 2u << n % 3;
        bool sign = n & 1;
        u64 v = rnd(), hi = rnd(), lo = rnd();
        if (n & 8) /* most of these do not overflow */
            hi = sign ? (u64)((i64)sext(lo, size) >> 63) : hi % (zext(v, size) ? zext(v, size) : 1);
        check_div(hi, lo, v, size, sign);
    }
    check_div(~0ull, 1ull << 63, ~0ull, 8, true);
    check_div(0, 1, 0, 4, false);
    u64 quot, rem; /* byte forms */
    g_assert_true(alu_div_wide(0x01, 0x05, 0x10, 1, false, &quot, &rem));
    g_assert_cmphex(quot << 8 | rem, ==, 0x1005);
    g_assert_true(alu_div_wide(0xff, 0xf9, 0x02, 1, true, &quot, &rem)); /* -7 / 2 */
    g_assert_cmphex(quot << 8 | rem, ==, 0xfdff);
    g_assert_false(alu_div_wide(0x10, 0x00, 0x10, 1, false, &quot, &rem));
    sigaction(SIGFPE, &old, NULL);
}

static void test_crc32(void)
{
    u64 crc = 0xffffffff;
    for (const char *p = "123456789"; *p; p++)
        crc = alu_crc32(crc, (u8)*p, 1);
    g_assert_cmphex(crc ^ 0xffffffff, ==, 0xe3069283);
    g_assert_cmphex(alu_crc32(alu_crc32(5, 0x3231, 2), 0x36353433, 4), ==, alu_crc32(alu_crc32(5, 0x34333231, 4), 0x3635, 2));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    features_init();
    g_test_add_func("/alu/host", test_host);
    g_test_add_func("/alu/conditions", test_conditions);
    g_test_add_func("/alu/mul", test_mul_wide);
    g_test_add_func("/alu/div", test_div_wide);
    g_test_add_func("/alu/crc32", test_crc32);
    return g_test_run();
}
