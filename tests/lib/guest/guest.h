/* Run-time library of the bare-metal test guests (tests/guest/NAME_32.c and NAME_64.c): output as TAP on port 0xe9, exit through port 0xf4,
 * descriptor tables, exceptions that a test can catch, user mode, pages. Runs inside the guest. */
#ifndef TESTS_LIB_GUEST_GUEST_H
#define TESTS_LIB_GUEST_GUEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned long ulong; /* a register */

/* --- output and verdicts --- */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* %s %c %d %u %x %lx %p */
/* Starts a named test; what CHECKs say until the next one is its verdict. */
void test(const char *name);
void skip(const char *why); /* the current test cannot run here */
void check_failed(const char *file, int line, const char *what);
#define CHECK(cond) do { if (!(cond)) check_failed(__FILE__, __LINE__, #cond); } while (0)
void check_equal(const char *file, int line, const char *what, ulong got, ulong want);
#define CHECK_EQ(got, want) check_equal(__FILE__, __LINE__, #got, (ulong)(got), (ulong)(want))
void guest_exit(void) __attribute__((noreturn)); /* prints the plan; status 1 if all passed, else 3 */

/* --- interrupts and exceptions --- */
struct frame {
#ifdef __x86_64__
    u64 r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
#else
    u32 di, si, bp, unused, bx, dx, cx, ax;
    u32 gs, fs, es, ds;
#endif
    ulong vector, error, ip, cs, flags, sp, ss; /* 32-bit: sp and ss only from user mode */
};
/* What is called for a vector; returns to the interrupted code. NULL: ends guest_try, or the guest. */
typedef void handler_fn(struct frame *f);
extern handler_fn *handlers[256];
struct trap { /* what ended guest_try */
    struct frame f;
    ulong cr2, dr6;
};
extern struct trap trap;
#define NO_TRAP (-1)
#define USER_DONE 0x40 /* vector by which user code says that it is done: user_done() */
/* Calls fn(arg), in ring 3 if user; returns NO_TRAP, or the vector that it ended with. */
int guest_try(void (*fn)(void *arg), void *arg);
int guest_try_user(void (*fn)(void *arg), void *arg);
static inline void user_done(void) { asm volatile("int %0" : : "i"(USER_DONE)); }
enum { V_DE, V_DB, V_NMI, V_BP, V_OF, V_BR, V_UD, V_NM, V_DF, V_TS = 10, V_NP, V_SS, V_GP, V_PF, V_MF = 16, V_AC, V_MC, V_XM };
void idt_set(unsigned vector, void *entry, unsigned dpl, unsigned ist, unsigned type); /* type 0xe interrupt, 0xf trap gate */
void idt_task_gate(unsigned vector, u16 tss_sel);
void idt_load(void); /* on this CPU */
void *idt_stub(unsigned vector); /* the library's own entry */

/* --- segments --- */
#ifdef __x86_64__
enum { K_CODE = 0x08, K_DATA = 0x10, U_CODE32 = 0x1b, U_DATA = 0x23, U_CODE = 0x2b, K_CODE32 = 0x30, K_TSS = 0x38, GDT_FREE = 0x48 };
struct tss {
    u32 reserved0;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, iomap;
    u8 bitmap[8193];
} __attribute__((packed));
#else
enum { K_CODE = 0x08, K_DATA = 0x10, U_CODE = 0x1b, U_DATA = 0x23, K_CODE16 = 0x28, K_DATA16 = 0x30, K_TSS = 0x38, GDT_FREE = 0x40 };
struct tss {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
    u16 trace, iomap;
    u8 bitmap[8193];
} __attribute__((packed));
#endif
#define GDT_ENTRIES 64
extern u64 gdt[GDT_ENTRIES];
extern struct tss main_tss;
/* A descriptor: access byte (P DPL S type) and flags (bit 3 G, 2 D/B, 1 L). */
u64 descriptor(u32 base, u32 limit, u8 access, u8 flags);
void tss_set(unsigned sel, void *tss, u32 limit); /* available TSS at base tss */

/* --- memory --- */
#define PAGE 4096ul
void *page_alloc(void); /* zeroed, identity mapped, user-accessible; never freed */
void *memset(void *d, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* --- processor --- */
static inline u8 inb(u16 p) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline void outb(u16 p, u8 v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(p)); }
static inline void outl(u16 p, u32 v) { asm volatile("outl %0, %1" : : "a"(v), "Nd"(p)); }
#define REG_ACCESSORS(r)                                                                                        \
    static inline ulong read_##r(void) { ulong v; asm volatile("mov %%" #r ", %0" : "=r"(v)); return v; }        \
    static inline void write_##r(ulong v) { asm volatile("mov %0, %%" #r : : "r"(v) : "memory"); }
REG_ACCESSORS(cr0) REG_ACCESSORS(cr2) REG_ACCESSORS(cr3) REG_ACCESSORS(cr4)
REG_ACCESSORS(dr0) REG_ACCESSORS(dr1) REG_ACCESSORS(dr2) REG_ACCESSORS(dr3) REG_ACCESSORS(dr6) REG_ACCESSORS(dr7)
static inline ulong read_flags(void) { ulong v; asm volatile("pushf\n pop %0" : "=r"(v)); return v; }
static inline void write_flags(ulong v) { asm volatile("push %0\n popf" : : "r"(v) : "cc", "memory"); }
static inline void invlpg(const void *p) { asm volatile("invlpg (%0)" : : "r"(p) : "memory"); }
static inline u64 rdmsr(u32 n) { u32 a, d; asm volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n)); return a | (u64)d << 32; }
static inline void wrmsr(u32 n, u64 v) { asm volatile("wrmsr" : : "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory"); }
static inline u64 rdtsc(void) { u32 a, d; asm volatile("rdtsc" : "=a"(a), "=d"(d)); return a | (u64)d << 32; }
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}
static inline bool cpu_has(u32 leaf, unsigned reg, unsigned bit) { u32 r[4]; cpuid(leaf, 0, r); return r[reg] >> bit & 1; }
static inline void sti(void) { asm volatile("sti" : : : "memory"); }
static inline void cli(void) { asm volatile("cli" : : : "memory"); }
#define CR0_WP (1ul << 16)
#define CR0_AM (1ul << 18)
#define CR0_PG (1ul << 31)
#define CR4_DE (1ul << 3)
#define CR4_PSE (1ul << 4)
#define CR4_PAE (1ul << 5)
#define CR4_PGE (1ul << 7)
#define CR4_UMIP (1ul << 11)
#define CR4_FSGSBASE (1ul << 16)
#define CR4_PCIDE (1ul << 17)
#define CR4_SMEP (1ul << 20)
#define CR4_SMAP (1ul << 21)
#define CR4_PKE (1ul << 22)
#define FL_CF 1ul
#define FL_TF (1ul << 8)
#define FL_IF (1ul << 9)
#define FL_DF (1ul << 10)
#define FL_NT (1ul << 14)
#define FL_RF (1ul << 16)
#define FL_VM (1ul << 17)
#define FL_AC (1ul << 18)

/* --- local APIC, in its default place --- */
static inline u32 apic_read(u32 reg) { return *(volatile u32 *)(ulong)(0xfee00000u + reg); }
static inline void apic_write(u32 reg, u32 v) { *(volatile u32 *)(ulong)(0xfee00000u + reg) = v; }
void apic_enable(void);
void pic_mask(void); /* both 8259 remapped to 0x20..0x2f and masked */

void guest_main(void);

#endif
