/* The software TLB of one vCPU: layout shared with emitted code, fill and flush. Owned by the vCPU's thread; other
 * threads may only clear write tags (tlb_revoke_write). */
#ifndef MMU_TLB_H
#define MMU_TLB_H
#include "mmu/walk.h"

#define TLB_BITS 13
#define TLB_ENTRIES (1u << TLB_BITS)
#define TLB_VICTIMS 512u /* places for what newer entries have driven out */
#define TLB_PROMOTE 32u
#define TLB_SLOTS (TLB_ENTRIES + TLB_VICTIMS)

enum tlb_mode { TLB_KERNEL, TLB_USER, TLB_KERNEL_SMAP /* AC = 0 under SMAP */, TLB_MODES };

/* Bits of an address that make its index, a PEXT mask. Supervisor code has what belongs to one CPU in several regions at the same offset, which would
 * meet: its index has a bit that tells regions apart. Which one does depends on where the guest has them, so it is learned from entries that
 * meet (tlb.c). */
#define TLB_REGION_LOW 39u
#define TLB_REGION_BITS 8u
static inline u64 tlb_mask(enum tlb_mode m, unsigned region_bit)
{
    return m == TLB_USER ? (u64)(TLB_ENTRIES - 1) << PAGE_BITS : (u64)(TLB_ENTRIES / 2 - 1) << PAGE_BITS | 1ull << region_bit;
}

/* A hit for [addr, addr + size): ((tag[index(addr)] + addr + size - 1) >> 12) == 0, where tag is minus the page address.
 * Two's complement makes that exact for page crossings too. Then host = addr + addend[index].
 * The slots from TLB_ENTRIES on are the victims': looked at out of line, before the page tables are, by tlb_victim(addr).
 * An empty slot i holds TLB_NO_TAG(i): minus a page whose own slot is another one, so that no address whatever (canonical or
 * not) that is looked up at i, nor the last byte of an access that crosses into the next page, can match. */
#define TLB_GPA_GLOBAL 1ull
#define TLB_GPA_STORES 2ull /* the page tables allow stores, translated code does not: they are slow, but need no walk */
#define TLB_NO_TAG(i) (-(u64)((((u64)(i) ^ TLB_VICTIMS / 2) & (TLB_ENTRIES - 1)) << PAGE_BITS))
struct tlb_table {
    u64 rtag[TLB_SLOTS];
    u64 wtag[TLB_SLOTS]; /* [atomic clear] set only if RAM, writable, dirty, no code, no watchpoint */
    u64 addend[TLB_SLOTS];
    u64 gpa[TLB_SLOTS];  /* page's physical address | TLB_GPA_*, for flushes and revocation; C code only */
    u64 index_mask;      /* tlb_mask() */
};

/* Translations of code pages, for C code that looks up or translates blocks. */
#define TLB_EXEC_ENTRIES 256u
struct tlb_exec {
    u64 page; /* linear page | 1; 0: empty */
    u64 generation; /* good while it is gen_all (global) or gen_now */
    gpa_t gpa;
    bool global;
    u8 *host; /* RAM or ROM; NULL: device */
    struct ram_block *ram; /* for code-page bits; with its offset */
    u64 ram_off;
};

