/* qcow2: tables in memory, the order in which metadata reaches the disk, and the gate that keeps clusters from being freed under those who
 * use them. Worker threads and tools; the image's lock is held unless qcow2.h says otherwise. */
#include "hw/backend/qcow2.h"

/* -- tables ----------------------------------------------------------------------------------------------------------- */

static void table_free(gpointer p)
{
    struct qcow2_table *t = p;

    g_free(t->data);
    g_free(t);
}

void qcow2_cache_init(struct qcow2_cache *c, unsigned max)
{
    *c = (struct qcow2_cache){ .at = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, table_free), .max = MAX_OF(max, 8) };
}

void qcow2_cache_fini(struct qcow2_cache *c)
{
    if (c->at)
        g_hash_table_unref(c->at);
    c->at = NULL;
}

void qcow2_cache_drop(struct qcow2_cache *c)
{
    g_hash_table_remove_all(c->at);
    c->dirty = 0;
}

static bool table_is_dirty(const struct qcow2_table *t)
{
    return t->lo < t->hi;
}

void qcow2_table_dirty(struct qcow2_cache *c, struct qcow2_table *t, u32 lo, u32 hi)
{
    if (!table_is_dirty(t)) {
        c->dirty++;
        t->lo = lo;
        t->hi = hi;
    }
    t->lo = MIN_OF(t->lo, lo);
    t->hi = MAX_OF(t->hi, hi);
}

void qcow2_cache_forget(struct qcow2_cache *c, u64 off)
{
    struct qcow2_table *t = g_hash_table_lookup(c->at, &off);

    if (!t)
        return;
    c->dirty -= table_is_dirty(t);
    g_hash_table_remove(c->at, &off);
}

/* Makes room for one more; all metadata is written if the oldest table is dirty. */
static int cache_evict(struct qcow2 *s, struct qcow2_cache *c)
{
    struct qcow2_table *oldest = NULL, *t;
    GHashTableIter it;
    int r = 0;

    if (g_hash_table_size(c->at) < c->max)
        return 0;
    g_hash_table_iter_init(&it, c->at);
    while (g_hash_table_iter_next(&it, NULL, (gpointer *)&t))
        if (!oldest || t->used < oldest->used)
            oldest = t;
    if (table_is_dirty(oldest))
        r = qcow2_sync(s);
    if (!r)
        g_hash_table_remove(c->at, &oldest->off);
    return r;
}

static struct qcow2_table *table_new(struct qcow2 *s, struct qcow2_cache *c, u64 off)
{
    struct qcow2_table *t = g_new0(struct qcow2_table, 1);

    t->off = off;
    t->data = g_malloc0(s->cluster_size);
    t->used = ++c->clock;
    g_hash_table_insert(c->at, &t->off, t);
    return t;
}

struct qcow2_table *qcow2_cache_peek(struct qcow2_cache *c, u64 off)
{
    struct qcow2_table *t = g_hash_table_lookup(c->at, &off);

    if (t)
        t->used = ++c->clock;
    return t;
}

int qcow2_cache_get(struct qcow2 *s, struct qcow2_cache *c, u64 off, struct qcow2_table **out)
{
    struct qcow2_table *t = qcow2_cache_peek(c, off);
    int r;

    if (!t) {
        if (off & (s->cluster_size - 1) || off == 0 || off >= node_size(s->n->file))
            return qcow2_corrupt(s, "there is no table at offset 0x%llx", (unsigned long long)off);
        r = cache_evict(s, c);
        if (r < 0)
            return r;
        t = table_new(s, c, off);
        r = node_read(s->n->file, off, t->data, s->cluster_size);
        if (r < 0) {
            g_hash_table_remove(c->at, &off);
            return r;
        }
    }
    *out = t;
    return 0;
}

int qcow2_cache_new(struct qcow2 *s, struct qcow2_cache *c, u64 off, struct qcow2_table **out)
{
    int r = cache_evict(s, c);

    if (r < 0)
        return r;
    qcow2_cache_forget(c, off);
    *out = table_new(s, c, off);
    return 0;
}

/* -- the order of writes ---------------------------------------------------------------------------------------------- */

