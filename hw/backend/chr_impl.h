/* Inside of the character back ends: the base object that every kind shares, and what a kind implements. Included only by
 * hw/backend/chr*.c. Fields marked [main] belong to the main thread, [lock] to c->lock. */
#ifndef HW_BACKEND_CHR_IMPL_H
#define HW_BACKEND_CHR_IMPL_H
#include <glib-unix.h>
#include "hw/backend/chr.h"
#include "util/opts.h"
#include "util/lock.h"

struct chr_kind {
    const char *name, *alias;
    const char *const *options; /* names that -chardev KIND takes besides those of every kind; NULL at the end; NULL: none */
    bool halves;  /* input and output end independently: end-of-file leaves the output open */
    /* Opens what the options say; all names are known ones. 0, or -1 with e set. Main thread. */
    int (*open)(struct chr *c, struct opts *o, struct err *e);
    /* The peer has gone: fds are already closed. May prepare for the next one. [main] */
    void (*disconnected)(struct chr *c);
    /* read(2) of rfd for kinds that filter input; -1 with EAGAIN: nothing for the front end. [main] */
    ssize_t (*recv)(struct chr *c, u8 *buf, size_t room);
    /* Takes the place of the queue and wfd. */
    void (*write)(struct chr *c, const u8 *buf, unsigned len);
    unsigned (*pending)(struct chr *c);
    /* The front end can take input again, or has just attached. [main] */
    void (*poke)(struct chr *c);
    /* The front end was attached or detached. [main] */
    void (*attached)(struct chr *c, bool there);
    void (*close)(struct chr *c); /* releases priv */
};

struct chr {
    char *id;
    const struct chr_kind *kind;
    void *priv;             /* the kind's own state */
    struct chr *next;       /* registry, [main] */
    char *filename;         /* for query-chardev [main] */
    bool claimed;           /* by a front end [main] */

    /* front end [main] */
    unsigned (*can_read)(void *opaque);
    void (*read)(void *opaque, const u8 *buf, unsigned len);
    void (*event)(void *opaque, enum chr_event ev);
    void (*drained)(void *opaque);
    void *opaque;
    bool announced;         /* CHR_OPENED was sent, CHR_CLOSED was not */

    int rfd;                /* input, -1 if none [main] */
    bool own_rfd, own_wfd;  /* close them */
    GSource *in;            /* watches rfd while the front end can take bytes [main] */

    struct lock lock;
    int wfd;                /* output, -1: nobody is connected, output is dropped [lock] */
    bool w_is_socket;
    /* Puts what is written into the form that the peer gets; NULL: as it is. [lock] */
    void (*encode)(GByteArray *out, const u8 *buf, unsigned len);
    bool connected;         /* [lock] */
    bool lost;              /* a write failed: the main thread must disconnect [lock] */
    bool full_warned;
    GByteArray *queue;      /* [lock] */
    unsigned sent;          /* bytes at the queue's front that are written already [lock] */
    GSource *out;           /* watches wfd while the queue is not empty [lock] */
    int log_fd;             /* logfile=, -1 if none [lock] */
    int poke_posted;        /* [atomic] an update waits on the main loop */
};

struct chr *chr_alloc(const char *id, const struct chr_kind *kind);
void chr_link(struct chr *c);
/* A peer is there: rfd and wfd (either may be -1) belong to c from now on if `own`. */
void chr_connect(struct chr *c, int rfd, int wfd, bool own);
/* As chr_write, around encode and the log. */
void chr_write_raw(struct chr *c, const u8 *buf, unsigned len);
/* The peer has gone; calls kind->disconnected. [main] */
void chr_disconnect(struct chr *c);
/* Delivers bytes that a kind got on its own, at most can_read() of them. [main] */
void chr_deliver(struct chr *c, const u8 *buf, unsigned len);
unsigned chr_can_read(struct chr *c);
void chr_send_event(struct chr *c, enum chr_event ev);
/* Runs update on the main loop soon. Any thread. */
void chr_post_update(struct chr *c);
/* A source on the default main context; the caller keeps the reference. Any thread. */
GSource *chr_watch(int fd, GIOCondition cond, GUnixFDSourceFunc fn, void *opaque);
void chr_unwatch(GSource **s);

/* Says where c leads, for query-chardev. [main] */
void chr_set_filename(struct chr *c, const char *fmt, ...) PRINTF(2, 3);
/* Makes a back end of the given kind and puts it into the registry; o may be NULL if the kind needs no options. */
struct chr *chr_open(const char *id, const struct chr_kind *kind, struct opts *o, struct err *e);
/* Takes c out of the registry. */
void chr_unlink(struct chr *c);

extern const struct chr_kind chr_null, chr_stdio, chr_file, chr_pipe, chr_pty, chr_socket, chr_udp, chr_ringbuf, chr_serial, chr_mux;
/* A multiplexer on top of `under`, which it owns from now on. */
struct chr *chr_mux_new(const char *id, struct chr *under);
/* A new port, or NULL with e set. */
struct chr *chr_mux_claim(struct chr *c, struct err *e);
void chr_mux_release(struct chr *port);
/* Gives the terminal its modes back; harmless if they were never changed. */
void chr_stdio_restore(void);

/* Telnet's commands in a stream (RFC 854, 856, 857, 858): takes them out, in place, and returns what is left of n bytes. */
struct telnet {
    unsigned state; /* bytes of a command seen */
    bool sub;       /* inside of a sub-negotiation */
};
unsigned telnet_filter(struct telnet *t, struct chr *c, u8 *buf, unsigned n);
/* What a server says first: character-at-a-time, eight bits. */
void telnet_greet(struct chr *c);

#endif
