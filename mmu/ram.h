/* Guest RAM blocks: memfd-backed host memory. Created at start-up by the main thread; read and written by anybody. */
#ifndef MMU_RAM_H
#define MMU_RAM_H
#include "mmu/addr.h"

struct err;
struct ram_block {
    const char *name;
    u8 *host;
    u64 size;
    int fd;
    u8 *code_bits; /* one bit a page: it holds translated code (mmu/codepage.h) */
};

/* size is rounded up to a page. NULL with e set if the host cannot give it. */
struct ram_block *ram_new(const char *name, u64 size, struct err *e);
void ram_free(struct ram_block *b);

#endif
