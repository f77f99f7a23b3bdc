/* A VNC server for the guest's screen, on libvncserver. Main thread, machine lock not held. */
#ifndef UI_VNC_H
#define UI_VNC_H
#include <json-glib/json-glib.h>
#include "util/err.h"

struct display;
struct vnc;

/* arg: "[HOST]:NUMBER|unix:PATH[,to=N][,password=on][,websocket=on|[HOST:]PORT][,share=POLICY][,id=ID]". NULL with e set on error, also in
 * builds without libvncserver. */
struct vnc *vnc_new(struct display *d, const char *arg, struct err *e);
void vnc_free(struct vnc *v);
const char *vnc_id(const struct vnc *v);
const char *vnc_address(const struct vnc *v); /* "127.0.0.1:5900", "unix:PATH" */
/* -1 with e set if the server has no password=on. NULL or empty: nobody gets in. */
int vnc_set_password(struct vnc *v, const char *password, struct err *e);
/* The password ends at this host time (seconds since 1970); G_MAXINT64: never. */
void vnc_expire_password(struct vnc *v, i64 when);
/* Adds what query-vnc-servers tells of it. */
void vnc_describe(struct vnc *v, JsonBuilder *b);

#endif
