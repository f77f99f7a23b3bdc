/* Virtqueues and negotiation through virtio-mmio, with virtio-rng as the device: both ring formats, chains, suppression of interrupts and
 * notifications, malformed rings, resets, saving. */
#include <glib.h>
#include "hw/virtio/virtio.h"
#include "mmu/dma.h"
#include "tests/lib/virtio_driver.h"

#define PACKED VDRV_F(VDRV_PACKED)
#define INDIRECT VDRV_F(VDRV_INDIRECT)
#define EVENTS VDRV_F(VDRV_EVENT_IDX)
enum { NEEDS_RESET = 64 };

struct fixture {
    struct fake_machine *f;
    struct vdrv *d;
};

static struct fixture setup(const char *props)
{
    struct fixture x = { .f = fake_machine_new(1) };

    x.d = vdrv_new(x.f, 0, "virtio-rng-device", props);
    return x;
}

static void teardown(struct fixture x)
{
    vdrv_free(x.d);
    fake_machine_free(x.f);
}

static const u64 flavours[] = { 0, INDIRECT, EVENTS | INDIRECT, PACKED, PACKED | INDIRECT, PACKED | EVENTS | INDIRECT };

static bool all_zero(struct fixture x, u64 gpa, u32 len)
{
    u8 *p = g_malloc(len);
    bool zero = true;

    dma_read(x.f->m.mem, gpa, p, len);
    for (u32 i = 0; i < len; i++)
        zero = zero && !p[i];
    g_free(p);
    return zero;
}

/* Several times round the ring, chains of every length, direct and as tables. */
static void test_rings(void)
{
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x = setup("packed=on");
        vdrv_start(x.d, flavours[k], 1, 8);
        g_assert_cmphex(x.d->features & ~VDRV_F(VDRV_VERSION_1), ==, flavours[k]);
        u64 mem = vdrv_alloc(x.d, 8 * 32);
        for (unsigned i = 0; i < 300; i++) {
            struct vbuf b[8];
            unsigned n = 1 + i % 8, total = 0;
            u8 zero[8 * 32] = { 0 };
            dma_write(x.f->m.mem, mem, zero, sizeof(zero));
            for (unsigned j = 0; j < n; j++) {
                b[j] = (struct vbuf){ mem + 32 * j, 16 + j, true };
                total += b[j].len;
            }
            u16 id = vdrv_add(x.d, 0, b, n, (flavours[k] & INDIRECT) && i % 3 == 0), got;
            u32 len;
            g_assert_false(vdrv_used(x.d, 0, &got, &len));
            vdrv_kick(x.d, 0);
            g_assert_true(vdrv_used(x.d, 0, &got, &len));
            g_assert_cmpuint(got, ==, id);
            g_assert_cmpuint(len, ==, total);
            g_assert_false(all_zero(x, mem + 32 * (n - 1), 16));
            g_assert_true(all_zero(x, mem + 32 * (n - 1) + 16 + n - 1, 32 - 16 - (n - 1)));
            g_assert_false(vdrv_used(x.d, 0, &got, &len));
            if (i % 50 == 7)
                vdrv_save_load(x.d);
        }
        g_assert_cmphex(vdrv_status(x.d), ==, 15);
        teardown(x);
    }
}

/* Several chains at once come back in one go, with one interrupt. */
static void test_batch(void)
{
    for (unsigned k = 0; k < ARRAY_LEN(flavours); k++) {
        struct fixture x = setup("packed=on");
        vdrv_start(x.d, flavours[k], 1, 8);
        for (unsigned round = 0; round < 5; round++) {
            struct vbuf b[2] = { { vdrv_alloc(x.d, 64), 10, true }, { vdrv_alloc(x.d, 64), 20, true } };
            u16 ids[4], got;
            u32 len;
            for (unsigned i = 0; i < 4; i++)
                ids[i] = vdrv_add(x.d, 0, b, 2, false);
            vdrv_isr(x.d);
            if (flavours[k] & EVENTS) {
                struct vdrv_queue *q = &x.d->q[0];
                vdrv_used_event(x.d, 0, flavours[k] & PACKED ? q->seen | (q->seen_wrap ? 0x8000 : 0) : q->seen);
            }
            unsigned rises = x.f->rises[5];
            vdrv_kick(x.d, 0);
            g_assert_cmpuint(x.f->rises[5] - rises, ==, 1);
            g_assert_cmphex(vdrv_isr(x.d), ==, 1);
            for (unsigned i = 0; i < 4; i++) {
                g_assert_true(vdrv_used(x.d, 0, &got, &len));
                g_assert_cmpuint(got, ==, ids[i]);
                g_assert_cmpuint(len, ==, 30);
            }
        }
        teardown(x);
    }
}

