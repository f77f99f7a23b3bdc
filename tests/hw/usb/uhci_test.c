/* Tests hw/usb/uhci.c and packet.c: a small driver enumerates a keyboard through queues of transfer descriptors; NAKs, stalls, a short packet,
 * rings of queues, interrupts, unplugging, and schedules full of nonsense. */
#include <glib.h>
#include "hw/core/input.h"
#include "hw/pci/pci.h"
#include "tests/lib/fake_machine.h"

enum { IO = 0xc000, FRAMES = 0x10000, QH = 0x11000, TDS = 0x12000, BUF = 0x13000, ACTIVE = 1 << 23, IOC = 1 << 24, SHORT = 1 << 29,
       PID_SETUP = 0x2d, PID_IN = 0x69, PID_OUT = 0xe1 };

struct fixture {
    struct fake_machine *f;
    struct machine *m;
    struct pci_device *hc;
    unsigned n; /* transfer descriptors in use */
};

static void w32(struct fixture *x, u32 at, u32 v) { fm_write(x->f, at, v, 4); }
static u32 r32(struct fixture *x, u32 at) { return fm_read(x->f, at, 4); }

static struct fixture *start(void)
{
    struct fixture *x = g_new0(struct fixture, 1);
    x->f = fake_machine_new(1);
    x->m = &x->f->m;
    lock_acquire(&x->m->lock);
    x->m->pci = pci_bus_new(x->m);
    lock_release(&x->m->lock);
    x->hc = (struct pci_device *)fake_device(x->f, "piix3-usb-uhci", NULL);
    fake_device(x->f, "usb-kbd", NULL);
    lock_acquire(&x->m->lock);
    x->hc->dev.cls->reset(&x->hc->dev);
    pci_config_write(x->m->pci, x->hc->devfn, PCI_BAR0 + 16, IO, 4);
    pci_config_write(x->m->pci, x->hc->devfn, PCI_COMMAND, PCI_CMD_IO | PCI_CMD_MASTER, 2);
    lock_release(&x->m->lock);
    for (unsigned i = 0; i < 1024; i++)
        w32(x, FRAMES + 4 * i, QH | 2);
    w32(x, QH, 1);
    w32(x, QH + 4, 1);
    fm_out(x->f, IO + 8, FRAMES, 4);
    fm_out(x->f, IO + 4, 0x0f, 2);
    fm_out(x->f, IO, 1, 2);
    g_assert_cmphex(fm_in(x->f, IO + 0x10, 2) & 3, ==, 3); /* somebody is there, and came just now */
    fm_out(x->f, IO + 0x10, 0x200, 2);
    fm_out(x->f, IO + 0x10, 0x006, 2);
    g_assert_cmphex(fm_in(x->f, IO + 0x10, 2) & 7, ==, 5);
    return x;
}

static void end(struct fixture *x)
{
    fake_machine_free(x->f);
    g_free(x);
}

/* Adds a descriptor behind the last one. len: bytes, 0 possible. */
static u32 td(struct fixture *x, u8 pid, u8 addr, u8 ep, u32 buf, unsigned len, u32 flags)
{
    u32 at = TDS + 32 * x->n;
    w32(x, at, 1);
    w32(x, at + 4, ACTIVE | 3 << 27 | flags);
    w32(x, at + 8, pid | addr << 8 | ep << 15 | ((len - 1) & 0x7ff) << 21);
    w32(x, at + 12, buf);
    if (x->n++)
        w32(x, at - 32, at | 4);
    return at;
}

static void begin(struct fixture *x) { x->n = 0; }
static void go(struct fixture *x)
{
    w32(x, QH + 4, TDS);
    fm_step(x->f, 2000000);
}

/* A request with data from the device; bytes got, or -1: stalled. */
static int get(struct fixture *x, u8 addr, u64 setup, unsigned len)
{
    unsigned got = 0, n = 0;
    u32 first[8], last;
    begin(x);
    fm_write(x->f, BUF + 0x800, setup | (u64)len << 48, 8);
    td(x, PID_SETUP, addr, 0, BUF + 0x800, 8, 0);
    for (unsigned at = 0; at < len && n < 8; at += 8, n++)
        first[n] = td(x, PID_IN, addr, 0, BUF + at, MIN_OF(8u, len - at), 0);
    last = td(x, PID_OUT, addr, 0, 0, 0, IOC);
    go(x);
    for (unsigned i = 0; i < n; i++) {
        u32 c = r32(x, first[i] + 4);
        if (c & (1 << 22))
            return -1;
        g_assert_false(c & ACTIVE);
        got += (c + 1) & 0x7ff;
    }
    g_assert_false(r32(x, last + 4) & ACTIVE);
    return got;
}

