/* Monitor commands that are QMP commands with other words: arguments become members, answers and errors text; and those that make things as
 * the command line does. Main thread. */
#include "hw/backend/chr.h"
#include "hw/backend/net.h"
#include "hw/backend/object.h"
#include "hw/core/machine.h"
#include "ui/json_text.h"
#include "ui/monitor_cmd.h"
#include "ui/qmp.h"
#include "util/opts.h"

void mon_error(struct mon *m, const struct err *e)
{
    mon_print(m, "Error: %s\n", e->msg);
}

JsonNode *mon_qmp(struct mon *m, const char *name, JsonObject *args)
{
    struct err e;
    JsonNode *n = qmp_execute(m->ui, name, args, NULL, &e);

    if (args)
        json_object_unref(args);
    if (!n)
        mon_error(m, &e);
    return n;
}

/* One word as the member that `spec` describes: NAME is text, NAME%z a size (in MiB without a suffix), NAME%i a number, NAME%b on or off.
 * -1 after a message. */
static int set_member(struct mon *m, JsonObject *o, const char *spec, const char *word)
{
    char *name = g_strndup(spec, strcspn(spec, "%")), *end;
    char kind = spec[strlen(name)] ? spec[strlen(name) + 1] : 's';
    int r = 0;
    u64 size;
    i64 n;

    switch (kind) {
    case 'z':
        r = size_parse(word, MiB, &size);
        json_object_set_int_member(o, name, (i64)size);
        break;
    case 'i':
        n = g_ascii_strtoll(word, &end, 0);
        r = *end || end == word ? -1 : 0;
        json_object_set_int_member(o, name, n);
        break;
    case 'b':
        r = strcmp(word, "on") && strcmp(word, "off") ? -1 : 0;
        json_object_set_boolean_member(o, name, !strcmp(word, "on"));
        break;
    default:
        json_object_set_string_member(o, name, word);
    }
    if (r < 0)
        mon_print(m, "Error: invalid value '%s' for '%s'\n", word, name);
    g_free(name);
    return r;
}

/* "-f:force" or, with a word of *args, "-d=display". -1 after a message. */
static int set_switch(struct mon *m, JsonObject *o, const char *spec, char **args)
{
    char *value = spec[2] == '=' ? mon_word(args) : NULL;

    if (value)
        json_object_set_string_member(o, spec + 3, value);
    else if (spec[2] == ':')
        json_object_set_boolean_member(o, spec + 3, TRUE);
    else
        mon_print(m, "Error: '%.2s' needs a value\n", spec);
    return value || spec[2] == ':' ? 0 : -1;
}

/* The arguments in order, as `specs` names them, blank-separated; "-f:force" is a switch that may stand anywhere, "-d=display"
 * one with a value. NULL after a message. */
static JsonObject *parse_args(struct mon *m, char *args, const char *specs)
{
    char **spec = g_strsplit(specs, " ", -1), *word;
    JsonObject *o = json_object_new();
    unsigned next = 0;
    int r = 0;

    while (r == 0 && (word = mon_word(&args))) {
        bool is_switch = false;
        for (char **s = spec; *s && r == 0; s++)
            if (**s == '-' && !strncmp(*s, word, 2) && !word[2]) {
                r = set_switch(m, o, *s, &args);
                is_switch = true;
            }
        while (spec[next] && spec[next][0] == '-')
            next++;
        if (is_switch)
            continue;
        if (!spec[next]) {
            mon_print(m, "Error: extraneous characters at the end of line: '%s'\n", word);
            r = -1;
        } else {
            r = set_member(m, o, spec[next++], word);
        }
    }
    g_strfreev(spec);
    if (r < 0)
        g_clear_pointer(&o, json_object_unref);
    return o;
}

/* Runs the command; says nothing if all went well. */
static void run(struct mon *m, const char *name, char *args, const char *specs)
{
    JsonObject *o = parse_args(m, args, specs);
    JsonNode *n = o ? mon_qmp(m, name, o) : NULL;

    if (n)
        json_node_unref(n);
}

