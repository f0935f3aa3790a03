/*
 * Moves to another loop that fail or are cancelled: the connection stays where
 * it was with everything, or ends as the program requested, and done reports
 * the reason.
 *
 * The other loop does not run while it must not have taken the connection.
 */
#define UNIT_RUN   mover_test
#define UNIT_TAKES struct mover *m
#include "tests/contract/move_rig.h"

#include <sys/wait.h>

/* Starts a move to a loop that does not run, and lets it be offered. */
static void offer(struct mover *m)
{
    m->sides[THERE].stands = true;
    expect_eq(mover_begin(m), 0);
    mover_turn(m, 10);
    expect_eq(m->done_count, 0);
}

static void expect_back(struct mover *m, int err)
{
    MOVER_UNTIL(m, mover_is_done(m));
    expect_eq(m->done_err, err);
    expect_eq(m->at, HERE);
    mover_talk(m);
    mover_expect(m, THERE, "");
}

UNIT(move_back, the_error_of_the_factory_brings_it_back)
{
    m->factory_err = -EPROTO;
    mover_fail(m, -EPROTO);
    expect_back(m, -EPROTO);
    mover_expect(m, HERE, "made data");
    m->factory_err = 0;
    mover_move(m);
    mover_talk(m);
}

UNIT(move_back, the_error_of_the_factory_loses_no_byte)
{
    expect_eq(weir_transport_pause_reading(mover_t(m)), 0);
    mover_send(m, 1000);
    mover_clog(m);
    m->factory_err = -EPROTO;
    mover_fail(m, -EPROTO);

    expect_gt(weir_transport_get_write_buffer_size(mover_t(m)), 0);
    mover_read(m, m->written - m->peer_received);
    expect_eq(weir_transport_resume_reading(mover_t(m)), 0);
    MOVER_UNTIL(m, m->received == m->peer_sent);
    mover_talk(m);
}

UNIT(move_back, a_protocol_that_does_not_fit_brings_it_back)
{
    static CALLBACKS(none, DATAGRAM);
    m->protocol = &none;
    mover_fail(m, -EINVAL);
    expect_back(m, -EINVAL);
}

UNIT(move_back, a_loop_that_was_freed_takes_nothing)
{
    mover_free_loop(m, THERE);
    mover_fail(m, -ESHUTDOWN);
    expect_back(m, -ESHUTDOWN);
}

UNIT(move_back, a_loop_that_is_freed_first_gives_it_back)
{
    offer(m);
    mover_free_loop(m, THERE);
    expect_back(m, -ESHUTDOWN);
}

UNIT(move_back, what_waits_in_both_directions_comes_back_too)
{
    mover_clog(m);
    m->sides[THERE].stands = true;
    expect_eq(mover_begin(m), 0);
    mover_send(m, 5000);
    mover_turn(m, 10);
    expect_eq(m->received, 0);
    mover_free_loop(m, THERE);

    MOVER_UNTIL(m, mover_is_done(m));

    mover_receive(m, 10);
    mover_read(m, m->written - m->peer_received);
    mover_turn(m, 5);
    mover_talk(m);
    cr_assert(strstr(m->sides[HERE].events, "resume"));
}

UNIT(move_back, a_protocol_that_was_paused_is_resumed_when_it_is_back)
{
    mover_clog(m);
    offer(m);
    weir_pending_cancel(m->pending);
    mover_read(m, m->written - m->peer_received);
    expect_back(m, -ECANCELED);
    mover_expect(m, HERE, "made pause resume data");
}

UNIT(move_back, a_protocol_is_resumed_for_bytes_that_left_meanwhile)
{
    const struct weir_water_marks marks = {.high_bytes = 10, .low_bytes = 5};
    expect_eq(weir_transport_set_write_buffer_limits(mover_t(m), marks), 0);
    mover_write(m, 100);
    expect_geq(weir_loop_run_once(m->sides[HERE].loop), 0);
    m->factory_err = -EPROTO;
    mover_fail(m, -EPROTO);
    mover_turn(m, 5);
    mover_expect(m, HERE, "made pause resume");
}

static void begin_inside(struct mover *m)
{
    m->in_data = NULL;
    expect_eq(mover_begin(m), 0);
}

