/* qcow2: internal snapshots: the table, making, going back to, deleting and showing them. Main thread or a tool, no request in flight on the
 * image; the functions behind blk_snapshot.h take its lock. */
#include <time.h>
#include "hw/backend/blk_snapshot.h"
#include "hw/backend/qcow2.h"

#define ENTRY 40        /* fixed part of a table entry */
#define OUR_EXTRA 24    /* vm_state_size, disk_size, icount */
#define EXTRA_MAX 1024
#define NAME_MAX_BYTES 65535

static struct qcow2_snapshot *snapshot_at(const struct qcow2 *s, unsigned i)
{
    return &g_array_index(s->snapshots, struct qcow2_snapshot, i);
}

/* -- the table -------------------------------------------------------------------------------------------------------- */

static u64 entry_size(const struct qcow2_snapshot *sn)
{
    return ALIGN_UP(ENTRY + sn->known_len + sn->extra_len + strlen(sn->id) + strlen(sn->name), 8);
}

u64 qcow2_snapshot_table_size(const struct qcow2 *s)
{
    u64 sum = 0;

    for (unsigned i = 0; i < s->snapshots->len; i++)
        sum += entry_size(snapshot_at(s, i));
    return sum;
}

static void snapshot_clear(struct qcow2_snapshot *sn)
{
    g_free(sn->id);
    g_free(sn->name);
    g_free(sn->extra);
}

void qcow2_snapshots_free(struct qcow2 *s)
{
    for (unsigned i = 0; s->snapshots && i < s->snapshots->len; i++)
        snapshot_clear(snapshot_at(s, i));
    if (s->snapshots)
        g_array_unref(s->snapshots);
}

static bool snapshot_is_sound(const struct qcow2 *s, const struct qcow2_snapshot *sn)
{
    return !in_cluster(s, sn->l1_table_offset) && 8ull * sn->l1_size <= MAX_L1 && sn->l1_table_offset <= INT64_MAX - MAX_L1 &&
           (!sn->l1_size || sn->l1_table_offset < node_size(s->n->file)) && sn->disk_size <= INT64_MAX;
}

/* One entry at *off; *off moves behind it. */
static int load_one(struct qcow2 *s, u64 *off, struct err *e)
{
    u8 p[ENTRY], extra[EXTRA_MAX];
    int r = node_read(s->n->file, *off, p, sizeof(p));
    u32 extra_len = be32_at(p + 36), id_len = be16_at(p + 12), name_len = be16_at(p + 14);

    if (r < 0)
        return err_set(e, "cannot read the snapshots of '%s': %s", s->n->filename, g_strerror(-r));
    if (extra_len > EXTRA_MAX)
        return err_set(e, "'%s': too much extra metadata in snapshot table entry", s->n->filename);
    struct qcow2_snapshot sn = {
        .l1_table_offset = be64_at(p), .l1_size = be32_at(p + 8), .date_sec = be32_at(p + 16), .date_nsec = be32_at(p + 20),
        .vm_clock_nsec = be64_at(p + 24), .vm_state_size = be32_at(p + 32), .disk_size = s->h.size, .icount = ~0ull,
        .known_len = MIN_OF(ALIGN_DOWN(extra_len, 8), OUR_EXTRA),
    };
    sn.id = g_malloc0(id_len + 1);
    sn.name = g_malloc0(name_len + 1);
    r = node_read(s->n->file, *off + ENTRY, extra, extra_len);
    if (!r)
        r = node_read(s->n->file, *off + ENTRY + extra_len, sn.id, id_len);
    if (!r)
        r = node_read(s->n->file, *off + ENTRY + extra_len + id_len, sn.name, name_len);
    if (sn.known_len >= 8)
        sn.vm_state_size = be64_at(extra);
    if (sn.known_len >= 16)
        sn.disk_size = be64_at(extra + 8);
    if (sn.known_len >= 24)
        sn.icount = be64_at(extra + 16);
    sn.extra_len = extra_len - sn.known_len;
    sn.extra = g_memdup2(extra + sn.known_len, sn.extra_len);
    g_array_append_val(s->snapshots, sn);
    *off += ALIGN_UP(ENTRY + (u64)extra_len + id_len + name_len, 8);
    if (r < 0)
        return err_set(e, "cannot read the snapshots of '%s': %s", s->n->filename, g_strerror(-r));
    return snapshot_is_sound(s, &sn) ? 0 : err_set(e, "'%s': snapshot '%s' has an impossible L1 table", s->n->filename, sn.name);
}

