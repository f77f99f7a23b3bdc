/* ACPI Machine Language builder: byte encodings of names, constants, packages and resource descriptors. Main thread, for
 * hw/machine/acpi_dsdt.c. ACPI 6.4, sections 6.4 (resource descriptors) and 20.2 (grammar). */
#include "hw/machine/aml.h"

void aml_byte(struct aml *a, u8 v)
{
    g_byte_array_append(a->out, &v, 1);
}

static void aml_bytes(struct aml *a, u64 v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        aml_byte(a, v >> (8 * i));
}

void aml_op(struct aml *a, enum aml_op op)
{
    aml_byte(a, op);
}

static void aml_ext(struct aml *a, u8 op)
{
    aml_byte(a, 0x5b);
    aml_byte(a, op);
}

void aml_path(struct aml *a, const char *path)
{
    unsigned segs = 1;

    while (*path == '\\' || *path == '^')
        aml_byte(a, *path++);
    for (const char *p = path; *p; p++)
        segs += *p == '.';
    if (segs == 2) {
        aml_byte(a, 0x2e);
    } else if (segs > 2) {
        aml_byte(a, 0x2f);
        aml_byte(a, segs);
    }
    while (*path) {
        unsigned n = strcspn(path, ".");
        assert(n >= 1 && n <= 4);
        for (unsigned i = 0; i < 4; i++)
            aml_byte(a, i < n ? path[i] : '_');
        path += n + (path[n] == '.');
    }
}

void aml_int(struct aml *a, u64 v)
{
    if (v <= 1) {
        aml_byte(a, v);
    } else if (v <= 0xff) {
        aml_byte(a, 0x0a);
        aml_bytes(a, v, 1);
    } else if (v <= 0xffff) {
        aml_byte(a, 0x0b);
        aml_bytes(a, v, 2);
    } else if (v <= 0xffffffff) {
        aml_byte(a, 0x0c);
        aml_bytes(a, v, 4);
    } else {
        aml_byte(a, 0x0e);
        aml_bytes(a, v, 8);
    }
}

void aml_string(struct aml *a, const char *s)
{
    aml_byte(a, 0x0d);
    g_byte_array_append(a->out, (const u8 *)s, strlen(s) + 1);
}

void aml_eisaid(struct aml *a, const char *id)
{
    u32 v = (id[0] - 0x40) << 26 | (id[1] - 0x40) << 21 | (id[2] - 0x40) << 16 |
            (u32)g_ascii_strtoull(id + 3, NULL, 16);

    aml_byte(a, 0x0c);
    aml_bytes(a, __builtin_bswap32(v), 4);
}

void aml_name(struct aml *a, const char *path)
{
    aml_byte(a, 0x08);
    aml_path(a, path);
}

void aml_name_int(struct aml *a, const char *path, u64 v)
{
    aml_name(a, path);
    aml_int(a, v);
}

void aml_name_eisaid(struct aml *a, const char *path, const char *id)
{
    aml_name(a, path);
    aml_eisaid(a, id);
}

/* -- constructs with a package length ---------------------------------------------------------------------------- */

static void aml_open(struct aml *a)
{
    assert(a->depth < AML_NESTING);
    a->open[a->depth++] = a->out->len;
}

static void aml_insert(struct aml *a, u32 at, const u8 *bytes, unsigned n)
{
    u32 tail = a->out->len - at;

    g_byte_array_set_size(a->out, a->out->len + n);
    memmove(a->out->data + at + n, a->out->data + at, tail);
    memcpy(a->out->data + at, bytes, n);
}

/* Puts the PkgLength, which counts its own bytes, in front of what was written since `at`. */
static void aml_insert_length(struct aml *a, u32 at)
{
    u32 body = a->out->len - at;
    unsigned n = body + 1 < 0x40 ? 1 : body + 2 < 0x1000 ? 2 : body + 3 < 0x100000 ? 3 : 4;
    u32 len = body + n;
    u8 enc[4] = { len };

    if (n > 1) {
        enc[0] = (n - 1) << 6 | (len & 15);
        for (unsigned i = 1; i < n; i++)
            enc[i] = len >> (4 + 8 * (i - 1));
    }
    aml_insert(a, at, enc, n);
}

void aml_end(struct aml *a)
{
    assert(a->depth);
    aml_insert_length(a, a->open[--a->depth]);
}

void aml_scope(struct aml *a, const char *path)
{
    aml_byte(a, 0x10);
    aml_open(a);
    aml_path(a, path);
}

void aml_device(struct aml *a, const char *path)
{
    aml_ext(a, 0x82);
    aml_open(a);
    aml_path(a, path);
}

void aml_processor(struct aml *a, const char *path, u8 id)
{
    aml_ext(a, 0x83);
    aml_open(a);
    aml_path(a, path);
    aml_byte(a, id);
    aml_bytes(a, 0, 5); /* no P_BLK */
}

void aml_method(struct aml *a, const char *path, u8 args, bool serialized)
{
    aml_byte(a, 0x14);
    aml_open(a);
    aml_path(a, path);
    aml_byte(a, args | (serialized ? 8 : 0));
}

void aml_if(struct aml *a)
{
    aml_byte(a, 0xa0);
    aml_open(a);
}

void aml_else(struct aml *a)
{
    aml_byte(a, 0xa1);
    aml_open(a);
}

