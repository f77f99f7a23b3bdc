/* Invalidation by registers and by the queue: what goes and what stays, waits, errors and how software goes on after them. */
#include <glib.h>
#include "hw/core/machine.h"
#include "mmu/aspace.h"
#include "tests/lib/vtd_rig.h"

enum { FSTS = 0x34, IQH = 0x80, IQT = 0x88, ICS = 0x9c, IECTL = 0xa0, IQERCD = 0xb0, IQE = 1 << 4, DATA = 0x200000 };
enum { CONTEXT = 1, IOTLB = 2, DEVICE_TLB = 3, INTERRUPT = 4, WAIT = 5, IF = 1 << 4, SW = 1 << 5 };

/* Both devices have pages 0 to 3 at DATA, and at DATA + 64 KiB; what is cached is what the tables said last. */
struct fixture {
    struct vtd_rig *x;
    u64 table[2];
};

static void fill(struct fixture *s, unsigned n, u64 gpa)
{
    for (unsigned i = 0; i < 4; i++)
        rig_map(s->x, s->table[n], 3, 0x1000 * i, gpa + 0x1000 * i, 1, RIG_R);
}

/* Which pages of device n still come from DATA, as bits. */
static unsigned stale(struct fixture *s, unsigned n)
{
    unsigned bits = 0;
    u64 v;

    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(rig_read(s->x, n, 0x1000 * i, &v, 8));
        bits |= (v == 1) << i;
    }
    return bits;
}

static struct fixture setup(const char *props)
{
    struct fixture s = { .x = rig_new(props) };

    for (unsigned n = 0; n < 2; n++)
        s.table[n] = rig_context(s.x, RIG_SOURCE(n), 0, 1, 10 + n);
    for (unsigned i = 0; i < 4; i++) {
        rig_poke(s.x, DATA + 0x1000 * i, 1);
        rig_poke(s.x, DATA + 0x10000 + 0x1000 * i, 2);
    }
    rig_on(s.x);
    return s;
}

/* Everything cached, then the tables changed. */
static void change(struct fixture *s)
{
    rig_flush(s->x);
    for (unsigned n = 0; n < 2; n++) {
        fill(s, n, DATA);
        rig_flush(s->x);
    }
    g_assert_cmphex(stale(s, 0) & stale(s, 1), ==, 15);
    for (unsigned n = 0; n < 2; n++)
        fill(s, n, DATA + 0x10000);
    g_assert_cmphex(stale(s, 0) & stale(s, 1), ==, 15); /* the cache is one */
}

static void test_registers(void)
{
    struct fixture s = setup(NULL);
    struct vtd_rig *x = s.x;

    change(&s);
    rig_set64(x, 0xf8, 1ull << 63 | 2ull << 60 | 11ull << 32); /* domain 11 */
    g_assert_cmphex(rig_get64(x, 0xf8) >> 57, ==, 2 << 3 | 2);
    g_assert_cmphex(stale(&s, 0), ==, 15);
    g_assert_cmphex(stale(&s, 1), ==, 0);
    change(&s);
    rig_set64(x, 0xf0, 0x2000 | 1); /* two pages of domain 10 */
    rig_set64(x, 0xf8, 1ull << 63 | 3ull << 60 | 10ull << 32);
    g_assert_cmphex(stale(&s, 0), ==, 3);
    g_assert_cmphex(stale(&s, 1), ==, 15);
    change(&s);
    rig_set(x, 0xf8, 0); /* as two dwords: the upper one acts */
    rig_set(x, 0xfc, 1u << 31 | 1 << 28);
    g_assert_cmphex(stale(&s, 0) | stale(&s, 1), ==, 0);
    change(&s);
    rig_set64(x, 0x28, 1ull << 63 | 3ull << 61 | (u64)RIG_SOURCE(1) << 16 | 11); /* one device's context */
    g_assert_cmphex(rig_get64(x, 0x28) >> 59, ==, 3 << 2 | 3);
    g_assert_cmphex(stale(&s, 0), ==, 15);
    g_assert_cmphex(stale(&s, 1), ==, 0);
    rig_set64(x, 0x28, 1ull << 63); /* of nothing */
    g_assert_cmphex(rig_get64(x, 0x28), ==, 0);
    rig_set64(x, 0xf0, 60); /* a mask that is too large */
    rig_set64(x, 0xf8, 1ull << 63 | 3ull << 60);
    g_assert_cmphex(rig_get64(x, 0xf8) >> 57, ==, 3 << 3);
    rig_free(x);
}

