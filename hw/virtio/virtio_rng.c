/* virtio-rng: fills the driver's buffers with random bytes of the host, at most max-bytes in each period. Any thread, the device's
 * lock held; the limit's timer on the main thread. VIRTIO 1.2, 5.4. */
#include "hw/backend/rng.h"
#include "hw/core/machine.h"
#include "hw/virtio/virtio_pci.h"

#define NS_PER_MS 1000000ll
enum { QUEUE_SIZE = 8, CHUNK_MAX = 64 * 1024, BUFFERS_A_TURN = 64 };

struct virtio_rng {
    struct virtio v;
    char *rng_id;         /* properties */
    u64 max_bytes;
    u32 period_ms;
    struct rng *rng;
    u64 quota;            /* bytes left in this period */
    struct timer period;  /* pending: a period has begun */
};

/* Fills one buffer, as far as the quota goes. */
static void fill(struct virtio_rng *s, struct virtq_elem *e)
{
    u64 want = MIN_OF(MIN_OF(e->in_len, (u64)CHUNK_MAX), s->quota), done = 0;

    for (unsigned i = 0; i < e->n_in && done < want; i++) {
        u64 n = MIN_OF(want - done, e->in[i].iov_len);
        if (rng_read(s->rng, e->in[i].iov_base, n) < 0)
            break;
        done += n;
    }
    s->quota -= done;
    virtq_push(e, done);
}

static void serve(struct virtio *v, struct virtq *q)
{
    struct virtio_rng *s = (struct virtio_rng *)v;
    struct virtq_elem *e;
    unsigned n = 0;

    do {
        while (s->quota && n < BUFFERS_A_TURN && (e = virtq_pop(q, sizeof(*e)))) {
            fill(s, e);
            n++;
        }
    } while (!virtq_notify_on(q) && s->quota && n < BUFFERS_A_TURN);
    if (!n)
        return;
    virtq_notify(q);
    if (s->max_bytes && !s->period.pending)
        timer_set(&s->period, clock_ns(virtio_machine(v)->clock) + s->period_ms * NS_PER_MS);
    if (n == BUFFERS_A_TURN)
        virtq_again(q);
}

static void quota_fill(struct virtio_rng *s) { s->quota = s->max_bytes ? s->max_bytes : ~0ull; }

static void period_over(void *opaque)
{
    struct virtio_rng *s = opaque;

    quota_fill(s);
    virtq_kick(&s->v, 0);
}

static u64 rng_features(struct virtio *v) { return 0; }

static int rng_realize(struct virtio *v, struct err *e)
{
    struct virtio_rng *s = (struct virtio_rng *)v;

    if (!s->period_ms)
        return err_set(e, "%s: period=0: must be at least 1 ms", v->type->name);
    s->rng = rng_find(s->rng_id);
    if (!s->rng)
        return err_set(e, "%s.rng: there is no -object rng-random or rng-builtin with id '%s'", v->type->name, s->rng_id);
    rng_use(s->rng, true);
    timer_init(&s->period, virtio_machine(v)->clock, period_over, s);
    virtio_add_queue(v, QUEUE_SIZE, serve);
    return 0;
}

static void rng_reset(struct virtio *v)
{
    struct virtio_rng *s = (struct virtio_rng *)v;

    timer_cancel(&s->period);
    quota_fill(s);
}

static void rng_unrealize(struct virtio *v)
{
    struct virtio_rng *s = (struct virtio_rng *)v;

    timer_cancel(&s->period);
    rng_use(s->rng, false);
}

static const struct virtio_type rng_type = {
    .name = "virtio-rng",
    .id = 4,
    .pci_class = 0x00ff,
    .legacy_pci_id = 0x1005,
    .features = rng_features,
    .realize = rng_realize,
    .unrealize = rng_unrealize,
    .reset = rng_reset,
};

#define RNG_PROPS \
    { "rng", PROP_STR, offsetof(struct virtio_rng, rng_id), 0, NULL, "id of the -object that gives random bytes; none: the host's kernel" }, \
    { "max-bytes", PROP_U64, offsetof(struct virtio_rng, max_bytes), 0, NULL, "most bytes in a period; 0: any number" }, \
    { "period", PROP_U32, offsetof(struct virtio_rng, period_ms), 65536, NULL, "length of a period in ms" }
#define RNG_FIELDS SNAP_U(struct virtio_rng, quota), SNAP_T(struct virtio_rng, period)

VIRTIO_CLASSES(virtio_rng, rng_type, "virtio-rng", "source of random bytes", virtio_rng, NULL, PCI_PROPS, RNG_PROPS, RNG_FIELDS);
