/* Tests of cpu/help/int.c and io.c: BCD against digit arithmetic, stack frames, BOUND, RDRAND, port I/O and the TSS's permission
 * bitmap. Run by `make check`. */
#include <glib.h>
#include "cpu/help/help.h"
#include "tests/lib/fake_cpu.h"

#define DATA 0x10000ull
#define TSS 0x20000ull

struct call {
    enum help_id id;
    u64 a, b, d;
    u64 result;
};

static void call_unguarded(struct cpu *c, void *opaque)
{
    struct call *k = opaque;
    k->result = help_table[k->id].fn(c, k->a, k->b, k->d);
}

/* -1 or the vector. */
static int call3(struct fake_cpu *f, enum help_id id, u64 a, u64 b, u64 d, u64 *result)
{
    struct call k = { id, a, b, d, 0 };
    int v = fake_cpu_try(f, call_unguarded, &k);
    if (result)
        *result = k.result;
    return v;
}
static int call(struct fake_cpu *f, enum help_id id, u64 a, u64 b, u64 d) { return call3(f, id, a, b, d, NULL); }

/* --- BCD --- */
static u8 bcd(unsigned n) { return (u8)(n / 10 % 10 << 4 | n % 10); }

static void test_decimal(void)
{
    struct fake_cpu *f = fake_cpu_new(32, NULL);
    struct cpu *c = f->c;
    for (unsigned x = 0; x < 100; x++)
        for (unsigned y = 0; y < 100; y++)
            for (unsigned carry = 0; carry < 2; carry++) {
                unsigned a = bcd(x), b = bcd(y);
                c->gpr[R_AX] = 0x12345600 | (u8)(a + b + carry);
                cpu_set_arith(c, (a + b + carry > 0xff ? F_CF : 0) | ((a & 15) + (b & 15) + carry > 15 ? F_AF : 0));
                g_assert_cmpint(call(f, HELP_daa, 0, 0, 0), ==, -1);
                g_assert_cmphex(c->gpr[R_AX], ==, 0x12345600 | bcd(x + y + carry));
                g_assert_cmpint(!!(cpu_arith(c) & F_CF), ==, x + y + carry > 99);
                g_assert_cmpint(!!(cpu_arith(c) & F_ZF), ==, (x + y + carry) % 100 == 0);
                int diff = (int)x - (int)y - (int)carry;
                c->gpr[R_AX] = (u8)(a - b - carry);
                cpu_set_arith(c, (a < b + carry ? F_CF : 0) | ((a & 15) < (b & 15) + carry ? F_AF : 0));
                g_assert_cmpint(call(f, HELP_das, 0, 0, 0), ==, -1);
                g_assert_cmphex(c->gpr[R_AX], ==, bcd((unsigned)(diff + 200) % 100));
                g_assert_cmpint(!!(cpu_arith(c) & F_CF), ==, diff < 0);
            }
    fake_cpu_free(f);
}

static void test_ascii(void)
{
    struct fake_cpu *f = fake_cpu_new(32, NULL);
    struct cpu *c = f->c;
    for (unsigned x = 0; x < 10; x++)
        for (unsigned y = 0; y < 10; y++) {
            c->gpr[R_AX] = 0xabcd0300 | (u8)(('0' + x) + ('0' + y));
            cpu_set_arith(c, x + y > 15 ? F_AF : 0);
            g_assert_cmpint(call(f, HELP_aaa, 0, 0, 0), ==, -1);
            g_assert_cmphex(c->gpr[R_AX], ==, 0xabcd0300 + (x + y > 9 ? 0x100 : 0) + (x + y) % 10);
            g_assert_cmphex(cpu_arith(c) & (F_CF | F_AF), ==, x + y > 9 ? F_CF | F_AF : 0);
            c->gpr[R_AX] = 0x0300 | (u8)(x - y);
            cpu_set_arith(c, x < y ? F_AF : 0);
            g_assert_cmpint(call(f, HELP_aas, 0, 0, 0), ==, -1);
            g_assert_cmphex(c->gpr[R_AX] & 0xff, ==, (x + 10 - y) % 10);
            g_assert_cmphex(cpu_arith(c) & (F_CF | F_AF), ==, x < y ? F_CF | F_AF : 0);
            c->gpr[R_AX] = x * y;
            g_assert_cmpint(call(f, HELP_aam, 10, 0, 0), ==, -1);
            g_assert_cmphex(c->gpr[R_AX], ==, x * y / 10 << 8 | x * y % 10);
            c->gpr[R_AX] = 0x77770000 | x << 8 | y;
            g_assert_cmpint(call(f, HELP_aad, 10, 0, 0), ==, -1);
            g_assert_cmphex(c->gpr[R_AX], ==, 0x77770000 | (x * 10 + y));
        }
    g_assert_cmpint(call(f, HELP_aam, 0, 0, 0), ==, EXC_DE);
    fake_cpu_free(f);
}

