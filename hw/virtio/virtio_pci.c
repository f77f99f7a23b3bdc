/* Virtio over PCI: the modern interface in BAR 4, the legacy one in BAR 0, MSI-X in BAR 1. Register accesses on vCPU threads, the
 * device's lock held. VIRTIO 1.2, 4.1. */
#include "hw/virtio/virtio_pci.h"
#include "hw/core/machine.h"
#include "util/log.h"

enum { VENDOR = 0x1af4, SUBSYS_MODERN = 0x1100, DEVICE_MODERN = 0x1040 };
enum { LEGACY_BAR = 0, MSIX_BAR = 1, MODERN_BAR = 4 };
/* BAR 4. */
enum { COMMON_AT = 0, ISR_AT = 0x1000, DEVICE_AT = 0x2000, NOTIFY_AT = 0x3000, AREA_SIZE = 0x1000 };
/* Vendor capabilities, 4.1.4: cap_vndr, cap_next, cap_len, cfg_type, bar, id, padding[2], le32 offset, le32 length. */
enum { CAP_LEN = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_SIZE = 16, CAP_EXTRA = 16 };
enum { TYPE_COMMON = 1, TYPE_NOTIFY = 2, TYPE_ISR = 3, TYPE_DEVICE = 4, TYPE_PCI = 5 };
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

/* -- interrupts --------------------------------------------------------------------------------------------------------- */

static void pci_interrupt(struct virtio *v, struct virtq *q)
{
    u16 vector = q ? q->vector : v->config_vector;

    if (pci_msix_enabled(&v->pci)) {
        if (vector != VIRTIO_NO_VECTOR)
            pci_msix_send(&v->pci, vector);
        return;
    }
    v->isr |= q ? ISR_QUEUE : ISR_CONFIG;
    pci_set_intx(&v->pci, 1);
}

static const struct virtio_transport pci_transport = { .interrupt = pci_interrupt };

static u8 isr_take(struct virtio *v)
{
    u8 isr = v->isr;

    v->isr = 0;
    pci_set_intx(&v->pci, 0);
    return isr;
}

static u16 vector_check(struct virtio *v, u64 vector)
{
    return vector < pci_msix_vectors(&v->pci) ? vector : VIRTIO_NO_VECTOR;
}

static void status_write(struct virtio *v, u8 status)
{
    virtio_set_status(v, status);
    if (!status)
        pci_set_intx(&v->pci, 0);
}

/* -- the common configuration structure, 4.1.4.3 -------------------------------------------------------------------------- */

static struct virtq *selected(struct virtio *v) { return virtio_queue(v, v->queue_sel); }

static u64 get_feature_sel(struct virtio *v) { return v->features_sel; }
static void set_feature_sel(struct virtio *v, u64 val) { v->features_sel = val; }
static u64 get_feature(struct virtio *v) { return v->features_sel < 2 ? (u32)(virtio_offered(v, false) >> (32 * v->features_sel)) : 0; }
static u64 get_driver_sel(struct virtio *v) { return v->driver_features_sel; }
static void set_driver_sel(struct virtio *v, u64 val) { v->driver_features_sel = val; }

static u64 get_driver_feature(struct virtio *v)
{
    return v->driver_features_sel < 2 ? (u32)(v->driver_features >> (32 * v->driver_features_sel)) : 0;
}

static void set_driver_feature(struct virtio *v, u64 val)
{
    unsigned shift = 32 * v->driver_features_sel;

    if (v->driver_features_sel < 2 && !(v->status & VIRTIO_FEATURES_OK))
        v->driver_features = (v->driver_features & ~(0xffffffffull << shift)) | val << shift;
}

static u64 get_config_vector(struct virtio *v) { return v->config_vector; }
static void set_config_vector(struct virtio *v, u64 val) { v->config_vector = vector_check(v, val); }
static u64 get_queues(struct virtio *v) { return v->n_queues; }
static u64 get_status(struct virtio *v) { return v->status; }
static void set_status(struct virtio *v, u64 val) { status_write(v, val); }
static u64 get_generation(struct virtio *v) { return v->config_generation; }
static u64 get_queue_sel(struct virtio *v) { return v->queue_sel; }
static void set_queue_sel(struct virtio *v, u64 val) { v->queue_sel = val; }
static u64 get_size(struct virtio *v) { return selected(v) ? selected(v)->size : 0; }
static void set_size(struct virtio *v, u64 val) { virtq_set_size(selected(v), val); }
static u64 get_vector(struct virtio *v) { return selected(v) ? selected(v)->vector : VIRTIO_NO_VECTOR; }
static void set_vector(struct virtio *v, u64 val) { selected(v)->vector = vector_check(v, val); }
static u64 get_enable(struct virtio *v) { return selected(v) ? selected(v)->enabled : 0; }

