/* The i8042 keyboard controller: ports 0x60 and 0x64, translation, A20 gate and CPU reset. Registers are accessed by vCPU
 * threads, input events come from the main loop's thread; machine lock held. Specification: IBM PC/AT and PS/2 technical
 * references (keyboard controller); Intel UPI-41/42 data sheet. */
#include "hw/input/i8042.h"
#include "hw/core/input.h"
#include "hw/core/machine.h"
#include "hw/input/ps2.h"
#include "util/log.h"

#define ST_OBF 0x01
#define ST_SYS 0x04
#define ST_COMMAND 0x08 /* the last write went to port 0x64 */
#define ST_UNLOCKED 0x10
#define ST_AUX 0x20     /* the output buffer holds a byte of the mouse */

#define MODE_KBD_INT 0x01
#define MODE_AUX_INT 0x02
#define MODE_SYS 0x04
#define MODE_KBD_OFF 0x10
#define MODE_AUX_OFF 0x20
#define MODE_TRANSLATE 0x40

#define OUT_RESET 0x01 /* low: CPU reset */
#define OUT_A20 0x02
#define OUT_KBD_OBF 0x10
#define OUT_AUX_OBF 0x20

#define QUEUE_SIZE 8

struct i8042 {
    struct device dev;
    struct irq_line irq1, irq12, a20;
    struct ps2_kbd kbd;
    struct ps2_mouse mouse;
    u8 ram[32];        /* ram[0] is the command byte */
    u8 status;         /* OBF, COMMAND and AUX bits */
    u8 obuf;
    u8 command;        /* waits for its data byte; 0: none */
    u8 outport;        /* A20 and reset bits */
    u8 queue[QUEUE_SIZE], queue_aux[QUEUE_SIZE]; /* the controller's own answers */
    u8 queue_count;
    bool break_next;   /* translation has swallowed a 0xf0 */
    struct region data_io, command_io;
    struct input_handler kbd_input, mouse_input;
};

static void fill(struct i8042 *s, u8 val, bool aux)
{
    s->obuf = val;
    s->status = (s->status & ~ST_AUX) | ST_OBF | (aux ? ST_AUX : 0);
    if (aux)
        irq_set(&s->irq12, (s->ram[0] & MODE_AUX_INT) != 0);
    else
        irq_set(&s->irq1, (s->ram[0] & MODE_KBD_INT) != 0);
}

/* Next keyboard byte as the host sees it, or -1. */
static int kbd_byte(struct i8042 *s)
{
    int v = ps2_kbd_read(&s->kbd);
    if (v < 0 || !(s->ram[0] & MODE_TRANSLATE))
        return v;
    if (v == 0xf0) { /* becomes the high bit of the code that follows */
        s->break_next = true;
        return kbd_byte(s);
    }
    v = ps2_translate(v) | (s->break_next ? 0x80 : 0);
    s->break_next = false;
    return v;
}

/* Moves the next byte into the output buffer if it is free: the controller's answers, then keyboard, then mouse. */
static void i8042_update(struct i8042 *s)
{
    int v = -1;
    if (s->status & ST_OBF)
        return;
    if (s->queue_count) {
        u8 val = s->queue[0];
        bool aux = s->queue_aux[0];
        s->queue_count--;
        memmove(s->queue, s->queue + 1, s->queue_count);
        memmove(s->queue_aux, s->queue_aux + 1, s->queue_count);
        fill(s, val, aux);
        return;
    }
    if (!(s->ram[0] & MODE_KBD_OFF))
        v = kbd_byte(s);
    if (v >= 0) {
        fill(s, v, false);
        return;
    }
    if (!(s->ram[0] & MODE_AUX_OFF))
        v = ps2_mouse_read(&s->mouse);
    if (v >= 0)
        fill(s, v, true);
}

static void answer(struct i8042 *s, u8 val, bool aux)
{
    if (s->queue_count == QUEUE_SIZE) {
        GUEST_ERROR("i8042: answers not read");
        return;
    }
    s->queue[s->queue_count] = val;
    s->queue_aux[s->queue_count++] = aux;
}

static void write_outport(struct i8042 *s, u8 val)
{
    struct machine *m = s->dev.m;
    s->outport = val & (OUT_A20 | OUT_RESET);
    irq_set(&s->a20, (val & OUT_A20) != 0);
    if (!(val & OUT_RESET))
        m->request(m, REQ_RESET, 0);
}

static u8 read_outport(const struct i8042 *s)
{
    u8 obf = s->status & ST_OBF ? (s->status & ST_AUX ? OUT_AUX_OBF : OUT_KBD_OBF) : 0;
    return s->outport | OUT_RESET | 0xc0 | obf;
}

