/*
 * Checks the syntax of extensions: one function for each type of RFC 5280,
 * appendix A. form_take_...() takes one element off a list; form_is_...()
 * checks a whole value. No function recurses, so a deeply nested certificate
 * cannot exhaust the stack.
 */
#include "directory.h"
#include "extension.h"
#include "hostname.h"
#include "uring/check.h"

#include <string.h>

bool wr_x509_form_has_only(struct wr_bytes list, wr_x509_form_fn *element)
{
    if (list.size == 0) {
        return false;
    }
    while (list.size > 0) {
        if (!element(&list)) {
            return false;
        }
    }
    return true;
}

bool wr_x509_form_is_list(struct wr_bytes value, wr_x509_form_fn *element)
{
    struct wr_bytes list;

    wr_assert(value.data && element);
    return wr_der_take(&value, WR_DER_SEQUENCE, &list) && value.size == 0 &&
           wr_x509_form_has_only(list, element);
}

/* The data of *ret is NULL if the field is missing. */
static bool form_take_optional(struct wr_bytes *from, uint8_t tag,
                               struct wr_bytes *ret)
{
    ret->data = NULL;
    return !wr_der_sees(from, tag) || wr_der_take(from, tag, ret);
}

static bool form_take_any(struct wr_bytes *from)
{
    struct wr_bytes any;
    uint8_t tag = 0;

    return wr_der_take_any(from, &tag, &any);
}

/* An IA5String. A NUL in it would be an attempt to deceive. */
static bool form_is_text(struct wr_bytes text)
{
    wr_assert(text.data != NULL);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == 0 || (text.data[i] & 0x80)) {
            return false;
        }
    }
    return true;
}

static bool form_is_other_name(struct wr_bytes name)
{
    struct wr_bytes oid;
    struct wr_bytes value;

    return wr_der_take_oid(&name, &oid) &&
           wr_der_take(&name, WR_DER_EXPLICIT, &value) && name.size == 0 &&
           form_take_any(&value) && value.size == 0;
}

static bool form_is_mask(struct wr_bytes mask)
{
    bool is_over = false;

    for (size_t i = 0; i < 8 * mask.size; i++) {
        const bool is_set = mask.data[i / 8] & 0x80u >> i % 8;
        if (is_set && is_over) {
            return false;
        }
        is_over = !is_set;
    }
    return true;
}

static bool form_is_address(struct wr_bytes ip, bool is_base)
{
    const size_t size = is_base ? ip.size / 2 : ip.size;
    const struct wr_bytes mask = {ip.data + size, ip.size - size};

    wr_assert(ip.data != NULL);
    return (size == 4 || size == 16) && (mask.size == 0 || mask.size == size) &&
           form_is_mask(mask);
}

/* Refuses a base like "*.example.org": no name would be in its subtree, so
 * excluding it would have no effect. */
static bool form_is_host_base(uint8_t tag, struct wr_bytes base)
{
    const char *host = (const char *)base.data;
    const char *at = memchr(host, '@', base.size);

    if (tag == WR_X509_NAME_TAG_DNS || !at) {
        return wr_x509_hostname_is_base(host, base.size);
    }
    const size_t size = (size_t)(host + base.size - at) - 1;
    return at > host && size > 0 && at[1] != '.' &&
           wr_x509_hostname_is_base(at + 1, size);
}

static bool form_is_name(uint8_t tag, struct wr_bytes name, bool is_base)
{
    wr_assert(name.data != NULL);
    switch (tag) {
    case WR_X509_NAME_TAG_OTHER:
        return form_is_other_name(name);
    case WR_X509_NAME_TAG_EMAIL:
    case WR_X509_NAME_TAG_DNS:
        return form_is_text(name) && (!is_base || form_is_host_base(tag, name));
    case WR_X509_NAME_TAG_URI:
        return form_is_text(name);
    case WR_X509_NAME_TAG_DIRECTORY:
        return wr_x509_directory_is_good(name);
    case WR_X509_NAME_TAG_X400:
    case WR_X509_NAME_TAG_PARTY:
        return wr_x509_form_has_only(name, form_take_any);
    case WR_X509_NAME_TAG_IP:
        return form_is_address(name, is_base);
    case WR_X509_NAME_TAG_ID:
        return wr_der_is_oid(name);
    default:
        return false;
    }
}

bool wr_x509_form_take_name(struct wr_bytes *list)
{
    struct wr_bytes name;
    uint8_t tag = 0;

    return wr_der_take_any(list, &tag, &name) && form_is_name(tag, name, false);
}

bool wr_x509_form_take_base(struct wr_bytes *list, uint8_t *ret_tag)
{
    struct wr_bytes name;

    return wr_der_take_any(list, ret_tag, &name) &&
           form_is_name(*ret_tag, name, true);
}

/* An issuer's name and a serial number must both be present or both missing. */
static bool form_is_authority_key(struct wr_bytes value)
{
    struct wr_bytes list;
    struct wr_bytes key;
    struct wr_bytes names;
    struct wr_bytes serial = {.data = NULL};

    if (!wr_der_take(&value, WR_DER_SEQUENCE, &list) || value.size > 0 ||
        !form_take_optional(&list, 0x80, &key) ||
        !form_take_optional(&list, 0xa1, &names) ||
        (list.size > 0 && !wr_der_take_integer(&list, 0x82, &serial)) ||
        list.size > 0) {
        return false;
    }
    return !names.data == !serial.data &&
           (!names.data ||
            wr_x509_form_has_only(names, wr_x509_form_take_name));
}

