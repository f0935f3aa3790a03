/*
 * Errors stick: the first one is kept for good, comes after the data that came
 * before it, and never turns into a clean end of stream.
 *
 * The kernel tells of a reset once and says 0, end of stream, from then on;
 * the connection must not.
 */
#include "tests/contract/rows.h"
#include "tests/marks.h"

PAIRS(sticky_errors, data_before_a_reset_is_delivered_before_it, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET)
{
    rig_peer_send(rig, 50000); /* no turn between this and the reset */
    rig_peer_reset(rig);

    rig_wait_lost(rig);

    expect_events(rig, "made data lost");
    expect_eq(rig->received, 50000);
    expect_eq(rig->lost_err, -ECONNRESET);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
}

PAIRS(sticky_errors, data_kept_while_paused_is_delivered_before_the_reset, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK)
{
    enter_broken(rig);

    expect(weir_transport_is_closing(rig->t));
    rig_turns(rig, 5);
    expect_events(rig, "made");
    leave_broken(rig);
}

static void read_no_more(struct rig *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
}

static void read_on(struct rig *rig)
{
    expect_eq(weir_transport_resume_reading(rig->t), 0);
}

/* As an echo does. */
PAIRS(sticky_errors,
      data_of_who_reads_only_while_it_may_write_comes_before_the_reset, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK, .small_buffers = true,
      .hooks = {.pause_writing = read_no_more, .resume_writing = read_on})
{
    rig_clog(rig);
    rig_peer_send(rig, 100);
    RUN_UNTIL(rig->loop, weir_transport_get_read_buffer_size(rig->t) > 0);

    rig_peer_reset(rig);
    rig_wait_lost(rig);

    expect_events(rig, "made pause resume data lost");
    expect_eq(rig->received, 100);
    expect(rig->lost_err == -ECONNRESET || rig->lost_err == -EPIPE);
}

static void read_on_with_low_marks(struct rig *rig)
{
    read_on(rig);
    expect_eq(set_marks(rig->t, 0, 0), 0);
}

PAIRS(sticky_errors, a_broken_connection_is_not_paused_by_low_marks, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK, .small_buffers = true,
      .hooks = {.pause_writing = read_no_more,
                .resume_writing = read_on_with_low_marks})
{
    rig_clog(rig);
    rig_peer_send(rig, 100);
    RUN_UNTIL(rig->loop, weir_transport_get_read_buffer_size(rig->t) > 0);

    rig_peer_reset(rig);
    rig_wait_lost(rig);

    expect_events(rig, "made pause resume data lost");
    expect_eq(rig->received, 100);
}

PAIRS(sticky_errors, the_error_survives_writes_and_close, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK)
{
    char text[256];
    enter_broken(rig);
    expect_eq(rig_write(rig, 10), -EPIPE);
    expect_eq(weir_transport_write_eof(rig->t), 0);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_wait_lost(rig);
    rig_turns(rig, 3);

    expect_eq(rig->lost_err, -ECONNRESET);
    expect_eq(weir_transport_get_error(rig->t), -ECONNRESET);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
    expect_eq(rig_write(rig, 10), -EPIPE);
    weir_transport_get_error_text(rig->t, text, sizeof(text));
    expect(strstr(text, weir_strerror(-ECONNRESET)) != NULL);
}

PAIRS(sticky_errors, a_reset_with_bytes_waiting_drops_them, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET, .small_buffers = true)
{
    rig_clog(rig);
    rig_peer_reset(rig);
    rig_wait_lost(rig);

    expect(rig->lost_err == -ECONNRESET || rig->lost_err == -EPIPE);
    expect_eq(rig_pending(rig), 0);
    expect_events(rig, "made pause lost");
}

PAIRS(sticky_errors, a_reset_while_a_close_flushes_is_told, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET, .small_buffers = true)
{
    enter_closing_pending(rig);
    rig_peer_reset(rig);
    rig_wait_lost(rig);

    expect(rig->lost_err == -ECONNRESET || rig->lost_err == -EPIPE);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
    expect_events(rig, "made pause lost");
}

PAIRS(sticky_errors, writing_to_a_peer_that_has_gone_breaks_the_connection, rig,
      .eof_result = 1)
{
    rig_peer_close(rig);
    rig_wait_event(rig, "eof");
    expect_eq(rig_write(rig, 1000), 0);
    while (rig->lost_count == 0) { /* the first only provoke the reset */
        rig_turn_for(rig, RIG_MS);
        rig_write(rig, 1000);
    }

    expect(rig->lost_err == -ECONNRESET || rig->lost_err == -EPIPE);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
    expect_events(rig, "made eof lost");
}

PAIRS(sticky_errors, a_peer_that_closes_without_reading_is_an_error, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_PLAIN)
{
    expect_eq(rig_write(rig, 1000), 0);
    rig_peer_await(rig, 1000);
    rig_peer_close(rig); /* with unread bytes: the kernel resets */
    rig_expect_lost(rig, -ECONNRESET);
    expect_events(rig, "made lost");
}