static void write_ram(struct i8042 *s, unsigned at, u8 val)
{
    s->ram[at] = val;
    if (at || !(s->status & ST_OBF))
        return;
    /* The interrupt pins follow the buffer and the enable bits. */
    if (s->status & ST_AUX)
        irq_set(&s->irq12, (val & MODE_AUX_INT) != 0);
    else
        irq_set(&s->irq1, (val & MODE_KBD_INT) != 0);
}

static void controller_command(struct i8042 *s, u8 val)
{
    struct machine *m = s->dev.m;
    switch (val) {
    case 0x20 ... 0x3f:
        answer(s, s->ram[val & 0x1f], false);
        break;
    case 0x60 ... 0x7f: case 0xd1: case 0xd2: case 0xd3: case 0xd4:
        s->command = val;
        break;
    case 0xa7:
        s->ram[0] |= MODE_AUX_OFF;
        break;
    case 0xa8:
        s->ram[0] &= ~MODE_AUX_OFF;
        break;
    case 0xa9: case 0xab: /* interface tests: no error */
        answer(s, 0x00, false);
        break;
    case 0xaa: /* self test */
        s->ram[0] |= MODE_SYS;
        answer(s, 0x55, false);
        break;
    case 0xad:
        s->ram[0] |= MODE_KBD_OFF;
        break;
    case 0xae:
        s->ram[0] &= ~MODE_KBD_OFF;
        break;
    case 0xc0: /* input port: keyboard not locked */
        answer(s, 0x80, false);
        break;
    case 0xd0:
        answer(s, read_outport(s), false);
        break;
    case 0xdd: case 0xdf: /* A20 off, on */
        write_outport(s, OUT_RESET | (val == 0xdf ? OUT_A20 : 0));
        break;
    case 0xf0 ... 0xff: /* pulses the output lines whose bit is 0; only the reset line does anything */
        if (!(val & 1))
            m->request(m, REQ_RESET, 0);
        break;
    default:
        GUEST_ERROR("i8042: unknown command 0x%02x", val);
    }
}

static void data_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct i8042 *s = opaque;
    u8 command = s->command;
    s->command = 0;
    s->status &= ~ST_COMMAND;
    if (command >= 0x60 && command < 0x80) {
        write_ram(s, command & 0x1f, val);
    } else if (command == 0xd1) {
        write_outport(s, val);
    } else if (command == 0xd2 || command == 0xd3) {
        answer(s, val, command == 0xd3);
    } else if (command == 0xd4) {
        s->ram[0] &= ~MODE_AUX_OFF;
        ps2_mouse_write(&s->mouse, val);
    } else {
        s->ram[0] &= ~MODE_KBD_OFF; /* sending to the keyboard turns its interface on */
        ps2_kbd_write(&s->kbd, val);
    }
    i8042_update(s);
}

static u64 data_read(void *opaque, u64 off, unsigned size)
{
    struct i8042 *s = opaque;
    u8 val = s->obuf;
    if (s->status & ST_OBF) {
        irq_set(s->status & ST_AUX ? &s->irq12 : &s->irq1, 0);
        s->status &= ~(ST_OBF | ST_AUX);
        i8042_update(s);
    }
    return val;
}

static void command_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct i8042 *s = opaque;
    s->status |= ST_COMMAND;
    s->command = 0;
    controller_command(s, val);
    i8042_update(s);
}

static u64 status_read(void *opaque, u64 off, unsigned size)
{
    struct i8042 *s = opaque;
    return s->status | ST_UNLOCKED | (s->ram[0] & MODE_SYS ? ST_SYS : 0);
}

static const struct region_ops data_ops = { data_read, data_write, 1, 1 };
static const struct region_ops command_ops = { status_read, command_write, 1, 1 };

void ps2_key_event(struct device *d, u16 key, bool down)
{
    struct i8042 *s = container_of(d, struct i8042, dev);
    ps2_kbd_key(&s->kbd, key, down);
    i8042_update(s);
}

void ps2_mouse_event(struct device *d, int dx, int dy, int dz, unsigned buttons)
{
    struct i8042 *s = container_of(d, struct i8042, dev);
    ps2_mouse_move(&s->mouse, dx, dy, dz, buttons);
    i8042_update(s);
}

void ps2_mouse_nudge(struct device *d)
{
    struct i8042 *s = container_of(d, struct i8042, dev);
    ps2_mouse_event(d, 1, 0, 0, s->mouse.buttons);
}

