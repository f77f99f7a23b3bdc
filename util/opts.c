/* Option lists from "NAME=VALUE,..." or JSON; see opts.h. Main thread: command line, monitor and QMP. */
#include "util/opts.h"
#include <glib.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <stdlib.h>

struct opt {
    char *name, *value;
    bool used;
};

struct opts {
    GArray *v; /* struct opt */
    char *text;
};

static struct opt *opt_at(const struct opts *o, unsigned i)
{
    return &g_array_index(o->v, struct opt, i);
}

static void opt_clear(gpointer p)
{
    struct opt *t = p;

    g_free(t->name);
    g_free(t->value);
}

struct opts *opts_new(void)
{
    struct opts *o = g_new0(struct opts, 1);

    o->v = g_array_new(FALSE, FALSE, sizeof(struct opt));
    g_array_set_clear_func(o->v, opt_clear);
    o->text = g_strdup("");
    return o;
}

void opts_free(struct opts *o)
{
    if (!o)
        return;
    g_array_unref(o->v);
    g_free(o->text);
    g_free(o);
}

struct opts *opts_copy(const struct opts *o)
{
    struct opts *c = opts_new();

    opts_merge(c, NULL, o);
    g_free(c->text);
    c->text = g_strdup(o->text);
    return c;
}

const char *opts_text(const struct opts *o)
{
    return o->text;
}

/* The last of that name, or -1. */
static int opts_find(const struct opts *o, const char *name)
{
    for (int i = (int)o->v->len - 1; i >= 0; i--)
        if (!strcmp(opt_at(o, i)->name, name))
            return i;
    return -1;
}

static void opts_append(struct opts *o, char *name, char *value)
{
    struct opt t = { name, value, false };

    g_array_append_val(o->v, t);
}

void opts_unset(struct opts *o, const char *name)
{
    for (int i; (i = opts_find(o, name)) >= 0;)
        g_array_remove_index(o->v, i);
}

unsigned opts_keep_first(struct opts *o, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < o->v->len; i++)
        if (!strcmp(opt_at(o, i)->name, name) && n++)
            g_array_remove_index(o->v, i--);
    return n;
}

void opts_set(struct opts *o, const char *name, const char *value)
{
    char *n = g_strdup(name), *v = g_strdup(value);

    opts_unset(o, name);
    opts_append(o, n, v);
}

const char *opts_peek(const struct opts *o, const char *name)
{
    int i = opts_find(o, name);

    return i < 0 ? NULL : opt_at(o, i)->value;
}

const char *opts_get(struct opts *o, const char *name)
{
    for (unsigned i = 0; i < o->v->len; i++)
        if (!strcmp(opt_at(o, i)->name, name))
            opt_at(o, i)->used = true;
    return opts_peek(o, name);
}

/* What follows "NAME." in s, or NULL. */
static const char *below(const char *s, const char *name)
{
    size_t n = strlen(name);

    return !strncmp(s, name, n) && s[n] == '.' ? s + n + 1 : NULL;
}

bool opts_has(const struct opts *o, const char *name)
{
    for (unsigned i = 0; i < o->v->len; i++)
        if (!strcmp(opt_at(o, i)->name, name) || below(opt_at(o, i)->name, name))
            return true;
    return false;
}

/* -- parsing -------------------------------------------------------------------------------------------------------- */

char *opts_piece(const char **p)
{
    GString *s = g_string_new(NULL);

    for (; **p; (*p)++) {
        if (**p == ',' && (*p)[1] != ',')
            break;
        if (**p == ',')
            (*p)++;
        g_string_append_c(s, **p);
    }
    if (**p)
        (*p)++;
    return g_string_free(s, FALSE);
}

