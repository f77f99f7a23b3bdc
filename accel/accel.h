/* The contract between the rest of Gemel and an engine that runs vCPUs; and, for ui/, the calls on a whole VM: run, stop,
 * step, breakpoints, register and memory access by virtual address. Source: docs/threads.md for who may call what. */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H
#include "cpu/cpu.h"
#include "util/err.h"

struct vm;
struct machine;
struct cpu_model;
struct _GString;

/* --- a VM as the main thread, monitor and gdb server see it (accel/vm.c). Main thread, machine lock not held. --- */
struct accel_config {
    const char *accel;      /* "dbt,interp=on,verify=on,one-insn-per-tb=on,tb-size=N" as given; NULL: default */
    const char *cpu;        /* "max,+avx2,-x2apic"; NULL: default */
    unsigned cpus, cores, threads; /* -smp: cores a package, threads a core (each at least 1) */
    bool start_stopped;     /* -S */
    bool no_reboot, no_shutdown;
    bool perfmap;           /* names emitted code for perf(1) */
    enum panic_action { PANIC_SHUTDOWN, PANIC_PAUSE, PANIC_NONE, PANIC_EXIT_FAILURE } panic_action;
    enum watchdog_action {
        WATCHDOG_RESET, WATCHDOG_SHUTDOWN, WATCHDOG_POWEROFF, WATCHDOG_PAUSE, WATCHDOG_DEBUG, WATCHDOG_NONE, WATCHDOG_INJECT_NMI
    } watchdog_action;
};
/* QMP's words for them, by value; NULL at the end. */
extern const char *const panic_action_words[], *const watchdog_action_words[];


/* Splits and checks -accel/-machine accel= lists ("kvm:tcg"): picks the first that works. Prints nothing. */
struct vm *vm_new(const struct accel_config *cfg, struct err *e);
/* vm's machine gets its cpu_pins etc. before machine_build(); then vm_start creates the vCPU threads. */
void vm_attach_machine(struct vm *vm, struct machine *m);
int vm_start(struct vm *vm, struct err *e);
void vm_free(struct vm *vm); /* stops and joins all threads */

enum vm_state {
    VM_RUNNING, VM_PAUSED, VM_DEBUG /* stopped for the debugger */, VM_SHUTDOWN, VM_INTERNAL_ERROR,
    VM_IO_ERROR /* a disk's werror= or rerror= said stop */, VM_PANICKED, VM_WATCHDOG,
};
enum vm_state vm_state(struct vm *vm);
const char *vm_state_name(struct vm *vm); /* QMP's RunState names: "running", "paused", "prelaunch", "debug", "shutdown" */
void vm_cont(struct vm *vm);
void vm_stop(struct vm *vm);        /* returns when every vCPU is out of guest code */
void vm_reset(struct vm *vm);       /* system reset, keeps run state */
int vm_wakeup(struct vm *vm);       /* ends S3; -1 if the machine is not suspended */
/* What the guest's requests lead to; may be changed while it runs (set-action, watchdog-set-action). */
struct accel_config *vm_config(struct vm *vm);
void vm_inject_nmi(struct vm *vm);
unsigned vm_cpu_count(struct vm *vm);
struct cpu *vm_cpu(struct vm *vm, unsigned i); /* touch only while stopped */
int vm_cpu_tid(struct vm *vm, unsigned i);     /* the host's number of the thread, 0: not started yet */
const struct cpu_model *vm_cpu_model(struct vm *vm);
const char *vm_engine_name(struct vm *vm);     /* "dbt", "kvm" */
struct machine *vm_machine(struct vm *vm);
/* What the process should do next; called by main's loop. The exit callback runs on the main thread. */
void vm_set_exit_handler(struct vm *vm, void (*fn)(void *opaque, int status), void *opaque);
/* Called on the main thread whenever the state changes; several listeners. cpu: which vCPU stopped (VM_DEBUG) or -1. */
struct vm_stop_info {
    enum vm_state state;
    int cpu;
    enum { STOP_NONE, STOP_BREAKPOINT, STOP_STEP, STOP_WATCH_WRITE, STOP_WATCH_READ, STOP_WATCH_ACCESS } why;
    u64 watch_addr;
};
void vm_add_listener(struct vm *vm, void (*fn)(void *opaque, const struct vm_stop_info *i), void *opaque);

/* --- debugging; VM stopped --- */
enum bp_kind { BP_SW, BP_HW, BP_WATCH_WRITE, BP_WATCH_READ, BP_WATCH_ACCESS };
int vm_bp_insert(struct vm *vm, enum bp_kind kind, u64 addr, u64 len); /* 0, -EEXIST is 0, -ENOSPC */
int vm_bp_remove(struct vm *vm, enum bp_kind kind, u64 addr, u64 len); /* 0, -ENOENT */
void vm_bp_clear(struct vm *vm);
/* Runs one instruction of vCPU i (the others stay stopped), then reports STOP_STEP. */
void vm_step(struct vm *vm, unsigned i);
/* Memory by linear address through vCPU i's page tables, ignoring rights; MMIO is not touched. 0, or -1. */
int vm_mem_read(struct vm *vm, unsigned i, u64 linear, void *buf, u64 len);
int vm_mem_write(struct vm *vm, unsigned i, u64 linear, const void *buf, u64 len);
/* After registers of a stopped vCPU were changed by a debugger. */
void vm_regs_changed(struct vm *vm, unsigned i);
void vm_info_jit(struct vm *vm, struct _GString *out);

/* --- an engine --- */
struct vcpu;
struct accel_ops {
    const char *name;
    int (*init)(struct vm *vm, const char *opts, struct err *e);
    void (*fini)(struct vm *vm);
    int (*vcpu_init)(struct vcpu *v, struct err *e);
    void (*vcpu_fini)(struct vcpu *v);
    /* Runs guest code until v->cpu.exit_request or a stop. vCPU thread, no lock held. */
    void (*run)(struct vcpu *v);
    void (*info)(struct vm *vm, struct _GString *out);
    void (*breakpoints_changed)(struct vm *vm); /* VM stopped */
    /* struct cpu_platform's hooks of the same names. vCPU thread. */
    void (*mode_changed)(struct vcpu *v);
    void (*tlb_flushed)(struct vcpu *v);
};

#endif
