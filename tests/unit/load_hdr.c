/*
 * Histograms as texts: what is written is read again to the last count, and a
 * text that is no such histogram, whole or cut, is refused.
 *
 * What other libraries make of these texts is tested end to end.
 */
#define UNIT_RUN with_text
#include "tools/weir-load/hdr.c"

#include "tests/unit/random.h"

static struct histogram h;
static struct histogram other;
static char *text;

static void fill(uint64_t count)
{
    struct unit_random random;

    unit_random_seed(&random);
    histogram_clear(&h);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t bits = unit_random_next(&random) % 44;
        histogram_record(&h, unit_random_next(&random) &
                                 ((UINT64_C(2) << bits) - 1));
    }
}

static void with_text(void (*body)(void))
{
    fill(20000);
    text = hdr_encode(&h);
    cr_assert_not_null(text);
    body();
    free(text);
}

UNIT(load_hdr, every_count_is_read_again)
{
    expect_eq(hdr_decode(text, &other), 0);

    expect_eq(other.count, h.count);
    expect_eq(memcmp(other.counts, h.counts, sizeof(h.counts)), 0);
    expect_eq(histogram_index(other.min), histogram_index(h.min));
    expect_eq(histogram_index(other.max), histogram_index(h.max));
}

UNIT(load_hdr, the_sum_is_near_the_exact_one)
{
    expect_eq(hdr_decode(text, &other), 0);

    /* Values beyond the range are kept by their bucket alone. */
    if (h.overflows == 0) {
        cr_assert_float_eq(histogram_mean(&other), histogram_mean(&h),
                           histogram_mean(&h) / 1000);
    }
    histogram_clear(&h);
    histogram_record(&h, 5000);
    free(text);
    text = hdr_encode(&h);
    expect_eq(hdr_decode(text, &other), 0);
    cr_assert_float_eq(histogram_mean(&other), 5000, 2);
}

UNIT(load_hdr, an_empty_one_is_a_text_too)
{
    histogram_clear(&h);
    free(text);
    text = hdr_encode(&h);

    expect_eq(hdr_decode(text, &other), 0);
    expect_eq(memcmp(&other, &h, sizeof(h)), 0);
}

UNIT(load_hdr, a_text_that_was_cut_is_refused)
{
    size_t len = strlen(text);

    for (size_t cut = 0; cut < len; cut += 1 + len / 300) {
        char saved = text[cut];
        text[cut] = '\0';
        expect_eq(hdr_decode(text, &other), -EINVAL, "cut at %zu", cut);
        text[cut] = saved;
    }
}

UNIT(load_hdr, what_is_no_histogram_is_refused)
{
    static const char *const bad[] = {
        "",     "HIST", "====",     "!!!!",
        "AAA=", "A===", "HISTF===", "HISTFAAAAAAAAAAA",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(hdr_decode(bad[i], &other), -EINVAL, "'%s'", bad[i]);
    }
}

/* The text of plain bytes, as hdr_encode() would pack them. */
static void pack(const uint8_t *plain, size_t size)
{
    uint8_t packed[256];
    uLongf packed_size = sizeof(packed) - COMPRESSED_HEADER_SIZE;

    expect_eq(compress(packed + COMPRESSED_HEADER_SIZE, &packed_size, plain,
                       (uLong)size),
              Z_OK);
    put_u32(put_u32(packed, COOKIE_COMPRESSED), (uint32_t)packed_size);
    free(text);
    text = encode_base64(packed, COMPRESSED_HEADER_SIZE + packed_size);
    cr_assert_not_null(text);
}

/* A plain histogram with one number behind its header; its size. */
static size_t make_plain(uint8_t *plain, uint32_t digits, int64_t number)
{
    uint8_t *end = put_number(plain + PLAIN_HEADER_SIZE, number);
    size_t size = (size_t)(end - plain);

    uint8_t *at = put_u32(plain, COOKIE_PLAIN);
    at = put_u32(at, (uint32_t)(size - PLAIN_HEADER_SIZE));
    at = put_u32(at, 0);
    at = put_u32(at, digits);
    put_u64(put_u64(put_u64(at, LOWEST), HIGHEST), RATIO_OF_ONE);
    return size;
}

