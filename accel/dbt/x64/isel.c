/* Instruction selection of the x64 backend: operands, moves, two- and one-operand arithmetic, and the walk over a block. Translating thread;
 * called through backend_compile. An op with fl = 1 is emitted as the x86 instruction itself; all else must leave EFLAGS alone. */
#include "accel/dbt/stats.h"
#include "accel/dbt/x64/jit.h"

const i8 x64_pin[16] = { R8, R9, R10, R11, R12, R13, RSI, RDI, R14, R15, R_NONE, R_NONE, R_NONE, R_NONE, R_NONE, R_NONE };

/* --- operands --- */
bool val_overlap(struct ir_val x, struct ir_val y)
{
    bool xg = x.kind == K_GPR || x.kind == K_GPRH, yg = y.kind == K_GPR || y.kind == K_GPRH;
    return xg ? yg && x.n == y.n : x.kind == K_TMP && ir_same(x, y);
}

void jit_load_high(struct jit *j, unsigned n, unsigned r)
{
    if (x64_host.bmi2) {
        enc_rorx(&j->e, 4, r, rm_reg(x64_pin[n]), 8);
    } else {
        enc_mov_rr(&j->e, 4, r, (unsigned)x64_pin[n]);
        enc_movzx_high(&j->e, r, r);
    }
}

static unsigned load_high(struct jit *j, unsigned n)
{
    unsigned r = ra_take(&j->ra, RA_ALL);
    jit_load_high(j, n, r);
    return r;
}

static void store_high(struct jit *j, unsigned n, unsigned reg)
{
    unsigned p = (unsigned)x64_pin[n];
    if (x64_host.bmi2) {
        if (reg == p) { /* AH = AL: the rotation moves the source away */
            reg = ra_take(&j->ra, RA_ALL);
            enc_mov_rr(&j->e, 4, reg, p);
        }
        enc_rorx(&j->e, 8, p, rm_reg((int)p), 8);
        enc_mov_rr(&j->e, 1, p, reg);
        enc_rorx(&j->e, 8, p, rm_reg((int)p), 56);
    } else {
        unsigned r = ra_take(&j->ra, RA_ALL);
        unsigned s = reg;
        if (s >= RA_SCRATCH) {
            s = ra_take(&j->ra, RA_ALL);
            enc_mov_rr(&j->e, 4, s, reg);
        }
        enc_mov_rr(&j->e, 8, r, p);
        enc_mov_high(&j->e, r, s);
        enc_mov_rr(&j->e, 8, p, r);
    }
}

struct rm jit_src(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size)
{
    switch (v.kind) {
    case K_GPR:
        return x64_pin[v.n] >= 0 ? rm_reg(x64_pin[v.n]) : gpr_rm(v.n);
    case K_GPRH:
        return rm_reg((int)load_high(j, v.n & 3));
    case K_TMP:
        return ra_tmp_rm(&j->ra, v.n);
    case K_PTR:
        return ra_ptr(&j->ra, o->ptr_off);
    default: {
        unsigned r = ra_take(&j->ra, RA_ALL);
        enc_mov_ri(&j->e, r, zext(o->imm, size));
        jit_imm_moves(j, o);
        return rm_reg((int)r);
    }
    }
}

unsigned jit_src_reg(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size)
{
    struct rm m = jit_src(j, o, v, size);
    if (rm_is_reg(m))
        return (unsigned)m.reg;
    if (v.kind == K_TMP)
        return ra_tmp_use(&j->ra, v.n);
    unsigned r = ra_take(&j->ra, RA_ALL);
    enc_movzx(&j->e, r, size, m);
    return r;
}

void jit_load(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size, unsigned reg)
{
    if (v.kind == K_IMM) {
        enc_mov_ri(&j->e, reg, zext(o->imm, size));
        jit_imm_moves(j, o);
        return;
    }
    if (v.kind == K_GPRH) {
        jit_load_high(j, v.n & 3, reg);
        if (x64_host.bmi2)
            enc_movzx(&j->e, reg, 1, rm_reg((int)reg));
        return;
    }
    struct rm m = jit_src(j, o, v, size);
    if (size == 8 && rm_is_reg(m) && (unsigned)m.reg == reg)
        return;
    enc_movzx(&j->e, reg, size, m);
}

