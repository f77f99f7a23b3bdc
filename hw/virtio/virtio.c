/* Virtio devices independent of their transport: features, status, configuration space, queue registers, saving. Called by the
 * transports and the devices with the device's lock held, on any thread. VIRTIO 1.2, chapters 2 and 3. */
#include "hw/virtio/virtio.h"
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include "hw/core/machine.h"
#include "hw/virtio/virtio_ring.h"
#include "util/log.h"

static const struct snap_field queue_fields[] = {
    SNAP_U(struct virtq, size), SNAP_U(struct virtq, vector), SNAP_U(struct virtq, enabled), SNAP_U(struct virtq, desc),
    SNAP_U(struct virtq, avail), SNAP_U(struct virtq, used), SNAP_U(struct virtq, last_avail), SNAP_U(struct virtq, used_idx),
    SNAP_U(struct virtq, signalled), SNAP_U(struct virtq, signalled_valid), SNAP_U(struct virtq, avail_wrap),
    SNAP_U(struct virtq, used_wrap), SNAP_DONE
};

const struct snap_field virtio_snap_fields[] = {
    SNAP_U(struct virtio, features), SNAP_U(struct virtio, features_sel), SNAP_U(struct virtio, driver_features_sel),
    SNAP_U(struct virtio, driver_features), SNAP_U(struct virtio, status), SNAP_U(struct virtio, isr),
    SNAP_U(struct virtio, config_generation), SNAP_U(struct virtio, broken), SNAP_U(struct virtio, queue_sel),
    SNAP_U(struct virtio, config_vector), SNAP_B(struct virtio, config), SNAP_AS(struct virtio, q, queue_fields),
    SNAP_BUF(struct virtio, in_flight), SNAP_DONE
};

/* -- life ------------------------------------------------------------------------------------------------------------- */

struct virtq *virtio_add_queue(struct virtio *v, unsigned size, virtq_handler *handle)
{
    struct virtq *q = &v->q[v->n_queues];

    assert(v->n_queues < VIRTIO_QUEUES_MAX && size && size <= VIRTQ_SIZE_MAX && !(size & (size - 1)));
    q->v = v;
    q->index = v->n_queues++;
    q->size_max = size;
    q->handle = handle;
    return q;
}

static void on_again(void *opaque)
{
    struct virtio *v = opaque;

    for (unsigned i = 0; i < v->n_queues; i++) {
        bool again = v->q[i].again;
        v->q[i].again = false;
        if (again)
            virtq_kick(v, i);
    }
}

void virtq_again(struct virtq *q)
{
    q->again = true;
    if (!q->v->again.pending)
        timer_set(&q->v->again, clock_ns(virtio_machine(q->v)->clock));
}

/* Section 6.1: a device without VIRTIO_F_ACCESS_PLATFORM goes past what the platform puts between devices and memory. */
static void choose_space(struct virtio *v)
{
    v->dma = virtio_has(v, VIRTIO_F_ACCESS_PLATFORM) && v->pci.dma ? v->pci.dma : virtio_machine(v)->mem;
}

int virtio_realize(struct virtio *v, struct err *e)
{
    if (!v->lock)
        v->lock = &virtio_machine(v)->lock;
    choose_space(v);
    v->n_queues = 0;
    timer_init(&v->again, virtio_machine(v)->clock, on_again, v);
    if (v->type->realize(v, e) < 0)
        return -1;
    v->offered = v->type->features(v) | VIRTIO_F_VERSION_1 | (v->indirect_desc ? VIRTIO_F_INDIRECT_DESC : 0) |
                 (v->event_idx ? VIRTIO_F_EVENT_IDX : 0) | (v->iommu_platform ? VIRTIO_F_ACCESS_PLATFORM : 0) |
                 (v->packed ? VIRTIO_F_RING_PACKED : 0) | (v->queue_reset_on ? VIRTIO_F_RING_RESET : 0) |
                 (v->any_layout ? VIRTIO_F_ANY_LAYOUT : 0);
    return 0;
}

