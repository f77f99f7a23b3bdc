/* Inside of the AHCI controller: its state, shared by ahci.c (registers) and ahci_port.c (commands). Machine lock held. */
#ifndef HW_STORAGE_AHCI_IMPL_H
#define HW_STORAGE_AHCI_IMPL_H
#include "hw/pci/pci.h"
#include "hw/storage/ata.h"
#include "hw/storage/sglist.h"

enum { AHCI_PORTS = 6, AHCI_SLOTS = 32 };
enum { /* PxIS, PxIE */
    PORT_IS_DHRS = BIT(0), PORT_IS_PSS = BIT(1), PORT_IS_SDBS = BIT(3), PORT_IS_PCS = BIT(6), PORT_IS_PRCS = BIT(22), PORT_IS_OFS = BIT(24),
    PORT_IS_HBDS = BIT(28), PORT_IS_TFES = BIT(30),
};
enum { /* PxCMD */
    PORT_CMD_ST = BIT(0), PORT_CMD_SUD = BIT(1), PORT_CMD_POD = BIT(2), PORT_CMD_CLO = BIT(3), PORT_CMD_FRE = BIT(4), PORT_CMD_FR = BIT(14),
    PORT_CMD_CR = BIT(15), PORT_CMD_ATAPI = BIT(24), PORT_CMD_CCS = 31 << 8, PORT_CMD_ICC = (int)(15u << 28),
};

struct ahci;
struct ahci_port;

/* A queued command that the block layer has. */
struct ahci_ncq {
    struct ahci_port *port;
    u8 tag;
    bool busy, write, aborted;
    u64 lba;
    struct sglist sg;
};

struct ahci_port {
    struct ata_bus ata;
    struct ahci *hba;
    u32 clb, clbu, fb, fbu, is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
    bool halted;         /* a command failed: none is taken until ST is cleared */
    bool srst;           /* the device is held in software reset */
    bool announced;      /* the device's first FIS was delivered */
    bool running;        /* inside port_run */
    i8 slot;             /* of the command that the device has, -1: none */
    u32 moved;           /* bytes of its data */
    struct sglist sg;
    struct ahci_ncq ncq[AHCI_SLOTS];
};

struct ahci {
    struct pci_device pci;
    struct region mmio;
    u32 ghc, is;
    struct ahci_port port[AHCI_PORTS];
};

extern const struct ata_host_ops ahci_host_ops;

static inline struct ata_dev *ahci_dev(const struct ahci_port *p) { return p->ata.dev[0]; }
/* Sets bits of PxIS and raises what follows. */
void ahci_port_raise(struct ahci_port *p, u32 bits);
/* Takes commands from the list while it can. */
void ahci_port_run(struct ahci_port *p);
/* Returns when nothing of the port is under way. */
void ahci_port_drain(struct ahci_port *p);
/* COMRESET, HBA reset: the device starts over and, once FIS reception is on, announces itself. */
void ahci_port_reset(struct ahci_port *p);
void ahci_port_announce(struct ahci_port *p);
void ahci_port_post_load(struct ahci_port *p);
extern const struct snap_field ahci_port_fields[];

#endif
