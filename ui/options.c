/* The table of command-line options and what each does. Main thread, before anything else exists. Everything that is not
 * in the table, or asks for what this build does not have, is refused by name in one line. */
#include "ui/options.h"
#include "ui/options_display.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "config.h"
#include "util/log.h"
#include "util/opts.h"

#define CPUS_MAX 64
#define RAM_DEFAULT (512 * MiB)

typedef enum options_result result;

static const char *keep(struct options *o, char *s)
{
    g_ptr_array_add(o->strings, s);
    return s;
}

/* A copy of a value that lives as long as the options; v may be NULL. */
static const char *keep_copy(struct options *o, const char *v)
{
    return v ? keep(o, g_strdup(v)) : NULL;
}

/* The end of reading l, which is freed: r, or the error that something in it is unknown, with the option in front. */
static result end_opts(struct opts *l, const char *option, const char *arg, int r, struct err *e)
{
    if (r == 0)
        r = opts_all_used(l, e);
    opts_free(l);
    return r < 0 ? err_prefix(e, "%s %s", option, arg) : OPTIONS_RUN;
}

/* --- machine, CPU, memory --- */

static result opt_accel(struct options *o, const char *arg, struct err *e)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return options_print_accels();
    if (!strncmp(arg, "accel=", 6))
        arg += 6;
    /* Given again, the options are tried in order, as in "kvm:dbt". */
    o->accel.accel = o->accel.accel ? keep(o, g_strdup_printf("%s:%s", o->accel.accel, arg)) : arg;
    return OPTIONS_RUN;
}

static result opt_enable_kvm(struct options *o, const char *arg, struct err *e)
{
    return opt_accel(o, "kvm", e);
}

static result opt_cpu(struct options *o, const char *arg, struct err *e)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return options_print_cpus();
    if (!*arg)
        return err_set(e, "-cpu: the name of the CPU model is missing ('-cpu help' lists them)");
    o->accel.cpu = arg;
    return OPTIONS_RUN;
}

struct smp {
    u64 cpus, sockets, cores, threads, maxcpus; /* 0: not given */
};

static int smp_read(const char *arg, struct smp *s, struct err *e)
{
    const struct { const char *name; u64 *out; } numbers[] = {
        { "cpus", &s->cpus }, { "sockets", &s->sockets }, { "cores", &s->cores }, { "threads", &s->threads }, { "maxcpus", &s->maxcpus },
    };
    struct opts *l = opts_parse(arg, "cpus", e);
    u64 one;
    int r = l ? 0 : -1;

    for (unsigned i = 0; r == 0 && i < ARRAY_LEN(numbers); i++)
        r = opts_uint(l, numbers[i].name, 0, 1, CPUS_MAX, numbers[i].out, e);
    if (r == 0 && (opts_uint(l, "dies", 1, 1, 1, &one, e) < 0 || opts_uint(l, "clusters", 1, 1, 1, &one, e) < 0))
        r = -1;
    return end_opts(l, "-smp", arg, r, e) == OPTIONS_RUN ? 0 : -1;
}

static bool is_power_of_two(u64 n)
{
    return (n & (n - 1)) == 0;
}