void jit_put(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size, unsigned reg)
{
    switch (v.kind) {
    case K_GPR:
        if (x64_pin[v.n] >= 0)
            enc_mov_rr(&j->e, size, (unsigned)x64_pin[v.n], reg);
        else
            enc_store(&j->e, size == 4 ? 8 : size, gpr_rm(v.n), reg);
        break;
    case K_GPRH:
        store_high(j, v.n & 3, reg);
        break;
    case K_TMP:
        if (ra_is_op(&j->ra, reg))
            ra_tmp_adopt(&j->ra, v.n, reg);
        else if (ra_tmp_at(&j->ra, v.n) != (int)reg)
            enc_mov_rr(&j->e, MAX_OF(size, 4u), ra_tmp_def(&j->ra, v.n, false), reg);
        break;
    case K_PTR:
        enc_store(&j->e, size, ra_ptr(&j->ra, o->ptr_off), reg);
        break;
    default:
        break;
    }
}

struct dst dst_open(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size, bool read)
{
    struct dst d = { v, size, 0 };
    switch (v.kind) {
    case K_GPR:
        if (x64_pin[v.n] >= 0) {
            d.reg = (unsigned)x64_pin[v.n];
            break;
        }
        d.reg = ra_take(&j->ra, RA_ALL);
        if (read || size < 4)
            enc_load(&j->e, 8, d.reg, gpr_rm(v.n));
        break;
    case K_GPRH:
        d.reg = read ? load_high(j, v.n & 3) : ra_take(&j->ra, RA_ALL);
        break;
    case K_TMP: {
        bool fresh = !ra_tmp_defined(&j->ra, v.n);
        d.reg = ra_tmp_def(&j->ra, v.n, read);
        if (fresh && size < 4) /* so that its upper bytes are zero rather than anything */
            enc_mov_ri(&j->e, d.reg, 0);
        break;
    }
    case K_PTR:
        d.reg = ra_take(&j->ra, RA_ALL);
        if (read)
            enc_movzx(&j->e, d.reg, size, ra_ptr(&j->ra, o->ptr_off));
        break;
    default: /* result not wanted */
        d.reg = ra_take(&j->ra, RA_ALL);
        break;
    }
    return d;
}

void dst_close(struct jit *j, const struct ir_op *o, const struct dst *d)
{
    if (d->v.kind == K_GPR && x64_pin[d->v.n] < 0)
        enc_store(&j->e, 8, gpr_rm(d->v.n), d->reg);
    else if (d->v.kind == K_GPRH || d->v.kind == K_PTR)
        jit_put(j, o, d->v, d->size, d->reg);
}

bool dst_is_mem(struct ir_val v, unsigned size)
{
    return v.kind == K_PTR || (v.kind == K_GPR && x64_pin[v.n] < 0 && size == 8);
}

struct rm jit_mem(struct jit *j, const struct ir_op *o, struct ir_val v)
{
    return v.kind == K_PTR ? ra_ptr(&j->ra, o->ptr_off) : gpr_rm(v.n);
}

/* The immediate as an instruction of this size takes it; false: it needs a register. */
static bool imm_fits(const struct ir_op *o, unsigned size)
{
    return size < 8 || fits32((i64)o->imm);
}

static i32 imm_of(const struct ir_op *o, unsigned size)
{
    return size == 8 ? (i32)o->imm : (i32)sext(o->imm, size);
}

void jit_moves(struct jit *j, enum reloc_kind kind, u64 a)
{
    if (!j->b->moves)
        return;
    j->moved = true;
    if (ir_moving(a))
        reloc_add(&j->relocs, kind, j->e.p - 4, (i32)(a - j->b->pc));
    else
        j->relocs.lost = true;
}

void jit_load_pc(struct jit *j, unsigned reg, u64 val, unsigned size)
{
    if (!j->b->rel) {
        enc_mov_ri(&j->e, reg, zext(val, size));
        jit_moves(j, RELOC_PC, zext(val, size));
        return;
    }
    i64 off = (i64)(val - (j->b->pc & PAGE_MASK));
    enc_load(&j->e, 8, reg, CPU_RM(pc_page));
    if (size < 8) {
        enc_lea(&j->e, 4, reg, rm_mem((int)reg, (i32)off));
        return;
    }
    if (off > INT32_MAX) { /* the end of an instruction that begins in the page, on top of the most that a displacement can be */
        enc_lea(&j->e, 8, reg, rm_mem((int)reg, 2 * (i32)PAGE_SIZE));
        off -= 2 * (i64)PAGE_SIZE;
    }
    assert(fits32(off));
    if (off)
        enc_lea(&j->e, 8, reg, rm_mem((int)reg, (i32)off));
}

void jit_set_rip(struct jit *j, u64 pc)
{
    if (j->b->rel) {
        jit_load_pc(j, RAX, pc, 8);
        enc_store(&j->e, 8, CPU_RM(rip), RAX);
    } else if (fits32((i64)pc)) {
        enc_mov_mi(&j->e, 8, CPU_RM(rip), (u32)pc);
        jit_moves(j, RELOC_PC, pc);
    } else {
        enc_mov_ri(&j->e, RAX, pc);
        enc_store(&j->e, 8, CPU_RM(rip), RAX);
    }
}

