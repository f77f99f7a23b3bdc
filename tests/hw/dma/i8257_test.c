/* The ISA DMA controllers: registers with their flip-flop, both directions, terminal count, auto-initialisation, masks, 16-bit channels. */
#include "hw/dma/i8257.h"
#include <glib.h>
#include "mmu/dma.h"
#include "tests/lib/fake_machine.h"

struct fixture {
    struct fake_machine *f;
    struct device *dma;
    unsigned calls;
};

static void setup(struct fixture *x)
{
    *x = (struct fixture){ .f = fake_machine_new(1) };
    x->dma = fake_device(x->f, "i8257", NULL);
}

static void program(struct fixture *x, unsigned ch, u32 addr, u16 count, u8 mode)
{
    static const u8 page[4] = { 0x87, 0x83, 0x81, 0x82 };
    fm_out(x->f, 0x0a, 4 | ch, 1);
    fm_out(x->f, 0x0c, 0, 1);
    fm_out(x->f, 2 * ch, addr, 1);
    fm_out(x->f, 2 * ch, addr >> 8, 1);
    fm_out(x->f, page[ch], addr >> 16, 1);
    fm_out(x->f, 2 * ch + 1, count - 1, 1);
    fm_out(x->f, 2 * ch + 1, (count - 1) >> 8, 1);
    fm_out(x->f, 0x0b, mode | ch, 1);
    fm_out(x->f, 0x0a, ch, 1);
}

static u32 move(struct fixture *x, unsigned ch, void *buf, u32 len, bool to_memory, bool *tc)
{
    lock_acquire(&x->f->m.lock);
    u32 n = i8257_move(x->dma, ch, buf, len, to_memory, tc);
    lock_release(&x->f->m.lock);
    return n;
}

static u16 get(struct fixture *x, u16 port)
{
    fm_out(x->f, 0x0c, 0, 1);
    u16 low = fm_in(x->f, port, 1);
    return low | fm_in(x->f, port, 1) << 8;
}

static void test_transfer(void)
{
    struct fixture x;
    u8 buf[1024], got[1024];
    bool tc;
    setup(&x);
    for (unsigned i = 0; i < sizeof(buf); i++)
        buf[i] = i * 3;
    g_assert_cmphex(fm_in(x.f, 0x0f, 1), ==, 0xff); /* all masked */
    g_assert_cmpuint(move(&x, 2, buf, 16, true, &tc), ==, 0);
    program(&x, 2, 0x123456, 1000, 0x44);
    g_assert_cmpuint(move(&x, 2, buf, 600, true, &tc), ==, 600);
    g_assert_false(tc);
    g_assert_cmphex(get(&x, 4), ==, 0x3456 + 600);
    g_assert_cmphex(get(&x, 5), ==, 399);
    g_assert_cmpuint(move(&x, 2, buf, 16, false, &tc), ==, 0); /* the other direction */
    g_assert_cmpuint(move(&x, 2, buf + 600, 424, true, &tc), ==, 400);
    g_assert_true(tc);
    g_assert_cmphex(fm_in(x.f, 0x08, 1), ==, 0x04);
    g_assert_cmphex(fm_in(x.f, 0x08, 1), ==, 0x00);
    g_assert_cmphex(fm_in(x.f, 0x0f, 1), ==, 0xff); /* masked again */
    dma_read(x.f->m.mem, 0x123456, got, 1000);
    g_assert_cmpmem(got, 1000, buf, 1000);
    program(&x, 1, 0x123456, 1000, 0x48);
    memset(got, 0, sizeof(got));
    g_assert_cmpuint(move(&x, 1, got, 1000, false, &tc), ==, 1000);
    g_assert_cmpmem(got, 1000, buf, 1000);
    program(&x, 3, 0x20ffff, 4, 0x44); /* the page does not count along */
    g_assert_cmpuint(move(&x, 3, buf, 4, true, &tc), ==, 4);
    g_assert_cmphex(fm_read(x.f, 0x20ffff, 1), ==, buf[0]);
    g_assert_cmphex(fm_read(x.f, 0x200000, 2), ==, buf[1] | buf[2] << 8);
    fake_machine_free(x.f);
}

static void test_modes(void)
{
    struct fixture x;
    u8 buf[64] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    bool tc;
    setup(&x);
    program(&x, 2, 0x1000, 4, 0x54); /* auto-initialisation */
    g_assert_cmpuint(move(&x, 2, buf, 4, true, &tc), ==, 4);
    g_assert_true(tc);
    g_assert_cmphex(get(&x, 4), ==, 0x1000);
    g_assert_cmphex(fm_in(x.f, 0x0f, 1), ==, 0xfb);
    program(&x, 2, 0x1007, 4, 0x64); /* downwards */
    g_assert_cmpuint(move(&x, 2, buf, 4, true, &tc), ==, 4);
    g_assert_cmphex(fm_read(x.f, 0x1004, 4), ==, 0x01020304);
    fm_write(x.f, 0x1000, 0, 4);
    program(&x, 2, 0x1000, 4, 0x40); /* verify */
    g_assert_cmpuint(move(&x, 2, buf, 4, true, &tc), ==, 4);
    g_assert_cmphex(fm_read(x.f, 0x1000, 4), ==, 0);
    /* channel 5 moves words */
    fm_out(x.f, 0xd8, 0, 1);
    fm_out(x.f, 0xc4, 0x00, 1);
    fm_out(x.f, 0xc4, 0x40, 1);
    fm_out(x.f, 0x8b, 0x11, 1); /* the low bit of the page is not used */
    fm_out(x.f, 0xc6, 2, 1);
    fm_out(x.f, 0xc6, 0, 1);
    fm_out(x.f, 0xd6, 0x45, 1);
    fm_out(x.f, 0xd4, 1, 1);
    g_assert_cmpuint(move(&x, 5, buf, 8, true, &tc), ==, 6);
    g_assert_true(tc);
    g_assert_cmphex(fm_read(x.f, 0x108000, 8), ==, 0x0000060504030201);
    fm_out(x.f, 0x80, 0xa5, 1);
    g_assert_cmphex(fm_in(x.f, 0x80, 1), ==, 0xa5);
    fm_out(x.f, 0x0d, 0, 1); /* master clear */
    g_assert_cmphex(fm_in(x.f, 0x0f, 1), ==, 0xff);
    fake_machine_free(x.f);
}

static void ready(void *opaque)
{
    ((struct fixture *)opaque)->calls++;
}

static void test_grant(void)
{
    struct fixture x;
    setup(&x);
    lock_acquire(&x.f->m.lock);
    i8257_attach(x.dma, 2, ready, &x);
    i8257_request(x.dma, 2, true);
    g_assert_false(i8257_ready(x.dma, 2));
    lock_release(&x.f->m.lock);
    g_assert_cmphex(fm_in(x.f, 0x08, 1), ==, 0x40);
    fm_out(x.f, 0x0a, 2, 1);
    g_assert_cmpuint(x.calls, ==, 1);
    fm_out(x.f, 0x08, 4, 1); /* controller off */
    fm_out(x.f, 0x0a, 2, 1);
    g_assert_cmpuint(x.calls, ==, 1);
    fm_out(x.f, 0x08, 0, 1);
    g_assert_cmpuint(x.calls, ==, 2);
    fake_machine_free(x.f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8257/transfer", test_transfer);
    g_test_add_func("/i8257/modes", test_modes);
    g_test_add_func("/i8257/grant", test_grant);
    return g_test_run();
}
