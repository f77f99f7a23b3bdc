/* Reads the text of ui/qmp.schema, once, into tables; checks arguments against them; and tells clients about them (query-qmp-schema).
 * Main thread, from ui/qmp*.c. */
#include "ui/qmp_schema.h"

extern const char qmp_schema_text[];

static const char *const builtins[] = { "str", "int", "number", "bool", "null", "any" };
/* Words at the beginning of a definition; a union is a struct whose tag comes behind its name. */
static const struct { const char *word; enum qmp_def_kind kind; } heads[] = {
    { "command", QMP_COMMAND }, { "event", QMP_EVENT }, { "struct", QMP_STRUCT }, { "union", QMP_STRUCT }, { "enum", QMP_ENUM },
    { "alternate", QMP_ALTERNATE },
};

/* The tables, made from the text at first use; never freed. [main] */
static GPtrArray *defs; /* struct qmp_def */

/* --- reading the file, which is known to be right: the test of this module reads it, too --- */

static struct qmp_def *read_head(char **words, enum qmp_def_kind kind)
{
    struct qmp_def *d = g_new0(struct qmp_def, 1);

    d->kind = kind;
    d->name = g_strdup(words[1]);
    d->members = g_array_new(FALSE, FALSE, sizeof(struct qmp_member));
    d->cases = g_array_new(FALSE, FALSE, sizeof(struct qmp_case));
    d->values = g_ptr_array_new();
    if (!strcmp(words[0], "union"))
        d->tag = g_strdup(words[2]);
    for (char **w = words + 2; *w; w++) {
        if (kind == QMP_ENUM || kind == QMP_ALTERNATE)
            g_ptr_array_add(d->values, g_strdup(*w));
        else if (!strcmp(*w, "oob"))
            d->oob = true;
        else if (!strcmp(*w, "open"))
            d->open = true;
        else if (!strcmp(*w, "takes"))
            d->takes = g_strdup(w[1]);
        else if (!strcmp(*w, "->"))
            d->ret = g_strdup(w[1]);
    }
    g_ptr_array_add(defs, d);
    return d;
}