static void test_generation(void)
{
    struct fixture s = setup(NULL);
    u32 before = aspace_generation(s.x->edu[0]->dma);

    rig_flush(s.x);
    g_assert_cmpuint(aspace_generation(s.x->edu[0]->dma), !=, before);
    rig_free(s.x);
}

static void test_queue(void)
{
    struct fixture s = setup("caching-mode=on");
    struct vtd_rig *x = s.x;
    u64 status = 0x8000;

    g_assert_cmphex(rig_get64(x, 0x08) & 0x80, ==, 0x80);
    change(&s);
    rig_queue_on(x, 0);
    rig_queue(x, IOTLB | 3 << 4 | 10ull << 16, 0x1000);
    g_assert_cmphex(stale(&s, 0), ==, 13);
    rig_queue(x, IOTLB | 2 << 4 | 3 << 6 /* draining */ | 10ull << 16, 0);
    g_assert_cmphex(stale(&s, 0), ==, 0);
    g_assert_cmphex(stale(&s, 1), ==, 15);
    rig_queue(x, CONTEXT | 3 << 4 | 11ull << 16 | (u64)(RIG_SOURCE(1) + 3) << 32 | 2ull << 48, 0); /* functions 0 to 3 + 2 bits that do not count */
    g_assert_cmphex(stale(&s, 1), ==, 15);
    rig_queue(x, CONTEXT | 3 << 4 | 11ull << 16 | (u64)(RIG_SOURCE(1) + 6) << 32 | 2ull << 48, 0);
    g_assert_cmphex(stale(&s, 1), ==, 0);
    rig_queue(x, INTERRUPT | 1 << 4 | 3ull << 27 | 7ull << 32, 0);
    rig_poke(x, status, 0);
    rig_queue(x, WAIT | SW | 0xcafe12345ull << 32, status);
    g_assert_cmphex(rig_peek(x, status), ==, 0xafe12345);
    g_assert_cmphex(rig_get(x, FSTS), ==, 0);
    g_assert_cmphex(rig_get64(x, IQH), ==, rig_get64(x, IQT));
    g_assert_cmphex(rig_get64(x, IQH), ==, 6 * 16);
    rig_free(x);
}

/* A wait may interrupt; and its status may go nowhere. */
static void test_wait(void)
{
    struct fixture s = setup(NULL);
    struct vtd_rig *x = s.x;

    rig_queue_on(x, 0);
    rig_set(x, 0xa4, 0x42);
    rig_set(x, 0xa8, 0xfee00000);
    rig_queue(x, WAIT | IF, 0);
    g_assert_cmphex(rig_get(x, ICS), ==, 1);
    g_assert_cmphex(rig_get(x, IECTL), ==, 3u << 30);
    rig_set(x, IECTL, 0);
    g_assert_cmpuint(x->f->msis, ==, 1);
    g_assert_cmphex(x->f->msi_data, ==, 0x42);
    rig_queue(x, WAIT | IF, 0); /* one has not been answered */
    g_assert_cmpuint(x->f->msis, ==, 1);
    rig_set(x, ICS, 1);
    g_assert_cmphex(rig_get(x, ICS), ==, 0);
    rig_queue(x, WAIT | IF | SW, 0xfed90000); /* no RAM */
    g_assert_cmpuint(x->f->msis, ==, 2);
    g_assert_cmphex(rig_get(x, FSTS), ==, 0);
    rig_free(x);
}

