/* Bridges: bus numbers, windows, interrupt pins through them, secondary bus reset, the root port's slot with hot plug, assignment. */
#include <glib.h>
#include "hw/pci/bridge.h"
#include "hw/pci/express.h"
#include "mmu/aspace.h"
#include "tests/lib/fake_machine.h"
#include "util/event.h"
#include "util/opts.h"

struct toy {
    struct pci_device pci;
    struct region mem, io, big;
    unsigned resets;
};

static u64 toy_read(void *opaque, u64 off, unsigned size) { return 0x5a; }
static const struct region_ops toy_ops = { toy_read, NULL, 1, 4 };

static void toy_reset(struct device *d)
{
    ((struct toy *)d)->resets++;
    pci_reset(&((struct toy *)d)->pci);
}

static const struct dev_class toy_class = { .name = "toy", .state_size = sizeof(struct toy), .reset = toy_reset };

struct fixture {
    struct fake_machine *f;
    int pirq[8];
};

static void set_pirq(void *opaque, int pirq, int level) { ((struct fixture *)opaque)->pirq[pirq] = level; }

static void setup(struct fixture *x)
{
    *x = (struct fixture){ .f = fake_machine_new(1) };
    lock_acquire(&x->f->m.lock);
    x->f->m.pci = pci_root_new(&x->f->m, true, NULL);
    x->f->m.pci->set_pirq = set_pirq;
    x->f->m.pci->pirq_opaque = x;
}

static void teardown(struct fixture *x)
{
    lock_release(&x->f->m.lock);
    fake_machine_free(x->f);
}

static struct device *add(struct fixture *x, const char *text, struct err *e)
{
    struct opts *o = opts_parse(text, "driver", e);
    struct device *d = device_add(&x->f->m, o, e);
    opts_free(o);
    return d;
}

static struct pci_device *bridge(struct fixture *x, const char *text)
{
    struct err e = { "" };
    struct device *d = add(x, text, &e);
    g_assert_cmpstr(e.msg, ==, "");
    return (struct pci_device *)d;
}

