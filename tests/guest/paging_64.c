/* Guest: 4-level paging. Rights, error codes, accessed and dirty bits, large pages, reserved bits, TLB staleness, SMEP, SMAP, PKU,
 * non-canonical addresses, PCID. */
#include "tests/lib/guest/guest.h"

#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define G 0x100ull
#define NX (1ull << 63)
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16, E_PK = 32 };

#define WINDOW 0x4000000000ul /* 256 GiB: PML4 entry 0, PDPT entry 256; ours alone */
extern u64 boot_pml4[], boot_pdpt[];
static u64 *pd, *pt;          /* of the window */
static u64 *frame;            /* a physical page, also reachable through the identity map */

static void window_init(void)
{
    pd = page_alloc();
    pt = page_alloc();
    frame = page_alloc();
    boot_pdpt[256] = (ulong)pd | P | W | U;
    pd[0] = (ulong)pt | P | W | U;
    write_cr3(read_cr3());
}

static void map(u64 pte)
{
    pt[0] = pte;
    invlpg((void *)WINDOW);
}

static void do_read(void *p) { (void)*(volatile u64 *)p; }
static void do_write(void *p) { *(volatile u64 *)p = 0x1234; }
static void user_read(void *p) { do_read(p); user_done(); }
static void user_write(void *p) { do_write(p); user_done(); }
static void do_call(void *p) { ((void (*)(void))(ulong)p)(); }
static void user_call(void *p) { do_call(p); user_done(); }

/* Expects fn(p) to end with a page fault of this error code at addr. */
static void expect_pf(void (*fn)(void *), bool user, ulong addr, ulong error)
{
    int v = user ? guest_try_user(fn, (void *)addr) : guest_try(fn, (void *)addr);
    CHECK_EQ(v, V_PF);
    if (v == V_PF) {
        CHECK_EQ(trap.f.error, error);
        CHECK_EQ(trap.cr2, addr);
    }
}

static void expect_ok(void (*fn)(void *), bool user, ulong addr)
{
    int v = user ? guest_try_user(fn, (void *)addr) : guest_try(fn, (void *)addr);
    CHECK_EQ(v, user ? USER_DONE : NO_TRAP);
    if (v == V_PF)
        print("# error 0x%lx cr2 0x%lx\n", trap.f.error, trap.cr2);
}

static void test_rights(void)
{
    u64 f = (ulong)frame;
    test("not present");
    map(0);
    expect_pf(do_read, false, WINDOW, 0);
    expect_pf(do_write, false, WINDOW + 8, E_W);
    expect_pf(user_read, true, WINDOW, E_U);
    expect_pf(user_write, true, WINDOW, E_U | E_W);
    test("supervisor page");
    map(f | P | W);
    expect_ok(do_write, false, WINDOW);
    expect_pf(user_read, true, WINDOW, E_P | E_U);
    expect_pf(user_write, true, WINDOW, E_P | E_U | E_W);
    test("read-only page and CR0.WP");
    map(f | P | U);
    expect_ok(user_read, true, WINDOW);
    expect_pf(user_write, true, WINDOW, E_P | E_U | E_W);
    expect_pf(do_write, false, WINDOW, E_P | E_W);
    write_cr0(read_cr0() & ~CR0_WP);
    expect_ok(do_write, false, WINDOW);
    expect_pf(user_write, true, WINDOW, E_P | E_U | E_W);
    write_cr0(read_cr0() | CR0_WP);
    expect_pf(do_write, false, WINDOW, E_P | E_W);
    test("rights of upper levels");
    map(f | P | W | U);
    pd[0] = (ulong)pt | P | W;
    invlpg((void *)WINDOW);
    expect_pf(user_read, true, WINDOW, E_P | E_U);
    pd[0] = (ulong)pt | P | U;
    invlpg((void *)WINDOW);
    expect_ok(user_read, true, WINDOW);
    expect_pf(do_write, false, WINDOW, E_P | E_W);
    pd[0] = (ulong)pt | P | W | U;
    boot_pdpt[256] &= ~U;
    write_cr3(read_cr3());
    expect_pf(user_write, true, WINDOW, E_P | E_U | E_W);
    boot_pdpt[256] |= U;
    write_cr3(read_cr3());
    expect_ok(user_write, true, WINDOW);
}

