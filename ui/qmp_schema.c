/* Reads the text of ui/qmp.schema, once, into tables; checks arguments against them; and tells clients about them (query-qmp-schema).
 * Main thread, from ui/qmp*.c. */
#include "ui/qmp_schema.h"

extern const char qmp_schema_text[];

static const char *const builtins[] = { "str", "int", "number", "bool", "any" };
static const char *const kinds[] = { [QMP_COMMAND] = "command", [QMP_EVENT] = "event", [QMP_STRUCT] = "struct", [QMP_ENUM] = "enum" };

/* The tables, made from the text at first use; never freed. [main] */
static GPtrArray *defs; /* struct qmp_def */

/* --- reading the file, which is known to be right: the test of this module reads it, too --- */

static struct qmp_def *read_head(char **words, enum qmp_def_kind kind)
{
    struct qmp_def *d = g_new0(struct qmp_def, 1);

    d->kind = kind;
    d->name = g_strdup(words[1]);
    d->members = g_array_new(FALSE, FALSE, sizeof(struct qmp_member));
    d->values = g_ptr_array_new();
    for (char **w = words + 2; *w; w++) {
        if (kind == QMP_ENUM)
            g_ptr_array_add(d->values, g_strdup(*w));
        else if (!strcmp(*w, "oob"))
            d->oob = true;
        else if (!strcmp(*w, "open"))
            d->open = true;
        else if (!strcmp(*w, "->"))
            d->ret = g_strdup(w[1]);
    }
    g_ptr_array_add(defs, d);
    return d;
}

/* "name?: TYPE" */
static void read_member(struct qmp_def *d, const char *text)
{
    size_t n = strcspn(text, "?:");
    struct qmp_member m = { .name = g_strndup(text, n), .optional = text[n] == '?' };

    m.type = g_strstrip(g_strdup(text + n + 1 + m.optional));
    g_array_append_val(d->members, m);
}

static void read_line(const char *line, struct qmp_def **current)
{
    char **words;

    if (!*line || *line == '#')
        return;
    if (*line == ' ') {
        line += strspn(line, " ");
        if (*line != '|' && *current)
            read_member(*current, line);
        return;
    }
    words = g_strsplit(line, " ", -1);
    for (unsigned k = 0; k < ARRAY_LEN(kinds); k++)
        if (!strcmp(words[0], kinds[k]))
            *current = read_head(words, k);
    g_strfreev(words);
}

static void load(void)
{
    char **lines = g_strsplit(qmp_schema_text, "\n", -1);
    struct qmp_def *current = NULL;

    defs = g_ptr_array_new();
    for (char **l = lines; *l; l++)
        read_line(*l, &current);
    g_strfreev(lines);
}

const struct qmp_def *qmp_def_nth(unsigned i)
{
    if (!defs)
        load();
    return i < defs->len ? defs->pdata[i] : NULL;
}

static bool is_type(enum qmp_def_kind k)
{
    return k == QMP_STRUCT || k == QMP_ENUM;
}

const struct qmp_def *qmp_def_find(enum qmp_def_kind kind, const char *name)
{
    const struct qmp_def *d;

    for (unsigned i = 0; (d = qmp_def_nth(i)); i++)
        if ((d->kind == kind || (is_type(kind) && is_type(d->kind))) && !strcmp(d->name, name))
            return d;
    return NULL;
}

/* --- checking --- */

static int check_members(const struct qmp_def *d, JsonObject *o, const char *prefix, struct err *e);

static int wrong_type(const char *name, const char *expected, struct err *e)
{
    return err_set(e, "Invalid parameter type for '%s', expected: %s", name, expected);
}

static int check_builtin(const char *type, JsonNode *n, const char *name, struct err *e)
{
    GType t = JSON_NODE_HOLDS_VALUE(n) ? json_node_get_value_type(n) : G_TYPE_INVALID;

    if (!strcmp(type, "str"))
        return t == G_TYPE_STRING ? 0 : wrong_type(name, "string", e);
    if (!strcmp(type, "int"))
        return t == G_TYPE_INT64 ? 0 : wrong_type(name, "integer", e);
    if (!strcmp(type, "number"))
        return t == G_TYPE_INT64 || t == G_TYPE_DOUBLE ? 0 : wrong_type(name, "number", e);
    if (!strcmp(type, "bool"))
        return t == G_TYPE_BOOLEAN ? 0 : wrong_type(name, "boolean", e);
    return 0; /* any */
}

