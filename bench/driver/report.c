/* Prints the table of `make bench` and writes its JSON file. */
#include "bench/driver/bench.h"
#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* --- the table --- */
static void print_number(double v, const char *without)
{
    if (isnan(v))
        printf(" %8s", without);
    else
        printf(v < 10 ? " %8.2f" : v < 1000 ? " %8.1f" : " %8.0f", v);
}

/* Median, minimum and wall time. */
static void print_three(double median, double minimum, double wall, const char *without)
{
    print_number(median, without);
    print_number(minimum, without);
    print_number(wall, without);
    printf("  ");
}

static const char *without(const struct result *r) { return r->wrong ? "wrong" : r->absent ? "absent" : "-"; }

/* Against the host; in ms where it has no figure. */
static void print_row(const struct config *c, unsigned row)
{
    const struct result *host = &c->machines[0].results[row];
    double native = result_median(host, CPU) * MAX(rows[row].count / (unsigned)c->divide, 1);
    printf("  %-16s", rows[row].name);
    print_number(native * 1000, without(host));
    printf("  ");
    for (unsigned i = 1; i < c->machine_count; i++) {
        const struct machine *m = &c->machines[i];
        const struct result *r = &m->results[row];
        if (isnan(native))
            print_three(result_median(r, CPU) * 1000, result_min(r, CPU) * 1000, result_median(r, WALL) * 1000, without(r));
        else
            print_three(slowdown(c, m, row, CPU, false), slowdown(c, m, row, CPU, true), slowdown(c, m, row, WALL, false), without(r));
    }
    printf("\n");
}

static void print_mean(const struct config *c, const char *group)
{
    if (isnan(group_slowdown(c, &c->machines[0], group, CPU, false)))
        return;
    printf("  %-16s %8s  ", "geometric mean", "");
    for (unsigned i = 1; i < c->machine_count; i++) {
        const struct machine *m = &c->machines[i];
        print_three(group_slowdown(c, m, group, CPU, false), group_slowdown(c, m, group, CPU, true), group_slowdown(c, m, group, WALL, false), "-");
    }
    printf("\n");
}

/* The throughput of two CPUs over one's, the host's, too, which may be busy with something else. */
static void print_scaling(const struct config *c, const char *group)
{
    if (isnan(group_scaling(&c->machines[0], group)))
        return;
    printf("  %-16s", "two over one");
    for (unsigned i = 0; i < c->machine_count; i++) {
        print_number(group_scaling(&c->machines[i], group), "-");
        printf("%s  ", i ? "                  " : "");
    }
    printf("\n");
}

static void print_targets(const struct config *c)
{
    printf("\n%-38s %9s", "issue 4", "wanted");
    for (unsigned i = 1; i < c->machine_count; i++)
        printf("  %16.16s", c->machines[i].name);
    printf("\n");
    for (unsigned k = 0; k < target_count; k++) {
        const struct target *t = &targets[k];
        double scale = t->kind == TARGET_SECONDS ? 1000 : 1;
        printf("%-38s %s %6.4g", t->what, t->kind == TARGET_SCALING ? ">=" : "<=", t->wanted * scale);
        for (unsigned i = 1; i < c->machine_count; i++) {
            double v = target_measured(c, &c->machines[i], t);
            if (isnan(v))
                printf("  %16s", "not measured");
            else
                printf("  %8.2f %-7s", v * scale, target_met(t, v) ? "met" : "not met");
        }
        printf("\n");
    }
}

static bool row_has_samples(const struct config *c, unsigned row)
{
    for (unsigned i = 0; i < c->machine_count; i++)
        if (c->machines[i].results[row].samples->len || c->machines[i].results[row].wrong)
            return true;
    return false;
}

void report_print(const struct config *c)
{
    const char *group = "";
    printf("%d runs; CPU time on the host in ms, then slowdowns: of median CPU time, of the least, of median wall time\n%-18s %8s  ", c->runs, "",
           "host");
    for (unsigned i = 1; i < c->machine_count; i++)
        printf(" %26.26s  ", c->machines[i].name);
    printf("\n");
    for (unsigned i = 0; i < row_count; i++) {
        if (!row_has_samples(c, i))
            continue;
        if (strcmp(group, rows[i].group))
            printf("%s%s\n", rows[i].group, rows[i].count ? "" : " (ms)");
        group = rows[i].group;
        print_row(c, i);
        if (i + 1 == row_count || strcmp(rows[i + 1].group, group))
            print_mean(c, group), print_scaling(c, group);
    }
    print_targets(c);
}

