/* Guest addresses and PROBEs of the x64 backend: the inline look-up in the software TLB, its slow path, LEA and LIN. Translating thread.
 *
 * The probe leaves EFLAGS alone (PEXT, SHRX, JRCXZ) and takes three scratch registers:
 *     lea   ea, [address]
 *     pext  idx, ea, [index_mask]
 *     mov   rcx, [tag + idx * 8]          tag = minus the page's address
 *     lea   rcx, [rcx + ea + size - 1]
 *     shrx  rcx, rcx, rbp                 rbp & 63 == 12
 *     jrcxz hit
 *     jmp   slow                          out of line
 * hit: mov   idx, [addend + idx * 8]      pointer = ea + idx
 * Where the flags are kept in struct cpu (keep.h), ADD, CMP and JA do what LEA to JMP do here. */
#include "accel/dbt/x64/jit.h"

/* Whether the segment's base has to be added. */
static bool seg_has_base(const struct jit *j, unsigned seg)
{
    if (seg == S_NONE)
        return false;
    if (seg >= S_FS)
        return true;
    return !(j->b->mode & MODE_FLAT) && (j->b->mode & MODE_SIZE) != MODE_64;
}

struct form { /* an address while it is put together */
    int a, b;          /* host registers or R_NONE */
    unsigned scale;
    u64 disp;
    unsigned asize;
    bool rel;          /* without registers: disp was computed from the PC */
    bool moves;        /* disp does (jit_moves) */
    unsigned ea, idx;  /* where it goes; a register that may be destroyed on the way */
};

/* A register operand of an address: pinned, a temporary's, or loaded into `room` (R_NONE: into one of its own). */
static int form_reg(struct jit *j, const struct ir_op *o, struct ir_val v, int *room, int other)
{
    if (v.kind == K_NONE)
        return R_NONE;
    struct rm m = jit_src(j, o, v, 8);
    if (rm_is_reg(m))
        return m.reg;
    int r = *room >= 0 ? *room : (int)ra_take(&j->ra, RA_ALL);
    *room = other;
    enc_load(&j->e, 8, (unsigned)r, m);
    return r;
}

static struct form form_open(struct jit *j, const struct ir_op *o, unsigned asize, int ea, int idx)
{
    struct form f = { .scale = o->scale, .disp = o->imm, .asize = asize, .rel = o->rel && j->b->rel, .moves = o->rel && j->b->moves,
                      .ea = (unsigned)ea, .idx = (unsigned)idx };
    int room = ea;
    f.b = form_reg(j, o, o->b, &room, idx);
    f.a = form_reg(j, o, o->a, &room, idx);
    if (f.a < 0 && f.b >= 0 && !f.scale) {
        f.a = f.b;
        f.b = R_NONE;
    }
    if (asize < 8)
        f.disp = sext(f.disp, asize);
    return f;
}

/* ea = the constant. */
static void form_const(struct jit *j, const struct form *f)
{
    if (f->rel || f->moves)
        jit_load_pc(j, f->ea, f->disp, f->asize);
    else
        enc_mov_ri(&j->e, f->ea, zext(f->disp, f->asize));
}

/* The displacement is what was emitted last. */
static void form_moves(struct jit *j, const struct form *f)
{
    if (f->moves)
        jit_moves(j, RELOC_PC, f->disp);
}

/* ea = a + (b << scale) + disp truncated to asize, no segment. Needs a register. */
static void form_sum(struct jit *j, const struct form *f)
{
    unsigned size = f->asize == 8 ? 8 : 4;
    if (!fits32((i64)f->disp)) {
        enc_lea(&j->e, 8, f->ea, rm_sib(f->a, f->b, f->scale, 0));
        enc_mov_ri(&j->e, f->idx, f->disp);
        enc_lea(&j->e, size, f->ea, rm_sib((int)f->ea, (int)f->idx, 0, 0));
    } else if (f->b < 0 && f->disp == 0) {
        if (f->asize > 2 && (size < 8 || f->ea != (unsigned)f->a))
            enc_mov_rr(&j->e, size, f->ea, (unsigned)f->a);
    } else {
        enc_lea(&j->e, size, f->ea, rm_sib(f->a, f->b, f->scale, (i32)f->disp));
        form_moves(j, f);
    }
    if (f->asize <= 2) {
        int low = f->b < 0 && f->disp == 0 ? f->a : (int)f->ea;
        enc_movzx(&j->e, f->ea, f->asize, rm_reg(low));
    }
}

