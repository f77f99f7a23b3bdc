/* Tests hw/usb: a small driver for the xHCI controller takes keyboard, mouse and tablet from the port's reset to their reports; stalls, short
 * packets, stopping, unplugging, saved state in the middle of a transfer, and rings full of nonsense. */
#include <glib.h>
#include "hw/core/input.h"
#include "hw/pci/pci.h"
#include "tests/lib/fake_machine.h"

#define BAR 0xe0000000ull
#define OP (BAR + 0x40)
#define RT (BAR + 0x1000)
#define DB (BAR + 0x2000)
enum { DCBAA = 0x10000, CMD_RING = 0x11000, EV_RING = 0x12000, ERST = 0x13000, EP0_RING = 0x14000, EP_RING = 0x15000, INPUT = 0x16000, OUTPUT = 0x17000,
       DATA = 0x18000, RING_TRBS = 32 };

struct trb {
    u64 param;
    u32 status, control;
};
struct fixture {
    struct fake_machine *f;
    struct machine *m;
    struct device *hc;
    unsigned cmd, ep0, ep, ev; /* how far each ring is */
    u8 cmd_cycle, ep0_cycle, ep_cycle, ev_cycle;
    u8 slot;
};

static void w32(struct fixture *x, u64 at, u32 v) { fm_write(x->f, at, v, 4); }
static u32 r32(struct fixture *x, u64 at) { return fm_read(x->f, at, 4); }
static u32 portsc(struct fixture *x, unsigned n) { return r32(x, OP + 0x400 + 16 * n); }

static struct fixture *start(void)
{
    struct fixture *x = g_new0(struct fixture, 1);
    struct machine *m;
    x->f = fake_machine_new(1);
    x->m = m = &x->f->m;
    lock_acquire(&m->lock);
    m->pci = pci_bus_new(m);
    lock_release(&m->lock);
    x->hc = fake_device(x->f, "qemu-xhci", NULL);
    struct pci_device *d = (struct pci_device *)x->hc;
    lock_acquire(&m->lock);
    x->hc->cls->reset(x->hc);
    pci_config_write(m->pci, d->devfn, PCI_BAR0, BAR, 4);
    pci_config_write(m->pci, d->devfn, PCI_COMMAND, PCI_CMD_MEMORY | PCI_CMD_MASTER, 2);
    lock_release(&m->lock);
    return x;
}

static void end(struct fixture *x)
{
    fake_machine_free(x->f);
    g_free(x);
}

/* -- rings ------------------------------------------------------------------------------------------------------------ */

static void put_trb(struct fixture *x, u32 ring, unsigned *n, u8 *cycle, u64 param, u32 status, u32 control)
{
    u64 at = ring + 16 * *n;
    fm_write(x->f, at, param, 8);
    w32(x, at + 8, status);
    w32(x, at + 12, control | *cycle);
    if (++*n < RING_TRBS - 1)
        return;
    at = ring + 16 * *n; /* back to the start */
    fm_write(x->f, at, ring, 8);
    w32(x, at + 12, 6 << 10 | 2 | *cycle);
    *n = 0;
    *cycle ^= 1;
}

static bool event(struct fixture *x, struct trb *t)
{
    u64 at = EV_RING + 16 * x->ev;
    *t = (struct trb){ fm_read(x->f, at, 8), r32(x, at + 8), r32(x, at + 12) };
    if ((t->control & 1) != x->ev_cycle)
        return false;
    if (++x->ev == RING_TRBS) {
        x->ev = 0;
        x->ev_cycle ^= 1;
    }
    fm_write(x->f, RT + 0x38, (EV_RING + 16 * x->ev) | 8, 8);
    return true;
}

/* The next event must be of this type; returns its completion code. */
static unsigned expect(struct fixture *x, unsigned type, struct trb *t)
{
    g_assert_true(event(x, t));
    g_assert_cmpuint(t->control >> 10 & 0x3f, ==, type);
    return t->status >> 24;
}