static void set(struct fixture *x, u8 addr, u64 setup)
{
    u32 last;
    begin(x);
    fm_write(x->f, BUF + 0x800, setup, 8);
    td(x, PID_SETUP, addr, 0, BUF + 0x800, 8, 0);
    last = td(x, PID_IN, addr, 0, 0, 0, IOC);
    go(x);
    g_assert_cmphex(r32(x, last + 4) & 0x7f0000, ==, 0);
    g_assert_false(r32(x, last + 4) & ACTIVE);
}

static void key(struct fixture *x, u16 code, bool down)
{
    lock_acquire(&x->m->lock);
    input_key(x->m->input, code, down);
    lock_release(&x->m->lock);
}

static void enumerate(struct fixture *x)
{
    set(x, 0, 0x00050500); /* address 5 */
    g_assert_cmpint(get(x, 5, 0x01000680, 18), ==, 18);
    g_assert_cmphex(r32(x, BUF + 8), ==, 0x00010627);
    set(x, 5, 0x00010900);
}

static void test_enumerate(void)
{
    struct fixture *x = start();
    enumerate(x);
    const struct bus *b = bus_find(x->m, "usb-bus.0");
    char *info = b->ops->info(b, 0);
    g_assert_cmpstr(info, ==, "  Device 0.5, Port 1, Speed 12 Mb/s, Product Gemel USB Keyboard\n");
    g_free(info);
    g_assert_cmpuint(x->hc->intx, ==, 1);
    fm_out(x->f, IO + 2, 0x3f, 2);
    g_assert_cmpuint(x->hc->intx, ==, 0);
    g_assert_cmpint(get(x, 5, 0x0f000680, 8), ==, -1); /* no such descriptor */
    g_assert_cmphex(fm_in(x->f, IO + 2, 2) & 2, ==, 2);
    g_assert_cmpint(get(x, 5, 0x02000680, 34), ==, 34); /* the next request is answered again */
    begin(x);
    u32 at = td(x, PID_IN, 9, 1, BUF, 8, IOC); /* nobody has address 9 */
    go(x);
    g_assert_cmphex(r32(x, at + 4) & (1 << 18 | 1 << 22 | ACTIVE), ==, 1 << 18 | 1 << 22);
    end(x);
}

static void test_interrupt(void)
{
    struct fixture *x = start();
    enumerate(x);
    fm_out(x->f, IO + 2, 0x3f, 2);
    begin(x);
    u32 at = td(x, PID_IN, 5, 1, BUF, 8, IOC);
    go(x);
    g_assert_cmphex(r32(x, at + 4) & ACTIVE, ==, ACTIVE); /* NAK: it stays */
    fm_step(x->f, 200000000); /* long without anything: frames run several at once */
    key(x, 0x1e, true);
    fm_step(x->f, 9000000);
    g_assert_false(r32(x, at + 4) & ACTIVE);
    g_assert_cmphex(fm_read(x->f, BUF + 2, 1), ==, 0x04);
    g_assert_cmphex(r32(x, QH + 4), ==, 1); /* the queue went on */
    g_assert_cmpuint(x->hc->intx, ==, 1);
    begin(x);
    at = td(x, PID_IN, 5, 1, BUF, 64, SHORT);
    key(x, 0x1e, false);
    go(x);
    g_assert_cmphex(r32(x, at + 4) & 0x7ff, ==, 7);
    g_assert_cmphex(r32(x, QH + 4), ==, TDS); /* short: the queue stays for the driver to see */
    end(x);
}

