/* The PC's ACPI tables and the linker script that goes with them: RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET, MCFG, DMAR and the DSDT of
 * hw/machine/acpi_dsdt.c. Main thread, called by hw/machine/pc.c. ACPI 6.4, section 5.2; HPET 1.0a, section 3.2.4; PCI Firmware
 * Specification 3.2, section 4.1.2; VT-d specification, chapter 8. */
#include "hw/machine/acpi.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/timer/hpet.h"
#include "hw/timer/pm.h"

enum { ACPI_HEADER = 36, HEADER_LENGTH = 4, HEADER_CHECKSUM = 9, RSDP_SIZE = 36, FACS_SIZE = 64, FADT_SIZE = 244 };
enum { LOADER_ENTRY = 128, LOADER_FILE = 56, LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };

/* -- linker script ------------------------------------------------------------------------------------------------ */

static u8 *loader_entry(struct acpi_tables *t, u32 command)
{
    u32 at = t->loader->len;

    g_byte_array_set_size(t->loader, at + LOADER_ENTRY);
    memset(t->loader->data + at, 0, LOADER_ENTRY);
    st32(t->loader->data + at, command);
    return t->loader->data + at;
}

static void loader_allocate(struct acpi_tables *t, const char *file, u32 align, u8 zone)
{
    u8 *p = loader_entry(t, LOADER_ALLOCATE);

    strcpy((char *)p + 4, file);
    st32(p + 60, align);
    p[64] = zone;
}

/* Adds the address of the tables to the pointer at `off` of `file`. */
static void loader_pointer(struct acpi_tables *t, const char *file, u32 off, u8 size)
{
    u8 *p = loader_entry(t, LOADER_ADD_POINTER);

    strcpy((char *)p + 4, file);
    strcpy((char *)p + 60, ACPI_TABLES_FILE);
    st32(p + 116, off);
    p[120] = size;
}

static void loader_checksum(struct acpi_tables *t, const char *file, u32 off, u32 start, u32 len)
{
    u8 *p = loader_entry(t, LOADER_CHECKSUM);

    strcpy((char *)p + 4, file);
    st32(p + 60, off);
    st32(p + 64, start);
    st32(p + 68, len);
}

void acpi_link(struct acpi_tables *t, u32 tables_gpa, u32 rsdp_gpa)
{
    for (u32 at = 0; at < t->loader->len; at += LOADER_ENTRY) {
        const u8 *p = t->loader->data + at;
        u32 command = ld32(p);
        u8 *file = strcmp((const char *)p + 4, ACPI_RSDP_FILE) ? t->tables->data : t->rsdp->data;
        if (command == LOADER_ADD_POINTER) {
            u8 *ptr = file + ld32(p + 116);
            u64 v = 0;
            memcpy(&v, ptr, p[120]);
            v += tables_gpa;
            memcpy(ptr, &v, p[120]);
        } else if (command == LOADER_CHECKSUM) {
            u8 sum = 0, *field = file + ld32(p + 60);
            for (u32 i = 0; i < ld32(p + 68); i++)
                sum += file[ld32(p + 64) + i];
            *field -= sum;
        }
    }
}

/* -- tables ------------------------------------------------------------------------------------------------------- */

static u32 table_begin(struct acpi_tables *t, const char sig[4], u8 revision)
{
    u32 at = ALIGN_UP(t->tables->len, 16);
    u8 *h;

    g_byte_array_set_size(t->tables, at + ACPI_HEADER);
    h = t->tables->data + at;
    memset(h, 0, ACPI_HEADER);
    memcpy(h, sig, 4);
    h[8] = revision;
    memcpy(h + 10, "GEMEL ", 6);
    memcpy(h + 16, "GEMELPC ", 8);
    st32(h + 24, 1);
    memcpy(h + 28, "GEML", 4);
    st32(h + 32, 1);
    return at;
}

static void table_end(struct acpi_tables *t, u32 at)
{
    u32 len = t->tables->len - at;

    st32(t->tables->data + at + HEADER_LENGTH, len);
    loader_checksum(t, ACPI_TABLES_FILE, at + HEADER_CHECKSUM, at, len);
}

static void table_append(struct acpi_tables *t, const u8 *bytes, u32 n)
{
    g_byte_array_append(t->tables, bytes, n);
}

static u32 facs_build(struct acpi_tables *t)
{
    u8 b[FACS_SIZE] = "FACS";

    st32(b + 4, FACS_SIZE);
    b[32] = 1; /* version */
    table_append(t, b, sizeof(b));
    return 0;
}

static u32 dsdt_build(struct acpi_tables *t, const struct acpi_config *c)
{
    u32 at = table_begin(t, "DSDT", 1); /* 1: 32-bit integers, as the oldest guests expect */

    acpi_dsdt_build(c, t->tables);
    table_end(t, at);
    return at;
}

