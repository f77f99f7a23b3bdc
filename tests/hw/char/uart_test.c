/* Tests hw/char/uart.c: transmit, receive, FIFO triggers and timeouts, interrupt priorities, loopback, breaks, errors. */
#include "hw/char/uart.h"
#include <glib.h>
#include "tests/lib/fake_chr.h"
#include "tests/lib/fake_machine.h"

#define COM1 0x3f8

static struct fake_machine *f;
static struct chr *chr;

static void setup(void)
{
    struct err e;
    f = fake_machine_new(1);
    chr = fake_chr_new("serial0");
    lock_acquire(&f->m.lock);
    g_assert_nonnull(uart_new(&f->m, 0, chr, &e));
    lock_release(&f->m.lock);
}

static void teardown(void)
{
    fake_machine_free(f);
    chr_free_all();
}

static u8 rd(unsigned reg) { return fm_in(f, COM1 + reg, 1); }
static void wr(unsigned reg, u8 val) { fm_out(f, COM1 + reg, val, 1); }

static void test_transmit(void)
{
    setup();
    g_assert_cmphex(rd(5), ==, 0x60);
    wr(0, 'h');
    wr(0, 'i');
    g_assert_cmpstr(fake_chr_output(chr), ==, "hi");
    g_assert_cmphex(rd(2), ==, 0x01);
    wr(1, 0x02); /* enabling asks at once */
    g_assert_cmpint(f->level[4], ==, 1);
    g_assert_cmphex(rd(2), ==, 0x02);
    g_assert_cmpint(f->level[4], ==, 0); /* reading IIR answers it */
    wr(0, '!');
    g_assert_cmpint(f->level[4], ==, 1);
    wr(3, 0x80); /* divisor latch */
    wr(0, 0x34);
    wr(1, 0x12);
    g_assert_cmphex(rd(0), ==, 0x34);
    g_assert_cmphex(rd(1), ==, 0x12);
    wr(3, 0x03);
    g_assert_cmphex(rd(1), ==, 0x02);
    g_assert_cmpstr(fake_chr_output(chr), ==, "!");
    wr(7, 0xa5);
    g_assert_cmphex(rd(7), ==, 0xa5);
    teardown();
}

static void test_receive(void)
{
    setup();
    g_assert_cmpuint(fake_chr_input(chr, "ab"), ==, 1); /* no FIFO: one at a time */
    g_assert_cmphex(rd(5), ==, 0x61);
    wr(1, 0x01);
    g_assert_cmpint(f->level[4], ==, 1);
    g_assert_cmphex(rd(2), ==, 0x04);
    g_assert_cmphex(rd(0), ==, 'a');
    g_assert_cmpint(f->level[4], ==, 0);
    g_assert_cmphex(rd(5), ==, 0x60);
    teardown();
}

static void test_fifo(void)
{
    setup();
    wr(2, 0x81); /* FIFO, trigger at 8 */
    wr(1, 0x01);
    g_assert_cmphex(rd(2), ==, 0xc1);
    g_assert_cmpuint(fake_chr_input(chr, "1234567"), ==, 7);
    g_assert_cmpint(f->level[4], ==, 0);
    g_assert_cmpuint(fake_chr_input(chr, "8"), ==, 1);
    g_assert_cmphex(rd(2), ==, 0xc4);
    g_assert_cmpuint(fake_chr_input(chr, "9abcdefghij"), ==, 8);
    g_assert_cmpuint(fake_chr_input(chr, "x"), ==, 0); /* 16 are all */
    for (unsigned i = 0; i < 9; i++)
        rd(0);
    g_assert_cmpint(f->level[4], ==, 0);
    /* 9600 baud, 8N1 after the reset's 5N1: four characters of 7 bits are 2.9 ms */
    fm_step(f, 2900000);
    g_assert_cmpint(f->level[4], ==, 0);
    fm_step(f, 100000);
    g_assert_cmphex(rd(2), ==, 0xcc); /* timeout */
    g_assert_cmphex(rd(0), ==, 'a');
    g_assert_cmpint(f->level[4], ==, 0);
    fm_step(f, 3000000);
    g_assert_cmpint(f->level[4], ==, 1);
    wr(2, 0x83); /* clears */
    g_assert_cmphex(rd(5), ==, 0x60);
    g_assert_cmpint(f->level[4], ==, 0);
    fm_step(f, 3000000);
    g_assert_cmpint(f->level[4], ==, 0);
    teardown();
}

