/* The types of -object and the list of what was made; see object.h. Main thread: command line, QMP, monitor. */
#include "hw/backend/object.h"
#include <glib.h>
#include "hw/backend/net.h"
#include "hw/backend/rng.h"
#include "hw/backend/secret.h"
#include "util/err.h"
#include "util/iothread.h"
#include "util/opts.h"

struct object_kind {
    const char *name;
    int (*add)(struct opts *o, struct err *e); /* looks at all options it knows */
    int (*del)(const char *id, struct err *e);
};

struct object {
    char *id;
    const struct object_kind *kind;
    struct opts *opts;
    struct object *next;
};

/* In the order of their making. [main] */
static struct object *objects;

static int rng_add(struct opts *o, struct err *e)
{
    return rng_new(o, e) ? 0 : -1;
}

static int iothread_add(struct opts *o, struct err *e)
{
    /* for polling and batches, which there are not: any number is as good as another */
    static const char *const numbers[] = { "poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch", "thread-pool-min", "thread-pool-max" };

    u64 n;

    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++)
        if (opts_uint(o, numbers[i], 0, 0, INT64_MAX, &n, e) < 0)
            return -1;
    if (opts_all_used(o, e) < 0)
        return -1;
    return iothread_new(opts_get(o, "id"), e) ? 0 : -1;
}

static const struct object_kind kinds[] = {
    { "filter-dump", net_filter_add, net_filter_del },
    { "iothread", iothread_add, iothread_free },
    { "rng-builtin", rng_add, rng_del },
    { "rng-random", rng_add, rng_del },
    { "secret", secret_add, secret_del },
};

const char *object_type_nth(unsigned i)
{
    return i < ARRAY_LEN(kinds) ? kinds[i].name : NULL;
}

static const struct object_kind *kind_find(const char *name, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    err_set(e, "there is no object type '%s'; there are filter-dump, iothread, rng-builtin, rng-random, secret", name);
    return NULL;
}

int object_check_type(const char *type, struct err *e)
{
    if (!type)
        return err_set(e, "the type of the object is missing");
    return kind_find(type, e) ? 0 : -1;
}

int object_add(struct opts *o, struct err *e)
{
    const char *type = opts_get(o, "qom-type"), *id = opts_get(o, "id");
    const struct object_kind *kind;
    struct object **tail = &objects, *ob;

    if (object_check_type(type, e) < 0)
        return -1;
    kind = kind_find(type, e);
    if (!id)
        return err_set(e, "Parameter 'id' is missing");
    if (id_check(id, e) < 0)
        return -1;
    if (object_find(id))
        return err_set(e, "attempt to add duplicate property '%s' to object (type 'container')", id);
    if (kind->add(o, e) < 0)
        return -1;
    ob = g_new0(struct object, 1);
    *ob = (struct object){ g_strdup(id), kind, opts_copy(o), NULL };
    while (*tail)
        tail = &(*tail)->next;
    *tail = ob;
    return 0;
}

static void object_free(struct object *ob)
{
    g_free(ob->id);
    opts_free(ob->opts);
    g_free(ob);
}

int object_del(const char *id, struct err *e)
{
    for (struct object **p = &objects; *p; p = &(*p)->next) {
        struct object *ob = *p;
        if (strcmp(ob->id, id))
            continue;
        if (ob->kind->del(id, e) < 0)
            return -1;
        *p = ob->next;
        object_free(ob);
        return 0;
    }
    return err_set(e, "object '%s' not found", id);
}

void object_free_all(void)
{
    while (objects) {
        struct object *ob = objects;
        objects = ob->next;
        if (ob->kind->del == iothread_free)
            iothread_free(ob->id, NULL);
        object_free(ob);
    }
    rng_free_all();
    secret_free_all();
}

const struct object *object_nth(unsigned i)
{
    const struct object *ob = objects;

    while (ob && i--)
        ob = ob->next;
    return ob;
}

const struct object *object_find(const char *id)
{
    const struct object *ob = objects;

    while (ob && strcmp(ob->id, id))
        ob = ob->next;
    return ob;
}

const char *object_id(const struct object *ob) { return ob->id; }
const char *object_type(const struct object *ob) { return ob->kind->name; }
const struct opts *object_opts(const struct object *ob) { return ob->opts; }
