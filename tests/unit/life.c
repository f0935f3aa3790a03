/*
 * The steps of a connection's life, without a connection: which steps there
 * are, and what they do to the outbox, the delivery, the loop and a server's
 * set.
 *
 * The transport uses only the outbox, the delivery and the account of received
 * bytes. Its loop has only lists, counts and a clock.
 */
#include "lib/transport/life.h"

#include "tests/death.h"
#include "tests/unit/table.h"

static weir_loop loop;
static const void *volatile thread = &loop;
static struct wr_connection owner;
static weir_transport *const t = &owner.t;
static int step_count;
static int freed_count;
static int forget_count;

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

static void forget(struct wr_connection_set *set, weir_transport *of)
{
    expect_eq(of->set, set);
    forget_count++;
}

static const struct wr_transport_ops stream_ops = {
    .name = "stream",
    .size = sizeof(struct wr_connection),
    TABLE_REST,
    TABLE_DEVICE,
    .doom = table_not_called,
    .queued = table_not_queued,
    .abort = table_not_called,
    .abandon = table_not_called,
    .check = table_not_checked,
    .free = free_it,
};

/* Datagrams have neither. */
static const struct wr_transport_ops datagram_ops = {
    .name = "datagram",
    TABLE_REST,
    .abort = table_not_called,
    .abandon = table_not_called,
    .check = table_not_checked,
    .free = free_it,
};

