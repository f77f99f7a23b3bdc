/* Monitor commands for screen, keys and pointer: screendump, sendkey, mouse_move, mouse_button, mouse_set, info mice. Main thread. */
#include <stdlib.h>
#include "hw/core/input.h"
#include "hw/core/keymap.h"
#include "hw/core/machine.h"
#include "ui/monitor_cmd.h"
#include "ui/screendump.h"
#include "ui/sendkey.h"

/* screendump FILE [DEVICE] [-f FORMAT]. */
void mon_screendump(struct mon *m, char *args)
{
    const char *path = NULL, *device = NULL, *format = NULL, *word;
    struct err e;

    while ((word = mon_word(&args))) {
        if (!strcmp(word, "-f"))
            format = mon_word(&args);
        else if (!path)
            path = word;
        else
            device = word;
    }
    if (!path)
        mon_print(m, "usage: screendump FILE [DEVICE] [-f png|ppm]\n");
    else if (screendump(vm_machine(m->vm), path, format, device, &e) < 0)
        mon_print(m, "Error: %s\n", e.msg);
}

/* sendkey ctrl-alt-f1 [HOLD-MS]: presses all, then releases them in reverse order. */
void mon_sendkey(struct mon *m, char *args)
{
    const char *keys = mon_word(&args), *hold = mon_word(&args);
    struct err e;

    if (!keys)
        mon_print(m, "usage: sendkey KEYS [HOLD-MS]\n");
    else if (sendkey(vm_machine(m->vm), keys, hold ? (unsigned)strtoul(hold, NULL, 0) : 0, &e) < 0)
        mon_print(m, "%s\n", e.msg);
}

void mon_mouse_move(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);
    const char *x = mon_word(&args), *y = mon_word(&args), *z = mon_word(&args);

    if (!x || !y) {
        mon_print(m, "usage: mouse_move DX DY [DZ]\n");
        return;
    }
    lock_acquire(&mc->lock);
    if (input_is_absolute(mc->input))
        input_abs(mc->input, atoi(x), atoi(y), z ? atoi(z) : 0, input_buttons(mc->input));
    else
        input_rel(mc->input, atoi(x), atoi(y), z ? atoi(z) : 0, input_buttons(mc->input));
    lock_release(&mc->lock);
}

/* The argument is a mask as in QEMU: 1 left, 2 middle, 4 right. */
void mon_mouse_button(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);
    char *end;
    unsigned long mask = strtoul(args, &end, 0);

    if (end == args || *end || mask > 7) {
        mon_print(m, "usage: mouse_button MASK (1 left, 2 middle, 4 right)\n");
        return;
    }
    lock_acquire(&mc->lock);
    input_rel(mc->input, 0, 0, 0,
              (mask & 1 ? INPUT_LEFT : 0) | (mask & 2 ? INPUT_MIDDLE : 0) | (mask & 4 ? INPUT_RIGHT : 0));
    lock_release(&mc->lock);
}

void mon_mouse_set(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);
    char *end;
    unsigned long index = strtoul(args, &end, 0);
    int r;

    lock_acquire(&mc->lock);
    r = end == args || *end ? -1 : input_select(mc->input, (unsigned)index);
    lock_release(&mc->lock);
    if (r < 0)
        mon_print(m, "Mouse at index '%s' not found\n", args);
}

void mon_info_mice(struct mon *m, char *args)
{
    struct machine *mc = vm_machine(m->vm);
    const struct input_handler *current;
    unsigned n = 0;

    lock_acquire(&mc->lock);
    current = input_pointer(mc->input);
    for (const struct input_handler *h = input_first(mc->input); h; h = h->next) {
        if (!h->rel && !h->abs)
            continue;
        mon_print(m, "%c Mouse #%u: %s%s\n", h == current ? '*' : ' ', h->index, h->name, h->abs ? " (absolute)" : "");
        n++;
    }
    lock_release(&mc->lock);
    if (!n)
        mon_print(m, "No mouse devices connected\n");
}
