/* JSON as text in QEMU's form: {"a": 1, "b": [true, null]}, or indented by four blanks. Main thread, called by ui/qmp.c. Source: RFC 8259. */
#include "ui/json_text.h"
#include <math.h>

struct printer {
    GString *out;
    bool pretty;
    unsigned depth;
};

static void print_escaped(GString *out, gunichar c)
{
    if (c > 0xffff)
        g_string_append_printf(out, "\\u%04X\\u%04X", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
    else
        g_string_append_printf(out, "\\u%04X", c);
}

/* ASCII only; bytes that are no UTF-8 (in file names, say) become replacement characters. */
static void print_string(GString *out, const char *s)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    enum { REPLACEMENT = 0xfffd };

    g_string_append_c(out, '"');
    while (*s) {
        const char *at = strchr(named, *s);
        gunichar c = g_utf8_get_char_validated(s, -1);
        bool valid = c < 0x110000; /* not (gunichar)-1 or -2 */
        if (at)
            g_string_append_printf(out, "\\%c", letters[at - named]);
        else if (c >= 0x20 && c < 0x7f)
            g_string_append_c(out, *s);
        else
            print_escaped(out, valid ? c : REPLACEMENT);
        s = valid ? g_utf8_next_char(s) : s + 1;
    }
    g_string_append_c(out, '"');
}

static void print_value(struct printer *p, JsonNode *n);

static void new_line(struct printer *p)
{
    if (p->pretty)
        g_string_append_printf(p->out, "\n%*s", (int)p->depth * 4, "");
}

/* Between two elements. */
static void separator(struct printer *p, bool first)
{
    if (!first)
        g_string_append(p->out, p->pretty ? "," : ", ");
    new_line(p);
}

static void print_object(struct printer *p, JsonObject *o)
{
    JsonObjectIter it;
    const char *name;
    bool first = true;
    JsonNode *v;

    g_string_append_c(p->out, '{');
    p->depth++;
    json_object_iter_init_ordered(&it, o);
    for (; json_object_iter_next_ordered(&it, &name, &v); first = false) {
        separator(p, first);
        print_string(p->out, name);
        g_string_append(p->out, ": ");
        print_value(p, v);
    }
    p->depth--;
    if (!first)
        new_line(p);
    g_string_append_c(p->out, '}');
}

static void print_array(struct printer *p, JsonArray *a)
{
    unsigned n = json_array_get_length(a);

    g_string_append_c(p->out, '[');
    p->depth++;
    for (unsigned i = 0; i < n; i++) {
        separator(p, i == 0);
        print_value(p, json_array_get_element(a, i));
    }
    p->depth--;
    if (n)
        new_line(p);
    g_string_append_c(p->out, ']');
}

static void print_scalar(GString *out, JsonNode *n)
{
    GType t = json_node_get_value_type(n);
    char buf[G_ASCII_DTOSTR_BUF_SIZE];

    if (t == G_TYPE_STRING)
        print_string(out, json_node_get_string(n));
    else if (t == G_TYPE_BOOLEAN)
        g_string_append(out, json_node_get_boolean(n) ? "true" : "false");
    else if (t == G_TYPE_DOUBLE && isfinite(json_node_get_double(n)))
        g_string_append(out, g_ascii_dtostr(buf, sizeof(buf), json_node_get_double(n)));
    else if (t == G_TYPE_INT64)
        g_string_append_printf(out, "%" G_GINT64_FORMAT, json_node_get_int(n));
    else
        g_string_append(out, "null");
}

static void print_value(struct printer *p, JsonNode *n)
{
    if (JSON_NODE_HOLDS_OBJECT(n))
        print_object(p, json_node_get_object(n));
    else if (JSON_NODE_HOLDS_ARRAY(n))
        print_array(p, json_node_get_array(n));
    else if (JSON_NODE_HOLDS_NULL(n))
        g_string_append(p->out, "null");
    else
        print_scalar(p->out, n);
}

char *json_text(JsonNode *n, bool pretty)
{
    struct printer p = { .out = g_string_new(NULL), .pretty = pretty };

    print_value(&p, n);
    return g_string_free(p.out, FALSE);
}
