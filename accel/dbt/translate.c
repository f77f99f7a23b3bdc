/* From a program counter to a published block: fetch, lift, compile, register. vCPU threads; one translation at a time (code lock). */
#include <stdlib.h>
#include "accel/dbt/dbt.h"
#include "accel/dbt/pcache.h"
#include "accel/dbt/perfmap.h"
#include "cpu/cpuid.h"
#include "cpu/lift/lift.h"
#include "cpu/predict.h"
#include "disas/disas.h"
#include "mmu/codepage.h"
#include "util/err.h"
#include "util/log.h"

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
    if (f->end)
        n = (unsigned)MIN_OF((u64)n, f->end - linear);
    if (f->host && (linear & PAGE_MASK) == f->page) {
        n = MIN_OF(n, (unsigned)(PAGE_SIZE - (linear & (PAGE_SIZE - 1))));
        memcpy(buf, f->host + (linear & (PAGE_SIZE - 1)), n);
        return (int)n;
    }
    struct tlb_exec *x;
    if (f->locked && !mem_exec_page(cpu_mem(c), linear, cpu_data_acc(c) | ACC_EXEC, &x, &f->fault) && !x->host) {
        f->faulted = f->device = true;
        return -1;
    }
    int got = !n ? 0 : mem_fetch(cpu_mem(c), linear, buf, n, cpu_data_acc(c) | ACC_EXEC, &gpa, &f->fault);
    if (got < 0)
        f->faulted = true;
    return got;
}

