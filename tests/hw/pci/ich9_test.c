/* The Q35/ICH9 functions: configuration space window, PAM, PIRQ routing to both controllers, DnIR, the PM block's place, SMBus. */
#include <glib.h>
#include "hw/pci/q35.h"
#include "hw/timer/pm.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "tests/lib/fake_machine.h"

struct fixture {
    struct fake_machine *f;
    struct device *mch, *lpc, *pm;
};

static void setup(struct fixture *x)
{
    struct err e = { "" };
    struct machine *m;

    *x = (struct fixture){ .f = fake_machine_new(1) };
    m = &x->f->m;
    lock_acquire(&m->lock);
    m->mem_root.children->enabled = false;
    m->pci = pci_root_new(m, true, NULL);
    x->mch = mch_new(m, m->ram, NULL, &e);
    x->lpc = ich9_lpc_new(m, &e);
    x->pm = ich9_pm_new(m, ich9_lpc_sci_line(x->lpc), &e);
    g_assert_cmpint(ich9_lpc_set_pm(x->lpc, x->pm, &e), ==, 0);
    g_assert_nonnull(device_create(m, "ICH9-SMB", NULL, NULL, &e));
    lock_release(&m->lock);
    fm_reset(x->f);
}

static void teardown(struct fixture *x)
{
    fake_machine_free(x->f);
}

static void test_ecam(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(fm_config_read(x.f, 0, 0, 0, 4), ==, 0x29c08086);
    g_assert_cmphex(fm_config_read(x.f, 0x1f, 0, 0, 4), ==, 0x29188086);
    g_assert_cmphex(fm_read(x.f, 0xb0000000, 4), ==, 0xffffffff);
    fm_config_write(x.f, 0, 0, 0x60, 0xb0000001, 4);
    g_assert_cmphex(fm_read(x.f, 0xb0000000, 4), ==, 0x29c08086);
    g_assert_cmphex(fm_read(x.f, 0xb00f8000, 4), ==, 0x29188086);
    g_assert_cmphex(fm_read(x.f, 0xb00f8002, 2), ==, 0x2918);
    g_assert_cmphex(fm_read(x.f, 0xb00f8100, 4), ==, 0xffffffff); /* a conventional function */
    g_assert_cmphex(fm_read(x.f, 0xb0100000, 4), ==, 0xffffffff); /* bus 1 */
    fm_write(x.f, 0xb000003c, 0, 4);
    fm_write(x.f, 0xb00000a0, 0xffffffff, 8);
    fm_config_write(x.f, 0, 0, 0x60, 0xe0000005, 4); /* 64 MiB, moves away under the access */
    g_assert_cmphex(fm_read(x.f, 0xb0000000, 4), ==, 0xffffffff);
    g_assert_cmphex(fm_read(x.f, 0xe0000000, 4), ==, 0x29c08086);
    g_assert_cmphex(fm_read(x.f, 0xe4000000, 4), ==, 0xffffffff);
    fm_write(x.f, 0xe0000060, 0, 4); /* turns itself off */
    g_assert_cmphex(fm_read(x.f, 0xe0000000, 4), ==, 0xffffffff);
    fm_config_write(x.f, 0, 0, 0x60, 0xe0000007, 4); /* reserved length */
    g_assert_cmphex(fm_read(x.f, 0xe0000000, 4), ==, 0xffffffff);
    teardown(&x);
}

static void test_shadow(void)
{
    struct fixture x;
    setup(&x);
    memset(x.f->m.ram->host + 0xc0000, 0x77, 0x10000);
    g_assert_cmphex(fm_read(x.f, 0xc0000, 1), ==, 0xff);
    fm_config_write(x.f, 0, 0, 0x91, 0x11, 1);
    g_assert_cmphex(fm_read(x.f, 0xc0000, 1), ==, 0x77);
    fm_write(x.f, 0xc0000, 0x12, 1);
    g_assert_cmphex(fm_read(x.f, 0xc0000, 1), ==, 0x77);
    fm_config_write(x.f, 0, 0, 0x91, 0x33, 1);
    fm_write(x.f, 0xc0000, 0x12, 1);
    g_assert_cmphex(fm_read(x.f, 0xc0000, 1), ==, 0x12);
    fm_config_write(x.f, 0, 0, 0x9d, 0x50, 1); /* D_LCK closes */
    g_assert_cmphex(fm_config_read(x.f, 0, 0, 0x9d, 1), ==, 0x12);
    teardown(&x);
}

/* A toy at a slot of the root bus asserts INTA#. */
static void intx(struct fixture *x, struct pci_device *d, int level)
{
    lock_acquire(&x->f->m.lock);
    pci_set_intx(d, level);
    lock_release(&x->f->m.lock);
}

