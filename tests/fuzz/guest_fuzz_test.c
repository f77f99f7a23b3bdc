/* Runs random guests under the program, each with many random machine states and a few monitor commands, and sees that it neither dies nor hangs:
 * it must end by itself in an expected way, or at "quit". GEMEL and BUILD come from the runner. FUZZ_SECONDS: how long (60); FUZZ_SEED=N: only
 * that guest, FUZZ_KEEP=1: leave its image. */
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/fuzz/guest.h"

enum { PATIENCE_MS = 60000, ARGS_MAX = 40 };

struct run {
    struct insn_gen g;
    u64 seed;
    char *dir, *module, *rom, *disk, *err, *loader, *gemel;
    const char *argv[ARGS_MAX];
    unsigned argc;
    GPid pid;
    int pidfd, monitor;
};

static u64 rnd(struct run *r) { return insn_gen_random(&r->g); }
static bool one_in(struct run *r, unsigned n) { return rnd(r) % n == 0; }
static void arg(struct run *r, const char *a) { r->argv[r->argc++] = a; }

static void arg2(struct run *r, const char *a, const char *b)
{
    arg(r, a);
    arg(r, b);
}

static void make_files(struct run *r)
{
    struct fuzz_record *rec = g_new0(struct fuzz_record, FUZZ_RECORDS);
    u8 rom[64 * KiB], disk[32 * KiB];
    for (unsigned i = 0; i < FUZZ_RECORDS; i++)
        fuzz_record_fill(&rec[i], &r->g);
    r->g.bits = 16;
    fuzz_code_fill(rom, sizeof(rom), &r->g);
    memcpy(rom + sizeof(rom) - 16, "\xea\0\0\0\xf0", 5);
    for (unsigned i = 0; i < sizeof(disk); i++)
        disk[i] = (u8)(i * 7);
    g_assert_true(g_file_set_contents(r->module, (const char *)rec, sizeof(*rec) * FUZZ_RECORDS, NULL));
    g_assert_true(g_file_set_contents(r->rom, (const char *)rom, sizeof(rom), NULL));
    g_assert_true(g_file_set_contents(r->disk, (const char *)disk, sizeof(disk), NULL));
    g_free(rec);
}

static const char *drive(struct run *r)
{
    static char text[300];
    snprintf(text, sizeof(text), "file=%s,format=raw,if=ide,readonly=on", r->disk);
    return text;
}

static void make_command(struct run *r)
{
    static const char *const accels[] = { "dbt", "dbt", "dbt", "dbt,interp=on", "dbt,one-insn-per-tb=on", "dbt,tb-size=1", "dbt,stress-regs=on,stress-tlb=on" };
    static const char *const cpus[] = { "max", "max", "max,vendor=GenuineIntel", "qemu64", "kvm32", "pentium", "EPYC", "Haswell" };
    const char *build = g_getenv("BUILD"), *gemel = g_getenv("GEMEL");
    g_autofree char *path = g_build_filename(build ? build : "build", "tests/fuzz/loader.elf", NULL);
    r->loader = g_canonicalize_filename(path, NULL);
    r->gemel = g_canonicalize_filename(gemel ? gemel : "gemel", NULL);
    arg(r, r->gemel);
    arg2(r, "-display", "none");
    arg2(r, "-monitor", "stdio");
    arg2(r, "-serial", "null");
    arg2(r, "-m", "16");
    arg2(r, "-smp", one_in(r, 2) ? "2" : "1");
    arg2(r, "-accel", accels[rnd(r) % ARRAY_LEN(accels)]);
    arg2(r, "-cpu", cpus[rnd(r) % ARRAY_LEN(cpus)]);
    if (one_in(r, 8)) {
        arg2(r, "-bios", r->rom);
    } else {
        arg2(r, "-kernel", r->loader);
        arg2(r, "-initrd", r->module);
    }
    if (one_in(r, 2))
        arg2(r, "-drive", drive(r));
    if (one_in(r, 2))
        arg2(r, "-device", "pc-testdev");
    if (one_in(r, 8))
        arg2(r, "-device", "isa-debug-exit,iobase=0xf4");
    if (one_in(r, 8))
        arg(r, "-no-reboot");
    if (one_in(r, 16))
        arg2(r, "-debugcon", "null");
    if (one_in(r, 8)) {
        arg2(r, "-d", one_in(r, 4) ? "guest_errors,int,in_asm,cpu_reset,unimp" : "guest_errors,int,unimp");
        arg2(r, "-D", "/dev/null");
    }
}

static bool start(struct run *r)
{
    GError *e = NULL;
    int out = g_open("/dev/null", O_WRONLY | O_CLOEXEC, 0), err = g_open(r->err, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), in[2];
    g_assert_true(out >= 0 && err >= 0 && pipe2(in, O_CLOEXEC) == 0);
    bool ok = g_spawn_async_with_fds(r->dir, (char **)r->argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &r->pid, in[0], out, err, &e);
    close(in[0]);
    close(out);
    close(err);
    r->monitor = in[1];
    if (!ok) {
        g_test_message("cannot run %s: %s", r->argv[0], e->message);
        g_error_free(e);
        close(in[1]);
        return false;
    }
    r->pidfd = pidfd_open(r->pid, 0);
    g_assert_true(r->pidfd >= 0);
    return true;
}

