/*
 * The parser of certificates: each test changes a part of one (x509_rig.h).
 *
 * Anything except plain DER is refused, and no bytes beyond the certificate are
 * read, whatever it contains.
 */
#include "lib/x509/trust.h"
#include "tests/unit/random.h"
#include "tests/unit/x509_rig.h"

#include <errno.h>

static struct wr_x509 x509; /* the parsed certificate */

UNIT(x509_certificate, one_without_extensions_is_read)
{
    const struct parts parts = parts_good();
    char text[64];
    expect_eq(parts_read(&parts, &x509), 0);
    expect_eq(x509.key.strength, WR_X509_STRONG);
    expect_eq(x509.signature, WR_X509_STRONG);
    cr_assert_not(x509.has_usage || x509.has_purposes || x509.is_authority ||
                  x509.has_unknown);
    wr_x509_write_subject(&x509, text, sizeof(text));
    expect_str_eq(text, "CN=sub?ject");
    wr_x509_write_subject(&x509, text, 16);
    expect_str_eq(text, "CN=sub?ject");
}

UNIT(x509_certificate, a_version_that_no_standard_has_makes_it_malformed)
{
    const struct {
        struct part version;
        uint32_t read; /* 0 if malformed */
    } rows[] = {
        {BYTES(""), 1},
        {BYTES("\xa0\3\2\1\0"), 1},
        {BYTES("\xa0\3\2\1\1"), 2},
        {BYTES("\xa0\3\2\1\2"), 3},
        {BYTES("\xa0\3\2\1\3"), 0},
        {BYTES("\xa0\4\2\2\0\2"), 0},
        {BYTES("\xa0\2\2\0"), 0},
        {BYTES("\xa0\3\4\1\2"), 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = parts_good();
        parts.version = rows[i].version;
        expect_eq(parts_read(&parts, &x509), rows[i].read ? 0 : -EBADMSG,
                  "row %zu", i);
        expect_eq(x509.version, rows[i].read ? rows[i].read : 1, "row %zu", i);
    }
}

static struct part rsa_key(size_t modulus_size, const char *exponent)
{
    struct part modulus = {.size = modulus_size + 1};
    memset(modulus.data + 1, 0xa5, modulus_size);
    return SEQUENCE(
        SEQUENCE(BYTES("\6\11\x2a\x86\x48\x86\xf7\x0d\1\1\1\5\0")),
        part_wrap(
            0x03,
            JOIN(BYTES("\0"),
                 SEQUENCE(part_wrap(0x02, modulus),
                          part_wrap(0x02,
                                    part_bytes(exponent, strlen(exponent)))))));
}

UNIT(x509_certificate, keys_are_rated)
{
    const struct {
        struct part key;
        enum wr_x509_strength strength;
        enum wr_x509_key_kind kind;
        uint32_t extra_cost;
    } rows[] = {
        {rsa_key(256, "\1\1\1"), WR_X509_STRONG, WR_X509_KEY_RSA, 0},
        {rsa_key(384, "\3"), WR_X509_STRONG, WR_X509_KEY_RSA, 0},
        {rsa_key(255, "\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {rsa_key(128, "\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {rsa_key(256, "\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {rsa_key(512, "\1\1\1\1\1\1\1\1"), WR_X509_STRONG, WR_X509_KEY_RSA, 2},
        {rsa_key(256, "\1\1\1\1\1\1\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA,
         2},
        {rsa_key(513, "\1\1\1"), WR_X509_WEAK_RSA, WR_X509_KEY_RSA, 0},
        {part_curve_key(P256), WR_X509_STRONG, WR_X509_KEY_CURVE, 0},
        {part_curve_key(BYTES("\x2b\x81\4\0\x22")), WR_X509_STRONG,
         WR_X509_KEY_CURVE, 1},
        {part_curve_key(BYTES("\x2b\x81\4\0\x23")), WR_X509_STRONG,
         WR_X509_KEY_CURVE, 2},
        {SEQUENCE(SEQUENCE(BYTES("\6\7\x2a\x86\x48\xce\x3d\2\1"),
                           part_wrap(0x06, P256)),
                  JOIN(BYTES("\3\x22\0\2"), (struct part){.size = 32})),
         WR_X509_WEAK_POINT, WR_X509_KEY_CURVE, 0},
        {part_curve_key(BYTES("\x2b\x81\4\0\x21")), WR_X509_WEAK_CURVE,
         WR_X509_KEY_CURVE, 0},
        {part_curve_key(BYTES("\x2a\x86\x48\xce\x3d\3\1\1")),
         WR_X509_WEAK_CURVE, WR_X509_KEY_CURVE, 0},
        {SEQUENCE(SEQUENCE(BYTES("\6\3\x2b\x65\x70")),
                  JOIN(BYTES("\3\x21\0"), (struct part){.size = 32})),
         WR_X509_STRONG, WR_X509_KEY_EDWARDS, 0},
        {SEQUENCE(SEQUENCE(BYTES("\6\3\x2b\x65\x71")), BYTES("\3\2\0\1")),
         WR_X509_WEAK_ALGORITHM, WR_X509_KEY_OTHER, 0},
        {SEQUENCE(SEQUENCE(BYTES("\6\7\x2a\x86\x48\xce\x38\4\1")),
                  BYTES("\3\2\0\1")),
         WR_X509_WEAK_ALGORITHM, WR_X509_KEY_OTHER, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = parts_good();
        parts.key = rows[i].key;
        expect_eq(parts_read(&parts, &x509), 0, "row %zu", i);
        expect_eq(x509.key.strength, rows[i].strength, "row %zu", i);
        expect_eq(x509.key.kind, rows[i].kind, "row %zu", i);
        expect_eq(x509.key.extra_cost, rows[i].extra_cost, "row %zu", i);
    }
}

#define PKCS1 "\6\11\x2a\x86\x48\x86\xf7\x0d\1\1"
#define PSS   BYTES(PKCS1 "\12")

static struct part pss_with(struct part hash)
{
    return JOIN(PSS,
                SEQUENCE(part_wrap(0xa0, SEQUENCE(part_wrap(0x06, hash)))));
}

#define SHA256 BYTES("\x60\x86\x48\1\x65\3\4\2\1")

/* Returns these parameters after a valid hash. */
static struct part pss_and(struct part more)
{
    return JOIN(
        PSS,
        SEQUENCE(part_wrap(0xa0, SEQUENCE(part_wrap(0x06, SHA256))), more));
}

static struct part pss_mask(struct part more)
{
    return part_wrap(
        0xa1, JOIN(SEQUENCE(BYTES(PKCS1 "\10"),
                            SEQUENCE(part_wrap(0x06, SHA256), BYTES("\5\0"))),
                   more));
}

UNIT(x509_certificate, signatures_are_rated)
{
    const struct {
        struct part algorithm;
        enum wr_x509_strength strength;
    } rows[] = {
        {BYTES(PKCS1 "\13\5\0"), WR_X509_STRONG},
        {BYTES(PKCS1 "\15\5\0"), WR_X509_STRONG},
        {BYTES(PKCS1 "\5\5\0"), WR_X509_WEAK_HASH},  /* SHA-1 */
        {BYTES(PKCS1 "\4\5\0"), WR_X509_WEAK_HASH},  /* MD5 */
        {BYTES(PKCS1 "\16\5\0"), WR_X509_WEAK_HASH}, /* SHA-224 */
        {BYTES("\6\7\x2a\x86\x48\xce\x3d\4\1"), WR_X509_WEAK_HASH},
        {BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\1"), WR_X509_WEAK_HASH},
        {BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\4"), WR_X509_STRONG},
        {BYTES("\6\3\x2b\x65\x70"), WR_X509_STRONG},
        {BYTES("\6\3\x2a\x03\x04"), WR_X509_WEAK_ALGORITHM},
        {PSS, WR_X509_WEAK_HASH}, /* without parameters: SHA-1 */
        {pss_with(BYTES("\x60\x86\x48\1\x65\3\4\2\1")), WR_X509_STRONG},
        {pss_with(BYTES("\x60\x86\x48\1\x65\3\4\2\4")), WR_X509_WEAK_HASH},
        {pss_and(pss_mask(BYTES(""))), WR_X509_STRONG},
        {pss_and(pss_mask(BYTES("\5\0"))), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa1\7\x30")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa1\0")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa2\3\2\1\40")), WR_X509_STRONG},
        {pss_and(BYTES("\xa2\5\2\1\40\5\0")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa2\4\2\1\40")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa2\3\2\1\377")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa3\3\2\1\1")), WR_X509_STRONG},
        {pss_and(BYTES("\xa3\3\2\1\2")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa3\3\2\1\1\5\0")), WR_X509_WEAK_HASH},
        {pss_and(BYTES("\xa3\3\2\1\1\xa1\0")), WR_X509_WEAK_HASH},
        {JOIN(pss_and(BYTES("")), BYTES("\5\0")), WR_X509_WEAK_HASH},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = parts_good();
        parts.algorithm = parts.outside = rows[i].algorithm;
        expect_eq(parts_read(&parts, &x509), 0, "row %zu", i);
        expect_eq(x509.signature, rows[i].strength, "row %zu", i);
    }
}

/* Adds a certificate whose signature ends with this byte. */
static int add_to_trust(struct wr_x509_trust *trust, uint8_t last)
{
    struct parts parts = parts_good();
    parts.signature.data[parts.signature.size - 1] = last;
    const struct part made = parts_make(&parts);
    uint8_t *copy = malloc(made.size);
    memcpy(copy, made.data, made.size);
    return wr_x509_trust_add(trust, (struct wr_bytes){copy, made.size});
}

UNIT(x509_certificate, one_that_is_added_twice_is_trusted_once)
{
    enum { COUNT = 10 };
    struct wr_x509_trust trust = {.anchors = NULL};
    for (uint8_t i = 0; i < 2 * COUNT; i++) {
        expect_eq(add_to_trust(&trust, i % COUNT), 1);
    }
    expect_eq(trust.count, COUNT);

    const struct wr_x509 *anchor = NULL;
    const struct wr_bytes subject = trust.anchors[0].subject;
    size_t found = 0;
    while ((anchor = wr_x509_trust_find(&trust, &subject, anchor))) {
        expect_eq(anchor->sign.bits.data[1], found);
        found++;
    }
    expect_eq(found, COUNT);
    wr_x509_trust_fini(&trust);
    cr_assert_null(trust.anchors);
}

UNIT(x509_certificate, a_day_that_no_calendar_has_makes_it_malformed)
{
    const struct {
        const char *date;
        int err;
    } rows[] = {
        {"20240229000000Z", 0},        {"20230229000000Z", -EBADMSG},
        {"20000229000000Z", 0},        {"21000229000000Z", -EBADMSG},
        {"20240230000000Z", -EBADMSG}, {"20240430000000Z", 0},
        {"20240431000000Z", -EBADMSG}, {"20241231000000Z", 0},
        {"20241301000000Z", -EBADMSG}, {"20241231235959Z", 0},
        {"20241231235960Z", -EBADMSG},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = parts_good();
        parts.not_after = part_wrap(0x18, part_bytes(rows[i].date, 15));
        expect_eq(parts_read(&parts, &x509), rows[i].err, "%s", rows[i].date);
    }
}

UNIT(x509_certificate, a_date_is_a_second_since_1970)
{
    const struct {
        struct part date;
        int64_t second;
    } rows[] = {
        {part_wrap(0x18, BYTES("20240229123456Z")), INT64_C(1709210096)},
        {part_wrap(0x18, BYTES("16000301010000Z")), INT64_C(-11670908400)},
        {part_wrap(0x18, BYTES("00000101000000Z")), INT64_C(-62167219200)},
        {part_wrap(0x17, BYTES("491231235900Z")), INT64_C(2524607940)},
        {part_wrap(0x17, BYTES("500101000059Z")), INT64_C(-631151941)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = parts_good();
        parts.not_after = rows[i].date;
        expect_ok(parts_read(&parts, &x509));
        expect_eq(x509.not_after, rows[i].second, "row %zu", i);
    }
}

UNIT(x509_certificate, a_signature_is_of_whole_bytes)
{
    const struct part bad[] = {BYTES("\3\0"), BYTES("\3\1\0"),
                               BYTES("\3\3\1\1\2"), BYTES("\3\3\7\1\x80")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct parts parts = parts_good();
        parts.signature = bad[i];
        expect_eq(parts_read(&parts, &x509), -EBADMSG, "row %zu", i);
    }
}

UNIT(x509_certificate, what_stands_behind_a_key_makes_it_malformed)
{
    const struct part id =
        SEQUENCE(BYTES("\6\11\x2a\x86\x48\x86\xf7\x0d\1\1\1\5\0"));
    const struct part bits = BYTES("\3\11\0\x30\6\2\1\7\2\1\3");
    const struct {
        struct part key;
        int err;
    } rows[] = {
        {SEQUENCE(id, bits), 0},
        {SEQUENCE(id, bits, BYTES("\5\0")), -EBADMSG},
        {SEQUENCE(id, BYTES("\3\13\0\x30\6\2\1\7\2\1\3\5\0")), -EBADMSG},
        {SEQUENCE(id, BYTES("\3\13\0\x30\10\2\1\7\2\1\3\5\0")), -EBADMSG},
        {SEQUENCE(id, BYTES("\3\12\0\x30\7\2\2\0\7\2\1\3")), -EBADMSG},
        {SEQUENCE(SEQUENCE(BYTES("\6\11\x2a\x86\x48\x86\xf7\x0d\1\1\1")), bits),
         -EBADMSG},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct parts parts = parts_good();
        parts.key = rows[i].key;
        expect_eq(parts_read(&parts, &x509), rows[i].err, "row %zu", i);
    }
}

UNIT(x509_certificate, what_stands_behind_an_algorithm_makes_it_malformed)
{
    const struct part bad[] = {
        JOIN(ECDSA_256, BYTES("\5\0")), BYTES(PKCS1 "\13\5\0\5\0"),
        BYTES("\6\3\x2b\x65\x70\5\0"), BYTES("\6\3\x2b\x65\x80")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct parts parts = parts_good();
        parts.algorithm = parts.outside = bad[i];
        expect_eq(parts_read(&parts, &x509), -EBADMSG, "row %zu", i);
    }
}

UNIT(x509_certificate, algorithms_that_differ_make_it_malformed)
{
    struct parts parts = parts_good();
    parts.outside = BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\3");
    expect_eq(parts_read(&parts, &x509), -EBADMSG);
}

UNIT(x509_certificate, lengths_that_are_no_der_make_it_malformed)
{
    static const struct {
        const char *data;
        size_t size;
    } rows[] = {
        {"", 0},
        {"\x30", 1},
        {"\x30\x80\0\0", 4},       /* indefinite */
        {"\x30\x81\1\0", 4},       /* longer than necessary */
        {"\x30\x82\0\x81", 4},     /* as above */
        {"\x30\x84\0\0\0\1\0", 7}, /* longer than any certificate */
        {"\x30\5\0", 3},           /* more than there is */
        {"\x3f\1\0", 3},           /* a multi-byte tag */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(
            wr_x509_read(&x509, (const uint8_t *)rows[i].data, rows[i].size),
            -EBADMSG, "row %zu", i);
    }
}

UNIT(x509_certificate, every_cut_and_every_byte_more_makes_it_malformed)
{
    const struct parts parts = parts_good();
    struct part made = parts_make(&parts);
    for (size_t size = 0; size < made.size; size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, made.data, size);
        expect_eq(wr_x509_read(&x509, copy, size), -EBADMSG);
        free(copy);
    }
    expect_eq(wr_x509_read(&x509, made.data, made.size + 1), -EBADMSG);
}

/* A certificate with all extensions, of which random bytes are changed. */
UNIT(x509_certificate, random_changes_do_no_harm)
{
    struct parts parts = parts_good();
    parts.key = rsa_key(256, "\1\1\1");
    parts.extensions = JOIN(
        part_extension(15, true, BYTES("\3\2\2\x84")),
        part_extension(17, false, SEQUENCE(BYTES("\x82\1a"), BYTES("\x81\1b"))),
        part_extension(19, true, BYTES("\x30\6\1\1\xff\2\1\0")),
        part_extension(30, true,
                       SEQUENCE(part_wrap(0xa0, SEQUENCE(BYTES("\x82\1a"))))),
        part_extension(37, false, SEQUENCE(BYTES("\6\4\x55\x1d\x25\0"))));
    const struct part good = parts_make(&parts);
    struct unit_random random = unit_random_new();
    for (int round = 0; round < 100000; round++) {
        char text[64];
        uint8_t *copy =
            malloc(good.size); /* so that reads past the end are noticed */
        memcpy(copy, good.data, good.size);
        for (uint64_t i = unit_random_below(&random, 4); i < 5; i++) {
            copy[unit_random_below(&random, good.size)] ^=
                (uint8_t)(1u << unit_random_below(&random, 8));
        }
        if (wr_x509_read(&x509, copy, good.size) == 0) {
            enum wr_x509_name_kind kind;
            struct wr_bytes one;
            struct wr_bytes names = x509.names;
            while (wr_x509_next_name(&names, &kind, &one)) {
                cr_assert(one.data >= copy &&
                          one.data + one.size <= copy + good.size);
            }
            wr_x509_write_subject(&x509, text, sizeof(text));
        }
        free(copy);
    }
}
