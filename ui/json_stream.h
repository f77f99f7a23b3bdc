/* Finds the JSON values in a stream of bytes: where one ends is known before it is parsed, and neither its size nor its depth can
 * harm. Main thread; one for each QMP session. */
#ifndef UI_JSON_STREAM_H
#define UI_JSON_STREAM_H
#include <glib.h>
#include "util/base.h"

#define JSON_STREAM_MAX (16 * MiB) /* bytes of one value */
#define JSON_DEPTH_MAX 256         /* objects and arrays inside each other */

struct json_stream {
    GString *text;
    unsigned depth;
    bool in_string, escaped, in_word;
};
enum json_stream_result { JSON_MORE, JSON_DONE /* text is a value */, JSON_TOO_LARGE, JSON_TOO_DEEP, JSON_UNBALANCED };

void json_stream_init(struct json_stream *s);
void json_stream_fini(struct json_stream *s);
/* Takes one byte. After anything but JSON_MORE: look at text, then call json_stream_reset(). */
enum json_stream_result json_stream_feed(struct json_stream *s, u8 byte);
void json_stream_reset(struct json_stream *s);

#endif
