/* Builds the SMBIOS tables: defaults of the machine, changed by -smbios. Main thread, from hw/machine/pc_firmware.c.
 * DMTF DSP0134, System Management BIOS Reference Specification 3.1, chapters 5 to 7. */
#include "hw/machine/smbios.h"
#include <stdio.h>
#include "util/opts.h"
#include "util/uuid.h"

/* Where the options of type 17 are in builder.opts; the others are at their number. */
enum { OPTS_DIMM = 5 };
enum { HEADER = 4, STRINGS_MAX = 40, TABLES_MAX = 0xffff, ANCHOR_2 = 31, ANCHOR_3 = 24 };
enum { HANDLE_BIOS = 0, HANDLE_SYSTEM = 0x100, HANDLE_BOARD = 0x200, HANDLE_CHASSIS = 0x300, HANDLE_CPU = 0x400, HANDLE_OEM = 0xe00,
       HANDLE_ARRAY = 0x1000, HANDLE_DIMM = 0x1100, HANDLE_RANGE = 0x1300, HANDLE_BOOT = 0x2000, HANDLE_END = 0x7f00 };

struct builder {
    GByteArray *out;
    const struct smbios_config *c;
    u32 start;                        /* of the structure being written */
    char *strings[STRINGS_MAX]; unsigned n_strings;
    u16 structures, largest;
    struct opts *opts[6];             /* -smbios type=N,..., merged; NULL: none */
    GPtrArray *oem;                   /* type 11 strings */
    u32 given;                        /* types that -smbios file= brought */
};

/* -- structures -------------------------------------------------------------------------------------------------------- */

static void put(struct builder *b, u64 v, unsigned n)
{
    g_byte_array_append(b->out, (const u8 *)&v, n);
}

static void begin(struct builder *b, u8 type, u16 handle)
{
    b->start = b->out->len;
    put(b, type, 1);
    put(b, 0, 1);
    put(b, handle, 2);
}

/* The number of a string in the structure's list; 0 for none. */
static void put_string(struct builder *b, const char *s)
{
    if (!s || !*s || b->n_strings == STRINGS_MAX) {
        put(b, 0, 1);
        return;
    }
    b->strings[b->n_strings++] = g_strdup(s);
    put(b, b->n_strings, 1);
}

static void end(struct builder *b)
{
    b->out->data[b->start + 1] = b->out->len - b->start;
    for (unsigned i = 0; i < b->n_strings; i++) {
        g_byte_array_append(b->out, (const u8 *)b->strings[i], strlen(b->strings[i]) + 1);
        g_free(b->strings[i]);
    }
    put(b, 0, b->n_strings ? 1 : 2);
    b->n_strings = 0;
    b->structures++;
    b->largest = MAX_OF(b->largest, b->out->len - b->start);
}

/* -smbios type=N,NAME=: its value, or the default. */
static const char *option(struct builder *b, unsigned type, const char *name, const char *def)
{
    const char *v = b->opts[type] ? opts_get(b->opts[type], name) : NULL;

    return v ? v : def;
}

static void put_option(struct builder *b, unsigned type, const char *name, const char *def)
{
    put_string(b, option(b, type, name, def));
}

/* Type 0 is firmware's own to write unless the user wants it otherwise. */
static int build_bios(struct builder *b, struct err *e)
{
    struct opts *o = b->opts[0];
    unsigned major = 0, minor = 0;
    bool uefi = false;
    const char *release = option(b, 0, "release", NULL);

    if (!o)
        return 0;
    if (release && sscanf(release, "%u.%u", &major, &minor) != 2)
        return err_set(e, "-smbios type=0,release=%s: not of the form MAJOR.MINOR", release);
    if (opts_bool(o, "uefi", false, &uefi, e) < 0)
        return -1;
    begin(b, 0, HANDLE_BIOS);
    put_option(b, 0, "vendor", NULL);
    put_option(b, 0, "version", NULL);
    put(b, 0xe800, 2); /* segment */
    put_option(b, 0, "date", NULL);
    put(b, 0, 1);      /* ROM size: 64 KiB */
    put(b, 0x08, 8);   /* characteristics: not supported */
    put(b, 0, 1);
    put(b, uefi ? 0x1c : 0x14, 1); /* targeted content distribution, virtual machine */
    put(b, release ? major : 0xff, 1);
    put(b, release ? minor : 0xff, 1);
    put(b, 0xffff, 2); /* embedded controller */
    end(b);
    return 0;
}

