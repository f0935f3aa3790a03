/*
 * Kinds of requests: how lines are named, which lines are one kind, which kinds
 * do not fit, and how counts are added.
 *
 * Lines are made by hand.
 */
#define UNIT_RUN with_kinds
#include "tools/weir-load/measure/kinds.c"
#include "tools/weir-load/result/result.h"

#include "tests/unit.h"

static struct kinds kinds;

static void with_kinds(void (*body)(void))
{
    body();
    free(kinds.places);
}

UNIT(load_kinds, lines_are_called_by_their_names_or_what_they_ask_for)
{
    const struct request_kind lines[] = {
        {.method = "GET", .path = "/a?b={seq}"},
        {.method = "POST", .path = "/a/{rand:1:9}"},
        {.name = "log in", .method = "POST", .path = "/a"},
        {.request = "get key{seq}\\r\\n"},
        {.request = "\\x10\\x0csesame"},
        {.method = "GET", .path = "/a?c"},
        {.request = "AUTH sesame\\r\\n"},
        {.request = "PING\\r\\n"},
    };

    expect_eq(kinds_init(&kinds, lines, 8), 0);
    expect_eq(kinds.count, 7);
    expect_str_eq(kinds.names[0], "GET /a");
    expect_str_eq(kinds.names[1], "POST /a/{rand:1:9}");
    expect_str_eq(kinds.names[2], "log in");
    expect_str_eq(kinds.names[3], "get");
    expect_str_eq(kinds.names[4], "\\x10");
    expect_str_eq(kinds.names[5], "AUTH");
    expect_str_eq(kinds.names[6], "PING");
    expect_eq(kinds.places[5], 0);
    expect_eq(kinds_find(&kinds, "log in"), 2);
    expect_eq(kinds_find(&kinds, "log"), 7);
}

UNIT(load_kinds, of_more_than_there_is_room_for_the_last_are_one)
{
    struct request_kind lines[KINDS_MAX + 2];
    char paths[KINDS_MAX + 2][8];

    for (size_t i = 0; i < KINDS_MAX + 2; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/%zu", i);
        lines[i] = (struct request_kind){.method = "GET", .path = paths[i]};
    }
    expect_eq(kinds_init(&kinds, lines, KINDS_MAX), 0);
    expect_eq(kinds.count, KINDS_MAX);
    expect_str_eq(kinds.names[KINDS_MAX - 1], "GET /63");
    free(kinds.places);
    lines[KINDS_MAX + 1].name = "named";
    expect_eq(kinds_init(&kinds, lines, KINDS_MAX + 2), 0);
    expect_eq(kinds.count, KINDS_MAX);
    expect_str_eq(kinds.names[0], "named");
    expect_str_eq(kinds.names[KINDS_MAX - 1], "other");
    expect_eq(kinds.places[KINDS_MAX + 1], 0);
    expect_eq(kinds.places[0], 1);
    expect_eq(kinds.places[KINDS_MAX], KINDS_MAX - 1);
    expect_eq(kinds.places[KINDS_MAX - 2], KINDS_MAX - 1);
}

UNIT(load_kinds, a_long_name_is_cut_and_blanks_are_blanks)
{
    char name[KINDS_NAME_SIZE + 9];

    memset(name, 'x', sizeof(name));
    name[1] = '\t';
    name[sizeof(name) - 1] = '\0';
    const struct request_kind line = {.name = name};
    expect_eq(kinds_init(&kinds, &line, 1), 0);
    expect_eq(strlen(kinds.names[0]), KINDS_NAME_SIZE - 1);
    expect_eq(kinds.names[0][1], ' ');
}

UNIT(load_kinds, names_that_differ_behind_the_cut_are_different_kinds)
{
    char names[3][KINDS_NAME_SIZE + 9];
    struct request_kind lines[3];

    for (size_t i = 0; i < 3; i++) {
        memset(names[i], 'x', sizeof(names[i]));
        snprintf(names[i] + KINDS_NAME_SIZE, 4, "%zu", i % 2);
        lines[i] = (struct request_kind){.name = names[i]};
    }
    expect_eq(kinds_init(&kinds, lines, 3), 0);
    expect_eq(kinds.count, 2);
    expect_eq(kinds.places[2], kinds.places[0]);
    expect_eq(strlen(kinds.names[0]), KINDS_NAME_SIZE - 1);
    cr_assert_not_null(strstr(kinds.names[0], "x...#"));
    free(kinds.places);

    /* A character of three bytes is not split. */
    for (size_t from = 80; from < 99; from++) {
        memset(names[0], 'x', sizeof(names[0]));
        memcpy(names[0] + from, "\xe2\x82\xac", 3);
        names[0][sizeof(names[0]) - 1] = '\0';
        expect_eq(kinds_init(&kinds, lines, 1), 0);
        const size_t len = strlen(kinds.names[0]);
        expect_eq(kind_name_span(kinds.names[0], len), len);
        free(kinds.places);
    }
    kinds.places = NULL;
}