struct ool *ool_new(struct jit *j, enum ool_kind kind, u8 *from)
{
    assert(j->n_ool < OOL_MAX);
    struct ool *s = &j->ool[j->n_ool++];
    memset(s, 0, sizeof(*s));
    s->kind = (u8)kind;
    s->from = from;
    s->insn = (u8)j->insn;
    s->x87_insn = (u8)j->x87_insn;
    return s;
}

/* --- moves --- */
static void isel_insn(struct jit *j, const struct ir_op *o)
{
    j->insn = (unsigned)o->imm;
    int end = j->op + 1;
    while (end < (int)j->b->n_ops && j->b->op[end].code != IR_INSN)
        end++;
    ra_insn(&j->ra, j->op, end);
    struct compiled_insn *m = &j->map[j->n_map++];
    m->off = j->hot_size ? j->hot_size + (u32)(j->e.p - j->cold) : (u32)(j->e.p - j->body);
    m->pc_off = (u16)(j->b->insn[j->insn].pc - j->b->pc);
    m->x87_insn = (u8)j->x87_insn;
    m->x87_fop = j->x87_fop;
    m->flags_kept = j->grouping && (keeps_at(&j->keeps, (unsigned)j->op) || keeps_at(&j->keeps, (unsigned)end - 1));
}

static void mov_pc(struct jit *j, const struct ir_op *o)
{
    unsigned r = o->d.kind == K_TMP ? ra_tmp_def(&j->ra, o->d.n, false) : ra_take(&j->ra, RA_ALL);
    jit_load_pc(j, r, o->imm, 8);
    if (o->d.kind != K_TMP)
        jit_put(j, o, o->d, o->size, r);
}

static void mov_imm(struct jit *j, const struct ir_op *o)
{
    int pin = gpr_pin(o->d);
    if (o->rel && j->b->rel) {
        mov_pc(j, o);
    } else if (o->d.kind == K_TMP) {
        enc_mov_ri(&j->e, ra_tmp_def(&j->ra, o->d.n, false), zext(o->imm, o->size));
        jit_imm_moves(j, o);
    } else if (pin >= 0 && o->size >= 4) {
        enc_mov_ri(&j->e, (unsigned)pin, zext(o->imm, o->size));
        jit_imm_moves(j, o);
    } else if (pin >= 0) {
        enc_mov_mi(&j->e, o->size, rm_reg(pin), (u32)o->imm);
    } else if (o->d.kind == K_GPR && o->size == 4 && fits32((i64)zext(o->imm, 4))) {
        enc_mov_mi(&j->e, 8, gpr_rm(o->d.n), (u32)o->imm);
    } else if ((o->d.kind == K_PTR || (o->d.kind == K_GPR && o->size != 4)) && imm_fits(o, o->size)) {
        enc_mov_mi(&j->e, o->size, jit_mem(j, o, o->d), (u32)o->imm);
        jit_imm_moves(j, o);
    } else {
        jit_put(j, o, o->d, o->size, jit_src_reg(j, o, o->a, o->size));
    }
}

static void isel_mov(struct jit *j, const struct ir_op *o)
{
    unsigned size = o->size;
    if (o->a.kind == K_IMM) {
        mov_imm(j, o);
    } else if (o->d.kind == K_PTR || o->d.kind == K_GPRH) {
        jit_put(j, o, o->d, size, jit_src_reg(j, o, o->a, size));
    } else if (gpr_pin(o->d) < 0 && o->d.kind == K_GPR && size == 8) {
        enc_store(&j->e, 8, gpr_rm(o->d.n), jit_src_reg(j, o, o->a, size));
    } else if (o->d.kind == K_TMP) {
        struct rm m = jit_src(j, o, o->a, size);
        enc_movzx(&j->e, ra_tmp_def(&j->ra, o->d.n, false), size, m);
    } else {
        struct rm m = jit_src(j, o, o->a, size);
        struct dst d = dst_open(j, o, o->d, size, false);
        enc_load(&j->e, size, d.reg, m);
        dst_close(j, o, &d);
    }
}

static void isel_movzx(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size2);
    struct dst d = dst_open(j, o, o->d, o->size, false);
    if (o->code == IR_MOVSX && o->size2 == 4 && o->size == 8)
        enc_op(&j->e, o->size, OP1(0x63), d.reg, m, 0);
    else if (o->code == IR_MOVSX && o->size2 < 4)
        enc_op(&j->e, o->size, o->size2 == 1 ? OP0F(0xbe) : OP0F(0xbf), d.reg, m, o->size2 == 1 ? E_RMB : 0);
    else if (o->size2 >= 4)
        enc_load(&j->e, o->size2, d.reg, m);
    else
        enc_op(&j->e, MIN_OF(o->size, 4), o->size2 == 1 ? OP0F(0xb6) : OP0F(0xb7), d.reg, m, o->size2 == 1 ? E_RMB : 0);
    dst_close(j, o, &d);
}

