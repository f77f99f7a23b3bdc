/* Guest: 32-bit paging with and without large pages, PAE paging, moving between them. */
#include "tests/lib/guest/guest.h"

#define P 1u
#define W 2u
#define U 4u
#define A 0x20u
#define D 0x40u
#define PS 0x80u
#define NX (1ull << 63)
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16 };
#define WINDOW 0x40000000ul /* directory entry 256; in PAE, pointer 1 */

static u32 *dir, *table;    /* 32-bit paging */
static u64 *pdpt, *pd, *pt; /* PAE */
static u32 *frame;

static void do_read(void *p) { (void)*(volatile u32 *)p; }
static void do_write(void *p) { *(volatile u32 *)p = 0x1234; }
static void user_write(void *p) { do_write(p); user_done(); }
static void load_cr3(void *p) { write_cr3((ulong)p); }
static void do_call(void *p) { ((void (*)(void))(ulong)p)(); }

static void expect_pf(void (*fn)(void *), bool user, ulong addr, ulong error)
{
    int v = user ? guest_try_user(fn, (void *)addr) : guest_try(fn, (void *)addr);
    CHECK_EQ(v, V_PF);
    if (v == V_PF) {
        CHECK_EQ(trap.f.error, error);
        CHECK_EQ(trap.cr2, addr);
    }
}

/* Identity map of 64 MiB with 4 MiB pages (PSE). */
static void paging_on_32(void)
{
    dir = page_alloc();
    table = page_alloc();
    frame = page_alloc();
    for (u32 i = 0; i < 16; i++)
        dir[i] = i << 22 | P | W | U | PS;
    dir[256] = (ulong)table | P | W | U;
    write_cr4(read_cr4() | CR4_PSE);
    write_cr3((ulong)dir);
    write_cr0(read_cr0() | CR0_PG | CR0_WP);
}

static void map32(u32 pte)
{
    table[0] = pte;
    invlpg((void *)WINDOW);
}

static void test_32(void)
{
    test("32-bit paging: rights and error codes");
    paging_on_32();
    expect_pf(do_read, false, WINDOW, 0);
    map32((ulong)frame | P | W);
    CHECK_EQ(guest_try(do_write, (void *)WINDOW), NO_TRAP);
    CHECK_EQ(frame[0], 0x1234);
    CHECK_EQ(table[0], (ulong)frame | P | W | A | D);
    expect_pf(user_write, true, WINDOW, E_P | E_W | E_U);
    map32((ulong)frame | P | U);
    expect_pf(do_write, false, WINDOW, E_P | E_W);
    write_cr0(read_cr0() & ~CR0_WP);
    CHECK_EQ(guest_try(do_write, (void *)WINDOW), NO_TRAP);
    write_cr0(read_cr0() | CR0_WP);
    test("4 MiB pages");
    volatile u32 *big = (void *)(WINDOW + 0x400000 + ((ulong)frame & 0x3fffff));
    dir[257] = ((ulong)frame & 0xffc00000) | P | W | PS;
    frame[0] = 77;
    CHECK_EQ(*big, 77);
    CHECK_EQ(dir[257] & (A | D), A);
    *big = 78;
    CHECK_EQ(dir[257] & (A | D), A | D);
    dir[257] = ((ulong)frame & 0xffc00000) | P | W | PS | 1 << 21; /* reserved */
    invlpg((void *)big);
    expect_pf(do_read, false, (ulong)big, E_P | E_RSVD);
    dir[257] = 0;
    test("without CR4.PSE a large page is a table");
    u32 *low = page_alloc();
    for (u32 i = 0; i < 1024; i++)
        low[i] = i << 12 | P | W | U;
    dir[0] = (ulong)low | P | W | U;
    write_cr3((ulong)dir);
    dir[257] = (ulong)table | P | W | PS;
    table[0] = (ulong)frame | P | W;
    write_cr4(read_cr4() & ~CR4_PSE);
    if ((ulong)low < 0x400000) /* all of ours lies below 4 MiB */
        CHECK_EQ(*(volatile u32 *)(WINDOW + 0x400000), 78);
    write_cr4(read_cr4() | CR4_PSE);
    dir[257] = 0;
    write_cr3((ulong)dir);
}

static void test_pae(void)
{
    test("PAE: from 32-bit paging, rights, 2 MiB pages, NX");
    u64 *low = page_alloc();
    pdpt = page_alloc();
    pd = page_alloc();
    pt = page_alloc();
    for (u32 i = 0; i < 512; i++)
        low[i] = (u64)i << 21 | P | W | U | PS;
    pdpt[0] = (ulong)low | P;
    pdpt[1] = (ulong)pd | P;
    pd[0] = (ulong)pt | P | W | U;
    pt[0] = (ulong)frame | P | W | U;
    write_cr0(read_cr0() & ~CR0_PG);
    write_cr4(read_cr4() | CR4_PAE);
    write_cr3((ulong)pdpt);
    write_cr0(read_cr0() | CR0_PG);
    frame[0] = 5;
    CHECK_EQ(*(volatile u32 *)WINDOW, 5);
    CHECK_EQ(guest_try_user(user_write, (void *)WINDOW), USER_DONE);
    CHECK_EQ((u32)pt[0], (ulong)frame | P | W | U | A | D);
    pd[0] = (ulong)pt | P | U;
    invlpg((void *)WINDOW);
    expect_pf(do_write, false, WINDOW, E_P | E_W);
    pd[0] = (ulong)pt | P | W | U;
    pt[0] = (ulong)frame | P | W | NX;
    invlpg((void *)WINDOW);
    expect_pf(do_read, false, WINDOW, E_P | E_RSVD); /* NXE is off */
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    CHECK_EQ(guest_try(do_read, (void *)WINDOW), NO_TRAP);
    expect_pf(do_call, false, WINDOW, E_P | E_I);
    pt[0] = 1ull << 62 | (ulong)frame | P | W; /* reserved in PAE */
    invlpg((void *)WINDOW);
    expect_pf(do_read, false, WINDOW, E_P | E_RSVD);
    test("PAE: pointers are loaded with CR3");
    pt[0] = (ulong)frame | P | W;
    invlpg((void *)WINDOW);
    CHECK_EQ(guest_try(do_read, (void *)WINDOW), NO_TRAP);
    pdpt[1] = 0;
    invlpg((void *)WINDOW);
    CHECK_EQ(guest_try(do_read, (void *)WINDOW), NO_TRAP);
    write_cr3((ulong)pdpt);
    expect_pf(do_read, false, WINDOW, 0);
    pdpt[1] = (ulong)pd | P | W; /* a reserved bit: the load faults and changes nothing */
    CHECK_EQ(guest_try(load_cr3, pdpt), V_GP);
    pdpt[1] = (ulong)pd | P;
    write_cr3((ulong)pdpt);
    CHECK_EQ(guest_try(do_read, (void *)WINDOW), NO_TRAP);
    write_cr0(read_cr0() & ~CR0_PG);
    write_cr4(read_cr4() & ~CR4_PAE);
}

void guest_main(void)
{
    test_32();
    test_pae();
}
