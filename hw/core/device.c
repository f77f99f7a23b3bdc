/* The life of a device: class table, creation, plugging and unplugging, saving. Called by the machine and by -device and
 * device_add handling on the main thread with the machine lock held. */
#include "hw/core/device.h"
#include <glib.h>
#include "hw/core/machine.h"
#include "hw/core/prop.h"
#include "util/event.h"
#include "util/opts.h"

#define DEVICE(cls) extern const struct dev_class cls;
#include "hw/core/devices.def"
#undef DEVICE

static const struct dev_class *const classes[] = {
#define DEVICE(cls) &cls,
#include "hw/core/devices.def"
#undef DEVICE
    NULL,
};

const struct dev_class *dev_class_nth(unsigned i)
{
    return i < ARRAY_LEN(classes) ? classes[i] : NULL;
}

const struct dev_class *dev_class_find(const char *name)
{
    for (const struct dev_class *const *c = classes; *c; c++)
        if (!strcmp((*c)->name, name))
            return *c;
    return NULL;
}

/* Applies one "name=value". A name alone means "name=on", as in QEMU's syntax. */
static int set_pair(struct device *d, const char *pair, struct err *e)
{
    const char *eq = strchr(pair, '=');
    char *name = eq ? g_strndup(pair, eq - pair) : g_strdup(pair);
    int r = device_set_prop(d, name, eq ? eq + 1 : "on", e);
    g_free(name);
    return r;
}

/* "CLASS.NAME=VALUE" of -global, where CLASS is ours. */
static int apply_globals(struct device *d, struct err *e)
{
    const struct machine_config *cfg = &d->m->cfg;
    size_t len = strlen(d->cls->name);
    for (unsigned i = 0; i < cfg->n_globals; i++) {
        const char *g = cfg->globals[i];
        if (!strncmp(g, d->cls->name, len) && g[len] == '.' && set_pair(d, g + len + 1, e) < 0)
            return err_prefix(e, "-global %s", g);
    }
    return 0;
}

/* Frees what the core allocated; the device is not (or no longer) realized nor linked. */
static void device_dispose(struct device *d)
{
    props_fini(d);
    g_free(d->id);
    g_free(d);
}

void device_abandon(struct device *d)
{
    device_dispose(d);
}

struct device *device_alloc(struct machine *m, const char *cls_name, struct err *e)
{
    const struct dev_class *cls = dev_class_find(cls_name);
    if (!cls) {
        err_set(e, "there is no device '%s' (-device help lists them)", cls_name);
        return NULL;
    }
    assert(cls->state_size >= sizeof(struct device));
    struct device *d = g_malloc0(cls->state_size);
    d->cls = cls;
    d->m = m;
    props_init(d);
    if (apply_globals(d, e) < 0) {
        device_dispose(d);
        return NULL;
    }
    return d;
}

/* A device whose class sits on a bus has one after this, or the machine has none of that type. */
static int device_take_bus(struct device *d, struct err *e)
{
    const char *type = d->cls->bus_type;

    if (!type || d->bus)
        return 0;
    d->bus = bus_for(d->m, type);
    if (d->bus)
        return 0;
    for (const struct bus *b = d->m->buses; b; b = b->next)
        if (!strcmp(b->type, type))
            return err_set(e, "no %s bus has room for a %s", type, d->cls->name);
    return err_set(e, "this machine has no %s bus for a %s", type, d->cls->name);
}

int device_set_bus(struct device *d, struct bus *b, struct err *e)
{
    if (!d->cls->bus_type)
        return err_set(e, "a %s sits on no bus, bus=%s does not fit", d->cls->name, b->name);
    if (strcmp(d->cls->bus_type, b->type))
        return err_set(e, "bus=%s: a %s bus, but a %s needs a %s bus", b->name, b->type, d->cls->name, d->cls->bus_type);
    if (b->max && bus_count(b) >= b->max)
        return err_set(e, "bus=%s: full, it has %u devices", b->name, b->max);
    d->bus = b;
    return 0;
}

int device_realize(struct device *d, struct err *e)
{
    struct device **tail = &d->m->devices;

    if (device_take_bus(d, e) < 0 || (d->bus && d->bus->ops && d->bus->ops->attach && d->bus->ops->attach(d->bus, d, e) < 0) ||
        (d->cls->realize && d->cls->realize(d, e) < 0)) {
        device_dispose(d);
        return -1;
    }
    while (*tail)
        tail = &(*tail)->next;
    *tail = d;
    if (d->cls->reset)
        d->cls->reset(d);
    return 0;
}

/* Everything of the list but the core's own words. */
static int apply_opts(struct device *d, struct opts *o, struct err *e)
{
    for (unsigned i = 0; i < opts_count(o); i++) {
        const char *name = opts_name(o, i);
        opts_mark_used(o, i);
        if (strcmp(name, "driver") && strcmp(name, "id") && strcmp(name, "bus") &&
            device_set_prop(d, name, opts_value(o, i), e) < 0)
            return -1;
    }
    return 0;
}

struct device *device_create(struct machine *m, const char *cls, const char *id, const char *props, struct err *e)
{
    struct opts *o = opts_parse(props ? props : "", NULL, e);
    struct device *d = o ? device_alloc(m, cls, e) : NULL;

    if (d) {
        d->id = g_strdup(id);
        if (apply_opts(d, o, e) < 0) {
            device_dispose(d);
            d = NULL;
        }
    }
    opts_free(o);
    return d && device_realize(d, e) == 0 ? d : NULL;
}

/* -- what the user adds and takes away -------------------------------------------------------------------------------- */

struct device *device_find(struct machine *m, const char *id)
{
    for (struct device *d = m->devices; d; d = d->next)
        if (d->id && !strcmp(d->id, id))
            return d;
    return NULL;
}

