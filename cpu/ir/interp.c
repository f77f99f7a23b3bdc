/* The reference interpreter: executes the ops of a block one by one on struct cpu. vCPU thread; called by the run loop. */
#include "cpu/desc.h"
#include "cpu/help/help.h"
#include "cpu/ir/interp.h"
#include "cpu/ir/interp_impl.h"
#include "cpu/predict.h"

/* --- operands --- */
static u64 get(struct interp *it, const struct ir_op *op, struct ir_val v, unsigned size)
{
    switch (v.kind) {
    case K_GPR: return zext(it->c->gpr[v.n], size);
    case K_GPRH: return it->c->gpr[v.n & 3] >> 8 & 0xff;
    case K_TMP: return zext(it->t[v.n], size);
    case K_IMM: return zext(op->imm, size);
    case K_PTR: return interp_ptr_read(it, op->ptr_off, size);
    default: return 0;
    }
}

static void reg_put(struct cpu *c, unsigned r, u64 val, unsigned size)
{
    c->gpr[r] = size >= 4 ? zext(val, size) : (c->gpr[r] & ~MASK64(size * 8)) | zext(val, size);
}

static void put(struct interp *it, const struct ir_op *op, struct ir_val v, u64 val, unsigned size)
{
    struct cpu *c = it->c;
    switch (v.kind) {
    case K_GPR: reg_put(c, v.n, val, size); break;
    case K_GPRH: c->gpr[v.n & 3] = (c->gpr[v.n & 3] & ~0xff00ull) | (val & 0xff) << 8; break;
    case K_TMP: it->t[v.n] = zext(val, size); break;
    case K_PTR: interp_ptr_write(it, op->ptr_off, val, size); break;
    default: break;
    }
}

static void set_flags(struct interp *it, const struct ir_op *op, u32 fl)
{
    if (op->fl)
        cpu_set_arith(it->c, fl);
}

static u64 address(struct interp *it, const struct ir_op *op)
{
    return get(it, op, op->a, 8) + (get(it, op, op->b, 8) << op->scale) + op->imm;
}

/* --- read-modify-write on memory: one function of the old value, which a locked form may call more than once --- */
struct rmw {
    struct interp *it;
    const struct ir_op *op;
    alu_fn *fn;
    u64 b;        /* other operand */
    u64 old[2];   /* what the last attempt found */
    u32 fl;       /* flags it computed */
    bool equal;   /* CMPXCHG: it matched */
};

static bool rmw_alu(void *opaque, const u64 old[2], u64 new[2])
{
    struct rmw *r = opaque;
    r->fl = cpu_arith(r->it->c);
    r->old[0] = old[0];
    new[0] = r->fn(old[0], r->b, r->op->size, &r->fl);
    return true;
}

static bool rmw_xchg(void *opaque, const u64 old[2], u64 new[2])
{
    struct rmw *r = opaque;
    r->old[0] = old[0];
    new[0] = r->b;
    return true;
}

/* A mismatch writes the old value back, as the hardware does: the page is dirty and faults either way. */
static bool rmw_cmpxchg(void *opaque, const u64 old[2], u64 new[2])
{
    struct rmw *r = opaque;
    u64 acc = zext(r->it->c->gpr[R_AX], r->op->size);
    alu_function(IR_CMP)(acc, old[0], r->op->size, &r->fl);
    r->old[0] = zext(old[0], r->op->size);
    r->equal = acc == r->old[0];
    new[0] = r->equal ? r->b : old[0];
    return true;
}

static bool rmw_cmpxchg2(void *opaque, const u64 old[2], u64 new[2])
{
    struct rmw *r = opaque;
    const u64 *g = r->it->c->gpr;
    r->old[0] = old[0];
    r->old[1] = old[1];
    if (r->op->size == 16) {
        r->equal = old[0] == g[R_AX] && old[1] == g[R_DX];
        new[0] = r->equal ? g[R_BX] : old[0];
        new[1] = r->equal ? g[R_CX] : old[1];
    } else {
        r->equal = old[0] == ((u32)g[R_AX] | g[R_DX] << 32);
        new[0] = r->equal ? (u32)g[R_BX] | g[R_CX] << 32 : old[0];
    }
    return true;
}

