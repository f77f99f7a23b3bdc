/* Tests of cpu/help/light.c: whatever a light way does is what the helper does, and it leaves alone what it must. String instructions: string_test.c. */
#include <glib.h>
#include "cpu/help/light.h"
#include "tests/lib/pm_cpu.h"
#include "util/clock.h"

enum { RIP = 0x20100, NEXT = 0x20101 };

/* The light way of one CPU against the helper of its twin; returns whether it was done. undone: must not have changed anything. */
static bool both(struct pm_cpu *p, enum help_id id, u64 a, u64 b)
{
    p->c->int_shadow = p->c->shadow_was = 0;
    struct cpu *c = p->c, *was = g_memdup2(c, sizeof(*c)), *light;
    c->rip = was->rip = RIP;
    struct light l = light_table[id](c, a, b, 0);
    light = g_memdup2(c, sizeof(*c));
    if (l.undone) {
        g_assert_cmpint(memcmp(c, was, sizeof(*c)), ==, 0);
    } else {
        memcpy(c, was, sizeof(*c));
        g_assert_cmphex(help_table[id].fn(c, a, b, 0), ==, l.value);
        g_assert_cmpint(memcmp(c->gpr, light->gpr, sizeof(c->gpr)), ==, 0);
        g_assert_cmpint(memcmp(c->seg, light->seg, sizeof(c->seg)), ==, 0);
        g_assert_cmphex(c->kernel_gs_base, ==, light->kernel_gs_base);
        g_assert_cmphex(cpu_rflags(c), ==, cpu_rflags(light));
        g_assert_cmphex(c->mode, ==, light->mode);
        if (id == HELP_sti && c->int_shadow) { /* the same, said in advance */
            g_assert_cmpuint(light->shadow_was, ==, c->int_shadow);
            g_assert_cmphex(light->shadow_pc, ==, NEXT);
        }
    }
    g_free(was);
    g_free(light);
    return !l.undone;
}

static void test_flags(void)
{
    struct pm_cpu *p = pm_new(64, NULL);
    bool ready = false;
    p->c->intr_ready = &ready;
    p->c->aflags = 0xd501;
    p->c->sysflags |= F_AC | F_ID | F_RF;
    g_assert_true(both(p, HELP_pushf_val, 8, 0));
    p->c->iflag = 0;
    g_assert_true(both(p, HELP_sti, 0, NEXT));
    p->c->iflag = 1;
    g_assert_true(both(p, HELP_sti, 0, NEXT));
    p->c->iflag = 0;
    ready = true;
    g_assert_false(both(p, HELP_sti, 0, NEXT));
    ready = false;
    p->c->nmi_pending = 1;
    g_assert_false(both(p, HELP_sti, 0, NEXT));
    p->c->nmi_pending = 0;
    p->c->exit_request = XREQ_WORK;
    g_assert_false(both(p, HELP_sti, 0, NEXT));
    p->c->exit_request = 0;
    pm_user(p);
    g_assert_false(both(p, HELP_sti, 0, NEXT));
    g_assert_true(both(p, HELP_pushf_val, 8, 0));
    pm_free(p);
    p = pm_new(16, NULL);
    g_assert_true(both(p, HELP_sti, 0, NEXT));
    p->c->sysflags |= F_VM;
    p->c->cr0 |= CR0_PE;
    cpu_update_mode(p->c);
    g_assert_false(both(p, HELP_pushf_val, 2, 0));
    g_assert_false(both(p, HELP_sti, 0, NEXT));
    pm_free(p);
}

static void test_bases(void)
{
    struct pm_cpu *p = pm_new(64, "max");
    struct cpu *c = p->c;
    c->seg[S_GS].base = 0x1111;
    c->kernel_gs_base = 0xffff888000002222;
    g_assert_true(both(p, HELP_swapgs, 0, 0));
    for (u64 fs = 0; fs < 2; fs++) {
        c->cr4 &= ~(u64)CR4_FSGSBASE;
        g_assert_false(both(p, HELP_rdfsgs, fs, 0));
        g_assert_false(both(p, HELP_wrfsgs, fs, 0x3333));
        c->cr4 |= CR4_FSGSBASE;
        g_assert_true(both(p, HELP_rdfsgs, fs, 0));
        g_assert_true(both(p, HELP_wrfsgs, fs, 0xffff888000003333));
        g_assert_false(both(p, HELP_wrfsgs, fs, 0x8000000000000000));
    }
    pm_user(p);
    g_assert_false(both(p, HELP_swapgs, 0, 0));
    g_assert_true(both(p, HELP_rdfsgs, 1, 0));
    pm_free(p);
}

static void test_pkru(void)
{
    struct pm_cpu *p = pm_new(64, "max");
    p->c->pkru = 0x55555554;
    p->c->gpr[R_CX] = 0xffffffff00000000;
    g_assert_false(both(p, HELP_rdpkru, 0, 0));
    p->c->cr4 |= CR4_PKE;
    g_assert_true(both(p, HELP_rdpkru, 0, 0));
    p->c->gpr[R_CX] = 1;
    g_assert_false(both(p, HELP_rdpkru, 0, 0));
    pm_free(p);
}

/* A clock that stands at the time that the test's platform says, so that both see the same. */
static void test_tsc(void)
{
    struct pm_cpu *p = pm_new(64, "max");
    struct clock *clock = clock_new_real(NULL);
    struct cpu *c = p->c;
    c->tsc_offset = 0x123456789abcdef0;
    c->tsc_aux = 7;
    g_assert_false(both(p, HELP_rdtsc, 0, 0));
    g_assert_false(both(p, HELP_rdtscp, 0, 0));
    p->tsc = 0x123456789abc;
    clock_set_ns(clock, (i64)p->tsc);
    c->tsc_base = clock_base(clock);
    g_assert_true(both(p, HELP_rdtsc, 0, 0));
    c->gpr[R_CX] = ~0ull;
    g_assert_true(both(p, HELP_rdtscp, 0, 0));
    c->cr4 |= CR4_TSD;
    g_assert_true(both(p, HELP_rdtsc, 0, 0));
    pm_user(p);
    g_assert_false(both(p, HELP_rdtsc, 0, 0)); /* the helper raises #GP */
    g_assert_false(both(p, HELP_rdtscp, 0, 0));
    c->tsc_base = NULL;
    clock_free(clock);
    pm_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/help/light/flags", test_flags);
    g_test_add_func("/help/light/bases", test_bases);
    g_test_add_func("/help/light/pkru", test_pkru);
    g_test_add_func("/help/light/tsc", test_tsc);
    return g_test_run();
}
