/* Tests of mmu/atomic.c: read-modify-write from several threads at once in RAM, across cache lines, on a page that holds code and across pages; on ROM
 * and devices; faults. */
#include <glib.h>
#include "mmu/aspace.h"
#include "mmu/atomic.h"
#include "mmu/codepage.h"
#include "mmu/ram.h"
#include "util/err.h"

enum { RAM_SIZE = 64 * 1024, DEVICE = 0x100000, ROM = 0x200000, THREADS = 3, ROUNDS = 50000 };

static struct ram_block *ram, *rom_ram;
static struct region root, ram_region, rom_region, device_region;
static struct aspace *as;
static unsigned reads, writes, told;
static u64 device_val;

static u64 device_read(void *opaque, u64 off, unsigned size)
{
    reads++;
    return device_val;
}

static void device_write(void *opaque, u64 off, u64 val, unsigned size)
{
    writes++;
    device_val = val;
}

static const struct region_ops device_ops = { device_read, device_write, 1, 8 };

static void setup(void)
{
    struct err e;
    ram = ram_new("test", RAM_SIZE, &e);
    rom_ram = ram_new("test-rom", 4096, &e);
    g_assert_true(ram && rom_ram);
    region_init_container(&root, "memory", BIT64(40));
    region_init_ram(&ram_region, "ram", ram, 0, RAM_SIZE);
    region_init_rom(&rom_region, "rom", rom_ram, 0, 4096, NULL, NULL, NULL);
    region_init_io(&device_region, "device", 4096, &device_ops, NULL, NULL);
    region_add(&root, 0, &ram_region, 0);
    region_add(&root, ROM, &rom_region, 0);
    region_add(&root, DEVICE, &device_region, 0);
    as = aspace_new("memory", &root);
}

/* A CPU's view of memory, paging off. */
struct view {
    struct tlb *tlb;
    struct mem_ctx m;
};

static void view_init(struct view *v)
{
    *v = (struct view){ .tlb = g_aligned_alloc0(1, sizeof(struct tlb), 64) };
    tlb_init(v->tlb);
    v->m = (struct mem_ctx){ .tlb = v->tlb, .mem = as };
}

static void view_free(struct view *v) { g_aligned_free(v->tlb); }

static bool increment(void *opaque, const u64 old[2], u64 new[2])
{
    new[0] = old[0] + 1;
    new[1] = old[1] + 3;
    return true;
}

static bool refuse(void *opaque, const u64 old[2], u64 new[2])
{
    *(u64 *)opaque = old[0];
    return false;
}

/* --- several at once --- */
struct job {
    gla_t addr;
    unsigned size;
    bool direct; /* the last thread works on host memory, as emitted code does */
    unsigned next;
};

static void *count_up(void *arg)
{
    struct job *j = arg;
    struct mem_fault f;
    struct view v;
    bool direct = j->direct && __atomic_fetch_add(&j->next, 1, __ATOMIC_SEQ_CST) == THREADS - 1;
    view_init(&v);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (direct)
            host_rmw(ram->host + j->addr, j->size, increment, NULL);
        else
            g_assert_cmpint(mem_rmw(&v.m, j->addr, j->size, 0, increment, NULL, &f), ==, 0);
    }
    view_free(&v);
    return NULL;
}

static void check_counts(gla_t addr, unsigned size, bool direct)
{
    struct job j = { addr, size, direct, 0 };
    GThread *t[THREADS];
    u64 got[2] = { 0 }, total = (u64)THREADS * ROUNDS;
    memset(ram->host + addr, 0, size);
    for (unsigned i = 0; i < THREADS; i++)
        t[i] = g_thread_new("count", count_up, &j);
    for (unsigned i = 0; i < THREADS; i++)
        g_thread_join(t[i]);
    memcpy(got, ram->host + addr, size);
    g_assert_cmphex(got[0], ==, total & MASK64(8 * MIN_OF(size, 8)));
    if (size == 16)
        g_assert_cmphex(got[1], ==, 3 * total);
}

static void test_ram(void)
{
    for (unsigned size = 1; size <= 16; size *= 2)
        check_counts(0x1000, size, true);
}

static void test_line_crossing(void)
{
    for (unsigned size = 2; size <= 8; size *= 2)
        check_counts(0x2040 - size / 2, size, true);
}