UNIT(move_back, an_end_that_came_meanwhile_is_told_here)
{
    mover_talk(m);
    m->eof_result = 1;
    m->factory_err = -EPROTO;
    m->in_data = begin_inside;
    mover_send(m, 100);
    expect_eq(shutdown(m->peer, SHUT_WR), 0);
    MOVER_UNTIL(m, mover_is_done(m));
    MOVER_UNTIL(m, strstr(m->sides[HERE].events, "eof") != NULL);
    mover_expect(m, HERE, "made data eof");
}

UNIT(move_back, it_can_be_given_up_at_once_or_when_it_was_offered)
{
    expect_eq(mover_begin(m), 0);
    weir_pending_cancel(m->pending);
    weir_pending_cancel(m->pending);
    expect_eq(m->done_count, 0, "never from inside the call");
    expect_back(m, -ECANCELED);

    offer(m);
    weir_pending_cancel(m->pending);
    expect_back(m, -ECANCELED);
    m->sides[THERE].stands = false;
    mover_turn(m, 5);
    mover_expect(m, THERE, "");

    mover_move(m);
    mover_talk(m);
}

UNIT(move_back, reading_that_is_paused_or_resumed_meanwhile_stays_so)
{
    offer(m);
    expect_eq(weir_transport_pause_reading(mover_t(m)), 0);
    weir_pending_cancel(m->pending);
    MOVER_UNTIL(m, mover_is_done(m));
    mover_send(m, 100);
    mover_turn(m, 20);
    expect_eq(m->received, 0);

    offer(m);
    expect_eq(weir_transport_resume_reading(mover_t(m)), 0);
    weir_pending_cancel(m->pending);
    MOVER_UNTIL(m, mover_is_done(m));
    mover_receive(m, 1);
}

UNIT(move_back, a_close_holds_and_sends_what_was_written)
{
    mover_clog(m);
    offer(m);
    expect_eq(weir_transport_close(mover_t(m)), 0);

    expect_eq(mover_read_end(m), 0);
    expect_eq(m->peer_received, m->written);
    MOVER_UNTIL(m, mover_is_lost(m));
    MOVER_UNTIL(m, mover_is_done(m));
    expect_eq(m->done_err, -ECANCELED);
    expect_eq(m->sides[HERE].lost_err, 0);
}

UNIT(move_back, an_abort_holds)
{
    offer(m);
    expect_eq(weir_transport_abort(mover_t(m)), 0);
    MOVER_UNTIL(m, mover_is_done(m));

    expect_eq(m->done_err, -ECANCELED);
    mover_expect(m, HERE, "made lost");
    expect_eq(mover_read_end(m), m->is_unix ? 0 : -ECONNRESET);
    m->sides[THERE].stands = false;
    mover_turn(m, 5);
    mover_expect(m, THERE, "");
}

UNIT(move_back, a_close_or_an_abort_before_it_is_offered_holds)
{
    expect_eq(mover_begin(m), 0);
    expect_eq(weir_transport_close(mover_t(m)), 0);
    MOVER_UNTIL(m, mover_is_done(m));
    expect_eq(m->done_err, -ECANCELED);
    MOVER_UNTIL(m, mover_is_lost(m));
    mover_expect(m, HERE, "made lost");
}

