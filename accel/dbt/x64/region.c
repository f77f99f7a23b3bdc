/* The x64 backend's common code for regions (accel/dbt/opt): the way into their functions and out again, and what these call, which keeps to no
 * calling convention of C. Emitted once at start-up; runs on vCPU threads. Register conventions of emitted code: jit.h. */
#include "accel/dbt/opt/flags.h"
#include "accel/dbt/opt/region.h"
#include "accel/dbt/x64/jit.h"

static void push(struct enc *e, unsigned r)
{
    if (r >= 8)
        enc_b(e, 0x41);
    enc_b(e, 0x50 | (r & 7));
}

static void pop(struct enc *e, unsigned r)
{
    if (r >= 8)
        enc_b(e, 0x41);
    enc_b(e, 0x58 | (r & 7));
}

static void ret(struct enc *e) { enc_b(e, 0xc3); }
static struct rm at(size_t off) { return rm_mem(RDI, (i32)off); }

/* rcx = 0 if the tag at [rdi + rax * 8 + tag] answers to address rdx; rbx = the tag. The size - 1 is on the stack. */
static void emit_tag(struct enc *e, i32 tag)
{
    enc_load(e, 8, RBX, rm_sib(RDI, RAX, 3, tag));
    enc_load(e, 8, RCX, rm_mem(RSP, 0));
    enc_lea(e, 8, RCX, rm_sib(RCX, RDX, 0, 0));
    enc_alu_rm(e, 8, 0, RCX, rm_reg(RBX));
    enc_op(e, 8, OP1(0xc1), 5, rm_reg(RCX), E_DIGIT); /* SHR */
    enc_b(e, PAGE_BITS);
}

/* The function may go on storing to the page until it leaves: whoever makes code of what lies there must wait for that (translate.c). rax: page,
 * rdx: addend, rbx: the tag at [rsp + 8]. Sets rcx to 0, or not if the tag has been taken away meanwhile. */
static void emit_announce(struct enc *e)
{
    const struct rm beside = at(offsetof(struct cpu, memctx.beside));
    push(e, R8);
    enc_lea(e, 8, R8, rm_sib(RAX, RDX, 0, 0));
    enc_op(e, 8, OP1(0xc1), 5, rm_reg(R8), E_DIGIT); /* as mem_beside_bit() */
    enc_b(e, PAGE_BITS);
    enc_mov_ri(e, RCX, 0x9e3779b97f4a7c15ull);
    enc_op(e, 8, OP0F(0xaf), R8, rm_reg(RCX), 0); /* IMUL */
    enc_op(e, 8, OP1(0xc1), 5, rm_reg(R8), E_DIGIT);
    enc_b(e, 58);
    enc_load(e, 8, RCX, beside);
    enc_op(e, 8, OP0F(0xab), R8, rm_reg(RCX), 0); /* BTS */
    pop(e, R8);
    u8 *known = enc_jcc(e, 2);
    enc_alu_mr(e, 8, 1, beside, RCX, true); /* LOCK OR: before the look at the tag */
    enc_bind32(e, known);
    enc_load(e, 8, RCX, rm_mem(RSP, 8));
    enc_load(e, 8, RCX, rm_mem(RCX, 0));
    enc_alu_rm(e, 8, 5, RCX, rm_reg(RBX));
}

/* rdi: struct cpu, rdx: address, rcx: size - 1. Returns rcx 0: found, rax: the page's address, rdx: what to add to addresses in it. Else rcx is not 0.
 * Keeps the other registers. */
static u8 *emit_probe(struct enc *e, unsigned mode, bool write)
{
    const size_t t = offsetof(struct cpu, tlb.t) + mode * sizeof(struct tlb_table);
    const i32 tag = (i32)(t + (write ? offsetof(struct tlb_table, wtag) : offsetof(struct tlb_table, rtag)));
    u8 *start = e->p;
    if (!x64_host.bmi2 || backend_stress.force_miss) {
        enc_mov_ri(e, RCX, 1);
        ret(e);
        return start;
    }
    push(e, RBX);
    push(e, RAX); /* room for the tag's address */
    push(e, RCX);
    enc_pext(e, RAX, RDX, at(t + offsetof(struct tlb_table, index_mask)));
    emit_tag(e, tag);
    u8 *hit = enc_jcc(e, 4);
    enc_pext(e, RAX, RDX, at(offsetof(struct cpu, tlb.victim_mask)));
    enc_movzx(e, RAX, 2, rm_reg(RAX));
    enc_lea(e, 8, RAX, rm_mem(RAX, TLB_ENTRIES));
    emit_tag(e, tag);
    u8 *miss = enc_jcc(e, 5);
    enc_bind32(e, hit);
    enc_lea(e, 8, RCX, rm_sib(RDI, RAX, 3, tag));
    enc_store(e, 8, rm_mem(RSP, 8), RCX);
    enc_load(e, 8, RDX, rm_sib(RDI, RAX, 3, (i32)(t + offsetof(struct tlb_table, addend))));
    enc_mov_rr(e, 8, RAX, RBX);
    enc_grp(e, 8, OP1(0xf6), 3, rm_reg(RAX), false); /* NEG */
    if (write)
        emit_announce(e);
    else
        enc_mov_ri(e, RCX, 0);
    enc_bind32(e, miss);
    enc_lea(e, 8, RSP, rm_mem(RSP, 16));
    pop(e, RBX);
    ret(e);
    return start;
}

