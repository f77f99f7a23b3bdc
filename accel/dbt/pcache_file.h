/* The form of the persistent cache's file, and what pcache.c and pcache_save.c share. Private to them and their tests. */
#ifndef ACCEL_DBT_PCACHE_FILE_H
#define ACCEL_DBT_PCACHE_FILE_H
#include "accel/dbt/pcache.h"

#define PCACHE_MAGIC "GEMELDBT"
#define PCACHE_VERSION 2
#define PCACHE_FILE_MAX (1024 * MiB)
#define PCACHE_GUEST_MAX 512    /* bytes of a block */
#define PCACHE_USED_UNIT 64     /* no record is smaller */

struct pcache_head {
    char magic[8];
    u32 sum;         /* of what follows */
    u32 zero;
    u8 key[32];
    u64 bytes;       /* of the file */
    u64 index;       /* offset of the index: 1 << index_bits places, of which at most half are taken */
    u32 index_bits, records;
    u32 run;         /* how often it was written */
    u32 zero2;
};
_Static_assert(sizeof(struct pcache_head) % 8 == 0 && sizeof(struct pcache_record) % 8 == 0 && sizeof(struct pcache_record) >= PCACHE_USED_UNIT, "form");

/* A record is in the first free place of the index from the one that its hash says on, so that a look at the index tells of nearly all that is not there. */
struct pcache_place {
    u32 hash;
    u32 at;          /* offset of the record / 8; 0: the place is free */
};
#define PCACHE_PLACES 64 /* that many are looked at, at most */
struct pcache_map {
    const struct pcache_head *head; /* NULL: there is no file, or none to be used */
    u64 bytes, inode;
};
struct pcache {
    char *dir, *name;
    bool named;          /* the user named dir */
    bool opened, usable;
    u64 limit;
    int dir_fd;
    u8 key[32];
    struct pcache_map map;
    u8 *used;            /* by offset / PCACHE_USED_UNIT: the record was */
    GByteArray *added;   /* records; NULL: none */
    u32 *seen;           /* hash set of what is there */
    unsigned n_seen;
    struct pcache_stats st;
};

u32 pcache_sum(const void *bytes, size_t n); /* n: a multiple of 8 */
u32 pcache_record_sum(const struct pcache_record *r);
/* Maps the file that is there now. False: none that can be used. */
bool pcache_map_file(struct pcache *p, struct pcache_map *m);
void pcache_unmap(struct pcache_map *m);
/* The record at an offset; NULL: there cannot be one. Its sum is not looked at. */
const struct pcache_record *pcache_at(const struct pcache_map *m, u64 off);
/* The record that is good for k; NULL: none. *any: one has its hash. Its sum is not looked at. */
const struct pcache_record *pcache_look_up(const struct pcache_map *m, const struct pcache_key *k, u32 hash, bool *any);
/* The record's code is good for k. */
bool pcache_matches(const struct pcache_record *r, const struct pcache_key *k);

#endif
