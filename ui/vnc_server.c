/* The VNC server's thread: accepts clients, hands them to libvncserver, tells it what has changed, and posts keys and pointer movements to the
 * main thread. A client that does not read holds up other clients for a moment, never the guest. RFC 6143; QEMU's extended key
 * event (rfbproto, pseudo-encoding -258). */
#include "config.h"
#if HAVE_VNC
#include "ui/vnc_server.h"
#include <arpa/inet.h>
#include <poll.h>
#include <rfb/keysym.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hw/core/keymap.h"
#include "util/event.h"
#include "util/lazy.h"

enum { ENC_EXT_KEY = -258, MSG_QEMU = 255, MSG_QEMU_EXT_KEY = 0, CLIENT_WAIT_MS = 3000, PEEK_PAUSE_US = 5000 };
enum { CODE_SHIFT = 0x2a, CODE_CAPS_LOCK = 0x3a };

void vnc_wake(struct vnc *v)
{
    u64 one = 1;

    if (write(v->wake_fd, &one, sizeof(one)) < 0)
        return; /* full: it is awake already */
}

void vnc_post(struct vnc *v, const struct vnc_event *ev)
{
    struct vnc_event *last = v->n_events ? &v->event[v->n_events - 1] : NULL;

    if (last && last->kind == VNC_POINTER && ev->kind == VNC_POINTER && last->mask == ev->mask)
        *last = *ev;
    else if (v->n_events < VNC_EVENTS_MAX)
        v->event[v->n_events++] = *ev;
    if (!v->posted) {
        v->posted = true;
        g_idle_add_full(G_PRIORITY_DEFAULT, vnc_events, v, NULL);
    }
}

/* In place of libvncserver's own, which spins for ever when a client sends less than the 4 bytes by which it tells websockets from RFB. Exported
 * to the library by a flag of the linker. Returns 1, 0 at the end of the stream, or -1 with errno set. */
int rfbPeekExactTimeout(rfbClientPtr cl, char *buf, int len, int timeout)
{
    i64 until = g_get_monotonic_time() + timeout * 1000ll, left = timeout * 1000ll;

    for (; left > 0; left = until - g_get_monotonic_time()) {
        struct pollfd p = { cl->sock, POLLIN, 0 };
        ssize_t n = recv(cl->sock, buf, (size_t)len, MSG_PEEK | MSG_DONTWAIT);
        if (n == len)
            return 1;
        if (n == 0)
            return 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (n > 0)
            g_usleep(PEEK_PAUSE_US); /* poll() would return at once */
        else if (poll(&p, 1, (int)(left / 1000) + 1) < 0 && errno != EINTR)
            return -1;
    }
    errno = ETIMEDOUT;
    return -1;
}

/* -- what libvncserver calls ------------------------------------------------------------------------------------------ */

/* Lock held. */
static void post_key(struct vnc *v, u16 code, bool down)
{
    if (code == CODE_CAPS_LOCK && down)
        v->caps_lock = !v->caps_lock;
    vnc_post(v, &(struct vnc_event){ .kind = VNC_KEY, .code = code, .down = down });
}

/* True if the guest would make another symbol of the key, since the client means one with Shift and has not pressed it: some send the symbols of a
 * text and nothing else. Keys of the keypad have their second symbol by NumLock. */
static bool wants_shift(const struct vnc *v, const struct vnc_client *c, rfbKeySym sym, bool shifted)
{
    bool letter = sym >= 'A' && sym <= 'Z';

    return shifted && !c->shifts && sym < 0xff00 && !(letter && v->caps_lock);
}

static void on_key(rfbBool down, rfbKeySym sym, rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;
    struct vnc_client *c = cl->clientData;
    bool shifted;
    const struct key *k = key_by_keysym(sym, &shifted);

    if (!k)
        return;
    if (sym == XK_Shift_L || sym == XK_Shift_R)
        c->shifts = (c->shifts & ~BIT(sym - XK_Shift_L)) | (down ? BIT(sym - XK_Shift_L) : 0);
    lock_acquire(&v->lock);
    shifted = down && wants_shift(v, c, sym, shifted);
    if (shifted)
        post_key(v, CODE_SHIFT, true);
    post_key(v, k->code, down);
    if (shifted)
        post_key(v, CODE_SHIFT, false);
    lock_release(&v->lock);
}

