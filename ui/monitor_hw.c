/* Monitor commands about the board: ROMs, interrupt counts, boot order, I/O threads, memory dumps. Main thread. */
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "ui/monitor_cmd.h"
#include "ui/options.h"

typedef unsigned long long ull;

/* Read-only pieces of the memory map, and what firmware loads itself. */
void mon_info_roms(struct mon *m, char *args)
{
    static const char *const prefixes[] = { "genroms/", "vgaroms/" }, tables[] = "etc/acpi/";
    struct machine *mc = vm_machine(m->vm);
    const struct frange *f;
    const char *name;
    u32 len;

    lock_acquire(&mc->lock);
    for (unsigned i = 0; (name = mc->board->firmware_file(mc, i, &len)); i++) {
        for (unsigned k = 0; k < ARRAY_LEN(prefixes); k++)
            if (g_str_has_prefix(name, prefixes[k]))
                mon_print(m, "fw=%s size=0x%06x name=\"%s\"\n", name, len, name + strlen(prefixes[k]));
        if (g_str_has_prefix(name, tables) || !strcmp(name, "etc/table-loader"))
            mon_print(m, "/rom@%s size=0x%06x name=\"%s\"\n", name, len, name);
    }
    aspace_thread_online();
    for (u64 at = 0; (f = aspace_next(mc->mem, at)) && f->end > at; at = f->end)
        if (f->host && f->readonly)
            mon_print(m, "addr=%016llx size=0x%06llx mem=rom name=\"%s\"\n", (ull)f->start, (ull)(f->end - f->start), f->region->name);
    aspace_thread_offline();
    lock_release(&mc->lock);
}

void mon_info_irq(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);

    lock_acquire(&mc->lock);
    for (const struct device *d = mc->devices; d; d = d->next) {
        if (d->irq_counts)
            mon_print(m, "IRQ statistics for %s:\n", d->cls->name);
        for (unsigned i = 0; i < d->n_irqs; i++)
            if (d->irq_counts[i])
                mon_print(m, "%2u: %llu\n", i, (ull)d->irq_counts[i]);
    }
    lock_release(&mc->lock);
}

void mon_boot_set(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);
    struct err e;

    if (boot_letters_check(args, &e) < 0) {
        mon_error(m, &e);
        return;
    }
    lock_acquire(&mc->lock);
    mc->board->set_boot_order(mc, args);
    lock_release(&mc->lock);
    mon_print(m, "boot device list now set to %s\n", args);
}

void mon_info_iothreads(struct mon *m, char *args)
{
    static const char *const numbers[] = { "poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch" };
    JsonNode *n = mon_qmp(m, "query-iothreads", NULL);

    for (unsigned i = 0; n && i < json_array_get_length(json_node_get_array(n)); i++) {
        JsonObject *o = json_array_get_object_element(json_node_get_array(n), i);
        mon_print(m, "%s:\n  thread_id=%lld\n", json_object_get_string_member(o, "id"), (long long)json_object_get_int_member(o, "thread-id"));
        for (unsigned k = 0; k < ARRAY_LEN(numbers); k++)
            mon_print(m, "  %s=%lld\n", numbers[k], (long long)json_object_get_int_member(o, numbers[k]));
    }
    if (n)
        json_node_unref(n);
}

/* [-p] [-d] [-z|-l|-s|-w] FILE [BEGIN LENGTH]: switches that Gemel has not become arguments which QMP refuses. */
void mon_dump_guest_memory(struct mon *m, char *args)
{
    static const struct { const char *sw, *format; } formats[] = {
        { "-z", "kdump-zlib" }, { "-l", "kdump-lzo" }, { "-s", "kdump-snappy" }, { "-w", "win-dmp" },
    };
    JsonObject *o = json_object_new();
    bool paging = false, detach = false;
    char *word = mon_word(&args), *protocol;
    u64 v;

    for (; word && *word == '-'; word = mon_word(&args)) {
        paging |= !strcmp(word, "-p");
        detach |= !strcmp(word, "-d");
        for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
            if (!strcmp(word, formats[i].sw))
                json_object_set_string_member(o, "format", formats[i].format);
    }
    if (!word) {
        mon_print(m, "usage: dump-guest-memory [-d] FILE [BEGIN LENGTH]\n");
        json_object_unref(o);
        return;
    }
    protocol = g_strdup_printf("file:%s", word);
    json_object_set_string_member(o, "protocol", protocol);
    json_object_set_boolean_member(o, "paging", paging);
    json_object_set_boolean_member(o, "detach", detach);
    g_free(protocol);
    for (unsigned i = 0; i < 2 && (word = mon_word(&args)); i++) {
        if (mon_expr(m, &word, &v) < 0) {
            json_object_unref(o);
            return;
        }
        json_object_set_int_member(o, i ? "length" : "begin", (i64)v);
    }
    JsonNode *n = mon_qmp(m, "dump-guest-memory", o);
    if (n)
        json_node_unref(n);
}
