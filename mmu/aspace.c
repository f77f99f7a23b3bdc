/* Flat views: rendering a region tree, publishing it, looking addresses up, dispatching I/O. Views are published under the
 * machine lock and read by any thread without one; old views are freed once every online thread has passed a quiescent point. */
#include "mmu/aspace.h"
#include <glib.h>
#include <stdlib.h>
#include "mmu/aspace_priv.h"
#include "mmu/ram.h"
#include "util/lock.h"

struct view {
    unsigned n;
    struct view *next; /* retired list */
    u64 epoch;         /* when it was retired */
    const struct frange *large[2]; /* the two pieces with host memory that are longest: nearly always one of them is asked for; never NULL */
    struct frange r[];
};

#define LISTENERS_MAX 4
struct aspace {
    struct aspace_head head;
    const char *name;
    struct region *root;
    struct view *view; /* [atomic] */
    struct {
        void (*changed)(void *);
        void *opaque;
    } listener[LISTENERS_MAX];
    unsigned n_listeners;
    struct aspace *next;
    aspace_translate_fn *translate; /* of a translated space, which is in no list */
    void *opaque;
};

/* --- quiescence: each reading thread has a slot with the epoch it last passed; 0 means it holds nothing --- */
#define SLOTS_MAX 256
static u64 slot_epoch[SLOTS_MAX]; /* [atomic] */
static bool slot_used[SLOTS_MAX]; /* [atomic] */
static u64 global_epoch = 1;      /* [atomic] */
static __thread int my_slot = -1;
static __thread unsigned my_depth;
static struct aspace *spaces;     /* machine lock */
static struct view *retired;      /* machine lock */

