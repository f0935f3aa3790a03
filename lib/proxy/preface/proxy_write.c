/*
 * Writes a PROXY header.
 *
 * A parsed header can be written unchanged. Its old checksum need not fit the
 * written bytes, so TLVs are copied without it, and a new checksum follows
 * them. Everything is checked before the first byte is written.
 */
#include "proxy.h"

#include <errno.h>
#include <string.h>
#include <weir/error.h>

enum {
    PROXY_WRITE_CHECKSUM = WR_PROXY_TLV_HEAD + WR_PROXY_CHECKSUM,
};

static bool proxy_write_has_addresses(const struct weir_proxy_header *header)
{
    return header->source.len > 0 && !header->is_local;
}

static bool proxy_write_fits(const struct weir_proxy_header *header)
{
    const struct weir_proxy_tlvs *tlvs = &header->tlvs;

    if (header->version == WEIR_PROXY_V1) {
        return tlvs->len == 0 && !header->has_checksum;
    }
    return header->version == WEIR_PROXY_V2 && (tlvs->data || tlvs->len == 0) &&
           wr_proxy_tlvs_check(tlvs) == 0;
}

/* Returns true if there are two addresses of one family, or none. */
static bool proxy_write_are_alike(const struct weir_address *source,
                                  const struct weir_address *destination)
{
    if (source->len == 0 || destination->len == 0) {
        return source->len == destination->len;
    }
    return wr_address_is_valid(source) && wr_address_is_valid(destination) &&
           source->storage.any.sa_family == destination->storage.any.sa_family;
}

static uint8_t proxy_write_family(const struct weir_proxy_header *header)
{
    const int family = header->source.storage.any.sa_family;

    if (!proxy_write_has_addresses(header)) {
        return 0;
    }
    wr_assert(wr_proxy_addresses_size(family) > 0);
    const uint8_t high = family == AF_INET    ? 0x10
                         : family == AF_INET6 ? 0x20
                                              : 0x30;
    return high | (header->socket_type == SOCK_DGRAM ? 2 : 1);
}

static void proxy_write_unix(const struct weir_address *addr, uint8_t *to)
{
    const struct sockaddr_un *local = &addr->storage.local;
    size_t len = addr->len - offsetof(struct sockaddr_un, sun_path);

    wr_assert(len <= WR_PROXY_UNIX);
    if (len > 0 && local->sun_path[0] != '\0') {
        len = strnlen(local->sun_path, len);
    }
    memset(to, 0, WR_PROXY_UNIX);
    memcpy(to, local->sun_path, len);
}

static void proxy_write_address(const struct weir_address *addr, uint8_t *host,
                                uint8_t *port)
{
    switch (addr->storage.any.sa_family) {
    case AF_INET:
        memcpy(host, &addr->storage.inet.sin_addr, sizeof(struct in_addr));
        wr_proxy_write16(port, wr_address_port(addr));
        break;
    case AF_INET6:
        memcpy(host, &addr->storage.inet6.sin6_addr, sizeof(struct in6_addr));
        wr_proxy_write16(port, wr_address_port(addr));
        break;
    default:
        wr_assert(addr->storage.any.sa_family == AF_UNIX);
        proxy_write_unix(addr, host);
    }
}

static size_t proxy_write_addresses(const struct weir_proxy_header *header,
                                    uint8_t *to)
{
    if (!proxy_write_has_addresses(header)) {
        return 0;
    }
    const int family = header->source.storage.any.sa_family;
    const size_t size = wr_proxy_addresses_size(family);
    const size_t host_size =
        family == AF_UNIX ? WR_PROXY_UNIX : size / 2 - sizeof(in_port_t);
    uint8_t *ports = to + 2 * host_size;

    wr_assert(size >= 2 * host_size);
    proxy_write_address(&header->source, to, ports);
    proxy_write_address(&header->destination, to + host_size, ports + 2);
    return size;
}