/* ea = the linear address, with the segment's base. */
static void form_linear(struct jit *j, const struct form *f, unsigned seg)
{
    bool mode64 = (j->b->mode & MODE_SIZE) == MODE_64;
    unsigned size = mode64 ? 8 : 4;
    struct rm base = cpu_rm(offsetof(struct cpu, seg) + seg * sizeof(struct seg_reg) + offsetof(struct seg_reg, base));
    if (f->rel) {
        form_const(j, f);
        enc_load(&j->e, 8, f->idx, base);
        enc_lea(&j->e, 8, f->ea, rm_sib((int)f->ea, (int)f->idx, 0, 0));
    } else if (f->a < 0 && f->b < 0) {
        u64 disp = zext(f->disp, f->asize);
        enc_load(&j->e, 8, f->ea, base);
        if (fits32((i64)disp) || !mode64) {
            enc_lea(&j->e, size, f->ea, rm_mem((int)f->ea, (i32)disp));
            form_moves(j, f);
        } else {
            enc_mov_ri(&j->e, f->idx, disp);
            enc_lea(&j->e, size, f->ea, rm_sib((int)f->ea, (int)f->idx, 0, 0));
        }
    } else if (f->a >= 0 && f->b < 0 && f->asize == size && fits32((i64)f->disp)) {
        unsigned r = (unsigned)f->a == f->ea ? f->idx : f->ea;
        enc_load(&j->e, 8, r, base);
        enc_lea(&j->e, size, f->ea, rm_sib((int)r, f->a, 0, (i32)f->disp));
        form_moves(j, f);
    } else {
        form_sum(j, f);
        enc_load(&j->e, 8, f->idx, base);
        enc_lea(&j->e, size, f->ea, rm_sib((int)f->ea, (int)f->idx, 0, 0));
    }
}

/* --- LEA, LIN --- */
static unsigned address_size(const struct ir_op *o)
{
    return o->asize && (o->code == IR_LEA || o->seg != S_NONE) ? o->asize : 8;
}

void isel_lin(struct jit *j, const struct ir_op *o)
{
    unsigned ea = ra_take(&j->ra, RA_ALL), idx = ra_take(&j->ra, RA_ALL);
    struct form f = form_open(j, o, address_size(o), (int)ea, (int)idx);
    if (seg_has_base(j, o->seg))
        form_linear(j, &f, o->seg);
    else if (f.a < 0 && f.b < 0)
        form_const(j, &f);
    else
        form_sum(j, &f);
    jit_put(j, o, o->d, 8, ea);
}

void isel_lea(struct jit *j, const struct ir_op *o)
{
    unsigned asize = address_size(o);
    bool any = o->a.kind != K_NONE || o->b.kind != K_NONE;
    unsigned size = MIN_OF((unsigned)o->size, asize);
    if (any && size >= 4 && fits32((i64)(asize == 8 ? o->imm : sext(o->imm, asize)))) { /* one LEA into the destination */
        struct form f = form_open(j, o, asize, R_NONE, R_NONE);
        struct dst d = dst_open(j, o, o->d, o->size, false);
        f.ea = d.reg;
        f.asize = size;
        form_sum(j, &f);
        dst_close(j, o, &d);
        return;
    }
    if (!any && o->rel && size >= 4 && size == o->size) {
        struct dst d = dst_open(j, o, o->d, o->size, false);
        jit_load_pc(j, d.reg, o->imm, size);
        dst_close(j, o, &d);
        return;
    }
    unsigned ea = ra_take(&j->ra, RA_ALL), idx = ra_take(&j->ra, RA_ALL);
    struct form f = form_open(j, o, asize, (int)ea, (int)idx);
    if (any)
        form_sum(j, &f);
    else
        form_const(j, &f);
    if (o->size == 4 && asize > 4)
        enc_mov_rr(&j->e, 4, ea, ea);
    jit_put(j, o, o->d, o->size, ea);
}

