/* Configuration space, BAR sizing and mapping, interrupt pins, MSI, addresses on the bus, firmware-like assignment. */
#include <glib.h>
#include "hw/pci/host.h"
#include "hw/pci/pci.h"
#include "mmu/aspace.h"
#include "tests/lib/fake_machine.h"

struct toy {
    struct pci_device pci;
    struct region mem, io, mem64;
};

static const struct dev_class toy_class = { .name = "toy", .state_size = sizeof(struct toy) };
static const struct pci_id toy_id = { 0x1234, 0x5678, 0x0280, 0, 1, 1, 0xaaaa, 0xbbbb };

static u64 toy_read(void *opaque, u64 off, unsigned size) { return 0x5a; }
static const struct region_ops toy_ops = { toy_read, NULL, 1, 4 };

struct fixture {
    struct fake_machine *f;
    int pirq[4];
};

static void set_pirq(void *opaque, int pirq, int level) { ((struct fixture *)opaque)->pirq[pirq] = level; }

static void setup(struct fixture *x)
{
    *x = (struct fixture){ .f = fake_machine_new(1) };
    lock_acquire(&x->f->m.lock);
    x->f->m.pci = pci_bus_new(&x->f->m);
    x->f->m.pci->set_pirq = set_pirq;
    x->f->m.pci->pirq_opaque = x;
    lock_release(&x->f->m.lock);
}

static void teardown(struct fixture *x)
{
    fake_machine_free(x->f);
}

