/* Tests hw/core/device.c: properties, -global, errors; and for every class of devices.def that can be made here: guest misuse
 * of its registers, then save, load and save again give the same bytes. */
#include "hw/core/device.h"
#include <glib.h>
#include "hw/char/uart.h"
#include "hw/input/i8042.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/intc/pic.h"
#include "hw/timer/hpet.h"
#include "hw/timer/pit.h"
#include "hw/timer/pm.h"
#include "hw/timer/rtc.h"
#include "tests/lib/fake_chr.h"
#include "tests/lib/fake_machine.h"
#include "tests/lib/test_pc.h"

static struct device *create(struct fake_machine *f, const char *cls, const char *props, struct err *e)
{
    lock_acquire(&f->m.lock);
    struct device *d = device_create(&f->m, cls, "dev0", props, e);
    lock_release(&f->m.lock);
    return d;
}

static void test_props(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct err e;
    struct device *d = create(f, "isa-debug-exit", "iobase=0xf4,iosize=4", &e);
    g_assert_nonnull(d);
    g_assert_cmpstr(d->id, ==, "dev0");
    g_assert_true(f->m.devices == d);
    fm_out(f, 0xf4, 3, 1);
    g_assert_cmpint(f->request, ==, REQ_EXIT);
    g_assert_cmpint(f->request_code, ==, 7);
    static const struct { const char *cls, *props, *text; } bad[] = {
        { "isa-nothing", NULL, "*no device 'isa-nothing'*" },
        { "isa-debug-exit", "iobsae=1", "*no property 'iobsae'*" },
        { "isa-debug-exit", "iobase=x", "*'x' is not a number*" },
        { "isa-debug-exit", "iobase=-1", "*not a number*" },
        { "isa-debug-exit", "iobase=0x123456789", "*32 bits*" },
        { "isa-debug-exit", "iosize", "*on*" },
        { "isa-debug-exit", "iobase=0xffff,iosize=2", "*no range*" },
        { "isa-serial", "chardev=none", "*no -chardev*'none'*" },
        { "isa-debugcon", NULL, "*chardev=ID*" },
        { "acpi-pm", "timer32=maybe", "*neither on nor off*" },
        { "apic", NULL, "*-smp*" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        g_assert_null(create(f, bad[i].cls, bad[i].props, &e));
        g_assert_true(g_pattern_match_simple(bad[i].text, e.msg));
        g_assert_null(strchr(e.msg, '\n'));
    }
    g_assert_null(f->m.devices->next);
    fake_machine_free(f);
}

static void test_globals(void)
{
    static const char *const globals[] = { "isa-debug-exit.iobase=0x600", "isa-debug-exitx.iobase=7", "acpi-pm.timer32=on" };
    static const char *const wrong[] = { "isa-debug-exit.foo=1" };
    struct fake_machine *f = fake_machine_new(1);
    struct err e;
    f->m.cfg.globals = globals;
    f->m.cfg.n_globals = ARRAY_LEN(globals);
    g_assert_nonnull(create(f, "isa-debug-exit", NULL, &e));
    fm_out(f, 0x600, 0, 1);
    g_assert_cmpint(f->request_code, ==, 1);
    g_assert_nonnull(create(f, "isa-debug-exit", "iobase=0x700", &e)); /* -device wins */
    fm_out(f, 0x700, 1, 1);
    g_assert_cmpint(f->request_code, ==, 3);
    f->m.cfg.globals = wrong;
    f->m.cfg.n_globals = 1;
    g_assert_null(create(f, "isa-debug-exit", NULL, &e));
    g_assert_true(g_pattern_match_simple("-global isa-debug-exit.foo=1: *foo*", e.msg));
    fake_machine_free(f);
}

static void test_class_table(void)
{
    const struct dev_class *c;
    for (unsigned i = 0; (c = dev_class_nth(i)); i++) {
        g_assert_true(dev_class_find(c->name) == c); /* no name twice */
        g_assert_nonnull(c->desc);
        g_assert_cmpuint(c->state_size, >=, sizeof(struct device));
        for (const struct prop *p = c->props; p && p->kind != PROP_END; p++) {
            g_assert_cmpuint(p->offset, >=, sizeof(struct device));
            g_assert_cmpuint(p->offset, <, c->state_size);
            g_assert_nonnull(p->help);
        }
        for (const struct snap_field *s = c->fields; s && s->kind != SNAP_END; s++)
            g_assert_cmpuint(s->offset + s->count * s->size, <=, c->state_size);
    }
    g_assert_cmpuint(c == NULL, ==, 1);
    g_assert_null(dev_class_find("none"));
}

/* The chips of a PC on the fake machine, wired as a PC is. */
static void make_pc(struct fake_machine *f)
{
    struct machine *m = &f->m;
    struct err e;
    lock_acquire(&m->lock);
    struct device *bus = apic_bus_new(m, &e), *pic = pic_new(m, apic_bus_lint(bus, 0), &e);
    struct device *ioapic = ioapic_new(m, &e);
    apic_bus_connect(bus, pic, ioapic);
    struct device *hpet = hpet_new(m, &e);
    pit_new(m, hpet_legacy_in(hpet, 0), &e);
    rtc_new(m, hpet_legacy_in(hpet, 1), &e);
    pm_map(acpi_pm_new(m, m->gsi[9], &e), 0x600, true);
    i8042_new(m, m->gsi[1], m->gsi[12], (struct irq_line){ 0 }, &e);
    port92_new(m, (struct irq_line){ 0 }, &e);
    reset_ctl_new(m, &e);
    uart_new(m, 0, fake_chr_new("serial"), &e);
    fake_chr_new("con");
    g_assert_nonnull(device_create(m, "isa-debugcon", NULL, "chardev=con", &e));
    g_assert_nonnull(device_create(m, "isa-debug-exit", NULL, NULL, &e));
    g_assert_nonnull(device_create(m, "pc-testdev", NULL, NULL, &e));
    lock_release(&m->lock);
}

static GByteArray *save(struct fake_machine *f, struct device *d)
{
    GByteArray *out = g_byte_array_new();
    lock_acquire(&f->m.lock);
    device_save(d, out);
    lock_release(&f->m.lock);
    return out;
}

static void load(struct fake_machine *f, struct device *d, const GByteArray *data)
{
    struct err e = { "" };
    lock_acquire(&f->m.lock);
    i64 used = device_load(d, data->data, data->len, &e);
    lock_release(&f->m.lock);
    g_assert_cmpstr(e.msg, ==, "");
    g_assert_cmpint(used, ==, data->len);
}

/* Random accesses to every register that the chips have, with time going by. */
static void abuse(struct fake_machine *f, unsigned n)
{
    static const struct { u16 base, size; } ports[] = {
        { 0x20, 2 }, { 0xa0, 2 }, { 0x4d0, 2 }, { 0x40, 4 }, { 0x60, 5 }, { 0x70, 4 }, { 0x92, 1 }, { 0xb2, 2 },
        { 0xcf9, 1 }, { 0x3f8, 8 }, { 0x600, 64 }, { 0xe0, 8 }, { 0xe9, 1 }, { 0x2000, 24 }, { 0x501, 2 },
    };
    static const u32 pages[] = { 0xfec00000, 0xfed00000, 0xff000000, 0xfee00000 };
    while (n--) {
        unsigned size = 1u << g_test_rand_int_range(0, 3), kind = g_test_rand_int_range(0, 20);
        u64 val = (u64)g_test_rand_int() << 32 | (u32)g_test_rand_int();
        u32 off = g_test_rand_int_range(0, 0x400), i = g_test_rand_int_range(0, ARRAY_LEN(ports));
        u16 port = ports[i].base + off % ports[i].size;
        void *lapic = f->m.lapic[off & 1];
        if (kind < 8)
            fm_out(f, port, val, size);
        else if (kind < 12)
            fm_in(f, port, size);
        else if (kind < 14)
            fm_write(f, pages[off & 3] + (off & ~7u), val, 4);
        else if (kind < 15)
            fm_read(f, pages[off & 3] + off, size);
        else if (kind < 16)
            f->m.lapic_ops->mmio_write(lapic, (off & 0x3f) << 4, val, 4);
        else if (kind < 17)
            f->m.lapic_ops->mmio_read(lapic, off, size);
        else if (kind < 18)
            f->m.lapic_ops->x2_write(lapic, 0x800 + (off & 0x3f), val & 0xffff);
        else if (kind < 19)
            f->m.lapic_ops->ack(lapic);
        else
            fm_step(f, g_test_rand_int_range(1, 3000000));
    }
}

static void test_round_trip(void)
{
    struct fake_machine *f = fake_machine_new(2);
    make_pc(f);
    for (unsigned round = 0; round < 20; round++) {
        abuse(f, 3000);
        for (struct device *d = f->m.devices; d; d = d->next) {
            GByteArray *before = save(f, d);
            load(f, d, before);
            GByteArray *after = save(f, d);
            g_assert_cmpmem(after->data, after->len, before->data, before->len);
            g_byte_array_unref(before);
            g_byte_array_unref(after);
        }
    }
    fm_reset(f);
    fake_machine_free(f);
    chr_free_all();
}

/* State goes over into a fresh machine, which then behaves alike. */
static void test_transplant(void)
{
    struct fake_machine *a = fake_machine_new(2);
    make_pc(a);
    abuse(a, 5000);
    GPtrArray *states = g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref);
    for (struct device *d = a->m.devices; d; d = d->next)
        g_ptr_array_add(states, save(a, d));
    i64 now = clock_ns(a->m.clock);
    fake_machine_free(a);
    chr_free_all();
    struct fake_machine *b = fake_machine_new(2);
    make_pc(b);
    clock_set_ns(b->m.clock, now);
    unsigned i = 0;
    for (struct device *d = b->m.devices; d; d = d->next)
        load(b, d, g_ptr_array_index(states, i++));
    i = 0;
    for (struct device *d = b->m.devices; d; d = d->next, i++) {
        GByteArray *got = save(b, d), *want = g_ptr_array_index(states, i);
        g_assert_cmpmem(got->data, got->len, want->data, want->len);
        g_byte_array_unref(got);
    }
    fm_step(b, NS_PER_SEC);
    g_ptr_array_unref(states);
    fake_machine_free(b);
    chr_free_all();
}

