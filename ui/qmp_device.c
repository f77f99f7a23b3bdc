/* QMP commands that add and take away devices and objects. Main thread, from ui/qmp.c and, through it, the monitor. */
#include "hw/backend/object.h"
#include "ui/qmp_cmd.h"
#include "ui/qmp_prop.h"
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

int qmp_device_list_properties(struct qmp_call *c)
{
    const struct dev_class *cls = dev_class_find(qmp_str(c, "typename"));
    JsonBuilder *b;

    if (!cls)
        return qmp_no_device(c, qmp_str(c, "typename"));
    b = json_builder_new();
    json_open_array(b, NULL);
    for (const struct prop *p = cls->props; p && p->kind != PROP_END; p++) {
        json_open(b, NULL);
        add_default(b, p);
        json_str(b, "name", p->name);
        if (p->help)
            json_str(b, "description", p->help);
        json_str(b, "type", qmp_prop_type(p));
        json_close(b);
    }
    json_close_array(b);
    c->ret = json_take(b);
    return 0;
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