static unsigned command(struct fixture *x, u64 param, u32 control)
{
    struct trb t;
    unsigned cc;
    put_trb(x, CMD_RING, &x->cmd, &x->cmd_cycle, param, 0, control);
    w32(x, DB, 0);
    cc = expect(x, 33, &t);
    x->slot = t.control >> 24;
    return cc;
}

static void run(struct fixture *x)
{
    struct trb t;
    fm_write(x->f, DCBAA + 8, OUTPUT, 8);
    fm_write(x->f, ERST, EV_RING, 8);
    w32(x, ERST + 8, RING_TRBS);
    x->cmd_cycle = x->ep0_cycle = x->ep_cycle = x->ev_cycle = 1;
    w32(x, OP + 0x38, 8);
    fm_write(x->f, OP + 0x30, DCBAA, 8);
    fm_write(x->f, OP + 0x18, CMD_RING | 1, 8);
    w32(x, RT + 0x28, 1);
    fm_write(x->f, RT + 0x38, EV_RING, 8);
    fm_write(x->f, RT + 0x30, ERST, 8);
    w32(x, RT + 0x20, 2);
    w32(x, OP, 5);
    g_assert_cmphex(r32(x, OP + 4) & 1, ==, 0);
    g_assert_cmphex(portsc(x, 0) & 0x1ff, ==, 0x0e1); /* connected, polling */
    w32(x, OP + 0x400, 0x210); /* reset */
    g_assert_cmpuint(expect(x, 34, &t), ==, 1);
    g_assert_cmphex(portsc(x, 0) & 0x1ff, ==, 0x003);
}

static void address(struct fixture *x)
{
    g_assert_cmpuint(command(x, 0, 9 << 10), ==, 1);
    g_assert_cmpuint(x->slot, ==, 1);
    w32(x, INPUT + 4, 3);
    w32(x, INPUT + 32, 1 << 27 | 1 << 20);
    w32(x, INPUT + 36, 1 << 16); /* root hub port 1 */
    w32(x, INPUT + 64 + 4, 64 << 16 | 4 << 3 | 3 << 1);
    fm_write(x->f, INPUT + 64 + 8, EP0_RING | 1, 8);
    g_assert_cmpuint(command(x, INPUT, 11 << 10 | 1 << 24), ==, 1);
    g_assert_cmphex(r32(x, OUTPUT + 12), ==, 2u << 27 | 1);
    g_assert_cmphex(r32(x, OUTPUT + 32) & 7, ==, 1);
}

static void configure(struct fixture *x)
{
    w32(x, INPUT + 4, 1 | 1 << 3); /* slot, endpoint 1 IN */
    w32(x, INPUT + 32, 3 << 27 | 1 << 20);
    w32(x, INPUT + 128 + 4, 8 << 16 | 7 << 3 | 3 << 1);
    fm_write(x->f, INPUT + 128 + 8, EP_RING | 1, 8);
    g_assert_cmpuint(command(x, INPUT, 12 << 10 | 1 << 24), ==, 1);
    g_assert_cmphex(r32(x, OUTPUT + 12) >> 27, ==, 3);
}

/* A control transfer; returns the completion code, *got the bytes of data. */
static unsigned control(struct fixture *x, u64 setup, u16 len, unsigned *got)
{
    struct trb t;
    bool in = setup & 0x80;
    unsigned cc = 1;
    *got = len;
    put_trb(x, EP0_RING, &x->ep0, &x->ep0_cycle, setup | (u64)len << 48, 8, 2 << 10 | 0x40 | (len ? (in ? 3 : 2) << 16 : 0));
    if (len)
        put_trb(x, EP0_RING, &x->ep0, &x->ep0_cycle, DATA, len, 3 << 10 | (in ? 1 << 16 : 0) | 4);
    put_trb(x, EP0_RING, &x->ep0, &x->ep0_cycle, 0, 0, 4 << 10 | 0x20 | (in && len ? 0 : 1 << 16));
    w32(x, DB + 4, 1);
    cc = expect(x, 32, &t);
    if (cc == 13) { /* short: the status stage's event follows */
        *got = len - (t.status & 0xffffff);
        cc = expect(x, 32, &t);
    }
    return cc;
}

