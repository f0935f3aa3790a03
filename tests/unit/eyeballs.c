/*
 * The order and times of connection attempts: the order compared with a model
 * of asyncio's over all short lists, the times of attempts, and the wait for
 * the preferred family.
 *
 * No connection is made.
 */
#include "tests/unit.h"

#include "lib/net/connect/race.h"

#include <arpa/inet.h>
#include <errno.h>

#define MS UINT64_C(1000000)

enum { LIST_MAX = 7 };

static struct wr_candidate candidates[64];
static struct wr_eyeballs eyeballs;

static void init(uint64_t delay_ns, uint32_t interleave, bool keeps_order)
{
    const struct wr_eyeballs_options options = {.delay_ns = delay_ns,
                                                .interleave = interleave,
                                                .keeps_order = keeps_order};
    memset(candidates, 0, sizeof(candidates));
    wr_eyeballs_init(&eyeballs, &options, candidates);
}

/* Returns an address of family '4', '6' or 'u' that contains a number. */
static struct weir_address address_of(char family, uint16_t number)
{
    struct weir_address address = {.len = sizeof(address.storage.inet)};
    if (family == '6') {
        address.len = sizeof(address.storage.inet6);
        address.storage.inet6.sin6_family = AF_INET6;
        address.storage.inet6.sin6_port = htons(number);
    } else if (family == '4') {
        address.storage.inet.sin_family = AF_INET;
        address.storage.inet.sin_port = htons(number);
    } else {
        address.len = sizeof(sa_family_t) + 1;
        address.storage.any.sa_family = AF_UNIX;
    }
    return address;
}

static void add(const char *families)
{
    for (; *families != '\0'; families++) {
        const struct weir_address address =
            address_of(*families, (uint16_t)eyeballs.count);
        wr_eyeballs_add(&eyeballs, &address);
    }
}

/* Tries all candidates one after another. Returns their indices in that order.
 */
static const char *try_all(void)
{
    static char order[LIST_MAX + 1];
    size_t count = 0;
    size_t index = 0;
    uint64_t when_ns = 0;
    while (wr_eyeballs_next(&eyeballs, 0, &index, &when_ns) ==
           WR_EYEBALLS_TRY) {
        wr_eyeballs_try(&eyeballs, index, 0);
        wr_eyeballs_fail(&eyeballs, index, -ECONNREFUSED, 0);
        cr_assert_lt(count, LIST_MAX);
        order[count++] = (char)('0' + index);
    }
    order[count] = '\0';
    return order;
}

/* asyncio's _interleave_addrinfos(), on indices: a list for each family, in the
 * order in which the families first appear; then the lead of the first list,
 * then one of each alternately. */
static const char *model_order(const char *families, size_t lead)
{
    static char order[LIST_MAX + 1];
    char kinds[4] = "";
    char lists[3][LIST_MAX + 1] = {"", "", ""};
    size_t count = 0;
    for (size_t i = 0; families[i] != '\0'; i++) {
        if (!strchr(kinds, families[i])) {
            kinds[strlen(kinds)] = families[i];
        }
        char *list = lists[strchr(kinds, families[i]) - kinds];
        list[strlen(list)] = (char)('0' + i);
    }
    const size_t taken =
        lead - 1 < strlen(lists[0]) ? lead - 1 : strlen(lists[0]);
    memcpy(order, lists[0], taken);
    count = taken;
    memmove(lists[0], lists[0] + taken, sizeof(lists[0]) - taken);
    for (size_t round = 0; round < LIST_MAX; round++) {
        for (size_t list = 0; list < 3; list++) {
            if (round < strlen(lists[list])) {
                order[count++] = lists[list][round];
            }
        }
    }
    order[count] = '\0';
    return order;
}

/* All lists of up to LIST_MAX families, 3280 of them. */
UNIT(eyeballs, families_take_turns_as_asyncio_has_it)
{
    static const char kinds[] = "46u";
    char families[LIST_MAX + 1];
    for (size_t len = 1; len <= LIST_MAX; len++) {
        size_t lists = 1;
        for (size_t i = 0; i < len; i++) {
            lists *= 3;
        }
        for (size_t list = 0; list < lists; list++) {
            size_t digits = list;
            for (size_t i = 0; i < len; i++, digits /= 3) {
                families[i] = kinds[digits % 3];
            }
            families[len] = '\0';
            for (uint32_t lead = 1; lead <= 4; lead++) {
                init(0, lead, false);
                add(families);
                expect_str_eq(try_all(), model_order(families, lead));
            }
        }
    }
}