static result opt_smp(struct options *o, const char *arg, struct err *e)
{
    struct smp s;

    if (!*arg)
        return err_set(e, "-smp: the number of CPUs is missing");
    if (smp_read(arg, &s, e) < 0)
        return OPTIONS_ERROR;
    if (!s.threads)
        s.threads = 1;
    if (!s.cpus)
        s.cpus = s.maxcpus ? s.maxcpus : (s.sockets ? s.sockets : 1) * (s.cores ? s.cores : 1) * s.threads;
    if (!s.cores)
        s.cores = s.sockets ? MAX_OF(s.cpus / (s.sockets * s.threads), 1) : MAX_OF(s.cpus / s.threads, 1);
    if (!s.sockets)
        s.sockets = MAX_OF(s.cpus / (s.cores * s.threads), 1);
    if (s.cpus > CPUS_MAX)
        return err_set(e, "-smp %s: %llu CPUs; at most %d are possible", arg, (unsigned long long)s.cpus, CPUS_MAX);
    if (s.maxcpus && s.maxcpus != s.cpus)
        return err_set(e, "-smp %s: maxcpus must equal cpus (%llu), CPUs cannot be added later", arg,
                       (unsigned long long)s.cpus);
    if (s.sockets * s.cores * s.threads != s.cpus)
        return err_set(e, "-smp %s: sockets (%llu) * cores (%llu) * threads (%llu) != cpus (%llu)", arg,
                       (unsigned long long)s.sockets, (unsigned long long)s.cores, (unsigned long long)s.threads,
                       (unsigned long long)s.cpus);
    /* CPUs are numbered without gaps, and CPUID tells packages apart by bits of the number. */
    if ((s.cores * s.sockets > 1 && !is_power_of_two(s.threads)) ||
        (s.sockets > 1 && !is_power_of_two(s.cores * s.threads)))
        return err_set(e, "-smp %s: threads, and CPUs of each of several sockets, must be a power of two", arg);
    o->accel.cpus = (unsigned)s.cpus;
    o->accel.cores = (unsigned)s.cores;
    o->accel.threads = (unsigned)s.threads;
    return OPTIONS_RUN;
}

static result opt_memory(struct options *o, const char *arg, struct err *e)
{
    u64 host = (u64)sysconf(_SC_PHYS_PAGES) * (u64)sysconf(_SC_PAGESIZE), size = 0;
    struct opts *l = opts_parse(arg, "size", e);
    const char *text = l ? opts_get(l, "size") : NULL;
    int r = l ? 0 : -1;

    if (l && (opts_peek(l, "slots") || opts_peek(l, "maxmem")))
        r = err_set(e, "memory cannot be added later; use -m size=N");
    else if (text && size_parse(text, MiB, &size) < 0)
        r = err_set(e, "not a size; use a number of MiB or a suffix K, M, G: -m 512, -m 2G");
    if (end_opts(l, "-m", arg, r, e) != OPTIONS_RUN)
        return OPTIONS_ERROR;
    if (size < MiB)
        return err_set(e, "-m %s: the guest needs at least 1M of memory", arg);
    if (size > host)
        return err_set(e, "-m %s: this host has only %lluM of memory", arg, (unsigned long long)(host / MiB));
    o->machine.ram_size = ALIGN_UP(size, MiB);
    o->ram_given = true;
    return OPTIONS_RUN;
}

static result opt_rtc(struct options *o, const char *arg, struct err *e)
{
    static const char *const clocks[] = { "host", "vm", NULL }, *const fixes[] = { "none", NULL };
    struct opts *l = opts_parse(arg, NULL, e);
    int r = l ? 0 : -1, clock, fix;

    if (r == 0 && (opts_enum(l, "clock", clocks, o->machine.rtc_vm_clock, &clock, e) < 0 || opts_enum(l, "driftfix", fixes, 0, &fix, e) < 0))
        r = -1;
    if (r == 0) {
        o->machine.rtc_vm_clock = clock == 1;
        o->machine.rtc_base = opts_peek(l, "base") ? keep_copy(o, opts_get(l, "base")) : o->machine.rtc_base;
    }
    return end_opts(l, "-rtc", arg, r, e);
}

/* --- what to boot --- */

static result check_readable(const char *opt, const char *path, struct err *e)
{
    if (access(path, R_OK) < 0)
        return err_set(e, "%s %s: %s", opt, path, strerror(errno));
    return OPTIONS_RUN;
}

static result opt_kernel(struct options *o, const char *arg, struct err *e)
{
    o->machine.kernel = arg;
    return check_readable("-kernel", arg, e);
}

static result opt_initrd(struct options *o, const char *arg, struct err *e)
{
    if (!*arg)
        return err_set(e, "-initrd: the name of the file is missing");
    o->machine.initrd = arg;
    return OPTIONS_RUN;
}

static result opt_append(struct options *o, const char *arg, struct err *e)
{
    o->machine.append = arg;
    return OPTIONS_RUN;
}

static result opt_bios(struct options *o, const char *arg, struct err *e)
{
    o->machine.bios = arg;
    return OPTIONS_RUN;
}

