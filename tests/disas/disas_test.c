/* Tests disas/disas.c: sizes in the three modes, the printed form, and bytes that are no instruction. */
#include "disas/disas.h"
#include <glib.h>

static void test_modes(void)
{
    static const struct {
        unsigned bits, len;
        const char *bytes, *text;
    } t[] = {
        { 64, 3, "\x48\x89\xc8", "movq %rcx, %rax" }, { 32, 1, "\x48\x89\xc8", "decl %eax" },
        { 16, 3, "\xb8\x34\x12\x00\x00", "movw $0x1234, %ax" }, { 32, 5, "\xb8\x34\x12\x00\x00", "movl $0x1234, %eax" },
        { 64, 2, "\xeb\xfe", "jmp 0x1000" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        char text[128];
        g_assert_cmpuint(disas_insn(t[i].bits, 0x1000, (const u8 *)t[i].bytes, 5, text, sizeof(text)), ==, t[i].len);
        g_assert_cmpstr(text, ==, t[i].text);
    }
}

static void test_bad(void)
{
    char text[16];

    g_assert_cmpuint(disas_insn(64, 0, (const u8 *)"\x0f", 1, text, sizeof(text)), ==, 0);
    g_assert_cmpstr(text, ==, "(bad)");
    g_assert_cmpuint(disas_insn(64, 0, (const u8 *)"", 0, text, sizeof(text)), ==, 0);
}

static void test_print(void)
{
    GString *s = g_string_new(NULL);
    const u8 code[] = { 0x90, 0x06, 0xf4 }; /* 06 is no instruction in 64-bit mode */

    g_assert_cmpuint(disas_print(s, 64, 0x400000, code, sizeof(code), 0), ==, 3);
    g_assert_cmpstr(s->str, ==,
                    "0x00400000:  90                       nop\n"
                    "0x00400001:  06                       (bad)\n"
                    "0x00400002:  f4                       hlt\n");
    g_string_truncate(s, 0);
    g_assert_cmpuint(disas_print(s, 64, 0, code, sizeof(code), 1), ==, 1);
    g_string_free(s, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/disas/modes", test_modes);
    g_test_add_func("/disas/bad", test_bad);
    g_test_add_func("/disas/print", test_print);
    return g_test_run();
}
