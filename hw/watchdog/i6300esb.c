/* The watchdog timer of Intel's 6300ESB: two stages that count down one after the other. Register and configuration accesses come from vCPU
 * threads, the end of a stage from the clock, machine lock held. What the second one leads to is -watchdog-action's.
 * Intel 6300ESB I/O controller hub data sheet (300641), chapter 16. */
#include "hw/core/machine.h"
#include "hw/pci/pci.h"
#include "util/log.h"

enum { CONFIG = 0x60, CONFIG_INTTYPE = 0x03, CONFIG_INT_IRQ = 0, CONFIG_FAST = 0x04, CONFIG_NO_OUTPUT = 0x20, CONFIG_WRITABLE = 0x27 };
enum { LOCK = 0x68, LOCK_LOCKED = 0x01, LOCK_ENABLE = 0x02, LOCK_FREE_RUN = 0x04, LOCK_WRITABLE = 0x07 };
enum { PRELOAD1 = 0x00, PRELOAD2 = 0x04, INT_STATUS = 0x08, RELOAD = 0x0c, BAR_SIZE = 16 };
enum { RELOAD_NOW = 0x100, RELOAD_TIMEOUT = 0x200, PRELOAD_MASK = 0xfffff, PCI_CLOCK = 33000000 };

#define STAGE_MIN_NS 1000000ll /* shorter ones would keep the host busy in free-running mode */

struct i6300esb {
    struct pci_device pci;
    struct region regs;
    struct timer timer;
    u32 preload[2];
    u8 stage;      /* that counts: 0 or 1; 2: the watchdog has fired */
    u8 unlock;     /* of the sequence 0x80, 0x86 in front of each register write: how many were seen */
    bool enabled, int_active, timeout;
};

static void esb_stage_start(struct i6300esb *w, u8 stage)
{
    unsigned shift = (w->pci.config[CONFIG] & CONFIG_FAST) ? 5 : 15; /* PCI clocks of a tick */
    i64 ns = (i64)(((i128)(w->preload[stage] + 1) << shift) * NS_PER_SEC / PCI_CLOCK);

    ns = MAX_OF(ns, STAGE_MIN_NS);
    w->stage = stage;
    timer_set(&w->timer, clock_ns(w->pci.dev.m->clock) + ns);
}

static void esb_update_irq(struct i6300esb *w)
{
    pci_set_intx(&w->pci, w->int_active && (w->pci.config[CONFIG] & CONFIG_INTTYPE) == CONFIG_INT_IRQ);
}

static void esb_timeout(void *opaque)
{
    struct i6300esb *w = opaque;
    struct machine *m = w->pci.dev.m;

    if (w->stage == 0) {
        w->int_active = true;
        esb_update_irq(w);
        esb_stage_start(w, 1);
        return;
    }
    w->timeout = true;
    w->stage = 2;
    if (!(w->pci.config[CONFIG] & CONFIG_NO_OUTPUT))
        m->request(m, REQ_WATCHDOG, 0);
    if (w->pci.config[LOCK] & LOCK_FREE_RUN)
        esb_stage_start(w, 0);
}

static u64 esb_read(void *opaque, u64 off, unsigned size)
{
    const struct i6300esb *w = opaque;

    switch (off & ~3ull) {
    case PRELOAD1: return zext(w->preload[0] >> (off & 3) * 8, size);
    case PRELOAD2: return zext(w->preload[1] >> (off & 3) * 8, size);
    case INT_STATUS: return (off & 3) ? 0 : w->int_active;
    default: return zext((w->timeout ? RELOAD_TIMEOUT : 0) >> (off & 3) * 8, size);
    }
}

static void esb_reload_write(struct i6300esb *w, u32 val)
{
    if (val & RELOAD_TIMEOUT)
        w->timeout = false;
    if ((val & RELOAD_NOW) && w->enabled)
        esb_stage_start(w, 0);
}

