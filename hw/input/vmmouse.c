/* VMware's absolute pointer: a queue of words that the guest reads by commands of the backdoor port; that there are some it learns from the PS/2 mouse,
 * which then sends a packet. The guest's commands come on vCPU threads, input from front ends; machine lock held. Specification: the "absolute pointer"
 * of the backdoor in open-vm-tools' and the X.Org driver's documentation; QEMU's device of this name, as measured. */
#include "hw/input/vmmouse.h"
#include "hw/core/input.h"
#include "hw/core/machine.h"
#include "hw/input/i8042.h"
#include "hw/misc/vmport.h"
#include "util/log.h"

enum { CMD_DATA = 39, CMD_STATUS = 40, CMD_COMMAND = 41 };
/* What CMD_COMMAND asks for, in EBX. */
enum { ENABLE = 0x45414552 /* "REAE" */, DISABLE = 0xf5, REQUEST_RELATIVE = 0x4c455252 /* "RREL" */, REQUEST_ABSOLUTE = 0x53424152 /* "RABS" */ };
#define VERSION_ID 0x3442554au   /* "JUB4": the first word behind ENABLE */
#define STATUS_ERROR 0xffff0000u /* or it is not enabled; the lower half of the status counts the words that wait */
#define WORDS 1024
/* A packet: buttons and flags, x, y (absolute: 0 .. 0xffff; relative: up), wheel (towards the user). */
enum { PACKET = 4, PACKET_FLAGS = 0, PACKET_X, PACKET_Y, PACKET_WHEEL };
enum { FLAG_MIDDLE = 0x08, FLAG_RIGHT = 0x10, FLAG_LEFT = 0x20, FLAG_RELATIVE = 0x10000 };

struct vmmouse {
    struct device dev;
    struct device *vmport, *i8042;
    bool enabled, absolute;
    u16 x, y;        /* last position, as the guest got it */
    u16 head, count;
    u32 word[WORDS]; /* a ring; whole packets from its end on */
    struct input_handler input;
    bool listens;    /* input is in the machine's list */
};

/* --- the queue --- */
static u32 *word_at(struct vmmouse *s, unsigned i) { return &s->word[(s->head + i) % WORDS]; }

static void push(struct vmmouse *s, u32 v) { *word_at(s, s->count++) = v; }

static u32 pop(struct vmmouse *s)
{
    u32 v = *word_at(s, 0);

    s->head = (s->head + 1) % WORDS;
    s->count--;
    return v;
}

/* When the queue is full, its last packet takes the newest state. */
static void packet(struct vmmouse *s, u32 flags, u32 x, u32 y, u32 wheel)
{
    const u32 p[PACKET] = { flags, x, y, wheel };

    if (s->count + PACKET > WORDS)
        s->count -= PACKET;
    for (unsigned i = 0; i < PACKET; i++)
        push(s, p[i]);
    ps2_mouse_nudge(s->i8042);
}

/* --- input --- */
static u32 button_flags(unsigned buttons)
{
    return (buttons & INPUT_LEFT ? FLAG_LEFT : 0) | (buttons & INPUT_RIGHT ? FLAG_RIGHT : 0) | (buttons & INPUT_MIDDLE ? FLAG_MIDDLE : 0);
}

static void on_abs(void *opaque, int x, int y, int wheel, unsigned buttons)
{
    struct vmmouse *s = opaque;

    s->x = (u16)(x * 2);
    s->y = (u16)(y * 2);
    packet(s, button_flags(buttons), s->x, s->y, (u32)-wheel);
}

/* Movements may come in absolute mode, too: the packet says that it is one. Without movement it is where it was. */
static void on_rel(void *opaque, int dx, int dy, int wheel, unsigned buttons)
{
    struct vmmouse *s = opaque;

    if (s->absolute && !dx && !dy)
        packet(s, button_flags(buttons), s->x, s->y, (u32)-wheel);
    else
        packet(s, FLAG_RELATIVE | button_flags(buttons), (u32)dx, (u32)-dy, (u32)-wheel);
}

/* The user's pointer is the guest's while it is enabled. */
static void listen(struct vmmouse *s)
{
    if (s->listens)
        input_del(s->dev.m->input, &s->input);
    s->listens = s->enabled;
    s->input.abs = s->absolute ? on_abs : NULL;
    if (s->enabled)
        input_add(s->dev.m->input, &s->input);
}

/* --- commands --- */
#define ALL_REGS MASK64(IO_REGS) /* each command writes them all: their upper halves are cleared */

