/* VT-d: translation of DMA: root and context tables, second-level page tables, the cache of translations, and the spaces that PCI functions see.
 * Called by mmu/dma.c for devices, machine lock held. VT-d specification, sections 3.4 to 3.7, 9.1 and 9.3. */
#include <glib.h>
#include "hw/iommu/vtd.h"
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "util/log.h"

enum { ENTRY_PRESENT = 1, CONTEXT_FPD = 2, TT_MULTI_LEVEL = 0, TT_PASS_THROUGH = 2 };
enum { PTE_READ = 1, PTE_WRITE = 2, PTE_PS = 1 << 7, PTE_SNP = 1 << 11, LEVEL_BITS = 9, LARGEST_LEVEL = 3 };
enum { PIECES_MAX = 256 /* translations that one request puts together: what a guest can make a request cost is bounded */ };
#define PTE_TM (1ull << 62)
#define PTE_ADDR 0x000ffffffffff000ull
#define IRQ_FIRST 0xfee00000ull /* writes there are interrupts, not translated (3.14) */
#define IRQ_END 0xfef00000ull

/* What the tables say of an address. */
struct walk {
    struct vtd_tlb_entry entry;
    bool pass;     /* pass-through */
    bool no_fault; /* FPD: faults from the context entry on are not recorded */
};

/* Bits of addresses in tables that no memory has. */
static u64 beyond_memory(const struct vtd *s) { return PTE_ADDR & ~MASK64(s->aw_bits); }

/* -- tables --------------------------------------------------------------------------------------------------------------- */

/* 16 bytes of a root or context table: legacy mode entries. */
static bool read_entry(const struct vtd *s, u64 table, u8 index, u64 e[2])
{
    u8 b[16];

    if (dma_read(s->dev.m->mem, table + 16 * index, b, sizeof(b)) < 0)
        return false;
    e[0] = ld64(b);
    e[1] = ld64(b + 8);
    return true;
}

static enum vtd_reason find_context(const struct vtd *s, u16 source, u64 ce[2], struct walk *w)
{
    u64 re[2], tt;
    unsigned width;

    if (!read_entry(s, s->root, source >> 8, re))
        return VTD_ROOT_ACCESS;
    if (!(re[0] & ENTRY_PRESENT))
        return VTD_ROOT_ABSENT;
    if ((re[0] & (0xffe | beyond_memory(s))) || re[1])
        return VTD_ROOT_RESERVED;
    if (!read_entry(s, re[0] & PTE_ADDR, source & 0xff, ce))
        return VTD_CONTEXT_ACCESS;
    w->no_fault = ce[0] & CONTEXT_FPD;
    if (!(ce[0] & ENTRY_PRESENT))
        return VTD_CONTEXT_ABSENT;
    if ((ce[0] & (0xff0 | beyond_memory(s))) || (ce[1] & ~0xffff7full))
        return VTD_CONTEXT_RESERVED;
    tt = ce[0] >> 2 & 3;
    width = ce[1] & 7;
    if ((tt != TT_MULTI_LEVEL && !(tt == TT_PASS_THROUGH && s->pass_through)) || !(width == 1 || (width == 2 && s->aw_bits == 48)))
        return VTD_CONTEXT_INVALID;
    w->pass = tt == TT_PASS_THROUGH;
    w->entry.domain = ce[1] >> 8;
    return 0;
}

static unsigned level_shift(unsigned level) { return PAGE_BITS + LEVEL_BITS * (level - 1); }

static bool pte_is_leaf(u64 pte, unsigned level)
{
    return level == 1 || ((pte & PTE_PS) && level <= LARGEST_LEVEL);
}

static bool pte_reserved(const struct vtd *s, u64 pte, unsigned level)
{
    u64 reserved = beyond_memory(s) | PTE_SNP;

    if (pte_is_leaf(pte, level))
        reserved |= PTE_TM | (MASK64(level_shift(level)) & PTE_ADDR);
    else if (level > LARGEST_LEVEL)
        reserved |= PTE_PS;
    return pte & reserved;
}

/* Second-level page tables below a context entry. */
static enum vtd_reason walk_pages(const struct vtd *s, const u64 ce[2], u64 iova, bool write, struct vtd_tlb_entry *t)
{
    unsigned level = 2 + (ce[1] & 7), need = write ? PTE_WRITE : PTE_READ, allowed = PTE_READ | PTE_WRITE;
    u64 table = ce[0] & PTE_ADDR;

    if (iova >> MIN_OF(level_shift(level + 1), (unsigned)s->aw_bits))
        return VTD_BEYOND_WIDTH;
    for (;; level--) {
        u8 b[8];
        if (dma_read(s->dev.m->mem, table + 8 * (iova >> level_shift(level) & 511), b, sizeof(b)) < 0)
            return VTD_TABLE_ACCESS;
        u64 pte = ld64(b);
        if ((pte & allowed) && pte_reserved(s, pte, level))
            return VTD_ENTRY_RESERVED;
        allowed &= pte;
        if (!(allowed & need))
            return write ? VTD_NO_WRITE : VTD_NO_READ;
        table = pte & PTE_ADDR;
        if (pte_is_leaf(pte, level))
            break;
    }
    t->mask = MASK64(level_shift(level));
    t->iova = iova & ~t->mask;
    t->target = table;
    t->read = allowed & PTE_READ;
    t->write = allowed & PTE_WRITE;
    return 0;
}