static void esb_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct i6300esb *w = opaque;
    unsigned unlocked = w->unlock;

    w->unlock = 0;
    if (off == RELOAD && (val & 0xff) == 0x80 && unlocked < 2) {
        w->unlock = 1;
        return;
    }
    if (off == RELOAD && (val & 0xff) == 0x86 && unlocked == 1) {
        w->unlock = 2;
        return;
    }
    if (off == INT_STATUS) {
        w->int_active &= !(val & 1);
        esb_update_irq(w);
        return;
    }
    if (unlocked < 2)
        return;
    if (off == PRELOAD1 || off == PRELOAD2)
        w->preload[off / 4] = val & PRELOAD_MASK;
    else if (off == RELOAD)
        esb_reload_write(w, val);
}

static const struct region_ops esb_ops = { esb_read, esb_write, 1, 4 };

/* Once locked, neither register changes until the next reset. */
static void esb_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct i6300esb *w = container_of(d, struct i6300esb, pci);
    bool enabled = d->config[LOCK] & LOCK_ENABLE, locked = d->config[LOCK] & LOCK_LOCKED;

    d->wmask[LOCK] = locked ? 0 : LOCK_WRITABLE;
    d->wmask[CONFIG] = locked ? 0 : CONFIG_WRITABLE;
    if (enabled && !w->enabled)
        esb_stage_start(w, 0);
    else if (!enabled)
        timer_cancel(&w->timer);
    w->enabled = enabled;
    esb_update_irq(w);
}

static const struct pci_ops esb_pci_ops = { .config_changed = esb_config_changed };

static int esb_realize(struct device *d, struct err *e)
{
    struct i6300esb *w = (struct i6300esb *)d;
    static const struct pci_id id = { 0x8086, 0x25ab, 0x0880, 0, 0, 1, 0, 0 };

    if (pci_attach(&w->pci, &id, e) < 0)
        return -1;
    w->pci.ops = &esb_pci_ops;
    timer_init(&w->timer, d->m->clock, esb_timeout, w);
    region_init_io(&w->regs, "i6300esb", BAR_SIZE, &esb_ops, w, &d->m->lock);
    pci_bar_init(&w->pci, 0, &w->regs, PCI_BAR_MEM32);
    return 0;
}

static void esb_unrealize(struct device *d)
{
    struct i6300esb *w = (struct i6300esb *)d;

    timer_cancel(&w->timer);
    pci_detach(&w->pci);
}

static void esb_reset(struct device *d)
{
    struct i6300esb *w = (struct i6300esb *)d;

    timer_cancel(&w->timer);
    w->preload[0] = w->preload[1] = PRELOAD_MASK;
    w->stage = w->unlock = 0;
    w->enabled = w->int_active = false; /* the timeout bit tells the next boot */
    pci_reset(&w->pci);
}

static void esb_post_load(struct device *d)
{
    struct i6300esb *w = (struct i6300esb *)d;

    w->stage = MIN_OF(w->stage, 2);
    w->preload[0] &= PRELOAD_MASK;
    w->preload[1] &= PRELOAD_MASK;
    w->enabled = w->pci.config[LOCK] & LOCK_ENABLE; /* its timer was loaded, too */
    pci_post_load(&w->pci);
}

static const struct prop esb_props[] = { PCI_PROPS, PROP_DONE };
static const struct snap_field esb_fields[] = {
    PCI_SNAP, SNAP_A(struct i6300esb, preload), SNAP_U(struct i6300esb, stage), SNAP_U(struct i6300esb, unlock),
    SNAP_U(struct i6300esb, int_active), SNAP_U(struct i6300esb, timeout), SNAP_T(struct i6300esb, timer), SNAP_DONE
};

const struct dev_class i6300esb_class = {
    .name = "i6300esb",
    .desc = "Intel 6300ESB watchdog timer",
    .bus_type = "PCI",
    .user_creatable = true,
    .state_size = sizeof(struct i6300esb),
    .props = esb_props,
    .fields = esb_fields,
    .snap_version = 1,
    .realize = esb_realize,
    .reset = esb_reset,
    .unrealize = esb_unrealize,
    .post_load = esb_post_load,
};
