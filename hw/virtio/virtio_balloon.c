/* virtio-balloon: pages that the guest does not need go back to the host; statistics; free page reporting. vCPU threads for
 * notifications, the main thread for the monitor and the statistics' timer; the machine lock held. VIRTIO 1.2, 5.5. */
#include <glib.h>
#include "hw/core/balloon.h"
#include "hw/core/machine.h"
#include "hw/virtio/virtio_pci.h"
#include "util/event.h"
#include "util/iov.h"
#include "util/log.h"

#define BALLOON_F_STATS_VQ BIT64(1)
#define BALLOON_F_DEFLATE_ON_OOM BIT64(2)
#define BALLOON_F_PAGE_POISON BIT64(4)
#define BALLOON_F_PAGE_REPORTING BIT64(5)
enum { INFLATE = 0, DEFLATE = 1, STATISTICS = 2, REPORTING = 3, QUEUE_SIZE = 128, REPORTING_SIZE = 32, PFN_SHIFT = 12, PFNS_A_READ = 256,
       PFNS_A_CHAIN = 16 * PFNS_A_READ /* drivers use 256 */ };
enum { CHAINS_A_TURN = 32, STAT_SIZE = 10 };

struct balloon_config {
    u32 num_pages; /* that the guest is to give back, 4 KiB each */
    u32 actual;    /* that it has given back; written by the driver */
    u32 free_page_hint_cmd_id, poison_val;
};

struct virtio_balloon {
    struct virtio v;
    bool deflate_on_oom, reporting, page_poison; /* properties */
    struct balloon ops;
    u32 num_pages, actual, poison_val; /* of the configuration [saved] */
    struct virtq_elem *stats;          /* the driver's buffer, kept until the next question; NULL: it is with the driver */
    struct timer poll;                 /* the next question */
};

static struct virtio_balloon *balloon_of(struct virtio *v) { return (struct virtio_balloon *)v; }

/* -- pages ---------------------------------------------------------------------------------------------------------------- */

static void give_back(struct virtio_balloon *s, gpa_t gpa, u64 len)
{
    if (dma_discard(virtio_machine(&s->v)->mem, gpa, len) < 0)
        GUEST_ERROR("virtio-balloon: %llx is not RAM", (unsigned long long)gpa);
}

/* Page numbers, neighbours together: a driver that takes a large piece apart tells it page by page, up or down. */
static void inflate_chain(struct virtio_balloon *s, struct virtq_elem *e)
{
    u32 pfn[PFNS_A_READ];
    u64 off = 0, got, start = 0, len = 0;

    while (off < 4 * PFNS_A_CHAIN && (got = iov_read(e->out, e->n_out, off, pfn, sizeof(pfn)) / 4)) {
        for (u64 i = 0; i < got; i++) {
            gpa_t page = (gpa_t)pfn[i] << PFN_SHIFT;
            if (len && page == start + len) {
                len += PAGE_SIZE;
            } else if (len && page + PAGE_SIZE == start) {
                start = page;
                len += PAGE_SIZE;
            } else {
                if (len)
                    give_back(s, start, len);
                start = page;
                len = PAGE_SIZE;
            }
        }
        off += got * 4;
    }
    if (len)
        give_back(s, start, len);
    if (off < e->out_len)
        GUEST_ERROR("virtio-balloon: of %llu bytes of page numbers the first %llu count", (unsigned long long)e->out_len, (unsigned long long)off);
}

/* Free pages that the driver does not use now but may at any time: they must read as poison then, if they did. */
static void report_chain(struct virtio_balloon *s, struct virtq_elem *e)
{
    bool poison = virtio_has(&s->v, BALLOON_F_PAGE_POISON) && s->poison_val;

    for (unsigned i = 0; i < e->n_in && !poison; i++)
        give_back(s, e->gpa[e->n_out + i], e->in[i].iov_len);
}

