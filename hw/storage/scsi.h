/* SCSI: logical units (a disk or a CD-ROM drive behind a block back end), commands on them, and the bus that host adapters provide for
 * scsi-hd and scsi-cd. ATAPI drives are logical units without a bus. Everything here: the unit's lock held (the bus's, or the
 * machine lock), any thread. SAM-5, SPC-4, SBC-3, MMC-6. */
#ifndef HW_STORAGE_SCSI_H
#define HW_STORAGE_SCSI_H
#include <sys/uio.h>
#include "hw/core/device.h"

struct lock;
struct blk;
struct scsi_req;
struct scsi_lu;
struct scsi_bus;
struct iothread;

enum { SCSI_GOOD = 0x00, SCSI_CHECK_CONDITION = 0x02 };                   /* SAM-5, 5.3.1: status codes that occur */
enum { SCSI_CDB_SIZE = 16, SCSI_SENSE_SIZE = 18, SCSI_REQ_BUF = 4096 + 64 };

/* -- commands ------------------------------------------------------------------------------------------------------------
 *
 * The adapter fills in lu, cdb, ops and opaque and calls scsi_start. The unit answers with ops->data, as often as there are bytes left to
 * move, and once with ops->done; both may come inside scsi_start or scsi_data. The adapter answers `data` with scsi_data, at once or
 * later. */

enum scsi_dir { SCSI_NO_DATA, SCSI_DATA_IN /* to the guest */, SCSI_DATA_OUT };

struct scsi_req_ops {
    /* The command moves len - moved more bytes in direction dir: give them a place with scsi_data. */
    void (*data)(struct scsi_req *r);
    /* Finished: status, sense and moved are final; the request may be used again or freed. */
    void (*done)(struct scsi_req *r);
};

struct scsi_req {
    /* the adapter's */
    struct scsi_lu *lu;
    const struct scsi_req_ops *ops;
    void *opaque;
    u8 cdb[SCSI_CDB_SIZE];
    /* results */
    u8 dir;               /* enum scsi_dir */
    u8 status;
    u8 sense_len;         /* 0, or SCSI_SENSE_SIZE with CHECK CONDITION */
    u8 sense[SCSI_SENSE_SIZE]; /* fixed format */
    u64 len, moved;       /* bytes of the data phase */
    /* inside */
    u8 phase;             /* enum scsi_phase of scsi_impl.h */
    bool cancelled;
    u64 off;              /* where on the disk the next byte goes, or the range's start */
    u64 range;            /* what is left of a command that works without the adapter: bytes of disk, or of a list */
    u64 piece;            /* of len or range: what the block layer has at the moment */
    u32 buf_len;          /* bytes in buf; 0: the data phase is the disk's */
    u8 *scratch;          /* what WRITE SAME writes */
    struct scsi_req *next; /* in lu->active */
    u8 buf[SCSI_REQ_BUF]; /* of commands whose data are not the disk's */
};

/* Starts the command in r->cdb; r stays the unit's until ops->done. */
void scsi_start(struct scsi_req *r);
/* The next bytes of the data phase come from or go to iov (host memory, valid until the next ops->data or done; the array is copied). Bytes
 * beyond len - moved stay untouched. Without any room (n_iov 0) the command ends with what was moved. */
void scsi_data(struct scsi_req *r, const struct iovec *iov, unsigned n_iov);
/* Ends r without calling ops->done: task management, resets. What the disk has begun is completed first. */
void scsi_cancel(struct scsi_req *r);
/* The same for every request of the unit, which is left as after a LOGICAL UNIT RESET: unit attention, medium unlocked. */
void scsi_lu_reset(struct scsi_lu *lu);
/* Saved fields of a request. Before a save the back ends are drained, so that it waits for scsi_data or sits in the block layer for
 * werror=stop. With the adapter's fields filled in again, scsi_resume() takes such a request back, silently, and scsi_post_load() goes on
 * with it: repeats ops->data or the disk's part. Both return false if the loaded fields make no sense, and forget the request. A request that may
 * have been under way when its fields were overwritten goes to scsi_forget() first. */
extern const struct snap_field scsi_req_fields[];
void scsi_forget(struct scsi_req *r);
bool scsi_resume(struct scsi_req *r);
bool scsi_post_load(struct scsi_req *r);

/* -- logical units ------------------------------------------------------------------------------------------------------- */

struct scsi_lu_ops {
    /* Something that the guest wants to know at once: capacity or medium changed. asc, ascq: the unit attention (optional). */
    void (*attention)(struct scsi_lu *lu, u8 asc, u8 ascq);
};