static void set_enable(struct virtio *v, u64 val)
{
    if (val == 1 && (v->status & VIRTIO_FEATURES_OK))
        virtq_enable(selected(v));
    else
        GUEST_ERROR("%s: %llu written to queue_enable, status %02x", v->type->name, (unsigned long long)val, v->status);
}

static u64 get_notify_off(struct virtio *v) { return v->queue_sel; }
static u64 get_desc(struct virtio *v) { return selected(v) ? selected(v)->desc : 0; }
static u64 get_avail(struct virtio *v) { return selected(v) ? selected(v)->avail : 0; }
static u64 get_used(struct virtio *v) { return selected(v) ? selected(v)->used : 0; }

/* The rings of a running queue stay where they are. */
static void set_area(struct virtio *v, u64 *area, u64 val)
{
    if (!selected(v)->enabled)
        *area = val;
}

static void set_desc(struct virtio *v, u64 val) { set_area(v, &selected(v)->desc, val); }
static void set_avail(struct virtio *v, u64 val) { set_area(v, &selected(v)->avail, val); }
static void set_used(struct virtio *v, u64 val) { set_area(v, &selected(v)->used, val); }
static u64 get_notify_data(struct virtio *v) { return v->queue_sel; }
static u64 get_reset(struct virtio *v) { return 0; } /* done at once */

static void set_reset(struct virtio *v, u64 val)
{
    if (val == 1 && virtio_has(v, VIRTIO_F_RING_RESET))
        virtq_reset(selected(v));
}

static const struct common_reg {
    u8 off, size;
    bool queue; /* written only while queue_select names a queue */
    u64 (*get)(struct virtio *v);
    void (*set)(struct virtio *v, u64 val);
} common_regs[] = {
    { 0, 4, false, get_feature_sel, set_feature_sel },   /* device_feature_select */
    { 4, 4, false, get_feature, NULL },                  /* device_feature */
    { 8, 4, false, get_driver_sel, set_driver_sel },     /* driver_feature_select */
    { 12, 4, false, get_driver_feature, set_driver_feature },
    { 16, 2, false, get_config_vector, set_config_vector }, /* config_msix_vector */
    { 18, 2, false, get_queues, NULL },                  /* num_queues */
    { 20, 1, false, get_status, set_status },            /* device_status */
    { 21, 1, false, get_generation, NULL },              /* config_generation */
    { 22, 2, false, get_queue_sel, set_queue_sel },      /* queue_select */
    { 24, 2, true, get_size, set_size },                 /* queue_size */
    { 26, 2, true, get_vector, set_vector },             /* queue_msix_vector */
    { 28, 2, true, get_enable, set_enable },             /* queue_enable */
    { 30, 2, true, get_notify_off, NULL },               /* queue_notify_off */
    { 32, 8, true, get_desc, set_desc },                 /* queue_desc */
    { 40, 8, true, get_avail, set_avail },               /* queue_driver */
    { 48, 8, true, get_used, set_used },                 /* queue_device */
    { 56, 2, true, get_notify_data, NULL },              /* queue_notify_data */
    { 58, 2, true, get_reset, set_reset },               /* queue_reset */
};

static const struct common_reg *common_find(u64 off)
{
    for (unsigned i = 0; i < ARRAY_LEN(common_regs); i++)
        if (off >= common_regs[i].off && off < common_regs[i].off + common_regs[i].size)
            return &common_regs[i];
    return NULL;
}

static u64 common_read(void *opaque, u64 off, unsigned size)
{
    const struct common_reg *r = common_find(off);

    return r ? zext(r->get(opaque) >> (8 * (off - r->off)), size) : 0;
}

/* Whole registers, or halves of the 64-bit ones. */
static void common_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct virtio *v = opaque;
    const struct common_reg *r = common_find(off);

    if (!r || !r->set || (r->queue && !selected(v)) || size != MIN_OF(r->size, 4) || (off - r->off) % size) {
        GUEST_ERROR("%s: write of %u bytes at %llu of the common configuration", v->type->name, size, (unsigned long long)off);
        return;
    }
    if (r->size == 8) {
        unsigned shift = 8 * (off - r->off);
        val = (r->get(v) & ~(0xffffffffull << shift)) | val << shift;
    }
    r->set(v, val);
}

/* -- the other structures of the modern interface --------------------------------------------------------------------------- */

static u64 isr_read(void *opaque, u64 off, unsigned size) { return off ? 0 : isr_take(opaque); }

