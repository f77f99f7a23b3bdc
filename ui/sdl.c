/* A window with the guest's screen: a texture that gets what has changed, scaled to the window; keys by scan code, the pointer grabbed or
 * absolute, full screen. Main thread: SDL's events are looked at by a timer of the main loop. */
#include "ui/sdl.h"
#include "config.h"
#if HAVE_SDL2
#include <SDL.h>
#include <glib.h>
#include <stdlib.h>
#include "hw/core/console.h"
#include "hw/core/input.h"
#include "hw/core/keymap.h"
#include "hw/core/machine.h"
#include "ui/display.h"
#include "util/lazy.h"
#include "util/opts.h"

enum { POLL_MS = 10 };

struct sdl {
    struct display *d;
    struct machine *m;
    struct console *con;
    struct console_listener look;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    const struct surface *surface; /* NULL: there is no console */
    guint timer;
    unsigned mods;         /* KMOD_* that make a key ours, all of them */
    const char *mods_name;
    bool show_cursor, keep_open;
    bool started;          /* SDL's video was, for us */
    bool changed;          /* the texture has something new */
    bool grabbed, full_screen;
    unsigned buttons;
};

/* -- the picture ------------------------------------------------------------------------------------------------------ */

static void on_resize(void *opaque, const struct surface *s)
{
    struct sdl *x = opaque;

    x->surface = s;
    if (x->texture)
        SDL_DestroyTexture(x->texture);
    x->texture = SDL_CreateTexture(x->renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING, s->width, s->height);
    SDL_RenderSetLogicalSize(x->renderer, s->width, s->height);
    if (!x->full_screen)
        SDL_SetWindowSize(x->window, s->width, s->height);
    x->changed = true;
}

static void on_update(void *opaque, int px, int py, int w, int h)
{
    struct sdl *x = opaque;
    const SDL_Rect r = { px, py, w, h };

    if (x->texture)
        SDL_UpdateTexture(x->texture, &r, x->surface->data + (size_t)py * x->surface->stride + px, (int)x->surface->stride * 4);
    x->changed = true;
}

static void present(struct sdl *x)
{
    x->changed = false;
    SDL_RenderClear(x->renderer);
    if (x->texture)
        SDL_RenderCopy(x->renderer, x->texture, NULL, NULL);
    SDL_RenderPresent(x->renderer);
}

/* -- grab, title, full screen ----------------------------------------------------------------------------------------- */

static void set_title(struct sdl *x)
{
    char *name = x->d->o->title ? g_strdup_printf("Gemel (%s)", x->d->o->title) : g_strdup("Gemel");
    char *title = x->grabbed ? g_strdup_printf("%s - press %s-G to release the pointer", name, x->mods_name) : g_strdup(name);

    SDL_SetWindowTitle(x->window, title);
    g_free(title);
    g_free(name);
}

static bool is_absolute(struct sdl *x)
{
    bool r;

    lock_acquire(&x->m->lock);
    r = input_is_absolute(x->m->input);
    lock_release(&x->m->lock);
    return r;
}

