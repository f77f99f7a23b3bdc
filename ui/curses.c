/* Text modes on the terminal, by ncurses: the cells of the guest's screen are drawn where they differ from what is there; what is typed goes
 * to the guest as keys. Main thread, from the refresh timer and a watch on standard input. */
#include "ui/curses.h"
#include "config.h"
#if HAVE_CURSES
#define NCURSES_WIDECHAR 1
#include <glib-unix.h>
#include <locale.h>
#include <ncurses.h>
#include <unistd.h>
#include "hw/core/console.h"
#include "hw/core/input.h"
#include "hw/core/keymap.h"
#include "hw/core/machine.h"
#include "ui/cp437.h"
#include "ui/display.h"

struct curses {
    struct display *d;
    SCREEN *screen;
    guint input;
    struct console_text text;
};

/* -- output ----------------------------------------------------------------------------------------------------------- */

/* VGA's order of colours to curses' (bits of red and blue change places). */
static short color_of(unsigned vga)
{
    static const short map[8] = { COLOR_BLACK, COLOR_BLUE, COLOR_GREEN, COLOR_CYAN, COLOR_RED, COLOR_MAGENTA, COLOR_YELLOW, COLOR_WHITE };

    return map[vga & 7];
}

static void init_colors(void)
{
    if (!has_colors())
        return;
    start_color();
    for (short i = 0; i < 64; i++)
        init_pair(i + 1, color_of(i & 7), color_of(i >> 3));
}

static void draw_cell(int row, int col, u16 cell)
{
    u8 attr = cell >> 8;
    wchar_t ch[2] = { cp437[cell & 0xff], 0 };
    cchar_t cc;

    setcchar(&cc, ch, attr & 8 ? A_BOLD : A_NORMAL, (short)((attr & 7) | (attr >> 4 & 7) << 3) + 1, NULL);
    mvadd_wch(row, col, &cc);
}

static void draw_text(const struct console_text *t)
{
    int rows = MIN_OF((int)t->rows, LINES), cols = MIN_OF((int)t->cols, COLS);

    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            draw_cell(r, c, t->cell[r * t->cols + c]);
    if (t->cursor >= 0 && t->cursor / (int)t->cols < rows && t->cursor % (int)t->cols < cols) {
        move(t->cursor / t->cols, t->cursor % t->cols);
        curs_set(1);
    } else {
        curs_set(0);
    }
}

static void redraw(void *opaque)
{
    struct curses *c = opaque;
    struct machine *m = c->d->m;
    struct console *con;
    bool text;

    lock_acquire(&m->lock);
    con = console_first(m);
    text = con && console_text(con, &c->text);
    lock_release(&m->lock);
    erase();
    if (text) {
        draw_text(&c->text);
    } else {
        const char *what = con ? "graphic mode" : "no display";
        mvaddstr(LINES / 2, MAX_OF(COLS - (int)strlen(what), 0) / 2, what);
        curs_set(0);
    }
    refresh();
}

/* -- input ------------------------------------------------------------------------------------------------------------ */

static const struct { int curses; const char *key; } special[] = {
    { KEY_UP, "up" }, { KEY_DOWN, "down" }, { KEY_LEFT, "left" }, { KEY_RIGHT, "right" }, { KEY_HOME, "home" }, { KEY_END, "end" },
    { KEY_PPAGE, "pgup" }, { KEY_NPAGE, "pgdn" }, { KEY_IC, "insert" }, { KEY_DC, "delete" }, { KEY_BACKSPACE, "backspace" },
    { KEY_ENTER, "ret" }, { KEY_F(1), "f1" }, { KEY_F(2), "f2" }, { KEY_F(3), "f3" }, { KEY_F(4), "f4" }, { KEY_F(5), "f5" },
    { KEY_F(6), "f6" }, { KEY_F(7), "f7" }, { KEY_F(8), "f8" }, { KEY_F(9), "f9" }, { KEY_F(10), "f10" }, { KEY_F(11), "f11" },
    { KEY_F(12), "f12" }, { 127, "backspace" }, { '\r', "ret" }, { '\n', "ret" }, { '\t', "tab" }, { 27, "esc" },
};

static void tap(struct machine *m, const struct key *k, bool shift, bool ctrl, bool alt)
{
    const struct { bool on; u16 code; } mods[] = { { ctrl, 0x1d }, { alt, 0x38 }, { shift, 0x2a } };

    lock_acquire(&m->lock);
    for (unsigned i = 0; i < ARRAY_LEN(mods); i++)
        if (mods[i].on)
            input_key(m->input, mods[i].code, true);
    input_key(m->input, k->code, true);
    input_key(m->input, k->code, false);
    for (unsigned i = ARRAY_LEN(mods); i-- > 0;)
        if (mods[i].on)
            input_key(m->input, mods[i].code, false);
    lock_release(&m->lock);
}

static void type(struct machine *m, int ch, bool alt)
{
    const struct key *k = NULL;
    bool shift = false, ctrl = false;

    for (unsigned i = 0; i < ARRAY_LEN(special) && !k; i++)
        if (special[i].curses == ch)
            k = key_by_name(special[i].key);
    if (!k && ch > 0 && ch < 27) {
        ctrl = true;
        k = key_by_keysym(ch + 'a' - 1, &shift);
    } else if (!k) {
        k = key_by_keysym(ch < 256 ? ch : 0, &shift);
    }
    if (k)
        tap(m, k, shift, ctrl, alt);
}

static gboolean on_input(gint fd, GIOCondition cond, gpointer opaque)
{
    struct curses *c = opaque;
    int ch, next;

    if (!(cond & G_IO_IN)) { /* the terminal is gone */
        c->input = 0;
        return G_SOURCE_REMOVE;
    }
    while ((ch = getch()) != ERR) {
        next = ch == 27 ? getch() : ERR; /* Escape and a key at once: Alt */
        type(c->d->m, next == ERR ? ch : next, next != ERR);
    }
    display_wake(c->d);
    return G_SOURCE_CONTINUE;
}

/* -- life ------------------------------------------------------------------------------------------------------------- */

struct curses *curses_new(struct display *d, const char *arg, struct err *e)
{
    struct curses *c;
    SCREEN *screen;

    if (strcmp(arg, "curses")) {
        err_set(e, g_str_has_prefix(arg, "curses,") ? "curses has no such option" : "there is no such display; there are none, sdl, vnc=, curses");
        return NULL;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        err_set(e, "standard input and output must be a terminal");
        return NULL;
    }
    setlocale(LC_CTYPE, "");
    screen = newterm(NULL, stdout, stdin);
    if (!screen) {
        err_set(e, "ncurses does not know this terminal (TERM)");
        return NULL;
    }
    c = g_new0(struct curses, 1);
    c->d = d;
    c->screen = screen;
    raw();
    noecho();
    nonl();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    set_escdelay(25);
    init_colors();
    d->poll = redraw;
    d->poll_opaque = c;
    c->input = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, c);
    display_watch(d, true);
    return c;
}

void curses_free(struct curses *c)
{
    if (!c)
        return;
    c->d->poll = NULL;
    display_watch(c->d, false);
    if (c->input)
        g_source_remove(c->input);
    endwin();
    delscreen(c->screen);
    g_free(c);
}

#else

struct curses *curses_new(struct display *d, const char *arg, struct err *e)
{
    err_set(e, strcmp(arg, "curses") ? "there is no such display; there are none, sdl, vnc=, curses"
                                     : "this build has no text display (ncurses was missing)");
    return NULL;
}

void curses_free(struct curses *c) {}
#endif
