/* USB keyboard, mouse and tablet. Input comes from front ends, transfers from the host controller; machine lock held. Device Class Definition
 * for Human Interface Devices 1.11, chapters 5 to 7 and appendices B, E; HID Usage Tables 1.12. */
#include "hw/core/input.h"
#include "hw/core/keymap.h"
#include "hw/core/machine.h"
#include "hw/usb/usb.h"

enum {
    GET_REPORT = 1, GET_IDLE = 2, GET_PROTOCOL = 3, SET_REPORT = 9, SET_IDLE = 10, SET_PROTOCOL = 11, DESC_HID = 0x21, DESC_REPORT = 0x22,
    EP_IN = 1, QUEUE = 16, STROKES = 128, KEYS_DOWN = 16, IDLE_UNIT_NS = 4000000, USAGE_MODIFIERS = 0xe0, ROLLOVER = 1, REPORT_MAX = 8,
};
enum hid_kind { HID_KEYBOARD, HID_MOUSE, HID_TABLET };

/* A pointer's state after one event, waiting to be sent. */
struct hid_event {
    i32 x, y, wheel; /* mouse: movement; tablet: position */
    u8 buttons;
};
struct hid {
    struct usb_device usb;
    enum hid_kind kind;
    struct input_handler input;
    u8 idle, protocol, leds;
    u8 modifiers, keys[KEYS_DOWN], n_keys; /* keyboard: usages that are down */
    struct hid_event last;                 /* pointer: what was sent last */
    u8 n_events, n_strokes;
    struct hid_event event[QUEUE];         /* pointer */
    u8 stroke[STROKES], stroke_down[STROKES]; /* keyboard: usages that go down or up */
    i64 repeat_at;                         /* VM time at which a report is repeated, if `idle` says so */
    struct timer repeat;
};

/* -- descriptors ------------------------------------------------------------------------------------------------------ */

static const u8 keyboard_report[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01,                                     /* keyboard */
    0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, /* modifiers */
    0x95, 0x01, 0x75, 0x08, 0x81, 0x01,                                     /* a byte without meaning */
    0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x95, 0x05, 0x75, 0x01, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, /* LEDs */
    0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00, 0x15, 0x00, 0x26, 0xff, 0x00, 0x95, 0x06, 0x75, 0x08, 0x81, 0x00, /* six keys */
    0xc0,
};
#define BUTTONS \
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00,             /* mouse: pointer */ \
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01, 0x95, 0x05, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x03, 0x81, 0x01
static const u8 mouse_report[] = {
    BUTTONS,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x03, 0x81, 0x06, /* x, y, wheel */
    0xc0, 0xc0,
};
static const u8 tablet_report[] = {
    BUTTONS,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f, 0x35, 0x00, 0x46, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x02,
    0x05, 0x01, 0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x35, 0x00, 0x45, 0x00, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06, /* wheel */
    0xc0, 0xc0,
};

#define DEVICE(product) { 18, 1, 0x00, 0x02, 0, 0, 0, 64, 0x27, 0x06, 0x01, 0x00, 0x00, 0x00, 1, product, 3, 1 }
static const u8 keyboard_device[] = DEVICE(4), mouse_device[] = DEVICE(5), tablet_device[] = DEVICE(2);
static const char *const strings[] = { "Gemel", "Gemel USB Tablet", "1", "Gemel USB Keyboard", "Gemel USB Mouse", NULL };

/* Configuration, interface (subclass 1: it has a boot protocol), HID, endpoint 1 IN each 10 ms. */
#define CONFIG(subclass, protocol, report, packet) \
    { 9, 2, 34, 0, 1, 1, 0, 0xa0, 50, 9, 4, 0, 0, 1, 3, subclass, protocol, 0, \
      9, DESC_HID, 0x11, 0x01, 0, 1, DESC_REPORT, sizeof(report) & 0xff, sizeof(report) >> 8, 7, 5, 0x80 | EP_IN, 3, packet, 0, 10 }
static const u8 keyboard_config[] = CONFIG(1, 1, keyboard_report, 8), mouse_config[] = CONFIG(1, 2, mouse_report, 4),
                tablet_config[] = CONFIG(0, 0, tablet_report, 8);
enum { HID_IN_CONFIG = 18 };

/* -- reports ---------------------------------------------------------------------------------------------------------- */

