/*
 * PEM blocks and their base64 (RFC 4648): the RFC's test vectors, white space
 * between letters, and invalid texts.
 *
 * A block that cannot be decoded is skipped, so that the next one is found.
 */
#include "lib/tls/context/pem.h"

#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Expects the bytes of a block with this text between its lines. Returns false
 * if it is invalid. */
static bool pem_read(const char *base64, const char *expected)
{
    char text[256];
    struct wr_bytes der = {.data = NULL};

    const int len = snprintf(text, sizeof(text),
                             "-----BEGIN X-----%s-----END X-----\n", base64);
    cr_assert(len > 0 && (size_t)len < sizeof(text));
    struct wr_bytes rest = {.data = (const uint8_t *)text, .size = (size_t)len};
    expect_eq(wr_tls_pem_next(&rest, "X", &der), 1);
    if (!der.data) {
        expect_eq(der.size, 0);
        return false;
    }
    expect_eq(der.size, strlen(expected));
    expect_eq(memcmp(der.data, expected, der.size), 0, "%s", base64);
    free((void *)(uintptr_t)der.data);
    return true;
}

UNIT(tls_pem, base64_is_that_of_the_rfc)
{
    cr_assert(pem_read("Zg==", "f"));
    cr_assert(pem_read("Zm8=", "fo"));
    cr_assert(pem_read("Zm9v", "foo"));
    cr_assert(pem_read("Zm9vYg==", "foob"));
    cr_assert(pem_read("Zm9vYmE=", "fooba"));
    cr_assert(pem_read("Zm9vYmFy", "foobar"));
    cr_assert(pem_read("+/+/", "\xfb\xff\xbf"));
    cr_assert(pem_read("\r\nZm9v\r\n Ym\tFy\n", "foobar"));
    cr_assert(pem_read("Zg=\n=\n", "f"));
}

UNIT(tls_pem, a_text_that_is_no_base64_is_no_block)
{
    static const char *const texts[] = {
        "",
        "\n",
        "Z",
        "Zg",
        "Zg=",
        "Zg===",
        "====",
        "=Zg=",
        "Z===",
        "Zg==Zg==",
        "Zm9v=",
        "Zm9v====",
        "Zm-v",
        "Zm_v",
        "Zm9v\x01",
        "Zm9v\x80",
        "Proc-Type: 4,ENCRYPTED\n\nZm9v",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        cr_assert_not(pem_read(texts[i], ""), "%s", texts[i]);
    }
}

UNIT(tls_pem, blocks_come_one_after_another_and_others_are_passed)
{
    static const char text[] = "a\n-----BEGIN X-----\nZg==\n-----END X-----\n"
                               "-----BEGIN Y-----\nZm8=\n-----END Y-----\n"
                               "-----BEGIN X-----\nZm9v\n-----END X-----\n";
    struct wr_bytes rest = {.data = (const uint8_t *)text,
                            .size = sizeof(text) - 1};
    struct wr_bytes der;
    for (size_t size = 1; size <= 3; size += 2) {
        expect_eq(wr_tls_pem_next(&rest, "X", &der), 1);
        expect_eq(der.size, size);
        free((void *)(uintptr_t)der.data);
    }
    expect_eq(wr_tls_pem_next(&rest, "X", &der), 0);
}
