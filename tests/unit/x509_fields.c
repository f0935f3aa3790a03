/*
 * The fields of certificates as programs read them: from certificates made by
 * OpenSSL (tls_matrix.sh), and from invalid bytes.
 *
 * The certificates differ between runs only in their keys and numbers.
 */
#include "lib/tls/context/pem.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <weir/tls_certificate.h>

static struct weir_tls_certificate certificate = {.size = sizeof(certificate)};
static struct wr_bytes der; /* its bytes; the test frees them */

static void fields_open(const char *name)
{
    static uint8_t text[64 << 10];
    const char *path = tls_file("tls-matrix/%s.pem", name);
    const size_t size = tls_file_read(path, text, sizeof(text));
    struct wr_bytes rest = {.data = text, .size = size};
    cr_assert_eq(wr_tls_pem_next(&rest, "CERTIFICATE", &der), 1);
    expect_ok(weir_tls_certificate_read(der.data, der.size, &certificate));
}

static void fields_close(void)
{
    free((void *)(uintptr_t)der.data);
}

static void expect_part(struct weir_tls_part part, const void *bytes,
                        size_t size)
{
    expect_eq(part.size, size);
    cr_assert(memcmp(part.data, bytes, size) == 0);
}

#define EXPECT_TEXT(part, text) expect_part(part, text, sizeof(text) - 1)

UNIT(x509_fields, are_those_of_the_certificate)
{
    fields_open("good");

    expect_eq(certificate.version, 3);
    cr_assert_not(certificate.is_authority);
    expect_gt(certificate.serial.size, 0);
    cr_assert(certificate.serial.data[0] != 0 || certificate.serial.size == 1);
    expect_eq(certificate.not_after_s - certificate.not_before_s,
              INT64_C(36500) * 24 * 3600);

    struct weir_tls_attribute attribute;
    expect_eq(
        weir_tls_certificate_next_attribute(&certificate.subject, &attribute),
        0);
    expect_str_eq(attribute.name, "commonName");
    cr_assert(attribute.is_text);
    EXPECT_TEXT(attribute.value, "good");
    EXPECT_TEXT(attribute.oid, "\x55\4\3");
    expect_eq(
        weir_tls_certificate_next_attribute(&certificate.subject, &attribute),
        -ENOENT);
    expect_eq(
        weir_tls_certificate_next_attribute(&certificate.issuer, &attribute),
        0);
    EXPECT_TEXT(attribute.value, "authority");
    fields_close();
}

UNIT(x509_fields, the_dates_are_seconds_since_1970)
{
    fields_open("expired");
    expect_eq(certificate.not_before_s, INT64_C(1577836800)); /* 2020 */
    expect_eq(certificate.not_after_s, INT64_C(1609459200));  /* 2021 */
    fields_close();
    fields_open("not-yet");
    expect_eq(certificate.not_before_s, INT64_C(3786912000)); /* 2090 */
    fields_close();
}

