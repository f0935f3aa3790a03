/*
 * The extensions of certificates (x509_rig.h), mainly names and name
 * constraints: how each is parsed, and which forms make a certificate
 * malformed.
 *
 * Other extensions are parsed too, even if they are not used.
 */
#include "tests/unit/x509_rig.h"

#include <errno.h>

static struct wr_x509 x509; /* the parsed certificate */

UNIT(x509_extension, extensions_are_read)
{
    expect_ok(parts_read_extended(
        JOIN(part_extension(15, true, BYTES("\3\2\2\x84")),
             part_extension(19, true, BYTES("\x30\6\1\1\xff\2\1\0")),
             part_extension(37, false,
                            SEQUENCE(BYTES("\6\10\x2b\6\1\5\5\7\3\2"))),
             part_extension(32, true, SEQUENCE(SEQUENCE(BYTES("\6\1\x2a")))),
             part_extension(35, false, BYTES("\x30\0"))),
        &x509));
    cr_assert(x509.has_usage && x509.has_purposes && x509.is_authority);
    expect_eq(x509.usage, WR_X509_USE_SIGNATURE | WR_X509_USE_CERT_SIGN);
    expect_eq(x509.purposes, WR_X509_FOR_CLIENTS);
    cr_assert_not(x509.has_unknown);
}

