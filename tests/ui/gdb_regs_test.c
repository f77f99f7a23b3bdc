/* Tests ui/gdb_regs.c: numbering, sizes and values of registers, and that the description fits them. */
#include <glib.h>
#include "cpu/cpuid.h"
#include "ui/gdb_regs.h"

static struct cpu *cpu_new(bool long_mode)
{
    struct cpu *c = g_aligned_alloc0(1, sizeof(*c), 64);
    struct cpu_model *m = g_new0(struct cpu_model, 1);

    m->feat[FEAT_AVX / 64] |= BIT64(FEAT_AVX % 64);
    m->feat[FEAT_AVX512F / 64] |= BIT64(FEAT_AVX512F % 64);
    if (long_mode)
        m->feat[FEAT_LM / 64] |= BIT64(FEAT_LM % 64);
    c->model = m;
    return c;
}

static void cpu_delete(struct cpu *c)
{
    g_free((void *)c->model);
    g_aligned_free(c);
}

/* The number of a register is its place in the XML. */
static int number_of(const struct gdb_regs *r, const char *name)
{
    char *key = g_strdup_printf("<reg name=\"%s\"", name);
    const char *xml = gdb_regs_xml(r), *at = strstr(xml, key);
    int n = 0;

    g_free(key);
    g_assert_nonnull(at);
    for (const char *p = strstr(xml, "<reg "); p && p < at; p = strstr(p + 1, "<reg "))
        n++;
    return n;
}

static u64 get(const struct gdb_regs *r, const struct cpu *c, const char *name)
{
    u8 buf[GDB_REG_MAX] = { 0 };

    g_assert_cmpuint(gdb_reg_read(r, c, (unsigned)number_of(r, name), buf), <=, GDB_REG_MAX);
    return ld64(buf);
}

static int set(const struct gdb_regs *r, struct cpu *c, const char *name, u64 v)
{
    u8 buf[GDB_REG_MAX] = { 0 };

    st64(buf, v);
    return gdb_reg_write(r, c, (unsigned)number_of(r, name), buf, sizeof(buf));
}

static void test_layout_64(void)
{
    struct cpu *c = cpu_new(true);
    struct gdb_regs *r = gdb_regs_new(c);

    g_assert_nonnull(strstr(gdb_regs_xml(r), "<architecture>i386:x86-64</architecture>"));
    /* gdb's fixed order: rbx is second, rip 16th, eflags 17th, st0 24th, xmm0 40th. */
    g_assert_cmpint(number_of(r, "rbx"), ==, 1);
    g_assert_cmpint(number_of(r, "rsp"), ==, 7);
    g_assert_cmpint(number_of(r, "rip"), ==, 16);
    g_assert_cmpint(number_of(r, "eflags"), ==, 17);
    g_assert_cmpint(number_of(r, "cs"), ==, 18);
    g_assert_cmpint(number_of(r, "st0"), ==, 24);
    g_assert_cmpint(number_of(r, "xmm0"), ==, 40);
    g_assert_cmpint(number_of(r, "mxcsr"), ==, 56);
    number_of(r, "ymm15h");
    number_of(r, "k_gs_base");
    for (unsigned i = 0; i < gdb_regs_count(r); i++)
        g_assert_cmpuint(gdb_reg_read(r, c, i, (u8[GDB_REG_MAX]){ 0 }), >, 0);
    g_assert_cmpuint(gdb_reg_read(r, c, gdb_regs_count(r), (u8[GDB_REG_MAX]){ 0 }), ==, 0);
    gdb_regs_free(r);
    cpu_delete(c);
}

static void test_layout_32(void)
{
    struct cpu *c = cpu_new(false);
    struct gdb_regs *r = gdb_regs_new(c);

    g_assert_nonnull(strstr(gdb_regs_xml(r), "<architecture>i386</architecture>"));
    g_assert_cmpint(number_of(r, "ebx"), ==, 3);
    g_assert_cmpint(number_of(r, "eip"), ==, 8);
    g_assert_cmpint(number_of(r, "mxcsr"), ==, 40);
    g_assert_null(strstr(gdb_regs_xml(r), "fs_base"));
    c->gpr[R_DI] = 0x123456789;
    g_assert_cmphex(get(r, c, "edi"), ==, 0x23456789);
    gdb_regs_free(r);
    cpu_delete(c);
}

