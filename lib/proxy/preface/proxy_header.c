/*
 * Parses a PROXY header: determines the version, and parses version 2.
 *
 * Version 2 has a signature, four bytes with command, family, transport and
 * length, then both addresses, then TLVs. Each byte is checked as soon as it
 * arrives; addresses and TLVs are read when the header is complete. If the
 * specification lets a receiver ignore the addresses, nothing after the fixed
 * part can make a header invalid, except a wrong checksum.
 */
#include "proxy.h"

#include <errno.h>
#include <string.h>
#include <weir/error.h>

enum {
    PROXY_HEADER_COMMAND = 12, /* offset of version and command */
    PROXY_HEADER_FAMILY = 13,  /* offset of family and transport */
    /* Offset of the length of the remaining header. */
    PROXY_HEADER_LENGTH = 14,
    PROXY_HEADER_LOCAL = 0x20, /* version 2 and the command */
    PROXY_HEADER_PROXY = 0x21,
    PROXY_HEADER_DEFAULT = 536, /* default size limit */
};

const uint8_t wr_proxy_signature[WR_PROXY_SIGNATURE] = {
    '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n',
};

static const int proxy_header_families[] = {AF_UNSPEC, AF_INET, AF_INET6,
                                            AF_UNIX};
static const int proxy_header_types[] = {0, SOCK_STREAM, SOCK_DGRAM};

_Static_assert(WEIR_PROXY_V2_SIZE_MAX == WR_PROXY_FIXED + UINT16_MAX,
               "the longest header");

struct proxy_header_fixed {
    bool is_local;
    /* AF_UNSPEC if there are no addresses, or if they must be ignored. */
    int family;
    int socket_type;
    size_t addresses; /* size of both addresses */
    size_t total;     /* size of the header */
};

size_t wr_proxy_addresses_size(int family)
{
    switch (family) {
    case AF_INET:
        return 2 * (sizeof(struct in_addr) + sizeof(in_port_t));
    case AF_INET6:
        return 2 * (sizeof(struct in6_addr) + sizeof(in_port_t));
    case AF_UNIX:
        return 2 * WR_PROXY_UNIX;
    default:
        wr_assert(family == AF_UNSPEC);
        return 0;
    }
}

static bool proxy_header_read_family(uint8_t byte,
                                     struct proxy_header_fixed *ret)
{
    const size_t family = byte >> 4;
    const size_t type = byte & 0xf;

    if (family >=
            sizeof(proxy_header_families) / sizeof(proxy_header_families[0]) ||
        type >= sizeof(proxy_header_types) / sizeof(proxy_header_types[0])) {
        return false;
    }
    ret->family = proxy_header_families[family];
    ret->socket_type = proxy_header_types[type];
    ret->addresses = wr_proxy_addresses_size(ret->family);
    wr_assert(ret->addresses <= 2 * WR_PROXY_UNIX);
    return true;
}

static int proxy_header_read_fixed(const uint8_t *data, size_t len,
                                   size_t limit_bytes,
                                   struct proxy_header_fixed *ret)
{
    wr_assert(len > 0);
    wr_assert(limit_bytes >= WR_PROXY_FIXED);
    const size_t begun = len < WR_PROXY_SIGNATURE ? len : WR_PROXY_SIGNATURE;
    if (memcmp(data, wr_proxy_signature, begun) != 0) {
        return -EPROTO;
    }
    if (len <= PROXY_HEADER_COMMAND) {
        return -EAGAIN;
    }
    const uint8_t command = data[PROXY_HEADER_COMMAND];
    ret->is_local = command == PROXY_HEADER_LOCAL;
    if (!ret->is_local && command != PROXY_HEADER_PROXY) {
        return -EPROTO;
    }
    if (len > PROXY_HEADER_FAMILY &&
        !proxy_header_read_family(data[PROXY_HEADER_FAMILY], ret) &&
        !ret->is_local) {
        return -EPROTO;
    }
    if (len < WR_PROXY_FIXED) {
        return -EAGAIN;
    }
    const size_t follow = wr_proxy_read16(data + PROXY_HEADER_LENGTH);
    ret->total = WR_PROXY_FIXED + follow;
    if (ret->total > limit_bytes) {
        return -EMSGSIZE;
    }
    const bool is_told = !ret->is_local && ret->socket_type != 0;
    return is_told && follow < ret->addresses ? -EPROTO : 0;
}

static void proxy_header_read_unix(const uint8_t *data,
                                   struct weir_address *ret)
{
    size_t len = 0;

    if (data[0] == '\0') { /* an abstract name */
        len = WR_PROXY_UNIX;
        while (len > 0 && data[len - 1] == '\0') {
            len--;
        }
    } else {
        while (len < WR_PROXY_UNIX && data[len] != '\0') {
            len++;
        }
    }
    *ret = (struct weir_address){.len = offsetof(struct sockaddr_un, sun_path)};
    ret->storage.local.sun_family = AF_UNIX;
    memcpy(ret->storage.local.sun_path, data, len);
    ret->len += (socklen_t)len;
    if (len > 0 && data[0] != '\0' && len < WR_PROXY_UNIX) {
        ret->len++; /* the path's NUL */
    }
    wr_assert(wr_address_is_valid(ret));
}

static void proxy_header_read_inet(const uint8_t *host, const uint8_t *port,
                                   struct weir_address *ret)
{
    struct sockaddr_in *inet = &ret->storage.inet;

    *ret = (struct weir_address){.len = sizeof(*inet)};
    inet->sin_family = AF_INET;
    memcpy(&inet->sin_addr, host, sizeof(inet->sin_addr));
    memcpy(&inet->sin_port, port, sizeof(inet->sin_port));
    wr_assert(wr_address_is_valid(ret));
}