static void test_no_execute(void)
{
    test("no-execute");
    *(u8 *)frame = 0xc3; /* RET */
    map((ulong)frame | P | W | U);
    expect_ok(do_call, false, WINDOW);
    expect_ok(user_call, true, WINDOW);
    map((ulong)frame | P | W | U | NX);
    expect_ok(do_read, false, WINDOW);
    expect_pf(do_call, false, WINDOW, E_P | E_I);
    expect_pf(user_call, true, WINDOW, E_P | E_I | E_U);
    map((ulong)frame | P | W | U);
    pd[0] |= NX;
    invlpg((void *)WINDOW);
    expect_pf(do_call, false, WINDOW, E_P | E_I);
    pd[0] &= ~NX;
    map(0);
    expect_pf(do_call, false, WINDOW, E_I);
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
    map((ulong)frame | P | W | U | NX); /* the bit is reserved now */
    expect_pf(do_read, false, WINDOW, E_P | E_RSVD);
    expect_pf(do_write, false, WINDOW, E_P | E_RSVD | E_W);
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
}

static void test_accessed_dirty(void)
{
    test("accessed and dirty bits");
    u64 f = (ulong)frame | P | W | U;
    pd[0] &= ~A;
    map(f);
    do_read((void *)WINDOW);
    CHECK_EQ(pt[0], f | A);
    CHECK_EQ(pd[0] & (A | D), A);
    do_write((void *)WINDOW);
    CHECK_EQ(pt[0], f | A | D);
    map(f);
    do_write((void *)(WINDOW + 0xff8));
    CHECK_EQ(pt[0], f | A | D);
    map((ulong)frame | P | U); /* a write that faults sets neither D nor, by rights, anything that matters */
    CHECK_EQ(guest_try(do_write, (void *)WINDOW), V_PF);
    CHECK_EQ(pt[0] & D, 0);
    map(f);
    CHECK_EQ(guest_try_user(user_read, (void *)WINDOW), USER_DONE);
    CHECK_EQ(pt[0], f | A);
}

static void test_large_pages(void)
{
    u64 phys = (ulong)frame & ~0x1ffffful;
    test("2 MiB pages");
    frame[0] = 0xfeedface;
    ulong at = WINDOW + ((ulong)frame & 0x1fffff);
    pd[0] = phys | P | W | U | PS;
    write_cr3(read_cr3());
    CHECK_EQ(*(volatile u64 *)at, 0xfeedface);
    CHECK_EQ(pd[0], phys | P | W | U | PS | A);
    expect_ok(user_write, true, at);
    CHECK_EQ(pd[0], phys | P | W | U | PS | A | D);
    CHECK_EQ(frame[0], 0x1234);
    pd[0] = phys | P | PS | 0x2000; /* address bits below 2 MiB are reserved */
    invlpg((void *)at);
    expect_pf(do_read, false, at, E_P | E_RSVD);
    pd[0] = phys | P | PS;
    invlpg((void *)at);
    expect_pf(do_write, false, at, E_P | E_W);
    pd[0] = (ulong)pt | P | W | U;
    write_cr3(read_cr3());
    test("1 GiB pages");
    if (!cpu_has(0x80000001, 3, 26)) {
        skip("not offered");
        return;
    }
    frame[0] = 0xabcd;
    at = WINDOW + (ulong)frame;
    boot_pdpt[256] = P | W | U | PS;
    write_cr3(read_cr3());
    CHECK_EQ(*(volatile u64 *)at, 0xabcd);
    boot_pdpt[256] = P | W | U | PS | 0x200000;
    write_cr3(read_cr3());
    expect_pf(do_read, false, at, E_P | E_RSVD);
    boot_pdpt[256] = (ulong)pd | P | W | U;
    write_cr3(read_cr3());
}

static void test_reserved(void)
{
    u32 r[4];
    test("reserved physical address bits");
    cpuid(0x80000008, 0, r);
    unsigned bits = r[0] & 0xff;
    CHECK(bits >= 32 && bits <= 52);
    if (bits < 52) {
        map((ulong)frame | P | W | U | 1ull << bits);
        expect_pf(do_read, false, WINDOW, E_P | E_RSVD);
        expect_pf(user_write, true, WINDOW, E_P | E_RSVD | E_U | E_W);
    }
    boot_pml4[1] = boot_pml4[0] | PS; /* PS in a PML4 entry */
    expect_pf(do_read, false, WINDOW + (1ul << 39), E_P | E_RSVD);
    boot_pml4[1] = 0;
    map((ulong)frame | P | W | U);
}