static u64 device_read(void *opaque, u64 off, unsigned size) { return virtio_config_load(opaque, off, size); }
static void device_write(void *opaque, u64 off, u64 val, unsigned size) { virtio_config_store(opaque, off, val, size); }

static unsigned notify_multiplier(const struct virtio *v) { return v->pt.page_per_vq ? 4096 : 4; }
static u64 notify_read(void *opaque, u64 off, unsigned size) { return 0; }

static void notify_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct virtio *v = opaque;

    virtq_kick(v, off / notify_multiplier(v));
}

static const struct region_ops common_ops = { common_read, common_write, 1, 4 };
static const struct region_ops isr_ops = { isr_read, NULL, 1, 4 };
static const struct region_ops device_ops = { device_read, device_write, 1, 4 };
static const struct region_ops notify_ops = { notify_read, notify_write, 1, 4 };

/* -- the legacy interface, 4.1.4.10 ----------------------------------------------------------------------------------------- */

enum legacy_reg {
    LEGACY_FEATURES = 0, LEGACY_DRIVER_FEATURES = 4, LEGACY_QUEUE_PFN = 8, LEGACY_QUEUE_SIZE = 12, LEGACY_QUEUE_SEL = 14,
    LEGACY_NOTIFY = 16, LEGACY_STATUS = 18, LEGACY_ISR = 19, LEGACY_CONFIG_VECTOR = 20, LEGACY_QUEUE_VECTOR = 22,
};

/* Where the device's own configuration begins: behind the vectors while MSI-X is on. */
static unsigned legacy_config_at(struct virtio *v) { return pci_msix_enabled(&v->pci) ? 24 : 20; }

static u64 legacy_read(void *opaque, u64 off, unsigned size)
{
    struct virtio *v = opaque;
    struct virtq *q = selected(v);

    if (off >= legacy_config_at(v))
        return virtio_config_load(v, off - legacy_config_at(v), size);
    switch (off) {
    case LEGACY_FEATURES: return virtio_offered(v, true);
    case LEGACY_DRIVER_FEATURES: return (u32)v->features;
    case LEGACY_QUEUE_PFN: return q ? q->desc >> PAGE_BITS : 0;
    case LEGACY_QUEUE_SIZE: return q ? q->size_max : 0;
    case LEGACY_QUEUE_SEL: return v->queue_sel;
    case LEGACY_STATUS: return v->status;
    case LEGACY_ISR: return isr_take(v);
    case LEGACY_CONFIG_VECTOR: return v->config_vector;
    case LEGACY_QUEUE_VECTOR: return get_vector(v);
    default: return 0;
    }
}

static void legacy_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct virtio *v = opaque;
    struct virtq *q = selected(v);

    if (off >= legacy_config_at(v)) {
        virtio_config_store(v, off - legacy_config_at(v), val, size);
        return;
    }
    switch (off) {
    case LEGACY_DRIVER_FEATURES: virtio_set_legacy_features(v, val); break;
    case LEGACY_QUEUE_PFN:
        if (val == 0)
            status_write(v, 0); /* a reset, too */
        else if (q)
            virtq_set_legacy(q, (val & 0xffffffff) << PAGE_BITS);
        break;
    case LEGACY_QUEUE_SEL: v->queue_sel = val; break;
    case LEGACY_NOTIFY: virtq_kick(v, val & 0xffff); break;
    case LEGACY_STATUS: status_write(v, val); break;
    case LEGACY_CONFIG_VECTOR: set_config_vector(v, val & 0xffff); break;
    case LEGACY_QUEUE_VECTOR:
        if (q)
            set_vector(v, val & 0xffff);
        break;
    default: GUEST_ERROR("%s: write of legacy register %llu", v->type->name, (unsigned long long)off);
    }
}

static const struct region_ops legacy_ops = { legacy_read, legacy_write, 1, 4 };

/* -- access through configuration space, 4.1.4.9 ------------------------------------------------------------------------------ */

/* The structure at an offset of BAR 4; NULL where there is none, or it ends before off + size. */
static const struct region *window_at(const struct virtio *v, u64 off, unsigned size)
{
    const struct region *const areas[] = { &v->pt.common, &v->pt.isr, &v->pt.device, &v->pt.notify };

    for (unsigned i = 0; i < ARRAY_LEN(areas); i++)
        if (off >= areas[i]->addr && off + size <= areas[i]->addr + areas[i]->size)
            return areas[i];
    return NULL;
}

