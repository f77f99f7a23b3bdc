/* The optimising tier: samples, requests to the worker process, installing, dropping. On vCPU threads, at exits from emitted code that happen anyway: the
 * code lock guards everything, nothing here waits for the worker.
 *
 * Interrupts make emitted code leave at loop heads (the polls at backward jumps), so where it leaves is where it spends its time: a block that was left
 * for often enough is the head of a hot loop. A region takes the place of its head's block, which lives on below it, unseen: look-ups, links, page lists
 * and flushes know no difference, and a write to any of its bytes drops it as it does blocks. */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "accel/dbt/opt/object.h"
#include "accel/dbt/opt/tier.h"
#include "accel/dbt/perfmap.h"
#include "cpu/desc.h"
#include "config.h"
#include "util/log.h"

#define HOT 6                /* samples that make a loop hot */
#define WORKER_REGIONS 60    /* libgccjit leaks: a worker does so many and is replaced */
#define LEVEL 1              /* of optimisation: 2 takes a hundred times longer for an interpreter's loop, and what it makes is not faster */
#define BATCH 8
#define QUEUE_MAX 64
#define DROPPED_MAX 1024     /* places remembered where a region was not worth it */
#define WORTH_ENTRIES 100000 /* entries before a region is judged */
#define WORTH_NS 80          /* that it must run on average */

extern char **environ;

struct opt_tier {
    struct dbt *d;
    bool off, force;         /* off: given up */
    pid_t pid;               /* the worker, 0: none */
    int fd;
    unsigned served;         /* regions that it was given */
    GPtrArray *queue;        /* struct opt_job: to be sent */
    GByteArray *out;         /* what the worker has not been sent yet of its request */
    struct opt_job *sent[BATCH];
    unsigned n_sent;
    struct opt_answer answer;
    u8 *in;                  /* what has come of the answer */
    size_t got;
    GPtrArray *live;         /* struct tb: of regions, since flush number live_flushes */
    u64 live_flushes;
    u64 dropped[DROPPED_MAX]; /* physical addresses */
    u64 last_ns, samples, sample_ns; /* time between samples, an average */
    struct { u64 samples, hot, no_loop, sent, failed, stale, installed, unworthy, died; u64 cpu_us, cpu_before; } st;
};

/* --- the worker --- */
/* It ends by itself when its requests do; one that is busy is not waited for, so that the compiler removes its temporary files. */
static void worker_end(struct opt_tier *t)
{
    if (!t->pid)
        return;
    close(t->fd);
    waitpid(t->pid, NULL, t->n_sent ? WNOHANG : 0);
    t->pid = 0;
    t->served = 0;
    t->st.cpu_before = t->st.cpu_us;
}

static char *worker_path(void)
{
    char *self = g_file_read_link("/proc/self/exe", NULL), *dir = self ? g_path_get_dirname(self) : NULL;
    const char *set = getenv("GEMEL_OPT");
    char *path = set ? g_strdup(set) : dir ? g_build_filename(dir, "gemel-opt", NULL) : NULL;
    g_free(self);
    g_free(dir);
    return path;
}

static int worker_spawn(struct opt_tier *t, char *path, int fd)
{
    posix_spawn_file_actions_t fa;
    char low[] = "low", *argv[] = { path, t->force ? NULL : low, NULL };
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fd, 0);
    posix_spawn_file_actions_adddup2(&fa, fd, 1);
    posix_spawn_file_actions_addclosefrom_np(&fa, 3);
    int ret = posix_spawn(&t->pid, path, &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    return ret;
}

static int worker_start(struct opt_tier *t)
{
    int pair[2], big = 4 * MiB;
    char *path = worker_path();
    if (!path || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        g_free(path);
        return -1;
    }
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    int ret = worker_spawn(t, path, pair[1]);
    close(pair[1]);
    g_free(path);
    if (ret) {
        t->pid = 0;
        close(pair[0]);
        return -1;
    }
    t->fd = pair[0];
    fcntl(t->fd, F_SETFL, O_NONBLOCK);
    return 0;
}

