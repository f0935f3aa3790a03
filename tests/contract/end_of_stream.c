/*
 * The peer's last byte: rules R8, R9, R11 and R12c. (R10 is with the buffered
 * protocols.)
 *
 * eof_received comes once, after the last byte, and decides: 0 closes, what
 * waits is sent first; a positive result keeps the writing side. A peer that
 * goes while nothing is read from it is noticed all the same.
 */
#include "tests/contract/harness.h"

PAIRS(end_of_stream, r8__eof_received_comes_after_the_last_byte, rig,
      .needs = RIG_RECEIVES)
{
    rig_peer_send(rig, 300000);
    rig_peer_shutdown(rig);
    rig_wait_lost(rig);

    expect_events(rig, "made data eof lost");
    expect_eq(rig->received, 300000);
    expect_eq(rig->lost_err, 0);
}

PAIRS(end_of_stream, r8__zero_closes_and_sends_what_waits, rig,
      .small_buffers = true)
{
    rig_clog(rig);
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");
    rig_turns(rig, 5);
    expect_eq(rig->lost_count, 0);
    expect(weir_transport_is_closing(rig->t));

    expect_eq(rig_peer_read_end(rig), 0);

    rig_wait_lost(rig);
    expect_eq(rig->peer_received, rig->written);
    expect_eq(rig->lost_err, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_EOF);
}

PAIRS(end_of_stream, r8__a_positive_result_keeps_the_writing_side, rig,
      .eof_result = 1)
{
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");
    expect(!weir_transport_is_closing(rig->t));

    expect_eq(rig_write(rig, 100000), 0);
    rig_peer_read(rig, 100000);

    expect_eq(rig->lost_count, 0);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

static int write_last_words(struct rig *rig)
{
    expect_eq(rig_write(rig, 1000), 0);
    return 0;
}

PAIRS(end_of_stream, r8__what_eof_received_writes_is_sent_before_the_close, rig,
      .hooks = {.eof_received = write_last_words})
{
    rig_peer_shutdown(rig);

    expect_eq(rig_peer_read_end(rig), 0);

    expect_eq(rig->peer_received, 1000);
    rig_expect_lost(rig, 0);
}

static int abort_at_eof(struct rig *rig)
{
    expect_eq(weir_transport_abort(rig->t), 0);
    return 1;
}

PAIRS(end_of_stream, r8__eof_received_may_abort, rig, .needs = RIG_RECEIVES,
      .hooks = {.eof_received = abort_at_eof})
{
    rig_peer_shutdown(rig);
    rig_expect_lost(rig, 0);

    expect_events(rig, "made eof lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
}

PAIRS(end_of_stream, r9__pause_and_resume_bring_no_second_eof_received, rig,
      .eof_result = 1)
{
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");
    expect(!weir_transport_is_reading(rig->t));

    for (int i = 0; i < 3; i++) {
        expect_eq(weir_transport_pause_reading(rig->t), 0);
        rig_turns(rig, 3);
        expect_eq(weir_transport_resume_reading(rig->t), 0);
        rig_turns(rig, 3);
    }

    expect_events(rig, "made eof");
    expect(!weir_transport_is_reading(rig->t));
}

static int pause_and_resume(struct rig *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    return 1;
}

PAIRS(end_of_stream, r9__nor_do_they_inside_eof_received, rig,
      .hooks = {.eof_received = pause_and_resume})
{
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");

    rig_turn_for(rig, 5 * RIG_MS);

    expect_events(rig, "made eof");
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

/* Runs, waiting in the kernel, and counts the turns. */
static uint64_t turns_in(struct rig *rig, uint64_t time_ns)
{
    bool over = false;
    const uint64_t before = rig_statistics(rig).turns;
    expect_ok(weir_loop_call_later(rig->loop, time_ns, set_true, &over, NULL));
    RUN_UNTIL(rig->loop, over);
    return rig_statistics(rig).turns - before;
}

PAIRS(end_of_stream, r11__a_half_closed_connection_stays_and_does_not_spin, rig,
      .eof_result = 1)
{
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");

    const uint64_t turns = turns_in(rig, 50 * RIG_MS);

    expect(turns < 20);
    expect_events(rig, "made eof");
    expect(!weir_transport_is_closing(rig->t));
}

PAIRS(end_of_stream, r11__with_both_sides_ended_it_still_waits_for_close, rig,
      .eof_result = 1)
{
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");
    expect_eq(weir_transport_write_eof(rig->t), 0);

    const uint64_t turns = turns_in(rig, 50 * RIG_MS);

    expect(turns < 20);
    expect_events(rig, "made eof");
    expect_eq(weir_transport_close(rig->t), 0);
    rig_expect_lost(rig, 0);
}

PAIRS(end_of_stream, r12c__an_eof_while_paused_waits_for_resume, rig,
      .needs = RIG_RECEIVES)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    rig_turn(rig);
    rig_peer_send(rig, 5000);
    rig_peer_shutdown(rig);

    const uint64_t turns = turns_in(rig, 50 * RIG_MS);
    expect(turns < 20);
    expect_events(rig, "made");
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_wait_lost(rig);

    expect_events(rig, "made data eof lost");
    expect_eq(rig->received, 5000);
}

PAIRS(end_of_stream, r12c__an_eof_without_data_while_paused_waits_for_resume,
      rig, .needs = RIG_RECEIVES)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    rig_turn(rig);
    rig_peer_shutdown(rig);
    rig_turn_for(rig, 10 * RIG_MS);
    expect_events(rig, "made");

    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_wait_lost(rig);

    expect_events(rig, "made eof lost");
}

PAIRS(end_of_stream, r12c__a_reset_while_paused_is_noticed, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    rig_turns(rig, 3);
    rig_peer_reset(rig);

    rig_expect_lost(rig, -ECONNRESET);

    expect_events(rig, "made lost");
}

static void pause_it(struct rig *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
}

PAIRS(end_of_stream, r12c__a_reset_is_noticed_when_nothing_was_ever_read, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET,
      .hooks = {.connection_made = pause_it})
{
    rig_peer_reset(rig);

    rig_expect_lost(rig, -ECONNRESET);

    expect_events(rig, "made lost");
}

PAIRS(end_of_stream, r12c__a_reset_is_noticed_after_the_end_of_stream, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET, .eof_result = 1)
{
    rig_peer_shutdown(rig);
    rig_wait_event(rig, "eof");
    rig_turns(rig, 3);
    rig_peer_reset(rig);

    rig_wait_lost(rig);

    /* Linux says EPIPE when a FIN came before the reset. */
    expect(rig->lost_err == -EPIPE || rig->lost_err == -ECONNRESET);
    expect_events(rig, "made eof lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
}

PAIRS(end_of_stream, r12c__a_reset_is_noticed_after_an_eof_seen_while_paused,
      rig, .needs = RIG_BOTH_WAYS | RIG_CAN_RESET,
      .hooks = {.connection_made = pause_it})
{
    rig_peer_shutdown(rig);
    rig_turn_for(rig, 5 * RIG_MS); /* the watch has seen it */
    rig_peer_reset(rig);

    rig_wait_lost(rig);

    expect(rig->lost_err < 0);
    expect_events(rig, "made lost");
}
