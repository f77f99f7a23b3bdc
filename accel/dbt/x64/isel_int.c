/* Instruction selection of the x64 backend: shifts, bits, multiplication, division, exchanges, BMI. Translating thread; called by isel.c's walk.
 * Fixed host registers are claimed before any operand is looked at, so that what sits in them moves away first. */
#include "accel/dbt/x64/jit.h"

/* --- shifts --- */
/* Brings the count into cl. */
static void count_to_cl(struct jit *j, const struct ir_op *o)
{
    bool shared = ir_same(o->b, o->d) || ir_same(o->b, o->a);
    if (o->b.kind == K_TMP && ra_tmp_at(&j->ra, o->b.n) == RCX && !shared) {
        ra_tmp_use(&j->ra, o->b.n);
        return;
    }
    ra_claim(&j->ra, RCX);
    if (o->b.kind == K_GPRH) {
        jit_load_high(j, o->b.n & 3, RCX);
        return;
    }
    struct rm m = jit_src(j, o, o->b, 1);
    enc_op(&j->e, 4, rm_is_reg(m) ? OP1(0x8b) : OP0F(0xb6), RCX, m, 0);
    if (o->b.kind == K_TMP)
        ra_tmp_unlock(&j->ra, o->b.n);
}

static unsigned shift_digit(unsigned code)
{
    switch (code) {
    case IR_ROL: return 0;
    case IR_ROR: return 1;
    case IR_RCL: return 2;
    case IR_RCR: return 3;
    case IR_SHL: return 4;
    case IR_SHR: return 5;
    default: return 7;
    }
}

static void shift_apply(struct jit *j, const struct ir_op *o, struct rm m)
{
    unsigned digit = shift_digit(o->code);
    if (o->b.kind != K_IMM) {
        enc_grp(&j->e, o->size, OP1(0xd2), digit, m, false);
    } else if ((o->imm & 0xff) == 1) {
        enc_grp(&j->e, o->size, OP1(0xd0), digit, m, false);
    } else {
        enc_grp(&j->e, o->size, OP1(0xc0), digit, m, false);
        enc_b(&j->e, (unsigned)o->imm);
    }
}

void isel_shift(struct jit *j, const struct ir_op *o)
{
    if (o->b.kind != K_IMM)
        count_to_cl(j, o);
    if (ir_same(o->d, o->a) && dst_is_mem(o->d, o->size)) {
        shift_apply(j, o, jit_mem(j, o, o->d));
        return;
    }
    if (ir_same(o->d, o->a)) {
        struct dst d = dst_open(j, o, o->d, o->size, true);
        shift_apply(j, o, rm_reg((int)d.reg));
        dst_close(j, o, &d);
        return;
    }
    unsigned r = ra_take(&j->ra, RA_ALL);
    jit_load(j, o, o->a, o->size, r);
    shift_apply(j, o, rm_reg((int)r));
    jit_put(j, o, o->d, o->size, r);
}

static void shd_apply(struct jit *j, const struct ir_op *o, struct rm m, unsigned fill)
{
    u32 op = o->code == IR_SHLD ? OP0F(0xa4) : OP0F(0xac);
    if (o->b.kind == K_IMM) {
        enc_op(&j->e, o->size, op, fill, m, 0);
        enc_b(&j->e, (unsigned)o->imm);
    } else {
        enc_op(&j->e, o->size, op + 1, fill, m, 0);
    }
}

void isel_shd(struct jit *j, const struct ir_op *o)
{
    if (o->b.kind != K_IMM)
        count_to_cl(j, o);
    if (dst_is_mem(o->d, o->size)) {
        unsigned fill = jit_src_reg(j, o, o->a, o->size);
        shd_apply(j, o, jit_mem(j, o, o->d), fill);
        return;
    }
    unsigned fill = jit_src_reg(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, true);
    shd_apply(j, o, rm_reg((int)d.reg), fill);
    dst_close(j, o, &d);
}

/* --- bits --- */
static void bit_apply(struct jit *j, const struct ir_op *o, struct rm m, unsigned bit)
{
    unsigned k = (unsigned)o->code - IR_BT; /* BT BTS BTR BTC */
    _Static_assert(IR_BTS == IR_BT + 1 && IR_BTR == IR_BT + 2 && IR_BTC == IR_BT + 3, "order");
    unsigned how = o->lock && !rm_is_reg(m) ? E_LOCK : 0;
    if (o->b.kind == K_IMM) {
        enc_op(&j->e, o->size, OP0F(0xba), 4 + k, m, E_DIGIT | how);
        enc_b(&j->e, (unsigned)o->imm);
    } else {
        enc_op(&j->e, o->size, OP0F(0xa3u + 8 * k), bit, m, how);
    }
}