/* "FIRST,NAME=VALUE...", the syntax of the command line. */
static void make(struct mon *m, const char *args, const char *implied, int (*fn)(struct mon *m, struct opts *o, struct err *e))
{
    struct err e;
    struct opts *o = opts_parse(args, implied, &e);

    if (!o || fn(m, o, &e) < 0)
        mon_error(m, &e);
    opts_free(o);
}

static int make_device(struct mon *m, struct opts *o, struct err *e)
{
    struct machine *mc = vm_machine(m->vm);
    struct device *d;

    lock_acquire(&mc->lock);
    d = device_add(mc, o, e);
    lock_release(&mc->lock);
    return d ? 0 : -1;
}

static int make_netdev(struct mon *m, struct opts *o, struct err *e) { return net_new(o, e) ? 0 : -1; }
static int make_object(struct mon *m, struct opts *o, struct err *e) { return object_add(o, e); }
static int make_chardev(struct mon *m, struct opts *o, struct err *e) { return chr_new_opts(o, e) ? 0 : -1; }

void mon_device_add(struct mon *m, char *args) { make(m, args, "driver", make_device); }
void mon_netdev_add(struct mon *m, char *args) { make(m, args, "type", make_netdev); }
void mon_object_add(struct mon *m, char *args) { make(m, args, "qom-type", make_object); }
void mon_chardev_add(struct mon *m, char *args) { make(m, args, "backend", make_chardev); }

void mon_device_del(struct mon *m, char *args) { run(m, "device_del", args, "id"); }
void mon_netdev_del(struct mon *m, char *args) { run(m, "netdev_del", args, "id"); }
void mon_object_del(struct mon *m, char *args) { run(m, "object-del", args, "id"); }
void mon_chardev_remove(struct mon *m, char *args) { run(m, "chardev-remove", args, "id"); }
void mon_chardev_send_break(struct mon *m, char *args) { run(m, "chardev-send-break", args, "id"); }
void mon_ringbuf_write(struct mon *m, char *args) { run(m, "ringbuf-write", args, "device data"); }
void mon_eject(struct mon *m, char *args) { run(m, "eject", args, "-f:force device"); }
void mon_balloon(struct mon *m, char *args) { run(m, "balloon", args, "value%z"); }
void mon_block_resize(struct mon *m, char *args) { run(m, "block_resize", args, "device size%z"); }
void mon_set_link(struct mon *m, char *args) { run(m, "set_link", args, "name up%b"); }
void mon_cont(struct mon *m, char *args) { run(m, "cont", args, ""); }
void mon_system_powerdown(struct mon *m, char *args) { run(m, "system_powerdown", args, ""); }
void mon_system_wakeup(struct mon *m, char *args) { run(m, "system_wakeup", args, ""); }
void mon_watchdog_action(struct mon *m, char *args) { run(m, "watchdog-set-action", args, "action"); }
void mon_getfd(struct mon *m, char *args) { run(m, "getfd", args, "fdname"); }
void mon_closefd(struct mon *m, char *args) { run(m, "closefd", args, "fdname"); }

void mon_snapshot_blkdev_internal(struct mon *m, char *args) { run(m, "blockdev-snapshot-internal-sync", args, "device name"); }
void mon_snapshot_delete_blkdev_internal(struct mon *m, char *args) { run(m, "blockdev-snapshot-delete-internal-sync", args, "device name id"); }

void mon_set_password(struct mon *m, char *args) { run(m, "set_password", args, "-d=display protocol password connected"); }
void mon_expire_password(struct mon *m, char *args) { run(m, "expire_password", args, "-d=display protocol time"); }

void mon_block_set_io_throttle(struct mon *m, char *args)
{
    run(m, "block_set_io_throttle", args, "device bps%i bps_rd%i bps_wr%i iops%i iops_rd%i iops_wr%i");
}