int qcow2_snapshots_load(struct qcow2 *s, struct err *e)
{
    u64 off = s->h.snapshots_offset;

    s->snapshots = g_array_new(FALSE, FALSE, sizeof(struct qcow2_snapshot));
    for (u32 i = 0; i < s->h.nb_snapshots; i++) {
        if (off - s->h.snapshots_offset > MAX_SNAPSHOT_TABLE || off >= node_size(s->n->file))
            return err_set(e, "'%s': the snapshot table is too large", s->n->filename);
        if (load_one(s, &off, e) < 0)
            return -1;
    }
    return 0;
}

static u8 *encode_entry(const struct qcow2_snapshot *sn, u8 *p)
{
    u32 id = strlen(sn->id), name = strlen(sn->name);

    put_be64(p, sn->l1_table_offset);
    put_be32(p + 8, sn->l1_size);
    put_be16(p + 12, id);
    put_be16(p + 14, name);
    put_be32(p + 16, sn->date_sec);
    put_be32(p + 20, sn->date_nsec);
    put_be64(p + 24, sn->vm_clock_nsec);
    put_be32(p + 32, sn->vm_state_size > UINT32_MAX ? 0 : sn->vm_state_size);
    put_be32(p + 36, sn->known_len + sn->extra_len);
    u8 known[OUR_EXTRA];
    put_be64(known, sn->vm_state_size);
    put_be64(known + 8, sn->disk_size);
    put_be64(known + 16, sn->icount);
    memcpy(p + ENTRY, known, sn->known_len);
    if (sn->extra_len)
        memcpy(p + ENTRY + sn->known_len, sn->extra, sn->extra_len);
    u8 *q = p + ENTRY + sn->known_len + sn->extra_len;
    memcpy(q, sn->id, id);
    memcpy(q + id, sn->name, name);
    return p + entry_size(sn);
}

/* Writes the table to a new place and makes the header point there; what was there before is freed later. */
static int table_write(struct qcow2 *s, u64 old_size)
{
    u64 size = qcow2_snapshot_table_size(s), off = 0, got, old = s->h.snapshots_offset;
    u32 old_nb = s->h.nb_snapshots;
    int r = 0;

    if (size) {
        u8 *buf = g_malloc0(size), *p = buf;
        for (unsigned i = 0; i < s->snapshots->len; i++)
            p = encode_entry(snapshot_at(s, i), p);
        r = qcow2_alloc(s, clusters_of(s, size), clusters_of(s, size), &off, &got);
        s->file_end = MAX_OF(s->file_end, off + ALIGN_UP(size, s->cluster_size));
        if (!r)
            r = node_write(s->n->file, off, buf, size);
        g_free(buf);
    }
    if (!r)
        r = qcow2_sync(s);
    if (!r)
        r = node_flush(s->n->file);
    if (r < 0)
        return r;
    s->h.snapshots_offset = off;
    s->h.nb_snapshots = s->snapshots->len;
    r = qcow2_write_header(s);
    if (!r)
        r = node_flush(s->n->file);
    if (r < 0) {
        s->h.snapshots_offset = old;
        s->h.nb_snapshots = old_nb;
        return r;
    }
    qcow2_free_later(s, old, old_size);
    return 0;
}

/* -- reference counts of a whole tree ------------------------------------------------------------------------------------ */

