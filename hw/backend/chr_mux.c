/* The multiplexer (mux=on, mon:SPEC): several front ends, a guest's serial port and a monitor above all, share one stream, and Ctrl-a
 * commands choose who gets the input. Input on the main thread; output passes straight through from any thread. Called by chr.c. */
#include <stdio.h>
#include "hw/backend/chr_impl.h"

#define PORTS_MAX 4       /* QEMU's number */
#define BACKLOG_MAX 65536 /* input kept for a front end that is not ready, before the stream is left unread */

struct mux_port {
    struct mux *mux;
    GByteArray *backlog; /* typed, not yet taken [main] */
};

struct mux {
    struct chr *under;
    struct chr *port[PORTS_MAX]; /* NULL: free [main] */
    int focus;           /* who gets input; -1: nobody [main] */
    bool escaped;        /* the last byte was Ctrl-a [main] */
};

/* What Ctrl-a x does, and which key Ctrl-a is; one for the process. [main] */
static struct {
    void (*fn)(void *opaque);
    void *opaque;
} on_exit_key;
static u8 escape_key = 1;

void chr_set_exit_handler(void (*fn)(void *opaque), void *opaque)
{
    on_exit_key.fn = fn;
    on_exit_key.opaque = opaque;
}

void chr_set_escape(u8 byte)
{
    escape_key = byte;
}

static void mux_help(struct mux *m)
{
    char key[8], *text;

    if (escape_key >= 1 && escape_key <= 26)
        snprintf(key, sizeof(key), "C-%c", escape_key + 'a' - 1);
    else
        snprintf(key, sizeof(key), "0x%02x", escape_key);
    text = g_strdup_printf("\r\n%s h    print this help\r\n%s x    exit emulator\r\n%s b    send break (magic sysrq)\r\n"
                           "%s c    switch between console and monitor\r\n%s %s  sends %s\r\n", key, key, key, key, key, key, key);
    chr_write(m->under, (const u8 *)text, (unsigned)strlen(text));
    g_free(text);
}

/* Gives the input to port i (-1: nobody), telling both. */
static void mux_set_focus(struct mux *m, int i)
{
    if (m->focus == i)
        return;
    if (m->focus >= 0)
        chr_send_event(m->port[m->focus], CHR_MUX_OUT);
    m->focus = i;
    if (i >= 0)
        chr_send_event(m->port[i], CHR_MUX_IN);
}

/* The next port with a front end. */
static void mux_switch(struct mux *m)
{
    for (int k = 1; k <= PORTS_MAX; k++) {
        int i = (m->focus + k) % PORTS_MAX;
        if (m->port[i] && m->port[i]->read) {
            mux_set_focus(m, i);
            return;
        }
    }
}

static void mux_command(struct mux *m, u8 key)
{
    struct chr *c = m->port[m->focus];
    struct mux_port *p = c->priv;

    if (key == escape_key) {
        g_byte_array_append(p->backlog, &key, 1);
        return;
    }
    switch (key) {
    case 'h':
    case '?':
        mux_help(m);
        break;
    case 'x':
        fprintf(stderr, "gemel: terminated\n");
        if (on_exit_key.fn)
            on_exit_key.fn(on_exit_key.opaque);
        break;
    case 'b':
        chr_send_event(c, CHR_BREAK);
        break;
    case 'c':
        mux_switch(m);
        break;
    }
}

/* Hands a port's backlog on as far as its front end takes it. */
static void port_drain(struct chr *c)
{
    struct mux_port *p = c->priv;

    while (p->backlog->len) {
        unsigned n = MIN_OF(chr_can_read(c), p->backlog->len);
        u8 buf[256];
        if (!n)
            return;
        n = MIN_OF(n, sizeof(buf));
        memcpy(buf, p->backlog->data, n);
        g_byte_array_remove_range(p->backlog, 0, n);
        chr_deliver(c, buf, n);
    }
}

static unsigned mux_can_read(void *opaque)
{
    struct mux *m = opaque;
    struct mux_port *p = m->focus >= 0 ? m->port[m->focus]->priv : NULL;

    return !p || p->backlog->len >= BACKLOG_MAX ? 0 : BACKLOG_MAX - p->backlog->len;
}

static void mux_read(void *opaque, const u8 *buf, unsigned len)
{
    struct mux *m = opaque;

    for (unsigned i = 0; i < len && m->focus >= 0; i++) {
        struct mux_port *p = m->port[m->focus]->priv;
        if (m->escaped) {
            m->escaped = false;
            port_drain(m->port[m->focus]);
            mux_command(m, buf[i]);
        } else if (buf[i] == escape_key) {
            m->escaped = true;
        } else {
            g_byte_array_append(p->backlog, &buf[i], 1);
        }
    }
    if (m->focus >= 0)
        port_drain(m->port[m->focus]);
}

