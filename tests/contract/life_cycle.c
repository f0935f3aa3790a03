/*
 * The life of a connection: rules R1 to R7.
 *
 * connection_made first, connection_lost once and last, both from the loop;
 * what is told at the end, and what still works after it.
 */
#define PAIRS_NEED RIG_RECEIVES
#include "tests/contract/harness.h"
#include "tests/marks.h"

#include <fcntl.h>
#include <weir/connect.h>

static void send_hello(struct rig *rig)
{
    rig->count++;
    expect(weir_loop_is_running(rig->loop));
}

PAIRS(life_cycle, r1__connection_made_comes_before_data, rig,
      .hooks = {.connection_made = send_hello})
{
    expect_events(rig, "made");
    rig_receive(rig, 5);

    expect_events(rig, "made data");
    expect_eq(rig->count, 1);
}

static void note_done(void *arg, int err, weir_transport *t)
{
    struct rig *rig = arg;
    expect_eq(err, 0);
    expect(t == rig->t);
    rig_record(rig, "done");
}

UNIT(life_cycle, r1__the_maker_is_done_after_connection_made_and_never_at_once)
{
    struct rig rig = {.peer = -1};
    const struct weir_factory factory = bind_to(&rig_protocol, &rig);
    int fds[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    expect_eq(send(fds[0], "\0", 1, 0), 1); /* already there */
    expect_eq(weir_loop_new(NULL, &rig.loop), 0);

    expect_ok(weir_create_connection_at(rig.loop, &factory,
                                        weir_endpoint_fd(fds[1]), NULL,
                                        note_done, &rig, NULL));
    expect_events(&rig, "");
    RUN_UNTIL(rig.loop, strstr(rig.events, "done") != NULL);
    rig_wait_received(&rig, 1);

    expect_events(&rig, "made done data");
    weir_transport_unref(rig.t);
    expect_eq(weir_loop_free(rig.loop), 1);
    expect_events(&rig, "made done data lost");
    close(fds[0]);
}

UNIT(life_cycle, r2__connection_lost_comes_once_whatever_is_called_again)
{
    struct rig rig = {0};
    while (rig_next(&rig)) {
        expect_eq(weir_transport_close(rig.t), 0);
        expect_eq(weir_transport_abort(rig.t), 0);
        expect_eq(weir_transport_close(rig.t), 0);
        rig_wait_lost(&rig);
        expect_eq(weir_transport_abort(rig.t), 0);
        expect_eq(weir_transport_close(rig.t), 0);

        rig_turns(&rig, 5);

        expect_events(&rig, "made lost");
        expect_eq(rig.lost_count, 1);
    }
}

PAIRS(life_cycle, r2__nothing_follows_connection_lost, rig)
{
    rig_peer_send(rig, 100);
    expect_eq(weir_transport_abort(rig->t), 0);

    rig_wait_lost(rig);
    rig_turns(rig, 5);

    expect_eq(rig->lost_count, 1);
    expect(strstr(rig->events, "lost ") == NULL);
}

PAIRS(life_cycle, r3__close_never_loses_the_connection_at_once, rig)
{
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(rig->lost_count, 0);
    expect(weir_transport_is_closing(rig->t));

    rig_wait_lost(rig);

    expect_events(rig, "made lost");
}

PAIRS(life_cycle, r3__abort_never_loses_the_connection_at_once, rig)
{
    expect_eq(weir_transport_abort(rig->t), 0);
    expect_eq(rig->lost_count, 0);
    expect(weir_transport_is_closing(rig->t));

    rig_wait_lost(rig);

    expect_events(rig, "made lost");
}

static void abort_now(struct rig *rig)
{
    expect_eq(weir_transport_abort(rig->t), 0);
    expect_eq(rig->lost_count, 0);
}

PAIRS(life_cycle, r3__abort_in_connection_made_loses_from_the_loop, rig,
      .hooks = {.connection_made = abort_now})
{
    rig_expect_lost(rig, 0);

    expect_events(rig, "made lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
}

static void look_at_socket(struct rig *rig)
{
    const int fd = weir_transport_get_socket(rig->t);
    rig->step = fd;
    rig->count = fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

PAIRS(life_cycle, r4__the_socket_is_open_inside_connection_lost_and_not_after,
      rig, .needs = RIG_BOTH_WAYS, .hooks = {.connection_lost = look_at_socket})
{
    if (rig_can(rig, RIG_IS_MEMORY)) {
        return;
    }
    expect_eq(weir_transport_close(rig->t), 0);
    rig_wait_lost(rig);
    expect_eq(rig->count, 1);

    rig_turn(rig);

    expect_eq(weir_transport_get_socket(rig->t), -EBADF);
    expect_eq(fcntl(rig->step, F_GETFD), -1);
    expect_eq(rig_peer_read_end(rig), 0);
}

PAIRS(life_cycle, r5__close_is_told_as_no_error, rig)
{
    weir_transport_close(rig->t);
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_error(rig->t), 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

PAIRS(life_cycle, r5__abort_is_told_as_no_error, rig)
{
    weir_transport_abort(rig->t);
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_error(rig->t), 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
}

PAIRS(life_cycle, r5__end_of_stream_is_told_as_no_error, rig)
{
    rig_peer_shutdown(rig);
    rig_expect_lost(rig, 0);

    expect_events(rig, "made eof lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_EOF);
}

PAIRS(life_cycle, r5__a_reset_is_told_as_its_error, rig,
      .needs = RIG_BOTH_WAYS | RIG_CAN_RESET)
{
    char text[256];
    rig_peer_reset(rig);
    rig_expect_lost(rig, -ECONNRESET);

    expect_events(rig, "made lost");
    expect_eq(weir_transport_get_error(rig->t), -ECONNRESET);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_BROKEN);
    weir_transport_get_error_text(rig->t, text, sizeof(text));
    expect(strstr(text, weir_strerror(-ECONNRESET)) != NULL);
}

static void call_everything(struct rig *rig)
{
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(weir_transport_abort(rig->t), 0);
    expect(weir_transport_write(rig->t, "x", 1) < 0);
    expect_eq(weir_transport_write_eof(rig->t), 0);
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    expect_eq(weir_transport_set_timeouts(rig->t, NULL), 0);
    expect_eq(set_marks(rig->t, 0, 0), 0);
}

PAIRS(life_cycle, r6__what_connection_lost_calls_does_not_keep_the_socket_open,
      rig, .needs = RIG_BOTH_WAYS,
      .hooks = {.connection_lost = call_everything})
{
    weir_transport_close(rig->t);
    rig_wait_lost(rig);

    expect_eq(rig_peer_read_end(rig), 0);
    expect_events(rig, "made lost");
}

static void write_until_paused(struct rig *rig)
{
    if (rig->step == 0) {
        rig->step = 1;
        expect_eq(rig_write(rig, 70000), 0);
        expect(strstr(rig->events, "pause") != NULL);
    }
}

static int write_in_data(struct rig *rig, const struct weir_buf *buf)
{
    write_until_paused(rig);
    return 0;
}

/* The recorder fails the test when another callback is nested. */
PAIRS(life_cycle, r7__only_pause_writing_runs_inside_another_callback, rig,
      .needs = RIG_BOTH_WAYS, .hooks = {.data_received = write_in_data})
{
    rig_peer_send(rig, 1);
    rig_peer_read(rig, 70000);
    rig_wait_event(rig, "resume");

    expect_events(rig, "made data pause resume");
}

PAIRS(life_cycle, close_stops_reading_before_the_next_byte, rig,
      .needs = RIG_BOTH_WAYS, .small_buffers = true)
{
    rig_clog(rig);
    weir_transport_close(rig->t);
    rig_peer_send(rig, 1000);

    rig_turn_for(rig, 20 * RIG_MS);

    expect_eq(rig->received, 0);
    expect_eq(rig->lost_count, 0); /* what waits is sent first */
}

static int close_after_first(struct rig *rig, const struct weir_buf *buf)
{
    rig->count++;
    weir_transport_close(rig->t);
    return 0;
}

PAIRS(life_cycle, no_data_follows_a_close_inside_data_received, rig,
      .hooks = {.data_received = close_after_first})
{
    rig_peer_send(rig, 60000);
    rig_wait_lost(rig);

    expect_eq(rig->count, 1);
    expect_events(rig, "made data lost");
}

PAIRS(life_cycle, the_first_cause_of_the_end_is_kept, rig)
{
    weir_transport_close(rig->t);
    weir_transport_abort(rig->t);
    rig_wait_lost(rig);

    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

/* All that the peer has sent since then was received from it. */
static uint64_t received_before;

UNIT(life_cycle, a_connection_without_callbacks_lives_and_ends)
{
    static CALLBACKS(bare, STREAM);
    struct rig rig = {.eof_result = 1};
    while (rig_next(&rig)) {
        const struct weir_protocol_binding to_bare = {&bare, &rig};
        const struct weir_protocol_binding back = {&rig_protocol, &rig};
        rig_receive(&rig, 1); /* and what TLS sends before it */
        received_before = rig_statistics(&rig).received_bytes;
        expect_eq(weir_transport_set_protocol(rig.t, &to_bare, NULL, 0), 0);
        rig_peer_send(&rig, 1000);
        RUN_UNTIL(rig.loop, rig_statistics(&rig).received_bytes >=
                                received_before + 1000);
        expect_eq(rig_write(&rig, 1000), 0);
        rig_peer_read(&rig, 1000);
        expect_eq(weir_transport_set_protocol(rig.t, &back, NULL, 0), 0);

        rig_turn(&rig);

        expect_events(&rig, "made data");
        expect_eq(rig_statistics(&rig).held_bytes, 0);
    }
}

UNIT(life_cycle, no_eof_received_means_that_the_end_of_stream_closes)
{
    static struct weir_protocol no_eof;
    no_eof = rig_protocol;
    no_eof.eof_received = NULL;
    struct rig rig = {.protocol = &no_eof};
    while (rig_next(&rig)) {
        rig_peer_shutdown(&rig);
        rig_wait_lost(&rig);

        expect_events(&rig, "made lost");
        expect_eq(weir_transport_get_end(rig.t), WEIR_END_EOF);
    }
}