static int parse_pairs(struct opts *o, const char *text, const char *implied, struct err *e)
{
    for (const char *p = text; *p; implied = NULL) {
        char *piece = opts_piece(&p), *eq = strchr(piece, '=');

        if (eq == piece || (!*piece && !implied)) {
            int r = *piece ? err_set(e, "'%s': the name of an option is missing", piece) : 0;
            g_free(piece);
            if (r < 0)
                return r;
            continue; /* "a,,": an empty piece at the end */
        }
        if (eq)
            opts_append(o, g_strndup(piece, eq - piece), g_strdup(eq + 1));
        else if (implied)
            opts_append(o, g_strdup(implied), g_strdup(piece));
        else
            opts_append(o, g_strdup(piece), g_strdup("on"));
        g_free(piece);
    }
    return 0;
}

/* Where in the list the members of a JSON object go. */
struct json_at {
    struct opts *o;
    const char *prefix;
};

static void add_json(struct opts *o, const char *name, JsonNode *n);

static void add_json_member(JsonObject *obj, const gchar *name, JsonNode *n, gpointer data)
{
    struct json_at *at = data;
    char *full = *at->prefix ? g_strdup_printf("%s.%s", at->prefix, name) : g_strdup(name);

    add_json(at->o, full, n);
    g_free(full);
}

static char *json_text(JsonNode *n)
{
    GType t = json_node_get_value_type(n);

    if (t == G_TYPE_STRING)
        return json_node_dup_string(n);
    if (t == G_TYPE_BOOLEAN)
        return g_strdup(json_node_get_boolean(n) ? "on" : "off");
    if (t == G_TYPE_DOUBLE)
        return g_strdup_printf("%.17g", json_node_get_double(n));
    return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(n));
}

static void add_json(struct opts *o, const char *name, JsonNode *n)
{
    struct json_at at = { o, name };

    if (JSON_NODE_HOLDS_OBJECT(n)) {
        json_object_foreach_member(json_node_get_object(n), add_json_member, &at);
    } else if (JSON_NODE_HOLDS_ARRAY(n)) {
        JsonArray *a = json_node_get_array(n);
        for (unsigned i = 0; i < json_array_get_length(a); i++) {
            char *full = g_strdup_printf("%s.%u", name, i);
            add_json(o, full, json_array_get_element(a, i));
            g_free(full);
        }
    } else { /* null is what an empty word is on the command line: "backing": null */
        opts_append(o, g_strdup(name), JSON_NODE_HOLDS_NULL(n) ? g_strdup("") : json_text(n));
    }
}

static int parse_json(struct opts *o, const char *text, struct err *e)
{
    JsonParser *p = json_parser_new_immutable();
    GError *ge = NULL;
    int r = 0;

    if (!json_parser_load_from_data(p, text, -1, &ge))
        r = err_set(e, "not valid JSON: %s", ge->message);
    else if (!JSON_NODE_HOLDS_OBJECT(json_parser_get_root(p)))
        r = err_set(e, "a JSON object is expected");
    else
        add_json(o, "", json_parser_get_root(p));
    g_clear_error(&ge);
    g_object_unref(p);
    return r;
}

struct opts *opts_parse(const char *text, const char *implied, struct err *e)
{
    struct opts *o = opts_new();
    int r = *text == '{' ? parse_json(o, text, e) : parse_pairs(o, text, implied, e);

    if (r < 0) {
        opts_free(o);
        return NULL;
    }
    g_free(o->text);
    o->text = g_strdup(text);
    return o;
}

/* -- typed reads ---------------------------------------------------------------------------------------------------- */

int opts_bool(struct opts *o, const char *name, bool def, bool *out, struct err *e)
{
    static const char *const words[] = { "off", "on", "false", "true", "no", "yes", "n", "y", "0", "1" };
    const char *v = opts_get(o, name);

    *out = def;
    if (!v)
        return 0;
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (!strcmp(v, words[i])) {
            *out = i & 1;
            return 0;
        }
    }
    return err_set(e, "%s=%s: neither on nor off", name, v);
}

int opts_uint(struct opts *o, const char *name, u64 def, u64 min, u64 max, u64 *out, struct err *e)
{
    const char *v = opts_get(o, name);
    char *end;

    *out = def;
    if (!v)
        return 0;
    errno = 0;
    *out = g_ascii_strtoull(v, &end, 0);
    if (!g_ascii_isdigit(*v) || *end || errno || *out < min || *out > max)
        return err_set(e, "%s=%s: not a number from %llu to %llu", name, v, (unsigned long long)min, (unsigned long long)max);
    return 0;
}

