/* The WebSocket protocol as a server speaks it: handshake, frames to the peer, and the stream of masked frames that comes from it. Called by
 * chr_sock.c; see chr_ws.h. Source: RFC 6455, sections 4.2 (handshake), 5.2 (frames), 5.5 (control frames), 7.4 (status codes). */
#include "hw/backend/chr_ws.h"

enum { FIN = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f, CONTROL = 8 };
enum { STATUS_NORMAL = 1000, STATUS_PROTOCOL_ERROR = 1002 };

/* --- handshake --- */

static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n";

/* Whether `word` is in a comma-separated list, whatever its case. */
static bool lists(const char *list, const char *word)
{
    char **words = g_strsplit(list ? list : "", ",", -1);
    bool found = false;

    for (char **w = words; *w; w++)
        found |= !g_ascii_strcasecmp(g_strstrip(*w), word);
    g_strfreev(words);
    return found;
}

/* The value of a header among the lines of a request, without blanks around it; NULL if it is not there. */
static const char *header(char **lines, const char *name)
{
    size_t n = strlen(name);

    for (char **l = lines; *l; l++) /* the first, the request itself, has no colon where it could mislead */
        if (!g_ascii_strncasecmp(*l, name, n) && (*l)[n] == ':')
            return *l + n + 1 + strspn(*l + n + 1, " \t");
    return NULL;
}

/* 4.2.2, 5.4: the hash of the key and a fixed text. */
static char *accept_key(const char *key)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA1);
    u8 digest[20];
    gsize len = sizeof(digest);

    g_checksum_update(sum, (const guchar *)key, (gssize)strlen(key));
    g_checksum_update(sum, (const guchar *)"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", -1);
    g_checksum_get_digest(sum, digest, &len);
    g_checksum_free(sum);
    return g_base64_encode(digest, len);
}

/* The key is 16 bytes in base64. */
static bool key_is_right(const char *key)
{
    gsize len = 0;

    if (!key || strlen(key) != 24)
        return false;
    g_free(g_base64_decode(key, &len));
    return len == 16;
}

bool ws_handshake(const char *request, GString *answer)
{
    char **lines = g_strsplit(request, "\r\n", -1), *accept;
    const char *key, *version, *protocols;
    bool ok;

    for (char **l = lines; *l; l++)
        g_strchomp(*l);
    key = header(lines, "Sec-WebSocket-Key");
    version = header(lines, "Sec-WebSocket-Version");
    protocols = header(lines, "Sec-WebSocket-Protocol");
    ok = lines[0] && g_str_has_prefix(lines[0], "GET ") && g_str_has_suffix(lines[0], " HTTP/1.1") && lists(header(lines, "Upgrade"), "websocket") &&
         lists(header(lines, "Connection"), "Upgrade") && version && !strcmp(version, "13") && key_is_right(key) &&
         (!protocols || lists(protocols, "binary"));
    if (ok) {
        accept = accept_key(key);
        g_string_append_printf(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                               accept, protocols ? "Sec-WebSocket-Protocol: binary\r\n" : "");
        g_free(accept);
    } else {
        g_string_append(answer, refusal);
    }
    g_strfreev(lines);
    return ok;
}

/* --- to the peer --- */

void ws_frame(GByteArray *out, unsigned opcode, const u8 *buf, u64 len)
{
    u8 h[10] = { (u8)(FIN | opcode) };
    unsigned n = len < 126 ? 0 : len < 65536 ? 2 : 8;

    h[1] = n == 0 ? (u8)len : n == 2 ? 126 : 127;
    for (unsigned i = 0; i < n; i++)
        h[2 + i] = (u8)(len >> (n - 1 - i) * 8);
    g_byte_array_append(out, h, 2 + n);
    g_byte_array_append(out, buf, (guint)len);
}

/* --- from the peer --- */

static int hang_up(GByteArray *reply, unsigned status)
{
    const u8 code[2] = { (u8)(status >> 8), (u8)status };

    ws_frame(reply, WS_CLOSE, code, sizeof(code));
    return -1;
}

static unsigned head_size(const struct ws *w)
{
    unsigned len = w->n_head > 1 ? w->head[1] & LENGTH : 0;

    return 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + 4;
}

/* The header is complete: 5.2, 5.4, 5.5. False: it is wrong. */
static bool take_head(struct ws *w)
{
    unsigned opcode = w->head[0] & OPCODE, len = w->head[1] & LENGTH, n = head_size(w) - 6;
    bool control = opcode & CONTROL, fin = w->head[0] & FIN;

    w->left = n ? 0 : len;
    for (unsigned i = 0; i < n; i++)
        w->left = w->left << 8 | w->head[2 + i];
    if (w->head[0] & RESERVED || !(w->head[1] & MASKED) || w->left >> 63)
        return false;
    if (control ? opcode > WS_PONG || !fin || len > sizeof(w->control) : opcode > WS_BINARY || (opcode == 0) != w->message)
        return false;
    if (!control)
        w->message = !fin;
    memcpy(w->mask, w->head + 2 + n, 4);
    w->opcode = (u8)opcode;
    w->mask_at = w->n_control = w->n_head = 0;
    w->in_payload = true;
    return true;
}

/* A frame has ended. -1: the peer wants to go. */
static int end_frame(struct ws *w, GByteArray *reply)
{
    w->in_payload = false;
    if (w->opcode == WS_PING)
        ws_frame(reply, WS_PONG, w->control, w->n_control);
    return w->opcode == WS_CLOSE ? hang_up(reply, STATUS_NORMAL) : 0;
}

int ws_decode(struct ws *w, u8 *buf, unsigned n, GByteArray *reply)
{
    unsigned left = 0;

    for (unsigned i = 0; i < n; i++) {
        if (!w->in_payload) {
            w->head[w->n_head++] = buf[i];
            if (w->n_head < 2 || w->n_head < head_size(w))
                continue;
            if (!take_head(w))
                return hang_up(reply, STATUS_PROTOCOL_ERROR);
        } else {
            u8 b = buf[i] ^ w->mask[w->mask_at++ & 3];
            if (w->opcode & CONTROL)
                w->control[w->n_control++] = b;
            else
                buf[left++] = b;
            w->left--;
        }
        if (!w->left && end_frame(w, reply) < 0)
            return -1;
    }
    return (int)left;
}
