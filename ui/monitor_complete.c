/* What the monitor's Tab key offers: commands, subcommands of info, device classes, and ids of what there is. Main thread, from the line
 * editor through ui/monitor.c. */
#include "hw/backend/chr.h"
#include "hw/backend/object.h"
#include "hw/core/machine.h"
#include "ui/monitor_cmd.h"

static void offer(GPtrArray *out, const char *prefix, const char *word)
{
    if (word && *word && g_str_has_prefix(word, prefix))
        g_ptr_array_add(out, g_strdup(word));
}

static void offer_commands(GPtrArray *out, const char *prefix, const struct mon_cmd *table)
{
    for (; table->name; table++)
        offer(out, prefix, table->name);
}

static void offer_classes(struct ui *ui, GPtrArray *out, const char *prefix)
{
    const struct dev_class *cls;

    for (unsigned i = 0; (cls = dev_class_nth(i)); i++)
        if (cls->user_creatable)
            offer(out, prefix, cls->name);
}

static void offer_devices(struct ui *ui, GPtrArray *out, const char *prefix)
{
    struct machine *m = vm_machine(ui->vm);

    lock_acquire(&m->lock);
    for (const struct device *d = m->devices; d; d = d->next)
        offer(out, prefix, d->id);
    lock_release(&m->lock);
}

static void offer_chardevs(struct ui *ui, GPtrArray *out, const char *prefix)
{
    for (struct chr *c = chr_next(NULL); c; c = chr_next(c))
        offer(out, prefix, chr_id(c));
}

static void offer_objects(struct ui *ui, GPtrArray *out, const char *prefix)
{
    const struct object *ob;

    for (unsigned i = 0; (ob = object_nth(i)); i++)
        offer(out, prefix, object_id(ob));
}

static void offer_object_types(struct ui *ui, GPtrArray *out, const char *prefix)
{
    const char *name;

    for (unsigned i = 0; (name = object_type_nth(i)); i++)
        offer(out, prefix, name);
}

static const struct {
    const char *cmd;
    void (*offer)(struct ui *ui, GPtrArray *out, const char *prefix);
} first_words[] = {
    { "device_add", offer_classes }, { "device_del", offer_devices }, { "chardev-remove", offer_chardevs },
    { "chardev-send-break", offer_chardevs }, { "ringbuf_read", offer_chardevs }, { "ringbuf_write", offer_chardevs },
    { "object_add", offer_object_types }, { "object_del", offer_objects },
};

unsigned monitor_complete(struct ui *ui, const char *line, GPtrArray *out)
{
    const char *space = strrchr(line, ' '), *word = space ? space + 1 : line;
    char *cmd = g_strndup(line, strcspn(line, " "));
    bool second = space && strcspn(line, " ") == (size_t)(space - line);

    if (!space)
        offer_commands(out, word, mon_cmds);
    else if (second && !strcmp(cmd, "info"))
        offer_commands(out, word, mon_info_cmds);
    else if (second && (!strcmp(cmd, "help") || !strcmp(cmd, "?")))
        offer_commands(out, word, mon_cmds);
    for (unsigned i = 0; second && i < ARRAY_LEN(first_words); i++)
        if (!strcmp(first_words[i].cmd, cmd))
            first_words[i].offer(ui, out, word);
    g_free(cmd);
    return (unsigned)(word - line);
}
