/* Fill and flush of a vCPU's software TLB. On the vCPU's thread; tlb_revoke_write on any. */
#include "mmu/tlb.h"

/* Fields that other threads look at to take a write right away. */
static void put(u64 *field, u64 val) { __atomic_store_n(field, val, __ATOMIC_RELAXED); }

static void entry_clear(struct tlb_table *t, unsigned i)
{
    t->rtag[i] = TLB_NO_TAG(i);
    put(&t->wtag[i], TLB_NO_TAG(i));
    put(&t->addend[i], 0);
    put(&t->gpa[i], ~0ull);
}

static bool entry_empty(const struct tlb_table *t, unsigned i) { return t->gpa[i] == ~0ull; }

void tlb_init(struct tlb *t)
{
    memset(t, 0, sizeof(*t));
    t->index_mask = (u64)(TLB_ENTRIES - 1) << PAGE_BITS;
    for (unsigned m = 0; m < TLB_MODES; m++)
        for (unsigned i = 0; i < TLB_ENTRIES; i++)
            entry_clear(&t->t[m], i);
    tlb_renew(t);
}

/* --- generations --- */
static unsigned pcid_slot(u16 pcid) { return (pcid ^ pcid >> 8) & (TLB_PCIDS - 1); }

static void new_generation(struct tlb *t)
{
    unsigned i = pcid_slot(t->pcid_now);
    t->gen_now = ++t->gen_last;
    t->pcid[i].pcid = t->pcid_now;
    t->pcid[i].generation = t->gen_now;
}

void tlb_renew(struct tlb *t)
{
    memset(t->pcid, 0, sizeof(t->pcid));
    t->gen_all = ++t->gen_last;
    new_generation(t);
}

void tlb_forget_pcid(struct tlb *t, u16 pcid)
{
    unsigned i = pcid_slot(pcid);
    if (t->pcid[i].pcid == pcid)
        t->pcid[i].generation = 0;
}

void tlb_switch(struct tlb *t, u16 pcid, bool kept)
{
    unsigned i = pcid_slot(pcid);
    u64 generation = kept && t->pcid[i].pcid == pcid ? t->pcid[i].generation : 0;
    t->pcid_now = pcid;
    tlb_flush(t, false);
    if (generation)
        t->gen_now = t->pcid[i].generation = generation;
}

static void flush_mode(struct tlb *t, unsigned m, bool global)
{
    unsigned kept = 0;
    for (unsigned k = 0; k < t->n_filled[m]; k++) {
        unsigned i = t->filled[m][k];
        if (!global && (t->t[m].gpa[i] & 1))
            t->filled[m][kept++] = (u16)i;
        else
            entry_clear(&t->t[m], i);
    }
    t->n_filled[m] = kept;
}

void tlb_flush(struct tlb *t, bool global)
{
    t->flushed_page = TLB_WHOLE;
    t->flushed_global = global;
    for (unsigned m = 0; m < TLB_MODES; m++)
        flush_mode(t, m, global);
    if (global) {
        memset(t->large, 0, sizeof(t->large));
        tlb_renew(t);
    } else {
        new_generation(t);
    }
    t->stat_flushes++;
}

/* --- large pages --- */
static const u8 large_bits[2] = { 22, 30 };

static u64 *large_word(struct tlb *t, unsigned kind, gla_t addr, u64 *bit)
{
    u64 h = (addr >> large_bits[kind]) * 0x9e3779b97f4a7c15ull >> 54;
    *bit = 1ull << (h & 63);
    return &t->large[kind][h >> 6];
}

static void large_note(struct tlb *t, gla_t addr, unsigned page_bits)
{
    u64 bit;
    *large_word(t, page_bits > large_bits[0], addr, &bit) |= bit;
}

static bool large_maybe(struct tlb *t, gla_t addr)
{
    u64 bit;
    for (unsigned kind = 0; kind < 2; kind++)
        if (*large_word(t, kind, addr, &bit) & bit)
            return true;
    return false;
}

void tlb_flush_page(struct tlb *t, gla_t addr)
{
    if (large_maybe(t, addr)) {
        tlb_flush(t, true);
        return;
    }
    u64 page = addr & PAGE_MASK;
    t->flushed_page = page;
    t->flushed_global = true;
    unsigned i = tlb_index(addr);
    for (unsigned m = 0; m < TLB_MODES; m++) {
        /* the entry stays in the filled list: the next flush clears it again, a refill finds it listed */
        if (!entry_empty(&t->t[m], i)) {
            u64 gpa = t->t[m].gpa[i];
            entry_clear(&t->t[m], i);
            put(&t->t[m].gpa[i], gpa & ~1ull);
        }
    }
    for (unsigned u = 0; u < 2; u++) {
        struct tlb_exec *x = &t->exec[u][addr >> PAGE_BITS & (TLB_EXEC_ENTRIES - 1)];
        if ((x->page & PAGE_MASK) == page)
            x->page = 0;
    }
}

void tlb_fill(struct tlb *t, enum tlb_mode m, gla_t page, const struct walk *w, u8 *host_page, bool write)
{
    struct tlb_table *tb = &t->t[m];
    unsigned i = tlb_index(page);
    page &= PAGE_MASK;
    if (entry_empty(tb, i))
        t->filled[m][t->n_filled[m]++] = (u16)i;
    if (w->page_bits > PAGE_BITS)
        large_note(t, page, w->page_bits);
    u64 gpa = (w->gpa & PAGE_MASK) | w->global;
    bool keep_write = tb->rtag[i] == -page && tb->gpa[i] == gpa && !write;
    put(&tb->gpa[i], gpa);
    put(&tb->addend[i], (u64)host_page - page);
    tb->rtag[i] = -page;
    if (!keep_write)
        __atomic_store_n(&tb->wtag[i], write ? -page : TLB_NO_TAG(i), __ATOMIC_SEQ_CST);
    t->stat_fills++;
}

bool tlb_revoke_write(struct tlb *t, gpa_t page)
{
    bool found = false;
    for (unsigned m = 0; m < TLB_MODES; m++)
        for (unsigned i = 0; i < TLB_ENTRIES; i++)
            if ((__atomic_load_n(&t->t[m].gpa[i], __ATOMIC_RELAXED) & ~1ull) == page &&
                __atomic_load_n(&t->t[m].wtag[i], __ATOMIC_RELAXED) != TLB_NO_TAG(i)) {
                __atomic_store_n(&t->t[m].wtag[i], TLB_NO_TAG(i), __ATOMIC_SEQ_CST);
                found = true;
            }
    return found;
}

void tlb_revoke_write_host(struct tlb *t, const u8 *host, u64 n, const u8 *pages)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        for (unsigned i = 0; i < TLB_ENTRIES; i++) {
            u64 tag = __atomic_load_n(&t->t[m].wtag[i], __ATOMIC_ACQUIRE);
            if (tag == TLB_NO_TAG(i))
                continue;
            /* A torn pair means that the owner is filling the entry: a tag too many taken, or one that its mark makes good. */
            u64 at = __atomic_load_n(&t->t[m].addend[i], __ATOMIC_RELAXED) - tag - (u64)(uintptr_t)host;
            if (at >> PAGE_BITS < n && pages[at >> PAGE_BITS])
                __atomic_store_n(&t->t[m].wtag[i], TLB_NO_TAG(i), __ATOMIC_SEQ_CST);
        }
    }
}
