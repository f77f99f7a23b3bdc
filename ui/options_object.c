/* -object: collected while the command line is read; made by main.c, most of them before anything may want them, those that look for a
 * network back end afterwards. Main thread. */
#include "hw/backend/object.h"
#include <stdio.h>
#include "ui/options.h"
#include "util/opts.h"

struct object_option {
    struct opts *opts;
    char *text;
};

void object_option_free(gpointer p)
{
    struct object_option *t = p;

    opts_free(t->opts);
    g_free(t->text);
    g_free(t);
}

static enum options_result print_types(void)
{
    const char *name;

    puts("List of user creatable objects:");
    for (unsigned i = 0; (name = object_type_nth(i)); i++)
        printf("  %s\n", name);
    return OPTIONS_DONE;
}

enum options_result options_object(struct options *o, const char *arg, struct err *e)
{
    struct object_option *t;
    struct opts *n;

    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return print_types();
    n = opts_parse(arg, "qom-type", e);
    if (!n)
        return err_prefix(e, "-object %s", arg);
    if (object_check_type(opts_peek(n, "qom-type"), e) < 0) {
        opts_free(n);
        return err_prefix(e, "-object %s", arg);
    }
    t = g_new(struct object_option, 1);
    *t = (struct object_option){ n, g_strdup_printf("-object %s", arg) };
    g_ptr_array_add(o->objects, t);
    return OPTIONS_RUN;
}

int objects_open(struct options *o, bool late, struct err *e)
{
    for (unsigned i = 0; i < o->objects->len; i++) {
        struct object_option *t = o->objects->pdata[i];
        const char *type = opts_peek(t->opts, "qom-type");
        if ((type && g_str_has_prefix(type, "filter-")) != late)
            continue;
        if (object_add(t->opts, e) < 0)
            return err_prefix(e, "%s", t->text);
    }
    return 0;
}
