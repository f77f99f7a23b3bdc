/* Guest: exceptions, interrupts, debug registers, system calls in 64-bit mode. Every fault that an instruction can raise, IST stacks,
 * STI and MOV SS shadows, single-step, breakpoints, local APIC timer and self-IPIs, PIT through the 8259, SYSCALL and SYSRET. */
#include "tests/lib/guest/guest.h"

/* --- faults --- */
static void div_zero(void *p) { asm volatile("xor %%ecx, %%ecx\n div %%ecx" : : : "eax", "ecx", "edx"); }
static void div_overflow(void *p) { asm volatile("mov $2, %%edx\n mov $2, %%ecx\n div %%ecx" : : : "eax", "ecx", "edx"); }
static void ud2(void *p) { asm volatile("ud2"); }
static void int3(void *p) { asm volatile("int3"); }
static void int_dpl0(void *p) { asm volatile("int $0x41"); }
static void user_cli(void *p) { asm volatile("cli"); }
static void user_hlt(void *p) { asm volatile("hlt"); }
static void user_in(void *p) { asm volatile("in $0x60, %%al" : : : "eax"); }
static void user_cr(void *p) { asm volatile("mov %%cr0, %%rax" : : : "rax"); }
static void user_iopl(void *p)
{
    ulong f = read_flags();
    write_flags(f | 0x3000);
    CHECK_EQ(read_flags() & 0x3000, f & 0x3000); /* silently kept */
    user_done();
}
static void bad_msr(void *p) { rdmsr(0x12345678); }
static void bad_cr4(void *p) { write_cr4(read_cr4() | 1ul << 31); }
static void bad_cr0(void *p) { write_cr0(read_cr0() & ~1ul); /* PG without PE */ }
static void bad_ds(void *p) { asm volatile("mov %0, %%ds" : : "r"(0x1f8)); }
static void bad_ss(void *p) { asm volatile("mov %0, %%ss" : : "r"(0)); }
static void lock_bad(void *p) { asm volatile(".byte 0xf0, 0x90"); }
static void push_es(void *p) { asm volatile(".byte 0x06"); }
static void far_bad(void *p) { asm volatile("pushq $0x1f8\n push $0\n lretq"); }
static void cmpxchg16_odd(void *p) { asm volatile("cmpxchg16b 8(%0)" : : "r"((ulong)p & ~15ul) : "rax", "rdx", "cc", "memory"); }
static void unaligned(void *p) { asm volatile("movaps (%0), %%xmm0" : : "r"((ulong)p | 1)); }
static void iret_bad(void *p) { asm volatile("pushq $0x10\n push %%rsp\n pushf\n pushq $0x1f8\n pushq $0\n iretq" : : : "memory"); }

static void test_faults(void)
{
    static u64 buf[4] __attribute__((aligned(16)));
    static const struct {
        const char *name;
        void (*fn)(void *);
        bool user;
        int vector;
        ulong error;
    } t[] = {
        { "division by zero", div_zero, false, V_DE, 0 },
        { "division overflow", div_overflow, true, V_DE, 0 },
        { "UD2", ud2, false, V_UD, 0 },
        { "LOCK NOP", lock_bad, false, V_UD, 0 },
        { "PUSH ES", push_es, false, V_UD, 0 },
        { "INT3", int3, true, V_BP, 0 },
        { "INT n with DPL 0", int_dpl0, true, V_GP, 0x41 * 8 + 2 },
        { "CLI", user_cli, true, V_GP, 0 },
        { "HLT", user_hlt, true, V_GP, 0 },
        { "IN", user_in, true, V_GP, 0 },
        { "MOV from CR", user_cr, true, V_GP, 0 },
        { "IOPL", user_iopl, true, USER_DONE, 0 },
        { "unknown MSR", bad_msr, false, V_GP, 0 },
        { "reserved CR4 bit", bad_cr4, false, V_GP, 0 },
        { "PG without PE", bad_cr0, false, V_GP, 0 },
        { "selector beyond the GDT", bad_ds, false, V_GP, 0 /* the GDT ends at 0x200 */ },
        { "null SS in user mode", bad_ss, true, V_GP, 0 },
        { "far return beyond the GDT", far_bad, false, V_GP, 0 },
        { "IRET to a missing segment", iret_bad, false, V_GP, 0 },
        { "CMPXCHG16B misaligned", cmpxchg16_odd, false, V_GP, 0 },
        { "MOVAPS misaligned", unaligned, false, V_GP, 0 },
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        test(t[i].name);
        int v = t[i].user ? guest_try_user(t[i].fn, buf) : guest_try(t[i].fn, buf);
        CHECK_EQ(v, t[i].vector);
        bool selector = t[i].fn == bad_ds || t[i].fn == far_bad || t[i].fn == iret_bad;
        if (v == t[i].vector && v != USER_DONE)
            CHECK_EQ(trap.f.error, selector ? 0x1f8 : t[i].error);
    }
}

