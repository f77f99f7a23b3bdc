/* Writing the persistent cache: blocks are collected as records and, with those of the file that is there, become a new file which takes its place. By the
 * thread that takes down the engine; pcache_add also before the code cache is flushed, with the code lock. Format: pcache_file.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "accel/dbt/pcache_file.h"
#include "util/err.h"

#define WORTH 32        /* a file is written anew for a 32nd of it */
#define FILES_KEPT 3    /* of builds, hosts and guest CPUs, the one that is written included */
#define CHUNK (256 * KiB)
#define SEEN (1u << 19) /* 19 bits of a hash; three quarters of it are the most that is collected */

/* --- collecting --- */
/* Whether a block with the same bytes at the same place has come before. Now and then, of two that are not the same; or when there are too many. */
static bool seen(struct pcache *p, const struct tb *tb)
{
    u64 id = tb->pc * 0x9e3779b97f4a7c15ull ^ tb->cs_base << 20 ^ (u64)tb->mode << 40;
    const u8 *bytes = tb->source + tb->n_fields * sizeof(struct ir_field);
    for (unsigned i = 0; i < tb->len; i += 8) {
        u64 w = 0;
        memcpy(&w, bytes + i, MIN_OF(8u, tb->len - i));
        id = (id ^ id >> 32 ^ w) * 0xbf58476d1ce4e5b9ull;
    }
    if (!p->seen)
        p->seen = g_new0(u32, SEEN);
    u32 short_id = (u32)(id >> 16) | 1;
    for (u64 i = id >> 45;; i = (i + 1) & (SEEN - 1)) {
        if (p->seen[i] == short_id)
            return true;
        if (p->seen[i])
            continue;
        p->seen[i] = short_id;
        return ++p->n_seen > SEEN / 4 * 3;
    }
}

/* Fills in r but for its sum. 0: the block cannot be kept; else its bytes. */
static u32 record_describe(const struct tb *tb, struct pcache_record *r)
{
    *r = (struct pcache_record){ .pc = tb->pc, .cs_base = tb->cs_base, .cs_limit = tb->cs_limit, .mode = tb->mode, .hash = tb->hash, .len = tb->len,
                                 .n_insns = tb->n_insns, .n_fields = tb->n_fields, .phase = (u8)((u64)tb->code.entry & 63), .moves = tb->moves };
    u32 image = backend_image_bytes(&tb->code, &r->image);
    r->bytes = image ? pcache_image_at(r) + ALIGN_UP(image, 8u) : 0;
    return r->bytes;
}

/* The whole record, with its sum. */
static void record_write(const struct tb *tb, const struct pcache_record *r, u8 *out)
{
    u32 source = tb->n_fields * (u32)sizeof(struct ir_field) + tb->len, at = pcache_image_at(r);
    memcpy(out, r, sizeof(*r));
    memcpy(out + sizeof(*r), tb->source, source);
    memset(out + sizeof(*r) + source, 0, at - sizeof(*r) - source);
    memset(out + r->bytes - 8, 0, 8);
    backend_save(&tb->code, tb, &r->image, out + at);
    ((struct pcache_record *)(void *)out)->sum = pcache_record_sum((const void *)out);
}

void pcache_add(struct pcache *p, const struct tb *tb)
{
    struct pcache_record r;
    if (!p->usable || p->n_seen > SEEN / 4 * 3 || !record_describe(tb, &r) || seen(p, tb))
        return;
    if (!p->added)
        p->added = g_byte_array_sized_new(4 * MiB);
    if (p->added->len + r.bytes > p->limit)
        return;
    guint begin = p->added->len;
    g_byte_array_set_size(p->added, begin + r.bytes);
    record_write(tb, &r, p->added->data + begin);
}

/* --- what goes into the new file --- */
struct chosen {
    const struct pcache_record *r; /* NULL: of tb */
    const struct tb *tb;
    u32 bytes;
    u32 used; /* the last run, this one included */
};

/* Records of what was there, in their order. same: the file is still the one that this run has used. */
static void choose_old(const struct pcache *p, const struct pcache_map *m, bool same, GArray *out)
{
    for (u64 off = sizeof(struct pcache_head); off < m->head->index;) {
        const struct pcache_record *r = pcache_at(m, off);
        if (!r)
            break;
        struct chosen c = { r, NULL, r->bytes, same && p->used[off / PCACHE_USED_UNIT] ? m->head->run + 1 : r->used };
        g_array_append_val(out, c);
        off += r->bytes;
    }
}