void dbt_fetch_raise(struct vcpu *v, const struct dbt_fetch *f)
{
    if (f->limit)
        cpu_raise_err(v->c, EXC_GP, 0);
    if (f->device) /* the instruction reaches from RAM into a device */
        dbt_unwind_interp(v->c, INTERP_NO_BLOCK);
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

/* Bytes from which a block may be made. They are watched before it is known how long it will be. */
struct watch {
    struct ram_block *ram; /* NULL: nothing */
    u64 off;               /* of the page */
    u64 grains, fresh;     /* all; those that were not watched before */
    u32 clears;            /* *tb_clears() before that */
};

/* Stores to the bytes are seen, also the ones that tb_code_clear() has made way for. Code lock: whoever stores from now on waits for it, and then
 * drops what is made of them. */
static bool watch_holds(struct dbt *d, const struct watch *w)
{
    return !w->ram || (!(w->grains & ~codepage_get(w->ram, w->off)) && *tb_clears(d, w->ram, w->off) == w->clears);
}

/* The block has been made, or not: gives back what is watched for nothing. Code lock. */
static void watch_trim(const struct dbt *d, const struct watch *w)
{
    if (w->ram && w->fresh)
        codepage_clear(w->ram, w->off, w->fresh & ~tb_page_grains(d, w->ram, w->off));
}

/* From now on stores to [off, off + len), within one page, are seen by tb_code_written(). Returns true if another vCPU may be between its TLB
 * hit, or its look at the grains, and its store: then all must pass a block boundary before the bytes are read. */
static bool watch_bytes(struct dbt *d, struct vcpu *self, struct watch *w, const struct tlb_exec *x, unsigned off, unsigned len)
{
    bool others = false;
    u32 clears = __atomic_load_n(tb_clears(d, x->ram, x->ram_off), __ATOMIC_SEQ_CST);
    u64 grains = codepage_grains(off, len), had = codepage_set(x->ram, x->ram_off, grains);
    *w = (struct watch){ x->ram, x->ram_off, grains, grains & ~had, clears };
    u64 beside = mem_beside_bit(x->host);
    bool tagged = !had && __atomic_exchange_n(&x->ram->tagged[x->ram_off >> PAGE_BITS], 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < d->vm->n_cpus; i++) {
        struct vcpu *v = d->vm->cpu[i];
        bool writes = __atomic_load_n(&cpu_mem(v->c)->beside, __ATOMIC_SEQ_CST) & beside;
        if (tagged)
            writes |= tlb_revoke_write(&v->c->tlb, x->gpa & PAGE_MASK);
        others |= writes && v != self;
    }
    return others;
}

/* b: NULL if the block was not made of IR. */
static void log_block(const struct ir_block *b, const struct tb *tb)
{
    if (log_on(LOG_IN_ASM) && tb->page[0].ram)
        disas_block(log_file(), mode_bits(tb->mode), tb->pc, tb->page[0].ram->host + tb->page[0].off + tb->page[0].lo,
                    (size_t)(tb->page[0].hi - tb->page[0].lo));
    if (b && log_on(LOG_IR | LOG_IR_OPT)) {
        GString *s = g_string_new(NULL);
        ir_print(b, s);
        log_print("%s", s->str);
        g_string_free(s, TRUE);
    }
    if (log_on(LOG_OUT_ASM)) {
        disas_block(log_file(), 64, (u64)(uintptr_t)tb->code.body, tb->code.body, tb->code.size);
        disas_block(log_file(), 64, (u64)(uintptr_t)tb->code.cold, tb->code.cold, tb->code.cold_size);
    }
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
    if (y->ram == x->ram && y->ram_off == x->ram_off) { /* mapped twice in a row: the block is in the page's list once, and never entered */
        tb->page[0].lo = 0;
        return;
    }
    tb->phys2 = y->gpa;
    tb->page[1].ram = y->ram;
    tb->page[1].off = y->ram_off;
    tb->page[1].lo = 0;
    tb->page[1].hi = (u16)(end - PAGE_SIZE);
}

static void tb_holes(struct tb *tb, const struct ir_block *b)
{
    for (unsigned i = 0; i < b->n_soft; i++) {
        tb->hole[i].lo = (u16)(tb->page[0].lo + b->soft_at[i].off);
        tb->hole[i].hi = (u16)(tb->hole[i].lo + b->soft_at[i].size);
    }
    tb->n_holes = b->n_soft;
}

#define WATCH_BYTES 512 /* what a block may be made of: more than nearly all are */

static struct tb *tb_make(struct dbt *d, const struct cpu *c, const struct tb_key *k, unsigned len, unsigned n_insns)
{
    struct tb *tb = tb_new(&d->all);
    if (!tb)
        g_error("out of memory");
    tb->pc = c->rip;
    tb->cs_base = k->cs_base;
    tb->mode = k->mode;
    tb->phys = k->phys;
    tb->len = (u16)len;
    tb->n_insns = (u16)n_insns;
    return tb;
}

static void tb_done(struct dbt *d, const struct ir_block *b, struct tb *tb)
{
    log_block(b, tb);
    perfmap_block(tb);
    tb_publish(d, tb);
}

/* --- blocks of an earlier run --- */
/* False: what the cache has is not to be used, nor is it to get anything. */
static bool pcache_key_at(struct dbt *d, const struct cpu *c, const struct tb_key *k, const struct tlb_exec *x, struct pcache_key *pk)
{
    if (!d->pcache || d->one_insn || d->max_insns < BLOCK_INSNS_MAX || d->vm->n_bp || k->mode & MODE_COUNT || log_on(LOG_IR | LOG_IR_OPT))
        return false;
    unsigned off = k->phys & (PAGE_SIZE - 1);
    u64 limit = cpu_is64(c) ? 0 : c->seg[S_CS].limit;
    *pk = (struct pcache_key){ c->rip, k->cs_base, limit, k->mode, MIN_OF(WATCH_BYTES, (u32)PAGE_SIZE - off), x->ram->host + x->ram_off + off };
    if (!cpu_is64(c))
        pk->n = (u32)MIN_OF((u64)pk->n, limit - c->rip + 1);
    if (!pcache_is_open(d->pcache))
        pcache_open(d->pcache, c->model->feat);
    return true;
}

/* Takes the block from the cache. NULL: not possible, or *full. */
static struct tb *load_block(struct dbt *d, struct vcpu *v, const struct tb_key *k, const struct tlb_exec *x, const struct pcache_record *r, bool *full)
{
    struct tb *tb = tb_make(d, v->c, k, r->len, r->n_insns);
    const struct image_place at = { v->c->rip, r->pc, k->mode, ir_mode_rel(k->mode) };
    int bad = backend_load(&r->image, pcache_image_bytes(r), &at, tb, &tb->code);
    if (bad) {
        *full = bad == IMAGE_FULL;
        if (!*full)
            pcache_stats(d->pcache)->unfit++;
        tb_unmake(&d->all);
        return NULL;
    }
    tb_pages(tb, x, v);
    pcache_stats(d->pcache)->insns += r->n_insns;
    tb_done(d, NULL, tb);
    return tb;
}

/* cache-check=on: what was just made, at the same place in a line, is what r has. */
static void check_block(struct dbt *d, const struct tb *tb, const struct pcache_record *r)
{
    struct pcache_stats *st = pcache_stats(d->pcache);
    st->checked++;
    if (tb->len != r->len || !backend_same(&tb->code, tb, tb->pc, tb->mode, &r->image, pcache_image_bytes(r), r->pc)) {
        if (!st->wrong++)
            warn_report("-accel dbt,cache-check: other code at %llx, mode %x", (unsigned long long)tb->pc, tb->mode);
    }
}

/* --- making blocks --- */
/* Lifts and compiles at c->rip with the code lock held. NULL: cache full (retry after a flush) or a fetch fault in f. pk: NULL, or what the block may be
 * kept by for later runs. */
static struct tb *make_block(struct dbt *d, struct vcpu *v, const struct tb_key *k, const struct tlb_exec *x, struct dbt_fetch *f, const u64 *soft,
                             const struct pcache_key *pk, u32 hash)
{
    struct dbt_vcpu *dv = v->engine;
    struct ir_block *b = dv->block;
    stopwatch_start(&d->watch, d->st.translated % STATS_EVERY == 0);
    unsigned max = d->one_insn || d->vm->n_bp ? 1 : d->max_insns;
    int n = lift_block_soft(b, v->c, v->c->rip, max, dbt_fetch, f, x->ram->host + x->ram_off + (k->phys & (PAGE_SIZE - 1)), soft);
    if (n < 0)
        return NULL;
    f->faulted = false;
    stopwatch_phase(&d->watch, PHASE_LIFT);
    bool keep = pk && b->len <= pk->n;
    u32 fields = b->n_fields * (u32)sizeof(struct ir_field);
    struct tb *tb = tb_make(d, v->c, k, b->len, (unsigned)n);
    tb->branch = branch_kind_at_end(b) != BR_NONE;
    tb_pages(tb, x, v);
    tb_holes(tb, b);
    if (backend_compile(b, tb, &tb->code)) {
        tb_unmake(&d->all);
        return NULL;
    }
    stopwatch_phase(&d->watch, PHASE_EMIT);
    if (keep && tb->code.n_relocs && !tb->crosses && (tb->source = tb_store_bytes(&d->all, fields + b->len))) {
        tb->keep = true;
        tb->moves = b->moves;
        tb->n_fields = (u16)b->n_fields;
        tb->hash = hash;
        tb->cs_limit = pk->cs_limit;
        memcpy(tb->source, b->field, fields);
        memcpy(tb->source + fields, pk->bytes, b->len);
    }
    d->st.translated++;
    d->st.insns += (unsigned)n;
    d->st.guest_bytes += b->len;
    d->st.host_bytes += tb->code.size + tb->code.cold_size;
    tb_done(d, b, tb);
    stopwatch_phase(&d->watch, PHASE_PUBLISH);
    d->watch.insns += d->watch.on ? (unsigned)n : 0;
    return tb;
}

/* Finds what an earlier run has left, or makes it; as make_block. */
static struct tb *translate_locked(struct dbt *d, struct vcpu *v, const struct tb_key *k, const struct tlb_exec *x, struct dbt_fetch *f)
{
    const u64 *soft = d->verify || !cpu_is64(v->c) ? NULL : tb_soft_bytes(d, x->ram, x->ram_off + (k->phys & (PAGE_SIZE - 1)), WATCH_BYTES);
    struct pcache_key pk;
    if (!pcache_key_at(d, v->c, k, x, &pk))
        return make_block(d, v, k, x, f, soft, NULL, 0);
    u32 hash = pcache_hash(&pk);
    const struct pcache_record *r = soft ? NULL : pcache_find(d->pcache, &pk, hash);
    bool full = false, check = r && d->pcache_check;
    struct tb *tb = r && !check ? load_block(d, v, k, x, r, &full) : NULL;
    if (tb || full)
        return tb;
    if (check)
        backend_place(r->phase);
    tb = make_block(d, v, k, x, f, soft, &pk, hash);
    if (check) {
        backend_place(-1);
        if (tb)
            check_block(d, tb, r);
    }
    if (tb && r)
        tb->keep = false; /* it is there */
    return tb;
}

/* Watches what the block at linear may be made of. True: see watch_bytes. */
static bool watch_source(struct dbt *d, struct vcpu *v, const struct tlb_exec *page, u64 linear, struct watch w[2])
{
    struct tlb_exec *y;
    struct mem_fault flt;
    unsigned off = linear & (PAGE_SIZE - 1), len = MIN_OF(WATCH_BYTES, PAGE_SIZE - off);
    bool others = watch_bytes(d, v, &w[0], page, off, len);
    w[1].ram = NULL;
    if (off > PAGE_SIZE - 15 && !mem_exec_page(cpu_mem(v->c), ALIGN_UP(linear + 1, PAGE_SIZE), cpu_data_acc(v->c) | ACC_EXEC, &y, &flt) && y->ram)
        others |= watch_bytes(d, v, &w[1], y, 0, 15);
    return others;
}

enum attempt { MADE, FULL, FAULT, AGAIN };

/* One try, with its bytes watched. stopped: the other vCPUs are. */
static enum attempt translate_watched(struct dbt *d, struct vcpu *v, const struct tb_key *k, const struct tlb_exec *page, u64 linear,
                                      struct dbt_fetch *f, bool stopped)
{
    struct watch w[2];
    enum attempt ret = AGAIN;
    *f = (struct dbt_fetch){ .v = v, .locked = true, .end = linear + WATCH_BYTES, .page = linear & PAGE_MASK, .host = page->host };
    bool others = watch_source(d, v, page, linear, w);
    lock_acquire(&d->lock);
    if ((stopped || !others) && watch_holds(d, &w[0]) && watch_holds(d, &w[1]))
        ret = tb_find(d, k) || translate_locked(d, v, k, page, f) ? MADE : f->faulted ? FAULT : FULL;
    for (unsigned i = 0; i < 2; i++)
        watch_trim(d, &w[i]);
    lock_release(&d->lock);
    return ret;
}

/* Makes the block. Outside of the code section. Where another vCPU may be storing to the bytes, it is made while all others wait at a block boundary. */
static void translate(struct dbt *d, struct vcpu *v, const struct tb_key *k, const struct tlb_exec *page, u64 linear)
{
    struct dbt_fetch f;
    bool emptied = false;
    enum attempt a = translate_watched(d, v, k, page, linear, &f, false);
    while (a != MADE) {
        if (a == FAULT)
            dbt_fetch_raise(v, &f);
        vcpu_exclusive_begin(d->vm);
        if (a == FULL)
            tb_flush_all(d);
        if (a == FULL && emptied) /* stress-cache: all of it is too small for the block */
            d->max_insns = MAX_OF(d->max_insns / 2, 1u);
        emptied |= a == FULL;
        a = translate_watched(d, v, k, page, linear, &f, true);
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
    struct tb_key k = dbt_key(c, page.gpa, linear);
    ((struct dbt_vcpu *)v->engine)->st.blocks++;
    while (!(tb = tb_find(d, &k))) {
        vcpu_code_leave(v); /* translation may have to wait until all are out, for a flush; so may others, and drop this block again */
        translate(d, v, &k, &page, linear);
        vcpu_code_enter(v);
    }
    return tb->crosses && !second_page_ok(v, tb) ? NULL : tb;
}
