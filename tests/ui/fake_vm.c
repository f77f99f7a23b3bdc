/* The VM of fake_vm.h. One test thread. */
#include "tests/ui/fake_vm.h"
#include <glib.h>
#include "cpu/cpuid.h"

static struct cpu_model *model;

static void fake_quit(struct ui *ui, int status)
{
    struct vm *vm = container_of(ui, struct vm, ui);

    vm->quit = true;
    vm->quit_status = status;
}

struct vm *fake_vm_new(unsigned cpus)
{
    struct vm *vm = g_new0(struct vm, 1);
    struct err e;

    vm->cpus = cpus;
    vm->state = VM_RUNNING;
    for (unsigned i = 0; i < cpus; i++) {
        vm->cpu[i] = g_aligned_alloc0(1, sizeof(struct cpu), 64);
        vm->cpu[i]->index = i;
    }
    lock_init(&vm->machine.lock, "machine", RANK_MACHINE);
    if (!model) /* never changes, and takes long */
        model = cpu_model_new(NULL, cpus, 1, 1, &e);
    g_assert_nonnull(model);
    vm->ui.vm = vm;
    vm->ui.quit = fake_quit;
    return vm;
}

void fake_vm_free(struct vm *vm)
{
    for (unsigned i = 0; i < vm->cpus; i++)
        g_aligned_free(vm->cpu[i]);
    g_free(vm);
}

void fake_vm_stop(struct vm *vm, const struct vm_stop_info *i)
{
    vm->state = i->state;
    if (vm->listener)
        vm->listener(vm->listener_opaque, i);
}

enum vm_state vm_state(struct vm *vm)
{
    return vm->state;
}

const char *vm_state_name(struct vm *vm)
{
    return vm->state == VM_RUNNING ? "running" : vm->state == VM_DEBUG ? "debug" : "paused";
}

void vm_cont(struct vm *vm)
{
    struct vm_stop_info i = { .state = VM_RUNNING, .cpu = -1 };

    vm->conts++;
    fake_vm_stop(vm, &i);
}

void vm_stop(struct vm *vm)
{
    struct vm_stop_info i = { .state = VM_PAUSED, .cpu = -1 };

    if (vm->state != VM_RUNNING)
        return;
    vm->stops++;
    fake_vm_stop(vm, &i);
}

void vm_step(struct vm *vm, unsigned i)
{
    struct vm_stop_info info = { .state = VM_DEBUG, .cpu = (int)i, .why = STOP_STEP };

    vm->steps++;
    vm->step_cpu = i;
    vm->cpu[i]->rip++;
    fake_vm_stop(vm, &info);
}

void vm_reset(struct vm *vm)
{
    vm->resets++;
}

void vm_inject_nmi(struct vm *vm)
{
    vm->nmis++;
}

unsigned vm_cpu_count(struct vm *vm)
{
    return vm->cpus;
}

struct cpu *vm_cpu(struct vm *vm, unsigned i)
{
    return vm->cpu[i];
}

struct machine *vm_machine(struct vm *vm)
{
    return vm->built ? vm->built : &vm->machine;
}

void vm_add_listener(struct vm *vm, void (*fn)(void *opaque, const struct vm_stop_info *i), void *opaque)
{
    vm->listener = fn;
    vm->listener_opaque = opaque;
}

int vm_bp_insert(struct vm *vm, enum bp_kind kind, u64 addr, u64 len)
{
    if (vm->n_bp == ARRAY_LEN(vm->bp))
        return -ENOSPC;
    vm->bp[vm->n_bp].kind = kind;
    vm->bp[vm->n_bp].addr = addr;
    vm->bp[vm->n_bp++].len = len;
    return 0;
}

int vm_bp_remove(struct vm *vm, enum bp_kind kind, u64 addr, u64 len)
{
    for (unsigned i = 0; i < vm->n_bp; i++)
        if (vm->bp[i].kind == kind && vm->bp[i].addr == addr && vm->bp[i].len == len) {
            vm->bp[i] = vm->bp[--vm->n_bp];
            return 0;
        }
    return -ENOENT;
}

void vm_bp_clear(struct vm *vm)
{
    vm->bp_clears++;
    vm->n_bp = 0;
}

int vm_mem_read(struct vm *vm, unsigned i, u64 linear, void *buf, u64 len)
{
    if (linear >= FAKE_MEM || len > FAKE_MEM - linear)
        return -1;
    memcpy(buf, vm->mem + linear, len);
    return 0;
}

int vm_mem_write(struct vm *vm, unsigned i, u64 linear, const void *buf, u64 len)
{
    if (linear >= FAKE_MEM || len > FAKE_MEM - linear)
        return -1;
    memcpy(vm->mem + linear, buf, len);
    return 0;
}

void vm_regs_changed(struct vm *vm, unsigned i)
{
    vm->regs_changes++;
}

void vm_info_jit(struct vm *vm, GString *out)
{
    g_string_append(out, "no translator\n");
}

struct accel_config *vm_config(struct vm *vm)
{
    return &vm->config;
}

int vm_cpu_tid(struct vm *vm, unsigned i)
{
    return 1000 + (int)i;
}

const struct cpu_model *vm_cpu_model(struct vm *vm)
{
    return model;
}

const char *vm_engine_name(struct vm *vm)
{
    return "dbt";
}

int vm_wakeup(struct vm *vm)
{
    return -1;
}
