/* Tests of cpu/help/string.c: every string instruction against an element-by-element model, over all sizes, directions, overlaps and page
 * ends; faults in the middle, devices, code pages, interruption, address-size wrap, segment limits. Run by `make check`. */
#include <glib.h>
#include "cpu/help/light.h"
#include "tests/lib/fake_cpu.h"

#define BASE 0x20000ull  /* scratch RAM of the random tests */
#define SPAN 0x3000ull
#define NEXT_RIP 0x1234ull
#define RIP 0x1230ull
#define ALL_FLAGS (F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF)

struct call {
    enum help_id id;
    u64 packed;
};

static bool light;          /* each call tries the light way first, as emitted code does */
static unsigned light_done; /* calls that it was enough for */

static void call_unguarded(struct cpu *c, void *opaque)
{
    struct call *k = opaque;
    if (light && light_table[k->id] && !light_table[k->id](c, k->packed, NEXT_RIP, 0).undone) {
        light_done++;
        return;
    }
    help_table[k->id].fn(c, k->packed, NEXT_RIP, 0);
}

static u64 pack(unsigned osize, unsigned asize, unsigned seg, unsigned rep) { return osize | asize << 8 | seg << 16 | rep << 24; }

/* -1 or the vector. */
static int call(struct fake_cpu *f, enum help_id id, u64 packed)
{
    struct call k = { id, packed };
    f->c->rip = RIP;
    return fake_cpu_try(f, call_unguarded, &k);
}

static void set_regs(struct fake_cpu *f, u64 cx, u64 si, u64 di)
{
    f->c->gpr[R_CX] = cx;
    f->c->gpr[R_SI] = si;
    f->c->gpr[R_DI] = di;
}

static void check_regs(struct fake_cpu *f, u64 cx, u64 si, u64 di)
{
    g_assert_cmphex(f->c->gpr[R_CX], ==, cx);
    g_assert_cmphex(f->c->gpr[R_SI], ==, si);
    g_assert_cmphex(f->c->gpr[R_DI], ==, di);
}

/* --- the model: one element after the other on a copy of memory --- */
struct model {
    u8 *mem;
    u64 ax, cx, si, di;
    u32 fl;
    unsigned osize, rep;
    bool back;
};

static u64 model_ld(const struct model *m, u64 a)
{
    u64 v = 0;
    memcpy(&v, m->mem + a, m->osize);
    return v;
}

static u32 model_cmp(u64 a, u64 b, unsigned size)
{
    u64 r = zext(a - b, size), top = 1ull << (size * 8 - 1);
    bool of = ((a ^ b) & (a ^ r)) & top;
    return (a < b ? F_CF : 0) | (r ? 0 : F_ZF) | (r & top ? F_SF : 0) | (of ? F_OF : 0) | ((a ^ b ^ r) & 16 ? F_AF : 0) |
           (__builtin_parity((u8)r) ? 0 : F_PF);
}

static void model_run(struct model *m, enum help_id id)
{
    i64 step = m->back ? -(i64)m->osize : m->osize;
    while (!m->rep || m->cx) {
        u64 v = id == HELP_stos || id == HELP_scas ? zext(m->ax, m->osize) : model_ld(m, m->si);
        if (id == HELP_movs || id == HELP_stos)
            memcpy(m->mem + m->di, &v, m->osize);
        if (id == HELP_lods)
            m->ax = m->osize >= 4 ? v : (m->ax & ~MASK64(m->osize * 8)) | v;
        if (id == HELP_cmps || id == HELP_scas)
            m->fl = model_cmp(v, model_ld(m, m->di), m->osize);
        if (id != HELP_stos && id != HELP_scas)
            m->si += step;
        if (id != HELP_lods)
            m->di += step;
        if (!m->rep)
            return;
        m->cx--;
        if ((id == HELP_cmps || id == HELP_scas) && !!(m->fl & F_ZF) != (m->rep == 1))
            return;
    }
}

