/* Tests of cpu/vmware.c and its users: what -machine vmport=on opens to user mode, and what stays closed without it. */
#include <glib.h>
#include "cpu/vmware.h"
#include "tests/lib/pm_cpu.h"

static void test_counters(void)
{
    struct pm_cpu *p = pm_new(64, "max");
    u64 v = 1;
    p->tsc = 5000;
    p->real = 9000;
    p->model->tsc_khz = 2000000;
    p->c->tsc_offset = 123456;
    g_assert_false(vmware_rdpmc(p->c, 0x10000, &v));
    p->c->vmware_user = true;
    g_assert_true(vmware_rdpmc(p->c, 0x10000, &v));
    g_assert_cmpuint(v, ==, 5000);
    g_assert_true(vmware_rdpmc(p->c, 0x10001, &v));
    g_assert_cmpuint(v, ==, 9000);
    g_assert_true(vmware_rdpmc(p->c, 0x10002, &v));
    g_assert_cmpuint(v, ==, 2500);
    g_assert_false(vmware_rdpmc(p->c, 0x10003, &v));
    g_assert_false(vmware_rdpmc(p->c, 0xffff, &v));
    g_assert_false(vmware_rdpmc(p->c, 0, &v));
    pm_free(p);
}

/* The vector that RDPMC of index raises, or -1. */
static int rdpmc(struct pm_cpu *p, u32 index)
{
    p->first = -1;
    p->c->gpr[R_CX] = 0xdead00000000ull | index;
    p->c->gpr[R_AX] = p->c->gpr[R_DX] = ~0ull;
    pm_help(p, help_rdpmc, 0, 0, 0);
    return p->first;
}

static void test_rdpmc(void)
{
    for (unsigned on = 0; on < 2; on++) {
        for (unsigned user = 0; user < 2; user++) {
            for (u32 index = 0x10000; index <= 0x10002; index++) {
                struct pm_cpu *p = pm_new(64, "max");
                if (user)
                    pm_user(p);
                p->model->tsc_khz = 1000000;
                p->tsc = p->real = 0x1122334455667788;
                p->c->vmware_user = on;
                g_assert_cmpint(rdpmc(p, index), ==, on ? -1 : EXC_GP);
                if (on) {
                    g_assert_cmphex(p->c->gpr[R_AX], ==, 0x55667788);
                    g_assert_cmphex(p->c->gpr[R_DX], ==, 0x11223344);
                    g_assert_cmpint(rdpmc(p, 0), ==, user ? EXC_GP : -1); /* a real counter keeps its rules */
                }
                pm_free(p);
            }
        }
    }
}

static void set_user(struct cpu *c)
{
    c->mode = (c->mode & ~(u32)MODE_IOPL_OK) | 3;
    c->tr = (struct seg_reg){ .attr = 0 }; /* no TSS: nothing is allowed */
}

static void in_port(struct cpu *c, void *opaque) { *(u64 *)opaque = help_in(c, *(u64 *)opaque, 4, 0); }
static void out_port(struct cpu *c, void *opaque) { help_out(c, *(u64 *)opaque, 0, 1); }

static void test_ports(void)
{
    static const struct { u16 port; bool open; } t[] = { { 0x5657, false }, { 0x5658, true }, { 0x5659, true }, { 0x565a, false }, { 0x60, false } };
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    set_user(f->c);
    for (unsigned on = 0; on < 2; on++) {
        f->c->vmware_user = on;
        for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
            u64 port = t[i].port;
            f->n_port = 0;
            g_assert_cmpint(fake_cpu_try(f, out_port, &port), ==, on && t[i].open ? -1 : EXC_GP);
            g_assert_cmpint(fake_cpu_try(f, in_port, &port), ==, on && t[i].open ? -1 : EXC_GP);
            g_assert_cmpuint(f->n_port, ==, on && t[i].open ? 2 : 0);
        }
    }
    fake_cpu_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/vmware/counters", test_counters);
    g_test_add_func("/cpu/vmware/rdpmc", test_rdpmc);
    g_test_add_func("/cpu/vmware/ports", test_ports);
    return g_test_run();
}
