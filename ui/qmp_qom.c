/* The tree of things that QMP's qom-* commands show: /machine with its devices, /objects, /chardevs. Nodes are found anew for each
 * command; nothing is kept. Main thread, from ui/qmp.c. */
#include "hw/backend/chr.h"
#include "hw/backend/object.h"
#include "ui/qmp_cmd.h"
#include "ui/qmp_prop.h"
#include "util/opts.h"

/* --- paths --- */

struct device *qmp_device_at(struct machine *m, const char *path)
{
    for (struct device *d = m->devices; d; d = d->next) {
        char *p = device_path(d);
        bool found = !strcmp(p, path);
        g_free(p);
        if (found)
            return d;
    }
    return NULL;
}

/* What is below "PREFIX/", or NULL. */
static const char *below(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);

    return !strncmp(path, prefix, n) && path[n] == '/' ? path + n + 1 : NULL;
}

/* Without a slash at the end; a relative path that is an id means the device or object of that id. */
static char *normal_path(struct machine *m, const char *path)
{
    char *s;

    if (*path != '/')
        return g_strdup_printf(device_find(m, path) ? "/machine/peripheral/%s" : "/objects/%s", path);
    s = g_strdup(path);
    while (strlen(s) > 1 && s[strlen(s) - 1] == '/')
        s[strlen(s) - 1] = 0;
    return s;
}

/* --- listing --- */

static void add_entry(JsonBuilder *b, const char *name, const char *type)
{
    json_open(b, NULL);
    json_str(b, "name", name);
    json_str(b, "type", type);
    json_close(b);
}

static void add_child(JsonBuilder *b, const char *name, const char *type)
{
    char *t = g_strdup_printf("child<%s>", type);

    add_entry(b, name, t);
    g_free(t);
}

static void list_device(JsonBuilder *b, const struct device *d)
{
    add_entry(b, "type", "string");
    for (const struct prop *p = d->cls->props; p && p->kind != PROP_END; p++)
        add_entry(b, p->name, qmp_prop_type(p));
    if (d->cls->bus_type)
        add_entry(b, "parent_bus", "link<bus>");
    add_entry(b, "realized", "bool");
    add_entry(b, "hotpluggable", "bool");
}

/* The devices whose path begins with that. */
static void list_devices(JsonBuilder *b, struct machine *m, const char *container)
{
    for (const struct device *d = m->devices; d; d = d->next) {
        char *path = device_path(d);
        const char *name = below(path, container);
        if (name)
            add_child(b, name, d->cls->name);
        g_free(path);
    }
}

static void list_machine(JsonBuilder *b, struct machine *m)
{
    static const char *const containers[] = { "peripheral", "peripheral-anon", "unattached" };

    add_entry(b, "type", "string");
    for (unsigned i = 0; i < ARRAY_LEN(containers); i++)
        add_child(b, containers[i], "container");
    for (const struct bus *bus = m->buses; bus; bus = bus->next)
        if (!bus->owner)
            add_child(b, bus->name, bus->type);
}

static void list_objects(JsonBuilder *b)
{
    const struct object *ob;

    for (unsigned i = 0; (ob = object_nth(i)); i++)
        add_child(b, object_id(ob), object_type(ob));
}

static void list_chardevs(JsonBuilder *b)
{
    for (struct chr *k = chr_next(NULL); k; k = chr_next(k))
        add_child(b, chr_id(k), "chardev");
}

static void list_object(JsonBuilder *b, const struct object *ob)
{
    const struct opts *o = object_opts(ob);

    add_entry(b, "type", "string");
    for (unsigned i = 0; i < opts_count(o); i++)
        if (strcmp(opts_name(o, i), "id") && strcmp(opts_name(o, i), "qom-type") && strcmp(opts_name(o, i), "data"))
            add_entry(b, opts_name(o, i), "string");
}

/* False: there is nothing at that path. */
static bool list_path(JsonBuilder *b, struct machine *m, const char *path)
{
    const char *id = below(path, "/objects");
    const struct object *ob = id ? object_find(id) : NULL;
    const struct device *d;

    if (!strcmp(path, "/")) {
        add_child(b, "machine", m->board->name);
        add_child(b, "objects", "container");
        add_child(b, "chardevs", "container");
    } else if (!strcmp(path, "/machine"))
        list_machine(b, m);
    else if (!strcmp(path, "/machine/peripheral") || !strcmp(path, "/machine/peripheral-anon") || !strcmp(path, "/machine/unattached"))
        list_devices(b, m, path);
    else if (!strcmp(path, "/objects"))
        list_objects(b);
    else if (!strcmp(path, "/chardevs"))
        list_chardevs(b);
    else if (ob)
        list_object(b, ob);
    else if ((d = qmp_device_at(m, path)))
        list_device(b, d);
    else
        return false;
    return true;
}

int qmp_qom_list(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    char *path;
    bool found;

    json_open_array(b, NULL);
    lock_acquire(&c->m->lock);
    path = normal_path(c->m, qmp_str(c, "path"));
    found = list_path(b, c->m, path);
    lock_release(&c->m->lock);
    json_close_array(b);
    c->ret = json_take(b);
    g_free(path);
    return found ? 0 : qmp_no_device(c, qmp_str(c, "path"));
}

