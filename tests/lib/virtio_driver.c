/* A driver of virtio-mmio devices with both ring formats. Used by one test thread, which also plays vCPU and main loop. */
#include "tests/lib/virtio_driver.h"
#include <glib.h>
#include "mmu/dma.h"

enum { R_DEVICE_FEATURES = 0x10, R_DEVICE_SEL = 0x14, R_DRIVER_FEATURES = 0x20, R_DRIVER_SEL = 0x24, R_QUEUE_SEL = 0x30, R_NUM_MAX = 0x34,
       R_NUM = 0x38, R_READY = 0x44, R_NOTIFY = 0x50, R_ISR = 0x60, R_ACK = 0x64, R_STATUS = 0x70, R_DESC = 0x80, R_DRIVER = 0x90,
       R_DEVICE = 0xa0, R_CONFIG = 0x100 };
enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4, F_AVAIL = 1 << 7, F_USED = 1 << 15 };

static void put(struct vdrv *d, u64 gpa, const void *p, u64 len) { g_assert_cmpint(dma_write(d->mem, gpa, p, len), ==, 0); }
static u16 get16(struct vdrv *d, u64 gpa) { u16 v; dma_read(d->mem, gpa, &v, 2); return v; }
static u32 get32(struct vdrv *d, u64 gpa) { u32 v; dma_read(d->mem, gpa, &v, 4); return v; }
static void put16(struct vdrv *d, u64 gpa, u16 v) { put(d, gpa, &v, 2); }

u32 vdrv_reg(struct vdrv *d, unsigned reg) { return fm_read(d->f, d->base + reg, 4); }
void vdrv_set(struct vdrv *d, unsigned reg, u32 val) { fm_write(d->f, d->base + reg, val, 4); }
u8 vdrv_status(struct vdrv *d) { return vdrv_reg(d, R_STATUS); }
u64 vdrv_config(struct vdrv *d, unsigned off, unsigned size) { return fm_read(d->f, d->base + R_CONFIG + off, size); }
void vdrv_config_set(struct vdrv *d, unsigned off, u64 val, unsigned size) { fm_write(d->f, d->base + R_CONFIG + off, val, size); }

u32 vdrv_isr(struct vdrv *d)
{
    u32 isr = vdrv_reg(d, R_ISR);

    g_assert_cmpint(d->f->level[d->irq], ==, isr != 0);
    vdrv_set(d, R_ACK, isr);
    g_assert_cmpint(d->f->level[d->irq], ==, 0);
    return isr;
}

struct vdrv *vdrv_new(struct fake_machine *f, unsigned index, const char *name, const char *props)
{
    struct vdrv *d = g_new0(struct vdrv, 1);

    d->f = f;
    d->mem = f->m.mem;
    d->base = VDRV_BASE + 4096 * index;
    d->irq = 5 + index;
    d->heap = 1 * MiB + index * 2 * MiB;
    char *own = g_strdup_printf("addr=0x%llx,irq=%u", (unsigned long long)d->base, d->irq);
    d->transport = fake_device(f, "virtio-mmio", own);
    d->dev = fake_device(f, name, props);
    g_free(own);
    return d;
}

void vdrv_free(struct vdrv *d) { g_free(d); }

bool vdrv_negotiate(struct vdrv *d, u64 want)
{
    u64 offered = 0;

    vdrv_set(d, R_STATUS, 0);
    g_assert_cmphex(vdrv_status(d), ==, 0);
    vdrv_set(d, R_STATUS, 1);
    vdrv_set(d, R_STATUS, 3);
    for (unsigned i = 0; i < 2; i++) {
        vdrv_set(d, R_DEVICE_SEL, i);
        offered |= (u64)vdrv_reg(d, R_DEVICE_FEATURES) << (32 * i);
    }
    g_assert_true(offered & VDRV_F(VDRV_VERSION_1));
    d->features = offered & (want | VDRV_F(VDRV_VERSION_1));
    for (unsigned i = 0; i < 2; i++) {
        vdrv_set(d, R_DRIVER_SEL, i);
        vdrv_set(d, R_DRIVER_FEATURES, d->features >> (32 * i));
    }
    vdrv_set(d, R_STATUS, 11);
    memset(d->q, 0, sizeof(d->q));
    return vdrv_status(d) & 8;
}

