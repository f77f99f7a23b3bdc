/* The list of drives, see drive.h. Main thread: filled by ui/, read by boards. */
#include "hw/backend/drive.h"
#include <glib.h>
#include "util/err.h"

static struct drive *first;

struct drive *drives(void)
{
    return first;
}

struct drive *drive_find(enum drive_if iface, unsigned bus, unsigned unit)
{
    for (struct drive *d = first; d; d = d->next)
        if (d->iface == iface && d->bus == bus && d->unit == unit)
            return d;
    return NULL;
}

int drive_add(enum drive_if iface, unsigned bus, unsigned unit, bool cdrom, struct blk *blk, const char *option, struct err *e)
{
    struct drive **tail = &first, *there = iface == DRIVE_NONE ? NULL : drive_find(iface, bus, unit);

    if (there)
        return err_set(e, "%s: bus %u, unit %u is taken by %s already", option, bus, unit, there->option);
    while (*tail)
        tail = &(*tail)->next;
    *tail = g_new0(struct drive, 1);
    **tail = (struct drive){ .iface = iface, .bus = bus, .unit = unit, .cdrom = cdrom, .blk = blk, .option = option };
    return 0;
}

void drives_free(void)
{
    while (first) {
        struct drive *d = first;
        first = d->next;
        g_free(d);
    }
}