/* The area the guest has named, or NULL; *off becomes relative to it. */
static const struct region *cfg_target(const struct virtio *v, u32 *off, u32 *size)
{
    const u8 *cap = v->pci.config + v->pt.cfg_cap;

    *off = ld32(cap + CAP_OFFSET);
    *size = ld32(cap + CAP_LENGTH);
    if (cap[CAP_BAR] != MODERN_BAR || (*size != 1 && *size != 2 && *size != 4) || *off % *size)
        return NULL;
    const struct region *r = window_at(v, *off, *size);
    if (r)
        *off -= r->addr;
    return r;
}

static bool touches_cfg_data(const struct virtio *v, unsigned reg, unsigned len)
{
    unsigned at = v->pt.cfg_cap + CAP_EXTRA;

    return v->pt.cfg_cap && reg < at + 4 && at < reg + len && len <= 4;
}

static void pci_config_reading(struct pci_device *d, unsigned reg, unsigned len)
{
    struct virtio *v = (struct virtio *)d;
    u32 off, size;
    const struct region *r = touches_cfg_data(v, reg, len) ? cfg_target(v, &off, &size) : NULL;

    if (r && r->ops->read)
        st32(d->config + v->pt.cfg_cap + CAP_EXTRA, r->ops->read(v, off, size));
}

static void pci_config_changed(struct pci_device *d, unsigned reg, unsigned len)
{
    struct virtio *v = (struct virtio *)d;
    u32 off, size;
    const struct region *r = touches_cfg_data(v, reg, len) ? cfg_target(v, &off, &size) : NULL;

    if (r && r->ops->write)
        r->ops->write(v, off, ld32(d->config + v->pt.cfg_cap + CAP_EXTRA) & MASK64(8 * size), size);
}

static const struct pci_ops config_ops = { .config_changed = pci_config_changed, .config_reading = pci_config_reading };

static u8 cap_add(struct virtio *v, u8 type, u32 off, u32 len, unsigned extra)
{
    u8 at = pci_cap_add(&v->pci, PCI_CAP_VENDOR, CAP_SIZE + extra), *c = v->pci.config + at;

    c[CAP_LEN] = CAP_SIZE + extra;
    c[CAP_TYPE] = type;
    c[CAP_BAR] = type == TYPE_PCI ? 0 : MODERN_BAR;
    st32(c + CAP_OFFSET, off);
    st32(c + CAP_LENGTH, len);
    return at;
}

/* -- life ----------------------------------------------------------------------------------------------------------------------- */

static u64 power_of_two(u64 n)
{
    u64 p = 1;

    while (p < n)
        p <<= 1;
    return p;
}

static void add_modern(struct virtio *v)
{
    struct virtio_pci_state *t = &v->pt;
    u64 notify = (u64)notify_multiplier(v) * MAX_OF(v->n_queues, 1u);

    region_init_container(&t->bar, "virtio-pci", power_of_two(NOTIFY_AT + MAX_OF(notify, (u64)AREA_SIZE)));
    region_init_io(&t->common, "virtio-pci-common", AREA_SIZE, &common_ops, v, v->lock);
    region_init_io(&t->isr, "virtio-pci-isr", AREA_SIZE, &isr_ops, v, v->lock);
    region_init_io(&t->device, "virtio-pci-device", AREA_SIZE, &device_ops, v, v->lock);
    region_init_io(&t->notify, "virtio-pci-notify", MAX_OF(notify, (u64)AREA_SIZE), &notify_ops, v, v->lock);
    region_add(&t->bar, COMMON_AT, &t->common, 0);
    region_add(&t->bar, ISR_AT, &t->isr, 0);
    region_add(&t->bar, DEVICE_AT, &t->device, 0);
    region_add(&t->bar, NOTIFY_AT, &t->notify, 0);
    pci_bar_init(&v->pci, MODERN_BAR, &t->bar, PCI_BAR_MEM64 | PCI_BAR_PREFETCH);
    cap_add(v, TYPE_COMMON, COMMON_AT, AREA_SIZE, 0);
    cap_add(v, TYPE_ISR, ISR_AT, AREA_SIZE, 0);
    cap_add(v, TYPE_DEVICE, DEVICE_AT, AREA_SIZE, 0);
    u8 at = cap_add(v, TYPE_NOTIFY, NOTIFY_AT, MAX_OF(notify, (u64)AREA_SIZE), 4);
    st32(v->pci.config + at + CAP_EXTRA, notify_multiplier(v));
    t->cfg_cap = cap_add(v, TYPE_PCI, 0, 0, 4);
    v->pci.wmask[t->cfg_cap + CAP_BAR] = 0xff;
    memset(v->pci.wmask + t->cfg_cap + CAP_OFFSET, 0xff, 12);
}

