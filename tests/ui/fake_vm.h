/* A VM without engine or machine for tests of ui/: it implements the vm_* calls of accel/accel.h on plain memory and records
 * what was asked. Used by one test thread. */
#ifndef TESTS_UI_FAKE_VM_H
#define TESTS_UI_FAKE_VM_H
#include "accel/accel.h"
#include "hw/core/machine.h"
#include "ui/ui.h"

#define FAKE_MEM 0x20000 /* linear addresses 0.. that exist */

struct vm {
    struct ui ui;
    struct machine machine;
    struct machine *built; /* shown instead of the empty one above, if the test sets it */
    struct accel_config config;
    struct cpu *cpu[4];
    unsigned cpus;
    enum vm_state state;
    u8 mem[FAKE_MEM];
    unsigned conts, stops, steps, step_cpu, resets, nmis, bp_clears, regs_changes;
    struct {
        enum bp_kind kind;
        u64 addr, len;
    } bp[16];
    unsigned n_bp;
    void (*listener)(void *opaque, const struct vm_stop_info *i);
    void *listener_opaque;
    bool quit;
    int quit_status;
};

struct vm *fake_vm_new(unsigned cpus);
void fake_vm_free(struct vm *vm);
/* The guest stops by itself. */
void fake_vm_stop(struct vm *vm, const struct vm_stop_info *i);

#endif
