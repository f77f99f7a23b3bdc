/* Fuzz target: USB: a driver of xHCI and UHCI that has enumerated keyboard, mouse and tablet, and then puts what it likes into rings, contexts,
 * transfer descriptors and registers, while keys are pressed, devices come and go, states are saved and loaded damaged. After a reset
 * the device on the first port still gives its descriptor. */
#include <glib.h>
#include <stdio.h>
#include "hw/core/input.h"
#include "hw/pci/pci.h"
#include "mmu/ram.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_machine.h"
#include "util/opts.h"

enum { XHCI = 0xe0000000, OP = XHCI + 0x40, RT = XHCI + 0x1000, DB = XHCI + 0x2000, UHCI = 0xc000, OPS = 300, SLOTS = 3, TRBS = 64 };
enum { AREA = 0x10000, AREA_SIZE = 0x30000, DCBAA = 0x10000, COMMANDS = 0x11000, EVENTS = 0x12000, ERST = 0x13000, INPUT = 0x14000, FRAMES = 0x15000,
       QH = 0x16000, TDS = 0x17000, DATA = 0x18000, OUTPUT = 0x20000 /* a page for each slot */, RINGS = 0x28000 /* two for each slot */ };

struct ring {
    u32 base, n;
    u8 cycle;
};

static struct fake_machine *f;
static struct device *xhci, *uhci;
static struct ring commands, ring[SLOTS + 1][2]; /* of endpoint 0 and of the interrupt endpoint */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    f = fake_machine_new(1);
    lock_acquire(&f->m.lock);
    f->m.pci = pci_bus_new(&f->m);
    lock_release(&f->m.lock);
    return 0;
}

static void add(const char *text)
{
    struct err e;
    struct opts *o = opts_parse(text, "driver", &e);

    device_add(&f->m, o, &e); /* refused, if its id is taken */
    opts_free(o);
}

/* -- the driver ------------------------------------------------------------------------------------------------------------ */

static void put(struct ring *r, u64 param, u32 status, u32 control)
{
    u32 at = r->base + 16 * r->n;

    fm_write(f, at, param, 8);
    fm_write(f, at + 8, status, 4);
    fm_write(f, at + 12, (control & ~1u) | r->cycle, 4);
    if (++r->n < TRBS - 1)
        return;
    at = r->base + 16 * r->n;
    fm_write(f, at, r->base, 8);
    fm_write(f, at + 12, 6 << 10 | 2 | r->cycle, 4);
    r->n = 0;
    r->cycle ^= 1;
}

static void command(u64 param, u32 control)
{
    put(&commands, param, 0, control);
    fm_write(f, DB, 0, 4);
}

static void address(unsigned slot)
{
    command(0, 9 << 10);
    fm_write(f, DCBAA + 8 * slot, OUTPUT + 0x1000 * slot, 8);
    fm_write(f, OP + 0x400 + 16 * (slot - 1), 0x210, 4); /* port reset */
    fm_write(f, INPUT + 4, 3, 4);
    fm_write(f, INPUT + 32, 1 << 27 | 1 << 20, 4);
    fm_write(f, INPUT + 36, slot << 16, 4);
    fm_write(f, INPUT + 64 + 4, 64 << 16 | 4 << 3 | 3 << 1, 4);
    fm_write(f, INPUT + 64 + 8, ring[slot][0].base | 1, 8);
    command(INPUT, 11 << 10 | slot << 24);
}

static void control(unsigned slot, u64 setup, u32 len)
{
    bool in = setup & 0x80;

    put(&ring[slot][0], setup | (u64)len << 48, 8, 2 << 10 | 0x40 | (len ? (in ? 3 : 2) << 16 : 0));
    if (len)
        put(&ring[slot][0], DATA, len, 3 << 10 | (in ? 1 << 16 : 0) | 4);
    put(&ring[slot][0], 0, 0, 4 << 10 | 0x20 | (in && len ? 0 : 1 << 16));
    fm_write(f, DB + 4 * slot, 1, 4);
}

static void configure(unsigned slot)
{
    fm_write(f, INPUT + 4, 1 | 1 << 3, 4);
    fm_write(f, INPUT + 32, 3 << 27 | 1 << 20, 4);
    fm_write(f, INPUT + 128 + 4, 8 << 16 | 7 << 3 | 3 << 1, 4);
    fm_write(f, INPUT + 128 + 8, ring[slot][1].base | 1, 8);
    command(INPUT, 12 << 10 | slot << 24);
    control(slot, 0x00010900, 0); /* SET_CONFIGURATION 1 */
}

static void start_xhci(void)
{
    commands = (struct ring){ COMMANDS, 0, 1 };
    for (unsigned i = 0; i < 2 * (SLOTS + 1); i++)
        ring[i / 2][i % 2] = (struct ring){ RINGS + i * 0x1000, 0, 1 };
    fm_write(f, ERST, EVENTS, 8);
    fm_write(f, ERST + 8, 256, 4);
    fm_write(f, OP + 0x38, SLOTS, 4);
    fm_write(f, OP + 0x30, DCBAA, 8);
    fm_write(f, OP + 0x18, COMMANDS | 1, 8);
    fm_write(f, RT + 0x28, 1, 4);
    fm_write(f, RT + 0x38, EVENTS, 8);
    fm_write(f, RT + 0x30, ERST, 8);
    fm_write(f, RT + 0x20, 2, 4);
    fm_write(f, OP, 5, 4);
}

