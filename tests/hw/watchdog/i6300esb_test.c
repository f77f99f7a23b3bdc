/* The 6300ESB's watchdog: unlocking, two stages, the lock, what a reset leaves; and the IB700's. */
#include <glib.h>
#include "hw/pci/pci.h"
#include "tests/lib/fake_machine.h"

enum { BAR = 0xe0000000 };

struct fixture {
    struct fake_machine *f;
    struct pci_device *d;
};

static void setup(struct fixture *x)
{
    *x = (struct fixture){ .f = fake_machine_new(1) };
    lock_acquire(&x->f->m.lock);
    x->f->m.pci = pci_bus_new(&x->f->m);
    lock_release(&x->f->m.lock);
    x->d = (struct pci_device *)fake_device(x->f, "i6300esb", NULL);
}

static void teardown(struct fixture *x)
{
    fake_machine_free(x->f);
}

static void wr(struct fixture *x, unsigned reg, u32 v, unsigned size)
{
    lock_acquire(&x->f->m.lock);
    pci_config_write(x->d->bus, x->d->devfn, reg, v, size);
    lock_release(&x->f->m.lock);
}

static u32 rd(struct fixture *x, unsigned reg, unsigned size) { return pci_config_read(x->d->bus, x->d->devfn, reg, size); }

static void reg_write(struct fixture *x, unsigned reg, u32 v)
{
    fm_write(x->f, BAR + 0x0c, 0x80, 2);
    fm_write(x->f, BAR + 0x0c, 0x86, 2);
    fm_write(x->f, BAR + reg, v, reg == 0x0c ? 2 : 4);
}

/* Both stages of about a second. */
static void start(struct fixture *x, u16 config)
{
    wr(x, PCI_BAR0, BAR, 4);
    wr(x, PCI_COMMAND, PCI_CMD_MEMORY, 2);
    wr(x, 0x60, config, 2);
    reg_write(x, 0, 1000);
    reg_write(x, 4, 1000);
    wr(x, 0x68, 2, 1);
}

static void test_stages(void)
{
    struct fixture x;
    setup(&x);
    start(&x, 0);
    g_assert_cmphex(rd(&x, 0, 4), ==, 0x25ab8086);
    fm_step(x.f, 900 * 1000000ll);
    g_assert_cmphex(fm_read(x.f, BAR + 8, 4), ==, 0);
    reg_write(&x, 0x0c, 0x100); /* fed */
    fm_step(x.f, 900 * 1000000ll);
    g_assert_cmphex(fm_read(x.f, BAR + 8, 4), ==, 0);
    fm_write(x.f, BAR + 0x0c, 0x100, 2); /* locked: no effect */
    fm_step(x.f, 200 * 1000000ll);
    g_assert_cmphex(fm_read(x.f, BAR + 8, 4), ==, 1);
    g_assert_true(x.d->intx);
    fm_write(x.f, BAR + 8, 1, 4);
    g_assert_false(x.d->intx);
    g_assert_cmpuint(x.f->requests, ==, 0);
    fm_step(x.f, 1000 * 1000000ll);
    g_assert_cmpint(x.f->request, ==, REQ_WATCHDOG);
    g_assert_cmphex(fm_read(x.f, BAR + 0x0c, 2), ==, 0x200);
    fm_step(x.f, 10 * NS_PER_SEC);
    g_assert_cmpuint(x.f->requests, ==, 1);
    fm_reset(x.f);
    g_assert_cmphex(rd(&x, 0x68, 1), ==, 0);
    wr(&x, PCI_BAR0, BAR, 4);
    wr(&x, PCI_COMMAND, PCI_CMD_MEMORY, 2);
    g_assert_cmphex(fm_read(x.f, BAR + 0x0c, 2), ==, 0x200); /* it was the watchdog */
    reg_write(&x, 0x0c, 0x200);
    g_assert_cmphex(fm_read(x.f, BAR + 0x0c, 2), ==, 0);
    teardown(&x);
}

static void test_lock(void)
{
    struct fixture x;
    setup(&x);
    start(&x, 0x23); /* no interrupt, no output */
    wr(&x, 0x68, 3, 1);
    wr(&x, 0x68, 0, 1); /* cannot be stopped any more */
    wr(&x, 0x60, 0, 2);
    g_assert_cmphex(rd(&x, 0x68, 1), ==, 3);
    g_assert_cmphex(rd(&x, 0x60, 2), ==, 0x23);
    fm_step(x.f, 3 * NS_PER_SEC);
    g_assert_false(x.d->intx);
    g_assert_cmpuint(x.f->requests, ==, 0);
    g_assert_cmphex(fm_read(x.f, BAR + 0x0c, 2), ==, 0x200);
    teardown(&x);
}

static void test_ib700(void)
{
    struct fixture x;
    setup(&x);
    fake_device(x.f, "ib700", NULL);
    fm_out(x.f, 0x443, 0x0e, 1); /* 2 s */
    fm_step(x.f, 1900 * 1000000ll);
    fm_out(x.f, 0x443, 0x0e, 1);
    fm_step(x.f, 1900 * 1000000ll);
    g_assert_cmpuint(x.f->requests, ==, 0);
    fm_step(x.f, 200 * 1000000ll);
    g_assert_cmpint(x.f->request, ==, REQ_WATCHDOG);
    fm_out(x.f, 0x443, 0, 1); /* 30 s */
    fm_out(x.f, 0x441, 0, 1);
    fm_step(x.f, 60 * NS_PER_SEC);
    g_assert_cmpuint(x.f->requests, ==, 1);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i6300esb/stages", test_stages);
    g_test_add_func("/i6300esb/lock", test_lock);
    g_test_add_func("/ib700/timer", test_ib700);
    return g_test_run();
}
