/* The device intel-iommu: options that are refused, capabilities, odd register accesses, reset, and saving with everything on. */
#include <glib.h>
#include "hw/iommu/intel_iommu.h"
#include "tests/lib/vtd_rig.h"

static void test_options(void)
{
    static const struct { const char *props, *text; } refused[] = {
        { "aw-bits=40", "*aw-bits=40: there are 39 and 48*" },   { "intremap=off,eim=on", "*eim=on needs intremap=on*" },
        { "device-iotlb=on", "*device-iotlb=on: not available*" }, { "snoop-control=on", "*snoop-control=on*" },
        { "dma-drain=on", "*dma-drain=on*" },                    { "x-scalable-mode=on", "*x-scalable-mode=on*" },
        { "x-pasid-mode=on", "*x-pasid-mode=on*" },              { "dma-translation=off", "*dma-translation=off*" },
        { "x-buggy-eim=on", "*x-buggy-eim=on*" },
    };
    struct fake_machine *f = fake_machine_new(1);
    struct machine *m = &f->m;
    struct err e;

    lock_acquire(&m->lock);
    g_assert_null(device_create(m, "intel-iommu", NULL, NULL, &e));
    g_assert_true(g_pattern_match_simple("*only the machine q35*", e.msg));
    m->pci = pci_bus_new(m); /* not PCI Express: the machine pc */
    g_assert_null(device_create(m, "intel-iommu", NULL, NULL, &e));
    g_assert_true(g_pattern_match_simple("*only the machine q35*", e.msg));
    pci_bus_free(m->pci);
    m->pci = pci_root_new(m, true, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(refused); i++) {
        g_assert_null(device_create(m, "intel-iommu", NULL, refused[i].props, &e));
        g_assert_true(g_pattern_match_simple(refused[i].text, e.msg));
    }
    struct msi_sink before = m->msi;
    struct device *d = device_create(m, "intel-iommu", NULL, "dma-drain=off", &e);
    g_assert_nonnull(d);
    g_assert_null(device_create(m, "intel-iommu", NULL, NULL, &e));
    g_assert_true(g_pattern_match_simple("*has one already*", e.msg));
    device_free(d);
    g_assert_true(m->msi.send == before.send && m->msi.opaque == before.opaque);
    lock_release(&m->lock);
    fake_machine_free(f);
}

static void test_capabilities(void)
{
    struct vtd_rig *x = rig_new(NULL);

    g_assert_cmphex(rig_get(x, 0), ==, 0x10);
    g_assert_cmphex(rig_get64(x, 8), ==, 0x0012078c22260206);
    g_assert_cmphex(rig_get64(x, 16), ==, 0xf00f5b);
    rig_free(x);
    x = rig_new("aw-bits=48,caching-mode=on,pt=off,intremap=off");
    g_assert_cmphex(rig_get64(x, 8), ==, 0x0012078c222f0686);
    g_assert_cmphex(rig_get64(x, 16), ==, 0xf03);
    rig_free(x);
}

static void test_accesses(void)
{
    struct vtd_rig *x = rig_new(NULL);

    fm_write(x->f, INTEL_IOMMU_BASE + 0x3c, 0xfee0200000000041, 8); /* FEDATA and FEADDR */
    g_assert_cmphex(rig_get(x, 0x3c), ==, 0x41);
    g_assert_cmphex(rig_get(x, 0x40), ==, 0xfee02000);
    rig_set(x, 0x24, 0x12);
    g_assert_cmphex(rig_get64(x, 0x20), ==, 0x1200000000);
    for (unsigned off = 0; off < 0x1000; off += 4)
        rig_set(x, off, 0);
    g_assert_cmphex(rig_get64(x, 8), ==, 0x0012078c22260206); /* read-only */
    g_assert_cmphex(rig_get64(x, 0x20), ==, 0);
    g_assert_cmphex(rig_get64(x, 0xff8), ==, 0);
    g_assert_cmphex(fm_read(x->f, INTEL_IOMMU_BASE + 0x29c, 8), ==, 0);
    rig_on(x);
    rig_poke(x, 0x200000, 7);
    fm_reset(x->f);
    g_assert_cmphex(rig_get(x, 0x1c), ==, 0);
    u64 v;
    g_assert_true(rig_read(x, 0, 0x200000, &v, 8));
    g_assert_cmphex(v, ==, 7);
    rig_free(x);
}

/* A machine saved with translation, remapping, the queue and pending faults, loaded into another one with the same memory. */
static void test_save(void)
{
    struct vtd_rig *x = rig_new(NULL), *y = rig_new(NULL);
    u64 table = rig_context(x, RIG_SOURCE(0), 0, 1, 1), v;
    GByteArray *a = g_byte_array_new(), *b = g_byte_array_new();
    struct err e;

    rig_map(x, table, 3, 0x1000, 0x200000, 1, RIG_R);
    rig_poke(x, 0x200000, 42);
    rig_poke(x, RIG_IRT, 1 | 0x50ull << 16);
    rig_poke(x, RIG_IRT + 8, 0);
    rig_on(x);
    rig_set64(x, 0xb8, RIG_IRT);
    rig_command(x, RIG_SIRTP, 0);
    rig_command(x, RIG_IRE, 0);
    rig_set64(x, 0xb8, 0);  /* what is in use is what SIRTP and SRTP took */
    rig_set64(x, 0x20, 0);
    rig_queue_on(x, 0);
    rig_queue(x, 5, 0);
    for (unsigned i = 0; i < 3; i++)
        g_assert_false(rig_read(x, 1, 0x1000, &v, 8));
    for (u64 at = 0; at < 0x300000; at += 8)
        rig_poke(y, at, rig_peek(x, at));
    y->tail = x->tail;
    lock_acquire(&x->f->m.lock);
    device_save(x->iommu, a);
    lock_release(&x->f->m.lock);
    lock_acquire(&y->f->m.lock);
    g_assert_cmpint(device_load(y->iommu, a->data, a->len, &e), ==, a->len);
    device_save(y->iommu, b);
    lock_release(&y->f->m.lock);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    g_assert_true(rig_read(y, 0, 0x1000, &v, 8));
    g_assert_cmphex(v, ==, 42);
    g_assert_cmphex(rig_fault(y, 2, NULL, NULL, NULL), ==, 2);
    g_assert_false(rig_read(y, 1, 0x1000, &v, 8));
    g_assert_cmphex(rig_fault(y, 3, NULL, NULL, NULL), ==, 2);
    rig_poke(y, 0x8000, 0);
    rig_queue(y, 5 | 1 << 5 | 9ull << 32, 0x8000);
    g_assert_cmphex(rig_peek(y, 0x8000), ==, 9);
    lock_acquire(&y->f->m.lock);
    msi_send(&y->f->m.msi, &(struct msi){ .addr = 0xfee00010, .source = 1 });
    lock_release(&y->f->m.lock);
    g_assert_cmphex(y->f->msi_data, ==, 0x4050);
    g_byte_array_unref(a);
    g_byte_array_unref(b);
    rig_free(x);
    rig_free(y);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/intel-iommu/options", test_options);
    g_test_add_func("/intel-iommu/capabilities", test_capabilities);
    g_test_add_func("/intel-iommu/accesses", test_accesses);
    g_test_add_func("/intel-iommu/save", test_save);
    return g_test_run();
}
