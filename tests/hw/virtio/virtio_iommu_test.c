/* Virtio behind an IOMMU: rings, indirect tables and buffers whose pages lie apart, on both ring formats, with mappings that change between
 * accesses; devices without VIRTIO_F_ACCESS_PLATFORM go past it; requests in flight when the state is saved. */
#include <glib.h>
#include "hw/backend/blk.h"
#include "hw/virtio/virtio.h"
#include "mmu/aspace.h"
#include "tests/lib/test_pc.h"
#include "tests/lib/virtio_driver.h"

enum { SECTORS = 256, T_IN = 0, T_OUT = 1, DATA = 9000 };

/* Every other page changes places with its neighbour; nothing else is mapped. */
static bool swap_pages(void *opaque, u64 *addr, u64 *len, bool write)
{
    unsigned *asked = opaque;

    ++*asked;
    if (*addr >= 16 * MiB)
        return false;
    *len = MIN_OF(*len, PAGE_SIZE - *addr % PAGE_SIZE);
    *addr ^= PAGE_SIZE;
    return true;
}

struct fixture {
    struct fake_machine *f;
    struct vdrv *d;
    struct blk *blk;
    char *path;
    struct aspace *swapped;
    unsigned asked;
};

static void setup(struct fixture *x, const char *props)
{
    struct err e = { "" };
    u8 *data = g_malloc0(SECTORS * 512);

    x->path = test_file(data, SECTORS * 512);
    g_free(data);
    x->asked = 0;
    x->f = fake_machine_new(1);
    x->blk = blk_open("disk0", "image", x->path, false, &e);
    g_assert_nonnull(x->blk);
    char *all = g_strdup_printf("drive=disk0,packed=on,queue-size=1024%s", props);
    x->d = vdrv_new(x->f, 0, "virtio-blk-device", all);
    g_free(all);
    x->swapped = aspace_new_translated("swapped", x->f->m.mem, swap_pages, &x->asked);
    virtio_of(x->d->dev)->pci.dma = x->swapped; /* as if it sat on a PCI bus behind an IOMMU */
}

static void teardown(struct fixture *x)
{
    virtio_of(x->d->dev)->pci.dma = NULL;
    vdrv_free(x->d);
    fake_machine_free(x->f);
    aspace_free(x->swapped);
    blk_close(x->blk);
    test_file_free(x->path);
}

/* A request whose data are pieces of odd sizes; its id. */
static u16 request(struct fixture *x, u32 type, u64 header, u64 data, u64 status, bool indirect)
{
    struct vbuf b[40] = { { header, 16, false } };
    unsigned n = 1;

    for (u32 done = 0; done < DATA / 512 * 512; n++) {
        u32 part = MIN_OF(300u + 37 * (n % 5), DATA / 512 * 512 - done);
        b[n] = (struct vbuf){ data + done, part, type == T_IN };
        done += part;
    }
    b[n++] = (struct vbuf){ status, 1, true };
    return vdrv_add(x->d, 0, b, n, indirect);
}

static void put(struct fixture *x, u64 at, const void *p, u64 n) { g_assert_cmpint(dma_write(x->d->mem, at, p, n), ==, 0); }

static void run(struct fixture *x, u16 want)
{
    u16 id;
    u32 len;

    aspace_translation_changed(x->swapped);
    vdrv_kick(x->d, 0);
    vdrv_wait(x->d, 0, &id, &len);
    g_assert_cmpuint(id, ==, want);
}

/* Writes and reads until both rings have gone round. */
static void check_rings(u64 features)
{
    struct fixture x;
    u8 out[DATA], in[DATA], status;

    setup(&x, ",iommu_platform=on");
    x.d->mem = x.swapped;
    vdrv_start(x.d, features | VDRV_F(VDRV_PLATFORM), 1, 1024);
    u64 header = vdrv_alloc(x.d, 16), data = vdrv_alloc(x.d, DATA), back = vdrv_alloc(x.d, DATA), st = vdrv_alloc(x.d, 1);
    for (unsigned i = 0; i < 60; i++) {
        struct { u32 type, prio; u64 sector; } h = { T_OUT, 0, i % 64 };
        bool indirect = (features & VDRV_F(VDRV_INDIRECT)) && i % 3;
        u64 heap = x.d->heap;
        for (unsigned k = 0; k < DATA; k++)
            out[k] = k * 3 + k / 256 + i;
        put(&x, header, &h, 16);
        put(&x, data, out, DATA);
        put(&x, st, "\xff", 1);
        x.d->heap += PAGE_SIZE - (i % 3 ? 256 : 0) - x.d->heap % PAGE_SIZE; /* tables cross pages, or do not */
        run(&x, request(&x, T_OUT, header, data, st, indirect));
        h.type = T_IN;
        put(&x, header, &h, 16);
        run(&x, request(&x, T_IN, header, back, st, indirect));
        x.d->heap = heap;
        dma_read(x.swapped, back, in, DATA);
        g_assert_cmpmem(in, DATA / 512 * 512, out, DATA / 512 * 512);
        dma_read(x.swapped, st, &status, 1);
        g_assert_cmpuint(status, ==, 0);
    }
    g_assert_cmphex(vdrv_status(x.d), ==, 15);
    teardown(&x);
}

