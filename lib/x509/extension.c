/*
 * The extensions of certificates that weir knows: usages, names, and
 * constraints of an authority. An unknown critical extension is noted; policies
 * are ignored, as no policy is demanded.
 */
#include "extension.h"

#include "uring/check.h"

#include <string.h>

enum {
    EXTENSION_KEY_USAGE = 15,
    EXTENSION_ALTERNATIVE_NAME = 17,
    EXTENSION_BASIC_CONSTRAINTS = 19,
    EXTENSION_NAME_CONSTRAINTS = 30,
    EXTENSION_POLICIES = 32,
    EXTENSION_EXTENDED_KEY_USAGE = 37,
};

static const uint8_t extension_oid[] = {0x55, 0x1d};
static const uint8_t extension_oid_purpose[] = {0x2b, 0x06, 0x01, 0x05,
                                                0x05, 0x07, 0x03};
static const uint8_t extension_oid_any_purpose[] = {0x55, 0x1d, 0x25};

static bool extension_read_usage(struct wr_x509 *x509, struct wr_bytes value)
{
    struct wr_bytes bits;

    wr_assert(!x509->has_usage);
    if (!wr_der_take(&value, WR_DER_BIT_STRING, &bits) || bits.size < 1 ||
        bits.size > 3) {
        return false;
    }
    x509->has_usage = true;
    for (uint32_t i = 0; i < 8 * (bits.size - 1); i++) {
        if (bits.data[1 + i / 8] & 0x80u >> i % 8) {
            x509->usage |= 1u << i;
        }
    }
    return true;
}

static bool extension_read_purposes(struct wr_x509 *x509, struct wr_bytes value)
{
    struct wr_bytes list;
    struct wr_bytes oid;
    uint8_t last = 0;

    wr_assert(!x509->has_purposes);
    if (!wr_der_take(&value, WR_DER_SEQUENCE, &list)) {
        return false;
    }
    x509->has_purposes = true;
    while (list.size > 0) {
        if (!wr_der_take(&list, WR_DER_OID, &oid)) {
            return false;
        }
        if (WR_DER_IS_OF(&oid, extension_oid_purpose, &last)) {
            x509->purposes |= last == 1 ? WR_X509_FOR_SERVERS : 0;
            x509->purposes |= last == 2 ? WR_X509_FOR_CLIENTS : 0;
        } else if (WR_DER_IS_OF(&oid, extension_oid_any_purpose, &last) &&
                   last == 0) {
            x509->purposes |= WR_X509_FOR_SERVERS | WR_X509_FOR_CLIENTS;
        }
    }
    return true;
}

static bool extension_read_constraints(struct wr_x509 *x509,
                                       struct wr_bytes value)
{
    struct wr_bytes list;
    struct wr_bytes len;

    wr_assert(!x509->is_authority);
    if (!wr_der_take(&value, WR_DER_SEQUENCE, &list) ||
        !wr_der_take_flag(&list, &x509->is_authority)) {
        return false;
    }
    wr_assert(x509->path_len == WR_X509_PATH_LEN_ANY);
    if (list.size == 0) {
        return true;
    }
    if (!wr_der_take(&list, WR_DER_INTEGER, &len) || list.size > 0 ||
        len.size == 0 || (len.data[0] & 0x80) ||
        (len.size > 1 && len.data[0] == 0 && !(len.data[1] & 0x80))) {
        return false; /* not a number in its shortest form */
    }
    /* A larger limit is never reached: WR_X509_CHAIN_MAX. */
    x509->path_len = len.size == 1 ? len.data[0] : WR_X509_PATH_LEN_ANY;
    return true;
}

/* Checks trees of names. Each has only a name, as RFC 5280 demands; other trees
 * are noted as unknown. An IP tree has an address and a mask. */
static bool extension_read_trees(struct wr_x509 *x509, struct wr_bytes trees)
{
    struct wr_bytes tree;
    struct wr_bytes base;
    uint8_t tag = 0;

    wr_assert(x509->constraints.data != NULL);
    while (trees.size > 0) {
        if (!wr_der_take(&trees, WR_DER_SEQUENCE, &tree) ||
            !wr_der_take_any(&tree, &tag, &base) ||
            (tag == WR_X509_NAME_TAG_IP && base.size != 8 && base.size != 32)) {
            return false;
        }
        x509->has_unknown |= tree.size > 0;
    }
    return true;
}

