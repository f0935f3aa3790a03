/*
 * Name constraints: each row has a tree of names and a name, and whether the
 * name is in it, both for permitted and for excluded trees.
 *
 * A name of another kind is unconstrained; a name that cannot be compared is
 * refused.
 */
#include "lib/x509/path.h"
#include "tests/unit.h"

#include <locale.h>

#define DNS       0x82
#define IP        0x87
#define EMAIL     0x81
#define DIRECTORY 0xa4
#define URI       0x86

#define TEXT(text) text, sizeof(text) - 1

struct row {
    uint8_t base_tag;
    const char *base;
    size_t base_size;
    uint8_t name_tag;
    const char *name;
    size_t name_size;
    enum wr_x509_constraint if_permitted;
    enum wr_x509_constraint if_excluded;
};

#define WITHIN  WR_X509_CONSTRAINT_KEPT, WR_X509_CONSTRAINT_BROKEN
#define OUTSIDE WR_X509_CONSTRAINT_BROKEN, WR_X509_CONSTRAINT_KEPT
#define REFUSED WR_X509_CONSTRAINT_BROKEN, WR_X509_CONSTRAINT_BROKEN
#define FREE    WR_X509_CONSTRAINT_KEPT, WR_X509_CONSTRAINT_KEPT
#define UNKNOWN WR_X509_CONSTRAINT_UNKNOWN, WR_X509_CONSTRAINT_UNKNOWN

/* A name of one attribute, O, with this string type. */
#define ORGANIZATION(kind, text)                                               \
    "\x30\x0d\x31\x0b\x30\x09\6\3\x55\4\x0a" kind "\2" text
/* The same with three bytes. */
#define LONGER(text) "\x30\x0e\x31\x0c\x30\x0a\6\3\x55\4\x0a\x0c\3" text
#define COMMON                                                                 \
    "\x30\x0d\x31\x0b\x30\x09\6\3\x55\4\3"                                     \
    "\x0c\2"                                                                   \
    "cd"
/* O and OU in a set, and CN in the next one. */
#define SET_OF_TWO                                                             \
    "\x30\x25\x31\x16\x30\x09\6\3\x55\4\x0a\x0c\2Ab\x30\x09\6\3\x55\4"         \
    "\x0b\x0c\2ef\x31\x0b\x30\x09\6\3\x55\4\3\x0c\2"                           \
    "cd"
#define TWO_SETS                                                               \
    "\x30\x1a\x31\x0b\x30\x09\6\3\x55\4\x0a\x0c\2Ab\x31\x0b\x30\x09\6\3\x55\4" \
    "\3\x0c\2cd"

