/* Instruction bytes to struct insn. No side effects, no memory access, any thread. The table of instructions (insn.def and
 * the family files that it includes: one table, no second list) gives one row for each instruction form.
 * Source: SDM vol. 2 appendix A (opcode maps) and chapter 2 (formats). */
#ifndef CPU_DECODE_DECODE_H
#define CPU_DECODE_DECODE_H
#include "cpu/cpu.h"

/* Columns of a row, in order:
 *   I(map, opcode, prefix, modrm, MNEMONIC, op1, op2, op3, op4, modes, FEATURE, attributes, fl_read, fl_write, fl_undef, exc, rule)
 *   map      M1, M0F, M38, M3A, VX1, VX2, VX3 (VEX maps 0F, 0F38, 0F3A), EV1, EV2, EV3 (the same of EVEX; their feature, and AVX512VL where
 *            operands have the vector's length and it is not 512, come with AVX512F)
 *   opcode   byte value; rows with attribute A_PLUSR cover opcode .. opcode+7 (register in low three bits)
 *   prefix   PANY (66/F2/F3 do not select), PNP (none of them), P66, PF3, PF2
 *   modrm    0: no ModRM byte; MRM: any; combine with |: MREG(n) reg field is n, MMEM memory form only, MRR register form only,
 *            MRM3(n) rm field is n (with MRR), VL0 VL1 VL2 (VEX.L, EVEX.L'L: one of those named; default any), VW0 VW1 (VEX.W, or REX.W in
 *            legacy rows), RB0 (REX.B clear; also where there is no ModRM byte).
 *            EVEX rows: KM1 KM2 KM4 KM8 the mask has a bit for each 1, 2, 4, 8 bytes of the vector, KMS one bit (scalar), none: no masking;
 *            EBC broadcast of a W ? 8 : 4 byte element; ERC embedded rounding, ESAE suppression of exceptions (512 bits or scalar);
 *            EELEM the memory operand is a run of as many elements as are selected, and disp8 counts elements
 *   operands manual notation as enumerators, without O_ prefix: Eb Ev Gv Ib Iz Vx Wx Hx ..., __ for none (opnd.def lists them)
 *   modes    ANY, I64 (invalid in 64-bit mode), O64 (only in 64-bit mode)
 *   FEATURE  a name X of cpu/cpuid.def as FEAT_X; FEAT_NONE for always present
 *   attributes  A_LOCK lock allowed, A_END ends the block, A_PRIV CPL 0 only, A_D64 64-bit operand default in 64-bit mode,
 *            A_F64 forced 64-bit, A_REP rep allowed (string), A_IO, A_PLUSR, A_NOFAULTMEM operand address only (LEA),
 *            A_W1 first operand written, A_R1 first operand read, A_W2 second operand also written, A_MOVSS, ...
 *   fl_*     masks of F_CF...; fl_read may be conditional on operands; undef is what tests ignore
 *   exc      exception class: X_NONE, X_1..X_14 (SSE/AVX classes of SDM vol. 2 section 2.4: alignment, #XM), X_FPU, X_MMX, X_E... (EVEX)
 *   rule     name of the IR generator: lift_<rule>(struct lift *, const struct insn *)
 * Reading and writing of operands: the first is read with A_R1, written with A_W1; the second is written with A_W2 and then read only with A_R2;
 * the third is written with A_W3, and read in any case; every other operand is read.
 * VEX: vvvv must be 1111b unless an operand comes from it (H, B) or A_VEXNDS is set. VW1 and VW0 select by the encoded bit in every mode; operand
 * sizes (y) and REX.W see it in 64-bit mode only. Rows of one opcode agree on whether a ModRM byte follows. */
struct insn_row {
    u8 map, opcode, prefix;
    u32 modrm;
    const char *mnem;
    u8 op[4];
    u8 modes;
    u16 feat;
    u32 attr;
    u32 fl_read, fl_write, fl_undef;
    u8 exc;
    const char *rule_name; /* cpu/lift/lift.c has the functions, by insn_row_index() */
};

/* Operand codes: O_Eb, O_Gv, ... and O___ for none. */
enum opnd_code {
#define O(name, source, reg, size) O_##name,
#include "cpu/decode/opnd.def"
#undef O
    OPND_CODE_COUNT
};

