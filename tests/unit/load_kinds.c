/*
 * Kinds of requests: how lines are called, which are one kind, what becomes of
 * those that there is no room for, and how counts are added.
 *
 * Lines are made by hand.
 */
#define UNIT_RUN with_kinds
#include "tools/weir-load/kinds.c"

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

UNIT(load_kinds, counts_of_threads_are_added)
{
    const struct request_kind lines[] = {{.name = "a"}, {.name = "b"}};
    char names[4];

    expect_eq(kinds_init(&kinds, lines, 2), 0);
    struct kind_record *sum = kinds_new_records(&kinds);
    struct kind_record *from = kinds_new_records(&kinds);
    cr_assert(sum && from);
    from[1].counts = (struct kind_counts){5, 6, 7};
    from[1].status[503] = 8;
    histogram_record(&from[1].latency, 9);
    kinds_add(&kinds, sum, from);
    kinds_add(&kinds, sum, from);
    expect_eq(sum[0].counts.ok, 0);
    expect_eq(sum[0].latency.count, 0);
    expect_eq(sum[1].counts.failed, 12);
    expect_eq(kinds_requests(&sum[1].counts), 36);
    expect_eq(sum[1].status[503], 16);
    expect_eq(sum[1].latency.count, 2);
    expect_eq(sum[1].latency.min, 9);
    expect_str_eq(kinds_list(&kinds, names, sizeof(names)), "a");
    free(sum);
    free(from);
}