static void jobs_forget(struct opt_tier *t)
{
    for (unsigned i = 0; i < t->n_sent; i++)
        opt_job_free(t->sent[i]);
    t->n_sent = 0;
    g_byte_array_set_size(t->out, 0);
    free(t->in);
    t->in = NULL;
    t->got = 0;
}

/* The worker does not do as it should: what it had is lost; the second time there will be no other. */
static void worker_failed(struct opt_tier *t)
{
    worker_end(t);
    jobs_forget(t);
    if (++t->st.died < 3)
        return;
    t->off = true;
    log_print("the optimiser's process fails: going on without");
}

/* Sends on what the socket has not taken yet. */
static void worker_write(struct opt_tier *t)
{
    while (t->out->len) {
        ssize_t n = send(t->fd, t->out->data, t->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            worker_failed(t);
            return;
        }
        g_byte_array_remove_range(t->out, 0, (guint)n);
    }
}

/* Hands over what waits, if the worker has nothing to do. */
static void worker_feed(struct opt_tier *t)
{
    if (t->n_sent || !t->queue->len || t->off)
        return;
    if (t->pid && t->served >= WORKER_REGIONS)
        worker_end(t);
    if (!t->pid && worker_start(t)) {
        t->off = true;
        log_print("the optimiser, gemel-opt, cannot be started: going on without");
        return;
    }
    while (t->queue->len && t->n_sent < BATCH)
        t->sent[t->n_sent++] = g_ptr_array_steal_index(t->queue, 0);
    struct opt_request q = { t->n_sent, LEVEL };
    g_byte_array_append(t->out, (const u8 *)&q, sizeof(q));
    for (unsigned i = 0; i < t->n_sent; i++)
        g_byte_array_append(t->out, (const u8 *)t->sent[i]->r, (guint)region_bytes(t->sent[i]->r));
    t->served += t->n_sent;
    t->st.sent += t->n_sent;
    worker_write(t);
}

/* --- installing --- */
/* The blocks are as they were when the region was made. */
static bool job_fresh(const struct opt_tier *t, const struct opt_job *j)
{
    if (j->flushes != t->d->st.flushes)
        return false;
    for (unsigned i = 0; i < j->n; i++)
        if (j->tb[i]->dead)
            return false;
    return true;
}

/* Leads entry n to the function. */
static void install_entry(struct opt_tier *t, struct opt_job *j, const u8 *function, unsigned n)
{
    struct tb *head = j->tb[n], *tb = tb_new(&t->d->all);
    if (!tb)
        return;
    tb->phys = head->phys;
    tb->pc = head->pc;
    tb->cs_base = head->cs_base;
    tb->mode = head->mode;
    tb->len = head->len;
    tb->n_insns = head->n_insns;
    tb->region = true;
    tb->page[0] = head->page[0];
    for (unsigned i = 0; i < j->n; i++) {
        tb->page[0].lo = MIN_OF(tb->page[0].lo, j->tb[i]->page[0].lo);
        tb->page[0].hi = MAX_OF(tb->page[0].hi, j->tb[i]->page[0].hi);
    }
    if (backend_region(&head->code, function, n, tb, &tb->entered, &tb->code)) {
        tb_unmake(&t->d->all);
        return;
    }
    LOG(LOG_IN_ASM, "region %llx mode %x: %u blocks, %u instructions", (unsigned long long)tb->pc, tb->mode, j->r->n_blocks, j->r->n_insns);
    tb->tried = true;
    tb_hide(t->d, head);
    perfmap_block(tb);
    tb_publish(t->d, tb);
    if (t->live_flushes != t->d->st.flushes)
        g_ptr_array_set_size(t->live, 0);
    t->live_flushes = t->d->st.flushes;
    g_ptr_array_add(t->live, tb);
}

