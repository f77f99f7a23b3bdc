/* Guest: performance counters of both vendors in 64-bit mode. Exact counts of instructions and branches over known code, with faults, REP, single-step,
 * interrupts and device accesses in it; privilege-level filters; where an overflow interrupts; cycles and HLT; RDPMC; the predictor's model. */
#include "tests/lib/guest/guest.h"

#define EN (1u << 22)
#define INT (1u << 20)
#define OS (1u << 17)
#define USR (1u << 16)
#define CR4_PCE (1ul << 8)
#define COUNTER 0xfffffffffffful
#define LVTPC 0x340
#define PMI 0x60

static struct {
    bool amd;
    u32 ctl, ctr, insns, branches, misses, cycles;
    unsigned gp;
} pm;

/* Code that is measured, for CPL 0 (k_NAME) and for CPL 3 (u_NAME). */
#define BODY(name, text)                                                                           \
    void k_##name(void *), u_##name(void *);                                                       \
    asm(".text\n .balign 16\n k_" #name ": " text "\n ret\n .balign 16\n u_" #name ": " text "\n int $0x40\n")
u8 work[5 * 4096] __attribute__((aligned(4096)));

BODY(nothing, "");
BODY(nops, ".rept 100\n nop\n .endr");
BODY(countdown, "mov $1000, %ecx\n 1: dec %ecx\n jnz 1b");
BODY(loop, "mov $1000, %ecx\n 1: loop 1b\n jrcxz 2f\n ud2\n 2: jrcxz 3f\n 3:");
BODY(calls, "mov $10, %ecx\n 1: call 2f\n loop 1b\n jmp 3f\n 2: ret\n 3:");
BODY(indirect, "lea 1f(%rip), %rax\n jmp *%rax\n ud2\n 1: lea 2f(%rip), %rax\n call *%rax\n jmp 3f\n 2: ret\n 3:");
BODY(strings, "lea work(%rip), %rdi\n mov $10000, %ecx\n rep stosb\n lea work(%rip), %rdi\n lea work + 5000(%rip), %rsi\n mov $5000, %ecx\n"
              "repe cmpsb\n xor %ecx, %ecx\n rep movsb");
BODY(crossing, "lea work + 4093(%rip), %rdi\n .rept 20\n addq $1, (%rdi)\n nop\n .endr");
BODY(device, "mov $0xfee00020, %eax\n .rept 5\n nop\n mov (%rax), %edx\n .endr");
BODY(helpers, ".rept 10\n rdtsc\n nop\n clc\n pushf\n popf\n .endr");
BODY(far, "mov %rsp, %rsi\n mov %ss, %eax\n push %rax\n push %rsi\n pushf\n mov %cs, %eax\n push %rax\n lea 1f(%rip), %rax\n push %rax\n iretq\n 1: nop");
/* The handlers go on behind UD2 and DIV, make the load good, and continue at rax after a #GP. */
BODY(faults, ".rept 5\n nop\n .endr\n ud2\n .rept 7\n nop\n .endr\n xor %ecx, %ecx\n div %ecx\n .rept 3\n nop\n .endr\n mov $0x4000000000, %rsi\n"
             "mov (%rsi), %edi\n lea 1f(%rip), %rax\n movaps 1(%rsi), %xmm0\n 1: lea 2f(%rip), %rax\n movabs $0x4000000000000000, %rdx\n"
             "nop\n jmp *%rdx\n 2: nop\n nop");
BODY(step, "pushf\n orl $0x100, (%rsp)\n popf\n nop\n nop\n lea work(%rip), %rdi\n mov $3, %ecx\n rep stosb\n jmp 1f\n 1: nop\n"
           "pushf\n andl $~0x100, (%rsp)\n popf\n nop");
BODY(interrupted, "int3\n mov $1000000, %ecx\n 1: dec %ecx\n jnz 1b");
/* Not taken five times, then taken three times. */
BODY(trained, "mov $8, %ecx\n mov $3, %edx\n 1: cmp %edx, %ecx\n jbe 2f\n nop\n 2: dec %ecx\n jnz 1b");

static u32 ctl(unsigned i) { return pm.amd ? pm.ctl + 2 * i : pm.ctl + i; }
static u32 ctr(unsigned i) { return pm.amd ? pm.ctr + 2 * i : pm.ctr + i; }

static __attribute__((noinline)) u64 measure(u32 event, bool user, void (*fn)(void *))
{
    wrmsr(ctr(0), 0);
    wrmsr(ctl(0), event | EN);
    if (user)
        guest_try_user(fn, NULL);
    else
        fn(NULL);
    wrmsr(ctl(0), 0);
    return rdmsr(ctr(0));
}

/* What fn has more than nothing. */
static u64 count(u32 event, bool user, void (*fn)(void *))
{
    u64 base = measure(event, user, user ? u_nothing : k_nothing);
    return measure(event, user, fn) - base;
}

static void on_ud(struct frame *f) { f->ip += 2; }
static void on_pf(struct frame *f) { f->si = (ulong)work; }
static void on_gp(struct frame *f) { f->ip = f->ax; }
static void on_db(struct frame *f) { write_dr6(0xffff0ff0); }
static void on_bp(struct frame *f) { f->flags |= FL_IF; }
static volatile unsigned irqs;
static void on_timer(struct frame *f)
{
    irqs++;
    apic_write(0xb0, 0);
}

static void test_exact(void)
{
    static const struct {
        const char *name;
        void (*k)(void *), (*u)(void *);
        unsigned insns, branches;
    } t[] = {
        { "straight code", k_nops, u_nops, 100, 0 },
        { "a loop", k_countdown, u_countdown, 2001, 1000 },
        { "LOOP and JRCXZ", k_loop, u_loop, 1003, 1002 },
        { "calls", k_calls, u_calls, 32, 31 },
        { "indirect jumps", k_indirect, u_indirect, 6, 4 },
        { "REP", k_strings, u_strings, 9, 0 },
        { "accesses across pages", k_crossing, u_crossing, 41, 0 },
        { "device accesses", k_device, u_device, 11, 0 },
        { "helpers", k_helpers, u_helpers, 50, 0 },
        { "IRET", k_far, u_far, 11, 1 },
        { "faults", NULL, u_faults, 24, 0 },
        { "single-step", NULL, u_step, 14, 1 },
    };
    handlers[V_UD] = handlers[V_DE] = on_ud;
    handlers[V_PF] = on_pf;
    handlers[V_GP] = on_gp;
    handlers[V_DB] = on_db;
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        test(t[i].name);
        for (unsigned again = 0; again < 2; again++) {
            if (t[i].k) {
                CHECK_EQ(count(pm.insns | OS, false, t[i].k), t[i].insns);
                CHECK_EQ(count(pm.insns | OS | USR, false, t[i].k), t[i].insns);
                CHECK_EQ(count(pm.branches | OS, false, t[i].k), t[i].branches);
                CHECK_EQ(count(pm.insns | USR, false, t[i].k), 0);
            }
            CHECK_EQ(count(pm.insns | USR, true, t[i].u), t[i].insns);
            CHECK_EQ(count(pm.branches | USR, true, t[i].u), t[i].branches);
        }
    }
    handlers[V_UD] = handlers[V_DE] = handlers[V_PF] = handlers[V_GP] = handlers[V_DB] = NULL;
}

