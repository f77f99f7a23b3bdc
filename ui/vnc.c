/* The main thread's side of the VNC server: its options, the copy of the guest's screen that clients see, the guest's input, passwords. The
 * server's own thread is in vnc_server.c. */
#include "ui/vnc.h"
#include "config.h"
#if HAVE_VNC
#include <stdio.h>
#include "hw/core/input.h"
#include "hw/core/machine.h"
#include "ui/json.h"
#include "ui/vnc_server.h"
#include "util/opts.h"

/* -- the picture ------------------------------------------------------------------------------------------------------ */

/* Where the picture is to be put now: a new size may still wait for the server. Lock held. */
static u32 *current_fb(struct vnc *v, int *width, int *height)
{
    *width = v->next_fb ? v->next_width : v->width;
    *height = v->next_fb ? v->next_height : v->height;
    return v->next_fb ? v->next_fb : v->fb;
}

static void on_resize(void *opaque, const struct surface *s)
{
    struct vnc *v = opaque;

    v->surface = s;
    lock_acquire(&v->lock);
    g_free(v->next_fb);
    v->next_fb = g_new0(u32, (gsize)s->width * s->height);
    v->next_width = s->width;
    v->next_height = s->height;
    v->n_rects = 0;
    lock_release(&v->lock);
    vnc_wake(v);
}

static void add_rect(struct vnc *v, struct vnc_rect r)
{
    struct vnc_rect *first = &v->rect[0];

    if (v->n_rects < VNC_RECTS_MAX) {
        v->rect[v->n_rects++] = r;
        return;
    }
    for (unsigned i = 1; i < v->n_rects; i++)
        *first = (struct vnc_rect){ MIN_OF(first->x0, v->rect[i].x0), MIN_OF(first->y0, v->rect[i].y0),
                                    MAX_OF(first->x1, v->rect[i].x1), MAX_OF(first->y1, v->rect[i].y1) };
    v->n_rects = 1;
    v->rect[v->n_rects++] = r;
}

static void on_update(void *opaque, int x, int y, int w, int h)
{
    struct vnc *v = opaque;
    const struct surface *s = v->surface;
    int width, height;
    bool first = false; /* else the server has been woken already */
    u32 *fb;

    lock_acquire(&v->lock);
    fb = current_fb(v, &width, &height);
    if (width == s->width && height == s->height) {
        first = !v->n_rects;
        for (int i = y; i < y + h; i++)
            memcpy(fb + (size_t)i * width + x, s->data + (size_t)i * s->stride + x, 4 * (size_t)w);
        add_rect(v, (struct vnc_rect){ x, y, x + w, y + h });
    }
    lock_release(&v->lock);
    if (first)
        vnc_wake(v);
}

/* Draws while there are clients. */
static void follow_clients(struct vnc *v)
{
    struct machine *m = v->d->m;
    bool want;

    lock_acquire(&v->lock);
    want = v->n_clients != 0;
    lock_release(&v->lock);
    if (want == v->looking)
        return;
    v->looking = want;
    lock_acquire(&m->lock);
    if (v->con && want) {
        console_listen(v->con, &v->look);
        console_refresh(v->con);
    } else if (v->con) {
        console_unlisten(v->con, &v->look);
    }
    if (!want)
        input_release_keys(m->input);
    lock_release(&m->lock);
    display_watch(v->d, want);
    lock_acquire(&v->lock);
    v->ready = want;
    lock_release(&v->lock);
    vnc_wake(v);
}

/* -- input ------------------------------------------------------------------------------------------------------------ */

static unsigned buttons_of(unsigned mask)
{
    return (mask & 1 ? INPUT_LEFT : 0) | (mask & 2 ? INPUT_MIDDLE : 0) | (mask & 4 ? INPUT_RIGHT : 0);
}

static void pointer(struct vnc *v, const struct vnc_event *ev)
{
    struct input *in = v->d->m->input;
    unsigned pressed = ev->mask & ~v->buttons;
    int wheel = (pressed & 8 ? 1 : 0) - (pressed & 16 ? 1 : 0);

    v->buttons = ev->mask;
    if (input_is_absolute(in))
        input_abs(in, (int)((i64)ev->x * INPUT_ABS_MAX / MAX_OF(ev->width - 1, 1)),
                  (int)((i64)ev->y * INPUT_ABS_MAX / MAX_OF(ev->height - 1, 1)), wheel, buttons_of(ev->mask));
    else
        input_rel(in, ev->x - v->last_x, ev->y - v->last_y, wheel, buttons_of(ev->mask));
    v->last_x = ev->x;
    v->last_y = ev->y;
}