static void isel_setcc(struct jit *j, const struct ir_op *o)
{
    u32 op = OP0F(0x90u | o->cc);
    if (o->d.kind == K_PTR) {
        enc_op(&j->e, 1, op, 0, ra_ptr(&j->ra, o->ptr_off), E_DIGIT);
        return;
    }
    struct dst d = dst_open(j, o, o->d, 1, false);
    enc_op(&j->e, 1, op, 0, rm_reg((int)d.reg), E_DIGIT | E_RMB);
    dst_close(j, o, &d);
}

static void isel_cmov(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, true);
    enc_op(&j->e, o->size, OP0F(0x40u | o->cc), d.reg, m, 0);
    dst_close(j, o, &d);
}

static void isel_bswap(struct jit *j, const struct ir_op *o)
{
    struct rm m = { .reg = R_NONE };
    bool in_place = ir_same(o->d, o->a);
    if (!in_place)
        m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, in_place);
    if (!in_place)
        enc_load(&j->e, o->size, d.reg, m);
    if (o->size == 2)
        enc_b(&j->e, 0x66);
    if (o->size == 8 || d.reg >= 8)
        enc_b(&j->e, 0x40 | (o->size == 8 ? 8u : 0) | d.reg >> 3);
    enc_b(&j->e, 0x0f);
    enc_b(&j->e, 0xc8 | (d.reg & 7));
    dst_close(j, o, &d);
}

static void isel_ldc(struct jit *j, const struct ir_op *o)
{
    struct dst d = dst_open(j, o, o->d, o->size, false);
    if (o->d.kind == K_TMP)
        enc_movzx(&j->e, d.reg, o->size, cpu_rm(o->imm));
    else
        enc_load(&j->e, o->size, d.reg, cpu_rm(o->imm));
    dst_close(j, o, &d);
}

static void isel_ldcode(struct jit *j, const struct ir_op *o)
{
    struct dst d = dst_open(j, o, o->d, 8, false);
    struct rm m = rm_mem((int)d.reg, 0);
    enc_mov_ri(&j->e, d.reg, (u64)(uintptr_t)j->b->code + o->imm);
    j->relocs.lost = true; /* the guest's memory lies elsewhere in another process */
    if (o->size2 == 8)
        enc_load(&j->e, 8, d.reg, m);
    else
        enc_op(&j->e, 8, o->size2 == 4 ? OP1(0x63) : OP0F(0xbe), d.reg, m, o->size2 == 4 ? 0 : E_RMB);
    dst_close(j, o, &d);
}

static void isel_stc(struct jit *j, const struct ir_op *o)
{
    struct rm m = cpu_rm(o->imm);
    if (o->imm == offsetof(struct cpu, x87_fip))
        j->x87_insn = 0; /* FNINIT: takes the place of pointers that were still to be stored */
    if (o->a.kind != K_IMM) {
        enc_store(&j->e, o->size, m, jit_src_reg(j, o, o->a, o->size));
    } else if (o->size < 8 || fits32((i64)o->imm2)) {
        enc_mov_mi(&j->e, o->size, m, (u32)o->imm2);
    } else {
        unsigned r = ra_take(&j->ra, RA_ALL);
        enc_mov_ri(&j->e, r, o->imm2);
        enc_store(&j->e, 8, m, r);
    }
}

/* --- arithmetic with two operands --- */
static unsigned alu_number(unsigned code)
{
    switch (code) {
    case IR_ADD: return 0;
    case IR_OR: return 1;
    case IR_ADC: return 2;
    case IR_SBB: return 3;
    case IR_AND: return 4;
    case IR_SUB: return 5;
    case IR_XOR: return 6;
    default: return 7;
    }
}

static void alu_apply(struct jit *j, const struct ir_op *o, unsigned n, unsigned reg, struct ir_val b)
{
    if (b.kind == K_IMM && imm_fits(o, o->size)) {
        enc_alu_mi(&j->e, o->size, n, rm_reg((int)reg), imm_of(o, o->size), false);
        jit_imm_moves(j, o);
    } else {
        enc_alu_rm(&j->e, o->size, n, reg, jit_src(j, o, b, o->size));
    }
}

