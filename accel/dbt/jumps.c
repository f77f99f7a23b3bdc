/* The jump cache: from virtual PCs to code, without a look at page tables. vCPU threads; emitted code looks up first and calls dbt_lookup() when
 * it finds nothing.
 *
 * A key is pc + c->jc_live. jc_live is a hash of what else a block depends on, salted, so that no guest address can be chosen to match an entry of
 * another mode or generation (mmu/tlb.h): a flush changes the generation and nothing has to be cleared. CPL 3 has the generation of the present
 * PCID. The rest has that of global pages, so that it outlasts changes of CR3, until it has run code from another page.
 *
 * This file is compiled without vector instructions: the guest's registers are in the host's while dbt_lookup() runs. */
#include "accel/dbt/dbt.h"
#include "util/log.h"

static u64 mix(u64 x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

void jumps_rekey(struct vcpu *v)
{
    struct dbt_vcpu *d = v->engine;
    struct cpu *c = v->c;
    struct dbt *t = v->vm->engine;
    u64 generation = cpu_cpl(c) == 3 || d->kernel_local ? c->tlb.gen_now : c->tlb.gen_all;
    c->jc_live = mix(mix(generation ^ (u64)t->key_salt << 32) ^ c->mode ^ mix(dbt_cs_base(c)));
    cpu_jumps_open(c);
}

static u64 *used_word(struct dbt_vcpu *d, u64 linear, u64 *bit)
{
    u64 h = (linear >> PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 48;
    *bit = 1ull << (h & 63);
    return &d->used[h >> 6];
}

void jumps_flushed(struct vcpu *v)
{
    struct dbt_vcpu *d = v->engine;
    struct tlb *t = &v->c->tlb;
    u64 bit;
    if (t->flushed_page != TLB_WHOLE) {
        if (!(*used_word(d, t->flushed_page, &bit) & bit))
            return;
        tlb_renew(t);
    }
    if (t->flushed_global) {
        d->kernel_local = false;
        memset(d->used, 0, sizeof(d->used));
    }
    d->chain_from = 0;
    jumps_rekey(v);
}

static bool page_is_global(struct cpu *c, u64 linear)
{
    const struct tlb_exec *x = tlb_exec_hit(&c->tlb, cpu_cpl(c) == 3, linear);
    return x && x->global;
}

void jumps_insert(struct vcpu *v, struct tb *tb)
{
    struct dbt_vcpu *d = v->engine;
    struct cpu *c = v->c;
    u64 linear = dbt_linear_pc(c), bit;
    *used_word(d, linear, &bit) |= bit;
    *used_word(d, linear + tb->len - 1, &bit) |= bit;
    if (!d->kernel_local && cpu_cpl(c) != 3 && !(page_is_global(c, linear) && page_is_global(c, linear + tb->len - 1))) {
        d->kernel_local = true;
        jumps_rekey(v);
    }
    struct jump_entry *e = &c->jc[jc_index(c->rip)];
    u64 key = -(c->rip + c->jc_live);
    if (e[JC_ENTRIES].code == tb->code.entry)
        e += JC_ENTRIES; /* of an older generation */
    else if (e->key != key && e->code != tb->code.entry)
        e[JC_ENTRIES] = *e; /* the entry that was there goes to the second way */
    e->key = key;
    e->code = tb->code.entry;
}

struct tb *tb_find(struct dbt *d, const struct tb_key *k)
{
    struct tb *tb = __atomic_load_n(&d->hash[tb_hash(k)], __ATOMIC_ACQUIRE);
    for (; tb; tb = __atomic_load_n(&tb->hash_next, __ATOMIC_ACQUIRE))
        if (tb->phys == k->phys && (ir_mode_rel(k->mode) || tb->pc == k->pc) && tb->mode == k->mode && tb->cs_base == k->cs_base &&
            !__atomic_load_n(&tb->dead, __ATOMIC_ACQUIRE))
            return tb;
    return NULL;
}

bool jumps_allowed(const struct vcpu *v)
{
    return !v->vm->n_bp && !((const struct dbt_vcpu *)v->engine)->verify && !log_on(LOG_EXEC | LOG_CPU);
}

static const void *find_jump(struct cpu *c)
{
    struct vcpu *v = c->plat_opaque;
    struct dbt_vcpu *d = v->engine;
    u64 linear = dbt_linear_pc(c);
    if (__atomic_load_n(&c->exit_request, __ATOMIC_RELAXED) || !jumps_allowed(v) || (!cpu_is64(c) && c->rip > c->seg[S_CS].limit))
        return NULL;
    if (c->jc_key != c->jc_live)
        cpu_jumps_open(c); /* closed for a request that has been seen to meanwhile */
    const struct tlb_exec *x = tlb_exec_hit(&c->tlb, cpu_cpl(c) == 3, linear);
    if (!x || !x->ram)
        return NULL;
    struct tb_key k = dbt_key(c, x->gpa, linear);
    struct tb *tb = tb_find(v->vm->engine, &k);
    if (!tb || tb->crosses)
        return NULL;
    d->st.jumps_found++;
    jumps_insert(v, tb);
    return tb->code.entry;
}

const void *dbt_lookup(struct cpu *c)
{
    struct dbt_vcpu_stats *st = &((struct dbt_vcpu *)((struct vcpu *)c->plat_opaque)->engine)->st;
    if (LIKELY(st->jumps++ % STATS_EVERY))
        return find_jump(c);
    u64 t0 = __rdtsc();
    const void *entry = find_jump(c);
    st->jump_ticks += __rdtsc() - t0;
    return entry;
}