static void same_after_load(struct machine *m, struct device *d)
{
    struct err e = { "" };
    GByteArray *before = g_byte_array_new(), *after = g_byte_array_new();
    lock_acquire(&m->lock);
    device_save(d, before);
    g_assert_cmpint(device_load(d, before->data, before->len, &e), ==, before->len);
    device_save(d, after);
    lock_release(&m->lock);
    g_assert_cmpmem(after->data, after->len, before->data, before->len);
    g_byte_array_unref(before);
    g_byte_array_unref(after);
}

/* Every class of the program: those of a PC, and each that -device can make there without more ado. */
static void test_every_class(void)
{
    const struct machine_config cfg = { .type = "pc", .cpus = 2 };
    const struct dev_class *c;
    struct err e;
    struct test_pc *p = test_pc_new(&cfg, &e);
    g_assert_nonnull(p);
    for (unsigned i = 0; (c = dev_class_nth(i)); i++) {
        if (!c->user_creatable)
            continue;
        e.msg[0] = 0;
        lock_acquire(&p->m.lock);
        struct device *d = device_create(&p->m, c->name, NULL, NULL, &e);
        lock_release(&p->m.lock);
        g_assert_true(d || e.msg[0]);
        if (!d)
            g_test_message("%s", e.msg);
    }
    for (unsigned i = 0; (c = dev_class_nth(i)); i++) {
        unsigned n = 0;
        for (struct device *d = p->m.devices; d; d = d->next) {
            if (d->cls == c) {
                same_after_load(&p->m, d);
                n++;
            }
        }
        if (!n)
            g_test_message("%s: none here", c->name);
    }
    test_pc_reset(p);
    for (struct device *d = p->m.devices; d; d = d->next)
        same_after_load(&p->m, d);
    test_pc_free(p);
}

static void test_load_errors(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct device *a = fake_device(f, "isa-debug-exit", NULL), *b = fake_device(f, "pc-testdev", NULL);
    GByteArray *data = save(f, b);
    struct err e;
    g_assert_cmpint(device_load(a, data->data, data->len, &e), ==, -1);
    g_assert_true(g_pattern_match_simple("*not that of device isa-debug-exit*", e.msg));
    g_assert_cmpint(device_load(b, data->data, data->len - 1, &e), ==, -1);
    g_assert_true(g_pattern_match_simple("*damaged*", e.msg));
    data->data[1 + strlen("pc-testdev")]++;
    g_assert_cmpint(device_load(b, data->data, data->len, &e), ==, -1);
    g_assert_true(g_pattern_match_simple("*version 2, expected 1*", e.msg));
    g_byte_array_unref(data);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/props", test_props);
    g_test_add_func("/device/globals", test_globals);
    g_test_add_func("/device/class-table", test_class_table);
    g_test_add_func("/device/round-trip", test_round_trip);
    g_test_add_func("/device/transplant", test_transplant);
    g_test_add_func("/device/every-class", test_every_class);
    g_test_add_func("/device/load-errors", test_load_errors);
    return g_test_run();
}