static void proxy_header_read_inet6(const uint8_t *host, const uint8_t *port,
                                    struct weir_address *ret)
{
    struct sockaddr_in6 *inet6 = &ret->storage.inet6;

    *ret = (struct weir_address){.len = sizeof(*inet6)};
    inet6->sin6_family = AF_INET6;
    memcpy(&inet6->sin6_addr, host, sizeof(inet6->sin6_addr));
    memcpy(&inet6->sin6_port, port, sizeof(inet6->sin6_port));
    wr_assert(wr_address_is_valid(ret));
}

static void proxy_header_read_addresses(const uint8_t *data, int family,
                                        struct weir_proxy_header *ret)
{
    const uint8_t *ports = data + wr_proxy_addresses_size(family) - 4;

    if (family == AF_UNIX) {
        proxy_header_read_unix(data, &ret->source);
        proxy_header_read_unix(data + WR_PROXY_UNIX, &ret->destination);
    } else if (family == AF_INET) {
        proxy_header_read_inet(data, ports, &ret->source);
        proxy_header_read_inet(data + 4, ports + 2, &ret->destination);
    } else {
        wr_assert(family == AF_INET6);
        proxy_header_read_inet6(data, ports, &ret->source);
        proxy_header_read_inet6(data + 16, ports + 2, &ret->destination);
    }
}

static int proxy_header_read_tlvs(const uint8_t *header, size_t len,
                                  size_t offset, struct weir_proxy_header *ret)
{
    const struct weir_proxy_tlvs tlvs = {
        .data = header + offset,
        .len = len - offset,
    };
    struct weir_proxy_tlv checksum;

    wr_assert(offset >= WR_PROXY_FIXED);
    wr_assert(offset <= len);
    const int err = wr_proxy_tlvs_check(&tlvs);
    if (err) {
        return err;
    }
    if (weir_proxy_tlv_find(&tlvs, WEIR_PROXY_CRC32C, &checksum)) {
        if (wr_proxy_crc32c(header, len, checksum.value) !=
            wr_proxy_read32(checksum.value)) {
            return -EBADMSG;
        }
        ret->has_checksum = true;
    }
    ret->tlvs = tlvs;
    return 0;
}

static int proxy_header_parse_binary(const uint8_t *data, size_t len,
                                     size_t limit_bytes,
                                     struct weir_proxy_header *ret)
{
    struct proxy_header_fixed fixed = {.family = AF_UNSPEC};

    int err = proxy_header_read_fixed(data, len, limit_bytes, &fixed);
    if (err < 0 || len < fixed.total) {
        return err < 0 ? err : -EAGAIN;
    }
    const bool has_addresses =
        !fixed.is_local && fixed.family != AF_UNSPEC && fixed.socket_type != 0;
    wr_assert(fixed.total <= limit_bytes);
    ret->version = WEIR_PROXY_V2;
    ret->is_local = fixed.is_local;
    if (has_addresses) {
        ret->socket_type = fixed.socket_type;
        proxy_header_read_addresses(data + WR_PROXY_FIXED, fixed.family, ret);
    }
    const size_t offset = WR_PROXY_FIXED + fixed.addresses;
    err = offset > fixed.total
              ? -EPROTO
              : proxy_header_read_tlvs(data, fixed.total, offset, ret);
    if (err == -EPROTO && !has_addresses) {
        err = 0; /* the remaining header must be ignored */
    }
    return err < 0 ? err : (int)fixed.total;
}

static int proxy_header_read_options(const struct weir_proxy_options *options,
                                     struct weir_proxy_options *ret)
{
    const int err = wr_options_read(ret, sizeof(*ret), options);
    if (err) {
        return err;
    }
    if (ret->versions == 0) {
        ret->versions = WEIR_PROXY_V1 | WEIR_PROXY_V2;
    }
    if (ret->header_limit_bytes == 0) {
        ret->header_limit_bytes = PROXY_HEADER_DEFAULT;
    }
    wr_assert(ret->header_limit_bytes > 0);
    wr_require(ret->versions <= (WEIR_PROXY_V1 | WEIR_PROXY_V2), -EINVAL);
    wr_require(ret->header_limit_bytes >= WR_PROXY_FIXED &&
                   ret->header_limit_bytes <= WEIR_PROXY_V2_SIZE_MAX,
               -EINVAL);
    return 0;
}

int weir_proxy_header_parse(const void *data, size_t len,
                            const struct weir_proxy_options *options,
                            struct weir_proxy_header *ret)
{
    struct weir_proxy_options known;
    struct weir_proxy_header header = {.size = sizeof(header)};
    const uint8_t *bytes = data;

    wr_require(data || len == 0, -EINVAL);
    int result = wr_answer_check(ret);
    wr_require(result == 0, result);
    result = proxy_header_read_options(options, &known);
    if (result < 0) {
        return result;
    }
    if (len == 0) {
        return -EAGAIN;
    }
    if (bytes[0] == wr_proxy_signature[0] && known.versions & WEIR_PROXY_V2) {
        result = proxy_header_parse_binary(bytes, len, known.header_limit_bytes,
                                           &header);
    } else if (known.versions & WEIR_PROXY_V1) {
        result = wr_proxy_line_parse(bytes, len, &header);
    } else {
        result = -EPROTO;
    }
    if (result >= 0) {
        wr_assert(result > 0);
        wr_assert((size_t)result <= len);
        wr_answer_write(ret, &header, sizeof(header));
    }
    return result;
}
