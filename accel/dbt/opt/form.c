/* Finds the blocks of a loop: from its head along the jumps within the page, as far as there are blocks, and of these the ones that lead back.
 * Indirect jumps may lead to whatever the jump cache has of the page, returns behind the region's calls. vCPU thread, code lock; called by tier.c. */
#include <stdlib.h>
#include "accel/dbt/opt/tier.h"
#include "cpu/lift/lift.h"

#define TARGETS_MAX 48

struct former {
    struct vcpu *v;
    struct tb *head;
    u64 page;                          /* of the PCs */
    struct tb *by_off[PAGE_SIZE];
    struct opt_region *r;              /* everything that was found */
    struct tb *tb[REGION_BLOCKS_MAX];
    i16 index[PAGE_SIZE];              /* of the block there, -1: none */
    bool any_indirect, any_return, back[REGION_BLOCKS_MAX];
    u16 behind_call[REGION_BLOCKS_MAX]; /* page offset, 0: it does not end with a call */
};

static bool block_fits(const struct former *f, const struct tb *tb)
{
    return !tb->dead && !tb->region && !tb->crosses && !tb->n_holes && tb->mode == f->head->mode && tb->cs_base == f->head->cs_base &&
           (ir_mode_rel(tb->mode) || (tb->pc & PAGE_MASK) == (f->head->pc & PAGE_MASK)) && (tb->phys & PAGE_MASK) == (f->head->phys & PAGE_MASK);
}

static bool in_jump_cache(const struct cpu *c, u64 pc)
{
    const struct jump_entry *e = &c->jc[jc_index(pc)];
    u64 key = -(pc + c->jc_live);
    return e->key == key || e[JC_ENTRIES].key == key;
}

/* Where the call at the block's end returns to, as a page offset; 0: none, or not in the page. */
static u16 call_return(const struct former *f, const struct ir_block *b)
{
    const struct ir_insn *last = &b->insn[b->n_insns - 1];
    u64 behind = last->pc + last->len;
    return !strcmp(last->row->mnem, "CALL") && b->op[b->n_ops - 1].code == IR_JMP && (behind & PAGE_MASK) == f->page ? behind & (PAGE_SIZE - 1) : 0;
}

/* Takes the block at this page offset, if there is one and room for it. */
static void add_block(struct former *f, unsigned off)
{
    struct tb *tb = f->by_off[off];
    struct opt_region *r = f->r;
    struct dbt_vcpu *dv = f->v->engine;
    struct ir_block *b = dv->block;
    struct dbt_fetch fetch = { .v = f->v, .locked = true };
    if (!tb || f->index[off] >= 0 || r->n_blocks == REGION_BLOCKS_MAX || r->n_insns + tb->n_insns > REGION_INSNS_MAX)
        return;
    if (lift_block(b, f->v->c, f->page + off, tb->n_insns, dbt_fetch, &fetch) != tb->n_insns || b->len != tb->len || r->n_ops + b->n_ops > REGION_OPS_MAX)
        return;
    struct region_block *k = &r->block[r->n_blocks];
    *k = (struct region_block){ .off = (u16)off, .first_op = r->n_ops, .first_insn = r->n_insns };
    for (unsigned i = 0; i < b->n_insns; i++) {
        unsigned first = b->insn[i].first_op, end = i + 1 < b->n_insns ? b->insn[i + 1].first_op : b->n_ops;
        bool known = true;
        for (unsigned o = first; o < end; o++)
            known &= region_op_known(&b->op[o]);
        k->next = (u16)(b->insn[i].pc & (PAGE_SIZE - 1));
        if (!known)
            break;
        memcpy(&r->op[r->n_ops], &b->op[first], (end - first) * sizeof(r->op[0]));
        r->n_ops = (u16)(r->n_ops + (end - first));
        r->insn_off[r->n_insns++] = k->next;
    }
    k->n_ops = (u16)(r->n_ops - k->first_op);
    f->behind_call[r->n_blocks] = call_return(f, b);
    f->tb[r->n_blocks] = tb;
    f->index[off] = (i16)r->n_blocks++;
}

static void add_pc(struct former *f, u64 pc)
{
    if ((pc & PAGE_MASK) == f->page)
        add_block(f, pc & (PAGE_SIZE - 1));
}

/* Where indirect jumps may lead. */
static void add_targets(struct former *f)
{
    unsigned n = 0;
    f->any_indirect = true;
    for (unsigned off = 0; off < PAGE_SIZE && n < TARGETS_MAX; off++) {
        if (!f->by_off[off] || !in_jump_cache(f->v->c, f->page + off))
            continue;
        add_block(f, off);
        if (f->index[off] >= 0) {
            f->r->block[f->index[off]].target = true;
            n++;
        }
    }
}

/* Behind the calls that have been found. */
static void add_returns(struct former *f)
{
    for (unsigned i = 0; i < f->r->n_blocks; i++) {
        unsigned off = f->behind_call[i];
        if (!off)
            continue;
        add_block(f, off);
        if (f->index[off] >= 0)
            f->r->block[f->index[off]].target = true;
    }
}

/* A return says how it is undone, a jump has nothing to undo. */
static bool is_return(const struct ir_op *o) { return o->code == IR_JMPR && o->imm; }

static const struct ir_op *last_op(const struct opt_region *r, unsigned i)
{
    return r->block[i].n_ops ? &r->op[r->block[i].first_op + r->block[i].n_ops - 1] : NULL;
}