static result opt_data_dir(struct options *o, const char *arg, struct err *e)
{
    g_ptr_array_add(o->data_dirs, (char *)arg);
    return OPTIONS_RUN;
}

static result opt_device(struct options *o, const char *arg, struct err *e)
{
    const char *comma = strchr(arg, ',');

    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return options_print_devices();
    if (comma && (!strcmp(comma, ",help") || !strcmp(comma, ",?")))
        return options_print_device(keep(o, g_strndup(arg, (gsize)(comma - arg))), e);
    g_ptr_array_add(o->devices, (char *)arg);
    return OPTIONS_RUN;
}

/* DRIVER.PROP=VALUE or driver=DRIVER,property=PROP,value=VALUE. */
static result opt_global(struct options *o, const char *arg, struct err *e)
{
    const char *dot = strchr(arg, '.'), *eq = strchr(arg, '=');
    const char *driver, *prop, *value;
    struct opts *l;

    if (dot && eq && dot < eq) {
        g_ptr_array_add(o->globals, (char *)arg);
        return OPTIONS_RUN;
    }
    l = opts_parse(arg, NULL, e);
    if (!l)
        return err_prefix(e, "-global %s", arg);
    driver = opts_get(l, "driver");
    prop = opts_get(l, "property");
    value = opts_get(l, "value");
    if (driver && prop && value)
        g_ptr_array_add(o->globals, (char *)keep(o, g_strdup_printf("%s.%s=%s", driver, prop, value)));
    return end_opts(l, "-global", arg, driver && prop && value ? 0 : err_set(e, "use -global DRIVER.PROPERTY=VALUE"), e);
}

static result opt_nodefaults(struct options *o, const char *arg, struct err *e)
{
    o->machine.nodefaults = true;
    return OPTIONS_RUN;
}

/* --- streams and displays --- */

static result opt_serial(struct options *o, const char *arg, struct err *e)
{
    if (o->n_serial == SERIAL_MAX)
        return err_set(e, "-serial %s: there are only %d serial ports", arg, SERIAL_MAX);
    o->serial[o->n_serial++] = arg;
    return OPTIONS_RUN;
}

static result opt_chardev(struct options *o, const char *arg, struct err *e)
{
    g_ptr_array_add(o->chardevs, (char *)arg);
    return OPTIONS_RUN;
}

static result opt_debugcon(struct options *o, const char *arg, struct err *e)
{
    o->debugcon = strcmp(arg, "none") ? arg : NULL;
    return OPTIONS_RUN;
}

static result add_mon(struct options *o, const char *arg, int form)
{
    struct mon_option m = { arg, form };

    if (strcmp(arg, "none"))
        g_array_append_val(o->mons, m);
    return OPTIONS_RUN;
}

static result opt_monitor(struct options *o, const char *arg, struct err *e)
{
    o->monitor_given = true;
    return add_mon(o, arg, MON_HMP);
}

static result opt_qmp(struct options *o, const char *arg, struct err *e)
{
    return add_mon(o, arg, MON_QMP);
}

static result opt_qmp_pretty(struct options *o, const char *arg, struct err *e)
{
    return add_mon(o, arg, MON_QMP_PRETTY);
}

static result opt_mon(struct options *o, const char *arg, struct err *e)
{
    o->monitor_given = true;
    return add_mon(o, arg, MON_CHARDEV);
}

static result opt_gdb(struct options *o, const char *arg, struct err *e)
{
    if (!strcmp(arg, "none")) {
        o->gdb = NULL;
        return OPTIONS_RUN;
    }
    if (strncmp(arg, "tcp:", 4) && strncmp(arg, "unix:", 5) && strncmp(arg, "chardev:", 8) && strcmp(arg, "stdio") &&
        strcmp(arg, "pty"))
        return err_set(e, "-gdb %s: use tcp:[HOST]:PORT, unix:PATH, chardev:ID, stdio, pty or none", arg);
    o->gdb = arg;
    return OPTIONS_RUN;
}

