/* The line editor of readline.h: keys as in Emacs and on a VT100. Main thread, called by ui/monitor.c for each byte that is typed. */
#include "ui/readline.h"

#define CTRL(c) ((c) - 64)

static void put(struct readline *r, const char *text, unsigned len)
{
    r->put(r->opaque, text, len);
}

static void put_str(struct readline *r, const char *text)
{
    put(r, text, (unsigned)strlen(text));
}

/* Shows what is behind the cursor, and `blanks` more, and goes back. */
static void redraw_tail(struct readline *r, unsigned blanks)
{
    put(r, r->line + r->pos, r->len - r->pos);
    for (unsigned i = 0; i < blanks; i++)
        put_str(r, " ");
    for (unsigned i = r->pos; i < r->len + blanks; i++)
        put_str(r, "\b");
}

static void insert(struct readline *r, const char *text, unsigned n)
{
    n = MIN_OF(n, READLINE_MAX - 1 - r->len);
    memmove(r->line + r->pos + n, r->line + r->pos, r->len - r->pos);
    memcpy(r->line + r->pos, text, n);
    r->len += n;
    put(r, r->line + r->pos, n);
    r->pos += n;
    if (r->pos < r->len)
        redraw_tail(r, 0);
}

static void move(struct readline *r, int by)
{
    for (; by < 0 && r->pos > 0; by++, r->pos--)
        put_str(r, "\b");
    for (; by > 0 && r->pos < r->len; by--)
        put(r, r->line + r->pos++, 1);
}

/* Deletes n bytes behind the cursor. */
static void delete(struct readline *r, unsigned n)
{
    n = MIN_OF(n, r->len - r->pos);
    memmove(r->line + r->pos, r->line + r->pos + n, r->len - r->pos - n);
    r->len -= n;
    if (n)
        redraw_tail(r, n);
}

static void delete_back(struct readline *r, unsigned n)
{
    n = MIN_OF(n, r->pos);
    move(r, -(int)n);
    delete(r, n);
}

static unsigned word_before(const struct readline *r)
{
    unsigned p = r->pos;

    while (p && r->line[p - 1] == ' ')
        p--;
    while (p && r->line[p - 1] != ' ')
        p--;
    return r->pos - p;
}

static void replace(struct readline *r, const char *text)
{
    move(r, (int)(r->len - r->pos));
    delete_back(r, r->len);
    insert(r, text, (unsigned)strlen(text));
}

/* --- history --- */

static void history_add(struct readline *r, const char *line)
{
    GPtrArray *h = r->history;

    if (*line && (!h->len || strcmp(h->pdata[h->len - 1], line))) {
        g_ptr_array_add(h, g_strdup(line));
        if (h->len > READLINE_HISTORY)
            g_ptr_array_remove_index(h, 0);
    }
    r->at = h->len;
    g_clear_pointer(&r->draft, g_free);
}

static void history_move(struct readline *r, int by)
{
    if ((by < 0 && r->at == 0) || (by > 0 && r->at == r->history->len))
        return;
    if (r->at == r->history->len) {
        g_free(r->draft);
        r->draft = g_strndup(r->line, r->len);
    }
    r->at = (unsigned)((int)r->at + by);
    replace(r, r->at == r->history->len ? r->draft : r->history->pdata[r->at]);
}

/* --- completion --- */

/* How many bytes all words have in common. */
static unsigned common(const GPtrArray *words)
{
    const char *first = words->pdata[0];
    unsigned n = (unsigned)strlen(first);

    for (unsigned i = 1; i < words->len; i++) {
        const char *w = words->pdata[i];
        unsigned k = 0;
        while (k < n && w[k] == first[k])
            k++;
        n = k;
    }
    return n;
}

static void show_choices(struct readline *r, const GPtrArray *words)
{
    unsigned behind = r->len - r->pos;

    for (unsigned i = 0; i < words->len; i++) {
        put_str(r, i % 4 ? " " : "\r\n");
        char *cell = g_strdup_printf("%-19s", (char *)words->pdata[i]);
        put_str(r, cell);
        g_free(cell);
    }
    put_str(r, "\r\n");
    r->prompt(r->opaque);
    put(r, r->line, r->len);
    for (unsigned i = 0; i < behind; i++)
        put_str(r, "\b");
}

