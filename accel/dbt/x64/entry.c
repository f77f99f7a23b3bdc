/* The x64 backend's common code at the start of the code cache: entering emitted code, leaving it, and the paths between it and C (slow probes,
 * helpers, host exceptions). Emitted once at start-up by backend_init; runs on vCPU threads. Register conventions: jit.h. */
#include "accel/dbt/tb.h"
#include "accel/dbt/x64/jit.h"
#include "cpu/help/light.h"
#include "cpu/help/x87.h"
#include "hw/core/irq.h"

_Static_assert(HELP_COUNT <= ARRAY_LEN(x64_common.helper), "helper table");

/* Loads or stores guest vector register n, MOVAPS. */
static void vec_move(struct enc *e, unsigned n, bool store, bool wide)
{
    unsigned op = store ? 0x29 : 0x28;
    if (wide) {
        enc_b(e, 0xc5);
        enc_b(e, n < 8 ? 0xfc : 0x7c);
        enc_b(e, op);
    } else {
        if (n >= 8)
            enc_b(e, 0x44);
        enc_b(e, 0x0f);
        enc_b(e, op);
    }
    enc_b(e, 0x80 | (n & 7) << 3 | RBP);
    enc_d(e, (u32)(offsetof(struct cpu, vreg) + n * sizeof(((struct cpu *)0)->vreg[0]) - CPU_BIAS));
}

/* The same for zmm register n, all 512 bits; and for mask register n. */
static void zmm_move(struct enc *e, unsigned n, bool store)
{
    enc_b(e, 0x62);
    enc_b(e, 0x61u | (n & 8 ? 0 : 0x80u) | (n & 16 ? 0 : 0x10u));
    enc_b(e, 0x7c);
    enc_b(e, 0x48);
    enc_b(e, store ? 0x29 : 0x28); /* VMOVAPS */
    enc_b(e, 0x80 | (n & 7) << 3 | RBP);
    enc_d(e, (u32)(offsetof(struct cpu, vreg) + n * sizeof(((struct cpu *)0)->vreg[0]) - CPU_BIAS));
}

static void mask_move(struct enc *e, unsigned n, bool store)
{
    enc_b(e, 0xc4);
    enc_b(e, 0xe1);
    enc_b(e, 0xf8);
    enc_b(e, store ? 0x91 : 0x90); /* KMOVQ */
    enc_b(e, 0x80 | n << 3 | RBP);
    enc_d(e, (u32)(offsetof(struct cpu, kreg) + n * sizeof(u64) - CPU_BIAS));
}

/* What zmm_here is about. */
static void high_move(struct enc *e, bool store)
{
    for (unsigned i = 16; i < 32; i++)
        zmm_move(e, i, store);
    for (unsigned i = 0; i < 8; i++)
        mask_move(e, i, store);
}

static void mxcsr_load(struct enc *e, struct rm m) { enc_op(e, 4, OP0F(0xae), 2, m, E_DIGIT); }
static void mxcsr_store(struct enc *e, struct rm m) { enc_op(e, 4, OP0F(0xae), 3, m, E_DIGIT); }
static void emit_ret(struct enc *e) { enc_b(e, 0xc3); }

static void emit_c_call(struct enc *e, const void *fn)
{
    enc_mov_ri(e, RAX, (u64)fn);
    enc_op(e, 4, OP1(0xff), 2, rm_reg(RAX), E_DIGIT);
}

static void vzeroupper(struct enc *e)
{
    enc_b(e, 0xc5);
    enc_b(e, 0xf8);
    enc_b(e, 0x77);
}

/* xmm0 OP= the upper half of register n, VPOR; n 0: VMOVDQA */
static void vec_upper(struct enc *e, unsigned n)
{
    enc_b(e, 0xc5);
    enc_b(e, 0xf9);
    enc_b(e, n ? 0xeb : 0x6f);
    enc_b(e, 0x80 | RBP);
    enc_d(e, (u32)(offsetof(struct cpu, vreg) + n * sizeof(((struct cpu *)0)->vreg[0]) + 16 - CPU_BIAS));
}