/* Generic address structure in system I/O space. */
static void fadt_gas(u8 *p, u8 bits, u64 port)
{
    p[0] = 1;
    p[1] = bits;
    p[3] = bits > 32 ? 1 : bits > 16 ? 3 : bits > 8 ? 2 : 1; /* access size */
    st64(p + 4, port);
}

static void fadt_pm_blocks(u8 *b, u16 pm, bool q35)
{
    u16 gpe0 = pm + (q35 ? PM_ICH9_GPE0 : PM_GPE0);
    u8 gpe0_len = q35 ? 16 : 4;

    st32(b + 56, pm + PM_PM1_EVT);
    st32(b + 64, pm + PM_PM1_CNT);
    st32(b + 76, pm + PM_TMR);
    st32(b + 80, gpe0);
    b[88] = 4;  /* PM1_EVT_LEN */
    b[89] = 2;  /* PM1_CNT_LEN */
    b[91] = 4;  /* PM_TMR_LEN */
    b[92] = gpe0_len;
    fadt_gas(b + 148, 32, pm + PM_PM1_EVT);
    fadt_gas(b + 172, 16, pm + PM_PM1_CNT);
    fadt_gas(b + 208, 32, pm + PM_TMR);
    fadt_gas(b + 220, 8 * gpe0_len, gpe0);
}

static u32 fadt_build(struct acpi_tables *t, const struct acpi_config *c, u32 facs, u32 dsdt)
{
    enum { WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON = 1 << 5, RESET_REG_SUP = 1 << 10 };
    u32 at = table_begin(t, "FACP", 3);
    u8 *b;

    g_byte_array_set_size(t->tables, at + FADT_SIZE);
    b = t->tables->data + at;
    memset(b + ACPI_HEADER, 0, FADT_SIZE - ACPI_HEADER);
    st32(b + 36, facs);
    st32(b + 40, dsdt);
    b[45] = 1;                /* preferred profile: desktop */
    st16(b + 46, 9);          /* SCI_INT */
    st32(b + 48, PM_SMI_CMD);
    b[52] = PM_ACPI_ENABLE;
    b[53] = PM_ACPI_DISABLE;
    fadt_pm_blocks(b, c->pm_base, c->q35);
    st16(b + 96, 0xfff);      /* P_LVL2_LAT, P_LVL3_LAT: no C2, no C3 */
    st16(b + 98, 0xfff);
    b[108] = 0x32;            /* CENTURY in CMOS */
    st16(b + 109, 3);         /* IAPC_BOOT_ARCH: legacy devices, 8042 */
    st32(b + 112, WBINVD | PROC_C1 | SLP_BUTTON | RESET_REG_SUP); /* the PM timer has 24 bits */
    fadt_gas(b + 116, 8, 0xcf9);
    b[128] = 0x0f;            /* RESET_VALUE: full reset */
    st64(b + 140, dsdt);
    loader_pointer(t, ACPI_TABLES_FILE, at + 36, 4);
    loader_pointer(t, ACPI_TABLES_FILE, at + 40, 4);
    loader_pointer(t, ACPI_TABLES_FILE, at + 140, 8);
    table_end(t, at);
    return at;
}

static void madt_override(struct acpi_tables *t, u8 irq, u32 gsi, u16 flags)
{
    u8 b[10] = { 2, sizeof(b), 0, irq };

    st32(b + 4, gsi);
    st16(b + 8, flags);
    table_append(t, b, sizeof(b));
}

static u32 madt_build(struct acpi_tables *t, const struct acpi_config *c)
{
    enum { LEVEL_HIGH = 0x0d };
    static const u8 level_irqs[] = { 5, 9, 10, 11 };
    u32 at = table_begin(t, "APIC", 3);
    u8 head[8], ioapic[12] = { 1, sizeof(ioapic), 0, 0 };
    const u8 nmi[6] = { 4, sizeof(nmi), 0xff /* all CPUs */, 0, 0, 1 /* LINT1 */ };

    st32(head, LAPIC_BASE);
    st32(head + 4, 1); /* PCAT_COMPAT: there are 8259s too */
    table_append(t, head, sizeof(head));
    for (unsigned i = 0; i < c->cpus; i++) {
        u8 b[8] = { 0, sizeof(b), i, i, 1 /* enabled */ };
        table_append(t, b, sizeof(b));
    }
    st32(ioapic + 4, IOAPIC_BASE);
    table_append(t, ioapic, sizeof(ioapic));
    madt_override(t, 0, 2, 0);
    for (unsigned i = 0; i < ARRAY_LEN(level_irqs); i++)
        madt_override(t, level_irqs[i], level_irqs[i], LEVEL_HIGH);
    table_append(t, nmi, sizeof(nmi));
    table_end(t, at);
    return at;
}

static u32 hpet_build(struct acpi_tables *t)
{
    u32 at = table_begin(t, "HPET", 1);
    u8 b[20] = { 0 };

    st32(b, 0x8086a201); /* low half of the capabilities register: Intel, legacy routing, 64 bits, 3 timers */
    b[5] = 64;           /* address: system memory, 64 bits */
    st64(b + 8, HPET_BASE);
    table_append(t, b, sizeof(b));
    table_end(t, at);
    return at;
}

