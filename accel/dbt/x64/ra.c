/* Scratch registers of the x64 backend, see ra.h. Called by instruction selection on the translating thread. */
#include "accel/dbt/x64/ra.h"
#include "accel/dbt/x64/jit.h"

_Static_assert(SLOT_GROUP + RA_GROUPS <= ARRAY_LEN(((struct cpu *)0)->scratch), "spill slots");

struct rm ra_slot(unsigned n)
{
    return cpu_rm(offsetof(struct cpu, scratch) + 8 * n);
}

void ra_init(struct ra *ra, struct enc *e, const struct ir_op *ops)
{
    memset(ra, 0, sizeof(*ra));
    ra->e = e;
    ra->op = ops;
    if (backend_stress.random_ra)
        ra->rnd = 0x9e3779b9u ^ (u32)(u64)e->p;
    ra_groups_forget(ra);
}

void ra_groups_forget(struct ra *ra)
{
    for (unsigned g = 0; g < RA_GROUPS; g++) {
        ra->g[g].reg = R_NONE;
        ra->g[g].slot = false;
        ra->g[g].last = -1;
    }
    for (unsigned r = 0; r < RA_SCRATCH; r++)
        if (ra->r[r].use == RA_GRP)
            ra->r[r].use = RA_FREE;
}

static void note(struct ra *ra, struct ir_val v, int i)
{
    if (v.kind == K_TMP)
        ra->t[v.n].last = i;
    else if (v.kind == K_PTR)
        ra->ptr.last = i;
}

/* Ops whose memory operand is implied. */
static bool uses_ptr(const struct ir_op *o) { return o->code == IR_VEC || o->code == IR_X87 || o->code == IR_CMPXCHG2; }

static bool uses_tmp(const struct ir_op *o, unsigned t)
{
    struct ir_val v = ir_tmp(t);
    return ir_same(o->a, v) || ir_same(o->b, v) || ir_same(o->c, v) || ir_same(o->d, v);
}

void ra_insn(struct ra *ra, int first, int end)
{
    for (unsigned r = 0; r < RA_SCRATCH; r++)
        if (ra->r[r].use != RA_GRP)
            ra->r[r].use = RA_FREE;
    ra->locked = 0;
    for (unsigned t = 0; t < IR_TMP_MAX; t++) {
        ra->t[t].reg = R_NONE;
        ra->t[t].slot = false;
        ra->t[t].last = -1;
    }
    ra->ptr.slot = false;
    ra->ptr.base = ra->ptr.index = R_NONE;
    ra->ptr.grp = RA_NO_GROUP;
    ra->ptr.disp = 0;
    ra->ptr.last = -1;
    ra->end = end;
    for (int i = first; i < end; i++) {
        const struct ir_op *o = &ra->op[i];
        note(ra, o->a, i);
        note(ra, o->b, i);
        note(ra, o->c, i);
        note(ra, o->d, i);
        if (uses_ptr(o))
            ra->ptr.last = i;
    }
}

void ra_op_begin(struct ra *ra, int cur)
{
    ra->cur = cur;
}

static void reg_free(struct ra *ra, unsigned r)
{
    ra->r[r].use = RA_FREE;
    ra->locked &= (u8)~BIT(r);
}

static void ptr_drop(struct ra *ra)
{
    if (ra->ptr.base >= 0 && ra->ptr.base < RA_SCRATCH)
        reg_free(ra, (unsigned)ra->ptr.base);
    if (ra->ptr.index >= 0)
        reg_free(ra, (unsigned)ra->ptr.index);
    ra->ptr.base = ra->ptr.index = R_NONE;
    ra->ptr.grp = RA_NO_GROUP;
    ra->ptr.disp = 0;
    ra->ptr.slot = false;
}

void ra_op_unlock(struct ra *ra)
{
    ra->locked = 0;
    for (unsigned r = 0; r < RA_SCRATCH; r++)
        if (ra->r[r].use == RA_OP)
            ra->r[r].use = RA_FREE;
}

void ra_op_end(struct ra *ra)
{
    ra_op_unlock(ra);
    for (unsigned r = 0; r < RA_SCRATCH; r++) {
        if (ra->r[r].use == RA_TMP && ra->t[ra->r[r].n].last <= ra->cur) {
            ra->t[ra->r[r].n].reg = R_NONE;
            ra->r[r].use = RA_FREE;
        }
    }
    if (ra->ptr.last <= ra->cur)
        ptr_drop(ra);
    for (unsigned g = 0; g < RA_GROUPS; g++) {
        if (ra->g[g].reg >= 0 && ra->g[g].last <= ra->cur) {
            ra->r[ra->g[g].reg].use = RA_FREE;
            ra->g[g].reg = R_NONE;
        }
    }
}

