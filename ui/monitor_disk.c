/* Monitor commands on drives that QMP has not: opening and closing them, committing, and the list of snapshots. Main thread. */
#include "hw/backend/blk_front.h"
#include "hw/backend/blk_media.h"
#include "hw/backend/blk_snapshot.h"
#include "ui/monitor_cmd.h"
#include "util/opts.h"

/* "DUMMY if=none,file=...,id=ID": QEMU's first argument once named a PCI slot. */
void mon_drive_add(struct mon *m, char *args)
{
    char *dummy = mon_word(&args), *text = mon_word(&args);
    struct err e = { "" };
    struct opts *o = dummy && text ? opts_parse(text, NULL, &e) : NULL;
    char *id;

    if (!dummy || !text) {
        mon_print(m, "usage: drive_add 0 if=none,id=ID,file=FILE[,OPTION]...\n");
        return;
    }
    if (o && (!opts_peek(o, "if") || strcmp(opts_peek(o, "if"), "none")))
        err_set(&e, "Can't hot-add drive to type other than if=none");
    else if (o && !opts_peek(o, "id"))
        err_set(&e, "id=ID is missing");
    if (o && !*e.msg) {
        bool cdrom = opts_peek(o, "media") && !strcmp(opts_peek(o, "media"), "cdrom");
        id = g_strdup(opts_peek(o, "id"));
        opts_unset(o, "if");
        opts_unset(o, "id");
        opts_unset(o, "media");
        if (blk_open_opts(id, o, cdrom, &e))
            mon_print(m, "OK\n");
        g_free(id);
    }
    if (*e.msg)
        mon_error(m, &e);
    opts_free(o);
}

void mon_drive_del(struct mon *m, char *args)
{
    char *id = mon_word(&args);
    struct blk *b = id ? blk_find_id(id) : NULL;

    if (!b)
        mon_print(m, "Error: Device '%s' not found\n", id ? id : "");
    else if (b->attached)
        mon_print(m, "Error: Drive '%s' is in use by a device; device_del it first\n", id);
    else
        blk_close(b);
}

/* DEVICE, or "all" that have a backing file. */
void mon_commit(struct mon *m, char *args)
{
    const char *id = mon_word(&args);
    bool all = id && !strcmp(id, "all");
    struct blk *b = id && !all ? blk_find_id(id) : NULL;
    struct err e;

    if (!id)
        mon_print(m, "usage: commit DEVICE|all\n");
    else if (!all && !b)
        mon_print(m, "Device '%s' not found\n", id);
    for (struct blk *k = blk_first(); k; k = k->next)
        if ((k == b || (all && k->root && k->root->backing)) && blk_commit(k, &e) < 0)
            mon_print(m, "'commit' error for '%s': %s\n", blk_id(k), e.msg);
}

/* None of them can be gone back to while the machine runs: their machine's state is not in them. */
void mon_info_snapshots(struct mon *m, char *args)
{
    unsigned shown = 0;

    for (struct blk *b = blk_first(); b; b = b->next) {
        if (!b->root || !node_snapshot_count(b->root))
            continue;
        if (!shown++)
            mon_print(m, "List of snapshots present on all disks:\nNone\n");
        mon_print(m, "\nList of partial (non-loadable) snapshots on '%s':\n", blk_id(b));
        node_snapshots_print(b->root, m->out);
    }
    if (!shown)
        mon_print(m, "There is no snapshot available.\n");
}
