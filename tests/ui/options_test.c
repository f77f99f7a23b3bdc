/* Tests ui/options.c: what the command line turns into, and that everything wrong is refused by name. */
#include <glib.h>
#include <unistd.h>
#include "ui/options.h"
#include "config.h"

/* Parses "gemel" and the words up to NULL. */
static enum options_result parse(struct options *o, struct err *e, const char *const *words)
{
    char *argv[32] = { "gemel" };
    int argc = 1;

    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    e->msg[0] = 0;
    return options_parse(o, argc, argv, e);
}

#define PARSE(o, e, ...) parse(o, e, (const char *const[]){ __VA_ARGS__, NULL })
#define BOOT "-kernel", "/dev/null"

static void test_defaults(void)
{
    struct options o;
    struct err e;

    g_assert_cmpint(PARSE(&o, &e, BOOT), ==, OPTIONS_RUN);
    g_assert_cmpuint(o.machine.ram_size, ==, 512 * MiB);
    g_assert_cmpuint(o.accel.cpus, ==, 1);
    g_assert_cmpstr(o.machine.type, ==, "pc");
    g_assert_cmpuint(o.n_serial, ==, 1);
    g_assert_cmpstr(o.serial[0], ==, HAVE_VNC || HAVE_SDL2 ? "null" : "mon:stdio");
    g_assert_cmpstr(o.machine.vga, ==, "VGA");
    g_assert_null(o.gdb);
    options_free(&o);
    g_assert_cmpint(PARSE(&o, &e, BOOT, "-nographic", "-vga", "none"), ==, OPTIONS_RUN);
    g_assert_cmpstr(o.serial[0], ==, "mon:stdio");
    g_assert_cmpstr(o.display.display, ==, "none");
    g_assert_null(o.machine.vga);
    options_free(&o);
    g_assert_cmpint(PARSE(&o, &e, BOOT, "-device", "VGA,vgamem_mb=32"), ==, OPTIONS_RUN);
    g_assert_null(o.machine.vga); /* the user's takes its place */
    options_free(&o);
    g_assert_cmpint(PARSE(&o, &e, BOOT, "-display", "curses", "-serial", "stdio"), ==, OPTIONS_ERROR);
    g_assert_nonnull(strstr(e.msg, "-display curses"));
    options_free(&o);
}

static void test_both_dashes(void)
{
    struct options o;
    struct err e;

    g_assert_cmpint(PARSE(&o, &e, "--m", "1G", "-S", "--no-reboot", "--kernel", "/dev/null", "--append", "a=b c"), ==,
                    OPTIONS_RUN);
    g_assert_cmpuint(o.machine.ram_size, ==, GiB);
    g_assert_true(o.accel.start_stopped && o.accel.no_reboot && !o.accel.no_shutdown);
    g_assert_cmpstr(o.machine.append, ==, "a=b c");
    options_free(&o);
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        u64 size; /* 0: refused */
    } t[] = { { "512", 512 * MiB }, { "512M", 512 * MiB }, { "1G", GiB }, { "2048k", 2 * MiB }, { "1.5G", 1536 * MiB },
              { "size=64", 64 * MiB }, { "0", 0 }, { "1T", 0 }, { "-5", 0 }, { "12x", 0 }, { "", 0 }, { "M", 0 },
              { "64,slots=2", 0 }, { "1K", 0 }, { "99999999999999999999", 0 } };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct options o;
        struct err e;
        enum options_result r = PARSE(&o, &e, BOOT, "-m", t[i].text);
        g_assert_cmpint(r, ==, t[i].size ? OPTIONS_RUN : OPTIONS_ERROR);
        if (t[i].size)
            g_assert_cmpuint(o.machine.ram_size, ==, t[i].size);
        else
            g_assert_nonnull(strstr(e.msg, "-m"));
        options_free(&o);
    }
}

