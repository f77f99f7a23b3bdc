/* The persistent cache's file: opening, looking up. See pcache.h for the form and the locks; pcache_save.c writes. */
#include "accel/dbt/pcache.h"
#include <cpuid.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "accel/dbt/pcache_file.h"
#include "cpu/cpuid.h"
#include "util/err.h"

struct pcache *pcache_new(const char *dir, u64 limit)
{
    struct pcache *p = g_new0(struct pcache, 1);
    p->dir = dir ? g_strdup(dir) : g_build_filename(g_get_user_cache_dir(), "gemel", NULL);
    p->limit = MIN_OF(limit, PCACHE_FILE_MAX);
    p->dir_fd = -1;
    p->named = dir;
    return p;
}

bool pcache_is_open(const struct pcache *p) { return p->opened; }
struct pcache_stats *pcache_stats(struct pcache *p) { return &p->st; }

void pcache_info(const struct pcache *p, GString *out)
{
    const struct pcache_stats *s = &p->st;
    g_string_append_printf(out, "kept code       %llu KiB, %u blocks in the file\nfrom it         %llu blocks (%llu guest instructions)\n"
                           "not from it     %llu absent, %llu for other bytes, %llu damaged, %llu not for this place\n",
                           (unsigned long long)(p->map.bytes / KiB), p->map.head ? p->map.head->records : 0, (unsigned long long)s->found,
                           (unsigned long long)s->insns, (unsigned long long)s->absent, (unsigned long long)s->differs, (unsigned long long)s->damaged,
                           (unsigned long long)s->unfit);
    if (s->checked)
        g_string_append_printf(out, "checked         %llu blocks, %llu wrong\n", (unsigned long long)s->checked, (unsigned long long)s->wrong);
}

void pcache_free(struct pcache *p)
{
    if (!p)
        return;
    pcache_unmap(&p->map);
    if (p->dir_fd >= 0)
        close(p->dir_fd);
    if (p->added)
        g_byte_array_free(p->added, TRUE);
    g_free(p->seen);
    g_free(p->used);
    g_free(p->dir);
    g_free(p->name);
    g_free(p);
}

/* --- sums --- */
#define CPUID1_SSE42 (1u << 20)
__attribute__((target("sse4.2"))) static u32 sum_host(const u64 *w, size_t n)
{
    u64 c = ~0u;
    for (size_t i = 0; i < n; i++)
        c = __builtin_ia32_crc32di(c, w[i]);
    return (u32)c;
}

u32 pcache_sum(const void *bytes, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? sum_host(bytes, n / 8) : (u32)crc32_z(0, bytes, n);
}

u32 pcache_record_sum(const struct pcache_record *r)
{
    return pcache_sum(&r->pc, r->bytes - offsetof(struct pcache_record, pc));
}

/* --- whose file it is --- */
/* The linker's note of what the program was built from. */
static int find_build_id(struct dl_phdr_info *i, size_t size, void *opaque)
{
    for (unsigned n = 0; n < i->dlpi_phnum; n++) {
        const ElfW(Phdr) *h = &i->dlpi_phdr[n];
        const u8 *at = (const u8 *)(i->dlpi_addr + h->p_vaddr), *end = at + h->p_memsz;
        while (h->p_type == PT_NOTE && at + sizeof(ElfW(Nhdr)) <= end) {
            const ElfW(Nhdr) *note = (const void *)at;
            const u8 *name = at + sizeof(*note), *desc = name + ALIGN_UP(note->n_namesz, 4u);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(name, "GNU", 4)) {
                g_checksum_update(opaque, desc, note->n_descsz);
                return 1;
            }
            at = desc + ALIGN_UP(note->n_descsz, 4u);
        }
    }
    return -1; /* only the program itself, which is the first */
}

