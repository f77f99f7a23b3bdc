/* Runs gemel-opt for tests: one process for each batch. */
#include "tests/lib/opt_worker.h"
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "accel/dbt/backend.h"
#include "accel/dbt/opt/object.h"
#include "config.h"

static const char *program(void)
{
    const char *set = getenv("GEMEL_OPT");
    return set ? set : "./gemel-opt";
}

bool opt_worker_there(void) { return HAVE_GCCJIT && !access(program(), X_OK); }

static void all(ssize_t (*io)(int, void *, size_t), int fd, void *buf, size_t n)
{
    for (u8 *p = buf; n;) {
        ssize_t k = io(fd, p, n);
        if (k <= 0)
            g_error("the optimiser's process has died");
        p += k;
        n -= (size_t)k;
    }
}

static ssize_t put(int fd, void *buf, size_t n) { return write(fd, buf, n); }

static pid_t start(int *to, int *from)
{
    int in[2], out[2];
    if (pipe(in) < 0 || pipe(out) < 0)
        g_error("pipe: %s", g_strerror(errno));
    pid_t pid = fork();
    if (!pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        execl(program(), program(), NULL);
        _exit(1);
    }
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
    return pid;
}

void opt_worker_compile(const struct opt_region *const *r, unsigned n, const u8 **function)
{
    struct opt_request q = { n, 1 };
    struct opt_answer a;
    struct object o;
    int to, from;
    signal(SIGPIPE, SIG_IGN);
    pid_t pid = start(&to, &from);
    all(put, to, &q, sizeof(q));
    for (unsigned i = 0; i < n; i++)
        all(put, to, (void *)(uintptr_t)r[i], region_bytes(r[i]));
    all(read, from, &a, sizeof(a));
    g_assert_cmpuint(a.size, >, 0);
    u8 *obj = g_malloc(a.size);
    all(read, from, obj, a.size);
    close(to);
    close(from);
    waitpid(pid, NULL, 0);
    g_assert_cmpint(object_open(&o, obj, a.size), ==, 0);
    const u8 *rx = backend_load_object(&o);
    g_assert_nonnull(rx);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpint(object_function(&o, i), >=, 0);
        function[i] = rx + object_function(&o, i);
    }
    g_free(obj);
}

struct opt_region *opt_worker_region(const struct ir_block *b)
{
    struct opt_region *r = g_new0(struct opt_region, 1);
    struct region_block *k = &r->block[0];
    *r = (struct opt_region){ .abi = region_abi(), .page = b->pc & PAGE_MASK, .mode = b->mode, .rel = b->rel, .n_blocks = 1 };
    *k = (struct region_block){ .off = b->pc & (PAGE_SIZE - 1), .entry = true };
    for (unsigned i = 0; i < b->n_insns; i++) {
        unsigned first = b->insn[i].first_op, end = i + 1 < b->n_insns ? b->insn[i + 1].first_op : b->n_ops;
        k->next = b->insn[i].pc & (PAGE_SIZE - 1);
        for (unsigned o = first; o < end; o++)
            if (!region_op_known(&b->op[o]))
                return r;
        memcpy(&r->op[r->n_ops], &b->op[first], (end - first) * sizeof(r->op[0]));
        r->insn_off[r->n_insns++] = k->next;
        r->n_ops = k->n_ops = (u16)end;
    }
    return r;
}