static result opt_gdb_default(struct options *o, const char *arg, struct err *e)
{
    o->gdb = "tcp::1234";
    return OPTIONS_RUN;
}

/* Options whose one value here is "none". */
static result only_none(const char *opt, const char *arg, struct err *e)
{
    if (strcmp(arg, "none"))
        return err_set(e, "-%s %s: this version has no such device; only -%s none is accepted", opt, arg, opt);
    return OPTIONS_RUN;
}

static result opt_parallel(struct options *o, const char *arg, struct err *e)
{
    return only_none("parallel", arg, e);
}

/* --- behaviour --- */

static result opt_no_reboot(struct options *o, const char *arg, struct err *e)
{
    o->accel.no_reboot = true;
    return OPTIONS_RUN;
}

static result opt_no_shutdown(struct options *o, const char *arg, struct err *e)
{
    o->accel.no_shutdown = true;
    return OPTIONS_RUN;
}

static result opt_perfmap(struct options *o, const char *arg, struct err *e)
{
    o->accel.perfmap = true;
    return OPTIONS_RUN;
}

static result opt_stopped(struct options *o, const char *arg, struct err *e)
{
    o->accel.start_stopped = true;
    return OPTIONS_RUN;
}

static result opt_log_items(struct options *o, const char *arg, struct err *e)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?"))
        return options_print_log_items();
    o->log_items = arg;
    return OPTIONS_RUN;
}

static result opt_log_path(struct options *o, const char *arg, struct err *e)
{
    o->log_path = arg;
    return OPTIONS_RUN;
}

/* debug-threads: threads have their names in any case. */
static result opt_name(struct options *o, const char *arg, struct err *e)
{
    struct opts *l = opts_parse(arg, "guest", e);
    bool named;
    int r = l ? opts_bool(l, "debug-threads", true, &named, e) : -1;

    if (r == 0 && opts_peek(l, "guest"))
        o->name = o->display.title = keep_copy(o, opts_get(l, "guest"));
    if (r == 0 && opts_peek(l, "process"))
        prctl(PR_SET_NAME, opts_get(l, "process"));
    return end_opts(l, "-name", arg, r, e);
}

static result opt_ignore(struct options *o, const char *arg, struct err *e)
{
    return OPTIONS_RUN; /* there are no configuration files to leave out */
}

static result opt_version(struct options *o, const char *arg, struct err *e)
{
    printf("Gemel emulator version %s\n", GEMEL_VERSION);
    return OPTIONS_DONE;
}

static result opt_help(struct options *o, const char *arg, struct err *e)
{
    options_print_usage();
    return OPTIONS_DONE;
}