static unsigned interrupts_of_one(struct fixture x)
{
    struct vbuf b = { vdrv_alloc(x.d, 16), 16, true };
    unsigned rises = x.f->rises[5];
    u16 id;
    u32 len;

    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    vdrv_isr(x.d);
    return x.f->rises[5] - rises;
}

static void test_interrupt_suppression(void)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct fixture x = setup("packed=on");
        vdrv_start(x.d, packed ? PACKED : 0, 1, 8);
        g_assert_cmpuint(interrupts_of_one(x), ==, 1);
        vdrv_interrupts(x.d, 0, false);
        g_assert_cmpuint(interrupts_of_one(x), ==, 0);
        vdrv_interrupts(x.d, 0, true);
        g_assert_cmpuint(interrupts_of_one(x), ==, 1);

        vdrv_start(x.d, EVENTS | (packed ? PACKED : 0), 1, 4);
        unsigned seen = 0;
        interrupts_of_one(x);
        interrupts_of_one(x);
        vdrv_used_event(x.d, 0, packed ? 1 : 5); /* packed: entry 1 of the next round, whose wrap bit is 0: the sixth buffer */
        for (unsigned i = 0; i < 3; i++)
            seen += interrupts_of_one(x);
        g_assert_cmpuint(seen, ==, 0);
        g_assert_cmpuint(interrupts_of_one(x), ==, 1);
        g_assert_cmpuint(interrupts_of_one(x), ==, 0);
        teardown(x);
    }
}

/* What the device says about when it wants to be notified. */
static void test_notification_hints(void)
{
    struct fixture x = setup("packed=on,max-bytes=16,period=1000");
    struct vbuf b = { vdrv_alloc(x.d, 16), 16, true };
    u16 id;
    u32 len;

    vdrv_start(x.d, 0, 1, 8);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    g_assert_false(vdrv_used(x.d, 0, &id, &len)); /* over its quota */
    fm_step(x.f, 999000000);
    g_assert_false(vdrv_used(x.d, 0, &id, &len));
    vdrv_save_load(x.d);
    fm_step(x.f, 2000000);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    teardown(x);
}

/* -- malformed rings ------------------------------------------------------------------------------------------------------- */

static void check_broken(struct fixture x, u64 features, const char *what)
{
    struct vbuf b = { vdrv_alloc(x.d, 16), 16, true };
    u16 id;
    u32 len;

    g_test_message("%s", what);
    vdrv_notify(x.d, 0);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | NEEDS_RESET);
    g_assert_cmphex(vdrv_isr(x.d), ==, 2); /* a configuration change, and nothing else */
    vdrv_kick(x.d, 0);
    g_assert_cmphex(vdrv_isr(x.d), ==, 0);
    vdrv_save_load(x.d);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | NEEDS_RESET);
    vdrv_start(x.d, features, 1, 8);
    g_assert_cmphex(vdrv_status(x.d), ==, 15);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    vdrv_isr(x.d);
}

static void raw(struct fixture x, u64 at, u64 gpa, u32 len, u16 a, u16 b)
{
    u8 d[16];

    st64(d, gpa);
    st32(d + 8, len);
    st16(d + 12, a);
    st16(d + 14, b);
    dma_write(x.f->m.mem, at, d, 16);
}

static void show(struct fixture x, u16 head, u16 idx)
{
    struct vdrv_queue *q = &x.d->q[0];
    u8 v[2];

    st16(v, head);
    dma_write(x.f->m.mem, q->avail + 4, v, 2);
    st16(v, idx);
    dma_write(x.f->m.mem, q->avail + 2, v, 2);
}

