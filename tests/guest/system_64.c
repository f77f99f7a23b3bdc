/* Guest: system registers and instructions in 64-bit mode. SYSENTER, SWAPGS, FSGSBASE, UMIP, MSRs, time stamp counters, x2APIC, I/O APIC,
 * MONITOR/MWAIT, kvmclock, 5-level paging, leaving long mode and coming back. */
#include "tests/lib/guest/guest.h"

#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

/* --- SYSENTER --- */
extern u8 sysenter_entry[], sysenter_back[];
u64 sysenter_sp, sysenter_cs;
asm("sysenter_entry: mov %rsp, sysenter_sp(%rip)\n mov %cs, %eax\n mov %rax, sysenter_cs(%rip)\n"
    "mov $sysenter_back, %edx\n mov %rbp, %rcx\n sysexitq"); /* back to 64-bit code */
static void user_sysenter(void *p)
{
    u32 cs;
    asm volatile("push %%rbp\n mov %%rsp, %%rbp\n sysenter\n sysenter_back: pop %%rbp\n mov %%cs, %0" : "=r"(cs) : : "rax", "rcx", "rdx", "memory");
    CHECK_EQ(cs & 3, 3);
    user_done();
}

static void test_sysenter(void)
{
    test("SYSENTER and SYSEXIT");
    /* CS, SS, (32-bit CS, SS), 64-bit CS, SS in a row */
    unsigned base = 0x100;
    gdt[base / 8] = gdt[K_CODE / 8];
    gdt[base / 8 + 1] = gdt[K_DATA / 8];
    gdt[base / 8 + 2] = gdt[U_CODE32 / 8];
    gdt[base / 8 + 3] = gdt[U_DATA / 8];
    gdt[base / 8 + 4] = gdt[U_CODE / 8];
    gdt[base / 8 + 5] = gdt[U_DATA / 8];
    wrmsr(0x174, 0);
    wrmsr(0x175, 0x123450);
    wrmsr(0x176, (ulong)sysenter_entry);
    u32 r[4];
    cpuid(0, 0, r);
    if (r[2] == 0x444d4163) { /* AuthenticAMD: not in long mode */
        CHECK_EQ(guest_try_user(user_sysenter, NULL), V_UD);
        return;
    }
    CHECK_EQ(guest_try_user(user_sysenter, NULL), V_GP); /* null CS */
    wrmsr(0x174, base);
    CHECK_EQ(guest_try_user(user_sysenter, NULL), USER_DONE);
    CHECK_EQ(sysenter_sp, 0x123450);
    CHECK_EQ(sysenter_cs, base);
    CHECK_EQ(trap.f.cs, base + 32 + 3);
}

/* --- segment bases --- */
static void rdfs(void *p) { asm volatile("rdfsbase %%rax" : : : "rax"); }
static void wrgs_bad(void *p) { asm volatile("wrgsbase %0" : : "r"(1ul << 50)); }
static void user_swapgs(void *p) { asm volatile("swapgs"); }

static void test_bases(void)
{
    static u64 a = 0xaaaa, b = 0xbbbb;
    u64 v;
    test("FS and GS bases, SWAPGS");
    wrmsr(MSR_GS_BASE, (ulong)&a);
    wrmsr(MSR_KERNEL_GS, (ulong)&b);
    asm volatile("mov %%gs:0, %0" : "=r"(v));
    CHECK_EQ(v, 0xaaaa);
    asm volatile("swapgs\n mov %%gs:0, %0" : "=r"(v));
    CHECK_EQ(v, 0xbbbb);
    CHECK_EQ(rdmsr(MSR_KERNEL_GS), (ulong)&a);
    CHECK_EQ(guest_try_user(user_swapgs, NULL), V_GP);
    asm volatile("mov %0, %%gs" : : "r"(K_DATA)); /* a load clears the base */
    CHECK_EQ(rdmsr(MSR_GS_BASE), 0);
    wrmsr(MSR_FS_BASE, 0x1000);
    wrmsr(MSR_GS_BASE, (ulong)&a - 0x100000000);
    asm volatile("mov %%gs:(%1), %0" : "=r"(v) : "r"(0x100000000));
    CHECK_EQ(v, 0xaaaa);
    test("FSGSBASE instructions");
    if (cpu_has(7, 1, 0)) {
        CHECK_EQ(guest_try(rdfs, NULL), V_UD);
        write_cr4(read_cr4() | CR4_FSGSBASE);
        asm volatile("rdfsbase %0" : "=r"(v));
        CHECK_EQ(v, 0x1000);
        asm volatile("wrgsbase %0" : : "r"(&b));
        asm volatile("mov %%gs:0, %0" : "=r"(v));
        CHECK_EQ(v, 0xbbbb);
        CHECK_EQ(guest_try(wrgs_bad, NULL), V_GP);
        write_cr4(read_cr4() & ~CR4_FSGSBASE);
    } else {
        skip("not offered");
    }
}

