/* What hangs on the e1000's serial buses: the PHY (Marvell 88E1011 registers, IEEE 802.3 clause 22) behind MDIC, and the EEPROM (Microwire,
 * 64 words) behind EECD and EERD. Called by the e1000 with the machine lock held. 8254x manual, 5 and 8, 13.4.3 to 13.4.7. */
#include "hw/net/e1000.h"
#include "util/log.h"

enum phy_reg {
    PHY_CTRL = 0, PHY_STATUS = 1, PHY_ID1 = 2, PHY_ID2 = 3, PHY_ANA = 4, PHY_LPA = 5, PHY_ANE = 6, PHY_NPT = 7, PHY_GB_CTRL = 9,
    PHY_GB_STATUS = 10, PHY_EXT_STATUS = 15, PHY_PSCON = 16, PHY_PSSTAT = 17, PHY_INT_ENABLE = 18, PHY_INT_STATUS = 19,
    PHY_EPSCON = 20, PHY_PAGE = 29, PHY_GEN = 30,
};
enum {
    PHY_CTRL_RESET = 0x8000, PHY_CTRL_LOOPBACK = 0x4000, PHY_CTRL_RESTART = 0x0200, PHY_STATUS_LINK = 0x0004, PHY_STATUS_AN_DONE = 0x0020,
    PHY_PSSTAT_LINK = 0x0400, PHY_PSSTAT_RESOLVED = 0x0800, PHY_ADDRESS = 1,
};

/* Reset value and writable bits of each register. */
static const struct { u8 reg; u16 reset, wmask; } phy_rows[] = {
    { PHY_CTRL, 0x1140, 0x7dc0 },   /* autonegotiation, full duplex, 1000 Mb/s */
    { PHY_STATUS, 0x7949, 0 },      /* every speed, autonegotiation able, extended status */
    { PHY_ID1, 0x0141, 0 },
    { PHY_ID2, 0x0c20, 0 },
    { PHY_ANA, 0x0de1, 0xffff },
    { PHY_LPA, 0x45e1, 0 },
    { PHY_ANE, 0x0001, 0 },
    { PHY_NPT, 0x2001, 0xffff },
    { PHY_GB_CTRL, 0x0e00, 0xffff },
    { PHY_GB_STATUS, 0x3c00, 0 },
    { PHY_EXT_STATUS, 0x3000, 0 },
    { PHY_PSCON, 0x0360, 0xffff },
    { PHY_PSSTAT, 0xa000, 0 },      /* 1000 Mb/s, full duplex */
    { PHY_INT_ENABLE, 0, 0xffff },
    { PHY_INT_STATUS, 0, 0 },
    { PHY_EPSCON, 0x0d60, 0xffff },
    { PHY_PAGE, 0, 0xffff },
    { PHY_GEN, 0, 0xffff },
};

/* Bits that say whether there is a link. Negotiation takes no time here. */
static void phy_set_link(struct e1000 *s, bool up)
{
    s->phy[PHY_STATUS] &= ~(PHY_STATUS_LINK | PHY_STATUS_AN_DONE);
    s->phy[PHY_PSSTAT] &= ~(PHY_PSSTAT_LINK | PHY_PSSTAT_RESOLVED);
    if (!up)
        return;
    s->phy[PHY_STATUS] |= PHY_STATUS_LINK | PHY_STATUS_AN_DONE;
    s->phy[PHY_PSSTAT] |= PHY_PSSTAT_LINK | PHY_PSSTAT_RESOLVED;
}

void e1000_phy_reset(struct e1000 *s)
{
    memset(s->phy, 0, sizeof(s->phy));
    for (unsigned i = 0; i < ARRAY_LEN(phy_rows); i++)
        s->phy[phy_rows[i].reg] = phy_rows[i].reset;
    phy_set_link(s, *e1000_reg(s, STATUS) & STATUS_LU);
}

void e1000_set_link(struct e1000 *s, bool up)
{
    u32 *status = e1000_reg(s, STATUS);

    *status = up ? *status | STATUS_LU : *status & ~STATUS_LU;
    phy_set_link(s, up);
}

