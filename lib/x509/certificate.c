/*
 * Parses X.509 certificates. The functions certificate_take_...() take an
 * element off the front of their first argument. If they return false, the
 * whole certificate is malformed.
 */
#include "certificate.h"

#include "date.h"
#include "directory.h"
#include "extension.h"
#include "hostname.h"
#include "uring/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SERIAL_SIZE_MAX = 20,
    ATTRIBUTE_COMMON_NAME = 3,
    ATTRIBUTE_ORGANIZATION = 10,
};

static bool certificate_take_unique(struct wr_bytes *rest, uint8_t tag)
{
    struct wr_bytes bits;
    uint8_t unused = 0;

    return !wr_der_sees(rest, tag) ||
           wr_der_take_bits(rest, tag, &bits, &unused);
}

/* Reads the bytes after the key. A certificate of version 1 must have none (RFC
 * 5280, 4.1.2.8 and 4.1.2.9). */
static bool certificate_read_extensions(struct wr_x509 *x509,
                                        struct wr_bytes rest)
{
    struct wr_bytes tagged;
    struct wr_bytes list;
    const bool has_more = rest.size > 0;

    wr_assert(rest.data != NULL);
    if (!certificate_take_unique(&rest, 0x81) ||
        !certificate_take_unique(&rest, 0x82)) {
        return false;
    }
    if (rest.size == 0) {
        return !has_more || x509->version > 1;
    }
    return wr_der_take(&rest, WR_DER_EXPLICIT | 3, &tagged) && rest.size == 0 &&
           wr_der_take(&tagged, WR_DER_SEQUENCE, &list) && tagged.size == 0 &&
           x509->version == 3 && wr_x509_extensions_read(x509, list);
}

static bool certificate_take_version(struct wr_bytes *from, uint32_t *ret)
{
    struct wr_bytes tagged;
    struct wr_bytes version;

    *ret = 1;
    if (!wr_der_sees(from, WR_DER_EXPLICIT)) {
        return true;
    }
    if (!wr_der_take(from, WR_DER_EXPLICIT, &tagged) ||
        !wr_der_take(&tagged, WR_DER_INTEGER, &version) || tagged.size > 0 ||
        version.size != 1 || version.data[0] > 2) {
        return false;
    }
    wr_assert(version.data != NULL);
    *ret = version.data[0] + 1u;
    return true;
}

/* The issuer must have a name, and so must the subject of an authority. Any
 * other subject may instead have a critical subjectAltName (RFC 5280, 4.1.2.4
 * and 4.1.2.6). */
static bool certificate_has_names(const struct wr_x509 *x509)
{
    struct wr_x509_directory directory;

    wr_x509_directory_open(&directory, x509->issuer);
    if (directory.sets.size == 0) {
        return false;
    }
    wr_x509_directory_open(&directory, x509->subject);
    return directory.sets.size > 0 ||
           (x509->has_critical_names && !x509->is_authority);
}

/* The caller compares *ret_algorithm with the algorithm outside the signed
 * part. A serial number of zero is allowed, because some authorities have it
 * (RFC 5280, 4.1.2.2). */
static bool certificate_read_body(struct wr_x509 *x509, struct wr_bytes body,
                                  struct wr_bytes *ret_algorithm)
{
    struct wr_bytes validity;

    wr_assert(body.data != NULL);
    return certificate_take_version(&body, &x509->version) &&
           wr_der_take_integer(&body, WR_DER_INTEGER, &x509->serial) &&
           x509->serial.size <= SERIAL_SIZE_MAX &&
           !(x509->serial.data[0] & 0x80) &&
           wr_der_take(&body, WR_DER_SEQUENCE, ret_algorithm) &&
           wr_der_take_whole(&body, WR_DER_SEQUENCE, &x509->issuer) &&
           wr_x509_directory_is_good(x509->issuer) &&
           wr_der_take(&body, WR_DER_SEQUENCE, &validity) &&
           wr_x509_date_take(&validity, &x509->not_before) &&
           wr_x509_date_take(&validity, &x509->not_after) &&
           validity.size == 0 &&
           wr_der_take_whole(&body, WR_DER_SEQUENCE, &x509->subject) &&
           wr_x509_directory_is_good(x509->subject) &&
           wr_der_take_whole(&body, WR_DER_SEQUENCE, &x509->key_info) &&
           wr_x509_strength_of_key(x509->key_info, &x509->key) &&
           certificate_read_extensions(x509, body) &&
           certificate_has_names(x509);
}

int wr_x509_read(struct wr_x509 *ret, const uint8_t *der, size_t size)
{
    struct wr_bytes from = {.data = der, .size = size};
    struct wr_bytes body;
    struct wr_bytes said;

    wr_assert(der != NULL);
    *ret = (struct wr_x509){
        .der = from,
        .path_len = WR_X509_PATH_LEN_ANY,
    };
    if (!wr_x509_signed_read(&ret->sign, from, &body) ||
        !certificate_read_body(ret, body, &said) ||
        !wr_der_is_equal(&said, &ret->sign.algorithm) ||
        !wr_x509_strength_of_signature(said, &ret->signature)) {
        return -EBADMSG;
    }
    return 0;
}