static void setup(const struct wr_transport_ops *ops)
{
    memset(&loop, 0, sizeof(loop));
    loop.owner = &thread;
    wr_list_init(&loop.ready);
    wr_list_init(&loop.members[WR_STAGE_TRANSPORTS]);
    wr_wheel_init(&loop.wheel, 0);
    memset(&owner, 0, sizeof(owner));
    wr_transport_init(t, &loop, ops);
    wr_ready_init(&t->step, run_step);
    step_count = freed_count = forget_count = 0;
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

static void begin(const struct wr_transport_ops *ops)
{
    setup(ops);
    wr_life_begin(t, WR_LIFE_OPEN);
    wr_loop_add_member(&loop, &t->member);
}

/* Runs the step that loses a connection. */
static void lose(void)
{
    wr_life_doom(t);
    wr_life_set_state(t, WR_LIFE_ENDING);
    wr_life_lose(t);
}

UNIT(life, the_program_may_write_from_the_birth_to_the_close)
{
    begin(&stream_ops);
    expect_eq(owner.outbox.state, WR_OUTBOX_OPEN);
    cr_assert(wr_delivery_is_free(&owner.delivery));

    wr_life_set_state(t, WR_LIFE_CLOSING);

    expect_eq(owner.outbox.state, WR_OUTBOX_CLOSING);
    cr_assert(wr_delivery_is_shut(&owner.delivery));
}

UNIT(life, what_was_written_during_a_handshake_stays_in_the_outbox)
{
    setup(&stream_ops);
    wr_life_begin(t, WR_LIFE_HANDSHAKING);
    expect_eq(owner.outbox.state, WR_OUTBOX_NEW);
    wr_outbox_open(&owner.outbox); /* its protocol already knows it */
    wr_outbox_end(&owner.outbox);

    wr_life_set_state(t, WR_LIFE_OPEN);

    expect_eq(owner.outbox.state, WR_OUTBOX_ENDED);
}

UNIT(life, a_doomed_connection_takes_nothing_and_runs_its_step_once)
{
    begin(&stream_ops);

    wr_life_doom(t);
    wr_life_doom(t);

    expect_eq(t->state, WR_LIFE_DOOMED);
    expect_eq(owner.outbox.state, WR_OUTBOX_SHUT);
    cr_assert(wr_delivery_is_shut(&owner.delivery));
    run_steps();
    expect_eq(step_count, 1);
}

UNIT(life, one_that_the_peer_has_left_stays_so_when_it_is_doomed)
{
    begin(&stream_ops);
    wr_outbox_lose_peer(&owner.outbox);

    wr_life_doom(t);

    expect_eq(owner.outbox.state, WR_OUTBOX_GONE);
}

UNIT(life, a_handshake_and_a_wait_for_the_peer_can_be_doomed)
{
    setup(&stream_ops);
    wr_life_begin(t, WR_LIFE_HANDSHAKING);
    wr_life_doom(t);
    expect_eq(t->state, WR_LIFE_DOOMED);
    expect_eq(owner.outbox.state, WR_OUTBOX_SHUT);

    begin(&stream_ops);
    wr_life_set_state(t, WR_LIFE_CLOSING);
    wr_life_set_state(t, WR_LIFE_LINGERING);
    wr_life_doom(t);
    expect_eq(t->state, WR_LIFE_DOOMED);
}

UNIT(life, a_connection_that_ends_is_not_doomed_again)
{
    begin(&stream_ops);
    wr_life_doom(t);
    run_steps();
    wr_life_set_state(t, WR_LIFE_ENDING);

    wr_life_doom(t);

    expect_eq(t->state, WR_LIFE_ENDING);
    cr_assert(wr_list_is_empty(&loop.ready));
}

UNIT(life, a_kind_may_do_without_an_outbox_and_a_delivery)
{
    begin(&datagram_ops);

    wr_life_set_state(t, WR_LIFE_CLOSING);
    wr_life_doom(t);

    expect_eq(owner.outbox.state, WR_OUTBOX_NEW);
    cr_assert(!wr_delivery_is_shut(&owner.delivery));
}

UNIT(life, the_loop_counts_it_and_forgets_it_when_it_leaves)
{
    begin(&stream_ops);
    expect_eq(loop.pin_count, 1);
    expect_eq(loop.budget.account_count, 1);
    struct wr_connection_set_ops set_ops = {.forget = forget};
    struct wr_connection_set set = {.ops = &set_ops};
    t->set = &set;
    lose();
    cr_assert(t->demand.account.notify_released);
    expect_eq(forget_count, 0);
    wr_life_leave(t);

    expect_eq(loop.budget.account_count, 0);
    expect_eq(loop.member_counts[WR_STAGE_TRANSPORTS], 0);
    expect_eq(forget_count, 1);
    cr_assert_null(t->set);
    cr_assert(wr_list_is_empty(&loop.ready));
    expect_eq(freed_count, 1);
    expect_eq(loop.pin_count, 0);
}

UNIT(life, one_whose_place_was_taken_leaves_no_list)
{
    begin(&stream_ops);
    wr_loop_remove_member(&loop, &t->member);
    t->is_below = true;
    lose();

    wr_life_leave(t);

    expect_eq(loop.member_counts[WR_STAGE_TRANSPORTS], 0);
    expect_eq(freed_count, 1);
}

UNIT(life, it_is_freed_when_neither_a_reference_nor_a_lease_is_left)
{
    begin(&stream_ops);
    weir_transport_ref(t);
    t->demand.account.lease_count = 1;
    lose();
    wr_life_leave(t);
    wr_transport_unref(t);
    expect_eq(freed_count, 0);
    expect_eq(loop.pin_count, 1);

    t->demand.account.lease_count = 0;
    wr_transport_free_if_unused(t);

    expect_eq(freed_count, 1);
    expect_eq(loop.pin_count, 0);
}

UNIT_ABORTS(life, none_is_lost_before_its_operations_were_cancelled,
            "allowed[state] >> t->state & 1u")
{
    begin(&stream_ops);
    wr_life_doom(t);
    wr_life_lose(t);
}

UNIT_ABORTS(life, none_that_is_lost_comes_back,
            "allowed[state] >> t->state & 1u")
{
    begin(&stream_ops);
    lose();
    wr_life_set_state(t, WR_LIFE_OPEN);
}

UNIT_ABORTS(life, none_lingers_before_it_has_closed,
            "allowed[state] >> t->state & 1u")
{
    begin(&stream_ops);
    wr_life_set_state(t, WR_LIFE_LINGERING);
}

UNIT_ABORTS(life, none_leaves_the_loop_before_it_is_lost,
            "t->state == WR_LIFE_LOST")
{
    begin(&stream_ops);
    wr_life_doom(t);
    wr_life_leave(t);
}

UNIT_ABORTS(life, none_is_doomed_before_it_began, "t->state != WR_LIFE_NEW")
{
    setup(&stream_ops);
    wr_life_doom(t);
}

UNIT_ABORTS(life, none_is_freed_while_it_lives,
            "t->state == WR_LIFE_LOST || t->state == WR_LIFE_NEW")
{
    begin(&stream_ops);
    wr_transport_unref(t);
}

UNIT(life, a_table_may_lack_what_is_asked_for_before)
{
    wr_transport_check_ops(&stream_ops);
    wr_transport_check_ops(&datagram_ops);
}

UNIT_ABORTS(life, no_kind_can_do_without_a_function_that_frees_it,
            "ops->abandon && ops->dump && ops->check && ops->free")
{
    struct wr_transport_ops lacking = datagram_ops;
    lacking.free = NULL;
    wr_transport_check_ops(&lacking);
}

UNIT_ABORTS(life, no_kind_pauses_that_cannot_resume,
            "!ops->pause_reading == !ops->resume_reading")
{
    struct wr_transport_ops lacking = datagram_ops;
    lacking.pause_reading = table_not_called;
    wr_transport_check_ops(&lacking);
}

UNIT_ABORTS(life, no_device_can_do_without_a_function_that_sends,
            "ops->queued && ops->receive && ops->stop && ops->doom")
{
    struct wr_transport_ops lacking = stream_ops;
    lacking.queued = NULL;
    wr_transport_check_ops(&lacking);
}