static void on_pointer(int mask, int x, int y, rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;

    lock_acquire(&v->lock);
    vnc_post(v, &(struct vnc_event){ .kind = VNC_POINTER, .x = x, .y = y, .mask = mask, .width = v->width, .height = v->height });
    lock_release(&v->lock);
}

/* VNC_CONNECTED and its like. */
static void tell(struct vnc *v, const char *event, const struct vnc_client *c)
{
    const struct vnc_address *s = c->websocket ? &v->websocket.at : &v->plain.at;
    const struct event_member members[] = {
        EVENT_STR("server.auth", v->password_on ? "vnc" : "none"), EVENT_STR("server.host", s->host), EVENT_STR("server.service", s->service),
        EVENT_ENUM("server.family", s->family), EVENT_BOOL("server.websocket", c->websocket), EVENT_STR("client.host", c->at.host),
        EVENT_STR("client.service", c->at.service), EVENT_ENUM("client.family", c->at.family), EVENT_BOOL("client.websocket", c->websocket),
        EVENT_DONE,
    };

    event_emit(event, members);
}

/* Lock held. */
static void list_clients(struct vnc *v)
{
    rfbClientIteratorPtr it = rfbGetClientIterator(v->screen);
    rfbClientPtr cl;

    g_array_set_size(v->clients, 0);
    while ((cl = rfbClientIteratorNext(it))) {
        struct vnc_client *c = cl->clientData;
        if (!c->initialized && cl->state == RFB_NORMAL) {
            c->initialized = true;
            tell(v, "VNC_INITIALIZED", c);
        }
        g_array_append_val(v->clients, *c);
    }
    rfbReleaseClientIterator(it);
}

/* What libvncserver 0.9.14 forgets when a client goes: 45 KiB for each websocket. */
static void free_forgotten(rfbClientPtr cl)
{
    if (strcmp(LIBVNCSERVER_VERSION, "0.9.14"))
        return;
    free(cl->wsctx);
    cl->wsctx = NULL;
    while (cl->extensions) {
        rfbExtensionData *x = cl->extensions;
        cl->extensions = x->next;
        free(x);
    }
}

static void on_gone(rfbClientPtr cl)
{
    struct vnc *v = cl->screen->screenData;

    tell(v, "VNC_DISCONNECTED", cl->clientData);
    g_free(cl->clientData);
    free_forgotten(cl);
    lock_acquire(&v->lock);
    v->n_clients--;
    vnc_post(v, &(struct vnc_event){ .kind = VNC_CLIENTS });
    lock_release(&v->lock);
}

static enum rfbNewClientAction on_new(rfbClientPtr cl)
{
    struct vnc_client *c = g_new0(struct vnc_client, 1);
    struct sockaddr_storage ss = { .ss_family = AF_UNIX };
    socklen_t len = sizeof(ss);

    if (!getpeername(cl->sock, (struct sockaddr *)&ss, &len))
        vnc_address_set(&c->at, (struct sockaddr *)&ss, len);
    else
        c->at.family = "unix"; /* gone already */
    c->websocket = cl->wsctx != NULL;
    cl->clientData = c;
    cl->clientGoneHook = on_gone;
    tell(cl->screen->screenData, "VNC_CONNECTED", c);
    return RFB_CLIENT_ACCEPT;
}

/* A client's answer to the challenge: DES of it with the password as key. */
static rfbBool on_password(rfbClientPtr cl, const char *response, int len)
{
    struct vnc *v = cl->screen->screenData;
    u8 expect[CHALLENGESIZE], diff = 0;
    char password[sizeof(v->password)];
    bool valid;

    lock_acquire(&v->lock);
    memcpy(password, v->password, sizeof(password));
    valid = *password && g_get_real_time() / 1000000 < v->expires;
    lock_release(&v->lock);
    memcpy(expect, cl->authChallenge, sizeof(expect));
    rfbEncryptBytes(expect, password);
    if (len != CHALLENGESIZE)
        return FALSE;
    for (int i = 0; i < len; i++)
        diff |= expect[i] ^ (u8)response[i];
    return valid && !diff;
}

/* -- extended key events ---------------------------------------------------------------------------------------------- */

