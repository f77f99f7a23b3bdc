/* IR rules of MMX, SSE, AVX and AVX-512: an instruction becomes one VEC op that carries it, or a call of a helper where its memory accesses need
 * care (masked moves, gathers) or where it changes control state. Translating thread. Source: SDM vol. 2. */
#include "cpu/lift/carried.h"
#include "cpu/help/simd.h"
#include "mmu/addr.h"

enum source { SRC_NONE, SRC_E, SRC_M, SRC_R, SRC_G, SRC_B, SRC_V, SRC_W, SRC_U, SRC_H, SRC_L, SRC_P, SRC_Q, SRC_N, SRC_KG, SRC_KH, SRC_KR, SRC_KE, SRC_OTHER };

/* Where an operand code finds its register, as far as carried instructions have it. */
#define SRC_I SRC_OTHER
#define SRC_IS SRC_OTHER
#define SRC_K SRC_OTHER
#define SRC_J SRC_OTHER
#define SRC_A SRC_OTHER
#define SRC_O SRC_OTHER
#define SRC_S SRC_OTHER
#define SRC_T SRC_OTHER
#define SRC_C SRC_OTHER
#define SRC_D SRC_OTHER
#define SRC_X SRC_OTHER
#define SRC_Y SRC_OTHER
#define SRC_Z SRC_OTHER
#define SRC_F SRC_OTHER
#define SRC_VF SRC_OTHER
#define SRC_ST SRC_OTHER
#define SRC_STF SRC_OTHER
static const u8 opnd_source[OPND_CODE_COUNT] = {
#define O(name, source, reg, size) [O_##name] = SRC_##source,
#include "cpu/decode/opnd.def"
#undef O
};

static const u8 prefix_byte[] = { [PANY] = 0, [PNP] = 0, [P66] = 0x66, [PF3] = 0xf3, [PF2] = 0xf2 };
static const u8 map_number[MAP_COUNT] = { [M0F] = 1, [M38] = 2, [M3A] = 3, [VX1] = 1, [VX2] = 2, [VX3] = 3, [EV1] = 1, [EV2] = 2, [EV3] = 3 };

struct carry *carry_new(struct lift *l)
{
    assert(l->b->n_carry < IR_CARRY_MAX);
    struct carry *k = &l->b->carry[l->b->n_carry++];
    *k = (struct carry){ 0 };
    return k;
}

/* Alignment that a memory operand of this row must have. */
static unsigned carry_align(const struct insn *in, unsigned size)
{
    switch (in->row->exc) {
    case X_1:
    case X_E1:
        return size;
    case X_2:
    case X_4:
        return in->vex || size < 16 ? 1 : size;
    default:
        return 1;
    }
}

/* The operand's field of the encoding. */
static void carry_operand(struct carry *k, const struct insn *in, unsigned i)
{
    const struct opnd *o = &in->op[i];
    unsigned cls = o->kind == OK_GPR ? CC_GPR : o->kind == OK_VEC ? CC_VEC : o->kind == OK_MMX ? CC_MMX : o->kind == OK_MASK ? CC_MASK : CC_MEM;
    switch (opnd_source[in->row->op[i]]) {
    case SRC_V:
    case SRC_P:
    case SRC_G:
    case SRC_KG:
        k->reg = o->reg;
        k->reg_class = (u8)cls;
        k->reg_gpr_w = cls == CC_GPR && o->wr;
        break;
    case SRC_H:
    case SRC_KH:
        k->vvvv = o->reg;
        k->vvvv_class = (u8)cls;
        break;
    case SRC_L:
        k->has_imm = true;
        k->imm = (u8)((in->bits == 64 ? o->reg : o->reg & 7) << 4);
        return;
    case SRC_E:
    case SRC_M:
    case SRC_R:
    case SRC_W:
    case SRC_U:
    case SRC_Q:
    case SRC_N:
    case SRC_KR:
    case SRC_KE:
        k->rm = cls == CC_MEM ? 0 : o->reg;
        k->rm_class = (u8)cls;
        k->rm_gpr_w = cls == CC_GPR && o->wr;
        break;
    default:
        if (o->kind == OK_IMM) {
            k->has_imm = true;
            k->imm = (u8)in->imm;
        }
        return;
    }
    if (cls == CC_GPR) {
        k->gpr_size = o->size == 8 ? 8 : 4;
    } else if (cls == CC_MEM) {
        k->mem_size = (u8)o->size;
        k->mem_align = (u8)carry_align(in, o->size);
    }
}