static void test_priorities(void)
{
    setup();
    wr(2, 0x01);
    wr(1, 0x0f);
    wr(4, 0x10); /* loopback with DTR, RTS, OUT1, OUT2 low: the inputs fall */
    fake_chr_break(chr); /* not while looped back */
    wr(4, 0x00);
    fake_chr_break(chr);
    g_assert_cmphex(rd(2), ==, 0xc6); /* line status */
    g_assert_cmphex(rd(5), ==, 0xf1); /* break, in the FIFO */
    g_assert_cmphex(rd(5), ==, 0x61); /* cleared by the read */
    g_assert_cmphex(rd(2), ==, 0xc4); /* data: the break's zero */
    g_assert_cmphex(rd(0), ==, 0);
    g_assert_cmphex(rd(2), ==, 0xc2); /* transmitter */
    g_assert_cmphex(rd(2), ==, 0xc0); /* modem status */
    g_assert_cmphex(rd(6), ==, 0xbb);
    g_assert_cmphex(rd(2), ==, 0xc1);
    g_assert_cmphex(rd(6), ==, 0xb0);
    teardown();
}

static void test_loopback(void)
{
    setup();
    wr(3, 0x03);
    wr(4, 0x1f);
    g_assert_cmphex(rd(6) & 0xf0, ==, 0xf0);
    wr(4, 0x10);
    g_assert_cmphex(rd(6), ==, 0x0f); /* all changed; RI by its trailing edge */
    wr(4, 0x12);
    g_assert_cmphex(rd(6), ==, 0x11); /* RTS is CTS */
    wr(0, 0xa7);
    g_assert_cmphex(rd(5), ==, 0x61);
    g_assert_cmpuint(fake_chr_input(chr, "x"), ==, 0);
    wr(0, 0xa8); /* overrun: a single buffer is overwritten */
    g_assert_cmphex(rd(5), ==, 0x63);
    g_assert_cmphex(rd(5), ==, 0x61);
    g_assert_cmphex(rd(0), ==, 0xa8);
    wr(3, 0x00); /* five bits */
    wr(0, 0xff);
    g_assert_cmphex(rd(0), ==, 0x1f);
    g_assert_cmpstr(fake_chr_output(chr), ==, "");
    wr(2, 0x01);
    for (unsigned i = 0; i < 20; i++)
        wr(0, i);
    g_assert_cmphex(rd(5) & 0x02, ==, 0x02);
    for (unsigned i = 0; i < 16; i++)
        g_assert_cmphex(rd(0), ==, i); /* the FIFO keeps what it had */
    g_assert_cmphex(rd(5), ==, 0x60);
    teardown();
}

static void test_places(void)
{
    struct err e;
    f = fake_machine_new(1);
    fake_device(f, "isa-serial", NULL);
    fake_device(f, "isa-serial", NULL);
    fake_device(f, "isa-serial", "iobase=0x1000,irq=10");
    fm_out(f, 0x2ff, 0x5a, 1);
    g_assert_cmphex(fm_in(f, 0x2ff, 1), ==, 0x5a);
    fm_out(f, 0x1001, 0x02, 1);
    g_assert_cmpint(f->level[10], ==, 1);
    fm_out(f, 0x1000, 'x', 1); /* nobody listens */
    lock_acquire(&f->m.lock);
    g_assert_null(device_create(&f->m, "isa-serial", NULL, "index=4", &e));
    g_assert_null(device_create(&f->m, "isa-serial", NULL, "iobase=0xffff", &e));
    lock_release(&f->m.lock);
    fake_machine_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/uart/transmit", test_transmit);
    g_test_add_func("/uart/receive", test_receive);
    g_test_add_func("/uart/fifo", test_fifo);
    g_test_add_func("/uart/priorities", test_priorities);
    g_test_add_func("/uart/loopback", test_loopback);
    g_test_add_func("/uart/places", test_places);
    return g_test_run();
}
