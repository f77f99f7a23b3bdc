/* Tests hw/intc/lapic.c and lapic_timer.c: registers, priorities, acknowledge and EOI, LINT pins, timer modes, errors, the
 * IA32_APIC_BASE state machine and x2APIC. */
#include "hw/intc/lapic.h"
#include <glib.h>
#include "hw/intc/ioapic.h"
#include "hw/intc/pic.h"
#include "tests/lib/fake_machine.h"

static struct fake_machine *f;
static struct device *bus, *pic, *ioapic;
static const struct lapic_ops *ops;
static void *l0;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(2);
    lock_acquire(&f->m.lock);
    bus = apic_bus_new(&f->m, &e);
    pic = pic_new(&f->m, apic_bus_lint(bus, 0), &e);
    ioapic = ioapic_new(&f->m, &e);
    apic_bus_connect(bus, pic, ioapic);
    lock_release(&f->m.lock);
    ops = f->m.lapic_ops;
    l0 = f->m.lapic[0];
}

static void teardown(void)
{
    fake_machine_free(f);
}

static u32 rd(u32 off) { return ops->mmio_read(l0, off, 4); }
static void wr(u32 off, u32 val) { ops->mmio_write(l0, off, val, 4); }
static void enable(void) { wr(0xf0, 0x1ff); }
static void self_ipi(u8 vector) { wr(0x300, 0x40000 | vector); }

static void set_line(struct irq_line l, int level)
{
    lock_acquire(&f->m.lock);
    irq_set(&l, level);
    lock_release(&f->m.lock);
}

static void test_reset_values(void)
{
    setup();
    g_assert_cmphex(ops->get_base(l0), ==, 0xfee00900);
    g_assert_cmphex(ops->get_base(f->m.lapic[1]), ==, 0xfee00800);
    g_assert_cmphex(rd(0x20), ==, 0);
    g_assert_cmphex(ops->mmio_read(f->m.lapic[1], 0x20, 4), ==, 0x01000000);
    g_assert_cmphex(ops->mmio_read(f->m.lapic[1], 0x23, 1), ==, 0x01);
    g_assert_cmphex(rd(0x30), ==, 0x01050014);
    g_assert_cmphex(rd(0xe0), ==, 0xffffffff);
    g_assert_cmphex(rd(0xf0), ==, 0xff);
    g_assert_cmphex(rd(0x350), ==, 0x700); /* virtual wire on the boot CPU */
    g_assert_cmphex(ops->mmio_read(f->m.lapic[1], 0x350, 4), ==, 0x10000);
    wr(0x320, 0x000000ef);
    g_assert_cmphex(rd(0x320), ==, 0x100ef); /* masked while software-disabled */
    enable();
    wr(0x320, 0xffffffff);
    g_assert_cmphex(rd(0x320), ==, 0x700ff);
    wr(0x350, 0xffffffff);
    g_assert_cmphex(rd(0x350), ==, 0x1a7ff);
    wr(0xf0, 0xff);
    g_assert_cmphex(rd(0x360) & 0x10000, ==, 0x10000);
    wr(0xd0, 0x12345678);
    g_assert_cmphex(rd(0xd0), ==, 0x12000000);
    wr(0xe0, 0);
    g_assert_cmphex(rd(0xe0), ==, 0x0fffffff);
    teardown();
}

/* The xAPIC ID is what software writes, until x2APIC mode brings back the first one. */
static void test_id(void)
{
    setup();
    enable();
    wr(0x20, 0x55000000);
    g_assert_cmphex(rd(0x20), ==, 0x55000000);
    wr(0x310, 0x55000000);
    wr(0x300, 0x4040);
    g_assert_cmpint(ops->ack(l0), ==, 0x40);
    wr(0xb0, 0);
    g_assert_cmpint(ops->pv_ipi(l0, 0, 0x41), ==, 0);
    g_assert_cmpint(ops->pv_ipi(l0, 0x55, 0x41), ==, 1);
    g_assert_cmpint(ops->pv_ipi(l0, 0x55, 0x500), ==, -1); /* INIT */
    g_assert_cmpint(ops->ack(l0), ==, 0x41);
    g_assert_cmpint(ops->set_base(l0, ops->get_base(l0) | 0x400), ==, 0);
    u64 id;
    g_assert_cmpint(ops->x2_read(l0, 0x802, &id), ==, 0);
    g_assert_cmphex(id, ==, 0);
    teardown();
}

