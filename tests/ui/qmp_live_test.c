/* Tests QMP with the real program ($GEMEL): every command of the schema is run on a PC that firmware could boot, its answer and all events
 * are checked against the schema, and what the commands do is looked at. The session is a socket pair handed over as fd=N. */
#include <elf.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "config.h"
#include "ui/qmp_schema.h"

#define TIMEOUT_S 60

struct client {
    int fd;
    pid_t pid;
    GString *in;
    GPtrArray *events; /* JsonNode */
};

static char *dir;
static GHashTable *done; /* commands that were run */

static char *path_of(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

/* --- the program and its session --- */

/* args: blank-separated; "DIR" in them stands for the folder of this test. */
static struct client *start(const char *args)
{
    struct client *c = g_new0(struct client, 1);
    char *all, *with_dir, **argv;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    all = g_strdup_printf("%s -nodefaults -display none -chardev socket,id=qmp,fd=%d -mon chardev=qmp,mode=control %s", g_getenv("GEMEL"),
                          pair[1], args);
    GString *s = g_string_new(all);
    g_string_replace(s, "DIR", dir, 0);
    with_dir = g_string_free(s, FALSE);
    argv = g_strsplit(g_strstrip(with_dir), " ", -1);
    c->pid = fork();
    g_assert_cmpint(c->pid, >=, 0);
    if (c->pid == 0) {
        close(pair[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
        execv(argv[0], argv);
        _exit(127);
    }
    close(pair[1]);
    c->fd = pair[0];
    c->in = g_string_new(NULL);
    c->events = g_ptr_array_new_with_free_func((GDestroyNotify)json_node_unref);
    struct timeval limit = { .tv_sec = TIMEOUT_S };
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    g_strfreev(argv);
    g_free(with_dir);
    g_free(all);
    return c;
}

/* The next line as JSON; NULL at the end of the stream. */
static JsonNode *read_node(struct client *c)
{
    char *end, buf[4096];
    JsonNode *n;

    while (!(end = strstr(c->in->str, "\r\n"))) {
        ssize_t r = read(c->fd, buf, sizeof(buf));
        if (r < 0)
            g_error("no answer within %d seconds; so far: %s", TIMEOUT_S, c->in->str);
        if (r == 0)
            return NULL;
        g_string_append_len(c->in, buf, r);
    }
    *end = 0;
    n = json_from_string(c->in->str, NULL);
    g_assert_nonnull(n);
    g_string_erase(c->in, 0, end + 2 - c->in->str);
    return n;
}

static void keep_event(struct client *c, JsonNode *n)
{
    JsonObject *o = json_node_get_object(n), *data = json_object_has_member(o, "data") ? json_object_get_object_member(o, "data") : json_object_new();
    const char *name = json_object_get_string_member(o, "event");
    const struct qmp_def *d = qmp_def_find(QMP_EVENT, name);
    struct err e = { "" };

    if (!d)
        g_error("the schema has no event %s", name);
    if (qmp_check_args(d, data, &e) < 0)
        g_error("event %s: %s", name, e.msg);
    if (!json_object_has_member(o, "data"))
        json_object_unref(data);
    g_ptr_array_add(c->events, n);
}

/* Sends a command and returns what comes back; events are put aside. */
static JsonObject *ask(struct client *c, const char *name, const char *args)
{
    char *line = g_strdup_printf("{\"execute\": \"%s\"%s%s}\n", name, args ? ", \"arguments\": " : "", args ? args : "");
    JsonNode *n;

    g_hash_table_add(done, g_strdup(name));
    g_assert_cmpint(write(c->fd, line, strlen(line)), ==, (ssize_t)strlen(line));
    g_free(line);
    while ((n = read_node(c))) {
        if (!json_object_has_member(json_node_get_object(n), "event"))
            break;
        keep_event(c, n);
    }
    if (!n)
        g_error("%s: the program ended", name);
    JsonObject *o = json_object_ref(json_node_get_object(n));
    json_node_unref(n);
    return o;
}

/* A command that works; its answer was checked against the schema. */
static JsonNode *run(struct client *c, const char *name, const char *args)
{
    JsonObject *o = ask(c, name, args);
    const struct qmp_def *d = qmp_def_find(QMP_COMMAND, name);
    struct err e = { "" };
    JsonNode *ret = json_object_dup_member(o, "return");

    if (!ret)
        g_error("%s %s: %s", name, args ? args : "", json_object_get_string_member(json_object_get_object_member(o, "error"), "desc"));
    if (d->ret ? qmp_check_value(d->ret, ret, "return", &e) < 0 : json_object_get_size(json_node_get_object(ret)) != 0)
        g_error("%s: the answer is not as the schema says: %s", name, e.msg);
    json_object_unref(o);
    return ret;
}

static void ok(struct client *c, const char *name, const char *args)
{
    json_node_unref(run(c, name, args));
}

/* A command that is refused with that class, and that text in the message. */
static void fails(struct client *c, const char *name, const char *args, const char *cls, const char *text)
{
    JsonObject *o = ask(c, name, args), *err;

    if (!json_object_has_member(o, "error"))
        g_error("%s %s: was not refused", name, args ? args : "");
    err = json_object_get_object_member(o, "error");
    g_test_message("%s: %s", name, json_object_get_string_member(err, "desc"));
    g_assert_cmpstr(json_object_get_string_member(err, "class"), ==, cls);
    g_assert_nonnull(strstr(json_object_get_string_member(err, "desc"), text));
    json_object_unref(o);
}

/* The text of a member of an answer, by path as in JSONPath; NULL if there is none. Borrowed from a list that lives as long as the test. */
static const char *member(JsonNode *n, const char *path)
{
    JsonNode *found = json_path_query(path, n, NULL);
    JsonArray *a = found ? json_node_get_array(found) : NULL;
    const char *s = NULL;

    if (a && json_array_get_length(a)) {
        char *text = json_to_string(json_array_get_element(a, 0), FALSE);
        s = g_intern_string(text);
        g_free(text);
    }
    if (found)
        json_node_unref(found);
    return s;
}

static void expect(struct client *c, const char *name, const char *args, const char *path, const char *value)
{
    JsonNode *n = run(c, name, args);

    g_assert_cmpstr(member(n, path), ==, value);
    json_node_unref(n);
}

/* Waits for an event of that name; removes and returns it. */
static JsonNode *event(struct client *c, const char *name)
{
    for (unsigned i = 0;; i++) {
        if (i == c->events->len) {
            JsonNode *n = read_node(c);
            if (!n)
                g_error("the program ended before event %s", name);
            keep_event(c, n);
        }
        JsonNode *n = c->events->pdata[i];
        if (!strcmp(json_object_get_string_member(json_node_get_object(n), "event"), name)) {
            json_node_ref(n);
            g_ptr_array_remove_index(c->events, i);
            return n;
        }
    }
}

static void expect_event(struct client *c, const char *name, const char *path, const char *value)
{
    JsonNode *n = event(c, name);

    g_assert_cmpstr(member(n, path), ==, value);
    json_node_unref(n);
}

static void greet(struct client *c)
{
    JsonNode *n = read_node(c);

    g_assert_cmpstr(member(n, "$.QMP.capabilities[0]"), ==, "\"oob\"");
    json_node_unref(n);
    ok(c, "qmp_capabilities", NULL);
}

/* Ends the program if it has not ended, and returns its exit status. */
static int finish(struct client *c)
{
    JsonNode *n;
    int status;

    while ((n = read_node(c)))
        keep_event(c, n);
    g_assert_cmpint(waitpid(c->pid, &status, 0), ==, c->pid);
    g_assert_true(WIFEXITED(status));
    close(c->fd);
    g_ptr_array_unref(c->events);
    g_string_free(c->in, TRUE);
    g_free(c);
    return WEXITSTATUS(status);
}

static void quit(struct client *c)
{
    ok(c, "quit", NULL);
    expect_event(c, "SHUTDOWN", "$.data.reason", "\"host-qmp-quit\"");
    g_assert_cmpint(finish(c), ==, 0);
}

#define PC "-S -m 32 -bios /usr/share/seabios/bios-256k.bin "

/* Sends one byte with a descriptor. */
static void pass_fd(struct client *c, int fd)
{
    union {
        struct cmsghdr h;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { (char[]){ "\n" }, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

    control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.h), &fd, sizeof(int));
    g_assert_cmpint(sendmsg(c->fd, &msg, 0), ==, 1);
}

static void make_image(const char *name, unsigned kib)
{
    char *path = path_of(name), *bytes = g_malloc0(kib * 1024);

    g_assert_true(g_file_set_contents(path, bytes, kib * 1024, NULL));
    g_free(bytes);
    g_free(path);
}

/* Runs gemel-img, which is beside gemel; "DIR" in args stands for the folder of this test. True: it was content. */
static bool image_tool(const char *args)
{
    char *bin = g_path_get_dirname(g_getenv("GEMEL"));
    GString *s = g_string_new(NULL);
    int r;

    g_string_printf(s, "%s/gemel-img %s", bin, args);
    g_string_replace(s, "DIR", dir, 0);
    r = system(s->str);
    g_string_free(s, TRUE);
    g_free(bin);
    return r == 0;
}

static char *hmp(struct client *c, const char *line)
{
    char *args = g_strdup_printf("{\"command-line\": \"%s\"}", line);
    JsonNode *n = run(c, "human-monitor-command", args);
    char *text = g_strdup(json_node_get_string(n));

    json_node_unref(n);
    g_free(args);
    return text;
}

/* What the monitor says contains that; "": nothing at all. */
static void hmp_says(struct client *c, const char *line, const char *text)
{
    char *said = hmp(c, line);

    if (*text ? !strstr(said, text) : *said)
        g_error("'%s' said '%s', not '%s'", line, said, text);
    g_free(said);
}

/* --- tests --- */

static void test_queries(void)
{
    struct client *c = start(PC "-name tester -smp 2,cores=2 -object rng-builtin,id=rng0 -device isa-debug-exit,id=dbg");

    greet(c);
    expect(c, "query-status", NULL, "$.status", "\"prelaunch\"");
    expect(c, "query-version", NULL, "$.qemu.major", "0");
    expect(c, "query-commands", NULL, "$[0].name", "\"qmp_capabilities\"");
    ok(c, "query-qmp-schema", NULL);
    expect(c, "query-name", NULL, "$.name", "\"tester\"");
    expect(c, "query-uuid", NULL, "$.UUID", "\"00000000-0000-0000-0000-000000000000\"");
    ok(c, "query-kvm", NULL);
    JsonNode *jit = run(c, "x-query-jit", NULL);
    g_assert_nonnull(strstr(json_object_get_string_member(json_node_get_object(jit), "human-readable-text"), "\nexits "));
    json_node_unref(jit);
    expect(c, "query-target", NULL, "$.arch", "\"x86_64\"");
    expect(c, "query-machines", NULL, "$[0].name", "\"pc\"");
    ok(c, "query-current-machine", NULL);
    expect(c, "query-cpus-fast", NULL, "$[1].props.core-id", "1");
    expect(c, "query-hotpluggable-cpus", NULL, "$[1].vcpus-count", "1");
    ok(c, "query-cpu-definitions", NULL);
    expect(c, "query-cpu-model-expansion", "{\"type\": \"full\", \"model\": {\"name\": \"max\", \"props\": {\"sse4.2\": false}}}",
           "$.model.name", "\"max\"");
    fails(c, "query-cpu-model-expansion", "{\"type\": \"full\", \"model\": {\"name\": \"z80\"}}", "GenericError", "z80");
    expect(c, "query-memory-size-summary", NULL, "$.base-memory", "33554432");
    ok(c, "query-memory-devices", NULL);
    ok(c, "query-acpi-ospm-status", NULL);
    expect(c, "query-pci", NULL, "$[0].devices[0].id.vendor", "32902");
    fails(c, "query-balloon", NULL, "DeviceNotActive", "balloon");
    fails(c, "balloon", "{\"value\": 1}", "DeviceNotActive", "balloon");
    expect(c, "query-mice", NULL, "$[0].current", "true");
    expect(c, "query-command-line-options", "{\"option\": \"smp-opts\"}", "$[0].parameters[0].name", "\"cpus\"");
    fails(c, "query-command-line-options", "{\"option\": \"nonsense\"}", "GenericError", "nonsense");
    expect(c, "human-monitor-command", "{\"command-line\": \"info name\"}", "$", "\"tester\\r\\n\"");
    expect(c, "qom-list", "{\"path\": \"/machine/peripheral\"}", "$[0].name", "\"dbg\"");
    expect(c, "qom-get", "{\"path\": \"/machine/peripheral/dbg\", \"property\": \"iobase\"}", "$", "1281");
    expect(c, "qom-get", "{\"path\": \"/objects/rng0\", \"property\": \"type\"}", "$", "\"rng-builtin\"");
    fails(c, "qom-get", "{\"path\": \"/nowhere\", \"property\": \"type\"}", "DeviceNotFound", "/nowhere");
    fails(c, "qom-set", "{\"path\": \"dbg\", \"property\": \"iobase\", \"value\": 1}", "GenericError", "iobase");
    ok(c, "qom-list-types", NULL);
    expect(c, "device-list-properties", "{\"typename\": \"isa-debug-exit\"}", "$[0].name", "\"iobase\"");
    fails(c, "device-list-properties", "{\"typename\": \"nonsense\"}", "DeviceNotFound", "nonsense");
    expect(c, "qom-list-properties", "{\"typename\": \"isa-debug-exit\"}", "$[0].name", "\"iobase\"");
    expect(c, "qom-list-properties", "{\"typename\": \"iothread\"}", "$[0].name", "\"poll-max-ns\"");
    expect(c, "qom-list-properties", "{\"typename\": \"rng-builtin\"}", "$", "[]");
    fails(c, "qom-list-properties", "{\"typename\": \"nonsense\"}", "DeviceNotFound", "nonsense");
    quit(c);
}

/* Each device on its bus, each bus below what provides it. */
static void test_device_tree(void)
{
    struct client *c = start(PC "-device piix3-usb-uhci,id=usb -device usb-tablet,id=tab,port=2 -device pci-bridge,id=br,chassis_nr=1 "
                             "-device qemu-xhci,id=x,bus=br,addr=3");

    greet(c);
    hmp_says(c, "info qtree", "bus: main-system-bus\r\n  type System\r\n  dev: ");
    hmp_says(c, "info qtree", "      bus: usb.0\r\n        type usb-bus\r\n        dev: usb-tablet, id \"tab\"\r\n          port = \"2\"\r\n");
    hmp_says(c, "info qtree", "      bus: br\r\n        type PCI\r\n        dev: qemu-xhci, id \"x\"\r\n");
    hmp_says(c, "info usb", "  Device 0.0, Port 2, Speed 12 Mb/s, Product Gemel USB Tablet, ID: tab\r\n");
    quit(c);
    c = start(PC);
    greet(c);
    hmp_says(c, "info usb", "USB support not enabled\r\n");
    quit(c);
}

static void test_control(void)
{
    struct client *c = start(PC "-no-shutdown");
    char *mem = path_of("mem"), *args = g_strdup_printf("{\"val\": 983040, \"size\": 65536, \"filename\": \"%s\"}", mem), *text;
    gsize len;

    greet(c);
    ok(c, "cont", NULL);
    json_node_unref(event(c, "RESUME"));
    expect(c, "query-status", NULL, "$.running", "true");
    ok(c, "stop", NULL);
    json_node_unref(event(c, "STOP"));
    expect(c, "query-status", NULL, "$.status", "\"paused\"");
    ok(c, "system_reset", NULL);
    expect_event(c, "RESET", "$.data.reason", "\"host-qmp-system-reset\"");
    ok(c, "system_powerdown", NULL);
    json_node_unref(event(c, "POWERDOWN"));
    fails(c, "system_wakeup", NULL, "GenericError", "suspended");
    ok(c, "inject-nmi", NULL);
    ok(c, "set-action", "{\"reboot\": \"shutdown\", \"shutdown\": \"poweroff\", \"panic\": \"none\", \"watchdog\": \"pause\"}");
    fails(c, "set-action", "{\"watchdog\": \"bark\"}", "GenericError", "bark");
    ok(c, "watchdog-set-action", "{\"action\": \"none\"}");
    ok(c, "rtc-reset-reinjection", NULL);
    ok(c, "pmemsave", args);
    g_assert_true(g_file_get_contents(mem, &text, &len, NULL));
    g_assert_cmpuint(len, ==, 65536);
    g_assert_cmpuint((guint8)text[0xfff0], ==, 0xea); /* a far jump at the reset vector */
    g_free(text);
    ok(c, "memsave", args);
    fails(c, "memsave", "{\"val\": 0, \"size\": 1, \"filename\": \"/nonexistent/x\"}", "GenericError", "/nonexistent/x");
    fails(c, "pmemsave", "{\"val\": 0, \"size\": -1, \"filename\": \"/dev/null\"}", "GenericError", "size");
    fails(c, "pmemsave", "{\"val\": 0, \"size\": 1}", "GenericError", "filename");
    g_unlink(mem);
    g_free(mem);
    g_free(args);
    quit(c);
}

/* The program header of type t with the highest address in an ELF core file of `bits` bits; its file offset and size. */
static guint64 elf_find(const char *elf, gsize len, guint32 t, guint64 *off, guint64 *size)
{
    const Elf64_Ehdr *h = (const void *)elf;
    const Elf64_Phdr *p = (const void *)(elf + h->e_phoff);
    guint64 found = 0;

    g_assert_cmpuint(h->e_ident[EI_CLASS], ==, ELFCLASS64);
    g_assert_cmpuint(h->e_type, ==, ET_CORE);
    g_assert_cmpuint(h->e_phoff + h->e_phnum * sizeof(*p), <=, len);
    *size = 0;
    for (unsigned i = 0; i < h->e_phnum; i++)
        if (p[i].p_type == t) {
            g_assert_cmpuint(p[i].p_offset + p[i].p_filesz, <=, len);
            found = p[i].p_paddr;
            *off = p[i].p_offset;
            *size = p[i].p_filesz;
        }
    return found;
}

/* The reset state is 16-bit: registers are i386's, and the file is a 64-bit one only if memory ends above 4 GiB. */
static void test_dump(void)
{
    struct client *c = start("-S -m 4G -bios /usr/share/seabios/bios-256k.bin -smp 2");
    char *path = path_of("core"), *args = g_strdup_printf("{\"paging\": false, \"protocol\": \"file:%s\", \"begin\": 4294901760, \"length\": 131072}", path);
    char *text;
    guint64 off, size;
    gsize len;
    int fd;

    greet(c);
    expect(c, "query-dump-guest-memory-capability", NULL, "$.formats[0]", "\"elf\"");
    expect(c, "query-dump", NULL, "$.status", "\"none\"");
    ok(c, "dump-guest-memory", args);
    expect_event(c, "DUMP_COMPLETED", "$.data.result.completed", "131072");
    g_assert_true(g_file_get_contents(path, &text, &len, NULL));
    g_assert_cmpuint(elf_find(text, len, PT_LOAD, &off, &size), ==, 0x100000000);
    g_assert_cmpuint(size, ==, 65536);
    g_assert_cmpuint(off + size, ==, len);
    g_assert_cmpuint((guint8)text[off - 16], ==, 0xea); /* the reset vector, the last bytes below 4 GiB */
    elf_find(text, len, PT_NOTE, &off, &size);
    g_assert_cmpuint(size, ==, 2 * (12 + 8 + 144 + 12 + 8 + 440)); /* CORE and QEMU for two CPUs */
    g_assert_cmpstr(text + off + 12, ==, "CORE");
    g_free(text);
    g_unlink(path);
    fd = g_open(path, O_RDWR | O_CREAT, 0600);
    pass_fd(c, fd);
    ok(c, "getfd", "{\"fdname\": \"core\"}");
    ok(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"fd:core\", \"begin\": 0, \"length\": 4096, \"detach\": true}");
    expect_event(c, "DUMP_COMPLETED", "$.data.result.total", "4096");
    g_assert_true(g_file_get_contents(path, &text, &len, NULL));
    g_assert_cmpuint(text[EI_CLASS], ==, ELFCLASS32);
    g_free(text);
    close(fd);
    expect(c, "query-dump", NULL, "$.status", "\"completed\"");
    fails(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"fd:core\"}", "GenericError", "core");
    fails(c, "dump-guest-memory", "{\"paging\": true, \"protocol\": \"file:/dev/null\"}", "GenericError", "paging");
    fails(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"core\"}", "GenericError", "protocol");
    fails(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"file:/nonexistent/x\"}", "GenericError", "/nonexistent/x");
    fails(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"file:/dev/null\", \"begin\": 1}", "GenericError", "length");
    fails(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"file:/dev/null\", \"begin\": 1, \"length\": 0}", "GenericError", "length");
    fails(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"file:/dev/null\", \"begin\": 1099511627776, \"length\": 1}", "GenericError", "no guest memory");
    fails(c, "dump-guest-memory", "{\"paging\": false, \"protocol\": \"file:/dev/full\", \"begin\": 0, \"length\": 4096}", "GenericError", "No space");
    expect_event(c, "DUMP_COMPLETED", "$.data.result.status", "\"failed\"");
    hmp_says(c, "dump-guest-memory -z /dev/null", "kdump-zlib");
    hmp_says(c, "dump-guest-memory /dev/null 0x1000 4096", "");
    g_unlink(path);
    g_free(path);
    g_free(args);
    quit(c);
}

static void test_board(void)
{
    struct client *c;

    make_image("rom.bin", 1);
    c = start(PC "-object iothread,id=io0 -option-rom DIR/rom.bin");
    greet(c);
    expect(c, "query-iothreads", NULL, "$[0].id", "\"io0\"");
    hmp_says(c, "info iothreads", "thread_id=");
    hmp_says(c, "info roms", "name=\"rom.bin\"");
    hmp_says(c, "info roms", "addr=00000000fffc0000 size=0x040000");
    hmp_says(c, "info irq", "IRQ statistics for ioapic:");
    hmp_says(c, "boot_set nc", "now set to nc");
    hmp_says(c, "boot_set cc", "given twice");
    hmp_says(c, "boot_set", "missing");
    quit(c);
}

static void test_descriptors(void)
{
    struct client *c = start(PC "");
    int pair[2];

    greet(c);
    fails(c, "getfd", "{\"fdname\": \"s\"}", "GenericError", "SCM_RIGHTS");
    fails(c, "closefd", "{\"fdname\": \"s\"}", "GenericError", "not found");
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    pass_fd(c, pair[1]);
    ok(c, "getfd", "{\"fdname\": \"s\"}");
    ok(c, "chardev-add", "{\"id\": \"s0\", \"backend\": {\"type\": \"socket\", \"data\": {\"server\": false, \"addr\": "
       "{\"type\": \"fd\", \"data\": {\"str\": \"s\"}}}}}");
    pass_fd(c, pair[1]);
    expect(c, "add-fd", "{\"fdset-id\": 3, \"opaque\": \"note\"}", "$.fdset-id", "3");
    expect(c, "query-fdsets", NULL, "$[0].fds[0].opaque", "\"note\"");
    fails(c, "chardev-add", "{\"id\": \"f0\", \"backend\": {\"type\": \"file\", \"data\": {\"out\": \"/dev/fdset/4\"}}}", "GenericError",
          "/dev/fdset/4");
    expect(c, "query-chardev", NULL, "$[0].label", "\"s0\"");
    close(pair[0]);
    close(pair[1]);
    ok(c, "remove-fd", "{\"fdset-id\": 3}");
    fails(c, "remove-fd", "{\"fdset-id\": 3}", "GenericError", "not found");
    quit(c);
}

static void test_chardevs(void)
{
    struct client *c = start(PC "-chardev ringbuf,id=ring,size=16 -device isa-serial,chardev=ring");

    greet(c);
    expect(c, "query-chardev", NULL, "$[0].frontend-open", "true");
    ok(c, "query-chardev-backends", NULL);
    ok(c, "ringbuf-write", "{\"device\": \"ring\", \"data\": \"hello\"}");
    expect(c, "ringbuf-read", "{\"device\": \"ring\", \"size\": 3}", "$", "\"hel\"");
    expect(c, "ringbuf-read", "{\"device\": \"ring\", \"size\": 30, \"format\": \"base64\"}", "$", "\"bG8=\"");
    fails(c, "ringbuf-read", "{\"device\": \"qmp\", \"size\": 3}", "GenericError", "ringbuf");
    fails(c, "ringbuf-write", "{\"device\": \"none\", \"data\": \"\"}", "GenericError", "none");
    ok(c, "chardev-send-break", "{\"id\": \"ring\"}");
    ok(c, "chardev-add", "{\"id\": \"n\", \"backend\": {\"type\": \"null\", \"data\": {}}}");
    fails(c, "chardev-add", "{\"id\": \"n\", \"backend\": {\"type\": \"null\", \"data\": {}}}", "GenericError", "'n'");
    fails(c, "chardev-remove", "{\"id\": \"ring\"}", "GenericError", "busy");
    ok(c, "chardev-remove", "{\"id\": \"n\"}");
    fails(c, "chardev-remove", "{\"id\": \"n\"}", "GenericError", "not found");
    quit(c);
}

static void test_objects(void)
{
    struct client *c = start(PC "");

    greet(c);
    ok(c, "object-add", "{\"qom-type\": \"secret\", \"id\": \"s\", \"data\": \"x\"}");
    fails(c, "object-add", "{\"qom-type\": \"secret\", \"id\": \"s\", \"data\": \"x\"}", "GenericError", "s");
    fails(c, "object-add", "{\"qom-type\": \"nonsense\", \"id\": \"t\"}", "GenericError", "nonsense");
    fails(c, "object-add", "{\"qom-type\": \"secret\", \"id\": \"t\", \"data\": \"x\", \"colour\": \"red\"}", "GenericError", "colour");
    expect(c, "qom-list", "{\"path\": \"/objects\"}", "$[0].name", "\"s\"");
    fails(c, "qom-get", "{\"path\": \"/objects/s\", \"property\": \"data\"}", "GenericError", "data"); /* a secret stays one */
    ok(c, "object-del", "{\"id\": \"s\"}");
    ok(c, "object-add", "{\"qom-type\": \"secret\", \"id\": \"empty\", \"data\": \"\"}");
    ok(c, "object-del", "{\"id\": \"empty\"}");
    fails(c, "object-del", "{\"id\": \"s\"}", "GenericError", "not found");
    fails(c, "device_add", "{\"driver\": \"nonsense\"}", "GenericError", "nonsense");
    fails(c, "device_add", "{\"driver\": \"virtio-rng-pci\", \"id\": \"a b\"}", "GenericError", "expects an identifier");
    fails(c, "device_add", "{\"driver\": \"isa-debug-exit\", \"id\": \"late\"}", "GenericError", "isa-debug-exit");
    fails(c, "device_del", "{\"id\": \"nothing\"}", "DeviceNotFound", "nothing");
    quit(c);
}

static void test_disks(void)
{
    struct client *c;
    char *args;

    make_image("disk.img", 1024);
    make_image("other.img", 512);
    c = start(PC "-drive file=DIR/disk.img,format=raw,if=ide,id=d0 -drive if=ide,index=2,media=cdrom,id=cd0");
    greet(c);
    expect(c, "query-block", NULL, "$[0].inserted.image.virtual-size", "1048576");
    expect(c, "query-block", NULL, "$[1].removable", "true");
    ok(c, "query-blockstats", NULL);
    expect(c, "query-blockstats", "{\"query-nodes\": true}", "$[*].device", "\"d0\"");
    expect(c, "query-blockstats", "{\"query-nodes\": true}", "$[1].stats.rd_operations", "0"); /* the format and the file below it */
    args = g_strdup_printf("{\"driver\": \"raw\", \"node-name\": \"n0\", \"read-only\": true, \"file\": {\"driver\": \"file\", \"filename\": \"%s/other.img\"}}", dir);
    ok(c, "blockdev-add", args);
    fails(c, "blockdev-add", args, "GenericError", "n0");
    g_free(args);
    ok(c, "query-named-block-nodes", NULL);
    fails(c, "block_resize", "{\"device\": \"nothing\", \"size\": 512}", "GenericError", "nothing");
    ok(c, "block_resize", "{\"device\": \"d0\", \"size\": 2097152}");
    expect(c, "query-block", NULL, "$[0].inserted.image.virtual-size", "2097152");
    fails(c, "eject", "{\"device\": \"d0\"}", "GenericError", "not removable");
    fails(c, "blockdev-insert-medium", "{\"id\": \"nothing\", \"node-name\": \"n0\"}", "DeviceNotFound", "nothing");
    fails(c, "blockdev-remove-medium", "{\"id\": \"nothing\"}", "DeviceNotFound", "nothing");
    args = g_strdup_printf("{\"device\": \"cd0\", \"filename\": \"%s/other.img\", \"format\": \"raw\"}", dir);
    ok(c, "blockdev-change-medium", args);
    g_free(args);
    expect(c, "query-block", NULL, "$[1].inserted.image.virtual-size", "524288");
    ok(c, "blockdev-open-tray", "{\"device\": \"cd0\"}");
    expect(c, "query-block", NULL, "$[1].tray_open", "true");
    ok(c, "blockdev-close-tray", "{\"device\": \"cd0\"}");
    ok(c, "eject", "{\"device\": \"cd0\"}");
    expect(c, "query-block", NULL, "$[1].inserted", NULL);
    for (unsigned i = 0; i < 5; i++) /* opened and closed by the change, then by hand, then opened by the ejection */
        expect_event(c, "DEVICE_TRAY_MOVED", "$.data.tray-open", i & 1 ? "false" : "true");
    ok(c, "blockdev-del", "{\"node-name\": \"n0\"}");
    fails(c, "blockdev-del", "{\"node-name\": \"n0\"}", "GenericError", "n0");
    ok(c, "block_set_io_throttle", "{\"device\": \"d0\", \"bps\": 1000000, \"bps_rd\": 0, \"bps_wr\": 0, \"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0}");
    expect(c, "query-block", NULL, "$[0].inserted.bps", "1000000");
    fails(c, "block_set_io_throttle", "{\"device\": \"d0\", \"bps\": 1, \"bps_rd\": 1, \"bps_wr\": 0, \"iops\": 0, \"iops_rd\": 0, \"iops_wr\": 0}",
          "GenericError", "same time");
    quit(c);
}

static void test_snapshots(void)
{
    struct client *c;

    g_assert_true(image_tool("create -q -f qcow2 DIR/base.qcow2 1M"));
    char *flat = path_of("flat.img"), *bytes = g_strnfill(1024 * 1024, 'x');
    g_assert_true(g_file_set_contents(flat, bytes, 1024 * 1024, NULL));
    g_free(bytes);
    g_free(flat);
    g_assert_true(image_tool("convert -q -f raw -O qcow2 -B DIR/base.qcow2 -F qcow2 DIR/flat.img DIR/top.qcow2"));
    c = start(PC "-drive file=DIR/top.qcow2,if=ide,id=d0 -drive file=DIR/flat.img,format=raw,if=ide,id=d1 -drive if=ide,index=2,media=cdrom,id=cd0");
    greet(c);
    hmp_says(c, "info snapshots", "no snapshot available");
    hmp_says(c, "info snapshots now", "extraneous characters");
    expect(c, "query-block", NULL, "$[0].inserted.image.backing-image.virtual-size", "1048576");
    expect(c, "query-named-block-nodes", "{\"flat\": true}", "$[*].image.backing-image.virtual-size", NULL);
    expect(c, "query-named-block-nodes", NULL, "$[*].image.backing-image.virtual-size", "1048576");
    ok(c, "blockdev-snapshot-internal-sync", "{\"device\": \"d0\", \"name\": \"2\"}");
    fails(c, "blockdev-snapshot-internal-sync", "{\"device\": \"d0\", \"name\": \"2\"}", "GenericError", "already exists");
    fails(c, "blockdev-snapshot-internal-sync", "{\"device\": \"d0\", \"name\": \"\"}", "GenericError", "Name is empty");
    fails(c, "blockdev-snapshot-internal-sync", "{\"device\": \"d1\", \"name\": \"x\"}", "GenericError", "does not support");
    fails(c, "blockdev-snapshot-internal-sync", "{\"device\": \"cd0\", \"name\": \"x\"}", "GenericError", "no medium");
    fails(c, "blockdev-snapshot-internal-sync", "{\"device\": \"d9\", \"name\": \"x\"}", "GenericError", "d9");
    hmp_says(c, "snapshot_blkdev_internal d0 two", "");
    hmp_says(c, "info snapshots", "partial (non-loadable) snapshots on 'd0'");
    expect(c, "query-block", NULL, "$[0].inserted.image.snapshots[1].name", "\"two\"");
    fails(c, "blockdev-snapshot-delete-internal-sync", "{\"device\": \"d0\"}", "GenericError", "must be provided");
    fails(c, "blockdev-snapshot-delete-internal-sync", "{\"device\": \"d0\", \"id\": \"1\", \"name\": \"two\"}", "GenericError", "does not exist");
    /* an id goes before the name of another one that looks like it */
    expect(c, "blockdev-snapshot-delete-internal-sync", "{\"device\": \"d0\", \"id\": \"2\"}", "$.name", "\"two\"");
    expect(c, "query-block", NULL, "$[0].inserted.image.snapshots[0].name", "\"2\"");
    hmp_says(c, "snapshot_delete_blkdev_internal d0 2", "");
    hmp_says(c, "snapshot_delete_blkdev_internal d0 2", "Error: Snapshot with id 'null' and name '2' does not exist");
    g_assert_false(image_tool("compare -q -U DIR/base.qcow2 DIR/top.qcow2"));
    hmp_says(c, "commit d0", "");
    g_assert_true(image_tool("compare -q -U DIR/base.qcow2 DIR/flat.img"));
    hmp_says(c, "commit all", "");
    hmp_says(c, "commit d1", "'commit' error for 'd1': Image does not have a backing file");
    hmp_says(c, "commit cd0", "no medium");
    hmp_says(c, "commit d9", "Device 'd9' not found");
    quit(c);
    g_assert_true(image_tool("check -q DIR/top.qcow2"));
    g_assert_true(image_tool("compare -q DIR/top.qcow2 DIR/flat.img"));
}

/* Each option that the schema knows, in its type, is one that the thing itself knows. */
static void test_all_options(void)
{
    struct client *c;
    char *s, *unix_path = path_of("all.sock");

    g_assert_true(image_tool("create -q -u -f qcow2 -b DIR/gone -F raw DIR/a.qcow2 1M")); /* null: its backing file is not wanted */
    c = start(PC "");
    greet(c);
    s = g_strdup_printf("{\"driver\": \"qcow2\", \"node-name\": \"q\", \"discard\": \"unmap\", \"cache\": {\"direct\": false, \"no-flush\": true}, "
                        "\"read-only\": false, \"auto-read-only\": true, \"force-share\": false, \"detect-zeroes\": \"unmap\", \"file\": {\"driver\": "
                        "\"file\", \"filename\": \"%s/a.qcow2\", \"locking\": \"auto\", \"aio\": \"threads\"}, \"backing\": null, \"lazy-refcounts\": "
                        "true, \"pass-discard-request\": true, \"pass-discard-snapshot\": true, \"pass-discard-other\": true, \"discard-no-unref\": false, "
                        "\"overlap-check\": \"all\", \"cache-size\": 2097152, \"l2-cache-size\": 1048576, \"l2-cache-entry-size\": 65536, "
                        "\"cache-clean-interval\": 0}", dir);
    ok(c, "blockdev-add", s);
    g_free(s);
    ok(c, "blockdev-add", "{\"driver\": \"null-co\", \"node-name\": \"z\", \"size\": 1048576, \"read-zeroes\": true}");
    ok(c, "blockdev-add", "{\"driver\": \"raw\", \"node-name\": \"r\", \"file\": \"z\", \"offset\": 512, \"size\": 4096}");
    fails(c, "blockdev-add", "{\"driver\": \"nbd\", \"node-name\": \"b\", \"export\": \"e\", \"server\": {\"type\": \"unix\", \"path\": \"/nonexistent/n\"}}",
          "GenericError", "cannot connect");
    ok(c, "netdev_add", "{\"type\": \"user\", \"id\": \"u\", \"hostname\": \"h\", \"restrict\": true, \"ipv4\": true, \"ipv6\": true, \"net\": "
       "\"10.0.3.0/24\", \"host\": \"10.0.3.2\", \"tftp\": \"/tmp\", \"bootfile\": \"b\", \"dhcpstart\": \"10.0.3.20\", \"dns\": \"10.0.3.3\", "
       "\"dnssearch\": [{\"str\": \"a.b\"}], \"domainname\": \"d\", \"ipv6-prefix\": \"fec0::\", \"ipv6-prefixlen\": 64, \"ipv6-host\": \"fec0::2\", "
       "\"ipv6-dns\": \"fec0::3\", \"hostfwd\": [], \"guestfwd\": [], \"tftp-server-name\": \"t\"}");
    fails(c, "netdev_add", "{\"type\": \"tap\", \"id\": \"t\", \"fds\": \"999:998\", \"sndbuf\": 0, \"vnet_hdr\": true, \"vhost\": false, \"poll-us\": 0}",
          "GenericError", "fd=999");
    s = g_strdup_printf("{\"type\": \"stream\", \"id\": \"s\", \"server\": true, \"addr\": {\"type\": \"unix\", \"path\": \"%s\", \"abstract\": false}}", unix_path);
    ok(c, "netdev_add", s);
    g_free(s);
    ok(c, "netdev_add", "{\"type\": \"dgram\", \"id\": \"d\", \"local\": {\"type\": \"inet\", \"host\": \"127.0.0.1\", \"port\": \"0\", \"ipv4\": true, "
       "\"ipv6\": false}, \"remote\": {\"type\": \"inet\", \"host\": \"127.0.0.1\", \"port\": \"9\"}}");
    ok(c, "netdev_add", "{\"type\": \"hubport\", \"id\": \"h\", \"hubid\": 3, \"netdev\": \"d\"}");
    s = g_strdup_printf("{\"id\": \"c\", \"backend\": {\"type\": \"socket\", \"data\": {\"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"%s2\", \"abstract\": "
                        "false, \"tight\": true}}, \"server\": true, \"wait\": false, \"nodelay\": false, \"telnet\": true, \"logfile\": \"/dev/null\", "
                        "\"logappend\": false}}}", unix_path);
    ok(c, "chardev-add", s);
    g_free(s);
    ok(c, "chardev-add", "{\"id\": \"w\", \"backend\": {\"type\": \"socket\", \"data\": {\"addr\": {\"type\": \"inet\", \"data\": {\"host\": \"127.0.0.1\", "
       "\"port\": \"0\", \"ipv4\": true, \"ipv6\": false}}, \"websocket\": true}}}");
    expect(c, "query-chardev", NULL, "$[0].label", "\"w\"");
    ok(c, "chardev-add", "{\"id\": \"e\", \"backend\": {\"type\": \"udp\", \"data\": {\"remote\": {\"type\": \"inet\", \"data\": {\"host\": \"127.0.0.1\", "
       "\"port\": \"9\"}}, \"local\": {\"type\": \"inet\", \"data\": {\"host\": \"127.0.0.1\", \"port\": \"0\"}}}}}");
    ok(c, "chardev-add", "{\"id\": \"f\", \"backend\": {\"type\": \"file\", \"data\": {\"out\": \"/dev/null\", \"in\": \"/dev/null\", \"append\": true}}}");
    ok(c, "chardev-add", "{\"id\": \"g\", \"backend\": {\"type\": \"memory\", \"data\": {\"size\": 64}}}");
    expect(c, "query-chardev-backends", NULL, "$[0].name", "\"null\"");
    g_assert_nonnull(strstr(member(run(c, "chardev-add", "{\"id\": \"p\", \"backend\": {\"type\": \"pty\", \"data\": {}}}"), "$.pty"), "/dev/pts/"));
    ok(c, "object-add", "{\"qom-type\": \"iothread\", \"id\": \"io\", \"poll-max-ns\": 0, \"poll-grow\": 2, \"poll-shrink\": 1, \"aio-max-batch\": 0, "
       "\"thread-pool-min\": 0, \"thread-pool-max\": 64}");
    expect(c, "query-iothreads", NULL, "$[0].id", "\"io\"");
    JsonNode *threads = run(c, "query-iothreads", NULL); /* whoever made it wants to pin it at once */
    g_assert_cmpstr(member(threads, "$[0].thread-id"), !=, "0");
    json_node_unref(threads);
    fails(c, "object-add", "{\"qom-type\": \"iothread\", \"id\": \"io2\", \"poll-max-ns\": -1}", "GenericError", "poll-max-ns");
    ok(c, "object-del", "{\"id\": \"io\"}");
    ok(c, "object-add", "{\"qom-type\": \"rng-random\", \"id\": \"rng\", \"filename\": \"/dev/urandom\"}");
    ok(c, "object-add", "{\"qom-type\": \"secret\", \"id\": \"sec\", \"data\": \"eA==\", \"format\": \"base64\"}");
    ok(c, "object-add", "{\"qom-type\": \"filter-dump\", \"id\": \"dump\", \"netdev\": \"d\", \"file\": \"/dev/null\", \"maxlen\": 100}");
    hmp_says(c, "object_add iothread,id=io3,poll-max-ns=0", "");
    hmp_says(c, "object_add iothread,id=io3", "Error: attempt to add duplicate");
    hmp_says(c, "netdev_add hubport,id=h4,hubid=4", "");
    hmp_says(c, "netdev_add hubport,id=h5,hubid=x", "Error: ");
    hmp_says(c, "device_add nonsense", "Error: ");
    hmp_says(c, "chardev-add null,id=n4", "");
    g_free(unix_path);
    quit(c);
}

static void test_networks(void)
{
    struct client *c = start(PC "-netdev hubport,id=h0,hubid=0 -device virtio-net-pci,netdev=h0,id=n0 -netdev hubport,id=h2,hubid=2 "
                             "-device e1000,netdev=h2,id=e0");

    greet(c);
    ok(c, "netdev_add", "{\"type\": \"hubport\", \"id\": \"h1\", \"hubid\": 1}");
    fails(c, "netdev_add", "{\"type\": \"pigeon\", \"id\": \"p\"}", "GenericError", "pigeon");
    ok(c, "set_link", "{\"name\": \"h1\", \"up\": false}");
    fails(c, "set_link", "{\"name\": \"nothing\", \"up\": true}", "DeviceNotFound", "nothing");
    expect(c, "query-rx-filter", NULL, "$[0].main-mac", "\"52:54:00:12:34:56\"");
    expect(c, "query-rx-filter", "{\"name\": \"n0\"}", "$[0].promiscuous", "true");
    fails(c, "query-rx-filter", "{\"name\": \"e0\"}", "GenericError", "doesn't support");
    fails(c, "query-rx-filter", "{\"name\": \"h1\"}", "GenericError", "isn't a NIC");
    fails(c, "query-rx-filter", "{\"name\": \"x\"}", "GenericError", "invalid net client name");
    ok(c, "netdev_del", "{\"id\": \"h1\"}");
    fails(c, "netdev_del", "{\"id\": \"h1\"}", "DeviceNotFound", "h1");
    quit(c);
}

/* A peer that sends all it has to say and ends its side gets every answer, as from QEMU: `printf ... | socat - UNIX-CONNECT:qmp`. */
static void test_half_closed(void)
{
    static const char text[] = "{\"execute\": \"qmp_capabilities\"}{\"execute\": \"query-status\"}\n{\"execute\": \"quit\"}";

    for (unsigned i = 0; i < 5; i++) {
        struct client *c = start(PC);
        g_assert_cmpint(write(c->fd, text, strlen(text)), ==, (ssize_t)strlen(text));
        g_assert_cmpint(shutdown(c->fd, SHUT_WR), ==, 0);
        json_node_unref(read_node(c)); /* the greeting */
        for (unsigned answers = 0; answers < 3; answers++) {
            JsonNode *n = read_node(c);
            g_assert_true(n && json_object_has_member(json_node_get_object(n), "return"));
            json_node_unref(n);
        }
        g_assert_cmpint(finish(c), ==, 0);
    }
}

static void test_input(void)
{
    struct client *c = start(PC "-device VGA");
    char *pic = path_of("screen.ppm"), *args = g_strdup_printf("{\"filename\": \"%s\"}", pic);

    greet(c);
    ok(c, "screendump", args);
    g_assert_true(g_file_test(pic, G_FILE_TEST_EXISTS));
    fails(c, "screendump", "{\"filename\": \"/nonexistent/x\"}", "GenericError", "/nonexistent/x");
    ok(c, "send-key", "{\"keys\": [{\"type\": \"qcode\", \"data\": \"ctrl\"}, {\"type\": \"number\", \"data\": 28}]}");
    fails(c, "send-key", "{\"keys\": [{\"type\": \"qcode\", \"data\": \"anykey\"}]}", "GenericError", "anykey");
    ok(c, "input-send-event", "{\"events\": [{\"type\": \"rel\", \"data\": {\"axis\": \"x\", \"value\": 5}}, {\"type\": \"btn\", "
       "\"data\": {\"button\": \"left\", \"down\": true}}, {\"type\": \"key\", \"data\": {\"down\": true, \"key\": {\"type\": \"qcode\", \"data\": \"a\"}}}]}");
    fails(c, "input-send-event", "{\"device\": \"d9\", \"events\": []}", "DeviceNotFound", "d9");
    fails(c, "input-send-event", "{\"head\": 1, \"events\": []}", "GenericError", "head 0");
    fails(c, "input-send-event", "{\"events\": [{\"type\": \"btn\", \"data\": {\"button\": \"fourth\", \"down\": true}}]}", "GenericError", "fourth");
    fails(c, "screendump", "{\"filename\": \"/dev/null\", \"device\": \"d9\"}", "DeviceNotFound", "d9");
    fails(c, "set_password", "{\"protocol\": \"vnc\", \"password\": \"x\"}", "GenericError", "VNC");
    fails(c, "set_password", "{\"protocol\": \"spice\", \"password\": \"x\"}", "DeviceNotActive", "SPICE");
    expect(c, "query-vnc", NULL, "$.enabled", "false");
    g_unlink(pic);
    g_free(pic);
    g_free(args);
    quit(c);
}

/* A stranger's connection: its hello is read, its password is wrong. */
static void vnc_knock(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char buf[64];

    g_strlcpy(a.sun_path, path, sizeof(a.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
    g_assert_cmpint(recv(fd, buf, 12, MSG_WAITALL), ==, 12); /* RFB 003.008 */
    g_assert_cmpint(send(fd, buf, 12, 0), ==, 12);
    g_assert_cmpint(recv(fd, buf, 2, MSG_WAITALL), ==, 2);
    g_assert_cmpint(buf[1], ==, 2); /* password */
    close(fd);
}

static void test_vnc(void)
{
    struct client *c = start(PC "-device VGA -vnc unix:DIR/vnc,password=on,id=v0");
    char *path = path_of("vnc"), *quoted = g_strdup_printf("\"%s\"", path);

    greet(c);
    expect(c, "query-vnc", NULL, "$.enabled", "true");
    expect(c, "query-vnc", NULL, "$.auth", "\"vnc\"");
    expect(c, "query-vnc-servers", NULL, "$[0].id", "\"v0\"");
    expect(c, "query-vnc-servers", NULL, "$[0].server[0].host", quoted);
    expect(c, "query-vnc-servers", NULL, "$[0].clients", "[]");
    ok(c, "set_password", "{\"protocol\": \"vnc\", \"password\": \"x\", \"connected\": \"keep\"}");
    fails(c, "set_password", "{\"protocol\": \"vnc\", \"password\": \"x\", \"display\": \"v1\"}", "GenericError", "v1");
    ok(c, "expire_password", "{\"protocol\": \"vnc\", \"time\": \"+60\"}");
    fails(c, "expire_password", "{\"protocol\": \"vnc\", \"time\": \"soon\"}", "GenericError", "time");
    vnc_knock(path);
    expect_event(c, "VNC_CONNECTED", "$.data.server.host", quoted);
    expect_event(c, "VNC_DISCONNECTED", "$.data.client.family", "\"unix\"");
    g_free(path);
    g_free(quoted);
    quit(c);
}

/* A signal is an end in order, which is told. */
static void test_signal(void)
{
    struct client *c = start(PC "");

    greet(c);
    kill(c->pid, SIGTERM);
    expect_event(c, "SHUTDOWN", "$.data.reason", "\"host-signal\"");
    g_assert_cmpint(finish(c), ==, 0);
}

/* After all others: no command was forgotten. */
static void test_all_commands(void)
{
    const struct qmp_def *d;
    unsigned missing = 0;

    for (unsigned i = 0; (d = qmp_def_nth(i)); i++)
        if (d->kind == QMP_COMMAND && !g_hash_table_contains(done, d->name)) {
            g_test_message("no test runs %s", d->name);
            missing++;
        }
    g_assert_cmpuint(missing, ==, 0);
}

int main(int argc, char **argv)
{
    int r;

    g_test_init(&argc, &argv, NULL);
    if (!g_getenv("GEMEL") || !g_file_test("/usr/share/seabios/bios-256k.bin", G_FILE_TEST_EXISTS)) {
        g_print("1..0 # SKIP needs $GEMEL and the package seabios\n");
        return 77;
    }
    dir = g_dir_make_tmp("gemel-qmp-XXXXXX", NULL);
    done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_test_add_func("/qmp-live/queries", test_queries);
    g_test_add_func("/qmp-live/half-closed", test_half_closed);
    g_test_add_func("/qmp-live/device-tree", test_device_tree);
    g_test_add_func("/qmp-live/control", test_control);
    g_test_add_func("/qmp-live/descriptors", test_descriptors);
    g_test_add_func("/qmp-live/chardevs", test_chardevs);
    g_test_add_func("/qmp-live/objects", test_objects);
    g_test_add_func("/qmp-live/disks", test_disks);
    g_test_add_func("/qmp-live/dump", test_dump);
    g_test_add_func("/qmp-live/board", test_board);
    g_test_add_func("/qmp-live/snapshots", test_snapshots);
    g_test_add_func("/qmp-live/all-options", test_all_options);
    g_test_add_func("/qmp-live/networks", test_networks);
    g_test_add_func("/qmp-live/input", test_input);
    if (HAVE_VNC)
        g_test_add_func("/qmp-live/vnc", test_vnc);
    g_test_add_func("/qmp-live/signal", test_signal);
    g_test_add_func("/qmp-live/all-commands", test_all_commands);
    r = g_test_run();
    char *cmd = g_strdup_printf("rm -rf '%s'", dir);
    if (system(cmd))
        r = 1;
    g_free(cmd);
    return r;
}
