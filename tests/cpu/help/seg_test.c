/* Tests of cpu/help/seg.c, cpu/desc.c: segment loads, limits, descriptor instructions. */
#include <glib.h>
#include "tests/lib/pm_cpu.h"

#define ZF(p) (cpu_arith((p)->c) >> 6 & 1)

static void gp_gate(struct pm_cpu *p)
{
    bool lma = cpu_is_lma(p->c);
    for (unsigned v = EXC_TS; v <= EXC_PF; v++)
        pm_gate(p, v, SYS_INT32, 0, lma ? SEL_C0_64 : SEL_C0, PM_HANDLER, 0);
}

/* Loads seg with sel at the present CPL and says which exception came, with its error code. */
static int load(struct pm_cpu *p, unsigned seg, u16 sel)
{
    struct cpu saved = *p->c;
    pm_help(p, help_load_seg, seg, sel, 0);
    if (p->first >= 0)
        *p->c = saved;
    return p->first;
}

static void test_unreal(void)
{
    struct pm_cpu *p = pm_new(16, NULL);
    struct cpu *c = p->c;
    pm_help(p, help_load_seg, S_DS, 0x1234, 0);
    g_assert_cmphex(c->seg[S_DS].base, ==, 0x12340);
    g_assert_cmphex(c->seg[S_DS].limit, ==, 0xffff);
    c->seg[S_DS].limit = 0xffffffffu;
    c->seg[S_DS].attr = 0xc093;
    pm_help(p, help_load_seg, S_DS, 0x10, 0); /* base changes, limit stays */
    g_assert_cmphex(c->seg[S_DS].limit, ==, 0xffffffffu);
    g_assert_cmphex(pm_help(p, help_segcheck, S_DS | ACC_READ << 8 | 4 << 16, 0x100000, 0), ==, 0x100100);
    pm_help(p, help_segcheck, S_ES | ACC_READ << 8 | 4 << 16, 0xfffd, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_help(p, help_segcheck, S_SS | ACC_WRITE << 8 | 2 << 16, 0xffff, 0);
    g_assert_cmpint(p->first, ==, EXC_SS);
    pm_free(p);
}

/* Into protected mode and back: base and limit survive, CPL follows SS. */
static void test_mode_switch(void)
{
    struct pm_cpu *p = pm_new(16, NULL);
    struct cpu *c = p->c;
    c->seg[S_CS].sel = 0x0103; /* real-mode selectors have no RPL */
    pm_help(p, help_mov_to_cr, 0, CR0_PE | CR0_ET, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(c->mode & (MODE_PE | MODE_CPL | MODE_SIZE), ==, MODE_PE | MODE_16);
    pm_help(p, help_mov_to_cr, 0, 0, 0);
    g_assert_cmphex(c->mode & MODE_PE, ==, 0);
    g_assert_cmphex(c->cr0, ==, CR0_ET);
    pm_help(p, help_lmsw, 1, 0, 0);
    pm_help(p, help_lmsw, 0, 0, 0); /* LMSW does not clear PE */
    g_assert_cmphex(c->cr0, ==, CR0_ET | CR0_PE);
    pm_free(p);
}

static void test_data_loads(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    gp_gate(p);
    g_assert_cmpint(load(p, S_DS, SEL_D0), ==, -1);
    g_assert_cmphex(p->ram[PM_GDT + SEL_D0 + 5], ==, 0x93); /* accessed */
    g_assert_cmpint(load(p, S_DS, 0), ==, -1);
    g_assert_cmphex(p->c->seg[S_DS].attr & SEGA_P, ==, 0);
    g_assert_cmpint(load(p, S_DS, SEL_D0 | 3), ==, EXC_GP); /* RPL 3 > DPL 0 */
    g_assert_cmphex(p->first_error, ==, SEL_D0);
    g_assert_cmpint(load(p, S_DS, SEL_C0), ==, -1);         /* readable code */
    g_assert_cmpint(load(p, S_DS, SEL_NP), ==, EXC_NP);
    g_assert_cmpint(load(p, S_DS, SEL_TSS_B), ==, EXC_GP);
    g_assert_cmpint(load(p, S_DS, SEL_END), ==, EXC_GP);    /* past the table */
    g_assert_cmpint(load(p, S_DS, 0x0c), ==, EXC_GP);       /* LDT, which is empty */
    g_assert_cmpint(load(p, S_SS, 0), ==, EXC_GP);
    g_assert_cmpint(load(p, S_SS, SEL_D3), ==, EXC_GP);
    g_assert_cmpint(load(p, S_SS, SEL_D0), ==, -1);
    g_assert_cmpuint(p->c->int_shadow, ==, 2);
    pm_user(p);
    g_assert_cmpint(load(p, S_ES, SEL_CONF), ==, -1);       /* conforming: privilege does not matter */
    g_assert_cmpint(load(p, S_ES, SEL_D0), ==, EXC_GP);
    g_assert_cmpint(load(p, S_ES, SEL_D3), ==, -1);
    g_assert_cmpint(load(p, S_SS, SEL_RO | 3), ==, EXC_GP);
    pm_free(p);
}

static void test_ss_null_long(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    gp_gate(p);
    g_assert_cmpint(load(p, S_SS, 0), ==, -1);
    g_assert_cmpint(load(p, S_SS, 3), ==, EXC_GP);
    g_assert_cmpuint(cpu_cpl(p->c), ==, 0);
    pm_user(p);
    g_assert_cmpint(load(p, S_SS, 3), ==, EXC_GP);
    pm_free(p);
}

static int check(struct pm_cpu *p, unsigned seg, unsigned acc, unsigned size, u32 off)
{
    struct cpu saved = *p->c;
    pm_help(p, help_segcheck, seg | acc << 8 | size << 16, off, 0);
    if (p->first >= 0)
        *p->c = saved;
    return p->first;
}

static void test_limits(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    gp_gate(p);
    pm_user(p);
    load(p, S_ES, SEL_DOWN | 3); /* expand-down, limit 0xfff, big */
    g_assert_cmpint(check(p, S_ES, ACC_READ, 4, 0xffd), ==, EXC_GP);
    g_assert_cmpint(check(p, S_ES, ACC_READ, 4, 0xfff), ==, EXC_GP);
    g_assert_cmpint(check(p, S_ES, ACC_WRITE, 4, 0x1000), ==, -1);
    g_assert_cmpint(check(p, S_ES, ACC_READ, 4, 0xfffffffd), ==, EXC_GP);
    load(p, S_FS, SEL_RO | 3);
    g_assert_cmpint(check(p, S_FS, ACC_READ, 4, 0), ==, -1);
    g_assert_cmpint(check(p, S_FS, ACC_WRITE, 4, 0), ==, EXC_GP);
    g_assert_cmpint(check(p, S_CS, ACC_READ, 4, 0), ==, -1);
    g_assert_cmpint(check(p, S_CS, ACC_WRITE, 4, 0), ==, EXC_GP);
    load(p, S_GS, 0);
    g_assert_cmpint(check(p, S_GS, ACC_READ, 1, 0), ==, EXC_GP);
    pm_free(p);
}

static void test_lar_lsl(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    g_assert_cmphex(pm_help(p, help_lar, SEL_D3, 77, 0), ==, 0xc0f200);
    g_assert_cmpuint(ZF(p), ==, 1);
    g_assert_cmphex(pm_help(p, help_lsl, SEL_D3, 77, 0), ==, 0xffffffff);
    g_assert_cmphex(pm_help(p, help_lsl, SEL_TSS_B, 77, 0), ==, 0x67);
    g_assert_cmphex(pm_help(p, help_lar, SEL_D0 | 3, 77, 0), ==, 77);
    g_assert_cmpuint(ZF(p), ==, 0);
    pm_help(p, help_verr, SEL_D3, 0, 0);
    g_assert_cmpuint(ZF(p), ==, 1);
    pm_help(p, help_verw, SEL_RO, 0, 0);
    g_assert_cmpuint(ZF(p), ==, 0);
    pm_help(p, help_verw, 0, 0, 0);
    g_assert_cmpuint(ZF(p), ==, 0);
    g_assert_cmphex(pm_help(p, help_arpl, 0x10, 0x23, 0), ==, 0x13);
    g_assert_cmpuint(ZF(p), ==, 1);
    pm_free(p);
}

static void test_ltr_lldt(void)
{
    struct pm_cpu *p = pm_new(32, NULL);
    gp_gate(p);
    pm_help(p, help_lldt, SEL_LDT, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(p->c->ldt.base, ==, PM_LDT);
    memcpy(p->ram + PM_LDT + 8, p->ram + PM_GDT + SEL_D3, 8);
    g_assert_cmpint(load(p, S_DS, 0x0f), ==, -1);
    pm_help(p, help_ltr, SEL_TSS_B, 0, 0);
    g_assert_cmpint(p->first, ==, -1);
    g_assert_cmphex(p->ram[PM_GDT + SEL_TSS_B + 5], ==, 0x8b);
    pm_help(p, help_ltr, SEL_TSS_B, 0, 0); /* busy */
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_user(p);
    pm_help(p, help_lldt, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
    p = pm_new(16, NULL);
    pm_help(p, help_sldt, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_UD);
    pm_free(p);
}

static void test_tables(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    struct cpu *c = p->c;
    gp_gate(p);
    pm_help(p, help_sgdt, 0x40000, 8, 0);
    g_assert_cmphex(pm_ld16(p, 0x40000), ==, SEL_END - 1);
    g_assert_cmphex(pm_ld64(p, 0x40002), ==, PM_GDT);
    st64(p->ram + 0x40002, 0xffff800000001000ull);
    pm_help(p, help_lgdt, 0x40000, 8, 0);
    g_assert_cmphex(c->gdt.base, ==, 0xffff800000001000ull);
    c->gdt.base = PM_GDT;
    st64(p->ram + 0x40002, 1ull << 50);
    pm_help(p, help_lidt, 0x40000, 8, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    c->cr4 |= CR4_UMIP;
    pm_user(p);
    pm_help(p, help_sidt, 0x40000, 8, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/help/seg/unreal", test_unreal);
    g_test_add_func("/cpu/help/seg/mode-switch", test_mode_switch);
    g_test_add_func("/cpu/help/seg/data-loads", test_data_loads);
    g_test_add_func("/cpu/help/seg/ss-null-long", test_ss_null_long);
    g_test_add_func("/cpu/help/seg/limits", test_limits);
    g_test_add_func("/cpu/help/seg/lar-lsl", test_lar_lsl);
    g_test_add_func("/cpu/help/seg/ltr-lldt", test_ltr_lldt);
    g_test_add_func("/cpu/help/seg/tables", test_tables);
    return g_test_run();
}