/* --- single-step and breakpoints --- */
static volatile unsigned db_count;
static ulong db_ip[16], db_dr6[16];

static void on_db(struct frame *f)
{
    if (db_count < 16) {
        db_ip[db_count] = f->ip;
        db_dr6[db_count] = read_dr6();
    }
    db_count++;
    write_dr6(0xffff0ff0);
    if (db_count >= 16)
        f->flags &= ~FL_TF;
    f->flags |= FL_RF;
}

extern u8 step_0[], step_1[], step_2[], step_ss[], step_3[], step_rep[], step_end[];
static u8 rep_to[4], rep_from[4] = { 1, 2, 3, 4 };

static void test_step(void)
{
    test("single-step: instructions, MOV SS, REP");
    db_count = 0;
    handlers[V_DB] = on_db;
    ulong di = (ulong)rep_to, si = (ulong)rep_from, cx = 3;
    asm volatile("pushf\n orl $0x100, (%%rsp)\n popf\n"
                 "step_0: nop\n"
                 "step_1: mov %%ss, %%eax\n"
                 "step_2: mov %%eax, %%ss\n"
                 "step_ss: nop\n"
                 "step_3: nop\n"
                 "step_rep: rep movsb\n"
                 "pushf\n andl $~0x100, (%%rsp)\n popf\n"
                 "step_end:" : "+D"(di), "+S"(si), "+c"(cx) : : "eax", "memory", "cc");
    handlers[V_DB] = NULL;
    const ulong want[] = { (ulong)step_1, (ulong)step_2, (ulong)step_3, (ulong)step_rep, (ulong)step_rep, (ulong)step_rep };
    CHECK(db_count >= 9);
    for (unsigned i = 0; i < 6; i++) {
        CHECK_EQ(db_ip[i], want[i]);
        CHECK_EQ(db_dr6[i] & 0xe00f, 0x4000);
    }
    CHECK_EQ(rep_to[2], 3);
    CHECK_EQ(cx, 0);
    CHECK_EQ(db_ip[db_count - 1], (ulong)step_end);
}

static volatile u32 watched[4];
extern u8 bp_here[], bp_next[];

static void test_breakpoints(void)
{
    test("instruction breakpoint");
    handlers[V_DB] = on_db;
    db_count = 0;
    write_dr0((ulong)bp_here);
    write_dr7(0x402);
    asm volatile("nop\n bp_here: nop\n bp_next: nop");
    CHECK_EQ(db_count, 1);
    CHECK_EQ(db_ip[0], (ulong)bp_here);
    CHECK_EQ(db_dr6[0] & 0xe00f, 1);
    write_dr7(0x400);
    test("data breakpoints");
    db_count = 0;
    write_dr1((ulong)&watched[1]);
    write_dr2((ulong)&watched[2]);
    write_dr7(0x400 | 1 << 3 | 1 << 5 | 0xdul << 20 | 0xful << 24); /* DR1: writes; DR2: reads and writes; 4 bytes each */
    (void)watched[1];
    CHECK_EQ(db_count, 0);
    watched[0] = 1;
    CHECK_EQ(db_count, 0);
    watched[1] = 1;
    CHECK_EQ(db_count, 1);
    CHECK_EQ(db_dr6[0] & 0xf, 2);
    (void)watched[2];
    CHECK_EQ(db_count, 2);
    CHECK_EQ(db_dr6[1] & 0xf, 4);
    *(volatile u8 *)((ulong)&watched[2] + 3) = 1;
    CHECK_EQ(db_count, 3);
    *(volatile u64 *)&watched[0] = 5; /* covers watched[1] */
    CHECK_EQ(db_count, 4);
    write_dr7(0x400);
    watched[1] = 2;
    CHECK_EQ(db_count, 4);
    test("general detect");
    db_count = 0;
    write_dr7(0x400 | 1 << 13);
    CHECK_EQ(guest_try((void (*)(void *))(void *)read_dr7, NULL), NO_TRAP); /* the handler's own accesses come after GD is cleared */
    CHECK(db_count >= 1);
    CHECK_EQ(db_dr6[0] & 0x2000, 0x2000);
    write_dr7(0x400);
    handlers[V_DB] = NULL;
    test("I/O breakpoint");
    handlers[V_DB] = on_db;
    db_count = 0;
    write_cr4(read_cr4() | CR4_DE);
    write_dr3(0x80);
    write_dr7(0x400 | 1 << 7 | 0x2ul << 28);
    outb(0x80, 1);
    CHECK_EQ(db_count, 1);
    CHECK_EQ(db_dr6[0] & 0xf, 8);
    write_dr7(0x400);
    write_cr4(read_cr4() & ~CR4_DE);
    handlers[V_DB] = NULL;
}

