/* The instruction oracle for emitted code: what tests/cpu/oracle/oracle_test.c does, with the baseline backend as the engine. Tests
 * accel/dbt/x64/. */
#include <glib.h>
#include "accel/dbt/backend.h"
#include "accel/dbt/tb.h"
#include "cpu/fault.h"
#include "tests/lib/oracle.h"
#include "tests/lib/tb_copy.h"

static struct oracle oracle;

/* --- what emitted code calls; the run loop's versions are not linked --- */
static struct tb the_tb;

struct tb *tb_by_host_pc(const void *pc) { return &the_tb; }

const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc)
{
    unsigned size = size_acc & 0xff, acc = (size_acc >> 8 & ~(u32)ACC_MASKED) | cpu_data_acc(c);
    struct mem_fault f;
    void *host;
    switch (mem_probe(cpu_mem(c), addr, size, acc, &host, &f)) {
    case PROBE_RAM:
        return host;
    case PROBE_FAULT:
        if (size_acc >> 8 & ACC_MASKED || (size >= 16 && addr & (size - 1)))
            break;
        cpu_raise_pf(c, &f, acc);
    case PROBE_SLOW:
        break;
    }
    cpu_unwind(c, UNW_INTERP_ONE);
}

static void step(struct oracle *o)
{
    oracle_lift(o);
    if (backend_compile(o->block, &the_tb, &the_tb.code) < 0) {
        backend_flush();
        g_assert_cmpint(backend_compile(o->block, &the_tb, &the_tb.code), ==, 0);
    }
    static unsigned cases; /* some by a copy */
    if (++cases % 16 == 0)
        tb_to_copy(&the_tb, o->block);
    dbt_enter(o->f->c, the_tb.code.entry);
}

static void run(unsigned bits, void (*test)(struct oracle *o), bool segmented)
{
    if (oracle_init(&oracle, bits, step)) {
        if (segmented)
            oracle.f->c->mode &= ~(u32)MODE_FLAT;
        oracle.f->c->jc_key = oracle.f->c->jc_live = 0x5bd1e995a3c59ac3ull;
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

/* Every probe misses the TLB. */
static void test_rows_force_miss(void)
{
    backend_stress.force_miss = true;
    test_rows_64();
    test_rows_32();
    backend_stress.force_miss = false;
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    if (backend_init(16 * MiB, &e) < 0 || dbt_signal_init(&e) < 0)
        g_error("%s", e.msg);
    g_test_add_func("/dbt/oracle/rows-64", test_rows_64);
    g_test_add_func("/dbt/oracle/rows-32", test_rows_32);
    g_test_add_func("/dbt/oracle/rows-32-segmented", test_rows_32_segmented);
    g_test_add_func("/dbt/oracle/rows-16", test_rows_16);
    g_test_add_func("/dbt/oracle/rows-force-miss", test_rows_force_miss);
    int r = g_test_run();
    backend_fini();
    return r;
}