static struct fixture *start_with(const char *cls)
{
    struct fixture *x = start();
    unsigned n;
    fake_device(x->f, cls, NULL);
    run(x);
    address(x);
    configure(x);
    g_assert_cmpuint(control(x, 0x00010900, 0, &n), ==, 1); /* SET_CONFIGURATION 1 */
    return x;
}

static void ask_report(struct fixture *x)
{
    put_trb(x, EP_RING, &x->ep, &x->ep_cycle, DATA, 8, 1 << 10 | 0x24);
    w32(x, DB + 4, 3);
}

/* The report that has come; returns its length. */
static unsigned report(struct fixture *x, u8 r[8])
{
    struct trb t;
    unsigned cc = expect(x, 32, &t);
    g_assert_true(cc == 1 || cc == 13);
    g_assert_cmpuint(t.control >> 16 & 0x1f, ==, 3);
    for (unsigned i = 0; i < 8; i++)
        r[i] = fm_read(x->f, DATA + i, 1);
    return 8 - (t.status & 0xffffff);
}

static void key(struct fixture *x, u16 code, bool down)
{
    lock_acquire(&x->m->lock);
    input_key(x->m->input, code, down);
    lock_release(&x->m->lock);
}

/* -- tests ------------------------------------------------------------------------------------------------------------ */

static void test_descriptors(void)
{
    struct fixture *x = start_with("usb-tablet");
    unsigned n;
    g_assert_cmpuint(control(x, 0x01000680, 64, &n), ==, 1);
    g_assert_cmpuint(n, ==, 18);
    g_assert_cmphex(fm_read(x->f, DATA + 8, 4), ==, 0x00010627);
    g_assert_cmpuint(control(x, 0x02000680, 9, &n), ==, 1); /* no more than was asked for */
    g_assert_cmpuint(n, ==, 9);
    g_assert_cmphex(fm_read(x->f, DATA, 4), ==, 34 << 16 | 0x0209);
    g_assert_cmpuint(control(x, 0x03020680, 255, &n), ==, 1);
    g_assert_cmphex(fm_read(x->f, DATA + 2, 2), ==, 'G');
    g_assert_cmpuint(control(x, 0x22000681, 255, &n), ==, 1); /* the report's description */
    g_assert_cmphex(fm_read(x->f, DATA, 4), ==, 0x02090105);
    g_assert_cmpuint(n, >, 50);
    g_assert_cmpuint(control(x, 0x0f000680, 255, &n), ==, 6); /* no such descriptor: stall */
    g_assert_cmphex(r32(x, OUTPUT + 32) & 7, ==, 2);           /* halted */
    g_assert_cmpuint(command(x, 0, 14 << 10 | 1 << 16 | 1 << 24), ==, 1);
    x->ep0 = 0;
    x->ep0_cycle = 1;
    for (unsigned i = 0; i < RING_TRBS * 16; i += 8)
        fm_write(x->f, EP0_RING + i, 0, 8);
    g_assert_cmpuint(command(x, EP0_RING | 1, 16 << 10 | 1 << 16 | 1 << 24), ==, 1);
    g_assert_cmpuint(control(x, 0x01000680, 18, &n), ==, 1);
    end(x);
}

static void test_keyboard(void)
{
    struct fixture *x = start_with("usb-kbd");
    struct trb t;
    u8 r[8];
    ask_report(x);
    g_assert_false(event(x, &t)); /* NAK: it waits */
    key(x, 0x2a, true);
    g_assert_cmpuint(report(x, r), ==, 8);
    g_assert_cmphex(r[0], ==, 0x02);
    key(x, 0x1e, true); /* before the guest asks again */
    key(x, 0x1e, false);
    ask_report(x);
    report(x, r);
    g_assert_cmphex(r[2], ==, 0x04);
    ask_report(x);
    report(x, r);
    g_assert_cmphex(r[2], ==, 0);
    g_assert_cmphex(r[0], ==, 0x02);
    for (unsigned i = 0; i < 7; i++) { /* more than six keys */
        key(x, 0x10 + i, true);
        ask_report(x);
        report(x, r);
    }
    g_assert_cmphex(r[2], ==, 1);
    g_assert_cmphex(r[7], ==, 1);
    end(x);
}