static struct toy *toy_new(struct fixture *x, const char *addr, struct err *e)
{
    struct toy *t = g_new0(struct toy, 1);
    t->pci.dev.cls = &toy_class;
    t->pci.dev.m = &x->f->m;
    t->pci.addr = (char *)addr;
    if (pci_attach(&t->pci, &toy_id, e) < 0) {
        g_free(t);
        return NULL;
    }
    region_init_io(&t->mem, "toy-mem", 0x1000, &toy_ops, t, &x->f->m.lock);
    region_init_io(&t->io, "toy-io", 32, &toy_ops, t, &x->f->m.lock);
    region_init_io(&t->mem64, "toy-mem64", 0x10000, &toy_ops, t, &x->f->m.lock);
    pci_bar_init(&t->pci, 0, &t->mem, PCI_BAR_MEM32);
    pci_bar_init(&t->pci, 1, &t->io, PCI_BAR_IO);
    pci_bar_init(&t->pci, 2, &t->mem64, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
    pci_msi_init(&t->pci, 2);
    pci_reset(&t->pci);
    return t;
}

static void toy_free(struct toy *t)
{
    pci_detach(&t->pci);
    g_free(t);
}

static u32 rd(struct toy *t, unsigned reg, unsigned size)
{
    return pci_config_read(t->pci.bus, t->pci.devfn, reg, size);
}

static void wr(struct toy *t, unsigned reg, u32 v, unsigned size)
{
    pci_config_write(t->pci.bus, t->pci.devfn, reg, v, size);
}

static void test_header(void)
{
    struct fixture x;
    setup(&x);
    struct toy *t = toy_new(&x, "5", NULL);
    g_assert_cmphex(t->pci.devfn, ==, 5 << 3);
    g_assert_cmphex(rd(t, 0, 4), ==, 0x56781234);
    g_assert_cmphex(rd(t, 8, 4), ==, 0x02800001);
    g_assert_cmphex(rd(t, 0x2c, 4), ==, 0xbbbbaaaa);
    wr(t, 0, 0, 4);
    g_assert_cmphex(rd(t, 0, 4), ==, 0x56781234);
    wr(t, PCI_INT_LINE, 0xffff, 2);
    g_assert_cmphex(rd(t, PCI_INT_LINE, 2), ==, 0x01ff); /* the pin is read-only */
    g_assert_cmphex(pci_config_read(x.f->m.pci, PCI_DEVFN(6, 0), 0, 4), ==, 0xffffffff);
    g_assert_cmphex(pci_config_read(x.f->m.pci, PCI_DEVFN(6, 0), 0, 1), ==, 0xff);
    t->pci.config[PCI_STATUS + 1] = 0xf9;
    wr(t, PCI_STATUS, 0x2000, 2);
    g_assert_cmphex(rd(t, PCI_STATUS, 2) & 0xff00, ==, 0xd900);
    toy_free(t);
    teardown(&x);
}

static void test_bars(void)
{
    struct fixture x;
    setup(&x);
    struct toy *t = toy_new(&x, NULL, NULL);
    wr(t, PCI_BAR0, 0xffffffff, 4);
    g_assert_cmphex(rd(t, PCI_BAR0, 4), ==, 0xfffff000);
    wr(t, PCI_BAR0 + 4, 0xffffffff, 4);
    g_assert_cmphex(rd(t, PCI_BAR0 + 4, 4), ==, 0xffffffe1);
    wr(t, PCI_BAR0 + 8, 0xffffffff, 4);
    wr(t, PCI_BAR0 + 12, 0xffffffff, 4);
    g_assert_cmphex(rd(t, PCI_BAR0 + 8, 4), ==, 0xffff000c);
    g_assert_cmphex(rd(t, PCI_BAR0 + 12, 4), ==, 0xffffffff);
    g_assert_cmphex(rd(t, PCI_BAR0 + 16, 4), ==, 0);

    wr(t, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY, 2); /* sizing values do not decode */
    g_assert_cmphex(fm_read(x.f, 0xfffff000, 4), ==, 0xffffffff);
    wr(t, PCI_BAR0, 0xe0001000, 4);
    wr(t, PCI_BAR0 + 4, 0xc100, 4);
    wr(t, PCI_BAR0 + 8, 0x10000, 4);
    wr(t, PCI_BAR0 + 12, 0x2, 4);
    g_assert_cmphex(fm_read(x.f, 0xe0001000, 1), ==, 0x5a);
    g_assert_cmphex(fm_read(x.f, 0xe0002000, 1), ==, 0xff);
    g_assert_cmphex(fm_in(x.f, 0xc11f, 1), ==, 0x5a);
    g_assert_cmphex(fm_read(x.f, 0x200010000, 1), ==, 0x5a);
    wr(t, PCI_BAR0 + 2, 0xe001, 2); /* in parts, while decoding: moves */
    g_assert_cmphex(fm_read(x.f, 0xe0011000, 1), ==, 0x5a);
    g_assert_cmphex(fm_read(x.f, 0xe0001000, 1), ==, 0xff);
    wr(t, PCI_COMMAND, PCI_CMD_IO, 2);
    g_assert_cmphex(fm_read(x.f, 0xe0011000, 1), ==, 0xff);
    g_assert_cmphex(fm_in(x.f, 0xc100, 1), ==, 0x5a);
    pci_reset(&t->pci);
    g_assert_cmphex(fm_in(x.f, 0xc100, 1), ==, 0xff);
    g_assert_cmphex(rd(t, PCI_BAR0 + 4, 4), ==, 1);
    toy_free(t);
    teardown(&x);
}

static void test_intx(void)
{
    struct fixture x;
    setup(&x);
    struct toy *a = toy_new(&x, "3", NULL), *b = toy_new(&x, "7", NULL); /* both INTA#: PIRQC */
    pci_set_intx(&a->pci, 1);
    pci_set_intx(&b->pci, 1);
    g_assert_cmpint(x.pirq[2], ==, 1);
    g_assert_cmphex(rd(a, PCI_STATUS, 2) & PCI_STS_INTX, ==, PCI_STS_INTX);
    pci_set_intx(&a->pci, 0);
    g_assert_cmpint(x.pirq[2], ==, 1);
    wr(b, PCI_COMMAND, PCI_CMD_INTX_OFF, 2);
    g_assert_cmpint(x.pirq[2], ==, 0);
    g_assert_cmphex(rd(b, PCI_STATUS, 2) & PCI_STS_INTX, ==, PCI_STS_INTX);
    wr(b, PCI_COMMAND, 0, 2);
    g_assert_cmpint(x.pirq[2], ==, 1);
    pci_reset(&b->pci);
    g_assert_cmpint(x.pirq[2], ==, 0);
    toy_free(a);
    toy_free(b);
    teardown(&x);
}

static void test_msi(void)
{
    struct fixture x;
    setup(&x);
    struct toy *t = toy_new(&x, NULL, NULL);
    u8 cap = rd(t, PCI_CAP_POINTER, 1);
    g_assert_cmphex(cap, ==, 0x40);
    g_assert_cmphex(rd(t, PCI_STATUS, 2) & PCI_STS_CAPS, ==, PCI_STS_CAPS);
    g_assert_cmphex(rd(t, cap, 4), ==, 0x00840005); /* 64-bit, 4 messages */
    wr(t, cap + 4, 0xfee01003, 4);
    wr(t, cap + 12, 0x4041, 2);
    wr(t, cap + 2, 0x0021, 2); /* enabled, 4 granted */
    g_assert_true(pci_msi_enabled(&t->pci));
    pci_msi_send(&t->pci, 2);
    g_assert_cmpuint(x.f->msis, ==, 0); /* not a bus master yet */
    wr(t, PCI_COMMAND, PCI_CMD_MASTER, 2);
    msi_send(&x.f->m.msi, &(struct msi){ 0 });
    pci_msi_send(&t->pci, 2);
    g_assert_cmpuint(x.f->msis, ==, 2);
    g_assert_cmphex(x.f->msi_addr, ==, 0xfee01000);
    g_assert_cmphex(x.f->msi_data, ==, 0x4042);
    wr(t, cap + 2, 0x0001, 2); /* one granted: the data is used as it is */
    pci_msi_send(&t->pci, 3);
    g_assert_cmphex(x.f->msi_data, ==, 0x4041);
    toy_free(t);
    teardown(&x);
}

static void test_addresses(void)
{
    static const char *const bad[] = { "", "20", "3.8", "3.", "x", "1f.0x", "3 " };
    struct fixture x;
    struct err e = { "" };
    setup(&x);
    struct toy *a = toy_new(&x, "1f.7", &e), *b = toy_new(&x, NULL, &e), *c = toy_new(&x, NULL, &e);
    g_assert_cmphex(a->pci.devfn, ==, 0xff);
    g_assert_cmphex(b->pci.devfn, ==, 3 << 3);
    g_assert_cmphex(c->pci.devfn, ==, 4 << 3);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        g_assert_null(toy_new(&x, bad[i], &e));
        g_assert_nonnull(strstr(e.msg, "addr="));
    }
    g_assert_null(toy_new(&x, "03.0", &e));
    g_assert_nonnull(strstr(e.msg, "taken by toy"));
    g_assert_null(toy_new(&x, "3.2", &e));
    g_assert_nonnull(strstr(e.msg, "multifunction=on"));
    struct toy *d = toy_new(&x, "9.2", &e);
    g_assert_nonnull(d);
    g_assert_null(toy_new(&x, "9", &e)); /* it would hide 9.2 */
    g_assert_nonnull(strstr(e.msg, "multifunction=on"));
    toy_free(a);
    toy_free(b);
    toy_free(c);
    toy_free(d);
    teardown(&x);
}

