/*
 * The extensions of certificates that weir knows: usages, names, and
 * constraints of an authority. Sets ->has_unknown for an unknown critical
 * extension. Policies are ignored, because none is required.
 */
#include "extension.h"

#include "uring/check.h"

#include <string.h>

static const uint8_t extension_oid[] = {0x55, 0x1d};
static const uint8_t extension_oid_purpose[] = {0x2b, 0x06, 0x01, 0x05,
                                                0x05, 0x07, 0x03};
static const uint8_t extension_oid_access[] = {0x2b, 0x06, 0x01, 0x05,
                                               0x05, 0x07, 0x01};
static const uint8_t extension_oid_netscape[] = {0x60, 0x86, 0x48, 0x01,
                                                 0x86, 0xf8, 0x42, 0x01};
static const uint8_t extension_oid_any_purpose[] = {0x55, 0x1d, 0x25};

static bool extension_read_usage(struct wr_x509 *x509, struct wr_bytes value)
{
    struct wr_bytes bits;
    uint8_t unused = 0;

    wr_assert(!x509->has_usage);
    if (!wr_der_take_bits(&value, WR_DER_BIT_STRING, &bits, &unused) ||
        value.size > 0 || bits.size > 2) {
        return false;
    }
    x509->has_usage = true;
    for (uint32_t i = 0; i < 8 * bits.size; i++) {
        if (bits.data[i / 8] & 0x80u >> i % 8) {
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
    if (!wr_der_take(&value, WR_DER_SEQUENCE, &list) || value.size > 0 ||
        list.size == 0) {
        return false;
    }
    x509->has_purposes = true;
    while (list.size > 0) {
        if (!wr_der_take_oid(&list, &oid)) {
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
    if (!wr_der_take(&value, WR_DER_SEQUENCE, &list) || value.size > 0 ||
        !wr_der_take_flag(&list, &x509->is_authority)) {
        return false;
    }
    wr_assert(x509->path_len == WR_X509_PATH_LEN_ANY);
    if (list.size == 0) {
        return true;
    }
    if (!wr_der_take_integer(&list, WR_DER_INTEGER, &len) || list.size > 0 ||
        (len.data[0] & 0x80) || !x509->is_authority) {
        return false;
    }
    /* A limit above 127 has no effect; see WR_X509_CHAIN_MAX. */
    x509->path_len = len.size == 1 ? len.data[0] : WR_X509_PATH_LEN_ANY;
    return true;
}

/* RFC 5280 allows only a name in each subtree. Any other field makes the
 * constraint unknown. */
static bool extension_read_trees(struct wr_x509 *x509, struct wr_bytes trees)
{
    struct wr_bytes tree;
    uint8_t tag = 0;

    wr_assert(x509->constraints.data != NULL);
    do {
        if (!wr_der_take(&trees, WR_DER_SEQUENCE, &tree) ||
            !wr_x509_form_take_base(&tree, &tag)) {
            return false;
        }
        x509->has_unknown |= tree.size > 0;
    } while (trees.size > 0);
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

/* Policies are the only extension that may be critical although weir does not
 * implement them. */
static bool extension_read_value(struct wr_x509 *x509,
                                 const struct wr_x509_extension *extension)
{
    struct wr_bytes value = extension->value;

    wr_assert(extension->number <= WR_X509_EXTENSION_NETSCAPE);
    switch (extension->number) {
    case WR_X509_EXTENSION_USAGE:
        return extension_read_usage(x509, value);
    case WR_X509_EXTENSION_NAMES:
        x509->has_critical_names = extension->is_critical;
        return wr_x509_form_is_list(value, wr_x509_form_take_name) &&
               wr_der_take(&value, WR_DER_SEQUENCE, &x509->names);
    case WR_X509_EXTENSION_BASIC:
        return extension_read_constraints(x509, value);
    case WR_X509_EXTENSION_NAME_CONSTRAINTS:
        return extension_read_name_constraints(x509, value);
    case WR_X509_EXTENSION_PURPOSES:
        return extension_read_purposes(x509, value);
    default:
        x509->has_unknown |= extension->is_critical &&
                             extension->number != WR_X509_EXTENSION_POLICIES;
        return wr_x509_form_is_good(extension->number, value);
    }
}

void wr_x509_extensions_open(struct wr_x509_extensions *extensions,
                             struct wr_bytes list)
{
    wr_assert(list.data != NULL);
    *extensions = (struct wr_x509_extensions){.all = list, .rest = list};
}

static bool extension_take(struct wr_bytes *list, struct wr_x509_extension *ret)
{
    struct wr_bytes extension;

    wr_assert(list->data != NULL);
    return wr_der_take(list, WR_DER_SEQUENCE, &extension) &&
           wr_der_take_oid(&extension, &ret->oid) &&
           wr_der_take_flag(&extension, &ret->is_critical) &&
           wr_der_take(&extension, WR_DER_OCTET_STRING, &ret->value) &&
           extension.size == 0;
}

static bool extension_is_double(struct wr_bytes list,
                                const struct wr_x509_extension *last)
{
    struct wr_x509_extension one;

    while (extension_take(&list, &one) && one.oid.data != last->oid.data) {
        if (wr_der_is_equal(&one.oid, &last->oid)) {
            return true;
        }
    }
    return false;
}

static uint32_t extension_number_of(const struct wr_bytes *oid)
{
    uint8_t last = 0;

    wr_assert(oid->data != NULL);
    if (WR_DER_IS_OF(oid, extension_oid_access, &last) &&
        (last == 1 || last == 11)) {
        return WR_X509_EXTENSION_ACCESS;
    }
    return WR_DER_IS_OF(oid, extension_oid_netscape, &last) && last == 1
               ? WR_X509_EXTENSION_NETSCAPE
               : WR_X509_EXTENSION_OTHER;
}

bool wr_x509_extension_take(struct wr_x509_extensions *extensions,
                            struct wr_x509_extension *ret)
{
    uint8_t last = 0;

    if (!extension_take(&extensions->rest, ret)) {
        return false;
    }
    if (WR_DER_IS_OF(&ret->oid, extension_oid, &last) &&
        last < WR_X509_EXTENSION_OTHER) {
        const uint64_t bit = UINT64_C(1) << last;
        const bool is_double = extensions->seen & bit;
        extensions->seen |= bit;
        ret->number = last;
        return !is_double;
    }
    ret->number = extension_number_of(&ret->oid);
    return ++extensions->others <= WR_X509_OTHERS_MAX &&
           !extension_is_double(extensions->all, ret);
}

bool wr_x509_extensions_read(struct wr_x509 *x509, struct wr_bytes list)
{
    struct wr_x509_extensions extensions;
    struct wr_x509_extension one;

    wr_x509_extensions_open(&extensions, list);
    do {
        if (!wr_x509_extension_take(&extensions, &one) ||
            !extension_read_value(x509, &one)) {
            return false;
        }
    } while (extensions.rest.size > 0);
    return true;
}