static int add_entry(struct qcow2 *s, u64 entry, i64 add)
{
    u64 off, len;

    switch (qcow2_kind_of(s, entry)) {
    case Q_COMPRESSED:
        qcow2_compressed_range(s, entry, &off, &len);
        return qcow2_refcount_add(s, off, len, add);
    case Q_NORMAL: case Q_ZERO_ALLOC:
        return qcow2_refcount_add(s, entry & L2E_OFFSET, s->cluster_size, add);
    case Q_UNALLOCATED: case Q_ZERO:
        break;
    }
    return 0;
}

static int add_table(struct qcow2 *s, u64 off, i64 add)
{
    u8 *t = g_malloc(s->cluster_size);
    struct qcow2_table *cached;
    int r = qcow2_cache_get(s, &s->l2c, off, &cached);

    if (!r)
        memcpy(t, cached->data, s->cluster_size);
    for (u64 i = 0; i < 1ull << s->l2_bits && !r; i++) {
        r = add_entry(s, be64_at(t + 8 * i), add);
        if (r < 0 && add > 0)
            while (i-- > 0)
                add_entry(s, be64_at(t + 8 * i), -add);
    }
    g_free(t);
    return r;
}

/* Adds to the counts of everything below an L1 table; undone if it fails when adding. */
static int add_tree(struct qcow2 *s, const u64 *l1, u32 n, i64 add)
{
    int r = 0;

    for (u32 i = 0; i < n && !r; i++) {
        u64 off = l1[i] & L1E_OFFSET;
        if (!off)
            continue;
        r = add_table(s, off, add);
        if (!r && (r = qcow2_refcount_add(s, off, s->cluster_size, add)) < 0 && add > 0)
            add_table(s, off, -add);
        if (r < 0 && add > 0)
            add_tree(s, l1, i, -add);
    }
    return r;
}

static bool copied_is_wrong(struct qcow2 *s, u64 entry, u64 off, int *err)
{
    u64 count;

    *err = qcow2_refcount_get(s, off >> s->h.cluster_bits, &count);
    return !*err && !!(entry & OFLAG_COPIED) != (count == 1);
}

static int update_copied_in(struct qcow2 *s, u64 l2, bool set, FILE *out, u64 *wrong, u64 *mended)
{
    struct qcow2_table *t;
    int r = 0;

    for (u64 i = 0; i < 1ull << s->l2_bits && !r; i++) {
        r = qcow2_cache_get(s, &s->l2c, l2, &t); /* refcount blocks are asked for in between */
        if (r < 0)
            break;
        u64 entry = be64_at(t->data + 8 * i);
        enum qcow2_kind kind = qcow2_kind_of(s, entry);
        if ((kind != Q_NORMAL && kind != Q_ZERO_ALLOC) || in_cluster(s, entry & L2E_OFFSET) || !copied_is_wrong(s, entry, entry & L2E_OFFSET, &r))
            continue;
        ++*wrong;
        if (out)
            fprintf(out, "%s OFLAG_COPIED data cluster: l2_entry=%llx\n", set ? "Repairing" : "ERROR", (unsigned long long)entry);
        if (set) {
            put_be64(t->data + 8 * i, entry ^ OFLAG_COPIED);
            qcow2_table_dirty(&s->l2c, t, 8 * i, 8 * i + 8);
            ++*mended;
        }
    }
    return r;
}

int qcow2_update_copied(struct qcow2 *s, bool set, FILE *out, u64 *wrong, u64 *mended)
{
    int r = 0;

    for (u32 i = 0; i < s->h.l1_size && !r; i++) {
        u64 off = s->l1[i] & L1E_OFFSET;
        if (!off || in_cluster(s, off) || off >= node_size(s->n->file))
            continue;
        if (copied_is_wrong(s, s->l1[i], off, &r)) {
            ++*wrong;
            if (out)
                fprintf(out, "%s OFLAG_COPIED L2 cluster: l1_index=%u l1_entry=%llx\n", set ? "Repairing" : "ERROR", i,
                        (unsigned long long)s->l1[i]);
            if (set) {
                s->l1[i] ^= OFLAG_COPIED;
                s->l1_lo = MIN_OF(s->l1_lo, i);
                s->l1_hi = MAX_OF(s->l1_hi, i + 1);
                ++*mended;
            }
        }
        if (!r)
            r = update_copied_in(s, off, set, out, wrong, mended);
    }
    return r;
}

