/* Option lists: the "NAME=VALUE,..." of a command-line option, or the members of a JSON object, as an ordered list of names and
 * strings. Whoever takes an option marks it as used, so that what nobody knows is refused by name. Main thread, or one thread
 * at a time. */
#ifndef UTIL_OPTS_H
#define UTIL_OPTS_H
#include "util/err.h"

struct opts;

/* "a=1,b=x,,y,c": ',,' is a comma inside a value, a bare word c means c=on (and noc means c=off only where the reader says
 * so). With `implied`, a bare first word is the value of that name ("file.img,if=ide"). A text that begins with '{' is a JSON
 * object: nested objects become dotted names ("file.filename"), arrays "name.0", "name.1", scalars their text (true: "on"; null: "").
 * Never NULL with implied or '=' syntax; NULL with e set for damaged JSON or an empty name. */
struct opts *opts_parse(const char *text, const char *implied, struct err *e);
/* The next piece of such a text, up to a single comma, with ",," made one; *text moves behind that comma. Caller frees. */
char *opts_piece(const char **text);
struct opts *opts_new(void);
struct opts *opts_copy(const struct opts *o);
void opts_free(struct opts *o); /* o may be NULL */
/* The text that opts_parse was given, or "" for a list put together by opts_set: for messages. */
const char *opts_text(const struct opts *o);

/* Sets or replaces. */
void opts_set(struct opts *o, const char *name, const char *value);
void opts_unset(struct opts *o, const char *name);
/* Of a name that is given more than once the first stays. Returns how often it was given. */
unsigned opts_keep_first(struct opts *o, const char *name);
/* The value (of the last one, if a name is given twice) or NULL; marks it as used. Borrowed until the list changes. */
const char *opts_get(struct opts *o, const char *name);
/* As opts_get but does not mark. */
const char *opts_peek(const struct opts *o, const char *name);
/* True if NAME or any NAME.x is there. */
bool opts_has(const struct opts *o, const char *name);

/* Typed reads: *out gets the value, or def if the name is absent. 0, or -1 with e set ("NAME=VALUE: ..."). */
int opts_bool(struct opts *o, const char *name, bool def, bool *out, struct err *e);
/* Decimal, 0x hexadecimal or 0 octal; min <= value <= max. */
int opts_uint(struct opts *o, const char *name, u64 def, u64 min, u64 max, u64 *out, struct err *e);
/* Bytes with an optional suffix B, K, M, G, T, P (powers of 1024). */
int opts_size(struct opts *o, const char *name, u64 def, u64 *out, struct err *e);
/* One of a NULL-terminated list of words; *out is its index. */
int opts_enum(struct opts *o, const char *name, const char *const *words, int def, int *out, struct err *e);

/* The names below NAME. ("file.driver" is "driver" in opts_sub(o, "file")), marked as used here; the caller owns the result, which is
 * empty if there are none. */
struct opts *opts_sub(struct opts *o, const char *name);
/* Puts all of `from` into o below NAME. (NULL: at the top), over what is there. */
void opts_merge(struct opts *o, const char *name, const struct opts *from);
unsigned opts_count(const struct opts *o);
const char *opts_name(const struct opts *o, unsigned i);
const char *opts_value(const struct opts *o, unsigned i);
void opts_mark_used(struct opts *o, unsigned i);
/* 0, or -1 with e naming the first option that nobody has looked at. */
int opts_all_used(const struct opts *o, struct err *e);

/* What an id= may be: a letter, then letters, digits, and any of - . _. 0, or -1 with e set. */
int id_check(const char *id, struct err *e);
/* "512", "512M", "1.5G": bytes, where a bare number counts `unit`. -1 on nonsense or overflow. */
int size_parse(const char *s, u64 unit, u64 *out);
/* The other way round, rounded as QEMU prints sizes: "1.38 MiB". Free with g_free. */
char *size_text(u64 bytes);

#endif