/* ZF = the parts above xmm are zero in all of registers 0 to 15; destroys zmm0 and k0. */
static void zmm_uppers(struct enc *e)
{
    static const u8 or_mem[] = { 0x62, 0xf1, 0xfd, 0x48, 0xeb, 0x80 | RBP }; /* VPORQ zmm0, zmm0, m */
    static const u8 test[] = { 0x62, 0xf2, 0xfd, 0x48, 0x27, 0xc0, /* VPTESTMQ k0, zmm0, zmm0 */
                               0xc4, 0xe3, 0x79, 0x30, 0xc0, 2,    /* KSHIFTRB k0, k0, 2 */
                               0xc5, 0xf9, 0x98, 0xc0 };           /* KORTESTB k0, k0 */
    zmm_move(e, 0, false);
    for (unsigned n = 1; n < 16; n++) {
        for (unsigned i = 0; i < sizeof(or_mem); i++)
            enc_b(e, or_mem[i]);
        enc_d(e, (u32)(offsetof(struct cpu, vreg) + n * sizeof(((struct cpu *)0)->vreg[0]) - CPU_BIAS));
    }
    for (unsigned i = 0; i < sizeof(test); i++)
        enc_b(e, test[i]);
}

/* Continues behind the returned jump while AVX-512 state is in use. */
static u8 *emit_if_zmm(struct enc *e)
{
    if (!x64_host.zmm)
        return NULL;
    enc_alu_mi(e, 4, 7, CPU_RM(zmm_live), 0, false); /* CMP */
    return enc_jcc(e, 5);
}

static void emit_store_vectors(struct enc *e)
{
    u8 *zmm = emit_if_zmm(e), *done = NULL;
    for (unsigned i = 0; i < 16; i++)
        vec_move(e, i, true, x64_host.avx);
    if (zmm) {
        done = enc_jmp(e);
        enc_bind32(e, zmm);
        for (unsigned i = 0; i < 16; i++)
            zmm_move(e, i, true);
        enc_alu_mi(e, 4, 7, CPU_RM(zmm_here), 0, false); /* CMP */
        u8 *absent = enc_jcc(e, 4);
        high_move(e, true);
        enc_mov_mi(e, 4, CPU_RM(zmm_here), 0);
        enc_bind32(e, absent);
        enc_bind32(e, done);
    }
    if (x64_host.avx)
        vzeroupper(e);
}

/* As below, with AVX-512 state: zmm16-31 and k0-7 come when an instruction wants them (zmm_begin). */
static void emit_load_zmm(struct enc *e)
{
    zmm_uppers(e);
    u8 *clean = enc_jcc(e, 4);
    for (unsigned i = 0; i < 16; i++)
        zmm_move(e, i, false);
    u8 *done = enc_jmp(e);
    enc_bind32(e, clean);
    vzeroupper(e);
    for (unsigned i = 0; i < 16; i++)
        vec_move(e, i, false, false);
    enc_bind32(e, done);
}

/* Loads the vector registers. Where all upper halves are zero the host is to know that they are: as long as it does not, every SSE instruction depends on
 * its destination's old value, whose upper half it keeps. */
static void emit_load_vectors(struct enc *e)
{
    u8 *clean = NULL, *done = NULL, *zmm = emit_if_zmm(e), *over = NULL;
    if (x64_host.avx) {
        for (unsigned i = 0; i < 16; i++)
            vec_upper(e, i);
        enc_b(e, 0xc4); /* VPTEST xmm0, xmm0 */
        enc_b(e, 0xe2);
        enc_b(e, 0x79);
        enc_b(e, 0x17);
        enc_b(e, 0xc0);
        clean = enc_jcc(e, 4);
        for (unsigned i = 0; i < 16; i++)
            vec_move(e, i, false, true);
        done = enc_jmp(e);
        enc_bind32(e, clean);
        vzeroupper(e);
    }
    for (unsigned i = 0; i < 16; i++)
        vec_move(e, i, false, false);
    if (clean)
        enc_bind32(e, done);
    if (zmm) {
        over = enc_jmp(e);
        enc_bind32(e, zmm);
        emit_load_zmm(e);
        enc_bind32(e, over);
    }
}