bool e1000_loops_back(const struct e1000 *s)
{
    return (s->reg[RCTL / 4] & RCTL_LBM) || (s->phy[PHY_CTRL] & PHY_CTRL_LOOPBACK);
}

static void phy_write(struct e1000 *s, unsigned reg, u16 val)
{
    for (unsigned i = 0; i < ARRAY_LEN(phy_rows); i++) {
        if (phy_rows[i].reg != reg)
            continue;
        u16 w = phy_rows[i].wmask;
        s->phy[reg] = (s->phy[reg] & ~w) | (val & w);
        if (reg == PHY_CTRL && (val & PHY_CTRL_RESET))
            e1000_phy_reset(s);
        return;
    }
    GUEST_ERROR("e1000: PHY register %u written", reg);
}

void e1000_write_mdic(struct e1000 *s, u32 off, u32 val)
{
    unsigned reg = (val >> 16) & 31, addr = (val >> 21) & 31, op = (val >> 26) & 3;
    u32 *mdic = e1000_reg(s, MDIC);

    *mdic = (val & 0x2fff0000) | (val & 0xffff) | MDIC_READY;
    if (addr != PHY_ADDRESS || (op != 1 && op != 2)) {
        *mdic |= MDIC_ERROR;
    } else if (op == 2) {
        *mdic = (*mdic & ~0xffffu) | s->phy[reg];
        if (reg == PHY_INT_STATUS)
            s->phy[reg] = 0;
    } else {
        phy_write(s, reg, val);
    }
    if (val & MDIC_INT)
        e1000_cause(s, ICR_MDAC);
}

/* -- EEPROM --------------------------------------------------------------------------------------------------------- */

enum { EE_MAC = 0, EE_COMPAT = 3, EE_PBA = 8, EE_INIT1 = 10, EE_SUBSYS = 11, EE_SUBVENDOR = 12, EE_DEVICE = 13, EE_VENDOR = 14,
       EE_INIT2 = 15, EE_CHECKSUM = 63 };

void e1000_eeprom_init(struct e1000 *s, u16 device_id)
{
    u16 *w = s->eeprom.word, sum = 0;

    memset(w, 0, sizeof(s->eeprom.word));
    for (unsigned i = 0; i < 3; i++)
        w[EE_MAC + i] = ld16(s->mac + 2 * i);
    w[EE_PBA] = w[EE_PBA + 1] = 0xffff;
    w[EE_INIT1] = 0x4008; /* the signature of a valid EEPROM; identifiers come from it */
    w[EE_SUBSYS] = ld16(s->pci.config + PCI_SUBSYS_ID);
    w[EE_SUBVENDOR] = ld16(s->pci.config + PCI_SUBSYS_VENDOR);
    w[EE_DEVICE] = device_id;
    w[EE_VENDOR] = 0x8086;
    for (unsigned i = 0; i < EE_CHECKSUM; i++)
        sum += w[i];
    w[EE_CHECKSUM] = 0xbaba - sum; /* 5.6.35 */
}

void e1000_write_eerd(struct e1000 *s, u32 off, u32 val)
{
    u32 addr = (val >> 8) & 0xff;

    if (val & EERD_START)
        val = (val & 0xff00) | EERD_START | EERD_DONE | (u32)(addr < EEPROM93_WORDS ? s->eeprom.word[addr] : 0xffff) << 16;
    *e1000_reg(s, EERD) = val;
}

void e1000_write_eecd(struct e1000 *s, u32 off, u32 val)
{
    *e1000_reg(s, EECD) = (val & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ | 0x30)) | EECD_PRES | (val & EECD_REQ ? EECD_GNT : 0);
    eeprom93_drive(&s->eeprom, val & EECD_CS, val & EECD_SK, val & EECD_DI);
}

u32 e1000_read_eecd(struct e1000 *s, u32 off)
{
    return *e1000_reg(s, EECD) | (eeprom93_out(&s->eeprom) ? EECD_DO : 0);
}
