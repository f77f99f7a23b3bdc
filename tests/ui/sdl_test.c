/* Tests ui/sdl.c with SDL's dummy video driver: the window looks at the screen, follows its size, passes keys and pointer on, keeps its own keys
 * to itself, and ends the program when it is closed. */
#include "ui/sdl.h"
#include <glib.h>
#include "config.h"
#include "tests/lib/fake_screen.h"
#include "ui/display.h"

#if HAVE_SDL2
#include <SDL.h>

struct fixture {
    struct fake_machine *f;
    struct fake_screen *s;
    struct ui ui;
    struct display_options o;
    struct display d;
    unsigned quits;
};

static void on_quit(struct ui *ui, int status) { container_of(ui, struct fixture, ui)->quits++; }

static struct fixture *start(const char *display)
{
    struct fixture *x = g_new0(struct fixture, 1);
    struct err e = { "" };
    x->f = fake_machine_new(1);
    x->s = fake_screen_new(x->f, 320, 200);
    x->ui.quit = on_quit;
    x->o = (struct display_options){ .display = display, .vnc = g_ptr_array_new(), .title = "box" };
    if (display_start(&x->d, &x->ui, &x->f->m, &x->o, &e) < 0)
        g_error("%s", e.msg);
    g_assert_true(x->s->watched);
    return x;
}

static void end(struct fixture *x)
{
    display_stop(&x->d);
    g_assert_false(x->s->watched);
    fake_screen_free(x->s);
    fake_machine_free(x->f);
    g_ptr_array_unref(x->o.vnc);
    g_free(x);
}

/* Runs the main loop until SDL's queue is empty and the screen has been drawn once more. */
static void settle(struct fixture *x)
{
    unsigned updates = x->s->updates;
    i64 until = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;
    while (x->s->updates < updates + 2 || SDL_HasEvents(SDL_FIRSTEVENT, SDL_LASTEVENT)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_main_context_iteration(NULL, TRUE);
    }
}

static void push_key(SDL_Scancode code, bool down)
{
    SDL_Event ev = { .key = { .type = down ? SDL_KEYDOWN : SDL_KEYUP, .keysym.scancode = code } };
    g_assert_cmpint(SDL_PushEvent(&ev), ==, 1);
}

static void push_button(u8 button, bool down)
{
    SDL_Event ev = { .button = { .type = down ? SDL_MOUSEBUTTONDOWN : SDL_MOUSEBUTTONUP, .button = button, .x = 319, .y = 199 } };
    g_assert_cmpint(SDL_PushEvent(&ev), ==, 1);
}

static void push_motion(int px, int py, int dx, int dy)
{
    SDL_Event ev = { .motion = { .type = SDL_MOUSEMOTION, .x = px, .y = py, .xrel = dx, .yrel = dy } };
    g_assert_cmpint(SDL_PushEvent(&ev), ==, 1);
}

static void push_window(u8 what)
{
    SDL_Event ev = { .window = { .type = SDL_WINDOWEVENT, .event = what } };
    g_assert_cmpint(SDL_PushEvent(&ev), ==, 1);
}

static void test_keys(void)
{
    struct fixture *x = start("sdl");
    settle(x);
    push_key(SDL_SCANCODE_A, true);
    push_key(SDL_SCANCODE_A, false);
    push_key(SDL_SCANCODE_KP_ENTER, true);
    settle(x);
    g_assert_cmpuint(x->s->n_keys, ==, 3);
    g_assert_cmphex(x->s->key[0].code, ==, 0x1e);
    g_assert_cmphex(x->s->key[2].code, ==, 0xe01c);
    push_window(SDL_WINDOWEVENT_FOCUS_LOST); /* keys do not stay down */
    settle(x);
    g_assert_cmpuint(x->s->n_keys, ==, 4);
    g_assert_false(x->s->key[3].down);
    SDL_SetModState(KMOD_LCTRL | KMOD_LALT);
    push_key(SDL_SCANCODE_G, true); /* ours */
    settle(x);
    g_assert_cmpuint(x->s->n_keys, ==, 4);
    push_key(SDL_SCANCODE_DELETE, true); /* the guest's */
    settle(x);
    g_assert_cmphex(x->s->key[4].code, ==, 0xe053);
    SDL_SetModState(0);
    end(x);
}

