/*
 * The parser of revocation lists, on lists made here: which are refused, and
 * which serial numbers are on them.
 *
 * Signatures are not checked; tls_revocation.c tests with real ones whether a
 * list is trusted.
 */
#include "lib/x509/crl.h"

#include "tests/unit.h"

#define BYTES(text) ((struct part){sizeof(text) - 1, (text)})

struct part {
    size_t size;
    const char *data;
};

static char pool[1 << 16];
static size_t pool_used;

/* Makes an element of the parts up to an empty one. */
static struct part wrap(uint8_t tag, const struct part *parts)
{
    char *start = pool + pool_used;
    size_t size = 0;
    for (const struct part *part = parts; part->data; part++) {
        size += part->size;
    }
    cr_assert(size < 0x8000 && pool_used + size + 4 < sizeof(pool));
    start[0] = (char)tag;
    start[1] = (char)0x82;
    start[2] = (char)(size >> 8);
    start[3] = (char)size;
    size_t at = 2;
    if (size < 0x80) {
        start[1] = (char)size;
    } else if (size < 0x100) {
        start[1] = (char)0x81;
        start[2] = (char)size;
        at = 3;
    } else {
        at = 4;
    }
    for (const struct part *part = parts; part->data; part++) {
        memcpy(start + at, part->data, part->size);
        at += part->size;
    }
    pool_used += at;
    return (struct part){at, start};
}

#define WRAP(tag, ...)                                                         \
    wrap((tag), (const struct part[]){__VA_ARGS__, {0, NULL}})
#define SEQUENCE(...) WRAP(0x30, __VA_ARGS__)

#define ALGORITHM BYTES("\x30\x0a\6\10\x2a\x86\x48\xce\x3d\4\3\2")
#define NAME      BYTES("\x30\x0c\x31\x0a\x30\x08\6\3\x55\4\3\x0c\1a")
#define SOME_DATE                                                              \
    BYTES("\x17\x0d"                                                           \
          "200101000000Z")
#define LATER                                                                  \
    BYTES("\x17\x0d"                                                           \
          "300101000000Z")
#define VERSION   BYTES("\2\1\1")
#define SIGNATURE BYTES("\3\2\0\1")
#define NOTHING   BYTES("")

/* Makes an extension below 2.5.29. */
static struct part extension(uint8_t number, bool is_critical)
{
    const char oid[] = {6, 3, 0x55, 0x1d, (char)number};
    return SEQUENCE((struct part){sizeof(oid), oid},
                    is_critical ? BYTES("\1\1\xff") : NOTHING,
                    BYTES("\4\2\5\0"));
}

static struct part list_of(struct part entries, struct part extensions)
{
    return SEQUENCE(SEQUENCE(VERSION, ALGORITHM, NAME, SOME_DATE, LATER,
                             entries, extensions),
                    ALGORITHM, SIGNATURE);
}

static const char *read_list(struct part list, struct wr_x509_crl *ret)
{
    const struct wr_bytes der = {(const uint8_t *)list.data, list.size};
    return wr_x509_crl_read(ret, der);
}

static void expect_good(struct part list)
{
    struct wr_x509_crl crl;
    const char *wrong = read_list(list, &crl);
    cr_assert_null(wrong, "%s", wrong);
}

/* Returns a list with its numbers in order; the caller frees it. */
static struct wr_x509_crl sorted_list(struct part entries)
{
    struct wr_x509_crl crl;
    cr_assert_null(read_list(list_of(entries, NOTHING), &crl));
    expect_eq(wr_x509_crl_sort(&crl), 0);
    return crl;
}

static void expect_wrong(struct part list, const char *text)
{
    struct wr_x509_crl crl;
    const char *wrong = read_list(list, &crl);
    cr_assert(wrong && strstr(wrong, text), "%s", wrong ? wrong : "good");
}

static bool is_on(const struct wr_x509_crl *crl, struct part serial)
{
    const struct wr_bytes der = {(const uint8_t *)serial.data, serial.size};
    return wr_x509_crl_has(crl, der);
}

UNIT(x509_crl, numbers_are_found_whatever_zeros_are_in_front)
{
    const struct part entries =
        SEQUENCE(SEQUENCE(BYTES("\2\2\x01\x02"), SOME_DATE),
                 SEQUENCE(BYTES("\2\2\0\xfb"), SOME_DATE,
                          SEQUENCE(extension(21, false))),
                 SEQUENCE(BYTES("\2\1\0"), SOME_DATE));
    struct wr_x509_crl crl = sorted_list(entries);
    expect_eq(crl.this_update, 1577836800);
    expect_eq(crl.next_update, 1893456000);
    cr_assert(is_on(&crl, BYTES("\1\2")));
    cr_assert(is_on(&crl, BYTES("\0\1\2")));
    cr_assert(
        is_on(&crl, BYTES("\xfb"))); /* -5 and 251 count as the same number */
    cr_assert(is_on(&crl, BYTES("\0\xfb")));
    cr_assert(is_on(&crl, BYTES("\0")));
    cr_assert_not(is_on(&crl, BYTES("\1")));
    cr_assert_not(is_on(&crl, BYTES("\2\1")));
    wr_x509_crl_fini(&crl);
}

