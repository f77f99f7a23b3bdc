/* Guest: VMware's backdoor port and pseudo counters, from kernel and user mode. The first byte of -uuid says what to expect: 1: -machine vmport=on,
 * which opens them to user mode, else vmport=auto; the others are 2, 3 ... 16. The answers are those of QEMU's vmport, measured with this code. */
#include "tests/lib/guest/guest.h"

#define PORT 0x5658
#define MAGIC 0x564d5868u
#define HIGH 0xdead000000000000ul
#define OTHER (HIGH | 0x0badcafe)

enum { INL, INW, INB, OUTL, OUTB, INSL, INL_OTHER, INL_HB, RDPMC };
struct call {
    unsigned how;
    u64 ax, bx, cx, dx, si, di;
};
static u32 moved;
static bool on;

#define RUN(text)                                                                                                                         \
    asm volatile(text : "+a"(c->ax), "+b"(c->bx), "+c"(c->cx), "+d"(c->dx), "+S"(c->si), "+D"(c->di) : : "memory", "cc")

static void execute(void *p)
{
    struct call *c = p;
    switch (c->how) {
    case INL: case INL_OTHER: case INL_HB: RUN("in %%dx, %%eax"); break;
    case INW: RUN("in %%dx, %%ax"); break;
    case INB: RUN("in %%dx, %%al"); break;
    case OUTL: RUN("out %%eax, %%dx"); break;
    case OUTB: RUN("out %%al, %%dx"); break;
    case INSL: RUN("insl"); break;
    case RDPMC: RUN("rdpmc"); break;
    }
}

static void execute_user(void *p)
{
    execute(p);
    user_done();
}

static struct call make(unsigned how, u32 ax, u32 cx)
{
    u16 port = how == INL_OTHER ? PORT + 2 : how == INL_HB ? PORT + 1 : PORT;
    return (struct call){ how, HIGH | ax, OTHER, HIGH | cx, HIGH | port, OTHER, how == INSL ? (ulong)&moved : OTHER };
}

static struct call ask(unsigned how, u32 ax, u32 cx)
{
    struct call c = make(how, ax, cx);
    execute(&c);
    return c;
}

static int ask_user(unsigned how, u32 cx, struct call *c)
{
    *c = make(how, MAGIC, cx);
    return guest_try_user(execute_user, c);
}

static void check_unchanged(const struct call *c, u32 cx)
{
    CHECK_EQ(c->bx, OTHER);
    CHECK_EQ(c->cx, HIGH | cx);
    CHECK_EQ(c->dx, HIGH | PORT);
    CHECK_EQ(c->si, OTHER);
    CHECK_EQ(c->di, OTHER);
}

static void check_version(const struct call *c)
{
    CHECK_EQ(c->ax, 6);
    CHECK_EQ(c->bx, MAGIC);
    CHECK_EQ(c->cx, 2);
    CHECK_EQ(c->dx, HIGH | PORT);
    CHECK_EQ(c->si, OTHER);
}

/* The TSC runs as much faster than the local APIC's timer as the two numbers say. */
static void test_frequencies(void)
{
    test("frequencies");
    struct call c = ask(INL, MAGIC, 0x2d);
    u64 hz = c.ax | c.bx << 32;
    CHECK(c.ax >> 32 == 0 && c.cx >> 32 == 0 && hz && c.cx);
    apic_enable();
    apic_write(0x3e0, 0xb); /* divided by 1 */
    apic_write(0x320, 1 << 16 | 0x50);
    u64 before = rdtsc();
    apic_write(0x380, 0xffffffff);
    u64 started = rdtsc();
    while (rdtsc() - started < hz / 100)
        ;
    u64 until = rdtsc();
    u64 ticks = 0xffffffff - apic_read(0x390);
    u64 after = rdtsc();
    apic_write(0x380, 0);
    CHECK(ticks * hz / (c.cx + !c.cx) + 2 >= until - started);
    CHECK(ticks * hz / (c.cx + !c.cx) <= after - before + 2);
}

