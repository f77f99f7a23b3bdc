/* pvpanic at a port and as a PCI function. */
#include <glib.h>
#include "hw/pci/pci.h"
#include "tests/lib/fake_machine.h"

static void test_port(void)
{
    struct fake_machine *f = fake_machine_new(1);
    fake_device(f, "pvpanic", NULL);
    fake_device(f, "pvpanic", "ioport=0x600,events=1");
    g_assert_cmphex(fm_in(f, 0x505, 1), ==, 3);
    g_assert_cmphex(fm_in(f, 0x600, 1), ==, 1);
    fm_out(f, 0x505, 4, 1);
    fm_out(f, 0x600, 2, 1);
    g_assert_cmpuint(f->requests, ==, 0);
    fm_out(f, 0x505, 2, 1);
    g_assert_cmpint(f->request, ==, REQ_PANIC);
    g_assert_cmpint(f->request_code, ==, 1);
    fm_out(f, 0x600, 1, 1);
    g_assert_cmpint(f->request_code, ==, 0);
    fake_machine_free(f);
}

static void test_pci(void)
{
    struct fake_machine *f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    f->m.pci = pci_bus_new(&f->m);
    lock_release(&f->m.lock);
    struct pci_device *d = (struct pci_device *)fake_device(f, "pvpanic-pci", NULL);
    lock_acquire(&f->m.lock);
    g_assert_cmphex(pci_config_read(d->bus, d->devfn, 0, 4), ==, 0x00111b36);
    pci_config_write(d->bus, d->devfn, PCI_BAR0, 0xe0000000, 4);
    pci_config_write(d->bus, d->devfn, PCI_COMMAND, PCI_CMD_MEMORY, 2);
    lock_release(&f->m.lock);
    g_assert_cmphex(fm_read(f, 0xe0000000, 1), ==, 3);
    fm_write(f, 0xe0000001, 1, 1);
    g_assert_cmpuint(f->requests, ==, 0);
    fm_write(f, 0xe0000000, 1, 1);
    g_assert_cmpint(f->request, ==, REQ_PANIC);
    lock_acquire(&f->m.lock);
    device_free(&d->dev);
    lock_release(&f->m.lock);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pvpanic/port", test_port);
    g_test_add_func("/pvpanic/pci", test_pci);
    return g_test_run();
}
