/* Guest: segmentation in protected mode. Limits, expand-down segments, types, presence, privileges; LDT; call gates with parameters;
 * hardware task switches by jump, call, IRET, interrupt; VM86; real mode and 16-bit code. */
#include "tests/lib/guest/guest.h"

enum { SEL_A = GDT_FREE, SEL_B = GDT_FREE + 8, SEL_GATE = GDT_FREE + 16, SEL_TSS = GDT_FREE + 24, SEL_TASK_GATE = GDT_FREE + 32,
       SEL_LDT = GDT_FREE + 40, SEL_CONF = GDT_FREE + 48 };
static u8 data[8192] __attribute__((aligned(4096)));
static u32 sel; /* what load_* use */
static u32 offset;

static void set_a(u32 limit, u8 access, u8 flags) { gdt[SEL_A / 8] = descriptor((u32)data, limit, access, flags); }

static void load_fs(void *p) { asm volatile("mov %w0, %%fs" : : "r"(sel)); }
static void load_ss(void *p) { asm volatile("mov %%ss, %%ecx\n mov %w0, %%ss\n mov %%ecx, %%ss" : : "r"(sel) : "ecx"); }
static void read_fs(void *p) { asm volatile("mov %0, %%fs\n movl %%fs:(%1), %%eax" : : "r"(sel), "r"(offset) : "eax"); }
static void write_fs(void *p) { asm volatile("mov %0, %%fs\n movl $0x11223344, %%fs:(%1)" : : "r"(sel), "r"(offset) : "memory"); }
static void user_read_ss(void *p)
{
    asm volatile("mov %%ss, %%edx\n push %%ebp\n mov %%ebx, %%ebp\n mov %w0, %%ss\n mov (%%ebp), %%ecx\n mov %%edx, %%ss\n"
                 "pop %%ebp" : : "a"(sel), "b"(offset) : "ecx", "edx", "memory");
    user_done();
}

static void expect(void (*fn)(void *), int vector, ulong error)
{
    int v = guest_try(fn, NULL);
    CHECK_EQ(v, vector);
    if (v == vector && v != NO_TRAP)
        CHECK_EQ(trap.f.error, error);
    asm volatile("mov %0, %%fs" : : "r"(K_DATA));
}

static void test_limits(void)
{
    sel = SEL_A;
    test("limits");
    set_a(0xfff, 0x93, 4);
    *(u32 *)(data + 0xffc) = 0x55;
    offset = 0xffc;
    expect(read_fs, NO_TRAP, 0);
    expect(write_fs, NO_TRAP, 0);
    CHECK_EQ(*(u32 *)(data + 0xffc), 0x11223344);
    offset = 0xffd;
    expect(read_fs, V_GP, 0);
    offset = 0xffffffff;
    expect(read_fs, V_GP, 0);
    test("page granularity");
    set_a(0, 0x93, 12);
    offset = 0xffc;
    expect(read_fs, NO_TRAP, 0);
    offset = 0x1000;
    expect(read_fs, V_GP, 0);
    test("expand-down segments");
    set_a(0xfff, 0x97, 4);
    offset = 0xffc;
    expect(read_fs, V_GP, 0);
    offset = 0x1000;
    expect(read_fs, NO_TRAP, 0);
    set_a(0xfff, 0x97, 0); /* 16-bit: up to 64 KiB */
    offset = 0x1000;
    expect(read_fs, NO_TRAP, 0);
    offset = 0xfffd;
    expect(read_fs, V_GP, 0);
    test("stack limit is #SS");
    set_a(0xfff, 0xf3, 4);
    sel = SEL_A | 3;
    offset = 0x1000;
    CHECK_EQ(guest_try_user(user_read_ss, NULL), V_SS);
    CHECK_EQ(trap.f.error, 0);
    sel = SEL_A | 3;
    offset = 0x800;
    CHECK_EQ(guest_try_user(user_read_ss, NULL), USER_DONE);
    sel = SEL_A;
}