static void test_commands(void)
{
    static const unsigned version[] = { INL, INW, INB, OUTL, OUTB };
    test("version, by every instruction");
    for (unsigned i = 0; i < sizeof(version) / sizeof(version[0]); i++) {
        struct call c = ask(version[i], MAGIC, 0x1230000 | 0x0a);
        check_version(&c);
        CHECK_EQ(c.di, OTHER);
    }
    struct call c = ask(INSL, MAGIC, 0x0a);
    check_version(&c);
    CHECK_EQ(c.di, (ulong)&moved + 4);
    CHECK_EQ(moved, 6);

    test("UUID");
    c = ask(INL, MAGIC, 0x13);
    on = (c.ax & 0xff) == 1;
    CHECK_EQ(c.ax | 1, 0x04030201);
    CHECK_EQ(c.bx, 0x08070605);
    CHECK_EQ(c.cx, 0x0c0b0a09);
    CHECK_EQ(c.dx, 0x100f0e0d);

    test("RAM size");
    c = ask(INL, MAGIC, 0x14);
    CHECK_EQ(c.ax, 64 << 20);
    CHECK_EQ(c.bx, 0x1177);
    CHECK_EQ(c.cx, HIGH | 0x14);

    test_frequencies();

    test("vCPU information");
    c = ask(INL, MAGIC, 0x44);
    CHECK_EQ(c.ax, 0);
    check_unchanged(&c, 0x44);
}

static void test_refused(void)
{
    static const u16 unknown[] = { 0, 1, 0x17, 0x2e, 0x7f, 0x80, 0xffff };
    struct call c;
    test("unknown commands and a wrong magic");
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        c = ask(i & 1 ? OUTL : INL, MAGIC, unknown[i]);
        CHECK_EQ(c.ax, 0xffffffff);
        check_unchanged(&c, unknown[i]);
    }
    c = ask(INB, MAGIC + 1, 0x0a);
    CHECK_EQ(c.ax, 0xffffffff);
    check_unchanged(&c, 0x0a);
    test("the port beside it");
    c = ask(INL_HB, MAGIC, 0x0a);
    CHECK_EQ(c.ax, 0xffffffff);
    CHECK_EQ(c.bx, OTHER);
}

/* Nothing is allowed by IOPL or by the TSS. */
static void test_user(void)
{
    static const unsigned how[] = { INL, OUTL, INSL, INL_HB };
    struct call c;
    test("user mode");
    for (unsigned i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
        CHECK_EQ(ask_user(how[i], 0x0a, &c), on ? USER_DONE : V_GP);
        if (on && how[i] != INL_HB)
            check_version(&c);
    }
    CHECK_EQ(ask_user(INL, 1, &c), on ? USER_DONE : V_GP);
    CHECK_EQ(c.ax, on ? 0xffffffff : HIGH | MAGIC);
    CHECK_EQ(ask_user(INL_OTHER, 0x0a, &c), V_GP);

    test("user mode, allowed by the TSS");
    main_tss.iomap = offsetof(struct tss, bitmap);
    memset(main_tss.bitmap, 0, sizeof(main_tss.bitmap));
    CHECK_EQ(ask_user(INL, 0x0a, &c), USER_DONE);
    check_version(&c);
    main_tss.iomap = sizeof(main_tss);
}

static u64 pmc(u32 index)
{
    struct call c = ask(RDPMC, 0, index);
    CHECK(c.ax >> 32 == 0 && c.dx >> 32 == 0);
    return c.ax | c.dx << 32;
}

static void test_counters(void)
{
    struct call c;
    test("RDPMC's pseudo counters");
    for (u32 i = 0x10000; i <= 0x10003; i++) {
        bool there = on && i < 0x10003;
        c = make(RDPMC, 0, i);
        CHECK_EQ(guest_try(execute, &c), there ? NO_TRAP : V_GP);
        c = make(RDPMC, 0, i);
        CHECK_EQ(guest_try_user(execute_user, &c), there ? USER_DONE : V_GP);
        for (unsigned k = 0; there && k < 100; k++) {
            u64 before = pmc(i);
            CHECK(pmc(i) >= before && before);
        }
    }
    if (!on)
        return;
    u64 tsc = rdtsc(), host = pmc(0x10000), again = rdtsc();
    CHECK(tsc <= host && host <= again);
    wrmsr(0x10, tsc - (1ul << 40)); /* the guest's own counter: the host's goes on */
    CHECK(pmc(0x10000) >= host);
    u64 real = pmc(0x10001), apparent = pmc(0x10002);
    while (pmc(0x10002) - apparent < 1000000)
        ;
    CHECK(pmc(0x10001) - real >= 1000000); /* of which the first was taken earlier */
    apparent = pmc(0x10002);
    CHECK(pmc(0x10001) >= apparent); /* which stands still while the VM does */
}

void guest_main(void)
{
    test_commands();
    test_refused();
    test_user();
    test_counters();
}
