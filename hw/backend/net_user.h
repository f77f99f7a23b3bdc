/* Inside of user networking: what net_user_opts.c reads from the options of -netdev user, and what net_user.c makes of it. Main thread. */
#ifndef HW_BACKEND_NET_USER_H
#define HW_BACKEND_NET_USER_H
#include <netinet/in.h>
#include "hw/backend/net_impl.h"

struct user_config {
    bool restricted, ip4, ip6;
    struct in_addr net, mask, host, dhcp_start, dns;
    struct in6_addr prefix6, host6, dns6;
    u8 prefix6_len;
    char *hostname, *tftp, *tftp_server, *bootfile, *domainname;
    char **dnssearch;        /* NULL-terminated */
    GPtrArray *hostfwd, *guestfwd; /* rules as given */
};

/* "tcp:A:P-A:P"; the guest's part is optional if !with_guest. */
struct user_rule {
    bool udp;
    struct in_addr addr, guest_addr;
    unsigned port, guest_port;
    const char *rest; /* guestfwd: what follows the '-' */
};

int user_config_read(struct user_config *c, struct opts *o, struct err *e);
void user_config_free(struct user_config *c);
/* hostfwd: "tcp|udp:[ADDR]:PORT-[ADDR]:PORT". */
int user_hostfwd_parse(const char *text, bool with_guest, struct user_rule *r, struct err *e);
/* guestfwd: "[tcp]:ADDR:PORT-TARGET". */
int user_guestfwd_parse(const char *text, struct user_rule *r, struct err *e);

#endif
