/* Guest: several processors. Start-up by INIT and SIPI, locked operations, TLB shootdown by IPI, code changed by another CPU, message
 * passing in x86's memory order, HLT and wake-up, NMIs around STI. */
#include "tests/lib/guest/guest.h"

#define CPUS_MAX 8
#define TRAMPOLINE 0x8000ul
extern u8 ap_code[], ap_end[];
extern u64 boot_pml4[], boot_pdpt[];
static u8 stacks[CPUS_MAX][8192] __attribute__((aligned(16)));
static volatile unsigned online, next_cpu;
static void (*volatile job)(unsigned cpu);
static volatile unsigned job_number, jobs_done;
void ap_main(void);
u64 ap_stack;

/* 16-bit code at TRAMPOLINE: into long mode with the tables of the first CPU; one AP at a time. */
asm(".code16\n"
    "ap_code: cli\n xor %ax, %ax\n mov %ax, %ds\n"
    "mov $0x620, %eax\n mov %eax, %cr4\n"
    "mov $boot_pml4, %eax\n mov %eax, %cr3\n"
    "mov $0xc0000080, %ecx\n rdmsr\n or $0x901, %eax\n wrmsr\n"
    "lgdtl 0x8000 + (3f - ap_code)\n"
    "mov $0x80010001, %eax\n mov %eax, %cr0\n"
    "ljmpl $8, $0x8000 + (2f - ap_code)\n"
    ".code64\n"
    "2: mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n"
    "mov ap_stack, %rsp\n mov $ap_main, %rax\n call *%rax\n"
    ".align 8\n"
    "4: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
    "3: .word 23\n .long 0x8000 + (4b - ap_code)\n"
    "ap_end:");

static void relax(void) { asm volatile("pause" : : : "memory"); }

void ap_main(void)
{
    unsigned me = next_cpu, done = 0;
    apic_enable();
    __atomic_fetch_add(&online, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        while (job_number == done)
            relax();
        done = job_number;
        job(me);
        __atomic_fetch_add(&jobs_done, 1, __ATOMIC_SEQ_CST);
    }
}

static void ipi(u32 apic_id, u32 command)
{
    apic_write(0x310, apic_id << 24);
    apic_write(0x300, command);
    while (apic_read(0x300) & 0x1000)
        relax();
}

static void pause_ticks(u64 n)
{
    for (u64 end = rdtsc() + n; rdtsc() < end;)
        relax();
}

static unsigned cpus; /* with the first */

static void start_aps(void)
{
    test("INIT, SIPI");
    memcpy((void *)TRAMPOLINE, ap_code, (ulong)(ap_end - ap_code));
    apic_enable();
    for (unsigned i = 1; i < cpus; i++) {
        next_cpu = i;
        ap_stack = (ulong)stacks[i] + sizeof(stacks[i]) - 8;
        ipi(i, 0x4500);
        pause_ticks(10000000);
        ipi(i, 0x4600 | TRAMPOLINE >> 12);
        u64 end = rdtsc() + 20000000000ull;
        while (online < i && rdtsc() < end)
            relax();
        CHECK_EQ(online, i);
        ipi(i, 0x4600 | TRAMPOLINE >> 12); /* a running CPU ignores it */
    }
}

/* Runs fn on all CPUs at once. */
static void on_all(void (*fn)(unsigned cpu))
{
    jobs_done = 0;
    job = fn;
    __atomic_fetch_add(&job_number, 1, __ATOMIC_SEQ_CST);
    fn(0);
    while (jobs_done < cpus - 1)
        relax();
}

/* --- locked operations --- */
#define ROUNDS 20000u
static volatile u64 counter, spin_counter;
static volatile u32 lock_word;
static volatile u64 wide[2] __attribute__((aligned(16)));
static u8 bytes[8];

static void job_count(unsigned cpu)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        asm volatile("lock incq %0" : "+m"(counter) : : "cc");
        u64 one = 1;
        asm volatile("lock xaddq %0, %1" : "+r"(one), "+m"(counter) : : "cc");
        u32 taken;
        do {
            taken = 1;
            asm volatile("xchg %0, %1" : "+r"(taken), "+m"(lock_word) : : "memory");
            if (taken)
                relax();
        } while (taken);
        spin_counter++;
        asm volatile("movl $0, %0" : "=m"(lock_word) : : "memory");
        asm volatile("lock addb $1, %0" : "+m"(bytes[cpu]) : : "cc");
    }
}