void virtio_unrealize(struct virtio *v)
{
    virtio_reset(v);
    timer_cancel(&v->again);
    if (v->type->unrealize)
        v->type->unrealize(v);
    if (v->in_flight)
        g_byte_array_unref(v->in_flight);
    v->in_flight = NULL;
}

u64 virtio_offered(const struct virtio *v, bool legacy)
{
    return legacy ? (u32)v->offered : v->offered & ~VIRTIO_F_ANY_LAYOUT;
}

bool virtio_running(const struct virtio *v) { return (v->status & VIRTIO_DRIVER_OK) && !v->broken; }

static void queue_power_on(struct virtq *q)
{
    q->size = q->size_max;
    q->vector = VIRTIO_NO_VECTOR;
    q->enabled = 0;
    q->desc = q->avail = q->used = 0;
    g_free(q->table);
    q->table = NULL;
    virtq_start_over(q);
}

void virtio_reset(struct virtio *v)
{
    u8 old = v->status;

    v->broken = 1; /* no queue is served while requests in flight end */
    v->type->reset(v);
    for (unsigned i = 0; i < v->n_queues; i++)
        queue_power_on(&v->q[i]);
    v->features = v->driver_features = 0;
    choose_space(v);
    v->features_sel = v->driver_features_sel = 0;
    v->status = v->isr = v->broken = 0;
    v->queue_sel = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    if (old && v->type->status_changed)
        v->type->status_changed(v, old);
}

void virtio_error(struct virtio *v, const char *fmt, ...)
{
    char text[160];
    va_list ap;

    if (v->broken)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    GUEST_ERROR("%s: %s: the device needs a reset", v->type->name, text);
    v->broken = 1;
    if (virtio_has(v, VIRTIO_F_VERSION_1)) {
        v->status |= VIRTIO_NEEDS_RESET;
        if (v->status & VIRTIO_DRIVER_OK)
            virtio_config_changed(v);
    }
}

/* -- features and status ------------------------------------------------------------------------------------------------ */

static void features_take(struct virtio *v, u64 features)
{
    v->features = features;
    choose_space(v);
    for (unsigned i = 0; i < v->n_queues; i++)
        virtq_start_over(&v->q[i]);
    if (v->type->features_set)
        v->type->features_set(v);
}

void virtio_set_legacy_features(struct virtio *v, u32 features)
{
    if (v->status & VIRTIO_DRIVER_OK) {
        GUEST_ERROR("%s: features chosen while the driver runs", v->type->name);
        return;
    }
    features_take(v, features & virtio_offered(v, true));
}

/* FEATURES_OK stays clear if the driver's choice does not do. */
static u8 check_features(struct virtio *v, u8 status)
{
    if (!(status & VIRTIO_FEATURES_OK) || (v->status & VIRTIO_FEATURES_OK))
        return status;
    if ((v->driver_features & ~virtio_offered(v, false)) || !(v->driver_features & VIRTIO_F_VERSION_1) ||
        (v->iommu_platform && !(v->driver_features & VIRTIO_F_ACCESS_PLATFORM))) {
        GUEST_ERROR("%s: driver features %llx are refused", v->type->name, (unsigned long long)v->driver_features);
        return status & ~VIRTIO_FEATURES_OK;
    }
    features_take(v, v->driver_features);
    return status;
}

void virtio_set_status(struct virtio *v, u8 status)
{
    u8 old = v->status;

    if (status == 0) {
        virtio_reset(v);
        return;
    }
    status = check_features(v, status) | (old & VIRTIO_NEEDS_RESET);
    v->status = status;
    if (status != old && v->type->status_changed)
        v->type->status_changed(v, old);
    if (~old & status & VIRTIO_DRIVER_OK) /* buffers may have been there before */
        for (unsigned i = 0; i < v->n_queues; i++)
            virtq_kick(v, i);
}

/* -- configuration space ------------------------------------------------------------------------------------------------- */

u64 virtio_config_load(struct virtio *v, unsigned off, unsigned size)
{
    u64 val = 0;

    if (off + size > v->config_len)
        return MASK64(size * 8);
    if (v->type->config_read)
        v->type->config_read(v);
    memcpy(&val, v->config + off, size);
    return val;
}

