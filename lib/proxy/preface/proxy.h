/*
 * Functions and constants shared by the files that read and write PROXY
 * headers. Functions that read return errors of weir_proxy_header_parse(); all
 * bytes come from a peer.
 */
#ifndef WEIR_LIB_PROXY_PREFACE_PROXY_H
#define WEIR_LIB_PROXY_PREFACE_PROXY_H

#include "lib/proxy/libweir.h"
#include "weir/proxy_protocol.h"

enum {
    WR_PROXY_SIGNATURE = 12, /* bytes of version 2's signature */
    WR_PROXY_FIXED = 16,     /* bytes before the addresses */
    WR_PROXY_UNIX = 108,     /* bytes of a Unix address */
    WR_PROXY_CHECKSUM = 4,   /* bytes of a checksum */
    WR_PROXY_TLV_HEAD = 3,   /* type and length of a TLV */
};

extern const uint8_t wr_proxy_signature[WR_PROXY_SIGNATURE];

/* Returns the size of both addresses of a family; 0 for AF_UNSPEC. */
size_t wr_proxy_addresses_size(int family);

/* Returns the length of the line, or an error. */
WEIR_MUST_USE int wr_proxy_line_parse(const uint8_t *data, size_t len,
                                      struct weir_proxy_header *ret);

/* Writes a line. Returns its length or -ENOBUFS. */
WEIR_MUST_USE int wr_proxy_line_write(const struct weir_proxy_header *header,
                                      char *buf, size_t size);

/* Returns 0 or -EPROTO. */
WEIR_MUST_USE int wr_proxy_tlvs_check(const struct weir_proxy_tlvs *tlvs);

/* Computes the checksum of a header of @len bytes, as if the 4 bytes at
 * @checksum, which are part of it, were 0. */
uint32_t wr_proxy_crc32c(const uint8_t *header, size_t len,
                         const uint8_t *checksum);

/* Numbers in network byte order. */
static inline uint16_t wr_proxy_read16(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

static inline void wr_proxy_write16(uint8_t *data, size_t value)
{
    data[0] = (uint8_t)(value >> 8);
    data[1] = (uint8_t)value;
}

static inline uint32_t wr_proxy_read32(const uint8_t *data)
{
    return (uint32_t)wr_proxy_read16(data) << 16 | wr_proxy_read16(data + 2);
}

static inline void wr_proxy_write32(uint8_t *data, uint32_t value)
{
    wr_proxy_write16(data, value >> 16);
    wr_proxy_write16(data + 2, value);
}

#endif