/* --- PROBE --- */
unsigned tlb_mode_of(u32 mode)
{
    return mode_cpl(mode) == 3 ? TLB_USER : mode & MODE_SMAP_AC ? TLB_KERNEL_SMAP : TLB_KERNEL;
}

static size_t tag_offset(const struct jit *j, bool write)
{
    size_t t = offsetof(struct cpu, tlb.t) + tlb_mode_of(j->b->mode) * sizeof(struct tlb_table);
    return t + (write ? offsetof(struct tlb_table, wtag) : offsetof(struct tlb_table, rtag));
}

static struct rm mask_rm(const struct jit *j)
{
    return cpu_rm(offsetof(struct cpu, tlb.t) + tlb_mode_of(j->b->mode) * sizeof(struct tlb_table) + offsetof(struct tlb_table, index_mask));
}

static size_t addend_offset(const struct jit *j)
{
    return offsetof(struct cpu, tlb.t) + tlb_mode_of(j->b->mode) * sizeof(struct tlb_table) + offsetof(struct tlb_table, addend);
}

/* Whether the pinned register of guest GPR n keeps its value until the pointer's last use, so that it can serve as the pointer's base. */
static bool gpr_lasts(const struct jit *j, unsigned n)
{
    struct ir_val g = ir_gpr(n);
    for (int i = j->op + 1; i <= j->ra.ptr.last; i++) {
        const struct ir_op *o = &j->b->op[i];
        switch ((enum ir_code)o->code) {
        case IR_MULW: case IR_DIVW: case IR_CMPXCHG: case IR_CMPXCHG2: case IR_MULX: case IR_CALL: case IR_XADD: case IR_XCHG: case IR_LAHF:
            return false;
        case IR_VEC: case IR_X87: /* write registers after the access */
            if (i < j->ra.ptr.last)
                return false;
            break;
        default:
            break;
        }
        bool load = o->code == IR_MOV || o->code == IR_MOVZX || o->code == IR_MOVSX;
        if (val_overlap(o->d, g) && !(load && i == j->ra.ptr.last))
            return false;
    }
    return true;
}

/* Whether the index does not depend on which region bit is in use. */
static bool region_known(u64 a)
{
    u64 bits = a >> TLB_REGION_LOW & MASK64(TLB_REGION_BITS);
    return !bits || bits == MASK64(TLB_REGION_BITS);
}

/* The register with the linear address; *constant: it is known now. */
static unsigned probe_address(struct jit *j, const struct ir_op *o, unsigned ea, unsigned idx, bool *constant, u64 *value)
{
    bool seg = seg_has_base(j, o->seg);
    unsigned asize = address_size(o);
    struct form f = form_open(j, o, asize, (int)ea, (int)idx);
    *constant = false;
    unsigned mode = tlb_mode_of(j->b->mode);
    if (seg) {
        form_linear(j, &f, o->seg);
    } else if (f.a < 0 && f.b < 0) {
        *value = zext(f.disp, asize);
        *constant = !f.rel && (mode == TLB_USER || region_known(*value));
        form_const(j, &f);
    } else if (f.b < 0 && f.disp == 0 && asize == 8 && f.a >= RA_SCRATCH && o->a.kind == K_GPR && gpr_lasts(j, o->a.n)) {
        return (unsigned)f.a;
    } else {
        form_sum(j, &f);
    }
    return ea;
}

/* Falls through if rcx is 0; returns the rel32 of the jump that is taken if not. */
static u8 *jump_on_miss(struct jit *j)
{
    u8 *hit = backend_stress.force_miss ? NULL : enc_jrcxz(&j->e), *miss = enc_jmp(&j->e);
    if (hit)
        enc_bind8(&j->e, hit);
    return miss;
}

/* Whether the entry with this tag matches `len` bytes from the register ea on. Returns the rel32 of a jump that is taken if not. moving: 0, or the address
 * that the tag's displacement is for, if that moves. */
