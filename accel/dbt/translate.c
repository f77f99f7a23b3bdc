/* From a program counter to a published block: fetch, lift, compile, register. vCPU threads; one translation at a time (code lock). */
#include <stdlib.h>
#include "accel/dbt/dbt.h"
#include "cpu/lift/lift.h"
#include "disas/disas.h"
#include "mmu/codepage.h"
#include "util/log.h"

#define BLOCK_INSNS_MAX 48

int dbt_fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    struct dbt_fetch *f = opaque;
    struct cpu *c = f->v->c;
    gpa_t gpa;
    u64 linear = pc;
    if (!cpu_is64(c)) {
        const struct seg_reg *cs = &c->seg[S_CS];
        if (pc > cs->limit) {
            f->faulted = f->limit = true;
            return -1;
        }
        n = (unsigned)MIN_OF((u64)n, (u64)cs->limit - pc + 1);
        linear = (u32)(cs->base + pc);
    }
    struct tlb_exec *x;
    if (f->locked && !mem_exec_page(cpu_mem(c), linear, cpu_data_acc(c) | ACC_EXEC, &x, &f->fault) && !x->host) {
        f->faulted = f->device = true;
        return -1;
    }
    int got = mem_fetch(cpu_mem(c), linear, buf, n, cpu_data_acc(c) | ACC_EXEC, &gpa, &f->fault);
    if (got < 0)
        f->faulted = true;
    return got;
}

void dbt_fetch_raise(struct vcpu *v, const struct dbt_fetch *f)
{
    if (f->limit)
        cpu_raise_err(v->c, EXC_GP, 0);
    if (f->device) /* the instruction reaches from RAM into a device */
        cpu_unwind(v->c, UNW_INTERP_ONE);
    cpu_raise_pf(v->c, &f->fault, cpu_data_acc(v->c) | ACC_EXEC);
}

/* The code page's translation; raises a fetch fault. */
static struct tlb_exec *code_page(struct vcpu *v, u64 linear)
{
    struct cpu *c = v->c;
    struct tlb_exec *x;
    struct mem_fault flt;
    unsigned acc = cpu_data_acc(c) | ACC_EXEC;
    if (!cpu_is64(c) && c->rip > c->seg[S_CS].limit)
        cpu_raise_err(c, EXC_GP, 0);
    if (mem_exec_page(cpu_mem(c), linear, acc, &x, &flt))
        cpu_raise_pf(c, &flt, acc);
    return x;
}

/* From now on stores to the page are seen by tb_code_written(). Returns true if another vCPU had it writable and may be between its TLB
 * hit and its store: then all must pass a block boundary before the bytes are read. */
static bool watch_page(struct dbt *d, struct vcpu *self, struct ram_block *ram, u64 off, gpa_t gpa)
{
    bool others = false;
    if (codepage_test(ram, off))
        return false;
    codepage_set(ram, off);
    for (unsigned i = 0; i < d->vm->n_cpus; i++)
        if (tlb_revoke_write(&d->vm->cpu[i]->c->tlb, gpa & PAGE_MASK) && d->vm->cpu[i] != self)
            others = true;
    return others;
}

static void wait_boundary(struct dbt *d)
{
    vcpu_exclusive_begin(d->vm);
    vcpu_exclusive_end(d->vm);
}

static void log_block(const struct ir_block *b, const struct tb *tb)
{
    if (log_on(LOG_IN_ASM) && tb->page[0].ram)
        disas_block(log_file(), mode_bits(tb->mode), tb->pc, tb->page[0].ram->host + tb->page[0].off + tb->page[0].lo,
                    (size_t)(tb->page[0].hi - tb->page[0].lo));
    if (log_on(LOG_IR | LOG_IR_OPT)) {
        GString *s = g_string_new(NULL);
        ir_print(b, s);
        log_print("%s", s->str);
        g_string_free(s, TRUE);
    }
    if (log_on(LOG_OUT_ASM))
        disas_block(log_file(), 64, (u64)(uintptr_t)tb->code.entry, tb->code.entry, tb->code.size);
}

/* Fills in which bytes of which pages the block covers. */
static void tb_pages(struct tb *tb, const struct tlb_exec *x, struct vcpu *v)
{
    unsigned lo = tb->phys & (PAGE_SIZE - 1), end = lo + tb->len;
    tb->page[0].ram = x->ram;
    tb->page[0].off = x->ram_off;
    tb->page[0].lo = (u16)lo;
    tb->page[0].hi = (u16)MIN_OF(end, (unsigned)PAGE_SIZE);
    if (end <= PAGE_SIZE)
        return;
    struct tlb_exec *y;
    struct mem_fault flt;
    u64 linear = dbt_linear_pc(v->c) + tb->len - 1;
    tb->crosses = true;
    if (mem_exec_page(cpu_mem(v->c), cpu_is64(v->c) ? linear : (u32)linear, cpu_data_acc(v->c) | ACC_EXEC, &y, &flt) || !y->ram)
        return; /* cannot be: the bytes were just fetched from there; an uncacheable page leaves phys2 0 */
    tb->phys2 = y->gpa;
    tb->page[1].ram = y->ram;
    tb->page[1].off = y->ram_off;
    tb->page[1].lo = 0;
    tb->page[1].hi = (u16)(end - PAGE_SIZE);
}