struct scsi_lu {
    /* the owner's, before scsi_lu_init; strings borrowed */
    struct device *dev;
    struct lock *lock;
    const struct scsi_lu_ops *ops; /* may be NULL */
    struct blk *blk;       /* NULL: a CD-ROM drive that never has a medium */
    bool share_rw;         /* other writers of the medium are let in */
    bool cdrom;
    bool atapi;            /* INQUIRY says so, no REPORT LUNS */
    bool removable;        /* disks */
    bool dpofua;
    bool write_cache;      /* WCE at power-on */
    u32 block_size;        /* bytes: 512..4096 for disks, 2048 for CD-ROM */
    u32 physical_block_size;
    u32 max_io_size;       /* bytes, 0: no limit */
    u32 max_unmap_size, discard_granularity;
    u16 rotation_rate;
    u8 scsi_version;       /* INQUIRY byte 2 */
    const char *vendor, *product, *version, *serial, *device_id;
    u64 wwn, port_wwn;
    u16 port_index;
    /* state */
    u8 sense_key, asc, ascq;         /* what REQUEST SENSE tells */
    u8 ua_asc, ua_ascq;              /* pending unit attention, ua_asc 0: none */
    bool tray_open, tray_locked, wce;
    u8 media_event;                  /* GET EVENT STATUS NOTIFICATION: 0, or the event not told yet */
    struct scsi_req *active;
};

/* Attaches the back end: 0, or -1 with e set. */
int scsi_lu_init(struct scsi_lu *lu, struct err *e);
/* Cancels requests, detaches. Harmless if scsi_lu_init failed or was not called. */
void scsi_lu_fini(struct scsi_lu *lu);
/* Blocks on the medium; 0 without one. */
u64 scsi_lu_blocks(const struct scsi_lu *lu);
bool scsi_lu_ready(const struct scsi_lu *lu);
extern const struct snap_field scsi_lu_fields[];

/* -- the bus ------------------------------------------------------------------------------------------------------------- */

/* What the adapter is told; all optional. */
struct scsi_bus_ops {
    void (*plugged)(struct scsi_bus *b, struct scsi_lu *lu);   /* a unit came while the machine runs */
    void (*unplugged)(struct scsi_bus *b, struct scsi_lu *lu); /* it is about to go */
    void (*attention)(struct scsi_bus *b, struct scsi_lu *lu, u8 asc, u8 ascq);
    /* A request of a unit that is being taken away: drop it, it is no longer the unit's. */
    void (*cancelled)(struct scsi_bus *b, struct scsi_req *r);
};

/* Embedded in a host adapter. */
struct scsi_bus {
    struct bus bus;               /* type "SCSI" */
    const struct scsi_bus_ops *ops;
    struct lock *lock;            /* of the adapter: of every call and completion */
    struct iothread *iothread;    /* the adapter's, after scsi_bus_init: where its disks complete; NULL: the main loop */
    unsigned channels, targets, luns; /* how many: addresses run from 0 */
};

/* In the adapter's realize; bus.owner is the adapter. */
void scsi_bus_init(struct scsi_bus *b, struct device *owner, const struct scsi_bus_ops *ops, struct lock *lock, unsigned channels,
                   unsigned targets, unsigned luns);
/* In its unrealize: frees the devices, too. */
void scsi_bus_fini(struct scsi_bus *b);
/* The unit at that address, or NULL. */
struct scsi_lu *scsi_find(struct scsi_bus *b, unsigned channel, unsigned target, unsigned lun);
/* True if the target has a unit, at whatever LUN. */
bool scsi_target_exists(const struct scsi_bus *b, unsigned channel, unsigned target);
/* Where a unit of this bus sits. */
void scsi_address(const struct scsi_lu *lu, unsigned *channel, unsigned *target, unsigned *lun);
/* Runs a command at an address without a unit, where the target has others: INQUIRY (no device there), REPORT LUNS and REQUEST SENSE work,
 * all else ends in LOGICAL UNIT NOT SUPPORTED. r->lu is NULL and the adapter's fields are filled in. */
void scsi_start_absent(struct scsi_bus *b, unsigned channel, unsigned target, struct scsi_req *r);
/* Task management on a target or the whole bus: scsi_lu_reset of each unit. */
void scsi_reset_target(struct scsi_bus *b, unsigned channel, unsigned target);
void scsi_reset_bus(struct scsi_bus *b);

#endif
