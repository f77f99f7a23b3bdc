/* `info mem` and `info tlb`: every mapping in the current CPU's page tables. Main thread, the VM is stopped, called from
 * monitor.c. Reads the guest's tables as they are in memory and changes nothing. Source: SDM vol. 3A chapter 4. */
#include "hw/core/machine.h"
#include "mmu/dma.h"
#include "ui/monitor_cmd.h"

#define PTE_P BIT64(0)
#define PTE_W BIT64(1)
#define PTE_U BIT64(2)
#define PTE_PS BIT64(7)
#define PTE_NX BIT64(63)
#define ADDR_MASK 0x000ffffffffff000ull
/* A guest can map one page, or one table, everywhere. */
#define LINES_MAX 100000
#define TABLES_MAX 200000

/* One form of paging; level 1 is the table of 4 KiB pages. */
struct paging {
    unsigned levels, entry_size, index_bits;
    unsigned digits;      /* of a linear address */
    bool large[6];        /* level has large pages */
    const u64 *pdpte;     /* PAE: the top level sits in registers */
};

/* A mapping met by the walk. rights: PTE_W and PTE_U and-ed over the levels, PTE_NX or-ed. */
typedef bool leaf_fn(void *opaque, u64 addr, u64 size, u64 entry, u64 rights);

struct pages {
    struct mon *m;
    struct aspace *mem;
    struct paging form;
    leaf_fn *leaf;
    void *opaque;
    unsigned tables;      /* read so far */
};

static bool paging_form(struct mon *m, struct paging *f)
{
    struct cpu *c = vm_cpu(m->vm, *m->cpu);

    *f = (struct paging){ .entry_size = 8, .index_bits = 9, .digits = 16 };
    if (!(c->cr0 & CR0_PG)) {
        mon_print(m, "PG disabled\n");
        return false;
    }
    f->large[2] = true;
    if (c->efer & EFER_LMA) {
        f->levels = c->cr4 & CR4_LA57 ? 5 : 4;
        f->large[3] = true;
    } else if (c->cr4 & CR4_PAE) {
        f->levels = 3;
        f->digits = 8;
        f->pdpte = c->pdpte;
    } else {
        *f = (struct paging){ .levels = 2, .entry_size = 4, .index_bits = 10, .digits = 8 };
        f->large[2] = c->cr4 & CR4_PSE;
    }
    return true;
}

static unsigned level_shift(const struct paging *f, unsigned level)
{
    return PAGE_BITS + (level - 1) * f->index_bits;
}

/* Address of a page that an entry of the level names; a 4 MiB entry keeps bits 32..39 in bits 13..20. */
static u64 entry_target(const struct paging *f, unsigned level, u64 entry)
{
    u64 gpa = entry & ADDR_MASK & ~MASK64(level_shift(f, level));

    if (f->entry_size == 4 && level == 2)
        gpa |= (entry >> 13 & 0xff) << 32;
    return gpa;
}

static bool is_leaf(const struct paging *f, unsigned level, u64 entry)
{
    return level == 1 || (f->large[level] && entry & PTE_PS);
}

static bool walk_level(struct pages *w, unsigned level, u64 table, u64 base, u64 rights)
{
    const struct paging *f = &w->form;
    unsigned shift = level_shift(f, level);
    bool top_pae = f->pdpte && level == 3;
    unsigned count = top_pae ? 4 : 1u << f->index_bits;
    u8 raw[PAGE_SIZE] = { 0 };

    if (++w->tables > TABLES_MAX) {
        mon_print(w->m, "(too many page tables)\n");
        return false;
    }
    if (top_pae)
        memcpy(raw, f->pdpte, 4 * sizeof(u64));
    else if (dma_read(w->mem, table, raw, PAGE_SIZE) < 0)
        return true; /* not in RAM: nothing sensible is mapped there */
    for (unsigned i = 0; i < count; i++) {
        u64 e = f->entry_size == 8 ? ld64(raw + i * 8) : ld32(raw + i * 4);
        u64 addr = base | (u64)i << shift, own = top_pae ? e | PTE_W | PTE_U : e, r;
        if (!(e & PTE_P))
            continue;
        if (f->levels >= 4 && level == f->levels && i >= count / 2)
            addr |= ~MASK64(shift + f->index_bits); /* canonical */
        r = (rights & own & (PTE_W | PTE_U)) | ((rights | e) & PTE_NX);
        if (is_leaf(f, level, e) ? !w->leaf(w->opaque, addr, BIT64(shift), e, r)
                                 : !walk_level(w, level - 1, e & ADDR_MASK, addr, r))
            return false;
    }
    return true;
}

