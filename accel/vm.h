/* A whole VM for the engine's side: vCPUs, run state, breakpoints. Owner: the main thread; vm->lock guards run state. */
#ifndef ACCEL_VM_H
#define ACCEL_VM_H
#include <glib.h>
#include "accel/accel.h"
#include "accel/vcpu.h"
#include "hw/core/machine.h"

struct vm_bp {
    enum bp_kind kind;
    u64 addr, len;
};
#define VM_BP_MAX 256
#define VM_LISTENERS_MAX 8

struct vm {
    struct machine *m;
    const struct accel_ops *ops;
    void *engine;              /* the engine's own state */
    char *accel_opts;
    struct accel_config cfg;
    struct cpu_model *model;
    unsigned n_cpus;
    struct vcpu *cpu[64];
    struct lock lock;          /* RANK_VM: run state */
    enum vm_state state;
    bool running;              /* [atomic] vCPUs may run guest code */
    bool started;
    bool ran;                  /* was continued once: it is not "prelaunch" any more */
    enum machine_request deferred; /* asked for just when the VM was stopped: carried out by vm_cont */
    int deferred_code;
    /* breakpoints: changed by the main thread while stopped; read by vCPUs while running */
    struct vm_bp bp[VM_BP_MAX];
    unsigned n_bp, n_watch;
    /* exclusive sections */
    pthread_mutex_t excl_mutex;
    pthread_cond_t excl_cond;
    bool excl;                 /* [atomic] */
    pthread_t excl_owner;
    unsigned excl_depth;
    struct {
        void (*fn)(void *opaque, const struct vm_stop_info *i);
        void *opaque;
    } listener[VM_LISTENERS_MAX];
    unsigned n_listeners;
    void (*exit_fn)(void *opaque, int status);
    void *exit_opaque;
};

/* A vCPU met a breakpoint, watchpoint or finished a step: stops the VM (state VM_DEBUG). vCPU thread; returns at once, the vCPU then
 * leaves its run function. */
void vm_debug_stop(struct vm *vm, struct vcpu *v, const struct vm_stop_info *info);
/* True if a breakpoint of the debugger is set at this linear address. */
bool vm_bp_at(const struct vm *vm, u64 linear);
/* True if the debugger watches something in this linear page. */
bool vm_page_watched(const struct vm *vm, u64 page);
/* Stops with that state and tells the listeners; info NULL: nothing but the state. Main thread. */
void vm_stop_as(struct vm *vm, enum vm_state s, const struct vm_stop_info *info);
/* Goes on after a request of the guest that changed nothing the listeners know of. Main thread. */
void vm_resume_silently(struct vm *vm);
/* System reset; guest: the guest asked for it. reason: QMP's ShutdownCause. Main thread. */
void vm_reset_as(struct vm *vm, bool guest, const char *reason);
/* ACPI S3. Main thread. */
void vm_suspend(struct vm *vm);
/* Guest-chosen end of the run or reset; the machine's request callback. Any thread. */
void vm_request(struct machine *m, enum machine_request r, int code);
/* Device registers or firmware changed what addresses mean: every vCPU drops its translations at its next boundary. Any thread. */
void vm_mem_changed(struct vm *vm);

#endif
