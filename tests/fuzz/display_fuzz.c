/* Fuzz target: display, keyboard and USB: a guest that writes anything to the registers and memory of VGA, xHCI, UHCI and i8042, while somebody
 * looks at the screen, types and moves the pointer, with resets, saves and damaged saved states in between. */
#include <glib.h>
#include "hw/core/console.h"
#include "hw/core/input.h"
#include "hw/input/i8042.h"
#include "hw/pci/pci.h"
#include "mmu/ram.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_machine.h"

enum { LFB = 0xe0000000, VGA_MMIO = 0xe8000000, XHCI = 0xe9000000, UHCI = 0xc000, AREA = 0x10000, AREA_SIZE = 0x10000, OPS = 300 };

static struct fake_machine *f;
static struct device *dev[3]; /* VGA, xHCI, UHCI */
static struct console_listener look;
static bool looking;

static void on_resize(void *opaque, const struct surface *s)
{
    g_assert_true(s->width > 0 && s->height > 0 && s->stride >= (unsigned)s->width);
}

static void on_update(void *opaque, int x, int y, int w, int h) {}

static struct device *make(const char *cls, const char *props)
{
    struct err e = { "" };
    struct device *d = device_create(&f->m, cls, NULL, props, &e);
    g_assert_cmpstr(e.msg, ==, "");
    return d;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err e = { "" };
    f = fake_machine_new(1);
    look = (struct console_listener){ on_resize, on_update, NULL, NULL };
    lock_acquire(&f->m.lock);
    region_del(&f->low_ram); /* PCs have no RAM where the VGA's window is */
    region_init_ram(&f->low_ram, "ram", f->m.ram, 0, 640 * KiB);
    region_add(&f->m.mem_root, 0, &f->low_ram, 0);
    f->m.pci = pci_bus_new(&f->m);
    g_assert_nonnull(i8042_new(&f->m, f->m.gsi[1], f->m.gsi[12], (struct irq_line){ 0 }, &e));
    dev[0] = make("VGA", "vgamem_mb=1,romfile=");
    dev[1] = make("qemu-xhci", NULL);
    make("usb-tablet", NULL);
    make("usb-kbd", NULL);
    dev[2] = make("piix3-usb-uhci", NULL);
    lock_release(&f->m.lock);
    return 0;
}

static void place(struct device *d, unsigned reg, u32 at)
{
    struct pci_device *p = (struct pci_device *)d;
    pci_config_write(p->bus, p->devfn, reg, at, 4);
    pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
}

static void begin(void)
{
    memset(f->m.ram->host + AREA, 0, AREA_SIZE);
    lock_acquire(&f->m.lock);
    for (struct device *d = f->m.devices; d; d = d->next)
        if (d->cls->reset)
            d->cls->reset(d);
    place(dev[0], PCI_BAR0, LFB);
    place(dev[0], PCI_BAR0 + 8, VGA_MMIO);
    place(dev[1], PCI_BAR0, XHCI);
    place(dev[2], PCI_BAR0 + 16, UHCI);
    lock_release(&f->m.lock);
    fm_write(f, AREA, AREA + 0x1000, 8); /* an event ring's segment */
    fm_write(f, AREA + 8, 64, 4);
    fm_write(f, XHCI + 0x40 + 0x30, AREA + 0x3000, 4);
    fm_write(f, XHCI + 0x40 + 0x18, (AREA + 0x2000) | 1, 4);
    fm_write(f, XHCI + 0x40 + 0x1c, 0, 4);
    fm_write(f, XHCI + 0x40 + 0x38, 16, 4);
    fm_write(f, XHCI + 0x1028, 1, 4);
    fm_write(f, XHCI + 0x1038, AREA + 0x1000, 4);
    fm_write(f, XHCI + 0x1030, AREA, 4);
    fm_write(f, XHCI + 0x1034, 0, 4);
    fm_write(f, XHCI + 0x40, 5, 4);
    fm_write(f, XHCI + 0x440, 0x210, 4);
    fm_out(f, UHCI + 8, AREA + 0x4000, 4);
    fm_out(f, UHCI, 1, 2);
}

/* -- what the guest and the user do --------------------------------------------------------------------------------------- */

static void vga_port(struct fuzz_in *in)
{
    static const u16 base[] = { 0x3c0, 0x3d4, 0x3b4, 0x3c4, 0x3ce, 0x1ce, 0x3da, 0x3c8 };
    u8 how = fuzz_take(in, 1);
    u16 port = base[how & 7] + (how >> 3 & 1);
    if (how & 0x80)
        fm_in(f, port, 1 + (how >> 4 & 1));
    else
        fm_out(f, port, fuzz_take(in, 2), 1 + (how >> 4 & 1));
}