static void test_types(void)
{
    test("read-only, execute-only, null");
    offset = 0;
    set_a(0xfff, 0x91, 4);
    expect(read_fs, NO_TRAP, 0);
    expect(write_fs, V_GP, 0);
    set_a(0xfff, 0x99, 4);
    expect(load_fs, V_GP, SEL_A);
    set_a(0xfff, 0x9b, 4);
    expect(read_fs, NO_TRAP, 0);
    expect(write_fs, V_GP, 0);
    sel = 0;
    expect(load_fs, NO_TRAP, 0);
    expect(read_fs, V_GP, 0);
    expect(load_ss, V_GP, 0);
    sel = SEL_A;
    test("presence and accessed bit");
    set_a(0xfff, 0x13, 4);
    expect(load_fs, V_NP, SEL_A);
    expect(load_ss, V_SS, SEL_A);
    set_a(0xfff, 0x92, 4);
    expect(load_fs, NO_TRAP, 0);
    CHECK_EQ(gdt[SEL_A / 8] >> 40 & 0xff, 0x93);
    test("privilege of selectors");
    sel = SEL_A | 3; /* RPL 3 on a DPL 0 segment */
    expect(load_fs, V_GP, SEL_A);
    expect(load_ss, V_GP, SEL_A);
    set_a(0xfff, 0xf3, 4);
    expect(load_fs, NO_TRAP, 0);
    sel = SEL_A;
    expect(load_ss, V_GP, SEL_A);
    test("LAR, LSL, VERR, VERW, ARPL");
    u32 r = 0, zf;
    asm volatile("lar %2, %0\n setz %b1" : "+r"(r), "=q"(zf) : "r"(SEL_A) : "cc");
    CHECK_EQ(r, 0x0040f300);
    CHECK_EQ(zf & 1, 1);
    asm volatile("lsl %2, %0\n setz %b1" : "+r"(r), "=q"(zf) : "r"(SEL_A) : "cc");
    CHECK_EQ(r, 0xfff);
    asm volatile("lsl %2, %0\n setz %b1" : "+r"(r), "=q"(zf) : "r"(0x1f8) : "cc"); /* empty */
    CHECK_EQ(zf & 1, 0);
    set_a(0xfff, 0x91, 4);
    asm volatile("verr %w1\n setz %b0" : "=q"(zf) : "r"(SEL_A) : "cc");
    CHECK_EQ(zf & 1, 1);
    asm volatile("verw %w1\n setz %b0" : "=q"(zf) : "r"(SEL_A) : "cc");
    CHECK_EQ(zf & 1, 0);
    r = 0x10;
    asm volatile("arpl %w2, %w0\n setz %b1" : "+r"(r), "=q"(zf) : "r"(0x23) : "cc");
    CHECK_EQ(r, 0x13);
    CHECK_EQ(zf & 1, 1);
}

static void arpl_fs(void *p) { asm volatile("mov %0, %%fs\n arpl %w1, %%fs:(0)" : : "r"(sel), "r"(offset) : "cc", "memory"); }

/* ARPL needs a writable destination only when it has something to write. */
static void test_arpl_memory(void)
{
    test("ARPL in memory");
    sel = SEL_A;
    set_a(0xfff, 0x91, 4);
    data[0] = 0x12;
    offset = 1;
    expect(arpl_fs, NO_TRAP, 0);
    offset = 3;
    expect(arpl_fs, V_GP, 0);
    CHECK_EQ(data[0], 0x12);
    set_a(0xfff, 0x93, 4);
    expect(arpl_fs, NO_TRAP, 0);
    CHECK_EQ(data[0], 0x13);
}

static void test_ldt(void)
{
    static u64 ldt[4];
    test("LDT");
    ldt[2] = descriptor((u32)data, 0xf, 0x93, 4);
    gdt[SEL_LDT / 8] = descriptor((u32)ldt, sizeof(ldt) - 1, 0x82, 0);
    asm volatile("lldt %w0" : : "r"(SEL_LDT));
    sel = 2 * 8 + 4;
    offset = 0xc;
    expect(read_fs, NO_TRAP, 0);
    offset = 0xd;
    expect(read_fs, V_GP, 0);
    sel = 4 * 8 + 4;
    expect(load_fs, V_GP, 4 * 8 + 4);
    asm volatile("lldt %w0" : : "r"(0));
    sel = 2 * 8 + 4;
    expect(load_fs, V_GP, 2 * 8 + 4);
}

/* --- near branches past the end of CS --- */
struct branch {
    u8 code[8];
    u32 cx, flags;
    bool taken; /* #GP at the branch itself, with nothing changed; else the UD2 behind it is met */
};
static const struct branch *branch;
static u32 branch_sp;
enum { BRANCH_AT = 0x20, BRANCH_LIMIT = 0xff };

