/* Fuzz target: the persistent cache's file, changed as the input says: pairs of where and what, then where it is cut. It is refused, or what is found in it
 * is what was kept. */
#include "tests/fuzz/fuzz.h"
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include "accel/dbt/pcache_file.h"
#include "tests/lib/kept_block.h"
#include "cpu/cpuid.h"
#include "cpu/lift/lift.h"
#include "tests/lib/fake_cpu.h"

/* --- what emitted code calls; nothing is run --- */
struct tb *tb_by_host_pc(const void *pc) { return NULL; }
const void *dbt_lookup(struct cpu *c) { return NULL; }
void *dbt_slow_probe(struct cpu *c, u64 addr, u32 size_acc) { g_assert_not_reached(); }

#define BLOCKS 24
static const u64 feat[FEAT_WORDS];
static struct tb *block[BLOCKS];
static struct tb_store store; /* theirs */
static u8 guest[BLOCKS][64];
static char *dir, *name;
static u8 *file;
static gsize bytes;

static int fetch(void *opaque, u64 pc, u8 *buf, unsigned n)
{
    unsigned at = pc & 63;
    n = MIN_OF(n, 64 - at);
    memcpy(buf, (u8 *)opaque + at, n);
    return (int)n;
}

static struct pcache_key key_of(unsigned i) { return (struct pcache_key){ block[i]->pc, 0, 0, block[i]->mode, 64, guest[i] }; }

/* mov $address, %rdi; mov variable(%rip), %eax; push %rax; jne */
static void block_make(struct fake_cpu *f, unsigned i)
{
    static struct ir_block b;
    const u8 code[] = { 0x48, 0xc7, 0xc7, (u8)i, 0x10, 0xa0, 0x82, 0x8b, 0x05, 0x10, 0x20, 0x30, 0x00, 0x50, 0x75, (u8)i };
    memcpy(guest[i], code, sizeof(code));
    g_assert_cmpint(lift_block(&b, f->c, 0xffffffff81000000ull + i * 0x40ull, 48, fetch, guest[i]), ==, 4);
    struct tb *tb = block[i] = kept_block(&store, &b, guest[i]);
    tb->keep = true;
    struct pcache_key k = key_of(i);
    tb->hash = pcache_hash(&k);
}

static void dir_remove(void)
{
    g_autofree char *lock = g_build_filename(dir, "lock", NULL);
    unlink(name);
    unlink(lock);
    rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e;
    insn_table_init();
    g_assert_cmpint(backend_init(4 * MiB, &e), ==, 0);
    struct fake_cpu *f = fake_cpu_new(64, NULL);
    dir = g_dir_make_tmp("pcache-XXXXXX", NULL);
    atexit(dir_remove);
    struct pcache *p = pcache_new(dir, MiB);
    pcache_open(p, feat);
    name = g_build_filename(dir, p->name, NULL);
    for (unsigned i = 0; i < BLOCKS; i++) {
        block_make(f, i);
        pcache_add(p, block[i]);
    }
    pcache_save(p, NULL, 0);
    pcache_free(p);
    g_assert_true(g_file_get_contents(name, (char **)&file, &bytes, NULL));
    return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct fuzz_in in = { data, data + size };
    g_autofree u8 *changed = g_memdup2(file, bytes);
    gsize n = bytes;
    for (unsigned i = 0; in.p < in.end && i < 64; i++) {
        u64 at = fuzz_take(&in, 2), v = fuzz_take(&in, 4);
        if (at % 61 == 60)
            n = MIN_OF(n, v % (bytes + 1));
        else
            st32(changed + at * 4 % (bytes - 4), (u32)v);
    }
    /* a right sum of the head lets changes of it in */
    struct pcache_head *h = (void *)changed;
    h->sum = pcache_sum(&h->key, sizeof(*h) - offsetof(struct pcache_head, key));
    unlink(name);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    g_assert_true(fd >= 0 && write(fd, changed, n) == (ssize_t)n);
    close(fd);
    struct pcache *p = pcache_new(dir, MiB);
    pcache_open(p, feat);
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct pcache_key k = key_of(i);
        const struct pcache_record *r = pcache_find(p, &k, pcache_hash(&k));
        if (r)
            g_assert_cmpint(backend_same(&block[i]->code, block[i], k.pc, k.mode, &r->image, pcache_image_bytes(r), r->pc), ==, 1);
    }
    pcache_free(p);
    return 0;
}
