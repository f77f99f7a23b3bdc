/* The way of events from devices and back ends to the one who reports them; see event.h. Any thread. */
#include "util/event.h"

static struct {
    void (*fn)(void *opaque, const char *name, const struct event_member *members);
    void *opaque;
} sink;

void event_set_sink(void (*fn)(void *opaque, const char *name, const struct event_member *members), void *opaque)
{
    sink.opaque = opaque;
    __atomic_store_n(&sink.fn, fn, __ATOMIC_RELEASE);
}

void event_emit(const char *name, const struct event_member *members)
{
    static const struct event_member none[] = { EVENT_DONE };
    void (*fn)(void *, const char *, const struct event_member *) = __atomic_load_n(&sink.fn, __ATOMIC_ACQUIRE);

    if (fn)
        fn(sink.opaque, name, members ? members : none);
}