/* Applies fn to the operand d: atomically if it is memory and the op says so, else by a load and a store. */
static void rmw_run(struct rmw *r, mem_rmw_fn *fn, bool atomic)
{
    const struct ir_op *op = r->op;
    if (op->d.kind == K_PTR && atomic) {
        interp_ptr_rmw(r->it, op->ptr_off, op->size, fn, r);
        return;
    }
    u64 old[2] = { get(r->it, op, op->d, op->size), 0 }, new[2];
    if (fn(r, old, new))
        put(r->it, op, op->d, new[0], op->size);
}

/* --- groups of ops --- */
static u64 code_field(const struct ir_block *b, const struct ir_op *op)
{
    u64 v = 0;
    memcpy(&v, b->code + op->imm, op->size2);
    return sext(v, op->size2);
}

static void do_alu(struct interp *it, const struct ir_op *op)
{
    struct rmw r = { .it = it, .op = op, .fn = alu_function(op->code), .b = get(it, op, op->b, op->size) };
    if (op->lock && op->d.kind == K_PTR) {
        rmw_run(&r, rmw_alu, true);
    } else {
        r.fl = cpu_arith(it->c);
        u64 v = r.fn(get(it, op, op->a, op->size), r.b, op->size, &r.fl);
        put(it, op, op->d, v, op->size);
    }
    set_flags(it, op, r.fl);
}

/* The same with a count that is a byte. */
static void do_shift(struct interp *it, const struct ir_op *op)
{
    u32 fl = cpu_arith(it->c);
    u64 n = get(it, op, op->b, 1);
    u64 v = alu_function(op->code)(get(it, op, op->a, op->size), n, op->size, &fl);
    put(it, op, op->d, v, op->size);
    set_flags(it, op, fl);
}

static void do_shd(struct interp *it, const struct ir_op *op)
{
    u32 fl = cpu_arith(it->c);
    u64 fill = get(it, op, op->a, op->size);
    unsigned n = (unsigned)get(it, op, op->b, 1);
    put(it, op, op->d, alu_shd(get(it, op, op->d, op->size), fill, n, op->size, op->code == IR_SHRD, &fl), op->size);
    set_flags(it, op, fl);
}

/* Flags only. */
static void do_compare(struct interp *it, const struct ir_op *op)
{
    u32 fl = cpu_arith(it->c);
    u64 a = get(it, op, op->a, op->size);
    alu_function(op->code)(a, get(it, op, op->b, op->size), op->size, &fl);
    set_flags(it, op, fl);
}

/* Shifts of BMI2: the count is a whole register, flags stay. */
static void do_shiftx(struct interp *it, const struct ir_op *op)
{
    u32 fl = 0;
    u64 n = op->code == IR_RORX ? op->imm : get(it, op, op->b, op->size);
    put(it, op, op->d, alu_function(op->code)(get(it, op, op->a, op->size), n, op->size, &fl), op->size);
}

/* A source of 0 leaves all 64 bits of the destination. */
static void do_bit_scan(struct interp *it, const struct ir_op *op)
{
    u32 fl = cpu_arith(it->c);
    u64 a = get(it, op, op->a, op->size);
    u64 v = alu_bit_scan(0, a, op->size, op->code == IR_BSR, &fl);
    if (a)
        put(it, op, op->d, v, op->size);
    set_flags(it, op, fl);
}

static void do_mul(struct interp *it, const struct ir_op *op)
{
    struct cpu *c = it->c;
    u32 fl = cpu_arith(c);
    u64 lo, hi;
    alu_mul_wide(c->gpr[R_AX], get(it, op, op->a, op->size), op->size, op->aux & 1, &lo, &hi, &fl);
    if (op->size == 1) {
        reg_put(c, R_AX, lo | hi << 8, 2);
    } else {
        reg_put(c, R_AX, lo, op->size);
        reg_put(c, R_DX, hi, op->size);
    }
    set_flags(it, op, fl);
}

