/* What each packet of gdb's remote protocol does. Main thread, from gdb.c. Source: the gdb manual, appendix "gdb Remote Serial
 * Protocol". Addresses are linear, memory is read and written through the selected CPU's page tables. */
#include <stdlib.h>
#include "ui/gdb_priv.h"
#include "ui/monitor.h"

#define MEM_MAX (PACKET_MAX / 2) /* bytes of memory in one reply */

/* --- pieces of a packet --- */

static u64 take_hex(char **p)
{
    u64 v = 0;

    for (; g_ascii_isxdigit(**p); ++*p)
        v = v << 4 | (u64)g_ascii_xdigit_value(**p);
    return v;
}

static bool take_char(char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* "a,b" as in memory and breakpoint packets. */
static bool take_pair(char **p, u64 *a, u64 *b)
{
    *a = take_hex(p);
    if (!take_char(p, ','))
        return false;
    *b = take_hex(p);
    return true;
}

/* Reads hex bytes up to anything else; returns how many. */
static size_t hex_decode(const char *p, u8 *out, size_t max)
{
    size_t n = 0;

    while (n < max && g_ascii_isxdigit(p[0]) && g_ascii_isxdigit(p[1])) {
        out[n++] = (u8)(g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]));
        p += 2;
    }
    return n;
}

static void hex_append(GString *s, const u8 *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g_string_append_printf(s, "%02x", buf[i]);
}

static void send_gstring(struct gdb *g, GString *s)
{
    gdb_send(g, s->str, s->len);
    g_string_free(s, TRUE);
}

static void send_ok(struct gdb *g, bool ok)
{
    gdb_send_str(g, ok ? "OK" : "E22");
}

static struct cpu *cur(struct gdb *g)
{
    return vm_cpu(g->vm, g->cpu);
}

/* A thread id: threads are CPUs counted from 1; 0 is any, -1 all. Returns false if there is no such CPU. */
static bool take_thread(struct gdb *g, char **p, bool *any, unsigned *cpu)
{
    u64 id;

    *any = true;
    if (take_char(p, '-'))
        return take_hex(p) == 1;
    id = take_hex(p);
    if (!id)
        return true;
    *any = false;
    *cpu = (unsigned)(id - 1);
    return id <= vm_cpu_count(g->vm);
}

/* --- registers --- */

static void packet_g(struct gdb *g)
{
    GString *s = g_string_new(NULL);
    u8 buf[GDB_REG_MAX];

    for (unsigned i = 0; i < gdb_regs_count(g->regs); i++)
        hex_append(s, buf, gdb_reg_read(g->regs, cur(g), i, buf));
    send_gstring(g, s);
}

/* Registers that cannot take their value keep the one they have, as "set everything" does after a plain read. */
static void packet_G(struct gdb *g, const char *p)
{
    u8 buf[PACKET_MAX / 2];
    size_t len = hex_decode(p, buf, sizeof(buf)), at = 0;
    u8 old[16];

    for (unsigned i = 0; i < gdb_regs_count(g->regs) && at < len; i++) {
        unsigned size = gdb_reg_read(g->regs, cur(g), i, old);
        gdb_reg_write(g->regs, cur(g), i, buf + at, len - at);
        at += size;
    }
    vm_regs_changed(g->vm, g->cpu);
    send_ok(g, true);
}

static void packet_p(struct gdb *g, char *p)
{
    u8 buf[GDB_REG_MAX];
    unsigned n = gdb_reg_read(g->regs, cur(g), (unsigned)take_hex(&p), buf);
    GString *s;

    if (!n) {
        gdb_send_str(g, "E22");
        return;
    }
    s = g_string_new(NULL);
    hex_append(s, buf, n);
    send_gstring(g, s);
}

static void packet_P(struct gdb *g, char *p)
{
    unsigned n = (unsigned)take_hex(&p);
    u8 buf[GDB_REG_MAX];
    int r;

    if (!take_char(&p, '=')) {
        gdb_send_str(g, "E22");
        return;
    }
    r = gdb_reg_write(g->regs, cur(g), n, buf, hex_decode(p, buf, sizeof(buf)));
    if (r > 0)
        vm_regs_changed(g->vm, g->cpu);
    send_ok(g, r > 0);
}