static int build_system(struct builder *b, struct err *e)
{
    const char *text = option(b, 1, "uuid", NULL);
    u8 uuid[16], swapped[16];

    memcpy(uuid, b->c->uuid, 16);
    if (text && uuid_parse(text, uuid) < 0)
        return err_set(e, "-smbios type=1,uuid=%s: not a UUID", text);
    memcpy(swapped, uuid, 16); /* its first three fields are little-endian */
    for (unsigned i = 0; i < 4; i++)
        swapped[i] = uuid[3 - i];
    swapped[4] = uuid[5], swapped[5] = uuid[4], swapped[6] = uuid[7], swapped[7] = uuid[6];
    begin(b, 1, HANDLE_SYSTEM);
    put_option(b, 1, "manufacturer", "QEMU"); /* by which guests know a virtual machine */
    put_option(b, 1, "product", b->c->product);
    put_option(b, 1, "version", b->c->version);
    put_option(b, 1, "serial", NULL);
    g_byte_array_append(b->out, swapped, 16);
    put(b, 6, 1); /* wake-up: power switch */
    put_option(b, 1, "sku", NULL);
    put_option(b, 1, "family", NULL);
    end(b);
    return 0;
}

static void build_board(struct builder *b)
{
    if (!b->opts[2])
        return;
    begin(b, 2, HANDLE_BOARD);
    put_option(b, 2, "manufacturer", "QEMU");
    put_option(b, 2, "product", b->c->product);
    put_option(b, 2, "version", b->c->version);
    put_option(b, 2, "serial", NULL);
    put_option(b, 2, "asset", NULL);
    put(b, 0x01, 1); /* hosting board */
    put_option(b, 2, "location", NULL);
    put(b, HANDLE_CHASSIS, 2);
    put(b, 0x0a, 1); /* motherboard */
    put(b, 0, 1);
    end(b);
}

static void build_chassis(struct builder *b)
{
    begin(b, 3, HANDLE_CHASSIS);
    put_option(b, 3, "manufacturer", "QEMU");
    put(b, 0x01, 1); /* other */
    put_option(b, 3, "version", b->c->version);
    put_option(b, 3, "serial", NULL);
    put_option(b, 3, "asset", NULL);
    put(b, 0x03, 1); /* boot-up state safe, power supply, thermal */
    put(b, 0x03, 1);
    put(b, 0x03, 1);
    put(b, 0x02, 1); /* security: unknown */
    put(b, 0, 4);
    put(b, 0, 2);    /* height, power cords */
    put(b, 0, 2);    /* contained elements */
    put_option(b, 3, "sku", NULL);
    end(b);
}

static int build_cpu(struct builder *b, unsigned n, struct err *e)
{
    char socket[64];
    u64 max, current;
    struct opts *o = b->opts[4], *none = opts_new();
    int r = opts_uint(o ? o : none, "max-speed", 2000, 0, 0xffff, &max, e);

    if (r == 0)
        r = opts_uint(o ? o : none, "current-speed", 2000, 0, 0xffff, &current, e);
    opts_free(none);
    if (r < 0)
        return err_prefix(e, "-smbios type=4");
    g_snprintf(socket, sizeof(socket), "%s%2x", option(b, 4, "sock_pfx", "CPU"), n);
    begin(b, 4, HANDLE_CPU + n);
    put_string(b, socket);
    put(b, 0x03, 1); /* central processor */
    put(b, 0x01, 1); /* family: other */
    put_option(b, 4, "manufacturer", "QEMU");
    put(b, 0, 8);    /* processor ID */
    put_option(b, 4, "version", b->c->version);
    put(b, 0, 1);
    put(b, 0, 2);    /* external clock */
    put(b, max, 2);
    put(b, current, 2);
    put(b, 0x41, 1); /* socket populated, CPU enabled */
    put(b, 0x01, 1); /* upgrade: other */
    put(b, 0xffff, 2), put(b, 0xffff, 2), put(b, 0xffff, 2); /* no cache handles */
    put_option(b, 4, "serial", NULL);
    put_option(b, 4, "asset", NULL);
    put_option(b, 4, "part", NULL);
    put(b, MIN_OF(b->c->cores, 255), 1);
    put(b, MIN_OF(b->c->cores, 255), 1);
    put(b, MIN_OF(b->c->cores * b->c->threads, 255), 1);
    put(b, 0x02, 2); /* characteristics: unknown */
    put(b, 0x01, 2); /* family 2 */
    put(b, b->c->cores, 2);
    put(b, b->c->cores, 2);
    put(b, b->c->cores * b->c->threads, 2);
    end(b);
    return 0;
}

static void build_oem(struct builder *b)
{
    if (!b->oem->len)
        return;
    begin(b, 11, HANDLE_OEM);
    put(b, b->oem->len, 1);
    for (unsigned i = 0; i < b->oem->len; i++)
        b->strings[b->n_strings++] = g_strdup(b->oem->pdata[i]);
    end(b);
}

#define DIMM_MAX (16 * GiB)