static void find_all(struct former *f)
{
    struct opt_region *r = f->r;
    add_block(f, f->head->phys & (PAGE_SIZE - 1));
    for (unsigned i = 0; i < r->n_blocks; i++) {
        const struct ir_op *o = last_op(r, i);
        if (!o)
            continue;
        if (o->code == IR_JMP || o->code == IR_JCC)
            add_pc(f, o->imm);
        if (o->code == IR_JCC)
            add_pc(f, o->imm2);
        if (is_return(o))
            f->any_return = true;
        else if (o->code == IR_JMPR && !f->any_indirect)
            add_targets(f);
        if (f->any_return)
            add_returns(f);
    }
}

static bool leads_back(const struct former *f, u64 pc)
{
    int i = (pc & PAGE_MASK) == f->page ? f->index[pc & (PAGE_SIZE - 1)] : -1;
    return i >= 0 && f->back[i];
}

/* Marks the blocks from which the head can be reached. Returns whether the head is one of them. */
static bool find_loop(struct former *f)
{
    struct opt_region *r = f->r;
    bool changed = true, loop = false;
    f->back[0] = true;
    while (changed) {
        bool target_back = false;
        changed = false;
        for (unsigned i = 0; i < r->n_blocks; i++)
            target_back |= r->block[i].target && f->back[i];
        for (unsigned i = 0; i < r->n_blocks; i++) {
            const struct ir_op *o = last_op(r, i);
            bool back = o && (((o->code == IR_JMP || o->code == IR_JCC) && leads_back(f, o->imm)) || (o->code == IR_JCC && leads_back(f, o->imm2)) ||
                              (o->code == IR_JMPR && target_back));
            if (back && !i)
                loop = true;
            if (back && !f->back[i])
                f->back[i] = changed = true;
        }
    }
    return loop;
}

static void mark_entry(struct opt_region *r, unsigned from, u64 pc)
{
    unsigned off = pc & (PAGE_SIZE - 1);
    for (unsigned i = 0; i < r->n_blocks; i++)
        if ((pc & PAGE_MASK) == r->page && r->block[i].off == off && off <= r->block[from].off)
            r->block[i].entry = true;
}

/* Where jumps lead backwards and indirect ones to: that is where a poll makes the region leave, and where it should be entered again. */
static void mark_entries(struct opt_region *r)
{
    r->block[0].entry = true;
    for (unsigned i = 0; i < r->n_blocks; i++) {
        const struct ir_op *o = last_op(r, i);
        if (o && (o->code == IR_JMP || o->code == IR_JCC))
            mark_entry(r, i, o->imm);
        if (o && o->code == IR_JCC)
            mark_entry(r, i, o->imm2);
        r->block[i].entry |= r->block[i].target;
    }
}

/* A copy with only those blocks. */
static struct opt_job *job_of(const struct former *f)
{
    const struct opt_region *all = f->r;
    struct opt_job *j = g_new0(struct opt_job, 1);
    struct opt_region *r = j->r = g_new0(struct opt_region, 1);
    struct dbt *d = f->v->vm->engine;
    j->head = f->head;
    j->flushes = d->st.flushes;
    r->abi = region_abi();
    r->page = f->page;
    r->mode = f->head->mode;
    r->rel = ir_mode_rel(r->mode);
    for (unsigned i = 0; i < all->n_blocks; i++) {
        const struct region_block *from = &all->block[i];
        struct region_block *to = &r->block[r->n_blocks];
        unsigned insns = (i + 1 < all->n_blocks ? all->block[i + 1].first_insn : all->n_insns) - from->first_insn;
        if (!f->back[i])
            continue;
        *to = *from;
        to->first_op = r->n_ops;
        to->first_insn = r->n_insns;
        memcpy(&r->op[r->n_ops], &all->op[from->first_op], from->n_ops * sizeof(r->op[0]));
        memcpy(&r->insn_off[r->n_insns], &all->insn_off[from->first_insn], insns * sizeof(r->insn_off[0]));
        r->n_ops = (u16)(r->n_ops + from->n_ops);
        r->n_insns = (u16)(r->n_insns + insns);
        j->tb[r->n_blocks++] = f->tb[i];
    }
    j->n = r->n_blocks;
    mark_entries(r);
    return j;
}

#define INSNS_PER_GAIN 8

/* What a region does better than blocks are memory accesses and indirect jumps; of the rest nothing is gained, and registers are short. */
static bool worthwhile(const struct opt_region *r)
{
    unsigned gain = 0;
    for (unsigned i = 0; i < r->n_ops; i++)
        gain += r->op[i].code == IR_PROBE || r->op[i].code == IR_JMPR;
    return gain * INSNS_PER_GAIN >= r->n_insns;
}

struct opt_job *opt_form(struct vcpu *v, struct tb *head, bool force)
{
    struct former *f = g_new0(struct former, 1);
    struct opt_job *j = NULL;
    f->v = v;
    f->head = head;
    f->page = v->c->rip & PAGE_MASK;
    f->r = g_new0(struct opt_region, 1);
    memset(f->index, 0xff, sizeof(f->index));
    struct tb *tb;
    for (unsigned i = 0; (tb = tb_page_nth(v->vm->engine, head, i)); i++) {
        struct tb **at = &f->by_off[tb->phys & (PAGE_SIZE - 1)];
        if (block_fits(f, tb) && !*at)
            *at = tb;
    }
    if (block_fits(f, head))
        f->by_off[head->phys & (PAGE_SIZE - 1)] = head;
    find_all(f);
    if (f->r->n_blocks && f->r->block[0].n_ops && find_loop(f))
        j = job_of(f);
    if (j && !force && !worthwhile(j->r)) {
        opt_job_free(j);
        j = NULL;
    }
    g_free(f->r);
    g_free(f);
    return j;
}

void opt_job_free(struct opt_job *j)
{
    g_free(j->r);
    g_free(j);
}
