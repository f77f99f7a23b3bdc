/* Golden file of what the translator makes of some typical guest code: the IR in full and the size of the emitted code, so that a change of either
 * is a reviewed difference. tests/accel/dbt/x64/golden.txt is compared; GOLDEN_UPDATE=1 writes it anew. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include "accel/dbt/tb.h"
#include "accel/dbt/x64/jit.h"
#include "cpu/lift/lift.h"
#include "tests/lib/fake_cpu.h"

#define GOLDEN "tests/accel/dbt/x64/golden.txt"
#define PC 0x1000ull
#define CODE_MAX 128

/* --- what emitted code calls; nothing is run --- */
static struct tb tb;
struct tb *tb_by_host_pc(const void *pc) { return NULL; }
const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc) { g_assert_not_reached(); }

struct code {
    u8 b[CODE_MAX];
    unsigned n;
};

static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    const struct code *k = opaque;
    unsigned at = (unsigned)(pc - PC);
    if (at >= k->n)
        return 0;
    n = MIN_OF(n, k->n - at);
    memcpy(buf, k->b + at, n);
    return (int)n;
}

/* "64 48 01 d8 ...": code size, bytes. */
static unsigned parse(const char *line, struct code *k)
{
    char *p;
    unsigned bits = (unsigned)strtoul(line, &p, 10);
    k->n = 0;
    while (*p && k->n < CODE_MAX) {
        k->b[k->n++] = (u8)strtoul(p, &p, 16);
        p += strspn(p, " ");
    }
    return bits;
}

/* What is made of one case, as it stands in the file. */
static void describe(const char *line, GString *out, unsigned *size)
{
    static struct ir_block b;
    struct code k;
    unsigned bits = parse(line, &k);
    struct fake_cpu *f = fake_cpu_new(bits, NULL);
    int n = lift_block(&b, f->c, PC, 64, fetch, &k);
    g_assert_cmpint(n, >, 0);
    g_assert_null(ir_check(&b));
    ir_print(&b, out);
    backend_flush(); /* so that each begins at the same offset */
    backend_place(0); /* what is aligned depends on where it lies */
    g_assert_cmpint(backend_compile(&b, &tb, &tb.code), ==, 0);
    *size = tb.code.size + tb.code.cold_size;
    fake_cpu_free(f);
}

/* Cases begin with "== CASE # what it is", then comes the IR, then "-- N bytes of code". */
static char *renew(char *const *lines)
{
    GString *out = g_string_new(NULL);
    bool in_case = false;
    for (; *lines; lines++) {
        if (strncmp(*lines, "== ", 3)) {
            if (!in_case && (lines[1] || **lines))
                g_string_append_printf(out, "%s\n", *lines);
            continue;
        }
        g_autofree char *code = g_strndup(*lines + 3, strcspn(*lines + 3, "#"));
        unsigned size;
        in_case = true;
        g_string_append_printf(out, "%s\n", *lines);
        describe(code, out, &size);
        g_string_append_printf(out, "-- %u bytes of code\n", size);
    }
    return g_string_free(out, FALSE);
}

/* The sizes are those of hosts that have both. */
static bool sizes_count(void) { return x64_host.bmi2 && x64_host.avx; }

static void compare(char *const *want, char *const *got)
{
    const char *at = "";
    for (unsigned i = 0; want[i] || got[i]; i++) {
        if (want[i] && !strncmp(want[i], "== ", 3))
            at = want[i];
        if (want[i] && !strncmp(want[i], "-- ", 3) && !sizes_count())
            continue;
        if (g_strcmp0(want[i], got[i])) {
            g_test_message("%s: \"%s\" instead of \"%s\" (if that is right: GOLDEN_UPDATE=1)", at, got[i] ? got[i] : "", want[i] ? want[i] : "");
            g_test_fail();
            return;
        }
    }
}

static void test_golden(void)
{
    g_autofree char *text = NULL;
    GError *e = NULL;
    if (!g_file_get_contents(GOLDEN, &text, NULL, &e))
        g_error("%s", e->message);
    g_auto(GStrv) want = g_strsplit(text, "\n", -1);
    g_autofree char *now = renew(want);
    g_auto(GStrv) got = g_strsplit(now, "\n", -1);
    if (g_getenv("GOLDEN_UPDATE"))
        g_assert_true(g_file_set_contents(GOLDEN, now, -1, NULL));
    else
        compare(want, got);
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    if (backend_init(4 * MiB, &e) < 0)
        g_error("%s", e.msg);
    g_test_add_func("/dbt/x64/golden", test_golden);
    int ret = g_test_run();
    backend_fini();
    return ret;
}