static void test_assign(void)
{
    static const u8 irq[8] = { 10, 10, 11, 11 };
    static const struct pci_windows windows = { 0xc000, 0x10000, 0xe0000000, 0xfec00000, 0, 0 };
    struct fixture x;
    setup(&x);
    struct toy *a = toy_new(&x, "3", NULL), *b = toy_new(&x, "4", NULL);
    pci_bus_assign(x.f->m.pci, &windows, irq);
    g_assert_cmphex(pci_bar_addr(&a->pci, 0), ==, 0xe0000000);
    g_assert_cmphex(pci_bar_addr(&a->pci, 1), ==, 0xc000);
    g_assert_cmphex(pci_bar_addr(&a->pci, 2), ==, 0xe0010000);
    g_assert_cmphex(pci_bar_addr(&b->pci, 0), ==, 0xe0020000);
    g_assert_cmphex(pci_bar_addr(&b->pci, 1), ==, 0xc020);
    g_assert_cmphex(rd(a, PCI_COMMAND, 2), ==, PCI_CMD_IO | PCI_CMD_MEMORY);
    g_assert_cmpuint(rd(a, PCI_INT_LINE, 1), ==, 11);
    g_assert_cmpuint(rd(b, PCI_INT_LINE, 1), ==, 11);
    g_assert_cmphex(fm_read(x.f, 0xe0010000, 1), ==, 0x5a);
    toy_free(a);
    toy_free(b);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci/header", test_header);
    g_test_add_func("/pci/bars", test_bars);
    g_test_add_func("/pci/intx", test_intx);
    g_test_add_func("/pci/msi", test_msi);
    g_test_add_func("/pci/addresses", test_addresses);
    g_test_add_func("/pci/assign", test_assign);
    return g_test_run();
}
