/*
 * Computes which keys a client can use from IANA's numbers. With TLS 1.3 an
 * ECDSA scheme names its curve (RFC 8446, 4.2.3); with TLS 1.2 it names only
 * the hash, and the client's groups list its curves (RFC 8422, 4).
 */
#include "offer.h"

#include "suites.h"
#include "uring/check.h"

enum {
    OFFER_CURVES = WR_TLS_OFFER_P256 | WR_TLS_OFFER_P384 | WR_TLS_OFFER_P521,
    OFFER_ALL = WR_TLS_OFFER_RSA | OFFER_CURVES | WR_TLS_OFFER_EDWARDS,
    OFFER_NEWEST = 0x0304,
};

/* A number in a client's list, and the kinds of keys that it allows. */
struct offer_row {
    uint16_t number;
    uint8_t kinds;
};

static const struct offer_row offer_schemes[] = {
    {0x0804, WR_TLS_OFFER_RSA},     {0x0805, WR_TLS_OFFER_RSA},
    {0x0806, WR_TLS_OFFER_RSA},     {0x0403, WR_TLS_OFFER_P256},
    {0x0503, WR_TLS_OFFER_P384},    {0x0603, WR_TLS_OFFER_P521},
    {0x0807, WR_TLS_OFFER_EDWARDS}, {0, 0},
};

static const struct offer_row offer_old_schemes[] = {
    {0x0401, WR_TLS_OFFER_RSA},
    {0x0501, WR_TLS_OFFER_RSA},
    {0x0601, WR_TLS_OFFER_RSA},
    {0x0804, WR_TLS_OFFER_RSA},
    {0x0805, WR_TLS_OFFER_RSA},
    {0x0806, WR_TLS_OFFER_RSA},
    {0x0403, OFFER_CURVES},
    {0x0503, OFFER_CURVES},
    {0x0603, OFFER_CURVES},
    {0x0807, WR_TLS_OFFER_EDWARDS},
    {0, 0},
};

static const struct offer_row offer_groups[] = {
    {WR_X509_CURVE_P256, WR_TLS_OFFER_P256},
    {WR_X509_CURVE_P384, WR_TLS_OFFER_P384},
    {WR_X509_CURVE_P521, WR_TLS_OFFER_P521},
    {0, 0},
};

/* Takes the list of numbers after its length. Returns false if it is
 * malformed. */
static bool offer_take_list(struct wr_bytes body, size_t length_size,
                            struct wr_bytes *ret)
{
    wr_assert(length_size == 1 || length_size == 2);
    return wr_bytes_take_vector(&body, length_size, ret) && body.size == 0 &&
           ret->size > 0 && ret->size % 2 == 0;
}

/* Returns the kinds of keys that the list of an extension allows, or all if the
 * extension is missing or malformed. */
static uint8_t offer_kinds_of(struct wr_bytes body,
                              const struct offer_row *rows)
{
    struct wr_bytes list;
    uint16_t number;
    uint8_t kinds = 0;

    wr_assert(rows->number > 0);
    if (!body.data || !offer_take_list(body, 2, &list)) {
        return OFFER_ALL;
    }
    while (wr_bytes_take_u16(&list, &number)) {
        const struct offer_row *row = rows; /* the last row has no kinds */
        while (row->number != number && row->number > 0) {
            row++;
        }
        kinds |= row->kinds;
    }
    return kinds;
}

static bool offer_has_newest(struct wr_bytes versions)
{
    struct wr_bytes list;
    uint16_t version;

    wr_assert(versions.data || versions.size == 0);
    if (!versions.data || !offer_take_list(versions, 1, &list)) {
        return false;
    }
    while (wr_bytes_take_u16(&list, &version)) {
        if (version == OFFER_NEWEST) {
            return true;
        }
    }
    return false;
}

uint8_t wr_tls_offer_kind_of(const struct wr_x509_key_strength *key)
{
    wr_assert(key->kind <= WR_X509_KEY_OTHER);
    wr_assert(key->kind == WR_X509_KEY_CURVE || key->curve == 0);
    switch (key->kind) {
    case WR_X509_KEY_RSA:
        return WR_TLS_OFFER_RSA;
    case WR_X509_KEY_CURVE:
        return key->curve == WR_X509_CURVE_P384   ? WR_TLS_OFFER_P384
               : key->curve == WR_X509_CURVE_P521 ? WR_TLS_OFFER_P521
                                                  : WR_TLS_OFFER_P256;
    case WR_X509_KEY_EDWARDS:
        return WR_TLS_OFFER_EDWARDS;
    default:
        return 0;
    }
}

uint8_t wr_tls_offer_lacks(const struct wr_tls_offer *offer, bool has_newest,
                           uint32_t suites)
{
    wr_assert(offer->suites.size % 2 == 0);
    if (!offer->suites.data) {
        return 0;
    }
    if (has_newest && offer_has_newest(offer->versions)) {
        return OFFER_ALL & ~offer_kinds_of(offer->schemes, offer_schemes);
    }
    const uint32_t common =
        suites & wr_tls_suites_mask_of(offer->suites.data, offer->suites.size);
    const uint8_t curves =
        offer_kinds_of(offer->groups, offer_groups) & OFFER_CURVES;
    uint8_t kinds = 0;
    if (wr_tls_suites_has_kind(common, true)) {
        kinds |= WR_TLS_OFFER_RSA;
    }
    if (wr_tls_suites_has_kind(common, false)) {
        kinds |= curves | WR_TLS_OFFER_EDWARDS;
    }
    kinds &= offer_kinds_of(offer->schemes, offer_old_schemes);
    wr_assert((kinds & ~OFFER_ALL) == 0);
    return OFFER_ALL & ~kinds;
}