static void test_levels(void)
{
    test("privilege levels add up");
    u64 os = measure(pm.insns | OS, true, u_countdown), usr = measure(pm.insns | USR, true, u_countdown);
    CHECK_EQ(measure(pm.insns | OS | USR, true, u_countdown), os + usr);
    CHECK_EQ(measure(pm.insns | OS, true, u_nothing), os);
    CHECK_EQ(measure(pm.insns, true, u_nothing), 0);
    CHECK_EQ(measure((pm.insns ^ 0x55) | OS | USR, false, k_countdown), 0); /* no such event */
    CHECK_EQ(measure(pm.insns | OS | USR | 2u << 24, false, k_countdown), 0);
}

static void test_interrupts(void)
{
    test("interrupts do not change what user code counts");
    apic_enable();
    handlers[V_BP] = on_bp;
    handlers[0x61] = on_timer;
    apic_write(0x3e0, 0xb);
    apic_write(0x320, 0x20061);
    apic_write(0x380, 5000000);
    irqs = 0;
    for (unsigned i = 0; i < 1000 && irqs < 3; i++) {
        CHECK_EQ(count(pm.insns | USR, true, u_interrupted), 2000002);
        CHECK_EQ(count(pm.branches | USR, true, u_interrupted), 1000001);
    }
    CHECK(irqs >= 3);
    apic_write(0x380, 0);
    apic_write(0x320, 0x10000);
    handlers[V_BP] = NULL;
}

