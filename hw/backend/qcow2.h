/* Inside of the qcow2 driver (versions 2 and 3). `lock` guards all metadata; data is read and written without it. Specification: QEMU's
 * docs/interop/qcow2.txt, whose field names are used.
 *
 * Order of writes: data and refcounts reach the disk before the L2 and L1 entries that refer to them, and what those no longer refer to is
 * freed only afterwards (`pending`): whenever the process or the host dies, what was flushed is there and at worst clusters are leaked.
 * A cluster is freed only when nobody who looked it up is still reading or writing it (the gate). */
#ifndef HW_BACKEND_QCOW2_H
#define HW_BACKEND_QCOW2_H
#include <glib.h>
#include <stdio.h>
#include "hw/backend/blk_int.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */
#define L1E_OFFSET 0x00fffffffffffe00ull
#define L2E_OFFSET 0x00fffffffffffe00ull
#define OFLAG_COPIED BIT64(63)
#define OFLAG_COMPRESSED BIT64(62)
#define OFLAG_ZERO BIT64(0)
#define REFT_OFFSET 0xfffffffffffffe00ull

enum { INCOMPAT_DIRTY = 1, INCOMPAT_CORRUPT = 2, INCOMPAT_DATA_FILE = 4, INCOMPAT_COMPRESSION = 8, INCOMPAT_EXTL2 = 16 };
enum { COMPAT_LAZY = 1 };
enum { EXT_END = 0, EXT_BACKING_FORMAT = 0xe2792aca, EXT_FEATURES = 0x6803f857 };

#define MAX_L1 (32 * MiB)
#define MAX_REFT (8 * MiB)
#define MAX_SNAPSHOTS 65536
#define MAX_SNAPSHOT_TABLE (64 * MiB)

/* The header's fields, in the host's byte order. */
struct qcow2_header {
    u32 version;
    u64 backing_file_offset;
    u32 backing_file_size, cluster_bits;
    u64 size;
    u32 crypt_method, l1_size;
    u64 l1_table_offset, refcount_table_offset;
    u32 refcount_table_clusters, nb_snapshots;
    u64 snapshots_offset;
    u64 incompatible, compatible, autoclear;
    u32 refcount_order, header_length;
    u8 compression;
};

struct qcow2_ext {
    u32 type, len;
    u8 *data;
};

/* A table (L2 or refcount block) in memory. */
struct qcow2_table {
    u64 off;
    u8 *data;
    u64 used;          /* for the least recently used */
    u32 lo, hi;        /* dirty bytes; lo >= hi: clean */
};

struct qcow2_cache {
    GHashTable *at;    /* offset -> struct qcow2_table */
    unsigned max, dirty;
    u64 clock;
};

struct qcow2_snapshot {
    u64 l1_table_offset;
    u32 l1_size;
    char *id, *name;
    u32 date_sec, date_nsec;
    u64 vm_clock_nsec, vm_state_size, disk_size, icount;
    u8 *extra;         /* unknown extra data behind what is above */
    u32 extra_len, known_len; /* known_len: how many of vm_state_size, disk_size, icount there were, in bytes */
};

/* Counts those who use looked-up places, in two generations, so that one can be waited for while the next begins. */
struct qcow2_gate {
    pthread_mutex_t m;
    pthread_cond_t c;
    unsigned users[2], now;
};

struct qcow2_range {
    u64 off, len;
};