/* --- UMIP and friends --- */
static void user_sgdt(void *p)
{
    u8 t[10];
    asm volatile("sgdt %0" : "=m"(t));
    user_done();
}
static void user_smsw(void *p)
{
    asm volatile("smsw %%rax" : : : "rax");
    user_done();
}
static void user_rdtsc(void *p)
{
    rdtsc();
    user_done();
}
static void user_rdpmc(void *p)
{
    asm volatile("rdpmc" : : "c"(0) : "eax", "edx");
    user_done();
}

static void test_user_rights(void)
{
    test("UMIP, TSD, PCE");
    CHECK_EQ(guest_try_user(user_sgdt, NULL), USER_DONE);
    CHECK_EQ(guest_try_user(user_smsw, NULL), USER_DONE);
    if (cpu_has(7, 2, 2)) {
        write_cr4(read_cr4() | CR4_UMIP);
        CHECK_EQ(guest_try_user(user_sgdt, NULL), V_GP);
        CHECK_EQ(guest_try_user(user_smsw, NULL), V_GP);
        write_cr4(read_cr4() & ~CR4_UMIP);
    }
    CHECK_EQ(guest_try_user(user_rdtsc, NULL), USER_DONE);
    write_cr4(read_cr4() | 4);
    CHECK_EQ(guest_try_user(user_rdtsc, NULL), V_GP);
    rdtsc();
    write_cr4(read_cr4() & ~4ul);
    CHECK_EQ(guest_try_user(user_rdpmc, NULL), V_GP);
}

/* --- time --- */
static void test_time(void)
{
    test("TSC: monotonic, writable, adjusted");
    u64 a = rdtsc(), b;
    for (unsigned i = 0; i < 10000; i++) {
        b = rdtsc();
        if (b < a)
            check_failed(__FILE__, __LINE__, "the TSC went back");
        a = b;
    }
    wrmsr(0x10, 1ull << 40);
    b = rdtsc();
    CHECK(b >= 1ull << 40 && b < (1ull << 40) + 10000000000ull);
    if (cpu_has(7, 1, 1)) {
        u64 adjust = rdmsr(0x3b);
        wrmsr(0x3b, adjust + (1ull << 41));
        CHECK(rdtsc() >= (1ull << 40) + (1ull << 41));
        wrmsr(0x3b, 0);
    }
    test("RDTSCP and RDPID");
    if (!cpu_has(0x80000001, 3, 27)) {
        skip("not offered");
        return;
    }
    u32 aux = 0;
    wrmsr(MSR_TSC_AUX, 0x1234);
    asm volatile("rdtscp" : "=c"(aux) : : "eax", "edx");
    CHECK_EQ(aux, 0x1234);
    if (cpu_has(7, 2, 22)) {
        ulong pid;
        asm volatile("rdpid %0" : "=r"(pid));
        CHECK_EQ(pid, 0x1234);
    }
}

/* --- x2APIC, I/O APIC --- */
static unsigned irqs;
static bool x2;
static void on_irq(struct frame *f)
{
    irqs++;
    if (x2)
        wrmsr(0x80b, 0);
    else
        apic_write(0xb0, 0);
}
static void read_x2apic(void *p) { rdmsr(0x802); }
static void write_id(void *p) { wrmsr(0x802, 5); }
static void to_xapic(void *p) { wrmsr(0x1b, (rdmsr(0x1b) & ~0x400ull) | 0x800); }