int id_check(const char *id, struct err *e)
{
    const char *p = id;

    while (g_ascii_isalnum(*p) || (*p && strchr("-._", *p)))
        p++;
    return *p || !g_ascii_isalpha(*id) ? err_set(e, "Parameter 'id' expects an identifier, not '%s'", id) : 0;
}

int size_parse(const char *s, u64 unit, u64 *out)
{
    static const char suffix[] = "BKMGTPE";
    char *end, *at;
    u64 mul = unit;

    if (!g_ascii_isdigit(*s))
        return -1;
    errno = 0;
    u64 whole = g_ascii_strtoull(s, &end, s[0] == '0' && (s[1] | 32) == 'x' ? 16 : 10);
    double v = *end == '.' ? g_ascii_strtod(s, &end) : -1;
    if (*end && (at = strchr(suffix, g_ascii_toupper(*end)))) {
        mul = 1ull << (10 * (at - suffix));
        end++;
    }
    if (*end || errno || (v < 0 ? whole > ~0ull / mul : !(v * (double)mul < 1.8e19)))
        return -1;
    *out = v < 0 ? whole * mul : (u64)(v * (double)mul);
    return 0;
}

int opts_size(struct opts *o, const char *name, u64 def, u64 *out, struct err *e)
{
    const char *v = opts_get(o, name);

    *out = def;
    if (v && size_parse(v, 1, out) < 0)
        return err_set(e, "%s=%s: not a size; use a number of bytes or a suffix K, M, G, T", name, v);
    return 0;
}

int opts_enum(struct opts *o, const char *name, const char *const *words, int def, int *out, struct err *e)
{
    const char *v = opts_get(o, name);
    char *all;

    *out = def;
    if (!v)
        return 0;
    for (int i = 0; words[i]; i++) {
        if (!strcmp(v, words[i])) {
            *out = i;
            return 0;
        }
    }
    all = g_strjoinv(", ", (gchar **)words);
    err_set(e, "%s=%s: not one of %s", name, v, all);
    g_free(all);
    return -1;
}

/* -- lists ---------------------------------------------------------------------------------------------------------- */

struct opts *opts_sub(struct opts *o, const char *name)
{
    struct opts *sub = opts_new();

    for (unsigned i = 0; i < o->v->len; i++) {
        struct opt *t = opt_at(o, i);
        const char *rest = below(t->name, name);
        if (rest) {
            t->used = true;
            opts_append(sub, g_strdup(rest), g_strdup(t->value));
        }
    }
    return sub;
}

void opts_merge(struct opts *o, const char *name, const struct opts *from)
{
    for (unsigned i = 0; i < from->v->len; i++) {
        const struct opt *t = opt_at(from, i);
        char *full = name ? g_strdup_printf("%s.%s", name, t->name) : g_strdup(t->name);
        opts_set(o, full, t->value);
        g_free(full);
    }
}

unsigned opts_count(const struct opts *o)
{
    return o->v->len;
}

const char *opts_name(const struct opts *o, unsigned i)
{
    return opt_at(o, i)->name;
}

const char *opts_value(const struct opts *o, unsigned i)
{
    return opt_at(o, i)->value;
}

void opts_mark_used(struct opts *o, unsigned i)
{
    opt_at(o, i)->used = true;
}

int opts_all_used(const struct opts *o, struct err *e)
{
    for (unsigned i = 0; i < o->v->len; i++)
        if (!opt_at(o, i)->used)
            return err_set(e, "there is no option '%s'", opt_at(o, i)->name);
    return 0;
}

char *size_text(u64 bytes)
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    int i;

    frexp((double)bytes / (1000.0 / 1024.0), &i);
    i = MAX_OF(i - 1, 0) / 10;
    return g_strdup_printf("%0.3g %sB", (double)bytes / (double)(1ull << (i * 10)), units[i]);
}