static void start_uhci(void)
{
    for (unsigned i = 0; i < 1024; i++)
        fm_write(f, FRAMES + 4 * i, QH | 2, 4);
    fm_write(f, QH, 1, 4);
    fm_write(f, QH + 4, 1, 4);
    fm_out(f, UHCI + 8, FRAMES, 4);
    fm_out(f, UHCI + 4, 0x0f, 2);
    fm_out(f, UHCI, 1, 2);
    fm_out(f, UHCI + 0x10, 0x200, 2);
    fm_out(f, UHCI + 0x10, 0x006, 2);
}

static void place(struct device *d, unsigned reg, u32 at)
{
    struct pci_device *p = (struct pci_device *)d;

    pci_config_write(p->bus, p->devfn, reg, at, 4);
    pci_config_write(p->bus, p->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
}

static void start(void)
{
    memset(f->m.ram->host + AREA, 0, AREA_SIZE);
    fm_reset(f);
    lock_acquire(&f->m.lock);
    place(xhci, PCI_BAR0, XHCI);
    place(uhci, PCI_BAR0 + 16, UHCI);
    lock_release(&f->m.lock);
    start_xhci();
    for (unsigned slot = 1; slot <= SLOTS; slot++) {
        address(slot);
        configure(slot);
    }
    start_uhci();
}

/* -- what it does besides ------------------------------------------------------------------------------------------------ */

static struct ring *take_ring(struct fuzz_in *in, unsigned *slot, unsigned *dci)
{
    u8 how = fuzz_take(in, 1);

    *slot = 1 + how % SLOTS;
    *dci = how & 0x80 ? 3 : 1;
    return &ring[*slot][how >> 7];
}

static void transfer(struct fuzz_in *in)
{
    static const u8 types[] = { 1, 2, 3, 4, 6, 7, 8, 5 };
    unsigned slot, dci;
    struct ring *r = take_ring(in, &slot, &dci);
    u8 how = fuzz_take(in, 1);
    u64 param = how & 8 ? fuzz_take(in, 8) : DATA + fuzz_take(in, 2);
    u32 status = fuzz_take(in, how & 0x10 ? 4 : 1), control = fuzz_take(in, 2) & 0x3ff;

    put(r, param, status, control | types[how & 7] << 10 | (how & 0x20) << 11);
    if (how & 0x40)
        fm_write(f, DB + 4 * slot, how & 0x80 ? fuzz_take(in, 1) : dci, 4);
}

static void request(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u64 setup = fuzz_take(in, 6);

    control(1 + how % SLOTS, setup, how & 0x80 ? fuzz_take(in, 2) : how >> 2 & 31);
}

static void any_command(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);
    u64 param = how & 0x80 ? fuzz_take(in, 8) : INPUT;

    command(param, (8 + (how & 15)) << 10 | (u32)fuzz_take(in, 1) << 24 | (u32)fuzz_take(in, 1) << 16 | (how & 0x40 ? 1 << 9 : 0));
}

static void xhci_register(struct fuzz_in *in)
{
    static const u32 base[] = { XHCI, OP, OP + 0x400, RT, RT + 0x20, DB };
    u8 how = fuzz_take(in, 1);
    u64 at = base[(how & 15) % ARRAY_LEN(base)] + fuzz_take(in, 1) * 4;

    if (how & 0x80)
        fm_read(f, at, 1u << (how >> 4 & 3));
    else
        fm_write(f, at, fuzz_take(in, 4), how & 0x40 ? 8 : 4);
}

static void memory(struct fuzz_in *in)
{
    static const u32 base[] = { DCBAA, COMMANDS, EVENTS, ERST, INPUT, FRAMES, QH, TDS, DATA, OUTPUT + 0x1000, OUTPUT + 0x2000, RINGS + 0x2000, RINGS + 0x3000 };
    u8 how = fuzz_take(in, 1);
    u32 at = base[(how & 15) % ARRAY_LEN(base)] + fuzz_take(in, 1) * 4;

    fm_write(f, at, how & 0x80 ? AREA + fuzz_take(in, 2) : fuzz_take(in, 4), 4);
}

static void descriptors(struct fuzz_in *in)
{
    static const u8 pids[] = { 0x2d, 0x69, 0xe1, 0 };
    u8 how = fuzz_take(in, 1);
    unsigned n = 1 + (how & 3);

    for (unsigned i = 0; i < n; i++) {
        u32 at = TDS + 32 * i, flags = fuzz_take(in, 1), token = fuzz_take(in, 3);
        u8 pid = pids[flags & 3] ? pids[flags & 3] : (u8)fuzz_take(in, 1);
        fm_write(f, at, i + 1 < n ? (at + 32) | 4 : how & 4 ? fuzz_take(in, 4) : 1, 4);
        fm_write(f, at + 4, 1 << 23 | 3 << 27 | (flags & 0xfc) << 22, 4);
        fm_write(f, at + 8, pid | token << 8, 4);
        fm_write(f, at + 12, DATA + 0x100 * i, 4);
    }
    for (unsigned i = 0; i < 8 && (how & 8); i++)
        fm_write(f, DATA + i, fuzz_take(in, 1), 1);
    fm_write(f, QH + 4, TDS | (how & 0x10 ? 4 : 0), 4);
    fm_step(f, 2000000);
}

