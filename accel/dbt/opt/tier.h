/* The optimising tier (libgccjit): which loops are hot, what becomes of them. Called by the run loop on vCPU threads; everything it owns is guarded by
 * the code lock. */
#ifndef ACCEL_DBT_OPT_TIER_H
#define ACCEL_DBT_OPT_TIER_H
#include <glib.h>
#include "accel/dbt/dbt.h"
#include "accel/dbt/opt/protocol.h"

struct opt_tier;

/* NULL: this build or host has no optimiser. force: everything that loops counts as hot, and vCPUs wait for the worker. */
struct opt_tier *opt_new(struct dbt *d, bool force);
void opt_free(struct opt_tier *t);
/* Emitted code was left with `ret`, for the loop at c->rip or out of a region; flushes: d->st.flushes then. No lock held. */
void opt_sample(struct vcpu *v, u64 ret, u64 flushes);
void opt_info(const struct opt_tier *t, GString *out);

/* What a region is made of, form.c. */
struct opt_job {
    struct opt_region *r;
    struct tb *head;                      /* good while st.flushes is what it was */
    struct tb *tb[REGION_BLOCKS_MAX];     /* all of it */
    unsigned n;
    u64 flushes;
};
/* Makes the region of the loop at head, which is the block for c->rip; NULL: it is none, or (not with force) nothing would be gained. Code lock. */
struct opt_job *opt_form(struct vcpu *v, struct tb *head, bool force);
void opt_job_free(struct opt_job *j);

#endif