/* Subroutine: guest state into struct cpu, host MXCSR. Destroys rax and flags. *kept: the same where the flags are there. */
static u8 *emit_save_all(struct enc *e, u8 **kept)
{
    u8 *at = e->p;
    enc_flags_save(e);
    enc_store(e, 2, CPU_RM(aflags), RAX);
    *kept = e->p;
    for (unsigned i = 0; i < 16; i++)
        if (x64_pin[i] >= 0)
            enc_store(e, 8, gpr_rm(i), (unsigned)x64_pin[i]);
    mxcsr_store(e, CPU_RM(mxcsr));
    mxcsr_load(e, CPU_RM(host_mxcsr));
    emit_store_vectors(e);
    emit_ret(e);
    return at;
}

/* Subroutine: the reverse. Destroys rax. */
static u8 *emit_load_all(struct enc *e)
{
    u8 *at = e->p;
    mxcsr_load(e, CPU_RM(mxcsr));
    emit_load_vectors(e);
    for (unsigned i = 0; i < 16; i++)
        if (x64_pin[i] >= 0)
            enc_load(e, 8, (unsigned)x64_pin[i], gpr_rm(i));
    enc_movzx(e, RAX, 2, CPU_RM(aflags));
    enc_flags_restore(e);
    emit_ret(e);
    return at;
}

/* To a block's entry; struct cpu has the rip. */
static void emit_jump_rcx(struct enc *e)
{
    enc_load(e, 8, RDX, CPU_RM(rip));
    enc_op(e, 4, OP1(0xff), 4, rm_reg(RCX), E_DIGIT);
}

static const u8 saved_regs[] = { RBX, RBP, R12, R13, R14, R15 };

static void emit_push(struct enc *e, unsigned r)
{
    if (r >= 8)
        enc_b(e, 0x41);
    enc_b(e, 0x50 | (r & 7));
}

static void emit_pop(struct enc *e, unsigned r)
{
    if (r >= 8)
        enc_b(e, 0x41);
    enc_b(e, 0x58 | (r & 7));
}

static void emit_rsp_add(struct enc *e, i32 n) { enc_lea(e, 8, RSP, rm_mem(RSP, n)); }

/* u64 enter(struct cpu *c, const void *code) */
static void emit_enter(struct enc *e, const u8 *load_all)
{
    for (unsigned i = 0; i < ARRAY_LEN(saved_regs); i++)
        emit_push(e, saved_regs[i]);
    emit_rsp_add(e, -8);
    enc_lea(e, 8, RBP, rm_mem(RDI, CPU_BIAS));
    enc_store(e, 8, CPU_RM(host_sp), RSP);
    mxcsr_store(e, CPU_RM(host_mxcsr));
    enc_mov_rr(e, 8, RCX, RSI);
    enc_call_to(e, load_all);
    emit_jump_rcx(e);
}

/* rcx = 0 if entry rax / 2 of a way of the jump cache answers to the pc in rdx. Leaves flags alone; destroys rbx. */
static void emit_jc_check(struct enc *e, unsigned way)
{
    enc_load(e, 8, RCX, CPU_RM(jc_key));
    enc_lea(e, 8, RCX, rm_sib(RCX, RDX, 0, 0));
    enc_load(e, 8, RBX, jc_rm(way, key));
    enc_lea(e, 8, RCX, rm_sib(RCX, RBX, 0, 0));
}