static const struct row rows[] = {
    {DNS, TEXT("a.org"), DNS, TEXT("a.org"), WITHIN},
    {DNS, TEXT("a.org"), DNS, TEXT("WWW.A.ORG"), WITHIN},
    {DNS, TEXT("a.org"), DNS, TEXT("xa.org"), OUTSIDE},
    {DNS, TEXT("a.org"), DNS, TEXT("org"), OUTSIDE},
    {DNS, TEXT(".a.org"), DNS, TEXT("www.a.org"), WITHIN},
    {DNS, TEXT(".a.org"), DNS, TEXT("a.org"), OUTSIDE},
    {DNS, TEXT(".a.org"), DNS, TEXT(".a.org"), OUTSIDE},
    {DNS, TEXT(""), DNS, TEXT("a.org"), WITHIN},
    {DNS, TEXT("a.org"), DNS, TEXT(""), OUTSIDE},
    {DNS, TEXT("a.org"), DNS, TEXT("*.a.org"), WITHIN},
    {DNS, TEXT("a.org"), DNS, TEXT("*.org"), REFUSED},
    {DNS, TEXT("b.a.org"), DNS, TEXT("*.org"), OUTSIDE},
    {DNS, TEXT("b.a.org"), DNS, TEXT("*.A.org"), REFUSED},
    {DNS, TEXT(".b.a.org"), DNS, TEXT("*.a.org"), OUTSIDE},
    {DNS, TEXT("a.org"), DNS, TEXT("*"), OUTSIDE},
    {DNS, TEXT("a.org"), IP, TEXT("\1\2\3\4"), FREE},
    {DNS, TEXT("a.org"), EMAIL, TEXT("x@b.org"), FREE},

    {IP, TEXT("\x0a\0\0\0\xff\0\0\0"), IP, TEXT("\x0a\1\2\3"), WITHIN},
    {IP, TEXT("\x0a\0\0\0\xff\0\0\0"), IP, TEXT("\x0b\1\2\3"), OUTSIDE},
    {IP, TEXT("\0\0\0\0\0\0\0\0"), IP, TEXT("\x0b\1\2\3"), WITHIN},
    {IP, TEXT("\0\0\0\0\0\0\0\0"), IP, TEXT("0123456789abcdef"), OUTSIDE},
    {IP,
     TEXT("0123456789abcdef\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0"),
     IP, TEXT("01234567xxxxxxxx"), WITHIN},
    {IP, TEXT("\0\0\0\0\0\0\0\0"), DNS, TEXT("a.org"), FREE},

    {EMAIL, TEXT("a.org"), EMAIL, TEXT("x@A.org"), WITHIN},
    {EMAIL, TEXT("a.org"), EMAIL, TEXT("x@b.a.org"), OUTSIDE},
    {EMAIL, TEXT(".a.org"), EMAIL, TEXT("x@b.a.org"), WITHIN},
    {EMAIL, TEXT(".a.org"), EMAIL, TEXT("x@a.org"), OUTSIDE},
    {EMAIL, TEXT("x@a.org"), EMAIL, TEXT("x@A.org"), WITHIN},
    {EMAIL, TEXT("x@a.org"), EMAIL, TEXT("X@a.org"), OUTSIDE},
    {EMAIL, TEXT("x@a.org"), EMAIL, TEXT("x@b.a.org"), OUTSIDE},
    {EMAIL, TEXT("a.org"), EMAIL, TEXT("x@b@a.org"), WITHIN},
    {EMAIL, TEXT("a.org"), EMAIL, TEXT("a.org"), REFUSED},
    {EMAIL, TEXT(""), EMAIL, TEXT("x@a.org"), WITHIN},

    {DIRECTORY, TEXT(ORGANIZATION("\x0c", "Ab")), DIRECTORY,
     TEXT(ORGANIZATION("\x0c", "Ab")), WITHIN},
    {DIRECTORY, TEXT(ORGANIZATION("\x0c", "Ab")), DIRECTORY,
     TEXT(ORGANIZATION("\x13", "aB")), WITHIN},
    {DIRECTORY, TEXT(ORGANIZATION("\x0c", "Ab")), DIRECTORY, TEXT(TWO_SETS),
     WITHIN},
    {DIRECTORY, TEXT(TWO_SETS), DIRECTORY, TEXT(ORGANIZATION("\x0c", "Ab")),
     OUTSIDE},
    {DIRECTORY, TEXT(ORGANIZATION("\x0c", "Ab")), DIRECTORY,
     TEXT(ORGANIZATION("\x0c", "Ac")), OUTSIDE},
    {DIRECTORY, TEXT(COMMON), DIRECTORY, TEXT(TWO_SETS), OUTSIDE},
    {DIRECTORY, TEXT(TWO_SETS), DIRECTORY, TEXT(SET_OF_TWO), WITHIN},
    {DIRECTORY, TEXT(SET_OF_TWO), DIRECTORY, TEXT(TWO_SETS), OUTSIDE},
    {DIRECTORY, TEXT(COMMON), DIRECTORY, TEXT(SET_OF_TWO), OUTSIDE},
    {DIRECTORY, TEXT(ORGANIZATION("\x0c", " a")), DIRECTORY,
     TEXT(ORGANIZATION("\x0c", "A ")), WITHIN},
    {DIRECTORY, TEXT(LONGER("a b")), DIRECTORY, TEXT(LONGER("A B")), WITHIN},
    {DIRECTORY, TEXT(LONGER("a b")), DIRECTORY,
     TEXT(ORGANIZATION("\x0c", "ab")), OUTSIDE},
    {DIRECTORY, TEXT(LONGER("ab ")), DIRECTORY,
     TEXT(ORGANIZATION("\x0c", "ab")), WITHIN},
    {DIRECTORY, TEXT(ORGANIZATION("\x0c", "\xc3\xa4")), DIRECTORY,
     TEXT(ORGANIZATION("\x0c", "\xc3\x84")), REFUSED},
    {DIRECTORY, TEXT(ORGANIZATION("\x0c", "Ab")), DIRECTORY,
     TEXT(ORGANIZATION("\x1e", "\0A")), REFUSED},
    {DIRECTORY, TEXT("\x30\0"), DIRECTORY, TEXT(TWO_SETS), WITHIN},
    {DIRECTORY, TEXT(TWO_SETS), DIRECTORY, TEXT("garbage"), REFUSED},
    {DIRECTORY, TEXT("garbage"), DIRECTORY, TEXT(TWO_SETS), REFUSED},

    {URI, TEXT("a.org"), URI, TEXT("http://a.org/"), UNKNOWN},
    {URI, TEXT("a.org"), DNS, TEXT("a.org"), FREE},
    {0x88, TEXT("\1"), 0x88, TEXT("\1"), UNKNOWN},
};

