/*
 * Histograms as text: the encoding before zlib compresses it, and the
 * characters.
 *
 * End-to-end tests check what other libraries and the script make of these
 * texts.
 */
#include "tools/weir-load/measure/hdr.c"

#include "tests/unit/random.h"

static struct histogram h;

UNIT(load_hdr, counts_follow_the_header_and_runs_of_zeros_are_one_number)
{
    static const struct {
        uint64_t values[4]; /* ends with 0 after the first value */
        uint32_t width;
        uint8_t bytes[8];
        size_t size;
    } rows[] = {
        {{0}, 1, {2}, 1},
        {{3}, 1, {5, 2}, 2},
        {{3, 3, 3}, 1, {5, 6}, 2},
        {{1, 2, 70}, 1, {1, 2, 2, 0x85, 1, 2}, 6},
        {{2048}, 1, {0xff, 31, 2}, 3},
        {{0}, 32, {61, 2}, 2},
        {{33, 40}, 32, {125, 4}, 2},
    };
    uint8_t bytes[PLAIN_HEADER_SIZE + 16];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        histogram_clear(&h);
        histogram_record(&h, rows[i].values[0]);
        for (size_t k = 1; k < 4 && rows[i].values[k] > 0; k++) {
            histogram_record(&h, rows[i].values[k]);
        }
        expect_eq(encode_plain(&h, rows[i].width, bytes),
                  PLAIN_HEADER_SIZE + rows[i].size, "row %zu", i);
        expect_eq(
            memcmp(bytes + PLAIN_HEADER_SIZE, rows[i].bytes, rows[i].size), 0,
            "row %zu", i);
        expect_eq(memcmp(bytes, "\x1c\x84\x93\x13\0\0\0", 7), 0);
        expect_eq(bytes[7], rows[i].size);
        expect_eq(bytes[15], DIGITS);
        expect_eq(bytes[23], LOWEST);
    }
}

UNIT(load_hdr, letters_are_those_of_base64)
{
    static const char *const rows[][2] = {
        {"f", "Zg=="},        {"fo", "Zm8="},        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text =
            hdr_encode_base64((const uint8_t *)rows[i][0], strlen(rows[i][0]));
        expect_str_eq(text, rows[i][1]);
        free(text);
    }
}

UNIT(load_hdr, no_coarse_text_is_longer_than_its_limit)
{
    struct unit_random random;

    unit_random_seed(&random);
    histogram_clear(&h);
    for (uint32_t i = 0; i < HISTOGRAM_SIZE; i += 32) {
        h.counts[i] = (UINT64_C(1) << 53) - (unit_random_next(&random) >> 12);
    }
    h.count = 1;
    h.max = UINT64_MAX;
    char *coarse = hdr_encode_coarse(&h);

    expect_lt(strlen(coarse), HDR_COARSE_SIZE);
    expect_gt(strlen(coarse), HDR_COARSE_SIZE * 3 / 4);
    free(coarse);
}
