/* Instruction selection of the x64 backend: helper calls, block ends, jump-cache look-ups, polling of exit_request. Translating thread; called by
 * isel.c's walk. Everything here leaves EFLAGS alone: they are the guest's when the next block begins. */
#include "accel/dbt/tb.h"
#include "accel/dbt/x64/jit.h"
#include "cpu/help/help.h"
#include "cpu/help/simd.h"

/* --- where a jump goes --- */
static u64 linear_page(const struct jit *j, u64 pc)
{
    u64 l = pc + j->b->cs_base;
    return ((j->b->mode & MODE_SIZE) == MODE_64 ? l : (u32)l) >> PAGE_BITS;
}

static bool same_page(const struct jit *j, u64 pc)
{
    return linear_page(j, pc) == linear_page(j, j->b->pc);
}

/* Whether a jump to pc may be linked: only within a page, since pages are mapped one by one. An instruction that continues on the next page
 * depends on two, so blocks with one, and places where one may begin, are left to the jump cache, which every TLB flush empties. */
static bool can_link(const struct jit *j, u64 pc)
{
    const u64 safe = PAGE_SIZE - 15;
    u64 begin = (j->b->pc + j->b->cs_base) & (PAGE_SIZE - 1), to = (pc + j->b->cs_base) & (PAGE_SIZE - 1);
    return same_page(j, pc) && begin + j->b->len <= PAGE_SIZE && to <= safe;
}

static bool wants_poll(const struct jit *j, u64 pc)
{
    return can_link(j, pc) && pc <= j->b->pc;
}

/* Continues at the guest pc in rdx by the jump cache. */
void x64_lookup(struct enc *e)
{
    if (x64_host.bmi2) {
        enc_pext(e, RAX, RDX, CPU_RM(jc_mask));
        enc_load(e, 8, RCX, CPU_RM(jc_key));
        enc_lea(e, 4, RAX, rm_sib(RAX, RAX, 0, 0));
        enc_lea(e, 8, RCX, rm_sib(RCX, RDX, 0, 0));
        enc_load(e, 8, RBX, jc_rm(0, key));
        enc_lea(e, 8, RCX, rm_sib(RCX, RBX, 0, 0));
    } else {
        enc_call_to(e, x64_common.lookup);
    }
    u8 *hit = enc_jrcxz(e);
    enc_call_to(e, x64_common.lookup_miss);
    enc_bind8(e, hit);
    enc_op(e, 4, OP1(0xff), 4, jc_rm(0, code), E_DIGIT);
}

/* The same for a pc that is known, but perhaps for the page. */
static void emit_lookup_const(struct jit *j, u64 pc)
{
    struct enc *e = &j->e;
    if (!x64_host.bmi2 || j->b->rel || (i64)pc >> 47 != (i64)pc >> 63) { /* not canonical: found out behind lookup_miss, by its caller's address */
        jit_load_pc(j, RDX, pc, 8);
        x64_lookup(&j->e);
        return;
    }
    size_t entry = offsetof(struct cpu, jc) + jc_index(pc) * sizeof(struct jump_entry);
    enc_load(e, 8, RCX, CPU_RM(jc_key));
    if (fits32((i64)pc)) {
        enc_lea(e, 8, RCX, rm_mem(RCX, (i32)pc));
        jit_moves(j, RELOC_PC, pc);
    } else {
        enc_mov_ri(e, RDX, pc);
        enc_lea(e, 8, RCX, rm_sib(RCX, RDX, 0, 0));
    }
    enc_load(e, 8, RAX, cpu_rm(entry + offsetof(struct jump_entry, key)));
    jit_moves(j, RELOC_JC, pc);
    enc_lea(e, 8, RCX, rm_sib(RCX, RAX, 0, 0));
    u8 *hit = enc_jrcxz(e);
    ool_new(j, OOL_MISS, enc_jmp(e))->pc = pc;
    enc_bind8(e, hit);
    enc_op(e, 4, OP1(0xff), 4, cpu_rm(entry + offsetof(struct jump_entry, code)), E_DIGIT);
    jit_moves(j, RELOC_JC, pc);
}

/* A rel32 that is patched later must not straddle cache lines: stores to it are atomic then. n: opcode bytes before it. */
static void align_site(struct jit *j, unsigned n)
{
    u64 at = (u64)j->e.p + (u64)j->e.rx + n;
    if ((at & 63) > 60)
        enc_nop(&j->e, 64 - (unsigned)(at & 63));
}

static void exit_record(struct jit *j, unsigned exit, u8 *site, u64 pc)
{
    struct ool *s = ool_new(j, OOL_CHAIN, site);
    s->exit = (u8)exit;
    s->pc = pc;
    j->out->exit[exit].site = site + j->e.rx;
    j->out->n_exits = (u16)MAX_OF(j->out->n_exits, exit + 1);
}

/* Continues at pc. */
static void emit_goto(struct jit *j, u64 pc, unsigned exit)
{
    if (can_link(j, pc)) {
        align_site(j, 1);
        exit_record(j, exit, enc_jmp(&j->e), pc);
    } else {
        emit_lookup_const(j, pc);
    }
}

