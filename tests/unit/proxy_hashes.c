/*
 * Hash tables of weir-proxy: different entries with the same hash, which the
 * caller distinguishes, duplicate texts, and tables that grow without moving
 * their entries.
 *
 * Hashes are chosen by the tests.
 */
#include "tests/unit.h"
#include "tools/weir-proxy/base/hashes.h"
#include "tools/weir-proxy/base/keyed.h"

enum { MANY = 1000 };

UNIT(proxy_hashes, things_of_one_hash_are_found_in_the_order_of_their_numbers)
{
    struct hashes hashes = {.all = NULL};
    const struct hashed *found;

    for (size_t i = 0; i < MANY; i++) {
        cr_assert(hashes_add(&hashes, (MANY - i) / 10, i));
    }
    hashes_sort(&hashes);
    expect_eq(hashes_find(&hashes, 7, &found), 10);
    for (size_t i = 0; i < 10; i++) {
        expect_eq(found[i].number, MANY - 79 + i);
    }
    expect_eq(hashes_find(&hashes, MANY, &found), 0);
    hashes_free(&hashes);
    expect_eq(hashes_find(&hashes, 7, &found), 0, "it is empty");
}

UNIT(proxy_hashes, the_first_of_equal_texts_is_found)
{
    const char *const texts[] = {"b", NULL, "a", "b", NULL, "ab", "b", ""};
    static const size_t firsts[] = {0, 1, 2, 0, 4, 5, 0, 7};
    const size_t count = sizeof(texts) / sizeof(texts[0]);
    size_t *found = hashes_find_firsts(texts, sizeof(texts[0]), count);

    cr_assert_not_null(found);
    for (size_t i = 0; i < count; i++) {
        expect_eq(found[i], firsts[i]);
    }
    free(found);
    found = hashes_find_firsts(NULL, 0, 0);
    cr_assert_not_null(found);
    free(found);
}

struct thing {
    struct keyed keyed;
    uint64_t number;
};

static uint64_t ended; /* sum of the numbers of ended entries */

static void end_thing(void *one)
{
    ended += ((const struct thing *)one)->number;
}

static struct thing *find(struct keyed_table *table, uint64_t key, bool is_new)
{
    bool was_new = !is_new;
    struct thing *one = keyed_find(table, key, sizeof(*one), &was_new);

    cr_assert_not_null(one);
    expect_eq(was_new, is_new);
    expect_eq(one->keyed.key, key);
    return one;
}

UNIT(proxy_hashes, a_table_grows_and_its_things_stay_where_they_are)
{
    struct keyed_table table = {.tree = NULL};
    static struct thing *all[MANY];

    for (uint64_t i = 0; i < MANY; i++) {
        all[i] = find(&table, i << 20, true);
        expect_eq(all[i]->number, 0);
        all[i]->number = i;
    }
    for (uint64_t i = 0; i < MANY; i++) {
        cr_assert_eq(find(&table, i << 20, false), all[i]);
    }
    keyed_free(&table, end_thing);
    expect_eq(ended, MANY * (MANY - 1) / 2, "each was ended once");
    find(&table, 5, true);
    keyed_free(&table, NULL);
}

UNIT(proxy_hashes, names_are_told_apart_by_where_they_end)
{
    expect_neq(keyed_key("ab", "c", NULL), keyed_key("a", "bc", NULL));
    expect_neq(keyed_key("a", "", NULL), keyed_key("a", NULL, NULL));
    expect_neq(keyed_key("a", "b", NULL), keyed_key("a", NULL, "b"));
    expect_eq(keyed_key("a", "b", "c"), keyed_key("a", "b", "c"));
}
