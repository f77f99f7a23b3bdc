/* The region tree and its transactions. Machine lock (or the main thread before the machine runs). */
#include "mmu/region.h"
#include "mmu/aspace_priv.h"
#include "mmu/ram.h"

static unsigned txn_depth; /* machine lock */
static bool txn_changed;

static void init(struct region *r, const char *name, enum region_kind kind, u64 size)
{
    *r = (struct region){ .name = name, .kind = kind, .size = size, .enabled = true };
}

void region_init_container(struct region *r, const char *name, u64 size) { init(r, name, REGION_CONTAINER, size); }

void region_init_ram(struct region *r, const char *name, struct ram_block *ram, u64 off, u64 size)
{
    assert(off + size <= ram->size);
    init(r, name, REGION_RAM, size);
    r->ram = ram;
    r->ram_off = off;
}

void region_init_rom(struct region *r, const char *name, struct ram_block *ram, u64 off, u64 size,
                     const struct region_ops *ops, void *opaque, struct lock *lock)
{
    region_init_ram(r, name, ram, off, size);
    r->kind = REGION_ROM;
    r->ops = ops;
    r->opaque = opaque;
    r->lock = lock;
}

void region_init_io(struct region *r, const char *name, u64 size, const struct region_ops *ops, void *opaque,
                    struct lock *lock)
{
    init(r, name, REGION_IO, size);
    r->ops = ops;
    r->opaque = opaque;
    r->lock = lock;
}

void region_init_alias(struct region *r, const char *name, struct region *target, u64 target_off, u64 size)
{
    init(r, name, REGION_ALIAS, size);
    r->target = target;
    r->target_off = target_off;
}

static void changed(void)
{
    txn_changed = true;
    if (txn_depth == 0) {
        txn_changed = false;
        aspace_publish_all();
    }
}

void region_txn_begin(void) { txn_depth++; }

void region_txn_commit(void)
{
    assert(txn_depth > 0);
    if (--txn_depth == 0 && txn_changed)
        changed();
}

/* Children are kept in the order in which they win: priority first, then the newest. */
void region_add(struct region *parent, u64 addr, struct region *sub, int prio)
{
    assert(parent->kind == REGION_CONTAINER && !sub->parent);
    sub->parent = parent;
    sub->addr = addr;
    sub->prio = prio;
    struct region **p = &parent->children;
    while (*p && (*p)->prio > prio)
        p = &(*p)->next;
    sub->next = *p;
    *p = sub;
    changed();
}

void region_del(struct region *sub)
{
    struct region **p = &sub->parent->children;
    while (*p != sub)
        p = &(*p)->next;
    *p = sub->next;
    sub->parent = NULL;
    sub->next = NULL;
    changed();
}

void region_set_addr(struct region *r, u64 addr)
{
    if (r->addr == addr)
        return;
    r->addr = addr;
    changed();
}

void region_set_enabled(struct region *r, bool on)
{
    if (r->enabled == on)
        return;
    r->enabled = on;
    changed();
}

void region_set_readonly(struct region *r, bool ro)
{
    assert(r->kind == REGION_RAM || r->kind == REGION_ROM);
    enum region_kind k = ro ? REGION_ROM : REGION_RAM;
    if (r->kind == k)
        return;
    r->kind = k;
    changed();
}