/* --- properties --- */

JsonNode *qmp_prop_value(const struct device *d, const char *name)
{
    const struct prop *p = d->cls->props;
    JsonNode *n = NULL;
    char *v;

    while (p && p->kind != PROP_END && strcmp(p->name, name))
        p++;
    if (!p || p->kind == PROP_END)
        return NULL;
    v = device_get_prop(d, name);
    n = json_node_alloc();
    if (p->kind == PROP_BOOL)
        json_node_init_boolean(n, !strcmp(v, "true"));
    else if (p->kind < PROP_STR && p->kind != PROP_AUTO)
        json_node_init_int(n, (i64)g_ascii_strtoull(v, NULL, 0));
    else
        json_node_init_string(n, v);
    if (p->kind == PROP_I32)
        json_node_set_int(n, g_ascii_strtoll(v, NULL, 0));
    g_free(v);
    return n;
}

static JsonNode *bool_node(bool v)
{
    return json_node_init_boolean(json_node_alloc(), v);
}

static JsonNode *device_value(const struct device *d, const char *name)
{
    if (!strcmp(name, "type"))
        return json_string_node(d->cls->name);
    if (!strcmp(name, "realized"))
        return bool_node(true);
    if (!strcmp(name, "hotpluggable"))
        return bool_node(d->bus && d->bus->ops && d->bus->ops->plugged);
    if (!strcmp(name, "parent_bus") && d->cls->bus_type)
        return json_string_node(d->bus ? d->bus->name : "");
    return qmp_prop_value(d, name);
}

static JsonNode *object_value(const struct object *ob, const char *name)
{
    if (!strcmp(name, "type"))
        return json_string_node(object_type(ob));
    if (!strcmp(name, "data")) /* a secret stays one */
        return NULL;
    const char *v = opts_peek(object_opts(ob), name);
    return v ? json_string_node(v) : NULL;
}

static JsonNode *path_value(struct machine *m, const char *path, const char *name, bool *there)
{
    const char *id = below(path, "/objects");
    const struct object *ob = id ? object_find(id) : NULL;
    const struct device *d = ob ? NULL : qmp_device_at(m, path);

    *there = ob || d || !strcmp(path, "/machine");
    if (ob)
        return object_value(ob, name);
    if (d)
        return device_value(d, name);
    return *there && !strcmp(name, "type") ? json_string_node(m->board->name) : NULL;
}

int qmp_qom_get(struct qmp_call *c)
{
    const char *name = qmp_str(c, "property");
    bool there;
    char *path;

    lock_acquire(&c->m->lock);
    path = normal_path(c->m, qmp_str(c, "path"));
    c->ret = path_value(c->m, path, name, &there);
    lock_release(&c->m->lock);
    g_free(path);
    if (!there)
        return qmp_no_device(c, qmp_str(c, "path"));
    return c->ret ? 0 : err_set(&c->err, "Property '%s.%s' not found", qmp_str(c, "path"), name);
}

/* All that there is now is fixed when a device or object is made. */
int qmp_qom_set(struct qmp_call *c)
{
    const char *name = qmp_str(c, "property");

    if (qmp_qom_get(c) < 0)
        return -1;
    return err_set(&c->err, "Attempt to set property '%s' on device '%s' after it was realized", name, qmp_str(c, "path"));
}

/* --- types --- */

static void add_type(JsonBuilder *b, const char *name, const char *parent)
{
    json_open(b, NULL);
    json_str(b, "name", name);
    json_str(b, "parent", parent);
    json_close(b);
}

/* implements: "device", "object", or a kind of bus as QEMU calls it: "pci-device". */
static bool implements(const char *what, const char *bus_type)
{
    char *lower, *kind;
    bool yes;

    if (!what || !strcmp(what, "device") || !strcmp(what, "object"))
        return true;
    if (!bus_type)
        return false;
    lower = g_ascii_strdown(bus_type, -1);
    kind = g_strdup_printf("%s-device", lower);
    yes = !strcmp(kind, what);
    g_free(kind);
    g_free(lower);
    return yes;
}

int qmp_qom_list_types(struct qmp_call *c)
{
    const char *what = qmp_str(c, "implements"), *name;
    JsonBuilder *b = json_builder_new();
    const struct dev_class *cls;

    json_open_array(b, NULL);
    for (unsigned i = 0; (cls = dev_class_nth(i)); i++) {
        char *lower = cls->bus_type ? g_ascii_strdown(cls->bus_type, -1) : NULL, *parent = lower ? g_strdup_printf("%s-device", lower) : NULL;
        if (implements(what, cls->bus_type))
            add_type(b, cls->name, parent ? parent : "device");
        g_free(parent);
        g_free(lower);
    }
    for (unsigned i = 0; (name = object_type_nth(i)) && (!what || !strcmp(what, "object") || !strcmp(what, "user-creatable")); i++)
        add_type(b, name, "object");
    json_close_array(b);
    return qmp_answer(c, b);
}
