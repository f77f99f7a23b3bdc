/* Tests hw/intc/ioapic.c: registers, edge and level pins, remote IRR, EOI by broadcast and by register. */
#include "hw/intc/ioapic.h"
#include <glib.h>
#include "tests/lib/fake_machine.h"

static struct fake_machine *f;
static struct device *ioapic;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    ioapic = ioapic_new(&f->m, &e);
    lock_release(&f->m.lock);
}

static u32 reg(u8 n)
{
    fm_write(f, IOAPIC_BASE, n, 4);
    return fm_read(f, IOAPIC_BASE + 0x10, 4);
}

static void set_reg(u8 n, u32 val)
{
    fm_write(f, IOAPIC_BASE, n, 4);
    fm_write(f, IOAPIC_BASE + 0x10, val, 4);
}

static void line(unsigned pin, int level)
{
    struct irq_line l = ioapic_line(ioapic, pin);
    lock_acquire(&f->m.lock);
    irq_set(&l, level);
    lock_release(&f->m.lock);
}

static void eoi(u8 vector)
{
    lock_acquire(&f->m.lock);
    ioapic_eoi(ioapic, vector);
    lock_release(&f->m.lock);
}

static void test_registers(void)
{
    setup();
    g_assert_cmphex(reg(1), ==, 0x00170020);
    set_reg(0, 0xffffffff);
    g_assert_cmphex(reg(0), ==, 0x0f000000);
    set_reg(1, 0);
    g_assert_cmphex(reg(1), ==, 0x00170020);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        g_assert_cmphex(reg(0x10 + 2 * pin), ==, 0x00010000);
        g_assert_cmphex(reg(0x11 + 2 * pin), ==, 0);
    }
    set_reg(0x10, 0xffffffff);
    set_reg(0x11, 0xffffffff);
    g_assert_cmphex(reg(0x10), ==, 0x0001afff); /* status and remote IRR are read-only */
    g_assert_cmphex(reg(0x11), ==, 0xffff0000);
    g_assert_cmphex(reg(0x40), ==, 0);
    g_assert_cmphex(fm_read(f, IOAPIC_BASE, 1), ==, 0x40);
    fake_machine_free(f);
}

static void test_edge(void)
{
    setup();
    line(4, 1); /* masked: lost */
    line(4, 0);
    set_reg(0x19, 0x03000000);
    set_reg(0x18, 0x00000931); /* logical, lowest priority */
    g_assert_cmpuint(f->msis, ==, 0);
    line(4, 1);
    g_assert_cmpuint(f->msis, ==, 1);
    g_assert_cmphex(f->msi_addr, ==, 0xfee03004);
    g_assert_cmphex(f->msi_data, ==, 0x4131);
    line(4, 1);
    g_assert_cmpuint(f->msis, ==, 1);
    line(4, 0);
    line(4, 1);
    g_assert_cmpuint(f->msis, ==, 2);
    fake_machine_free(f);
}

static void test_level(void)
{
    setup();
    set_reg(0x24, 0x0000a042); /* pin 10: level, low active, fixed */
    line(10, 1);
    g_assert_cmphex(f->msi_data, ==, 0xc042);
    g_assert_cmphex(reg(0x24), ==, 0x0000e042);
    line(10, 0);
    line(10, 1);
    g_assert_cmpuint(f->msis, ==, 1); /* remote IRR is set */
    eoi(0x41);
    g_assert_cmpuint(f->msis, ==, 1);
    eoi(0x42);
    g_assert_cmpuint(f->msis, ==, 2); /* the line is still up */
    line(10, 0);
    fm_write(f, IOAPIC_BASE + 0x40, 0x42, 4);
    g_assert_cmphex(reg(0x24), ==, 0x0000a042);
    g_assert_cmpuint(f->msis, ==, 2);
    set_reg(0x24, 0x0001a042);
    line(10, 1);
    g_assert_cmpuint(f->msis, ==, 2);
    set_reg(0x24, 0x0000a042); /* a level is not lost while masked */
    g_assert_cmpuint(f->msis, ==, 3);
    set_reg(0x24, 0x00012042); /* through edge mode: remote IRR falls */
    set_reg(0x24, 0x0001a042);
    g_assert_cmphex(reg(0x24), ==, 0x0001a042);
    fake_machine_free(f);
}

static void test_nmi_is_an_edge(void)
{
    setup();
    set_reg(0x10, 0x00008400);
    line(0, 1);
    g_assert_cmphex(f->msi_data, ==, 0x4400);
    g_assert_cmphex(reg(0x10), ==, 0x00008400);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ioapic/registers", test_registers);
    g_test_add_func("/ioapic/edge", test_edge);
    g_test_add_func("/ioapic/level", test_level);
    g_test_add_func("/ioapic/nmi", test_nmi_is_an_edge);
    return g_test_run();
}