/* --- memory --- */

static void packet_m(struct gdb *g, char *p)
{
    u8 buf[MEM_MAX];
    u64 addr, len;
    GString *s;

    if (!take_pair(&p, &addr, &len)) {
        gdb_send_str(g, "E22");
        return;
    }
    len = MIN_OF(len, sizeof(buf));
    /* What lies before an unmapped page is still worth having. */
    if (vm_mem_read(g->vm, g->cpu, addr, buf, len) < 0) {
        u64 first = PAGE_SIZE - (addr & (PAGE_SIZE - 1));
        len = first < len && !vm_mem_read(g->vm, g->cpu, addr, buf, first) ? first : 0;
    }
    if (!len) {
        gdb_send_str(g, "E14");
        return;
    }
    s = g_string_new(NULL);
    hex_append(s, buf, len);
    send_gstring(g, s);
}

static void write_memory(struct gdb *g, u64 addr, const u8 *buf, u64 len)
{
    if (len && vm_mem_write(g->vm, g->cpu, addr, buf, len) < 0)
        gdb_send_str(g, "E14");
    else
        send_ok(g, true);
}

static void packet_M(struct gdb *g, char *p)
{
    u8 buf[MEM_MAX];
    u64 addr, len;

    if (!take_pair(&p, &addr, &len) || !take_char(&p, ':') || len > sizeof(buf) || hex_decode(p, buf, len) != len)
        gdb_send_str(g, "E22");
    else
        write_memory(g, addr, buf, len);
}

/* Binary, with '}' before bytes that are flipped by 0x20. */
static void packet_X(struct gdb *g, char *p, char *end)
{
    u8 buf[PACKET_MAX];
    u64 addr, len, n = 0;

    if (!take_pair(&p, &addr, &len) || !take_char(&p, ':') || len > sizeof(buf)) {
        gdb_send_str(g, "E22");
        return;
    }
    while (p < end && n < len) {
        if (*p == '}' && p + 1 < end)
            buf[n++] = (u8)(*++p ^ 0x20);
        else
            buf[n++] = (u8)*p;
        p++;
    }
    if (n != len)
        gdb_send_str(g, "E22");
    else
        write_memory(g, addr, buf, len);
}

/* --- breakpoints --- */

/* Z TYPE,ADDR,KIND and z: insert and remove. */
static void packet_break(struct gdb *g, char *p, bool insert)
{
    static const enum bp_kind kinds[] = { BP_SW, BP_HW, BP_WATCH_WRITE, BP_WATCH_READ, BP_WATCH_ACCESS };
    unsigned type = (unsigned)(*p - '0');
    u64 addr, len;
    int r;

    p++;
    if (type >= ARRAY_LEN(kinds)) {
        gdb_send_str(g, "");
        return;
    }
    if (!take_char(&p, ',') || !take_pair(&p, &addr, &len)) {
        gdb_send_str(g, "E22");
        return;
    }
    if (type < 2)
        len = 1; /* gdb's "kind" is the length of the host's own breakpoint instruction */
    r = insert ? vm_bp_insert(g->vm, kinds[type], addr, len) : vm_bp_remove(g->vm, kinds[type], addr, len);
    if (type == 1 && !r && insert)
        g_array_append_val(g->hw_breaks, addr);
    for (unsigned i = 0; type == 1 && !insert && i < g->hw_breaks->len; i++)
        if (g_array_index(g->hw_breaks, u64, i) == addr)
            g_array_remove_index_fast(g->hw_breaks, i);
    if (r)
        gdb_send_fmt(g, "E%02x", -r & 0xff);
    else
        send_ok(g, true);
}

/* --- running --- */

static void resume(struct gdb *g, bool step, unsigned cpu)
{
    if (vm_state(g->vm) == VM_SHUTDOWN) {
        gdb_send_stop(g); /* there is nothing left to run */
        return;
    }
    g->waiting = true;
    if (step)
        vm_step(g->vm, cpu);
    else
        vm_cont(g->vm);
}

