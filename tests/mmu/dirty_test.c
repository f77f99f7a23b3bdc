/* Tests of mmu/dirty.c: marks by fills and by writes, collecting, the repetition, revoked write tags, several clients. Run by
 * `make check`. */
#include "mmu/dirty.h"
#include <glib.h>
#include "mmu/access.h"
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "util/err.h"

#define PAGES 64

static struct ram_block *ram;
static struct region root, region;
static struct aspace *as;
static struct tlb *tlb;
static struct mem_ctx ctx;
static u8 pages[PAGES];
static unsigned revocations;

static void take_tags(void *opaque, const struct ram_block *b, u64 first, u64 n, const u8 *p)
{
    revocations++;
    tlb_revoke_write_host(tlb, b->host + first * PAGE_SIZE, n, p);
}

static unsigned count(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PAGES; i++)
        n += pages[i];
    return n;
}

static bool collect(void) { return dirty_collect(ram, DIRTY_DISPLAY, 0, PAGES, pages); }

/* Watches and takes the first two reports, which are about everything. */
static void start(void)
{
    tlb_init(tlb);
    dirty_watch(ram, DIRTY_DISPLAY, true);
    g_assert_true(collect());
    g_assert_cmpuint(count(), ==, PAGES);
    g_assert_true(collect());
    g_assert_false(collect());
    g_assert_cmpuint(count(), ==, 0);
}

static bool writable(gla_t a) { return tlb_hit(&tlb->t[TLB_KERNEL], a, 4, true) != NULL; }

static void store(gla_t a)
{
    struct mem_fault f;
    void *host;
    g_assert_cmpint(mem_probe(&ctx, a, 4, ACC_WRITE, &host, &f), ==, PROBE_RAM);
}

static void test_fill(void)
{
    start();
    store(0x5000);
    store(0x7ffc);
    g_assert_true(writable(0x5000));
    revocations = 0;
    g_assert_true(collect());
    g_assert_cmpuint(count(), ==, 2);
    g_assert_true(pages[5] && pages[7]);
    g_assert_cmpuint(revocations, ==, 1);
    g_assert_false(writable(0x5000));
    g_assert_false(writable(0x7000));
    g_assert_nonnull(tlb_hit(&tlb->t[TLB_KERNEL], 0x5000, 4, false));
    g_assert_true(collect()); /* a store that was under way */
    g_assert_true(pages[5] && pages[7] && count() == 2);
    g_assert_false(collect());
    g_assert_cmpuint(revocations, ==, 1); /* nothing new: no TLB was looked at */
    store(0x5000);
    g_assert_true(collect() && pages[5] && count() == 1);
    dirty_watch(ram, DIRTY_DISPLAY, false);
}

static void test_other_tags_stay(void)
{
    start();
    store(0x5000);
    store(0x9000);
    g_assert_true(dirty_collect(ram, DIRTY_DISPLAY, 4, 2, pages));
    g_assert_true(!pages[0] && pages[1]);
    g_assert_false(writable(0x5000));
    g_assert_true(writable(0x9000));
    dirty_watch(ram, DIRTY_DISPLAY, false);
}

static void test_writes(void)
{
    u32 v = 1;
    start();
    dma_write(as, 0x2ffe, &v, 4);
    aspace_write_uint(as, 0x8000, 1, 1);
    g_assert_true(collect());
    g_assert_true(pages[2] && pages[3] && pages[8] && count() == 3);
    dirty_watch(ram, DIRTY_DISPLAY, false);
    aspace_write_uint(as, 0x8000, 1, 1);
    g_assert_cmphex(ram->dirty_clients, ==, 0);
}

static void test_two_clients(void)
{
    start();
    dirty_watch(ram, DIRTY_MIGRATION, true);
    dirty_collect(ram, DIRTY_MIGRATION, 0, PAGES, pages);
    dirty_collect(ram, DIRTY_MIGRATION, 0, PAGES, pages);
    collect();
    collect();
    aspace_write_uint(as, 0x4000, 1, 1);
    g_assert_true(collect() && pages[4]);
    g_assert_true(dirty_collect(ram, DIRTY_MIGRATION, 0, PAGES, pages) && pages[4] && count() == 1);
    dirty_watch(ram, DIRTY_DISPLAY, false);
    dirty_watch(ram, DIRTY_MIGRATION, false);
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    ram = ram_new("ram", PAGES * PAGE_SIZE, &e);
    tlb = g_new0(struct tlb, 1);
    region_init_container(&root, "root", 1ull << 52);
    region_init_ram(&region, "ram", ram, 0, ram->size);
    region_add(&root, 0, &region, 0);
    as = aspace_new("memory", &root);
    ctx = (struct mem_ctx){ .tlb = tlb, .mem = as };
    dirty_set_revoker(take_tags, NULL);
    aspace_thread_online();
    g_test_add_func("/mmu/dirty/fill", test_fill);
    g_test_add_func("/mmu/dirty/other-tags", test_other_tags_stay);
    g_test_add_func("/mmu/dirty/writes", test_writes);
    g_test_add_func("/mmu/dirty/clients", test_two_clients);
    int r = g_test_run();
    aspace_free(as);
    ram_free(ram);
    g_free(tlb);
    return r;
}
