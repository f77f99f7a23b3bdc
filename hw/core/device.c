/* The life of a device: class table, properties, creation, saving. Called by the machine and by -device handling on the
 * main thread with the machine lock held. */
#include "hw/core/device.h"
#include <glib.h>
#include "hw/backend/chr.h"
#include "hw/core/machine.h"

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

static const struct prop *prop_find(const struct dev_class *cls, const char *name)
{
    for (const struct prop *p = cls->props; p && p->kind != PROP_END; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

static unsigned prop_size(const struct prop *p)
{
    switch ((enum prop_kind)p->kind) {
    case PROP_U8:
        return 1;
    case PROP_U16:
        return 2;
    case PROP_U32:
        return 4;
    case PROP_U64:
        return 8;
    case PROP_BOOL:
        return sizeof(bool);
    default:
        return sizeof(void *);
    }
}

static void set_default(struct device *d, const struct prop *p)
{
    char *at = (char *)d + p->offset;
    if (p->kind == PROP_STR)
        *(char **)at = g_strdup(p->def_str);
    else if (p->kind == PROP_BOOL)
        *(bool *)at = p->def != 0;
    else if (p->kind != PROP_CHR)
        memcpy(at, &p->def, prop_size(p));
}

static int parse_bool(const char *value, bool *out)
{
    static const char *const words[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (!strcmp(value, words[i])) {
            *out = i & 1;
            return 0;
        }
    }
    return -1;
}

/* Decimal, 0x or 0 octal, no sign, at most max. */
static int parse_uint(const char *value, u64 max, u64 *out)
{
    char *end;
    errno = 0;
    *out = g_ascii_strtoull(value, &end, 0);
    return errno || !g_ascii_isdigit(value[0]) || *end || *out > max ? -1 : 0;
}

int device_set_prop(struct device *d, const char *name, const char *value, struct err *e)
{
    const struct prop *p = prop_find(d->cls, name);
    u64 v;
    if (!p)
        return err_set(e, "device %s has no property '%s' (-device %s,help lists them)", d->cls->name, name,
                       d->cls->name);
    void *at = (char *)d + p->offset;
    if (p->kind == PROP_STR) {
        g_free(*(char **)at);
        *(char **)at = g_strdup(value);
        return 0;
    }
    if (p->kind == PROP_CHR) {
        *(struct chr **)at = chr_find(value);
        return *(struct chr **)at ? 0 : err_set(e, "%s.%s: there is no -chardev with id '%s'", d->cls->name, name, value);
    }
    if (p->kind == PROP_BOOL)
        return parse_bool(value, at) < 0 ? err_set(e, "%s.%s: '%s' is neither on nor off", d->cls->name, name, value) : 0;
    if (parse_uint(value, MASK64(prop_size(p) * 8), &v) < 0)
        return err_set(e, "%s.%s: '%s' is not a number of %u bits", d->cls->name, name, value, prop_size(p) * 8);
    memcpy(at, &v, prop_size(p));
    return 0;
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

/* The list as QEMU writes it: commas separate, a doubled comma is one in a value. */
static int apply_props(struct device *d, const char *props, struct err *e)
{
    GString *pair = g_string_new(NULL);
    int r = 0;
    for (const char *p = props; r == 0 && *p; p++) {
        if (*p == ',' && p[1] == ',') {
            g_string_append_c(pair, *p++);
        } else if (*p != ',') {
            g_string_append_c(pair, *p);
        } else {
            r = pair->len ? set_pair(d, pair->str, e) : 0;
            g_string_truncate(pair, 0);
        }
    }
    if (r == 0 && pair->len)
        r = set_pair(d, pair->str, e);
    g_string_free(pair, TRUE);
    return r;
}

/* Frees what the core allocated; the device is not (or no longer) realized nor linked. */
static void device_dispose(struct device *d)
{
    for (const struct prop *p = d->cls->props; p && p->kind != PROP_END; p++)
        if (p->kind == PROP_STR)
            g_free(*(char **)((char *)d + p->offset));
    g_free(d->id);
    g_free(d);
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
    for (const struct prop *p = cls->props; p && p->kind != PROP_END; p++)
        set_default(d, p);
    if (apply_globals(d, e) < 0) {
        device_dispose(d);
        return NULL;
    }
    return d;
}

int device_realize(struct device *d, struct err *e)
{
    if (d->cls->realize && d->cls->realize(d, e) < 0) {
        device_dispose(d);
        return -1;
    }
    struct device **tail = &d->m->devices;
    while (*tail)
        tail = &(*tail)->next;
    *tail = d;
    if (d->cls->reset)
        d->cls->reset(d);
    return 0;
}

struct device *device_create(struct machine *m, const char *cls, const char *id, const char *props, struct err *e)
{
    struct device *d = device_alloc(m, cls, e);
    if (!d)
        return NULL;
    d->id = g_strdup(id);
    if (props && apply_props(d, props, e) < 0) {
        device_dispose(d);
        return NULL;
    }
    return device_realize(d, e) < 0 ? NULL : d;
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
