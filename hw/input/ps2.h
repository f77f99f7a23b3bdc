/* The PS/2 keyboard and mouse as seen from the controller's end of their cables. State embedded in struct i8042; machine
 * lock held by every caller. */
#ifndef HW_INPUT_PS2_H
#define HW_INPUT_PS2_H
#include "util/snap.h"

#define PS2_REPLY_SIZE 16
#define PS2_KEYS_SIZE 256

struct ps2_kbd {
    u8 reply[PS2_REPLY_SIZE]; /* answers to commands, sent before keys */
    u8 reply_count;
    u8 keys[PS2_KEYS_SIZE];   /* scan codes, a ring */
    u16 keys_head, keys_count;
    u8 command;               /* waits for its argument; 0: none */
    u8 last;                  /* byte to resend */
    u8 scan_set;              /* 1 or 2 */
    u8 leds, rate;
    bool scanning;
};

struct ps2_mouse {
    u8 reply[PS2_REPLY_SIZE];
    u8 reply_count;
    u8 packet[4];             /* movement packet being sent */
    u8 packet_size, packet_pos;
    u8 command;
    u8 last;
    u8 id;                    /* 0 plain, 3 with wheel, 4 with five buttons */
    u8 rate, resolution;
    u8 knock[3];              /* last sample rates set: the way to the other IDs */
    bool reporting, remote, wrap, scale21;
    bool changed;             /* something to report */
    u8 buttons;
    i32 dx, dy, dz;           /* movement not yet reported, y down */
};

extern const struct snap_field ps2_kbd_fields[], ps2_mouse_fields[];

void ps2_kbd_reset(struct ps2_kbd *k);
/* A byte from the controller. */
void ps2_kbd_write(struct ps2_kbd *k, u8 val);
/* Next byte for the controller, or -1. */
int ps2_kbd_read(struct ps2_kbd *k);
/* key: as of ps2_key_event(). */
void ps2_kbd_key(struct ps2_kbd *k, u16 key, bool down);
/* The controller's translation of a set 2 code to set 1 (without the 0xf0 prefix rule). */
u8 ps2_translate(u8 set2);

void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, u8 val);
int ps2_mouse_read(struct ps2_mouse *m);
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons);

#endif