static int check_enum(const struct qmp_def *d, JsonNode *n, const char *name, struct err *e)
{
    if (check_builtin("str", n, name, e) < 0)
        return -1;
    for (unsigned i = 0; i < d->values->len; i++)
        if (!strcmp(d->values->pdata[i], json_node_get_string(n)))
            return 0;
    return err_set(e, "Parameter '%s' does not accept value '%s'", name, json_node_get_string(n));
}

static int check_array(const char *type, JsonNode *n, const char *name, struct err *e)
{
    char *element = g_strndup(type + 1, strlen(type) - 2);
    int r = 0;

    if (!JSON_NODE_HOLDS_ARRAY(n))
        r = wrong_type(name, "array", e);
    for (unsigned i = 0; r == 0 && i < json_array_get_length(json_node_get_array(n)); i++) {
        char *at = g_strdup_printf("%s[%u]", name, i);
        r = qmp_check_value(element, json_array_get_element(json_node_get_array(n), i), at, e);
        g_free(at);
    }
    g_free(element);
    return r;
}

int qmp_check_value(const char *type, JsonNode *n, const char *name, struct err *e)
{
    const struct qmp_def *d;

    if (*type == '[')
        return check_array(type, n, name, e);
    d = qmp_def_find(QMP_STRUCT, type);
    if (!d)
        return check_builtin(type, n, name, e);
    if (d->kind == QMP_ENUM)
        return check_enum(d, n, name, e);
    if (!JSON_NODE_HOLDS_OBJECT(n))
        return wrong_type(name, "object", e);
    return check_members(d, json_node_get_object(n), name, e);
}

static const struct qmp_member *member_find(const struct qmp_def *d, const char *name)
{
    for (unsigned i = 0; i < d->members->len; i++) {
        const struct qmp_member *m = &g_array_index(d->members, struct qmp_member, i);
        if (!strcmp(m->name, name))
            return m;
    }
    return NULL;
}

static int check_members(const struct qmp_def *d, JsonObject *o, const char *prefix, struct err *e)
{
    JsonObjectIter it;
    const char *name;
    JsonNode *n;
    int r = 0;

    for (unsigned i = 0; i < d->members->len && r == 0; i++) {
        const struct qmp_member *m = &g_array_index(d->members, struct qmp_member, i);
        char *full = *prefix ? g_strdup_printf("%s.%s", prefix, m->name) : g_strdup(m->name);
        n = json_object_get_member(o, m->name);
        if (n)
            r = qmp_check_value(m->type, n, full, e);
        else if (!m->optional)
            r = err_set(e, "Parameter '%s' is missing", full);
        g_free(full);
    }
    json_object_iter_init(&it, o);
    while (r == 0 && !d->open && json_object_iter_next(&it, &name, &n))
        if (!member_find(d, name))
            r = err_set(e, "Parameter '%s%s%s' is unexpected", prefix, *prefix ? "." : "", name);
    return r;
}

int qmp_check_args(const struct qmp_def *d, JsonObject *args, struct err *e)
{
    return check_members(d, args, "", e);
}

/* --- introspection --- */

static JsonBuilder *entry(JsonBuilder *b, const char *name, const char *meta)
{
    json_builder_begin_object(b);
    json_builder_add_string_value(json_builder_set_member_name(b, "name"), name);
    json_builder_add_string_value(json_builder_set_member_name(b, "meta-type"), meta);
    return b;
}

