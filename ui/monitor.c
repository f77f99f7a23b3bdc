/* The monitor: line editor, command table, and the commands that control the run. One session for each character back end;
 * gdb's `monitor` comes in through monitor_run(). Main thread, from the back end's callbacks. */
#include "ui/monitor.h"
#include <stdarg.h>
#include <stdlib.h>
#include "config.h"
#include "hw/backend/chr.h"
#include "hw/core/machine.h"
#include "ui/gdb.h"
#include "ui/monitor_cmd.h"
#include "util/log.h"

#define LINE_MAX_LEN 1024
#define PROMPT "(gemel) "

struct monitor {
    struct ui *ui;
    struct chr *chr;
    unsigned cpu;
    char line[LINE_MAX_LEN];
    unsigned len;
    unsigned escape;  /* how far into an ESC [ x sequence the input is */
    bool greeted, open;
    bool focus;       /* has the keyboard of the stream: always, but on a multiplexer */
};

void mon_print(struct mon *m, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_string_append_vprintf(m->out, fmt, ap);
    va_end(ap);
}

char *mon_word(char **p)
{
    char *start = *p + strspn(*p, " \t"), *end = start + strcspn(start, " \t");

    if (start == end)
        return NULL;
    *p = *end ? end + 1 : end;
    *end = 0;
    return start;
}

/* --- commands --- */

static void cmd_help(struct mon *m, char *args);
static void cmd_info(struct mon *m, char *args);

static void cmd_stop(struct mon *m, char *args)
{
    vm_stop(m->vm);
}

static void cmd_cont(struct mon *m, char *args)
{
    if (vm_state(m->vm) == VM_SHUTDOWN)
        mon_print(m, "the guest has powered off; system_reset first\n");
    else
        vm_cont(m->vm);
}

static void cmd_quit(struct mon *m, char *args)
{
    m->ui->quit(m->ui, 0);
}

static void cmd_reset(struct mon *m, char *args)
{
    vm_reset(m->vm);
}

static void cmd_powerdown(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);

    if (!mc->power_button) {
        mon_print(m, "this machine has no power button\n");
        return;
    }
    lock_acquire(&mc->lock);
    mc->power_button(mc);
    lock_release(&mc->lock);
}

static void cmd_nmi(struct mon *m, char *args)
{
    vm_inject_nmi(m->vm);
}

static void cmd_cpu(struct mon *m, char *args)
{
    char *end;
    unsigned long n = strtoul(args, &end, 0);

    if (end == args || *end || n >= vm_cpu_count(m->vm))
        mon_print(m, "there is no CPU '%s'; they are numbered 0 to %u\n", args, vm_cpu_count(m->vm) - 1);
    else
        *m->cpu = (unsigned)n;
}

static void cmd_log(struct mon *m, char *args)
{
    const char *name, *help;
    struct err e;

    if (!*args || !strcmp(args, "help")) {
        for (unsigned i = 0; (name = log_item_name(i, &help)); i++)
            mon_print(m, "%-15s %s\n", name, help);
    } else if (log_parse(args, &e) < 0) {
        mon_print(m, "%s\n", e.msg);
    }
}

static void cmd_logfile(struct mon *m, char *args)
{
    struct err e;

    if (!*args)
        mon_print(m, "usage: logfile FILE\n");
    else if (log_open(args, &e) < 0)
        mon_print(m, "%s\n", e.msg);
}

static void cmd_gdbserver(struct mon *m, char *args)
{
    const char *spec = *args ? args : "tcp::1234";
    struct err e;

    if (!strcmp(spec, "none")) {
        gdb_stop(m->ui);
        mon_print(m, "Disabled gdbserver\n");
    } else if (gdb_start(m->ui, spec, &e) < 0) {
        mon_print(m, "%s\n", e.msg);
    } else {
        mon_print(m, "Waiting for gdb connection on device '%s'\n", spec);
    }
}

static void cmd_change(struct mon *m, char *args)
{
    const char *what = mon_word(&args);

    if (what && !strcmp(what, "vnc"))
        mon_change_vnc(m, args);
    else
        mon_print(m, "usage: change vnc password PASSWORD\n");
}

