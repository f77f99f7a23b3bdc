/* The tree of memory regions that devices and machines build: RAM, ROM, I/O, containers, aliases. Changed under the
 * machine lock, in transactions; mmu/aspace.h renders it to flat immutable views. */
#ifndef MMU_REGION_H
#define MMU_REGION_H
#include "mmu/addr.h"

struct lock;
struct ram_block;
struct region;

/* Device access: `off` is relative to the region, `size` is 1, 2, 4 or 8, already cut to [min_size, max_size]: smaller
 * or larger guest accesses are widened or split by the dispatcher, which also holds the region's lock around the call. */
struct region_ops {
    u64 (*read)(void *opaque, u64 off, unsigned size);
    void (*write)(void *opaque, u64 off, u64 val, unsigned size);
    u8 min_size, max_size; /* 0 means 1 and 4 */
};

/* Optional, for registers that data stream through: up to n elements of `size` bytes, all at the same place, to or from buf: what INS and OUTS
 * with a repeat prefix do. Returns how many it has moved; 0: they come one by one. Called as region_ops are. */
struct region_strings {
    u32 (*read)(void *opaque, u64 off, unsigned size, void *buf, u32 n);
    u32 (*write)(void *opaque, u64 off, unsigned size, const void *buf, u32 n);
};

enum region_kind { REGION_CONTAINER, REGION_RAM, REGION_ROM, REGION_IO, REGION_ALIAS };

struct region {
    const char *name; /* borrowed; shown by info mtree */
    enum region_kind kind;
    u64 size;
    u64 addr;         /* in the parent */
    int prio;         /* higher hides lower where they overlap */
    bool enabled;
    const struct region_ops *ops; /* IO; ROM may have write ops (flash) */
    const struct region_strings *strings; /* IO; NULL: none. Set after region_init_io. */
    void *opaque;
    struct lock *lock;            /* held around ops; NULL: ops lock for themselves */
    struct ram_block *ram;        /* RAM, ROM */
    u64 ram_off;
    struct region *target;        /* ALIAS */
    u64 target_off;
    struct region *parent, *children, *next;
};

void region_init_container(struct region *r, const char *name, u64 size);
void region_init_ram(struct region *r, const char *name, struct ram_block *ram, u64 off, u64 size);
/* Reads come from ram; writes go to ops (NULL: ignored). */
void region_init_rom(struct region *r, const char *name, struct ram_block *ram, u64 off, u64 size,
                     const struct region_ops *ops, void *opaque, struct lock *lock);
void region_init_io(struct region *r, const char *name, u64 size, const struct region_ops *ops, void *opaque,
                    struct lock *lock);
void region_init_alias(struct region *r, const char *name, struct region *target, u64 target_off, u64 size);

/* Adds sub at addr of parent (a container). Each change outside a transaction is published at once. */
void region_add(struct region *parent, u64 addr, struct region *sub, int prio);
void region_del(struct region *sub);
void region_set_addr(struct region *r, u64 addr);
void region_set_enabled(struct region *r, bool on);
/* Turns a REGION_RAM into read-only (REGION_ROM) and back: PAM registers, shadow RAM. */
void region_set_readonly(struct region *r, bool ro);
/* Nestable; the outermost commit republishes the views of every address space. Machine lock. */
void region_txn_begin(void);
void region_txn_commit(void);

#endif