void aml_buffer(struct aml *a, const u8 *bytes, u8 n)
{
    aml_byte(a, 0x11);
    aml_open(a);
    aml_int(a, n);
    g_byte_array_append(a->out, bytes, n);
    aml_end(a);
}

void aml_package(struct aml *a, u8 elements)
{
    aml_byte(a, 0x12);
    aml_open(a);
    aml_byte(a, elements);
}

void aml_op_region(struct aml *a, const char *path, enum aml_space space, u64 off, u64 len)
{
    aml_ext(a, 0x80);
    aml_path(a, path);
    aml_byte(a, space);
    aml_int(a, off);
    aml_int(a, len);
}

static void aml_fields(struct aml *a, const char *region, u8 flags, u8 bits, const char *const *names, unsigned n)
{
    aml_ext(a, 0x81);
    aml_open(a);
    aml_path(a, region);
    aml_byte(a, flags);
    for (unsigned i = 0; i < n; i++) {
        if (names[i])
            aml_path(a, names[i]);
        else
            aml_byte(a, 0);
        aml_byte(a, bits);
    }
    aml_end(a);
}

void aml_byte_fields(struct aml *a, const char *region, const char *const *names, unsigned n)
{
    aml_fields(a, region, 0x01, 8, names, n); /* ByteAcc, NoLock, Preserve */
}

void aml_dword_fields(struct aml *a, const char *region, const char *const *names, unsigned n)
{
    aml_fields(a, region, 0x43, 32, names, n); /* DWordAcc, NoLock, WriteAsZeros */
}

void aml_dword_field_op(struct aml *a, enum aml_op source, u64 off, const char *path)
{
    aml_byte(a, 0x8a);
    aml_op(a, source);
    aml_int(a, off);
    aml_path(a, path);
}

void aml_dword_field_path(struct aml *a, const char *source, u64 off, const char *path)
{
    aml_byte(a, 0x8a);
    aml_path(a, source);
    aml_int(a, off);
    aml_path(a, path);
}

/* -- resource descriptors ----------------------------------------------------------------------------------------- */

void aml_resources(struct aml *a)
{
    aml_byte(a, 0x11); /* Buffer; its length and size are put in front at the end */
    aml_open(a);
}

void aml_resources_end(struct aml *a)
{
    u32 at = a->open[a->depth - 1];
    u8 size[3] = { 0x0b };

    aml_bytes(a, 0x79, 2); /* end tag; a checksum of 0 is always right */
    st16(size + 1, a->out->len - at);
    aml_insert(a, at, size, sizeof(size));
    aml_end(a);
}

void aml_res_io(struct aml *a, u16 base, u8 len)
{
    aml_byte(a, 0x47);
    aml_byte(a, 1); /* decodes 16 bits */
    aml_bytes(a, base, 2);
    aml_bytes(a, base, 2);
    aml_byte(a, 1);
    aml_byte(a, len);
}

void aml_res_irq(struct aml *a, u8 irq)
{
    aml_byte(a, 0x22); /* edge, active high, exclusive */
    aml_bytes(a, BIT(irq), 2);
}

void aml_res_dma(struct aml *a, u8 channel)
{
    aml_byte(a, 0x2a);
    aml_bytes(a, BIT(channel), 1);
    aml_byte(a, 0); /* compatibility mode, 8 bits, no bus master */
}

void aml_res_mem32(struct aml *a, u32 base, u32 len, bool writable)
{
    aml_byte(a, 0x86);
    aml_bytes(a, 9, 2);
    aml_byte(a, writable);
    aml_bytes(a, base, 4);
    aml_bytes(a, len, 4);
}

void aml_res_interrupt(struct aml *a, const u32 *irqs, unsigned n)
{
    aml_byte(a, 0x89);
    aml_bytes(a, 2 + 4 * n, 2);
    aml_byte(a, 0x09); /* consumer, level, active high, shared */
    aml_byte(a, n);
    for (unsigned i = 0; i < n; i++)
        aml_bytes(a, irqs[i], 4);
}

/* A Word, DWord or QWord address space descriptor for a producer with fixed ends. width: bytes of each field. */
static void aml_res_window(struct aml *a, u8 tag, unsigned width, u8 type, u8 type_flags, u64 first, u64 last)
{
    aml_byte(a, tag);
    aml_bytes(a, 3 + 5 * width, 2);
    aml_byte(a, type);
    aml_byte(a, 0x0c); /* producer, positive decode, min and max fixed */
    aml_byte(a, type_flags);
    aml_bytes(a, 0, width); /* granularity */
    aml_bytes(a, first, width);
    aml_bytes(a, last, width);
    aml_bytes(a, 0, width); /* translation */
    aml_bytes(a, last - first + 1, width);
}

void aml_res_bus_window(struct aml *a, u16 first, u16 last)
{
    aml_res_window(a, 0x88, 2, 2, 0, first, last);
}

void aml_res_io_window(struct aml *a, u16 first, u16 last)
{
    aml_res_window(a, 0x88, 2, 1, 3 /* entire range */, first, last);
}

void aml_res_mem_window(struct aml *a, u32 first, u32 last, bool cacheable)
{
    aml_res_window(a, 0x87, 4, 0, 1 | (cacheable ? 2 : 0), first, last);
}

void aml_res_mem64_window(struct aml *a, u64 first, u64 last)
{
    aml_res_window(a, 0x8a, 8, 0, 3 /* writable, cacheable */, first, last);
}
