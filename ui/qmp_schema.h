/* The QMP schema (ui/qmp.schema) as tables: what commands, events and types there are, and whether arguments fit. Main thread. */
#ifndef UI_QMP_SCHEMA_H
#define UI_QMP_SCHEMA_H
#include <json-glib/json-glib.h>
#include "util/err.h"

enum qmp_def_kind { QMP_COMMAND, QMP_EVENT, QMP_STRUCT /* and unions */, QMP_ENUM, QMP_ALTERNATE };
/* A union's further members if its tag has that value. */
struct qmp_case {
    const char *value, *type;
};
struct qmp_member {
    const char *name, *type; /* "str", "[str]", "RunState" */
    bool optional;
};
struct qmp_def {
    enum qmp_def_kind kind;
    const char *name;
    const char *ret;          /* command: type of the answer, NULL: an empty object */
    bool oob, open;
    const char *takes;        /* command: its arguments are that type's members; NULL: `members` */
    const char *tag;          /* union: the member that chooses a case; NULL: a plain struct */
    GArray *members;          /* struct qmp_member */
    GArray *cases;            /* union: struct qmp_case */
    GPtrArray *values;        /* enum: strings; alternate: types */
};

/* Structs, enums and alternates share their names: to look for one of them finds any. */
const struct qmp_def *qmp_def_find(enum qmp_def_kind kind, const char *name);
const struct qmp_def *qmp_def_nth(unsigned i); /* in the order of the file; NULL past the last */
/* Checks the members of `args` against a command's or event's; 0, or -1 with e set as QEMU says it. */
int qmp_check_args(const struct qmp_def *d, JsonObject *args, struct err *e);
/* Checks a value against a type: answers and events in tests. */
int qmp_check_value(const char *type, JsonNode *n, const char *name, struct err *e);
/* What query-qmp-schema answers. Caller frees. */
JsonNode *qmp_introspect(void);

#endif
