/* The options about adapters, pictures and USB: -vga, -display, -nographic, -usb and their relatives. Main thread, from ui/options.c. */
#include "ui/options_display.h"
#include "config.h"

typedef enum options_result result;

/* -vga's words, and the device class of those that exist here ("": no adapter). */
static const struct { const char *word, *cls; } adapters[] = {
    { "std", "VGA" }, { "none", "" }, { "cirrus", NULL }, { "vmware", NULL }, { "qxl", NULL }, { "virtio", NULL }, { "xenfb", NULL },
};

result opt_vga(struct options *o, const char *arg, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_LEN(adapters); i++) {
        if (strcmp(adapters[i].word, arg))
            continue;
        if (!adapters[i].cls)
            return err_set(e, "-vga %s: this adapter is not available; use -vga std or -vga none", arg);
        o->vga = adapters[i].cls;
        return OPTIONS_RUN;
    }
    return err_set(e, "-vga %s: there is no such adapter; use -vga std or -vga none", arg);
}

result opt_nographic(struct options *o, const char *arg, struct err *e)
{
    o->nographic = o->machine.nographic = true;
    o->display.display = "none";
    return OPTIONS_RUN;
}

/* What the kinds of -display are, for messages; "none" is among them. */
static bool display_known(const char *arg)
{
    static const char *const kinds[] = { "none", "sdl", "curses", "vnc" };
    size_t n = strcspn(arg, ",=");

    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
        if (strlen(kinds[i]) == n && !strncmp(kinds[i], arg, n))
            return true;
    return false;
}

result opt_display(struct options *o, const char *arg, struct err *e)
{
    if (!display_known(arg))
        return err_set(e, "-display %s: there is no such display; there are none, sdl, vnc=, curses", arg);
    o->display.display = arg;
    return OPTIONS_RUN;
}

result opt_vnc(struct options *o, const char *arg, struct err *e)
{
    g_ptr_array_add(o->display.vnc, (char *)arg);
    return OPTIONS_RUN;
}

result opt_full_screen(struct options *o, const char *arg, struct err *e)
{
    o->display.full_screen = true;
    return OPTIONS_RUN;
}

result opt_keyboard(struct options *o, const char *arg, struct err *e)
{
    if (strcmp(arg, "en-us"))
        return err_set(e, "-k %s: the only layout is en-us; VNC clients that send key codes need none", arg);
    return OPTIONS_RUN;
}

result opt_usb(struct options *o, const char *arg, struct err *e)
{
    o->machine.usb = true;
    return OPTIONS_RUN;
}

result opt_usbdevice(struct options *o, const char *arg, struct err *e)
{
    static const char *const devices[][2] = { { "tablet", "usb-tablet" }, { "mouse", "usb-mouse" }, { "keyboard", "usb-kbd" } };

    for (unsigned i = 0; i < ARRAY_LEN(devices); i++) {
        if (strcmp(arg, devices[i][0]))
            continue;
        g_ptr_array_add(o->devices, (char *)devices[i][1]);
        return opt_usb(o, arg, e);
    }
    return err_set(e, "-usbdevice %s: there is no such device; there are tablet, mouse, keyboard", arg);
}

bool options_use_terminal(const struct options *o)
{
    const char *display = o->display.display;

    if (o->nographic)
        return true;
    return !display && !o->display.vnc->len && !HAVE_VNC && !HAVE_SDL2; /* there is no display to be had */
}

/* True if -device makes an adapter that takes the place of the default one. */
static bool has_adapter(const struct options *o)
{
    static const char *const classes[] = { "VGA", "bochs-display" };

    for (unsigned i = 0; i < o->devices->len; i++) {
        const char *arg = o->devices->pdata[i];
        size_t n = strcspn(arg, ",");
        for (unsigned k = 0; k < ARRAY_LEN(classes); k++)
            if (strlen(classes[k]) == n && !strncmp(classes[k], arg, n))
                return true;
    }
    return false;
}

void options_choose_adapter(struct options *o)
{
    const char *cls = o->vga ? o->vga : o->machine.nodefaults || has_adapter(o) ? "" : "VGA";

    o->machine.vga = *cls ? cls : NULL;
}
