/* Fuzz target: page walks over any tables in any paging mode, against a model that is written from the manual in another form: result, error code,
 * rights, and which entries get their A and D bits. Source: SDM vol. 3A 4.3 to 4.8 (tables 4-1 to 4-20). */
#include "tests/fuzz/fuzz.h"
#include <glib.h>
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "mmu/walk.h"
#include "util/err.h"

enum { RAM_SIZE = 16 * 4096 };
enum { E_P = 1, E_W = 2, E_U = 4, E_RSVD = 8, E_I = 16, E_PK = 32 };

static struct ram_block *ram;
static struct region root, ram_region;
static struct aspace *as;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e;
    ram = ram_new("ram", RAM_SIZE, &e);
    g_assert_nonnull(ram);
    region_init_container(&root, "memory", BIT64(52));
    region_init_ram(&ram_region, "ram", ram, 0, RAM_SIZE);
    region_add(&root, 0, &ram_region, 0);
    as = aspace_new("memory", &root);
    return 0;
}

/* --- the model --- */
struct model {
    bool ok;
    u32 error;
    u64 gpa;
    unsigned page_bits, n, key;
    u64 used[5]; /* addresses of the entries that get A; the last one is the leaf */
    bool user, write, nx, global, dirty;
};

/* What a table level looks like. */
struct level {
    unsigned shift, index_bits, entry_size;
    bool may_be_large; /* PS means a page here */
    u64 reserved, reserved_large;
};

static u64 read_entry(u64 at, unsigned size)
{
    if (at > RAM_SIZE - size)
        return MASK64(8 * size); /* nobody answers */
    return size == 8 ? ld64(ram->host + at) : ld32(ram->host + at);
}

/* Bits from..to inclusive. */
static u64 bits(unsigned from, unsigned to) { return to < from ? 0 : MASK64(to + 1) & ~MASK64(from); }

static unsigned levels_64(const struct walk_regs *r, struct level *l)
{
    bool pae = !r->lma;
    u64 common = bits(r->phys_bits, 51) | (pae ? bits(52, 62) : 0) | (r->nxe ? 0 : BIT64(63));
    unsigned n = 0;
    if (r->lma && r->la57)
        l[n++] = (struct level){ 48, 9, 8, false, common | BIT64(7), 0 };
    if (r->lma) {
        l[n++] = (struct level){ 39, 9, 8, false, common | BIT64(7), 0 };
        l[n++] = (struct level){ 30, 9, 8, r->has_1g, common | (r->has_1g ? 0 : BIT64(7)), common | bits(13, 29) };
    }
    l[n++] = (struct level){ 21, 9, 8, true, common, common | bits(13, 20) };
    l[n++] = (struct level){ 12, 9, 8, false, common, 0 };
    return n;
}

static unsigned levels_32(const struct walk_regs *r, struct level *l)
{
    unsigned m = MIN_OF(r->phys_bits, 40);
    l[0] = (struct level){ 22, 10, 4, r->pse, 0, BIT64(21) | bits(m - 19, 20) };
    l[1] = (struct level){ 12, 10, 4, false, 0, 0 };
    return 2;
}

static void fault(struct model *m, u32 bits_) { m->error |= bits_; }

/* The address of the page or table that an entry names. */
static u64 frame(const struct walk_regs *r, u64 e, const struct level *l, bool page)
{
    if (l->entry_size == 8)
        return e & bits(page ? l->shift : 12, 51);
    return page && l->shift == 22 ? (e & bits(22, 31)) | (e & bits(13, 20)) << 19 : e & bits(12, 31);
}

static void model_rights(struct model *m, const struct walk_regs *r, unsigned acc)
{
    bool user = acc & ACC_USER, write = acc & ACC_WRITE, fetch = acc & ACC_EXEC, bad = false;
    if (user && !m->user)
        bad = true;
    if (write && !m->write && (user || r->wp))
        bad = true;
    if (fetch && m->nx)
        bad = true;
    if (fetch && !user && m->user && r->smep)
        bad = true;
    if (!fetch && !user && m->user && r->smap && !(r->ac && !(acc & ACC_IMPLICIT)))
        bad = true;
    if (r->lma && r->pke && m->user && !fetch) {
        bool ad = r->pkru >> 2 * m->key & 1, wd = r->pkru >> (2 * m->key + 1) & 1;
        if (ad || (wd && write && (user || r->wp))) {
            fault(m, E_PK);
            bad = true;
        }
    }
    m->ok = !bad;
    if (bad)
        fault(m, E_P);
}

