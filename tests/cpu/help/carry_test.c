/* Carried instructions: every row of the table is encoded again and compared with what Capstone reads in the guest's bytes, and executed on
 * guest state and natively; host exceptions become the guest's. Test thread. */
#include <capstone/capstone.h>
#include <ctype.h>
#include <glib.h>
#include <signal.h>
#include <stdarg.h>
#include "cpu/cpuid.h"
#include "cpu/help/carry.h"
#include "cpu/help/x87.h"
#include "cpu/lift/lift.h"
#include "tests/lib/fake_cpu.h"
#include "tests/lib/insn_gen.h"
#include "tests/lib/native.h"

#define OPERAND 0x8000 /* where rbx points in the guest's RAM */

static csh capstone;
static struct fake_cpu *fake;

/* Fails the test and goes on, to show every row that is wrong. */
static void complain(const char *fmt, ...) PRINTF(1, 2);
static void complain(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *msg = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_printerr("%s\n", msg);
    g_free(msg);
    g_test_fail();
}

struct bytes {
    const u8 *p;
    unsigned n;
};

static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    const struct bytes *b = opaque;
    unsigned k = pc >= b->n ? 0 : MIN_OF(n, b->n - (unsigned)pc);
    memcpy(buf, b->p + pc, k);
    return (int)k;
}

/* Lifts one instruction; its carry, or NULL if it is not carried. */
static const struct carry *lift_one(struct fake_cpu *f, const u8 *p, unsigned n, struct ir_block *b)
{
    struct bytes bytes = { p, n };
    int r = lift_block(b, f->c, 0, 1, fetch, &bytes);
    g_assert_cmpint(r, ==, 1);
    for (unsigned i = 0; i < b->n_ops; i++) {
        if (b->op[i].code == IR_VEC || b->op[i].code == IR_X87) {
            return &b->carry[b->op[i].imm];
        }
    }
    return NULL;
}

struct text {
    char mnem[64], all[256];
};

static struct text disas(const u8 *p, unsigned n)
{
    struct text t = { "", "" };
    cs_insn *in;
    if (cs_disasm(capstone, p, n, 0, 1, &in) == 1) {
        g_assert_cmpuint(in->size, ==, n);
        g_strlcpy(t.mnem, in->mnemonic, sizeof(t.mnem));
        snprintf(t.all, sizeof(t.all), "%s %s", in->mnemonic, in->op_str);
        cs_free(in, 1);
    }
    return t;
}

/* The manual's name and Capstone's; predicates and sizes may be part of the latter. */
static bool same_name(const char *row, const char *cs)
{
    static const char *const aliases[][2] = {
        { "fwait", "wait" }, { "fnsetpm", "fsetpm" }, { "fneni", "feni8087_nop" }, { "fndisi", "fdisi8087_nop" },
        { "fstp", "fstpnce" }, { "movq", "movd" },
    };
    char low[32];
    unsigned n = 0;
    for (; row[n]; n++) {
        low[n] = (char)tolower(row[n]);
    }
    low[n] = 0;
    if (!strcmp(low, cs) || (!strncmp(low, cs, n) && strchr("xy", cs[n]) && !cs[n + 1])) { /* vcvtpd2dqx */
        return true;
    }
    for (unsigned i = 0; i < ARRAY_LEN(aliases); i++) {
        if (!strcmp(low, aliases[i][0]) && !strcmp(cs, aliases[i][1])) {
            return true;
        }
    }
    const char *cmp = strstr(low, "cmp"), *clmul = strstr(low, "pclmulqdq");
    unsigned len = (unsigned)strlen(cs);
    if (clmul) {
        return strstr(cs, "pclmul") != NULL;
    }
    return cmp && len > 2 && n > 2 && !strncmp(low, cs, (size_t)(cmp - low) + 3) && !strcmp(low + n - 2, cs + len - 2);
}

static bool row_is_evex(const struct insn_row *r) { return r->map >= EV1 || !strcmp(r->rule_name, "kmask"); }

/* Rows of AVX-512 have a test of their own; the oracle executes them. */
static bool row_is_carried(const struct insn_row *r)
{
    return !row_is_evex(r) && r->attr & (A_VEC | A_X87) && !strstr("FLDENV FNSTENV FRSTOR FNSAVE", r->mnem);
}

static bool row_has_form(const struct insn_row *r, bool memory)
{
    if (!(r->modrm & (MRM | MMEM | MRR))) {
        return !memory;
    }
    if (memory) {
        return !(r->modrm & 8); /* MRR */
    }
    return !(r->modrm & 4); /* MMEM */
}