/* What is new, for the file of this run; returns the bytes. */
static u64 choose_new(struct pcache *p, struct tb *const *tb, unsigned n, GArray *out)
{
    struct pcache_record r;
    u64 bytes = p->added ? p->added->len : 0;
    for (u64 at = 0; at < bytes; at += r.bytes) {
        struct chosen c = { (const void *)(p->added->data + at), NULL, 0, 0 };
        r.bytes = c.bytes = c.r->bytes;
        g_array_append_val(out, c);
    }
    for (unsigned i = 0; i < n; i++) {
        __builtin_prefetch(tb[MIN_OF(i + 4, n - 1)]);
        struct chosen c = { NULL, tb[i], tb[i]->keep ? record_describe(tb[i], &r) : 0, 0 };
        if (!c.bytes || p->n_seen > SEEN / 4 * 3 || seen(p, tb[i]))
            continue;
        bytes += c.bytes;
        g_array_append_val(out, c);
    }
    return bytes;
}

/* Takes away what is in the file of another process, and says of the rest which run it is of. */
static void sort_out(GArray *all, const struct pcache_map *other, u32 run)
{
    struct pcache_record r;
    unsigned left = 0;
    for (unsigned i = 0; i < all->len; i++) {
        struct chosen *c = &g_array_index(all, struct chosen, i);
        c->used = run;
        if (!other)
            continue;
        if (c->r)
            r = *c->r;
        else
            record_describe(c->tb, &r);
        const u8 *bytes = c->r ? pcache_guest_bytes(c->r) : c->tb->source + r.n_fields * sizeof(struct ir_field);
        const struct pcache_key k = { r.pc, r.cs_base, r.cs_limit, r.mode, r.len, bytes };
        const struct pcache_record *there = pcache_look_up(other, &k, r.hash, &(bool){ 0 });
        if (!there || there->len != r.len)
            g_array_index(all, struct chosen, left++) = *c;
    }
    if (other)
        g_array_set_size(all, left);
}

