/* The set of translated blocks: hash by physical PC, lists by page, invalidation, flush. See tb.h for locks. */
#include "accel/dbt/tb.h"
#include <stdlib.h>
#include "accel/dbt/dbt.h"
#include "accel/dbt/pcache.h"
#include "accel/dbt/perfmap.h"
#include "mmu/codepage.h"

#define HASH_SIZE (1u << TB_HASH_BITS)

static struct dbt *the_dbt; /* for tb_by_host_pc: host exceptions do not say which machine they belong to; set once */

struct code_page {
    struct place {
        struct tb *tb;
        u16 lo, hi;   /* bytes of the page that belong to it */
    } *at;
    unsigned n, cap;
    u64 grains;       /* of the blocks here, and perhaps of some that were */
    u64 *bytes;       /* a bit for each byte of the page that belongs to a block; NULL: the page was never written since */
    u64 *written, *again; /* with bytes: those by whose writes blocks were dropped while their other bytes stayed, and by a second such write */
};

static void page_free(void *opaque)
{
    struct code_page *p = opaque;
    g_free(p->bytes);
    g_free(p->written);
    g_free(p->again);
    g_free(p->at);
    g_free(p);
}

int tb_init(struct dbt *d, struct err *e)
{
    d->hash = calloc(HASH_SIZE, sizeof(*d->hash));
    d->pages = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, page_free);
    the_dbt = d;
    return backend_init(d->cache_size, e);
}

/* Takes what later runs can use: dead blocks, too, since a kernel's first steps are in memory that is used for something else later. */
static void keep_all(struct dbt *d)
{
    for (unsigned i = 0; d->pcache && pcache_is_open(d->pcache) && i < d->all.n; i++) {
        const struct tb *tb = tb_nth(&d->all, i);
        if (tb->keep)
            pcache_add(d->pcache, tb);
    }
}

static void save_all(struct dbt *d)
{
    struct tb **tb = g_new(struct tb *, d->all.n);
    for (unsigned i = 0; i < d->all.n; i++)
        tb[i] = tb_nth(&d->all, i);
    pcache_save(d->pcache, tb, d->all.n);
    g_free(tb);
}

void tb_fini(struct dbt *d)
{
    if (!d->hash)
        return;
    if (d->pcache)
        save_all(d);
    tb_store_fini(&d->all);
    g_hash_table_destroy(d->pages);
    free(d->hash);
    backend_watch = NULL;
    backend_fini();
}

static struct tb_key key_of(const struct tb *tb)
{
    return (struct tb_key){ ir_mode_rel(tb->mode) ? 0 : tb->pc, tb->cs_base, tb->mode, tb->phys };
}

/* --- pages --- */
/* The bits of bytes lo to hi - 1 in word w of a page's bytes. */
static u64 bytes_word(unsigned w, unsigned lo, unsigned hi)
{
    u64 from = lo > 64 * w ? lo - 64 * w : 0, to = MIN_OF(hi - 64 * w, 64u);
    return (~0ull >> (64 - (to - from))) << from;
}

static void bytes_set(u64 *bytes, unsigned lo, unsigned hi)
{
    for (unsigned w = lo / 64; lo < hi && w <= (hi - 1) / 64; w++)
        bytes[w] |= bytes_word(w, lo, hi);
}

static void bytes_clear(u64 *bytes, unsigned lo, unsigned hi)
{
    for (unsigned w = lo / 64; lo < hi && w <= (hi - 1) / 64; w++)
        bytes[w] &= ~bytes_word(w, lo, hi);
}

static void bytes_add(struct code_page *p, const struct place *at)
{
    unsigned lo = at->lo;
    for (unsigned i = 0; i < at->tb->n_holes; i++) {
        bytes_set(p->bytes, lo, at->tb->hole[i].lo);
        lo = at->tb->hole[i].hi;
    }
    bytes_set(p->bytes, lo, at->hi);
}

/* Whether a write of [lo, hi) changes what was translated. */
static bool place_met(const struct place *at, unsigned lo, unsigned hi)
{
    if (at->lo >= hi || at->hi <= lo)
        return false;
    for (unsigned i = 0; i < at->tb->n_holes; i++)
        if (at->tb->hole[i].lo <= lo && hi <= at->tb->hole[i].hi)
            return false;
    return true;
}

