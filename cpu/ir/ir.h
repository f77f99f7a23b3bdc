/* IR types and builder: x86-shaped three-address code over guest registers and per-instruction temporaries. Built by
 * cpu/lift/, read by the interpreter and the backends; a block belongs to the thread that translates it. docs/ir.md.
 *
 * Flags: the guest's arithmetic flags are one implicit value that is always exact. An op with fl = 1 defines it, every other op must
 * leave it alone. (Backends keep it in the host's EFLAGS for the whole run, across blocks.)
 * Precision: all PROBEs and raising CALLs of an instruction come before its first write to a guest register, flag or memory byte, or such
 * writes are ones that re-execution repeats without harm. A TMP lives only within one guest instruction; PTR until the next PROBE or CALL.
 *
 * Immediates: a K_IMM operand's value is op.imm. In CALL and STC, where imm names the helper or the field, it is op.imm2; in an op at most one
 * operand is K_IMM. MOV takes any 64-bit value (also to PTR); in other ops a value of size 8 is a sign-extended 32-bit one. Bits above
 * op.size are to be ignored. K_IMM counts are allowed in SHLX, SHRX, SARX too (0 .. bits - 1).
 * CALL: arguments and result are whole 64-bit values (GPR, TMP, IMM); d is a TMP or none. LDC to a TMP zero-extends to 8 bytes.
 * K_GPRH: register n is AH + n (n 0..3: AH CH DH BH); only in ops (or operands) of size 1.
 * JMP, JCC, BRZ, JMPR, EXIT end the block, except that code after a JCC or BRZ is never reached: each guest block has one of them, last.
 * LIN and PROBE: seg is FS or GS only in 64-bit mode; segments that need checks (non-flat modes) have become CALL segcheck and S_NONE. */
#ifndef CPU_IR_IR_H
#define CPU_IR_IR_H
#include "cpu/cpu.h"
#include "cpu/decode/decode.h"

enum ir_code {
#define X(NAME, name, flags, effect, meaning) IR_##NAME,
#include "cpu/ir/ir.def"
#undef X
    IR_COUNT
};

enum ir_kind { K_NONE, K_GPR, K_GPRH, K_TMP, K_IMM /* value in op.imm */, K_PTR /* host memory of the live PROBE, + ptr_off */ };
struct ir_val {
    u8 kind;
    u8 n;
};
#define IR_TMP_MAX 6

/* Condition codes are the hardware's: 0 O, 1 NO, 2 B, 3 AE, 4 E, 5 NE, 6 BE, 7 A, 8 S, 9 NS, 10 P, 11 NP, 12 L, 13 GE, 14 LE, 15 G. */
struct ir_op {
    u8 code;         /* enum ir_code */
    u8 size, size2;  /* bytes */
    u8 cc;
    bool fl;         /* defines the flags */
    bool lock;
    bool ends;       /* CALL */
    u8 aux;
    u8 seg;          /* PROBE, LIN: enum seg; S_NONE: address is already linear */
    u8 scale, asize; /* PROBE, LIN, LEA */
    u8 acc;          /* PROBE: ACC_READ, ACC_WRITE, ACC_RMW, | ACC_STACK, ACC_MASKED */
    u8 ptr_off;      /* byte offset added to PTR by this op (far pointers, fxsave-like) */
    bool rel;        /* imm (CALL: imm2) was computed from the PC, or in a block with ir_block.moves is an address that moves with it: see ir_block. So are
                      * the targets of JMP JCC BRZ and EXIT, always */
    struct ir_val d, a, b, c;
    u64 imm, imm2;
};

/* A host instruction to be executed on guest vector or x87 state. Register fields are guest numbers = host numbers for vector, MMX and
 * ST registers; a GPR operand is placed by the backend. */
enum carry_class { CC_NONE, CC_VEC, CC_MMX, CC_GPR, CC_MEM, CC_MASK };
/* Implicit GPRs: PCMPESTRx reads rAX and rDX (64 bits with W, else 32), PCMPxSTRI writes ECX (zero-extended), FNSTSW AX writes AX only. */
enum carry_implicit { CI_R_AX = 1, CI_R_DX = 2, CI_W_CX = 4, CI_W_AX = 8 };
struct carry {
    u8 enc;          /* 0 legacy SSE/MMX, 1 VEX, 2 x87 (op, modrm only), 3 EVEX */
    u8 pp;           /* 0, 0x66, 0xf3, 0xf2 */
    u8 map;          /* 1 0F, 2 0F38, 3 0F3A */
    u8 op, w, l;     /* l: EVEX.L'L, which may be the rounding mode */
    u8 aaa;
    bool z, b;       /* EVEX */
    bool zmm;        /* uses AVX-512 state: needs c->zmm_live */
    bool has_imm, no_modrm;          /* no_modrm: EMMS, FWAIT, VZEROUPPER, VZEROALL */
    u8 imm;
    u8 reg, vvvv, rm;                /* numbers; reg is the opcode digit where reg_class is CC_NONE */
    u8 reg_class, vvvv_class, rm_class; /* enum carry_class */
    bool reg_gpr_w, rm_gpr_w;        /* a CC_GPR operand in reg / rm is written (else read) */
    u8 gpr_size;                     /* bytes of that GPR operand: 4 or 8 */
    u8 mem_size, mem_align;          /* bytes; align > 1: legacy SSE operand that must be aligned */
    u8 modrm;                        /* x87: the byte, reg form; for memory forms only its reg field counts */
    bool x87_is_ctl;                 /* x87 control instruction: does not change FIP/FDP/FOP */
    bool x87;                        /* reads or writes x87/MMX state (also EMMS, MMX forms of VEC): needs c->x87_live */
    u8 el_size, el_count, el_bits;   /* masked memory operand (PROBE with ACC_MASKED): el_count elements of el_size bytes; bits 0 .. el_bits - 1 of
                                      * the mask select them, bit i element i % el_count */
    bool el_packed;                  /* only as many elements, from the first, as bits are set */
    u8 implicit;                     /* CI_*: fixed GPRs beside the operand; guest values go into the host registers of that name */
    u32 fl_read, fl_write;           /* F_* masks: PTEST, COMISD, FCOMI; FCMOV */
    u16 fop;                         /* x87 last opcode value */
};

