/* Hot plug by ACPI on a whole pc: what device_add and device_del tell the guest, ejecting, what a reset completes, guest misuse. */
#include "hw/machine/acpi_hotplug.h"
#include <glib.h>
#include "hw/pci/pci.h"
#include "tests/lib/test_pc.h"
#include "util/opts.h"

enum { UP = 0xae00, DOWN = 0xae04, EJECT = 0xae08, REMOVABLE = 0xae0c, BUS = 0xae10, GPE_STS = 0x60c };

static char *rom;

static struct test_pc *pc_new(void)
{
    static u8 bytes[65536];
    struct err e = { "" };
    rom = test_file(bytes, sizeof(bytes));
    struct test_pc *p = test_pc_new(&(struct machine_config){ .bios = rom, .nodefaults = true }, &e);
    g_assert_cmpstr(e.msg, ==, "");
    pc_out(p, 0xcf8, 0x80000b40, 4); /* the PM block, to see the event */
    pc_out(p, 0xcfc, 0x601, 4);
    pc_out(p, 0xcf8, 0x80000b80, 4);
    pc_out(p, 0xcfc, 1, 1);
    return p;
}

static void pc_end(struct test_pc *p)
{
    test_pc_free(p);
    test_file_free(rom);
}

static struct device *add(struct test_pc *p, const char *text, struct err *e)
{
    struct opts *o = opts_parse(text, "driver", e);
    lock_acquire(&p->m.lock);
    struct device *d = device_add(&p->m, o, e);
    lock_release(&p->m.lock);
    opts_free(o);
    return d;
}

static int del(struct test_pc *p, const char *id)
{
    struct err e;
    lock_acquire(&p->m.lock);
    int r = device_del(device_find(&p->m, id), &e);
    lock_release(&p->m.lock);
    return r;
}

static void test_plug(void)
{
    struct test_pc *p = pc_new();
    struct err e = { "" };
    g_assert_cmphex(pc_in(p, REMOVABLE, 4), ==, 0xfffffffc); /* all but the chipset's slots */
    g_assert_nonnull(add(p, "pvpanic-pci,id=a,addr=5", &e));
    g_assert_cmphex(pc_in(p, GPE_STS, 2), ==, 2);
    g_assert_cmphex(pc_in(p, UP, 4), ==, 1 << 5);
    g_assert_cmphex(pc_in(p, UP, 4), ==, 0);
    g_assert_cmpint(del(p, "a"), ==, 0);
    g_assert_cmphex(pc_in(p, DOWN, 4), ==, 1 << 5);
    g_assert_cmphex(pc_in(p, DOWN, 4), ==, 1 << 5);
    g_assert_nonnull(device_find(&p->m, "a"));
    pc_out(p, BUS, 1, 4); /* another bus: nothing happens */
    pc_out(p, EJECT, 1 << 5, 4);
    g_assert_nonnull(device_find(&p->m, "a"));
    pc_out(p, BUS, 0, 4);
    pc_out(p, EJECT, 1 << 5, 4);
    g_assert_null(device_find(&p->m, "a"));
    g_assert_cmphex(pc_in(p, DOWN, 4), ==, 0);
    g_assert_null(p->m.pci->dev[PCI_DEVFN(5, 0)]);
    pc_end(p);
}

static void test_misuse(void)
{
    struct test_pc *p = pc_new();
    struct err e = { "" };
    g_assert_null(add(p, "pvpanic-pci,addr=1.5", &e)); /* the chipset's slot */
    g_assert_null(p->m.pci->dev[PCI_DEVFN(1, 5)]);
    pc_out(p, EJECT, 0xffffffff, 4); /* the chipset stays */
    g_assert_nonnull(p->m.pci->dev[PCI_DEVFN(1, 0)]);
    g_assert_nonnull(p->m.pci->dev[0]);
    for (unsigned i = 0; i < ACPI_HOTPLUG_PORTS; i++) {
        pc_in(p, UP + i, 1);
        pc_out(p, UP + i, 0xff, 1);
    }
    pc_end(p);
}

/* A display's console and memory are in use elsewhere: neither the user nor the guest takes it away. */
static void test_display(void)
{
    static u8 bytes[65536];
    const char *devices[] = { "pci-bridge,id=b,chassis_nr=1,addr=6", "bochs-display,id=d,bus=b,romfile=" };
    struct err e = { "" };
    rom = test_file(bytes, sizeof(bytes));
    struct test_pc *p = test_pc_new(&(struct machine_config){ .bios = rom, .nodefaults = true, .devices = devices, .n_devices = 2 }, &e);
    g_assert_cmpstr(e.msg, ==, "");
    g_assert_null(add(p, "bochs-display,romfile=", &e));
    g_assert_cmphex(pc_in(p, REMOVABLE, 4), ==, 0xfffffffc & ~BIT(6));
    g_assert_cmpint(del(p, "b"), ==, -1);
    g_assert_cmpint(del(p, "d"), ==, -1);
    pc_out(p, EJECT, 1 << 6, 4);
    g_assert_nonnull(device_find(&p->m, "d"));
    pc_end(p);
}

static void test_reset(void)
{
    struct test_pc *p = pc_new();
    struct err e = { "" };
    g_assert_nonnull(add(p, "pvpanic-pci,id=a", &e));
    g_assert_nonnull(add(p, "pvpanic-pci,id=b", &e));
    g_assert_cmpint(del(p, "a"), ==, 0);
    test_pc_reset(p);
    g_assert_null(device_find(&p->m, "a")); /* nobody is left to ask */
    g_assert_nonnull(device_find(&p->m, "b"));
    g_assert_cmphex(pc_in(p, UP, 4), ==, 0);
    pc_end(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi-hotplug/plug", test_plug);
    g_test_add_func("/acpi-hotplug/misuse", test_misuse);
    g_test_add_func("/acpi-hotplug/display", test_display);
    g_test_add_func("/acpi-hotplug/reset", test_reset);
    return g_test_run();
}
