/* Tests ui/readline.c: what lines come out of keys, and that the terminal shows the line that will be entered. */
#include "ui/readline.h"
#include <glib.h>

/* A terminal of one line: what is on it, and where its cursor is. */
struct term {
    struct readline r;
    char shown[2 * READLINE_MAX];
    unsigned col, width;
    char entered[READLINE_MAX];
    unsigned lines;
};

static void on_put(void *opaque, const char *text, unsigned len)
{
    struct term *t = opaque;

    for (unsigned i = 0; i < len; i++) {
        if (text[i] == '\b') {
            g_assert_cmpuint(t->col, >, 0);
            t->col--;
        } else if (text[i] == '\r') {
            t->col = 0;
        } else if (text[i] == '\n') {
            t->width = 0;
            memset(t->shown, 0, sizeof(t->shown));
        } else {
            t->shown[t->col++] = text[i];
            t->width = MAX_OF(t->width, t->col);
        }
    }
}

static void on_enter(void *opaque, const char *line)
{
    struct term *t = opaque;

    g_strlcpy(t->entered, line, sizeof(t->entered));
    t->lines++;
}

static void on_prompt(void *opaque)
{
    on_put(opaque, "> ", 2);
}

static unsigned on_complete(void *opaque, const char *line, GPtrArray *words)
{
    static const char *const all[] = { "system_reset", "system_powerdown", "stop", "xp" };
    const char *space = strrchr(line, ' '), *word = space ? space + 1 : line;

    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        if (g_str_has_prefix(all[i], word))
            g_ptr_array_add(words, g_strdup(all[i]));
    return (unsigned)(word - line);
}

static struct term *term_new(void)
{
    struct term *t = g_new0(struct term, 1);

    t->r = (struct readline){ .put = on_put, .enter = on_enter, .complete = on_complete, .prompt = on_prompt, .opaque = t };
    readline_init(&t->r);
    return t;
}

static void term_free(struct term *t)
{
    readline_fini(&t->r);
    g_free(t);
}

/* Types the keys; the terminal must show the editor's line and cursor after each that leaves no sequence open. */
static void type(struct term *t, const char *keys, unsigned start)
{
    for (; *keys; keys++) {
        readline_byte(&t->r, (u8)*keys);
        if (t->r.esc_len)
            continue;
        char *line = g_strndup(t->r.line, t->r.len), *shown = g_strndup(t->shown + start, MAX_OF(t->width, start) - start);
        g_strchomp(shown); /* what was deleted is blank */
        g_strchomp(line);
        g_assert_cmpstr(shown, ==, line);
        g_assert_cmpuint(t->col, ==, start + t->r.pos);
        g_free(shown);
        g_free(line);
    }
}

static void test_keys(void)
{
    static const struct {
        const char *keys, *line;
    } t[] = {
        { "stop", "stop" },
        { "stpo\x7f\x7fop", "stop" },
        { "top\x01s", "stop" },                      /* Ctrl-A */
        { "sxtop\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~", "stop" }, /* left, delete */
        { "stop now\x17\x7f", "stop" },              /* Ctrl-W */
        { "rubbish\x15stop", "stop" },               /* Ctrl-U */
        { "stop it\x1b[H\x1b[C\x06\x06\x06\x0b", "stop" }, /* home, right, Ctrl-F, Ctrl-K */
        { "op\x1b[1~st\x1b[4~", "stop" },
        { "op\x1bOHst\x1bOF", "stop" },
        { "st\x1b[15~\x1b[1;5Cop", "stop" },         /* keys that mean nothing */
        { "\x7f\x04\x02\x0e\x10stop\x06", "stop" },  /* at the ends */
        { "", "" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
        struct term *m = term_new();
        type(m, t[i].keys, 0);
        readline_byte(&m->r, '\r');
        readline_byte(&m->r, '\n'); /* belongs to the return */
        g_assert_cmpstr(m->entered, ==, t[i].line);
        g_assert_cmpuint(m->lines, ==, 1);
        term_free(m);
    }
}

static void test_history(void)
{
    struct term *m = term_new();

    type(m, "one\rtwo\rtwo\r\rthr", 0);
    type(m, "\x1b[A", 0);
    g_assert_cmpint(strncmp(m->r.line, "two", m->r.len), ==, 0);
    type(m, "\x10\x10\x10", 0); /* no further back than the first */
    type(m, "\r", 0);
    g_assert_cmpstr(m->entered, ==, "one");
    type(m, "draft\x10\x10\x0e\x0e!\r", 0); /* what was typed is still there */
    g_assert_cmpstr(m->entered, ==, "draft!");
    for (unsigned i = 0; i < 3 * READLINE_HISTORY; i++) {
        char *line = g_strdup_printf("line %u\r", i);
        type(m, line, 0);
        g_free(line);
    }
    g_assert_cmpuint(m->r.history->len, ==, READLINE_HISTORY);
    term_free(m);
}

static void test_completion(void)
{
    struct term *m = term_new();

    readline_restart(&m->r);
    type(m, "x\t", 2);
    g_assert_cmpint(strncmp(m->r.line, "xp ", m->r.len), ==, 0);
    type(m, "\x15sy\t", 2); /* as far as it is clear */
    g_assert_cmpuint(m->r.len, ==, strlen("system_"));
    type(m, "\t", 2);       /* the choices, and the line again */
    type(m, "r\t", 2);
    readline_byte(&m->r, '\r');
    g_assert_cmpstr(m->entered, ==, "system_reset ");
    term_free(m);
}

static void test_long(void)
{
    struct term *m = term_new();

    for (unsigned i = 0; i < 3 * READLINE_MAX; i++)
        readline_byte(&m->r, 'a');
    readline_byte(&m->r, '\r');
    g_assert_cmpuint(strlen(m->entered), ==, READLINE_MAX - 1);
    term_free(m);
}

static void test_noise(void)
{
    struct term *m = term_new();
    GRand *rand = g_rand_new_with_seed(1);

    for (unsigned i = 0; i < 200000; i++)
        readline_byte(&m->r, (u8)(g_rand_boolean(rand) ? g_rand_int_range(rand, 0, 128) : "\x1b[ABCD~\r\x01\x05"[g_rand_int_range(rand, 0, 10)]));
    g_rand_free(rand);
    term_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/readline/keys", test_keys);
    g_test_add_func("/readline/history", test_history);
    g_test_add_func("/readline/completion", test_completion);
    g_test_add_func("/readline/long", test_long);
    g_test_add_func("/readline/noise", test_noise);
    return g_test_run();
}