static bool extension_read_name_constraints(struct wr_x509 *x509,
                                            struct wr_bytes value)
{
    struct wr_bytes list;
    struct wr_bytes trees;
    uint8_t before = 0;
    uint8_t tag = 0;

    wr_assert(!x509->constraints.data);
    if (!wr_der_take(&value, WR_DER_SEQUENCE, &list) || value.size > 0 ||
        list.size == 0) {
        return false;
    }
    x509->constraints = list;
    while (list.size > 0) {
        if (!wr_der_take_any(&list, &tag, &trees) || tag <= before ||
            (tag != WR_X509_TREES_PERMITTED && tag != WR_X509_TREES_EXCLUDED) ||
            !extension_read_trees(x509, trees)) {
            return false;
        }
        before = tag;
    }
    return true;
}

/* A DNS name with a NUL, or an address of an impossible length, is an attempt
 * to deceive. */
static bool extension_read_names(struct wr_x509 *x509, struct wr_bytes value)
{
    struct wr_bytes names;
    struct wr_bytes name;
    uint8_t tag = 0;

    wr_assert(!x509->names.data);
    if (!wr_der_take(&value, WR_DER_SEQUENCE, &names)) {
        return false;
    }
    x509->names = names;
    while (names.size > 0) {
        if (!wr_der_take_any(&names, &tag, &name) ||
            (tag == WR_X509_NAME_TAG_IP && name.size != 4 && name.size != 16) ||
            (tag == WR_X509_NAME_TAG_DNS && name.size > 0 &&
             memchr(name.data, 0, name.size))) {
            return false;
        }
    }
    return true;
}

/* An unknown extension is noted if it is critical. */
static bool extension_read_value(struct wr_x509 *x509,
                                 const struct wr_x509_extension *extension)
{
    const struct wr_bytes value = extension->value;

    wr_assert(extension->number <= WR_X509_EXTENSION_OTHER);
    switch (extension->number) {
    case EXTENSION_KEY_USAGE:
        return extension_read_usage(x509, value);
    case EXTENSION_ALTERNATIVE_NAME:
        return extension_read_names(x509, value);
    case EXTENSION_BASIC_CONSTRAINTS:
        return extension_read_constraints(x509, value);
    case EXTENSION_NAME_CONSTRAINTS:
        return extension_read_name_constraints(x509, value);
    case EXTENSION_EXTENDED_KEY_USAGE:
        return extension_read_purposes(x509, value);
    case EXTENSION_POLICIES:
        return true;
    default:
        x509->has_unknown |= extension->is_critical;
        return true;
    }
}

bool wr_x509_extension_take(struct wr_bytes *list,
                            struct wr_x509_extension *ret, uint64_t *seen)
{
    struct wr_bytes extension;
    struct wr_bytes oid;
    uint8_t number = 0;

    wr_assert(list->data != NULL);
    if (!wr_der_take(list, WR_DER_SEQUENCE, &extension) ||
        !wr_der_take(&extension, WR_DER_OID, &oid) ||
        !wr_der_take_flag(&extension, &ret->is_critical) ||
        !wr_der_take(&extension, WR_DER_OCTET_STRING, &ret->value) ||
        extension.size > 0) {
        return false;
    }
    ret->number = WR_X509_EXTENSION_OTHER;
    if (!WR_DER_IS_OF(&oid, extension_oid, &number) ||
        number >= WR_X509_EXTENSION_OTHER) {
        return true;
    }
    if (*seen & UINT64_C(1) << number) {
        return false; /* a duplicate is ambiguous */
    }
    *seen |= UINT64_C(1) << number;
    ret->number = number;
    return true;
}

bool wr_x509_extension_read(struct wr_x509 *x509, struct wr_bytes *list,
                            uint64_t *seen)
{
    struct wr_x509_extension extension;

    return wr_x509_extension_take(list, &extension, seen) &&
           extension_read_value(x509, &extension);
}
