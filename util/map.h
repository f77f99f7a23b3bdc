/* Mapping of large files into memory, so that the host can use huge pages for them. Any thread. */
#ifndef UTIL_MAP_H
#define UTIL_MAP_H
#include "util/base.h"

/* A shared view of the first size bytes of fd, whole pages, with mmap's prot. Where the size allows it begins at an address that huge pages can
 * begin at, and the host is asked for them. MAP_FAILED with errno set. */
void *map_shared(int fd, size_t size, int prot);

#endif
