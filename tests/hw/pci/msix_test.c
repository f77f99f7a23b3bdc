/* MSI-X: capability, table and pending bits in their BAR, masking, state; and the PCI Express capability with its 4 KiB. */
#include <glib.h>
#include "hw/pci/express.h"
#include "mmu/aspace.h"
#include "tests/lib/fake_machine.h"

enum { VECTORS = 200, BAR = 0xe0000000 };

struct toy {
    struct pci_device pci;
};

static const struct snap_field toy_fields[] = { PCI_SNAP, SNAP_DONE };
static const struct dev_class toy_class = { .name = "toy", .state_size = sizeof(struct toy), .fields = toy_fields };
static const struct pci_id toy_id = { 0x1234, 0x5678, 0x0280, 0, 1, 0, 0, 0 };

static void toy_init(struct toy *t, struct fake_machine *f, unsigned vectors)
{
    struct err e = { "" };

    *t = (struct toy){ .pci.dev = { .cls = &toy_class, .m = &f->m } };
    g_assert_cmpint(pci_attach(&t->pci, &toy_id, &e), ==, 0);
    g_assert_cmpint(pci_msix_init(&t->pci, vectors, 1, &e), ==, 0);
    if (f->m.pci->express)
        pci_express_init(&t->pci, PCI_EXP_ENDPOINT);
    pci_reset(&t->pci);
}

static struct fake_machine *machine_new(bool express)
{
    struct fake_machine *f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    f->m.pci = pci_root_new(&f->m, express, NULL);
    lock_release(&f->m.lock);
    return f;
}

static void machine_end(struct fake_machine *f, struct toy *t)
{
    lock_acquire(&f->m.lock);
    pci_detach(&t->pci);
    lock_release(&f->m.lock);
    fake_machine_free(f);
}

static u32 rd(struct toy *t, unsigned reg, unsigned size)
{
    return pci_config_read(t->pci.bus, t->pci.devfn, reg, size);
}

static void wr(struct toy *t, unsigned reg, u32 v, unsigned size)
{
    lock_acquire(&t->pci.dev.m->lock);
    pci_config_write(t->pci.bus, t->pci.devfn, reg, v, size);
    lock_release(&t->pci.dev.m->lock);
}

static void send(struct toy *t, unsigned vector)
{
    lock_acquire(&t->pci.dev.m->lock);
    pci_msix_send(&t->pci, vector);
    lock_release(&t->pci.dev.m->lock);
}

