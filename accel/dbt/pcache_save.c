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
#define FILES_KEPT 4    /* of builds, hosts and guest CPUs, the one that is written included */
#define CHUNK (256 * KiB)
#define SEEN (1u << 19) /* a power of 2; three quarters of it are the most that is collected */

/* --- collecting --- */
/* Whether a block with the same bytes at the same place has come before. */
static bool seen(struct pcache *p, const struct tb *tb)
{
    u64 id = tb->pc * 0x9e3779b97f4a7c15ull ^ tb->cs_base << 20 ^ (u64)tb->mode << 40;
    for (unsigned i = 0; i < tb->len; i++)
        id = (id ^ tb->source[tb->n_fields * sizeof(struct ir_field) + i]) * 0x100000001b3ull;
    if (!p->seen)
        p->seen = g_new0(u64, SEEN);
    for (u64 i = id >> 32 & (SEEN - 1);; i = (i + 1) & (SEEN - 1)) {
        if (p->seen[i] == id)
            return true;
        if (p->seen[i])
            continue;
        p->seen[i] = id;
        return ++p->n_seen > SEEN / 4 * 3;
    }
}

void pcache_add(struct pcache *p, const struct tb *tb)
{
    struct pcache_record r = { .pc = tb->pc, .cs_base = tb->cs_base, .cs_limit = tb->cs_limit, .mode = tb->mode, .hash = tb->hash, .len = tb->len,
                               .n_insns = tb->n_insns, .n_fields = tb->n_fields, .phase = (u8)((u64)tb->code.entry & 63), .moves = tb->moves };
    u32 image = backend_image_bytes(&tb->code, &r.image);
    if (!p->usable || !image || p->n_seen > SEEN / 4 * 3 || seen(p, tb))
        return;
    u32 source = tb->n_fields * (u32)sizeof(struct ir_field) + tb->len, at = pcache_image_at(&r);
    r.bytes = at + ALIGN_UP(image, 8u);
    if (!p->added)
        p->added = g_byte_array_sized_new(4 * MiB);
    if (p->added->len + r.bytes > p->limit)
        return;
    guint begin = p->added->len;
    g_byte_array_set_size(p->added, begin + r.bytes);
    u8 *out = p->added->data + begin;
    memcpy(out, &r, sizeof(r));
    memcpy(out + sizeof(r), tb->source, source);
    memset(out + sizeof(r) + source, 0, at - sizeof(r) - source);
    backend_save(&tb->code, tb, &r.image, out + at);
    memset(out + at + image, 0, r.bytes - at - image);
    ((struct pcache_record *)(void *)out)->sum = pcache_record_sum((const void *)out);
    p->n_added++;
    p->st.added++;
}

/* --- what goes into the new file --- */
struct chosen {
    const struct pcache_record *r;
    u32 used; /* the last run, this one included */
};

/* Records of what was there, in their order. */
static void choose_old(const struct pcache *p, const struct pcache_map *m, GArray *out)
{
    bool same = p->map.head && m->inode == p->map.inode && m->bytes == p->map.bytes; /* else another process has written it since */
    for (u64 off = sizeof(struct pcache_head); off < m->head->index;) {
        const struct pcache_record *r = pcache_at(m, off);
        if (!r)
            break;
        struct chosen c = { r, same && p->used[off / PCACHE_USED_UNIT] ? m->head->run + 1 : r->used };
        g_array_append_val(out, c);
        off += r->bytes;
    }
}

/* There is a record for the same code already. */
static bool has(const struct pcache_map *m, const struct pcache_record *r)
{
    const struct pcache_key k = { r->pc, r->cs_base, r->cs_limit, r->mode, r->len, pcache_guest_bytes(r) };
    const u32 *index = (const void *)((const u8 *)m->head + m->head->index);
    u64 off = (u64)index[r->hash & MASK64(m->head->index_bits)] * 8;
    for (unsigned i = 0; off && i < 64; i++) {
        const struct pcache_record *o = pcache_at(m, off);
        if (!o)
            return false;
        if (o->hash == r->hash && o->len == r->len && pcache_matches(o, &k))
            return true;
        off = (u64)o->next * 8;
    }
    return false;
}

static void choose_new(const struct pcache *p, const struct pcache_map *m, u32 run, GArray *out)
{
    for (guint at = 0; at < p->added->len;) {
        struct chosen c = { (const void *)(p->added->data + at), run };
        if (!m->head || !has(m, c.r))
            g_array_append_val(out, c);
        at += c.r->bytes;
    }
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
        bytes += g_array_index(all, struct chosen, i).r->bytes + 2 * sizeof(u32);
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
    u32 *index;
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

static void *put(struct writer *w, const void *bytes, size_t n)
{
    if (w->fill + n > CHUNK)
        flush(w);
    void *at = w->buf + w->fill;
    memcpy(at, bytes, n);
    w->fill += n;
    w->off += n;
    return at;
}

static void put_record(struct writer *w, const struct chosen *c)
{
    if (c->r->bytes > CHUNK || w->off + c->r->bytes > w->limit)
        return;
    u32 *place = &w->index[c->r->hash & MASK64(w->head.index_bits)], here = (u32)(w->off / 8);
    struct pcache_record *r = put(w, c->r, c->r->bytes);
    r->next = *place;
    r->used = c->used;
    *place = here;
    w->head.records++;
}

/* Records of runs behind `oldest`, and of that one as far as there is room. */
static bool write_file(struct writer *w, const struct pcache *p, const GArray *all, u32 oldest)
{
    memcpy(w->head.magic, PCACHE_MAGIC, sizeof(w->head.magic));
    memcpy(w->head.key, p->key, sizeof(w->head.key));
    while (w->head.index_bits < 24 && 1u << w->head.index_bits < all->len)
        w->head.index_bits++;
    w->buf = g_malloc(CHUNK);
    w->index = g_new0(u32, 1u << w->head.index_bits);
    w->limit = p->limit;
    put(w, &w->head, sizeof(w->head));
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < all->len; i++) {
            const struct chosen *c = &g_array_index(all, struct chosen, i);
            if (pass ? c->used == oldest : c->used > oldest)
                put_record(w, c);
        }
    w->head.index = w->off;
    for (size_t i = 0; i < 1u << w->head.index_bits; i += CHUNK / 8)
        put(w, w->index + i, MIN_OF(CHUNK / 8, (1u << w->head.index_bits) - i) * sizeof(u32));
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

static void replace_file(struct pcache *p)
{
    struct pcache_map m;
    struct writer w = { 0 };
    g_autofree char *temp = g_strdup_printf("dbt-new-%d", (int)getpid());
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(struct chosen));
    bool any = pcache_map_file(p, &m);
    w.head.run = any ? m.head->run + 1 : 1;
    choose_new(p, &m, w.head.run, all);
    bool news = all->len;
    if (news && any)
        choose_old(p, &m, all);
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

void pcache_save(struct pcache *p)
{
    if (!p->added || !p->usable || (u64)p->added->len * WORTH < p->map.bytes)
        return;
    int lock = openat(p->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock >= 0 && !flock(lock, LOCK_EX | LOCK_NB)) /* who is not first loses what is new of this run */
        replace_file(p);
    if (lock >= 0)
        close(lock);
}
