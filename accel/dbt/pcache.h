/* The persistent cache: blocks' code kept in a file from one run to the next, found by the guest's bytes. pcache_find and pcache_add need the code lock
 * (RANK_CODE); the rest is for the thread that sets up and takes down the engine. docs/translator.md says what is kept and what it is trusted for.
 *
 * DIR/dbt-KEY belongs to one build of the program, one host CPU and one set of guest CPU features: KEY is a hash of them. The file is never changed but
 * replaced as a whole, and used where it is mapped; the code in it is copied. */
#ifndef ACCEL_DBT_PCACHE_H
#define ACCEL_DBT_PCACHE_H
#include "accel/dbt/tb.h"
#include "cpu/ir/ir.h"

/* A block in the file, at a multiple of 8 bytes. Behind it: the fields, the guest's bytes, padding to 8, the image's bytes, padding to 8. */
struct pcache_record {
    u32 bytes;       /* of all */
    u32 sum;         /* of what follows `used` */
    u32 used;        /* the last run that used it, by their numbers */
    u32 zero;
    u64 pc, cs_base, cs_limit; /* where it was made */
    u32 mode, hash;
    u16 len, n_insns, n_fields; /* guest: bytes, instructions, fields */
    u8 phase;        /* of its entry in a line of 64 bytes */
    u8 moves;        /* not 0: ir_block.moves */
    struct code_image image;
};
static inline const struct ir_field *pcache_fields(const struct pcache_record *r) { return (const struct ir_field *)(r + 1); }
static inline const u8 *pcache_guest_bytes(const struct pcache_record *r) { return (const u8 *)(pcache_fields(r) + r->n_fields); }
static inline u32 pcache_image_at(const struct pcache_record *r)
{
    return ALIGN_UP((u32)sizeof(*r) + r->n_fields * (u32)sizeof(struct ir_field) + r->len, 8u);
}
static inline const u8 *pcache_image_bytes(const struct pcache_record *r) { return (const u8 *)r + pcache_image_at(r); }

/* What a block is looked for by. */
struct pcache_key {
    u64 pc, cs_base, cs_limit;
    u32 mode;
    u32 n;           /* bytes that may be looked at */
    const u8 *bytes; /* of the guest, at pc */
};

struct pcache_stats { u64 found, absent, differs /* one was there for other bytes */, damaged, unfit, checked, wrong;
    u64 insns; /* guest instructions of what was found and placed */
};
struct pcache;
/* dir NULL: the user's cache directory. limit: bytes of the file. Touches nothing yet. */
struct pcache *pcache_new(const char *dir, u64 limit);
/* Opens the file, if there is one that can be trusted; the first look-up's matter. feat: FEAT_WORDS words of guest CPU features. */
void pcache_open(struct pcache *p, const u64 *feat);
bool pcache_is_open(const struct pcache *p);
u32 pcache_hash(const struct pcache_key *k);
/* NULL: there is none. Its sum is right; hash: pcache_hash(k). Whether it can be placed is backend_load's to say. */
const struct pcache_record *pcache_find(struct pcache *p, const struct pcache_key *k, u32 hash);
/* Takes a block with tb->keep for the next file, as it is going to be dropped. */
void pcache_add(struct pcache *p, const struct tb *tb);
/* Writes what was added and the n blocks that there are (those with tb->keep), with what was there. Does nothing if that is not worth it, or if another
 * process is at it. */
void pcache_save(struct pcache *p, struct tb *const *tb, unsigned n);
void pcache_free(struct pcache *p);
struct pcache_stats *pcache_stats(struct pcache *p);
/* Lines for `info jit`. Code lock. */
void pcache_info(const struct pcache *p, GString *out);

#endif
