/* What the files of the x64 backend share: where guest state lives while emitted code runs, the state of one compilation, operands.
 * Private to accel/dbt/x64; translating thread.
 *
 * While emitted code runs:
 *   rbp          struct cpu + CPU_BIAS. The bias puts the hot fields within disp8 and makes rbp & 63 == 12, so that rbp is also the count
 *                with which SHRX divides by the page size
 *   rsp          C stack of dbt_enter, 16-byte aligned
 *   r8-r13, rsi, rdi, r14, r15   guest rax rcx rdx rbx rsp rbp, rsi, rdi, r8, r9 (pin[]); guest r10-r15 stay in struct cpu
 *   rax rcx rdx rbx  scratch (ra.h)
 *   EFLAGS       the guest's arithmetic flags, always; DF clear
 *   ymm0-15, MXCSR   the guest's; x87/MMX too where c->x87_live */
#ifndef ACCEL_DBT_X64_JIT_H
#define ACCEL_DBT_X64_JIT_H
#include "accel/dbt/backend.h"
#include "accel/dbt/codebuf.h"
#include "accel/dbt/x64/enc.h"
#include "accel/dbt/x64/keep.h"
#include "accel/dbt/x64/ra.h"
#include "cpu/predict.h"

#define CPU_BIAS 204
_Static_assert(CPU_BIAS % 64 == PAGE_BITS && _Alignof(struct cpu) >= 64, "rbp serves as a shift count");
static inline struct rm cpu_rm(size_t off) { return rm_mem(RBP, (i32)off - CPU_BIAS); }
#define CPU_RM(field) cpu_rm(offsetof(struct cpu, field))

/* A field of the entry of the jump cache that rax is twice the place of. */
_Static_assert(JC_BITS == 15 && sizeof(struct jump_entry) == 16, "the place is twice the index, scaled by 8");
_Static_assert(offsetof(struct cpu, jc) > CPU_BIAS + 127 && offsetof(struct cpu, tlb.t) > CPU_BIAS + 127, "displacements are of 32 bits: RELOC_JC, _TLB");
#define jc_rm(way, field) \
    rm_sib(RBP, RAX, 3, (i32)(offsetof(struct cpu, jc) + (way) * JC_ENTRIES * sizeof(struct jump_entry) + offsetof(struct jump_entry, field)) - CPU_BIAS)

/* Host register of a guest GPR, R_NONE: in memory. */
extern const i8 x64_pin[16];

struct host_features {
    bool avx, bmi2, zmm; /* zmm: AVX-512 as far as cpu/cpuid.c wants it */
};
extern struct host_features x64_host;

/* Common code at the start of the cache; addresses in the writable view. */
struct common_code {
    u8 *enter;       /* u64 enter(struct cpu *, const void *code) */
    u8 *exit;        /* rdx: dbt_enter's result; rip is stored; does not return */
    u8 *exit_done;   /* the same with struct cpu complete already */
    u8 *exit_next;   /* behind helper_end: goes on at rip if it can, else leaves with DBT_EXIT_EXIT */
    u8 *lookup_miss; /* called, does not return; rdx: pc, rax: 2 * jc_index(pc), whose entry does not match: tries the second way, else goes to
                      * lookup_out */
    u8 *lookup_out;  /* rdx: pc, stores it as rip, leaves with DBT_EXIT_LOOKUP */
    u8 *slow_probe;  /* rdx: linear address, ecx: size_acc; returns rdx: pointer, rax: 0; keeps rbx */
    u8 *kept_probe;  /* slow_probe where the flags are kept (keep.h) */
    u8 *victim_probe[2][TLB_MODES][2]; /* hosts with BMI2, [flags are kept][mode][write]: the same with a look at the victims before */
    u8 *x87_load;    /* keeps rbx */
    u8 *zmm_begin;   /* loads zmm16-31 and k0-7, sets zmm_live and zmm_here; keeps everything else */
    u8 *fault;       /* rdx: host pc, ecx: trap number; from the signal handler, does not return */
    u8 *probe[TLB_MODES][2]; /* hosts without BMI2, [write]: rdx address, rcx size - 1; returns rcx 0: hit, rax addend */
    u8 *lookup;      /* hosts without BMI2: rdx pc; returns rcx 0: hit, rax 2 * jc_index(pc) */
    u8 *helper[256]; /* rbx, rdx, rcx: arguments; returns rdx: result */
    u8 *helper_end[256]; /* the same without reloading guest state: goes on with exit_next only */
    u8 *light;       /* of light ways (cpu/help/light.h): */
    u8 *light_end[256]; /* NULL: there is none. Returns rcx 0: done, guest state is where emitted code has it; 1: as behind helper_end */
    u8 *region_enter; /* of regions: region.c; NULL: this host cannot have them */
    u8 *region_probe[TLB_MODES][2];
    u8 *region_flags;
    u8 *blocks;      /* behind all that */
};
extern struct common_code x64_common;
extern struct codebuf x64_cache; /* code lock */
#define X64_ENTRY_ALIGN 16u
#define X64_KILL_BYTES 5u        /* of the jump that a killed block begins with */
/* A relative block's entry, with the block's PC in rdx, notes the page. Its first instruction has room for that jump. */
void x64_note_page(struct enc *e, u64 pc);
void entry_emit(struct enc *e, struct common_code *k);
/* Continues at the guest pc in rdx by the jump cache (isel_flow.c). */
void x64_lookup(struct enc *e);
void region_emit(struct enc *e, struct common_code *k); /* what it needs of k is there */
const u8 *x64_fault_entry(void); /* executable address of .fault */

