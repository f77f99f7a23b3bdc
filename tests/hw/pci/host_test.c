/* The 440FX/PIIX functions: configuration ports, shadow RAM, SMRAM, PIRQ routing, the PM block's place. */
#include <glib.h>
#include "hw/pci/host.h"
#include "hw/timer/pm.h"
#include "mmu/aspace.h"
#include "mmu/ram.h"
#include "tests/lib/fake_machine.h"

struct fixture {
    struct fake_machine *f;
    struct ram_block *rom;
    struct region rom_region;
    struct device *host, *piix3, *pm_func;
};

static void setup(struct fixture *x)
{
    struct err e = { "" };
    struct machine *m;

    *x = (struct fixture){ .f = fake_machine_new(1) };
    m = &x->f->m;
    x->rom = ram_new("rom", 256 * KiB, &e);
    memset(x->rom->host, 0xb1, x->rom->size);
    lock_acquire(&m->lock);
    m->mem_root.children->enabled = false; /* the fake's RAM covers the video memory: put a gap there */
    region_init_rom(&x->rom_region, "rom", x->rom, 128 * KiB, 128 * KiB, NULL, NULL, NULL);
    region_add(&m->mem_root, 0xe0000, &x->rom_region, 0);
    m->pci = pci_bus_new(m);
    x->host = i440fx_new(m, m->ram, x->rom, &e);
    x->piix3 = piix3_new(m, &e);
    x->pm_func = piix4_pm_new(m, acpi_pm_new(m, piix3_sci_line(x->piix3), &e), &e);
    g_assert_true(x->host && x->piix3 && x->pm_func);
    reset_ctl_new(m, &e);
    lock_release(&m->lock);
}

static void teardown(struct fixture *x)
{
    struct machine *m = &x->f->m;

    lock_acquire(&m->lock);
    region_del(&x->rom_region);
    lock_release(&m->lock);
    fake_machine_free(x->f);
    ram_free(x->rom);
}

static void test_ports(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(fm_config_read(x.f, 0, 0, 0, 4), ==, 0x12378086);
    g_assert_cmphex(fm_config_read(x.f, 0, 0, 2, 2), ==, 0x1237);
    g_assert_cmphex(fm_config_read(x.f, 0, 0, 3, 1), ==, 0x12);
    g_assert_cmphex(fm_config_read(x.f, 1, 0, 0, 4), ==, 0x70008086);
    g_assert_cmphex(fm_config_read(x.f, 1, 0, 0x0e, 1), ==, 0x80); /* function 3 exists too */
    g_assert_cmphex(fm_config_read(x.f, 1, 3, 0, 4), ==, 0x71138086);
    g_assert_cmphex(fm_in(x.f, 0xcf8, 4), ==, 0x80000b00);
    fm_out(x.f, 0xcf8, 0x80000002, 4); /* low bits: reserved, but programs leave them there */
    g_assert_cmphex(fm_in(x.f, 0xcf8, 4), ==, 0x80000000);
    g_assert_cmphex(fm_in(x.f, 0xcfc, 2), ==, 0x1237);
    g_assert_cmphex(fm_in(x.f, 0xcfe, 2), ==, 0x1237);
    g_assert_cmphex(fm_in(x.f, 0xcfc, 4), ==, 0x12378086);
    g_assert_cmphex(fm_in(x.f, 0xcff, 1), ==, 0x12);
    fm_out(x.f, 0xcf8, 0x80010000, 4); /* bus 1 */
    g_assert_cmphex(fm_in(x.f, 0xcfc, 4), ==, 0xffffffff);
    fm_out(x.f, 0xcf8, 0, 4); /* not enabled */
    g_assert_cmphex(fm_in(x.f, 0xcfc, 4), ==, 0xffffffff);
    fm_out(x.f, 0xcf8, 0x12, 1); /* bytes do not reach the register ... */
    g_assert_cmphex(fm_in(x.f, 0xcf8, 4), ==, 0);
    fm_out(x.f, 0xcf9, 0x02, 1); /* ... but the reset control register */
    g_assert_cmphex(fm_in(x.f, 0xcf9, 1), ==, 0x02);
    g_assert_cmpuint(x.f->requests, ==, 0);
    fm_out(x.f, 0xcf9, 0x06, 1);
    g_assert_cmpint(x.f->request, ==, REQ_RESET);
    teardown(&x);
}

