/* The life of a machine: choosing its type, address spaces and clock, -device and -global, reset, taking it down. Main
 * thread, called by main.c and, for resets, by accel/vm.c with the machine lock held. */
#include <glib.h>
#include "hw/backend/drive.h"
#include "hw/backend/net.h"
#include "hw/core/input.h"
#include "hw/core/machine.h"
#include "hw/core/prop.h"
#include "hw/machine/pc.h"
#include "mmu/aspace.h"
#include "util/opts.h"

#define PHYS_SPACE (1ull << 52)
#define PORT_SPACE (64 * KiB)

/* The default first. */
static const struct machine_board *const boards[] = { &pc_board, &q35_board };

const struct machine_board *machine_board_nth(unsigned i)
{
    return i < ARRAY_LEN(boards) ? boards[i] : NULL;
}

/* Names as QEMU has them: "pc", "pc-i440fx-7.2". */
static const struct machine_board *board_find(const char *type, struct err *e)
{
    if (!strcmp(type, "pc") || !strcmp(type, "pc-i440fx") || g_str_has_prefix(type, "pc-i440fx-"))
        return &pc_board;
    if (!strcmp(type, "q35") || g_str_has_prefix(type, "pc-q35-"))
        return &q35_board;
    err_set(e, "-machine %s: unknown machine type; there are: pc, q35", type);
    return NULL;
}

/* -global CLASS.NAME=VALUE must name a class and a property; values are checked when such a device is made. */
static int check_global(const char *g, struct err *e)
{
    const char *dot = strchr(g, '.'), *eq = strchr(g, '=');
    const struct dev_class *cls;

    if (!dot || !eq || dot > eq)
        return err_set(e, "-global %s: not of the form DEVICE.PROPERTY=VALUE", g);
    char *name = g_strndup(g, dot - g), *prop = g_strndup(dot + 1, eq - dot - 1);
    cls = dev_class_find(name);
    int r = !cls                     ? err_set(e, "-global %s: there is no device '%s'", g, name)
            : !prop_find(cls, prop) ? err_set(e, "-global %s: device %s has no property '%s'", g, name, prop)
                                     : 0;
    g_free(name);
    g_free(prop);
    return r;
}

static int make_user_device(struct machine *m, const char *arg, struct err *e)
{
    struct opts *o = opts_parse(arg, "driver", e);
    struct device *d = o ? device_add(m, o, e) : NULL;

    opts_free(o);
    return d ? 0 : err_prefix(e, "-device %s", arg);
}

static int machine_build_locked(struct machine *m, struct err *e)
{
    if (m->board->build(m, e) < 0)
        return -1;
    for (unsigned i = 0; i < m->cfg.n_devices; i++)
        if (make_user_device(m, m->cfg.devices[i], e) < 0)
            return -1;
    if (m->board->finish && m->board->finish(m, e) < 0)
        return -1;
    if (drives_check_taken(e) < 0)
        return -1;
    m->running = true;
    return 0;
}

int machine_build(struct machine *m, const struct machine_config *cfg, struct err *e)
{
    int r;

    m->cfg = *cfg;
    m->board = board_find(cfg->type, e);
    if (!m->board)
        return -1;
    for (unsigned i = 0; i < cfg->n_globals; i++)
        if (check_global(cfg->globals[i], e) < 0)
            return -1;
    lock_init(&m->lock, "machine", RANK_MACHINE);
    if (!m->clock)
        m->clock = clock_new_real(&m->lock);
    net_set_clock(m->clock);
    m->input = input_new(m->clock);
    region_init_container(&m->mem_root, "memory", PHYS_SPACE);
    region_init_container(&m->io_root, "io", PORT_SPACE);
    m->mem = aspace_new("memory", &m->mem_root);
    m->io = aspace_new("I/O", &m->io_root);
    lock_acquire(&m->lock);
    region_txn_begin();
    r = machine_build_locked(m, e);
    region_txn_commit();
    lock_release(&m->lock);
    if (r < 0)
        machine_free(m);
    return r;
}

void machine_reset(struct machine *m)
{
    assert(lock_is_mine(&m->lock));
    region_txn_begin();
    for (struct device *d = m->devices; d; d = d->next)
        if (d->cls->reset)
            d->cls->reset(d);
    region_txn_commit();
    m->board->reset(m);
    m->suspended = false;
}

void machine_free(struct machine *m)
{
    lock_acquire(&m->lock);
    region_txn_begin();
    m->board->free(m);
    while (m->devices) { /* the newest first: users before what they use */
        struct device *d = m->devices;
        while (d->next)
            d = d->next;
        device_free(d);
    }
    region_txn_commit();
    lock_release(&m->lock);
    aspace_free(m->mem);
    aspace_free(m->io);
    m->mem = m->io = NULL;
    m->board->free_memory(m);
    net_set_clock(NULL);
    input_free(m->input);
    m->input = NULL;
    clock_free(m->clock);
    m->clock = NULL;
    lock_fini(&m->lock);
}