static void test_pointers(void)
{
    struct fixture *x = start_with("usb-mouse");
    u8 r[8];
    lock_acquire(&x->m->lock);
    input_rel(x->m->input, 300, -5, 1, INPUT_RIGHT);
    lock_release(&x->m->lock);
    int dx = 0, dy = 0, wheel = 0;
    for (unsigned i = 0; i < 3; i++) {
        ask_report(x);
        g_assert_cmpuint(report(x, r), ==, 4);
        g_assert_cmphex(r[0], ==, 2);
        dx += (i8)r[1], dy += (i8)r[2], wheel += (i8)r[3];
    }
    g_assert_true(dx == 300 && dy == -5 && wheel == 1);
    end(x);
    x = start_with("usb-tablet");
    ask_report(x);
    lock_acquire(&x->m->lock);
    g_assert_true(input_is_absolute(x->m->input));
    input_abs(x->m->input, 0x1234, 0x5678, -1, INPUT_LEFT);
    lock_release(&x->m->lock);
    g_assert_cmpuint(report(x, r), ==, 6);
    g_assert_cmphex(r[0], ==, 1);
    g_assert_cmphex(r[1] | r[2] << 8, ==, 0x1234);
    g_assert_cmphex(r[3] | r[4] << 8, ==, 0x5678);
    g_assert_cmpint((i8)r[5], ==, -1);
    end(x);
}

static void test_stop_and_unplug(void)
{
    struct fixture *x = start_with("usb-kbd");
    struct trb t;
    ask_report(x);
    put_trb(x, CMD_RING, &x->cmd, &x->cmd_cycle, 0, 0, 15 << 10 | 3 << 16 | 1 << 24);
    w32(x, DB, 0);
    g_assert_cmpuint(expect(x, 32, &t), ==, 26); /* stopped, then the command's completion */
    g_assert_cmpuint(expect(x, 33, &t), ==, 1);
    key(x, 0x1e, true);
    g_assert_false(event(x, &t));
    w32(x, DB + 4, 3); /* goes on where it was */
    g_assert_cmpuint(expect(x, 32, &t), ==, 1);
    ask_report(x);
    lock_acquire(&x->m->lock);
    struct device *d = x->m->devices;
    while (strcmp(d->cls->name, "usb-kbd"))
        d = d->next;
    device_free(d);
    lock_release(&x->m->lock);
    g_assert_cmpuint(expect(x, 34, &t), ==, 1);
    g_assert_cmphex(portsc(x, 0) & 3, ==, 0);
    end(x);
}

/* The driver says that it has looked at all events so far. */
static void acknowledge(struct fixture *x)
{
    w32(x, RT + 0x20, 3);
    fm_write(x->f, RT + 0x38, (EV_RING + 16 * x->ev) | 8, 8);
}

/* Until no interrupt is due and the next one may come at once; interval in ns. */
static void settle(struct fixture *x, i64 interval)
{
    acknowledge(x);
    fm_step(x->f, interval + 1);
    acknowledge(x);
    fm_step(x->f, interval + 1);
    g_assert_cmpuint(((struct pci_device *)x->hc)->intx, ==, 0);
}

static void test_interrupts(void)
{
    struct fixture *x = start_with("usb-kbd");
    struct pci_device *d = (struct pci_device *)x->hc;
    ask_report(x);
    settle(x, 1000000); /* as after a reset */
    key(x, 0x1e, true);
    g_assert_cmpuint(d->intx, ==, 1);
    w32(x, RT + 0x20, 3);
    g_assert_cmpuint(d->intx, ==, 0);
    end(x);
}