/* Fills k for an SSE, AVX or MMX instruction. */
static void carry_fill(struct carry *k, const struct insn *in)
{
    const struct insn_row *r = in->row;
    k->enc = in->evex ? 3 : in->vex ? 1 : 0;
    k->pp = prefix_byte[r->prefix];
    k->map = map_number[r->map];
    k->op = in->opcode;
    k->l = in->evex ? in->evex_ll : in->vex ? in->vex_l : 0;
    k->aaa = in->evex_aaa;
    k->z = in->evex_z;
    k->b = in->evex_b;
    k->zmm = in->evex || r->op[0] >= O_KG || r->op[1] >= O_KG;
    k->no_modrm = !in->has_modrm;
    k->reg = in->has_modrm ? in->modrm >> 3 & 7 : 0; /* the opcode digit where no operand sits there */
    for (unsigned i = 0; i < in->nop; i++) {
        carry_operand(k, in, i);
    }
    bool gpr = k->reg_class == CC_GPR || k->rm_class == CC_GPR;
    k->w = in->bits == 64 || !gpr ? in->vex_w : 0; /* 32-bit code has no 64-bit GPR forms: W is ignored there */
    k->fl_read = r->fl_read;
    k->fl_write = r->fl_write;
    k->x87 = r->attr & A_MMX;
}

/* The op; its memory operand has been probed. d: GPR written, a: GPR read, b: PTR. */
static struct ir_op *carry_emit(struct lift *l, enum ir_code code, struct carry *k)
{
    struct ir_op *op = lift_op(l, code, k->mem_size ? k->mem_size : 16);
    op->imm = (u64)(k - l->b->carry);
    op->fl = k->fl_write != 0;
    if (k->reg_class == CC_GPR) {
        *(k->reg_gpr_w ? &op->d : &op->a) = ir_gpr(k->reg);
    } else if (k->rm_class == CC_GPR) {
        *(k->rm_gpr_w ? &op->d : &op->a) = ir_gpr(k->rm);
    }
    if (k->rm_class == CC_MEM) {
        op->b = ir_ptr();
    }
    l->b->uses_vec |= code == IR_VEC;
    l->b->uses_x87 |= k->x87;
    return op;
}

struct ir_op *carry_finish(struct lift *l, enum ir_code code, struct carry *k, const struct insn *in)
{
    bool masked = k->el_count && in->row->exc != X_E4NF;
    for (unsigned i = 0; i < in->nop; i++) {
        const struct opnd *o = &in->op[i];
        if (o->kind == OK_MEM) {
            lift_probe(l, in, k->mem_size, (o->wr ? (o->rd ? ACC_RMW : ACC_WRITE) : ACC_READ) | (masked ? ACC_MASKED : 0));
        }
    }
    return carry_emit(l, code, k);
}

bool lift_fpu_bad(struct lift *l, u32 mode_bit, unsigned kind)
{
    if (!(l->mode & mode_bit)) {
        return false;
    }
    lift_help(l, HELP_fpu_check, ir_none(), lift_imm_arg(kind), lift_no_arg(), lift_no_arg());
    lift_end_exit(l);
    return true;
}

/* SSE or AVX unusable in this mode: the check is emitted and raises. */
static bool vec_bad(struct lift *l, const struct insn *in)
{
    return in->vex ? lift_fpu_bad(l, MODE_AVX_BAD, FPU_CHECK_AVX) : lift_fpu_bad(l, MODE_SSE_BAD, FPU_CHECK_SSE);
}

