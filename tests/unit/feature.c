/*
 * The names of features: parsing the mask, and the text for people.
 *
 * The kernel is not queried, so the tests are the same on every machine and for
 * every later feature.
 */
#include "uring/feature.h"

#include "tests/unit.h"

static uint32_t bit(enum wr_feature feature)
{
    return UINT32_C(1) << feature;
}

static const uint32_t all = (UINT32_C(1) << WR_FEATURE_COUNT) - 1;

UNIT(feature, no_text_masks_nothing)
{
    const char *unknown = "untouched";

    expect_eq(wr_features_parse_mask(NULL, &unknown), 0);
    cr_assert_null(unknown);
    expect_eq(wr_features_parse_mask("", &unknown), 0);
    expect_eq(wr_features_parse_mask(" ,, ,", &unknown), 0);
    cr_assert_null(unknown);
}

UNIT(feature, names_are_separated_by_commas)
{
    const char *unknown = NULL;
    uint32_t both = bit(WR_FEATURE_BUF_INC) | bit(WR_FEATURE_RECV_CREDIT);

    expect_eq(wr_features_parse_mask("buf_inc", &unknown),
              bit(WR_FEATURE_BUF_INC));
    expect_eq(wr_features_parse_mask("buf_inc,recv_credit", &unknown), both);
    expect_eq(wr_features_parse_mask(" recv_credit , buf_inc,", &unknown),
              both);
    cr_assert_null(unknown);
}

UNIT(feature, each_feature_has_a_name_of_its_own)
{
    const char *names[] = {
#define NAME(constant, name, kernel, without) name,
        WR_FEATURES(NAME)
#undef NAME
    };
    uint32_t seen = 0;
    for (unsigned i = 0; i < WR_FEATURE_COUNT; i++) {
        const char *unknown = NULL;
        uint32_t mask = wr_features_parse_mask(names[i], &unknown);
        expect_eq(mask, UINT32_C(1) << i);
        cr_assert_null(unknown);
        seen |= mask;
    }
    expect_eq(seen, all);
}

UNIT(feature, all_is_every_feature)
{
    const char *unknown = NULL;

    expect_eq(wr_features_parse_mask("all", &unknown), all);
    expect_eq(wr_features_parse_mask("buf_inc,all", &unknown), all);
    cr_assert_null(unknown);
}

UNIT(feature, the_first_unknown_name_is_told_and_the_others_count)
{
    const char *unknown = NULL;
    const char *text = "buf_inc,buf,allx,recv_credit";

    expect_eq(wr_features_parse_mask(text, &unknown),
              bit(WR_FEATURE_BUF_INC) | bit(WR_FEATURE_RECV_CREDIT));
    expect_eq(unknown, text + strlen("buf_inc,"));
    expect_eq(wr_features_parse_mask("BUF_INC", &unknown), 0);
    cr_assert_not_null(unknown);
}

UNIT(feature, incremental_buffers_are_not_used_without_credit)
{
    struct wr_features features = {.found = all};
    wr_features_reduce(&features);
    expect_eq(features.found, all);

    features.found = all & ~bit(WR_FEATURE_RECV_CREDIT);
    wr_features_reduce(&features);

    cr_assert_not(wr_has(&features, WR_FEATURE_BUF_INC));
    expect_eq(features.unused, bit(WR_FEATURE_BUF_INC));
    expect_eq(features.masked, 0);
    cr_assert(wr_has(&features, WR_FEATURE_RING_RESIZE));
}

UNIT(feature, the_text_says_what_a_feature_needs_that_is_not_used)
{
    struct wr_features features = {.found = bit(WR_FEATURE_BUF_INC)};
    char text[2048];

    wr_features_reduce(&features);
    cr_assert_lt(wr_features_text(&features, text, sizeof(text)), sizeof(text));
    const char *line = "buf_inc          6.12  needs recv_credit instead: "
                       "plain 16 KiB receive buffers\n";
    cr_assert(strstr(text, line), "%s", text);
    cr_assert_null(strstr(text, "masked"));
}

static const struct wr_features some = {
    .found = UINT32_C(1) << WR_FEATURE_BUF_INC,
    .masked = UINT32_C(1) << WR_FEATURE_RECV_CREDIT,
};

UNIT(feature, the_text_has_a_line_for_each_with_its_state)
{
    char text[2048];
    size_t len = wr_features_text(&some, text, sizeof(text));
    unsigned lines = 0;
    for (const char *at = text; *at; at++) {
        lines += *at == '\n';
    }

    expect_eq(len, strlen(text));
    expect_eq(lines, WR_FEATURE_COUNT);
    const char *found = strstr(text, "buf_inc");
    const char *masked = strstr(text, "recv_credit");
    const char *absent = strstr(text, "send_vectorized");
    cr_assert(found && masked && absent);
    expect_eq(strncmp(found, "buf_inc          6.12  yes", 26), 0);
    expect_eq(strncmp(masked, "recv_credit      6.17  masked", 29), 0);
    expect_eq(strncmp(absent, "send_vectorized  6.17  no ", 26), 0);
    cr_assert_not_null(strstr(absent, "instead: sendmsg\n"));
}

UNIT(feature, the_text_is_cut_where_room_ends_and_its_length_told)
{
    char whole[2048];
    char text[2048];
    size_t len = wr_features_text(&some, whole, sizeof(whole));
    expect_eq(wr_features_text(&some, NULL, 0), len);
    for (size_t size = 1; size <= len + 1; size++) {
        memset(text, 'x', sizeof(text));
        expect_eq(wr_features_text(&some, text, size), len);
        expect_eq(strlen(text), size - 1);
        expect_eq(memcmp(text, whole, size - 1), 0);
        expect_eq(text[size], 'x', "written past the end");
    }
}
