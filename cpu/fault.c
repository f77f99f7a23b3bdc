/* Raising exceptions and memory access for C code that may fault: fills c->fault and leaves through the run loop's jmp_buf.
 * vCPU thread; called by every helper. Source: SDM vol. 3A chapter 6. */
#include "cpu/fault.h"
#include <setjmp.h>
#include "cpu/debug.h"

struct mem_ctx *cpu_mem(struct cpu *c) { return &c->memctx; }

void cpu_unwind(struct cpu *c, enum cpu_unwind why)
{
    assert(c->fault_jmp);
    longjmp(*(jmp_buf *)c->fault_jmp, why);
}

void cpu_raise(struct cpu *c, int vector)
{
    c->fault = (struct cpu_fault){ .vector = vector };
    cpu_unwind(c, UNW_FAULT);
}

void cpu_raise_err(struct cpu *c, int vector, u32 error)
{
    c->fault = (struct cpu_fault){ .vector = vector, .has_error = true, .error = error };
    cpu_unwind(c, UNW_FAULT);
}

void cpu_raise_db(struct cpu *c, u64 dr6_bits)
{
    c->fault = (struct cpu_fault){ .vector = EXC_DB, .dr6 = dr6_bits };
    cpu_unwind(c, UNW_FAULT);
}

void cpu_raise_pf(struct cpu *c, const struct mem_fault *f, unsigned acc)
{
    assert(f->kind != MF_NONE);
    if (f->kind == MF_NONCANON)
        cpu_raise_err(c, acc & ACC_STACK ? EXC_SS : EXC_GP, c->ext);
    c->cr2 = f->addr;
    cpu_raise_err(c, EXC_PF, f->error);
}

unsigned cpu_data_acc(const struct cpu *c) { return cpu_cpl(c) == 3 ? ACC_USER : 0; }

/* The table that holds what accesses of this kind may use. */
static const struct tlb_table *tlb_table_of(const struct cpu *c, unsigned acc)
{
    const struct walk_regs *r = &c->tlb.regs;
    if (acc & ACC_USER)
        return &c->tlb.t[TLB_USER];
    return &c->tlb.t[r->smap && (!r->ac || acc & ACC_IMPLICIT) ? TLB_KERNEL_SMAP : TLB_KERNEL];
}

u8 *cpu_host_hit(struct cpu *c, gla_t addr, unsigned size, unsigned acc)
{
    if (UNLIKELY(c->memctx.journal))
        return NULL; /* on trial: every write goes through mmu/access.c */
    return tlb_hit(tlb_table_of(c, acc), addr, size, acc & ACC_WRITE);
}

static u64 host_ld(const void *p, unsigned size)
{
    switch (size) {
    case 1:
        return *(const u8 *)p;
    case 2:
        return ld16(p);
    case 4:
        return ld32(p);
    default:
        return ld64(p);
    }
}

static void host_st(void *p, u64 v, unsigned size)
{
    switch (size) {
    case 1:
        *(u8 *)p = (u8)v;
        break;
    case 2:
        st16(p, (u16)v);
        break;
    case 4:
        st32(p, (u32)v);
        break;
    default:
        st64(p, v);
    }
}

u64 cpu_ld_acc(struct cpu *c, gla_t addr, unsigned size, unsigned acc)
{
    struct mem_fault f;
    void *host = cpu_host_hit(c, addr, size, acc);
    u64 v = 0;
    if (LIKELY(host))
        return host_ld(host, size);
    switch (mem_probe(&c->memctx, addr, size, acc, &host, &f)) {
    case PROBE_RAM:
        return host_ld(host, size);
    case PROBE_SLOW:
        if (!mem_read(&c->memctx, addr, &v, size, acc, &f))
            return v;
        break;
    case PROBE_FAULT:
        break;
    }
    cpu_raise_pf(c, &f, acc);
}

void cpu_st_acc(struct cpu *c, gla_t addr, u64 val, unsigned size, unsigned acc)
{
    struct mem_fault f;
    void *host = cpu_host_hit(c, addr, size, acc);
    if (LIKELY(host)) {
        host_st(host, val, size);
        return;
    }
    switch (mem_probe(&c->memctx, addr, size, acc, &host, &f)) {
    case PROBE_RAM:
        host_st(host, val, size);
        return;
    case PROBE_SLOW:
        if (!mem_write(&c->memctx, addr, &val, size, acc, &f))
            return;
        break;
    case PROBE_FAULT:
        break;
    }
    cpu_raise_pf(c, &f, acc);
}

u64 cpu_ld(struct cpu *c, gla_t addr, unsigned size)
{
    debug_check_data(c, addr, size, ACC_READ);
    return cpu_ld_acc(c, addr, size, ACC_READ | cpu_data_acc(c));
}

void cpu_st(struct cpu *c, gla_t addr, u64 val, unsigned size)
{
    debug_check_data(c, addr, size, ACC_WRITE);
    cpu_st_acc(c, addr, val, size, ACC_WRITE | cpu_data_acc(c));
}

void cpu_ld_bytes(struct cpu *c, gla_t addr, void *buf, unsigned n)
{
    struct mem_fault f;
    unsigned acc = ACC_READ | cpu_data_acc(c);
    debug_check_data(c, addr, n, ACC_READ);
    if (mem_read(&c->memctx, addr, buf, n, acc, &f))
        cpu_raise_pf(c, &f, acc);
}

void cpu_st_bytes(struct cpu *c, gla_t addr, const void *buf, unsigned n)
{
    struct mem_fault f;
    unsigned acc = ACC_WRITE | cpu_data_acc(c);
    debug_check_data(c, addr, n, ACC_WRITE);
    if (mem_write(&c->memctx, addr, buf, n, acc, &f))
        cpu_raise_pf(c, &f, acc);
}

void cpu_branch_fault(struct cpu *c, i64 sp_undo)
{
    if (sp_undo > 0)
        cpu_st(c, c->gpr[R_SP], c->call_undo, 8);
    c->gpr[R_SP] += (u64)sp_undo;
    cpu_raise_err(c, EXC_GP, 0);
}
