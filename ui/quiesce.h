/* Stops for a moment, for somebody who looks into the VM: listeners see ui->transient and say nothing. Main thread. */
#ifndef UI_QUIESCE_H
#define UI_QUIESCE_H
#include "accel/accel.h"
#include "ui/ui.h"

/* Every CPU is out of guest code until ui_resume(ui, what this returned). May nest. */
static inline bool ui_quiesce(struct ui *ui)
{
    bool running = vm_state(ui->vm) == VM_RUNNING;

    if (running) {
        ui->transient = true;
        vm_stop(ui->vm);
    }
    return running;
}

static inline void ui_resume(struct ui *ui, bool running)
{
    if (running) {
        vm_cont(ui->vm);
        ui->transient = false;
    }
}

#endif