/* With an idle rate a report comes again without a change. */
static void test_idle(void)
{
    struct fixture *x = start();
    enumerate(x);
    begin(x);
    u32 at = td(x, PID_IN, 5, 1, BUF, 8, IOC);
    key(x, 0x1e, true);
    go(x);
    g_assert_false(r32(x, at + 4) & ACTIVE);
    set(x, 5, 0x0a21 | 25ull << 24); /* SET_IDLE: 100 ms */
    begin(x);
    at = td(x, PID_IN, 5, 1, BUF, 8, IOC);
    fm_write(x->f, BUF + 2, 0, 1);
    go(x);
    fm_step(x->f, 90000000);
    g_assert_true(r32(x, at + 4) & ACTIVE);
    fm_step(x->f, 16000000);
    g_assert_false(r32(x, at + 4) & ACTIVE);
    g_assert_cmphex(fm_read(x->f, BUF + 2, 1), ==, 0x04);
    set(x, 5, 0x0a21);
    begin(x);
    at = td(x, PID_IN, 5, 1, BUF, 8, IOC);
    go(x);
    fm_step(x->f, 2000000000);
    g_assert_true(r32(x, at + 4) & ACTIVE);
    end(x);
}

/* What was typed while the guest did not look; the keys that are down when the queue is full come up all the same. */
static void test_typing_ahead(void)
{
    struct fixture *x = start();
    unsigned reports = 0, pressed = 0;
    enumerate(x);
    for (unsigned i = 0; i < 40; i++) {
        key(x, 0x10 + i % 10, true);
        key(x, 0x10 + i % 10, false);
    }
    for (;; reports++) {
        begin(x);
        u32 at = td(x, PID_IN, 5, 1, BUF, 8, IOC);
        go(x);
        if (r32(x, at + 4) & ACTIVE)
            break;
        pressed += fm_read(x->f, BUF + 2, 1) != 0;
    }
    g_assert_cmpuint(pressed, >=, 32);
    g_assert_cmpuint(reports, ==, 40 + pressed);
    g_assert_cmphex(fm_read(x->f, BUF + 2, 1), ==, 0);
    end(x);
}

/* A queue that comes round to itself ends the frame when nothing more moves. */
static void test_ring(void)
{
    struct fixture *x = start();
    enumerate(x);
    w32(x, QH, QH | 2);
    g_assert_cmpint(get(x, 5, 0x02000680, 34), ==, 34);
    fm_step(x->f, 100000000);
    u16 before = fm_in(x->f, IO + 6, 2);
    fm_step(x->f, 16000000);
    g_assert_cmpuint((fm_in(x->f, IO + 6, 2) - before) & 0x7ff, ==, 16);
    end(x);
}

static void test_unplug(void)
{
    struct fixture *x = start();
    enumerate(x);
    fm_out(x->f, IO + 2, 0x3f, 2);
    lock_acquire(&x->m->lock);
    struct device *d = x->m->devices;
    while (strcmp(d->cls->name, "usb-kbd"))
        d = d->next;
    device_free(d);
    lock_release(&x->m->lock);
    g_assert_cmphex(fm_in(x->f, IO + 0x10, 2) & 0x0f, ==, 0x0a); /* not connected, not enabled: both just now */
    g_assert_cmpuint(x->hc->intx, ==, 1);
    end(x);
}

static void test_random(void)
{
    struct fixture *x = start();
    enumerate(x);
    for (unsigned i = 0; i < 20000; i++) {
        u32 v = g_test_rand_int();
        switch (g_test_rand_int_range(0, 6)) {
        case 0: w32(x, FRAMES + (v & 0xffc), (v >> 8 & 0x3ff0) + FRAMES + (v & 3)); break;
        case 1: w32(x, QH + (v & 0x1ffc), (v & 0x3fff) + FRAMES); break;
        case 2: w32(x, TDS + (v & 0xffc), v); break;
        case 3: fm_out(x->f, IO + (v & 0x1e), (v >> 8) & ((v & 0x1e) ? 0xffff : 0xfd), 2); break;
        case 4: fm_in(x->f, IO + (v & 0x1f), 1 << (v >> 8 & 1)); break;
        default:
            fm_out(x->f, IO, 1, 2);
            fm_step(x->f, v & 0x3fffff);
        }
    }
    end(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/usb/uhci/enumerate", test_enumerate);
    g_test_add_func("/hw/usb/uhci/interrupt", test_interrupt);
    g_test_add_func("/hw/usb/uhci/idle", test_idle);
    g_test_add_func("/hw/usb/uhci/typing-ahead", test_typing_ahead);
    g_test_add_func("/hw/usb/uhci/ring", test_ring);
    g_test_add_func("/hw/usb/uhci/unplug", test_unplug);
    g_test_add_func("/hw/usb/uhci/random", test_random);
    return g_test_run();
}