static void job_wide(unsigned cpu)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        u64 lo = wide[0], hi = wide[1];
        bool ok;
        do {
            asm volatile("lock cmpxchg16b %1" : "=@ccz"(ok), "+m"(wide), "+a"(lo), "+d"(hi) : "b"(lo + 1), "c"(hi - 1) : "memory");
        } while (!ok);
    }
}

static void test_locked(void)
{
    test("locked counters and a spin lock");
    on_all(job_count);
    CHECK_EQ(counter, 2ull * ROUNDS * cpus);
    CHECK_EQ(spin_counter, ROUNDS * cpus);
    for (unsigned i = 0; i < cpus; i++)
        CHECK_EQ(bytes[i], (u8)ROUNDS);
    test("CMPXCHG16B");
    on_all(job_wide);
    CHECK_EQ(wide[0], ROUNDS * cpus);
    CHECK_EQ(wide[1], -(u64)(ROUNDS * cpus));
}

/* --- memory order: what was written before a flag is seen after it --- */
static volatile u64 message[64];
static volatile u64 ticket;

static void job_order(unsigned cpu)
{
    if (cpu == 0) {
        for (u64 i = 1; i <= ROUNDS; i++) {
            for (unsigned k = 0; k < 64; k += 8)
                message[k] = i;
            ticket = i;
        }
        return;
    }
    u64 seen;
    do {
        seen = ticket;
        asm volatile("" : : : "memory");
        for (unsigned k = 0; k < 64; k += 8)
            if (message[k] < seen)
                check_failed(__FILE__, __LINE__, "a message older than its ticket");
    } while (seen < ROUNDS);
}

static void test_order(void)
{
    test("stores are seen in order");
    on_all(job_order);
}

/* --- TLB shootdown --- */
#define WINDOW 0x4000000000ul
static u64 *pt;
static volatile unsigned shot;
static volatile bool stop;

static void on_shootdown(struct frame *f)
{
    invlpg((void *)WINDOW);
    apic_write(0xb0, 0);
    __atomic_fetch_add(&shot, 1, __ATOMIC_SEQ_CST);
}

static volatile u64 expected;
static void job_shootdown(unsigned cpu)
{
    if (cpu) {
        idt_load();
        sti();
        while (!stop)
            if (*(volatile u64 *)WINDOW > expected)
                check_failed(__FILE__, __LINE__, "a page from the future");
        cli();
        return;
    }
    u64 *page[2] = { page_alloc(), page_alloc() };
    for (unsigned i = 1; i <= 300; i++) {
        page[i & 1][0] = i;
        expected = i;
        pt[0] = (ulong)page[i & 1] | 7;
        invlpg((void *)WINDOW);
        shot = 0;
        ipi(0, 0xc4062); /* all but self, vector 0x62 */
        while (shot < cpus - 1)
            relax();
        CHECK_EQ(*(volatile u64 *)WINDOW, i);
    }
    stop = true;
}

static void test_shootdown(void)
{
    test("TLB shootdown by IPI");
    u64 *pd = page_alloc();
    pt = page_alloc();
    pt[0] = (ulong)page_alloc() | 7;
    pd[0] = (ulong)pt | 7;
    boot_pdpt[256] = (ulong)pd | 7;
    write_cr3(read_cr3());
    handlers[0x62] = on_shootdown;
    on_all(job_shootdown);
}

/* --- code changed by another CPU --- */
static u8 *code;
static volatile u32 version, agreed;

static void job_code(unsigned cpu)
{
    if (cpu == 0) {
        for (u32 i = 1; i <= 500; i++) {
            *(volatile u32 *)(code + 1) = i;
            agreed = 0;
            version = i;
            while (agreed < cpus - 1)
                relax();
        }
        return;
    }
    for (u32 i = 1; i <= 500; i++) {
        while (version < i)
            relax();
        u32 r[4];
        cpuid(0, 0, r); /* serializes */
        u32 got = ((u32 (*)(void))(ulong)code)();
        if (got != i)
            check_equal(__FILE__, __LINE__, "other CPU's code", got, i);
        __atomic_fetch_add(&agreed, 1, __ATOMIC_SEQ_CST);
        while (version == i && agreed < cpus - 1)
            relax();
    }
}

