/* edu: registers, factorials, interrupts by pin and message, DMA both ways, misuse, saving during a transfer. */
#include <glib.h>
#include "hw/pci/pci.h"
#include "mmu/dma.h"
#include "tests/lib/fake_machine.h"

enum { BAR = 0xe0000000, MSI_CTL = 0x42, MSI_ADDR = 0x44, MSI_DATA = 0x4c, IRQ_STATUS = 0x24, RAISE = 0x60, ACK = 0x64, SRC = 0x80, DST = 0x88,
       COUNT = 0x90, CMD = 0x98, BUFFER = 0x40000, MS = 1000000 };

struct fixture {
    struct fake_machine *f;
    struct pci_device *d;
    int pin;
};

static void set_pirq(void *opaque, int pirq, int level) { ((struct fixture *)opaque)->pin = level; }

static u64 get(struct fixture *x, unsigned off) { return fm_read(x->f, BAR + off, 4); }
static void set(struct fixture *x, unsigned off, u32 v) { fm_write(x->f, BAR + off, v, 4); }

static void config(struct fixture *x, unsigned reg, u32 v, unsigned size)
{
    lock_acquire(&x->f->m.lock);
    pci_config_write(x->f->m.pci, x->d->devfn, reg, v, size);
    lock_release(&x->f->m.lock);
}