static const struct mon_cmd commands[] = {
    { "balloon", NULL, "TARGET", "ask the guest to make do with TARGET MiB of memory", mon_balloon, false },
    { "change", NULL, "vnc password PASSWORD", "change a VNC server's password", cmd_change, false },
    { "cont", "c", "", "resume the VM", cmd_cont, false },
    { "cpu", NULL, "INDEX", "set the CPU that other commands are about", cmd_cpu, false },
    { "expire_password", NULL, "vnc TIME [-d ID]", "let a VNC server's password end: now, never, +SECONDS", mon_expire_password, false },
    { "gdbserver", NULL, "[DEVICE]", "start the gdb server (tcp::1234), or stop it: none", cmd_gdbserver, false },
    { "gva2gpa", NULL, "ADDR", "translate a virtual address", mon_gva2gpa, true },
    { "help", "?", "[COMMAND]", "show the help", cmd_help, false },
    { "info", NULL, "SUBCOMMAND", "show something about the VM", cmd_info, false },
    { "log", NULL, "ITEM[,ITEM]...", "log these items only; none: nothing", cmd_log, false },
    { "logfile", NULL, "FILE", "write the log to FILE", cmd_logfile, false },
    { "memsave", NULL, "ADDR SIZE FILE", "save virtual memory", mon_memsave, true },
    { "mouse_button", NULL, "MASK", "set the pointer's buttons: 1 left, 2 middle, 4 right", mon_mouse_button, false },
    { "mouse_move", NULL, "DX DY [DZ]", "move the pointer", mon_mouse_move, false },
    { "mouse_set", NULL, "INDEX", "choose the pointing device that gets events", mon_mouse_set, false },
    { "nmi", NULL, "", "inject an NMI", cmd_nmi, false },
    { "pmemsave", NULL, "ADDR SIZE FILE", "save physical memory", mon_pmemsave, true },
    { "print", "p", "/FMT EXPR", "print the value of an expression ($REG for a register)", mon_p, true },
    { "quit", "q", "", "end the program", cmd_quit, false },
    { "screendump", NULL, "FILE [DEVICE] [-f png|ppm]", "save the screen", mon_screendump, false },
    { "sendkey", NULL, "KEYS [HOLD-MS]", "press keys: sendkey ctrl-alt-f1", mon_sendkey, false },
    { "set_password", NULL, "vnc PASSWORD [-d ID] [keep]", "set a VNC server's password", mon_set_password, false },
    { "stop", "s", "", "stop the VM", cmd_stop, false },
    { "system_powerdown", NULL, "", "press the power button", cmd_powerdown, false },
    { "system_reset", NULL, "", "reset the system", cmd_reset, false },
    { "x", NULL, "/FMT ADDR", "dump virtual memory: [COUNT][xduoci][bhwg]", mon_x, true },
    { "xp", NULL, "/FMT ADDR", "dump physical memory", mon_xp, true },
    { 0 },
};

static const struct mon_cmd *find_cmd(const struct mon_cmd *table, const char *name, size_t len)
{
    for (; table->name; table++) {
        if (strlen(table->name) == len && !strncmp(table->name, name, len))
            return table;
        if (table->alias && strlen(table->alias) == len && !strncmp(table->alias, name, len))
            return table;
    }
    return NULL;
}

static void print_help(struct mon *m, const char *prefix, const struct mon_cmd *c)
{
    mon_print(m, "%s%s%s%s%s%s -- %s\n", prefix, c->name, c->alias ? "|" : "", c->alias ? c->alias : "",
              *c->params ? " " : "", c->params, c->help);
}

static void cmd_help(struct mon *m, char *args)
{
    const struct mon_cmd *c;

    if (!strcmp(args, "info")) {
        for (c = mon_info_cmds; c->name; c++)
            print_help(m, "info ", c);
        return;
    }
    for (c = commands; c->name; c++)
        if (!*args || c == find_cmd(commands, args, strlen(args)))
            print_help(m, "", c);
    if (*args && !find_cmd(commands, args, strlen(args)))
        mon_print(m, "unknown command: '%s'\n", args);
}

/* Runs c, with every CPU out of guest code if it wants that. Listeners see ui->transient and keep still. */
static void call(struct mon *m, const struct mon_cmd *c, char *args)
{
    bool resume = c->quiesce && vm_state(m->vm) == VM_RUNNING;

    if (resume) {
        m->ui->transient = true;
        vm_stop(m->vm);
    }
    c->fn(m, args);
    if (resume) {
        vm_cont(m->vm);
        m->ui->transient = false;
    }
}