/* c [ADDR], s [ADDR], C SIG[;ADDR], S SIG[;ADDR]; there are no signals to deliver. */
static void packet_resume(struct gdb *g, char *p, bool step, bool with_signal)
{
    if (with_signal) {
        take_hex(&p);
        take_char(&p, ';');
    }
    if (*p) {
        vm_cpu(g->vm, g->cpu_run)->rip = take_hex(&p);
        vm_regs_changed(g->vm, g->cpu_run);
    }
    resume(g, step, g->cpu_run);
}

/* vCont;ACTION[:THREAD]... A step holds the other CPUs; otherwise all run, if any shall. */
static void packet_vcont(struct gdb *g, char *p)
{
    bool step = false, cont = false, any;
    unsigned step_cpu = g->cpu_run, cpu = 0;

    while (take_char(&p, ';')) {
        char action = *p++;
        if (action == 'C' || action == 'S')
            take_hex(&p);
        any = true;
        if (take_char(&p, ':') && !take_thread(g, &p, &any, &cpu)) {
            gdb_send_str(g, "E22");
            return;
        }
        if ((action == 's' || action == 'S') && !step && !(any && cont)) {
            step = true;
            step_cpu = any ? g->cpu_run : cpu;
        } else if (action == 'c' || action == 'C') {
            cont = true;
        } else if (action != 's' && action != 'S') {
            gdb_send_str(g, "E22");
            return;
        }
    }
    if (!step && !cont)
        gdb_send_str(g, "E22");
    else
        resume(g, step, step_cpu);
}

static void packet_v(struct gdb *g, char *p)
{
    if (!strcmp(p, "Cont?")) {
        gdb_send_str(g, "vCont;c;C;s;S");
    } else if (!strncmp(p, "Cont;", 5)) {
        packet_vcont(g, p + 4);
    } else if (!strncmp(p, "Kill", 4)) {
        gdb_send_str(g, "OK");
        g->ui->quit(g->ui, 0);
    } else {
        gdb_send_str(g, "");
    }
}

static void packet_detach(struct gdb *g)
{
    gdb_send_str(g, "OK");
    gdb_session_reset(g);
    if (vm_state(g->vm) != VM_SHUTDOWN)
        vm_cont(g->vm);
}

/* --- threads --- */

/* Hg, Hc. */
static void packet_H(struct gdb *g, char *p)
{
    char what = *p++;
    unsigned cpu;
    bool any;

    if ((what != 'g' && what != 'c') || !take_thread(g, &p, &any, &cpu)) {
        gdb_send_str(g, "E22");
        return;
    }
    if (!any)
        *(what == 'g' ? &g->cpu : &g->cpu_run) = cpu;
    send_ok(g, true);
}

static void packet_T(struct gdb *g, char *p)
{
    unsigned cpu;
    bool any;

    send_ok(g, take_thread(g, &p, &any, &cpu));
}

static void query_threads(struct gdb *g)
{
    GString *s = g_string_new("m");

    for (unsigned i = 0; i < vm_cpu_count(g->vm); i++)
        g_string_append_printf(s, "%s%02x", i ? "," : "", i + 1);
    send_gstring(g, s);
}

static void query_thread_info(struct gdb *g, char *p)
{
    unsigned cpu = 0;
    GString *s;
    char text[48];
    bool any;

    if (!take_thread(g, &p, &any, &cpu)) {
        gdb_send_str(g, "E22");
        return;
    }
    g_snprintf(text, sizeof(text), "CPU#%u [%s]", cpu, vm_cpu(g->vm, cpu)->halted ? "halted " : "running");
    s = g_string_new(NULL);
    hex_append(s, (const u8 *)text, strlen(text));
    send_gstring(g, s);
}

/* --- queries --- */

static void query_supported(struct gdb *g, const char *p)
{
    g->swbreak = strstr(p, "swbreak+") != NULL;
    g->hwbreak = strstr(p, "hwbreak+") != NULL;
    gdb_send_fmt(g, "PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+%s%s", PACKET_MAX,
                 g->swbreak ? ";swbreak+" : "", g->hwbreak ? ";hwbreak+" : "");
}