bool wr_x509_is_self_issued(const struct wr_x509 *x509)
{
    wr_assert(x509->subject.data != NULL);
    return wr_der_is_equal(&x509->issuer, &x509->subject);
}

bool wr_x509_next_name(struct wr_bytes *names, enum wr_x509_name_kind *ret_kind,
                       struct wr_bytes *ret)
{
    uint8_t tag = 0;

    if (names->size == 0) {
        return false;
    }
    const bool is_one = wr_der_take_any(names, &tag, ret);
    wr_assert(is_one); /* checked by wr_x509_read() */
    *ret_kind = tag == WR_X509_NAME_TAG_DNS  ? WR_X509_NAME_DNS
                : tag == WR_X509_NAME_TAG_IP ? WR_X509_NAME_IP
                                             : WR_X509_NAME_OTHER;
    return true;
}

bool wr_x509_is_for(const struct wr_x509 *x509, const char *host)
{
    struct wr_bytes names = x509->names;
    struct wr_bytes name;
    enum wr_x509_name_kind kind;
    uint8_t ip[WR_X509_IP_SIZE];
    const size_t ip_size = wr_x509_hostname_read_ip(host, ip);

    wr_assert(ip_size <= sizeof(ip));
    while (wr_x509_next_name(&names, &kind, &name)) {
        if (kind == WR_X509_NAME_IP
                ? name.size == ip_size && memcmp(name.data, ip, ip_size) == 0
                : kind == WR_X509_NAME_DNS &&
                      wr_x509_hostname_matches(host, (const char *)name.data,
                                               name.size)) {
            return true;
        }
    }
    return false;
}

static bool certificate_has_name(const struct wr_x509 *x509,
                                 enum wr_x509_name_kind wanted,
                                 struct wr_bytes text)
{
    struct wr_bytes names = x509->names;
    struct wr_bytes name;
    enum wr_x509_name_kind kind;

    wr_assert(text.data && wanted != WR_X509_NAME_OTHER);
    while (wr_x509_next_name(&names, &kind, &name)) {
        if (kind != wanted || name.size != text.size) {
            continue;
        }
        if (kind == WR_X509_NAME_IP
                ? memcmp(name.data, text.data, text.size) == 0
                : wr_x509_hostname_is_same((const char *)name.data,
                                           (const char *)text.data,
                                           text.size)) {
            return true;
        }
    }
    return false;
}

bool wr_x509_shares_name(const struct wr_x509 *a, const struct wr_x509 *b)
{
    struct wr_bytes names = a->names;
    struct wr_bytes name;
    enum wr_x509_name_kind kind;

    wr_assert(a->der.data && b->der.data);
    while (wr_x509_next_name(&names, &kind, &name)) {
        if ((kind == WR_X509_NAME_IP || kind == WR_X509_NAME_DNS) &&
            certificate_has_name(b, kind, name)) {
            return true;
        }
    }
    return false;
}

static bool certificate_find_attribute(struct wr_bytes name, uint8_t number,
                                       struct wr_bytes *ret)
{
    struct wr_x509_directory directory;
    struct wr_x509_attribute attribute;
    bool is_found = false;

    wr_assert(name.data != NULL);
    wr_x509_directory_open(&directory, name);
    while (wr_x509_directory_next(&directory, &attribute)) {
        if (wr_x509_attribute_is(&attribute, number)) {
            *ret = attribute.value;
            is_found = true;
        }
    }
    return is_found;
}

static void certificate_write(const char *label, struct wr_bytes text,
                              char *ret, size_t size)
{
    size_t len = strlen(label);

    wr_assert(len < size);
    memcpy(ret, label, len);
    for (size_t i = 0; i < text.size && len + 1 < size; i++) {
        const uint8_t c = text.data[i];
        ret[len++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    ret[len] = '\0';
}

void wr_x509_write_subject(const struct wr_x509 *x509, char *ret, size_t size)
{
    struct wr_bytes names = x509->names;
    struct wr_bytes text = {NULL, 0};
    enum wr_x509_name_kind kind = WR_X509_NAME_OTHER;

    wr_assert(size >= sizeof("without a name"));
    if (certificate_find_attribute(x509->subject, ATTRIBUTE_COMMON_NAME,
                                   &text)) {
        certificate_write("CN=", text, ret, size);
    } else if (certificate_find_attribute(x509->subject, ATTRIBUTE_ORGANIZATION,
                                          &text)) {
        certificate_write("O=", text, ret, size);
    } else if (wr_x509_next_name(&names, &kind, &text) &&
               kind == WR_X509_NAME_DNS) {
        certificate_write("DNS:", text, ret, size);
    } else {
        certificate_write("without a name", (struct wr_bytes){NULL, 0}, ret,
                          size);
    }
}
