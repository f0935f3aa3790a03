/*
 * Intakes without a connection: when there is a receive window, what is waited
 * for if there is none, and what ends the wait.
 *
 * The transport is only its common part. Its loop has only lists, counts, a
 * clock and the budget.
 */
#define UNIT_RUN with_intake
#include "lib/transport/intake.h"

#include "tests/death.h"
#include "tests/unit/table.h"

#define MIB (1u << 20)

static weir_loop loop;
static const void *volatile thread = &loop;
static weir_transport transport;
static weir_transport *const t = &transport;
static int step_count;
static int freed_count;
static int fed_count;
static enum wr_demand_state fed_from;

static void run_step(struct wr_ready *ready)
{
    expect_eq(ready, &t->step);
    step_count++;
}

static void free_it(weir_transport *of)
{
    expect_eq(of, t);
    freed_count++;
}

static void fed(weir_transport *of, enum wr_demand_state queue)
{
    expect_eq(of, t);
    fed_from = queue;
    fed_count++;
}

static const struct wr_transport_ops ops = {
    .name = "intake",
    TABLE_REST,
    .abort = table_not_called,
    .abandon = table_not_called,
    .check = table_not_checked,
    .free = free_it,
    .fed = fed,
};

static void setup(void)
{
    memset(&loop, 0, sizeof(loop));
    loop.owner = &thread;
    wr_list_init(&loop.ready);
    wr_list_init(&loop.members[WR_STAGE_TRANSPORTS]);
    wr_wheel_init(&loop.wheel, 0);
    loop.pool.posted_count = 1;
    loop.pool.buf_size = WR_POOL_INC_SIZE;
    wr_budget_init(&loop.budget, &loop.pool, 64 * MIB, 64 * MIB);
    memset(t, 0, sizeof(*t));
    wr_transport_init(t, &loop, &ops);
    wr_ready_init(&t->step, run_step);
    wr_intake_init(t);
    wr_life_begin(t, WR_LIFE_OPEN);
    step_count = freed_count = fed_count = 0;
}

static void run_steps(void)
{
    while (!wr_list_is_empty(&loop.ready)) {
        struct wr_ready *ready =
            wr_container_of(loop.ready.next, struct wr_ready, link);
        wr_list_remove(&ready->link);
        ready->run(ready);
    }
}

/* Holds @bytes in one lease, as the pool would count them. */
static void hold(uint64_t bytes)
{
    t->demand.account.held_bytes = bytes;
    t->demand.account.lease_count = bytes > 0;
    loop.pool.held_bytes = bytes;
}

/* Releases the lease, like the pool. */
static void give_back(void)
{
    hold(0);
    if (t->demand.account.notify_released) {
        t->demand.account.ops->released(&t->demand.account);
    }
}

static void feed_starved(void)
{
    struct wr_feeding round;
    struct wr_demand *demand;

    cr_assert(wr_budget_begin_starved(&loop.budget, &round));
    while ((demand = wr_budget_next_starved(&loop.budget, &round))) {
        wr_demand_feed(demand, WR_DEMAND_STARVED);
    }
    wr_budget_end_starved(&loop.budget, &round);
}

static void with_intake(void (*body)(void))
{
    setup();
    body();
}

/* Runs the step that loses a connection. */
static void lose(void)
{
    wr_life_doom(t);
    wr_life_set_state(t, WR_LIFE_ENDING);
    wr_life_lose(t);
}

UNIT(intake, credit_is_given_and_nothing_is_waited_for)
{
    expect_geq(wr_intake_ask(t), WR_CREDIT_MIN);

    cr_assert(!wr_intake_waits(t));
    cr_assert(!t->held_back);
    wr_intake_check_invariants(t);
}

UNIT(intake, at_its_own_limit_it_waits_for_its_leases_alone)
{
    hold(WR_READ_LIMIT_DEFAULT);

    expect_eq(wr_intake_ask(t), 0);

    cr_assert(wr_intake_waits(t));
    cr_assert(!wr_intake_is_queued(t));
    cr_assert(t->held_back);
    give_back();
    cr_assert(!wr_intake_waits(t));
    run_steps();
    expect_eq(step_count, 1);
    expect_geq(wr_intake_ask(t), WR_CREDIT_MIN);
    cr_assert(wr_intake_goes_on(t));
    cr_assert(!wr_intake_goes_on(t));
}

UNIT(intake, above_its_share_it_starves_and_waits_for_its_leases_too)
{
    hold(WR_READ_LIMIT_DEFAULT / 2);
    loop.pool.held_bytes = 64 * MIB; /* bytes of others */

    expect_eq(wr_intake_ask(t), 0);

    expect_eq(t->demand.state, WR_DEMAND_STARVED);
    cr_assert(t->demand.account.notify_released);
    expect_str_eq(wr_intake_queue_name(t), "starved");
    wr_intake_check_invariants(t);
    give_back();
    cr_assert(!wr_intake_is_queued(t));
    run_steps();
    expect_eq(step_count, 1);
}

UNIT(intake, one_that_is_fed_asks_at_once_and_is_not_told_of_leases)
{
    hold(WR_READ_LIMIT_DEFAULT / 2);
    loop.pool.held_bytes = 64 * MIB;
    expect_eq(wr_intake_ask(t), 0);
    loop.pool.held_bytes = WR_READ_LIMIT_DEFAULT / 2;

    feed_starved();

    expect_eq(fed_count, 1);
    expect_eq(fed_from, WR_DEMAND_STARVED);
    cr_assert(!wr_intake_waits(t));
    expect_geq(wr_intake_ask(t), WR_CREDIT_MIN);
    give_back();
    cr_assert(wr_list_is_empty(&loop.ready));
}