/* --- stack --- */
static void test_enter(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    u64 *g = f->c->gpr;
    g[R_SP] = DATA, g[R_BP] = 0x5555;
    g_assert_cmpint(call(f, HELP_enter, 0x20, 0, 8), ==, -1);
    g_assert_cmphex(g[R_SP], ==, DATA - 0x28);
    g_assert_cmphex(g[R_BP], ==, DATA - 8);
    g_assert_cmphex(ld64(f->ram + DATA - 8), ==, 0x5555);
    for (unsigned i = 1; i < 4; i++)
        st64(f->ram + DATA + 0x800 - 8 * i, 0x1000 + i); /* display of the caller */
    g[R_SP] = DATA + 0x400, g[R_BP] = DATA + 0x800;
    g_assert_cmpint(call(f, HELP_enter, 0x10, 35, 8), ==, -1); /* level 3 */
    g_assert_cmphex(ld64(f->ram + DATA + 0x3f8), ==, DATA + 0x800);
    g_assert_cmphex(ld64(f->ram + DATA + 0x3f0), ==, 0x1001);
    g_assert_cmphex(ld64(f->ram + DATA + 0x3e8), ==, 0x1002);
    g_assert_cmphex(ld64(f->ram + DATA + 0x3e0), ==, DATA + 0x3f8);
    g_assert_cmphex(g[R_BP], ==, DATA + 0x3f8);
    g_assert_cmphex(g[R_SP], ==, DATA + 0x3d0);
    fake_cpu_map(f, DATA - PAGE_SIZE, 0); /* the new frame does not fit: nothing changes */
    g[R_SP] = DATA + 0x10, g[R_BP] = 7;
    g_assert_cmpint(call(f, HELP_enter, 0x100, 0, 8), ==, EXC_PF);
    g_assert_cmphex(g[R_SP], ==, DATA + 0x10);
    g_assert_cmphex(g[R_BP], ==, 7);
    fake_cpu_free(f);
}

static void test_enter_16(void)
{
    struct fake_cpu *f = fake_cpu_new(16, NULL);
    u64 *g = f->c->gpr;
    g[R_SP] = 0xaaaa0000, g[R_BP] = 0xbbbb1234;
    f->c->seg[S_SS].base = 0x20000;
    g_assert_cmpint(call(f, HELP_enter, 4, 0, 2), ==, -1); /* SP wraps */
    g_assert_cmphex(g[R_SP], ==, 0xaaaafffa);
    g_assert_cmphex(g[R_BP], ==, 0xbbbbfffe);
    g_assert_cmphex(ld16(f->ram + 0x2fffe), ==, 0x1234);
    fake_cpu_free(f);
}

static void test_push_all(void)
{
    struct fake_cpu *f = fake_cpu_new(32, NULL);
    u64 *g = f->c->gpr;
    for (unsigned i = 0; i < 8; i++)
        g[i] = 0x1000100 * i;
    g[R_SP] = DATA;
    g_assert_cmpint(call(f, HELP_pusha, 4, 0, 0), ==, -1);
    g_assert_cmphex(g[R_SP], ==, DATA - 32);
    g_assert_cmphex(ld32(f->ram + DATA - 4), ==, g[R_AX]);
    g_assert_cmphex(ld32(f->ram + DATA - 20), ==, DATA);
    g_assert_cmphex(ld32(f->ram + DATA - 32), ==, g[R_DI]);
    for (unsigned i = 0; i < 8; i++)
        if (i != R_SP)
            g[i] = ~0ull;
    g_assert_cmpint(call(f, HELP_popa, 4, 0, 0), ==, -1);
    for (unsigned i = 0; i < 8; i++)
        g_assert_cmphex(g[i], ==, i == R_SP ? DATA : 0x1000100 * i);
    g[R_SP] = DATA - 16;
    g[R_AX] = 0xffff0000;
    g_assert_cmpint(call(f, HELP_popa, 2, 0, 0), ==, -1);
    g_assert_cmphex(g[R_AX] >> 16, ==, 0xffff);
    g_assert_cmphex(g[R_SP], ==, DATA);
    fake_cpu_free(f);
}