static void test_priority(void)
{
    setup();
    self_ipi(0x31);
    g_assert_false(*ops->intr_ready(l0)); /* software-disabled */
    enable();
    self_ipi(0x31);
    g_assert_true(*ops->intr_ready(l0));
    g_assert_cmpuint(f->kicks[0], ==, 1);
    g_assert_cmphex(rd(0x210), ==, 0x00020000); /* IRR */
    self_ipi(0x52);
    g_assert_cmphex(ops->ack(l0), ==, 0x52);
    g_assert_cmphex(rd(0xa0), ==, 0x50); /* PPR */
    g_assert_false(*ops->intr_ready(l0));
    g_assert_cmpint(ops->ack(l0), ==, -1);
    self_ipi(0x5f); /* same class */
    g_assert_false(*ops->intr_ready(l0));
    self_ipi(0x61);
    g_assert_cmphex(ops->ack(l0), ==, 0x61);
    wr(0xb0, 0);
    wr(0xb0, 0);
    g_assert_cmphex(ops->ack(l0), ==, 0x5f);
    wr(0xb0, 0);
    ops->set_tpr(l0, 0x35);
    g_assert_cmphex(ops->get_tpr(l0), ==, 0x35);
    g_assert_cmphex(rd(0x80), ==, 0x35);
    g_assert_cmphex(rd(0xa0), ==, 0x35);
    g_assert_false(*ops->intr_ready(l0));
    unsigned kicks = f->kicks[0];
    ops->set_tpr(l0, 0x20);
    g_assert_true(*ops->intr_ready(l0));
    g_assert_cmpuint(f->kicks[0], ==, kicks + 1);
    g_assert_cmphex(ops->ack(l0), ==, 0x31);
    wr(0xb0, 0);
    wr(0xb0, 0); /* an EOI too many */
    g_assert_cmphex(rd(0xa0), ==, 0x20);
    teardown();
}

static void test_level_eoi(void)
{
    setup();
    enable();
    fm_write(f, IOAPIC_BASE, 0x10 + 2 * 11, 4);
    fm_write(f, IOAPIC_BASE + 0x10, 0x8047, 4); /* pin 11: level, physical, CPU 0 */
    set_line(ioapic_line(ioapic, 11), 1);
    g_assert_cmphex(ops->ack(l0), ==, 0x47);
    g_assert_cmphex(rd(0x1a0), ==, 0x80); /* TMR */
    wr(0xb0, 0);
    g_assert_cmphex(ops->ack(l0), ==, 0x47); /* the line is still up */
    wr(0xf0, 0x11ff);                        /* no broadcasts */
    set_line(ioapic_line(ioapic, 11), 0);
    wr(0xb0, 0);
    g_assert_cmphex(fm_read(f, IOAPIC_BASE + 0x10, 4) & 0x4000, ==, 0x4000);
    fm_write(f, IOAPIC_BASE + 0x40, 0x47, 4);
    g_assert_cmphex(fm_read(f, IOAPIC_BASE + 0x10, 4) & 0x4000, ==, 0);
    teardown();
}

static void test_extint(void)
{
    setup();
    fm_out(f, 0x20, 0x11, 1);
    fm_out(f, 0x21, 0x08, 1);
    fm_out(f, 0x21, 0x04, 1);
    fm_out(f, 0x21, 0x01, 1);
    g_assert_false(*ops->intr_ready(l0));
    set_line(pic_line(pic, 1), 1);
    g_assert_true(*ops->intr_ready(l0));
    g_assert_false(*ops->intr_ready(f->m.lapic[1]));
    ops->set_tpr(l0, 0xff); /* ExtINT knows no priority */
    g_assert_true(*ops->intr_ready(l0));
    g_assert_cmphex(ops->ack(l0), ==, 0x09);
    g_assert_false(*ops->intr_ready(l0));
    fm_out(f, 0x20, 0x20, 1);
    set_line(pic_line(pic, 3), 1);
    wr(0x350, 0x10700);
    g_assert_false(*ops->intr_ready(l0));
    g_assert_cmpint(ops->set_base(l0, 0xfee00100), ==, 0); /* hardware-disabled: LINT0 is INTR */
    g_assert_true(*ops->intr_ready(l0));
    g_assert_cmphex(ops->ack(l0), ==, 0x0b);
    teardown();
}