static void test_shadow(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(fm_read(x.f, 0xf0000, 1), ==, 0xb1);
    g_assert_cmphex(fm_read(x.f, 0xc0000, 1), ==, 0xff);
    fm_config_write(x.f, 0, 0, 0x59, 0x20, 1); /* 0xf0000: write only */
    fm_write(x.f, 0xf1234, 0x11223344, 4);
    g_assert_cmphex(fm_read(x.f, 0xf1234, 4), ==, 0xb1b1b1b1);
    fm_config_write(x.f, 0, 0, 0x59, 0x10, 1); /* read only */
    g_assert_cmphex(fm_read(x.f, 0xf1234, 4), ==, 0x11223344);
    fm_write(x.f, 0xf1234, 0, 4);
    g_assert_cmphex(fm_read(x.f, 0xf1234, 4), ==, 0x11223344);
    fm_config_write(x.f, 0, 0, 0x59, 0x30, 1); /* RAM */
    fm_write(x.f, 0xf1234, 0x55, 4);
    g_assert_cmphex(fm_read(x.f, 0xf1234, 4), ==, 0x55);
    g_assert_cmphex(x.f->m.ram->host[0xf1234], ==, 0x55);
    g_assert_cmphex(fm_read(x.f, 0xe0000, 1), ==, 0xb1); /* its neighbours are not touched */

    fm_config_write(x.f, 0, 0, 0x5a, 0x23, 1); /* 0xc0000 RAM, 0xc4000 write only with nothing behind */
    fm_write(x.f, 0xc0000, 0x77, 1);
    fm_write(x.f, 0xc4000, 0x88, 1);
    g_assert_cmphex(fm_read(x.f, 0xc0000, 1), ==, 0x77);
    g_assert_cmphex(fm_read(x.f, 0xc4000, 1), ==, 0xff);
    g_assert_cmphex(x.f->m.ram->host[0xc4000], ==, 0x88);
    lock_acquire(&x.f->m.lock);
    i440fx_shadow_open(x.host);
    lock_release(&x.f->m.lock);
    g_assert_cmphex(fm_read(x.f, 0xc4000, 1), ==, 0x88);
    fm_reset(x.f);
    g_assert_cmphex(fm_read(x.f, 0xf1234, 1), ==, 0xb1);
    teardown(&x);
}

static void test_smram(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(fm_read(x.f, 0xa0000, 1), ==, 0xff);
    fm_config_write(x.f, 0, 0, 0x72, 0x4a, 1);
    fm_write(x.f, 0xa0000, 0x31, 1);
    g_assert_cmphex(fm_read(x.f, 0xa0000, 1), ==, 0x31);
    fm_config_write(x.f, 0, 0, 0x72, 0x1a, 1); /* closed and locked */
    g_assert_cmphex(fm_read(x.f, 0xa0000, 1), ==, 0xff);
    fm_config_write(x.f, 0, 0, 0x72, 0x4a, 1);
    g_assert_cmphex(fm_config_read(x.f, 0, 0, 0x72, 1), ==, 0x1a);
    g_assert_cmphex(fm_read(x.f, 0xa0000, 1), ==, 0xff);
    fm_reset(x.f);
    g_assert_cmphex(fm_config_read(x.f, 0, 0, 0x72, 1), ==, 0x02);
    teardown(&x);
}

static void test_pirq(void)
{
    struct fixture x;
    setup(&x);
    struct pci_bus *b = x.f->m.pci;
    lock_acquire(&x.f->m.lock);
    b->set_pirq(b->pirq_opaque, 0, 1);
    g_assert_cmpint(x.f->level[10], ==, 0); /* not routed */
    piix3_route(x.piix3, 0, 10);
    g_assert_cmpint(x.f->level[10], ==, 1);
    piix3_route(x.piix3, 1, 10);
    b->set_pirq(b->pirq_opaque, 1, 1);
    b->set_pirq(b->pirq_opaque, 0, 0);
    g_assert_cmpint(x.f->level[10], ==, 1); /* shared */
    piix3_route(x.piix3, 1, 11);
    g_assert_cmpint(x.f->level[10], ==, 0);
    g_assert_cmpint(x.f->level[11], ==, 1);
    piix3_route(x.piix3, 1, 8); /* reserved: goes nowhere */
    g_assert_cmpint(x.f->level[11], ==, 0);
    g_assert_cmpint(x.f->level[8], ==, 0);
    piix3_route(x.piix3, 1, 9); /* shared with the SCI */
    struct irq_line sci = piix3_sci_line(x.piix3);
    irq_set(&sci, 1);
    b->set_pirq(b->pirq_opaque, 1, 0);
    g_assert_cmpint(x.f->level[9], ==, 1);
    irq_set(&sci, 0);
    g_assert_cmpint(x.f->level[9], ==, 0);
    lock_release(&x.f->m.lock);
    teardown(&x);
}

static void test_pm_base(void)
{
    struct fixture x;
    setup(&x);
    g_assert_cmphex(fm_in(x.f, 0x604, 2), ==, 0xffff);
    fm_config_write(x.f, 1, 3, 0x40, 0x0601, 4);
    g_assert_cmphex(fm_in(x.f, 0x604, 2), ==, 0xffff);
    fm_config_write(x.f, 1, 3, 0x80, 0x01, 1);
    g_assert_cmphex(fm_in(x.f, 0x604, 2), !=, 0xffff);
    fm_config_write(x.f, 1, 3, 0x40, 0xb001, 4);
    g_assert_cmphex(fm_in(x.f, 0x604, 2), ==, 0xffff);
    g_assert_cmphex(fm_in(x.f, 0xb004, 2), !=, 0xffff);
    g_assert_cmphex(fm_config_read(x.f, 1, 3, 0x3c, 2), ==, 0x0109); /* SCI: IRQ 9, hard-wired */
    fm_config_write(x.f, 1, 3, 0x3c, 0x05, 1);
    g_assert_cmphex(fm_config_read(x.f, 1, 3, 0x3c, 1), ==, 0x09);
    teardown(&x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/ports", test_ports);
    g_test_add_func("/host/shadow", test_shadow);
    g_test_add_func("/host/smram", test_smram);
    g_test_add_func("/host/pirq", test_pirq);
    g_test_add_func("/host/pm-base", test_pm_base);
    return g_test_run();
}