static int refuse(struct rig *rig, const struct weir_buf *buf)
{
    return -EPROTO;
}

PAIRS(sticky_errors, a_callback_that_fails_later_does_not_replace_the_first,
      rig, .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK,
      .hooks = {.data_received = refuse})
{
    enter_broken(rig);

    leave_broken(rig);

    expect_eq(weir_transport_get_error(rig->t), -ECONNRESET);
    expect_eq(rig->exception_err, -EPROTO);
}

static struct {
    weir_lease *leases[64];
    int count;
} kept;

static int keep_it(struct rig *rig, const struct weir_buf *buf)
{
    struct weir_buf copy = *buf;
    expect(kept.count < 64);
    expect_eq(weir_buf_ref(&copy), 0);
    kept.leases[kept.count++] = copy.lease;
    return 0;
}

static void give_back(void)
{
    while (kept.count > 0) {
        weir_buf_unref(kept.leases[--kept.count]);
    }
}

/* Held back by its limit, and more in the kernel. Who finds the reset out is a
 * send that fails, or with nothing to send the watch. */
static void break_at_the_limit(bool sends)
{
    struct rig rig = {
        .hooks = {.data_received = keep_it},
        .small_buffers = true,
        .connection = {.size = sizeof(struct weir_connection_options),
                       .read_limit_bytes = 4096}};
    while (rig_next_that(&rig, RIG_CAN_BREAK)) {
        if (sends) {
            rig_clog(&rig);
        }
        rig_peer_send(&rig, 20000);
        rig_wait_event(&rig, "data");
        rig_turn_for(&rig, 5 * RIG_MS);
        expect(rig.received <= 4096);
        rig_peer_reset(&rig);
        RUN_UNTIL(rig.loop, weir_transport_get_error(rig.t) != 0);

        while (rig.lost_count == 0) {
            give_back();
            rig_turn_for(&rig, RIG_MS);
        }

        expect(strstr(rig.events, "eof") == NULL);
        expect_eq(rig.received, 20000);
        expect(rig.lost_err == -ECONNRESET || rig.lost_err == -EPIPE);
        give_back();
    }
}

UNIT(sticky_errors, data_left_in_the_kernel_is_delivered_before_the_reset)
{
    break_at_the_limit(true);
}

UNIT(sticky_errors, a_reset_at_the_limit_is_noticed_and_comes_after_the_data)
{
    break_at_the_limit(false);
}

static int keep_while_it_may_not_write(struct rig *rig,
                                       const struct weir_buf *buf)
{
    return strstr(rig->events, "resume") ? 0 : keep_it(rig, buf);
}

static void give_all_back(struct rig *rig)
{
    give_back();
}

/* As who writes what it has kept. */
#define KEEPING                                                                \
    .needs = RIG_BOTH_WAYS | RIG_CAN_BREAK, .small_buffers = true,             \
    .connection = {.size = sizeof(struct weir_connection_options),             \
                   .read_limit_bytes = 4096},                                  \
    .hooks = {.data_received = keep_while_it_may_not_write,                    \
              .resume_writing = give_all_back}

static void expect_all_before_the_loss(struct rig *rig)
{
    rig_wait_lost(rig);
    expect(strstr(rig->events, "made pause data resume data lost") != NULL);
    expect_eq(rig->received, 20000);
    give_back();
}

PAIRS(sticky_errors,
      data_of_who_keeps_bytes_until_it_may_write_comes_before_the_reset, rig,
      KEEPING)
{
    rig_clog(rig);
    rig_peer_send(rig, 20000);
    rig_wait_event(rig, "data");
    rig_peer_reset(rig);
    expect_all_before_the_loss(rig);
}

/* The watch that a pause has left has told of the reset already. */
PAIRS(sticky_errors,
      data_that_reaches_the_limit_after_the_reset_comes_before_it, rig, KEEPING)
{
    rig_clog(rig);
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    rig_turns(rig, 3);
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_turns(rig, 3);
    rig_peer_send(rig, 20000); /* no turn between this and the reset */
    rig_peer_reset(rig);
    expect_all_before_the_loss(rig);
}

static int stay(struct rig *rig)
{
    rig->count++;
    return 1;
}

PAIRS(sticky_errors, a_reset_is_never_an_end_of_stream, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET, .hooks = {.eof_received = stay})
{
    for (int i = 0; i < 4; i++) {
        rig_peer_send(rig, 10000);
        rig_turn(rig);
    }
    rig_peer_reset(rig);
    rig_wait_lost(rig);

    expect_eq(rig->count, 0);
    expect_eq(rig->received, 40000);
    expect_eq(rig->lost_err, -ECONNRESET);
}