/* All that code depends on but for the guest's. False: the program does not say which it is. */
static bool make_key(struct pcache *p, const u64 *feat)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize n = sizeof(p->key);
    u32 id[4 * 3] = { 0 };
    const u64 identity = backend_identity(), version = PCACHE_VERSION;
    if (dl_iterate_phdr(find_build_id, sum) != 1)
        return false;
    __get_cpuid_count(0, 0, &id[0], &id[1], &id[2], &id[3]);
    __get_cpuid_count(1, 0, &id[4], &id[5], &id[6], &id[7]);
    __get_cpuid_count(7, 0, &id[8], &id[9], &id[10], &id[11]);
    id[5] = 0; /* which CPU this is */
    g_checksum_update(sum, (const u8 *)id, sizeof(id));
    g_checksum_update(sum, (const u8 *)&identity, sizeof(identity));
    g_checksum_update(sum, (const u8 *)&version, sizeof(version));
    g_checksum_update(sum, (const u8 *)feat, FEAT_WORDS * sizeof(u64));
    p->name = g_strdup_printf("dbt-%.16s", g_checksum_get_string(sum));
    g_checksum_get_digest(sum, p->key, &n);
    return true;
}

/* --- opening --- */
/* Nobody but this user may have written it. */
static bool is_mine(int fd, mode_t type)
{
    struct stat st;
    return !fstat(fd, &st) && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static bool open_dir(struct pcache *p)
{
    if (g_mkdir_with_parents(p->dir, 0700)) {
        if (p->named)
            warn_report("-accel dbt,cache=%s: %s; no code is kept", p->dir, strerror(errno));
        return false;
    }
    p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (p->dir_fd >= 0 && is_mine(p->dir_fd, S_IFDIR))
        return true;
    warn_report("%s: not a directory of this user's that others cannot write; no code is kept there", p->dir);
    return false;
}

void pcache_unmap(struct pcache_map *m)
{
    if (m->head)
        munmap((void *)m->head, m->bytes);
    *m = (struct pcache_map){ 0 };
}

static bool head_ok(const struct pcache *p, const struct pcache_head *h, u64 size)
{
    return !memcmp(h->magic, PCACHE_MAGIC, sizeof(h->magic)) && !memcmp(h->key, p->key, sizeof(h->key)) && h->bytes == size && h->index < size &&
           h->index % 8 == 0 && h->index_bits < 32 && (sizeof(struct pcache_place) << h->index_bits) == size - h->index &&
           h->sum == pcache_sum(&h->key, sizeof(*h) - offsetof(struct pcache_head, key));
}

bool pcache_map_file(struct pcache *p, struct pcache_map *m)
{
    struct stat st;
    int fd = openat(p->dir_fd, p->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    *m = (struct pcache_map){ 0 };
    if (fd < 0)
        return false;
    if (!is_mine(fd, S_IFREG)) {
        warn_report("%s/%s: not a file of this user's that others cannot write; it is not used", p->dir, p->name);
    } else if (!fstat(fd, &st) && st.st_size >= (off_t)sizeof(struct pcache_head) && st.st_size <= (off_t)PCACHE_FILE_MAX) {
        void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at != MAP_FAILED)
            *m = (struct pcache_map){ at, (u64)st.st_size, (u64)st.st_ino };
        if (at != MAP_FAILED && !head_ok(p, at, m->bytes))
            pcache_unmap(m);
    }
    close(fd);
    return m->head;
}

void pcache_open(struct pcache *p, const u64 *feat)
{
    p->opened = true;
    if (!make_key(p, feat) || !open_dir(p))
        return;
    p->usable = true;
    if (pcache_map_file(p, &p->map))
        p->used = g_malloc0(p->map.bytes / PCACHE_USED_UNIT + 1);
}

/* --- looking up --- */
static bool key_moves(const struct pcache_key *k)
{
    return (k->mode & (MODE_SIZE | MODE_COUNT)) == MODE_64 && mode_cpl(k->mode) < 3 && ir_moving(k->pc);
}

/* A kernel moves by whole 2 MiB, a module by pages. Of code that moves, only so many bytes count that no more than two of a field are among them, which
 * such distances leave alone. */
u32 pcache_hash(const struct pcache_key *k)
{
    bool moves = key_moves(k);
    u64 bytes = 0, place = k->pc;
    if (moves)
        place &= k->pc < 0xffffffffc0000000ull ? 2 * MiB - 1 : PAGE_SIZE - 1;
    else if (ir_mode_rel(k->mode))
        place &= PAGE_SIZE - 1;
    memcpy(&bytes, k->bytes, MIN_OF(moves ? 3u : 8u, k->n));
    u64 h = (bytes ^ place << 24 ^ place >> 40 ^ (u64)k->mode << 45) * 0x9e3779b97f4a7c15ull;
    h = (h ^ h >> 29 ^ k->cs_base) * 0xbf58476d1ce4e5b9ull;
    return (u32)(h >> 32);
}

const struct pcache_record *pcache_at(const struct pcache_map *m, u64 off)
{
    const struct pcache_record *r = (const void *)((const u8 *)m->head + off);
    if (off < sizeof(struct pcache_head) || off + sizeof(*r) > m->head->index || r->bytes % 8 || r->bytes < sizeof(*r) || off + r->bytes > m->head->index)
        return NULL;
    return r;
}

/* Its parts are where they should be. */
static bool record_ok(const struct pcache_record *r)
{
    u32 at = pcache_image_at(r), image = r->bytes - at;
    if (!r->len || r->len > PCACHE_GUEST_MAX || r->n_fields > IR_FIELDS_MAX || at > r->bytes || pcache_record_sum(r) != r->sum)
        return false;
    for (unsigned i = 0; i < r->n_fields; i++)
        if (pcache_fields(r)[i].off + 4u > r->len)
            return false;
    return image % 8 == 0 && (backend_image_fits(&r->image, image) || backend_image_fits(&r->image, image - 4));
}

/* The bytes of code that lies `delta` further on. False: they would not be that code. */
static bool move_fields(const struct pcache_record *r, u8 *bytes, u64 delta)
{
    for (unsigned i = 0; i < r->n_fields; i++) {
        const struct ir_field *f = &pcache_fields(r)[i];
        if (f->off + 4u > r->len)
            return false;
        u64 v = sext(ld32(bytes + f->off), 4), to = f->kind == IR_FIELD_MOVES ? v + delta : v - delta;
        if (f->kind == IR_FIELD_MOVES ? !ir_moving(to) : to != sext(to, 4))
            return false;
        st32(bytes + f->off, (u32)to);
    }
    return true;
}

bool pcache_matches(const struct pcache_record *r, const struct pcache_key *k)
{
    const u64 in_page = PAGE_SIZE - 1;
    u8 bytes[PCACHE_GUEST_MAX];
    if (r->mode != k->mode || r->len > k->n || r->len > sizeof(bytes) || r->n_fields > IR_FIELDS_MAX || pcache_image_at(r) > r->bytes || (r->pc ^ k->pc) & in_page)
        return false;
    if (!r->moves || r->pc == k->pc) {
        bool place = ir_mode_rel(k->mode) || (r->pc == k->pc && r->cs_base == k->cs_base && r->cs_limit == k->cs_limit);
        return place && !memcmp(pcache_guest_bytes(r), k->bytes, r->len);
    }
    memcpy(bytes, pcache_guest_bytes(r), r->len);
    return key_moves(k) && move_fields(r, bytes, k->pc - r->pc) && !memcmp(bytes, k->bytes, r->len);
}

const struct pcache_record *pcache_look_up(const struct pcache_map *m, const struct pcache_key *k, u32 hash, bool *any)
{
    const struct pcache_place *index = (const void *)((const u8 *)m->head + m->head->index);
    u32 mask = (u32)MASK64(m->head->index_bits);
    for (unsigned i = 0; i < PCACHE_PLACES; i++) {
        const struct pcache_place *at = &index[(hash + i) & mask];
        if (!at->at)
            break;
        if (at->hash != hash)
            continue;
        const struct pcache_record *r = pcache_at(m, (u64)at->at * 8);
        *any = true;
        if (r && r->hash == hash && pcache_matches(r, k))
            return r;
    }
    return NULL;
}

const struct pcache_record *pcache_find(struct pcache *p, const struct pcache_key *k, u32 hash)
{
    bool any = false;
    const struct pcache_record *r = p->map.head ? pcache_look_up(&p->map, k, hash, &any) : NULL;
    if (!r) {
        any ? p->st.differs++ : p->st.absent++;
        return NULL;
    }
    if (!record_ok(r)) {
        p->st.damaged++;
        return NULL;
    }
    p->used[((const u8 *)r - (const u8 *)p->map.head) / PCACHE_USED_UNIT] = 1;
    p->st.found++;
    return r;
}
