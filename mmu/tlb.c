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
    t->promote = TLB_PROMOTE;
    t->victim_mask = (u64)(TLB_VICTIMS - 1) << PAGE_BITS;
    t->region_bit = TLB_REGION_LOW + TLB_REGION_BITS - 1;
    for (unsigned m = 0; m < TLB_MODES; m++) {
        t->t[m].index_mask = tlb_mask(m, t->region_bit);
        for (unsigned i = 0; i < TLB_SLOTS; i++)
            entry_clear(&t->t[m], i);
    }
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

/* The slots of one list; only: leaves entries of global pages. */
static void flush_list(struct tlb_table *t, struct tlb_slots *l, bool only)
{
    for (unsigned k = 0; k < l->n; k++) {
        unsigned i = l->slot[k];
        l->has[i / 64] = 0;
        if (!only || entry_empty(t, i) || !(t->gpa[i] & TLB_GPA_GLOBAL))
            entry_clear(t, i);
    }
    __atomic_store_n(&l->n, 0, __ATOMIC_RELAXED);
}

static void flush_mode(struct tlb *t, unsigned m, bool global)
{
    flush_list(&t->t[m], &t->list[m][0], !global);
    if (global)
        flush_list(&t->t[m], &t->list[m][1], false);
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

/* The slot stays in its list. */
static void page_clear(struct tlb_table *t, unsigned i, gla_t page)
{
    if (t->rtag[i] == -page)
        entry_clear(t, i);
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
    for (unsigned m = 0; m < TLB_MODES; m++) {
        page_clear(&t->t[m], tlb_index(t->t[m].index_mask, addr), page);
        page_clear(&t->t[m], tlb_victim(addr), page);
    }
    for (unsigned u = 0; u < 2; u++) {
        struct tlb_exec *x = &t->exec[u][addr >> PAGE_BITS & (TLB_EXEC_ENTRIES - 1)];
        if ((x->page & PAGE_MASK) == page)
            x->page = 0;
    }
}

static void slot_use(struct tlb *t, enum tlb_mode m, unsigned i, bool global)
{
    struct tlb_slots *l = &t->list[m][global];
    if (l->has[i / 64] >> (i % 64) & 1)
        return;
    l->has[i / 64] |= 1ull << (i % 64);
    l->slot[l->n] = (u16)i;
    __atomic_store_n(&l->n, l->n + 1, __ATOMIC_RELAXED);
}

/* Slot i is wanted: what it holds goes to the victims. Whoever takes write tags away looks at i first, and then at the victims: it finds the tag
 * there, or here, or this finds that it was here. */
static void entry_move(struct tlb *t, enum tlb_mode m, unsigned i)
{
    struct tlb_table *tb = &t->t[m];
    unsigned v = tlb_victim(-tb->rtag[i]);
    u64 none = TLB_NO_TAG(v), write = __atomic_load_n(&tb->wtag[i], __ATOMIC_RELAXED);
    slot_use(t, m, v, tb->gpa[i] & TLB_GPA_GLOBAL);
    put(&tb->wtag[v], none);
    put(&tb->addend[v], tb->addend[i]);
    put(&tb->gpa[v], tb->gpa[i]);
    tb->rtag[v] = tb->rtag[i];
    if (write == TLB_NO_TAG(i))
        return;
    __atomic_store_n(&tb->wtag[v], write, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&tb->wtag[i], __ATOMIC_SEQ_CST) == TLB_NO_TAG(i))
        put(&tb->wtag[v], none);
}

static void region_change(struct tlb *t, unsigned bit)
{
    t->region_bit = bit;
    for (unsigned m = 0; m < TLB_MODES; m++) {
        if (m == TLB_USER)
            continue;
        flush_mode(t, m, true);
        t->t[m].index_mask = tlb_mask(m, bit);
    }
}

#define MEETINGS 128 /* before something is done about them */