struct ir_insn { /* one guest instruction of a block */
    u64 pc;
    u8 len;
    u16 first_op;
    const struct insn_row *row;
};

#define IR_OPS_MAX 1024
#define IR_INSNS_MAX 128
#define IR_CARRY_MAX 128
#define IR_SOFT_MAX 4

/* Where a kernel and its modules lie, anywhere in there at each boot: addresses in code that does, too, are taken to move with it. Below 2 GiB from the
 * end, so that they fit sign-extended immediates wherever they are; the last 16 MiB are for fixed places (vsyscall, fixmap). */
static inline bool ir_moving(u64 a) { return a >= 0xffffffff80000000ull && a < 0xffffffffff000000ull; }

/* Four bytes of a block's instructions that are not the same wherever it lies. */
enum ir_field_kind { IR_FIELD_MOVES /* the low half of a moving address */, IR_FIELD_OPPOSES /* the distance to an address that does not move */ };
struct ir_field {
    u16 off;         /* from the block's first byte */
    u16 kind;
};
#define IR_FIELDS_MAX 64

struct ir_block {
    u64 pc;              /* RIP of the first instruction */
    u32 mode;            /* enum cpu_mode */
    u64 cs_base;
    unsigned n_ops, n_insns, n_carry, len;
    bool rel;            /* what depends on the PC is to be taken relative to the page that the block is entered at, so that it serves wherever its
                          * bytes are mapped */
    bool moves;          /* 64-bit code of CPL 0-2 at a moving address: the same instructions, but for `field`, are to be expected elsewhere */
    bool fixed;          /* has something that makes it good for this PC only, although `moves` or `rel` */
    unsigned n_fields;   /* moves: */
    struct ir_field field[IR_FIELDS_MAX];
    bool uses_x87, uses_vec;
    const u8 *code;      /* LDCODE: host memory with the code at pc */
    const u64 *soft;     /* of lift_block_soft() */
    struct { u16 off; u8 size; } soft_at[IR_SOFT_MAX]; /* what LDCODEs read, in the order of the bytes */
    unsigned n_soft;
    struct ir_op op[IR_OPS_MAX];
    struct ir_insn insn[IR_INSNS_MAX];
    struct carry carry[IR_CARRY_MAX];
};

static inline struct ir_val ir_none(void) { return (struct ir_val){ K_NONE, 0 }; }
static inline struct ir_val ir_gpr(unsigned r) { return (struct ir_val){ K_GPR, (u8)r }; }
static inline struct ir_val ir_gprh(unsigned r) { return (struct ir_val){ K_GPRH, (u8)r }; }
static inline struct ir_val ir_tmp(unsigned t) { return (struct ir_val){ K_TMP, (u8)t }; }
static inline struct ir_val ir_immv(void) { return (struct ir_val){ K_IMM, 0 }; }
static inline struct ir_val ir_ptr(void) { return (struct ir_val){ K_PTR, 0 }; }
static inline bool ir_same(struct ir_val x, struct ir_val y) { return x.kind == y.kind && x.n == y.n; }

/* The modes in which blocks are made so: of CPL 3 in 64-bit mode, whose libraries lie elsewhere in each process; not with the predictor, which
 * goes by PCs. */
static inline bool ir_mode_rel(u32 mode) { return (mode & MODE_SIZE) == MODE_64 && mode_cpl(mode) == 3 && !(mode & MODE_COUNT_BR); }

/* Appends an op and returns it for the caller to fill in; never NULL: the driver leaves room for one instruction. */
struct ir_op *ir_emit(struct ir_block *b, enum ir_code code, unsigned size);
enum ir_effect { IRE_PURE, IRE_LOAD, IRE_RMW, IRE_CALL, IRE_END, IRE_META };
extern const struct ir_fact { /* a row of ir.def */
    const char *name;
    u8 flags, effect;
} ir_facts[IR_COUNT];
static inline const char *ir_name(enum ir_code code) { return ir_facts[code].name; }
/* 0 F_NO, 1 F_YES, 2 F_USE, 3 F_UF */
static inline unsigned ir_flag_effect(enum ir_code code) { return ir_facts[code].flags; }
static inline enum ir_effect ir_effect(enum ir_code code) { return ir_facts[code].effect; }
struct _GString;
void ir_print(const struct ir_block *b, struct _GString *out);        /* cpu/ir/print.c; stable for golden files */
/* NULL if well-formed, else a static message; cpu/ir/check.c. */
const char *ir_check(const struct ir_block *b);

#endif
