/* Run-time library of the bare-metal test guests; see guest.h. Runs inside the guest. */
#include "tests/lib/guest/guest.h"
#include <stdarg.h>

extern u8 stubs[];
extern u8 guest_end[]; /* tests/guest/guest.ld */
extern ulong try_sp;
int try_enter(void (*fn)(void *arg), void *arg, int user);
void try_leave(int vector) __attribute__((noreturn));
void guest_start(void);
void guest_trap(struct frame *f);

/* --- memory --- */
void *memset(void *d, int c, size_t n)
{
    for (u8 *p = d; n; n--)
        *p++ = (u8)c;
    return d;
}

void *memcpy(void *d, const void *s, size_t n)
{
    u8 *p = d;
    for (const u8 *q = s; n; n--)
        *p++ = *q++;
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *p = a, *q = b;
    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

void *page_alloc(void)
{
    static ulong next;
    if (!next)
        next = ((ulong)guest_end + PAGE - 1) & ~(PAGE - 1);
    void *p = (void *)next;
    next += PAGE;
    return memset(p, 0, PAGE);
}

/* --- output --- */
static void put_char(char c) { outb(0xe9, (u8)c); }
static void put_string(const char *s)
{
    while (*s)
        put_char(*s++);
}

static void put_number(ulong v, unsigned base)
{
    char buf[24], *p = buf + sizeof(buf);
    *--p = 0;
    do {
        *--p = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    put_string(p);
}

static void put_signed(int v)
{
    if (v < 0)
        put_char('-');
    put_number(v < 0 ? -(ulong)v : (ulong)v, 10);
}

void print(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put_char(*fmt);
            continue;
        }
        bool is_long = *++fmt == 'l';
        fmt += is_long;
        switch (*fmt) {
        case 's': put_string(va_arg(ap, const char *)); break;
        case 'c': put_char((char)va_arg(ap, int)); break;
        case 'd': put_signed(va_arg(ap, int)); break;
        case 'p': put_number((ulong)va_arg(ap, void *), 16); break;
        case 'u':
        case 'x': put_number(is_long ? va_arg(ap, ulong) : va_arg(ap, unsigned), *fmt == 'x' ? 16 : 10); break;
        default: put_char(*fmt); break;
        }
    }
    va_end(ap);
}

/* --- verdicts --- */
static const char *current, *skipped;
static unsigned tests, failed;
static bool current_failed;
static unsigned shown; /* failures of the current test that were printed */
#define SHOWN_MAX 8

static void test_end(void)
{
    if (!current)
        return;
    print("%sok %u - %s%s%s\n", current_failed ? "not " : "", ++tests, current, skipped ? " # SKIP " : "", skipped ? skipped : "");
    failed += current_failed;
    current = skipped = NULL;
    current_failed = false;
    shown = 0;
}

void test(const char *name)
{
    test_end();
    current = name;
}

void skip(const char *why) { skipped = why; }

void check_failed(const char *file, int line, const char *what)
{
    if (shown++ < SHOWN_MAX)
        print("# %s:%d: %s\n", file, line, what);
    current_failed = true;
}

void check_equal(const char *file, int line, const char *what, ulong got, ulong want)
{
    if (got == want)
        return;
    if (shown++ < SHOWN_MAX)
        print("# %s:%d: %s is 0x%lx, not 0x%lx\n", file, line, what, got, want);
    current_failed = true;
}

void guest_exit(void)
{
    test_end();
    print("1..%u\n", tests);
    outl(0xf4, failed ? 1 : 0);
    for (;;)
        asm volatile("cli; hlt");
}

/* --- segments --- */
u64 gdt[GDT_ENTRIES] __attribute__((aligned(16)));
struct tss main_tss __attribute__((aligned(16)));
static u8 trap_stack[8192] __attribute__((aligned(16)));
struct table_reg {
    u16 limit;
    ulong base;
} __attribute__((packed));

u64 descriptor(u32 base, u32 limit, u8 access, u8 flags)
{
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)(flags & 15) << 52 |
           (u64)(base >> 24) << 56;
}

void tss_set(unsigned sel, void *tss, u32 limit)
{
    gdt[sel / 8] = descriptor((u32)(ulong)tss, limit, 0x89, 0);
#ifdef __x86_64__
    gdt[sel / 8 + 1] = (ulong)tss >> 32;
#endif
}

