/* Virtio over PCI: identities and capabilities, the modern registers, the legacy ones, access through configuration space, MSI-X and the
 * pin, which interfaces a device has on which bus. virtio-rng is the device. */
#include <glib.h>
#include "hw/pci/pci.h"
#include "mmu/dma.h"
#include "tests/lib/fake_machine.h"

enum { MODERN = 0xe0000000, MSIX = 0xe0100000, LEGACY = 0xc000, RING = 0x200000, BUFFER = 0x210000 };
enum { COMMON = MODERN, ISR = MODERN + 0x1000, DEVICE = MODERN + 0x2000, NOTIFY = MODERN + 0x3000 };

struct fixture {
    struct fake_machine *f;
    struct pci_device *p;
    int pirq;
    u16 next;
};

static void set_pirq(void *opaque, int pirq, int level) { ((struct fixture *)opaque)->pirq = level; }

static u32 rd(struct fixture *x, unsigned reg, unsigned size)
{
    lock_acquire(&x->f->m.lock);
    u32 v = pci_config_read(x->p->bus, x->p->devfn, reg, size);
    lock_release(&x->f->m.lock);
    return v;
}

static void wr(struct fixture *x, unsigned reg, u32 val, unsigned size)
{
    lock_acquire(&x->f->m.lock);
    pci_config_write(x->p->bus, x->p->devfn, reg, val, size);
    lock_release(&x->f->m.lock);
}

static void setup(struct fixture *x, const char *cls, const char *props)
{
    memset(x, 0, sizeof(*x));
    x->f = fake_machine_new(1);
    lock_acquire(&x->f->m.lock);
    x->f->m.pci = pci_root_new(&x->f->m, false, NULL);
    x->f->m.pci->set_pirq = set_pirq;
    x->f->m.pci->pirq_opaque = x;
    lock_release(&x->f->m.lock);
    x->p = (struct pci_device *)fake_device(x->f, cls, props);
    wr(x, PCI_BAR0, LEGACY, 4);
    wr(x, PCI_BAR0 + 4, MSIX, 4);
    wr(x, PCI_BAR0 + 16, MODERN, 4);
    wr(x, PCI_BAR0 + 20, 0, 4);
    wr(x, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
}

static void teardown(struct fixture *x)
{
    lock_acquire(&x->f->m.lock);
    device_free(&x->p->dev);
    lock_release(&x->f->m.lock);
    fake_machine_free(x->f);
}

/* Offset of the vendor capability of that type, 0: there is none. */
static u8 cap_of(struct fixture *x, u8 type)
{
    for (u8 at = rd(x, PCI_CAP_POINTER, 1); at; at = rd(x, at + 1, 1))
        if (rd(x, at, 1) == PCI_CAP_VENDOR && rd(x, at + 3, 1) == type)
            return at;
    return 0;
}

static u32 in(struct fixture *x, u64 addr, unsigned size) { return fm_read(x->f, addr, size); }
static void out(struct fixture *x, u64 addr, u32 val, unsigned size) { fm_write(x->f, addr, val, size); }

/* One buffer of 16 bytes is made available; true if it comes back filled. */
static bool serve(struct fixture *x, void (*kick)(struct fixture *x), unsigned size, u64 used)
{
    u8 d[16], ring[4];
    u64 avail = RING + 16 * size;
    u16 before, after;

    st64(d, BUFFER);
    st32(d + 8, 16);
    st16(d + 12, 2);
    st16(d + 14, 0);
    dma_write(x->f->m.mem, RING, d, 16);
    st16(ring, 0);
    dma_write(x->f->m.mem, avail + 4 + 2 * (x->next % size), ring, 2);
    st16(ring, ++x->next);
    dma_write(x->f->m.mem, avail + 2, ring, 2);
    before = fm_read(x->f, used + 2, 2);
    kick(x);
    after = fm_read(x->f, used + 2, 2);
    return after == (u16)(before + 1);
}

static void kick_modern(struct fixture *x) { out(x, NOTIFY, 0, 2); }
static void kick_legacy(struct fixture *x) { fm_out(x->f, LEGACY + 16, 0, 2); }

static void start_modern(struct fixture *x)
{
    out(x, COMMON + 20, 0, 1);
    g_assert_cmpuint(in(x, COMMON + 20, 1), ==, 0);
    out(x, COMMON + 20, 3, 1);
    out(x, COMMON, 1, 4);
    g_assert_cmphex(in(x, COMMON + 4, 4) & 1, ==, 1); /* VERSION_1 */
    out(x, COMMON + 8, 1, 4);
    out(x, COMMON + 12, 1 | 1 << 8 /* RING_RESET */, 4);
    out(x, COMMON + 20, 11, 1);
    g_assert_cmpuint(in(x, COMMON + 20, 1), ==, 11);
    out(x, COMMON + 22, 0, 2);
    g_assert_cmpuint(in(x, COMMON + 24, 2), ==, 8);
    out(x, COMMON + 32, RING, 4);
    out(x, COMMON + 36, 0, 4);
    out(x, COMMON + 40, RING + 128, 4);
    out(x, COMMON + 48, RING + 4096, 4);
    out(x, COMMON + 28, 1, 2);
    g_assert_cmpuint(in(x, COMMON + 28, 2), ==, 1);
    out(x, COMMON + 20, 15, 1);
    x->next = 0;
    u8 zero[8192] = { 0 };
    dma_write(x->f->m.mem, RING, zero, sizeof(zero));
}

static void test_identity(void)
{
    static const struct { const char *cls, *props; u16 device, subsys; u8 rev; bool legacy, modern; } ids[] = {
        { "virtio-rng-pci", NULL, 0x1005, 4, 0, true, true },
        { "virtio-rng-pci", "disable-legacy=on", 0x1044, 0x1100, 1, false, true },
        { "virtio-rng-pci", "disable-modern=on", 0x1005, 4, 0, true, false },
        { "virtio-rng-pci-transitional", NULL, 0x1005, 4, 0, true, true },
        { "virtio-rng-pci-non-transitional", NULL, 0x1044, 0x1100, 1, false, true },
    };
    for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
        struct fixture x;
        setup(&x, ids[i].cls, ids[i].props);
        g_assert_cmphex(rd(&x, 0, 2), ==, 0x1af4);
        g_assert_cmphex(rd(&x, 2, 2), ==, ids[i].device);
        g_assert_cmphex(rd(&x, PCI_SUBSYS_ID, 2), ==, ids[i].subsys);
        g_assert_cmphex(rd(&x, PCI_REVISION, 1), ==, ids[i].rev);
        g_assert_cmpint((rd(&x, PCI_BAR0, 4) & 1) != 0, ==, ids[i].legacy);
        for (u8 type = 1; type <= 5; type++)
            g_assert_cmpint(cap_of(&x, type) != 0, ==, ids[i].modern);
        teardown(&x);
    }
}