UNIT(intake, one_whose_bytes_are_stuck_waits_until_they_are_sent)
{
    loop.budget.queued_bytes = 64 * MIB;
    t->demand.stuck_bytes = 32 * MIB;

    expect_eq(wr_intake_ask(t), 0);

    expect_eq(t->demand.state, WR_DEMAND_STUCK);
    cr_assert(wr_intake_waits(t));
    expect_str_eq(wr_intake_queue_name(t), "stuck");
    wr_intake_look_anew(t);
    cr_assert(!wr_intake_waits(t));
    run_steps();
    expect_eq(step_count, 1);
}

UNIT(intake, asking_uncounted_keeps_the_last_credit_that_a_poll_in_vain_clears)
{
    expect_geq(wr_intake_ask(t), WR_CREDIT_MIN);
    const uint32_t window = t->demand.window;
    hold(WR_READ_LIMIT_DEFAULT);

    expect_eq(wr_intake_ask_uncounted(t), 0);
    expect_gt(t->demand.last_credit, 0);
    wr_intake_look_anew(t);
    cr_assert(!wr_intake_may_poll(t));
    expect_eq(t->demand.last_credit, 0);

    expect_eq(t->demand.window, window); /* the minimum */
    cr_assert(wr_intake_waits(t));
    give_back();
    cr_assert(wr_intake_may_poll(t));
}

UNIT(intake, one_that_is_due_keeps_its_place_when_leases_are_given_back)
{
    hold(WR_READ_LIMIT_DEFAULT);
    expect_eq(wr_intake_ask(t), 0);
    wr_intake_make_due(t);

    give_back();

    expect_eq(t->demand.state, WR_DEMAND_DUE);
    expect_str_eq(wr_intake_queue_name(t), "due");
    struct wr_demand *demand = wr_budget_next_due(&loop.budget);
    expect_eq(demand, &t->demand);
    wr_demand_feed(demand, WR_DEMAND_DUE);
    expect_eq(fed_from, WR_DEMAND_DUE);
}

UNIT(intake, it_may_leave_a_queue_that_it_is_not_in)
{
    wr_intake_leave(t);
    wr_intake_starve(t);
    wr_intake_leave(t);
    wr_intake_leave(t);
    cr_assert(!wr_intake_waits(t));
    cr_assert(wr_list_is_empty(&loop.budget.starved));
}

UNIT(intake, a_larger_limit_ends_the_wait_for_credit)
{
    hold(WR_READ_LIMIT_DEFAULT);
    expect_eq(wr_intake_ask(t), 0);

    wr_intake_set_limit(t, 2 * WR_READ_LIMIT_DEFAULT);

    run_steps();
    expect_eq(step_count, 1);
    expect_geq(wr_intake_ask(t), WR_CREDIT_MIN);
}

UNIT(intake, a_limit_may_be_set_when_the_connection_is_lost)
{
    lose();
    wr_ready_cancel(&t->step);

    wr_intake_set_limit(t, MIB);

    cr_assert(t->demand.account.notify_released);
    cr_assert(wr_list_is_empty(&loop.ready));
}

UNIT(intake, the_last_lease_of_a_lost_connection_lets_its_kind_free_it)
{
    hold(100);
    lose();
    wr_transport_unref(t);
    expect_eq(freed_count, 0);

    give_back();

    expect_eq(freed_count, 1);
}

static struct wr_timer rest;

static void rested(struct wr_timer *timer)
{
    expect_eq(timer, &rest);
}

UNIT(intake, without_any_buffer_it_starves)
{
    wr_timer_init(&rest, rested);
    loop.pool.posted_count = 0;

    wr_intake_lack_buffer(t, &rest);

    expect_eq(t->demand.state, WR_DEMAND_STARVED);
    cr_assert(!wr_timer_is_armed(&rest));
    expect_eq(loop.budget.starved_count, 1);
}

UNIT(intake, it_rests_while_the_kernel_has_the_buffers)
{
    wr_timer_init(&rest, rested);

    wr_intake_lack_buffer(t, &rest);

    cr_assert(wr_timer_is_armed(&rest));
    cr_assert(t->held_back);
    cr_assert(!wr_intake_is_queued(t));
    expect_eq(loop.budget.starved_count, 1);
    wr_timer_cancel(&loop.wheel, &rest);
}

UNIT_ABORTS(intake, none_waits_although_there_is_credit, "false")
{
    setup();
    wr_intake_wait(t, WR_SHORTAGE_NONE);
}

UNIT_ABORTS(intake, none_waits_for_its_leases_that_has_none,
            "wr_intake_waits(t)")
{
    setup();
    wr_intake_wait(t, WR_SHORTAGE_LIMIT);
}

UNIT_ABORTS(intake, none_starves_while_it_is_due,
            "edges[demand->state] & 1u << state")
{
    setup();
    wr_intake_make_due(t);
    wr_intake_starve(t);
}

UNIT_ABORTS(intake, none_is_fed_that_is_still_in_its_queue,
            "demand->state == WR_DEMAND_IDLE && queue != WR_DEMAND_IDLE")
{
    setup();
    wr_intake_make_due(t);
    wr_demand_feed(&t->demand, WR_DEMAND_DUE);
}

UNIT_ABORTS(intake, none_rests_twice_at_a_time, "!wr_timer_is_armed(rest)")
{
    setup();
    wr_timer_init(&rest, rested);
    wr_intake_rest(t, &rest);
    wr_intake_rest(t, &rest);
}

UNIT_ABORTS(intake, none_that_is_lost_seeks_credit, "t->state != WR_LIFE_LOST")
{
    setup();
    lose();
    wr_intake_seek_credit(t);
}
