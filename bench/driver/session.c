/* Runs benchmark programs on the host or in one emulator process, through the agent (bench/guest/agent.c), and times them: by this process's clock from
 * the command to the agent's answer, and by CPU time: the emulator's, with all its threads, or what the agent says of the host's programs. */
#include "bench/driver/bench.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct session {
    const struct config *config;
    struct machine *machine;
    pid_t pid;
    int in, out; /* its standard input and output */
    clockid_t cpu_clock;
    struct sample start;
    GString *text; /* read and not used yet */
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) ? 0 : (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool row_chosen(const struct config *c, const struct row *row)
{
    if (!c->only || !*c->only)
        return strcmp(row->group, "selftest");
    g_auto(GStrv) word = g_strsplit_set(c->only, " ,", -1);
    g_autofree char *path = g_strdup_printf("%s/%s", row->group, row->name);
    return g_strv_contains((const char *const *)word, row->group) || g_strv_contains((const char *const *)word, path);
}

/* --- the process --- */
static void add(GPtrArray *argv, const char *options)
{
    char **word = g_strsplit(options, " ", -1);
    for (char **w = word; *w; w++)
        g_ptr_array_add(argv, *w);
    g_free(word);
}

static char **session_argv(const struct config *c, const struct machine *m, enum session_kind kind)
{
    GPtrArray *argv = g_ptr_array_new();
    if (!m->argv) {
        g_ptr_array_add(argv, g_build_filename(c->programs, "agent", NULL));
        if (kind == SESSION_REAL)
            g_ptr_array_add(argv, g_strdup(c->root));
        g_ptr_array_add(argv, NULL);
        return (char **)g_ptr_array_free(argv, FALSE);
    }
    for (char **w = m->argv; *w; w++)
        g_ptr_array_add(argv, g_strdup(*w));
    add(argv, "-nodefaults -display none -monitor none -no-reboot");
    if (kind == SESSION_START) {
        add(argv, "-m 512 -debugcon stdio -bios");
        g_ptr_array_add(argv, g_strdup(c->rom));
    } else {
        add(argv, kind == SESSION_REAL ? "-m 2048" : "-m 512");
        add(argv, kind == SESSION_TWO ? "-smp 2" : "-smp 1");
        add(argv, "-serial stdio -kernel");
        g_ptr_array_add(argv, g_strdup(c->kernel));
        g_ptr_array_add(argv, g_strdup("-initrd"));
        g_ptr_array_add(argv, g_strdup(c->initrd[kind]));
        g_ptr_array_add(argv, g_strdup("-append"));
        g_ptr_array_add(argv, g_strdup("console=ttyS0 quiet panic=-1"));
    }
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

/* Nothing that was started outlives this process. */
static void die_with_parent(gpointer unused)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static bool session_begin(struct session *s, enum session_kind kind)
{
    g_auto(GStrv) argv = session_argv(s->config, s->machine, kind);
    g_autoptr(GError) err = NULL;
    s->text = g_string_new(NULL);
    s->start.wall = seconds(CLOCK_MONOTONIC);
    if (!g_spawn_async_with_pipes(s->machine->argv ? NULL : s->config->programs, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH,
                                  die_with_parent, NULL, &s->pid, &s->in, &s->out, NULL, &err)) {
        fprintf(stderr, "bench: %s\n", err->message);
        g_string_free(s->text, TRUE);
        return false;
    }
    clock_getcpuclockid(s->pid, &s->cpu_clock);
    return true;
}

/* Gone after a while by itself, or else by force. */
static void session_end(struct session *s)
{
    double deadline = seconds(CLOCK_MONOTONIC) + 20;
    struct pollfd p = { s->out, POLLIN, 0 };
    char dropped[4096];
    close(s->in);
    while (seconds(CLOCK_MONOTONIC) < deadline && poll(&p, 1, 1000) >= 0)
        if (p.revents && read(s->out, dropped, sizeof(dropped)) <= 0)
            break;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    close(s->out);
    g_string_free(s->text, TRUE);
}

/* Waits for more text. False if none comes. */
static bool session_read(struct session *s, double deadline)
{
    struct pollfd p = { s->out, POLLIN, 0 };
    char piece[4096];
    int left = (int)((deadline - seconds(CLOCK_MONOTONIC)) * 1000);
    if (left <= 0 || poll(&p, 1, left) <= 0)
        return false;
    ssize_t n = read(s->out, piece, sizeof(piece));
    if (n > 0)
        g_string_append_len(s->text, piece, n);
    return n > 0;
}

/* The next line that begins with "BENCH ", without it; NULL if there is none within the patience. To be freed. */
static char *session_line(struct session *s)
{
    double deadline = seconds(CLOCK_MONOTONIC) + s->machine->patience;
    for (;;) {
        char *end = strchr(s->text->str, '\n');
        if (!end) {
            if (!session_read(s, deadline))
                return NULL;
            continue;
        }
        char *found = memmem(s->text->str, (size_t)(end - s->text->str), "BENCH ", 6);
        char *line = found ? g_strchomp(g_strndup(found + 6, (gsize)(end - found - 6))) : NULL;
        g_string_erase(s->text, 0, end + 1 - s->text->str);
        if (line)
            return line;
    }
}

static void session_say(struct session *s, const char *line)
{
    if (write(s->in, line, strlen(line)) < 0)
        fprintf(stderr, "bench: %s: %s\n", s->machine->name, strerror(errno));
}

/* --- a program --- */
enum outcome { RAN, ABSENT, WRONG, LOST };

/* Runs so many rounds. What the program says of them is in verdict, to be freed. */
static enum outcome run(struct session *s, const struct row *row, unsigned count, struct sample *sample, char **verdict)
{
    g_autofree char *command = row->session == SESSION_REAL ? g_strdup_printf("run /bin/sh /real %s %u\n", row->name, count)
                                                           : g_strdup_printf("run ./%s %s %u\n", row->group, row->name, count);
    struct sample begin = { seconds(CLOCK_MONOTONIC), seconds(s->cpu_clock), count };
    char *line, *said = NULL;
    int status;
    long long us;
    session_say(s, command);
    while ((line = session_line(s)) && !g_str_has_prefix(line, "end ")) {
        g_free(said);
        said = line;
    }
    *sample = (struct sample){ seconds(CLOCK_MONOTONIC) - begin.wall, seconds(s->cpu_clock) - begin.cpu, count };
    g_autofree char *last = line;
    *verdict = said ? said : g_strdup("nothing said");
    if (!line || sscanf(line, "end %d %lld", &status, &us) != 2)
        return LOST;
    if (!s->machine->argv)
        sample->cpu = (double)us / 1e6;
    if (status || !said)
        return WRONG;
    return g_str_has_prefix(said, "absent ") ? ABSENT : g_str_has_prefix(said, "ok ") ? RAN : WRONG;
}

/* The same checksum on every machine, or that is a failure, too. */
static bool same_as_others(const struct config *c, unsigned row, const char *verdict)
{
    static GHashTable *said;
    if (!said)
        said = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    const char *first = g_hash_table_lookup(said, &rows[row]);
    if (!first)
        g_hash_table_insert(said, (gpointer)&rows[row], g_strdup(verdict));
    return !first || !strcmp(first, verdict);
}

/* A few rounds that are not counted, to see how long they take and to have the code in memory, then the measured ones. */
static enum outcome measure(struct session *s, unsigned row, char **verdict)
{
    struct result *r = &s->machine->results[row];
    const struct config *c = s->config;
    unsigned full = MAX(rows[row].count / (unsigned)c->divide, 1), first = MAX(full / 64, 1);
    struct sample sample;
    enum outcome o;
    if (rows[row].session != SESSION_REAL) {
        o = run(s, &rows[row], first, &sample, verdict);
        if (o != RAN)
            return o;
        g_free(*verdict);
        if (s->machine->argv && sample.wall / first * full > c->limit)
            full = MAX((unsigned)(c->limit / sample.wall * first), 1);
    }
    o = run(s, &rows[row], full, &sample, verdict);
    if (o == RAN && !same_as_others(c, row, *verdict))
        return WRONG;
    if (o == RAN)
        g_array_append_val(r->samples, sample);
    return o;
}

/* A verdict begins with "wrong ", or is another one than that of the other machines. */
static unsigned fail(const struct machine *m, const struct row *row, const char *what)
{
    fprintf(stderr, "bench: %s: %s %s\n", m->name, row->group, what + (g_str_has_prefix(what, "wrong ") ? 6 : 0));
    return 1;
}

static unsigned measure_rows(struct session *s, enum session_kind kind)
{
    unsigned failures = 0;
    for (unsigned i = 0; i < row_count; i++) {
        g_autofree char *verdict = NULL;
        struct result *r = &s->machine->results[i];
        if (rows[i].session != kind || !rows[i].count || !row_chosen(s->config, &rows[i]))
            continue;
        switch (measure(s, i, &verdict)) {
        case RAN: break;
        case ABSENT: r->absent = true; break;
        case LOST:
            r->wrong = true;
            fprintf(stderr, "bench: %s: no answer from %s %s\n", s->machine->name, rows[i].group, rows[i].name);
            return failures + 1;
        case WRONG: r->wrong = true; failures += fail(s->machine, &rows[i], verdict); break;
        }
    }
    return failures;
}

/* The time from the start of the process to its first byte or line. */
static void measure_arrival(struct session *s, enum session_kind kind)
{
    struct sample sample = { seconds(CLOCK_MONOTONIC) - s->start.wall, seconds(s->cpu_clock), 1 };
    for (unsigned i = 0; i < row_count; i++)
        if (rows[i].session == kind && !rows[i].count && row_chosen(s->config, &rows[i]))
            g_array_append_val(s->machine->results[i].samples, sample);
}

static bool wanted(const struct config *c, const struct machine *m, enum session_kind kind)
{
    if (kind == SESSION_REAL && !c->root) /* there is no network, which bench/run has said */
        return false;
    for (unsigned i = 0; i < row_count; i++)
        if (rows[i].session == kind && row_chosen(c, &rows[i]) && (m->argv || rows[i].count))
            return true;
    return false;
}

unsigned measure_session(const struct config *c, struct machine *m, enum session_kind kind)
{
    struct session s = { .config = c, .machine = m };
    unsigned failures = 0;
    if (!wanted(c, m, kind))
        return 0;
    if (!session_begin(&s, kind))
        return 1;
    if (kind == SESSION_START) {
        bool came = session_read(&s, seconds(CLOCK_MONOTONIC) + m->patience);
        measure_arrival(&s, kind);
        kill(s.pid, SIGKILL);
        session_end(&s);
        if (!came)
            fprintf(stderr, "bench: %s: the ROM did not answer\n", m->name);
        return !came;
    }
    g_autofree char *line = session_line(&s);
    if (line && !strcmp(line, "ready")) {
        measure_arrival(&s, kind);
        if (!m->argv && kind == SESSION_ONE)
            session_say(&s, "one-cpu\n");
        failures = measure_rows(&s, kind);
        session_say(&s, "off\n");
    } else {
        fprintf(stderr, "bench: %s did not start: %s\n", m->name, line ? line : s.text->str);
        failures = 1;
    }
    session_end(&s);
    return failures;
}
