/* Tests of cpu/paging.c: what MOV to control registers refuses, long mode on and off, PAE pointers, PKRU, XCR0. */
#include <glib.h>
#include "tests/lib/pm_cpu.h"

static struct pm_cpu *with_gates(unsigned bits, const char *cpu)
{
    struct pm_cpu *p = pm_new(bits, cpu);
    pm_gate(p, EXC_GP, SYS_INT32, 0, bits == 64 ? SEL_C0_64 : SEL_C0, PM_HANDLER, 0);
    pm_gate(p, EXC_UD, SYS_INT32, 0, bits == 64 ? SEL_C0_64 : SEL_C0, PM_HANDLER, 0);
    return p;
}

/* -1 or the vector; the state is as before if there was one. */
static int mov_cr(struct pm_cpu *p, unsigned cr, u64 val)
{
    struct cpu saved = *p->c;
    pm_help(p, help_mov_to_cr, cr, val, 0);
    int first = p->first;
    if (first >= 0)
        *p->c = saved;
    return first;
}

static void test_cr0(void)
{
    struct pm_cpu *p = with_gates(64, NULL);
    u64 cr0 = p->c->cr0;
    g_assert_cmpint(mov_cr(p, 0, cr0 & ~(u64)CR0_PE), ==, EXC_GP);
    g_assert_cmpint(mov_cr(p, 0, cr0 | CR0_NW), ==, EXC_GP);
    g_assert_cmpint(mov_cr(p, 0, cr0 | 1ull << 32), ==, EXC_GP);
    g_assert_cmpint(mov_cr(p, 0, cr0 & ~(u64)CR0_PG), ==, EXC_GP); /* not from 64-bit mode */
    g_assert_cmpint(mov_cr(p, 0, (cr0 & ~(u64)CR0_ET) | CR0_TS), ==, -1);
    g_assert_cmphex(p->c->cr0, ==, cr0 | CR0_TS);
    g_assert_cmphex(p->c->mode & (MODE_FPU_NM | MODE_SSE_BAD), ==, MODE_FPU_NM | MODE_SSE_BAD);
    pm_help(p, help_clts, 0, 0, 0);
    g_assert_cmphex(p->c->mode & MODE_FPU_NM, ==, 0);
    g_assert_cmpint(mov_cr(p, 1, 0), ==, EXC_UD);
    pm_free(p);
}

static void test_long_mode_switch(void)
{
    struct pm_cpu *p = with_gates(32, NULL);
    struct cpu *c = p->c;
    u64 on = c->cr0 | CR0_PG;
    c->cr3 = 0x1000;
    c->efer |= EFER_LME;
    g_assert_cmpint(mov_cr(p, 0, on), ==, EXC_GP); /* without PAE */
    g_assert_cmpint(mov_cr(p, 4, CR4_PAE), ==, -1);
    c->tr.attr = 0x83;                             /* a 16-bit TSS */
    g_assert_cmpint(mov_cr(p, 0, on), ==, EXC_GP);
    c->tr.attr = 0x8b;
    g_assert_cmpint(mov_cr(p, 0, on), ==, -1);
    g_assert_true(c->efer & EFER_LMA);
    g_assert_cmphex(c->mode & (MODE_LMA | MODE_SIZE), ==, MODE_LMA | MODE_32);
    g_assert_true(c->tlb.regs.lma && c->tlb.regs.pg);
    g_assert_cmpint(mov_cr(p, 4, 0), ==, EXC_GP);  /* PAE must stay */
    g_assert_cmpint(mov_cr(p, 0, on & ~(u64)CR0_PG), ==, -1);
    g_assert_false(c->efer & EFER_LMA);
    pm_free(p);
}

static void test_pae_pointers(void)
{
    struct pm_cpu *p = with_gates(32, NULL);
    struct cpu *c = p->c;
    st64(p->ram + 0x60000, 0x2001);
    st64(p->ram + 0x60008, 0x3001);
    g_assert_cmpint(mov_cr(p, 4, CR4_PAE), ==, -1);
    st64(p->ram + 0x3000, 7 | 0x80); /* what the directory says does not matter here */
    st64(p->ram + 0x2000, 0x87);     /* 2 MiB identity */
    g_assert_cmpint(mov_cr(p, 3, 0x60000), ==, -1);
    g_assert_cmphex(c->pdpte[0], ==, 0); /* paging is off */
    g_assert_cmpint(mov_cr(p, 0, c->cr0 | CR0_PG), ==, -1);
    g_assert_cmphex(c->pdpte[1], ==, 0x3001);
    st64(p->ram + 0x60010, 0x4003); /* reserved bit */
    g_assert_cmpint(mov_cr(p, 3, 0x60000), ==, EXC_GP);
    st64(p->ram + 0x60010, 0x4002); /* not present: anything goes */
    g_assert_cmpint(mov_cr(p, 3, 0x60000), ==, -1);
    pm_free(p);
}