static u32 rnd_next(struct ra *ra)
{
    ra->rnd = ra->rnd * 1664525u + 1013904223u;
    return ra->rnd >> 16;
}

/* A free register out of mask, or -1. Values that stay prefer rbx, rdx, rax; rcx is wanted by probes and shifts. */
static int find_free(struct ra *ra, unsigned mask)
{
    static const u8 order[RA_SCRATCH] = { RBX, RDX, RAX, RCX };
    unsigned skip = ra->rnd ? rnd_next(ra) : 0;
    for (unsigned i = 0; i < RA_SCRATCH; i++) {
        unsigned r = order[(i + skip) % RA_SCRATCH];
        if ((mask >> r & 1) && ra->r[r].use == RA_FREE)
            return (int)r;
    }
    return -1;
}

/* Index of the next op that uses what the register holds. */
static int next_use(const struct ra *ra, unsigned r)
{
    if (ra->r[r].use == RA_GRP) /* this instruction's pointer, or a later instruction's */
        return ra->ptr.grp == ra->r[r].n ? ra->cur : ra->end;
    for (int i = ra->cur; i < ra->end; i++) {
        const struct ir_op *o = &ra->op[i];
        if (ra->r[r].use == RA_TMP ? uses_tmp(o, ra->r[r].n)
                                   : uses_ptr(o) || ir_same(o->a, ir_ptr()) || ir_same(o->b, ir_ptr()) || ir_same(o->d, ir_ptr()))
            return i;
    }
    return ra->end;
}

static bool ptr_locked(const struct ra *ra)
{
    return (ra->ptr.index >= 0 && (ra->locked >> ra->ptr.index & 1)) ||
           (ra->ptr.base >= 0 && ra->ptr.base < RA_SCRATCH && (ra->locked >> ra->ptr.base & 1));
}

static unsigned make_free(struct ra *ra, unsigned mask);

/* The register with a group's value. */
static unsigned group_use(struct ra *ra, unsigned g)
{
    if (ra->g[g].reg < 0) {
        assert(ra->g[g].slot);
        unsigned r = make_free(ra, RA_ALL);
        enc_load(ra->e, 8, r, ra_slot(SLOT_GROUP + g));
        ra->g[g].reg = (i8)r;
        ra->r[r].use = RA_GRP;
        ra->r[r].n = (u8)g;
    }
    return (unsigned)ra->g[g].reg;
}

static struct rm ptr_rm(struct ra *ra)
{
    if (ra->ptr.grp != RA_NO_GROUP)
        return rm_sib(ra->ptr.base, (int)group_use(ra, ra->ptr.grp), 0, ra->ptr.disp);
    return rm_sib(ra->ptr.base, ra->ptr.index, 0, 0);
}

/* Computes the pointer into `to` (a part of it, or a free register) and makes that the pointer. */
static void ptr_fold_to(struct ra *ra, unsigned to)
{
    struct rm m = ptr_rm(ra);
    if (m.index >= 0)
        enc_lea(ra->e, 8, to, m);
    else
        enc_mov_rr(ra->e, 8, to, (unsigned)m.base);
    ptr_drop(ra);
    ra->ptr.base = (i8)to;
    ra->r[to].use = RA_PTR;
}

