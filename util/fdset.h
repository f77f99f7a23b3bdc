/* Host descriptors that the user hands over instead of a path: named ones (QMP getfd; fd=NAME) and numbered sets (-add-fd, QMP add-fd),
 * whose members are opened as /dev/fdset/N. Main thread, except host_open. */
#ifndef UTIL_FDSET_H
#define UTIL_FDSET_H
#include "util/err.h"

/* open(2), always close-on-exec; /dev/fdset/N gives a duplicate of the set's descriptor that has the access mode of `flags`.
 * -1 with errno set. Any thread while no set changes. */
int host_open(const char *path, int flags, unsigned mode);

/* Puts fd, which belongs to the set from now on, into set number `set`; -1: the lowest free number. opaque: a note of the user's, may
 * be NULL. Returns the number of the set, or -1 with e set (fd is left alone). */
i64 fdset_add(i64 set, int fd, const char *opaque, struct err *e);
/* Closes fd, or all of the set if fd is -1. */
int fdset_remove(i64 set, int fd, struct err *e);
struct fdset_info {
    i64 set;
    int fd;
    const char *opaque; /* NULL if there is none */
};
/* The n-th descriptor of all sets, ordered by set; false past the last. */
bool fdset_nth(unsigned n, struct fdset_info *out);

/* getfd: keeps fd under that name, in place of one of the same name. Names begin with a letter. */
int fdname_add(const char *name, int fd, struct err *e);
int fdname_close(const char *name, struct err *e);
/* What an option fd=WORD means: the descriptor of that name, which belongs to the caller from now on, or the number of an inherited one.
 * -1 with e set. */
int fdname_take(const char *word, struct err *e);
void fdset_free_all(void);

#endif
