/* Tests of cpu/decode/: hand-written encodings of every format, and lengths of random byte strings compared with Capstone's. */
#include <glib.h>
#include "cpu/cpuid.h"
#include "tests/lib/capstone.h"
#include "tests/lib/insn_gen.h"

#define PC 0x1000ull

/* --- hand-written --- */
static struct insn decode(unsigned bits, const char *hex, enum dec_result want)
{
    u8 b[32];
    unsigned n = 0;
    struct insn in;
    for (const char *p = hex; *p; p += p[2] ? 3 : 2)
        b[n++] = (u8)strtoul(p, NULL, 16);
    enum dec_result r = insn_decode(&in, b, n, bits, true, PC, NULL);
    if (r != want)
        g_error("%s in %u-bit mode: result %d instead of %d (%s)", hex, bits, r, want, r == DEC_OK ? in.row->mnem : "");
    if (r == DEC_OK)
        g_assert_cmpuint(in.len, ==, n);
    return in;
}

static struct insn ok(unsigned bits, const char *hex, const char *mnem)
{
    struct insn in = decode(bits, hex, DEC_OK);
    if (strcmp(in.row->mnem, mnem))
        g_error("%s in %u-bit mode: %s instead of %s", hex, bits, in.row->mnem, mnem);
    return in;
}

static void test_sizes(void)
{
    g_assert_cmpuint(ok(64, "01 c8", "ADD").op[0].size, ==, 4);
    g_assert_cmpuint(ok(64, "66 01 c8", "ADD").op[0].size, ==, 2);
    g_assert_cmpuint(ok(64, "66 48 01 c8", "ADD").op[0].size, ==, 8);
    g_assert_cmpuint(ok(64, "48 66 01 c8", "ADD").op[0].size, ==, 2); /* REX is lost before a prefix */
    g_assert_cmpuint(ok(32, "66 01 c8", "ADD").op[0].size, ==, 2);
    g_assert_cmpuint(ok(16, "66 01 c8", "ADD").op[0].size, ==, 4);
    g_assert_cmpuint(ok(64, "50", "PUSH").op[0].size, ==, 8);
    g_assert_cmpuint(ok(64, "66 50", "PUSH").op[0].size, ==, 2);
    g_assert_cmpuint(ok(64, "68 ff ff ff ff", "PUSH").imm, ==, ~0ull);
    g_assert_cmpuint(ok(64, "48 b8 88 77 66 55 44 33 22 11", "MOV").imm, ==, 0x1122334455667788ull);
    g_assert_cmpuint(ok(64, "b8 ff ff ff ff", "MOV").op[0].size, ==, 4);
    g_assert_cmpuint(ok(64, "48 a1 88 77 66 55 44 33 22 11", "MOV").mem.disp, ==, 0x1122334455667788ll);
    g_assert_cmpuint(ok(64, "67 a0 44 33 22 11", "MOV").mem.disp, ==, 0x11223344);
    g_assert_cmpuint(ok(64, "c8 34 12 02", "ENTER").imm2, ==, 2);
    struct insn far = ok(32, "9a 78 56 34 12 cd ab", "CALLF");
    g_assert_cmphex(far.imm, ==, 0x12345678);
    g_assert_cmphex(far.imm2, ==, 0xabcd);
    g_assert_cmpuint(ok(64, "ff 2b", "JMPF").op[0].size, ==, 6);
    g_assert_cmpuint(ok(64, "48 ff 2b", "JMPF").op[0].size, ==, 10);
}

static void test_registers(void)
{
    struct insn in = ok(64, "88 e0", "MOV"); /* mov al, ah */
    g_assert_cmpint(in.op[1].kind, ==, OK_GPRH);
    g_assert_cmpint(in.op[1].reg, ==, 0);
    in = ok(64, "40 88 e0", "MOV"); /* mov al, spl */
    g_assert_cmpint(in.op[1].kind, ==, OK_GPR);
    g_assert_cmpint(in.op[1].reg, ==, R_SP);
    in = ok(64, "45 88 e7", "MOV");
    g_assert_cmpint(in.op[0].reg, ==, R_15);
    g_assert_cmpint(in.op[1].reg, ==, R_12);
    g_assert_cmpint(ok(64, "41 90", "XCHG").op[0].reg, ==, R_8);
    ok(64, "90", "NOP");
    ok(64, "f3 90", "PAUSE");
    ok(64, "f3 41 90", "XCHG");
    ok(64, "44 0f 20 c0", "MOV"); /* mov rax, cr8 */
    decode(32, "0f 20 c8", DEC_UD); /* cr1 */
    decode(64, "8e c8", DEC_UD); /* mov cs */
    ok(64, "8c c8", "MOV");
    decode(64, "8e f0", DEC_UD);
    g_assert_cmpint(ok(64, "0f 20 18", "MOV").op[0].kind, ==, OK_GPR); /* mod is ignored */
}

