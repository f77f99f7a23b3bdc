/* Finds groups of PROBEs, see group.h. Called by the x64 backend before a block is emitted; translating thread.
 *
 * Each guest register has a symbolic value: a number and a constant. Adding a constant keeps the number, anything else gives a new one.
 * PROBEs of the form [register + constant] with the same number are relative to each other. */
#include "accel/dbt/x64/group.h"
#include "accel/dbt/x64/jit.h"
#include "cpu/help/help.h"

#define RANGE_MAX 256 /* the chance of crossing a page grows with it */

struct sym {
    u32 id;
    i64 off;
};
struct scan {
    struct groups *gs;
    const struct ir_block *b;
    struct sym v[16];
    u32 next_id;
    unsigned insn;
    unsigned full;      /* bytes of an address-sized register */
};

static void clobber(struct scan *s, unsigned gpr)
{
    s->v[gpr] = (struct sym){ s->next_id++, 0 };
}

static void clobber_all(struct scan *s)
{
    for (unsigned i = 0; i < 16; i++)
        clobber(s, i);
}

static void written(struct scan *s, struct ir_val v)
{
    if (v.kind == K_GPR || v.kind == K_GPRH)
        clobber(s, v.n);
}

/* The value that op gives its d if that is another register's plus a constant. */
static bool sum_of(const struct scan *s, const struct ir_op *o, struct sym *out)
{
    if (o->size != s->full || o->a.kind != K_GPR)
        return false;
    i64 imm = (i64)sext(o->imm, s->full);
    *out = s->v[o->a.n];
    switch (o->code) {
    case IR_MOV: return true;
    case IR_INC: out->off += 1; return true;
    case IR_DEC: out->off -= 1; return true;
    case IR_LEA: out->off += imm; return o->b.kind == K_NONE && o->asize == s->full;
    case IR_ADD: out->off += imm; return o->b.kind == K_IMM;
    case IR_SUB: out->off -= imm; return o->b.kind == K_IMM;
    default: return false;
    }
}

/* What the op does to the symbolic values. */
static void scan_effects(struct scan *s, const struct ir_op *o)
{
    struct sym v;
    switch ((enum ir_code)o->code) {
    case IR_CALL:
        clobber_all(s);
        return;
    case IR_VEC: case IR_X87: {
        const struct carry *k = &s->b->carry[o->imm];
        if (k->reg_class == CC_GPR && k->reg_gpr_w)
            clobber(s, k->reg);
        if (k->rm_class == CC_GPR && k->rm_gpr_w)
            clobber(s, k->rm);
        if (k->implicit & CI_W_CX)
            clobber(s, R_CX);
        if (k->implicit & CI_W_AX)
            clobber(s, R_AX);
        return;
    }
    case IR_MULW: case IR_DIVW: case IR_CMPXCHG: case IR_CMPXCHG2: case IR_LAHF:
        clobber(s, R_AX);
        clobber(s, R_DX);
        break;
    case IR_XCHG: case IR_XADD:
        written(s, o->a);
        break;
    case IR_MULX:
        written(s, o->b);
        break;
    default:
        break;
    }
    if (o->d.kind == K_GPR && sum_of(s, o, &v))
        s->v[o->d.n] = v;
    else
        written(s, o->d);
}

static void scan_probe(struct scan *s, const struct ir_op *o, unsigned op)
{
    bool flat = o->seg == S_NONE || (o->seg < S_FS && ((s->b->mode & MODE_FLAT) || s->full == 8));
    if (!flat || (o->rel && s->b->moves) || o->a.kind != K_GPR || o->b.kind != K_NONE || o->asize != s->full || s->gs->n_probes == GROUP_PROBES)
        return;
    i64 imm = (i64)sext(o->imm, s->full);
    if (!fits32(imm) || (o->seg == S_NONE && s->full != 8))
        return;
    const struct sym *v = &s->v[o->a.n];
    s->gs->p[s->gs->n_probes++] = (struct group_probe){
        .op = (u16)op, .insn = (u8)s->insn, .slot = GROUP_NONE, .id = v->id, .off = v->off + imm, .base_off = v->off, .size = o->size,
        .write = o->acc & ACC_WRITE,
    };
}

/* Whether an instruction may not be in two copies: helpers destroy the scratch registers, x87 has state of its own, jumps with two ways are
 * never together with a PROBE. */
static bool breaks(const struct ir_block *b, const struct ir_op *o)
{
    switch ((enum ir_code)o->code) {
    case IR_CALL: case IR_X87: case IR_JCC: case IR_BRZ: case IR_EXIT:
        return true;
    case IR_VEC:
        return b->carry[o->imm].x87;
    default:
        return false;
    }
}