/* "name?: TYPE", "case VALUE: TYPE" */
static void read_member(struct qmp_def *d, const char *text)
{
    size_t n = strcspn(text, "?:");
    if (g_str_has_prefix(text, "case ")) {
        struct qmp_case k = { g_strndup(text + 5, n - 5), g_strstrip(g_strdup(text + n + 1)) };
        g_array_append_val(d->cases, k);
        return;
    }
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
    for (unsigned k = 0; k < ARRAY_LEN(heads); k++)
        if (!strcmp(words[0], heads[k].word))
            *current = read_head(words, heads[k].kind);
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
    return k == QMP_STRUCT || k == QMP_ENUM || k == QMP_ALTERNATE;
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
    if (!strcmp(type, "null"))
        return JSON_NODE_HOLDS_NULL(n) ? 0 : wrong_type(name, "null", e);
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

/* One of its types is an object's, one a string's (an enum counts as one), and so on: the value's kind chooses. */
static int check_alternate(const struct qmp_def *d, JsonNode *n, const char *name, struct err *e)
{
    struct err ignored;

    for (unsigned i = 0; i < d->values->len; i++) {
        const char *type = d->values->pdata[i];
        const struct qmp_def *t = qmp_def_find(QMP_STRUCT, type);
        bool fits = t ? t->kind == QMP_STRUCT ? JSON_NODE_HOLDS_OBJECT(n) : check_builtin("str", n, name, &ignored) == 0
                      : check_builtin(type, n, name, &ignored) == 0;
        if (fits)
            return qmp_check_value(type, n, name, e);
    }
    return wrong_type(name, d->name, e);
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
    if (d->kind == QMP_ALTERNATE)
        return check_alternate(d, n, name, e);
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

/* Those that d lists. */
static int check_listed(const struct qmp_def *d, JsonObject *o, const char *prefix, struct err *e)
{
    int r = 0;

    for (unsigned i = 0; i < d->members->len && r == 0; i++) {
        const struct qmp_member *m = &g_array_index(d->members, struct qmp_member, i);
        char *full = *prefix ? g_strdup_printf("%s.%s", prefix, m->name) : g_strdup(m->name);
        JsonNode *n = json_object_get_member(o, m->name);
        if (n)
            r = qmp_check_value(m->type, n, full, e);
        else if (!m->optional)
            r = err_set(e, "Parameter '%s' is missing", full);
        g_free(full);
    }
    return r;
}

/* The struct with the further members of a union whose tag, already checked, is in o; NULL: none. */
static const struct qmp_def *branch(const struct qmp_def *d, JsonObject *o)
{
    const char *value = d->tag ? json_object_get_string_member(o, d->tag) : NULL;

    for (unsigned i = 0; value && i < d->cases->len; i++) {
        const struct qmp_case *k = &g_array_index(d->cases, struct qmp_case, i);
        if (!strcmp(k->value, value))
            return qmp_def_find(QMP_STRUCT, k->type);
    }
    return NULL;
}

static int check_members(const struct qmp_def *d, JsonObject *o, const char *prefix, struct err *e)
{
    const struct qmp_def *b;
    JsonObjectIter it;
    const char *name;
    JsonNode *n;
    int r = check_listed(d, o, prefix, e);

    if (r < 0)
        return r;
    b = branch(d, o);
    if (b)
        r = check_listed(b, o, prefix, e);
    json_object_iter_init(&it, o);
    while (r == 0 && !d->open && json_object_iter_next(&it, &name, &n))
        if (!member_find(d, name) && !(b && member_find(b, name)))
            r = err_set(e, "Parameter '%s%s%s' is unexpected", prefix, *prefix ? "." : "", name);
    return r;
}

int qmp_check_args(const struct qmp_def *d, JsonObject *args, struct err *e)
{
    return check_members(d->takes ? qmp_def_find(QMP_STRUCT, d->takes) : d, args, "", e);
}

/* --- introspection --- */

static JsonBuilder *entry(JsonBuilder *b, const char *name, const char *meta)
{
    json_builder_begin_object(b);
    json_builder_add_string_value(json_builder_set_member_name(b, "name"), name);
    json_builder_add_string_value(json_builder_set_member_name(b, "meta-type"), meta);
    return b;
}

/* A union's cases: each value of the tag's type is one, even if it brings no members. */
static void add_variants(JsonBuilder *b, const struct qmp_def *d)
{
    const struct qmp_def *values = qmp_def_find(QMP_ENUM, member_find(d, d->tag)->type);

    json_builder_add_string_value(json_builder_set_member_name(b, "tag"), d->tag);
    json_builder_begin_array(json_builder_set_member_name(b, "variants"));
    for (unsigned i = 0; i < values->values->len; i++) {
        const char *type = "q_empty";
        for (unsigned k = 0; k < d->cases->len; k++)
            if (!strcmp(g_array_index(d->cases, struct qmp_case, k).value, values->values->pdata[i]))
                type = g_array_index(d->cases, struct qmp_case, k).type;
        json_builder_begin_object(b);
        json_builder_add_string_value(json_builder_set_member_name(b, "case"), values->values->pdata[i]);
        json_builder_add_string_value(json_builder_set_member_name(b, "type"), type);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

static void add_alternate(JsonBuilder *b, const struct qmp_def *d)
{
    entry(b, d->name, "alternate");
    json_builder_begin_array(json_builder_set_member_name(b, "members"));
    for (unsigned i = 0; i < d->values->len; i++) {
        json_builder_begin_object(b);
        json_builder_add_string_value(json_builder_set_member_name(b, "type"), d->values->pdata[i]);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_builder_end_object(b);
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
    if (d && d->tag)
        add_variants(b, d);
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
    bool own = d->members->len || d->open;
    char *arg = own ? g_strdup_printf("q_obj_%s-arg", d->name) : g_strdup(d->takes ? d->takes : "q_empty");

    entry(b, d->name, d->kind == QMP_COMMAND ? "command" : "event");
    json_builder_add_string_value(json_builder_set_member_name(b, "arg-type"), arg);
    if (d->kind == QMP_COMMAND) {
        json_builder_add_string_value(json_builder_set_member_name(b, "ret-type"), d->ret ? d->ret : "q_empty");
        if (d->oob)
            json_builder_add_boolean_value(json_builder_set_member_name(b, "allow-oob"), TRUE);
    }
    json_builder_end_object(b);
    if (own)
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
    static const char *const json[] = { "string", "int", "number", "boolean", "null", "value" };

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
        else if (d->kind == QMP_ALTERNATE)
            add_alternate(b, d);
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