static void on_code_write(void *opaque, struct ram_block *b, u64 off, u64 len)
{
    g_assert_true(b == ram);
    __atomic_fetch_add(&told, 1, __ATOMIC_RELAXED);
}

/* On a page with code each write by mem_rmw is told; it stays atomic against host accesses. */
static void test_code_page(void)
{
    codepage_set_listener(on_code_write, NULL, NULL);
    codepage_set(ram, 0x3000, ~0ull);
    check_counts(0x3000, 4, true);
    g_assert_cmpuint(told, ==, (THREADS - 1) * ROUNDS);
    check_counts(0x3010, 16, true);
    codepage_clear(ram, 0x3000, ~0ull);
    codepage_set_listener(NULL, NULL, NULL);
}

static void test_page_crossing(void)
{
    check_counts(0x5000 - 3, 4, false);
    check_counts(0x5000 - 7, 8, false);
}

/* --- one alone --- */
static void test_device_and_rom(void)
{
    struct mem_fault f;
    struct view v;
    u64 seen = 0;
    view_init(&v);
    device_val = 41;
    g_assert_cmpint(mem_rmw(&v.m, DEVICE + 8, 4, 0, increment, NULL, &f), ==, 0);
    g_assert_cmpuint(device_val, ==, 42);
    g_assert_cmpuint(reads, ==, 1);
    g_assert_cmpuint(writes, ==, 1);
    g_assert_cmpint(mem_rmw(&v.m, DEVICE + 8, 4, 0, refuse, &seen, &f), ==, 0);
    g_assert_cmpuint(seen, ==, 42);
    g_assert_cmpuint(writes, ==, 1);
    st32(rom_ram->host + 16, 7);
    g_assert_cmpint(mem_rmw(&v.m, ROM + 16, 4, 0, increment, NULL, &f), ==, 0);
    g_assert_cmpuint(ld32(rom_ram->host + 16), ==, 7);
    view_free(&v);
}

static void test_refused(void)
{
    struct mem_fault f;
    struct view v;
    u64 seen = 0;
    view_init(&v);
    st32(ram->host + 0x6000, 0x1234);
    g_assert_cmpint(mem_rmw(&v.m, 0x6000, 2, 0, refuse, &seen, &f), ==, 0);
    g_assert_cmphex(seen, ==, 0x1234);
    g_assert_cmphex(ld32(ram->host + 0x6000), ==, 0x1234);
    view_free(&v);
}

static bool never(void *opaque, const u64 old[2], u64 new[2])
{
    g_assert_not_reached();
}

/* A read-only page in 32-bit paging: a write fault, before the function is asked; also on the second page of a crossing. */
static void test_fault(void)
{
    struct mem_fault f;
    struct view v;
    view_init(&v);
    memset(ram->host + 0x8000, 0, 0x2000);
    v.tlb->regs = (struct walk_regs){ .pg = true, .wp = true, .phys_bits = 36, .cr3 = 0x8000 };
    st32(ram->host + 0x8000, 0x9000 | 3);
    st32(ram->host + 0x9000 + 4 * 1, 0xa000 | 3);
    st32(ram->host + 0x9000 + 4 * 2, 0xb000 | 1);
    g_assert_cmpint(mem_rmw(&v.m, 0x2010, 4, 0, never, NULL, &f), ==, -1);
    g_assert_cmpint(f.kind, ==, MF_PAGE);
    g_assert_cmphex(f.error, ==, 3);
    g_assert_cmphex(f.addr, ==, 0x2010);
    g_assert_cmpint(mem_rmw(&v.m, 0x1ffe, 4, 0, never, NULL, &f), ==, -1);
    g_assert_cmphex(f.addr, ==, 0x2000);
    g_assert_cmpint(mem_rmw(&v.m, 0x1000, 4, 0, increment, NULL, &f), ==, 0);
    g_assert_cmpuint(ld32(ram->host + 0xa000), ==, 1);
    view_free(&v);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    setup();
    g_test_add_func("/mmu/atomic/ram", test_ram);
    g_test_add_func("/mmu/atomic/line-crossing", test_line_crossing);
    g_test_add_func("/mmu/atomic/code-page", test_code_page);
    g_test_add_func("/mmu/atomic/page-crossing", test_page_crossing);
    g_test_add_func("/mmu/atomic/device-and-rom", test_device_and_rom);
    g_test_add_func("/mmu/atomic/refused", test_refused);
    g_test_add_func("/mmu/atomic/fault", test_fault);
    return g_test_run();
}
