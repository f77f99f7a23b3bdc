/* Translated blocks: descriptors, lookup by physical PC and mode, jump caches, invalidation when guest code changes.
 * Lookup on vCPU threads without a lock; everything that changes the set holds the code lock (RANK_CODE). */
#ifndef ACCEL_DBT_TB_H
#define ACCEL_DBT_TB_H
#include "accel/dbt/backend.h"
#include "accel/dbt/stats.h"
#include "accel/vm.h"
#include "mmu/ram.h"

/* One block. Immutable once published, but for `dead` and what backend_* patches. Freed only by tb_flush_all. */
struct tb {
    /* what tb_find looks at: one cache line */
    gpa_t phys __attribute__((aligned(64))); /* of the first byte */
    u64 pc, cs_base;     /* pc: where it was made; with ir_mode_rel(mode) it serves at others, too */
    u32 mode;            /* enum cpu_mode */
    bool dead;           /* [atomic] killed; its entry leads back to the run loop */
    bool crosses;        /* its only instruction continues on the next page: never chained to */
    struct tb *hash_next;/* [atomic] */
    u16 len, n_insns;
    bool branch;         /* its last instruction is one that MODE_COUNT_BR counts */
    struct {
        struct ram_block *ram; /* NULL: no second page */
        u64 off;         /* page offset in ram */
        u16 lo, hi;      /* bytes of the page that belong to the block */
    } page[2];
    struct { u16 lo, hi; } hole[IR_SOFT_MAX]; /* bytes of page[0] that the block reads when it runs: they may change */
    unsigned n_holes;
    gpa_t phys2;         /* page of the second part */
    /* direct jumps between blocks; code lock */
    struct tb *out[2];   /* where exit n leads; NULL: out of emitted code */
    u64 in, in_next[2];  /* list of the exits that lead here: address of the block | exit; the next in the list of out[n] */
    struct compiled code;
    /* the optimising tier; code lock */
    bool region;         /* it is one (accel/dbt/opt), in the place of the block at its head */
    bool hidden;         /* such a block: no look-up finds it */
    bool tried;          /* it was looked at whether it is a region's head */
    u8 heat;
    u32 hits;            /* samples in the region */
    u64 entered;         /* counted by its code */
    /* for the persistent cache (pcache.h) */
    bool keep;           /* it may go there, and is not from there */
    bool moves;          /* ir_block.moves */
    u16 n_fields;
    u32 hash;            /* pcache_hash() */
    u64 cs_limit;
    u8 *source;          /* keep: n_fields times struct ir_field, then len bytes of the guest */
};

struct tb_stats {
    u64 translated, invalidated, flushes, chained;
    u64 guest_bytes, host_bytes, insns;
};

/* The memory of descriptors, in the order in which they were made, and of bytes that belong to them. Code lock. */
struct tb_store {
    struct tb **chunk;
    unsigned n, chunks;      /* descriptors in use; chunks there are */
    u8 **bytes;
    size_t used;             /* of all chunks of bytes */
    unsigned byte_chunks;
};
#define TB_CHUNK_BYTES (2 * MiB)
#define TB_CHUNK ((unsigned)(TB_CHUNK_BYTES / sizeof(struct tb)))
/* A descriptor of zeros; NULL: no memory. */
struct tb *tb_new(struct tb_store *s);
/* The one that was made last is not wanted. */
static inline void tb_unmake(struct tb_store *s) { s->n--; }
static inline struct tb *tb_nth(const struct tb_store *s, unsigned i) { return &s->chunk[i / TB_CHUNK][i % TB_CHUNK]; }
/* n bytes, at most a few KiB, that are good as long as the descriptors; NULL: no memory. */
u8 *tb_store_bytes(struct tb_store *s, size_t n);
static inline void tb_store_clear(struct tb_store *s) { s->n = 0, s->used = 0; }
void tb_store_fini(struct tb_store *s);

