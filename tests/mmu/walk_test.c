/* Tests of mmu/walk.c, tlb.c and access.c: every paging mode, rights, A/D bits, error codes, TLB fills and flushes, page crossings,
 * code pages. Run by `make check`. */
#include <glib.h>
#include "mmu/access.h"
#include "mmu/aspace.h"
#include "mmu/codepage.h"
#include "mmu/ram.h"
#include "util/err.h"

#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define G 0x100ull
#define NX (1ull << 63)
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16, E_PK = 32 };

static struct ram_block *ram;
static struct region root, ram_region;
static struct aspace *as;
static struct walk_regs regs;
static struct tlb *tlb;
static struct mem_ctx ctx;

static u64 *pte(gpa_t a) { return (u64 *)(void *)(ram->host + a); }
static u32 *pte32(gpa_t a) { return (u32 *)(void *)(ram->host + a); }

/* Four levels at 0x1000..0x4000 (five with la57 at 0x8000) that map linear 0x200000 + n * 4096 through the table at 0x4000. */
static void setup_64(u64 leaf)
{
    memset(ram->host, 0, ram->size);
    memset(&regs, 0, sizeof(regs));
    regs = (struct walk_regs){ .pg = true, .pae = true, .lma = true, .wp = true, .nxe = true, .pge = true, .phys_bits = 40,
                               .has_1g = true, .cr3 = 0x1000 };
    *pte(0x8000) = 0x1000 | P | W | U;
    *pte(0x1000) = 0x2000 | P | W | U;
    *pte(0x2000) = 0x3000 | P | W | U;
    *pte(0x3008) = 0x4000 | P | W | U;
    *pte(0x4000) = leaf;
    tlb_init(tlb);
    tlb->regs = regs;
}

static int go(gla_t addr, unsigned acc, struct walk *w) { return walk_page(&regs, as, addr, acc, false, w); }

