/* The persistent cache's file: what is kept is found again, by the same code and by a kernel's that has moved; damaged, cut, foreign files lead to nothing
 * worse than not finding; two writers; the bound. */
#include "accel/dbt/pcache.h"
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "accel/dbt/pcache_file.h"
#include "tests/lib/kept_block.h"
#include "cpu/cpuid.h"
#include "cpu/lift/lift.h"
#include "tests/lib/fake_cpu.h"

#define BLOCKS 200
#define KERNEL 0xffffffff81000000ull
#define MOVED 0x1e600000ull

/* --- what emitted code calls; nothing is run --- */
struct tb *tb_by_host_pc(const void *pc) { return NULL; }
const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc) { g_assert_not_reached(); }

static u64 feat[FEAT_WORDS];
static struct tb *block[BLOCKS];
static struct tb_store store; /* theirs */
static u8 guest[BLOCKS][64];
static char *dir;

/* --- blocks --- */
static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    unsigned at = pc & 63;
    n = MIN_OF(n, 64 - at);
    memcpy(buf, (u8 *)opaque + at, n);
    return (int)n;
}

static u64 block_pc(unsigned i) { return KERNEL + i * 0x40ull; }

static struct pcache_key key_of(unsigned i, u64 delta)
{
    return (struct pcache_key){ block[i]->pc + delta, 0, 0, block[i]->mode, 64, guest[i] };
}

/* mov $address, %rdi; mov variable(%rip), %eax; add $i, %eax; jmp elsewhere */
static void block_make(struct fake_cpu *f, unsigned i)
{
    static struct ir_block b;
    const u8 code[] = { 0x48, 0xc7, 0xc7, (u8)i, 0x10, 0xa0, 0x82, 0x8b, 0x05, 0x10, 0x20, 0x30, 0x00, 0x05, (u8)i, (u8)(i >> 8), 0, 0, 0xe9, 0, 0x10, 0, 0 };
    memcpy(guest[i], code, sizeof(code));
    g_assert_cmpint(lift_block(&b, f->c, block_pc(i), 48, fetch, guest[i]), ==, 4);
    struct tb *tb = block[i] = kept_block(&store, &b, guest[i]);
    struct pcache_key k = key_of(i, 0);
    tb->hash = pcache_hash(&k);
}

static struct pcache *open_cache(u64 limit)
{
    struct pcache *p = pcache_new(dir, limit);
    pcache_open(p, feat);
    return p;
}

static const struct pcache_record *find(struct pcache *p, unsigned i, u64 delta)
{
    struct pcache_key k = key_of(i, delta);
    return pcache_find(p, &k, pcache_hash(&k));
}

/* As a run does that makes these blocks and drops half of them. */
static void save_blocks(unsigned from, unsigned n)
{
    struct pcache *p = open_cache(64 * MiB);
    for (unsigned i = from; i < from + n; i++)
        block[i]->keep = !find(p, i, 0);
    for (unsigned i = from; i < from + n / 2; i++)
        if (block[i]->keep)
            pcache_add(p, block[i]);
    pcache_save(p, block + from + n / 2, n - n / 2);
    pcache_free(p);
}

/* How many are found; each must be the right one. */
static unsigned count(struct pcache *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        const struct pcache_record *r = find(p, i, 0);
        if (!r)
            continue;
        n++;
        g_assert_cmpmem(pcache_guest_bytes(r), r->len, guest[i], block[i]->len);
        g_assert_cmpint(backend_same(&block[i]->code, block[i], block[i]->pc, block[i]->mode, &r->image, pcache_image_bytes(r), r->pc), ==, 1);
    }
    return n;
}

static unsigned count_saved(void)
{
    struct pcache *p = open_cache(64 * MiB);
    unsigned n = count(p);
    pcache_free(p);
    return n;
}

static char *file_name(void)
{
    struct pcache *p = open_cache(64 * MiB);
    char *name = g_build_filename(dir, p->name, NULL);
    pcache_free(p);
    return name;
}

static void clear(void)
{
    g_autofree char *name = file_name();
    unlink(name);
}