/* On the bus behind `up`. */
static struct toy *toy_new(struct fixture *x, struct pci_device *up, const char *addr)
{
    static const struct pci_id id = { 0x1234, 0x5678, 0x0280, 0, 1, 1, 0, 0 };
    struct toy *t = g_new0(struct toy, 1);
    t->pci.dev.cls = &toy_class;
    t->pci.dev.m = &x->f->m;
    t->pci.dev.bus = &up->secondary->bus;
    t->pci.addr = (char *)addr;
    g_assert_cmpint(pci_attach(&t->pci, &id, NULL), ==, 0);
    region_init_io(&t->mem, "toy-mem", 0x1000, &toy_ops, t, NULL);
    region_init_io(&t->io, "toy-io", 32, &toy_ops, t, NULL);
    region_init_io(&t->big, "toy-big", 1 * GiB, &toy_ops, t, NULL);
    pci_bar_init(&t->pci, 0, &t->mem, PCI_BAR_MEM32);
    pci_bar_init(&t->pci, 1, &t->io, PCI_BAR_IO);
    pci_bar_init(&t->pci, 2, &t->big, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
    pci_reset(&t->pci);
    return t;
}

static void toy_free(struct toy *t)
{
    pci_detach(&t->pci);
    g_free(t);
}

static void wr(struct pci_device *d, unsigned reg, u32 v, unsigned size)
{
    pci_config_write(d->bus, d->devfn, reg, v, size);
}

static u32 rd(struct pci_device *d, unsigned reg, unsigned size)
{
    return pci_config_read(d->bus, d->devfn, reg, size);
}

static void test_numbers(void)
{
    struct fixture x;
    setup(&x);
    struct pci_device *rp = bridge(&x, "pcie-root-port,id=rp"), *pb = bridge(&x, "pcie-pci-bridge,bus=rp,id=pb"),
                      *cb = bridge(&x, "pci-bridge,bus=pb,chassis_nr=1,id=cb");
    struct pci_bus *root = x.f->m.pci;
    g_assert_true(pci_bus_number(root, 0) == root);
    g_assert_null(pci_bus_number(root, 1));
    wr(rp, PCI_SECONDARY_BUS, 0x0501, 2); /* 1, 1..5 */
    wr(pb, PCI_SECONDARY_BUS, 0x0502, 2);
    wr(cb, PCI_SECONDARY_BUS, 0x0404, 2);
    g_assert_true(pci_bus_number(root, 1) == rp->secondary);
    g_assert_true(pci_bus_number(root, 2) == pb->secondary);
    g_assert_true(pci_bus_number(root, 4) == cb->secondary);
    g_assert_null(pci_bus_number(root, 3));
    g_assert_null(pci_bus_number(root, 6));
    wr(rp, PCI_SECONDARY_BUS, 0x0202, 2); /* nonsense of a guest: found or not, it ends */
    wr(pb, PCI_SECONDARY_BUS, 0x0202, 2);
    pci_bus_number(root, 2);
    wr(cb, PCI_SECONDARY_BUS, 0xff01, 2);
    pci_bus_number(root, 200);
    teardown(&x);
}

static void test_windows(void)
{
    struct fixture x;
    setup(&x);
    struct pci_device *rp = bridge(&x, "pcie-root-port,id=rp");
    struct toy *t = toy_new(&x, rp, NULL);
    g_assert_cmphex(rd(rp, PCI_HEADER_TYPE, 1), ==, 1);
    wr(&t->pci, PCI_BAR0, 0xe0301000, 4);
    wr(&t->pci, PCI_BAR0 + 4, 0xc100, 4);
    wr(&t->pci, PCI_BAR0 + 8, 0x40000000, 4);
    wr(&t->pci, PCI_BAR0 + 12, 2, 4);
    wr(&t->pci, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY, 2);
    g_assert_cmphex(fm_read(x.f, 0xe0301000, 1), ==, 0xff);
    wr(rp, PCI_MEMORY_BASE, 0xe030e030, 4);
    wr(rp, PCI_IO_BASE, 0xc0c0, 2);
    wr(rp, PCI_PREF_BASE, 0x7ff04000, 4);
    wr(rp, PCI_PREF_BASE_UPPER, 2, 4);
    wr(rp, PCI_PREF_LIMIT_UPPER, 2, 4);
    g_assert_cmphex(fm_read(x.f, 0xe0301000, 1), ==, 0xff); /* not turned on */
    wr(rp, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY, 2);
    g_assert_cmphex(fm_read(x.f, 0xe0301000, 1), ==, 0x5a);
    g_assert_cmphex(fm_in(x.f, 0xc100, 1), ==, 0x5a);
    g_assert_cmphex(fm_read(x.f, 0x27fffffff, 1), ==, 0x5a);
    wr(rp, PCI_MEMORY_BASE, 0xe020e040, 4); /* limit below base: closed */
    g_assert_cmphex(fm_read(x.f, 0xe0301000, 1), ==, 0xff);
    wr(rp, PCI_PREF_LIMIT_UPPER, 0xffffffff, 4); /* beyond what there is: closed */
    g_assert_cmphex(fm_read(x.f, 0x27fffffff, 1), ==, 0xff);
    toy_free(t);
    teardown(&x);
}

static void test_pins(void)
{
    struct fixture x;
    setup(&x);
    bridge(&x, "pcie-root-port,id=rp,addr=5");
    struct pci_device *pb = bridge(&x, "pcie-pci-bridge,bus=rp,id=pb");
    struct toy *t = toy_new(&x, pb, "6"); /* INTA# of slot 6: INTC# of the bridge in slot 0, of the port in slot 5 */
    pci_set_intx(&t->pci, 1);
    g_assert_cmpint(x.pirq[pci_swizzle(5, 3)], ==, 1);
    pci_set_intx(&t->pci, 0);
    g_assert_cmpint(x.pirq[pci_swizzle(5, 3)], ==, 0);
    toy_free(t);
    teardown(&x);
}

static void test_bus_reset(void)
{
    struct fixture x;
    setup(&x);
    struct pci_device *rp = bridge(&x, "pcie-root-port,id=rp"), *pb = bridge(&x, "pcie-pci-bridge,bus=rp,id=pb");
    struct toy *t = toy_new(&x, pb, NULL);
    wr(rp, PCI_BRIDGE_CONTROL, 0x40, 2);
    g_assert_cmpuint(t->resets, ==, 1);
    wr(rp, PCI_BRIDGE_CONTROL, 0x40, 2);
    wr(rp, PCI_BRIDGE_CONTROL, 0, 2);
    g_assert_cmpuint(t->resets, ==, 1);
    toy_free(t);
    teardown(&x);
}

static unsigned deleted;

static void on_event(void *opaque, const char *name, const struct event_member *members)
{
    deleted += !strcmp(name, "DEVICE_DELETED");
}

static void test_hotplug(void)
{
    struct fixture x;
    struct err e = { "" };
    setup(&x);
    struct pci_device *rp = bridge(&x, "pcie-root-port,id=rp,addr=4"), *fixed = bridge(&x, "pcie-root-port,id=no,hotplug=off");
    unsigned cap = rp->express_cap;
    g_assert_cmphex(rd(rp, cap + PCI_EXP_SLTSTA, 2), ==, 0);
    g_assert_cmphex(rd(rp, cap + PCI_EXP_SLTCTL, 2), ==, 0x7c0);
    wr(rp, cap + PCI_EXP_SLTCTL, 0x7c0 | 0x1029, 2); /* interrupts for button, presence, link */
    wr(rp, cap + PCI_EXP_SLTSTA, 0x11f, 2);
    wr(rp, PCI_COMMAND, PCI_CMD_MASTER, 2);
    wr(rp, rp->msi_cap + 4, 0xfee00000, 4);
    wr(rp, rp->msi_cap + 2, 1, 2);
    x.f->m.running = true;
    event_set_sink(on_event, NULL);
    deleted = 0;

    struct device *d = add(&x, "pcie-pci-bridge,bus=rp,id=new", &e);
    g_assert_nonnull(d);
    g_assert_cmpuint(x.f->msis, ==, 1);
    g_assert_cmphex(rd(rp, cap + PCI_EXP_SLTSTA, 2), ==, 0x49); /* present, presence changed, button */
    g_assert_null(add(&x, "pcie-pci-bridge,bus=rp,id=second", &e));
    g_assert_null(add(&x, "pcie-pci-bridge,bus=no,id=third", &e));
    g_assert_nonnull(strstr(e.msg, "does not support hotplugging"));
    g_assert_null(fixed->secondary->dev[0]);
    wr(rp, cap + PCI_EXP_SLTSTA, 0x11f, 2);
    wr(rp, cap + PCI_EXP_SLTCTL, 0x1029 | 0x1c0, 2); /* power on, indicator on: the link comes up */
    g_assert_cmphex(rd(rp, cap + PCI_EXP_SLTSTA, 2), ==, 0x150);
    g_assert_cmphex(rd(rp, cap + PCI_EXP_LNKSTA, 2) & 0x2000, ==, 0x2000);
    wr(rp, cap + PCI_EXP_SLTSTA, 0x11f, 2);

    g_assert_cmpint(device_del(d, &e), ==, 0);
    g_assert_cmphex(rd(rp, cap + PCI_EXP_SLTSTA, 2), ==, 0x41);
    g_assert_nonnull(device_find(&x.f->m, "new"));
    g_assert_cmpint(device_del(d, &e), <, 0);
    g_assert_nonnull(strstr(e.msg, "already in the process"));
    wr(rp, cap + PCI_EXP_SLTSTA, 0x11f, 2);
    lock_release(&x.f->m.lock);
    fm_step(x.f, 5 * NS_PER_SEC); /* a guest that took no notice is asked once more */
    lock_acquire(&x.f->m.lock);
    g_assert_cmpint(device_del(d, &e), ==, 0);
    g_assert_cmphex(rd(rp, cap + PCI_EXP_SLTSTA, 2), ==, 0x41);
    wr(rp, cap + PCI_EXP_SLTCTL, 0x1029 | 0x7c0, 2);
    g_assert_null(device_find(&x.f->m, "new"));
    g_assert_cmpuint(deleted, ==, 1);
    g_assert_cmphex(rd(rp, cap + PCI_EXP_SLTSTA, 2) & 0x40, ==, 0);

    d = add(&x, "pcie-pci-bridge,bus=rp,id=new", &e); /* never powered by the guest: goes at once */
    g_assert_cmpint(device_del(d, &e), ==, 0);
    g_assert_cmpuint(deleted, ==, 2);
    event_set_sink(NULL, NULL);
    teardown(&x);
}

static void test_assign(void)
{
    static const u8 irq[8] = { 10, 10, 11, 11 };
    static const struct pci_windows windows = { 0xc000, 0x10000, 0xe0000000, 0xfec00000, 8 * GiB, 64 * GiB };
    struct fixture x;
    setup(&x);
    struct pci_device *rp = bridge(&x, "pcie-root-port,id=rp"), *pb = bridge(&x, "pcie-pci-bridge,bus=rp,id=pb"),
                      *empty = bridge(&x, "pcie-root-port,id=e");
    struct toy *t = toy_new(&x, pb, NULL);
    pci_bus_assign(x.f->m.pci, &windows, irq);
    g_assert_cmphex(rd(rp, PCI_PRIMARY_BUS, 4) & 0xffffff, ==, 0x020100);
    g_assert_cmphex(rd(pb, PCI_PRIMARY_BUS, 4) & 0xffffff, ==, 0x020201);
    g_assert_cmphex(rd(empty, PCI_PRIMARY_BUS, 4) & 0xffffff, ==, 0x030300);
    g_assert_cmphex(pci_bar_addr(&t->pci, 0), ==, 0xe0000000);
    g_assert_cmphex(pci_bar_addr(&t->pci, 1), ==, 0xc000);
    g_assert_cmphex(pci_bar_addr(&t->pci, 2), ==, 8 * GiB);
    g_assert_cmphex(rd(rp, PCI_MEMORY_BASE, 4), ==, 0xe010e000); /* 2 MiB for hot plug */
    g_assert_cmphex(rd(pb, PCI_MEMORY_BASE, 4), ==, 0xe000e000);
    g_assert_cmphex(rd(empty, PCI_MEMORY_BASE, 4), ==, 0xe030e020);
    g_assert_cmphex(rd(empty, PCI_IO_BASE, 2), ==, 0xd0d0);
    g_assert_cmphex(fm_read(x.f, 0xe0000000, 1), ==, 0x5a);
    g_assert_cmphex(fm_read(x.f, 9 * GiB - 1, 1), ==, 0x5a);
    g_assert_cmphex(fm_in(x.f, 0xc000, 1), ==, 0x5a);
    toy_free(t);
    teardown(&x);
}

static void test_refused(void)
{
    static const char *const bad[][2] = {
        { "pci-bridge", "chassis_nr" }, { "pci-bridge,chassis_nr=1,shpc=on", "shpc" }, { "pcie-root-port,bus=rp", "root bus" },
        { "pcie-pci-bridge,bus=rp,addr=1", "only slot 0" }, { "pci-bridge,chassis_nr=1,romfile=x", "romfile" },
        { "pcie-pci-bridge,bus=nowhere", "nowhere" },
    };
    struct fixture x;
    setup(&x);
    bridge(&x, "pcie-root-port,id=rp");
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = { "" };
        g_assert_null(add(&x, bad[i][0], &e));
        if (!strstr(e.msg, bad[i][1]))
            g_error("'%s' does not name '%s'", e.msg, bad[i][1]);
    }
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bridge/numbers", test_numbers);
    g_test_add_func("/bridge/windows", test_windows);
    g_test_add_func("/bridge/pins", test_pins);
    g_test_add_func("/bridge/bus-reset", test_bus_reset);
    g_test_add_func("/bridge/hotplug", test_hotplug);
    g_test_add_func("/bridge/assign", test_assign);
    g_test_add_func("/bridge/refused", test_refused);
    return g_test_run();
}
