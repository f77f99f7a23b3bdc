/* Slow paths of guest memory access: fill, page crossing, devices, code pages. On the vCPU's thread, which is online (aspace.h). */
#include "mmu/access.h"
#include "mmu/aspace.h"
#include "mmu/codepage.h"
#include "mmu/dirty.h"

/* One translated piece of an access that lies within a page. */
struct piece {
    gpa_t gpa;
    u8 *host;                /* RAM or ROM that may be read directly; NULL: device */
    const struct frange *f;
    bool direct;             /* may be accessed through host for this acc, now and by emitted code */
    bool beside;             /* not direct only because the page holds translated code */
    bool lapic;
    bool global;
};

static bool canonical(const struct walk_regs *r, gla_t a)
{
    if (!r->lma)
        return true;
    unsigned high = r->la57 ? 7 : 16;
    return (u64)((i64)(a << high) >> high) == a;
}

static enum tlb_mode table_of(const struct walk_regs *r, unsigned acc)
{
    if (acc & ACC_USER)
        return TLB_USER;
    return r->smap && (!r->ac || (acc & ACC_IMPLICIT)) ? TLB_KERNEL_SMAP : TLB_KERNEL;
}

/* A store to a page with code, which was stored to since the last flush: its translation without a walk. */
static bool code_page_hit(struct mem_ctx *m, gla_t addr, unsigned acc, struct piece *p)
{
    const struct tlb_table *t = &m->tlb->t[table_of(&m->tlb->regs, acc)];
    unsigned i = tlb_index(t->index_mask, addr);
    u8 *host = tlb_hit_at(t, i, addr, 1, false);
    if (!host || !(t->gpa[i] & TLB_GPA_STORES))
        return false;
    *p = (struct piece){ .gpa = (t->gpa[i] & PAGE_MASK) | (addr & (PAGE_SIZE - 1)), .host = host, .global = t->gpa[i] & TLB_GPA_GLOBAL, .beside = true };
    p->f = aspace_find(m->mem, p->gpa);
    return codepage_test(p->f->ram, p->f->ram_off + (p->gpa - p->f->start));
}

/* Translates one piece, entering it into the TLB if emitted code may use it. 0, or -1 with flt filled. */
static int translate(struct mem_ctx *m, gla_t addr, unsigned acc, struct piece *p, struct mem_fault *flt)
{
    struct walk_regs *r = &m->tlb->regs;
    struct walk w;
    if (acc & ACC_WRITE && code_page_hit(m, addr, acc, p))
        return 0;
    if (!canonical(r, addr)) {
        *flt = (struct mem_fault){ .kind = MF_NONCANON, .addr = addr };
        return -1;
    }
    if (!r->lma)
        addr &= 0xffffffff;
    if (walk_page(r, m->mem, addr, acc, false, &w)) {
        *flt = (struct mem_fault){ .kind = MF_PAGE, .error = w.error, .addr = addr };
        return -1;
    }
    p->gpa = w.gpa;
    p->global = w.global;
    p->lapic = m->hooks && m->hooks->is_lapic && m->hooks->is_lapic(m->hooks->opaque, w.gpa & PAGE_MASK);
    p->f = aspace_find(m->mem, w.gpa);
    p->host = !p->lapic && p->f && p->f->host ? p->f->host + (w.gpa - p->f->start) : NULL;
    p->direct = p->beside = false;
    gpa_t page = w.gpa & PAGE_MASK;
    bool whole = p->host && p->f->start <= page && page + PAGE_SIZE <= p->f->end;
    bool watched = m->hooks && m->hooks->is_watched && m->hooks->is_watched(m->hooks->opaque, addr & PAGE_MASK);
    if (!whole || watched || (acc & ACC_EXEC))
        return 0;
    bool wants = acc & ACC_WRITE;
    u64 ram_page = p->f->ram_off + (page - p->f->start);
    p->beside = wants && !p->f->readonly;
    bool writable = p->beside && !codepage_test(p->f->ram, ram_page);
    enum tlb_mode t = table_of(r, acc);
    tlb_fill(m->tlb, t, addr & PAGE_MASK, &w, p->host - (w.gpa - page), writable ? TLB_STORES : p->beside ? TLB_SLOW_STORES : TLB_NO_STORES);
    if (writable)
        ram_tagged(p->f->ram, ram_page);
    if (writable && codepage_test(p->f->ram, ram_page)) { /* a translator came between: see codepage.h */
        tlb_revoke_write(m->tlb, page);
        writable = false;
    }
    if (writable)
        dirty_mark(p->f->ram, ram_page, PAGE_SIZE); /* after the tag: whoever collects before this finds the mark next time */
    p->direct = !wants || writable;
    return 0;
}

/* --- trial execution --- */
static void journal_add(struct mem_journal *j, u8 *host, unsigned size)
{
    if (j->n == MEM_JOURNAL_MAX || size > sizeof(j->e[0].old))
        j->device(j->opaque);
    j->e[j->n].host = host;
    j->e[j->n].size = size;
    memcpy(j->e[j->n++].old, host, size);
}

