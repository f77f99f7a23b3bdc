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

static void test_rows(void) { oracle_rows(&oracle); }
static void test_undefined(void) { oracle_undefined(&oracle); }

int main(int argc, char **argv)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    struct err e;
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    if (carry_probe(&e))
        g_error("%s", e.msg);
    oracle_init(&oracle, step);
    sigaction(SIGFPE, &sa, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    g_test_add_func("/cpu/oracle/rows", test_rows);
    g_test_add_func("/cpu/oracle/undefined", test_undefined);
    int r = g_test_run();
    oracle_fini(&oracle);
    return r;
}
