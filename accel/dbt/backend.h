/* What a backend offers the translator and the run loop: blocks of IR become host code in the code cache, jumps are linked, code is entered
 * and left. Compiling, linking and killing need the code lock (RANK_CODE); entering needs none; flushing needs that no vCPU is inside
 * emitted code. One backend is built in: accel/dbt/x64. */
#ifndef ACCEL_DBT_BACKEND_H
#define ACCEL_DBT_BACKEND_H
#include "cpu/ir/ir.h"
#include "util/err.h"

/* Why control came back from emitted code: dbt_enter's result & DBT_EXIT_MASK. struct cpu is complete and rip is set in every case. */
enum dbt_exit {
    DBT_EXIT_CHAIN,   /* a jump without a target yet: find the block at rip and give the whole result to backend_link */
    DBT_EXIT_LOOKUP,  /* the block at rip is not in the jump cache, or it was killed, or exit_request is set */
    DBT_EXIT_REQUEST, /* exit_request is set */
    DBT_EXIT_EXIT,    /* an EXIT op: look at everything */
};
#define DBT_EXIT_MASK 7ull
#define DBT_EXIT_REGION 8u /* with DBT_EXIT_REQUEST: from a region */
/* DBT_EXIT_CHAIN: the block that was left and which of its exits. */
static inline void *backend_exit_tb(u64 ret) { return (void *)(ret & ~15ull); }
static inline unsigned backend_exit_index(u64 ret) { return ret >> 3 & 1; }

/* The jump cache that emitted code looks up: c->jc, by jc_index(pc). A hit means pc + c->jc_key + entry.key == 0; the keys of empty entries are as good as
 * random against jc_key. */

/* Where a guest instruction's code begins, for host exceptions. */
struct compiled_insn {
    u32 off;       /* from body; in cold code, from there plus compiled.size */
    u16 pc_off;    /* from the block's pc */
    u16 x87_fop;   /* with x87_insn: its opcode */
    bool flags_kept; /* in struct cpu, while it may raise */
    u8 x87_insn;   /* 1 + index of the x87 instruction whose FIP and FOP are not in struct cpu yet when this one begins; 0: none */
};
struct compiled {
    u64 pc;        /* rel: only its offset in the page counts */
    bool rel;      /* ir_block.rel */
    u8 *entry;     /* executable address, for the jump cache and dbt_enter */
    u8 *body;      /* where linked jumps come in: behind the entry's note of where the block is */
    u8 *cold;      /* code that is hardly ever executed */
    u32 size, cold_size; /* bytes from body and from cold on */
    u16 n_exits, n_map;
    struct {
        u8 *site;  /* executable address of the jump's rel32 */
        u8 *leave; /* where it leads while it is not linked */
    } exit[2];     /* what can be linked */
    const struct compiled_insn *insn; /* n_map of them by ascending off, in the code cache; the first ones are the block's instructions in order, then
                                       * follow instructions of which there is another copy */
    const u32 *reloc; /* n_relocs words, behind insn: for backend_save. 0: the code is good for this place only */
    u16 n_relocs;
};

/* A copy of a block's code that can be kept and placed anywhere, by a process of the same program on the same host. Behind it are backend_image_bytes() bytes. */
struct code_image {
    u32 hot, cold;   /* bytes of each part, the first one from the entry on */
    u32 site[2], leave[2]; /* of the exits: from the entry (0: there is none); from the cold part on */
    u16 body;        /* from the entry */
    u16 n_exits, n_map, n_relocs;
};

/* What `info jit` says of the code cache and of all that was compiled. Code lock. */
struct backend_usage {
    u64 hot, cold, size;   /* bytes used of each part; of both there are */
    u64 probes, grouped;   /* checks of memory operands that IR asks for; those that others of their block make needless */
    u64 keeps;             /* stretches of code with kept flags */
};
void backend_usage(struct backend_usage *u);
/* What measures the phases of translations, NULL: nothing does. Written before the first block is compiled. */
struct dbt_stopwatch;
extern struct dbt_stopwatch *backend_watch;

/* Sets up the code cache and the common code; once, main thread. 0, or -1 with e set. */
int backend_init(u64 cache_size, struct err *e);
void backend_fini(void);
/* Compiles b for tb (a struct tb, 16-byte aligned: what backend_exit_tb will say). 0, or -1: the cache is full. */
int backend_compile(const struct ir_block *b, void *tb, struct compiled *out);
/* What backend_save will write; 0: this block's code cannot be kept. */
u32 backend_image_bytes(const struct compiled *k, struct code_image *im);
/* Writes the bytes of a block's copy; im is from backend_image_bytes. The block may be linked, or killed. */
void backend_save(const struct compiled *k, const void *tb, const struct code_image *im, u8 *out);
/* Whether im describes `bytes` bytes. */
bool backend_image_fits(const struct code_image *im, u32 bytes);
/* As backend_compile, from a copy; b says pc, mode and rel. The PC may be another one than the copy was made for (old_pc) where ir_moving() is true of
 * both. 0; -1: the cache is full; -2: the copy is not good for this place. */
