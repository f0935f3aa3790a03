/*
 * The queues of a budget: the order in which starved and stuck connections are
 * served, when serving is useless, and whose bytes must be moved then.
 *
 * The pool has only the counts that the budget reads.
 */
#include "lib/loop/budget.h"

#include "tests/death.h"

#define MIB (UINT64_C(1) << 20)

enum { DEMANDS = 4 };

static struct wr_pool pool;
static struct wr_budget budget;
static struct wr_demand demands[DEMANDS];
static struct wr_evictable evictable;

static void setup(uint32_t posted_count)
{
    pool = (struct wr_pool){.posted_count = posted_count,
                            .buf_count = posted_count,
                            .buf_max = posted_count,
                            .buf_size = WR_POOL_INC_SIZE};
    wr_budget_init(&budget, &pool, 64 * MIB, 64 * MIB);
    budget.account_count = DEMANDS;
    for (int i = 0; i < DEMANDS; i++) {
        wr_demand_init(&demands[i], MIB, NULL);
    }
    wr_list_init(&evictable.link);
}

static void starve_all(void)
{
    for (int i = 0; i < DEMANDS; i++) {
        wr_budget_starve(&budget, &demands[i]);
    }
}

/* Serves the starved once; with @again they starve again in the same round.
 * Returns the numbers of those served, as the digits of a number. */
static int feed(bool again)
{
    struct wr_feeding round;
    struct wr_demand *demand;
    int fed = 0;

    cr_assert(wr_budget_begin_starved(&budget, &round));
    while ((demand = wr_budget_next_starved(&budget, &round))) {
        expect_eq(demand->state, WR_DEMAND_IDLE);
        fed = fed * 10 + (int)(demand - demands) + 1;
        if (again) {
            wr_budget_starve(&budget, demand);
        }
    }
    wr_budget_end_starved(&budget, &round);
    wr_budget_check_invariants(&budget);
    return fed;
}

UNIT(budget_queue, the_starved_are_fed_in_turn_as_far_as_buffers_go)
{
    setup(2);
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE);
    starve_all();
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NOW);

    expect_eq(feed(false), 12);
    wr_budget_starve(&budget, &demands[0]); /* after those that waited */
    pool.posted_count = DEMANDS;

    expect_eq(feed(false), 341);
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE);
}

UNIT(budget_queue, without_a_buffer_it_matters_whether_one_can_be_made)
{
    setup(0);
    starve_all();

    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE);
    pool.buf_max++;

    expect_eq(wr_budget_next_feed(&budget), WR_FEED_LATER);
}

/* Holds bytes that leave only the minimum share. */
static void starve_bare(struct wr_demand *of, int count, uint64_t held)
{
    pool.held_bytes = held;
    for (int i = 0; i < count; i++) {
        of[i].account.held_bytes = WR_HELD_LEAST;
        wr_budget_starve(&budget, &of[i]);
    }
}

UNIT(budget_queue, a_round_without_credit_is_not_repeated_before_less_is_held)
{
    setup(8);
    starve_bare(demands, DEMANDS, 64 * MIB);

    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE, "each has asked");
    pool.held_bytes--;
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NOW);
    expect_eq(feed(true), 0, "none has credit");
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE);
    pool.held_bytes--;
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NOW);
}

UNIT(budget_queue, the_bare_are_fed_in_turn_when_their_share_grows)
{
    setup(8);
    starve_bare(demands, DEMANDS, 64 * MIB);
    pool.held_bytes = 0;

    expect_eq(feed(false), 1234);
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE);
}

