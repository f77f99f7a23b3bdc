/* Memory operands of the interpreter: probes through the software TLB, atomic updates, carried instructions. vCPU thread;
 * called by interp.c. */
#include "cpu/debug.h"
#include "cpu/help/carry.h"
#include "cpu/ir/interp_impl.h"

gla_t interp_linear(const struct cpu *c, unsigned seg, u64 off, unsigned asize)
{
    if (seg == S_NONE)
        return off;
    off = zext(off, asize);
    if (cpu_is64(c))
        return seg >= S_FS ? off + c->seg[seg].base : off;
    return (u32)(off + c->seg[seg].base);
}

/* Misaligned operands of carried SSE instructions are found before paging faults are: the probe's user decides. */
static void check_carry_align(const struct interp *it, gla_t lin, const struct ir_op *probe)
{
    const struct ir_op *end = it->b->op + it->b->n_ops;
    for (const struct ir_op *o = probe + 1; o < end && o->code != IR_INSN && o->code != IR_PROBE; o++) {
        if (o->code != IR_VEC)
            continue;
        unsigned align = it->b->carry[o->imm].mem_align;
        if (align > 1 && ((lin + o->ptr_off) & (align - 1)))
            cpu_raise_err(it->c, EXC_GP, 0);
    }
}

void interp_probe(struct interp *it, gla_t lin, const struct ir_op *op)
{
    struct cpu *c = it->c;
    struct mem_fault f;
    void *host;
    unsigned acc = (op->acc & ~(unsigned)ACC_MASKED) | cpu_data_acc(c);
    it->lin = lin;
    it->size = op->size;
    it->acc = (u8)acc;
    it->host = cpu_host_hit(c, lin, op->size, acc);
    if (!it->host) {
        switch (mem_probe(cpu_mem(c), lin, op->size, acc, &host, &f)) {
        case PROBE_RAM:
            it->host = host;
            break;
        case PROBE_SLOW:
            break;
        case PROBE_FAULT:
            if (op->acc & ACC_MASKED) /* perhaps only elements that do not count */
                break;
            check_carry_align(it, lin, op);
            c->fault_linear = lin;
            cpu_raise_pf(c, &f, acc);
        }
    }
    debug_check_data(c, lin, op->size, acc & (ACC_READ | ACC_WRITE));
}

u64 interp_ptr_read(struct interp *it, unsigned off, unsigned size)
{
    u64 v = 0;
    struct mem_fault f;
    if (it->host) {
        const u8 *p = it->host + off;
        return size == 1 ? *p : size == 2 ? ld16(p) : size == 4 ? ld32(p) : ld64(p);
    }
    if (mem_read(cpu_mem(it->c), it->lin + off, &v, size, it->acc, &f))
        cpu_raise_pf(it->c, &f, it->acc);
    return v;
}

static void ptr_write_slow(struct interp *it, unsigned off, const void *buf, unsigned n)
{
    struct mem_fault f;
    if (mem_write(cpu_mem(it->c), it->lin + off, buf, n, it->acc, &f))
        cpu_raise_pf(it->c, &f, it->acc);
    it->stop = true;
}

void interp_ptr_write(struct interp *it, unsigned off, u64 val, unsigned size)
{
    if (!it->host) {
        ptr_write_slow(it, off, &val, size);
        return;
    }
    u8 *p = it->host + off;
    switch (size) {
    case 1: *p = (u8)val; break;
    case 2: st16(p, (u16)val); break;
    case 4: st32(p, (u32)val); break;
    default: st64(p, val); break;
    }
}

void interp_ptr_rmw(struct interp *it, unsigned off, unsigned size, mem_rmw_fn *fn, void *opaque)
{
    struct mem_fault f;
    if (it->host) {
        host_rmw(it->host + off, size, fn, opaque);
        return;
    }
    if (mem_rmw(cpu_mem(it->c), it->lin + off, size, it->acc, fn, opaque, &f))
        cpu_raise_pf(it->c, &f, it->acc);
    it->stop = true;
}

/* Element i of a masked memory operand is accessed. */
static bool element_counts(const struct carry *k, u64 mask, unsigned i)
{
    mask &= MASK64(k->el_bits);
    if (k->el_packed)
        return i < (unsigned)__builtin_popcountll(mask);
    for (; i < k->el_bits; i += k->el_count)
        if (mask >> i & 1)
            return true;
    return false;
}

/* A masked operand that is not plain memory as a whole: all that counts is checked, or read, then written. */
static void carry_masked(struct interp *it, const struct carry *k, gla_t lin)
{
    struct cpu *c = it->c;
    u8 room[64 + 64] __attribute__((aligned(64))) = { 0 };
    u8 *bounce = room + (lin & 63);
    u64 mask = c->kreg[k->aaa];
    struct mem_fault f;
    void *host;
    for (unsigned i = 0; i < k->el_count; i++) {
        unsigned at = i * k->el_size;
        if (!element_counts(k, mask, i))
            continue;
        if (it->acc & ACC_WRITE ? mem_probe(cpu_mem(c), lin + at, k->el_size, it->acc, &host, &f) == PROBE_FAULT
                                : mem_read(cpu_mem(c), lin + at, bounce + at, k->el_size, it->acc, &f))
            cpu_raise_pf(c, &f, it->acc);
    }
    carry_exec(c, k, bounce);
    for (unsigned i = 0; it->acc & ACC_WRITE && i < k->el_count; i++)
        if (element_counts(k, mask, i))
            ptr_write_slow(it, i * k->el_size, bounce + i * k->el_size, k->el_size);
}

void interp_carry(struct interp *it, const struct ir_op *op)
{
    const struct carry *k = &it->b->carry[op->imm];
    struct cpu *c = it->c;
    if (k->rm_class != CC_MEM) {
        carry_exec(c, k, NULL);
        return;
    }
    gla_t lin = it->lin + op->ptr_off;
    /* x87: the host knows whether a pending #MF comes first. EVEX: and whether an operand without an element that counts is checked. */
    bool host_knows = k->x87 || (k->el_count && !(c->kreg[k->aaa] & MASK64(k->el_bits)));
    if (k->mem_align > 1 && (lin & (k->mem_align - 1u)) && !host_knows)
        cpu_raise_err(c, EXC_GP, 0);
    if (it->host) {
        carry_exec(c, k, it->host + op->ptr_off);
        return;
    }
    if (k->el_count) {
        carry_masked(it, k, lin);
        return;
    }
    u8 room[64 + 256] __attribute__((aligned(64)));
    u8 *bounce = room + (lin & 63);
    struct mem_fault f;
    /* An x87 store that raises an unmasked exception writes nothing: the bounce buffer must hold what is there. */
    if ((it->acc & ACC_READ || op->code == IR_X87) && mem_read(cpu_mem(c), lin, bounce, k->mem_size, it->acc, &f))
        cpu_raise_pf(c, &f, it->acc);
    bool stored = carry_exec(c, k, bounce);
    if (stored && it->acc & ACC_WRITE)
        ptr_write_slow(it, op->ptr_off, bounce, k->mem_size);
}