static void model_walk(struct model *m, const struct walk_regs *r, u64 la, unsigned acc)
{
    struct level l[5];
    unsigned n = r->pae || r->lma ? levels_64(r, l) : levels_32(r, l);
    u64 table = r->lma ? r->cr3 & bits(12, 51) : r->cr3 & bits(12, 31), e = 0;
    *m = (struct model){ .user = true, .write = true };
    m->error = (acc & ACC_WRITE ? E_W : 0) | (acc & ACC_USER ? E_U : 0);
    if (acc & ACC_EXEC && ((r->pae && r->nxe) || r->smep))
        m->error |= E_I;
    if (!r->lma)
        la &= bits(0, 31);
    if (r->pae && !r->lma) {
        u64 pdpte = r->pdpte[la >> 30];
        if (!(pdpte & 1))
            return;
        table = pdpte & bits(12, 51);
    }
    for (unsigned i = 0;; i++) {
        u64 at = table + (la >> l[i].shift & MASK64(l[i].index_bits)) * l[i].entry_size;
        e = read_entry(at, l[i].entry_size);
        bool large = l[i].may_be_large && e & BIT64(7), leaf = large || i == n - 1;
        if (!(e & 1))
            return;
        if (e & (large ? l[i].reserved_large : l[i].reserved)) {
            fault(m, E_P | E_RSVD);
            return;
        }
        m->used[m->n++] = at;
        m->write &= e >> 1 & 1;
        m->user &= e >> 2 & 1;
        m->nx |= l[i].entry_size == 8 && r->nxe && e >> 63;
        if (leaf) {
            m->page_bits = l[i].shift;
            m->gpa = frame(r, e, &l[i], true) | (la & MASK64(l[i].shift));
            break;
        }
        table = frame(r, e, &l[i], false);
    }
    m->global = r->pge && e & BIT64(8);
    m->key = r->lma ? e >> 59 & 15 : 0;
    model_rights(m, r, acc);
    m->dirty = e & BIT64(6);
}

/* Marks what the walk used. */
static void model_mark(struct model *m, unsigned acc)
{
    for (unsigned i = 0; i < m->n; i++)
        if (m->used[i] < RAM_SIZE)
            ram->host[m->used[i]] |= 0x20 | (i == m->n - 1 && acc & ACC_WRITE ? 0x40 : 0);
}

/* --- one input --- */
static void take_regs(struct fuzz_in *in, struct walk_regs *r, u64 *pdpte)
{
    static const u8 phys[] = { 32, 36, 40, 46, 52, 39, 48, 45 };
    u32 f = (u32)fuzz_take(in, 4);
    *r = (struct walk_regs){ .pg = true, .pae = f & 3, .lma = f & 2, .la57 = (f & 3) == 3, .pse = f & 4, .pge = f & 8, .wp = f & 16,
                             .nxe = f & 32, .smep = f & 64, .smap = f & 128, .pke = f & 256, .ac = f & 512, .has_1g = f & 1024,
                             .phys_bits = phys[f >> 11 & 7], .pdpte = pdpte };
    r->pkru = (u32)fuzz_take(in, 4);
    r->cr3 = (f >> 16 & 15) << 12 | (f >> 20 & 0xfff);
}

/* Entries on the way of the address: a value, and whether it is made to point to a page of tables. */
static void take_tables(struct fuzz_in *in, const struct walk_regs *r, u64 la, u64 *pdpte)
{
    unsigned size = r->pae || r->lma ? 8 : 4, index = size == 8 ? 9 : 10;
    while (in->p < in->end) {
        u8 where = (u8)fuzz_take(in, 1), how = (u8)fuzz_take(in, 1);
        u64 v = fuzz_take(in, size), page = where & 15, level = (where >> 4 & 7) % 6;
        if (how & 1)
            v = (v & ~bits(12, size == 8 ? 51 : 31)) | (u64)(how >> 4) << 12 | (how & 2 ? 7 : 0);
        if (level == 5) {
            pdpte[page & 3] = v & 0xfffffffffffff01f;
            continue;
        }
        u64 at = (page << 12) + (la >> (12 + level * index) & MASK64(index)) * size;
        memcpy(ram->host + at, &v, size);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct fuzz_in in = { data, data + size };
    static u8 want[RAM_SIZE];
    u64 pdpte[4] = { 0 };
    struct walk_regs r;
    struct model m;
    struct walk w;
    memset(ram->host, 0, RAM_SIZE);
    take_regs(&in, &r, pdpte);
    u64 la = fuzz_take(&in, 8);
    unsigned a = (unsigned)fuzz_take(&in, 1), acc = a % 3 == 0 ? ACC_READ : a % 3 == 1 ? ACC_WRITE : ACC_EXEC;
    acc |= a & 8 ? ACC_USER : a & 16 && acc != ACC_EXEC ? ACC_IMPLICIT : 0;
    bool probe = a & 32;
    take_tables(&in, &r, la, pdpte);
    model_walk(&m, &r, la, acc);
    memcpy(want, ram->host, RAM_SIZE);
    int ret = walk_page(&r, as, la, acc, probe, &w);
    if (m.ok && !probe) {
        u8 *now = g_memdup2(ram->host, RAM_SIZE);
        memcpy(ram->host, want, RAM_SIZE);
        model_mark(&m, acc);
        g_assert_cmpmem(now, RAM_SIZE, ram->host, RAM_SIZE);
        g_free(now);
    } else {
        g_assert_cmpmem(ram->host, RAM_SIZE, want, RAM_SIZE);
    }
    g_assert_cmpint(ret, ==, m.ok ? 0 : -1);
    if (!m.ok) {
        g_assert_cmphex(w.error, ==, m.error);
        return 0;
    }
    g_assert_cmphex(w.gpa, ==, m.gpa);
    g_assert_cmpuint(w.page_bits, ==, m.page_bits);
    g_assert_true(w.user == m.user && w.write == m.write && w.nx == m.nx && w.global == m.global);
    g_assert_true(w.dirty == (m.dirty || (!probe && acc & ACC_WRITE)));
    g_assert_cmpuint(w.pkey, ==, m.key);
    return 0;
}
