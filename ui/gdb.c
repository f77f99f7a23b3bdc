/* The gdb server's transport: packets with checksums and acknowledgements on a character back end, and the stop replies that
 * the VM's listener asks for. Main thread. Source: the gdb manual, appendix "gdb Remote Serial Protocol". */
#include "ui/gdb.h"
#include <stdarg.h>
#include "hw/backend/chr.h"
#include "ui/gdb_priv.h"

#define SIGNAL_INT 2
#define SIGNAL_TRAP 5
#define SIGNAL_ABRT 6

/* --- sending --- */

static void send_raw(struct gdb *g)
{
    chr_write(g->chr, (const u8 *)g->sent->str, (unsigned)g->sent->len);
}

void gdb_send(struct gdb *g, const char *data, size_t len)
{
    u8 sum = 0;

    g_string_assign(g->sent, "$");
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        if (c == '$' || c == '#' || c == '}' || c == '*') {
            g_string_append_c(g->sent, '}');
            sum = (u8)(sum + '}');
            c ^= 0x20;
        }
        g_string_append_c(g->sent, c);
        sum = (u8)(sum + (u8)c);
    }
    g_string_append_printf(g->sent, "#%02x", sum);
    send_raw(g);
}

void gdb_send_str(struct gdb *g, const char *s)
{
    gdb_send(g, s, strlen(s));
}

void gdb_send_fmt(struct gdb *g, const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    gdb_send_str(g, s);
    g_free(s);
}

/* --- stop replies --- */

static bool is_hw_break(const struct gdb *g, u64 addr)
{
    for (unsigned i = 0; i < g->hw_breaks->len; i++)
        if (g_array_index(g->hw_breaks, u64, i) == addr)
            return true;
    return false;
}

static void stop_reason(struct gdb *g, GString *s)
{
    static const char *const watch[] = {
        [STOP_WATCH_WRITE] = "watch", [STOP_WATCH_READ] = "rwatch", [STOP_WATCH_ACCESS] = "awatch",
    };
    const struct cpu *c = vm_cpu(g->vm, g->cpu);

    switch (g->last.why) {
    case STOP_WATCH_WRITE:
    case STOP_WATCH_READ:
    case STOP_WATCH_ACCESS:
        g_string_append_printf(s, "%s:%llx;", watch[g->last.why], (unsigned long long)g->last.watch_addr);
        break;
    case STOP_BREAKPOINT:
        if (is_hw_break(g, c->rip) ? g->hwbreak : g->swbreak)
            g_string_append(s, is_hw_break(g, c->rip) ? "hwbreak:;" : "swbreak:;");
        break;
    case STOP_NONE:
    case STOP_STEP:
        break;
    }
}

void gdb_send_stop(struct gdb *g)
{
    unsigned sig = g->last.state == VM_DEBUG ? SIGNAL_TRAP : g->last.state == VM_INTERNAL_ERROR ? SIGNAL_ABRT : SIGNAL_INT;
    GString *s = g_string_new(NULL);

    g_string_append_printf(s, "T%02xthread:%02x;", sig, g->cpu + 1);
    stop_reason(g, s);
    gdb_send(g, s->str, s->len);
    g_string_free(s, TRUE);
}

/* The guest powered off and the program did not end: tell gdb now that nothing more will happen. */
static gboolean on_shutdown_idle(gpointer opaque)
{
    struct gdb *g = opaque;

    if (g->waiting) {
        g->waiting = false;
        gdb_send_stop(g);
    }
    return G_SOURCE_REMOVE;
}

static void on_vm_change(void *opaque, const struct vm_stop_info *i)
{
    struct ui *ui = opaque;
    struct gdb *g = ui->gdb;

    if (!g || ui->transient || i->state == VM_RUNNING)
        return;
    g->last = *i;
    if (i->cpu >= 0)
        g->cpu = g->cpu_run = (unsigned)i->cpu;
    if (!g->waiting)
        return;
    if (i->state == VM_SHUTDOWN) {
        g_idle_add(on_shutdown_idle, g);
        return;
    }
    g->waiting = false;
    gdb_send_stop(g);
}

/* --- receiving --- */

/* Anything else counts as 15: the sum will be wrong, or happens to be right. */
static u8 hex_digit(u8 b)
{
    return g_ascii_isxdigit((char)b) ? (u8)g_ascii_xdigit_value((char)b) : 15;
}

static void ack(struct gdb *g, char c)
{
    if (!g->no_ack)
        chr_write(g->chr, (const u8 *)&c, 1);
}

static void packet_end(struct gdb *g)
{
    g->rx = RX_IDLE;
    if (g->sum != g->sum_got && !g->no_ack) {
        ack(g, '-');
        return;
    }
    ack(g, '+');
    if (g->in->len > PACKET_MAX)
        gdb_send_str(g, "E22");
    else
        gdb_packet(g, g->in->str, g->in->len);
}

