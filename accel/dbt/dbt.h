/* What the translator's files share: the engine's per-vCPU state and its steps. vCPU threads. */
#ifndef ACCEL_DBT_DBT_H
#define ACCEL_DBT_DBT_H
#include <setjmp.h>
#include "accel/dbt/tb.h"
#include "cpu/fault.h"
#include "cpu/ir/ir.h"

#define BLOCK_INSNS_MAX 48

struct dbt_vcpu {
    jmp_buf jb;                 /* c->fault_jmp */
    struct ir_block *block;     /* for interpretation */
    struct jump_entry *jc;
    /* jump cache: generations of what CPL 0-2 and CPL 3 have in it */
    u64 generation[2];
    bool kernel_local;          /* CPL 0-2 has blocks of pages that are not global in it */
    u64 used[1024];              /* Bloom filter of the linear pages with blocks in it */
    bool fault_pending;         /* c->fault is to be delivered */
    bool interp_next;           /* emitted code handed its current instruction over */
    struct verify *verify;      /* NULL: off */
    u64 chain_from;             /* what dbt_enter returned: an exit to be linked to the next block run; 0: none */
    u64 chain_pc;               /* where that exit leads */
    u64 chain_key, chain_flushes; /* jc_key and count of cache flushes when it was taken */
    u64 lookups, interp_ones;   /* statistics: blocks looked for; instructions interpreted */
};

/* Finds or makes the block at c->rip. NULL: cannot be translated (code in a device): interpret. May raise a fetch fault. Between vcpu_code_enter
 * and vcpu_code_leave, and the block is good until then. */
struct tb *dbt_block(struct vcpu *v);
/* lift_fetch_fn over the vCPU's code TLB; opaque is a struct dbt_fetch. */
struct dbt_fetch {
    struct vcpu *v;
    struct mem_fault fault;
    u64 end;                    /* linear address that it must not read at or behind; 0: none */
    bool faulted, limit;        /* limit: past the end of CS */
    bool locked, device;        /* locked: the code lock is held, so that no device is read; device: there was one */
};
int dbt_fetch(void *opaque, u64 pc, u8 *buf, unsigned n);
/* Raises what dbt_fetch met. */
NORETURN void dbt_fetch_raise(struct vcpu *v, const struct dbt_fetch *f);
/* CS base as an address component: 0 in 64-bit mode. */
static inline u64 dbt_cs_base(const struct cpu *c) { return cpu_is64(c) ? 0 : c->seg[S_CS].base; }
static inline u64 dbt_linear_pc(const struct cpu *c)
{
    return cpu_is64(c) ? c->rip : (u32)(c->rip + c->seg[S_CS].base);
}

#endif