/* Lifts and compiles at c->rip with the code lock held. NULL: cache full (retry after a flush) or a fetch fault in f. */
static struct tb *translate_locked(struct dbt *d, struct vcpu *v, const struct tb_key *k, const struct tlb_exec *x,
                                   struct dbt_fetch *f)
{
    struct dbt_vcpu *dv = v->engine;
    struct ir_block *b = dv->block;
    unsigned max = d->one_insn || d->vm->n_bp ? 1 : BLOCK_INSNS_MAX;
    int n = lift_block(b, v->c, k->pc, max, dbt_fetch, f);
    if (n < 0)
        return NULL;
    f->faulted = false;
    struct tb *tb = calloc(1, sizeof(*tb));
    if (!tb)
        g_error("out of memory");
    tb->pc = k->pc;
    tb->cs_base = k->cs_base;
    tb->mode = k->mode;
    tb->phys = k->phys;
    tb->len = (u16)b->len;
    tb->n_insns = (u16)n;
    tb_pages(tb, x, v);
    if (backend_compile(b, tb, &tb->code)) {
        free(tb);
        return NULL;
    }
    d->st.translated++;
    d->st.insns += (unsigned)n;
    d->st.guest_bytes += b->len;
    d->st.host_bytes += tb->code.size;
    log_block(b, tb);
    tb_publish(d, tb);
    return tb;
}

/* Makes the block. Outside of the code section. */
static void translate(struct dbt *d, struct vcpu *v, const struct tb_key *k, const struct tlb_exec *page, u64 linear)
{
    for (;;) {
        struct dbt_fetch f = { .v = v, .locked = true };
        bool others = watch_page(d, v, page->ram, page->ram_off, page->gpa);
        struct tlb_exec *y;
        struct mem_fault flt;
        struct ram_block *ram2 = NULL;
        u64 off2 = 0;
        if ((linear & (PAGE_SIZE - 1)) > PAGE_SIZE - 15 &&
            !mem_exec_page(cpu_mem(v->c), ALIGN_UP(linear + 1, PAGE_SIZE), cpu_data_acc(v->c) | ACC_EXEC, &y, &flt) && y->ram) {
            ram2 = y->ram;
            off2 = y->ram_off;
            others |= watch_page(d, v, ram2, off2, y->gpa);
        }
        if (others)
            wait_boundary(d);
        lock_acquire(&d->lock);
        if (!codepage_test(page->ram, page->ram_off) || (ram2 && !codepage_test(ram2, off2))) {
            lock_release(&d->lock); /* a write emptied the page meanwhile: watch it again */
            continue;
        }
        struct tb *tb = tb_find(d, k);
        if (!tb)
            tb = translate_locked(d, v, k, page, &f);
        lock_release(&d->lock);
        if (tb)
            return;
        if (f.faulted)
            dbt_fetch_raise(v, &f);
        vcpu_exclusive_begin(d->vm);
        tb_flush_all(d);
        vcpu_exclusive_end(d->vm);
    }
}

/* A block that continues on a second page is only good while that page is mapped where it was. */
static bool second_page_ok(struct vcpu *v, const struct tb *tb)
{
    struct tlb_exec *y;
    struct mem_fault flt;
    u64 linear = dbt_linear_pc(v->c) + tb->len - 1;
    unsigned acc = cpu_data_acc(v->c) | ACC_EXEC;
    if (mem_exec_page(cpu_mem(v->c), cpu_is64(v->c) ? linear : (u32)linear, acc, &y, &flt))
        cpu_raise_pf(v->c, &flt, acc);
    return tb->page[1].ram && y->gpa == tb->phys2;
}

struct tb *dbt_block(struct vcpu *v)
{
    struct dbt *d = v->vm->engine;
    struct cpu *c = v->c;
    u64 linear = dbt_linear_pc(c);
    struct tlb_exec page = *code_page(v, linear);
    struct tb *tb;
    if (!page.ram)
        return NULL;
    struct tb_key k = { c->rip, dbt_cs_base(c), c->mode, page.gpa | (linear & (PAGE_SIZE - 1)) };
    ((struct dbt_vcpu *)v->engine)->lookups++;
    while (!(tb = tb_find(d, &k))) {
        vcpu_code_leave(v); /* translation may have to wait until all are out, for a flush; so may others, and drop this block again */
        translate(d, v, &k, &page, linear);
        vcpu_code_enter(v);
    }
    return tb->crosses && !second_page_ok(v, tb) ? NULL : tb;
}