char *device_path(const struct device *d)
{
    unsigned n = 0;

    if (d->id)
        return g_strdup_printf("/machine/peripheral/%s", d->id);
    for (const struct device *o = d->m->devices; o && o != d; o = o->next)
        n += !o->id && o->user_made == d->user_made;
    return g_strdup_printf(d->user_made ? "/machine/peripheral-anon/device[%u]" : "/machine/unattached/device[%u]", n);
}

static int check_user_device(struct machine *m, const char *driver, const char *id, struct err *e)
{
    const struct dev_class *cls = driver ? dev_class_find(driver) : NULL;

    if (!driver)
        return err_set(e, "the name of the device (driver=) is missing");
    if (!cls)
        return err_set(e, "there is no device '%s' (-device help lists them)", driver);
    if (!cls->user_creatable)
        return err_set(e, "'%s' is part of the machine and cannot be added", driver);
    if (id && id_check(id, e) < 0)
        return -1;
    if (id && device_find(m, id))
        return err_set(e, "there is a device with id '%s' already", id);
    return 0;
}

/* Puts it on the bus that bus= names; a hot-plugged device needs a bus that can tell the guest. */
static int choose_bus(struct device *d, struct opts *o, struct err *e)
{
    const char *name = opts_get(o, "bus");
    struct bus *b = name ? bus_find(d->m, name) : NULL;

    if (name && !b)
        return err_set(e, "bus=%s: there is no such bus", name);
    if (b && device_set_bus(d, b, e) < 0)
        return -1;
    if (device_take_bus(d, e) < 0)
        return -1;
    if (d->m->running && (!d->bus || d->cls->no_hotplug))
        return err_set(e, "a %s cannot be added while the machine runs", d->cls->name);
    if (d->m->running && !(d->bus->ops && d->bus->ops->plugged))
        return err_set(e, "Bus '%s' does not support hotplugging", d->bus->name);
    return 0;
}

struct device *device_add(struct machine *m, struct opts *o, struct err *e)
{
    const char *driver = opts_get(o, "driver"), *id = opts_get(o, "id");
    struct device *d;

    if (check_user_device(m, driver, id, e) < 0 || !(d = device_alloc(m, driver, e)))
        return NULL;
    d->id = g_strdup(id);
    d->user_made = true;
    if (choose_bus(d, o, e) < 0 || apply_opts(d, o, e) < 0) {
        device_dispose(d);
        return NULL;
    }
    if (device_realize(d, e) < 0)
        return NULL;
    if (m->running && d->bus->ops->plugged(d->bus, d, e) < 0) {
        device_free(d);
        return NULL;
    }
    return d;
}

/* d, or what sits below it. */
static bool stays(const struct device *d)
{
    bool r = d->cls->no_hotplug;

    for (const struct device *x = d->m->devices; x && !r; x = x->next)
        r = x->bus && x->bus->owner == d && stays(x);
    return r;
}

bool device_removable(const struct device *d)
{
    return d->user_made && !stays(d);
}

int device_del(struct device *d, struct err *e)
{
    const char *name = d->id ? d->id : d->cls->name;

    if (!device_removable(d) || !d->bus)
        return err_set(e, "Device '%s' does not support hotplugging", name);
    if (!d->bus->ops || !d->bus->ops->unplug_request)
        return err_set(e, "Bus '%s' does not support hotplugging", d->bus->name);
    if (d->unplugging && clock_ns(d->m->clock) < d->unplug_again)
        return err_set(e, "Device %s is already in the process of unplug", name);
    d->unplugging = true;
    d->unplug_again = clock_ns(d->m->clock) + 5 * NS_PER_SEC;
    if (d->bus->ops->unplug_request(d->bus, d, e) < 0) {
        d->unplugging = false;
        return -1;
    }
    return 0;
}

void device_unplugged(struct device *d)
{
    char *path = device_path(d), *id = g_strdup(d->id);
    const struct event_member members[] = { EVENT_STR("device", id), EVENT_STR("path", path), EVENT_DONE };

    device_free(d);
    event_emit("DEVICE_DELETED", members);
    g_free(id);
    g_free(path);
}

void device_free(struct device *d)
{
    struct device **p = &d->m->devices;
    while (*p != d)
        p = &(*p)->next;
    *p = d->next;
    if (d->cls->unrealize)
        d->cls->unrealize(d);
    device_dispose(d);
}

void device_save(struct device *d, GByteArray *out)
{
    u8 name_len = strlen(d->cls->name);
    if (d->cls->pre_save)
        d->cls->pre_save(d);
    g_byte_array_append(out, &name_len, 1);
    g_byte_array_append(out, (const guint8 *)d->cls->name, name_len);
    g_byte_array_append(out, (const guint8 *)&d->cls->snap_version, 2);
    snap_save(d->cls->fields, d, out);
}

i64 device_load(struct device *d, const u8 *data, u64 len, struct err *e)
{
    u64 name_len = strlen(d->cls->name), head = name_len + 3;
    if (len < head || data[0] != name_len || memcmp(data + 1, d->cls->name, name_len))
        return err_set(e, "saved state is not that of device %s", d->cls->name);
    if (ld16(data + 1 + name_len) != d->cls->snap_version)
        return err_set(e, "saved state of device %s has version %u, expected %u", d->cls->name,
                       ld16(data + 1 + name_len), d->cls->snap_version);
    i64 used = snap_load(d->cls->fields, d, data + head, len - head);
    if (used < 0)
        return err_set(e, "saved state of device %s is damaged", d->cls->name);
    if (d->cls->post_load)
        d->cls->post_load(d);
    return head + used;
}
