/* -object, object-add: things with an id that are neither devices nor disks nor networks: sources of random bytes, packet dumps, secrets,
 * I/O threads. Each type is a row of the table in object.c. Main thread. */
#ifndef HW_BACKEND_OBJECT_H
#define HW_BACKEND_OBJECT_H
#include "util/base.h"

struct err;
struct opts;

/* o: "qom-type", "id" and the type's own; may be freed afterwards. 0, or -1 with e set. */
int object_add(struct opts *o, struct err *e);
int object_check_type(const char *type, struct err *e); /* type: NULL if it was not given */
int object_del(const char *id, struct err *e);
void object_free_all(void);
/* Types and objects for lists; NULL past the last. */
const char *object_type_nth(unsigned i);
struct object;
const struct object *object_nth(unsigned i);
const struct object *object_find(const char *id);
const char *object_id(const struct object *ob);
const char *object_type(const struct object *ob);
/* What it was made with. */
const struct opts *object_opts(const struct object *ob);

/* -object secret: its bytes, or NULL with e set if there is none of that id. Borrowed while the object is there; *len may be NULL. */
const u8 *secret_get(const char *id, u64 *len, struct err *e);

#endif
