/* The monitor: sessions, command table, and the commands that control the run. One session for each character back end;
 * gdb's `monitor` comes in through monitor_run(). Main thread, from the back end's callbacks. */
#include "ui/monitor.h"
#include <stdarg.h>
#include <stdlib.h>
#include "config.h"
#include "hw/backend/chr.h"
#include "hw/core/machine.h"
#include "ui/gdb.h"
#include "ui/monitor_cmd.h"
#include "ui/quiesce.h"
#include "ui/readline.h"
#include "util/log.h"

#define PROMPT "(gemel) "

struct monitor {
    struct ui *ui;
    struct chr *chr;
    unsigned cpu;
    struct readline edit;
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

static void cmd_quit(struct mon *m, char *args)
{
    m->ui->quit(m->ui, 0);
}

static void cmd_reset(struct mon *m, char *args)
{
    vm_reset(m->vm);
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

const struct mon_cmd mon_cmds[] = {
    { "balloon", NULL, "TARGET", "ask the guest to make do with TARGET MiB of memory", mon_balloon, false },
    { "block_resize", NULL, "DEVICE SIZE", "change the size of a disk (in MiB without a suffix)", mon_block_resize, false },
    { "block_set_io_throttle", NULL, "DEVICE BPS BPS_RD BPS_WR IOPS IOPS_RD IOPS_WR", "limit a disk; 0: no limit", mon_block_set_io_throttle, false },
    { "boot_set", NULL, "LETTERS", "what to boot from next: a floppy, c disk, d CD-ROM, n network", mon_boot_set, false },
    { "change", NULL, "DEVICE FILE [FORMAT [MODE]] [-f]", "put another medium in; or: change vnc password PASSWORD", mon_change, false },
    { "chardev-add", NULL, "KIND,id=ID[,OPTION]...", "add a character back end", mon_chardev_add, false },
    { "chardev-remove", NULL, "ID", "remove a character back end", mon_chardev_remove, false },
    { "chardev-send-break", NULL, "ID", "send a break on a character back end", mon_chardev_send_break, false },
    { "closefd", NULL, "NAME", "close a descriptor of getfd", mon_closefd, false },
    { "commit", NULL, "DEVICE|all", "write an image's changes into its backing file", mon_commit, false },
    { "cont", "c", "", "resume the VM", mon_cont, false },
    { "cpu", NULL, "INDEX", "set the CPU that other commands are about", cmd_cpu, false },
    { "device_add", NULL, "CLASS[,PROP=VALUE]...", "add a device", mon_device_add, false },
    { "device_del", NULL, "ID", "remove a device; the guest has to let it go", mon_device_del, false },
    { "drive_add", NULL, "0 if=none,id=ID,file=FILE[,OPTION]...", "open a disk image for device_add", mon_drive_add, false },
    { "drive_del", NULL, "ID", "close a disk image that no device uses", mon_drive_del, false },
    { "dump-guest-memory", NULL, "[-d] FILE [BEGIN LENGTH]", "write physical memory and registers into an ELF core file; -d: answer first", mon_dump_guest_memory, false },
    { "eject", NULL, "[-f] DEVICE", "take the medium out; -f: even if the guest locks it", mon_eject, false },
    { "expire_password", NULL, "vnc TIME [-d ID]", "let a VNC server's password end: now, never, +SECONDS", mon_expire_password, false },
    { "gdbserver", NULL, "[DEVICE]", "start the gdb server (tcp::1234), or stop it: none", cmd_gdbserver, false },
    { "getfd", NULL, "NAME", "keep the descriptor that came along under a name", mon_getfd, false },
    { "gva2gpa", NULL, "ADDR", "translate a virtual address", mon_gva2gpa, true },
    { "help", "?", "[COMMAND]", "show the help", cmd_help, false },
    { "hostfwd_add", NULL, "[NETDEV] RULE", "forward a port of the host: tcp|udp:[ADDR]:PORT-[ADDR]:PORT", mon_hostfwd_add, false },
    { "hostfwd_remove", NULL, "[NETDEV] RULE", "forward it no longer: tcp|udp:[ADDR]:PORT", mon_hostfwd_remove, false },
    { "i", NULL, "/FMT PORT", "read a port", mon_in, false },
    { "info", NULL, "SUBCOMMAND", "show something about the VM", cmd_info, false },
    { "log", NULL, "ITEM[,ITEM]...", "log these items only; none: nothing", cmd_log, false },
    { "logfile", NULL, "FILE", "write the log to FILE", cmd_logfile, false },
    { "memsave", NULL, "ADDR SIZE FILE", "save virtual memory", mon_memsave, true },
    { "mouse_button", NULL, "MASK", "set the pointer's buttons: 1 left, 2 middle, 4 right", mon_mouse_button, false },
    { "mouse_move", NULL, "DX DY [DZ]", "move the pointer", mon_mouse_move, false },
    { "mouse_set", NULL, "INDEX", "choose the pointing device that gets events", mon_mouse_set, false },
    { "netdev_add", NULL, "TYPE,id=ID[,OPTION]...", "add a network back end", mon_netdev_add, false },
    { "netdev_del", NULL, "ID", "remove a network back end", mon_netdev_del, false },
    { "nmi", NULL, "", "inject an NMI", cmd_nmi, false },
    { "o", NULL, "/FMT PORT VALUE", "write a port", mon_out, false },
    { "object_add", NULL, "TYPE,id=ID[,PROP=VALUE]...", "make an object", mon_object_add, false },
    { "object_del", NULL, "ID", "remove an object", mon_object_del, false },
    { "pmemsave", NULL, "ADDR SIZE FILE", "save physical memory", mon_pmemsave, true },
    { "print", "p", "/FMT EXPR", "print the value of an expression ($REG for a register)", mon_p, true },
    { "qom-get", NULL, "PATH PROPERTY", "show a property of a device or object", mon_qom_get, false },
    { "qom-list", NULL, "[PATH]", "show what is at a path", mon_qom_list, false },
    { "qom-set", NULL, "PATH PROPERTY VALUE", "set a property", mon_qom_set, false },
    { "quit", "q", "", "end the program", cmd_quit, false },
    { "ringbuf_read", NULL, "DEVICE SIZE", "take bytes out of a ring buffer", mon_ringbuf_read, false },
    { "ringbuf_write", NULL, "DEVICE TEXT", "put bytes into a ring buffer", mon_ringbuf_write, false },
    { "screendump", NULL, "FILE [DEVICE] [-f png|ppm]", "save the screen", mon_screendump, false },
    { "sendkey", NULL, "KEYS [HOLD-MS]", "press keys: sendkey ctrl-alt-f1", mon_sendkey, false },
    { "set_link", NULL, "NAME on|off", "plug the cable of a network in, or pull it", mon_set_link, false },
    { "set_password", NULL, "vnc PASSWORD [-d ID] [keep]", "set a VNC server's password", mon_set_password, false },
    { "snapshot_blkdev_internal", NULL, "DEVICE NAME", "make an internal snapshot of a disk", mon_snapshot_blkdev_internal, false },
    { "snapshot_delete_blkdev_internal", NULL, "DEVICE NAME [ID]", "delete an internal snapshot", mon_snapshot_delete_blkdev_internal, false },
    { "stop", "s", "", "stop the VM", cmd_stop, false },
    { "sum", NULL, "ADDR SIZE", "checksum of physical memory, as BSD's sum", mon_sum, false },
    { "system_powerdown", NULL, "", "press the power button", mon_system_powerdown, false },
    { "system_reset", NULL, "", "reset the system", cmd_reset, false },
    { "system_wakeup", NULL, "", "end the suspension of the guest", mon_system_wakeup, false },
    { "watchdog_action", NULL, "ACTION", "what follows when the watchdog fires", mon_watchdog_action, false },
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
    for (c = mon_cmds; c->name; c++)
        if (!*args || c == find_cmd(mon_cmds, args, strlen(args)))
            print_help(m, "", c);
    if (*args && !find_cmd(mon_cmds, args, strlen(args)))
        mon_print(m, "unknown command: '%s'\n", args);
}

/* Runs c, with every CPU out of guest code if it wants that. */
static void call(struct mon *m, const struct mon_cmd *c, char *args)
{
    bool resume = c->quiesce && ui_quiesce(m->ui);

    c->fn(m, args);
    ui_resume(m->ui, resume);
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
    line = g_strstrip(line + len);
    if (*line && !*c->params)
        mon_print(m, "%s: extraneous characters at the end of line: '%s'\n", c->name, line);
    else
        call(m, c, line);
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
        dispatch(&m, mon_cmds, "command", cmd);
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

static void on_put(void *opaque, const char *text, unsigned len)
{
    chr_write(((struct monitor *)opaque)->chr, (const u8 *)text, len);
}

static void on_prompt(void *opaque)
{
    put_text(opaque, PROMPT);
}

static void on_enter(void *opaque, const char *line)
{
    struct monitor *m = opaque;
    GString *out = g_string_new(NULL);

    monitor_run(m->ui, &m->cpu, line, out);
    put_text(m, out->str);
    g_string_free(out, TRUE);
    on_prompt(m);
}

static unsigned on_complete(void *opaque, const char *line, GPtrArray *words)
{
    return monitor_complete(((struct monitor *)opaque)->ui, line, words);
}

static unsigned on_can_read(void *opaque)
{
    return READLINE_MAX;
}

static void on_read(void *opaque, const u8 *buf, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        readline_byte(&((struct monitor *)opaque)->edit, buf[i]);
}

static void greet(struct monitor *m)
{
    if (!m->open || !m->focus)
        return;
    if (!m->greeted)
        put_text(m, "Gemel " GEMEL_VERSION " monitor - type 'help' for more information\n");
    m->greeted = true;
    readline_restart(&m->edit);
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
    m->edit = (struct readline){ .put = on_put, .enter = on_enter, .complete = on_complete, .prompt = on_prompt, .opaque = m };
    readline_init(&m->edit);
    chr_attach(chr, on_can_read, on_read, on_event, m);
    return m;
}

void monitor_free(struct monitor *m)
{
    if (!m)
        return;
    chr_release(m->chr);
    readline_fini(&m->edit);
    g_free(m);
}
