/* Inside of the VNC server: what its two threads share. vnc.c is the main thread's side (options, the guest's screen, input), vnc_server.c
 * the server's thread, the only one that calls libvncserver once it runs. */
#ifndef UI_VNC_SERVER_H
#define UI_VNC_SERVER_H
#include <glib.h>
#include <pthread.h>
#include <rfb/rfb.h>
#include "hw/core/console.h"
#include "ui/display.h"
#include "ui/vnc.h"
#include "ui/vnc_listen.h"
#include "util/lock.h"

#define VNC_CLIENTS_MAX 64
#define VNC_EVENTS_MAX 1024
#define VNC_RECTS_MAX 64

enum vnc_share { VNC_ALLOW_EXCLUSIVE, VNC_FORCE_SHARED, VNC_IGNORE };

struct vnc_rect {
    int x0, y0, x1, y1;
};
/* A client that is connected, for QMP and events; libvncserver keeps it as the client's data. */
struct vnc_client {
    struct vnc_address at;
    bool websocket;
    bool initialized; /* it has said what it wants */
    u8 shifts;        /* which Shift keys it holds: bit 0 left, 1 right */
};
/* What clients did, for the main thread. */
struct vnc_event {
    enum { VNC_KEY, VNC_POINTER, VNC_CLIENTS /* some are there or gone */ } kind;
    u16 code;        /* KEY */
    bool down;
    int x, y;        /* POINTER: in the picture */
    unsigned mask;   /* RFB's button mask */
    int width, height;
};

struct vnc {
    struct display *d;
    char *id;
    struct vnc_sockets plain, websocket;
    bool password_on;
    enum vnc_share share;
    rfbScreenInfoPtr screen;
    pthread_t thread;
    bool started;
    int wake_fd;             /* eventfd: something for the server's thread */

    struct lock lock;        /* guards what follows */
    bool quit;
    bool ready;              /* the main thread draws: clients may be let in */
    u32 *fb;                 /* what libvncserver sends from; written by the main thread, too: a torn update is followed by another */
    int width, height;
    u32 *next_fb;            /* takes fb's place: the size has changed */
    int next_width, next_height;
    struct vnc_rect rect[VNC_RECTS_MAX]; /* changed, not yet said */
    unsigned n_rects;
    struct vnc_event event[VNC_EVENTS_MAX];
    unsigned n_events;
    bool caps_lock;          /* on in the guest, as far as clients' keys tell */
    bool posted;             /* vnc_events() is on its way to the main loop */
    unsigned n_clients;      /* connected or waiting */
    char password[9];        /* 8 characters count */
    i64 expires;
    GArray *clients;         /* struct vnc_client, as of the last round of the server */

    /* main thread */
    struct console *con;
    struct console_listener look;
    bool looking;
    const struct surface *surface;
    int last_x, last_y;
    unsigned buttons;        /* RFB's mask of the last event */
};

/* Runs until v->quit. */
void *vnc_server_thread(void *v);
int vnc_server_init(struct vnc *v, struct err *e);
void vnc_server_fini(struct vnc *v);
/* Lock held; any thread: posts an event to the main thread. */
void vnc_post(struct vnc *v, const struct vnc_event *ev);
/* On the main thread: takes and carries out what was posted. */
gboolean vnc_events(gpointer v);
void vnc_wake(struct vnc *v);

#endif