/* Registers that C may destroy but for the vector ones, and rax, rcx, rdx. */
static void emit_keep_pinned(struct enc *e, bool store)
{
    for (unsigned i = 0; i < 16; i++) {
        int pin = x64_pin[i];
        if (pin != RSI && pin != RDI && (pin < R8 || pin > R11))
            continue;
        if (store)
            enc_store(e, 8, gpr_rm(i), (unsigned)pin);
        else
            enc_load(e, 8, (unsigned)pin, gpr_rm(i));
    }
}

/* Asks C for the block at the pc in rdx; falls through, with rip stored, if it must be looked for in the run loop. */
static void emit_lookup_c(struct enc *e)
{
    enc_store(e, 8, CPU_RM(rip), RDX);
    enc_flags_save(e);
    enc_store(e, 2, CPU_RM(aflags), RAX);
    emit_keep_pinned(e, true);
    enc_lea(e, 8, RDI, rm_mem(RBP, -CPU_BIAS));
    emit_c_call(e, dbt_lookup);
    enc_mov_rr(e, 8, RCX, RAX);
    emit_keep_pinned(e, false);
    enc_movzx(e, RAX, 2, CPU_RM(aflags));
    enc_flags_restore(e);
    u8 *none = enc_jrcxz(e);
    emit_jump_rcx(e);
    enc_bind8(e, none);
}

/* The second way, then C, then out. */
static void emit_lookup_miss(struct enc *e, struct common_code *k)
{
    k->lookup_miss = e->p;
    enc_op(e, 4, OP1(0x8f), 0, CPU_RM(branch_site), E_DIGIT); /* POP: always 8 bytes */
    emit_jc_check(e, 1);
    u8 *hit = enc_jrcxz(e);
    u8 *out = enc_jmp8(e);
    enc_bind8(e, hit);
    enc_op(e, 4, OP1(0xff), 4, jc_rm(1, code), E_DIGIT);
    enc_bind8(e, out);
    emit_lookup_c(e);
    enc_load(e, 8, RDX, CPU_RM(rip));
}

static void emit_exits(struct enc *e, struct common_code *k, const u8 *save_all)
{
    emit_lookup_miss(e, k);
    k->lookup_out = e->p;
    enc_store(e, 8, CPU_RM(rip), RDX);
    enc_mov_ri(e, RDX, DBT_EXIT_LOOKUP);
    k->exit = e->p;
    enc_call_to(e, save_all);
    k->exit_done = e->p;
    enc_mov_rr(e, 8, RAX, RDX);
    emit_rsp_add(e, 8);
    for (unsigned i = ARRAY_LEN(saved_regs); i-- > 0;)
        emit_pop(e, saved_regs[i]);
    emit_ret(e);
}

/* Calls fn(c, ...) with the other arguments in place and the stack as it is in a subroutine. */
static void emit_sub_call(struct enc *e, const void *fn)
{
    enc_lea(e, 8, RDI, rm_mem(RBP, -CPU_BIAS));
    emit_rsp_add(e, -8);
    emit_c_call(e, fn);
    emit_rsp_add(e, 8);
}

/* Where to go on behind a helper that may have changed rip or the mode, without a turn through the run loop: NULL if that has something to
 * look at, or does not know the block. Keys of the jump cache tell apart modes and mappings. */
static const void *next_code(struct cpu *c)
{
    c->pmu.ahead = 0;
    if (__atomic_load_n(&c->exit_request, __ATOMIC_RELAXED) || c->halted || __atomic_load_n(&c->nmi_pending, __ATOMIC_RELAXED))
        return NULL;
    if (c->iflag && cpu_intr_ready(c))
        return NULL;
    const struct jump_entry *e = &c->jc[jc_index(c->rip)];
    u64 key = -(c->rip + c->jc_live);
    if (e->key != key)
        e += JC_ENTRIES;
    if (e->key != key)
        return NULL;
    cpu_shadow_drop(c);
    return e->code;
}

