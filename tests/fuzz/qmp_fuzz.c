/* Fuzz target: QMP: bytes on a connection, in pieces, before or after the negotiation, to a PC with disks, a network link, character back
 * ends and hot-plug slots, whose engine is tests/ui/fake_vm.h's. What is said is JSON, line by line; the session goes on taking input; after
 * it everything that commands made can be taken down. */
#include <ctype.h>
#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/backend/blk.h"
#include "hw/backend/drive.h"
#include "hw/backend/net.h"
#include "hw/backend/object.h"
#include "hw/backend/chr_impl.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_chr.h"
#include "tests/lib/test_pc.h"
#include "tests/ui/fake_vm.h"
#include "ui/gdb.h"
#include "ui/qmp.h"
#include "util/event.h"
#include "util/fdset.h"
#include "util/log.h"
#include "util/opts.h"

enum { DISK_SIZE = 256 * 1024, ROUNDS_MAX = 1000 };

static const char *const devices[] = { "virtio-scsi-pci,id=scsi0", "virtio-balloon-pci,id=balloon0", "ide-hd,drive=d0,id=disk0",
                                       "scsi-cd,drive=d1,id=cd0", "virtio-net-pci,netdev=n0,id=nic0,romfile=", "virtio-serial-pci,id=ser0" };
static struct test_pc *pc;
static struct vm *vm;
static struct chr *chr;
static struct qmp *qmp;
static char rom[40], disk[40];

static void make_file(char *path, size_t room, off_t size)
{
    int fd = memfd_create("file", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    snprintf(path, room, "/proc/self/fd/%d", fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    g_main_context_acquire(NULL);
    make_file(rom, sizeof(rom), 65536);
    make_file(disk, sizeof(disk), DISK_SIZE);
    return 0;
}

/* Lets the main thread do what it has; a source that is always ready does not count as work without end. */
static void settle(bool files)
{
    for (unsigned i = 0; i < ROUNDS_MAX && g_main_context_iteration(NULL, FALSE); i++)
        fuzz_allow_files(files);
}

static void add_drive(const char *id, const char *options)
{
    struct err e = { "" };
    struct opts *o = opts_parse(options, NULL, &e);

    g_assert_nonnull(blk_open_opts(id, o, false, &e));
    opts_free(o);
}

static void begin(u8 how)
{
    struct machine_config cfg = { .type = how & 1 ? "q35" : "pc", .ram_size = 4 * MiB, .bios = rom, .devices = devices, .n_devices = ARRAY_LEN(devices),
                                  .cpus = 2, .nodefaults = true };
    struct err e = { "" };
    char *options = g_strdup_printf("file=%s,format=raw,file.locking=off,werror=stop,rerror=stop", disk);
    struct opts *net = opts_parse("hubport,id=n0,hubid=0", "type", &e);

    add_drive("d0", options);
    add_drive("d1", "");
    add_drive("d2", options); /* for disks that are plugged in: making a drive takes a descriptor */
    add_drive("d3", options);
    g_free(options);
    g_assert_nonnull(net_new(net, &e));
    opts_free(net);
    vm = fake_vm_new(2);
    pc = test_pc_new_stepped(&cfg, &e);
    g_assert_cmpstr(e.msg, ==, "");
    vm->built = &pc->m;
    chr = fake_chr_new("qmp");
    qmp = qmp_new(&vm->ui, chr, how & 2);
    qmp_events_start(&vm->ui);
    fake_chr_event(chr, CHR_OPENED);
}

static void end(void)
{
    struct err e;

    gdb_stop(&vm->ui);
    qmp_free(qmp);
    qmp_events_stop();
    test_pc_free(pc);
    drives_free();
    blk_close_all();
    net_free_all();
    object_free_all();
    chr_free_all();
    fdset_free_all();
    settle(true);
    fake_vm_free(vm);
    log_parse("none", &e);
}

static void check_line(const char *line)
{
    JsonNode *n = json_from_string(line, NULL);

    if (!n || !JSON_NODE_HOLDS_OBJECT(n))
        g_error("this was said, and is no JSON object: %s", line);
    json_node_unref(n);
}

/* With pretty=on an answer has many lines; its last is the one that begins with a brace. */
static void check_output(bool pretty)
{
    g_auto(GStrv) line = g_strsplit(fake_chr_output(chr), "\r\n", -1);

    for (unsigned i = 0; line[i] && !pretty; i++)
        if (*line[i])
            check_line(line[i]);
}

static void say(const u8 *p, size_t n, bool pretty)
{
    unsigned idle = 0;

    while (n && !vm->quit) {
        unsigned take = MIN_OF(chr_can_read(chr), (unsigned)n);
        if (take)
            chr_deliver(chr, p, take);
        p += take;
        n -= take;
        settle(false);
        check_output(pretty);
        idle = take ? 0 : idle + 1;
        g_assert_cmpuint(idle, <, ROUNDS_MAX);
    }
}

/* What would take the descriptors of this very process: its terminal, or numbered ones. */
static bool takes_descriptors(const char *text)
{
    if (strstr(text, "stdio"))
        return true;
    for (const char *p = text; (p = strstr(p, "fd"));) {
        p += 2;
        p += *p == 's';
        p += *p == '"';
        while (isspace((u8)*p))
            p++;
        if (*p == ':' || *p == '=')
            return true;
    }
    return false;
}

/* The first byte: the machine, the form of answers, whether to negotiate first, and in what pieces the rest comes. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const char negotiation[] = "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}";
    g_autofree char *text = g_strndup((const char *)data, size);
    u8 how = size ? data[0] : 0;

    for (size_t i = 0; i < size; i++)
        text[i] = data[i] ? (char)data[i] : ' ';
    if (takes_descriptors(text))
        return 0;
    begin(how);
    fuzz_allow_files(false);
    if (!(how & 4))
        say((const u8 *)negotiation, sizeof(negotiation) - 1, how & 2);
    for (size_t at = 1, n; at < size; at += n) {
        n = how & 8 ? MIN_OF(size - at, (size_t)(how >> 4) * 8 + 1) : size - at;
        say(data + at, n, how & 2);
    }
    fuzz_allow_files(true);
    end();
    return 0;
}