static int slot_get(void)
{
    if (LIKELY(my_slot >= 0))
        return my_slot;
    for (int i = 0; i < SLOTS_MAX; i++) {
        bool expect = false;
        if (__atomic_compare_exchange_n(&slot_used[i], &expect, true, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return my_slot = i;
    }
    g_error("more than %d threads use guest memory", SLOTS_MAX);
}

void aspace_thread_online(void)
{
    int s = slot_get();
    if (my_depth++ == 0)
        __atomic_store_n(&slot_epoch[s], __atomic_load_n(&global_epoch, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}

void aspace_quiesce(void)
{
    u64 e = __atomic_load_n(&global_epoch, __ATOMIC_SEQ_CST);
    if (my_depth && slot_epoch[my_slot] != e)
        __atomic_store_n(&slot_epoch[my_slot], e, __ATOMIC_SEQ_CST);
}

void aspace_thread_offline(void)
{
    assert(my_depth > 0);
    if (--my_depth == 0)
        __atomic_store_n(&slot_epoch[my_slot], 0, __ATOMIC_RELEASE);
}

/* Frees retired views that no online thread can still see. */
static void reclaim(void)
{
    u64 oldest = ~0ull;
    for (int i = 0; i < SLOTS_MAX; i++) {
        u64 e = __atomic_load_n(&slot_epoch[i], __ATOMIC_SEQ_CST);
        if (e && e < oldest)
            oldest = e;
    }
    for (struct view **p = &retired; *p;) {
        struct view *v = *p;
        if (v->epoch < oldest) {
            *p = v->next;
            free(v);
        } else {
            p = &v->next;
        }
    }
}

/* --- rendering --- */
/* Puts [start, end) of a leaf into the gaps that regions of higher priority left. */
static void view_fill(GArray *out, struct region *leaf, u64 start, u64 end, u64 leaf_off, bool ro)
{
    unsigned i = 0;
    while (i < out->len && g_array_index(out, struct frange, i).end <= start)
        i++;
    while (start < end) {
        u64 stop = end;
        if (i < out->len) {
            struct frange *f = &g_array_index(out, struct frange, i);
            if (f->start <= start) {
                leaf_off += MIN_OF(f->end, end) - start;
                start = f->end;
                i++;
                continue;
            }
            stop = MIN_OF(end, f->start);
        }
        struct frange n = { .start = start, .end = stop, .region = leaf, .off = leaf_off, .ops = leaf->ops, .strings = leaf->strings,
                             .lock = leaf->lock };
        if (leaf->ram) {
            n.ram = leaf->ram;
            n.ram_off = leaf->ram_off + leaf_off;
            n.host = leaf->ram->host + n.ram_off;
            n.readonly = ro || leaf->kind == REGION_ROM;
        }
        g_array_insert_val(out, i, n);
        i++;
        leaf_off += stop - start;
        start = stop;
    }
}

/* Renders r, whose byte 0 lies at base (modulo 2^64), clipped to [lo, hi). */
static void view_render(GArray *out, struct region *r, u64 base, u64 lo, u64 hi, unsigned depth)
{
    if (!r->enabled || depth > 16)
        return;
    u64 start = MAX_OF(lo, base), end = base + r->size;
    if (end < base)
        end = ~0ull;
    end = MIN_OF(end, hi);
    if (start >= end)
        return;
    switch (r->kind) {
    case REGION_CONTAINER:
        for (struct region *c = r->children; c; c = c->next)
            view_render(out, c, base + c->addr, start, end, depth + 1);
        break;
    case REGION_ALIAS: {
        /* the target's byte target_off appears at base; its start may lie "below zero" */
        u64 tbase = base - r->target_off;
        GArray *tmp = g_array_new(FALSE, FALSE, sizeof(struct frange));
        u64 tlo = start - tbase, thi = end - tbase;
        view_render(tmp, r->target, 0, tlo, thi, depth + 1);
        for (unsigned i = 0; i < tmp->len; i++) {
            struct frange *f = &g_array_index(tmp, struct frange, i);
            view_fill(out, f->region, f->start + tbase, f->end + tbase, f->off, f->readonly);
        }
        g_array_free(tmp, TRUE);
        break;
    }
    case REGION_RAM:
    case REGION_ROM:
    case REGION_IO:
        view_fill(out, r, start, end, start - base, false);
        break;
    }
}

static void view_note_large(struct view *v)
{
    static const struct frange none;
    v->large[0] = v->large[1] = &none;
    for (unsigned i = 0; i < v->n; i++) {
        const struct frange *f = &v->r[i];
        u64 len = f->host ? f->end - f->start : 0;
        if (len > v->large[0]->end - v->large[0]->start) {
            v->large[1] = v->large[0];
            v->large[0] = f;
        } else if (len > v->large[1]->end - v->large[1]->start) {
            v->large[1] = f;
        }
    }
}

static void aspace_publish(struct aspace *as)
{
    GArray *a = g_array_new(FALSE, FALSE, sizeof(struct frange));
    view_render(a, as->root, 0, 0, as->root->size, 0);
    struct view *v = calloc(1, sizeof(*v) + a->len * sizeof(struct frange));
    if (!v)
        g_error("out of memory");
    v->n = a->len;
    if (a->len) /* an empty array has no data */
        memcpy(v->r, a->data, a->len * sizeof(struct frange));
    g_array_free(a, TRUE);
    view_note_large(v);
    struct view *old = __atomic_exchange_n(&as->view, v, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&as->head.generation, 1, __ATOMIC_SEQ_CST);
    if (old) {
        old->epoch = __atomic_fetch_add(&global_epoch, 1, __ATOMIC_SEQ_CST);
        old->next = retired;
        retired = old;
        reclaim();
    }
    for (unsigned i = 0; i < as->n_listeners; i++)
        as->listener[i].changed(as->listener[i].opaque);
}

void aspace_publish_all(void)
{
    for (struct aspace *as = spaces; as; as = as->next)
        aspace_publish(as);
}

struct aspace *aspace_new(const char *name, struct region *root)
{
    struct aspace *as = g_new0(struct aspace, 1);
    as->name = name;
    as->root = root;
    as->next = spaces;
    spaces = as;
    aspace_publish(as);
    return as;
}

struct aspace *aspace_new_translated(const char *name, struct aspace *target, aspace_translate_fn *translate, void *opaque)
{
    struct aspace *as = g_new0(struct aspace, 1);

    as->name = name;
    as->head.target = target;
    as->translate = translate;
    as->opaque = opaque;
    return as;
}

void aspace_translation_changed(struct aspace *as)
{
    __atomic_fetch_add(&as->head.generation, 1, __ATOMIC_SEQ_CST);
}

bool aspace_translate_now(struct aspace **as, u64 *gpa, u64 *len, bool write)
{
    struct aspace *from = *as;

    *as = from->head.target;
    return from->translate(from->opaque, gpa, len, write);
}

void aspace_free(struct aspace *as)
{
    if (!as)
        return;
    for (struct aspace **p = &spaces; *p; p = &(*p)->next)
        if (*p == as) {
            *p = as->next;
            break;
        }
    free(as->view);
    g_free(as);
}

void aspace_add_listener(struct aspace *as, void (*fn)(void *), void *opaque)
{
    assert(as->n_listeners < LISTENERS_MAX);
    as->listener[as->n_listeners].changed = fn;
    as->listener[as->n_listeners++].opaque = opaque;
}

void aspace_del_listener(struct aspace *as, void (*fn)(void *), void *opaque)
{
    for (unsigned i = 0; i < as->n_listeners; i++) {
        if (as->listener[i].changed == fn && as->listener[i].opaque == opaque) {
            as->listener[i] = as->listener[--as->n_listeners];
            return;
        }
    }
}

/* The first piece that ends above gpa. */
static const struct frange *view_next(const struct view *v, gpa_t gpa)
{
    unsigned lo = 0, hi = v->n;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (v->r[mid].end <= gpa)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->n ? &v->r[lo] : NULL;
}

static const struct frange *view_find(const struct view *v, gpa_t gpa)
{
    for (unsigned i = 0; i < ARRAY_LEN(v->large); i++)
        if (gpa >= v->large[i]->start && gpa < v->large[i]->end)
            return v->large[i];
    const struct frange *f = view_next(v, gpa);

    return f && f->start <= gpa ? f : NULL;
}

const struct frange *aspace_find(struct aspace *as, gpa_t gpa)
{
    return view_find(__atomic_load_n(&as->view, __ATOMIC_ACQUIRE), gpa);
}

const struct frange *aspace_next(struct aspace *as, gpa_t gpa)
{
    return view_next(__atomic_load_n(&as->view, __ATOMIC_ACQUIRE), gpa);
}

/* --- dispatch --- */
static u64 io_read(const struct region *r, u64 off, unsigned size)
{
    const struct region_ops *ops = r->ops;
    unsigned min = ops->min_size ? ops->min_size : 1, max = ops->max_size ? ops->max_size : 4;
    if (!ops->read)
        return MASK64(size * 8);
    if (size < min) {
        u64 v = ops->read(r->opaque, ALIGN_DOWN(off, min), min);
        return v >> ((off & (min - 1)) * 8) & MASK64(size * 8);
    }
    u64 v = 0;
    for (unsigned i = 0; i < size; i += MIN_OF(size, max))
        v |= (ops->read(r->opaque, off + i, MIN_OF(size, max)) & MASK64(MIN_OF(size, max) * 8)) << (i * 8);
    return v;
}

static void io_write(const struct region *r, u64 off, u64 val, unsigned size)
{
    const struct region_ops *ops = r->ops;
    unsigned min = ops->min_size ? ops->min_size : 1, max = ops->max_size ? ops->max_size : 4;
    if (!ops->write)
        return;
    if (size < min) {
        ops->write(r->opaque, ALIGN_DOWN(off, min), val << ((off & (min - 1)) * 8), min);
        return;
    }
    for (unsigned i = 0; i < size; i += MIN_OF(size, max))
        ops->write(r->opaque, off + i, val >> (i * 8) & MASK64(MIN_OF(size, max) * 8), MIN_OF(size, max));
}

static u64 ram_load(const u8 *p, unsigned size)
{
    switch (size) {
    case 1: return *p;
    case 2: return ld16(p);
    case 4: return ld32(p);
    default: return ld64(p);
    }
}

static void ram_store(u8 *p, u64 v, unsigned size)
{
    switch (size) {
    case 1: *p = (u8)v; break;
    case 2: st16(p, (u16)v); break;
    case 4: st32(p, (u32)v); break;
    default: st64(p, v); break;
    }
}

/* An access that leaves its piece is done byte by byte. */
static bool fits(const struct frange *f, gpa_t gpa, unsigned size) { return f && gpa + size <= f->end; }

/* Takes the lock of a piece of view v. False if the view has been replaced meanwhile: the region may be gone with its device (hot unplug). */
static bool io_enter(struct aspace *as, const struct view *v, const struct frange *f)
{
    if (!f->lock)
        return true;
    lock_acquire(f->lock);
    if (LIKELY(__atomic_load_n(&as->view, __ATOMIC_ACQUIRE) == v))
        return true;
    lock_release(f->lock);
    return false;
}

static void io_leave(const struct frange *f)
{
    if (f->lock)
        lock_release(f->lock);
}

static bool try_read(struct aspace *as, gpa_t gpa, unsigned size, u64 *out)
{
    const struct view *v = __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
    const struct frange *f = view_find(v, gpa);

    *out = 0;
    if (size > 1 && f && !fits(f, gpa, size)) {
        for (unsigned i = 0; i < size; i++)
            *out |= aspace_read_uint(as, gpa + i, 1) << (i * 8);
    } else if (!f) {
        *out = MASK64(size * 8);
    } else if (f->host) {
        *out = ram_load(f->host + (gpa - f->start), size);
    } else {
        if (!io_enter(as, v, f))
            return false;
        *out = io_read(f->region, f->off + (gpa - f->start), size);
        io_leave(f);
    }
    return true;
}

u64 aspace_read_uint(struct aspace *as, gpa_t gpa, unsigned size)
{
    u64 v;

    aspace_thread_online();
    while (!try_read(as, gpa, size, &v))
        ;
    aspace_thread_offline();
    return v;
}

static bool try_write(struct aspace *as, gpa_t gpa, u64 val, unsigned size)
{
    const struct view *v = __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
    const struct frange *f = view_find(v, gpa);

    if (size > 1 && f && !fits(f, gpa, size)) {
        for (unsigned i = 0; i < size; i++)
            aspace_write_uint(as, gpa + i, val >> (i * 8), 1);
    } else if (f && f->host && !f->readonly) {
        u64 off = f->ram_off + (gpa - f->start);
        ram_store(f->host + (gpa - f->start), val, size);
        ram_written(f->ram, off, size);
    } else if (f && f->ops) {
        if (!io_enter(as, v, f))
            return false;
        io_write(f->region, f->off + (gpa - f->start), val, size);
        io_leave(f);
    }
    return true;
}

void aspace_write_uint(struct aspace *as, gpa_t gpa, u64 val, unsigned size)
{
    aspace_thread_online();
    while (!try_write(as, gpa, val, size))
        ;
    aspace_thread_offline();
}

u32 aspace_string(struct aspace *as, gpa_t gpa, unsigned size, void *buf, u32 n, bool write)
{
    u32 moved = 0;

    aspace_thread_online();
    const struct view *v = __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
    const struct frange *f = view_find(v, gpa);
    const struct region_strings *s = f && !f->host && fits(f, gpa, size) ? f->strings : NULL;
    if (s && io_enter(as, v, f)) { /* if the view was replaced meanwhile they come one by one */
        u64 off = f->off + (gpa - f->start);
        moved = write ? s->write(f->region->opaque, off, size, buf, n) : s->read(f->region->opaque, off, size, buf, n);
        io_leave(f);
    }
    aspace_thread_offline();
    return moved;
}

void aspace_print(struct aspace *as, GString *out)
{
    aspace_thread_online();
    const struct view *v = __atomic_load_n(&as->view, __ATOMIC_ACQUIRE);
    g_string_append_printf(out, "address-space: %s\n", as->name);
    for (unsigned i = 0; i < v->n; i++) {
        const struct frange *f = &v->r[i];
        g_string_append_printf(out, "  %016llx-%016llx (%s): %s", (unsigned long long)f->start,
                               (unsigned long long)f->end - 1, f->host ? f->readonly ? "rom" : "ram" : "i/o",
                               f->region->name);
        if (f->off)
            g_string_append_printf(out, " @%016llx", (unsigned long long)f->off);
        g_string_append_c(out, '\n');
    }
    aspace_thread_offline();
}
