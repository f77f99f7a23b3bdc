/* virtio-balloon: pages given back read as zeros and leave the host's memory, statistics by question and answer, free page reporting, the
 * monitor's side, saving with the statistics' buffer in the device's hands. */
#include <glib.h>
#include <sys/mman.h>
#include "hw/core/balloon.h"
#include "mmu/dma.h"
#include "mmu/ram.h"
#include "tests/lib/virtio_driver.h"

enum { INFLATE = 0, DEFLATE = 1, STATS = 2, REPORTING = 3 };
#define ALL (~0ull & ~VDRV_F(VDRV_PACKED))

struct fixture {
    struct fake_machine *f;
    struct vdrv *d;
};

static struct fixture setup(u64 want, const char *props)
{
    struct fixture x = { .f = fake_machine_new(1) };

    x.d = vdrv_new(x.f, 0, "virtio-balloon-device", props);
    vdrv_start(x.d, want, strstr(props, "reporting=on") ? 4 : 3, 16);
    return x;
}

static void teardown(struct fixture x)
{
    vdrv_free(x.d);
    g_assert_nonnull(x.f->m.balloon);
    fake_machine_free(x.f);
}

static void fill(struct fixture x, u64 gpa, u64 len)
{
    u8 *p = g_malloc(len);

    memset(p, 0xaa, len);
    dma_write(x.f->m.mem, gpa, p, len);
    g_free(p);
}

/* 0xaa, 0, or -1: neither all through. */
static int content(struct fixture x, u64 gpa)
{
    u8 p[4096];

    dma_read(x.f->m.mem, gpa, p, sizeof(p));
    for (unsigned i = 1; i < sizeof(p); i++)
        if (p[i] != p[0])
            return -1;
    return p[0];
}

/* How many of the pages of [gpa, gpa + len) the host holds memory for. */
static unsigned resident(struct fixture x, u64 gpa, u64 len)
{
    u8 page[256];
    unsigned n = 0;

    g_assert_cmpuint(len, <=, sizeof(page) * PAGE_SIZE);
    g_assert_cmpint(mincore(x.f->m.ram->host + gpa, len, page), ==, 0);
    for (u64 i = 0; i < len / PAGE_SIZE; i++)
        n += page[i] & 1;
    return n;
}

static void pfns(struct fixture x, unsigned queue, const u32 *pfn, unsigned n)
{
    struct vbuf b = { vdrv_put(x.d, pfn, 4 * n), 4 * n, false };
    u16 id;
    u32 len;

    vdrv_add(x.d, queue, &b, 1, false);
    vdrv_kick(x.d, queue);
    g_assert_true(vdrv_used(x.d, queue, &id, &len));
}

static void test_inflate(void)
{
    static const u64 flavours[] = { 0, ALL, ~0ull };
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x = setup(flavours[k], "packed=on");
        static const u32 some[] = { 0x800, 0x801, 0x802, 0x80a, 0x809, 0x808, 0x820, 0xd0000, 0xffffffff, 0x1000 };
        fill(x, 8 * MiB, 1 * MiB);
        pfns(x, INFLATE, some, ARRAY_LEN(some));
        for (u32 pfn = 0x800; pfn < 0x840; pfn++) {
            bool gone = pfn <= 0x802 || (pfn >= 0x808 && pfn <= 0x80a) || pfn == 0x820;
            g_assert_cmpint(content(x, (u64)pfn << 12), ==, gone ? 0 : 0xaa);
        }
        pfns(x, DEFLATE, some, 3);
        fill(x, 8 * MiB, 4096);
        g_assert_cmpint(content(x, 8 * MiB), ==, 0xaa);
        u32 *many = g_new(u32, 1000);
        for (unsigned i = 0; i < 1000; i++)
            many[i] = 0x800 + i % 256;
        pfns(x, INFLATE, many, 1000);
        for (u32 pfn = 0x800; pfn < 0x900; pfn++)
            g_assert_cmpint(content(x, (u64)pfn << 12), ==, 0);
        g_free(many);
        teardown(x);
    }
}

static void test_host_memory(void)
{
    struct fixture x = setup(ALL, "");
    u32 pfn[256];
    fill(x, 8 * MiB, 1 * MiB);
    g_assert_cmpuint(resident(x, 8 * MiB, 1 * MiB), ==, 256);
    for (unsigned i = 0; i < 256; i++)
        pfn[i] = 0x8ff - i;
    pfns(x, INFLATE, pfn, 256);
    g_assert_cmpuint(resident(x, 8 * MiB, 1 * MiB), ==, 0);
    teardown(x);
}

static void test_target(void)
{
    struct fixture x = setup(ALL, "");
    struct balloon *b = x.f->m.balloon;
    vdrv_isr(x.d);
    lock_acquire(&x.f->m.lock);
    b->set_target(b->opaque, 12 * MiB);
    lock_release(&x.f->m.lock);
    g_assert_cmphex(vdrv_isr(x.d), ==, 2);
    g_assert_cmpuint(vdrv_config(x.d, 0, 4), ==, 1024);
    vdrv_config_set(x.d, 4, 512, 4);
    g_assert_cmpuint(b->actual(b->opaque), ==, 14 * MiB);
    vdrv_config_set(x.d, 0, 5, 4);
    g_assert_cmpuint(vdrv_config(x.d, 0, 4), ==, 1024);
    vdrv_config_set(x.d, 4, 0xffffffff, 4); /* more than there is */
    g_assert_cmpuint(b->actual(b->opaque), ==, 0);
    lock_acquire(&x.f->m.lock);
    b->set_target(b->opaque, ~0ull);
    lock_release(&x.f->m.lock);
    g_assert_cmpuint(vdrv_config(x.d, 0, 4), ==, 0);
    vdrv_save_load(x.d);
    fm_reset(x.f);
    g_assert_cmpuint(b->actual(b->opaque), ==, 16 * MiB);
    teardown(x);
}

