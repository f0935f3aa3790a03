/*
 * Turns of connections over targets: shares, their spread, and what is refused.
 *
 * Targets are told by their letters, in the order of the connections that go to
 * them.
 */
#include "tools/weir-load/turns.c"

#include "tests/unit.h"

static struct turns turns;
static char why[TURNS_WHY_SIZE];

/* The targets of the first connections, as letters. */
static const char *first_targets(uint64_t count)
{
    static char letters[64];

    for (uint64_t i = 0; i < count; i++) {
        letters[i] = (char)('a' + turns_target(&turns, i));
    }
    letters[count] = '\0';
    return letters;
}

UNIT(load_turns, without_weights_targets_take_turns)
{
    turns_init(&turns, 3);

    expect_str_eq(first_targets(7), "abcabca");
    expect_eq(turns_rank(&turns, 6), 2);
    expect_eq(turns_count(&turns, 7, 0), 3);
    expect_eq(turns_count(&turns, 7, 2), 2);
}

UNIT(load_turns, places_of_a_target_are_spread_over_the_turn)
{
    expect_eq(turns_parse("5,1,1", 3, &turns, why), 0);

    expect_str_eq(first_targets(14), "aabacaaaabacaa");
    for (uint64_t i = 0, seen[3] = {0}; i < 100; i++) {
        const size_t target = turns_target(&turns, i);
        expect_eq(turns_rank(&turns, i), seen[target]);
        seen[target]++;
        expect_eq(turns_count(&turns, i + 1, target), seen[target]);
    }
}

UNIT(load_turns, weights_are_taken_in_lowest_terms)
{
    expect_eq(turns_parse("30k,10k", 2, &turns, why), 0);

    expect_eq(turns.place_count, 4);
    expect_str_eq(first_targets(4), "aaba");
    expect_eq(turns_parse("9999,1", 2, &turns, why), 0);
    expect_eq(turns_count(&turns, 20000, 1), 2);
}

UNIT(load_turns, a_wrong_list_is_refused_with_its_place)
{
    static const struct {
        const char *text;
        const char *says;
    } lists[] = {
        {"", "at character 1"},
        {"1", "one weight for each of 2"},
        {"1,2,3", "for each of 2"},
        {"1,", "at character 3"},
        {"1,0", "at character 3"},
        {"1,x", "at character 3"},
        {"1,2,", "for each of 2"},
        {"1 ,2", "at character 1"},
        {"10000,1", "add up to 10000"},
        {"1,99999999999999999", "at character 3"},
        {"1,9999999999G", "add up to 10000"},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        expect_eq(turns_parse(lists[i].text, 2, &turns, why), -EINVAL, "%s",
                  lists[i].text);
        expect_neq(strstr(why, lists[i].says), NULL, "%s", why);
    }
}