static void walk_all(struct mon *m, struct pages *w)
{
    struct cpu *c = vm_cpu(m->vm, *m->cpu);

    w->m = m;
    w->mem = vm_machine(m->vm)->mem;
    walk_level(w, w->form.levels, c->cr3 & ADDR_MASK & (w->form.digits == 8 ? 0xfffff000 : ~0ull), 0, PTE_W | PTE_U);
}

/* --- info tlb --- */

struct tlb_list {
    struct pages *w;
    unsigned lines;
};

static bool too_long(struct mon *m, unsigned *lines)
{
    if (++*lines <= LINES_MAX)
        return false;
    mon_print(m, "(more)\n");
    return true;
}

static bool tlb_leaf(void *opaque, u64 addr, u64 size, u64 e, u64 rights)
{
    struct tlb_list *l = opaque;
    const struct paging *f = &l->w->form;
    unsigned level = size == PAGE_SIZE ? 1 : size == BIT64(level_shift(f, 2)) ? 2 : 3;

    if (too_long(l->w->m, &l->lines))
        return false;
    mon_print(l->w->m, "%0*llx: %016llx %c%c%c%c%c%c%c%c%c\n", (int)f->digits, (unsigned long long)addr,
              (unsigned long long)entry_target(f, level, e), e & PTE_NX ? 'X' : '-', e & BIT64(8) ? 'G' : '-',
              level > 1 ? 'P' : '-', e & BIT64(6) ? 'D' : '-', e & BIT64(5) ? 'A' : '-', e & BIT64(4) ? 'C' : '-',
              e & BIT64(3) ? 'T' : '-', e & PTE_U ? 'U' : '-', e & PTE_W ? 'W' : '-');
    return true;
}

void mon_info_tlb(struct mon *m, char *args)
{
    struct pages w = { .leaf = tlb_leaf };
    struct tlb_list l = { .w = &w };

    w.opaque = &l;
    if (paging_form(m, &w.form))
        walk_all(m, &w);
}

/* --- info mem --- */

struct mem_list {
    struct pages *w;
    u64 start, end, rights; /* the range that grows */
    bool open;
    unsigned lines;
};

static bool mem_flush(struct mem_list *l)
{
    int d = (int)l->w->form.digits;

    if (!l->open)
        return true;
    l->open = false;
    if (too_long(l->w->m, &l->lines))
        return false;
    mon_print(l->w->m, "%0*llx-%0*llx %0*llx %cr%c\n", d, (unsigned long long)l->start, d, (unsigned long long)l->end, d,
              (unsigned long long)(l->end - l->start), l->rights & PTE_U ? 'u' : '-', l->rights & PTE_W ? 'w' : '-');
    return true;
}

static bool mem_leaf(void *opaque, u64 addr, u64 size, u64 e, u64 rights)
{
    struct mem_list *l = opaque;

    rights &= PTE_U | PTE_W;
    if (!l->open || l->end != addr || l->rights != rights) {
        if (!mem_flush(l))
            return false;
        l->start = addr;
        l->rights = rights;
        l->open = true;
    }
    l->end = addr + size;
    return true;
}

void mon_info_mem(struct mon *m, char *args)
{
    struct pages w = { .leaf = mem_leaf };
    struct mem_list l = { .w = &w };

    w.opaque = &l;
    if (paging_form(m, &w.form)) {
        walk_all(m, &w);
        mem_flush(&l);
    }
}