/* Capstone says nothing about encodings that it does not know. */
static void check_row(const struct insn_row *r, bool memory)
{
    static struct ir_block b;
    u8 guest[16], host[CARRY_LEN_MAX];
    struct insn in, again;
    unsigned n = native_bytes(r, memory, guest);
    if (r->modes == I64) {
        return;
    }
    if (insn_decode(&in, guest, n, 64, true, 0, NULL) != DEC_OK) {
        complain("row %s does not decode", r->mnem);
        return;
    }
    if (in.row != r && strcmp(in.row->mnem, r->mnem)) {
        complain("%s decodes as %s", r->mnem, in.row->mnem);
    }
    const struct carry *k = lift_one(fake, guest, n, &b);
    g_assert_nonnull(k);
    struct carry_place p = { k->reg_class == CC_GPR ? k->reg : k->rm_class == CC_GPR ? k->rm : -1, R_BX, -1, 0 };
    unsigned m = carry_encode(host, k, &p);
    struct text want = disas(guest, n), got = disas(host, m);
    if (strcmp(got.all, want.all)) {
        complain("row %s: %s became %s", r->mnem, want.all, got.all);
    }
    if (want.mnem[0] && !same_name(r->mnem, want.mnem)) {
        complain("row %s: Capstone says %s", r->mnem, want.all);
    }
    g_assert_cmpint(insn_decode(&again, host, m, 64, true, 0, NULL), ==, DEC_OK);
    g_assert_true(again.row == in.row);
    g_assert_cmpuint(again.reg, ==, in.reg);
    g_assert_cmpuint(again.rm, ==, in.rm);
    g_assert_cmpuint(again.vex_vvvv, ==, in.vex_vvvv);
}

static void test_encode(void)
{
    const struct insn_row *r;
    unsigned rows = 0;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        if (!row_is_carried(r)) {
            continue;
        }
        rows++;
        for (unsigned t = 0; t < 20; t++) {
            for (unsigned memory = 0; memory < 2; memory++) {
                if (row_has_form(r, memory)) {
                    check_row(r, memory);
                }
            }
        }
    }
    g_assert_cmpuint(rows, >, 900);
}

/* Everything that EVEX says comes back when what was encoded is decoded. */
static void test_encode_evex(void)
{
    static struct ir_block b;
    struct insn_gen g = { .seed = 88172645463325252ull, .bits = 64 };
    const struct insn_row *r;
    unsigned cases = 0;
    fake->c->mode &= ~(u32)MODE_EVEX_BAD;
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        for (unsigned t = 0; row_is_evex(r) && r->attr & A_VEC && r->modes != I64 && t < 40; t++) {
            u8 guest[32], host[CARRY_LEN_MAX];
            struct insn in, again;
            unsigned n = insn_gen(&g, r, 0, guest, &in);
            g_assert_cmpuint(n, >, 0);
            const struct carry *k = lift_one(fake, guest, n, &b);
            g_assert_nonnull(k);
            bool mem = k->rm_class == CC_MEM;
            struct carry_place p = { k->reg_class == CC_GPR ? k->reg : k->rm_class == CC_GPR ? k->rm : -1, R_13, mem && t & 1 ? R_12 : -1, mem ? (i32)t : 0 };
            unsigned m = carry_encode(host, k, &p);
            g_assert_cmpint(insn_decode(&again, host, m, 64, true, 0, NULL), ==, DEC_OK);
            if (again.row != r || again.evex_aaa != in.evex_aaa || again.evex_z != in.evex_z || again.evex_b != in.evex_b || again.evex_ll != in.evex_ll ||
                again.vex_w != in.vex_w || again.imm != in.imm)
                complain("%s differs", r->mnem);
            for (unsigned o = 0; o < in.nop; o++)
                if (again.op[o].kind != in.op[o].kind || again.op[o].reg != in.op[o].reg || again.op[o].size != in.op[o].size)
                    complain("%s: operand %u differs", r->mnem, o);
            if (mem && (again.mem.base != R_13 || again.mem.index != p.index || again.mem.disp != p.disp))
                complain("%s: memory operand differs", r->mnem);
            cases++;
        }
    }
    g_assert_cmpuint(cases, >, 20000);
}