UNIT(budget_queue, a_turn_tries_few_of_many_bare_ones_and_goes_on_from_there)
{
    enum { MANY = 1000, TURNS = MANY / WR_BUDGET_TRIES + 2 };
    static struct wr_demand many[MANY];
    struct wr_feeding round;
    struct wr_demand *found = NULL;
    setup(8);
    budget.account_count = MANY;
    for (int i = 0; i < MANY; i++) {
        wr_demand_init(&many[i], MIB, NULL);
    }
    starve_bare(many, MANY, 64 * MIB);
    /* The last one has released bytes without a notification. */
    many[MANY - 1].account.held_bytes = 0;
    pool.held_bytes--;

    int turns = 0;
    for (; turns < TURNS && !found; turns++) {
        const struct wr_list *first = budget.bare.next;
        cr_assert(wr_budget_begin_starved(&budget, &round));
        found = wr_budget_next_starved(&budget, &round);
        for (unsigned i = 0; !found && i < WR_BUDGET_TRIES; i++) {
            expect_neq(budget.bare.next, first, "it is behind the others now");
            first = first->next;
        }
        wr_budget_end_starved(&budget, &round);
    }

    expect_eq(found, &many[MANY - 1]);
    expect_geq(turns, MANY / WR_BUDGET_TRIES, "no turn tries more");
}

UNIT(budget_queue, those_that_lack_a_buffer_and_the_bare_come_first_in_turn)
{
    setup(1);
    starve_bare(demands, 2, 64 * MIB);
    wr_budget_starve(&budget, &demands[2]);
    wr_budget_starve(&budget, &demands[3]);
    pool.held_bytes = 0;

    const int first = feed(false);
    const int second = feed(false);
    expect_leq(first, 4, "a buffer is enough for one");
    expect_leq(second, 4);
    expect_neq(first <= 2, second <= 2, "of either kind");
    pool.posted_count = 8;
    feed(false);
    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE);
}

UNIT(budget_queue, the_stuck_are_fed_when_the_send_queues_are_short_again)
{
    struct wr_feeding round;
    setup(8);
    wr_budget_queue(&budget, 32 * MIB);
    wr_budget_make_stuck(&budget, &demands[0]);
    wr_budget_make_stuck(&budget, &demands[1]);

    cr_assert_not(wr_budget_begin_stuck(&budget, &round), "others must send");
    wr_budget_unqueue(&budget, 32 * MIB);

    cr_assert(wr_budget_begin_stuck(&budget, &round));
    expect_eq(wr_budget_next_stuck(&budget, &round), &demands[0]);
    wr_budget_make_stuck(&budget, &demands[0]); /* waits for the next round */
    expect_eq(wr_budget_next_stuck(&budget, &round), &demands[1]);
    cr_assert_null(wr_budget_next_stuck(&budget, &round));
    cr_assert_not(wr_budget_end_stuck(&budget, &round));
    expect_eq(demands[0].state, WR_DEMAND_STUCK);
}

/* Serves the stuck in one iteration; each is stuck again with the bytes that it
 * received. Returns their number. */
static unsigned feed_stuck(void)
{
    struct wr_feeding round;
    struct wr_demand *demand;
    unsigned count = 0;

    cr_assert(wr_budget_begin_stuck(&budget, &round));
    while ((demand = wr_budget_next_stuck(&budget, &round))) {
        count++;
        wr_budget_make_stuck(&budget, demand);
    }
    const bool again = wr_budget_end_stuck(&budget, &round);
    expect_eq(again, count > 0, "others are fed in the next turn");
    return count;
}

/* Serves the stuck while the send queues have @room bytes of space. */
static unsigned feed_of_many_stuck(struct wr_demand *many, unsigned count,
                                   uint64_t room)
{
    setup(8);
    budget.account_count = count;
    for (unsigned i = 0; i < count; i++) {
        wr_demand_init(&many[i], MIB, NULL);
        many[i].stuck_bytes = MIB;
        wr_budget_make_stuck(&budget, &many[i]);
    }
    wr_budget_queue(&budget, 16 * MIB - room);
    const unsigned fed = feed_stuck();
    const struct wr_list *first = budget.stuck.next;
    expect_eq(first, &many[fed].link, "the next turn goes on from there");
    expect_eq(feed_stuck(), fed);
    return fed;
}

