/* Tests hw/intc/pic.c: initialisation, priorities, EOI forms, cascade, edge and level, spurious interrupts, poll. */
#include "hw/intc/pic.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"

static struct fake_machine *f;
static struct device *pic;

/* INT is recorded as GSI 23. */
static void setup(void)
{
    struct err e;
    f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    pic = pic_new(&f->m, fm_line(f, 23), &e);
    lock_release(&f->m.lock);
    fm_out(f, 0x20, 0x11, 1);
    fm_out(f, 0x21, 0x20, 1);
    fm_out(f, 0x21, 0x04, 1);
    fm_out(f, 0x21, 0x01, 1);
    fm_out(f, 0xa0, 0x11, 1);
    fm_out(f, 0xa1, 0x28, 1);
    fm_out(f, 0xa1, 0x02, 1);
    fm_out(f, 0xa1, 0x01, 1);
}

static void teardown(void)
{
    fake_machine_free(f);
}

static void line(unsigned irq, int level)
{
    struct irq_line l = pic_line(pic, irq);
    lock_acquire(&f->m.lock);
    irq_set(&l, level);
    lock_release(&f->m.lock);
}

static void pulse(unsigned irq)
{
    line(irq, 1);
    line(irq, 0);
}

static u8 inta(void)
{
    lock_acquire(&f->m.lock);
    u8 v = pic_inta(pic);
    lock_release(&f->m.lock);
    return v;
}

static u8 isr(u16 port)
{
    fm_out(f, port, 0x0b, 1);
    u8 v = fm_in(f, port, 1);
    fm_out(f, port, 0x0a, 1);
    return v;
}

static void test_priority(void)
{
    setup();
    pulse(4);
    g_assert_cmpint(f->level[23], ==, 1);
    pulse(1);
    g_assert_cmphex(fm_in(f, 0x20, 1), ==, 0x12);
    g_assert_cmphex(inta(), ==, 0x21);
    g_assert_cmpint(f->level[23], ==, 0); /* 4 is below what is in service */
    pulse(0);
    g_assert_cmphex(inta(), ==, 0x20); /* nested */
    g_assert_cmphex(isr(0x20), ==, 0x03);
    fm_out(f, 0x20, 0x20, 1);
    g_assert_cmphex(isr(0x20), ==, 0x02);
    fm_out(f, 0x20, 0x20, 1);
    g_assert_cmpint(f->level[23], ==, 1);
    g_assert_cmphex(inta(), ==, 0x24);
    fm_out(f, 0x20, 0x64, 1); /* specific EOI */
    g_assert_cmphex(isr(0x20), ==, 0);
    teardown();
}

static void test_mask(void)
{
    setup();
    fm_out(f, 0x21, 0x10, 1);
    g_assert_cmphex(fm_in(f, 0x21, 1), ==, 0x10);
    pulse(4);
    g_assert_cmpint(f->level[23], ==, 0);
    fm_out(f, 0x21, 0x00, 1);
    g_assert_cmpint(f->level[23], ==, 1); /* latched while masked */
    teardown();
}

static void test_cascade(void)
{
    setup();
    pulse(14);
    pulse(9);
    g_assert_cmphex(inta(), ==, 0x29);
    g_assert_cmphex(isr(0x20), ==, 0x04);
    g_assert_cmphex(isr(0xa0), ==, 0x02);
    g_assert_cmpint(f->level[23], ==, 0);
    fm_out(f, 0xa0, 0x20, 1);
    fm_out(f, 0x20, 0x20, 1);
    g_assert_cmphex(inta(), ==, 0x2e);
    pulse(8); /* higher on the slave, but the master's IR2 is in service */
    g_assert_cmpint(f->level[23], ==, 0);
    pulse(1); /* higher on the master */
    g_assert_cmphex(inta(), ==, 0x21);
    teardown();
}

static void test_special_fully_nested(void)
{
    setup();
    fm_out(f, 0x20, 0x11, 1);
    fm_out(f, 0x21, 0x20, 1);
    fm_out(f, 0x21, 0x04, 1);
    fm_out(f, 0x21, 0x11, 1);
    pulse(14);
    g_assert_cmphex(inta(), ==, 0x2e);
    pulse(8);
    g_assert_cmphex(inta(), ==, 0x28); /* the slave may interrupt itself */
    teardown();
}

