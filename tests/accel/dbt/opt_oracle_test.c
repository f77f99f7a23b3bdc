/* The instruction oracle through the optimiser (accel/dbt/opt): each instruction that regions may have is made a region of its own. The cases are gone
 * through twice, the same ones each time: first their regions are collected, which the worker process then compiles by the batch, and then they run.
 * Fewer cases for a row than elsewhere, as each is a run of the compiler: ORACLE_CASES says how many. */
#include <glib.h>
#include <stdlib.h>
#include "accel/dbt/tb.h"
#include "cpu/fault.h"
#include "tests/lib/opt_worker.h"
#include "tests/lib/oracle.h"

#define CASES "4"
#define ELSEWHERE (HI_CODE + 0x76543210) /* where the block below a region leads */

static struct oracle oracle;
static struct tb the_tb;
static struct ir_block below = { .pc = HI_CODE, .rel = true };

/* --- what emitted code calls; the run loop's versions are not linked --- */
struct tb *tb_by_host_pc(const void *pc) { return &the_tb; }
const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc) { cpu_unwind(c, UNW_INTERP_ONE); }

/* --- collecting --- */
static GPtrArray *regions;     /* struct opt_region, in the order of the cases; NULL: an instruction for the baseline */
static const u8 **functions;
static unsigned at, through, not_through;

static void step_collect(struct oracle *o)
{
    oracle_lift(o);
    struct opt_region *r = opt_worker_region(o->block);
    if (!r->n_insns) {
        g_free(r);
        r = NULL;
    }
    g_ptr_array_add(regions, r);
    ir_interp(o->f->c, o->block);
}

static void compile_all(void)
{
    const struct opt_region *batch[OPT_BATCH_MAX];
    const u8 *fn[OPT_BATCH_MAX];
    unsigned where[OPT_BATCH_MAX], n = 0;
    functions = g_new0(const u8 *, regions->len + 1);
    for (unsigned i = 0; i <= regions->len; i++) {
        if (i < regions->len && (batch[n] = g_ptr_array_index(regions, i)))
            where[n++] = i;
        if (n != OPT_BATCH_MAX && !(n && i == regions->len))
            continue;
        opt_worker_compile(batch, n, fn);
        for (; n; n--)
            functions[where[n - 1]] = fn[n - 1];
    }
}

/* --- running --- */
static bool uses_stack(const struct opt_region *r)
{
    for (unsigned i = 0; i < r->n_ops; i++) {
        const struct ir_val v[] = { r->op[i].d, r->op[i].a, r->op[i].b };
        for (unsigned k = 0; k < 3; k++)
            if (v[k].kind == K_GPR && v[k].n == R_SP)
                return true;
    }
    return false;
}

/* The pages that regions may find in the TLB. */
static void warm(struct cpu *c)
{
    void *host;
    struct mem_fault f;
    for (u64 a = HI_DATA; a < HI_DATA + HI_DATA_SIZE; a += PAGE_SIZE)
        if (mem_probe(cpu_mem(c), a, 1, ACC_WRITE | cpu_data_acc(c), &host, &f) != PROBE_RAM)
            mem_probe(cpu_mem(c), a, 1, ACC_READ | cpu_data_acc(c), &host, &f);
}

static void step_run(struct oracle *o)
{
    struct cpu *c = o->f->c;
    struct opt_region *r = at < regions->len ? g_ptr_array_index(regions, at) : NULL;
    const u8 *function = r ? functions[at] : NULL;
    u64 entered = 0, sp = c->gpr[R_SP], pc = c->rip;
    struct compiled region;
    at++;
    oracle_lift(o);
    if (!function) {
        ir_interp(c, o->block);
        return;
    }
    g_assert_cmpint(memcmp(r->op, o->block->op, r->n_ops * sizeof(r->op[0])), ==, 0); /* it is the case that it was made of */
    the_tb.code.pc = pc;
    g_assert_cmpint(backend_region(&the_tb.code, function, 0, &the_tb, &entered, &region), ==, 0);
    warm(c);
    if (!uses_stack(r))
        c->gpr[R_SP] = HI_DATA;
    dbt_enter(c, region.entry);
    g_assert_cmpuint(entered, ==, 1);
    if (!uses_stack(r))
        c->gpr[R_SP] = sp;
    if (c->rip == ELSEWHERE) { /* left to the baseline; here, to the interpreter */
        c->rip = pc;
        not_through++;
        ir_interp(c, o->block);
    } else {
        through++;
    }
}

static bool run(void (*step)(struct oracle *o))
{
    bool ok = oracle_init(&oracle, 64, step);
    if (ok) {
        oracle.f->c->jc_key = oracle.f->c->jc_live = 0x5bd1e995a3c59ac3ull;
        oracle_rows(&oracle);
    } else {
        g_test_skip("this host does not run code in that mode");
    }
    oracle_fini(&oracle);
    return ok;
}

static void test_rows_64(void)
{
    if (!opt_worker_there()) {
        g_test_skip("no libgccjit");
        return;
    }
    regions = g_ptr_array_new_with_free_func(g_free);
    if (run(step_collect)) {
        compile_all();
        run(step_run);
        g_test_message("%u cases ran as regions, %u left them at once", through, not_through);
        g_assert_cmpuint(through, >, 4 * not_through);
    }
    g_free(functions);
    g_ptr_array_free(regions, TRUE);
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    g_setenv("ORACLE_CASES", CASES, FALSE);
    insn_table_init();
    if (backend_init(128 * MiB, &e) < 0 || dbt_signal_init(&e) < 0)
        g_error("%s", e.msg);
    struct ir_op *exit = ir_emit(&below, IR_INSN, 0);
    below.n_insns = 1;
    exit = ir_emit(&below, IR_EXIT, 8);
    exit->imm = ELSEWHERE;
    g_assert_cmpint(backend_compile(&below, &the_tb, &the_tb.code), ==, 0);
    g_test_add_func("/dbt/opt/oracle/rows-64", test_rows_64);
    int r = g_test_run();
    backend_fini();
    return r;
}