static void test_bad_interfaces(void)
{
    static const struct { const char *cls, *props, *text; } bad[] = {
        { "virtio-rng-pci", "disable-legacy=on,disable-modern=on", "*neither modern nor legacy*" },
        { "virtio-rng-pci", "disable-modern=on,packed=on", "*packed=on needs*" },
        { "virtio-rng-pci", "iommu_platform=on", "*needs disable-legacy=on*" },
        { "virtio-rng-pci", "vectors=5000", "*vectors=5000*" },
        { "virtio-rng-pci-transitional", "disable-legacy=on", "*go with virtio-rng-pci only*" },
    };
    struct fixture x;
    struct err e;
    setup(&x, "virtio-rng-pci", NULL);
    lock_acquire(&x.f->m.lock);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        g_assert_null(device_create(&x.f->m, bad[i].cls, NULL, bad[i].props, &e));
        g_test_message("%s", e.msg);
        g_assert_true(g_pattern_match_simple(bad[i].text, e.msg));
    }
    lock_release(&x.f->m.lock);
    teardown(&x);
}

static void test_modern(void)
{
    struct fixture x;
    setup(&x, "virtio-rng-pci", NULL);
    g_assert_cmpuint(in(&x, COMMON + 18, 2), ==, 1); /* num_queues */
    out(&x, COMMON + 22, 5, 2);
    g_assert_cmpuint(in(&x, COMMON + 24, 2), ==, 0); /* no such queue */
    out(&x, COMMON + 24, 4, 2);
    out(&x, COMMON + 28, 1, 2);
    start_modern(&x);
    g_assert_true(serve(&x, kick_modern, 8, RING + 4096));
    g_assert_cmpint(x.pirq, ==, 1);
    g_assert_cmphex(rd(&x, PCI_STATUS, 2) & PCI_STS_INTX, ==, PCI_STS_INTX);
    g_assert_cmpuint(in(&x, ISR, 1), ==, 1);
    g_assert_cmpint(x.pirq, ==, 0);
    g_assert_cmpuint(in(&x, ISR, 1), ==, 0);
    g_assert_cmphex(in(&x, DEVICE, 4), ==, 0xffffffff); /* it has no configuration */
    out(&x, COMMON + 4, 5, 4); /* read-only, a part, across: nothing comes of it */
    out(&x, COMMON + 24, 0, 1);
    out(&x, COMMON + 33, 0x77, 1);
    out(&x, COMMON + 100, 1, 4);
    out(&x, COMMON + 32, 0x9999, 4); /* the queue runs */
    g_assert_cmphex(in(&x, COMMON + 32, 4), ==, RING);
    g_assert_cmphex(in(&x, COMMON + 33, 1), ==, RING >> 8 & 0xff);
    g_assert_true(serve(&x, kick_modern, 8, RING + 4096));
    out(&x, COMMON + 58, 1, 2); /* queue_reset */
    g_assert_cmpuint(in(&x, COMMON + 28, 2), ==, 0);
    g_assert_false(serve(&x, kick_modern, 8, RING + 4096));
    out(&x, COMMON + 20, 0, 1);
    g_assert_cmpint(x.pirq, ==, 0);
    teardown(&x);
}