static void test_level(void)
{
    setup();
    fm_out(f, 0x4d0, 0xff, 1);
    fm_out(f, 0x4d1, 0xff, 1);
    g_assert_cmphex(fm_in(f, 0x4d0, 1), ==, 0xf8);
    g_assert_cmphex(fm_in(f, 0x4d1, 1), ==, 0xde);
    line(5, 1);
    g_assert_cmphex(inta(), ==, 0x25);
    fm_out(f, 0x20, 0x20, 1);
    g_assert_cmphex(inta(), ==, 0x25); /* still up: again */
    line(5, 0);
    fm_out(f, 0x20, 0x20, 1);
    g_assert_cmpint(f->level[23], ==, 0);
    line(5, 1);
    line(5, 0); /* withdrawn before INTA */
    g_assert_cmphex(inta(), ==, 0x27);
    g_assert_cmphex(isr(0x20), ==, 0);
    teardown();
}

static void test_edge_needs_a_rise(void)
{
    setup();
    line(3, 1);
    g_assert_cmphex(inta(), ==, 0x23);
    fm_out(f, 0x20, 0x20, 1);
    g_assert_cmpint(f->level[23], ==, 0);
    line(3, 1);
    g_assert_cmpint(f->level[23], ==, 0);
    line(3, 0);
    line(3, 1);
    g_assert_cmpint(f->level[23], ==, 1);
    teardown();
}

static void test_auto_eoi_rotate(void)
{
    setup();
    fm_out(f, 0x20, 0x11, 1);
    fm_out(f, 0x21, 0x20, 1);
    fm_out(f, 0x21, 0x04, 1);
    fm_out(f, 0x21, 0x03, 1); /* AEOI */
    fm_out(f, 0x20, 0x80, 1); /* rotate in AEOI mode */
    pulse(1);
    g_assert_cmphex(inta(), ==, 0x21);
    g_assert_cmphex(isr(0x20), ==, 0);
    pulse(1);
    pulse(3);
    g_assert_cmphex(inta(), ==, 0x23); /* 1 is lowest now */
    g_assert_cmphex(inta(), ==, 0x21);
    teardown();
}

static void test_rotation_commands(void)
{
    setup();
    fm_out(f, 0x20, 0xc3, 1); /* set priority: 3 lowest, 4 highest */
    pulse(0);
    pulse(4);
    g_assert_cmphex(inta(), ==, 0x24);
    fm_out(f, 0x20, 0xa0, 1); /* rotate on non-specific EOI: 4 lowest, 5 highest */
    pulse(4);
    g_assert_cmphex(inta(), ==, 0x20);
    fm_out(f, 0x20, 0xe0, 1); /* rotate on specific EOI of 0 */
    g_assert_cmphex(isr(0x20), ==, 0);
    g_assert_cmphex(inta(), ==, 0x24);
    teardown();
}

static void test_special_mask(void)
{
    setup();
    pulse(1);
    g_assert_cmphex(inta(), ==, 0x21);
    pulse(6);
    g_assert_cmpint(f->level[23], ==, 0);
    fm_out(f, 0x21, 0x02, 1);
    fm_out(f, 0x20, 0x68, 1); /* special mask mode */
    g_assert_cmphex(inta(), ==, 0x26);
    fm_out(f, 0x20, 0x20, 1); /* must end 6 and not the masked 1 */
    g_assert_cmphex(isr(0x20), ==, 0x02);
    teardown();
}

static void test_poll(void)
{
    setup();
    fm_out(f, 0x20, 0x0c, 1);
    g_assert_cmphex(fm_in(f, 0x20, 1), ==, 0x00);
    pulse(5);
    fm_out(f, 0x20, 0x0c, 1);
    g_assert_cmphex(fm_in(f, 0x20, 1), ==, 0x85);
    g_assert_cmphex(isr(0x20), ==, 0x20);
    teardown();
}

static void test_spurious(void)
{
    setup();
    g_assert_cmphex(inta(), ==, 0x27);
    g_assert_cmphex(isr(0x20), ==, 0);
    teardown();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pic/priority", test_priority);
    g_test_add_func("/pic/mask", test_mask);
    g_test_add_func("/pic/cascade", test_cascade);
    g_test_add_func("/pic/special-fully-nested", test_special_fully_nested);
    g_test_add_func("/pic/level", test_level);
    g_test_add_func("/pic/edge", test_edge_needs_a_rise);
    g_test_add_func("/pic/auto-eoi-rotate", test_auto_eoi_rotate);
    g_test_add_func("/pic/rotation", test_rotation_commands);
    g_test_add_func("/pic/special-mask", test_special_mask);
    g_test_add_func("/pic/poll", test_poll);
    g_test_add_func("/pic/spurious", test_spurious);
    return g_test_run();
}