/* Writes one element. */
static struct wr_bytes wrap(uint8_t *place, uint8_t tag, const void *inside,
                            size_t size)
{
    cr_assert(size < 0x80);
    place[0] = tag;
    place[1] = (uint8_t)size;
    memcpy(place + 2, inside, size);
    return (struct wr_bytes){place, size + 2};
}

static enum wr_x509_constraint check(const struct row *row, uint8_t list_tag)
{
    uint8_t places[4][160];
    static uint8_t empty[] = {0x30, 0};
    const struct wr_bytes base =
        wrap(places[0], row->base_tag, row->base, row->base_size);
    const struct wr_bytes tree = wrap(places[1], 0x30, base.data, base.size);
    const struct wr_x509 authority = {
        .constraints = wrap(places[2], list_tag, tree.data, tree.size)};
    const struct wr_x509 x509 = {
        .subject = {empty, sizeof(empty)},
        .names = wrap(places[3], row->name_tag, row->name, row->name_size)};
    size_t budget = SIZE_MAX;
    return wr_x509_constraint_check(&authority, &x509, &budget);
}

UNIT(x509_constraint, holds_for_names_of_its_kind)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(check(&rows[i], 0xa0), rows[i].if_permitted,
                  "permitted, row %zu: %s", i, rows[i].name);
        expect_eq(check(&rows[i], 0xa1), rows[i].if_excluded,
                  "excluded, row %zu: %s", i, rows[i].name);
    }
}

UNIT(x509_constraint, holds_for_the_subject_and_its_mail_address)
{
    static uint8_t trees[] = "\xa1\x09\x30\x07\x81\5a.org";
    static uint8_t subject[] =
        "\x30\x18\x31\x16\x30\x14\6\x09\x2a\x86\x48\x86\xf7\x0d\1\x09\1\x16\7"
        "x@a.org";
    const struct wr_x509 authority = {
        .constraints = {trees, sizeof(trees) - 1}};
    const struct wr_x509 x509 = {.subject = {subject, sizeof(subject) - 1}};
    size_t budget = SIZE_MAX;
    expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
              WR_X509_CONSTRAINT_BROKEN);
    subject[sizeof(subject) - 2] = 'x';
    expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
              WR_X509_CONSTRAINT_KEPT);
}

/* Each tree that a name is compared with costs, of any kind; long names cost
 * more. */
UNIT(x509_constraint, a_comparison_takes_from_the_budget)
{
    static uint8_t empty[] = {0x30, 0};
    static const uint8_t trees[] = "\xa1\x12\x30\x07\x82\5a.org"
                                   "\x30\x07\x81\5b.org";
    static uint8_t names[2 + 123] = {DNS, 123};
    const struct wr_x509 authority = {
        .constraints = {trees, sizeof(trees) - 1}};
    struct wr_x509 x509 = {.subject = {empty, sizeof(empty)},
                           .names = {(const uint8_t *)"\x82\1x\x82\1y", 6}};
    memset(names + 2, 'x', 123);
    for (size_t i = 0; i < 2; i++) {
        const size_t cost = i == 0 ? 4 : 2 + (123 + 5) / 64;
        size_t budget = cost;
        expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
                  WR_X509_CONSTRAINT_KEPT);
        expect_eq(budget, 0);
        budget = cost - 1;
        expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
                  WR_X509_CONSTRAINT_MANY);
        x509.names = (struct wr_bytes){names, sizeof(names)};
    }
}

/* Writes a name of one set with @count attributes, none of which is in a set
 * with another @letter. */
