/* Monitor commands about VNC servers: info vnc, set_password, expire_password, change vnc. Main thread. */
#include <stdlib.h>
#include <time.h>
#include "ui/display.h"
#include "ui/monitor_cmd.h"
#include "ui/vnc.h"

void mon_info_vnc(struct mon *m, char *args)
{
    struct display *d = m->ui->display;

    if (!d || !d->n_vnc)
        mon_print(m, "None\n");
    for (unsigned i = 0; d && i < d->n_vnc; i++)
        vnc_print(d->vnc[i], m->out);
}

/* The server that "vnc [...] -d ID" means, or NULL after a message. */
static struct vnc *find(struct mon *m, const char *protocol, const char *id)
{
    struct vnc *v;

    if (!protocol || strcmp(protocol, "vnc")) {
        mon_print(m, "Invalid parameter '%s': the only protocol is vnc\n", protocol ? protocol : "");
        return NULL;
    }
    v = m->ui->display ? display_vnc(m->ui->display, id) : NULL;
    if (!v)
        mon_print(m, "There is no such VNC server\n");
    return v;
}

static void set_password(struct mon *m, struct vnc *v, const char *password)
{
    struct err e;

    if (vnc_set_password(v, password, &e) < 0)
        mon_print(m, "Error: %s\n", e.msg);
}

/* Two words and "-d ID" anywhere; a third word (what becomes of clients that are connected) can only be "keep". */
void mon_set_password(struct mon *m, char *args)
{
    const char *word[3] = { NULL }, *id = NULL, *w;
    unsigned n = 0;
    struct vnc *v;

    while ((w = mon_word(&args))) {
        if (!strcmp(w, "-d"))
            id = mon_word(&args);
        else if (n < ARRAY_LEN(word))
            word[n++] = w;
    }
    if (n < 2) {
        mon_print(m, "usage: set_password vnc PASSWORD [-d ID] [keep]\n");
        return;
    }
    if (word[2] && strcmp(word[2], "keep")) {
        mon_print(m, "Error: VNC supports only 'keep' for clients that are connected\n");
        return;
    }
    v = find(m, word[0], id);
    if (v)
        set_password(m, v, word[1]);
}

/* now, never, +SECONDS, or seconds since 1970. */
void mon_expire_password(struct mon *m, char *args)
{
    const char *protocol = mon_word(&args), *when = mon_word(&args), *opt = mon_word(&args);
    const char *id = opt && !strcmp(opt, "-d") ? mon_word(&args) : NULL;
    struct vnc *v = when ? find(m, protocol, id) : NULL;

    if (!when)
        mon_print(m, "usage: expire_password vnc now|never|+SECONDS|TIME [-d ID]\n");
    else if (v)
        vnc_expire_password(v, !strcmp(when, "now")     ? 0
                               : !strcmp(when, "never") ? G_MAXINT64
                               : *when == '+'           ? time(NULL) + strtoll(when + 1, NULL, 10)
                                                        : strtoll(when, NULL, 10));
}

void mon_change_vnc(struct mon *m, char *args)
{
    const char *what = mon_word(&args), *password = mon_word(&args);
    struct vnc *v;

    if (!what || strcmp(what, "password") || !password) {
        mon_print(m, "usage: change vnc password PASSWORD\n");
        return;
    }
    v = find(m, "vnc", NULL);
    if (v)
        set_password(m, v, password);
}
