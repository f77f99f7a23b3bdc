/* UUIDs from text and to it (RFC 4122, section 3). Any thread. */
#include "util/uuid.h"
#include <glib.h>

int uuid_parse(const char *text, u8 out[16])
{
    for (unsigned i = 0; i < 16; i++) {
        int hi, lo;
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return -1;
        hi = g_ascii_xdigit_value(text[0]);
        lo = hi < 0 ? -1 : g_ascii_xdigit_value(text[1]);
        if (lo < 0)
            return -1;
        out[i] = hi << 4 | lo;
        text += 2;
    }
    return *text ? -1 : 0;
}

char *uuid_text(const u8 uuid[16])
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < 16; i++)
        g_string_append_printf(s, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    return g_string_free(s, FALSE);
}