static void setup(struct fixture *x, const char *props)
{
    *x = (struct fixture){ .f = fake_machine_new(1) };
    lock_acquire(&x->f->m.lock);
    x->f->m.pci = pci_bus_new(&x->f->m);
    x->f->m.pci->set_pirq = set_pirq;
    x->f->m.pci->pirq_opaque = x;
    lock_release(&x->f->m.lock);
    x->d = (struct pci_device *)fake_device(x->f, "edu", props);
    fm_reset(x->f);
    config(x, PCI_BAR0, BAR, 4);
    config(x, PCI_COMMAND, PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
}

static void test_registers(void)
{
    struct fixture x;

    setup(&x, NULL);
    g_assert_cmphex(ld32(x.d->config), ==, 0x11e81234);
    g_assert_cmphex(get(&x, 0), ==, 0x010000ed);
    set(&x, 4, 0x12345678);
    g_assert_cmphex(get(&x, 4), ==, ~0x12345678u);
    g_assert_cmphex(fm_read(x.f, BAR + 4, 1), ==, 0xff); /* not a dword */
    fm_write(x.f, BAR + 4, 0, 2);
    fm_write(x.f, BAR + 4, 0, 8);
    g_assert_cmphex(get(&x, 4), ==, ~0x12345678u);
    fm_write(x.f, BAR + SRC, 0x123456789abcdef0, 8);
    g_assert_cmphex(fm_read(x.f, BAR + SRC, 8), ==, 0x123456789abcdef0);
    g_assert_cmphex(get(&x, 0x30), ==, 0xffffffff);
    set(&x, 0x30, 1);
    fake_machine_free(x.f);
}

static void test_factorial(void)
{
    static const struct { u32 n, f; } values[] = { { 0, 1 }, { 1, 1 }, { 5, 120 }, { 12, 479001600 }, { 13, 1932053504 }, { 33, 0x80000000 },
                                                   { 34, 0 }, { 0xffffffff, 0 } };
    struct fixture x;

    setup(&x, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
        set(&x, 8, values[i].n);
        g_assert_cmphex(get(&x, 0x20), ==, 1);
        set(&x, 8, 3); /* it is busy */
        fm_step(x.f, MS);
        g_assert_cmphex(get(&x, 0x20), ==, 0);
        g_assert_cmphex(get(&x, 8), ==, values[i].f);
    }
    g_assert_cmpint(x.pin, ==, 0);
    set(&x, 0x20, 0x80);
    set(&x, 8, 3);
    g_assert_cmphex(get(&x, 0x20), ==, 0x81);
    fm_step(x.f, MS);
    g_assert_cmphex(get(&x, 0x20), ==, 0x80);
    g_assert_cmphex(get(&x, IRQ_STATUS), ==, 1);
    g_assert_cmpint(x.pin, ==, 1);
    fake_machine_free(x.f);
}

static void test_interrupts(void)
{
    struct fixture x;

    setup(&x, NULL);
    set(&x, RAISE, 0);
    g_assert_cmpint(x.pin, ==, 0);
    set(&x, RAISE, 6);
    g_assert_cmpint(x.pin, ==, 1);
    set(&x, RAISE, 8);
    g_assert_cmphex(get(&x, IRQ_STATUS), ==, 14);
    set(&x, ACK, 6);
    g_assert_cmpint(x.pin, ==, 1);
    set(&x, ACK, 8);
    g_assert_cmpint(x.pin, ==, 0);
    g_assert_cmpuint(x.f->msis, ==, 0);
    config(&x, MSI_ADDR, 0xfee01000, 4);
    config(&x, MSI_DATA, 0x45, 2);
    config(&x, MSI_CTL, 1, 2);
    set(&x, RAISE, 1);
    g_assert_cmpuint(x.f->msis, ==, 1);
    g_assert_cmphex(x.f->msi_data, ==, 0x45);
    g_assert_cmphex(x.f->msi.source, ==, 3 << 3);
    g_assert_cmpint(x.pin, ==, 0);
    set(&x, ACK, 1);
    g_assert_cmphex(get(&x, IRQ_STATUS), ==, 0);
    fake_machine_free(x.f);
}

static void transfer(struct fixture *x, u64 src, u64 dst, u64 n, u32 cmd)
{
    fm_write(x->f, BAR + SRC, src, 8);
    fm_write(x->f, BAR + DST, dst, 8);
    fm_write(x->f, BAR + COUNT, n, 8);
    set(x, CMD, cmd);
    g_assert_cmphex(get(x, CMD) & 1, ==, 1);
    set(x, CMD, cmd); /* ignored now, as are the others */
    set(x, COUNT, 1);
    fm_step(x->f, MS);
    g_assert_cmphex(get(x, CMD) & 1, ==, 0);
}

static void test_dma(void)
{
    struct fixture x;
    u8 out[4096], in[4096];

    setup(&x, NULL);
    for (unsigned i = 0; i < sizeof(out); i++)
        out[i] = i * 13 + i / 256;
    dma_write(x.f->m.mem, 0x100100, out, sizeof(out));
    transfer(&x, 0x100100, BUFFER, 4096, 1);
    transfer(&x, BUFFER + 96, 0x200000, 4000, 3 | 4);
    g_assert_cmphex(get(&x, IRQ_STATUS), ==, 0x100);
    g_assert_cmpint(x.pin, ==, 1);
    dma_read(x.f->m.mem, 0x200000, in, 4000);
    g_assert_cmpmem(in, 4000, out + 96, 4000);
    transfer(&x, BUFFER + 97, 0x300000, 4000, 3); /* behind the buffer, before it, and around */
    transfer(&x, BUFFER - 1, 0x300000, 16, 3);
    transfer(&x, BUFFER + 16, 0x300000, ~0ull, 3);
    transfer(&x, 0x100100, ~0ull, 1, 1);
    dma_read(x.f->m.mem, 0x300000, in, 16);
    g_assert_cmpuint(in[0], ==, 0);
    transfer(&x, BUFFER, 0x8000000000 + 0x300000, 16, 3); /* the mask cuts the address */
    dma_read(x.f->m.mem, 0x300000, in, 16);
    g_assert_cmpmem(in, 16, out, 16);
    config(&x, PCI_COMMAND, PCI_CMD_MEMORY, 2); /* no bus master */
    transfer(&x, BUFFER, 0x310000, 16, 3);
    g_assert_cmpint(dma_read(x.f->m.mem, 0x310000, in, 16), ==, 0);
    g_assert_cmpuint(in[1], ==, 0);
    fake_machine_free(x.f);
}

static void test_mask(void)
{
    struct fixture x;
    u8 v = 0;

    setup(&x, "dma_mask=0xffff");
    dma_write(x.f->m.mem, 0x5000, "\x5a", 1);
    transfer(&x, 0x105000, BUFFER, 1, 1);
    transfer(&x, BUFFER, 0x6000, 1, 3);
    dma_read(x.f->m.mem, 0x6000, &v, 1);
    g_assert_cmphex(v, ==, 0x5a);
    fake_machine_free(x.f);
}

static void test_save(void)
{
    struct fixture x;
    GByteArray *a = g_byte_array_new();
    struct err e;
    u8 v = 0;

    setup(&x, NULL);
    dma_write(x.f->m.mem, 0x5000, "\x77", 1);
    fm_write(x.f, BAR + SRC, 0x5000, 8);
    fm_write(x.f, BAR + DST, BUFFER, 8);
    set(&x, COUNT, 1);
    set(&x, CMD, 1 | 4);
    set(&x, 8, 4);
    lock_acquire(&x.f->m.lock);
    device_save(&x.d->dev, a);
    lock_release(&x.f->m.lock);
    fm_reset(x.f);
    fm_step(x.f, MS);
    lock_acquire(&x.f->m.lock);
    g_assert_cmpint(device_load(&x.d->dev, a->data, a->len, &e), ==, a->len);
    lock_release(&x.f->m.lock);
    fm_step(x.f, MS);
    g_assert_cmphex(get(&x, 8), ==, 24);
    g_assert_cmphex(get(&x, IRQ_STATUS), ==, 0x100);
    transfer(&x, BUFFER, 0x6000, 1, 3);
    dma_read(x.f->m.mem, 0x6000, &v, 1);
    g_assert_cmphex(v, ==, 0x77);
    g_byte_array_unref(a);
    fake_machine_free(x.f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/edu/registers", test_registers);
    g_test_add_func("/edu/factorial", test_factorial);
    g_test_add_func("/edu/interrupts", test_interrupts);
    g_test_add_func("/edu/dma", test_dma);
    g_test_add_func("/edu/mask", test_mask);
    g_test_add_func("/edu/save", test_save);
    return g_test_run();
}