/* Not a subroutine; struct cpu is complete. */
static void emit_exit_next(struct enc *e, struct common_code *k, const u8 *load_all)
{
    k->exit_next = e->p;
    enc_lea(e, 8, RDI, rm_mem(RBP, -CPU_BIAS));
    emit_c_call(e, next_code);
    enc_mov_rr(e, 8, RCX, RAX);
    enc_op(e, 8, OP1(0x85), RCX, rm_reg(RCX), 0); /* TEST */
    u8 *leave = enc_jcc(e, 4);
    enc_call_to(e, load_all);
    emit_jump_rcx(e);
    enc_bind32(e, leave);
    enc_mov_ri(e, RDX, DBT_EXIT_EXIT);
    enc_jmp_to(e, k->exit_done);
}

static void emit_slow_probe(struct enc *e, const u8 *save_all, const u8 *load_all)
{
    enc_call_to(e, save_all);
    enc_mov_rr(e, 8, RSI, RDX);
    enc_mov_rr(e, 4, RDX, RCX);
    emit_sub_call(e, dbt_slow_probe);
    enc_mov_rr(e, 8, RDX, RAX);
    enc_call_to(e, load_all);
    enc_mov_ri(e, RAX, 0);
    emit_ret(e);
}

/* The slow path of a probe: a look at the victims (mmu/tlb.h) before anything is saved. */
static void emit_victim_probe(struct enc *e, const u8 *slow, unsigned mode, bool write)
{
    size_t t = offsetof(struct cpu, tlb.t) + mode * sizeof(struct tlb_table);
    size_t tag = write ? offsetof(struct tlb_table, wtag) : offsetof(struct tlb_table, rtag);
    const i32 at = (i32)(t + TLB_ENTRIES * 8) - CPU_BIAS;
    emit_push(e, RBX);
    emit_push(e, RCX);
    enc_pext(e, RAX, RDX, CPU_RM(tlb.victim_mask));
    enc_movzx(e, RCX, 1, rm_reg(RCX));
    enc_load(e, 8, RBX, rm_sib(RBP, RAX, 3, at + (i32)tag));
    enc_lea(e, 8, RCX, rm_sib(RCX, RDX, 0, -1));
    enc_lea(e, 8, RCX, rm_sib(RCX, RBX, 0, 0));
    enc_shrx(e, RCX, rm_reg(RCX), RBP);
    u8 *hit = enc_jrcxz(e);
    const u8 *out = e->p;
    emit_pop(e, RCX);
    emit_pop(e, RBX);
    enc_jmp_to(e, slow);
    enc_bind8(e, hit);
    enc_load(e, 4, RCX, CPU_RM(tlb.promote));
    enc_lea(e, 4, RCX, rm_mem(RCX, -1));
    enc_store(e, 4, CPU_RM(tlb.promote), RCX);
    u8 *promote = enc_jrcxz(e);
    enc_load(e, 8, RCX, rm_sib(RBP, RAX, 3, at + (i32)offsetof(struct tlb_table, addend)));
    enc_lea(e, 8, RDX, rm_sib(RDX, RCX, 0, 0));
    enc_mov_ri(e, RAX, 0);
    emit_pop(e, RCX);
    emit_pop(e, RBX);
    emit_ret(e);
    enc_bind8(e, promote);
    enc_jmp_to(e, out);
}

/* Calls the light way with the arguments in rbx, rdx, rcx. Goes on where it says `done` with the result in rdx, the arguments still being on the stack;
 * falls through with them in place. */
static u8 *emit_light_call(struct enc *e, light_fn *fn)
{
    emit_push(e, RCX);
    emit_push(e, RDX);
    enc_flags_save(e);
    enc_store(e, 2, CPU_RM(aflags), RAX);
    emit_keep_pinned(e, true);
    enc_mov_rr(e, 8, RSI, RBX);
    emit_sub_call(e, fn);
    enc_mov_rr(e, 8, RCX, RDX);
    enc_mov_rr(e, 8, RDX, RAX);
    emit_keep_pinned(e, false);
    enc_movzx(e, RAX, 2, CPU_RM(aflags));
    enc_flags_restore(e);
    u8 *done = enc_jrcxz(e);
    emit_pop(e, RDX);
    emit_pop(e, RCX);
    return done;
}