static void test_memory(void)
{
    struct insn in = ok(64, "8b 05 10 00 00 00", "MOV"); /* RIP-relative */
    g_assert_cmpint(in.mem.base, ==, -2);
    g_assert_cmphex(in.mem.disp, ==, PC + 6 + 0x10);
    in = ok(64, "81 05 f0 ff ff ff 01 02 03 04", "ADD"); /* the immediate counts into the length */
    g_assert_cmphex(in.mem.disp, ==, PC + 10 - 0x10);
    in = ok(32, "8b 05 10 00 00 00", "MOV");
    g_assert_cmpint(in.mem.base, ==, -1);
    in = ok(64, "8b 04 25 10 00 00 80", "MOV");
    g_assert_cmpint(in.mem.base, ==, -1);
    g_assert_cmphex(in.mem.disp, ==, (i64)0xffffffff80000010ull);
    in = ok(64, "42 8b 44 a4 7f", "MOV"); /* [rsp + r12 * 4 + 7f] */
    g_assert_cmpint(in.mem.base, ==, R_SP);
    g_assert_cmpint(in.mem.index, ==, R_12);
    g_assert_cmpint(in.mem.scale, ==, 2);
    g_assert_cmpint(in.mem.seg, ==, S_SS);
    g_assert_cmpint(ok(64, "8b 04 24", "MOV").mem.index, ==, -1);
    g_assert_cmpint(ok(64, "41 8b 45 00", "MOV").mem.base, ==, R_13);
    in = ok(16, "8b 42 fe", "MOV"); /* [bp + si - 2] */
    g_assert_cmpint(in.mem.base, ==, R_BP);
    g_assert_cmpint(in.mem.index, ==, R_SI);
    g_assert_cmpint(in.mem.disp, ==, -2);
    g_assert_cmpint(in.mem.seg, ==, S_SS);
    g_assert_cmpint(ok(16, "8b 06 34 12", "MOV").mem.base, ==, -1);
    g_assert_cmpint(ok(64, "64 2e 8b 03", "MOV").mem.seg, ==, S_FS); /* CS is ignored in 64-bit mode and leaves FS alone */
    g_assert_cmpint(ok(32, "64 2e 8b 03", "MOV").mem.seg, ==, S_CS);
    g_assert_cmpint(ok(64, "65 a4", "MOVS").mem.seg, ==, S_GS);
    in = ok(64, "c4 e2 69 90 04 60", "VPGATHERDD");
    g_assert_cmpint(in.mem.index, ==, 4);
    decode(64, "c4 e2 69 90 00", DEC_UD); /* no SIB */
}