/* Runs branch->code in the 16-bit segment SEL_A with AX, BX and the top of the stack past its end. */
static void run_branch(void *p)
{
    static struct { u32 off; u16 sel; } __attribute__((packed)) to = { BRANCH_AT, SEL_A };
    asm volatile("push $0x5000\n mov %%esp, %0\n push %3\n popf\n ljmp *%4"
                 : "=m"(branch_sp) : "a"(0x1234), "c"(branch->cx), "r"(branch->flags), "m"(to) : "memory", "cc");
}

static void test_branch_limit(void)
{
    static const struct branch b[] = {
        { { 0xe9, 0x00, 0x10, 0x0f, 0x0b }, 5, 2, true },                    /* JMP rel16 */
        { { 0x66, 0xe9, 0, 0, 0x10, 0, 0x0f, 0x0b }, 5, 2, true },           /* JMP rel32 */
        { { 0x0f, 0x84, 0x00, 0x10, 0x0f, 0x0b }, 5, 0x42, true },           /* JZ */
        { { 0x0f, 0x84, 0x00, 0x10, 0x0f, 0x0b }, 5, 2, false },
        { { 0xe2, 0x80, 0x0f, 0x0b }, 5, 2, true },                          /* LOOP: wraps to the other end of 64 KiB */
        { { 0xe2, 0x80, 0x0f, 0x0b }, 1, 2, false },
        { { 0xe2, 0x80, 0x0f, 0x0b }, 0x10001, 2, false },                   /* CX, not ECX */
        { { 0xe1, 0x80, 0x0f, 0x0b }, 5, 0x42, true },                       /* LOOPE */
        { { 0xe1, 0x80, 0x0f, 0x0b }, 5, 2, false },
        { { 0xe0, 0x80, 0x0f, 0x0b }, 5, 2, true },                          /* LOOPNE */
        { { 0xe3, 0x80, 0x0f, 0x0b }, 0x10000, 2, true },                    /* JCXZ */
        { { 0xe3, 0x80, 0x0f, 0x0b }, 5, 2, false },
        { { 0xe8, 0x00, 0x10, 0x0f, 0x0b }, 5, 2, true },                    /* CALL rel16 */
        { { 0x66, 0xe8, 0, 0, 0x10, 0, 0x0f, 0x0b }, 5, 2, true },           /* CALL rel32 */
        { { 0xff, 0xe0, 0x0f, 0x0b }, 5, 2, true },                          /* JMP AX */
        { { 0xff, 0xd0, 0x0f, 0x0b }, 5, 2, true },                          /* CALL AX */
        { { 0x66, 0xff, 0xd0, 0x0f, 0x0b }, 5, 2, true },                    /* CALL EAX */
        { { 0xc3, 0x0f, 0x0b }, 5, 2, true },                                /* RET */
        { { 0xc2, 0x08, 0x00, 0x0f, 0x0b }, 5, 2, true },                    /* RET 8 */
    };
    test("near branches past the end of CS");
    set_a(BRANCH_LIMIT, 0x9b, 0);
    for (unsigned i = 0; i < sizeof(b) / sizeof(b[0]); i++) {
        branch = &b[i];
        memcpy(data + BRANCH_AT, b[i].code, sizeof(b[i].code));
        int v = guest_try(run_branch, NULL);
        CHECK_EQ(v, b[i].taken ? V_GP : V_UD);
        if (!b[i].taken)
            continue;
        CHECK_EQ(trap.f.error, 0);
        CHECK_EQ(trap.f.ip, BRANCH_AT);
        CHECK_EQ(trap.f.cs, SEL_A);
        CHECK_EQ(trap.f.cx, b[i].cx);
        CHECK_EQ(*(volatile u32 *)branch_sp, 0x5000);
    }
    test("the end of CS moves");
    static const struct branch far = { { 0xe9, 0x00, 0x10, 0x0f, 0x0b }, 5, 2, true };
    branch = &far;
    memcpy(data + BRANCH_AT, far.code, sizeof(far.code));
    memcpy(data + BRANCH_AT + 3 + 0x1000, "\x0f\x0b", 2);
    for (unsigned i = 0; i < 4; i++) {
        set_a(i & 1 ? 0x1fff : BRANCH_LIMIT, 0x9b, 0);
        CHECK_EQ(guest_try(run_branch, NULL), i & 1 ? V_UD : V_GP);
        CHECK_EQ(trap.f.ip, i & 1 ? BRANCH_AT + 3 + 0x1000 : BRANCH_AT);
    }
}

