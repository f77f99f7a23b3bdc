/* ATA and ATAPI devices (ide-hd, ide-cd), and the bus on which a host controller has them: an IDE channel or an AHCI port. The device keeps the
 * task file, executes commands and asks its controller to move data. Machine lock, any thread; block layer completions come on the main
 * thread. ATA8-ACS; ATA/ATAPI-7 volume 2 for the protocols. */
#ifndef HW_STORAGE_ATA_H
#define HW_STORAGE_ATA_H
#include "hw/storage/scsi.h"

enum { ATA_SECTOR = 512, ATA_MULTIPLE_MAX = 16, ATA_BUF = 32 * 1024, ATA_NCQ_DEPTH = 32, ATA_PACKET = 12 };
enum { ATA_ERR = 0x01, ATA_DRQ = 0x08, ATA_DSC = 0x10, ATA_DF = 0x20, ATA_DRDY = 0x40, ATA_BSY = 0x80 };         /* status */
enum { ATA_E_ABRT = 0x04, ATA_E_IDNF = 0x10, ATA_E_UNC = 0x40, ATA_E_WP = 0x40 };                                   /* error */
enum { ATA_DEV_LBA = 0x40, ATA_DEV_SLAVE = 0x10 };                                                                  /* device */

struct ata_dev;

/* What a controller does for its devices. */
struct ata_host_ops {
    /* DRQ is up: bytes buf[pos, block_end) are to be moved, to the guest if d->to_guest. irq: with INTRQ. The controller calls
     * ata_pio_moved as they move, at once or later. */
    void (*pio)(struct ata_dev *d, bool irq);
    /* d->dma_len bytes are to be moved in the direction d->to_guest: the controller calls ata_dma_run or ata_dma_fail, at once or later. */
    void (*dma)(struct ata_dev *d);
    /* The command has ended; status and error are final, memory of ata_dma_run is free again. irq: with INTRQ. */
    void (*done)(struct ata_dev *d, bool irq);
};

struct ata_bus {
    struct bus bus;              /* type "IDE" */
    const struct ata_host_ops *ops;
    bool sata;                   /* what IDENTIFY tells of the interface; NCQ */
    unsigned index, units;       /* its number on the controller; 1 or 2 */
    struct ata_dev *dev[2];
};

/* The registers, as the guest wrote them last and as the device leaves them; [1] is what was there before ("high order byte"). */
struct ata_regs {
    u8 features[2], count[2], lba[3][2];
    u8 device, status, error;
};

enum ata_phase {
    ATA_IDLE,
    ATA_PIO,   /* DRQ: the host moves buf[pos, block_end) */
    ATA_DMA,   /* waits for ata_dma_run */
    ATA_DISK,  /* the block layer does `job` */
    ATA_SCSI,  /* the packet command's unit works */
};

struct ata_dev {
    struct device dev;
    struct ata_bus *bus;
    /* properties */
    struct blk *blk;
    char *serial, *model, *version, *rerror, *werror;
    bool share_rw;
    u64 wwn, block_size, physical_block_size;
    i32 unit, bootindex;
    u16 rotation_rate;
    u8 write_cache;              /* enum prop_auto */
    bool cdrom;
    /* registers and settings */
    struct ata_regs r;
    u8 multiple;                 /* sectors of a READ MULTIPLE block, 0: not enabled */
    u8 mwdma, udma;              /* selected mode + 1, 0: none */
    u8 heads, spt;               /* current translation (INITIALIZE DEVICE PARAMETERS) */
    bool wcache, lookahead, standby, smart, keep_settings;
    /* the command that runs */
    u8 command, phase, job;
    bool to_guest;
    u64 lba;                     /* of the next sector */
    u32 left;                    /* sectors not yet in or from the buffer */
    u32 block;                   /* sectors of a PIO block */
    u32 pos, block_end, end;     /* in buf */
    u64 dma_len;
    u32 job_len;                 /* bytes the block layer has */
    u32 trim_at;                 /* entry of DATA SET MANAGEMENT's list */
    bool aborted;                /* the completion to come is of a command that was reset away */
    bool packet_dma, packet_out; /* PACKET: the data phase; the command packet is awaited */
    u8 ncq_error[14];            /* the head of log 10h: the queued command that failed */
    /* the logical unit of a packet device */
    struct scsi_lu lu;
    struct scsi_req req;
    u8 buf[ATA_BUF];
};

