/*
 * The fields of certificates, as programs read them: of certificates that
 * OpenSSL made (tls_matrix.sh), and of bytes that are none. The certificates
 * differ from run to run in their keys and numbers alone.
 */
#include "lib/tls/trust.h"
#include "tests/unit.h"
#include "tests/unit/tls_file.h"

#include <errno.h>
#include <string.h>
#include <weir/tls_certificate.h>

static struct wr_tls_trust trust; /* it reads PEM */
static struct weir_tls_certificate certificate;

static void fields_open(const char *name)
{
    static uint8_t text[64 << 10];
    const char *path = tls_file("tls-matrix/%s.pem", name);
    const size_t size = tls_file_read(path, text, sizeof(text));
    cr_assert_eq(wr_tls_trust_add(&trust, text, size), 0);
    const struct wr_tls_der der = trust.anchors[0].der;
    cr_assert_eq(weir_tls_certificate_read(der.data, der.size, &certificate),
                 0);
}

static void expect_part(struct weir_tls_part part, const void *bytes,
                        size_t size)
{
    expect_eq(part.size, size);
    cr_assert(memcmp(part.data, bytes, size) == 0);
}

#define EXPECT_TEXT(part, text) expect_part(part, text, sizeof(text) - 1)

UNIT(tls_fields, are_those_of_the_certificate)
{
    fields_open("good");

    expect_eq(certificate.version, 3);
    cr_assert_not(certificate.is_authority);
    expect_gt(certificate.serial.size, 0);
    cr_assert(certificate.serial.data[0] != 0 || certificate.serial.size == 1);
    expect_eq(certificate.not_after_s - certificate.not_before_s,
              INT64_C(36500) * 24 * 3600);

    struct weir_tls_attribute attribute;
    expect_eq(weir_tls_next_attribute(&certificate.subject, &attribute), 0);
    expect_str_eq(attribute.name, "commonName");
    cr_assert(attribute.is_text);
    EXPECT_TEXT(attribute.value, "good");
    EXPECT_TEXT(attribute.oid, "\x55\4\3");
    expect_eq(weir_tls_next_attribute(&certificate.subject, &attribute),
              -ENOENT);
    expect_eq(weir_tls_next_attribute(&certificate.issuer, &attribute), 0);
    EXPECT_TEXT(attribute.value, "authority");
    wr_tls_trust_fini(&trust);
}

UNIT(tls_fields, the_dates_are_seconds_since_1970)
{
    fields_open("expired");
    expect_eq(certificate.not_before_s, INT64_C(1577836800)); /* 2020 */
    expect_eq(certificate.not_after_s, INT64_C(1609459200));  /* 2021 */
    wr_tls_trust_fini(&trust);
    fields_open("not-yet");
    expect_eq(certificate.not_before_s, INT64_C(3786912000)); /* 2090 */
    wr_tls_trust_fini(&trust);
}

UNIT(tls_fields, names_are_told_with_their_kind)
{
    struct weir_tls_name name;
    fields_open("good-deep-kinds");

    expect_eq(weir_tls_next_name(&certificate.names, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_DNS);
    EXPECT_TEXT(name.value, "www.example.org");
    expect_eq(weir_tls_next_name(&certificate.names, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_IP);
    EXPECT_TEXT(name.value, "\x7f\0\0\1");
    expect_eq(weir_tls_next_name(&certificate.names, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_EMAIL);
    EXPECT_TEXT(name.value, "a@b.example");
    expect_eq(weir_tls_next_name(&certificate.names, &name), -ENOENT);
    wr_tls_trust_fini(&trust);
}

UNIT(tls_fields, several_attributes_may_be_in_a_set)
{
    static const uint8_t sets[] =
        "\x31\x16\x30\x09\6\3\x55\4\x0a\x0c\2ab\x30\x09\6\3\x55\4\x0b\x1e\2cd"
        "\x31\x09\x30\7\6\2\x2a\3\x0c\1x";
    struct weir_tls_part rest = {sets, sizeof(sets) - 1};
    struct weir_tls_attribute attribute;

    expect_eq(weir_tls_next_attribute(&rest, &attribute), 0);
    expect_str_eq(attribute.name, "organizationName");
    expect_eq(weir_tls_next_attribute(&rest, &attribute), 0);
    expect_str_eq(attribute.name, "organizationalUnitName");
    cr_assert_not(attribute.is_text);
    expect_eq(weir_tls_next_attribute(&rest, &attribute), 0);
    cr_assert_null(attribute.name);
    EXPECT_TEXT(attribute.value, "x");
    expect_eq(weir_tls_next_attribute(&rest, &attribute), -ENOENT);
}

UNIT(tls_fields, a_directory_name_has_attributes)
{
    static const uint8_t names[] = "\xa4\x0f\x30\x0d\x31\x0b\x30\x09\6\3\x55\4"
                                   "\3\x0c\2ab\xa4\2xx\x88\1\1";
    struct weir_tls_part rest = {names, sizeof(names) - 1};
    struct weir_tls_name name;
    struct weir_tls_attribute attribute;

    expect_eq(weir_tls_next_name(&rest, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_DIRECTORY);
    expect_eq(weir_tls_next_attribute(&name.value, &attribute), 0);
    EXPECT_TEXT(attribute.value, "ab");
    expect_eq(weir_tls_next_name(&rest, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_OTHER); /* malformed inside */
    expect_eq(weir_tls_next_name(&rest, &name), 0);
    expect_eq(name.kind, WEIR_TLS_NAME_OTHER);
    expect_eq(weir_tls_next_name(&rest, &name), -ENOENT);
}

UNIT(tls_fields, of_other_bytes_are_refused)
{
    struct weir_tls_part rest = {(const uint8_t *)"garbage", 7};
    struct weir_tls_attribute attribute;
    struct weir_tls_name name;

    expect_eq(weir_tls_certificate_read("garbage", 7, &certificate), -EBADMSG);
    expect_eq(weir_tls_certificate_read(NULL, 7, &certificate), -EINVAL);
    expect_eq(weir_tls_next_attribute(&rest, &attribute), -EBADMSG);
    expect_eq(weir_tls_next_name(&rest, &name), -EBADMSG);
    expect_eq(rest.size, 7);
    expect_eq(weir_tls_next_attribute(NULL, &attribute), -EINVAL);
    expect_eq(weir_tls_next_name(&rest, NULL), -EINVAL);
}
