/* Tests ui/options_block.c: where -drive, -blockdev and the short forms put their images, and what is refused by name. */
#include <glib.h>
#include "hw/backend/blk_int.h"
#include "hw/backend/drive.h"
#include "tests/lib/test_pc.h"
#include "ui/options.h"

static char *image;
static char *words[32];

/* The command line with IMG replaced by the image's path; then the drives are opened. */
static int open_drives(const char *line, struct options *o, struct err *e)
{
    char **v = g_strsplit(line, " ", -1);
    int n = 0, r;

    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        g_clear_pointer(&words[i], g_free);
    words[n++] = g_strdup("gemel");
    for (unsigned i = 0; v[i]; i++) {
        char **at = g_strsplit(v[i], "IMG", -1);
        words[n++] = g_strjoinv(image, at);
        g_strfreev(at);
    }
    g_strfreev(v);
    e->msg[0] = 0;
    r = options_parse(o, n, words, e);
    return r == OPTIONS_RUN ? options_open_drives(o, e) : -1;
}

static void done(struct options *o)
{
    drives_free();
    blk_close_all();
    options_free(o);
}

static void test_places(void)
{
    struct options o;
    struct err e;
    static const struct { const char *line; enum drive_if iface; unsigned bus, unit; bool cdrom; const char *id; } t[] = {
        { "-hda IMG", DRIVE_IDE, 0, 0, false, "ide0-hd0" }, { "-hdb IMG", DRIVE_IDE, 0, 1, false, "ide0-hd1" },
        { "-hdd IMG", DRIVE_IDE, 1, 1, false, "ide1-hd1" }, { "-cdrom IMG -bios IMG", DRIVE_IDE, 1, 0, true, "ide1-cd0" },
        { "-fdb IMG", DRIVE_FLOPPY, 0, 1, false, "floppy1" }, { "-pflash IMG", DRIVE_PFLASH, 0, 0, false, "pflash0" },
        { "-drive file=IMG,format=raw", DRIVE_IDE, 0, 0, false, "ide0-hd0" },
        { "-drive format=raw,file=IMG,index=2,id=x", DRIVE_IDE, 1, 0, false, "x" },
        { "-drive format=raw,file=IMG,bus=1,unit=1", DRIVE_IDE, 1, 1, false, "ide1-hd1" },
        { "-drive if=floppy,format=raw,file=IMG", DRIVE_FLOPPY, 0, 0, false, "floppy0" },
        { "-machine q35 -drive index=3,format=raw,file=IMG", DRIVE_IDE, 3, 0, false, "ide3-hd0" },
        { "-drive media=cdrom", DRIVE_IDE, 0, 0, true, "ide0-cd0" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        g_test_message("%s", t[i].line);
        g_assert_cmpint(open_drives(t[i].line, &o, &e), ==, 0);
        struct drive *d = drive_find(t[i].iface, t[i].bus, t[i].unit);
        g_assert_nonnull(d);
        g_assert_true(d->cdrom == t[i].cdrom);
        g_assert_cmpstr(blk_id(d->blk), ==, t[i].id);
        g_assert_true(blk_find(t[i].id) == d->blk);
        g_assert_true(blk_readonly(d->blk) == t[i].cdrom);
        g_assert_cmpint(drives_check_taken(&e), ==, -1);
        g_assert_nonnull(strstr(e.msg, "does not support"));
        d->taken = true;
        g_assert_cmpint(drives_check_taken(&e), ==, 0);
        done(&o);
    }
}

static void test_without_place(void)
{
    struct options o;
    struct err e;

    g_assert_cmpint(open_drives("-drive if=none,id=d0,format=raw,file=IMG", &o, &e), ==, 0);
    g_assert_null(drives());
    g_assert_cmpuint(blk_size(blk_find("d0")), ==, 4096);
    g_assert_cmpint(blk_attach(blk_find("d0"), NULL, NULL, NULL, BLK_WRITES, &e), ==, 0);
    g_assert_cmpint(open_drives("-drive if=none,id=d1,format=raw,file=IMG,readonly=on -bios IMG", &o, &e), ==, 0);
    g_assert_cmpint(blk_attach(blk_find("d1"), NULL, NULL, NULL, 0, &e), ==, -1); /* in use for writing */
    g_assert_nonnull(strstr(e.msg, "lock"));
    blk_detach(blk_find("d0"));
    done(&o);
    g_assert_cmpint(open_drives("-nic none -drive if=virtio,format=raw,file=IMG", &o, &e), ==, 0);
    g_assert_cmpuint(o.machine.n_devices, ==, 1);
    g_assert_cmpstr(o.machine.devices[0], ==, "virtio-blk-pci,drive=virtio0");
    done(&o);
    g_assert_cmpint(open_drives("-bios IMG -blockdev file,node-name=f,filename=IMG -blockdev {\"driver\":\"raw\",\"node-name\":\"r\",\"file\":\"f\"}",
                                &o, &e), ==, 0);
    g_assert_cmpuint(blk_size(blk_find("r")), ==, 4096);
    g_assert_true(blk_find("r") == blk_find("r"));
    done(&o);
}

/* Keys that are given more than once. */
static void test_repeats(void)
{
    static const struct { const char *rest, *id; bool readonly; } t[] = {
        { "id=a,id=b", "a", false }, { "id=a,read-only=on,read-only=off", "a", false }, { "id=a,read-only=off,read-only=on", "a", true },
        { "id=a,readonly=on,readonly=off", "a", true }, { "id=a,format=qcow2,format=raw", "a", false }, { "id=a,node-name=x,node-name=y", "y", false },
    };
    struct options o;
    struct err e;

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        char *line = g_strdup_printf("-drive if=ide,if=none,file=/nonexistent,file=IMG,format=raw,%s", t[i].rest);
        g_test_message("%s", line);
        g_assert_cmpint(open_drives(line, &o, &e), ==, 0);
        g_assert_nonnull(blk_find("a"));
        g_assert_true(!strcmp(t[i].id, "a") || node_find(t[i].id));
        g_assert_true(blk_readonly(blk_find("a")) == t[i].readonly);
        done(&o);
        g_free(line);
    }
}

