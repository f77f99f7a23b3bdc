/* The telnet protocol on a character socket, as much as a console needs: character-at-a-time mode, eight bits, BREAK. Main thread, from
 * chr_sock.c. Source: RFC 854 (commands), 856 (binary), 857 (echo), 858 (suppress go-ahead). */
#include "hw/backend/chr_impl.h"

enum { SE = 240, BRK = 243, IP = 244, SB = 250, WILL = 251, DONT = 254, IAC = 255 };
enum { OPT_BINARY = 0, OPT_ECHO = 1, OPT_SGA = 3 };

void telnet_greet(struct chr *c)
{
    static const u8 hello[] = {
        IAC, WILL, OPT_ECHO, IAC, WILL, OPT_SGA, IAC, WILL, OPT_BINARY, IAC, 253 /* DO */, OPT_BINARY,
    };

    chr_write(c, hello, sizeof(hello));
}

/* One byte behind an IAC; true: it is data after all. */
static bool command(struct telnet *t, struct chr *c, u8 b)
{
    t->state = 0;
    if (b == IAC)
        return !t->sub;
    if (b == SB || b == SE)
        t->sub = b == SB;
    else if (b >= WILL && b <= DONT)
        t->state = 2; /* an option follows */
    else if (b == BRK || b == IP)
        chr_send_event(c, CHR_BREAK);
    return false;
}

unsigned telnet_filter(struct telnet *t, struct chr *c, u8 *buf, unsigned n)
{
    unsigned left = 0;

    for (unsigned i = 0; i < n; i++) {
        u8 b = buf[i];
        if (t->state == 2)
            t->state = 0;
        else if (t->state == 1) {
            if (command(t, c, b))
                buf[left++] = b;
        } else if (b == IAC)
            t->state = 1;
        else if (!t->sub)
            buf[left++] = b;
    }
    return left;
}