static void test_prefixes(void)
{
    ok(64, "f0 01 08", "ADD");
    decode(64, "f0 01 c8", DEC_UD);
    decode(64, "f0 03 08", DEC_UD);
    decode(64, "f0 39 08", DEC_UD); /* CMP */
    decode(64, "f0 90", DEC_UD);
    ok(64, "f0 0f ba 28 03", "BTS");
    decode(64, "f0 0f ba 20 03", DEC_UD); /* BT */
    ok(32, "f0 0f 20 c0", "MOV"); /* CR8 */
    g_assert_cmpint(ok(64, "f2 f3 a6", "CMPS").rep, ==, true); /* the last one counts */
    g_assert_cmpint(ok(64, "f3 f2 a6", "CMPS").repne, ==, true);
    ok(64, "f3 0f bc c1", "TZCNT");
    ok(64, "66 f3 0f bc c1", "TZCNT");
    ok(64, "f2 0f bc c1", "BSF");
    ok(64, "f3 0f 1e fa", "NOP");     /* ENDBR64 */
    ok(64, "f2 f0 0f c7 09", "CMPXCHG8B"); /* XACQUIRE */
    ok(64, "48 0f c7 09", "CMPXCHG16B");
    ok(64, "66 0f 38 f0 01", "MOVBE");
    ok(64, "f2 0f 38 f0 c1", "CRC32");
    ok(64, "66 f2 0f 38 f1 c1", "CRC32");
    ok(64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", "NOP");
    decode(64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", DEC_TOOLONG);
    decode(64, "66 66", DEC_MORE);
    decode(64, "0f", DEC_MORE);
    decode(64, "48 8b 84", DEC_MORE);
}

static void test_vex(void)
{
    struct insn in = ok(64, "c4 e2 f0 f2 c2", "ANDN");
    g_assert_cmpint(in.op[1].reg, ==, R_CX);
    g_assert_cmpint(in.op[0].size, ==, 8);
    in = ok(32, "c4 e2 f0 f2 c2", "ANDN"); /* W is ignored outside 64-bit mode */
    g_assert_cmpint(in.op[0].size, ==, 4);
    ok(64, "c5 f8 58 c1", "VADDPS");
    g_assert_cmpint(ok(64, "c5 fc 58 c1", "VADDPS").op[0].size, ==, 32);
    decode(64, "66 c5 f8 58 c1", DEC_UD);
    decode(64, "f3 c5 f8 58 c1", DEC_UD);
    decode(64, "f0 c5 f8 58 c1", DEC_UD);
    decode(64, "48 c5 f8 58 c1", DEC_UD);
    decode(64, "c5 f0 28 c1", DEC_UD); /* VMOVAPS wants vvvv = 1111b */
    ok(32, "c5 08", "LDS");
    ok(32, "c4 08", "LES");
    ok(32, "c5 f8 58 c1", "VADDPS");
    struct insn real;
    g_assert_cmpint(insn_decode(&real, (const u8 *)"\xc5\xf8\x58\xc1", 4, 16, false, PC, NULL), ==, DEC_UD);
    ok(32, "62 08", "BOUND");
}

static void test_evex(void)
{
    struct insn in = ok(64, "62 f1 6c 48 58 cb", "VADDPS"); /* zmm1, zmm2, zmm3 */
    g_assert_cmpuint(in.op[0].size, ==, 64);
    g_assert_cmpuint(in.op[1].reg, ==, 2);
    in = ok(64, "62 01 04 00 58 fe", "VADDPS"); /* xmm31, xmm31, xmm30 */
    g_assert_cmpuint(in.op[0].reg, ==, 31);
    g_assert_cmpuint(in.op[1].reg, ==, 31);
    g_assert_cmpuint(in.op[2].reg, ==, 30);
    g_assert_cmpuint(in.op[2].size, ==, 16);
    in = ok(64, "62 f1 6c 4b 58 48 01", "VADDPS"); /* zmm1{k3}, zmm2, [rax + 64]: disp8 * 64 */
    g_assert_cmpint(in.mem.disp, ==, 64);
    g_assert_cmpuint(in.evex_aaa, ==, 3);
    in = ok(64, "62 f1 6c db 58 48 ff", "VADDPS"); /* {k3}{z}, [rax - 4]{1to16} */
    g_assert_cmpint(in.mem.disp, ==, -4);
    g_assert_cmpuint(in.op[2].size, ==, 4);
    g_assert_true(in.evex_z && in.evex_b);
    in = ok(64, "62 f1 6c 38 58 cb", "VADDPS"); /* {rd-sae} */
    g_assert_cmpuint(in.op[0].size, ==, 64);
    g_assert_cmpuint(in.evex_ll, ==, 1);
    g_assert_cmpint(ok(64, "62 f1 6c 48 58 88 01 00 00 00", "VADDPS").mem.disp, ==, 1);
    g_assert_cmpint(ok(64, "62 f2 7d 48 88 48 01", "VEXPANDPS").mem.disp, ==, 4); /* elements */
    g_assert_cmpint(ok(64, "62 f2 7d 28 31 48 01", "VPMOVZXBD").mem.disp, ==, 8);
    g_assert_cmpint(ok(64, "62 f1 ff 08 12 48 01", "VMOVDDUP").mem.disp, ==, 8);
    in = ok(64, "62 a2 7d 41 90 4c b8 01", "VPGATHERDD"); /* zmm17{k1}, [rax + zmm31 * 4 + 4] */
    g_assert_cmpint(in.mem.index, ==, 31);
    g_assert_cmpint(in.mem.disp, ==, 4);
    decode(64, "62 a2 7d 40 90 4c b8 01", DEC_UD); /* no mask */
    in = ok(64, "62 f1 6c 4b c2 cb 01", "VCMPPS"); /* k1{k3} */
    g_assert_cmpint(in.op[0].kind, ==, OK_MASK);
    decode(64, "62 f1 6c cb c2 cb 01", DEC_UD);    /* zeroing a mask */
    decode(64, "62 71 6c 4b c2 cb 01", DEC_UD);    /* k9 */
    decode(64, "62 f1 6c c8 58 cb", DEC_UD);       /* {z} without a mask */
    decode(64, "62 f1 7c cb 11 08", DEC_UD);       /* {z} with a memory destination */
    decode(64, "62 f1 6c 58 14 cb", DEC_UD);       /* VUNPCKLPS has no rounding */
    decode(64, "62 f1 6c 68 58 cb", DEC_UD);       /* L'L = 3 */
    decode(64, "62 f9 6c 48 58 cb", DEC_UD);       /* reserved bit */
    decode(64, "62 f1 68 48 58 cb", DEC_UD);       /* the bit that is 1 is 0 */
    decode(64, "66 62 f1 6c 48 58 cb", DEC_UD);
    decode(64, "62 f1 6c 48 5b cb", DEC_UD);       /* VCVTDQ2PS wants vvvv = 1111b */
    decode(64, "62 f1 6c", DEC_MORE);
    ok(32, "62 f1 6c 48 58 cb", "VADDPS");
    g_assert_cmpint(ok(32, "62 61 6c", "BOUND").op[1].kind, ==, OK_MEM);
    ok(64, "c5 ec 41 cb", "KANDW");
    ok(64, "c4 e1 fb 92 c8", "KMOVQ");
    decode(32, "c4 e1 fb 92 c8", DEC_UD);
    decode(64, "c5 6c 41 cb", DEC_UD);             /* k9 */
}

/* VL, and F behind every other feature. */
static void test_evex_features(void)
{
    static const struct { const char *bytes; unsigned feat; bool ok; } v[] = {
        { "\x62\xf1\x6c\x48\x58\xcb", FEAT_AVX512VL, true }, { "\x62\xf1\x6c\x28\x58\xcb", FEAT_AVX512VL, false },
        { "\x62\xf1\x6e\x08\x58\xcb", FEAT_AVX512VL, true }, { "\x62\xf1\x6e\x08\x58\xcb", FEAT_AVX512F, false },
        { "\x62\xf1\x6d\x48\xfc\xcb", FEAT_AVX512BW, false }, { "\x62\xf2\x6d\x48\xcf\xcb", FEAT_AVX512F, false },
        { "\x62\xf2\x6d\x48\xcf\xcb", FEAT_GFNI, false }, { "\x62\xf1\x7d\x08\x6e\xc8", FEAT_AVX512VL, true },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(v); i++) {
        u64 feat[FEAT_WORDS];
        struct insn in;
        memset(feat, 0xff, sizeof(feat));
        feat[v[i].feat / 64] &= ~BIT64(v[i].feat % 64);
        g_assert_cmpint(insn_decode(&in, (const u8 *)v[i].bytes, 6, 64, true, PC, feat), ==, v[i].ok ? DEC_OK : DEC_UD);
    }
}

static void test_modes(void)
{
    static const char *const only32[] = { "06", "27", "37", "3f", "60", "61", "9a 78 56 34 12 cd ab", "ce", "d4 0a", "d5 0a", "d6", "ea 78 56 34 12 cd ab",
                                          "82 c0 01" };
    for (unsigned i = 0; i < G_N_ELEMENTS(only32); i++) {
        decode(32, only32[i], DEC_OK);
        decode(64, only32[i], DEC_UD);
    }
    ok(64, "63 c1", "MOVSXD");
    ok(32, "63 c1", "ARPL");
    ok(32, "40", "INC");
    decode(32, "0f 01 f8", DEC_UD); /* SWAPGS */
    ok(64, "0f 01 f8", "SWAPGS");
    g_assert_cmphex(ok(64, "66 e9 00 01 00 00", "JMP").imm, ==, PC + 6 + 0x100); /* 66 is ignored */
    g_assert_cmphex(ok(32, "66 e9 00 01", "JMP").imm, ==, PC + 4 + 0x100);
    g_assert_cmphex(ok(16, "eb fe", "JMP").imm, ==, PC);
}

/* A row whose feature is off shows the older instruction, or is undefined. */
static void test_features(void)
{
    static const struct { const char *bytes; unsigned n, feat; const char *mnem; } v[] = {
        { "\xf3\x0f\xbc\xc1", 4, FEAT_BMI1, "BSF" }, { "\xf3\x0f\xbd\xc1", 4, FEAT_ABM, "BSR" }, { "\xf3\x0f\xb8\xc1", 4, FEAT_POPCNT, NULL },
        { "\x0f\x05", 2, FEAT_SYSCALL, NULL }, { "\x0f\x44\xc1", 3, FEAT_CMOV, NULL }, { "\xc4\xe2\xf0\xf2\xc2", 5, FEAT_BMI1, NULL },
        { "\x0f\x01\xca", 3, FEAT_SMAP, NULL }, { "\x9f", 1, FEAT_LAHF_LM, NULL },
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(v); i++) {
        u64 feat[FEAT_WORDS];
        struct insn in;
        memset(feat, 0xff, sizeof(feat));
        g_assert_cmpint(insn_decode(&in, (const u8 *)v[i].bytes, v[i].n, 64, true, PC, feat), ==, DEC_OK);
        feat[v[i].feat / 64] &= ~BIT64(v[i].feat % 64);
        enum dec_result r = insn_decode(&in, (const u8 *)v[i].bytes, v[i].n, 64, true, PC, feat);
        g_assert_cmpint(r, ==, v[i].mnem ? DEC_OK : DEC_UD);
        if (v[i].mnem)
            g_assert_cmpstr(in.row->mnem, ==, v[i].mnem);
    }
}

/* --- against Capstone --- */
/* Half of the strings start with bytes that lead to the larger maps. */
static void random_bytes(struct insn_gen *g, u8 *buf)
{
    static const u8 lead[] = { 0x0f, 0x0f, 0xc4, 0xc5, 0x66, 0xf3, 0xf2, 0x48, 0xf0, 0x67 };
    unsigned n = 0, kind = (unsigned)insn_gen_random(g) % 8;
    for (unsigned i = 0; i < 16; i++)
        buf[i] = (u8)insn_gen_random(g);
    while (n < kind % 4)
        buf[n++] = lead[insn_gen_random(g) % sizeof(lead)];
    if (n && buf[n - 1] == 0xc4)
        buf[n] = (u8)((buf[n] & 0xe0) | (insn_gen_random(g) % 3 + 1));
    if (n && buf[n - 1] == 0x0f && kind & 4)
        buf[n] = kind & 1 ? 0x38 : 0x3a;
}

static void compare_one(const u8 *buf, unsigned bits)
{
    struct insn in;
    enum dec_result r = insn_decode(&in, buf, 15, bits, true, PC, NULL);
    unsigned theirs = capstone_insn_len(bits, PC, buf, 15);
    if (r == DEC_OK && theirs ? in.len == theirs || capstone_length_wrong(&in) : r != DEC_OK || capstone_lacks(&in))
        return;
    GString *s = g_string_new(NULL);
    for (unsigned i = 0; i < 15; i++)
        g_string_append_printf(s, " %02x", buf[i]);
    g_test_message("%u-bit%s: %s, length %u; Capstone: length %u", bits, s->str, in.row->mnem, in.len, theirs);
    g_string_free(s, TRUE);
    g_test_fail();
}

static void test_capstone(void)
{
    for (unsigned bits = 16; bits <= 64; bits *= 2) {
        struct insn_gen g = { .seed = 88172645463325252ull + bits, .bits = bits };
        for (unsigned i = 0; i < 300000; i++) {
            u8 buf[16];
            random_bytes(&g, buf);
            compare_one(buf, bits);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    g_test_add_func("/cpu/decode/sizes", test_sizes);
    g_test_add_func("/cpu/decode/registers", test_registers);
    g_test_add_func("/cpu/decode/memory", test_memory);
    g_test_add_func("/cpu/decode/prefixes", test_prefixes);
    g_test_add_func("/cpu/decode/vex", test_vex);
    g_test_add_func("/cpu/decode/evex", test_evex);
    g_test_add_func("/cpu/decode/evex-features", test_evex_features);
    g_test_add_func("/cpu/decode/modes", test_modes);
    g_test_add_func("/cpu/decode/features", test_features);
    g_test_add_func("/cpu/decode/capstone", test_capstone);
    return g_test_run();
}