static void stop(struct vmmouse *s)
{
    s->enabled = false;
    listen(s);
}

/* Up to six words, into the registers in their order. */
static u32 cmd_data(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    struct vmmouse *s = opaque;
    u32 n = r[IO_EBX];

    *changed = ALL_REGS;
    if (!n || n > IO_REGS || n > s->count) {
        GUEST_ERROR("vmmouse: %u words asked for, %u are there", n, s->count);
        stop(s);
        return r[IO_EAX];
    }
    for (unsigned i = 0; i < n; i++)
        r[i] = pop(s);
    return r[IO_EAX];
}

static u32 cmd_status(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    const struct vmmouse *s = opaque;

    *changed = ALL_REGS;
    return (s->enabled ? 0 : STATUS_ERROR) | s->count;
}

/* What waits would stand in front of the version, which drivers want first. */
static void enable(struct vmmouse *s)
{
    s->head = s->count = 0;
    push(s, VERSION_ID);
    s->enabled = true;
    if (!s->listens)
        listen(s);
}

static void request_mode(struct vmmouse *s, bool absolute)
{
    if (!s->enabled)
        return;
    s->absolute = absolute;
    listen(s);
}

static u32 cmd_command(void *opaque, u32 r[IO_REGS], unsigned *changed)
{
    struct vmmouse *s = opaque;

    *changed = ALL_REGS;
    switch (r[IO_EBX]) {
    case ENABLE: enable(s); break;
    case DISABLE: stop(s); break;
    case REQUEST_RELATIVE: request_mode(s, false); break;
    case REQUEST_ABSOLUTE: request_mode(s, true); break;
    default: GUEST_ERROR("vmmouse: unknown command 0x%x", r[IO_EBX]);
    }
    return r[IO_EAX];
}

static const struct {
    u8 num;
    vmport_fn *fn;
} commands[] = { { CMD_DATA, cmd_data }, { CMD_STATUS, cmd_status }, { CMD_COMMAND, cmd_command } };

/* --- the device --- */
static int vmmouse_realize(struct device *d, struct err *e)
{
    struct vmmouse *s = container_of(d, struct vmmouse, dev);

    if (!s->vmport || !s->i8042)
        return err_set(e, "vmmouse: comes with the machine's vmport and i8042");
    s->input = (struct input_handler){ .name = "vmmouse", .rel = on_rel, .opaque = s };
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        vmport_set_command(s->vmport, commands[i].num, commands[i].fn, s);
    return 0;
}

static void vmmouse_unrealize(struct device *d)
{
    struct vmmouse *s = container_of(d, struct vmmouse, dev);

    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        vmport_set_command(s->vmport, commands[i].num, NULL, NULL);
    stop(s);
}

static void vmmouse_reset(struct device *d)
{
    struct vmmouse *s = container_of(d, struct vmmouse, dev);

    s->absolute = false;
    s->head = s->count = s->x = s->y = 0;
    stop(s);
}

static void vmmouse_post_load(struct device *d)
{
    struct vmmouse *s = container_of(d, struct vmmouse, dev);

    s->head %= WORDS;
    s->count = MIN_OF(s->count, WORDS);
    listen(s);
}

struct device *vmmouse_new(struct machine *m, struct device *vmport, struct device *i8042, struct err *e)
{
    struct device *d = device_alloc(m, "vmmouse", e);

    if (!d)
        return NULL;
    struct vmmouse *s = container_of(d, struct vmmouse, dev);
    s->vmport = vmport;
    s->i8042 = i8042;
    return device_realize(d, e) < 0 ? NULL : d;
}

static const struct snap_field vmmouse_fields[] = {
    SNAP_U(struct vmmouse, enabled),
    SNAP_U(struct vmmouse, absolute),
    SNAP_U(struct vmmouse, x),
    SNAP_U(struct vmmouse, y),
    SNAP_U(struct vmmouse, head),
    SNAP_U(struct vmmouse, count),
    SNAP_A(struct vmmouse, word),
    SNAP_DONE,
};

const struct dev_class vmmouse_class = {
    .name = "vmmouse",
    .desc = "VMware's absolute pointer on the backdoor port",
    .state_size = sizeof(struct vmmouse),
    .fields = vmmouse_fields,
    .snap_version = 1,
    .realize = vmmouse_realize,
    .reset = vmmouse_reset,
    .unrealize = vmmouse_unrealize,
    .post_load = vmmouse_post_load,
};
