/* The floppy disk controller (82077AA) and its drives. Machine lock held. */
#ifndef HW_STORAGE_FDC_H
#define HW_STORAGE_FDC_H
#include "hw/core/device.h"

/* An isa-fdc at the usual ports, IRQ 6 and DMA channel 2, with the drives that the command line wants (DRIVE_FLOPPY). */
struct device *fdc_new(struct machine *m, struct err *e);
/* CMOS's code of a drive's type: 0 none, 2 1.2 MB, 4 1.44 MB, 5 2.88 MB. fdc may be NULL. */
u8 fdc_cmos_type(const struct device *fdc, unsigned drive);
/* The machine's isa-fdc, or NULL. */
struct device *fdc_find(struct machine *m);

/* -- inside: fdc*.c, floppy.c ---------------------------------------------------------------------------------------------- */

enum { FDC_DRIVES = 2, FDC_SECTOR = 512, FDC_FIFO = 16, FDC_TRACK_MAX = 2 * 36 * FDC_SECTOR };

/* A format that media have. */
struct floppy_format {
    u8 type;                     /* enum of fdc_cmos_type */
    u8 tracks, heads, sectors;
    u8 rate;                     /* of the data rate register */
};

struct floppy {
    struct device dev;
    struct blk *blk;
    struct fdc *fdc;
    i32 unit, bootindex;
    char *type_name;             /* property drive-type */
    bool share_rw;
    u8 type;                     /* of the drive */
    u8 track;                    /* where the heads are */
    u8 changed;                  /* disk change line: a medium was put in or out since the last step */
    u8 id;                       /* sector that passes next, for READ ID */
    const struct floppy_format *format; /* of the medium; NULL: none, or one the drive cannot read */
};

struct fdc {
    struct device dev;
    struct bus bus;              /* type "floppy-bus" */
    struct region io, dir;       /* 6 ports, and that at 7 */
    struct device *dma;
    u32 iobase, irq_number, dma_channel; /* properties */
    struct irq_line irq;
    struct floppy *drive[FDC_DRIVES];
    /* registers */
    u8 dor, tdr, msr, dsr, intr;
    /* settings */
    u8 config, pretrk, lock, perpendicular, timer[2], ndma;
    /* the command */
    u8 cmd[FDC_FIFO], cmd_len, cmd_need;
    u8 result[FDC_FIFO], result_len, result_at;
    u8 phase;                    /* enum fdc_phase */
    u8 writes;                   /* the data phase goes to the disk */
    u8 status[4];                /* ST0 (of the next SENSE INTERRUPT STATUS), per drive */
    u8 pending;                  /* drives with an interrupt status */
    u32 pos, end;                /* in buf */
    u32 tc_at;                   /* where the data ended */
    bool tc, aborted;
    u32 lba, sectors;            /* of the transfer */
    u8 buf[FDC_TRACK_MAX];
};

enum fdc_phase { FDC_COMMAND, FDC_DATA, FDC_DISK, FDC_RESULT };

extern const struct floppy_format floppy_formats[]; /* ends with tracks == 0 */

/* floppy.c */
struct floppy *fdc_drive(const struct fdc *s, unsigned n);
bool floppy_readonly(const struct floppy *f);
/* fdc.c */
void fdc_irq(struct fdc *s, bool on);
void fdc_result(struct fdc *s, const u8 *bytes, unsigned n, bool irq);
/* The command moves bytes [0, end) of buf. */
void fdc_data(struct fdc *s, bool writes, u32 end);
/* fdc_cmd.c */
unsigned fdc_cmd_length(u8 first);
bool fdc_cmd_has_data(u8 first);
void fdc_cmd_execute(struct fdc *s);
/* All bytes were moved, or the terminal count has come. */
void fdc_cmd_data_done(struct fdc *s);
void fdc_cmd_post_load(struct fdc *s);
void fdc_settings_reset(struct fdc *s, bool hard);

#endif
