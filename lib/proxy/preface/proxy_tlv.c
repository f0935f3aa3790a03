/*
 * TLVs of a PROXY header, including the client's TLS, and the checksum.
 *
 * A TLV is a type of one byte, a length of two bytes, and a value. The value of
 * WEIR_PROXY_SSL has two numbers, then TLVs of its own. The checksum is
 * Castagnoli's (RFC 4960, appendix B), computed bit by bit: headers are short,
 * and few have a checksum.
 */
#include "proxy.h"

#include <errno.h>
#include <string.h>

enum {
    PROXY_TLV_MAX = UINT16_MAX, /* maximum size of a value, and of all TLVs */
    PROXY_TLV_UNIQUE_MAX = 128, /* maximum size of a unique identifier */
    PROXY_TLV_SSL_HEAD = 5,     /* client and verify */
};

#define PROXY_TLV_POLYNOMIAL UINT32_C(0x82f63b78) /* with reversed bits */

static bool proxy_tlv_is_valid(const struct weir_proxy_tlvs *tlvs)
{
    struct weir_proxy_tlvs left = *tlvs;
    struct weir_proxy_tlv tlv;

    while (weir_proxy_tlv_next(&left, &tlv)) {
    }
    wr_assert(left.len <= tlvs->len);
    return left.len == 0;
}

/* Returns false if the value is malformed. */
static bool proxy_tlv_read_ssl(const struct weir_proxy_tlv *tlv,
                               struct weir_proxy_ssl *ret)
{
    const uint8_t *value = tlv->value;

    wr_assert(tlv->type == WEIR_PROXY_SSL);
    if (tlv->len < PROXY_TLV_SSL_HEAD) {
        return false;
    }
    ret->client = value[0];
    ret->verify = wr_proxy_read32(value + 1);
    ret->tlvs.data = value + PROXY_TLV_SSL_HEAD;
    ret->tlvs.len = tlv->len - PROXY_TLV_SSL_HEAD;
    return proxy_tlv_is_valid(&ret->tlvs);
}

static bool proxy_tlv_fits(const struct weir_proxy_tlv *tlv)
{
    struct weir_proxy_ssl ssl;

    wr_assert(tlv->type <= UINT8_MAX);
    switch (tlv->type) {
    case WEIR_PROXY_CRC32C:
        return tlv->len == WR_PROXY_CHECKSUM;
    case WEIR_PROXY_UNIQUE_ID:
        return tlv->len <= PROXY_TLV_UNIQUE_MAX;
    case WEIR_PROXY_SSL:
        return proxy_tlv_read_ssl(tlv, &ssl);
    default:
        return true;
    }
}

int wr_proxy_tlvs_check(const struct weir_proxy_tlvs *tlvs)
{
    struct weir_proxy_tlvs left = *tlvs;
    struct weir_proxy_tlv tlv;
    unsigned checksums = 0;

    while (weir_proxy_tlv_next(&left, &tlv)) {
        checksums += tlv.type == WEIR_PROXY_CRC32C;
        if (!proxy_tlv_fits(&tlv) || checksums > 1) {
            return -EPROTO;
        }
    }
    wr_assert(left.len <= tlvs->len);
    return left.len == 0 ? 0 : -EPROTO;
}

uint32_t wr_proxy_crc32c(const uint8_t *header, size_t len,
                         const uint8_t *checksum)
{
    uint32_t crc = UINT32_MAX;

    wr_assert(checksum >= header);
    wr_assert(checksum + WR_PROXY_CHECKSUM <= header + len);
    for (size_t i = 0; i < len; i++) {
        const uint8_t *at = header + i;
        crc ^= at < checksum || at >= checksum + WR_PROXY_CHECKSUM ? *at : 0;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? PROXY_TLV_POLYNOMIAL : 0);
        }
    }
    return ~crc;
}