static void test_malformed_split(void)
{
    struct fixture x = setup(NULL);
    u64 mem = vdrv_alloc(x.d, 4096), table = vdrv_alloc(x.d, 4096), f = INDIRECT;
    struct vdrv_queue *q = &x.d->q[0];

#define CASE(what, ...) vdrv_start(x.d, f, 1, 8); __VA_ARGS__; check_broken(x, f, what)
    CASE("head beyond the table", show(x, 8, 1));
    CASE("index runs ahead", show(x, 0, 9));
    CASE("a loop", raw(x, q->desc, mem, 16, 3, 1); raw(x, q->desc + 16, mem, 16, 3, 0); show(x, 0, 1));
    CASE("a loop of one", raw(x, q->desc, mem, 16, 3, 0); show(x, 0, 1));
    CASE("next beyond the table", raw(x, q->desc, mem, 16, 3, 8); show(x, 0, 1));
    CASE("an empty buffer", raw(x, q->desc, mem, 0, 2, 0); show(x, 0, 1));
    CASE("not RAM", raw(x, q->desc, 0xd0000000, 16, 2, 0); show(x, 0, 1));
    CASE("past the end of RAM", raw(x, q->desc, 16 * MiB - 8, 16, 2, 0); show(x, 0, 1));
    CASE("wraps round", raw(x, q->desc, ~7ull, 16, 2, 0); show(x, 0, 1));
    CASE("readable behind writable", raw(x, q->desc, mem, 16, 3, 1); raw(x, q->desc + 16, mem, 16, 0, 0); show(x, 0, 1));
    CASE("an empty indirect table", raw(x, q->desc, table, 0, 4, 0); show(x, 0, 1));
    CASE("a ragged indirect table", raw(x, q->desc, table, 24, 4, 0); show(x, 0, 1));
    CASE("a huge indirect table", raw(x, q->desc, table, 0xfffffff0, 4, 0); show(x, 0, 1));
    CASE("an indirect table out of RAM", raw(x, q->desc, 16 * MiB - 16, 32, 4, 0); show(x, 0, 1));
    CASE("a table in a table", raw(x, q->desc, table, 16, 4, 0); raw(x, table, table, 16, 4, 0); show(x, 0, 1));
    CASE("indirect and next", raw(x, q->desc, table, 16, 5, 1); show(x, 0, 1));
    CASE("a loop in a table", raw(x, q->desc, table, 32, 4, 0); raw(x, table, mem, 16, 3, 1); raw(x, table + 16, mem, 16, 3, 0);
         show(x, 0, 1));
    f = 0;
    CASE("indirect without the feature", raw(x, q->desc, table, 16, 4, 0); raw(x, table, mem, 16, 2, 0); show(x, 0, 1));
#undef CASE
    teardown(x);
}

static void test_malformed_packed(void)
{
    struct fixture x = setup("packed=on");
    u64 mem = vdrv_alloc(x.d, 4096), table = vdrv_alloc(x.d, 4096), f = PACKED | INDIRECT;
    struct vdrv_queue *q = &x.d->q[0];

#define CASE(what, ...) vdrv_start(x.d, f, 1, 8); __VA_ARGS__; check_broken(x, f, what)
    CASE("a chain without end", for (unsigned i = 0; i < 8; i++) raw(x, q->desc + 16 * i, mem, 16, 0, 0x83));
    CASE("an empty buffer", raw(x, q->desc, mem, 0, 0, 0x82));
    CASE("not RAM", raw(x, q->desc, 0xd0000000, 16, 0, 0x82));
    CASE("wraps round", raw(x, q->desc, ~7ull, 16, 0, 0x82));
    CASE("readable behind writable", raw(x, q->desc, mem, 16, 0, 0x83); raw(x, q->desc + 16, mem, 16, 0, 0x80));
    CASE("indirect in a chain", raw(x, q->desc, table, 16, 0, 0x85));
    CASE("a ragged table", raw(x, q->desc, table, 40, 0, 0x84));
    CASE("an empty table", raw(x, q->desc, table, 0, 0, 0x84));
    f = PACKED;
    CASE("indirect without the feature", raw(x, q->desc, table, 16, 0, 0x84); raw(x, table, mem, 16, 0, 2));
#undef CASE
    teardown(x);
}