static rfbBool ext_enable(rfbClientPtr cl, void **data, int encoding)
{
    struct {
        rfbFramebufferUpdateMsg msg;
        rfbFramebufferUpdateRectHeader rect;
    } __attribute__((packed)) say = { .msg = { .type = rfbFramebufferUpdate, .nRects = htons(1) }, .rect.encoding = htonl((u32)ENC_EXT_KEY) };

    if (encoding != ENC_EXT_KEY)
        return FALSE;
    return rfbWriteExact(cl, (const char *)&say, sizeof(say)) > 0;
}

static rfbBool ext_message(rfbClientPtr cl, void *data, const rfbClientToServerMsg *msg)
{
    struct {
        u8 kind;
        u16 down;
        u32 sym, code;
    } __attribute__((packed)) m;
    struct vnc *v = cl->screen->screenData;
    u32 code;

    if (msg->type != MSG_QEMU)
        return FALSE;
    if (rfbReadExact(cl, (char *)&m, sizeof(m)) <= 0 || m.kind != MSG_QEMU_EXT_KEY) {
        rfbCloseClient(cl);
        return TRUE;
    }
    code = ntohl(m.code);
    if (code == 0xc6) /* Break, as Pause is called with Ctrl */
        code = 0xe11d;
    else if (code & 0x80)
        code = 0xe000 | (code & 0x7f);
    if (key_by_code(code)) {
        lock_acquire(&v->lock);
        post_key(v, code, m.down != 0);
        lock_release(&v->lock);
    }
    return TRUE;
}

static int ext_encodings[] = { ENC_EXT_KEY, 0 };
static rfbProtocolExtension ext_keys = { /* libvncserver links it into its process-wide list */
    .pseudoEncodings = ext_encodings,
    .enablePseudoEncoding = ext_enable,
    .handleMessage = ext_message,
};

/* -- the thread ------------------------------------------------------------------------------------------------------- */

/* A client is let in once the main thread draws for it: it sees the right size at once. */
struct waiting {
    int fd[VNC_CLIENTS_MAX];
    unsigned n;
};

static void accept_clients(struct vnc *v, int listener, struct waiting *w)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    bool full;

    if (fd < 0)
        return;
    lock_acquire(&v->lock);
    full = v->n_clients >= VNC_CLIENTS_MAX || fd >= FD_SETSIZE; /* libvncserver uses select() */
    if (!full) {
        v->n_clients++;
        w->fd[w->n++] = fd;
        vnc_post(v, &(struct vnc_event){ .kind = VNC_CLIENTS });
    }
    lock_release(&v->lock);
    if (full)
        close(fd);
}

static void admit(struct vnc *v, struct waiting *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        if (rfbNewClient(v->screen, w->fd[i])) /* else it has closed the socket */
            continue;
        lock_acquire(&v->lock);
        v->n_clients--;
        vnc_post(v, &(struct vnc_event){ .kind = VNC_CLIENTS });
        lock_release(&v->lock);
    }
    w->n = 0;
}

static void set_format(rfbScreenInfoPtr s)
{
    s->serverFormat.redShift = 16;
    s->serverFormat.greenShift = 8;
    s->serverFormat.blueShift = 0;
    s->serverFormat.bigEndian = FALSE;
}

static void swap_fb(struct vnc *v, u32 *fb, int width, int height)
{
    rfbClientIteratorPtr it;
    rfbClientPtr cl;
    u32 *old = (u32 *)(void *)v->screen->frameBuffer;

    rfbNewFramebuffer(v->screen, (char *)fb, width, height, 8, 3, 4);
    set_format(v->screen);
    it = rfbGetClientIterator(v->screen);
    while ((cl = rfbClientIteratorNext(it)))
        v->screen->setTranslateFunction(cl);
    rfbReleaseClientIterator(it);
    g_free(old);
}

/* Passes on what the main thread has left. Returns whether clients may be let in, -1 at the end. */
static int take_changes(struct vnc *v)
{
    struct vnc_rect rect[VNC_RECTS_MAX];
    unsigned n;
    u32 *fb;
    int w, h, ready;

    lock_acquire(&v->lock);
    ready = v->quit ? -1 : v->ready;
    fb = v->next_fb;
    w = v->next_width;
    h = v->next_height;
    if (fb) {
        v->next_fb = NULL;
        v->fb = fb;
        v->width = w;
        v->height = h;
    }
    n = v->n_rects;
    memcpy(rect, v->rect, n * sizeof(rect[0]));
    v->n_rects = 0;
    list_clients(v);
    lock_release(&v->lock);
    if (fb)
        swap_fb(v, fb, w, h);
    for (unsigned i = 0; i < n; i++)
        rfbMarkRectAsModified(v->screen, rect[i].x0, rect[i].y0, rect[i].x1, rect[i].y1);
    return ready;
}