/* Empties an unlocked register: to a free one, or to its slot. */
static void evict(struct ra *ra, unsigned r)
{
    int to = find_free(ra, RA_ALL & ~BIT(r) & ~(unsigned)ra->locked);
    if (ra->r[r].use == RA_TMP) {
        unsigned t = ra->r[r].n;
        bool dead = ra->t[t].last < ra->cur;
        if (to >= 0 && !dead) {
            enc_mov_rr(ra->e, 8, (unsigned)to, r);
            ra->r[to] = ra->r[r];
            ra->t[t].reg = (i8)to;
        } else {
            if (!ra->t[t].slot && !dead)
                enc_store(ra->e, 8, ra_slot(t), r);
            ra->t[t].slot = true;
            ra->t[t].reg = R_NONE;
        }
    } else if (ra->r[r].use == RA_GRP) {
        unsigned g = ra->r[r].n;
        if (to >= 0) {
            enc_mov_rr(ra->e, 8, (unsigned)to, r);
            ra->r[to] = ra->r[r];
            ra->g[g].reg = (i8)to;
        } else {
            if (!ra->g[g].slot)
                enc_store(ra->e, 8, ra_slot(SLOT_GROUP + g), r);
            ra->g[g].slot = true;
            ra->g[g].reg = R_NONE;
        }
    } else if (ra->ptr.grp != RA_NO_GROUP) { /* its base */
        if (to >= 0) {
            enc_mov_rr(ra->e, 8, (unsigned)to, r);
            ra->r[to] = ra->r[r];
            ra->ptr.base = (i8)to;
        } else {
            enc_store(ra->e, 8, ra_slot(SLOT_PTR), r);
            ra->ptr.slot = true;
            ra->ptr.base = R_NONE;
        }
    } else if (ra->ptr.index >= 0 && ra->ptr.base >= 0 && ra->ptr.base < RA_SCRATCH) {
        ptr_fold_to(ra, r == (unsigned)ra->ptr.base ? (unsigned)ra->ptr.index : (unsigned)ra->ptr.base);
    } else if (to >= 0) {
        ptr_fold_to(ra, (unsigned)to);
    } else {
        ptr_fold_to(ra, r);
        enc_store(ra->e, 8, ra_slot(SLOT_PTR), r);
        ptr_drop(ra);
        ra->ptr.slot = true;
    }
    ra->r[r].use = RA_FREE;
}

static unsigned reg_take(struct ra *ra, unsigned r, enum ra_use use, unsigned n)
{
    ra->r[r].use = (u8)use;
    ra->r[r].n = (u8)n;
    ra->locked |= (u8)BIT(r);
    return r;
}

/* An empty register out of mask; not yet taken. */
static unsigned make_free(struct ra *ra, unsigned mask)
{
    int r = find_free(ra, mask);
    if (r >= 0)
        return (unsigned)r;
    int best = -1, best_use = -1;
    for (unsigned i = 0; i < RA_SCRATCH; i++) {
        if (!(mask >> i & 1) || (ra->locked >> i & 1) || ra->r[i].use == RA_OP)
            continue;
        bool ptr = ra->r[i].use == RA_PTR || ra->r[i].use == RA_PTRX;
        if (ptr && ptr_locked(ra))
            continue;
        /* folding a pointer pair costs one LEA and no memory */
        int use = ptr && ra->ptr.index >= 0 && ra->ptr.base < RA_SCRATCH ? ra->end + 1 : next_use(ra, i);
        if (use > best_use) {
            best = (int)i;
            best_use = use;
        }
    }
    assert(best >= 0);
    evict(ra, (unsigned)best);
    return (unsigned)best;
}

unsigned ra_take(struct ra *ra, unsigned allowed)
{
    return reg_take(ra, make_free(ra, allowed), RA_OP, 0);
}

unsigned ra_take_first(struct ra *ra, unsigned first, unsigned allowed)
{
    if (ra->rnd || ra->r[first].use != RA_FREE)
        return ra_take(ra, allowed);
    return reg_take(ra, first, RA_OP, 0);
}

void ra_claim(struct ra *ra, unsigned reg)
{
    assert(!(ra->locked >> reg & 1));
    if (ra->r[reg].use != RA_FREE)
        evict(ra, reg);
    reg_take(ra, reg, RA_OP, 0);
}

void ra_drop(struct ra *ra, unsigned reg)
{
    assert(ra->r[reg].use == RA_OP);
    reg_free(ra, reg);
}

unsigned ra_tmp_use(struct ra *ra, unsigned t)
{
    if (ra->t[t].reg < 0) {
        unsigned r = make_free(ra, RA_ALL);
        enc_load(ra->e, 8, r, ra_slot(t));
        ra->t[t].reg = (i8)r;
    }
    return reg_take(ra, (unsigned)ra->t[t].reg, RA_TMP, t);
}

unsigned ra_tmp_def(struct ra *ra, unsigned t, bool read)
{
    if (read) {
        ra_tmp_use(ra, t);
    } else if (ra->t[t].reg < 0) {
        ra->t[t].reg = (i8)make_free(ra, RA_ALL);
        reg_take(ra, (unsigned)ra->t[t].reg, RA_TMP, t);
    }
    ra->t[t].slot = false;
    return reg_take(ra, (unsigned)ra->t[t].reg, RA_TMP, t);
}

void ra_tmp_unlock(struct ra *ra, unsigned t)
{
    if (ra->t[t].reg >= 0)
        ra->locked &= (u8)~BIT(ra->t[t].reg);
}

