/* Segment descriptors, gates, stacks of far transfers: what cpu/intr.c, cpu/task.c and cpu/help/ share. vCPU thread. All memory accesses
 * here are implicit supervisor accesses unless said otherwise; all of them may raise.
 * Source: SDM vol. 3A 3.4 (segments), 5.8 (far transfers), 7.2 (TSS). */
#ifndef CPU_DESC_H
#define CPU_DESC_H
#include "cpu/cpu.h"
#include "cpu/fault.h"

/* System descriptor types (S = 0). */
enum {
    SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK_GATE = 5, SYS_INT16 = 6, SYS_TRAP16 = 7, SYS_TSS32 = 9,
    SYS_TSS32_BUSY = 11, SYS_CALL32 = 12, SYS_INT32 = 14, SYS_TRAP32 = 15,
};

/* attr values of segments loaded in real and VM86 mode and by SYSCALL and its kin. */
#define ATTR_DATA16 0x0093
#define ATTR_DATA16_U 0x00f3
#define ATTR_CODE64 0xa09b
#define ATTR_CODE32 0xc09b
#define ATTR_DATA32 0xc093

struct desc {
    u32 lo, hi, up; /* up: third doubleword of 16-byte system descriptors */
    gla_t addr;
};

static inline unsigned desc_type(const struct desc *d) { return d->hi >> 8 & 15; }
static inline unsigned desc_dpl(const struct desc *d) { return d->hi >> 13 & 3; }
static inline bool desc_is_seg(const struct desc *d) { return d->hi >> 12 & 1; }
static inline bool desc_present(const struct desc *d) { return d->hi >> 15 & 1; }
static inline bool desc_is_code(const struct desc *d) { return (d->hi & 0x1800) == 0x1800; }
static inline bool desc_is_conforming(const struct desc *d) { return (d->hi & 0x1c00) == 0x1c00; }
static inline bool desc_is_readable(const struct desc *d) { return (d->hi & 0x1800) == 0x1000 || (d->hi & 0x1a00) == 0x1a00; }
static inline bool desc_is_writable(const struct desc *d) { return (d->hi & 0x1a00) == 0x1200; }
static inline bool desc_is_long(const struct desc *d) { return d->hi >> 21 & 1; }
static inline bool desc_is_big(const struct desc *d) { return d->hi >> 22 & 1; }
static inline u16 gate_sel(const struct desc *d) { return (u16)(d->lo >> 16); }
static inline u64 gate_off(const struct desc *d) { return (d->lo & 0xffff) | (d->hi & 0xffff0000u) | (u64)d->up << 32; }
static inline bool sel_is_null(u16 sel) { return !(sel & 0xfffc); }

static inline bool cpu_is_pm(const struct cpu *c) { return (c->mode & (MODE_PE | MODE_VM86)) == MODE_PE; } /* protected, not VM86 */
static inline bool cpu_is_vm86(const struct cpu *c) { return c->mode & MODE_VM86; }
static inline bool cpu_is_lma(const struct cpu *c) { return c->mode & MODE_LMA; }
static inline unsigned cpu_iopl(const struct cpu *c) { return c->sysflags >> 12 & 3; }
static inline gla_t linear(const struct cpu *c, u64 a) { return cpu_is_lma(c) ? a : (u32)a; }
static inline bool is_canonical(const struct cpu *c, u64 a)
{
    unsigned bits = c->cr4 & CR4_LA57 ? 57 : 48;
    return (u64)((i64)(a << (64 - bits)) >> (64 - bits)) == a;
}

/* #xx(selector), with the EXT bit of the event in delivery; #GP(0) likewise. */
NORETURN void raise_sel(struct cpu *c, int vector, u16 sel);
NORETURN void raise_gp0(struct cpu *c);

/* Reads the descriptor that sel names; false if it lies outside its table. */
bool desc_read(struct cpu *c, u16 sel, struct desc *d);
/* Reads the upper half of a 16-byte system descriptor into d->up. #GP(sel) if it is outside the table or ill-formed. */
void desc_read_high(struct cpu *c, u16 sel, struct desc *d);
void desc_set_accessed(struct cpu *c, struct desc *d);
/* Sets the type field of a system descriptor in memory: the busy bit of a TSS. */
void desc_set_type(struct cpu *c, struct desc *d, unsigned type);
u64 desc_base(const struct desc *d);
u32 desc_limit(const struct desc *d);
static inline u16 desc_attr(const struct desc *d) { return (u16)(d->hi >> 8 & 0xf0ff); }
void seg_set(struct seg_reg *s, u16 sel, const struct desc *d);
/* Loads as real mode (the limit stays) or VM86 mode does. */
void seg_set_real(struct cpu *c, unsigned seg, u16 sel);
void seg_set_vm86(struct seg_reg *s, u16 sel);
/* A null selector; dpl is what CPL is derived from when this is SS. */
void seg_set_null(struct seg_reg *s, u16 sel, unsigned dpl);