static void test_smp(void)
{
    static const struct {
        const char *text;
        unsigned cpus, cores, threads; /* cpus 0: refused */
    } t[] = {
        { "1", 1, 1, 1 }, { "4", 4, 4, 1 }, { "64", 64, 64, 1 }, { "cpus=4,sockets=2", 4, 2, 1 },
        { "sockets=2,cores=2,threads=2", 8, 2, 2 }, { "4,maxcpus=4", 4, 4, 1 }, { "8,sockets=1,cores=4,threads=2", 8, 4, 2 },
        { "0", 0, 0, 0 }, { "65", 0, 0, 0 }, { "-1", 0, 0, 0 }, { "two", 0, 0, 0 }, { "4,sockets=3", 0, 0, 0 },
        { "2,maxcpus=4", 0, 0, 0 }, { "2,planets=1", 0, 0, 0 }, { "sockets=64,cores=64", 0, 0, 0 },
        { "3", 3, 3, 1 }, { "6,sockets=2", 0, 0, 0 }, { "6,cores=2,threads=3", 0, 0, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct options o;
        struct err e;
        enum options_result r = PARSE(&o, &e, BOOT, "-smp", t[i].text);
        g_test_message("-smp %s", t[i].text);
        g_assert_cmpint(r, ==, t[i].cpus ? OPTIONS_RUN : OPTIONS_ERROR);
        if (t[i].cpus) {
            g_assert_cmpuint(o.accel.cpus, ==, t[i].cpus);
            g_assert_cmpuint(o.machine.cpus, ==, t[i].cpus);
            g_assert_cmpuint(o.accel.cores, ==, t[i].cores);
            g_assert_cmpuint(o.accel.threads, ==, t[i].threads);
        } else {
            g_assert_nonnull(strstr(e.msg, "-smp"));
        }
        options_free(&o);
    }
}

static void test_refused(void)
{
    static const char *const t[][3] = {
        { "-frobnicate", NULL, "-frobnicate" }, { "--spice", ":1", "--spice" }, { "-display", "gtk", "-display gtk" }, { "-k", "de", "-k de" },
        { "-vga", "cirrus", "-vga cirrus" }, { "-net", "dump", "-net dump" }, { "-net", "nic,model=nosuch", "nosuch" },
        { "-nic", "user,model=nosuch", "nosuch" }, { "-object", "nosuch,id=x", "nosuch" },
        { "-machine", "pc,smm=on", "smm" }, { "-machine", "vmport=maybe", "vmport" }, { "-drive", "format=raw", "file=" },
        { "-initrd", NULL, "argument" }, { "-rtc", "clock=rt", "clock" }, { "-action", "panic=party", "panic" }, { "-action", "tea=hot", "tea" },
        { "-watchdog-action", "bark", "bark" }, { "-echr", "0", "-echr" }, { "-add-fd", "fd=1,set=0", "fd" }, { "-set", "device.x.y=1", "'x'" },
        { "-set", "x", "-set" }, { "-readconfig", "/nonexistent", "-readconfig" }, { "-trace", "x", "-trace" }, { "-sandbox", "on", "-sandbox" },
        { "-msg", "colour=red", "colour" },
        { "-kernel", "/nonexistent/kernel", "/nonexistent/kernel" }, { "/nonexistent/image", NULL, "/nonexistent/image" },
        { "-bios", "/nonexistent/bios", "-bios" }, { "-gdb", "carrier-pigeon", "-gdb" }, { "-global", "x", "-global" },
        { "-name", "x,color=red", "color" }, { "-device", "no-such-device,help", "no-such-device" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct options o;
        struct err e;
        g_test_message("%s %s", t[i][0], t[i][1] ? t[i][1] : "");
        g_assert_cmpint(PARSE(&o, &e, BOOT, t[i][0], t[i][1]), ==, OPTIONS_ERROR);
        g_assert_nonnull(strstr(e.msg, t[i][2]));
        g_assert_null(strchr(e.msg, '\n'));
        options_free(&o);
    }
}

static void test_nothing_to_boot(void)
{
    struct options o;
    struct err e;

    g_assert_cmpint(PARSE(&o, &e, NULL), ==, OPTIONS_ERROR);
    g_assert_nonnull(strstr(e.msg, "nothing to boot"));
    options_free(&o);
    g_assert_cmpint(PARSE(&o, &e, "-hda", "/dev/null", "-initrd", "/dev/null"), ==, OPTIONS_ERROR);
    g_assert_nonnull(strstr(e.msg, "needs -kernel"));
    options_free(&o);
}

static void test_streams(void)
{
    struct options o;
    struct err e;

    PARSE(&o, &e, BOOT, "-nographic", "-monitor", "none");
    g_assert_cmpstr(o.serial[0], ==, "stdio");
    g_assert_cmpuint(o.mons->len, ==, 0);
    options_free(&o);
    PARSE(&o, &e, BOOT, "-display", "none");
    g_assert_cmpstr(o.serial[0], ==, "null");
    options_free(&o);
    PARSE(&o, &e, BOOT, "-nographic", "-serial", "file:/dev/null", "-serial", "stdio");
    g_assert_cmpuint(o.n_serial, ==, 2);
    g_assert_cmpstr(o.serial[1], ==, "stdio");
    options_free(&o);
    PARSE(&o, &e, BOOT, "-nographic", "-debugcon", "stdio");
    g_assert_cmpstr(o.serial[0], ==, "null");
    options_free(&o);
    PARSE(&o, &e, BOOT, "-nodefaults");
    g_assert_cmpuint(o.n_serial, ==, 0);
    options_free(&o);
    g_assert_cmpint(PARSE(&o, &e, BOOT, "-serial", "null", "-serial", "null", "-serial", "null", "-serial", "null",
                          "-serial", "null"), ==, OPTIONS_ERROR);
    options_free(&o);
}

static void test_lists(void)
{
    struct options o;
    struct err e;

    PARSE(&o, &e, BOOT, "-nic", "none", "-device", "isa-debug-exit,iobase=0xf4", "-device", "pc-testdev", "-global", "isa-debug-exit.iosize=4",
          "-global", "driver=hpet,property=msi,value=on", "-accel", "kvm", "-accel", "dbt,verify=on", "-s");
    g_assert_cmpuint(o.machine.n_devices, ==, 2);
    g_assert_cmpstr(o.machine.devices[0], ==, "isa-debug-exit,iobase=0xf4");
    g_assert_cmpuint(o.machine.n_globals, ==, 2);
    g_assert_cmpstr(o.machine.globals[1], ==, "hpet.msi=on");
    g_assert_cmpstr(o.accel.accel, ==, "kvm:dbt,verify=on");
    g_assert_cmpstr(o.gdb, ==, "tcp::1234");
    options_free(&o);
}

static void test_machine_and_actions(void)
{
    struct options o;
    struct err e;

    g_assert_cmpint(PARSE(&o, &e, BOOT, "-machine", "type=pc,accel=kvm:tcg", "-action", "reboot=shutdown,shutdown=pause,panic=none,watchdog=pause",
                          "-rtc", "base=2020-01-02T03:04:05,clock=vm", "-name", "guest=box,debug-threads=on", "-vga", "none",
                          "-nic", "none", "-parallel", "none", "-no-user-config"), ==, OPTIONS_RUN);
    g_assert_cmpstr(o.accel.accel, ==, "kvm:tcg");
    g_assert_true(o.accel.no_reboot && o.accel.no_shutdown);
    g_assert_cmpstr(o.machine.rtc_base, ==, "2020-01-02T03:04:05");
    g_assert_true(o.machine.rtc_vm_clock);
    g_assert_cmpstr(o.name, ==, "box");
    options_free(&o);
}

/* Later ones win; others leave it alone. */
static void test_vmport(void)
{
    static const struct { const char *first, *second; bool off, user; } t[] = {
        { "pc", "q35", false, false },              { "vmport=off", "hpet=on", true, false }, { "vmport=on", "pc", false, true },
        { "vmport=auto", "hpet=on", false, false }, { "vmport=on", "vmport=off", true, false }, { "vmport=off", "vmport=auto", false, false },
    };
    struct options o;
    struct err e;

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        g_assert_cmpint(PARSE(&o, &e, BOOT, "-machine", t[i].first, "-machine", t[i].second), ==, OPTIONS_RUN);
        g_assert_cmpint(o.machine.no_vmport, ==, t[i].off);
        g_assert_cmpint(o.machine.vmport_user, ==, t[i].user);
        options_free(&o);
    }
}

/* Sections become options; commas in values stay what they are; -set changes a device before it. */
static void test_readconfig(void)
{
    char *path = NULL;
    int fd = g_file_open_tmp("gemel-cfg-XXXXXX", &path, NULL);
    struct options o;
    struct err e;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(path, "# comment\n[memory]\n  size = \"48M\"\n\n[device \"d\"]\n driver = \"isa-debug-exit\"\n"
                                            " iobase = \"0xf4\"\n[name]\nguest = \"a,b\"\n", -1, NULL));
    g_assert_cmpint(PARSE(&o, &e, BOOT, "-nodefaults", "-readconfig", path, "-set", "device.d.iosize=4"), ==, OPTIONS_RUN);
    g_assert_cmpuint(o.machine.ram_size, ==, 48 * MiB);
    g_assert_cmpstr(o.name, ==, "a,b");
    g_assert_cmpuint(o.machine.n_devices, >=, 1);
    g_assert_cmpstr(o.machine.devices[0], ==, "id=d,driver=isa-debug-exit,iobase=0xf4,iosize=4");
    options_free(&o);
    g_assert_true(g_file_set_contents(path, "[memory]\nsize = 48M\n", -1, NULL));
    g_assert_cmpint(PARSE(&o, &e, BOOT, "-readconfig", path), ==, OPTIONS_ERROR);
    g_assert_nonnull(strstr(e.msg, "line 2"));
    options_free(&o);
    g_assert_true(g_file_set_contents(path, "[nonsense]\nx = \"y\"\n", -1, NULL));
    g_assert_cmpint(PARSE(&o, &e, BOOT, "-readconfig", path), ==, OPTIONS_ERROR);
    g_assert_nonnull(strstr(e.msg, "nonsense"));
    options_free(&o);
    unlink(path);
    g_free(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/defaults", test_defaults);
    g_test_add_func("/options/both-dashes", test_both_dashes);
    g_test_add_func("/options/sizes", test_sizes);
    g_test_add_func("/options/smp", test_smp);
    g_test_add_func("/options/refused", test_refused);
    g_test_add_func("/options/nothing-to-boot", test_nothing_to_boot);
    g_test_add_func("/options/streams", test_streams);
    g_test_add_func("/options/lists", test_lists);
    g_test_add_func("/options/machine-and-actions", test_machine_and_actions);
    g_test_add_func("/options/vmport", test_vmport);
    g_test_add_func("/options/readconfig", test_readconfig);
    return g_test_run();
}
