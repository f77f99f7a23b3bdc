/* The words of -action and -watchdog-action; see accel.h. Constant. */
#include "accel/accel.h"

const char *const panic_action_words[] = { "shutdown", "pause", "none", "exit-failure", NULL };
const char *const watchdog_action_words[] = { "reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi", NULL };