void vdrv_queue_setup(struct vdrv *d, unsigned n, u16 size)
{
    struct vdrv_queue *q = &d->q[n];
    u8 zero[4096] = { 0 };

    *q = (struct vdrv_queue){ .size = size, .wrap = true, .seen_wrap = true };
    vdrv_set(d, R_QUEUE_SEL, n);
    g_assert_cmpuint(vdrv_reg(d, R_NUM_MAX), >=, size);
    g_assert_cmpuint(vdrv_reg(d, R_READY), ==, 0);
    q->desc = vdrv_alloc(d, 16 * size);
    q->avail = vdrv_alloc(d, 6 + 2 * size);
    q->used = vdrv_alloc(d, 6 + 8 * size);
    put(d, q->avail, zero, 6);
    put(d, q->used, zero, 6);
    for (unsigned i = 0; i < size; i++)
        put(d, q->desc + 16 * i, zero, 16);
    put(d, q->avail, zero, MIN_OF(6 + 2 * size, 4096));
    vdrv_set(d, R_NUM, size);
    vdrv_set(d, R_DESC, q->desc);
    vdrv_set(d, R_DRIVER, q->avail);
    vdrv_set(d, R_DEVICE, q->used);
    vdrv_set(d, R_DEVICE + 4, 0);
    vdrv_set(d, R_READY, 1);
    g_assert_cmpuint(vdrv_reg(d, R_READY), ==, 1);
}

void vdrv_driver_ok(struct vdrv *d) { vdrv_set(d, R_STATUS, vdrv_status(d) | 4); }

void vdrv_start(struct vdrv *d, u64 want, unsigned queues, u16 size)
{
    g_assert_true(vdrv_negotiate(d, want));
    for (unsigned i = 0; i < queues; i++)
        vdrv_queue_setup(d, i, size);
    vdrv_driver_ok(d);
}

u64 vdrv_alloc(struct vdrv *d, u64 len)
{
    u64 at = d->heap;

    d->heap = ALIGN_UP(d->heap + len, 64);
    g_assert_cmpuint(d->heap, <, 16 * MiB);
    return at;
}

u64 vdrv_put(struct vdrv *d, const void *data, u64 len)
{
    u64 at = vdrv_alloc(d, len);

    put(d, at, data, len);
    return at;
}

/* -- making available ----------------------------------------------------------------------------------------------------- */

static void put_desc(struct vdrv *d, u64 at, u64 gpa, u32 len, u16 a, u16 b)
{
    u8 raw[16];

    st64(raw, gpa);
    st32(raw + 8, len);
    st16(raw + 12, a);
    st16(raw + 14, b);
    put(d, at, raw, 16);
}

static u64 make_table(struct vdrv *d, const struct vbuf *b, unsigned count, bool packed)
{
    u64 table = vdrv_alloc(d, 16 * count);

    for (unsigned i = 0; i < count; i++) {
        u16 flags = (b[i].write ? F_WRITE : 0) | (i + 1 < count && !packed ? F_NEXT : 0);
        if (packed)
            put_desc(d, table + 16 * i, b[i].gpa, b[i].len, 0, flags);
        else
            put_desc(d, table + 16 * i, b[i].gpa, b[i].len, flags, i + 1);
    }
    return table;
}