static int fix_copied(struct qcow2 *s)
{
    u64 wrong = 0, mended = 0;

    return qcow2_update_copied(s, true, NULL, &wrong, &mended);
}

/* -- operations ------------------------------------------------------------------------------------------------------- */

static int find(const struct qcow2 *s, const char *name, bool by_id)
{
    for (unsigned i = 0; i < s->snapshots->len; i++)
        if (!strcmp(snapshot_at(s, i)->name, name))
            return i;
    for (unsigned i = 0; by_id && i < s->snapshots->len; i++)
        if (!strcmp(snapshot_at(s, i)->id, name))
            return i;
    return -1;
}

static char *new_id(const struct qcow2 *s)
{
    unsigned long max = 0;

    for (unsigned i = 0; i < s->snapshots->len; i++)
        max = MAX_OF(max, strtoul(snapshot_at(s, i)->id, NULL, 10));
    return g_strdup_printf("%lu", max + 1);
}

/* A copy of an L1 table on the disk, without COPIED flags. */
static int copy_l1(struct qcow2 *s, const u64 *l1, u32 n, u64 *off)
{
    u64 size = 8ull * n, got;
    u8 *buf;
    int r;

    *off = 0;
    if (!n)
        return 0;
    buf = g_malloc0(size);
    r = qcow2_alloc(s, clusters_of(s, size), clusters_of(s, size), off, &got);
    s->file_end = MAX_OF(s->file_end, *off + ALIGN_UP(size, s->cluster_size));
    for (u32 i = 0; i < n; i++)
        put_be64(buf + 8 * i, l1[i] & L1E_OFFSET);
    if (!r)
        r = node_write(s->n->file, *off, buf, size);
    g_free(buf);
    return r;
}