/* What follows "change vnc": the older form of set_password. */
static void change_vnc(struct mon *m, char *args)
{
    const char *what = mon_word(&args), *password = mon_word(&args);
    char *text;

    if (!what || strcmp(what, "password") || !password) {
        mon_print(m, "usage: change vnc password PASSWORD\n");
        return;
    }
    text = g_strdup_printf("vnc %s", password);
    mon_set_password(m, text);
    g_free(text);
}

/* DEVICE FILE [FORMAT [retain|read-only|read-write]] [-f]; "change vnc" is another thing. */
void mon_change(struct mon *m, char *args)
{
    if (!strncmp(args, "vnc", 3) && (!args[3] || args[3] == ' '))
        change_vnc(m, g_strchug(args + 3));
    else
        run(m, "blockdev-change-medium", args, "-f:force device filename format read-only-mode");
}

void mon_ringbuf_read(struct mon *m, char *args)
{
    JsonObject *o = parse_args(m, args, "device size%i");
    JsonNode *n = o ? mon_qmp(m, "ringbuf-read", o) : NULL;

    if (n) {
        mon_print(m, "%s\n", json_node_get_string(n));
        json_node_unref(n);
    }
}

/* --- qom --- */

void mon_qom_list(struct mon *m, char *args)
{
    JsonObject *o = parse_args(m, args, "path");
    JsonNode *n;

    if (o && !json_object_has_member(o, "path")) /* the names at the top */
        json_object_set_string_member(o, "path", "/");
    n = o ? mon_qmp(m, "qom-list", o) : NULL;
    for (unsigned i = 0; n && i < json_array_get_length(json_node_get_array(n)); i++) {
        JsonObject *e = json_array_get_object_element(json_node_get_array(n), i);
        mon_print(m, "%s (%s)\n", json_object_get_string_member(e, "name"), json_object_get_string_member(e, "type"));
    }
    if (n)
        json_node_unref(n);
}

void mon_qom_get(struct mon *m, char *args)
{
    JsonObject *o = parse_args(m, args, "path property");
    JsonNode *n = o ? mon_qmp(m, "qom-get", o) : NULL;
    char *text = n ? json_text(n, false) : NULL;

    if (text)
        mon_print(m, "%s\n", text);
    g_free(text);
    if (n)
        json_node_unref(n);
}

void mon_qom_set(struct mon *m, char *args)
{
    run(m, "qom-set", args, "path property value");
}

/* What is below `path`, each level indented by two more. */
static void print_tree(struct mon *m, const char *path, unsigned depth)
{
    JsonObject *o = json_object_new();
    JsonNode *n;

    json_object_set_string_member(o, "path", *path ? path : "/");
    n = mon_qmp(m, "qom-list", o);
    for (unsigned i = 0; n && i < json_array_get_length(json_node_get_array(n)); i++) {
        JsonObject *e = json_array_get_object_element(json_node_get_array(n), i);
        const char *name = json_object_get_string_member(e, "name"), *type = json_object_get_string_member(e, "type");
        if (!g_str_has_prefix(type, "child<"))
            continue;
        char *below = g_strdup_printf("%s/%s", path, name);
        mon_print(m, "%*s/%s (%.*s)\n", (int)depth * 2, "", name, (int)strcspn(type + 6, ">"), type + 6);
        if (!strcmp(type, "child<container>") || !*path)
            print_tree(m, below, depth + 1);
        g_free(below);
    }
    if (n)
        json_node_unref(n);
}

void mon_info_qom_tree(struct mon *m, char *args)
{
    print_tree(m, "", 0);
}

/* --- user networking --- */

static void hostfwd(struct mon *m, char *args, int (*fn)(const char *, const char *, struct err *))
{
    char *first = mon_word(&args), *second = mon_word(&args);
    struct err e;

    if (!first)
        mon_print(m, "usage: hostfwd_add [NETDEV] tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT\n");
    else if (fn(second ? first : NULL, second ? second : first, &e) < 0)
        mon_error(m, &e);
}

void mon_hostfwd_add(struct mon *m, char *args) { hostfwd(m, args, net_user_hostfwd_add); }
void mon_hostfwd_remove(struct mon *m, char *args) { hostfwd(m, args, net_user_hostfwd_remove); }
