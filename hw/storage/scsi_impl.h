/* Inside of the SCSI layer: sense codes, the command table, and what commands are made of; shared by scsi*.c. The unit's lock held. */
#ifndef HW_STORAGE_SCSI_IMPL_H
#define HW_STORAGE_SCSI_IMPL_H
#include "hw/backend/blk.h"
#include "hw/storage/scsi.h"

/* Sense key << 16 | additional sense code << 8 | its qualifier (SPC-4, annex D). */
enum scsi_sense {
    SENSE_NONE = 0,
    SENSE_NO_MEDIUM = 0x023a00,
    SENSE_TRAY_OPEN = 0x023a02,
    SENSE_READ_ERROR = 0x031100,
    SENSE_WRITE_ERROR = 0x030c00,
    SENSE_TARGET_FAILURE = 0x044400,
    SENSE_PARAM_LENGTH = 0x051a00,
    SENSE_BAD_OPCODE = 0x052000,
    SENSE_LBA_RANGE = 0x052100,
    SENSE_BAD_CDB = 0x052400,
    SENSE_NO_LUN = 0x052500,
    SENSE_BAD_PARAM = 0x052600,
    SENSE_SAVING = 0x053900,
    SENSE_REMOVAL_PREVENTED = 0x055302,
    SENSE_TRACK_MODE = 0x056400,
    SENSE_POWER_ON = 0x062900,
    SENSE_MEDIUM_CHANGED = 0x062800,
    SENSE_CAPACITY_CHANGED = 0x062a09,
    SENSE_LUNS_CHANGED = 0x063f0e,
    SENSE_WRITE_PROTECTED = 0x072700,
    SENSE_SPACE = 0x072707,
};

enum scsi_phase {
    SCSI_IDLE,
    SCSI_DATA,  /* waits for scsi_data */
    SCSI_DISK,  /* the block layer moves a piece of the data phase */
    SCSI_RANGE, /* the block layer works on a piece of the range */
};

enum { CMD_DISK = 1, CMD_CD = 2, CMD_ANY = 3, CMD_MEDIUM = 4 /* needs one */, CMD_UA_OK = 8 /* not stopped by a unit attention */,
       CMD_WRITES = 16, CMD_SENSE = 32 /* leaves the sense data alone */ };

/* One row for each operation code and kind of unit. */
struct scsi_cmd {
    u8 op, flags;
    void (*start)(struct scsi_req *r); /* reads the CDB and ends in one of the calls below */
    void (*step)(struct scsi_req *r);  /* data out has arrived in buf, or a piece of the range is done: go on */
};
extern const struct scsi_cmd scsi_spc_cmds[], scsi_sbc_cmds[], scsi_mmc_cmds[]; /* end with start == NULL */

/* How a command goes on. */
void scsi_good(struct scsi_req *r);
void scsi_fail(struct scsi_req *r, enum scsi_sense sense);
/* min(len, alloc) bytes of buf go to the guest. */
void scsi_reply(struct scsi_req *r, u32 len, u32 alloc);
/* len bytes come from the guest into buf, then `step` is called. Refused if they do not fit. */
void scsi_collect(struct scsi_req *r, u32 len);
/* The data phase is bytes [off, off + len) of the disk. */
void scsi_transfer(struct scsi_req *r, enum scsi_dir dir, u64 off, u64 len);
/* The block layer gets an operation on a piece of the range; then off and range move by it, and `step` is called. */
void scsi_range_submit(struct scsi_req *r, enum blk_op op, u64 off, const struct iovec *iov, u64 len, unsigned flags, u64 piece);
/* Remembers a unit attention, and tells the adapter. */
void scsi_attention(struct scsi_lu *lu, enum scsi_sense sense);

/* scsi_spc.c. Writes an image of fixed-format sense data. */
void scsi_sense_fill(u8 sense[SCSI_SENSE_SIZE], enum scsi_sense s);
/* scsi_mmc.c: mode page 0x2a and its like; bytes written or 0. */
u32 scsi_cd_mode_page(const struct scsi_lu *lu, u8 page, u8 *p, bool changeable);
/* scsi_bus.c: REPORT LUNS of the unit's target; bytes written, at most size. */
u32 scsi_list_luns(const struct scsi_lu *lu, u8 *p, u32 size);
/* scsi_lu.c: the guest moves the tray. */
void scsi_tray_move(struct scsi_lu *lu, bool open);

/* The device scsi-hd or scsi-cd: a unit on a bus. */
struct scsi_disk {
    struct device dev;
    struct scsi_lu lu;
    struct blk *blk;
    u32 channel, lun;
    i32 id, bootindex;
    u8 write_cache; /* enum prop_auto */
    char *vendor, *product, *version, *serial, *device_id, *rerror, *werror;
    bool share_rw;
    u64 block_size, physical_block_size, max_io_size, max_unmap_size, discard_granularity;
    u16 rotation_rate, port_index;
    u64 wwn, port_wwn;
    u8 scsi_version;
    bool removable, dpofua;
};

static inline u16 be16(const u8 *p) { return __builtin_bswap16(ld16(p)); }
static inline u32 be24(const u8 *p) { return p[0] << 16 | p[1] << 8 | p[2]; }
static inline u32 be32(const u8 *p) { return __builtin_bswap32(ld32(p)); }
static inline u64 be64(const u8 *p) { return __builtin_bswap64(ld64(p)); }
static inline void put_be16(u8 *p, u16 v) { st16(p, __builtin_bswap16(v)); }
static inline void put_be24(u8 *p, u32 v) { p[0] = v >> 16; p[1] = v >> 8; p[2] = v; }
static inline void put_be32(u8 *p, u32 v) { st32(p, __builtin_bswap32(v)); }
static inline void put_be64(u8 *p, u64 v) { st64(p, __builtin_bswap64(v)); }

#endif