static void dispi(struct fuzz_in *in)
{
    fm_out(f, 0x1ce, fuzz_take(in, 1) % 12, 2);
    fm_out(f, 0x1cf, fuzz_take(in, 2), 2);
}

static void vga_memory(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u64 at = how & 8 ? LFB + fuzz_take(in, 3) : 0xa0000 + (fuzz_take(in, 3) & 0x1ffff);
    if (how & 4)
        fm_read(f, at, 1u << (how & 3));
    else
        fm_write(f, at, fuzz_take(in, 4) * 0x100000001ull, 1u << (how & 3));
}

static void memory_register(struct fuzz_in *in)
{
    static const u32 base[] = { XHCI, XHCI + 0x40, XHCI + 0x440, XHCI + 0x1000, XHCI + 0x2000, VGA_MMIO + 0x400, VGA_MMIO + 0x500, VGA_MMIO };
    u8 how = fuzz_take(in, 1);
    u64 at = base[how & 7] + fuzz_take(in, 1) * 4;
    if (how & 0x80)
        fm_read(f, at, 1u << (how >> 4 & 3));
    else
        fm_write(f, at, fuzz_take(in, 4), how & 0x40 ? 2 : 4);
}

/* A TRB, context or descriptor somewhere in the area that addresses point into. */
static void structure(struct fuzz_in *in)
{
    u32 at = AREA + (fuzz_take(in, 2) & 0xfff0);
    for (unsigned i = 0; i < 4; i++) {
        u32 v = fuzz_take(in, 4);
        fm_write(f, at + 4 * i, i == 0 ? AREA + (v & 0xffff) : v, 4);
    }
}

static void command(struct fuzz_in *in)
{
    u8 n = fuzz_take(in, 1) & 31;
    u32 at = AREA + 0x2000 + 16 * n;
    fm_write(f, at, AREA + (fuzz_take(in, 2) & 0xfff0), 8);
    fm_write(f, at + 8, fuzz_take(in, 4), 4);
    fm_write(f, at + 12, fuzz_take(in, 4), 4);
    fm_write(f, XHCI + 0x2000, 0, 4);
}

static void legacy_port(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u16 port = how & 1 ? UHCI + (how >> 1 & 31) : how & 2 ? 0x64 : 0x60;
    if (how & 0x80)
        fm_in(f, port, 1);
    else
        fm_out(f, port, fuzz_take(in, 2), how & 0x40 ? 1 : 2);
}

static void user(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    lock_acquire(&f->m.lock);
    if (how & 1)
        input_key(f->m.input, (how & 2 ? 0xe000 : 0) | (fuzz_take(in, 1) & 0x7f), how & 4);
    else if (input_is_absolute(f->m.input))
        input_abs(f->m.input, fuzz_take(in, 2), fuzz_take(in, 2), (i8)fuzz_take(in, 1), how >> 3);
    else
        input_rel(f->m.input, (i16)fuzz_take(in, 2), (i16)fuzz_take(in, 2), (i8)fuzz_take(in, 1), how >> 3);
    lock_release(&f->m.lock);
}

static void screen(struct fuzz_in *in)
{
    static struct console_text t;
    u8 how = fuzz_take(in, 1);
    struct console *c = console_first(&f->m);
    lock_acquire(&f->m.lock);
    if ((how & 1) && !looking)
        console_listen(c, &look);
    else if ((how & 2) && looking)
        console_unlisten(c, &look);
    looking = how & 1 ? true : how & 2 ? false : looking;
    if (how & 4)
        console_snapshot(c);
    console_refresh(c);
    console_text(c, &t);
    lock_release(&f->m.lock);
}

/* Saves a device, damages the copy, and loads it: accepted or refused. */
static void state(struct fuzz_in *in)
{
    struct device *d = dev[fuzz_take(in, 1) % 3];
    GByteArray *s = g_byte_array_new();
    struct err e;
    lock_acquire(&f->m.lock);
    device_save(d, s);
    for (unsigned n = fuzz_take(in, 1) & 7; n; n--)
        s->data[fuzz_take(in, 2) % s->len] = fuzz_take(in, 1);
    if (device_load(d, s->data, s->len, &e) < 0)
        d->cls->reset(d);
    lock_release(&f->m.lock);
    g_byte_array_unref(s);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static void (*const op[])(struct fuzz_in *) = { vga_port, vga_port, dispi, vga_memory, memory_register, memory_register, structure, command,
                                                    legacy_port, user, screen, state };
    struct fuzz_in in = { data, data + size };
    begin();
    for (unsigned n = 0; n < OPS && in.p < in.end; n++) {
        u8 which = fuzz_take(&in, 1);
        op[which % ARRAY_LEN(op)](&in);
        if (which & 0x80)
            fm_step(f, (which & 0x70) * 100000);
    }
    return 0;
}
