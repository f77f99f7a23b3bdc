/* Page walks in all forms. vCPU threads, and debuggers with probe set. Source: SDM vol. 3A chapter 4. */
#include "mmu/walk.h"
#include "mmu/aspace.h"

#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_U 4ull
#define PTE_A 0x20ull
#define PTE_D 0x40ull
#define PTE_PS 0x80ull
#define PTE_G 0x100ull
#define PTE_NX (1ull << 63)

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16, PF_PK = 32 };

/* A paging-structure entry in guest memory. */
struct pte_ref {
    gpa_t gpa;
    u8 *host; /* NULL: not RAM */
    u64 val;
    unsigned size;
};

static void pte_load(struct pte_ref *p, const struct walk_regs *r, struct aspace *mem, gpa_t gpa, unsigned size)
{
    if (r->a20_mask)
        gpa &= ~(1ull << 20);
    const struct frange *f = aspace_find(mem, gpa);
    p->gpa = gpa;
    p->size = size;
    p->host = f && f->host && gpa + size <= f->end ? f->host + (gpa - f->start) : NULL;
    if (!p->host)
        p->val = aspace_read_uint(mem, gpa, size);
    else if (size == 8)
        p->val = __atomic_load_n((u64 *)(void *)p->host, __ATOMIC_RELAXED);
    else
        p->val = __atomic_load_n((u32 *)(void *)p->host, __ATOMIC_RELAXED);
}

/*
 * Sets bits in the entry if it still has the value that the walk saw. False: walk again. A walk marks what it used only if
 * the access is allowed, as the 386 did; what a faulting walk does to A above the leaf is left to the processor (SDM 4.8).
 */