/* --- call gates --- */
extern u8 gate_target[], gate_conforming[];
u32 gate_args[2], gate_cs, gate_user_esp;
asm("gate_target:\n"
    "mov 8(%esp), %eax\n mov %eax, gate_args\n mov 12(%esp), %eax\n mov %eax, gate_args+4\n mov %cs, %eax\n mov %eax, gate_cs\n"
    "mov 16(%esp), %eax\n mov %eax, gate_user_esp\n"
    "lret $8\n");
u32 conforming_cs;
asm("gate_conforming: mov %cs, %ecx\n mov %ecx, conforming_cs\n lret\n");

static void user_gate(void *p)
{
    u32 before, after;
    asm volatile("mov %%esp, %0\n pushl $0x222\n pushl $0x111\n lcall %2, $0\n mov %%esp, %1" : "=&r"(before), "=&r"(after)
                 : "i"(SEL_GATE | 3) : "eax", "ecx", "memory");
    CHECK_EQ(after, before);
    CHECK_EQ(gate_user_esp, before - 8);
    user_done();
}
static void user_conforming(void *p)
{
    asm volatile("lcall %0, $gate_conforming" : : "i"(SEL_CONF) : "ecx", "memory");
    user_done();
}
static void kernel_gate_user(void *p) { asm volatile("lcall %0, $0" : : "i"(U_CODE)); }

static void test_call_gates(void)
{
    test("call gate to ring 0 with parameters");
    u32 t = (u32)gate_target;
    gdt[SEL_GATE / 8] = (t & 0xffff) | (u64)K_CODE << 16 | 2ull << 32 | 0xecull << 40 | (u64)(t >> 16) << 48;
    CHECK_EQ(guest_try_user(user_gate, NULL), USER_DONE);
    CHECK_EQ(gate_args[0], 0x111);
    CHECK_EQ(gate_args[1], 0x222);
    CHECK_EQ(gate_cs, K_CODE);
    gdt[SEL_GATE / 8] &= ~(0x60ull << 40); /* DPL 0 */
    CHECK_EQ(guest_try_user(user_gate, NULL), V_GP);
    CHECK_EQ(trap.f.error, SEL_GATE);
    gdt[SEL_GATE / 8] |= 0x60ull << 40;
    gdt[SEL_GATE / 8] &= ~(0x80ull << 40);
    CHECK_EQ(guest_try_user(user_gate, NULL), V_NP);
    test("conforming code keeps the privilege");
    gdt[SEL_CONF / 8] = descriptor(0, 0xfffff, 0x9f, 12);
    CHECK_EQ(guest_try_user(user_conforming, NULL), USER_DONE);
    CHECK_EQ(conforming_cs, SEL_CONF | 3);
    CHECK_EQ(guest_try(kernel_gate_user, NULL), V_GP);
    CHECK_EQ(trap.f.error, U_CODE & ~3);
}

/* --- tasks --- */
static struct tss task;
static u8 task_stack[4096];
static volatile u32 task_runs, task_link, task_flags;

static void task_body(void)
{
    for (;;) {
        task_runs++;
        task_flags = read_flags();
        task_link = task.link;
        asm volatile("iret"); /* NT: back to the caller; goes on here next time */
    }
}

static void task_jumper(void)
{
    for (;;) {
        task_runs++;
        task_flags = read_flags();
        asm volatile("ljmp %0, $0" : : "i"(K_TSS) : "memory");
    }
}

static void task_init(void (*fn)(void))
{
    memset(&task, 0, sizeof(task));
    task.eip = (u32)fn;
    task.esp = (u32)task_stack + sizeof(task_stack);
    task.eflags = 2;
    task.cs = K_CODE;
    task.ss = task.ds = task.es = task.fs = task.gs = K_DATA;
    task.cr3 = read_cr3();
    task.iomap = sizeof(task);
    task_runs = 0;
    tss_set(SEL_TSS, &task, sizeof(task) - 1);
}