enum { IMAGE_FULL = -1, IMAGE_UNFIT = -2 };
struct image_place { u64 pc, old_pc; u32 mode; bool rel; };
int backend_load(const struct code_image *im, const u8 *bytes, const struct image_place *at, void *tb, struct compiled *out);
/* A number that changes with anything in common code and host that the code of blocks relies on. */
u64 backend_identity(void);
/* For tests: whether the block's code is what backend_load would have made of the copy in its place: 1, 0, or IMAGE_UNFIT. */
int backend_same(const struct compiled *k, const void *tb, u64 pc, u32 mode, const struct code_image *im, const u8 *bytes, u64 old_pc);
/* For tests: the next blocks lie at this address modulo 64 (a multiple of 16); -1: anywhere. */
void backend_place(int phase);
/* Drops all blocks. */
void backend_flush(void);
/* Points exit `index` of a block at another block, or (NULL) back at where it leaves emitted code. Atomic for running vCPUs. */
void backend_link(struct compiled *from, unsigned index, const struct compiled *to);
/* The PC of the block that this CPU is in, or has just left. */
static inline u64 backend_pc(const struct cpu *c, const struct compiled *k)
{
    return k->rel ? c->pc_page + (k->pc & (PAGE_SIZE - 1)) : k->pc;
}
/* Whoever comes to the block's entry from now on leaves with DBT_EXIT_LOOKUP and rip = its pc. Atomic for running vCPUs, irrevocable. Who is linked to
 * its body is to be unlinked. */
void backend_kill_block(struct compiled *k);
/* True if pc is in the code of blocks. Async-signal-safe. */
bool backend_owns_pc(const void *pc);
/* Of a pc in the code of blocks: it lies in some block's cold code. */
bool backend_is_cold(const void *pc);
/* The record of the instruction that a host address in the block belongs to; never NULL for an address in the block's code. */
const struct compiled_insn *backend_insn_at(const struct compiled *k, const void *pc);

/* --- regions (accel/dbt/opt) --- */
struct object;
/* False: this host cannot have them. */
bool backend_has_regions(void);
/* Puts a worker's object into the code cache: its executable address, or NULL: no room, or it is not right. */
const u8 *backend_load_object(const struct object *o);
/* Makes a block for tb that runs the function of a region, from its block `entry` on. It takes the place of `head`, which must stay as it is: what
 * the region cannot do of its first instruction goes on there. *entered counts. 0 or -1: the cache is full. */
int backend_region(const struct compiled *head, const u8 *function, unsigned entry, void *tb, u64 *entered, struct compiled *out);

/* Runs emitted code from entry to an exit; vCPU thread. */
u64 dbt_enter(struct cpu *c, const void *entry);

/* --- what emitted code calls --- */
/* Slow path of a PROBE (run.c): size_acc is size | acc << 8. Returns a host pointer for exactly this access, or leaves by cpu_raise or
 * cpu_unwind. struct cpu is complete on entry (rip is the instruction's); guest registers stay as they are if it returns. */
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc);
/* The jump cache has nothing for c->rip (jumps.c): the block's entry, which is in it from now on, or NULL: the run loop must see to it. Guest state
 * but for the pinned registers and rip is still where emitted code has it, vector registers too. */
const void *dbt_lookup(struct cpu *c);
/* A host exception in emitted code (signal.c): struct cpu is complete but for rip and the x87 pointers. trapno: 0 #DE, 13 #GP, 16 #MF, 19 #XM.
 * Raises the guest's exception. */
NORETURN void dbt_host_fault(struct cpu *c, const void *host_pc, u32 trapno);

/* Installs the handlers of SIGFPE, SIGSEGV, SIGBUS and SIGILL that turn host exceptions in emitted code and in carried instructions
 * (cpu/help/carry.h) into the guest's; anything else gets the default action. Once, main thread. */
int dbt_signal_init(struct err *e);

/* Stress switches; written before the first block is compiled. */
extern struct backend_stress {
    bool random_ra;   /* choose scratch registers at random */
    bool force_miss;  /* every PROBE takes the slow path */
} backend_stress;

#endif
