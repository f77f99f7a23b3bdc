/* -object secret,id=ID,data=TEXT|file=PATH[,format=raw|base64]: passwords that other options name by id. Read by secret_get() in
 * hw/backend/object.h. Main thread. */
#ifndef HW_BACKEND_SECRET_H
#define HW_BACKEND_SECRET_H
#include "hw/backend/object.h"

int secret_add(struct opts *o, struct err *e);
int secret_del(const char *id, struct err *e);
void secret_free_all(void);

#endif
