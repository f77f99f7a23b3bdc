/* What network cards have in common: their end of the link, checksums of received packets, packets handed over to be segmented, and the serial EEPROM. Pure
 * functions and the EEPROM's state; the caller's lock. */
#ifndef HW_NET_NIC_H
#define HW_NET_NIC_H
#include "hw/backend/net.h"
#include "hw/core/device.h"
#include "util/snap.h"

/* For a card's realize: takes its end of the link (n may be NULL: no cable), with d as the opaque of ops, and its address: a free one of ours if mac is all
 * zeros. 0, or -1 with e set and nothing taken. */
int nic_plug(struct device *d, struct net *n, u8 mac[6], const struct net_dev_ops *ops, struct lock *lock, struct err *e);
/* For its unrealize. */
void nic_unplug(struct net *n, const u8 mac[6]);

/* What a card's checksum unit finds in an Ethernet frame. */
struct nic_csum {
    bool ip4, ip_bad;       /* an IPv4 packet */
    u8 proto;               /* 6, 17: an unfragmented TCP or UDP packet with a checksum; else 0 */
    bool l4_bad;
};
/* known_good: the link has verified the checksums. */
void nic_check_csum(const u8 *frame, u32 len, bool known_good, struct nic_csum *c);

/* Makes a packet whose software left lengths and checksums to the segmentation unit into one that the link cuts into pieces of mss bytes.
 * l3, l4: offsets of the IP and the TCP or UDP header; hdr_len: of all headers. False: it does not fit together. */
bool nic_ask_segments(u8 *p, u32 len, u32 l3, u32 l4, u32 hdr_len, bool v4, bool tcp, u16 mss, struct net_offload *o);

/* A 93C46: 64 words of 16 bits behind a Microwire bus. */
#define EEPROM93_WORDS 64
struct eeprom93 {
    u16 word[EEPROM93_WORDS];
    u32 in;            /* bits shifted in since CS rose */
    u8 bits;           /* how many */
    u8 out_bits;       /* bits of the current word that were shifted out */
    u8 addr;
    u8 cs, sk;         /* levels of the pins */
    u8 write_enabled;
};
extern const struct snap_field eeprom93_fields[];
/* The levels that the card drives. */
void eeprom93_drive(struct eeprom93 *p, bool cs, bool sk, bool di);
/* The level of DO. */
bool eeprom93_out(const struct eeprom93 *p);
/* After CS was off, writing is off: a reset. Contents stay. */
void eeprom93_reset(struct eeprom93 *p);
/* After a load. */
void eeprom93_post_load(struct eeprom93 *p);

#endif