static void vector_write(struct fixture *x, unsigned n, u32 data)
{
    out(x, MSIX + 16 * n, 0xfee00000, 4);
    out(x, MSIX + 16 * n + 4, 0, 4);
    out(x, MSIX + 16 * n + 8, data, 4);
    out(x, MSIX + 16 * n + 12, 0, 4);
}

static void test_msix(void)
{
    struct fixture x;
    setup(&x, "virtio-rng-pci", NULL);
    u8 cap = rd(&x, PCI_CAP_POINTER, 1);
    while (rd(&x, cap, 1) != PCI_CAP_MSIX)
        cap = rd(&x, cap + 1, 1);
    g_assert_cmpuint(rd(&x, cap + 2, 2) & 0x7ff, ==, 1); /* two vectors */
    wr(&x, cap + 2, 0x8000, 2);
    vector_write(&x, 0, 0x4040);
    vector_write(&x, 1, 0x4041);
    start_modern(&x);
    out(&x, COMMON + 26, 9, 2);
    g_assert_cmphex(in(&x, COMMON + 26, 2), ==, 0xffff); /* refused */
    g_assert_true(serve(&x, kick_modern, 8, RING + 4096));
    g_assert_cmpuint(x.f->msis, ==, 0); /* without a vector there is no interrupt */
    out(&x, COMMON + 26, 1, 2);
    out(&x, COMMON + 16, 0, 2);
    g_assert_cmphex(in(&x, COMMON + 26, 2), ==, 1);
    g_assert_true(serve(&x, kick_modern, 8, RING + 4096));
    g_assert_cmpuint(x.f->msis, ==, 1);
    g_assert_cmphex(x.f->msi_data, ==, 0x4041);
    u8 bad[2] = { 0xff, 0xff };
    dma_write(x.f->m.mem, RING + 128 + 2, bad, 2); /* the available index runs off: needs reset */
    kick_modern(&x);
    g_assert_cmphex(in(&x, COMMON + 20, 1), ==, 15 | 64);
    g_assert_cmphex(x.f->msi_data, ==, 0x4040);
    g_assert_cmpint(x.pirq, ==, 0);
    teardown(&x);
}