static bool bytes_hit(const struct code_page *p, unsigned lo, unsigned hi)
{
    for (unsigned w = lo / 64; w <= (hi - 1) / 64; w++)
        if (p->bytes[w] & bytes_word(w, lo, hi))
            return true;
    return false;
}

static void *page_key(const struct ram_block *b, u64 off) { return b->host + (off & PAGE_MASK); }

static struct code_page *page_of(const struct dbt *d, const struct ram_block *b, u64 off)
{
    return g_hash_table_lookup(d->pages, page_key(b, off));
}

static u64 tb_grains(const struct tb *tb, unsigned side)
{
    return codepage_grains(tb->page[side].lo, tb->page[side].hi - tb->page[side].lo);
}

u64 tb_page_grains(const struct dbt *d, const struct ram_block *b, u64 off)
{
    const struct code_page *p = page_of(d, b, off);
    return p ? p->grains : 0;
}

static void page_list_add(struct dbt *d, struct tb *tb, unsigned side)
{
    struct code_page *p = page_of(d, tb->page[side].ram, tb->page[side].off);
    if (!p) {
        p = g_new0(struct code_page, 1);
        g_hash_table_insert(d->pages, page_key(tb->page[side].ram, tb->page[side].off), p);
    }
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 4;
        p->at = g_renew(struct place, p->at, p->cap);
    }
    p->at[p->n++] = (struct place){ tb, tb->page[side].lo, tb->page[side].hi };
    p->grains |= tb_grains(tb, side);
    if (p->bytes)
        bytes_add(p, &p->at[p->n - 1]);
}

static void page_list_remove(struct dbt *d, struct tb *tb, unsigned side)
{
    struct code_page *p = page_of(d, tb->page[side].ram, tb->page[side].off);
    unsigned i = 0;
    while (p->at[i].tb != tb)
        i++;
    p->at[i] = p->at[--p->n];
}

void tb_publish(struct dbt *d, struct tb *tb)
{
    assert(lock_is_mine(&d->lock));
    for (unsigned i = 0; i < 2 && tb->page[i].ram; i++)
        page_list_add(d, tb, i);
    struct tb_key k = key_of(tb);
    struct tb **head = &d->hash[tb_hash(&k)];
    tb->hash_next = *head;
    __atomic_store_n(head, tb, __ATOMIC_RELEASE);
}

static void hash_remove(struct dbt *d, struct tb *tb)
{
    struct tb_key k = key_of(tb);
    struct tb **p = &d->hash[tb_hash(&k)];
    while (*p && *p != tb)
        p = &(*p)->hash_next;
    if (*p)
        __atomic_store_n(p, tb->hash_next, __ATOMIC_RELEASE);
}

/* Makes direct jumps to the block leave emitted code again. */
static void unlink_in(struct tb *tb)
{
    while (tb->in) {
        struct tb *from = (struct tb *)(tb->in & ~15ull);
        unsigned n = tb->in & 15;
        tb->in = from->in_next[n];
        from->out[n] = NULL;
        backend_link(&from->code, n, NULL);
    }
}

struct tb *tb_page_nth(const struct dbt *d, const struct tb *tb, unsigned n)
{
    const struct code_page *p = page_of(d, tb->page[0].ram, tb->page[0].off);
    return p && n < p->n ? p->at[n].tb : NULL;
}

/* Who is in a region goes on in it until it is asked for something. */
static void regions_leave(struct dbt *d)
{
    for (unsigned i = 0; i < d->vm->n_cpus; i++)
        cpu_request_exit(d->vm->cpu[i]->c, XREQ_INTR);
}

void tb_hide(struct dbt *d, struct tb *tb)
{
    tb->hidden = true;
    hash_remove(d, tb);
    backend_kill_block(&tb->code);
    unlink_in(tb);
}

/* Code lock. The descriptor stays until the next flush: jump caches may still lead to it. */
static void tb_kill(struct dbt *d, struct tb *tb)
{
    __atomic_store_n(&tb->dead, true, __ATOMIC_RELEASE);
    hash_remove(d, tb);
    for (unsigned i = 0; i < 2 && tb->page[i].ram; i++)
        page_list_remove(d, tb, i);
    backend_kill_block(&tb->code);
    unlink_in(tb);
    if (tb->region)
        regions_leave(d);
    d->st.invalidated++;
}