static void build_dimm(struct builder *b, unsigned n, u64 size)
{
    char locator[64];
    u64 mib = size / MiB;

    g_snprintf(locator, sizeof(locator), "%s %u", option(b, OPTS_DIMM, "loc_pfx", "DIMM"), n);
    begin(b, 17, HANDLE_DIMM + n);
    put(b, HANDLE_ARRAY, 2);
    put(b, 0xfffe, 2); /* no error information */
    put(b, 0xffff, 2), put(b, 0xffff, 2); /* widths: unknown */
    put(b, mib < 0x7fff ? mib : 0x7fff, 2);
    put(b, 0x09, 1);   /* DIMM */
    put(b, 0, 1);
    put_string(b, locator);
    put_option(b, OPTS_DIMM, "bank", NULL);
    put(b, 0x07, 1);   /* RAM */
    put(b, 0x02, 2);   /* unknown details */
    put(b, 0, 2);
    put_option(b, OPTS_DIMM, "manufacturer", "QEMU");
    put_option(b, OPTS_DIMM, "serial", NULL);
    put_option(b, OPTS_DIMM, "asset", NULL);
    put_option(b, OPTS_DIMM, "part", NULL);
    put(b, 0, 1);      /* rank */
    put(b, mib < 0x7fff ? 0 : mib, 4);
    put(b, 0, 2);      /* speed, voltages */
    put(b, 0, 6);
    end(b);
}

static void build_range(struct builder *b, unsigned n, u64 first, u64 size)
{
    bool wide = (first + size) / KiB > 0xffffffff;

    begin(b, 19, HANDLE_RANGE + n);
    put(b, wide ? 0xffffffff : first / KiB, 4);
    put(b, wide ? 0xffffffff : (first + size) / KiB - 1, 4);
    put(b, HANDLE_ARRAY, 2);
    put(b, 1, 1);
    put(b, wide ? first : 0, 8);
    put(b, wide ? first + size - 1 : 0, 8);
    end(b);
}

static void build_memory(struct builder *b)
{
    u64 ram = b->c->ram_low + b->c->ram_high;
    unsigned dimms = (ram + DIMM_MAX - 1) / DIMM_MAX;
    bool wide = ram >= 2048 * GiB;

    begin(b, 16, HANDLE_ARRAY);
    put(b, 0x01, 1); /* location: other */
    put(b, 0x03, 1); /* use: system memory */
    put(b, 0x06, 1); /* multi-bit error correction */
    put(b, wide ? 0x80000000 : ram / KiB, 4);
    put(b, 0xfffe, 2);
    put(b, dimms, 2);
    put(b, wide ? ram : 0, 8);
    end(b);
    for (unsigned i = 0; i < dimms; i++)
        build_dimm(b, i, MIN_OF(DIMM_MAX, ram - i * DIMM_MAX));
    build_range(b, 0, 0, b->c->ram_low);
    if (b->c->ram_high)
        build_range(b, 1, 4 * GiB, b->c->ram_high);
}

/* -- -smbios ------------------------------------------------------------------------------------------------------------ */

static int take_file(struct builder *b, const char *path, struct err *e)
{
    gchar *data;
    gsize len;
    GError *ge = NULL;
    int r = 0;

    if (!g_file_get_contents(path, &data, &len, &ge)) {
        err_set(e, "-smbios file=%s: %s", path, ge->message);
        g_error_free(ge);
        return -1;
    }
    /* A structure: header, formatted area, strings, two zero bytes. */
    if (len < HEADER + 2 || len > TABLES_MAX || (u8)data[1] < HEADER || (u8)data[1] + 2u > len || data[len - 1] || data[len - 2]) {
        r = err_set(e, "-smbios file=%s: not one SMBIOS structure with its strings", path);
    } else {
        g_byte_array_append(b->out, (const u8 *)data, len);
        b->structures++;
        b->largest = MAX_OF(b->largest, len);
        if ((u8)data[0] < 32)
            b->given |= BIT((u8)data[0]);
    }
    g_free(data);
    return r;
}