/* Every base and index register, against what Capstone reads. */
static void test_encode_memory(void)
{
    static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    static const struct carry kinds[] = {
        { .enc = 0, .map = 1, .op = 0x58, .reg = 11, .reg_class = CC_VEC, .rm_class = CC_MEM, .mem_size = 16 },
        { .enc = 0, .pp = 0x66, .map = 3, .op = 0x0f, .reg = 1, .reg_class = CC_VEC, .rm_class = CC_MEM, .has_imm = true },
        { .enc = 1, .map = 1, .l = 1, .op = 0x58, .reg = 9, .vvvv = 14, .reg_class = CC_VEC, .vvvv_class = CC_VEC, .rm_class = CC_MEM },
        { .enc = 1, .pp = 0x66, .map = 2, .w = 1, .op = 0xb8, .reg_class = CC_VEC, .vvvv_class = CC_VEC, .rm_class = CC_MEM },
        { .enc = 2, .op = 0xdd, .modrm = 0x18, .rm_class = CC_MEM, .mem_size = 8 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        for (int base = 0; base < 16; base++) {
            for (int index = -1; index < 16; index++) {
                u8 buf[CARRY_LEN_MAX];
                char want[32];
                if (index == R_SP) {
                    continue;
                }
                struct carry_place p = { -1, base, index, 0 };
                unsigned n = carry_encode(buf, &kinds[i], &p);
                snprintf(want, sizeof(want), index < 0 ? "[%s]" : "[%s + %s]", names[base], index < 0 ? "" : names[index]);
                g_assert_nonnull(strstr(disas(buf, n).all, want));
            }
        }
    }
}

/* --- execution --- */

static void compare(struct cpu *c, const struct native *s, const struct insn_row *r)
{
    char why[128];
    if (native_differs(s, c, why, sizeof(why))) {
        complain("%s: %s", r->mnem, why);
    }
}

static void run_row(const struct insn_row *r, bool memory)
{
    static struct ir_block b;
    static struct native s;
    static u8 room[64] __attribute__((aligned(64)));
    u8 guest[16];
    struct cpu *c = fake->c;
    unsigned n = native_bytes(r, memory, guest);
    const struct carry *k = lift_one(fake, guest, n, &b);
    g_assert_nonnull(k);
    native_random_state(&s);
    native_random_vector(room);
    memcpy(room + 32, room, 32);
    s.gpr[R_BX] = (u64)room;
    native_to_guest(&s, c);
    u8 *mem = fake->ram + OPERAND;
    memcpy(mem, room, 64);
    c->gpr[R_BX] = s.gpr[R_BX];
    c->rip = 0x1234;
    c->x87_fip = c->x87_fop = 0;
    carry_exec(c, k, k->rm_class == CC_MEM ? mem : NULL);
    x87_sync(c); /* out of the host FPU */
    native_run(&s, guest, n);
    compare(c, &s, r);
    g_assert_cmpmem(mem, 64, room, 64);
    g_assert_cmphex(c->x87_fip, ==, k->enc == 2 && !k->x87_is_ctl ? 0x1234 : 0);
}

static void test_execute(void)
{
    const struct insn_row *r;
    if (!native_has(FEAT_AVX)) {
        g_test_skip("the host has no AVX");
        return;
    }
    for (unsigned i = 0; (r = insn_row_nth(i)); i++) {
        if (!row_is_carried(r) || !native_has(r->feat) || r->modes == I64) {
            continue;
        }
        for (unsigned t = 0; t < 40; t++) {
            bool memory = t & 1;
            if (row_has_form(r, memory)) {
                run_row(r, memory);
            }
        }
    }
}

/* --- host exceptions --- */

static void on_signal(int sig, siginfo_t *info, void *uc)
{
    if (!carry_fixup(uc)) {
        abort();
    }
}

struct run {
    u8 code[16];
    unsigned n;
    void *mem;
};

static void run_bytes(struct cpu *c, void *opaque)
{
    static struct ir_block b;
    struct run *r = opaque;
    const struct carry *k = lift_one(fake, r->code, r->n, &b);
    g_assert_nonnull(k);
    carry_exec(c, k, r->mem);
}

static int try_bytes(const char *hex, void *mem)
{
    struct run r = { .mem = mem };
    for (; hex[2 * r.n]; r.n++) {
        unsigned v;
        sscanf(hex + 2 * r.n, "%2x", &v);
        r.code[r.n] = (u8)v;
    }
    return fake_cpu_try(fake, run_bytes, &r);
}

static void test_exceptions(void)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    struct cpu *c = fake->c;
    struct native s;
    native_random_state(&s);
    native_to_guest(&s, c);
    float one = 1.0f;
    for (unsigned i = 0; i < 4; i++) {
        memcpy(c->vreg[0] + 4 * i, &one, 4);
    }
    memset(c->vreg[1], 0, 64);
    u8 before[64];
    memcpy(before, c->vreg[0], 64);
    c->mxcsr = MXCSR_INIT & ~0x200u; /* divide by zero unmasked */
    c->cr4 |= CR4_OSXMMEXCPT;
    g_assert_cmpint(try_bytes("0f5ec1", NULL), ==, EXC_XM); /* divps xmm0, xmm1 */
    g_assert_cmphex(c->mxcsr, ==, (MXCSR_INIT & ~0x200u) | 4);
    g_assert_cmpmem(c->vreg[0], 64, before, 64);
    c->cr4 &= ~(u64)CR4_OSXMMEXCPT;
    g_assert_cmpint(try_bytes("0f5ec1", NULL), ==, EXC_UD);
    c->mxcsr = MXCSR_INIT;
    g_assert_cmpint(try_bytes("0f5ec1", NULL), ==, -1);
    g_assert_cmpint(try_bytes("0f2803", fake->ram + OPERAND), ==, -1); /* movaps xmm0, [rbx] */
    g_assert_cmpint(try_bytes("0f2803", fake->ram + OPERAND + 8), ==, EXC_GP);
    g_assert_true(c->fault.has_error && c->fault.error == 0);
    g_assert_cmpint(try_bytes("0f1003", fake->ram + OPERAND + 8), ==, -1); /* movups */
}

