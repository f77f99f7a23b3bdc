/* Tests of mmu/region.c, aspace.c, dma.c, ram.c and codepage.c: rendering of overlapping trees, dispatch sizes, DMA. Run by `make check`. */
#include <glib.h>
#include "mmu/aspace.h"
#include "mmu/codepage.h"
#include "mmu/dma.h"
#include "mmu/ram.h"
#include "util/err.h"

struct io_log {
    u64 off[16], val[16];
    unsigned size[16], n;
};

static u64 io_read(void *opaque, u64 off, unsigned size)
{
    struct io_log *l = opaque;
    l->off[l->n] = off;
    l->size[l->n++] = size;
    return 0x1122334455667788ull >> (off * 8 & 63);
}

static void io_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct io_log *l = opaque;
    l->off[l->n] = off;
    l->val[l->n] = val;
    l->size[l->n++] = size;
}

static const struct region_ops ops_1_4 = { io_read, io_write, 1, 4 };
static const struct region_ops ops_4 = { io_read, io_write, 4, 4 };

static struct ram_block *ram_ok(u64 size)
{
    struct err e;
    struct ram_block *b = ram_new("test", size, &e);
    g_assert_nonnull(b);
    return b;
}

static void expect(struct aspace *as, gpa_t gpa, const struct region *r, u64 off)
{
    const struct frange *f = aspace_find(as, gpa);
    g_assert_nonnull(f);
    g_assert_true(f->region == r);
    g_assert_cmphex(f->off + (gpa - f->start), ==, off);
}

static void test_priority(void)
{
    struct region root, low, high, ram;
    struct io_log l = { 0 };
    struct ram_block *b = ram_ok(0x10000);
    region_init_container(&root, "root", 1ull << 40);
    region_init_ram(&ram, "ram", b, 0, 0x10000);
    region_init_io(&low, "low", 0x2000, &ops_1_4, &l, NULL);
    region_init_io(&high, "high", 0x1000, &ops_1_4, &l, NULL);
    struct aspace *as = aspace_new("mem", &root);
    region_add(&root, 0, &ram, 0);
    region_add(&root, 0x3000, &low, 1);
    region_add(&root, 0x3800, &high, 2);
    expect(as, 0, &ram, 0);
    expect(as, 0x37ff, &low, 0x7ff);
    expect(as, 0x3800, &high, 0);
    expect(as, 0x47ff, &high, 0xfff);
    expect(as, 0x4800, &low, 0x1800);
    expect(as, 0x5000, &ram, 0x5000);
    g_assert_null(aspace_find(as, 0x10000));
    g_assert_null(aspace_next(as, 0x10000));
    g_assert_cmphex(aspace_next(as, 0x2fff)->end, ==, 0x3000);
    g_assert_cmphex(aspace_next(as, 0x3000)->start, ==, 0x3000);
    region_set_enabled(&low, false);
    expect(as, 0x4800, &ram, 0x4800);
    region_set_addr(&high, 0xf000);
    expect(as, 0x3800, &ram, 0x3800);
    expect(as, 0xf800, &high, 0x800);
    region_del(&high);
    expect(as, 0xf800, &ram, 0xf800);
    aspace_free(as);
    ram_free(b);
}

static void test_alias(void)
{
    struct region root, ram, alias, rom;
    struct ram_block *b = ram_ok(0x10000), *rb = ram_ok(0x4000);
    region_init_container(&root, "root", 1ull << 40);
    region_init_ram(&ram, "ram", b, 0, 0x10000);
    region_init_rom(&rom, "rom", rb, 0, 0x4000, NULL, NULL, NULL);
    region_init_alias(&alias, "alias", &rom, 0x2000, 0x2000);
    struct aspace *as = aspace_new("mem", &root);
    region_txn_begin();
    region_add(&root, 0, &ram, 0);
    region_add(&root, 0xfffffc000, &rom, 0);
    region_add(&root, 0xe000, &alias, 1);
    g_assert_null(aspace_find(as, 0));
    region_txn_commit();
    expect(as, 0xe000, &rom, 0x2000);
    expect(as, 0xffff, &rom, 0x3fff);
    g_assert_true(aspace_find(as, 0xe000)->readonly);
    g_assert_true(aspace_find(as, 0xe000)->host == rb->host + 0x2000);
    aspace_write_uint(as, 0xe000, 0x55, 1);
    g_assert_cmphex(rb->host[0x2000], ==, 0);
    u8 x = 0xaa;
    g_assert_cmpint(dma_write(as, 0xe000, &x, 1), ==, -1);
    g_assert_cmpint(dma_write_rom(as, 0xe000, &x, 1), ==, 0);
    g_assert_cmphex(aspace_read_uint(as, 0xe000, 1), ==, 0xaa);
    region_set_readonly(&ram, true);
    aspace_write_uint(as, 0x100, 1, 4);
    g_assert_cmphex(aspace_read_uint(as, 0x100, 4), ==, 0);
    region_set_readonly(&ram, false);
    aspace_write_uint(as, 0x100, 1, 4);
    g_assert_cmphex(aspace_read_uint(as, 0x100, 4), ==, 1);
    aspace_free(as);
    ram_free(b);
    ram_free(rb);
}