static void test_values(void)
{
    struct cpu *c = cpu_new(true);
    struct gdb_regs *r = gdb_regs_new(c);

    cpu_set_rflags(c, F_CF | F_IF | F_OF);
    g_assert_cmphex(get(r, c, "eflags"), ==, 0x2 | F_CF | F_IF | F_OF);
    g_assert_cmpint(set(r, c, "eflags", F_ZF | F_DF), ==, 4);
    g_assert_cmphex(cpu_rflags(c), ==, 0x2 | F_ZF | F_DF);
    set(r, c, "r13", 77);
    g_assert_cmphex(c->gpr[13], ==, 77);
    set(r, c, "fs_base", 0xffff800000000000);
    g_assert_cmphex(c->seg[S_FS].base, ==, 0xffff800000000000);
    set(r, c, "xmm3", 0x1122);
    g_assert_cmphex(ld64(c->vreg[3]), ==, 0x1122);
    set(r, c, "ymm3h", 0x3344);
    g_assert_cmphex(ld64(c->vreg[3] + 16), ==, 0x3344);
    g_assert_cmpuint(c->zmm_live, ==, 0);
    g_assert_cmpint(set(r, c, "zmm3h", 0x5566), ==, 32);
    g_assert_cmphex(ld64(c->vreg[3] + 32), ==, 0x5566);
    g_assert_cmpuint(c->zmm_live, ==, 1);
    set(r, c, "zmm3h", 0);
    g_assert_cmpuint(c->zmm_live, ==, 0);
    set(r, c, "k5", 0x7788);
    g_assert_cmphex(c->kreg[5], ==, 0x7788);
    g_assert_cmphex(get(r, c, "k5"), ==, 0x7788);
    set(r, c, "xmm31", 1);
    set(r, c, "ymm31h", 2);
    set(r, c, "zmm31h", 3);
    g_assert_cmphex(ld64(c->vreg[31]), ==, 1);
    g_assert_cmphex(ld64(c->vreg[31] + 16), ==, 2);
    g_assert_cmphex(ld64(c->vreg[31] + 32), ==, 3);
    g_assert_cmphex(get(r, c, "zmm31h"), ==, 3);
    g_assert_cmpint(set(r, c, "mxcsr", 0x10000), ==, -1);
    g_assert_cmpint(set(r, c, "st2", 0x55), ==, 10);
    g_assert_cmphex(ld64(c->fx + 32 + 2 * 16), ==, 0x55);
    gdb_regs_free(r);
    cpu_delete(c);
}

static void test_x87_tags(void)
{
    struct cpu *c = cpu_new(true);
    struct gdb_regs *r = gdb_regs_new(c);

    g_assert_cmphex(get(r, c, "ftag"), ==, 0xffff); /* all empty */
    st16(c->fx + 2, 6 << 11);                       /* TOP = 6: ST0 is physical 6, ST1 is 7 */
    c->fx[4] = 0xc0;
    st64(c->fx + 32, BIT64(63)); /* 1.0 */
    st16(c->fx + 40, 0x3fff);
    g_assert_cmphex(get(r, c, "ftag"), ==, 0x4fff); /* 6 valid, 7 zero */
    set(r, c, "ftag", 0xfffc);
    g_assert_cmphex(c->fx[4], ==, 1);
    set(r, c, "fctrl", 0x37f);
    g_assert_cmphex(ld16(c->fx), ==, 0x37f);
    gdb_regs_free(r);
    cpu_delete(c);
}

/* A debugger must not switch modes behind the CPU's back, nor load a selector without its descriptor. */
static void test_refused(void)
{
    struct cpu *c = cpu_new(true);
    struct gdb_regs *r = gdb_regs_new(c);

    g_assert_cmpint(set(r, c, "cr0", CR0_PE), ==, -1);
    g_assert_cmpint(set(r, c, "cr0", CR0_WP), ==, 8);
    g_assert_cmpint(set(r, c, "cr4", CR4_PAE), ==, -1);
    g_assert_cmpint(set(r, c, "efer", EFER_LMA), ==, -1);
    g_assert_cmpint(set(r, c, "ds", 0x40), ==, 4);
    g_assert_cmphex(c->seg[S_DS].base, ==, 0x400);
    c->cr0 = CR0_PE;
    g_assert_cmpint(set(r, c, "ds", 0x48), ==, -1);
    g_assert_cmpint(set(r, c, "ds", 0x40), ==, 4);
    gdb_regs_free(r);
    cpu_delete(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gdb-regs/layout-64", test_layout_64);
    g_test_add_func("/gdb-regs/layout-32", test_layout_32);
    g_test_add_func("/gdb-regs/values", test_values);
    g_test_add_func("/gdb-regs/x87-tags", test_x87_tags);
    g_test_add_func("/gdb-regs/refused", test_refused);
    return g_test_run();
}