static void test_x87_exceptions(void)
{
    struct cpu *c = fake->c;
    x87_init(c);
    st16(c->fx + FX_FCW, 0x37b); /* divide by zero unmasked */
    c->cr0 |= CR0_NE;
    c->rip = 1;
    g_assert_cmpint(try_bytes("d9e8", NULL), ==, -1); /* fld1 */
    c->rip = 2;
    g_assert_cmpint(try_bytes("d9ee", NULL), ==, -1); /* fldz */
    c->rip = 3;
    g_assert_cmpint(try_bytes("def9", NULL), ==, -1); /* fdivp st1, st0 */
    c->rip = 4;
    g_assert_cmpint(try_bytes("dfe0", NULL), ==, -1); /* fnstsw ax does not wait */
    g_assert_cmphex(c->gpr[R_AX] & 0x84, ==, 0x84);
    g_assert_cmpint(try_bytes("d9e8", NULL), ==, EXC_MF);
    g_assert_cmphex(c->x87_fip, ==, 3);
    g_assert_cmphex(c->x87_fop, ==, 0x6f9);
    g_assert_cmpint(try_bytes("0f77", NULL), ==, EXC_MF); /* emms */
    x87_sync(c);
    g_assert_cmphex(ld16(c->fx + FX_FSW) & 0x8084, ==, 0x8084);
    g_assert_cmphex(ld64(c->fx + FX_FIP), ==, 3);
    g_assert_cmpint(try_bytes("9b", NULL), ==, EXC_MF); /* fwait */
    g_assert_cmpint(try_bytes("dbe2", NULL), ==, -1);   /* fnclex */
    g_assert_cmpint(try_bytes("9b", NULL), ==, -1);
    x87_sync(c);
    g_assert_cmphex(ld16(c->fx + FX_FSW) & 0xff, ==, 0);
}

/* More encodings than the stub cache holds. */
static void many_stubs(struct cpu *c)
{
    struct carry k = { .enc = 0, .pp = 0x66, .map = 1, .op = 0x70, .has_imm = true, .reg_class = CC_VEC, .rm_class = CC_VEC };
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 16 * 16 * 256; i += 5) { /* pshufd */
            k.reg = i & 15;
            k.rm = i >> 4 & 15;
            k.imm = (u8)(i >> 8);
            for (unsigned j = 0; j < 4; j++) {
                st32(c->vreg[k.rm] + 4 * j, i * 0x9e3779b9u + j);
            }
            carry_exec(c, &k, NULL);
            for (unsigned j = 0; j < 4; j++) {
                g_assert_cmphex(ld32(c->vreg[k.reg] + 4 * j), ==, i * 0x9e3779b9u + (k.imm >> (2 * j) & 3));
            }
        }
    }
}

static void test_many_stubs(void)
{
    many_stubs(fake->c);
}

static void *thread_main(void *arg)
{
    many_stubs(((struct fake_cpu *)arg)->c);
    return NULL;
}

/* Each thread has a cache of its own, which goes with it. */
static void test_threads(void)
{
    GThread *t[3];
    struct fake_cpu *f[3];
    for (unsigned i = 0; i < ARRAY_LEN(t); i++)
        f[i] = fake_cpu_new(64, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        t[i] = g_thread_new("carry", thread_main, f[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        g_thread_join(t[i]);
        fake_cpu_free(f[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    fake = fake_cpu_new(64, NULL);
    g_assert_true(cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) == CS_ERR_OK);
    struct err e;
    if (carry_probe(&e) < 0) {
        g_printerr("%s\n", e.msg);
        return 77;
    }
    g_test_add_func("/carry/encode", test_encode);
    g_test_add_func("/carry/encode-memory", test_encode_memory);
    g_test_add_func("/carry/encode-evex", test_encode_evex);
    g_test_add_func("/carry/execute", test_execute);
    g_test_add_func("/carry/exceptions", test_exceptions);
    g_test_add_func("/carry/x87-exceptions", test_x87_exceptions);
    g_test_add_func("/carry/many-stubs", test_many_stubs);
    g_test_add_func("/carry/threads", test_threads);
    return g_test_run();
}