/* --- tests --- */
static void test_found(void)
{
    clear();
    g_assert_cmpuint(count_saved(), ==, 0);
    save_blocks(0, 100);
    g_assert_cmpuint(count_saved(), ==, 100);
    save_blocks(50, 100); /* half of them are there */
    g_assert_cmpuint(count_saved(), ==, 150);
    struct pcache *p = open_cache(64 * MiB);
    g_assert_cmpuint(p->map.head->records, ==, 150);
    g_assert_cmpuint(p->map.head->run, ==, 2);
    pcache_free(p);
}

/* The kernel lies elsewhere. */
static void test_moved(void)
{
    clear();
    save_blocks(0, BLOCKS);
    struct pcache *p = open_cache(64 * MiB);
    for (unsigned i = 0; i < BLOCKS; i++) {
        g_assert_null(find(p, i, MOVED)); /* its addresses have not moved with it */
        st32(guest[i] + 3, ld32(guest[i] + 3) + (u32)MOVED);
        const struct pcache_record *r = find(p, i, MOVED);
        g_assert_nonnull(r);
        struct compiled out;
        struct tb *tb = aligned_alloc(64, sizeof(*tb));
        const struct image_place at = { block[i]->pc + MOVED, r->pc, r->mode, false };
        g_assert_cmpint(backend_load(&r->image, pcache_image_bytes(r), &at, tb, &out), ==, 0);
        g_assert_cmpuint(out.pc, ==, block[i]->pc + MOVED);
        free(tb);
        g_assert_null(find(p, i, MOVED + PAGE_SIZE));
        guest[i][9]++; /* another variable */
        g_assert_null(find(p, i, MOVED));
        guest[i][9]--;
        st32(guest[i] + 3, ld32(guest[i] + 3) - (u32)MOVED);
    }
    pcache_free(p);
}

static void test_killed(void)
{
    clear();
    const unsigned last = BLOCKS - 1; /* no other test looks at its code */
    struct compiled was = block[last]->code;
    u8 entry[16];
    memcpy(entry, was.entry, sizeof(entry));
    backend_kill_block(&block[last]->code);
    g_assert_cmpint(memcmp(entry, was.entry, sizeof(entry)), !=, 0);
    save_blocks(last, 1);
    struct pcache *p = open_cache(64 * MiB);
    const struct pcache_record *r = find(p, last, 0);
    g_assert_nonnull(r);
    g_assert_cmpmem(pcache_image_bytes(r), 16, entry, 16);
    pcache_free(p);
}

static void write_file(const char *name, const char *data, gsize n)
{
    unlink(name); /* a file that is cut and written anew has to be on the disk before long */
    FILE *f = fopen(name, "we");
    g_assert_nonnull(f);
    g_assert_cmpuint(fwrite(data, 1, n, f), ==, n);
    g_assert_cmpint(fclose(f), ==, 0);
}

/* Whatever byte is another one, what is found is right: count() looks at all of it. */
static void test_damaged(void)
{
    clear();
    save_blocks(10, 30);
    g_autofree char *name = file_name(), *data = NULL;
    gsize n;
    g_assert_true(g_file_get_contents(name, &data, &n, NULL));
    for (unsigned i = 0; i < 1500; i++) {
        g_autofree char *bad = g_memdup2(data, n);
        unsigned changes = (unsigned)g_random_int_range(1, 4);
        while (changes--)
            bad[g_random_int_range(0, (gint32)n)] ^= (char)g_random_int_range(1, 256);
        write_file(name, bad, n);
        g_assert_cmpuint(count_saved(), <=, 30);
    }
    for (gsize cut = 0; cut < n; cut += 1 + n / 200) {
        write_file(name, data, cut);
        g_assert_cmpuint(count_saved(), ==, 0);
    }
    save_blocks(10, 30); /* a cut file is replaced */
    g_assert_cmpuint(count_saved(), ==, 30);
}