const struct option option_table[] = {
    { "help", NULL, opt_help, "print this text, and exit" },
    { "h", NULL, opt_help, "the same" },
    { "version", NULL, opt_version, "print the version, and exit" },
    { "machine", "[type=]NAME[,accel=LIST][,PROP=VALUE]...", options_machine, "machine type ('help' lists them)" },
    { "M", "NAME", options_machine, "the same" },
    { "accel", "NAME[,PROP=VALUE]...", opt_accel, "engine that runs the guest ('help' lists them)" },
    { "enable-kvm", NULL, opt_enable_kvm, "the same as -accel kvm" },
    { "cpu", "MODEL[,+FEATURE|,-FEATURE]...", opt_cpu, "CPU model ('help' lists models and features)" },
    { "smp", "[cpus=]N[,sockets=N][,cores=N][,threads=N]", opt_smp, "number of CPUs, 1 to 64 (1)" },
    { "m", "[size=]N[K|M|G]", opt_memory, "guest memory, in MiB without a suffix (512)" },
    { "rtc", "[base=utc|localtime|DATE][,clock=host|vm]", opt_rtc, "what the real-time clock shows at start (utc), and what moves it (host)" },
    { "kernel", "FILE", opt_kernel, "boot this kernel: Linux bzImage, multiboot, or ELF with a PVH note" },
    { "initrd", "FILE", opt_initrd, "initial RAM disk, or multiboot modules, for -kernel" },
    { "append", "TEXT", opt_append, "command line for -kernel" },
    { "bios", "FILE", opt_bios, "firmware image" },
    { "L", "DIR", opt_data_dir, "look for firmware and option ROMs in DIR as well" },
    { "boot", "[order=]LETTERS[,once=LETTERS][,menu=on|off][,strict=on|off]", options_boot, "a floppy, c disk, d CD-ROM, n network" },
    { "option-rom", "FILE", options_option_rom, "a ROM that firmware runs" },
    { "fw_cfg", "[name=]NAME,file=FILE|string=TEXT", options_fw_cfg, "an item for firmware and guest" },
    { "smbios", "type=N[,FIELD=VALUE]...|file=FILE", options_smbios, "fields of the SMBIOS tables" },
    { "uuid", "UUID", options_uuid, "UUID of the guest" },
    { "no-acpi", NULL, options_no_acpi, "the same as -machine acpi=off" },
    { "no-hpet", NULL, options_no_hpet, "the same as -machine hpet=off" },
    { "watchdog", "i6300esb|ib700", options_watchdog, "the same as -device" },
    { "device", "CLASS[,PROP=VALUE]...", opt_device, "add a device ('help' lists them; CLASS,help its properties)" },
    { "global", "CLASS.PROP=VALUE", opt_global, "default of a property for all devices of a class" },
    { "nodefaults", NULL, opt_nodefaults, "no default devices" },
    { "no-user-config", NULL, opt_ignore, "accepted: there are no configuration files" },
    { "netdev", "user|tap|socket|stream|dgram|hubport,id=ID[,OPTION]...", options_netdev, "network back end for -device ...,netdev=ID" },
    { "nic", "none|user|tap|...[,model=NAME][,mac=ADDR][,OPTION]...", options_nic, "network card with its back end (user, e1000)" },
    { "net", "none|nic|user|tap|socket[,OPTION]...", options_net, "the same on hub 0, the older way" },
    { "object", "TYPE,id=ID[,PROP=VALUE]...", options_object, "an object that others name by id: secret, filter-dump, ... ('help' lists them)" },
    { "vga", "std|none", opt_vga, "display adapter (std)" },
    { "parallel", "none", opt_parallel, "accepted: there is no parallel port" },
    { "serial", "CHR", opt_serial, "next serial port: stdio, mon:stdio, file:P, pipe:P, pty, unix:P, tcp:H:N, null, none" },
    { "chardev", "KIND,id=ID[,OPTION]...", opt_chardev, "character back end for -device and chardev:ID" },
    { "debugcon", "CHR", opt_debugcon, "debug console at port 0xe9" },
    { "monitor", "CHR", opt_monitor, "where the monitor is" },
    { "mon", "[chardev=]ID[,mode=readline|control][,pretty=on]", opt_mon, "a monitor, or QMP (control), on a -chardev" },
    { "qmp", "CHR", opt_qmp, "where QMP is: unix:P,server=on,wait=off, tcp:H:N,..., stdio, pty" },
    { "qmp-pretty", "CHR", opt_qmp_pretty, "the same, with indented output" },
    { "nographic", NULL, opt_nographic, "no display; first serial port and monitor on stdio, Ctrl-a h helps" },
    { "display", "none|sdl|curses|vnc=DISPLAY[,OPTION]...", opt_display, "where the screen is shown (a window, else VNC on localhost:0)" },
    { "vnc", "[HOST]:N|unix:PATH|none[,OPTION]...", opt_vnc, "VNC server for the screen: password=on, websocket=on|PORT, to=N, share=" },
    { "usb", NULL, opt_usb, "the chipset's USB controller" },
    { "usbdevice", "tablet|mouse|keyboard", opt_usbdevice, "the same with a device on it" },
    { "full-screen", NULL, opt_full_screen, "the window fills the screen" },
    { "k", "en-us", opt_keyboard, "keyboard layout of VNC clients that send no key codes" },
    { "S", NULL, opt_stopped, "do not start the CPUs; the monitor's or gdb's 'c' does" },
    { "s", NULL, opt_gdb_default, "the same as -gdb tcp::1234" },
    { "gdb", "tcp:[HOST]:PORT|unix:PATH", opt_gdb, "wait for gdb there" },
    { "no-reboot", NULL, opt_no_reboot, "exit instead of rebooting (status 3 after a triple fault)" },
    { "no-shutdown", NULL, opt_no_shutdown, "stop instead of exiting when the guest powers off" },
    { "name", "[guest=]TEXT[,process=NAME]", opt_name, "name of the guest" },
    { "d", "ITEM[,ITEM]...", opt_log_items, "log ('help' lists the items)" },
    { "perfmap", NULL, opt_perfmap, "name translated code for perf(1), in /tmp/perf-PID.map" },
    { "D", "FILE", opt_log_path, "write the log to FILE instead of stderr" },
    { NULL, NULL, NULL, NULL },
};