static void test_64(void)
{
    struct walk w;
    setup_64(0x9000 | P | W | U);
    g_assert_cmpint(go(0x200123, ACC_READ | ACC_USER, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0x9123);
    g_assert_cmphex(*pte(0x4000), ==, 0x9000 | P | W | U | A);
    g_assert_cmphex(*pte(0x3008) & A, ==, A);
    g_assert_false(w.dirty);
    g_assert_cmpint(go(0x200123, ACC_WRITE | ACC_USER, &w), ==, 0);
    g_assert_cmphex(*pte(0x4000) & D, ==, D);
    g_assert_true(w.dirty);
    g_assert_cmpint(go(0x201000, ACC_WRITE | ACC_USER, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_W | E_U);
    setup_64(0x9000 | P | W | U);
    regs.la57 = true;
    regs.cr3 = 0x8000;
    g_assert_cmpint(go(0x200123, ACC_READ, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0x9123);
}

static void test_rights(void)
{
    struct walk w;
    setup_64(0x9000 | P | U);
    g_assert_cmpint(go(0x200000, ACC_WRITE, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_W);
    regs.wp = false;
    g_assert_cmpint(go(0x200000, ACC_WRITE, &w), ==, 0);
    g_assert_cmpint(go(0x200000, ACC_WRITE | ACC_USER, &w), ==, -1);
    setup_64(0x9000 | P | W | NX);
    g_assert_cmpint(go(0x200000, ACC_EXEC, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_I);
    g_assert_cmpint(go(0x200000, ACC_READ | ACC_USER, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_U);
    regs.nxe = false; /* NX is then reserved */
    g_assert_cmpint(go(0x200000, ACC_READ, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_RSVD);
    setup_64(0x9000 | P | W | U);
    regs.smep = regs.smap = true;
    g_assert_cmpint(go(0x200000, ACC_EXEC, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_I);
    g_assert_cmpint(go(0x200000, ACC_READ, &w), ==, -1);
    regs.ac = true;
    g_assert_cmpint(go(0x200000, ACC_READ, &w), ==, 0);
    g_assert_cmpint(go(0x200000, ACC_READ | ACC_IMPLICIT, &w), ==, -1);
    setup_64(0x9000 | P | W | U | 5ull << 59);
    regs.pke = true;
    regs.pkru = 2u << 10;
    g_assert_cmpint(go(0x200000, ACC_READ | ACC_USER, &w), ==, 0);
    g_assert_cmpint(go(0x200000, ACC_WRITE | ACC_USER, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_W | E_U | E_PK);
    setup_64(0x9000 | P | U | 5ull << 59); /* the key is named even where the page is read-only anyhow */
    regs.pke = true;
    regs.pkru = 2u << 10;
    g_assert_cmpint(go(0x200000, ACC_WRITE | ACC_USER, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_W | E_U | E_PK);
    regs.pkru = 1u << 10;
    g_assert_cmpint(go(0x200000, ACC_READ, &w), ==, -1);
    g_assert_cmpint(go(0x200000, ACC_EXEC | ACC_USER, &w), ==, 0);
}

static void test_large_and_reserved(void)
{
    struct walk w;
    setup_64(0);
    *pte(0x3008) = 0x200000 | P | W | U | PS;
    g_assert_cmpint(go(0x2abcde, ACC_READ, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0x2abcde);
    g_assert_cmpuint(w.page_bits, ==, 21);
    *pte(0x3008) = 0x202000 | P | W | U | PS;
    g_assert_cmpint(go(0x2abcde, ACC_READ, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_RSVD);
    *pte(0x2000) = 0x40000000 | P | W | PS;
    g_assert_cmpint(go(0x2abcde, ACC_READ, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0x402abcde);
    regs.has_1g = false;
    g_assert_cmpint(go(0x2abcde, ACC_READ, &w), ==, -1);
    setup_64(0x9000 | P | W | U | 1ull << 45); /* above MAXPHYADDR */
    g_assert_cmpint(go(0x200000, ACC_READ, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_RSVD);
    *pte(0x1000) |= PS;
    g_assert_cmpint(go(0x200000, ACC_READ, &w), ==, -1);
}

static void test_32(void)
{
    struct walk w;
    memset(ram->host, 0, ram->size);
    regs = (struct walk_regs){ .pg = true, .pse = true, .wp = true, .phys_bits = 36, .cr3 = 0x1000 };
    *pte32(0x1004) = 0x2000 | P | W | U;
    *pte32(0x2004) = 0x9000 | P | W;
    g_assert_cmpint(go(0x401234, ACC_WRITE, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0x9234);
    g_assert_cmphex(*pte32(0x2004), ==, 0x9000 | P | W | A | D);
    g_assert_cmpint(go(0x401234, ACC_READ | ACC_USER, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_U);
    *pte32(0x1008) = 0x00c00000 | 1u << 13 | P | W | PS; /* PSE-36: bit 32 */
    g_assert_cmpint(go(0x812345, ACC_READ, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0x100c12345ull);
    g_assert_cmpuint(w.page_bits, ==, 22);
    *pte32(0x1008) |= 1u << 21;
    g_assert_cmpint(go(0x812345, ACC_READ, &w), ==, -1);
    g_assert_cmphex(w.error, ==, E_P | E_RSVD);
    u64 pdpte[4] = { 0, 0x3000 | P, 0, 0 };
    regs = (struct walk_regs){ .pg = true, .pae = true, .phys_bits = 36, .pdpte = pdpte };
    *pte(0x3000) = 0x4000 | P | W;
    *pte(0x4008) = 0xa000 | P | W;
    g_assert_cmpint(go(0x40001234, ACC_WRITE, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0xa234);
    g_assert_cmpint(go(0x1234, ACC_READ, &w), ==, -1);
    g_assert_cmphex(w.error, ==, 0);
    regs.pg = false;
    regs.a20_mask = true;
    g_assert_cmpint(go(0x123456, ACC_READ, &w), ==, 0);
    g_assert_cmphex(w.gpa, ==, 0x023456);
}

static bool hit(const u64 *tag, gla_t a, unsigned size) { return (tag[tlb_index(tlb_mask(TLB_USER, 0), a)] + a + size - 1) >> 12 == 0; }

static bool hit_at(const struct tlb_table *t, gla_t a) { return (t->rtag[tlb_index(t->index_mask, a)] + a) >> 12 == 0; }

static void test_tlb(void)
{
    struct mem_fault f;
    void *host;
    setup_64(0x9000 | P | W | U);
    *pte(0x4008) = 0xa000 | P | U;
    struct tlb_table *t = &tlb->t[TLB_USER];
    g_assert_false(hit(t->rtag, 0x200010, 1));
    g_assert_cmpint(mem_probe(&ctx, 0x200010, 8, ACC_READ | ACC_USER, &host, &f), ==, PROBE_RAM);
    g_assert_true(host == ram->host + 0x9010);
    g_assert_true(hit(t->rtag, 0x200010, 8));
    g_assert_true(hit(t->rtag, 0x200ff8, 8));
    g_assert_false(hit(t->rtag, 0x200ff9, 8)); /* crosses */
    g_assert_false(hit(t->rtag, 0x600010, 8)); /* same index, other page */
    g_assert_false(hit(t->wtag, 0x200010, 8));
    g_assert_true(0x200010 + t->addend[tlb_index(t->index_mask, 0x200010)] == (u64)(uintptr_t)host);
    g_assert_cmpint(mem_probe(&ctx, 0x200010, 8, ACC_WRITE | ACC_USER, &host, &f), ==, PROBE_RAM);
    g_assert_true(hit(t->wtag, 0x200010, 8));
    g_assert_cmpint(mem_probe(&ctx, 0x200ffc, 8, ACC_READ | ACC_USER, &host, &f), ==, PROBE_SLOW);
    g_assert_cmpint(mem_probe(&ctx, 0x200ffc, 8, ACC_WRITE | ACC_USER, &host, &f), ==, PROBE_FAULT);
    g_assert_cmphex(f.addr, ==, 0x201000);
    g_assert_cmphex(f.error, ==, E_P | E_W | E_U);
    g_assert_cmpint(mem_probe(&ctx, 0x0000800000000000ull, 1, ACC_READ, &host, &f), ==, PROBE_FAULT);
    g_assert_cmpint(f.kind, ==, MF_NONCANON);
    g_assert_true(tlb_revoke_write(tlb, 0x9000));
    g_assert_false(hit(t->wtag, 0x200010, 8));
    tlb_flush_page(tlb, 0x200000);
    g_assert_false(hit(t->rtag, 0x200010, 1));
    tlb_flush(tlb, true);
    for (unsigned m = 0; m < TLB_MODES; m++) /* no address whatever hits an empty table */
        for (unsigned i = 0; i < TLB_ENTRIES; i++)
            for (unsigned k = 0; k < 3; k++) {
                u64 a = (u64)i << 12 | 0xfff;
                a |= k == 0 ? 0 : k == 1 ? 0xffff800000000000ull : 0x8000000000000000ull;
                g_assert_false(hit(tlb->t[m].rtag, a, 1));
                g_assert_false(hit(tlb->t[m].rtag, a, 64));
                g_assert_false(hit(tlb->t[m].wtag, a & ~0xfffull, 1));
            }
}

static void test_global_flush(void)
{
    struct mem_fault f;
    void *host;
    setup_64(0x9000 | P | W | U | G);
    *pte(0x4008) = 0xa000 | P | W | U;
    mem_probe(&ctx, 0x200000, 1, ACC_READ | ACC_USER, &host, &f);
    mem_probe(&ctx, 0x201000, 1, ACC_READ | ACC_USER, &host, &f);
    tlb_flush(tlb, false);
    g_assert_true(hit(tlb->t[TLB_USER].rtag, 0x200000, 1));
    g_assert_false(hit(tlb->t[TLB_USER].rtag, 0x201000, 1));
    *pte(0x3008) = 0x200000 | P | W | U | PS;
    tlb_flush(tlb, true);
    mem_probe(&ctx, 0x200000, 1, ACC_READ | ACC_USER, &host, &f);
    mem_probe(&ctx, 0x205000, 1, ACC_READ | ACC_USER, &host, &f);
    tlb_flush_page(tlb, 0x3ff000); /* anywhere in the large page */
    g_assert_false(hit(tlb->t[TLB_USER].rtag, 0x205000, 1));
}

#define SAME_INDEX ((u64)TLB_ENTRIES << PAGE_BITS) /* addresses this far apart meet in the user's table */

/* An entry with page as its address and as its physical address. */
static void fill(enum tlb_mode m, gla_t page, bool write)
{
    struct walk w = { .gpa = page & 0xffffffffffull, .page_bits = PAGE_BITS };
    tlb_fill(tlb, m, page, &w, (u8 *)(uintptr_t)page, write ? TLB_STORES : TLB_NO_STORES);
}

static bool writable(enum tlb_mode m, gla_t a) { return tlb_hit(&tlb->t[m], a, 1, true) == (u8 *)(uintptr_t)a; }

static void test_victims(void)
{
    const struct tlb_table *t = &tlb->t[TLB_USER];
    const gla_t a = 0x5000, b = a + SAME_INDEX, c = b + SAME_INDEX;
    tlb_init(tlb);
    fill(TLB_USER, a, true);
    fill(TLB_USER, b, true);
    g_assert_false(hit(t->rtag, a, 1));
    g_assert_true(hit(t->rtag, b, 1));
    g_assert_true(writable(TLB_USER, a) && writable(TLB_USER, b)); /* driven out, not lost */
    fill(TLB_USER, c, false);
    g_assert_null(tlb_hit(t, a, 1, false));
    g_assert_true(writable(TLB_USER, b));
    g_assert_null(tlb_hit(t, c, 1, true));
    fill(TLB_USER, b, true); /* back in front: they change places */
    g_assert_true(hit(t->wtag, b, 1));
    g_assert_nonnull(tlb_hit(t, c, 1, false));
    fill(TLB_USER, c, true);
    g_assert_true(tlb_revoke_write(tlb, b & 0xffffffffffull)); /* among the victims now */
    g_assert_false(writable(TLB_USER, b));
    g_assert_nonnull(tlb_hit(t, b, 1, false));
    g_assert_true(writable(TLB_USER, c));
    tlb_flush_page(tlb, b);
    g_assert_null(tlb_hit(t, b, 1, false));
    g_assert_nonnull(tlb_hit(t, c, 1, false));
    fill(TLB_USER, b, true);
    tlb_flush(tlb, false);
    g_assert_null(tlb_hit(t, b, 1, false));
    g_assert_null(tlb_hit(t, c, 1, false));
    g_assert_cmpuint(tlb->list[TLB_USER][0].n + tlb->list[TLB_USER][1].n, ==, 0);
}

/* Supervisor pages that keep meeting are told apart by a bit that differs. */
static void test_region_bit(void)
{
    const gla_t a = 0xffff8d86bec1f000, same = a ^ 1ull << 40, b = a ^ 3ull << 42;
    const struct tlb_table *t = &tlb->t[TLB_KERNEL_SMAP];
    tlb_init(tlb);
    const unsigned first = tlb->region_bit;
    for (unsigned n = 0; n < 1000; n++) { /* an entry that was flushed is in nobody's way */
        fill(TLB_KERNEL_SMAP, a, true);
        fill(TLB_KERNEL_SMAP, same, true);
        tlb_flush_page(tlb, same);
        fill(TLB_KERNEL_SMAP, a, true);
        tlb_flush_page(tlb, a);
    }
    g_assert_cmpuint(tlb->region_bit, ==, first);
    for (unsigned n = 0; n < 1000; n++) {
        fill(TLB_KERNEL_SMAP, a, true);
        fill(TLB_KERNEL_SMAP, same, true);
    }
    g_assert_true(hit_at(t, a) && hit_at(t, same));
    g_assert_cmpuint(tlb->region_bit, ==, 40);
    for (unsigned n = 0; n < 1000; n++) {
        fill(TLB_KERNEL_SMAP, a, true);
        fill(TLB_KERNEL_SMAP, b, true);
    }
    g_assert_true(hit_at(t, a) && hit_at(t, b));
    fill(TLB_USER, 0x5000, true);
    g_assert_true(writable(TLB_USER, 0x5000));
    tlb_flush_page(tlb, b);
    g_assert_null(tlb_hit(t, b, 1, false));
    g_assert_nonnull(tlb_hit(t, a, 1, false));
}

static unsigned code_writes;
static void on_code(void *opaque, struct ram_block *b, u64 off, u64 len) { code_writes++; }

static void test_access(void)
{
    struct mem_fault f;
    void *host;
    u8 buf[32];
    gpa_t gpa;
    setup_64(0x9000 | P | W | U);
    *pte(0x4008) = 0xb000 | P | W | U;
    u64 v = 0x1122334455667788ull;
    g_assert_cmpint(mem_write(&ctx, 0x200ffc, &v, 8, ACC_WRITE | ACC_USER, &f), ==, 0);
    g_assert_cmphex(ld32(ram->host + 0x9ffc), ==, 0x55667788);
    g_assert_cmphex(ld32(ram->host + 0xb000), ==, 0x11223344);
    u64 r = 0;
    g_assert_cmpint(mem_read(&ctx, 0x200ffc, &r, 8, ACC_READ | ACC_USER, &f), ==, 0);
    g_assert_cmphex(r, ==, v);
    r = 0;
    g_assert_true(mem_probe_across(&ctx, 0x200ffc, 8, ACC_READ | ACC_USER, (u8 *)&r));
    g_assert_cmphex(r, ==, v);
    g_assert_false(mem_probe_across(&ctx, 0x200ff8, 8, ACC_READ | ACC_USER, (u8 *)&r)); /* within a page */
    *pte(0x4008) = 0x10000000 | P | W | U; /* no RAM there */
    tlb_flush(tlb, true);
    g_assert_false(mem_probe_across(&ctx, 0x200ffc, 8, ACC_READ | ACC_USER, (u8 *)&r));
    *pte(0x4008) = 0;
    tlb_flush(tlb, true);
    g_assert_false(mem_probe_across(&ctx, 0x200ffc, 8, ACC_READ | ACC_USER, (u8 *)&r));
    u64 zero = 0; /* nothing is written if the second page faults */
    g_assert_cmpint(mem_write(&ctx, 0x200ffc, &zero, 8, ACC_WRITE | ACC_USER, &f), ==, -1);
    g_assert_cmphex(ld32(ram->host + 0x9ffc), ==, 0x55667788);
    codepage_set_listener(on_code, NULL, NULL);
    tlb_revoke_write(tlb, 0x9000);
    codepage_set(ram, 0x9000, codepage_grains(0x9030, 0x50)); /* two grains: the page's first 0x80 bytes */
    g_assert_cmpint(mem_probe(&ctx, 0x200000, 4, ACC_WRITE | ACC_USER, &host, &f), ==, PROBE_SLOW);
    g_assert_cmpint(mem_probe(&ctx, 0x200000, 4, ACC_READ | ACC_USER, &host, &f), ==, PROBE_RAM);
    g_assert_cmpint(mem_write(&ctx, 0x200000, &v, 4, ACC_WRITE | ACC_USER, &f), ==, 0);
    g_assert_cmpuint(code_writes, ==, 1);
    g_assert_cmpint(mem_probe(&ctx, 0x20007e, 4, ACC_WRITE | ACC_USER, &host, &f), ==, PROBE_SLOW);
    g_assert_cmphex(ctx.beside & mem_beside_bit(ram->host + 0x9000), !=, 0);
    g_assert_cmpint(mem_probe(&ctx, 0x200080, 4, ACC_WRITE | ACC_USER, &host, &f), ==, PROBE_RAM);
    g_assert_true(host == ram->host + 0x9080);
    g_assert_null(tlb_hit(&tlb->t[TLB_USER], 0x200080, 4, true));
    g_assert_cmpint(mem_write(&ctx, 0x200080, &v, 4, ACC_WRITE | ACC_USER, &f), ==, 0);
    g_assert_cmpuint(code_writes, ==, 1);
    struct mem_page page;
    g_assert_cmpint(mem_probe_page(&ctx, 0x200ff0, 4, ACC_WRITE | ACC_USER, &page, &f), ==, PROBE_RAM);
    g_assert_true(page.ram == ram && page.off == 0x9ff0 && page.host == ram->host + 0x9ff0);
    codepage_clear(ram, 0x9000, ~0ull);
    g_assert_cmpint(mem_probe_page(&ctx, 0x200ff0, 4, ACC_WRITE | ACC_USER, &page, &f), ==, PROBE_RAM);
    g_assert_null(page.ram);
    codepage_set_listener(NULL, NULL, NULL);
    g_assert_cmpint(mem_fetch(&ctx, 0x200ffc, buf, 15, ACC_USER, &gpa, &f), ==, 4);
    g_assert_cmphex(gpa, ==, 0x9ffc);
    g_assert_cmpint(mem_fetch(&ctx, 0x201000, buf, 15, ACC_USER, &gpa, &f), ==, -1);
    g_assert_cmphex(f.error, ==, E_U | E_I);
}

static void exec_put(gla_t a, bool global)
{
    tlb->exec[1][a >> PAGE_BITS & (TLB_EXEC_ENTRIES - 1)] =
        (struct tlb_exec){ .page = a | 1, .generation = global ? tlb->gen_all : tlb->gen_now, .global = global };
}

/* What code pages are known under a PCID comes back with it, unless it was flushed meanwhile. */
static void test_pcid(void)
{
    enum { LOCAL = 0x5000, GLOBAL = 0x6000 };
    tlb_init(tlb);
    tlb_switch(tlb, 1, false);
    exec_put(LOCAL, false);
    exec_put(GLOBAL, true);
    tlb_switch(tlb, 2, true);
    g_assert_null(tlb_exec_hit(tlb, true, LOCAL));
    g_assert_nonnull(tlb_exec_hit(tlb, true, GLOBAL));
    tlb_switch(tlb, 1, true);
    g_assert_nonnull(tlb_exec_hit(tlb, true, LOCAL));
    tlb_switch(tlb, 2, true);
    tlb_switch(tlb, 1, false); /* the switch flushes */
    g_assert_null(tlb_exec_hit(tlb, true, LOCAL));
    exec_put(LOCAL, false);
    tlb_switch(tlb, 2, true);
    tlb_forget_pcid(tlb, 1); /* INVPCID from elsewhere */
    tlb_switch(tlb, 1, true);
    g_assert_null(tlb_exec_hit(tlb, true, LOCAL));
    exec_put(LOCAL, false);
    tlb_flush(tlb, false);
    g_assert_null(tlb_exec_hit(tlb, true, LOCAL));
    g_assert_nonnull(tlb_exec_hit(tlb, true, GLOBAL));
    exec_put(LOCAL, false);
    tlb_switch(tlb, 0x801, true); /* another PCID in the same slot or beside it */
    tlb_switch(tlb, 0x10, true);
    g_assert_null(tlb_exec_hit(tlb, true, LOCAL));
    tlb_flush(tlb, true);
    g_assert_null(tlb_exec_hit(tlb, true, GLOBAL));
    tlb_switch(tlb, 1, true);
    g_assert_null(tlb_exec_hit(tlb, true, LOCAL));
}

int main(int argc, char **argv)
{
    struct err e;
    g_test_init(&argc, &argv, NULL);
    ram = ram_new("test", 4 * MiB, &e);
    region_init_container(&root, "root", 1ull << 40);
    region_init_ram(&ram_region, "ram", ram, 0, ram->size);
    as = aspace_new("mem", &root);
    region_add(&root, 0, &ram_region, 0);
    tlb = g_new0(struct tlb, 1);
    ctx = (struct mem_ctx){ .tlb = tlb, .mem = as };
    g_test_add_func("/mmu/walk/64", test_64);
    g_test_add_func("/mmu/walk/rights", test_rights);
    g_test_add_func("/mmu/tlb/victims", test_victims);
    g_test_add_func("/mmu/tlb/region_bit", test_region_bit);
    g_test_add_func("/mmu/walk/large", test_large_and_reserved);
    g_test_add_func("/mmu/walk/32", test_32);
    g_test_add_func("/mmu/tlb", test_tlb);
    g_test_add_func("/mmu/pcid", test_pcid);
    g_test_add_func("/mmu/tlb/global", test_global_flush);
    g_test_add_func("/mmu/access", test_access);
    return g_test_run();
}
