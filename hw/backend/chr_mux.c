/* The multiplexer behind mon:SPEC: a guest's serial port and the monitor share one stream, and Ctrl-a commands choose who
 * gets the input. Input on the main thread; output passes straight through from any thread. Called by chr.c. */
#include <stdio.h>
#include "hw/backend/chr_impl.h"

#define ESCAPE 1          /* Ctrl-a */
#define BACKLOG_MAX 65536 /* input kept for a front end that is not ready, before the stream is left unread */

enum { PORT_GUEST, PORT_MONITOR, PORTS };

struct mux_port {
    struct mux *mux;
    unsigned index;
    GByteArray *backlog; /* typed, not yet taken [main] */
};

struct mux {
    struct chr *under;
    struct chr *port[PORTS];
    unsigned focus;      /* [main] */
    bool escaped;        /* the last byte was Ctrl-a [main] */
    unsigned ports_left; /* to be closed */
};

/* What Ctrl-a x does; one for the process. [main] */
static struct {
    void (*fn)(void *opaque);
    void *opaque;
} on_exit_key;

void chr_set_exit_handler(void (*fn)(void *opaque), void *opaque)
{
    on_exit_key.fn = fn;
    on_exit_key.opaque = opaque;
}

static void mux_say(struct mux *m, const char *text)
{
    chr_write(m->under, (const u8 *)text, (unsigned)strlen(text));
}

static const char help_text[] =
    "\r\n"
    "C-a h    print this help\r\n"
    "C-a x    exit emulator\r\n"
    "C-a b    send break (magic sysrq)\r\n"
    "C-a c    switch between console and monitor\r\n"
    "C-a C-a  sends C-a\r\n";

/* The monitor is told of each gain and loss of the keyboard, as of a connection; the guest's port never is. */
static void mux_switch(struct mux *m)
{
    unsigned next = (m->focus + 1) % PORTS;

    if (!m->port[next]->read)
        return;
    if (m->focus == PORT_MONITOR)
        chr_send_event(m->port[PORT_MONITOR], CHR_CLOSED);
    m->focus = next;
    if (next == PORT_MONITOR)
        chr_send_event(m->port[PORT_MONITOR], CHR_OPENED);
}

static void mux_command(struct mux *m, u8 key, GByteArray *backlog)
{
    switch (key) {
    case 'h':
    case '?':
        mux_say(m, help_text);
        break;
    case 'x':
        fprintf(stderr, "gemel: terminated\n");
        if (on_exit_key.fn)
            on_exit_key.fn(on_exit_key.opaque);
        break;
    case 'b':
        chr_send_event(m->port[m->focus], CHR_BREAK);
        break;
    case 'c':
        mux_switch(m);
        break;
    case ESCAPE:
        g_byte_array_append(backlog, &key, 1);
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
    struct mux_port *p = m->port[m->focus]->priv;

    return p->backlog->len >= BACKLOG_MAX ? 0 : BACKLOG_MAX - p->backlog->len;
}

static void mux_read(void *opaque, const u8 *buf, unsigned len)
{
    struct mux *m = opaque;

    for (unsigned i = 0; i < len; i++) {
        struct mux_port *p = m->port[m->focus]->priv;
        if (m->escaped) {
            m->escaped = false;
            port_drain(m->port[m->focus]);
            mux_command(m, buf[i], p->backlog);
        } else if (buf[i] == ESCAPE) {
            m->escaped = true;
        } else {
            g_byte_array_append(p->backlog, &buf[i], 1);
        }
    }
    port_drain(m->port[m->focus]);
}

static void mux_event(void *opaque, enum chr_event ev)
{
    struct mux *m = opaque;

    if (ev == CHR_BREAK)
        chr_send_event(m->port[m->focus], ev);
}

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

static void port_close(struct chr *c)
{
    struct mux_port *p = c->priv;

    g_byte_array_unref(p->backlog);
    if (--p->mux->ports_left == 0)
        g_free(p->mux);
    g_free(p);
}

static const struct chr_kind chr_mux_port = {
    .name = "mux", .write = port_write, .pending = port_pending, .poke = port_poke, .close = port_close,
};

static struct chr *port_new(struct mux *m, unsigned index, const char *id)
{
    struct chr *c = chr_alloc(id, &chr_mux_port);
    struct mux_port *p = g_new0(struct mux_port, 1);

    p->mux = m;
    p->index = index;
    p->backlog = g_byte_array_new();
    c->priv = p;
    /* The guest's port counts as connected from the start, the monitor's while it has the keyboard. */
    c->connected = index == PORT_GUEST;
    chr_link(c);
    m->ports_left++;
    return c;
}

struct chr *chr_mux_new(const char *id, const char *spec, struct err *e)
{
    char *under_id = g_strdup_printf("%s-base", id), *mon_id = g_strdup_printf("%s-monitor", id);
    struct mux *m = NULL;
    struct chr *under = !strcmp(spec, "stdio") ? chr_open(under_id, &chr_stdio_raw, "", e) : chr_new(under_id, spec, e);

    if (under) {
        m = g_new0(struct mux, 1);
        m->under = under;
        m->port[PORT_GUEST] = port_new(m, PORT_GUEST, id);
        m->port[PORT_MONITOR] = port_new(m, PORT_MONITOR, mon_id);
        chr_attach(under, mux_can_read, mux_read, mux_event, m);
    }
    g_free(under_id);
    g_free(mon_id);
    return m ? m->port[PORT_GUEST] : NULL;
}

struct chr *chr_monitor_port(struct chr *c)
{
    struct mux_port *p = c->priv;

    if (c->kind != &chr_mux_port)
        return NULL;
    return p->mux->port[PORT_MONITOR];
}