static void set_grab(struct sdl *x, bool on)
{
    x->grabbed = on;
    SDL_SetRelativeMouseMode(on && !is_absolute(x) ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowGrab(x->window, on ? SDL_TRUE : SDL_FALSE);
    SDL_ShowCursor(x->show_cursor || !on ? SDL_ENABLE : SDL_DISABLE);
    set_title(x);
}

static void set_full_screen(struct sdl *x, bool on)
{
    x->full_screen = on;
    SDL_SetWindowFullscreen(x->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    if (!on && x->surface)
        SDL_SetWindowSize(x->window, x->surface->width, x->surface->height);
    set_grab(x, on);
    x->changed = true;
}

/* -- input ------------------------------------------------------------------------------------------------------------ */

static void release_keys(struct sdl *x)
{
    lock_acquire(&x->m->lock);
    input_release_keys(x->m->input);
    lock_release(&x->m->lock);
}

/* Keys with the modifiers held are ours. */
static bool hot_key(struct sdl *x, const SDL_KeyboardEvent *k)
{
    if ((SDL_GetModState() & x->mods) != x->mods)
        return false;
    switch (k->keysym.scancode) {
    case SDL_SCANCODE_G: set_grab(x, !x->grabbed); break;
    case SDL_SCANCODE_F: set_full_screen(x, !x->full_screen); break;
    case SDL_SCANCODE_U:
        if (x->surface)
            SDL_SetWindowSize(x->window, x->surface->width, x->surface->height);
        break;
    default: return false;
    }
    release_keys(x); /* the guest has seen the modifiers go down */
    return true;
}

static void on_key(struct sdl *x, const SDL_KeyboardEvent *k)
{
    bool down = k->type == SDL_KEYDOWN;
    const struct key *key = k->keysym.scancode <= 0xff ? key_by_usage(k->keysym.scancode) : NULL;

    if (down && !k->repeat && hot_key(x, k))
        return;
    if (!key)
        return;
    lock_acquire(&x->m->lock);
    input_key(x->m->input, key->code, down);
    lock_release(&x->m->lock);
}

static unsigned button_of(u8 button)
{
    static const u8 map[] = { 0, INPUT_LEFT, INPUT_MIDDLE, INPUT_RIGHT, INPUT_SIDE, INPUT_EXTRA };

    return button < ARRAY_LEN(map) ? map[button] : 0;
}

/* dx, dy: movement; px, py: position in the picture. */
static void pointer(struct sdl *x, int dx, int dy, int px, int py, int wheel)
{
    struct input *in = x->m->input;

    lock_acquire(&x->m->lock);
    if (input_is_absolute(in) && x->surface)
        input_abs(in, (int)((i64)px * INPUT_ABS_MAX / MAX_OF(x->surface->width - 1, 1)),
                  (int)((i64)py * INPUT_ABS_MAX / MAX_OF(x->surface->height - 1, 1)), wheel, x->buttons);
    else if (x->grabbed)
        input_rel(in, dx, dy, wheel, x->buttons);
    lock_release(&x->m->lock);
}

static void on_button(struct sdl *x, const SDL_MouseButtonEvent *b)
{
    if (b->type == SDL_MOUSEBUTTONDOWN && !x->grabbed && !is_absolute(x)) {
        set_grab(x, true); /* this click is for us */
        return;
    }
    x->buttons = b->type == SDL_MOUSEBUTTONDOWN ? x->buttons | button_of(b->button) : x->buttons & ~button_of(b->button);
    pointer(x, 0, 0, b->x, b->y, 0);
}

static void on_wheel(struct sdl *x, const SDL_MouseWheelEvent *w)
{
    int px, py;
    float lx, ly;

    SDL_GetMouseState(&px, &py);
    SDL_RenderWindowToLogical(x->renderer, px, py, &lx, &ly);
    pointer(x, 0, 0, (int)lx, (int)ly, w->y);
}

static void on_window(struct sdl *x, const SDL_WindowEvent *w)
{
    switch (w->event) {
    case SDL_WINDOWEVENT_EXPOSED: case SDL_WINDOWEVENT_SIZE_CHANGED:
        x->changed = true;
        break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        release_keys(x);
        if (x->grabbed && !x->full_screen)
            set_grab(x, false);
        break;
    case SDL_WINDOWEVENT_CLOSE:
        if (!x->keep_open)
            x->d->ui->quit(x->d->ui, 0);
        break;
    }
}

static void on_event(struct sdl *x, const SDL_Event *ev)
{
    switch (ev->type) {
    case SDL_KEYDOWN: case SDL_KEYUP: on_key(x, &ev->key); break;
    case SDL_MOUSEMOTION: pointer(x, ev->motion.xrel, ev->motion.yrel, ev->motion.x, ev->motion.y, 0); break;
    case SDL_MOUSEBUTTONDOWN: case SDL_MOUSEBUTTONUP: on_button(x, &ev->button); break;
    case SDL_MOUSEWHEEL: on_wheel(x, &ev->wheel); break;
    case SDL_WINDOWEVENT: on_window(x, &ev->window); break;
    default: return;
    }
    display_wake(x->d);
}

static gboolean poll_events(gpointer opaque)
{
    struct sdl *x = opaque;
    SDL_Event ev;

    while (SDL_PollEvent(&ev))
        on_event(x, &ev);
    if (x->changed)
        present(x);
    return G_SOURCE_CONTINUE;
}

/* -- options, life ---------------------------------------------------------------------------------------------------- */

static int read_options(struct sdl *x, const char *arg, struct err *e)
{
    static const char *const names[] = { "lctrl-lalt", "lshift-lctrl-lalt", "rctrl", NULL }, *const shown[] = { "Ctrl-Alt", "Shift-Ctrl-Alt", "Ctrl" };
    static const unsigned mods[] = { KMOD_LCTRL | KMOD_LALT, KMOD_LSHIFT | KMOD_LCTRL | KMOD_LALT, KMOD_RCTRL };
    struct opts *o = opts_parse(arg, "kind", e);
    bool gl, close = true;
    int mod = 0, r;

    if (!o)
        return -1;
    opts_get(o, "kind");
    r = opts_enum(o, "grab-mod", names, 0, &mod, e) || opts_bool(o, "show-cursor", false, &x->show_cursor, e) ||
        opts_bool(o, "window-close", true, &close, e) || opts_bool(o, "gl", false, &gl, e) || opts_all_used(o, e);
    if (!r && gl)
        r = err_set(e, "gl=on is not available");
    opts_free(o);
    x->mods = mods[mod];
    x->mods_name = shown[mod];
    x->keep_open = !close;
    return r ? -1 : 0;
}

static int open_window(struct sdl *x, struct err *e)
{
    if (!getenv("DISPLAY") && !getenv("WAYLAND_DISPLAY") && !getenv("SDL_VIDEODRIVER")) /* SDL would draw where nobody sees it */
        return err_set(e, "no window: there is no display server (DISPLAY and WAYLAND_DISPLAY are not set)");
    if (lazy_load(LAZY_SDL2, e) < 0)
        return err_prefix(e, "no window");
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "1");
    if (SDL_InitSubSystem(SDL_INIT_VIDEO) < 0)
        return err_set(e, "no window: %s", SDL_GetError());
    x->started = true;
    x->window = SDL_CreateWindow("Gemel", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 640, 480, SDL_WINDOW_RESIZABLE);
    if (x->window)
        x->renderer = SDL_CreateRenderer(x->window, -1, 0);
    if (x->window && !x->renderer)
        x->renderer = SDL_CreateRenderer(x->window, -1, SDL_RENDERER_SOFTWARE);
    return x->renderer ? 0 : err_set(e, "no window: %s", SDL_GetError());
}

struct sdl *sdl_new(struct display *d, const char *arg, struct err *e)
{
    struct sdl *x = g_new0(struct sdl, 1);

    x->d = d;
    x->m = d->m;
    x->look = (struct console_listener){ on_resize, on_update, x, NULL };
    if (read_options(x, arg, e) < 0 || open_window(x, e) < 0) {
        sdl_free(x);
        return NULL;
    }
    lock_acquire(&x->m->lock);
    x->con = console_first(x->m);
    if (x->con)
        console_listen(x->con, &x->look);
    lock_release(&x->m->lock);
    set_title(x);
    SDL_ShowCursor(SDL_ENABLE);
    if (d->o->full_screen)
        set_full_screen(x, true);
    display_watch(d, true);
    x->timer = g_timeout_add(POLL_MS, poll_events, x);
    return x;
}

void sdl_free(struct sdl *x)
{
    if (!x)
        return;
    if (x->timer) {
        g_source_remove(x->timer);
        display_watch(x->d, false);
    }
    lock_acquire(&x->m->lock);
    if (x->con)
        console_unlisten(x->con, &x->look);
    lock_release(&x->m->lock);
    if (x->texture)
        SDL_DestroyTexture(x->texture);
    if (x->renderer)
        SDL_DestroyRenderer(x->renderer);
    if (x->window)
        SDL_DestroyWindow(x->window);
    if (x->started)
        SDL_QuitSubSystem(SDL_INIT_VIDEO);
    g_free(x);
}

#else

struct sdl *sdl_new(struct display *d, const char *arg, struct err *e)
{
    err_set(e, "this build has no window (SDL2 was missing)");
    return NULL;
}

void sdl_free(struct sdl *x) {}
#endif