static void test_lint(void)
{
    setup();
    enable();
    wr(0x360, 0x400); /* LINT1: NMI */
    set_line(apic_bus_lint(bus, 1), 1);
    set_line(apic_bus_lint(bus, 1), 1);
    g_assert_cmpuint(f->nmis[0], ==, 1);
    g_assert_cmpuint(f->nmis[1], ==, 0); /* masked there */
    set_line(apic_bus_lint(bus, 1), 0);
    set_line(apic_bus_lint(bus, 1), 1);
    g_assert_cmpuint(f->nmis[0], ==, 2);
    wr(0x350, 0x8044); /* LINT0: fixed, level */
    set_line(apic_bus_lint(bus, 0), 1);
    g_assert_cmphex(rd(0x350), ==, 0xc044);
    g_assert_cmphex(ops->ack(l0), ==, 0x44);
    wr(0xb0, 0);
    g_assert_cmphex(ops->ack(l0), ==, 0x44);
    set_line(apic_bus_lint(bus, 0), 0);
    wr(0xb0, 0);
    g_assert_false(*ops->intr_ready(l0));
    g_assert_cmphex(rd(0x350), ==, 0x8044);
    wr(0x350, 0x45); /* fixed, edge */
    set_line(apic_bus_lint(bus, 0), 1);
    g_assert_cmphex(ops->ack(l0), ==, 0x45);
    wr(0xb0, 0);
    g_assert_false(*ops->intr_ready(l0));
    teardown();
}

/* Time passes, and the host timer does not come. */
static void host_late(i64 ns) { clock_set_ns(f->m.clock, clock_ns(f->m.clock) + ns); }

static void test_timer_oneshot(void)
{
    setup();
    enable();
    wr(0x3e0, 0x0b); /* divide by 1 */
    wr(0x320, 0x50);
    wr(0x380, 1000);
    fm_step(f, 400);
    g_assert_cmpuint(rd(0x390), ==, 600);
    fm_step(f, 599);
    g_assert_false(*ops->intr_ready(l0));
    fm_step(f, 1);
    g_assert_cmphex(ops->ack(l0), ==, 0x50);
    wr(0xb0, 0);
    g_assert_cmpuint(rd(0x390), ==, 0);
    fm_step(f, 5000);
    g_assert_false(*ops->intr_ready(l0));
    wr(0x3e0, 0x03); /* divide by 16 */
    wr(0x380, 1000);
    fm_step(f, 8000);
    g_assert_cmpuint(rd(0x390), ==, 500);
    wr(0x3e0, 0x00); /* by 2: the count goes on from where it is */
    g_assert_cmpuint(rd(0x390), ==, 500);
    fm_step(f, 999);
    g_assert_false(*ops->intr_ready(l0));
    fm_step(f, 1);
    g_assert_true(*ops->intr_ready(l0));
    wr(0x380, 1000);
    wr(0x380, 0); /* stops */
    g_assert_cmpuint(rd(0x390), ==, 0);
    teardown();
}

static void test_timer_periodic(void)
{
    setup();
    enable();
    wr(0x3e0, 0x0b);
    wr(0x320, 0x20051);
    wr(0x380, 1000000);
    for (unsigned i = 0; i < 5; i++) {
        fm_step(f, 999999);
        g_assert_false(*ops->intr_ready(l0));
        fm_step(f, 1);
        g_assert_cmphex(ops->ack(l0), ==, 0x51);
        wr(0xb0, 0);
    }
    wr(0x320, 0x30051); /* masked: counts on */
    fm_step(f, 2250000);
    g_assert_false(*ops->intr_ready(l0));
    g_assert_cmpuint(rd(0x390), ==, 750000);
    wr(0x320, 0x20051);
    fm_step(f, 750000);
    g_assert_true(*ops->intr_ready(l0));
    wr(0x380, 1); /* absurdly short: no hang */
    fm_step(f, 1000000);
    teardown();
}

