/* Short names for what is done most with json-glib in ui/: members of an object being built. Main thread. */
#ifndef UI_JSON_H
#define UI_JSON_H
#include <json-glib/json-glib.h>
#include "util/base.h"

static inline JsonBuilder *json_name(JsonBuilder *b, const char *name)
{
    return name ? json_builder_set_member_name(b, name) : b;
}
/* name: NULL for an element of an array. */
static inline void json_str(JsonBuilder *b, const char *name, const char *v)
{
    json_builder_add_string_value(json_name(b, name), v ? v : "");
}
static inline void json_int(JsonBuilder *b, const char *name, i64 v)
{
    json_builder_add_int_value(json_name(b, name), v);
}
static inline void json_bool(JsonBuilder *b, const char *name, bool v)
{
    json_builder_add_boolean_value(json_name(b, name), v);
}
static inline void json_open(JsonBuilder *b, const char *name)
{
    json_builder_begin_object(json_name(b, name));
}
static inline void json_close(JsonBuilder *b)
{
    json_builder_end_object(b);
}
static inline void json_open_array(JsonBuilder *b, const char *name)
{
    json_builder_begin_array(json_name(b, name));
}
static inline void json_close_array(JsonBuilder *b)
{
    json_builder_end_array(b);
}
/* The finished value; frees the builder. */
static inline JsonNode *json_take(JsonBuilder *b)
{
    JsonNode *n = json_builder_get_root(b);

    g_object_unref(b);
    return n;
}
static inline JsonNode *json_string_node(const char *s)
{
    JsonNode *n = json_node_alloc();

    return json_node_init_string(n, s);
}
static inline JsonNode *json_object_node(JsonObject *o)
{
    JsonNode *n = json_node_alloc();

    return json_node_init_object(n, o);
}

#endif
