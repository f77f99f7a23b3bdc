/* Tests of accel/dbt/x64/enc.c: what the encoders write is what Capstone reads, for every base, index, scale and size of displacement. Run by
 * `make check`. */
#include <glib.h>
#include "accel/dbt/x64/enc.h"
#include "disas/disas.h"

static const char *const r64[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
static const char *const r32[16] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d",
                                     "r14d", "r15d" };
static const char *const r8[16] = { "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b" };

static u8 buf[32];

static struct enc start(void) { return (struct enc){ buf, 0 }; }

/* The text of the one instruction in buf; spaces after commas removed. */
static char *text(const struct enc *e)
{
    char t[128], *out = g_malloc0(128), *o = out;
    unsigned n = disas_insn(64, 0, buf, (size_t)(e->p - buf), t, sizeof(t));
    g_assert_cmpuint(n, ==, (unsigned)(e->p - buf));
    for (const char *p = t; *p; p++)
        if (!(*p == ' ' && p > t && p[-1] == ','))
            *o++ = *p == '\t' ? ' ' : *p;
    return out;
}

/* AT&T syntax as Capstone writes it. */
static char *mem_text(struct rm m)
{
    GString *s = g_string_new(NULL);
    i64 d = m.disp;
    if (d)
        g_string_append_printf(s, (d < 0 ? -d : d) > 9 ? "%s0x%llx" : "%s%llu", d < 0 ? "-" : "", (unsigned long long)(d < 0 ? -d : d));
    g_string_append_printf(s, "(%%%s", r64[m.base]);
    if (m.index >= 0)
        g_string_append_printf(s, ",%%%s", r64[m.index]);
    if (m.index >= 0 && m.scale)
        g_string_append_printf(s, ",%u", 1u << m.scale);
    g_string_append_c(s, ')');
    return g_string_free(s, FALSE);
}

static void check(const struct enc *e, const char *want)
{
    char *got = text(e);
    g_assert_cmpstr(got, ==, want);
    g_free(got);
}

static void test_memory(void)
{
    static const i32 disps[] = { 0, 1, -1, 127, -128, 128, -129, 0x12345678, -0x12345678 };
    for (int base = 0; base < 16; base++) {
        for (int index = -1; index < 16; index++) {
            for (unsigned k = 0; index != RSP && k < 4 * ARRAY_LEN(disps); k++) {
                struct rm m = rm_sib(base, index, index < 0 ? 0 : k & 3, disps[k >> 2]);
                unsigned reg = (unsigned)(base * 7 + index + (int)k) & 15;
                char *a = mem_text(m), *want;
                struct enc e = start();
                enc_load(&e, 8, reg, m);
                check(&e, want = g_strdup_printf("movq %s,%%%s", a, r64[reg]));
                g_free(want);
                e = start();
                enc_store(&e, 1, m, reg);
                check(&e, want = g_strdup_printf("movb %%%s,%s", r8[reg], a));
                g_free(want);
                e = start();
                enc_lea(&e, 4, reg, m);
                check(&e, want = g_strdup_printf("leal %s,%%%s", a, r32[reg]));
                g_free(want);
                e = start();
                enc_pext(&e, reg, (reg + 3) & 15, m);
                check(&e, want = g_strdup_printf("pextq %s,%%%s,%%%s", a, r64[(reg + 3) & 15], r64[reg]));
                g_free(want);
                g_free(a);
            }
        }
    }
}

static void test_registers(void)
{
    for (unsigned d = 0; d < 16; d++) {
        for (unsigned s = 0; s < 16; s++) {
            char *want;
            struct enc e = start();
            enc_mov_rr(&e, 1, d, s);
            check(&e, want = g_strdup_printf("movb %%%s,%%%s", r8[s], r8[d]));
            g_free(want);
            e = start();
            enc_movzx(&e, d, 1, rm_reg((int)s));
            check(&e, want = g_strdup_printf("movzbl %%%s,%%%s", r8[s], r32[d]));
            g_free(want);
            e = start();
            enc_alu_rm(&e, 4, 5, d, rm_reg((int)s));
            check(&e, want = g_strdup_printf("subl %%%s,%%%s", r32[s], r32[d]));
            g_free(want);
            e = start();
            enc_rorx(&e, 8, d, rm_reg((int)s), 8);
            check(&e, want = g_strdup_printf("rorxq $8,%%%s,%%%s", r64[s], r64[d]));
            g_free(want);
            e = start();
            enc_shrx(&e, d, rm_reg((int)s), RBP);
            check(&e, want = g_strdup_printf("shrxq %%rbp,%%%s,%%%s", r64[s], r64[d]));
            g_free(want);
        }
    }
}

/* Every length of the constant gives the whole value. */
static void test_constants(void)
{
    static const u64 v[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0xffffffff80000000, 0xffffffff7fffffff, ~0ull };
    static const unsigned len[] = { 5, 5, 5, 5, 5, 10, 7, 10, 7 };
    for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
        struct enc e = start();
        enc_mov_ri(&e, RDX, v[i]);
        g_assert_cmpuint((unsigned)(e.p - buf), ==, len[i]);
        g_free(text(&e));
    }
    for (unsigned n = 1; n < 20; n++) {
        struct enc e = start();
        enc_nop(&e, n);
        g_assert_cmpuint((unsigned)(e.p - buf), ==, n);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dbt/x64/enc/memory", test_memory);
    g_test_add_func("/dbt/x64/enc/registers", test_registers);
    g_test_add_func("/dbt/x64/enc/constants", test_constants);
    return g_test_run();
}
