/* The recording character back end of the device tests: one more kind behind the base object of hw/backend/chr.c. */
#include "tests/lib/fake_chr.h"
#include "hw/backend/chr_impl.h"

struct fake_chr {
    GString *out, *shown;
};

static int fake_open(struct chr *c, struct opts *o, struct err *e)
{
    struct fake_chr *f = g_new0(struct fake_chr, 1);
    f->out = g_string_new(NULL);
    f->shown = g_string_new(NULL);
    c->priv = f;
    return 0;
}

static void fake_write(struct chr *c, const u8 *buf, unsigned len)
{
    g_string_append_len(((struct fake_chr *)c->priv)->out, (const char *)buf, len);
}

static unsigned fake_pending(struct chr *c)
{
    return 0;
}

static void fake_close(struct chr *c)
{
    struct fake_chr *f = c->priv;
    g_string_free(f->out, TRUE);
    g_string_free(f->shown, TRUE);
    g_free(f);
}

static const struct chr_kind fake_kind = {
    .name = "fake", .open = fake_open, .write = fake_write, .pending = fake_pending, .close = fake_close,
};

struct chr *fake_chr_new(const char *id)
{
    struct err e;
    struct chr *c = chr_open(id, &fake_kind, NULL, &e);
    g_assert_nonnull(c);
    return c;
}

const char *fake_chr_output(struct chr *c)
{
    struct fake_chr *f = c->priv;
    GString *t = f->shown;
    f->shown = f->out;
    f->out = t;
    g_string_truncate(f->out, 0);
    return f->shown->str;
}

unsigned fake_chr_input(struct chr *c, const char *text)
{
    unsigned n = MIN_OF(chr_can_read(c), (unsigned)strlen(text));
    chr_deliver(c, (const u8 *)text, n);
    return n;
}

void fake_chr_break(struct chr *c)
{
    chr_send_event(c, CHR_BREAK);
}

void fake_chr_event(struct chr *c, enum chr_event event)
{
    chr_send_event(c, event);
}
