/* Framing of JSON values in a byte stream; see json_stream.h. Main thread, called by ui/qmp.c. Source: RFC 8259. */
#include "ui/json_stream.h"

void json_stream_init(struct json_stream *s)
{
    *s = (struct json_stream){ .text = g_string_new(NULL) };
}

void json_stream_fini(struct json_stream *s)
{
    g_string_free(s->text, TRUE);
}

void json_stream_reset(struct json_stream *s)
{
    if (s->text->allocated_len > 64 * KiB) { /* one large message must not cost memory for ever */
        g_string_free(s->text, TRUE);
        s->text = g_string_new(NULL);
    }
    g_string_truncate(s->text, 0);
    *s = (struct json_stream){ .text = s->text };
}

static bool is_space(u8 b)
{
    return b == ' ' || b == '\t' || b == '\n' || b == '\r';
}

static enum json_stream_result string_byte(struct json_stream *s, u8 b)
{
    if (s->escaped)
        s->escaped = false;
    else if (b == '\\')
        s->escaped = true;
    else if (b == '"')
        s->in_string = false;
    return !s->in_string && s->depth == 0 ? JSON_DONE : JSON_MORE;
}

/* A word (number, true, or nonsense) at the top ends at white space. */
static enum json_stream_result word_byte(struct json_stream *s, u8 b)
{
    if (!is_space(b))
        return JSON_MORE;
    g_string_truncate(s->text, s->text->len - 1);
    return JSON_DONE;
}

static enum json_stream_result open_byte(struct json_stream *s, u8 b)
{
    switch (b) {
    case '{':
    case '[':
        return ++s->depth > JSON_DEPTH_MAX ? JSON_TOO_DEEP : JSON_MORE;
    case '}':
    case ']':
        if (s->depth == 0)
            return JSON_UNBALANCED;
        return --s->depth == 0 ? JSON_DONE : JSON_MORE;
    case '"':
        s->in_string = true;
        return JSON_MORE;
    }
    s->in_word = s->depth == 0;
    return JSON_MORE;
}

enum json_stream_result json_stream_feed(struct json_stream *s, u8 byte)
{
    if (!s->text->len && is_space(byte))
        return JSON_MORE;
    if (s->text->len >= JSON_STREAM_MAX)
        return JSON_TOO_LARGE;
    g_string_append_c(s->text, (char)byte);
    if (s->in_string)
        return string_byte(s, byte);
    if (s->in_word)
        return word_byte(s, byte);
    return open_byte(s, byte);
}