UNIT(eyeballs, a_candidate_is_single_when_no_other_can_come)
{
    init(0, 0, false);
    wr_eyeballs_await(&eyeballs, AF_INET6);
    expect_eq(wr_eyeballs_is_single(&eyeballs), false);
    add("4");
    expect_eq(wr_eyeballs_is_single(&eyeballs), false, "IPv6 may come");

    wr_eyeballs_close(&eyeballs, AF_INET6);
    expect_eq(wr_eyeballs_is_single(&eyeballs), true);
    add("4");
    expect_eq(wr_eyeballs_is_single(&eyeballs), false);
}

UNIT(eyeballs, the_order_may_be_kept)
{
    init(0, 0, true);
    add("4466464");
    expect_str_eq(try_all(), "0123456");
}

UNIT(eyeballs, addresses_that_come_late_take_part_in_the_turns)
{
    size_t index = 9;
    uint64_t when_ns;
    init(0, 0, false);
    wr_eyeballs_await(&eyeballs, AF_INET6);
    wr_eyeballs_await(&eyeballs, AF_INET);
    add("444");
    wr_eyeballs_close(&eyeballs, AF_INET);
    expect_eq(wr_eyeballs_next(&eyeballs, 0, &index, &when_ns),
              WR_EYEBALLS_WAIT);
    expect_eq(wr_eyeballs_next(&eyeballs, 50 * MS, &index, &when_ns),
              WR_EYEBALLS_TRY);
    expect_eq(index, 0);
    wr_eyeballs_try(&eyeballs, index, 50 * MS);
    wr_eyeballs_fail(&eyeballs, index, -ECONNREFUSED, 60 * MS);
    add("66");
    wr_eyeballs_close(&eyeballs, AF_INET6);
    expect_str_eq(try_all(), "3142");
}

static size_t try_at(uint64_t now_ns)
{
    size_t index = SIZE_MAX;
    uint64_t when_ns = 0;
    expect_eq(wr_eyeballs_next(&eyeballs, now_ns, &index, &when_ns),
              WR_EYEBALLS_TRY);
    expect_eq(when_ns, UINT64_MAX);
    wr_eyeballs_try(&eyeballs, index, now_ns);
    return index;
}

/* Returns the time of the next action. */
static uint64_t wait_at(uint64_t now_ns)
{
    size_t index = 0;
    uint64_t when_ns = 0;
    expect_eq(wr_eyeballs_next(&eyeballs, now_ns, &index, &when_ns),
              WR_EYEBALLS_WAIT);
    return when_ns;
}

static bool has_failed(void)
{
    size_t index = 0;
    uint64_t when_ns = 0;
    return wr_eyeballs_next(&eyeballs, 0, &index, &when_ns) ==
           WR_EYEBALLS_FAILED;
}

UNIT(eyeballs, the_next_begins_after_the_delay)
{
    init(0, 0, false);
    add("6464");
    expect_eq(try_at(0), 0);
    expect_eq(wait_at(0), 250 * MS);
    expect_eq(wait_at(250 * MS - 1), 250 * MS);
    expect_eq(try_at(250 * MS), 1);
    expect_eq(wait_at(260 * MS), 500 * MS);
    expect_eq(try_at(700 * MS), 2);
    expect_eq(wait_at(700 * MS), 950 * MS);
}

UNIT(eyeballs, the_next_begins_at_once_when_the_latest_fails)
{
    init(10 * MS, 0, false);
    add("6464");
    expect_eq(try_at(0), 0);
    expect_eq(try_at(10 * MS), 1);
    wr_eyeballs_fail(&eyeballs, 0, -ECONNREFUSED, 12 * MS);
    expect_eq(wait_at(12 * MS), 20 * MS, "an earlier one does not count");
    wr_eyeballs_fail(&eyeballs, 1, -ECONNREFUSED, 13 * MS);
    expect_eq(try_at(13 * MS), 2);
}