static void keyboard_stroke(struct hid *h, u8 usage, bool down)
{
    unsigned i = 0;

    if (usage >= USAGE_MODIFIERS && usage < USAGE_MODIFIERS + 8) {
        h->modifiers = down ? h->modifiers | BIT(usage & 7) : h->modifiers & ~BIT(usage & 7);
        return;
    }
    while (i < h->n_keys && h->keys[i] != usage)
        i++;
    if (down && i == h->n_keys && h->n_keys < KEYS_DOWN)
        h->keys[h->n_keys++] = usage;
    else if (!down && i < h->n_keys)
        h->keys[i] = h->keys[--h->n_keys];
}

static unsigned keyboard_fill(struct hid *h, u8 *r)
{
    memset(r, 0, 8);
    r[0] = h->modifiers;
    if (h->n_keys > 6)
        memset(r + 2, ROLLOVER, 6);
    else
        memcpy(r + 2, h->keys, h->n_keys);
    return 8;
}

static unsigned pointer_fill(struct hid *h, const struct hid_event *v, u8 *r)
{
    r[0] = v->buttons;
    if (h->kind == HID_MOUSE) {
        r[1] = v->x;
        r[2] = v->y;
        r[3] = v->wheel;
        return h->protocol ? 4 : 3;
    }
    st16(r + 1, v->x);
    st16(r + 3, v->y);
    r[5] = v->wheel;
    return 6;
}

/* Takes the next change out of the queue and makes a report of it; 0 if there is none. */
static unsigned next_report(struct hid *h, u8 *r)
{
    if (h->kind == HID_KEYBOARD) {
        if (!h->n_strokes)
            return 0;
        keyboard_stroke(h, h->stroke[0], h->stroke_down[0]);
        h->n_strokes--;
        memmove(h->stroke, h->stroke + 1, h->n_strokes);
        memmove(h->stroke_down, h->stroke_down + 1, h->n_strokes);
        return keyboard_fill(h, r);
    }
    if (!h->n_events)
        return 0;
    h->last = h->event[0];
    if (h->kind == HID_MOUSE) { /* a report holds -127..127: the rest waits */
        i32 *v[3] = { &h->last.x, &h->last.y, &h->last.wheel }, *q[3] = { &h->event[0].x, &h->event[0].y, &h->event[0].wheel };
        bool more = false;
        for (unsigned i = 0; i < 3; i++) {
            *v[i] = MIN_OF(MAX_OF(*v[i], -127), 127);
            *q[i] -= *v[i];
            more |= *q[i] != 0;
        }
        if (more)
            return pointer_fill(h, &h->last, r);
    }
    h->n_events--;
    memmove(h->event, h->event + 1, h->n_events * sizeof(h->event[0]));
    return pointer_fill(h, &h->last, r);
}

static unsigned current_report(struct hid *h, u8 *r)
{
    struct hid_event v = h->last;

    if (h->kind == HID_KEYBOARD)
        return keyboard_fill(h, r);
    v.wheel = 0;
    if (h->kind == HID_MOUSE)
        v.x = v.y = 0;
    return pointer_fill(h, &v, r);
}

/* -- input ------------------------------------------------------------------------------------------------------------ */

static void on_key(void *opaque, u16 code, bool down)
{
    struct hid *h = opaque;
    const struct key *k = key_by_code(code);

    if (!k || !k->usage || h->n_strokes >= (down ? STROKES / 2 : STROKES)) /* what is down comes up again */
        return;
    h->stroke[h->n_strokes] = k->usage;
    h->stroke_down[h->n_strokes++] = down;
    usb_wakeup(&h->usb);
}

/* Movements with the same buttons are joined when the guest is slow to ask; when the queue is full, its last entry takes the newest state. */
static void add_event(struct hid *h, const struct hid_event *v)
{
    struct hid_event *last = h->n_events ? &h->event[h->n_events - 1] : NULL;
    bool join = last && (h->n_events == QUEUE || (h->n_events > 1 && last->buttons == v->buttons));

    if (!join) {
        h->event[h->n_events++] = *v;
    } else {
        i32 x = h->kind == HID_MOUSE ? last->x + v->x : v->x, y = h->kind == HID_MOUSE ? last->y + v->y : v->y;
        *last = (struct hid_event){ MIN_OF(MAX_OF(x, -32767), 32767), MIN_OF(MAX_OF(y, -32767), 32767),
                                    MIN_OF(MAX_OF(last->wheel + v->wheel, -127), 127), v->buttons };
    }
    usb_wakeup(&h->usb);
}

