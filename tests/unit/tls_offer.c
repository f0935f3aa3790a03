/*
 * The kinds of keys that a client can use, from the parts of its hello.
 *
 * There are rows for both versions, and lists that cannot be parsed, which
 * exclude nothing.
 */
#include "lib/tls/context/suites.h"
#include "tests/unit.h"

enum {
    RSA = WR_TLS_OFFER_RSA,
    CURVES = WR_TLS_OFFER_P256 | WR_TLS_OFFER_P384 | WR_TLS_OFFER_P521,
    EDWARDS = WR_TLS_OFFER_EDWARDS,
    ALL = RSA | CURVES | EDWARDS,
};

#define BOTH_SUITES "\xc0\x2b\xc0\x2f"
#define NEWEST      "\4\3\4\3\3"

struct row {
    const char *suites;
    const char *schemes; /* may be NULL */
    const char *groups;
    bool is_newest;
    uint8_t kinds; /* kinds that can be used */
};

/* No number has a byte 0, except lengths and groups, whose first byte is 0. */
static struct wr_bytes part(const char *text, size_t front)
{
    return text ? (struct wr_bytes){(const uint8_t *)text,
                                    front + (uint8_t)text[front - 1]}
                : (struct wr_bytes){NULL, 0};
}

static uint8_t kinds_of(const struct row *row, const char *own)
{
    const struct wr_tls_offer offer = {
        .suites = {(const uint8_t *)row->suites, strlen(row->suites)},
        .schemes = part(row->schemes, 2),
        .groups = part(row->groups, 2),
        .versions = row->is_newest ? part(NEWEST, 1) : part(NULL, 0),
    };
    return ALL & ~wr_tls_offer_lacks(&offer, true, wr_tls_suites_mask(own));
}

static const struct row rows[] = {
    {"\x13\1", "\0\2\x8\x4", NULL, true, RSA},
    {"\x13\1", "\0\2\x8\xb", NULL, true, 0},
    {"\x13\1", "\0\2\4\1", NULL, true, 0},
    {"\x13\1", "\0\2\4\3", NULL, true, WR_TLS_OFFER_P256},
    {"\x13\1", "\0\4\5\3\6\3", NULL, true,
     WR_TLS_OFFER_P384 | WR_TLS_OFFER_P521},
    {"\x13\1", "\0\2\x8\x7", "\0\2\0\x17", true, EDWARDS},
    {"\x13\1", NULL, NULL, true, ALL},
    {"\x13\1", "\0\1\4", NULL, true, ALL},

    {BOTH_SUITES, NULL, NULL, false, ALL},
    {BOTH_SUITES, "\0\2\4\1", NULL, false, RSA},
    {BOTH_SUITES, "\0\2\x8\x4", NULL, false, RSA},
    {BOTH_SUITES, "\0\2\4\3", NULL, false, CURVES},
    {BOTH_SUITES, "\0\2\4\3", "\0\2\0\x18", false, WR_TLS_OFFER_P384},
    {BOTH_SUITES, NULL, "\0\2\0\x1d", false, RSA | EDWARDS},
    {BOTH_SUITES, "\0\4\2\1\2\3", NULL, false, 0},
    {"\xc0\x2b", NULL, NULL, false, CURVES | EDWARDS},
    {"\xc0\x2f", NULL, NULL, false, RSA},
    {"\xcc\xa9", "\0\2\4\1", NULL, false, 0},
    {"\xc0\x13\x13\1", NULL, NULL, false, 0},
    {"\xcc\xa8", NULL, NULL, false, RSA},
};

UNIT(tls_offer, says_which_keys_a_client_can_use)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(kinds_of(&rows[i], NULL), rows[i].kinds, "row %zu", i);
    }
}

UNIT(tls_offer, a_suite_counts_that_the_server_has_too)
{
    const struct row row = {BOTH_SUITES, NULL, NULL, false, 0};
    expect_eq(kinds_of(&row, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), RSA);
    expect_eq(kinds_of(&row, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
              CURVES | EDWARDS);
    expect_eq(kinds_of(&row, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), 0);
}

UNIT(tls_offer, a_server_of_tls_1_2_looks_at_suites)
{
    const struct wr_tls_offer offer = {
        .suites = {(const uint8_t *)"\xc0\x2f", 2},
        .versions = part(NEWEST, 1),
    };
    expect_eq(wr_tls_offer_lacks(&offer, false, wr_tls_suites_mask(NULL)),
              CURVES | EDWARDS);
    expect_eq(wr_tls_offer_lacks(&offer, true, wr_tls_suites_mask(NULL)), 0);
}

/* A client without a suite of TLS 1.2 can use a key if it supports TLS 1.3. */
UNIT(tls_offer, a_client_speaks_tls_1_3_if_its_list_of_versions_says_so)
{
    static const struct {
        const char *versions;
        size_t size;
        uint8_t kinds;
    } lists[] = {
        {NEWEST, 5, ALL},     {"\2\3\4", 3, ALL}, {"\2\3\3", 3, 0},
        {"\4\3\3\3\2", 5, 0}, {"\4\3\4", 3, 0},   {"\3\3\4\3", 4, 0},
        {"\0", 1, 0},
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        const struct wr_tls_offer offer = {
            .suites = {(const uint8_t *)"\x13\1", 2},
            .versions = {(const uint8_t *)lists[i].versions, lists[i].size},
        };
        expect_eq(
            ALL & ~wr_tls_offer_lacks(&offer, true, wr_tls_suites_mask(NULL)),
            lists[i].kinds, "row %zu", i);
    }
}

UNIT(tls_offer, a_hello_that_was_not_read_excludes_nothing)
{
    const struct wr_tls_offer offer = {.suites = {NULL, 0}};
    expect_eq(wr_tls_offer_lacks(&offer, true, 0), 0);
}

UNIT(tls_offer, a_key_is_of_one_kind)
{
    static const struct {
        struct wr_x509_key_strength key;
        uint8_t kind;
    } keys[] = {
        {{.kind = WR_X509_KEY_RSA}, RSA},
        {{.kind = WR_X509_KEY_CURVE, .curve = WR_X509_CURVE_P256},
         WR_TLS_OFFER_P256},
        {{.kind = WR_X509_KEY_CURVE, .curve = WR_X509_CURVE_P384},
         WR_TLS_OFFER_P384},
        {{.kind = WR_X509_KEY_CURVE, .curve = WR_X509_CURVE_P521},
         WR_TLS_OFFER_P521},
        {{.kind = WR_X509_KEY_EDWARDS}, EDWARDS},
        {{.kind = WR_X509_KEY_OTHER}, 0},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        expect_eq(wr_tls_offer_kind_of(&keys[i].key), keys[i].kind, "%zu", i);
    }
}