static void test_timer_change_mode(void)
{
    setup();
    enable();
    wr(0x3e0, 0x0b);
    wr(0x320, 0x50);
    wr(0x380, 100000);
    fm_step(f, 30000);
    wr(0x320, 0x20050); /* to periodic on the way: counts on */
    g_assert_cmpuint(rd(0x390), ==, 70000);
    g_assert_cmpuint(rd(0x380), ==, 100000);
    fm_step(f, 70000);
    g_assert_cmphex(ops->ack(l0), ==, 0x50);
    wr(0xb0, 0);
    fm_step(f, 250000);
    g_assert_cmphex(ops->ack(l0), ==, 0x50);
    wr(0xb0, 0);
    wr(0x320, 0x50); /* back: the period under way is the last */
    g_assert_cmpuint(rd(0x390), ==, 50000);
    fm_step(f, 49999);
    g_assert_false(*ops->intr_ready(l0));
    fm_step(f, 1);
    g_assert_cmphex(ops->ack(l0), ==, 0x50);
    wr(0xb0, 0);
    wr(0x320, 0x20050); /* a spent one-shot does not come to life again */
    g_assert_cmpuint(rd(0x390), ==, 0);
    fm_step(f, 1000000);
    g_assert_cmpuint(rd(0x390), ==, 0);
    g_assert_false(*ops->intr_ready(l0));
    wr(0x320, 0x50);
    wr(0x380, 100);
    host_late(200);
    wr(0x320, 0x60);
    g_assert_cmphex(ops->ack(l0), ==, 0x50); /* the old entry was in force */
    wr(0xb0, 0);
    fm_step(f, 1000);
    g_assert_false(*ops->intr_ready(l0));
    teardown();
}

/* Who reads that the time is over has the interrupt pending. */
static void test_timer_late(void)
{
    setup();
    enable();
    wr(0x3e0, 0x0b);
    wr(0x320, 0x50);
    wr(0x380, 100000);
    host_late(99999);
    g_assert_cmpuint(rd(0x390), ==, 1);
    g_assert_false(*ops->intr_ready(l0));
    host_late(1);
    g_assert_cmpuint(rd(0x390), ==, 0);
    g_assert_cmphex(ops->ack(l0), ==, 0x50);
    wr(0xb0, 0);
    fm_step(f, 100000);
    g_assert_false(*ops->intr_ready(l0)); /* not once more */
    wr(0x320, 0x20051);
    wr(0x380, 100000);
    host_late(250000);
    g_assert_false(*ops->intr_ready(l0));
    g_assert_cmpuint(rd(0x390), ==, 50000);
    g_assert_cmphex(ops->ack(l0), ==, 0x51);
    wr(0xb0, 0);
    fm_step(f, 49999);
    g_assert_false(*ops->intr_ready(l0));
    fm_step(f, 1);
    g_assert_cmphex(ops->ack(l0), ==, 0x51);
    wr(0xb0, 0);
    wr(0x320, 0x40052);
    ops->set_tsc_deadline(l0, clock_ns(f->m.clock) + f->tsc_offset + 1000);
    host_late(1000);
    g_assert_cmpuint(ops->get_tsc_deadline(l0), ==, 0);
    g_assert_cmphex(ops->ack(l0), ==, 0x52);
    teardown();
}