static void on_rel(void *opaque, int dx, int dy, int wheel, unsigned buttons)
{
    add_event(opaque, &(struct hid_event){ MIN_OF(MAX_OF(dx, -4096), 4096), MIN_OF(MAX_OF(dy, -4096), 4096), MIN_OF(MAX_OF(wheel, -127), 127),
                                           buttons & 0x1f });
}

static void on_abs(void *opaque, int x, int y, int wheel, unsigned buttons)
{
    add_event(opaque, &(struct hid_event){ x, y, MIN_OF(MAX_OF(wheel, -127), 127), buttons & 0x1f });
}

/* -- requests --------------------------------------------------------------------------------------------------------- */

static int give(const void *from, unsigned n, u8 *data, unsigned len)
{
    n = MIN_OF(n, len);
    memcpy(data, from, n);
    return (int)n;
}

static int hid_descriptor(const struct hid *h, u8 type, u8 *data, unsigned len)
{
    static const struct { const u8 *at; unsigned n; } report[] = {
        [HID_KEYBOARD] = { keyboard_report, sizeof(keyboard_report) },
        [HID_MOUSE] = { mouse_report, sizeof(mouse_report) },
        [HID_TABLET] = { tablet_report, sizeof(tablet_report) },
    };

    if (type == DESC_HID)
        return give(h->usb.kind->config + HID_IN_CONFIG, 9, data, len);
    return type == DESC_REPORT ? give(report[h->kind].at, report[h->kind].n, data, len) : USB_STALL;
}

/* A report was sent, or the idle rate has changed: when the report is sent again without a change (7.2.4). */
static void repeat_arm(struct hid *h)
{
    timer_cancel(&h->repeat);
    if (!h->idle)
        return;
    h->repeat_at = clock_ns(h->usb.dev.m->clock) + h->idle * (i64)IDLE_UNIT_NS;
    timer_set(&h->repeat, h->repeat_at);
}

static void on_repeat(void *opaque)
{
    usb_wakeup(&((struct hid *)opaque)->usb);
}

static int hid_request(struct usb_device *d, const struct usb_setup *s, u8 *data, unsigned len)
{
    struct hid *h = container_of(d, struct hid, usb);
    u8 r[REPORT_MAX];

    if (!(s->type & USB_CLASS))
        return s->request == USB_GET_DESCRIPTOR ? hid_descriptor(h, s->value >> 8, data, len) : USB_STALL;
    switch (s->request) {
    case GET_REPORT: return give(r, current_report(h, r), data, len);
    case GET_IDLE: return give(&h->idle, 1, data, len);
    case GET_PROTOCOL: return give(&h->protocol, 1, data, len);
    case SET_REPORT:
        h->leds = h->kind == HID_KEYBOARD && len ? data[0] : h->leds;
        return 0;
    case SET_IDLE:
        h->idle = s->value >> 8;
        repeat_arm(h);
        return 0;
    case SET_PROTOCOL:
        h->protocol = s->value & 1;
        return 0;
    default: return USB_STALL;
    }
}

static int hid_in(struct usb_device *d, unsigned ep, u8 *data, unsigned len)
{
    struct hid *h = container_of(d, struct hid, usb);
    u8 r[REPORT_MAX];
    unsigned n;

    if (ep != EP_IN)
        return USB_STALL;
    n = next_report(h, r);
    if (!n && h->idle && clock_ns(d->dev.m->clock) >= h->repeat_at)
        n = current_report(h, r);
    if (!n)
        return USB_NAK;
    repeat_arm(h);
    return give(r, n, data, len);
}

static void hid_usb_reset(struct usb_device *d)
{
    struct hid *h = container_of(d, struct hid, usb);

    h->idle = h->leds = h->modifiers = h->n_keys = h->n_events = h->n_strokes = 0;
    h->protocol = 1; /* reports as described */
    repeat_arm(h);
    memset(&h->last, 0, sizeof(h->last));
}

/* Keys and movements come here while the guest uses the device. */
static void hid_configured(struct usb_device *d, bool on)
{
    struct hid *h = container_of(d, struct hid, usb);

    if (on)
        input_activate(d->dev.m->input, &h->input);
    else
        input_retire(d->dev.m->input, &h->input);
}

