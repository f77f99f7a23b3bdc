/* The driver of fuzz targets for compilers without libFuzzer: runs a target over its stored corpus, then over mutations of it for some seconds. One
 * thread. Linked with each tests/fuzz/NAME_fuzz.c; `make fuzz` builds it with branch coverage, and then inputs that reach new branches are kept.
 *
 * NAME_fuzz [FILE...]: with files, runs those once each; else tests/fuzz/corpus/NAME/ and mutations. Environment: FUZZ_SECONDS (2), FUZZ_SEED,
 * FUZZ_MAX (longest input, 4096), FUZZ_PATIENCE (seconds for one input, 20), FUZZ_KEEP=DIR: save inputs that reach something new there.
 * A failing input is saved as $BUILD/fuzz-failed/NAME-HASH. Output is TAP. */
#include "tests/fuzz/fuzz.h"
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define UNSEEN __attribute__((no_sanitize_coverage, no_sanitize_address, no_sanitize_undefined))

extern int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_cov_trace_pc(void);
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

enum { MAP_SIZE = 1 << 16, POOL_MAX = 20000, STACKED_MAX = 6 };

struct input {
    u8 *data;
    size_t size;
};

static struct {
    char name[64], dir[512]; /* of the target; where failing inputs go */
    u64 seed, random;
    size_t max;
    unsigned seconds, patience;
    const char *keep;
    struct input *pool;
    unsigned n_pool;
    struct input *word;      /* dictionary */
    unsigned n_words;
    const u8 *cur;           /* the input that runs, for the handlers of failures */
    size_t cur_size;
    volatile u64 runs;
    u64 last_runs;
    unsigned stuck;
    bool covers;             /* the target is built with coverage */
} g;

static u8 cover[MAP_SIZE], seen[MAP_SIZE];

/* --- coverage --- */
UNSEEN void __sanitizer_cov_trace_pc(void)
{
    u64 pc = (u64)(uintptr_t)__builtin_return_address(0);
    u8 *n = &cover[(pc * 0x9e3779b97f4a7c15ull >> 40) & (MAP_SIZE - 1)];
    *n += *n < 255;
}

/* Counts 1, 2, 3, 4-7, 8-15, 16-31, 32-127, more: one bit each. */
UNSEEN static u8 bucket(u8 n)
{
    return n < 4 ? (u8)(1u << n >> 1) : n < 8 ? 8 : n < 16 ? 16 : n < 32 ? 32 : n < 128 ? 64 : 128;
}

/* Whether the last run reached something that none before it did; clears the map. */
UNSEEN static bool cover_new(void)
{
    bool found = false;
    for (unsigned i = 0; i < MAP_SIZE; i += 8) {
        u64 w;
        memcpy(&w, cover + i, 8);
        for (unsigned k = i; w && k < i + 8; k++) {
            u8 b = cover[k] ? bucket(cover[k]) : 0;
            found |= (b & ~seen[k]) != 0;
            seen[k] |= b;
            cover[k] = 0;
        }
    }
    g.covers |= found;
    return found;
}

/* --- failures --- */
static u64 hash(const u8 *p, size_t n)
{
    u64 h = 0xcbf29ce484222325ull;
    while (n--)
        h = (h ^ *p++) * 0x100000001b3ull;
    return h;
}

static void save(const char *dir, const u8 *data, size_t size, char *path, size_t path_size)
{
    snprintf(path, path_size, "%s/%s-%016llx", dir, g.name, (unsigned long long)hash(data, size));
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        snprintf(path, path_size, "(not saved: %s)", strerror(errno));
    if (fd >= 0)
        close(fd);
}

static void failed(const char *why)
{
    char path[700];
    if (!g.cur)
        return;
    fuzz_allow_files(true);
    save(g.dir, g.cur, g.cur_size, path, sizeof(path));
    printf("not ok 1 /fuzz/%s\n# %s after %llu inputs, FUZZ_SEED=%llu; the input: %s\n", g.name, why, (unsigned long long)g.runs,
           (unsigned long long)g.seed, path);
    fflush(stdout);
    g.cur = NULL;
}

static void on_signal(int sig)
{
    char why[40];
    snprintf(why, sizeof(why), "signal %d", sig);
    failed(why);
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Reports of sanitizers end in SIGABRT, too. */
UNSEEN const char *__asan_default_options(void) { return "abort_on_error=1"; }
UNSEEN const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }
static void on_exit_call(void) { failed("exit() called"); }

static void on_tick(int sig)
{
    g.stuck = g.runs == g.last_runs ? g.stuck + 1 : 0;
    g.last_runs = g.runs;
    if (g.cur && g.stuck >= g.patience) {
        failed("no end");
        signal(SIGABRT, SIG_DFL);
        abort();
    }
}