static void test_timer_deadline(void)
{
    setup();
    enable();
    f->tsc_offset = 5000;
    ops->set_tsc_deadline(l0, 9000);
    g_assert_cmpuint(ops->get_tsc_deadline(l0), ==, 0); /* not in deadline mode: ignored */
    wr(0x320, 0x40052);
    wr(0x380, 100);
    g_assert_cmpuint(rd(0x380), ==, 0);
    ops->set_tsc_deadline(l0, 9000);
    g_assert_cmpuint(ops->get_tsc_deadline(l0), ==, 9000);
    fm_step(f, 3999);
    g_assert_false(*ops->intr_ready(l0));
    fm_step(f, 1);
    g_assert_cmphex(ops->ack(l0), ==, 0x52);
    g_assert_cmpuint(ops->get_tsc_deadline(l0), ==, 0);
    wr(0xb0, 0);
    ops->set_tsc_deadline(l0, 1); /* past: at once */
    g_assert_cmphex(ops->ack(l0), ==, 0x52);
    wr(0xb0, 0);
    ops->set_tsc_deadline(l0, ~0ull);
    ops->set_tsc_deadline(l0, 1ull << 62);
    ops->set_tsc_deadline(l0, 100000);
    ops->set_tsc_deadline(l0, 0); /* disarms */
    fm_step(f, 200000);
    g_assert_false(*ops->intr_ready(l0));
    ops->set_tsc_deadline(l0, 400000);
    wr(0x320, 0x52); /* leaving the mode disarms */
    fm_step(f, 400000);
    g_assert_false(*ops->intr_ready(l0));
    teardown();
}

static void test_errors(void)
{
    setup();
    enable();
    wr(0x370, 0xfe);
    self_ipi(0x0f);
    g_assert_cmphex(rd(0x280), ==, 0); /* not before a write */
    wr(0x280, 0);
    g_assert_cmphex(rd(0x280), ==, 0x20);
    g_assert_cmphex(ops->ack(l0), ==, 0xfe);
    wr(0xb0, 0);
    rd(0x010);
    wr(0x280, 0);
    g_assert_cmphex(rd(0x280), ==, 0x80);
    wr(0x280, 0);
    g_assert_cmphex(rd(0x280), ==, 0);
    wr(0x370, 0x05); /* an illegal vector for the error interrupt itself */
    self_ipi(0x00);
    wr(0x320, 0x03);
    wr(0x3e0, 0x0b);
    wr(0x380, 10);
    fm_step(f, 10);
    wr(0x280, 0);
    g_assert_cmphex(rd(0x280), ==, 0x60);
    teardown();
}

static void test_base(void)
{
    setup();
    g_assert_cmpint(ops->set_base(l0, 0xfee00d00), ==, 0);  /* xAPIC to x2APIC */
    g_assert_cmpint(ops->set_base(l0, 0xfee00900), ==, -1); /* and back: no */
    g_assert_cmpint(ops->set_base(l0, 0xfee00500), ==, -1); /* invalid */
    g_assert_cmpint(ops->set_base(l0, 0xfee00100), ==, 0);  /* off */
    g_assert_cmpint(ops->set_base(l0, 0xfee00d00), ==, -1); /* off to x2APIC: no */
    g_assert_cmpint(ops->set_base(l0, 0xfee00901), ==, -1); /* reserved bit */
    g_assert_cmpint(ops->set_base(l0, (1ull << 52) | 0xfee00900), ==, -1);
    g_assert_cmphex(ops->get_base(l0), ==, 0xfee00100);
    g_assert_cmpint(ops->set_base(l0, 0xfed00900), ==, 0);
    g_assert_cmphex(ops->get_base(l0), ==, 0xfed00900);
    ops->reset(l0, true);
    g_assert_cmphex(ops->get_base(l0), ==, 0xfed00900);
    ops->reset(l0, false);
    g_assert_cmphex(ops->get_base(l0), ==, 0xfee00900);
    enable();
    self_ipi(0x40);
    ops->reset(l0, true);
    g_assert_false(*ops->intr_ready(l0));
    g_assert_cmphex(rd(0xf0), ==, 0xff);
    teardown();
}

