/* The instruction oracle: random instances of every row of the instruction table, executed natively and by one of our engines. Used by
 * tests/cpu/oracle and tests/accel/dbt, one thread. */
#ifndef TESTS_LIB_ORACLE_H
#define TESTS_LIB_ORACLE_H
#include "cpu/ir/interp.h"
#include "cpu/lift/lift.h"
#include "tests/lib/fake_cpu.h"
#include "tests/lib/host_insn.h"
#include "tests/lib/insn_gen.h"

struct oracle {
    struct host_insn *host;
    struct fake_cpu *f;
    struct ir_block *block;
    struct insn_gen gen;
    u8 image[HI_DATA_SIZE];
    unsigned bits;
    u64 pc, data_base;     /* offset of the instruction in CS; base of the data segments */
    void (*step)(struct oracle *o); /* the engine: executes the instruction at pc on f->c; exceptions leave by cpu_unwind */
    unsigned printed;      /* differences printed so far */
};
struct oracle_count {
    unsigned ok, fault, bad, skip, lost;
};

/* bits: 64, 32 (flat segments) or 16 (segments with bases and limits), protected mode at CPL 3. False: the host does not let us. */
bool oracle_init(struct oracle *o, unsigned bits, void (*step)(struct oracle *o));
void oracle_fini(struct oracle *o);
/* Lifts the instruction at pc into o->block. */
void oracle_lift(struct oracle *o);
/* The tests: every row; what is undefined. */
void oracle_rows(struct oracle *o);
void oracle_undefined(struct oracle *o);

/* --- parts of oracle_rows --- */
/* Fills in up to n cases of a row with random instances and states; returns how many. */
unsigned oracle_cases(struct oracle *o, const struct insn_row *r, struct hi_case *cases, struct insn *insns, unsigned n);
/* Compares what the row defines and counts; prints the first differences. */
void oracle_compare(struct oracle *o, const struct insn_row *r, const struct insn *in, const struct hi_case *host, const struct hi_case *ours,
                    struct oracle_count *count);

#endif