/* Extends [lo, hi) by a PROBE's bytes; in 32-bit code also by the register itself, so that nothing wraps at 4 GiB behind the check's back. */
static bool range_add(const struct scan *s, i64 *lo, i64 *hi, const struct group_probe *p)
{
    i64 l = MIN_OF(*lo, p->off), h = MAX_OF(*hi, p->off + p->size);
    if (s->full == 4) {
        l = MIN_OF(l, p->base_off);
        h = MAX_OF(h, p->base_off + 1);
    }
    if (h - l > RANGE_MAX)
        return false;
    *lo = l;
    *hi = h;
    return true;
}

/* A slot that no group uses between the two ops, or GROUP_NONE. */
static unsigned free_slot(const struct groups *gs, unsigned n, unsigned from)
{
    unsigned used = 0;
    for (unsigned i = 0; i < n; i++)
        if (gs->p[i].first && gs->p[i].last_op >= from)
            used |= BIT(gs->p[i].slot);
    for (unsigned g = 0; g < RA_GROUPS; g++)
        if (!(used >> g & 1))
            return g;
    return GROUP_NONE;
}

/* Makes the group that begins with PROBE n, if there is one. limit: first op that it may not reach. */
static void group_try(struct scan *s, unsigned n, const u16 *limit)
{
    struct groups *gs = s->gs;
    struct group_probe *first = &gs->p[n];
    i64 lo = first->off, hi = first->off;
    u8 member[GROUP_PROBES] = { (u8)n };
    unsigned count = 1, last = n;
    if (!range_add(s, &lo, &hi, first))
        return;
    for (unsigned i = n + 1; i < gs->n_probes && gs->p[i].op < limit[first->insn]; i++) {
        if (gs->p[i].slot != GROUP_NONE || gs->p[i].id != first->id || !range_add(s, &lo, &hi, &gs->p[i]))
            continue;
        member[count++] = (u8)i;
        last = i;
    }
    unsigned slot = count > 1 ? free_slot(gs, n, first->op) : GROUP_NONE;
    if (slot == GROUP_NONE)
        return;
    bool write = false;
    for (unsigned i = 0; i < count; i++) {
        gs->p[member[i]].slot = (u8)slot;
        write |= gs->p[member[i]].write;
    }
    unsigned end = gs->p[last].insn + 1u < s->b->n_insns ? s->b->insn[gs->p[last].insn + 1].first_op : s->b->n_ops;
    first->first = true;
    first->write = write;
    first->last_op = (u16)(end - 1);
    first->lo = (i32)(lo - first->base_off);
    first->len = (u32)(hi - lo);
    struct group_region *r = gs->n_regions ? &gs->r[gs->n_regions - 1] : NULL;
    if (r && first->insn <= r->last)
        r->last = MAX_OF(r->last, gs->p[last].insn);
    else
        gs->r[gs->n_regions++] = (struct group_region){ first->insn, gs->p[last].insn };
}

void groups_find(struct groups *gs, const struct ir_block *b)
{
    struct scan s = { .gs = gs, .b = b, .full = (b->mode & MODE_SIZE) == MODE_64 ? 8 : 4 };
    u16 limit[IR_INSNS_MAX];  /* by instruction: first op of the next one that breaks */
    bool broken[IR_INSNS_MAX] = { false };
    gs->n_probes = gs->n_regions = 0;
    if (!x64_host.bmi2 || (b->mode & MODE_SIZE) == MODE_16)
        return;
    clobber_all(&s);
    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *o = &b->op[i];
        if (o->code == IR_INSN)
            s.insn = (unsigned)o->imm;
        else if (o->code == IR_PROBE)
            scan_probe(&s, o, i);
        broken[s.insn] |= breaks(b, o);
        scan_effects(&s, o);
    }
    if (gs->n_probes < 2)
        return;
    u16 next = (u16)b->n_ops;
    for (unsigned i = b->n_insns; i-- > 0;) {
        if (broken[i])
            next = b->insn[i].first_op;
        limit[i] = next;
    }
    for (unsigned i = 0; i + 1 < gs->n_probes && gs->n_regions < GROUP_REGIONS; i++)
        if (gs->p[i].slot == GROUP_NONE)
            group_try(&s, i, limit);
}

const struct group_probe *groups_at(const struct groups *gs, unsigned op)
{
    unsigned lo = 0, hi = gs->n_probes;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (gs->p[mid].op < op)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < gs->n_probes && gs->p[lo].op == op && gs->p[lo].slot != GROUP_NONE ? &gs->p[lo] : NULL;
}