static void test_pointer(void)
{
    struct fixture *x = start("sdl");
    settle(x);
    push_motion(10, 10, 5, 5);
    settle(x);
    g_assert_cmpint(x->s->dx, ==, 0); /* not taken yet */
    push_button(SDL_BUTTON_LEFT, true); /* takes the pointer */
    push_button(SDL_BUTTON_LEFT, false);
    settle(x); /* SDL drops the movements from before */
    push_motion(10, 10, 7, -3);
    push_button(SDL_BUTTON_RIGHT, true);
    settle(x);
    g_assert_cmpint(x->s->dx, ==, 7);
    g_assert_cmpint(x->s->dy, ==, -3);
    g_assert_cmpuint(x->s->buttons, ==, INPUT_RIGHT);
    fake_screen_absolute(x->s);
    push_motion(319, 0, 0, 0);
    settle(x);
    g_assert_cmpint(x->s->abs_x, ==, INPUT_ABS_MAX);
    g_assert_cmpint(x->s->abs_y, ==, 0);
    end(x);
}

static void test_window(void)
{
    struct fixture *x = start("sdl");
    x->s->width = 640;
    x->s->height = 480;
    settle(x);
    push_window(SDL_WINDOWEVENT_CLOSE);
    settle(x);
    g_assert_cmpuint(x->quits, ==, 1);
    end(x);
    x = start("sdl,window-close=off,grab-mod=rctrl,show-cursor=on,gl=off");
    push_window(SDL_WINDOWEVENT_CLOSE);
    settle(x);
    g_assert_cmpuint(x->quits, ==, 0);
    end(x);
}

static void ignore_abs(void *opaque, int x, int y, int wheel, unsigned buttons) { g_assert_not_reached(); }

/* A machine without a display adapter: the window is there, and a tablet's position has nothing to refer to. */
static void test_no_console(void)
{
    struct fake_machine *f = fake_machine_new(1);
    struct input_handler tablet = { .name = "tablet", .abs = ignore_abs };
    struct ui ui = { 0 };
    struct display_options o = { .display = "sdl", .vnc = g_ptr_array_new() };
    struct display d;
    struct err e;
    i64 until = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;
    lock_acquire(&f->m.lock);
    input_add(f->m.input, &tablet);
    lock_release(&f->m.lock);
    g_assert_cmpint(display_start(&d, &ui, &f->m, &o, &e), ==, 0);
    push_motion(10, 10, 1, 1);
    SDL_SetModState(KMOD_LCTRL | KMOD_LALT);
    push_key(SDL_SCANCODE_U, true);
    while (SDL_HasEvents(SDL_FIRSTEVENT, SDL_LASTEVENT)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_main_context_iteration(NULL, TRUE);
    }
    SDL_SetModState(KMOD_NONE);
    display_stop(&d);
    lock_acquire(&f->m.lock);
    input_del(f->m.input, &tablet);
    lock_release(&f->m.lock);
    fake_machine_free(f);
    g_ptr_array_unref(o.vnc);
}

static void test_refused(void)
{
    static const char *const bad[][2] = { { "sdl,gl=on", "gl" }, { "sdl,grab-mod=meta", "grab-mod" }, { "sdl,colour=red", "colour" } };
    struct fixture *x = start("sdl");
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = { "" };
        g_assert_null(sdl_new(&x->d, bad[i][0], &e));
        g_assert_nonnull(strstr(e.msg, bad[i][1]));
    }
    end(x);
}

static void test_no_server(void)
{
    struct fixture *x = start("sdl");
    struct err e = { "" };
    g_unsetenv("DISPLAY");
    g_unsetenv("WAYLAND_DISPLAY");
    g_unsetenv("SDL_VIDEODRIVER");
    g_assert_null(sdl_new(&x->d, "sdl", &e));
    g_assert_nonnull(strstr(e.msg, "DISPLAY"));
    g_setenv("SDL_VIDEODRIVER", "dummy", TRUE);
    end(x);
}

int main(int argc, char **argv)
{
    g_setenv("SDL_VIDEODRIVER", "dummy", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_main_context_acquire(NULL);
    g_test_add_func("/ui/sdl/keys", test_keys);
    g_test_add_func("/ui/sdl/pointer", test_pointer);
    g_test_add_func("/ui/sdl/window", test_window);
    g_test_add_func("/ui/sdl/no-console", test_no_console);
    g_test_add_func("/ui/sdl/refused", test_refused);
    g_test_add_func("/ui/sdl/no-server", test_no_server);
    return g_test_run();
}
#else
int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    return g_test_run();
}
#endif