#define TB_CLEARS_BITS 10
#define TB_CLEARS (1u << TB_CLEARS_BITS)
struct pcache;
/* The translator's state, one for a VM (vm->engine). */
struct dbt {
    struct vm *vm;
    struct lock lock;                /* RANK_CODE */
    struct tb **hash;                /* [atomic] heads */
    GHashTable *pages;               /* host page address -> struct code_page; code lock */
    struct tb_store all;             /* every tb since the last flush, in the order of their code */
    struct tb_stats st;
    struct dbt_stopwatch watch;
    bool interp, verify, one_insn;   /* -accel options */
    unsigned stress_drop;            /* likewise: stress-invalidate; 0: off */
    unsigned max_insns;              /* of a block; changed in an exclusive section */
    bool opt_on, opt_force;
    struct opt_tier *opt;            /* NULL: none */
    u64 cache_size;
    char *pcache_dir;                /* NULL: the user's */
    u64 pcache_size;
    struct pcache *pcache;           /* NULL: off */
    bool pcache_check;               /* what is found there is translated, too, and compared */
    u32 key_salt;
    u32 clears[TB_CLEARS];           /* calls of tb_code_clear by page, see tb_clears; code lock */
};
/* The count of a page. A translation that saw another value before it watched its bytes cannot know that it has read the new ones. */
static inline u32 *tb_clears(struct dbt *d, const struct ram_block *b, u64 off)
{
    return &d->clears[((u64)(uintptr_t)(b->host + off) >> PAGE_BITS) * 0x9e3779b97f4a7c15ull >> (64 - TB_CLEARS_BITS)];
}

struct tb_key {
    u64 pc, cs_base;                 /* pc: 0 where ir_mode_rel(mode) */
    u32 mode;
    gpa_t phys;
};
#define TB_HASH_BITS 18
static inline unsigned tb_hash(const struct tb_key *k)
{
    u64 h = (k->phys ^ k->pc << 7 ^ (u64)k->mode << 40 ^ k->cs_base << 20) * 0x9e3779b97f4a7c15ull;
    return (unsigned)(h >> (64 - TB_HASH_BITS));
}
int tb_init(struct dbt *d, struct err *e);
void tb_fini(struct dbt *d);
/* The live block for k, or NULL. Any vCPU thread; no lock. */
struct tb *tb_find(struct dbt *d, const struct tb_key *k);
/* Adds a compiled block. Code lock. */
void tb_publish(struct dbt *d, struct tb *tb);
/* Drops everything. No vCPU is in emitted code (vcpu_exclusive_begin); takes the code lock. */
void tb_flush_all(struct dbt *d);
/* For tests: drops the n-th block, modulo their number. Takes the code lock. */
void tb_drop_nth(struct dbt *d, unsigned n);
/* code_write_fn: drops the blocks that the written bytes belong to. Any thread. */
void tb_code_written(void *opaque, struct ram_block *b, u64 off, u64 len);
/* code_clear_fn: the same before they are written. */
bool tb_code_clear(void *opaque, struct ram_block *b, u64 off, u64 len, const u8 *running);
/* The n-th block of a block's first page, NULL behind the last one. Code lock. */
struct tb *tb_page_nth(const struct dbt *d, const struct tb *tb, unsigned n);
/* No look-up finds the block any more, and no link leads to it; what enters it in other ways may go on doing so. Code lock. */
void tb_hide(struct dbt *d, struct tb *tb);
/* Kills a block. Code lock. */
void tb_drop(struct dbt *d, struct tb *tb);
/* The grains (mmu/codepage.h) of off's page that blocks need. Code lock. */
u64 tb_page_grains(const struct dbt *d, const struct ram_block *b, u64 off);
/* Bytes of off's page that are written again and again while all around them stays: a bit each. NULL: none of the len bytes from off on in it. Code lock. */
const u64 *tb_soft_bytes(const struct dbt *d, const struct ram_block *b, u64 off, u64 len);
/* The block whose emitted code contains this host address, dead ones included; NULL if none. Takes the code lock. */
struct tb *tb_by_host_pc(const void *pc);
/* The instruction pc_off bytes from the block's pc, being executed in emitted code, is left: what cpu/pmu.h calls "ahead". */
static inline void tb_count_ahead(const struct tb *tb, struct cpu *c, unsigned pc_off)
{
    unsigned i = 0;
    if (!(tb->mode & MODE_COUNT))
        return;
    while (i + 1u < tb->n_insns && tb->code.insn[i].pc_off != pc_off)
        i++;
    c->pmu.ahead = (tb->n_insns - i) | (u32)(tb->branch && tb->mode & MODE_COUNT_BR) << 16;
}
/* Lets exit n of `from` jump to `to`, if both still live and the link is legal. flushes: d->st.flushes while `from` surely existed. */
void tb_link(struct dbt *d, struct tb *from, unsigned n, struct tb *to, u64 flushes);

#endif