static u32 mcfg_build(struct acpi_tables *t, const struct acpi_config *c)
{
    u32 at = table_begin(t, "MCFG", 1);
    u8 b[24] = { 0 }; /* 8 reserved bytes, then one window */

    st64(b + 8, c->ecam);
    b[19] = (c->ecam_size >> 20) - 1; /* last bus */
    table_append(t, b, sizeof(b));
    table_end(t, at);
    return at;
}

/* What reports interrupts on its own to the remapping hardware. */
static void dmar_scope(struct acpi_tables *t, u8 type, u8 id, u16 source)
{
    const u8 b[8] = { type, sizeof(b), 0, 0, id, source >> 8, source >> 3 & 31, source & 7 };

    table_append(t, b, sizeof(b));
}

/* One remapping unit for everything. */
static u32 dmar_build(struct acpi_tables *t, const struct acpi_config *c)
{
    enum { INTR_REMAP = 1, X2APIC_OPT_OUT = 2, DRHD = 0, INCLUDE_PCI_ALL = 1, SCOPE_IOAPIC = 3, SCOPE_HPET = 4, SCOPE_SIZE = 8 };
    u32 at = table_begin(t, "DMAR", 1);
    u8 head[12] = { c->iommu_bits - 1, (c->intremap ? INTR_REMAP : 0) | (c->x2apic_opt_out ? X2APIC_OPT_OUT : 0) };
    u8 drhd[16] = { DRHD, 0, 0, 0, INCLUDE_PCI_ALL };

    st16(drhd + 2, sizeof(drhd) + SCOPE_SIZE * (c->hpet ? 2 : 1));
    st64(drhd + 8, c->iommu);
    table_append(t, head, sizeof(head));
    table_append(t, drhd, sizeof(drhd));
    dmar_scope(t, SCOPE_IOAPIC, 0, MSI_SOURCE_IOAPIC);
    if (c->hpet)
        dmar_scope(t, SCOPE_HPET, 0, MSI_SOURCE_HPET);
    table_end(t, at);
    return at;
}

/* RSDT (width 4) or XSDT (width 8) that points to n tables. */
static u32 sdt_build(struct acpi_tables *t, const char sig[4], const u32 *tables, unsigned n, u8 width)
{
    u32 at = table_begin(t, sig, 1);

    for (unsigned i = 0; i < n; i++) {
        u8 b[8];
        st64(b, tables[i]);
        loader_pointer(t, ACPI_TABLES_FILE, t->tables->len, width);
        table_append(t, b, width);
    }
    table_end(t, at);
    return at;
}

static void rsdp_build(struct acpi_tables *t, u32 rsdt, u32 xsdt)
{
    u8 b[RSDP_SIZE] = "RSD PTR ";

    memcpy(b + 9, "GEMEL ", 6);
    b[15] = 2;
    st32(b + 16, rsdt);
    st32(b + 20, RSDP_SIZE);
    st64(b + 24, xsdt);
    g_byte_array_append(t->rsdp, b, sizeof(b));
    loader_pointer(t, ACPI_RSDP_FILE, 16, 4);
    loader_pointer(t, ACPI_RSDP_FILE, 24, 8);
    loader_checksum(t, ACPI_RSDP_FILE, 8, 0, 20);
    loader_checksum(t, ACPI_RSDP_FILE, 32, 0, RSDP_SIZE);
}

struct acpi_tables *acpi_build(const struct acpi_config *c)
{
    struct acpi_tables *t = g_new0(struct acpi_tables, 1);
    u32 list[5], facs, dsdt;
    unsigned n = 0;

    t->tables = g_byte_array_new();
    t->rsdp = g_byte_array_new();
    t->loader = g_byte_array_new();
    loader_allocate(t, ACPI_RSDP_FILE, 16, ZONE_FSEG);
    loader_allocate(t, ACPI_TABLES_FILE, ACPI_ALIGN, ZONE_HIGH);
    facs = facs_build(t);
    dsdt = dsdt_build(t, c);
    list[n++] = fadt_build(t, c, facs, dsdt);
    list[n++] = madt_build(t, c);
    if (c->hpet)
        list[n++] = hpet_build(t);
    if (c->q35)
        list[n++] = mcfg_build(t, c);
    if (c->iommu)
        list[n++] = dmar_build(t, c);
    u32 rsdt = sdt_build(t, "RSDT", list, n, 4);
    u32 xsdt = sdt_build(t, "XSDT", list, n, 8);
    rsdp_build(t, rsdt, xsdt);
    return t;
}

void acpi_free(struct acpi_tables *t)
{
    if (!t)
        return;
    g_byte_array_unref(t->tables);
    g_byte_array_unref(t->rsdp);
    g_byte_array_unref(t->loader);
    g_free(t);
}
