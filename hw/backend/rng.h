/* Sources of random bytes: -object rng-random,id=,filename= and rng-builtin,id=. Registered on the main thread before the machine
 * starts; read by any thread. */
#ifndef HW_BACKEND_RNG_H
#define HW_BACKEND_RNG_H
#include "util/base.h"

struct err;
struct opts;
struct rng;

/* o: "qom-type" (rng-random or rng-builtin), "id", "filename". NULL with e set. Main thread. */
struct rng *rng_new(struct opts *o, struct err *e);
/* By id; NULL as id: the kernel's generator. NULL if there is none of that name. */
struct rng *rng_find(const char *id);
/* A device uses it, or no longer does. Machine lock. */
void rng_use(struct rng *r, bool on);
/* object-del: -1 with e set if there is none of that id, or a device uses it. Main thread. */
int rng_del(const char *id, struct err *e);
void rng_free_all(void);
/* 0, or -errno: nothing was read. A file that has no bytes now fails with -EAGAIN. */
int rng_read(struct rng *r, void *buf, u64 len);

#endif