void mem_journal_undo(struct mem_journal *j)
{
    for (unsigned i = j->n; i-- > 0;)
        memcpy(j->e[i].new, j->e[i].host, j->e[i].size);
    for (unsigned i = j->n; i-- > 0;)
        memcpy(j->e[i].host, j->e[i].old, j->e[i].size);
}

bool mem_journal_last(const struct mem_journal *j, unsigned i)
{
    for (unsigned k = i + 1; k < j->n; k++)
        if (j->e[k].host < j->e[i].host + j->e[i].size && j->e[k].host + j->e[k].size > j->e[i].host)
            return false;
    return true;
}

static u64 ram_offset(const struct piece *p) { return p->f->ram_off + (p->gpa - p->f->start); }

/* Whether a store to a page with code meets none of it. The order pairs with the translator's, which sets the grains and then looks at
 * `beside`: either it learns of this store, or this finds the grains. */
static bool store_beside(struct mem_ctx *m, const struct piece *p, unsigned size)
{
    u64 off = ram_offset(p);
    __atomic_fetch_or(&m->beside, mem_beside_bit(p->host), __ATOMIC_SEQ_CST);
    if (codepage_get(p->f->ram, off) & codepage_grains(off, size))
        return false;
    dirty_mark(p->f->ram, off, size);
    return true;
}