static u8 *probe_check(struct jit *j, unsigned ea, u32 len, struct rm tag, u64 moving)
{
    enc_load(&j->e, 8, RCX, tag);
    if (moving)
        jit_moves(j, RELOC_TLB, moving);
    if (jit_flags_kept(j)) {
        enc_alu_rm(&j->e, 8, 0, RCX, rm_reg((int)ea));
        enc_alu_mi(&j->e, 8, 7, rm_reg(RCX), (i32)(PAGE_SIZE - len), false);
        return backend_stress.force_miss ? enc_jmp(&j->e) : enc_jcc(&j->e, 7);
    }
    enc_lea(&j->e, 8, RCX, rm_sib(RCX, (int)ea, 0, (i32)len - 1));
    enc_shrx(&j->e, RCX, rm_reg(RCX), RBP);
    return jump_on_miss(j);
}

/* The same on hosts without BMI2, by a common routine: address in rdx, addend in rax. */
static u8 *probe_check_call(struct jit *j, const struct ir_op *o)
{
    enc_mov_ri(&j->e, RCX, o->size - 1u);
    enc_call_to(&j->e, x64_common.probe[tlb_mode_of(j->b->mode)][o->acc & ACC_WRITE ? 1 : 0]);
    return jump_on_miss(j);
}

static void probe_miss(struct jit *j, const struct ir_op *o, unsigned ea, unsigned idx, u8 *miss)
{
    struct ool *s = ool_new(j, OOL_PROBE, miss);
    s->kept = jit_flags_kept(j);
    s->base = (i8)ea;
    s->index = (i8)idx;
    s->size_acc = o->size | (u32)o->acc << 8;
    s->live = (u8)(ra_live_regs(&j->ra) & ~BIT(ea) & ~BIT(idx) & ~BIT(RBX));
    s->x87_fop = j->x87_fop;
}

static unsigned take_preferred(struct jit *j, unsigned r)
{
    if (x64_host.bmi2)
        return ra_take_first(&j->ra, r, RA_ALL & ~BIT(RCX));
    ra_claim(&j->ra, r);
    return r;
}

/* The check of a group's range, and its addend. */
static void group_check(struct jit *j, const struct ir_op *o, const struct group_probe *g)
{
    ra_claim(&j->ra, RCX);
    unsigned idx = take_preferred(j, RBX), ea = take_preferred(j, RDX), at = ea;
    int base = gpr_pin(o->a);
    if (base < 0) {
        base = (int)ea;
        enc_load(&j->e, 8, ea, gpr_rm(o->a.n));
    }
    if (g->lo)
        enc_lea(&j->e, 8, ea, rm_mem(base, g->lo));
    else
        at = (unsigned)base;
    enc_pext(&j->e, idx, at, mask_rm(j));
    u8 *miss = probe_check(j, at, g->len, rm_sib(RBP, (int)idx, 3, (i32)tag_offset(j, g->write) - CPU_BIAS), 0);
    ool_new(j, OOL_REGION, miss)->kept = jit_flags_kept(j);
    enc_load(&j->e, 8, idx, rm_sib(RBP, (int)idx, 3, (i32)addend_offset(j) - CPU_BIAS));
    ra_group_set(&j->ra, g->slot, idx, g->last_op);
    ra_drop(&j->ra, ea);
    ra_drop(&j->ra, RCX);
}

/* A PROBE of a group: pointer = the register + addend + displacement. */
static void probe_group(struct jit *j, const struct ir_op *o, const struct group_probe *g)
{
    int base = gpr_pin(o->a);
    if (g->first)
        group_check(j, o, g);
    if (base < 0 || !gpr_lasts(j, o->a.n)) {
        unsigned r = ra_take(&j->ra, RA_ALL);
        if (base < 0)
            enc_load(&j->e, 8, r, gpr_rm(o->a.n));
        else
            enc_mov_rr(&j->e, 8, r, (unsigned)base);
        base = (int)r;
    }
    ra_ptr_set_group(&j->ra, base, g->slot, (i32)sext(o->imm, o->asize));
}