UNIT(load_kinds, bytes_that_no_name_has_are_replaced)
{
    const struct request_kind lines[] = {
        {.request = "a\033[1m\177"},
        {.request = "b\xff\xc2\x80\xc3\xa4\xed\xa0\x80"},
    };

    expect_eq(kinds_init(&kinds, lines, 2), 0);
    expect_str_eq(kinds.names[0], "a [1m ");
    expect_str_eq(kinds.names[1], "b???\xc3\xa4???");
}

UNIT(load_kinds, a_line_called_other_is_of_all_others)
{
    struct request_kind lines[KINDS_MAX + 3];
    char paths[KINDS_MAX + 3][8];
    size_t others = 0;

    for (size_t i = 0; i < KINDS_MAX + 3; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/%zu", i);
        lines[i] = (struct request_kind){.method = "GET", .path = paths[i]};
    }
    lines[KINDS_MAX].name = "other";
    expect_eq(kinds_init(&kinds, lines, KINDS_MAX + 3), 0);
    for (size_t i = 0; i < kinds.count; i++) {
        others += strcmp(kinds.names[i], "other") == 0;
    }
    expect_eq(others, 1);
    expect_eq(kinds.places[KINDS_MAX], 0);
    expect_eq(kinds.places[KINDS_MAX + 2], 0);
    cr_assert(kinds.has_name[0]);
    cr_assert_not(kinds.has_name[1]);
}

UNIT(load_kinds, those_with_the_most_requests_are_chosen)
{
    struct request_kind lines[KINDS_CHOSEN + 2];
    char paths[KINDS_CHOSEN + 2][8];
    bool chosen[KINDS_MAX];

    for (size_t i = 0; i < KINDS_CHOSEN + 2; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/%zu", i);
        lines[i] = (struct request_kind){.method = "GET", .path = paths[i]};
    }
    expect_eq(kinds_init(&kinds, lines, KINDS_CHOSEN + 2), 0);
    struct kind_record *records = kinds_new_records(&kinds);
    cr_assert_not_null(records);
    for (size_t i = 0; i < kinds.count; i++) {
        records[i].counts.failed = i == 3 || i == 7 ? 1 : 100 - i;
    }
    kinds_choose(&kinds, records, chosen);
    for (size_t i = 0; i < KINDS_MAX; i++) {
        expect_eq(chosen[i], i < kinds.count && i != 3 && i != 7, "%zu", i);
    }
    free(records);
}

UNIT(load_kinds, counts_of_threads_are_added)
{
    const struct request_kind lines[] = {{.name = "a"}, {.name = "b"}};
    char names[4];

    expect_eq(kinds_init(&kinds, lines, 2), 0);
    struct kind_record *sum = kinds_new_records(&kinds);
    struct kind_record *from = kinds_new_records(&kinds);
    cr_assert(sum && from);
    from[1].counts = (struct kind_counts){5, 6, 7, 8};
    from[1].status[503] = 8;
    histogram_record(&from[1].latency, 9);
    fields_add_kinds(&kinds, sum, from);
    fields_add_kinds(&kinds, sum, from);
    expect_eq(sum[0].counts.ok, 0);
    expect_eq(sum[0].latency.count, 0);
    expect_eq(sum[1].counts.failed, 12);
    expect_eq(sum[1].counts.completed, 16);
    expect_eq(kinds_requests(&sum[1].counts), 36);
    expect_eq(sum[1].status[503], 16);
    expect_eq(sum[1].latency.count, 2);
    expect_eq(sum[1].latency.min, 9);
    expect_str_eq(kinds_list(&kinds, names, sizeof(names)), "a");
    free(sum);
    free(from);
}