UNIT(x509_fields, names_are_told_with_their_kind)
{
    struct weir_tls_name name;
    fields_open("good-deep-kinds");

    expect_eq(weir_tls_certificate_next_name(&certificate.names, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_DNS);
    EXPECT_TEXT(name.value, "www.example.org");
    expect_eq(weir_tls_certificate_next_name(&certificate.names, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_IP);
    EXPECT_TEXT(name.value, "\x7f\0\0\1");
    expect_eq(weir_tls_certificate_next_name(&certificate.names, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_EMAIL);
    EXPECT_TEXT(name.value, "a@b.example");
    expect_eq(weir_tls_certificate_next_name(&certificate.names, &name),
              -ENOENT);
    fields_close();
}

UNIT(x509_fields, several_attributes_may_be_in_a_set)
{
    static const uint8_t sets[] =
        "\x31\x16\x30\x09\6\3\x55\4\x0a\x0c\2ab\x30\x09\6\3\x55\4\x0b\x1e\2cd"
        "\x31\x09\x30\7\6\2\x2a\3\x0c\1x";
    struct weir_tls_part rest = {sets, sizeof(sets) - 1};
    struct weir_tls_attribute attribute;

    expect_eq(weir_tls_certificate_next_attribute(&rest, &attribute), 0);
    expect_str_eq(attribute.name, "organizationName");
    expect_eq(weir_tls_certificate_next_attribute(&rest, &attribute), 0);
    expect_str_eq(attribute.name, "organizationalUnitName");
    cr_assert_not(attribute.is_text);
    expect_eq(weir_tls_certificate_next_attribute(&rest, &attribute), 0);
    cr_assert_null(attribute.name);
    EXPECT_TEXT(attribute.value, "x");
    expect_eq(weir_tls_certificate_next_attribute(&rest, &attribute), -ENOENT);
}

/* Returns an attribute that is alone in its set; its value is "x". */
static struct weir_tls_attribute read_attribute(const void *oid, size_t size,
                                                uint8_t tag)
{
    static uint8_t set[32];
    struct weir_tls_attribute attribute;
    const size_t pair_size = 2 + size + 3;
    const uint8_t head[] = {0x31, (uint8_t)(2 + pair_size),
                            0x30, (uint8_t)pair_size,
                            0x06, (uint8_t)size};
    const uint8_t value[] = {tag, 1, 'x'};
    cr_assert_leq(sizeof(head) + size + sizeof(value), sizeof(set));
    memcpy(set, head, sizeof(head));
    memcpy(set + sizeof(head), oid, size);
    memcpy(set + sizeof(head) + size, value, sizeof(value));
    struct weir_tls_part rest = {set, sizeof(head) + size + sizeof(value)};
    expect_eq(weir_tls_certificate_next_attribute(&rest, &attribute), 0);
    expect_eq(rest.size, 0);
    EXPECT_TEXT(attribute.value, "x");
    return attribute;
}

#define ATTRIBUTE(oid, tag) read_attribute((oid), sizeof(oid) - 1, (tag))

UNIT(x509_fields, an_attribute_that_is_known_has_its_name)
{
    static const struct {
        uint8_t last; /* of 2.5.4 */
        const char *name;
    } known[] = {
        {3, "commonName"},    {4, "surname"},
        {5, "serialNumber"},  {6, "countryName"},
        {7, "localityName"},  {8, "stateOrProvinceName"},
        {9, "streetAddress"}, {10, "organizationName"},
        {12, "title"},        {11, "organizationalUnitName"},
        {42, "givenName"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        const uint8_t oid[] = {0x55, 4, known[i].last};
        expect_str_eq(read_attribute(oid, sizeof(oid), 0x0c).name,
                      known[i].name);
    }
    expect_str_eq(ATTRIBUTE("\x2a\x86\x48\x86\xf7\x0d\1\x09\1", 0x16).name,
                  "emailAddress");
    expect_str_eq(
        ATTRIBUTE("\x09\x92\x26\x89\x93\xf2\x2c\x64\1\x19", 0x16).name,
        "domainComponent");
    cr_assert_null(ATTRIBUTE("\x55\4\x28", 0x0c).name);
    cr_assert_null(ATTRIBUTE("\x55\5\3", 0x0c).name);
    cr_assert_null(
        ATTRIBUTE("\x09\x92\x26\x89\x93\xf2\x2c\x64\1\x18", 0x16).name);
}

UNIT(x509_fields, text_is_told_from_other_values)
{
    static const uint8_t texts[] = {0x0c, 0x13, 0x16};
    static const uint8_t others[] = {0x02, 0x03, 0x04, 0x14, 0x1c, 0x1e};
    for (size_t i = 0; i < sizeof(texts); i++) {
        cr_assert(ATTRIBUTE("\x55\4\3", texts[i]).is_text);
    }
    for (size_t i = 0; i < sizeof(others); i++) {
        cr_assert_not(ATTRIBUTE("\x55\4\3", others[i]).is_text);
    }
}

/* Changes the certificate's number to one whose first byte is a zero, which
 * keeps it positive. */
UNIT(x509_fields, a_number_has_no_zero_in_front)
{
    static uint8_t bytes[8192];
    fields_open("good");
    const size_t at = (size_t)(certificate.serial.data - der.data);
    const bool has_zero = der.data[at - 1] == 0;
    const size_t start = has_zero ? at - 1 : at;
    const size_t size = der.data[start - 1];
    cr_assert_leq(der.size, sizeof(bytes));
    memcpy(bytes, der.data, der.size);
    bytes[start] = 0;
    bytes[start + 1] = 0x80;

    expect_eq(weir_tls_certificate_read(bytes, der.size, &certificate), 0);

    expect_eq(certificate.serial.size, size - 1);
    cr_assert_eq(certificate.serial.data, bytes + start + 1);
    expect_eq(certificate.serial.data[0], 0x80);
    fields_close();
}

UNIT(x509_fields, each_kind_of_name_is_told)
{
    static const uint8_t names[] = "\x86\1u\x82\1d\x81\1e\x87\1i\xa0\1o";
    static const enum weir_tls_name_kind kinds[] = {
        WEIR_TLS_NAME_URI, WEIR_TLS_NAME_DNS, WEIR_TLS_NAME_EMAIL,
        WEIR_TLS_NAME_IP, WEIR_TLS_NAME_OTHER};
    struct weir_tls_part rest = {names, sizeof(names) - 1};
    struct weir_tls_name name;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        expect_eq(weir_tls_certificate_next_name(&rest, &name), 0);
        expect_eq(name.kind, kinds[i]);
        expect_eq(name.value.size, 1);
    }
    expect_eq(weir_tls_certificate_next_name(&rest, &name), -ENOENT);
}

UNIT(x509_fields, a_directory_name_has_attributes)
{
    static const uint8_t names[] = "\xa4\x0f\x30\x0d\x31\x0b\x30\x09\6\3\x55\4"
                                   "\3\x0c\2ab\xa4\2xx\x88\1\1";
    struct weir_tls_part rest = {names, sizeof(names) - 1};
    struct weir_tls_name name;
    struct weir_tls_attribute attribute;

    expect_eq(weir_tls_certificate_next_name(&rest, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_DIRECTORY);
    expect_eq(weir_tls_certificate_next_attribute(&name.value, &attribute), 0);
    EXPECT_TEXT(attribute.value, "ab");
    expect_eq(weir_tls_certificate_next_name(&rest, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_OTHER); /* malformed inside */
    expect_eq(weir_tls_certificate_next_name(&rest, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_OTHER);
    expect_eq(weir_tls_certificate_next_name(&rest, &name), -ENOENT);
}

UNIT(x509_fields, of_other_bytes_are_refused)
{
    struct weir_tls_part rest = {(const uint8_t *)"garbage", 7};
    struct weir_tls_attribute attribute;
    struct weir_tls_name name;

    expect_eq(weir_tls_certificate_read("garbage", 7, &certificate), -EBADMSG);
    expect_eq(weir_tls_certificate_read(NULL, 7, &certificate), -EINVAL);
    expect_eq(weir_tls_certificate_read("garbage", 7, NULL), -EINVAL);
    struct weir_tls_certificate sizeless = {.size = 0};
    expect_eq(weir_tls_certificate_read("garbage", 7, &sizeless),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_tls_certificate_next_attribute(&rest, &attribute), -EBADMSG);
    expect_eq(weir_tls_certificate_next_name(&rest, &name), -EBADMSG);
    expect_eq(rest.size, 7);
    rest.data = NULL;
    expect_eq(weir_tls_certificate_next_attribute(&rest, &attribute), -EBADMSG);
    expect_eq(weir_tls_certificate_next_name(&rest, &name), -EBADMSG);
    expect_eq(weir_tls_certificate_next_attribute(&rest, NULL), -EINVAL);
    expect_eq(weir_tls_certificate_next_attribute(NULL, &attribute), -EINVAL);
    expect_eq(weir_tls_certificate_next_name(&rest, NULL), -EINVAL);
}
