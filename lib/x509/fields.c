/*
 * The fields of certificates, for programs. The parser is the same as for
 * verification (certificate.h), so that a program sees exactly the names that
 * were verified.
 */
#include "certificate.h"
#include "directory.h"
#include "lib/base/options.h"

#include "uring/check.h"

#include <weir/tls_certificate.h>

#include <errno.h>

enum {
    FIELDS_UTF8 = 0x0c,
    FIELDS_PRINTABLE = 0x13,
    FIELDS_IA5 = 0x16,
};

static const uint8_t fields_oid_component[] = {0x09, 0x92, 0x26, 0x89, 0x93,
                                               0xf2, 0x2c, 0x64, 0x01};

/* Attributes under 2.5.4, by their last number. */
static const char *const fields_attributes[] = {
    [3] = "commonName",
    [4] = "surname",
    [5] = "serialNumber",
    [6] = "countryName",
    [7] = "localityName",
    [8] = "stateOrProvinceName",
    [9] = "streetAddress",
    [10] = "organizationName",
    [11] = "organizationalUnitName",
    [12] = "title",
    [42] = "givenName",
};

static struct weir_tls_part fields_part(struct wr_bytes der)
{
    wr_assert(der.data != NULL || der.size == 0);
    return (struct weir_tls_part){.data = der.data, .size = der.size};
}

static struct wr_bytes fields_number(struct wr_bytes number)
{
    while (number.size > 1 && number.data[0] == 0) {
        number.data++;
        number.size--;
    }
    return number;
}

static struct wr_bytes fields_sets(struct wr_bytes name)
{
    struct wr_x509_directory directory;
    wr_x509_directory_open(&directory, name);
    return directory.sets;
}

int weir_tls_certificate_read(const void *der, size_t size,
                              struct weir_tls_certificate *ret)
{
    struct wr_x509 x509;

    wr_require(der, -EINVAL);
    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    err = wr_x509_read(&x509, der, size);
    if (err < 0) {
        return err;
    }
    const struct weir_tls_certificate certificate = {
        .version = (int)x509.version,
        .is_authority = x509.is_authority,
        .not_before_s = x509.not_before,
        .not_after_s = x509.not_after,
        .serial = fields_part(fields_number(x509.serial)),
        .subject = fields_part(fields_sets(x509.subject)),
        .issuer = fields_part(fields_sets(x509.issuer)),
        .names = fields_part(x509.names),
    };
    wr_answer_write(ret, &certificate, sizeof(certificate));
    return 0;
}

static const char *fields_name_of(const struct wr_x509_attribute *attribute)
{
    const size_t count = sizeof(fields_attributes) / sizeof(*fields_attributes);
    uint8_t last = 0;

    wr_assert(attribute->oid.data != NULL);
    for (uint8_t i = 0; i < count; i++) {
        if (fields_attributes[i] && wr_x509_attribute_is(attribute, i)) {
            return fields_attributes[i];
        }
    }
    if (wr_x509_attribute_is_mail(attribute)) {
        return "emailAddress";
    }
    return WR_DER_IS_OF(&attribute->oid, fields_oid_component, &last) &&
                   last == 25
               ? "domainComponent"
               : NULL;
}

static bool fields_take(struct wr_bytes *from, struct wr_x509_attribute *ret)
{
    struct wr_bytes set;
    struct wr_bytes pair;

    wr_assert(from->data != NULL);
    if (wr_der_sees(from, WR_DER_SET)) {
        const struct wr_bytes all = *from;
        if (!wr_der_take(from, WR_DER_SET, &set)) {
            return false;
        }
        from->size = all.size - (size_t)(set.data - all.data);
        from->data = set.data;
    }
    return wr_der_take(from, WR_DER_SEQUENCE, &pair) &&
           wr_der_take_oid(&pair, &ret->oid) &&
           wr_der_take_any(&pair, &ret->tag, &ret->value);
}

int weir_tls_certificate_next_attribute(struct weir_tls_part *rest,
                                        struct weir_tls_attribute *ret)
{
    struct wr_x509_attribute attribute;

    wr_require(rest && ret, -EINVAL);
    struct wr_bytes from = {.data = rest->data, .size = rest->size};
    if (from.size == 0) {
        return -ENOENT;
    }
    if (!from.data || !fields_take(&from, &attribute)) {
        return -EBADMSG;
    }
    *rest = fields_part(from);
    *ret = (struct weir_tls_attribute){
        .name = fields_name_of(&attribute),
        .oid = fields_part(attribute.oid),
        .value = fields_part(attribute.value),
        .is_text = attribute.tag == FIELDS_UTF8 ||
                   attribute.tag == FIELDS_PRINTABLE ||
                   attribute.tag == FIELDS_IA5,
    };
    return 0;
}

static enum weir_tls_name_kind fields_kind_of(uint8_t tag)
{
    switch (tag) {
    case WR_X509_NAME_TAG_DNS:
        return WEIR_TLS_NAME_DNS;
    case WR_X509_NAME_TAG_IP:
        return WEIR_TLS_NAME_IP;
    case WR_X509_NAME_TAG_EMAIL:
        return WEIR_TLS_NAME_EMAIL;
    case WR_X509_NAME_TAG_URI:
        return WEIR_TLS_NAME_URI;
    case WR_X509_NAME_TAG_DIRECTORY:
        return WEIR_TLS_NAME_DIRECTORY;
    default:
        return WEIR_TLS_NAME_OTHER;
    }
}

int weir_tls_certificate_next_name(struct weir_tls_part *rest,
                                   struct weir_tls_name *ret)
{
    struct wr_bytes value;
    uint8_t tag = 0;

    wr_require(rest && ret, -EINVAL);
    struct wr_bytes from = {.data = rest->data, .size = rest->size};
    if (from.size == 0) {
        return -ENOENT;
    }
    if (!from.data || !wr_der_take_any(&from, &tag, &value)) {
        return -EBADMSG;
    }
    enum weir_tls_name_kind kind = fields_kind_of(tag);
    if (kind == WEIR_TLS_NAME_DIRECTORY) {
        if (wr_x509_directory_is_good(value)) {
            value = fields_sets(value);
        } else {
            kind = WEIR_TLS_NAME_OTHER;
        }
    }
    *rest = fields_part(from);
    *ret = (struct weir_tls_name){.kind = kind, .value = fields_part(value)};
    return 0;
}