/* Writes the sectors that changed. */
static int cache_write(struct qcow2 *s, struct qcow2_cache *c)
{
    struct qcow2_table *t;
    GHashTableIter it;

    if (!c->dirty)
        return 0;
    g_hash_table_iter_init(&it, c->at);
    while (g_hash_table_iter_next(&it, NULL, (gpointer *)&t)) {
        u32 lo = ALIGN_DOWN(t->lo, 512), hi = ALIGN_UP(t->hi, 512);
        if (!table_is_dirty(t))
            continue;
        int r = node_write(s->n->file, t->off + lo, t->data + lo, hi - lo);
        if (r < 0)
            return r;
        t->lo = t->hi = 0;
        c->dirty--;
    }
    return 0;
}

static int l1_write(struct qcow2 *s)
{
    u32 n = s->l1_lo < s->l1_hi ? s->l1_hi - s->l1_lo : 0;
    u8 *buf;
    int r;

    if (!n)
        return 0;
    buf = g_malloc(8 * (size_t)n);
    for (u32 i = 0; i < n; i++)
        put_be64(buf + 8 * i, s->l1[s->l1_lo + i]);
    r = node_write(s->n->file, s->h.l1_table_offset + 8ull * s->l1_lo, buf, 8ull * n);
    g_free(buf);
    if (!r) {
        s->l1_lo = UINT32_MAX;
        s->l1_hi = 0;
    }
    return r;
}

int qcow2_sync(struct qcow2 *s)
{
    bool refs = s->l2c.dirty || s->l1_lo < s->l1_hi;
    int r = 0;

    if (s->broken)
        return -EIO;
    if (!s->lazy)
        r = cache_write(s, &s->rbc);
    if (!r && refs) {
        r = node_flush(s->n->file);
        if (!r)
            r = cache_write(s, &s->l2c);
        if (!r)
            r = l1_write(s);
    }
    return r;
}

/* The references to these clusters are gone from the disk. */
static int free_pending(struct qcow2 *s, const GArray *list)
{
    int r = 0;

    for (unsigned i = 0; i < list->len; i++) {
        const struct qcow2_range *g = &g_array_index(list, struct qcow2_range, i);
        int one = qcow2_refcount_add(s, g->off, g->len, -1);
        r = r ? r : one;
    }
    return r;
}

int qcow2_flush_all(struct qcow2 *s)
{
    GArray *list = NULL;
    int r;

    lock_acquire(&s->lock);
    r = qcow2_sync(s);
    if (!r && s->pending->len) {
        list = s->pending;
        s->pending = g_array_new(FALSE, FALSE, sizeof(struct qcow2_range));
    }
    lock_release(&s->lock);
    if (!r)
        r = node_flush(s->n->file);
    if (!list)
        return r;
    qcow2_gate_wait(&s->gate);
    lock_acquire(&s->lock);
    if (!r)
        r = free_pending(s, list);
    else
        g_array_append_vals(s->pending, list->data, list->len);
    lock_release(&s->lock);
    g_array_unref(list);
    return r;
}

/* -- the gate --------------------------------------------------------------------------------------------------------- */

void qcow2_gate_init(struct qcow2_gate *g)
{
    *g = (struct qcow2_gate){ 0 };
    pthread_mutex_init(&g->m, NULL);
    pthread_cond_init(&g->c, NULL);
}

unsigned qcow2_gate_enter(struct qcow2_gate *g)
{
    pthread_mutex_lock(&g->m);
    unsigned now = g->now;
    g->users[now]++;
    pthread_mutex_unlock(&g->m);
    return now;
}

void qcow2_gate_leave(struct qcow2_gate *g, unsigned cookie)
{
    pthread_mutex_lock(&g->m);
    if (--g->users[cookie] == 0)
        pthread_cond_broadcast(&g->c);
    pthread_mutex_unlock(&g->m);
}

void qcow2_gate_wait(struct qcow2_gate *g)
{
    pthread_mutex_lock(&g->m);
    while (g->users[!g->now]) /* an earlier waiter's */
        pthread_cond_wait(&g->c, &g->m);
    unsigned old = g->now;
    g->now = !old;
    while (g->users[old])
        pthread_cond_wait(&g->c, &g->m);
    pthread_mutex_unlock(&g->m);
}
