/* ACPI tables after linking: signatures, lengths, checksums, pointers; the linker script's form; AML encodings. */
#include <glib.h>
#include <unistd.h>
#include "hw/machine/acpi.h"
#include "hw/machine/aml.h"

#define TABLES 0x7fff0000u
#define RSDP 0xf5000u

static struct acpi_tables *build(unsigned cpus)
{
    struct acpi_config c = { .cpus = cpus, .pci_mem_start = 0xc0000000, .pm_base = 0x600, .com = { true, false, true },
                             .hpet = true, .hotplug_slots = 0xfffffff8, .pvpanic_port = 0x505,
                             .virtio_mmio = { { 0xfed40000, 16 }, { 0xfed41000, 17 } }, .n_virtio_mmio = 2 };
    return acpi_build(&c);
}

static struct acpi_tables *build_q35(u64 ecam)
{
    struct acpi_config c = { .cpus = 3, .pci_mem_start = 0x80000000, .pm_base = 0x600, .com = { true }, .hpet = true, .q35 = true,
                             .ecam = ecam, .ecam_size = 256 * MiB, .pci64_start = 5 * GiB, .pci64_end = 512 * GiB };
    return acpi_build(&c);
}

static u8 sum(const u8 *p, u32 n)
{
    u8 s = 0;
    while (n--)
        s += *p++;
    return s;
}

/* The table at a guest address, checked. */
static const u8 *table(const struct acpi_tables *t, u64 gpa, const char *sig)
{
    g_assert_cmphex(gpa, >=, TABLES);
    g_assert_cmphex(gpa, <, TABLES + t->tables->len);
    const u8 *p = t->tables->data + (gpa - TABLES);
    g_assert_cmpint(memcmp(p, sig, 4), ==, 0);
    g_assert_cmphex(gpa - TABLES + ld32(p + 4), <=, t->tables->len);
    if (strcmp(sig, "FACS"))
        g_assert_cmphex(sum(p, ld32(p + 4)), ==, 0);
    return p;
}

static void test_tables(void)
{
    static const char *const sigs[] = { "FACP", "APIC", "HPET" };
    struct acpi_tables *t = build(4);
    acpi_link(t, TABLES, RSDP);
    const u8 *r = t->rsdp->data;
    g_assert_cmpint(memcmp(r, "RSD PTR ", 8), ==, 0);
    g_assert_cmphex(sum(r, 20), ==, 0);
    g_assert_cmphex(sum(r, 36), ==, 0);
    const u8 *rsdt = table(t, ld32(r + 16), "RSDT"), *xsdt = table(t, ld64(r + 24), "XSDT");
    g_assert_cmpuint(ld32(rsdt + 4), ==, 36 + 3 * 4);
    g_assert_cmpuint(ld32(xsdt + 4), ==, 36 + 3 * 8);
    for (unsigned i = 0; i < 3; i++)
        g_assert_true(table(t, ld32(rsdt + 36 + 4 * i), sigs[i]) == table(t, ld64(xsdt + 36 + 8 * i), sigs[i]));
    const u8 *fadt = table(t, ld32(rsdt + 36), "FACP");
    g_assert_cmpuint(ld32(fadt + 4), ==, 244);
    table(t, ld32(fadt + 40), "DSDT");
    g_assert_cmphex(ld32(fadt + 40), ==, ld64(fadt + 140));
    table(t, ld32(fadt + 36), "FACS");
    g_assert_cmphex(ld32(fadt + 36) % 64, ==, 0);
    g_assert_cmphex(ld32(fadt + 56), ==, 0x600);
    g_assert_cmphex(ld64(fadt + 120), ==, 0xcf9);
    acpi_free(t);
}

static void test_madt(void)
{
    struct acpi_tables *t = build(3);
    acpi_link(t, TABLES, RSDP);
    const u8 *rsdt = table(t, ld32(t->rsdp->data + 16), "RSDT"), *m = table(t, ld32(rsdt + 40), "APIC");
    unsigned lapics = 0, ioapics = 0, overrides = 0, nmis = 0;
    g_assert_cmphex(ld32(m + 36), ==, 0xfee00000);
    for (const u8 *p = m + 44; p < m + ld32(m + 4); p += p[1]) {
        g_assert_cmpuint(p[1], >=, 2);
        lapics += p[0] == 0 && p[3] == p[2];
        ioapics += p[0] == 1 && ld32(p + 4) == 0xfec00000;
        overrides += p[0] == 2;
        nmis += p[0] == 4;
        if (p[0] == 2 && p[3] == 0)
            g_assert_cmpuint(ld32(p + 4), ==, 2);
        if (p[0] == 2 && p[3] == 9)
            g_assert_cmphex(ld16(p + 8), ==, 0x0d);
    }
    g_assert_cmpuint(lapics, ==, 3);
    g_assert_cmpuint(ioapics, ==, 1);
    g_assert_cmpuint(overrides, ==, 5);
    g_assert_cmpuint(nmis, ==, 1);
    acpi_free(t);
}