static void test_cr3_cr4(void)
{
    struct pm_cpu *p = with_gates(64, "max,+la57");
    struct cpu *c = p->c;
    g_assert_cmpint(mov_cr(p, 3, 1ull << 40 | 0x1000), ==, EXC_GP); /* MAXPHYADDR is 40 */
    g_assert_cmpint(mov_cr(p, 3, 1ull << 63 | 0x1000), ==, EXC_GP); /* no PCIDE */
    g_assert_cmpint(mov_cr(p, 4, c->cr4 | CR4_LA57), ==, EXC_GP);   /* in long mode */
    g_assert_cmpint(mov_cr(p, 4, c->cr4 | 1u << 15), ==, EXC_GP);
    g_assert_cmpint(mov_cr(p, 4, c->cr4 | BIT(13)), ==, EXC_GP);    /* VMX */
    g_assert_cmpint(mov_cr(p, 3, 0x1001), ==, -1);
    g_assert_cmpint(mov_cr(p, 4, c->cr4 | CR4_PCIDE), ==, EXC_GP);  /* CR3's low bits */
    g_assert_cmpint(mov_cr(p, 3, 0x1000), ==, -1);
    g_assert_cmpint(mov_cr(p, 4, c->cr4 | CR4_PCIDE), ==, -1);
    g_assert_cmpint(mov_cr(p, 3, 1ull << 63 | 0x1005), ==, -1);
    g_assert_cmphex(c->cr3, ==, 0x1005);
    pm_free(p);
    p = with_gates(64, "qemu64");
    g_assert_cmpint(mov_cr(p, 4, p->c->cr4 | CR4_SMEP), ==, EXC_GP); /* not offered */
    pm_user(p);
    g_assert_cmpint(mov_cr(p, 3, 0x1000), ==, EXC_GP);
    pm_free(p);
}

static void test_smap_mode(void)
{
    struct pm_cpu *p = with_gates(64, NULL);
    struct cpu *c = p->c;
    static const u32 system_pages[] = { PM_GDT, PM_IDT, PM_TSS_A, PM_STACK0 - 0x1000 }; /* implicit accesses to user pages would fault */
    for (unsigned i = 0; i < ARRAY_LEN(system_pages); i++)
        fake_cpu_map(p->f, system_pages[i], 3);
    g_assert_cmpint(mov_cr(p, 4, c->cr4 | CR4_SMAP), ==, -1);
    g_assert_true(c->mode & MODE_SMAP_AC);
    pm_help(p, help_stac, 0, 0, 0);
    g_assert_false(c->mode & MODE_SMAP_AC);
    g_assert_true(c->tlb.regs.ac);
    pm_help(p, help_clac, 0, 0, 0);
    g_assert_true(c->mode & MODE_SMAP_AC);
    pm_user(p);
    g_assert_false(c->mode & MODE_SMAP_AC);
    pm_help(p, help_stac, 0, 0, 0);
    g_assert_cmpint(p->first, ==, EXC_UD);
    pm_free(p);
}

static void test_invpcid(void)
{
    struct pm_cpu *p = with_gates(64, NULL);
    st64(p->ram + 0x40000, 5);
    st64(p->ram + 0x40008, 0x1000);
    pm_help(p, help_invpcid, 0, 0x40000, 0);
    g_assert_cmpint(p->first, ==, EXC_GP); /* a PCID without PCIDE */
    st64(p->ram + 0x40000, 0);
    pm_help(p, help_invpcid, 0, 0x40000, 0);
    g_assert_cmpint(p->first, ==, -1);
    pm_help(p, help_invpcid, 4, 0x40000, 0);
    g_assert_cmpint(p->first, ==, EXC_GP);
    pm_free(p);
}

static void xset(struct pm_cpu *p, u64 v)
{
    p->c->gpr[R_CX] = 0;
    p->c->gpr[R_AX] = (u32)v;
    p->c->gpr[R_DX] = v >> 32;
    pm_help(p, help_xsetbv, 0, 0, 0);
}

static void test_xcr0(void)
{
    struct pm_cpu *p = with_gates(64, NULL);
    xset(p, 1);
    g_assert_cmpint(p->first, ==, EXC_UD); /* no OSXSAVE */
    g_assert_cmpint(mov_cr(p, 4, p->c->cr4 | CR4_OSXSAVE), ==, -1);
    xset(p, 3);
    g_assert_cmpint(p->first, ==, -1);
    xset(p, 2);
    g_assert_cmpint(p->first, ==, EXC_GP);
    xset(p, 5);
    g_assert_cmpint(p->first, ==, EXC_GP);
    xset(p, 1ull << 62 | 1);
    g_assert_cmpint(p->first, ==, EXC_GP);
    g_assert_cmphex(p->c->xcr0, ==, 3);
    bool avx512 = feat_on(p->c->model, FEAT_AVX512F);
    static const struct { u64 v; bool ok; } v[] = { { 0xe7, true }, { 0x27, false }, { 0xc7, false }, { 0xa7, false }, { 0xe3, false }, { 0xe5, false } };
    for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
        xset(p, v[i].v);
        g_assert_cmpint(p->first, ==, v[i].ok && avx512 ? -1 : EXC_GP);
    }
    g_assert_cmpint(p->c->mode & MODE_EVEX_BAD, ==, avx512 ? 0 : MODE_EVEX_BAD);
    xset(p, 7);
    g_assert_cmpint(p->c->mode & MODE_EVEX_BAD, ==, MODE_EVEX_BAD);
    g_assert_cmpint(p->c->mode & MODE_AVX_BAD, ==, 0);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/paging/cr0", test_cr0);
    g_test_add_func("/cpu/paging/long-mode", test_long_mode_switch);
    g_test_add_func("/cpu/paging/pae", test_pae_pointers);
    g_test_add_func("/cpu/paging/cr3-cr4", test_cr3_cr4);
    g_test_add_func("/cpu/paging/smap", test_smap_mode);
    g_test_add_func("/cpu/paging/invpcid", test_invpcid);
    g_test_add_func("/cpu/paging/xcr0", test_xcr0);
    return g_test_run();
}