static void test_messages(void)
{
    struct fake_machine *f = machine_new(false);
    struct toy t;
    toy_init(&t, f, VECTORS);
    u8 cap = rd(&t, PCI_CAP_POINTER, 1);
    g_assert_cmphex(rd(&t, cap, 4), ==, (VECTORS - 1) << 16 | 0x11);
    u32 pba = BAR + (rd(&t, cap + 8, 4) & ~7u);
    g_assert_cmphex(rd(&t, cap + 4, 4), ==, 1);
    g_assert_cmphex(pba, ==, BAR + 0x1000);
    wr(&t, PCI_BAR0 + 4, BAR, 4);
    wr(&t, PCI_COMMAND, PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
    fm_write(f, BAR + 16 * 199, 0xfee00000, 4);
    fm_write(f, BAR + 16 * 199 + 4, 0, 4);
    fm_write(f, BAR + 16 * 199 + 8, 0x4123, 4);
    g_assert_cmphex(fm_read(f, BAR + 16 * 199 + 8, 8), ==, 0x100004123); /* masked by reset */
    send(&t, 199);
    g_assert_cmpuint(f->msis, ==, 0); /* not enabled, nothing is pending either */
    wr(&t, cap + 2, 0x8000, 2);
    g_assert_true(pci_msix_enabled(&t.pci));
    send(&t, 199);
    send(&t, 200); /* beyond the table */
    send(&t, 70000);
    g_assert_cmpuint(f->msis, ==, 0);
    g_assert_cmphex(fm_read(f, pba + 24, 8), ==, 0x80);
    fm_write(f, pba + 24, 0, 8); /* read-only */
    wr(&t, cap + 2, 0xc000, 2);
    fm_write(f, BAR + 16 * 199 + 12, 0, 4);
    g_assert_cmpuint(f->msis, ==, 0); /* the whole function is masked */
    wr(&t, cap + 2, 0x8000, 2);
    g_assert_cmpuint(f->msis, ==, 1);
    g_assert_cmphex(f->msi_addr, ==, 0xfee00000);
    g_assert_cmphex(f->msi_data, ==, 0x4123);
    g_assert_cmphex(fm_read(f, pba + 24, 8), ==, 0);
    send(&t, 199);
    g_assert_cmpuint(f->msis, ==, 2);
    wr(&t, PCI_COMMAND, PCI_CMD_MEMORY, 2);
    send(&t, 199);
    g_assert_cmpuint(f->msis, ==, 2); /* not a bus master */
    machine_end(f, &t);
}

static void test_state(void)
{
    struct fake_machine *f = machine_new(true);
    struct toy t;
    GByteArray *a = g_byte_array_new(), *b = g_byte_array_new();
    struct err e = { "" };
    toy_init(&t, f, 3);
    wr(&t, PCI_BAR0 + 4, BAR, 4);
    wr(&t, PCI_COMMAND, PCI_CMD_MEMORY, 2);
    fm_write(f, BAR + 0x20, 0x12345678, 4);
    wr(&t, t.pci.msix_cap + 2, 0x8000, 2);
    send(&t, 2);
    device_save(&t.pci.dev, a);
    fm_write(f, BAR + 0x20, 0, 4);
    wr(&t, t.pci.msix_cap + 2, 0, 2);
    g_assert_cmpint(device_load(&t.pci.dev, a->data, a->len, &e), ==, a->len);
    device_save(&t.pci.dev, b);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    g_assert_cmphex(t.pci.msix_pba.data[0], ==, 4);
    g_assert_cmphex(ld32(t.pci.msix_table.data + 0x20), ==, 0x12345678);
    g_byte_array_unref(a);
    g_byte_array_unref(b);
    machine_end(f, &t);
}

static void test_limits(void)
{
    struct fake_machine *f = machine_new(false);
    struct toy t = { .pci.dev = { .cls = &toy_class, .m = &f->m } };
    struct err e = { "" };
    g_assert_cmpint(pci_attach(&t.pci, &toy_id, &e), ==, 0);
    g_assert_cmpint(pci_msix_init(&t.pci, 0, 0, &e), <, 0);
    g_assert_cmpint(pci_msix_init(&t.pci, 2049, 0, &e), <, 0);
    g_assert_nonnull(strstr(e.msg, "2049"));
    g_assert_cmpint(pci_msix_init(&t.pci, 2048, 0, &e), ==, 0);
    g_assert_cmpuint(pci_msix_vectors(&t.pci), ==, 2048);
    machine_end(f, &t);
}

static void test_express(void)
{
    struct fake_machine *f = machine_new(true);
    struct toy t;
    toy_init(&t, f, 1);
    u8 cap = t.pci.express_cap;
    g_assert_cmphex(rd(&t, cap, 1), ==, 0x10);
    g_assert_cmphex(rd(&t, cap + PCI_EXP_FLAGS, 2), ==, 0x92); /* integrated in the root complex */
    g_assert_cmphex(rd(&t, 0x100, 4), ==, 0);
    g_assert_cmphex(rd(&t, 0x1000, 4), ==, 0xffffffff);
    u16 a = pci_ext_cap_add(&t.pci, 3, 1, 12), b = pci_ext_cap_add(&t.pci, 11, 1, 8);
    g_assert_cmphex(a, ==, 0x100);
    g_assert_cmphex(rd(&t, 0x100, 4), ==, (u32)b << 20 | 0x10003);
    g_assert_cmphex(rd(&t, b, 4), ==, 0x1000b);
    machine_end(f, &t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/msix/messages", test_messages);
    g_test_add_func("/msix/state", test_state);
    g_test_add_func("/msix/limits", test_limits);
    g_test_add_func("/express/capability", test_express);
    return g_test_run();
}
