/* Inside of the e1000: registers and descriptors by the names of Intel's "PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual" (8254x, 317453), the device's state, and what its files offer each other. Machine lock held everywhere. */
#ifndef HW_NET_E1000_H
#define HW_NET_E1000_H
#include "hw/core/machine.h"
#include "hw/net/nic.h"
#include "hw/pci/pci.h"

enum e1000_reg { /* 13.2, table 13-2 */
    CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018, MDIC = 0x0020, FCAL = 0x0028, FCAH = 0x002c,
    FCT = 0x0030, VET = 0x0038, ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8, RCTL = 0x0100, FCTTV = 0x0170,
    TXCW = 0x0178, RXCW = 0x0180, TCTL = 0x0400, TIPG = 0x0410, AIFS = 0x0458, LEDCTL = 0x0e00, PBA = 0x1000, FCRTL = 0x2160,
    FCRTH = 0x2168, RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RXDCTL = 0x2828,
    RADV = 0x282c, RSRPD = 0x2c00, TXDMAC = 0x3000, TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818,
    TIDV = 0x3820, TXDCTL = 0x3828, TADV = 0x382c, TSPMT = 0x3830,
    STATS = 0x4000, MPC = 0x4010, PRC64 = 0x405c, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407c, GPTC = 0x4080, GORCL = 0x4088,
    GOTCL = 0x4090, RNBC = 0x40a0, ROC = 0x40ac, TORL = 0x40c0, TOTL = 0x40c8, TPR = 0x40d0, TPT = 0x40d4, PTC64 = 0x40d8,
    MPTC = 0x40f0, BPTC = 0x40f4, TSCTC = 0x40f8, STATS_END = 0x4100,
    RXCSUM = 0x5000, MTA = 0x5200, RAL0 = 0x5400, RAH0 = 0x5404, VFTA = 0x5600, WUC = 0x5800, WUFC = 0x5808, WUS = 0x5810,
    MANC = 0x5820, REG_END = 0x6000,
};

enum {
    CTRL_FD = 1u << 0, CTRL_SLU = 1u << 6, CTRL_SPEED_1000 = 2u << 8, CTRL_RST = 1u << 26, CTRL_VME = 1u << 30, CTRL_PHY_RST = 1u << 31,
    STATUS_FD = 1u << 0, STATUS_LU = 1u << 1, STATUS_SPEED_1000 = 2u << 6, STATUS_ASDV_1000 = 2u << 8, STATUS_MTXCKOK = 1u << 10,
    EECD_SK = 1u << 0, EECD_CS = 1u << 1, EECD_DI = 1u << 2, EECD_DO = 1u << 3, EECD_REQ = 1u << 6, EECD_GNT = 1u << 7,
    EECD_PRES = 1u << 8,
    EERD_START = 1u << 0, EERD_DONE = 1u << 4,
    MDIC_READY = 1u << 28, MDIC_INT = 1u << 29, MDIC_ERROR = 1u << 30,
    ICR_TXDW = 1u << 0, ICR_TXQE = 1u << 1, ICR_LSC = 1u << 2, ICR_RXDMT0 = 1u << 4, ICR_RXO = 1u << 6, ICR_RXT0 = 1u << 7,
    ICR_MDAC = 1u << 9, ICR_TXD_LOW = 1u << 15, ICR_SRPD = 1u << 16, ICR_ALL = 0x1ffff,
    RCTL_EN = 1u << 1, RCTL_SBP = 1u << 2, RCTL_UPE = 1u << 3, RCTL_MPE = 1u << 4, RCTL_LPE = 1u << 5, RCTL_LBM = 3u << 6, RCTL_BAM = 1u << 15,
    RCTL_VFE = 1u << 18, RCTL_BSEX = 1u << 25, RCTL_SECRC = 1u << 26,
    TCTL_EN = 1u << 1, TCTL_PSP = 1u << 3,
    RXCSUM_IPOFL = 1u << 8, RXCSUM_TUOFL = 1u << 9,
    RAH_AV = 1u << 31, RAH_MASK = 0x8003ffff, RDTR_FPD = 1u << 31,
};

/* Transmit descriptors (3.3): the command byte, and fields of the context and data forms. */
enum {
    CMD_EOP = 0x01, CMD_TSE = 0x04 /* data and context */, CMD_IC = 0x04 /* legacy */, CMD_RS = 0x08, CMD_DEXT = 0x20, CMD_VLE = 0x40,
    CMD_IDE = 0x80, TUCMD_TCP = 0x01, TUCMD_IP = 0x02, POPTS_IXSM = 0x01, POPTS_TXSM = 0x02, STA_DD = 0x01,
};
/* Receive descriptors (3.2.3): status and errors. */
enum {
    RXD_DD = 0x01, RXD_EOP = 0x02, RXD_IXSM = 0x04, RXD_VP = 0x08, RXD_TCPCS = 0x20, RXD_IPCS = 0x40, RXD_PIF = 0x80,
    RXD_TCPE = 0x20, RXD_IPE = 0x40,
};