/* A break goes to the one with the input, a peer's coming and going to all. */
static void mux_event(void *opaque, enum chr_event ev)
{
    struct mux *m = opaque;

    if (ev == CHR_BREAK && m->focus >= 0)
        chr_send_event(m->port[m->focus], ev);
    for (unsigned i = 0; i < PORTS_MAX && (ev == CHR_OPENED || ev == CHR_CLOSED); i++) {
        struct chr *c = m->port[i];
        if (!c)
            continue;
        lock_acquire(&c->lock);
        c->connected = ev == CHR_OPENED;
        lock_release(&c->lock);
        if (c->read && c->announced != c->connected)
            chr_send_event(c, ev);
    }
}

/* --- a port --- */

static void port_write(struct chr *c, const u8 *buf, unsigned len)
{
    struct mux_port *p = c->priv;

    chr_write(p->mux->under, buf, len);
}

static unsigned port_pending(struct chr *c)
{
    struct mux_port *p = c->priv;

    return chr_pending(p->mux->under);
}

static void port_poke(struct chr *c)
{
    struct mux_port *p = c->priv;

    port_drain(c);
    chr_post_update(p->mux->under);
}

static int port_index(const struct chr *c)
{
    const struct mux_port *p = c->priv;
    int i = 0;

    while (p->mux->port[i] != c)
        i++;
    return i;
}

/* The first front end that comes gets the input, and whoever is left when the one with the input goes. */
static void port_attached(struct chr *c, bool there)
{
    struct mux_port *p = c->priv;

    if (there && p->mux->focus < 0)
        mux_set_focus(p->mux, port_index(c));
    else if (!there && p->mux->focus == port_index(c)) {
        p->mux->focus = -1;
        mux_switch(p->mux);
    }
}

static void port_close(struct chr *c)
{
    struct mux_port *p = c->priv;

    g_byte_array_unref(p->backlog);
    g_free(p);
}

static const struct chr_kind chr_mux_port = {
    .name = "mux", .write = port_write, .pending = port_pending, .poke = port_poke, .attached = port_attached, .close = port_close,
};

struct chr *chr_mux_claim(struct chr *c, struct err *e)
{
    struct mux *m = c->priv;
    unsigned i = 0;

    while (i < PORTS_MAX && m->port[i])
        i++;
    if (i == PORTS_MAX) {
        err_set(e, "too many uses of multiplexed chardev '%s' (maximum is %d)", c->id, PORTS_MAX);
        return NULL;
    }
    struct chr *port = chr_alloc(c->id, &chr_mux_port);
    struct mux_port *p = g_new0(struct mux_port, 1);
    p->mux = m;
    p->backlog = g_byte_array_new();
    port->priv = p;
    lock_acquire(&m->under->lock);
    port->connected = m->under->connected;
    lock_release(&m->under->lock);
    m->port[i] = port;
    c->claimed = true;
    return port;
}

void chr_mux_release(struct chr *port)
{
    struct mux_port *p = port->priv;

    chr_attach(port, NULL, NULL, NULL, NULL);
    p->mux->port[port_index(port)] = NULL;
    chr_free(port);
}

bool chr_is_mux_port(const struct chr *c)
{
    return c->kind == &chr_mux_port;
}

/* --- the multiplexer itself, which the registry knows --- */

static void mux_close(struct chr *c)
{
    struct mux *m = c->priv;

    chr_attach(m->under, NULL, NULL, NULL, NULL);
    for (unsigned i = 0; i < PORTS_MAX; i++)
        chr_free(m->port[i]);
    chr_free(m->under);
    g_free(m);
}

/* Written to by those who have no port of their own. */
static void mux_write(struct chr *c, const u8 *buf, unsigned len)
{
    struct mux *m = c->priv;

    chr_write(m->under, buf, len);
}

static unsigned mux_pending(struct chr *c)
{
    struct mux *m = c->priv;

    return chr_pending(m->under);
}

const struct chr_kind chr_mux = { .name = "mux", .write = mux_write, .pending = mux_pending, .close = mux_close };

struct chr *chr_mux_new(const char *id, struct chr *under)
{
    struct chr *c = chr_alloc(id, &chr_mux);
    struct mux *m = g_new0(struct mux, 1);

    m->under = under;
    m->focus = -1;
    c->priv = m;
    under->claimed = true;
    chr_link(c);
    chr_attach(under, mux_can_read, mux_read, mux_event, m);
    return c;
}

bool chr_is_mux(const struct chr *c)
{
    return c->kind == &chr_mux;
}
