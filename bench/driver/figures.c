/* What the samples of `make bench` come to: medians, minima, slowdowns against the host, geometric means, and what issue 4 wants. */
#include "bench/driver/bench.h"
#include <math.h>
#include <string.h>

static int compare(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The quantile q of the times of one round. */
static double quantile(const struct result *r, enum figure f, double q)
{
    g_autoptr(GArray) v = g_array_new(FALSE, FALSE, sizeof(double));
    for (guint i = 0; i < r->samples->len; i++) {
        const struct sample *s = &g_array_index(r->samples, struct sample, i);
        double t = (f == WALL ? s->wall : s->cpu) / s->count;
        g_array_append_val(v, t);
    }
    if (!v->len)
        return NAN;
    g_array_sort(v, compare);
    double at = q * (v->len - 1), low = floor(at);
    double a = g_array_index(v, double, (guint)low), b = g_array_index(v, double, (guint)ceil(at));
    return a + (b - a) * (at - low);
}

double result_median(const struct result *r, enum figure f) { return quantile(r, f, 0.5); }
double result_min(const struct result *r, enum figure f) { return quantile(r, f, 0); }

double slowdown(const struct config *c, const struct machine *m, unsigned row, enum figure f, bool minimum)
{
    double q = minimum ? 0 : 0.5;
    return quantile(&m->results[row], f, q) / quantile(&c->machines[0].results[row], f, q);
}

double group_slowdown(const struct config *c, const struct machine *m, const char *group, enum figure f, bool minimum)
{
    double sum = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < row_count; i++) {
        double s = strcmp(rows[i].group, group) ? NAN : slowdown(c, m, i, f, minimum);
        if (isnan(s))
            continue;
        sum += log(s);
        n++;
    }
    return n ? exp(sum / n) : NAN;
}

static double group_median(const struct machine *m, const char *group, enum session_kind kind, enum figure f)
{
    for (unsigned i = 0; i < row_count; i++)
        if (!strcmp(rows[i].group, group) && rows[i].session == kind)
            return result_median(&m->results[i], f);
    return NAN;
}

/* A round on two CPUs is twice the work of one on one. */
double group_scaling(const struct machine *m, const char *group)
{
    return 2 * group_median(m, group, SESSION_ONE, WALL) / group_median(m, group, SESSION_TWO, WALL);
}

double target_measured(const struct config *c, const struct machine *m, const struct target *t)
{
    switch (t->kind) {
    case TARGET_SLOWDOWN: return group_slowdown(c, m, t->group, CPU, false);
    case TARGET_SECONDS: return group_median(m, t->group, SESSION_START, WALL);
    case TARGET_SCALING: return group_scaling(m, t->group);
    case TARGET_WARM:
        if (!g_str_has_suffix(m->name, " warm"))
            return NAN;
        /* fall through */
    case TARGET_PEER:
        if (c->first_peer >= c->machine_count)
            return NAN;
        return group_median(m, t->group, SESSION_BOOT, CPU) / group_median(&c->machines[c->first_peer], t->group, SESSION_BOOT, CPU);
    }
    return NAN;
}

bool target_met(const struct target *t, double measured)
{
    return t->kind == TARGET_SCALING ? measured >= t->wanted : measured <= t->wanted;
}
