/* Comparison of emitted code with the interpreter, block by block; see verify.c. vCPU thread. */
#ifndef ACCEL_DBT_VERIFY_H
#define ACCEL_DBT_VERIFY_H
#include "accel/dbt/dbt.h"

struct verify;
struct verify *verify_new(void); /* NULL: no memory */
void verify_free(struct verify *f);
/* Before tb is entered at c->rip: executes it by the interpreter and takes everything back. */
void verify_before(struct vcpu *v, struct verify *f, const struct tb *tb);
/* After it was left, with the vector of the exception that it raised or -1: compares; a difference is reported and ends the run with status 1. */
void verify_after(struct vcpu *v, struct verify *f, int fault);
/* The block handed an instruction to the interpreter: nothing to compare. */
void verify_cancel(struct verify *f);
void verify_info(const struct verify *f, GString *out);

#endif