/* --- JSON --- */
static void add_number(JsonBuilder *b, const char *name, double v)
{
    json_builder_set_member_name(b, name);
    if (isnan(v))
        json_builder_add_null_value(b);
    else
        json_builder_add_double_value(b, v);
}

static void add_string(JsonBuilder *b, const char *name, const char *s)
{
    json_builder_set_member_name(b, name);
    json_builder_add_string_value(b, s);
}

static void begin_array(JsonBuilder *b, const char *name)
{
    json_builder_set_member_name(b, name);
    json_builder_begin_array(b);
}

static void add_host(JsonBuilder *b)
{
    struct utsname u;
    g_autofree char *cpuinfo = NULL;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *date = g_date_time_format(now, "%FT%TZ");
    add_string(b, "date", date);
    if (!uname(&u))
        add_string(b, "kernel", u.release);
    char *model = g_file_get_contents("/proc/cpuinfo", &cpuinfo, NULL, NULL) ? strstr(cpuinfo, "model name") : NULL;
    if (model && (model = strchr(model, ':'))) {
        model[strcspn(model, "\n")] = 0;
        add_string(b, "cpu", model + 2);
    }
    json_builder_set_member_name(b, "cpus");
    json_builder_add_int_value(b, sysconf(_SC_NPROCESSORS_ONLN));
}

static void add_samples(JsonBuilder *b, const char *name, const struct result *r, enum figure f)
{
    begin_array(b, name);
    for (guint i = 0; i < r->samples->len; i++) {
        const struct sample *s = &g_array_index(r->samples, struct sample, i);
        json_builder_add_double_value(b, (f == WALL ? s->wall : s->cpu) / s->count);
    }
    json_builder_end_array(b);
}

static void add_result(JsonBuilder *b, const struct config *c, const struct machine *m, unsigned row)
{
    const struct result *r = &m->results[row];
    json_builder_begin_object(b);
    add_string(b, "machine", m->name);
    json_builder_set_member_name(b, "rounds");
    json_builder_add_int_value(b, r->samples->len ? g_array_index(r->samples, struct sample, 0).count : 0);
    add_samples(b, "wall", r, WALL);
    add_samples(b, "cpu", r, CPU);
    add_number(b, "wall_median", result_median(r, WALL));
    add_number(b, "wall_min", result_min(r, WALL));
    add_number(b, "cpu_median", result_median(r, CPU));
    add_number(b, "cpu_min", result_min(r, CPU));
    add_number(b, "slowdown", slowdown(c, m, row, CPU, false));
    json_builder_end_object(b);
}

static void add_programs(JsonBuilder *b, const struct config *c)
{
    begin_array(b, "programs");
    for (unsigned i = 0; i < row_count; i++) {
        if (!row_has_samples(c, i))
            continue;
        json_builder_begin_object(b);
        add_string(b, "group", rows[i].group);
        add_string(b, "name", rows[i].name);
        begin_array(b, "results");
        for (unsigned k = 0; k < c->machine_count; k++)
            add_result(b, c, &c->machines[k], i);
        json_builder_end_array(b);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

static void add_targets(JsonBuilder *b, const struct config *c)
{
    begin_array(b, "targets");
    for (unsigned k = 0; k < target_count; k++) {
        json_builder_begin_object(b);
        add_string(b, "group", targets[k].group);
        add_number(b, "wanted", targets[k].wanted);
        for (unsigned i = 1; i < c->machine_count; i++)
            add_number(b, c->machines[i].name, target_measured(c, &c->machines[i], &targets[k]));
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

bool report_write_json(const struct config *c, const char *file, GError **err)
{
    g_autoptr(JsonBuilder) b = json_builder_new();
    json_builder_begin_object(b);
    add_host(b);
    json_builder_set_member_name(b, "runs");
    json_builder_add_int_value(b, c->runs);
    begin_array(b, "machines");
    for (unsigned i = 0; i < c->machine_count; i++) {
        g_autofree char *command = c->machines[i].argv ? g_strjoinv(" ", c->machines[i].argv) : g_strdup("");
        json_builder_begin_object(b);
        add_string(b, "name", c->machines[i].name);
        add_string(b, "command", command);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    add_programs(b, c);
    add_targets(b, c);
    json_builder_end_object(b);
    g_autoptr(JsonGenerator) g = json_generator_new();
    g_autoptr(JsonNode) root = json_builder_get_root(b);
    json_generator_set_root(g, root);
    json_generator_set_pretty(g, TRUE);
    return json_generator_to_file(g, file, err);
}
