/* IDE channels: the task-file ports of up to two ATA devices and the bus-master engine beside them; and the PIIX3's function with two of
 * them. Machine lock held. */
#ifndef HW_STORAGE_IDE_H
#define HW_STORAGE_IDE_H
#include "hw/storage/ata.h"
#include "hw/storage/sglist.h"

struct ide_channel {
    struct ata_bus ata;
    struct machine *m;
    struct irq_line irq;
    struct region command, control;         /* 8 ports and 1 */
    bool (*is_master)(struct ide_channel *c); /* may it use the PCI bus now */
    u8 ctl;               /* device control register */
    u8 device;            /* device register: who is selected */
    u8 intrq;             /* the interrupt request, before nIEN */
    /* bus master */
    u8 bm_cmd, bm_status;
    u32 bm_prdt;
    bool prd_full;        /* the running transfer ends where the table ends */
    struct ata_dev *dma;  /* whose transfer has sg */
    struct sglist sg;
};

extern const struct snap_field ide_channel_fields[];

/* command_port, control_port: where they are in the port space; they are disabled until region_set_enabled. */
void ide_channel_init(struct ide_channel *c, struct device *owner, unsigned index, struct irq_line irq, u16 command_port, u16 control_port);
void ide_channel_fini(struct ide_channel *c);
void ide_channel_reset(struct ide_channel *c);
void ide_channel_post_load(struct ide_channel *c);
/* The bus-master registers of one channel, offsets 0..7. */
u8 ide_bm_read(const struct ide_channel *c, unsigned reg);
void ide_bm_write(struct ide_channel *c, unsigned reg, u8 v);

/* The PCI function at 01.1, whose buses ide.0 and ide.1 get the drives that the command line puts there and, unless -nodefaults, an empty
 * CD-ROM drive as secondary master. */
struct device *piix3_ide_new(struct machine *m, struct err *e);
/* Turns both channels' ports on, as firmware does. */
void piix3_ide_enable(struct device *d);

#endif