/* The members as an object type of that name. */
static void add_object(JsonBuilder *b, const char *name, const struct qmp_def *d)
{
    entry(b, name, "object");
    json_builder_begin_array(json_builder_set_member_name(b, "members"));
    for (unsigned i = 0; d && i < d->members->len; i++) {
        const struct qmp_member *m = &g_array_index(d->members, struct qmp_member, i);
        json_builder_begin_object(b);
        json_builder_add_string_value(json_builder_set_member_name(b, "name"), m->name);
        json_builder_add_string_value(json_builder_set_member_name(b, "type"), m->type);
        if (m->optional)
            json_builder_add_null_value(json_builder_set_member_name(b, "default"));
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_builder_end_object(b);
}

static void add_enum(JsonBuilder *b, const struct qmp_def *d)
{
    entry(b, d->name, "enum");
    json_builder_begin_array(json_builder_set_member_name(b, "members"));
    for (unsigned i = 0; i < d->values->len; i++) {
        json_builder_begin_object(b);
        json_builder_add_string_value(json_builder_set_member_name(b, "name"), d->values->pdata[i]);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_builder_begin_array(json_builder_set_member_name(b, "values"));
    for (unsigned i = 0; i < d->values->len; i++)
        json_builder_add_string_value(b, d->values->pdata[i]);
    json_builder_end_array(b);
    json_builder_end_object(b);
}

/* A command or event, with its arguments as a type of their own; q_empty is the object without members. */
static void add_call(JsonBuilder *b, const struct qmp_def *d)
{
    bool empty = !d->members->len && !d->open;
    char *arg = empty ? g_strdup("q_empty") : g_strdup_printf("q_obj_%s-arg", d->name);

    entry(b, d->name, kinds[d->kind]);
    json_builder_add_string_value(json_builder_set_member_name(b, "arg-type"), arg);
    if (d->kind == QMP_COMMAND) {
        json_builder_add_string_value(json_builder_set_member_name(b, "ret-type"), d->ret ? d->ret : "q_empty");
        if (d->oob)
            json_builder_add_boolean_value(json_builder_set_member_name(b, "allow-oob"), TRUE);
    }
    json_builder_end_object(b);
    if (!empty)
        add_object(b, arg, d);
    g_free(arg);
}

static void note_array(GHashTable *arrays, const char *type)
{
    if (type && *type == '[')
        g_hash_table_add(arrays, (char *)type);
}

static void add_arrays(JsonBuilder *b)
{
    GHashTable *arrays = g_hash_table_new(g_str_hash, g_str_equal);
    const struct qmp_def *d;
    GList *names;

    for (unsigned i = 0; (d = qmp_def_nth(i)); i++) {
        note_array(arrays, d->ret);
        for (unsigned k = 0; k < d->members->len; k++)
            note_array(arrays, g_array_index(d->members, struct qmp_member, k).type);
    }
    names = g_list_sort(g_hash_table_get_keys(arrays), (GCompareFunc)strcmp);
    for (GList *l = names; l; l = l->next) {
        char *element = g_strndup((char *)l->data + 1, strlen(l->data) - 2);
        entry(b, l->data, "array");
        json_builder_add_string_value(json_builder_set_member_name(b, "element-type"), element);
        json_builder_end_object(b);
        g_free(element);
    }
    g_list_free(names);
    g_hash_table_unref(arrays);
}

static void add_builtins(JsonBuilder *b)
{
    static const char *const json[] = { "string", "int", "number", "boolean", "value" };

    for (unsigned i = 0; i < ARRAY_LEN(builtins); i++) {
        entry(b, builtins[i], "builtin");
        json_builder_add_string_value(json_builder_set_member_name(b, "json-type"), json[i]);
        json_builder_end_object(b);
    }
}

JsonNode *qmp_introspect(void)
{
    JsonBuilder *b = json_builder_new();
    const struct qmp_def *d;
    JsonNode *n;

    json_builder_begin_array(b);
    for (unsigned i = 0; (d = qmp_def_nth(i)); i++) {
        if (d->kind == QMP_ENUM)
            add_enum(b, d);
        else if (d->kind == QMP_STRUCT)
            add_object(b, d->name, d);
        else
            add_call(b, d);
    }
    add_object(b, "q_empty", NULL);
    add_arrays(b);
    add_builtins(b);
    json_builder_end_array(b);
    n = json_builder_get_root(b);
    g_object_unref(b);
    return n;
}