UNIT(budget_queue, a_turn_feeds_as_many_of_the_stuck_as_there_is_room_for)
{
    enum { FEW = 10, MANY = 1000 };
    static struct wr_demand many[MANY];

    const unsigned of_few = feed_of_many_stuck(many, FEW, 16u << 10);
    const unsigned of_many = feed_of_many_stuck(many, MANY, 16u << 10);

    expect_gt(of_few, 0);
    expect_eq(of_many, of_few, "it does not depend on those that wait");
    expect_geq(feed_of_many_stuck(many, MANY, MIB), 4 * of_few);
}

/* Serves those that are due in one iteration; each receives @bytes and is due
 * again. Returns their numbers like feed(). */
static int run_turn(uint32_t bytes)
{
    struct wr_demand *demand;
    int fed = 0;

    wr_budget_begin_turn(&budget);
    while ((demand = wr_budget_next_due(&budget))) {
        expect_eq(demand->state, WR_DEMAND_IDLE);
        fed = fed * 10 + (int)(demand - demands) + 1;
        wr_budget_received_due(&budget, bytes);
        wr_budget_make_due(&budget, demand);
    }
    wr_budget_check_invariants(&budget);
    return fed;
}

UNIT(budget_queue, the_due_receive_in_turn_as_much_as_a_turn_allows)
{
    setup(DEMANDS);
    cr_assert_not(wr_budget_has_due(&budget));
    for (int i = 0; i < DEMANDS; i++) {
        wr_budget_make_due(&budget, &demands[i]);
    }
    cr_assert(wr_budget_has_due(&budget));
    cr_assert_not(wr_budget_has_waiting(&budget), "they lack nothing");

    expect_eq(run_turn(WR_TURN_BYTES), 1);
    expect_eq(run_turn(WR_CREDIT_MAX), 2, "one receive may exceed it");
    expect_eq(run_turn(WR_TURN_BYTES / 2), 34);
    expect_eq(run_turn(WR_TURN_BYTES / 2 - 1), 123);
    wr_budget_leave(&demands[3]);
    wr_budget_leave(&demands[1]);

    expect_eq(run_turn(WR_TURN_BYTES), 1);
    expect_eq(run_turn(WR_TURN_BYTES), 3);
}

UNIT(budget_queue, long_sends_share_a_turn)
{
    setup(DEMANDS);
    wr_budget_begin_turn(&budget);

    cr_assert(wr_budget_may_send(&budget));
    wr_budget_send(&budget, WR_TURN_BYTES - 1);
    cr_assert(wr_budget_may_send(&budget));
    wr_budget_send(&budget, MIB); /* one may exceed it */
    cr_assert_not(wr_budget_may_send(&budget));
    wr_budget_begin_turn(&budget);

    cr_assert(wr_budget_may_send(&budget));
}

UNIT(budget_queue, bytes_are_evicted_only_for_starved_that_cannot_be_fed)
{
    setup(8);
    wr_budget_offer(&budget, &evictable, NULL);
    cr_assert_null(wr_budget_next_evicted(&budget), "none starves");
    starve_all();
    cr_assert_null(wr_budget_next_evicted(&budget), "they can be fed");
    pool.posted_count = 0;

    expect_eq(wr_budget_next_evicted(&budget), &evictable);
    cr_assert_null(wr_budget_next_evicted(&budget));
}

UNIT(budget_queue, leaving_twice_is_harmless)
{
    setup(8);
    wr_budget_starve(&budget, &demands[0]);

    wr_budget_leave(&demands[0]);
    wr_budget_leave(&demands[0]);

    expect_eq(wr_budget_next_feed(&budget), WR_FEED_NONE);
}

UNIT_ABORTS(budget_queue, starving_while_stuck_is_a_bug,
            "edges[demand->state] & 1u << state")
{
    setup(8);
    wr_budget_make_stuck(&budget, &demands[0]);
    wr_budget_starve(&budget, &demands[0]);
}
