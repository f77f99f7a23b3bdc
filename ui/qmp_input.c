/* QMP commands for screen, keys and pointer. Main thread, from ui/qmp.c. */
#include "hw/core/input.h"
#include "hw/core/keymap.h"
#include "hw/core/machine.h"
#include "ui/qmp_cmd.h"
#include "ui/screendump.h"
#include "ui/sendkey.h"

/* "device" and "head": a device that is there, and the one head that it has. */
static int check_display(struct qmp_call *c)
{
    const char *device = qmp_str(c, "device");
    bool there = true;

    if (device) {
        lock_acquire(&c->m->lock);
        there = device_find(c->m, device) != NULL;
        lock_release(&c->m->lock);
    }
    if (!there)
        return qmp_no_device(c, device);
    return qmp_int(c, "head", 0) ? err_set(&c->err, "there is only head 0") : 0;
}

int qmp_screendump(struct qmp_call *c)
{
    if (check_display(c) < 0)
        return -1;
    return screendump(c->m, qmp_str(c, "filename"), qmp_has(c, "format") ? qmp_str(c, "format") : "ppm", qmp_str(c, "device"), &c->err);
}

/* --- keys --- */

/* A KeyValue: {"type": "qcode", "data": "ret"} or {"type": "number", "data": 28}. */
static int key_code(struct qmp_call *c, JsonObject *v, u16 *out)
{
    JsonNode *data = json_object_get_member(v, "data");
    const struct key *k;

    if (!strcmp(json_object_get_string_member(v, "type"), "number")) {
        i64 n = json_node_get_int(data);
        *out = n & 0x80 && n < 0x100 ? (u16)(0xe000 | (n & 0x7f)) : (u16)n; /* QEMU's numbers: bit 7 stands for 0xe0 */
        return n > 0 && n < 0x10000 ? 0 : err_set(&c->err, "Parameter 'data' expects a scan code");
    }
    k = key_by_name(json_node_get_string(data));
    if (!k)
        return err_set(&c->err, "Parameter 'data' does not accept value '%s'", json_node_get_string(data));
    *out = k->code;
    return 0;
}

int qmp_send_key(struct qmp_call *c)
{
    JsonArray *keys = json_object_get_array_member(c->args, "keys");
    unsigned n = json_array_get_length(keys);
    i64 hold = qmp_int(c, "hold-time", 0);
    u16 codes[INPUT_PRESS_MAX];

    if (n > INPUT_PRESS_MAX || n == 0)
        return err_set(&c->err, "1 to %d keys can be pressed together", INPUT_PRESS_MAX);
    if (hold < 0 || hold > 3600000)
        return err_set(&c->err, "Parameter 'hold-time' expects milliseconds up to an hour");
    for (unsigned i = 0; i < n; i++)
        if (key_code(c, json_array_get_object_element(keys, i), &codes[i]) < 0)
            return -1;
    return sendkey_codes(c->m, codes, n, (unsigned)hold, &c->err);
}

/* --- events --- */

/* Movements of one command are one step: collected, and handed on when a button or key comes, and at the end. */
struct motion {
    bool rel, abs;
    int dx, dy, x, y, wheel;
    unsigned buttons;
    bool buttons_changed;
};

/* Lock held. */
static void motion_flush(struct input *in, struct motion *m)
{
    if (m->abs)
        input_abs(in, m->x, m->y, m->wheel, m->buttons);
    else if (m->rel || m->buttons_changed || m->wheel)
        input_rel(in, m->dx, m->dy, m->wheel, m->buttons);
    *m = (struct motion){ .buttons = m->buttons, .x = m->x, .y = m->y };
}

static int take_key(struct qmp_call *c, JsonObject *d, struct motion *m)
{
    u16 code;

    if (key_code(c, json_object_get_object_member(d, "key"), &code) < 0)
        return -1;
    lock_acquire(&c->m->lock);
    motion_flush(c->m->input, m);
    input_key(c->m->input, code, json_object_get_boolean_member(d, "down"));
    lock_release(&c->m->lock);
    return 0;
}

static void take_button(struct qmp_call *c, JsonObject *d, struct motion *m)
{
    static const struct {
        const char *name;
        unsigned button;
        int wheel;
    } buttons[] = {
        { "left", INPUT_LEFT, 0 }, { "middle", INPUT_MIDDLE, 0 }, { "right", INPUT_RIGHT, 0 }, { "wheel-up", 0, 1 }, { "wheel-down", 0, -1 },
        { "side", INPUT_SIDE, 0 }, { "extra", INPUT_EXTRA, 0 },
    };
    bool down = json_object_get_boolean_member(d, "down");
    unsigned i = 0;

    while (strcmp(buttons[i].name, json_object_get_string_member(d, "button")))
        i++; /* the schema knows no others */
    lock_acquire(&c->m->lock);
    motion_flush(c->m->input, m);
    if (down) {
        m->buttons |= buttons[i].button;
        m->wheel += buttons[i].wheel;
    } else {
        m->buttons &= ~buttons[i].button;
    }
    m->buttons_changed = true;
    lock_release(&c->m->lock);
}

static void take_move(JsonObject *d, bool absolute, struct motion *m)
{
    bool x = !strcmp(json_object_get_string_member(d, "axis"), "x");
    i64 v = json_object_get_int_member(d, "value");
    int bounded = (int)(absolute ? MAX_OF(MIN_OF(v, INPUT_ABS_MAX), 0) : MAX_OF(MIN_OF(v, 0x7fff), -0x7fff));

    *(absolute ? x ? &m->x : &m->y : x ? &m->dx : &m->dy) = bounded;
    m->abs |= absolute;
    m->rel |= !absolute;
}

int qmp_input_send_event(struct qmp_call *c)
{
    JsonArray *events = json_object_get_array_member(c->args, "events");
    struct motion m = { .buttons = input_buttons(c->m->input) };

    if (check_display(c) < 0)
        return -1;
    input_position(c->m->input, &m.x, &m.y); /* an axis that is not named stays */
    for (unsigned i = 0; i < json_array_get_length(events); i++) {
        JsonObject *ev = json_array_get_object_element(events, i), *d = json_object_get_object_member(ev, "data");
        const char *type = json_object_get_string_member(ev, "type");
        if (!strcmp(type, "key")) {
            if (take_key(c, d, &m) < 0)
                return -1;
        } else if (!strcmp(type, "btn")) {
            take_button(c, d, &m);
        } else {
            take_move(d, type[0] == 'a', &m);
        }
    }
    lock_acquire(&c->m->lock);
    motion_flush(c->m->input, &m);
    lock_release(&c->m->lock);
    return 0;
}

int qmp_query_mice(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();
    const struct input_handler *pointer;

    json_open_array(b, NULL);
    lock_acquire(&c->m->lock);
    pointer = input_pointer(c->m->input);
    for (const struct input_handler *h = input_first(c->m->input); h; h = h->next) {
        if (!h->rel && !h->abs)
            continue;
        json_open(b, NULL);
        json_str(b, "name", h->name);
        json_int(b, "index", h->index);
        json_bool(b, "current", h == pointer);
        json_bool(b, "absolute", h->abs != NULL);
        json_close(b);
    }
    lock_release(&c->m->lock);
    json_close_array(b);
    return qmp_answer(c, b);
}