static void test_x2apic(void)
{
    u64 v;
    void *l1;
    setup();
    l1 = f->m.lapic[1];
    g_assert_cmpint(ops->x2_read(l1, 0x802, &v), ==, -1); /* not in x2APIC mode */
    g_assert_cmpint(ops->set_base(l1, 0xfee00c00), ==, 0);
    g_assert_cmpint(ops->x2_read(l1, 0x802, &v), ==, 0);
    g_assert_cmphex(v, ==, 1);
    g_assert_cmpint(ops->x2_read(l1, 0x80d, &v), ==, 0);
    g_assert_cmphex(v, ==, 2);
    g_assert_cmpint(ops->x2_write(l1, 0x80f, 0x1ff), ==, 0);
    g_assert_cmpint(ops->x2_write(l1, 0x80f, 0x21ff), ==, -1);
    g_assert_cmpint(ops->x2_write(l1, 0x83f, 0x77), ==, 0); /* self IPI */
    g_assert_cmpint(ops->x2_write(l1, 0x83f, 0x177), ==, -1);
    g_assert_cmphex(ops->ack(l1), ==, 0x77);
    g_assert_cmpint(ops->x2_write(l1, 0x80b, 1), ==, -1);
    g_assert_cmpint(ops->x2_write(l1, 0x80b, 0), ==, 0);
    g_assert_cmpint(ops->x2_write(l1, 0x828, 1), ==, -1);
    g_assert_cmpint(ops->x2_write(l1, 0x808, 0x100), ==, -1);
    static const u16 no_read[] = { 0x80b, 0x80e, 0x83f, 0x800, 0x831, 0x8ff };
    for (unsigned i = 0; i < ARRAY_LEN(no_read); i++)
        g_assert_cmpint(ops->x2_read(l1, no_read[i], &v), ==, -1);
    static const u16 no_write[] = { 0x802, 0x803, 0x80a, 0x80d, 0x810, 0x820, 0x839, 0x831 };
    for (unsigned i = 0; i < ARRAY_LEN(no_write); i++)
        g_assert_cmpint(ops->x2_write(l1, no_write[i], 0), ==, -1);
    g_assert_cmpint(ops->x2_write(l1, 0x830, 0x0000000100004055), ==, 0); /* to ID 1 */
    g_assert_cmphex(ops->ack(l1), ==, 0x55);
    g_assert_cmpint(ops->x2_read(l1, 0x830, &v), ==, 0);
    g_assert_cmphex(v, ==, 0x0000000100004055);
    g_assert_cmpint(ops->x2_write(l1, 0x830, 0x1055), ==, -1);
    teardown();
}

struct race {
    pthread_barrier_t b;
    unsigned rounds;
};

static void *sender(void *arg)
{
    struct race *r = arg;
    for (unsigned i = 0; i < r->rounds; i++) {
        pthread_barrier_wait(&r->b);
        lock_acquire(&f->m.lock);
        msi_send(&f->m.msi, &(struct msi){ .addr = 0xfee00000, .data = 0x61 });
        lock_release(&f->m.lock);
        pthread_barrier_wait(&r->b);
    }
    return NULL;
}

/* TPR is lowered without the lock while another thread sends: one of the two must notice that the interrupt is due. */
static void test_tpr_race(void)
{
    struct race r = { .rounds = 5000 };
    pthread_t t;
    setup();
    enable();
    pthread_barrier_init(&r.b, NULL, 2);
    g_assert_cmpint(thread_start(&t, "sender", sender, &r), ==, 0);
    for (unsigned i = 0; i < r.rounds; i++) {
        ops->set_tpr(l0, 0xf0);
        pthread_barrier_wait(&r.b);
        ops->set_tpr(l0, 0);
        pthread_barrier_wait(&r.b);
        g_assert_true(*ops->intr_ready(l0));
        g_assert_cmphex(ops->ack(l0), ==, 0x61);
        wr(0xb0, 0);
    }
    pthread_join(t, NULL);
    pthread_barrier_destroy(&r.b);
    teardown();
}

/* --- EOI in memory, KVM's way --- */
static bool isr_has(u8 vector) { return rd(0x100 + 0x10 * (vector >> 5)) >> (vector & 31) & 1; }

/* The guest's way to end an interrupt: clear the bit if it is set, else write the register. */
static bool guest_eoi(u64 word)
{
    if (fm_read(f, word, 4) & 1) {
        fm_write(f, word, fm_read(f, word, 4) & ~1ull, 4);
        return true;
    }
    wr(0xb0, 0);
    return false;
}

