/* Guest: string instructions with page faults in the middle, handled and resumed; interrupted by a timer; on device memory; INS and OUTS;
 * direction and address size. */
#include "tests/lib/guest/guest.h"

#define WINDOW 0x4000000000ul
#define PAGES 64
extern u64 boot_pdpt[];
static u64 *pt;
static u8 *phys[PAGES];
static unsigned faults, ticks;

static void window_init(void)
{
    u64 *pd = page_alloc();
    pt = page_alloc();
    boot_pdpt[256] = (ulong)pd | 7;
    pd[0] = (ulong)pt | 7;
    for (unsigned i = 0; i < PAGES; i++)
        phys[i] = page_alloc();
    write_cr3(read_cr3());
}

static void unmap_all(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        pt[i] = 0;
    write_cr3(read_cr3());
    faults = 0;
}

/* Maps on demand; the instruction goes on where it was. */
static void on_pf(struct frame *f)
{
    ulong n = (read_cr2() - WINDOW) / PAGE;
    faults++;
    if (n >= PAGES || faults > 1000) {
        handlers[V_PF] = NULL; /* not ours: the next one is reported */
        return;
    }
    pt[n] = (ulong)phys[n] | 7;
}

static void copy(void *d, const void *s, ulong n) { asm volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory"); }

static void test_faults(void)
{
    u8 *w = (u8 *)WINDOW, *src = phys[0];
    handlers[V_PF] = on_pf;
    test("REP STOS over pages that appear as they fault");
    unmap_all();
    ulong d = WINDOW + 5, n = 10 * PAGE;
    asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(0x5a) : "memory");
    CHECK_EQ(n, 0);
    CHECK_EQ(d, WINDOW + 5 + 10 * PAGE);
    CHECK_EQ(faults, 11);
    CHECK_EQ(phys[0][4], 0);
    CHECK_EQ(phys[0][5], 0x5a);
    CHECK_EQ(phys[10][4], 0x5a);
    CHECK_EQ(phys[10][5], 0);
    test("REP MOVSQ with both sides faulting, misaligned");
    for (unsigned i = 0; i < 4 * PAGE; i++)
        phys[i / PAGE][i % PAGE] = (u8)(i * 7 + i / 256);
    unmap_all();
    ulong s = WINDOW + 3;
    d = WINDOW + 20 * PAGE + 6;
    n = 4 * PAGE / 8 - 2;
    asm volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    CHECK_EQ(n, 0);
    CHECK_EQ(faults, 8);
    bool same = true;
    for (unsigned i = 0; i < 4 * PAGE - 16; i++)
        same &= w[3 + i] == w[20 * PAGE + 6 + i];
    CHECK(same);
    test("backwards");
    unmap_all();
    s = WINDOW + 3 * PAGE + 100;
    d = WINDOW + 40 * PAGE + 1;
    n = 3 * PAGE;
    asm volatile("std\n rep movsb\n cld" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    CHECK_EQ(n, 0);
    CHECK_EQ(s, WINDOW + 100);
    CHECK_EQ(d, WINDOW + 37 * PAGE + 1);
    CHECK_EQ(w[40 * PAGE + 1], w[3 * PAGE + 100]);
    CHECK_EQ(w[37 * PAGE + 2], w[101]);
    test("REPE CMPSB and REPNE SCASB that fault");
    unmap_all();
    memcpy(phys[50], phys[0], PAGE);
    memcpy(phys[51], phys[1], PAGE);
    phys[51][77]++;
    s = WINDOW;
    d = WINDOW + 50 * PAGE;
    n = 2 * PAGE;
    bool zf;
    asm volatile("repe cmpsb" : "+D"(d), "+S"(s), "+c"(n), "=@ccz"(zf) : : "memory");
    CHECK(!zf);
    CHECK_EQ(s, WINDOW + PAGE + 78);
    CHECK_EQ(n, 2 * PAGE - PAGE - 78);
    CHECK_EQ(faults, 4);
    unmap_all();
    memset(src, 1, PAGE);
    memset(phys[1], 1, PAGE);
    phys[1][9] = 0;
    d = WINDOW;
    n = ~0ul;
    asm volatile("repne scasb" : "+D"(d), "+c"(n), "=@ccz"(zf) : "a"(0) : "memory");
    CHECK(zf);
    CHECK_EQ(d, WINDOW + PAGE + 10);
    CHECK_EQ(faults, 2);
    handlers[V_PF] = NULL;
}

/* --- a fault that is not handled shows exactly what is left --- */
static void copy_into_hole(void *p)
{
    ulong d = WINDOW + PAGE - 10, s = (ulong)phys[5], n = 100;
    asm volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

static void test_state(void)
{
    test("registers at a fault");
    unmap_all();
    pt[0] = (ulong)phys[0] | 7;
    CHECK_EQ(guest_try(copy_into_hole, NULL), V_PF);
    CHECK_EQ(trap.f.cx, 90);
    CHECK_EQ(trap.f.di, WINDOW + PAGE);
    CHECK_EQ(trap.f.si, (ulong)phys[5] + 10);
    CHECK_EQ(trap.cr2, WINDOW + PAGE);
}

/* --- interrupts between iterations --- */
static unsigned half_done, rf_wrong;
static ulong last_cx;

/* The pushed RF says whether a repeated instruction is half done; but not a second time if it has not come any further since. */
static void on_tick(struct frame *f)
{
    const u8 *ip = (const u8 *)f->ip;
    bool at_rep = ip[0] == 0xf3 && ip[1] == 0xa4, half = at_rep && f->cx && f->cx < 32 * PAGE;
    half_done += half;
    rf_wrong += half != (f->flags >> 16 & 1) && !(half && f->cx == last_cx);
    last_cx = half ? f->cx : 0;
    ticks++;
    apic_write(0xb0, 0);
}

static void test_interrupts(void)
{
    test("a long copy lets interrupts in and ends right");
    apic_enable();
    handlers[0x61] = on_tick;
    for (unsigned i = 0; i < PAGES; i++)
        pt[i] = (ulong)phys[i] | 7;
    write_cr3(read_cr3());
    for (unsigned i = 0; i < 32 * PAGE; i++)
        ((u8 *)WINDOW)[i] = (u8)(i * 13 + i / 4096);
    apic_write(0x3e0, 0xb);
    apic_write(0x320, 0x20061);
    apic_write(0x380, 20000);
    ticks = 0;
    sti();
    /* On a loaded host the timer\'s thread may wait for long: ten seconds of the TSC. */
    for (u64 i = 0, end = rdtsc() + 10000000000; i < 50 || ((ticks < 3 || !half_done) && rdtsc() < end); i++) {
        ((volatile u8 *)WINDOW)[0] = (u8)i;
        copy((void *)(WINDOW + 32 * PAGE), (void *)WINDOW, 32 * PAGE);
        CHECK_EQ(((volatile u8 *)WINDOW)[32 * PAGE], (u8)i);
    }
    cli();
    apic_write(0x320, 0x10061);
    apic_write(0x380, 0);
    CHECK(ticks >= 3);
    CHECK(half_done > 0);
    CHECK_EQ(rf_wrong, 0);
    CHECK_EQ(memcmp((void *)WINDOW, (void *)(WINDOW + 32 * PAGE), 32 * PAGE), 0);
}

static void test_overlap(void)
{
    u8 *b = phys[60];
    test("overlapping copies repeat their pattern");
    for (unsigned i = 0; i < 8; i++)
        b[i] = (u8)i;
    copy(b + 3, b, 300);
    for (unsigned i = 0; i < 303; i++)
        CHECK_EQ(b[i], i % 3);
    test("32-bit address size");
    ulong d = (ulong)b | 0xffff000000000000, s = (ulong)phys[61] | 0x1234500000000, n = 0x700000010;
    phys[61][15] = 0x99;
    asm volatile("addr32 rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    CHECK_EQ(n, 0);
    CHECK_EQ(d, (ulong)b + 16);
    CHECK_EQ(s, (ulong)phys[61] + 16);
    CHECK_EQ(b[15], 0x99);
}

static void test_ports(void)
{
    test("REP OUTSB and REP INSB");
    static const char text[] = "# from REP OUTSB\n";
    const char *s = text;
    ulong n = sizeof(text) - 1;
    asm volatile("rep outsb" : "+S"(s), "+c"(n) : "d"(0xe9) : "memory");
    CHECK_EQ(n, 0);
    CHECK_EQ(s, text + sizeof(text) - 1);
    u8 buf[4] = { 0 };
    void *d = buf;
    n = 3;
    asm volatile("rep insb" : "+D"(d), "+c"(n) : "d"(0x21) : "memory"); /* the 8259's mask */
    CHECK_EQ(buf[0] & buf[1] & buf[2], 0xff);
    CHECK_EQ(buf[3], 0);
}

static void test_device(void)
{
    test("string instructions on the local APIC");
    u32 buf[1] = { 0 }, version = apic_read(0x30);
    void *d = buf, *s = (void *)0xfee00030ul;
    asm volatile("movsl" : "+D"(d), "+S"(s) : : "memory");
    CHECK_EQ(buf[0], version);
    ulong n = 1;
    d = (void *)0xfee00380ul; /* timer's initial count; masked */
    asm volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(0x1234567) : "memory");
    CHECK_EQ(apic_read(0x380), 0x1234567);
    apic_write(0x380, 0);
}

void guest_main(void)
{
    window_init();
    test_faults();
    test_state();
    test_interrupts();
    test_overlap();
    test_ports();
    test_device();
}