static void call_task(void *p) { asm volatile("lcall %0, $0" : : "i"(SEL_TSS) : "memory"); }
static void call_task_gate(void *p) { asm volatile("lcall %0, $0" : : "i"(SEL_TASK_GATE) : "memory"); }
static void jump_task(void *p) { asm volatile("ljmp %0, $0" : : "i"(SEL_TSS) : "memory"); }
static u8 tss_type(unsigned s) { return gdt[s / 8] >> 40 & 0xf; }

static void test_tasks(void)
{
    test("task call and return");
    task_init(task_body);
    write_flags(read_flags() & ~FL_NT);
    call_task(NULL);
    CHECK_EQ(task_runs, 1);
    CHECK_EQ(task_link, K_TSS);
    CHECK_EQ(task_flags & FL_NT, FL_NT);
    CHECK_EQ(read_flags() & FL_NT, 0);
    CHECK_EQ(tss_type(SEL_TSS), 9); /* available again */
    CHECK_EQ(tss_type(K_TSS), 11);
    CHECK(read_cr0() & 8); /* TS */
    asm volatile("clts");
    call_task(NULL);
    CHECK_EQ(task_runs, 2);
    test("task gate");
    gdt[SEL_TASK_GATE / 8] = (u64)SEL_TSS << 16 | 0x8500ull << 32;
    call_task_gate(NULL);
    CHECK_EQ(task_runs, 3);
    test("task jump there and back");
    task_init(task_jumper);
    jump_task(NULL);
    CHECK_EQ(task_runs, 1);
    CHECK_EQ(task_flags & FL_NT, 0);
    CHECK_EQ(tss_type(SEL_TSS), 9);
    CHECK_EQ(tss_type(K_TSS), 11);
    test("interrupt through a task gate");
    task_init(task_body);
    idt_task_gate(0x51, SEL_TSS);
    asm volatile("int $0x51");
    CHECK_EQ(task_runs, 1);
    CHECK_EQ(task_link, K_TSS);
    test("task switch faults");
    gdt[SEL_TSS / 8] |= 2ull << 40; /* busy */
    CHECK_EQ(guest_try(call_task, NULL), V_GP);
    CHECK_EQ(trap.f.error, SEL_TSS);
    gdt[SEL_TSS / 8] = descriptor((u32)&task, 0x66, 0x89, 0);
    CHECK_EQ(guest_try(call_task, NULL), V_TS);
    CHECK_EQ(trap.f.error, SEL_TSS);
    gdt[SEL_TSS / 8] = descriptor((u32)&task, 0x67, 0x09, 0);
    CHECK_EQ(guest_try(call_task, NULL), V_NP);
    asm volatile("clts");
}

/* --- I/O bitmap, VM86 --- */
static void user_port(void *p)
{
    outb(0x80, 1);
    user_done();
}

static void test_io_bitmap(void)
{
    test("I/O permission bitmap");
    CHECK_EQ(guest_try_user(user_port, NULL), V_GP);
    main_tss.iomap = offsetof(struct tss, bitmap);
    memset(main_tss.bitmap, 0, sizeof(main_tss.bitmap));
    CHECK_EQ(guest_try_user(user_port, NULL), USER_DONE);
    main_tss.bitmap[0x10] = 1;
    CHECK_EQ(guest_try_user(user_port, NULL), V_GP);
    main_tss.iomap = sizeof(main_tss);
}

extern u8 vm86_code[], vm86_end[];
asm(".code16\n vm86_code:\n mov $0x1234, %ax\n mov %ax, %ds\n mov $0x5678, %bx\n movw %bx, 2\n int $0x40\n hlt\n vm86_end:\n .code32");
#define VM86_AT 0x8000u

static void enter_vm86(void *p)
{
    asm volatile("pushl $0\n pushl $0\n pushl $0\n pushl $0\n" /* GS FS DS ES */
                 "pushl $0x900\n pushl $0xff0\n"               /* SS ESP */
                 "pushl %0\n pushl $0x800\n pushl %1\n iret" : : "r"(FL_VM | 2 | (ulong)p), "r"(0) : "memory");
}

