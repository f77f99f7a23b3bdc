/* isa-serial: a 16550A UART. Registers are accessed by vCPU threads, input arrives on the main loop's thread, timeouts on the
 * timer's; all with the machine lock held. Specification: National PC16550D data sheet. What is written is sent at once;
 * baud rates matter only to the character timeout. The PC's OUT2 gate of the interrupt line is not modelled (always open). */
#include "hw/char/uart.h"
#include "hw/backend/chr.h"
#include "hw/core/machine.h"

#define FIFO_SIZE 16
#define CLOCK_HZ 115200 /* 1.8432 MHz / 16 */

enum { R_DATA, R_IER, R_IIR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };
#define IER_RDI 0x01
#define IER_THRI 0x02
#define IER_RLSI 0x04
#define IER_MSI 0x08
#define IIR_NONE 0x01
#define IIR_MSI 0x00
#define IIR_THRI 0x02
#define IIR_RDI 0x04
#define IIR_RLSI 0x06
#define IIR_CTI 0x0c
#define IIR_FIFO 0xc0
#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04
#define LCR_STOP2 0x04
#define LCR_PARITY 0x08
#define LCR_DLAB 0x80
#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_ERRORS 0x1c /* parity, framing, break: of the oldest byte */
#define LSR_BI 0x10
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define LSR_FIFO_ERROR 0x80
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80
#define MSR_TERI 0x04

struct uart {
    struct device dev;
    struct irq_line irq;
    struct chr *chr;
    u32 index, iobase, irq_num;
    u8 ier, fcr, lcr, mcr, msr, scr;
    u16 divisor;
    u8 rx[FIFO_SIZE], rx_error[FIFO_SIZE];
    u8 rx_head, rx_count;
    bool overrun;
    bool line_status; /* error not yet seen by a read of LSR */
    bool thr_empty;   /* transmitter interrupt pending */
    bool timed_out;   /* character timeout */
    struct timer timeout;
    struct region io;
};

static bool fifo_on(const struct uart *s)
{
    return s->fcr & FCR_ENABLE;
}

static unsigned fifo_size(const struct uart *s)
{
    return fifo_on(s) ? FIFO_SIZE : 1;
}

static unsigned rx_trigger(const struct uart *s)
{
    static const u8 level[] = { 1, 4, 8, 14 };
    return fifo_on(s) ? level[s->fcr >> 6] : 1;
}

/* ns of four characters: the FIFO's timeout. */
static i64 timeout_ns(const struct uart *s)
{
    unsigned bits = 1 + 5 + (s->lcr & 3) + 1 + !!(s->lcr & LCR_STOP2) + !!(s->lcr & LCR_PARITY);
    return 4ll * bits * NS_PER_SEC * (s->divisor ? s->divisor : 1) / CLOCK_HZ;
}

/* Interrupt identification by priority. */
static u8 interrupt_id(const struct uart *s)
{
    if ((s->ier & IER_RLSI) && s->line_status)
        return IIR_RLSI;
    if ((s->ier & IER_RDI) && s->rx_count >= rx_trigger(s))
        return IIR_RDI;
    if ((s->ier & IER_RDI) && s->timed_out)
        return IIR_CTI;
    if ((s->ier & IER_THRI) && s->thr_empty)
        return IIR_THRI;
    if ((s->ier & IER_MSI) && (s->msr & 0x0f))
        return IIR_MSI;
    return IIR_NONE;
}

static void uart_update(struct uart *s)
{
    irq_set(&s->irq, interrupt_id(s) != IIR_NONE);
}

/* Restarts the timeout after a byte came in or was read. */
static void timeout_arm(struct uart *s)
{
    s->timed_out = false;
    if (fifo_on(s) && s->rx_count)
        timer_set(&s->timeout, clock_ns(s->dev.m->clock) + timeout_ns(s));
    else
        timer_cancel(&s->timeout);
}

static void uart_timeout(void *opaque)
{
    struct uart *s = opaque;
    s->timed_out = s->rx_count > 0;
    uart_update(s);
}

static void rx_push(struct uart *s, u8 byte, u8 error)
{
    if (s->rx_count == fifo_size(s)) {
        s->overrun = s->line_status = true;
        if (fifo_on(s))
            return; /* the FIFO keeps what it has; a single buffer is overwritten */
        s->rx_count = 0;
    }
    unsigned at = (s->rx_head + s->rx_count++) % FIFO_SIZE;
    s->rx[at] = byte;
    s->rx_error[at] = error;
    if (error && s->rx_count == 1)
        s->line_status = true;
}

static u8 rx_pop(struct uart *s)
{
    u8 byte = s->rx[s->rx_head];
    if (!s->rx_count)
        return byte;
    s->rx_head = (s->rx_head + 1) % FIFO_SIZE;
    s->rx_count--;
    if (s->rx_count && s->rx_error[s->rx_head])
        s->line_status = true;
    timeout_arm(s);
    if (s->chr && !(s->mcr & MCR_LOOP))
        chr_accept_input(s->chr);
    return byte;
}