static void test_dispatch(void)
{
    struct region root, any, four;
    struct io_log l = { 0 };
    region_init_container(&root, "root", 0x10000);
    region_init_io(&any, "any", 0x10, &ops_1_4, &l, NULL);
    region_init_io(&four, "four", 0x10, &ops_4, &l, NULL);
    struct aspace *as = aspace_new("io", &root);
    region_add(&root, 0x100, &any, 0);
    region_add(&root, 0x200, &four, 0);
    g_assert_cmphex(aspace_read_uint(as, 0x100, 8), ==, 0x1122334455667788ull);
    g_assert_cmpuint(l.n, ==, 2); /* split into two of 4 */
    g_assert_cmpuint(l.size[1], ==, 4);
    l.n = 0;
    g_assert_cmphex(aspace_read_uint(as, 0x202, 1), ==, 0x66); /* widened, then shifted */
    g_assert_cmpuint(l.size[0], ==, 4);
    g_assert_cmphex(l.off[0], ==, 0);
    l.n = 0;
    aspace_write_uint(as, 0x201, 0xab, 1);
    g_assert_cmphex(l.val[0], ==, 0xab00);
    l.n = 0;
    g_assert_cmphex(aspace_read_uint(as, 0x10f, 2) >> 8, ==, 0xff); /* last byte is unassigned */
    g_assert_cmphex(aspace_read_uint(as, 0x5000, 4), ==, 0xffffffff);
    aspace_write_uint(as, 0x5000, 1, 4);
    aspace_free(as);
}

static unsigned written_calls;
static u64 written_off, written_len;
static void on_written(void *opaque, struct ram_block *b, u64 off, u64 len)
{
    written_calls++;
    written_off = off;
    written_len = len;
}

static void test_codepage(void)
{
    struct region root, ram;
    struct ram_block *b = ram_ok(0x4000);
    u8 buf[0x1800] = { 1 };
    region_init_container(&root, "root", 0x10000);
    region_init_ram(&ram, "ram", b, 0, 0x4000);
    struct aspace *as = aspace_new("mem", &root);
    region_add(&root, 0, &ram, 0);
    codepage_set_listener(on_written, NULL, NULL);
    codepage_set(b, 0x1000, ~0ull);
    aspace_write_uint(as, 0xff8, 1, 8);
    g_assert_cmpuint(written_calls, ==, 0);
    aspace_write_uint(as, 0x1010, 1, 4);
    g_assert_cmpuint(written_calls, ==, 1);
    g_assert_cmphex(written_off, ==, 0x1010);
    dma_write(as, 0x800, buf, sizeof(buf)); /* 0x800..0x1fff: one code page within */
    g_assert_cmpuint(written_calls, ==, 2);
    g_assert_cmphex(written_off, ==, 0x1000);
    g_assert_cmphex(written_len, ==, 0x1000);
    codepage_clear(b, 0x1fff, ~0ull);
    g_assert_false(codepage_test(b, 0x1000));
    codepage_set_listener(NULL, NULL, NULL);
    aspace_free(as);
    ram_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mmu/aspace/priority", test_priority);
    g_test_add_func("/mmu/aspace/alias", test_alias);
    g_test_add_func("/mmu/aspace/dispatch", test_dispatch);
    g_test_add_func("/mmu/codepage", test_codepage);
    return g_test_run();
}
