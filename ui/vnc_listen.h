/* Listening sockets for the VNC server. Main thread. */
#ifndef UI_VNC_LISTEN_H
#define UI_VNC_LISTEN_H
#include "util/err.h"

#define VNC_LISTEN_MAX 8
struct vnc_sockets {
    int fd[VNC_LISTEN_MAX];
    unsigned n;
    char address[128];    /* of the first */
    char *unix_path;      /* removed at the end, or NULL */
};

/* "unix:PATH", "[HOST]:NUMBER" or "[HOST]:PORT" as base says (5900: display numbers; 0: ports). Tries numbers up to `to` while ports are taken. The
 * sockets are added to s; *number is the one that was free. 0, or -1 with e set. */
int vnc_listen(struct vnc_sockets *s, const char *where, unsigned base, unsigned to, unsigned *number, struct err *e);
void vnc_sockets_close(struct vnc_sockets *s);

#endif