static void user_unaligned(void *p)
{
    write_flags(read_flags() | FL_AC);
    *(volatile u32 *)((ulong)p + 2) = 1;
    user_done();
}

static void test_alignment(void)
{
    static u64 buf[2];
    test("alignment check");
    CHECK_EQ(guest_try_user(user_unaligned, buf), USER_DONE);
    write_cr0(read_cr0() | CR0_AM);
    CHECK_EQ(guest_try_user(user_unaligned, buf), V_AC);
    CHECK_EQ(trap.f.error, 0);
    CHECK_EQ(guest_try_user(user_unaligned, (void *)((ulong)buf + 2)), USER_DONE);
    write_cr0(read_cr0() & ~CR0_AM);
}

/* --- stacks and gates --- */
static ulong seen_sp;
static void on_ist(struct frame *f) { seen_sp = (ulong)f; f->ip += 2; }

static void test_ist(void)
{
    static u8 stack[4096] __attribute__((aligned(16)));
    test("IST stack");
    main_tss.ist[0] = (ulong)stack + sizeof(stack);
    idt_set(V_UD, idt_stub(V_UD), 0, 1, 0xe);
    handlers[V_UD] = on_ist;
    asm volatile("ud2");
    CHECK(seen_sp > (ulong)stack && seen_sp < (ulong)stack + sizeof(stack));
    idt_set(V_UD, idt_stub(V_UD), 0, 0, 0xe);
    handlers[V_UD] = NULL;
}

static void nop_call(void *p) { asm volatile("int $0x50"); }
static volatile ulong gate_flags;
static void on_gate(struct frame *f) { gate_flags = read_flags(); }

static void test_gates(void)
{
    test("interrupt and trap gates, missing gates");
    handlers[0x50] = on_gate;
    sti();
    asm volatile("int $0x50");
    CHECK(!(gate_flags & FL_IF));
    CHECK(read_flags() & FL_IF);
    idt_set(0x50, idt_stub(0x50), 0, 0, 0xf);
    asm volatile("int $0x50");
    CHECK(gate_flags & FL_IF);
    cli();
    handlers[0x50] = NULL;
    idt_set(0x50, idt_stub(0x50), 0, 0, 0x5);
    CHECK_EQ(guest_try(nop_call, NULL), V_GP);
    CHECK_EQ(trap.f.error, 0x50 * 8 + 2);
    idt_set(0x50, (void *)(1ul << 50), 0, 0, 0xe);
    CHECK_EQ(guest_try(nop_call, NULL), V_GP);
    idt_set(0x50, idt_stub(0x50), 0, 0, 0xe);
}