enum ool_kind {
    OOL_PROBE, OOL_REGION /* to the copy of instruction insn */, OOL_X87, OOL_ZMM, OOL_LOOKUP, OOL_MISS, OOL_CHAIN, OOL_POLL_JCC, OOL_POLL, OOL_COUNT,
};
struct ool { /* code behind the main line */
    u8 kind;
    i8 base, index;       /* PROBE: where the pointer is wanted; base may be pinned */
    u8 live;              /* PROBE, X87, ZMM: scratch registers to keep */
    bool kept;            /* PROBE, REGION: flags are (keep.h) */
    u8 cc, exit;
    u8 insn, x87_insn;
    u16 x87_fop;
    u32 size_acc;
    u8 *from;             /* rel32 that leads here */
    u8 *back;             /* PROBE, X87, ZMM */
    u64 pc, pc2;
};
#define OOL_MAX (2 * IR_OPS_MAX + 8)

struct region_state { /* of the main line, for the second copy of its instructions */
    u8 *join;             /* where the copy goes back to the main line */
    unsigned x87_insn;
    u16 x87_fop;
    bool x87_known_live, zmm_known_here;
};

struct jit {
    struct enc e;
    struct ra ra;
    const struct ir_block *b;
    struct compiled *out;
    void *tb;
    u8 *body, *cold;      /* writable addresses: of the main line, of what is out of line */
    u32 hot_size;         /* of the main line; 0: that is being emitted */
    unsigned insn;        /* current guest instruction */
    int op;               /* index of the current op */
    unsigned x87_insn;    /* 1 + index of the instruction whose FIP/FOP are not stored; 0 none */
    u16 x87_fop;
    bool x87_known_live, zmm_known_here;
    enum branch_kind branch; /* of the block's end, with MODE_COUNT */
    bool grouping;        /* PROBEs may stand for others: the main line, not the copies */
    bool moved;           /* jit_moves was told of something in the present op */
    unsigned n_ool, n_map;
    struct groups groups;
    struct keeps keeps;
    struct region_state region[GROUP_REGIONS];
    struct compiled_insn map[2 * IR_INSNS_MAX];
    struct ool ool[OOL_MAX];
    struct relocs relocs;
    struct backend_usage usage; /* of all blocks: probes, grouped, keeps */
};

