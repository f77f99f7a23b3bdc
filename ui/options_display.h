/* Options about adapters, pictures and USB, for the table in ui/options.c. Main thread. */
#ifndef UI_OPTIONS_DISPLAY_H
#define UI_OPTIONS_DISPLAY_H
#include "ui/options.h"

enum options_result opt_vga(struct options *o, const char *arg, struct err *e);
enum options_result opt_nographic(struct options *o, const char *arg, struct err *e);
enum options_result opt_display(struct options *o, const char *arg, struct err *e);
enum options_result opt_vnc(struct options *o, const char *arg, struct err *e);
enum options_result opt_full_screen(struct options *o, const char *arg, struct err *e);
enum options_result opt_keyboard(struct options *o, const char *arg, struct err *e);
enum options_result opt_usb(struct options *o, const char *arg, struct err *e);
enum options_result opt_usbdevice(struct options *o, const char *arg, struct err *e);
/* Serial port and monitor go to the terminal unless something else is said. */
bool options_use_terminal(const struct options *o);
/* After all options are read: which adapter the machine gets. */
void options_choose_adapter(struct options *o);

#endif
