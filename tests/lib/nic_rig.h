/* A network card in a fake machine with a PCI bus, and a peer on the other end of its link that keeps what it gets; for tests of hw/net/. */
#ifndef TESTS_LIB_NIC_RIG_H
#define TESTS_LIB_NIC_RIG_H
#include <glib.h>
#include "hw/backend/net.h"
#include "hw/pci/pci.h"
#include "tests/lib/fake_machine.h"

#define RIG_MMIO 0x10000000u /* memory BARs */
#define RIG_IO 0xc000        /* I/O BARs */

struct nic_rig {
    struct fake_machine *f;
    struct device *nic;
    int pirq;              /* the pin's level */
    unsigned interrupts;   /* how often it rose */
    struct net *dev, *peer; /* ports of a hub */
    GPtrArray *got;        /* GByteArray: frames that arrived at the peer */
    GArray *offloads;      /* struct net_offload of each */
    unsigned peer_caps;    /* what the peer takes unfinished */
};

/* cls: the device class, its BARs mapped and bus mastering on. peer_caps: NET_CAN_*. */
struct nic_rig *nic_rig_new(const char *cls, unsigned peer_caps);
void nic_rig_free(struct nic_rig *r);
/* Maps the BARs and turns bus mastering on, as after each reset of the machine. Machine lock held. */
void nic_rig_map(struct nic_rig *r);
/* Sends a frame to the card and runs the main loop until nothing more happens. */
void nic_rig_send(struct nic_rig *r, const void *frame, unsigned len, u8 flags);
/* Runs the main loop until nothing more happens. */
void nic_rig_run(struct nic_rig *r);
/* The n-th frame that the peer got; fails the test if there are fewer. */
const GByteArray *nic_rig_frame(struct nic_rig *r, unsigned n);
void nic_rig_forget(struct nic_rig *r);
/* Guest memory. */
void nic_rig_put(struct nic_rig *r, gpa_t at, const void *p, unsigned len);
void nic_rig_get(struct nic_rig *r, gpa_t at, void *p, unsigned len);

/* An IPv4 TCP or UDP frame with `payload` bytes of a pattern, lengths and checksums right. Returns its length. */
unsigned rig_ip4_frame(u8 *f, u8 proto, unsigned payload);
/* True if the IPv4 header's and the TCP or UDP checksum are right, by a slow and simple way. */
bool rig_csums_good(const u8 *f, unsigned len);

#endif