/* Opens d for "d = a op b", with a's value in it. If writing d early would change b, a scratch register stands in; see alu_close. */
static struct dst alu_open(struct jit *j, const struct ir_op *o, bool *stand_in)
{
    *stand_in = false;
    if (ir_same(o->d, o->a))
        return dst_open(j, o, o->d, o->size, true);
    if (val_overlap(o->d, o->b) || (o->size < 4 && o->d.kind != K_TMP) || o->d.kind == K_PTR || o->d.kind == K_GPRH) {
        *stand_in = true;
        struct dst d = { o->d, o->size, ra_take(&j->ra, RA_ALL) };
        jit_load(j, o, o->a, o->size, d.reg);
        return d;
    }
    struct dst d = dst_open(j, o, o->d, o->size, false);
    jit_load(j, o, o->a, o->size, d.reg);
    return d;
}

static void alu_close(struct jit *j, const struct ir_op *o, const struct dst *d, bool stand_in)
{
    if (stand_in)
        jit_put(j, o, d->v, d->size, d->reg);
    else
        dst_close(j, o, d);
}

static void isel_alu(struct jit *j, const struct ir_op *o)
{
    unsigned n = alu_number(o->code);
    if (ir_same(o->d, o->a) && dst_is_mem(o->d, o->size)) {
        if (o->b.kind == K_IMM && imm_fits(o, o->size)) {
            enc_alu_mi(&j->e, o->size, n, jit_mem(j, o, o->d), imm_of(o, o->size), o->lock);
            jit_imm_moves(j, o);
        } else {
            unsigned r = jit_src_reg(j, o, o->b, o->size);
            enc_alu_mr(&j->e, o->size, n, jit_mem(j, o, o->d), r, o->lock);
        }
        return;
    }
    bool stand_in;
    struct dst d = alu_open(j, o, &stand_in);
    alu_apply(j, o, n, d.reg, o->b);
    alu_close(j, o, &d, stand_in);
}

static void isel_cmp(struct jit *j, const struct ir_op *o)
{
    struct rm a = jit_src(j, o, o->a, o->size);
    if (o->b.kind == K_IMM && o->a.kind != K_IMM && imm_fits(o, o->size)) {
        enc_alu_mi(&j->e, o->size, 7, a, imm_of(o, o->size), false);
        jit_imm_moves(j, o);
    } else if (rm_is_reg(a)) {
        enc_alu_rm(&j->e, o->size, 7, (unsigned)a.reg, jit_src(j, o, o->b, o->size));
    } else {
        unsigned r = jit_src_reg(j, o, o->b, o->size);
        enc_alu_mr(&j->e, o->size, 7, a, r, false);
    }
}

static void isel_test(struct jit *j, const struct ir_op *o)
{
    unsigned size = o->size, how = size == 1 ? E_REGB | E_RMB : 0;
    struct rm a = jit_src(j, o, o->a, size);
    if (o->b.kind == K_IMM && o->a.kind != K_IMM && imm_fits(o, size)) {
        enc_grp(&j->e, size, OP1(0xf6), 0, a, false);
        for (unsigned i = 0; i < MIN_OF(size, 4u); i++)
            enc_b(&j->e, (unsigned)(o->imm >> (8 * i)));
    } else if (rm_is_reg(a)) {
        enc_op(&j->e, size, size == 1 ? OP1(0x84) : OP1(0x85), (unsigned)a.reg, jit_src(j, o, o->b, size), how);
    } else {
        unsigned r = jit_src_reg(j, o, o->b, size);
        enc_op(&j->e, size, size == 1 ? OP1(0x84) : OP1(0x85), r, a, how);
    }
}

/* INC DEC NEG NOT */
static void unary_apply(struct jit *j, const struct ir_op *o, struct rm m, bool lock)
{
    switch (o->code) {
    case IR_INC: enc_grp(&j->e, o->size, OP1(0xfe), 0, m, lock); break;
    case IR_DEC: enc_grp(&j->e, o->size, OP1(0xfe), 1, m, lock); break;
    case IR_NEG: enc_grp(&j->e, o->size, OP1(0xf6), 3, m, lock); break;
    default: enc_grp(&j->e, o->size, OP1(0xf6), 2, m, lock); break;
    }
}

static void isel_unary(struct jit *j, const struct ir_op *o)
{
    if (ir_same(o->d, o->a) && dst_is_mem(o->d, o->size)) {
        unary_apply(j, o, jit_mem(j, o, o->d), o->lock);
        return;
    }
    bool stand_in;
    struct dst d = alu_open(j, o, &stand_in);
    unary_apply(j, o, rm_reg((int)d.reg), false);
    alu_close(j, o, &d, stand_in);
}