/* No interrupt sooner than IMODI after the one before, nor while the driver has not cleared EHB; none is lost. */
static void test_moderation(void)
{
    enum { INTERVAL = 400 /* 100 us */, NS = 250 };
    struct fixture *x = start_with("usb-kbd");
    struct pci_device *d = (struct pci_device *)x->hc;
    struct trb t;

    w32(x, RT + 0x24, INTERVAL);
    g_assert_cmphex(r32(x, RT + 0x24) & 0xffff, ==, INTERVAL);
    ask_report(x);
    settle(x, INTERVAL * NS);
    key(x, 0x1e, true);
    g_assert_cmpuint(d->intx, ==, 1);
    g_assert_cmphex(r32(x, RT + 0x24), ==, INTERVAL << 16 | INTERVAL);
    g_assert_true(event(x, &t)); /* clears EHB */
    w32(x, RT + 0x20, 3);
    ask_report(x);
    key(x, 0x1e, false);
    g_assert_cmpuint(d->intx, ==, 0);
    fm_step(x->f, INTERVAL * NS - 1000);
    g_assert_cmpuint(d->intx, ==, 0);
    g_assert_cmphex(r32(x, RT + 0x24), ==, 4 << 16 | INTERVAL);
    fm_step(x->f, 1001);
    g_assert_cmpuint(d->intx, ==, 1);
    fm_step(x->f, 10 * INTERVAL * NS);
    w32(x, RT + 0x20, 3); /* EHB stays */
    ask_report(x);
    key(x, 0x1e, true);
    g_assert_cmpuint(d->intx, ==, 0);
    acknowledge(x);
    g_assert_cmpuint(d->intx, ==, 1);
    w32(x, RT + 0x20, 3);
    w32(x, RT + 0x24, 8 << 16); /* IMODC 2 us, no interval */
    acknowledge(x);
    ask_report(x);
    key(x, 0x1e, false);
    g_assert_cmpuint(d->intx, ==, 0);
    fm_step(x->f, 2001);
    g_assert_cmpuint(d->intx, ==, 1);
    end(x);
}

/* Saved while a transfer waits, loaded into another machine: the report still comes. */
static void test_save(void)
{
    struct fixture *x = start_with("usb-kbd");
    GByteArray *hc = g_byte_array_new();
    struct err e = { "" };
    u8 r[8];
    ask_report(x);
    lock_acquire(&x->m->lock);
    device_save(x->hc, hc);
    x->hc->cls->reset(x->hc);
    g_assert_cmpint(device_load(x->hc, hc->data, hc->len, &e), ==, hc->len);
    lock_release(&x->m->lock);
    key(x, 0x1e, true);
    report(x, r);
    g_assert_cmphex(r[2], ==, 0x04);
    g_byte_array_unref(hc);
    end(x);
}

/* Random registers, rings and contexts. */
static void test_random(void)
{
    struct fixture *x = start_with("usb-tablet");
    for (unsigned i = 0; i < 30000; i++) {
        u32 v = g_test_rand_int(), off = g_test_rand_int_range(0, 0x800) * 4;
        switch (g_test_rand_int_range(0, 8)) {
        case 0: w32(x, BAR + (off & 0xfff), v); break;
        case 1: w32(x, OP + (off & 0x3f), v & ~2u); break;
        case 2: w32(x, RT + (off & 0x3f), v & 0x1ffff); break;
        case 3: w32(x, DB + (off & 0x7f), v & 31); break;
        case 4: r32(x, BAR + off); break;
        case 5: fm_write(x->f, DCBAA + (v & 0x7ff8), (u64)v << 10 | (v & 0x7f), 8); break;
        case 6: w32(x, CMD_RING + (v & 0x1fc), ((v >> 8 & 31) << 10) | (v & 0x03ff03ff)); break;
        default: w32(x, OP, 5); break;
        }
        if (i % 64 == 0)
            key(x, 0x10 + v % 8, v & 8);
    }
    end(x);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hw/usb/xhci/descriptors", test_descriptors);
    g_test_add_func("/hw/usb/xhci/keyboard", test_keyboard);
    g_test_add_func("/hw/usb/xhci/pointers", test_pointers);
    g_test_add_func("/hw/usb/xhci/stop-and-unplug", test_stop_and_unplug);
    g_test_add_func("/hw/usb/xhci/interrupts", test_interrupts);
    g_test_add_func("/hw/usb/xhci/moderation", test_moderation);
    g_test_add_func("/hw/usb/xhci/save", test_save);
    g_test_add_func("/hw/usb/xhci/random", test_random);
    return g_test_run();
}