static void test_rings_elsewhere(void)
{
    static const u64 where[] = { 0xd0000000, 16 * MiB - 16, ~15ull, 0x100001 };
    struct fixture x = setup(NULL);

    for (unsigned area = 0; area < 3; area++) {
        for (unsigned i = 0; i < ARRAY_LEN(where); i++) {
            g_assert_true(vdrv_negotiate(x.d, 0));
            vdrv_queue_setup(x.d, 0, 8);
            vdrv_set(x.d, 0x44, 0);
            vdrv_set(x.d, 0x38, 8);
            u64 at[3] = { x.d->q[0].desc, x.d->q[0].avail, x.d->q[0].used };
            at[area] = where[i];
            for (unsigned j = 0; j < 3; j++) {
                vdrv_set(x.d, 0x80 + 0x10 * j, at[j]);
                vdrv_set(x.d, 0x84 + 0x10 * j, at[j] >> 32);
            }
            vdrv_set(x.d, 0x44, 1);
            vdrv_driver_ok(x.d);
            check_broken(x, 0, "rings that are not in RAM");
        }
    }
    teardown(x);
}

/* -- negotiation, registers, resets ---------------------------------------------------------------------------------------- */

static void test_negotiation(void)
{
    struct fixture x = setup("packed=on,iommu_platform=on");

    g_assert_cmphex(vdrv_reg(x.d, 0), ==, 0x74726976);
    g_assert_cmpuint(vdrv_reg(x.d, 4), ==, 2);
    g_assert_cmpuint(vdrv_reg(x.d, 8), ==, 4);
    g_assert_false(vdrv_negotiate(x.d, 0)); /* ACCESS_PLATFORM is not optional */
    g_assert_true(vdrv_negotiate(x.d, VDRV_F(VDRV_PLATFORM)));
    vdrv_set(x.d, 0x20, 1); /* too late */
    g_assert_cmphex(vdrv_status(x.d), ==, 11);
    g_assert_false(vdrv_negotiate(x.d, 0));
    vdrv_set(x.d, 0x70, 0);
    vdrv_set(x.d, 0x70, 3);
    vdrv_set(x.d, 0x24, 0);
    vdrv_set(x.d, 0x20, 0x80000000); /* was not offered */
    vdrv_set(x.d, 0x24, 1);
    vdrv_set(x.d, 0x20, 3);
    vdrv_set(x.d, 0x70, 11);
    g_assert_cmphex(vdrv_status(x.d), ==, 3);
    teardown(x);
}

static void test_queue_registers(void)
{
    struct fixture x = setup(NULL);
    struct vbuf b = { 0x1000, 16, true };
    u16 id;
    u32 len;

    g_assert_true(vdrv_negotiate(x.d, VDRV_F(VDRV_RING_RESET)));
    vdrv_set(x.d, 0x30, 1);
    g_assert_cmpuint(vdrv_reg(x.d, 0x34), ==, 0);
    vdrv_set(x.d, 0x44, 1);
    vdrv_set(x.d, 0x30, 0xffffffff);
    g_assert_cmpuint(vdrv_reg(x.d, 0x34), ==, 0);
    vdrv_set(x.d, 0x30, 0);
    g_assert_cmpuint(vdrv_reg(x.d, 0x34), ==, 8);
    static const u32 bad[] = { 0, 3, 16, 0x10008, 0xffffffff };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        vdrv_set(x.d, 0x38, bad[i]);
    vdrv_queue_setup(x.d, 0, 4);
    vdrv_driver_ok(x.d);
    vdrv_set(x.d, 0x80, 0x5000); /* a running queue stays where it is */
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    vdrv_kick(x.d, 7);
    vdrv_kick(x.d, 0xffff);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    vdrv_set(x.d, 0xc0, 1); /* QueueReset, then the queue anew */
    g_assert_cmpuint(vdrv_reg(x.d, 0x44), ==, 0);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_false(vdrv_used(x.d, 0, &id, &len));
    vdrv_queue_setup(x.d, 0, 8);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    fm_reset(x.f);
    g_assert_cmphex(vdrv_status(x.d), ==, 0);
    g_assert_cmpint(x.f->level[5], ==, 0);
    teardown(x);
}