static void on_key(void *opaque, u16 code, bool down)
{
    ps2_key_event(opaque, code, down);
}

static void on_move(void *opaque, int dx, int dy, int wheel, unsigned buttons)
{
    ps2_mouse_event(opaque, dx, dy, -wheel, buttons);
}

static int i8042_realize(struct device *d, struct err *e)
{
    struct i8042 *s = container_of(d, struct i8042, dev);
    region_init_io(&s->data_io, "i8042-data", 1, &data_ops, s, &d->m->lock);
    region_init_io(&s->command_io, "i8042-cmd", 1, &command_ops, s, &d->m->lock);
    region_add(&d->m->io_root, 0x60, &s->data_io, 0);
    region_add(&d->m->io_root, 0x64, &s->command_io, 0);
    s->kbd_input = (struct input_handler){ .name = "PS/2 keyboard", .key = on_key, .opaque = d };
    s->mouse_input = (struct input_handler){ .name = "PS/2 mouse", .rel = on_move, .opaque = d };
    input_add(d->m->input, &s->kbd_input);
    input_add(d->m->input, &s->mouse_input);
    return 0;
}

static void i8042_unrealize(struct device *d)
{
    struct i8042 *s = container_of(d, struct i8042, dev);
    input_del(d->m->input, &s->kbd_input);
    input_del(d->m->input, &s->mouse_input);
    region_del(&s->data_io);
    region_del(&s->command_io);
}

/* The command byte comes up as firmware leaves it (keyboard interrupt and translation on), for guests booted without. */
static void i8042_reset(struct device *d)
{
    struct i8042 *s = container_of(d, struct i8042, dev);
    ps2_kbd_reset(&s->kbd);
    ps2_mouse_reset(&s->mouse);
    memset(s->ram, 0, sizeof(s->ram));
    s->ram[0] = MODE_KBD_INT | MODE_SYS | MODE_TRANSLATE;
    s->status = s->obuf = s->command = s->queue_count = 0;
    s->break_next = false;
    s->outport = OUT_RESET | OUT_A20;
    irq_set(&s->irq1, 0);
    irq_set(&s->irq12, 0);
    irq_set(&s->a20, 1);
}

static void i8042_post_load(struct device *d)
{
    struct i8042 *s = container_of(d, struct i8042, dev);
    s->kbd.reply_count = MIN_OF(s->kbd.reply_count, PS2_REPLY_SIZE);
    s->mouse.reply_count = MIN_OF(s->mouse.reply_count, PS2_REPLY_SIZE);
    s->kbd.keys_head %= PS2_KEYS_SIZE;
    s->kbd.keys_count = MIN_OF(s->kbd.keys_count, PS2_KEYS_SIZE);
    s->mouse.packet_size = MIN_OF(s->mouse.packet_size, sizeof(s->mouse.packet));
    s->mouse.packet_pos = MIN_OF(s->mouse.packet_pos, s->mouse.packet_size);
    s->queue_count = MIN_OF(s->queue_count, QUEUE_SIZE);
    irq_set(&s->a20, (s->outport & OUT_A20) != 0);
}

struct device *i8042_new(struct machine *m, struct irq_line irq1, struct irq_line irq12, struct irq_line a20,
                         struct err *e)
{
    struct device *d = device_alloc(m, "i8042", e);
    if (!d)
        return NULL;
    struct i8042 *s = container_of(d, struct i8042, dev);
    s->irq1 = irq1;
    s->irq12 = irq12;
    s->a20 = a20;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct snap_field i8042_fields[] = {
    SNAP_S(struct i8042, kbd, ps2_kbd_fields),
    SNAP_S(struct i8042, mouse, ps2_mouse_fields),
    SNAP_A(struct i8042, ram),
    SNAP_U(struct i8042, status),
    SNAP_U(struct i8042, obuf),
    SNAP_U(struct i8042, command),
    SNAP_U(struct i8042, outport),
    SNAP_A(struct i8042, queue),
    SNAP_A(struct i8042, queue_aux),
    SNAP_U(struct i8042, queue_count),
    SNAP_U(struct i8042, break_next),
    SNAP_DONE,
};

const struct dev_class i8042_class = {
    .name = "i8042",
    .desc = "keyboard controller with PS/2 keyboard and mouse",
    .state_size = sizeof(struct i8042),
    .fields = i8042_fields,
    .snap_version = 1,
    .realize = i8042_realize,
    .reset = i8042_reset,
    .unrealize = i8042_unrealize,
    .post_load = i8042_post_load,
};