static void rx_clear(struct uart *s)
{
    s->rx_count = s->rx_head = 0;
    s->line_status = s->overrun;
    timeout_arm(s);
}

static unsigned uart_can_read(void *opaque)
{
    struct uart *s = opaque;
    struct lock *l = &s->dev.m->lock;
    lock_acquire(l);
    unsigned n = s->mcr & MCR_LOOP ? 0 : fifo_size(s) - MIN_OF(s->rx_count, fifo_size(s));
    lock_release(l);
    return n;
}

static void uart_receive(void *opaque, const u8 *buf, unsigned len)
{
    struct uart *s = opaque;
    lock_acquire(&s->dev.m->lock);
    for (unsigned i = 0; i < len; i++)
        rx_push(s, buf[i], 0);
    timeout_arm(s);
    uart_update(s);
    lock_release(&s->dev.m->lock);
}

static void uart_event(void *opaque, enum chr_event ev)
{
    struct uart *s = opaque;
    if (ev != CHR_BREAK)
        return;
    lock_acquire(&s->dev.m->lock);
    if (!(s->mcr & MCR_LOOP)) {
        rx_push(s, 0, LSR_BI);
        timeout_arm(s);
        uart_update(s);
    }
    lock_release(&s->dev.m->lock);
}

static void transmit(struct uart *s, u8 byte)
{
    if (s->mcr & MCR_LOOP) {
        rx_push(s, byte & (0xff >> (3 - (s->lcr & 3))), 0);
        timeout_arm(s);
    } else if (s->chr) {
        chr_write(s->chr, &byte, 1);
    }
    s->thr_empty = true;
}

static u8 line_status(struct uart *s)
{
    u8 lsr = LSR_THRE | LSR_TEMT | (s->rx_count ? LSR_DR : 0) | (s->overrun ? LSR_OE : 0);
    if (s->rx_count) {
        lsr |= s->rx_error[s->rx_head];
        s->rx_error[s->rx_head] = 0; /* the read clears the oldest byte's error bits */
    }
    for (unsigned i = 0; fifo_on(s) && i < s->rx_count; i++)
        if (s->rx_error[(s->rx_head + i) % FIFO_SIZE] || (i == 0 && (lsr & LSR_ERRORS)))
            lsr |= LSR_FIFO_ERROR;
    s->overrun = s->line_status = false;
    return lsr;
}