UNIT(load_hdr, other_digits_and_wild_numbers_are_refused)
{
    uint8_t plain[64];

    pack(plain, make_plain(plain, 3, 7));
    expect_eq(hdr_decode(text, &other), 0);
    expect_eq(other.counts[0], 7);
    pack(plain, make_plain(plain, 2, 7));
    expect_eq(hdr_decode(text, &other), -ENOTSUP);
    pack(plain, make_plain(plain, 3, COUNT_MAX));
    expect_eq(hdr_decode(text, &other), 0);
    pack(plain, make_plain(plain, 3, COUNT_MAX + 1));
    expect_eq(hdr_decode(text, &other), -EINVAL);
    pack(plain, make_plain(plain, 3, INT64_MAX));
    expect_eq(hdr_decode(text, &other), -EINVAL);
    pack(plain, make_plain(plain, 3, INT64_MIN));
    expect_eq(hdr_decode(text, &other), -EINVAL);
    pack(plain, make_plain(plain, 3, -(int64_t)HISTOGRAM_SIZE));
    expect_eq(hdr_decode(text, &other), 0);
    pack(plain, make_plain(plain, 3, -(int64_t)HISTOGRAM_SIZE - 1));
    expect_eq(hdr_decode(text, &other), -EINVAL);
    pack(plain, make_plain(plain, 3, 7) - 1);
    expect_eq(hdr_decode(text, &other), -EINVAL);
}

UNIT(load_hdr, a_lowest_value_that_is_not_1_is_refused)
{
    static const uint64_t lowest[] = {0, 2, UINT64_C(1) << 32 | 1};
    uint8_t plain[64];

    for (size_t i = 0; i < sizeof(lowest) / sizeof(lowest[0]); i++) {
        const size_t size = make_plain(plain, 3, 7);
        put_u64(plain + 16, lowest[i]);
        pack(plain, size);
        expect_eq(hdr_decode(text, &other), -ENOTSUP, "row %zu", i);
    }
}

UNIT(load_hdr, another_cookie_is_refused)
{
    uint8_t packed[COMPRESSED_HEADER_SIZE];

    memcpy(text, "AAAA", 4);
    expect_eq(hdr_decode(text, &other), -EINVAL, "of the compressed form");
    put_u32(put_u32(packed, COOKIE_COMPRESSED), 0);
    free(text);
    text = encode_base64(packed, sizeof(packed));
    expect_eq(hdr_decode(text, &other), -EINVAL, "and nothing behind it");
}

UNIT(load_hdr, letters_behind_the_last_four_are_refused)
{
    size_t len = 0;

    /* One that needs no letters to fill it up. */
    for (uint64_t value = 1; len == 0 || text[len - 1] == '='; value++) {
        histogram_clear(&h);
        for (uint64_t i = 0; i < value; i++) {
            histogram_record(&h, i * i);
        }
        free(text);
        text = hdr_encode(&h);
        len = strlen(text);
    }
    for (size_t more = 1; more < 4; more++) {
        char *longer = malloc(len + more + 1);
        snprintf(longer, len + more + 1, "%sAAA", text);
        expect_eq(hdr_decode(longer, &other), -EINVAL, "%zu more", more);
        free(longer);
    }
    expect_eq(hdr_decode(text, &other), 0);
}

/* ---- coarse texts ---- */

UNIT(load_hdr, a_coarse_text_keeps_each_value_to_3_percent_and_not_smaller)
{
    static const uint64_t values[] = {0,    1,     31,      32,       999,
                                      1024, 50000, 1234567, 987654321};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        histogram_clear(&h);
        histogram_record(&h, values[i]);
        char *coarse = hdr_encode_coarse(&h);
        expect_eq(hdr_decode(coarse, &other), 0);
        free(coarse);

        expect_eq(other.count, 1);
        expect_geq(other.max, values[i]);
        expect_leq(other.max - values[i],
                   values[i] < 1024 ? 31 : values[i] / 32);
    }
}

UNIT(load_hdr, coarse_texts_are_merged_without_loss)
{
    static struct histogram both;
    static struct histogram sum;

    char *one = hdr_encode_coarse(&h);
    histogram_clear(&both);
    histogram_merge(&both, &h);
    expect_eq(hdr_decode(one, &sum), 0);
    fill(3000);
    char *second = hdr_encode_coarse(&h);
    histogram_merge(&both, &h);
    expect_eq(hdr_decode(second, &other), 0);
    histogram_merge(&sum, &other);

    char *whole = hdr_encode_coarse(&both);
    char *merged = hdr_encode(&sum);
    expect_str_eq(merged, whole);
    free(one);
    free(second);
    free(whole);
    free(merged);
}

UNIT(load_hdr, no_coarse_text_is_longer_than_its_limit)
{
    struct unit_random random;

    unit_random_seed(&random);
    histogram_clear(&h);
    for (uint32_t i = 0; i < HISTOGRAM_SIZE; i += 32) {
        h.counts[i] = COUNT_MAX - (unit_random_next(&random) >> 12);
    }
    h.count = 1;
    h.max = UINT64_MAX;
    char *coarse = hdr_encode_coarse(&h);

    expect_lt(strlen(coarse), HDR_COARSE_SIZE);
    expect_gt(strlen(coarse), HDR_COARSE_SIZE * 3 / 4);
    free(coarse);
}