const struct option *option_find(const char *name)
{
    static const struct option *const tables[] = { option_table, block_options, control_options };

    for (unsigned i = 0; i < ARRAY_LEN(tables); i++)
        for (const struct option *t = tables[i]; t->name; t++)
            if (!strcmp(t->name, name))
                return t;
    return NULL;
}

static result parse_one(struct options *o, int argc, char **argv, int *i, struct err *e)
{
    const char *word = argv[*i], *arg = NULL;
    const struct option *t;

    if (word[0] != '-') {
        if (o->machine.image)
            return err_set(e, "%s: there is one image only, and it is '%s' already", word, o->machine.image);
        o->machine.image = word;
        return strncmp(word, "nbd", 3) && strncmp(word, "json:", 5) && access(word, R_OK) < 0 ? err_set(e, "%s: %s", word, strerror(errno)) : OPTIONS_RUN;
    }
    t = option_find(word[1] == '-' ? word + 2 : word + 1);
    if (!t && option_is_refused(word[1] == '-' ? word + 2 : word + 1))
        return err_set(e, "%s: this option of QEMU is not available here", word);
    if (!t)
        return err_set(e, "%s: invalid option; 'gemel -help' lists the options", word);
    if (t->arg) {
        if (*i + 1 >= argc)
            return err_set(e, "%s: requires an argument: %s", word, t->arg);
        arg = argv[++*i];
    }
    return t->fn(o, arg, e);
}

/* -bios NAME is a path, or a file in one of the -L directories. */
static result find_bios(struct options *o, struct err *e)
{
    const char *name = o->machine.bios;

    if (!name || !access(name, R_OK))
        return OPTIONS_RUN;
    for (unsigned i = 0; !strchr(name, '/') && i < o->data_dirs->len; i++) {
        o->machine.bios = keep(o, g_build_filename(o->data_dirs->pdata[i], name, NULL));
        if (!access(o->machine.bios, R_OK))
            return OPTIONS_RUN;
    }
    return err_set(e, "-bios %s: no such file%s", name, o->data_dirs->len ? ", nor in the -L directories" : "");
}

/* True if an option has claimed standard input and output. */
static bool is_stdio_taken(const struct options *o)
{
    bool taken = (o->gdb && !strcmp(o->gdb, "stdio")) || (o->debugcon && strstr(o->debugcon, "stdio"));

    for (unsigned i = 0; i < o->mons->len; i++) {
        const struct mon_option *m = &g_array_index(o->mons, struct mon_option, i);
        taken |= m->form != MON_CHARDEV && strstr(m->arg, "stdio");
    }
    for (unsigned i = 0; i < o->n_serial; i++)
        taken |= strstr(o->serial[i], "stdio") != NULL;
    for (unsigned i = 0; i < o->chardevs->len; i++)
        taken |= !strncmp(o->chardevs->pdata[i], "stdio,", 6);
    return taken;
}

/* Where serial port, monitor and nothing-said go. */
static result choose_streams(struct options *o, struct err *e)
{
    bool taken = is_stdio_taken(o);

    if (taken && o->display.display && g_str_has_prefix(o->display.display, "curses"))
        return err_set(e, "-display curses: standard input and output are in use for another option");
    if (o->daemonize && (taken || o->nographic))
        return err_set(e, "-daemonize: cannot be used with -nographic or stdio");
    if (o->n_serial || o->machine.nodefaults)
        return OPTIONS_RUN;
    o->serial[0] = taken || o->daemonize || !options_use_terminal(o) ? "null" : o->monitor_given ? "stdio" : "mon:stdio";
    o->n_serial = 1;
    return OPTIONS_RUN;
}