static void test_rings(void)
{
    check_rings(0);
    check_rings(VDRV_F(VDRV_INDIRECT) | VDRV_F(VDRV_EVENT_IDX));
    check_rings(VDRV_F(VDRV_PACKED));
    check_rings(VDRV_F(VDRV_PACKED) | VDRV_F(VDRV_INDIRECT) | VDRV_F(VDRV_EVENT_IDX));
}

/* Not offered, not negotiated: the platform is bypassed. */
static void test_bypass(void)
{
    struct fixture x;
    struct { u32 type, prio; u64 sector; } h = { T_IN, 0, 0 };

    setup(&x, "");
    vdrv_start(x.d, 0, 1, 64);
    u64 header = vdrv_put(x.d, &h, 16), data = vdrv_alloc(x.d, DATA), st = vdrv_put(x.d, "\xff", 1);
    run(&x, request(&x, T_IN, header, data, st, false));
    g_assert_cmpuint(x.asked, ==, 0);
    teardown(&x);
}

/* What is not mapped stops the device: rings, buffers. */
static void test_unmapped(void)
{
    struct fixture x;
    struct vbuf b = { 0x70000000, 16, false };

    setup(&x, ",iommu_platform=on");
    x.d->mem = x.swapped;
    vdrv_start(x.d, VDRV_F(VDRV_PLATFORM), 1, 64);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    g_assert_true(vdrv_negotiate(x.d, VDRV_F(VDRV_PLATFORM)));
    vdrv_queue_setup(x.d, 0, 64);
    vdrv_set(x.d, 0x44, 0);
    vdrv_set(x.d, 0x38, 64);
    vdrv_set(x.d, 0x80, x.d->q[0].desc);
    vdrv_set(x.d, 0x90, 0x70000000);
    vdrv_set(x.d, 0xa0, x.d->q[0].used);
    vdrv_set(x.d, 0x44, 1);
    vdrv_driver_ok(x.d);
    vdrv_notify(x.d, 0);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | 64);
    teardown(&x);
}

/* A request under way keeps the memory it was given, also over a save: the mapping is looked up once. */
static void test_in_flight(void)
{
    struct fixture x;
    struct { u32 type, prio; u64 sector; } h = { T_OUT, 0, 3 };
    u8 in[DATA], want[DATA];
    u16 id;
    u32 len;

    setup(&x, ",iommu_platform=on");
    x.d->mem = x.swapped;
    vdrv_start(x.d, VDRV_F(VDRV_PLATFORM), 1, 64);
    u64 header = vdrv_put(x.d, &h, 16), data = vdrv_alloc(x.d, DATA), st = vdrv_put(x.d, "\xff", 1);
    memset(want, 0x5c, sizeof(want));
    put(&x, data, want, DATA);
    u16 first = request(&x, T_OUT, header, data, st, false);
    vdrv_kick(x.d, 0);
    vdrv_restore(x.d); /* taken, and perhaps not done */
    vdrv_wait(x.d, 0, &id, &len);
    g_assert_cmpuint(id, ==, first);
    h.type = T_IN;
    put(&x, header, &h, 16);
    run(&x, request(&x, T_IN, header, data, st, false));
    dma_read(x.swapped, data, in, DATA);
    g_assert_cmpmem(in, DATA / 512 * 512, want, DATA / 512 * 512);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-iommu/rings", test_rings);
    g_test_add_func("/virtio-iommu/bypass", test_bypass);
    g_test_add_func("/virtio-iommu/unmapped", test_unmapped);
    g_test_add_func("/virtio-iommu/in-flight", test_in_flight);
    return g_test_run();
}
