/* The architectural state of one vCPU and nothing else; field offsets are an ABI of emitted code. Owned by the vCPU's
 * thread; other threads touch it only while the vCPU is stopped, or through accel/vcpu.h work (exceptions: the fields
 * marked [atomic]). Source: SDM vol. 1 chapter 3, vol. 3A chapter 2. */
#ifndef CPU_CPU_H
#define CPU_CPU_H
#include "cpu/pmu.h"
#include "mmu/access.h"
#include "mmu/tlb.h"
#include "util/base.h"

enum gpr { R_AX, R_CX, R_DX, R_BX, R_SP, R_BP, R_SI, R_DI, R_8, R_9, R_10, R_11, R_12, R_13, R_14, R_15 };
enum seg { S_ES, S_CS, S_SS, S_DS, S_FS, S_GS, SEG_COUNT, S_NONE = 7 };

/* EFLAGS bits. */
enum {
    F_CF = 1 << 0, F_PF = 1 << 2, F_AF = 1 << 4, F_ZF = 1 << 6, F_SF = 1 << 7, F_TF = 1 << 8, F_IF = 1 << 9,
    F_DF = 1 << 10, F_OF = 1 << 11, F_IOPL = 3 << 12, F_NT = 1 << 14, F_RF = 1 << 16, F_VM = 1 << 17,
    F_AC = 1 << 18, F_VIF = 1 << 19, F_VIP = 1 << 20, F_ID = 1 << 21,
    F_ARITH = F_CF | F_PF | F_AF | F_ZF | F_SF | F_OF,
};
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_VME BIT(0)
#define CR4_PVI BIT(1)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_LA57 BIT(12)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define CR4_PKE BIT(22)
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NX BIT(11)
#define MISC_LIMIT_CPUID BIT64(22) /* IA32_MISC_ENABLE */
#define MISC_XD_DISABLE BIT64(34)

/* Exception vectors. */
enum vec {
    EXC_DE, EXC_DB, EXC_NMI, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_DF, EXC_TS = 10, EXC_NP, EXC_SS, EXC_GP,
    EXC_PF, EXC_MF = 16, EXC_AC, EXC_MC, EXC_XM,
};

/* A segment register with its hidden part. `attr` has the layout of descriptor bits 40..55 (type:4 S DPL:2 P, then
 * limit bits left zero, AVL L D/B G in bits 12..15); attr == 0 with P clear means null/unusable. limit is in bytes. */
struct seg_reg {
    u64 base;
    u32 limit;
    u16 sel;
    u16 attr;
};
#define SEGA_TYPE 0x000f
#define SEGA_S BIT(4)
#define SEGA_DPL 0x0060
#define SEGA_P BIT(7)
#define SEGA_L BIT(13)
#define SEGA_DB BIT(14)
#define SEGA_G BIT(15)

struct dtable { /* GDTR, IDTR */
    u64 base;
    u16 limit;
};

/* Bits of struct cpu.mode: what translated code depends on; recomputed by cpu_update_mode() after any change. */
enum cpu_mode {
    MODE_CPL = 3,            /* bits 0-1 */
    MODE_16 = 0 << 2, MODE_32 = 1 << 2, MODE_64 = 2 << 2, MODE_SIZE = 3 << 2, /* code size (CS.D / CS.L) */
    MODE_SS32 = 1 << 4,      /* stack size 32 (or 64 in MODE_64) */
    MODE_PE = 1 << 5,        /* protected (CR0.PE) */
    MODE_VM86 = 1 << 6,
    MODE_LMA = 1 << 7,
    MODE_FLAT = 1 << 8,      /* CS DS ES SS: base 0, limit 4G-1, usable, writable data, readable code; always in MODE_64 */
    MODE_SMAP_AC = 1 << 9,   /* CPL < 3, CR4.SMAP set, EFLAGS.AC = 0: user pages are closed */
    MODE_FPU_NM = 1 << 10,   /* x87/MMX raise #NM: CR0.EM or CR0.TS (exact rule in the helper) */
    MODE_SSE_BAD = 1 << 11,  /* SSE raises #UD/#NM: CR0.EM, !CR4.OSFXSR or CR0.TS */
    MODE_AVX_BAD = 1 << 12,  /* AVX raises: no OSXSAVE, XCR0.AVX, or CR0.TS */
    MODE_SLOW = 1 << 13,     /* alignment checks (CPL 3, CR0.AM, EFLAGS.AC), data or I/O breakpoints: interpret */
    MODE_STEP = 1 << 14,     /* EFLAGS.TF or a debugger's single-step: interpret one at a time */
    MODE_IOPL_OK = 1 << 15,  /* CLI/STI/IN/OUT... allowed without further checks: real mode or CPL <= IOPL (and not VM86) */
    MODE_COUNT = 1 << 16,    /* a performance counter counts instructions at this CPL */
    MODE_COUNT_BR = 1 << 17, /* and another one branches or mispredictions: only with MODE_COUNT */
    MODE_EVEX_BAD = 1 << 18, /* AVX-512 raises: as MODE_AVX_BAD, or XCR0 has not all of its state enabled */
};
static inline unsigned mode_cpl(u32 mode) { return mode & MODE_CPL; }
static inline unsigned mode_bits(u32 mode) { return 16u << (mode >> 2 & 3); } /* 16, 32, 64 */