static void test_bound(void)
{
    struct fake_cpu *f = fake_cpu_new(32, NULL);
    st32(f->ram + DATA, (u32)-5);
    st32(f->ram + DATA + 4, 10);
    g_assert_cmpint(call(f, HELP_bound, DATA, (u32)-5, 4), ==, -1);
    g_assert_cmpint(call(f, HELP_bound, DATA, 10, 4), ==, -1);
    g_assert_cmpint(call(f, HELP_bound, DATA, (u32)-6, 4), ==, EXC_BR);
    g_assert_cmpint(call(f, HELP_bound, DATA, 11, 4), ==, EXC_BR);
    g_assert_cmpint(call(f, HELP_bound, DATA, 0xfffb, 2), ==, -1); /* bounds -5, -1 */
    g_assert_cmpint(call(f, HELP_bound, DATA, 0, 2), ==, EXC_BR);
    fake_cpu_free(f);
}

static void test_random_pause(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    u64 v;
    f->random = 0x1122334455667788ull;
    cpu_set_arith(f->c, F_ZF | F_OF | F_SF);
    g_assert_cmpint(call3(f, HELP_rdrand, 4, 0, 0, &v), ==, -1);
    g_assert_cmphex(v, ==, 0x55667788);
    g_assert_cmphex(cpu_arith(f->c), ==, F_CF);
    g_assert_cmpint(call(f, HELP_pause, 0, 0, 0), ==, -1);
    g_assert_cmpuint(f->pauses, ==, 1);
    fake_cpu_free(f);
}

/* --- ports --- */
static void test_ports(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    u64 v;
    f->port_value = 0x11223344;
    g_assert_cmpint(call3(f, HELP_in, 0x60, 2, 0, &v), ==, -1);
    g_assert_cmphex(v, ==, 0x3344);
    g_assert_cmpint(call(f, HELP_out, 0x3f8, 0xabcdef, 1), ==, -1);
    g_assert_cmpuint(f->n_port, ==, 2);
    g_assert_true(f->port[1].write);
    g_assert_cmphex(f->port[1].port, ==, 0x3f8);
    g_assert_cmphex(f->port[1].val, ==, 0xef);
    fake_cpu_free(f);
}

static void test_io_bitmap(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    struct cpu *c = f->c;
    c->mode = (c->mode & ~(u32)MODE_IOPL_OK) | 3;
    c->tr = (struct seg_reg){ .base = TSS, .limit = 0x67 + 0x80, .attr = SEGA_P | 0xb, .sel = 0x40 };
    fake_cpu_map(f, TSS, 3); /* supervisor page: the processor reads it for the user */
    st16(f->ram + TSS + 0x66, 0x68);
    memset(f->ram + TSS + 0x68, 0, 0x80);
    f->ram[TSS + 0x68 + 0x60 / 8] = 0x10; /* port 0x64 is closed */
    g_assert_cmpint(call(f, HELP_in, 0x63, 1, 0), ==, -1);
    g_assert_cmpint(call(f, HELP_in, 0x64, 1, 0), ==, EXC_GP);
    g_assert_cmpint(call(f, HELP_in, 0x63, 2, 0), ==, EXC_GP);
    g_assert_cmpint(call(f, HELP_in, 0x65, 4, 0), ==, -1);
    g_assert_cmpint(call(f, HELP_out, 0x61, 0, 4), ==, EXC_GP);
    g_assert_cmpint(call(f, HELP_out, 0x3f0, 0, 1), ==, -1); /* the last byte but one: two are read */
    g_assert_cmpint(call(f, HELP_out, 0x3f8, 0, 1), ==, EXC_GP);
    g_assert_cmpint(call(f, HELP_out, 0xffff, 0, 1), ==, EXC_GP);
    c->tr.limit = 0x66;
    g_assert_cmpint(call(f, HELP_in, 0, 1, 0), ==, EXC_GP);
    c->tr = (struct seg_reg){ .base = TSS, .limit = 0xffff, .attr = SEGA_P | 3 }; /* a 16-bit TSS has none */
    g_assert_cmpint(call(f, HELP_in, 0, 1, 0), ==, EXC_GP);
    fake_cpu_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/int/decimal", test_decimal);
    g_test_add_func("/int/ascii", test_ascii);
    g_test_add_func("/int/enter", test_enter);
    g_test_add_func("/int/enter-16", test_enter_16);
    g_test_add_func("/int/push-all", test_push_all);
    g_test_add_func("/int/bound", test_bound);
    g_test_add_func("/int/random-pause", test_random_pause);
    g_test_add_func("/io/ports", test_ports);
    g_test_add_func("/io/bitmap", test_io_bitmap);
    return g_test_run();
}
