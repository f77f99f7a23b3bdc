/* CPU models and features: what CPUID says, and which features the decoder and helpers offer. Built at start-up by the main thread from
 * -cpu; constant afterwards. Source: SDM vol. 2 CPUID; AMD APM vol. 3 appendix E. */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H
#include "cpu/cpu.h"
#include "util/err.h"

enum cpu_feature {
    FEAT_NONE,
#define X(NAME, name, leaf, subleaf, reg, bit, how) FEAT_##NAME,
#include "cpu/cpuid.def"
#undef X
    FEAT_COUNT
};
#define FEAT_WORDS ((FEAT_COUNT + 63) / 64)

struct cpu_model {
    char name[32];
    u64 feat[FEAT_WORDS];   /* enabled features; FEAT_NONE's bit is set */
    u32 family, model, stepping, level, xlevel;
    char vendor[13], brand[49];
    u8 phys_bits, virt_bits;
    bool kvm_leaves, hypervisor;
    bool pmu;               /* performance counters: cpu/pmu.h */
    u32 tsc_khz;
    unsigned cpus, cores, threads; /* topology */
};
static inline bool feat_on(const struct cpu_model *m, unsigned f) { return m->feat[f / 64] >> (f % 64) & 1; }

/* spec: "max,+avx2,-x2apic,kvm=off,model=..", NULL for the default. Features that the host cannot execute are never offered: asking for one
 * with + (or enforce) is an error, as part of a named model it is dropped with a warning like QEMU's. */
struct cpu_model *cpu_model_new(const char *spec, unsigned cpus, unsigned cores, unsigned threads, struct err *e);
void cpu_model_free(struct cpu_model *m);
const char *cpu_model_name_nth(unsigned i, const char **desc); /* for -cpu help */
const char *cpu_feature_name_nth(unsigned i);
struct cpu_model_def { /* a row of cpu/models.c */
    const char *name, *desc, *parent;   /* parent: the model whose features it has too */
    const char *vendor;
    u16 family, model, stepping;
    u32 level, xlevel;
    const char *brand;
    const char *features, *without;     /* names, blank-separated; without: of the parent's. "*": all that can be executed */
};
const struct cpu_model_def *cpu_model_def_nth(unsigned i); /* NULL past the last */
const struct cpu_model_def *cpu_model_def_find(const char *name); /* also "NAME-vN" */

/* CPUID.1:EAX; also EDX after reset. */
u32 cpuid_signature(const struct cpu_model *m);
/* The bits that XSETBV may set. */
u64 cpuid_xcr0(const struct cpu_model *m);
bool cpuid_is_amd(const struct cpu_model *m);
/* ORs the model's feature bits of one leaf into out (EAX EBX ECX EDX). */
void cpuid_feature_word(const struct cpu_model *m, u32 leaf, u32 subleaf, u32 out[4]);
/* The leaves as the guest sees them (APIC id, OSXSAVE, XSAVE sizes filled in from c). */
void cpuid_query(struct cpu *c, u32 leaf, u32 subleaf, u32 out[4]);

#endif