/* Bits of exit_request. */
enum {
    XREQ_INTR = 1,     /* look at interrupts, NMI, INIT, SIPI */
    XREQ_WORK = 2,     /* queued work (accel/vcpu.h) or stop */
    XREQ_FLUSH = 4,    /* a TLB flush was requested */
    XREQ_DEBUG = 8,
};

#define MONITOR_LINE 64
#define MONITOR_NONE (~0ull)

/* The jump cache, by which emitted code finds the code at a PC (accel/dbt/jumps.c). */
struct jump_entry {
    u64 key;   /* minus (pc + struct cpu.jc_live) */
    void *code;
};
#define JC_BITS 15
#define JC_ENTRIES (1u << JC_BITS)
#define JC_WAYS 2  /* JC_ENTRIES of one way, then those of the other */
#define JC_SHIFT 2
#define JC_MASK ((u64)(JC_ENTRIES - 1) << JC_SHIFT) /* PEXT mask for jc_index() */
/* The place of a pc in each way. Bits of the page are in it, since instructions that cross pages are all at the same offsets; what lies within four bytes
 * shares a place, so that a line of the host's cache has more that is used. */
static inline unsigned jc_index(u64 pc) { return (unsigned)(pc >> JC_SHIFT) & (JC_ENTRIES - 1); }

struct clock_base;
struct cpu_platform; /* cpu/platform.h */
struct cpu_model;    /* cpu/cpuid.h */
struct aspace;

struct cpu {
    /* --- hot: emitted code addresses these from the pinned pointer --- */
    u64 gpr[16];
    u64 rip;
    u16 aflags;          /* arithmetic flags as saved by LAHF; SETO AL: AH = SF ZF . AF . PF . CF, AL bit 0 = OF */
    u8 iflag, dflag;     /* EFLAGS.IF, EFLAGS.DF as 0/1 */
    u32 sysflags;        /* TF IOPL NT RF VM AC VIF VIP ID in place; arithmetic, IF, DF bits are zero here */
    u16 kept_aflags;     /* aflags as they were when a host exception came in emitted code, which may keep the flags there */
    u32 exit_request;    /* [atomic] non-zero: leave emitted code at the next block boundary */
    u32 mode;            /* enum cpu_mode */
    u64 jc_key;          /* [atomic] jump cache: what is added to a PC to make its key: jc_live, or JC_CLOSED while exit_request is set */
    u64 jc_mask;         /* JC_MASK */
    u64 pc_page;         /* while a block with ir_block.rel runs: the page of its PC */
    struct seg_reg seg[SEG_COUNT];
    u64 scratch[16];     /* spill slots of emitted code */
    u64 call_undo;       /* what the push of an indirect CALL in 64-bit mode overwrote */
    u64 host_sp;         /* C stack of the run loop while emitted code runs */
    u64 branch_site;     /* host address behind the jump-cache look-up that failed last */
    u32 mxcsr;           /* guest MXCSR */
    u32 host_mxcsr;
    u32 x87_live;        /* 1: the guest's x87/MMX state is in the host FPU, not in fx[] (cpu/help/x87.h) */
    u32 int_shadow;      /* 1: after STI, 2: after MOV SS/POP SS: interrupts (and, for 2, #DB) wait one instruction */
    u64 x87_fip, x87_fdp;
    u16 x87_fop, x87_fcs, x87_fds;
    u64 fault_linear;    /* linear address given to a slow path, for -d mmu */
    u32 shadow_was;      /* int_shadow when a block was entered in it, no event being in sight; 0: it was not */
    u32 zmm_live;        /* 1: AVX-512 state may be in use. 0: kreg, zmm16-31 and bytes 32-63 of zmm0-15 are zero */
    u64 shadow_pc;       /* where: an event that comes before its first instruction is executed still waits (cpu_shadow_back) */
    u32 zmm_here;        /* 1: zmm16-31 and k0-7 are in the host's registers; only within emitted code, and then zmm_live is 1 */
    void *region;        /* the engine's: which region (accel/dbt/opt) was entered last */