static void serve(struct virtio *v, struct virtq *q)
{
    struct virtio_balloon *s = balloon_of(v);
    unsigned budget = CHAINS_A_TURN;
    struct virtq_elem *e;

    do {
        while (budget && (e = virtq_pop(q, sizeof(*e)))) {
            budget--;
            if (q->index == INFLATE)
                inflate_chain(s, e);
            else if (q->index == REPORTING)
                report_chain(s, e);
            virtq_push(e, 0); /* deflated pages need nothing: they are there when they are touched */
        }
    } while (!virtq_notify_on(q) && budget);
    virtq_notify(q);
    if (!budget)
        virtq_again(q);
}

/* -- statistics, 5.5.6.3: the driver's buffer goes back and forth ---------------------------------------------------------- */

static void poll_set(struct virtio_balloon *s)
{
    timer_cancel(&s->poll);
    if (s->ops.polling_interval && s->stats)
        timer_set(&s->poll, clock_ns(virtio_machine(&s->v)->clock) + s->ops.polling_interval * NS_PER_SEC);
}

static void poll_now(void *opaque)
{
    struct virtio_balloon *s = opaque;
    struct virtq_elem *e = s->stats;

    if (!e || !virtio_running(&s->v))
        return;
    s->stats = NULL;
    virtq_push(e, 0);
    virtq_notify(&s->v.q[STATISTICS]);
}

static void stats_forget(struct virtio_balloon *s)
{
    memset(s->ops.stats, 0xff, sizeof(s->ops.stats));
    s->ops.stats_time = 0;
}

static void stats_take(struct virtio_balloon *s, const struct virtq_elem *e)
{
    u8 one[STAT_SIZE];

    memset(s->ops.stats, 0xff, sizeof(s->ops.stats));
    for (u64 off = 0; off < 64 * STAT_SIZE && iov_read(e->out, e->n_out, off, one, STAT_SIZE) == STAT_SIZE; off += STAT_SIZE)
        if (ld16(one) < BALLOON_STATS)
            s->ops.stats[ld16(one)] = ld64(one + 2);
    s->ops.stats_time = clock_wall_ns(virtio_machine(&s->v)->clock) / NS_PER_SEC;
}

static void stats_serve(struct virtio *v, struct virtq *q)
{
    struct virtio_balloon *s = balloon_of(v);
    unsigned budget = q->size;
    struct virtq_elem *e;

    do {
        for (; budget && (e = virtq_pop(q, sizeof(*e))); budget--) {
            if (s->stats) /* a second one: there is one question at a time */
                virtq_push(s->stats, 0);
            s->stats = e;
            stats_take(s, e);
        }
    } while (!virtq_notify_on(q) && budget);
    poll_set(s);
    if (!budget)
        virtq_again(q);
}

/* -- the monitor's side ------------------------------------------------------------------------------------------------------- */

static u64 ram_size(const struct virtio_balloon *s) { return s->v.pci.dev.m->cfg.ram_size; }

static void set_target(void *opaque, u64 bytes)
{
    struct virtio_balloon *s = opaque;

    s->num_pages = (ram_size(s) - MIN_OF(bytes, ram_size(s))) >> PFN_SHIFT;
    virtio_config_changed(&s->v);
}

static u64 actual_size(void *opaque)
{
    struct virtio_balloon *s = opaque;

    return ram_size(s) - MIN_OF((u64)s->actual << PFN_SHIFT, ram_size(s));
}

static void polling_changed(void *opaque) { poll_set(opaque); }

/* -- configuration -------------------------------------------------------------------------------------------------------------- */

static void balloon_config_read(struct virtio *v)
{
    struct virtio_balloon *s = balloon_of(v);

    *(struct balloon_config *)v->config =
        (struct balloon_config){ .num_pages = s->num_pages, .actual = s->actual, .poison_val = s->poison_val };
}