/* Copies the TLVs except a checksum. With @to NULL only returns their size. */
static size_t proxy_write_tlvs(const struct weir_proxy_header *header,
                               uint8_t *to)
{
    struct weir_proxy_tlvs left = header->tlvs;
    struct weir_proxy_tlv tlv;
    size_t used = 0;

    for (const uint8_t *from = left.data; weir_proxy_tlv_next(&left, &tlv);
         from = left.data) {
        const size_t len = WR_PROXY_TLV_HEAD + tlv.len;
        if (tlv.type == WEIR_PROXY_CRC32C) {
            continue;
        }
        if (to) {
            memcpy(to + used, from, len);
        }
        used += len;
    }
    wr_assert(used <= header->tlvs.len);
    return used;
}

static int proxy_write_binary(const struct weir_proxy_header *header,
                              uint8_t *to, size_t size)
{
    wr_assert(header->version == WEIR_PROXY_V2);
    const size_t addresses =
        proxy_write_has_addresses(header)
            ? wr_proxy_addresses_size(header->source.storage.any.sa_family)
            : 0;
    const size_t tlvs = proxy_write_tlvs(header, NULL);
    const size_t len = WR_PROXY_FIXED + addresses + tlvs +
                       (header->has_checksum ? PROXY_WRITE_CHECKSUM : 0);

    if (len > WEIR_PROXY_V2_SIZE_MAX) {
        return -EMSGSIZE;
    }
    if (!to || len > size) {
        return -ENOBUFS;
    }
    memcpy(to, wr_proxy_signature, WR_PROXY_SIGNATURE);
    to[12] = header->is_local ? 0x20 : 0x21;
    to[13] = proxy_write_family(header);
    wr_proxy_write16(to + 14, len - WR_PROXY_FIXED);
    size_t used = WR_PROXY_FIXED;
    used += proxy_write_addresses(header, to + used);
    used += proxy_write_tlvs(header, to + used);
    if (header->has_checksum) {
        uint8_t *checksum = to + used + WR_PROXY_TLV_HEAD;
        to[used] = WEIR_PROXY_CRC32C;
        wr_proxy_write16(to + used + 1, WR_PROXY_CHECKSUM);
        used += PROXY_WRITE_CHECKSUM;
        wr_proxy_write32(checksum, wr_proxy_crc32c(to, used, checksum));
    }
    wr_assert(used == len);
    return (int)len;
}

/* Converts a pair of IPv4-mapped IPv6 addresses to IPv4, because many parsers
 * refuse them. A single mapped address next to an IPv6 address is kept. */
static void proxy_write_unmap(struct weir_proxy_header *header)
{
    struct weir_address source = header->source;
    struct weir_address destination = header->destination;

    weir_address_unmap(&source);
    weir_address_unmap(&destination);
    if (source.len > 0 && source.storage.any.sa_family == AF_INET &&
        destination.len > 0 && destination.storage.any.sa_family == AF_INET) {
        header->source = source;
        header->destination = destination;
    }
    wr_assert(source.len > 0 || header->source.len == 0);
}

int weir_proxy_header_write(const struct weir_proxy_header *header, void *buf,
                            size_t size)
{
    struct weir_proxy_header known;

    wr_require(header, -EINVAL);
    const int err = wr_options_read(&known, sizeof(known), header);
    wr_require(err == 0, err);
    proxy_write_unmap(&known);
    wr_require(known.socket_type == 0 || known.socket_type == SOCK_STREAM ||
                   known.socket_type == SOCK_DGRAM,
               -EINVAL);
    wr_require(proxy_write_are_alike(&known.source, &known.destination),
               -EINVAL);
    wr_require(proxy_write_fits(&known), -EINVAL);
    return known.version == WEIR_PROXY_V1
               ? wr_proxy_line_write(&known, buf, size)
               : proxy_write_binary(&known, buf, size);
}