static bool form_take_access(struct wr_bytes *list)
{
    struct wr_bytes access;
    struct wr_bytes oid;

    return wr_der_take(list, WR_DER_SEQUENCE, &access) &&
           wr_der_take_oid(&access, &oid) && wr_x509_form_take_name(&access) &&
           access.size == 0;
}

/* AttributeTypeAndValue or PolicyQualifierInfo. */
static bool form_take_attribute(struct wr_bytes *set)
{
    struct wr_bytes pair;
    struct wr_bytes oid;

    return wr_der_take(set, WR_DER_SEQUENCE, &pair) &&
           wr_der_take_oid(&pair, &oid) && form_take_any(&pair) &&
           pair.size == 0;
}

/* A DistributionPointName has full names, or a name relative to the
 * issuer's. */
static bool form_is_point_name(struct wr_bytes name)
{
    struct wr_bytes content;
    uint8_t tag = 0;

    return wr_der_take_any(&name, &tag, &content) && name.size == 0 &&
           (tag == 0xa0 ? wr_x509_form_has_only(content, wr_x509_form_take_name)
                        : tag == 0xa1 && wr_x509_form_has_only(
                                             content, form_take_attribute));
}

/* A DistributionPoint needs more than reasons. */
static bool form_take_point(struct wr_bytes *list)
{
    struct wr_bytes point;
    struct wr_bytes name;
    struct wr_bytes reasons;
    struct wr_bytes issuer;
    uint8_t unused = 0;

    if (!wr_der_take(list, WR_DER_SEQUENCE, &point) ||
        !form_take_optional(&point, 0xa0, &name) ||
        (wr_der_sees(&point, 0x81) &&
         !wr_der_take_bits(&point, 0x81, &reasons, &unused)) ||
        !form_take_optional(&point, 0xa2, &issuer) || point.size > 0) {
        return false;
    }
    return (name.data || issuer.data) &&
           (!name.data || form_is_point_name(name)) &&
           (!issuer.data ||
            wr_x509_form_has_only(issuer, wr_x509_form_take_name));
}

static bool form_take_policy(struct wr_bytes *list)
{
    struct wr_bytes policy;
    struct wr_bytes oid;

    return wr_der_take(list, WR_DER_SEQUENCE, &policy) &&
           wr_der_take_oid(&policy, &oid) &&
           (policy.size == 0 ||
            wr_x509_form_is_list(policy, form_take_attribute));
}

static bool form_take_mapping(struct wr_bytes *list)
{
    struct wr_bytes pair;
    struct wr_bytes oid;

    return wr_der_take(list, WR_DER_SEQUENCE, &pair) &&
           wr_der_take_oid(&pair, &oid) && wr_der_take_oid(&pair, &oid) &&
           pair.size == 0;
}

static bool form_take_count(struct wr_bytes *from, uint8_t tag)
{
    struct wr_bytes number;

    return wr_der_take_integer(from, tag, &number) && !(number.data[0] & 0x80);
}

static bool form_is_policy_constraints(struct wr_bytes value)
{
    struct wr_bytes list;

    return wr_der_take(&value, WR_DER_SEQUENCE, &list) && value.size == 0 &&
           list.size > 0 &&
           (!wr_der_sees(&list, 0x80) || form_take_count(&list, 0x80)) &&
           (list.size == 0 || form_take_count(&list, 0x81)) && list.size == 0;
}

static bool form_take_directory_attribute(struct wr_bytes *list)
{
    struct wr_bytes pair;
    struct wr_bytes oid;
    struct wr_bytes set;

    return wr_der_take(list, WR_DER_SEQUENCE, &pair) &&
           wr_der_take_oid(&pair, &oid) &&
           wr_der_take(&pair, WR_DER_SET, &set) && pair.size == 0 &&
           wr_x509_form_has_only(set, form_take_any);
}

bool wr_x509_form_is_good(uint32_t number, struct wr_bytes value)
{
    struct wr_bytes part;
    uint8_t unused = 0;

    wr_assert(value.data != NULL);
    switch (number) {
    case WR_X509_EXTENSION_SUBJECT_ATTRIBUTES:
        return wr_x509_form_is_list(value, form_take_directory_attribute);
    case WR_X509_EXTENSION_SUBJECT_KEY:
        return wr_der_take(&value, WR_DER_OCTET_STRING, &part) &&
               value.size == 0;
    case WR_X509_EXTENSION_ISSUER_NAME:
        return wr_x509_form_is_list(value, wr_x509_form_take_name);
    case WR_X509_EXTENSION_POINTS:
    case WR_X509_EXTENSION_FRESHEST:
        return wr_x509_form_is_list(value, form_take_point);
    case WR_X509_EXTENSION_POLICIES:
        return wr_x509_form_is_list(value, form_take_policy);
    case WR_X509_EXTENSION_MAPPINGS:
        return wr_x509_form_is_list(value, form_take_mapping);
    case WR_X509_EXTENSION_AUTHORITY_KEY:
        return form_is_authority_key(value);
    case WR_X509_EXTENSION_POLICY_CONSTRAINTS:
        return form_is_policy_constraints(value);
    case WR_X509_EXTENSION_INHIBIT:
        return form_take_count(&value, WR_DER_INTEGER) && value.size == 0;
    case WR_X509_EXTENSION_NETSCAPE:
        return wr_der_take_bits(&value, WR_DER_BIT_STRING, &part, &unused) &&
               value.size == 0;
    case WR_X509_EXTENSION_ACCESS:
        return wr_x509_form_is_list(value, form_take_access);
    default:
        return true;
    }
}