/* Translates all of the access. PROBE_RAM: it lies within one page, at p, which says the rest. */
static enum probe_result probe(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, struct piece *p, struct mem_fault *f)
{
    struct piece q;
    unsigned room = (unsigned)(PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
    if (translate(m, addr, acc, p, f))
        return PROBE_FAULT;
    if (size > room)
        return translate(m, addr + room, acc, &q, f) ? PROBE_FAULT : PROBE_SLOW;
    return PROBE_RAM;
}

enum probe_result mem_probe(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, void **host, struct mem_fault *f)
{
    struct piece p;
    f->slow = SLOW_CROSSES;
    enum probe_result ret = probe(m, addr, size, acc, &p, f);
    if (ret != PROBE_RAM)
        return ret;
    if (!p.direct && !(p.beside && store_beside(m, &p, size))) {
        f->slow = p.beside ? SLOW_CODE : p.host && !p.f->readonly ? SLOW_WATCHED : SLOW_DEVICE;
        return PROBE_SLOW;
    }
    if (UNLIKELY(m->journal) && acc & ACC_WRITE)
        journal_add(m->journal, p.host, size);
    *host = p.host;
    return PROBE_RAM;
}

bool mem_probe_clear(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, const u8 *running, void **host)
{
    struct piece p;
    struct mem_fault f;
    if (!running || m->journal || probe(m, addr, size, acc, &p, &f) != PROBE_RAM)
        return false;
    if (!p.direct && !(p.beside && (store_beside(m, &p, size) || codepage_make_way(p.f->ram, ram_offset(&p), size, running))))
        return false;
    dirty_mark(p.f->ram, ram_offset(&p), size);
    *host = p.host;
    return true;
}

bool mem_probe_across(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, u8 *buf)
{
    struct piece p, q;
    struct mem_fault f;
    unsigned first = (unsigned)(PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
    if (size <= first || translate(m, addr, acc, &p, &f) || translate(m, addr + first, acc, &q, &f) || !p.direct || !q.direct)
        return false;
    memcpy(buf, p.host, first);
    memcpy(buf + first, q.host, size - first);
    return true;
}

enum probe_result mem_probe_page(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, struct mem_page *page, struct mem_fault *f)
{
    struct piece p;
    enum probe_result ret = probe(m, addr, size, acc, &p, f);
    if (ret != PROBE_RAM)
        return ret;
    if (UNLIKELY(m->journal) || !(p.direct || p.beside))
        return PROBE_SLOW;
    *page = (struct mem_page){ p.host, p.direct ? NULL : p.f->ram, ram_offset(&p) };
    return PROBE_RAM;
}

static u64 device_read(struct mem_ctx *m, const struct piece *p, gpa_t gpa, unsigned size)
{
    if (UNLIKELY(m->journal))
        m->journal->device(m->journal->opaque);
    if (p->lapic)
        return m->hooks->lapic_read(m->hooks->opaque, gpa & (PAGE_SIZE - 1), size);
    return aspace_read_uint(m->mem, gpa, size);
}

static void device_write(struct mem_ctx *m, const struct piece *p, gpa_t gpa, u64 v, unsigned size)
{
    if (UNLIKELY(m->journal))
        m->journal->device(m->journal->opaque);
    if (p->lapic)
        m->hooks->lapic_write(m->hooks->opaque, gpa & (PAGE_SIZE - 1), v, size);
    else
        aspace_write_uint(m->mem, gpa, v, size);
}

/* The largest unit (8, 4, 2, 1) that an access of n bytes to a device is made in. */
static unsigned unit(unsigned n) { return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1; }

static void piece_read(struct mem_ctx *m, const struct piece *p, u8 *buf, unsigned n)
{
    if (p->host) {
        switch (n) {
        case 1: *buf = *p->host; break;
        case 2: st16(buf, ld16(p->host)); break;
        case 4: st32(buf, ld32(p->host)); break;
        case 8: st64(buf, ld64(p->host)); break;
        default: memcpy(buf, p->host, n);
        }
        return;
    }
    for (unsigned i = 0, u; i < n; i += u) {
        u = unit(n - i);
        u64 v = device_read(m, p, p->gpa + i, u);
        memcpy(buf + i, &v, u);
    }
}

static void piece_write(struct mem_ctx *m, const struct piece *p, const u8 *buf, unsigned n)
{
    if (p->host && !p->f->readonly) {
        if (UNLIKELY(m->journal)) {
            if (codepage_test(p->f->ram, ram_offset(p)))
                m->journal->device(m->journal->opaque); /* would drop translations */
            journal_add(m->journal, p->host, n);
        }
        switch (n) {
        case 1: *p->host = *buf; break;
        case 2: st16(p->host, ld16(buf)); break;
        case 4: st32(p->host, ld32(buf)); break;
        case 8: st64(p->host, ld64(buf)); break;
        default: memcpy(p->host, buf, n);
        }
        ram_written(p->f->ram, ram_offset(p), n);
        return;
    }
    for (unsigned i = 0, u; i < n; i += u) {
        u64 v = 0;
        u = unit(n - i);
        memcpy(&v, buf + i, u);
        device_write(m, p, p->gpa + i, v, u);
    }
}

/* Translates the up to two pages of an access. Returns the bytes in the first, 0 on a fault. */
static unsigned split(struct mem_ctx *m, gla_t addr, unsigned size, unsigned acc, struct piece p[2], struct mem_fault *f)
{
    unsigned room = (unsigned)(PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
    unsigned first = MIN_OF(size, room);
    if (translate(m, addr, acc, &p[0], f))
        return 0;
    if (size > first && translate(m, addr + first, acc, &p[1], f))
        return 0;
    return first;
}

static void tell_watcher(struct mem_ctx *m, gla_t addr, unsigned size, bool write)
{
    const struct vcpu_mem_hooks *h = m->hooks;
    if (h && h->is_watched &&
        (h->is_watched(h->opaque, addr & PAGE_MASK) || h->is_watched(h->opaque, (addr + size - 1) & PAGE_MASK)))
        h->watched_access(h->opaque, addr, size, write);
}

int mem_read(struct mem_ctx *m, gla_t addr, void *buf, unsigned size, unsigned acc, struct mem_fault *f)
{
    struct piece p[2];
    unsigned first = split(m, addr, size, acc, p, f);
    if (!first)
        return -1;
    tell_watcher(m, addr, size, false);
    piece_read(m, &p[0], buf, first);
    if (size > first)
        piece_read(m, &p[1], (u8 *)buf + first, size - first);
    return 0;
}

int mem_write(struct mem_ctx *m, gla_t addr, const void *buf, unsigned size, unsigned acc, struct mem_fault *f)
{
    struct piece p[2];
    unsigned first = split(m, addr, size, acc | ACC_WRITE, p, f);
    if (!first)
        return -1;
    tell_watcher(m, addr, size, true);
    piece_write(m, &p[0], buf, first);
    if (size > first)
        piece_write(m, &p[1], (const u8 *)buf + first, size - first);
    return 0;
}

int mem_exec_page(struct mem_ctx *m, gla_t addr, unsigned acc, struct tlb_exec **out, struct mem_fault *f)
{
    struct tlb_exec *x = tlb_exec_hit(m->tlb, acc & ACC_USER, addr);
    struct piece p;
    *out = x;
    if (x)
        return 0;
    if (translate(m, addr, (acc & ~(unsigned)(ACC_READ | ACC_WRITE)) | ACC_EXEC, &p, f))
        return -1;
    gpa_t page = p.gpa & PAGE_MASK;
    bool whole = p.host && p.f->start <= page && page + PAGE_SIZE <= p.f->end;
    *out = x = &m->tlb->exec[!!(acc & ACC_USER)][addr >> PAGE_BITS & (TLB_EXEC_ENTRIES - 1)];
    *x = (struct tlb_exec){ .page = (addr & PAGE_MASK) | 1, .generation = p.global ? m->tlb->gen_all : m->tlb->gen_now, .gpa = page,
                            .global = p.global };
    if (whole) {
        x->host = p.host - (p.gpa - page);
        x->ram = p.f->ram;
        x->ram_off = p.f->ram_off + (page - p.f->start);
    }
    return 0;
}

int mem_fetch(struct mem_ctx *m, gla_t addr, u8 *buf, unsigned n, unsigned acc, gpa_t *gpa, struct mem_fault *f)
{
    struct tlb_exec *x;
    if (mem_exec_page(m, addr, acc, &x, f))
        return -1;
    unsigned off = addr & (PAGE_SIZE - 1);
    n = MIN_OF(n, (unsigned)PAGE_SIZE - off);
    *gpa = x->gpa + off;
    if (x->host) {
        memcpy(buf, x->host + off, n);
    } else {
        for (unsigned i = 0; i < n; i++)
            buf[i] = (u8)aspace_read_uint(m->mem, *gpa + i, 1);
    }
    return (int)n;
}