    /* --- vector and x87 state --- */
    u8 vreg[32][64] __attribute__((aligned(64))); /* zmm0..31; xmm/ymm are the low parts */
    u64 kreg[8];
    u8 fx[512] __attribute__((aligned(64)));      /* FXSAVE image: x87/MMX part valid when !x87_live */
    u8 across[128] __attribute__((aligned(64)));  /* what emitted code reads across the end of a page */

    /* --- system --- */
    struct seg_reg ldt, tr;
    struct dtable gdt, idt;
    u64 cr0, cr2, cr3, cr4, xcr0, xss, efer;
    u64 pdpte[4];        /* PAE page-directory pointers, loaded with CR3 */
    u64 dr[8];
    u32 pkru;
    u64 star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 tsc_offset, tsc_adjust; /* guest TSC = platform TSC + tsc_offset */
    u64 pat, misc_enable, mtrr_def, mtrr_fix[11], mtrr_base[8], mtrr_mask[8], mcg_status, mc_ctl[10][4], spec_ctrl, feature_control;
    u64 debugctl, kvmclock_msr, kvmclock_wall, steal_msr;
    u64 steal_time, steal_seen; /* of the last update: system time, and what the host had stolen, ns */
    bool pv_kicked;             /* [atomic] KVM_HC_KICK_CPU: ends this HLT, or the next one */
    u64 mcg_ctl, hwcr;
    u64 monitor_gpa;                /* MONITOR's line, or MONITOR_NONE */
    u8 monitor_was[MONITOR_LINE];   /* what it held then */
    bool halted, wait_sipi, nmi_blocked, smm;
    u8 nmi_pending;                 /* [atomic] NMIs that have come: cpu/fault.h */
    bool init_pending;              /* [atomic] */
    u16 sipi_vector;                /* [atomic] 0x100 | vector when pending */

    /* --- identity and connections, constant after creation --- */
    unsigned index;
    const struct cpu_model *model;
    bool vmware_user;    /* -machine vmport=on: cpu/vmware.h */
    const struct cpu_platform *plat;
    void *plat_opaque;
    struct aspace *mem, *io;
    void *lapic;
    const struct lapic_ops *lapic_ops;
    const bool *intr_ready; /* [atomic] the local APIC's: a maskable interrupt is deliverable; NULL: there is none */

    /* --- exceptions in flight: cpu/fault.h --- */
    struct cpu_fault {
        int vector;
        bool has_error, soft; /* soft: INT n, INT3, INTO */
        u32 error;
        u64 dr6;              /* bits for #DB */
    } fault;
    void *fault_jmp;          /* jmp_buf of the run loop */
    u8 delivering;            /* enum fault_class of the first event while one is being delivered, else 0 */
    u8 ext;                   /* EXT bit of selector error codes: 1 while an external event is being delivered */

    /* --- debug exceptions: cpu/debug.h --- */
    bool debug_step;          /* the engine's user single-steps: sets MODE_STEP */
    bool step_trap;           /* TF was set when the current instruction began (SYSCALL, SYSRET: when it ended) */
    bool rf_keep;             /* the current instruction loaded RF: do not clear it at its end */
    u32 db_pending;           /* DR6 bits of data and I/O breakpoints met by the current instruction */

