/* Events for whoever manages the VM: what QMP reports asynchronously (SHUTDOWN, BLOCK_IO_ERROR, DEVICE_DELETED ...). Devices and back
 * ends emit them by name with typed members; one sink, set by ui/, turns them into messages. Any thread, any lock held. */
#ifndef UTIL_EVENT_H
#define UTIL_EVENT_H
#include "util/base.h"

struct event_member {
    const char *name; /* dotted for nested objects: "device.id" */
    enum { EV_END, EV_STR, EV_BOOL, EV_INT, EV_ENUM } kind;
    const char *str;  /* EV_STR (NULL: the member is left out), EV_ENUM */
    i64 n;            /* EV_INT, EV_BOOL */
};
#define EVENT_STR(name, s) { name, EV_STR, s, 0 }
#define EVENT_ENUM(name, s) { name, EV_ENUM, s, 0 }
#define EVENT_INT(name, i) { name, EV_INT, NULL, i }
#define EVENT_BOOL(name, b) { name, EV_BOOL, NULL, b }
#define EVENT_DONE { NULL, EV_END, NULL, 0 }

/* name: QMP's. members: ends with EVENT_DONE; copied by the sink before this returns; NULL: none. Lost if nobody listens. */
void event_emit(const char *name, const struct event_member *members);
/* The sink is called in the emitter's thread and must not block nor take a lock of a rank below RANK_LOG. NULL: none. Main thread, before
 * vCPUs run. */
void event_set_sink(void (*fn)(void *opaque, const char *name, const struct event_member *members), void *opaque);

#endif