void virtio_config_store(struct virtio *v, unsigned off, u64 val, unsigned size)
{
    u8 config[VIRTIO_CONFIG_MAX];

    if (off + size > v->config_len || !v->type->config_write) {
        GUEST_ERROR("%s: write of configuration byte %u", v->type->name, off);
        return;
    }
    if (v->type->config_read)
        v->type->config_read(v);
    memcpy(config, v->config, sizeof(config));
    memcpy(config + off, &val, size);
    v->type->config_write(v, off, size, config);
}

void virtio_config_changed(struct virtio *v)
{
    v->config_generation++;
    if (v->status & VIRTIO_DRIVER_OK)
        v->transport->interrupt(v, NULL);
}

/* -- queue registers ------------------------------------------------------------------------------------------------------ */

struct virtq *virtio_queue(struct virtio *v, unsigned n)
{
    return n < v->n_queues ? &v->q[n] : NULL;
}

void virtq_set_size(struct virtq *q, unsigned size)
{
    bool packed = virtio_has(q->v, VIRTIO_F_RING_PACKED);

    if (q->enabled || !size || size > q->size_max || (!packed && (size & (size - 1)))) {
        GUEST_ERROR("%s: %u entries for queue %u, which offers %u", q->v->type->name, size, q->index, q->size_max);
        return;
    }
    q->size = size;
    virtq_start_over(q);
}

void virtq_enable(struct virtq *q)
{
    if (q->enabled)
        return;
    virtq_start_over(q);
    q->enabled = 1;
}

void virtq_set_legacy(struct virtq *q, u64 gpa)
{
    q->desc = gpa;
    q->avail = gpa + 16ull * q->size;
    q->used = ALIGN_UP(q->avail + 6 + 2ull * q->size, 4096); /* 2.7.2: the driver area ends with the event index */
    q->enabled = 0;
    if (gpa)
        virtq_enable(q);
    else
        virtq_start_over(q);
}

void virtq_reset(struct virtq *q)
{
    u8 enabled = q->enabled;

    q->enabled = 0;
    if (enabled && q->v->type->queue_reset)
        q->v->type->queue_reset(q->v, q);
    queue_power_on(q);
}

void virtq_kick(struct virtio *v, unsigned n)
{
    struct virtq *q = virtio_queue(v, n);

    if (!q || !q->enabled || !virtio_running(v))
        return;
    q->handle(v, q);
}

/* -- saving --------------------------------------------------------------------------------------------------------------- */

void virtio_pre_save(struct virtio *v)
{
    if (v->type->pre_save)
        v->type->pre_save(v);
    if (!v->in_flight)
        v->in_flight = g_byte_array_new();
    g_byte_array_set_size(v->in_flight, 0);
    for (unsigned i = 0; i < v->n_queues; i++)
        virtq_save_in_flight(&v->q[i], v->in_flight);
}

/* Indices from a damaged file must not lead outside the rings. */
static bool queue_is_sane(const struct virtq *q)
{
    bool packed = virtio_has(q->v, VIRTIO_F_RING_PACKED);

    if (!q->size || q->size > q->size_max || q->avail_wrap > 1 || q->used_wrap > 1)
        return false;
    return packed ? q->last_avail < q->size && q->used_idx < q->size : !(q->size & (q->size - 1));
}

void virtio_post_load(struct virtio *v)
{
    bool sane = true;

    v->features &= v->offered;
    choose_space(v);
    for (unsigned i = 0; i < v->n_queues; i++) {
        struct virtq *q = &v->q[i];
        sane &= queue_is_sane(q);
        if (!sane)
            queue_power_on(q);
        virtq_loaded(q);
    }
    if (!sane || virtq_load_in_flight(v, v->in_flight) < 0)
        virtio_error(v, "the saved state of its queues is damaged");
    if (v->type->post_load)
        v->type->post_load(v);
    for (unsigned i = 0; i < v->n_queues; i++) /* when the VM goes on: the other devices are loaded then */
        virtq_again(&v->q[i]);
}
