/* Draws what `make bench` measured as an SVG file: a line for each program, a dot for each machine, slowdown against the host on a logarithmic axis;
 * each group's geometric mean as a larger dot, what issue 4 wants of it as a bar. */
#include "bench/driver/bench.h"
#include <math.h>
#include <string.h>

enum { LEFT = 190, WIDTH = 700, ROW = 16, TOP = 70, MARGIN = 30 };
static const char *const colour[] = { "#777", "#0b6fa4", "#d1495b", "#3a7d44", "#8d5fd3", "#b07d00" };
static const double least = 0.5;

struct plot {
    const struct config *config;
    GString *svg;
    double most; /* the axis ends there */
    int y;
};

static double x_of(const struct plot *p, double v)
{
    return LEFT + WIDTH * log(CLAMP(v, least, p->most) / least) / log(p->most / least);
}

static void put_text(struct plot *p, double x, int y, const char *style, const char *text)
{
    g_autofree char *safe = g_markup_escape_text(text, -1);
    g_string_append_printf(p->svg, "<text x=\"%.1f\" y=\"%d\" %s>%s</text>\n", x, y, style, safe);
}

static void put_dot(struct plot *p, unsigned machine, double v, double radius)
{
    if (!isnan(v))
        g_string_append_printf(p->svg, "<circle cx=\"%.1f\" cy=\"%d\" r=\"%.1f\" fill=\"%s\"><title>%s %.2f</title></circle>\n", x_of(p, v), p->y,
                               radius, colour[machine % G_N_ELEMENTS(colour)], p->config->machines[machine].name, v);
}

static double most_of(const struct config *c)
{
    double most = 10;
    for (unsigned i = 1; i < c->machine_count; i++)
        for (unsigned k = 0; k < row_count; k++) {
            double s = slowdown(c, &c->machines[i], k, CPU, false);
            most = s > most ? s : most;
        }
    return pow(10, ceil(log10(most)));
}

static bool row_drawn(const struct config *c, unsigned row)
{
    return c->machines[0].results[row].samples->len;
}

static void put_group(struct plot *p, const char *group)
{
    p->y += ROW / 2;
    put_text(p, LEFT - 10, p->y + 4, "text-anchor=\"end\" font-weight=\"bold\"", group);
    for (unsigned k = 0; k < target_count; k++)
        if (!strcmp(targets[k].group, group) && targets[k].kind == TARGET_SLOWDOWN)
            g_string_append_printf(p->svg, "<path d=\"M%.1f %dv%d\" stroke=\"#000\" stroke-width=\"2\"/>\n", x_of(p, targets[k].wanted),
                                   p->y - ROW / 2, ROW);
    for (unsigned i = 1; i < p->config->machine_count; i++)
        put_dot(p, i, group_slowdown(p->config, &p->config->machines[i], group, CPU, false), 6);
    p->y += ROW;
}

static void put_row(struct plot *p, unsigned row)
{
    put_text(p, LEFT - 10, p->y + 4, "text-anchor=\"end\"", rows[row].name);
    g_string_append_printf(p->svg, "<path d=\"M%d %dh%d\" stroke=\"#eee\"/>\n", LEFT, p->y, WIDTH);
    for (unsigned i = 1; i < p->config->machine_count; i++)
        put_dot(p, i, slowdown(p->config, &p->config->machines[i], row, CPU, false), 3.5);
    p->y += ROW;
}

static void put_rows(struct plot *p)
{
    const char *group = "";
    for (unsigned i = 0; i < row_count; i++) {
        if (!row_drawn(p->config, i))
            continue;
        if (strcmp(group, rows[i].group))
            put_group(p, rows[i].group);
        group = rows[i].group;
        put_row(p, i);
    }
}

static void put_axis(struct plot *p, int bottom)
{
    static const double step[] = { 1, 2, 5 };
    for (double decade = 1; decade <= p->most; decade *= 10)
        for (unsigned i = 0; i < 3 && decade * step[i] <= p->most; i++) {
            g_autofree char *label = g_strdup_printf("%g", decade * step[i]);
            double x = x_of(p, decade * step[i]);
            g_string_append_printf(p->svg, "<path d=\"M%.1f %dV%d\" stroke=\"%s\"/>\n", x, TOP, bottom, i ? "#eee" : "#bbb");
            put_text(p, x, TOP - 6, "text-anchor=\"middle\" fill=\"#555\"", label);
        }
}

static void put_legend(struct plot *p)
{
    double x = LEFT;
    put_text(p, LEFT, 20, "font-size=\"14\"", "CPU time over the host's; small: a program, large: a group's geometric mean, bar: wanted");
    for (unsigned i = 1; i < p->config->machine_count; i++) {
        p->y = 38;
        g_string_append_printf(p->svg, "<circle cx=\"%.1f\" cy=\"%d\" r=\"5\" fill=\"%s\"/>\n", x + 5, p->y - 4, colour[i % G_N_ELEMENTS(colour)]);
        put_text(p, x + 14, p->y, "", p->config->machines[i].name);
        x += 30 + 7.0 * (double)strlen(p->config->machines[i].name);
    }
}

bool plot_write(const struct config *c, const char *file, GError **err)
{
    g_autoptr(GString) svg = g_string_new(NULL), body = g_string_new(NULL);
    struct plot p = { c, body, most_of(c), TOP + ROW / 2 };
    put_rows(&p);
    int bottom = p.y;
    g_string_append_printf(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n"
                           "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", LEFT + WIDTH + MARGIN, bottom + MARGIN);
    p.svg = svg;
    put_axis(&p, bottom);
    put_legend(&p);
    g_string_append_len(svg, body->str, (gssize)body->len);
    g_string_append(svg, "</svg>\n");
    return g_file_set_contents(file, svg->str, (gssize)svg->len, err);
}
