/* Paths of unix sockets that servers listen on: taken at the start, removed at the end. Any thread. */
#ifndef UTIL_UNIX_PATH_H
#define UTIL_UNIX_PATH_H
#include "util/err.h"

/* Makes room for a socket of that type (SOCK_STREAM, SOCK_DGRAM) at path: one whose server is gone is removed; one in use and any other kind of file are refused. The path to be
 * removed in the end (absolute: the working folder may change), which the caller frees; NULL with e set. */
char *unix_path_claim(const char *path, int type, struct err *e);
/* Removes it and frees it; path may be NULL. */
void unix_path_remove(char *path);

#endif