gboolean vnc_events(gpointer opaque)
{
    struct vnc *v = opaque;
    struct vnc_event *ev;
    unsigned n;

    lock_acquire(&v->lock);
    v->posted = false;
    n = v->n_events;
    ev = g_memdup2(v->event, n * sizeof(*ev));
    v->n_events = 0;
    lock_release(&v->lock);
    lock_acquire(&v->d->m->lock);
    for (unsigned i = 0; i < n; i++) {
        if (ev[i].kind == VNC_KEY)
            input_key(v->d->m->input, ev[i].code, ev[i].down);
        else if (ev[i].kind == VNC_POINTER)
            pointer(v, &ev[i]);
    }
    lock_release(&v->d->m->lock);
    g_free(ev);
    follow_clients(v);
    display_wake(v->d);
    return G_SOURCE_REMOVE;
}

/* -- options, life ---------------------------------------------------------------------------------------------------- */

/* What QEMU has and we do not: refused by name. */
static const char *const missing[] = { "sasl", "tls-creds", "tls-authz", "sasl-authz", "acl", "reverse", "password-secret", "audiodev",
                                       "x509", "x509verify", "tls", NULL };

static int listen_all(struct vnc *v, struct opts *o, struct err *e)
{
    u64 to;
    unsigned number = 0, ws;
    const char *where = opts_get(o, "vnc"), *websocket = opts_get(o, "websocket");
    char *at;
    int r;

    if (!where)
        return err_set(e, "the display is missing: [HOST]:NUMBER or unix:PATH");
    if (opts_uint(o, "to", 0, 0, 59635, &to, e) < 0 || vnc_listen(&v->plain, where, 5900, (unsigned)to, &number, e) < 0)
        return -1;
    if (!websocket || !strcmp(websocket, "off"))
        return 0;
    if (!strcmp(websocket, "on") && v->plain.unix_path)
        return err_set(e, "websocket=on: give a port; the display is a unix socket");
    if (!strcmp(websocket, "on"))
        at = g_strdup_printf("%.*s:%u", (int)(strrchr(where, ':') - where), where, 5700 + number);
    else
        at = strchr(websocket, ':') ? g_strdup(websocket)
             : v->plain.unix_path   ? g_strdup_printf(":%s", websocket)
                                    : g_strdup_printf("%.*s:%s", (int)(strrchr(where, ':') - where), where, websocket);
    r = vnc_listen(&v->websocket, at, 0, 0, &ws, e);
    g_free(at);
    return r < 0 ? err_prefix(e, "websocket") : 0;
}

/* id=ID, else "default", "vnc2", "vnc3" ... */
static int choose_id(struct vnc *v, const char *id, struct err *e)
{
    v->id = g_strdup(id ? id : "default");
    for (unsigned i = 2; !id && display_vnc(v->d, v->id); i++) {
        g_free(v->id);
        v->id = g_strdup_printf("vnc%u", i);
    }
    return display_vnc(v->d, v->id) ? err_set(e, "Duplicate ID '%s' for vnc", v->id) : 0;
}

static int read_options(struct vnc *v, struct opts *o, struct err *e)
{
    static const char *const share[] = { "allow-exclusive", "force-shared", "ignore", NULL };
    int policy;
    bool lossy, adaptive;

    for (unsigned i = 0; missing[i]; i++)
        if (opts_has(o, missing[i]))
            return err_set(e, "'%s' is not available", missing[i]);
    if (choose_id(v, opts_get(o, "id"), e) < 0 || opts_bool(o, "password", false, &v->password_on, e) < 0 ||
        opts_enum(o, "share", share, 0, &policy, e) < 0 || opts_bool(o, "lossy", false, &lossy, e) < 0 || opts_bool(o, "non-adaptive", false, &adaptive, e) < 0)
        return -1;
    if (lossy)
        return err_set(e, "lossy=on is not available: the client chooses its encoding");
    v->share = policy;
    if (listen_all(v, o, e) < 0)
        return -1;
    return opts_all_used(o, e);
}

struct vnc *vnc_new(struct display *d, const char *arg, struct err *e)
{
    struct opts *o = opts_parse(arg, "vnc", e);
    struct vnc *v;

