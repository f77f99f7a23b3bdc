/* QMP commands about the memory balloon. Main thread, from ui/qmp.c. */
#include "hw/core/balloon.h"
#include "ui/qmp_cmd.h"

static const char no_balloon[] = "No balloon device has been activated";

int qmp_balloon(struct qmp_call *c)
{
    i64 value = qmp_int(c, "value", 0);
    bool there;

    lock_acquire(&c->m->lock);
    there = c->m->balloon != NULL;
    if (there && value > 0)
        c->m->balloon->set_target(c->m->balloon->opaque, (u64)value);
    lock_release(&c->m->lock);
    if (!there)
        return qmp_fail(c, "DeviceNotActive", "%s", no_balloon);
    return value > 0 ? 0 : err_set(&c->err, "Parameter 'target' expects a size");
}

int qmp_query_balloon(struct qmp_call *c)
{
    JsonBuilder *b;
    i64 actual = -1;

    lock_acquire(&c->m->lock);
    if (c->m->balloon)
        actual = (i64)c->m->balloon->actual(c->m->balloon->opaque);
    lock_release(&c->m->lock);
    if (actual < 0)
        return qmp_fail(c, "DeviceNotActive", "%s", no_balloon);
    b = json_builder_new();
    json_open(b, NULL);
    json_int(b, "actual", actual);
    json_close(b);
    return qmp_answer(c, b);
}
