/* Internal snapshots as text, for gemel-img and the monitor; what makes and changes them is the format's (qcow2_snapshot.c). Main thread. */
#include "hw/backend/blk_snapshot.h"
#include <stdio.h>
#include <time.h>

static void print_one(const struct blk_snapshot *s, GString *out)
{
    unsigned long long ms = s->vm_clock_nsec / 1000000;
    char date[32], clock[40], *size = size_text(s->vm_state_size);
    time_t t = s->date_sec;
    struct tm tm;

    localtime_r(&t, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(clock, sizeof(clock), "%02llu:%02llu:%02llu.%03llu", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    g_string_append_printf(out, "%-9s %-16s %8s%20s%13s", s->id, s->name, size, date, clock);
    if (s->icount != ~0ull)
        g_string_append_printf(out, "%11llu\n", (unsigned long long)s->icount);
    else
        g_string_append_printf(out, "%11s\n", "");
    g_free(size);
}

void node_snapshots_print(const struct blk_node *n, GString *out)
{
    struct blk_snapshot s;

    g_string_append_printf(out, "%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (unsigned i = 0; i < node_snapshot_count(n); i++) {
        node_snapshot_nth(n, i, &s);
        print_one(&s, out);
    }
}
