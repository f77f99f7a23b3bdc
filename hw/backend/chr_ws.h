/* WebSocket on a character socket, the server's side (RFC 6455): pure functions on bytes, used by chr_sock.c. Main thread, but for ws_frame. */
#ifndef HW_BACKEND_CHR_WS_H
#define HW_BACKEND_CHR_WS_H
#include <glib.h>
#include "util/base.h"

#define WS_REQUEST_MAX 8192 /* bytes of a handshake */

enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* The answer to a client's handshake, which ends with an empty line. False: it is none, and the answer says so. */
bool ws_handshake(const char *request, GString *answer);
/* Appends a frame with these bytes. Any thread. */
void ws_frame(GByteArray *out, unsigned opcode, const u8 *buf, u64 len);

struct ws {
    u8 head[14];      /* of the present frame, as far as it has come */
    u8 n_head, opcode, n_control;
    u8 control[125];  /* payload of a control frame */
    bool in_payload, message; /* message: a fragmented one goes on */
    u64 left;         /* bytes of payload to come */
    u8 mask[4], mask_at;
};
/* Takes n bytes of the stream; leaves what they hold of messages in buf, and returns how many. Appends to `reply` what is to be sent back as
 * it is. -1: the peer has closed, or breaks the protocol; send the reply and hang up. */
int ws_decode(struct ws *w, u8 *buf, unsigned n, GByteArray *reply);

#endif