/* #GP unless off may be a RIP in the code segment d. */
void code_check_off(struct cpu *c, const struct desc *d, u64 off);
/* #GP(sel) if in long mode the L and D bits contradict. */
void code_check_long(struct cpu *c, u16 sel, const struct desc *d);
/* Loads CS and RIP; no checks, no mode update. */
void cs_enter(struct cpu *c, u16 sel, unsigned cpl, const struct desc *d, u64 off);
/* A limit check of a data access through seg; returns the linear address, or raises #GP(0) or #SS(0). Not for 64-bit mode. */
gla_t seg_check(struct cpu *c, unsigned seg, u32 off, unsigned size, unsigned acc);

/* --- stacks --- */
#define STACK_MAX 48
struct stack {
    struct seg_reg ss;
    u64 sp;         /* as it would be after the pushes or pops so far */
    u64 mask;       /* 0xffff, 0xffffffff or all ones */
    bool flat;      /* 64-bit: no segment */
    unsigned acc;
    u32 err;        /* error code of #SS */
    unsigned n, size;
    u64 v[STACK_MAX];
};
/* The current stack, with the rights of CPL. */
void stack_cur(struct cpu *c, struct stack *s);
/* A stack that is being switched to, for code at cpl; #SS has sel as its error code. is64: in 64-bit mode. */
void stack_new(struct cpu *c, struct stack *s, const struct seg_reg *ss, u64 sp, unsigned cpl, bool is64);
/* Collects a value of s->size bytes. */
static inline void stack_push(struct stack *s, u64 v)
{
    assert(s->n < STACK_MAX);
    s->v[s->n++] = v;
}
/* Writes all that was collected, or raises and writes nothing. */
void stack_write(struct cpu *c, struct stack *s);
u64 stack_pop(struct cpu *c, struct stack *s, unsigned size);
/* Sets rSP to sp as the current (new) mode's stack size says: 16-bit stacks keep the upper part. */
void sp_set(struct cpu *c, u64 sp);

/* --- inner stacks, outer returns --- */
/* The stack for cpl from the current 16- or 32-bit TSS; #TS. */
void tss_stack(struct cpu *c, unsigned cpl, u16 *ss, u32 *sp);
/* RSP at off of the 64-bit TSS; #TS(TR), #SS if not canonical. */
u64 tss_rsp(struct cpu *c, unsigned off);
/* Checks SS for an inner stack (#TS, #SS) and loads it into out. */
void inner_ss(struct cpu *c, u16 sel, unsigned cpl, struct seg_reg *out);
/* Checks SS for a return to cpl; target64: to 64-bit mode (may be null below CPL 3). #GP, #SS. */
void outer_ss(struct cpu *c, u16 sel, unsigned cpl, bool target64, struct seg_reg *out);
/* After a return to outer privilege: data segments that cpl may not use become null. */
void outer_drop_segs(struct cpu *c, unsigned cpl);

/* --- cpu/task.c --- */
enum task_why { TASK_JMP, TASK_CALL, TASK_IRET, TASK_EVENT };
/* What is saved of the old task, and the error code of an event that is pushed on the new one's stack. */
struct task_from {
    u64 rip;
    u32 eflags;
    bool has_error;
    u32 error;
};
/* Switches to the task whose TSS descriptor d (of selector sel) was read and whose privilege was checked.
 * #GP, #TS, #NP, #SS, #DB (T bit) in either task's context. */
void task_switch(struct cpu *c, u16 sel, struct desc *d, enum task_why why, const struct task_from *from);

/* --- cpu/paging.c --- */
/* True if the PAE page-directory pointers at cr3 are well-formed; loads them into c->pdpte then. */
bool pae_load(struct cpu *c, u64 cr3);
void cpu_tlb_flush(struct cpu *c, bool global);

#endif