/* rax, rdx, rcx: arguments of region_flags(); its result in rax. Keeps the other registers; the stack is as it may. */
static u8 *emit_flags(struct enc *e)
{
    static const u8 kept[] = { RDI, RSI, RDX, RCX, R8, R9, R10, R11 };
    u8 *start = e->p;
    push(e, RBP);
    enc_mov_rr(e, 8, RBP, RSP);
    for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
        push(e, kept[i]);
    enc_alu_mi(e, 8, 4, rm_reg(RSP), -16, false);
    enc_mov_rr(e, 8, RDI, RAX);
    enc_mov_rr(e, 8, RSI, RDX);
    enc_mov_rr(e, 8, RDX, RCX);
    enc_mov_ri(e, RAX, (u64)region_flags);
    enc_op(e, 4, OP1(0xff), 2, rm_reg(RAX), E_DIGIT);
    enc_lea(e, 8, RSP, rm_mem(RBP, -8 * (i32)ARRAY_LEN(kept)));
    for (unsigned i = ARRAY_LEN(kept); i-- > 0;)
        pop(e, kept[i]);
    pop(e, RBP);
    ret(e);
    return start;
}

static void move_pinned(struct enc *e, bool store)
{
    for (unsigned i = 0; i < 16; i++) {
        if (x64_pin[i] < 0)
            continue;
        if (store)
            enc_store(e, 8, gpr_rm(i), (unsigned)x64_pin[i]);
        else
            enc_load(e, 8, (unsigned)x64_pin[i], gpr_rm(i));
    }
}

/* Subroutine of a region's block: runs the function at rbx with edx. Returns if the region's first instruction is to be done by the block below. */
static u8 *emit_enter(struct enc *e, const struct common_code *k)
{
    u8 *start = e->p;
    move_pinned(e, true);
    enc_flags_save(e);
    enc_store(e, 2, CPU_RM(aflags), RAX);
    enc_lea(e, 8, RDI, rm_mem(RBP, -CPU_BIAS));
    enc_mov_rr(e, 4, RSI, RDX);
    enc_lea(e, 8, RSP, rm_mem(RSP, -8));
    enc_op(e, 4, OP1(0xff), 2, rm_reg(RBX), E_DIGIT);
    enc_lea(e, 8, RSP, rm_mem(RSP, 8));
    enc_mov_rr(e, 4, RBX, RAX);
    enc_load(e, 4, RAX, CPU_RM(scratch[RF_SLOT_OP]));
    enc_load(e, 8, RDX, CPU_RM(scratch[RF_SLOT_A]));
    enc_load(e, 8, RCX, CPU_RM(scratch[RF_SLOT_B]));
    enc_call_to(e, k->region_flags);
    enc_store(e, 2, CPU_RM(aflags), RAX);
    move_pinned(e, false);
    enc_movzx(e, RAX, 2, CPU_RM(aflags));
    enc_flags_restore(e);
    enc_mov_rr(e, 4, RCX, RBX);
    u8 *head = enc_jrcxz(e);
    enc_lea(e, 8, RSP, rm_mem(RSP, 8));
    enc_lea(e, 8, RCX, rm_mem(RCX, -REGION_REQUEST));
    u8 *request = enc_jrcxz(e);
    u8 *on = enc_jmp(e);
    enc_bind8(e, request);
    enc_mov_ri(e, RDX, DBT_EXIT_REQUEST | DBT_EXIT_REGION);
    enc_jmp_to(e, k->exit);
    enc_bind8(e, head);
    ret(e);
    enc_bind32(e, on);
    enc_load(e, 8, RDX, CPU_RM(rip));
    x64_lookup(e);
    return start;
}

void region_emit(struct enc *e, struct common_code *k)
{
    for (unsigned m = 0; m < TLB_MODES; m++)
        for (unsigned w = 0; w < 2; w++)
            k->region_probe[m][w] = emit_probe(e, m, w);
    k->region_flags = emit_flags(e);
    k->region_enter = x64_host.bmi2 ? emit_enter(e, k) : NULL;
}