static bool pte_set(struct pte_ref *p, u64 bits)
{
    if ((p->val & bits) == bits || !p->host)
        return true;
    if (p->size == 8) {
        u64 old = p->val;
        return __atomic_compare_exchange_n((u64 *)(void *)p->host, &old, p->val | bits, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED);
    }
    u32 old = (u32)p->val;
    return __atomic_compare_exchange_n((u32 *)(void *)p->host, &old, old | (u32)bits, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/* Error-code bits that only depend on the access. */
static u32 error_base(const struct walk_regs *r, unsigned acc)
{
    u32 e = 0;
    if (acc & ACC_WRITE)
        e |= PF_W;
    if (acc & ACC_USER)
        e |= PF_U;
    if ((acc & ACC_EXEC) && ((r->pae && r->nxe) || r->smep))
        e |= PF_I;
    return e;
}

/* Protection-key rights of a user page (SDM 4.6.2). */
static bool pkey_denies(const struct walk_regs *r, const struct walk *w, unsigned acc)
{
    if (!r->pke || !r->lma || !w->user || (acc & ACC_EXEC))
        return false;
    u32 bits = r->pkru >> (w->pkey * 2) & 3;
    if (bits & 1)
        return true;
    return (bits & 2) && (acc & ACC_WRITE) && ((acc & ACC_USER) || r->wp);
}

/* The rights of a present translation (SDM 4.6.1). 0, or -1 with the error code. */
static int rights_check(const struct walk_regs *r, struct walk *w, unsigned acc)
{
    u32 err = error_base(r, acc) | PF_P;
    bool bad;
    if (acc & ACC_USER) {
        bad = !w->user || ((acc & ACC_WRITE) && !w->write) || ((acc & ACC_EXEC) && w->nx);
    } else if (acc & ACC_EXEC) {
        bad = w->nx || (r->smep && w->user);
    } else {
        bad = (acc & ACC_WRITE) && !w->write && r->wp;
        if (r->smap && w->user && ((acc & ACC_IMPLICIT) || !r->ac))
            bad = true;
    }
    if (pkey_denies(r, w, acc)) { /* said whatever else is wrong */
        err |= PF_PK;
        bad = true;
    }
    w->error = err;
    return bad ? -1 : 0;
}

static int walk_fail(struct walk *w, const struct walk_regs *r, unsigned acc, u32 bits)
{
    w->error = error_base(r, acc) | bits;
    return -1;
}

#define AGAIN 1

/* 32-bit paging (SDM 4.3). */
static int walk_32(const struct walk_regs *r, struct aspace *mem, gla_t addr, unsigned acc, bool probe, struct walk *w)
{
    struct pte_ref pde, pte;
    u32 a = (u32)addr;
    pte_load(&pde, r, mem, (r->cr3 & 0xfffff000) + (a >> 22) * 4, 4);
    if (!(pde.val & PTE_P))
        return walk_fail(w, r, acc, 0);
    bool large = r->pse && (pde.val & PTE_PS);
    struct pte_ref *leaf = &pde;
    u64 rights = pde.val;
    if (large) {
        u64 high = (pde.val >> 13 & 0xff) << 32; /* PSE-36 */
        unsigned m = MIN_OF(r->phys_bits, 40);
        if ((pde.val >> 21 & 1) || high >> m)
            return walk_fail(w, r, acc, PF_P | PF_RSVD);
        w->gpa = high | (pde.val & 0xffc00000) | (a & 0x3fffff);
        w->page_bits = 22;
    } else {
        pte_load(&pte, r, mem, (pde.val & 0xfffff000) + (a >> 12 & 0x3ff) * 4, 4);
        if (!(pte.val & PTE_P))
            return walk_fail(w, r, acc, 0);
        leaf = &pte;
        rights &= pte.val;
        w->gpa = (pte.val & 0xfffff000) | (a & 0xfff);
        w->page_bits = 12;
    }
    w->user = rights & PTE_U;
    w->write = rights & PTE_W;
    w->nx = false;
    w->global = r->pge && (leaf->val & PTE_G);
    w->pkey = 0;
    int ret = rights_check(r, w, acc);
    bool mark = !ret && !probe;
    if (mark && leaf == &pte && !pte_set(&pde, PTE_A))
        return AGAIN;
    if (mark && !pte_set(leaf, PTE_A | (acc & ACC_WRITE ? PTE_D : 0)))
        return AGAIN;
    w->dirty = (leaf->val & PTE_D) || (!probe && (acc & ACC_WRITE));
    return ret;
}

/* Reserved bits of a 64-bit entry at a level (0 PTE, 1 PDE, 2 PDPTE, 3 PML4E, 4 PML5E). */
static u64 reserved_bits(const struct walk_regs *r, unsigned level, u64 val, bool pae32)
{
    u64 rsvd = (MASK64(52) & ~MASK64(r->phys_bits));
    if (pae32)
        rsvd |= 0x7ff0000000000000ull;
    if (!r->nxe)
        rsvd |= PTE_NX;
    if (level >= 3 || (level == 2 && !r->has_1g))
        rsvd |= PTE_PS;
    else if (level && (val & PTE_PS))
        rsvd |= level == 1 ? 0x1fe000ull : 0x3fffe000ull;
    return rsvd;
}

/* PAE, 4-level and 5-level paging (SDM 4.4, 4.5): 64-bit entries from `level` down. */
static int walk_64(const struct walk_regs *r, struct aspace *mem, gla_t addr, unsigned acc, bool probe, struct walk *w,
                   gpa_t table, int level, bool pae32)
{
    struct pte_ref e[5];
    u64 rights = PTE_U | PTE_W, nx = 0;
    int top = level;
    for (;; level--) {
        struct pte_ref *p = &e[level];
        pte_load(p, r, mem, table + (addr >> (12 + 9 * level) & 0x1ff) * 8, 8);
        u32 bits = !(p->val & PTE_P) ? 0 : p->val & reserved_bits(r, (unsigned)level, p->val, pae32) ? PF_P | PF_RSVD : ~0u;
        if (bits != ~0u)
            return walk_fail(w, r, acc, bits);
        rights &= p->val;
        nx |= p->val & PTE_NX;
        table = p->val & MASK64(52) & PAGE_MASK;
        if (level == 0 || (level < 3 && (p->val & PTE_PS)))
            break;
    }
    struct pte_ref *leaf = &e[level];
    w->page_bits = (u8)(12 + 9 * level);
    w->gpa = (leaf->val & MASK64(52) & ~MASK64(w->page_bits)) | (addr & MASK64(w->page_bits));
    w->user = rights & PTE_U;
    w->write = rights & PTE_W;
    w->nx = nx && r->nxe;
    w->global = r->pge && (leaf->val & PTE_G);
    w->pkey = leaf->val >> 59 & 15;
    int ret = rights_check(r, w, acc);
    bool mark = !ret && !probe;
    for (int i = level + 1; i <= top && mark; i++)
        if (!pte_set(&e[i], PTE_A))
            return AGAIN;
    if (mark && !pte_set(leaf, PTE_A | (acc & ACC_WRITE ? PTE_D : 0)))
        return AGAIN;
    w->dirty = (leaf->val & PTE_D) || (!probe && (acc & ACC_WRITE));
    return ret;
}

static int walk_once(const struct walk_regs *r, struct aspace *mem, gla_t addr, unsigned acc, bool probe, struct walk *w)
{
    gpa_t table = r->cr3 & MASK64(52) & PAGE_MASK;
    if (r->lma)
        return walk_64(r, mem, addr, acc, probe, w, table, r->la57 ? 4 : 3, false);
    if (!r->pae)
        return walk_32(r, mem, addr, acc, probe, w);
    u64 pdpte = r->pdpte[addr >> 30 & 3];
    if (!(pdpte & PTE_P))
        return walk_fail(w, r, acc, 0);
    return walk_64(r, mem, addr & 0xffffffff, acc, probe, w, pdpte & MASK64(52) & PAGE_MASK, 1, true);
}

int walk_page(const struct walk_regs *r, struct aspace *mem, gla_t addr, unsigned acc, bool probe, struct walk *out)
{
    int ret;
    *out = (struct walk){ 0 };
    if (!r->pg) {
        *out = (struct walk){ .gpa = addr & 0xffffffff, .page_bits = 12, .user = true, .write = true, .dirty = true };
        ret = 0;
    } else {
        do {
            ret = walk_once(r, mem, addr, acc, probe, out);
        } while (ret == AGAIN);
    }
    if (r->a20_mask)
        out->gpa &= ~(1ull << 20);
    return ret;
}