static u8 *emit_light(struct enc *e, light_fn *fn, const u8 *full)
{
    u8 *at = e->p, *done = emit_light_call(e, fn);
    enc_jmp_to(e, full);
    enc_bind8(e, done);
    emit_rsp_add(e, 16);
    emit_ret(e);
    return at;
}

/* Returns rcx: 0, or 1 if the helper had to be called and guest state is in struct cpu. */
static u8 *emit_light_end(struct enc *e, light_fn *fn, const u8 *full)
{
    u8 *at = e->p, *done = emit_light_call(e, fn);
    emit_rsp_add(e, -8);
    enc_call_to(e, full);
    emit_rsp_add(e, 8);
    enc_mov_ri(e, RCX, 1);
    emit_ret(e);
    enc_bind8(e, done);
    emit_rsp_add(e, 16);
    emit_ret(e);
    return at;
}

static void emit_light_ways(struct enc *e, struct common_code *k)
{
    for (unsigned i = 0; i < HELP_COUNT; i++) {
        light_fn *fn = light_table[i];
        if (fn && help_table[i].effects & HE_ENDS)
            k->light_end[i] = emit_light_end(e, fn, k->helper_end[i]);
        else if (fn)
            k->helper[i] = emit_light(e, fn, k->helper[i]);
    }
}

static void emit_helpers(struct enc *e, struct common_code *k, const u8 *save_all, const u8 *load_all)
{
    for (unsigned i = 0; i < HELP_COUNT; i++) {
        for (unsigned end = 0; end < 2; end++) {
            *(end ? &k->helper_end[i] : &k->helper[i]) = e->p;
            enc_call_to(e, save_all);
            enc_mov_rr(e, 8, RSI, RBX);
            emit_sub_call(e, help_table[i].fn);
            if (end) {
                emit_ret(e);
            } else {
                enc_mov_rr(e, 8, RDX, RAX);
                enc_jmp_to(e, load_all);
            }
        }
    }
}

/* --- hosts without BMI2: the same look-ups with flags saved around them --- */
static void emit_shift_right(struct enc *e, unsigned r, unsigned n)
{
    enc_op(e, 8, OP1(0xc1), 5, rm_reg((int)r), E_DIGIT);
    enc_b(e, n);
}

/* Keeps rax over the restoring of flags. */
static void emit_plain_return(struct enc *e)
{
    enc_store(e, 8, ra_slot(SLOT_REGS), RAX);
    enc_load(e, 2, RAX, ra_slot(SLOT_FLAGS));
    enc_flags_restore(e);
    enc_load(e, 8, RAX, ra_slot(SLOT_REGS));
    emit_ret(e);
}

static void emit_plain_start(struct enc *e)
{
    enc_flags_save(e);
    enc_store(e, 2, ra_slot(SLOT_FLAGS), RAX);
    enc_mov_rr(e, 8, RAX, RDX);
}

/* rax = the index of rdx in the table of this mode */
static void emit_plain_index(struct enc *e, unsigned mode)
{
    bool region = mode != TLB_USER;
    if (region) {
        emit_push(e, RCX);
        enc_load(e, 4, RCX, CPU_RM(tlb.region_bit));
        enc_op(e, 8, OP0F(0xa3), RCX, rm_reg(RDX), 0); /* BT */
        enc_alu_rm(e, 4, 3, RCX, rm_reg(RCX));          /* SBB: all bits are CF */
        enc_alu_mi(e, 4, 4, rm_reg(RCX), TLB_ENTRIES / 2, false);
    }
    emit_shift_right(e, RAX, PAGE_BITS);
    enc_alu_mi(e, 4, 4, rm_reg(RAX), (region ? TLB_ENTRIES / 2 : TLB_ENTRIES) - 1, false);
    if (region) {
        enc_alu_rm(e, 4, 1, RAX, rm_reg(RCX));
        emit_pop(e, RCX);
    }
}