static void random_case(struct fake_cpu *f, enum help_id id)
{
    struct cpu *c = f->c;
    struct model m = { .osize = 1u << (g_test_rand_int() & 3), .rep = (unsigned)g_test_rand_int_range(0, 3), .back = g_test_rand_bit() };
    unsigned alphabet = g_test_rand_bit() ? 1 : 255;
    for (u64 i = 0; i < SPAN; i++)
        f->ram[BASE + i] = (u8)((u32)g_test_rand_int() & 255 & alphabet & (u32)-(g_test_rand_int() % 64 == 0 || alphabet > 1));
    u64 n = (u64)g_test_rand_int_range(0, g_test_rand_bit() ? 20 : (i32)(0xc00 / m.osize));
    m.cx = n;
    m.si = BASE + 0x1000 + (u64)g_test_rand_int_range(0, 0x1000);
    m.di = g_test_rand_bit() ? m.si + (u64)g_test_rand_int_range(-20, 20) : BASE + 0x1000 + (u64)g_test_rand_int_range(0, 0x1000);
    m.ax = g_test_rand_bit() ? 0 : (u64)g_test_rand_int() * 0x100000001ull;
    m.fl = (u32)g_test_rand_int() & ALL_FLAGS;
    m.mem = g_memdup2(f->ram, FAKE_RAM_SIZE / 8);
    c->dflag = m.back;
    c->gpr[R_AX] = m.ax;
    cpu_set_arith(c, m.fl);
    set_regs(f, n, m.si, m.di);
    model_run(&m, id);
    g_assert_cmpint(call(f, id, pack(m.osize, 8, S_DS, m.rep)), ==, -1);
    g_assert_cmphex(c->rip, ==, NEXT_RIP);
    check_regs(f, m.cx, m.si, m.di);
    g_assert_cmphex(c->gpr[R_AX], ==, m.ax);
    g_assert_cmphex(cpu_arith(c), ==, m.fl);
    g_assert_true(!memcmp(f->ram + BASE, m.mem + BASE, SPAN));
    g_free(m.mem);
}

static void test_random(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    static const enum help_id ids[] = { HELP_movs, HELP_stos, HELP_lods, HELP_cmps, HELP_scas };
    for (unsigned n = 0; n < 4000; n++)
        random_case(f, ids[n % G_N_ELEMENTS(ids)]);
    fake_cpu_free(f);
}

/* --- faults: registers say what is left --- */
static void test_fault_forward(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    fake_cpu_map(f, 0x32000, 0);
    memset(f->ram + 0x20000, 0xab, 0x4000);
    set_regs(f, 0x1000, 0x20004, 0x31000);
    g_assert_cmpint(call(f, HELP_movs, pack(4, 8, S_DS, 1)), ==, EXC_PF);
    check_regs(f, 0x1000 - 0x400, 0x21004, 0x32000);
    g_assert_cmphex(f->c->cr2, ==, 0x32000);
    g_assert_cmphex(f->c->fault.error, ==, 2);
    g_assert_cmphex(f->c->rip, ==, RIP);
    g_assert_cmphex(ld32(f->ram + 0x31ffc), ==, 0xabababab);
    fake_cpu_map(f, 0x32000, 7); /* the handler has mapped it: go on */
    g_assert_cmpint(call(f, HELP_movs, pack(4, 8, S_DS, 1)), ==, -1);
    check_regs(f, 0, 0x24004, 0x35000);
    g_assert_cmphex(f->c->rip, ==, NEXT_RIP);
    fake_cpu_free(f);
}

static void test_fault_backward(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    f->c->dflag = 1;
    fake_cpu_map(f, 0x30000, 5);
    f->c->gpr[R_AX] = 0x1122334455667788ull;
    set_regs(f, 100, 0, 0x31010); /* 0x31010, 0x31008, 0x31000, then the read-only page */
    g_assert_cmpint(call(f, HELP_stos, pack(8, 8, S_DS, 1)), ==, EXC_PF);
    check_regs(f, 97, 0, 0x30ff8);
    g_assert_cmphex(f->c->fault.error, ==, 3);
    g_assert_cmphex(ld64(f->ram + 0x31000), ==, 0x1122334455667788ull);
    set_regs(f, 5, 0, 0x3100c); /* an element that crosses into it */
    f->c->gpr[R_DI] = 0x30ffc;
    g_assert_cmpint(call(f, HELP_stos, pack(8, 8, S_DS, 1)), ==, EXC_PF);
    check_regs(f, 5, 0, 0x30ffc);
    g_assert_cmphex(ld64(f->ram + 0x31000), ==, 0x1122334455667788ull);
    fake_cpu_free(f);
}