static void install(struct opt_tier *t, struct opt_job *j, const u8 *function)
{
    for (unsigned i = 0; i < j->n; i++)
        if (j->r->block[i].entry && !j->tb[i]->hidden)
            install_entry(t, j, function, i);
    t->st.installed++;
}

static void answer_use(struct opt_tier *t)
{
    struct object o;
    const u8 *rx = NULL;
    bool any = false;
    for (unsigned i = 0; i < t->n_sent; i++)
        any |= job_fresh(t, t->sent[i]);
    if (any && !object_open(&o, t->in, t->answer.size))
        rx = backend_load_object(&o);
    if (rx && job_fresh(t, t->sent[0]))
        perfmap_region(t->sent[0]->head, rx, o.image);
    for (unsigned i = 0; i < t->n_sent; i++) {
        i64 off = rx ? object_function(&o, i) : -1;
        if (!job_fresh(t, t->sent[i]))
            t->st.stale++;
        else if (off < 0)
            t->st.failed++;
        else
            install(t, t->sent[i], rx + off);
    }
}

/* Looks whether an answer has come. */
static void worker_poll(struct opt_tier *t)
{
    while (t->n_sent) {
        bool head = t->got < sizeof(t->answer);
        size_t end = sizeof(t->answer) + (head ? 0 : t->answer.size);
        if (!head && t->got == end) {
            t->st.cpu_us = t->st.cpu_before + t->answer.cpu_us;
            if (t->answer.size)
                answer_use(t);
            else
                t->st.failed += t->n_sent;
            jobs_forget(t);
            return;
        }
        u8 *to = head ? (u8 *)&t->answer + t->got : t->in + (t->got - sizeof(t->answer));
        ssize_t n = recv(t->fd, to, end - t->got, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            worker_failed(t);
            return;
        }
        t->got += (size_t)n;
        if (head && t->got == sizeof(t->answer)) {
            if (t->answer.size > OPT_OBJECT_MAX || !(t->in = malloc(MAX_OF(t->answer.size, 1u)))) {
                worker_failed(t);
                return;
            }
        }
    }
}

/* --- what is hot --- */
static u64 *dropped_slot(struct opt_tier *t, gpa_t phys) { return &t->dropped[(phys * 0x9e3779b97f4a7c15ull >> 40) % DROPPED_MAX]; }

/* Where the vCPU is, if regions can be made there. The look at the page tables may write to them: no code lock held. */
static bool place_of(struct vcpu *v, struct tb_key *k)
{
    struct cpu *c = v->c;
    struct tlb_exec *x;
    struct mem_fault f;
    if ((c->mode & MODE_SIZE) != MODE_64 || c->mode & (MODE_COUNT | MODE_SLOW | MODE_STEP) || !is_canonical(c, c->rip) ||
        mem_exec_page(cpu_mem(c), c->rip, cpu_data_acc(c) | ACC_EXEC, &x, &f) || !x->ram)
        return false;
    *k = dbt_key(c, x->gpa, c->rip);
    return true;
}

/* One sample of the block there. */
static void heat(struct opt_tier *t, struct vcpu *v, const struct tb_key *k)
{
    struct tb *tb = tb_find(t->d, k);
    if (!tb || tb->tried || tb->region || tb->crosses || *dropped_slot(t, tb->phys) == tb->phys)
        return;
    if (++tb->heat < (t->force ? 1 : HOT) || t->queue->len >= QUEUE_MAX)
        return;
    tb->tried = true;
    t->st.hot++;
    struct opt_job *j = opt_form(v, tb, t->force);
    for (unsigned i = 0; j && i < j->n; i++)
        if (j->r->block[i].entry)
            j->tb[i]->tried = true;
    if (j)
        g_ptr_array_add(t->queue, j);
    else
        t->st.no_loop++;
}