void ra_tmp_adopt(struct ra *ra, unsigned t, unsigned reg)
{
    if (ra->t[t].reg >= 0)
        reg_free(ra, (unsigned)ra->t[t].reg);
    ra->t[t].reg = (i8)reg;
    ra->t[t].slot = false;
    reg_take(ra, reg, RA_TMP, t);
}

struct rm ra_tmp_rm(struct ra *ra, unsigned t)
{
    if (ra->t[t].reg < 0)
        return ra_slot(t);
    return rm_reg((int)reg_take(ra, (unsigned)ra->t[t].reg, RA_TMP, t));
}

struct rm ra_ptr(struct ra *ra, unsigned off)
{
    if (ra->ptr.slot) {
        unsigned r = make_free(ra, RA_ALL);
        enc_load(ra->e, 8, r, ra_slot(SLOT_PTR));
        ra->ptr.slot = false;
        ra->ptr.base = (i8)r;
        ra->r[r].use = RA_PTR;
    }
    assert(ra->ptr.base >= 0);
    if (ra->ptr.base < RA_SCRATCH)
        ra->locked |= (u8)BIT(ra->ptr.base);
    struct rm m = ptr_rm(ra);
    if (m.index >= 0)
        ra->locked |= (u8)BIT(m.index);
    m.disp += (i32)off;
    return m;
}

void ra_ptr_set(struct ra *ra, int base, int index)
{
    ptr_drop(ra);
    ra->ptr.base = (i8)base;
    ra->ptr.index = (i8)index;
    if (base < RA_SCRATCH)
        ra->r[base].use = RA_PTR;
    if (index >= 0)
        ra->r[index].use = RA_PTRX;
}

void ra_ptr_single(struct ra *ra)
{
    assert(!ptr_locked(ra));
    if (ra->ptr.grp == RA_NO_GROUP) {
        if (ra->ptr.index >= 0)
            ptr_fold_to(ra, (unsigned)ra->ptr.index);
    } else if (ra->ptr.slot || ra->ptr.base < RA_SCRATCH) {
        struct rm m = ra_ptr(ra, 0);
        ra->locked &= (u8)~(BIT(m.base) | BIT(m.index));
        enc_lea(ra->e, 8, (unsigned)m.base, m);
        ptr_drop(ra);
        ra->ptr.base = m.base;
        ra->r[m.base].use = RA_PTR;
    }
}

void ra_ptr_forget(struct ra *ra)
{
    ptr_drop(ra);
}

void ra_ptr_set_group(struct ra *ra, int base, unsigned grp, i32 disp)
{
    ptr_drop(ra);
    ra->ptr.base = (i8)base;
    ra->ptr.grp = (u8)grp;
    ra->ptr.disp = disp;
    if (base < RA_SCRATCH)
        ra->r[base].use = RA_PTR;
}

void ra_group_set(struct ra *ra, unsigned grp, unsigned reg, int last)
{
    assert(ra->g[grp].reg < 0 && ra_is_op(ra, reg));
    ra->g[grp].reg = (i8)reg;
    ra->g[grp].slot = false;
    ra->g[grp].last = last;
    ra->r[reg].use = RA_GRP;
    ra->r[reg].n = (u8)grp;
}

void ra_ptr_done(struct ra *ra)
{
    if (ra->ptr.last <= ra->cur)
        ptr_drop(ra);
}

void ra_save_live(struct ra *ra)
{
    for (unsigned t = 0; t < IR_TMP_MAX; t++)
        if (ra->t[t].reg >= 0 && !ra->t[t].slot && ra->t[t].last > ra->cur) {
            enc_store(ra->e, 8, ra_slot(t), (unsigned)ra->t[t].reg);
            ra->t[t].slot = true;
        }
}

void ra_clobbered(struct ra *ra)
{
    for (unsigned r = 0; r < RA_SCRATCH; r++) {
        if (ra->r[r].use == RA_TMP)
            ra->t[ra->r[r].n].reg = R_NONE;
        ra->r[r].use = RA_FREE;
    }
    ra->locked = 0;
    ra->ptr.base = ra->ptr.index = R_NONE;
    ra->ptr.grp = RA_NO_GROUP;
    ra_groups_forget(ra);
}

unsigned ra_live_regs(const struct ra *ra)
{
    unsigned m = 0;
    for (unsigned r = 0; r < RA_SCRATCH; r++)
        if ((ra->r[r].use == RA_TMP && ra->t[ra->r[r].n].last >= ra->cur) || ra->r[r].use == RA_PTR ||
            ra->r[r].use == RA_PTRX || ra->r[r].use == RA_GRP)
            m |= BIT(r);
    return m;
}