/* Two pages that are both in use have met. */
static void pages_met(struct tlb *t, gla_t differ)
{
    unsigned best = t->region_bit - TLB_REGION_LOW;
    for (unsigned n = 0; n < TLB_REGION_BITS; n++)
        t->met[n] += differ >> (TLB_REGION_LOW + n) & 1;
    if (++t->n_met < MEETINGS)
        return;
    for (unsigned n = 0; n < TLB_REGION_BITS; n++)
        if (t->met[n] > t->met[best])
            best = n;
    if (t->met[best] > MEETINGS / 2)
        region_change(t, TLB_REGION_LOW + best);
    t->n_met = 0;
    memset(t->met, 0, sizeof(t->met));
}

/* The slot for the page, free or its own. Pages with one index have one place among the victims, too, so that what is moved there replaces the
 * page's own entry. */
static unsigned slot_for(struct tlb *t, enum tlb_mode m, gla_t page, bool global)
{
    struct tlb_table *tb = &t->t[m];
    unsigned i = tlb_index(tb->index_mask, page);
    if (m != TLB_USER && tb->rtag[tlb_victim(page)] == -page && tb->rtag[i] != TLB_NO_TAG(i)) {
        pages_met(t, -tb->rtag[i] ^ page);
        i = tlb_index(tb->index_mask, page);
    }
    if (tb->rtag[i] != -page && tb->rtag[i] != TLB_NO_TAG(i))
        entry_move(t, m, i);
    slot_use(t, m, i, global);
    return i;
}

void tlb_fill(struct tlb *t, enum tlb_mode m, gla_t page, const struct walk *w, u8 *host_page, enum tlb_stores stores)
{
    struct tlb_table *tb = &t->t[m];
    page &= PAGE_MASK;
    unsigned i = slot_for(t, m, page, w->global);
    if (w->page_bits > PAGE_BITS)
        large_note(t, page, w->page_bits);
    u64 gpa = (w->gpa & PAGE_MASK) | (w->global ? TLB_GPA_GLOBAL : 0) | (stores == TLB_SLOW_STORES ? TLB_GPA_STORES : 0);
    bool write = stores == TLB_STORES, keep_write = tb->rtag[i] == -page && tb->gpa[i] == gpa && !write;
    put(&tb->gpa[i], gpa);
    put(&tb->addend[i], (u64)host_page - page);
    tb->rtag[i] = -page;
    if (!keep_write)
        __atomic_store_n(&tb->wtag[i], write ? -page : TLB_NO_TAG(i), __ATOMIC_SEQ_CST);
    t->stat_fills++;
    t->promote = TLB_PROMOTE;
}

/* Slots of a table that may have a write tag. An entry counts before it gets one, and its owner looks at what the others have done after that. */
static unsigned slots_in_use(const struct tlb *t, unsigned m)
{
    return __atomic_load_n(&t->list[m][0].n, __ATOMIC_SEQ_CST) | __atomic_load_n(&t->list[m][1].n, __ATOMIC_SEQ_CST) ? TLB_SLOTS : 0;
}

bool tlb_revoke_write(struct tlb *t, gpa_t page)
{
    bool found = false;
    for (unsigned m = 0; m < TLB_MODES; m++)
        for (unsigned i = 0, n = slots_in_use(t, m); i < n; i++)
            if ((__atomic_load_n(&t->t[m].gpa[i], __ATOMIC_RELAXED) & PAGE_MASK) == page &&
                __atomic_load_n(&t->t[m].wtag[i], __ATOMIC_RELAXED) != TLB_NO_TAG(i)) {
                __atomic_store_n(&t->t[m].wtag[i], TLB_NO_TAG(i), __ATOMIC_SEQ_CST);
                found = true;
            }
    return found;
}

void tlb_revoke_write_host(struct tlb *t, const u8 *host, u64 n, const u8 *pages)
{
    for (unsigned m = 0; m < TLB_MODES; m++) {
        for (unsigned i = 0, used = slots_in_use(t, m); i < used; i++) {
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
