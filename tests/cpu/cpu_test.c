/* Tests of cpu/cpu.c: reset values, mode bits, what the engine is told. */
#include <glib.h>
#include "cpu/debug.h"
#include "tests/lib/pm_cpu.h"

static void test_reset(void)
{
    struct pm_cpu *p = pm_new(32, "max");
    struct cpu *c = p->c;
    c->lstar = 5;
    c->cr0 |= CR0_CD;
    cpu_reset(c, true);
    g_assert_cmphex(c->cr0, ==, CR0_CD | CR0_ET);
    g_assert_cmphex(c->lstar, ==, 5); /* INIT keeps MSRs */
    g_assert_false(c->wait_sipi);
    c->index = 1;
    cpu_reset(c, false);
    g_assert_true(c->wait_sipi);
    g_assert_cmphex(c->lstar, ==, 0);
    g_assert_cmphex(c->rip, ==, 0xfff0);
    g_assert_cmphex(c->seg[S_CS].base, ==, 0xffff0000u);
    g_assert_cmphex(c->seg[S_CS].sel, ==, 0xf000);
    g_assert_cmphex(c->gpr[R_DX], ==, 0x00a10f10);
    g_assert_cmphex(c->cr0, ==, 0x60000010);
    g_assert_cmphex(c->dr[6], ==, 0xffff0ff0u);
    g_assert_cmphex(c->dr[7], ==, 0x400);
    g_assert_cmphex(c->mxcsr, ==, 0x1f80);
    g_assert_cmphex(c->xcr0, ==, 1);
    g_assert_cmphex(c->pat, ==, 0x0007040600070406ull);
    g_assert_cmphex(cpu_rflags(c), ==, 2);
    g_assert_cmphex(c->mode & (MODE_PE | MODE_SIZE | MODE_CPL | MODE_IOPL_OK | MODE_FLAT | MODE_SS32), ==, MODE_16 | MODE_IOPL_OK);
    c->index = 0;
    pm_free(p);
}

static void test_flat(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    g_assert_cmphex(c->mode & (MODE_FLAT | MODE_SS32 | MODE_SIZE | MODE_PE | MODE_IOPL_OK), ==,
                    MODE_FLAT | MODE_SS32 | MODE_32 | MODE_PE | MODE_IOPL_OK);
    pm_help(p, help_load_seg, S_FS, 0, 0); /* FS and GS do not count */
    g_assert_true(c->mode & MODE_FLAT);
    pm_help(p, help_load_seg, S_ES, 0, 0);
    g_assert_false(c->mode & MODE_FLAT);
    pm_help(p, help_load_seg, S_ES, SEL_D0, 0);
    g_assert_true(c->mode & MODE_FLAT);
    pm_help(p, help_load_seg, S_ES, SEL_D0_16, 0);
    g_assert_false(c->mode & MODE_FLAT);
    pm_user(p);
    g_assert_cmphex(c->mode & (MODE_FLAT | MODE_CPL | MODE_IOPL_OK), ==, MODE_FLAT | 3);
    c->sysflags |= F_IOPL;
    cpu_update_mode(c);
    g_assert_true(c->mode & MODE_IOPL_OK);
    pm_free(p);
    p = pm_new(64, NULL);
    pm_help(p, help_load_seg, S_DS, 0, 0);
    g_assert_true(p->c->mode & MODE_FLAT);
    pm_free(p);
}

static void test_slow_and_step(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    struct cpu *c = p->c;
    g_assert_false(c->mode & (MODE_SLOW | MODE_STEP));
    c->sysflags |= F_TF;
    cpu_update_mode(c);
    g_assert_true(c->mode & MODE_STEP);
    c->sysflags &= ~(u32)F_TF;
    c->debug_step = true;
    cpu_update_mode(c);
    g_assert_true(c->mode & MODE_STEP);
    c->debug_step = false;
    c->dr[7] |= 1;
    cpu_update_mode(c);
    g_assert_cmphex(c->mode & (MODE_SLOW | MODE_STEP), ==, MODE_SLOW);
    pm_free(p);
}

static void test_fpu_bits(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct cpu *c = p->c;
    g_assert_cmphex(c->mode & (MODE_FPU_NM | MODE_SSE_BAD | MODE_AVX_BAD), ==, MODE_SSE_BAD | MODE_AVX_BAD);
    c->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    c->xcr0 = 7;
    cpu_update_mode(c);
    g_assert_cmphex(c->mode & (MODE_FPU_NM | MODE_SSE_BAD | MODE_AVX_BAD), ==, 0);
    c->cr0 |= CR0_TS;
    cpu_update_mode(c);
    g_assert_cmphex(c->mode & (MODE_FPU_NM | MODE_SSE_BAD | MODE_AVX_BAD), ==, MODE_FPU_NM | MODE_SSE_BAD | MODE_AVX_BAD);
    pm_free(p);
}

static unsigned mode_changes;
static void count_change(struct cpu *c) { mode_changes++; }

/* The engine hears of another CS base too: in real mode nothing else tells two segments apart. */
static void test_cs_base(void)
{
    struct pm_cpu *p = pm_new(32, "max");
    struct cpu *c = p->c;
    const struct cpu_platform *plat = c->plat;
    struct cpu_platform counting = *plat;

    cpu_reset(c, false);
    c->seg[S_CS].base = 0x10000;
    cpu_update_mode(c);
    counting.mode_changed = count_change;
    c->plat = &counting;
    cpu_update_mode(c);
    g_assert_cmpuint(mode_changes, ==, 0);
    c->seg[S_CS].base = 0xc0000;
    cpu_update_mode(c);
    cpu_update_mode(c);
    g_assert_cmpuint(mode_changes, ==, 1);
    c->plat = plat;
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/cpu/reset", test_reset);
    g_test_add_func("/cpu/cpu/flat", test_flat);
    g_test_add_func("/cpu/cpu/cs-base", test_cs_base);
    g_test_add_func("/cpu/cpu/slow-step", test_slow_and_step);
    g_test_add_func("/cpu/cpu/fpu", test_fpu_bits);
    return g_test_run();
}
