/* Libraries loaded when needed: every function of the list is there, calls through entries get their arguments, an absent one is an error. Test thread. */
#include "util/lazy.h"
#include <capstone/capstone.h>
#include <glib.h>
#include "util/err.h"

/* What is called under these names here are the entries, which come before the libraries when a test is linked. */
static void test_call(void)
{
    static const uint8_t code[] = { 0x48, 0x01, 0xd8, 0xc3 };
    csh h;
    cs_insn *insn;
    g_assert_cmpint(cs_open(CS_ARCH_X86, CS_MODE_64, &h), ==, CS_ERR_OK);
    for (unsigned i = 0; i < 2; i++) { /* the second time without a look-up */
        g_assert_cmpuint(cs_disasm(h, code, sizeof(code), 0x1234567890ull, 2, &insn), ==, 2);
        g_assert_cmpstr(insn[0].mnemonic, ==, "add");
        g_assert_cmpstr(insn[0].op_str, ==, "rax, rbx");
        g_assert_cmphex(insn[1].address, ==, 0x1234567893ull);
        cs_free(insn, 2);
    }
    cs_close(&h);
}

static void test_rows(void)
{
    enum lazy_lib lib;
    const char *name;
    struct err e;
    unsigned rows = 0;
    for (; (name = lazy_name(rows, &lib)); rows++) {
        if (lazy_load(lib, &e) < 0)
            g_error("%s", e.msg);
        if (!lazy_variable(lib, name))
            g_error("%s is not in its library", name);
    }
    g_assert_cmpuint(rows, >=, 5);
    g_assert_null(lazy_variable(LAZY_CAPSTONE, "no_such_function"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/util/lazy/call", test_call);
    g_test_add_func("/util/lazy/rows", test_rows);
    return g_test_run();
}