static int take_option(struct builder *b, const char *text, struct err *e)
{
    static const u8 types[] = { 0, 1, 2, 3, 4, 11, 17 };
    struct opts *o = opts_parse(text, NULL, e);
    const char *file = o ? opts_get(o, "file") : NULL;
    u64 type = 0;
    int r = !o || (!file && opts_uint(o, "type", 99, 0, 255, &type, e) < 0) ? err_prefix(e, "-smbios %s", text) : 0;
    bool known = false;

    if (r == 0 && file)
        r = take_file(b, file, e);

    for (unsigned i = 0; i < ARRAY_LEN(types); i++)
        known |= type == types[i];
    if (r == 0 && !file && !known)
        r = err_set(e, "-smbios %s: type= must be 0, 1, 2, 3, 4, 11 or 17, or file= name a structure", text);
    for (unsigned i = 0; r == 0 && type == 11 && i < opts_count(o); i++) {
        if (!strcmp(opts_name(o, i), "value") && (!*opts_value(o, i) || b->oem->len == STRINGS_MAX))
            r = err_set(e, "-smbios type=11: value= is empty, or there are more than %u", STRINGS_MAX);
        else if (!strcmp(opts_name(o, i), "value"))
            g_ptr_array_add(b->oem, g_strdup(opts_value(o, i)));
        else if (strcmp(opts_name(o, i), "type"))
            r = err_set(e, "-smbios type=11,%s=: there is only value=", opts_name(o, i));
    }
    if (r == 0 && !file && type != 11) {
        unsigned at = type == 17 ? OPTS_DIMM : type;
        if (!b->opts[at])
            b->opts[at] = opts_new();
        opts_merge(b->opts[at], NULL, o);
        opts_get(b->opts[at], "type");
    }
    if (r == 0 && file && opts_all_used(o, e) < 0)
        r = err_prefix(e, "-smbios");
    opts_free(o);
    return r;
}

static int check_used(struct builder *b, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(b->opts); i++)
        if (b->opts[i] && opts_all_used(b->opts[i], e) < 0)
            return err_prefix(e, "-smbios type=%u", i == OPTS_DIMM ? 17 : i);
    return 0;
}

/* -- the whole ---------------------------------------------------------------------------------------------------------- */

static int build_structures(struct builder *b, struct err *e)
{
    for (unsigned i = 0; i < b->c->n_options; i++)
        if (take_option(b, b->c->options[i], e) < 0)
            return -1;
    if (!(b->given & BIT(0)) && build_bios(b, e) < 0)
        return -1;
    if (!(b->given & BIT(1)) && build_system(b, e) < 0)
        return -1;
    if (!(b->given & BIT(2)))
        build_board(b);
    if (!(b->given & BIT(3)))
        build_chassis(b);
    for (unsigned i = 0; !(b->given & BIT(4)) && i < b->c->sockets; i++)
        if (build_cpu(b, i, e) < 0)
            return -1;
    build_oem(b);
    if (!(b->given & (BIT(16) | BIT(17) | BIT(19))))
        build_memory(b);
    begin(b, 32, HANDLE_BOOT);
    put(b, 0, 7); /* no errors detected */
    end(b);
    begin(b, 127, HANDLE_END);
    end(b);
    if (b->out->len > TABLES_MAX)
        return err_set(e, "-smbios: the tables are larger than %u bytes", TABLES_MAX);
    return check_used(b, e);
}

static void build_anchor(struct builder *b, GByteArray *out)
{
    u8 a[ANCHOR_2] = "_SM_", a3[ANCHOR_3] = "_SM3_";

    if (b->c->v3) {
        a3[6] = ANCHOR_3;
        a3[7] = 3;
        a3[10] = 1; /* revision of the entry point */
        st32(a3 + 12, b->out->len);
        g_byte_array_append(out, a3, sizeof(a3));
        return;
    }
    a[5] = ANCHOR_2;
    a[6] = 2, a[7] = 8;
    st16(a + 8, b->largest);
    memcpy(a + 16, "_DMI_", 5);
    st16(a + 22, b->out->len);
    st16(a + 28, b->structures);
    a[30] = 0x28;
    g_byte_array_append(out, a, sizeof(a));
}

struct smbios *smbios_build(const struct smbios_config *c, struct err *e)
{
    struct smbios *s = g_new0(struct smbios, 1);
    struct builder b = { .c = c, .out = g_byte_array_new(), .oem = g_ptr_array_new_with_free_func(g_free) };
    int r = build_structures(&b, e);

    s->tables = b.out;
    s->anchor = g_byte_array_new();
    build_anchor(&b, s->anchor);
    smbios_place(s, 0);
    for (unsigned i = 0; i < ARRAY_LEN(b.opts); i++)
        opts_free(b.opts[i]);
    g_ptr_array_unref(b.oem);
    if (r == 0)
        return s;
    smbios_free(s);
    return NULL;
}

static u8 checksum(const u8 *p, unsigned n)
{
    u8 sum = 0;

    while (n--)
        sum -= *p++;
    return sum;
}

void smbios_place(struct smbios *s, u64 tables_gpa)
{
    u8 *a = s->anchor->data;

    if (s->anchor->len == ANCHOR_3) {
        st64(a + 16, tables_gpa);
        a[5] = 0;
        a[5] = checksum(a, ANCHOR_3);
        return;
    }
    st32(a + 24, tables_gpa);
    a[21] = a[4] = 0;
    a[21] = checksum(a + 16, 15);
    a[4] = checksum(a, ANCHOR_2);
}

void smbios_free(struct smbios *s)
{
    if (!s)
        return;
    g_byte_array_unref(s->tables);
    g_byte_array_unref(s->anchor);
    g_free(s);
}