static struct wr_bytes set_write(uint8_t *to, size_t count, char letter)
{
    const size_t one = 13;
    const size_t size = count * one;
    const uint8_t head[] = {
        0x30, 0x82, (uint8_t)((size + 4) >> 8), (uint8_t)(size + 4),
        0x31, 0x82, (uint8_t)(size >> 8),       (uint8_t)size};
    memcpy(to, head, sizeof(head));
    for (size_t i = 0; i < count; i++) {
        const uint8_t pair[] = {0x30, 11, 6, 3, 0x55, 4, 0x0a, 0x0c, 4};
        uint8_t *at = to + sizeof(head) + i * one;
        memcpy(at, pair, sizeof(pair));
        memset(at + sizeof(pair), letter, 4);
    }
    return (struct wr_bytes){to, sizeof(head) + size};
}

/* Each attribute of a set is compared with each of the other set: 100,000
 * comparisons if both have 320, which fit into 4 KiB. */
UNIT(x509_constraint, attributes_of_a_set_take_from_the_budget)
{
    enum { COUNT = 320, SIZE = 8 + COUNT * 13 };
    static uint8_t subject[SIZE];
    static uint8_t trees[12 + SIZE];
    struct wr_bytes base = set_write(trees + 12, COUNT, 'a');
    const size_t sizes[] = {base.size, base.size + 4, base.size + 8};
    const uint8_t tags[] = {DIRECTORY, 0x30, 0xa1};
    for (size_t i = 0; i < 3; i++) {
        uint8_t *head = trees + 8 - 4 * i;
        head[0] = tags[i];
        head[1] = 0x82;
        head[2] = (uint8_t)(sizes[i] >> 8);
        head[3] = (uint8_t)sizes[i];
    }
    const struct wr_x509 authority = {.constraints = {trees, sizeof(trees)}};
    const struct wr_x509 x509 = {.subject = set_write(subject, COUNT, 'b')};
    /* The first attribute of the set already shows that the name is outside. */
    const size_t cost = 1 + 2 * base.size / 64 + COUNT;
    size_t budget = cost;
    expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
              WR_X509_CONSTRAINT_KEPT);
    expect_eq(budget, 0);
    for (size_t less = 1; less < COUNT; less += 7) {
        budget = cost - less;
        expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
                  WR_X509_CONSTRAINT_MANY);
        expect_eq(budget, 0);
    }

    /* The last attribute of the name is in each of them: all are compared. */
    memset(subject + SIZE - 4, 'a', 4);
    budget = SIZE_MAX;
    expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
              WR_X509_CONSTRAINT_BROKEN);
    expect_eq(SIZE_MAX - budget, 1 + 2 * base.size / 64 + COUNT * COUNT);
    budget = COUNT * COUNT;
    expect_eq(wr_x509_constraint_check(&authority, &x509, &budget),
              WR_X509_CONSTRAINT_MANY);
}

/* Creates the Turkish locale in a folder, for this process. */
static bool speak_turkish(void)
{
    char dir[] = "/tmp/weir-locale-XXXXXX";
    char command[128];

    cr_assert_not_null(mkdtemp(dir));
    setenv("LOCPATH", dir, 1);
    snprintf(command, sizeof(command),
             "localedef -i tr_TR -f UTF-8 %s/tr_TR.UTF-8", dir);
    const bool is_made =
        system(command) == 0 && setlocale(LC_ALL, "tr_TR.UTF-8");
    snprintf(command, sizeof(command), "rm -r %s", dir);
    expect_eq(system(command), 0);
    return is_made;
}

/* In Turkish the lower case of I is not i, but host names are the same
 * everywhere. */
UNIT(x509_constraint, holds_in_every_language)
{
    static const struct row row = {DNS, TEXT("internal.org"), DNS,
                                   TEXT("INTERNAL.ORG"), WITHIN};
    static const struct row mail = {EMAIL, TEXT("internal.org"), EMAIL,
                                    TEXT("x@INTERNAL.ORG"), WITHIN};
    if (!speak_turkish()) {
        cr_skip_test("no Turkish locale; runs with the package locales");
    }
    expect_eq(check(&row, 0xa1), WR_X509_CONSTRAINT_BROKEN);
    expect_eq(check(&mail, 0xa1), WR_X509_CONSTRAINT_BROKEN);
}