/* qXfer:features:read:target.xml:OFFSET,LENGTH */
static void query_features(struct gdb *g, char *p)
{
    const char *xml = gdb_regs_xml(g->regs);
    u64 off, len, size = strlen(xml);
    GString *s;

    if (strncmp(p, "target.xml:", 11)) {
        gdb_send_str(g, "E00");
        return;
    }
    p += 11;
    if (!take_pair(&p, &off, &len) || off > size) {
        gdb_send_str(g, "E22");
        return;
    }
    len = MIN_OF(MIN_OF(len, size - off), PACKET_MAX / 2);
    s = g_string_new(off + len < size ? "m" : "l");
    g_string_append_len(s, xml + off, (gssize)len);
    send_gstring(g, s);
}

/* gdb's `monitor` command: the reply comes in console packets. */
static void query_command(struct gdb *g, const char *p)
{
    u8 line[1024];
    size_t n = hex_decode(p, line, sizeof(line) - 1);
    GString *out = g_string_new(NULL);
    struct ui *ui = g->ui;

    line[n] = 0;
    monitor_run(ui, &g->cpu, (const char *)line, out);
    for (gsize at = 0; ui->gdb == g && at < out->len; at += MEM_MAX - 1) {
        GString *s = g_string_new("O");
        hex_append(s, (const u8 *)out->str + at, MIN_OF(out->len - at, MEM_MAX - 1));
        send_gstring(g, s);
    }
    g_string_free(out, TRUE);
    if (ui->gdb == g) /* the command may have ended the stub */
        send_ok(g, true);
}

static void packet_q(struct gdb *g, char *p)
{
    if (!strncmp(p, "Supported", 9))
        query_supported(g, p + 9);
    else if (!strncmp(p, "Xfer:features:read:", 19))
        query_features(g, p + 19);
    else if (!strcmp(p, "fThreadInfo"))
        query_threads(g);
    else if (!strcmp(p, "sThreadInfo"))
        gdb_send_str(g, "l");
    else if (!strncmp(p, "ThreadExtraInfo,", 16))
        query_thread_info(g, p + 16);
    else if (!strncmp(p, "Rcmd,", 5))
        query_command(g, p + 5);
    else if (!strncmp(p, "Attached", 8))
        gdb_send_str(g, "1");
    else if (!strcmp(p, "C"))
        gdb_send_fmt(g, "QC%02x", g->cpu + 1);
    else
        gdb_send_str(g, "");
}

static void packet_Q(struct gdb *g, char *p)
{
    if (!strcmp(p, "StartNoAckMode")) {
        gdb_send_str(g, "OK");
        g->no_ack = true;
    } else {
        gdb_send_str(g, "");
    }
}

void gdb_packet(struct gdb *g, char *p, size_t len)
{
    char *end = p + len;

    switch (*p++) {
    case '?': gdb_send_stop(g); break;
    case 'g': packet_g(g); break;
    case 'G': packet_G(g, p); break;
    case 'p': packet_p(g, p); break;
    case 'P': packet_P(g, p); break;
    case 'm': packet_m(g, p); break;
    case 'M': packet_M(g, p); break;
    case 'X': packet_X(g, p, end); break;
    case 'Z': packet_break(g, p, true); break;
    case 'z': packet_break(g, p, false); break;
    case 'c': packet_resume(g, p, false, false); break;
    case 's': packet_resume(g, p, true, false); break;
    case 'C': packet_resume(g, p, false, true); break;
    case 'S': packet_resume(g, p, true, true); break;
    case 'v': packet_v(g, p); break;
    case 'D': packet_detach(g); break;
    case 'k': g->ui->quit(g->ui, 0); break;
    case 'H': packet_H(g, p); break;
    case 'T': packet_T(g, p); break;
    case 'q': packet_q(g, p); break;
    case 'Q': packet_Q(g, p); break;
    default: gdb_send_str(g, "");
    }
}
