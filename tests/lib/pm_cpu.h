/* A CPU with descriptor tables, task state segments and a run loop's landing place, for tests of privilege, events and system registers.
 * One test thread. */
#ifndef TESTS_LIB_PM_CPU_H
#define TESTS_LIB_PM_CPU_H
#include "cpu/cpuid.h"
#include "cpu/desc.h"
#include "cpu/fault.h"
#include "cpu/help/help.h"
#include "cpu/platform.h"
#include "tests/lib/fake_cpu.h"

/* Where things lie in RAM. */
enum {
    PM_GDT = 0x10000, PM_IDT = 0x11000, PM_TSS_A = 0x12000, PM_TSS_B = 0x13000, PM_TSS16 = 0x14000, PM_LDT = 0x15000,
    PM_CODE = 0x20000, PM_HANDLER = 0x21000, PM_STACK0 = 0x31000, PM_STACK3 = 0x33000, PM_IST1 = 0x35000,
};
/* Selectors; C code, D data; the digit is the DPL. */
enum {
    SEL_C0 = 0x08, SEL_D0 = 0x10, SEL_C3 = 0x18, SEL_D3 = 0x20, SEL_C0_64 = 0x28, SEL_TSS_A = 0x30, SEL_TSS_B = 0x38, SEL_CONF = 0x40,
    SEL_GATE = 0x48 /* 16 bytes */, SEL_C0_16 = 0x58, SEL_D0_16 = 0x60, SEL_TSS64 = 0x68 /* 16 bytes */, SEL_C3_64 = 0x78, SEL_DOWN = 0x80,
    SEL_LDT = 0x88, SEL_NP = 0x90, SEL_C1 = 0x98, SEL_D1 = 0xa0, SEL_TSS16 = 0xa8, SEL_TASKGATE = 0xb0, SEL_RO = 0xb8, SEL_END = 0xc0,
};

struct pm_cpu {
    struct fake_cpu *f;
    struct cpu *c;
    struct cpu_model *model;
    u8 *ram;
    u64 tsc, wall, real;
    unsigned triple;      /* triple faults */
    unsigned mwaits;      /* calls of the platform's mwait */
    unsigned faults;      /* exceptions raised */
    u64 pmu_timer;        /* what the cycle counters' timer was last set to */
    u64 steal;            /* what the host has stolen, ns */
    u32 kicked;           /* APIC ID of the last KVM_HC_KICK_CPU */
    int first;            /* vector of the first since pm_run began, -1 */
    u32 first_error;
};

/* bits 16: real mode as after reset but at 0:0; 32: flat protected mode at CPL 0; 64: long mode at CPL 0. cpu: -cpu argument or NULL. */
struct pm_cpu *pm_new(unsigned bits, const char *cpu);
void pm_free(struct pm_cpu *p);
/* Puts the CPU at CPL 3 (32- or 64-bit, as it is). */
void pm_user(struct pm_cpu *p);
/* A gate in the IDT (type of SYS_*); long mode: IST in ist. */
void pm_gate(struct pm_cpu *p, unsigned vector, unsigned type, unsigned dpl, u16 sel, u64 off, unsigned ist);
void pm_desc(struct pm_cpu *p, u16 sel, u32 base, u32 limit, u16 attr);
/* Calls a helper as an instruction of the run loop: exceptions are delivered, again and again if that raises. Returns its value. */
u64 pm_help(struct pm_cpu *p, help_fn *fn, u64 a, u64 b, u64 d);
/* Raises (error < 0: without error code) and delivers. */
void pm_raise(struct pm_cpu *p, int vector, i64 error);
void pm_interrupt(struct pm_cpu *p, int vector);
static inline u32 pm_ld32(struct pm_cpu *p, u64 a) { return ld32(p->ram + a); }
static inline u64 pm_ld64(struct pm_cpu *p, u64 a) { return ld64(p->ram + a); }
static inline u16 pm_ld16(struct pm_cpu *p, u64 a) { return ld16(p->ram + a); }

#endif
