/* The instruction oracle for the interpreter: random instances of every row of the instruction table that user code can execute, run natively on
 * the host and by us, all visible state compared; and which byte strings are instructions at all. Options: tests/lib/oracle_run.c. Tests
 * cpu/decode/, cpu/lift/, cpu/ir/interp.c, cpu/help/. */
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include "cpu/help/carry.h"
#include "tests/lib/oracle.h"

static struct oracle oracle;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
    if (!carry_fixup(uc)) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
}

static void step(struct oracle *o)
{
    oracle_lift(o);
    ir_interp(o->f->c, o->block);
}

static void run(unsigned bits, void (*test)(struct oracle *o), bool segmented)
{
    if (oracle_init(&oracle, bits, step)) {
        if (segmented)
            oracle.f->c->mode &= ~(u32)MODE_FLAT;
        test(&oracle);
    } else {
        g_test_skip("this host does not run code in that mode");
    }
    oracle_fini(&oracle);
}

static void test_rows_64(void) { run(64, oracle_rows, false); }
static void test_rows_32(void) { run(32, oracle_rows, false); }
static void test_rows_32_segmented(void) { run(32, oracle_rows, true); }
static void test_rows_16(void) { run(16, oracle_rows, false); }
static void test_undefined_64(void) { run(64, oracle_undefined, false); }
static void test_undefined_32(void) { run(32, oracle_undefined, false); }
static void test_undefined_16(void) { run(16, oracle_undefined, false); }

int main(int argc, char **argv)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    struct err e;
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    if (carry_probe(&e))
        g_error("%s", e.msg);
    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    g_test_add_func("/cpu/oracle/rows-64", test_rows_64);
    g_test_add_func("/cpu/oracle/rows-32", test_rows_32);
    g_test_add_func("/cpu/oracle/rows-32-segmented", test_rows_32_segmented);
    g_test_add_func("/cpu/oracle/rows-16", test_rows_16);
    g_test_add_func("/cpu/oracle/undefined-64", test_undefined_64);
    g_test_add_func("/cpu/oracle/undefined-32", test_undefined_32);
    g_test_add_func("/cpu/oracle/undefined-16", test_undefined_16);
    return g_test_run();
}