static void test_wrap(void)
{
    struct fixture s = setup(NULL);
    struct vtd_rig *x = s.x;

    rig_queue_on(x, 1);
    for (unsigned i = 0; i < 1100; i++) {
        rig_queue(x, WAIT | SW | (u64)i << 32, 0x8000);
        g_assert_cmphex((u32)rig_peek(x, 0x8000), ==, i);
    }
    g_assert_cmphex(rig_get64(x, IQH), ==, 1100 % 512 * 16);
    rig_command(x, 0, RIG_QIE);
    g_assert_cmphex(rig_get64(x, IQH), ==, 0);
    rig_free(x);
}

static const struct { u64 low, high; unsigned why; } bad[] = {
    { 0, 0, 3 }, { DEVICE_TLB, 0, 3 }, { 6, 0, 3 }, { 15, 0, 3 }, { CONTEXT, 0, 3 }, { IOTLB, 0, 3 }, { IOTLB | 3 << 4, 19, 3 },
    { CONTEXT | 1 << 4 | 1 << 6, 0, 4 }, { CONTEXT | 1 << 4, 1, 4 }, { IOTLB | 1 << 4 | 1ull << 40, 0, 4 }, { INTERRUPT | 1 << 5, 0, 4 },
    { WAIT | SW | 1 << 8, 0x8000, 4 }, { WAIT | SW, 0x8001, 4 },
};

static void test_errors(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct fixture s = setup(NULL);
        struct vtd_rig *x = s.x;
        rig_queue_on(x, 0);
        rig_set(x, 0x3c, 0x43);
        rig_set(x, 0x40, 0xfee00000);
        rig_set(x, 0x38, 0);
        rig_poke(x, 0x8000, 0);
        rig_queue(x, bad[i].low, bad[i].high);
        g_assert_cmphex(rig_get(x, FSTS), ==, IQE);
        g_assert_cmpuint(x->f->msis, ==, 1);
        g_assert_cmphex(rig_get64(x, IQERCD) & 15, ==, bad[i].why);
        g_assert_cmphex(rig_get64(x, IQH), ==, 0);
        rig_queue(x, WAIT | SW | 1ull << 32, 0x8000); /* waits behind the error */
        g_assert_cmphex(rig_peek(x, 0x8000), ==, 0);
        rig_poke(x, RIG_QUEUE, WAIT);
        rig_poke(x, RIG_QUEUE + 8, 0);
        rig_set(x, FSTS, IQE);
        g_assert_cmphex(rig_peek(x, 0x8000), ==, 1);
        g_assert_cmphex(rig_get(x, FSTS), ==, 0);
        rig_free(x);
    }
}

static void test_no_queue(void)
{
    struct fixture s = setup(NULL);
    struct vtd_rig *x = s.x;

    rig_queue_on(x, 0);
    rig_set64(x, IQT, 0x1000); /* behind its end */
    g_assert_cmphex(rig_get(x, FSTS), ==, IQE);
    g_assert_cmphex(rig_get64(x, IQERCD), ==, 1);
    rig_command(x, 0, RIG_QIE);
    rig_set(x, FSTS, IQE);
    rig_set64(x, 0x90, 0xfed90000); /* not in RAM */
    rig_set64(x, IQT, 16);
    rig_command(x, RIG_QIE, 0);
    g_assert_cmphex(rig_get(x, FSTS), ==, IQE);
    g_assert_cmphex(rig_get64(x, IQERCD), ==, 2);
    rig_set64(x, 0x28, 1ull << 63 | 1ull << 61); /* registers are out of use with the queue on */
    g_assert_cmphex(rig_get64(x, 0x28) >> 59 & 3, ==, 0);
    rig_free(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vtd-inv/registers", test_registers);
    g_test_add_func("/vtd-inv/generation", test_generation);
    g_test_add_func("/vtd-inv/queue", test_queue);
    g_test_add_func("/vtd-inv/wait", test_wait);
    g_test_add_func("/vtd-inv/wrap", test_wrap);
    g_test_add_func("/vtd-inv/errors", test_errors);
    g_test_add_func("/vtd-inv/no-queue", test_no_queue);
    return g_test_run();
}