static void complete(struct readline *r)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);
    char *head = g_strndup(r->line, r->pos);
    unsigned start = r->complete(r->opaque, head, words), typed = r->pos - start;

    if (words->len) {
        unsigned n = common(words);
        if (n > typed)
            insert(r, (char *)words->pdata[0] + typed, n - typed);
        else if (words->len > 1)
            show_choices(r, words);
        if (words->len == 1)
            insert(r, " ", 1);
    }
    g_free(head);
    g_ptr_array_unref(words);
}

/* --- keys --- */

static void enter(struct readline *r)
{
    char line[READLINE_MAX];

    memcpy(line, r->line, r->len);
    line[r->len] = 0;
    history_add(r, line);
    r->len = r->pos = 0;
    put_str(r, "\r\n");
    r->enter(r->opaque, line);
}

/* What follows ESC, up to its last byte. */
static const struct {
    const char *seq;
    char key; /* the control key that does the same */
} sequences[] = {
    { "[A", 'P' }, { "[B", 'N' }, { "[C", 'F' }, { "[D", 'B' }, { "[H", 'A' }, { "[F", 'E' }, { "[1~", 'A' }, { "[7~", 'A' }, { "[4~", 'E' },
    { "[8~", 'E' }, { "[3~", 'D' }, { "OA", 'P' }, { "OB", 'N' }, { "OC", 'F' }, { "OD", 'B' }, { "OH", 'A' }, { "OF", 'E' },
};

static void control(struct readline *r, u8 b)
{
    switch (b) {
    case CTRL('A'): move(r, -(int)r->pos); break;
    case CTRL('B'): move(r, -1); break;
    case CTRL('C'): case CTRL('U'): replace(r, ""); break;
    case CTRL('D'): delete(r, 1); break;
    case CTRL('E'): move(r, (int)(r->len - r->pos)); break;
    case CTRL('F'): move(r, 1); break;
    case CTRL('H'): case 127: delete_back(r, 1); break;
    case CTRL('I'): complete(r); break;
    case CTRL('K'): delete(r, r->len - r->pos); break;
    case CTRL('N'): history_move(r, 1); break;
    case CTRL('P'): history_move(r, -1); break;
    case CTRL('W'): delete_back(r, word_before(r)); break;
    case 27: r->esc_len = 1; break;
    }
}

/* A byte of an escape sequence; those that mean nothing here are swallowed whole. */
static void escape(struct readline *r, u8 b)
{
    unsigned n = r->esc_len - 1; /* bytes behind ESC so far */

    if (n + 2 < sizeof(r->esc))
        r->esc[n] = (char)b;
    r->esc_len++;
    if (n == 0 ? b == '[' || b == 'O' : b < 0x40)
        return; /* more to come */
    r->esc_len = 0;
    if (n + 2 >= sizeof(r->esc))
        return;
    r->esc[n + 1] = 0;
    for (unsigned i = 0; i < ARRAY_LEN(sequences); i++)
        if (!strcmp(sequences[i].seq, r->esc))
            control(r, (u8)CTRL(sequences[i].key));
}

void readline_byte(struct readline *r, u8 b)
{
    bool after_cr = r->last_was_cr;

    r->last_was_cr = b == '\r';
    if (r->esc_len)
        escape(r, b);
    else if (b == '\r' || (b == '\n' && !after_cr))
        enter(r);
    else if (b < 32 || b == 127)
        control(r, b);
    else
        insert(r, (char *)&b, 1);
}

void readline_restart(struct readline *r)
{
    r->len = r->pos = r->esc_len = 0;
    r->at = r->history->len;
    r->prompt(r->opaque);
}

void readline_init(struct readline *r)
{
    r->history = g_ptr_array_new_with_free_func(g_free);
}

void readline_fini(struct readline *r)
{
    g_ptr_array_unref(r->history);
    g_free(r->draft);
}
