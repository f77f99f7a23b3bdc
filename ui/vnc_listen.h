/* Listening sockets for the VNC server, and names for the ends of connections. Main thread; names: the server's thread, too. */
#ifndef UI_VNC_LISTEN_H
#define UI_VNC_LISTEN_H
#include <sys/socket.h>
#include "util/err.h"

/* One end of a connection as QMP tells it; a unix socket's host is its path, which a client has none of. */
struct vnc_address {
    char host[112], service[8];
    const char *family; /* ipv4, ipv6, unix */
};
void vnc_address_set(struct vnc_address *a, const struct sockaddr *sa, socklen_t len);

#define VNC_LISTEN_MAX 8
struct vnc_sockets {
    int fd[VNC_LISTEN_MAX];
    unsigned n;
    struct vnc_address at; /* the first */
    char address[128];     /* the same in one word: "127.0.0.1:5900", "unix:PATH" */
    char *unix_path;       /* removed at the end, or NULL */
};

/* "unix:PATH", "[HOST]:NUMBER" or "[HOST]:PORT" as base says (5900: display numbers; 0: ports). Tries numbers up to `to` while ports are taken. The
 * sockets are added to s; *number is the one that was free. 0, or -1 with e set. */
int vnc_listen(struct vnc_sockets *s, const char *where, unsigned base, unsigned to, unsigned *number, struct err *e);
void vnc_sockets_close(struct vnc_sockets *s);

#endif
