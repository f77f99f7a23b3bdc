/* The monitor's `info qtree`: devices on their buses. Main thread, called from monitor.c; device state is read under the
 * machine lock. */
#include "hw/core/machine.h"
#include "ui/monitor_cmd.h"

static void print_buses(struct mon *m, const struct device *owner, int depth);

static void print_device(struct mon *m, const struct device *d, int depth)
{
    mon_print(m, "%*sdev: %s, id \"%s\"\n", depth, "", d->cls->name, d->id ? d->id : "");
    for (const struct prop *p = d->cls->props; p && p->kind != PROP_END; p++) {
        char *v = device_get_prop(d, p->name);
        mon_print(m, p->kind >= PROP_STR ? "%*s%s = \"%s\"\n" : "%*s%s = %s\n", depth + 2, "", p->name, v);
        g_free(v);
    }
    print_buses(m, d, depth + 2);
}

/* The devices of one bus; NULL: those that sit on the machine's ports and memory. */
static void print_devices_on(struct mon *m, const struct bus *b, int depth)
{
    mon_print(m, "%*sbus: %s\n%*stype %s\n", depth, "", b ? b->name : "main-system-bus", depth + 2, "", b ? b->type : "System");
    for (const struct device *d = vm_machine(m->vm)->devices; d; d = d->next)
        if (d->bus == b)
            print_device(m, d, depth + 2);
}

static void print_buses(struct mon *m, const struct device *owner, int depth)
{
    for (const struct bus *b = vm_machine(m->vm)->buses; b; b = b->next)
        if (b->owner == owner)
            print_devices_on(m, b, depth);
}

void mon_info_qtree(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);

    lock_acquire(&mc->lock);
    print_devices_on(m, NULL, 0);
    print_buses(m, NULL, 2);
    lock_release(&mc->lock);
}