static u16 add_split(struct vdrv *d, struct vdrv_queue *q, const struct vbuf *b, unsigned count, bool indirect)
{
    u16 head = q->free_desc;

    for (unsigned i = 0; i < count; i++) {
        u16 next = (q->free_desc + 1) % q->size;
        u16 flags = (indirect ? F_INDIRECT : b[i].write ? F_WRITE : 0) | (i + 1 < count ? F_NEXT : 0);
        put_desc(d, q->desc + 16 * q->free_desc, b[i].gpa, b[i].len, flags, next);
        q->free_desc = next;
    }
    put16(d, q->avail + 4 + 2 * (q->next % q->size), head);
    put16(d, q->avail + 2, ++q->next);
    return head;
}

static u16 add_packed(struct vdrv *d, struct vdrv_queue *q, const struct vbuf *b, unsigned count, bool indirect)
{
    u16 id = q->next_id++ % q->size, first = q->next, first_flags = 0;

    q->chain[id] = count;
    for (unsigned i = 0; i < count; i++) {
        u16 flags = (indirect ? F_INDIRECT : b[i].write ? F_WRITE : 0) | (i + 1 < count ? F_NEXT : 0) |
                    (q->wrap ? F_AVAIL : F_USED);
        if (i == 0) { /* shown last */
            first_flags = flags;
            flags ^= F_AVAIL | F_USED;
        }
        put_desc(d, q->desc + 16 * q->next, b[i].gpa, b[i].len, id, flags);
        if (++q->next == q->size) {
            q->next = 0;
            q->wrap = !q->wrap;
        }
    }
    put16(d, q->desc + 16 * first + 14, first_flags);
    return id;
}

u16 vdrv_add(struct vdrv *d, unsigned n, const struct vbuf *b, unsigned count, bool indirect)
{
    struct vdrv_queue *q = &d->q[n];
    bool packed = d->features & VDRV_F(VDRV_PACKED);
    struct vbuf table;

    if (indirect) {
        table = (struct vbuf){ make_table(d, b, count, packed), 16 * count, false };
        b = &table;
        count = 1;
    }
    q->added += packed ? count : 1;
    return packed ? add_packed(d, q, b, count, indirect) : add_split(d, q, b, count, indirect);
}

/* Does the device want to hear of what was added since the last kick? */
static bool wants_kick(struct vdrv *d, struct vdrv_queue *q)
{
    bool events = d->features & VDRV_F(VDRV_EVENT_IDX);

    if (d->features & VDRV_F(VDRV_PACKED)) {
        u16 flags = get16(d, q->used + 2) & 3, at = get16(d, q->used) & 0x7fff;
        if (get16(d, q->used) >> 15 != q->wrap)
            at -= q->size;
        return flags == 2 ? (u16)(q->next - at - 1) < q->added : flags == 0;
    }
    if (!events)
        return !(get16(d, q->used) & 1);
    return (u16)(q->next - get16(d, q->used + 4 + 8 * q->size) - 1) < q->added;
}

void vdrv_kick(struct vdrv *d, unsigned n)
{
    if (n >= VDRV_QUEUES || !d->q[n].size || wants_kick(d, &d->q[n]))
        vdrv_set(d, R_NOTIFY, n);
    if (n < VDRV_QUEUES)
        d->q[n].added = 0;
}

void vdrv_notify(struct vdrv *d, unsigned n) { vdrv_set(d, R_NOTIFY, n); }

/* -- what was used --------------------------------------------------------------------------------------------------------- */

static bool used_packed(struct vdrv *d, struct vdrv_queue *q, u16 *id, u32 *len)
{
    u64 at = q->desc + 16 * q->seen;
    u16 flags = get16(d, at + 14);

    if (!!(flags & F_AVAIL) != q->seen_wrap || !!(flags & F_USED) != q->seen_wrap)
        return false;
    *id = get16(d, at + 12);
    *len = get32(d, at + 8);
    g_assert_cmpuint(*id, <, q->size);
    q->seen += q->chain[*id];
    if (q->seen >= q->size) {
        q->seen -= q->size;
        q->seen_wrap = !q->seen_wrap;
    }
    return true;
}

