/* Buses: naming, choosing one for a device, taking devices off. Main thread (hot unplug: the thread of the guest's register
 * access), machine lock held; called by hw/core/device.c and the devices that provide buses. */
#include <glib.h>
#include "hw/core/machine.h"

static unsigned buses_of_type(const struct machine *m, const char *type)
{
    unsigned n = 0;

    for (const struct bus *b = m->buses; b; b = b->next)
        n += !strcmp(b->type, type);
    return n;
}

static char *bus_name(const struct machine *m, const char *type, const struct device *owner)
{
    char *lower, *name;

    if (owner && owner->id)
        return g_strdup_printf("%s.0", owner->id);
    lower = g_ascii_strdown(type, -1);
    name = g_strdup_printf("%s.%u", lower, buses_of_type(m, type));
    g_free(lower);
    return name;
}

void bus_init(struct bus *b, struct machine *m, const char *type, const char *name, struct device *owner,
              const struct bus_ops *ops, unsigned max)
{
    struct bus **tail = &m->buses;

    *b = (struct bus){ .type = type, .owner = owner, .m = m, .ops = ops, .max = max };
    b->name = name ? g_strdup(name) : bus_name(m, type, owner);
    while (*tail)
        tail = &(*tail)->next;
    *tail = b;
}

void bus_fini(struct bus *b)
{
    struct bus **p;

    if (!b->m)
        return;
    p = &b->m->buses;
    while (*p != b)
        p = &(*p)->next;
    *p = b->next;
    g_free(b->name);
    *b = (struct bus){ 0 };
}

void bus_free_devices(struct bus *b)
{
    struct device *last;

    if (!b->m)
        return;
    do {
        last = NULL;
        for (struct device *d = b->m->devices; d; d = d->next)
            if (d->bus == b)
                last = d;
        if (last)
            device_free(last);
    } while (last);
}

struct bus *bus_find(struct machine *m, const char *name)
{
    for (struct bus *b = m->buses; b; b = b->next)
        if (!strcmp(b->name, name))
            return b;
    return NULL;
}

unsigned bus_count(const struct bus *b)
{
    unsigned n = 0;

    for (const struct device *d = b->m->devices; d; d = d->next)
        n += d->bus == b;
    return n;
}

struct bus *bus_for(struct machine *m, const char *type)
{
    for (struct bus *b = m->buses; b; b = b->next)
        if (!strcmp(b->type, type) && (!b->max || bus_count(b) < b->max))
            return b;
    return NULL;
}