static void watch_failures(void)
{
#ifdef __SANITIZE_ADDRESS__ /* its own handlers of the others say more */
    static const int fatal[] = { SIGABRT, SIGTRAP };
#else
    static const int fatal[] = { SIGABRT, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
#endif
    for (unsigned i = 0; i < ARRAY_LEN(fatal); i++)
        signal(fatal[i], on_signal);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_tick);
    struct itimerval second = { { 1, 0 }, { 1, 0 } };
    setitimer(ITIMER_REAL, &second, NULL);
    atexit(on_exit_call);
}

/* --- the pool --- */
static u64 rnd(u64 below)
{
    g.random ^= g.random << 13;
    g.random ^= g.random >> 7;
    g.random ^= g.random << 17;
    return below ? (g.random * 0x2545f4914f6cdd1dull >> 20) % below : 0;
}

static void pool_add(const u8 *data, size_t size)
{
    if (g.n_pool == POOL_MAX)
        return;
    if (!(g.n_pool & (g.n_pool - 1)))
        g.pool = g_renew(struct input, g.pool, g.n_pool ? 2 * g.n_pool : 1);
    g.pool[g.n_pool++] = (struct input){ size ? g_memdup2(data, size) : g_new0(u8, 1), size };
}

/* An exact copy on the heap, so that a sanitizer sees reads past the end. */
static void run(const u8 *data, size_t size)
{
    u8 *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    g.cur = data;
    g.cur_size = size;
    LLVMFuzzerTestOneInput(copy, size);
    g.cur = NULL;
    g.runs++;
    free(copy);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void run_corpus(void)
{
    const char *base = getenv("FUZZ_CORPUS");
    g_autofree char *dir = g_build_filename(base ? base : "tests/fuzz/corpus", g.name, NULL);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    GDir *d = g_dir_open(dir, 0, NULL);
    for (const char *f; d && (f = g_dir_read_name(d));)
        g_ptr_array_add(files, g_build_filename(dir, f, NULL));
    if (d)
        g_dir_close(d);
    g_ptr_array_sort(files, by_name);
    for (unsigned i = 0; i < files->len; i++) {
        g_autofree char *data = NULL;
        size_t size;
        if (!g_file_get_contents(files->pdata[i], &data, &size, NULL))
            continue;
        run((const u8 *)data, size);
        cover_new();
        pool_add((const u8 *)data, size);
    }
    run((const u8 *)"", 0);
    cover_new();
    pool_add((const u8 *)"", 0);
}

/* One character of a dictionary word: itself, or \xHH, or a backslash and the character. */
static u8 word_char(const char **p)
{
    const char *c = *p;
    if (*c != '\\' || !c[1]) {
        *p = c + 1;
        return (u8)*c;
    }
    if (c[1] == 'x' && g_ascii_isxdigit(c[2]) && g_ascii_isxdigit(c[3])) {
        *p = c + 4;
        return (u8)(g_ascii_xdigit_value(c[2]) << 4 | g_ascii_xdigit_value(c[3]));
    }
    *p = c + 2;
    return (u8)c[1];
}

/* tests/fuzz/NAME.dict, in libFuzzer's form: lines "WORD", others are comments. */
static void read_words(void)
{
    g_autofree char *path = g_strdup_printf("tests/fuzz/%s.dict", g.name);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g.word = g_new0(struct input, g_strv_length(lines));
    for (char **l = lines; *l; l++) {
        size_t n = strlen(*l);
        if (n < 3 || **l != '"' || (*l)[n - 1] != '"')
            continue;
        (*l)[n - 1] = 0;
        struct input *w = &g.word[g.n_words++];
        w->data = g_new0(u8, n);
        for (const char *p = *l + 1; *p;)
            w->data[w->size++] = word_char(&p);
    }
}

/* --- mutation --- */
static const u64 interesting[] = { 0, 1, 2, 4, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 0x7fff, 0x8000,
                                   0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
                                   0xfffffffffffff000, 0xffffffffffffffff };

static void number_change(u8 *b, size_t size)
{
    unsigned n = 1u << rnd(4);
    if (size < n)
        return;
    u64 v = 0;
    size_t at = rnd(size - n + 1);
    memcpy(&v, b + at, n);
    switch (rnd(4)) {
    case 0: v = interesting[rnd(ARRAY_LEN(interesting))]; break;
    case 1: v += rnd(35) - 17; break;
    case 2: v ^= 1ull << rnd(8 * n); break;
    default: v = n == 2 ? (u16)v >> 8 | (u64)(u8)v << 8 : size - rnd(5); break;
    }
    memcpy(b + at, &v, n);
}

static size_t cut(u8 *b, size_t size)
{
    if (!size)
        return 0;
    size_t at = rnd(size), n = 1 + rnd(rnd(4) ? MIN_OF(size - at, 16) : size - at);
    memmove(b + at, b + at + n, size - at - n);
    return size - n;
}

/* Opens a hole of n bytes, or less if the input would be too long. */
static size_t insert(u8 *b, size_t size, const void *from, size_t n)
{
    n = MIN_OF(n, g.max - size);
    size_t at = rnd(size + 1);
    memmove(b + at + n, b + at, size - at);
    memmove(b + at, from, n);
    return size + n;
}

static size_t insert_random(u8 *b, size_t size)
{
    u8 some[32];
    size_t n = 1 + rnd(rnd(3) ? 4 : sizeof(some));
    bool same = rnd(2);
    u8 v = (u8)rnd(256);
    for (size_t i = 0; i < n; i++)
        some[i] = same ? v : (u8)rnd(256);
    return insert(b, size, some, n);
}

/* A piece of another input: put in, or over what is there. */
static size_t graft(u8 *b, size_t size)
{
    const struct input *o = &g.pool[rnd(g.n_pool)];
    if (!o->size)
        return size;
    size_t from = rnd(o->size), n = 1 + rnd(o->size - from);
    if (rnd(2))
        return insert(b, size, o->data + from, n);
    if (!size)
        return 0;
    size_t at = rnd(size);
    memcpy(b + at, o->data + from, MIN_OF(n, size - at));
    return size;
}

static size_t repeat(u8 *b, size_t size)
{
    u8 piece[256];
    if (!size)
        return 0;
    size_t from = rnd(size), n = 1 + rnd(MIN_OF(size - from, sizeof(piece)));
    memcpy(piece, b + from, n);
    return insert(b, size, piece, n);
}

static size_t mutate(u8 *b, size_t size)
{
    switch (rnd(g.n_words ? 10 : 8)) {
    case 0:
        return cut(b, size);
    case 1:
        return insert_random(b, size);
    case 2:
        return graft(b, size);
    case 3:
        return repeat(b, size);
    case 4:
        if (size)
            b[rnd(size)] = (u8)rnd(256);
        return size;
    case 5: case 6: case 7:
        number_change(b, size);
        return size;
    default: {
        const struct input *w = &g.word[rnd(g.n_words)];
        return insert(b, size, w->data, w->size);
    }
    }
}

static void run_mutations(void)
{
    u8 *b = g_new(u8, g.max);
    gint64 until = g_get_monotonic_time() + g.seconds * G_USEC_PER_SEC;
    char path[700];
    while (g_get_monotonic_time() < until) {
        const struct input *i = &g.pool[rnd(3) || g.n_pool < 8 ? rnd(g.n_pool) : g.n_pool - 1 - rnd(g.n_pool / 4)];
        size_t size = MIN_OF(i->size, g.max);
        memcpy(b, i->data, size);
        for (u64 n = 1 + rnd(STACKED_MAX); n; n--)
            size = mutate(b, size);
        run(b, size);
        if (cover_new()) {
            pool_add(b, size);
            if (g.keep)
                save(g.keep, b, size, path, sizeof(path));
        } else if (!g.covers && !rnd(64)) { /* blind: drift away from the corpus */
            pool_add(b, size);
        }
    }
    g_free(b);
}

static u64 number_env(const char *name, u64 otherwise)
{
    const char *v = getenv(name);
    return v && *v ? g_ascii_strtoull(v, NULL, 0) : otherwise;
}

static void setup(const char *argv0)
{
    const char *build = getenv("BUILD");
    g_autofree char *base = g_path_get_basename(argv0);
    if (g_str_has_suffix(base, "_fuzz"))
        base[strlen(base) - 5] = 0;
    g_strlcpy(g.name, base, sizeof(g.name));
    snprintf(g.dir, sizeof(g.dir), "%s/fuzz-failed", build ? build : "build");
    g_mkdir_with_parents(g.dir, 0777);
    g.seed = number_env("FUZZ_SEED", (u64)g_get_real_time());
    g.random = g.seed * 0x9e3779b97f4a7c15ull | 1;
    g.max = number_env("FUZZ_MAX", 4096);
    g.seconds = (unsigned)number_env("FUZZ_SECONDS", 2);
    g.patience = (unsigned)number_env("FUZZ_PATIENCE", 20);
    g.keep = getenv("FUZZ_KEEP");
}

int main(int argc, char **argv)
{
    setup(argv[0]);
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    watch_failures();
    for (int i = 1; i < argc; i++) {
        g_autofree char *data = NULL;
        size_t size;
        if (!g_file_get_contents(argv[i], &data, &size, NULL)) {
            fprintf(stderr, "%s: cannot read %s\n", g.name, argv[i]);
            return 1;
        }
        run((const u8 *)data, size);
    }
    if (argc > 1)
        return 0;
    read_words();
    run_corpus();
    unsigned stored = g.n_pool;
    run_mutations();
    printf("ok 1 /fuzz/%s\n# %llu inputs, %u stored, %u in the end, FUZZ_SEED=%llu\n", g.name, (unsigned long long)g.runs, stored, g.n_pool,
           (unsigned long long)g.seed);
    return 0;
}