UNIT(eyeballs, without_a_delay_one_is_tried_after_the_other)
{
    init(UINT64_MAX, 0, false);
    add("64");
    expect_eq(try_at(5), 0);
    expect_eq(wait_at(UINT64_MAX - 1), UINT64_MAX);
    wr_eyeballs_fail(&eyeballs, 0, -ECONNREFUSED, 7);
    expect_eq(try_at(7), 1);
}

UNIT(eyeballs, it_has_failed_when_all_attempts_have_and_nothing_is_awaited)
{
    init(0, 0, false);
    cr_assert(has_failed(), "without candidates");
    wr_eyeballs_await(&eyeballs, AF_INET6);
    expect_eq(wait_at(0), UINT64_MAX);
    wr_eyeballs_close(&eyeballs, AF_INET6);
    cr_assert(has_failed());
    add("6");
    expect_eq(try_at(0), 0);
    expect_eq(wait_at(0), UINT64_MAX, "an attempt is under way");
    wr_eyeballs_fail(&eyeballs, 0, -ECONNREFUSED, 0);
    cr_assert(has_failed());
}

UNIT(eyeballs, the_preferred_family_is_tried_as_soon_as_it_is_there)
{
    init(0, 0, false);
    wr_eyeballs_await(&eyeballs, AF_INET6);
    wr_eyeballs_await(&eyeballs, AF_INET);
    expect_eq(wait_at(0), UINT64_MAX);
    add("6");
    expect_eq(try_at(3), 0);
    expect_eq(wait_at(3), UINT64_MAX, "the other family is awaited");
    wr_eyeballs_fail(&eyeballs, 0, -ECONNREFUSED, 4);
    expect_eq(wait_at(4), UINT64_MAX);
    add("4");
    expect_eq(try_at(9), 1);
}

UNIT(eyeballs, other_families_wait_50_ms_for_it)
{
    init(0, 0, false);
    wr_eyeballs_await(&eyeballs, AF_INET6);
    wr_eyeballs_await(&eyeballs, AF_INET);
    add("4");
    wr_eyeballs_close(&eyeballs, AF_INET);
    expect_eq(wait_at(7 * MS), 57 * MS);
    expect_eq(wait_at(57 * MS - 1), 57 * MS);
    expect_eq(try_at(57 * MS), 0);
}

UNIT(eyeballs, they_do_not_wait_when_it_has_no_addresses)
{
    init(0, 0, false);
    wr_eyeballs_await(&eyeballs, AF_INET6);
    wr_eyeballs_await(&eyeballs, AF_INET);
    add("4");
    wr_eyeballs_close(&eyeballs, AF_INET);
    expect_eq(wait_at(7 * MS), 57 * MS);
    wr_eyeballs_close(&eyeballs, AF_INET6);
    expect_eq(try_at(8 * MS), 0);
}

UNIT(eyeballs, they_do_not_wait_for_a_family_that_is_not_preferred)
{
    init(0, 0, false);
    wr_eyeballs_await(&eyeballs, AF_INET);
    add("4");
    expect_eq(try_at(0), 0);
}

UNIT(eyeballs,
     the_error_is_the_first_that_says_more_than_that_a_route_is_missing)
{
    static const int errs[] = {-ENETUNREACH, -EADDRNOTAVAIL, -ECONNREFUSED,
                               -ETIMEDOUT};
    init(0, 0, true);
    add("6464");
    expect_eq(wr_eyeballs_get_error(&eyeballs), 0);
    for (size_t i = 0; i < 4; i++) {
        expect_eq(try_at(0), i);
        wr_eyeballs_fail(&eyeballs, i, errs[i], 0);
        expect_eq(wr_eyeballs_get_error(&eyeballs),
                  i < 2 ? -ENETUNREACH : -ECONNREFUSED);
    }
}

/* With descriptors or memory the address might have answered. */
UNIT(eyeballs, the_error_is_a_lack_of_this_machine_where_there_is_one)
{
    static const int errs[] = {-ECONNREFUSED, -EADDRNOTAVAIL, -EMFILE, -ENOMEM};
    init(0, 0, true);
    add("6464");
    for (size_t i = 0; i < 4; i++) {
        expect_eq(try_at(0), i);
        wr_eyeballs_fail(&eyeballs, i, errs[i], 0);
        expect_eq(wr_eyeballs_get_error(&eyeballs),
                  i < 2 ? -ECONNREFUSED : -EMFILE);
    }
}