static void test_vm86(void)
{
    test("virtual-8086 mode");
    memcpy((void *)VM86_AT, vm86_code, (ulong)(vm86_end - vm86_code));
    *(volatile u16 *)0x12342 = 0;
    CHECK_EQ(guest_try(enter_vm86, (void *)0x3000), USER_DONE); /* IOPL 3: INT goes through the IDT */
    CHECK_EQ(*(volatile u16 *)0x12342, 0x5678);
    CHECK_EQ(trap.f.flags & FL_VM, FL_VM);
    CHECK_EQ(trap.f.cs, 0x800);
    CHECK_EQ(trap.f.ss, 0x900);
    CHECK_EQ(trap.f.sp, 0xff0);
    CHECK_EQ(trap.f.bx & 0xffff, 0x5678);
    CHECK_EQ(guest_try(enter_vm86, NULL), V_GP); /* IOPL 0: INT n faults */
    CHECK_EQ(trap.f.error, 0);
    CHECK_EQ(trap.f.ip, 0xc);
    asm volatile("mov %0, %%ds\n mov %0, %%es\n mov %0, %%fs\n mov %0, %%gs" : : "r"(K_DATA));
}

/* --- real mode and back --- */
extern u8 real_code[], real_end[];
asm(".set REAL_AT, 0x9000\n"
    "real_code:\n"
    "ljmp $0x28, $REAL_AT + (1f - real_code)\n" /* 16-bit protected mode, base 0 */
    ".code16\n"
    "1: mov $0x30, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %ss\n"
    "mov %cr0, %eax\n and $0xfffffffe, %eax\n mov %eax, %cr0\n"
    "ljmp $0x900, $(2f - real_code)\n"
    "2: xor %ax, %ax\n mov %ax, %ss\n mov $0x7000, %sp\n lidt %cs:(9f - real_code)\n"
    "mov $0x2000, %ax\n mov %ax, %ds\n mov $0xfffe, %bx\n movw $0xbeef, (%bx)\n"
    "push %cs\n call 3f\n mov %ax, 0x10\n"      /* far return */
    "int $0x21\n mov %cx, 0x12\n"
    "mov $0xffff, %ax\n mov %ax, %es\n mov %es:0x7010, %dx\n mov %dx, 0x14\n" /* above 1 MiB */
    "mov %cr0, %eax\n or $1, %eax\n mov %eax, %cr0\n"
    "ljmpl $8, $REAL_AT + (4f - real_code)\n"
    "3: mov $0x4321, %ax\n lret\n"
    "5: mov $0x2121, %cx\n iret\n"
    "9: .word 0x3ff\n .long 0\n"
    ".code32\n"
    "4: mov $0x10, %eax\n mov %eax, %ds\n mov %eax, %es\n mov %eax, %ss\n mov %edi, %esp\n lidt (%esi)\n ret\n"
    ".globl real_isr\n .set real_isr, 5b - real_code\n"
    "real_end:");
extern u8 real_isr[];
static volatile u32 vector_21 = 0x21 * 4; /* in real mode's table at 0 */

static void test_real_mode(void)
{
    static u8 idtr[6];
    test("real mode and back");
    memcpy((void *)0x9000, real_code, (ulong)(real_end - real_code));
    *(volatile u32 *)vector_21 = 0x900u << 16 | (u16)(ulong)real_isr;
    asm volatile("sidt %0" : "=m"(idtr));
    u16 keep = *(volatile u16 *)0x107000;
    asm volatile("push %%ebp\n push %%ebx\n push $1f\n mov %%esp, %%edi\n jmp *%0\n 1: pop %%ebx\n pop %%ebp"
                 : : "r"(0x9000), "S"(idtr) : "eax", "ecx", "edx", "edi", "memory", "cc");
    CHECK_EQ(*(volatile u16 *)0x2fffe, 0xbeef);
    CHECK_EQ(*(volatile u16 *)0x20010, 0x4321);
    CHECK_EQ(*(volatile u16 *)0x20012, 0x2121);
    CHECK_EQ(*(volatile u16 *)0x20014, keep);
    asm volatile("mov %0, %%fs\n mov %0, %%gs" : : "r"(K_DATA));
}

void guest_main(void)
{
    test_limits();
    test_types();
    test_arpl_memory();
    test_ldt();
    test_branch_limit();
    test_call_gates();
    test_tasks();
    test_io_bitmap();
    test_vm86();
    test_real_mode();
}
