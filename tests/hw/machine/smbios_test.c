/* SMBIOS tables: the chain of structures, anchors of both kinds, what -smbios changes, what it refuses; UUIDs. */
#include "hw/machine/smbios.h"
#include <glib.h>
#include "tests/lib/test_pc.h"
#include "util/uuid.h"

static struct smbios *build(const char *const *options, unsigned n, bool v3, u64 high, struct err *e)
{
    struct smbios_config c = { .product = "P", .version = "V", .ram_low = 2 * GiB, .ram_high = high, .sockets = 2, .cores = 2, .threads = 1,
                               .options = options, .n_options = n, .v3 = v3 };

    uuid_parse("00112233-4455-6677-8899-aabbccddeeff", c.uuid);
    return smbios_build(&c, e);
}

/* The n-th structure of a type, and its length with strings; NULL: none. Checks the chain on the way. */
static const u8 *find(const struct smbios *s, u8 type, unsigned n, u32 *whole)
{
    const u8 *p = s->tables->data, *end = p + s->tables->len, *found = NULL;
    u8 last = 0;

    while (p < end) {
        const u8 *q = p + p[1];
        g_assert_cmpuint(p[1], >=, 4);
        while (q[0] || q[1])
            q++;
        q += 2;
        g_assert_true(q <= end);
        last = p[0];
        if (p[0] == type && n-- == 0) {
            found = p;
            *whole = q - p;
        }
        p = q;
    }
    g_assert_cmpuint(last, ==, 127);
    return found;
}

static const char *string(const u8 *p, unsigned at)
{
    const char *s = (const char *)p + p[1];

    for (unsigned i = 1; i < p[at]; i++)
        s += strlen(s) + 1;
    return p[at] ? s : "";
}

static u8 sum(const u8 *p, unsigned n)
{
    u8 v = 0;
    while (n--)
        v += *p++;
    return v;
}

static void test_defaults(void)
{
    struct err e = { "" };
    struct smbios *s = build(NULL, 0, false, 30 * GiB, &e);
    u32 len;
    smbios_place(s, 0xf6000);
    const u8 *a = s->anchor->data, *p;
    g_assert_cmpmem(a, 4, "_SM_", 4);
    g_assert_cmphex(sum(a, 31), ==, 0);
    g_assert_cmphex(sum(a + 16, 15), ==, 0);
    g_assert_cmphex(ld32(a + 24), ==, 0xf6000);
    g_assert_cmpuint(ld16(a + 22), ==, s->tables->len);
    g_assert_null(find(s, 0, 0, &len));
    p = find(s, 1, 0, &len);
    g_assert_cmpstr(string(p, 4), ==, "QEMU");
    g_assert_cmpstr(string(p, 5), ==, "P");
    g_assert_cmphex(ld32(p + 8), ==, 0x00112233); /* the first fields are little-endian */
    g_assert_cmphex(ld16(p + 12), ==, 0x4455);
    g_assert_cmphex(p[16], ==, 0x88);
    g_assert_nonnull(find(s, 4, 1, &len));
    g_assert_null(find(s, 4, 2, &len));
    p = find(s, 16, 0, &len);
    g_assert_cmpuint(ld32(p + 7), ==, 32 * MiB); /* KiB */
    g_assert_cmpuint(ld16(p + 13), ==, 2);
    g_assert_cmpuint(ld16(find(s, 17, 1, &len) + 12), ==, 16 * 1024);
    p = find(s, 19, 1, &len);
    g_assert_cmphex(ld32(p + 4), ==, 4 * MiB);
    g_assert_cmphex(ld32(p + 8), ==, 34 * MiB - 1);
    smbios_free(s);
}

static void test_options(void)
{
    static const u8 raw[] = { 0xc8, 6, 0x34, 0x12, 1, 2, 'x', 0, 0 };
    char *path = test_file(raw, sizeof(raw)), *file = g_strdup_printf("file=%s", path);
    const char *const options[] = { "type=1,serial=S1,,2,sku=K", "type=0,vendor=me,release=3.7", "type=2,asset=A", "type=11,value=one,value=two",
                                    "type=17,manufacturer=M,loc_pfx=Slot", "type=4,max-speed=3000", "type=1,family=F", file };
    struct err e = { "" };
    struct smbios *s = build(options, ARRAY_LEN(options), true, 0, &e);
    u32 len;
    g_assert_cmpstr(e.msg, ==, "");
    g_assert_cmpmem(s->anchor->data, 5, "_SM3_", 5);
    g_assert_cmpuint(s->anchor->len, ==, 24);
    smbios_place(s, 0x123456789);
    g_assert_cmphex(ld64(s->anchor->data + 16), ==, 0x123456789);
    g_assert_cmphex(sum(s->anchor->data, 24), ==, 0);
    const u8 *p = find(s, 1, 0, &len);
    g_assert_cmpstr(string(p, 7), ==, "S1,2");
    g_assert_cmpstr(string(p, 25), ==, "K");
    g_assert_cmpstr(string(p, 26), ==, "F");
    p = find(s, 0, 0, &len);
    g_assert_cmpstr(string(p, 4), ==, "me");
    g_assert_cmpuint(p[20], ==, 3);
    g_assert_cmpuint(p[21], ==, 7);
    g_assert_cmpstr(string(find(s, 2, 0, &len), 8), ==, "A");
    p = find(s, 11, 0, &len);
    g_assert_cmpuint(p[4], ==, 2);
    g_assert_cmpstr((const char *)p + 5, ==, "one");
    g_assert_cmpstr(string(find(s, 17, 0, &len), 23), ==, "M");
    g_assert_cmpstr(string(find(s, 17, 0, &len), 16), ==, "Slot 0");
    g_assert_cmpuint(ld16(find(s, 4, 0, &len) + 20), ==, 3000);
    p = find(s, 0xc8, 0, &len);
    g_assert_cmpmem(p, len, raw, sizeof(raw));
    smbios_free(s);
    test_file_free(path);
    g_free(file);
}

static void test_refused(void)
{
    static const u8 cut[] = { 1, 27, 0, 1, 'x' };
    char *path = test_file(cut, sizeof(cut)), *file = g_strdup_printf("file=%s", path);
    const char *const bad[][2] = {
        { "type=9", "type=" }, { "serial=1", "type=" }, { "type=1,nothing=2", "nothing" }, { "type=1,uuid=12", "UUID" },
        { "type=0,release=x", "release" }, { "type=4,max-speed=x", "max-speed" }, { "type=11,path=x", "path" }, { file, "one SMBIOS" },
        { "file=/nonexistent", "No such file" }, { "type=x", "type" }, { "type=11,value=", "empty" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = { "" };
        g_assert_null(build(&bad[i][0], 1, false, 0, &e));
        if (!strstr(e.msg, bad[i][1]) || !strstr(e.msg, "-smbios"))
            g_error("'%s' does not name '%s'", e.msg, bad[i][1]);
    }
    test_file_free(path);
    g_free(file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smbios/defaults", test_defaults);
    g_test_add_func("/smbios/options", test_options);
    g_test_add_func("/smbios/refused", test_refused);
    return g_test_run();
}