static const struct usb_kind kinds[] = {
    [HID_KEYBOARD] = { keyboard_device, keyboard_config, sizeof(keyboard_config), strings, hid_request, hid_in, hid_usb_reset, hid_configured },
    [HID_MOUSE] = { mouse_device, mouse_config, sizeof(mouse_config), strings, hid_request, hid_in, hid_usb_reset, hid_configured },
    [HID_TABLET] = { tablet_device, tablet_config, sizeof(tablet_config), strings, hid_request, hid_in, hid_usb_reset, hid_configured },
};

/* -- the classes ------------------------------------------------------------------------------------------------------ */

static int hid_realize(struct device *d, enum hid_kind kind, const char *name, struct err *e)
{
    struct hid *h = container_of(d, struct hid, usb.dev);

    h->kind = kind;
    if (usb_attach(&h->usb, &kinds[kind], e) < 0)
        return -1;
    h->input = (struct input_handler){ .name = name, .key = kind == HID_KEYBOARD ? on_key : NULL, .rel = kind == HID_MOUSE ? on_rel : NULL,
                                       .abs = kind == HID_TABLET ? on_abs : NULL, .opaque = h };
    timer_init(&h->repeat, d->m->clock, on_repeat, h);
    input_add_idle(d->m->input, &h->input);
    usb_reset(&h->usb);
    return 0;
}

static int keyboard_realize(struct device *d, struct err *e) { return hid_realize(d, HID_KEYBOARD, "USB keyboard", e); }
static int mouse_realize(struct device *d, struct err *e) { return hid_realize(d, HID_MOUSE, "USB mouse", e); }
static int tablet_realize(struct device *d, struct err *e) { return hid_realize(d, HID_TABLET, "USB tablet", e); }

static void hid_unrealize(struct device *d)
{
    struct hid *h = container_of(d, struct hid, usb.dev);

    timer_cancel(&h->repeat);
    input_del(d->m->input, &h->input);
    usb_detach(&h->usb);
}

static void hid_reset(struct device *d)
{
    usb_reset(&container_of(d, struct hid, usb.dev)->usb);
}

static void hid_post_load(struct device *d)
{
    struct hid *h = container_of(d, struct hid, usb.dev);

    h->n_keys = MIN_OF(h->n_keys, KEYS_DOWN);
    h->n_events = MIN_OF(h->n_events, QUEUE);
    h->n_strokes = MIN_OF(h->n_strokes, STROKES);
    usb_post_load(&h->usb);
}

static const struct prop hid_props[] = { USB_PROPS, PROP_DONE };
static const struct snap_field event_fields[] = {
    SNAP_U(struct hid_event, x), SNAP_U(struct hid_event, y), SNAP_U(struct hid_event, wheel), SNAP_U(struct hid_event, buttons), SNAP_DONE
};
static const struct snap_field hid_fields[] = {
    USB_SNAP, SNAP_U(struct hid, idle), SNAP_U(struct hid, protocol), SNAP_U(struct hid, leds), SNAP_U(struct hid, modifiers),
    SNAP_B(struct hid, keys), SNAP_U(struct hid, n_keys), SNAP_S(struct hid, last, event_fields), SNAP_U(struct hid, n_events),
    SNAP_U(struct hid, n_strokes), SNAP_AS(struct hid, event, event_fields), SNAP_B(struct hid, stroke), SNAP_B(struct hid, stroke_down),
    SNAP_U(struct hid, repeat_at), SNAP_T(struct hid, repeat), SNAP_DONE
};

#define HID_CLASS(name_, desc_, realize_) \
    { .name = name_, .desc = desc_, .state_size = sizeof(struct hid), .user_creatable = true, .bus_type = "usb-bus", .props = hid_props, \
      .fields = hid_fields, .snap_version = 2, .realize = realize_, .reset = hid_reset, .unrealize = hid_unrealize, .post_load = hid_post_load }
const struct dev_class usb_kbd_class = HID_CLASS("usb-kbd", "USB keyboard", keyboard_realize);
const struct dev_class usb_mouse_class = HID_CLASS("usb-mouse", "USB mouse", mouse_realize);
const struct dev_class usb_tablet_class = HID_CLASS("usb-tablet", "USB tablet: a pointer with absolute positions", tablet_realize);