void tb_drop(struct dbt *d, struct tb *tb) { tb_kill(d, tb); }

/* The page's first write: which bytes belong to blocks. */
static void bytes_learn(struct code_page *p)
{
    if (p->bytes)
        return;
    p->bytes = g_new0(u64, PAGE_SIZE / 64);
    p->written = g_new0(u64, PAGE_SIZE / 64);
    p->again = g_new0(u64, PAGE_SIZE / 64);
    for (unsigned i = 0; i < p->n; i++)
        bytes_add(p, &p->at[i]);
}

/* Blocks are gone whose bytes lie in [lo, hi): which of these still belong to others, and which grains. */
static void bytes_relearn(struct code_page *p, unsigned lo, unsigned hi)
{
    bytes_clear(p->bytes, lo, hi);
    for (unsigned i = 0; i < p->n; i++)
        if (p->at[i].lo < hi && p->at[i].hi > lo)
            bytes_add(p, &p->at[i]);
    p->grains = 0;
    for (unsigned w = 0; w < PAGE_SIZE / 64; w++)
        p->grains |= (u64)(p->bytes[w] != 0) << w;
}

#define OPERAND_MAX 8u
/* A write of [lo, hi) drops blocks with bytes in [from, to). Other code in their place begins with another operation; what is patched keeps it. */
static void history_note(struct code_page *p, unsigned lo, unsigned hi, unsigned from, unsigned to)
{
    u64 *const h[] = { p->written, p->again };
    for (unsigned i = 0; i < 2; i++) {
        bytes_clear(h[i], from, lo);
        bytes_clear(h[i], hi, to);
    }
    if (hi - lo > OPERAND_MAX)
        return;
    for (unsigned w = lo / 64; w <= (hi - 1) / 64; w++) {
        u64 bits = bytes_word(w, lo, hi);
        p->again[w] |= p->written[w] & bits;
        p->written[w] |= bits;
    }
}

const u64 *tb_soft_bytes(const struct dbt *d, const struct ram_block *b, u64 off, u64 len)
{
    const struct code_page *p = page_of(d, b, off);
    unsigned lo = off & (PAGE_SIZE - 1), hi = (unsigned)MIN_OF(lo + len, PAGE_SIZE);
    if (!p || !p->again)
        return NULL;
    for (unsigned w = lo / 64; w <= (hi - 1) / 64; w++)
        if (p->again[w] & bytes_word(w, lo, hi))
            return p->again;
    return NULL;
}

/* Drops the blocks with one of these bytes. */
static void page_kill(struct dbt *d, struct ram_block *b, u64 off, struct code_page *p, unsigned lo, unsigned hi)
{
    unsigned from = lo, to = hi;
    for (unsigned i = p->n; i-- > 0;) {
        struct place at = p->at[i];
        if (!place_met(&at, lo, hi))
            continue;
        from = MIN_OF(from, at.lo);
        to = MAX_OF(to, at.hi);
        tb_kill(d, at.tb); /* puts the last one in its place */
    }
    history_note(p, lo, hi, from, to);
    bytes_relearn(p, from, to);
    codepage_clear(b, off, ~p->grains);
}

/* The page's record if [lo, hi) meets blocks. */
static struct code_page *page_met(const struct dbt *d, struct ram_block *b, u64 off, unsigned lo, unsigned hi)
{
    struct code_page *p = page_of(d, b, off);
    if (!p || !p->n) {
        codepage_clear(b, off, ~0ull);
        return NULL;
    }
    bytes_learn(p);
    return bytes_hit(p, lo, hi) ? p : NULL;
}

void tb_drop_nth(struct dbt *d, unsigned n)
{
    lock_acquire(&d->lock);
    struct tb *tb = d->all.n ? tb_nth(&d->all, n % d->all.n) : NULL;
    if (tb && !tb->dead)
        tb_kill(d, tb); /* its bytes stay watched until somebody writes to them */
    lock_release(&d->lock);
}

