/* The PS/2 keyboard and mouse protocols: commands, scan code sets, movement packets. Called by i8042.c with the machine lock
 * held. Specification: IBM PS/2 Hardware Interface Technical Reference (keyboard, mouse); IntelliMouse extensions. */
#include "hw/input/ps2.h"
#include "util/log.h"

#define ACK 0xfa
#define RESEND 0xfe
#define BAT_OK 0xaa

/* The controller's table from set 2 to set 1 for codes below 0x80; 0x83 and 0x84 are the only others that change. */
static const u8 set2_to_set1[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

u8 ps2_translate(u8 set2)
{
    if (set2 < 0x80)
        return set2_to_set1[set2];
    return set2 == 0x83 ? 0x41 : set2 == 0x84 ? 0x54 : set2;
}

/* The set 2 code whose translation is the set 1 make code; 0 if there is none. */
static u8 set1_to_set2(u8 set1)
{
    if (set1 == 0x41)
        return 0x83; /* F7 */
    if (set1 == 0x54)
        return 0x84; /* SysRq */
    for (unsigned i = 1; i < ARRAY_LEN(set2_to_set1); i++)
        if (set2_to_set1[i] == set1)
            return i;
    return 0;
}

static void reply_put(u8 *reply, u8 *count, u8 val)
{
    if (*count < PS2_REPLY_SIZE)
        reply[(*count)++] = val;
}

static u8 reply_get(u8 *reply, u8 *count)
{
    u8 val = reply[0];
    memmove(reply, reply + 1, --*count);
    return val;
}

static void kbd_reply(struct ps2_kbd *k, u8 val) { reply_put(k->reply, &k->reply_count, val); }
static void mouse_reply(struct ps2_mouse *m, u8 val) { reply_put(m->reply, &m->reply_count, val); }

/* --- keyboard --- */
static void kbd_defaults(struct ps2_kbd *k)
{
    k->scan_set = 2;
    k->rate = 0x2b;
    k->keys_count = 0;
    k->command = 0;
}

void ps2_kbd_reset(struct ps2_kbd *k)
{
    memset(k, 0, sizeof(*k));
    kbd_defaults(k);
    k->scanning = true;
}

static void kbd_argument(struct ps2_kbd *k, u8 val)
{
    u8 command = k->command;
    k->command = 0;
    if (command == 0xf0 && val > 2) {
        GUEST_ERROR("ps2: keyboard has no scan code set %u", val);
        kbd_reply(k, RESEND);
        return;
    }
    kbd_reply(k, ACK);
    if (command == 0xed)
        k->leds = val & 7;
    else if (command == 0xf3)
        k->rate = val & 0x7f;
    else if (val)
        k->scan_set = val;
    else
        kbd_reply(k, k->scan_set);
}

void ps2_kbd_write(struct ps2_kbd *k, u8 val)
{
    if (k->command) {
        kbd_argument(k, val);
        return;
    }
    switch (val) {
    case 0xed: case 0xf0: case 0xf3: /* LEDs, scan code set, typematic rate */
        k->command = val;
        kbd_reply(k, ACK);
        break;
    case 0xee: /* echo */
        kbd_reply(k, 0xee);
        break;
    case 0xf2: /* identify */
        kbd_reply(k, ACK);
        kbd_reply(k, 0xab);
        kbd_reply(k, 0x83);
        break;
    case 0xf4:
        k->scanning = true;
        kbd_reply(k, ACK);
        break;
    case 0xf5: case 0xf6: /* defaults; f5 also stops scanning */
        kbd_defaults(k);
        k->scanning = val == 0xf6 ? k->scanning : false;
        kbd_reply(k, ACK);
        break;
    case 0xfe:
        kbd_reply(k, k->last);
        break;
    case 0xff:
        ps2_kbd_reset(k);
        kbd_reply(k, ACK);
        kbd_reply(k, BAT_OK);
        break;
    default:
        kbd_reply(k, RESEND);
    }
}

int ps2_kbd_read(struct ps2_kbd *k)
{
    if (k->reply_count)
        return k->last = reply_get(k->reply, &k->reply_count);
    if (!k->keys_count)
        return -1;
    k->last = k->keys[k->keys_head];
    k->keys_head = (k->keys_head + 1) % PS2_KEYS_SIZE;
    k->keys_count--;
    return k->last;
}

static unsigned code_put(u8 *out, unsigned n, u8 val)
{
    out[n] = val;
    return n + 1;
}

/* Appends one make or break code, after its 0xe0 if extended. */
static unsigned code_key(const struct ps2_kbd *k, u8 *out, unsigned n, u8 set1, bool extended, bool down)
{
    if (extended)
        n = code_put(out, n, 0xe0);
    if (k->scan_set == 1)
        return code_put(out, n, set1 | (down ? 0 : 0x80));
    if (!down)
        n = code_put(out, n, 0xf0);
    return code_put(out, n, set1_to_set2(set1));
}

/* The bytes of a key event, at most 8; 0 if the key has none. */
static unsigned key_codes(const struct ps2_kbd *k, u8 *out, u16 key, bool down)
{
    static const u8 pause1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    static const u8 pause2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    u8 set1 = key & 0x7f;
    bool extended = key >> 8 == 0xe0;
    if (key == 0xe11d) { /* Pause sends all at once and nothing when released */
        memcpy(out, k->scan_set == 1 ? pause1 : pause2, sizeof(pause2) - (k->scan_set == 1 ? 2 : 0));
        return !down ? 0 : k->scan_set == 1 ? sizeof(pause1) : sizeof(pause2);
    }
    if (key == 0xe037) { /* Print Screen comes with a shift of its own */
        unsigned n = code_key(k, out, 0, down ? 0x2a : 0x37, true, down);
        return code_key(k, out, n, down ? 0x37 : 0x2a, true, down);
    }
    if (!set1 || (key >> 8 && !extended) || !set1_to_set2(set1))
        return 0;
    return code_key(k, out, 0, set1, extended, down);
}

void ps2_kbd_key(struct ps2_kbd *k, u16 key, bool down)
{
    u8 codes[8];
    unsigned n = k->scanning ? key_codes(k, codes, key, down) : 0;
    if (k->keys_count + n > PS2_KEYS_SIZE)
        return; /* the guest has long stopped reading */
    for (unsigned i = 0; i < n; i++)
        k->keys[(k->keys_head + k->keys_count++) % PS2_KEYS_SIZE] = codes[i];
}

/* --- mouse --- */
static void mouse_defaults(struct ps2_mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->scale21 = m->remote = m->reporting = m->wrap = false;
    m->command = 0;
    m->dx = m->dy = m->dz = 0;
    m->changed = false;
    m->packet_size = m->packet_pos = 0;
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    u8 buttons = m->buttons; /* held by the user */
    memset(m, 0, sizeof(*m));
    m->buttons = buttons;
    mouse_defaults(m);
}

static int clamp(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* 2:1 scaling, in stream mode only. */
static int scale(const struct ps2_mouse *m, int v)
{
    static const i8 table[] = { 0, 1, 1, 3, 6, 9 };
    if (!m->scale21 || m->remote)
        return v;
    int a = v < 0 ? -v : v;
    a = a < (int)ARRAY_LEN(table) ? table[a] : clamp(2 * a, 0, 255);
    return v < 0 ? -a : a;
}

/* Builds the next movement packet; what does not fit waits for the one after. */
static void packet_build(struct ps2_mouse *m)
{
    int dx = clamp(m->dx, -255, 255), dy = clamp(m->dy, -255, 255);
    int dz = m->id == 4 ? clamp(m->dz, -8, 7) : clamp(m->dz, -128, 127);
    int x = scale(m, dx), y = -scale(m, dy);
    m->packet[0] = 0x08 | (m->buttons & 7) | (x < 0) << 4 | (y < 0) << 5;
    m->packet[1] = x;
    m->packet[2] = y;
    m->packet[3] = m->id == 4 ? (dz & 0x0f) | (m->buttons & 0x18) << 1 : dz;
    m->packet_size = m->id ? 4 : 3;
    m->packet_pos = 0;
    m->dx -= dx;
    m->dy -= dy;
    m->dz = m->id ? m->dz - dz : 0;
    m->changed = m->dx || m->dy || m->dz;
}

static void mouse_rate(struct ps2_mouse *m, u8 rate)
{
    static const u8 wheel[3] = { 200, 100, 80 }, five[3] = { 200, 200, 80 };
    m->rate = rate;
    memmove(m->knock, m->knock + 1, 2);
    m->knock[2] = rate;
    if (!memcmp(m->knock, wheel, 3))
        m->id = 3;
    else if (!memcmp(m->knock, five, 3) && m->id == 3)
        m->id = 4;
}

static void mouse_status(struct ps2_mouse *m)
{
    u8 b = m->buttons;
    mouse_reply(m, m->remote << 6 | m->reporting << 5 | m->scale21 << 4 | (b & 1) << 2 | (b & 4) >> 1 | (b & 2) >> 1);
    mouse_reply(m, m->resolution);
    mouse_reply(m, m->rate);
}

static void mouse_command(struct ps2_mouse *m, u8 val)
{
    mouse_reply(m, ACK);
    switch (val) {
    case 0xe6: case 0xe7:
        m->scale21 = val == 0xe7;
        break;
    case 0xe8: case 0xf3: /* resolution, sample rate */
        m->command = val;
        break;
    case 0xe9:
        mouse_status(m);
        break;
    case 0xea: case 0xf0: /* stream, remote mode */
        m->remote = val == 0xf0;
        break;
    case 0xeb: /* read data */
        packet_build(m);
        for (unsigned i = 0; i < m->packet_size; i++)
            mouse_reply(m, m->packet[i]);
        m->packet_size = 0;
        break;
    case 0xec: /* reset wrap mode */
        break;
    case 0xee:
        m->wrap = true;
        break;
    case 0xf2:
        mouse_reply(m, m->id);
        break;
    case 0xf4: case 0xf5:
        m->reporting = val == 0xf4;
        break;
    case 0xf6:
        mouse_defaults(m);
        break;
    case 0xff:
        ps2_mouse_reset(m);
        mouse_reply(m, ACK);
        mouse_reply(m, BAT_OK);
        mouse_reply(m, 0);
        break;
    default:
        m->reply[m->reply_count - 1] = RESEND;
    }
}

void ps2_mouse_write(struct ps2_mouse *m, u8 val)
{
    m->packet_size = m->packet_pos = 0; /* a command cuts off the packet under way */
    if (m->command) {
        mouse_reply(m, ACK);
        if (m->command == 0xe8)
            m->resolution = val & 3;
        else
            mouse_rate(m, val);
        m->command = 0;
    } else if (m->wrap && val != 0xec && val != 0xff) {
        mouse_reply(m, val);
    } else if (val == 0xfe) {
        mouse_reply(m, m->last);
    } else {
        m->wrap = false;
        mouse_command(m, val);
    }
}

int ps2_mouse_read(struct ps2_mouse *m)
{
    if (m->reply_count)
        return m->last = reply_get(m->reply, &m->reply_count);
    if (m->packet_pos == m->packet_size) {
        if (!m->changed || !m->reporting || m->remote)
            return -1;
        packet_build(m);
    }
    return m->last = m->packet[m->packet_pos++];
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons)
{
    m->dx = clamp(m->dx + clamp(dx, -4096, 4096), -4096, 4096);
    m->dy = clamp(m->dy + clamp(dy, -4096, 4096), -4096, 4096);
    m->dz = clamp(m->dz + clamp(dz, -4096, 4096), -4096, 4096);
    m->buttons = buttons & 0x1f;
    m->changed = true;
}

const struct snap_field ps2_kbd_fields[] = {
    SNAP_A(struct ps2_kbd, reply),
    SNAP_U(struct ps2_kbd, reply_count),
    SNAP_A(struct ps2_kbd, keys),
    SNAP_U(struct ps2_kbd, keys_head),
    SNAP_U(struct ps2_kbd, keys_count),
    SNAP_U(struct ps2_kbd, command),
    SNAP_U(struct ps2_kbd, last),
    SNAP_U(struct ps2_kbd, scan_set),
    SNAP_U(struct ps2_kbd, leds),
    SNAP_U(struct ps2_kbd, rate),
    SNAP_U(struct ps2_kbd, scanning),
    SNAP_DONE,
};

const struct snap_field ps2_mouse_fields[] = {
    SNAP_A(struct ps2_mouse, reply),
    SNAP_U(struct ps2_mouse, reply_count),
    SNAP_A(struct ps2_mouse, packet),
    SNAP_U(struct ps2_mouse, packet_size),
    SNAP_U(struct ps2_mouse, packet_pos),
    SNAP_U(struct ps2_mouse, command),
    SNAP_U(struct ps2_mouse, last),
    SNAP_U(struct ps2_mouse, id),
    SNAP_U(struct ps2_mouse, rate),
    SNAP_U(struct ps2_mouse, resolution),
    SNAP_A(struct ps2_mouse, knock),
    SNAP_U(struct ps2_mouse, reporting),
    SNAP_U(struct ps2_mouse, remote),
    SNAP_U(struct ps2_mouse, wrap),
    SNAP_U(struct ps2_mouse, scale21),
    SNAP_U(struct ps2_mouse, changed),
    SNAP_U(struct ps2_mouse, buttons),
    SNAP_U(struct ps2_mouse, dx),
    SNAP_U(struct ps2_mouse, dy),
    SNAP_U(struct ps2_mouse, dz),
    SNAP_DONE,
};