static int create_locked(struct qcow2 *s, const char *name)
{
    struct timespec now;
    u64 old_size = qcow2_snapshot_table_size(s), off;
    int r = add_tree(s, s->l1, s->h.l1_size, 1);

    if (r < 0)
        return r;
    r = fix_copied(s);
    if (!r)
        r = copy_l1(s, s->l1, s->h.l1_size, &off);
    if (r < 0) {
        add_tree(s, s->l1, s->h.l1_size, -1);
        fix_copied(s);
        return r;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    struct qcow2_snapshot sn = {
        .l1_table_offset = off, .l1_size = s->h.l1_size, .id = new_id(s), .name = g_strdup(name), .date_sec = now.tv_sec,
        .date_nsec = now.tv_nsec, .disk_size = s->h.size, .icount = ~0ull, .known_len = OUR_EXTRA,
    };
    g_array_append_val(s->snapshots, sn);
    r = table_write(s, old_size);
    if (r < 0) {
        snapshot_clear(snapshot_at(s, s->snapshots->len - 1));
        g_array_set_size(s->snapshots, s->snapshots->len - 1);
        add_tree(s, s->l1, s->h.l1_size, -1);
        qcow2_refcount_add(s, off, 8ull * s->h.l1_size, -1);
        fix_copied(s);
    }
    return r;
}

static void meta_l1(struct qcow2 *s, bool add)
{
    void (*fn)(struct qcow2 *, u64, u64) = add ? qcow2_meta_add : qcow2_meta_del;

    fn(s, s->h.l1_table_offset, 8ull * s->h.l1_size);
    for (u32 i = 0; i < s->h.l1_size; i++)
        if (s->l1[i] & L1E_OFFSET)
            fn(s, s->l1[i] & L1E_OFFSET, 1);
}

static int apply_locked(struct qcow2 *s, const struct qcow2_snapshot *sn)
{
    u64 span = s->cluster_size << s->l2_bits, off, *l1, *old = s->l1;
    struct qcow2_header before = s->h;
    u32 n = MAX_OF(sn->l1_size, (sn->disk_size + span - 1) / span);
    int r;

    if (8ull * n > MAX_L1)
        return -EFBIG;
    r = qcow2_load_l1(s, sn->l1_table_offset, sn->l1_size, &l1);
    if (r < 0)
        return r;
    l1 = g_realloc(l1, 8ull * n + 8);
    memset(l1 + sn->l1_size, 0, 8ull * (n - sn->l1_size));
    r = add_tree(s, l1, sn->l1_size, 1);
    if (r < 0) {
        g_free(l1);
        return r;
    }
    r = copy_l1(s, l1, n, &off);
    if (!r)
        r = qcow2_sync(s);
    if (!r)
        r = node_flush(s->n->file);
    meta_l1(s, false);
    s->l1 = l1;
    s->h.l1_table_offset = off;
    s->h.l1_size = n;
    s->h.size = sn->disk_size;
    if (!r && !(r = qcow2_write_header(s)))
        r = node_flush(s->n->file);
    if (r < 0) {
        s->h = before;
        s->l1 = old;
        meta_l1(s, true);
        add_tree(s, l1, sn->l1_size, -1);
        g_free(l1);
        return r;
    }
    meta_l1(s, true);
    __atomic_store_n(&s->n->size, s->h.size, __ATOMIC_RELAXED);
    r = add_tree(s, old, before.l1_size, -1);
    if (!r)
        r = qcow2_refcount_add(s, before.l1_table_offset, 8ull * before.l1_size, -1);
    g_free(old);
    return r ? r : fix_copied(s);
}

static int delete_locked(struct qcow2 *s, unsigned i)
{
    struct qcow2_snapshot sn = *snapshot_at(s, i);
    u64 old_size = qcow2_snapshot_table_size(s), *l1;
    int r = qcow2_load_l1(s, sn.l1_table_offset, sn.l1_size, &l1);

    if (r < 0)
        return r;
    g_array_remove_index(s->snapshots, i);
    r = table_write(s, old_size);
    if (r < 0) {
        g_array_insert_val(s->snapshots, i, sn);
        g_free(l1);
        return r;
    }
    r = add_tree(s, l1, sn.l1_size, -1);
    if (!r)
        r = qcow2_refcount_add(s, sn.l1_table_offset, 8ull * sn.l1_size, -1);
    snapshot_clear(&sn);
    g_free(l1);
    return r ? r : fix_copied(s);
}

/* -- the interface ---------------------------------------------------------------------------------------------------- */

bool node_has_snapshots(const struct blk_node *n)
{
    return n->drv == &blk_qcow2;
}

unsigned node_snapshot_count(const struct blk_node *n)
{
    return node_has_snapshots(n) ? ((struct qcow2 *)n->s)->snapshots->len : 0;
}

void node_snapshot_nth(const struct blk_node *n, unsigned i, struct blk_snapshot *out)
{
    const struct qcow2_snapshot *sn = snapshot_at(n->s, i);

    *out = (struct blk_snapshot){ sn->id, sn->name, sn->vm_state_size, sn->vm_clock_nsec, sn->disk_size, sn->icount, sn->date_sec, sn->date_nsec };
}

/* The snapshot's number, or -1 with e set. */
static int prepare(struct blk_node *n, const char *name, bool write, struct err *e)
{
    int i;

    if (!node_has_snapshots(n))
        return err_set(e, "images of the format %s have no internal snapshots", n->drv->name);
    if (write && n->readonly)
        return err_set(e, "'%s' is read-only", n->filename);
    i = find(n->s, name, true);
    return i >= 0 ? i : err_set(e, "there is no snapshot '%s' in '%s'", name, n->filename);
}

/* While counts and flags of whole trees change, the image is marked dirty: whoever opens it after a crash mends it (version 3). */
static int begin(struct qcow2 *s)
{
    int r = qcow2_flush_all(s);

    lock_acquire(&s->lock);
    if (!r && s->h.version >= 3 && !(s->h.incompatible & INCOMPAT_DIRTY)) {
        s->h.incompatible |= INCOMPAT_DIRTY;
        r = qcow2_write_header(s);
        if (!r)
            r = node_flush(s->n->file);
    }
    return r;
}

/* Ends what begin() began, which holds the lock, with everything on the disk. */
static int end(struct qcow2 *s, int r)
{
    lock_release(&s->lock);
    int e = qcow2_flush_all(s);

    r = r ? r : e;
    e = qcow2_flush_all(s); /* with the counts of what the first one freed */
    r = r ? r : e;
    lock_acquire(&s->lock);
    if (!e && s->h.version >= 3 && !s->dirty_marked) {
        s->h.incompatible &= ~(u64)INCOMPAT_DIRTY;
        e = qcow2_write_header(s);
    }
    lock_release(&s->lock);
    return r ? r : e;
}

static int result(struct blk_node *n, int r, const char *what, const char *name, struct err *e)
{
    return r < 0 ? err_set(e, "cannot %s snapshot '%s' of '%s': %s", what, name, n->filename,
                           r == -EINVAL ? "the reference counts of the image are too narrow" : g_strerror(-r)) : 0;
}

int node_snapshot_create(struct blk_node *n, const char *name, struct err *e)
{
    struct qcow2 *s = n->s;

    if (!node_has_snapshots(n))
        return err_set(e, "images of the format %s have no internal snapshots", n->drv->name);
    if (n->readonly)
        return err_set(e, "'%s' is read-only", n->filename);
    if (!*name || strlen(name) > NAME_MAX_BYTES || find(s, name, false) >= 0)
        return err_set(e, "'%s' %s", name, *name ? "exists already" : "is no name for a snapshot");
    if (s->snapshots->len >= MAX_SNAPSHOTS)
        return err_set(e, "'%s' has too many snapshots", n->filename);
    int r = begin(s);
    r = end(s, r ? r : create_locked(s, name));
    return result(n, r, "create", name, e);
}

int node_snapshot_apply(struct blk_node *n, const char *name, struct err *e)
{
    struct qcow2 *s = n->s;
    int i = prepare(n, name, true, e), r;

    if (i < 0)
        return -1;
    r = begin(s);
    r = end(s, r ? r : apply_locked(s, snapshot_at(s, i)));
    return result(n, r, "apply", name, e);
}

int node_snapshot_delete(struct blk_node *n, const char *name, struct err *e)
{
    int i = prepare(n, name, true, e);

    return i < 0 ? -1 : node_snapshot_delete_nth(n, (unsigned)i, e);
}

int node_snapshot_delete_nth(struct blk_node *n, unsigned i, struct err *e)
{
    struct qcow2 *s = n->s;
    char *name = g_strdup(snapshot_at(s, i)->name);
    int r;

    if (n->readonly) {
        r = err_set(e, "'%s' is read-only", n->filename);
    } else {
        r = begin(s);
        r = end(s, r ? r : delete_locked(s, (int)i));
        r = result(n, r, "delete", name, e);
    }
    g_free(name);
    return r;
}

int node_snapshot_show(struct blk_node *n, const char *name, struct err *e)
{
    struct qcow2 *s = n->s;
    int i = prepare(n, name, false, e), r;
    u64 *l1;

    if (i < 0)
        return -1;
    if (!n->readonly)
        return err_set(e, "a snapshot can be read only from an image that is opened read-only");
    const struct qcow2_snapshot *sn = snapshot_at(s, i);
    r = qcow2_load_l1(s, sn->l1_table_offset, sn->l1_size, &l1);
    if (r < 0)
        return err_set(e, "cannot read snapshot '%s' of '%s': %s", name, n->filename, g_strerror(-r));
    lock_acquire(&s->lock);
    g_free(s->l1);
    s->l1 = l1;
    s->h.l1_size = sn->l1_size;
    n->size = sn->disk_size;
    lock_release(&s->lock);
    return 0;
}