static void test_loader(void)
{
    struct acpi_tables *t = build(1);
    unsigned count[4] = { 0 };
    g_assert_cmpuint(t->loader->len % 128, ==, 0);
    for (u32 at = 0; at < t->loader->len; at += 128) {
        const u8 *p = t->loader->data + at;
        u32 cmd = ld32(p);
        g_assert_true(cmd >= 1 && cmd <= 3);
        count[cmd]++;
        g_assert_true(!strcmp((const char *)p + 4, ACPI_TABLES_FILE) || !strcmp((const char *)p + 4, ACPI_RSDP_FILE));
        if (cmd == 2) { /* what is added to points into the tables */
            const GByteArray *f = strcmp((const char *)p + 4, ACPI_RSDP_FILE) ? t->tables : t->rsdp;
            u64 v = 0;
            g_assert_cmpuint(ld32(p + 116) + p[120], <=, f->len);
            memcpy(&v, f->data + ld32(p + 116), p[120]);
            g_assert_cmphex(v, <, t->tables->len);
        }
    }
    g_assert_cmpuint(count[1], ==, 2);
    g_assert_cmpuint(count[2], ==, 3 + 3 + 3 + 2);
    g_assert_cmpuint(count[3], ==, 6 + 2);
    acpi_free(t);
}

static void check_aml(struct aml *a, const void *bytes, u32 n)
{
    g_assert_cmpmem(a->out->data, a->out->len, bytes, n);
    g_byte_array_set_size(a->out, 0);
}

static void test_aml(void)
{
    struct aml a = { .out = g_byte_array_new() };
    aml_name_int(&a, "_ADR", 0x1234);
    check_aml(&a, "\x08_ADR\x0b\x34\x12", 8);
    aml_eisaid(&a, "PNP0A03");
    check_aml(&a, "\x0c\x41\xd0\x0a\x03", 5);
    aml_path(&a, "\\_SB.PCI0.ISA");
    check_aml(&a, "\\\x2f\x03_SB_PCI0ISA_", 15);
    aml_path(&a, "\\_SB.LNKA");
    check_aml(&a, "\\\x2e_SB_LNKA", 10);
    aml_int(&a, 1);
    aml_int(&a, 0xff);
    aml_int(&a, 0x10000);
    aml_int(&a, 0x100000000);
    check_aml(&a, "\x01\x0a\xff\x0c\x00\x00\x01\x00\x0e\x00\x00\x00\x00\x01\x00\x00\x00", 17);
    aml_device(&a, "X");
    aml_end(&a);
    check_aml(&a, "\x5b\x82\x05X___", 7);
    aml_scope(&a, "Y"); /* 4 + 59 + 1 bytes do not fit in a length of one byte */
    for (unsigned i = 0; i < 59; i++)
        aml_byte(&a, 0xa3);
    aml_end(&a);
    g_assert_cmpmem(a.out->data, 7, "\x10\x41\x04Y___", 7);
    g_byte_array_set_size(a.out, 0);
    aml_resources(&a);
    aml_res_io(&a, 0x3f8, 8);
    aml_resources_end(&a);
    check_aml(&a, "\x11\x0e\x0b\x0a\x00\x47\x01\xf8\x03\xf8\x03\x01\x08\x79\x00", 15);
    g_byte_array_unref(a.out);
}

static void test_q35(void)
{
    struct acpi_tables *t = build_q35(0xb0000000), *moved = build_q35(0xe0000000);
    g_assert_cmpuint(t->tables->len, ==, moved->tables->len);
    acpi_link(t, TABLES, RSDP);
    const u8 *rsdt = table(t, ld32(t->rsdp->data + 16), "RSDT"), *mcfg = table(t, ld32(rsdt + 36 + 12), "MCFG");
    g_assert_cmpuint(ld32(mcfg + 4), ==, 60);
    g_assert_cmphex(ld64(mcfg + 44), ==, 0xb0000000);
    g_assert_cmphex(ld32(mcfg + 52), ==, 0xff000000); /* segment 0, buses 0 to 255 */
    const u8 *fadt = table(t, ld32(rsdt + 36), "FACP");
    g_assert_cmphex(ld32(fadt + 80), ==, 0x620);
    g_assert_cmpuint(fadt[92], ==, 16);
    acpi_free(t);
    acpi_free(moved);
}