static void test_code(void)
{
    test("code changed by another CPU");
    code = page_alloc();
    code[0] = 0xb8;
    code[5] = 0xc3;
    on_all(job_code);
}

/* --- HLT and wake-up --- */
static volatile unsigned woken, rounds;
static void on_wake(struct frame *f)
{
    apic_write(0xb0, 0);
    __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
}

static void job_halt(unsigned cpu)
{
    if (cpu) {
        while (rounds < 50)
            asm volatile("sti\n hlt\n cli" : : : "memory");
        return;
    }
    for (unsigned i = 1; i <= 50; i++) {
        unsigned before = woken;
        ipi(0, 0xc4063);
        while (woken < before + cpus - 1)
            relax();
        rounds = i;
    }
    ipi(0, 0xc4063); /* those that went back to sleep before they saw the last round */
}

static void test_halt(void)
{
    test("HLT and wake-up by IPI");
    handlers[0x63] = on_wake;
    on_all(job_halt);
    CHECK(woken >= 50 * (cpus - 1));
}

/* --- MONITOR and MWAIT --- */
static struct {
    volatile u64 turn;
    u8 pad[120];
} mailbox[CPUS_MAX] __attribute__((aligned(64)));

/* Each waits for its own line and then writes the next one's. */
static void job_mwait(unsigned cpu)
{
    for (u64 i = 1; i <= 200; i++) {
        if (cpu || i > 1) {
            u64 want = cpu ? i : i - 1;
            while (mailbox[cpu].turn < want) {
                asm volatile("monitor" : : "a"(&mailbox[cpu]), "c"(0), "d"(0) : "memory");
                if (mailbox[cpu].turn < want)
                    asm volatile("mwait" : : "a"(0), "c"(0) : "memory");
            }
        }
        mailbox[(cpu + 1) % cpus].turn = i;
    }
}

static void test_mwait(void)
{
    test("MONITOR and MWAIT pass a token round");
    if (!cpu_has(1, 2, 3)) {
        skip("not offered");
        return;
    }
    on_all(job_mwait);
    for (unsigned i = 0; i < cpus; i++)
        CHECK_EQ(mailbox[i].turn, 200);
    test("MWAIT wakes for an interrupt that is masked");
    asm volatile("monitor" : : "a"(&mailbox[0]), "c"(0), "d"(0) : "memory");
    woken = 0;
    ipi(0, 0x44063); /* self */
    u64 start = rdtsc();
    asm volatile("mwait" : : "a"(0), "c"(1) : "memory");
    CHECK(rdtsc() - start < 1000000000);
    CHECK_EQ(woken, 0);
    sti();
    asm volatile("nop");
    cli();
    CHECK_EQ(woken, 1);
}

static unsigned count_cpus(void)
{
    u32 r[4];
    cpuid(1, 0, r);
    unsigned n = r[1] >> 16 & 0xff;
    return n < 2 ? 2 : n > CPUS_MAX ? CPUS_MAX : n;
}

/* --- NMIs from another CPU and the shadow of STI, with an instruction in it that emitted code hands over --- */
#define NMIS 2000
extern u8 behind_sti[];
static volatile unsigned nmis, nmis_in_shadow;

static void on_nmi(struct frame *f)
{
    nmis_in_shadow += f->ip == (ulong)behind_sti;
    nmis++;
}

static void job_shadow(unsigned cpu)
{
    if (cpu == 1) {
        while (nmis < NMIS)
            asm volatile("sti\n behind_sti: mov 0xfee00020, %%eax\n nop\n cli" : : : "eax", "memory");
    } else if (cpu == 0) {
        for (unsigned i = 0; i < NMIS; i++) {
            ipi(1, 0x4400);
            while (nmis <= i)
                relax();
        }
    }
}

static void test_shadow(void)
{
    test("no NMI in the shadow of STI");
    handlers[V_NMI] = on_nmi;
    on_all(job_shadow);
    CHECK_EQ(nmis, NMIS);
    CHECK_EQ(nmis_in_shadow, 0);
    handlers[V_NMI] = NULL;
}

void guest_main(void)
{
    cpus = count_cpus();
    start_aps();
    test_locked();
    test_order();
    test_shootdown();
    test_code();
    test_halt();
    test_mwait();
    test_shadow();
}