#define TLB_PCIDS 16u
#define TLB_LARGE_WORDS 16u
#define TLB_WHOLE (~0ull)
struct tlb {
    u64 victim_mask; /* PEXT mask for the index among the victims */
    u32 promote;     /* hits among the victims before one is filled in again where it is found at once */
    u32 region_bit;
    u32 n_met, met[TLB_REGION_BITS]; /* pages that met since region_bit was chosen, and how many of them bit TLB_REGION_LOW + n would have parted */
    /* what the last flush dropped: one page (else TLB_WHOLE); entries of global pages, too */
    u64 flushed_page;
    bool flushed_global;
    u64 large[2][TLB_LARGE_WORDS]; /* Bloom filters of the linear 4 MiB and 1 GiB with entries of large pages since the last flush: INVLPG in
                                    * one of them flushes all */
    /* What was found for virtual addresses of code (exec[], jump caches) is good for a generation, which has a number of its own: that of global
     * pages, and one of each PCID's others, which come back with it. */
    u64 gen_all, gen_now;
    u64 gen_last;             /* the newest number given out */
    struct { u16 pcid; u64 generation; } pcid[TLB_PCIDS]; /* generation 0: none is kept */
    u16 pcid_now;
    struct walk_regs regs;
    struct tlb_table t[TLB_MODES];
    struct tlb_slots {
        u64 has[TLB_SLOTS / 64];
        u16 slot[TLB_SLOTS];
        u32 n;
    } list[TLB_MODES][2]; /* [global] slots that got such an entry since they were last listed anew, so that a flush costs what was filled, and a change of CR3 nothing
                           * for the kernel's pages. What a slot has now may be of the other kind, or nothing */
    struct tlb_exec exec[2][TLB_EXEC_ENTRIES]; /* [user] */
    u64 stat_fills, stat_flushes;
};

/* PEXT of a. */
static inline unsigned tlb_index(u64 mask, gla_t a)
{
    unsigned low = (unsigned)((a & mask) >> PAGE_BITS) & (TLB_ENTRIES - 1);
    return (a & mask) >> TLB_REGION_LOW ? low | TLB_ENTRIES / 2 : low;
}
static inline unsigned tlb_victim(gla_t a) { return TLB_ENTRIES + ((unsigned)(a >> PAGE_BITS) & (TLB_VICTIMS - 1)); }

static inline u8 *tlb_hit_at(const struct tlb_table *t, unsigned i, gla_t a, unsigned size, bool write)
{
    u64 tag = write ? __atomic_load_n(&t->wtag[i], __ATOMIC_RELAXED) : t->rtag[i];
    return (tag + a + size - 1) >> PAGE_BITS ? NULL : (u8 *)(a + t->addend[i]);
}

/* The host address of [a, a + size) if the TLB has it for reading or, with write, for writing; else NULL. Host memory is there for the
 * whole page. */
static inline u8 *tlb_hit(const struct tlb_table *t, gla_t a, unsigned size, bool write)
{
    u8 *p = tlb_hit_at(t, tlb_index(t->index_mask, a), a, size, write);
    return p ? p : tlb_hit_at(t, tlb_victim(a), a, size, write);
}

/* The translation of a code page if it is there. */
static inline struct tlb_exec *tlb_exec_hit(struct tlb *t, bool user, gla_t a)
{
    struct tlb_exec *x = &t->exec[user][a >> PAGE_BITS & (TLB_EXEC_ENTRIES - 1)];
    return x->page == ((a & PAGE_MASK) | 1) && x->generation == (x->global ? t->gen_all : t->gen_now) ? x : NULL;
}

void tlb_init(struct tlb *t);
/* The present PCID's entries; global: all, of global pages too. */
void tlb_flush(struct tlb *t, bool global);
void tlb_flush_page(struct tlb *t, gla_t addr);
/* CR3 names a PCID from now on; kept: what was found under it before is still good (SDM vol. 3A 4.10.4.1). */
void tlb_switch(struct tlb *t, u16 pcid, bool kept);
/* What was found under another PCID is not. */
void tlb_forget_pcid(struct tlb *t, u16 pcid);
/* New generations all round. */
void tlb_renew(struct tlb *t);
/* Enters a translation found by a walk. global and large come from the walk. Owner thread. */
enum tlb_stores { TLB_NO_STORES, TLB_SLOW_STORES /* TLB_GPA_STORES */, TLB_STORES /* set the write tag too */ };
void tlb_fill(struct tlb *t, enum tlb_mode m, gla_t page, const struct walk *w, u8 *host_page, enum tlb_stores stores);
/* Takes the write tags of one physical page away, so that the next store takes the slow path. Any thread. Returns true if one was there. */
bool tlb_revoke_write(struct tlb *t, gpa_t page);
/* The same for every page of host memory [host, host + n pages) whose byte in pages[] is set, in one pass. Any thread. */
void tlb_revoke_write_host(struct tlb *t, const u8 *host, u64 n, const u8 *pages);

#endif
