/* A CPU with memory but without engine or machine, for tests of cpu/: 2 MiB of RAM, one device page, ports that are written down, and
 * a place for exceptions to land. Each test thread makes its own CPU; they may share RAM. */
#ifndef TESTS_LIB_FAKE_CPU_H
#define TESTS_LIB_FAKE_CPU_H
#include "cpu/cpu.h"

#define FAKE_RAM_SIZE (2 * MiB)
#define FAKE_DEV_BASE 0x180000ull /* one page: reads give the low address bits, accesses are counted */
#define FAKE_PT 0x4000ull         /* page table that maps linear 0 .. 2 MiB when paging is on */
#define FAKE_PORTS 64

struct fake_cpu {
    struct cpu *c;
    u8 *ram;
    struct fake_board *board;
    unsigned n_port;
    struct fake_port { bool write; u16 port; u8 size; u64 val; } port[FAKE_PORTS];
    int unwound;             /* why the last fake_cpu_try landed (enum cpu_unwind); 0 if it returned */
    u64 port_value;          /* what the next port read gives; incremented by each */
    unsigned string_max;     /* elements that ports move at once; 0: no strings */
    unsigned strings;        /* how often they did */
    u64 random;
    unsigned pauses;
};

/* bits 64: long mode, 4-level paging identity-maps all RAM for user and kernel; 32: flat protected mode without paging; 16: real
 * mode with all segments at base 0. CPL 0. share: NULL, or a CPU whose RAM is used too. */
struct fake_cpu *fake_cpu_new(unsigned bits, struct fake_cpu *share);
void fake_cpu_free(struct fake_cpu *f); /* those that share before the one that owns */
/* Sets the page-table entry of linear address a to a | flags and flushes. */
void fake_cpu_map(struct fake_cpu *f, gla_t a, u64 flags);
/* Marks the RAM page at a as holding translated code; counts writes to it. */
void fake_cpu_code(struct fake_cpu *f, gpa_t a, bool on);
unsigned fake_cpu_code_writes(const struct fake_cpu *f);
u64 fake_cpu_code_bytes(const struct fake_cpu *f); /* of all of them */
unsigned fake_cpu_dev_reads(const struct fake_cpu *f);
unsigned fake_cpu_dev_writes(const struct fake_cpu *f);
/* Runs fn; returns -1 if it returned, else the vector of the exception (f->c->fault has the rest). */
int fake_cpu_try(struct fake_cpu *f, void (*fn)(struct cpu *c, void *opaque), void *opaque);

#endif