/* Whether the program ended within that time. */
static bool ended(struct run *r, int ms)
{
    struct pollfd p = { .fd = r->pidfd, .events = POLLIN };
    return poll(&p, 1, ms) == 1;
}

static void say(struct run *r, const char *text)
{
    if (write(r->monitor, text, strlen(text)) < 0)
        g_assert_cmpint(errno, ==, EPIPE); /* it ended in between */
}

/* Lets it run, disturbed now and then. */
static void disturb(struct run *r)
{
    static const char *const commands[] = {
        "info registers\n", "info registers -a\n", "info tlb\n", "info mem\n", "info pic\n", "info lapic\n", "info mtree\n", "info qtree\n",
        "x /10i $eip\n", "x /4xw $esp\n", "xp /4xg 0x10000\n", "stop\ncont\n", "stop\ninfo registers\ncont\n", "nmi\n", "info jit\n",
        "info irq\n", "info status\n", "cpu 1\ninfo registers\ncpu 0\n", "i /b 0x60\n", "gva2gpa 0x10000\n",
        "sendkey a\n", "info pci\n", "print $cr3\n", "system_powerdown\n", "stop\nsystem_reset\ncont\n",
    };
    for (unsigned i = 0, n = 8 + rnd(r) % 24; i < n; i++) {
        if (ended(r, 2 + (int)(rnd(r) % 20)))
            return;
        unsigned what = (unsigned)rnd(r) % 6;
        say(r, what < 2 ? "system_reset\n" : what < 4 ? "nmi\n" : commands[rnd(r) % ARRAY_LEN(commands)]);
    }
}

static void show(struct run *r)
{
    char *line = g_strjoinv(" ", (char **)r->argv), *text = NULL;
    g_test_message("FUZZ_SEED=%llu: %s", (unsigned long long)r->seed, line);
    if (g_file_get_contents(r->err, &text, NULL, NULL))
        g_test_message("standard error: %.4000s", text);
    g_free(line);
    g_free(text);
}

/* Where the threads of a program that does not end are. */
static void show_threads(struct run *r)
{
    g_autofree char *command = g_strdup_printf("gdb -p %d -batch -ex 'thread apply all bt 20'", (int)r->pid);
    g_autofree char *out = NULL, *err = NULL;
    if (g_spawn_command_line_sync(command, &out, &err, NULL, NULL))
        g_test_message("%s", out);
}

/* The program's end, or what is wrong with it. */
static const char *judge(struct run *r, int status)
{
    GStatBuf st;
    if (WIFSIGNALED(status))
        return "died of a signal";
    if (g_stat(r->err, &st) == 0 && st.st_size)
        return "wrote to standard error";
    return NULL;
}

static bool run_one(struct run *r)
{
    const char *wrong = NULL;
    int status = 0;
    bool hung = false;

    make_files(r);
    make_command(r);
    if (!start(r))
        return false;
    disturb(r);
    say(r, "quit\n");
    if (!ended(r, PATIENCE_MS)) {
        hung = true;
        show_threads(r);
        kill(r->pid, SIGABRT);
    }
    waitpid(r->pid, &status, 0);
    close(r->pidfd);
    close(r->monitor);
    wrong = hung ? "did not quit" : judge(r, status);
    if (wrong) {
        show(r);
        g_test_message("it %s (wait status 0x%x)", wrong, status);
    }
    return !wrong;
}

static bool run_seed(u64 seed)
{
    struct run r = { .g.seed = (seed + 1) * 0x9e3779b97f4a7c15ull | 1, .seed = seed };
    r.dir = g_dir_make_tmp("gemel-fuzz-XXXXXX", NULL);
    g_assert_nonnull(r.dir);
    r.module = g_build_filename(r.dir, "module", NULL);
    r.rom = g_build_filename(r.dir, "rom", NULL);
    r.disk = g_build_filename(r.dir, "disk", NULL);
    r.err = g_build_filename(r.dir, "err", NULL);
    bool ok = run_one(&r);
    if (ok || !g_getenv("FUZZ_KEEP")) {
        g_unlink(r.module);
        g_unlink(r.rom);
        g_unlink(r.disk);
        g_unlink(r.err);
        g_rmdir(r.dir);
    }
    g_free(r.loader);
    g_free(r.gemel);
    g_free(r.module);
    g_free(r.rom);
    g_free(r.disk);
    g_free(r.err);
    g_free(r.dir);
    return ok;
}

static void test_guests(void)
{
    const char *one = g_getenv("FUZZ_SEED"), *seconds = g_getenv("FUZZ_SECONDS");
    gint64 until = g_get_monotonic_time() + (seconds ? atoll(seconds) : 60) * G_USEC_PER_SEC;
    u64 seed = one ? g_ascii_strtoull(one, NULL, 0) : (u64)g_get_real_time() << 8;
    unsigned runs = 0, failures = 0;

    if (one) {
        if (!run_seed(seed))
            g_test_fail();
        return;
    }
    for (; g_get_monotonic_time() < until && failures < 10; runs++)
        failures += !run_seed(seed + runs);
    g_test_message("%u guests, the first has FUZZ_SEED=%llu", runs, (unsigned long long)seed);
    if (failures)
        g_test_fail();
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    insn_table_init();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fuzz/guest", test_guests);
    return g_test_run();
}