/* Regions that are left as soon as they are entered cost more than they save. */
static void judge(struct opt_tier *t)
{
    if (t->live_flushes != t->d->st.flushes || t->force)
        return;
    for (unsigned i = 0; i < t->live->len; i++) {
        struct tb *tb = g_ptr_array_index(t->live, i);
        if (tb->dead) {
            g_ptr_array_remove_index_fast(t->live, i--);
            continue;
        }
        if (tb->entered < WORTH_ENTRIES)
            continue;
        if ((u64)tb->hits * t->sample_ns < tb->entered * WORTH_NS) {
            *dropped_slot(t, tb->phys) = tb->phys;
            tb_drop(t->d, tb);
            t->st.unworthy++;
            g_ptr_array_remove_index_fast(t->live, i--);
        } else {
            tb->entered /= 2;
            tb->hits /= 2;
        }
    }
}

static void keep_time(struct opt_tier *t)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    u64 now = (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec, since = MIN_OF(now - t->last_ns, 20000000u);
    t->last_ns = now;
    t->sample_ns = t->sample_ns ? (15 * t->sample_ns + since) / 16 : since;
}

/* Forced: waits, so that what runs next runs in regions. */
static void settle(struct opt_tier *t)
{
    while (t->n_sent && !t->off) {
        struct pollfd p = { t->fd, (short)(t->out->len ? POLLIN | POLLOUT : POLLIN), 0 };
        poll(&p, 1, -1);
        worker_write(t);
        worker_poll(t);
    }
}

void opt_sample(struct vcpu *v, u64 ret, u64 flushes)
{
    struct dbt *d = v->vm->engine;
    struct opt_tier *t = d->opt;
    struct tb_key k;
    bool region = ret == (DBT_EXIT_REQUEST | DBT_EXIT_REGION);
    if (t->off || !jumps_allowed(v))
        return;
    bool somewhere = !region && place_of(v, &k);
    lock_acquire(&d->lock);
    t->st.samples++;
    keep_time(t);
    if (somewhere)
        heat(t, v, &k);
    else if (region && flushes == d->st.flushes)
        ((struct tb *)v->c->region)->hits++;
    worker_write(t);
    worker_poll(t);
    if (!t->force || t->queue->len >= BATCH) {
        worker_feed(t);
        if (t->force)
            settle(t);
    }
    if (!(t->st.samples & 63))
        judge(t);
    lock_release(&d->lock);
}

/* --- life --- */
struct opt_tier *opt_new(struct dbt *d, bool force)
{
    if (!HAVE_GCCJIT || !backend_has_regions())
        return NULL;
    struct opt_tier *t = g_new0(struct opt_tier, 1);
    t->d = d;
    t->force = force;
    t->queue = g_ptr_array_new();
    t->out = g_byte_array_new();
    t->live = g_ptr_array_new();
    return t;
}

void opt_free(struct opt_tier *t)
{
    if (!t)
        return;
    worker_end(t);
    jobs_forget(t);
    for (unsigned i = 0; i < t->queue->len; i++)
        opt_job_free(g_ptr_array_index(t->queue, i));
    g_ptr_array_free(t->queue, TRUE);
    g_byte_array_free(t->out, TRUE);
    g_ptr_array_free(t->live, TRUE);
    g_free(t);
}

void opt_info(const struct opt_tier *t, GString *out)
{
    g_string_append_printf(out,
        "optimiser       %s\nregions         %llu installed, %llu not worth it, %llu stale, %llu failed\n"
        "hot loops       %llu (%llu no loops), %llu sent, %llu samples\noptimiser CPU   %llu ms\n",
        t->off ? "failed" : t->force ? "forced" : "on", (unsigned long long)t->st.installed, (unsigned long long)t->st.unworthy,
        (unsigned long long)t->st.stale, (unsigned long long)t->st.failed, (unsigned long long)t->st.hot, (unsigned long long)t->st.no_loop,
        (unsigned long long)t->st.sent, (unsigned long long)t->st.samples, (unsigned long long)t->st.cpu_us / 1000);
}