/* Page fault while delivering a page fault: #DF on its own stack. */
static void test_double_fault(void)
{
    static u8 stack[4096] __attribute__((aligned(16)));
    test("double fault");
    main_tss.ist[1] = (ulong)stack + sizeof(stack);
    main_tss.ist[2] = 0x4100000000; /* not mapped */
    idt_set(V_DF, idt_stub(V_DF), 0, 2, 0xe);
    idt_set(V_PF, idt_stub(V_PF), 0, 3, 0xe);
    CHECK_EQ(guest_try((void (*)(void *))0x4000000000, NULL), V_DF);
    CHECK_EQ(trap.f.error, 0);
    idt_set(V_PF, idt_stub(V_PF), 0, 0, 0xe);
}

/* --- interrupts --- */
static volatile unsigned irqs;
static volatile ulong irq_ip;
static void on_apic(struct frame *f)
{
    irqs++;
    irq_ip = f->ip;
    apic_write(0xb0, 0);
}
static void on_pic(struct frame *f)
{
    irqs++;
    outb(0x20, 0x20);
}

static void wait_irqs(unsigned n)
{
    sti();
    while (irqs < n)
        asm volatile("pause");
    cli();
}

extern u8 shadow_next[];

static void test_apic(void)
{
    test("local APIC: self-IPI, priority, EOI");
    apic_enable();
    handlers[0x60] = handlers[0x70] = on_apic;
    irqs = 0;
    apic_write(0x300, 0x40060); /* to self, vector 0x60 */
    CHECK_EQ(irqs, 0);
    CHECK_EQ(apic_read(0x230) & 1, 1); /* IRR, vectors 0x60..0x7f */
    sti();
    asm volatile("nop");
    cli();
    CHECK_EQ(irqs, 1);
    asm volatile("mov %0, %%cr8" : : "r"(7ul)); /* classes 0..7 wait */
    apic_write(0x300, 0x40070);
    sti();
    asm volatile("nop\n nop");
    CHECK_EQ(irqs, 1);
    asm volatile("mov %0, %%cr8" : : "r"(0ul));
    asm volatile("nop");
    cli();
    CHECK_EQ(irqs, 2);
    test("STI shadow");
    irqs = 0;
    apic_write(0x300, 0x40060);
    asm volatile("sti\n nop\n shadow_next: nop\n cli" : : : "memory");
    CHECK_EQ(irqs, 1);
    CHECK_EQ(irq_ip, (ulong)shadow_next);
    apic_write(0x300, 0x40060);
    asm volatile("sti\n cli" : : : "memory"); /* never open */
    CHECK_EQ(irqs, 1);
    wait_irqs(2);
}

static void test_timer(void)
{
    test("APIC timer: one-shot, periodic, HLT");
    handlers[0x61] = on_apic;
    irqs = 0;
    apic_write(0x3e0, 0xb); /* divide by 1 */
    apic_write(0x320, 0x61);
    apic_write(0x380, 100000);
    sti();
    asm volatile("hlt");
    cli();
    CHECK_EQ(irqs, 1);
    CHECK_EQ(apic_read(0x390), 0);
    apic_write(0x320, 0x20061);
    apic_write(0x380, 1000000);
    wait_irqs(5);
    apic_write(0x320, 0x10061);
    apic_write(0x380, 0);
    sti();
    asm volatile("nop"); /* one more that had come by then */
    cli();
    test("TSC deadline");
    if (!cpu_has(1, 2, 24)) {
        skip("not offered");
    } else {
        irqs = 0;
        apic_write(0x320, 0x40061);
        u64 at = rdtsc() + 2000000;
        wrmsr(0x6e0, at);
        wait_irqs(1);
        CHECK(rdtsc() >= at);
        CHECK_EQ(rdmsr(0x6e0), 0);
        apic_write(0x320, 0x10061);
    }
    test("PIT through the 8259");
    handlers[0x20] = on_pic;
    irqs = 0;
    outb(0x43, 0x34);
    outb(0x40, 0xa9); /* 1193 ticks: 1 kHz */
    outb(0x40, 0x04);
    outb(0x21, 0xfe);
    wait_irqs(3);
    outb(0x21, 0xff);
}

static volatile bool nmi_seen;
static void on_nmi(struct frame *f) { nmi_seen = true; }

static void test_nmi(void)
{
    test("NMI with interrupts off");
    handlers[V_NMI] = on_nmi;
    apic_write(0x310, apic_read(0x20) & 0xff000000);
    apic_write(0x300, 0x4400);
    for (unsigned i = 0; i < 1000000 && !nmi_seen; i++)
        asm volatile("pause");
    CHECK(nmi_seen);
    handlers[V_NMI] = NULL;
}