static void do_div(struct interp *it, const struct ir_op *op)
{
    struct cpu *c = it->c;
    u64 hi = op->size == 1 ? c->gpr[R_AX] >> 8 : c->gpr[R_DX], quot, rem;
    if (!alu_div_wide(hi, c->gpr[R_AX], get(it, op, op->a, op->size), op->size, op->aux & 1, &quot, &rem))
        cpu_raise(c, EXC_DE);
    if (op->size == 1) {
        reg_put(c, R_AX, quot | rem << 8, 2);
    } else {
        reg_put(c, R_AX, quot, op->size);
        reg_put(c, R_DX, rem, op->size);
    }
}

static void do_mulx(struct interp *it, const struct ir_op *op)
{
    u32 fl = 0;
    u64 lo, hi;
    alu_mul_wide(it->c->gpr[R_DX], get(it, op, op->a, op->size), op->size, false, &lo, &hi, &fl);
    put(it, op, op->b, lo, op->size);
    put(it, op, op->d, hi, op->size);
}

static void do_xchg(struct interp *it, const struct ir_op *op)
{
    struct rmw r = { .it = it, .op = op, .b = get(it, op, op->a, op->size) };
    rmw_run(&r, rmw_xchg, true);
    put(it, op, op->a, r.old[0], op->size);
}

static void do_xadd(struct interp *it, const struct ir_op *op)
{
    struct rmw r = { .it = it, .op = op, .fn = alu_function(IR_ADD), .b = get(it, op, op->a, op->size) };
    if (op->d.kind == K_PTR) {
        rmw_run(&r, rmw_alu, op->lock);
        put(it, op, op->a, r.old[0], op->size);
    } else { /* the sum goes in last: it wins if both are one register */
        u64 old = get(it, op, op->d, op->size), sum = r.fn(old, r.b, op->size, &r.fl);
        put(it, op, op->a, old, op->size);
        put(it, op, op->d, sum, op->size);
    }
    set_flags(it, op, r.fl);
}

/* A register destination that does not match keeps all its bits, also with 32-bit operands. */
static void do_cmpxchg(struct interp *it, const struct ir_op *op)
{
    struct rmw r = { .it = it, .op = op, .b = get(it, op, op->a, op->size) };
    if (op->d.kind == K_PTR) {
        rmw_run(&r, rmw_cmpxchg, op->lock);
    } else {
        u64 old[2] = { get(it, op, op->d, op->size), 0 }, new[2];
        rmw_cmpxchg(&r, old, new);
        if (r.equal)
            put(it, op, op->d, new[0], op->size);
    }
    if (!r.equal)
        reg_put(it->c, R_AX, r.old[0], op->size);
    set_flags(it, op, r.fl);
}

static void do_cmpxchg2(struct interp *it, const struct ir_op *op)
{
    struct cpu *c = it->c;
    struct rmw r = { .it = it, .op = op };
    if (op->size == 16 && ((it->lin + op->ptr_off) & 15))
        cpu_raise_err(c, EXC_GP, 0);
    interp_ptr_rmw(it, op->ptr_off, op->size, rmw_cmpxchg2, &r);
    if (!r.equal) {
        c->gpr[R_AX] = op->size == 16 ? r.old[0] : (u32)r.old[0];
        c->gpr[R_DX] = op->size == 16 ? r.old[1] : r.old[0] >> 32;
    }
    set_flags(it, op, (cpu_arith(c) & ~(u32)F_ZF) | (r.equal ? F_ZF : 0));
}

static u64 cpu_field(const struct cpu *c, u64 off, unsigned size)
{
    u64 v = 0;
    assert(off + size <= sizeof(*c));
    memcpy(&v, (const u8 *)c + off, size);
    return v;
}

