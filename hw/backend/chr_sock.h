/* The address half of character sockets: from options to a listening or connected socket. Only for hw/backend/chr_sock*.c; main
 * thread. */
#ifndef HW_BACKEND_CHR_SOCK_H
#define HW_BACKEND_CHR_SOCK_H
#include "hw/backend/chr_impl.h"

struct sock_addr {
    char *path;            /* unix */
    char *host, *port;     /* TCP */
    char *fd_word;         /* fd= */
    unsigned to;           /* TCP server: the last port to try, 0: only the first */
    int family;            /* TCP */
    bool abstract, tight;  /* unix */
    bool server;
    const char *scheme;    /* of its name: "tcp", "telnet", "websocket" */
    char *made;            /* unix server: the path, to be removed in the end */
};

int sock_addr_parse(struct sock_addr *a, struct opts *o, struct err *e);
/* Removes a server's path, too. */
void sock_addr_clear(struct sock_addr *a);
/* A socket that listens, is connected or, if nonblocking, is being connected; -1 with e set. */
int sock_open(struct sock_addr *a, bool nonblocking, struct err *e);
/* What query-chardev shows; fd: the connection, -1: none. Caller frees. */
char *sock_addr_name(const struct sock_addr *a, int fd);

#endif