void isel_bit(struct jit *j, const struct ir_op *o)
{
    unsigned bit = o->b.kind == K_IMM ? 0 : jit_src_reg(j, o, o->b, o->size);
    if (o->code == IR_BT) { /* from a register: the memory form with a register is slow */
        bool mem = o->b.kind == K_IMM && o->a.kind != K_IMM && o->a.kind != K_TMP;
        bit_apply(j, o, mem ? jit_src(j, o, o->a, o->size) : rm_reg((int)jit_src_reg(j, o, o->a, o->size)), bit);
        return;
    }
    if (ir_same(o->d, o->a) && o->d.kind == K_PTR && (o->lock || o->b.kind == K_IMM)) {
        bit_apply(j, o, ra_ptr(&j->ra, o->ptr_off), bit);
        return;
    }
    if (ir_same(o->d, o->a)) {
        struct dst d = dst_open(j, o, o->d, o->size, true);
        bit_apply(j, o, rm_reg((int)d.reg), bit);
        dst_close(j, o, &d);
        return;
    }
    unsigned r = ra_take(&j->ra, RA_ALL);
    jit_load(j, o, o->a, o->size, r);
    bit_apply(j, o, rm_reg((int)r), bit);
    jit_put(j, o, o->d, o->size, r);
}

/* BSF, BSR: a source of 0 leaves the destination as it is. */
void isel_scan(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, true);
    enc_op(&j->e, o->size, o->code == IR_BSF ? OP0F(0xbc) : OP0F(0xbd), d.reg, m, 0);
    dst_close(j, o, &d);
}

void isel_count(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, false);
    u32 op = o->code == IR_TZCNT ? OP0F(0xbc) : o->code == IR_LZCNT ? OP0F(0xbd) : OP0F(0xb8);
    enc_op(&j->e, o->size, OP_F3 | op, d.reg, m, 0);
    dst_close(j, o, &d);
}

/* --- multiplication and division --- */
static void imul_imm(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, false);
    i64 v = (i64)sext(o->imm, o->size);
    enc_op(&j->e, o->size, fits8(v) ? OP1(0x6b) : OP1(0x69), d.reg, m, 0);
    for (unsigned i = 0; i < (fits8(v) ? 1u : MIN_OF(o->size, 4u)); i++)
        enc_b(&j->e, (unsigned)(v >> (8 * i)));
    dst_close(j, o, &d);
}

void isel_imul(struct jit *j, const struct ir_op *o)
{
    if (o->b.kind == K_IMM && o->a.kind != K_IMM && fits32((i64)sext(o->imm, o->size))) {
        imul_imm(j, o);
        return;
    }
    struct ir_val a = o->a, b = o->b;
    if (!ir_same(o->d, a) && ir_same(o->d, b)) {
        a = o->b;
        b = o->a;
    }
    if (ir_same(o->d, a)) {
        struct rm m = jit_src(j, o, b, o->size);
        struct dst d = dst_open(j, o, o->d, o->size, true);
        enc_op(&j->e, o->size, OP0F(0xaf), d.reg, m, 0);
        dst_close(j, o, &d);
        return;
    }
    unsigned r = ra_take(&j->ra, RA_ALL);
    jit_load(j, o, a, o->size, r);
    enc_op(&j->e, o->size, OP0F(0xaf), r, jit_src(j, o, b, o->size), 0);
    jit_put(j, o, o->d, o->size, r);
}

static void wide_results(struct jit *j, unsigned size)
{
    enc_mov_rr(&j->e, MAX_OF(size, 2u), (unsigned)x64_pin[R_AX], RAX);
    if (size > 1)
        enc_mov_rr(&j->e, size, (unsigned)x64_pin[R_DX], RDX);
}

void isel_mulw(struct jit *j, const struct ir_op *o)
{
    ra_claim(&j->ra, RAX);
    ra_claim(&j->ra, RDX);
    struct rm m = jit_src(j, o, o->a, o->size);
    enc_mov_rr(&j->e, o->size == 8 ? 8 : 4, RAX, (unsigned)x64_pin[R_AX]);
    enc_grp(&j->e, o->size, OP1(0xf6), o->aux & 1 ? 5 : 4, m, false);
    wide_results(j, o->size);
}