static void test_misses(void)
{
    test("mispredictions");
    count(pm.misses | OS, false, k_countdown);
    CHECK_EQ(count(pm.misses | OS, false, k_countdown), 1); /* the loop's end */
    count(pm.misses | OS, false, k_trained);
    for (unsigned i = 0; i < 4; i++) {
        u64 n = count(pm.misses | OS, false, k_trained);
        CHECK_EQ(n, 5); /* the branch: two each time it changes its mind; the loop's end */
    }
    CHECK_EQ(count(pm.misses | OS, false, k_calls), count(pm.misses | OS, false, k_calls));
}

/* --- overflow --- */
static volatile unsigned pmis;
static volatile ulong pmi_ip, pmi_bx;
static void on_pmi(struct frame *f)
{
    pmis++;
    pmi_ip = f->ip;
    pmi_bx = f->bx;
    wrmsr(ctl(0), 0);
    apic_write(LVTPC, apic_read(LVTPC) & ~0x10000u);
    if (f->vector == PMI)
        apic_write(0xb0, 0);
}

extern u8 sled[], turn[];
static void overflow(u32 event, u64 n)
{
    u32 a = event | OS | INT | EN;
    pmis = 0;
    pmi_ip = 0;
    wrmsr(ctr(0), -n & COUNTER);
    asm volatile("mov $1000, %%ebx\n wrmsr\n sled: .rept 300\n nop\n .endr\n turn: dec %%ebx\n jnz turn" : "+a"(a) : "c"(ctl(0)), "d"(0) : "ebx", "cc", "memory");
    wrmsr(ctl(0), 0);
}

static void test_overflow(void)
{
    test("an overflow interrupts behind the instruction that caused it");
    apic_enable();
    handlers[PMI] = handlers[V_NMI] = on_pmi;
    apic_write(LVTPC, PMI);
    for (unsigned n = 1; n < 300; n += 7) {
        sti();
        overflow(pm.insns, n);
        cli();
        CHECK_EQ(pmis, 1);
        CHECK_EQ(pmi_ip, (ulong)sled + n);
    }
    sti();
    overflow(pm.branches, 50);
    cli();
    CHECK_EQ(pmis, 1);
    CHECK_EQ(pmi_bx, 950);
    CHECK_EQ(pmi_ip, (ulong)turn);
    test("as an NMI");
    apic_write(LVTPC, 0x400);
    overflow(pm.insns, 123);
    CHECK_EQ(pmis, 1);
    CHECK_EQ(pmi_ip, (ulong)sled + 123);
    test("no interrupt when masked");
    apic_write(LVTPC, 0x10000 | PMI);
    sti();
    overflow(pm.insns, 50);
    cli();
    CHECK_EQ(pmis, 0);
    apic_write(LVTPC, PMI);
}

/* --- cycles --- */
static void on_hang(struct frame *f)
{
    on_pmi(f);
    f->ip += 2; /* the jump's length */
}

static void test_cycles(void)
{
    test("cycles: unhalted time, overflow by a timer");
    u64 t0 = rdtsc();
    u64 n = measure(pm.cycles | OS | USR, false, k_countdown), t = rdtsc() - t0;
    CHECK(n > 0 && n <= t);
    CHECK_EQ(measure(pm.cycles | USR, false, k_countdown), 0);
    pmis = 0;
    t0 = rdtsc();
    wrmsr(ctr(0), -2000000ul & COUNTER);
    wrmsr(ctl(0), pm.cycles | OS | USR | INT | EN);
    sti();
    while (!pmis && rdtsc() - t0 < 5000000000ul)
        asm volatile("pause");
    cli();
    CHECK_EQ(pmis, 1);
    CHECK(rdtsc() - t0 >= 2000000);
    test("the NMI of a cycle counter ends a hang with interrupts off");
    handlers[V_NMI] = on_hang;
    apic_write(LVTPC, 0x400);
    pmis = 0;
    wrmsr(ctr(0), -1000000ul & COUNTER);
    wrmsr(ctl(0), pm.cycles | OS | USR | INT | EN);
    asm volatile("1: jmp 1b");
    CHECK_EQ(pmis, 1);
    handlers[V_NMI] = NULL;
    test("HLT stops cycles");
    apic_write(0x3e0, 0xb);
    apic_write(0x320, 0x61);
    wrmsr(ctr(0), 0);
    t0 = rdtsc();
    wrmsr(ctl(0), pm.cycles | OS | EN);
    apic_write(0x380, 50000000);
    asm volatile("sti\n hlt\n cli");
    wrmsr(ctl(0), 0);
    t = rdtsc() - t0;
    CHECK(t > 10000000);
    CHECK(rdmsr(ctr(0)) < t / 2);
    apic_write(0x320, 0x10000);
}