UNIT(move_back, a_reset_during_the_move_is_told_where_the_connection_is)
{
    const struct linger at_once = {.l_onoff = 1};
    if (m->is_unix) {
        return; /* a Unix socket has no reset */
    }
    offer(m);
    expect_ok(
        setsockopt(m->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
    close(m->peer);
    m->peer = -1;
    weir_pending_cancel(m->pending);
    MOVER_UNTIL(m, mover_is_lost(m));
    expect_eq(m->sides[HERE].lost_err, -ECONNRESET);
    mover_expect(m, HERE, "made lost");
}

UNIT(move_back, the_old_loop_may_be_freed_while_it_is_offered)
{
    offer(m);
    mover_free_loop(m, HERE);

    mover_expect(m, HERE, "made lost");
    expect_eq(m->done_err, -ECANCELED);
    expect_eq(mover_read_end(m), m->is_unix ? 0 : -ECONNRESET);
    m->sides[THERE].stands = false;
    mover_turn(m, 5);
    mover_expect(m, THERE, "");
}

UNIT(move_back, the_old_loop_may_be_freed_before_it_is_offered)
{
    expect_eq(mover_begin(m), 0);
    mover_free_loop(m, HERE);
    mover_expect(m, HERE, "made lost");
    expect_eq(m->done_err, -ECANCELED);
}

UNIT(move_back, the_old_loop_may_be_freed_when_the_other_has_it)
{
    m->sides[THERE].stands = true;
    expect_eq(mover_begin(m), 0);
    mover_turn(m, 10);
    m->sides[HERE].stands = true;
    m->sides[THERE].stands = false;
    mover_turn(m, 10);
    expect_eq(m->done_count, 0);
    mover_expect(m, THERE, "made");

    mover_free_loop(m, HERE);

    mover_expect(m, HERE, "made moved");
    expect_eq(m->done_err, 0);
    mover_talk(m);
}

UNIT(move_back, the_old_loop_may_be_freed_when_the_other_has_refused_it)
{
    m->factory_err = -EPROTO;
    m->sides[THERE].stands = true;
    expect_eq(mover_begin(m), 0);
    mover_turn(m, 10);
    m->sides[HERE].stands = true;
    m->sides[THERE].stands = false;
    mover_turn(m, 10);

    mover_free_loop(m, HERE);

    mover_expect(m, HERE, "made lost");
    expect_eq(m->done_count, 1);
    expect_eq(mover_read_end(m), m->is_unix ? 0 : -ECONNRESET);
}

static void close_here(struct mover *m, weir_transport *t)
{
    expect_eq(weir_transport_close(m->sides[HERE].t), 0);
    weir_pending_cancel(m->pending);
}

UNIT(move_back, a_close_that_comes_too_late_holds_if_it_comes_back)
{
    m->in_factory = close_here;
    m->factory_err = -EPROTO;
    mover_fail(m, -EPROTO);
    MOVER_UNTIL(m, mover_is_lost(m));
    mover_expect(m, HERE, "made lost");
    expect_eq(mover_read_end(m), 0);
}

UNIT(move_back, a_close_that_comes_too_late_does_nothing_otherwise)
{
    m->in_factory = close_here;
    mover_move(m);
    mover_expect(m, HERE, "made moved");
    mover_talk(m);
}

static void abort_here(struct mover *m, weir_transport *t)
{
    expect_eq(weir_transport_abort(m->sides[HERE].t), 0);
}

UNIT(move_back, an_abort_that_comes_too_late_holds_if_it_comes_back)
{
    m->in_factory = abort_here;
    m->factory_err = -EPROTO;
    mover_fail(m, -EPROTO);
    MOVER_UNTIL(m, mover_is_lost(m));
    mover_expect(m, HERE, "made lost");
    expect_eq(mover_read_end(m), m->is_unix ? 0 : -ECONNRESET);
}

UNIT(move_back, an_abort_that_comes_too_late_does_nothing_otherwise)
{
    m->in_factory = abort_here;
    mover_move(m);
    mover_expect(m, HERE, "made moved");
    mover_talk(m);
}

static void free_here(struct mover *m, weir_transport *t)
{
    mover_free_loop(m, HERE);
    mover_expect(m, HERE, "made moved");
    expect_eq(m->done_count, 1);
    expect_eq(m->done_err, -ECANCELED);
}

UNIT(move_back, the_old_loop_may_be_freed_inside_the_factory)
{
    m->in_factory = free_here;
    expect_eq(mover_begin(m), 0);
    while (m->sides[THERE].events[0] == '\0') {
        mover_turn(m, 1);
    }
    mover_talk(m);
}

UNIT(move_back, without_its_old_loop_a_connection_that_is_refused_is_reset)
{
    m->in_factory = free_here;
    m->factory_err = -EPROTO;
    expect_eq(mover_begin(m), 0);
    expect_eq(mover_read_end(m), m->is_unix ? 0 : -ECONNRESET);
    mover_expect(m, THERE, "");
}

UNIT(move_back, a_forked_child_moves_nothing)
{
    const pid_t child = fork();
    if (child == 0) {
        _exit(mover_begin(m) == -ECHILD ? 0 : 1);
    }

    expect_eq(end_of(child), 0);
    mover_talk(m);
}