/* Helpers whose stores may hit the block that is being run. */
static bool writes_memory(enum help_id id)
{
    switch (id) {
    case HELP_enter: case HELP_pusha: case HELP_sgdt: case HELP_sidt: case HELP_fxsave: case HELP_xsave: case HELP_x87_env:
    case HELP_maskmov: case HELP_vmaskmov:
        return true;
    default:
        return false;
    }
}

/* An immediate argument is in imm2: imm names the helper. */
static u64 call_arg(struct interp *it, const struct ir_op *op, struct ir_val v)
{
    return v.kind == K_IMM ? op->imm2 : get(it, op, v, 8);
}

static void do_call(struct interp *it, const struct ir_op *op)
{
    const struct help_info *h = &help_table[op->imm];
    u64 r = h->fn(it->c, call_arg(it, op, op->a), call_arg(it, op, op->b), call_arg(it, op, op->c));
    put(it, op, op->d, r, op->size ? op->size : 8);
    if (writes_memory(op->imm))
        it->stop = true;
}

static void set_cf(struct cpu *c, bool on) { cpu_set_arith(c, (cpu_arith(c) & ~(u32)F_CF) | (on ? F_CF : 0)); }

/* Executes one op that is neither INSN nor a block end. */
static void do_op(struct interp *it, const struct ir_op *op)
{
    struct cpu *c = it->c;
    switch ((enum ir_code)op->code) {
    case IR_PROBE: interp_probe(it, interp_linear(c, op->seg, address(it, op), op->asize), op); break;
    case IR_LIN: put(it, op, op->d, interp_linear(c, op->seg, address(it, op), op->asize), 8); break;
    case IR_LEA: put(it, op, op->d, zext(address(it, op), op->asize), op->size); break;
    case IR_MOV:
    case IR_MOVZX: put(it, op, op->d, get(it, op, op->a, op->code == IR_MOV ? op->size : op->size2), op->size); break;
    case IR_MOVSX: put(it, op, op->d, sext(get(it, op, op->a, op->size2), op->size2), op->size); break;
    case IR_SETCC: put(it, op, op->d, alu_cond(cpu_arith(c), op->cc), 1); break;
    case IR_CMOV: {
        u64 a = get(it, op, op->a, op->size), d = get(it, op, op->d, op->size);
        put(it, op, op->d, alu_cond(cpu_arith(c), op->cc) ? a : d, op->size);
        break;
    }
    case IR_XCHG: do_xchg(it, op); break;
    case IR_LDC: put(it, op, op->d, cpu_field(c, op->imm, op->size), op->d.kind == K_TMP ? 8 : op->size); break;
    case IR_LDCODE: put(it, op, op->d, code_field(it->b, op), 8); break;
    case IR_STC: {
        u64 v = op->a.kind == K_IMM ? op->imm2 : get(it, op, op->a, op->size);
        assert(op->imm + op->size <= sizeof(*c));
        memcpy((u8 *)c + op->imm, &v, op->size);
        break;
    }
    case IR_ADD: case IR_ADC: case IR_SUB: case IR_SBB: case IR_AND: case IR_OR: case IR_XOR:
    case IR_INC: case IR_DEC: case IR_NEG: case IR_NOT: case IR_BTS: case IR_BTR: case IR_BTC:
    case IR_TZCNT: case IR_LZCNT: case IR_POPCNT: case IR_IMUL: case IR_ANDN: case IR_BEXTR: case IR_BZHI:
    case IR_BLSI: case IR_BLSR: case IR_BLSMSK: case IR_PDEP: case IR_PEXT: case IR_BSWAP: do_alu(it, op); break;
    case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROL: case IR_ROR: case IR_RCL: case IR_RCR: do_shift(it, op); break;
    case IR_SHLD: case IR_SHRD: do_shd(it, op); break;
    case IR_CMP: case IR_TEST: case IR_BT: do_compare(it, op); break;
    case IR_BSF: case IR_BSR: do_bit_scan(it, op); break;
    case IR_MULW: do_mul(it, op); break;
    case IR_DIVW: do_div(it, op); break;
    case IR_CMPXCHG: do_cmpxchg(it, op); break;
    case IR_CMPXCHG2: do_cmpxchg2(it, op); break;
    case IR_XADD: do_xadd(it, op); break;
    case IR_RORX: case IR_SARX: case IR_SHLX: case IR_SHRX: do_shiftx(it, op); break;
    case IR_MULX: do_mulx(it, op); break;
    case IR_ADCX: case IR_ADOX: {
        u32 fl = cpu_arith(c);
        u64 a = get(it, op, op->a, op->size);
        put(it, op, op->d, alu_function(op->code)(get(it, op, op->d, op->size), a, op->size, &fl), op->size);
        set_flags(it, op, fl);
        break;
    }
    case IR_CRC32: put(it, op, op->d, alu_crc32(get(it, op, op->d, 4), get(it, op, op->a, op->size2), op->size2), op->size); break;
    case IR_LAHF: put(it, op, ir_gprh(0), c->aflags >> 8, 1); break;
    case IR_SAHF: cpu_set_arith(c, (cpu_arith(c) & F_OF) | (c->gpr[R_AX] >> 8 & (F_CF | F_PF | F_AF | F_ZF | F_SF))); break;
    case IR_CLC: set_cf(c, false); break;
    case IR_STCF: set_cf(c, true); break;
    case IR_CMC: set_cf(c, !(cpu_arith(c) & F_CF)); break;
    case IR_FENCE: __atomic_thread_fence(__ATOMIC_SEQ_CST); break;
    case IR_VEC: case IR_X87: interp_carry(it, op); break;
    case IR_CALL: do_call(it, op); break;
    case IR_INSN: case IR_JMP: case IR_JCC: case IR_BRZ: case IR_JMPR: case IR_EXIT: case IR_COUNT: break;
    }
}