/* #DE comes as a host signal; guest registers are untouched until then. */
void isel_divw(struct jit *j, const struct ir_op *o)
{
    ra_claim(&j->ra, RAX);
    ra_claim(&j->ra, RDX);
    struct rm m = jit_src(j, o, o->a, o->size);
    enc_mov_rr(&j->e, o->size == 8 ? 8 : 4, RAX, (unsigned)x64_pin[R_AX]);
    if (o->size > 1)
        enc_mov_rr(&j->e, o->size == 8 ? 8 : 4, RDX, (unsigned)x64_pin[R_DX]);
    enc_grp(&j->e, o->size, OP1(0xf6), o->aux & 1 ? 7 : 6, m, false);
    wide_results(j, o->size);
}

void isel_mulx(struct jit *j, const struct ir_op *o)
{
    ra_claim(&j->ra, RDX);
    if (o->a.kind == K_PTR)
        ra_ptr_single(&j->ra);
    struct rm m = jit_src(j, o, o->a, o->size);
    enc_mov_rr(&j->e, o->size, RDX, (unsigned)x64_pin[R_DX]);
    if (ir_same(o->b, o->d)) {
        struct dst hi = dst_open(j, o, o->d, o->size, false);
        enc_vex(&j->e, o->size, 3, 2, 0xf6, hi.reg, hi.reg, m);
        dst_close(j, o, &hi);
        return;
    }
    struct dst lo = dst_open(j, o, o->b, o->size, false);
    struct dst hi = dst_open(j, o, o->d, o->size, false);
    enc_vex(&j->e, o->size, 3, 2, 0xf6, hi.reg, lo.reg, m);
    dst_close(j, o, &lo);
    dst_close(j, o, &hi);
}

/* --- exchanges --- */
void isel_xchg(struct jit *j, const struct ir_op *o)
{
    unsigned how = o->size == 1 ? E_REGB | E_RMB : 0;
    u32 op = o->size == 1 ? OP1(0x86) : OP1(0x87);
    struct dst a = dst_open(j, o, o->a, o->size, true);
    if (o->d.kind == K_PTR) {
        enc_op(&j->e, o->size, op, a.reg, ra_ptr(&j->ra, o->ptr_off), how);
        dst_close(j, o, &a);
        return;
    }
    struct dst d = dst_open(j, o, o->d, o->size, true);
    enc_op(&j->e, o->size, op, a.reg, rm_reg((int)d.reg), how);
    dst_close(j, o, &d);
    dst_close(j, o, &a);
}

void isel_xadd(struct jit *j, const struct ir_op *o)
{
    unsigned how = o->size == 1 ? E_REGB | E_RMB : 0;
    u32 op = o->size == 1 ? OP0F(0xc0) : OP0F(0xc1);
    struct dst a = dst_open(j, o, o->a, o->size, true);
    if (o->d.kind == K_PTR) {
        enc_op(&j->e, o->size, op, a.reg, ra_ptr(&j->ra, o->ptr_off), how | (o->lock ? E_LOCK : 0));
        dst_close(j, o, &a);
        return;
    }
    struct dst d = dst_open(j, o, o->d, o->size, true);
    enc_op(&j->e, o->size, op, a.reg, rm_reg((int)d.reg), how);
    dst_close(j, o, &a);
    dst_close(j, o, &d);
}

void isel_cmpxchg(struct jit *j, const struct ir_op *o)
{
    unsigned how = o->size == 1 ? E_REGB | E_RMB : 0, acc = (unsigned)x64_pin[R_AX];
    u32 op = o->size == 1 ? OP0F(0xb0) : OP0F(0xb1);
    ra_claim(&j->ra, RAX);
    unsigned src = jit_src_reg(j, o, o->a, o->size);
    if (o->d.kind == K_PTR) {
        struct rm m = ra_ptr(&j->ra, o->ptr_off);
        enc_mov_rr(&j->e, 8, RAX, acc);
        enc_op(&j->e, o->size, op, src, m, how | (o->lock ? E_LOCK : 0));
        enc_mov_rr(&j->e, 8, acc, RAX);
        return;
    }
    enc_mov_rr(&j->e, 8, RAX, acc);
    if (o->d.kind == K_GPR && o->d.n == R_AX) {
        enc_op(&j->e, o->size, op, src, rm_reg(RAX), how);
        enc_mov_rr(&j->e, 8, acc, RAX);
        return;
    }
    struct dst d = dst_open(j, o, o->d, o->size, true);
    enc_op(&j->e, o->size, op, src, rm_reg((int)d.reg), how);
    enc_mov_rr(&j->e, 8, acc, RAX);
    dst_close(j, o, &d);
}

