/* QMP commands that control the run: stop and go, reset, power, what follows on guest requests, saving memory. Main thread, from
 * ui/qmp.c and, through it, the monitor. */
#include <fcntl.h>
#include <stdio.h>
#include "mmu/aspace.h"
#include "mmu/dma.h"
#include "ui/qmp_cmd.h"
#include "ui/quiesce.h"
#include "util/event.h"
#include "util/fdset.h"

int qmp_query_status(struct qmp_call *c)
{
    JsonBuilder *b = json_builder_new();

    json_open(b, NULL);
    json_bool(b, "running", vm_state(c->vm) == VM_RUNNING);
    json_bool(b, "singlestep", false);
    json_str(b, "status", vm_state_name(c->vm));
    json_close(b);
    return qmp_answer(c, b);
}

int qmp_stop(struct qmp_call *c)
{
    vm_stop(c->vm);
    return 0;
}

int qmp_cont(struct qmp_call *c)
{
    enum vm_state s = vm_state(c->vm);

    if (s == VM_SHUTDOWN || s == VM_PANICKED || s == VM_INTERNAL_ERROR)
        return err_set(&c->err, "Resetting the Virtual Machine is required");
    vm_cont(c->vm);
    return 0;
}

int qmp_quit(struct qmp_call *c)
{
    c->ui->quit(c->ui, 0);
    return 0;
}

int qmp_system_reset(struct qmp_call *c)
{
    vm_reset(c->vm);
    return 0;
}

int qmp_system_powerdown(struct qmp_call *c)
{
    if (!c->m->power_button)
        return err_set(&c->err, "this machine has no power button");
    lock_acquire(&c->m->lock);
    c->m->power_button(c->m);
    lock_release(&c->m->lock);
    event_emit("POWERDOWN", NULL);
    return 0;
}

int qmp_system_wakeup(struct qmp_call *c)
{
    return vm_wakeup(c->vm) < 0 ? err_set(&c->err, "Unable to wake up: guest is not in suspended state") : 0;
}

int qmp_inject_nmi(struct qmp_call *c)
{
    vm_inject_nmi(c->vm);
    return 0;
}

/* --- what follows on what the guest does --- */

static int word_index(const char *const *words, const char *w)
{
    int i = 0;

    while (strcmp(words[i], w))
        i++;
    return i; /* the schema knows no other words */
}

int qmp_set_action(struct qmp_call *c)
{
    struct accel_config *cfg = vm_config(c->vm);

    if (qmp_has(c, "reboot"))
        cfg->no_reboot = !strcmp(qmp_str(c, "reboot"), "shutdown");
    if (qmp_has(c, "shutdown"))
        cfg->no_shutdown = !strcmp(qmp_str(c, "shutdown"), "pause");
    if (qmp_has(c, "panic"))
        cfg->panic_action = word_index(panic_action_words, qmp_str(c, "panic"));
    if (qmp_has(c, "watchdog"))
        cfg->watchdog_action = word_index(watchdog_action_words, qmp_str(c, "watchdog"));
    return 0;
}

int qmp_watchdog_set_action(struct qmp_call *c)
{
    vm_config(c->vm)->watchdog_action = word_index(watchdog_action_words, qmp_str(c, "action"));
    return 0;
}

int qmp_rtc_reset_reinjection(struct qmp_call *c)
{
    return 0; /* nothing is reinjected: driftfix=none is the only policy */
}

/* --- memory to files --- */

static int fetch(struct qmp_call *c, bool phys, u64 addr, void *buf, u64 len)
{
    int r;

    if (!phys)
        return vm_mem_read(c->vm, (unsigned)qmp_int(c, "cpu-index", 0), addr, buf, len);
    aspace_thread_online();
    r = dma_read(c->m->mem, addr, buf, len);
    aspace_thread_offline();
    return r;
}

static int write_memory(struct qmp_call *c, FILE *f, bool phys)
{
    u64 addr = (u64)qmp_int(c, "val", 0), size = (u64)qmp_int(c, "size", 0), n;
    char buf[64 * KiB];

    for (; size; size -= n, addr += n) {
        n = MIN_OF(size, sizeof(buf) - (addr & (PAGE_SIZE - 1)));
        if (fetch(c, phys, addr, buf, n) < 0)
            return err_set(&c->err, "Invalid addr 0x%016llx/size %lld specified", (unsigned long long)qmp_int(c, "val", 0),
                           (long long)qmp_int(c, "size", 0));
        if (fwrite(buf, 1, n, f) != n)
            return err_set(&c->err, "An IO error has occurred: writing '%s': %s", qmp_str(c, "filename"), strerror(errno));
    }
    return 0;
}

static int save(struct qmp_call *c, bool phys)
{
    const char *path = qmp_str(c, "filename");
    int r, fd;
    FILE *f;

    if (qmp_int(c, "size", 0) < 0)
        return err_set(&c->err, "Parameter 'size' expects a non-negative value");
    if (!phys && (u64)qmp_int(c, "cpu-index", 0) >= vm_cpu_count(c->vm))
        return err_set(&c->err, "Parameter 'cpu-index' expects a CPU number");
    fd = host_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f)
        return err_set(&c->err, "Could not open '%s': %s", path, strerror(errno));
    r = write_memory(c, f, phys);
    if (fclose(f) && r == 0)
        r = err_set(&c->err, "An IO error has occurred: writing '%s': %s", path, strerror(errno));
    return r;
}

int qmp_pmemsave(struct qmp_call *c)
{
    return save(c, true);
}

/* The CPUs are out of guest code meanwhile: page tables and registers are read. */
int qmp_memsave(struct qmp_call *c)
{
    bool resume = ui_quiesce(c->ui);
    int r = save(c, false);

    ui_resume(c->ui, resume);
    return r;
}