/* --- SYSCALL --- */
extern u8 syscall_entry[], syscall_back[];
asm("syscall_entry:\n"
    "mov %r11, syscall_r11(%rip)\n"
    "mov %cs, %eax\n mov %eax, syscall_cs(%rip)\n mov %ss, %eax\n mov %eax, syscall_cs+4(%rip)\n"
    "pushf\n pop %rax\n mov %rax, syscall_flags(%rip)\n"
    "sysretq");
u64 syscall_r11, syscall_flags;
u32 syscall_cs[2];
static void user_syscall(void *p)
{
    asm volatile("stc\n syscall\n syscall_back:" : : : "rax", "rcx", "r11", "memory", "cc");
    u32 cs;
    asm volatile("mov %%cs, %0" : "=r"(cs));
    CHECK_EQ(cs, U_CODE);
    user_done();
}

/* SYSCALL with TF: masked away, so no trap in the kernel; SYSRET brings it back and traps before the next instruction. */
extern u8 syscall_tf_back[];
static void user_syscall_tf(void *p)
{
    asm volatile("pushf\n orl $0x100, (%%rsp)\n popf\n syscall\n syscall_tf_back: nop" : : : "rax", "rcx", "r11", "memory", "cc");
    user_done();
}

static ulong sysret_db_cs;
static void on_db_sysret(struct frame *f)
{
    on_db(f);
    sysret_db_cs = f->cs;
    f->flags &= ~FL_TF;
}

static void test_syscall_tf(void)
{
    test("SYSRET that sets TF");
    wrmsr(0xc0000084, FL_TF | FL_IF | FL_DF);
    handlers[V_DB] = on_db_sysret;
    db_count = 0;
    CHECK_EQ(guest_try_user(user_syscall_tf, NULL), USER_DONE);
    handlers[V_DB] = NULL;
    CHECK_EQ(db_count, 1);
    CHECK_EQ(db_ip[0], (ulong)syscall_tf_back);
    CHECK_EQ(sysret_db_cs, U_CODE);
}

static void test_syscall(void)
{
    test("SYSCALL and SYSRET");
    wrmsr(0xc0000081, (u64)(U_CODE32) << 48 | (u64)K_CODE << 32);
    wrmsr(0xc0000082, (ulong)syscall_entry);
    wrmsr(0xc0000084, FL_CF | FL_IF | FL_DF);
    CHECK_EQ(guest_try_user(user_syscall, NULL), USER_DONE);
    CHECK_EQ(syscall_cs[0], K_CODE);
    CHECK_EQ(syscall_cs[1], K_DATA);
    CHECK(syscall_r11 & FL_CF);
    CHECK(!(syscall_flags & FL_CF));
    test_syscall_tf();
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
    CHECK_EQ(guest_try_user(user_syscall, NULL), V_UD);
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
}

/* --- 32-bit code under long mode --- */
extern u8 compat_entry[];
asm(".code32\n compat_entry: mov $0xfffffff0, %eax\n add $0x20, %eax\n .byte 0x40\n int $0x40\n .code64"); /* 0x40: INC EAX */
static const struct {
    u32 ip;
    u16 cs;
} __attribute__((packed)) *compat_target;
static void compat_jump(void *p) { asm volatile("ljmp *(%0)" : : "r"(compat_target) : "memory"); }

static void test_compat(void)
{
    static u8 target[6];
    test("compatibility mode");
    *(u32 *)target = (u32)(ulong)compat_entry;
    *(u16 *)(target + 4) = K_CODE32;
    compat_target = (void *)target;
    CHECK_EQ(guest_try(compat_jump, NULL), USER_DONE);
    CHECK_EQ(trap.f.ax, 0x11);
    CHECK_EQ(trap.f.cs, K_CODE32);
}

void guest_main(void)
{
    test_faults();
    test_step();
    test_breakpoints();
    test_alignment();
    test_ist();
    test_gates();
    test_double_fault();
    test_apic();
    test_timer();
    test_nmi();
    test_syscall();
    test_compat();
}