enum { M1, M0F, M38, M3A, VX1, VX2, VX3, EV1, EV2, EV3, MAP_COUNT };
enum { PANY, PNP, P66, PF3, PF2 };
#define MRM 0x01u
#define MREG(n) (MRM | 0x02u | (n) << 8)
#define MMEM (MRM | 0x04u)
#define MRR (MRM | 0x08u)
#define MRM3(n) (MRR | 0x10u | (n) << 12)
#define VL0 0x20u
#define VL1 0x40u
#define VL2 0x80u
#define VW0 0x10000u
#define VW1 0x20000u
#define RB0 0x40000u
#define KM1 (1u << 20)
#define KM2 (2u << 20)
#define KM4 (4u << 20)
#define KM8 (8u << 20)
#define KMS (15u << 20)
#define EBC (1u << 24)
#define ERC (1u << 25)
#define ESAE (1u << 26)
#define EELEM (1u << 27)
/* Bytes of the vector for each bit of the mask; 15: scalar, 0: no masking. */
static inline unsigned row_mask_grain(const struct insn_row *r) { return r->modrm >> 20 & 15; }
enum { ANY, I64, O64 };
enum {
    A_LOCK = 1 << 0, A_END = 1 << 1, A_PRIV = 1 << 2, A_D64 = 1 << 3, A_F64 = 1 << 4, A_REP = 1 << 5, A_IO = 1 << 6,
    A_PLUSR = 1 << 7, A_NOFAULTMEM = 1 << 8, A_R1 = 1 << 9, A_W1 = 1 << 10, A_R2 = 1 << 11, A_W2 = 1 << 12, A_MOVSS = 1 << 13,
    A_VEC = 1 << 14 /* carried SSE/AVX */, A_X87 = 1 << 15, A_MMX = 1 << 16, A_NOTEST = 1 << 17 /* random tests cannot run it on the host: system */,
    A_W3 = 1 << 18, A_VEXNDS = 1 << 19, A_PE = 1 << 20 /* #UD in real and VM86 mode */,
    A_MOD3 = 1 << 21 /* ModRM.mod is ignored and taken as 3 (MOV CR, DR) */,
    A_VSIB = 1 << 22 /* memory operand needs a SIB byte whose index is a vector register: mem.index is its number */,
};
/* Short names for the flag columns. */
enum {
    FL_OSZPC = F_ARITH & ~F_AF, FL_OSZAP = F_ARITH & ~F_CF, FL_OC = F_OF | F_CF, FL_SZAP = F_ARITH & ~(F_OF | F_CF),
    FL_SZAPC = F_ARITH & ~F_OF, FL_OSAPC = F_ARITH & ~F_ZF, FL_OSAP = F_OF | F_SF | F_AF | F_PF, FL_OAC = F_OF | F_AF | F_CF,
    FL_SZP = F_SF | F_ZF | F_PF, FL_AP = F_AF | F_PF, FL_AC = F_AF | F_CF, FL_OSZP = F_OF | F_SF | F_ZF | F_PF,
};
enum { X_NONE, X_1, X_2, X_3, X_4, X_5, X_6, X_7, X_8, X_11, X_12, X_13, X_14, X_FPU, X_MMX, X_SSE_INT /* like 5 */,
       X_E1, X_E4, X_E4NF, X_E12 /* insn_avx512.def */ };

enum opnd_kind {
    OK_NONE, OK_GPR, OK_GPRH /* AH CH DH BH: reg 0..3 */, OK_SEG, OK_CR, OK_DR, OK_MEM, OK_IMM, OK_REL /* branch target: imm */,
    OK_FAR /* selector in imm2, offset in imm */, OK_VEC, OK_MASK, OK_MMX, OK_ST, OK_MOFFS /* as OK_MEM */, OK_STRSRC, OK_STRDST,
};
struct opnd {
    u8 kind;
    u8 reg;
    u16 size; /* bytes: 1 2 4 8 6 10 16 32 28 108 512 ...; as data size of this operand; 0: address only */
    bool rd, wr;
};

struct insn_mem {
    u8 seg;        /* effective segment, enum seg (override or default) */
    i8 base, index; /* enum gpr, -1 none, -2 RIP-relative (disp is then the final offset relative to 0: already pc + len + disp) */
    u8 scale;      /* shift 0..3 */
    u8 asize;      /* address size in bytes: 2, 4, 8 */
    i64 disp;
};

struct insn {
    const struct insn_row *row;
    u64 pc;          /* offset in CS (RIP) of the first byte */
    u8 len;
    u8 bits;         /* 16, 32, 64: code size */
    u8 osize;        /* operand size in bytes 2, 4, 8 */
    u8 asize;
    bool lock, rep /* F3 */, repne /* F2 */, has_modrm, p66;
    u8 modrm, mod, reg, rm; /* reg, rm with REX/VEX extension */
    bool vex;
    u8 vex_vvvv, vex_l, vex_w; /* vex_w also REX.W; 0 where it is ignored (GPR width outside 64-bit mode). vex_l: 2 for 512 bits */
    bool evex;       /* then vex is set, too */
    u8 evex_aaa, evex_ll;
    bool evex_z, evex_b; /* evex_b: broadcast (memory), or rounding or SAE, evex_ll being the rounding mode and vex_l 2 (register) */
    u8 rex;
    u8 nop;          /* operand count */
    struct opnd op[4];
    struct insn_mem mem;  /* valid if some operand is OK_MEM / OK_MOFFS */
    u64 imm, imm2;   /* sign-extended as the instruction says */
    u8 opcode;
    bool imm_rel, disp_rel; /* written by the lifter only: imm, mem.disp moves with the code (struct ir_op.rel) */
};

enum dec_result { DEC_OK, DEC_UD, DEC_MORE /* n bytes were not enough */, DEC_TOOLONG /* > 15 bytes: #GP */ };

/* bits: 16, 32, 64. pc: RIP of bytes[0]. `feat`: bitmap of enabled features indexed by FEAT_*, NULL: all (rows whose feature is off decode
 * as what the older machine would see: another row, or DEC_UD). `pe`: protected mode and not VM86 (VEX and A_PE rows need it). */
enum dec_result insn_decode(struct insn *in, const u8 *bytes, unsigned n, unsigned bits, bool pe, u64 pc, const u64 *feat);
const struct insn_row *insn_row_nth(unsigned i); /* NULL past the last */
/* The size of operand i of a row goes with the vector's length. */
bool insn_opnd_scales(const struct insn_row *r, unsigned i);
unsigned insn_row_index(const struct insn_row *r);
void insn_table_init(void); /* builds lookup tables; idempotent, call once at start-up (main thread) */

#endif