static unsigned add_fd(struct pollfd *p, unsigned n, int fd)
{
    p[n] = (struct pollfd){ fd, POLLIN, 0 };
    return n + 1;
}

/* Waits for something to do; clients that knock are put into w. */
static void wait_for_work(struct vnc *v, struct waiting *w)
{
    struct pollfd p[VNC_CLIENTS_MAX + 2 * VNC_LISTEN_MAX + 1];
    unsigned n = add_fd(p, 0, v->wake_fd), listeners;
    rfbClientIteratorPtr it;
    rfbClientPtr cl;
    u64 count;

    for (unsigned i = 0; i < v->plain.n; i++)
        n = add_fd(p, n, v->plain.fd[i]);
    for (unsigned i = 0; i < v->websocket.n; i++)
        n = add_fd(p, n, v->websocket.fd[i]);
    listeners = n;
    it = rfbGetClientIterator(v->screen);
    while ((cl = rfbClientIteratorNext(it)))
        if (cl->sock >= 0 && n < ARRAY_LEN(p))
            n = add_fd(p, n, cl->sock);
    rfbReleaseClientIterator(it);
    if (poll(p, n, -1) < 0)
        return;
    if (p[0].revents && read(v->wake_fd, &count, sizeof(count)) < 0)
        return;
    for (unsigned i = 1; i < listeners; i++)
        if (p[i].revents)
            accept_clients(v, p[i].fd, w);
}

void *vnc_server_thread(void *opaque)
{
    struct vnc *v = opaque;
    struct waiting w = { .n = 0 };
    int ready;

    while ((ready = take_changes(v)) >= 0) {
        if (ready)
            admit(v, &w);
        rfbProcessEvents(v->screen, 0);
        wait_for_work(v, &w);
    }
    while (w.n)
        close(w.fd[--w.n]);
    return NULL;
}

static void quiet(const char *format, ...)
{
}

int vnc_server_init(struct vnc *v, struct err *e)
{
    static char nobody[] = "";
    rfbScreenInfoPtr s;

    if (lazy_load(LAZY_VNC, e) < 0)
        return -1;
    *(rfbLogProc *)lazy_variable(LAZY_VNC, "rfbLog") = *(rfbLogProc *)lazy_variable(LAZY_VNC, "rfbErr") = quiet;
    rfbRegisterProtocolExtension(&ext_keys);
    v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->width = 640;
    v->height = 480;
    s = v->wake_fd < 0 ? NULL : rfbGetScreen(NULL, NULL, v->width, v->height, 8, 3, 4);
    if (!s)
        return err_set(e, "the VNC server cannot start: %s", strerror(errno));
    v->fb = g_new0(u32, v->width * v->height);
    v->screen = s;
    s->frameBuffer = (char *)v->fb;
    s->screenData = v;
    s->desktopName = v->d->o->title ? v->d->o->title : "Gemel";
    s->port = s->ipv6port = 0; /* we listen ourselves */
    s->autoPort = FALSE;
    s->deferUpdateTime = 0;
    s->maxClientWait = CLIENT_WAIT_MS;
    s->alwaysShared = v->share == VNC_IGNORE;
    s->dontDisconnect = v->share == VNC_FORCE_SHARED;
    s->kbdAddEvent = on_key;
    s->ptrAddEvent = on_pointer;
    s->newClientHook = on_new;
    if (v->password_on) {
        s->authPasswdData = nobody;
        s->passwordCheck = on_password;
    }
    set_format(s);
    rfbInitServer(s);
    rfbSetCursor(s, NULL); /* the guest draws its own */
    return 0;
}

void vnc_server_fini(struct vnc *v)
{
    if (v->screen) {
        rfbShutdownServer(v->screen, TRUE);
        g_free(v->screen->frameBuffer);
        v->screen->frameBuffer = NULL;
        rfbScreenCleanup(v->screen);
    }
    if (v->wake_fd >= 0)
        close(v->wake_fd);
}
#endif
