/* What guest and devices ask of the process: power-off, reset, suspend, panic, a watchdog's action, a stop for an I/O error. Asked on
 * any thread, carried out on the main thread, each with its QMP event. Called through struct machine's request hook. */
#include "accel/vm.h"
#include <stdio.h>
#include "util/event.h"
#include "util/handover.h"

#define STATUS_TRIPLE_FAULT 3

struct request {
    struct vm *vm;
    enum machine_request r;
    int code;
    struct vm_stop_info stop;
};

struct accel_config *vm_config(struct vm *vm) { return &vm->cfg; }

/* The end of the run, unless -no-shutdown keeps the VM to be looked at. */
static void end_run(struct vm *vm, int status, enum vm_state state, const char *reason)
{
    const struct event_member members[] = { EVENT_BOOL("guest", true), EVENT_ENUM("reason", reason), EVENT_DONE };

    event_emit("SHUTDOWN", members);
    vm_stop_as(vm, state, NULL);
    if (!vm->cfg.no_shutdown && vm->exit_fn)
        vm->exit_fn(vm->exit_opaque, status);
}

static void guest_reset(struct vm *vm, int status_if_end)
{
    if (vm->cfg.no_reboot)
        end_run(vm, status_if_end, VM_SHUTDOWN, "guest-reset");
    else
        vm_reset_as(vm, true, "guest-reset");
}

static void emit_action(const char *event, const char *action)
{
    const struct event_member members[] = { EVENT_ENUM("action", action), EVENT_DONE };

    event_emit(event, members);
}

static void panicked(struct vm *vm)
{
    enum panic_action a = vm->cfg.panic_action;

    if (a == PANIC_NONE) {
        emit_action("GUEST_PANICKED", "run");
        vm_resume_silently(vm);
    } else if (a == PANIC_PAUSE || (a == PANIC_SHUTDOWN && vm->cfg.no_shutdown)) {
        emit_action("GUEST_PANICKED", "pause");
        vm_stop_as(vm, VM_PANICKED, NULL);
    } else {
        emit_action("GUEST_PANICKED", "poweroff");
        end_run(vm, a == PANIC_EXIT_FAILURE, VM_PANICKED, "guest-panic");
    }
}

/* The guest's operating system is to shut down by itself. */
static void power_button(struct vm *vm)
{
    struct machine *m = vm->m;

    lock_acquire(&m->lock);
    if (m->power_button)
        m->power_button(m);
    lock_release(&m->lock);
    event_emit("POWERDOWN", NULL);
}

static void watchdog_fired(struct vm *vm)
{
    emit_action("WATCHDOG", watchdog_action_words[vm->cfg.watchdog_action]);
    switch (vm->cfg.watchdog_action) {
    case WATCHDOG_RESET: guest_reset(vm, 0); return;
    case WATCHDOG_PAUSE: vm_stop_as(vm, VM_WATCHDOG, NULL); return;
    case WATCHDOG_POWEROFF:
        vm_stop_as(vm, VM_WATCHDOG, NULL);
        if (vm->exit_fn)
            vm->exit_fn(vm->exit_opaque, 0);
        return;
    case WATCHDOG_SHUTDOWN: power_button(vm); break;
    case WATCHDOG_INJECT_NMI: vm_inject_nmi(vm); break;
    case WATCHDOG_DEBUG: fprintf(stderr, "watchdog: timer fired\n"); break;
    case WATCHDOG_NONE: break;
    }
    vm_resume_silently(vm);
}

/* Asked when the VM had been stopped already: done by vm_cont, or noted. */
static void request_defer(struct vm *vm, const struct request *q)
{
    if (q->r == REQ_IO_ERROR) { /* the request waits for vm_cont anyway */
        if (vm->state == VM_PAUSED)
            vm->state = VM_IO_ERROR;
    } else if (vm->state != VM_SHUTDOWN && q->r != REQ_NONE) {
        vm->deferred = q->r;
        vm->deferred_code = q->code;
    }
}

static gboolean request_run(gpointer data)
{
    struct request *q = data;
    struct vm *vm;

    handover_take(q);
    vm = q->vm;
    if (vm->state != VM_RUNNING) {
        request_defer(vm, q);
        return G_SOURCE_REMOVE;
    }
    switch (q->r) {
    case REQ_NONE: vm_stop_as(vm, VM_DEBUG, &q->stop); break;
    case REQ_RESET: guest_reset(vm, 0); break;
    case REQ_TRIPLE_FAULT: guest_reset(vm, STATUS_TRIPLE_FAULT); break;
    case REQ_SHUTDOWN: end_run(vm, 0, VM_SHUTDOWN, "guest-shutdown"); break;
    case REQ_EXIT:
        vm_stop_as(vm, VM_SHUTDOWN, NULL);
        vm->exit_fn(vm->exit_opaque, q->code);
        break;
    case REQ_SUSPEND: vm_suspend(vm); break;
    case REQ_WAKEUP:
        if (vm_wakeup(vm) < 0)
            vm_resume_silently(vm);
        break;
    case REQ_IO_ERROR: vm_stop_as(vm, VM_IO_ERROR, NULL); break;
    case REQ_PANIC:
        if (q->code == 0) {
            panicked(vm);
            break;
        }
        emit_action("GUEST_CRASHLOADED", "run");
        vm_resume_silently(vm);
        break;
    case REQ_WATCHDOG: watchdog_fired(vm); break;
    }
    return G_SOURCE_REMOVE;
}

static void request_post(struct vm *vm, struct request q)
{
    struct request *copy = g_new(struct request, 1);

    *copy = q;
    __atomic_store_n(&vm->running, false, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < vm->n_cpus; i++)
        vcpu_kick(vm->cpu[i], XREQ_WORK);
    handover_give(copy);
    g_idle_add_full(G_PRIORITY_HIGH, request_run, copy, g_free); /* never at once: the machine lock may be held */
}

void vm_request(struct machine *m, enum machine_request r, int code)
{
    request_post(m->request_opaque, (struct request){ .vm = m->request_opaque, .r = r, .code = code });
}

void vm_debug_stop(struct vm *vm, struct vcpu *v, const struct vm_stop_info *info)
{
    request_post(vm, (struct request){ .vm = vm, .r = REQ_NONE, .stop = *info });
}
