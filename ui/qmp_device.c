/* QMP commands that add and take away devices and objects. Main thread, from ui/qmp.c and, through it, the monitor. */
#include "hw/backend/object.h"
#include "ui/qmp_cmd.h"
#include "ui/qmp_prop.h"
#include "ui/qmp_schema.h"
#include "util/opts.h"

int qmp_device_add(struct qmp_call *c)
{
    struct opts *o = qmp_opts(c);
    struct device *d;

    lock_acquire(&c->m->lock);
    d = device_add(c->m, o, &c->err);
    lock_release(&c->m->lock);
    opts_free(o);
    return d ? 0 : -1;
}

/* id: an id, or a path as device_path gives it. */
int qmp_device_del(struct qmp_call *c)
{
    const char *id = qmp_str(c, "id");
    struct device *d;
    int r = 0;

    lock_acquire(&c->m->lock);
    d = *id == '/' ? qmp_device_at(c->m, id) : device_find(c->m, id);
    if (d)
        r = device_del(d, &c->err);
    lock_release(&c->m->lock);
    return d ? r : qmp_no_device(c, id);
}

const char *qmp_prop_type(const struct prop *p)
{
    static const char *const names[] = {
        [PROP_U8] = "uint8", [PROP_U16] = "uint16", [PROP_U32] = "uint32", [PROP_U64] = "uint64", [PROP_BOOL] = "bool", [PROP_I32] = "int32",
        [PROP_SIZE] = "size", [PROP_AUTO] = "OnOffAuto",
    };
    return p->kind < ARRAY_LEN(names) && names[p->kind] ? names[p->kind] : "str";
}

static void add_default(JsonBuilder *b, const struct prop *p)
{
    if (p->kind == PROP_BOOL)
        json_bool(b, "default-value", p->def != 0);
    else if (p->kind == PROP_AUTO)
        json_str(b, "default-value", p->def == AUTO_OFF ? "off" : p->def == AUTO_ON ? "on" : "auto");
    else if (p->kind == PROP_I32)
        json_int(b, "default-value", (i32)p->def);
    else if (p->kind < PROP_STR)
        json_int(b, "default-value", (i64)p->def);
    else if (p->def_str)
        json_str(b, "default-value", p->def_str);
}

static void add_class(JsonBuilder *b, const struct dev_class *cls)
{
    for (const struct prop *p = cls->props; p && p->kind != PROP_END; p++) {
        json_open(b, NULL);
        add_default(b, p);
        json_str(b, "name", p->name);
        if (p->help)
            json_str(b, "description", p->help);
        json_str(b, "type", qmp_prop_type(p));
        json_close(b);
    }
}

int qmp_device_list_properties(struct qmp_call *c)
{
    const struct dev_class *cls = dev_class_find(qmp_str(c, "typename"));
    JsonBuilder *b;

    if (!cls)
        return qmp_no_device(c, qmp_str(c, "typename"));
    b = json_builder_new();
    json_open_array(b, NULL);
    add_class(b, cls);
    json_close_array(b);
    return qmp_answer(c, b);
}

/* A type of -object: the schema says what object-add takes. */
static void add_object_type(JsonBuilder *b, const char *name)
{
    const struct qmp_def *options = qmp_def_find(QMP_STRUCT, "ObjectOptions"), *d = NULL;

    for (unsigned i = 0; i < options->cases->len; i++) {
        const struct qmp_case *k = &g_array_index(options->cases, struct qmp_case, i);
        if (!strcmp(k->value, name))
            d = qmp_def_find(QMP_STRUCT, k->type);
    }
    for (unsigned i = 0; d && i < d->members->len; i++) {
        const struct qmp_member *m = &g_array_index(d->members, struct qmp_member, i);
        json_open(b, NULL);
        json_str(b, "name", m->name);
        json_str(b, "type", !strcmp(m->type, "str") ? "string" : m->type);
        json_close(b);
    }
}

int qmp_qom_list_properties(struct qmp_call *c)
{
    const char *name = qmp_str(c, "typename");
    const struct dev_class *cls = dev_class_find(name);
    struct err ignored;
    JsonBuilder *b;

    if (!cls && object_check_type(name, &ignored) < 0)
        return qmp_fail(c, "DeviceNotFound", "Class '%s' not found", name);
    b = json_builder_new();
    json_open_array(b, NULL);
    if (cls)
        add_class(b, cls);
    else
        add_object_type(b, name);
    json_close_array(b);
    return qmp_answer(c, b);
}

int qmp_object_add(struct qmp_call *c)
{
    struct opts *o = qmp_opts(c);
    int r = object_add(o, &c->err);

    opts_free(o);
    return r;
}

int qmp_object_del(struct qmp_call *c)
{
    return object_del(qmp_str(c, "id"), &c->err);
}