void tb_code_written(void *opaque, struct ram_block *b, u64 off, u64 len)
{
    struct dbt *d = opaque;
    unsigned lo = off & (PAGE_SIZE - 1), hi = lo + (unsigned)len;
    lock_acquire(&d->lock);
    struct code_page *p = page_met(d, b, off, lo, hi);
    if (p)
        page_kill(d, b, off, p, lo, hi);
    lock_release(&d->lock);
}

static bool tb_holds(const struct tb *tb, const u8 *code)
{
    for (unsigned i = 0; i < 2 && tb->page[i].ram; i++) {
        const u8 *page = page_key(tb->page[i].ram, tb->page[i].off);
        if (code >= page + tb->page[i].lo && code < page + tb->page[i].hi)
            return true;
    }
    return false;
}

bool tb_code_clear(void *opaque, struct ram_block *b, u64 off, u64 len, const u8 *running)
{
    struct dbt *d = opaque;
    unsigned lo = off & (PAGE_SIZE - 1), hi = lo + (unsigned)len;
    bool own = false;
    lock_acquire(&d->lock);
    struct code_page *p = page_met(d, b, off, lo, hi);
    for (unsigned i = 0; p && i < p->n; i++)
        own |= place_met(&p->at[i], lo, hi) && tb_holds(p->at[i].tb, running);
    if (p && !own)
        page_kill(d, b, off, p, lo, hi);
    ++*tb_clears(d, b, off);
    lock_release(&d->lock);
    return !own;
}

struct tb *tb_by_host_pc(const void *pc)
{
    struct dbt *d = the_dbt;
    struct tb *best = NULL;
    bool cold = backend_is_cold(pc);
    lock_acquire(&d->lock);
    for (unsigned lo = 0, hi = d->all.n; lo < hi;) {
        unsigned mid = (lo + hi) / 2;
        struct tb *tb = tb_nth(&d->all, mid);
        if ((cold ? tb->code.cold : tb->code.body) <= (const u8 *)pc) {
            best = tb;
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    lock_release(&d->lock);
    if (!best || (const u8 *)pc >= (cold ? best->code.cold + best->code.cold_size : best->code.body + best->code.size))
        return NULL;
    return best;
}

void tb_link(struct dbt *d, struct tb *from, unsigned n, struct tb *to, u64 flushes)
{
    lock_acquire(&d->lock);
    if (d->st.flushes == flushes && !from->dead && !to->dead && !from->crosses && !to->crosses && n < from->code.n_exits && !from->out[n] &&
        (ir_mode_rel(from->mode) || (from->pc & PAGE_MASK) == (to->pc & PAGE_MASK)) && (from->phys & PAGE_MASK) == (to->phys & PAGE_MASK) &&
        from->mode == to->mode && from->cs_base == to->cs_base) {
        from->out[n] = to;
        from->in_next[n] = to->in;
        to->in = (u64)from | n;
        backend_link(&from->code, n, &to->code);
        d->st.chained++;
    }
    lock_release(&d->lock);
}

static void clear_bits(struct dbt *d)
{
    for (unsigned i = 0; i < d->all.n; i++) {
        struct tb *tb = tb_nth(&d->all, i);
        for (unsigned s = 0; s < 2 && tb->page[s].ram; s++)
            codepage_clear(tb->page[s].ram, tb->page[s].off, ~0ull);
    }
}

void tb_flush_all(struct dbt *d)
{
    lock_acquire(&d->lock);
    if (!d->st.flushes) /* later ones are of guests that make code all the time */
        keep_all(d);
    clear_bits(d);
    memset(d->hash, 0, HASH_SIZE * sizeof(*d->hash));
    g_hash_table_remove_all(d->pages);
    tb_store_clear(&d->all);
    backend_flush();
    perfmap_flush();
    for (unsigned i = 0; i < d->vm->n_cpus; i++) {
        struct dbt_vcpu *dv = d->vm->cpu[i]->engine;
        if (!dv)
            continue;
        memset(d->vm->cpu[i]->c->jc, 0, sizeof(d->vm->cpu[i]->c->jc));
        dv->chain_from = 0;
    }
    d->st.flushes++;
    lock_release(&d->lock);
}