    if (!o)
        return NULL;
    v = g_new0(struct vnc, 1);
    v->d = d;
    v->wake_fd = -1;
    v->expires = G_MAXINT64;
    v->clients = g_array_new(FALSE, FALSE, sizeof(struct vnc_client));
    v->look = (struct console_listener){ on_resize, on_update, v, NULL };
    lock_init(&v->lock, "vnc", RANK_BACKEND);
    lock_acquire(&d->m->lock);
    v->con = console_first(d->m);
    lock_release(&d->m->lock);
    if (read_options(v, o, e) < 0 || vnc_server_init(v, e) < 0) {
        vnc_free(v);
        v = NULL;
    } else if (thread_start(&v->thread, "vnc", vnc_server_thread, v)) {
        err_set(e, "no thread for the VNC server: %s", strerror(errno));
        vnc_free(v);
        v = NULL;
    } else {
        v->started = true;
    }
    opts_free(o);
    return v;
}

void vnc_free(struct vnc *v)
{
    struct machine *m = v->d->m;

    if (v->started) {
        lock_acquire(&v->lock);
        v->quit = true;
        lock_release(&v->lock);
        vnc_wake(v);
        pthread_join(v->thread, NULL);
    }
    vnc_server_fini(v);
    while (g_idle_remove_by_data(v))
        continue;
    if (v->looking) {
        lock_acquire(&m->lock);
        if (v->con)
            console_unlisten(v->con, &v->look);
        lock_release(&m->lock);
        display_watch(v->d, false);
    }
    vnc_sockets_close(&v->plain);
    vnc_sockets_close(&v->websocket);
    lock_fini(&v->lock);
    g_free(v->next_fb);
    g_array_unref(v->clients);
    g_free(v->id);
    g_free(v);
}

/* -- for the monitor -------------------------------------------------------------------------------------------------- */

const char *vnc_id(const struct vnc *v)
{
    return v->id;
}

const char *vnc_address(const struct vnc *v)
{
    return v->plain.address;
}

int vnc_set_password(struct vnc *v, const char *password, struct err *e)
{
    if (!v->password_on)
        return err_set(e, "Could not set password: the VNC server was started without password=on");
    lock_acquire(&v->lock);
    g_strlcpy(v->password, password ? password : "", sizeof(v->password));
    lock_release(&v->lock);
    return 0;
}

void vnc_expire_password(struct vnc *v, i64 when)
{
    lock_acquire(&v->lock);
    v->expires = when;
    lock_release(&v->lock);
}

static void describe_end(JsonBuilder *b, const struct vnc_address *a, bool websocket)
{
    json_str(b, "host", a->host);
    json_str(b, "service", a->service);
    json_str(b, "family", a->family);
    json_bool(b, "websocket", websocket);
}

static void describe_server(struct vnc *v, JsonBuilder *b, const struct vnc_sockets *s)
{
    if (!s->n)
        return;
    json_open(b, NULL);
    json_str(b, "auth", v->password_on ? "vnc" : "none");
    describe_end(b, &s->at, s == &v->websocket);
    json_close(b);
}

void vnc_describe(struct vnc *v, JsonBuilder *b)
{
    json_open(b, NULL);
    json_str(b, "id", v->id);
    json_str(b, "auth", v->password_on ? "vnc" : "none");
    json_open_array(b, "server");
    describe_server(v, b, &v->plain);
    describe_server(v, b, &v->websocket);
    json_close_array(b);
    json_open_array(b, "clients");
    lock_acquire(&v->lock);
    for (unsigned i = 0; i < v->clients->len; i++) {
        const struct vnc_client *c = &g_array_index(v->clients, struct vnc_client, i);
        json_open(b, NULL);
        describe_end(b, &c->at, c->websocket);
        json_close(b);
    }
    lock_release(&v->lock);
    json_close_array(b);
    json_close(b);
}

#else

struct vnc *vnc_new(struct display *d, const char *arg, struct err *e)
{
    err_set(e, "this build has no VNC server (libvncserver was missing)");
    return NULL;
}

void vnc_free(struct vnc *v) {}
const char *vnc_id(const struct vnc *v) { return NULL; }
const char *vnc_address(const struct vnc *v) { return NULL; }

int vnc_set_password(struct vnc *v, const char *password, struct err *e)
{
    return err_set(e, "this build has no VNC server");
}

void vnc_expire_password(struct vnc *v, i64 when) {}
void vnc_describe(struct vnc *v, JsonBuilder *b) {}
#endif