/* Finds the command in `table` that *line begins with; "x/4i" is x with the argument "/4i". */
static void dispatch(struct mon *m, const struct mon_cmd *table, const char *what, char *line)
{
    size_t len = strcspn(line, " \t/");
    const struct mon_cmd *c = find_cmd(table, line, len);

    if (!c) {
        mon_print(m, "unknown %s: '%.*s'\n", what, (int)len, line);
        return;
    }
    call(m, c, g_strstrip(line + len));
}

static void cmd_info(struct mon *m, char *args)
{
    if (*args)
        dispatch(m, mon_info_cmds, "info subcommand", args);
    else
        cmd_help(m, (char[]){ "info" });
}

void monitor_run(struct ui *ui, unsigned *cpu, const char *line, GString *out)
{
    struct mon m = { .ui = ui, .vm = ui->vm, .cpu = cpu, .out = out };
    char *copy = g_strdup(line), *cmd = g_strstrip(copy);

    if (*cmd)
        dispatch(&m, commands, "command", cmd);
    g_free(copy);
}

/* --- a session --- */

/* To the back end, with the line ends of a terminal. */
static void put_text(struct monitor *m, const char *text)
{
    GString *s = g_string_sized_new(strlen(text) + 64);

    for (; *text; text++) {
        if (*text == '\n')
            g_string_append_c(s, '\r');
        g_string_append_c(s, *text);
    }
    chr_write(m->chr, (const u8 *)s->str, (unsigned)s->len);
    g_string_free(s, TRUE);
}

static void run_line(struct monitor *m)
{
    GString *out = g_string_new(NULL);

    m->line[m->len] = 0;
    m->len = 0;
    monitor_run(m->ui, &m->cpu, m->line, out);
    put_text(m, out->str);
    g_string_free(out, TRUE);
    put_text(m, PROMPT);
}

static void erase(struct monitor *m, unsigned n)
{
    for (; n && m->len; n--, m->len--)
        put_text(m, "\b \b");
}

static void put_byte(struct monitor *m, u8 b)
{
    if (m->escape) { /* cursor keys and the like do nothing */
        m->escape = m->escape == 1 && (b == '[' || b == 'O') ? 2 : m->escape == 2 && b < 0x40 ? 2 : 0;
        return;
    }
    switch (b) {
    case '\r':
    case '\n':
        put_text(m, "\n");
        run_line(m);
        break;
    case '\b':
    case 127:
        erase(m, 1);
        break;
    case 'U' - 64:
    case 'C' - 64:
        erase(m, m->len);
        break;
    case 27:
        m->escape = 1;
        break;
    default:
        if (b < 32 || m->len + 1 >= sizeof(m->line))
            break;
        m->line[m->len++] = (char)b;
        chr_write(m->chr, &b, 1);
    }
}

static unsigned on_can_read(void *opaque)
{
    return LINE_MAX_LEN;
}

static void on_read(void *opaque, const u8 *buf, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        put_byte(opaque, buf[i]);
}

static void greet(struct monitor *m)
{
    if (!m->open || !m->focus)
        return;
    if (!m->greeted)
        put_text(m, "Gemel " GEMEL_VERSION " monitor - type 'help' for more information\n");
    m->greeted = true;
    m->len = 0;
    put_text(m, PROMPT);
}

static void on_event(void *opaque, enum chr_event ev)
{
    struct monitor *m = opaque;

    switch (ev) {
    case CHR_OPENED:
        m->open = true;
        greet(m);
        break;
    case CHR_CLOSED:
        m->open = m->greeted = false;
        break;
    case CHR_MUX_IN:
        m->focus = true;
        greet(m);
        break;
    case CHR_MUX_OUT:
        m->focus = false;
        break;
    case CHR_BREAK:
        break;
    }
}

struct monitor *monitor_new(struct ui *ui, struct chr *chr)
{
    struct monitor *m = g_new0(struct monitor, 1);

    m->ui = ui;
    m->chr = chr;
    m->focus = !chr_is_mux_port(chr);
    chr_attach(chr, on_can_read, on_read, on_event, m);
    return m;
}

void monitor_free(struct monitor *m)
{
    if (!m)
        return;
    chr_release(m->chr);
    g_free(m);
}
