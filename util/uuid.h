/* UUIDs from text and to it. Any thread. */
#ifndef UTIL_UUID_H
#define UTIL_UUID_H
#include "util/base.h"

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", into bytes in the order of the text. -1 if it is none. */
int uuid_parse(const char *text, u8 out[16]);
/* The other way round. The caller frees. */
char *uuid_text(const u8 uuid[16]);

#endif
