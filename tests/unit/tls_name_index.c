/*
 * The index of certificates by their names.
 *
 * For a name, all certificates that may match are inspected, in order, and of a
 * thousand others none.
 */
#include "lib/tls/context/context_impl.h"

#include "tests/unit.h"

#include <stdio.h>
#include <string.h>

static struct wr_tls_name_index names;

/* Adds a certificate with these DNS names, separated by spaces, and perhaps an
 * address. */
static void add(size_t number, const char *texts, bool is_default)
{
    uint8_t data[256];
    size_t size = 0;

    while (*texts) {
        const size_t len = strcspn(texts, " ");
        data[size++] = WR_X509_NAME_TAG_DNS;
        data[size++] = (uint8_t)len;
        memcpy(data + size, texts, len);
        size += len;
        texts += len + (texts[len] == ' ');
    }
    const uint8_t address[] = {WR_X509_NAME_TAG_IP, 4, 192, 0, 2,
                               (uint8_t)number};
    memcpy(data + size, address, sizeof(address));
    const struct wr_x509 x509 = {.names = {data, size + sizeof(address)}};
    expect_eq(wr_tls_name_index_add(&names, &x509, number, is_default), 0);
}

/* Returns the certificates that are inspected, as "1 3 ". */
static const char *looks(const char *host)
{
    static char text[256];
    struct wr_tls_name_keys keys;
    size_t next = 0;

    text[0] = '\0';
    wr_tls_name_keys_of(&keys, host);
    while ((next = wr_tls_name_index_next(&names, &keys, next)) < SIZE_MAX) {
        const size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%zu ", next++);
    }
    return text;
}

UNIT(tls_name_index, finds_names_wildcards_and_addresses_in_their_order)
{
    add(0, "a.test b.test", true);
    add(1, "*.test", false);
    add(2, "c.x.test *.x.TEST", false);
    add(3, "A.test", true);
    wr_tls_name_index_sort(&names);
    expect_str_eq(looks("a.test"), "0 1 3 ");
    expect_str_eq(looks("A.TEST."), "0 1 3 ");
    expect_str_eq(looks("b.test"), "0 1 ");
    expect_str_eq(looks("d.test"), "1 ");
    expect_str_eq(looks("c.x.test"), "2 ");
    expect_str_eq(looks("e.X.test"), "2 ");
    expect_str_eq(looks("e.f.x.test"), "");
    expect_str_eq(looks("test"), "");
    expect_str_eq(looks("192.0.2.3"), "3 ");
    expect_str_eq(looks(""), "", "no name is no default");
    expect_str_eq(looks("."), "");
    expect_str_eq(looks(NULL), "0 3 ");
    wr_tls_name_index_fini(&names);
}

UNIT(tls_name_index, of_a_thousand_certificates_one_is_looked_at)
{
    char text[32];
    for (size_t i = 1000; i-- > 0;) {
        snprintf(text, sizeof(text), "n%zu.test", i);
        add(i, text, i == 0);
    }
    wr_tls_name_index_sort(&names);
    expect_str_eq(looks("n0.test"), "0 ");
    expect_str_eq(looks("n617.test"), "617 ");
    expect_str_eq(looks("n999.test"), "999 ");
    expect_str_eq(looks("n1000.test"), "");
    expect_str_eq(looks(NULL), "0 ");
    wr_tls_name_index_fini(&names);
}