static void expect_warning(const char *what)
{
    g_test_trap_subprocess(what, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*not a *of this user's*");
}

static void refused(void)
{
    g_assert_cmpuint(count_saved(), ==, 0);
}

static void test_foreign(void)
{
    clear();
    save_blocks(0, 20);
    g_autofree char *name = file_name(), *moved = g_strconcat(name, "-moved", NULL);
    g_assert_cmpuint(count_saved(), ==, 20);
    g_chmod(name, 0620);
    expect_warning("/pcache/foreign/subprocess/refused");
    g_chmod(name, 0600);
    g_chmod(dir, 0770);
    expect_warning("/pcache/foreign/subprocess/refused");
    g_chmod(dir, 0700);
    if (!geteuid() && !chown(name, 1, (gid_t)-1)) {
        expect_warning("/pcache/foreign/subprocess/refused");
        g_assert_cmpint(chown(name, 0, (gid_t)-1), ==, 0);
    }
    g_assert_cmpuint(count_saved(), ==, 20);
    g_assert_cmpint(rename(name, moved), ==, 0);
    g_assert_cmpint(symlink(moved, name), ==, 0);
    g_assert_cmpuint(count_saved(), ==, 0);
    unlink(name);
    unlink(moved);
}

/* Another guest CPU's is another file. */
static void test_features(void)
{
    clear();
    save_blocks(0, 20);
    feat[0] ^= 2;
    g_assert_cmpuint(count_saved(), ==, 0);
    feat[0] ^= 2;
    g_assert_cmpuint(count_saved(), ==, 20);
}

/* Both had the same file, or none, when they began. */
static void test_two(void)
{
    clear();
    struct pcache *a = open_cache(64 * MiB), *b = open_cache(64 * MiB);
    for (unsigned i = 0; i < 40; i++)
        pcache_add(i < 20 ? a : b, block[i]);
    pcache_save(a, NULL, 0);
    pcache_save(b, NULL, 0);
    pcache_free(a);
    g_assert_cmpuint(count_saved(), ==, 40);
    pcache_free(b);
}

/* What was used last stays. */
static void test_bound(void)
{
    clear();
    save_blocks(0, 100);
    struct stat st;
    g_autofree char *name = file_name();
    g_assert_cmpint(stat(name, &st), ==, 0);
    struct pcache *p = open_cache((u64)st.st_size);
    for (unsigned i = 20; i < 80; i++)
        g_assert_nonnull(find(p, i, 0));
    for (unsigned i = 100; i < 130; i++)
        pcache_add(p, block[i]);
    pcache_save(p, NULL, 0);
    pcache_free(p);
    struct stat after;
    g_assert_cmpint(stat(name, &after), ==, 0);
    g_assert_cmpint(after.st_size, <=, st.st_size + 1024);
    p = open_cache(64 * MiB);
    for (unsigned i = 20; i < 130; i++)
        if (i < 80 || i >= 100)
            g_assert_nonnull(find(p, i, 0));
    g_assert_cmpuint(count(p), <, 120);
    pcache_free(p);
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    g_test_init(&argc, &argv, NULL);
    insn_table_init();
    if (backend_init(8 * MiB, &e))
        g_error("%s", e.msg);
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    for (unsigned i = 0; i < BLOCKS; i++)
        block_make(f, i);
    const char *inherited = g_getenv("PCACHE_TEST_DIR");
    g_autofree char *made = inherited ? NULL : g_dir_make_tmp("pcache-XXXXXX", NULL);
    dir = g_strdup(inherited ? inherited : made);
    g_setenv("PCACHE_TEST_DIR", dir, TRUE);
    g_test_add_func("/pcache/foreign/subprocess/refused", refused);
    g_test_add_func("/pcache/found", test_found);
    g_test_add_func("/pcache/moved", test_moved);
    g_test_add_func("/pcache/killed", test_killed);
    g_test_add_func("/pcache/damaged", test_damaged);
    g_test_add_func("/pcache/foreign", test_foreign);
    g_test_add_func("/pcache/features", test_features);
    g_test_add_func("/pcache/two", test_two);
    g_test_add_func("/pcache/bound", test_bound);
    int ret = g_test_run();
    if (!inherited) {
        clear();
        g_autofree char *lock = g_build_filename(dir, "lock", NULL);
        unlink(lock);
        rmdir(dir);
    }
    return ret;
}