enum { E1000_PHY_REGS = 32, E1000_FRAME_MAX = 0xffff };
enum { DESC_SIZE = 16 };

/* What a context descriptor says (3.3.6). */
struct e1000_context {
    u8 ipcss, ipcso, tucss, tucso, tucmd, hdrlen;
    u16 ipcse, tucse, mss;
};

/* A cause that waits: each frame puts it off, up to a limit. */
struct e1000_delay {
    struct timer timer;
    i64 due, limit; /* VM ns; due 0: nothing waits; limit INT64_MAX: none */
};

struct e1000 {
    struct pci_device pci;
    struct net *net;            /* property */
    u8 mac[6];                  /* property */
    i32 bootindex;              /* property */
    bool mitigation;            /* property */
    struct region mmio, io;

    u32 reg[REG_END / 4];       /* by offset / 4 */
    u32 io_addr;                /* IOADDR */
    u16 phy[E1000_PHY_REGS];
    struct eeprom93 eeprom;
    struct e1000_context csum, tso; /* the last contexts without and with segmentation */
    i64 intr_next;              /* VM ns before which ITR allows no interrupt */
    u8 intr_line;
    struct timer itr_timer;
    struct e1000_delay rx_delay, tx_delay; /* RDTR and RADV, TIDV and TADV */

    bool rx_starved, tx_waiting; /* not saved: what post_load starts anew */
    u8 row[REG_END / 4];        /* of the register table, plus 1 */
    u8 buf[E1000_FRAME_MAX + 8];
};

static inline u32 *e1000_reg(struct e1000 *s, u32 off) { return &s->reg[off / 4]; }

/* A descriptor ring of the guest. */
struct e1000_ring {
    u64 base;
    u32 count;  /* descriptors, 0: none */
    u8 *host;   /* where they are, if they lie in one piece of RAM */
};
void e1000_ring_open(struct e1000 *s, struct e1000_ring *r, u32 bal, u32 len);
void e1000_ring_read(struct e1000 *s, const struct e1000_ring *r, u32 i, u8 desc[DESC_SIZE]);
/* The second half: the last byte to change is `status` at offset 12, after everything else. */
void e1000_ring_write(struct e1000 *s, const struct e1000_ring *r, u32 i, const u8 desc[DESC_SIZE]);

/* Adds to a statistics register, which sticks at its maximum. */
void e1000_count(struct e1000 *s, u32 off, u32 n);
/* The same for a 64-bit pair. */
void e1000_count64(struct e1000 *s, u32 off, u32 n);
/* One of six registers from `off` by the size of a frame of `len` bytes, CRC included. */
void e1000_count_size(struct e1000 *s, u32 off, u32 len);

/* hw/net/e1000_intr.c */
void e1000_intr_init(struct e1000 *s);
void e1000_intr_fini(struct e1000 *s);
void e1000_intr_reset(struct e1000 *s);
/* Sets interrupt causes and drives the pin. */
void e1000_cause(struct e1000 *s, u32 causes);
/* A frame was received (RXT0), or sent by descriptors that all allow a delay (TXDW): the cause follows when RDTR, RADV, TIDV, TADV say. */
void e1000_cause_rx(struct e1000 *s);
void e1000_cause_tx_delayed(struct e1000 *s);
u32 e1000_read_icr(struct e1000 *s, u32 off);
void e1000_write_icr(struct e1000 *s, u32 off, u32 val);
void e1000_write_ics(struct e1000 *s, u32 off, u32 val);
void e1000_write_ims(struct e1000 *s, u32 off, u32 val);
void e1000_write_imc(struct e1000 *s, u32 off, u32 val);
void e1000_write_rdtr(struct e1000 *s, u32 off, u32 val);
/* hw/net/e1000_tx.c: sends what is in the ring. */
void e1000_tx_run(struct e1000 *s);
/* hw/net/e1000_rx.c */
bool e1000_can_receive(void *opaque);
void e1000_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o);
/* hw/net/e1000_phy.c: PHY behind MDIC, EEPROM behind EECD and EERD. */
void e1000_eeprom_init(struct e1000 *s, u16 device_id);
void e1000_phy_reset(struct e1000 *s);
void e1000_set_link(struct e1000 *s, bool up);
/* What is sent comes back and does not leave: RCTL.LBM, or the PHY's loopback. */
bool e1000_loops_back(const struct e1000 *s);
void e1000_write_mdic(struct e1000 *s, u32 off, u32 val);
void e1000_write_eecd(struct e1000 *s, u32 off, u32 val);
u32 e1000_read_eecd(struct e1000 *s, u32 off);
void e1000_write_eerd(struct e1000 *s, u32 off, u32 val);

#endif