/* --- reading --- */
static void user_rdpmc(void *p)
{
    asm volatile("rdpmc" : : "c"(*(u32 *)p) : "eax", "edx");
    user_done();
}
static void bad_rdpmc(void *p) { asm volatile("rdpmc" : : "c"(*(u32 *)p) : "eax", "edx"); }

static void test_rdpmc(void)
{
    u32 index = 0, n;
    test("RDPMC: value");
    wrmsr(ctr(0), 0xff0123456789);
    wrmsr(ctl(0), pm.insns | OS | EN);
    asm volatile("rdpmc\n mov %%eax, %%esi\n .rept 10\n nop\n .endr\n rdpmc\n sub %%esi, %%eax" : "=a"(n) : "c"(0) : "esi", "edx", "cc");
    wrmsr(ctl(0), 0);
    CHECK_EQ(n, 12);
    test("RDPMC: privilege and index");
    CHECK_EQ(guest_try_user(user_rdpmc, &index), V_GP);
    write_cr4(read_cr4() | CR4_PCE);
    CHECK_EQ(guest_try_user(user_rdpmc, &index), USER_DONE);
    write_cr4(read_cr4() & ~CR4_PCE);
    index = pm.gp - 1;
    CHECK_EQ(guest_try(bad_rdpmc, &index), NO_TRAP);
    index = pm.gp;
    CHECK_EQ(guest_try(bad_rdpmc, &index), V_GP);
    index = 1u << 30;
    CHECK_EQ(guest_try(bad_rdpmc, &index), pm.amd ? V_GP : NO_TRAP);
    index = 1u << 31;
    CHECK_EQ(guest_try(bad_rdpmc, &index), V_GP);
}

/* --- Intel's global registers and fixed counters --- */
static void test_global(void)
{
    test("fixed counters, global control and status");
    wrmsr(0x38f, 0);
    wrmsr(0x38d, 0xbbb);
    for (unsigned i = 0; i < 3; i++)
        wrmsr(0x309 + i, 0);
    wrmsr(ctr(0), -100ul & COUNTER);
    wrmsr(ctl(0), pm.insns | OS | EN);
    k_countdown(NULL);
    CHECK_EQ(rdmsr(ctr(0)), -100ul & COUNTER);
    wrmsr(0x38d, 0x111);
    asm volatile("wrmsr\n .rept 200\n nop\n .endr\n xor %%eax, %%eax\n xor %%edx, %%edx\n wrmsr" : : "c"(0x38f), "a"(1), "d"(7) : "memory");
    CHECK_EQ(rdmsr(ctr(0)), 103);
    CHECK_EQ(rdmsr(0x309), 203);
    CHECK(rdmsr(0x30a) > 0);
    CHECK_EQ(rdmsr(0x30a), rdmsr(0x30b));
    CHECK_EQ(rdmsr(0x38e), 1);
    wrmsr(0x390, 1);
    CHECK_EQ(rdmsr(0x38e), 0);
    test("freeze on overflow");
    wrmsr(0x1d9, 1 << 12);
    wrmsr(0x38f, 0xf);
    apic_write(LVTPC, 0x10000);
    overflow(pm.insns, 50);
    CHECK_EQ(rdmsr(0x38f), 0);
    CHECK(rdmsr(ctr(0)) < 50);
    CHECK_EQ(rdmsr(0x38e), 1);
    wrmsr(0x1d9, 0);
    wrmsr(0x38f, 0xf);
    wrmsr(0x38d, 0);
}

void guest_main(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    pm.amd = r[1] == 0x68747541; /* "Auth" */
    pm.ctl = pm.amd ? 0xc0010200 : 0x186;
    pm.ctr = pm.amd ? 0xc0010201 : 0x4c1;
    pm.insns = 0xc0;
    pm.branches = pm.amd ? 0xc2 : 0xc4;
    pm.misses = pm.amd ? 0xc3 : 0xc5;
    pm.cycles = pm.amd ? 0x76 : 0x3c;
    pm.gp = pm.amd ? 6 : 4;
    pic_mask();
    test_exact();
    test_levels();
    test_interrupts();
    test_misses();
    test_overflow();
    test_cycles();
    test_rdpmc();
    if (!pm.amd)
        test_global();
}
