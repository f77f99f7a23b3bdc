/* The options of -netdev user: addresses of the network that the guest sees, forwarding rules. Called by net_user.c on the main thread. */
#include <arpa/inet.h>
#include "hw/backend/net_user.h"
#include "util/opts.h"

static int read_addr(struct opts *o, const char *name, struct in_addr *a, struct err *e)
{
    const char *v = opts_get(o, name);

    return !v || inet_aton(v, a) ? 0 : err_set(e, "%s=%s: not an IPv4 address", name, v);
}

static int read_addr6(struct opts *o, const char *name, struct in6_addr *a, struct err *e)
{
    const char *v = opts_get(o, name);

    return !v || inet_pton(AF_INET6, v, a) == 1 ? 0 : err_set(e, "%s=%s: not an IPv6 address", name, v);
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0"; without a mask: /24. */
static int read_net(struct opts *o, struct user_config *c, struct err *e)
{
    const char *v = opts_get(o, "net");
    char **parts;
    u64 bits;
    int r = 0;

    inet_aton("10.0.2.0", &c->net);
    c->mask.s_addr = htonl(0xffffff00);
    if (!v)
        return 0;
    parts = g_strsplit(v, "/", 2);
    if (!parts[0] || !inet_aton(parts[0], &c->net))
        r = err_set(e, "net=%s: not an IPv4 address", v);
    else if (parts[1] && strchr(parts[1], '.') ? !inet_aton(parts[1], &c->mask)
                                               : parts[1] && (!g_ascii_string_to_unsigned(parts[1], 10, 4, 29, &bits, NULL)))
        r = err_set(e, "net=%s: the mask is a number of bits from 4 to 29, or of the form 255.255.255.0", v);
    else if (parts[1] && !strchr(parts[1], '.'))
        c->mask.s_addr = htonl(~0u << (32 - bits));
    g_strfreev(parts);
    c->net.s_addr &= c->mask.s_addr;
    return r;
}

static int check_inside(const struct user_config *c, const char *name, struct in_addr a, struct err *e)
{
    if ((a.s_addr & c->mask.s_addr) == c->net.s_addr)
        return 0;
    return err_set(e, "%s=%s: not in the guest's network", name, inet_ntoa(a));
}

static int read_ip4(struct opts *o, struct user_config *c, struct err *e)
{
    if (read_net(o, c, e) < 0)
        return -1;
    c->host.s_addr = c->net.s_addr | htonl(2);
    c->dns.s_addr = c->net.s_addr | htonl(3);
    c->dhcp_start.s_addr = c->net.s_addr | (htonl(15) & ~c->mask.s_addr);
    if (read_addr(o, "host", &c->host, e) < 0 || read_addr(o, "dhcpstart", &c->dhcp_start, e) < 0 ||
        read_addr(o, "dns", &c->dns, e) < 0 || check_inside(c, "host", c->host, e) < 0 ||
        check_inside(c, "dhcpstart", c->dhcp_start, e) < 0 || check_inside(c, "dns", c->dns, e) < 0)
        return -1;
    if (c->host.s_addr == c->dns.s_addr)
        return err_set(e, "host= and dns= must be two addresses");
    if (c->dhcp_start.s_addr == c->host.s_addr || c->dhcp_start.s_addr == c->dns.s_addr)
        return err_set(e, "dhcpstart= must be neither host= nor dns=");
    return 0;
}

/* ipv6-net=PREFIX[/LEN] says the same as ipv6-prefix= and ipv6-prefixlen=. */
static int split_ip6_net(struct opts *o)
{
    const char *v = opts_get(o, "ipv6-net");
    char **parts;

    if (!v)
        return 0;
    parts = g_strsplit(v, "/", 2);
    opts_set(o, "ipv6-prefix", parts[0] ? parts[0] : "");
    if (parts[0] && parts[1])
        opts_set(o, "ipv6-prefixlen", parts[1]);
    g_strfreev(parts);
    return 0;
}

static int read_ip6(struct opts *o, struct user_config *c, struct err *e)
{
    u64 len;

    inet_pton(AF_INET6, "fec0::", &c->prefix6);
    split_ip6_net(o);
    if (read_addr6(o, "ipv6-prefix", &c->prefix6, e) < 0 || opts_uint(o, "ipv6-prefixlen", 64, 4, 126, &len, e) < 0)
        return -1;
    c->prefix6_len = len;
    c->host6 = c->dns6 = c->prefix6;
    c->host6.s6_addr[15] |= 2;
    c->dns6.s6_addr[15] |= 3;
    return read_addr6(o, "ipv6-host", &c->host6, e) < 0 || read_addr6(o, "ipv6-dns", &c->dns6, e) < 0 ? -1 : 0;
}

/* Every value of NAME: NAME=A,NAME=B, or a list of strings or of objects with a member "str" in JSON. */
static GPtrArray *read_list(struct opts *o, const char *name)
{
    GPtrArray *a = g_ptr_array_new_with_free_func(g_free);
    size_t n = strlen(name);

    for (unsigned i = 0; i < opts_count(o); i++) {
        const char *full = opts_name(o, i);
        if (strncmp(full, name, n) || (full[n] && full[n] != '.'))
            continue;
        opts_mark_used(o, i);
        g_ptr_array_add(a, g_strdup(opts_value(o, i)));
    }
    return a;
}

static int read_strings(struct opts *o, struct user_config *c, struct err *e)
{
    const struct { const char *name; char **out; } strings[] = {
        { "hostname", &c->hostname }, { "tftp", &c->tftp }, { "tftp-server-name", &c->tftp_server },
        { "bootfile", &c->bootfile }, { "domainname", &c->domainname },
    };
    GPtrArray *search = read_list(o, "dnssearch");

    for (unsigned i = 0; i < ARRAY_LEN(strings); i++)
        *strings[i].out = g_strdup(opts_get(o, strings[i].name));
    g_ptr_array_set_free_func(search, NULL);
    g_ptr_array_add(search, NULL);
    c->dnssearch = (char **)g_ptr_array_free(search, FALSE);
    c->hostfwd = read_list(o, "hostfwd");
    c->guestfwd = read_list(o, "guestfwd");
    if (opts_peek(o, "smb") || opts_peek(o, "smbserver"))
        return err_set(e, "smb=: not available here; share files with a server on the host");
    if (c->hostname && strlen(c->hostname) > 32)
        return err_set(e, "hostname=%s: at most 32 characters", c->hostname);
    if (c->bootfile && strlen(c->bootfile) > 127)
        return err_set(e, "bootfile=: at most 127 characters");
    if (c->tftp && !g_file_test(c->tftp, G_FILE_TEST_IS_DIR))
        return err_set(e, "tftp=%s: no such directory", c->tftp);
    return 0;
}

int user_config_read(struct user_config *c, struct opts *o, struct err *e)
{
    memset(c, 0, sizeof(*c));
    if (opts_bool(o, "restrict", false, &c->restricted, e) < 0 || opts_bool(o, "ipv4", true, &c->ip4, e) < 0 ||
        opts_bool(o, "ipv6", true, &c->ip6, e) < 0 || read_strings(o, c, e) < 0 || read_ip4(o, c, e) < 0 || read_ip6(o, c, e) < 0)
        return -1;
    if (!opts_has(o, "ipv4") && opts_has(o, "ipv6") && c->ip6)
        c->ip4 = false; /* ipv6=on alone means ipv6 only, and the other way round */
    if (!opts_has(o, "ipv6") && opts_has(o, "ipv4") && c->ip4)
        c->ip6 = false;
    return c->ip4 || c->ip6 ? 0 : err_set(e, "ipv4=off,ipv6=off leaves no network");
}

void user_config_free(struct user_config *c)
{
    g_free(c->hostname);
    g_free(c->tftp);
    g_free(c->tftp_server);
    g_free(c->bootfile);
    g_free(c->domainname);
    g_strfreev(c->dnssearch);
    if (c->hostfwd)
        g_ptr_array_unref(c->hostfwd);
    if (c->guestfwd)
        g_ptr_array_unref(c->guestfwd);
}

/* -- rules ---------------------------------------------------------------------------------------------------------- */

/* "[ADDR]:PORT" up to `end`; *p moves behind it. An empty address is left as it is. */
static bool take_endpoint(const char **p, char end, struct in_addr *a, unsigned *port)
{
    const char *colon = strchr(*p, ':'), *stop = colon ? strchr(colon, end) : NULL;
    char *text;
    u64 v;
    bool ok;

    if (!colon || (end && !stop))
        return false;
    text = g_strndup(*p, colon - *p);
    ok = !*text || inet_aton(text, a);
    g_free(text);
    text = end ? g_strndup(colon + 1, stop - colon - 1) : g_strdup(colon + 1);
    ok = ok && g_ascii_string_to_unsigned(text, 10, 0, 65535, &v, NULL);
    g_free(text);
    if (!ok)
        return false;
    *port = v;
    *p = end ? stop + 1 : "";
    return true;
}

static bool take_protocol(const char **p, bool *udp, bool may_be_udp)
{
    *udp = may_be_udp && g_str_has_prefix(*p, "udp:");
    if (!*udp && !g_str_has_prefix(*p, "tcp:") && **p != ':')
        return false;
    *p += **p == ':' ? 1 : 4;
    return true;
}

int user_hostfwd_parse(const char *text, bool with_guest, struct user_rule *r, struct err *e)
{
    const char *p = text;

    *r = (struct user_rule){ .udp = false };
    if (take_protocol(&p, &r->udp, true) && take_endpoint(&p, with_guest ? '-' : 0, &r->addr, &r->port) &&
        (!with_guest || (take_endpoint(&p, 0, &r->guest_addr, &r->guest_port) && r->guest_port)))
        return 0;
    return err_set(e, "invalid host forwarding rule '%s'; use tcp|udp:[HOSTADDR]:HOSTPORT%s", text,
                   with_guest ? "-[GUESTADDR]:GUESTPORT" : "");
}

int user_guestfwd_parse(const char *text, struct user_rule *r, struct err *e)
{
    const char *p = text;

    *r = (struct user_rule){ .udp = false };
    if (!take_protocol(&p, &r->udp, false) || !take_endpoint(&p, '-', &r->addr, &r->port) || !r->port || !*p)
        return err_set(e, "invalid guest forwarding rule '%s'; use tcp:ADDR:PORT-cmd:COMMAND or -CHARDEV", text);
    r->rest = p;
    return 0;
}