/* -- for controllers ----------------------------------------------------------------------------------------------------- */

/* name: NULL for the next "ide.N". */
void ata_bus_init(struct ata_bus *b, struct device *owner, const char *name, const struct ata_host_ops *ops, unsigned index, unsigned units,
                  bool sata);
void ata_bus_fini(struct ata_bus *b);
/* Power-on and SRST, EXECUTE DEVICE DIAGNOSTIC: the command ends without a word, the registers have the signature. Settings go to their
 * defaults if `hard`. */
void ata_reset(struct ata_dev *d, bool hard);
/* The command in r.command of the registers written before. Ends in host ops. */
void ata_execute(struct ata_dev *d, u8 command);
/* n bytes of the PIO block were moved (pos + n <= block_end); at the block's end the command goes on. */
void ata_pio_moved(struct ata_dev *d, u32 n);
/* dma_len bytes of host memory, the answer to ops->dma; the array is copied. */
void ata_dma_run(struct ata_dev *d, const struct iovec *iov, unsigned n_iov);
/* The controller cannot: the command is aborted. */
void ata_dma_fail(struct ata_dev *d);
/* NCQ: whether [lba, lba + count) is on the disk. */
bool ata_range_ok(const struct ata_dev *d, u64 lba, u32 count);
u64 ata_sectors(const struct ata_dev *d);
/* Makes the drives that the command line puts at (drive_bus, first_unit ...): `drive_find(DRIVE_IDE, ...)`. */
int ata_add_drives(struct ata_bus *b, unsigned drive_bus, unsigned first_unit, struct err *e);
/* An empty CD-ROM drive as first unit, with a back end "ideN-cd0" that takes media later. 0, or -1 with e set. */
int ata_add_cdrom(struct ata_bus *b, struct err *e);

/* -- inside: ata*.c ------------------------------------------------------------------------------------------------------ */

struct ata_cmd {
    u8 op, flags;
    void (*fn)(struct ata_dev *d);
};
enum { ATA_F_DISK = 1, ATA_F_CD = 2, ATA_F_ANY = 3, ATA_F_EXT = 4, ATA_F_DMA = 8, ATA_F_WRITE = 16, ATA_F_MULTIPLE = 32, ATA_F_FUA = 64 };
enum ata_job { ATA_JOB_NONE, ATA_JOB_PIO_READ, ATA_JOB_PIO_WRITE, ATA_JOB_DMA, ATA_JOB_FLUSH, ATA_JOB_TRIM, ATA_JOBS };

extern const struct ata_cmd ata_cmds[], ata_info_cmds[]; /* end with fn == NULL */
const struct ata_cmd *ata_cmd_of(const struct ata_dev *d);
void ata_done(struct ata_dev *d, bool irq);
void ata_fail(struct ata_dev *d, u8 error);
void ata_signature(struct ata_dev *d);
/* len bytes of buf go to the guest by PIO, in blocks of block_len. */
void ata_pio_reply(struct ata_dev *d, u32 len, u32 block_len);
/* The same from the guest; irq: at the first block, too. */
void ata_pio_ask(struct ata_dev *d, u32 len, u32 block_len, bool irq);
void ata_flush(struct ata_dev *d);
void ata_identify_disk(struct ata_dev *d);
void ata_identify_packet(struct ata_dev *d);
/* atapi.c */
void atapi_packet(struct ata_dev *d);
void atapi_block_moved(struct ata_dev *d);
void atapi_dma_run(struct ata_dev *d, const struct iovec *iov, unsigned n_iov);
void atapi_post_load(struct ata_dev *d);
extern const struct scsi_req_ops atapi_req_ops;
extern const struct snap_field ata_fields[];
void ata_post_load(struct ata_dev *d);
/* ata_smart.c */
void ata_smart(struct ata_dev *d);
void ata_read_log(struct ata_dev *d);

#endif