/* Levels of the modem inputs: a null modem with everything on, or the outputs looped back. */
static u8 modem_inputs(const struct uart *s)
{
    if (!(s->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) | (s->mcr & MCR_OUT1 ? MSR_RI : 0) |
           (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void modem_update(struct uart *s)
{
    u8 now = modem_inputs(s), changed = (s->msr ^ now) & 0xf0;
    u8 delta = (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4;
    if ((changed & MSR_RI) && !(now & MSR_RI))
        delta |= MSR_TERI;
    s->msr = now | (s->msr & 0x0f) | delta;
}

static void write_fcr(struct uart *s, u8 val)
{
    bool toggled = (val ^ s->fcr) & FCR_ENABLE;
    if (!(val & FCR_ENABLE))
        val &= FCR_ENABLE; /* the other bits are programmed only together with the enable bit */
    s->fcr = val & (FCR_ENABLE | 0xc8);
    if (toggled || (val & FCR_CLEAR_RX)) {
        rx_clear(s);
        if (s->chr)
            chr_accept_input(s->chr);
    }
    if (toggled || (val & FCR_CLEAR_TX))
        s->thr_empty = true;
}

static void write_ier(struct uart *s, u8 val)
{
    if (val & ~s->ier & IER_THRI)
        s->thr_empty = true; /* the holding register is always empty: enabling asks at once */
    s->ier = val & 0x0f;
}

static void uart_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct uart *s = opaque;
    bool dlab = s->lcr & LCR_DLAB, was_loop = s->mcr & MCR_LOOP;
    switch (off) {
    case R_DATA:
        if (dlab)
            s->divisor = (s->divisor & 0xff00) | (u8)val;
        else
            transmit(s, val);
        break;
    case R_IER:
        if (dlab)
            s->divisor = (s->divisor & 0x00ff) | (u8)val << 8;
        else
            write_ier(s, val);
        break;
    case R_IIR:
        write_fcr(s, val);
        break;
    case R_LCR:
        s->lcr = val;
        break;
    case R_MCR:
        s->mcr = val & 0x1f;
        modem_update(s);
        if (was_loop && !(val & MCR_LOOP) && s->chr)
            chr_accept_input(s->chr);
        break;
    case R_SCR:
        s->scr = val;
        break;
    default:
        break; /* LSR is for factory tests, MSR's writable delta bits are not offered */
    }
    uart_update(s);
}

static u64 uart_read(void *opaque, u64 off, unsigned size)
{
    struct uart *s = opaque;
    bool dlab = s->lcr & LCR_DLAB;
    u8 val = 0;
    switch (off) {
    case R_DATA:
        val = dlab ? s->divisor & 0xff : rx_pop(s);
        break;
    case R_IER:
        val = dlab ? s->divisor >> 8 : s->ier;
        break;
    case R_IIR:
        val = interrupt_id(s);
        if (val == IIR_THRI)
            s->thr_empty = false;
        val |= fifo_on(s) ? IIR_FIFO : 0;
        break;
    case R_LCR:
        val = s->lcr;
        break;
    case R_MCR:
        val = s->mcr;
        break;
    case R_LSR:
        val = line_status(s);
        break;
    case R_MSR:
        val = s->msr;
        s->msr &= 0xf0;
        break;
    case R_SCR:
        val = s->scr;
        break;
    }
    uart_update(s);
    return val;
}

static const struct region_ops uart_ops = { uart_read, uart_write, 1, 1 };

static unsigned count_uarts(struct machine *m)
{
    unsigned n = 0;
    for (struct device *d = m->devices; d; d = d->next)
        n += !strcmp(d->cls->name, "isa-serial");
    return n;
}

static int uart_realize(struct device *d, struct err *e)
{
    static const struct { u16 base; u8 irq; } com[4] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };
    struct uart *s = container_of(d, struct uart, dev);
    if (s->index == ~0u)
        s->index = count_uarts(d->m);
    if (s->index >= ARRAY_LEN(com) && (s->iobase == ~0u || s->irq_num == ~0u))
        return err_set(e, "isa-serial: index %u has no standard place, give iobase and irq", s->index);
    if (s->iobase == ~0u)
        s->iobase = com[s->index].base;
    if (s->irq_num == ~0u)
        s->irq_num = com[s->index].irq;
    if (s->iobase > 0xfff8 || s->irq_num > 15)
        return err_set(e, "isa-serial: iobase 0x%x or irq %u is out of range", s->iobase, s->irq_num);
    s->irq = d->m->gsi[s->irq_num];
    timer_init(&s->timeout, d->m->clock, uart_timeout, s);
    region_init_io(&s->io, "serial", 8, &uart_ops, s, &d->m->lock);
    region_add(&d->m->io_root, s->iobase, &s->io, 0);
    if (s->chr)
        chr_attach(s->chr, uart_can_read, uart_receive, uart_event, s);
    return 0;
}

static void uart_unrealize(struct device *d)
{
    struct uart *s = container_of(d, struct uart, dev);
    if (s->chr)
        chr_attach(s->chr, NULL, NULL, NULL, NULL);
    timer_cancel(&s->timeout);
    region_del(&s->io);
}

static void uart_reset(struct device *d)
{
    struct uart *s = container_of(d, struct uart, dev);
    s->ier = s->fcr = s->lcr = s->scr = 0;
    s->mcr = MCR_OUT2;
    s->msr = modem_inputs(s);
    s->divisor = 12;
    s->overrun = s->thr_empty = false;
    rx_clear(s);
    uart_update(s);
}

static void uart_post_load(struct device *d)
{
    struct uart *s = container_of(d, struct uart, dev);
    s->rx_head %= FIFO_SIZE;
    s->rx_count = MIN_OF(s->rx_count, FIFO_SIZE);
    if (s->chr)
        chr_accept_input(s->chr);
}

struct device *uart_new(struct machine *m, unsigned index, struct chr *chr, struct err *e)
{
    struct device *d = device_alloc(m, "isa-serial", e);
    if (!d)
        return NULL;
    struct uart *s = container_of(d, struct uart, dev);
    s->index = index;
    s->chr = chr;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct prop uart_props[] = {
    { "index", PROP_U32, offsetof(struct uart, index), ~0u, NULL, "COM port number less 1; the next one if not given" },
    { "iobase", PROP_U32, offsetof(struct uart, iobase), ~0u, NULL, "first port; by index if not given" },
    { "irq", PROP_U32, offsetof(struct uart, irq_num), ~0u, NULL, "ISA interrupt; by index if not given" },
    { "chardev", PROP_CHR, offsetof(struct uart, chr), 0, NULL, "id of the character back end" },
    PROP_DONE,
};
static const struct snap_field uart_fields[] = {
    SNAP_U(struct uart, ier),
    SNAP_U(struct uart, fcr),
    SNAP_U(struct uart, lcr),
    SNAP_U(struct uart, mcr),
    SNAP_U(struct uart, msr),
    SNAP_U(struct uart, scr),
    SNAP_U(struct uart, divisor),
    SNAP_A(struct uart, rx),
    SNAP_A(struct uart, rx_error),
    SNAP_U(struct uart, rx_head),
    SNAP_U(struct uart, rx_count),
    SNAP_U(struct uart, overrun),
    SNAP_U(struct uart, line_status),
    SNAP_U(struct uart, thr_empty),
    SNAP_U(struct uart, timed_out),
    SNAP_T(struct uart, timeout),
    SNAP_DONE,
};

const struct dev_class isa_serial_class = {
    .name = "isa-serial",
    .desc = "16550A UART",
    .state_size = sizeof(struct uart),
    .user_creatable = true,
    .props = uart_props,
    .fields = uart_fields,
    .snap_version = 1,
    .realize = uart_realize,
    .reset = uart_reset,
    .unrealize = uart_unrealize,
    .post_load = uart_post_load,
};