static u32 ioapic_read(u32 reg)
{
    *(volatile u32 *)0xfec00000ul = reg;
    return *(volatile u32 *)0xfec00010ul;
}
static void ioapic_write(u32 reg, u32 v)
{
    *(volatile u32 *)0xfec00000ul = reg;
    *(volatile u32 *)0xfec00010ul = v;
}

static void test_ioapic(void)
{
    test("I/O APIC: the PIT on pin 2");
    apic_enable();
    handlers[0x62] = on_irq;
    irqs = 0;
    CHECK_EQ(ioapic_read(1) >> 16 & 0xff, 23);
    ioapic_write(0x10 + 2 * 2 + 1, 0);
    ioapic_write(0x10 + 2 * 2, 0x62);
    outb(0x43, 0x34);
    outb(0x40, 0xa9);
    outb(0x40, 0x04);
    sti();
    for (u64 end = rdtsc() + 20000000000ull; irqs < 3 && rdtsc() < end;)
        asm volatile("pause");
    cli();
    CHECK(irqs >= 3);
    ioapic_write(0x10 + 2 * 2, 0x10000);
}

static void test_x2apic(void)
{
    test("x2APIC");
    if (!cpu_has(1, 2, 21)) {
        skip("not offered");
        return;
    }
    CHECK_EQ(guest_try(read_x2apic, NULL), V_GP);
    wrmsr(0x1b, rdmsr(0x1b) | 0xc00);
    x2 = true;
    CHECK_EQ(rdmsr(0x802), 0);
    CHECK_EQ(guest_try(write_id, NULL), V_GP);
    CHECK_EQ(guest_try(to_xapic, NULL), V_GP); /* only by way of disabled */
    irqs = 0;
    wrmsr(0x83f, 0x62); /* self-IPI */
    sti();
    asm volatile("nop");
    cli();
    CHECK_EQ(irqs, 1);
    wrmsr(0x830, 0x40062); /* the whole ICR at once */
    sti();
    asm volatile("nop");
    cli();
    CHECK_EQ(irqs, 2);
    wrmsr(0x1b, rdmsr(0x1b) & ~0xc00ull);
    wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    x2 = false;
    CHECK_EQ(apic_read(0x20) >> 24, 0);
}

/* --- MSRs --- */
static void bad_pat(void *p) { wrmsr(0x277, 0x0707070707070702); }
static void bad_efer(void *p) { wrmsr(0xc0000080, rdmsr(0xc0000080) | 1ull << 40); }
static void no_lme(void *p) { wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x100ull); }
static void bad_star(void *p) { wrmsr(0xc0000082, 1ull << 50); }

static void test_msrs(void)
{
    test("MSRs: values that are refused");
    CHECK_EQ(rdmsr(0x277), 0x0007040600070406);
    CHECK_EQ(guest_try(bad_pat, NULL), V_GP);
    CHECK_EQ(guest_try(bad_efer, NULL), V_GP);
    CHECK_EQ(guest_try(no_lme, NULL), V_GP);
    CHECK_EQ(guest_try(bad_star, NULL), V_GP);
    CHECK_EQ(rdmsr(0xc0000080) & 0x500, 0x500);
    wrmsr(0x277, 0x0707070707070706);
    CHECK_EQ(rdmsr(0x277), 0x0707070707070706);
    wrmsr(0x277, 0x0007040600070406);
}

/* --- kvmclock --- */
struct pvti { /* Documentation of the KVM paravirtual clock: MSR 0x4b564d01 */
    volatile u32 version;
    u32 pad;
    volatile u64 tsc, ns;
    volatile u32 mul;
    volatile signed char shift;
    volatile u8 flags;
    u8 pad2[2];
};
static struct pvti clock_page __attribute__((aligned(64)));

static u64 clock_ns(void)
{
    u32 v;
    u64 ns;
    do {
        v = clock_page.version;
        asm volatile("lfence" : : : "memory");
        u64 d = rdtsc() - clock_page.tsc;
        d = clock_page.shift < 0 ? d >> -clock_page.shift : d << clock_page.shift;
        ns = clock_page.ns + (u64)((unsigned __int128)d * clock_page.mul >> 32);
        asm volatile("lfence" : : : "memory");
    } while ((v & 1) || v != clock_page.version);
    return ns;
}