static void segments_init(void)
{
    struct table_reg r = { sizeof(gdt) - 1, (ulong)gdt };
#ifdef __x86_64__
    static const u64 fixed[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
                                 0x00cf9b000000ffff };
    memcpy(gdt, fixed, sizeof(fixed));
    main_tss.rsp[0] = (ulong)trap_stack + sizeof(trap_stack);
    main_tss.iomap = sizeof(main_tss);
    tss_set(K_TSS, &main_tss, sizeof(main_tss) - 1);
    asm volatile("lgdt %0\n mov %1, %%ss\n mov %1, %%ds\n mov %1, %%es\n mov %1, %%fs\n mov %1, %%gs\n"
                 "pushq %2\n lea 1f(%%rip), %%rax\n push %%rax\n lretq\n 1:" : : "m"(r), "r"(K_DATA), "i"(K_CODE) : "rax", "memory");
#else
    static const u64 fixed[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff, 0x00009b000000ffff,
                                 0x000093000000ffff };
    memcpy(gdt, fixed, sizeof(fixed));
    main_tss.esp0 = (ulong)trap_stack + sizeof(trap_stack);
    main_tss.ss0 = K_DATA;
    main_tss.iomap = sizeof(main_tss);
    tss_set(K_TSS, &main_tss, sizeof(main_tss) - 1);
    asm volatile("lgdt %0\n mov %1, %%ss\n mov %1, %%ds\n mov %1, %%es\n mov %1, %%fs\n mov %1, %%gs\n ljmp %2, $1f\n 1:"
                 : : "m"(r), "r"(K_DATA), "i"(K_CODE) : "memory");
#endif
    asm volatile("ltr %w0" : : "r"(K_TSS));
}

/* --- exceptions --- */
handler_fn *handlers[256];
struct trap trap;
static u64 idt[256 * sizeof(ulong) / 4] __attribute__((aligned(16)));

void *idt_stub(unsigned vector) { return stubs + vector * 16; }

void idt_set(unsigned vector, void *entry, unsigned dpl, unsigned ist, unsigned type)
{
    ulong e = (ulong)entry;
    u64 low = (e & 0xffff) | (u64)K_CODE << 16 | (u64)ist << 32 | (u64)(0x80 | dpl << 5 | type) << 40 | (u64)(e >> 16 & 0xffff) << 48;
#ifdef __x86_64__
    idt[vector * 2] = low;
    idt[vector * 2 + 1] = e >> 32;
#else
    idt[vector] = low;
#endif
}

void idt_task_gate(unsigned vector, u16 tss_sel)
{
    idt[vector * (sizeof(ulong) / 4)] = (u64)tss_sel << 16 | 0x8500ull << 32;
}

void idt_load(void)
{
    struct table_reg r = { sizeof(idt) - 1, (ulong)idt };
    asm volatile("lidt %0" : : "m"(r));
}

static void idt_init(void)
{
    for (unsigned v = 0; v < 256; v++)
        idt_set(v, idt_stub(v), v == USER_DONE || v == V_BP || v == V_OF ? 3 : 0, 0, 0xe);
    idt_load();
}

/* From the stubs. */
void guest_trap(struct frame *f)
{
    u8 v = (u8)f->vector;
    if (handlers[v]) {
        handlers[v](f);
        return;
    }
    trap.f = *f;
    trap.cr2 = read_cr2();
    trap.dr6 = read_dr6();
    if (try_sp)
        try_leave(v);
    print("# unexpected vector %u error 0x%lx at 0x%lx, cr2 0x%lx\n", v, f->error, f->ip, trap.cr2);
    check_failed("guest", 0, "no exception");
    guest_exit();
}

int guest_try(void (*fn)(void *arg), void *arg) { return try_enter(fn, arg, 0); }
int guest_try_user(void (*fn)(void *arg), void *arg) { return try_enter(fn, arg, 1); }

/* --- interrupt controllers --- */
void pic_mask(void)
{
    static const u8 init[][2] = { { 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, 0x20 }, { 0xa1, 0x28 }, { 0x21, 4 }, { 0xa1, 2 }, { 0x21, 1 },
                                  { 0xa1, 1 }, { 0x21, 0xff }, { 0xa1, 0xff } };
    for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
        outb(init[i][0], init[i][1]);
}

void apic_enable(void)
{
    wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    apic_write(0xf0, 0x1ff); /* software enable, spurious vector 0xff */
    apic_write(0x80, 0);
}

void guest_start(void)
{
    segments_init();
    idt_init();
    pic_mask();
    guest_main();
    guest_exit();
}