    struct mem_ctx memctx;    /* filled at the vCPU's creation; cpu_mem() */
    struct tlb tlb;
    struct jump_entry jc[JC_WAYS * JC_ENTRIES];
    u64 jc_live;         /* generation, mode and CS base; owner thread */
    u64 jc_cs_base;      /* the CS base that is in it */
    struct pmu pmu;
    const struct clock_base *tsc_base; /* constant: the platform TSC is this clock's time in ns; NULL: plat->tsc alone knows it */
};

/* Has the CPU leave emitted code: bits of exit_request. While they are set nothing is found in the jump cache. Any thread. */
#define JC_CLOSED 0x9d3f51c2a86be047ull
static inline void cpu_request_exit(struct cpu *c, u32 bits)
{
    __atomic_fetch_or(&c->exit_request, bits, __ATOMIC_SEQ_CST);
    __atomic_store_n(&c->jc_key, JC_CLOSED, __ATOMIC_SEQ_CST);
}
/* The jump cache is open again, unless something is requested: this looks after its store, whoever requests stores after the request. Owner thread. */
static inline void cpu_jumps_open(struct cpu *c)
{
    __atomic_store_n(&c->jc_key, c->jc_live, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&c->exit_request, __ATOMIC_SEQ_CST))
        __atomic_store_n(&c->jc_key, JC_CLOSED, __ATOMIC_SEQ_CST);
}

/* RFLAGS as software sees it / its parts stored back. cpu_set_rflags does not call cpu_update_mode. */
static inline u32 cpu_arith(const struct cpu *c)
{
    return (c->aflags >> 8 & (F_CF | F_PF | F_AF | F_ZF | F_SF)) | (u32)(c->aflags & 1) << 11;
}
static inline void cpu_set_arith(struct cpu *c, u32 f)
{
    c->aflags = (u16)((f & (F_CF | F_PF | F_AF | F_ZF | F_SF)) << 8 | 0x200 | (f >> 11 & 1));
}
static inline u64 cpu_rflags(const struct cpu *c)
{
    return c->sysflags | cpu_arith(c) | (u32)c->iflag << 9 | (u32)c->dflag << 10 | 2;
}
static inline void cpu_set_rflags(struct cpu *c, u64 f)
{
    cpu_set_arith(c, (u32)f);
    c->iflag = f >> 9 & 1;
    c->dflag = f >> 10 & 1;
    c->sysflags = (u32)f & (F_TF | F_IOPL | F_NT | F_RF | F_VM | F_AC | F_VIF | F_VIP | F_ID);
}
static inline unsigned cpu_cpl(const struct cpu *c) { return c->mode & MODE_CPL; }
static inline bool cpu_is64(const struct cpu *c) { return (c->mode & MODE_SIZE) == MODE_64; }

static inline bool cpu_intr_ready(const struct cpu *c) { return c->intr_ready && __atomic_load_n(c->intr_ready, __ATOMIC_ACQUIRE); }

/* A block is entered in an interrupt shadow, since no event is in sight. */
static inline void cpu_shadow_drop(struct cpu *c)
{
    c->shadow_was = c->int_shadow;
    c->shadow_pc = c->rip;
    c->int_shadow = 0;
}
/* Control is back; if its first instruction was left undone, for another way of executing it, the shadow is still there. */
static inline void cpu_shadow_back(struct cpu *c)
{
    if (c->shadow_was && c->rip == c->shadow_pc)
        c->int_shadow = c->shadow_was;
    c->shadow_was = 0;
}

/* Recomputes c->mode (and jc_key, TLB mode) from the state. Call after changing CS, SS, CR0, CR4, EFER, XCR0, DR7, the data
 * segments, or EFLAGS bits TF AC VM IOPL. Owner thread. */
void cpu_update_mode(struct cpu *c);
/* Power-on / RESET# (SDM vol. 3A table 10-1); init: INIT# (keeps FPU, MSRs, caches). CPUs other than 0 then wait for a SIPI. The local
 * APIC is reset by the caller. */
void cpu_reset(struct cpu *c, bool init);

#endif