/* --- operands (isel.c) --- */
/* A register or memory operand for reading `size` bytes; the low bytes only are valid. Immediates and AH.. go through a scratch register. */
struct rm jit_src(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size);
unsigned jit_src_reg(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size);
/* reg = v, zero-extended to 64 bits. */
void jit_load(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size, unsigned reg);
/* The low byte of r = AH, CH, DH or BH (n 0-3). */
void jit_load_high(struct jit *j, unsigned n, unsigned r);
/* Stores the low bytes of reg; for size 4 its upper half must be zero. A register of the op may become the TMP's: do not change it then. */
void jit_put(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size, unsigned reg);
/* A register that stands for the destination d: read: it holds d's value (else undefined where that does no harm). */
struct dst {
    struct ir_val v;
    unsigned size, reg;
};
struct dst dst_open(struct jit *j, const struct ir_op *o, struct ir_val v, unsigned size, bool read);
void dst_close(struct jit *j, const struct ir_op *o, const struct dst *d);
/* d is a whole register in place, or memory that a host instruction of this size may update in place. */
bool dst_is_mem(struct ir_val v, unsigned size);
struct rm jit_mem(struct jit *j, const struct ir_op *o, struct ir_val v);
static inline int gpr_pin(struct ir_val v) { return v.kind == K_GPR ? x64_pin[v.n] : R_NONE; }
static inline struct rm gpr_rm(unsigned n) { return cpu_rm(offsetof(struct cpu, gpr) + 8 * n); }
/* True if writing x changes what y reads. */
bool val_overlap(struct ir_val x, struct ir_val y);
unsigned tlb_mode_of(u32 mode); /* whose table code of this mode uses (mem.c) */
/* Emits a whole block. */
void jit_block(struct jit *j);
/* The main line is complete, the rest follows (backend.c). */
void backend_begin_cold(struct jit *j);
void jit_set_rip(struct jit *j, u64 pc); /* may destroy rax */
/* In a block with ir_block.moves: the four bytes that were emitted last depend, as `kind` says, on the moving address a. */
void jit_moves(struct jit *j, enum reloc_kind kind, u64 a);
/* The same for an immediate of the op, if it is one that moves. */
static inline void jit_imm_moves(struct jit *j, const struct ir_op *o)
{
    if (o->rel)
        jit_moves(j, RELOC_PC, o->imm);
}
/* reg = a value computed from the PC, of size 4 or 8: the constant, or in a block with ir_block.rel what it is where the block runs. */
void jit_load_pc(struct jit *j, unsigned reg, u64 val, unsigned size);
struct ool *ool_new(struct jit *j, enum ool_kind kind, u8 *from);

/* --- op emitters --- */
typedef void isel_fn(struct jit *j, const struct ir_op *o);
/* isel_int.c */
isel_fn isel_shift, isel_shd, isel_bit, isel_scan, isel_count, isel_imul, isel_mulw, isel_divw, isel_cmpxchg, isel_cmpxchg2, isel_xadd,
    isel_xchg, isel_vex3, isel_bls, isel_mulx, isel_adx, isel_crc32, isel_rorx, isel_lahf, isel_sahf, isel_carry;
/* mem.c */
isel_fn isel_probe, isel_lin, isel_lea;
void ool_probe(struct jit *j, const struct ool *s);
/* Saves the registers of a mask before a call of common code, or restores them. */
void ool_keep(struct jit *j, unsigned regs, bool save);
/* The guest's flags are in struct cpu at the current op: the main line may use the host's. */
static inline bool jit_flags_kept(const struct jit *j) { return j->grouping && keeps_at(&j->keeps, (unsigned)j->op); }
/* isel_vec.c */
isel_fn isel_vec;
void ool_x87(struct jit *j, const struct ool *s);
void ool_zmm(struct jit *j, const struct ool *s);
void x87_store_pointers(struct jit *j, unsigned x87_insn, u16 fop);
void x87_flush(struct jit *j);
/* isel_count.c */
void count_begin(struct jit *j);                    /* first of all in a block */
void count_give_back(struct jit *j);
void count_ahead(struct jit *j, unsigned insn);     /* instruction insn is about to call C, which may leave; with jit_set_rip */
bool count_predicts(const struct jit *j);           /* the conditional branch at the block's end wants count_direction on both sides */
void count_direction(struct jit *j, bool taken);
void count_jump(struct jit *j);                     /* before any other branch at the block's end; an indirect one's target is in rdx */
/* image.c */
#define RELOC_WORDS (2 * 512) /* most of one block; more are as good as none */
u8 *image_put_relocs(struct jit *j, const u8 *hot, u8 *at); /* behind the map; returns their end */
/* isel_flow.c */
isel_fn isel_call, isel_jmp, isel_jcc, isel_brz, isel_jmpr, isel_exit;
void flow_end(struct jit *j);
void ool_flow(struct jit *j, struct ool *s);

#endif
