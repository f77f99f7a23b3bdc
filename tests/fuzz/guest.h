/* What the generator of random guests (guest_gen.c) and the loader that starts them (loader.S) agree on: a module of FUZZ_RECORDS records, one of
 * which is run after each reset. Read by the C compiler and, for the offsets, by the assembler. */
#ifndef TESTS_FUZZ_GUEST_H
#define TESTS_FUZZ_GUEST_H

#define FUZZ_RECORDS 16      /* a power of two */
#define FUZZ_RECORD_SIZE 0x12000
#define FUZZ_CMOS 0x5f       /* byte of the battery-backed memory that counts the resets */
#define FUZZ_COPIES 4
#define FUZZ_MSRS 8

/* Offsets in a record. */
#define FR_CR0 0
#define FR_CR3 4
#define FR_CR4 8
#define FR_EFER 12
#define FR_ENTRY 16          /* FUZZ_ENTRY_* */
#define FR_AP 20             /* not 0: the second CPU runs the next record */
#define FR_LDTR 24
#define FR_TR 28
#define FR_GDTR 32           /* limit (2), base (8) */
#define FR_IDTR 48
#define FR_DR7 64
#define FR_DR 68             /* 4 * 4 */
#define FR_SEGS 84           /* ES, DS, FS, GS: 2 each */
#define FR_FRAME 96          /* IP, CS, flags, SP, SS, ES, DS, FS, GS: 8 each */
#define FR_GPR 168           /* EDI ESI EBP - EBX EDX ECX EAX as POPA takes them: 4 each */
#define FR_MSR 200           /* number (0: none), low, high: 12 each */
#define FR_COPY 296          /* destination, source in the record, bytes: 12 each */
#define FR_DATA 512

/* Where a record's memory is; all of it is below 1 MiB, and the code is within a real mode segment. */
#define FUZZ_CODE 0x10000
#define FUZZ_CODE_SIZE 0x4000
#define FUZZ_DATA 0x20000
#define FUZZ_DATA_SIZE 0x2000
#define FUZZ_GDT 0x30000
#define FUZZ_LDT 0x30200
#define FUZZ_IDT 0x31000
#define FUZZ_TSS 0x32000
#define FUZZ_TSS2 0x32800
#define FUZZ_TABLES_SIZE 0x3000
#define FUZZ_PAGES 0x40000
#define FUZZ_PAGES_SIZE 0x8000

#define FUZZ_ENTRY_32 0      /* IRETD: protected mode and VM86 */
#define FUZZ_ENTRY_64 1      /* IRETQ */
#define FUZZ_ENTRY_16 2      /* real mode */

#ifndef __ASSEMBLER__
#include "tests/lib/insn_gen.h"

struct fuzz_record {
    u32 cr0, cr3, cr4, efer, entry, ap, ldtr, tr;
    u8 gdtr[16], idtr[16];
    u32 dr7, dr[4];
    u16 segs[6];
    u64 frame[9];
    u32 gpr[8];
    u32 msr[FUZZ_MSRS][3];
    u32 copy[FUZZ_COPIES][3];
    u8 pad[FR_DATA - FR_COPY - 12 * FUZZ_COPIES];
    u8 data[FUZZ_RECORD_SIZE - FR_DATA];
};
_Static_assert(offsetof(struct fuzz_record, data) == FR_DATA && offsetof(struct fuzz_record, frame) == FR_FRAME, "offsets");
_Static_assert(offsetof(struct fuzz_record, copy) == FR_COPY && offsetof(struct fuzz_record, dr7) == FR_DR7, "offsets");

/* Fills a record with a random guest in a random mode. */
void fuzz_record_fill(struct fuzz_record *r, struct insn_gen *g);
/* Random code of `len` bytes for g->bits: instructions of the table, stray bytes, and sequences that reach into devices and system state. */
void fuzz_code_fill(u8 *code, unsigned len, struct insn_gen *g);
#endif
#endif