static void balloon_config_write(struct virtio *v, unsigned off, unsigned size, const u8 *config)
{
    const struct balloon_config *c = (const struct balloon_config *)config;
    struct virtio_balloon *s = balloon_of(v);

    if (VIRTIO_TOUCHES(off, size, struct balloon_config, actual)) {
        u32 before = s->actual;
        s->actual = c->actual;
        const struct event_member members[] = { EVENT_INT("actual", actual_size(s)), EVENT_DONE };
        if (s->actual != before)
            event_emit("BALLOON_CHANGE", members);
    } else if (VIRTIO_TOUCHES(off, size, struct balloon_config, poison_val) && s->page_poison) {
        s->poison_val = c->poison_val;
    } else {
        GUEST_ERROR("virtio-balloon: write of configuration byte %u", off);
    }
}

static u64 balloon_features(struct virtio *v)
{
    struct virtio_balloon *s = balloon_of(v);

    return BALLOON_F_STATS_VQ | (s->deflate_on_oom ? BALLOON_F_DEFLATE_ON_OOM : 0) | (s->page_poison ? BALLOON_F_PAGE_POISON : 0) |
           (s->reporting ? BALLOON_F_PAGE_REPORTING : 0);
}

/* -- life ------------------------------------------------------------------------------------------------------------------------- */

static int balloon_realize(struct virtio *v, struct err *e)
{
    struct virtio_balloon *s = balloon_of(v);
    struct machine *m = virtio_machine(v);

    if (m->balloon)
        return err_set(e, "%s: Only one balloon device is supported", v->pci.dev.cls->name);
    s->ops.opaque = s;
    s->ops.set_target = set_target;
    s->ops.actual = actual_size;
    s->ops.polling_changed = polling_changed;
    m->balloon = &s->ops;
    timer_init(&s->poll, m->clock, poll_now, s);
    stats_forget(s);
    v->config_len = sizeof(struct balloon_config);
    virtio_add_queue(v, QUEUE_SIZE, serve);
    virtio_add_queue(v, QUEUE_SIZE, serve);
    virtio_add_queue(v, QUEUE_SIZE, stats_serve);
    if (s->reporting)
        virtio_add_queue(v, REPORTING_SIZE, serve);
    return 0;
}

static void balloon_unrealize(struct virtio *v)
{
    timer_cancel(&balloon_of(v)->poll);
    virtio_machine(v)->balloon = NULL;
}

/* The driver's buffer is gone with its queue. */
static void stats_drop(struct virtio_balloon *s)
{
    timer_cancel(&s->poll);
    if (s->stats)
        virtq_drop(s->stats);
    s->stats = NULL;
}

static void balloon_reset(struct virtio *v)
{
    struct virtio_balloon *s = balloon_of(v);

    stats_drop(s);
    stats_forget(s);
    s->actual = s->poison_val = 0;
}

static void balloon_queue_reset(struct virtio *v, struct virtq *q)
{
    if (q->index == STATISTICS)
        stats_drop(balloon_of(v));
}

static void balloon_post_load(struct virtio *v) { stats_drop(balloon_of(v)); }

static const struct virtio_type balloon_type = {
    .name = "virtio-balloon",
    .id = 5,
    .pci_class = 0x00ff,
    .legacy_pci_id = 0x1002,
    .features = balloon_features,
    .realize = balloon_realize,
    .unrealize = balloon_unrealize,
    .reset = balloon_reset,
    .queue_reset = balloon_queue_reset,
    .config_read = balloon_config_read,
    .config_write = balloon_config_write,
    .post_load = balloon_post_load,
};

#define P(name, field, def, help) { name, PROP_BOOL, offsetof(struct virtio_balloon, field), def, NULL, help }
#define BALLOON_PROPS \
    P("deflate-on-oom", deflate_on_oom, 0, "the driver may take pages back when the guest runs out of memory"), \
    P("free-page-reporting", reporting, 0, "the driver tells which pages are free"), \
    P("page-poison", page_poison, 1, "the driver tells what free pages hold")
#define BALLOON_FIELDS \
    SNAP_U(struct virtio_balloon, num_pages), SNAP_U(struct virtio_balloon, actual), SNAP_U(struct virtio_balloon, poison_val)

VIRTIO_CLASSES(virtio_balloon, balloon_type, "virtio-balloon", "memory balloon", virtio_balloon, NULL, PCI_PROPS, BALLOON_PROPS,
               BALLOON_FIELDS);