static void test_pirq(void)
{
    static const struct dev_class toy_class = { .name = "toy", .state_size = sizeof(struct pci_device) };
    static const struct pci_id id = { 1, 2, 0x0280, 0, 1, 1, 0, 0 };
    struct fixture x;
    setup(&x);
    struct pci_device low = { .dev = { .cls = &toy_class, .m = &x.f->m }, .addr = (char *)"5" },
                      high = { .dev = { .cls = &toy_class, .m = &x.f->m }, .addr = (char *)"1d" };
    lock_acquire(&x.f->m.lock);
    g_assert_cmpint(pci_attach(&low, &id, NULL), ==, 0);
    g_assert_cmpint(pci_attach(&high, &id, NULL), ==, 0);
    lock_release(&x.f->m.lock);
    intx(&x, &low, 1); /* slot 5, INTA#: PIRQF */
    g_assert_cmpint(x.f->level[21], ==, 1);
    g_assert_cmpint(x.f->level[11], ==, 0);
    fm_config_write(x.f, 0x1f, 0, 0x69, 11, 1);
    g_assert_cmpint(x.f->level[11], ==, 1);
    fm_config_write(x.f, 0x1f, 0, 0x69, 8, 1); /* not an IRQ that can be had */
    g_assert_cmpint(x.f->level[11], ==, 0);
    intx(&x, &low, 0);
    g_assert_cmpint(x.f->level[21], ==, 0);

    intx(&x, &high, 1);
    g_assert_cmpint(x.f->level[16], ==, 1); /* D29IR: PIRQA */
    fm_config_write(x.f, 0x1f, 0, 0xf0, 0xfed1c001, 4);
    g_assert_cmphex(fm_read(x.f, 0xfed1c000 + 0x3144, 2), ==, 0x3210);
    fm_write(x.f, 0xfed1c000 + 0x3144, 0x3217, 2); /* INTA# to PIRQH */
    g_assert_cmpint(x.f->level[16], ==, 0);
    g_assert_cmpint(x.f->level[23], ==, 1);
    fm_write(x.f, 0xfed1c000 + 0x3ffc, 1, 4);
    fm_write(x.f, 0xfed1c000 + 0x341f, ~0, 4);
    g_assert_cmphex(fm_read(x.f, 0xfed1c000, 4), ==, 0);
    lock_acquire(&x.f->m.lock);
    pci_detach(&low);
    pci_detach(&high);
    lock_release(&x.f->m.lock);
    g_assert_cmpint(x.f->level[23], ==, 0);
    teardown(&x);
}

static void test_pm(void)
{
    struct fixture x;
    setup(&x);
    fm_config_write(x.f, 0x1f, 0, 0x40, 0x681, 2); /* bit 7 is the lowest of the address */
    g_assert_cmphex(fm_config_read(x.f, 0x1f, 0, 0x40, 2), ==, 0x681);
    g_assert_cmphex(fm_in(x.f, 0x684, 2), ==, 0xffff);
    fm_config_write(x.f, 0x1f, 0, 0x44, 0x80, 1);
    g_assert_cmphex(fm_in(x.f, 0x684, 2), ==, 0);
    g_assert_cmphex(fm_in(x.f, 0x6b0, 4), ==, 0x21); /* SMI_EN: set up */
    fm_out(x.f, 0x68c, 0xffff, 4);
    g_assert_cmphex(fm_in(x.f, 0x68c, 4), ==, 0);
    fm_out(x.f, 0xb2, 0xf1, 1);
    fm_out(x.f, 0x6a8, 0x0002, 2); /* GPE0_EN */
    lock_acquire(&x.f->m.lock);
    struct irq_line gpe = pm_gpe_line(x.pm, 1);
    irq_set(&gpe, 1);
    irq_set(&gpe, 0);
    lock_release(&x.f->m.lock);
    g_assert_cmphex(fm_in(x.f, 0x6a0, 8) & 0xffffffff, ==, 2);
    g_assert_cmpint(x.f->level[9], ==, 1);
    fm_config_write(x.f, 0x1f, 0, 0x44, 0x82, 1); /* SCI to IRQ 11 */
    g_assert_cmpint(x.f->level[9], ==, 0);
    g_assert_cmpint(x.f->level[11], ==, 1);
    fm_out(x.f, 0x6a0, 2, 1);
    g_assert_cmpint(x.f->level[11], ==, 0);
    teardown(&x);
}

static void test_smbus(void)
{
    struct fixture x;
    setup(&x);
    fm_config_write(x.f, 0x1f, 3, 0x20, 0x700, 4);
    fm_config_write(x.f, 0x1f, 3, 0x04, 1, 2);
    g_assert_cmphex(fm_in(x.f, 0x700, 1), ==, 0xff); /* HST_EN is off */
    fm_config_write(x.f, 0x1f, 3, 0x40, 1, 1);
    g_assert_cmphex(fm_in(x.f, 0x700, 1), ==, 0);
    fm_out(x.f, 0x704, 0xa1, 1);
    g_assert_cmphex(fm_in(x.f, 0x704, 1), ==, 0xa1);
    fm_out(x.f, 0x702, 0x49, 1); /* start, with an interrupt */
    g_assert_cmphex(fm_in(x.f, 0x700, 1), ==, 0x44); /* nobody answers; in use */
    g_assert_cmphex(fm_in(x.f, 0x702, 1), ==, 0x09);
    g_assert_cmpint(x.f->level[16], ==, 1);
    fm_out(x.f, 0x700, 0xff, 1);
    g_assert_cmpint(x.f->level[16], ==, 0);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ich9/ecam", test_ecam);
    g_test_add_func("/ich9/shadow", test_shadow);
    g_test_add_func("/ich9/pirq", test_pirq);
    g_test_add_func("/ich9/pm", test_pm);
    g_test_add_func("/ich9/smbus", test_smbus);
    return g_test_run();
}
