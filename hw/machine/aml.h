/* Builds ACPI Machine Language in the order it is read: AML is prefix notation, so a table is written top to bottom with
 * one call a token; constructs with a package length are opened by one call and closed by aml_end(). Used by
 * hw/machine/acpi_dsdt.c on the main thread. ACPI 6.4, chapter 20. */
#ifndef HW_MACHINE_AML_H
#define HW_MACHINE_AML_H
#include <glib.h>
#include "util/base.h"

#define AML_NESTING 16

struct aml {
    GByteArray *out;
    u32 open[AML_NESTING]; /* where the bodies of the open constructs start */
    unsigned depth;
};

enum aml_op {
    AML_STORE = 0x70, AML_AND = 0x7b, AML_OR = 0x7d, AML_NOTIFY = 0x86, AML_LNOT = 0x92, AML_LEQUAL = 0x93,
    AML_LLESS = 0x95, AML_RETURN = 0xa4, AML_NULL_NAME = 0x00, AML_ARG0 = 0x68, AML_ARG1 = 0x69, AML_ARG3 = 0x6b,
    AML_LOCAL0 = 0x60,
};
enum aml_space { AML_SYSTEM_IO = 1, AML_PCI_CONFIG = 2 };

void aml_byte(struct aml *a, u8 v);
/* A NameString: "\\_SB.PCI0.ISA", "^X", "_HID"; segments are padded with '_'. */
void aml_path(struct aml *a, const char *path);
void aml_int(struct aml *a, u64 v);
void aml_string(struct aml *a, const char *s);
/* Buffer() { bytes }. */
void aml_buffer(struct aml *a, const u8 *bytes, u8 n);
/* "PNP0A03" compressed to an integer. */
void aml_eisaid(struct aml *a, const char *id);
/* A one-byte operator; its operands follow. */
void aml_op(struct aml *a, enum aml_op op);

/* Name(path, X): X follows. The others give X too. */
void aml_name(struct aml *a, const char *path);
void aml_name_int(struct aml *a, const char *path, u64 v);
void aml_name_eisaid(struct aml *a, const char *path, const char *id);

/* Opened here, closed by aml_end(). */
void aml_scope(struct aml *a, const char *path);
void aml_device(struct aml *a, const char *path);
void aml_processor(struct aml *a, const char *path, u8 id);
void aml_method(struct aml *a, const char *path, u8 args, bool serialized);
void aml_if(struct aml *a); /* the predicate follows, then the body */
void aml_else(struct aml *a); /* right behind an If's end */
void aml_package(struct aml *a, u8 elements);
void aml_end(struct aml *a);

void aml_op_region(struct aml *a, const char *path, enum aml_space space, u64 off, u64 len);
/* Field(region, ByteAcc, NoLock, Preserve) of n consecutive bytes named names[0..n); NULL: a byte without a name. */
void aml_byte_fields(struct aml *a, const char *region, const char *const *names, unsigned n);
/* The same with DWordAcc and dwords. */
void aml_dword_fields(struct aml *a, const char *region, const char *const *names, unsigned n);
/* CreateDWordField(source, off, name); source is the operand op. */
void aml_dword_field_op(struct aml *a, enum aml_op source, u64 off, const char *path);
void aml_dword_field_path(struct aml *a, const char *source, u64 off, const char *path);

/* ResourceTemplate() { ... }: closed by aml_resources_end(). */
void aml_resources(struct aml *a);
void aml_resources_end(struct aml *a);
void aml_res_io(struct aml *a, u16 base, u8 len);
void aml_res_irq(struct aml *a, u8 irq);
void aml_res_dma(struct aml *a, u8 channel);
void aml_res_mem32(struct aml *a, u32 base, u32 len, bool writable);
/* Interrupt(ResourceConsumer, Level, ActiveHigh, Shared) { irqs }. */
void aml_res_interrupt(struct aml *a, const u32 *irqs, unsigned n);
/* Windows of a bridge; ends inclusive. */
void aml_res_bus_window(struct aml *a, u16 first, u16 last);
void aml_res_io_window(struct aml *a, u16 first, u16 last);
void aml_res_mem_window(struct aml *a, u32 first, u32 last, bool cacheable);
void aml_res_mem64_window(struct aml *a, u64 first, u64 last);

#endif