static void answer(struct fixture x, u16 tag, u64 val)
{
    u8 s[20];

    st16(s, tag);
    st64(s + 2, val);
    st16(s + 10, 0xffff); /* a tag that nobody knows */
    st64(s + 12, 1);
    struct vbuf b = { vdrv_put(x.d, s, 20), 20, false };
    vdrv_add(x.d, STATS, &b, 1, false);
    vdrv_kick(x.d, STATS);
}

static void test_statistics(void)
{
    struct fixture x = setup(ALL, "");
    struct balloon *b = x.f->m.balloon;
    u16 id;
    u32 len;
    g_assert_cmpuint(b->stats_time, ==, 0);
    answer(x, BALLOON_FREE_MEMORY, 1234567);
    g_assert_cmpuint(b->stats[BALLOON_FREE_MEMORY], ==, 1234567);
    g_assert_cmpuint(b->stats[BALLOON_SWAP_IN], ==, ~0ull);
    g_assert_cmpuint(b->stats_time, >, 0);
    g_assert_false(vdrv_used(x.d, STATS, &id, &len));
    lock_acquire(&x.f->m.lock);
    b->polling_interval = 2;
    b->polling_changed(b->opaque);
    lock_release(&x.f->m.lock);
    fm_step(x.f, 1900000000);
    g_assert_false(vdrv_used(x.d, STATS, &id, &len));
    vdrv_restore(x.d); /* the buffer goes along */
    fm_step(x.f, 1900000000);
    g_assert_false(vdrv_used(x.d, STATS, &id, &len));
    fm_step(x.f, 200000000);
    g_assert_true(vdrv_used(x.d, STATS, &id, &len));
    g_assert_false(vdrv_used(x.d, STATS, &id, &len));
    fm_step(x.f, 5000000000);
    answer(x, BALLOON_FREE_MEMORY, 99);
    g_assert_cmpuint(b->stats[BALLOON_FREE_MEMORY], ==, 99);
    answer(x, BALLOON_FREE_MEMORY, 98); /* unasked: the one before comes back */
    g_assert_true(vdrv_used(x.d, STATS, &id, &len));
    fm_reset(x.f);
    fm_step(x.f, 5000000000);
    vdrv_start(x.d, ALL, 3, 16);
    answer(x, BALLOON_TOTAL_MEMORY, 5);
    g_assert_cmpuint(b->stats[BALLOON_FREE_MEMORY], ==, ~0ull);
    teardown(x);
}

static void test_reporting(void)
{
    struct fixture x = setup(ALL, "free-page-reporting=on");
    struct vbuf b[2] = { { 8 * MiB, 64 * KiB, true }, { 9 * MiB + 100, 8192, true } }; /* the second is not whole pages */
    u16 id;
    u32 len;
    fill(x, 8 * MiB, 2 * MiB);
    vdrv_add(x.d, REPORTING, b, 2, false);
    vdrv_kick(x.d, REPORTING);
    g_assert_true(vdrv_used(x.d, REPORTING, &id, &len));
    g_assert_cmpint(content(x, 8 * MiB), ==, 0);
    g_assert_cmpint(content(x, 8 * MiB + 60 * KiB), ==, 0);
    g_assert_cmpint(content(x, 8 * MiB + 64 * KiB), ==, 0xaa);
    g_assert_cmpint(content(x, 9 * MiB), ==, 0xaa);
    g_assert_cmpint(content(x, 9 * MiB + 4096), ==, 0);
    g_assert_cmpint(content(x, 9 * MiB + 8192), ==, 0xaa);
    vdrv_config_set(x.d, 12, 0xaaaaaaaa, 4); /* free pages hold a pattern that must stay */
    b[0].gpa = 8 * MiB + 128 * KiB;
    vdrv_add(x.d, REPORTING, b, 1, false);
    vdrv_kick(x.d, REPORTING);
    g_assert_true(vdrv_used(x.d, REPORTING, &id, &len));
    g_assert_cmpint(content(x, 8 * MiB + 128 * KiB), ==, 0xaa);
    teardown(x);
}

static void test_only_one(void)
{
    struct fixture x = setup(ALL, "");
    struct err e;
    lock_acquire(&x.f->m.lock);
    g_assert_nonnull(device_create(&x.f->m, "virtio-mmio", NULL, "addr=0xd0008000", &e));
    g_assert_null(device_create(&x.f->m, "virtio-balloon-device", NULL, NULL, &e));
    lock_release(&x.f->m.lock);
    g_assert_true(g_pattern_match_simple("*Only one balloon device*", e.msg));
    teardown(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-balloon/inflate", test_inflate);
    g_test_add_func("/virtio-balloon/host-memory", test_host_memory);
    g_test_add_func("/virtio-balloon/target", test_target);
    g_test_add_func("/virtio-balloon/statistics", test_statistics);
    g_test_add_func("/virtio-balloon/reporting", test_reporting);
    g_test_add_func("/virtio-balloon/only-one", test_only_one);
    return g_test_run();
}
