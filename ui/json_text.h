/* JSON as text, spaced as QEMU does it: scripts look for "\"return\": {}". Main thread. */
#ifndef UI_JSON_TEXT_H
#define UI_JSON_TEXT_H
#include <json-glib/json-glib.h>
#include "util/base.h"

/* pretty: one member a line, indented by four blanks. Caller frees. */
char *json_text(JsonNode *n, bool pretty);

#endif