void lift_vec(struct lift *l, const struct insn *in)
{
    if (vec_bad(l, in)) {
        return;
    }
    struct carry *k = carry_new(l);
    carry_fill(k, in);
    carry_finish(l, IR_VEC, k, in);
}

/* Which bytes of a masked memory operand count. One whose size goes with the vector's length has an element for each bit; a fixed size is that of a
 * tuple, which is stored once or read over and over. */
static void carry_elements(struct carry *k, const struct insn *in)
{
    unsigned grain = row_mask_grain(in->row), vl = 16u << in->vex_l, size = k->mem_size, i = 0;
    if (!in->evex_aaa || k->rm_class != CC_MEM || (in->row->exc == X_E4NF && in->op[0].kind != OK_MEM)) {
        return;
    }
    while (in->op[i].kind != OK_MEM) {
        i++;
    }
    k->el_packed = in->row->modrm & EELEM;
    k->el_bits = grain == 15 ? 1 : (u8)(vl / grain);
    if (grain == 15 || k->b) {
        k->el_count = 1;
    } else {
        k->el_count = (u8)(insn_opnd_scales(in->row, i) ? k->el_bits : MAX_OF(size / grain, 1u));
        k->el_bits = i == 0 ? k->el_count : k->el_bits;
    }
    k->el_size = (u8)(size / k->el_count);
}

void lift_evex(struct lift *l, const struct insn *in)
{
    if (lift_fpu_bad(l, MODE_EVEX_BAD, FPU_CHECK_EVEX)) {
        return;
    }
    struct carry *k = carry_new(l);
    carry_fill(k, in);
    carry_elements(k, in);
    carry_finish(l, IR_VEC, k, in);
}

/* VEX-coded, but it belongs to AVX-512. */
void lift_kmask(struct lift *l, const struct insn *in)
{
    lift_evex(l, in);
}

void lift_mmx(struct lift *l, const struct insn *in)
{
    if (lift_fpu_bad(l, MODE_FPU_NM, FPU_CHECK_MMX)) {
        return;
    }
    struct carry *k = carry_new(l);
    carry_fill(k, in);
    carry_finish(l, IR_VEC, k, in);
}

/* SSE instructions with an MMX operand. */
void lift_mmx_sse(struct lift *l, const struct insn *in)
{
    if (vec_bad(l, in)) {
        return;
    }
    lift_mmx(l, in);
}

/* PCMPxSTRx: implicit rAX, rDX and ECX. */
void lift_pcmpstr(struct lift *l, const struct insn *in)
{
    if (vec_bad(l, in)) {
        return;
    }
    struct carry *k = carry_new(l);
    carry_fill(k, in);
    bool explicit_length = !(in->opcode & 2), index = in->opcode & 1;
    k->w = in->bits == 64 && explicit_length ? in->vex_w : 0;
    k->implicit = (explicit_length ? CI_R_AX | CI_R_DX : 0) | (index ? CI_W_CX : 0);
    carry_finish(l, IR_VEC, k, in);
}

void lift_ldmxcsr(struct lift *l, const struct insn *in)
{
    if (vec_bad(l, in)) {
        return;
    }
    struct ir_val v = lift_load(l, in, 0);
    lift_help(l, HELP_ldmxcsr, ir_none(), lift_arg(v), lift_no_arg(), lift_no_arg());
}

/* MASKMOVQ, MASKMOVDQU: store to seg:[rDI]. */
void lift_maskmov(struct lift *l, const struct insn *in)
{
    bool mmx = in->op[0].kind == OK_MMX;
    if (mmx ? lift_fpu_bad(l, MODE_FPU_NM, FPU_CHECK_MMX) : vec_bad(l, in)) {
        return;
    }
    u64 how = (mmx ? 0 : 1) | in->asize << 8 | (u64)in->mem.seg << 16;
    lift_help(l, HELP_maskmov, ir_none(), lift_imm_arg(in->op[0].reg), lift_imm_arg(in->op[1].reg),
              lift_imm_arg(how));
}