/* A faulting comparison leaves the flags of before. */
static void test_fault_compare(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    fake_cpu_map(f, 0x31000, 0);
    cpu_set_arith(f->c, F_OF | F_CF);
    set_regs(f, 100, 0x20000, 0x30ff0);
    g_assert_cmpint(call(f, HELP_cmps, pack(1, 8, S_DS, 1)), ==, EXC_PF);
    check_regs(f, 84, 0x20010, 0x31000);
    g_assert_cmphex(cpu_arith(f->c), ==, F_OF | F_CF);
    set_regs(f, 100, 0x31000, 0x30ff0); /* nothing done: source first */
    g_assert_cmpint(call(f, HELP_cmps, pack(1, 8, S_DS, 2)), ==, EXC_PF);
    check_regs(f, 100, 0x31000, 0x30ff0);
    fake_cpu_free(f);
}

/* --- special memory --- */
static void test_device(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    set_regs(f, 8, FAKE_DEV_BASE + 0x10, 0x20000);
    g_assert_cmpint(call(f, HELP_movs, pack(4, 8, S_DS, 1)), ==, -1);
    g_assert_cmpuint(fake_cpu_dev_reads(f), ==, 8);
    g_assert_cmphex(ld32(f->ram + 0x20004), ==, 0x14);
    set_regs(f, 0x20, 0x20000, FAKE_DEV_BASE - 0x20); /* half RAM, half device */
    g_assert_cmpint(call(f, HELP_movs, pack(2, 8, S_DS, 1)), ==, -1);
    g_assert_cmpuint(fake_cpu_dev_writes(f), ==, 0x10);
    g_assert_cmphex(ld32(f->ram + FAKE_DEV_BASE - 0x1c), ==, 0x14);
    check_regs(f, 0, 0x20040, FAKE_DEV_BASE + 0x20);
    fake_cpu_free(f);
}

static void test_code_page(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    u64 before = fake_cpu_code_bytes(f);
    fake_cpu_code(f, 0x21000, true);
    f->c->gpr[R_AX] = 0x90;
    set_regs(f, 0x40, 0, 0x20fe0);
    g_assert_cmpint(call(f, HELP_stos, pack(1, 8, S_DS, 1)), ==, -1);
    g_assert_cmpuint(fake_cpu_code_bytes(f), ==, before + 0x20);
    g_assert_cmphex(f->ram[0x2101f], ==, 0x90);
    before = fake_cpu_code_bytes(f);
    f->c->dflag = 1;
    set_regs(f, 8, 0x20100, 0x21010); /* down, the last two elements in the page below */
    g_assert_cmpint(call(f, HELP_movs, pack(4, 8, S_DS, 1)), ==, -1);
    g_assert_cmpuint(fake_cpu_code_bytes(f), ==, before + 0x14);
    fake_cpu_free(f);
}

/* --- being interrupted --- */
static void test_interrupted(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    f->c->exit_request = XREQ_INTR;
    set_regs(f, 0x2000, 0x20000, 0x40000);
    g_assert_cmpint(call(f, HELP_movs, pack(1, 8, S_DS, 1)), ==, -1);
    g_assert_cmphex(f->c->rip, ==, RIP);
    check_regs(f, 0x1000, 0x21000, 0x41000);
    g_assert_true(f->c->sysflags & F_RF);
    g_assert_cmpint(call(f, HELP_movs, pack(1, 8, S_DS, 1)), ==, -1);
    g_assert_cmphex(f->c->rip, ==, NEXT_RIP); /* done: nothing to interrupt */
    g_assert_false(f->c->sysflags & F_RF);
    check_regs(f, 0, 0x22000, 0x42000);
    fake_cpu_free(f);
}

static void test_single_step(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    f->c->mode |= MODE_STEP;
    set_regs(f, 2, 0x20000, 0x40000);
    g_assert_cmpint(call(f, HELP_movs, pack(8, 8, S_DS, 1)), ==, -1);
    g_assert_cmphex(f->c->rip, ==, RIP);
    check_regs(f, 1, 0x20008, 0x40008);
    g_assert_cmpint(call(f, HELP_movs, pack(8, 8, S_DS, 1)), ==, -1);
    g_assert_cmphex(f->c->rip, ==, NEXT_RIP);
    fake_cpu_free(f);
}