static void test_canonical(void)
{
    test("non-canonical addresses");
    CHECK_EQ(guest_try(do_read, (void *)(1ul << 47)), V_GP);
    CHECK_EQ(trap.f.error, 0);
    CHECK_EQ(guest_try(do_write, (void *)0xffff7ffffffffff8ul), V_GP);
    CHECK_EQ(guest_try(do_read, (void *)0xffff800000000000ul), V_PF);
    CHECK_EQ(guest_try(do_call, (void *)(1ul << 47)), V_GP);
}

static void bp_read(void *p) { asm volatile("push %%rbp\n mov %0, %%rbp\n mov (%%rbp), %%rax\n pop %%rbp" : : "r"(p) : "rax"); }

static void test_stack_segment(void)
{
    test("a non-canonical address through rBP is #SS");
    CHECK_EQ(guest_try(bp_read, (void *)(1ul << 50)), V_SS);
}

static void test_tlb(void)
{
    test("INVLPG, CR3 and global pages");
    u64 *other = page_alloc();
    frame[0] = 1;
    other[0] = 2;
    volatile u64 *w = (void *)WINDOW;
    map((ulong)frame | P | W | U);
    CHECK_EQ(*w, 1);
    pt[0] = (ulong)other | P | W | U;
    invlpg((void *)(WINDOW + 0x123));
    CHECK_EQ(*w, 2);
    pt[0] = (ulong)frame | P | W | U;
    write_cr3(read_cr3());
    CHECK_EQ(*w, 1);
    write_cr4(read_cr4() | CR4_PGE);
    map((ulong)frame | P | W | U | G);
    CHECK_EQ(*w, 1);
    pt[0] = (ulong)other | P | W | U | G;
    write_cr3(read_cr3()); /* either value is right here */
    (void)*w;
    write_cr4(read_cr4() & ~CR4_PGE);
    CHECK_EQ(*w, 2);
    pt[0] = 0;
    invlpg((void *)WINDOW);
    expect_pf(do_read, false, WINDOW, 0);
    test("rights may grow without a flush");
    map((ulong)frame | P | U);
    CHECK_EQ(*w, 1);
    pt[0] = (ulong)frame | P | W | U;
    if (guest_try(do_write, (void *)WINDOW) == V_PF) /* a stale entry may fault once */
        CHECK_EQ(guest_try(do_write, (void *)WINDOW), NO_TRAP);
    CHECK_EQ(frame[0], 0x1234);
}

static void test_crossing(void)
{
    test("accesses across a page end");
    u8 *a = page_alloc(), *b = page_alloc();
    pt[0] = (ulong)b | P | W | U; /* the other way round */
    pt[1] = (ulong)a | P | W | U;
    write_cr3(read_cr3());
    volatile u64 *cross = (void *)(WINDOW + 0xffd);
    *cross = 0x1122334455667788;
    CHECK_EQ(*cross, 0x1122334455667788);
    CHECK_EQ(b[0xffd], 0x88);
    CHECK_EQ(a[4], 0x11);
    pt[1] = (ulong)a | P | U;
    invlpg((void *)(WINDOW + PAGE));
    CHECK_EQ(guest_try(do_write, (void *)(WINDOW + 0xffd)), V_PF);
    CHECK_EQ(trap.cr2, WINDOW + 0x1000);
    CHECK_EQ(trap.f.error, E_P | E_W);
    CHECK_EQ(b[0xffd], 0x88); /* nothing was written */
    pt[1] = 0;
    invlpg((void *)(WINDOW + PAGE));
}

