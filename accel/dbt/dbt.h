/* What the translator's files share: the engine's per-vCPU state and its steps. vCPU threads. */
#ifndef ACCEL_DBT_DBT_H
#define ACCEL_DBT_DBT_H
#include <setjmp.h>
#include "accel/dbt/stats.h"
#include "accel/dbt/tb.h"
#include "cpu/fault.h"
#include "cpu/ir/ir.h"

#define BLOCK_INSNS_MAX 48

struct dbt_vcpu {
    jmp_buf jb;                 /* c->fault_jmp */
    struct ir_block *block;     /* for interpretation */
    bool kernel_local;          /* CPL 0-2 has blocks of pages that are not global in the jump cache */
    u64 used[1024];              /* Bloom filter of the linear pages with blocks in it */
    bool fault_pending;         /* c->fault is to be delivered */
    bool interp_next;           /* emitted code handed its current instruction over */
    enum dbt_interp interp_why; /* then: why */
    struct verify *verify;      /* NULL: off */
    u64 chain_from;             /* what dbt_enter returned: an exit to be linked to the next block run; 0: none */
    u64 chain_pc;               /* where that exit leads */
    u64 chain_key, chain_flushes; /* jc_live and count of cache flushes when it was taken */
    struct dbt_vcpu_stats st;
    u64 random;                 /* stress-invalidate: state of its generator */
};

/* Finds or makes the block at c->rip. NULL: cannot be translated (code in a device): interpret. May raise a fetch fault. Between vcpu_code_enter
 * and vcpu_code_leave, and the block is good until then. */
struct tb *dbt_block(struct vcpu *v);
/* lift_fetch_fn over the vCPU's code TLB; opaque is a struct dbt_fetch. */
struct dbt_fetch {
    struct vcpu *v;
    struct mem_fault fault;
    u64 end;                    /* linear address that it must not read at or behind; 0: none */
    u64 page;                   /* linear address of a page that is at `host`; without that it is looked for */
    const u8 *host;
    bool faulted, limit;        /* limit: past the end of CS */
    bool locked, device;        /* locked: the code lock is held, so that no device is read; device: there was one */
};
/* Leaves emitted code, or the making of a block: the instruction at rip is the interpreter's. */
NORETURN void dbt_unwind_interp(struct cpu *c, enum dbt_interp why);
int dbt_fetch(void *opaque, u64 pc, u8 *buf, unsigned n);
/* Raises what dbt_fetch met. */
NORETURN void dbt_fetch_raise(struct vcpu *v, const struct dbt_fetch *f);
/* --- the jump cache (jumps.c) --- */
/* c->jc_live anew: after a change of mode, CS base, generation. */
void jumps_rekey(struct vcpu *v);
/* The TLB was flushed: voids what that may have made wrong. */
void jumps_flushed(struct vcpu *v);
/* Enters the block for the present rip, which dbt_block has just found. */
void jumps_insert(struct vcpu *v, struct tb *tb);
/* Nobody wants to see each block. */
bool jumps_allowed(const struct vcpu *v);

/* CS base as an address component: 0 in 64-bit mode. */
static inline u64 dbt_cs_base(const struct cpu *c) { return cpu_is64(c) ? 0 : c->seg[S_CS].base; }
static inline u64 dbt_linear_pc(const struct cpu *c)
{
    return cpu_is64(c) ? c->rip : (u32)(c->rip + c->seg[S_CS].base);
}

/* What the block at the present rip is found by; page: the physical page of linear, its linear address. */
static inline struct tb_key dbt_key(const struct cpu *c, gpa_t page, u64 linear)
{
    return (struct tb_key){ ir_mode_rel(c->mode) ? 0 : c->rip, dbt_cs_base(c), c->mode, page | (linear & (PAGE_SIZE - 1)) };
}

#endif
