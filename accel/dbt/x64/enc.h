/* Encoders of x86-64 host instructions: bytes only, no decisions about guest state. Used by the x64 backend on the translating thread.
 * Source: SDM vol. 2 chapter 2 (instruction format, REX, VEX). */
#ifndef ACCEL_DBT_X64_ENC_H
#define ACCEL_DBT_X64_ENC_H
#include "accel/dbt/x64/reloc.h"

enum hreg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, R_NONE = -1 };

/* Output cursor. p and the executable address differ by a constant (rx): branches inside the buffer do not care. */
struct enc {
    u8 *p;
    i64 rx;     /* executable address minus writable address */
    struct relocs *relocs; /* NULL: rel32s are not recorded. Else those that lead from or to an address below `part` are */
    u8 *part;
};

/* A register or [base + (index << scale) + disp]. */
struct rm {
    i8 reg;     /* >= 0: register operand */
    i8 base, index;
    u8 scale;
    i32 disp;
};
static inline struct rm rm_reg(int r) { return (struct rm){ .reg = (i8)r, .base = R_NONE, .index = R_NONE }; }
static inline struct rm rm_mem(int base, i32 disp) { return (struct rm){ .reg = R_NONE, .base = (i8)base, .index = R_NONE, .disp = disp }; }
static inline struct rm rm_sib(int base, int index, unsigned scale, i32 disp)
{
    return (struct rm){ .reg = R_NONE, .base = (i8)base, .index = (i8)index, .scale = (u8)scale, .disp = disp };
}
static inline bool rm_is_reg(struct rm m) { return m.reg >= 0; }

/* Opcodes: byte | map << 8 | mandatory prefix << 16. */
#define OP1(b) (b)
#define OP0F(b) ((b) | 1u << 8)
#define OP38(b) ((b) | 2u << 8)
#define OP_66 (0x66u << 16)
#define OP_F3 (0xf3u << 16)
#define OP_F2 (0xf2u << 16)
/* What the operands are, for byte registers that need a REX prefix (SPL BPL SIL DIL). */
enum { E_DIGIT = 1 /* reg field is an opcode digit */, E_REGB = 2 /* reg is a byte register */, E_RMB = 4 /* rm, if a register, is one */, E_LOCK = 8 };

static inline void enc_b(struct enc *e, unsigned v) { *e->p++ = (u8)v; }
static inline void enc_d(struct enc *e, u32 v) { memcpy(e->p, &v, 4); e->p += 4; }
static inline void enc_q(struct enc *e, u64 v) { memcpy(e->p, &v, 8); e->p += 8; }
static inline bool fits8(i64 v) { return v == (i8)v; }
static inline bool fits32(i64 v) { return v == (i32)v; }

/* A legacy-encoded instruction with ModRM; size 2 adds 66, 8 adds REX.W. */
void enc_op(struct enc *e, unsigned size, u32 op, unsigned reg, struct rm m, unsigned how);
/* VEX-encoded BMI-style instruction of map 0F38 or 0F3A; pp 0 none, 1 66, 2 F3, 3 F2; size 4 or 8. */
void enc_vex(struct enc *e, unsigned size, unsigned pp, unsigned map, unsigned op, unsigned reg, unsigned vvvv, struct rm m);

/* --- moves --- */
void enc_mov_rr(struct enc *e, unsigned size, unsigned d, unsigned s);  /* 4 zero-extends */
void enc_mov_ri(struct enc *e, unsigned d, u64 imm);                    /* 64 bits, shortest form; leaves flags alone */
void enc_mov_ri64(struct enc *e, unsigned d, u64 imm);                  /* with eight bytes for it in any case, the last ones */
void enc_mov_mi(struct enc *e, unsigned size, struct rm m, u32 imm);    /* size 8: sign-extended; m may be a register */
static inline void enc_load(struct enc *e, unsigned size, unsigned d, struct rm m) { enc_op(e, size, size == 1 ? OP1(0x8a) : OP1(0x8b), d, m, size == 1 ? E_REGB | E_RMB : 0); }
static inline void enc_store(struct enc *e, unsigned size, struct rm m, unsigned s) { enc_op(e, size, size == 1 ? OP1(0x88) : OP1(0x89), s, m, size == 1 ? E_REGB | E_RMB : 0); }
/* d (4 bytes, so 8) = zero-extended m of size 1, 2, 4. */
void enc_movzx(struct enc *e, unsigned d, unsigned size, struct rm m);
void enc_movzx_high(struct enc *e, unsigned d, unsigned s);             /* d = AH.. of s; both in rax rcx rdx rbx, d below 8 */
void enc_mov_high(struct enc *e, unsigned d, unsigned s);               /* AH.. of d = low byte of s; both in rax..rbx */
static inline void enc_lea(struct enc *e, unsigned size, unsigned d, struct rm m) { enc_op(e, size, OP1(0x8d), d, m, 0); }

/* --- arithmetic --- */
/* n: 0 ADD 1 OR 2 ADC 3 SBB 4 AND 5 SUB 6 XOR 7 CMP */
void enc_alu_rm(struct enc *e, unsigned size, unsigned n, unsigned d, struct rm s);
void enc_alu_mr(struct enc *e, unsigned size, unsigned n, struct rm d, unsigned s, bool lock);
void enc_alu_mi(struct enc *e, unsigned size, unsigned n, struct rm d, i32 imm, bool lock);
/* one-operand groups: F6/F7 /digit, FE/FF /digit */
void enc_grp(struct enc *e, unsigned size, u32 op8, unsigned digit, struct rm m, bool lock);
static inline void enc_rorx(struct enc *e, unsigned size, unsigned d, struct rm m, unsigned n) { enc_vex(e, size, 3, 3, 0xf0, d, 0, m); enc_b(e, n); }
static inline void enc_pext(struct enc *e, unsigned d, unsigned s, struct rm mask) { enc_vex(e, 8, 2, 2, 0xf5, d, s, mask); }
static inline void enc_shrx(struct enc *e, unsigned d, struct rm s, unsigned n) { enc_vex(e, 8, 3, 2, 0xf7, d, n, s); }

/* --- flags --- */
void enc_flags_save(struct enc *e);      /* LAHF; SETO AL: into AX, the layout of struct cpu.aflags */
void enc_flags_restore(struct enc *e);   /* from AX: ADD AL,7F; SAHF */

/* --- branches: return the address of the displacement for enc_bind --- */
u8 *enc_jmp(struct enc *e);              /* rel32 */
u8 *enc_jcc(struct enc *e, unsigned cc); /* rel32 */
u8 *enc_jmp8(struct enc *e);
u8 *enc_jrcxz(struct enc *e);
void enc_bind32(struct enc *e, u8 *site); /* here */
void enc_bind8(struct enc *e, u8 *site);
void enc_jmp_to(struct enc *e, const u8 *target_rw);
void enc_call_to(struct enc *e, const u8 *target_rw);
void enc_nop(struct enc *e, unsigned n); /* one or more instructions of n bytes together */

#endif
