/* Inside of the RTL8139C+: registers by the names of Realtek's data sheets (RTL8139C(L) and RTL8139C+(L)), the device's state, and what its
 * files offer each other. Machine lock held everywhere. */
#ifndef HW_NET_RTL8139_H
#define HW_NET_RTL8139_H
#include "hw/core/machine.h"
#include "hw/net/nic.h"
#include "hw/pci/pci.h"

enum rtl_reg {
    IDR0 = 0x00, MAR0 = 0x08, TSD0 = 0x10 /* C+: address of the statistics dump */, TSAD0 = 0x20 /* C+: TNPDS, THPDS */, RBSTART = 0x30,
    ERBCR = 0x34, ERSR = 0x36, CR = 0x37, CAPR = 0x38, CBR = 0x3a, IMR = 0x3c, ISR = 0x3e, TCR = 0x40, RCR = 0x44, TCTR = 0x48,
    MPC = 0x4c, CR9346 = 0x50, CONFIG0 = 0x51, CONFIG1 = 0x52, TIMERINT = 0x54, MSR = 0x58, CONFIG3 = 0x59, CONFIG4 = 0x5a,
    MULINT = 0x5c, RERID = 0x5e, TSAD = 0x60, BMCR = 0x62, BMSR = 0x64, ANAR = 0x66, ANLPAR = 0x68, ANER = 0x6a, DIS = 0x6c,
    FCSC = 0x6e, NWAYTR = 0x70, REC = 0x72, CSCR = 0x74, PHY1_PARM = 0x78, TW_PARM = 0x7c, PHY2_PARM = 0x80, CONFIG5 = 0xd8,
    TPPOLL = 0xd9, CPCR = 0xe0, INTRMITIGATE = 0xe2, RDSAR = 0xe4, ETTHR = 0xec, RTL_REGS = 0x100,
    TNPDS = TSAD0, THPDS = 0x28, DTCCR = TSD0,
};

enum {
    CR_BUFE = 0x01, CR_TE = 0x04, CR_RE = 0x08, CR_RST = 0x10,
    ISR_ROK = 0x0001, ISR_RER = 0x0002, ISR_TOK = 0x0004, ISR_TER = 0x0008, ISR_RXOVW = 0x0010, ISR_LINK = 0x0020, ISR_FOVW = 0x0040,
    ISR_TDU = 0x0080, ISR_SWINT = 0x0100, ISR_TIMEOUT = 0x4000, ISR_ALL = 0xe1ff,
    TSD_OWN = 0x2000, TSD_TUN = 0x4000, TSD_TOK = 0x8000, TSD_SIZE = 0x1fff,
    TCR_LOOPBACK = 3u << 17,
    RCR_AAP = 0x01, RCR_APM = 0x02, RCR_AM = 0x04, RCR_AB = 0x08, RCR_WRAP = 0x80,
    RX_ROK = 0x0001, RX_BAR = 0x2000, RX_PAM = 0x4000, RX_MAR = 0x8000,
    CPCR_TX = 0x0001, CPCR_RX = 0x0002, CPCR_RXCHKSUM = 0x0020, CPCR_RXVLAN = 0x0040,
    TPPOLL_FSWINT = 0x01, TPPOLL_NPQ = 0x40, TPPOLL_HPQ = 0x80, DTCCR_CMD = 0x08,
    MSR_LINKB = 0x04, BMSR_LINK = 0x0004, BMSR_DONE = 0x0020, BMCR_RESET = 0x8000, BMCR_RESTART = 0x0200,
};

/* Descriptors of the C+ mode. */
enum {
    D_OWN = 1u << 31, D_EOR = 1u << 30, D_FS = 1u << 29, D_LS = 1u << 28,
    TD_LGSEN = 1u << 27, TD_IPCS = 1u << 18, TD_UDPCS = 1u << 17, TD_TCPCS = 1u << 16, TD_TAGC = 1u << 17 /* second dword */,
    RD_MAR = 1u << 26, RD_PAM = 1u << 25, RD_BAR = 1u << 24, RD_PID_TCP = 1u << 16, RD_PID_UDP = 2u << 16, RD_PID_IP = 3u << 16,
    RD_IPF = 1u << 15, RD_UDPF = 1u << 14, RD_TCPF = 1u << 13, RD_TAVA = 1u << 16 /* second dword */,
};

enum { RTL_DESCS = 64 /* of a ring */, RTL_FRAME_MAX = 0xffff, RTL_CRC = 4 };

/* The statistics that a dump writes, in its layout. */
struct rtl_tally {
    u64 tx_ok, rx_ok, tx_err;
    u32 rx_err;
    u16 missed, align;
    u32 tx_1col, tx_mcol;
    u64 rx_unicast, rx_broadcast;
    u32 rx_multicast;
    u16 tx_abort, tx_underrun;
};

struct rtl8139 {
    struct pci_device pci;
    struct net *net;            /* property */
    u8 mac[6];                  /* property */
    i32 bootindex;              /* property */
    struct region io, mmio;

    u8 reg[RTL_REGS];           /* as they lie; but: */
    u32 tsd[4];                 /* TSD0-3 of the C mode, whose place DTCCR shares */
    struct eeprom93 eeprom;
    struct rtl_tally tally;
    u8 tx_next;                 /* C mode: the next TSD */
    u8 tx_index[2];             /* C+ mode: next descriptor of the normal and the high priority ring */
    u8 rx_index;
    i64 timer_base;             /* VM ns at which TCTR was 0 */
    struct timer timer;

    struct timer rx_timer;      /* C+ mode: looks whether descriptors have come, which drivers need not tell; not saved */
    bool rx_starved, tx_waiting; /* not saved: post_load looks again */
    u8 row[RTL_REGS];           /* of the register table, plus 1 */
    u8 buf[RTL_FRAME_MAX + 8];
};

static inline u16 *rtl_reg16(struct rtl8139 *s, unsigned off) { return (u16 *)(void *)&s->reg[off]; }
static inline u32 *rtl_reg32(struct rtl8139 *s, unsigned off) { return (u32 *)(void *)&s->reg[off]; }

void rtl_cause(struct rtl8139 *s, u16 causes);

/* hw/net/rtl8139_tx.c */
void rtl_tx_run(struct rtl8139 *s);               /* C mode: the descriptors that are due */
void rtl_tx_poll(struct rtl8139 *s, bool high);   /* C+ mode: a ring */
/* hw/net/rtl8139_rx.c */
bool rtl_can_receive(void *opaque);
void rtl_receive(void *opaque, const u8 *frame, unsigned len, const struct net_offload *o);
/* Brings CR.BUFE in line with CAPR and CBR. */
void rtl_rx_update(struct rtl8139 *s);

#endif