static void test_legacy(void)
{
    struct fixture x;
    setup(&x, "virtio-rng-pci", "disable-modern=on");
    u8 zero[16384] = { 0 };
    dma_write(x.f->m.mem, RING, zero, sizeof(zero));
    fm_out(x.f, LEGACY + 18, 0, 1);
    fm_out(x.f, LEGACY + 18, 3, 1);
    u32 features = fm_in(x.f, LEGACY, 4);
    g_assert_cmphex(features & BIT(28), ==, BIT(28));
    fm_out(x.f, LEGACY + 4, BIT(28) | BIT(5) /* not offered */, 4);
    g_assert_cmphex(fm_in(x.f, LEGACY + 4, 4), ==, BIT(28));
    fm_out(x.f, LEGACY + 14, 1, 2);
    g_assert_cmpuint(fm_in(x.f, LEGACY + 12, 2), ==, 0);
    fm_out(x.f, LEGACY + 8, 5, 4);
    fm_out(x.f, LEGACY + 14, 0, 2);
    g_assert_cmpuint(fm_in(x.f, LEGACY + 12, 2), ==, 8);
    fm_out(x.f, LEGACY + 8, RING >> 12, 4);
    g_assert_cmphex(fm_in(x.f, LEGACY + 8, 4), ==, RING >> 12);
    fm_out(x.f, LEGACY + 18, 7, 1);
    g_assert_true(serve(&x, kick_legacy, 8, RING + 4096));
    g_assert_cmpint(x.pirq, ==, 1);
    g_assert_cmpuint(fm_in(x.f, LEGACY + 19, 1), ==, 1);
    g_assert_cmpint(x.pirq, ==, 0);
    g_assert_cmphex(fm_in(x.f, LEGACY + 20, 4), ==, 0xffffffff); /* no configuration */
    fm_out(x.f, LEGACY + 8, 0, 4); /* page 0 resets */
    g_assert_cmpuint(fm_in(x.f, LEGACY + 18, 1), ==, 0);
    teardown(&x);
}

static void test_config_access(void)
{
    struct fixture x;
    setup(&x, "virtio-rng-pci", NULL);
    u8 cap = cap_of(&x, 5);
    wr(&x, cap + 4, 4, 1); /* BAR, offset, length */
    wr(&x, cap + 8, 18, 4);
    wr(&x, cap + 12, 2, 4);
    g_assert_cmpuint(rd(&x, cap + 16, 2), ==, 1); /* num_queues */
    wr(&x, cap + 8, 20, 4);
    wr(&x, cap + 12, 1, 4);
    wr(&x, cap + 16, 3, 1);
    g_assert_cmpuint(in(&x, COMMON + 20, 1), ==, 3); /* device_status */
    static const struct { u8 bar; u32 off, len; } bad[] = {
        { 4, 20, 3 }, { 4, 21, 4 }, { 4, 0x3fff, 4 }, { 4, 0xfffffffc, 4 }, { 4, 0x4000, 4 }, { 0, 0, 4 }, { 1, 0, 4 }, { 9, 0, 1 }, { 4, 0, 0 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        wr(&x, cap + 4, bad[i].bar, 1);
        wr(&x, cap + 8, bad[i].off, 4);
        wr(&x, cap + 12, bad[i].len, 4);
        rd(&x, cap + 16, 4);
        wr(&x, cap + 16, 0, 4);
    }
    g_assert_cmpuint(in(&x, COMMON + 20, 1), ==, 3);
    teardown(&x);
}

static void test_saving(void)
{
    struct fixture x;
    struct err e = { "" };
    GByteArray *a = g_byte_array_new(), *b = g_byte_array_new();
    setup(&x, "virtio-rng-pci", NULL);
    start_modern(&x);
    g_assert_true(serve(&x, kick_modern, 8, RING + 4096));
    lock_acquire(&x.f->m.lock);
    device_save(&x.p->dev, a);
    g_assert_cmpint(device_load(&x.p->dev, a->data, a->len, &e), ==, a->len);
    device_save(&x.p->dev, b);
    lock_release(&x.f->m.lock);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    g_assert_cmpint(x.pirq, ==, 1);
    g_assert_true(serve(&x, kick_modern, 8, RING + 4096));
    g_byte_array_unref(a);
    g_byte_array_unref(b);
    fm_reset(x.f);
    g_assert_cmpint(x.pirq, ==, 0);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-pci/identity", test_identity);
    g_test_add_func("/virtio-pci/bad-interfaces", test_bad_interfaces);
    g_test_add_func("/virtio-pci/modern", test_modern);
    g_test_add_func("/virtio-pci/msix", test_msix);
    g_test_add_func("/virtio-pci/legacy", test_legacy);
    g_test_add_func("/virtio-pci/config-access", test_config_access);
    g_test_add_func("/virtio-pci/saving", test_saving);
    return g_test_run();
}