/* Falls through while nothing is asked for. */
static void emit_poll(struct jit *j, enum ool_kind kind, u64 pc, u64 pc2, unsigned cc)
{
    enc_load(&j->e, 4, RCX, CPU_RM(exit_request));
    u8 *go = enc_jrcxz(&j->e);
    struct ool *s = ool_new(j, kind, enc_jmp(&j->e));
    s->pc = pc;
    s->pc2 = pc2;
    s->cc = (u8)cc;
    enc_bind8(&j->e, go);
}

static void poll_and_go(struct jit *j, u64 pc, unsigned exit)
{
    if (wants_poll(j, pc))
        emit_poll(j, OOL_POLL, pc, 0, 0);
    emit_goto(j, pc, exit);
}

void isel_jmp(struct jit *j, const struct ir_op *o)
{
    x87_flush(j);
    count_jump(j);
    poll_and_go(j, o->imm, 0);
}

/* Both ways of a JCC or BRZ, from `first` on the one to imm, with the predictor. */
static void counted_ways(struct jit *j, const struct ir_op *o, u8 *first)
{
    count_direction(j, o->imm == o->imm2);
    poll_and_go(j, o->imm2, 1);
    enc_bind32(&j->e, first);
    count_direction(j, true);
    poll_and_go(j, o->imm, 0);
}

void isel_jcc(struct jit *j, const struct ir_op *o)
{
    x87_flush(j);
    if (count_predicts(j)) {
        counted_ways(j, o, enc_jcc(&j->e, o->cc));
        return;
    }
    if (wants_poll(j, o->imm) || wants_poll(j, o->imm2))
        emit_poll(j, OOL_POLL_JCC, o->imm, o->imm2, o->cc);
    if (can_link(j, o->imm)) {
        align_site(j, 2);
        exit_record(j, 0, enc_jcc(&j->e, o->cc), o->imm);
    } else {
        ool_new(j, OOL_LOOKUP, enc_jcc(&j->e, o->cc))->pc = o->imm;
    }
    emit_goto(j, o->imm2, 1);
}

void isel_brz(struct jit *j, const struct ir_op *o)
{
    x87_flush(j);
    ra_claim(&j->ra, RCX);
    jit_load(j, o, o->a, o->size, RCX);
    u8 *zero = enc_jrcxz(&j->e);
    if (count_predicts(j)) {
        u8 *other = enc_jmp8(&j->e);
        enc_bind8(&j->e, zero);
        zero = enc_jmp(&j->e);
        enc_bind8(&j->e, other);
        counted_ways(j, o, zero);
        return;
    }
    poll_and_go(j, o->imm2, 1);
    enc_bind8(&j->e, zero);
    poll_and_go(j, o->imm, 0);
}

void isel_jmpr(struct jit *j, const struct ir_op *o)
{
    x87_flush(j);
    if (!(o->a.kind == K_TMP && ra_tmp_at(&j->ra, o->a.n) == RDX)) {
        ra_claim(&j->ra, RDX);
        jit_load(j, o, o->a, 8, RDX);
    }
    count_jump(j);
    x64_lookup(&j->e);
}

void isel_exit(struct jit *j, const struct ir_op *o)
{
    x87_flush(j);
    if (!o->aux)
        jit_set_rip(j, o->imm);
    enc_mov_ri(&j->e, RDX, DBT_EXIT_EXIT);
    enc_jmp_to(&j->e, x64_common.exit);
}

static u64 behind(const struct jit *j)
{
    u64 pc = j->b->pc + j->b->len;
    return (j->b->mode & MODE_SIZE) == MODE_64 ? pc : (u32)pc;
}

/* The block just ends: goes on behind it. */
void flow_end(struct jit *j)
{
    x87_flush(j);
    emit_goto(j, behind(j), 0);
}

/* --- helpers --- */
static bool arg_in_place(const struct jit *j, struct ir_val v, unsigned reg)
{
    return v.kind == K_TMP && ra_tmp_at(&j->ra, v.n) == (int)reg;
}

/* A temporary that is not where its argument belongs goes through its slot: the argument registers may hold each other's values. */
static void call_arg_park(struct jit *j, struct ir_val v, unsigned reg)
{
    if (v.kind == K_TMP && ra_tmp_at(&j->ra, v.n) >= 0 && !arg_in_place(j, v, reg))
        enc_store(&j->e, 8, ra_slot(v.n), (unsigned)ra_tmp_at(&j->ra, v.n));
}

static void call_arg(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned reg)
{
    if (v.kind == K_NONE)
        return;
    if (arg_in_place(j, v, reg)) {
        ra_tmp_use(&j->ra, v.n);
        return;
    }
    ra_claim(&j->ra, reg);
    if (v.kind == K_IMM && o->rel)
        jit_load_pc(j, reg, o->imm2, 8);
    else if (v.kind == K_IMM) /* imm names the helper */
        enc_mov_ri(&j->e, reg, o->imm2);
    else if (v.kind == K_TMP)
        enc_load(&j->e, 8, reg, ra_slot(v.n));
    else
        jit_load(j, o, v, v.kind == K_GPRH ? 1 : 8, reg);
}