void isel_probe(struct jit *j, const struct ir_op *o)
{
    const struct group_probe *g = j->grouping ? groups_at(&j->groups, (unsigned)j->op) : NULL;
    ra_ptr_forget(&j->ra);
    j->zmm_known_here = false;
    if (g) {
        probe_group(j, o, g);
        return;
    }
    ra_claim(&j->ra, RCX);
    unsigned ea = take_preferred(j, RDX), idx = take_preferred(j, RAX);
    bool constant;
    u64 value, moving = 0;
    unsigned at = probe_address(j, o, ea, idx, &constant, &value);
    if (!x64_host.bmi2) {
        if (at != ea)
            enc_mov_rr(&j->e, 8, ea, at);
        probe_miss(j, o, ea, idx, probe_check_call(j, o));
        j->ool[j->n_ool - 1].back = j->e.p;
        ra_ptr_set(&j->ra, (int)ea, (int)idx);
        return;
    }
    struct rm addend;
    u8 *miss;
    if (constant) {
        unsigned i = tlb_index(tlb_mask(tlb_mode_of(j->b->mode), TLB_REGION_LOW), value);
        moving = o->rel && j->b->moves ? value : 0;
        miss = probe_check(j, at, o->size, cpu_rm(tag_offset(j, o->acc & ACC_WRITE) + 8 * i), moving);
        addend = cpu_rm(addend_offset(j) + 8 * i);
    } else {
        enc_pext(&j->e, idx, at, mask_rm(j));
        miss = probe_check(j, at, o->size, rm_sib(RBP, (int)idx, 3, (i32)tag_offset(j, o->acc & ACC_WRITE) - CPU_BIAS), 0);
        addend = rm_sib(RBP, (int)idx, 3, (i32)addend_offset(j) - CPU_BIAS);
    }
    probe_miss(j, o, at, idx, miss);
    enc_load(&j->e, 8, idx, addend);
    if (moving)
        jit_moves(j, RELOC_TLB, moving);
    j->ool[j->n_ool - 1].back = j->e.p;
    if (at != ea)
        ra_drop(&j->ra, ea);
    ra_ptr_set(&j->ra, (int)at, (int)idx);
}

/* --- the slow path, out of line --- */
/* Moves registers that must live over a call to their slots, or back. rbx is kept by the called code. */
void ool_keep(struct jit *j, unsigned regs, bool save)
{
    for (unsigned r = 0; r < RA_SCRATCH; r++) {
        if (!(regs >> r & 1) || r == RBX)
            continue;
        if (save)
            enc_store(&j->e, 8, ra_slot(SLOT_REGS + r), r);
        else
            enc_load(&j->e, 8, r, ra_slot(SLOT_REGS + r));
    }
}

void ool_probe(struct jit *j, const struct ool *s)
{
    ool_keep(j, s->live, true);
    if (s->base != RDX)
        enc_mov_rr(&j->e, 8, RDX, (unsigned)s->base);
    if (s->x87_insn)
        x87_store_pointers(j, s->x87_insn, s->x87_fop);
    jit_set_rip(j, j->b->insn[s->insn].pc);
    count_ahead(j, s->insn);
    enc_mov_ri(&j->e, RCX, s->size_acc);
    bool victims = x64_host.bmi2 && !backend_stress.force_miss;
    unsigned write = s->size_acc >> 8 & ACC_WRITE ? 1 : 0;
    const u8 *slow = s->kept ? x64_common.kept_probe : x64_common.slow_probe;
    enc_call_to(&j->e, victims ? x64_common.victim_probe[s->kept][tlb_mode_of(j->b->mode)][write] : slow);
    if (s->base >= RA_SCRATCH) { /* the base stays what it is: index = pointer - base */
        enc_mov_rr(&j->e, 8, RCX, (unsigned)s->base);
        enc_grp(&j->e, 8, OP1(0xf6), 2, rm_reg(RCX), false);
        enc_lea(&j->e, 8, (unsigned)s->index, rm_sib(RDX, RCX, 0, 1));
    } else if (s->base != RDX || s->index != RAX) {
        enc_mov_rr(&j->e, 8, (unsigned)s->base, RDX);
        enc_mov_ri(&j->e, (unsigned)s->index, 0);
    }
    ool_keep(j, s->live, false);
    enc_jmp_to(&j->e, s->back);
}
