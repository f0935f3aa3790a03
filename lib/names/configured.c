/*
 * The families of this machine's addresses, read with netlink each time,
 * because addresses come and go; the kernel answers immediately. Link-local
 * addresses (fe80::1) count, as in the C library.
 */
#include "configured.h"

#include "lookup.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

/* Returns the bit of one address, or 0 if it does not count. */
static unsigned configured_get_bit(const struct sockaddr *address)
{
    struct sockaddr_in6 inet6;
    struct sockaddr_in inet;

    if (address && address->sa_family == AF_INET6) {
        memcpy(&inet6, address, sizeof(inet6));
        return IN6_IS_ADDR_LOOPBACK(&inet6.sin6_addr) ? 0
                                                      : 1u << WR_LOOKUP_INET6;
    }
    if (address && address->sa_family == AF_INET) {
        memcpy(&inet, address, sizeof(inet));
        const uint32_t net = ntohl(inet.sin_addr.s_addr) >> IN_CLASSA_NSHIFT;
        return net == IN_LOOPBACKNET ? 0 : 1u << WR_LOOKUP_INET;
    }
    return 0;
}

unsigned wr_configured_families(void)
{
    struct ifaddrs *entries = NULL;
    unsigned families = 0;

    if (getifaddrs(&entries) < 0) {
        return 0;
    }
    for (const struct ifaddrs *entry = entries; entry;
         entry = entry->ifa_next) {
        families |= configured_get_bit(entry->ifa_addr);
    }
    freeifaddrs(entries);
    wr_assert(families < 1u << WR_LOOKUP_NAME); /* not a family */
    return families;
}