/* VMASKMOVPS/PD, VPMASKMOVD/Q: V H M (load) or M H V (store). */
void lift_vmaskmov(struct lift *l, const struct insn *in)
{
    if (vec_bad(l, in)) {
        return;
    }
    bool store = in->op[0].kind == OK_MEM;
    unsigned esize = in->opcode == 0x2d || in->opcode == 0x2f || in->vex_w ? 8 : 4, size = in->vex_l ? 32 : 16;
    u64 how = in->op[store ? 2 : 0].reg | in->op[1].reg << 8 | esize << 16 | (u64)size << 24 | (u64)store << 32 |
              (u64)in->mem.seg << 40 | (u64)in->mem.asize << 48;
    struct ir_val ea = lift_ea(l, in);
    lift_help(l, HELP_vmaskmov, ir_none(), lift_imm_arg(how), lift_arg(ea), lift_no_arg());
}

/* Gathers: V, VSIB memory, H. The index register is a vector register: SIB's index 4 without REX.X is no exception here. */
void lift_vgather(struct lift *l, const struct insn *in)
{
    if (vec_bad(l, in)) {
        return;
    }
    unsigned dest = in->op[0].reg, mask = in->op[2].reg, index = in->mem.index < 0 ? 4 : (unsigned)in->mem.index;
    if ((in->modrm & 7) != 4 || in->mem.asize == 2 || dest == mask || dest == index || mask == index) {
        lift_raise(l, EXC_UD);
        return;
    }
    struct vgather g = {
        .dest = dest, .mask = mask, .index = index, .seg = in->mem.seg, .scale = in->mem.scale, .asize8 = in->mem.asize == 8,
        .esize8 = in->vex_w, .index8 = in->opcode & 1, .l256 = in->vex_l, .disp = (u32)in->mem.disp,
    };
    struct ir_val base = in->mem.base >= 0 ? ir_gpr((unsigned)in->mem.base) : lift_const(l, 0);
    lift_help(l, HELP_vgather, ir_none(), lift_imm_arg(vgather_pack(g)), lift_arg(base), lift_no_arg());
}

/* Gathers and scatters of AVX-512: their mask is a mask register. */
void lift_evgather(struct lift *l, const struct insn *in)
{
    if (lift_fpu_bad(l, MODE_EVEX_BAD, FPU_CHECK_EVEX)) {
        return;
    }
    bool scatter = in->op[0].kind == OK_MEM;
    unsigned reg = in->op[scatter].reg, index = (unsigned)in->mem.index;
    if (!scatter && reg == index) {
        lift_raise(l, EXC_UD);
        return;
    }
    struct vscatter s = {
        .reg = reg, .mask = in->evex_aaa, .index = index, .seg = in->mem.seg, .scale = in->mem.scale, .asize8 = in->mem.asize == 8,
        .esize8 = in->vex_w, .index8 = in->opcode & 1, .l = in->vex_l, .store = scatter, .disp = (u32)in->mem.disp,
    };
    struct ir_val base = in->mem.base >= 0 ? ir_gpr((unsigned)in->mem.base) : lift_const(l, 0);
    lift_help(l, HELP_evgather, ir_none(), lift_imm_arg(vscatter_pack(s)), lift_arg(base), lift_no_arg());
}

/* Outside 64-bit mode registers 8 to 15 stay as they are: the host's instruction would clear them. */
void lift_vzero(struct lift *l, const struct insn *in)
{
    if (in->bits == 64) {
        lift_vec(l, in);
    } else if (!vec_bad(l, in)) {
        lift_help(l, HELP_vzero, ir_none(), lift_imm_arg(in->vex_l), lift_no_arg(), lift_no_arg());
    }
}