UNIT(x509_crl, every_number_of_a_long_list_is_found_and_no_other)
{
    enum { COUNT = 500, STEP = 77 };
    struct part entries[COUNT + 1] = {{0, NULL}};
    for (uint32_t i = 0; i < COUNT; i++) {
        const uint32_t number = 1 + 2 * (i * STEP % COUNT); /* in no order */
        const char serial[] = {2, 2, (char)(number >> 8), (char)number};
        entries[i] = SEQUENCE((struct part){sizeof(serial), serial}, SOME_DATE);
    }
    struct wr_x509_crl crl = sorted_list(wrap(0x30, entries));

    for (uint32_t number = 0; number < 2 * COUNT + 2; number++) {
        const char serial[] = {(char)(number >> 8), (char)number};
        expect_eq(is_on(&crl, (struct part){sizeof(serial), serial}),
                  number % 2 == 1 && number < 2 * COUNT);
    }
    wr_x509_crl_fini(&crl);
}

UNIT(x509_crl, a_list_without_entries_has_no_number)
{
    struct wr_x509_crl crl = sorted_list(NOTHING);
    cr_assert_not(is_on(&crl, BYTES("\1")));
    wr_x509_crl_fini(&crl);
}

UNIT(x509_crl, an_entry_with_a_critical_extension_makes_a_list_unusable)
{
    const bool criticals[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        const struct part unknown = SEQUENCE(SEQUENCE(
            BYTES("\2\1\5"), SOME_DATE,
            SEQUENCE(extension(21, true), extension(60, criticals[i]))));
        const struct part other = SEQUENCE(SEQUENCE(
            BYTES("\2\1\5"), SOME_DATE, SEQUENCE(extension(29, criticals[i]))));
        if (criticals[i]) {
            expect_wrong(list_of(unknown, NOTHING), "critical");
        } else {
            expect_good(list_of(unknown, NOTHING));
        }
        expect_wrong(list_of(other, NOTHING), "other issuers'");
    }
}

UNIT(x509_crl, an_entry_with_more_than_extensions_makes_a_list_malformed)
{
    const struct part extensions = SEQUENCE(extension(21, false));
    const struct part rests[] = {
        BYTES("\5"), BYTES("\5\0"), BYTES("\x30"),
        (struct part){extensions.size - 1, extensions.data}};
    for (size_t i = 0; i < sizeof(rests) / sizeof(*rests); i++) {
        expect_wrong(
            list_of(SEQUENCE(SEQUENCE(BYTES("\2\1\5"), SOME_DATE, rests[i])),
                    NOTHING),
            "malformed");
        expect_wrong(list_of(SEQUENCE(SEQUENCE(BYTES("\2\1\5"), SOME_DATE,
                                               extensions, rests[i])),
                             NOTHING),
                     "malformed");
    }
    expect_wrong(list_of(SEQUENCE(SEQUENCE(BYTES("\2\0"), SOME_DATE)), NOTHING),
                 "malformed");
}

UNIT(x509_crl, what_is_not_whole_or_not_known_is_refused)
{
    const struct {
        uint8_t number;
        bool is_critical;
        const char *wrong;
    } rows[] = {
        {20, true, NULL},       {35, true, NULL},       {46, false, NULL},
        {46, true, "critical"}, {60, true, "critical"}, {27, true, "a part"},
        {27, false, "a part"},  {28, true, "a part"},   {28, false, "a part"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct part extensions = WRAP(
            0xa0, SEQUENCE(extension(rows[i].number, rows[i].is_critical)));
        const struct part list = list_of(NOTHING, extensions);
        if (rows[i].wrong) {
            expect_wrong(list, rows[i].wrong);
        } else {
            expect_good(list);
        }
    }
    expect_wrong(list_of(NOTHING, WRAP(0xa0, SEQUENCE(extension(20, false),
                                                      extension(20, false)))),
                 "malformed");
}

UNIT(x509_crl, a_list_of_version_1_has_entries_and_dates)
{
    const struct part entries = SEQUENCE(SEQUENCE(BYTES("\2\1\5"), SOME_DATE));
    expect_good(SEQUENCE(SEQUENCE(ALGORITHM, NAME, SOME_DATE, LATER, entries),
                         ALGORITHM, SIGNATURE));
    expect_wrong(SEQUENCE(SEQUENCE(ALGORITHM, NAME, SOME_DATE, entries),
                          ALGORITHM, SIGNATURE),
                 "nextUpdate");
    expect_wrong(SEQUENCE(SEQUENCE(BYTES("\2\1\2"), ALGORITHM, NAME, SOME_DATE,
                                   LATER, entries),
                          ALGORITHM, SIGNATURE),
                 "version");
    expect_wrong(SEQUENCE(SEQUENCE(ALGORITHM, NAME, SOME_DATE, LATER, entries),
                          BYTES("\x30\x05\6\3\x2b\x65\x70"), SIGNATURE),
                 "malformed");
}

UNIT(x509_crl, a_list_that_is_cut_anywhere_is_malformed)
{
    struct wr_x509_crl crl;
    const struct part list =
        list_of(SEQUENCE(SEQUENCE(BYTES("\2\1\5"), SOME_DATE,
                                  SEQUENCE(extension(21, false)))),
                WRAP(0xa0, SEQUENCE(extension(20, false))));
    expect_good(list);
    for (size_t size = 0; size < list.size; size++) {
        cr_assert_not_null(read_list((struct part){size, list.data}, &crl));
    }
}