/* Behind helper_end. */
static void exit_next(struct jit *j, const struct ir_op *exit)
{
    if (!exit->aux)
        jit_set_rip(j, exit->imm);
    enc_jmp_to(&j->e, x64_common.exit_next);
}

/* A helper that ends the block, and the EXIT behind it. */
static void call_end(struct jit *j, const struct ir_op *o, const struct ir_op *exit)
{
    const u8 *light = x64_common.light_end[o->imm];
    if (!light || j->b->mode & MODE_COUNT) {
        enc_call_to(&j->e, x64_common.helper_end[o->imm]);
        exit_next(j, exit);
        return;
    }
    if (!exit->aux)
        jit_load_pc(j, RDX, exit->imm, 8);
    enc_call_to(&j->e, light);
    u8 *done = enc_jrcxz(&j->e);
    exit_next(j, exit);
    enc_bind8(&j->e, done);
    if (j->grouping)
        flow_end(j);
    else
        emit_lookup_const(j, behind(j)); /* the main line has the link */
}

static void ymm_move(struct jit *j, unsigned n, bool store)
{
    enc_vex(&j->e, 4, 2 | 4, 1, store ? 0x7f : 0x6f, n, 0, cpu_rm(offsetof(struct cpu, vreg) + n * sizeof(((struct cpu *)0)->vreg[0]))); /* VMOVDQU */
}

/* The light way of a gather wants the registers in struct cpu: a is vgather_pack(). */
static void gather_move(struct jit *j, u64 a, bool store)
{
    struct vgather g = vgather_unpack(a);
    ymm_move(j, g.dest, store);
    ymm_move(j, g.mask, store);
    if (store)
        ymm_move(j, g.index, true);
}

void isel_call(struct jit *j, const struct ir_op *o)
{
    const struct help_info *h = &help_table[o->imm];
    x87_flush(j);
    ra_save_live(&j->ra);
    call_arg_park(j, o->a, RBX);
    call_arg_park(j, o->b, RDX);
    call_arg_park(j, o->c, RCX);
    call_arg(j, o, o->a, RBX);
    call_arg(j, o, o->b, RDX);
    call_arg(j, o, o->c, RCX);
    jit_set_rip(j, j->b->insn[j->insn].pc);
    count_ahead(j, j->insn);
    ra_clobbered(&j->ra);
    j->zmm_known_here = false;
    if (h->effects & HE_VEC)
        j->x87_known_live = false;
    const struct ir_op *next = o + 1;
    if (o->ends && o->d.kind == K_NONE && j->op + 1 < (int)j->b->n_ops && next->code == IR_EXIT) {
        call_end(j, o, next);
        j->op++;
        return;
    }
    if (o->imm == HELP_vgather)
        gather_move(j, o->imm2, true);
    enc_call_to(&j->e, x64_common.helper[o->imm]);
    if (o->imm == HELP_vgather)
        gather_move(j, o->imm2, false);
    if (o->d.kind != K_NONE) {
        unsigned size = o->size ? o->size : 8;
        ra_claim(&j->ra, RDX);
        if (size == 4)
            enc_mov_rr(&j->e, 4, RDX, RDX);
        jit_put(j, o, o->d, size, RDX);
    }
}

/* --- out of line --- */
static void leave(struct jit *j, u64 pc, u64 result)
{
    jit_set_rip(j, pc);
    enc_mov_ri(&j->e, RDX, result);
    enc_jmp_to(&j->e, x64_common.exit);
}

void ool_flow(struct jit *j, struct ool *s)
{
    switch (s->kind) {
    case OOL_CHAIN:
        j->out->exit[s->exit].leave = j->e.p + j->e.rx;
        jit_set_rip(j, s->pc);
        enc_mov_ri64(&j->e, RDX, (u64)j->tb | (u64)s->exit << 3 | DBT_EXIT_CHAIN);
        reloc_add(&j->relocs, RELOC_TB, j->e.p - 8, 0);
        enc_jmp_to(&j->e, x64_common.exit);
        break;
    case OOL_LOOKUP:
        emit_lookup_const(j, s->pc);
        break;
    case OOL_COUNT:
        count_give_back(j);
        leave(j, s->pc, DBT_EXIT_REQUEST);
        break;
    case OOL_MISS:
        enc_mov_ri(&j->e, RDX, s->pc);
        jit_moves(j, RELOC_PC, s->pc);
        enc_mov_ri(&j->e, RAX, 2 * jc_index(s->pc));
        jit_moves(j, RELOC_JC_PLACE, s->pc);
        enc_call_to(&j->e, x64_common.lookup_miss);
        break;
    case OOL_POLL_JCC: {
        u8 *taken = enc_jcc(&j->e, s->cc);
        leave(j, s->pc2, DBT_EXIT_REQUEST);
        enc_bind32(&j->e, taken);
        leave(j, s->pc, DBT_EXIT_REQUEST);
        break;
    }
    default:
        leave(j, s->pc, DBT_EXIT_REQUEST);
        break;
    }
}