/* Buffers that were there before DRIVER_OK are served with it. */
static void test_early_buffers(void)
{
    struct fixture x = setup(NULL);
    struct vbuf b = { vdrv_alloc(x.d, 16), 16, true };
    u16 id;
    u32 len;

    g_assert_true(vdrv_negotiate(x.d, 0));
    vdrv_queue_setup(x.d, 0, 4);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_false(vdrv_used(x.d, 0, &id, &len));
    vdrv_driver_ok(x.d);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    teardown(x);
}

/* A ring in a memory map that changes. */
static void test_map_changes(void)
{
    struct fixture x = setup(NULL);
    struct vbuf b = { vdrv_alloc(x.d, 16), 16, true };
    struct region hole;
    u16 id;
    u32 len;

    vdrv_start(x.d, 0, 1, 8);
    region_init_io(&hole, "hole", 4096, &(const struct region_ops){ 0 }, NULL, NULL);
    lock_acquire(&x.f->m.lock);
    region_add(&x.f->m.mem_root, 0x800000, &hole, 1);
    lock_release(&x.f->m.lock);
    vdrv_add(x.d, 0, &b, 1, false);
    vdrv_kick(x.d, 0);
    g_assert_true(vdrv_used(x.d, 0, &id, &len));
    lock_acquire(&x.f->m.lock);
    region_del(&hole);
    region_add(&x.f->m.mem_root, ALIGN_DOWN(x.d->q[0].avail, 4096), &hole, 1);
    lock_release(&x.f->m.lock);
    vdrv_notify(x.d, 0);
    g_assert_cmphex(vdrv_status(x.d), ==, 15 | NEEDS_RESET);
    lock_acquire(&x.f->m.lock);
    region_del(&hole);
    lock_release(&x.f->m.lock);
    teardown(x);
}

static void test_bad_props(void)
{
    static const struct { const char *cls, *props, *text; } bad[] = {
        { "virtio-mmio", NULL, "*addr=0x0*" },
        { "virtio-mmio", "addr=0xd0000100", "*multiple of 512*" },
        { "virtio-mmio", "addr=0xd0000000,irq=24", "*0 to 23*" },
        { "virtio-rng-device", "rng=none", "*no -object*'none'*" },
        { "virtio-rng-device", "period=0", "*period=0*" },
        { "virtio-blk-device", NULL, "*drive property not set*" },
    };
    struct fake_machine *f = fake_machine_new(1);
    struct err e;

    lock_acquire(&f->m.lock);
    g_assert_null(device_create(&f->m, "virtio-rng-device", NULL, NULL, &e));
    g_assert_true(g_pattern_match_simple("*no virtio-bus bus*", e.msg));
    g_assert_nonnull(device_create(&f->m, "virtio-mmio", NULL, "addr=0xd0000000", &e));
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        g_assert_null(device_create(&f->m, bad[i].cls, NULL, bad[i].props, &e));
        g_test_message("%s", e.msg);
        g_assert_true(g_pattern_match_simple(bad[i].text, e.msg));
    }
    lock_release(&f->m.lock);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio/rings", test_rings);
    g_test_add_func("/virtio/batch", test_batch);
    g_test_add_func("/virtio/interrupt-suppression", test_interrupt_suppression);
    g_test_add_func("/virtio/quota", test_notification_hints);
    g_test_add_func("/virtio/malformed-split", test_malformed_split);
    g_test_add_func("/virtio/malformed-packed", test_malformed_packed);
    g_test_add_func("/virtio/rings-elsewhere", test_rings_elsewhere);
    g_test_add_func("/virtio/negotiation", test_negotiation);
    g_test_add_func("/virtio/queue-registers", test_queue_registers);
    g_test_add_func("/virtio/early-buffers", test_early_buffers);
    g_test_add_func("/virtio/map-changes", test_map_changes);
    g_test_add_func("/virtio/bad-props", test_bad_props);
    return g_test_run();
}