static void add_legacy(struct virtio *v)
{
    region_init_io(&v->pt.legacy_io, "virtio-pci", power_of_two(MAX_OF(24 + v->config_len, 32u)), &legacy_ops, v, v->lock);
    pci_bar_init(&v->pci, LEGACY_BAR, &v->pt.legacy_io, PCI_BAR_IO);
}

/* Which interfaces there are: both, unless told otherwise; below a PCI Express port the modern one only. */
static int choose_interfaces(struct virtio *v, enum virtio_kind kind, struct err *e)
{
    struct virtio_pci_state *t = &v->pt;
    struct pci_bus *bus = pci_bus_of(&v->pci);
    bool port = bus && bus->express && !pci_bus_is_root(bus);
    const char *name = v->pci.dev.cls->name;

    if (kind != VIRTIO_PCI_GENERIC && (t->disable_legacy != AUTO_AUTO || t->disable_modern))
        return err_set(e, "%s: disable-legacy= and disable-modern= go with %s-pci only", name, v->type->name);
    t->modern = !t->disable_modern;
    t->legacy = kind == VIRTIO_PCI_TRANSITIONAL || (kind == VIRTIO_PCI_GENERIC && (t->disable_legacy == AUTO_OFF ||
                (t->disable_legacy == AUTO_AUTO && (!port || t->disable_modern))));
    if (t->legacy && !v->type->legacy_pci_id) {
        if (t->disable_legacy == AUTO_OFF || kind == VIRTIO_PCI_TRANSITIONAL)
            return err_set(e, "%s: a modern device only, it has no legacy interface", name);
        t->legacy = false;
    }
    if (!t->legacy && !t->modern)
        return err_set(e, "%s: device cannot work as neither modern nor legacy mode is enabled", name);
    if (t->legacy && v->iommu_platform)
        return err_set(e, "%s: iommu_platform=on needs disable-legacy=on", name);
    if (!t->modern && v->packed)
        return err_set(e, "%s: packed=on needs the modern interface", name);
    return 0;
}

static int add_bars(struct virtio *v, struct err *e)
{
    u64 auto_vectors = v->vectors ? v->vectors : v->n_queues + 1;
    u64 vectors = v->pt.vectors == VIRTIO_VECTORS_AUTO ? auto_vectors : v->pt.vectors;
    struct pci_bus *bus = pci_bus_of(&v->pci);

    if (vectors > 2048)
        return err_set(e, "%s: vectors=%llu is more than MSI-X has, 2048", v->pci.dev.cls->name, (unsigned long long)vectors);
    if (vectors && pci_msix_init(&v->pci, vectors, MSIX_BAR, e) < 0)
        return -1;
    if (bus->express && !pci_bus_is_root(bus))
        pci_express_init(&v->pci, PCI_EXP_ENDPOINT);
    if (v->pt.legacy)
        add_legacy(v);
    if (v->pt.modern)
        add_modern(v);
    return 0;
}

int virtio_pci_realize(struct device *d, struct err *e)
{
    struct virtio *v = virtio_of(d);
    const struct virtio_class *k = d->cls->data;

    v->type = k->type;
    v->transport = &pci_transport;
    if (choose_interfaces(v, k->kind, e) < 0 || virtio_realize(v, e) < 0)
        return -1;
    struct pci_id id = {
        .vendor = VENDOR,
        .device = v->pt.legacy ? v->type->legacy_pci_id : DEVICE_MODERN + v->type->id,
        .class_code = v->type->pci_class,
        .revision = v->pt.legacy ? 0 : 1,
        .int_pin = 1,
        .subsys_vendor = VENDOR,
        .subsys_id = v->pt.legacy ? v->type->id : SUBSYS_MODERN,
    };
    v->pci.ops = &config_ops;
    if (pci_attach(&v->pci, &id, e) < 0) {
        virtio_unrealize(v);
        return -1;
    }
    if (add_bars(v, e) < 0) {
        pci_detach(&v->pci);
        virtio_unrealize(v);
        return -1;
    }
    return 0;
}

void virtio_pci_unrealize(struct device *d)
{
    struct virtio *v = virtio_of(d);

    virtio_unrealize(v);
    pci_detach(&v->pci);
}

void virtio_pci_reset(struct device *d)
{
    struct virtio *v = virtio_of(d);

    virtio_reset(v);
    pci_reset(&v->pci);
}

void virtio_pci_pre_save(struct device *d) { virtio_pre_save(virtio_of(d)); }

void virtio_pci_post_load(struct device *d)
{
    struct virtio *v = virtio_of(d);

    pci_post_load(&v->pci);
    virtio_post_load(v);
}