static void uhci_register(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);

    if (how & 0x80)
        fm_in(f, UHCI + (how & 31), 1u << (how >> 5) % 3);
    else
        fm_out(f, UHCI + (how & 31), fuzz_take(in, 4), 1u << (how >> 5) % 3);
}

static void user(struct fuzz_in *in)
{
    u8 how = fuzz_take(in, 1);

    lock_acquire(&f->m.lock);
    if (how & 1)
        input_key(f->m.input, fuzz_take(in, 1) & 0x7f, how & 4);
    else if (input_is_absolute(f->m.input))
        input_abs(f->m.input, fuzz_take(in, 2), fuzz_take(in, 2), (i8)fuzz_take(in, 1), how >> 3);
    else
        input_rel(f->m.input, (i16)fuzz_take(in, 2), (i16)fuzz_take(in, 2), (i8)fuzz_take(in, 1), how >> 3);
    lock_release(&f->m.lock);
}

static void plug(struct fuzz_in *in)
{
    static const char *const text[] = { "usb-kbd,bus=x.0,id=d0", "usb-mouse,bus=x.0,id=d1", "usb-tablet,bus=x.0,id=d2", "usb-mouse,bus=u.0,id=d3" };
    u8 how = fuzz_take(in, 1);
    char id[4];
    struct err e;

    snprintf(id, sizeof(id), "d%u", how & 3);
    lock_acquire(&f->m.lock);
    struct device *d = device_find(&f->m, id);
    if (d)
        device_del(d, &e);
    else
        add(text[how & 3]);
    lock_release(&f->m.lock);
}

/* Saves a device, changes some bytes, loads it: accepted or refused. */
static void reload(struct fuzz_in *in)
{
    u8 n = fuzz_take(in, 1) & 7, changes = fuzz_take(in, 1) & 7;
    struct device *d = f->m.devices;
    GByteArray *a = g_byte_array_new();
    struct err e;

    while (n-- && d->next)
        d = d->next;
    lock_acquire(&f->m.lock);
    device_save(d, a);
    while (changes--)
        a->data[fuzz_take(in, 2) % a->len] = fuzz_take(in, 1);
    if (device_load(d, a->data, a->len, &e) < 0 && d->cls->reset)
        d->cls->reset(d);
    lock_release(&f->m.lock);
    g_byte_array_unref(a);
}

static void pass(struct fuzz_in *in) { fm_step(f, (i64)fuzz_take(in, 1) * 100000); }

/* -- an input -------------------------------------------------------------------------------------------------------------- */

static void machine_begin(void)
{
    struct err e = { "" };

    lock_acquire(&f->m.lock);
    xhci = device_create(&f->m, "qemu-xhci", "x", NULL, &e);
    uhci = device_create(&f->m, "piix3-usb-uhci", "u", NULL, &e);
    g_assert_cmpstr(e.msg, ==, "");
    add("usb-kbd,bus=x.0,id=d0");
    add("usb-mouse,bus=x.0,id=d1");
    add("usb-tablet,bus=x.0,id=d2");
    add("usb-mouse,bus=u.0,id=d3");
    g_assert_nonnull(device_find(&f->m, "d3"));
    f->m.running = true;
    lock_release(&f->m.lock);
}

static void machine_end(void)
{
    lock_acquire(&f->m.lock);
    f->m.running = false;
    device_free(xhci); /* with what is plugged in */
    device_free(uhci);
    g_assert_null(f->m.devices);
    lock_release(&f->m.lock);
}

static void check_works(void)
{
    lock_acquire(&f->m.lock);
    for (struct device *d; (d = device_find(&f->m, "d0"));)
        device_free(d);
    add("usb-kbd,bus=x.0,id=d0,port=1");
    bool there = device_find(&f->m, "d0");
    lock_release(&f->m.lock);
    start();
    memset(f->m.ram->host + DATA, 0, 64);
    control(1, 0x01000680, 18); /* GET_DESCRIPTOR, device */
    if (there)
        g_assert_cmphex(fm_read(f, DATA, 2), ==, 0x0112);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static void (*const op[])(struct fuzz_in *) = { transfer, transfer, transfer, request, any_command, xhci_register, memory, memory, descriptors,
                                                    descriptors, uhci_register, user, user, pass, plug, reload };
    struct fuzz_in in = { data, data + size };

    machine_begin();
    start();
    for (unsigned n = 0; n < OPS && in.p < in.end; n++)
        op[fuzz_take(&in, 1) % ARRAY_LEN(op)](&in);
    check_works();
    machine_end();
    return 0;
}