static bool used_split(struct vdrv *d, struct vdrv_queue *q, u16 *id, u32 *len)
{
    if (get16(d, q->used + 2) == q->seen)
        return false;
    *id = get32(d, q->used + 4 + 8 * (q->seen % q->size));
    *len = get32(d, q->used + 8 + 8 * (q->seen % q->size));
    q->seen++;
    return true;
}

/* With the lock under which an I/O thread completes: this is no CPU, whose loads would be ordered. */
bool vdrv_used(struct vdrv *d, unsigned n, u16 *id, u32 *len)
{
    bool r;

    lock_acquire(&d->f->m.lock);
    r = (d->features & VDRV_F(VDRV_PACKED) ? used_packed : used_split)(d, &d->q[n], id, len);
    lock_release(&d->f->m.lock);
    return r;
}

void vdrv_wait(struct vdrv *d, unsigned n, u16 *id, u32 *len)
{
    i64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (!vdrv_used(d, n, id, len)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_main_context_iteration(NULL, FALSE);
        fm_step(d->f, 1000);
    }
}

void vdrv_used_event(struct vdrv *d, unsigned n, u16 event)
{
    struct vdrv_queue *q = &d->q[n];

    if (d->features & VDRV_F(VDRV_PACKED)) {
        put16(d, q->avail, event);
        put16(d, q->avail + 2, 2);
    } else {
        put16(d, q->avail + 4 + 2 * q->size, event);
    }
}

void vdrv_interrupts(struct vdrv *d, unsigned n, bool on)
{
    put16(d, d->q[n].avail + (d->features & VDRV_F(VDRV_PACKED) ? 2 : 0), !on);
}

static GByteArray *save(struct vdrv *d)
{
    GByteArray *a = g_byte_array_new();

    lock_acquire(&d->f->m.lock);
    device_save(d->dev, a);
    lock_release(&d->f->m.lock);
    return a;
}

static void load(struct vdrv *d, const GByteArray *a)
{
    struct err e = { "" };

    lock_acquire(&d->f->m.lock);
    g_assert_cmpint(device_load(d->dev, a->data, a->len, &e), ==, a->len);
    lock_release(&d->f->m.lock);
}

void vdrv_restore(struct vdrv *d)
{
    GByteArray *a = save(d);

    load(d, a);
    g_byte_array_unref(a);
}

void vdrv_save_load(struct vdrv *d)
{
    GByteArray *a = save(d), *b;

    load(d, a);
    b = save(d);
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
    g_byte_array_unref(a);
    g_byte_array_unref(b);
}

/* Each device's state, in a row. */
static GPtrArray *save_all(struct fake_machine *f)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);

    lock_acquire(&f->m.lock);
    for (struct device *d = f->m.devices; d; d = d->next) {
        g_ptr_array_add(all, g_byte_array_new());
        device_save(d, g_ptr_array_index(all, all->len - 1));
    }
    lock_release(&f->m.lock);
    return all;
}

void vdrv_move(struct vdrv *d)
{
    GPtrArray *a = save_all(d->f), *b;
    struct err e = { "" };
    unsigned i = 0;

    fm_reset(d->f);
    lock_acquire(&d->f->m.lock);
    for (struct device *dev = d->f->m.devices; dev; dev = dev->next, i++) {
        GByteArray *s = g_ptr_array_index(a, i);
        g_assert_cmpint(device_load(dev, s->data, s->len, &e), ==, s->len);
    }
    lock_release(&d->f->m.lock);
    b = save_all(d->f);
    for (i = 0; i < a->len; i++) {
        GByteArray *s = g_ptr_array_index(a, i), *t = g_ptr_array_index(b, i);
        g_assert_cmpmem(s->data, s->len, t->data, t->len);
    }
    g_ptr_array_unref(a);
    g_ptr_array_unref(b);
}