static void idle_byte(struct gdb *g, u8 b)
{
    switch (b) {
    case '$':
        if (g->waiting)
            vm_stop(g->vm); /* the peer must think that the guest is stopped */
        g_string_truncate(g->in, 0);
        g->sum = 0;
        g->rx = RX_DATA;
        break;
    case 3:
        vm_stop(g->vm);
        break;
    case '-':
        if (!g->no_ack)
            send_raw(g);
        break;
    }
}

static void put_byte(struct gdb *g, u8 b)
{
    switch (g->rx) {
    case RX_IDLE:
        idle_byte(g, b);
        break;
    case RX_DATA:
        if (b == '#') {
            g->rx = RX_SUM1;
            break;
        }
        if (b == '$') { /* the sender has begun again */
            g_string_truncate(g->in, 0);
            g->sum = 0;
            break;
        }
        g->sum = (u8)(g->sum + b);
        if (g->in->len <= PACKET_MAX)
            g_string_append_c(g->in, (char)b);
        break;
    case RX_SUM1:
        g->sum_got = (u8)(hex_digit(b) << 4);
        g->rx = RX_SUM2;
        break;
    case RX_SUM2:
        g->sum_got |= hex_digit(b);
        packet_end(g);
        break;
    }
}

static unsigned on_can_read(void *opaque)
{
    return PACKET_MAX;
}

static void on_read(void *opaque, const u8 *buf, unsigned len)
{
    struct ui *ui = opaque;

    /* A packet may end the session (kill): look again each time. */
    for (unsigned i = 0; i < len && ui->gdb; i++)
        put_byte(ui->gdb, buf[i]);
}

/* --- sessions --- */

void gdb_session_reset(struct gdb *g)
{
    g->no_ack = g->swbreak = g->hwbreak = g->waiting = false;
    g->rx = RX_IDLE;
    g_string_truncate(g->sent, 0);
    g_array_set_size(g->hw_breaks, 0);
    vm_bp_clear(g->vm);
}

static void on_event(void *opaque, enum chr_event ev)
{
    struct gdb *g = ((struct ui *)opaque)->gdb;

    if (!g || (ev != CHR_OPENED && ev != CHR_CLOSED))
        return;
    g->connected = ev == CHR_OPENED;
    if (g->connected) {
        vm_stop(g->vm);
        g->cpu = g->cpu_run = 0;
        g->last = (struct vm_stop_info){ .state = VM_DEBUG, .cpu = -1 };
    }
    gdb_session_reset(g);
}

/* A socket is a server that waits for nobody, whatever else the spec says. */
static struct chr *open_chr(const char *spec, struct err *e)
{
    if (!strncmp(spec, "chardev:", 8)) {
        struct chr *there = chr_find(spec + 8);
        if (!there)
            err_set(e, "%s: there is no -chardev with this id", spec);
        return there;
    }
    bool sock = !strncmp(spec, "tcp:", 4) || !strncmp(spec, "unix:", 5);
    char *full = g_strdup_printf("%.*s%s", (int)strcspn(spec, ","), spec, sock ? ",server=on,wait=off,nodelay=on" : "");
    struct chr *c = chr_new("gdb", full, e);

    g_free(full);
    return c;
}

int gdb_start(struct ui *ui, const char *spec, struct err *e)
{
    struct gdb *g;
    struct chr *c, *mine;

    gdb_stop(ui);
    c = open_chr(spec, e);
    mine = c ? chr_claim(c, e) : NULL;
    if (!mine)
        return -1;
    g = g_new0(struct gdb, 1);
    g->ui = ui;
    g->vm = ui->vm;
    g->chr = mine;
    g->opened = strncmp(spec, "chardev:", 8) ? c : NULL;
    g->regs = gdb_regs_new(vm_cpu(ui->vm, 0));
    g->in = g_string_new(NULL);
    g->sent = g_string_new(NULL);
    g->hw_breaks = g_array_new(FALSE, FALSE, sizeof(u64));
    ui->gdb = g;
    if (!ui->gdb_listens)
        vm_add_listener(ui->vm, on_vm_change, ui);
    ui->gdb_listens = true;
    chr_attach(mine, on_can_read, on_read, on_event, ui);
    return 0;
}

void gdb_stop(struct ui *ui)
{
    struct gdb *g = ui->gdb;

    if (!g)
        return;
    ui->gdb = NULL;
    while (g_idle_remove_by_data(g))
        ;
    if (g->connected)
        vm_bp_clear(g->vm);
    chr_release(g->chr);
    chr_free(g->opened);
    gdb_regs_free(g->regs);
    g_string_free(g->in, TRUE);
    g_string_free(g->sent, TRUE);
    g_array_unref(g->hw_breaks);
    g_free(g);
}

void gdb_exit(struct ui *ui, int status)
{
    struct gdb *g = ui->gdb;

    if (g && g->connected && g->waiting)
        gdb_send_fmt(g, "W%02x", status & 0xff);
}