static void test_smep_smap(void)
{
    u32 r[4];
    cpuid(7, 0, r);
    *(u8 *)frame = 0xc3;
    map((ulong)frame | P | W | U);
    test("SMEP");
    if (r[1] >> 7 & 1) {
        u64 super = boot_pdpt[0]; /* our own code must become supervisor code */
        boot_pdpt[0] &= ~U;
        write_cr3(read_cr3());
        write_cr4(read_cr4() | CR4_SMEP);
        expect_ok(do_read, false, WINDOW);
        expect_pf(do_call, false, WINDOW, E_P | E_I);
        write_cr4(read_cr4() & ~CR4_SMEP);
        expect_ok(do_call, false, WINDOW);
        boot_pdpt[0] = super;
        write_cr3(read_cr3());
    } else {
        skip("not offered");
    }
    test("SMAP");
    if (r[1] >> 20 & 1) {
        u64 super = boot_pdpt[0];
        boot_pdpt[0] &= ~U;
        write_cr3(read_cr3());
        write_cr4(read_cr4() | CR4_SMAP);
        expect_pf(do_read, false, WINDOW, E_P);
        expect_pf(do_write, false, WINDOW, E_P | E_W);
        asm volatile("stac" : : : "memory");
        do_read((void *)WINDOW);
        do_write((void *)WINDOW);
        asm volatile("clac" : : : "memory");
        expect_pf(do_read, false, WINDOW, E_P);
        write_cr4(read_cr4() & ~CR4_SMAP);
        boot_pdpt[0] = super;
        write_cr3(read_cr3());
    } else {
        skip("not offered");
    }
}

static void wrpkru(u32 v) { asm volatile("wrpkru" : : "a"(v), "c"(0), "d"(0) : "memory"); }

static void test_pku(void)
{
    u32 r[4];
    test("protection keys");
    cpuid(7, 0, r);
    if (!(r[2] >> 3 & 1)) {
        skip("not offered");
        return;
    }
    write_cr4(read_cr4() | CR4_PKE);
    map((ulong)frame | P | W | U | 5ull << 59);
    wrpkru(0);
    expect_ok(user_write, true, WINDOW);
    wrpkru(2u << 10); /* key 5: no writes */
    expect_ok(user_read, true, WINDOW);
    expect_pf(user_write, true, WINDOW, E_P | E_W | E_U | E_PK);
    expect_pf(do_write, false, WINDOW, E_P | E_W | E_PK);
    wrpkru(1u << 10); /* no accesses */
    expect_pf(user_read, true, WINDOW, E_P | E_U | E_PK);
    *(u8 *)frame = 0xc3;
    expect_ok(do_call, false, WINDOW); /* fetches are free */
    wrpkru(0);
    write_cr4(read_cr4() & ~CR4_PKE);
}

static void test_pcid(void)
{
    test("PCID and INVPCID");
    if (!cpu_has(1, 2, 17)) {
        skip("not offered");
        return;
    }
    u64 *other = page_alloc();
    volatile u64 *w = (void *)WINDOW;
    frame[0] = 1;
    other[0] = 2;
    map((ulong)frame | P | W | U);
    write_cr4(read_cr4() | CR4_PCIDE);
    ulong cr3 = read_cr3();
    write_cr3(cr3 | 1);
    CHECK_EQ(read_cr3(), cr3 | 1);
    CHECK_EQ(*w, 1);
    pt[0] = (ulong)other | P | W | U;
    write_cr3(cr3 | 2);
    invlpg((void *)WINDOW);
    CHECK_EQ(*w, 2);
    write_cr3(cr3 | 1); /* flushes PCID 1: bit 63 is clear */
    CHECK_EQ(*w, 2);
    if (cpu_has(7, 1, 10)) {
        u64 desc[2] __attribute__((aligned(16))) = { 1, WINDOW };
        pt[0] = (ulong)frame | P | W | U;
        asm volatile("invpcid %0, %1" : : "m"(desc), "r"(0ul) : "memory");
        CHECK_EQ(*w, 1);
        pt[0] = (ulong)other | P | W | U;
        asm volatile("invpcid %0, %1" : : "m"(desc), "r"(2ul) : "memory");
        CHECK_EQ(*w, 2);
    }
    write_cr3(cr3);
    write_cr4(read_cr4() & ~CR4_PCIDE);
}

void guest_main(void)
{
    window_init();
    test_rights();
    test_no_execute();
    test_accessed_dirty();
    test_large_pages();
    test_reserved();
    test_canonical();
    test_stack_segment();
    test_tlb();
    test_crossing();
    test_smep_smap();
    test_pku();
    test_pcid();
}