/* --- arithmetic that must leave the flags alone --- */
/* d = the address. */
static void lea_put(struct jit *j, const struct ir_op *o, struct rm m)
{
    unsigned size = o->size == 8 ? 8 : 4;
    int pin = gpr_pin(o->d);
    if (pin >= 0 && o->size >= 4) {
        enc_lea(&j->e, size, (unsigned)pin, m);
        return;
    }
    if (o->d.kind == K_TMP && ra_tmp_at(&j->ra, o->d.n) >= 0) {
        enc_lea(&j->e, size, ra_tmp_def(&j->ra, o->d.n, false), m);
        return;
    }
    unsigned r = ra_is_op(&j->ra, (unsigned)m.base) ? (unsigned)m.base : m.index >= 0 && ra_is_op(&j->ra, (unsigned)m.index)
                                                                       ? (unsigned)m.index : ra_take(&j->ra, RA_ALL);
    enc_lea(&j->e, size, r, m);
    jit_put(j, o, o->d, o->size, r);
}

/* ADD SUB INC DEC NEG without flags. */
static bool free_add(struct jit *j, const struct ir_op *o)
{
    if (o->lock)
        return false;
    if (o->code == IR_NEG) { /* ~a + 1 */
        unsigned r = ra_take(&j->ra, RA_ALL);
        jit_load(j, o, o->a, o->size, r);
        enc_grp(&j->e, 8, OP1(0xf6), 2, rm_reg((int)r), false);
        lea_put(j, o, rm_mem((int)r, 1));
        return true;
    }
    unsigned a = jit_src_reg(j, o, o->a, o->size);
    if (o->code == IR_INC || o->code == IR_DEC) {
        lea_put(j, o, rm_mem((int)a, o->code == IR_INC ? 1 : -1));
    } else if (o->b.kind == K_IMM) {
        i64 v = (i64)sext(o->imm, o->size);
        v = o->code == IR_ADD ? v : -v;
        if (!fits32(v))
            return false;
        lea_put(j, o, rm_mem((int)a, (i32)v));
    } else if (o->code == IR_ADD) {
        lea_put(j, o, rm_sib((int)a, (int)jit_src_reg(j, o, o->b, o->size), 0, 0));
    } else { /* a + ~b + 1 */
        unsigned r = ra_take(&j->ra, RA_ALL);
        jit_load(j, o, o->b, o->size, r);
        enc_grp(&j->e, 8, OP1(0xf6), 2, rm_reg((int)r), false);
        lea_put(j, o, rm_sib((int)a, (int)r, 0, 1));
    }
    return true;
}

/* SHL SHR SAR ROR without flags where BMI2 has them. */
static bool free_shift(struct jit *j, const struct ir_op *o)
{
    if (!x64_host.bmi2 || o->size < 4 || o->d.kind == K_PTR || (o->code == IR_ROR && o->b.kind != K_IMM))
        return false;
    struct rm m = jit_src(j, o, o->a, o->size);
    if (o->code == IR_ROR) {
        struct dst d = dst_open(j, o, o->d, o->size, false);
        enc_rorx(&j->e, o->size, d.reg, m, (unsigned)o->imm & (o->size * 8 - 1));
        dst_close(j, o, &d);
        return true;
    }
    unsigned n = jit_src_reg(j, o, o->b, 1);
    struct dst d = dst_open(j, o, o->d, o->size, false);
    enc_vex(&j->e, o->size, o->code == IR_SHL ? 1 : o->code == IR_SHR ? 3 : 2, 2, 0xf7, d.reg, n, m);
    dst_close(j, o, &d);
    return true;
}

/* True if it could be done without touching the flags. */
static bool isel_flag_free(struct jit *j, const struct ir_op *o)
{
    switch (o->code) {
    case IR_ADD: case IR_SUB: case IR_INC: case IR_DEC: case IR_NEG:
        return free_add(j, o);
    case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROR:
        return free_shift(j, o);
    case IR_CMP: case IR_TEST: case IR_BT:
        return true;
    default:
        return false;
    }
}

static void isel_fence(struct jit *j, const struct ir_op *o)
{
    enc_b(&j->e, 0x0f); /* MFENCE */
    enc_b(&j->e, 0xae);
    enc_b(&j->e, 0xf0);
}