/* -- the cache ------------------------------------------------------------------------------------------------------------- */

static struct vtd_tlb_entry *tlb_slot(struct vtd *s, u16 source, u64 iova)
{
    u64 page = iova >> PAGE_BITS;

    return &s->tlb[(page ^ page >> 10 ^ source * 37u) % VTD_TLB_SIZE];
}

/* The translation of an address, from the cache or the tables; NULL: it is blocked, or (*pass) passes as it is. */
static const struct vtd_tlb_entry *tlb_get(struct vtd *s, u16 source, u64 iova, bool write, bool record, bool *pass)
{
    struct vtd_tlb_entry *t = tlb_slot(s, source, iova);
    struct walk w = { .entry = { .source = source } };
    enum vtd_reason reason;
    u64 ce[2];

    *pass = false;
    if (t->valid && t->source == source && (iova & ~t->mask) == t->iova && (write ? t->write : t->read))
        return t;
    reason = find_context(s, source, ce, &w);
    *pass = !reason && w.pass;
    if (*pass)
        return NULL;
    if (!reason)
        reason = walk_pages(s, ce, iova, write, &w.entry);
    if (reason) {
        if (record && !w.no_fault)
            vtd_fault(s, reason, source, iova, write);
        return NULL;
    }
    w.entry.valid = true;
    *t = w.entry;
    return t;
}

static bool scope_has(const struct vtd_scope *c, const struct vtd_tlb_entry *t)
{
    return (!c->by_domain || t->domain == c->domain) && (!c->by_source || !((t->source ^ c->source) & c->source_mask)) &&
           (!c->by_page || (t->iova <= c->iova_last && c->iova <= (t->iova | t->mask)));
}

void vtd_tlb_flush(struct vtd *s, const struct vtd_scope *scope)
{
    for (unsigned i = 0; i < VTD_TLB_SIZE; i++)
        if (s->tlb[i].valid && scope_has(scope, &s->tlb[i]))
            s->tlb[i].valid = false;
    for (struct vtd_space *sp = s->spaces; sp; sp = sp->next) {
        sp->passes = false;
        aspace_translation_changed(sp->as);
    }
}

/* -- spaces ------------------------------------------------------------------------------------------------------------------ */

/* Stays in front of the interrupt range; false if iova is in it. */
static bool outside_interrupts(u64 iova, u64 *len)
{
    if (iova < IRQ_FIRST) {
        *len = MIN_OF(*len, IRQ_FIRST - iova);
        return true;
    }
    if (iova >= IRQ_END)
        return true;
    GUEST_ERROR("intel-iommu: DMA at 0x%llx, where interrupts are", (unsigned long long)iova);
    return false;
}

/* Where *addr leads, with what lies together behind it; *len is 1 or more. */
static bool translate(struct vtd_space *sp, u16 source, u64 *addr, u64 *len, bool write)
{
    struct vtd *s = sp->vtd;
    u64 iova = *addr;
    bool pass;
    const struct vtd_tlb_entry *t = tlb_get(s, source, iova, write, true, &pass);

    if (pass) {
        sp->passes = true;
        sp->passes_as = source;
        return true;
    }
    if (!t)
        return false;
    u64 start = t->target | (iova & t->mask), got = t->mask + 1 - (iova & t->mask);
    for (unsigned n = 1; n < PIECES_MAX && got < *len; n++) {
        t = tlb_get(s, source, iova + got, write, false, &pass);
        if (!t || (t->target | ((iova + got) & t->mask)) != start + got)
            break;
        got += t->mask + 1 - ((iova + got) & t->mask);
    }
    *addr = start;
    *len = MIN_OF(*len, got);
    return true;
}

static bool vtd_translate(void *opaque, u64 *addr, u64 *len, bool write)
{
    struct vtd_space *sp = opaque;
    struct vtd *s = sp->vtd;
    u16 source;

    if (!(vtd_get32(s, VTD_GSTS) & VTD_TE))
        return true;
    source = pci_source_id(sp->pci);
    if (sp->passes && sp->passes_as == source)
        return true;
    return outside_interrupts(*addr, len) && translate(sp, source, addr, len, write);
}

struct aspace *vtd_space_new(void *opaque, struct pci_device *d)
{
    struct vtd *s = opaque;
    struct vtd_space *sp = g_new0(struct vtd_space, 1);

    sp->vtd = s;
    sp->pci = d;
    sp->as = aspace_new_translated("intel-iommu", d->dev.m->mem, vtd_translate, sp);
    sp->next = s->spaces;
    s->spaces = sp;
    return sp->as;
}

void vtd_space_free(void *opaque, struct pci_device *d, struct aspace *as)
{
    struct vtd *s = opaque;

    for (struct vtd_space **p = &s->spaces; *p; p = &(*p)->next) {
        struct vtd_space *sp = *p;
        if (sp->pci != d)
            continue;
        *p = sp->next;
        aspace_free(sp->as);
        g_free(sp);
        return;
    }
}
