/* Measures what bench/driver/plan.c lists on the host, in Gemel and in peers, in turn, and reports. Run by bench/run, which makes the files that the
 * options name. Exit status 0 if everything could be measured and every program's result was right. */
#include "bench/driver/bench.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns that Gemel has: `--engines` chooses by name. */
static const struct engine {
    const char *name, *options;
    int patience;
} engines[] = {
    { "interpreter", "-accel dbt,interp=on -cpu max", 3600 },
    { "baseline", "-accel dbt,cache=off -cpu max", 300 },
    { "optimiser", "-accel dbt,cache=off,opt=on -cpu max", 300 }, /* the time of its worker is not in its process's */
    { "warm", "-accel dbt -cpu max", 300 }, /* its first run fills the cache: bench/run names a new directory */
};

static char *peers, *gemel, *engine_names;

static void add_machine(struct config *c, const char *name, const char *command, int patience)
{
    g_autoptr(GError) err = NULL;
    struct machine *m;
    c->machines = g_renew(struct machine, c->machines, ++c->machine_count);
    m = &c->machines[c->machine_count - 1];
    *m = (struct machine){ .name = g_strdup(name), .patience = patience, .results = g_new0(struct result, row_count) };
    for (unsigned i = 0; i < row_count; i++)
        m->results[i].samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
    if (command && !g_shell_parse_argv(command, NULL, &m->argv, &err)) {
        fprintf(stderr, "bench: %s: %s\n", command, err->message);
        exit(1);
    }
}

static void add_engine(struct config *c, const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(engines); i++)
        if (!strcmp(engines[i].name, name)) {
            g_autofree char *quoted = g_shell_quote(gemel);
            g_autofree char *command = g_strdup_printf("%s %s", quoted, engines[i].options);
            g_autofree char *full = g_strdup_printf("gemel %s", name);
            add_machine(c, full, command, engines[i].patience);
            return;
        }
    fprintf(stderr, "bench: there is no engine %s\n", name);
    exit(1);
}

/* Peers are commands, with semicolons between; each is called by its program's name. */
static void add_machines(struct config *c)
{
    g_auto(GStrv) engine = g_strsplit_set(engine_names, " ,", -1), peer = g_strsplit(peers ? peers : "", ";", -1);
    add_machine(c, "host", NULL, 300);
    for (char **e = engine; *e; e++)
        if (**e)
            add_engine(c, *e);
    c->first_peer = c->machine_count;
    for (char **p = peer; *p; p++) {
        if (!*g_strstrip(*p))
            continue;
        g_autofree char *program = g_strndup(*p, strcspn(*p, " "));
        g_autofree char *name = g_path_get_basename(program);
        add_machine(c, name, *p, 300);
    }
}

static void parse_options(struct config *c, int argc, char **argv)
{
    GOptionEntry entries[] = {
        { "gemel", 0, 0, G_OPTION_ARG_STRING, &gemel, "the program", "FILE" },
        { "engines", 0, 0, G_OPTION_ARG_STRING, &engine_names, "baseline, warm, interpreter", "NAMES" },
        { "peer", 0, 0, G_OPTION_ARG_STRING, &peers, "another emulator with QEMU's options; several with semicolons", "COMMAND" },
        { "only", 0, 0, G_OPTION_ARG_STRING, &c->only, "groups to run", "NAMES" },
        { "runs", 0, 0, G_OPTION_ARG_INT, &c->runs, "times that each program is run", "N" },
        { "divide", 0, 0, G_OPTION_ARG_INT, &c->divide, "divide the programs' rounds", "N" },
        { "limit", 0, 0, G_OPTION_ARG_DOUBLE, &c->limit, "seconds of a program in an emulator", "S" },
        { "kernel", 0, 0, G_OPTION_ARG_FILENAME, &c->kernel, "the guest's kernel", "FILE" },
        { "initrd-boot", 0, 0, G_OPTION_ARG_FILENAME, &c->initrd[SESSION_BOOT], "initramfs with the agent", "FILE" },
        { "initrd", 0, 0, G_OPTION_ARG_FILENAME, &c->initrd[SESSION_ONE], "initramfs with the agent and the programs", "FILE" },
        { "initrd-real", 0, 0, G_OPTION_ARG_FILENAME, &c->initrd[SESSION_REAL], "initramfs with the agent and Debian's programs", "FILE" },
        { "programs", 0, 0, G_OPTION_ARG_FILENAME, &c->programs, "where agent and programs are", "FOLDER" },
        { "root", 0, 0, G_OPTION_ARG_FILENAME, &c->root, "where Debian's programs are", "FOLDER" },
        { "rom", 0, 0, G_OPTION_ARG_FILENAME, &c->rom, "firmware that says that it runs", "FILE" },
        { "out", 0, 0, G_OPTION_ARG_FILENAME, &c->out, "where bench.json and bench.svg go", "FOLDER" },
        { NULL, 0, 0, 0, NULL, NULL, NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) err = NULL;
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        fprintf(stderr, "bench: %s\n", err->message);
        exit(1);
    }
    c->initrd[SESSION_TWO] = c->initrd[SESSION_ONE];
    if (!gemel || !c->out || !c->programs || c->runs < 1 || c->divide < 1) {
        fprintf(stderr, "bench: run by bench/run\n");
        exit(1);
    }
    g_autofree char *absolute = g_canonicalize_filename(c->programs, NULL);
    c->programs = g_steal_pointer(&absolute);
}

static void check_groups(const struct config *c)
{
    for (unsigned i = 0; i < row_count; i++)
        if (row_chosen(c, &rows[i]))
            return;
    fprintf(stderr, "bench: there is no group %s\n", c->only);
    exit(1);
}

static unsigned measure_all(const struct config *c)
{
    unsigned failures = 0;
    for (int run = 0; run < c->runs; run++)
        for (unsigned i = 0; i < c->machine_count; i++) {
            fprintf(stderr, "run %d of %d: %s\n", run + 1, c->runs, c->machines[i].name);
            for (enum session_kind k = 0; k < SESSION_KINDS; k++)
                failures += measure_session(c, &c->machines[i], k);
        }
    return failures;
}

int main(int argc, char **argv)
{
    struct config c = { .runs = 5, .divide = 1, .limit = 6 };
    g_autoptr(GError) err = NULL;
    engine_names = g_strdup("baseline");
    signal(SIGPIPE, SIG_IGN);
    parse_options(&c, argc, argv);
    check_groups(&c);
    add_machines(&c);
    unsigned failures = measure_all(&c);
    g_autofree char *json = g_build_filename(c.out, "bench.json", NULL), *svg = g_build_filename(c.out, "bench.svg", NULL);
    report_print(&c);
    if (!report_write_json(&c, json, &err) || !plot_write(&c, svg, &err)) {
        fprintf(stderr, "bench: %s\n", err->message);
        return 1;
    }
    printf("\nwritten: %s %s\n", json, svg);
    if (failures)
        fprintf(stderr, "bench: %u failures\n", failures);
    return failures != 0;
}