static void test_pv_eoi(void)
{
    const u64 word = 0x3004;
    setup();
    enable();
    g_assert_cmpint(ops->set_pv_eoi(l0, word | 3), ==, -1);
    g_assert_cmpint(ops->set_pv_eoi(l0, 0xd0000001), ==, 0); /* not RAM: stays off */
    g_assert_cmphex(ops->get_pv_eoi(l0), ==, 0);
    g_assert_cmpint(ops->set_pv_eoi(l0, word | 1), ==, 0);
    g_assert_cmphex(ops->get_pv_eoi(l0), ==, word | 1);
    self_ipi(0x50);
    g_assert_cmpint(ops->ack(l0), ==, 0x50);
    g_assert_cmphex(fm_read(f, word, 4), ==, 1);
    g_assert_true(guest_eoi(word));
    self_ipi(0x50); /* the same again: its turn comes though the register was not written */
    g_assert_true(*ops->intr_ready(l0));
    g_assert_cmpint(ops->ack(l0), ==, 0x50);
    g_assert_cmphex(fm_read(f, word, 4), ==, 1);

    self_ipi(0x40); /* lower: perhaps deliverable, but the guest has not ended 0x50 */
    *ops->intr_ready(l0);
    g_assert_cmpint(ops->ack(l0), ==, -1);
    g_assert_false(*ops->intr_ready(l0));
    g_assert_cmphex(fm_read(f, word, 4), ==, 0); /* the offer is taken back */
    g_assert_false(guest_eoi(word));
    g_assert_true(*ops->intr_ready(l0));
    g_assert_cmpint(ops->ack(l0), ==, 0x40);
    g_assert_true(isr_has(0x40)); /* a look at the registers ends the offer, too */
    g_assert_false(guest_eoi(word));
    g_assert_false(isr_has(0x40));

    self_ipi(0x50);
    self_ipi(0x60);
    g_assert_cmpint(ops->ack(l0), ==, 0x60); /* another one waits: no offer */
    g_assert_cmphex(fm_read(f, word, 4), ==, 0);
    g_assert_false(guest_eoi(word));
    g_assert_cmpint(ops->ack(l0), ==, 0x50);
    g_assert_true(guest_eoi(word));
    lock_acquire(&f->m.lock);
    GByteArray *saved = g_byte_array_new();
    device_save(f->m.lapic[0], saved);
    lock_release(&f->m.lock);
    g_byte_array_unref(saved);
    g_assert_false(isr_has(0x50));
    ops->reset(l0, true);
    g_assert_cmphex(ops->get_pv_eoi(l0), ==, 0);
    teardown();
}

static void test_pmi(void)
{
    setup();
    enable();
    wr(0x340, 0x41);
    ops->pmi(l0, false);
    g_assert_cmpint(ops->ack(l0), ==, 0x41);
    g_assert_cmphex(rd(0x340), ==, 0x41);
    wr(0xb0, 0);
    ops->pmi(l0, true);
    g_assert_cmpint(ops->ack(l0), ==, 0x41);
    g_assert_cmphex(rd(0x340), ==, 0x10041);
    wr(0xb0, 0);
    ops->pmi(l0, true); /* masked */
    g_assert_false(*ops->intr_ready(l0));
    teardown();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lapic/reset-values", test_reset_values);
    g_test_add_func("/lapic/id", test_id);
    g_test_add_func("/lapic/priority", test_priority);
    g_test_add_func("/lapic/level-eoi", test_level_eoi);
    g_test_add_func("/lapic/extint", test_extint);
    g_test_add_func("/lapic/lint", test_lint);
    g_test_add_func("/lapic/timer/one-shot", test_timer_oneshot);
    g_test_add_func("/lapic/timer/periodic", test_timer_periodic);
    g_test_add_func("/lapic/timer/change-mode", test_timer_change_mode);
    g_test_add_func("/lapic/timer/late", test_timer_late);
    g_test_add_func("/lapic/timer/deadline", test_timer_deadline);
    g_test_add_func("/lapic/tpr-race", test_tpr_race);
    g_test_add_func("/lapic/errors", test_errors);
    g_test_add_func("/lapic/base", test_base);
    g_test_add_func("/lapic/x2apic", test_x2apic);
    g_test_add_func("/lapic/pv-eoi", test_pv_eoi);
    g_test_add_func("/lapic/pmi", test_pmi);
    return g_test_run();
}