/* --- the walk --- */
static isel_fn *const isel_table[IR_COUNT] = {
    [IR_INSN] = isel_insn, [IR_PROBE] = isel_probe, [IR_LIN] = isel_lin, [IR_MOV] = isel_mov, [IR_MOVZX] = isel_movzx,
    [IR_MOVSX] = isel_movzx, [IR_LEA] = isel_lea, [IR_SETCC] = isel_setcc, [IR_CMOV] = isel_cmov, [IR_BSWAP] = isel_bswap,
    [IR_XCHG] = isel_xchg, [IR_LDC] = isel_ldc, [IR_LDCODE] = isel_ldcode, [IR_STC] = isel_stc, [IR_ADD] = isel_alu, [IR_ADC] = isel_alu, [IR_SUB] = isel_alu,
    [IR_SBB] = isel_alu, [IR_AND] = isel_alu, [IR_OR] = isel_alu, [IR_XOR] = isel_alu, [IR_CMP] = isel_cmp, [IR_TEST] = isel_test,
    [IR_INC] = isel_unary, [IR_DEC] = isel_unary, [IR_NEG] = isel_unary, [IR_NOT] = isel_unary, [IR_SHL] = isel_shift,
    [IR_SHR] = isel_shift, [IR_SAR] = isel_shift, [IR_ROL] = isel_shift, [IR_ROR] = isel_shift, [IR_RCL] = isel_shift,
    [IR_RCR] = isel_shift, [IR_SHLD] = isel_shd, [IR_SHRD] = isel_shd, [IR_BT] = isel_bit, [IR_BTS] = isel_bit, [IR_BTR] = isel_bit,
    [IR_BTC] = isel_bit, [IR_BSF] = isel_scan, [IR_BSR] = isel_scan, [IR_TZCNT] = isel_count, [IR_LZCNT] = isel_count,
    [IR_POPCNT] = isel_count, [IR_IMUL] = isel_imul, [IR_MULW] = isel_mulw, [IR_DIVW] = isel_divw, [IR_CMPXCHG] = isel_cmpxchg,
    [IR_CMPXCHG2] = isel_cmpxchg2, [IR_XADD] = isel_xadd, [IR_ANDN] = isel_vex3, [IR_BEXTR] = isel_vex3, [IR_BZHI] = isel_vex3,
    [IR_BLSI] = isel_bls, [IR_BLSR] = isel_bls, [IR_BLSMSK] = isel_bls, [IR_PDEP] = isel_vex3, [IR_PEXT] = isel_vex3,
    [IR_RORX] = isel_rorx, [IR_SARX] = isel_vex3, [IR_SHLX] = isel_vex3, [IR_SHRX] = isel_vex3, [IR_MULX] = isel_mulx,
    [IR_ADCX] = isel_adx, [IR_ADOX] = isel_adx, [IR_CRC32] = isel_crc32, [IR_LAHF] = isel_lahf, [IR_SAHF] = isel_sahf,
    [IR_CLC] = isel_carry, [IR_STCF] = isel_carry, [IR_CMC] = isel_carry, [IR_FENCE] = isel_fence,
    [IR_VEC] = isel_vec, [IR_X87] = isel_vec,
    [IR_CALL] = isel_call, [IR_JMP] = isel_jmp, [IR_JCC] = isel_jcc, [IR_BRZ] = isel_brz, [IR_JMPR] = isel_jmpr, [IR_EXIT] = isel_exit,
};

/* Ops whose flags field is optional: without it the flags must survive. */
static bool has_fl(unsigned code)
{
    return code >= IR_ADD && code <= IR_ADOX && ir_flag_effect(code) & 1 && code != IR_NOT && code != IR_DIVW;
}

/* Before the PROBE with which a stretch begins. The copies of regions save, too: they come back into its middle. */
static void keep_flags(struct jit *j)
{
    const struct keep *k = keeps_at(&j->keeps, (unsigned)j->op);
    if (!k || k->begin != j->op)
        return;
    ra_claim(&j->ra, RAX);
    enc_flags_save(&j->e);
    enc_store(&j->e, 2, CPU_RM(aflags), RAX);
    ra_drop(&j->ra, RAX);
}

static void isel_op(struct jit *j, const struct ir_op *o)
{
    ra_op_begin(&j->ra, j->op);
    j->moved = false;
    keep_flags(j);
    if (has_fl(o->code) && !o->fl && !isel_flag_free(j, o)) {
        ra_op_unlock(&j->ra);
        ra_claim(&j->ra, RAX);
        enc_flags_save(&j->e);
        enc_store(&j->e, 2, ra_slot(SLOT_FLAGS), RAX);
        ra_drop(&j->ra, RAX);
        isel_table[o->code](j, o);
        ra_op_unlock(&j->ra);
        ra_claim(&j->ra, RAX);
        enc_load(&j->e, 2, RAX, ra_slot(SLOT_FLAGS));
        enc_flags_restore(&j->e);
    } else if (!has_fl(o->code) || o->fl) {
        isel_table[o->code](j, o);
    }
    if (o->rel && j->b->moves && !j->moved)
        j->relocs.lost = true; /* an emitter that does not know of it */
    ra_op_end(&j->ra);
}