static void test_data_breakpoint(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    f->c->mode |= MODE_SLOW;
    f->c->dr[0] = 0x40002;
    f->c->dr[7] = 0x402 | 1u << 16; /* G0, on writes, one byte */
    set_regs(f, 8, 0x20000, 0x40000);
    for (unsigned n = 1; n <= 3; n++) {
        g_assert_cmphex(f->c->db_pending, ==, 0);
        g_assert_cmpint(call(f, HELP_movs, pack(1, 8, S_DS, 1)), ==, -1);
        g_assert_cmphex(f->c->rip, ==, RIP);
        check_regs(f, 8 - n, 0x20000 + n, 0x40000 + n);
    }
    g_assert_cmphex(f->c->db_pending, ==, 1);
    g_assert_true(f->c->sysflags & F_RF);
    fake_cpu_free(f);
}

/* --- address sizes and segments --- */
static void test_address_size_32(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    set_regs(f, 0x700000000ull, 0x800000000ull, 0x900000000ull); /* ECX is 0: nothing is written */
    g_assert_cmpint(call(f, HELP_movs, pack(1, 4, S_DS, 1)), ==, -1);
    check_regs(f, 0x700000000ull, 0x800000000ull, 0x900000000ull);
    set_regs(f, 0x700000003ull, 0x800020000ull, 0x900040000ull);
    g_assert_cmpint(call(f, HELP_movs, pack(1, 4, S_DS, 1)), ==, -1);
    check_regs(f, 0, 0x20003, 0x40003);
    f->c->seg[S_GS].base = 0x20000;
    f->ram[0x20010] = 0x77;
    set_regs(f, 1, 0x500000010ull, 0);
    g_assert_cmpint(call(f, HELP_lods, pack(1, 4, S_GS, 0)), ==, -1);
    g_assert_cmphex(f->c->gpr[R_AX], ==, 0x77);
    check_regs(f, 1, 0x11, 0);
    fake_cpu_free(f);
}

static void test_real_mode(void)
{
    struct fake_cpu *f = fake_cpu_new(16, NULL);
    f->c->seg[S_DS].base = 0x20000;
    f->c->seg[S_ES].base = 0x30000;
    for (unsigned i = 0; i < 0x10000; i++)
        f->ram[0x20000 + i] = (u8)(i ^ i >> 8);
    set_regs(f, 0xaaaa0020, 0xbbbbfff0, 0xcccc0100); /* SI wraps, upper halves stay */
    g_assert_cmpint(call(f, HELP_movs, pack(1, 2, S_DS, 1)), ==, -1);
    check_regs(f, 0xaaaa0000, 0xbbbb0010, 0xcccc0120);
    g_assert_true(!memcmp(f->ram + 0x30100, f->ram + 0x2fff0, 16) && !memcmp(f->ram + 0x30110, f->ram + 0x20000, 16));
    set_regs(f, 0x10, 0xfff9, 0x200); /* a word at 0xffff is past the limit */
    g_assert_cmpint(call(f, HELP_movs, pack(2, 2, S_DS, 1)), ==, EXC_GP);
    check_regs(f, 0xd, 0xffff, 0x206);
    fake_cpu_free(f);
}

static void test_segment_limit(void)
{
    struct fake_cpu *f = fake_cpu_new(32, NULL);
    f->c->mode &= ~(u32)MODE_FLAT;
    f->c->seg[S_ES].limit = 0x40fff;
    set_regs(f, 0x1000, 0x20000, 0x40ff0);
    g_assert_cmpint(call(f, HELP_stos, pack(4, 4, S_DS, 1)), ==, EXC_GP);
    check_regs(f, 0xffc, 0x20000, 0x41000);
    f->c->seg[S_ES] = (struct seg_reg){ .limit = 0x3ffff, .attr = SEGA_P | SEGA_S | SEGA_DB | 6 }; /* expand-down: above the limit */
    f->c->dflag = 1;
    set_regs(f, 0x1000, 0x20000, 0x40008);
    g_assert_cmpint(call(f, HELP_stos, pack(4, 4, S_DS, 1)), ==, EXC_GP);
    check_regs(f, 0xffd, 0x20000, 0x3fffc);
    fake_cpu_free(f);
}