bool weir_proxy_tlv_next(struct weir_proxy_tlvs *left,
                         struct weir_proxy_tlv *ret)
{
    wr_require(left && ret, false);
    const uint8_t *data = left->data;
    if (left->len < WR_PROXY_TLV_HEAD) {
        return false;
    }
    const size_t len = wr_proxy_read16(data + 1);
    if (left->len - WR_PROXY_TLV_HEAD < len) {
        return false;
    }
    ret->type = data[0];
    ret->len = len;
    ret->value = data + WR_PROXY_TLV_HEAD;
    left->data = data + WR_PROXY_TLV_HEAD + len;
    left->len -= WR_PROXY_TLV_HEAD + len;
    return true;
}

bool weir_proxy_tlv_find(const struct weir_proxy_tlvs *tlvs, unsigned type,
                         struct weir_proxy_tlv *ret)
{
    struct weir_proxy_tlv tlv;

    wr_require(tlvs && ret, false);
    struct weir_proxy_tlvs left = *tlvs;
    while (weir_proxy_tlv_next(&left, &tlv)) {
        if (tlv.type == type) {
            *ret = tlv;
            return true;
        }
    }
    return false;
}

int weir_proxy_tlvs_write(const struct weir_proxy_tlv *tlvs, size_t count,
                          void *buf, size_t size)
{
    uint8_t *to = buf;
    size_t used = 0;

    wr_require(tlvs || count == 0, -EINVAL);
    for (size_t i = 0; i < count; i++) {
        const struct weir_proxy_tlv *tlv = &tlvs[i];
        wr_require(tlv->type <= UINT8_MAX && tlv->len <= PROXY_TLV_MAX,
                   -EINVAL);
        wr_require(tlv->value || tlv->len == 0, -EINVAL);
        const size_t end = used + WR_PROXY_TLV_HEAD + tlv->len;
        if (end > PROXY_TLV_MAX) {
            return -EMSGSIZE;
        }
        if (!to || end > size) {
            return -ENOBUFS;
        }
        to[used] = (uint8_t)tlv->type;
        wr_proxy_write16(to + used + 1, tlv->len);
        if (tlv->len > 0) {
            memcpy(to + used + WR_PROXY_TLV_HEAD, tlv->value, tlv->len);
        }
        used = end;
    }
    wr_assert(used <= PROXY_TLV_MAX);
    return (int)used;
}

int weir_proxy_ssl_parse(const struct weir_proxy_tlv *tlv,
                         struct weir_proxy_ssl *ret)
{
    struct weir_proxy_ssl ssl = {.size = sizeof(ssl)};

    wr_require(tlv, -EINVAL);
    int err = wr_answer_check(ret);
    wr_require(err == 0, err);
    wr_require(tlv->type == WEIR_PROXY_SSL, -EINVAL);
    wr_require(tlv->value || tlv->len == 0, -EINVAL);
    if (!proxy_tlv_read_ssl(tlv, &ssl)) {
        return -EPROTO;
    }
    wr_answer_write(ret, &ssl, sizeof(ssl));
    return 0;
}

int weir_proxy_ssl_write(const struct weir_proxy_ssl *ssl, void *buf,
                         size_t size)
{
    struct weir_proxy_ssl known;
    uint8_t *to = buf;

    wr_require(ssl, -EINVAL);
    int err = wr_options_read(&known, sizeof(known), ssl);
    wr_require(err == 0, err);
    wr_require(known.client <= UINT8_MAX, -EINVAL);
    wr_require(known.tlvs.data || known.tlvs.len == 0, -EINVAL);
    if (known.tlvs.len > PROXY_TLV_MAX - PROXY_TLV_SSL_HEAD) {
        return -EMSGSIZE;
    }
    wr_require(proxy_tlv_is_valid(&known.tlvs), -EINVAL);
    if (!to || size < PROXY_TLV_SSL_HEAD + known.tlvs.len) {
        return -ENOBUFS;
    }
    to[0] = (uint8_t)known.client;
    wr_proxy_write32(to + 1, known.verify);
    if (known.tlvs.len > 0) {
        memcpy(to + PROXY_TLV_SSL_HEAD, known.tlvs.data, known.tlvs.len);
    }
    return (int)(PROXY_TLV_SSL_HEAD + known.tlvs.len);
}