struct qcow2 {
    struct blk_node *n;
    struct lock lock;
    struct qcow2_header h;
    u64 cluster_size;
    unsigned l2_bits;          /* log2 of entries in an L2 table */
    unsigned rb_bits;          /* log2 of entries in a refcount block */
    u64 refcount_max;
    u64 *l1;
    u32 l1_lo, l1_hi;          /* dirty entries */
    u64 *rt;                   /* refcount table */
    u32 rt_size;               /* entries */
    struct qcow2_cache l2c, rbc;
    GHashTable *meta;          /* clusters in use by metadata, by number: no data may be written there */
    char *backing_file, *backing_format;
    GArray *exts;              /* struct qcow2_ext, all but the two above */
    u8 *header_tail;           /* bytes of the header beyond what we know */
    u32 header_tail_len;
    GArray *snapshots;         /* struct qcow2_snapshot */
    u64 free_hint;             /* cluster number; none below it is free */
    u64 file_end;              /* beyond it the file was never written: zeros */
    u64 comp_off;              /* where the next compressed cluster may go, 0: in a new cluster */
    GArray *pending;           /* struct qcow2_range: to be freed after the next sync */
    GArray *allocating;        /* struct qcow2_range: guest clusters that writers are allocating */
    pthread_cond_t allocated;  /* one of them is done */
    struct qcow2_gate gate;
    bool lazy, dirty_marked, broken;
    /* the last decompressed cluster */
    pthread_mutex_t comp_lock;
    u64 comp_entry;            /* its L2 entry, 0: none */
    u8 *comp_data;
};

enum qcow2_kind { Q_UNALLOCATED, Q_ZERO, Q_ZERO_ALLOC, Q_NORMAL, Q_COMPRESSED };

/* A stretch of guest clusters of one kind. */
struct qcow2_run {
    enum qcow2_kind kind;
    u64 len;                   /* bytes from the asked offset, within one L2 table */
    u64 host;                  /* NORMAL, ZERO_ALLOC: where the asked offset is; consecutive */
    bool copied;
    u64 entry;                 /* the first one's L2 entry */
};

static inline u64 be64_at(const void *p) { return __builtin_bswap64(ld64(p)); }
static inline u32 be32_at(const void *p) { return __builtin_bswap32(ld32(p)); }
static inline u16 be16_at(const void *p) { return __builtin_bswap16(ld16(p)); }
static inline void put_be64(void *p, u64 v) { st64(p, __builtin_bswap64(v)); }
static inline void put_be32(void *p, u32 v) { st32(p, __builtin_bswap32(v)); }
static inline void put_be16(void *p, u16 v) { st16(p, __builtin_bswap16(v)); }
static inline u64 in_cluster(const struct qcow2 *s, u64 off) { return off & (s->cluster_size - 1); }
static inline u64 clusters_of(const struct qcow2 *s, u64 bytes) { return (bytes + s->cluster_size - 1) >> s->h.cluster_bits; }

/* Everything below: lock held, 0 or -errno, unless stated. */

/* qcow2.c */
int qcow2_write_header(struct qcow2 *s);         /* the fixed fields only */
int qcow2_rewrite_header(struct qcow2 *s);       /* with extensions and backing file name; -ENOSPC if it does not fit */
int qcow2_corrupt(struct qcow2 *s, const char *fmt, ...) PRINTF(2, 3); /* marks and reports a damaged image; -EIO */
int qcow2_mark_dirty(struct qcow2 *s);           /* before refcounts may lag behind */
int qcow2_load_l1(struct qcow2 *s, u64 off, u32 entries, u64 **out);
void qcow2_meta_add(struct qcow2 *s, u64 off, u64 len);
void qcow2_meta_del(struct qcow2 *s, u64 off, u64 len);
/* -EIO if data would overwrite metadata. */
int qcow2_check_data(struct qcow2 *s, u64 off, u64 len);

/* qcow2_cache.c */
void qcow2_cache_init(struct qcow2_cache *c, unsigned max);
void qcow2_cache_fini(struct qcow2_cache *c);
/* The table at `off`, read if it is not there. Valid until five more were asked for. */
int qcow2_cache_get(struct qcow2 *s, struct qcow2_cache *c, u64 off, struct qcow2_table **out);
struct qcow2_table *qcow2_cache_peek(struct qcow2_cache *c, u64 off);
/* A table of zeros that takes the place of whatever was at `off`; not written. */
int qcow2_cache_new(struct qcow2 *s, struct qcow2_cache *c, u64 off, struct qcow2_table **out);
void qcow2_table_dirty(struct qcow2_cache *c, struct qcow2_table *t, u32 lo, u32 hi);
void qcow2_cache_forget(struct qcow2_cache *c, u64 off);
void qcow2_cache_drop(struct qcow2_cache *c);    /* all; loses what is dirty */
/* Writes all metadata in order; frees nothing. */
int qcow2_sync(struct qcow2 *s);
/* Lock NOT held: syncs, flushes the file and frees what is pending. */
int qcow2_flush_all(struct qcow2 *s);
void qcow2_gate_init(struct qcow2_gate *g);
unsigned qcow2_gate_enter(struct qcow2_gate *g); /* lock held or not */
void qcow2_gate_leave(struct qcow2_gate *g, unsigned cookie);
void qcow2_gate_wait(struct qcow2_gate *g);      /* lock NOT held: until all who are in now have left */

