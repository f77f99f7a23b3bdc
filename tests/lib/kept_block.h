/* Blocks as the persistent cache takes them, without a translator. Test thread; used by the tests of accel/dbt/pcache.h. */
#ifndef TESTS_LIB_KEPT_BLOCK_H
#define TESTS_LIB_KEPT_BLOCK_H
#include "accel/dbt/tb.h"

/* Compiles b and describes it, with the guest's bytes that it was made of, but for its hash and whether it is to be kept. */
static inline struct tb *kept_block(struct tb_store *store, const struct ir_block *b, const u8 *guest)
{
    u32 fields = b->n_fields * (u32)sizeof(struct ir_field);
    struct tb *tb = tb_new(store);
    g_assert_cmpint(backend_compile(b, tb, &tb->code), ==, 0);
    tb->pc = b->pc;
    tb->mode = b->mode;
    tb->len = (u16)b->len;
    tb->n_insns = (u16)b->n_insns;
    tb->moves = b->moves;
    tb->n_fields = (u16)b->n_fields;
    tb->source = tb_store_bytes(store, fields + b->len);
    memcpy(tb->source, b->field, fields);
    memcpy(tb->source + fields, guest, b->len);
    return tb;
}

#endif
