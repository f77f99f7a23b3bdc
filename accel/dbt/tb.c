/* The set of translated blocks: hash by physical PC, lists by page, invalidation, flush. See tb.h for locks. */
#include "accel/dbt/tb.h"
#include <stdlib.h>
#include "accel/dbt/dbt.h"
#include "accel/dbt/perfmap.h"
#include "mmu/codepage.h"

#define HASH_SIZE (1u << TB_HASH_BITS)

static struct dbt *the_dbt; /* for tb_by_host_pc: host exceptions do not say which machine they belong to; set once */

struct code_page {
    struct tb *first; /* list: tb->page[].next */
    u64 grains;       /* of the blocks in the list, and perhaps of some that were in it */
    u64 *bytes;       /* a bit for each byte of the page that belongs to a block; NULL: the page was never written since */
};

static void page_free(void *opaque)
{
    struct code_page *p = opaque;
    g_free(p->bytes);
    g_free(p);
}

int tb_init(struct dbt *d, struct err *e)
{
    d->hash = calloc(HASH_SIZE, sizeof(*d->hash));
    d->pages = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, page_free);
    d->all = g_ptr_array_new();
    the_dbt = d;
    return backend_init(d->cache_size, e);
}

static void free_all(struct dbt *d)
{
    for (unsigned i = 0; i < d->all->len; i++) {
        free(g_ptr_array_index(d->all, i));
    }
    g_ptr_array_set_size(d->all, 0);
}

void tb_fini(struct dbt *d)
{
    if (!d->all)
        return;
    free_all(d);
    g_ptr_array_free(d->all, TRUE);
    g_hash_table_destroy(d->pages);
    free(d->hash);
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

static void bytes_add(struct code_page *p, const struct tb *tb, unsigned side)
{
    unsigned lo = tb->page[side].lo, hi = tb->page[side].hi;
    for (unsigned w = lo / 64; w <= (hi - 1) / 64; w++)
        p->bytes[w] |= bytes_word(w, lo, hi);
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
    tb->page[side].next = p->first;
    p->first = tb;
    p->grains |= tb_grains(tb, side);
    if (p->bytes)
        bytes_add(p, tb, side);
}

static unsigned page_side(const struct tb *tb, const void *key)
{
    return page_key(tb->page[0].ram, tb->page[0].off) == key ? 0 : 1;
}

static void page_list_remove(struct dbt *d, struct tb *tb, unsigned side)
{
    void *key = page_key(tb->page[side].ram, tb->page[side].off);
    struct code_page *p = g_hash_table_lookup(d->pages, key);
    struct tb **link = &p->first;
    while (*link != tb)
        link = &(*link)->page[page_side(*link, key)].next;
    *link = tb->page[side].next;
    if (!p->first)
        g_hash_table_remove(d->pages, key);
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
    g_ptr_array_add(d->all, tb);
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

/* Code lock. The descriptor stays until the next flush: jump caches may still lead to it. */
static void tb_kill(struct dbt *d, struct tb *tb)
{
    __atomic_store_n(&tb->dead, true, __ATOMIC_RELEASE);
    hash_remove(d, tb);
    for (unsigned i = 0; i < 2 && tb->page[i].ram; i++)
        page_list_remove(d, tb, i);
    backend_kill_block(&tb->code);
    unlink_in(tb);
    d->st.invalidated++;
}

/* Drops the blocks with one of these bytes, and learns which bytes and grains the others have. */
static void page_kill(struct dbt *d, struct ram_block *b, u64 off, unsigned lo, unsigned hi)
{
    void *key = page_key(b, off);
    struct code_page *p = page_of(d, b, off);
    u64 left = 0;
    if (!p->bytes)
        p->bytes = g_new(u64, PAGE_SIZE / 64);
    memset(p->bytes, 0, PAGE_SIZE / 8);
    for (struct tb *tb = p->first, *next; tb; tb = next) {
        unsigned s = page_side(tb, key);
        next = tb->page[s].next;
        if (tb->page[s].lo < hi && tb->page[s].hi > lo) {
            tb_kill(d, tb); /* the last one takes the page's record with it */
        } else {
            left |= tb_grains(tb, s);
            bytes_add(p, tb, s);
        }
    }
    if (left)
        p->grains = left;
    codepage_clear(b, off, ~left);
}

void tb_code_written(void *opaque, struct ram_block *b, u64 off, u64 len)
{
    struct dbt *d = opaque;
    unsigned lo = off & (PAGE_SIZE - 1), hi = lo + (unsigned)len;
    lock_acquire(&d->lock);
    struct code_page *p = page_of(d, b, off);
    if (!p)
        codepage_clear(b, off, ~0ull);
    else if (!p->bytes || bytes_hit(p, lo, hi))
        page_kill(d, b, off, lo, hi);
    lock_release(&d->lock);
}

struct tb *tb_by_host_pc(const void *pc)
{
    struct dbt *d = the_dbt;
    struct tb *best = NULL;
    bool cold = backend_is_cold(pc);
    lock_acquire(&d->lock);
    for (unsigned lo = 0, hi = d->all->len; lo < hi;) {
        unsigned mid = (lo + hi) / 2;
        struct tb *tb = g_ptr_array_index(d->all, mid);
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
    for (unsigned i = 0; i < d->all->len; i++) {
        struct tb *tb = g_ptr_array_index(d->all, i);
        for (unsigned s = 0; s < 2 && tb->page[s].ram; s++)
            codepage_clear(tb->page[s].ram, tb->page[s].off, ~0ull);
    }
}

void tb_flush_all(struct dbt *d)
{
    lock_acquire(&d->lock);
    clear_bits(d);
    memset(d->hash, 0, HASH_SIZE * sizeof(*d->hash));
    g_hash_table_remove_all(d->pages);
    free_all(d);
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