static void test_refused(void)
{
    struct options o;
    struct err e;
    static const char *const t[][2] = {
        { "-drive if=sd,file=IMG", "if=sd" }, { "-drive if=warp,file=IMG", "warp" }, { "-drive format=raw", "file=" },
        { "-sd IMG", "-sd" }, { "-mtdblock IMG", "-mtdblock" }, { "-drive file=IMG,format=frob", "frob" },
        { "-drive file=IMG,format=raw,frob=1", "'frob'" }, { "-drive file=IMG,format=raw,cache=warm", "cache=warm" },
        { "-drive file=IMG,format=raw,aio=native", "cache.direct" }, { "-drive file=IMG,format=raw,copy-on-read=on", "copy-on-read" },
        { "-drive file=IMG,format=raw,index=1,unit=1", "index" }, { "-drive file=IMG,format=raw,unit=2", "unit 2" },
        { "-hda IMG -hda IMG", "exists" }, { "-drive if=none,id=x,file=IMG,format=raw -drive if=none,id=x", "Duplicate" },
        { "-drive file=IMG,format=raw,bps=1,bps_rd=1", "total" }, { "-drive file=IMG,format=raw,iops_max=1", "require" },
        { "-drive file=IMG,format=raw,rerror=enospc", "rerror" }, { "-drive file=IMG,format=raw,werror=panic", "werror=panic" },
        { "-drive file=IMG,format=raw,detect-zeroes=x", "detect-zeroes" }, { "-drive file=IMG,format=raw,file.locking=x", "locking" },
        { "-drive file=/nonexistent,format=raw", "/nonexistent" }, { "-drive file=frob:x", "frob" },
        { "-bios IMG -blockdev driver=raw,node-name=r,file=f", "'f'" }, { "-bios IMG -blockdev driver=raw,file=f", "node-name" },
        { "-bios IMG -blockdev node-name=f", "driver" }, { "-bios IMG -blockdev {\"driver\":1", "JSON" },
        { "-bios IMG -blockdev file,node-name=f,filename=IMG,frob=1", "frob" },
        { "-drive file=IMG,format=raw,force-share=on", "force-share" },
        { "-drive file=IMG,format=raw,cache=none,cache=none", "cache= is given more than once" },
        { "-drive file=IMG,format=raw,bps=1,throttling.bps-total=1", "'throttling.bps-total' and its alias 'bps'" },
        { "-drive file=IMG,format=raw,read-only=on,readonly=on", "'read-only' and its alias 'readonly'" },
        { "-drive file=IMG,file=/nonexistent,format=raw", "/nonexistent" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        g_test_message("%s", t[i][0]);
        g_assert_cmpint(open_drives(t[i][0], &o, &e), ==, -1);
        if (!strstr(e.msg, t[i][1]))
            g_error("'%s' does not mention '%s'", e.msg, t[i][1]);
        g_assert_null(strchr(e.msg, '\n'));
        done(&o);
    }
}

int main(int argc, char **argv)
{
    u8 data[4096] = { 1 };
    int r;

    g_test_init(&argc, &argv, NULL);
    image = test_file(data, sizeof(data));
    g_test_add_func("/options-block/places", test_places);
    g_test_add_func("/options-block/without-place", test_without_place);
    g_test_add_func("/options-block/repeats", test_repeats);
    g_test_add_func("/options-block/refused", test_refused);
    r = g_test_run();
    test_file_free(image);
    return r;
}