/* qcow2_refcount.c */
int qcow2_refcount_get(struct qcow2 *s, u64 cluster, u64 *out);
/* -ENOENT if there is no refcount block for it. */
int qcow2_refcount_set(struct qcow2 *s, u64 cluster, u64 count);
/* Adds to the counts of all clusters that the range touches. */
int qcow2_refcount_add(struct qcow2 *s, u64 off, u64 len, i64 add);
/* Up to n consecutive clusters, at least min; their count is 1 then. */
int qcow2_alloc(struct qcow2 *s, u64 n, u64 min, u64 *off, u64 *got);
/* Frees when it is safe. */
void qcow2_free_later(struct qcow2 *s, u64 off, u64 len);
void qcow2_free_entry(struct qcow2 *s, u64 l2_entry);
/* Writes a new refcount structure for the counts that fn gives, in place of the old one; for check and repair. */
int qcow2_rebuild_refcounts(struct qcow2 *s, u64 clusters, u64 (*fn)(void *opaque, u64 cluster), void *opaque);

/* qcow2_cluster.c */
enum qcow2_kind qcow2_kind_of(const struct qcow2 *s, u64 entry);
void qcow2_compressed_range(const struct qcow2 *s, u64 entry, u64 *off, u64 *len);
int qcow2_lookup(struct qcow2 *s, u64 off, u64 len, struct qcow2_run *r);
/* Without I/O; -EAGAIN if it would need some. */
int qcow2_lookup_cached(struct qcow2 *s, u64 off, u64 len, struct qcow2_run *r);
/* The L2 table of a guest offset, made or copied so that it may be changed. */
int qcow2_l2_for_write(struct qcow2 *s, u64 off, struct qcow2_table **t);
u64 qcow2_l2_get(const struct qcow2 *s, const struct qcow2_table *t, u64 off);
void qcow2_l2_set(struct qcow2 *s, struct qcow2_table *t, u64 off, u64 entry);

/* qcow2_io.c: a blk_driver's functions, lock NOT held */
int qcow2_read(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len);
int qcow2_write(struct blk_node *n, u64 off, const struct iovec *iov, unsigned n_iov, u64 len);
int qcow2_zero(struct blk_node *n, u64 off, u64 len, unsigned flags);
int qcow2_discard(struct blk_node *n, u64 off, u64 len);
int qcow2_map(struct blk_node *n, u64 off, u64 len, bool write, struct blk_map *out);
void qcow2_unmap(struct blk_node *n, unsigned cookie);
int qcow2_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x);
/* Allocates clusters for [off, off + len) without writing data (preallocation). */
int qcow2_preallocate(struct blk_node *n, u64 off, u64 len);

/* qcow2_compress.c: lock NOT held */
int qcow2_read_compressed(struct qcow2 *s, u64 entry, u64 in, const struct iovec *iov, unsigned n_iov, u64 skip, u64 len);
int qcow2_write_compressed(struct blk_node *n, u64 off, const void *buf, u64 len);

/* qcow2_snapshot.c */
u64 qcow2_snapshot_table_size(const struct qcow2 *s); /* bytes */
/* Compares (and, with `set`, corrects) the COPIED flags of all entries of the active tables with the counts; counts findings. */
int qcow2_update_copied(struct qcow2 *s, bool set, FILE *out, u64 *wrong, u64 *mended);
int qcow2_snapshots_load(struct qcow2 *s, struct err *e);
void qcow2_snapshots_free(struct qcow2 *s);

/* qcow2_create.c */
int qcow2_create(const struct blk_create *c, struct err *e);
int qcow2_truncate(struct blk_node *n, u64 size, const char *preallocation, struct err *e);

#endif