/* --- out of line --- */
/* Emits the code behind the main line that was asked for since entry `from`. */
static void emit_ool(struct jit *j, unsigned from)
{
    for (unsigned i = from; i < j->n_ool; i++) {
        struct ool *s = &j->ool[i];
        if (s->kind == OOL_REGION && s->kept) { /* the copy has them in EFLAGS */
            enc_bind32(&j->e, s->from);
            enc_movzx(&j->e, RAX, 2, CPU_RM(aflags));
            enc_flags_restore(&j->e);
            s->from = enc_jmp(&j->e);
        }
        if (s->kind == OOL_REGION)
            continue;
        if (s->from)
            enc_bind32(&j->e, s->from);
        j->insn = s->insn;
        switch ((enum ool_kind)s->kind) {
        case OOL_PROBE: ool_probe(j, s); break;
        case OOL_X87: ool_x87(j, s); break;
        case OOL_ZMM: ool_zmm(j, s); break;
        case OOL_REGION: break;
        case OOL_LOOKUP: case OOL_MISS: case OOL_CHAIN: case OOL_POLL_JCC: case OOL_POLL: case OOL_COUNT: ool_flow(j, s); break;
        }
    }
}

/* Binds the jumps of group checks that go to the copy of an instruction, which begins here. */
static void region_bind(struct jit *j, unsigned insn)
{
    for (unsigned i = 0; i < j->n_ool; i++)
        if (j->ool[i].kind == OOL_REGION && j->ool[i].insn == insn)
            enc_bind32(&j->e, j->ool[i].from);
}

/* The second copy of a region's instructions, without groups; a JMPR at its end is copied, too, a JMP shared. */
static void emit_region(struct jit *j, const struct group_region *r, const struct region_state *st)
{
    const struct ir_block *b = j->b;
    ra_groups_forget(&j->ra);
    j->x87_insn = st->x87_insn;
    j->x87_fop = st->x87_fop;
    j->x87_known_live = st->x87_known_live;
    j->zmm_known_here = st->zmm_known_here;
    for (j->op = b->insn[r->first].first_op; j->op < (int)b->n_ops; j->op++) {
        const struct ir_op *o = &b->op[j->op];
        if (o->code == IR_JMP || (o->code == IR_INSN && o->imm > r->last))
            break;
        if (o->code == IR_INSN)
            region_bind(j, (unsigned)o->imm);
        isel_op(j, o);
        if (o->code == IR_JMPR)
            return;
    }
    enc_jmp_to(&j->e, st->join);
}

/* Notes what the copies need to know when the main line comes by. */
static void region_note(struct jit *j, const struct ir_op *o)
{
    for (unsigned i = 0; i < j->groups.n_regions; i++) {
        const struct group_region *r = &j->groups.r[i];
        struct region_state *st = &j->region[i];
        if (o->code == IR_INSN && o->imm == r->first) {
            st->x87_insn = j->x87_insn;
            st->x87_fop = j->x87_fop;
            st->x87_known_live = j->x87_known_live;
            st->zmm_known_here = j->zmm_known_here;
        } else if ((o->code == IR_INSN && o->imm == r->last + 1u) || (o->code == IR_JMP && j->insn == r->last)) {
            st->join = j->e.p;
        }
    }
}

/* For `info jit`. */
static void note_passes(struct jit *j)
{
    for (unsigned i = 0; i < j->b->n_ops; i++)
        j->usage.probes += j->b->op[i].code == IR_PROBE;
    for (unsigned i = 0; i < j->groups.n_probes; i++)
        j->usage.grouped += j->groups.p[i].slot != GROUP_NONE && !j->groups.p[i].first;
    j->usage.keeps += j->keeps.n;
    if (backend_watch)
        stopwatch_phase(backend_watch, PHASE_PASSES);
}

void jit_block(struct jit *j)
{
    const struct ir_block *b = j->b;
    groups_find(&j->groups, b);
    keeps_find(&j->keeps, &j->groups, b);
    note_passes(j);
    ra_init(&j->ra, &j->e, b->op);
    count_begin(j);
    j->grouping = true;
    for (j->op = 0; j->op < (int)b->n_ops; j->op++) {
        const struct ir_op *o = &b->op[j->op];
        if (j->groups.n_regions && (o->code == IR_INSN || o->code == IR_JMP))
            region_note(j, o);
        isel_op(j, o);
    }
    if (!b->n_ops || ir_effect(b->op[b->n_ops - 1].code) != IRE_END) {
        for (unsigned i = 0; i < j->groups.n_regions; i++)
            if (j->groups.r[i].last + 1u == b->n_insns)
                j->region[i].join = j->e.p;
        flow_end(j);
    }
    j->grouping = false;
    unsigned done = j->n_ool;
    backend_begin_cold(j);
    emit_ool(j, 0);
    for (unsigned i = 0; i < j->groups.n_regions; i++)
        emit_region(j, &j->groups.r[i], &j->region[i]);
    emit_ool(j, done);
}