/* --- ports --- */
static void test_ins_outs(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    f->c->gpr[R_DX] = 0x1f0;
    f->port_value = 0x100;
    set_regs(f, 4, 0, 0x20000);
    g_assert_cmpint(call(f, HELP_ins, pack(2, 8, S_DS, 1)), ==, -1);
    check_regs(f, 0, 0, 0x20008);
    g_assert_cmphex(ld64(f->ram + 0x20000), ==, 0x0103010201010100ull);
    set_regs(f, 2, 0x20002, 0);
    g_assert_cmpint(call(f, HELP_outs, pack(2, 8, S_DS, 1)), ==, -1);
    check_regs(f, 0, 0x20006, 0);
    g_assert_cmpuint(f->n_port, ==, 6);
    g_assert_cmphex(f->port[5].val, ==, 0x102);
    fake_cpu_map(f, 0x21000, 5); /* the port is not read when its value cannot be stored */
    set_regs(f, 4, 0, 0x20ffe);
    g_assert_cmpint(call(f, HELP_ins, pack(2, 8, S_DS, 1)), ==, EXC_PF);
    check_regs(f, 3, 0, 0x21000);
    g_assert_cmpuint(f->n_port, ==, 7);
    f->c->mode = (f->c->mode & ~(u32)MODE_IOPL_OK) | 3; /* no TSS: closed */
    g_assert_cmpint(call(f, HELP_outs, pack(1, 8, S_DS, 0)), ==, EXC_GP);
    g_assert_cmpuint(f->n_port, ==, 7);
    fake_cpu_free(f);
}

/* Ports that move several elements at once: the same result, a page at a time, and never when it goes downwards. */
static void test_port_strings(void)
{
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    f->c->gpr[R_DX] = 0x1f0;
    f->string_max = 3;
    f->port_value = 0x100;
    set_regs(f, 8, 0, 0x20ff6);
    g_assert_cmpint(call(f, HELP_ins, pack(2, 8, S_DS, 1)), ==, -1);
    check_regs(f, 0, 0, 0x21006);
    g_assert_cmpuint(f->strings, ==, 3); /* 3 and 2 up to the page's end, 3 behind it */
    for (unsigned i = 0; i < 8; i++)
        g_assert_cmphex(ld16(f->ram + 0x20ff6 + 2 * i), ==, 0x100 + i);
    set_regs(f, 7, 0x20ff6, 0);
    g_assert_cmpint(call(f, HELP_outs, pack(2, 8, S_DS, 1)), ==, -1);
    check_regs(f, 0, 0x21004, 0);
    g_assert_cmpuint(f->strings, ==, 6); /* 3, 2 and 2 */
    g_assert_cmphex(f->port[14].val, ==, 0x106);
    f->c->dflag = true;
    set_regs(f, 4, 0, 0x20008);
    g_assert_cmpint(call(f, HELP_ins, pack(2, 8, S_DS, 1)), ==, -1);
    g_assert_cmpuint(f->strings, ==, 6);
    check_regs(f, 0, 0, 0x20000);
    fake_cpu_free(f);
}

static const struct {
    const char *name;
    void (*fn)(void);
} tests[] = {
    { "random", test_random },
    { "fault-forward", test_fault_forward },
    { "fault-backward", test_fault_backward },
    { "fault-compare", test_fault_compare },
    { "device", test_device },
    { "code-page", test_code_page },
    { "interrupted", test_interrupted },
    { "single-step", test_single_step },
    { "data-breakpoint", test_data_breakpoint },
    { "address-size-32", test_address_size_32 },
    { "real-mode", test_real_mode },
    { "segment-limit", test_segment_limit },
    { "ins-outs", test_ins_outs },
    { "port-strings", test_port_strings },
};

static void test_light(gconstpointer fn)
{
    light = true;
    ((void (*)(void))fn)();
    light = false;
}

static void test_light_was_used(void) { g_assert_cmpuint(light_done, >, 100); }

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(tests); i++) {
        char path[64];
        g_snprintf(path, sizeof(path), "/string/%s", tests[i].name);
        g_test_add_func(path, tests[i].fn);
        g_snprintf(path, sizeof(path), "/string/light/%s", tests[i].name);
        g_test_add_data_func(path, (gconstpointer)tests[i].fn, test_light);
    }
    g_test_add_func("/string/light/used", test_light_was_used);
    return g_test_run();
}