static int newer_first(const void *a, const void *b)
{
    u32 x = *(const u32 *)a, y = *(const u32 *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Of the records that were used last in this run some may not fit into the limit, and no older ones; 0: all do. */
static u32 oldest_run(const GArray *all, u64 limit)
{
    u64 bytes = sizeof(struct pcache_head);
    for (unsigned i = 0; i < all->len; i++)
        bytes += g_array_index(all, struct chosen, i).bytes + 4 * sizeof(struct pcache_place);
    if (bytes <= limit)
        return 0;
    g_autofree u32 *runs = g_new(u32, all->len);
    for (unsigned i = 0; i < all->len; i++)
        runs[i] = g_array_index(all, struct chosen, i).used;
    qsort(runs, all->len, sizeof(*runs), newer_first);
    u64 per = bytes / all->len + 1, fit = limit / per;
    return fit ? runs[MIN_OF(fit, (u64)all->len) - 1] : ~0u;
}

/* --- writing --- */
struct writer {
    int fd;
    bool failed;
    u8 *buf;
    size_t fill;
    u64 off, limit;
    struct pcache_place *index;
    struct pcache_head head;
};

static void flush(struct writer *w)
{
    for (size_t done = 0; done < w->fill && !w->failed;) {
        ssize_t n = write(w->fd, w->buf + done, w->fill - done);
        if (n <= 0 && errno != EINTR)
            w->failed = true;
        else if (n > 0)
            done += (size_t)n;
    }
    w->fill = 0;
}

/* Room for the next n bytes of the file. */
static u8 *take(struct writer *w, size_t n)
{
    if (w->fill + n > CHUNK)
        flush(w);
    u8 *at = w->buf + w->fill;
    w->fill += n;
    w->off += n;
    return at;
}

static void put_record(struct writer *w, const struct chosen *c)
{
    struct pcache_record described;
    const struct pcache_record *from = c->r ? c->r : &described;
    u32 here = (u32)(w->off / 8);
    if (c->bytes > CHUNK || w->off + c->bytes > w->limit)
        return;
    struct pcache_record *r = (void *)take(w, c->bytes);
    if (c->r) {
        memcpy(r, c->r, c->bytes);
    } else {
        record_describe(c->tb, &described);
        record_write(c->tb, from, (u8 *)r);
    }
    r->used = c->used;
    u32 place = from->hash;
    while (w->index[place & MASK64(w->head.index_bits)].at)
        place++;
    w->index[place & MASK64(w->head.index_bits)] = (struct pcache_place){ from->hash, here };
    w->head.records++;
}

/* Records of runs behind `oldest`, and of that one as far as there is room. */
static bool write_file(struct writer *w, const struct pcache *p, const GArray *all, u32 oldest)
{
    memcpy(w->head.magic, PCACHE_MAGIC, sizeof(w->head.magic));
    memcpy(w->head.key, p->key, sizeof(w->head.key));
    while (w->head.index_bits < 24 && 1u << w->head.index_bits < 2 * all->len)
        w->head.index_bits++;
    u32 places = 1u << w->head.index_bits;
    w->buf = g_malloc(CHUNK);
    w->index = g_new0(struct pcache_place, places);
    w->limit = p->limit - MIN_OF(p->limit, places * sizeof(w->index[0]));
    take(w, sizeof(w->head));
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < all->len && w->head.records < places / 2; i++) {
            const struct chosen *c = &g_array_index(all, struct chosen, i);
            if (pass ? c->used == oldest : c->used > oldest)
                put_record(w, c);
        }
    w->head.index = w->off;
    for (u32 i = 0; i < places; i += CHUNK / 16) {
        size_t n = MIN_OF(CHUNK / 16, places - i) * sizeof(w->index[0]);
        memcpy(take(w, n), w->index + i, n);
    }
    w->head.bytes = w->off;
    w->head.sum = pcache_sum(&w->head.key, sizeof(w->head) - offsetof(struct pcache_head, key));
    flush(w);
    if (pwrite(w->fd, &w->head, sizeof(w->head), 0) != sizeof(w->head))
        w->failed = true;
    g_free(w->buf);
    g_free(w->index);
    return !w->failed;
}

/* --- the directory --- */
struct old_file {
    char *name;
    i64 time;
};

static int by_time(const void *a, const void *b)
{
    i64 x = ((const struct old_file *)a)->time, y = ((const struct old_file *)b)->time;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Files of other builds are removed, but for the newest. */
static void drop_others(const struct pcache *p)
{
    struct old_file f[64];
    unsigned n = 0;
    struct stat st;
    const char *name;
    g_autoptr(GDir) dir = g_dir_open(p->dir, 0, NULL);
    while (dir && n < ARRAY_LEN(f) && (name = g_dir_read_name(dir)))
        if (g_str_has_prefix(name, "dbt-") && strcmp(name, p->name) && !fstatat(p->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
            f[n++] = (struct old_file){ g_strdup(name), st.st_mtime };
    qsort(f, n, sizeof(f[0]), by_time);
    for (unsigned i = 0; i < n; i++) {
        if (i >= FILES_KEPT - 1)
            unlinkat(p->dir_fd, f[i].name, 0);
        g_free(f[i].name);
    }
}

static void replace_file(struct pcache *p, GArray *all)
{
    struct pcache_map m;
    struct writer w = { 0 };
    g_autofree char *temp = g_strdup_printf("dbt-new-%d", (int)getpid());
    bool any = pcache_map_file(p, &m), same = any && m.inode == p->map.inode && m.bytes == p->map.bytes;
    w.head.run = any ? m.head->run + 1 : 1;
    sort_out(all, any && !same ? &m : NULL, w.head.run);
    bool news = all->len;
    if (news && any)
        choose_old(p, &m, same, all);
    if (news) {
        unlinkat(p->dir_fd, temp, 0);
        w.fd = openat(p->dir_fd, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (w.fd < 0 || !write_file(&w, p, all, oldest_run(all, p->limit)) || renameat(p->dir_fd, temp, p->dir_fd, p->name)) {
            warn_report("%s: %s; no code is kept", p->dir, strerror(errno));
            unlinkat(p->dir_fd, temp, 0);
        }
        if (w.fd >= 0)
            close(w.fd);
        drop_others(p);
    }
    pcache_unmap(&m);
}

void pcache_save(struct pcache *p, struct tb *const *tb, unsigned n)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(struct chosen));
    u64 news = p->usable ? choose_new(p, tb, n, all) : 0;
    if (!news || news * WORTH < p->map.bytes)
        return;
    int lock = openat(p->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock >= 0 && !flock(lock, LOCK_EX | LOCK_NB)) /* who is not first loses what is new of this run */
        replace_file(p, all);
    if (lock >= 0)
        close(lock);
}