/* With options but nothing to boot firmware starts: it may find the network, or say that there is nothing. */
static result check_boot(struct options *o, int argc, struct err *e)
{
    struct machine_config *m = &o->machine;

    if ((m->initrd || m->append) && !m->kernel && !m->image)
        return err_set(e, "%s: needs -kernel", m->initrd ? "-initrd" : "-append");
    if (argc == 1)
        return err_set(e, "nothing to boot; give an image, -kernel FILE or -bios FILE ('gemel -help' lists the options)");
    return OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv, struct err *e)
{
    result r = OPTIONS_RUN;

    memset(o, 0, sizeof(*o));
    o->strings = g_ptr_array_new_with_free_func(g_free);
    o->devices = g_ptr_array_new();
    o->globals = g_ptr_array_new();
    o->data_dirs = g_ptr_array_new();
    o->fw_cfg = g_ptr_array_new();
    o->smbios = g_ptr_array_new();
    o->option_roms = g_ptr_array_new();
    o->chardevs = g_ptr_array_new();
    o->display.vnc = g_ptr_array_new();
    o->mons = g_array_new(FALSE, FALSE, sizeof(struct mon_option));
    options_block_init(o);
    o->netdevs = g_ptr_array_new_with_free_func(net_option_free);
    o->objects = g_ptr_array_new_with_free_func(object_option_free);
    o->accel.cpus = o->accel.cores = o->accel.threads = 1;
    o->machine.type = "pc";
    o->machine.ram_size = RAM_DEFAULT;
    o->machine.rtc_base = "utc";
    for (int i = 1; i < argc && r == OPTIONS_RUN; i++)
        r = parse_one(o, argc, argv, &i, e);
    if (r == OPTIONS_RUN)
        r = find_bios(o, e);
    if (r == OPTIONS_RUN)
        r = check_boot(o, argc, e);
    if (r == OPTIONS_RUN && options_place_drives(o, e) < 0)
        r = OPTIONS_ERROR;
    if (r == OPTIONS_RUN)
        r = options_net_default(o, e);
    if (r != OPTIONS_RUN)
        return r;
    options_choose_adapter(o);
    if (choose_streams(o, e) != OPTIONS_RUN)
        return OPTIONS_ERROR;
    o->machine.cpus = o->accel.cpus;
    o->machine.devices = (const char *const *)o->devices->pdata;
    o->machine.n_devices = o->devices->len;
    o->machine.globals = (const char *const *)o->globals->pdata;
    o->machine.n_globals = o->globals->len;
    o->machine.data_dirs = (const char *const *)o->data_dirs->pdata;
    o->machine.n_data_dirs = o->data_dirs->len;
    o->machine.fw_cfg = (const char *const *)o->fw_cfg->pdata;
    o->machine.n_fw_cfg = o->fw_cfg->len;
    o->machine.smbios = (const char *const *)o->smbios->pdata;
    o->machine.n_smbios = o->smbios->len;
    o->machine.option_roms = (const char *const *)o->option_roms->pdata;
    o->machine.n_option_roms = o->option_roms->len;
    o->machine.cores = o->accel.cores;
    o->machine.threads = o->accel.threads;
    return OPTIONS_RUN;
}

void options_free(struct options *o)
{
    g_ptr_array_unref(o->devices);
    g_ptr_array_unref(o->globals);
    g_ptr_array_unref(o->data_dirs);
    g_ptr_array_unref(o->fw_cfg);
    g_ptr_array_unref(o->smbios);
    g_ptr_array_unref(o->option_roms);
    g_ptr_array_unref(o->chardevs);
    g_ptr_array_unref(o->display.vnc);
    g_array_unref(o->mons);
    options_block_free(o);
    g_ptr_array_unref(o->netdevs);
    g_ptr_array_unref(o->objects);
    g_ptr_array_unref(o->strings);
}
