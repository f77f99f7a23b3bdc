/* Inside of QMP: what a command gets, and how it answers. A command is one function of the type qmp_fn, one line in qmp_commands.def and
 * one entry in qmp.schema, by which its arguments were checked before it runs. Main thread, machine lock not held. */
#ifndef UI_QMP_CMD_H
#define UI_QMP_CMD_H
#include "accel/accel.h"
#include "hw/core/machine.h"
#include "ui/json.h"
#include "ui/qmp.h"

struct opts;
struct qmp_call {
    struct ui *ui;
    struct vm *vm;
    struct machine *m;
    struct chr *chr;   /* the session's back end, which may have passed descriptors; NULL from the monitor */
    JsonObject *args;
    JsonNode *ret;     /* the answer; NULL: an empty object */
    const char *cls;   /* of the error: "GenericError" unless set */
    struct err err;
};
/* 0, or -1 with c->err set. */
typedef int qmp_fn(struct qmp_call *c);

#define QMP(name, fn) qmp_fn fn;
#include "ui/qmp_commands.def"
#undef QMP

qmp_fn *qmp_fn_find(const char *name);

/* Arguments. */
bool qmp_has(const struct qmp_call *c, const char *name);
const char *qmp_str(const struct qmp_call *c, const char *name); /* NULL if absent */
i64 qmp_int(const struct qmp_call *c, const char *name, i64 def);
bool qmp_bool(const struct qmp_call *c, const char *name, bool def);
/* All arguments as an option list ("a.b" for nested ones). Caller frees. */
struct opts *qmp_opts(const struct qmp_call *c);
/* What was built is the answer; frees the builder. Returns 0. */
int qmp_answer(struct qmp_call *c, JsonBuilder *b);
/* An error of another class: "DeviceNotFound", "DeviceNotActive", "KVMMissingCap". Returns -1. */
int qmp_fail(struct qmp_call *c, const char *cls, const char *fmt, ...) PRINTF(3, 4);
int qmp_no_device(struct qmp_call *c, const char *name);

/* --- qmp.c and qmp_event.c only --- */
/* To every session that has finished its negotiation. */
void qmp_broadcast(JsonNode *event);

#endif