static void emit_plain_probe(struct enc *e, unsigned mode, bool write)
{
    size_t t = offsetof(struct cpu, tlb.t) + mode * sizeof(struct tlb_table);
    size_t tag = t + (write ? offsetof(struct tlb_table, wtag) : offsetof(struct tlb_table, rtag));
    emit_plain_start(e);
    emit_plain_index(e, mode);
    enc_alu_rm(e, 8, 0, RCX, rm_reg(RDX));
    enc_alu_rm(e, 8, 0, RCX, rm_sib(RBP, RAX, 3, (i32)tag - CPU_BIAS));
    emit_shift_right(e, RCX, PAGE_BITS);
    enc_load(e, 8, RAX, rm_sib(RBP, RAX, 3, (i32)(t + offsetof(struct tlb_table, addend)) - CPU_BIAS));
    emit_plain_return(e);
}

static void emit_plain_lookup(struct enc *e)
{
    emit_plain_start(e);
    enc_alu_mi(e, 4, 4, rm_reg(RAX), (i32)JC_MASK, false);
    emit_shift_right(e, RAX, JC_SHIFT - 1);
    enc_load(e, 8, RCX, CPU_RM(jc_key));
    enc_alu_rm(e, 8, 0, RCX, rm_reg(RDX));
    enc_alu_rm(e, 8, 0, RCX, jc_rm(0, key));
    emit_plain_return(e);
}

void entry_emit(struct enc *e, struct common_code *k)
{
    u8 *save_kept, *save_all = emit_save_all(e, &save_kept), *load_all = emit_load_all(e);
    k->enter = e->p;
    emit_enter(e, load_all);
    emit_exits(e, k, save_all);
    emit_exit_next(e, k, load_all);
    k->slow_probe = e->p;
    emit_slow_probe(e, save_all, load_all);
    k->kept_probe = e->p;
    emit_slow_probe(e, save_kept, load_all);
    for (unsigned i = 0; i < TLB_MODES * 2; i++)
        for (unsigned kept = 0; kept < 2; kept++) {
            k->victim_probe[kept][i / 2][i % 2] = e->p;
            emit_victim_probe(e, kept ? k->kept_probe : k->slow_probe, i / 2, i % 2);
        }
    k->x87_load = e->p;
    enc_call_to(e, save_all);
    emit_sub_call(e, x87_load);
    enc_jmp_to(e, load_all);
    k->zmm_begin = e->p; /* the upper halves of zmm0-15 are there: zero, or loaded */
    high_move(e, false);
    enc_mov_mi(e, 4, CPU_RM(zmm_live), 1);
    enc_mov_mi(e, 4, CPU_RM(zmm_here), 1);
    emit_ret(e);
    k->fault = e->p; /* not a subroutine */
    enc_movzx(e, RAX, 2, CPU_RM(aflags));
    enc_store(e, 2, CPU_RM(kept_aflags), RAX);
    enc_call_to(e, save_all);
    enc_lea(e, 8, RDI, rm_mem(RBP, -CPU_BIAS));
    enc_mov_rr(e, 8, RSI, RDX);
    enc_mov_rr(e, 4, RDX, RCX);
    emit_c_call(e, dbt_host_fault);
    enc_b(e, 0x0f); /* UD2: it does not return */
    enc_b(e, 0x0b);
    emit_helpers(e, k, save_all, load_all);
    k->light = e->p;
    emit_light_ways(e, k);
    for (unsigned m = 0; m < TLB_MODES; m++) {
        for (unsigned w = 0; w < 2; w++) {
            k->probe[m][w] = e->p;
            emit_plain_probe(e, m, w);
        }
    }
    k->lookup = e->p;
    emit_plain_lookup(e);
    region_emit(e, k);
    k->blocks = e->p;
}