static void test_kvmclock(void)
{
    u32 r[4];
    test("kvmclock against the PIT");
    cpuid(0x40000000, 0, r);
    if (r[1] != 0x4b4d564b) { /* KVMK */
        skip("not offered");
        return;
    }
    wrmsr(0x4b564d01, (ulong)&clock_page | 1);
    CHECK(clock_page.version && !(clock_page.version & 1));
    CHECK(clock_page.mul);
    outb(0x61, (inb(0x61) & ~2) | 1); /* channel 2 gate on, speaker off */
    outb(0x43, 0xb0);                  /* mode 0 */
    outb(0x42, 0x9b);                  /* 11931 ticks: 10 ms */
    outb(0x42, 0x2e);
    u64 start = clock_ns();
    while (!(inb(0x61) & 0x20))
        asm volatile("pause");
    u64 ns = clock_ns() - start;
    CHECK(ns > 9000000);
    CHECK(ns < 2000000000); /* a busy host may be late */
    wrmsr(0x4b564d01, 0);
}

/* --- out of long mode and back: to 32-bit protected mode with paging off --- */
extern u8 leave_code[];
u32 leave_seen, leave_table;
asm(".code32\n"
    "leave_code:\n"
    "mov %cr0, %eax\n and $0x7fffffff, %eax\n mov %eax, %cr0\n" /* PG off: LMA goes */
    "mov $0xc0000080, %ecx\n rdmsr\n mov %eax, leave_seen\n"
    "mov leave_table, %eax\n mov %eax, %cr3\n"
    "mov %cr4, %eax\n xor %ebx, %eax\n mov %eax, %cr4\n"         /* EBX: bits to change while paging is off */
    "mov %cr0, %eax\n or $0x80000000, %eax\n mov %eax, %cr0\n"
    "pushl $8\n pushl %esi\n lret\n"
    ".code64");

/* Calls leave_code in compatibility mode on a stack below 4 GiB; it comes back in 64-bit mode. */
static void leave_and_return(ulong cr4_change, ulong table)
{
    static struct { u32 ip; u16 cs; } __attribute__((packed)) far;
    far.ip = (u32)(ulong)leave_code;
    far.cs = K_CODE32;
    leave_table = (u32)table;
    asm volatile("mov %0, %%ds\n mov %0, %%ss" : : "r"(K_DATA)); /* null after user mode */
    asm volatile("push %%rbp\n mov $1f, %%esi\n mov %%rsp, %%rdi\n ljmp *%0\n 1: mov %%rdi, %%rsp\n pop %%rbp"
                 : : "m"(far), "b"(cr4_change) : "rax", "rcx", "rdx", "rsi", "rdi", "memory", "cc");
}

extern u64 boot_pml4[];
static void toggle_la57(void *p) { write_cr4(read_cr4() ^ 1ul << 12); }

static void test_long_mode(void)
{
    test("leaving long mode and coming back");
    leave_and_return(0, (ulong)boot_pml4);
    CHECK_EQ(leave_seen & 0x500, 0x100);
    CHECK_EQ(rdmsr(0xc0000080) & 0x500, 0x500);
    test("5-level paging");
    if (!cpu_has(7, 2, 16)) {
        skip("not offered");
        return;
    }
    CHECK_EQ(guest_try(toggle_la57, NULL), V_GP); /* not while in long mode */
    u64 *pml5 = page_alloc();
    pml5[0] = (ulong)boot_pml4 | 7;
    pml5[1] = (ulong)boot_pml4 | 7; /* the same 256 TiB again */
    leave_and_return(1ul << 12, (ulong)pml5);
    CHECK_EQ(read_cr4() >> 12 & 1, 1);
    volatile u64 *high = (void *)((1ul << 48) + (ulong)&leave_seen);
    *(volatile u32 *)&leave_seen = 0x4711;
    CHECK_EQ((u32)*high, 0x4711);
    leave_and_return(1ul << 12, (ulong)boot_pml4);
    CHECK_EQ(read_cr4() >> 12 & 1, 0);
}

void guest_main(void)
{
    test_sysenter();
    test_bases();
    test_user_rights();
    test_time();
    test_ioapic();
    test_x2apic();
    test_msrs();
    test_kvmclock();
    test_long_mode();
}