/* All four scratch registers have fixed roles: the pointer borrows rdi, which the fault path puts back (signal.c). */
void isel_cmpxchg2(struct jit *j, const struct ir_op *o)
{
    static const u8 reg[4] = { RAX, RDX, RCX, RBX }, gpr[4] = { R_AX, R_DX, R_CX, R_BX };
    enc_store(&j->e, 8, ra_slot(SLOT_RDI), RDI);
    enc_lea(&j->e, 8, RDI, ra_ptr(&j->ra, o->ptr_off));
    ra_ptr_done(&j->ra);
    ra_op_unlock(&j->ra);
    for (unsigned i = 0; i < 4; i++) {
        ra_claim(&j->ra, reg[i]);
        enc_mov_rr(&j->e, 8, reg[i], (unsigned)x64_pin[gpr[i]]);
    }
    enc_op(&j->e, o->size == 16 ? 8 : 4, OP0F(0xc7), 1, rm_mem(RDI, 0), E_DIGIT | (o->lock ? E_LOCK : 0));
    enc_load(&j->e, 8, RDI, ra_slot(SLOT_RDI));
    enc_mov_rr(&j->e, 8, (unsigned)x64_pin[R_AX], RAX);
    enc_mov_rr(&j->e, 8, (unsigned)x64_pin[R_DX], RDX);
}

/* --- BMI and the like --- */
struct vex3 { u8 pp, op; bool vvvv_is_a; };

static struct vex3 vex3_of(unsigned code)
{
    switch (code) {
    case IR_ANDN: return (struct vex3){ 0, 0xf2, true };
    case IR_BEXTR: return (struct vex3){ 0, 0xf7, false };
    case IR_BZHI: return (struct vex3){ 0, 0xf5, false };
    case IR_PDEP: return (struct vex3){ 3, 0xf5, true };
    case IR_PEXT: return (struct vex3){ 2, 0xf5, true };
    case IR_SHLX: return (struct vex3){ 1, 0xf7, false };
    case IR_SARX: return (struct vex3){ 2, 0xf7, false };
    default: return (struct vex3){ 3, 0xf7, false }; /* SHRX */
    }
}

void isel_vex3(struct jit *j, const struct ir_op *o)
{
    struct vex3 k = vex3_of(o->code);
    unsigned v = jit_src_reg(j, o, k.vvvv_is_a ? o->a : o->b, o->size);
    struct rm m = jit_src(j, o, k.vvvv_is_a ? o->b : o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, false);
    enc_vex(&j->e, o->size, k.pp, 2, k.op, d.reg, v, m);
    dst_close(j, o, &d);
}

void isel_bls(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, false);
    enc_vex(&j->e, o->size, 0, 2, 0xf3, o->code == IR_BLSR ? 1 : o->code == IR_BLSMSK ? 2 : 3, d.reg, m);
    dst_close(j, o, &d);
}

void isel_rorx(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, false);
    enc_rorx(&j->e, o->size, d.reg, m, (unsigned)o->imm);
    dst_close(j, o, &d);
}

void isel_adx(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size);
    struct dst d = dst_open(j, o, o->d, o->size, true);
    enc_op(&j->e, o->size, (o->code == IR_ADCX ? OP_66 : OP_F3) | OP38(0xf6), d.reg, m, 0);
    dst_close(j, o, &d);
}

void isel_crc32(struct jit *j, const struct ir_op *o)
{
    struct rm m = jit_src(j, o, o->a, o->size2);
    struct dst d = dst_open(j, o, o->d, o->size, true);
    unsigned size = o->size2 == 2 ? 2 : o->size;
    enc_op(&j->e, size, OP_F2 | (o->size2 == 1 ? OP38(0xf0) : OP38(0xf1)), d.reg, m, o->size2 == 1 ? E_RMB : 0);
    dst_close(j, o, &d);
}

/* --- the flags as data --- */
void isel_lahf(struct jit *j, const struct ir_op *o)
{
    unsigned acc = (unsigned)x64_pin[R_AX];
    ra_claim(&j->ra, RAX);
    enc_mov_rr(&j->e, 8, RAX, acc);
    enc_b(&j->e, 0x9f);
    enc_mov_rr(&j->e, 8, acc, RAX);
}

void isel_sahf(struct jit *j, const struct ir_op *o)
{
    ra_claim(&j->ra, RAX);
    enc_mov_rr(&j->e, 4, RAX, (unsigned)x64_pin[R_AX]);
    enc_b(&j->e, 0x9e);
}

void isel_carry(struct jit *j, const struct ir_op *o)
{
    enc_b(&j->e, o->code == IR_CLC ? 0xf8 : o->code == IR_STCF ? 0xf9 : 0xf5);
}
