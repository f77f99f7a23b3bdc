/* Monitor commands about the memory balloon: balloon, info balloon. Main thread; they take the machine lock. */
#include "hw/core/balloon.h"
#include "hw/core/machine.h"
#include "ui/monitor_cmd.h"
#include "util/opts.h"

static const char no_balloon[] = "No balloon device has been activated\n";

void mon_balloon(struct mon *m, char *args)
{
    struct machine *machine = vm_machine(m->vm);
    u64 bytes;

    if (size_parse(args, MiB, &bytes) < 0 || !bytes) {
        mon_print(m, "usage: balloon TARGET (in MiB)\n");
        return;
    }
    lock_acquire(&machine->lock);
    if (machine->balloon)
        machine->balloon->set_target(machine->balloon->opaque, bytes);
    else
        mon_print(m, "%s", no_balloon);
    lock_release(&machine->lock);
}

void mon_info_balloon(struct mon *m, char *args)
{
    struct machine *machine = vm_machine(m->vm);

    lock_acquire(&machine->lock);
    if (machine->balloon)
        mon_print(m, "balloon: actual=%llu\n", (unsigned long long)(machine->balloon->actual(machine->balloon->opaque) / MiB));
    else
        mon_print(m, "%s", no_balloon);
    lock_release(&machine->lock);
}