static void jump_reg(struct cpu *c, const struct ir_op *op, u64 target)
{
    if (cpu_is64(c) && !is_canonical(c, target))
        cpu_branch_fault(c, (i64)op->imm);
    c->rip = target;
}

/* Sets rip at a block end. */
static void do_end(struct interp *it, const struct ir_op *op)
{
    struct cpu *c = it->c;
    switch (op->code) {
    case IR_JCC: c->rip = alu_cond(cpu_arith(c), op->cc) ? op->imm : op->imm2; break;
    case IR_BRZ: c->rip = get(it, op, op->a, op->size) ? op->imm2 : op->imm; break;
    case IR_JMPR: jump_reg(c, op, get(it, op, op->a, 8)); break;
    case IR_EXIT:
        if (!op->aux)
            c->rip = op->imm;
        break;
    default: c->rip = op->imm; break;
    }
}

unsigned ir_interp(struct cpu *c, const struct ir_block *b)
{
    struct interp it = { .c = c, .b = b };
    unsigned n = 0;
    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->op[i];
        if (op->code == IR_INSN) {
            c->rip = b->insn[op->imm].pc;
            if (it.stop)
                return n;
            n++;
        } else if (ir_effect(op->code) == IRE_END) {
            do_end(&it, op);
            return n;
        } else {
            do_op(&it, op);
        }
    }
    c->rip = b->pc + b->len; /* the lifter ended the block without a jump */
    return n;
}

void ir_interp_one(struct cpu *c, const struct ir_block *b)
{
    struct pmu *p = &c->pmu;
    bool branches = c->mode & MODE_COUNT_BR, branch = branches && branch_kind_at_end(b) != BR_NONE;
    if (LIKELY(!(c->mode & MODE_COUNT))) {
        ir_interp(c, b);
        return;
    }
    p->left[PMU_INSNS]--;
    p->left[PMU_BRANCHES] -= branch;
    p->ahead = 1 | (u32)branch << 16;
    ir_interp(c, b);
    p->ahead = 0;
    if (branches)
        predict_branch(c, b);
}