static void test_dmar(void)
{
    static const struct { bool intremap, opt_out; u8 flags; } cases[] = { { false, false, 0 }, { true, false, 1 }, { true, true, 3 } };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct acpi_config c = { .cpus = 1, .pci_mem_start = 0x80000000, .pm_base = 0x600, .hpet = i > 0, .q35 = true, .ecam = 0xb0000000,
                                 .ecam_size = 256 * MiB, .iommu = 0xfed90000, .iommu_bits = 48, .intremap = cases[i].intremap,
                                 .x2apic_opt_out = cases[i].opt_out };
        struct acpi_tables *t = acpi_build(&c);
        acpi_link(t, TABLES, RSDP);
        const u8 *rsdt = table(t, ld32(t->rsdp->data + 16), "RSDT"), *d = table(t, ld32(rsdt + ld32(rsdt + 4) - 4), "DMAR");
        unsigned scopes = c.hpet ? 2 : 1;
        g_assert_cmpuint(d[36], ==, 47);
        g_assert_cmphex(d[37], ==, cases[i].flags);
        g_assert_cmpuint(ld32(d + 4), ==, 48 + 16 + 8 * scopes);
        g_assert_cmpmem(d + 48, 8, ((u8[]){ 0, 0, 16 + 8 * scopes, 0, 1, 0, 0, 0 }), 8); /* DRHD, INCLUDE_PCI_ALL */
        g_assert_cmphex(ld64(d + 56), ==, 0xfed90000);
        g_assert_cmpmem(d + 64, 8, "\x03\x08\0\0\0\xf0\x1f\0", 8);
        if (c.hpet)
            g_assert_cmpmem(d + 72, 8, "\x04\x08\0\0\0\xf0\x0f\0", 8);
        acpi_free(t);
    }
}

/* Intel's compiler takes back what it disassembles, without an error. */
static void check_iasl(struct acpi_tables *t)
{
    char *dir = g_dir_make_tmp("gemel-acpi-XXXXXX", NULL), *dsl = g_build_filename(dir, "dsdt.dsl", NULL),
         *aml = g_build_filename(dir, "dsdt.aml", NULL);
    char *const disassemble[] = { (char *)"iasl", (char *)"-d", aml, NULL }, *const compile[] = { (char *)"iasl", (char *)"-f", dsl, NULL };
    char *out = NULL, *err = NULL;
    int status;

    acpi_link(t, TABLES, RSDP);
    const u8 *fadt = table(t, ld32(table(t, ld32(t->rsdp->data + 16), "RSDT") + 36), "FACP");
    const u8 *dsdt = table(t, ld32(fadt + 40), "DSDT");
    g_assert_true(g_file_set_contents(aml, (const char *)dsdt, ld32(dsdt + 4), NULL));
    g_assert_true(g_spawn_sync(NULL, (char **)disassemble, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                               NULL, NULL, NULL, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    g_assert_true(g_spawn_sync(NULL, (char **)compile, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, NULL));
    if (status || !strstr(out, " 0 Errors"))
        g_error("iasl: %s%s", out, err);
    unlink(dsl);
    unlink(aml);
    rmdir(dir);
    g_free(out);
    g_free(err);
    g_free(dir);
    g_free(dsl);
    g_free(aml);
}

static void test_iasl(void)
{
    struct acpi_tables *pc = build(2), *q35 = build_q35(0xb0000000);
    char *iasl = g_find_program_in_path("iasl");

    if (iasl) {
        check_iasl(pc);
        check_iasl(q35);
    } else {
        g_test_skip("there is no iasl (package acpica-tools)");
    }
    g_free(iasl);
    acpi_free(pc);
    acpi_free(q35);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi/tables", test_tables);
    g_test_add_func("/acpi/madt", test_madt);
    g_test_add_func("/acpi/loader", test_loader);
    g_test_add_func("/acpi/aml", test_aml);
    g_test_add_func("/acpi/q35", test_q35);
    g_test_add_func("/acpi/dmar", test_dmar);
    g_test_add_func("/acpi/iasl", test_iasl);
    return g_test_run();
}