/* The ninth bit is in a second byte, and no usage needs a third one. */
UNIT(x509_extension, a_usage_has_one_or_two_bytes)
{
    const struct {
        struct part usage;
        int err;
        uint32_t read;
    } rows[] = {
        {BYTES("\3\1\0"), 0, 0},
        {BYTES("\3\2\7\x80"), 0, WR_X509_USE_SIGNATURE},
        {BYTES("\3\2\1\6"), 0, WR_X509_USE_CERT_SIGN | WR_X509_USE_LIST_SIGN},
        {BYTES("\3\3\7\x80\x80"), 0, WR_X509_USE_SIGNATURE | 1 << 8},
        {BYTES("\3\4\7\x80\x80\x80"), -EBADMSG, 0},
        {BYTES("\3\0"), -EBADMSG, 0},
        {BYTES("\4\2\7\x80"), -EBADMSG, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(
            parts_read_extended(part_extension(15, true, rows[i].usage), &x509),
            rows[i].err, "row %zu", i);
        expect_eq(x509.usage, rows[i].read, "row %zu", i);
        cr_assert_eq(x509.has_usage, rows[i].err == 0, "row %zu", i);
    }
}

UNIT(x509_extension, any_purpose_is_both)
{
    expect_ok(parts_read_extended(
        part_extension(37, false, SEQUENCE(BYTES("\6\4\x55\x1d\x25\0"))),
        &x509));
    expect_eq(x509.purposes, WR_X509_FOR_CLIENTS | WR_X509_FOR_SERVERS);
}

UNIT(x509_extension, names_are_given_in_turn)
{
    struct wr_bytes one;
    enum wr_x509_name_kind kind;
    expect_ok(parts_read_extended(
        part_extension(17, false,
                       SEQUENCE(BYTES("\x82\1a"), BYTES("\x81\1b"),
                                BYTES("\x87\4\1\2\3\4"))),
        &x509));
    struct wr_bytes names = x509.names;
    cr_assert(wr_x509_next_name(&names, &kind, &one));
    expect_eq(kind, WR_X509_NAME_DNS);
    expect_eq(one.size, 1);
    expect_eq(one.data[0], 'a');
    cr_assert(wr_x509_next_name(&names, &kind, &one));
    expect_eq(kind, WR_X509_NAME_OTHER);
    cr_assert(wr_x509_next_name(&names, &kind, &one));
    expect_eq(kind, WR_X509_NAME_IP);
    expect_eq(one.size, 4);
    cr_assert_not(wr_x509_next_name(&names, &kind, &one));
}

UNIT(x509_extension, is_for_the_hosts_of_its_names)
{
    expect_ok(parts_read_extended(
        part_extension(17, false,
                       SEQUENCE(BYTES("\x82\3a.b"), BYTES("\x81\3c.d"),
                                BYTES("\x87\4\1\2\3\4"))),
        &x509));
    cr_assert(wr_x509_is_for(&x509, "a.b"));
    cr_assert(wr_x509_is_for(&x509, "A.B"));
    cr_assert(wr_x509_is_for(&x509, "1.2.3.4"));
    cr_assert_not(wr_x509_is_for(&x509, "1.2.3.5"));
    cr_assert_not(wr_x509_is_for(&x509, "c.d"));
    cr_assert_not(wr_x509_is_for(&x509, "b"));
}

/* Hosts and addresses count as they are written; mail addresses do not. */
UNIT(x509_extension, two_share_a_name_or_an_address)
{
    static const struct {
        const char *a;
        const char *b;
        bool is_shared;
    } rows[] = {
        {"\x82\3a.b", "\x82\3c.d\x82\3A.B", true},
        {"\x82\3a.b\x82\3c.d", "\x82\3c.d", true},
        {"\x82\3a.b", "\x82\3a.c", false},
        {"\x82\3a.b", "\x82\5a.b.c", false},
        {"\x82\5a.b.c", "\x82\3a.b", false},
        {"\x87\4\1\2\3\4", "\x82\3a.b\x87\4\1\2\3\4", true},
        {"\x87\4\1\2\3\4", "\x87\4\1\2\3\5", false},
        {"\x87\4\1\2\3\5", "\x87\4\1\2\3\4", false},
        {"\x87\4abcd",
         "\x82\4"
         "abcd",
         false},
        {"\x87\4abcd",
         "\x87\4"
         "ABCD",
         false},
        {"\x81\3a@b", "\x81\3a@b", false},
        {"", "\x82\3a.b", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const uint8_t *const a = (const uint8_t *)rows[i].a;
        const uint8_t *const b = (const uint8_t *)rows[i].b;
        const struct wr_x509 first = {.der = {a, 1},
                                      .names = {a, strlen(rows[i].a)}};
        const struct wr_x509 second = {.der = {b, 1},
                                       .names = {b, strlen(rows[i].b)}};
        cr_assert_eq(wr_x509_shares_name(&first, &second), rows[i].is_shared,
                     "row %zu", i);
    }
}

UNIT(x509_extension, names_that_deceive_make_it_malformed)
{
    expect_eq(
        parts_read_extended(
            part_extension(17, false, SEQUENCE(BYTES("\x82\3a\0b"))), &x509),
        -EBADMSG);
    expect_eq(
        parts_read_extended(
            part_extension(17, false, SEQUENCE(BYTES("\x87\5\1\2\3\4\5"))),
            &x509),
        -EBADMSG);
    expect_eq(parts_read_extended(
                  part_extension(17, false, SEQUENCE(BYTES("\x82\3a"))), &x509),
              -EBADMSG);
}

UNIT(x509_extension, an_unknown_critical_extension_is_told)
{
    expect_eq(parts_read_extended(part_extension(40, true, BYTES("x")), &x509),
              0);
    cr_assert(x509.has_unknown);
    expect_eq(parts_read_extended(part_extension(40, false, BYTES("x")), &x509),
              0);
    cr_assert_not(x509.has_unknown);
    expect_ok(
        parts_read_extended(SEQUENCE(BYTES("\6\2\x2a\3\1\1\xff\4\0")), &x509));
    cr_assert(x509.has_unknown);
}

UNIT(x509_extension, constraints_of_names_with_bounds_are_told)
{
    expect_ok(parts_read_extended(
        part_extension(30, true,
                       SEQUENCE(part_wrap(0xa0, SEQUENCE(BYTES("\x82\1a"))))),
        &x509));
    cr_assert_not(x509.has_unknown);
    expect_ok(parts_read_extended(
        part_extension(
            30, true,
            SEQUENCE(part_wrap(0xa1, SEQUENCE(BYTES("\x82\1a\x80\1\1"))))),
        &x509));
    cr_assert(x509.has_unknown);
}

#define TREE(text) SEQUENCE(BYTES(text))
#define NAME       BYTES("\x82\1a")
#define ATTRIBUTE(type, value)                                                 \
    SEQUENCE(part_wrap(                                                        \
        0xa4, SEQUENCE(part_wrap(0x31, SEQUENCE(BYTES("\6\3" type), value)))))

struct form {
    uint8_t number;
    struct part value;
    int err;
};

static void expect_forms(const struct form *forms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_eq(
            parts_read_extended(
                part_extension(forms[i].number, false, forms[i].value), &x509),
            forms[i].err, "row %zu, of %u", i, forms[i].number);
    }
}

/* Each extension that RFC 5280 defines is parsed to its last byte, used or not:
 * a valid form, and invalid ones. */
UNIT(x509_extension, what_a_certificate_says_of_itself_has_one_form)
{
    const struct form forms[] = {
        {9, SEQUENCE(SEQUENCE(BYTES("\6\1\x2a\x31\2\5\0"))), 0},
        {9, SEQUENCE(SEQUENCE(BYTES("\6\1\x2a\x31\0"))), -EBADMSG},
        {14, BYTES("\4\1a"), 0},
        {14, BYTES("\3\1a"), -EBADMSG},
        {14, BYTES("\4\1a\0"), -EBADMSG},
        {15, BYTES("\3\2\7\x80\0"), -EBADMSG},
        {15, BYTES("\3\2\7\xc0"), -EBADMSG}, /* an unused bit is set */
        {15, BYTES("\3\2\10\x80"), -EBADMSG},
        {17, SEQUENCE(NAME), 0},
        {17, SEQUENCE(BYTES("\xa0\7\6\1\x2a\xa0\2\5\0")), 0},
        {17, SEQUENCE(BYTES("\x88\1\x2a")), 0},
        {17, JOIN(SEQUENCE(NAME), BYTES("\0")), -EBADMSG},
        {17, SEQUENCE(BYTES("")), -EBADMSG},
        {17, SEQUENCE(NAME, BYTES("\5\0")), -EBADMSG},
        {17, SEQUENCE(BYTES("\2\1a")), -EBADMSG},
        {17, SEQUENCE(BYTES("\x82\1\x80")), -EBADMSG}, /* not an IA5String */
        {17, SEQUENCE(BYTES("\x88\1\x80")), -EBADMSG},
        {17, SEQUENCE(BYTES("\xa0\5\6\1\x2a\5\0")), -EBADMSG},
        {17, SEQUENCE(BYTES("\xa4\2\5\0")), -EBADMSG},
        {17, ATTRIBUTE("\x55\4\3", BYTES("\x0c\1a")), 0},
        {17, ATTRIBUTE("\x55\4\3", SEQUENCE(BYTES("\x0c\1a"))), -EBADMSG},
        {17, ATTRIBUTE("\x55\4\x10", SEQUENCE(BYTES("\x0c\1a"))), 0},
        {18, SEQUENCE(NAME), 0},
        {18, SEQUENCE(BYTES("\x89\1a")), -EBADMSG},
        {19, BYTES("\x30\3\1\1\0"), 0}, /* common, though it is the default */
        {19, BYTES("\x30\3\1\1\1"), -EBADMSG},
        {19, BYTES("\x30\4\1\2\xff\xff"), -EBADMSG},
        {19, BYTES("\x30\3\2\1\0"),
         -EBADMSG}, /* a limit without an authority */
        {19, BYTES("\x30\0\0"), -EBADMSG},
    };
    expect_forms(forms, sizeof(forms) / sizeof(*forms));
}

UNIT(x509_extension, what_it_says_of_issuers_and_policies_has_one_form)
{
    const struct part policy = SEQUENCE(SEQUENCE(BYTES("\6\1\x2a")));
    const struct form forms[] = {
        {31, SEQUENCE(SEQUENCE(part_wrap(0xa0, part_wrap(0xa0, NAME)))), 0},
        {31, SEQUENCE(SEQUENCE(BYTES("\x81\2\1\2\xa2\3\x82\1a"))), 0},
        {31, SEQUENCE(SEQUENCE(BYTES("\x81\2\1\2"))), -EBADMSG},
        {31, SEQUENCE(SEQUENCE(part_wrap(0xa0, NAME))), -EBADMSG},
        {46, SEQUENCE(SEQUENCE(part_wrap(0xa0, part_wrap(0xa0, NAME)))), 0},
        {46, SEQUENCE(BYTES("")), -EBADMSG},
        {32, policy, 0},
        {32,
         SEQUENCE(SEQUENCE(BYTES("\6\1\x2a"),
                           SEQUENCE(SEQUENCE(BYTES("\6\1\x2b\x16\1a"))))),
         0},
        {32, SEQUENCE(BYTES("")), -EBADMSG},
        {32, JOIN(policy, BYTES("\0")), -EBADMSG},
        {32, SEQUENCE(SEQUENCE(BYTES("\6\1\x2a\5\0"))), -EBADMSG},
        {33, SEQUENCE(SEQUENCE(BYTES("\6\1\x2a\6\1\x2b"))), 0},
        {33, SEQUENCE(SEQUENCE(BYTES("\6\1\x2a"))), -EBADMSG},
        {35, BYTES("\x30\3\x80\1a"), 0},
        {35, SEQUENCE(BYTES("\xa1\3\x82\1a\x82\1\1")), 0},
        {35, SEQUENCE(BYTES("\xa1\3\x82\1a")), -EBADMSG},
        {35, SEQUENCE(BYTES("\x82\1\1")), -EBADMSG},
        {35, BYTES("\x30\3\x80\1a\0"), -EBADMSG},
        {36, BYTES("\x30\3\x80\1\0"), 0},
        {36, BYTES("\x30\0"), -EBADMSG},
        {36, BYTES("\x30\3\x80\1\x80"), -EBADMSG},
        {37, SEQUENCE(BYTES("")), -EBADMSG},
        {37, SEQUENCE(BYTES("\6\2\x80\1")), -EBADMSG},
        {37, SEQUENCE(BYTES("\6\1\x80")), -EBADMSG},
        {37, JOIN(SEQUENCE(BYTES("\6\1\x2a")), BYTES("\0")), -EBADMSG},
        {54, BYTES("\2\1\0"), 0},
        {54, BYTES("\2\1\xff"), -EBADMSG},
        {54, BYTES("\2\2\0\1"), -EBADMSG},
        {40, BYTES("any"), 0}, /* its form is unknown */
    };
    expect_forms(forms, sizeof(forms) / sizeof(*forms));
}

/* Makes an extension that is not below 2.5.29. */
static struct part other_extension(uint8_t last, struct part value)
{
    const uint8_t oid[] = {0x06, 8, 0x2b, 6, 1, 5, 5, 7, 1, last};
    return SEQUENCE(part_bytes(oid, sizeof(oid)), part_wrap(0x04, value));
}

UNIT(x509_extension, one_of_another_family_has_its_form_and_comes_once)
{
    const struct part access = SEQUENCE(SEQUENCE(BYTES("\6\1\x2a\x86\1a")));
    const struct {
        struct part list;
        int err;
    } rows[] = {
        {other_extension(1, access), 0},
        {other_extension(11, access), 0},
        {other_extension(1, JOIN(access, BYTES("\0"))), -EBADMSG},
        {other_extension(11, SEQUENCE(BYTES(""))), -EBADMSG},
        {JOIN(other_extension(1, access), other_extension(11, access),
              other_extension(3, BYTES("any"))),
         0},
        {JOIN(other_extension(1, access), other_extension(1, access)),
         -EBADMSG},
        {JOIN(other_extension(3, BYTES("a")), other_extension(1, access),
              other_extension(3, BYTES("b"))),
         -EBADMSG},
        {SEQUENCE(BYTES("\6\2\x2a\3\1\1\1\4\0")), -EBADMSG},
        {SEQUENCE(BYTES("\6\2\x2a\3\1\1\0\4\0")), 0},
        {SEQUENCE(BYTES("\6\2\x2a\x83\4\0")), -EBADMSG},
        {SEQUENCE(BYTES("\6\2\x2a\3\4\0\0")), -EBADMSG},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(parts_read_extended(rows[i].list, &x509), rows[i].err,
                  "row %zu", i);
    }
}

UNIT(x509_extension, constraints_of_names_that_are_malformed_make_it_so)
{
    const struct {
        struct part lists;
        int err;
    } rows[] = {
        {part_wrap(0xa0, TREE("\x82\1a")), 0},
        {JOIN(part_wrap(0xa0, TREE("\x82\1a")),
              part_wrap(0xa1, TREE("\x82\1b"))),
         0},
        {part_wrap(0xa0, TREE("\x87\10\1\2\3\0\377\377\377\0")), 0},
        {BYTES(""), -EBADMSG},
        {JOIN(part_wrap(0xa0, TREE("\x82\1a")),
              part_wrap(0xa0, TREE("\x82\1b"))),
         -EBADMSG},
        {JOIN(part_wrap(0xa1, TREE("\x82\1a")),
              part_wrap(0xa0, TREE("\x82\1b"))),
         -EBADMSG},
        {part_wrap(0xa2, TREE("\x82\1a")), -EBADMSG},
        {part_wrap(0xa0, BYTES("\x82\1a")), -EBADMSG}, /* not a tree */
        {part_wrap(0xa0, TREE("")), -EBADMSG},
        {part_wrap(0xa0, TREE("\x82\2a")), -EBADMSG},
        {part_wrap(0xa0, TREE("\2\1a")), -EBADMSG}, /* not a GeneralName */
        {part_wrap(0xa1, TREE("\2\1a")), -EBADMSG},
        {part_wrap(0xa0, TREE("\xa2\1a")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x89\1a")), -EBADMSG},
        {part_wrap(0xa0, TREE("\xa4\2\5\0")), -EBADMSG},
        {part_wrap(0xa0, BYTES("")), -EBADMSG},
        {part_wrap(0xa0, TREE("\x87\10\1\2\3\0\377\0\377\0")), -EBADMSG},
        {part_wrap(0xa0, TREE("\x87\4\1\2\3\4")),
         -EBADMSG}, /* without a mask */
        {part_wrap(0xa0, TREE("\x87\11\1\2\3\0\377\377\377\0\0")), -EBADMSG},
        {part_wrap(0xa0, JOIN(TREE("\x82\1a"), TREE(""))), -EBADMSG},
        /* Bases that contain no name. */
        {part_wrap(0xa1, TREE("\x82\0")), 0},
        {part_wrap(0xa1, TREE("\x82\4.a.b")), 0},
        {part_wrap(0xa1, TREE("\x82\5*.a.b")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x82\4a.b.")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x82\4a..b")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x82\1.")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x82\3a b")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x81\3u@a")), 0},
        {part_wrap(0xa1, TREE("\x81\2.a")), 0},
        {part_wrap(0xa1, TREE("\x81\2@a")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x81\2u@")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x81\4u@.a")), -EBADMSG},
        {part_wrap(0xa1, TREE("\x81\3*.a")), -EBADMSG},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(parts_read_extended(
                      part_extension(30, true, SEQUENCE(rows[i].lists)), &x509),
                  rows[i].err, "row %zu", i);
    }
    const struct part list = SEQUENCE(part_wrap(0xa0, TREE("\x82\1a")));
    expect_eq(
        parts_read_extended(part_extension(30, true, JOIN(list, list)), &x509),
        -EBADMSG);
}

UNIT(x509_extension, a_length_of_a_path_is_in_its_shortest_form)
{
    const struct part ca = BYTES("\1\1\377");
    expect_ok(parts_read_extended(
        part_extension(19, true, SEQUENCE(ca, BYTES("\2\1\0"))), &x509));
    expect_eq(x509.path_len, 0);
    expect_eq(
        parts_read_extended(
            part_extension(19, true, SEQUENCE(ca, BYTES("\2\2\0\0"))), &x509),
        -EBADMSG);
    expect_ok(parts_read_extended(
        part_extension(19, true, SEQUENCE(ca, BYTES("\2\2\0\x80"))), &x509));
}

UNIT(x509_extension, an_extension_that_comes_twice_makes_it_malformed)
{
    const struct part usage = part_extension(15, true, BYTES("\3\2\2\x84"));
    expect_eq(parts_read_extended(JOIN(usage, usage), &x509), -EBADMSG);
}

UNIT(x509_extension, what_follows_the_list_makes_it_malformed)
{
    const struct part rests[] = {BYTES("\5"), BYTES("\5\0"), BYTES("\0"),
                                 BYTES("\x82\0")};
    for (size_t i = 0; i < sizeof(rests) / sizeof(*rests); i++) {
        struct parts parts = parts_good();
        parts.extensions = part_extension(15, true, BYTES("\3\2\2\x84"));
        expect_ok(parts_read(&parts, &x509));
        parts.behind = rests[i];
        expect_eq(parts_read(&parts, &x509), -EBADMSG, "row %zu", i);
    }
}
