/* Scratch registers of the x64 backend: which of rax, rcx, rdx, rbx holds which temporary of the current guest instruction or a part of the
 * live PROBE's pointer. Local to one guest instruction, decided op by op with knowledge of later uses; spills go to struct cpu.scratch.
 * Everything emitted here leaves EFLAGS alone. Translating thread. */
#ifndef ACCEL_DBT_X64_RA_H
#define ACCEL_DBT_X64_RA_H
#include "accel/dbt/x64/enc.h"
#include "cpu/ir/ir.h"

#define RA_SCRATCH 4 /* host registers 0-3 */
#define RA_ALL 15u

#define RA_GROUPS 4  /* values that live over several instructions: group.c */
#define RA_NO_GROUP 0xff

enum ra_use { RA_FREE, RA_TMP, RA_PTR /* base, or the folded pointer */, RA_PTRX /* index */, RA_OP /* of the current op only */, RA_GRP };

struct ra {
    struct enc *e;
    struct { u8 use, n; } r[RA_SCRATCH];
    u8 locked;                    /* registers that the current op has been given */
    struct {
        i8 reg;
        bool slot;                /* its slot holds the value */
        int last;                 /* op index of the last use in this instruction, -1 none */
    } t[IR_TMP_MAX];
    struct {
        bool slot;                /* spilled, folded */
        i8 base, index;           /* pointer = base + index + disp; base may be a pinned register; R_NONE */
        u8 grp;                   /* the index is this group's value; RA_NO_GROUP */
        i32 disp;
        int last;
    } ptr;
    struct {
        i8 reg;                   /* R_NONE: in its slot, or not live */
        bool slot;
        int last;                 /* last op that may use it */
    } g[RA_GROUPS];
    const struct ir_op *op;       /* the block's */
    int cur, end;                 /* current op; first op behind the instruction */
    u32 rnd;                      /* non-zero: stress */
};

void ra_init(struct ra *ra, struct enc *e, const struct ir_op *ops);
/* No group's value is live. */
void ra_groups_forget(struct ra *ra);
/* The instruction's ops are first .. end - 1: forgets everything, finds last uses. */
void ra_insn(struct ra *ra, int first, int end);
void ra_op_begin(struct ra *ra, int cur);
void ra_op_end(struct ra *ra);
/* Gives everything of the current op back, but does not forget values that were used for the last time. */
void ra_op_unlock(struct ra *ra);

/* A register for the current op out of allowed; evicts if it must. */
unsigned ra_take(struct ra *ra, unsigned allowed);
/* The same, `first` if that is empty. */
unsigned ra_take_first(struct ra *ra, unsigned first, unsigned allowed);
/* Makes this register free and takes it. */
void ra_claim(struct ra *ra, unsigned reg);
/* Gives a register of the current op back before its end. */
void ra_drop(struct ra *ra, unsigned reg);
/* The register of a temporary whose value is wanted / is about to be written. */
unsigned ra_tmp_use(struct ra *ra, unsigned t);
unsigned ra_tmp_def(struct ra *ra, unsigned t, bool read);
/* The current op has read the temporary: its register may go. */
void ra_tmp_unlock(struct ra *ra, unsigned t);
/* A register of the current op is the temporary's from now on. */
void ra_tmp_adopt(struct ra *ra, unsigned t, unsigned reg);
static inline bool ra_is_op(const struct ra *ra, unsigned reg) { return reg < RA_SCRATCH && ra->r[reg].use == RA_OP; }
/* Its register or its slot, without loading. */
struct rm ra_tmp_rm(struct ra *ra, unsigned t);
/* The register it sits in now, or R_NONE. */
static inline int ra_tmp_at(const struct ra *ra, unsigned t) { return ra->t[t].reg; }
static inline bool ra_tmp_defined(const struct ra *ra, unsigned t) { return ra->t[t].reg >= 0 || ra->t[t].slot; }
/* Memory operand at the live pointer + off. */
struct rm ra_ptr(struct ra *ra, unsigned off);
/* Before its use in an op that needs many registers: leaves the pointer one at most. */
void ra_ptr_single(struct ra *ra);
/* Nobody needs the old pointer any more. */
void ra_ptr_forget(struct ra *ra);
/* A new pointer: registers of the current op, or base a pinned one, become its parts. */
void ra_ptr_set(struct ra *ra, int base, int index);
/* The same with a group's value as the index. */
void ra_ptr_set_group(struct ra *ra, int base, unsigned grp, i32 disp);
/* A register of the current op becomes the group's value, until op `last`. */
void ra_group_set(struct ra *ra, unsigned grp, unsigned reg, int last);
/* Within the op that uses it last: the pointer has been read. */
void ra_ptr_done(struct ra *ra);
/* Stores the temporaries that live on behind the current op, a call: they stay in their registers, too. */
void ra_save_live(struct ra *ra);
/* Forgets register contents: a call has destroyed them. */
void ra_clobbered(struct ra *ra);
/* Registers that hold values needed behind the current op. */
unsigned ra_live_regs(const struct ra *ra);

struct rm ra_slot(unsigned n);
enum {
    SLOT_PTR = IR_TMP_MAX, SLOT_FLAGS, SLOT_RDI, SLOT_REGS /* and the two behind it: rax, rcx, rdx over an out-of-line call */,
    SLOT_GROUP = SLOT_REGS + 3
};

#endif
