/* For tests that run emitted code: the block as the persistent cache would bring it back, a copy of its code at another place. */
#ifndef TESTS_LIB_TB_COPY_H
#define TESTS_LIB_TB_COPY_H
#include "accel/dbt/tb.h"
#include "cpu/ir/ir.h"

/* b has just been compiled for tb. Copies the code and puts the copy in tb->code; whoever came to the first one would leave. Nothing happens if the block
 * cannot be copied or the code cache is full. */
static inline void tb_to_copy(struct tb *tb, const struct ir_block *b)
{
    static u8 bytes[MiB];
    struct code_image im;
    struct compiled first = tb->code, copy;
    u32 n = backend_image_bytes(&first, &im);
    const struct image_place at = { b->pc, b->pc, b->mode, b->rel };
    if (!n || n > sizeof(bytes))
        return;
    backend_save(&first, tb, &im, bytes);
    int bad = backend_load(&im, bytes, &at, tb, &copy);
    if (bad == IMAGE_FULL)
        return;
    assert(!bad);
    backend_kill_block(&first);
    tb->code = copy;
}

#endif
