/* Tests util/snap.c: every kind of field, byte-identical saves, damaged and foreign data. */
#include "util/snap.h"
#include <glib.h>
#include "util/clock.h"

struct inner {
    u16 x;
    struct timer t;
};

struct outer {
    u8 a;
    u16 b;
    u32 c;
    u64 d;
    bool flag;
    u8 bytes[5];
    u32 array[3];
    struct inner one, many[2];
    int not_saved;
};

static const struct snap_field inner_fields[] = {
    SNAP_U(struct inner, x),
    SNAP_T(struct inner, t),
    SNAP_DONE,
};
static const struct snap_field outer_fields[] = {
    SNAP_U(struct outer, a),
    SNAP_U(struct outer, b),
    SNAP_U(struct outer, c),
    SNAP_U(struct outer, d),
    SNAP_U(struct outer, flag),
    SNAP_B(struct outer, bytes),
    SNAP_A(struct outer, array),
    SNAP_S(struct outer, one, inner_fields),
    SNAP_AS(struct outer, many, inner_fields),
    SNAP_DONE,
};

static void nothing(void *opaque) {}

static void init(struct outer *o, struct clock *c)
{
    memset(o, 0, sizeof(*o));
    timer_init(&o->one.t, c, nothing, o);
    timer_init(&o->many[0].t, c, nothing, o);
    timer_init(&o->many[1].t, c, nothing, o);
}

static GByteArray *sample(struct outer *o, struct clock *c)
{
    GByteArray *out = g_byte_array_new();
    init(o, c);
    o->a = 0x12;
    o->b = 0x3456;
    o->c = 0x789abcde;
    o->d = 0x1122334455667788;
    o->flag = true;
    memcpy(o->bytes, "bytes", 5);
    o->array[0] = 1;
    o->array[2] = 0xffffffff;
    o->one.x = 7;
    o->many[1].x = 9;
    timer_set(&o->many[1].t, 12345);
    o->not_saved = 5;
    snap_save(outer_fields, o, out);
    return out;
}

static void cancel(struct outer *o)
{
    timer_cancel(&o->one.t);
    timer_cancel(&o->many[0].t);
    timer_cancel(&o->many[1].t);
}

static void test_round_trip(void)
{
    struct clock *c = clock_new_manual();
    struct outer o, p;
    GByteArray *data = sample(&o, c), *again = g_byte_array_new();
    init(&p, c);
    timer_set(&p.one.t, 99); /* must be cancelled by the load */
    g_byte_array_append(data, (const guint8 *)"tail", 4);
    g_assert_cmpint(snap_load(outer_fields, &p, data->data, data->len), ==, data->len - 4);
    g_assert_cmphex(p.d, ==, o.d);
    g_assert_cmpmem(p.bytes, 5, "bytes", 5);
    g_assert_cmphex(p.array[2], ==, 0xffffffff);
    g_assert_cmpint(p.many[1].x, ==, 9);
    g_assert_true(p.many[1].t.pending);
    g_assert_cmpint(p.many[1].t.deadline, ==, 12345);
    g_assert_false(p.one.t.pending);
    g_assert_cmpint(p.not_saved, ==, 0);
    snap_save(outer_fields, &p, again);
    g_assert_cmpmem(again->data, again->len, data->data, data->len - 4);
    cancel(&o);
    cancel(&p);
    g_byte_array_unref(data);
    g_byte_array_unref(again);
    clock_free(c);
}

static void test_truncated(void)
{
    struct clock *c = clock_new_manual();
    struct outer o, p;
    GByteArray *data = sample(&o, c);
    init(&p, c);
    for (unsigned len = 0; len < data->len; len++) {
        u8 *copy = g_memdup2(data->data, len); /* of exactly this size, so that a checker sees an overrun */
        g_assert_cmpint(snap_load(outer_fields, &p, copy, len), ==, -1);
        g_free(copy);
    }
    cancel(&o);
    cancel(&p);
    g_byte_array_unref(data);
    clock_free(c);
}

static void test_damaged(void)
{
    struct clock *c = clock_new_manual();
    struct outer o, p;
    GByteArray *data = sample(&o, c);
    init(&p, c);
    for (unsigned i = 0; i < data->len; i++) { /* any result but a crash */
        data->data[i] ^= 0xff;
        snap_load(outer_fields, &p, data->data, data->len);
        data->data[i] ^= 0xff;
    }
    data->data[3] = 'z'; /* the first field's name */
    g_assert_cmpint(snap_load(outer_fields, &p, data->data, data->len), ==, -1);
    cancel(&o);
    cancel(&p);
    g_byte_array_unref(data);
    clock_free(c);
}

/* A bool is 0 or 1: anything else would be undefined behaviour where it is read. */
static void test_bool(void)
{
    static const struct snap_field flag[] = { SNAP_U(struct outer, flag), SNAP_DONE };
    GByteArray *data = g_byte_array_new();
    struct outer o = { .flag = true };
    snap_save(flag, &o, data);
    o.flag = false;
    g_assert_cmpint(snap_load(flag, &o, data->data, data->len), ==, data->len);
    g_assert_true(o.flag);
    data->data[data->len - 1] = 2;
    g_assert_cmpint(snap_load(flag, &o, data->data, data->len), ==, -1);
    g_byte_array_unref(data);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/snap/round-trip", test_round_trip);
    g_test_add_func("/snap/truncated", test_truncated);
    g_test_add_func("/snap/damaged", test_damaged);
    g_test_add_func("/snap/bool", test_bool);
    return g_test_run();
}
