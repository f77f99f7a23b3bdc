/* A character back end for device tests that records output; input and events are delivered by the test. One thread. */
#ifndef TESTS_LIB_FAKE_CHR_H
#define TESTS_LIB_FAKE_CHR_H
#include "hw/backend/chr.h"

/* Found by chr_find(id). Freed by chr_free(). */
struct chr *fake_chr_new(const char *id);
/* What was written since the last call; NUL-terminated, valid until the next call or write. */
const char *fake_chr_output(struct chr *c);
/* Delivers as much of the text as the front end takes; returns how much. */
unsigned fake_chr_input(struct chr *c, const char *text);
void fake_chr_break(struct chr *c);
void fake_chr_event(struct chr *c, enum chr_event event);

#endif
