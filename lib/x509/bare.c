/*
 * Writes minimal certificates, whose key alone is used. The signature is
 * meaningless, and gets the length with which the certificate has the requested
 * size.
 */
#include "bare.h"

#include "der.h"
#include "uring/check.h"

#include <string.h>

/* ecdsa-with-SHA256 */
static const uint8_t bare_algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                         0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};

static const uint8_t bare_front[] = {0xa0, 0x03, 0x02, 0x01,
                                     0x02, 0x02, 0x01, 0x01};

/* An empty issuer, the dates 1950 to 2049, and the tag of the subject, whose
 * length 0 is the NUL of the text. */
static const uint8_t bare_middle[] = "\x30\x00\x30\x1e\x17\x0d"
                                     "500101000000Z\x17\x0d"
                                     "491231235959Z\x30";

/* A key without bits, of the algorithm 1.2, which does not exist. */
static const uint8_t bare_key[] = {0x30, 0x08, 0x30, 0x03, 0x06,
                                   0x01, 0x2a, 0x03, 0x01, 0x00};

static const uint8_t bare_signature[] = {0x03, 0x01, 0x00};

enum { BARE_LONG_HEADER = 5 };

static uint8_t *bare_put(uint8_t *to, const void *data, size_t size)
{
    wr_assert(to && data);
    memcpy(to, data, size);
    return to + size;
}

/* A long header always has 5 bytes. */
static uint8_t *bare_put_header(uint8_t *to, uint8_t tag, size_t size,
                                bool is_long)
{
    const uint8_t bytes[] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8),
                             (uint8_t)size};
    const size_t count = is_long              ? 3
                         : size < 0x80        ? 0
                         : size <= UINT8_MAX  ? 1
                         : size <= UINT16_MAX ? 2
                                              : 3;

    wr_assert(size < 1u << 24);
    *to++ = tag;
    *to++ = (uint8_t)(count > 0 ? 0x80 | count : size);
    return bare_put(to, bytes + sizeof(bytes) - count, count);
}

static uint8_t *bare_put_body(uint8_t *to, struct wr_bytes key)
{
    const size_t size = sizeof(bare_front) + sizeof(bare_algorithm) +
                        sizeof(bare_middle) + key.size;

    wr_assert(key.size > 0);
    to = bare_put_header(to, WR_DER_SEQUENCE, size, false);
    to = bare_put(to, bare_front, sizeof(bare_front));
    to = bare_put(to, bare_algorithm, sizeof(bare_algorithm));
    to = bare_put(to, bare_middle, sizeof(bare_middle));
    to = bare_put(to, key.data, key.size);
    return bare_put(to, bare_algorithm, sizeof(bare_algorithm));
}

size_t wr_x509_bare_make(uint8_t ret[WR_X509_BARE_MAX], struct wr_bytes info)
{
    uint8_t inside[WR_X509_BARE_MAX];

    wr_assert(info.size <= WR_X509_BARE_KEY_MAX);
    const struct wr_bytes none = {bare_key, sizeof(bare_key)};
    uint8_t *end = bare_put_body(inside, info.data ? info : none);
    end = bare_put(end, bare_signature, sizeof(bare_signature));
    const size_t size = (size_t)(end - inside);
    uint8_t *at = bare_put_header(ret, WR_DER_SEQUENCE, size, false);
    return (size_t)(bare_put(at, inside, size) - ret);
}

bool wr_x509_bare_write(uint8_t *ret, size_t size, struct wr_bytes info)
{
    uint8_t body[WR_X509_BARE_MAX];

    wr_assert(info.size <= WR_X509_BARE_KEY_MAX);
    const struct wr_bytes none = {bare_key, sizeof(bare_key)};
    const size_t body_size =
        (size_t)(bare_put_body(body, info.data ? info : none) - body);
    if (size < 2u * BARE_LONG_HEADER + body_size + 1) {
        return false;
    }
    const size_t bits = size - 2u * BARE_LONG_HEADER - body_size;
    uint8_t *at =
        bare_put_header(ret, WR_DER_SEQUENCE, size - BARE_LONG_HEADER, true);
    at = bare_put(at, body, body_size);
    at = bare_put_header(at, WR_DER_BIT_STRING, bits, true);
    memset(at, 0, bits);
    wr_assert(at + bits == ret + size);
    return true;
}
